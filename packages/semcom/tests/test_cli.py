"""Every verb as the console script runs it, and what it says to bad input: one line, status 2."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ninefold_testing import command, digests, run_here, warm
from PIL import Image
from semcom.datasets import embedded_photographs
from semcom.models import built_in_path, load_picture_coder

MODULE = "semcom.cli"
TINY = ["--data", "embedded", "--net", "dim=16,decoder_dim=16,depth=1", "--recipe", "batch=8,save_every=2,steps=6"]


@pytest.fixture
def semcom():
    """Runs a verb that must succeed, with --json; returns what it printed."""

    def call(*words):
        done = run_here(MODULE, *map(str, words), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


@pytest.fixture
def refused():
    """Runs a verb that must refuse with status 2 and one line; returns the line."""

    def call(*words):
        done = run_here(MODULE, *map(str, words))
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        return done.stderr

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of odd sizes and kinds, as a user has them."""
    place = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    smooth = np.clip(rng.normal(128, 40, (9, 7, 4)), 0, 255).astype(np.uint8)
    large = np.asarray(Image.fromarray(smooth).resize((130, 97), Image.Resampling.BICUBIC))
    Image.fromarray(large[..., :3]).save(place / "colour.png")
    Image.fromarray(large[:50, :70, 0]).save(place / "grey.png")
    Image.fromarray(large[:33, :31]).save(place / "rgba.png")
    Image.fromarray(large[:64, :64, 0].astype(np.uint16) * 257).save(place / "deep.png")
    Image.fromarray(large[:64, :40]).convert("RGB").convert("CMYK").save(place / "print.jpg")
    return place


@pytest.fixture(scope="module")
def note(tmp_path_factory):
    path = tmp_path_factory.mktemp("note") / "note.txt"
    path.write_bytes(b"bytes of a note, carried by where patches are")
    return path


PAPER = ("--form", "paper")


def test_pictures_of_any_kind_and_a_payload_travel_between_two_folders(semcom, folder, note, tmp_path):
    copies = shutil.copytree(folder, tmp_path / "source")
    said = semcom("carrier", "send", copies, *PAPER, "--payload", note, "--key", "k", "-o", tmp_path / "a" / "sent")
    assert said["pictures"] == 5
    assert said["symbols"] * 8 == (tmp_path / "a" / "sent" / "symbols.sigmf-data").stat().st_size
    semcom("channel", "apply", tmp_path / "a" / "sent", "--snr", "6", "--seed", "3", "-o", tmp_path / "b" / "air")
    shutil.rmtree(copies)
    shutil.rmtree(tmp_path / "a")
    got = semcom("carrier", "recv", tmp_path / "b" / "air", "--key", "k", "-o", tmp_path / "b" / "got")
    assert got["payload sha256"] == hashlib.sha256(note.read_bytes()).hexdigest() == said["payload sha256"]
    assert (tmp_path / "b" / "got" / "payload.bin").read_bytes() == note.read_bytes()
    sizes = {Image.open(path).size for path in (tmp_path / "b" / "got").glob("*.png")}
    assert sizes == {(130, 97), (70, 50), (31, 33), (64, 64), (40, 64)}


