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

_NAMES = {
    "_co_occurrence": ["CoOccurrence"],
    "_implicit": ["ImplicitALS"],
    "_item_knn": ["ItemKNN"],
    "_popular": ["Popular", "RandomItems", "RecentPopular", "Repeat"],
    "_profile": ["ContentProfile"],
    "_puresvd": ["PureSVD"],
    "_user_knn": ["UserKNN"],
}
__getattr__, __dir__, __all__ = attach(__name__, {name: room for room, names in _NAMES.items() for name in names})
