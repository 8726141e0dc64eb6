"""The `proteus` command; each file holds one group of verbs."""

# isort: off
from proteus.cli import _table_verbs, _work_verbs, _study_verbs, _run_verbs  # as `--help` lists them

# isort: on
from proteus.cli._app import app, main

__all__ = ["_run_verbs", "_study_verbs", "_table_verbs", "_work_verbs", "app", "main"]
