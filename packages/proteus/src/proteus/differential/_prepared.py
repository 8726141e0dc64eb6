"""What comes before a test, by the words of a user: summing to proteins, normalisation, design and contrast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from ninefold.errors import InputError, require

from proteus.data._data import ProteomicsData
from proteus.data._rollup import roll_up as summed
from proteus.differential._normalise import METHODS
from proteus.differential._normalise import normalise as normalised
from proteus.differential._profile import profile

ROLL_UPS = ("auto", "peptide_model", "median_polish", "maxlfq", "none")


def check_word(option: str, value: str, known: Iterable[str]) -> None:
    """InputError that names the option, unless its value is one of the known words."""
    if value not in known:
        raise InputError(option, got=repr(value), expected=f"one of: {', '.join(known)}")


def check_preparing(normalise: str, roll_up: str) -> None:
    """Refuse what is unknown or not installed, before a table is read."""
    check_word("--normalise", normalise, [*METHODS, "none"])
    check_word("--roll-up", roll_up, ROLL_UPS)
    if roll_up == "maxlfq":
        require("directlfq", "proteus", "lfq")


def prepare(data: ProteomicsData, normalise: str = "median", roll_up: str = "auto") -> ProteomicsData:
    """The table rolled up and normalised.

    Args:
        data: the table. normalise: one of `METHODS`, or none; a table that is not on the log2 scale stays as it is.
        roll_up: one of `ROLL_UPS`; auto sums precursors by peptide_model.
    """
    if roll_up == "auto":
        roll_up = "peptide_model" if data.level == "precursor" and "protein" in data.features else "none"
    data = data if roll_up == "none" else summed(data, roll_up)
    return data if normalise == "none" or data.scale != "log2" else normalised(data, normalise)


def asked_contrast(data: ProteomicsData, design: str | None, contrast: str | None) -> tuple[str, str]:
    """The design and the contrast; InputError says how to write what is missing, the sample sheet first."""
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


def fold_bar(text: str) -> Literal["auto"] | float:
    """A fold bar on the log2 scale, or `auto`."""
    try:
        return "auto" if text == "auto" else float(text)
    except ValueError:
        raise InputError("--lfc", got=repr(text), expected="`auto` or a number") from None


def profile_facts(data: ProteomicsData) -> dict[str, Any]:
    """A table's profile as named facts: size, factors, missingness, spread, outliers, notes and warnings."""
    found = profile(data)
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
    warnings = found.warnings[len(data.notes) :]  # what the loader noticed comes first
    facts |= numbered_notes(data)
    return facts | {f"warning {number}": warning for number, warning in enumerate(warnings, 1)}


def table_facts(data: ProteomicsData) -> dict[str, Any]:
    """What a file is: its format, size, scale, samples, and what the loader noticed."""
    facts = {
        "format": data.source, "level": data.level, "scale": data.scale, "features": data.shape[0],
        "samples": data.shape[1], "feature columns": ", ".join(map(str, data.features.columns)) or "none",
        "sample columns": ", ".join(map(str, data.samples.columns)) or "none",
        "first samples": ", ".join(map(str, data.samples.index[:5])),
    }  # fmt: skip
    return facts | numbered_notes(data)


def numbered_notes(data: ProteomicsData) -> dict[str, Any]:
    """What was noticed when the table was read, as "note 1", "note 2", ..."""
    return {f"note {number}": note for number, note in enumerate(data.notes, 1)}
