"""What a user writes who knows the core alone; `tools/check/user_types.py` has `mypy --strict` read it."""

from pathlib import Path

import numpy as np
from ninefold import InputError, __version__, artifacts
from ninefold.files import atomic_folder
from ninefold.report import Table
from ninefold.run import Run

artifacts.save("x.safetensors", {"a": np.arange(3)}, kind="me.x", format_version=1, package="me")
total = int(artifacts.Artifact(Path("x.safetensors"), kind="me.x", format_version=1).numpy("a").sum())
with Run("run", {"seed": 0}) as run, atomic_folder(run.path / "made") as folder:
    run.log(total=total)
    (folder / "table.md").write_text(Table(["total"], [[total]]).to_markdown() + __version__)
if total < 0:
    raise InputError("total", got=total, expected="a positive number")
