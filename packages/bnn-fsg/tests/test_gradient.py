"""What every estimator keeps: its state, the wrapper in an optimiser's shape, frozen parameters, what it refuses."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from bnn_fsg.baselines import GRADIENTS as SHIPPED
from bnn_fsg.estimators._gradient import DivergedError, Plain
from bnn_fsg.fsg._fsg import FSG
from bnn_fsg.layers._layers import binarize
from bnn_fsg.layers._quantizers import QUANTIZERS
from bnn_fsg_experiments.baselines._lstmfc import LSTMFC
from ninefold.errors import InputError
from torch import nn

from .fsg_helpers import X, Y, loss_of, made, net, snapshot

GRADIENTS = {**SHIPPED, "lstmfc": LSTMFC}


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_saved_state_goes_on_with_the_same_losses(name):
    options = {"hidden": 7} if name in ("multifc", "lstmfc") else {}
    model, one = made(GRADIENTS[name], optimizer=torch.optim.Adam, lr=0.02, **options)
    for _ in range(4):
        one.step(loss_of(model))
    state, weights = copy.deepcopy(one.state_dict()), copy.deepcopy(model.state_dict())
    going = [float(one.step(loss_of(model))) for _ in range(3)]
    model2, other = made(GRADIENTS[name], optimizer=torch.optim.Adam, lr=0.02, **options)
    model2.load_state_dict(weights)
    other.load_state_dict(state)
    assert [float(other.step(loss_of(model2))) for _ in range(3)] == going
    assert len(set(going)) == 3


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta")
@pytest.mark.parametrize("name", ["fsg", "lstmfc"])
def test_a_state_comes_back_on_the_device_of_the_model(name):
    options = {"start": "standard"} if name == "fsg" else {}  # the other start looks at numbers, which meta has not
    model, one = made(GRADIENTS[name], **options)
    for _ in range(3):
        one.step(loss_of(model))
    moved = net().to("meta")
    other = GRADIENTS[name](moved, torch.optim.SGD(moved.parameters(), lr=0.1), **options)
    other.load_state_dict(one.state_dict())
    assert {tensor.device.type for tensor in tensors(other.state_dict())} == {"meta"}
    assert len(tensors(other.state_dict())) == len(tensors(one.state_dict()))


def tensors(state):
    """All tensors of a nested state but an optimiser's counts, which torch keeps on the CPU."""
    if isinstance(state, torch.Tensor):
        return [state]
    if isinstance(state, dict):
        state = [one for key, one in state.items() if key != "step"]
    return [one for part in state for one in tensors(part)] if isinstance(state, (list, tuple)) else []


@pytest.mark.parametrize("name", ["ste", "fsg", "lstmfc"])
def test_two_halves_add_up_to_the_whole_batch(name):
    model, one = made(GRADIENTS[name])
    model2, other = made(GRADIENTS[name])
    wrapped = other.as_optimizer()
    for _ in range(3):
        one.step(loss_of(model))
        wrapped.zero_grad()
        for half in (slice(0, 8), slice(8, 16)):
            (nn.functional.cross_entropy(model2(X[half]), Y[half]) / 2).backward()
        wrapped.step()
    for (key, a), b in zip(model.named_parameters(), model2.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=key)


def test_a_scheduler_drives_the_wrapped_optimizer():
    model, fsg = made(lr=0.4)
    wrapped = fsg.as_optimizer()
    schedule = torch.optim.lr_scheduler.StepLR(wrapped, 1, 0.5)
    for _ in range(2):
        loss_of(model)().backward()
        wrapped.step()
        wrapped.zero_grad()
        schedule.step()
    assert fsg.lr(0) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["fsg", "lstmfc"])
def test_a_forward_without_gradients_before_the_real_one_changes_nothing(name):
    """As in reentrant activation checkpointing, or when BatchNorm is calibrated anew between steps."""
    model, one = made(GRADIENTS[name])
    model2, other = made(GRADIENTS[name])
    for _ in range(4):
        with torch.no_grad():
            model2(X)
        assert float(one.step(loss_of(model))) == float(other.step(loss_of(model2)))
    for key, (learned, _) in one.hypernets().items():
        for a, b in zip(learned.parameters(), other.hypernets()[key][0].parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["fsg", "multifc", "ste"])
