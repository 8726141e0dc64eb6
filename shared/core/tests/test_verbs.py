"""A verb has the shared options it uses and no other, and its output path is judged before it runs."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from ninefold import artifacts, cli
from ninefold.run import Run
from ninefold_testing import module

SAMPLE = """
    from __future__ import annotations

    import functools
    import inspect
    from dataclasses import dataclass
    from typing import Annotated

    import typer
    from ninefold.cli import Shared, house_app, verb
    from ninefold.files import starts_with, write_text

    app = house_app("verbs_nine", "A sample.")
    ran = []


    @verb(app, uses=())
    def plain(word: str = "x") -> dict:
        "No option of the house but --json."
        return {"word": word}


    @verb(app, uses=("seed", "quiet"))
    def draw(*, opts: Shared) -> dict:
        "Some."
        return vars(opts)


    @verb(app, uses=("force", "out"))
    def write(*, opts: Shared) -> None:
        "A file or folder."
        ran.append("write")


    @verb(app, uses=("force", "out"), out="file", ours=starts_with("a,b"))
    def table(*, opts: Shared) -> None:
        "A CSV file."
        ran.append("table")
        write_text(opts.need_out(), "a,b\\n1,2\\n", force=opts.force, ours=starts_with("a,b"))


    @verb(app, uses=("out",), out="run")
    def long(*, opts: Shared) -> None:
        "A run."
        ran.append("long")


    @verb(app, uses=("out",), out="own")
    def own(*, opts: Shared) -> None:
        "Judges itself."
        ran.append("own")


    def decorated(function):
        @functools.wraps(function)
        def call(**values):
            return function(**values)

        call.__signature__ = inspect.Signature([])  # as of a decorator that brings options of its own
        return call


    @dataclass(frozen=True)
    class Lens:
        name: Annotated[str, typer.Argument(help="Of the lens.")]
        width: Annotated[int, typer.Option("--wide", min=1, help="In mm.")] = 50


    @verb(app, uses=("seed",))
    def look(far: bool = False, *, lens: Lens, opts: Shared) -> dict:
        "Through a lens."
        return {"far": far, "lens": lens, "seed": opts.seed}


    @verb(app, uses=("seed",))
    @decorated
    def hidden(*, opts: Shared) -> dict:
        "Behind a decorator."
        return {"seed": opts.seed}

"""


@pytest.fixture
def sample(tmp_path, monkeypatch, capfd):
    """A function that runs the sample's command: (status, stdout, stderr)."""
    module(tmp_path / "src", "verbs_nine", SAMPLE)
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.delitem(sys.modules, "verbs_nine", raising=False)
    monkeypatch.chdir(tmp_path)
    sample = importlib.import_module("verbs_nine")

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["verbs-nine", *words])
        return cli.status_of(sample.app), *capfd.readouterr()

    call.ran = sample.ran
    return call


@pytest.mark.parametrize(
    "words",
    [["plain", "-o", "x"], ["plain", "--seed", "1"], ["plain", "-q"], ["draw", "-o", "x"], ["draw", "--device"]],
)
def test_option_that_a_verb_does_not_use_is_refused(sample, words):
    status, out, err = sample(*words)
    assert (status, out) == (2, "")
    assert err == f"error: No such option: {words[1]} (see: verbs-nine {words[0]} --help)\n"


def test_verb_has_what_it_uses_and_json_always(sample):
    assert json.loads(sample("plain", "--json")[1]) == {"word": "x"}
    shown = json.loads(sample("draw", "--seed", "3", "-q", "--json")[1])
    defaults = {"device": "cpu", "threads": None, "force": False, "out": None}
    assert shown == {"seed": 3, "json": True, "quiet": True, **defaults}
    assert json.loads(sample("hidden", "--seed", "3", "--json")[1]) == {"seed": 3}
    helped = sample("draw", "--help")[1]
    assert "--seed" in helped
    assert "--out" not in helped


def test_settings_become_options_one_for_each_field(sample):
    shown = json.loads(sample("look", "tele", "--wide", "200", "--far", "--seed", "2", "--json")[1])
    assert shown == {"far": True, "lens": {"name": "tele", "width": 200}, "seed": 2}
    assert json.loads(sample("look", "tele", "--json")[1])["lens"]["width"] == 50
    assert sample("look", "tele", "--wide", "0")[0] == 2
    assert sample("look")[0] == 2
    assert "In mm." in sample("look", "--help")[1]


def test_unknown_option_of_the_house_is_our_defect():
    with pytest.raises(TypeError, match=r"uses: \['sed'\], expected some of seed, device"):
        cli.verb(typer.Typer(), uses=("sed",))


def test_foreign_file_is_refused_before_the_verb_runs(sample, tmp_path):
    (tmp_path / "x").write_text("mine")
    for verb in ("write", "table"):
        assert sample(verb, "-o", "x")[2].startswith("error: x: exists already;")
        assert sample(verb, "-o", "x", "--force")[2].startswith("error: x: refusing to replace: ")
        assert sample(verb, "-o", "x/y")[2].endswith("/x is a file\n")
    assert sample("long", "-o", "x")[0] == 2
    assert sample("own", "-o", "x/y/z")[0] == 2
    assert sample.ran == []
    assert (tmp_path / "x").read_text() == "mine"


def test_what_the_package_wrote_may_be_replaced(sample, tmp_path):
    for name, package in (("ours", "verbs_nine"), ("theirs", "another")):
        artifacts.save(name, {"a": np.arange(3)}, kind=f"{package}.x", format_version=1, package=package)
    assert sample("write", "-o", "ours", "--force")[0] == 0
    assert sample("write", "-o", "theirs", "--force")[0] == 2
    assert sample.ran == ["write"]


def test_table_is_made_anew_over_a_table(sample):
    assert sample("table", "-o", "new/t.csv")[0] == 0
    assert sample("table", "-o", "new/t.csv")[0] == 2
    assert sample("table", "-o", "new/t.csv", "--force")[0] == 0
    assert Path("new/t.csv").read_text() == "a,b\n1,2\n"


def test_run_goes_on_and_a_verb_may_judge_for_itself(sample, tmp_path):
    Run("run", {}).close()
    (tmp_path / "x").write_text("mine")
    assert sample("long", "-o", "run")[0] == 0
    assert sample("own", "-o", "x")[0] == 0
    assert sample.ran == ["long", "own"]
