"""Rivals: same interface as the method, one short module each, one line in the table."""

from __future__ import annotations

from mecoin.baselines._base import Learner
from mecoin.baselines._ncm import SgcNcm

BASELINES: dict[str, type[Learner]] = {one.name: one for one in (SgcNcm,)}
__all__ = ["BASELINES", "Learner", "SgcNcm"]
