"""--out of verbs whose result is what they print."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ninefold.errors import ArtifactError
from ninefold.files import write_text

if TYPE_CHECKING:
    from ninefold.cli import Shared

Shown = TypeVar("Shown")


def keep(shown: Shown, opts: Shared) -> Shown:
    """What a verb prints, in --out too: one JSON document where the name ends in .json, else text."""
    from ninefold.report import to_json, to_terminal

    if opts.out is not None:
        if opts.out.exists() and not (opts.out.is_dir() and not any(opts.out.iterdir())):
            raise ArtifactError(opts.out, "holds something already; choose another place")
        write_text(opts.out, (to_json if opts.out.suffix == ".json" else to_terminal)(shown) + "\n")
    return shown
