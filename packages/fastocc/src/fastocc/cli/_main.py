"""All verbs of the app, and the console script."""

from __future__ import annotations

from ninefold.cli import run_app
from ninefold.demo import demo_verb

from fastocc.cli import _data, _drive, _labels, _measure, _model
from fastocc.cli._options import app

__all__ = ["app", "main"]
VERBS = (_data, _labels, _model, _drive, _measure)  # importing them registers their verbs
demo_verb(app, "fastocc")
main = run_app(app)
