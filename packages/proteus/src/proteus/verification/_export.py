"""What a run gives to take away: one result table over all contrasts, counts after filters, a paragraph of methods."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from ninefold.files import atomic_file, write_text

from proteus.record._journal import Event, read_journal
from proteus.record._objects import Hypothesis, read_documents
from proteus.record._run_folder import Folder, for_spreadsheets, read_frame, shown

_CONTRASTS = ("group_contrast", "paired_change")
_COLUMNS = (
    "entity", "effect", "ci_low", "ci_high", "t", "p", "q", "n", "only_in", "exact_p", "modelled", "n_peptides",
)  # fmt: skip
_CONTROL = (
    "Missing values entered the likelihood by a curve of the probability to be seen at a level, fitted to the table; "
    "features that one group lacked carry no fold change. False discoveries were controlled by Benjamini-Hochberg "
    "within objectives and, for grade A, over them too (Benjamini and Bogomolov 2014); grade A hits also passed refits "
    "with another normalisation, a plain prior, other curves and floors."
)
CSV, PARQUET, XLSX = "results.csv", "results.parquet", "results.xlsx"


def contrasts_of(events: Sequence[Event]) -> dict[str, dict[str, Any]]:
    """By contrast the last version of its test: objective, step, result (JSON). Where several objectives have it, that
    of the one that is about it."""
    templates = {event.data["objective"]["id"]: event.data["objective"]["template"] for event in events
                 if event.kind == "objective" and event.data["accepted"]}  # fmt: skip
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        if event.kind == "step" and event.data["step"]["tool"] == "contrast":
            last[event.data["objective"], event.data["step"]["id"]] = event.data
    made: dict[str, dict[str, Any]] = {}
    for (objective, _), data in sorted(last.items(), key=lambda one: templates.get(one[0][0]) not in _CONTRASTS):
        if "features" in data["result"]["artifacts"]:
            made.setdefault(data["step"]["params"]["contrast"], {"objective": objective, **data})
    return made


def result_table(folder: Folder) -> pd.DataFrame:
    """All contrasts below each other: contrast, id, what was tested, and the grade of the hypothesis about it."""
    grades = {
        one.evidence[0]: (one.id, one.grade) for one in read_documents(folder.hypotheses, "hypotheses", Hypothesis)
    }
    parts = []
    for contrast, data in contrasts_of(read_journal(folder.events)).items():
        name = data["result"]["artifacts"]["features"]
        frame = read_frame(folder.artifact(name)).sort_values("p", kind="stable")
        part = frame[["id", *(one for one in _COLUMNS if one in frame)]].copy()
        part.insert(0, "contrast", contrast)
        found = [grades.get(f"{name}#{row}", ("", "")) for row in frame["id"]]
        part["hypothesis"], part["grade"] = [one for one, _ in found], [grade or "" for _, grade in found]
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["contrast", "id", *_COLUMNS])


def csv_text(frame: pd.DataFrame) -> str:
    """The table as `results.csv` has it: texts quoted where a spreadsheet would take them for formulas."""
    return for_spreadsheets(frame).to_csv(index=False, lineterminator="\n")


def write_results(run: str | Path) -> list[Path]:
    """Write the result table of a finished run as csv and parquet, and as xlsx where openpyxl is installed."""
    folder = Folder(Path(run))
    frame = result_table(folder)
    write_text(folder.root / CSV, csv_text(frame))
    made = [folder.root / CSV, folder.root / PARQUET]
    with atomic_file(made[1]) as temporary:
        frame.to_parquet(temporary, index=False)
    if find_spec("openpyxl") is not None:
        made.append(folder.root / XLSX)
        with atomic_file(made[2]) as temporary, pd.ExcelWriter(temporary, engine="openpyxl") as book:
            for_spreadsheets(frame).to_excel(book, sheet_name="results", index=False)
    return made


def counts(events: Sequence[Event]) -> list[list[str]]:
    """After each filter, by contrast: samples, features tested, with modelled values, of one group only, hits."""
    rows = []
    for contrast, data in contrasts_of(events).items():
        found = data["result"]["metrics"]
        size = " + ".join(map(str, found.get("n", []))) or "-"
        cells = [found.get(name, "-") for name in ("tested", "modelled", "only_in_one", "hits")]
        rows.append([contrast, size, *map(str, cells)])
    return rows


def methods(events: Sequence[Event]) -> str:
    """A paragraph to paste: what was done, from the journal alone."""
    first = next((one.data for one in events if one.kind == "run"), {})
    profile = first.get("profile", {})
    made = contrasts_of(events)
    size, version = f"{profile.get('features')} features in {profile.get('samples')} samples", first.get("version")
    said = [f"A table of {size} was analysed with proteus {version or 'of unknown version'}."]
    for contrast, data in made.items():
        params = data["step"]["params"]
        notes = "; ".join(str(one) for one in data["result"]["notes"])
        how = params.get("normalise", "median")
        said.append(
            f"{contrast}: {how} normalisation, linear model {params['design']}"
            + (f", blocks {params['block']}" if params.get("block") else "")
            + (f", fold bar {shown(2.0 ** params['lfc'])}" if isinstance(params.get("lfc"), float) else "")
            + f", moderated t-test with a trended and robust variance prior ({notes})."
        )
    if made:
        said.append(_CONTROL)
    return " ".join(said)
