from concurrent.futures import Executor, Future

import pytest
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import digests
from proteus import Budget, Settings, Study, datasets, learn, simulate
from proteus.record._planner import Planner
from proteus.study._compare import merge

BUDGET = Budget(objectives=3, hypotheses=12)


@pytest.fixture(scope="module")
def study():
    table = simulate(learn(datasets.ups1_peptides()), samples=64, features=200, effect=1.0, seed=4)
    return Study(table.data, sets=table.sets)


class Here(Executor):
    """Runs jobs in this process, in order; a Ctrl-C comes after `jobs` of them."""

    def __init__(self, jobs):
        self.jobs = jobs

    def submit(self, job, *args):  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.jobs == 0:
            raise KeyboardInterrupt
        self.jobs -= 1
        done = Future()
        done.set_result(job(*args))
        return done


@pytest.mark.slow
def test_three_workers_interrupted_and_gone_on_with_give_the_bytes_of_one(study, tmp_path, monkeypatch):
    """Interrupted after two objectives, then, in a pool, before parts are put together; then gone on with."""

    def die(*_):
        raise KeyboardInterrupt

    def shared(*, resume):
        return study.run(BUDGET, out=tmp_path / "three", workers=3, settings=Settings(hold_out=0.3), resume=resume)

    study.run(BUDGET, out=tmp_path / "one", settings=Settings(hold_out=0.3))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("proteus.study._pool.ProcessPoolExecutor", lambda *_, **__: Here(2))
        shared(resume=False)
    with pytest.raises(ArtifactError, match=r"three.parts: holds parts of an interrupted run; --resume"):
        shared(resume=False)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("proteus.study._pool.gather", die)
        shared(resume=True)
    monkeypatch.setattr("proteus.study._pool.ProcessPoolExecutor", lambda *_, **__: Here(3))
    report = shared(resume=True)
    assert report.hypotheses
    kept = ("artifacts/", "graph.json", "hypotheses.json", "events.jsonl", "config.json", "input/")
    one, three = (digests(tmp_path / name) for name in ("one", "three"))
    assert {name: value for name, value in three.items() if name.startswith(kept)} == {
        name: value for name, value in one.items() if name.startswith(kept)
    }
    assert any(name.startswith("artifacts/O2") for name in three)
    assert not (tmp_path / "three.parts").exists()


class Model(Planner):
    name = "llm"

    def ask(self, question):
        raise AssertionError("it is refused before it is asked")


def test_a_model_or_a_budget_of_time_is_not_shared_out(study, tmp_path):
    with pytest.raises(InputError, match="--workers: got with --budget-seconds"):
        study.run(Budget(objectives=3, seconds=60), workers=2)
    with pytest.raises(InputError, match="--workers: got with a model, expected one process"):
        Study(study.data, Model()).run(BUDGET, out=tmp_path / "run", workers=2)


def test_what_is_in_the_way_is_said_before_any_objective_is_pursued(study, tmp_path, monkeypatch):
    monkeypatch.setattr("proteus.study._pool.ProcessPoolExecutor", lambda *_, **__: pytest.fail("it begins"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(ArtifactError, match="mine: holds something already; choose another place"):
        study.run(BUDGET, out=tmp_path / "mine", workers=2)
    assert not (tmp_path / "mine.parts").exists()
    with pytest.raises(ArtifactError, match="mine: holds something already; choose another place"):
        merge([tmp_path / "O1", tmp_path / "O2"], tmp_path / "mine")
