"""The frozen encoder, and the interface of all that learns on top of it.

`_encoder` has the publication's GCN and the training-free SGC, `_gat` the GAT, `_own` a module that was trained
elsewhere; `_field` says what a step of training has to look at; `_learner` is the interface of method and rivals.
"""
