"""The held-out check: its losses, and what it says of a schedule that only fits what it was searched on."""

from __future__ import annotations

import pytest
from tokenprune import Executor, FTPConfig, Layout, StaticRouter, TokenPruner
from tokenprune.executor._scored import divergence, nll
from tokenprune.pruner._unseen import Unseen, unseen

SCHEDULE = (0.0, 0.2, 0.6, 0.4)


def test_losses_are_those_of_each_arm_on_all_sequences_at_once(model, scored):
    pruner = TokenPruner(model, FTPConfig(router="static"), SCHEDULE)
    found = unseen(pruner, scored, rows=4)
    layout = Layout.of(model)
    dense = scored.run(Executor(layout))[0]
    for name, schedule in {"schedule": SCHEDULE, "uniform": [0.3] * 4}.items():
        logits, stream = scored.run(Executor(layout, StaticRouter(schedule)))
        assert found.kl[name] == pytest.approx(float(divergence(dense.log_softmax(-1), logits).mean()), rel=1e-3)
        assert found.nll[name] == pytest.approx(float(nll(logits, scored.targets).mean()), rel=1e-4)
        assert found.flops[name] == pytest.approx(Executor(layout).costs.of_kept(stream.kept, logits=24).flops)
    assert found.kl["dense"] == pytest.approx(0, abs=1e-6)
    assert Unseen.of_dict(found.to_dict()) == found


def test_a_schedule_that_is_worse_is_said_to_be_so():
    def found(schedule):
        kl = {"dense": 0.0, "schedule": schedule, "uniform": 0.2}
        return Unseen(kl, dict.fromkeys(kl, 3.0), {})

    assert not found(0.1).worse
    assert "WORSE" not in found(0.1).note()
    assert found(0.3).worse
    assert "0.3 nats a token from the dense model, uniform 0.2" in found(0.3).note()
    assert "WORSE than uniform" in found(0.3).note()
