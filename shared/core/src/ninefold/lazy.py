"""The public face of a package: names that are resolved on first use, and old names that still work for a while."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ninefold.errors import MissingExtraError, version_of

_warned: set[str] = set()


def attach(
    package: str,
    names: Mapping[str, str],
    *,
    deprecated: Mapping[str, tuple[str, str]] | None = None,
    extras: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The `__getattr__`, `__dir__` and `__all__` of a package whose names are imported on first use.

    Args:
        package: `__name__` of the package.
        names: public name -> module below the package that defines it; a name that equals its module is the module.
        deprecated: old name -> (new name, or "module:name" that it moved to; version that no longer has the old one).
        extras: library -> extra of the package that brings it: a missing library is then a MissingExtraError.
    """
    old_names = deprecated or {}

    def resolve(name: str) -> Any:
        if name == "__version__":
            return version_of(package)
        if name in old_names:
            new, version = old_names[name]
            _warn(f"{package}.{name}", new.replace(":", ".") if ":" in new else f"{package}.{new}", version, 3)
            if ":" not in new:
                return resolve(new)
            module, _, name = new.partition(":")
            return getattr(importlib.import_module(module), name)
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{package}.{names[name]}")
        except ModuleNotFoundError as error:
            if error.name not in (extras or {}):
                raise
            raise MissingExtraError(error.name, package, extras[error.name]) from None  # type: ignore[index]
        return module if names[name] == name else getattr(module, name)

    public = sorted([*names, "__version__"])
    return resolve, lambda: public, public


def _warn(old: str, new: str, version: str, level: int) -> None:
    """Once for each old name; a FutureWarning, since Python hides a DeprecationWarning from users."""
    if old not in _warned:
        _warned.add(old)
        warnings.warn(f"{old} is now {new}; the old name goes with version {version}", FutureWarning, stacklevel=level)
