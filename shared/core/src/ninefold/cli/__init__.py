"""The command line that every package shares: options, errors as one line, exit statuses, progress, printing.

A package writes `app = house_app("tswitch", "...")`, marks functions with `@verb(app, uses=("seed", "out"))`, and makes
`main = run_app(app)` its console script. A verb takes its own parameters and, last, `opts: Shared`, which it may leave
out; it calls the API and returns what to print.
Statuses: 0 done, 1 our defect, 2 the user's mistake (one line, no traceback), 130 interrupted.

options, verbs                     _verbs.py
console script, statuses           _program.py
"""

from ninefold.cli._program import run_app, show, status_of
from ninefold.cli._verbs import Shared, house_app, verb
from ninefold.progress import Progress, progress

__all__ = ["Progress", "Shared", "house_app", "progress", "run_app", "show", "status_of", "verb"]
