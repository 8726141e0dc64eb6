"""Pictures of a stream: accuracy by session, forgetting, prototypes. Needs the extra `plots`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator
from ninefold.report import figure

from mecoin.protocol._run import StreamResult, accuracy_by_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mecoin.protocol._learner import MemoryLearner
    from mecoin.sessions._stream import SessionStream

SHOWN = {"accuracy": "All classes seen", "base": "Base classes", "novel": "Novel classes"}


def classes_arriving(result: StreamResult) -> Figure:
    """Accuracy on the base classes and on all classes that came later, as sessions bring new ones."""
    made, axis = figure(5, 3.6)
    sessions = [one.session for one in result.sessions]
    later = [(one.session, one.novel) for one in result.sessions if one.session]
    axis.plot(sessions, [one.base for one in result.sessions], marker="s", label="known from the start")
    axis.plot(*zip(*later, strict=True), marker="*", markersize=9, label="added with five labels each")
    axis.set_xlabel("Session", fontsize=12.5)
    axis.set_ylabel("Right, %", fontsize=12.5)
    axis.tick_params(labelsize=12.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylim(0, 103)
    axis.legend(fontsize=12.5, frameon=False, loc="lower left")
    return made


def accuracy_by_session(results: Mapping[str, StreamResult]) -> Figure:
    """Accuracy over all classes, and over base and novel ones apart, after each session, for each learner."""
    made, axes = figure(10.5, 3.9, columns=3)
    for axis, (which, title) in zip(axes, SHOWN.items(), strict=True):
        for name, result in results.items():  # in the house's cycle of twelve lines
            shown = [(one.session, getattr(one, which)) for one in result.sessions]
            axis.plot(*zip(*shown, strict=True), marker="o", markersize=3, label=name)
        axis.set_title(title)
        axis.set_xlabel("Session")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_ylim(-3, 103)
    axes[0].set_ylabel("Accuracy, %")
    axes[0].legend(fontsize=7, frameon=False)
    return made


def forgetting(result: StreamResult) -> Figure:
    """Heat map: accuracy on the classes of each session (columns), after each session (rows)."""
    table = accuracy_by_group(result)
    made, axis = figure(5.2, 4.2)
    axis.grid(visible=False)
    image = axis.imshow(table, cmap="viridis", vmin=0, vmax=100)
    if len(table) <= 12:
        for row, column in np.argwhere(np.isfinite(table)):
            color = "white" if table[row, column] < 60 else "black"
            axis.text(column, row, f"{table[row, column]:.0f}", ha="center", va="center", fontsize=7, color=color)
    axis.set_title(f"{result.learner}: what is kept of each session's classes")
    axis.set_xlabel("Classes of session (0: base classes)")
    axis.set_ylabel("After session")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(integer=True))
    made.colorbar(image, label="Accuracy, %")
    return made


def prototypes_of(learner: MemoryLearner, stream: SessionStream, most: int = 1500) -> Figure:
    """Prototypes of a learner that has gone through the stream, and test nodes of the last session, `most` of them.

    Coloured by class, on the two principal axes of the prototypes; those of base classes are squares, of novel ones
    stars.
    """
    last, smu = stream[len(stream) - 1], learner.content.smu
    nodes = np.random.default_rng(0).permutation(last.graph.positions(last.test))[:most]
    codes = stream.data.y[stream.data.positions(last.graph.ids[nodes])]
    keys = learner.keys(learner.encoder.embed(last.graph)[nodes])
    prototypes, owner = smu.prototypes, smu.owner
    centre = prototypes.mean(axis=0)
    axes_of = np.linalg.svd(prototypes - centre, full_matrices=False)[2][:2].T
    made, axis = figure(5.6, 4.6)
    place = {code: at for at, code in enumerate(np.unique(owner))}
    colors = np.array([place[code] for code in codes]) % 20
    axis.scatter(*((keys - centre) @ axes_of).T, c=colors, cmap="tab20", vmin=0, vmax=19, s=4, alpha=0.5, linewidths=0)
    colors = np.array([place[code] for code in owner]) % 20
    shown, first = (prototypes - centre) @ axes_of, np.isin(owner, stream[0].new)
    for some, marker, label in ((first, "s", "Base class"), (~first, "*", "Novel class")):
        axis.scatter(
            *shown[some].T, c=colors[some], cmap="tab20", vmin=0, vmax=19, s=90 if marker == "*" else 45,
            marker=marker, edgecolors="black", linewidths=0.8, label=label,
        )  # fmt: skip
    axis.set_title("Prototypes and test nodes, coloured by class")
    axis.set_xlabel("First principal axis of the prototypes")
    axis.set_ylabel("Second principal axis")
    axis.legend(fontsize=8, frameon=False)
    return made
