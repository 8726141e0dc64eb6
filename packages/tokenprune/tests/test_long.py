"""Long-context tasks: what they hold, whose templates they are, and how recall of them is scored."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from tokenprune import Everything, Executor, Layout, StaticRouter, datasets
from tokenprune.datasets import KINDS, long_tasks
from tokenprune.datasets._templates import BY_ROLE
from tokenprune.evaluation._recall import as_scored, by_depth, depth_by_length, recall, recall_table

FILLER = datasets.tokens(datasets.embedded_text(), None)


def made(kind, role="test", **more):
    settings = {"filler": FILLER, "count": 10, "length": 512, "seed": 0, **more}
    return long_tasks(kind, role, None, **settings)


def said(task):
    whole = datasets.words(task.ids, None)
    return whole[: -task.answer], whole[-task.answer :]


@pytest.mark.parametrize("role", list(BY_ROLE))
@pytest.mark.parametrize("length", [300, 512, 1500])
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_has_its_length_and_holds_its_answer_before_it_is_asked(kind, length, role):
    for task in made(kind, role, length=length):
        before, answer = said(task)
        assert len(task.ids) == length
        assert answer.startswith(" ")
        assert answer in before
        assert task.kind == kind


@pytest.mark.parametrize("kind", ["needle", "key-value", "paragraphs"])
def test_a_fact_stands_where_its_depth_says(kind):
    tasks = made(kind, count=15, length=2000)
    assert [task.depth for task in tasks] == [0.0, 0.25, 0.5, 0.75, 1.0] * 3
    of = BY_ROLE["test"]
    for task in tasks:
        before, answer = said(task)
        asked = before.rsplit("\n", 1)[1]
        if kind == "needle":
            place = before.index(f"{asked}{answer}.") / (len(before) - 2 * len(asked) - len(answer))
            assert place == pytest.approx(task.depth, abs=0.02)
        elif kind == "key-value":
            key = asked.removeprefix(of.asks.format(key="")[:-1]).removesuffix(":")
            lines = [line for line in before.splitlines() if line.startswith("- ")]
            at = next(i for i, line in enumerate(lines) if line == f"- {key}:{answer}")
            assert at == round(task.depth * (len(lines) - 1))
        else:
            cards = [part for part in before.splitlines() if " spent a year in " in part and part != asked]
            at = next(i for i, one in enumerate(cards) if one.startswith(asked))
            assert at == round(task.depth * (len(cards) - 1))


def test_a_name_stands_first_and_nowhere_else():
    for task in made("name"):
        before, answer = said(task)
        assert task.depth == 0
        assert answer in before.split("\n", 1)[0]
        assert before.count(answer.strip()) == 1


def test_the_item_that_is_asked_is_none_of_the_examples():
    for task in made("few-shot"):
        before, _ = said(task)
        asked = before.rsplit("Input: ", 1)[1]
        assert before.count(f"Input: {asked}") == 1
        assert math.isnan(task.depth)


def test_no_template_and_no_word_of_one_role_stands_in_another():
    def words(of):
        found = set()
        for field in fields(of):
            value = getattr(of, field.name)
            parts = [one for pair in value.items() for one in (pair[0], *pair[1])] if isinstance(value, dict) else value
            if isinstance(parts, str):
                parts = [parts]
            slots = {"first", "last", "trade", "town"}
            found |= {
                word for part in parts for word in (part if isinstance(part, tuple) else [part]) if word not in slots
            }
        return found

    roles = [words(one) for one in BY_ROLE.values()]
    for at, one in enumerate(roles):
        for other in roles[at + 1 :]:
            assert not one & other


def test_the_same_seed_makes_the_same_tasks_and_another_others():
    first, again, other = (made("needle", seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a.ids, b.ids) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "haystack"}, "needle, name"), ({"role": "dev"}, "training, validation, test"),
        ({"length": 40}, "length: got 40"), ({"filler": FILLER[:50]}, "filler: got 50 tokens"),
        ({"depths": [1.5]}, "depths"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_named(change, says):
    with pytest.raises(InputError, match=says):
        made(**{"kind": "needle", "role": "test", **change})


@torch.no_grad()
def test_recall_scores_the_answers_and_counts_operations(model):
    tasks = made("needle", count=7, length=300)
    layout = Layout.of(model)
    arms = {"dense": Executor(layout, Everything()), "static": Executor(layout, StaticRouter((0.0, 0.5, 0.5, 0.5)))}
    found = recall(arms, tasks, rows=3)
    for at, task in enumerate(tasks):
        logits = model(task.ids[None, :-1]).logits[0, -task.answer :].log_softmax(-1)
        expected = -logits.gather(1, task.ids[-task.answer :, None]).mean()
        assert found.nll["dense"][at] == pytest.approx(float(expected), abs=1e-4)
    assert np.abs(found.kl["dense"]).max() < 1e-5
    assert found.kl["static"].min() > 0
    assert found.flops["static"] < found.flops["dense"]
    data = as_scored(tasks)
    assert found.flops["dense"] == pytest.approx(arms["dense"].costs.dense([299] * 7, logits=len(data.targets)).flops)


def test_table_and_pictures_have_a_place_for_each_depth_and_length(model):
    arms = {"dense": Executor(Layout.of(model))}
    found = [recall(arms, made(kind, count=5, length=length)) for kind, length in (("needle", 256), ("needle", 300))]
    found.append(recall(arms, made("few-shot", count=2, length=256)))
    table = recall_table(found, "recall")
    assert [row[:3] for row in table.rows[:2]] == [["needle", 256, 0.0], ["needle", 256, 0.25]]
    assert table.rows[-1][:3] == ["few-shot", 256, "all"]
    axes = depth_by_length(found, "dense").axes[0]
    assert [one.get_text() for one in axes.get_xticklabels()] == ["256", "300"]
    assert axes.images[0].get_array().shape == (5, 2)
    (line,) = by_depth(found).axes[0].lines
    assert list(line.get_xdata()) == [0.0, 0.25, 0.5, 0.75, 1.0]
