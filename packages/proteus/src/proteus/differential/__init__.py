"""The moderated test of a contrast on a table (`_moderated_test`), what missing values say in it (`_missing`), and what
comes before it: normalisation (`_normalise`), a profile of the table (`_profile`), what is measured of entities
(`_measures`); `_prepared` does these by the words of a user.
"""
