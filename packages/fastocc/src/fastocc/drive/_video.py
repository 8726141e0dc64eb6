"""Video files, one a camera, decoded by PyAV (extra `video`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import ArtifactError, require

from fastocc.drive._sources import Pictures, Pixels, Recording, fit_pixels


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
        self._stamps: dict[str, np.ndarray] = {}
        for name, path in files.items():
            with self._open(path) as container:
                stream = container.streams.video[0]
                try:
                    stamps = sorted(one.pts for one in container.demux(stream) if one.pts is not None)
                except self.av.FFmpegError as error:
                    raise ArtifactError(path, f"is truncated, or no video (camera {name}: {error})") from None
                if not stamps:
                    raise ArtifactError(path, f"holds no picture (camera {name})")
                self._stamps[name] = np.array(stamps)
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

    def read(self, plan: Sequence[Mapping[str, int]], size: tuple[int, int] | None) -> Iterator[Pictures]:
        """See `Recording.read`; pictures before the first chosen one are decoded and dropped."""
        streams = {name: self._pictures(name, [chosen[name] for chosen in plan], size) for name in self.files}
        for _ in plan:
            found = {name: next(stream) for name, stream in streams.items()}
            errors = [one for one in found.values() if isinstance(one, ArtifactError)]
            yield errors[0] if errors else found  # type: ignore[misc]

    def _pictures(
        self, name: str, chosen: list[int], size: tuple[int, int] | None
    ) -> Iterator[Pixels | ArtifactError]:  # fmt: skip
        """The chosen pictures; an error for each that cannot be decoded."""
        path, wanted = self.files[name], deque(chosen)
        for at, picture in self._decoded(name):
            while wanted and wanted[0] < at:
                yield self._missing(name, wanted.popleft())
            if not wanted:
                return
            if wanted[0] == at:
                pixels = picture.to_ndarray(format="rgb24")
                made = fit_pixels(pixels, name, f"{path}, picture {at}", self.sizes[name], size)
                while wanted and wanted[0] == at:  # one picture may be the nearest of several frames
                    wanted.popleft()
                    yield made
        for at in wanted:
            yield self._missing(name, at)

    def _missing(self, name: str, at: int) -> ArtifactError:
        return ArtifactError(self.files[name], f"is damaged at picture {at} of {len(self.times[name])} (camera {name})")

    def _decoded(self, name: str) -> Iterator[tuple[int, Any]]:
        """Index by time and picture, rising, of the pictures that can be decoded; damaged packets are passed over."""
        with self._open(self.files[name]) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            last, packets = -1, container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    pictures = [] if packet is None else packet.decode()
                except self.av.EOFError:
                    return
                except self.av.FFmpegError:
                    continue
                if packet is None:
                    return
                for picture in pictures:
                    if picture.pts is None or picture.is_corrupt:
                        continue
                    at = int(np.searchsorted(self._stamps[name], picture.pts))
                    if at > last:
                        last = at
                        yield at, picture
