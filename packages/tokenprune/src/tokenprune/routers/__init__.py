"""Which tokens a block keeps.

_schedule         sparsity of each block; how many tokens that is
_static_router    first token, then most recent first
_observation_router  the last tokens, and those that the last queries attend to: no training
"""
