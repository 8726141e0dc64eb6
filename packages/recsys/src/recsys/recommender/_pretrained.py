"""Names that users of transformers know, for the models of neural networks."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from ninefold.errors import InputError

from recsys.recommender._base import Recommender
from recsys.recommender._store import load


class Pretrained(Recommender):
    """Recommenders that can also be kept and read as transformers does it."""

    needs: ClassVar[tuple[tuple[str, str], ...]] = (("torch", "torch"),)

    def save_pretrained(self, folder: str | Path, *, force: bool = False) -> Path:
        """The same as `save`: a folder of safetensors, JSON and Arrow files."""
        return self.save(folder, force=force)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Read a folder of `save_pretrained` or `save`.

        Raises:
            ArtifactError: if it is damaged, foreign or newer.
            InputError: if it holds a model of another class.
        """
        model = load(folder)
        if not isinstance(model, cls):
            raise InputError(f"folder {folder}", got=f"a {type(model).__name__}", expected=f"a {cls.__name__}")
        return model
