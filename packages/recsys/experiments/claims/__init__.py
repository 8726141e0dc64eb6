"""What is claimed, each as an experiment on real data or in a world whose truth is known.

`_statements` holds each claim with its bar. The experiments: lists (Online Retail, MSWeb) in `_trials_lists`, next
items and hidden items in `_trials_steps`, ratings and clicks in `_trials_values`, the simulator in `_trials_truth`,
MovieLens files that a user brings in `_trials_movielens`.
"""

from ._statements import CLAIMS

__all__ = ["CLAIMS"]
