"""Whose is which part of a text: nothing is chosen, or scored, on a token that something was fitted to."""

from __future__ import annotations

import itertools

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import TokenPruner, datasets, tiny_model, windows
from tokenprune.cli import _compare, _ftp, app
from tokenprune.evaluation._roles import for_fitting, for_scoring, held_out, with_tasks
from typer.testing import CliRunner

from .conftest import byte_tokenizer

FIRST = 0x4E00  # of 6,000 characters, all different, so that a token says where it stood


class SeenError(Exception):
    """Carries what a verb was about to work on."""


def say(*words):
    done = CliRunner().invoke(app, [*words, "--quiet"], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception


def caught(*words):
    with pytest.raises(SeenError) as found:
        say(*words)
    return found.value.args[0]


def standing(data):
    return set(torch.cat(list(data.sequences)).tolist())


@pytest.fixture
def book(tmp_path, monkeypatch):
    path = tmp_path / "book.txt"
    path.write_text("".join(chr(FIRST + at) for at in range(6000)), encoding="utf-8")
    monkeypatch.setattr(datasets, "tokens", lambda words, _: torch.tensor([ord(one) - FIRST for one in words]))
    for verbs in (_ftp, _compare):
        monkeypatch.setattr(verbs, "load_model", lambda *_: (tiny_model(vocab_size=6000), None))
    return str(path)


@pytest.fixture
def stages(monkeypatch):
    """Windows of each role of a verb's stages, by name; the stages are not run."""

    def stages(run, pruner, texts, **_):
        raise SeenError({"search": texts.calibration, "train": texts.training, "validation": texts.validation,
                         "held out": texts.held_out})  # fmt: skip

    monkeypatch.setattr("tokenprune.ftp._stages.Stages", stages)


@pytest.fixture
def judged(monkeypatch):
    """What the arms of `compare` and `eval` are fitted to and scored on."""
    fitted = []
    monkeypatch.setattr(
        "tokenprune.evaluation._compare.fitted", lambda model, ours, names, s, data, **_: fitted.append(data) or {}
    )

    def compare(layout, arms, text, **_):
        raise SeenError({"fitted": fitted[0], "scored": text})

    monkeypatch.setattr("tokenprune.evaluation._compare.compare", compare)


@pytest.mark.parametrize("seed", ["0", "7"])
def test_no_token_is_in_two_roles_of_a_run(book, stages, tmp_path, seed):
    sizes = ["--long", "0", "--windows", "12", "--length", "100"]
    found = caught("ftp", "--calibration", book, *sizes, "-o", str(tmp_path / "out"), "--seed", seed)
    for one, other in itertools.combinations(found.values(), 2):
        assert not standing(one) & standing(other)
    assert [len(found[name]) for name in ("search", "train", "validation", "held out")] == [12] * 4
    assert min(standing(found["held out"])) >= 4800


def test_what_is_scored_was_fitted_by_no_arm_and_by_no_run_of_any_size(book, stages, judged, tmp_path):
    at = ["--calibration", book, "--text", book, "--windows", "5", "--length", "100"]
    compared = caught("compare", *at, "-o", str(tmp_path / "c"))
    assert not standing(compared["fitted"]) & standing(compared["scored"])
    TokenPruner(tiny_model(vocab_size=6000)).save_pretrained(tmp_path / "p")
    evaluated = caught("eval", "--pruner", str(tmp_path / "p"), "--text", book, "--windows", "11", "--length", "100")
    for count in ("2", "16"):
        sizes = ["--long", "0", "--windows", count, "--length", "100"]
        run = caught("ftp", "--calibration", book, *sizes, "-o", str(tmp_path / count))
        for role in ("search", "train", "validation"):
            for scored in (compared["scored"], evaluated["scored"]):
                assert not standing(run[role]) & standing(scored)


def test_a_text_that_is_too_short_is_one_error_that_says_how_much_is_needed(book, stages, judged, tmp_path):
    with pytest.raises(InputError, match=r"text in .*book.txt: got 4800 tokens in its first four fifths, expected at "
                       r"least 4896: 17 windows of 96 for each of 3 roles"):  # fmt: skip
        say(
            "ftp",
            "--long",
            "0",
            "--calibration",
            book,
            "--windows",
            "17",
            "--length",
            "96",
            "-o",
            str(tmp_path / "out"),
        )
    with pytest.raises(InputError, match=r"text in .*book.txt: got 1200 tokens in its last fifth, expected at least "
                       r"1280: 10 windows of 128"):  # fmt: skip
        say("compare", "--calibration", book, "--text", book, "--windows", "10", "-o", str(tmp_path / "c"))


def test_the_embedded_text_is_enough_for_a_run_as_it_comes_with_a_thousand_scored_tokens(stages, monkeypatch, tmp_path):
    for verbs in (_ftp, _compare):
        monkeypatch.setattr(verbs, "load_model", lambda *_: (tiny_model(vocab_size=6000), None))
    monkeypatch.setattr(datasets, "tokens", lambda words, _: torch.arange(len(words) // 4))  # SmolLM2: 3.3
    found = caught("ftp", "-o", str(tmp_path / "out"))
    for name in ("search", "validation"):
        assert sum(found[name].counts) >= 1000
    assert len(found["held out"]) >= 8


def test_windows_of_every_role_begin_with_the_bos_that_the_tokenizer_adds():
    cut = {"count": 3, "length": 50, "scored": 4}
    for bos in (True, False):
        own = byte_tokenizer(bos=bos)
        roles = for_fitting("embedded", own, roles=3, seed=0, **cut)
        for data in (*roles, for_scoring("embedded", own, seed=0, **cut), held_out("embedded", own, **cut)):
            assert [len(one) for one in data.sequences] == [50] * 3
            assert [(one == 256).nonzero().flatten().tolist() for one in data.sequences] == [[0] * bos] * 3


def test_tasks_stand_beside_windows_and_take_their_filler_from_them():
    cut = windows(datasets.tokens(datasets.embedded_text(), None), length=128, scored=4, count=6)
    with_them = with_tasks(cut, "training", None, each=2, length=300, seed=1)
    assert len(with_them) == 6 + 2 * len(datasets.KINDS)
    assert {len(one) for one in with_them.sequences[6:]} == {300}
    assert with_tasks(cut, "training", None, each=0, length=300, seed=1) is cut
    assert with_tasks(cut, "training", None, each=None, length=800, seed=1) is cut  # too little text
    assert len(with_tasks(cut, "training", None, each=None, length=300, seed=1).sequences) > len(cut.sequences)
    whole = datasets.words(torch.cat(list(cut.sequences)), None)
    needle = datasets.words(with_them.sequences[7], None)
    assert needle[:40] in whole  # a needle at a depth of a quarter has filler before it
    other = with_tasks(cut, "validation", None, each=2, length=300, seed=1)
    assert not {datasets.words(one[-30:], None) for one in other.sequences[6:]} & {
        datasets.words(one[-30:], None) for one in with_them.sequences[6:]}  # fmt: skip
    with pytest.raises(InputError, match="--long: got 1 tasks of 800"):
        with_tasks(cut, "training", None, each=1, length=800, seed=1)
