"""ALS, its lists and their metrics on Spark from end to end: no pairs, factors or lists pass through this process.

A fit writes a folder of Parquet tables that all executors must see: `users` and `items` (code, id, factors) and `pairs`
(codes, strength). Lists are made by the executors that hold the users' factors, each with the items' factors in memory.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import scipy.sparse as sp
from ninefold.artifacts import FolderArtifact, write_folder
from ninefold.errors import InputError, require

from recsys.data._frame import need
from recsys.recommender._longest import top_of_factors
from recsys.recommender._query import check_length
from recsys.recommender._topk import Filter

KIND, LISTS = "recsys.spark", "recsys.lists"


def spark_session(master: str | None = None, memory: str | None = None) -> Any:
    """The running Spark session, or a new one.

    Args:
        master: e.g. "local[2]"; the one of Spark's own settings if None.
        memory: heap of the driver's Java process, e.g. "8g", which with a local master does all work.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = require("pyspark.sql", "recsys", "spark").SparkSession.builder.appName("recsys")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    builder = builder if master is None else builder.master(master)
    builder = builder if memory is None else builder.config("spark.driver.memory", memory)
    return builder.getOrCreate()


def read_events(session: Any, path: str | Path) -> Any:
    """A Parquet file or folder, or a CSV file with a header, as a Spark frame."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"file {path}", got="no such file", expected="a .csv or .parquet file or folder")
    if path.suffix == ".csv":
        return session.read.csv(_uri(path), header=True, inferSchema=True)
    return session.read.parquet(_uri(path))


@dataclass(frozen=True)
class SparkFactors:
    """A folder of factors that `fit` wrote; open one by its path. Only the manifest is read here.

    Examples:
        >>> import recsys
        >>> from pathlib import Path
        >>> from ninefold import ArtifactError

        >>> try:
        ...     recsys.SparkFactors(Path("factors")).about
        ... except ArtifactError as error:
        ...     print(error)
        factors: is not there

        `events` is a frame of a running Spark, `session`, which needs Java 17:

        >>> factors = recsys.SparkFactors.fit(events, "factors", user="customer", item="sku")  # doctest: +SKIP
        >>> factors.recommend(session, "lists", k=10)  # doctest: +SKIP
    """

    folder: Path

    @property
    def about(self) -> dict[str, Any]:
        """Names of the columns, parameters, and how many users, items and pairs there are."""
        return FolderArtifact(self.folder, kind=KIND, format_version=1).meta

    @classmethod
    def fit(
        cls, frame: Any, folder: str | Path, *, user: str, item: str, value: str | None = None, factors: int = 64,
        reg: float = 0.1, alpha: float = 10.0, epochs: int = 10, blocks: int = 10, seed: int = 0, force: bool = False,
    ) -> SparkFactors:  # fmt: skip
        """Learn from a Spark frame of events and write the factors.

        Target 1 with confidence 1 + alpha r, where r is the sum of a pair's values, and ridge reg times a row's pairs.

        Args:
            frame: pyspark.sql.DataFrame; a pair's rows are summed.
            folder: where all executors can write; refused if it is there, unless `force`.
            user, item: columns of ids, integer or text.
            value: column of positive strengths; each pair counts 1 if None.
            factors, reg, alpha, epochs: MLlib's rank, regParam, alpha, maxIter.
            blocks: parts that users and items are cut into.
            seed: random seed.
        Raises:
            InputError: for settings out of range, a missing column, nulls, or values that are not positive and finite,
                with how many rows.
        """
        settings = {"factors": factors, "reg": reg, "alpha": alpha, "epochs": epochs, "blocks": blocks, "seed": seed}
        if min(factors, epochs, blocks) < 1 or reg < 0 or alpha <= 0:
            raise InputError("factors, epochs, reg, alpha, blocks", got=str(settings), expected="positive numbers")
        als: Any = require("pyspark.ml.recommendation", "recsys", "spark").ALS(
            rank=factors, regParam=reg, alpha=alpha, maxIter=epochs, implicitPrefs=True, userCol="u", itemCol="i",
            ratingCol="r", seed=seed, numUserBlocks=blocks, numItemBlocks=blocks,
        )  # fmt: skip
        functions, session = require("pyspark.sql.functions", "recsys", "spark"), frame.sparkSession
        pairs = _checked_pairs(frame, user, item, value)
        meta: dict[str, Any] = {"user": user, "item": item, "value": value, "params": settings}
        with write_folder(folder, kind=KIND, format_version=1, package="recsys", meta=meta, force=force) as place:
            raw = _written(pairs, place / "raw")
            coded, ids = raw, {}
            for kind, code in (("user", "u"), ("item", "i")):
                ids[code] = _codes(raw, kind, code, place / f"{kind}-ids")
                coded = coded.join(ids[code], kind)
            pairs = _written(coded.select("u", "i", "r"), place / "pairs")
            meta["pairs"] = pairs.count()
            if not meta["pairs"]:
                raise InputError("events", got="no rows", expected="at least one event")
            learned = als.fit(pairs)
            popular = pairs.groupBy("i").agg(functions.count("*").alias("popular"))
            tables = {"users": (ids["u"], learned.userFactors, "u"), "items": (ids["i"].join(popular, "i"),
                                                                             learned.itemFactors, "i")}  # fmt: skip
            for name, (table, vectors, code) in tables.items():
                found = _written(table.join(vectors.withColumnRenamed("id", code), code), place / name)
                meta[name] = found.count()
            session.catalog.clearCache()
            for name in ("raw", "user-ids", "item-ids"):
                shutil.rmtree(place / name)
        return cls(Path(folder))

    def table(self, session: Any, name: str) -> Any:
        """One of the tables "users", "items" and "pairs" as a Spark frame."""
        return session.read.parquet(_uri(self.folder / name))

    def recommend(
        self, session: Any, out: str | Path, k: int = 10, *, filter_seen: bool = True, force: bool = False
    ) -> int:
        """Write the k best items of each user to the folder `out` (in it `lists`, Parquet); returns how many rows.

        Columns are user and item as in the events, rank and score; a list is shorter where fewer items are left.
        """
        check_length(k)
        functions, about = require("pyspark.sql.functions", "recsys", "spark"), self.about
        users = self.table(session, "users")
        if filter_seen:
            seen = self.table(session, "pairs").groupBy("u").agg(functions.collect_list("i").alias("seen"))
            users = users.join(seen, "u")
        types = dict(users.dtypes)["user"], dict(self.table(session, "items").dtypes)["item"]
        schema = f"`{about['user']}` {types[0]}, `{about['item']}` {types[1]}, `rank` int, `score` float"
        make = ListMaker(str(self.folder / "items"), about["user"], about["item"], k)
        with write_folder(out, kind=LISTS, format_version=1, package="recsys", force=force) as place:
            return _written(users.mapInArrow(make, schema), place / "lists").count()

    def evaluate(self, session: Any, lists: str | Path, test: Any, k: int = 10) -> dict[str, float]:
        """NDCG, recall, hit rate and MRR at k of lists on later events, as `recsys.evaluate` defines them.

        Means are over the listed users with a pair in `test` that the fit had not; only the means come to this process.

        Args:
            lists: folder of `recommend`.
            test: Spark frame with the columns of the fit.
            k: rank up to which lists count.
        """
        check_length(k)
        functions, about = require("pyspark.sql.functions", "recsys", "spark"), self.about
        keys = [about["user"], about["item"]]
        need(test.columns, keys, where="the test frame")
        FolderArtifact(lists, kind=LISTS, format_version=1)
        listed = session.read.parquet(_uri(Path(lists) / "lists")).where(functions.col("rank") <= k)
        had = self.table(session, "pairs").join(self.table(session, "users").select("u", "user"), "u")
        had = had.join(self.table(session, "items").select("i", "item"), "i")
        had = had.select(functions.col("user").alias(keys[0]), functions.col("item").alias(keys[1]))
        wanted = test.select(*keys).distinct().join(had, keys, "left_anti")
        wanted = wanted.join(listed.select(keys[0]).distinct(), keys[0], "left_semi").join(listed, keys, "left")
        rank = functions.col("rank")
        each = wanted.groupBy(keys[0]).agg(
            functions.count("*").alias("relevant"), functions.count(rank).alias("hits"),
            functions.coalesce(functions.sum(1 / functions.log2(rank + 1)), functions.lit(0.0)).alias("gain"),
            functions.coalesce(1 / functions.min(rank), functions.lit(0.0)).alias("first"),
        )  # fmt: skip
        ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2))).tolist()
        best = functions.array(*map(functions.lit, ideal))
        at = functions.least(functions.col("relevant"), functions.lit(k)).cast("int")
        found = each.agg(
            functions.avg(functions.col("gain") / functions.element_at(best, at)).alias(f"ndcg@{k}"),
            functions.avg(functions.col("hits") / functions.col("relevant")).alias(f"recall@{k}"),
            functions.avg((functions.col("hits") > 0).cast("double")).alias(f"hr@{k}"),
            functions.avg("first").alias(f"mrr@{k}"), functions.count("*").alias("users"),
        ).first()  # fmt: skip
        if not found["users"]:
            raise InputError("test", got="no new pair of a listed user", expected="later events of these users")
        return found.asDict()


@dataclass(frozen=True)
class ListMaker:
    """Makes lists where Spark runs it: Arrow batches of users (user, features, optionally seen) to batches of lists."""

    items: str
    user: str
    item: str
    k: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Lists of each batch; the items' factors are read once."""
        table = pyarrow.parquet.read_table(self.items, columns=["i", "item", "features"]).sort_by("i")
        ids, H = table.column("item").combine_chunks(), _matrix(table.column("features").combine_chunks())
        for batch in batches:
            hidden = None
            if "seen" in batch.schema.names:
                seen = batch.column("seen")
                item, indptr = seen.flatten().to_numpy(), seen.offsets.to_numpy()
                shape = (len(batch), len(H))
                hidden = sp.csr_matrix((np.ones(len(item), np.int8), item, indptr - indptr[0]), shape=shape)
            lists = top_of_factors(_matrix(batch.column("features")), H, self.k, Filter(hidden=hidden))
            columns = batch.column("user").take(pa.array(lists.row)), ids.take(pa.array(lists.item))
            made = [*columns, pa.array(lists.rank), pa.array(lists.score)]
            yield pa.RecordBatch.from_arrays(made, [self.user, self.item, "rank", "score"])


