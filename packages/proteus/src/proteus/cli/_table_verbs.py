"""The verbs on a table: `profile`, `test`, `enrich`, `survival`, `inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ninefold.cli import Shared, verb

from proteus.cli._app import Contrast, Data, Design, Reading, Top, advanced, app, option

if TYPE_CHECKING:
    from ninefold.report import Table

_ROLL_UP = "How precursors become proteins: auto (peptide_model), peptide_model, median_polish, maxlfq or none."


# All that can be told from the options alone is told before the table is read, which may take minutes.


@dataclass(frozen=True)
class Preparing:
    """What is done to a table before it is tested."""

    normalise: Annotated[
        str, advanced("--normalise", "Normalisation of samples: median, mad, quantile, cyclic_loess or none.")
    ] = "median"
    roll_up: Annotated[str, advanced("--roll-up", _ROLL_UP)] = "auto"


def is_result(path: Path) -> bool:
    """Whether --force may replace a file: a table of results."""
    from proteus.tl._result_files import is_result

    return is_result(path)


@verb(app, uses=("threads", "out"), out="file")
def profile(data: Data, *, reading: Reading, opts: Shared) -> dict[str, Any]:
    """Describe a table: size, factors, missing values, spread, batch effects, outliers, warnings, and the questions
    that `run --question` understands of it.

    Example: `proteus profile proteins.csv -s samples.csv`
    """
    from proteus.differential._measures import entity_names
    from proteus.differential._prepared import profile_facts
    from proteus.knowledge._describe import describe
    from proteus.planning._forms import forms
    from proteus.study._out import keep

    table = reading.read(data)
    asked = {} if table.level == "cell" else forms(describe(table), entity_names(table).astype(str).head(2))
    questions = {f"question {number}": text for number, text in enumerate(asked.values(), 1)}
    return keep(profile_facts(table) | questions, opts)


@verb(app, "test", uses=("threads", "force", "out"), out="file", ours=is_result)
def run_test(
    data: Data,
    *,
    reading: Reading,
    design: Design = None,
    contrast: Contrast = None,
    lfc: Annotated[
        str,
        option(
            "--lfc", "Log2 fold change to test against: a number from 0, or `auto` (chosen by the residual spread)."
        ),
    ] = "auto",
    preparing: Preparing,
    block: Annotated[str | None, advanced("--block", "Column of subjects with several samples each.")] = None,
    top: Top = 20,
    opts: Shared,
) -> Table:
    """Test a contrast by the moderated t-test; prints the first rows, -o FILE (.csv, .tsv, .parquet) writes all.

    Example: `proteus test proteins.csv -s samples.csv --design "~ condition" --contrast drug-ctrl -o result.parquet`
    """
    from proteus import moderated_test
    from proteus.differential._prepared import asked_contrast, check_preparing, fold_bar, prepare
    from proteus.tl._result_files import check_name, first_rows, write_result

    check_preparing(**vars(preparing))
    check_name(opts.out)
    bar = fold_bar(lfc)
    read = reading.read(data)
    design, contrast = asked_contrast(read, design, contrast)
    result = moderated_test(prepare(read, **vars(preparing)), design, contrast, lfc=bar, block=block)
    frame = result.table.sort_values("p", kind="stable")
    write_result(frame, opts.out, force=opts.force)
    title = f"{contrast}: {len(result.hits())} of {len(frame)} features at q <= 0.05"
    shown = frame[["gene", "effect", "ci_low", "ci_high", "p", "q", "n", "only_in", "modelled"]]
    return first_rows(shown, top, title, result.notes)


@verb(app, uses=("threads", "force", "out"), out="file", ours=is_result)
def enrich(
    data: Data,
    *,
    sets: Annotated[Path, option("--sets", "Gene sets to test, a GMT file such as Reactome's.")],
    reading: Reading,
    design: Design = None,
    contrast: Contrast = None,
    method: Annotated[
        str, option("--method", "Test of a set: camera (against the other proteins) or fry (against no change).")
    ] = "camera",
    symbols: Annotated[Path | None, option("--symbols", "Table that maps UniProt accessions to gene symbols.")] = None,
    preparing: Preparing,
    top: Top = 20,
    opts: Shared,
) -> Table:
    """Test gene sets against a contrast, with the correlation between proteins taken into account.

    Example: `proteus enrich proteins.csv -s samples.csv --design "~ condition" --contrast drug-ctrl --sets sets.gmt`
    """
    from ninefold.errors import ArtifactError

    from proteus import add_symbols, load_gmt, moderated_test, tl
    from proteus.differential._prepared import asked_contrast, check_preparing, check_word, prepare
    from proteus.tl._enrich import METHODS
    from proteus.tl._result_files import check_name, first_rows, write_result

    check_preparing(**vars(preparing))
    check_word("--method", method, METHODS)
    check_name(opts.out)
    known = load_gmt(sets)
    if symbols is not None and not symbols.exists():
        raise ArtifactError(symbols, "is not there")
    read = reading.read(data)
    design, contrast = asked_contrast(read, design, contrast)
    table = prepare(read, **vars(preparing))
    result = moderated_test(add_symbols(table, symbols) if symbols else table, design, contrast)
    frame = tl.enrich(result, known, method)
    write_result(frame, opts.out, force=opts.force)
    hits = f"{int((frame['q'] <= 0.05).sum())} of {len(frame)} sets at q <= 0.05"
    return first_rows(frame, top, f"{contrast}: {method}, {hits}")


@verb(app, uses=("threads", "force", "out"), out="file", ours=is_result)
def survival(
    data: Data,
    *,
    reading: Reading,
    time: Annotated[str, option("--time", "Column of follow-up times.")] = "time",
    event: Annotated[
        str, option("--event", "Column of events: 1 where it happened, 0 where follow-up ended.")
    ] = "event",
    adjust: Annotated[
        list[str] | None, option("--adjust", "Column of the sample sheet to adjust for; repeatable.")
    ] = None,
    top: Top = 20,
    opts: Shared,
) -> Table:
    """Fit a Cox regression of each feature, with the proportional-hazards test and Harrell's C.

    Example: `proteus survival proteins.csv -s patients.csv --time days --event died`
    """
    from proteus import tl
    from proteus.differential._prepared import check_word
    from proteus.tl._result_files import check_name, first_rows, write_result

    check_name(opts.out)
    read = reading.read(data)
    for name, column in {"--time": time, "--event": event}.items():
        check_word(name, column, list(map(str, read.samples)) or ["none: -s FILE describes the samples"])
    frame = tl.survival(read, time, event, adjust or [])
    write_result(frame, opts.out, force=opts.force)
    shown = frame[["gene", "log_hr", "error", "p", "q", "n", "events", "ph_p", "c_index"]]
    return first_rows(shown, top, f"{int((frame['q'] <= 0.05).sum())} of {len(frame)} features at q <= 0.05")


@verb(app, uses=("out",), out="file")
def inspect(path: Data, *, opts: Shared) -> dict[str, Any]:
    """Show a file's format, size, scale and samples, and what the loader noticed.

    Example: `proteus inspect proteins.csv`
    """
    from proteus.differential._prepared import table_facts
    from proteus.loaders._given import open_table
    from proteus.study._out import keep

    return keep(table_facts(open_table(path)), opts)
