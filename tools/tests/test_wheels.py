"""What may be in a wheel, what a prefix changes, and where an import may come from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomlkit
import wheels
from venvs import Venv, share_compiled
from wheels import Wheel, build, check_contents, prefixed, put_prefix
from workspace import CORE, ToolError, find


@pytest.fixture
def core_wheel(tmp_path):
    """A function that zips the core's files, without `left_out` and with `added`, as its wheel."""
    core = find(CORE)

    def make(left_out=(), added=()):
        path = tmp_path / "ninefold_core-0.1.0-py3-none-any.whl"
        kinds = ("*.py", "*.css", "py.typed")
        files = [f"ninefold/{file.relative_to(core.source)}" for kind in kinds for file in core.source.rglob(kind)]
        with zipfile.ZipFile(path, "w") as wheel:
            for name in {*files, "ninefold_core-0.1.0.dist-info/licenses/LICENSE", *added} - set(left_out):
                wheel.writestr(name, "")
        return path

    return make


def test_target_is_for_packages_that_build_something_for_it(core_wheel, monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(wheels, "run", lambda *_, env: seen.update(env) or core_wheel())
    monkeypatch.setattr(wheels, "check_contents", lambda *_: None)
    with pytest.raises(ToolError, match="ninefold-core builds nothing for aarch64-macos"):
        build(find(CORE), tmp_path, target="aarch64-macos.11.0")
    assert seen == {"NINEFOLD_TARGET": "aarch64-macos.11.0", "NINEFOLD_PURE": None}


def test_wheel_of_exactly_the_source_files_is_accepted(core_wheel):
    check_contents(core_wheel(), find(CORE))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left_out": ["ninefold_core-0.1.0.dist-info/licenses/LICENSE"]}, "no LICENSE"),
        ({"left_out": ["ninefold/errors.py"]}, "lacks: ninefold/errors.py"),
        ({"added": ["tests/test_errors.py"]}, "no source file: tests/test_errors.py"),
        ({"added": ["ninefold/secret.csv"]}, "no source file: ninefold/secret.csv"),
    ],
)
def test_wheel_with_another_content_is_refused(core_wheel, change, message):
    with pytest.raises(ToolError, match=message):
        check_contents(core_wheel(**change), find(CORE))


def test_prefix_changes_own_names_and_no_others():
    settings = tomlkit.parse("""
        [project]
        name = "tswitch"
        dependencies = ["ninefold-core>=0.2,<0.3", "torch>=2.4"]
        [project.optional-dependencies]
        all = ["tswitch[hf]", "transformers"]
        [project.scripts]
        tswitch = "tswitch.cli:main"
        [dependency-groups]
        test = ["ninefold-core[plots,testing]", "pytest"]
    """)
    put_prefix(settings, "acme-")
    assert settings["project"]["name"] == "acme-tswitch"
    assert settings["project"]["dependencies"] == ["acme-ninefold-core<0.3,>=0.2", "torch>=2.4"]
    assert settings["project"]["optional-dependencies"]["all"] == ["acme-tswitch[hf]", "transformers"]
    assert settings["project"]["scripts"] == {"tswitch": "tswitch.cli:main"}
    assert settings["dependency-groups"]["test"] == ["acme-ninefold-core[plots,testing]", "pytest"]


def test_prefix_is_put_once():
    assert prefixed("ninefold-core", "ninefold-") == "ninefold-core"
    assert prefixed("tswitch", "ninefold-") == "ninefold-tswitch"


def test_wheel_that_is_there_is_built_no_second_time(core_wheel, monkeypatch, tmp_path):
    made = []

    def build(package, out):
        made.append(package.name)
        return Wheel(package.name, core_wheel().rename(out / "ninefold_core-0.1.0-py3-none-any.whl"))

    monkeypatch.setattr(wheels, "build", build)
    first, second = (wheels.built(find(CORE), tmp_path / "dist") for _ in range(2))
    assert first == second
    assert first.path.parent == tmp_path / "dist" / CORE
    assert made == [CORE]


def test_environment_takes_what_this_one_has_compiled_of_the_same_files_alone(tmp_path):
    import packaging

    here = Path(packaging.__file__).parent
    if here.stat().st_dev != tmp_path.stat().st_dev:
        pytest.skip("temporary files lie on another disk, where nothing can be linked")
    there = tmp_path / "lib" / here.parents[1].name / "site-packages" / "packaging"
    shutil.copytree(here, there, copy_function=os.link, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "lib" / "python2.7" / "site-packages" / "packaging").mkdir(parents=True)
    changed, before = there / "version.py", (here / "version.py").stat()
    changed.unlink()
    changed.write_text("changed = True".ljust(before.st_size))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # which Python takes for the same file
    share_compiled(tmp_path)
    shared = {file.name for file in (there / "__pycache__").iterdir()}
    compiled = {file.name for file in (here / "__pycache__").iterdir()}
    assert compiled - shared == {f"version.{sys.implementation.cache_tag}.pyc"}
    assert shared < compiled
    assert not list((tmp_path / "lib" / "python2.7").rglob("*.pyc"))
    code = "import packaging.version as found; print(found.__file__, found.changed)"
    env = {**os.environ, "PYTHONPATH": str(there.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(changed), "True"]


@pytest.fixture
def venv_that_finds(tmp_path, monkeypatch):
    """A Venv whose interpreter reports a given origin of the import."""

    def make(**found):
        venv = object.__new__(Venv)
        venv.folder = tmp_path
        said = {"version": "1", "file": str(tmp_path / "x.py"), "distributions": ["tswitch"], **found}
        monkeypatch.setattr(venv, "run", lambda *words: json.dumps(said))
        return venv

    return make


def test_import_from_our_wheel_is_accepted(venv_that_finds, tmp_path):
    wheel = Wheel("tswitch", tmp_path / "tswitch-1.whl")
    venv_that_finds(url=wheel.path.as_uri()).check_origin(wheel, "tswitch")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"url": None}, "came from an index"),
        ({"url": "file:///elsewhere.whl"}, "came from file:///elsewhere.whl"),
        ({"file": "/the/tree/tswitch/__init__.py"}, "outside the clean environment"),
        ({"distributions": ["tswitch", "acme-tswitch"]}, "brought by"),
    ],
)
def test_import_from_anywhere_else_is_refused(venv_that_finds, tmp_path, found, message):
    wheel = Wheel("tswitch", tmp_path / "tswitch-1.whl")
    with pytest.raises(ToolError, match=message):
        venv_that_finds(**{"url": wheel.path.as_uri(), **found}).check_origin(wheel, "tswitch")
