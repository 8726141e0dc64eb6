"""What is installed: packages register a `System` in the entry-point group `ninefold.systems`, loaded on demand."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ninefold.errors import InputError
from ninefold.report import Table

if TYPE_CHECKING:
    from ninefold.arms import Arms  # numpy takes a tenth of a second, which `--help` need not wait for

GROUP = "ninefold.systems"


@dataclass(frozen=True)
class System:
    """One system of a package.

    Attributes:
        name: as users call it on the command line.
        summary: what it does, in one line.
        demo: `module:function` of its main job on the embedded default: (seed) -> DemoResult.
        claims: `module:LIST` of its claims, in the experiments of its checkout (`tswitch_experiments.claims:CLAIMS`).
        seconds: about how long its demo takes on two cores.
        own: the command that does the main job on data of the user's own.

    Examples:
        >>> from ninefold.systems import System

        >>> system = System("shop", "recommends from a log", demo="shop.demo:run", claims="shop_experiments:CLAIMS")
        >>> system.seconds
        30
    """

    name: str
    summary: str
    demo: str
    claims: str
    seconds: float = 30
    own: str = ""

    def load_demo(self) -> Callable[[int], DemoResult]:
        """Import the demo."""
        module, _, name = self.demo.partition(":")
        return getattr(importlib.import_module(module), name)


@dataclass
class DemoResult:
    """What a demo shows. The page and the overview compare the method with its best rival from `arms`.

    Attributes:
        data: what it ran on, and whether that is real or simulated.
        arms: scores of the method, its rivals and controls.
        table: all arms.
        figures: (caption, matplotlib figure) pairs; empty if matplotlib is missing. The first shows what the package
            makes and stands on the system's card: at most 5 inches wide, text of 12 points or more.
        notes: what a reader should know, e.g. which line brings the real model.
        headline: what a user gains over what people use today, in one sentence with one number and no interval; the
            comparison with the best rival by default.
        looking_at: one sentence that says what the reader is looking at; else the system's summary.
        glossary: words that the page explains, by word.

    Examples:
        >>> from ninefold.arms import Arms
        >>> from ninefold.report import Table
        >>> from ninefold.systems import DemoResult

        >>> arms = Arms(scores={"EASE": 91.2, "item kNN": 88.0}, ours="EASE", measured="accuracy", unit="%")
        >>> result = DemoResult("embedded sales", arms, Table(["model", "accuracy, %"], [["EASE", 91.2]]))
        >>> result.arms.rival
        'item kNN'
    """

    data: str
    arms: Arms
    table: Table
    figures: list[tuple[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    headline: str = ""
    looking_at: str = ""
    glossary: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Installed:
    """An entry point: its system, or why it cannot be loaded.

    Examples:
        >>> from ninefold.systems import Installed

        >>> row = Installed("shop", "shop", "0.1.0", None, "ImportError: no module named torch")
        >>> row.system is None, row.reason
        (True, 'ImportError: no module named torch')
    """

    name: str
    distribution: str
    version: str
    system: System | None
    reason: str = ""


def installed() -> list[Installed]:
    """All registered systems by name. One that fails to load is a row that says why, never a crash.

    Examples:
        >>> from ninefold.systems import installed

        >>> rows = installed()
        >>> all(row.system is not None or row.reason for row in rows)
        True
    """
    rows = []
    for point in importlib.metadata.entry_points(group=GROUP):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
        try:
            system = point.load()
            if not isinstance(system, System):
                raise TypeError(f"{point.value} is no ninefold.systems.System")
            rows.append(Installed(point.name, distribution, version, system))
        except (Exception, SystemExit) as error:  # whatever a foreign package raises at import, the others still work
            rows.append(Installed(point.name, distribution, version, None, f"{type(error).__name__}: {error}"))
    return sorted(rows, key=lambda row: row.name)


def choose(names: Sequence[str] | None) -> list[Installed]:
    """The installed systems called `names`, or all; InputError that lists the names if one is unknown.

    Examples:
        >>> from ninefold import InputError
        >>> from ninefold.systems import choose

        >>> try:
        ...     choose(["a system that is not there"])
        ... except InputError as error:
        ...     print(str(error)[:50])
        system: got 'a system that is not there', expected
    """
    rows = installed()
    known = {row.name: row for row in rows}
    for name in names or []:
        if name not in known:
            raise InputError("system", got=repr(name), expected=f"one of: {', '.join(known) or 'none is installed'}")
    return [known[name] for name in dict.fromkeys(names)] if names else rows
