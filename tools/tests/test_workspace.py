"""The workspace knows each of its packages everywhere it has to, and each package has all its rooms."""

from __future__ import annotations

import re

import pytest
from sample import sample_text
from workspace import CORE, ROOT, packages, root_settings

PACKAGES = [package for package in packages().values() if package.name != CORE]
TOOL = root_settings()["tool"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_package_is_entered_in_the_root_pyproject(package):
    name, module = package.name, package.import_name
    assert TOOL["uv"]["sources"][name] == {"workspace": True}
    assert f"error:::{module}" in TOOL["pytest"]["ini_options"]["filterwarnings"]
    dev = [re.match(r"[\w-]+", line)[0] for line in root_settings()["dependency-groups"]["dev"]]
    assert name in dev


@pytest.mark.parametrize("package", packages().values(), ids=lambda package: package.name)
def test_package_has_licence_changelog_and_test_group(package):
    assert (package.folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert not (package.folder / "LICENSE").is_symlink()
    assert "## Unreleased" in (package.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    assert package.settings["tool"]["uv"]["default-groups"] == ["test"]
    assert any(line.startswith("pytest") for line in package.test_group)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_package_asks_for_a_range_of_the_core_that_holds_ours(package):
    from packaging.requirements import Requirement

    (wanted,) = [
        one for one in map(Requirement, package.settings["project"]["dependencies"]) if one.name == CORE
    ]  # uv ignores ranges between members, pip on wheels does not
    assert wanted.specifier.contains(packages()[CORE].version)
    assert {clause.operator for clause in wanted.specifier} == {">=", "<"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_nothing_of_the_sample_is_left(package):
    left = list(sample_text(package))
    assert not left, "\n".join(left)
