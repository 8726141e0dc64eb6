"""Rivals: same interface as the method, one short module each, one line in the table."""

from __future__ import annotations

from semcom.baselines._mean import SampleMean

BASELINES = {baseline.name: baseline for baseline in (SampleMean,)}
__all__ = ["BASELINES", "SampleMean"]
