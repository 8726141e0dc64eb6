"""MLlib's ALS on an existing Spark, for events that no one machine can factorise; the result is a model like others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError, require

from recsys.data._dataset import Dataset, Names
from recsys.data._frame import need
from recsys.data._history import History
from recsys.data._ids import IdMap, id_array
from recsys.data._untyped import Csr
from recsys.recommender._base import Recommender
from recsys.recommender._rows import solve_rows

_MOST = 2**31 - 1  # MLlib's ids are 32-bit


@dataclass(kw_only=True, eq=False, repr=False)
class SparkALS(Recommender):
    """ALS of MLlib with implicit preferences: target 1 with confidence 1 + alpha r, ridge reg times the row's pairs.

    `fit_frame` takes a Spark frame, and Spark does the work; `fit` sends local events to the active Spark session.
    Factors and distinct pairs come back to this process and must fit here. One machine first: implicit's own benchmark
    has one processor 23 to 30 times faster an iteration than MLlib at 256 factors.

    Args:
        factors, reg, alpha, epochs: MLlib's rank, regParam, alpha, maxIter.
        blocks: parts that users and items are cut into.
        seed: of the start.

    Examples:
        >>> import recsys

        >>> model = recsys.SparkALS(factors=16, reg=0.05, epochs=5)
        >>> model.get_params()["alpha"]
        10.0

        `events` is a frame of a running Spark, which needs Java 17:

        >>> model.fit_frame(events, user="customer", item="sku")  # doctest: +SKIP
        >>> model.recommend(["ann"], k=3)  # doctest: +SKIP
    """

    source: ClassVar[str] = "Spark MLlib; Hu et al. 2008, Zhou et al. 2008"
    fitted: ClassVar[tuple[str, ...]] = ("user_factors_", "item_factors_")
    reads_values: ClassVar[bool] = True
    per_user: ClassVar[tuple[str, ...]] = ("user_factors_",)
    factors: int = 64
    reg: float = 0.1
    alpha: float = 10.0
    epochs: int = 10
    blocks: int = 10
    seed: int = 0

    def fit_frame(self, frame: Any, *, user: str, item: str, value: str | None = None) -> Self:
        """Learn from a Spark frame of events, on the Spark that it lives in.

        Args:
            frame: pyspark.sql.DataFrame; a pair's rows are summed.
            user, item: columns of ids, integer or text; they come back as they are.
            value: column of positive strengths; each pair counts 1 if None.
        Raises:
            InputError: for a missing column, nulls, or values that are not positive and finite; counts the rows.
        """
        pairs = checked_pairs(frame, user, item, value)
        users, items = _ids_of(pairs, "user"), _ids_of(pairs, "item")
        coded = pairs
        for kind, ids in (("user", users), ("item", items)):
            table = pa.table({kind: ids.values, kind[0]: pa.array(np.arange(len(ids), dtype=np.int32))})
            coded = coded.join(frame.sparkSession.createDataFrame(table), kind)
        coded = coded.select("u", "i", "r").persist()
        self._frame = coded
        try:
            local = coded.toArrow()
            if local.num_rows == 0:
                raise InputError("events", got="no rows", expected="at least one event")
            codes = (np.asarray(local.column(one).to_numpy(), np.int32) for one in ("u", "i"))
            strengths = np.asarray(local.column("r").to_numpy(), np.float32) if value else None
            return self.fit(Dataset(users, items, *codes, value=strengths, names=Names(user, item, value)))
        finally:
            self._frame = None
            coded.unpersist()

    def check(self) -> None:
        """InputError for parameters that are none."""
        if min(self.factors, self.epochs, self.blocks) < 1 or self.reg < 0 or self.alpha <= 0:
            raise InputError("factors, epochs, reg, alpha, blocks", got=repr(self), expected="positive numbers")

    def mllib(self, pairs: Any) -> Any:
        """MLlib's fitted model of a Spark frame of pairs: user u, item i, strength r."""
        return require("pyspark.ml.recommendation", "recsys", "spark").ALS(
            rank=self.factors, regParam=self.reg, alpha=self.alpha, maxIter=self.epochs, implicitPrefs=True,
            userCol="u", itemCol="i", ratingCol="r", seed=self.seed, numUserBlocks=self.blocks,
            numItemBlocks=self.blocks,
        ).fit(pairs)  # fmt: skip

    def _fit(self, data: Dataset) -> None:
        self.check()
        frame = getattr(self, "_frame", None)
        model = self.mllib(self._sent() if frame is None else frame)
        self.user_factors_ = _collected(model.userFactors, data.n_users, self.factors)
        self.item_factors_ = _collected(model.itemFactors, data.n_items, self.factors)

    def _sent(self) -> Any:
        """The history's pairs as a frame of the active session."""
        session = require("pyspark.sql", "recsys", "spark").SparkSession.getActiveSession()
        if session is None:
            raise InputError("SparkALS.fit", got="no active Spark session", expected="one: start Spark, or fit_frame()")
        X = self._strengths(self.history_)
        user = np.repeat(np.arange(X.shape[0], dtype=np.int32), np.diff(X.indptr))
        return session.createDataFrame(pa.table({"u": user, "i": X.indices.astype(np.int32), "r": X.data}))

    def _strengths(self, history: History) -> Csr:
        """r of each pair: the sum of its values, or 1."""
        if history.value is None:
            return history.matrix()
        shape = (len(history), history.n_items)
        matrix = sp.csr_matrix((history.value.copy(), history.item.copy(), history.indptr.copy()), shape=shape)
        matrix.sum_duplicates()
        return matrix

    def _fold(self, history: History) -> dict[str, np.ndarray]:
        """(H'H + alpha sum r h h' + reg n I) w = sum (1 + alpha r) h, as MLlib solves a user."""
        X = self._strengths(history)
        X.data = self.alpha * X.data
        ridge = (self.reg * np.diff(X.indptr)).astype(np.float32)
        ridge[ridge == 0] = max(self.reg, 1e-6)  # of users without events, who are never answered from it
        H = self.item_factors_
        return {"user_factors_": solve_rows(X, H, H.T @ H, ridge, target=1 + X.data)}


