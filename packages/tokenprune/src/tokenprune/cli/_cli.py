"""The app: its verbs, in the order of `--help`."""

from __future__ import annotations

from ninefold.app import house_verbs
from ninefold.cli import house_app, run_app, verb

from tokenprune.cli._compare import compare, evaluate
from tokenprune.cli._fit import analyze, refine, run, search, train
from tokenprune.cli._use import bench, convert, generate, inspect

app = house_app(
    "tokenprune", "Skip unimportant tokens, block by block, in a frozen LLM. Start with **tokenprune demo**."
)
for function in (analyze, run, search, train, refine, inspect, generate, compare):
    verb(app)(function)
verb(app, "eval")(evaluate)
verb(app)(bench)
verb(app, "convert-gguf")(convert)
house_verbs(app, "tokenprune")
main = run_app(app)
