"""Networks of four packages trained by torchrun itself, with two processes: one result, written and printed once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BIN, ROOT = Path(sys.executable).parent, Path(__file__).parents[1]


def call(folder: Path, *words: str) -> str:
    """What a command prints, with the environment's commands first on the path."""
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def together(folder: Path, package: str, *more: str) -> dict:
    """Run the line of the page *Scaling* for a package, with options that make it short; the one document it prints."""
    page = (ROOT / "tools" / "docs" / "pages" / "scaling.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\$ (torchrun --nproc-per-node 2 --no-python {package} .*)$", page, re.MULTILINE)
    return json.loads(call(folder, *line.split(), *more, "--json"))


def pictures(folder: Path, per_class: int) -> None:
    """Dark and light pictures of noise, 32 x 32, in a folder for each class."""
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    draw = np.random.default_rng(0)
    for label, kind in enumerate(("dark", "light")):
        (folder / kind).mkdir(parents=True)
        for number in range(per_class):
            pixels = draw.integers(0, 80, (32, 32, 3), np.uint8) + np.uint8(150 * label)
            image.fromarray(pixels).save(folder / kind / f"{number}.png")


@pytest.mark.slow
def test_bnn_fsg(tmp_path):
    pytest.importorskip("bnn_fsg", reason="needs bnn-fsg")
    for split, count in (("train", 16), ("test", 4)):
        pictures(tmp_path / "pictures" / split, count)
    found = together(tmp_path, "bnn-fsg", "--epochs", "1", "--batch", "8")
    (line,) = (tmp_path / "float" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["loss"] == found["training loss of the last epoch"]


@pytest.mark.slow
def test_fastocc(tmp_path):
    pytest.importorskip("fastocc", reason="needs fastocc")
    few = ["--train", "2", "--val", "1", "--frames", "1", "--grid", "micro"]
    call(tmp_path, "fastocc", "simulate", *few, "-o", "street")
    found = together(tmp_path, "fastocc", "--steps", "2")
    assert (found["steps"], found["batch"] % 2) == (2, 0)
    steps = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(step["loss"]) for step in steps)
    assert re.search(r"grid +micro", call(tmp_path, "fastocc", "inspect", "run/model"))


@pytest.mark.slow
def test_recsys(tmp_path):
    pytest.importorskip("recsys", reason="needs recsys")
    pytest.importorskip("torch", reason="needs the extra torch of recsys")
    call(tmp_path, "recsys", "simulate", "-o", "shop.csv")
    found = together(tmp_path, "recsys", "--set", "epochs=1", "--set", "factors=8")
    assert found["model"].startswith("SASRec(")
    assert json.loads(call(tmp_path, "recsys", "recommend", "model", "--for", "u1", "-k", "3", "--json"))


@pytest.mark.slow
def test_semcom_learns_what_one_process_learns(tmp_path):
    pytest.importorskip("semcom", reason="needs semcom")
    pictures(tmp_path, 8)
    (tmp_path / "dark").rename(tmp_path / "pictures")
    two = together(tmp_path, "semcom", "--recipe", "steps=2")
    words = ["finetune", "mae-32p4", "--data", "pictures", "--recipe", "steps=2", "-o", "one", "--json"]
    one = json.loads(call(tmp_path, "semcom", *words))
    assert two.pop("model") == "tuned/model.safetensors"
    del one["model"]
    assert two == pytest.approx(one, rel=1e-4)
