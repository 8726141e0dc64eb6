"""The `ninefold` command: what is installed, its demos on one page, its claims, and the state of this machine."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, house_app, progress, run_app, show, verb
from ninefold.demo import OPTIONS
from ninefold.errors import InputError, NinefoldError

if TYPE_CHECKING:
    from ninefold.demo import Shown
    from ninefold.report import Table

app = house_app("ninefold_lab", "Ninefold: published methods as small packages. Start with **ninefold demo**.")
Names = Annotated[list[str] | None, typer.Argument(help="Systems to run; all installed systems by default.")]
Full = Annotated[bool, typer.Option("--full", help="Run the full experiments: hours, resumable by seed.")]
Only = Annotated[str, typer.Option("--only", help="Run only claims whose id contains this text.")]


@verb(app, "list", uses=())
def list_systems() -> Table:
    """List the installed systems and their versions."""
    from ninefold.report import Table
    from ninefold.systems import installed

    table = Table(["system", "distribution", "version", "what it does"])
    for row in installed():
        about = (row.name, row.distribution, row.version)
        table.rows.append([*about, row.system.summary if row.system else f"cannot be loaded: {row.reason}"])
    return table


@verb(app, **OPTIONS)
def demo(names: Names = None, *, opts: Shared) -> Table:
    """Run each system's main job on its embedded data; print one table and write one page with pictures."""
    from ninefold.demo import demo_of, free_name, overview
    from ninefold.files import write_text
    from ninefold.systems import choose

    from ninefold_lab.demos import at_once, run_demos, seconds_by_name, slowdown
    from ninefold_lab.page import demo_page

    rows = choose(names)
    if not rows:
        raise InputError("ninefold demo", got="no installed system", expected="e.g. pip install tswitch first")
    if len(rows) == 1:
        return demo_of(rows[0], opts)
    path = opts.out or free_name(Path("ninefold-demo.html"))
    jobs, seconds = at_once(len(rows)), slowdown() * sum(seconds_by_name(rows).values())
    shown: list[Shown] = []

    def say(line: str, *, wanted: bool = True) -> None:
        if wanted and not (opts.quiet or opts.json):
            print(line, file=sys.stderr, flush=True)

    how = "two at a time" if jobs == 2 else "one after another"
    say(f"{len(rows)} demos, {how}: about {max(10, round(seconds / jobs, -1)):.0f} s here. Nothing is downloaded.")
    say(f"The page {path} (about {0.2 + 0.3 * len(rows):.1f} MB) is written after each; Ctrl-C keeps what is there.")
    ended = run_demos(rows, opts.seed, jobs, lambda name: say(f"{name:<12}runs", wanted=sys.stderr.isatty()))
    with contextlib.closing(ended):
        for one, left in ended:
            shown = sorted([*shown, one], key=lambda one: one.name)
            write_text(path, demo_page(shown, rows), force=opts.force or len(shown) > 1, ours="ninefold")
            say(one.line())
            say(f"About {left:.0f} s left.", wanted=len(shown) < len(rows))
    table = overview(shown)
    table.notes.append(f"Pictures and all arms: {path}")
    return _shown(table, sum(one.defect for one in shown), opts)


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


@verb(app, uses=("threads", "quiet", "out"), out="into")
def claims(
    names: Names = None,
    *,
    full: Full = False,
    only: Only = "",
    opts: Shared,
) -> Table:
    """Run the systems' claims and print each bar with its interval and verdict; --full -o DIR also writes outcomes."""
    from ninefold.systems import choose

    from ninefold_lab.confirmation import refuse_uncommitted
    from ninefold_lab.experiments import claims_of
    from ninefold_lab.outcomes import judge_places, outcome_table, run_claim

    chosen, outcomes, failures = [], [], []
    rows = choose(names)
    for row in rows:
        try:
            chosen += [claim for claim in claims_of(row) if only in claim.id]
        except Exception as error:
            failures.append((row.name, *_reason(error, alone=len(rows) == 1)))
    if not chosen and not failures:
        raise InputError("claims", got="none of that name", expected="a part of a claim's id, see ninefold claims")
    if full and opts.out is not None:
        refuse_uncommitted(chosen)
        opts.out.mkdir(parents=True, exist_ok=True)
        judge_places(chosen, opts.out)  # before hours of work
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


