"""Symbols on disk: a folder with a SigMF recording, `symbols.sigmf-data` (cf32_le) and `symbols.sigmf-meta` (JSON).

The manifest beside them says who wrote the folder; a receiver needs only the two. All that it needs of the header is
version, sizes and model hash; settings other than the defaults and pilots stand there too. The payload, the key, the
masks and the pictures do not.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.artifacts import write_folder
from ninefold.errors import ArtifactError

from semcom.phy import PilotPattern, checked_symbols

FORMAT = 1
_DATA, _META = "symbols.sigmf-data", "symbols.sigmf-meta"


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
        data = np.ascontiguousarray(self.symbols, dtype="<c8").tobytes()
        header = {
            "core:datatype": "cf32_le", "core:version": "1.2.0", "core:sha512": hashlib.sha512(data).hexdigest(),
            "core:recorder": "semcom", "semcom:format_version": FORMAT, "semcom:model": self.model,
            "semcom:sizes": [list(size) for size in self.sizes], "semcom:link": self.link,
            "semcom:pilots": [self.pilots.block, self.pilots.count], "semcom:about": self.about,
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
        meta_path, data_path = _files_of(Path(path))
        for file in (meta_path, data_path):
            if not file.is_file():
                raise ArtifactError(file, "is not there: this is no folder of symbols")
        try:
            header = json.loads(meta_path.read_text(encoding="utf-8"))["global"]
            version = header["semcom:format_version"]
        except (ValueError, KeyError, TypeError):
            raise ArtifactError(meta_path, "is damaged, or no header that semcom wrote") from None
        if version != FORMAT:
            newer = isinstance(version, int) and version > FORMAT
            raise ArtifactError(
                meta_path, f"has format version {version!r}, {'newer than' if newer else 'not'} {FORMAT}"
            )
        if header.get("core:datatype", "cf32_le") != "cf32_le":
            raise ArtifactError(meta_path, f"says {header['core:datatype']} samples, not cf32_le")
        data = data_path.read_bytes()
        if not data or len(data) % 8:
            raise ArtifactError(data_path, f"is truncated: {len(data)} bytes are no whole number of cf32_le symbols")
        known = header.get("core:sha512")
        if known is not None and known != hashlib.sha512(data).hexdigest():
            raise ArtifactError(data_path, "is damaged or truncated: its SHA-512 is not that of the header")
        try:
            sizes = [(int(height), int(width)) for height, width in header["semcom:sizes"]]
            block, count = header.get("semcom:pilots", (0, 0))
            link, about, model = (
                header.get("semcom:link", {}),
                header.get("semcom:about", {}),
                str(header["semcom:model"]),
            )
            if min((min(size) for size in sizes), default=0) < 1 or not isinstance(link, dict):
                raise ValueError("sizes")
            if not isinstance(about, dict):
                raise TypeError(f"semcom:about is a {type(about).__name__}")
            pilots = PilotPattern(int(block), int(count))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ArtifactError(meta_path, f"is damaged: its header makes no sense ({error})") from None
        symbols = np.frombuffer(data, "<c8").reshape(1, -1)
        if not np.isfinite(symbols).all():
            at = int(np.flatnonzero(~np.isfinite(symbols[0]))[0])
            raise ArtifactError(data_path, f"has NaN or infinity at symbol {at}")
        return cls(symbols, model, sizes, link, pilots, dict(about))

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
            expected = f"{tiles} tiles of {length} symbols = {tiles * length}"
            raise ArtifactError(
                path, f"has {total} symbols where there should be {expected}: truncated, or other settings"
            )
        return checked_symbols(self.symbols.reshape(-1, length))


def _files_of(path: Path) -> tuple[Path, Path]:
    """Header and data of a folder, or of the recording that one of its two files belongs to."""
    if path.is_dir():
        return path / _META, path / _DATA
    if path.suffix in (".sigmf-meta", ".sigmf-data"):
        return path.with_suffix(".sigmf-meta"), path.with_suffix(".sigmf-data")
    raise ArtifactError(path, "is not there" if not path.exists() else "is no folder of symbols and no SigMF file")
