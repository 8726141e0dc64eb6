"""One training loop for every estimator.

_trainer     epochs, schedule, log, resume
_checkpoint  nested states as one file
_weights     published weights as a start (`weights_only`)
"""
