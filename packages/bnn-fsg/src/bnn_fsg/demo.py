"""The main job on the embedded digits: train 1-bit networks, pack the best, run it without torch."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from ninefold.errors import MissingExtraError
from ninefold.systems import DemoResult

from bnn_fsg import datasets

_EPOCHS = 4
_RIVALS = ("ste", "reste", "multifc")


def demo(seed: int) -> DemoResult:
    """Train FSG and rivals from one full-precision network, pack the best of them, and run it packed."""
    if not importlib.util.find_spec("torch"):
        raise MissingExtraError("torch", "bnn_fsg", "train")
    import torch

    from bnn_fsg import pack
    from bnn_fsg._speed import model_arms, timed
    from bnn_fsg._train import runs
    from bnn_fsg._train.nets import Recipe
    from bnn_fsg._train.trainer import BinaryTrainer, Schedule, accuracy

    splits = {split: datasets.digits(split) for split in ("train", "validation", "test")}
    images, test = splits["train"], splits["test"]
    torch.manual_seed(seed)
    recipe = Recipe(net="cnn", classes=10, channels=1, size=(8, 8), width=32, white=images.white)
    start = recipe.build()
    schedule = Schedule(epochs=_EPOCHS, batch=64)
    BinaryTrainer(start, torch.optim.Adam(start.parameters(), lr=1e-3), schedule, seed=seed).fit(images)
    recipe = replace(recipe, weights="dorefa")
    arms = [runs.Arm(name, "sgd", 1e-3) for name in ("fsg", *_RIVALS)]
    arms.append(runs.tuned_ste(recipe, start, schedule, splits, seed))
    found = runs.compare(recipe, start, arms, schedule, splits, [seed])
    best = max(found, key=lambda one: accuracy(one.model, splits["validation"]))  # never chosen on the test split
    model = best.model.eval()
    packed = pack(model, torch.from_numpy(test.inputs(slice(0, 8))))
    classes = packed(test.inputs()).argmax(1)
    with torch.no_grad():
        same = float((model(torch.from_numpy(test.inputs())).argmax(1).numpy() == classes).mean())
    times = timed(model_arms(packed, 1, ["float32"], seed), repeats=9)
    floats = sum(one.numel() * 4 for one in start.parameters())
    smaller, faster = floats / packed.nbytes, times["packed"].ratio
    table = runs.table(found)
    table.columns = [*table.columns, "bytes", "times as fast as torch"]
    sizes = {best.arm.label: (packed.nbytes, faster)}
    table.rows = [[*row, *sizes.get(row[0], (None, None))] for row in table.rows]
    table.rows.append(["full precision", None, None, 100 * accuracy(start, test), None, None, 1, floats, 1.0])
    ours, ste = (next(one for one in found if one.arm.gradient == name) for name in ("fsg", "ste"))
    rival = min((one for one in found if one.arm.gradient in _RIVALS), key=lambda one: one.history.mean_loss)
    return DemoResult(
        data="1,797 handwritten digits of 8x8 pixels (real, embedded), 3 + 1 layers with 1-bit weights",
        method=f"FSG, mean training loss {ours.history.mean_loss:.3f}",
        rival=f"{rival.arm.label}, {rival.history.mean_loss:.3f}",
        verdict=(
            f"at one lr FSG's mean loss is {ours.history.mean_loss / ste.history.mean_loss:.2f} of STE's; the best "
            f"on validation ({best.arm.label}) packed: {100 * float((classes == test.labels).mean()):.1f} % right, "
            f"{packed.nbytes / 1024:.1f} KB, {smaller:.0f} times smaller and {faster:.1f} times as fast as float32"
        ),
        table=table,
        figures=runs.pictures(found) if importlib.util.find_spec("matplotlib") else [],
        notes=[f"The packed network gives the class of the torch one for {100 * same:.1f} % of the test digits."],
    )
