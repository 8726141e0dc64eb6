"""The frozen encoder.

`_encoder` says what one is and trains those with weights: the publication's GCN and GAT (`_gcn`). `_sgc` needs
no training, `_own` is a module that was trained elsewhere; `_shared` has them by name and keeps fitted ones.
"""
