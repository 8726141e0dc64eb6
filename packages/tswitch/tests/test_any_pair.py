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
            found = [other for other in own if name == other or f".{name}".endswith(f".{other}") or
                     f".{other}".endswith(f".{name}")]  # fmt: skip
            found = [other for other in found if own[other].shape == value.shape]
            if not found or not value.is_floating_point():
                continue
            signs = torch.randint(-1, 2, value.shape, generator=generator)
            value.copy_(own[max(found, key=len)] + 0.01 * signs)
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
