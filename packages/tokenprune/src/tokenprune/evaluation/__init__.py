"""Scores, comparisons and times.

_evaluate  NLL and KL of text, multiple-choice answers
_compare   dense, FTP and rivals in one table
_recall    long-context tasks by kind, depth and length
_roles     which part of a text is for search, training, validation and scoring
_speed     prefill compared with the dense model
_on_text   whole comparisons from names of texts and rivals
_naming    names as they are typed; errors said of the option that gave an argument
"""
