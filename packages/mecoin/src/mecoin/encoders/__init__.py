"""The frozen encoder.

`_encoder` says what one is, trains those with weights (the publication's GCN and GAT: `_gcn`) and takes a module that
was trained elsewhere. `_sgc` needs no training; `_shared` has them by name and keeps fitted ones.
"""
