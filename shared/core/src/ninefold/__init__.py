"""The small core that the Ninefold packages share. `import ninefold` loads neither torch nor matplotlib."""

from typing import TYPE_CHECKING

from ninefold.errors import ArtifactError, DownloadError, InputError, MissingExtraError, NinefoldError

__all__ = ["ArtifactError", "DownloadError", "InputError", "MissingExtraError", "NinefoldError", "__version__"]

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    if name == "__version__":  # found on demand: the search through installed metadata takes a while
        from ninefold.errors import version_of

        return version_of("ninefold")
    raise AttributeError(f"module 'ninefold' has no attribute {name!r}")
