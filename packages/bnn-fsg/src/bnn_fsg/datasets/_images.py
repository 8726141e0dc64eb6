"""Labelled images: the embedded 8x8 digits, and readers of CIFAR and of folders of images. No pickled code runs."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError, require

from bnn_fsg.datasets import _cifar

CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
_PICTURES = {".png", ".webp", ".jpg", ".jpeg", ".bmp", ".ppm"}
_GREY = ("L", "1", "LA", "I;16", "I")  # modes of Pillow
_HELD_OUT = (1437, 1617)  # digits: first rows of validation and of test, in a fixed shuffled order


@dataclass(frozen=True)
class Images:
    """Labelled images in memory.

    Attributes:
        name: of the set and split.
        pixels: (n, channels, height, width) uint8.
        labels: (n,) int64, from 0.
        classes: how many classes there are.
        white: pixel value that becomes 1.0.
        mean, std: of the values 0..1, for `inputs`: one for all channels, or one for each.
        names: of the classes, in order; empty if they are only numbered.
    """

    name: str
    pixels: np.ndarray
    labels: np.ndarray
    classes: int
    white: int = 255
    mean: Sequence[float] = (0.5,)
    std: Sequence[float] = (0.5,)
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.labels):
            raise InputError(self.name, got="no image", expected="a split that is not empty")
        if self.pixels.ndim != 4 or self.pixels.dtype != np.uint8 or len(self.pixels) != len(self.labels):
            got = f"{self.pixels.dtype} {self.pixels.shape} for {len(self.labels)} labels"
            raise InputError(self.name, got=got, expected="uint8 (n, channels, height, width)")
        channels = self.pixels.shape[1]
        for key in ("mean", "std"):
            count = len(getattr(self, key))
            if count not in (1, channels):  # numpy would make as many channels of one
                expected = "1 value" if channels == 1 else f"1 value or {channels}"
                raise InputError(f"{key} of {self.name}", got=f"{count} values", expected=expected)
        wrong = (self.labels < 0) | (self.labels >= self.classes)
        if wrong.any():
            row = int(wrong.argmax())
            expected = f"a label from 0 to {self.classes - 1}"
            raise InputError(f"{self.name}, row {row}", got=f"label {self.labels[row]}", expected=expected)

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, rows: Any = slice(None)) -> np.ndarray:
        """(rows, channels, height, width) float32, normalised by channel."""
        shape = (1, -1, 1, 1)
        mean, std = (np.asarray(one, np.float32).reshape(shape) for one in (self.mean, self.std))
        return (self.pixels[rows].astype(np.float32) / np.float32(self.white) - mean) / std

    def first(self, count: int) -> Images:
        """The first `count` images (rows are shuffled already)."""
        return self.part(0, count)

    def part(self, begin: int, end: int | None) -> Images:
        """Rows from `begin` to before `end`."""
        rows = slice(begin, end)
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows])


def load(data: str | Path, split: str, size: tuple[int, int] | None = None) -> Images:
    """A split of "digits", or of a folder of CIFAR batches, of parquet shards, or of pictures in SPLIT/CLASS/.

    `size` is that of `image_folder`; the others stay as they are.
    """
    if data == "digits":
        return digits(split)
    folder = Path(data) / split
    if not _kinds(folder):
        return cifar(data, split)
    here, known = ([one.name for one in _kinds(Path(data) / part)] for part in (split, "train"))
    if here != known:  # labels are places in the list of names
        expected = f"those of train: {', '.join(known)}"
        raise InputError(f"classes of {folder}", got=", ".join(here), expected=expected)
    return image_folder(folder, size, grey=_all_grey(_files(Path(data) / "train")))


def digits(split: str) -> Images:
    """8x8 handwritten digits (UCI, CC BY 4.0): train (1,437), validation (180) or test (180)."""
    _one_of_splits(split, ("train", "validation", "test"))
    with np.load(Path(__file__).with_name("_digits.npz")) as kept:
        pixels, labels = kept["pixels"][:, None], kept["labels"].astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    begin, end = _HELD_OUT
    rows = {"train": order[:begin], "validation": order[begin:end], "test": order[end:]}[split]
    return Images(f"digits, {split}", pixels[rows], labels[rows], 10, 16)


def cifar(folder: str | Path, split: str) -> Images:
    """CIFAR-10 or -100 from the python batches or the hub's parquet shards in `folder`; split train or test."""
    folder = Path(folder)
    _one_of_splits(split, ("train", "test"))
    if not folder.is_dir():
        raise ArtifactError(folder, "is not there" if not folder.exists() else "is not a folder")
    if any(folder.rglob(f"{split}-*.parquet")):
        return parquet(folder, split)
    names = [f"data_batch_{number}" for number in range(1, 6)] if split == "train" else ["test_batch"]
    if (folder / split).is_file():  # CIFAR-100
        names = [split]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        got = f"no {missing[0]}, no {split}-*.parquet and no folder {split}/ with a folder of pictures for each class"
        raise InputError(f"data in {folder}", got=got, expected="one of these three layouts")
    pixels, labels, classes = [], [], 10
    for name in names:
        part, its, fine = _cifar.read(folder / name)
        classes = 100 if fine else classes
        pixels.append(part)
        labels.append(its)
    whole = np.concatenate(pixels), np.concatenate(labels)
    return Images(f"CIFAR-{classes}, {split}", *whole, classes, **_norm(3, cifar10=classes == 10))


