"""Texts and questions: what a user's file may hold, and what is said of one that does not."""

from __future__ import annotations

import gzip
import json

import pytest
import torch
from ninefold.errors import DownloadError, InputError
from tokenprune import datasets
from tokenprune.datasets import Question


def test_texts_of_each_kind_are_read(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"one\ntwo"))
    (tmp_path / "c.jsonl").write_text('{"text": "one"}\n\n{"text": "two"}\n')
    pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "d.parquet")
    for name in ("a.txt", "b.txt.gz", "c.jsonl", "d.parquet"):
        assert datasets.text(tmp_path / name) == "one\ntwo"
    assert datasets.tokens("one", None).tolist() == [111, 110, 101]


def test_bad_texts_are_named(tmp_path):
    pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    pq.write_table(pa.table({"words": ["one"]}), tmp_path / "d.parquet")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"one two three")[:-6])
    (tmp_path / "other.jsonl").write_text('{"text": "one"}\n{"words": "two"}\n')
    (tmp_path / "broken.jsonl").write_text('{"text": "one"}\n{"text"\n')
    for name, message in {
        "d.parquet": "column `text` in .*d.parquet: got columns",
        "empty.txt": "text in .*empty.txt: got nothing",
        "latin.txt": "text in .*latin.txt.*expected UTF-8",
        "cut.txt.gz": "text in .*cut.txt.gz",
        "other.jsonl": r"field `text` in .*other.jsonl, row 2",
        "broken.jsonl": r"row in .*broken.jsonl, row 2: got \{\"text\"",
        "nosuch.txt": "text: got .*nosuch.txt, expected one of embedded, wikitext2_valid",
    }.items():
        with pytest.raises(InputError, match=message):
            datasets.text(tmp_path / name)


def test_questions_are_read_and_bad_rows_are_named(tmp_path):
    good = {"question": "Two and two?", "choices": ["four", "five"], "label": 0}
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(good) + "\n")
    assert datasets.questions(path) == [Question("Two and two?", ("four", "five"), 0)]
    for bad, message in (
        ({**good, "label": 2}, "choices and label in .*q.jsonl, row 2"),
        ({**good, "choices": ["four"]}, "choices and label in .*q.jsonl, row 2"),
        ({"question": "?"}, "field `choices` in .*q.jsonl, row 2"),
    ):
        path.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
        with pytest.raises(InputError, match=message):
            datasets.questions(path)
    path.write_text("\n")
    with pytest.raises(InputError, match=r"rows in .*q.jsonl: got none"):
        datasets.questions(path)


def test_data_that_is_not_here_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    monkeypatch.setattr("ninefold.datasets.cache_path", lambda package: tmp_path / "cache")
    with pytest.raises(DownloadError, match=r"wikitext2_test.txt.gz is not on this machine: put the file at .*cache"):
        datasets.text("wikitext2_test")
    with pytest.raises(DownloadError, match="or set NINEFOLD_DATA to a folder that has tokenprune/piqa"):
        datasets.questions("piqa")


def test_solved_questions_stand_before_the_one_that_is_asked():
    shots = [Question("Two and two?", ("four", "five"), 0)]
    asked = datasets.few_shot(Question("One and one?", ("two", "three"), 0), shots)
    assert asked == "Question: Two and two?\nAnswer: four\n\nQuestion: One and one?\nAnswer:"


def test_the_right_answer_alone_is_scored():
    from tokenprune._evaluate import questions_as_scored

    (one,) = questions_as_scored([Question("One and one?", ("two", "three"), 0)], [], None)
    assert [bytes(sequence.tolist()).decode() for sequence in one.sequences] == [
        "Question: One and one?\nAnswer: two",
        "Question: One and one?\nAnswer: three",
    ]
    assert list(one.counts) == [4, 6]
    assert bytes(one.targets.tolist()).decode() == " two three"
    assert torch.equal(one.part(0, 1).targets, one.targets[:4])
