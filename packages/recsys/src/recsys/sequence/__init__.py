"""Models of the next item, and models that are made of others.

Markov chains with back-off in `_markov`, V-SKNN (Ludewig and Jannach 2018) in `_vsknn`, SASRec with full softmax
(Klenitskiy and Vasilev 2023) in `_sasrec`; `_sequence_model` is what networks share, `_sequences` cuts histories into
training rows. `_two_stage` ranks what several models name, `_fusion` adds their lists, `_social` follows ties.
"""
