"""A network that is given one frame of a drive after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError
from PIL import Image
from torch import Tensor

from fastocc.datasets import fit_image
from fastocc.drive._sources import Pictures, Pixels
from fastocc.geometry import CameraRig
from fastocc.models import FastOccModel
from fastocc.views import HistoryState

_KIND = "fastocc.state"


class Stepper:
    """A network on one rig, which keeps its state from frame to frame.

    Args:
        model: for any number of cameras, since no weight belongs to one of them. rig: the cameras as recorded.
        device: torch device.
    """

    def __init__(self, model: FastOccModel, rig: CameraRig, device: str = "cpu") -> None:
        self.model = model.to_inference().to(device)
        self.model.config = replace(model.config, cameras=len(rig.cameras))
        self.size, self.names, self.device = model.config.image_size, rig.names, device
        crops = [_crop(camera.size, self.size) for camera in rig.cameras]
        inner = np.stack([crop @ one.intrinsic for crop, one in zip(crops, rig.cameras, strict=True)])
        self.cam2img, self.cam2ego = (
            torch.from_numpy(one.astype(np.float32))[None].to(device) for one in (inner, rig.cam2ego)
        )
        self.lens = None if rig.lens is None else torch.from_numpy(rig.lens)[None].to(device)
        if hasattr(self.model.view, "fix"):
            self.model.fix_cameras(self.cam2img, self.cam2ego, self.lens)
        self.stateful = model.config.frames > 1
        self.last: tuple[Tensor | HistoryState, np.ndarray] | None = None

    @torch.no_grad()
    def step(self, pictures: Mapping[str, Pixels], pose: np.ndarray | None) -> np.ndarray:
        """Predict the next frame.

        Args:
            pictures: (H, W, 3) uint8 by camera, fitted to `size`. pose: (4, 4) ego to world; None where it is not
                known: then the frame is seen alone.
        Returns: (X, Y, Z) uint8 labels.
        """
        stacked = np.stack([pictures[name] for name in self.names]).transpose(0, 3, 1, 2)
        images = torch.from_numpy(np.ascontiguousarray(stacked))[None].to(self.device)
        prev = None
        if self.last is not None and pose is not None:
            motion = torch.from_numpy(np.linalg.inv(self.last[1]) @ pose).float()[None].to(self.device)
            prev = (self.last[0], motion)
        output = self.model(images, self.cam2img, self.cam2ego, prev=prev, lens=self.lens)
        if self.stateful:
            self.last = None if output.state is None or pose is None else (output.state, pose)
        return output.semantics[0].cpu().numpy()

    def steps(
        self, frames: Iterator[Pictures], poses: Sequence[np.ndarray | None]
    ) -> Iterator[np.ndarray | ArtifactError]:  # fmt: skip
        """`step` for each frame, in order; without state on a CPU, as many frames at once as torch has threads.

        A frame with a damaged picture is its error. State is kept across it, with the motion since the frame before.

        A thread a frame keeps both of two cores busy, where two threads in one frame wait for each other.
        """
        workers = torch.get_num_threads()
        if self.stateful or self.device != "cpu" or workers == 1:
            yield from map(self._step_or_error, frames, poses)
            return
        coming: deque[Future[np.ndarray | ArtifactError]] = deque()
        try:
            with ThreadPoolExecutor(workers, "fastocc-step", torch.set_num_threads, (1,)) as pool:
                for pictures, pose in zip(frames, poses, strict=True):
                    coming.append(pool.submit(self._step_or_error, pictures, pose))
                    if len(coming) > workers:
                        yield coming.popleft().result()
                while coming:
                    yield coming.popleft().result()
        finally:
            torch.set_num_threads(workers)

    def _step_or_error(self, pictures: Pictures, pose: np.ndarray | None) -> np.ndarray | ArtifactError:
        return pictures if isinstance(pictures, ArtifactError) else self.step(pictures, pose)

    def keep(self, path: Path, done: int) -> None:
        """Write the state after `done` frames, whole or not at all."""
        state, pose = self.last or (None, None)
        parts = state._asdict() if isinstance(state, HistoryState) else {"bev": state}
        kept = {"done": done, "pose": pose, "state": parts}
        artifacts.save_state(path, kept, kind=_KIND, format_version=1, package="fastocc")

    def restore(self, path: Path) -> int:
        """Read what `keep` wrote; the number of frames done."""
        held = artifacts.load_state(path, kind=_KIND, format_version=1)
        parts = {key: one for key, one in held["state"].items() if one is not None}
        self.last = None
        if parts:
            moved = {key: one.to(self.device) for key, one in parts.items()}
            self.last = (HistoryState(**moved) if len(moved) > 1 else moved["bev"], held["pose"])
        return int(held["done"])


def _crop(full: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(3, 3) pixels of a picture to pixels of the network's image."""
    crop = fit_image(Image.new("RGB", (full[1], full[0])), full, size, "rig")[1]
    return np.eye(3) if crop is None else crop
