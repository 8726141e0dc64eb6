"""Rivals of the claims: estimators in `_hypergradient` and `_lstmfc`; int8 networks in `_int8_worker` (LiteRT) and
`_onnx_worker` (onnxruntime), each run in a process of its own.
"""
