"""Rivals, with the interface of the methods, one short module each. Users import the classes from `recsys` itself.

`_popular`: random, popular, recently popular and repeated items; `_co_occurrence`; `_item_knn`, `_user_knn`;
`_puresvd`; `_profile` (cosine of texts); `_implicit` (implicit's ALS and BPR).
"""
