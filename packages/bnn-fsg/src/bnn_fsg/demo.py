"""The main job on the embedded digits: train 1-bit networks, pack the best, run it without torch.

Estimators are compared with 1-bit weights (W1A32), which is about size. Each uses its best settings of the training
table; FSG is also compared with straight-through at a small rate of plain SGD, where it is better. For speed a wider
network is trained, by the cheapest estimator, whose inputs are 1-bit too (W1A1): there a product is an xor, with float
inputs still a float sum.

Last, a small language model with ternary weights learns Python's own documentation, as the interpreter brings it.
"""

from __future__ import annotations

import gc
import importlib.util
import re
from dataclasses import replace
from typing import Any

import numpy as np
from ninefold.arms import Arms
from ninefold.errors import MissingExtraError
from ninefold.systems import DemoResult

from bnn_fsg import datasets

_EPOCHS = 4
_SMALL = ("fsg", "ste")  # at a small rate of plain SGD, with weights that are not scaled
_WIDE = 64  # channels of the W1A1 network: as many as fill a word of bits


_NAMES = {"ste": "straight-through", "irnet": "IR-Net", "reste": "ReSTE", "multifc": "MetaQuant, MultiFC", "fsg": "FSG"}
_WEIGHTS = {"bwn-f": "scaled weights", "dorefa": "plain signs", "xnor": "trained scales"}


def _title(estimator: str, weights: str) -> str:
    """What the field calls an estimator and a form of weights."""
    return f"{_NAMES.get(estimator, estimator)}, {_WEIGHTS.get(weights, weights)}"


def demo(seed: int) -> DemoResult:
    """Train FSG and rivals from one full-precision network, pack the best of them, and run it packed."""
    if not importlib.util.find_spec("torch"):
        raise MissingExtraError("torch", "bnn_fsg", "train")
    from torch import nn

    import bnn_fsg.evaluation._runs as runs
    from bnn_fsg.evaluation._packed import pack_and_compare
    from bnn_fsg.layers._nets import Recipe
    from bnn_fsg.training._chosen import BEST, CHOSEN, chosen
    from bnn_fsg.training._scores import accuracy, predict, torch_threads
    from bnn_fsg.training._start import trained_start
    from bnn_fsg.training._trainer import Schedule

    splits = {split: datasets.digits(split) for split in ("train", "validation", "test")}
    images = splits["train"]
    recipe = Recipe(net="cnn", classes=10, channels=1, size=(8, 8), width=16, white=images.white)
    schedule = Schedule(epochs=_EPOCHS, batch=64)
    start = trained_start(recipe, schedule, images, seed)
    found = []
    for name in dict.fromkeys((BEST, *CHOSEN)):
        known = chosen(name)
        arm = runs.Arm(name, known.optimizer, known.lr, title=_title(name, known.weights))
        own = replace(schedule, decay=known.decay)
        found += runs.compare(replace(recipe, weights=known.weights), start, [arm], own, splits, [seed])
    form = replace(recipe, weights="dorefa")
    arms = [runs.Arm(name, "sgd", 1e-3, title=f"{_title(name, 'dorefa')}, small rate") for name in _SMALL]
    small = runs.compare(form, start, arms, schedule, splits, [seed])
    best = max(found, key=lambda one: accuracy(one.model, splits["validation"], threads=1))  # never on the test split
    table = runs.table([*found, *small])
    table.columns = [*table.columns, "bytes", "times as fast as torch"]
    gc.freeze()  # the clock collects garbage before each round: a third of the demo's time with all of torch in it
    packed = {best.arm.label: pack_and_compare(best.model, start, splits["test"], seed)}
    kept = packed[best.arm.label]
    table.rows = [[*row, *((kept.size, kept.faster) if row[0] in packed else (None, None))] for row in table.rows]

    wide = replace(recipe, width=_WIDE)
    brief = replace(schedule, epochs=2, drop_every=1, factor=0.4)  # signs of activations have to settle
    floats = trained_start(wide, replace(schedule, epochs=2), images, seed, nn.Hardtanh)  # behind ReLU all signs are +1
    bits = replace(wide, weights="bwn-f", activations="approx", skip=("0",))
    (quick,) = runs.compare(bits, floats, [runs.Arm("approx", "adam", 1e-2)], brief, splits, [seed])
    fast = pack_and_compare(quick.model, floats, splits["test"], seed)
    gc.unfreeze()
    last = quick.history.epochs[-1]
    title, losses = f"W1A1, {_WIDE} channels, {quick.arm.label}", (quick.history.mean_loss, last["loss"])
    table.rows.append([title, *losses, 100 * quick.test, None, 100 * last["flips"], 1, fast.size, fast.faster])
    for words, one in (("", start), (f", {_WIDE} channels", floats)):
        size = sum(4 * part.numel() for part in one.parameters())
        right = 100 * accuracy(one, splits["test"], threads=1)
        table.rows.append([f"full precision{words}", None, None, right, None, None, 1, size, 1.0])
    test = splits["test"]
    has_plots = importlib.util.find_spec("matplotlib") is not None
    read = predict(best.model, test, threads=1)
    float_size = sum(4 * part.numel() for part in start.parameters())
    arms = Arms(
        scores={one.arm.label: 100.0 * (predict(one.model, test, threads=1) == test.labels) for one in found},
        ours=found[0].arm.label, measured="digits read right", unit="%", margin=1.0,
    )  # fmt: skip
    with torch_threads(1):
        said = _language(seed)
    slow = small[0].history.mean_loss / small[1].history.mean_loss
    return DemoResult(
        data="1,797 handwritten digits of 8x8 pixels (real, embedded), 3 + 1 layers with 1-bit weights",
        arms=arms,
        table=table,
        figures=[_picture(test, read, kept.size, float_size), *runs.pictures([*found, *small])] if has_plots else [],
        notes=[
            f"At a small rate FSG's mean loss is {slow:.2f} of straight-through's.",
            f"The best on validation ({best.arm.label}), packed: {kept}.",
            f"With 1-bit inputs and {_WIDE} channels, packed: {fast}.",
            f"Packed networks give the torch ones' classes for {kept.same:.1f} % and {fast.same:.1f} % of the digits.",
            "Speed: one picture, one thread, against the same network in float32 torch.",
            "Training runs on one thread of torch, so that no figure but speed depends on --threads.",
            *said,
        ],
        headline=f"A network that reads handwritten digits in {kept.size / 1024:.1f} KB instead of "
        f"{float_size / 1024:.0f} KB, with {kept.accuracy:.0f} % of the digits right",
        looking_at="Test digits with the class that the packed 1-bit network reads, mistakes in red",
        glossary={
            "straight-through (STE)": "the gradient of a sign is taken as if there were no sign",
            "plain signs, scaled weights": "1-bit weights without a scale, or with one scale a filter",
            "FSG": "the gradient of a sign is learned, from this step (fast) and from the steps before (slow)",
            "W1A1, W1A32": "1-bit weights with 1-bit or with float inputs",
            "packed": "stored and computed with one bit a weight",
        },
    )


