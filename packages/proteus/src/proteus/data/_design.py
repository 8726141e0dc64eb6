"""Model formulas, design matrices and contrasts.

A formula is `~ site + group`, `~ 0 + group`, `~ group * time`: columns of the sample table joined by `+`, `:` and `*`
(an interaction needs its main effects).
Text columns are factors in treatment coding (first level = base; levels sorted, or as a pandas categorical orders
them); numbers are covariates. A contrast is arithmetic over levels and coefficients, `AD-control`, `(A+B)/2-C`.
"""

import ast
import itertools
import operator
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy.stats import contingency


@dataclass(frozen=True)
class Design:
    """A design matrix of full column rank.

    Attributes:
        matrix: (samples, coefficients) float64.
        names: coefficient names.
        kept: (all samples,) bool, False where a needed value is missing; `matrix` has the kept rows only.
        levels: by factor, its levels in order.
        codes: by level, the row that the level's mean has over the coefficients (main effects only); of an
            interaction of factors by cell too, `group[AD]:day[d7]`.
        notes: what was left out, in words.
    """

    matrix: np.ndarray
    names: list[str]
    kept: np.ndarray
    levels: dict[str, list[str]] = field(default_factory=dict)
    codes: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def make_design(samples: pd.DataFrame, formula: str) -> Design:
    """The design matrix of `formula` over the rows of `samples`.

    Raises:
        InputError: unknown column, a factor of one level, or an aliased design, shown with its crosstab.
    """
    terms, intercept = _parse(formula)
    columns = list(dict.fromkeys(name for term in terms for name in term))
    for name in columns:
        if name not in samples:
            known = ", ".join(map(str, samples.columns))
            raise InputError("design", got=f"column {name!r} in {formula!r}", expected=f"columns of samples: {known}")
    kept = samples[columns].notna().all(axis=1).to_numpy() if columns else np.ones(len(samples), bool)
    notes = []
    if not kept.all():
        missing = ", ".join(map(str, samples.index[~kept][:5]))
        notes.append(f"{(~kept).sum()} samples lack a value the design needs and are left out: {missing}")
    table = samples.loc[kept]
    coded = {name: _code(table[name], name) for name in columns}
    blocks, names = ([np.ones((len(table), 1))], ["Intercept"]) if intercept else ([], [])
    codes: dict[str, np.ndarray] = {}
    full_factor = None if intercept else next((t[0] for t in terms if len(t) == 1 and coded[t[0]].levels), None)
    starts: dict[str, int] = {}
    for term in terms:
        parts = [coded[name].columns(full=(len(term) == 1 and name == full_factor)) for name in term]
        starts.setdefault(term[0] if len(term) == 1 else "", sum(block.shape[1] for block in blocks))
        block, labels = parts[0]
        for other, other_labels in parts[1:]:
            block = np.einsum("ij,ik->ijk", block, other).reshape(len(table), -1)
            labels = [f"{a}:{b}" for a, b in itertools.product(labels, other_labels)]
        blocks.append(block)
        names += labels
    matrix = np.concatenate(blocks, axis=1) if blocks else np.empty((len(table), 0))
    _refuse_aliased(matrix, names, table, columns, formula)
    for name, one in coded.items():
        if not one.levels or name not in starts:
            continue
        for place, level in enumerate(one.levels):
            row = np.zeros(matrix.shape[1])
            row[0] = float(intercept)
            hot = place if name == full_factor else place - 1
            if hot >= 0:
                row[starts[name] + hot] = 1.0
            codes[level] = np.full(len(row), np.nan) if level in codes else row  # a level of two factors is ambiguous
            codes[f"{name}[{level}]"] = row
    for term in terms:
        if len(term) == 2 and all(coded[name].levels for name in term):
            codes |= _cells([coded[name] for name in term], names, codes)
    return Design(matrix, names, kept, {name: one.levels for name, one in coded.items() if one.levels}, codes, notes)


