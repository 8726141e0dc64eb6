"""The contract that every package keeps, as tests: a package inherits them, `class TestContract(ContractTests)`.

A package fills in the hooks and may add tests; it may not override one (that fails at import).
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ninefold.errors import NinefoldError, distribution_of, version_of
from ninefold.systems import installed

from ninefold_testing._flocks import FLOCKS, flock_of
from ninefold_testing._outputs import OutputTests
from ninefold_testing._programs import Warm, command, digests, run, run_here, warm


class ContractTests(OutputTests):
    """Common tests; see the hooks for what a package provides.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.artifacts import Artifact, save
        >>> from ninefold_testing import ContractTests

        >>> class TestContract(ContractTests):
        ...     package = "shop"
        ...     def make_artifact(self, tmp_path):
        ...         path = tmp_path / "model.safetensors"
        ...         save(path, {}, kind="shop.model", format_version=1, package="shop")
        ...         return path
        ...     def load_artifact(self, path):
        ...         Artifact(path, kind="shop.model", format_version=1).verify()
        >>> TestContract().test_damaged_artifact_is_refused_by_name(Path.cwd())  # pytest calls this, and the others
        >>> sorted(name for name in dir(TestContract) if name.startswith("test_"))[0]
        'test_damaged_artifact_is_refused_by_name'

        A package may add tests, and weaken none:

        >>> try:
        ...     class Weaker(ContractTests):
        ...         def test_each_verb_has_help(self):
        ...             pass
        ... except TypeError as error:
        ...     print(error)
        Weaker overrides the contract's test_each_verb_has_help
    """

    documents: ClassVar[set[str]] = {"README.md"}  # files of an artefact that people read and no loader does
    verbs_load_torch: ClassVar[bool] = False  # though the package does not require it

    # --- hooks ---

    def seeded_command(self, tmp_path: Path) -> list[str]:
        """Words of a fast verb whose result depends on --seed."""
        raise TypeError("fill in this hook")

    def make_artifact(self, tmp_path: Path) -> Path:
        """Write the package's artefact (file or folder) below tmp_path; return its path."""
        raise TypeError("fill in this hook")

    def load_artifact(self, path: Path) -> Any:
        """Load all of what `make_artifact` wrote."""
        raise TypeError("fill in this hook")

    def long_command(self, tmp_path: Path) -> list[str]:
        """Words of a resumable verb of some seconds that writes to `-o OUT` (not among the words)."""
        raise TypeError("fill in this hook")

    # --- the tests ---

    def __init_subclass__(cls) -> None:
        for name in dir(ContractTests):  # from a mixin too
            if name.startswith("test_") and getattr(cls, name) is not getattr(ContractTests, name):
                raise TypeError(f"{cls.__name__} overrides the contract's {name}")

    def test_import_and_help_are_light(self) -> None:
        code = f"import {self.package}, {self.module} as cli, sys; from typer.testing import CliRunner; "
        code += "result = CliRunner().invoke(cli.app, ['--help']); assert result.exit_code == 0, result; "
        code += "heavy = {'torch', 'matplotlib', 'transformers'} & set(sys.modules); assert not heavy, heavy"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_each_verb_has_help(self) -> None:
        import typer
        from typer.testing import CliRunner

        app = importlib.import_module(self.module).app
        verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        assert {"demo", "bench", "inspect"} <= set(verbs)
        for verb in verbs:
            result = CliRunner().invoke(app, [verb, "--help"])
            assert result.exit_code == 0
            assert verbs[verb].help, f"{verb} says nothing in --help"

    def test_version_is_the_distributions(self) -> None:
        done = run(self.module, "--version")
        assert done.returncode == 0
        assert re.fullmatch(r"\S+ \d+\.\d+\.\d+\S*\n", done.stdout)
        assert done.stdout.split() == [distribution_of(self.package), version_of(self.package)]

    def test_wrong_words_are_one_line_and_status_2(self) -> None:
        for how, words in ((run, ["--nope"]), (run_here, ["nosuchverb"]), (run_here, ["demo", "--nope"])):
            done = how(self.module, *words)
            assert done.returncode == 2, done
            assert len(done.stderr.strip().splitlines()) == 1
            assert "Traceback" not in done.stderr

    def test_json_is_one_document_and_follows_the_seed(self, tmp_path: Path) -> None:
        def once(seed: int, place: str, *, here: bool = False) -> Any:
            (tmp_path / place).mkdir()
            words = [*self.seeded_command(tmp_path / place), "--json", "--seed", str(seed)]
            done = run_here(self.module, *words) if here else self._warm().run(command(self.module, *words)[1:])
            assert done.returncode == 0, done.stderr
            text = json.dumps(_without_times(json.loads(done.stdout)))
            return text.replace(str(tmp_path / place), "")

        first, again, other = once(1, "a", here=True), once(1, "b"), once(2, "c")  # here sets have another order
        assert first == again
        assert first != other

    def test_damaged_artifact_is_refused_by_name(self, tmp_path: Path) -> None:
        path = self.make_artifact(tmp_path)
        self.load_artifact(path)
        told_newer = False
        for file in [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()):
            if file.name in self.documents:
                continue
            whole = file.read_bytes()
            places = {at for at in (0, len(whole) // 3, len(whole) // 2, len(whole) - 2) if 0 <= at < len(whole)}
            newer = re.sub(rb'(format_version\\?": ?)\d', rb"\g<1>9", whole)
            damages = [whole[: len(whole) // 2], whole[:-1], b"", b"something else entirely", newer]
            damages += [whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :] for at in places]
            for damaged in damages:
                if damaged == whole:
                    continue
                file.write_bytes(damaged)
                with pytest.raises(NinefoldError, match=re.escape(path.name)) as caught:
                    self.load_artifact(path)
                told_newer |= damaged is newer and "newer" in str(caught.value)
            file.unlink()
            with pytest.raises(NinefoldError, match=re.escape(path.name)):
                self.load_artifact(path)
            file.write_bytes(whole)
        self.load_artifact(path)
        assert told_newer, "no file of the artefact has a format_version that is checked before the rest"

    def test_artifact_is_written_whatever_the_locks_of_its_file_system(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for system in FLOCKS:
            monkeypatch.setattr("fcntl.flock", flock_of(system))
            (tmp_path / system).mkdir()
            path = self.make_artifact(tmp_path / system)
            monkeypatch.undo()
            self.load_artifact(path)
            left = [one.name for one in path.parent.rglob("*") if one.suffix in {".tmp", ".lock", ".held", ".old"}]
            assert not left, system

    def test_existing_output_is_not_overwritten_without_force(self, tmp_path: Path) -> None:
        words, out = self.long_command(tmp_path), tmp_path / "mine"
        out.mkdir()
        (out / "precious.txt").write_text("mine")
        done = run(self.module, *words, "-o", str(out), "--quiet")
        assert done.returncode == 2, done.stderr
        assert str(out) in done.stderr
        assert digests(out).keys() == {"precious.txt"}

    def test_killed_work_resumes_to_the_same_result(self, tmp_path: Path) -> None:
        words, whole, out = self.long_command(tmp_path), tmp_path / "whole", tmp_path / "killed"
        given, halfway = digests(tmp_path).keys(), False
        taken, _ = self._work_for(None, words, whole)

        def left() -> bool:
            names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} - given
            return any(not name.startswith(("whole", "killed.ready", "killed.said")) for name in names)

        for share in (0.3, 0.6, 0.9, *[None] * 5):  # None: as soon as there is a file, for work that went too fast
            if share is None and halfway:
                break
            _, status = self._work_for(share and share * taken, words, out, left if share is None else None)
            if status == 0 or (out.exists() and digests(out) == digests(whole)):  # the kill may come just after
                assert digests(out) == digests(whole)
                if halfway:  # what was resumed has come to its end
                    return
                shutil.rmtree(out)
            halfway |= left() and digests(out) != digests(whole)
        assert halfway, "no kill met work under way: the hook must name longer work"
        self._work_for(None, words, out)
        assert digests(out) == digests(whole)

    def _work_for(self, seconds: float | None, words: list[str], out: Path, until: Any = None) -> tuple[float, int]:
        """Run the long command for some seconds, until something holds, or to its end, then kill it.

        Returns the seconds it worked, and its status.
        """
        ready, said = out.with_suffix(".ready"), out.with_suffix(".said")
        ready.unlink(missing_ok=True)
        words = command(self.module, *words, "-o", str(out), "--quiet", ready=ready)[1:]
        with said.open("w", encoding="utf-8") as file:
            program = self._warm().start(words, file.fileno(), file.fileno())
        while not ready.exists() and program.wait(0.002) is None:
            pass
        start, end = time.perf_counter(), seconds or float("inf")
        while program.wait(0.002) is None and time.perf_counter() - start < end and not (until and until()):
            pass
        program.kill()
        status = program.wait()
        assert status in (0, -signal.SIGKILL), said.read_text(encoding="utf-8")
        return time.perf_counter() - start, status

    def _warm(self) -> Warm:
        return warm(None if self.verbs_load_torch else self.package)

    def test_interrupt_gives_130(self, tmp_path: Path) -> None:
        words, ready = [*self.long_command(tmp_path), "-o", str(tmp_path / "out"), "--quiet"], tmp_path / "ready"
        words = command(self.module, *words, ready=ready)
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while not ready.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert len(errors.strip().splitlines()) == 1, errors

    def test_each_system_has_a_demo(self) -> None:
        systems = [row.system for row in installed() if row.system and row.system.demo.startswith(f"{self.package}.")]
        assert systems, "no entry point in ninefold.systems"
        for system in systems:
            assert callable(system.load_demo())


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(part) for key, part in value.items() if "seconds" not in str(key)}
    return [_without_times(part) for part in value] if isinstance(value, list) else value
