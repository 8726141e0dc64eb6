"""From a binarised torch module to a packed model: tracing, folding, the AdaBin file, ONNX and QONNX."""
