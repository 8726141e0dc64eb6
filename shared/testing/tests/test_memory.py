"""Peak memory of a block is that of what it allocates, and nothing stays behind."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ninefold.errors import InputError
from ninefold_testing import _memory as bench


def test_peak_is_that_of_a_known_allocation():
    with bench.peak_rss_anon() as peak:
        block = np.ones(40 << 17)  # 40 MiB
        time.sleep(0.02)
        del block
    assert 38 << 20 <= peak.above <= 60 << 20


def test_peak_of_nothing_is_small():
    with bench.peak_rss_anon() as peak:
        pass
    assert 0 <= peak.above < 8 << 20


def test_sampling_ends_when_the_block_fails():
    import threading

    before = threading.active_count()
    with pytest.raises(KeyError), bench.peak_rss_anon():
        raise KeyError
    assert threading.active_count() == before


def test_kernel_without_the_figure_is_an_input_error(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "Path", lambda _: tmp_path / "none")
    with pytest.raises(InputError, match="RssAnon"):
        bench.rss_anon()
