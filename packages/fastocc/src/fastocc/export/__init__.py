"""Out of torch: ONNX graphs that a stock onnxruntime runs, and files of predictions.

- `_onnx.py`: whole models or heads by the dynamo exporter, weights next to the graph
- `_opset.py`: the same graphs for older runtimes
- `_int8.py`: graphs in 8 bits
- `_runtime.py`: running an exported graph, and how far it is from torch
- `_checked.py`: a graph compared with torch and timed
- `_predictions.py`, `_folder.py`: npz predictions, one and a folder of them
"""

from fastocc.export._int8 import quantize_graph
from fastocc.export._onnx import DATA, GRAPH, OPSET, export_head, export_model
from fastocc.export._predictions import write_prediction
from fastocc.export._runtime import OnnxGraph, agreement, by_onnxruntime, node_types

__all__ = [
    "DATA",
    "GRAPH",
    "OPSET",
    "OnnxGraph",
    "agreement",
    "by_onnxruntime",
    "export_head",
    "export_model",
    "node_types",
    "quantize_graph",
    "write_prediction",
]
