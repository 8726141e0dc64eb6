"""Starts the int8 worker for onnxruntime, which is among the baselines, from where `_frontier` looks for it."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).parents[1] / "baselines" / "_onnx_worker.py"), run_name="__main__")
