"""The small core that the Ninefold packages share. `import ninefold` loads neither torch nor matplotlib.

Examples:
    >>> import ninefold
    >>> from ninefold import InputError, NinefoldError

    >>> def share(value):
    ...     if not 0 <= value <= 1:
    ...         raise InputError("share", got=value, expected="a number from 0 to 1")
    ...     return value

    >>> try:
    ...     share(60)
    ... except NinefoldError as error:
    ...     print(f"error: {error}")
    error: share: got 60, expected a number from 0 to 1

    >>> ninefold.__version__
    '...'
"""

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
