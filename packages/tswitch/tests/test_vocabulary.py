"""Models of different vocabularies: the common tokenizer, where each row comes from, and what cannot be joined."""

import json

import numpy as np
import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from tswitch import merge_recipe
from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.merging._vocabulary import Layout, union
from tswitch.switch._build import InMemory

from .tiny_llamas import VOCABULARIES, llama, llamas_of_different_vocabularies, tokenizer_of

transformers = pytest.importorskip("transformers")
RECIPE = """
merge_method: task_arithmetic
base_model: base
models: [{model: v0, parameters: {weight: 0.5}}, {model: v1, parameters: {weight: 0.25}}]
dtype: float32
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    llamas_of_different_vocabularies(tmp_path)
    return tmp_path


def merged(work, extra="tokenizer_source: union\n", recipe=RECIPE):
    (work / "merge.yml").write_text(recipe + extra)
    merge_recipe("merge.yml", out="out", force=True)
    return Checkpoint.open("out"), transformers.AutoTokenizer.from_pretrained("out")


def row(folder, token, name="model.embed_tokens.weight"):
    """A token's row in a model, or None; independent of what is tested."""
    place = VOCABULARIES[folder].get(token)
    return None if place is None else Checkpoint.open(folder).read(name)[place].float()


def expected(token, weights=(("v0", 0.5), ("v1", 0.25))):
    """Task arithmetic of rows by token, written anew: who lacks a token has the base's, else its only owner's."""
    own = {folder: row(folder, token) for folder in VOCABULARIES}
    there = [value for value in own.values() if value is not None]
    stand_in = own["base"] if own["base"] is not None else torch.stack(there).mean(0)
    full = {folder: stand_in if value is None else value for folder, value in own.items()}
    return full["base"] + sum(weight * (full[model] - full["base"]) for model, weight in weights)


def test_union_has_all_tokens_and_the_base_keeps_its_ids(work):
    out, tokenizer = merged(work)
    ids = tokenizer.get_vocab()
    assert set(ids) == {token for vocabulary in VOCABULARIES.values() for token in vocabulary}
    assert all(ids[token] == place for token, place in VOCABULARIES["base"].items())
    assert json.loads((work / "out/config.json").read_text())["vocab_size"] == len(ids)
    assert out.info("model.embed_tokens.weight").shape == (len(ids), 32)
    assert tokenizer("w1 mine both w2")["input_ids"] == [ids[token] for token in ("w1", "mine", "both", "w2")]
    assert "<mark>" in tokenizer.all_special_tokens or ids["<mark>"] in tokenizer.added_tokens_decoder
    assert transformers.AutoModelForCausalLM.from_pretrained("out").get_input_embeddings().num_embeddings == len(ids)


def test_each_row_is_merged_from_the_rows_of_its_token(work):
    out, tokenizer = merged(work)
    embedding = out.read("model.embed_tokens.weight")
    for token, place in tokenizer.get_vocab().items():
        torch.testing.assert_close(embedding[place], expected(token), atol=1e-6, rtol=0, msg=token)
    norm = [Checkpoint.open(folder).read("model.norm.weight") for folder in ("base", "v0", "v1")]
    torch.testing.assert_close(
        out.read("model.norm.weight"), norm[0] + 0.5 * (norm[1] - norm[0]) + 0.25 * (norm[2] - norm[0])
    )


def test_padding_is_the_mean_of_the_rows(work):
    out, tokenizer = merged(work, "tokenizer: {source: union, pad_to_multiple_of: 16}\n")
    embedding, count = out.read("model.embed_tokens.weight"), len(tokenizer.get_vocab())
    assert len(embedding) % 16 == 0
    assert 0 < len(embedding) - count < 16
    assert json.loads((work / "out/config.json").read_text())["vocab_size"] == len(embedding)
    for place in range(count, len(embedding)):
        torch.testing.assert_close(embedding[place], embedding[:count].mean(0), atol=1e-5, rtol=0)


def test_without_a_union_other_vocabularies_are_refused(work):
    with pytest.raises(InputError, match=r"model\.embed_tokens\.weight.*shape \[20, 32\].*\[22, 32\]"):
        merged(work, "")


