"""Comparisons and times.

_runs   arms of a comparison: same start, same batches, another estimator; tables, pictures
_speed  packed beside float32, int8, onnxruntime and numpy
"""
