"""One data model for all kinds of recommendation: events of users with items, and what is known about both.

`_dataset` holds the events; `_ids` keeps original ids with their types, `_frame` reads tables of any library, `_time`
times of any form, `_side` tables about users and items; `_history` groups events by user. `_split` cuts without leaks
(global time, Liang's held-out users, leave-last-out), `_doctor` looks for reasons to distrust a number, `_metrics`
defines the metrics, `_simulate` draws worlds whose truth is known.
"""
