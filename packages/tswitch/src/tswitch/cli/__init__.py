"""The `tswitch` command: each verb parses, calls the API and returns what to print.

`_app` has what the verbs share; they stand in `_finetune`, `_switches`, `_texts` and `_trials`; `_main` is all of them.
"""

from tswitch.cli._app import app
from tswitch.cli._main import main

__all__ = ["app", "main"]
