"""Tools on what hits share: do partners in the network, or members of a set, move together beyond what the contrast
explains, and does the change of one go through the other?"""

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._design import make_contrast
from proteus.differential._measures import Q, entity_names, names_of_proteins
from proteus.knowledge._box import paralogs
from proteus.knowledge._coupling import coupling as couple
from proteus.knowledge._together import together as move_together
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
    alike = [set(group) for group in paralogs(place, names_of_proteins(prepared(context, asked)))]
    pairs = [pair for pair in pairs if not any(set(pair) <= group for group in alike)]  # alike by descent
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


_TOGETHER = ("entity", "effect", "chance", "p", "q", "hits", "higher", "members", "told")
_MOST_HITS = 200  # strongest hits that are looked at: those that are findings


class Together(Params):
    """Sets of the hits of the contrast read."""


@register_tool(
    "together", params=Together, tables={"sets": _TOGETHER}, reads=("contrast",), requires=("sets",), confirms=True
)
def together(context: Context, _params: Together, inputs: list[Input]) -> Output:
    """Test which sets have hits that move together within groups, more than hits of other sets; paralogs count once."""
    if context.sets is None:
        raise InputError("gene sets", got="none", expected="a GMT file")
    source = next(one for one in inputs if one.step.tool == "contrast")
    asked = Tested.model_validate(source.step.params)
    result, data = tested(context, asked), prepared(context, asked)
    names = entity_names(data).astype(str).to_numpy()
    order = np.argsort(result.table["p"].to_numpy(float), kind="stable")
    rows = order[(result.table["q"].to_numpy(float) <= Q)[order]][:_MOST_HITS]
    sign = np.where(result.table["t"].to_numpy(float)[rows] < 0, -1, 1)
    frame = move_together(
        result.fit,
        rows,
        sign,
        list(names[rows]),
        context.sets,
        paralogs(names[rows], names_of_proteins(data)),
        seed=context.seed,
    )
    frame["entity"] = frame.index.astype(str)
    table = pd.DataFrame(frame.rename_axis("id").reset_index()[["id", *_TOGETHER]])
    table["id"] = table["id"].astype(str)
    chosen = ((table["q"] <= Q) & (table["told"] == table["id"])).to_numpy()
    found = findings_of(table, "sets", "moves_together_in", asked.contrast, chosen=chosen, kind="set")
    about = table.set_index("id")
    found = [
        one.model_copy(update={"members": members, "sign": 1 if up == len(members) else -1 if up == 0 else 0})
        for one in found
        for members, up in [(str(about.loc[one.row, "members"]).split(";"), int(about.loc[one.row, "higher"]))]
    ]
    return Output({"sets": table}, {"tested": len(table), "hits": int(chosen.sum())}, found, ("sets", "p"))
