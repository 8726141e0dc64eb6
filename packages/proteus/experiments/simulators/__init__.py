"""Simulators that claims alone use: peptides (`_peptides`)."""
