"""Knobs fitted on unlabelled inputs: the same codes, another number for each tensor.

`_knobs` fits them by the divergence of outputs from the fine-tuned model's, `_inputs` reads texts and other inputs and
loads the live model, `_compress` does both for a folder, resumable; `_given` makes a switch from what a
user names, with or without them.
"""
