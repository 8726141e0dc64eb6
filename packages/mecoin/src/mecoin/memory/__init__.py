"""The default, `mecoin+` (ours): class prototypes in an encoder's whitened output, refined with unlabelled nodes.

`_smu` holds prototypes (the publication's structured memory unit) and moves new ones; `_plus` joins both. The model
that users hold, and its file: `_mecoin`. The published method: `mecoin.paper`.
"""
