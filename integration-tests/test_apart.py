"""Wheels in environments of their own: the core alone, and all packages under a publisher's prefix."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from venvs import Venv
from wheels import build
from workspace import CORE, find, members, packages


@pytest.mark.slow
def test_lab_alone_says_that_nothing_is_installed(tmp_path):
    wheels = [build(find(name), tmp_path / name) for name in (CORE, "ninefold-lab")]
    venv = Venv(tmp_path / "clean")
    venv.install([wheel.name for wheel in wheels], wheels)
    assert json.loads(venv.run("ninefold", "list", "--json"))["rows"] == []
    assert not json.loads(venv.run("ninefold", "doctor", "--json"))["torch"][0].isdigit()  # a reason, not a version
    done = subprocess.run(
        [venv.bin / "ninefold", "demo"],
        env=venv.environment,
        cwd=venv.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "no installed system" in line


@pytest.mark.slow
def test_packages_under_a_prefix_keep_their_imports_and_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("BNN_FSG_PURE", "1")  # its library in C takes as long to build as all else here, and has no name
    with ThreadPoolExecutor(4) as pool:  # a build mostly waits for the index
        built = {name: pool.submit(build, one, tmp_path / name, prefix="acme-") for name, one in members().items()}
    wheels = {name: one.result() for name, one in built.items()}
    venv = Venv(tmp_path / "clean")
    venv.install([wheel.name for wheel in wheels.values()], wheels.values())
    systems = {system: f"acme-{name}" for name, package in packages().items() for system in package.systems}
    rows = json.loads(venv.run("ninefold", "list", "--json"))["rows"]
    assert {row["system"]: row["distribution"] for row in rows} == systems
    facts = json.loads(venv.run("ninefold", "doctor", "--json"))
    for name, package in members().items():
        venv.check_origin(wheels[name], package.import_name)
        for system in package.systems:
            assert facts[f"system {system}"] == f"acme-{name} {package.version}"
        for script in package.scripts:
            assert venv.run(script, "--version") == f"acme-{name} {package.version}\n"
