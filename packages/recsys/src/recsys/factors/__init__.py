"""Models of user and item vectors.

iALS (Rendle 2021) in `_ials`; for ratings the bias model in `_bias`, biased MF and SVD++ (Koren 2008) in `_mf`;
`_spark` fits, lists and judges MLlib's ALS on Spark.
"""
