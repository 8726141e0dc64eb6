"""The verbs on a table: `profile`, `test`, `enrich`, `survival`, `inspect`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ninefold.cli import Shared, verb

from proteus.cli._app import Contrast, Data, Design, Reading, Top, app, option, read_data

if TYPE_CHECKING:
    from ninefold.report import Table

    from proteus.data._data import ProteomicsData

_ROLL_UPS = ("auto", "peptide_model", "median_polish", "maxlfq", "none")
_WRITTEN = (".csv", ".tsv", ".parquet")
_RESULTS = (  # columns by which tables of results are recognised
    {"gene", "effect", "ci_low", "ci_high", "only_in"}, {"gene", "effect", "ci_low", "ci_high", "on_off"},
    {"direction", "representative", "told"}, {"representative", "grade", "q"}, {"gene", "log_hr", "ph_p", "c_index"},
)  # fmt: skip


# All that can be told from the options alone is told before the table is read, which may take minutes.


def _one_of(option: str, value: str, known: Iterable[str]) -> None:
    from ninefold.errors import InputError

    if value not in known:
        raise InputError(option, got=repr(value), expected=f"one of: {', '.join(known)}")


def _question(data: ProteomicsData, design: str | None, contrast: str | None) -> tuple[str, str]:
    """The design and the contrast; InputError says how to write what is missing, the sample sheet first."""
    from ninefold.errors import InputError

    columns = ", ".join(map(str, data.samples.columns))
    if not columns:
        names = ", ".join(map(str, data.samples.index[:2]))
        raise InputError(
            "--samples", got="no columns of samples", expected="-s FILE, a CSV file with one row for each sample",
            hint=f"its name as in the table ({names}, ...) under `sample`, its group under `group`; "
            "then --design '~ group' --contrast 'A-B', A and B being two of the groups",
        )  # fmt: skip
    if design is None:
        raise InputError(
            "--design", expected=f"a formula over the sheet's columns, {columns}", hint="for example --design '~ group'"
        )
    if contrast is None:
        raise InputError("--contrast", expected=f"two groups of {design!r} with a minus, such as 'case-control'")
    return design, contrast


@dataclass(frozen=True)
class Preparing:
    """What is done to a table before it is tested."""

    normalise: Annotated[
        str, option("--normalise", "median, mad, quantile, cyclic_loess, or none.", show_default=True)
    ] = "median"
    roll_up: Annotated[
        str, option("--roll-up", "auto (precursors by peptide_model), peptide_model, median_polish, maxlfq, none.")
    ] = "auto"

    def check(self) -> None:
        """Refuse what is unknown or not installed."""
        from ninefold.errors import require

        from proteus.differential._normalise import METHODS

        _one_of("--normalise", self.normalise, [*METHODS, "none"])
        _one_of("--roll-up", self.roll_up, _ROLL_UPS)
        if self.roll_up == "maxlfq":
            require("directlfq", "proteus", "lfq")

    def apply(self, data: ProteomicsData) -> ProteomicsData:
        """The table rolled up and normalised."""
        from proteus import normalise, roll_up

        rollup = self.roll_up
        if rollup == "auto":
            rollup = "peptide_model" if data.level == "precursor" and "protein" in data.features else "none"
        data = data if rollup == "none" else roll_up(data, rollup)
        return data if self.normalise == "none" or data.scale != "log2" else normalise(data, self.normalise)


def _check_out(opts: Shared) -> None:
    from ninefold.errors import InputError

    if opts.out is not None and opts.out.suffix not in _WRITTEN:
        expected = f"a name that ends in {', '.join(_WRITTEN[:-1])} or {_WRITTEN[-1]}"
        raise InputError("--out", got=repr(opts.out.name), expected=expected)


def _fold_bar(lfc: str) -> Literal["auto"] | float:
    from ninefold.errors import InputError

    try:
        return "auto" if lfc == "auto" else float(lfc)
    except ValueError:
        raise InputError("--lfc", got=repr(lfc), expected="`auto` or a number") from None


def _table(frame: Any, top: int, title: str, notes: list[str]) -> Table:
    from ninefold.report import Table

    shown = frame.head(top).reset_index()
    rows: list[Any] = [
        [cell.item() if hasattr(cell, "item") else cell for cell in row] for row in shown.itertuples(index=False)
    ]
    return Table([str(name) for name in shown.columns], rows, title, notes)


def is_result(path: Path) -> bool:
    """Whether a file holds a table of results that `test`, `enrich` or `survival` wrote: its columns say so."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        try:
            names = pyarrow.parquet.read_schema(path).names
        except pyarrow.ArrowInvalid:
            return False
    else:
        with path.open(encoding="utf-8", errors="replace") as file:
            names = file.readline().rstrip("\n").split("\t" if path.suffix == ".tsv" else ",")
    return any(wanted <= set(names) for wanted in _RESULTS)


def _write(frame: Any, opts: Shared, force: bool) -> None:
    from ninefold.files import atomic_file

    from proteus.record._run_folder import for_spreadsheets

    if opts.out is None:
        return
    with atomic_file(opts.out, force=force, ours=is_result) as temporary:
        if opts.out.suffix == ".parquet":
            frame.to_parquet(temporary)
        else:
            for_spreadsheets(frame).to_csv(temporary, sep="\t" if opts.out.suffix == ".tsv" else ",")


