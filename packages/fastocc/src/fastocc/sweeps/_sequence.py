"""What each recording becomes: its sweeps in order of time, the frames that get labels, and the cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ninefold.errors import InputError

from fastocc.datasets import Sweep, check_name, generate_labels
from fastocc.geometry import CameraRig, GridSpec


@dataclass(frozen=True)
class SweepSequence:
    """One scene.

    Attributes:
        name: of the scene. frames: place among the sweeps of each frame that gets labels, by its token.
        load: reads the sweeps; one scene at a time is in memory.
        rigs: cameras by token, where the recording says which there are.
    """

    name: str
    frames: Mapping[str, int]
    load: Callable[[], list[Sweep]]
    rigs: Mapping[str, CameraRig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "scene")
        for token in self.frames:
            check_name(token, "token")


def label_sequence(
    sequence: SweepSequence, grid: GridSpec, rig: CameraRig | None = None, *, around: int = 40, **options: Any
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:  # fmt: skip
    """Token and labels of each frame of a scene, see `generate_labels`.

    Args:
        sequence: the scene. grid: voxels. rig: cameras; None takes the recording's own.
        around: sweeps before and after a frame that are gathered for it.
        options: of `generate_labels`.
    Raises: InputError where no cameras are known.
    """
    if around < 0:
        raise InputError("around", got=around, expected="at least 0 sweeps")
    sweeps = sequence.load()
    for token, at in sequence.frames.items():
        cameras = rig or sequence.rigs.get(token)
        if cameras is None:
            raise InputError("cameras", expected="--rig: the recording does not say which there are")
        first = max(0, at - around)
        near = sweeps[first : at + around + 1]
        yield token, generate_labels(near, at - first, grid, cameras, **options)
