"""Real data that comes with the package: a slice of Online Retail. Nothing is downloaded.

Examples:
    >>> import recsys

    >>> data = recsys.datasets.embedded_retail()
    >>> data
    Dataset(383,920 events, 4,334 users, 3,659 items, times)
"""

from __future__ import annotations

from importlib.resources import as_file, files

from recsys.data._dataset import Dataset


def embedded_retail() -> Dataset:
    """What customers of an online shop bought on each day of a year (UCI, Chen 2015): 383,920 events, 4,334 customers,
    3,659 products. It comes with the package, under CC BY 4.0: `embedded/LICENSE.md` says what was left out.

    items: description. Days have no order within them.
    """
    with as_file(files("recsys") / "embedded") as folder:
        return Dataset.from_frame(
            folder / "online_retail.parquet", user="customer", item="product", time="day",
            items=folder / "online_retail_products.parquet",
        )  # fmt: skip
