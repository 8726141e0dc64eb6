"""The networks that torch trains, and how: the only folder that imports torch.

`_transformer` (SASRec: Kang and McAuley 2018), `_nets` (Mult-VAE), `_texts` (sentence encoders);
`_train` runs epochs, `_parallel` several processes of torchrun.
"""
