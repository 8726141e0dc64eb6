"""The lm-eval model type, against the model itself, under a stand-in for the two things it takes from lm-eval."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import types
from types import SimpleNamespace

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import FTPConfig, TokenPruner, tiny_model
from tokenprune.executor._cache_name import CACHE_NAME

from .conftest import byte_tokenizer


@pytest.fixture
def module(monkeypatch):
    """`tokenprune.lm_eval`, imported beside a stand-in for lm-eval."""
    registered = {}

    class LM:
        def __init__(self):
            self.cache_hook = SimpleNamespace(add_partial=lambda *_: None)

    def register_model(name):
        return lambda kind: registered.setdefault(name, kind)

    parts = {"lm_eval": {}, "lm_eval.api": {}, "lm_eval.api.model": {"LM": LM},
             "lm_eval.api.registry": {"register_model": register_model}}  # fmt: skip
    for name, content in parts.items():
        made = types.ModuleType(name)
        made.__dict__.update(content)
        made.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, made)
    monkeypatch.delitem(sys.modules, "tokenprune.lm_eval", raising=False)
    found = importlib.import_module("tokenprune.lm_eval")
    assert registered == {"tokenprune": found.TokenPruneLM}
    yield found
    sys.modules.pop("tokenprune.lm_eval", None)


def asked(*args):
    return SimpleNamespace(args=args)


def ids_of(text):
    return torch.tensor([list(text.encode())])


@torch.no_grad()
def logprobs(model, ids):
    return model(ids).logits[0].log_softmax(-1)


@pytest.fixture
def folder(tmp_path):
    TokenPruner(tiny_model(), FTPConfig(router="static"), (0.0, 0.5, 0.6, 0.5)).save_pretrained(tmp_path / "p")
    return str(tmp_path / "p")


def test_dense_likelihoods_are_the_models_and_keep_their_order(module):
    ours, model = module.TokenPruneLM(pretrained="tiny", batch_size="auto"), tiny_model()
    pairs = [("What is it?", " a cat"), ("A much longer question, asked first?", " b"), ("So", " it goes on")]
    found = ours.loglikelihood([asked(*pair) for pair in pairs])
    for (context, continuation), (value, greedy) in zip(pairs, found, strict=True):
        ids = ids_of(context + continuation)
        rows = logprobs(model, ids)[len(context) - 1 : -1]
        expected = rows.gather(1, ids[0, len(context) :, None]).sum()
        assert value == pytest.approx(float(expected), abs=1e-4)
        assert greedy == bool((rows.argmax(-1) == ids[0, len(context) :]).all())


def test_greedy_is_told_spaces_move_and_nothing_is_certain(module):
    ours, model = module.TokenPruneLM(pretrained="tiny"), tiny_model()
    best = next(chr(int(logprobs(model, ids_of(text))[-1].argmax())) for text in ["abc"])
    said = best.encode("latin-1").decode("latin-1")
    if len(said.encode()) == 1:
        assert ours.loglikelihood([asked("abc", said)])[0][1]
    one, other = ours.loglikelihood([asked("abc ", "def"), asked("abc", " def")])
    assert one == other
    assert ours.loglikelihood([asked("abc", "")]) == [(0.0, True)]
    (first,) = ours.loglikelihood([asked("", "x")])
    assert first[0] == pytest.approx(float(logprobs(model, torch.tensor([[0]]))[0, ord("x")]), abs=1e-4)


def test_pruned_likelihoods_are_the_executors(module, folder):
    ours, dense = module.TokenPruneLM(pretrained="tiny", pruner=folder), module.TokenPruneLM(pretrained="tiny")
    request = asked("A question that is long enough to be pruned, is it not?", " yes")
    ((value, _),), ((other, _),) = ours.loglikelihood([request]), dense.loglikelihood([request])
    ids = ids_of("".join(request.args))
    expected = 0.0
    with torch.no_grad(), ours.pruner:  # the context alone is routed, the answer decoded token by token
        out = ours.model(ids[:, :-4], logits_to_keep=1, use_cache=True)
        for token in ids[0, -4:]:
            expected += float(out.logits[0, -1].log_softmax(-1)[token])
            out = ours.model(token[None, None], use_cache=True, **{CACHE_NAME: out[CACHE_NAME]})
    assert value == pytest.approx(expected, abs=1e-4)
    assert value != pytest.approx(other, abs=1e-4)


def test_a_sparsity_needs_no_folder_and_choices_read_their_context_once(module, folder, monkeypatch):
    ours = module.TokenPruneLM(pretrained="tiny", sparsity=0.5, batch_size=2)
    context, started = "A question that is long enough to be pruned, is it not?", []
    kind = type(ours.executor)  # the pruner makes one for its present settings
    start = kind.start
    monkeypatch.setattr(kind, "start", lambda self, ids, *a, **m: started.append(len(ids)) or start(self, ids, *a, **m))
    requests = [asked(context, one) for one in (" yes", " no", " perhaps")] + [
        asked("Another one, of its own?", " yes")
    ]
    found = ours.loglikelihood(requests)
    assert started == [1, 1, 1]  # two choices, the third, the other question
    assert found == [pytest.approx(ours.loglikelihood([one])[0], abs=1e-4) for one in requests]
    dense = module.TokenPruneLM(pretrained="tiny").loglikelihood(requests[:1])
    assert found[0][0] != pytest.approx(dense[0][0], abs=1e-4)
    with pytest.raises(InputError, match=r"sparsity: got 0\.5, expected none beside pruner"):
        module.TokenPruneLM(pretrained="tiny", pruner=folder, sparsity=0.5)


def test_rolling_scores_each_token_once_with_all_that_fits_before_it(module):
    ours, model = module.TokenPruneLM(pretrained="tiny", max_length=12, rolling=5), tiny_model()
    text = "Before we proceed any further, hear me."
    whole = torch.cat([torch.tensor([[0]]), ids_of(text)], 1)
    expected = 0.0
    for start in range(0, len(text), 5):
        end = min(start + 5, len(text))
        first = max(0, end - 12)
        rows = logprobs(model, whole[:, first:end])[-(end - start) :]
        expected += float(rows.gather(1, whole[0, start + 1 : end + 1, None]).sum())
    assert ours.loglikelihood_rolling([asked(text)]) == [pytest.approx(expected, abs=1e-3)]


def test_generation_stops_and_leaves_the_model_alone(module, folder):
    ours, model = module.TokenPruneLM(pretrained="tiny", pruner=folder), tiny_model()
    context = "Before we proceed any further, hear me speak."
    (whole,) = ours.generate_until([asked(context, {"max_gen_toks": 12, "until": []})])
    with TokenPruner.from_pretrained(folder, model):
        out = model.generate(ids_of(context), max_new_tokens=12, do_sample=False, pad_token_id=0)[0, len(context) :]
    assert whole == bytes(out.tolist()).decode("latin-1")
    (cut,) = ours.generate_until([asked(context, {"max_gen_toks": 12, "until": whole[4]})])
    assert cut == whole[: whole.find(whole[4])]
    assert "forward" not in ours.model.model.__dict__


def test_long_contexts_lose_their_beginning_and_bad_settings_are_named(module):
    ours = module.TokenPruneLM(pretrained="tiny", max_length=16, rolling=4)
    long = "x" * 40 + "the end of it"
    assert ours.loglikelihood([asked(long, " z")]) == ours.loglikelihood([asked(long[-15:], " z")])
    with pytest.raises(InputError, match="continuation: got 30 tokens, expected at most 16"):
        ours.loglikelihood([asked("a", "b" * 30)])
    with pytest.raises(InputError, match="max_gen_toks: got 20"):
        ours.generate_until([asked("a", {"max_gen_toks": 20})])
    with pytest.raises(InputError, match="rolling=0"):
        module.TokenPruneLM(pretrained="tiny", rolling=0)
    with pytest.raises(InputError, match="no chat template"):
        ours.apply_chat_template([{"role": "user", "content": "x"}])


def test_arguments_that_it_does_not_know_are_named_and_those_of_lm_eval_itself_are_not(module):
    with pytest.raises(InputError, match=r"model_args: got prunner, revision, expected .*pretrained, pruner"):
        module.TokenPruneLM(pretrained="tiny", prunner="out/pruner", revision="main")
    module.TokenPruneLM(pretrained="tiny", max_batch_size=4, trust_remote_code=True)


def test_dtype_is_that_of_the_weights(module, tmp_path):
    tiny_model().save_pretrained(tmp_path / "m")
    ours = module.TokenPruneLM(pretrained=str(tmp_path / "m"), dtype="bfloat16")
    assert {one.dtype for one in ours.model.parameters()} == {torch.bfloat16}
    for wrong in ("bfloat17", "nn"):
        with pytest.raises(InputError, match=f"dtype: got '{wrong}'"):
            module.TokenPruneLM(pretrained=str(tmp_path / "m"), dtype=wrong)


@pytest.fixture
def begun(module, tmp_path):
    """On a model whose tokenizer puts a BOS before each text, with room for 16 tokens."""
    tiny_model(vocab_size=300).save_pretrained(tmp_path / "m")
    byte_tokenizer(bos=True).save_pretrained(tmp_path / "m")
    return module.TokenPruneLM(pretrained=str(tmp_path / "m"), max_length=16, rolling=4)


def test_each_context_and_window_begins_with_one_bos_however_long(begun):
    model, tokenizer = begun.model, begun.tokenizer

    def likelihood(context, continuation):
        ids = tokenizer(context + continuation, return_tensors="pt")["input_ids"]
        count = len(continuation)
        with torch.no_grad():
            return float(logprobs(model, ids)[-count - 1 : -1].gather(1, ids[0, -count:, None]).sum())

    pairs = [("So it", " is"), ("<s>So it", " is"), ("x" * 40 + "the end of", " it"), ("", "is")]
    expected = [likelihood(*pair) for pair in (pairs[0], pairs[0], ("xxxthe end of", " it"), pairs[3])]
    found = begun.loglikelihood([asked(*pair) for pair in pairs])
    assert [value for value, _ in found] == pytest.approx(expected, abs=1e-4)
    text = "Before we proceed any further"
    steps = [(text[max(0, end - 16) : start], text[start:end])
             for start in range(0, len(text), 4) for end in [min(start + 4, len(text))]]  # fmt: skip
    assert begun.loglikelihood_rolling([asked(text)]) == [
        pytest.approx(sum(likelihood(*one) for one in steps), abs=1e-3)
    ]


def test_generation_begins_with_one_bos_however_long_the_context(begun, monkeypatch):
    seen = []
    generate = begun.model.generate
    monkeypatch.setattr(
        begun.model, "generate", lambda ids, **more: seen.append(ids[0].tolist()) or generate(ids, **more)
    )
    begun.generate_until([asked(text, {"max_gen_toks": 4}) for text in ("So", "<s>So", "x" * 40, "")])
    whole = begun.tokenizer("So")["input_ids"]
    assert seen == [whole, whole, begun.tokenizer("x" * 11)["input_ids"], [256]]


def test_without_lm_eval_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "tokenprune.lm_eval", raising=False)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "lm_eval" else find(name, *a))
    with pytest.raises(InputError, match="pip install lm-eval"):
        importlib.import_module("tokenprune.lm_eval")


def test_lm_eval_finds_it_by_entry_point():
    (point,) = importlib.metadata.entry_points(group="lm_eval.models", name="tokenprune")
    assert point.value == "tokenprune.lm_eval:TokenPruneLM"
