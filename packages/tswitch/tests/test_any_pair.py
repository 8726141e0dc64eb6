"""Any pair of transformers classes: names, heads and configurations, from random weights and without a flag."""

from __future__ import annotations

import json

import pytest
import torch
import transformers as hf
from ninefold.errors import InputError
from tswitch import Checkpoint, Switch, SwitchBank, compress, export

TEXT = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
DECODER = TEXT | {"num_key_value_heads": 1, "pad_token_id": 0, "head_dim": 8, "max_position_embeddings": 32}
VISION = {"image_size": 16, "patch_size": 8, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "num_labels": 3}
CLIP = VISION | {"num_attention_heads": 2}
CLASSIFY, TOKENS, QUESTIONS = "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"
# name -> (configuration, endings of the bases, endings of the fine-tuned models)
FAMILIES = {
    "Bert": (hf.BertConfig(**TEXT), ("Model", "ForMaskedLM"), (CLASSIFY, TOKENS, QUESTIONS)),
    "Roberta": (hf.RobertaConfig(**TEXT), ("Model", "ForMaskedLM"), (CLASSIFY, TOKENS, QUESTIONS)),
    "Deberta": (
        hf.DebertaConfig(**TEXT, relative_attention=True, pos_att_type="p2c|c2p"),
        ("Model", "ForMaskedLM"),
        (CLASSIFY, TOKENS, QUESTIONS),
    ),
    "DistilBert": (
        hf.DistilBertConfig(vocab_size=50, dim=16, hidden_dim=24, n_layers=2, n_heads=2),
        ("Model", "ForMaskedLM"),
        (CLASSIFY, TOKENS, QUESTIONS),
    ),
    "Electra": (
        hf.ElectraConfig(**TEXT, embedding_size=8),
        ("Model", "ForPreTraining", "ForMaskedLM"),
        (CLASSIFY, TOKENS, QUESTIONS),
    ),
    "ViT": (hf.ViTConfig(**VISION, num_attention_heads=2), ("Model",), ("ForImageClassification",)),
    "Swin": (
        hf.SwinConfig(image_size=16, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=2),
        ("Model", "ForMaskedImageModeling"),
        ("ForImageClassification",),
    ),
    "ConvNext": (hf.ConvNextConfig(**STAGES), ("Model",), ("ForImageClassification",)),
    "CLIP": (
        hf.CLIPConfig(vision_config=CLIP, text_config=TEXT | {"projection_dim": 8}, projection_dim=8),
        ("VisionModel", "Model"),
        ("ForImageClassification",),
    ),
    "GPT2": (
        hf.GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=32, pad_token_id=0),
        ("Model", "LMHeadModel"),
        (CLASSIFY, TOKENS, QUESTIONS),
    ),
    "Llama": (hf.LlamaConfig(**DECODER), ("Model", "ForCausalLM"), (CLASSIFY, TOKENS, QUESTIONS)),
    "Qwen2": (hf.Qwen2Config(**DECODER), ("Model", "ForCausalLM"), (CLASSIFY, TOKENS, QUESTIONS)),
    "Qwen3": (hf.Qwen3Config(**DECODER), ("Model", "ForCausalLM"), (CLASSIFY, TOKENS, QUESTIONS)),
    "Gemma": (hf.GemmaConfig(**DECODER), ("Model", "ForCausalLM"), (CLASSIFY, TOKENS)),
    "T5": (
        hf.T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, eos_token_id=1),
        ("Model", "ForConditionalGeneration"),
        (CLASSIFY, TOKENS, QUESTIONS),
    ),
    "Mixtral": (
        hf.MixtralConfig(**DECODER, num_local_experts=2),
        ("Model", "ForCausalLM"),
        (CLASSIFY, TOKENS, QUESTIONS),
    ),
}
PAIRS = [
    pytest.param(name, base, tuned, id=f"{name}{base}-{tuned}")
    for name, (_, bases, tuneds) in FAMILIES.items()
    for base in bases
    for tuned in tuneds
]


