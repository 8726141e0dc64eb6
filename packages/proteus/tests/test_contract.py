import functools

import pytest
from proteus import ProteomicsData, datasets
from proteus_experiments.simulators._tables import learn, simulate

from .helpers import noise, table

pytest.register_assert_rewrite("ninefold_testing")
from ninefold_testing import ContractTests  # noqa: E402


@functools.cache
def _draw():
    return simulate(learn(datasets.ups1_peptides(), "group"), samples=16, features=200, seed=0)


class TestContract(ContractTests):
    package = "proteus"

    def seeded_command(self, tmp_path):
        words = ["run", str(self._drawn(tmp_path)), "--contrast", "case-control", "--only", "-o", str(tmp_path / "run")]
        return [*words, "--quiet"]  # the halves that predict what replicates are drawn

    def _drawn(self, tmp_path):
        drawn = _draw()
        tmp_path.mkdir(exist_ok=True)
        drawn.data.save(tmp_path / "given")
        lines = ["\t".join([name, "x", *genes]) for name, genes in drawn.sets.items()]
        (tmp_path / "sets.gmt").write_text("\n".join(lines) + "\n")
        return tmp_path / "given"

    def make_artifact(self, tmp_path):
        path = tmp_path / "table"
        table(noise(6, 4), group=["a", "b", "a", "b"]).save(path)
        return path

    def load_artifact(self, path):
        return ProteomicsData.open(path)

    def long_command(self, tmp_path):
        return ["run", str(self._drawn(tmp_path)), "--objectives", "2", "--resume"]

    def output_commands(self, tmp_path):
        path = self.make_artifact(tmp_path)
        tested = [str(path), "--design", "~ group", "--contrast", "b-a"]
        (tmp_path / "sets.gmt").write_text("s\tx\tf0\tf1\n")
        verbs = {name: [name, str(path)] for name in ("profile", "inspect", "run", "score", "verify", "replay")}
        verbs |= {name: [name] for name in ("bench", "tools")}
        verbs |= {"test": ["test", *tested], "enrich": ["enrich", *tested, "--sets", str(tmp_path / "sets.gmt")]}
        verbs |= {"survival": ["survival", str(path)]}
        return verbs
