"""Video files, one a camera, decoded by PyAV (extra `video`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import ArtifactError, require

from fastocc.drive._sources import Pixels, Recording, fit_pixels


class Videos(Recording):
    """A video for each camera; each begins at its offset.

    Args:
        files: by camera. sizes: (height, width) of its pictures. offsets: seconds of the first picture, by camera.
    """

    kind: ClassVar[str] = "videos"

    def __init__(
        self, files: Mapping[str, Path], sizes: Mapping[str, tuple[int, int]], offsets: Mapping[str, float]
    ) -> None:
        self.av = require("av", "fastocc", "video")
        self.files, self.sizes, self.times = files, sizes, {}
        for name, path in files.items():
            with self._open(path) as container:
                stream = container.streams.video[0]
                try:
                    stamps = sorted(one.pts for one in container.demux(stream) if one.pts is not None)
                except self.av.FFmpegError as error:
                    raise ArtifactError(path, f"is truncated, or no video (camera {name}: {error})") from None
                if not stamps:
                    raise ArtifactError(path, f"holds no picture (camera {name})")
                seconds = (np.array(stamps) - stamps[0]) * float(stream.time_base)
                self.times = {**self.times, name: seconds + offsets.get(name, 0.0)}

    def _open(self, path: Path) -> Any:
        try:
            container = self.av.open(str(path))
        except (OSError, self.av.FFmpegError) as error:
            raise ArtifactError(path, f"is truncated, or no video ({error})") from None
        if not container.streams.video:
            container.close()
            raise ArtifactError(path, "holds no video")
        return container

    def read(self, plan: Sequence[Mapping[str, int]], size: tuple[int, int] | None) -> Iterator[dict[str, Pixels]]:
        """See `Recording.read`; pictures before the first chosen one are decoded and dropped."""
        streams = {name: self._pictures(name, [chosen[name] for chosen in plan], size) for name in self.files}
        for _ in plan:
            yield {name: next(stream) for name, stream in streams.items()}

    def _pictures(self, name: str, chosen: list[int], size: tuple[int, int] | None) -> Iterator[Pixels]:
        path, wanted, done = self.files[name], iter(chosen), 0
        at = next(wanted)
        with self._open(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            decoded = container.decode(stream)
            while True:
                try:
                    picture = next(decoded)
                except (StopIteration, self.av.FFmpegError) as error:
                    reason = f"ends or breaks at picture {done} of {len(self.times[name])} (camera {name}: {error})"
                    raise ArtifactError(path, reason) from None
                if done == at:
                    pixels = picture.to_ndarray(format="rgb24")
                    made = fit_pixels(pixels, name, f"{path}, picture {done}", self.sizes[name], size)
                while done == at:  # one picture may be the nearest of several frames
                    yield made
                    following = next(wanted, None)
                    if following is None:
                        return
                    at = following
                done += 1
