"""Accuracy, bytes and microseconds of 1-bit networks and of int8 ones in TFLite's XNNPACK, trained alike.

Processor time of one picture on one thread, the two runtimes in turn, the least of many: of the packed network from
uint8 pixels to numbers, of XNNPACK the network alone, its input quantised before.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bnn_fsg import PackedModel, pack
from bnn_fsg.datasets import Images
from ninefold_lab import Budget, Claim, Scores, all_of, at_least, at_most
from torch import Tensor, nn

from ._frontier_nets import splits, trained

WIDTHS = (8, 16)
PEER = "ai-edge-litert==2.3.0"
_ROUNDS, _CALLS = 15, 200
_CALIBRATION = 256  # training pictures whose ranges the int8 network takes


def folded(convolution: Any, norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """(weight, bias) of a convolution or linear layer with the BatchNorm after it."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = convolution.weight * scale.reshape(-1, *[1] * (convolution.weight.ndim - 1))
    bias = norm.bias - norm.running_mean * scale
    order = (0, 2, 3, 1) if weight.ndim == 4 else (0, 1)
    return weight.detach().permute(*order).numpy(), bias.detach().numpy()


@torch.no_grad()
def described(model: Any, images: Images, test: Images) -> dict[str, np.ndarray]:
    """What `_int8_worker.py` reads: layers, ranges over the calibration pictures, quantised test pictures."""
    ranges: dict[str, np.ndarray] = {}

    def keep(name: str, value: Tensor) -> Tensor:
        ranges[f"{name}.range"] = np.array([float(value.min()), float(value.max())])
        return value

    x = torch.from_numpy(images.inputs(slice(0, _CALIBRATION)))
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    scale = (high - low) / 255
    zero = round(-128 - low / scale)
    found: dict[str, Any] = {"input_scale": scale, "input_zero": zero}
    found["stem.weight"], found["stem.bias"] = folded(model.conv1, model.bn1)
    x = keep("stem", model.relu(model.bn1(model.conv1(x))))
    blocks = [*model.layer1, *model.layer2, *model.layer3]
    found["blocks"] = len(blocks)
    for index, block in enumerate(blocks):
        name = f"block{index}"
        inner = keep(f"{name}.conv1", block.relu(block.bn1(block.conv1(x))))
        inner = keep(f"{name}.conv2", block.bn2(block.conv2(inner)))
        found[f"{name}.stride"] = block.conv1.stride[0]
        for key in ("1", "2"):
            weight, bias = folded(getattr(block, f"conv{key}"), getattr(block, f"bn{key}"))
            found[f"{name}.conv{key}.weight"], found[f"{name}.conv{key}.bias"] = weight, bias
        if len(block.shortcut):
            weight, bias = folded(block.shortcut[0], block.shortcut[1])
            found[f"{name}.shortcut.weight"], found[f"{name}.shortcut.bias"] = weight, bias
            x = keep(f"{name}.shortcut", block.shortcut(x))
        x = keep(name, block.relu(inner + x))
    x = keep("mean", model.flatten(model.pool(x)))
    norm, head = model.bn_last, model.fc
    by = norm.weight / (norm.running_var + norm.eps).sqrt()
    found["head.weight"] = (head.weight * by).numpy()
    found["head.bias"] = (head.bias + head.weight @ (norm.bias - norm.running_mean * by)).numpy()
    keep("head", head(norm(x)))
    given = test.inputs(slice(0, len(test))).transpose(0, 2, 3, 1)
    found["pictures"] = np.clip(np.rint(given / scale) + zero, -128, 127).astype(np.int8)
    return {**found, **ranges}


class Int8:
    """The worker's process with one network."""

    def __init__(self, model: nn.Module, images: Images, test: Images, folder: Path) -> None:
        path = folder / f"{id(model)}.npz"
        np.savez(path, **described(model, images, test))  # type: ignore[arg-type]
        worker = Path(__file__).parent / "_int8_worker.py"
        command = ["uv", "run", "-q", "--no-project", "--with", PEER, "python", str(worker), str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        told = json.loads(self._line())
        self.nbytes, self.classes = told["bytes"], np.array(told["classes"])

    def _line(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"the int8 worker ended; its environment needs {PEER}")
        return line

    def seconds(self) -> float:
        """Least processor time of one picture."""
        assert self._process.stdin is not None
        print("time", file=self._process.stdin, flush=True)
        return 1e-6 * float(self._line())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _packed_seconds(model: PackedModel, picture: np.ndarray) -> float:
    least = float("inf")
    for _ in range(_CALLS):
        begin = time.thread_time()
        model.on_pictures(picture)
        least = min(least, time.thread_time() - begin)
    return least


def _frontier(budget: Budget, seed: int) -> Scores:
    """Of each kind and width: test pictures right (0 or 100 each), microseconds, KB."""
    parts = splits(budget.form)
    images, test = parts["train"], parts["test"]
    pixels = np.ascontiguousarray(test.pixels.transpose(0, 2, 3, 1))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for width in WIDTHS:
            model = trained("1 bit", width, seed, budget.form)
            packed = pack(
                model, torch.from_numpy(test.inputs(slice(0, 1))), mean=images.mean, std=images.std, white=images.white
            )
            int8 = Int8(trained("int8", width, seed, budget.form), images, test, Path(folder))
            times = [(int8.seconds(), _packed_seconds(packed, pixels[:1])) for _ in range(_ROUNDS)]
            int8.close()
            theirs, ours = (1e6 * min(one) for one in zip(*times, strict=True))
            right = {"1 bit": packed.predict(pixels) == test.labels, "int8": int8.classes == test.labels}
            for name, seconds, size in (("1 bit", ours, packed.nbytes), ("int8", theirs, int8.nbytes)):
                found[f"{name}, width {width}: right"] = 100.0 * right[name]
                found[f"{name}, width {width}: microseconds"] = np.array([seconds])
                found[f"{name}, width {width}: KB"] = np.array([size / 1000])
    return found


_PAIRS = ((16, 8),)  # 1 bit at twice the width of int8

FRONTIER_CLAIMS = [
    Claim(
        id="bnn-fsg/one-bit-at-twice-the-width-beats-int8",
        says="a ResNet-8 with 1-bit weights and inputs is at twice the width at least as accurate as int8 in XNNPACK, "
        "in fewer bytes and less time, both trained alike",
        source="ours: 4,500 CIFAR-10 pictures, two epochs from scratch, Adam at 3e-3 with a cosine schedule",
        run=_frontier,
        verdict=all_of(
            *(
                bar(f"1 bit, width {wide}: {what}", f"int8, width {narrow}: {what}")
                for wide, narrow in _PAIRS
                for bar, what in ((at_least, "right"), (at_most, "KB"), (at_most, "microseconds"))
            )
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=10, form="full"),
    )
]
