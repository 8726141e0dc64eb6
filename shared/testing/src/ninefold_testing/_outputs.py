"""The part of the contract on output paths: each verb with -o is walked over places that it must refuse."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ninefold.cli import _verbs
from ninefold.files import judge_out

from ninefold_testing._programs import digests, run_here


class _Accepted(BaseException):
    """The path was judged fit, and the work would begin."""


class OutputTests:
    """Tests of output paths; a base of `ContractTests`."""

    package: ClassVar[str]

    @property
    def module(self) -> str:
        """Module of the console script."""
        return f"{self.package}.cli"

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        """Words by verb, for each verb of the package that has -o (without -o; that of `demo_verb` is known)."""
        raise TypeError("fill in this hook")

    def test_output_path_is_judged_before_the_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import typer

        verbs = typer.main.get_command(importlib.import_module(self.module).app).commands  # type: ignore[attr-defined]
        options = {name: {one.name for one in verb.params} for name, verb in verbs.items()}
        words = {"demo": ["demo"], **self.output_commands(tmp_path)}
        missing = [name for name in verbs if "out" in options[name] and name not in words]
        assert not missing, f"output_commands leaves out {missing}, which have -o"
        for number, name in enumerate(name for name in verbs if "out" in options[name]):
            callback: Any = verbs[name].callback
            for case, path, fit in _places(tmp_path / f"places-{number}", callback.output):

                def judged(given: Path, *, fit: bool = fit, **how: Any) -> None:
                    judge_out(given, **how)
                    if fit or how["what"] != "own":
                        raise _Accepted

                monkeypatch.setattr(_verbs, "judge_out", judged)
                before, told = digests(tmp_path), f"{name} -o, {case}"
                for forced in [[], ["--force"]] if "force" in options[name] else [[]]:
                    try:
                        done = run_here(self.module, *words[name], "-o", str(path), *forced)
                    except _Accepted:
                        assert fit, f"{told}: the work would begin"
                        continue
                    assert not fit, f"{told}: {done.stderr}"
                    assert done.returncode == 2, f"{told}: {done.stderr}"
                    assert len(done.stderr.strip().splitlines()) == 1, f"{told}: {done.stderr}"
                    assert path.name in done.stderr, f"{told}: {done.stderr}"
                    assert digests(tmp_path) == before, told


def _places(root: Path, what: str) -> Iterator[tuple[str, Path, bool]]:
    """(what is there, path for -o, whether it is fit) for a verb that writes `what`."""
    root.mkdir()
    (root / "file").write_text("mine")
    (root / "folder").mkdir()
    (root / "folder" / "precious.txt").write_text("mine")
    yield "a file of the user", root / "file", False
    yield "below a file of the user", root / "file" / "below", False
    yield "a folder of the user", root / "folder", what == "into"
    yield "no parent", root / "no" / "parent", True
    if os.geteuid() != 0:  # root has all rights
        (root / "locked").mkdir(0o500)
        yield "a folder without rights", root / "locked" / "new", False
