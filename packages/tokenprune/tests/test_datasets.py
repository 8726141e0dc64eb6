"""Texts and questions: what a user's file may hold, and what is said of one that does not."""

from __future__ import annotations

import gzip
import json
import sys

import pytest
import torch
from ninefold.errors import DownloadError, InputError, MissingExtraError
from tokenprune import datasets
from tokenprune.datasets import Question

from .conftest import byte_tokenizer


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
    whole = bytearray(gzip.compress(b"one two three " * 40, mtime=0))
    whole[14:20] = b"\xff" * 6
    (tmp_path / "hit.txt.gz").write_bytes(whole)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "d.parquet").read_bytes()[:-9])
    (tmp_path / "empty.parquet").write_bytes(b"")
    (tmp_path / "other.jsonl").write_text('{"text": "one"}\n{"words": "two"}\n')
    (tmp_path / "broken.jsonl").write_text('{"text": "one"}\n{"text"\n')
    for name, message in {
        "d.parquet": "column `text` in .*d.parquet: got columns",
        "empty.txt": "text in .*empty.txt: got nothing",
        "latin.txt": "text in .*latin.txt.*expected UTF-8",
        "cut.txt.gz": "text in .*cut.txt.gz",
        "hit.txt.gz": "text in .*hit.txt.gz: got .*expected UTF-8, gzipped or not",
        "cut.parquet": "rows in .*cut.parquet: got .*expected whole parquet",
        "empty.parquet": "rows in .*empty.parquet: got .*expected whole parquet",
        "other.jsonl": r"field `text` in .*other.jsonl, row 2",
        "broken.jsonl": r"row in .*broken.jsonl, row 2: got \{\"text\"",
        "nosuch.txt": r"text: got .*nosuch.txt: no such file, expected a file that is there \(check the path\)",
        "nosuch.jsonl": "text: got .*nosuch.jsonl: no such file",
        "nosuch": "text: got .*nosuch, expected one of embedded, wikitext2_valid",
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
    from tokenprune.evaluation._evaluate import questions_as_scored

    (one,) = questions_as_scored([Question("One and one?", ("two", "three"), 0)], [], None)
    assert [bytes(sequence.tolist()).decode() for sequence in one.sequences] == [
        "Question: One and one?\nAnswer: two",
        "Question: One and one?\nAnswer: three",
    ]
    assert list(one.counts) == [4, 6]
    assert bytes(one.targets.tolist()).decode() == " two three"
    assert torch.equal(one.part(0, 1).targets, one.targets[:4])


def test_a_prompt_begins_as_the_tokenizer_begins_it_and_with_one_bos():
    own, none = byte_tokenizer(bos=True), byte_tokenizer(bos=False)
    assert datasets.prefix(own).tolist() == [256]
    assert datasets.prompt("one", own).tolist() == own("one")["input_ids"]
    assert datasets.prompt("<s>one", own).tolist() == own("one")["input_ids"]  # as chat templates write it
    assert datasets.tokens("one", own).tolist() == own("one")["input_ids"][1:]
    for other in (none, None):  # it has a BOS and adds none, as SmolLM2's; bytes
        assert datasets.prefix(other).tolist() == []
        assert torch.equal(datasets.prompt("one", other), datasets.tokens("one", other))


def test_a_bos_stands_before_each_question_and_window():
    from tokenprune import windows
    from tokenprune.evaluation._evaluate import questions_as_scored

    own, item = byte_tokenizer(bos=True), Question("One and one?", ("two", "three"), 0)
    (asked,), (bare,) = questions_as_scored([item], [item], own), questions_as_scored([item], [item], None)
    assert [len(one) for one in asked.sequences] == [1 + len(one) for one in bare.sequences]
    assert all((one == 256).nonzero().tolist() == [[0]] for one in asked.sequences)
    assert asked.counts == bare.counts
    cut = windows(torch.arange(30), length=10, scored=2, count=3, prefix=datasets.prefix(own))
    assert [one.tolist() for one in cut.sequences] == [[256, *range(at, at + 9)] for at in (0, 10, 20)]
    assert windows(torch.arange(30), length=10, scored=2, count=3).sequences[1].tolist() == list(range(10, 20))


def test_folders_and_alpacas_rows_are_read(tmp_path):
    (tmp_path / "texts" / "deeper").mkdir(parents=True)
    (tmp_path / "texts" / "b.txt").write_text("two")
    (tmp_path / "texts" / "a.txt").write_text("one")
    (tmp_path / "texts" / "deeper" / "c.txt").write_text("three")
    assert datasets.text(tmp_path / "texts") == "one\ntwo\nthree"
    (tmp_path / "rows").mkdir()
    for name, row in {"b": {"instruction": "Add.", "input": "", "output": "4"}, "a": {"text": "one"}}.items():
        (tmp_path / "rows" / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    assert datasets.text(tmp_path / "rows") == "one\nAdd.\n4"
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"folder in .*none: got no data, expected files ending in \.jsonl"):
        datasets.text(tmp_path / "none")


PUBLISHED = {
    "arc": {"question": "Q?", "choices": {"text": ["a", "b", "c"], "label": ["A", "B", "C"]}, "answerKey": "C"},
    "hellaswag": {"ctx": "Q?", "endings": ["a", "b", "c"], "label": "2", "activity_label": "x"},
    "mmlu": {"question": "Q?", "choices": ["a", "b", "c"], "answer": 2, "subject": "x"},
    "winogrande": {"sentence": "Q?", "option1": "a", "option2": "b", "answer": "2"},
    "piqa": {"goal": "Q?", "sol1": "a", "sol2": "b", "label": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_questions_are_read_as_their_publishers_have_them(tmp_path, name):
    row = PUBLISHED[name]
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(row) + "\n")
    two = name in ("winogrande", "piqa")
    assert datasets.questions(path) == [Question("Q?", ("a", "b") if two else ("a", "b", "c"), 1 if two else 2)]
    hidden = next(key for key in ("answerKey", "answer", "label") if key in row)
    path.write_text(json.dumps({**row, hidden: ""}) + "\n")  # as in a test split whose answers are not told
    with pytest.raises(InputError, match=r"choices and label in .*q.jsonl, row 1"):
        datasets.questions(path)


def test_a_hubs_data_set_is_asked_for_by_id_config_and_split(monkeypatch):
    import datasets as library

    asked = []

    def load_dataset(name, config, *, split):
        asked.append((name, config, split))
        if name == "no/such":
            raise library.exceptions.DatasetNotFoundError("Dataset 'no/such' doesn't exist")
        return library.Dataset.from_list([PUBLISHED["arc"]] if "arc" in name else [{"text": "one"}, {"text": "two"}])

    monkeypatch.setattr(library, "load_dataset", load_dataset)
    assert datasets.text("Salesforce/wikitext:wikitext-2-raw-v1@test") == "one\ntwo"
    assert datasets.text("tatsu-lab/alpaca") == "one\ntwo"
    assert datasets.questions("allenai/ai2_arc:ARC-Easy")[0].label == 2
    assert asked == [("Salesforce/wikitext", "wikitext-2-raw-v1", "test"), ("tatsu-lab/alpaca", None, "train"),
                     ("allenai/ai2_arc", "ARC-Easy", "validation")]  # fmt: skip
    with pytest.raises(DownloadError, match=r"data set no/such, config default, split train: cannot be had: Dataset"):
        datasets.text("no/such")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"datasets: pip install 'tokenprune\[data\]'"):
        datasets.text("tatsu-lab/alpaca")


def test_a_local_folder_of_the_hubs_form_goes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "texts").mkdir(parents=True)
    (tmp_path / "mine" / "texts" / "a.txt").write_text("one")
    assert datasets.text("mine/texts") == "one"
