"""The whole app: the verbs of this package in the order in which `--help` lists them, then those of the house."""

from __future__ import annotations

from ninefold.app import house_verbs
from ninefold.cli import run_app

from tswitch.cli import _finetune, _switches, _texts, _trials
from tswitch.cli._app import app

VERBS = (_finetune, _switches, _texts, _trials)  # each adds its verbs to `app` when it is imported
house_verbs(app, "tswitch")
main = run_app(app)
