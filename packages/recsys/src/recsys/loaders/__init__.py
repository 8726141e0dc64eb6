r"""Real files as their publishers write them. Nothing is downloaded: pass the path of a file you have.

MovieLens' ratings with their side tables stand in `_movielens`. Any other table of events is read by
`Dataset.from_frame`.

Examples:
    >>> import recsys
    >>> from pathlib import Path

    >>> rows = ["1::1193::5::978300760", "1::661::3::978302109", "2::1193::4::978298413"]
    >>> written = Path("ratings.dat").write_text("\n".join(rows))
    >>> recsys.loaders.movielens("ratings.dat")
    Dataset(3 events, 2 users, 2 items, values, times)
"""

from recsys.loaders._movielens import movielens

__all__ = ["movielens"]
