"""Estimate many means at once by James-Stein shrinkage. Names are resolved on first use, so importing this is light."""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
<<<<<<< HEAD
    from template_package import datasets
    from template_package.shrinkage import Estimate, JamesStein, james_stein

    __version__: str

__all__ = ["Estimate", "JamesStein", "__version__", "datasets", "james_stein"]

_HOMES = {"Estimate": "shrinkage", "JamesStein": "shrinkage", "james_stein": "shrinkage", "datasets": "datasets"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ninefold.errors import version_of

        return version_of(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return home if name == _HOMES[name] else getattr(home, name)


def __dir__() -> list[str]:
    return __all__
=======
    from template_package import datasets as datasets
    from template_package._shrink import Estimate as Estimate
    from template_package._shrink import JamesStein as JamesStein
    from template_package._shrink import james_stein as james_stein

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__, {"Estimate": "_shrink", "JamesStein": "_shrink", "datasets": "datasets", "james_stein": "_shrink"}
)
>>>>>>> core
