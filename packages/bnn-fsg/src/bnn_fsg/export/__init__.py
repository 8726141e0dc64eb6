"""A packed model in other formats.

_onnx   ONNX (bits as uint8, decoded by standard operators) and QONNX
_torch  float32 weights in safetensors
"""
