"""Models of the next item.

Markov chains with back-off in `_markov`, V-SKNN (Ludewig and Jannach 2018) in `_vsknn`, SASRec with full softmax
(Klenitskiy and Vasilev 2023) and eSASRec in `_sasrec`, GRU4Rec and BERT4Rec in `_sequence_rivals`; `_sequence_model` is
what the networks share, `_sequences` cuts histories into training rows, `_two_stage` ranks what several models name.
"""
