"""Statistics on arrays, vectorised over features.

Linear models with missing patterns in `_linear_model`, blocks in `_blocks`; empirical
Bayes (Smyth 2004, trend and robust: Phipson 2016) in `_ebayes`, moderated t, F and TREAT (McCarthy 2009) in
`_moderated_t`; missing values in the likelihood in `_censored`, counts of what is seen in `_detection`; error control
in `_error_control`; `_lowess` is the smoother (that of statsmodels takes no weights); `_speed` times
the moderated test.
"""
