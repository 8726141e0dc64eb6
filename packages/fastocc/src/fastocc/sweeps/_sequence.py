"""What each recording becomes: its sweeps in order of time, the frames that get labels, and the cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from ninefold.errors import InputError

from fastocc.datasets import Sweep, check_name, generate_labels
from fastocc.geometry import CameraRig, GridSpec


@dataclass(frozen=True)
class SweepFiles(Sequence[Sweep]):
    """Sweeps on disk, each read when it is asked for: a sequence of KITTI has 10 GB of them."""

    length: int
    read: Callable[[int], Sweep]

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, at: int) -> Sweep: ...
    @overload
    def __getitem__(self, at: slice) -> list[Sweep]: ...
    def __getitem__(self, at: int | slice) -> Sweep | list[Sweep]:
        places = range(self.length)[at]
        return self.read(places) if isinstance(places, int) else [self.read(one) for one in places]


@dataclass(frozen=True)
class SweepSequence:
    """One scene.

    Attributes:
        name: of the scene. frames: place among the sweeps of each frame that gets labels, by its token.
        sweeps: in order of time.
        rigs: cameras by token, where the recording says which there are.
    """

    name: str
    frames: Mapping[str, int]
    sweeps: Sequence[Sweep]
    rigs: Mapping[str, CameraRig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "scene")
        for token in self.frames:
            check_name(token, "token")


def label_sequence(
    sequence: SweepSequence, grid: GridSpec, rig: CameraRig | None = None, *, around: int = 40, **options: Any
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:  # fmt: skip
    """Token and labels of each frame of a scene, see `generate_labels`; of the sweeps those around it are in memory.

    Args:
        sequence: the scene. grid: voxels. rig: cameras; None takes the recording's own.
        around: sweeps before and after a frame that are gathered for it.
        options: of `generate_labels`.
    Raises: InputError where no cameras are known.
    """
    if around < 0:
        raise InputError("around", got=around, expected="at least 0 sweeps")
    known: dict[int, Sweep] = {}
    for token, at in sequence.frames.items():
        cameras = rig or sequence.rigs.get(token)
        if cameras is None:
            raise InputError("cameras", expected="--rig: the recording does not say which there are")
        near = range(len(sequence.sweeps))[max(0, at - around) : at + around + 1]
        known = {place: known[place] if place in known else sequence.sweeps[place] for place in near}
        yield token, generate_labels(list(known.values()), at - near.start, grid, cameras, **options)
