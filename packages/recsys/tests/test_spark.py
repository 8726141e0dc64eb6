import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from ninefold.errors import InputError, MissingExtraError
from recsys import SparkFactors
from recsys.factors._spark import ListMaker

from .helpers import run_ready

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is not None, reason="pyspark is here")
def test_without_pyspark_the_line_that_brings_it_is_named(tmp_path):
    with pytest.raises(MissingExtraError, match=r"pyspark.*\[spark\]"):
        SparkFactors.fit(None, tmp_path / "f", user="who", item="what")


def test_bad_settings_are_named(tmp_path):
    with pytest.raises(InputError, match="factors, epochs, reg"):
        SparkFactors.fit(None, tmp_path / "f", user="who", item="what", factors=0)


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is not None, reason="pyspark is here")
@pytest.mark.parametrize("verb", ["spark-fit", "spark-recommend"])
def test_verbs_name_what_is_missing_before_any_work(verb, tmp_path):
    (tmp_path / "e.csv").write_text("user,item\n1,2\n")
    done = run_ready("recsys.cli", verb, str(tmp_path / "e.csv"), "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "[spark]" in done.stderr
    assert not (tmp_path / "out").exists()


def test_lists_of_a_batch_are_the_best_products_without_what_was_seen(tmp_path):
    draw = np.random.default_rng(0)
    H, W = draw.standard_normal((9, 4)).astype(np.float32), draw.standard_normal((5, 4)).astype(np.float32)
    order = draw.permutation(9).astype(np.int32)  # rows of a table lie in no order
    items = {"i": order, "item": [f"p{code}" for code in order], "features": [H[code].tolist() for code in order]}
    pyarrow.parquet.write_table(pa.table(items), tmp_path / "part-0.parquet")
    seen = [[1, 2], [], [8], list(range(8)), [0]]
    batch = pa.RecordBatch.from_pydict(
        {"user": list(range(5)), "features": [one.tolist() for one in W], "seen": pa.array(seen, pa.list_(pa.int32()))}
    )
    (made,) = ListMaker(str(tmp_path), "who", "what", 3)([batch.slice(1)])
    rows = made.to_pylist()
    for user in range(1, 5):
        best = [item for item in np.argsort(-(W[user] @ H.T)) if item not in seen[user]][:3]
        own = [row for row in rows if row["who"] == user]
        assert [row["what"] for row in own] == [f"p{item}" for item in best]
        assert [row["rank"] for row in own] == list(range(1, len(best) + 1))


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
def test_mllib_on_two_local_cores_is_fitted_listed_and_judged(tmp_path):
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
        str(ROOT / "shared/core"),
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
