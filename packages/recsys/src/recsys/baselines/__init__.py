"""Rivals, with the interface of the methods, one short module each; resolved on first use, and also names of `recsys`.

`_popular`: random, popular, recently popular and repeated items; `_co_occurrence`; `_item_knn`, `_user_knn`;
`_puresvd`; `_profile` (cosine of texts); `_implicit` (implicit's ALS and BPR).
"""

from ninefold.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CoOccurrence": "_co_occurrence",
        "ContentProfile": "_profile",
        "ImplicitALS": "_implicit",
        "ImplicitBPR": "_implicit",
        "ItemKNN": "_item_knn",
        "Popular": "_popular",
        "PureSVD": "_puresvd",
        "RandomItems": "_popular",
        "RecentPopular": "_popular",
        "Repeat": "_popular",
        "UserKNN": "_user_knn",
    },
)
