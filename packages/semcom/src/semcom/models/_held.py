"""What a path of this package holds: a model, the folder of a link, a run, or a recording of symbols."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ninefold import artifacts
from ninefold.files import MANIFEST

from semcom.links import Recording
from semcom.links._received import counts
from semcom.models._store import described


def held_in(path: str | Path) -> dict[str, Any]:
    """Facts of a folder of symbols or of a link, a run, a model file, or a built-in model.

    Raises: ArtifactError for a damaged one, InputError for anything else.
    """
    folder = Path(path)
    if any(folder.glob("*.sigmf-meta")) if folder.is_dir() else folder.name.endswith((".sigmf-meta", ".sigmf-data")):
        kept = Recording.load(folder)
        about = {key: value for key, value in kept.about.items() if key != "report"}
        return {"kind": "symbols", "pictures": len(kept.sizes), "model": kept.model, "symbols": kept.symbols.size,
                "pilots a block": kept.pilots.count, **kept.link, **about, **kept.about.get("report", {})}  # fmt: skip
    if (folder / MANIFEST).is_file():
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        held = artifacts.FolderArtifact(folder, kind=str(manifest.get("kind")), format_version=1)
        held.verify()
        return {"kind": held.about["kind"], "files": ", ".join(held.names), **held.meta.get("link", {})}
    if (folder / "metrics.jsonl").is_file():
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return {"kind": "run", "lines": len(lines), **(json.loads(lines[-1]) if lines else {})}
    about = described(path)
    return {**counts(about.pop("config")), **about, "recipe": json.dumps(about["recipe"])}
