"""The main job on unseen simulated streets, with weights that ship: voxels beside those of rival heads and the prior.

- `_demo.py`: the run and its table
- the rival heads that ship beside the model: `models/_rivals.py`
"""

from fastocc.demo._demo import demo
from fastocc.models._rivals import load_rivals, save_rivals

__all__ = ["demo", "load_rivals", "save_rivals"]
