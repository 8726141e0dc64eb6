"""What is known beside the table: gene sets and their tests (`_sets`, CAMERA, FRY and ROAST in `_camera`: Wu and Smyth
2012, 2010; over-representation and preranked GSEA in `_enrichment`), networks (`_network`), abstracts (`_literature`),
and a table's description for planners (`_describe`).
"""
