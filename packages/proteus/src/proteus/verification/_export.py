"""What a run gives to take away: one result table over all contrasts, its steps as a script, counts, methods."""

import re
import zipfile
from collections.abc import Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from ninefold.files import atomic_file, write_text

from proteus.record._documents import read_documents
from proteus.record._journal import Event, event_data, read_journal
from proteus.record._objects import Hypothesis
from proteus.record._run_folder import Folder, for_spreadsheets, read_frame, shown
from proteus.record._words import words

_CONTRASTS = ("group_contrast", "paired_change")
_COLUMNS = (
    "entity", "effect", "ci_low", "ci_high", "t", "p", "q", "n", "only_in", "exact_p", "modelled", "n_peptides",
)  # fmt: skip
CSV, PARQUET, XLSX, SCRIPT = "results.csv", "results.parquet", "results.xlsx", "steps.py"
TABLES = (CSV, PARQUET, XLSX)


def contrasts_of(events: Sequence[Event]) -> dict[str, dict[str, Any]]:
    """By contrast the last version of its test: objective, step, result (JSON). Where several objectives have it, that
    of the objective about it."""
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


def script(folder: Folder) -> str:
    """The steps of each objective's last workflow, as Python that anybody can run and edit."""
    events = read_journal(folder.events)
    first = event_data(events, "run")
    head = resources.files("proteus.verification").joinpath("steps.txt").read_text("utf-8")
    lines = [head.format(version=first.get("version"), seed=first.get("seed", 0))]
    questions = {one.data["objective"]["id"]: one.data["objective"]["question"] for one in events
                 if one.kind == "objective" and one.data["accepted"]}  # fmt: skip
    flows = {one.data["workflow"]["objective"]: one.data["workflow"] for one in events if one.kind == "workflow"}
    steps = [one.data for one in events if one.kind == "step"]
    errors = {(one["objective"], one["step"]["id"]): one["result"]["error"] for one in steps}
    for objective, flow in flows.items():
        lines.append(f"\n# {objective}: {' '.join(questions.get(objective, '').split())}")
        names: dict[str, str] = {}
        for step in flow["steps"]:
            error = errors.get((objective, step["id"]), "it was not reached")
            if error or not set(step["inputs"]) <= set(names):
                lines.append(f"# {step['tool']}: {' '.join(error.split())}")
                continue
            names[step["id"]] = name = f"{objective}_{step['id']}".lower().replace(".", "_")
            params = [f"{key}={value!r}" for key, value in step["params"].items()]
            call = ", ".join([repr(step["tool"]), *(names[one] for one in step["inputs"]), *params])
            lines.append(f"{name} = steps({call})  # {' '.join(step['purpose'].split())}")
        if names:
            shown = list(names.values())[:2][-1]
            lines.append(f"print({objective!r}, *(frame.head(10) for frame in {shown}.tables.values()), sep='\\n')")
    return "\n".join(lines) + "\n"


def write_results(run: str | Path) -> list[Path]:
    """Write the result table of a finished run (csv, parquet, with openpyxl xlsx), and its steps as a script."""
    folder = Folder(Path(run))
    frame = result_table(folder)
    write_text(folder.root / CSV, csv_text(frame))
    write_text(folder.root / SCRIPT, script(folder))
    made = [folder.root / CSV, folder.root / SCRIPT, folder.root / PARQUET]
    with atomic_file(made[-1]) as temporary:
        frame.to_parquet(temporary, index=False)
    if find_spec("openpyxl") is not None:
        made.append(folder.root / XLSX)
        with atomic_file(made[-1]) as temporary, pd.ExcelWriter(temporary, engine="openpyxl") as book:
            for_spreadsheets(frame).to_excel(book, sheet_name="results", index=False)
        _without_times(made[-1])
    return made


def _without_times(path: Path) -> None:
    """Write a workbook anew without the times at which it was made: equal tables give equal bytes."""
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as book:
        for name, data in parts.items():
            bare = re.sub(rb"<dcterms:(created|modified).*?</dcterms:\1>", b"", data)
            book.writestr(zipfile.ZipInfo(name), bare, zipfile.ZIP_DEFLATED)


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
    first = event_data(events, "run")
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
        said.append(words("methods")["control"])
    return " ".join(said)
