"""The demos of several systems on one page: each in a process of its own, two at a time where two cores are idle."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ninefold.datasets import cache_path
from ninefold.errors import NinefoldError
from ninefold.files import write_text
from ninefold.progress import Progress
from ninefold.report import Table, cell_text, figure_html, glossary, html_page, paragraph
from ninefold.systems import DemoResult, Installed, choose

COLUMNS = ("system", "what was measured", "ours", "best rival", "verdict", "seconds")
_WIDEST = (26, 34, 38, 14)  # letters in a cell: two lines a row at 100 columns
_WORDS = {
    "arm": "one of the methods that are compared: ours, a rival, or a control",
    "best rival": "the best other method in the same run, on the same data and with the same budget",
    "control": "what remains when the part that a claim is about is taken out",
    "real, simulated": "data that somebody measured, or that a generator in the package made",
    "seed": "the number that everything random starts from; the same seed gives the same numbers",
}


@dataclass
class Shown:
    """What came of one system's demo, as text and HTML.

    Attributes:
        name: of the system.
        cells: what was measured, ours, best rival, verdict.
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
        measured, ours, rival, word = self.cells
        text = self.reason or f"{measured}: {ours}; best rival {rival}; {word}"
        return _short(f"{self.name:<12}{self.seconds:>5.0f} s  {' '.join(text.split())}", 99)


def show_demo(row: Installed, seed: int) -> Shown:
    """Run one system's demo in this process; NinefoldError and defects escape."""
    start = time.perf_counter()
    if row.system is None:
        raise ImportError(row.reason)
    result = row.system.load_demo()(seed)
    if not isinstance(result, DemoResult):
        raise TypeError(f"{row.system.demo} returned no DemoResult")
    shown = Shown(row.name, _cells(result), _section(row.system.summary, result), dict(result.glossary))
    shown.seconds = time.perf_counter() - start
    return shown


def _cells(result: DemoResult) -> list[str]:
    second = str(result.table.columns[1]) if len(result.table.columns) > 1 else ""
    texts = (
        result.measured or second, result.score or result.method, result.rival_score or result.rival,
        result.word or "see page",
    )  # fmt: skip
    return [_short(_without_settings(text), width) for text, width in zip(texts, _WIDEST, strict=True)]


def _without_settings(text: str) -> str:
    """`EASE(l2=400) 0.1` as `EASE 0.1`."""
    return re.sub(r"\([^()]*=[^()]*\)", "", text)


