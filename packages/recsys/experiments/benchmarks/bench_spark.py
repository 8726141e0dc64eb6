"""ALS and lists on Spark from end to end: memory of the Python driver by the number of simulated pairs.

Each size runs in a process of its own on local[2], heap 8 GB, 16 factors, 3 iterations; every user has 100 pairs of
20,000 items. One JSON line a size. In an environment with pyspark (Java 17 or newer), a few minutes for 20 M pairs:

    uv run --no-project --with "pyspark>=4,<5" --with ./shared/core --with ./packages/recsys \\
        python packages/recsys/experiments/benchmarks/bench_spark.py [PAIRS...]
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ninefold.measure import emit

SIZES = (5_000_000, 20_000_000)


def run(pairs: int) -> None:
    from pyspark.sql import functions
    from recsys.factors._spark import SparkFactors, spark_session

    session = spark_session("local[2]", "8g")
    session.sparkContext.setLogLevel("ERROR")
    place = functions.col("id") % 100
    item = functions.floor(functions.pow(functions.rand(seed=0), 2) * 200) * 100 + place
    events = session.range(pairs).select((functions.col("id") / 100).cast("int").alias("user"), item.alias("item"))
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        fitted = SparkFactors.fit(events, Path(folder) / "model", user="user", item="item", factors=16, epochs=3)
        seconds["fit"] = round(time.perf_counter() - start, 1)
        start = time.perf_counter()
        rows = fitted.recommend(session, Path(folder) / "lists", 10)
        seconds["lists"] = round(time.perf_counter() - start, 1)
        sizes = {name: fitted.about[name] for name in ("pairs", "users", "items")}
    session.stop()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    emit(**sizes, rows=rows, seconds=seconds, driver_mib=round(rss, 1))


if __name__ == "__main__" and sys.argv[1:2] == ["--one"]:
    run(int(sys.argv[2]))
elif __name__ == "__main__":
    for size in map(int, sys.argv[1:] or SIZES):
        subprocess.run([sys.executable, __file__, "--one", str(size)], check=True)
