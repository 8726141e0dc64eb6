"""Tool on links between hits: do partners in the network move together beyond what the contrast explains, and does the
change of one go through the other?"""

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._design import make_contrast
from proteus.differential._measures import Q, entity_names
from proteus.knowledge._coupling import coupling as couple
from proteus.statistics._mediation import mediation
from proteus.tools._context import Context
from proteus.tools._prepare import Tested, prepared, tested
from proteus.tools._registry import Input, Output, Params, register_tool
from proteus.tools._tools_bulk import findings_of

_LINKS = (
    "entity", "first", "second", "effect", "ci_low", "ci_high", "p", "q", "n", "through", "support",
    "direct", "p_direct",
)  # fmt: skip
_SUPPORT, _DIRECT = 1.0, 0.4  # an order needs this log likelihood ratio, and at most this direct share


class Coupling(Params):
    """Links between the hits of the contrast read."""


@register_tool(
    "coupling", params=Coupling, tables={"links": _LINKS}, reads=("contrast",), requires=("bulk", "network"),
    confirms=True,
)  # fmt: skip
def coupling(context: Context, _params: Coupling, inputs: list[Input]) -> Output:
    """Test which linked hits move together within groups (beyond a shared change), and which a change goes through."""
    if context.network is None:
        raise InputError("network", got="none", expected="an edge list")
    source = next(one for one in inputs if one.step.tool == "contrast")
    asked = Tested.model_validate(source.step.params)
    result = tested(context, asked)
    names = entity_names(prepared(context, asked)).to_numpy()
    hits = np.flatnonzero((result.table["q"] <= Q).to_numpy())
    place: dict[str, int] = {}
    for row in hits[np.argsort(result.table["p"].to_numpy()[hits], kind="stable")]:
        place.setdefault(str(names[row]), int(row))
    part = context.network.restrict(place)
    pairs = sorted(tuple(sorted((part.nodes[a], part.nodes[b]))) for a, b in part.edges)
    rows = np.array([(place[a], place[b]) for a, b in pairs], int).reshape(-1, 2)
    table = couple(result.fit, rows, seed=context.seed)
    vector = make_contrast(result.made, asked.contrast)
    order = mediation(result.fit, vector, rows)
    sure = ((order["support"] > _SUPPORT) & (order["direct"] < _DIRECT) & (order["p_direct"] > Q)).to_numpy()
    table.insert(0, "id", [f"{a}|{b}" for a, b in pairs])
    pairs = [pair[::-1] if turn else pair for pair, turn in zip(pairs, sure & (order["through"] == 1), strict=True)]
    table.insert(0, "entity", [f"{a} and {b}" for a, b in pairs])
    table["first"], table["second"] = [a for a, _ in pairs], [b for _, b in pairs]
    table["through"] = np.where(sure, table["first"].to_numpy(object), "")
    table = table.join(order[["support", "direct", "p_direct"]])
    table = pd.DataFrame(table[["id", *_LINKS]])
    found = findings_of(table, "links", "coupled_with", asked.contrast, kind="link")
    known = dict(zip(table["id"], zip(pairs, sure, strict=True), strict=True))
    found = [
        one.model_copy(update={"members": list(pair)} | ({"relation": "passes_on"} if ordered else {}))
        for one in found for pair, ordered in [known[one.row]]
    ]  # fmt: skip
    metrics = {"tested": len(table), "hits": len(found), "linked": len(place), "ordered": int(sure.sum())}
    return Output({"links": table}, metrics, found, ("links", "p"))
