"""The method (NeurIPS 2024, arXiv 2411.06659), part by part.

SMU, the structured memory unit: `_smu`. MeCs, memory construction: `_mecs`, with GraphInfo (`_graphinfo`) and the edge
loss (`_edge_loss`) put together into keys in `_construction`. MRaM, representation adaptation: `_mram`. GKIM, graph
knowledge interaction: `_gkim`, trained in `_interaction`. `_paper` joins them; `_plus` is our default, whose refinement
is in `_refine`; `_codebook` is the released code's memory. The model that users hold: `_mecoin`.
"""
