"""The pruner under an unchanged model: generate, context, refusals, disk."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import FTPConfig, Layout, PrunedCache, Scored, TokenPruner, tiny_model, windows
from tokenprune.executor._attention import ours
from tokenprune.executor._cache_name import CACHE_NAME
from tokenprune.ftp import PublishedConfig, PublishedPruner
from transformers.cache_utils import DynamicCache

from .conftest import FAMILIES, assert_rows_generate_as_alone

pytestmark = pytest.mark.filterwarnings("ignore:logits of positions")  # where a test reads the others with care
SCHEDULE = (0.0, 0.25, 0.6, 0.4)
GREEDY = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(model, before):
    return all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_generate_works_for_each_family_and_nothing_skipped_gives_the_same_tokens(family, ids):
    dense = tiny_model(family, seed=2)
    own = dense.generate(ids, **GREEDY)
    with TokenPruner(dense, FTPConfig(target_sparsity=0.0)):
        assert torch.equal(dense.generate(ids, **GREEDY), own)
    with TokenPruner(dense, FTPConfig(target_sparsity=0.5)):
        assert dense.generate(ids, **GREEDY).shape == own.shape
    assert torch.equal(dense.generate(ids, **GREEDY), own)


@pytest.mark.parametrize("kind", [TokenPruner, PublishedPruner])
def test_padded_batch_generates_what_each_prompt_does_alone(model, ids, kind):
    pruner = kind(model, None, SCHEDULE)
    with pruner:
        assert_rows_generate_as_alone(model, ids, GREEDY)


def test_sampling_and_beam_search_run(model, ids):
    with TokenPruner(model, FTPConfig(router="static"), SCHEDULE) as pruner:
        torch.manual_seed(0)
        sampled = model.generate(ids, **{**GREEDY, "do_sample": True, "top_k": 20})
        beams = model.generate(ids, num_beams=3, **GREEDY)
    assert sampled.shape == beams.shape == (3, 30)
    assert pruner.last.kept[2] == [10] * 9  # each beam is a row: 24 - floor(0.6 * 24)


def test_beam_search_of_a_pruner_that_skips_nothing_is_the_models(model, ids):
    mask = torch.ones_like(ids)
    mask[1, :9] = 0
    own = model.generate(ids, attention_mask=mask, num_beams=3, **GREEDY)
    with TokenPruner(model, FTPConfig(target_sparsity=0.0)):
        assert torch.equal(model.generate(ids, attention_mask=mask, num_beams=3, **GREEDY), own)


def test_model_is_bit_equal_after_the_context_also_after_an_exception(model, ids):
    before, own = weights(model), model(ids).logits
    implementation = model.config._attn_implementation
    with pytest.raises(RuntimeError, match="mine"), TokenPruner(model, FTPConfig(target_sparsity=0.5)):
        model(ids)
        raise RuntimeError("mine")
    with pytest.raises(InputError), TokenPruner(model, FTPConfig()):
        model(ids, attention_mask=torch.zeros_like(ids))
    assert same(model, before)
    assert torch.equal(model(ids).logits, own)
    assert model.config._attn_implementation == implementation
    assert "forward" not in model.model.__dict__


def test_dense_logits_at_no_sparsity_through_the_models_own_forward(model, ids):
    own = model(ids).logits
    with TokenPruner(model, FTPConfig(target_sparsity=0.0)):
        torch.testing.assert_close(model(ids).logits, own, rtol=0, atol=1e-5)


def test_logits_asked_for_are_protected(model, ids):
    pruner = TokenPruner(model, FTPConfig(router="static", target_sparsity=0.5))
    with pruner:
        model(ids, logits_to_keep=7)
        assert pruner.last.protected.sum(1).tolist() == [8] * 3
        model(ids, logits_to_keep=torch.tensor([3, 20]))
        assert pruner.last.protected.nonzero()[:4, 1].tolist() == [0, 3, 20, 23]


def test_positions_that_are_asked_for_come_beside_the_last_ones(model, ids):
    mask = torch.ones_like(ids)
    mask[1, -4:] = 0
    pruner = TokenPruner(model, FTPConfig(router="static", target_sparsity=0.5, protect=3))
    with pruner:
        model(ids, attention_mask=mask, logits_to_keep=torch.tensor([5]))
    assert pruner.last.protected[0].nonzero()[:, 0].tolist() == [0, 5, 21, 22, 23]
    assert pruner.last.protected[1].nonzero()[:, 0].tolist() == [0, 5, 17, 18, 19]


def test_positions_that_a_loss_is_taken_of_are_protected(model, ids):
    """A loss read at tokens that some block skipped would be that of states which missed it."""
    labels = torch.full_like(ids, -100)
    labels[:, 12:15] = ids[:, 12:15]
    pruner = TokenPruner(model, FTPConfig(router="static", target_sparsity=0.3))
    with pruner:
        loss = model(ids, labels=labels).loss
    assert pruner.last.protected[0].nonzero()[:, 0].tolist() == [0, 11, 12, 13, 23]
    read, executor = torch.zeros_like(ids, dtype=torch.bool), pruner.executor()
    read[:, 11:14] = True
    with torch.no_grad():
        out = executor.prefill(executor.start(ids, protect=read)).x.view(3, 24, -1)[:, 11:14]
        logits = executor.layout.logits(out)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 12:15].flatten()))


def test_more_protected_than_the_budget_warns_and_keeps_them(model, ids):
    pruner = TokenPruner(model, FTPConfig(router="static", target_sparsity=0.9, protect=10))
    with pruner, pytest.warns(UserWarning, match="more are protected"):
        model(ids)
    assert pruner.last.kept[0] == [11] * 3


def test_attaching_twice_is_refused(model):
    first, second = TokenPruner(model, FTPConfig()), TokenPruner(model, FTPConfig())
    with first:
        with pytest.raises(InputError, match="attached to it already"):
            second.attach()
        with pytest.raises(InputError, match="attached to it already"):
            first.attach()
    with pytest.raises(InputError, match="not attached"):
        first.detach()


def test_a_second_pruner_is_told_of_the_first(model):
    with TokenPruner(model, FTPConfig()), pytest.raises(InputError, match="attached to it already"):
        TokenPruner(model, FTPConfig())


@pytest.mark.parametrize("masked", [True, False])
def test_a_loop_may_give_its_own_cache_at_every_step(model, ids, masked):
    """transformers fills the object it is given, and its documented loops count on it."""
    pruner = TokenPruner(model, FTPConfig(router="static"), SCHEDULE)
    with pruner, torch.no_grad():
        expected = model.generate(ids[:1], attention_mask=torch.ones(1, 24), **GREEDY)
        for _ in range(2):  # a second prompt is a prompt, with a new cache
            cache, now, text = DynamicCache(config=model.config), ids[:1], ids[:1]
            for _ in range(6):
                more = {"attention_mask": torch.ones_like(text)} if masked else {}
                logits = model(now, use_cache=True, **{CACHE_NAME: cache}, **more).logits
                now = logits[:, -1:].argmax(-1)
                text = torch.cat([text, now], 1)
            assert torch.equal(text, expected)
        first = model(ids[:1], attention_mask=torch.ones(1, 24), **{CACHE_NAME: cache}).logits
        assert torch.equal(first, model(ids[:1]).logits)


def test_caches_do_not_cross(model, ids):
    pruner = TokenPruner(model, FTPConfig(router="static"), SCHEDULE)
    with pruner:
        pruned = model(ids)[CACHE_NAME]
        assert isinstance(pruned, PrunedCache)
        with pytest.raises(InputError, match="got 1 tokens to take back, expected at most 0"):
            pruned.crop(-1)  # of the prompt; decoded tokens are taken back for assisted decoding
    with pytest.raises(InputError, match="without its pruner"):
        model(ids[:, :1], **{CACHE_NAME: pruned})


def test_right_padding_is_refused_once_tokens_follow(model, ids):
    mask = torch.ones_like(ids)
    mask[1, -3:] = 0
    with TokenPruner(model, FTPConfig()):
        cache = model(ids, attention_mask=mask)[CACHE_NAME]
        longer = torch.cat([mask, torch.ones(3, 1, dtype=torch.long)], 1)
        with pytest.raises(InputError, match="padding between real tokens"):
            model(ids[:, :1], attention_mask=longer, **{CACHE_NAME: cache})


def test_hidden_states_are_refused(model, ids):
    with TokenPruner(model, FTPConfig()), pytest.raises(InputError, match="output_hidden_states"):
        model(ids, output_hidden_states=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_sparsity": 0.99}, "target_sparsity: got 0.99"),
        ({"target_sparsity": -0.1}, "target_sparsity"),
        ({"target_sparsity": float("nan")}, "target_sparsity: got nan"),
        ({"router": "magic"}, "router: got 'magic'"),
        ({"protect": 0}, "protect: got 0"),
        ({"protect": 2**40}, "protect: got 1099511627776"),
        ({"router": "static", "observation": {"window": 3}}, "observation: got router='static'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        FTPConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"router": "observation"}, "router: got 'observation', expected one of dynamic, static"),
        ({"score_window": 0}, "score_window: got 0"),
        ({"hidden": 10**13}, "hidden: got 10000000000000, expected a whole number from 1 to 4096"),
        ({"router_start": ["static"]}, r"router_start: got \['static'\]"),
        ({"cache_tokens": 8}, "cache_tokens: got router='dynamic'"),
        ({"seed": -1}, "seed: got -1"),
    ],
)
def test_bad_settings_of_the_published_method_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        PublishedConfig(**settings)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [([0.1] * 3, "got 3 entries, expected one for each of the 4"), ([0.1, 0.1, float("nan"), 0], "block 2: got nan"),
     ([0.1, 1.0, 0, 0], "block 1: got 1.0")],
)  # fmt: skip
def test_bad_schedules_are_named(model, schedule, message):
    with pytest.raises(InputError, match=message):
        TokenPruner(model, FTPConfig(), schedule)


def other_models():
    import transformers as t

    small = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    gpt2 = t.GPT2LMHeadModel(t.GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2))
    neox = t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**small, intermediate_size=64))
    mamba = t.MambaForCausalLM(t.MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, state_size=4))
    return [gpt2, neox, mamba, torch.nn.Linear(2, 2)]


def test_other_kinds_of_model_are_refused_by_what_they_lack():
    for other in other_models():
        with pytest.raises(InputError, match="model: got"):
            TokenPruner(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda block: setattr(block, "cross_attn", torch.nn.Identity()), "block 2 has `cross_attn`"),
        (lambda block: setattr(block, "mixer", torch.nn.Identity()), "block 2 has `mixer`"),
        (lambda block: delattr(block, "self_attn"), r"block 2 \(LlamaDecoderLayer\) has no `self_attn`"),
        (lambda block: delattr(block, "mlp"), "cannot be driven one by one.*no attribute 'mlp'"),
        (lambda block: setattr(block, "forward", lambda x, mask: x), "block 2 does not take `position_embeddings`"),
    ],
)  # fmt: skip
def test_a_block_of_another_kind_is_refused_by_its_number(change, message):
    odd = tiny_model(seed=4)
    change(odd.model.layers[2])
    with pytest.raises(InputError, match=message):
        TokenPruner(odd)


def test_a_block_that_computes_something_else_is_refused():
    odd = tiny_model(seed=4)
    inner = odd.model.norm.forward
    calls = []
    odd.model.norm.forward = lambda x: inner(x) * (1 + (len(calls) == 0) * (calls.append(1) or 1))
    with pytest.raises(InputError, match="logits differ"):
        TokenPruner(odd)


def test_a_model_pruned_by_others_is_refused():
    cut = tiny_model(seed=4)
    del cut.model.layers[1]
    with pytest.raises(InputError, match="3 blocks where its config says 4"):
        Layout.of(cut)


def test_threads_in_one_attached_model_give_what_each_gives_alone_and_leave_it_whole(model, ids):
    own, implementation = model(ids).logits, model.config._attn_implementation
    with TokenPruner(model, FTPConfig(router="static"), SCHEDULE) as pruner:
        alone = {keep: model(ids, logits_to_keep=keep).logits for keep in (1, 6)}
        found, barrier = {1: [], 6: []}, threading.Barrier(2)

        def work(keep):
            for _ in range(12):
                barrier.wait()
                found[keep].append(model(ids, logits_to_keep=keep).logits)

        threads = [threading.Thread(target=work, args=(keep,)) for keep in found]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert pruner.last is not None
    for keep, results in found.items():
        assert len(results) == 12
        for one in results:
            assert torch.equal(one, alone[keep])
    assert model.config._attn_implementation == implementation
    assert torch.equal(model(ids).logits, own)


def test_threads_that_overlap_in_any_order_leave_the_models_own_attention(model):
    implementation = model.config._attn_implementation
    for leave in ((0, 1), (1, 0)):
        inside = [ours(model.config), ours(model.config)]
        for one in inside:
            one.__enter__()
        inside[leave[0]].__exit__(None, None, None)
        assert model.config._attn_implementation == "tokenprune"
        inside[leave[1]].__exit__(None, None, None)
        assert model.config._attn_implementation == implementation


def test_a_plain_forward_says_which_logits_are_of_skipped_tokens(model, ids):
    with TokenPruner(model, FTPConfig(router="static", protect=2), (0.0, 0.25, 0.0, 0.0)):
        with pytest.warns(
            UserWarning, match=r"logits of positions 1-6 of row 0 and in 2 rows more .* last 2 \(logits_to"
        ):
            model(ids)
        model(ids)  # said once
    mask = torch.ones_like(ids)
    mask[1, :9] = 0
    with warnings.catch_warnings(), TokenPruner(model, FTPConfig(router="static"), (0.0, 0.25, 0.0, 0.0)):
        warnings.simplefilter("error")
        model(ids, attention_mask=mask, logits_to_keep=1)
        model(ids, attention_mask=mask, labels=torch.where(torch.arange(24) < 21, -100, ids))
        model.generate(ids, **GREEDY)
    with TokenPruner(model, FTPConfig(target_sparsity=0.0)):
        model(ids)


@pytest.mark.parametrize(
    "wrong", ["text", [[1, 2, 3]], torch.rand(1, 8), torch.ones(2, 3, 4).long(), torch.ones(4).long()]
)
def test_text_lists_and_floats_for_ids_are_refused(model, wrong):
    pruner = TokenPruner(model, FTPConfig(), SCHEDULE)
    with pytest.raises(InputError, match=r"input_ids: got .*, expected a tensor of token ids, \(rows, tokens\)"):
        pruner.report(wrong)
    with pruner, pytest.raises(InputError, match="input_ids: got"):
        model(wrong)


@pytest.mark.parametrize("wrong", ["0.3", None, True, 30, float("nan"), [0.3]])
def test_text_and_percentages_for_shares_are_refused(model, wrong):
    with pytest.raises(InputError, match=r"target_sparsity: got .*, expected a share of tokens in \[0, 0.95\]"):
        FTPConfig(target_sparsity=wrong)
    with pytest.raises(InputError, match="target_sparsity: got"):
        TokenPruner(model, FTPConfig(), SCHEDULE).set_sparsity(wrong)
    with pytest.raises(InputError, match="schedule in block 1: got"):
        TokenPruner(model, FTPConfig(), [0.1, wrong, 0.2, 0.3])
    with pytest.raises(InputError, match="schedule: got 'abcd', expected one for each of the 4 blocks"):
        TokenPruner(model, FTPConfig(), "abcd")


def test_text_for_sequences_and_counts_is_refused():
    with pytest.raises(InputError, match="calibration, sequence 0: got str 'text', expected a tensor of token ids"):
        Scored(["text"], [1])
    with pytest.raises(InputError, match="calibration in sequence 0: got '1' scored of 5 tokens"):
        Scored([torch.arange(5)], ["1"])
    with pytest.raises(InputError, match="text: got str 'some text', expected a tensor of token ids"):
        windows("some text", length=3, scored=1, count=1)
