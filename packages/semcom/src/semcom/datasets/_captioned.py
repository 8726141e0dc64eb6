"""Named sets with a caption and a class for each picture."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from PIL import Image

from semcom.datasets._pictures import cut_tiles
from semcom.datasets._sets import embedded_photographs, load, members, spread, zip_of

TEMPLATES = ("a photo of a {}", "a picture of a {}", "{}", "a small photo of a {}", "the {}")
_EMBEDDED = {"astronaut": "astronaut", "chelsea": "cat", "coffee": "cup of coffee", "rocket": "rocket"}


@dataclass(frozen=True)
class Captioned:
    """Pictures with what they show.

    Attributes:
        images: (n, H, W, 3) uint8.
        nouns: n words, such as `station wagon`.
        labels: (n,) int64, numbers of the classes.
        classes: names of the classes.
    """

    images: np.ndarray
    nouns: list[str]
    labels: np.ndarray
    classes: list[str]

    @property
    def captions(self) -> list[str]:
        """A caption of each picture."""
        return [caption(noun) for noun in self.nouns]

    def taken(self, rows: np.ndarray) -> Captioned:
        """Some of the pictures."""
        return Captioned(self.images[rows], [self.nouns[row] for row in rows], self.labels[rows], self.classes)


def caption(noun: str, template: int = 0) -> str:
    """A caption of a noun, by one of five templates."""
    text = TEMPLATES[template].format(noun)
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


def load_captioned(name: str, split: str = "test", limit: int | None = None) -> Captioned:
    """Pictures of a named set with captions and classes.

    Args:
        name: `cifar10` (10 classes, 349 nouns), `caltech101` (99 classes), or `embedded` (four photographs in tiles).
        split, limit: see `load`.
    Raises:
        InputError: for a set without captions.
    """
    if name == "embedded":
        found = {key: cut_tiles([picture], 32)[0] for key, picture in embedded_photographs().items()}
        counts = [len(part) for part in found.values()]
        labels = np.repeat(np.arange(len(found)), counts)
        nouns = [_EMBEDDED[key] for key, part in found.items() for _ in part]
        whole = Captioned(np.concatenate(list(found.values())), nouns, labels, list(_EMBEDDED.values()))
    elif name in ("cifar10", "caltech101"):
        images = load(name, split)
        with zipfile.ZipFile(zip_of(name)) as archive:
            names = [member.split("/") for member in members(archive, split)]
            classes = sorted({member.split("/")[1] for member in archive.namelist() if member.endswith(".webp")})
        number = {group: place for place, group in enumerate(classes)}
        labels = np.array([number[group] for _, group, _ in names])
        nouns = [_noun(name, group, file) for _, group, file in names]
        whole = Captioned(images, nouns, labels, classes)
    else:
        expected = "cifar10, caltech101 or embedded: others have no captions"
        raise InputError("data set", got=repr(name), expected=expected)
    return whole.taken(spread(len(whole.images), limit))


def thumbnails(size: int = 32) -> Captioned:
    """The photographs of the wheel as small pictures of what they show: three whole and six half views of each.

    The whole views of a square photograph are one and the same.

    Args:
        size: height and width.
    """
    images, nouns = [], []
    for key, photograph in embedded_photographs().items():
        short, long = sorted(photograph.shape[:2])
        lying = photograph.shape[1] == long
        places = [(along, 0, short) for along in np.linspace(0, long - short, 3)]
        half = 2 * short // 3
        places += [(along, across, half) for along in np.linspace(0, long - half, 3) for across in (0, short - half)]
        for along, across, side in places:
            left, top = (along, across) if lying else (across, along)
            box = (int(left), int(top), int(left) + side, int(top) + side)
            view = Image.fromarray(photograph).crop(box).resize((size, size), Image.Resampling.LANCZOS)
            images.append(np.asarray(view))
            nouns.append(_EMBEDDED[key])
    labels = np.array([list(_EMBEDDED.values()).index(noun) for noun in nouns])
    return Captioned(np.stack(images), nouns, labels, list(_EMBEDDED.values()))


def _noun(name: str, group: str, file: str) -> str:
    """The noun of a picture: in its file's name, or its class."""
    if name == "caltech101":
        return group.replace("_", " ").lower()
    match = re.fullmatch(r"(.+)_s_\d+\.webp", file)
    return (match[1] if match else group).replace("_", " ").lower()