data_app = typer.Typer(help="Public data of the packages: what there is, and its sources.", no_args_is_help=True)
app.add_typer(data_app, name="data")
Package = Annotated[str, typer.Argument(help="Package to list; all packages by default.")]
Checkout = Annotated[Path, typer.Option("--checkout", help="Folder of a checkout of the repository.")]


@verb(data_app, "list", uses=())
def list_data(package: Package = "", *, checkout: Checkout = Path()) -> Table:
    """List the named data sets: size, licence, and the command that fetches each, or how it is made.

    Example: `ninefold data list`
    """
    from ninefold.report import Table

    from ninefold_lab.data import listed

    table = Table(["set", "MB", "licence", "how to get it"])
    for one in listed(checkout / "packages"):
        if package in ("", one.package):
            how = f"ninefold data get {one.package} {one.name} -o DATA" if one.files else f"made from: {one.by_hand}"
            size = round(one.bytes / 1e6, 2) if one.files else None
            table.rows.append([f"{one.package} {one.name}", size, one.licence, how])
    table.notes.append("Set NINEFOLD_DATA to the folder DATA. Licences are those that the sources state.")
    return table


@verb(data_app, "get", uses=("quiet", "out"), out="into")
def get_data(
    package: Annotated[str, typer.Argument(help="Package whose data to fetch.")],
    name: Annotated[str, typer.Argument(help="Data set to fetch; all by default.")] = "",
    *,
    checkout: Checkout = Path(),
    host: Annotated[str, typer.Option("--host", help="Address of a mirror of the files.")] = "",
    opts: Shared,
) -> dict[str, Any]:
    """Fetch data into -o DATA, checked by its digest; a broken download resumes where it stopped.

    Example: `ninefold data get proteus csf --checkout ninefold -o data`
    """
    from ninefold_lab.data import get, listed

    chosen = [one for one in listed(checkout / "packages") if one.package == package]
    chosen = [one for one in chosen if one.name == name or (not name and one.files)]
    if not chosen:
        raise InputError("data", got=f"{package} {name}".strip(), expected="a set of `ninefold data list`")
    out, files = opts.need_out(), []
    with progress(sum(len(one.files) for one in chosen), "files") as bar:
        for one in chosen:
            files += get(one, out, host=host.rstrip("/"), step=bar.advance)
    return {"files": len(files), "folder": str(out), "next": f"export NINEFOLD_DATA={out}"}


@verb(app, uses=("threads",))
def doctor(*, opts: Shared) -> dict[str, Any]:
    """Show versions, devices, threads, data and optional libraries of this machine."""
    from ninefold.datasets import cache_path
    from ninefold.run import environment
    from ninefold.systems import installed

    facts = environment()
    facts["threads"] = opts.threads or os.environ.get("OMP_NUM_THREADS", "chosen by each library")
    facts |= {name: version for name, version in facts.pop("libraries").items() if name != "torch"}
    try:
        import torch

        facts["torch"] = torch.__version__
        facts["devices"] = "cpu" + (f", {torch.cuda.device_count()} cuda" if torch.cuda.is_available() else "")
    except (ImportError, OSError) as error:  # OSError: a library that torch itself needs
        facts["torch"] = f"cannot be loaded: {error}"
    facts["NINEFOLD_DATA"] = os.environ.get("NINEFOLD_DATA", "not set: only embedded data")
    facts["cache"] = cache_path("")
    for row in installed():
        facts[f"system {row.name}"] = f"{row.distribution} {row.version}" if row.system else f"broken: {row.reason}"
    return facts


main = run_app(app)
