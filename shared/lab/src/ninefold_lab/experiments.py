"""Where a package's experiments are: in its folder of a checkout, outside the wheel; they import as `NAME_experiments`.

`packages/tswitch/experiments/` holds `claims/`, `benchmarks/` and `results/`. `register` makes such folders importable,
so that `tswitch_experiments.claims` is `packages/tswitch/experiments/claims`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ninefold.errors import InputError

if TYPE_CHECKING:
    from ninefold.systems import Installed

    from ninefold_lab.claims import Claim

SUFFIX = "_experiments"


def folder_of(package: str) -> Path | None:
    """The experiments of the import `package`: next to an editable install, else in the checkout that holds the
    current folder; None if there are none."""
    spec = importlib.util.find_spec(package)
    around = [Path(spec.origin).parents[2]] if spec and spec.origin else []
    around += [top / "packages" / package.replace("_", "-") for top in (Path.cwd(), *Path.cwd().parents)]
    return next((one / "experiments" for one in around if (one / "experiments" / "claims").is_dir()), None)


def register(package: str, folder: Path) -> None:
    """Make `folder` importable as `<package>_experiments`."""
    module = types.ModuleType(package + SUFFIX, f"The experiments of {package}.")
    module.__path__ = [str(folder)]
    sys.modules[module.__name__] = module


def claims_of(row: Installed) -> Sequence[Claim]:
    """The claims of an installed system.

    Raises:
        ImportError: if the system cannot be loaded.
        InputError: if its experiments are not here: they are in a checkout, not in the wheel.
    """
    if row.system is None:
        raise ImportError(row.reason)
    where, _, name = row.system.claims.partition(":")
    top = where.partition(".")[0]
    if top.endswith(SUFFIX) and top not in sys.modules:
        folder = folder_of(top.removesuffix(SUFFIX))
        if folder is None:
            hint = "a checkout of the repository: its experiments are not in the wheel"
            raise InputError(f"claims of {row.name}", got="no folder `experiments`", expected=hint)
        register(top.removesuffix(SUFFIX), folder)
    return getattr(importlib.import_module(where), name)
