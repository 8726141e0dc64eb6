"""Which node goes where: drawn once, asserted disjoint, kept as split.json."""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError
from ninefold.files import digest, write_text
from ninefold_graphs import Graph, whole_number

MODES = ("inductive", "transductive")
KIND, FORMAT = "mecoin.split", 1
TEST_BASE, VALIDATION_BASE, TEST_NOVEL = 0.2, 0.2, 0.8  # shares of a class
PARTS = ("support", "validation", "test")


def is_split(path: Path) -> bool:
    """Whether a file is one that `Split.save` wrote."""
    begin = json.dumps({"kind": KIND}).removesuffix("}").encode()
    with path.open("rb") as file:
        return file.read(len(begin)) == begin


@dataclass(frozen=True)
class SessionSplit:
    """One session's new classes: node ids by class name, in three disjoint parts."""

    classes: tuple[Hashable, ...]
    support: Mapping[Hashable, np.ndarray]
    validation: Mapping[Hashable, np.ndarray]
    test: Mapping[Hashable, np.ndarray]

    @property
    def nodes(self) -> np.ndarray:
        """Ids of all nodes of the new classes."""
        return np.concatenate([nodes for part in PARTS for nodes in getattr(self, part).values()])


@dataclass(frozen=True)
class Split:
    """Sessions of node ids. `draw` makes one, `save` and `load` keep it; all assert that no node stands twice.

    Examples:
        >>> from mecoin import SessionStream, Simulated, Split
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> stream.save("split.json")
        >>> Split.load("split.json").digest == stream.split.digest
        True
    """

    mode: str
    way: int
    shot: int
    seed: int
    sessions: tuple[SessionSplit, ...]

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError("mode", got=repr(self.mode), expected=" or ".join(MODES))
        seen: dict[int, str] = {}
        named = ((index, part) for index in range(len(self.sessions)) for part in PARTS)
        for index, part in named:
            for name, nodes in getattr(self.sessions[index], part).items():
                place = f"{part} of class {name!r} in session {index}"
                for node in nodes.tolist():
                    if node in seen:
                        got = f"in {seen[node]} and in {place}"
                        raise InputError(f"node {node}", got=got, expected="one place for each node")
                    seen[node] = place

    @classmethod
    def draw(
        cls, data: Graph, *, base: int, way: int, shot: int, mode: str, seed: int, sessions: int | None = None,
        last: Collection[int] = (),
    ) -> Split:  # fmt: skip
        """Draw a split: the largest classes are the base, 60/20/20 for support, validation and test; of a new class
        80 % are for the test, and its support is drawn from the rest (or from all, if the rest is too small).

        last: codes of classes that are no base classes, however large they are.
        """
        sizes = np.bincount(data.y[data.y >= 0], minlength=len(data.classes))
        classes = np.lexsort((np.arange(len(sizes)), -sizes, np.isin(np.arange(len(sizes)), list(last))))
        classes = classes[sizes[classes] > 0]
        for name, value in (("way", way), ("shot", shot), ("base", base)):
            whole_number(name, value, 1)
        seed = whole_number("seed", seed, 0)
        if base >= len(classes):
            raise InputError("base", got=base, expected=f"fewer than the {len(classes)} classes that have nodes")
        possible = (len(classes) - base) // way
        sessions = possible if sessions is None else whole_number("sessions", sessions, 1)
        if not 1 <= sessions <= possible:
            raise InputError("sessions", got=sessions, expected=f"1 to {possible}: {len(classes)} classes are there")
        draws = np.random.default_rng(seed)
        novel = draws.permutation(classes[base:])
        groups = [classes[:base], *np.split(novel[: sessions * way], sessions)]
        parts = []
        for index, group in enumerate(groups):
            made: dict[str, dict[Hashable, np.ndarray]] = {part: {} for part in PARTS}
            for code in group:
                nodes = draws.permutation(data.ids[data.y == code])
                cuts = _base_cuts(len(nodes)) if index == 0 else _novel_cuts(len(nodes), shot)
                for part, some in zip(PARTS, np.split(nodes, cuts), strict=True):
                    made[part][data.classes[code]] = np.sort(some)
            parts.append(SessionSplit(tuple(data.classes[code] for code in group), **made))
        return cls(mode, way, shot, seed, tuple(parts))

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write split.json, atomically; ArtifactError if it exists, unless it is a split and `force` is on."""
        head = {"kind": KIND, "format_version": FORMAT, "digest": self.digest}
        write_text(path, json.dumps({**head, **self._body()}) + "\n", force=force, ours=is_split)

    @property
    def digest(self) -> str:
        """Of all that it says."""
        return _digest(self._body())

    def _body(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in ("mode", "way", "shot", "seed")}
        sessions = [
            {"classes": list(map(_plain, one.classes))}
            | {part: [getattr(one, part)[name].tolist() for name in one.classes] for part in PARTS}
            for one in self.sessions
        ]
        return {**named, "sessions": sessions}

    @classmethod
    def load(cls, path: str | Path) -> Split:
        """Read split.json; ArtifactError with path and reason if it is damaged, foreign or newer."""
        path = Path(path)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ArtifactError(path, f"cannot be read: {error.strerror}") from None
        except ValueError:
            raise ArtifactError(path, "is damaged, or no split: it is no JSON") from None
        if not isinstance(document, dict) or document.get("kind") != KIND:
            raise ArtifactError(path, f"is no {KIND}")
        version = document.get("format_version")
        if type(version) is not int or version > FORMAT:
            raise ArtifactError(path, f"has format version {version!r}, newer than {FORMAT}; update mecoin")
        body = {key: value for key, value in document.items() if key not in ("kind", "format_version", "digest")}
        if document.get("digest") != _digest(body):
            raise ArtifactError(path, "is damaged: its content does not match its digest")
        return cls(body["mode"], body["way"], body["shot"], body["seed"], tuple(map(_session, body["sessions"])))


def _base_cuts(n: int) -> list[int]:
    test, validation = round(TEST_BASE * n), round(VALIDATION_BASE * n)
    return [n - test - validation, n - test]


def _novel_cuts(n: int, shot: int) -> list[int]:
    support = min(shot, n)
    return [support, max(support, n - round(TEST_NOVEL * n))]


def _session(one: Mapping[str, Any]) -> SessionSplit:
    names = tuple(one["classes"])
    lists = ({name: np.array(nodes, np.int64) for name, nodes in zip(names, one[part], strict=True)} for part in PARTS)
    return SessionSplit(names, *lists)


def _plain(name: Hashable) -> Any:
    return name.item() if isinstance(name, np.generic) else name


def _digest(body: Mapping[str, Any]) -> str:
    return digest(json.dumps(body, sort_keys=True).encode())
