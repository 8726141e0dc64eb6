"""The answer to a question, as sentences with the cells of their numbers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from proteus.planning._headline import headline, slots_of
from proteus.record._objects import DatasetProfile, Finding, Query, Ref
from proteus.record._words import words

Line = tuple[str, dict[str, Ref]]
SHOWN = 5  # rows of an answer, if the question does not say how many
_BAR, _LOOK = 0.05, 3


def readback(query: Query, sides: tuple[str, str]) -> str:
    """What a question was understood as."""
    where = f"in {sides[0]} against {sides[1]}" if query.contrast else ""
    place = query.kind in ("cv", "detected")
    where = f"in {query.level}" if place else where
    about = query.over or ("" if query.contrast or place else query.factor) or ""
    also = f"and {query.other}" if query.other else ""
    parts = [
        words("queries")[query.kind],
        about,
        also,
        where,
        {"up": "upwards", "down": "downwards"}.get(query.direction or "", ""),
    ]
    named = [*query.entities, *([query.gene_set] if query.gene_set else []), *([query.sample] if query.sample else [])]
    parts += [f"among {query.family}, by their names"] * (query.family is not None)
    parts += [f"for {', '.join(named)}"] * bool(named) + [f"adjusted for {', '.join(query.adjust)}"] * bool(
        query.adjust
    )
    return f"Understood as: {' '.join(one for one in parts if one)}"


@dataclass(frozen=True)
class Found:
    """What the objective's steps gave.

    Attributes:
        frame: of an artifact.
        artifacts: by tool, its tables to artifacts (the last version).
        findings: of the objective, strongest first.
    """

    frame: Callable[[str], pd.DataFrame]
    artifacts: Mapping[str, Mapping[str, str]]
    findings: Sequence[Finding]


def subjects_of(query: Query) -> list[str]:
    """Features whose rows answer, if the question names them: of a correlation the second."""
    return query.entities[1:] if query.kind == "correlation" else query.entities


def feature_rows(
    query: Query, frame: pd.DataFrame, family: Collection[str] | None
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(rows that answer, rows asked about) of a table of features, as masks."""
    about = np.ones(len(frame), bool)
    if named := subjects_of(query):
        about = frame["entity"].isin(named).to_numpy()
    elif family is not None:
        about = frame["entity"].isin(family).to_numpy()
    passed = (frame["q"] <= (query.q or _BAR)).to_numpy() & about
    if query.direction is not None and query.kind != "groups":
        passed &= _signs(frame) == (1 if query.direction == "up" else -1)
    return passed, about


def _signs(frame: pd.DataFrame) -> np.ndarray:
    effect = frame["effect"].to_numpy(float)
    if "only_in" in frame:
        effect = np.where(np.isnan(effect), frame["only_in"].to_numpy(float), effect)
    return np.sign(np.nan_to_num(effect))


def counted(passed: np.ndarray, about: np.ndarray, frame: pd.DataFrame) -> pd.DataFrame:
    """The artifact that a reply's counts are cells of."""
    up = passed & (_signs(frame) > 0) if "effect" in frame else passed
    tested = about & frame["p"].notna().to_numpy()
    counts = [int(passed.sum()), int(up.sum()), int((passed & ~up).sum()), int(tested.sum()), int(about.sum())]
    return pd.DataFrame({"id": ["passed", "higher", "lower", "tested", "asked"], "n": counts})


def reply_on_features(
    query: Query, rows: Sequence[Finding], counts: str, profile: DatasetProfile, columns: Sequence[str]
) -> list[Line]:
    """Counts, then the rows: of features that the question names each, whatever its q; else those that pass."""

    def number(row: str) -> Ref:
        return Ref(artifact=counts, row=row, column="n")

    lines: list[Line] = []
    if not subjects_of(query):
        text, refs = "{passed} of {tested} tested pass", {"passed": number("passed"), "tested": number("tested")}
        if query.kind in ("changed", "trend", "outcome", "correlation") and query.direction is None:
            text += ": {higher} up, {lower} down"
            refs |= {"higher": number("higher"), "lower": number("lower")}
        lines.append((text, refs))
    return lines if query.count else [*lines, *(_line(one, query, profile, columns) for one in rows)]


def _line(one: Finding, query: Query, profile: DatasetProfile, columns: Sequence[str]) -> Line:
    slots = slots_of(one, profile, columns)
    if one.q is not None and one.q <= (query.q or _BAR):
        return headline(slots), dict(slots.numbers)
    have, (a, b) = slots.numbers, slots.sides
    if one.p is None and not slots.only_in:
        return f"{one.entity} could not be tested", {}
    said = [f"{slots.unit} {{effect}}, interval {{low}} to {{high}}"] * ({"effect", "high"} <= set(have))
    if slots.only_in:
        said = [f"seen in {{seen}} of {{of}} in {slots.here}, not seen in {{missing}} of {{others}} in {slots.there}"]
    said += ["q {q}"] * ("q" in have and one.q is not None)
    tail = f" ({'; '.join(said)})" if said and (one.effect is not None or slots.only_in) else ""
    known = {
        "unchanged": f"it is not shown to be the same in {a} and {b}", "trend": f"it does not follow {one.target}",
        "outcome": "it is not shown to predict the outcome",
        "correlation": f"it is not shown to correlate with {one.target}",
        "interaction": f"its effect of {query.factor} is not shown to depend on {query.other}",
        "groups": f"no difference between levels of {one.target} is shown",
    }.get(query.kind, f"no difference is shown between {a} and {b}")  # fmt: skip
    if one.p is None:
        known = f"nothing tells how values are missed, so no test between {a} and {b}"
    return f"{one.entity}: {known}{tail}", dict(have) if tail else {}


