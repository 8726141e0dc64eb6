"""Text banks, sweeps and timings, against the same done by hand on one model at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from safetensors.torch import load_file
from tswitch.evaluation._evaluate import Bench
from tswitch.evaluation._sweep import alphas, picture, sweep
from tswitch.evaluation._timing import time_switching
from tswitch.models._finetune import FinetuneConfig, finetune
from tswitch.models._models import TextClassifier, predict
from tswitch.routing._live import TextBank
from tswitch.switch._export import export
from tswitch.switch._pulse import discard
from tswitch.switch._switch import Switch

from . import tiny

CONFIG = FinetuneConfig(steps=40, lr=1e-2, head_lr=3e-2, batch=16)
TASKS = {"one": tiny.task("one", ("fruit", "tool")), "two": tiny.task("two two", ("tool", "sea"))}
TEXTS = [text for task in TASKS.values() for text in task.test.texts[:12]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(base, fine-tuned folder by task, switch by task)."""
    folder = tmp_path_factory.mktemp("live")
    base = tiny.base(folder / "base")
    tuned = {name: finetune(base, task, folder / name, CONFIG) for name, task in TASKS.items()}
    return base, tuned, {name: Switch.from_checkpoints(base, tuned[name], alpha=0.6) for name in TASKS}


@pytest.fixture
def live(made):
    base, _, switches = made
    return TextBank(base, switches)


def by_hand(tuned, base, delta):
    """A fine-tuned model whose encoder is base + delta(name)."""
    model = TextClassifier.from_pretrained(tuned)
    before = load_file(base / "model.safetensors")
    model.encoder.load_state_dict({name: value + delta(name) for name, value in before.items()})
    return model


def test_each_task_is_answered_like_its_own_model(made, live):
    base, tuned, switches = made
    for task in TASKS:
        alone = by_hand(tuned[task], base, switches[task].dequantise)
        assert np.array_equal(live.classify(task, TEXTS), predict(alone, TEXTS))
        plain = by_hand(tuned[task], base, lambda _: 0)
        assert np.array_equal(live.classify(task, TEXTS, switched=False), predict(plain, TEXTS))
        assert live.labels[task] == list(TASKS[task].classes)
    encoder = live.model.encoder.state_dict()
    assert all(torch.equal(encoder[name], value) for name, value in load_file(base / "model.safetensors").items())


def test_routed_answers_are_those_of_the_mixture_they_name(live):
    router = live.router(n_queries=30, n_neighbors=7).fit({name: task.train.texts for name, task in TASKS.items()})
    rows = live.answer(router, TEXTS)
    assert [row["text"] for row in rows] == TEXTS
    assert {len(row["weights"]) for row in rows} == {1, 2}  # some sure, some mixed
    for row, weights in zip(rows, router.predict_weights(TEXTS).tolist(), strict=True):
        shares = dict(zip(router.tasks, weights, strict=True))
        assert row["weights"] == {name: round(share, 3) for name, share in shares.items() if share}
        assert shares[row["task"]] == max(weights)
        with torch.no_grad(), live.bank.use(shares, head=row["task"]):
            chances = torch.softmax(live.model(**live.prepare([row["text"]])), 1)[0]
        assert row["label"] == live.labels[row["task"]][int(chances.argmax())]
        assert row["probability"] == pytest.approx(float(chances.max()), abs=1e-5)


def test_switches_from_folders_answer_alike(made, live, tmp_path):
    base, _, switches = made
    switches["one"].save_pretrained(tmp_path / "one")
    again = TextBank(base, {"one": tmp_path / "one"})
    assert np.array_equal(again.classify("one", TEXTS), live.classify("one", TEXTS))


def test_texts_and_tasks_that_do_not_serve_are_refused(made, live):
    base, tuned, switches = made
    router = live.router(n_neighbors=1).fit({"one": ["a"]})
    with pytest.raises(InputError, match="text: got an empty one"):
        live.answer(router, ["a", " "])
    with pytest.raises(InputError, match="task 'three': expected one of one, two"):
        live.classify("three", ["a"])
    with pytest.raises(InputError, match="switch of task 'bare': got no head"):
        TextBank(base, {"bare": Switch.from_checkpoints(base, tuned["one"], exclude=(), on_mismatch="skip", alpha=0.6)})
    with pytest.raises(InputError, match=r"base of task 'one': got other values in .*embeddings\.weight"):
        TextBank(tuned["two"], {"one": switches["one"]})


