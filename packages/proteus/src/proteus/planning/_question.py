"""The user's own question or contrast as objectives: each from a typed query, or refused with what the table has."""

import re
from collections.abc import Callable
from typing import Any

from ninefold.errors import InputError

from proteus.data._design import compared
from proteus.differential._measures import entity_names
from proteus.planning._headline import levels_of, sides_of
from proteus.planning._query import typed_query
from proteus.planning._templates import model_of
from proteus.planning._text import Names, ordered
from proteus.record._objects import Asked, DatasetProfile, Objective, Query
from proteus.record._words import words
from proteus.tools._context import Context

_FIRST = 1000.0


def asked_objectives(
    asked: Asked, profile: DatasetProfile, names: Names,
    read: Callable[[str, DatasetProfile, Names], Query] = typed_query,
) -> list[Objective]:  # fmt: skip
    """The objective that answers what the user asks, with its typed query.

    Args:
        asked: question, contrast, design.
        profile: of the table.
        names: of its features, samples and sets.
        read: makes the query of a question.
    Raises:
        InputError: what of the question is not understood; it lists what the table has.
    """
    if asked.contrast is None and asked.question is None:
        if asked.design is not None:
            raise InputError("--design", got=asked.design, expected="--contrast too: the difference that it is for")
        return []
    query = read(asked.question, profile, names) if asked.question is not None else None
    if asked.contrast is not None:
        factor = _check_contrast(asked.contrast, asked.design, profile)
        query = query or Query(kind="changed")
        query = query.model_copy(update={"contrast": asked.contrast, "factor": factor})
        if query.kind not in ("changed", "unchanged", "sets", "network", "presence", "panel"):
            raise InputError("--contrast", got=f"beside a question about {query.kind}", expected="one of the two")
    return [] if query is None else [_objective(asked, query, profile)]


def _objective(asked: Asked, query: Query, profile: DatasetProfile) -> Objective:
    template, design = words("templates")[query.kind], None
    if query.contrast is not None:
        own, design, _ = model_of(profile, query.factor or "")
        template = template or ("cell_state" if profile.kind == "cell" else own)
        if query.adjust:
            design = f"~ {' + '.join([*query.adjust, design.removeprefix('~ ')])}"
    if query.kind == "groups":
        design = f"~ {query.factor}"
    if query.over == "outcome":
        template = "module_outcome"
    a, b = sides_of(query.contrast or "", levels_of(profile))
    return Objective(
        id="O1", template=template, question=asked.question or f"Which features differ between {a} and {b}?",
        rationale="asked by the user", design=asked.design or design, contrast=query.contrast, entities=query.entities,
        outcome=profile.outcome if query.kind == "outcome" or query.over == "outcome" else [],
        requires=["cells" if template == "cell_state" else "bulk", *words("needs").get(template, ["groups"])],
        priority=_FIRST, query=query,
    )  # fmt: skip


def more_of(query: Query, profile: DatasetProfile) -> dict[str, Any]:
    """What the template of a query needs in addition to the objective's fields."""
    subjects = {"block": profile.block} if profile.block else {}
    factor = profile.factor(query.factor or "")
    if query.kind in ("presence", "panel"):
        _, first, second = compared(query.contrast or "", levels_of(profile)) or ("", "", "")
        return {"factor": query.factor, "positive": first, "negative": second}
    if query.contrast is not None:
        margin = {"margin": query.fold} if query.kind == "unchanged" and query.fold else {}
        return model_of(profile, query.factor or "")[2] | margin
    if query.kind == "trend":
        order = {} if factor is None else {"order": ordered(factor.levels)}
        return {"over": query.over} | order | subjects
    if query.kind == "groups":
        return {"factor": query.factor} | subjects
    if query.kind == "interaction":
        orders = {
            key: list(one.levels)
            for key, name in (("first_order", query.factor), ("second_order", query.other))
            if (one := profile.factor(name or "")) is not None
        }
        return {"first": query.factor, "second": query.other} | orders | subjects
    if query.kind == "correlation":
        return {"entity": query.entities[0]} | ({"subject": profile.block} if profile.block else {})
    if query.kind in ("cv", "detected"):
        return {"entities": query.entities, "factor": query.factor, "level": query.level}
    if query.kind == "batch":
        return {"first": query.factor, "second": query.other}
    if query.kind in ("seen", "value"):
        where = {"factor": query.factor, "level": query.level} if query.kind == "seen" else {"sample": query.sample}
        return {"entities": query.entities, **where}
    if query.kind == "modules" and query.over != "outcome":
        return {"trait": query.over} | subjects
    return {}


def _check_contrast(contrast: str, design: str | None, profile: DatasetProfile) -> str:
    """The factor whose levels a contrast compares; InputError with the list of levels."""
    levels = levels_of(profile)
    found = compared(contrast, levels)
    if found is not None:
        return found[0]
    inside = [name for name, known in levels.items() if sum(_says(contrast, one) for one in known) >= 2]
    if inside and design is not None:
        return inside[0]
    expected = "; ".join(f"{name}: {', '.join(known)}" for name, known in levels.items()) or "a factor with two levels"
    raise InputError("--contrast", got=repr(contrast), expected=f"A-B, two levels of one factor. {expected}")


def _says(text: str, name: str) -> bool:
    return re.search(rf"(?i)(?<!\w){re.escape(name)}(?!\w)", text) is not None


def wrong_query(query: Query, profile: DatasetProfile, names: Names) -> list[str]:
    """What of a query, as a model typed it, the table does not have."""
    levels = levels_of(profile)
    columns = {*levels, *profile.numbers, "outcome"}
    wrong = [f"{one!r} is no column" for one in (query.factor, query.other, query.over, *query.adjust)
             if one is not None and one not in columns]  # fmt: skip
    needs = query.kind in ("changed", "unchanged", "presence", "sets", "network", "panel")
    found = compared(query.contrast or "", levels)
    if needs and (found is None or found[0] != query.factor):
        wrong.append(f"{query.contrast!r} is not A-B of two levels of {query.factor!r}")
    known = set(names.entities)
    wrong += [f"{one!r} is no feature" for one in query.entities if one not in known]
    wrong += [f"{query.sample!r} is no sample"] * (query.sample is not None and query.sample not in set(names.samples))
    wrong += [f"{query.gene_set!r} is no set"] * (query.gene_set is not None and query.gene_set not in set(names.sets))
    wrong += [f"no protein name holds {query.family!r}"] * (query.family is not None and not names.family(query.family))
    wrong += ["a trend needs `over`"] * (query.kind in ("trend", "modules") and query.over is None)
    located = query.kind in ("seen", "cv", "detected")
    wrong += ["it needs `factor`"] * ((located or query.kind in ("groups", "batch")) and query.factor is None)
    wrong += [f"{query.level!r} is no level of {query.factor!r}"] * (
        located and query.level not in levels.get(query.factor or "", [])
    )
    wrong += ["it needs `entities`"] * (query.kind in ("seen", "value", "correlation") and not query.entities)
    crossed = [query.factor, query.other] in profile.crossed
    wrong += ["`factor` and `other` are not columns that cross"] * (query.kind == "interaction" and not crossed)
    return wrong


def names_of(context: Context) -> Names:
    """What questions may name of a table."""
    data = context.data
    names = entity_names(data).astype(str)
    described = data.features["description"].fillna("").astype(str) if "description" in data.features else None
    return Names(
        set(names), [] if data.level == "cell" else list(map(str, data.samples.index)), list(context.sets or {}),
        {} if described is None else dict(zip(names, described, strict=True)),
    )  # fmt: skip
