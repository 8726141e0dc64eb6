"""Accuracy, bytes and time of 1-bit networks and of int8 ones in LiteRT's XNNPACK and onnxruntime, trained alike.

Processor time of one picture on one thread, the three runtimes in turn, the least of many: of the packed network from
uint8 pixels to numbers, of the others the network alone, its input quantised before. The networks are trained before
the times are taken (`models/_frontier_nets.py`): what runs here takes less than a minute a seed.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bnn_fsg import PackedModel, pack
from bnn_fsg.datasets import Images
from bnn_fsg_experiments.models._frontier_nets import WIDTHS, splits, trained
from ninefold_lab import Budget, Claim, Scores, Verdict, all_of, at_least, at_most
from torch import Tensor, nn

PEER = "ai-edge-litert==2.3.0"
RUNTIMES = ("XNNPACK", "onnxruntime")  # of the int8 networks
_HERE = Path(__file__).parent
_COMMANDS = {
    "XNNPACK": ["uv", "run", "-q", "--no-project", "--with", PEER, "python", str(_HERE / "_int8_worker.py")],
    "onnxruntime": [sys.executable, str(_HERE / "_onnx_worker.py")],
}
_ROUNDS, _CALLS = 9, 100
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
    """What the workers read: layers, ranges over the calibration pictures and these themselves, test pictures as they
    are and quantised."""
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
    found["calibration"], found["inputs"] = images.inputs(slice(0, _CALIBRATION)), test.inputs()
    given = found["inputs"].transpose(0, 2, 3, 1)
    found["pictures"] = np.clip(np.rint(given / scale) + zero, -128, 127).astype(np.int8)
    return {**found, **ranges}


class Int8:
    """An int8 runtime with one network: XNNPACK in two processes, with AMX and without, the quicker of which counts."""

    def __init__(self, model: nn.Module, images: Images, test: Images, folder: Path, runtime: str = "XNNPACK") -> None:
        path = folder / f"{runtime}-{id(model)}.npz"
        np.savez(path, **described(model, images, test))  # type: ignore[arg-type]
        kinds: list[list[str]] = [[], ["--without-amx"]] if runtime == "XNNPACK" else [[]]
        self._processes = [
            subprocess.Popen(
                [*_COMMANDS[runtime], str(path), *kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for kind in kinds
        ]
        told = [json.loads(_line(process)) for process in self._processes]
        self.nbytes, self.classes = told[0]["bytes"], np.array(told[0]["classes"])

    def seconds(self) -> float:
        """Least processor time of one picture."""
        least = []
        for process in self._processes:
            assert process.stdin is not None
            print("time", file=process.stdin, flush=True)
            least.append(1e-6 * float(_line(process)))
        return min(least)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
        raise RuntimeError(f"the int8 worker ended: {process.args}")
    return line


def _rivals(model: nn.Module, images: Images, test: Images, folder: Path) -> dict[str, Int8]:
    """The int8 network in each runtime, quantised and asked for its classes side by side."""
    with ThreadPoolExecutor(len(RUNTIMES)) as pool:
        made = pool.map(lambda name: Int8(model, images, test, folder, name), RUNTIMES)
        return dict(zip(RUNTIMES, made, strict=True))


def _packed_seconds(model: PackedModel, picture: np.ndarray) -> float:
    least = float("inf")
    for _ in range(_CALLS):
        begin = time.thread_time()
        model.on_pictures(picture)
        least = min(least, time.thread_time() - begin)
    return least


def _frontier(budget: Budget, seed: int) -> Scores:
    """Of each kind and width: test pictures right (0 or 100 each), microseconds, KB."""
    return _measured(budget.form, seed)


@functools.cache  # for both claims in one run
def _measured(form: str, seed: int) -> Scores:
    parts = splits(form)
    images, test = parts["train"], parts["test"]
    pixels = np.ascontiguousarray(test.pixels.transpose(0, 2, 3, 1))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for width in WIDTHS:
            model = trained("1 bit", width, seed, form)
            packed = pack(
                model, torch.from_numpy(test.inputs(slice(0, 1))), mean=images.mean, std=images.std, white=images.white
            )
            full = trained("int8", width, seed, form)
            rivals = _rivals(full, images, test, Path(folder))
            seconds: dict[str, Callable[[], float]] = {name: one.seconds for name, one in rivals.items()}
            seconds["1 bit"] = functools.partial(_packed_seconds, packed, pixels[:1])
            least = dict.fromkeys(seconds, float("inf"))
            for _ in range(_ROUNDS):
                least = {name: min(least[name], measured()) for name, measured in seconds.items()}
            made = {name: (one.classes, one.nbytes) for name, one in rivals.items()}
            made["1 bit"] = packed.predict(pixels), packed.nbytes
            for name, (classes, size) in made.items():
                arm = f"{name}, width {width}" if name == "1 bit" else f"int8 in {name}, width {width}"
                found[f"{arm}: right"] = 100.0 * (classes == test.labels)
                found[f"{arm}: microseconds"] = np.array([1e6 * least[name]])
                found[f"{arm}: KB"] = np.array([size / 1000])
            for one in rivals.values():
                one.close()
    return found


def _against(wide: int, narrow: int, keys: Sequence[str]) -> Verdict:
    """1 bit at a width compared with int8 in both runtimes at another."""
    return all_of(
        *(
            (at_least if key == "right" else at_most)(
                f"1 bit, width {wide}: {key}", f"int8 in {name}, width {narrow}: {key}"
            )
            for key in keys
            for name in RUNTIMES
        )
    )


_SOURCE = "ours: ResNet-8 from scratch, 9,000 CIFAR-10 pictures, few epochs"
_FULL = Budget(seeds=3, minutes=1, form="full", most=20)

FRONTIER_CLAIMS = [
    Claim(
        id="bnn-fsg/one-bit-at-twice-the-width-beats-int8",
        says="at twice the width 1-bit weights and inputs are at least as accurate as int8 in XNNPACK and onnxruntime, "
        "in fewer bytes and less time, trained alike",
        source=_SOURCE,
        run=_frontier,
        verdict=all_of(*(_against(2 * one, one, ("right", "KB", "microseconds")) for one in WIDTHS[:-1])),
        full=_FULL,
    ),
    Claim(
        id="bnn-fsg/one-bit-is-smaller-and-quicker-int8-more-accurate",
        says="at equal width 1-bit weights and inputs take fewer bytes and less time than int8 in XNNPACK and "
        "onnxruntime, and int8 is more accurate, trained alike",
        source=_SOURCE,
        run=_frontier,
        verdict=all_of(
            *(_against(one, one, ("KB", "microseconds")) for one in WIDTHS),
            *(
                at_least(f"int8 in {name}, width {one}: right", f"1 bit, width {one}: right")
                for one in WIDTHS
                for name in RUNTIMES
            ),
        ),
        full=_FULL,
    ),
]
