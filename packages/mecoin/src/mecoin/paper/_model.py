"""The published method as a model with the user's labels, saved and loaded like the default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

from ninefold.errors import InputError
from ninefold_graphs import whole_number
from torch import nn

from mecoin.encoders._encoder import Encoder
from mecoin.memory._mecoin import Mecoin
from mecoin.paper._interaction import Interaction
from mecoin.paper._keys import Published
from mecoin.paper._learner import PaperMecoin
from mecoin.protocol._learner import MemoryLearner

LAMBDAS = (0.5, 0.5, 0.1)
GRAPHINFO = 128


class PaperModel(Mecoin):
    """The published method, made valid, with the interface of `Mecoin`.

    Args:
        encoder, hidden, mode, seed: as in `Mecoin`; the encoder is a GCN if left out.
        proto_per_class: prototypes of each class (k-means).
        graphinfo_dim: dimensions of GraphInfo.
        lambdas: weights of memory loss, update loss and edge loss.
    Raises: InputError naming a setting that is wrong.

    Examples:
        >>> import numpy as np
        >>> from mecoin import Simulated
        >>> from mecoin.paper import PaperModel
        >>> graph = Simulated(classes=3, topics=1, largest=30, smallest=20, vocabulary=40, sharpness=0.4).draw(0)
        >>> model = PaperModel(encoder="sgc", hidden=8).fit_base(graph, np.ones(len(graph), bool))
        >>> model.predict_proba(graph).shape == (len(graph), 3)
        True
    """

    variant: ClassVar[str] = "paper"
    metric: ClassVar[str] = "euclidean"
    default_encoder: ClassVar[str | None] = PaperMecoin.encoder_kind

    def __init__(
        self, encoder: str | Encoder | nn.Module | None = None, hidden: int = 128, proto_per_class: int = 1,
        graphinfo_dim: int = GRAPHINFO, lambdas: tuple[float, float, float] = LAMBDAS, mode: str = "inductive",
        seed: int = 0,
    ) -> None:  # fmt: skip
        given = {"proto_per_class": proto_per_class, "graphinfo_dim": graphinfo_dim}
        own = {name: whole_number(name, value, 1) for name, value in given.items()}
        self._set_up(encoder, hidden, mode, seed, **own, lambdas=_weights(lambdas))

    def _learner(self, encoder: Encoder, options: Mapping[str, Any]) -> MemoryLearner:  # noqa: ARG002
        settings = self.settings
        memory, update, edge = settings["lambdas"]
        published = Published(graphinfo=settings["graphinfo_dim"], edge=edge)
        how = {"per_class": settings["proto_per_class"], "seed": settings["seed"]}
        return PaperMecoin(encoder, published=published, interaction=Interaction(memory=memory, update=update), **how)


def _weights(lambdas: Any) -> list[float]:
    given: list[Any] = list(lambdas) if isinstance(lambdas, tuple | list) else []
    real = all(isinstance(one, Real) and not isinstance(one, bool) and math.isfinite(one) for one in given)
    if not real or len(given) != 3 or min(given) < 0:
        raise InputError("lambdas", got=lambdas, expected="three weights of at least 0")
    return given
