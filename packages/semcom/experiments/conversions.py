"""How the data files of semcom are made of what their sources hold (`ninefold data get semcom`)."""

from __future__ import annotations

import base64
import csv
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from PIL import Image

_DRAWN = Path(__file__).with_name("drawn.txt")  # which pictures, as bits over the sorted names of the source


def kodak(sources: Sequence[Path], side: str = "") -> bytes:
    """A picture as lossless WebP, whole or its central square."""
    picture = Image.open(sources[0]).convert("RGB")
    return _webp(_square(picture, int(side)) if side else picture, lossless=True, quality=100, method=6)


def cifar(sources: Sequence[Path]) -> bytes:
    """A zip file of lossless WebP pictures, drawn from an archive of PNG files."""
    drawn = _drawn(sources[0], ".png", "cifar10")
    return _zip(((f"{name[:-4]}.webp", _webp(_opened(data), lossless=True)) for name, data in drawn), 2024)


def cifar_table(sources: Sequence[Path]) -> bytes:
    """split, class, noun and file of each drawn picture of CIFAR-10."""
    rows = []
    for name, _ in _drawn(sources[0], ".png", "cifar10"):
        split, kind, file = name.split("/")
        rows.append([split, kind, file.rsplit("_s_", 1)[0].replace("_", " "), f"{name[:-4]}.webp"])
    return _table(["split", "class", "noun", "file"], rows)


def caltech(sources: Sequence[Path], form: str) -> bytes:
    """A zip file of the drawn pictures of Caltech-101: `full` as they are, `96` cut square and small."""
    pictures = ((f"{split}/{kind}/{file}", data) for split, kind, file, data in _caltech(sources[0]))
    if form == "full":
        return _zip(pictures, 2020)
    small = ((name, _square(_opened(data), 0).resize((96, 96), Image.Resampling.LANCZOS)) for name, data in pictures)
    return _zip(((f"{name[:-4]}.webp", _webp(one, quality=92, method=6)) for name, one in small), 2024)


def caltech_table(sources: Sequence[Path], form: str) -> bytes:
    """split, class and file of each drawn picture of Caltech-101, with its size where it is whole."""
    rows: list[list[object]] = []
    for split, kind, file, data in _caltech(sources[0]):
        row: list[object] = [split, kind.lower().replace("_", " ")]
        name = f"{split}/{kind}/{file}"
        rows.append([*row, name, *_opened(data).size] if form == "full" else [*row, f"{name[:-4]}.webp"])
    return _table(["split", "class", "file", *(["width", "height"] if form == "full" else [])], rows)


def _caltech(archive: Path) -> Iterator[tuple[str, str, str, bytes]]:
    """(split, category, file, bytes); every seventh of a category is for tests."""
    place: dict[str, int] = {}
    for name, data in _drawn(archive, ".jpg", "caltech101"):
        _, kind, file = name.split("/")
        place[kind] = place.get(kind, 0) + 1
        yield "train" if place[kind] % 7 else "test", kind, file, data


@cache
def _drawn(archive: Path, ending: str, name: str) -> list[tuple[str, bytes]]:
    """(name in the repository, bytes) of the pictures that were drawn, by name."""
    lines = dict(line.split(" ") for line in _DRAWN.read_text(encoding="ascii").splitlines())
    bits = zlib.decompress(base64.b85decode(lines[name]))
    with tarfile.open(archive) as file:
        members = {member.name.partition("/")[2]: member for member in file if member.name.endswith(ending)}
        chosen = {one for place, one in enumerate(sorted(members)) if bits[place // 8] >> place % 8 & 1}
        held = {one: file.extractfile(member).read() for one, member in members.items() if one in chosen}  # type: ignore[union-attr]
    return sorted(held.items())


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _square(picture: Image.Image, side: int) -> Image.Image:
    """The central square, of the whole height or width where no side is given."""
    side = side or min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    return picture.crop((left, top, left + side, top + side))


def _webp(picture: Image.Image, **options: int | bool) -> bytes:
    made = io.BytesIO()
    picture.save(made, "WEBP", **options)
    return made.getvalue()


def _zip(files: Iterable[tuple[str, bytes]], year: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, data in files:
            about = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
            about.external_attr = (0o600 if year == 2020 else 0o644) << 16
            file.writestr(about, data)
    return made.getvalue()


def _table(columns: list[str], rows: Iterable[Sequence[object]]) -> bytes:
    made = io.StringIO(newline="")
    csv.writer(made, lineterminator="\n").writerows([columns, *rows])
    return made.getvalue().encode()
