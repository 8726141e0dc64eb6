"""The hosted workflow runs the commands that a person runs, and no others."""

from __future__ import annotations

import re

import yaml
from workspace import ROOT


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / ".github" / name).read_text(encoding="utf-8"))


WORKFLOW, PUBLISH = read("workflows/ci.yml"), read("workflows/publish.yml")


def test_every_step_is_set_up_or_a_command_of_the_repository():
    jobs = [*WORKFLOW["jobs"].values(), *PUBLISH["jobs"].values()]
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
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


def test_a_tag_is_published_without_a_secret_by_the_one_job_that_may():
    assert PUBLISH[True] == {"push": {"tags": ["*-v*"]}}  # YAML reads `on` as true
    assert PUBLISH["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions") for name, job in PUBLISH["jobs"].items()}
    assert rights == {"build": None, "publish": {"id-token": "write"}}
    assert "secrets." not in (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert PUBLISH["jobs"]["publish"]["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")


def test_updates_are_proposed_for_actions_and_for_the_pinned_versions():
    proposed = [(one["package-ecosystem"], one["directory"]) for one in read("dependabot.yml")["updates"]]
    assert proposed == [("github-actions", "/"), ("pip", "/tools")]


def test_hooks_before_a_commit_are_what_ci_runs_first():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for hook in repository["hooks"]:
        words = hook["entry"].replace("--no-sync ", "").replace(" --force-exclude", "")
        assert f" {words}\n" in steps, hook["entry"]