def test_models_of_one_vocabulary_are_merged_as_without_a_union(work):
    llama(work / "v0", VOCABULARIES["base"], seed=5)
    llama(work / "v1", VOCABULARIES["base"], seed=6)
    one, _ = merged(work, "")
    plain = {name: one.read(name).clone() for name in one.names}
    two, _ = merged(work)
    assert all(torch.equal(two.read(name), value) for name, value in plain.items())


def test_linear_without_a_base_takes_the_mean_of_those_that_have_a_token(work):
    recipe = "merge_method: linear\nmodels: [{model: base}, {model: v0}, {model: v1}]\ndtype: float32\n"
    out, tokenizer = merged(work, recipe=recipe)
    embedding, ids = out.read("model.embed_tokens.weight"), tokenizer.get_vocab()
    both = [row(folder, "both") for folder in ("v0", "v1")]  # the base lacks it
    torch.testing.assert_close(embedding[ids["both"]], torch.stack(both).mean(0), atol=1e-6, rtol=0)
    mine = row("v0", "mine")
    torch.testing.assert_close(embedding[ids["mine"]], mine, atol=1e-6, rtol=0)


def test_model_without_a_tokenizer_is_taken_to_have_the_bases(work):
    llama(work / "v0", VOCABULARIES["base"], seed=5)
    for path in (work / "v0").glob("tokenizer*"):
        path.unlink()
    with pytest.warns(UserWarning, match="v0 has no tokenizer: taken to be the base's"):
        merged(work)


def test_what_cannot_be_joined_is_refused_in_one_line(work):
    (work / "v0/tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer in .*v0: got .*, expected one that transformers can load"):
        merged(work)
    tokenizer_of({**VOCABULARIES["v0"], "late": 22}).save_pretrained(work / "v0")
    with pytest.raises(InputError, match=r"model.embed_tokens.weight.*v0.*got 22 rows, expected at least 23, one for"):
        merged(work)
    for path in (work / "base").glob("tokenizer*"):
        path.unlink()
    with pytest.raises(InputError, match=r"tokenizer in base: got none, expected the base's tokenizer, for a union"):
        merged(work)
    (work / "v1/config.json").unlink()
    tokenizer_of(VOCABULARIES["base"]).save_pretrained(work / "base")
    tokenizer_of(VOCABULARIES["v0"]).save_pretrained(work / "v0")
    with pytest.raises((InputError, ArtifactError), match=r"v1"):
        merged(work)
    assert not (work / "out").exists()


@pytest.mark.parametrize("based", [True, False])
def test_rows_do_not_depend_on_how_many_are_laid_out_at_a_time(based, monkeypatch):
    rng = np.random.default_rng(0)
    tensors = [torch.randn(30, 4), torch.randn(40, 4).to(torch.bfloat16), torch.randn(25, 4)]
    places = torch.from_numpy(
        np.stack([rng.permutation(np.r_[np.arange(n), np.full(50 - n, -1)]) for n in (30, 40, 25)])
    )
    layout = Layout(tensors, places, based=based, size=56)
    whole = [torch.cat(list(layout.rows(model))) for model in range(3)]
    monkeypatch.setattr("tswitch.merging._vocabulary._ROWS", 7)
    for model in range(3):
        assert torch.equal(torch.cat(list(layout.rows(model)))[:50], whole[model][:50])
        for token in range(50):
            have = [t[p].float() for t, p in zip(tensors, places[:, token].tolist(), strict=True) if p >= 0]
            own, base = (tensors[i][places[i, token]].float() if places[i, token] >= 0 else None for i in (model, 0))
            want = own if own is not None else base if based and base is not None else None
            want = (torch.stack(have).mean(0) if have else torch.zeros(4)) if want is None else want
            torch.testing.assert_close(whole[model][token], want)


def test_a_model_in_memory_has_no_tokenizer():
    with pytest.raises(InputError, match="tokenizer"):
        union(Checkpoint.of({"embed_tokens.weight": torch.ones(3, 2)}), [], InMemory())
