"""The record of a run: objects, events and tables as they stand on disk.

`_objects` (objectives, workflows, findings, hypotheses), `_planner` (the questions that a planner answers), `_journal`
(a chain of hashes), `_ledger` (what an interrupted run already has), `_run_folder` and `_store` (files), `_cited`
(each printed number and its cell).
"""
