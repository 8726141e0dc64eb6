import pytest
from proteus import ProteomicsData

from .helpers import noise, table

pytest.register_assert_rewrite("ninefold_testing")
from ninefold_testing import ContractTests  # noqa: E402


class TestContract(ContractTests):
    package = "proteus"

    def seeded_command(self, tmp_path):
        return ["simulate", "--features", "200", "--n", "12"]

    def make_artifact(self, tmp_path):
        path = tmp_path / "table"
        table(noise(6, 4), group=["a", "b", "a", "b"]).save(path)
        return path

    def load_artifact(self, path):
        return ProteomicsData.open(path)

    def long_command(self, tmp_path):
        return ["simulate", "--features", "200", "--n", "12", "--tables", "8"]

    def output_commands(self, tmp_path):
        path = self.make_artifact(tmp_path)
        tested = [str(path), "--design", "~ group", "--contrast", "b-a"]
        (tmp_path / "sets.gmt").write_text("s\tx\tf0\tf1\n")
        verbs = {name: [name, str(path)] for name in ("profile", "inspect", "run", "score", "verify", "replay")}
        verbs |= {name: [name] for name in ("simulate", "bench", "tools")}
        verbs |= {"test": ["test", *tested], "enrich": ["enrich", *tested, "--sets", str(tmp_path / "sets.gmt")]}
        verbs |= {"survival": ["survival", str(path)], "compare": ["compare", str(path), str(path)]}
        return verbs | {"merge": ["merge", str(path)], "review": ["review", "export", str(path)]}
