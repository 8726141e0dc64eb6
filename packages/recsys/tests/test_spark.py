import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ninefold.errors import InputError, MissingExtraError
from recsys import SparkALS

from .helpers import events

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is not None, reason="pyspark is here")
def test_without_pyspark_the_line_that_brings_it_is_named():
    with pytest.raises(MissingExtraError, match=r"pyspark.*\[spark\]"):
        SparkALS().fit(events())


def test_bad_settings_are_named():
    with pytest.raises(InputError, match="factors, epochs, reg"):
        SparkALS(factors=0).fit(events())


def java() -> int:
    """Major version of the Java on the path; 0 if there is none."""
    found = shutil.which("java")
    if found is None:
        return 0
    text = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', text)
    return int(version[1]) if version else 0


@pytest.mark.peer
@pytest.mark.slow
def test_mllib_on_two_local_cores_gives_a_model_of_this_package(tmp_path):
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("pyspark lives in an environment of its own, and uv, which makes one, is not installed")
    if java() < 17:
        pytest.skip("Spark 4 needs Java 17 or newer")
    parts = [
        "--with",
        "pyspark>=4,<5",
        "--with",
        "pandas",
        "--with",
        str(ROOT / "shared"),
        "--with",
        str(ROOT / "packages/recsys"),
    ]
    script = Path(__file__).with_name("spark_local.py")
    for reach in (["--offline"], []):  # first what an earlier run left: asking for Spark anew is 400 MB
        done = subprocess.run(
            [uv, "run", "-q", "--no-project", *reach, *parts, "python", str(script), str(tmp_path / "model")],
            cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        if not reach or not re.search("disabled|No solution found|not found in the cache", done.stderr):
            break
    if "No solution found" in done.stderr or "Failed to fetch" in done.stderr:
        pytest.skip(f"pyspark cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("held")
