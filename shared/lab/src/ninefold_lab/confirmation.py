"""Which outcomes are up to date: from a committed tree and today's source, or confirmed (tools/check/confirm.py)."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.errors import InputError

from ninefold_lab.claims import Claim
from ninefold_lab.experiments import folder_of as experiments_of
from ninefold_lab.imports import CORE, folder_of


def is_older(outcome: Mapping[str, Any], key: str) -> bool:
    """Whether an outcome, as its file states it, comes from other source than that of `key` and is not confirmed.

    Examples:
        >>> from ninefold_lab import is_older

        >>> outcome = {"provenance": {"code": "a1"}, "confirmed": {"code": "b2"}}
        >>> is_older(outcome, "a1"), is_older(outcome, "b2"), is_older(outcome, "c3")
        (False, False, True)
    """
    return outcome.get("provenance", {}).get("code", key) != key != outcome.get("confirmed", {}).get("code")


def is_uncommitted(outcome: Mapping[str, Any]) -> bool:
    """Whether an outcome comes from a tree with uncommitted changes and has not been confirmed since.

    Examples:
        >>> from ninefold_lab import is_uncommitted

        >>> [is_uncommitted({"environment": {"commit": commit}}) for commit in ("7d1f+changes", "7d1f")]
        [True, False]
    """
    return "+changes" in str(outcome.get("environment", {}).get("commit")) and not outcome.get("confirmed")


def uncommitted(package: str) -> list[str]:
    """Files of a package's source, its experiments and the core that differ from the commit; empty outside a checkout.

    Examples:
        >>> from ninefold_lab import uncommitted

        >>> isinstance(uncommitted("ninefold_lab"), list)
        True
    """
    folders = [folder_of(package), folder_of(CORE), experiments_of(package)]
    words = ("status", "--porcelain", "--", *map(str, filter(None, folders)), ":(top,exclude,glob)**/results/**")
    return [line[3:] for line in git(folders[0], *words).splitlines()]


def refuse_uncommitted(claims: Sequence[Claim]) -> None:
    """Raise InputError, before the work, if an outcome of one of the claims would come from an uncommitted tree."""
    for package in sorted({claim.package for claim in claims}):
        if changed := uncommitted(package):
            raise InputError(
                "source", got=f"uncommitted changes in {', '.join(changed[:3])}", expected="a committed tree"
            )


def git(folder: Path, *words: str) -> str:
    """What git prints in `folder`; nothing outside a checkout, or without git."""
    with contextlib.suppress(OSError):
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True).stdout
    return ""


def commit_of(package: str) -> str:
    """`<hash>`, or `<hash>+changes`, of the checkout that holds a package; empty outside one."""
    head = git(folder_of(package), "rev-parse", "--short=12", "HEAD").strip()
    return f"{head}+changes" if head and uncommitted(package) else head
