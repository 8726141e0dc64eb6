"""Artifacts by name: in the run's folder, or in memory for runs that keep none."""

import pandas as pd

from proteus.record._run_folder import Folder, read_frame, write_artifact


class Store:
    """Saves and loads result tables; the last few stay in memory."""

    def __init__(self, folder: Folder | None) -> None:
        self.folder = folder
        self._frames: dict[str, pd.DataFrame] = {}

    def save(self, name: str, frame: pd.DataFrame) -> dict[str, str]:
        """Write a table; {file name: digest}, empty in memory."""
        if self.folder is None:
            self._frames[name] = frame.reset_index(drop=True)
            return {}
        return write_artifact(self.folder, name, frame)

    def load(self, name: str) -> pd.DataFrame:
        """The table (shared: do not change it).

        Raises:
            ArtifactError: missing or damaged.
            KeyError: in memory, if there is none.
        """
        if self.folder is None:
            return self._frames[name]
        if name not in self._frames:
            self._frames[name] = read_frame(self.folder.artifact(name))
            while len(self._frames) > 64:
                self._frames.pop(next(iter(self._frames)))
        return self._frames[name]
