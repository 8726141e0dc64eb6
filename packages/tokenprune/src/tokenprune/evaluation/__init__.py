"""Scores, comparisons and times.

_evaluate  NLL and KL of text, multiple-choice answers
_compare   dense, FTP and rivals in one table
_recall    long-context tasks by kind, depth and length
_roles     which part of a text is for search, training, validation and scoring
_speed     prefill beside the dense model
"""
