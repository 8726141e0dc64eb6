"""The whole app: the verbs of this package in the order in which `--help` lists them, then those of the house."""

from __future__ import annotations

from ninefold.cli import run_app
from ninefold.demo import demo_verb

from mecoin.cli import _learning, _sessions
from mecoin.cli._app import app

VERBS = (_learning, _sessions)  # each adds its verbs to `app` when it is imported
demo_verb(app, "mecoin")
main = run_app(app)
