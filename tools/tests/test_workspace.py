"""The workspace knows each of its packages everywhere it has to, and each package has all its rooms."""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType

import pytest
import words
import yaml
from sample import sample_text
from workspace import CORE, ROOT, find, members, packages, root_settings, run

PACKAGES = list(packages().values())
TOOL = root_settings()["tool"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_package_is_entered_in_the_root_pyproject(package):
    name, module = package.name, package.import_name
    assert TOOL["uv"]["sources"][name] == {"workspace": True}
    assert f"error:::{module}" in TOOL["pytest"]["ini_options"]["filterwarnings"]
    dev = [re.match(r"[\w-]+", line)[0] for line in root_settings()["dependency-groups"]["dev"]]
    assert name in dev


@pytest.mark.parametrize("package", members().values(), ids=lambda package: package.name)
def test_package_has_licence_changelog_and_test_group(package):
    assert (package.folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert not (package.folder / "LICENSE").is_symlink()
    assert "## Unreleased" in (package.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    assert package.settings["tool"]["uv"]["default-groups"] == ["test"]
    assert any(line.startswith("pytest") for line in package.test_group)


def test_top_level_holds_the_workspace_and_nothing_that_a_command_left_there():
    tracked = run("git", "ls-files").splitlines()
    found = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    assert found == {"LICENSE", "README.md", "integration-tests", "packages", "pyproject.toml", "shared", "tools"}


SECTIONS = ["Install", "In ten lines", "Your own data", "When to use it", "Results", "How it works", "Citation"]
BEFORE = ["What it does", "Install", "In ten lines", "Command line", "How it works", "Results", "Limits", "Citation"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_readme_has_its_sections_in_their_order(package):
    headings = re.findall(r"^## (.+)$", (package.folder / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    wanted = BEFORE if package.name in words.PENDING else SECTIONS
    assert [heading for heading in headings if heading in wanted] == wanted


def open_fences(text: str) -> list[int]:
    """Lines of a Markdown text that open a code block which never closes, so that what follows is shown as code."""
    opened: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            opened = [] if opened else [number]
    return opened


def test_every_code_block_of_a_page_is_closed():
    assert open_fences("```python\nx = 1\n```\n\n```\n\ntext\n") == [5]
    pages = [ROOT / name for name in run("git", "ls-files", "*.md").splitlines()]
    assert {str(page.relative_to(ROOT)): open_fences(page.read_text(encoding="utf-8")) for page in pages} == {
        str(page.relative_to(ROOT)): [] for page in pages
    }


def untyped(module: ModuleType) -> list[str]:
    """Public functions and classes of a module without a docstring, and what functions do not annotate."""
    found = []
    for name in module.__all__:
        value = getattr(module, name)
        if name.startswith("__") or not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        found += [] if inspect.getdoc(value) else [name]
        if inspect.isfunction(value):
            signature = inspect.signature(value)
            parts = {
                **{key: one.annotation for key, one in signature.parameters.items()},
                "its result": signature.return_annotation,
            }
            found += [f"{name}: {key}" for key, one in parts.items() if one is inspect.Signature.empty]
    return found


@pytest.mark.parametrize("package", members().values(), ids=lambda package: package.name)
def test_public_names_are_typed_and_documented(package):
    assert untyped(importlib.import_module(package.import_name)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('def solve(x: int) -> int: "Solve it."', []),
        ('def solve(x) -> int: "Solve it."', ["solve: x"]),
        ('def solve(x: int): "Solve it."', ["solve: its result"]),
        ("def solve(x: int) -> int: return x", ["solve"]),
    ],
)
def test_untyped_names_are_found(text, found):
    module = ModuleType("made")
    exec(f"__all__ = ['solve', '__version__']\n__version__ = '1'\n{text}", vars(module))  # noqa: S102
    assert untyped(module) == found


@pytest.mark.parametrize("package", members().values(), ids=lambda package: package.name)
def test_package_can_be_found_by_words_and_is_typed(package):
    project = package.settings["project"]
    assert len(set(project["keywords"])) >= 3
    named = {line for line in project["classifiers"] if line.startswith("Programming Language")}
    assert named >= {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)}
    assert "Typing :: Typed" in project["classifiers"]
    assert (package.source / "py.typed").is_file()
    assert len(project["description"]) <= 160


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_package_says_how_it_is_cited(package):
    card = yaml.safe_load((package.folder / "CITATION.cff").read_text(encoding="utf-8"))
    assert card["cff-version"] == "1.2.0"
    assert card["title"] == package.name
    assert card["license"] == package.settings["project"]["license"]
    urls = package.settings["project"].get("urls", {}).values()
    assert [reference["url"] for reference in card.get("references", [])] == list(urls)
    for reference in card.get("references", []):
        assert {"title", "authors", "year"} <= reference.keys()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_package_asks_for_a_range_of_the_core_that_holds_ours(package):
    from packaging.requirements import Requirement

    (wanted,) = [
        one for one in map(Requirement, package.settings["project"]["dependencies"]) if one.name == CORE
    ]  # uv ignores ranges between members, pip on wheels does not
    assert wanted.specifier.contains(find(CORE).version)
    assert {clause.operator for clause in wanted.specifier} == {">=", "<"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_nothing_of_the_sample_is_left(package):
    left = list(sample_text(package))
    assert not left, "\n".join(left)
