"""Picture files of any kind as RGB arrays, and large pictures as tiles of the model's size."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ninefold.errors import InputError, require
from PIL import Image, ImageOps, UnidentifiedImageError

PLUGINS = {"heif": ("pillow_heif", "heif"), "jxl": ("pillow_jxl", "jxl")}  # kind of file: (module, extra)
_PLUGGED = {".heic": "heif", ".heif": "heif", ".hif": "heif", ".jxl": "jxl"}
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2", ".ppm", ".pgm",
            *_PLUGGED}  # fmt: skip
# what the decoders of Pillow and of its plug-ins raise at files that are no pictures, or no longer
_DAMAGE = (OSError, EOFError, SyntaxError, ValueError, RuntimeError, TypeError, LookupError, OverflowError,
           struct.error, Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip


def read_picture(path: str | Path) -> np.ndarray:
    """One picture as (H, W, 3) uint8.

    Grey, palette, CMYK and 16-bit pictures are converted; transparent ones are laid on white.

    HEIF (`.heic`) needs the extra `heif`, JPEG XL the extra `jxl`.

    Raises:
        InputError: with the file's name, if it is missing, corrupt, animated, or of a kind that cannot be read.
        MissingExtraError: if a package for its kind is not installed.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from semcom import read_picture

        >>> Image.fromarray(np.full((40, 60), 200, np.uint8)).save("grey.png")
        >>> picture = read_picture("grey.png")
        >>> picture.shape, picture[0, 0].tolist()
        ((40, 60, 3), [200, 200, 200])
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder or a device" if path.exists() else "nothing: there is no such file"
        raise InputError("picture", where=path, got=found, expected="a picture file", hint="check the path")
    if path.suffix.lower() in _PLUGGED:
        plug_in(_PLUGGED[path.suffix.lower()])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                frames = getattr(opened, "n_frames", 1)
                if frames > 1 and opened.format != "MPO":  # of two cameras, or a preview of the first one: a photograph
                    got = f"an animation of {frames} frames"
                    raise InputError("picture", where=path, got=got, expected="one frame")
                opened.load()
                ImageOps.exif_transpose(opened, in_place=True)
                return _rgb(opened)
    except UnidentifiedImageError:
        raise InputError("picture", where=path, got="a file that is no picture, or of an unknown kind") from None
    except _DAMAGE as error:
        raise InputError("picture", where=path, got=f"a damaged or unusable file ({error})") from None


def plug_in(name: str) -> None:
    """Register a kind of `PLUGINS` with Pillow; MissingExtraError if its package is not installed."""
    module = require(PLUGINS[name][0], "semcom", PLUGINS[name][1])
    if name == "heif":
        module.register_heif_opener()


def _rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.asarray(picture).astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("pixels that are NaN or infinite")
        top = 65535 if picture.mode != "F" else max(float(values.max()), 1.0)
        grey = np.clip(values / top * 255, 0, 255).round().astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def find_pictures(paths: Sequence[str | Path]) -> list[Path]:
    """Files as they are given, and the pictures of folders by name; hidden files and folders inside are left out.

    Raises:
        InputError: if a path is not there, or a folder has no picture.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files = (one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
            inside = sorted(one for one in files if one.suffix.lower() in SUFFIXES)
            if not inside:
                expected = f"files such as {', '.join(sorted(SUFFIXES))}"
                raise InputError("folder", where=path, got="no picture", expected=expected)
            found += inside
        else:
            found.append(path)
    return found


def cut_tiles(pictures: Iterable[np.ndarray], size: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Tiles of some pictures, in raster order, and the pictures' sizes, from which `join_tiles` puts them together.

    A picture whose sides are no multiple of `size` is extended by its edge pixels.

    Args:
        pictures: (H, W, 3) uint8 each.
        size: height and width of a tile.

    Examples:
        >>> import numpy as np
        >>> from semcom import cut_tiles, join_tiles

        >>> picture = np.zeros((40, 70, 3), np.uint8)
        >>> tiles, sizes = cut_tiles([picture], 32)
        >>> tiles.shape, sizes
        ((6, 32, 32, 3), [(40, 70)])
    """
    tiles, sizes = [], []
    for picture in pictures:
        height, width = picture.shape[:2]
        whole = np.pad(picture, ((0, -height % size), (0, -width % size), (0, 0)), mode="edge")
        rows, columns = whole.shape[0] // size, whole.shape[1] // size
        cut = whole.reshape(rows, size, columns, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)
        tiles.append(cut)
        sizes.append((height, width))
    if not tiles:
        raise InputError("pictures", got="none", expected="at least one")
    return np.concatenate(tiles), sizes


def count_tiles(sizes: Sequence[tuple[int, int]], size: int) -> int:
    """Tiles that pictures of these sizes make."""
    return sum(-(-height // size) * -(-width // size) for height, width in sizes)


def join_tiles(tiles: np.ndarray, sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Pictures (H, W, 3) of their tiles (tiles, size, size, 3).

    Examples:
        >>> import numpy as np
        >>> from semcom import cut_tiles, join_tiles

        >>> picture = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
        >>> tiles, sizes = cut_tiles([picture], 32)
        >>> bool((join_tiles(tiles, sizes)[0] == picture).all())
        True
    """
    size, at, pictures = tiles.shape[1], 0, []
    for height, width in sizes:
        rows, columns = -(-height // size), -(-width // size)
        part = tiles[at : at + rows * columns].reshape(rows, columns, size, size, 3)
        pictures.append(part.swapaxes(1, 2).reshape(rows * size, columns * size, 3)[:height, :width])
        at += rows * columns
    return pictures
