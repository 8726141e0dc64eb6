"""The held-out check: its losses, and what it says of a schedule that only fits what it was searched on."""

from __future__ import annotations

import pytest
import torch
from tokenprune import Executor, FTPConfig, Layout, TokenPruner
from tokenprune.executor._scored import divergence, nll
from tokenprune.pruner._unseen import Unseen, unseen

SCHEDULE = (0.0, 0.2, 0.6, 0.4)


@pytest.mark.parametrize("config", [FTPConfig(router="static"), FTPConfig()], ids=["static", "observation"])
def test_losses_are_those_of_each_arm_on_all_sequences_at_once(model, scored, config):
    pruner, floor = TokenPruner(model, config, SCHEDULE), TokenPruner(model, config).router()
    found = unseen(pruner, scored, rows=4)
    layout = Layout.of(model)
    dense = scored.run(Executor(layout))[0]
    for name, router in {"pruner": pruner.router(), "as it comes": floor}.items():
        logits, stream = scored.run(Executor(layout, router))
        kl = scored.by_sequence(divergence(dense.log_softmax(-1), logits)) / torch.tensor(scored.counts)
        assert found.kl[name] == pytest.approx(float(kl.mean()), rel=1e-3)
        lost = scored.by_sequence(nll(logits, scored.targets)) / torch.tensor(scored.counts)
        assert found.nll[name] == pytest.approx(float(lost.mean()), rel=1e-4)
        assert found.flops[name] == pytest.approx(
            Executor(layout, router).cost(stream, logits=len(scored.targets)).flops
        )
    assert found.kl["dense"] == pytest.approx(0, abs=1e-6)
    assert Unseen.of_dict(found.to_dict()) == found


def test_a_pruner_that_is_worse_is_said_to_be_so():
    def found(pruner):
        kl = {"dense": 0.0, "pruner": pruner, "as it comes": 0.2}
        return Unseen(kl, dict.fromkeys(kl, 3.0), {})

    assert not found(0.1).worse
    assert "WORSE" not in found(0.1).note()
    assert found(0.3).worse
    assert "0.3 nats a token from the dense model, as it comes 0.2" in found(0.3).note()
    assert "WORSE than as it comes" in found(0.3).note()
