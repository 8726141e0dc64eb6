"""Who wrote what is at a path: `--force` replaces nothing else, and an output path is judged before the work."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from ninefold import artifacts
from ninefold.errors import ArtifactError
from ninefold.files import (
    atomic_file,
    atomic_folder,
    foreign,
    judge_out,
    mark,
    refuse_existing,
    starts_with,
    write_text,
)
from ninefold.report import figure, html_page, save_figure
from ninefold.run import Run


def array_file(path, package="ours"):
    artifacts.save(path, {"a": np.arange(3)}, kind=f"{package}.thing", format_version=1, package=package)


def description(path, names, **about):
    path.write_text(json.dumps({"format_version": 1, "files": dict.fromkeys(names), **about}))


@pytest.mark.parametrize("ours", ["ours", "ours.thing", None])
def test_array_file_is_recognised_by_package_or_kind(tmp_path, ours):
    array_file(tmp_path / "x.safetensors")
    assert list(foreign(tmp_path / "x.safetensors", ours)) == []
    assert list(foreign(tmp_path / "x.safetensors", "other")) == ["x.safetensors"]


@pytest.mark.parametrize("before", [0, 100, 70_000])
@pytest.mark.parametrize("after", [0, 100, 70_000])
def test_mark_is_found_near_either_end(tmp_path, before, after):
    (tmp_path / "x").write_bytes(b"\x89PNG" + b"x" * before + mark("our-s.page").encode() + b'"' + b"x" * after)
    near = before == 0 or after == 0 or 100 in (before, after)
    for ours in ("our_s", "our-s.page", None):
        assert list(foreign(tmp_path / "x", ours)) == ([] if near else ["x"])
    assert list(foreign(tmp_path / "x", "our-s.pages")) == ["x"]


def test_pictures_and_pages_of_the_house_are_recognised(tmp_path):
    picture, axes = figure()
    axes.plot(range(9))
    save_figure(picture, tmp_path / "x.png", "ours")
    assert list(foreign(tmp_path / "x.png", "ours")) == []
    picture.savefig(tmp_path / "mine.png")
    assert list(foreign(tmp_path / "mine.png")) == ["mine.png"]
    (tmp_path / "x.html").write_text(html_page("t", []))
    assert list(foreign(tmp_path / "x.html", "ninefold")) == []


@pytest.mark.parametrize("text", ["", "mine", "ninefold", '{"format_version": 1}'])
def test_file_of_the_user_is_refused_even_with_force(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(ArtifactError, match=r"x: exists already.*--force"):
        refuse_existing(tmp_path / "x", force=False, ours="ours")
    with pytest.raises(ArtifactError, match=r"x: refusing to replace: it was not written by ours; use another path"):
        write_text(tmp_path / "x", "new", force=True, ours="ours")
    assert (tmp_path / "x").read_text() == text


def test_csv_file_is_recognised_by_its_columns(tmp_path):
    ours = starts_with("user,item\n")
    (tmp_path / "x").write_bytes(b"user,item\r\n1,2\r\n")
    write_text(tmp_path / "x", "user,item\n", force=True, ours=ours)
    for text in ("user,item,when\n", "user,ite", "", "x" * 99):
        (tmp_path / "x").write_text(text)
        with pytest.raises(ArtifactError, match="to replace"), atomic_file(tmp_path / "x", force=True, ours=ours):
            pytest.fail("the block must not run")


def test_link_to_ours_is_written_through_and_a_dangling_one_is_refused(tmp_path):
    array_file(tmp_path / "x")
    (tmp_path / "link").symlink_to("x")
    write_text(tmp_path / "link", "new", force=True, ours="ours")
    assert (tmp_path / "x").read_text() == "new"
    (tmp_path / "x").unlink()
    with pytest.raises(ArtifactError, match="link: refusing to replace"):
        refuse_existing(tmp_path / "link", force=True)


@pytest.mark.parametrize("about", [{"package": "ours"}, {"kind": "ours.thing"}, {"kind": "ours.thing", "package": "p"}])
def test_folder_is_replaced_if_its_description_lists_all(tmp_path, about):
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "sub").mkdir()
        for name in ("y", "sub/z"):
            (folder / name).write_text("")
        description(folder / "model.json", ["y", "sub/z"], **about)
        array_file(folder / "more.safetensors")
    ours = about.get("kind", "ours")
    with pytest.raises(ArtifactError, match=r"d: exists already"):
        refuse_existing(tmp_path / "d", force=False, ours=ours)
    with pytest.raises(ArtifactError, match=r"to replace: model.json, more.safetensors, y, sub/z in it was not"):
        refuse_existing(tmp_path / "d", force=True, ours="others")
    with atomic_folder(tmp_path / "d", force=True, ours=ours) as folder:
        (folder / "new").write_text("")
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("add", "named"),
    [
        (lambda folder: (folder / "mine.csv").write_text(""), "mine.csv"),
        (lambda folder: (folder / "sub").mkdir(), "sub/"),
        (lambda folder: (folder / "sub" / "deep").mkdir(parents=True), "sub/deep/"),
        (lambda folder: (folder / "link").symlink_to("y"), "link"),
        (lambda folder: (folder / "linked").symlink_to(".."), "linked"),
        (lambda folder: array_file(folder / "x.safetensors", "another"), "x.safetensors"),
        (lambda folder: description(folder / "z.json", ["z.json"]), "z.json"),
        (lambda folder: (folder / "y.json").write_text("not json"), "y.json"),
        (lambda folder: [(folder / f"m{n}").write_text("") for n in range(9)], "m0, m1, m2, m3, m4 and 4 more"),
    ],
)
def test_folder_with_anything_foreign_is_refused_by_name_and_kept(tmp_path, add, named):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "y").write_text("")
    description(folder / "ninefold.json", ["y"], package="ours")
    refuse_existing(folder, force=True, ours="ours")
    add(folder)
    with pytest.raises(ArtifactError) as caught, atomic_folder(folder, force=True, ours="ours"):
        pytest.fail("the block must not run")
    expected = f"{folder}: refusing to replace: {named} in it was not written by ours; use another path"
    assert str(caught.value) == expected
    assert (folder / "y").exists()


def test_foreign_files_are_counted_up_to_a_thousand(tmp_path):
    for number in range(1_001):
        (tmp_path / f"{number:04}").touch()
    with pytest.raises(ArtifactError, match="0004 and 995 or more"):
        refuse_existing(tmp_path, force=True)


def test_free_places_are_fit_and_nothing_is_made(tmp_path):
    for what in ("new", "file", "folder", "run", "into"):
        judge_out(tmp_path / "a" / "b", what=what)
    (tmp_path / "empty").mkdir()
    for what in ("new", "folder", "run", "into"):
        judge_out(tmp_path / "empty", what=what)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_unfit_places_are_named_before_the_work(tmp_path):
    (tmp_path / "x").write_text("mine")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "y").write_text("mine")
    for what in ("new", "file", "folder", "run", "into"):
        with pytest.raises(ArtifactError, match=r"x/y/z: cannot be made: \S+x is a file"):
            judge_out(tmp_path / "x" / "y" / "z", what=what)
        with pytest.raises(ArtifactError, match=r"x: (exists already|is a file, not a folder|holds something)"):
            judge_out(tmp_path / "x", what=what)
    for what in ("new", "folder", "run"):
        with pytest.raises(ArtifactError, match="d: exists already"):
            judge_out(tmp_path / "d", what=what)
    with pytest.raises(ArtifactError, match="d: is a folder, not a file"):
        judge_out(tmp_path / "d", what="file", force=True)
    judge_out(tmp_path / "d", what="into")


def test_begun_run_may_go_on(tmp_path):
    Run(tmp_path / "run", {}).close()
    judge_out(tmp_path / "run", what="run")
    with pytest.raises(ArtifactError, match="exists already"):
        judge_out(tmp_path / "run")
    (tmp_path / "run" / ".lock").unlink()  # as copied by a tool that leaves hidden files out
    judge_out(tmp_path / "run", what="run")


def test_run_that_was_killed_before_its_first_byte_may_go_on(tmp_path):
    (tmp_path / ".lock").touch()
    judge_out(tmp_path, what="run")
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ArtifactError, match="exists already"):
        judge_out(tmp_path, what="run")


def test_place_without_rights_is_named(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "access", lambda place, mode: asked.append(place))  # the tests may run as root
    with pytest.raises(ArtifactError, match=r"a/b: cannot be written: no rights in \S+"):
        judge_out(tmp_path / "a" / "b")
    assert asked == [tmp_path]


def test_place_that_may_not_even_be_looked_at_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("ninefold.files._owner.recover", refuse)
    with pytest.raises(ArtifactError, match="x: cannot be written: no rights in"):
        judge_out(tmp_path / "x")