def parquet(folder: str | Path, split: str) -> Images:
    """A split of images from `split-00000-of-0000N.parquet` shards (columns img or image, label or fine_label)."""
    reader = require("pyarrow.parquet", "bnn_fsg", "data")
    folder = Path(folder)
    shards = sorted(folder.rglob(f"{split}-*.parquet"))
    _check_shards(folder, split, shards)
    pixels, labels = [], []
    for shard in shards:
        try:
            table = reader.read_table(shard)
        except (OSError, ValueError) as error:
            raise ArtifactError(shard, f"is damaged, or not a parquet file ({str(error).splitlines()[0]})") from None
        image = next((name for name in ("img", "image") if name in table.column_names), None)
        label = next((name for name in ("label", "fine_label") if name in table.column_names), None)
        if image is None or label is None:
            got = f"columns {', '.join(table.column_names)}"
            raise InputError("parquet shard", got=got, expected="img (or image) and label (or fine_label)", where=shard)
        rows = ((f"{shard}, row {number}", row) for number, row in enumerate(table[image].to_pylist()))
        pixels += [_decode(_picture(row, where), where) for where, row in rows]
        labels.append(_labels(table[label], shard))
    whole = np.concatenate(labels)
    classes = _classes(shards[0], reader) or int(whole.max(initial=0)) + 1
    stack = _stack(pixels, str(folder))
    return Images(f"{folder.name}, {split}", stack, whole, classes, **_norm(stack.shape[1], cifar10=classes == 10))


def image_folder(folder: str | Path, size: tuple[int, int] | None = None, *, grey: bool | None = None) -> Images:
    """Images in a folder a class, as torchvision's ImageFolder has them; classes by name.

    They are of one size, or resized to `size`, height and width, whatever their own proportions are. With `grey` true
    they are read as one channel, else as three; if omitted, as one channel only where every picture is grey.
    """
    folder = Path(folder)
    kinds = _kinds(folder)
    files = _files(folder)
    empty = [kind.name for label, kind in enumerate(kinds) if not any(its == label for _, its in files)]
    if not files or empty:
        got = f"no image in {', '.join(empty)}" if files else "no image"
        expected = f"a folder of images ({', '.join(sorted(_PICTURES))}) for each class"
        raise InputError(f"image folder {folder}", got=got, expected=expected)
    grey = _all_grey(files) if grey is None else grey
    order = np.random.default_rng(0).permutation(len(files))
    pixels = [_decode(files[row][0].read_bytes(), str(files[row][0]), size, grey=grey) for row in order]
    labels = np.array([files[row][1] for row in order], np.int64)
    stack = _stack(pixels, str(folder))
    names = tuple(kind.name for kind in kinds)
    return Images(folder.name, stack, labels, len(kinds), **_norm(stack.shape[1], cifar10=True), names=names)


def picture(path: str | Path, channels: int, size: tuple[int, int]) -> np.ndarray:
    """A picture file as (height, width, channels) uint8, resized to `size`: grey for one channel, else in colours."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"picture {path}", got="no such file", expected="a picture file or a folder of pictures")
    return _decode(path.read_bytes(), str(path), size, grey=channels == 1).transpose(1, 2, 0)


def pictures_in(folder: Path) -> list[Path]:
    """Picture files in a folder and in its subfolders, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES)


