"""The app and its verbs."""

from __future__ import annotations

from ninefold.cli import house_app, run_app, verb
from ninefold.demo import demo_verb

from mldgg.cli._judge import bench, compare, data_check
from mldgg.cli._learn import adapt, fit, inspect, predict

app = house_app(
    "mldgg",
    "Node classes on a graph never seen, from a few labels or none. Begin with **mldgg demo**; on own graphs: "
    "data-check, fit, adapt, predict; to compare methods: compare.",
)
verb(app, uses=("seed", "threads", "out"), out="run")(fit)
verb(app, uses=("seed", "threads", "force", "out"), out="file")(adapt)
verb(app, uses=("threads", "force", "out"), out="file")(predict)
verb(app, uses=("threads", "out"), out="into")(inspect)
verb(app, uses=("threads", "quiet", "out"), out="run")(compare)
verb(app, uses=("threads",))(bench)
verb(app, "data-check", uses=())(data_check)
demo_verb(app, "mldgg")
main = run_app(app)
