"""A study: objectives, workflows, steps, hypotheses (the three levels of the abstract).

`_study` is the whole, `_engine` the loop over objectives, `_answer` what one leaves, `_conclusions` what all say
together: `_grading` (error control over families), `_gate` (no number or name that no cell holds), `_ranking`;
`_replicated` (asked again in each cohort), `_steps`, `_mcp`, `_tables` (the report as tables).
"""
