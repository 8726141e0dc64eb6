"""The few kinds of error a user can meet. Each is one clear line that names the thing, its place and what to do.

A `NinefoldError` is the user's to mend: the command line prints its message without a traceback and exits with 2.
Anything else that escapes is our defect and exits with 1.
"""

from __future__ import annotations

import functools
import importlib
import re
from importlib import metadata
from pathlib import Path
from types import ModuleType


class NinefoldError(Exception):
    """Base of all errors that a user can act on.

    Examples:
        >>> from ninefold import ArtifactError, InputError, NinefoldError

        >>> for error in (InputError("alpha", got=2), ArtifactError("model", "is not there")):
        ...     try:
        ...         raise error
        ...     except NinefoldError as caught:  # whatever a user can mend
        ...         print(caught)
        alpha: got 2
        model: is not there
    """


class InputError(NinefoldError):
    """A bad argument or bad data.

    Args:
        what: the argument, column, tensor or file that is wrong.
        got: what it was; shown only if given.
        expected: what would have been right; shown only if given.
        where: its place (a file, a row, a tensor of a file).
        hint: what to try next.

    Examples:
        >>> from ninefold import InputError

        >>> try:
        ...     raise InputError("column 'age'", where="users.csv", got=-3, expected="0 or more", hint="drop row 7")
        ... except InputError as error:
        ...     print(error)
        ...     print(error.what, error.where, sep=" | ")
        column 'age' in users.csv: got -3, expected 0 or more (drop row 7)
        column 'age' | users.csv
    """

    def __init__(
        self, what: str, *, got: object = None, expected: str | None = None, where: str | Path | None = None,
        hint: str | None = None,
    ) -> None:  # fmt: skip
        self.what, self.got, self.expected, self.where, self.hint = what, got, expected, where, hint
        text = f"{what} in {where}" if where is not None else what
        if got is not None:
            text += f": got {got}"
        if expected is not None:
            text += f"{', expected' if got is not None else ': expected'} {expected}"
        if hint is not None:
            text += f" ({hint})"
        super().__init__(text)


class ArtifactError(NinefoldError):
    """A file or folder that is damaged, truncated, foreign, of a newer format, or in the way.

    Args:
        path: the file or folder.
        reason: what is wrong with it, as the rest of the sentence.

    Examples:
        >>> from ninefold import ArtifactError
        >>> from ninefold.artifacts import FolderArtifact

        >>> try:
        ...     FolderArtifact("model", kind="recsys.model", format_version=1)
        ... except ArtifactError as error:
        ...     print(error)
        ...     print(error.path, error.reason, sep=" | ")
        model: is not there
        model | is not there
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = Path(path), reason
        super().__init__(f"{path}: {reason}")


class DownloadError(NinefoldError):
    """A file that is neither on this machine nor to be had; the message says which file to put where.

    Examples:
        >>> from ninefold import DownloadError
        >>> from ninefold.datasets import find

        >>> try:
        ...     find("recsys", "a/set/that/nobody/has.csv")
        ... except DownloadError as error:
        ...     print(str(error).split(":")[0])
        a/set/that/nobody/has.csv is not on this machine
    """


class MissingExtraError(NinefoldError):
    """An optional dependency that is not installed; the message is the line that brings it.

    Examples:
        >>> from ninefold import MissingExtraError
        >>> from ninefold.errors import require

        >>> try:
        ...     require("a_library_that_is_missing", "ninefold", "plots")
        ... except MissingExtraError as error:
        ...     print(error)
        this needs a_library_that_is_missing: pip install 'ninefold-core[plots]'
    """

    def __init__(self, module: str, package: str, extra: str) -> None:
        self.module, self.package, self.extra = module, package, extra
        super().__init__(f"this needs {module}: pip install '{distribution_of(package)}[{extra}]'")


@functools.cache
def distribution_of(package: str) -> str:
    """Name of the installed distribution that brings the import `package`: releases are named `ninefold-NAME`.

    It is found from the metadata of what is installed, so that a project of another publisher that has the name of the
    import is never named.

    Examples:
        >>> from ninefold.errors import distribution_of

        >>> distribution_of("ninefold")
        'ninefold-core'
    """
    points = [(one.name, point) for one in metadata.distributions() for point in one.entry_points]
    brings = [pair for pair in points if re.split(r"[.:]", pair[1].value)[0].strip() == package]
    if brings:  # by its entry points: an editable install lists no modules; those of Ninefold are not a stranger's
        return min(brings, key=lambda pair: not pair[1].group.startswith("ninefold."))[0]
    own = (one.name for one in metadata.distributions(name=package) if re.search(f"{package}(/|.pth)", str(one.files)))
    return next(own, "") or [*metadata.packages_distributions().get(package, ()), package][0]  # reads all there is


def version_of(package: str) -> str:
    """Version of the installed distribution that brings the import `package`, or "unknown".

    Examples:
        >>> from ninefold.errors import version_of

        >>> version_of("a package that is not installed")
        'unknown'
        >>> version_of("ninefold").count(".")
        2
    """
    try:
        return metadata.version(distribution_of(package))
    except metadata.PackageNotFoundError:
        return "unknown"


def require(module: str, package: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: dotted name to import.
        package: import name of the asking package, for the message.
        extra: its extra that brings the module.
    Raises:
        MissingExtraError: if `module` itself is not installed. An import that fails *inside* it is not hidden.

    Examples:
        >>> from ninefold.errors import require

        >>> math = require("math", "ninefold", "plots")
        >>> math.sqrt(2) > 1.4
        True
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise MissingExtraError(module, package, extra) from None
