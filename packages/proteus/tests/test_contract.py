import pytest
from proteus import ProteomicsData

from .helpers import noise, table

pytest.register_assert_rewrite("ninefold.testing")
from ninefold.testing import ContractTests  # noqa: E402


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
