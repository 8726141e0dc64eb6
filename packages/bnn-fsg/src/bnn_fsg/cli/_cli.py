"""The app: its verbs, in the order of `--help`."""

from __future__ import annotations

from ninefold.cli import house_app, run_app, verb
from ninefold.demo import demo_verb

from bnn_fsg.cli._packed import bench, evaluate, export, inspect, is_answers, is_export, pack, predict
from bnn_fsg.cli._training import pretrain, train
from bnn_fsg.runtime._format import is_packed

app = house_app(
    "bnn_fsg",
    "Train 1-bit networks with learned gradients, then run them bit-packed on a CPU. Start with **bnn-fsg demo**.",
)
verb(app, uses=("force", "out"), out="file", ours=is_packed)(pack)
verb(app, "eval", uses=("threads",))(evaluate)
verb(app, uses=("threads", "force", "out"), out="file", ours=is_answers)(predict)
verb(app, uses=())(inspect)
verb(app, uses=("seed", "threads"))(bench)
verb(app, uses=("force", "out"), out="file", ours=is_export)(export)
for function in (pretrain, train):
    verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="run")(function)
demo_verb(app, "bnn-fsg")
main = run_app(app)
