"""Questions beyond a contrast: Cox regression (`_cox`) and its diagnostics (`_survival`), biomarker panels by nested
cross-validation (`_panel`), co-expression modules (`_coexpression`: Zhang and Horvath 2005), cells (`_cells`).
"""
