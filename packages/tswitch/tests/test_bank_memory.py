"""Where weights may lie: dtypes, devices, strides, offloaded, tied, wrapped, and what a task costs."""

import pytest
import torch
from ninefold.errors import InputError
from torch import nn
from tswitch import Switch, SwitchBank

from .small_net import Net, dense, digests, finetuned, make_bank, make_base


@pytest.fixture
def base():
    return make_base()


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
    bank.add("a", Switch.from_checkpoints(base, tuned, alpha=0.6))
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
    switch = Switch.from_checkpoints(plain, finetuned(plain, 1), alpha=0.6)
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
    switch = Switch.from_checkpoints(base, finetuned(base, 1), alpha=0.6)
    accelerate.disk_offload(base, tmp_path, execution_device="cpu")
    with pytest.raises(InputError, match=r"weight.*on disk"):
        SwitchBank(base).add("a", switch)


def test_meta_model_is_refused_by_name():
    with torch.device("meta"):
        empty = Net()
    switch = Switch.from_checkpoints(make_base(), finetuned(make_base(), 1), alpha=0.6)
    with pytest.raises(InputError, match="meta tensor"):
        SwitchBank(empty).add("a", switch)


class Wrapped(nn.Module):
    """A model below another one, as an encoder is below its classifier."""

    def __init__(self, inner):
        super().__init__()
        self.encoder = inner
        self.other = nn.Linear(2, 2)

    def forward(self, tokens):
        return self.encoder(tokens)


def test_names_are_found_below_the_one_module_that_holds_them_all(base):
    switch = Switch.from_checkpoints(base, finetuned(base, 1), exclude=("classifier*", "frozen*"), alpha=0.6)
    reference, _ = make_bank(make_base(), count=1)
    bank = SwitchBank(Wrapped(base))
    bank.add("a", switch, head=lambda output: output)
    with bank.use("a"), reference.use("t1"):
        assert base.conv.weight.norm() != make_base().conv.weight.norm()
    twice = Wrapped(base)
    twice.second = make_base()
    with pytest.raises(InputError, match=r"2 parts that hold all.*ambiguous"):
        SwitchBank(twice).add("a", switch)


def test_two_parts_that_fit_are_said_to_be_ambiguous(base):
    class Pair(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.document = base, make_base()

    switch = Switch.from_checkpoints(base, finetuned(base, 1), alpha=0.6)
    pair = Pair()
    with pytest.raises(InputError, match=r"2 parts that hold all tensors of the switch: document, query.*ambiguous"):
        SwitchBank(pair).add("a", switch, head=lambda output: output)
    bank = SwitchBank(pair.query)
    bank.add("a", switch)
    pair.document = pair.query  # one part under two names
    SwitchBank(pair).add("a", switch, head=lambda output: output)


def test_names_are_found_without_the_prefix_of_transformers(base):
    outer = Wrapped(base)
    tuned = Wrapped(finetuned(base, 1, classes=3))
    tuned.load_state_dict(tuned.state_dict() | {k: v for k, v in outer.state_dict().items() if k.startswith("other")})
    switch = Switch.from_checkpoints(outer, tuned, exclude=("*classifier*",), alpha=0.6)
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
    switch = Switch.from_checkpoints(state, tuned, alpha=0.6)
    with pytest.raises(InputError, match=r"embed\.weight.*ties"):
        SwitchBank(base).add("a", switch)
    tuned["decoder.weight"] = tuned["embed.weight"]
    SwitchBank(base).add(
        "a", Switch.from_checkpoints(state, tuned | {"decoder.weight": tuned["embed.weight"].clone()}, alpha=0.6)
    )
