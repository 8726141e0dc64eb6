"""The whole app: the verbs of this package in the order in which `--help` lists them, then those of the house."""

from __future__ import annotations

from ninefold.cli import run_app
from ninefold.demo import demo_verb

from tswitch.cli import _finetune, _switches, _texts, _trials
from tswitch.cli._app import app

VERBS = (_finetune, _switches, _texts, _trials)  # each adds its verbs to `app` when it is imported
demo_verb(app, "tswitch")
main = run_app(app)
