import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold_lab import Budget, Claim, overall
from ninefold_lab.claims import groups_of
from tswitch.baselines import TaskArithmetic
from tswitch.evaluation._evaluate import Bench, macro
from tswitch.models import _finetune
from tswitch.switch._pulse import discard
from tswitch.switch._ternary import activation_switch
from tswitch_experiments import claims
from tswitch_experiments import kept as _kept
from tswitch_experiments.baselines import Individual
from tswitch_experiments.baselines import _tuned as _rivals
from tswitch_experiments.claims import _text
from tswitch_experiments.claims._routes import auroc
from tswitch_experiments.models._suite import bench

QUICK = Budget(1, 1, "quick")


@pytest.fixture(scope="module")
def models(three_tasks):
    return three_tasks


@pytest.fixture
def tiny_claims(models, monkeypatch, tmp_path):
    """The experiments on tiny models instead of MiniLM."""
    bench, base = models
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(_text, "_models", lambda *_, **__: bench)
    monkeypatch.setattr(_text, "BASE", str(base))
    return bench


def test_scores_are_those_of_the_individual_models(models):
    bench, _ = models
    scores = bench.score_each(bench.encoders.__getitem__, "test", 60)
    assert macro(scores) > 90
    assert set(np.unique(np.concatenate(list(scores.values())))) <= {0.0, 100.0}
    assert all(torch.equal(value, bench.base[name]) for name, value in bench.encoder.state_dict().items())


def test_individual_baseline_scores_like_the_models_themselves(models):
    bench, _ = models
    ours = bench.score_each(bench.encoders.__getitem__, "test", 60)
    theirs, _ = bench.score_rival(Individual(), "test", 60)
    assert all(np.array_equal(ours[task], theirs[task]) for task in ours)


def test_tuning_uses_validation_rows_only_and_is_kept(models, monkeypatch, tmp_path):
    bench, _ = models
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    seen = set()
    rows = Bench.rows

    def spy(self, task, split, count):
        seen.add(split)
        return rows(self, task, split, count)

    monkeypatch.setattr(Bench, "rows", spy)
    best = _rivals.tune(bench, "task arithmetic", 20)
    assert seen == {"validation"}
    assert isinstance(best, TaskArithmetic)
    seen.clear()
    assert _rivals.tune(bench, "task arithmetic", 20) == best
    assert not seen


def test_binary_experiment_gives_every_arm_that_its_bars_name(tiny_claims):
    claim = next(one for one in claims.CLAIMS if one.run is _text.binary)
    scores = claim.run(QUICK, 0)
    comparisons = claim.verdict([scores])
    assert overall(comparisons) in {"reproduced", "not reproduced", "inconclusive", "held", "missed"}


def test_pulse_and_table_experiments_give_every_arm_that_their_bars_name(tiny_claims, monkeypatch):
    for name, tried in _rivals.CANDIDATES.items():
        monkeypatch.setitem(_rivals.CANDIDATES, name, tried[:2])
    for claim in claims.CLAIMS:
        if claim.id.endswith(("twelve-tasks", "carry-the-task")):
            scores = claim.run(QUICK, 0)
            assert len(claim.verdict([scores])) >= 3


def test_a_killed_experiment_makes_no_finetuned_model_twice(models, monkeypatch, tmp_path):
    _, base = models
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    made = []

    def finetuning(base, task, *given, real=_finetune.finetune, **more):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(task.name)
        return real(base, task, *given, **more)

    names = ("snips", "clinc150/travel", "clinc150/work")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_finetune, "finetune", finetuning)
        bench(names, 0, source="embedded", base=base, steps=1)
    assert made == list(names[:2])
    made.clear()
    monkeypatch.setattr(_finetune, "finetune", finetuning)
    there = bench(names, 0, source="embedded", base=base, steps=1)
    assert made == [names[2]]
    assert there.names == list(names)
    assert len({folder.name for folder in there.folders.values()}) == 3


def test_parts_of_a_full_experiment_are_made_once_and_their_seconds_count(monkeypatch, tmp_path):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    counted, made = [], []
    monkeypatch.setattr(_kept, "add_seconds", counted.append)

    def make():
        made.append(1)
        return {"arm": {"task": np.array([100.0, 0.0])}, "size": 3.5}

    for budget, times in ((Budget(3, 1, "full"), 1), (Budget(3, 1, "quick"), 3)):
        first, again = (_kept.kept(_text.binary, budget, 0, "part", make) for _ in range(2))
        assert len(made) == times
        assert {arm: groups_of(first, arm) for arm in first}.keys() == {"arm", "size"}
        assert all(
            np.array_equal(items, groups_of(again, arm)[group])
            for arm in first
            for group, items in groups_of(first, arm).items()
        )
    assert len(counted) == 1
    _kept.kept(_text.binary, Budget(3, 1, "full"), 1, "part", make)
    _kept.kept(_text.pulse, Budget(3, 1, "full"), 0, "part", make)
    assert len(made) == 5


def test_more_tasks_in_the_bank_change_no_answer(tiny_claims, tmp_path):
    switches = _text._switches(tiny_claims, 0.6, tmp_path)
    alone = _text._switched(tiny_claims, {"one": switches["one"]}, 60)
    assert np.array_equal(alone["one"], _text._switched(tiny_claims, switches, 60)["one"])


def test_claims_have_plain_unique_names_and_at_least_three_seeds():
    ids = [claim.id for claim in claims.CLAIMS]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(claim, Claim) and claim.id.startswith("tswitch/") for claim in claims.CLAIMS)
    assert all(claim.full.seeds >= 3 for claim in claims.CLAIMS)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 0.9])
def test_discarding_low_high_and_random_drop_that_share(alpha):
    tau = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    tau[::10] = 0
    kept = {
        which: discard(tau, alpha, which, generator=torch.Generator().manual_seed(1))
        for which in ("low", "high", "random")
    }
    there = (tau != 0).sum().item()
    for which, value in kept.items():
        share = (value != 0).sum().item() / there
        assert share == pytest.approx(1 - alpha, abs=0.03 if which == "random" else 0.002)
        changed = value != 0
        assert torch.equal(value[changed], tau[changed])
    if alpha:
        assert torch.equal(kept["low"] != 0, activation_switch(tau, alpha))
        for side in (1, -1):
            low, high = ((side * kept[which]) for which in ("low", "high"))
            assert high[high > 0].max() <= (side * tau)[(side * tau) > 0].quantile(1 - alpha) + 1e-2
            assert low[low > 0].min() >= (side * tau)[(side * tau) > 0].quantile(alpha) - 1e-2


def test_unknown_discard_is_refused():
    with pytest.raises(InputError, match="which"):
        discard(torch.ones(3), 0.5, "middle")  # pyright: ignore[reportArgumentType]


def test_auroc_equals_its_definition():
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 9, 40), rng.integers(0, 7, 60)
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert auroc(positive, negative) == pytest.approx(np.mean(pairs))
