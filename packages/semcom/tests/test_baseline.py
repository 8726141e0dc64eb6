"""`semcom baseline` on a folder of whole pictures."""

from __future__ import annotations

import csv
import json
import os

import pytest
from ninefold.errors import InputError
from ninefold_testing import run_here
from PIL import Image
from semcom.datasets import embedded_photographs
from semcom.evaluation import BaselineTask, baseline_csv, baseline_table, best_rates, measure_baseline
from semcom.evaluation._campaigns import parse_ratio
from semcom.phy import mcs_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("photographs")
    for name in ("coffee", "rocket"):
        Image.fromarray(embedded_photographs()[name]).save(place / f"{name}.png")
    return place


def test_table_run_and_csv_agree_and_a_finished_run_is_not_measured_again(folder, tmp_path):
    words = (
        "baseline",
        folder,
        "--codec",
        "jpeg",
        "--arms",
        "softcast,linear",
        "--snr",
        "0:8:4",
        "-o",
        tmp_path / "run",
    )
    done = run_here("semcom.cli", *map(str, words), "--json")
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert {row["link"] for row in table["rows"]} == {"JPEG + LDPC", "SoftCast", "linear (block DCT)"}
    rows = list(csv.DictReader((tmp_path / "run" / "scores.csv").open()))
    assert len(rows) == 2 * 3 * 3
    assert len({row["symbols"] for row in rows}) == 1
    assert {row["symbols"] for row in table["rows"]} == {rows[0]["symbols"]}
    assert "is best at" in table["title"]
    again = run_here("semcom.cli", *map(str, words), "--json")
    assert json.loads(again.stdout) == table


def test_a_sender_without_the_snr_keeps_one_rate_over_all_of_them(folder):
    task = BaselineTask(("jpeg", "softcast"), 1 / 8, (0.0, 9.0), known=False)
    rows = measure_baseline(sorted(folder.iterdir()), task)
    kept = best_rates(rows, task)
    assert len({row["rate"] for row in kept if row["arm"] == "jpeg"}) == 1
    assert len([row for row in kept if row["arm"] == "softcast"]) == 4
    assert "all fixed rates" in " ".join(baseline_table(rows, task).notes)
    tried = {row["rate"] for row in rows if row["arm"] == "jpeg"}
    assert tried == {one.name for one in mcs_table() if one.snr_db <= 10}  # the others fail at every SNR
    assert len(tried) == 25


@pytest.mark.parametrize("text", ["0", "1/0", "x", "-1/3", "2"])
def test_ratios_that_cannot_be_are_refused(text):
    with pytest.raises(InputError, match="--ratio"):
        parse_ratio(text)


def test_unknown_arms_and_equal_names_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="link or codec: got 'png'"):
        BaselineTask(("png",), 0.1, (0.0,))
    (tmp_path / "coffee.png").write_bytes((folder / "coffee.png").read_bytes())
    with pytest.raises(InputError, match="two files named"):
        measure_baseline([folder / "coffee.png", tmp_path / "coffee.png"], BaselineTask(("linear",), 0.1, (0.0,)))


def test_all_unusable_pictures_are_named_before_anything_is_measured(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "cut.png").write_bytes((folder / "coffee.png").read_bytes()[:300])
    (tmp_path / "text.jpg").write_bytes(b"no picture")
    words = ("baseline", tmp_path, "--codec", "jpeg", "--arms", "linear", "--snr", "5", "-o", tmp_path / "run")
    done = run_here("semcom.cli", *map(str, words))
    assert done.returncode == 2, done.stderr
    assert "2 of 4 unusable: cut.png" in done.stderr
    assert "text.jpg" in done.stderr
    assert not (tmp_path / "run").exists()


def test_no_noise_no_signal_and_any_name_are_measured(folder, tmp_path):
    name = os.fsdecode(b'l\xff, "a".png')
    (tmp_path / name).write_bytes((folder / "coffee.png").read_bytes())
    rows = measure_baseline([tmp_path / name], BaselineTask(("linear",), 1 / 12, (float("inf"), -200.0)))
    assert rows[0]["psnr"] > 20 > rows[1]["psnr"]
    (tmp_path / "scores.csv").write_text(baseline_csv(rows), "utf-8", "backslashreplace")
    assert len(list(csv.DictReader((tmp_path / "scores.csv").open()))) == 2


def test_pilots_and_prefixes_are_counted(folder):
    path = folder / "coffee.png"
    plain, fading = (
        measure_baseline([path], BaselineTask(("linear",), 1 / 12, (9.0,), channel))[0]["symbols"]
        for channel in ("awgn", "ofdm:csi=pilot,pilots=1")
    )
    assert (plain, fading) == (3072, (3072 // 64 + 1) * 80)
    rows = measure_baseline([path], task := BaselineTask(("linear",), 1 / 12, (9.0,), "ofdm"))
    assert "on top" in " ".join(baseline_table(rows, task).notes)


def test_options_that_would_do_nothing_are_refused(folder):
    for words, named in ((("--assumed", "9"), "--unknown"), (("--arms", "joint", "--ratio", "1/3"), "at most 16/96")):
        done = run_here("semcom.cli", "baseline", str(folder), "--codec", "jpeg", "--snr", "5", *words)
        assert done.returncode == 2
        assert named in done.stderr
