"""The contract that every package keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import recsys
from ninefold_testing import ContractTests

from .helpers import events


class TestContract(ContractTests):
    package = "recsys"

    def seeded_command(self, tmp_path: Path) -> list[str]:
        return ["simulate", "--n-events", "500", "-o", str(tmp_path / "events.parquet")]

    def make_artifact(self, tmp_path: Path) -> Path:
        return recsys.IALS(factors=4, epochs=1).fit(events(users=8, items=6, n=60, text=True)).save(tmp_path / "model")

    def load_artifact(self, path: Path) -> Any:
        return recsys.load(path)

    def long_command(self, tmp_path: Path) -> list[str]:
        path = tmp_path / "events.parquet"
        pyarrow.parquet.write_table(events(users=600, items=400, n=30_000).to_table(), path)
        words = ["fit", str(path), "--user", "who", "--item", "what", "--time", "when"]
        return [*words, "--model", "ials", "--set", "factors=32", "--set", "epochs=25"]

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        path = tmp_path / "some.parquet"
        pyarrow.parquet.write_table(events(users=8, items=6, n=60).to_table(), path)
        read = [str(path), "--user", "who", "--item", "what", "--time", "when"]
        model = str(self.make_artifact(tmp_path))
        verbs = {verb: [verb, *read] for verb in ("split", "fit", "tune", "compare", "best")}
        verbs |= {"evaluate": ["evaluate", model, str(path)], "simulate": ["simulate"]}
        verbs["spark-fit"] = ["spark-fit", *read[:5]]
        return verbs | {verb: [verb, model] for verb in ("recommend", "export-index", "spark-recommend")}


_WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
import recsys
for name in recsys.__all__:
    getattr(recsys, name)
assert "torch" not in sys.modules
"""


def test_every_public_name_works_without_torch():
    done = subprocess.run([sys.executable, "-c", _WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["PureSVD", "snips"])
def test_names_that_moved_are_found_with_a_warning_that_says_where(name):
    with pytest.warns(FutureWarning, match=rf"recsys\.{name} is recsys\.\w+\.{name}"):
        found = getattr(recsys, name)
    assert found.__module__.startswith("recsys.")
    assert name not in recsys.__all__


def test_at_most_sixty_names_are_public():
    assert len(recsys.__all__) <= 60
