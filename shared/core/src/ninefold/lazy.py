"""The public face of a package: names that are resolved on first use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from ninefold.errors import MissingExtraError, version_of


def attach(
    package: str, names: Mapping[str, str], *, extras: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The `__getattr__`, `__dir__` and `__all__` of a package whose names are imported on first use.

    Args:
        package: `__name__` of the package.
        names: public name -> module below the package that defines it; a name that equals its module is the module.
        extras: library -> extra of the package that brings it: a missing library is then a MissingExtraError.

    Examples:
        >>> from ninefold.lazy import attach

        >>> resolve, listing, public = attach("ninefold", {"Table": "report", "files": "files"})
        >>> public
        ['Table', '__version__', 'files']
        >>> resolve("Table").__name__
        'Table'
    """

    def resolve(name: str) -> Any:
        if name == "__version__":
            return version_of(package)
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
