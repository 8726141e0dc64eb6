from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from ninefold.artifacts import Artifact, _arrays, save
from ninefold.errors import ArtifactError, InputError, version_of
from safetensors.numpy import load_file

SAMPLES = Path(__file__).parent / "samples"
NUMPY = [np.dtype(code) for code in ("?", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")]
TORCH = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
]  # fmt: skip


def write(path, arrays, **more):
    save(path, arrays, **{"kind": "test.thing", "format_version": 1, "package": "ninefold", **more})
    return path


def read(path, version=1):
    return Artifact(path, kind="test.thing", format_version=version)


def rewrite(path, change, *, digest=True):
    """Change the header of a file as a forger could: `change(header, about)`, then new digests."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"]["ninefold"])
    change(header, about)
    text = json.dumps(about, sort_keys=True)
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    header["__metadata__"]["ninefold"] = text
    if digest:
        header["__metadata__"]["digest"] = _arrays._header_digest(text, entries)
    made = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(made)) + made + data[8 + length :])


@pytest.fixture
def small(tmp_path):
    arrays = {"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.array([1, 2], "<u2")}
    return write(tmp_path / "small.safetensors", arrays, meta={"alpha": 0.5})


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.sampled_from(NUMPY).flatmap(
            lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
        ),
        max_size=3,
    )
)
def test_numpy_arrays_come_back_as_they_were(tmp_path_factory, arrays):
    path = write(tmp_path_factory.getbasetemp() / "x", arrays, force=True)
    kept = read(path)
    assert kept.names == list(arrays)
    for name, array in arrays.items():
        for back in (kept.numpy(name), kept.torch(name).numpy()):
            assert (back.dtype, back.shape) == (array.dtype, array.shape)
            assert back.tobytes() == array.tobytes()
            assert back.flags.writeable
    for name, back in load_file(path).items():  # any reader of safetensors can
        assert back.tobytes() == arrays[name].tobytes()


@pytest.mark.parametrize("dtype", TORCH, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (3, 4)])
def test_torch_tensors_come_back_as_they_were(tmp_path, dtype, shape):
    count = int(np.prod(shape))
    tensor = torch.arange(count).reshape(shape).to(dtype)
    back = read(write(tmp_path / "x", {"t": tensor})).torch("t")
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    assert back.tolist() == tensor.tolist()
    with safetensors.safe_open(tmp_path / "x", framework="pt") as file:
        assert file.get_tensor("t").tolist() == tensor.tolist()


def test_bfloat16_comes_as_its_bits_in_numpy(tmp_path):
    back = read(write(tmp_path / "x", {"t": torch.tensor([1.0, -2.0]).bfloat16()})).numpy("t")
    assert back.dtype == np.uint16
    assert back.tolist() == [0x3F80, 0xC000]


def test_views_and_foreign_byte_order_are_stored_by_value(tmp_path):
    base = np.arange(12).reshape(3, 4)
    leaf = torch.ones(2, 2, requires_grad=True)
    arrays = {
        "t": base.T,
        "step": base[:, ::-2],
        "big": base.astype(">i4"),
        "torch": torch.tensor(base).T,
        "leaf": leaf,
    }
    kept = read(write(tmp_path / "x", arrays))
    assert np.array_equal(kept.numpy("t"), base.T)
    assert np.array_equal(kept.numpy("step"), base[:, ::-2])
    assert np.array_equal(kept.numpy("big"), base)
    assert np.array_equal(kept.numpy("torch"), base.T)
    assert torch.equal(kept.torch("leaf"), leaf.detach())


def test_header_says_what_the_file_is(tmp_path):
    meta = {"alpha": 0.5, "names": ["ä", "b"], "by number": {10: 1, 9: 2}}
    kept = read(write(tmp_path / "x", {}, meta=meta))
    assert kept.meta == {**meta, "by number": {"10": 1, "9": 2}}
    assert kept.about["package"] == "ninefold"
    assert kept.about["package_version"] == version_of("ninefold")
    assert kept.names == []


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j]), torch.tensor([1j])])
def test_other_dtypes_are_refused_by_name_and_nothing_is_written(tmp_path, array):
    with pytest.raises(InputError, match=r"array 'weights': got dtype .*, expected one of BOOL"):
        write(tmp_path / "x", {"weights": array})
    assert list(tmp_path.iterdir()) == []


def test_reserved_name_is_refused(tmp_path):
    with pytest.raises(InputError, match="__metadata__"):
        write(tmp_path / "x", {"__metadata__": np.zeros(1)})


def test_existing_file_is_kept_without_force(small):
    before = small.read_bytes()
    with pytest.raises(ArtifactError, match=r"small.safetensors: exists already"):
        write(small, {})
    assert small.read_bytes() == before
    write(small, {}, force=True)
    assert read(small).names == []


def everything(path):
    """All that a reader can be given by a file."""
    kept = read(path)
    return kept.about, {name: (kept.numpy(name).dtype, kept.numpy(name).tolist()) for name in kept.names}


@pytest.mark.parametrize("flip", [lambda at: 1 << at % 8, lambda at: 0x80 >> at % 8])
def test_every_flipped_byte_is_refused(small, flip):
    whole = small.read_bytes()
    assert everything(small)
    with small.open("r+b", buffering=0) as file:
        for at, byte in enumerate(whole):
            os.pwrite(file.fileno(), bytes([byte ^ flip(at)]), at)
            with pytest.raises(ArtifactError, match=r"small\.safetensors"):
                everything(small)
            os.pwrite(file.fileno(), bytes([byte]), at)
    assert everything(small)


def test_every_truncation_and_padding_is_refused(small):
    whole = small.read_bytes()
    small.write_bytes(whole + b"\0")
    for length in range(len(whole) + 1, -1, -1):
        os.truncate(small, length)
        if length != len(whole):
            with pytest.raises(ArtifactError, match=r"small\.safetensors"):
                read(small)


@pytest.mark.parametrize(
    ("entry", "change"),
    [
        ("b", {"data_offsets": [0, 4]}),  # overlap
        ("b", {"data_offsets": [25, 29]}),  # gap
        ("a", {"data_offsets": [-24, 0]}),
        ("a", {"data_offsets": [24, 0]}),
        ("b", {"data_offsets": [24, 2**70]}),
        ("b", {"data_offsets": [24]}),
        ("b", {"data_offsets": None}),
        ("a", {"shape": [3, 3]}),
        ("a", {"shape": [-2, -3]}),
        ("a", {"shape": [2**40, 2**40]}),
        ("a", {"shape": [2.0, 3]}),
        ("a", {"shape": "23"}),
        ("a", {"dtype": "F64"}),
        ("a", {"dtype": "Q7"}),
        ("a", {"dtype": None}),
    ],
)
def test_impossible_places_are_refused_even_with_a_fitting_digest(small, entry, change):
    rewrite(small, lambda header, about: header[entry].update(change))
    with pytest.raises(ArtifactError, match=r"small.safetensors: is damaged: its header makes no sense"):
        read(small)


@pytest.mark.parametrize(
    "change",
    [
        lambda header, about: header.update(a=[1]),
        lambda header, about: header.pop("b"),
        lambda header, about: about.pop("digests"),
        lambda header, about: about.pop("meta"),
        lambda header, about: about.update(digests=[]),
        lambda header, about: about.update(format_version="9"),
        lambda header, about: about["digests"].update(a="sha256:0"),
        lambda header, about: about["digests"].update(a=7),
    ],
)
def test_headers_that_make_no_sense_are_refused(small, change):
    rewrite(small, change)
    with pytest.raises(ArtifactError, match=r"small.safetensors: (is damaged|has format version)"):
        everything(small)


def test_swapped_arrays_of_equal_form_are_refused(tmp_path):
    path = write(tmp_path / "x", {"a": np.zeros(2), "b": np.ones(2)})

    def swap(header, about):
        header["a"], header["b"] = header["b"], header["a"]

    rewrite(path, swap, digest=False)
    with pytest.raises(ArtifactError, match="header does not match its digest"):
        read(path)


def test_other_kinds_are_refused(small):
    with pytest.raises(ArtifactError, match=r"small.safetensors: holds a test.thing, not a tswitch.switch"):
        Artifact(small, kind="tswitch.switch", format_version=1)


def test_newer_format_says_what_to_update(tmp_path):
    path = write(tmp_path / "x", {}, format_version=3)
    assert read(path, version=3).about["format_version"] == 3
    with pytest.raises(
        ArtifactError, match=r"x: has format version 3, newer than 2.*update ninefold \(written by version"
    ):
        read(path, version=2)


def test_newer_format_is_told_from_damage_whatever_else_it_changed(small):
    rewrite(
        small, lambda header, about: (about.clear(), about.update(kind="test.thing", format_version=9)), digest=False
    )
    with pytest.raises(ArtifactError, match="newer than 1"):
        read(small)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"\0" * 64,
        b"\xff" * 64,
        b"something else entirely",
        b"\x02\0\0\0\0\0\0\0[]",
        struct.pack("<Q", 16) + b"\xff" * 16,
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
    ids=range(8),
)
def test_foreign_bytes_are_refused(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ArtifactError, match="/x: is "):
        read(tmp_path / "x")


@pytest.mark.parametrize(
    "metadata", [None, {"format": "pt"}, {"ninefold": "not json"}, {"ninefold": "[]"}, {"ninefold": "{}"}]
)
def test_safetensors_of_others_are_refused_as_such(tmp_path, metadata):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2)}, tmp_path / "x", metadata=metadata)
    with pytest.raises(ArtifactError, match="not one that Ninefold wrote"):
        read(tmp_path / "x")


def test_missing_file_folder_and_array_are_named(tmp_path, small):
    with pytest.raises(ArtifactError, match="nowhere: is not there"):
        read(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="is not a file"):
        read(tmp_path)
    with pytest.raises(ArtifactError, match=r"small.safetensors: has no array 'c'"):
        read(small).numpy("c")


def test_reader_checks_what_it_reads_and_verify_checks_all(small):
    data = bytearray(small.read_bytes())
    data[-1] ^= 1  # in b
    small.write_bytes(data)
    kept = read(small)
    assert kept.numpy("a").shape == (2, 3)
    seen = []
    with pytest.raises(ArtifactError, match="array 'b' does not match its digest"):
        kept.verify(progress=seen.append)
    assert seen == ["a"]
    kept.verify(["a"])
    with pytest.raises(ArtifactError, match="array 'b'"):
        kept.torch("b")


def test_sample_of_format_1_stays_readable():
    kept = Artifact(SAMPLES / "format-1.safetensors", kind="ninefold.sample", format_version=1)
    kept.verify()
    assert kept.meta == {"note": "written by the first version"}
    assert kept.numpy("weights").tolist() == [[0.0, 0.5, 1.0], [1.5, 2.0, 2.5]]
    assert kept.torch("halves").tolist() == [1.0, -2.0]
    assert kept.torch("halves").dtype == torch.bfloat16
    assert kept.numpy("flags").tolist() == [True, False]
    assert kept.numpy("one").shape == ()
    assert kept.numpy("none").shape == (0, 4)
