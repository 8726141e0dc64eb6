import json

import numpy as np
import pytest
from ninefold.errors import ArtifactError
from proteus.record._journal import Journal, read_journal


@pytest.fixture
def written(tmp_path):
    journal = Journal(tmp_path / "events.jsonl")
    for place in range(5):
        journal.append("step", place=place, effect=np.float64(0.1) * place, gone=float("nan"), word="β")
    return journal


def test_events_come_back_as_they_were_written(written):
    events = read_journal(written.path)
    assert [one.data["place"] for one in events] == list(range(5))
    assert events[3].data == {"place": 3, "effect": 0.1 * 3, "gone": None, "word": "β"}
    assert events[-1].hash == written.tip


def test_the_same_events_give_the_same_bytes(written, tmp_path):
    again = Journal(tmp_path / "again.jsonl")
    for event in written.events:
        again.append(event.kind, **event.data)
    assert again.path.read_bytes() == written.path.read_bytes()


def test_a_half_line_is_cut_off_and_the_chain_goes_on(written):
    whole = written.path.read_bytes()
    written.path.write_bytes(whole + b'{"n": 5, "ki')
    with pytest.raises(ArtifactError, match="ends inside a line"):
        read_journal(written.path)
    journal = Journal(written.path)
    assert journal.tip == written.tip
    journal.append("finish")
    assert len(read_journal(written.path)) == 6


@pytest.mark.parametrize("damage", ["edit", "drop", "swap", "insert", "binary"])
def test_a_change_names_its_line(written, damage):
    lines = written.path.read_bytes().splitlines(keepends=True)
    if damage == "edit":
        lines[2] = lines[2].replace(b'"place": 2', b'"place": 7')
    elif damage == "drop":
        del lines[2]
    elif damage == "swap":
        lines[2], lines[3] = lines[3], lines[2]
    elif damage == "insert":
        lines.insert(2, lines[0])
    else:
        lines[2] = b"\xff\xfe\n"
    written.path.write_bytes(b"".join(lines))
    with pytest.raises(ArtifactError, match=r"events\.jsonl: line 3 was changed"):
        read_journal(written.path)


def test_an_edit_with_its_own_hash_mended_breaks_at_the_next_line(written):
    from proteus.record._journal import _hash

    lines = [json.loads(line) for line in written.path.read_text().splitlines()]
    lines[1]["data"]["place"] = 9
    lines[1]["hash"] = _hash(lines[0]["hash"], 1, "step", lines[1]["data"])
    written.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ArtifactError, match="line 3"):
        read_journal(written.path)


def test_a_missing_journal_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="is missing"):
        read_journal(tmp_path / "events.jsonl")
