"""Image codecs reduced to what changes from picture to picture: the receiver rebuilds their headers by itself.

JPEG by its scan (standard tables, known to both sides), JPEG 2000 by its tile, WebP by its VP8 frame, AVIF and HEIF by
their `mdat` box; JPEG XL whole, as it has no container. One byte for the quality is counted besides, and two for
the length (four from 65,537 pixels on), which a JPEG scan does not need: it ends by itself, whatever fills up the block
after it. HEIF needs the extra `heif`, JPEG XL the extra `jxl`.
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
_FLAT = 127  # in the place of the quality: the mean colour alone, three bytes, where no version of a picture fits
_SHORT = 65_536  # pixels up to which a length takes two bytes


@dataclass(frozen=True)
class Codec:
    """A codec by name: jpeg, jpeg2000, webp, avif, heif or jxl."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in (*CODECS, *PLUGINS):
            raise InputError("codec", got=repr(self.name), expected=f"one of {', '.join((*CODECS, *PLUGINS))}")
        if self.name in PLUGINS:
            plug_in(self.name)

    def length_bytes(self, height: int, width: int) -> int:
        """Bytes that tell the length."""
        return 0 if self.name == "jpeg" else 2 if height * width <= _SHORT else 4

    def header_bytes(self, height: int, width: int) -> int:
        """Bytes that are counted beside the codec's own."""
        return 1 + self.length_bytes(height, width)

    def packed(self, quality: int, body: bytes, height: int, width: int) -> bytes:
        """What is sent of a version of a picture."""
        count = self.length_bytes(height, width)
        return bytes([quality]) + (len(body).to_bytes(count, "big") if count else b"") + body

    def decode(self, data: bytes, height: int, width: int) -> np.ndarray:
        """The picture (height, width, 3) uint8; grey if the data make no sense."""
        grey = np.full((height, width, 3), 128, np.uint8)
        head = self.header_bytes(height, width)
        if len(data) >= 4 and data[0] == _FLAT:
            return np.broadcast_to(np.frombuffer(data[1:4], np.uint8), grey.shape).copy()
        if len(data) < head:
            return grey
        quality, body = data[0], data[head:]
        if not quality or not body:  # nothing fitted
            return grey
        if self.name != "jpeg":
            body = body[: int.from_bytes(data[1:head], "big")]
        try:
            file = _rebuilt(self.name, body, max(1, min(quality, 100)), height, width)
            picture = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
        except (OSError, EOFError, ValueError, SyntaxError, RuntimeError):
            return grey
        return picture if picture.shape == grey.shape else grey


class Ladder:
    """The versions of one picture at whole size by quality, each made once: for many budgets.

    Args:
        codec: the codec.
        picture: (H, W, 3) uint8.
    """

    def __init__(self, codec: Codec, picture: np.ndarray) -> None:
        self.codec, self.picture = codec, picture
        self._bodies: dict[int, bytes] = {}

    def _body(self, quality: int) -> bytes:
        if quality not in self._bodies:
            self._bodies[quality] = _split(self.codec.name, _compress(self.codec.name, self.picture, quality))[1]
        return self._bodies[quality]

    def best(self, most: int) -> bytes | None:
        """What is sent of the highest quality that fits into `most` bytes, or None."""
        height, width = self.picture.shape[:2]
        room = most - self.codec.header_bytes(height, width)
        low, high, found = 1, 100, None
        while low <= high:
            middle = (low + high) // 2
            if len(self._body(middle)) <= room:
                found, low = middle, middle + 1
            else:
                high = middle - 1
        if found is None:
            return flat_version(self.picture, most)
        return self.codec.packed(found, self._body(found), height, width)


def flat_version(image: np.ndarray, most: int) -> bytes | None:
    """The mean colour of a picture (H, W, 3) as what is sent, or None if `most` bytes have no room for it."""
    return bytes([_FLAT, *image.mean((0, 1)).round().astype(np.uint8)]) if most >= 4 else None


def _compress(name: str, image: np.ndarray, quality: int) -> bytes:
    buffer, picture = io.BytesIO(), Image.fromarray(image)
    if name == "jpeg":
        picture.save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=False)
    elif name == "jpeg2000":  # from 1:400 to lossless
        rate = 400.0 ** (1 - (quality - 1) / 99)
        picture.save(buffer, "JPEG2000", no_jp2=True, quality_mode="rates", quality_layers=[rate], irreversible=True)
    elif name == "webp":
        picture.save(buffer, "WEBP", quality=quality, method=4)
    elif name == "jxl":
        picture.save(buffer, "JXL", quality=quality)
    elif name == "heif":
        picture.save(buffer, "HEIF", quality=quality, chroma=420, enc_params={"tune": "psnr"})  # x265's default: SSIM
    else:
        speed = 8 if image.shape[0] * image.shape[1] < 128 * 128 else 6
        picture.save(buffer, "AVIF", quality=quality, speed=speed, max_threads=1)
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
