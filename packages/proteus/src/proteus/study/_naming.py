"""What a table calls its things, for questions."""

from proteus.differential._measures import entity_names
from proteus.planning._query import Names
from proteus.tools._context import Context


def names_of(context: Context) -> Names:
    """What questions may name of a table."""
    data = context.data
    names = entity_names(data).astype(str)
    described = data.features["description"].fillna("").astype(str) if "description" in data.features else None
    return Names(
        set(names), [] if data.level == "cell" else list(map(str, data.samples.index)), list(context.sets or {}),
        {} if described is None else dict(zip(names, described, strict=True)),
    )  # fmt: skip
