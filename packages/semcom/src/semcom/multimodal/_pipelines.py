"""Pipelines of `diffusers` as generators: image to image from the coarse picture, the received caption as prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.errors import ArtifactError, InputError, require
from PIL import Image

from semcom.multimodal._generator import Request


class Img2ImgGenerator:
    """Candidates of an image-to-image pipeline, such as Stable Diffusion's.

    Attributes:
        pipeline: called with prompt, image, strength, guidance_scale, num_inference_steps, generator, output_type.
        strength: share of the noise schedule that is run.
        side: the coarse picture's shorter side is enlarged to so many pixels, a multiple of 8.
    """

    def __init__(
        self, pipeline: Any, strength: float = 0.6, steps: int = 20, guidance: float = 5.0, side: int = 512
    ) -> None:
        if not 0 < strength <= 1 or steps * strength < 1:
            raise InputError("strength", got=strength, expected=f"a share in (0, 1] of at least one of {steps} steps")
        if side < 8 or side % 8:
            raise InputError("side", got=side, expected="a multiple of 8")
        self.pipeline, self.strength, self.steps, self.guidance, self.side = pipeline, strength, steps, guidance, side
        if hasattr(pipeline, "set_progress_bar_config"):
            pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def from_folder(cls, path: str | Path, **settings: Any) -> Img2ImgGenerator:
        """A folder of a pipeline as `diffusers` saves it, safetensors alone; `settings` are the class's."""
        diffusers = require("diffusers", "semcom", "gen")
        if not (Path(path) / "model_index.json").is_file():
            raise ArtifactError(path, "is no pipeline folder: it has no model_index.json")
        try:
            pipeline = diffusers.AutoPipelineForImage2Image.from_pretrained(
                path, use_safetensors=True, local_files_only=True, safety_checker=None
            )
        except (OSError, ValueError) as error:
            raise ArtifactError(path, f"cannot be loaded ({str(error).splitlines()[0]})") from None
        return cls(pipeline, **settings)

    def __call__(self, request: Request) -> np.ndarray:
        """(rows, K, H, W, 3) uint8; a picture whose caption did not arrive has an empty prompt."""
        if not request.has_coarse:
            raise InputError("generator", got="no coarse picture", expected="one: this pipeline goes image to image")
        rows, height, width = request.coarse.shape[:3]
        order = [(row, candidate) for row in range(rows) for candidate in range(request.count)]
        made = np.empty((len(order), height, width, 3), np.uint8)
        larger = [self._enlarged(request.coarse[row]) for row in range(rows)]
        for begin in range(0, len(order), request.max_batch):
            part = order[begin : begin + request.max_batch]
            answer = self.pipeline(
                prompt=[request.captions[row] or "" for row, _ in part], image=[larger[row] for row, _ in part],
                strength=self.strength, guidance_scale=self.guidance, num_inference_steps=self.steps,
                generator=[self._generator(request, row, number) for row, number in part], output_type="pil",
            )  # fmt: skip
            for place, picture in enumerate(answer.images):
                small = picture.convert("RGB").resize((width, height), Image.Resampling.BOX)
                made[begin + place] = np.asarray(small)
        return made.reshape(rows, request.count, height, width, 3)

    def _enlarged(self, coarse: np.ndarray) -> Image.Image:
        picture = Image.fromarray((np.clip(coarse, 0, 1) * 255).round().astype(np.uint8))
        scale = self.side / min(picture.size)
        sizes = [max(8, round(side * scale / 8) * 8) for side in picture.size]
        return picture.resize((sizes[0], sizes[1]), Image.Resampling.BICUBIC)

    @staticmethod
    def _generator(request: Request, row: int, candidate: int) -> torch.Generator:
        words = np.random.SeedSequence([request.seed, int(request.rows[row]), candidate]).generate_state(1, np.uint32)
        return torch.Generator().manual_seed(int(words[0]))