def _picture(test: datasets.Images, read: np.ndarray, size: int, float_size: int) -> tuple[str, Any]:
    """(caption, figure): test digits, mistakes among them, with the class that the network reads; the bytes below."""
    from ninefold.report import figure
    from ninefold.report._figure import BLUE, GREY, RED

    columns, rows = 10, 3
    wrong = np.flatnonzero(read != test.labels)[:3]
    right = np.flatnonzero(read == test.labels)[: columns * rows - len(wrong)]
    shown = np.sort(np.concatenate([wrong, right]))
    made, (digits, sizes) = figure(width=5.0, height=3.3, rows=2)
    digits.get_gridspec().set_height_ratios([3, 1])
    for place, index in enumerate(shown):
        left, top = 1.3 * (place % columns), 1.9 * (place // columns)
        picture = test.pixels[index].reshape(8, 8)
        digits.imshow(picture, cmap="gray_r", extent=(left, left + 1, top + 1, top), vmin=0, vmax=test.pixels.max())
        colour = RED if read[index] != test.labels[index] else "black"
        digits.text(left + 0.5, top + 1.05, str(read[index]), color=colour, ha="center", va="top", fontsize=13)
    digits.set(xlim=(-0.1, 1.3 * columns - 0.2), ylim=(1.9 * rows, -0.1), aspect="equal")
    digits.axis("off")
    bars = sizes.barh(["float32", "1 bit"], [float_size / 1024, size / 1024], color=[GREY, BLUE])
    sizes.bar_label(bars, [f"{float_size / 1024:.0f} KB", f"{size / 1024:.1f} KB"], padding=3, fontsize=13)
    sizes.set_xlim(0, 1.25 * float_size / 1024)
    sizes.tick_params(labelsize=13)
    sizes.get_xaxis().set_visible(False)
    sizes.grid(visible=False)
    return "Digits of the test set, and the class that a 1-bit network reads; its size", made


_LANGUAGE = (  # hidden size, heads and Adam's rate, chosen on text that the demo is not scored on
    ("ternary", 64, 4, 0.01), ("float32 of the same shape", 64, 4, 0.01), ("float32 of equal bytes", 20, 2, 0.02),
)  # fmt: skip


def _language(seed: int) -> list[str]:
    """What small language models say of the documentation that `help()` shows; nothing where Python has it not."""
    if not importlib.util.find_spec("pydoc_data"):
        return []
    from pydoc_data.topics import topics

    import torch

    from bnn_fsg.estimators._gradient import Gradient, Plain
    from bnn_fsg.language.training import BitNet, Shape, bits_a_token, ternarize, train_text

    paragraphs = re.sub(r"[^\n -~]", "", "\n\n".join(topics[name] for name in sorted(topics))).split("\n\n")
    text = np.frombuffer("\n\n".join(dict.fromkeys(paragraphs)).encode(), np.uint8)  # no paragraph twice
    tokens = np.where(text == 10, 95, text.astype(int) - 32)
    train, test = np.split(tokens, [len(tokens) * 9 // 10])
    found, wrote = [], ""
    for name, hidden, heads, lr in _LANGUAGE:
        torch.manual_seed(seed)
        model: Any = BitNet(Shape(96, hidden, 2 * hidden, 1, heads, heads // 2))
        model, kind = (ternarize(model), Gradient) if name == "ternary" else (model, Plain)
        adam = torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.95))
        train_text(kind(model, adam), train, steps=300, batch=8, length=64, seed=seed)
        size = 4 * sum(map(torch.numel, model.parameters()))
        if name == "ternary":
            model = model.packed()
            size = model.nbytes + 2 * 96 * hidden + 4 * 6 * hidden  # two bits a weight, an embedding in float16, norms
            written = model.generate(np.frombuffer(b"The ", np.uint8) - 32, 60, temperature=0.5, seed=seed)
            wrote = "The " + "".join(" " if one == 95 else chr(one + 32) for one in written)
        found.append(f"{name} {bits_a_token(model, test[:8193], 64):.2f} in {size / 1000:.0f} KB")
    return [f"A language model of Python's documentation, bits a character on held-out text: {', '.join(found)}.",
            f"The ternary one wrote: {wrote!r}."]  # fmt: skip
