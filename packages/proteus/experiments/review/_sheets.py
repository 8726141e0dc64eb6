"""Experts' review: a blinded sheet for each expert, and how far experts, rubric and model agree."""

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from ninefold.files import atomic_folder, write_text
from ninefold.report import Table
from proteus.record._cited import case, read_evidence
from proteus.record._documents import judged, own_digest, read_document
from proteus.record._run_folder import Folder, spreadsheet_text
from proteus.review._rubric_text import METRICS, rubric_text
from proteus.statistics._detection import rank_correlation
from proteus_experiments.review._agreement import krippendorff_alpha, weighted_kappa

_FORMAT = 1
_SHOWN = ("statement", "direction", "context", "mechanism", "evidence", "contrary", "alternatives", "experiment")


def export_sheet(runs: Sequence[str | Path], out: str | Path, *, seed: int = 0, force: bool = False) -> int:
    """Write `sheet.csv` (for each expert a copy), `rubric.txt`, and `key.json` (for nobody who judges).

    The sheet says nothing of runs, planners, grades, scores or ranks; hypotheses of all runs are shuffled together.

    Args:
        runs: folders of finished runs.
        out: folder to write.
        seed: of codes and order.
        force: replace what is there.
    Returns: number of hypotheses.
    """
    rows, key = [], {}
    shuffler = random.Random(seed)
    for place, run in enumerate(runs):
        evidence, marks = read_evidence(Folder(Path(run))), judged(Folder(Path(run)).judge)
        for hypothesis in evidence.hypotheses:
            code = f"H{shuffler.randrange(16**6):06x}"
            while code in key:
                code = f"H{shuffler.randrange(16**6):06x}"
            rubric, model = hypothesis.scores.model_dump(), marks.get(hypothesis.id, {}).get("mean", {})
            key[code] = {"run": place, "hypothesis": hypothesis.id, "rubric": rubric, "model": model}
            shown = case(hypothesis, evidence)
            rows.append([code, *(_cell(shown[name]) for name in _SHOWN), *([""] * (len(METRICS) + 1))])
    if not rows:
        raise InputError("runs", got="no hypothesis in any", expected="something to review")
    shuffler.shuffle(rows)
    sheet = pd.DataFrame(rows, columns=["code", *_SHOWN, *METRICS, "comment"])
    about = {
        "format": "proteus.review",
        "kind": "proteus.review",
        "format_version": _FORMAT,
        "files": {"sheet.csv": {}, "rubric.txt": {}},
        "runs": [Path(run).name for run in runs],
        "key": key,
    }
    about["digest"] = own_digest(about)
    with atomic_folder(out, force=force, ours="proteus.review") as folder:
        sheet.to_csv(folder / "sheet.csv", index=False)
        write_text(folder / "rubric.txt", rubric_text() + "\n")
        write_text(folder / "key.json", json.dumps(about, indent=1) + "\n")
    return len(rows)


def _cell(value: Any) -> str:
    """Text for a spreadsheet; what it would take for a formula is quoted."""
    if isinstance(value, list):
        text = "\n".join(_cell(one) for one in value)
    elif isinstance(value, dict):
        text = ", ".join(
            f"{key} {part if not isinstance(part, list) else ' '.join(part)}" for key, part in value.items()
        )
    else:
        text = "" if value is None else str(value)
    return spreadsheet_text(text)


@dataclass(frozen=True)
class Agreement:
    """How raters agree.

    Attributes:
        table: by metric: experts' mean, Krippendorff's alpha (ordinal), mean pairwise weighted kappa; of the offline
            rubric and of the model against the experts' median, weighted kappa and Spearman's correlation.
        experts: names of sheets.
        scores: (experts, hypotheses, metrics), NaN where nothing was entered.
        codes: of the hypotheses.
    """

    table: Table
    experts: list[str]
    scores: np.ndarray
    codes: list[str]


def import_sheets(folder: str | Path, sheets: Sequence[str | Path]) -> Agreement:
    """Read filled-in sheets of one export.

    Raises:
        InputError: naming sheet, code and metric of an entry that is no whole number from 1 to 5, an unknown code, a
            missing column, or a sheet that is there twice.
    """
    key = read_document(Path(folder) / "key.json", "proteus.review", _FORMAT, sealed=True)["key"]
    codes = list(key)
    if not sheets:
        raise InputError("sheets", expected="at least one filled-in sheet")
    experts = [Path(one).stem for one in sheets]
    if len(set(experts)) < len(experts):
        raise InputError("sheets", got=f"{', '.join(experts)}", expected="different names, one for each expert")
    scores = np.stack([_read_sheet(Path(one), codes) for one in sheets])
    if np.isnan(scores).all():
        raise InputError("sheets", got="no score in any", expected="numbers from 1 to 5 under the metrics")
    table = Table(
        [
            "metric",
            "experts' mean",
            "rated",
            "alpha",
            "kappa",
            "rubric kappa",
            "rubric rho",
            "model kappa",
            "model rho",
        ],
        title=f"Agreement of {len(experts)} experts on {len(codes)} hypotheses",
    )
    for place, metric in enumerate(METRICS):
        part = scores[:, :, place]
        rated = ~np.isnan(part).all(0)
        consensus = np.full(len(codes), np.nan)
        consensus[rated] = np.nanmedian(part[:, rated], axis=0)
        pairs = [weighted_kappa(a, b) for a, b in itertools.combinations(part, 2)]
        known = [one for one in pairs if not np.isnan(one)]
        row = [metric, float(np.nanmean(part)) if rated.any() else None, int((~np.isnan(part)).sum())]
        row += [krippendorff_alpha(part), float(np.mean(known)) if known else float("nan")]
        for rater in ("rubric", "model"):
            other = np.array([key[code][rater].get(metric) for code in codes], dtype=float)
            row += [weighted_kappa(_whole(consensus), _whole(other)), _rho(consensus, other)]
        table.rows.append(row)
    return Agreement(table, experts, scores, codes)


def _whole(scores: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(scores + 0.5), 1, 5)


def _rho(first: np.ndarray, second: np.ndarray) -> float:
    both = ~(np.isnan(first) | np.isnan(second))
    return rank_correlation(first[both], second[both]) if both.sum() >= 3 else float("nan")


def _read_sheet(path: Path, codes: list[str]) -> np.ndarray:
    """(codes, metrics)."""
    if not path.is_file():
        raise InputError("sheet", got=str(path), expected="a file")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)  # spreadsheets write what their country writes
    try:
        sheet = pd.read_csv(StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError("sheet", where=path, got=str(error).strip()) from None
    missing = [name for name in ("code", *METRICS) if name not in sheet]
    if missing:
        raise InputError("columns", where=path, got=f"no {', '.join(missing)}", expected="those of the exported sheet")
    scores = np.full((len(codes), len(METRICS)), np.nan)
    places = {code: place for place, code in enumerate(codes)}
    seen = set()
    for row in sheet.to_dict("records"):
        code = str(row["code"]).strip()
        if code not in places or code in seen:
            why = "is there twice" if code in seen else "is not in this export"
            raise InputError("code", where=path, got=f"{code!r}, which {why}")
        seen.add(code)
        for place, metric in enumerate(METRICS):
            entry = str(row[metric]).strip()
            if entry and entry not in tuple("12345"):
                raise InputError(
                    metric, where=f"{path}, {code}", got=repr(entry), expected="a whole number from 1 to 5"
                )
            if entry:
                scores[places[code], place] = float(entry)
    return scores
