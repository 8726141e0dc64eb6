"""One training loop for every estimator.

_trainer     epochs, schedule, log, resume
_scores      classes that a network gives, and accuracy
_sources     batches of images in memory, or of a DataLoader
_compiling   network and teacher compiled by torch
_teacher     a full-precision network to follow in addition to the labels
_start       the network to start from, and a teacher, as these see pictures
_chosen      what each estimator did best with, the defaults of `train`
_weights     published weights as a start (`weights_only`)
"""
