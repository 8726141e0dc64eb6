"""Models of the next item.

Markov chains with back-off in `_markov`, V-SKNN (Ludewig and Jannach 2018) in `_vsknn`, SASRec with full softmax
(Klenitskiy and Vasilev 2023) in `_sasrec`, eSASRec in `_esasrec`, GRU4Rec and BERT4Rec in `_sequence_rivals`;
`_sequences` cuts histories into training rows.
"""
