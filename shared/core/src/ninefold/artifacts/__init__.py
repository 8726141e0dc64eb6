"""Artefacts on disk: what they are stands in them, each byte is covered by a digest, and nothing is ever unpickled.

arrays in one safetensors file, each checked when it is read           _arrays.py
folders with a manifest, ninefold.json                                 _folder.py
nested training state (dicts, lists, tensors, numbers) in one file     _state.py
"""

from ninefold.artifacts._arrays import Artifact, save
from ninefold.artifacts._folder import FolderArtifact, settled, write_folder
from ninefold.artifacts._state import load_state, save_state

__all__ = [
    "Artifact", "FolderArtifact", "load_state", "save", "save_state", "settled", "write_folder",
]  # fmt: skip
