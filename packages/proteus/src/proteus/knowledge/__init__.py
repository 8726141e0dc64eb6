"""What is known in addition to the table: gene sets and their tests (`_sets`, CAMERA and FRY in `_camera`: Wu and Smyth
2012, 2010), networks (`_network`), and a table's description for planners (`_describe`).
"""
