"""A packed model in other formats, and networks of another format as torch modules.

_load   ONNX graphs of float operators as torch modules
_onnx   ONNX (bits as uint8, decoded by standard operators) and QONNX; operators in _more, graph in _onnx_graph
_torch  float32 weights in safetensors
"""
