"""Simulators that claims and tests alone use: with planted truth (`_tables`), peptides (`_peptides`), cells."""
