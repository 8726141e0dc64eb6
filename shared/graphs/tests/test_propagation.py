"""Sums over neighbours by two processes equal those of one."""

from __future__ import annotations

import socket

import numpy as np
from ninefold_graphs import Graph, hop_features, shared_columns
from ninefold_testing import warm

PROGRAM = """
import sys
import numpy as np
from ninefold.distributed import joined
from ninefold_graphs import Graph, HopRows, _rows, hop_features, shared_columns

held = np.load(sys.argv[1])
graph = Graph.of(held["x"], held["edges"])
widths = []


class Step:  # notes how many columns this process sums
    def __matmul__(self, part):
        widths.append(part.shape[1])
        return graph.normalized @ part


with joined(), shared_columns() as (rank, processes):
    made = hop_features(graph.x, Step(), (0, 2), constant=True)
    columns, _rows.LARGE = sum(widths), 10
    half = HopRows.of(graph.x, Step(), (0, 2))
assert half.sums.dtype == np.float16
np.savez(f"{sys.argv[2]}/{rank}.npz", made=made, processes=processes, columns=columns, half=half[:])
"""


def test_two_processes_divide_the_columns_and_have_the_result_of_one(tmp_path):
    draws = np.random.default_rng(0)
    x, edges = draws.normal(size=(50, 100)).astype(np.float32), draws.integers(0, 50, (2, 200))
    np.savez(tmp_path / "graph.npz", x=x, edges=edges)
    (tmp_path / "program.py").write_text(PROGRAM)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alike = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    words = [str(tmp_path / part) for part in ("program.py", "graph.npz", ".")]
    with (tmp_path / "said").open("w+") as said:
        ranks = [warm().start(words, said.fileno(), said.fileno(), RANK=rank, **alike) for rank in ("0", "1")]
        assert [rank.wait(60) for rank in ranks] == [0, 0], (tmp_path / "said").read_text()
    graph = Graph.of(x, edges)
    expected = hop_features(graph.x, graph.normalized, (0, 2), constant=True)
    for rank, columns in enumerate((2 * 64, 2 * 36)):  # two hops of 32 + 32 and of 32 + 4 columns
        held = np.load(tmp_path / f"{rank}.npz")
        assert (held["processes"], held["columns"]) == (2, columns)
        np.testing.assert_allclose(held["made"], expected, atol=1e-6)
        np.testing.assert_allclose(held["half"], expected, atol=1e-3)


def test_a_process_by_itself_sums_all_columns():
    graph = Graph.of(np.eye(4), [[0, 1, 2], [1, 2, 3]])
    with shared_columns() as where:
        made = hop_features(graph.x, graph.normalized, (1,))
    assert where == (0, 1)
    np.testing.assert_array_equal(made, hop_features(graph.x, graph.normalized, (1,)))
