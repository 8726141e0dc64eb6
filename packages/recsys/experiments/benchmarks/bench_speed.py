"""Lists and fits beside implicit's and a bare matrix product: one JSON line each. Run: python bench_speed.py"""

from ninefold.measure import emit
from recsys.evaluation._bench import bench

if __name__ == "__main__":
    table = bench(repeats=7)
    for row in table.rows:
        emit(**dict(zip(table.columns, row, strict=True)))
