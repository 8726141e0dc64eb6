"""The `fastocc` command.

- `_options.py`: the app, and options that verbs share
- `_data.py`: simulate, info, rig, render
- `_labels.py`: labels
- `_model.py`: train, eval, predict, export, convert, inspect
- `_drive.py`: run
- `_measure.py`: bench, compare
- `_main.py`: all verbs, and the console script
"""

from fastocc.cli._main import app, main

__all__ = ["app", "main"]