@pytest.mark.parametrize("key", ["bias", "weight"])
def test_a_frozen_parameter_stays_where_it_is(name, key):
    model, one = made(GRADIENTS[name])
    getattr(model[2], key).requires_grad_(False)
    before, seen = snapshot(model), []
    model[2].register_forward_hook(lambda layer, *_: seen.append([part.clone() for part in layer.tensors()]))
    for _ in range(4):
        one.step(loss_of(model))
    assert torch.equal(getattr(model[2], key), before[f"2.{key}"])
    at = ["weight", "bias"].index(key)
    assert all(torch.equal(step[at], seen[0][at]) for step in seen)  # nor does the forward pass look ahead
    if key == "weight" and name != "ste":
        assert torch.equal(one.latents[1], model[2].quantizer.latent(model[2].weight))
    for label, now in model.named_parameters():
        assert torch.equal(now, before[label]) == (label == f"2.{key}")


@pytest.mark.parametrize("name", GRADIENTS)
def test_lr_0_is_refused_by_every_estimator(name):
    with pytest.raises(InputError, match=r"lr in layer 0: got 0.0, expected a positive one"):
        made(GRADIENTS[name], lr=0.0)


@pytest.mark.parametrize("weights", [one for one in QUANTIZERS if one not in ("irnet", "adabin")])
@pytest.mark.parametrize("name", ["ste", "fsg"])
@pytest.mark.parametrize("value", [0.3, -0.3])
def test_equal_weights_are_no_fault_where_nothing_divides_by_their_spread(weights, name, value):
    torch.manual_seed(0)
    float_net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    float_net[0].weight.data.fill_(value)
    model = binarize(float_net, weights)
    one = GRADIENTS[name](model, torch.optim.SGD(model.parameters(), lr=0.003))
    assert all(math.isfinite(one.step(loss_of(model))) for _ in range(30))
    assert one.skipped == 0
    assert len(model[0].weight.unique()) > 1  # they part as they learn


@pytest.mark.filterwarnings("ignore:step .* is skipped")
def test_nan_gradients_are_skipped_counted_and_then_stop_the_run():
    model, fsg = made(max_skips=2)
    fsg.step(loss_of(model))
    fsg.step(loss_of(model))
    before = snapshot(model)
    for _ in range(2):
        fsg.step(lambda: loss_of(model)() * float("nan"))
    assert fsg.skipped == 2
    assert fsg.queues[0].steps == 2
    assert all(torch.equal(one, before[name]) for name, one in model.named_parameters())
    with pytest.raises(DivergedError, match=r"gradient of .*: NaN or infinity in 3 steps"):
        fsg.step(lambda: loss_of(model)() * float("nan"))


def with_batch_norm(name="fsg"):
    torch.manual_seed(0)
    parts = [nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)]
    model = binarize(nn.Sequential(*parts), "dorefa", example_input=X)
    return model, GRADIENTS[name](model, torch.optim.SGD(model.parameters(), lr=0.1))


def own_loop(one, model, bad):
    optimizer = one.as_optimizer()
    optimizer.zero_grad()
    for part in (X, bad):  # accumulated
        nn.functional.cross_entropy(model(part), Y).backward()
    optimizer.step()


LOOPS = {"step": lambda one, model, bad: one.step(lambda: nn.functional.cross_entropy(model(bad), Y)), "own": own_loop}


