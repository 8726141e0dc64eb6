"""Models that know new items and users by their features.

Content kNN in `_content`, feature-aware iALS in `_feature_ials`; `_features` and `_texts` turn side tables into
numbers, `_cold` is what they share.
"""
