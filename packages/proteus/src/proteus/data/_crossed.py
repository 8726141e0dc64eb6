"""Crossed designs: which columns of a sample sheet cross each other, and what the full model of a sheet leaves."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from proteus.data._design import count_pairs

_LEVELS = 8  # of a factor or a number in a crossed design, at most
_LINEAR = 6  # different values of a number from which a curve enters the full model
CELL = 2  # samples in each cell of a crossed design, at least
_NEEDED = 8  # residual degrees of freedom that co-expression needs


def few_values(column: pd.Series) -> bool:
    """Whether a numeric column holds few different values with several samples each, as times and doses do."""
    sizes = column.dropna().value_counts()
    return 2 <= len(sizes) <= _LEVELS and bool((sizes >= CELL).all())


def as_levels(column: pd.Series, order: Sequence[str] = ()) -> pd.Series:
    """A column as ordered text levels: numbers by size and without trailing zeros, text in `order`, else sorted."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        known = sorted(column.dropna().unique())
        names = [f"{value:g}" for value in known]
        text = column.map(dict(zip(known, names, strict=True)))
    else:
        text = column.astype(str).where(column.notna())
        present = list(text.dropna().unique())
        names = [one for one in order if one in present] or sorted(present)
    return pd.Series(pd.Categorical(text, categories=names), index=column.index)


def crossed_pairs(samples: pd.DataFrame, factors: Iterable[str], numbers: Iterable[str]) -> list[list[str]]:
    """Pairs of columns whose effects can be separated and can depend on each other.

    Args:
        samples: sample sheet.
        factors: factors to ask about, in order of interest.
        numbers: numeric columns.
    Returns:
        [factor, other]: at least two levels of each, and at least two samples in each combination. Where the other is
        a number that hardly repeats, such as an age, each level of the factor needs three different values of it.
    """
    usable = [one for one in factors if 2 <= samples[one].nunique() <= _LEVELS]
    pairs = [list(pair) for pair in itertools.combinations(usable, 2) if _complete(samples, *pair)]
    for factor, number in itertools.product(usable, numbers):
        spread = samples.groupby(samples[factor].astype(str))[number].nunique()
        if (few_values(samples[number]) and _complete(samples, factor, number)) or (
            len(spread) >= 2 and bool((spread >= 3).all())
        ):
            pairs.append([factor, number])
    return pairs


def _complete(samples: pd.DataFrame, first: str, second: str) -> bool:
    counts = count_pairs(samples[first].astype(object), samples[second].astype(object))
    return min(counts.shape, default=0) >= 2 and bool((counts >= CELL).all())


@dataclass(frozen=True)
class FullModel:
    """All that a sample sheet says of its samples, as one design matrix.

    Attributes:
        matrix: (N, K) of full column rank.
        names: columns and combinations of columns that it holds.
    """

    matrix: np.ndarray
    names: list[str]

    @property
    def enough(self) -> bool:
        """Whether it leaves enough degrees of freedom to look for structure."""
        return len(self.matrix) - self.matrix.shape[1] >= _NEEDED


def full_model(samples: pd.DataFrame, columns: Sequence[str], crossed: Sequence[Sequence[str]] = ()) -> FullModel:
    """The full model of a sample sheet: each column, then each crossed pair of them.

    Numbers with few repeated values enter as levels, others as a slope or, from six values on, as a cubic curve;
    what adds nothing to the columns before is left out. Samples without a value are a level of their own.

    Args:
        samples: (N, columns) sample sheet.
        columns: columns to use.
        crossed: pairs of columns whose combinations are effects of their own.
    """
    parts = {name: _coded(samples[name]) for name in columns}
    for first, second in crossed:
        if first in parts and second in parts:
            product = np.einsum("ij,ik->ijk", parts[first], parts[second]).reshape(len(samples), -1)
            parts[f"{first}:{second}"] = product
    matrix, names = np.ones((len(samples), 1)), []
    for name, block in parts.items():
        before = matrix.shape[1]
        for column in block.T:
            wider = np.column_stack([matrix, column])
            if np.linalg.matrix_rank(wider) > matrix.shape[1]:
                matrix = wider
        names += [name] * (matrix.shape[1] > before)
    return FullModel(matrix, names)


def _coded(column: pd.Series) -> np.ndarray:
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if number and not few_values(column):
        known = column.astype(float)
        filled = known.fillna(known.mean()).to_numpy()
        standard = (filled - filled.mean()) / max(float(filled.std()), 1e-12)
        powers = [standard] if column.nunique() < _LINEAR else [standard, standard**2, standard**3]
        return np.column_stack(powers)
    return pd.get_dummies(column.astype(str)).to_numpy(float)


def cell_of(text: str, levels: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """[(column, level), ...] of a cell `group[AD]:day[d7]`; empty where the text is none. The level of a column that
    enters as a slope is empty: `group[AD]:time`.

    Args:
        text: of a finding's target.
        levels: by factor, its levels.
    """
    for name, known in levels.items():
        for level in known:
            start = f"{name}[{level}]:"
            if text.startswith(start):
                rest = text[len(start) :]
                column, _, value = rest.partition("[")
                return [(name, level), (column, value.removesuffix("]"))]
    return []
