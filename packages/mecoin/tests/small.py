"""Small graphs with a known answer."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import numpy as np
from mecoin import Graph, Mecoin, SessionStream, Simulated
from mecoin.encoders._gcn import GcnEncoder
from mecoin.encoders._sgc import SgcEncoder
from mecoin.paper import PaperModel

TINY = Simulated(
    classes=7, topics=2, largest=60, smallest=30, degree=8, homophily=0.8, vocabulary=300, words=25, sharpness=0.3
)


def graph(seed: int = 0) -> Graph:
    return TINY.draw(seed)


def stream(seed: int = 0, **options) -> SessionStream:
    return SessionStream(graph(seed), **{"base": 3, "way": 2, "shot": 5, "seed": seed, **options})


def encoder(sessions: SessionStream, dim: int = 16) -> SgcEncoder:
    first = sessions[0]
    places = first.graph.positions(first.train)
    return SgcEncoder(dim).fit(first.graph, places, first.graph.positions(first.validation))


def masks(data: Graph, codes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Train and validation masks of some classes."""
    inside = np.isin(data.y, codes)
    held = inside & (np.arange(len(data)) % 4 == 0)
    return inside & ~held, held


DATA = graph()
BASE = DATA.induced(np.flatnonzero(np.isin(DATA.y, (0, 1, 2))))
NEXT = DATA.induced(np.flatnonzero(np.isin(DATA.y, (0, 1, 2, 3, 4))))
FOUR = DATA.induced(np.flatnonzero(DATA.y < 4))
SUPPORT = {code: NEXT.ids[NEXT.y == code][:5] for code in (3, 4)}
TEST = NEXT.ids[(NEXT.y >= 0) & ~np.isin(NEXT.ids, np.concatenate(list(SUPPORT.values())))][::3]


def learnt(kind: type[Mecoin] = Mecoin, **options) -> Mecoin:
    """A model that has learnt the classes 0, 1 and 2, with an encoder trained for a moment."""
    options = {"encoder": GcnEncoder(16, epochs=30) if kind is PaperModel else "sgc", **options}
    return kind(hidden=16, **options).fit_base(BASE, *masks(BASE, (0, 1, 2)))


_learnt = cache(learnt)


def fitted(kind: type[Mecoin] = Mecoin, **options) -> Mecoin:
    """A copy of that model, which is learnt once for all tests."""
    return deepcopy(_learnt(kind, **options))
