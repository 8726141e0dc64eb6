"""Symbols on disk: a folder with a SigMF recording, `symbols.sigmf-data` (cf32_le) and `symbols.sigmf-meta` (JSON).

The manifest next to them says who wrote the folder; a receiver needs only the two. All that it needs of the header is
version, sizes and model hash; settings other than the defaults and pilots stand there too. The payload, the key, the
masks and the pictures do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.artifacts import write_folder
from ninefold.errors import ArtifactError

from semcom.phy import PilotPattern, checked_symbols

FORMAT = 2  # 1: coded bits in another order than TS 38.212's, other numbers of symbols at odd sizes
_SENDERS = {"beside": "`carrier send`", "carrier": "`carrier send --form paper`", "mm": "`mm send`"}
_DATA, _META = "symbols.sigmf-data", "symbols.sigmf-meta"


@dataclass
class Played:
    """What a recording gives.

    Attributes:
        pictures: (H, W, 3) uint8 in the sender's order.
        payload: the bytes, whole and checked, or None.
        reason: why there is no payload, or "".
        unchecked: best guess of the bytes though a check failed.
        checks: (blocks or tiles,) whether the check of each part of the payload held.
    """

    pictures: list[np.ndarray]
    payload: bytes | None
    reason: str
    unchecked: bytes
    checks: np.ndarray


@dataclass
class Recording:
    """A stream of symbols with what its receiver has to know.

    Attributes:
        symbols: (rows, symbols of a tile with pilots) complex64.
        model: hash of the model's weights.
        sizes: (height, width) of each picture.
        link: settings of the link that are not the defaults.
        pilots: where they are.
        about: counts for people: the symbol report, channels that were applied.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, Channel, Recording, datasets, record

        >>> pictures = datasets.load("embedded", limit=8)  # 32 x 32 pixels each
        >>> link = CarrierImageLink.from_pretrained("mae-32p4", mask_ratio=0.75, key="ours")

        >>> recording, sent = record(link, list(pictures), b"hello")
        >>> recording.save("sent")
        >>> again = Recording.load("sent")
        >>> again.sizes[:2], again.model == link.model_hash
        ([(32, 32), (32, 32)], True)
    """

    symbols: np.ndarray
    model: str
    sizes: list[tuple[int, int]]
    link: dict[str, Any] = field(default_factory=dict)
    pilots: PilotPattern = field(default_factory=PilotPattern)
    about: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the folder, whole or not at all."""
        self.write(folder, np.ascontiguousarray(self.symbols, dtype="<c8").tobytes(), {}, force=force)

    def write(self, folder: str | Path, data: bytes, more: Mapping[str, Any], *, force: bool = False) -> None:
        """Write samples of the recording with its header, and `more` entries in it."""
        header = {
            "core:datatype": "cf32_le", "core:version": "1.2.0", "core:sha512": hashlib.sha512(data).hexdigest(),
            "core:recorder": "semcom", "semcom:format_version": FORMAT, "semcom:model": self.model,
            "semcom:sizes": [list(size) for size in self.sizes], "semcom:link": self.link,
            "semcom:pilots": [self.pilots.block, self.pilots.count], "semcom:about": self.about, **more,
        }  # fmt: skip
        meta = {"global": header, "captures": [{"core:sample_start": 0}], "annotations": []}
        about = {"kind": "semcom.symbols", "format_version": FORMAT, "package": "semcom"}
        with write_folder(folder, **about, force=force, documents=(_META,)) as temporary:
            (temporary / _DATA).write_bytes(data)
            (temporary / _META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Read a folder of `save`, or one of its two files. The rows are found by `shaped`.

        Raises:
            ArtifactError: if it is missing, truncated, damaged, foreign or newer; says which.
        """
        meta_path, data_path = files_of(Path(path))
        header = read_header(meta_path)
        if header.get("core:datatype", "cf32_le") != "cf32_le" or "semcom:waveform" in header:
            kind = f"{header.get('core:datatype')} samples of a waveform, not symbols"
            raise ArtifactError(meta_path, f"holds {kind}: use `channel demodulate` first")
        data = read_samples(data_path, header, 8)
        symbols = np.frombuffer(data, "<c8").reshape(1, -1)
        if not np.isfinite(symbols).all():
            at = int(np.flatnonzero(~np.isfinite(symbols[0]))[0])
            raise ArtifactError(data_path, f"has NaN or infinity at symbol {at}")
        return cls.of_header(header, symbols, meta_path)

    @classmethod
    def of_header(cls, header: Mapping[str, Any], symbols: np.ndarray, path: Path) -> Recording:
        """Symbols with what a header says of them; `path` is the header's, for errors."""
        try:
            sizes = [(int(height), int(width)) for height, width in header["semcom:sizes"]]
            block, count = header.get("semcom:pilots", (0, 0))
            link, about = header.get("semcom:link", {}), header.get("semcom:about", {})
            model = str(header["semcom:model"])
            if min((min(size) for size in sizes), default=0) < 1 or not isinstance(link, dict):
                raise ValueError("sizes")
            if not isinstance(about, dict):
                raise TypeError(f"semcom:about is a {type(about).__name__}")
            pilots = PilotPattern(int(block), int(count))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ArtifactError(path, f"is damaged: its header makes no sense ({error})") from None
        return cls(symbols, model, sizes, link, pilots, dict(about))

    def check_sender(self, system: str, path: str | Path, model_hash: str = "", model: str | Path = "") -> None:
        """ArtifactError unless the recording is of this system, and (if a hash is given) of a sender with that model.

        Args:
            system: `beside`, `carrier` (the published form) or `mm`.
            path: where the recording was, for the error.
        """
        found = str(self.link.get("system", "carrier"))
        if found != system:
            raise ArtifactError(path, f"is a recording of {_SENDERS.get(found, found)}, not of {_SENDERS[system]}")
        if model_hash and model_hash != self.model:
            reason = f"was sent with a model of hash {self.model[:12]}, not with {model} ({model_hash[:12]})"
            raise ArtifactError(path, f"{reason}; give the sender's model with --model")

    def rows(self, path: str | Path) -> np.ndarray:
        """The symbols as (tiles, symbols of a tile) by the count in the header, or as one row where there is none."""
        tiles = self.about.get("tiles", 1)
        if not isinstance(tiles, int) or isinstance(tiles, bool) or tiles < 1 or self.symbols.size % tiles:
            expected = f"a divisor of its {self.symbols.size} symbols"
            raise ArtifactError(path, f"says {tiles!r} tiles in its header, not {expected}")
        return self.symbols.reshape(tiles, -1)

    def shaped(self, data_symbols: int, tiles: int, path: str | Path) -> np.ndarray:
        """The symbols as (rows, symbols of a row with pilots).

        Args:
            data_symbols: symbols of a tile without pilots, by the link's settings.
            tiles: tiles of the pictures; the rows are so many, or more where the payload took several rounds.
            path: for the error.
        """
        length, total = self.pilots.length(data_symbols), self.symbols.size
        if total % length or total // length < tiles:
            wanted = f"where there should be {tiles} tiles of {length} symbols = {tiles * length}"
            raise ArtifactError(path, f"has {total} symbols {wanted}: truncated, or other settings")
        return checked_symbols(self.symbols.reshape(-1, length))


def read_header(path: Path) -> dict[str, Any]:
    """The header of a SigMF file that semcom wrote; ArtifactError that says what is wrong."""
    if not path.is_file():
        raise ArtifactError(path, "is not there: this is no folder of symbols")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))["global"]
        version = header["semcom:format_version"]
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(path, "is damaged, or no header that semcom wrote") from None
    if version != FORMAT:
        than = "newer than" if isinstance(version, int) and version > FORMAT else "not"
        hint = ": its bits are in another order than TS 38.212's; send it again" if version == 1 else ""
        raise ArtifactError(path, f"has format version {version!r}, {than} {FORMAT}{hint}")
    return header


def read_samples(path: Path, header: Mapping[str, Any], size: int) -> bytes:
    """The bytes of a recording, `size` a sample; ArtifactError if they are not those of the header."""
    if not path.is_file():
        raise ArtifactError(path, "is not there: this is no folder of symbols")
    data, known = path.read_bytes(), header.get("core:sha512")
    if not data or len(data) % size:
        raise ArtifactError(path, f"is truncated: {len(data)} bytes are no whole number of samples of {size} bytes")
    if known is not None and known != hashlib.sha512(data).hexdigest():
        raise ArtifactError(path, "is damaged or truncated: its SHA-512 is not that of the header")
    return data


def files_of(path: Path) -> tuple[Path, Path]:
    """Header and data of a folder, or of the recording that one of its two files belongs to."""
    if path.is_dir():
        return path / _META, path / _DATA
    if path.suffix in (".sigmf-meta", ".sigmf-data"):
        return path.with_suffix(".sigmf-meta"), path.with_suffix(".sigmf-data")
    raise ArtifactError(path, "is not there" if not path.exists() else "is no folder of symbols and no SigMF file")
