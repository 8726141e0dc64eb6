"""Commands of the README and the guide, run as written, in a folder with a MaxQuant table and a sample sheet."""

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from proteus import datasets
from proteus.tools import _registry
from typer.testing import CliRunner

from .helpers import unrendered as unrendered

PAGES = [Path(__file__).parents[1] / page for page in ("README.md", "docs/guide.md")]
NOT_HERE = {"demo", "claims", "bench", "survival", "mcp"}  # each has a test of its own


def fences(language: str) -> list[str]:
    """The blocks of a language in the README, then those of the guide."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> list[str]:
    lines = [line.removeprefix("$ ") for block in fences("console") for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.startswith("proteus ")]


def wanted() -> list[str]:
    """Those that stand for themselves: `...` stands for options that lines above have shown."""
    return [one for one in commands() if one.split()[1] not in NOT_HERE and "..." not in one]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """MaxQuant's header, 240 groups, three replicates of two conditions, decoys and contaminants left in."""
    root = tmp_path_factory.mktemp("core-facility")
    rng = np.random.default_rng(0)
    log2 = rng.uniform(22, 32, (240, 1)) + 0.15 * rng.standard_normal((240, 6))
    log2[:20, :3] += 2
    log2[rng.random(log2.shape) < 0.03] = np.nan
    names = [f"{one}_{place}" for one in ("Ubi6", "Ctrl") for place in (1, 2, 3)]
    table = pd.DataFrame({
        "Protein IDs": [f"P{one:05d}" for one in range(240)],
        "Majority protein IDs": [f"P{one:05d}" for one in range(240)],
        "Gene names": [f"GENE{one}" for one in range(240)],
        "Razor + unique peptides": rng.integers(1, 20, 240),
        **{f"LFQ intensity {name}": np.where(np.isnan(log2[:, place]), 0, np.exp2(log2[:, place])).round()
           for place, name in enumerate(names)},
        "Reverse": ["+"] * 3 + [""] * 237, "Potential contaminant": [""] * 237 + ["+"] * 3,
        "Only identified by site": [""] * 240,
    })  # fmt: skip
    table.to_csv(root / "proteinGroups.txt", sep="\t", index=False)
    sheet = pd.DataFrame({"label": names, "condition": [one.split("_")[0] for one in names]})
    sheet.to_csv(root / "samples.csv", index=False)
    lines = [
        "\t".join([f"SET{first}", "made up", *(f"GENE{one}" for one in range(first, first + 25))])
        for first in range(0, 200, 20)
    ]
    (root / "reactome.gmt").write_text("\n".join(lines) + "\n")
    return root


def test_the_pages_show_commands():
    assert {"run", "tools", "score", "test", "enrich", "profile", "inspect"} <= {one.split()[1] for one in wanted()}


def test_the_pages_python_runs_as_written(tmp_path, monkeypatch, capsys):
    whole = datasets.ups1_peptides()
    some = whole.take(features=np.arange(0, whole.shape[0], 12).tolist())
    monkeypatch.setattr(datasets, "ups1_peptides", lambda: some)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_registry, "_TOOLS", _registry.tools())  # the one that is registered here goes again
    (tmp_path / "blocks.py").write_text("\n".join(fences("python")), encoding="utf-8")
    names = runpy.run_path("blocks.py")
    assert {"report", "result", "above"} <= set(names)
    said = capsys.readouterr().out
    assert "is higher in" in said
    assert "UPS" in said
    assert "above" in _registry.tools()
    assert (tmp_path / "run" / "events.jsonl").is_file()


@pytest.mark.usefixtures("unrendered")
def test_the_pages_commands_run_as_written(folder, monkeypatch):
    from proteus.cli import app

    monkeypatch.chdir(folder)
    for line in wanted():
        program, *words = shlex.split(line)
        assert program == "proteus"
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (line, done.output)
    assert (folder / "run" / "report.html").is_file()
    assert (folder / "result.parquet").is_file()
