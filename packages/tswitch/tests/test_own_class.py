"""Every verb runs the class that config.json names: thirty families with tiny weights, against transformers itself."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
import transformers as hf
from ninefold.errors import InputError
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from tswitch import AutoSwitch, Switch, SwitchBank, TextBank, export
from tswitch.datasets._text_data import Split, TextTask
from tswitch.evaluation._facts import accuracy_on_and_off
from tswitch.evaluation._sweep import sweep
from tswitch.models._models import LENGTH_KEY, classes_of

WORDS = ["[PAD]", "[EOS]", "[CLS]", "[UNK]", *(f"w{index}" for index in range(44))]
UNKNOWN = {"unk_token": "[UNK]"}
SPECIAL = {"pad_token": "[PAD]", "eos_token": "[EOS]", "cls_token": "[CLS]"}
TEXTS = ("w1 w2 w3", "w4 w5", "w6 w7 w8 w9 w10", "w11", "w2 w12 w13", "w40 w41 w3 w9 w10 w11 w20")
LABELS = np.array([0, 1, 2, 0, 1, 2])
TASK = TextTask("mine", ("0", "1", "2"), *(Split(TEXTS, LABELS) for _ in range(3)))
TEXT = {"vocab_size": 48, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
PADDED = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
LLAMA = TEXT | PADDED | {"num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64}
BART = {"vocab_size": 48, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, **PADDED,
        "decoder_start_token_id": 1, "forced_eos_token_id": None}  # fmt: skip
CONFIGS = {
    "Bert": hf.BertConfig(**TEXT),
    "Roberta": hf.RobertaConfig(**TEXT, **PADDED),
    "XLMRoberta": hf.XLMRobertaConfig(**TEXT, **PADDED),
    "Camembert": hf.CamembertConfig(**TEXT, **PADDED),
    "DistilBert": hf.DistilBertConfig(vocab_size=48, dim=16, hidden_dim=24, n_layers=2, n_heads=2),
    "Electra": hf.ElectraConfig(**TEXT, embedding_size=8),
    "Albert": hf.AlbertConfig(**TEXT, embedding_size=8),
    "MPNet": hf.MPNetConfig(**TEXT, **PADDED),
    "Deberta": hf.DebertaConfig(**TEXT, relative_attention=True, pos_att_type="p2c|c2p"),
    "DebertaV2": hf.DebertaV2Config(**TEXT, relative_attention=True, pos_att_type="p2c|c2p"),
    "Ernie": hf.ErnieConfig(**TEXT),
    "ConvBert": hf.ConvBertConfig(**TEXT, embedding_size=16),
    "RoFormer": hf.RoFormerConfig(**TEXT, embedding_size=16),
    "SqueezeBert": hf.SqueezeBertConfig(**TEXT, embedding_size=16, q_groups=1, k_groups=1, v_groups=1,
                                        post_attention_groups=1, intermediate_groups=1, output_groups=1),
    "MobileBert": hf.MobileBertConfig(**TEXT, embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=1),
    "XLNet": hf.XLNetConfig(vocab_size=48, d_model=16, n_layer=2, n_head=2, d_inner=24, **PADDED),
    "ModernBert": hf.ModernBertConfig(**TEXT, **PADDED, cls_token_id=2, sep_token_id=1),
    "Nystromformer": hf.NystromformerConfig(**TEXT, segment_means_seq_len=64, num_landmarks=64),
    "FNet": hf.FNetConfig(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, pad_token_id=0),
    "GPT2": hf.GPT2Config(vocab_size=48, n_embd=16, n_layer=2, n_head=2, n_positions=64, **PADDED),
    "GPTNeo": hf.GPTNeoConfig(vocab_size=48, hidden_size=16, num_layers=2, num_heads=2,
                              attention_types=[[["global"], 2]], max_position_embeddings=64, **PADDED),
    "OPT": hf.OPTConfig(vocab_size=48, hidden_size=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=2,
                        word_embed_proj_dim=16, max_position_embeddings=64, **PADDED),
    "Llama": hf.LlamaConfig(**LLAMA),
    "Mistral": hf.MistralConfig(**LLAMA),
    "Qwen2": hf.Qwen2Config(**LLAMA),
    "Qwen3": hf.Qwen3Config(**LLAMA),
    "Gemma": hf.GemmaConfig(**LLAMA),
    "Phi": hf.PhiConfig(**TEXT, **PADDED),
    "Bart": hf.BartConfig(**BART),
    "MBart": hf.MBartConfig(**BART),
    "T5": hf.T5Config(vocab_size=48, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, decoder_start_token_id=0,
                      **PADDED),
}  # fmt: skip
NOT_BY_ROW = ("MPNet", "RoFormer", "XLNet", "T5")
OTHERS = {
    "ViTForImageClassification": hf.ViTConfig(image_size=16, patch_size=8, hidden_size=16, intermediate_size=24,
                                              num_hidden_layers=2, num_attention_heads=2),
    "ConvNextForImageClassification": hf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
    "Wav2Vec2ForSequenceClassification": hf.Wav2Vec2Config(
        hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, conv_dim=[8], conv_stride=[4],
        conv_kernel=[4], num_feat_extract_layers=1, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        classifier_proj_size=8, vocab_size=48),
    "ASTForAudioClassification": hf.ASTConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                                              num_attention_heads=2, max_length=32, num_mel_bins=16),
    "LlamaForCausalLM": hf.LlamaConfig(**LLAMA),
    "GPT2LMHeadModel": CONFIGS["GPT2"],
    "T5ForConditionalGeneration": CONFIGS["T5"],
    "BertForTokenClassification": CONFIGS["Bert"],
}  # fmt: skip


def tokenizer():
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, **UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [EOS]", special_tokens=[("[CLS]", 2), ("[EOS]", 1)]
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=32, **SPECIAL, **UNKNOWN,
    )  # fmt: skip


def folders(tmp_path, name, config, base_class=None):
    """A base and a fine-tuned model in folders; every tensor that both have differs by one number's signs."""
    config = type(config).from_dict(json.loads(config.to_json_string()))
    config.num_labels = 3
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tuned = getattr(hf, name)(config).eval()
        with torch.no_grad():
            for one in tuned.parameters():
                one.add_(0.05 * torch.randn(one.shape))
        base = (base_class or hf.AutoModel.from_config(config).__class__)(config).eval()
        inner = base.state_dict()
        signs = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for key, value in tuned.state_dict().items():
                found = [other for other in inner if key == other or key.endswith(f".{other}")]
                if found and value.is_floating_point() and inner[max(found, key=len)].shape == value.shape:
                    delta = 0.1 * torch.randint(-1, 2, value.shape, generator=signs)
                    inner[max(found, key=len)].copy_(value - delta)
    for model, folder in ((base, tmp_path / "base"), (tuned, tmp_path / "tuned")):
        model.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
    return tmp_path / "base", tmp_path / "tuned"


