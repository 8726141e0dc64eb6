import pytest
from ninefold.errors import ArtifactError, InputError
from ninefold.testing import digests
from proteus import Budget, Study, datasets, learn, simulate
from proteus._planner import Planner

BUDGET = Budget(objectives=2, hypotheses=12)


@pytest.fixture(scope="module")
def study():
    table = simulate(learn(datasets.ups1_peptides()), samples=64, features=200, effect=1.0, seed=4)
    return Study(table.data, sets=table.sets)


@pytest.mark.slow
def test_two_workers_interrupted_and_gone_on_with_give_the_bytes_of_one(study, tmp_path, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    study.run(BUDGET, out=tmp_path / "one", hold_out=0.3)
    monkeypatch.setattr("proteus._pool.merge", die)
    with pytest.raises(KeyboardInterrupt):
        study.run(BUDGET, out=tmp_path / "two", workers=2, hold_out=0.3)
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match=r"two.parts: holds parts of an interrupted run; --resume"):
        study.run(BUDGET, out=tmp_path / "two", workers=2, hold_out=0.3)
    report = study.run(BUDGET, out=tmp_path / "two", workers=2, hold_out=0.3, resume=True)
    assert report.hypotheses
    kept = ("artifacts/", "graph.json", "hypotheses.json", "events.jsonl", "config.json", "input/")
    one, two = (digests(tmp_path / name) for name in ("one", "two"))
    assert {name: value for name, value in two.items() if name.startswith(kept)} == {
        name: value for name, value in one.items() if name.startswith(kept)
    }
    assert any(name.startswith("artifacts/O2") for name in two)
    assert not (tmp_path / "two.parts").exists()


class Model(Planner):
    name = "llm"

    def ask(self, question):
        raise AssertionError("it is refused before it is asked")


def test_a_model_or_a_budget_of_time_is_not_shared_out(study, tmp_path):
    with pytest.raises(InputError, match="--workers: got with --budget-seconds"):
        study.run(Budget(objectives=3, seconds=60), workers=2)
    with pytest.raises(InputError, match="--workers: got with a model, expected one process"):
        Study(study.data, Model()).run(BUDGET, out=tmp_path / "run", workers=2)