@pytest.mark.parametrize("name", ["fsg", "ste", "plain"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_batch_with_nan_leaves_everything_as_before_it(name, loop):
    if name == "plain":
        model, _ = with_batch_norm()
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        one = Plain(model, torch.optim.SGD(model.parameters(), lr=0.1))
    else:
        model, one = with_batch_norm(name)
    for _ in range(3):
        one.step(loss_of(model))
    bad = X.clone()
    bad[3, 2] = float("nan")
    before, state = copy.deepcopy(model.state_dict()), copy.deepcopy(one.state_dict())
    generator = torch.get_rng_state()
    with pytest.warns(UserWarning, match=r"step 4 is skipped, and all is as before it: gradient of [01]\S* is NaN"):
        LOOPS[loop](one, model, bad)
    assert torch.equal(torch.get_rng_state(), generator)
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    after = one.state_dict()
    assert (after.pop("skipped"), after.pop("in_a_row"), after.pop("steps")) == (1, 1, 4)
    for key in ("skipped", "in_a_row", "steps"):
        state.pop(key)
    assert str(after) == str(state)
    model.eval()
    assert model(X).isfinite().all()


def test_a_buffer_that_turns_nan_under_finite_gradients_is_a_skipped_step_too():
    model, one = with_batch_norm("ste")
    bad = X.clone()
    bad[3, 2] = float("nan")

    def closure():
        with torch.no_grad():
            model(bad)
        return loss_of(model)()

    with pytest.warns(UserWarning, match=r"step 1 is skipped, .*: buffer 1.running_mean is NaN"):
        one.step(closure)
    assert model[1].running_mean.isfinite().all()


def test_a_model_with_an_estimator_can_still_be_copied_and_pickled():
    model, one = with_batch_norm()
    one.step(loss_of(model))
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301  # safe: pickled in this line
        copied.train()
        assert copied(X).shape == (16, 3)
    assert one.step(loss_of(model)).isfinite()


def test_state_of_other_layers_is_refused():
    model, fsg = made()
    fsg.step(loss_of(model))
    state = fsg.state_dict()
    other = binarize(nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)))
    target = FSG(other, torch.optim.SGD(other.parameters(), lr=0.1))
    with pytest.raises(InputError, match=r"another list of layers \(first difference: 0\)"):
        target.load_state_dict(state)
    with pytest.raises(InputError, match="one of gradient 'fsg'"):
        GRADIENTS["ste"](model, fsg.optimizer).load_state_dict(state)


@pytest.mark.parametrize(
    ("name", "before", "now", "message"),
    [
        ("fsg", {"history": 3}, {"history": 5}, "history of state: got 3 gradients, expected 5"),
        ("fsg", {"history": 5}, {"history": 3}, "history of state: got 5 gradients, expected 3"),
        ("fsg", {}, {"preset": "published"}, "hypernet slow of state: got another: size mismatch for net.A_log"),
        ("fsg", {"recognition": False}, {}, "hypernet slow of state: got another: .*embedding.weight"),
        (
            "multifc",
            {"hidden": 7},
            {"hidden": 8},
            "hypernet meta of state: got another: size mismatch for first.weight",
        ),
    ],
)
def test_state_of_other_options_is_refused(name, before, now, message):
    model, one = made(GRADIENTS[name], **before)
    one.step(loss_of(model))
    with pytest.raises(InputError, match=message):
        made(GRADIENTS[name], **now)[1].load_state_dict(one.state_dict())


def test_state_of_another_optimizer_is_refused():
    model, one = made(GRADIENTS["ste"])
    groups = torch.optim.SGD([{"params": [part]} for part in model.parameters()], lr=0.1)
    with pytest.raises(InputError, match=r"optimizer of state: got another: .*parameter groups"):
        GRADIENTS["ste"](model, groups).load_state_dict(one.state_dict())


def test_half_gradients_are_refused_by_layer():
    model, fsg = made()
    model.half()
    with pytest.raises(InputError, match=r"gradient of layer 0: got torch.float16, expected float32"):
        fsg.step(lambda: nn.functional.cross_entropy(model(X.half()).float(), Y))


def test_autocast_leaves_the_history_in_float32():
    model, fsg = made()
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            fsg.step(loss_of(model))
    assert fsg.queues[0].newest().dtype == torch.float32
    assert float(fsg.queues[0].newest().abs().max()) > 0


def test_misuse_of_the_wrapper_is_named():
    model, fsg = made()
    with pytest.raises(InputError, match="no forward pass in training since the last one"):
        fsg.as_optimizer().step()
    with pytest.raises(InputError, match="GradScaler"):
        fsg.as_optimizer().step(grad_scaler=object())
    with pytest.raises(InputError, match=r"weights of layer 0: got not in the optimizer"):
        FSG(model, torch.optim.SGD([model[4].weight], lr=0.1))
