"""Comparisons, times and sizes.

_runs     arms of a comparison: same start, same batches, another estimator; tables, pictures
_speed    packed compared with float32, int8, onnxruntime and numpy
_run_folders  trainings as run folders
_packed   packed networks as one reads them
_summary  bits, bytes and products of each packed layer
"""
