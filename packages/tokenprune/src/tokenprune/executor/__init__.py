"""The skip rule: each block runs on the tokens that it keeps, at their own positions.

_executor    x^{i+1} = Block(x_K) on kept tokens, else x^i; prefill and decoding
_router      what a router is; the router that keeps every token
_stream      hidden states, positions and gates of a batch under way; the table of attention scores
_attention   attention inside a block: causal over kept tokens, scores of the last queries
_ragged      rows that keep different numbers of tokens
_held        which of a block's cached tokens a new one attends to
_cache       keys and values of kept tokens, block by block
_turns       what a cache holds of the dense first blocks, for later blocks to choose anew
_cache_name  what the installed transformers calls a cache
_cost        operations and bytes
_attach      a model's own `forward` and `generate` under the pruner
_probe       does this model, run block by block, give what it gives by itself?
_scored      sequences of which the last tokens are scored
"""
