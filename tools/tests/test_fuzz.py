"""Damaged files of every format end in a typed error or in finite values: a few of each, always the same ones."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import fuzz
import pytest
from damage import damage, sign
from fuzz_readers import READERS
from fuzz_samples import Reader
from ninefold.artifacts import Artifact, save
from ninefold.errors import ArtifactError
from ninefold_testing import warm
from workspace import CORE, ROOT, packages


@pytest.mark.slow
def test_damaged_files_end_in_a_typed_error_or_in_finite_values():
    done = warm().run([str(ROOT / "tools" / "fuzz" / "fuzz.py"), "--count", "12"], timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_read_is_ended_by_what_it_computes_not_by_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    before = signal.signal(signal.SIGPROF, fuzz._late)

    def spin(place):
        while True:
            pass

    try:
        assert fuzz.outcome(Reader("waits", Path, lambda place: time.sleep(0.5)), tmp_path) == ""
        assert "more than" in fuzz.outcome(Reader("spins", Path, spin), tmp_path)
    finally:
        signal.signal(signal.SIGPROF, before)


def test_every_package_has_readers():
    missing = (packages().keys() | {CORE}) - READERS.keys()
    assert not missing, f"state what {', '.join(missing)} reads in tools/fuzz/fuzz_readers.py"


def test_a_signed_file_passes_its_digests_and_the_same_number_gives_the_same_file(tmp_path):
    import numpy as np

    kind = {"kind": "a.thing", "format_version": 1}
    save(tmp_path / "whole", {"x": np.arange(64, dtype=np.float32)}, package="ninefold", **kind)
    whole, reached = (tmp_path / "whole").read_bytes(), 0
    for number in range(60):
        made = []
        for turn in range(2):
            file = tmp_path / f"{number}-{turn}.safetensors"
            file.write_bytes(whole)
            damage(file, random.Random(number))
            made.append(file.read_bytes())
        assert made[0] == made[1]
        with pytest.raises(ArtifactError) if made[0] != whole else pytest.MonkeyPatch.context():
            Artifact(file, **kind).verify()  # unsigned damage is always noticed
        sign(file)
        try:
            Artifact(file, **kind).verify()
            reached += file.read_bytes() != whole
        except ArtifactError:
            pass
    assert reached > 5  # files that are damaged, and pass all digests
