"""Every bar on speed and size, in one run: figure, bar and whether it is met, a JSON line each.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/bars.py | tee packages/bnn-fsg/experiments/results/bars.jsonl

One thread and one picture unless it says otherwise; arms in turn, the least processor time of many calls (wall time for
two threads). int8 in TFLite's XNNPACK runs in an environment of its own that `uv` makes; its weights are random, which
its speed does not depend on. Needs $NINEFOLD_DATA for AdaBin's network.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from bench_layers import arms as layer_arms
from bench_ternary import SHAPES
from bnn_fsg import PackedModel, TernaryLinear, TernaryLM, adabin_resnet20, binarize, pack
from bnn_fsg.datasets import Images
from bnn_fsg.language._quantization import ONLINE
from bnn_fsg.layers._adabin import MEAN, STD
from bnn_fsg.layers._nets import build
from bnn_fsg.runtime._native import library, sets
from ninefold.measure import emit
from ninefold_lab.experiments import register
from transformers import BitNetConfig, BitNetForCausalLM

register("bnn_fsg", Path(__file__).parent.parent)
from bnn_fsg_experiments.claims._frontier import Int8  # noqa: E402  (importable from here on)

Arms = dict[str, Callable[[], object]]


def least(
    arms: Arms, rounds: int = 40, calls: int = 5, clock: Callable[[], float] = time.thread_time
) -> dict[str, float]:
    """Least seconds of one call of each arm, in turn."""
    found = dict.fromkeys(arms, float("inf"))
    for arm in arms.values():
        arm()
    for _ in range(rounds):
        for name, arm in arms.items():
            for _ in range(calls):
                begin = clock()
                arm()
                found[name] = min(found[name], clock() - begin)
    return found


def report(what: str, figure: float, unit: str, bar: float, *, most: bool, kernels: str = "") -> None:
    emit(
        bench="bar", what=what, figure=float(f"{figure:.3g}"), unit=unit, bar=("at most " if most else "at least ") + f"{bar:g}",
        met=bool(figure <= bar if most else figure >= bar), kernels=kernels or sets()[0],
    )  # fmt: skip


def first_layer(model: PackedModel, pictures: np.ndarray) -> Callable[[], None]:
    """The steps of a packed network that `on_pictures` runs up to its first convolution, alone."""
    out: Any = model.on_pictures(pictures)
    executor: Any = model._run_pictures
    room = executor._room(1)
    held = room, out, pictures

    def run() -> None:
        assert held  # what the addresses point to is kept
        executor._library.bnn_run(room.place, 0, 1, pictures.ctypes.data, out.ctypes.data, 1)

    return run


def small_network() -> None:
    """AdaBin's ResNet-20 on 32 x 32."""
    data = pack(adabin_resnet20(), torch.zeros(1, 3, 32, 32), mean=MEAN, std=STD).encoded
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    models = {name: PackedModel(data, backend=name) for name in sets() if name in ("amx", "avx512", "avx2")}
    times = least({name: lambda one=one: one.on_pictures(picture) for name, one in models.items()}, 600)
    for name, bar in (("amx", 110), ("avx512", 110), ("avx2", 220)):
        if name in times:
            report(f"ResNet-20 W1A1, {name}", 1e6 * times[name], "microseconds", bar, most=True, kernels=name)
    pixels = np.random.default_rng(1).integers(0, 256, (300, 3, 32, 32)).astype(np.uint8)
    best = models[sets()[0]]
    images = Images("noise", pixels, np.zeros(300, np.int64), 10, 255, MEAN, STD)
    with tempfile.TemporaryDirectory() as folder:
        for width, bar in ((8, True), (16, False)):
            rival = Int8(build("resnet20", 10, 3, width).eval(), images, images.first(2), Path(folder))
            theirs = min(rival.seconds() for _ in range(10))
            rival.close()
            ours = 1e6 * least({"ours": lambda: best.on_pictures(picture)}, 400)["ours"]
            title = f"ResNet-20 W1A1 compared with int8 in XNNPACK at {'half' if bar else 'full'} width"
            report(title, ours / (1e6 * theirs), "of its time", 1.0, most=True)
            emit(
                bench="rival", what=f"int8 in XNNPACK, ResNet-20 of width {width}", microseconds=round(1e6 * theirs, 1)
            )


def large_network() -> None:
    """ResNet-18 on 224 x 224: float stem, shortcuts and head."""
    torch.manual_seed(0)
    x = torch.randn(1, 3, 224, 224)
    skip = ["conv1", "fc", "*downsample*"]
    net = torchvision.models.resnet18()
    model = binarize(net, "xnor", "rsign", skip=skip, example_input=x).eval()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    packed = pack(model, x, mean=mean, std=std)
    pictures = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
    stem = first_layer(packed, pictures)
    times = least({"whole": lambda: packed.on_pictures(pictures), "stem": stem}, 30, 3)
    report("ResNet-18 W1A1 at 224 x 224", 1e3 * times["whole"], "ms", 6, most=True)
    report("its first layer", 1e3 * times["stem"], "ms", 1.5, most=True)
    for name in sets()[:2]:
        one, two = (PackedModel(packed.encoded, threads=threads, backend=name) for threads in (1, 2))
        both: Arms = {
            "one": lambda one=one: one.on_pictures(pictures),
            "two": lambda two=two: two.on_pictures(pictures),
        }
        found = least(both, 300, 3, time.perf_counter)  # often: both processors are seldom free at once
        ratio = found["one"] / found["two"]
        report(
            f"two threads compared with one, ResNet-18, {name}", ratio, "times as fast", 1.7, most=False, kernels=name
        )


