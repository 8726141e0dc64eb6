"""All pages of the site that are made: path -> Markdown, from READMEs, changelogs, docstrings, claims and results."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import claims_pages
import faces
import tutorials
from claims_pages import section
from digits import decimals, in_digits
from ninefold.report import Table, cell_text
from workspace import ROOT, Package, members, packages, run

HERE = Path(__file__).parent
NAV = dict[str, Any]
_RATIO = ("ratio", "low", "high")
_WEIGHTS = {"index": 5.0, "tutorial": 2.0, "guide": 2.0, "changelog": 0.2, "attempts": 0.2, "claims": 0.5}
SIZES = "what-an-installation-downloads"  # a heading of the page `install.md`


def made() -> dict[str, str]:
    """Every made page: path in the site -> Markdown."""
    pages = {"index.md": start_page(), "glossary.md": glossary(), "benchmarks.md": benchmarks()}
    pages |= {"claims.md": claims_pages.overview(), "corrections.md": claims_pages.corrections()}
    pages |= {f"{name}.md": own(f"{name.upper()}.md") for name in ("security", "contributing")}
    for name, package in members().items():
        pages[f"{name}/index.md"] = readme(package)
        pages[f"{name}/changelog.md"] = (package.folder / "CHANGELOG.md").read_text(encoding="utf-8")
        pages |= dict(api(package))
        if name in packages():
            pages[f"{name}/claims.md"] = claims_pages.page(name)
            pages[f"{name}/tutorial.md"] = tutorial(package)
            pages |= {f"{name}/{page}.md": text for page, text in own_pages(package).items()}
    return {path: _ranked(path, text) for path, text in pages.items()}


def _ranked(path: str, text: str) -> str:
    """A page with its weight in searches: what a newcomer looks for comes before changes, attempts and single names."""
    page = path.rsplit("/", 1)[-1].removesuffix(".md")
    weight = 0.7 if "/api/" in path else _WEIGHTS.get(page, 1.0) if "/" in path else 1.0
    head, body = text.removeprefix("---\n").split("---\n\n", 1) if text.startswith("---\n") else ("", text)
    head += f"search:\n  boost: {weight}\n" if weight != 1.0 else ""
    tags = _tags(path)
    head += f"tags: {json.dumps(tags)}\n" if tags else ""
    return f"---\n{head}---\n\n{body}" if head else text


def _tags(path: str) -> list[str]:
    """What people type who look for this page: a package's keywords, and the words of `words.toml`."""
    name, _, page = path.rpartition("/")
    if page != "index.md" or (name and name not in members()):
        return []
    settings = tomllib.loads((members()[name].folder / "pyproject.toml").read_text(encoding="utf-8")) if name else {}
    searched = tomllib.loads((HERE / "words.toml").read_text(encoding="utf-8"))["searches"]
    return [*settings.get("project", {}).get("keywords", []), *searched.get(name or "start", [])]


def pictures() -> dict[str, Path]:
    """Where the site has a picture -> its file: the start page's, and those of READMEs, their pages and tutorials."""
    found = {"demo-page.png": ROOT / "tools" / "demo-page.png"}
    for name, package in packages().items():
        shown = tutorials.pictures(tutorial(package))
        found |= {f"{name}/{file}": tutorials.FOLDER / file for *_, file in shown}
    for name, package in members().items():
        for png in re.findall(r"!\[[^]]*\]\(([\w./-]+\.png)\)", readme(package) + "".join(own_pages(package).values())):
            own = package.folder / png  # or in `docs`, whose pages are next to the overview on the site
            found[f"{name}/{png}"] = own if own.is_file() else package.folder / "docs" / png
    return found


def nav() -> list[NAV]:
    """The site's contents."""
    listed: list[NAV] = [{"Start": "index.md"}, {"Which package": "which.md"}, {"Installing": "install.md"}]
    listed += [{"Scaling": "scaling.md"}]
    listed_last: list[NAV] = []
    for name, package in members().items():
        shown = [{"Overview": f"{name}/index.md"}]
        if name in packages():
            shown += [{"Tutorial": f"{name}/tutorial.md"}]
            shown += [{page.capitalize(): f"{name}/{page}.md"} for page in own_pages(package)]
            shown += [{"Claims": f"{name}/claims.md"}]
        names = [{one.name: f"{name}/api/{one.slug}.md"} for one in faces.names(package.source)]
        api_pages: list[Any] = [f"{name}/api/index.md", *names]
        place = listed if name in packages() else listed_last
        place.append({name: [*shown, {"Names": api_pages}, {"Changelog": f"{name}/changelog.md"}]})
    listed += [
        *listed_last,
        {"Claims": "claims.md"},
        {"Corrections": "corrections.md"},
        {"Benchmarks": "benchmarks.md"},
        {"Glossary": "glossary.md"},
    ]
    return [*listed, {"Support": "support.md"}, {"Security": "security.md"}, {"Contributing": "contributing.md"}]


