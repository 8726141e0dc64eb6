"""The `mecoin` command: each verb parses, calls the API and returns what to print.

`_app` has what the verbs share; they stand in `_learning` and `_sessions`; `_main` is all of them.
"""

from mecoin.cli._app import app
from mecoin.cli._main import main

__all__ = ["app", "main"]
