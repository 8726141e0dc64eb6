"""Which tokens a block keeps.

_schedule         sparsity of each block; how many tokens that is
_static_router    first token, then most recent first
_observation_router  the last tokens, and those that the last queries attend to: no training
_learnt_router    what the two learnt routers share
_dynamic_router   the four-factor router: position, attention score, its rank, sparsity
_one_pass_router  decisions for all blocks after one of the first
"""
