"""Progress of long work: a bar with the time left, on a terminal; a Ctrl-C that a library swallowed ends it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar


class Progress:
    """What `progress` yields: `advance(n)` counts finished units.

    Examples:
        >>> from ninefold.cli import Progress

        >>> Progress.shown  # a bar is drawn on a terminal, inside a verb
        False
        >>> Progress().advance(10)
    """

    shown: ClassVar = False  # each verb decides it from its options
    interrupted: ClassVar = False  # there was a Ctrl-C

    def __init__(self, bar: Any = None, task: Any = None) -> None:
        self._bar, self._task = bar, task

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Count `amount` more units as finished; `note` replaces the label. Ends work that missed a Ctrl-C."""
        if self.interrupted:
            raise KeyboardInterrupt
        if self._bar is not None:
            self._bar.update(self._task, advance=amount, **({"description": note} if note else {}))


@contextlib.contextmanager
def progress(total: float | None, label: str) -> Iterator[Progress]:
    """A progress bar with the time left, on a terminal and inside a verb only; elsewhere it does nothing.

    Examples:
        >>> from ninefold.cli import progress

        >>> with progress(3, "fitting") as bar:
        ...     for step in range(3):
        ...         bar.advance()
        >>> step
        2
    """
    if not Progress.shown:
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    with RichProgress(console=Console(stderr=True), transient=True) as bar:
        yield Progress(bar, bar.add_task(label, total=total))
