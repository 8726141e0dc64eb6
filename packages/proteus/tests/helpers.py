"""What several tests share."""

import functools
import gzip
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from proteus import ProteomicsData, datasets
from proteus.record._run_folder import Folder
from proteus.verification._report import write_report
from proteus_experiments.simulators._tables import Template, learn

FIXTURES = Path(__file__).parent / "fixtures"
needs_data = pytest.mark.skipif(
    not (Path(os.environ.get("NINEFOLD_DATA", "/nowhere")) / "proteus").is_dir(),
    reason="needs NINEFOLD_DATA with the folder proteus",
)


def real(relative: str) -> Path:
    return Path(os.environ["NINEFOLD_DATA"]) / "proteus" / relative


@functools.cache
def template(group: str | None = None) -> Template:
    """What the embedded peptides look like, for tables that are drawn; learned once."""
    return learn(datasets.ups1_peptides(), group)


@functools.cache
def _reference() -> dict[tuple[str, str], pd.DataFrame]:
    table = pd.read_csv(
        io.BytesIO(gzip.decompress((FIXTURES / "limma.csv.gz").read_bytes())), float_precision="round_trip"
    )
    return {(str(case), str(quantity)): part for (case, quantity), part in table.groupby(["case", "quantity"])}


def reference(case: str, quantity: str) -> np.ndarray:
    """What R printed: a matrix, or a vector where it has one column."""
    part = _reference()[case, quantity]
    result = np.full((part["row"].max(), part["column"].max()), np.nan)
    result[part["row"] - 1, part["column"] - 1] = part["value"]
    return result[:, 0] if result.shape[1] == 1 else result


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without pictures, which take longest; `test_report` and `test_readme` have them."""
    monkeypatch.setattr("proteus.verification._report.draw", lambda _: [])


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn but not turned into pixels, which takes longest; `test_report` and `test_pictures` do that."""
    monkeypatch.setattr("proteus.verification._plots._save", stub)


def stub(folder: Folder, name: str, picture: object) -> None:
    """In place of a picture's file."""
    folder.plots.mkdir(exist_ok=True)
    (folder.plots / name).write_bytes(repr(picture).encode())


def write_undrawn(run: Path) -> None:
    """A run's page without pictures, for fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proteus.verification._report.draw", lambda _: [])
        write_report(run)


def table(values: np.ndarray, **columns: list) -> ProteomicsData:
    """Features f0.. and samples s0.. with the sample columns given."""
    samples = pd.DataFrame(columns, index=pd.Index([f"s{place}" for place in range(values.shape[1])], name="sample"))
    features = pd.DataFrame(index=pd.Index([f"f{place}" for place in range(values.shape[0])], name="id"))
    return ProteomicsData(values, features, samples)


def noise(features: int, samples: int, seed: int = 0, level: float = 25.0, sd: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spread = sd * np.sqrt(6 / rng.chisquare(6, features))
    return level + rng.normal(0, 2, (features, 1)) + spread[:, None] * rng.standard_normal((features, samples))