def _section(summary: str, result: DemoResult) -> list[str]:
    parts = [paragraph(_sentence(result.headline or _without_settings(result.verdict)), "lead")]
    parts.append(paragraph(_sentence(result.looking_at or summary)))
    parts.append(paragraph(f"Data: {result.data}."))
    parts += [figure_html(figure, caption) for caption, figure in result.figures]
    parts.append(result.table.to_html())
    if result.headline:
        parts.append(paragraph(_sentence(result.verdict)))
    return parts + [paragraph(note, "note") for note in result.notes]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _short(text: str, width: int) -> str:
    """`text`, cut at a word to `width` letters."""
    if len(text) <= width:
        return text
    cut = text[: width - 2]
    return (cut.rsplit(" ", 1)[0] if " " in cut[width // 2 :] else cut).rstrip(" ,;:") + " …"


def failed(name: str, error: BaseException | str, seconds: float = 0.0) -> Shown:
    """What is shown of a demo that gave no result."""
    expected = isinstance(error, NinefoldError)  # e.g. a missing extra: the reason is the line that brings it
    reason = str(error) if expected or isinstance(error, str) else f"failed: {type(error).__name__}: {error}"
    cells = ["", "", "", "not run" if expected else "failed"]
    return Shown(name, cells, [paragraph(reason)], {}, seconds, reason, not expected)


# --- several ---


def seconds_by_name(rows: Sequence[Installed]) -> dict[str, float]:
    """About how long each demo takes: on an idle machine: as last time here, else as its package says."""
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = dict(json.loads(_times().read_text(encoding="utf-8")))
    return {row.name: float(known.get(row.name) or (row.system.seconds if row.system else 1)) for row in rows}


def _times() -> Path:
    return cache_path("ninefold") / "demo-seconds.json"


def at_once(count: int) -> int:
    """How many demos run at a time: two where two cores are idle."""
    cores, load = _cores_and_load()
    return 2 if count > 1 and cores >= 2 and cores - load >= 1.4 else 1


def slowdown() -> float:
    """About how many times longer work takes here beside what else runs on this machine."""
    cores, load = _cores_and_load()
    return max(1.0, (load + 1) / cores)


def _cores_and_load() -> tuple[int, float]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        return cores, os.getloadavg()[0]
    except (AttributeError, OSError):
        return cores, 0.0


def run_demos(
    rows: Sequence[Installed], seed: int, jobs: int, begin: Callable[[str], object]
) -> Generator[Shown, None, None]:
    """Run the demos, the longest first, each in a process of its own; yields each as it ends.

    Closing the iterator ends those that still run. `begin` is called with the name of each as it starts.
    """
    expected, slow = seconds_by_name(rows), slowdown()
    waiting = sorted(rows, key=lambda row: -expected[row.name])
    running: dict[str, _Child] = {}
    with tempfile.TemporaryDirectory(prefix="ninefold-demo-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    row = waiting.pop(0)
                    begin(row.name)
                    running[row.name] = _Child(row.name, seed, Path(folder), jobs)
                for name in [name for name, child in running.items() if child.process.poll() is not None]:
                    shown = running.pop(name).result()
                    if not shown.reason:
                        expected[name] = max(round(shown.seconds / slow, 1), 0.1)  # 0 would say that none is known
                    yield shown
                if Progress.interrupted:
                    raise KeyboardInterrupt
                time.sleep(0.02)
        finally:
            for child in running.values():
                child.kill()
            with contextlib.suppress(OSError):
                write_text(_times(), json.dumps(expected))


class _Child:
    """A demo in a process of its own, whose session a Ctrl-C at the terminal does not reach."""

    def __init__(self, name: str, seed: int, folder: Path, jobs: int) -> None:
        self.name, self.out, self.log = name, folder / f"{name}.json", folder / f"{name}.log"
        self.start = time.perf_counter()
        env = dict(os.environ)
        if jobs > 1:  # each has one half of the cores
            for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
                env.setdefault(key, str(max(1, (os.cpu_count() or 2) // jobs)))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ninefold.demos", name, str(seed), str(self.out), str(os.getpid())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True,
            )  # fmt: skip

    def result(self) -> Shown:
        """What it wrote before it ended; its own words follow on stderr if that is a defect."""
        try:
            shown = Shown(**json.loads(self.out.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            shown = failed(self.name, f"failed: its process ended with status {self.process.returncode}")
        if shown.defect:
            sys.stderr.write(self.log.read_text(encoding="utf-8", errors="replace"))
        shown.seconds = time.perf_counter() - self.start
        return shown

    def kill(self) -> None:
        """End it and what it started."""
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


def _main(name: str, seed: str, out: str, parent: str) -> None:
    def follow() -> None:
        while os.getppid() == int(parent):
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()  # whoever waits for the result is gone: so go
    try:
        (row,) = choose([name])
        shown = show_demo(row, int(seed))
    except Exception as error:
        if not isinstance(error, NinefoldError):
            traceback.print_exception(error)
        shown = failed(name, error)
    write_text(out, json.dumps(dataclasses.asdict(shown)))


# --- the table and the page ---


def overview(shown: Sequence[Shown]) -> Table:
    """One row a system."""
    table = Table(COLUMNS)
    for one in shown:
        table.rows.append([one.name, *one.cells, round(one.seconds, 1)])
        if one.reason:
            table.notes.append(f"{one.name}: {one.reason}")
    return table


def demo_page(shown: Sequence[Shown], total: int, environment: dict[str, Any], versions: dict[str, str]) -> str:
    """The page over all that have ended."""
    machine = {key: value for key, value in environment.items() if not isinstance(value, dict) and value is not None}
    facts = Table(
        ["this run", ""], [[key.replace("_gib", ", GiB"), cell_text(value)] for key, value in machine.items()]
    )
    used = Table(["package or library", "version"], [*versions.items(), *environment["libraries"].items()])
    words = {word: text for one in shown for word, text in one.words.items()} | _WORDS
    so_far = "" if len(shown) == total else f" So far {len(shown)} of {total} systems."
    intro = (
        f"Each number on this page was computed on {time.strftime('%d %B %Y, %H:%M')}, on {environment['processor']}."
    )
    return html_page(
        "Ninefold: demos",
        [
            ("All systems", [overview(shown).to_html()]),
            *((one.name, one.section) for one in shown),
            ("Words", [glossary(words)]),
            ("Machine and versions", [facts.to_html(), used.to_html()]),
        ],
        intro + so_far,
    )


if __name__ == "__main__":
    _main(*sys.argv[1:])