def of_transformers(folder, name):
    """Logits of each text by transformers alone, one text at a time."""
    model = getattr(hf, name).from_pretrained(folder, dtype=torch.float32).eval()
    read = hf.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return torch.cat([model(**read(text, return_tensors="pt")).logits for text in TEXTS])


def test_loading_a_base_prints_no_report_about_the_head_that_the_switch_brings(tmp_path):
    base, tuned = folders(tmp_path, "BertForSequenceClassification", CONFIGS["Bert"])
    switch, records, before = Switch.from_checkpoints(base, tuned, 0.0), [], hf.logging.get_verbosity()
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger("transformers").addHandler(handler)
    try:
        TextBank(base, {"mine": switch})
    finally:
        logging.getLogger("transformers").removeHandler(handler)
    assert records == []
    assert hf.logging.get_verbosity() == before


def test_sweep_and_class_names_read_sharded_models(tmp_path):
    base, tuned = folders(tmp_path, "BertForSequenceClassification", CONFIGS["Bert"])
    whole = sweep(base, tuned, TASK, [0.5])
    model = hf.AutoModelForSequenceClassification.from_pretrained(tuned)
    (tuned / "model.safetensors").unlink()
    model.save_pretrained(tuned, max_shard_size="4KB")
    assert not (tuned / "model.safetensors").exists()
    assert len(classes_of(tuned)) == 3
    assert sweep(base, tuned, TASK, [0.5]).rows == whole.rows


