"""The whole network: configuration and presets, the model, its files, and weights of other code bases.

- `_config.py`: `FastOccConfig` and the presets
- `_model.py`: `FastOccModel`, images to voxels
- `_files.py`: a folder of config.json and model.safetensors
- `_opening.py`: a model, a data set that fits it, and a rig, as a user names them
- `_convert.py`: checkpoints of FlashOcc and BEVDet-Occ: every number placed, or refused
"""

from fastocc.models._config import PRESETS, FastOccConfig
from fastocc.models._convert import SOURCES, convert_checkpoint
from fastocc.models._model import HEADS, FastOccModel, OccOutput, build_head, shipped_weights

__all__ = [
    "HEADS",
    "PRESETS",
    "SOURCES",
    "FastOccConfig",
    "FastOccModel",
    "OccOutput",
    "build_head",
    "convert_checkpoint",
    "shipped_weights",
]
