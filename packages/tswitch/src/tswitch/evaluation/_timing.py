"""How fast a switch is on this machine: on and off on a live model, against reloading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from ninefold.measure import compare
from ninefold.report import Table
from safetensors.torch import load_file

from tswitch.bank._bank import SwitchBank
from tswitch.models._models import base_folder, load_encoder
from tswitch.switch._switch import Switch


def time_switching(base: str | Path, switch: Switch, *, repeats: int = 9, device: str = "cpu") -> Table:
    """Time one switch on a live encoder.

    Args:
        base: "minilm" or an encoder's folder.
        switch: one that was made against it.
        repeats: paired rounds.
        device: where the encoder lies.
    Returns: median milliseconds of each way, and how many times as fast as reading the checkpoint anew, with the 95 %
        interval over `repeats` paired rounds.
    """
    folder = base_folder(base)
    encoder, _, _ = load_encoder(folder)
    bank = SwitchBank(encoder.to(device))
    bank.add("task", switch)
    state = {name: value for name, value in encoder.state_dict().items() if value.is_floating_point()}
    scratch = {name: value.clone() for name, value in state.items()}

    def reload() -> None:
        for name, value in load_file(folder / "model.safetensors").items():
            if name in scratch:
                scratch[name].copy_(value)

    def on_and_off() -> None:
        bank.activate("task")
        bank.restore()

    def waited(way: Callable[[], None]) -> Callable[[], None]:
        """A way that ends when the device has done what it was given."""
        if torch.device(device).type != "cuda":
            return way
        return lambda: (way(), torch.cuda.synchronize(device))[0]

    arms = {"read the checkpoint anew": reload, "switch on and off": on_and_off}
    timings = compare({name: waited(arm) for name, arm in arms.items()}, repeats=repeats)
    table = Table(["way", "milliseconds", "times as fast", "95 % interval"])
    for name, one in timings.items():
        table.rows.append([name, 1e3 * one.seconds, one.ratio, f"[{one.low:.3g}, {one.high:.3g}]"])
    parameters = sum(value.numel() for value in state.values())
    table.notes.append(
        f"{parameters:,} parameters; resident switch: {8 * bank.nbytes('task') / parameters:.3f} bits each"
    )
    return table
