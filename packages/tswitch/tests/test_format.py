import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from ninefold.errors import ArtifactError, InputError
from ninefold.files import read_header
from tswitch import Switch
from tswitch.switch import _format

from .models import contents, pair

SAMPLE = Path(__file__).parent / "samples" / "switch-v1"


@pytest.fixture
def folder(tmp_path):
    base, tuned = pair()
    Switch.from_checkpoints(base, tuned, alpha=0.6).save_pretrained(tmp_path / "switch")
    return tmp_path / "switch"


def sample_pair():
    """The models behind the sample: integers only, so that every machine makes the same."""
    ramp = torch.arange(4096)
    noise = (ramp * (ramp * 31 + 17) % 1009 - 504).float() / 512
    base = {
        "dense": noise[:512].reshape(8, 64),
        "sparse": noise.reshape(64, 64),
        "rows": noise.clone(),
        "scalar": noise[7],
    }
    tuned = {name: value.clone() for name, value in base.items()}
    tuned["dense"] += noise[512:1024].reshape(8, 64)
    tuned["dense"][-1, -1] = 9
    tuned["sparse"] += torch.where(ramp % 37 == 0, noise.flip(0), 0).reshape(64, 64)
    tuned["rows"] += torch.where(ramp % 40 < 4, 0.25, 0)
    tuned["scalar"] = noise[8]
    tuned["classifier.weight"] = noise[:6].reshape(2, 3).bfloat16()
    return base, tuned


def write_sample():
    """Made the files under samples/switch-v1; kept so that a sample of the next format is made likewise."""
    base, tuned = sample_pair()
    Switch.from_checkpoints(base, tuned, alpha=0.5, scale="l2").save_pretrained(SAMPLE)


def same(one, two):
    assert one.config["tensors"] == two.config["tensors"]
    assert one.base_digests == two.base_digests
    assert one.tensors == two.tensors
    for name in one.names:
        assert torch.equal(one.packed(name), two.packed(name))
    for ours, theirs in ((one.dense, two.dense), (one.head, two.head)):
        assert sorted(ours) == sorted(theirs)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_folder_of_format_1_stays_readable():
    switch = Switch.from_pretrained(SAMPLE)
    switch.verify()
    assert {min(int(switch._codes[name][0]), 3) for name in switch.names} == {1, 2, 3}, "bitmap, grouped and Rice codes"
    same(switch, Switch.from_checkpoints(*sample_pair(), alpha=0.5, scale="l2"))
    switch.check_base(sample_pair()[0])


def test_what_is_saved_comes_back(tmp_path):
    base, tuned = pair(dtype=torch.bfloat16)
    switch = Switch.from_checkpoints(base, tuned, alpha=0.7, scale="mean")
    switch.save_pretrained(tmp_path / "one")
    loaded = Switch.from_pretrained(tmp_path / "one")
    same(switch, loaded)
    loaded.save_pretrained(tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@settings(max_examples=40, deadline=None)
@given(
    delta=hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=9), elements=st.floats(-4, 4, width=16)),
    alpha=st.sampled_from([0, 0.5, 0.9]),
)
def test_any_tensor_comes_back_exactly(tmp_path_factory, delta, alpha):
    folder = tmp_path_factory.mktemp("any") / "switch"
    base, tuned = (
        {"w": torch.zeros(delta.shape), "v": torch.zeros(1)},
        {"w": torch.from_numpy(delta), "v": torch.ones(1)},
    )
    switch = Switch.from_checkpoints(base, tuned, alpha=alpha)
    switch.save_pretrained(folder)
    loaded = Switch.from_pretrained(folder)
    same(switch, loaded)
    for name in loaded.names:
        flat = loaded.dequantise(name).reshape(-1)
        two = loaded.packed(name)
        unpacked = torch.stack([two >> shift & 3 for shift in (0, 2, 4, 6)], 1).reshape(-1)[: flat.numel()]
        assert torch.equal(torch.tensor([0.0, 1, -1])[unpacked.long()] * loaded.tensors[name].scale, flat)


@pytest.mark.parametrize(("alpha", "most"), [(0.6, 723_845), (0.8, 488_108), (0.9, 302_819), (0.95, 180_705)])
def test_a_normal_delta_is_near_its_entropy_on_disk(tmp_path, alpha, most):
    generator = torch.Generator().manual_seed(0)
    tuned = {"w": torch.randn(2000, 2000, generator=generator)}
    switch = Switch.from_checkpoints({"w": torch.zeros(2000, 2000)}, tuned, alpha=alpha)
    switch.save_pretrained(tmp_path / "out")
    on_disk = sum(file.stat().st_size for file in (tmp_path / "out").rglob("*"))
    assert on_disk <= most
    assert Switch.from_pretrained(tmp_path / "out").nbytes == switch.nbytes == on_disk
    assert switch.bits_per_param == 8 * on_disk / 4_000_000


