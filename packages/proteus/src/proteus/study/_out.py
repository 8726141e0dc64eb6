"""--out of verbs whose result is what they print, and places that must be free before long work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ninefold.errors import ArtifactError
from ninefold.files import write_text

if TYPE_CHECKING:
    from ninefold.cli import Shared

Shown = TypeVar("Shown")


def need_free(place: Path) -> None:
    """ArtifactError if something is at `place` (an empty folder does not count): before long work, not after it."""
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise ArtifactError(place, "holds something already; choose another place")


def keep(shown: Shown, opts: Shared) -> Shown:
    """What a verb prints, in --out too: one JSON document where the name ends in .json, else text."""
    from ninefold.report import to_json, to_terminal

    if opts.out is not None:
        need_free(opts.out)
        write_text(opts.out, (to_json if opts.out.suffix == ".json" else to_terminal)(shown) + "\n")
    return shown
