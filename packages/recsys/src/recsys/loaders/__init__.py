r"""Real files as their publishers write them. Nothing is downloaded: pass the path of a file you have.

MovieLens' ratings with their side tables stand in `_movielens`, the other published forms in `_published`, DST and
svmlight in `_sparse_rows`; logs with propensities (Open Bandit) in `_open_bandit`.

Examples:
    >>> import recsys
    >>> from pathlib import Path

    >>> rows = ["1::1193::5::978300760", "1::661::3::978302109", "2::1193::4::978298413"]
    >>> written = Path("ratings.dat").write_text("\n".join(rows))
    >>> recsys.loaders.movielens("ratings.dat")
    Dataset(3 events, 2 users, 2 items, values, times)
    >>> sorted(recsys.loaders.LOADERS)[:3]
    ['amazon', 'dst', 'goodbooks']
"""

from recsys.loaders._published import (
    LOADERS,
    amazon,
    goodbooks,
    lastfm_360k,
    load_published,
    movielens,
    otto,
    recbole,
    retailrocket,
    steam,
    yoochoose,
)
from recsys.loaders._sparse_rows import dst, svmlight
from recsys.loaders._text_files import double_colon

__all__ = [
    "LOADERS",
    "amazon",
    "double_colon",
    "dst",
    "goodbooks",
    "lastfm_360k",
    "load_published",
    "movielens",
    "otto",
    "recbole",
    "retailrocket",
    "steam",
    "svmlight",
    "yoochoose",
]
