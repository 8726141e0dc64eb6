"""The app: its verbs, in the order of `--help`."""

from __future__ import annotations

from ninefold.cli import house_app, run_app, verb
from ninefold.demo import demo_verb

from tokenprune.cli._compare import analyze, compare, evaluate, recall
from tokenprune.cli._ftp import ftp
from tokenprune.cli._use import CONVERTED, ask, bench, convert, generate, inspect, learn, serve

app = house_app(
    "tokenprune",
    "Speed up long prompts on a frozen LLM by skipping tokens in each block. Start with **tokenprune demo**.",
)
SHARED = ("seed", "device", "threads", "quiet")
verb(app, uses=())(inspect)
for function in (generate, ask, serve):
    verb(app, uses=("device", "threads"))(function)
verb(app, uses=(*SHARED, "force", "out"), out="into")(compare)
verb(app, "eval", uses=SHARED)(evaluate)
verb(app, uses=(*SHARED, "force", "out"), out="into")(recall)
verb(app, uses=(*SHARED, "force", "out"), out="folder", ours="tokenprune.pruner")(learn)
verb(app, uses=("seed", "device", "threads"))(bench)
verb(app, "convert-gguf", uses=("force", "out"), out="folder", ours=CONVERTED)(convert)
verb(app, uses=SHARED)(analyze)
verb(app, uses=(*SHARED, "out"), out="run")(ftp)
demo_verb(app, "tokenprune")
main = run_app(app)
