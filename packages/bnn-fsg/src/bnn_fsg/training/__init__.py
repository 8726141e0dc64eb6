"""One training loop for every estimator.

_trainer     epochs, schedule, log, resume
_weights     published weights as a start (`weights_only`)
"""