def _cells(pair: Sequence["_Coded"], names: Sequence[str], codes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By cell of two crossed factors, `A[a]:B[b]`, the row of its mean: both levels and their interaction."""
    first, second = pair
    made = {}
    for a, b in itertools.product(first.levels, second.levels):
        row = codes[f"{first.name}[{a}]"] + codes[f"{second.name}[{b}]"]
        row[0] -= float(names[0] == "Intercept")
        joint = f"{first.name}{a}:{second.name}{b}"
        if joint in names:
            row[names.index(joint)] = 1.0
        made[f"{first.name}[{a}]:{second.name}[{b}]"] = row
    return made


@dataclass(frozen=True)
class _Coded:
    name: str
    values: np.ndarray
    levels: list[str]

    def columns(self, *, full: bool) -> tuple[np.ndarray, list[str]]:
        if not self.levels:
            return self.values[:, None].astype(float), [self.name]
        shown = self.levels if full else self.levels[1:]
        return np.stack([(self.values == level) for level in shown], 1).astype(float), [
            f"{self.name}{level}" for level in shown
        ]


def _code(column: pd.Series, name: str) -> _Coded:
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        if isinstance(column.dtype, pd.CategoricalDtype):
            present = set(column.astype(str))
            levels = [str(level) for level in column.cat.categories if str(level) in present]
        else:
            levels = sorted(set(column.astype(str)))
        if len(levels) < 2:
            only = levels[0] if levels else "no value"
            raise InputError(f"factor {name!r}", got=f"one level, {only!r}", expected="at least two levels")
        return _Coded(name, column.astype(str).to_numpy(), levels)
    return _Coded(name, column.to_numpy(dtype=float), [])


def _parse(formula: str) -> tuple[list[tuple[str, ...]], bool]:
    text = formula.strip()
    if not text.startswith("~"):
        raise InputError("design", got=repr(formula), expected="a formula such as '~ site + group'")
    intercept, terms = True, []
    for raw in text[1:].split("+"):
        part = raw.strip()
        if part in ("0", "-1"):
            intercept = False
        elif part in ("1", ""):
            continue
        elif "*" in part:
            names = [name.strip() for name in part.split("*")]
            terms += [(name,) for name in names]
            terms += [c for size in range(2, len(names) + 1) for c in itertools.combinations(names, size)]
        else:
            terms.append(tuple(name.strip() for name in part.split(":")))
    terms = list(dict.fromkeys(terms))
    for term in terms:  # coded by differences to the base, an interaction alone leaves levels out without a word
        lacking = [name for name in term if len(term) > 1 and (name,) not in terms]
        if lacking:
            raise InputError(
                f"design {formula!r}", got=f"{':'.join(term)} without {', '.join(lacking)}",
                expected=f"the main effects too, {'*'.join(term)}",
            )  # fmt: skip
    return terms, intercept


def _refuse_aliased(
    matrix: np.ndarray, names: list[str], table: pd.DataFrame, columns: Sequence[str], formula: str
) -> None:
    if matrix.shape[0] == 0:
        raise InputError("design", got="no sample with all values", where=formula)
    rank = np.linalg.matrix_rank(matrix)
    if rank == matrix.shape[1]:
        return
    ranks = [np.linalg.matrix_rank(matrix[:, :i]) for i in range(1, len(names) + 1)]
    dependent = [name for name, before, after in zip(names, [0, *ranks], ranks, strict=False) if before == after]
    factors = [name for name in columns if not pd.api.types.is_numeric_dtype(table[name])]
    raise InputError(
        f"design {formula!r}",
        got=f"aliased: {', '.join(dependent)} cannot be told from the columns before",
        hint=crosstab(table, factors[:2]) if len(factors) >= 2 else "drop one of them",
    )


def crosstab(samples: pd.DataFrame, factors: Sequence[str]) -> str:
    """Counts of two factors' levels as one line: `site x group: Kiel AD=0 control=16; ...`."""
    first, second = factors
    counts = pd.crosstab(samples[first], samples[second])
    rows = [f"{level} " + " ".join(f"{key}={value}" for key, value in row.items()) for level, row in counts.iterrows()]
    return f"{first} x {second}: " + "; ".join(rows)


def count_pairs(first: pd.Series, second: pd.Series) -> np.ndarray:
    """Samples with each pair of levels, (levels of first, levels of second): the numbers of `pd.crosstab`, sooner."""
    known = (first.notna() & second.notna()).to_numpy()
    (rows, of_first), (columns, of_second) = (pd.factorize(one[known], sort=True) for one in (first, second))
    shape = len(of_first), len(of_second)
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def aliasing(samples: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Cramer's V of each pair of factors, (factors, factors): 1 means one cannot be separated from the other."""
    result = pd.DataFrame(np.eye(len(factors)), index=list(factors), columns=list(factors))
    for a, b in itertools.combinations(factors, 2):
        counts = count_pairs(samples[a], samples[b])
        value = contingency.association(counts, "cramer") if min(counts.shape) > 1 else np.nan
        result.loc[a, b] = result.loc[b, a] = value
    return result


def make_contrast(design: Design, contrast: str) -> np.ndarray:
    """The coefficient vector of `contrast`, (coefficients,).

    Names are coefficients (`groupAD`, in treatment coding the difference to the base level), or levels of a factor
    (`AD`, or `group[AD]` where two factors share it), which stand for the level's mean at the others' base; or cells of
    an interaction, `group[AD]:day[d7]`.
    """
    known = {name: np.eye(len(design.names))[i] for i, name in enumerate(design.names)}
    known |= {name: row for name, row in design.codes.items() if name not in known}
    pattern = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    tokens = re.findall(rf"({pattern}|\d+\.?\d*|[-+*/()])", contrast)
    if not tokens or re.sub(r"\s", "", "".join(tokens)) != re.sub(r"\s", "", contrast):
        shown = ", ".join(sorted({*design.codes, *design.names}))
        raise InputError("contrast", got=repr(contrast), expected=f"arithmetic over: {shown}")
    plain = {name: f"level{place}" for place, name in enumerate(known)}
    try:
        tree = ast.parse(" ".join(plain.get(str(one), str(one)) for one in tokens), mode="eval").body
    except SyntaxError:
        raise InputError("contrast", got=repr(contrast), expected="e.g. 'AD-control'") from None
    vector = _value(tree, {plain[name]: row for name, row in known.items()}, contrast)
    if not isinstance(vector, np.ndarray):
        raise InputError("contrast", got=repr(contrast), expected="e.g. 'AD-control'")
    if np.isnan(vector).any():
        raise InputError("contrast", got=f"{contrast!r}, a level that two factors have", expected="e.g. 'group[AD]'")
    if not vector.any():
        raise InputError("contrast", got=f"{contrast!r}, which is zero", expected="a difference")
    return vector


def _bare(level: str, factor: str) -> str:
    return level[len(factor) + 1 : -1] if level.startswith(f"{factor}[") and level.endswith("]") else level


def compared(contrast: str, levels: Mapping[str, Collection[str]]) -> tuple[str, str, str] | None:
    """(factor, A, B) of `A-B` or `factor[A]-factor[B]`, cut so that both are levels of it; None for other contrasts."""
    parts = contrast.split("-")
    for place in range(1, len(parts)):  # levels may hold hyphens of their own: responder-non-responder
        a, b = "-".join(parts[:place]).strip(), "-".join(parts[place:]).strip()
        for name, known in levels.items():
            first, second = (_bare(side, name) for side in (a, b))
            if first in known and second in known:
                return name, first, second
    return None


_SIGNS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def _value(node: ast.expr, known: Mapping[str, np.ndarray], text: str) -> np.ndarray | float:
    """An expression of + - * / and brackets over levels, which are coefficient vectors, and numbers."""
    match node:
        case ast.Name():
            return known[node.id]
        case ast.Constant():
            return float(node.value)  # pyright: ignore[reportArgumentType]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            return _value(node.operand, known, text) * (-1 if isinstance(node.op, ast.USub) else 1)
        case ast.BinOp() if type(node.op) in _SIGNS:
            a, b = _value(node.left, known, text), _value(node.right, known, text)
            levels = isinstance(a, np.ndarray), isinstance(b, np.ndarray)
            wrong = ""
            if isinstance(node.op, (ast.Add, ast.Sub)):
                wrong = "a number added to a level" * (levels[0] != levels[1])
            elif all(levels) or (levels[1] and isinstance(node.op, ast.Div)):
                wrong = "a product or quotient of levels"
            elif isinstance(node.op, ast.Div) and not np.any(b):
                wrong = "a division by zero"
            if not wrong:
                return _SIGNS[type(node.op)](a, b)
            raise InputError("contrast", got=f"{text!r}, {wrong}", expected="e.g. 'AD-control' or '(A+B)/2-C'")
    raise InputError("contrast", got=repr(text), expected="e.g. 'AD-control'")
