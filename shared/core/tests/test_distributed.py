"""The helpers for torchrun: two real processes meet over gloo; a process by itself needs nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ninefold.distributed import first, joined, launched, place

PROGRAM = """
import os
import torch
from ninefold.distributed import first, joined, launched, place
assert launched() == 2
with joined() as (rank, size):
    total = torch.tensor([float(rank + 1)])
    torch.distributed.all_reduce(total)
    with joined() as again:
        assert again == (rank, size) == place()
    assert first() == (rank == 0)
    os.write(1, f"{rank} {size} {total.item()}\\n".encode())  # in one piece: both processes write to one pipe
assert place() == (0, 1)
"""


def test_process_by_itself_is_the_first_of_one():
    assert (launched(), first(), place()) == (1, True, (0, 1))
    with joined() as found:
        assert found == (0, 1)


@pytest.mark.parametrize("missing", ["RANK", "MASTER_ADDR"])
def test_half_an_environment_is_no_launch(monkeypatch, missing):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "2")
    assert (launched(), first()) == (2, False)
    monkeypatch.delenv(missing)
    assert (launched(), first()) == (1, True)


def test_two_processes_meet(tmp_path):
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(tmp_path / "program.py")]
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["0 2 3.0", "1 2 3.0"]
