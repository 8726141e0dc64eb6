"""Rivals: same interface as the method, one short module each, one line in the table."""

from __future__ import annotations

from template_package.baselines._mean import SampleMean
from template_package.baselines._median import SampleMedian

BASELINES = {baseline.name: baseline for baseline in (SampleMean, SampleMedian)}
__all__ = ["BASELINES", "SampleMean", "SampleMedian"]
