"""Simulators that claims alone use: peptides (`_peptides`), cells (`_cells`)."""
