"""What `test_spark.py` runs in an environment that has pyspark: a fit on local[2], checked on the spot."""

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import recsys
from ninefold.errors import ArtifactError, InputError
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
# from end to end on Spark: the same factors, lists and metrics without anything coming here
place = Path(sys.argv[1]).parent
settings = recsys.SparkALS(factors=5, reg=0.05, alpha=3.0, epochs=2, blocks=2)
fitted = recsys.SparkFactors.fit(frame, place / "factors", user="who", item="sku", value="n", model=settings)
assert (fitted.about["users"], fitted.about["items"]) == (len(model.user_ids_), len(model.item_ids_))
assert fitted.about["pairs"] == int((X > 0).sum())
rows = fitted.recommend(spark, place / "lists", 4)
lists = pq.read_table(place / "lists" / "lists").to_pandas()
assert rows == len(lists)
assert lists.groupby("who").size().max() == 4
factors = {row["i"]: (row["item"], np.array(row["features"])) for row in fitted.table(spark, "items").collect()}
assert sorted(factors) == list(range(len(factors)))
H = np.stack([factors[code][1] for code in range(len(factors))])
of_user = {row["user"]: np.array(row["features"]) for row in fitted.table(spark, "users").collect()}
for who, own in lists.groupby("who"):  # the best of the products, without what the user had
    score = {factors[code][0]: float(H[code] @ of_user[who]) for code in range(len(H))}
    for sku in table.column("sku").to_numpy()[[one == who for one in table.column("who").to_pylist()]]:
        score.pop(int(sku), None)
    best = sorted(score.values(), reverse=True)[:4]
    np.testing.assert_allclose(own.sort_values("rank").score.tolist(), best, rtol=1e-4)
    np.testing.assert_allclose([score[sku] for sku in own.sort_values("rank").sku], best, rtol=1e-4)
later = pa.table({"who": [f"u{one % 40}" for one in range(90)], "sku": draw.integers(1000, 1025, 90)})
found = fitted.evaluate(spark, place / "lists", spark.createDataFrame(later), 4)
wanted, listed = {}, lists.set_index(["who", "sku"])["rank"].to_dict()
for who, sku in set(zip(later.column("who").to_pylist(), later.column("sku").to_pylist(), strict=True)):
    if who in of_user and X[model.user_ids_.code(who), model.item_ids_.code(sku)] == 0:
        wanted.setdefault(who, []).append(listed.get((who, sku), 0))
gain = [sum(1 / np.log2(rank + 1) for rank in ranks if rank) / sum(1 / np.log2(place + 2) for place in range(
    min(4, len(ranks)))) for ranks in wanted.values()]  # fmt: skip
assert found["users"] == len(wanted)
np.testing.assert_allclose(found["ndcg@4"], np.mean(gain), rtol=1e-6)
np.testing.assert_allclose(found["hr@4"], np.mean([any(ranks) for ranks in wanted.values()]), rtol=1e-6)
again = ""
try:
    recsys.SparkFactors.fit(frame, place / "factors", user="who", item="sku")
except ArtifactError as error:
    again = str(error)
assert "factors" in again  # what is there is not replaced
spark.stop()
print("held")
