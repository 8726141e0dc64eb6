"""The verbs of the second system as the console script runs them, with parts that are trained for two steps."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from ninefold_testing import run_here
from PIL import Image
from semcom.models import built_in_path

MODULE = "semcom.cli"


def call(*words, status=0):
    done = run_here(MODULE, *map(str, words), *(["--json"] if status == 0 else []))
    assert done.returncode == status, done.stderr
    if status:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        return done.stderr
    return json.loads(done.stdout)


SIZES = {"features": "width=16", "clip": "width=8,text_width=16", "diffusion": "width=8"}


def guide_commands():
    """Words of the guide's lines on the second system: those that use what ships, and those that train it."""
    text = (Path(__file__).parent.parent / "docs" / "guide.md").read_text(encoding="utf-8")
    section = text.split("\n## Second system")[1].split("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL)
    return [[shlex.split(line.removeprefix("$ semcom ")) for line in block.splitlines()] for block in blocks]


def short(words):
    """The words of a training of the guide for two steps on the embedded pictures, a small network."""
    words = list(words)
    if "--captions" in words:  # the embedded set has captions of its own
        del words[words.index("--captions") : words.index("--captions") + 2]
    return [*words, "--data", "embedded", "--recipe", "steps=2,batch=8", "--net", SIZES[words[1]]]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Folder in which the guide's trainings were run as written, but for two steps on the embedded pictures."""
    place = tmp_path_factory.mktemp("parts")
    _, training = guide_commands()
    before = Path.cwd()
    os.chdir(place)
    try:
        for words in training:
            said = call(*(short(words) if words[0] == "train" else words))
            assert words[0] == "train" or said["symbols"] == 128
    finally:
        os.chdir(before)
    return place


def test_guide_runs_as_it_is_written_with_the_shipped_weights(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in guide_commands()[0]:
        call(*words)
    assert sorted(path.name for path in Path("got-mm").glob("picture-*.png")) == ["picture-000.png", "picture-001.png"]


@pytest.fixture
def pictures(tmp_path):
    """Two pictures of odd sizes and a CSV file with the caption of one."""
    (tmp_path / "pictures").mkdir()
    grid = np.linspace(0, 255, 40 * 33 * 3).reshape(40, 33, 3).astype(np.uint8)
    Image.fromarray(grid).save(tmp_path / "pictures" / "b.png")
    Image.fromarray(grid[:32, :32]).convert("L").save(tmp_path / "pictures" / "a.png")
    (tmp_path / "captions.csv").write_text("file,caption\nb.png,ein grüner Frosch\n", encoding="utf-8")
    return tmp_path / "pictures"


def test_pictures_and_captions_travel_between_two_folders(parts, pictures, tmp_path):
    link = ("--model", parts / "mm")
    said = call(
        "mm", "send", pictures, "--captions", tmp_path / "captions.csv", *link, "--snr", "8", "-o", tmp_path / "sent"
    )
    assert said["tiles"] == 5
    assert said["with a caption"] == 4
    assert (said["symbols a tile"], said["text symbols a tile"]) == (128, 8)
    assert said["energy a tile"] == pytest.approx(1, abs=1e-3)
    assert "Frosch" not in (tmp_path / "sent" / "symbols.sigmf-meta").read_text(encoding="utf-8")
    call("channel", "apply", tmp_path / "sent", "--snr", "8", "-o", tmp_path / "air")
    shutil.rmtree(pictures)
    got = call("mm", "recv", tmp_path / "air", *link, "-k", "2", "--steps", "2", "-o", tmp_path / "got")
    assert got["pictures"] == 2
    sizes = [Image.open(path).size for path in sorted((tmp_path / "got").glob("picture-*.png"))]
    assert sizes == [(32, 32), (33, 40)]
    lines = [json.loads(line) for line in (tmp_path / "got" / "tiles.jsonl").read_text().splitlines()]
    assert [line["tile"] for line in lines] == list(range(5))
    assert all(len(line["text errors"]) == 2 for line in lines)
    again = call("mm", "recv", tmp_path / "air", *link, "-k", "2", "--steps", "2", "-o", tmp_path / "again")
    assert again["pictures"] == 2
    for name in ("picture-000.png", "picture-001.png", "tiles.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "got" / name).read_bytes()
    assert "recording of `mm send`" in call("carrier", "recv", tmp_path / "air", "-o", tmp_path / "x", status=2)
    default = call("mm", "recv", tmp_path / "air", *link, "-o", tmp_path / "default")
    assert (default["select"], default["candidates"]) == ("unsharp", 0)
    assert "without candidates" in call(
        "mm", "recv", tmp_path / "air", *link, "--select", "unsharp", "-k", "2", "-o", tmp_path / "x", status=2
    )
    oracle = ("--select", "oracle", "-k", "1", "--steps", "1", "-o", tmp_path / "x")
    assert "no source picture" in call("mm", "recv", tmp_path / "air", *link, *oracle, status=2)


def test_one_process_says_what_came_through(parts, pictures, tmp_path):
    words = ("mm", "run", pictures, "--caption", "a frog", "--model", parts / "mm", "-k", "2", "--steps", "2")
    said = call(
        *words, "--channel", "rayleigh:block=32,csi=pilot", "--snr", "12", "--select", "oracle", "-o", tmp_path / "out"
    )
    assert said["pilot symbols a tile"] == 8
    assert said["symbols a tile"] == 128
    assert (tmp_path / "out" / "coarse-001.png").exists()
    coarse = call(*words[:-4], "-k", "0")
    assert coarse["PSNR of a tile, dB"] == coarse["PSNR of a coarse tile, dB"]


def test_bad_input_is_one_line(parts, pictures, tmp_path):
    link = ("--model", parts / "mm")
    line = call("mm", "run", pictures, "--model", tmp_path / "none", status=2)
    assert "train features" in line
    assert "mm-32" in line
    (tmp_path / "captions.csv").write_text("file,caption\nc.png,a cat\n")
    line = call("mm", "run", pictures, "--captions", tmp_path / "captions.csv", *link, status=2)
    assert "c.png" in line
    both = ("--captions", tmp_path / "captions.csv", "--caption", "a cat")
    assert "--caption" in call("mm", "run", pictures, *both, *link, status=2)
    assert "select" in call("mm", "run", pictures, "--select", "best", *link, "-k", "1", "--steps", "1", status=2)
    assert "NaN" in call("mm", "run", pictures, "--snr", "nan", *link, status=2)
    assert "model_index" in call("mm", "run", pictures, "--pipeline", tmp_path, *link, status=2)
    judge = built_in_path("judge")
    assert "not a semcom" in call("mm", "pack", judge, judge, "-o", tmp_path / "x", status=2)
    assert "--captions" in call("train", "clip", "--data", pictures, "-o", tmp_path / "y", status=2)
    assert call("inspect", judge)["kind"] == "semcom.judge"
