"""Experiments with fitted knobs and routers in closed form, on tiny models."""

import numpy as np
import pytest
import torch
from ninefold_lab import Budget
from tswitch import AutoSwitch, QuerySet, Switch, SwitchBank
from tswitch.datasets import Split, TextTask
from tswitch.fitting._knobs import FitConfig
from tswitch.models._models import TextClassifier
from tswitch.routing._closed_form import ClosedForm, Queries
from tswitch.routing._live import TextBank
from tswitch.routing._mixtures import mixtures
from tswitch.routing._query_set import FeatureSettings
from tswitch.routing._words import Words
from tswitch_experiments import claims
from tswitch_experiments.baselines import _calibrated
from tswitch_experiments.claims import _answers, _fitted_decoder, _routes
from tswitch_experiments.models import _fitted
from tswitch_experiments.models._decoder import DecoderConfig

from .tiny_llamas import llama

QUICK = Budget(1, 1, "quick")


@pytest.fixture(scope="module")
def models(two_tasks):
    return two_tasks


@pytest.fixture
def trial(models, monkeypatch):
    """The experiments on tiny models instead of MiniLM."""
    bench, base = models
    made = _fitted.Trial(bench, 60, 0)
    monkeypatch.setattr(_fitted.Trial, "of", classmethod(lambda *_: made))
    for module in (_fitted, _answers):
        monkeypatch.setattr(module, "BASE", str(base))
    return made


@pytest.mark.parametrize("run", [_fitted.fitted_switches, _calibrated.beside_rivals])
def test_experiments_with_fitted_knobs_give_every_arm_that_their_bars_name(trial, run):
    claim = next(one for one in claims.CLAIMS if one.run is run)
    scores = run(QUICK, 0)
    assert len(claim.verdict([scores])) >= 4
    assert scores["fitted 0.97"].keys() == {"one", "two"}
    if run is _fitted.fitted_switches:
        assert 0 < scores["fitted 0.99: % of float32"] < scores["fitted 0.97: % of float32"]


def test_texts_for_fitting_are_training_texts_drawn_by_the_seed(trial):
    model = trial.live("one")
    batches = trial.batches("one", model)
    own = {tuple(ids) for ids in model.encode(trial.models.tasks["one"].train.texts, 32)}
    rows = [tuple(ids[mask.bool()].tolist()) for b in batches for ids, mask in zip(*b.values(), strict=True)]
    assert len(rows) == _fitted.TEXTS
    assert set(rows) <= own
    other = _fitted.Trial(trial.models, 60, 1).batches("one", model)
    assert any(not torch.equal(a["input_ids"], b["input_ids"]) for a, b in zip(batches, other, strict=True))


def test_the_head_is_not_among_the_bytes_of_a_switch(trial, tmp_path):
    _, size = _fitted.by_switch(trial, "one", alpha=0.9, fitted=False)
    switch = Switch.from_checkpoints(_fitted.BASE, trial.models.folders["one"], 0.9)
    switch.save_pretrained(tmp_path / "switch")
    files = {file.name: file.stat().st_size for file in (tmp_path / "switch").iterdir()}
    assert size == sum(files.values()) - files["head.safetensors"]


def test_fitted_factors_bring_outputs_closer(trial):
    model = trial.live("one")
    batches = trial.batches("one", model)
    with torch.no_grad():
        wanted = [model(**batch).log_softmax(1) for batch in batches]
    base = trial.models.base
    signs = {name: 3 * one.abs().mean() * one.sign() for name, one in _calibrated._changes(trial, "one").items()}
    fitted = _calibrated.fitted_factors(model, base, signs, batches, FitConfig(steps=24))

    def apart(changes):
        model.encoder.load_state_dict({name: value + changes.get(name, 0) for name, value in base.items()})
        with torch.no_grad():
            found = [model(**batch).log_softmax(1) for batch in batches]
        return sum(float((a.exp() * (a - b)).sum()) for a, b in zip(wanted, found, strict=True))

    assert apart(fitted) < 0.7 * apart(signs)
    assert all(torch.allclose(one / fitted[name].abs().max(), signs[name].sign()) for name, one in fitted.items())


@pytest.mark.parametrize("along", [True, False])
def test_gptq_leaves_less_error_under_its_moments_than_rounding_to_nearest(along):
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(24, 40, generator=draw)
    given = torch.randn(500, 40 if along else 24, generator=draw) @ torch.randn(
        (40, 40) if along else (24, 24), generator=draw
    )
    second = given.T @ given
    bits = [8, *[4] * 11, *[3] * 12]

    def error(made):
        away = made - rows
        return float(torch.trace(away @ second @ away.T if along else away.T @ second @ away))

    plain, plain_bytes = _calibrated.gptq(rows, bits, None)
    made, made_bytes = _calibrated.gptq(rows, bits, second, along=along)
    assert error(made) < 0.8 * error(plain)
    assert made_bytes == pytest.approx(plain_bytes, rel=0.15)
    assert plain_bytes <= 24 * 2 + 40 * (8 + 44 + 36) / 8
    assert torch.allclose(_calibrated.gptq(rows, [8] * 24, second, along=along)[0], rows, atol=0.15)


def test_moments_are_those_of_the_real_tokens(trial):
    model = trial.live("one")
    batches = trial.batches("one", model)
    found = _calibrated.moments(model, batches)
    name, module = next(
        (name, module) for name, module in model.encoder.named_modules() if isinstance(module, torch.nn.Linear)
    )
    seen = []
    hook = module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        for batch in batches:
            model(**batch)
    hook.remove()
    rows = torch.cat([x[b["attention_mask"].bool()] for x, b in zip(seen, batches, strict=True)])
    assert torch.allclose(found[f"{name}.weight"], rows.T @ rows, rtol=1e-4, atol=1e-4)


