"""All packages in one environment, as the `ninefold` command sees them."""

from __future__ import annotations

import json

from ninefold_testing import run
from workspace import packages

SYSTEMS = {system: package for package in packages().values() for system in package.systems}


def test_list_shows_every_system_of_the_workspace():
    done = run("ninefold_lab.app", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["system"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows.keys() == SYSTEMS.keys()
    for system, package in SYSTEMS.items():
        assert (rows[system]["distribution"], rows[system]["version"]) == (package.name, package.version)
        assert "cannot be loaded" not in rows[system]["what it does"]


def test_wrong_name_is_one_line_that_lists_the_names():
    done = run("ninefold_lab.app", "demo", "nosuch")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "nosuch" in line
    assert all(system in line for system in SYSTEMS)
