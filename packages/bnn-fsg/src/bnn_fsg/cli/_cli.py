"""The app: its verbs, in the order of `--help`."""

from __future__ import annotations

from ninefold.app import house_verbs
from ninefold.cli import house_app, run_app, verb

from bnn_fsg.cli._packed import bench, evaluate, export, inspect, pack
from bnn_fsg.cli._training import compare, pretrain, train

app = house_app(
    "bnn_fsg",
    "Train 1-bit networks with learned gradients, then run them bit-packed on a CPU. Start with **bnn-fsg demo**.",
)
verb(app)(pack)
verb(app, "eval")(evaluate)
for function in (inspect, bench, export, pretrain, train, compare):
    verb(app)(function)
house_verbs(app, "bnn-fsg")
main = run_app(app)
