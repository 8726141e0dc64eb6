"""The `ninefold` command: what is installed, its demos on one page, its claims, and the state of this machine."""

from __future__ import annotations

import importlib.util
import itertools
import os
import platform
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ninefold.cli import Shared, house_app, progress, run_app, show, verb
from ninefold.errors import InputError, NinefoldError

if TYPE_CHECKING:
    from ninefold.report import Table
    from ninefold.systems import DemoResult, Installed, System

app = house_app("ninefold", "Ninefold: published methods as small packages. Start with **ninefold demo**.")
Names = Annotated[list[str] | None, typer.Argument(help="Systems; all installed ones if none is named.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the page named by --out.")]
Full = Annotated[bool, typer.Option("--full", help="The forms that count (long; resumable by seed).")]
Only = Annotated[str, typer.Option("--only", help="Just claims whose id contains this.")]


@verb(app, "list", uses=())
def list_systems() -> Table:
    """List the installed systems and their versions."""
    from ninefold.report import Table
    from ninefold.systems import installed

    table = Table(["system", "distribution", "version", "what it does"])
    for row in installed():
        what = row.system.summary if row.system else f"cannot be loaded: {row.reason}"
        table.rows.append([row.name, row.distribution, row.version, what])
    return table


_DEMO: dict[str, Any] = {"uses": ("seed", "threads", "quiet", "out"), "out": "file", "ours": "ninefold"}
_CLAIMS: dict[str, Any] = {"uses": ("threads", "quiet", "out"), "out": "into"}


@verb(app, **_DEMO)
def demo(names: Names = None, *, force: Force = False, opts: Shared) -> Table:
    """Run each system's main job on its embedded data; print one table and write one page with pictures."""
    from ninefold.files import refuse_existing, write_text
    from ninefold.report import Table, html_page, paragraph
    from ninefold.systems import choose

    rows = choose(names)
    if not rows:
        raise InputError("ninefold demo", got="no installed system", expected="e.g. pip install tswitch first")
    path = opts.out or _free_name(Path("ninefold-demo.html"))
    refuse_existing(path, force, "ninefold")
    table = Table(["system", "data", "method", "best rival", "verdict", "seconds", "figures"])
    sections, defects = [], 0
    with progress(len(rows), "demos") as bar:
        for row in rows:
            bar.advance(0, note=f"demo of {row.name}")
            start = time.perf_counter()
            try:
                result = _load(row).load_demo()(opts.seed)
                cells = [result.data, result.method, result.rival, result.verdict]
                section, pictures = _section(row, result), len(result.figures)
            except Exception as error:
                reason, defect = _reason(error, alone=len(rows) == 1)
                cells, section, pictures = ["", "", "", reason], [paragraph(reason)], 0
                defects += defect
            table.rows.append([row.name, *cells, round(time.perf_counter() - start, 1), pictures])
            sections.append((row.name, section))
            bar.advance()
    overview = ("All systems", [table.to_html()])
    write_text(path, html_page("Ninefold: demos", [overview, *sections], "Each number was computed in this run."))
    table.notes.append(f"pictures and all arms: {path}")
    return _shown(table, defects, opts)


def _load(row: Installed) -> System:
    if row.system is None:
        raise ImportError(row.reason)
    return row.system


def _reason(error: Exception, *, alone: bool) -> tuple[str, bool]:
    """(why there is no result, whether that is a defect): one failing system must not hide the others."""
    if not isinstance(error, NinefoldError):
        traceback.print_exception(error)
        return f"failed: {type(error).__name__}: {error}", True
    if alone:
        raise error
    return str(error), False  # e.g. a missing extra: the reason is the line that brings it


def _shown(table: Table, defects: int, opts: Shared) -> Table:
    """The table; shown at once and followed by status 1, if there were defects."""
    if defects:
        show(table, as_json=opts.json)
        raise typer.Exit(1)
    return table