def checked_pairs(frame: Any, user: str, item: str, value: str | None) -> Any:
    """A Spark frame of distinct pairs (user, item, strength r) of events; see `SparkALS.fit_frame`."""
    functions: Any = require("pyspark.sql.functions", "recsys", "spark")
    columns = [user, item, *([value] if value else [])]
    need(frame.columns, columns, where="the Spark frame")
    column, counts = functions.col, []
    for name in columns:
        bad = column(name).isNull()
        if name == value:
            strength = column(name).cast("double")
            bad = bad | ~(strength > 0) | functions.isnan(strength) | (strength == float("inf"))  # NaN > 0 there
        counts.append(functions.count_if(bad))
    for name, count in zip(columns, frame.agg(*counts).first(), strict=True):  # one pass for all columns
        if count:
            what = "null or not positive and finite" if name == value else "null"
            raise InputError(f"column {name!r}", got=f"{what} in {count} rows", expected="ids, positive strengths")
    strength = functions.sum(column(value).cast("float")) if value else functions.lit(1.0)
    pairs = frame.groupBy(column(user).alias("user"), column(item).alias("item"))
    return pairs.agg(strength.cast("float").alias("r"))


def _ids_of(pairs: Any, kind: str) -> IdMap:
    values = id_array(pairs.select(kind).distinct().orderBy(kind).toArrow().column(kind), kind)
    if len(values) > _MOST:
        raise InputError(f"{kind} ids", got=f"{len(values):,}", expected=f"at most {_MOST:,}")
    return IdMap(values, kind)


def _collected(frame: Any, rows: int, width: int) -> np.ndarray:
    """Factors float32 (rows, width) of a frame (id, features); zero where MLlib has none."""
    table = frame.toArrow().combine_chunks()
    factors = np.zeros((rows, width), np.float32)
    if table.num_rows:
        features = table.column("features").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        factors[table.column("id").to_numpy()] = features.reshape(-1, width)
    return factors
