"""How models are judged: full catalogue, the future held out, intervals, paired tests.

`_evaluate` lists for users, `_next` the next item at each step, `_ranks` ties and ranks, `_stats` intervals and tests
(Holm over models), `_compare` several models, `_tune` one budget of search for each; `_beyond` coverage, novelty and
exposure, `_propensity` IPS and SNIPS; `_report` files, `_bench` speed; `_best` from a log to a
model, by `_cuts` and `_race`.
"""
