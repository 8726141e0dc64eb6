"""Image codecs reduced to what changes from picture to picture: the receiver rebuilds their headers by itself.

JPEG by its scan (standard tables, known to both sides), JPEG 2000 by its tile, WebP by its VP8 frame, AVIF and HEIF by
their `mdat` box; JPEG XL whole, as it has no container. One byte for the quality is counted besides, and two for
the length (four from 65,537 pixels on), which a JPEG scan does not need: it ends by itself, whatever fills up the block
after it. Of few bytes a codec at a half to an eighth of the size makes more; the byte of the quality says which. HEIF
needs the extra `heif`, JPEG XL the extra `jxl`. `best` is the better of AVIF and HEIF, with one byte more.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from PIL import Image

from semcom.datasets import PLUGINS, plug_in

CODECS = ("jpeg", "jpeg2000", "webp", "avif")
BEST = ("avif", "heif")
_FLAT = 255  # in the place of the quality: the mean colour alone, three bytes, where no version of a picture fits
_SMALLER = 50  # qualities 2, 4, ... 100 at a half, a quarter and an eighth of the size: bytes 101 to 250
_SHORT = 65_536  # pixels up to which a length takes two bytes


@dataclass(frozen=True)
class Codec:
    """A codec by name: jpeg, jpeg2000, webp, avif, heif, jxl or best."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in (*CODECS, *PLUGINS, "best"):
            raise InputError("codec", got=repr(self.name), expected=f"one of {', '.join((*CODECS, *PLUGINS, 'best'))}")
        for name in BEST if self.name == "best" else (self.name,):
            if name in PLUGINS:
                plug_in(name)

    def length_bytes(self, height: int, width: int) -> int:
        """Bytes that tell the length."""
        return 0 if self.name == "jpeg" else 2 if height * width <= _SHORT else 4

    def header_bytes(self, height: int, width: int) -> int:
        """Bytes that are counted in addition to the codec's own."""
        return 1 + self.length_bytes(height, width)

    def packed(self, quality: int, body: bytes, height: int, width: int, reduced: int = 0) -> bytes:
        """What is sent of a version of a picture; `reduced` is how often its sides were halved."""
        count = self.length_bytes(height, width)
        head = quality if not reduced else 100 + _SMALLER * (reduced - 1) + quality // 2
        return bytes([head]) + (len(body).to_bytes(count, "big") if count else b"") + body

    def decode(self, data: bytes, height: int, width: int) -> np.ndarray:
        """The picture (height, width, 3) uint8; grey if the data make no sense."""
        grey = np.full((height, width, 3), 128, np.uint8)
        if self.name == "best":
            return Codec(BEST[data[0] % 2]).decode(data[1:], height, width) if data else grey
        head = self.header_bytes(height, width)
        if len(data) >= 4 and data[0] == _FLAT:
            return np.broadcast_to(np.frombuffer(data[1:4], np.uint8), grey.shape).copy()
        if len(data) < head:
            return grey
        quality, body, reduced = data[0], data[head:], 0
        if not quality or not body:  # nothing fitted
            return grey
        if quality > 100:
            reduced, place = divmod(quality - 101, _SMALLER)
            reduced, quality = min(reduced + 1, 3), 2 * place + 2
        if self.name != "jpeg":
            body = body[: int.from_bytes(data[1:head], "big")]
        small = reduced_size(height, width, reduced)
        try:
            picture = Image.open(io.BytesIO(_rebuilt(self.name, body, quality, *small))).convert("RGB")
            if picture.size != small[::-1]:
                return grey
            return np.array(picture.resize((width, height), Image.Resampling.BICUBIC) if reduced else picture)
        except (OSError, EOFError, ValueError, SyntaxError, RuntimeError):
            return grey


def reduced_size(height: int, width: int, halvings: int) -> tuple[int, int]:
    """Sides that are halved so many times, rounded up."""
    return -(-height >> halvings), -(-width >> halvings)


class Ladder:
    """The versions of one picture by quality, at its size and at a half to an eighth of it, each made once.

    Args:
        codec: the codec.
        picture: (H, W, 3) uint8.
    """

    def __init__(self, codec: Codec, picture: np.ndarray) -> None:
        self.codec, self.picture = codec, picture
        self._bodies: dict[tuple[int, int], bytes] = {}
        self._best: dict[int, bytes | None] = {}
        self._parts = [ladder_of(Codec(name), picture) for name in BEST] if codec.name == "best" else []

    def _body(self, quality: int, reduced: int) -> bytes:
        if (quality, reduced) not in self._bodies:
            height, width = reduced_size(self.picture.shape[0], self.picture.shape[1], reduced)
            picture = self.picture
            if reduced:
                small = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
                picture = np.asarray(small)
            name = self.codec.name
            self._bodies[quality, reduced] = _split(name, _compress(name, picture, quality))[1]
        return self._bodies[quality, reduced]

    def _largest(self, most: int, reduced: int) -> bytes | None:
        """The highest quality at this size that fits into `most` bytes."""
        height, width = self.picture.shape[:2]
        room, step = most - self.codec.header_bytes(height, width), 2 if reduced else 1
        low, high, found = 1, 100 // step, None
        while low <= high:
            middle = (low + high) // 2
            if len(self._body(step * middle, reduced)) <= room:
                found, low = step * middle, middle + 1
            else:
                high = middle - 1
        return None if found is None else self.codec.packed(found, self._body(found, reduced), height, width, reduced)

    def best(self, most: int) -> bytes | None:
        """What is sent of the version of least squared error that fits into `most` bytes, or None."""
        if most not in self._best:
            self._best[most] = self._searched(most)
        return self._best[most]

    def _searched(self, most: int) -> bytes | None:
        if self._parts:
            found = [bytes([place]) + (part.best(most - 1) or b"") for place, part in enumerate(self._parts)]
            found = [one for one in found if len(one) > 1]
            return min(found, key=self._error) if found else None
        versions = [flat_version(self.picture, most)] if (whole := self._largest(most, 0)) is None else [whole]
        for reduced in (1, 2, 3):  # a smaller size is worth looking at only where the next larger one does not win
            smaller = self._largest(most, reduced)
            if smaller is None:
                continue
            versions.append(smaller)
            if min(versions, key=self._error) is not smaller:
                break
        return min(versions, key=self._error) if versions[0] is not None or len(versions) > 1 else None

    def _error(self, data: bytes | None) -> float:
        if data is None:
            return float("inf")
        drawn = self.codec.decode(data, *self.picture.shape[:2])
        return float(np.square(drawn.astype(np.float32) - self.picture).mean())


