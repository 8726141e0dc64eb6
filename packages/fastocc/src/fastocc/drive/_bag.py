"""ROS 2 bags as mcap files (extra `bags`): pictures and ego motion, with no ROS installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import ArtifactError, InputError, NinefoldError, require

from fastocc.drive._cdr import COMPRESSED, IMAGE, ODOMETRY, TF, CdrReader, StampedPose, read_picture, read_poses
from fastocc.drive._poses import from_odometry, from_tf
from fastocc.drive._sources import Pictures, Pixels, Recording, decode, fit_pixels


def read_messages(path: Path, topics: list[str] | None = None) -> Iterator[tuple[str, str, bytes]]:
    """(topic, type, bytes) of an mcap file's messages in CDR, in the order of the file; of all topics or some.

    Raises: MissingExtraError without the extra; ArtifactError if the file is truncated, or none.
    """
    reading: Any = require("mcap.reader", "fastocc", "bags")
    try:
        with path.open("rb") as file:
            for schema, channel, message in reading.make_reader(file).iter_messages(topics, log_time_order=False):
                if schema is not None and channel.message_encoding == "cdr":
                    yield channel.topic, schema.name, message.data
    except NinefoldError:
        raise
    except Exception as error:  # mcap, its decompressors and struct have no common base
        if isinstance(error, (KeyboardInterrupt, MemoryError)):
            raise
        reason = f"is truncated, or no mcap file ({type(error).__name__}: {error})"
        raise ArtifactError(path, reason) from None


class Bag(Recording):
    """One mcap file. It is read twice from front to back: for the times, then for the pictures.

    Args:
        path: the file. sizes: (height, width) of the pictures by camera. topics: by camera, for those given by name;
            else the one image topic with the camera's name as a part of its path (in any case).
    """

    kind: ClassVar[str] = "a ROS 2 bag"

    def __init__(self, path: Path, sizes: Mapping[str, tuple[int, int]], topics: Mapping[str, str]) -> None:
        self.path, self.sizes = path, sizes
        stamps: dict[str, list[float]] = {}
        odometry: list[StampedPose] = []
        tf: list[StampedPose] = []
        for topic, kind, data in self._messages(None):
            where = f"{path}, topic {topic}"
            if kind in (COMPRESSED, IMAGE):
                stamps.setdefault(topic, []).append(CdrReader(data, where).stamp())
            elif kind == ODOMETRY:
                odometry += read_poses(kind, data, where)
            elif kind == TF:
                tf += read_poses(kind, data, where)
        self.topics = {name: topics.get(name) or self._topic(name, list(stamps)) for name in sizes}
        for name, topic in self.topics.items():
            if topic not in stamps:
                raise InputError(f"camera {name}", got=f"topic {topic}", expected=_list(stamps), where=path)
        self._order = {name: np.argsort(stamps[topic], kind="stable") for name, topic in self.topics.items()}
        self.times = {name: np.array(stamps[topic])[self._order[name]] for name, topic in self.topics.items()}
        self.trajectory = from_odometry(odometry) or from_tf(tf)

    def _topic(self, name: str, topics: list[str]) -> str:
        found = [one for one in topics if name.lower() in one.lower().split("/")]
        if len(found) != 1:
            raise InputError(
                f"camera {name}", got=_list(found) if found else "no topic of that name",
                expected=f"`source:` in the rig, one of {_list(topics)}", where=self.path,
            )  # fmt: skip
        return found[0]

    def _messages(self, topics: list[str] | None) -> Iterator[tuple[str, str, bytes]]:
        return read_messages(self.path, topics)

    def read(self, plan: Sequence[Mapping[str, int]], size: tuple[int, int] | None) -> Iterator[Pictures]:
        """See `Recording.read`."""
        wanted = {name: {int(self._order[name][one[name]]) for one in plan} for name in self.topics}
        names: dict[str, list[str]] = {}
        for name, topic in self.topics.items():
            names.setdefault(topic, []).append(name)
        held: dict[tuple[str, int], Pixels | ArtifactError] = {}
        counts, coming = dict.fromkeys(names, 0), 0
        for topic, kind, data in self._messages(list(names)):
            at = counts[topic]
            counts[topic] += 1
            where = f"{self.path}, topic {topic}, message {at}"
            for name in names[topic]:
                if at in wanted[name]:
                    try:
                        held[name, at] = self._pixels(kind, data, name, where, size)
                    except ArtifactError as error:
                        held[name, at] = error
            while coming < len(plan):
                keys = [(name, int(self._order[name][plan[coming][name]])) for name in self.topics]
                if not all(key in held for key in keys):
                    break
                found = {name: held[name, at] for name, at in keys}
                errors = [one for one in found.values() if isinstance(one, ArtifactError)]
                yield errors[0] if errors else found  # type: ignore[misc]
                coming += 1
                later = plan[coming] if coming < len(plan) else None
                for name, at in keys:
                    if later is None or int(self._order[name][later[name]]) != at:
                        held.pop((name, at), None)
            if coming == len(plan):
                return

    def _pixels(self, kind: str, data: bytes, name: str, where: str, size: tuple[int, int] | None) -> Pixels:
        found = read_picture(kind, data, where)
        fit = decode if isinstance(found, bytes) else fit_pixels
        return fit(found, name, where, self.sizes[name], size)  # type: ignore[arg-type]


def _list(topics: Any) -> str:
    return ", ".join(sorted(topics)) or "no topic with images"
