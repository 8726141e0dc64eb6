"""Where models come from, and what the executor needs to know of one.

_families  the families that are tested, as small random weights
_models  SmolLM2, local folders, hub ids, GGUF; the hash of a model's weights
_layout  blocks, norms, heads and positions of a decoder, or why it is none that can be pruned
"""
