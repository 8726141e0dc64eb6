"""Pictures of a stream: accuracy by session, forgetting, prototypes. Needs the extra `plots`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from ninefold.report import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure

from mecoin.evaluation._protocol import StreamResult, accuracy_by_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mecoin.memory._memory import Memory
    from mecoin.sessions._stream import SessionStream

COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)


def accuracy_by_session(results: Mapping[str, StreamResult]) -> Figure:
    """Accuracy over all classes, and over base and novel ones apart, after each session, for each learner."""
    made, axes = figure(10.5, 3.6, columns=3)
    for axis, which in zip(axes, ("accuracy", "base", "novel"), strict=True):
        for (name, result), color in zip(results.items(), COLORS * 4, strict=False):
            shown = [(one.session, getattr(one, which)) for one in result.sessions]
            axis.plot(*zip(*shown, strict=True), marker="o", markersize=3, label=name, color=color)
        axis.set_title(
            {"accuracy": "all classes seen", "base": "base classes", "novel": "novel classes"}[which], size=10
        )
        axis.set_xlabel("session")
        axis.set_ylim(-3, 103)
    axes[0].set_ylabel("accuracy, %")
    axes[0].legend(fontsize=7, frameon=False)
    return made


def forgetting(result: StreamResult, groups: list[np.ndarray]) -> Figure:
    """Heat map: accuracy on the classes of each session (columns), after each session (rows)."""
    table = accuracy_by_group(result, groups)
    made, axis = figure(5.2, 4.0)
    axis.grid(visible=False)
    image = axis.imshow(table, cmap="viridis", vmin=0, vmax=100)
    if len(groups) <= 12:
        for row, column in np.argwhere(np.isfinite(table)):
            color = "white" if table[row, column] < 60 else "black"
            axis.text(column, row, f"{table[row, column]:.0f}", ha="center", va="center", fontsize=7, color=color)
    axis.set_xlabel("classes of session")
    axis.set_ylabel("after session")
    made.colorbar(image, label="accuracy, %")
    return made


def prototypes_of(learner: Memory, stream: SessionStream, most: int = 1500) -> Figure:
    """`prototype_map` of a learner that has gone through the stream, with `most` test nodes of the last session."""
    last = stream[len(stream) - 1]
    nodes = np.random.default_rng(0).permutation(last.graph.positions(last.test))[:most]
    codes = stream.data.y[stream.data.positions(last.graph.ids[nodes])]
    keys = learner.construction.keys(learner.encoder.embed(last.graph)[nodes])
    return prototype_map(keys, codes, learner.content.smu.prototypes, learner.content.smu.owner)


def prototype_map(keys: np.ndarray, codes: np.ndarray, prototypes: np.ndarray, owner: np.ndarray) -> Figure:
    """Keys of nodes (n, k), coloured by class, and prototypes (P, k), on the two principal axes of the prototypes."""
    centre = prototypes.mean(axis=0)
    axes_of = np.linalg.svd(prototypes - centre, full_matrices=False)[2][:2].T
    made, axis = figure(5.6, 4.4)
    place = {code: at for at, code in enumerate(np.unique(owner))}
    colors = np.array([place[code] for code in codes]) % 20
    axis.scatter(*((keys - centre) @ axes_of).T, c=colors, cmap="tab20", vmin=0, vmax=19, s=4, alpha=0.5, linewidths=0)
    colors = np.array([place[code] for code in owner]) % 20
    shown = ((prototypes - centre) @ axes_of).T
    axis.scatter(*shown, c=colors, cmap="tab20", vmin=0, vmax=19, s=90, marker="*", edgecolors="black", linewidths=0.8)
    axis.set_xlabel("first principal axis of the prototypes")
    axis.set_ylabel("second")
    return made
