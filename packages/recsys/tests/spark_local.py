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

# most of the time goes to starting Java and compiling code that runs once: quick compilers, none of Spark's own,
# no checks of Spark's classes and no collections while these are loaded
os.environ["JAVA_TOOL_OPTIONS"] = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -XX:MetaspaceSize=256m "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
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
place = Path(sys.argv[1]).parent
settings = {"factors": 5, "reg": 0.05, "alpha": 3.0, "epochs": 2, "blocks": 2}
fitted = recsys.SparkFactors.fit(frame, place / "factors", user="who", item="sku", value="n", **settings)
factors = {row["i"]: (row["item"], np.array(row["features"])) for row in fitted.table(spark, "items").collect()}
assert sorted(factors) == list(range(len(factors)))
H = np.stack([factors[code][1] for code in range(len(factors))])
of_user = {row["user"]: np.array(row["features"]) for row in fitted.table(spark, "users").collect()}
code_of = {sku: code for code, (sku, _) in factors.items()}
assert set(of_user) == {f"u{one}" for one in user}

# MLlib solves the users last: each is the solution of its normal equations against the final items
X = {who: np.zeros(len(H)) for who in of_user}
for who, sku, strength in zip(*(table.column(name).to_pylist() for name in ("who", "sku", "n")), strict=True):
    X[who][code_of[sku]] += strength
for who, row in X.items():
    had = row > 0
    A = H.T @ H + (H[had].T * (3.0 * row[had])) @ H[had] + 0.05 * had.sum() * np.eye(5)
    np.testing.assert_allclose(of_user[who], np.linalg.solve(A, H[had].T @ (1 + 3.0 * row[had])), rtol=2e-3, atol=1e-4)
pairs = sum(int((row > 0).sum()) for row in X.values())
assert (fitted.about["users"], fitted.about["items"], fitted.about["pairs"]) == (len(X), len(H), pairs)


def refusal(table: pa.Table, item: str = "sku") -> str:
    """What is said of a table that must be refused."""
    try:
        recsys.SparkFactors.fit(spark.createDataFrame(table), place / "refused", user="who", item=item, value="n")
    except InputError as error:
        return str(error)
    return "nothing"


assert "'who': got null in 1 rows" in refusal(pa.table({"who": ["a", None], "sku": [1, 2], "n": [1.0, 1.0]}))
assert "'n': got null or not positive" in refusal(pa.table({"who": ["a", "b"], "sku": [1, 2], "n": [1.0, -1.0]}))
assert "'n': got null or not positive" in refusal(pa.table({"who": ["a", "b"], "sku": [1, 2], "n": [1.0, np.nan]}))
assert "column 'nope'" in refusal(table, "nope")
# lists and metrics, without anything coming here
rows = fitted.recommend(spark, place / "lists", 4)
lists = pq.read_table(place / "lists" / "lists").to_pandas()
assert rows == len(lists)
assert lists.groupby("who").size().max() == 4
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
    if who in of_user and sku in code_of and X[who][code_of[sku]] == 0:
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
