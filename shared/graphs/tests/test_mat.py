"""MATLAB files: as scipy reads them where they are whole, refused in words where they are not."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from ninefold_graphs import load_mat

NETWORK = sp.random_array((9, 9), density=0.3, format="csc", rng=np.random.default_rng(0))


def written(folder, name="a.mat", **held):
    scipy.io.savemat(folder / name, held["held"], do_compression=held.get("compressed", False))
    return folder / name


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8", "?"])
def test_reads_what_scipy_reads(tmp_path, compressed, dtype):
    dense = (np.arange(12) % 5).reshape(4, 3).astype(dtype)
    sparse = (NETWORK > 0.5) if dtype == "?" else NETWORK.astype("f8")
    path = written(tmp_path, held={"dense": dense, "sparse": sparse, "other": np.eye(2)}, compressed=compressed)
    mine, theirs = load_mat(path, {"dense", "sparse"}), scipy.io.loadmat(path)
    assert set(mine) == {"dense", "sparse"}
    assert np.array_equal(mine["dense"], theirs["dense"])
    assert np.array_equal(mine["sparse"].toarray(), theirs["sparse"].toarray().astype(float))


def test_reads_the_other_order_of_bytes(tmp_path):
    def element(kind, values):
        body = values.tobytes()
        return struct.pack(">II", kind, len(body)) + body + b"\0" * (-len(body) % 8)

    parts = [(6, ">u4", [6, 0]), (5, ">i4", [2, 1]), (1, "i1", [ord("y")]), (9, ">f8", [1.5, -2.0])]
    body = b"".join(element(kind, np.array(values, dtype)) for kind, dtype, values in parts)
    path = tmp_path / "big.mat"
    path.write_bytes(b" " * 124 + b"\1\0MI" + struct.pack(">II", 14, len(body)) + body)
    assert scipy.io.loadmat(path)["y"].tolist() == load_mat(path, {"y"})["y"].tolist() == [[1.5], [-2.0]]


def test_says_what_does_not_fit(tmp_path):
    def refused(path, *words):
        with pytest.raises(ValueError, match=".*".join(words)):
            load_mat(path, {"A"})

    path = tmp_path / "x.mat"
    path.write_bytes(b"nothing")
    refused(path, "no header")
    refused(written(tmp_path, held={"B": np.eye(2)}), "no variable A")
    refused(written(tmp_path, held={"A": np.eye(2) * 1j}), "A: .*no real numbers")
    refused(written(tmp_path, held={"A": np.array(["text"], object)}), "A: .*class 1")
    whole = written(tmp_path, held={"A": NETWORK}).read_bytes()
    path.write_bytes(whole[: len(whole) - 40])
    refused(path, "an element of")
    starts = NETWORK.indptr.astype("<i4").tobytes()
    for wrong in (NETWORK.indptr[::-1], NETWORK.indptr + 1, NETWORK.indptr * 10**6):
        path.write_bytes(whole.replace(starts, wrong.astype("<i4").tobytes()))
        refused(path, "A: .*starts of columns")
    rows = NETWORK.indices.astype("<i4")
    path.write_bytes(whole.replace(rows.tobytes(), (rows - 10**6).tobytes()))
    refused(path, "a row that is not there")


def test_compressed_variable_opens_to_no_more_than_it_says(tmp_path):
    lying = zlib.compress(struct.pack("<II", 14, 0xFFFFFFFF) + bytes(10**6))
    path = tmp_path / "bomb.mat"
    path.write_bytes(b" " * 124 + b"\0\1IM" + struct.pack("<II", 15, len(lying)) + lying)
    with pytest.raises(ValueError, match="an element of 4294967295 bytes"):
        load_mat(path, {"A"})


@given(at=st.integers(128, 10**6), bytes_=st.binary(min_size=1, max_size=8), compressed=st.booleans())
def test_damaged_file_is_refused_or_whole_in_shape(tmp_path_factory, at, bytes_, compressed):
    folder = tmp_path_factory.mktemp("mat")
    data = bytearray(written(folder, held={"A": NETWORK, "b": np.eye(3)}, compressed=compressed).read_bytes())
    at = 128 + at % (len(data) - 128)
    data[at : at + len(bytes_)] = bytes_
    path = folder / "damaged.mat"
    path.write_bytes(data)
    try:
        found = load_mat(path, {"A", "b"})
    except ValueError:
        return
    found["A"].check_format(full_check=True)
    assert found["b"].ndim == 2
