"""One run over all families that several claims read: each graph unseen in turn, the default and what it is held to."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse as sp
from mldgg.datasets import Graph
from mldgg.domains import LeakWarning, Task, split_support
from mldgg.meta import MLDGG, Adapted, ReadingWarning
from ninefold_lab import Budget, Scores

from ._families import FAMILIES, leave_outs

SHOTS = (5, 20)
FLIPS = (-0.8, -0.3, 0.0)
RISK = 0.1
