"""Frames and their pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError
from semcom.paper import Splitter, make_frame, open_frame

PAYLOAD = bytes(range(256)) * 3


def pieces_of(splitter, payload=PAYLOAD):
    return list(enumerate(splitter.split(make_frame(payload))))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400), st.integers(9, 200), st.randoms())
def test_payload_comes_back_from_pieces_in_any_order(payload, capacity, random):
    splitter = Splitter(capacity)
    pieces = pieces_of(splitter, payload)
    assert len(pieces) == splitter.pictures(len(payload))
    assert splitter.largest_payload(len(pieces)) >= len(payload)
    pieces += pieces[:2]
    random.shuffle(pieces)
    joined = splitter.join(pieces)
    assert joined.payload == payload
    assert not joined.missing


def test_exactly_the_missing_pictures_are_named():
    splitter = Splitter(48)
    pieces = [pair for pair in pieces_of(splitter) if pair[0] not in (7, 40, 41)]
    joined = splitter.join(reversed(pieces))
    assert joined.payload is None
    assert joined.missing == [7, 40, 41]
    assert "7, 40, 41" in joined.reason


def test_missing_header_is_said():
    splitter = Splitter(48)
    joined = splitter.join(pieces_of(splitter)[3:])
    assert joined.payload is None
    assert joined.missing[:3] == [0, 1, 2]
    assert "header" in joined.reason


def test_two_different_pieces_of_one_number_are_both_put_aside():
    splitter = Splitter(48)
    pieces = pieces_of(splitter)
    joined = splitter.join([*pieces, (5, 1 - pieces[5][1])])
    assert joined.payload is None
    assert joined.missing == [5]


@pytest.mark.parametrize("place", [0, 2, 3, 12, 14, 15, -1])
def test_any_changed_byte_is_found(place):
    frame = bytearray(make_frame(b"telemetry", stream=3, number=2))
    assert open_frame(bytes(frame)) == b"telemetry"
    frame[place] ^= 0x10
    with pytest.raises(InputError, match="payload"):
        open_frame(bytes(frame))


def test_foreign_newer_and_truncated_frames_are_told_apart():
    frame = make_frame(b"telemetry")
    with pytest.raises(InputError, match="another key"):
        open_frame(b"PK" + frame[2:])
    with pytest.raises(InputError, match="version 9"):
        open_frame(frame[:2] + b"\x09" + frame[3:])
    with pytest.raises(InputError, match="truncated"):
        open_frame(frame[:-1])


def test_header_with_an_absurd_length_is_refused_without_listing_what_is_missing():
    frame = bytearray(make_frame(bytes(100)))
    frame[7:11] = b"\xff\xff\xff\xff"
    joined = Splitter(48).join(enumerate(Splitter(48).split(bytes(frame))))
    assert joined.payload is None
    assert "length" in joined.reason
    assert not joined.missing


def test_frame_of_too_many_pictures_is_refused():
    assert len(Splitter(9).split(make_frame(bytes(80_000)))) > 65_536
    with pytest.raises(InputError, match="16777216"):
        Splitter(1).split(make_frame(bytes(3_000_000)))
