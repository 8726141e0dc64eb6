"""Protected spans, chats, a budget in tokens, and the sparsity that a folder states."""

from __future__ import annotations

import json

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import FTPConfig, PrunedCache, TokenPruner, datasets, tiny_model
from tokenprune.routers._observation_router import Observation
from typer.testing import CliRunner

from .conftest import assert_rows_generate_as_alone, byte_tokenizer

SCHEDULE = (0.0, 0.25, 0.6, 0.4)
GREEDY = {"max_new_tokens": 3, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


@pytest.mark.parametrize("router", ["observation", "static"])
def test_every_block_keeps_a_protected_span_and_the_budget_stays(model, ids, router):
    pruner = TokenPruner(model, FTPConfig(router=router), SCHEDULE)
    plain = pruner.report(ids)
    kept = pruner.report(ids, spans=[[(3, 8)]])
    assert bool(kept.gates[:, 3:8].all())
    assert not bool(plain.gates[:, 3:8].all())
    assert (kept.kept == plain.kept).all()
    with pruner.protecting([[(3, 8)]]):
        model.generate(ids, **GREEDY)
        assert bool(pruner.last.protected[:, 3:8].all())
        assert int(pruner.last.protected.sum()) == 3 * (5 + 2)
    with pruner:
        model.generate(ids, **GREEDY)
        assert not bool(pruner.last.protected[:, 3:8].any())


def test_spans_count_a_rows_own_tokens_whatever_its_padding(model, ids):
    mask = torch.ones_like(ids)
    mask[1, :9] = 0
    pruner = TokenPruner(model, FTPConfig(), SCHEDULE)
    with pruner.protecting([[(1, 4)], [(2, 5)], []]):
        model.generate(ids, attention_mask=mask, **GREEDY)
    assert pruner.last.protected[0].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 23]
    assert pruner.last.protected[1].nonzero()[:, 0].tolist() == [0, 2, 3, 4, 14]
    assert pruner.last.protected[2].nonzero()[:, 0].tolist() == [0, 23]


@pytest.mark.parametrize(
    ("spans", "says"),
    [([[(5, 3)]], "span in row 0: got tokens 5 to 3"), ([[(0, 99)]], "its 24 tokens"), ([[], []], "of 2 rows")],
)
def test_a_span_that_is_no_part_of_the_prompt_is_named(model, ids, spans, says):
    with pytest.raises(InputError, match=says):
        TokenPruner(model).report(ids, spans=spans)


def test_a_chat_says_where_the_system_prompt_and_the_last_turn_stand():
    tokenizer = byte_tokenizer(bos=False)
    tokenizer.chat_template = TEMPLATE
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"},
             {"role": "assistant", "content": "Two."}, {"role": "user", "content": "Three?"}]  # fmt: skip
    ids, spans = datasets.chat(turns, tokenizer)
    assert datasets.words(ids, tokenizer).endswith("[user] Three?\n[assistant] ")
    assert datasets.words(ids[slice(*spans["system"])], tokenizer) == "[system] Be brief.\n"
    assert datasets.words(ids[slice(*spans["user"])], tokenizer) == "[user] Three?\n"
    assert "system" not in datasets.chat(turns[1:2], tokenizer)[1]
    with pytest.raises(InputError, match="without a chat template"):
        datasets.chat(turns, byte_tokenizer(bos=False))


def test_a_budget_of_tokens_is_kept_on_average(model, ids):
    pruner = TokenPruner(model)
    pruner.set_budget(12, 24)
    assert pruner.report(ids).sparsity == pytest.approx(0.5, abs=0.03)
    pruner.set_budget(100, 24)
    assert pruner.report(ids).sparsity == 0
    with pytest.raises(InputError, match="budget: got 0 tokens"):
        pruner.set_budget(0, 24)


def test_a_saved_folder_states_what_was_measured_and_not_what_was_asked(model, scored, tmp_path):
    pruner = TokenPruner(model, FTPConfig(target_sparsity=0.3))
    pruner.measure(scored)
    pruner.save_pretrained(tmp_path / "p")
    about = json.loads((tmp_path / "p" / "ftp_config.json").read_text())["about"]
    kept = [sum(TokenPruner.from_pretrained(tmp_path / "p", model).report(one[None, :-1]).kept.flatten())
            for one in scored.sequences]  # fmt: skip
    assert about["measured_sparsity"] == pytest.approx(1 - sum(kept) / (6 * 32 * 4), abs=0.03)
    assert about["achieved_sparsity"] == about["measured_sparsity"] != 0.3


