"""Folder artefacts: a manifest that covers each byte, and one wording for what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ninefold.artifacts import FolderArtifact, save, write_folder
from ninefold.errors import ArtifactError, version_of
from ninefold.files import _atomic, digest, recover

SAMPLES = Path(__file__).parent / "samples"
KIND = {"kind": "test.model", "format_version": 1}


def write(path, word="one", **more):
    meta = {}
    with write_folder(path, **KIND, package="ninefold", meta=meta, **more) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "words.txt").write_text(word)
        (folder / "README.md").write_text("for people")
        save(folder / "x.safetensors", {"a": np.arange(9)}, kind="test.x", format_version=1, package="ninefold")
        meta["words"] = len(word)
    return path


def read(path, version=1):
    held = FolderArtifact(path, kind="test.model", format_version=version)
    held.verify()
    return held


def test_folder_comes_back_with_its_meta(tmp_path):
    held = read(write(tmp_path / "d"))
    assert held.meta == {"words": 3}
    assert (held.about["kind"], held.about["package_version"]) == ("test.model", version_of("ninefold"))
    assert held.names == ["sub/words.txt", "x.safetensors"]
    assert held.file("sub/words.txt").read_text() == "one"
    assert held.arrays("x.safetensors", kind="test.x", format_version=1).numpy("a").tolist() == list(range(9))
    seen = []
    held.verify(seen.append)
    assert seen == held.names
    with pytest.raises(ArtifactError, match=r"d: has no file 'README.md'"):
        held.file("README.md")


def test_same_content_gives_the_same_bytes(tmp_path):
    manifests = [(write(tmp_path / name) / "ninefold.json").read_bytes() for name in "ab"]
    assert manifests[0] == manifests[1]


def test_sample_of_format_1_loads():
    held = read(SAMPLES / "folder-1")
    assert held.meta == {"words": 3}
    assert held.file("sub/words.txt").read_text() == "one"


def test_each_changed_byte_is_noticed_and_documents_may_change(tmp_path):
    folder = write(tmp_path / "d")
    (folder / "README.md").write_text("edited")
    (folder / "more.txt").write_text("mine")
    read(folder)
    for file in ("ninefold.json", "x.safetensors", "sub/words.txt"):
        whole = (folder / file).read_bytes()
        for at in range(len(whole)):
            (folder / file).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(ArtifactError, match=Path(file).name):
                read(folder)
        (folder / file).write_bytes(whole)
    read(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: shutil.rmtree(folder), "d: is not there"),
        (lambda folder: (shutil.rmtree(folder), folder.write_text("")), "d: is not a folder"),
        (lambda folder: (folder / "ninefold.json").unlink(), "d: has no ninefold.json, so it is no test.model"),
        (lambda folder: (folder / "ninefold.json").write_text("[]"), "ninefold.json: is damaged, or not one that Nine"),
        (lambda folder: (folder / "ninefold.json").write_text("{}"), "ninefold.json: is damaged, or not one that Nine"),
        (lambda folder: (folder / "sub" / "words.txt").unlink(), r"words.txt: is not there"),
        (lambda folder: (folder / "sub" / "words.txt").write_text("on"), r"words.txt: is truncated .*2 bytes.*says 3"),
    ],
)
def test_what_is_wrong_is_said_when_the_folder_is_opened(tmp_path, change, reason):
    folder = write(tmp_path / "d")
    change(folder)
    with pytest.raises(ArtifactError, match=reason):
        FolderArtifact(folder, **KIND)


def test_file_is_checked_when_it_is_used(tmp_path):
    folder = write(tmp_path / "d")
    (folder / "sub" / "words.txt").write_text("two")
    held = FolderArtifact(folder, **KIND)
    with pytest.raises(ArtifactError, match=r"words.txt: is damaged: it does not match its digest in ninefold.json"):
        held.file("sub/words.txt")
    save(folder / "x.safetensors", {"a": np.arange(1, 10)}, kind="test.x", format_version=1, package="ninefold",
         force=True)  # fmt: skip
    assert held.arrays("x.safetensors", kind="test.x", format_version=1).numpy("a")[0] == 0  # what it opened
    with pytest.raises(ArtifactError, match=r"words.txt: is damaged|x.safetensors: is (damaged|truncated)"):
        FolderArtifact(folder, **KIND).arrays("x.safetensors", kind="test.x", format_version=1)


def test_other_kinds_and_newer_formats_are_refused(tmp_path):
    folder = write(tmp_path / "d")
    with pytest.raises(ArtifactError, match=r"ninefold.json: holds a test.model, not a test.other"):
        FolderArtifact(folder, kind="test.other", format_version=1)
    text = (folder / "ninefold.json").read_text().replace('"format_version": 1', '"format_version": 7')
    (folder / "ninefold.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"has format version 7, newer than 1.*update ninefold \(written by"):
        read(folder)


def test_force_replaces_the_same_kind_and_nothing_else(tmp_path):
    folder = write(tmp_path / "d")
    with pytest.raises(ArtifactError, match="d: exists already"):
        write(folder)
    write(folder, "other", force=True)
    assert read(folder).meta == {"words": 5}
    with pytest.raises(ArtifactError, match=r"d: refusing to replace: .* not written by test.index"):  # noqa: SIM117
        with write_folder(folder, kind="test.index", format_version=1, package="ninefold", force=True):
            pytest.fail("the block must not run")
    with write_folder(folder, kind="test.index", format_version=1, package="ninefold", force=True, ours="ninefold"):
        pass
    FolderArtifact(folder, kind="test.index", format_version=1)


def test_input_that_lies_in_the_folder_is_not_lost(tmp_path):
    folder = write(tmp_path / "d")
    (folder / "ratings.csv").write_text("mine")
    with pytest.raises(ArtifactError, match=r"d: refusing to replace: ratings.csv in it was not written by test.model"):
        write(folder, force=True)
    assert (folder / "ratings.csv").read_text() == "mine"


def test_folder_that_a_killed_writer_moved_aside_is_put_back_by_its_reader(tmp_path):
    write(tmp_path / "d")
    (tmp_path / "d").rename(tmp_path / ".d.0123456789abcdef.old")
    (tmp_path / ".d.0123456789abcdef.tmp").mkdir()
    assert read(tmp_path / "d").meta == {"words": 3}
    assert recover(tmp_path / "d") is None


def test_exchange_that_the_file_system_lacks_is_two_renames(tmp_path, monkeypatch):
    monkeypatch.setattr(_atomic, "_exchange", lambda *_: False)
    folder = write(tmp_path / "d")
    write(folder, "other", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert read(folder).meta == {"words": 5}


def test_manifest_digest_is_over_canonical_json(tmp_path):
    about = json.loads((write(tmp_path / "d") / "ninefold.json").read_text())
    own = about.pop("digest")
    assert own == digest(json.dumps(about, sort_keys=True).encode())