def model_of(name, ending, seed):
    config = json.loads(FAMILIES[name][0].to_json_string())
    config = type(FAMILIES[name][0]).from_dict(config)
    kind = getattr(hf, name + ending)
    config.decoder_start_token_id = 0  # which T5's classes for a task look for
    if kind is hf.CLIPVisionModel:
        config = config.vision_config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(config).eval()


def tuned_from(base, tuned):
    """The fine-tuned model: the base's values, each changed by one number a tensor, so that a switch can be exact."""
    generator = torch.Generator().manual_seed(0)
    own, count = dict(base.state_dict()), 0
    with torch.no_grad():
        for name, value in tuned.state_dict().items():
            inner = name.partition(".")[2]
            found = [other for other in own if name == other or f".{name}".endswith(f".{other}") or
                     f".{other}".endswith(f".{name}") or inner == other.partition(".")[2] != ""]  # fmt: skip
            found = [other for other in found if own[other].shape == value.shape]
            if not found or not value.is_floating_point():
                continue
            signs = torch.randint(-1, 2, value.shape, generator=generator)
            value.copy_(own[max(found, key=lambda other: (other == name, len(other)))] + 0.01 * signs)
            count += 1
    return count


def inputs_of(name):
    if FAMILIES[name][1][-1] in ("ForMaskedImageModeling",) or name in ("ViT", "ConvNext", "CLIP"):
        size = 32 if name == "ConvNext" else 16
        return {"pixel_values": torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))}
    ids = torch.randint(2, 50, (2, 6), generator=torch.Generator().manual_seed(1))
    if name == "T5":
        ids[:, -1] = 1
    return {"input_ids": ids}


