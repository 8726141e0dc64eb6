"""The table: features by samples with what is known of both (`_data`), designs and contrasts (`_design`), and the way
from precursors to proteins (`_rollup`).
"""
