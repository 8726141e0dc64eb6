"""Real tasks for switches: nine text sets, and small open slices that ship in the wheel.

Files come from `$NINEFOLD_DATA/tswitch` (see `ninefold.datasets`); the embedded slices of banking77, clinc150 and snips
need nothing: choose with `source`. Sets by name are in `_named`, rows and splits of texts in `_text_data`,
tasks as a user names them in `_given`.
"""

from tswitch.datasets._named import (
    CLINC_DOMAINS,
    EMBEDDED_SETS,
    OPEN12,
    T8,
    TEXT_SETS,
    Source,
    out_of_scope,
    text_task,
    text_tasks,
)
from tswitch.datasets._text_data import Split, TextTask

__all__ = [
    "CLINC_DOMAINS",
    "EMBEDDED_SETS",
    "OPEN12",
    "T8",
    "TEXT_SETS",
    "Source",
    "Split",
    "TextTask",
    "out_of_scope",
    "text_task",
    "text_tasks",
]
