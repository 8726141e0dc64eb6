"""Models of user and item vectors.

iALS and iALS++ (Rendle 2021) in `_ials`; for ratings the bias model in `_bias`, biased MF and SVD++ (Koren 2008) in
`_mf`, item kNN over residuals in `_rating_knn`; Mult-VAE (Liang 2018) in `_mult_vae`, LightGCN (He 2020) in
`_lightgcn`; `_spark` fits MLlib's ALS, `_spark_tables` keeps all of it on Spark.
"""
