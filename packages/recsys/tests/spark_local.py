"""What `test_spark.py` runs in an environment that has pyspark: a fit on local[2], checked on the spot."""

import os
import sys

import numpy as np
import pyarrow as pa
import recsys
from ninefold.errors import InputError
from pyspark.sql import SparkSession

draw = np.random.default_rng(0)
user, item = draw.integers(0, 40, 600), draw.integers(0, 25, 600)
item = np.where(draw.random(600) < 0.7, (item // 3) * 3 + user % 3, item) % 25
table = pa.table({"who": [f"u{one}" for one in user], "sku": item + 1000, "n": draw.uniform(0.5, 2, 600)})

# most of the time goes to starting Java and compiling code that runs once: quick compilers, none of Spark's own
os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.default.parallelism", "2")
    .config("spark.sql.adaptive.enabled", "false")
    .config("spark.sql.codegen.wholeStage", "false")
    .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .getOrCreate()
)
frame = spark.createDataFrame(table)
model = recsys.SparkALS(factors=5, reg=0.05, alpha=3.0, epochs=2, blocks=2).fit_frame(
    frame, user="who", item="sku", value="n"
)
assert type(model) is recsys.SparkALS
assert set(model.user_ids_.values.to_pylist()) == {f"u{one}" for one in user}

# MLlib solves the users last: each is the solution of its normal equations against the final items
X = np.zeros((len(model.user_ids_), len(model.item_ids_)))
who, what = model.user_ids_.codes(table.column("who")), model.item_ids_.codes(table.column("sku"))
np.add.at(X, (who, what), table.column("n").to_numpy())
H = model.item_factors_.astype(np.float64)
for row in range(len(X)):
    had = X[row] > 0
    A = H.T @ H + (H[had].T * (3.0 * X[row, had])) @ H[had] + 0.05 * had.sum() * np.eye(5)
    expected = np.linalg.solve(A, H[had].T @ (1 + 3.0 * X[row, had]))
    np.testing.assert_allclose(model.user_factors_[row], expected, rtol=2e-3, atol=1e-4)

lists = model.recommend(["u3", "nobody"], k=4).to_pandas()
assert lists.source.tolist() == ["model"] * 4 + ["fallback"] * 4
assert not set(lists[lists.who == "u3"].sku) & set(table.column("sku").to_numpy()[user == 3].tolist())
loaded = recsys.load(model.save(sys.argv[1]))
assert loaded.recommend(k=3).equals(model.recommend(k=3))

# local events, sent to the same session: the fold-in of known users is MLlib's own solution
data = recsys.Dataset.from_frame(table, user="who", item="sku", value="n")
local = recsys.SparkALS(factors=5, reg=0.05, alpha=3.0, epochs=1, blocks=2).fit(data)
np.testing.assert_allclose(local.fold_in(data).user_factors_, local.user_factors_, rtol=2e-3, atol=1e-4)


def refusal(table: pa.Table, item: str = "sku") -> str:
    """What is said of a table that must be refused."""
    try:
        recsys.SparkALS().fit_frame(spark.createDataFrame(table), user="who", item=item, value="n")
    except InputError as error:
        return str(error)
    return "nothing"


assert "'who': got null in 1 rows" in refusal(pa.table({"who": ["a", None], "sku": [1, 2], "n": [1.0, 1.0]}))
assert "'n': got null or not positive" in refusal(pa.table({"who": ["a", "b"], "sku": [1, 2], "n": [1.0, -1.0]}))
assert "'n': got null or not positive" in refusal(pa.table({"who": ["a", "b"], "sku": [1, 2], "n": [1.0, np.nan]}))
assert "column 'nope'" in refusal(table, "nope")
spark.stop()
print("held")
