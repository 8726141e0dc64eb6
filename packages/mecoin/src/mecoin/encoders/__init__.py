"""The frozen encoder.

`_encoder` says what one is; `_gcn` has the publication's GCN, `_sgc` the one that needs no training, `_both` the two
side by side, `_gat` the GAT, `_own` a module that was trained elsewhere; `_shared` has them by name and keeps fitted
ones; `_field` says what a step of training has to look at.
"""
