"""Tool on what is detected at all: features that are seen more often in one group than in the other."""

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.differential._measures import entity_names
from proteus.statistics._detection import detection_p
from proteus.statistics._error_control import benjamini_hochberg
from proteus.tools._context import Context
from proteus.tools._prepare import Prepared, prepared
from proteus.tools._registry import Input, Output, register_tool
from proteus.tools._tools_bulk import answer, plain_id


class Presence(Prepared):
    """Two levels of a factor."""

    factor: str
    positive: str
    negative: str


_SEEN = ("entity", "effect", "p", "q", "n", "seen_positive", "seen_negative")


@register_tool("presence", params=Presence, tables={"features": _SEEN}, requires=("bulk", "groups"), confirms=True)
def presence(context: Context, params: Presence, _inputs: list[Input]) -> Output:
    """Find features detected in one group more often than in the other (Fisher's exact test of counts, no values)."""
    data = prepared(context, params)
    label = data.factor(params.factor).astype(str).to_numpy()
    groups = [label == params.positive, label == params.negative]
    if not all(one.any() for one in groups):
        raise InputError(
            "presence", got=f"{params.positive!r} against {params.negative!r}", expected="levels with runs"
        )
    seen = ~np.isnan(data.values)
    counts = np.stack([seen[:, one].sum(1) for one in groups], 1)
    sizes = np.array([int(one.sum()) for one in groups])
    p = detection_p(counts, sizes)
    frame = pd.DataFrame({"entity": entity_names(data).to_numpy()}, index=data.features.index)
    frame["effect"] = counts[:, 0] / sizes[0] - counts[:, 1] / sizes[1]
    frame["p"], frame["q"], frame["n"] = p, benjamini_hochberg(p), int(sizes.sum())
    frame["seen_positive"], frame["seen_negative"] = counts.T
    table = plain_id(frame)[["id", *_SEEN]]
    return answer(table, "detected_in", f"{params.positive}-{params.negative}", metrics={"n": sizes.tolist()})