def test_run_says_all_symbols_and_whether_the_payload_came(semcom, folder, note, tmp_path):
    words = ("carrier", "run", folder, *PAPER, "--payload", note, "--channel")
    said = semcom(*words, "rayleigh:block=64,csi=pilot,pilots=2", "--snr", "25", "-o", tmp_path / "out")
    one = said["mask symbols"] + said["latent symbols"] + said["pilot symbols"]
    assert said["symbols"] == said["tiles"] * one
    assert said["bandwidth ratio"] == pytest.approx(one / 3072, abs=1e-6)
    assert said["pilot symbols"] == 2 * -(-1168 // 64)
    assert (tmp_path / "out" / "checks.jsonl").read_text().count("\n") == said["tiles"]
    said = semcom(*words, "awgn", "--snr", "-8")
    assert said["payload bytes"] is None
    assert said["same payload"] is False
    assert "missing" in said["payload"]
    assert said["pictures"] == 5


def test_an_empty_payload_is_an_empty_file(semcom, folder, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    said = semcom(
        "carrier", "run", folder, *PAPER, "--payload", tmp_path / "empty", "--snr", "12", "-o", tmp_path / "got"
    )
    assert (said["payload"], said["payload bytes"]) == ("whole", 0)
    assert (tmp_path / "got" / "payload.bin").read_bytes() == b""


def test_failed_payload_is_status_2_with_pictures_and_no_bytes(semcom, refused, folder, note, tmp_path):
    semcom("carrier", "send", folder, *PAPER, "--payload", note, "-o", tmp_path / "sent")
    semcom("channel", "apply", tmp_path / "sent", "--snr", "-6", "-o", tmp_path / "air")
    line = refused("carrier", "recv", tmp_path / "air", "-o", tmp_path / "got")
    assert "payload" in line
    assert "missing" in line
    names = {path.name for path in (tmp_path / "got").iterdir()}
    assert "payload.bin" not in names
    assert "payload.unchecked" not in names
    assert "picture-000.png" in names
    refused("carrier", "recv", tmp_path / "air", "--keep-bad", "-o", tmp_path / "kept")
    assert (tmp_path / "kept" / "payload.unchecked").exists()
    line = refused("carrier", "recv", tmp_path / "sent", "--key", "wrong", "-o", tmp_path / "wrong")
    assert "another key" in line
    assert line.count("got") == 1
    assert not list((tmp_path / "wrong").glob("payload*"))


@pytest.mark.parametrize("payload", [bytes(1000), np.random.default_rng(5).bytes(1000)], ids=["zeros", "random"])
def test_large_payloads_arrive_with_the_same_hash(semcom, folder, payload, tmp_path):
    (tmp_path / "file.bin").write_bytes(payload)
    said = semcom(
        "carrier",
        "run",
        folder,
        *PAPER,
        "--payload",
        tmp_path / "file.bin",
        "--split",
        "--snr",
        "9",
    )
    assert said["payload sha256"] == hashlib.sha256(payload).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("payload", [bytes(10_000), np.random.default_rng(5).bytes(10_000)], ids=["zeros", "random"])
def test_ten_kilobytes_go_through_three_processes_with_the_same_hash(semcom, folder, payload, tmp_path):
    (tmp_path / "file.bin").write_bytes(payload)
    semcom("carrier", "send", folder, *PAPER, "--payload", tmp_path / "file.bin", "--split", "-o", tmp_path / "sent")
    semcom("channel", "apply", tmp_path / "sent", "--snr", "6", "-o", tmp_path / "air")
    said = semcom("carrier", "recv", tmp_path / "air", "-o", tmp_path / "got")
    assert said["payload sha256"] == hashlib.sha256(payload).hexdigest()


def test_existing_results_are_kept_and_force_replaces_only_its_own(semcom, refused, folder, note, tmp_path):
    semcom("carrier", "send", folder, *PAPER, "-o", tmp_path / "sent")
    before = digests(tmp_path)
    assert "exists already" in refused("carrier", "send", folder, *PAPER, "-o", tmp_path / "sent")
    assert digests(tmp_path) == before
    semcom("carrier", "send", folder, *PAPER, "--payload", note, "--force", "-o", tmp_path / "sent")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("mine")
    for words in (
        ["carrier", "send", folder, *PAPER],
        ["carrier", "recv", tmp_path / "sent"],
        ["carrier", "run", folder, *PAPER],
        ["channel", "apply", tmp_path / "sent"],
        ["train", "mae", *TINY],
        ["train", "jscc", "--data", "embedded"],
        ["bench", "phy"],
    ):
        forced = ["--force"] if words[0] in ("carrier", "channel") else []
        assert "mine" in refused(*words, *forced, "-o", tmp_path / "mine")
    assert (tmp_path / "mine" / "precious.txt").read_text() == "mine"


def test_bad_pictures_are_named_with_the_reason(refused, tmp_path, folder):
    def line(path):
        return refused("carrier", "run", path)

    assert "there is no such file, expected a picture file (check the path)" in line(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png: got a file that is no picture" in line(tmp_path / "text.png")
    whole = (folder / "colour.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    assert "half.png: got a damaged" in line(tmp_path / "half.png")
    frames = [Image.new("RGB", (40, 40), (shade, 0, 0)) for shade in (0, 100, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert "animation of 3 frames" in line(tmp_path / "moving.gif")
    (tmp_path / "empty").mkdir()
    assert "no picture" in line(tmp_path / "empty")


def test_bad_options_are_named(refused, folder, note, tmp_path):
    run_words = ["carrier", "run", folder, *PAPER]
    assert "payload file" in refused(*run_words, "--payload", tmp_path / "none")
    assert "mask_ratio" in refused(*run_words, "--link", "mask_ratio=75")
    assert "channel kind" in refused(*run_words, "--channel", "laser")
    assert "fec" in refused(*run_words, "--link", "fec=turbo")
    assert "modulation" in refused(*run_words, "--link", "modulation=8psk")
    assert "select" in refused(*run_words, "--link", "select=3")
    assert "NaN" in refused(*run_words, "--snr", "nan")
    assert "is not there" in refused(*run_words, "--model", tmp_path / "none.safetensors")
    (tmp_path / "big.bin").write_bytes(bytes(5000))
    line = refused(*run_words, "--payload", tmp_path / "big.bin")
    assert "40000 bits" in line
    assert "--split" in line
    assert "--out" in refused("carrier", "send", folder, *PAPER)
    assert "--snr: got '4:1:1'" in refused("bench", "phy", "--snr", "4:1:1")
    assert "expected one of steps" in refused("train", "jscc", "--recipe", "speed=3", "-o", tmp_path / "run")
    assert "expected a int" in refused("train", "jscc", "--net", "width=wide", "-o", tmp_path / "run")
    words = ("train", "mae", *TINY, "--start", built_in_path("mae-32p4"), "-o", tmp_path / "run")
    assert "start" in refused(*words)
    words = ("train", "jscc", "--data", "embedded", "--start", built_in_path("deepjscc-c8"), "-o", tmp_path / "run2")
    assert "fewer stages" in refused(*words)
    assert "lr" in refused("train", "jscc", *TINY[:2], "--recipe", "lr=-1", "-o", tmp_path / "run3")
    for wrong in ("crops=20/32", "channels=3", "channels=32"):
        words = ("train", "picture", *TINY[:2], "--recipe", f"crops=16/32,steps=1,{wrong}", "-o", tmp_path / wrong[:8])
        assert wrong[:5] in refused(*words)
    line = refused("carrier", "run", folder, "--link", "fec=ldpc:1/2,modulaton=qpsk")
    assert "setting: got 'modulaton'" in line
    assert "--pilots with it" in refused("carrier", "send", folder, "--pilot-block", "64", "-o", tmp_path / "sent")


@pytest.mark.parametrize("verb", [["baseline", "PICTURES", "--codec", "jpeg"], ["bench", "phy"]])
def test_a_run_without_its_plots_is_refused_before_it_is_measured(refused, folder, tmp_path, monkeypatch, verb):
    words, out = [str(folder) if one == "PICTURES" else one for one in verb], tmp_path / "run"
    assert "--snr: got 'abc', expected numbers like" in refused(*words, "--snr", "abc")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "this needs matplotlib: pip install 'semcom[plots]'" in refused(*words, "-o", str(out))
    assert not out.exists()


def test_training_takes_all_options_of_a_channel_and_begins_with_a_model_by_name(semcom, tmp_path):
    recipe = "batch=4,steps=1,channel=rayleigh:block=64,csi=pilot,pilots=3,loss=log"
    words = ("train", "jscc", "--data", "embedded", "--net", "stages=2", "--start", "adjscc-c8", "--recipe", recipe)
    assert semcom(*words, "-o", tmp_path / "run")["steps"] == 1
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "rayleigh:block=64,csi=pilot,pilots=3" in json.dumps(config)
    words = ("train", "picture", "--data", "embedded", "--net", "context=8,blocks=1,channels=8", "--recipe")
    assert semcom(*words, "batch=2,steps=1,crops=16/32,channels=4", "-o", tmp_path / "run2")["steps"] == 1


def test_layers_that_no_shipped_weights_have_begin_as_the_seed_says(semcom, tmp_path):
    words = ("train", "picture", "--data", "embedded", "--net", "context=8,blocks=1,channels=8", "--recipe")
    still = "batch=2,steps=1,crops=16/32,channels=4,lr=0,average=0"
    for run_folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        semcom(*words, still, "--seed", seed, "-o", tmp_path / run_folder)
    one, same, other = (load_picture_coder(tmp_path / name / "model.safetensors").state_dict() for name in "abc")
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    differ = {name.split(".")[0] for name, value in one.items() if not torch.equal(value, other[name])}
    assert differ == {"encoder_context", "decoder_context"}


def test_inspect_knows_each_kind(semcom, folder, tmp_path):
    semcom("carrier", "send", folder, *PAPER, "-o", tmp_path / "sent")
    assert semcom("inspect", tmp_path / "sent")["kind"] == "symbols"
    assert semcom("inspect", "mae-32p4")["dim"] == 128
    assert semcom("inspect", "adjscc-c8")["kind"] == "semcom.jscc"
    assert semcom("inspect", "picture-c16")["kind"] == "semcom.picture"
    semcom("bench", "phy", "--snr", "3", "--blocks", "250", "-o", tmp_path / "run")
    assert semcom("inspect", tmp_path / "run")["kind"] == "run"


def test_sweep_resumes_plots_and_is_the_same_with_two_processes(semcom, refused, tmp_path):
    words = ("bench", "phy", "--snr", "1:3:1", "--blocks", "250", "--seed", "4")
    first = semcom(*words, "-o", tmp_path / "one")
    lines = (tmp_path / "one" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "one" / "metrics.jsonl").write_text(lines[0] + lines[1][:30])
    assert semcom(*words, "-o", tmp_path / "one") == first
    done = warm("semcom").run(command(MODULE, *words, "--jobs", "2", "--json")[1:])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == first
    assert Image.open(tmp_path / "one" / "bler.png").size[0] > 300
    assert "blocks was" in refused(*words[:4], "--blocks", "500", "--seed", "4", "-o", tmp_path / "one")


def test_training_that_is_cut_off_resumes_to_the_same_weights(semcom, tmp_path, monkeypatch):
    from semcom.training import _loop

    words = ("train", "mae", *TINY, "--threads", "1")
    semcom(*words, "-o", tmp_path / "whole")
    saved = _loop._save

    def save_and_die(*words):
        saved(*words)
        if words[2] == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(_loop, "_save", save_and_die)
    assert run_here(MODULE, *words, "-o", str(tmp_path / "cut")).returncode == 130
    monkeypatch.undo()
    semcom(*words, "-o", tmp_path / "cut")
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")
    words = ("finetune", tmp_path / "cut" / "model.safetensors", "--data", "embedded", "--recipe", "steps=2")
    semcom(*words, "-o", tmp_path / "tuned")
    assert semcom("inspect", tmp_path / "tuned" / "model.safetensors")["kind"] == "semcom.mae"
    small = ("--data", "embedded", "--net", "width=16", "--recipe", "steps=2", "--half")
    semcom("train", "jscc", *small, "-o", tmp_path / "jscc")
    assert semcom("inspect", tmp_path / "jscc" / "model.safetensors")["channels"] == 8


@pytest.fixture
def short_demo(monkeypatch):
    """The demo on a crop of each photograph, at the SNRs that it shows."""
    crops = {name: picture[:128, :128] for name, picture in embedded_photographs().items()}
    monkeypatch.setattr("semcom.demo._carrier.embedded_photographs", lambda: crops)
    monkeypatch.setattr("semcom.demo._carrier.SNRS", (-8.0, 0.0, 6.0))


def test_demo_says_what_arrives_and_what_does_not(short_demo, tmp_path):
    done = run_here(MODULE, "demo", "--json", "-o", str(tmp_path / "demo.html"))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["ours"]
    page = (tmp_path / "demo.html").read_text(encoding="utf-8")
    assert "ext arrives whole" in page
    assert "no payload" in page
    assert page.count("<img ") == 4


def test_readme_and_guide_run_as_they_are_written(tmp_path, folder, short_demo, monkeypatch):
    readme = Path(__file__).parent.parent / "README.md"
    if not readme.exists():
        pytest.skip("the tests stand apart from the package's folder")
    text = readme.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, tmp_path / "pictures")
    (tmp_path / "note.txt").write_bytes(b"a note")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102  # safe: our own README
    blocks = re.findall(r"<!-- run-with:[^>]*-->\n```console\n(.*?)```", text, flags=re.DOTALL)
    lines = [line[2:].split("#")[0] for block in blocks for line in block.splitlines() if line.startswith("$ semcom ")]
    assert len(lines) == 4
    for line in lines:
        done = run_here(MODULE, *line.split()[1:])
        assert done.returncode == 0, (line, done.stderr)


def test_wheel_brings_weights_pictures_and_tables_and_nothing_foreign():
    package = Path(__file__).parent.parent
    if not (package / "pyproject.toml").exists():
        pytest.skip("the tests stand apart from the package's folder")
    done = subprocess.run(["git", "ls-files", "src"], cwd=package, capture_output=True, text=True, check=False)
    names = {name for name in done.stdout.splitlines() if not name.endswith(".py")}
    shipped = {"datasets/pictures/LICENSE.txt", "models/weights/recipes.json", "phy/base_graphs.csv", "py.typed"}
    shipped |= {"phy/mcs.csv", "baselines/dct-16.safetensors", "models/weights/picture-c16.safetensors"}
    shipped |= {f"datasets/pictures/{name}.webp" for name in ("astronaut", "chelsea", "coffee", "rocket")}
    shipped |= {f"models/weights/{name}.safetensors" for name in ("mae-32p4", "adjscc-c8", "deepjscc-c8", "judge")}
    link = ("ninefold.json", *(f"{part}.safetensors" for part in ("features", "clip", "diffusion")))
    shipped |= {f"models/weights/mm-32/{name}" for name in link}
    assert names == {f"src/semcom/{name}" for name in shipped}