def _section(row: Installed, result: DemoResult) -> list[str]:
    from ninefold.report import figure_html, paragraph

    parts = [paragraph(row.system.summary if row.system else ""), paragraph(f"{result.data}. {result.verdict}")]
    parts.append(result.table.to_html())
    parts += [figure_html(figure, caption) for caption, figure in result.figures]
    return parts + [paragraph(note) for note in result.notes]


def _free_name(path: Path) -> Path:
    """`path`, or the first `name-2`, `name-3` ... that is free: a demo replaces nothing by itself."""
    others = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([path], others) if not one.exists())


@verb(app, **_CLAIMS)
def claims(names: Names = None, *, full: Full = False, only: Only = "", opts: Shared) -> Table:
    """Run the systems' claims and print each bar with its interval and verdict; --full -o DIR also writes outcomes."""
    from ninefold.proof import outcome_table, run_claim
    from ninefold.systems import choose

    chosen, outcomes, failures = [], [], []
    rows = choose(names)
    for row in rows:
        try:
            chosen += [claim for claim in _load(row).load_claims() if only in claim.id]
        except Exception as error:
            failures.append((row.name, *_reason(error, alone=len(rows) == 1)))
    if not chosen and not failures:
        raise InputError("claims", got="none of that name", expected="a part of a claim's id, see ninefold claims")
    if full and opts.out is not None:
        opts.out.mkdir(parents=True, exist_ok=True)  # before hours of work: a file in its place ends it here
    with progress(sum((claim.full if full else claim.quick).seeds for claim in chosen), "claims") as bar:
        for claim in chosen:
            bar.advance(0, note=claim.id)
            try:
                outcomes.append(run_claim(claim, full=full, advance=bar.advance))
            except Exception as error:
                failures.append((claim.id, *_reason(error, alone=len(chosen) == 1)))
                continue
            if full and opts.out is not None:
                outcomes[-1].save(opts.out)
    table = outcome_table(outcomes, title=f"Claims, {'full' if full else 'quick (a look; only full forms count)'}")
    table.rows += [[name, "", None, "", reason, None] for name, reason, _ in failures]
    return _shown(table, sum(defect for _, _, defect in failures), opts)


@verb(app, uses=("threads",))
def doctor(*, opts: Shared) -> dict[str, Any]:
    """Show versions, devices, threads, data and optional libraries of this machine."""
    from ninefold.datasets import cache_path
    from ninefold.systems import installed

    facts: dict[str, Any] = {"python": platform.python_version(), "cores": os.cpu_count()}
    facts["threads"] = opts.threads or os.environ.get("OMP_NUM_THREADS", "chosen by each library")
    try:
        import torch

        facts["torch"] = torch.__version__
        facts["devices"] = "cpu" + (f", {torch.cuda.device_count()} cuda" if torch.cuda.is_available() else "")
    except (ImportError, OSError) as error:  # OSError: a library that torch itself needs
        facts["torch"] = f"cannot be loaded: {error}"
    facts["NINEFOLD_DATA"] = os.environ.get("NINEFOLD_DATA", "not set: only embedded data")
    facts["cache"] = cache_path("")
    for name in ("matplotlib", "numba", "transformers", "sklearn"):
        facts[name] = "installed" if importlib.util.find_spec(name) else "not installed"
    for row in installed():
        facts[f"system {row.name}"] = f"{row.distribution} {row.version}" if row.system else f"broken: {row.reason}"
    return facts


def house_verbs(package_app: typer.Typer, system: str) -> None:
    """Give a package's own app the verbs `demo` and `claims`, for its system alone."""

    @verb(package_app, "demo", **_DEMO)
    def own_demo(*, force: Force = False, opts: Shared) -> Table:
        """Run the main job on embedded data; print a table and write a page with pictures."""
        return demo([system], force=force, opts=opts)

    @verb(package_app, "claims", **_CLAIMS)
    def own_claims(*, full: Full = False, only: Only = "", opts: Shared) -> Table:
        """Run the claims and print each bar with its interval and verdict; --full -o DIR also writes outcomes."""
        return claims([system], full=full, only=only, opts=opts)


main = run_app(app)
