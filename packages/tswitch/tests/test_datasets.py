import csv
import gzip
import os
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import ArtifactError, InputError
from tswitch import datasets
from tswitch.datasets._text_data import build_task, read_rows, text_hash

needs_data = pytest.mark.skipif(not os.environ.get("NINEFOLD_DATA"), reason="NINEFOLD_DATA is not set")


def rows(*triples):
    return [dict(zip(("split", "label", "text"), triple, strict=True)) for triple in triples]


@pytest.mark.parametrize(("name", "classes"), [("banking77", 77), ("snips", 7), ("clinc150", 150)])
def test_embedded_slices_have_all_classes_in_every_split(name, classes):
    task = datasets.text_task(name, source="embedded")
    assert len(task.classes) == classes
    for split in (task.train, task.validation, task.test):
        assert len(split.texts) == len(split.labels)
        assert split.labels.min() >= 0
        assert split.labels.max() < classes
    assert set(task.train.labels) == set(task.test.labels) == set(range(classes))


@pytest.mark.parametrize("name", datasets.OPEN12)
def test_splits_share_no_text(name):
    task = datasets.text_task(name, source="embedded")
    parts = [set(split.texts) for split in (task.train, task.validation, task.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_clinc_domains_partition_the_whole_set():
    whole = datasets.text_task("clinc150", source="embedded")
    parts = datasets.text_tasks([f"clinc150/{domain}" for domain in datasets.CLINC_DOMAINS], source="embedded")
    assert sum(len(part.test) for part in parts.values()) == len(whole.test)
    assert sorted(c for part in parts.values() for c in part.classes) == sorted(whole.classes)


def test_embedded_files_stay_small_and_carry_their_licence():
    folder = files("tswitch") / "embedded"
    sizes = {file.name: len(file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".gz")}
    assert set(sizes) == {f"{name}.csv.gz" for name in datasets.EMBEDDED_SETS}
    assert sum(sizes.values()) < 310_000
    notice = (folder / "LICENSE.md").read_text()
    assert all(f"`{name}`" in notice for name in sizes)


def test_out_of_scope_rows_belong_to_no_task():
    outside = set(datasets.out_of_scope(source="embedded"))
    assert len(outside) == 300
    assert not outside & set(datasets.text_task("clinc150", source="embedded").train.texts)


@pytest.mark.parametrize("name", ["nosuch", "snips/travel", "clinc150/nosuch", "sst2"])
def test_unknown_task_is_refused_by_name(name):
    with pytest.raises(InputError, match=name):
        datasets.text_task(name, source="embedded")


@needs_data
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "sizes"),
    [("sst2", (872, 1821)), ("trec", (None, 500)), ("banking77", (None, 3080)), ("clinc150", (3000, 4500))],
)
def test_real_sets_keep_their_published_test_split(name, sizes):
    task = datasets.text_task(name)
    held, test = sizes
    assert len(task.test) == test
    assert held is None or len(task.validation) == held


@needs_data
@pytest.mark.data
def test_rows_without_own_validation_split_are_held_back_by_text():
    task = datasets.text_task("trec")
    share = len(task.validation) / (len(task.validation) + len(task.train))
    assert 0.07 < share < 0.13
    assert all(text_hash(text, "validation:") % 10 == 0 for text in task.validation.texts)


@given(st.lists(st.text(alphabet="ab cd", min_size=1).filter(str.strip), min_size=8, max_size=40, unique=True))
def test_written_rows_come_back(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("rows") / "rows.csv.gz"
    made = rows(*(("train", str(index % 2), text) for index, text in enumerate(texts)))
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["split", "label", "text"])
        writer.writeheader()
        writer.writerows(made)
    assert read_rows(path) == made


def test_text_in_several_splits_stays_in_the_last_one():
    task = build_task(
        "x",
        rows(
            ("train", "a", "one"),
            ("train", "b", "two"),
            ("train", "a", "three"),
            ("train", "a", "four"),
            ("validation", "a", "three"),
            ("validation", "b", "two b"),
            ("test", "a", "one"),
        ),
    )
    assert (task.train.texts, task.validation.texts, task.test.texts) == (("two", "four"), ("three", "two b"), ("one",))


def test_limited_rows_are_the_same_each_time_and_keep_class_shares():
    task = datasets.text_task("snips", source="embedded")
    one, two = task.limited(test=70).test, task.limited(test=70).test
    assert one.texts == two.texts
    counts = np.bincount(one.labels, minlength=7)
    assert counts.min() >= 9
    assert counts.max() <= 11
    assert set(task.limited(test=35).test.texts) <= set(one.texts)


def test_digest_follows_training_rows_and_not_test_rows():
    task = datasets.text_task("snips", source="embedded")
    assert task.limited(test=10).digest == task.digest
    assert task.limited(train=100).digest != task.digest


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no columns", "lacks the column"),
        (gzip.compress(b"split,text\ntrain,x\n"), "label"),
        (gzip.compress(b"split,label,text\ntrain,a\n"), "line 2"),
        (gzip.compress(b"split,label,text\ntrain,a,x\ntrain,a,  \n"), "line 3"),
        (gzip.compress(b"split,label,text\ntrain,a,\xff\n"), "UTF-8"),
        (gzip.compress(b"split,label,text\n" * 50)[:20], "plain or gzipped"),
    ],
    ids=["no header", "no label", "short row", "blank text", "bytes", "cut"],  # gzip's bytes hold the time
)
def test_damaged_rows_are_refused_with_file_and_line(tmp_path, content, reason):
    path = tmp_path / "bad.csv.gz"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=reason) as error:
        read_rows(path)
    assert "bad.csv.gz" in str(error.value)


def test_labels_that_train_lacks_are_refused():
    made = rows(("train", "a", "x"), ("validation", "a", "y"), ("test", "b", "z"))
    with pytest.raises(InputError, match=r"test labels.*'b'"):
        build_task("x", made)


def test_empty_split_is_refused():
    with pytest.raises(InputError, match="no test rows"):
        build_task("x", rows(("train", "a", "x"), ("validation", "a", "y")))


def test_wheel_target_includes_the_embedded_files():
    """`.gitignore` patterns make the build backend drop files: these must not match any."""
    import subprocess
    from pathlib import Path

    package = Path(__file__).parents[1] / "src" / "tswitch" / "embedded"
    if not package.is_dir():
        pytest.skip("runs in the source tree only")
    done = subprocess.run(
        ["git", "check-ignore", *map(str, package.iterdir())], capture_output=True, text=True, cwd=package
    )
    assert done.returncode == 1, done.stdout
