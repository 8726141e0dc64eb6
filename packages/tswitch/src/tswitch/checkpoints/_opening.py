"""A checkpoint by any name that a user has for it."""

from __future__ import annotations

from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.models._models import minilm_folder


def open_base(name: str) -> Checkpoint:
    """A base or fine-tuned checkpoint: a folder, a weight file, a hub id, or "minilm" (extra `models`)."""
    if name != "minilm":
        return Checkpoint.open(name)
    checkpoint = Checkpoint.open(minilm_folder())
    checkpoint.source = "sentence-transformers/all-MiniLM-L6-v2"  # what a card calls it
    return checkpoint