def answer(model, name):
    with torch.no_grad():
        output = model(**inputs_of(name))
    return output.start_logits if "start_logits" in output else output.logits


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("name", "base_ending", "ending"), PAIRS)
def test_an_export_answers_as_the_fine_tuned_model(name, base_ending, ending, tmp_path):
    base, tuned = model_of(name, base_ending, 0), model_of(name, ending, 1)
    shared = tuned_from(base, tuned)
    base.save_pretrained(tmp_path / "base")
    tuned.save_pretrained(tmp_path / "tuned")
    switch = compress(tmp_path / "base", tmp_path / "tuned", tmp_path / "switch", alpha=0.0)
    assert len(switch.tensors) >= shared - len(tuned.state_dict()) + len(Checkpoint.open(tmp_path / "tuned").names) - 2
    export(tmp_path / "base", switch, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == [name + ending]
    made, about = type(tuned).from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(about[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), about
    torch.testing.assert_close(answer(made.eval(), name), answer(tuned, name), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(answer(model_of(name, ending, 1), name), answer(tuned, name), atol=1e-3)
    before, after = Checkpoint.open(tmp_path / "base"), Checkpoint.open(tmp_path / "tuned")
    used = {switch.pairing.to_finetuned(key) for key in switch.base_digests} | set(switch.head)
    used |= {switch.pairing.to_finetuned(key) for key in switch.dense}
    assert used == set(after.names)
    accounted = {*switch.base_digests, *switch.dense, *switch.config.get("left_out", ()), *switch.config["skipped"]}
    assert accounted >= set(before.names)
    for key in (*switch.head, *switch.config.get("left_out", ())):
        assert any(key in note or "more" in note for note in switch.notes)


def bert(ending, seed=0, **changes):
    """A small BERT class with values of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return getattr(hf, f"Bert{ending}")(hf.BertConfig(**(TEXT | changes))).eval()


def test_a_bare_base_gives_a_switch_of_its_encoder_whatever_on_mismatch_says():
    base, tuned = bert("Model"), bert(CLASSIFY)
    tuned_from(base, tuned)
    for on_mismatch in ("error", "skip"):
        switch = Switch.from_checkpoints(base, tuned, alpha=0.0, on_mismatch=on_mismatch)
        assert {"encoder.layer.1.output.dense.weight", "pooler.dense.weight"} <= set(switch.tensors)
        assert set(switch.head) == {"classifier.weight", "classifier.bias"}
        assert switch.notes == [("kept whole (the task's head): 2 tensors, 34 parameters: "
                                "classifier.weight, classifier.bias")]  # fmt: skip


def test_a_switch_of_nothing_is_refused():
    other = {f"elsewhere.{name}x": value for name, value in bert("Model").state_dict().items()}
    for on_mismatch in ("error", "skip", "dense"):
        with pytest.raises(InputError, match="no tensor in common with its base"):
            Switch.from_checkpoints(bert("Model"), other, on_mismatch=on_mismatch, alpha=0.6)


def test_a_layer_that_is_missing_is_refused_in_another_class_too():
    tuned = bert(CLASSIFY)
    whole = Checkpoint.of(tuned)
    part = {n: whole.read(n) for n in whole.names if ".layer.1." not in n}
    with pytest.raises(InputError, match=r"missing in the fine-tuned model: encoder.layer.1.attention"):
        Switch.from_checkpoints(bert("Model"), Checkpoint.of(part), alpha=0.6)


def test_what_is_skipped_is_said():
    base, tuned = {"a": torch.zeros(3), "b": torch.zeros(2, 2)}, {"a": torch.ones(3), "c": torch.ones(4)}
    switch = Switch.from_checkpoints(base, tuned, on_mismatch="skip", alpha=0.6)
    assert switch.notes == [("left as in the base, or dropped where the base has none (on_mismatch): 2 tensors, "
                            "8 parameters: b, c")]  # fmt: skip


@pytest.mark.parametrize("size", [44, 56])
def test_vocabularies_of_other_sizes_are_exported_as_the_fine_tuned_model_has_them(size, tmp_path):
    base, tuned = bert("Model"), bert(CLASSIFY, vocab_size=size)
    tuned_from(base, tuned)
    own, words = base.embeddings.word_embeddings.weight, tuned.bert.embeddings.word_embeddings.weight
    with torch.no_grad():
        words[:50] = own[:size] + 0.01
    base.save_pretrained(tmp_path / "base")
    tuned.save_pretrained(tmp_path / "tuned")
    switch = compress(tmp_path / "base", tmp_path / "tuned", tmp_path / "switch", alpha=0.0)
    assert any(f"({size - 50:+} rows)" in note and f"{16 * abs(size - 50)} parameters" in note for note in switch.notes)
    export(tmp_path / "base", switch, tmp_path / "out", max_shard_size="4KB")
    made = type(tuned).from_pretrained(tmp_path / "out")
    assert made.config.vocab_size == size
    ids = {"input_ids": torch.randint(0, min(size, 50), (2, 6))}
    torch.testing.assert_close(made(**ids).logits, tuned(**ids).logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(made.bert.embeddings.word_embeddings.weight, words, atol=1e-6, rtol=0)


def test_a_live_model_of_the_fine_tuned_class_takes_the_switch():
    base, tuned = model_of("Llama", "ForCausalLM", 0), model_of("Llama", QUESTIONS, 1)
    tuned_from(base, tuned)
    switch = Switch.from_checkpoints(base, tuned, alpha=0.0)
    live = model_of("Llama", QUESTIONS, 2)
    live.transformer.load_state_dict(base.model.state_dict())
    bank = SwitchBank(live)
    bank.add("questions", switch)
    with bank.use("questions"):
        torch.testing.assert_close(answer(live, "Llama"), answer(tuned, "Llama"), atol=1e-4, rtol=1e-4)


def test_a_live_mixture_of_experts_pairs_with_its_file(tmp_path):
    base, tuned = model_of("Mixtral", "Model", 0), model_of("Mixtral", CLASSIFY, 1)
    tuned_from(base, tuned)
    tuned.save_pretrained(tmp_path / "tuned")
    switch = Switch.from_checkpoints(base, tmp_path / "tuned", alpha=0.0)
    assert "layers.1.block_sparse_moe.experts.1.w3.weight" in switch.tensors
    export(base, switch, tmp_path / "out")
    made = type(tuned).from_pretrained(tmp_path / "out").eval()
    torch.testing.assert_close(answer(made, "Mixtral"), answer(tuned, "Mixtral"), atol=1e-4, rtol=1e-4)