@verb(app, uses=("threads", "out"), out="file")
def profile(data: Data, *, reading: Reading, opts: Shared) -> dict[str, Any]:
    """Look at a table: size, factors, aliasing, missingness, spread, batch effects, outliers, warnings."""
    from proteus import profile as look
    from proteus.study._out import keep

    table = reading.read(data)
    found = look(table)
    facts: dict[str, Any] = {
        "kind": found.kind, "features": found.features, "samples": found.samples, "identifiers": found.id_type,
        "missing": round(found.missing, 4), "missing by intensity": round(found.missing_by_intensity, 3),
        "residual sd": round(found.residual_sd, 4), "numbers": ", ".join(found.numbers) or "none",
        "outcome": " and ".join(found.outcome) if found.outcome else "none",
    }  # fmt: skip
    for name, levels in found.factors.items():
        facts[f"factor {name}"] = ", ".join(f"{level} {count}" for level, count in levels.items())
    for name, row in found.variance_explained.iterrows():
        facts[f"eta^2 of {name}"] = ", ".join(f"{key} {value:.2f}" for key, value in row.items())
    facts["outliers"] = ", ".join(found.outliers) or "none"
    warnings = found.warnings[len(table.notes) :]  # what the loader noticed comes first
    facts |= {f"note {number}": note for number, note in enumerate(table.notes, 1)}
    facts |= {f"warning {number}": warning for number, warning in enumerate(warnings, 1)}
    return keep(facts, opts)


@verb(app, "test", uses=("threads", "force", "out"), out="file", ours=is_result)
def run_test(
    data: Data,
    *,
    reading: Reading,
    design: Design = None,
    contrast: Contrast = None,
    lfc: Annotated[str, option("--lfc", "Fold bar on the log2 scale, or `auto`.")] = "auto",
    preparing: Preparing,
    block: Annotated[str | None, option("--block", "Column of samples that share a subject.")] = None,
    top: Top = 20,
    opts: Shared,
) -> Table:
    """Moderated test of a contrast; prints the first rows, -o FILE (.csv, .tsv, .parquet) writes all."""
    from proteus import moderated_test

    preparing.check()
    _check_out(opts)
    bar = _fold_bar(lfc)
    read = reading.read(data)
    design, contrast = _question(read, design, contrast)
    result = moderated_test(preparing.apply(read), design, contrast, lfc=bar, block=block)
    frame = result.table.sort_values("p", kind="stable")
    _write(frame, opts, opts.force)
    title = f"{contrast}: {len(result.hits())} of {len(frame)} features at q <= 0.05"
    shown = frame[["gene", "effect", "ci_low", "ci_high", "p", "q", "n", "only_in", "modelled"]]
    return _table(shown, top, title, result.notes)


@verb(app, uses=("threads", "force", "out"), out="file", ours=is_result)
def enrich(
    data: Data,
    *,
    sets: Annotated[Path, option("--sets", "Gene sets (GMT).")],
    reading: Reading,
    design: Design = None,
    contrast: Contrast = None,
    method: Annotated[str, option("--method", "camera (competitive), or fry.")] = "camera",
    symbols: Annotated[Path | None, option("--symbols", "Accession-to-symbol table.")] = None,
    preparing: Preparing,
    top: Top = 20,
    opts: Shared,
) -> Table:
    """Test gene sets against a contrast, the correlation between proteins taken into account."""
    from ninefold.errors import ArtifactError

    from proteus import add_symbols, load_gmt, moderated_test, tl
    from proteus.tl._enrich import METHODS

    preparing.check()
    _one_of("--method", method, METHODS)
    _check_out(opts)
    known = load_gmt(sets)
    if symbols is not None and not symbols.exists():
        raise ArtifactError(symbols, "is not there")
    read = reading.read(data)
    design, contrast = _question(read, design, contrast)
    table = preparing.apply(read)
    if symbols is not None:
        table = add_symbols(table, symbols)
    result = moderated_test(table, design, contrast)
    frame = tl.enrich(result, known, method)
    _write(frame, opts, opts.force)
    return _table(
        frame, top, f"{contrast}: {method}, {int((frame['q'] <= 0.05).sum())} of {len(frame)} sets at q <= 0.05", []
    )


@verb(app, uses=("threads", "force", "out"), out="file", ours=is_result)
def survival(
    data: Data,
    *,
    reading: Reading,
    time: Annotated[str, option("--time", "Column of follow-up.")] = "time",
    event: Annotated[str, option("--event", "Column of events, 0 or 1.")] = "event",
    adjust: Annotated[list[str] | None, option("--adjust", "Column to adjust for; may be repeated.")] = None,
    top: Top = 20,
    opts: Shared,
) -> Table:
    """Cox regression of each feature, with the proportional-hazards test and Harrell's C."""
    from proteus import tl

    _check_out(opts)
    read = reading.read(data)
    for name, column in {"--time": time, "--event": event}.items():
        _one_of(name, column, list(map(str, read.samples)) or ["none: -s FILE describes the samples"])
    frame = tl.survival(read, time, event, adjust or [])
    _write(frame, opts, opts.force)
    shown = frame[["gene", "log_hr", "error", "p", "q", "n", "events", "ph_p", "c_index"]]
    return _table(shown, top, f"{int((frame['q'] <= 0.05).sum())} of {len(frame)} features at q <= 0.05", [])


@verb(app, uses=("out",), out="file")
def inspect(path: Data, *, opts: Shared) -> dict[str, Any]:
    """Say what a file is: its format, size, scale, samples, and what the loader noticed."""
    from proteus.study._out import keep

    data = read_data(path, None, "auto")
    facts = {
        "format": data.source, "level": data.level, "scale": data.scale, "features": data.shape[0],
        "samples": data.shape[1], "feature columns": ", ".join(map(str, data.features.columns)) or "none",
        "sample columns": ", ".join(map(str, data.samples.columns)) or "none",
        "first samples": ", ".join(map(str, data.samples.index[:5])),
    }  # fmt: skip
    return keep(facts | {f"note {number}": note for number, note in enumerate(data.notes, 1)}, opts)