def test_swept_accuracies_are_those_of_models_made_by_hand(made, tmp_path):
    base, folders, _ = made
    task, tuned = TASKS["one"], folders["one"]
    held = task.limited(validation=30).validation
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tuned))
    names = list(TextClassifier.from_base(base, 2).encoder.state_dict())  # the order of random draws
    generator = torch.Generator().manual_seed(5)
    called = []
    table = sweep(base, tuned, task, [0.0, 0.6, 0.9], rows=30, seed=5, advance=lambda: called.append(1))
    assert len(called) == len(table.rows) == 3

    def accuracy(delta):
        return 100 * (predict(by_hand(tuned, base, delta), held.texts) == held.labels).mean()

    for row in table.rows:
        alpha = row[0]
        for column, rule in enumerate(("low", "high", "random"), start=1):
            delta = {name: discard(after[name] - before[name], alpha, rule, generator=generator) for name in names}
            assert table.columns[column] == f"discard {rule}"
            assert row[column] == pytest.approx(accuracy(delta.__getitem__)), (alpha, rule)
        assert table.columns[4:] == ["l2", "mean", "full", "density", "bytes"]
        for column, scale in enumerate(("l2", "mean", "full"), start=4):
            switch = Switch.from_checkpoints(base, tuned, alpha, scale=scale)
            assert row[column] == pytest.approx(accuracy(switch.dequantise)), (alpha, scale)
            if scale == "l2":
                switch.save_pretrained(tmp_path / str(alpha))
        size = sum(file.stat().st_size for file in (tmp_path / str(alpha)).iterdir())
        assert row[7:] == [switch.density, size]
    assert table.rows[0][1] == pytest.approx(accuracy(lambda name: after[name] - before[name]))
    assert table.rows[0][1] > 80
    assert table.rows[2][2] < table.rows[2][1]  # without the largest changes little is left
    axes = picture(table, 4 * sum(value.numel() for value in before.values())).axes
    assert len(axes[0].lines) == 6
    for column, line in enumerate(axes[1].lines, start=4):
        assert list(line.get_ydata()) == [row[column] for row in table.rows]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:0.95:0.05", [round(0.05 * i, 2) for i in range(20)]),
        ("0.1:0.1:0.5", [0.1]),
        ("0:0.9:0.4", [0, 0.4, 0.8]),
        ("0.9,0.5", [0.9, 0.5]),
        ("0:0.4:0.2,0.97,0.98", [0, 0.2, 0.4, 0.97, 0.98]),
        ("0.6", [0.6]),
    ],
)
def test_alphas_are_a_range_with_its_end_or_a_list(text, values):
    assert alphas(text) == values


@pytest.mark.parametrize(
    "text", ["", "a", "0:1", "0:0.5:0", "0:0.5:-0.1", "0.5:0:0.1", "0,1", "-0.1", "60", "nan", "0:nan:0.1"]
)
def test_alphas_that_are_none_are_refused(text):
    with pytest.raises(InputError, match="alpha: got"):
        alphas(text)


def test_timing_has_each_way_and_counts_two_bits(made):
    base, _, switches = made
    table = time_switching(base, switches["one"], repeats=3)
    assert [row[0].split()[0] for row in table.rows] == ["read", "switch"]
    assert all(row[1] > 0 and row[2] > 0 for row in table.rows)
    parameters = sum(value.numel() for value in load_file(base / "model.safetensors").values())
    bits = float(table.notes[0].split("resident switch: ")[1].split()[0])
    assert table.notes[0].startswith(f"{parameters:,} parameters")
    assert 2 <= bits < 2.3  # a scale for each tensor weighs more in one so small
    with pytest.raises(InputError, match="base of task 'task': got other values"):
        time_switching(base, Switch.from_checkpoints(made[1]["two"], made[1]["one"], alpha=0.6))


def test_texts_are_cut_where_the_model_was_trained_to_see_them_cut(made, tmp_path):
    base, _, switches = made
    task = tiny.task("one", ("fruit", "tool"))
    long = " ".join(["see"] * 50)
    tuned = finetune(base, task, tmp_path / "long", FinetuneConfig(steps=1, batch=16, max_length=45))
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
    model = TextClassifier.from_pretrained(tuned)
    widths = {length: len(model.encode([long], length)[0]) for length in (32, 45)}
    assert widths[32] < widths[45]
    live = TextBank(base, {"long": switch, "two": switches["two"]})
    assert live.lengths == {"long": 45, "two": 32}
    assert live.prepare([long])["input_ids"].shape[1] == widths[45]
    assert TextBank(base, {"two": switches["two"]}).prepare([long])["input_ids"].shape[1] == widths[32]
    assert "max_length" not in switches["two"].config
    held = replace(task, test=replace(task.test, texts=(long,) * len(task.test)))
    (_, batch), *_ = Bench(base, {"one": held}, {"one": tuned}).rows("one", "test", 10)[0]
    assert batch["input_ids"].shape[1] == widths[45]
    export(base, switch, tmp_path / "exported")
    assert TextClassifier.from_pretrained(tmp_path / "exported").max_length == 45
