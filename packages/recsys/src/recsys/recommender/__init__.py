"""What every model has: parameters, fit with checkpoints, fold-in, lists by original id, explanations, files.

`_learner` learns, `_base` answers; `_query` is one request, `_rows` and `_topk` compute lists, `_trend` what sells now.
`_store` reads and writes model folders by the names in `_registry`. `_rating` and `_neural` are the bases of rating
models and of networks.
"""
