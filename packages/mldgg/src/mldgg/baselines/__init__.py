"""Rivals: same interface, input, support labels, seeds and number of trials as the method; one line each in the table.

Training-free -> `_ridges`, `_propagation`; pooled training, fine-tuning and the network that trained rivals share ->
`_trained`; the target's labels alone -> `_target`; invariant risks -> `_risks`; alike embeddings -> `_alignment`; mixed
nodes -> `_mixup`; meta-learning -> `_meta_rivals`; edge editors -> `_eerm`; parts of the method by themselves ->
`_parts`; the table -> `_table`.
"""

from mldgg.baselines._table import BASELINES, TRAINING_FREE
from mldgg.baselines._trained import Trained

__all__ = ["BASELINES", "TRAINING_FREE", "Trained"]