def of_layer(arms: Arms) -> PackedModel:
    """The packed model that `bench_layers.arms` calls."""
    cells: Any = arms["packed"].__closure__
    return next(one.cell_contents for one in cells if isinstance(one.cell_contents, PackedModel))


def one_layer() -> None:
    for layers, what in ((1, "alone, channels first in and out"), (4, "four in a row with BatchNorm")):
        times = least(layer_arms("W1A1", layers, 64, 56), 300, 3)
        ratio = times["torch float32"] / times["packed"]
        report(f"64 channels at 56 x 56 compared with float32, {what}", ratio, "times as fast", 12, most=False)
    x = np.random.default_rng(0).standard_normal((1, 64, 56, 56)).astype(np.float32)
    data = of_layer(layer_arms("W1A1", 1, 64, 56)).encoded
    models = {name: PackedModel(data, backend=name) for name in sets() if name != "plain"}
    times = least({name: lambda one=one: one(x) for name, one in models.items()}, 40, 3)
    for name, seconds in times.items():
        emit(bench="rate", what="64 channels at 56 x 56, alone", kernels=name, microseconds=round(1e6 * seconds, 1))
    packed: Any = of_layer(layer_arms("W1A1", 4, 64, 56))
    out = packed(x)
    executor: Any = packed._run
    room = executor._room(1)

    def inner() -> None:  # the second of four: bits in, bits out
        executor._library.bnn_run(room.place, 2, 3, x.ctypes.data, out.ctypes.data, 1)

    times = least({"torch": layer_arms("W1A1", 1, 64, 56)["torch float32"], "ours": inner}, 40, 3)
    ratio = times["torch"] / times["ours"]
    report("64 channels at 56 x 56 compared with float32, inside a network", ratio, "times as fast", 12, most=False)


def ternary() -> None:
    for outputs, inputs in SHAPES:
        generator = np.random.default_rng(0)
        weight = generator.integers(-1, 2, (outputs, inputs)).astype(np.int8)
        x = generator.standard_normal((1, inputs)).astype(np.float32)
        layer = TernaryLinear.of_ternary(weight)
        half, token = torch.from_numpy(weight).bfloat16(), torch.from_numpy(x).bfloat16()
        quantised = torch.quantize_per_tensor(torch.from_numpy(weight).float(), 1.0, 0, torch.qint8)
        octets, floats = torch.ops.quantized.linear_prepack(quantised, None), torch.from_numpy(x)
        with torch.inference_mode():
            arms: Arms = {
                "bf16": lambda token=token, half=half: torch.nn.functional.linear(token, half),
                "int8": lambda floats=floats, octets=octets: torch.ops.quantized.linear_dynamic(floats, octets),
                "ours": lambda layer=layer, x=x: layer(x),
            }
            times = least(arms, 30, 5)
        for name, bar in (("bf16", 5), ("int8", 1)):
            ratio = times[name] / times["ours"]
            report(
                f"ternary {outputs} x {inputs}, one token, compared with torch {name}",
                ratio,
                "times as fast",
                bar,
                most=False,
            )


def language_model(count: int = 24) -> None:
    """A model of BitNet's shape with 100 M weights in its linear layers, one token after the other."""
    sizes: dict[str, Any] = {
        "vocab_size": 512, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 9,
        "num_attention_heads": 16, "num_key_value_heads": 4, "tie_word_embeddings": True,
    }  # fmt: skip
    torch.manual_seed(0)
    theirs = BitNetForCausalLM(BitNetConfig(**sizes)).eval()
    state = {name: one.detach().numpy() for name, one in theirs.state_dict().items()}
    ours = TernaryLM.of_tensors({**sizes, "quantization_config": ONLINE}, state.get)
    theirs = theirs.bfloat16()
    weights = sum(one.inputs * one.outputs for one in ours._layers.values())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lm.safetensors"
        ours.save(path)
        bits = 8 * path.stat().st_size / (weights + sizes["vocab_size"] * sizes["hidden_size"])
    report(f"bits a weight on disk, {weights / 1e6:.0f} M ternary weights", bits, "bits", 2.1, most=True)
    prompt = np.arange(8)

    def eager() -> None:
        with torch.inference_mode():
            theirs.generate(torch.from_numpy(prompt)[None], max_new_tokens=count, min_new_tokens=count, do_sample=False)

    arms: Arms = {"bf16": eager, "ours": lambda: list(ours.generate(prompt, count))}
    times = least(arms, 3, 1)
    for name, seconds in times.items():
        emit(bench="rate", what=f"BitNet-shaped model, {name}", tokens_a_second=round(count / seconds, 1))
    ratio = times["bf16"] / times["ours"]
    report("BitNet-shaped model compared with transformers in bf16", ratio, "times as fast", 1, most=False)


def main() -> None:
    torch.set_num_threads(1)
    report("the library", Path(str(library()._name)).stat().st_size / 1000, "KB", 300, most=True)  # type: ignore[union-attr]
    small_network()
    large_network()
    one_layer()
    ternary()
    language_model()


if __name__ == "__main__":
    main()