@pytest.mark.filterwarnings("ignore:block")  # so sparse a block that the system prompt alone is more than its budget
def test_generate_takes_a_chat_a_system_prompt_and_a_budget(tmp_path):
    from tokenprune.cli import app

    tiny_model(vocab_size=300).save_pretrained(tmp_path / "m")
    tokenizer = byte_tokenizer(bos=False)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(tmp_path / "m")
    from tokenprune import load

    TokenPruner(load(tmp_path / "m")[0]).save_pretrained(tmp_path / "p")
    words = [
        "generate",
        "Tell me more",
        "--pruner",
        str(tmp_path / "p"),
        "--model",
        str(tmp_path / "m"),
        "--tokens",
        "2",
        "--json",
    ]
    found = CliRunner().invoke(app, [*words, "--chat", "--system", "Be brief.", "--keep", "30"])
    said = json.loads(found.stdout)
    assert said["prompt tokens"] == len("[system] Be brief.\n[user] Tell me more\n[assistant] ")
    assert 0.25 < said["skipped"] < 1 - 30 / said["prompt tokens"]  # the sparsest block keeps the system prompt, too
    said = json.loads(CliRunner().invoke(app, [*words, "--chat", "--keep", "20"]).stdout)
    assert said["prompt tokens"] == len("[user] Tell me more\n[assistant] ")
    assert said["skipped"] == pytest.approx(1 - 20 / said["prompt tokens"], abs=0.05)
    assert CliRunner().invoke(app, [*words, "--system", "Be brief."]).exit_code != 0


@torch.no_grad()
def test_a_cache_holds_its_own_budget_whatever_prefill_computes(model, ids):
    window = Observation(window=4)
    pruner = TokenPruner(model, FTPConfig(observation=window, cache_tokens=8), SCHEDULE)
    plain = TokenPruner(model, FTPConfig(observation=window), SCHEDULE)
    assert (pruner.report(ids).kept == plain.report(ids).kept).all()
    token = 2 * 2 * 16 * 4
    assert pruner.report(ids).cost.kv_bytes == pruner.cost([24] * 3).kv_bytes == 3 * 4 * 8 * token
    mask = torch.ones_like(ids)
    mask[1, :19], mask[2, :4] = 0, 0  # rows that keep fewer tokens than the budget, and more
    executor, cache = pruner.executor(), PrunedCache(4)
    executor.prefill(executor.start(ids, mask), cache)
    assert [cache.lengths(block) for block in range(4)] == [[8, 5, 8], [8, 4, 8], [8, 2, 8], [8, 3, 8]]
    assert cache.nbytes == token * (8 * 8 + 5 + 4 + 2 + 3)


@torch.no_grad()
def test_new_tokens_over_a_shrunk_cache_attend_to_what_it_holds(model, ids):
    """One new token by plain attention over the held keys of block 0, and rows alone as in a padded batch."""
    pruner = TokenPruner(model, FTPConfig(target_sparsity=0.0, observation=Observation(window=4), cache_tokens=9))
    executor, cache = pruner.executor(), PrunedCache(4)
    executor.prefill(executor.start(ids[:1], record=True), cache)
    attention = model.model.layers[0]
    whole = attention_weights(model, ids[:1])[:, -4:].amax((0, 1))
    high = [float(whole[max(0, at - 4) : at + 5].max()) for at in range(24)]
    best = sorted(range(1, 20), key=lambda at: (high[at], at), reverse=True)[:4]
    places = sorted([0, *range(20, 24), *best])
    h = attention.input_layernorm(model.model.embed_tokens(ids[:1]))
    values = attention.self_attn.v_proj(h).view(1, 24, 2, 16).transpose(1, 2)
    torch.testing.assert_close(cache.held[0].values, values[:, :, places])
    with pruner:
        assert_rows_generate_as_alone(model, ids, GREEDY)


@torch.no_grad()
def test_a_cache_holds_what_its_own_block_attends_to_however_long_scores_last(model, ids):
    held = []
    for lasting in (True, False):
        window = Observation(window=4, lasting=lasting)
        settings = FTPConfig(target_sparsity=0.0, observation=window, cache_tokens=9)
        executor, cache = TokenPruner(model, settings).executor(), PrunedCache(4)
        executor.prefill(executor.start(ids), cache)
        held.append([one.values for one in cache.held])
    assert all(torch.equal(one, other) for one, other in zip(*held, strict=True))


def attention_weights(model, ids):
    """(heads, L, L) of block 0."""
    eager = tiny_model(seed=1, attn_implementation="eager")
    return eager(ids, output_attentions=True).attentions[0][0]


@pytest.mark.parametrize("settings", [{"router": "static"}, {"cache_tokens": 0}, {"cache_tokens": "8"}])
def test_a_budget_of_the_cache_without_a_window_is_refused(settings):
    with pytest.raises(InputError, match="cache_tokens"):
        FTPConfig(**{"cache_tokens": 8, **settings})
