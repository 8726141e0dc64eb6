"""Verbs that run on Spark: what they read and write never passes through this process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, verb

from recsys.cli._app import Length, app

Master = Annotated[
    str | None, typer.Option("--master", help='Spark master, such as "local[2]"; the configured one if omitted.')
]
Memory = Annotated[str | None, typer.Option("--memory", help="Heap size of the driver's Java process, such as 8g.")]
Factors = Annotated[Path, typer.Argument(help="A folder that spark-fit wrote.")]
Frame = Annotated[Path, typer.Argument(help="Events: a .csv file with a header, a .parquet file or folder.")]


@verb(app, name="spark-fit", uses=("seed", "force", "out"), out="folder")
def spark_fit(
    events: Frame, user: Annotated[str, typer.Option("--user", help="Column of user ids.")] = "user",
    item: Annotated[str, typer.Option("--item", help="Column of item ids.")] = "item",
    value: Annotated[str | None, typer.Option("--value", help="Column of positive strengths.")] = None,
    factors: Annotated[int, typer.Option("--factors", help="Number of factors of each user and item.")] = 64,
    reg: Annotated[float, typer.Option("--reg", help="Ridge penalty for each pair of a row.")] = 0.1,
    alpha: Annotated[float, typer.Option("--alpha", help="Confidence of a strength of 1, above 1.")] = 10.0,
    epochs: Annotated[int, typer.Option("--epochs", help="Number of ALS iterations.")] = 10,
    master: Master = None, memory: Memory = None, *, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Fit MLlib's ALS on Spark; the folder -o holds ids, factors and pairs as Parquet tables.

    Example: `recsys spark-fit shop.csv -o factors`
    """
    from recsys.factors._spark import SparkFactors, read_events, spark_session

    out = opts.need_out()
    frame = read_events(spark_session(master, memory), events)
    settings: dict[str, Any] = {"factors": factors, "reg": reg, "alpha": alpha, "epochs": epochs, "seed": opts.seed}
    found = SparkFactors.fit(frame, out, user=user, item=item, value=value, **settings, force=opts.force)
    return {"folder": out, **{name: found.about[name] for name in ("users", "items", "pairs")}}


@verb(app, name="spark-recommend", uses=("force", "out"), out="folder")
def spark_recommend(
    factors: Factors, k: Length = 10,
    keep_seen: Annotated[bool, typer.Option("--keep-seen", help="Include items that the user had.")] = False,
    master: Master = None, memory: Memory = None, *, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Lists for all users, written by Spark's executors as Parquet to the folder -o (in it: lists).

    Example: `recsys spark-recommend factors -o spark-lists`
    """
    from recsys.factors._spark import SparkFactors, spark_session

    out, session = opts.need_out(), spark_session(master, memory)
    rows = SparkFactors(factors).recommend(session, out, k, filter_seen=not keep_seen, force=opts.force)
    return {"rows": rows, "folder": out}


@verb(app, name="spark-evaluate", uses=())
def spark_evaluate(
    factors: Factors, lists: Annotated[Path, typer.Argument(help="A folder that spark-recommend wrote.")],
    test: Frame, k: Length = 10, master: Master = None, memory: Memory = None,
) -> dict[str, Any]:  # fmt: skip
    """NDCG, recall, hit rate and MRR at k of lists on later events, computed on Spark.

    Example: `recsys spark-evaluate factors spark-lists/lists parts/test.parquet`
    """
    from recsys.factors._spark import SparkFactors, read_events, spark_session

    session = spark_session(master, memory)
    return SparkFactors(factors).evaluate(session, lists, read_events(session, test), k)