def _kinds(folder: Path) -> list[Path]:
    """Folders of the classes."""
    return sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Pictures of a folder, each with the index of its class."""
    files = [(path, label) for label, kind in enumerate(_kinds(folder)) for path in sorted(kind.rglob("*"))]
    return [one for one in files if one[0].suffix.lower() in _PICTURES]


def _all_grey(files: Sequence[tuple[Path, int]]) -> bool:
    """Whether every picture is grey; only headers are read, and `_decode` names a file that is damaged."""
    image = require("PIL.Image", "bnn_fsg", "data")
    for path, _ in files:
        try:
            with image.open(path) as opened:
                if opened.mode not in _GREY:
                    return False
        except (OSError, ValueError):
            continue
    return True


def _norm(channels: int, *, cifar10: bool) -> dict[str, Any]:
    """Mean and std: those published for CIFAR-10 where they are asked for and the pictures have colours, else 0.5."""
    return {"mean": CIFAR10_MEAN, "std": CIFAR10_STD} if cifar10 and channels == 3 else {"mean": (0.5,), "std": (0.5,)}


def _one_of_splits(split: str, known: Sequence[str]) -> None:
    if split not in known:
        raise InputError("split", got=repr(split), expected=f"one of {', '.join(known)}")


def _picture(row: Any, where: str) -> bytes:
    """The bytes of a cell: as they are, or next to their path as the hub keeps them."""
    found = row.get("bytes") if isinstance(row, dict) else row
    if not isinstance(found, bytes):
        got = "none" if found is None else type(found).__name__
        raise InputError("image", got=got, expected="the bytes of a picture", where=where)
    return found


def _labels(column: Any, shard: Path) -> np.ndarray:
    rows = column.to_pylist()
    if None in rows:
        where = f"{shard}, row {rows.index(None)}"
        raise InputError("label", got="none", expected="a whole number", where=where)
    found = np.asarray(rows)
    if len(rows) and found.dtype.kind not in "iu":
        raise InputError("label", got=column.type, expected="whole numbers", where=shard)
    return found.astype(np.int64)


def _classes(shard: Path, reader: Any) -> int:
    """How many classes the hub's metadata of a shard name; 0 if none."""
    about = (reader.read_schema(shard).metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(about).get("info", {}).get("features", {})
    for label in ("label", "fine_label"):
        if label in features:
            return len(features[label].get("names", []))
    return 0


def _check_shards(folder: Path, split: str, shards: Sequence[Path]) -> None:
    found: dict[int, Path] = {}
    total = 0
    for shard in shards:
        match = re.fullmatch(rf"{re.escape(split)}-(\d+)-of-(\d+)\.parquet", shard.name)
        if match is None:
            raise InputError("parquet shard", got=shard.name, expected=f"{split}-00000-of-0000N.parquet", where=folder)
        number, of = map(int, match.groups())
        if number in found or (total and of != total):
            got = f"both {found.get(number, shards[0])} and {shard}"
            raise InputError("parquet shards", got=got, expected="each once")
        found[number], total = shard, of
    missing = [number for number in range(total) if number not in found]
    if missing or not shards:
        got = f"no shard {missing[0]} of {total}" if missing else "none"
        raise InputError(f"parquet shards of {split}", got=got, expected="all of them", where=folder)


def _decode(data: bytes, where: str, size: tuple[int, int] | None = None, *, grey: bool | None = None) -> np.ndarray:
    """(channels, height, width) uint8: one channel with `grey`, three without, its own if omitted.

    Sixteen bits are scaled to eight; transparent parts become white.
    """
    image = require("PIL.Image", "bnn_fsg", "data")
    try:
        with image.open(io.BytesIO(data)) as opened:
            if opened.format == "JPEG" and opened.size == (32, 32):
                cost = "such copies of CIFAR cost a good network 10 points; use a lossless one"
                warnings.warn(f"{where} is a 32x32 JPEG: {cost}", stacklevel=2)
            grey = opened.mode in _GREY if grey is None else grey
            plain = _flat(opened, image).convert("L" if grey else "RGB")
            array = np.asarray(plain if size is None else plain.resize(size[::-1]))
    except (OSError, ValueError):
        raise InputError("image", got="a damaged file", expected="a picture that Pillow reads", where=where) from None
    return array[None] if grey else array.transpose(2, 0, 1)


def _flat(opened: Any, image: Any) -> Any:
    """The picture in eight bits, on white where it is transparent."""
    if opened.mode in ("I;16", "I"):  # Pillow would clip at 255
        return image.fromarray((np.asarray(opened) >> 8).clip(0, 255).astype(np.uint8))
    if "A" not in opened.getbands() and "transparency" not in opened.info:
        return opened
    opened = opened.convert("RGBA")
    return image.alpha_composite(image.new("RGBA", opened.size, "white"), opened)


def _stack(pixels: Sequence[np.ndarray], where: str) -> np.ndarray:
    shapes = {one.shape for one in pixels}
    if len(shapes) > 1:
        hint = "resize the pictures of a folder with --size 32" if len({one[0] for one in shapes}) == 1 else None
        raise InputError(f"images of {where}", got=f"shapes {sorted(shapes)[:3]}", expected="one shape", hint=hint)
    return np.stack(pixels) if pixels else np.zeros((0, 3, 1, 1), np.uint8)
