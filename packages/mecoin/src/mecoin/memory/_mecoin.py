"""The public face: a model that learns base classes once, then new ones from a few labels, by their names.

A file's checksums say that its arrays are those that were written, no more: whether they fit is checked here.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import UNKNOWN, Graph, array_of, check_finite, check_shapes, from_pyg, under, whole_number
from torch import nn

from mecoin.encoders._encoder import Encoder, ModuleEncoder
from mecoin.memory._plus import ROUNDS, MecoinPlus
from mecoin.protocol._doors import checked_support, encoder_of, mask_of
from mecoin.protocol._learner import MemoryLearner
from mecoin.sessions._stream import MODES, Session, refuse_future

READERS = {"mecoin+": "mecoin.Mecoin.load", "paper": "mecoin.paper.PaperModel.load"}  # by the variant in a file


def settings_in_file(kind: Any, meta: Mapping[str, Any], version: int, path: Path) -> dict[str, Any]:
    """Arguments of a model of this kind, from a file's metadata.

    Raises: ArtifactError for a model of another kind or of version 0.1.0, and for settings that are gone.
    """
    variant = meta["variant"]
    if variant != kind.variant:
        reader = READERS.get(variant)
        how = f"read it with {reader}" if reader else "this version has no such variant; version 0.1.0 reads it"
        raise ArtifactError(path, f"holds a model of variant {variant!r}: {how}")
    known = inspect.signature(kind).parameters
    gone = {"metric": (None, kind.metric), "proto_per_class": (1,)}  # settings until 0.2, and what they are now
    odd = any(name not in known and meta.get(name, now[0]) not in now for name, now in gone.items())
    if version == 1 or meta["encoder"] == "both" or odd:
        raise ArtifactError(path, "was made by an older version, with settings that this one has not; fit it anew")
    return {name: value for name, value in meta.items() if name in known}


def check_model(
    learner: MemoryLearner, encoder: Encoder, labels: tuple[Any, ...], support: np.ndarray, owners: np.ndarray
) -> None:
    """ValueError unless labels, prototypes and support belong together, and two made-up nodes get probabilities."""
    classes, smu, many = learner.classes, learner.content.smu, len(labels)
    found = {"classes": (classes, (many,)), "owners": (owners, (len(support),)), "support": (support, owners.shape)}
    found["smu.owner"] = smu.owner, (len(smu.prototypes),)
    check_shapes(found)
    if np.unique(classes).size != many or not np.array_equal(classes, list(dict.fromkeys(smu.owner.tolist()))):
        raise ValueError("prototypes belong to other classes than the model has")
    if owners.size and not -3 < owners.min() <= owners.max() < many:
        raise ValueError(f"owners are outside of {many} labels")
    if encoder.kind != "own":  # a module of the user's own is not called unasked
        x = np.ones((2, encoder.width), np.float32)
        z = encoder.embed(Graph(x, np.zeros((2, 0), np.int64), np.full(2, -1), ()))
        check_shapes({"probabilities": (learner.probabilities(z), (2, many))})


KIND, FORMAT = "mecoin.model", 2
FORGOTTEN = -2  # owner of a node whose class was dropped


@dataclass(frozen=True)
class _State:
    """What a session changes, replaced by one assignment: an interrupted one leaves the state before it."""

    learner: MemoryLearner
    labels: tuple[Hashable, ...]  # by class code
    support: np.ndarray  # ids of all nodes whose labels were used
    owners: np.ndarray  # their classes, as places in `labels`, or FORGOTTEN


class Mecoin:
    """Node classes that come one after another, five labels each.

    This is `mecoin+` (ours): prototypes in the whitened output of an encoder, refined with unlabelled nodes. The
    published method with the same interface is `mecoin.paper.PaperModel`.

    Args:
        encoder: "sgc", "gcn", "gat" (extra `pyg`), or a trained `torch.nn.Module` of your own, called as
            `module(x, edge_index)`, of which a frozen copy is kept. Left out: that of "sgc" and "gcn" which serves best
            on the base classes themselves, of which some act as new.
        hidden: dimension of the output of each encoder.
        transductive: refine new prototypes with the unlabelled nodes of the session's graph; False if these must not be
            read.
        mode: "inductive" refuses graphs with labelled nodes of classes that have not come yet; "transductive" does not.
        seed: random seed.
    Raises: InputError naming a setting that is wrong.

    Examples:
        >>> import numpy as np
        >>> from mecoin import Mecoin, SessionStream, Simulated
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> first, second, _ = stream
        >>> model = Mecoin(encoder="sgc", hidden=16).fit_base(first.graph, np.isin(first.graph.ids, first.train))
        >>> support = {data.classes[code]: nodes for code, nodes in second.support.items()}
        >>> model.add_classes(second.graph, support).labels
        (0, 1, 2, 3, 4)
        >>> model.predict(second.graph, second.test).shape == second.test.shape
        True
    """

    variant: ClassVar[str] = "mecoin+"
    metric: ClassVar[str] = "whitened"  # in files, of which those of version 0.1.0 may have another
    default_encoder: ClassVar[str | None] = None  # None: chosen on the base classes

    def __init__(
        self, encoder: str | Encoder | nn.Module | None = None, hidden: int = 128, transductive: bool = True,
        mode: str = "inductive", seed: int = 0,
    ) -> None:  # fmt: skip
        if not isinstance(transductive, bool):
            raise InputError("transductive", got=repr(transductive), expected="True or False")
        self._set_up(encoder, hidden, mode, seed, transductive=transductive)

    def _set_up(self, encoder: str | Encoder | nn.Module | None, hidden: int, mode: str, seed: int, **own: Any) -> None:
        if mode not in MODES:
            raise InputError("mode", got=repr(mode), expected=" or ".join(MODES))
        self.settings: dict[str, Any] = {"variant": self.variant, **own, "mode": mode}
        self.settings |= {"hidden": whole_number("hidden", hidden, 1), "seed": whole_number("seed", seed, 0)}
        self._choose = encoder is None and self.default_encoder is None
        self._options: dict[str, Any] = {}  # of the learner, as they were chosen
        given = encoder if encoder is not None else self.default_encoder or MecoinPlus.encoder_kind
        self._encoder = encoder_of(given, hidden)
        self._state: _State | None = None

    def fit_base(self, data: Any, train_mask: Any = None, val_mask: Any = None) -> Self:
        """Learn the base classes: the encoder, then the memory. Returns itself.

        Args:
            data: a Graph, PyG `Data`, or anything else that `from_pyg` reads, such as a networkx graph.
            train_mask: (n,) bool, nodes whose labels are used; all labelled ones outside val_mask if omitted.
            val_mask: (n,) bool, nodes for early stopping.
        A call that fails leaves the model as it was.
        Raises: InputError if masks overlap, have another shape, or a training node has no label.
        """
        graph = from_pyg(data)
        held = mask_of("val_mask", np.zeros(len(graph), bool) if val_mask is None else val_mask, graph)
        train = mask_of("train_mask", (graph.y != UNKNOWN) & ~held if train_mask is None else train_mask, graph)
        if (train & held).any():
            raise InputError("val_mask", got=f"{int((train & held).sum())} training nodes", expected="other nodes")
        if not train.any():
            raise InputError("train_mask", got="no node", expected="labelled nodes of at least two classes")
        if (graph.y[train] == UNKNOWN).any():
            node = graph.ids[train & (graph.y == UNKNOWN)][0]
            raise InputError(f"node {graph.title(node)}", got="no label", expected="a label, as train_mask has it")
        codes = np.unique(graph.y[train])
        if codes.size < 2:
            raise InputError("train_mask", got=f"nodes of {codes.size} class", expected="at least two base classes")
        labels = tuple(graph.classes[code] for code in codes)
        self._check_future(graph, set(labels))
        held = held & np.isin(graph.y, codes)  # not in place: the mask is the caller's
        y = np.full(len(graph), UNKNOWN)
        y[train | held] = np.searchsorted(codes, graph.y[train | held])
        known = Graph(graph.x, graph.edge_index, y, labels, graph.ids, weight=graph.weight)
        seed = self.settings["seed"]
        support = {code: known.ids[train & (y == code)] for code in range(len(labels))}
        encoder, options = copy.deepcopy(self._encoder), self._options  # the old one stays until all is done
        if self._choose:
            options = MecoinPlus.chosen(_base_session(known, support, known.ids[held]), seed, keep=False)
            encoder = encoder_of(options.pop("encoder"), self.settings["hidden"])
        encoder.fit(known, np.flatnonzero(train), np.flatnonzero(held), seed)
        learner = self._learner(encoder, options)
        learner.fit_base(known, support, known.ids[held])
        self._encoder, self._options = encoder, options
        self._state = _State(learner, labels, known.ids[train], y[train])
        return self

    def add_classes(self, data: Any, support: Mapping[Hashable, Iterable[int]], *, update: bool = False) -> Self:
        """Learn new classes from a few labelled nodes each, without touching the old ones. Returns itself.

        Args:
            data: the graph as it is now; it may have more nodes and edges than before.
            support: by label the ids of its labelled nodes.
            update: learn labels anew that are known already, instead of refusing them.
        An interrupted call leaves the model as it was.
        Raises: InputError if a label is known, a node is listed twice or under two labels, or is not in the graph.
        """
        state, graph = self._fitted(), from_pyg(data)
        given = checked_support(support, graph)
        known = [label for label in given if label in state.labels]
        if known and not update:
            hint = "update=True learns it anew"
            raise InputError(f"label {known[0]!r}", got="a known class", expected="a new one", hint=hint)
        self._check_future(graph, {*state.labels, *given})
        state = self._without(known) if known else state
        self._check_new(graph, state, given)
        learner = copy.copy(state.learner)
        first = max(learner.classes.tolist(), default=-1) + 1
        learner.add_classes(graph, {first + at: nodes for at, nodes in enumerate(given.values())})
        used = np.concatenate([state.support, *given.values()])
        places = np.arange(len(state.labels), len(state.labels) + len(given))
        owners = np.concatenate([state.owners, np.repeat(places, [len(nodes) for nodes in given.values()])])
        self._state = _State(learner, (*state.labels, *given), used, owners)
        return self

    def predict(self, data: Any, nodes: Iterable[int] | None = None, *, unknown: bool = False) -> np.ndarray:
        """(m,) labels of the nodes with these ids; of all, if left out.

        unknown: answer None for nodes whose `novelty` is above 1.
        The array has dtype object. `np.unique` cannot sort labels of different types, such as integers and text.
        """
        graph, state = from_pyg(data), self._fitted()
        places = self._places(graph, nodes)
        labels = np.empty(len(state.labels), dtype=object)
        labels[:] = state.labels
        best = labels[state.learner.columns(graph, places)]
        if unknown:
            best[state.learner.novelty(graph, places) > 1] = None
        return best

    def predict_proba(self, data: Any, nodes: Iterable[int] | None = None) -> np.ndarray:
        """(m, C) probabilities, columns as in `labels`."""
        graph = from_pyg(data)
        return self._fitted().learner.probabilities(self._encoder.embed(graph)[self._places(graph, nodes)])

    def novelty(self, data: Any, nodes: Iterable[int] | None = None) -> np.ndarray:
        """(m,) how far each node is from all known classes; above 1, farther than about 95 % of its nearest class."""
        graph = from_pyg(data)
        return self._fitted().learner.novelty(graph, self._places(graph, nodes))

    def evaluate(self, data: Any, nodes: Iterable[int]) -> dict[str, float]:
        """Accuracy in per cent; refuses nodes without a label, and those whose labels the model was given."""
        graph, wanted = from_pyg(data), np.asarray(list(array_of(nodes)))
        overlap = np.intersect1d(wanted, self._fitted().support)
        if overlap.size:
            got = f"{overlap.size} support nodes, such as {graph.title(overlap[0])}"
            raise InputError("test nodes", got=got, expected="others")
        codes = graph.y[graph.positions(wanted, "test nodes")]
        if (codes == UNKNOWN).any():
            node = graph.title(wanted[codes == UNKNOWN][0])
            raise InputError(f"test node {node}", got="no label", expected="labelled nodes")
        truth = [graph.classes[code] for code in codes]
        right = [one == two for one, two in zip(self.predict(graph, wanted), truth, strict=True)]
        return {"nodes": len(right), "accuracy": 100 * float(np.mean(right)) if right else float("nan")}

    def forget(self, labels: Iterable[Hashable]) -> Self:
        """Drop classes. Returns itself. Raises: InputError if one is not known, or none would be left."""
        wanted = list(labels)
        for label in wanted:
            if label not in self.labels:
                raise InputError(f"label {label!r}", expected=f"one of {', '.join(map(repr, self.labels))}")
        if len(set(wanted)) == len(self.labels):
            raise InputError("labels", got="all of them", expected="some that stay")
        self._state = self._without(wanted)
        return self

    @property
    def labels(self) -> tuple[Hashable, ...]:
        """Labels known so far, in the order in which they came."""
        return self._fitted().labels

    def memory_report(self) -> dict[str, int]:
        """Bytes by part, the encoder's too."""
        return {**self._fitted().learner.memory_report(), "encoder": self._encoder.nbytes}

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write one safetensors file (of an encoder of your own: its state); ArtifactError if it exists and `force` is
        off."""
        state = self._fitted()
        for label in state.labels:
            if not isinstance(label, str | int | float | np.generic):
                got = type(label).__name__
                raise InputError(f"label {label!r}", got=got, expected="a text or a number, to be saved")
        arrays = {f"encoder.{key}": array for key, array in self._encoder.arrays().items()}
        arrays |= {f"memory.{key}": array for key, array in state.learner.state().items()}
        arrays |= {"support": state.support, "owners": state.owners, "classes": state.learner.classes}
        labels = [one.item() if isinstance(one, np.generic) else one for one in state.labels]
        meta = {**self.settings, "encoder": self._encoder.kind, "labels": labels}
        artifacts.save(path, arrays, kind=KIND, format_version=FORMAT, package="mecoin", meta=meta, force=force)

    @classmethod
    def load(cls, path: str | Path, encoder: nn.Module | None = None) -> Self:
        """Read what `save` wrote; ArtifactError with path and reason if it is not whole.

        encoder: a module of the same structure, for a model that was made with an encoder of your own.
        """
        held = artifacts.Artifact(path, kind=KIND, format_version=FORMAT)
        arrays = {name: held.numpy(name) for name in held.names}
        try:
            check_finite(arrays)
            meta = dict(held.meta)
            labels = tuple(meta.pop("labels"))
            if meta["encoder"] == ModuleEncoder.kind:
                if encoder is None:
                    raise InputError("encoder", got="none", expected="the module that the model was made with",
                                     hint="load(path, encoder=module)")  # fmt: skip
                meta["encoder"] = encoder
            made = cls(**settings_in_file(cls, meta, held.about["format_version"], Path(path)))
            made._encoder.load(under(arrays, "encoder."))
            learner = made._learner(made._encoder, {})
            learner.classes = arrays["classes"]
            learner.restore(under(arrays, "memory."))
            check_model(learner, made._encoder, labels, arrays["support"], arrays["owners"])
            made._state = _State(learner, labels, arrays["support"], arrays["owners"])
        except (AttributeError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
            raise ArtifactError(path, f"is no whole model: {error}") from None
        return made

    def _learner(self, encoder: Encoder, options: Mapping[str, Any]) -> MemoryLearner:
        rounds = ROUNDS if self.settings["transductive"] else 0
        return MecoinPlus(encoder, rounds=rounds, seed=self.settings["seed"], **options)

    def _fitted(self) -> _State:
        if self._state is None:
            raise InputError("model", got="one that has learnt nothing", expected="fit_base first")
        return self._state

    def _places(self, graph: Graph, nodes: Iterable[int] | None) -> np.ndarray:
        self._fitted()
        if nodes is None:
            return np.arange(len(graph))
        return graph.positions(np.asarray(list(array_of(nodes))))

    def _without(self, labels: list[Hashable]) -> _State:
        state = self._fitted()
        learner = copy.copy(state.learner)
        place = {label: at for at, label in enumerate(state.labels)}
        learner.forget(learner.classes[[place[label] for label in labels]])
        kept = [one for one in state.labels if one not in labels]
        moved = np.array([*(kept.index(one) if one in kept else FORGOTTEN for one in state.labels), FORGOTTEN])
        owners = moved[np.maximum(state.owners, -1)]  # the last entry is that of the forgotten
        return _State(learner, tuple(kept), state.support, owners)

    def _check_future(self, graph: Graph, seen: set[Hashable]) -> None:
        if self.settings["mode"] == "inductive":
            refuse_future(graph, seen)

    @staticmethod
    def _check_new(graph: Graph, state: _State, given: Mapping[Hashable, np.ndarray]) -> None:
        """Refuse labels that differ from known ones in nothing but their type, and nodes of other classes."""
        by_text = {str(label): label for label in state.labels}
        for label, nodes in given.items():
            same = by_text.setdefault(str(label), label)
            if same is not label and (same != label or type(same) is not type(label)):
                got = f"a {type(label).__name__}"
                raise InputError(f"label {label!r}", got=got, expected=f"another name than {same!r} has")
            used = np.isin(nodes, state.support[state.owners != FORGOTTEN])
            if used.any():
                node = nodes[used][0]
                owner = state.labels[state.owners[state.support == node].max()]
                got = f"a node whose label was learnt before under {owner!r}"
                raise InputError(f"support node {graph.title(node)} of {label!r}", got=got, expected="other nodes")


def _base_session(graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> Session:
    """The base session that a graph of base classes is, without test nodes."""
    codes, none = np.array(list(support)), np.zeros(0, np.int64)
    truth = graph.y[graph.positions(validation)]
    return Session(0, graph, codes, codes, support, validation, truth, none, none)
