"""The public model: fit on several labelled graphs, adapt to one never seen."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from ninefold import artifacts
from ninefold.errors import InputError
from ninefold.run import Run
from ninefold_graphs import Graph, InputEncoder

from mldgg.datasets import open_graph
from mldgg.domains import (
    OVERLAP,
    GraphDomains,
    LeakWarning,
    Method,
    check_support,
    measure,
    metric_of_choice,
    row_keys,
)
from mldgg.encoders import GraphTensors
from mldgg.meta._adapt import adapt_network, forward
from mldgg.meta._adapted import Adapted
from mldgg.meta._loop import Params
from mldgg.meta._model import Model
from mldgg.meta._search import Rehearsed
from mldgg.meta._solver import GatedSolver, Seen
from mldgg.meta._train import Trainer
from mldgg.meta._trust import Trust, judged

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the network in the mean with the ridge
FAR = 0.25  # total variation between class mixes above which a target is warned of
FOLDS = 2  # sources that play the target for the choice of the share: a network is trained for each


class ReadingWarning(UserWarning):
    """A target that differs from the sources in its class mix, or whose labels speak against them."""


class MLDGG(Model, Method):
    """Meta-learned structure and causal representation for graphs that were never seen (KDD 2025, arXiv 2411.12913).

    Args:
        variant: `gated` (ours, the default): edge gate, hops and source-centred ridge, averaged with the network.
            `repaired`: the published parts, made to train. `paper`: as described in the publication.
        seed: random seed.
        options: see `Settings`, e.g. elbo="ind", hidden_channels=64, num_pivots=1000, num_heads=4, skip=.3,
            inner_lr=.1, inner_steps=5, outer_lr=1e-3, order=1, backbone="gcn", share_gnn="auto".

    Attributes:
        settings: all options.
        names, classes: of the sources, of the class ids that they share (empty if they differ).
        shared: whether one theta_g, head and W_src serve all graphs.
        solver: gate, hops and ridge; None but in variant `gated`.
    """

    name = "mldgg"
    source = "KDD 2025, arXiv 2411.12913"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"inner_lr": (0.1, 0.01, 0.5), "adapt_lr": (0.01, 0.003)}

    def __init__(self, variant: str = "gated", *, seed: int = 0, **options: Any) -> None:
        Model.__init__(self, variant, seed, options)

    # --- fit ---

    def planned_epochs(self, sources: int) -> int:
        """Epochs of all trainings of a fit, those of rehearsals included, if the network takes part."""
        settings = self.settings
        trainings = 1 if settings.variant != "gated" else 1 + min(FOLDS, sources) if settings.network else 0
        return trainings * (settings.warm_epochs + settings.epochs)

    def fit(self, sources: Sequence[Any] | Mapping[str, Any], *, run: Run | None = None, each: Any = None) -> Self:
        """Learn from labelled graphs.

        Args:
            sources: PyG `Data` or `Graph`s, or a mapping of them by name. Features and classes may differ.
            run: an open run folder; each epoch's loss goes to its metrics.jsonl and its checkpoint is gone on from.
            each: called as each(epoch, loss) after every epoch.
        Raises: InputError for bad graphs, and for share_gnn=True where features or classes differ.
        """
        graphs = _graphs(sources)
        self._check_sources(graphs)
        settings = self.settings
        self.encoder = InputEncoder.fit(graphs) if self.shared and settings.words else None
        weights: list[np.ndarray | None] = [None] * len(graphs)
        search, self.share = None, 1.0
        if settings.variant == "gated":
            self.solver, search = GatedSolver.fit(
                graphs, shared=self.shared, seed=self.seed, gate=settings.gate, centre=settings.centre,
                encoder=self.encoder, joint=settings.joint,
            )  # fmt: skip
            weights, self.share = search.weights, 0.0
        if settings.variant == "gated" and not (settings.network and (self.shared or settings.structure)):
            return self
        tensors = [
            GraphTensors.of(graph, self.network_input(graph), weight)
            for graph, weight in zip(graphs, weights, strict=True)
        ]
        self.width = tensors[0].width
        if search is not None and self.solver is not None:
            self.share, self.steps = self._rehearse(search.rehearsed(self.solver.ridge, FOLDS), tensors, run, each)
        if self.share:
            self.params = self._train(tensors, "training", run, each)
        return self

    def _rehearse(
        self, rehearsed: list[Rehearsed], tensors: list[GraphTensors], run: Run | None, each: Any
    ) -> tuple[float, int]:
        """Share of the network in the mean, and its steps on a target, that serve best when sources play the target."""
        networks: dict[int, Params] = {}
        metric = metric_of_choice([one.rehearsal for one in rehearsed])
        steps = sorted({0, self.settings.adapt_steps})
        scores = np.zeros((len(steps), len(SHARES)))
        for one in rehearsed:
            place, target = one.rehearsal.place, one.rehearsal.target
            if place not in networks:
                learners = [replace(tensors[k], y=torch.from_numpy(graph.y)) for k, graph in one.rehearsal.learners]
                networks[place] = self._train(learners, f"rehearsal-{place}", run, each)
            shown = replace(tensors[place], y=torch.from_numpy(np.where(one.support, target.y, -1)))
            network = self.template(shown.width, shown.classes)
            for row, count in enumerate(steps):
                options = {"steps": count, "seed": self.seed}
                params = adapt_network(network, networks[place], shown, self.settings, **options)
                chances = forward(network, params, shown, self.seed).log_proba.exp().numpy()
                for column, share in enumerate(SHARES):
                    mean = share * chances + (1 - share) * one.chances
                    scores[row, column] += measure(mean[one.query], target.y[one.query], metric) / len(rehearsed)
        self.shares = {share: float(score) for share, score in zip(SHARES, scores.max(axis=0), strict=True)}
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        return SHARES[column], steps[row]

    def _check_sources(self, graphs: list[Graph]) -> None:
        for graph in graphs:
            if not (graph.y >= 0).any():
                raise InputError("y", got="no labelled node", expected="labels", where=f"source {graph.name!r}")
        first = graphs[0]
        alike = all(one.width == first.width and one.classes == first.classes for one in graphs)
        if self.settings.share_gnn is True and not alike:
            widths = ", ".join(f"{one.name}: {one.width} features, {len(one.classes)} classes" for one in graphs)
            raise InputError("share_gnn", got=f"True with {widths}", expected="equal features and classes")
        if len(graphs) == 1:
            warnings.warn("one source only: no variation between domains to learn from", LeakWarning, stacklevel=3)
        self.shared = alike and self.settings.share_gnn is not False
        self.names = tuple(graph.name for graph in graphs)
        self.classes = first.classes if alike else ()
        self.rows = [row_keys(graph) for graph in graphs]

    def _train(self, tensors: list[GraphTensors], name: str, run: Run | None, each: Any) -> Params:
        """Shared parameters after all epochs; the epochs of the last training, not those of rehearsals, are logged."""
        trainer = Trainer(tensors, self.settings, shared=self.shared, seed=self.seed)
        checkpoint = run.checkpoints / f"{name}.safetensors" if run is not None else None
        logged = run if name == "training" else None
        about = {"kind": "mldgg.training", "format_version": 1}
        if checkpoint is not None and checkpoint.exists():
            held = artifacts.Artifact(checkpoint, **about)
            trainer.restore({name: held.torch(name) for name in held.names})
        trainer.follow_first()
        if logged is not None:
            logged.rewind(trainer.epoch)

        def after(epoch: int, loss: float) -> None:
            if logged is not None:
                logged.log(epoch=epoch, loss=loss)
            if checkpoint is not None:
                artifacts.save(checkpoint, trainer.state(), **about, package="mldgg", force=True)
            if each is not None:
                each(epoch, loss)

        trainer.run(after)
        return trainer.shared

    # --- adapt ---

    def adapt(
        self, data: Any, support_mask: Any = None, steps: int | None = None, *, seed: int | None = None,
        transductive: bool = True,
    ) -> Adapted:  # fmt: skip
        """Adapt to a graph by its few labels, or without any where features and classes are the sources'.

        Args:
            data: PyG `Data` or `Graph`; y has the support's labels and -1 (or nothing at all) everywhere else.
            support_mask: (N,) bool; the labelled nodes by default.
            steps: gradient steps of the network; `adapt_steps` by default. The ridge is solved in closed form.
            seed: of pivots, masks and a new first layer; the model's by default.
            transductive: read the class mix, the shift of features and shared words off the target's unlabelled nodes
                (variant gated with shared features and classes); False leaves them.
        Raises: InputError if a label outside the support can be seen, or a class lacks one where no head is shared.
        """
        if not self.names:
            raise InputError("model", got="not fitted", expected="fit(...) first")
        name = getattr(data, "name", None)
        classes = self.classes if self.shared else None
        graph = data if isinstance(data, Graph) else open_graph(data, name or "target", classes=classes)
        if self.shared and graph.classes != self.classes:
            raise InputError(
                "classes", got=", ".join(graph.classes), expected=f"those of the sources: {', '.join(self.classes)}"
            )
        support = check_support(graph, support_mask, every_class=not self.shared)
        if self.shared and support.any():
            absent = [one for label, one in enumerate(graph.classes) if not (graph.y == label).any()]
            if absent:
                text = f"{graph.name}: no support node of class {', '.join(absent)}; the sources' is used"
                warnings.warn(text, LeakWarning, stacklevel=2)
        self._warn_of_overlap(graph)
        view = self.view(graph)
        params, seen, trust = None, None, None
        if self.solver is not None and view.z is not None:
            seen = self.solver.see(graph, view, transductive=transductive)
            trust = judged(seen.rows[support], graph.y[support], seen.ridge)
            self._warn_of_reading(graph, seen, trust)
        if view.tensors is not None and (trust is None or trust.believed):
            network = self.template(view.tensors.width, len(graph.classes))
            chosen = self.steps if steps is None else steps
            options = {"steps": chosen, "seed": self.seed if seed is None else seed}
            params = adapt_network(network, self.params, view.tensors, self.settings, **options)
        return Adapted(self, graph, params, seen, trust)

    def _warn_of_reading(self, graph: Graph, seen: Seen, trust: Trust) -> None:
        if seen.reading is not None and seen.reading.distance > FAR:
            text = f"{graph.name}: its class mix looks {100 * seen.reading.distance:.0f} % away from the sources'"
            warnings.warn(text, ReadingWarning, stacklevel=3)
        if not trust.believed:
            text = f"{graph.name}: its own labels speak against the sources, which are left out"
            warnings.warn(text, ReadingWarning, stacklevel=3)

    def _warn_of_overlap(self, graph: Graph) -> None:
        own = row_keys(graph)
        for name, keys in zip(self.names, self.rows, strict=True):
            shared = np.intersect1d(own, keys, assume_unique=True).size
            share = shared / max(min(len(own), len(keys)), 1)
            if share > OVERLAP:
                text = f"{shared} rows of target {graph.name} are rows of source {name} ({100 * share:.0f} %)"
                warnings.warn(text, LeakWarning, stacklevel=3)

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) class probabilities of a target after adaptation to the labels that it shows."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReadingWarning)  # of one target among many: `adapt` says it
            return self.adapt(target).predict_proba()


def _graphs(sources: Sequence[Any] | Mapping[str, Any]) -> list[Graph]:
    if isinstance(sources, GraphDomains):
        return list(sources.values())
    if isinstance(sources, Mapping):
        return list(GraphDomains(sources).values())
    named: dict[str, Any] = {}
    for number, one in enumerate(sources):
        name = getattr(one, "name", None)
        named[name if isinstance(name, str) and name not in named else f"graph{number}"] = one
    if sources and all(isinstance(one, Graph) for one in sources):  # checked when they were made
        return list(named.values())
    return list(GraphDomains(named).values())