def other_reply(query: Query, found: Found, profile: DatasetProfile) -> list[Line]:
    """Of questions that no table of features answers."""
    if query.kind == "samples":
        return _of_samples(query, found)
    if query.kind == "batch":
        name = found.artifacts["crosstab"]["counts"]
        return [
            (f"{row['first']}, {row['second']}: {{n}} samples", {"n": Ref(artifact=name, row=row["id"], column="n")})
            for _, row in found.frame(name).iterrows()
        ]
    if query.kind in ("seen", "value"):
        return _looked_up(query, found)
    if query.kind == "cv":
        return _spread(query, found)
    if query.kind == "detected":
        name = found.artifacts["detected"]["counts"]
        refs = {key: Ref(artifact=name, row=key, column="n") for key in ("any", "each", "features", "samples")}
        text = f"{{any}} of {{features}} features are seen in at least one of {{samples}} samples in {query.level}"
        return [(f"{text}, {{each}} in each of them", refs)]
    findings = [one for one in found.findings if query.direction is None or one.sign == _sign(query)]
    if query.gene_set is not None:
        name = found.artifacts["enrichment"]["sets"]
        frame = found.frame(name).set_index("id", drop=False)
        if query.gene_set not in frame.index:
            return [(f"{query.gene_set}: too few of its members are measured", {})]
        row = frame.loc[query.gene_set].to_dict()
        refs = {key: Ref(artifact=name, row=query.gene_set, column=key) for key in ("effect", "q")}
        way = "higher" if row["effect"] > 0 else "lower"
        said = f"its members are {way}, as a set" if row["q"] <= (query.q or _BAR) else "no change is shown"
        return [(f"{query.gene_set}: {said} (mean log2 change {{effect}}; q {{q}})", refs)]
    lines: list[Line] = []
    for one in findings[: query.top or SHOWN]:
        slots = slots_of(one, profile, list(map(str, found.frame(one.artifact))))
        lines.append((headline(slots), dict(slots.numbers)))
    return lines


def _sign(query: Query) -> int:
    return {"up": 1, "down": -1}.get(query.direction or "", 0)


def _of_samples(query: Query, found: Found) -> list[Line]:
    name = found.artifacts["quality"]["samples"]
    frame = found.frame(name)
    chosen = frame[frame["id"] == query.sample] if query.sample else frame[frame["outlying"].astype(bool)]
    lines: list[Line] = []
    for row in chosen.to_dict("records"):
        words = "is far from the others" if row["outlying"] else "is not far from the others"
        refs = {key: Ref(artifact=name, row=row["id"], column=key) for key in ("missing", "PC1", "PC2")}
        text = f"{row['id']} {words} (share missing {{missing}}, first components {{PC1}} and {{PC2}})"
        lines.append((text, refs))
    if query.sample is None:
        lines = lines or [("No sample is far from the others", {})]
        for _, row in frame.sort_values("missing", ascending=False, kind="stable").head(_LOOK).iterrows():
            refs = {"missing": Ref(artifact=name, row=row["id"], column="missing")}
            lines.append((f"{row['id']}: share missing {{missing}}", refs))
    return lines


def _looked_up(query: Query, found: Found) -> list[Line]:
    name = found.artifacts["lookup"]["values"]
    lines: list[Line] = []
    for _, row in found.frame(name).iterrows():
        cells = {key: Ref(artifact=name, row=row["id"], column=key) for key in ("value", "seen", "of")}
        if query.kind == "seen":
            text = f"{row['entity']} is seen in {{seen}} of {{of}} samples in {row['where']}"
            lines.append((text, {key: cells[key] for key in ("seen", "of")}))
        elif row["seen"]:
            lines.append((f"{row['entity']} in {row['where']}: {{value}}", {"value": cells["value"]}))
        else:
            lines.append((f"{row['entity']} is not detected in {row['where']}", {}))
    return lines


def _spread(query: Query, found: Found) -> list[Line]:
    made = found.artifacts["spread"]
    cells = {key: Ref(artifact=made["summary"], row=key, column="value") for key in ("median", "features")}
    lines: list[Line] = []
    if not query.entities:
        lines.append((f"Median CV in {query.level}: {{median}} % over {{features}} features seen twice or more", cells))
    for row in found.frame(made["features"]).head(query.top or SHOWN).to_dict("records"):
        refs = {key: Ref(artifact=made["features"], row=str(row["id"]), column=key) for key in ("cv", "n")}
        lines.append((f"{row['entity']} in {query.level}: CV {{cv}} % over {{n}} samples", refs))
    return lines
