"""The default, `mecoin+` (ours): class prototypes in an encoder's whitened output, refined with unlabelled nodes.

`_smu` holds prototypes (the publication's structured memory unit), `_construction` makes keys, `_refine` moves new
prototypes; `_plus` joins them. The model that users hold is `_mecoin`, its settings `_settings`. The published method:
`mecoin.paper`.
"""