def start_page() -> str:
    """The repository's README, its links turned to the site's pages."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\(packages/([\w-]+)#results\)", r"](\1/claims.md)", text)
    text = re.sub(r"\]\(packages/([\w-]+)/?\)", r"](\1/index.md)", text)
    text = text.replace("](tools/docs/scoreboard.md)", "](claims.md)")
    text = re.sub(r"\]\(tools/docs/(?:pages/)?([\w-]+\.md)\)", r"](\1)", text)
    text = re.sub(r"\]\(\.github/(SECURITY|CONTRIBUTING)\.md\)", lambda found: f"]({found[1].lower()}.md)", text)
    return text.replace('src="tools/demo-page.png"', 'src="demo-page.png"')


def readme(package: Package) -> str:
    """A package's README, with a link to how its download is counted."""
    text = (package.folder / "README.md").read_text(encoding="utf-8")
    text = in_digits(text.replace("](docs/", "](").replace("](experiments/ATTEMPTS.md", "](attempts.md"))
    note = f"([How this is counted](../install.md#{SIZES}).)"
    return re.sub(r"^(To download \(.*)$", lambda said: f"{said[1]} {note}", text, count=1, flags=re.MULTILINE)


def own_pages(package: Package) -> dict[str, str]:
    """What a package says beside its README: guide, method, results, corrections, and what was tried."""
    files = {page: package.folder / "docs" / f"{page}.md" for page in ("guide", "method", "results", "corrections")}
    files["attempts"] = package.folder / "experiments" / "ATTEMPTS.md"
    return {page: _linked(file.read_text(encoding="utf-8")) for page, file in files.items() if file.is_file()}


def _linked(text: str) -> str:
    """A page of a package's folder with its links turned to the site's pages."""
    text = text.replace("](../README.md", "](index.md").replace("](../experiments/ATTEMPTS.md", "](attempts.md")
    text = text.replace("](../experiments/results/", "](experiments/results/")
    text = text.replace("](../../../shared/graphs/README.md", "](../ninefold-graphs/index.md")
    return in_digits(text.replace("](../docs/", "]("))


def own(name: str) -> str:
    """A page that the repository keeps beside its workflows, in the folder that code hosts look in."""
    return (ROOT / ".github" / name).read_text(encoding="utf-8")


def api(package: Package) -> Iterator[tuple[str, str]]:
    """A page for each public name of a package, and a list of them."""
    folder = f"{package.name}/api"
    table = Table(["name", "kind", "what it is"])
    for one in faces.names(package.source):
        table.rows.append([f"[`{one.name}`]({one.slug}.md)", one.kind, _in_a_cell(one.summary)])
        yield f"{folder}/{one.slug}.md", _name_page(package, one)
    note = f"What `import {package.import_name}` offers. Other modules and names may change without notice."
    yield f"{folder}/index.md", f"# Names of {package.import_name}\n\n{note}\n\n{table.to_markdown()}\n"


def _name_page(package: Package, one: faces.Name) -> str:
    path = f"{package.import_name}.{one.name}"
    head = f"---\ntitle: {one.name}\n---\n\n"
    if one.kind == "version":
        said = f"The version of the installed distribution, a string; these pages describe {package.version}."
        return f"{head}# `{path}`\n\n{said}\n"
    block = f"{head}::: {path if one.typed else one.home}\n"
    if one.kind != "module":
        return block
    inner = faces.names(package.source, one.home)
    documented = [name for name in inner if name.summary]  # a table or constant is in the list alone
    table = Table(["name", "kind", "what it is"])
    table.rows += [[f"`{name.name}`", name.kind, _in_a_cell(name.summary)] for name in inner]
    block += "    options:\n      members: false\n" + f"\n{table.to_markdown()}\n"
    for name in documented:
        where = f"{one.home}.{name.name}" if name.typed else name.home
        block += f"\n::: {where}\n    options:\n      heading_level: 2\n      show_root_full_path: false\n"
    return block