def some_queries(rng, tasks=3, count=20, spread=1.0):
    means = rng.normal(size=(tasks, 2, 8))
    return {
        f"task {place}": Queries((means[place] + spread * rng.normal(size=(count, 2, 8))).astype(np.float32))
        for place in range(tasks)
    }


def test_votes_are_those_of_the_package():
    rng = np.random.default_rng(0)
    queries = some_queries(rng, spread=2.0)
    inputs = some_queries(rng, spread=2.0)["task 0"]
    model = torch.nn.Linear(8, 4)
    base = {name: one.detach().clone() for name, one in model.state_dict().items()}
    bank = SwitchBank(model)
    for task in queries:
        bank.add(task, Switch.from_checkpoints(base, {name: one + 1 for name, one in base.items()}, alpha=0.6))
    for layer, centred, metric in ((-2, True, "cosine-centered"), (-1, False, "euclidean")):
        router = AutoSwitch(bank, metric=metric, feature_layer=layer, method="votes")
        sets = {
            task: QuerySet(torch.tensor(held.features[:, layer]), FeatureSettings(layer))
            for task, held in queries.items()
        }
        router.use_query_sets(sets)
        weights, heads, reject = router._weights(torch.tensor(inputs.features[:, layer]))
        shares, near = _routes.votes_of(queries, inputs, layer, centred=centred)
        np.testing.assert_allclose(shares / 10, weights.numpy(), atol=1e-5)
        assert shares.argmax(1).tolist() == heads
        np.testing.assert_allclose(-near, reject.numpy(), atol=1e-5)


def test_the_closed_form_of_the_package_is_the_one_that_is_measured(models):
    bench, base = models
    live = TextBank(
        base, {task: Switch.from_checkpoints(base, folder, alpha=0.6) for task, folder in bench.folders.items()}
    )
    texts = {task: list(held.train.texts[:30]) for task, held in bench.tasks.items()}
    router = live.router(method="closed form").fit(texts)
    measured = ClosedForm({task: _routes.stored(_routes.seen(live.model, held)) for task, held in texts.items()})
    assert router.left_out["closed form"] == pytest.approx(measured.left_out)
    asked = [text for held in bench.tasks.values() for text in held.test.texts[:9]]
    scores = measured.scores(_routes.seen(live.model, asked))
    np.testing.assert_allclose(router.predict_weights(asked).numpy(), mixtures(scores), atol=1e-4)
    np.testing.assert_allclose(router.reject_scores(asked).numpy(), np.maximum(1 - scores.max(1), 0), atol=1e-3)


def test_mixtures_are_tenths_and_the_likeliest_task_comes_first():
    scores = np.array([[0.9, 0.05, -0.1], [0.5, 0.5, 0.4], [-0.1, -0.2, -0.3], [0.2, 0.6, 0.1]])
    made = mixtures(scores, 2.0)
    np.testing.assert_allclose(made.sum(1), 1)
    assert made.argmax(1).tolist() == scores.argmax(1).tolist()
    np.testing.assert_allclose(made[0], [1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(made[3], [0.1, 0.9, 0], atol=1e-5)


def test_single_inputs_under_the_right_switch_are_answered_as_by_the_switch(trial, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        _answers, "seen", lambda _, texts: Queries(rng.normal(size=(len(texts), 2, 4)), Words.of(texts))
    )
    monkeypatch.setattr(TextClassifier, "from_base", classmethod(lambda *_: trial.live("one")))
    scores = _answers.compared(trial.models, "test", 60, 0, 20)
    assert len(next(one for one in claims.CLAIMS if one.run is _answers.answers).verdict([scores])) == 3
    for task in trial.models.names:
        state, _ = _fitted.by_switch(trial, task, alpha=_answers.ALPHA, fitted=False)
        trial.models.load(state)
        rows = trial.models.tasks[task].limited(test=60).test
        ids = trial.models.model.pad(trial.models.model.encode(rows.texts, 32))
        with torch.no_grad():
            own = trial.models.heads[task](trial.models.model.features(**ids)).argmax(1).numpy()
        assert np.array_equal(scores["T-Switch"][task], 100.0 * (own == rows.labels))
        wrong = scores["closed form, routed"][task] == 0
        assert not scores["closed form, head chosen"][task][wrong].any()


def test_decoder_under_fitted_knobs_gives_every_arm_and_its_bytes(tmp_path, monkeypatch):
    words = [f"w{i}" for i in range(20)]
    rng = np.random.default_rng(0)

    def split(count):
        return Split(tuple(" ".join(rng.choice(words[:6], 9)) for _ in range(count)), np.zeros(count, np.int64))

    task = TextTask("words", ("one",), split(60), split(20), split(20))
    llama(tmp_path / "base", {word: place for place, word in enumerate(words)}, 0)
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_fitted_decoder, "smollm2_folder", lambda: tmp_path / "base")
    monkeypatch.setattr(_fitted_decoder, "text_task", lambda *_, **__: task)
    monkeypatch.setattr(
        _fitted_decoder, "DecoderConfig", lambda **_: DecoderConfig(steps=30, lr=5e-3, batch=8, length=12, bf16=False)
    )
    scores = _fitted_decoder.fitted_decoder(QUICK, 0)
    claim = next(one for one in claims.CLAIMS if one.run is _fitted_decoder.fitted_decoder)
    assert len(claim.verdict([scores])) == 3
    mean = {arm: float(by["text"].mean()) for arm, by in scores.items() if isinstance(by, dict)}
    assert mean["individual"] < mean["fitted"] < mean["base"]
    assert mean["fitted"] < mean["full"]
