"""The protocol end to end: what is scored, what may choose, and that nothing peeks."""

from __future__ import annotations

import numpy as np
import pytest
from mldgg import GraphDomains, evaluate, leave_one_graph_out, split_support
from mldgg.domains import Method
from mldgg.evaluation import METHODS, accuracy_bars, edge_histogram, entries, tune
from ninefold.errors import InputError
from ninefold.run import Run

from ..small import TINY, domains

FREE = ("centred-ridge", "target-only", "label-propagation")


class Spy(Method):
    """Remembers all that it is shown."""

    name = "spy"
    source = "test"

    def fit(self, sources):
        Spy.sources = list(sources)
        return self

    def predict_proba(self, target):
        Spy.targets.append(target)
        return np.full((len(target), len(target.classes)), 1 / len(target.classes))


def test_method_sees_support_labels_alone_and_no_target_among_sources():
    Spy.targets = []
    task = leave_one_graph_out(domains())[2]
    evaluate([Spy], [task], shots=(0, 5), seeds=2)
    assert [graph.name for graph in Spy.sources] == ["north", "east"]
    for target, (shots, seed) in zip(Spy.targets, [(0, 0), (5, 0), (0, 1), (5, 1)], strict=True):
        support = split_support(task.target.y, shots=shots, seed=seed).support
        np.testing.assert_array_equal(target.y, np.where(support, task.target.y, -1))


@pytest.mark.parametrize("name", ["mldgg", "centred-ridge", "erm"])
def test_scrambled_query_labels_change_no_prediction(name, monkeypatch):
    monkeypatch.setattr("mldgg.baselines._table.Erm.steps", 5)
    target = domains()["south"]
    support = split_support(target.y, shots=2, seed=0).support
    scrambled = target.with_labels(np.where(support, target.y, (target.y + 1) % 3))
    method = METHODS[name](seed=0).fit(domains().without("south"))
    one, other = (method.predict_proba(graph.hidden(support)) for graph in (target, scrambled))
    np.testing.assert_array_equal(one, other)


def test_result_states_rule_metric_and_search_space():
    result = evaluate(FREE, domains(), shots=(0, 5), seeds=1, trials=3)
    assert {one.selection for one in result.scores} == {"leave-one-domain-out"}
    assert {one.metric for one in result.scores} == {"accuracy"}
    assert len(result.scores) == 3 * 3 * 2
    text = result.table().to_terminal()
    assert "options chosen by: leave-one-domain-out" in text
    assert "search space of centred-ridge: hops" in text
    assert {"hops", "strength"} <= result.scores[0].options.keys()
    assert result.mean("centred-ridge", 5) > result.mean("target-only", 5) > 30


def test_tuning_uses_sources_and_takes_the_best_trial():
    values = {1: 0.2, 2: 0.9, 3: 0.5}
    seen = []

    class Fake(Method):
        name = "fake"
        source = "test"
        space = {"a": (1, 2, 3)}  # noqa: RUF012

        def fit(self, sources):
            seen.extend(graph.name for graph in sources)
            return self

        def predict_proba(self, target):
            seen.append(target.name)
            right = np.random.default_rng(0).random(len(target)) < values[self.options["a"]]
            truth = domains()[target.name].y
            return np.eye(3)[np.where(right, truth, (truth + 1) % 3)]

    choice = tune(Fake, domains().without("south"), trials=3)
    assert choice.options == {"a": 2}
    assert len(choice.trials) == 3
    assert set(seen) == {"north", "east"}
    assert tune(Fake, [domains()["north"]], trials=3).rule == "source-val"
    with pytest.raises(InputError, match="rule oracle"):
        tune(Fake, domains().without("south"), rule="oracle")
    with pytest.raises(InputError, match="one of leave-one-domain-out"):
        tune(Fake, domains().without("south"), rule="best")


def test_binary_tasks_are_scored_by_auc():
    two = GraphDomains({name: graph.with_labels(np.minimum(graph.y, 1)) for name, graph in TINY.draw(0).items()})
    two = GraphDomains({name: _binary(graph) for name, graph in two.items()})
    result = evaluate(["centred-ridge"], two, shots=(0,), seeds=1)
    assert {one.metric for one in result.scores} == {"auc"}
    assert result.mean("centred-ridge", 0) > 60


def _binary(graph):
    object.__setattr__(graph, "classes", ("a", "b"))
    return graph


def test_comparison_resumes_fit_by_fit(tmp_path):
    tasks, methods = leave_one_graph_out(domains()), entries(FREE[:2])
    options = {"shots": [0, 5], "seeds": 2, "trials": 1, "selection": "leave-one-domain-out"}
    with Run(tmp_path / "whole", {}) as run:
        whole = evaluate(methods, tasks, **options, run=run)
    lines = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 3 * 2 * 2 * 2
    with Run(tmp_path / "cut", {}) as run:
        (tmp_path / "cut" / "metrics.jsonl").write_text("".join(lines[:9]))
        again = evaluate(methods, tasks, **options, run=run)
    assert (tmp_path / "cut" / "metrics.jsonl").read_text() == "".join(lines)
    assert [one.value for one in again.scores] == [one.value for one in whole.scores]
    assert (tmp_path / "whole" / "scores.parquet").read_bytes() == (tmp_path / "cut" / "scores.parquet").read_bytes()
    assert {path.name for path in (tmp_path / "whole" / "figures").iterdir()} == {"0-labels.png", "5-labels.png"}


def test_unknown_method_lists_all():
    with pytest.raises(InputError, match=r"got 'magic', expected one of mldgg, centred-ridge"):
        entries(["magic"])


def test_pictures_are_drawn():
    result = evaluate(FREE, domains(), shots=(5,), seeds=2)
    assert len(accuracy_bars(result, 5).axes[0].patches) == 9
    weights = np.linspace(0, 1, 40)
    assert edge_histogram(weights, weights < 0.5).axes[0].get_xlabel() == "learned weight"
