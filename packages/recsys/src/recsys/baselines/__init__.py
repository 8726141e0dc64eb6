"""Rivals, with the interface of the methods, one short module each; resolved on first use.

`_popular`: random, popular, recently popular and repeated items; `_co_occurrence`; `_item_knn`, `_user_knn`;
`_puresvd`; `_profile` (cosine of texts); `_implicit` (implicit's ALS).

Examples:
    >>> import recsys

    >>> sales = {"who": "ann ann bob bob cy".split(), "what": "tea pot tea pot tea".split()}
    >>> data = recsys.Dataset.from_frame(sales, user="who", item="what")
    >>> recsys.baselines.CoOccurrence().fit(data).recommend_one("cy", k=1)
    [('pot', 2.0)]
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from recsys.baselines._co_occurrence import CoOccurrence as CoOccurrence
    from recsys.baselines._implicit import ImplicitALS as ImplicitALS
    from recsys.baselines._item_knn import ItemKNN as ItemKNN
    from recsys.baselines._popular import Popular as Popular
    from recsys.baselines._popular import RandomItems as RandomItems
    from recsys.baselines._popular import RecentPopular as RecentPopular
    from recsys.baselines._popular import Repeat as Repeat
    from recsys.baselines._profile import ContentProfile as ContentProfile
    from recsys.baselines._puresvd import PureSVD as PureSVD
    from recsys.baselines._user_knn import UserKNN as UserKNN

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CoOccurrence": "_co_occurrence",
        "ContentProfile": "_profile",
        "ImplicitALS": "_implicit",
        "ItemKNN": "_item_knn",
        "Popular": "_popular",
        "PureSVD": "_puresvd",
        "RandomItems": "_popular",
        "RecentPopular": "_popular",
        "Repeat": "_popular",
        "UserKNN": "_user_knn",
    },
)
