"""Factorisation machines (Rendle 2012): any columns of user, item and context.

`_fm` scores a catalogue in one product; `_sgd_fm` learns by gradients, `_bayesian_fm` by Gibbs sampling (`_gibbs`,
Rendle 2019); `_fields`, `_columns` and `_attributes` make the design.
"""