def _checked_pairs(frame: Any, user: str, item: str, value: str | None) -> Any:
    """A Spark frame of distinct pairs (user, item, strength r) of events."""
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


def _matrix(features: Any) -> np.ndarray:
    """A column of lists of equal length as float32 (rows, width)."""
    values = features.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float32).reshape(len(features), -1)


def _codes(pairs: Any, kind: str, code: str, place: Path) -> Any:
    """A frame of the distinct ids and a code of each, from 0 without gaps in the ids' order."""
    functions = require("pyspark.sql.functions", "recsys", "spark")
    ids = pairs.select(kind).distinct().sort(kind).withColumn("at", functions.monotonically_increasing_id())
    ids = _written(ids, place)  # numbers of rows are those of one run alone
    part = functions.shiftright(functions.col("at"), 33)
    counts = ids.groupBy(part.alias("part")).count().sort("part").collect()  # one row for each part of the frame
    starts = np.cumsum([0, *(row["count"] for row in counts)])
    if starts[-1] > 2**31 - 1:
        raise InputError(f"{kind} ids", got=f"{starts[-1]:,}", expected=f"at most {2**31 - 1:,}")
    session = pairs.sparkSession
    offsets = pa.table({"part": [row["part"] for row in counts], "start": starts[:-1]})
    ids = ids.withColumn("part", part).join(functions.broadcast(session.createDataFrame(offsets)), "part")
    number = functions.col("at").bitwiseAND((1 << 33) - 1) + functions.col("start")
    return ids.select(kind, number.cast("int").alias(code))


def _written(frame: Any, path: Path) -> Any:
    """The frame, written to Parquet by the executors and read back from there."""
    frame.write.parquet(_uri(path))
    return frame.sparkSession.read.parquet(_uri(path))


def _uri(path: Path) -> str:
    return Path(path).resolve().as_uri()
