"""Answers in production: `_batch` lists for everyone, `_ann` approximate neighbours, `_rerank` MMR (Carbonell and
Goldstein 1998), calibration (Steck 2018), exposure quotas and rules, `_serve` an HTTP server on loopback.
"""