_LATEST: list[Ladder] = []


def ladder_of(codec: Codec, picture: np.ndarray) -> Ladder:
    """The versions of a picture; those of the latest picture are kept, for other links and budgets."""
    _LATEST[:] = [one for one in _LATEST if one.picture is picture]
    found = next((one for one in _LATEST if one.codec == codec), None)
    if found is None:
        found = Ladder(codec, picture)
        _LATEST.append(found)
    return found


def flat_version(image: np.ndarray, most: int) -> bytes | None:
    """The mean colour of a picture (H, W, 3) as what is sent, or None if `most` bytes have no room for it."""
    return bytes([_FLAT, *image.mean((0, 1)).round().astype(np.uint8)]) if most >= 4 else None


def _compress(name: str, image: np.ndarray, quality: int) -> bytes:
    buffer, picture = io.BytesIO(), Image.fromarray(image)
    if name == "jpeg":
        picture.save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=False)
    elif name == "jpeg2000":  # from 1:400 to lossless
        buffer.write(jpeg2000(image, [400.0 ** (1 - (quality - 1) / 99)]))
    elif name == "webp":
        picture.save(buffer, "WEBP", quality=quality, method=4)
    elif name == "jxl":
        picture.save(buffer, "JXL", quality=quality)
    elif name == "heif":
        picture.save(buffer, "HEIF", quality=quality, chroma=420, enc_params={"tune": "psnr"})  # x265's default: SSIM
    else:
        speed = 8 if image.shape[0] * image.shape[1] < 128 * 128 else 6
        more = {"advanced": {"tune": "psnr"}}  # libavif's default is for the eye
        picture.save(buffer, "AVIF", quality=quality, speed=speed, max_threads=1, **more)
    return buffer.getvalue()


def jpeg2000(image: np.ndarray, rates: list[float]) -> bytes:
    """A codestream of one quality layer for each compression ratio, with the colour transform, layer after layer."""
    buffer, how = io.BytesIO(), {"no_jp2": True, "irreversible": True, "mct": 1, "progression": "LRCP"}
    Image.fromarray(image).save(buffer, "JPEG2000", quality_mode="rates", quality_layers=rates, **how)
    return buffer.getvalue()


def _split(name: str, file: bytes) -> tuple[bytes, bytes, bytes]:
    """(what both sides know, what is sent, what both sides know)."""
    if name == "jxl":
        return b"", file, b""
    if name == "jpeg":
        start = file.index(b"\xff\xda")
        begin = start + 2 + int.from_bytes(file[start + 2 : start + 4], "big")
        return file[:begin], file[begin:-2], file[-2:]
    if name == "jpeg2000":
        begin = file.index(b"\xff\x90")
        return file[:begin], file[begin:-2], file[-2:]
    if name == "webp":
        size = int.from_bytes(file[16:20], "little")
        return file[:20], file[20 : 20 + size], file[20 + size :]
    begin, end = _box(file, b"mdat")
    return file[:begin], file[begin:end], file[end:]


def _box(file: bytes, kind: bytes) -> tuple[int, int]:
    """First and last byte of the contents of a top-level box."""
    at = 0
    while at + 8 <= len(file):
        size = int.from_bytes(file[at : at + 4], "big") or len(file) - at
        if file[at + 4 : at + 8] == kind:
            return at + 8, at + size
        at += size
    raise ValueError("no such box")


def _rebuilt(name: str, body: bytes, quality: int, height: int, width: int) -> bytes:
    if name == "jxl":
        return body
    head, sample, tail = _template(name, quality, height, width)
    if name in ("jpeg", "jpeg2000"):
        return head + body + tail
    size, old = len(body), len(sample)
    if name == "webp":
        padding = b"\0" * (size % 2)
        total = (12 + size + len(padding)).to_bytes(4, "little")
        return b"RIFF" + total + b"WEBPVP8 " + size.to_bytes(4, "little") + body + padding
    place = head.index(b"iloc")
    at = head.index(old.to_bytes(4, "big"), place)  # the item's length
    head = head[:at] + size.to_bytes(4, "big") + head[at + 4 :]
    return head[:-8] + (size + 8).to_bytes(4, "big") + b"mdat" + body


@functools.lru_cache(maxsize=512)
def _template(name: str, quality: int, height: int, width: int) -> tuple[bytes, bytes, bytes]:
    grey = np.arange(height * width * 3, dtype=np.uint32).reshape(height, width, 3) % 251
    return _split(name, _compress(name, grey.astype(np.uint8), quality))
