"""The hosted workflow runs the commands that a person runs, and no others."""

from __future__ import annotations

import re

import yaml
from workspace import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))


def test_every_step_is_set_up_or_a_command_of_the_repository():
    commands = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    assert any(command.startswith(".ci/run --python") for command in commands)
    for command in commands:
        assert re.match(r"\.ci/run\b|uv python install |uv run python tools/\w+/\w+\.py\b", command), command
        for tool in re.findall(r"tools/\w+/\w+\.py", command):
            assert (ROOT / tool).is_file()
    options = {word for command in commands for word in re.findall(r"\.ci/run.*?(--\w+)", command)}
    usage = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert all(option in usage for option in options)


def test_workflow_may_only_read_and_checks_both_ends_of_the_pythons():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["jobs"]["check"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
