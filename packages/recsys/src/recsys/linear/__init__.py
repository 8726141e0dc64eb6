"""Item-to-item models in closed form or by regression.

EASE (Steck 2019) in `_ease`, SLIM (Ning and Karypis 2011) in `_slim`, SANSA (Spisak
2023) in `_sansa`, RP3beta (Paudel 2017) in `_rp3beta`; `_linear` is what they share.
"""
