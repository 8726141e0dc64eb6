"""One demo: run, shown as a row and as a section of a page; the verb `demo` of a package."""

from __future__ import annotations

import html
import itertools
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from ninefold.cli import Shared, progress, verb
from ninefold.errors import NinefoldError
from ninefold.report import Table, figure_html, glossary, html_page, paragraph
from ninefold.systems import DemoResult, Installed, System, choose

OPTIONS: dict[str, Any] = {"uses": ("seed", "threads", "quiet", "force", "out"), "out": "file", "ours": "ninefold"}
COLUMNS = ("system", "what was measured", "ours", "best rival", "compared", "seconds")
_WIDEST = (26, 34, 38, 14)  # letters in a cell: two lines a row at 100 columns


@dataclass
class Shown:
    """Result of one system's demo, as text and HTML.

    Attributes:
        name: of the system.
        cells: what was measured, ours, best rival, verdict; `line` and `overview` shorten them.
        section: HTML parts of its section on the page.
        words: its glossary.
        seconds: that it took.
        reason: why there is no result; empty if there is one.
        defect: whether that is ours to mend.
    """

    name: str
    cells: list[str]
    section: list[str]
    words: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    defect: bool = False

    def line(self) -> str:
        """One line for the terminal."""
        measured, ours, rival, word = map(_short, self.cells, _WIDEST)
        text = self.reason or f"{measured}: {ours}; best rival {rival}; {word}"
        return f"{self.name:<12}{self.seconds:>5.0f} s  {_short(text, 79)}"


def show_demo(row: Installed, seed: int) -> Shown:
    """Run one system's demo in this process; NinefoldError and defects escape."""
    start = time.perf_counter()
    if row.system is None:
        raise ImportError(row.reason)
    result = row.system.load_demo()(seed)
    if not isinstance(result, DemoResult):
        raise TypeError(f"{row.system.demo} returned no DemoResult")
    arms = result.arms
    cells = [arms.measured, arms.text(arms.ours), f"{arms.rival} {arms.text(arms.rival)}", arms.word]
    shown = Shown(row.name, cells, _section(row.system, result), dict(result.glossary))
    shown.seconds = time.perf_counter() - start
    return shown


def _section(system: System, result: DemoResult) -> list[str]:
    """Headline, picture, what is seen, the comparison with the best rival, the command; the rest is folded away."""
    figures = [figure_html(figure, caption, svg=True) for caption, figure in result.figures]
    compared = _sentence(result.arms.headline())
    folded = [*figures[1:], result.table.to_html(), *(paragraph(note, "note") for note in result.notes)]
    return [
        paragraph(_sentence(result.headline) if result.headline else compared, "lead"), *figures[:1],
        paragraph(f"{_sentence(result.looking_at or system.summary)} Data: {result.data}."),
        paragraph(compared, "note") if result.headline else "",
        f"<p>On your own data: <code>{html.escape(system.own)}</code></p>" if system.own else "",
        f"<details><summary>More pictures, all methods and notes</summary>{''.join(folded)}</details>",
    ]  # fmt: skip


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _short(text: str, width: int) -> str:
    """`text`, cut at a word to `width` letters."""
    return textwrap.shorten(text, width, placeholder=" …")


def failed(name: str, error: BaseException | str, seconds: float = 0.0) -> Shown:
    """What is shown of a demo that gave no result."""
    expected = isinstance(error, NinefoldError)  # e.g. a missing extra: the reason is the line that brings it
    reason = str(error) if expected or isinstance(error, str) else f"failed: {type(error).__name__}: {error}"
    cells = ["", "", "", "not run" if expected else "failed"]
    return Shown(name, cells, [paragraph(reason)], {}, seconds, reason, not expected)


def overview(shown: Sequence[Shown]) -> Table:
    """One row a system."""
    table = Table(COLUMNS, [[one.name, *map(_short, one.cells, _WIDEST), round(one.seconds, 1)] for one in shown])
    table.notes += [f"{one.name}: {one.reason}" for one in shown if one.reason]
    return table


def demo_verb(app: typer.Typer, system: str) -> None:
    """Give a package's app the verb `demo`, for its system `system`."""

    @verb(app, "demo", **OPTIONS)
    def demo(opts: Shared) -> Table:
        """Run the main job on embedded data; print a table and write a page with pictures."""
        return demo_of(choose([system])[0], opts)


def demo_of(row: Installed, opts: Shared) -> Table:
    """Run one system's demo, write its page, and return the table that its verb prints; errors escape."""
    from ninefold.files import write_text

    path = opts.out or free_name(Path(f"{row.name}-demo.html"))
    if row.system and not (opts.quiet or opts.json):
        print(f"About {max(10, row.system.seconds):.0f} s. Nothing is downloaded.", file=sys.stderr)
    with progress(None, f"demo of {row.name}"):
        shown = show_demo(row, opts.seed)
    intro = f"{row.distribution} {row.version}, {time.strftime('%d %B %Y, %H:%M')}."
    sections = [(shown.name, shown.section), *([("Words", [glossary(shown.words)])] if shown.words else [])]
    write_text(path, html_page(f"{row.name}: demo", sections, intro), force=opts.force, ours="ninefold")
    table = overview([shown])
    table.notes.append(f"All arms{' and pictures' if '<figure' in ''.join(shown.section) else ''}: {path}")
    return table


def free_name(path: Path) -> Path:
    """`path`, or the first `name-2`, `name-3` ... that is free: a demo replaces nothing by itself."""
    others = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([path], others) if not one.exists())
