"""A finished run, looked at again.

The report (`_report`, `_plots`, `_strips`, report.html), what is taken away (`_export`), every file and number against
the journal (`_verify`), the run computed anew (`_replay`), its hypotheses scored (`_scoring`, `_score_tables`).
"""
