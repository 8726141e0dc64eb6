"""NEON under emulation: programs of networks drawn at random, run by qemu, give numpy's numbers bit for bit."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bnn_fsg import PackedModel
from bnn_fsg.runtime._native import FIELDS, sets
from ninefold.errors import InputError

from .generated import network

NATIVE, COUNT = Path(__file__).parent.parent / "native", 300
QEMU = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")


def written(model: PackedModel, x: np.ndarray, octets: int, path: Path) -> bool:
    """A program and its input as `neon.c` reads it; False where numpy has to work between its steps."""
    program = model._run._program
    if any(function is not None for *_, function in program.parts):
        return False
    offsets, arrays = {}, bytearray()
    for one in program._keep:
        offsets[one.ctypes.data] = len(arrays)
        arrays += one.tobytes() + bytes(-one.nbytes % 64 + 128)
    steps = program.matrix.reshape(-1)
    mend = np.array(
        [(place, offsets[value]) for place, value in enumerate(steps.tolist()) if value in offsets], np.int64
    )
    arena = program.scratch_at + program.scratch + 64
    head = [len(program.matrix), len(FIELDS), len(mend), len(arrays), arena, program.scratch_at, x.nbytes, octets]
    path.write_bytes(np.array(head, np.int64).tobytes() + steps.tobytes() + mend.tobytes() + arrays + x.tobytes())
    return True


@pytest.mark.skipif("plain" not in sets(), reason="the package was built without its library")
@pytest.mark.skipif(QEMU is None, reason="qemu-aarch64 is not installed (Debian: qemu-user)")
@pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="ziglang, which compiles for aarch64, is not installed"
)
def test_neon_under_emulation_agrees_with_numpy_bit_for_bit(tmp_path):
    flags = [
        "-std=c11",
        "-O2",
        "-ffp-contract=off",
        "-fno-strict-aliasing",
        "-static",
        "-DNAME(x)=x##_plain",
        f"-I{NATIVE}",
    ]
    sources = [str(NATIVE / "program.c"), str(NATIVE / "kernels.c"), str(Path(__file__).with_name("neon.c"))]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", *flags, *sources]
    subprocess.run([*command, "-o", str(tmp_path / "neon")], check=True)
    expected = {}
    for seed in range(COUNT):
        data = network(seed)
        model = PackedModel(data, backend="numpy")
        x = np.random.default_rng(seed).standard_normal((1, *model.input_shape)).astype(np.float32)
        try:
            found = model(x)
        except InputError:  # sums overflow
            continue
        path = tmp_path / f"{seed}.bin"
        if written(PackedModel(data, backend="plain"), x, found.nbytes, path):
            expected[path] = found
    assert len(expected) > COUNT // 4
    subprocess.run([str(QEMU), str(tmp_path / "neon"), *map(str, expected)], check=True)
    for path, found in expected.items():
        assert path.with_name(path.name + ".out").read_bytes() == found.tobytes(), path.stem
