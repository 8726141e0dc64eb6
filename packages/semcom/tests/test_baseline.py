"""`semcom baseline` on a folder of whole pictures."""

from __future__ import annotations

import csv
import json

import pytest
from ninefold.errors import InputError
from ninefold_testing import run_here
from PIL import Image
from semcom.cli._measure import parse_ratio
from semcom.datasets import embedded_photographs
from semcom.evaluation import BaselineTask, baseline_table, best_rates, measure_baseline


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
    assert "leads at" in table["title"]
    again = run_here("semcom.cli", *map(str, words), "--json")
    assert json.loads(again.stdout) == table


def test_a_sender_without_the_snr_keeps_one_rate_over_all_of_them(folder):
    task = BaselineTask(("jpeg", "softcast"), 1 / 8, (0.0, 9.0), known=False)
    rows = measure_baseline(sorted(folder.iterdir()), task)
    kept = best_rates(rows, task)
    assert len({row["rate"] for row in kept if row["arm"] == "jpeg"}) == 1
    assert len([row for row in kept if row["arm"] == "softcast"]) == 4
    assert "ten fixed rates" in " ".join(baseline_table(rows, task).notes)


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