def tutorial(package: Package) -> str:
    """A package's tutorial: a page of its own, or the part of its README that is one; a test runs its commands."""
    own_page = HERE / "tutorials" / f"{package.name}.md"
    if own_page.exists():
        return own_page.read_text(encoding="utf-8")
    readme = (package.folder / "README.md").read_text(encoding="utf-8")
    parts = [section(readme, heading) for heading in ("Install", "Command line")]
    return f"# From own data to a saved result: {package.name}\n\n" + "\n\n".join(parts) + "\n"


def benchmarks() -> str:
    """Every committed benchmark: machine, date, and each of its lines."""
    about = "Each table is one file of `results/`, as its benchmark printed it; ratios come with their 95 % interval."
    parts = ["# Benchmarks", about]
    for name, package in packages().items():
        files = sorted((package.folder / "experiments" / "results").glob("bench*.jsonl"))
        parts += [f"## {name}"] if files else []
        for file in files:
            bench, machine = file.name.removesuffix(".jsonl").split(".", 1)
            parts.append(f"### {name}: {bench.removeprefix('bench-')}")
            parts.append(f"Machine: {claims_pages.machine_in_words(machine)}. Date: {_date(file)}.")
            parts.append(_lines(file).to_markdown())
    return "\n\n".join(parts) + "\n"


def _date(file: Path) -> str:
    """The day on which a result was committed."""
    return run("git", "log", "-1", "--format=%cs", "--", file).strip() or "not committed yet"


def _lines(file: Path) -> Table:
    table = Table(["what", "ratio [95 %]", "other figures"])
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        words = [str(value) for key, value in row.items() if isinstance(value, str) and "interval" not in key]
        ratio = cell_text(row["ratio"]) if "ratio" in row else ""
        if ratio and "low" in row:
            ratio = _with_interval(row["ratio"], row["low"], row["high"])
        shown = {key: value for key, value in row.items() if not (isinstance(value, str) or (ratio and key in _RATIO))}
        figures = [f"{key.replace('_', ' ')} {_figure(value)}" for key, value in shown.items()]
        table.rows.append([", ".join(words), ratio or row.get("95 % interval", ""), ", ".join(figures)])
    return table


def _with_interval(value: float, low: float, high: float) -> str:
    """`1.27 [1.18, 1.60]`, to the digits of the interval."""
    if not low < high:
        return f"{cell_text(value)} [{cell_text(low)}, {cell_text(high)}]"
    places = decimals((high - low) / 2)
    return f"{value:,.{places}f} [{low:,.{places}f}, {high:,.{places}f}]"


def _figure(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_figure(one)}" for key, one in value.items()) + ")"
    if isinstance(value, list):
        return ", ".join(map(_figure, value))
    return f"{value:.4g}" if isinstance(value, float) else cell_text(value)


def glossary() -> str:
    """The house's words, then those that each package's demo explains."""
    house = tomllib.loads((HERE / "words.toml").read_text(encoding="utf-8"))["words"]
    parts = ["# Glossary", "## In every package", _words(house)]
    for name, package in packages().items():
        words = dict(_explained(package))
        parts += [f"## {name}", _words(words)] if words else []
    return "\n\n".join(parts) + "\n"


def _explained(package: Package) -> Iterator[tuple[str, str]]:
    """(word, meaning) of the glossaries in a package's demos: dicts of plain strings, there or by a name."""
    for file in sorted(package.source.rglob("demo*.py")) + sorted(package.source.glob("demo/*.py")):
        tree = faces.tree(file)
        tables = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "glossary":
                value = tables.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
                if isinstance(value, ast.Dict):
                    for word, meaning in zip(value.keys, value.values, strict=True):
                        if isinstance(word, ast.Constant) and isinstance(meaning, ast.Constant):
                            yield str(word.value), str(meaning.value)


def _words(words: dict[str, str]) -> str:
    ordered = sorted(words.items(), key=lambda pair: pair[0].lower())
    return "\n\n".join(f"**{word}**\n: {meaning}" for word, meaning in ordered)


def _in_a_cell(text: str) -> str:
    return text.split(". ")[0].replace("|", "\\|")
