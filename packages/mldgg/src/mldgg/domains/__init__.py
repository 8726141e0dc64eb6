"""Several graphs with one task, and a protocol that cannot peek.

Collections and their checks -> `_domains`; support and query nodes, and sources that play the target -> `_support`;
graphs and support that a user names -> `_given`; sizes and findings -> `_tables`; leave-one-graph-out, and the
interface of methods and rivals -> `_protocol`.
"""

from mldgg.domains._domains import (
    OVERLAP,
    GraphDomains,
    LeakWarning,
    label_assignment,
    row_keys,
    row_overlap,
    same_nodes,
)  # fmt: skip
from mldgg.domains._protocol import Method, Task, leave_one_graph_out
from mldgg.domains._support import (
    Rehearsal,
    Split,
    check_support,
    measure,
    metric_of,
    metric_of_choice,
    rehearsals,
    split_support,
    thinned,
)  # fmt: skip

__all__ = [
    "OVERLAP", "GraphDomains", "LeakWarning", "Method", "Rehearsal", "Split", "Task", "check_support",
    "label_assignment", "leave_one_graph_out", "measure", "metric_of", "metric_of_choice", "rehearsals", "row_keys",
    "row_overlap", "same_nodes", "split_support", "thinned",
]  # fmt: skip