def test_thirty_families_are_tried():
    assert len(CONFIGS) >= 30


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("family", CONFIGS)
def test_verbs_give_the_logits_of_transformers(family, tmp_path):
    name = f"{family}ForSequenceClassification"
    base, tuned = folders(tmp_path, name, CONFIGS[family])
    switch = Switch.from_checkpoints(base, tuned, 0.0)
    export(base, switch, tmp_path / "out")
    expected = of_transformers(tmp_path / "out", name)
    assert (of_transformers(tuned, name) - expected).abs().max() < 1e-2
    bank = TextBank(base, {"mine": switch})
    torch.testing.assert_close(bank.logits("mine", TEXTS), expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(bank.logits("mine", TEXTS, switched=False), expected, atol=1e-3)
    switch.save_pretrained(tmp_path / "switch")
    facts = accuracy_on_and_off(base, tmp_path / "switch", TASK)
    assert facts["accuracy switched"] == (expected.argmax(1).numpy() == LABELS).mean()
    one = bank.prepare([TEXTS[0]])
    with bank.bank.use("mine"), torch.no_grad():
        torch.testing.assert_close(bank.model(**one).logits[0], expected[0], atol=1e-5, rtol=1e-5)
    if family in NOT_BY_ROW:
        with pytest.raises(InputError, match=r"bank\.use|module '"):
            bank.bank.answer(one, ["mine"])
    else:
        (row,), _ = bank.bank.answer(one, ["mine"])
        torch.testing.assert_close(row, expected[0], atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("family", ["Bert", "Roberta", "DistilBert", "GPT2", "Llama", "T5"])
def test_sweep_scores_the_model_of_transformers(family, tmp_path):
    name = f"{family}ForSequenceClassification"
    base, tuned = folders(tmp_path, name, CONFIGS[family])
    answers = of_transformers(tuned, name).argmax(1).numpy()
    same = TextTask("mine", ("0", "1", "2"), *(Split(TEXTS, answers) for _ in range(3)))
    table = sweep(base, tuned, same, [0.0, 0.5])
    assert table.rows[0][1:4] == [100.0] * 3, "nothing is dropped: the fine-tuned model's own answers"
    for scale, column in (("l2", 4), ("mean", 5), ("full", 6)):
        export(base, Switch.from_checkpoints(base, tuned, 0.5, scale=scale), tmp_path / scale)
        found = (of_transformers(tmp_path / scale, name).argmax(1).numpy() == answers).mean()
        assert table.rows[1][column] == pytest.approx(100 * found)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", OTHERS)
def test_a_model_that_classifies_no_texts_is_refused_by_its_name(name, tmp_path):
    base, tuned = folders(tmp_path, name, OTHERS[name])
    switch = Switch.from_checkpoints(base, tuned, 0.0)
    with pytest.raises(InputError, match=name if switch.head else "no head"):
        TextBank(base, {"mine": switch})
    with pytest.raises(InputError, match=name):
        sweep(base, tuned, TASK, [0.5])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_models_of_several_classes_or_shapes_are_refused_by_name(tmp_path):
    made = {}
    for family, changes in (("Bert", {}), ("Electra", {}), ("Bert", {"hidden_act": "relu"})):
        where = tmp_path / f"{family}{len(made)}"
        config = type(CONFIGS[family]).from_dict(CONFIGS[family].to_dict() | changes)
        base, tuned = folders(where, f"{family}ForSequenceClassification", config)
        made[len(made)] = base, Switch.from_checkpoints(base, tuned, 0.0)
    with pytest.raises(InputError, match=r"switch of task 'b': got config.json with another .*architectures"):
        TextBank(made[0][0], {"a": made[0][1], "b": made[1][1]})
    with pytest.raises(InputError, match="another hidden_act than task 'a'"):
        TextBank(made[0][0], {"a": made[0][1], "b": made[2][1]})


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_that_computes_tokens_first_has_no_mixed_batches(tmp_path):
    base, tuned = folders(tmp_path, "XLNetForSequenceClassification", CONFIGS["XLNet"])
    live = TextBank(base, {"mine": Switch.from_checkpoints(base, tuned, 0.0)})
    ids = torch.randint(3, 40, (5, 5))  # as many tokens as rows: shapes alone would not show it
    with pytest.raises(InputError, match=r"a xlnet.*bank\.use"):
        live.bank.answer({"input_ids": ids}, ["mine"] * 5)
    with pytest.raises(InputError, match=r"a xlnet.*bank\.use"):
        live.bank.select("mine")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_config_without_a_class_is_refused(tmp_path):
    base, tuned = folders(tmp_path, "BertForSequenceClassification", CONFIGS["Bert"])
    path = tuned / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"architectures": None}))
    with pytest.raises(InputError, match="names no class"):
        TextBank(base, {"mine": Switch.from_checkpoints(base, tuned, 0.0)})
    assert LENGTH_KEY not in json.loads(path.read_text())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("family", ["Bert", "Roberta", "GPT2", "Llama"])
def test_texts_are_routed_and_answered_by_the_models_own_class(family, tmp_path):
    name = f"{family}ForSequenceClassification"
    base, tuned = folders(tmp_path, name, CONFIGS[family])
    switch = Switch.from_checkpoints(base, tuned, 0.0)
    export(base, switch, tmp_path / "out")
    expected = of_transformers(tmp_path / "out", name).softmax(1).amax(1)
    live = TextBank(base, {"mine": switch})
    router = live.router(n_neighbors=1).fit({"mine": list(TEXTS)})
    assert isinstance(router, AutoSwitch)
    found = [row["probability"] for row in live.answer(router, list(TEXTS))]
    assert found == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_live_model_beside_the_bank_is_the_oracle_of_images_too(tmp_path):
    name = "ConvNextForImageClassification"
    base, tuned = folders(tmp_path, name, OTHERS[name])
    switch = Switch.from_checkpoints(base, tuned, 0.0)
    export(base, switch, tmp_path / "out")
    made, pixels = getattr(hf, name).from_pretrained(tmp_path / "out").eval(), torch.randn(2, 3, 32, 32)
    live = getattr(hf, name).from_pretrained(tuned).eval()
    inner = hf.ConvNextModel.from_pretrained(base).state_dict()
    live.load_state_dict({f"convnext.{key}": value for key, value in inner.items()}, strict=False)
    bank = SwitchBank(live)
    bank.add("mine", switch)
    with bank.use("mine"), torch.no_grad():
        torch.testing.assert_close(live(pixels).logits, made(pixels).logits, atol=1e-5, rtol=1e-5)