def test_a_flipped_byte_anywhere_is_refused_by_the_name_of_its_file(folder):
    for name in (_format.CONFIG, _format.SWITCH, _format.HEAD):
        whole = (folder / name).read_bytes()
        for at in range(0, len(whole), 3):
            wrong = bytearray(whole)
            wrong[at] ^= 1 << at % 7
            (folder / name).write_bytes(wrong)
            with pytest.raises(ArtifactError) as caught:
                Switch.from_pretrained(folder).verify()
            assert name in str(caught.value) or name == _format.CONFIG, (name, at, str(caught.value))
        (folder / name).write_bytes(whole)
    Switch.from_pretrained(folder).verify()


@pytest.mark.parametrize("name", [_format.CONFIG, _format.SWITCH, _format.HEAD])
@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_a_truncated_file_is_refused_by_name(folder, name, left):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:left])
    with pytest.raises(ArtifactError, match=name):
        Switch.from_pretrained(folder)
    (folder / name).write_bytes(whole + b" ")
    with pytest.raises(ArtifactError, match=name):
        Switch.from_pretrained(folder)


@pytest.mark.parametrize("name", [_format.CONFIG, _format.SWITCH, _format.HEAD])
def test_a_missing_file_is_refused_by_name(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}.*is not there"):
        Switch.from_pretrained(folder)


def test_files_of_two_switches_do_not_mix(folder, tmp_path):
    base, tuned = pair(seed=1)
    Switch.from_checkpoints(base, tuned, alpha=0.6).save_pretrained(tmp_path / "other")
    (folder / _format.HEAD).write_bytes((tmp_path / "other" / _format.HEAD).read_bytes())
    with pytest.raises(ArtifactError, match=r"head\.safetensors.*another switch"):
        Switch.from_pretrained(folder)


def test_a_newer_format_is_refused(folder):
    text = (folder / _format.CONFIG).read_text()
    (folder / _format.CONFIG).write_text(text.replace('"format_version": 1', '"format_version": 5'))
    with pytest.raises(ArtifactError, match="format version 5, newer than 4"):
        Switch.from_pretrained(folder)


def test_an_unknown_code_is_refused_by_tensor(folder, tmp_path):
    """A code that carries valid digests all the same: a file by a writer with a defect."""
    config, switch, head = _format.read_folder(folder)
    codes = {name: switch.torch(_format.CODES + name) for name in config["tensors"]}
    codes["layer.weight"][0] = 99
    rest = {key: value for key, value in config.items() if key not in ("format_version", "package", "files")}
    scales = switch.torch(_format.SCALES)
    dense, heads = _format.StoredTensors(switch, _format.DENSE), _format.StoredTensors(head)
    _format.write_folder(
        tmp_path / "bad", rest, scales=scales, codes=codes, dense=dense, head=heads, rows={}, card="", force=False
    )
    loaded = Switch.from_pretrained(tmp_path / "bad")
    with pytest.raises(ArtifactError, match=r"'layer\.weight' uses a code that is unknown here"):
        loaded.packed("layer.weight")


def test_a_foreign_folder_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no switch"):
        Switch.from_pretrained(tmp_path)
    (tmp_path / _format.CONFIG).write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ArtifactError, match=r"switch_config\.json"):
        Switch.from_pretrained(tmp_path)


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="nowhere"):
        Switch.from_pretrained(tmp_path / "nowhere")


def test_the_right_base_is_accepted_in_any_exact_precision():
    base, tuned = pair(dtype=torch.bfloat16)
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
    switch.check_base(base)
    switch.check_base({name: value.float() if value.is_floating_point() else value for name, value in base.items()})


def test_a_wrong_base_is_refused_by_tensor_unless_forced():
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
    base["norm.weight"] = base["norm.weight"] + 1  # a tensor that fine-tuning did not change counts too
    with pytest.raises(InputError, match=r"other values in 1 of 5 tensors: norm\.weight.*force"):
        switch.check_base(base)
    switch.check_base(base, force=True)


def test_a_base_of_another_shape_is_refused_even_if_forced():
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
    del base["layer.bias"]
    base["embed.weight"] = torch.zeros(2, 2)
    with pytest.raises(InputError, match=r"missing: layer\.bias; shape: embed\.weight \(2, 2\), expected \(50, 16\)"):
        switch.check_base(base, force=True)


def test_an_unknown_tensor_is_named(folder):
    with pytest.raises(InputError, match="'nosuch'"):
        Switch.from_pretrained(folder).dequantise("nosuch")


def test_the_card_names_a_hub_base_but_no_path():
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
    card = _format.card_of({**switch.config, "base": "owner/name"}, len(switch.head))
    assert "base_model: owner/name" in card
    assert "base_model" not in _format.card_of({**switch.config, "base": "folder"}, {}).split("---")[1]


def test_nothing_is_unpickled(folder):
    for name in (_format.SWITCH, _format.HEAD):
        read_header(folder / name)  # plain safetensors, and the rest is text
    assert sorted(contents(folder)) == ["README.md", "head.safetensors", "switch.safetensors", "switch_config.json"]
