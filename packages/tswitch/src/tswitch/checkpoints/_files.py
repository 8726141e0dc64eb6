"""Small parts of reading checkpoints: pieces of tensors, JSON files, folders from the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, DownloadError


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(path, f"is no valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ArtifactError(path, "does not hold a JSON object")
    return value


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def snapshot(repository: str, what: str, hint: str, **options: Any) -> Path:
    """Folder of a hub repository in the cache, fetched if need be; raises DownloadError, which ends with a hint."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(repository, **options))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise DownloadError(
            f"{repository}: there is no folder {Path(repository).resolve()}, and no {what} of this name could be had "
            f"from the Hugging Face hub ({first_line(error)}); check the spelling, or {hint}"
        ) from None


def from_hub(name: str) -> Path:
    """Folder of a hub model: safetensors if the repository has them, else .bin."""
    repository, _, revision = name.partition("@")
    text = ["*.json", "*.txt", "*.model", "*.md", "*.jinja", "*.tiktoken", "*.bpe"]
    hint = ("put config.json and model.safetensors into a folder and give its path; without a network, set HF_HOME to "
            "a cache that has the model")  # fmt: skip
    for weights in ("*.safetensors", "*.bin"):
        patterns = {"allow_patterns": [weights, *text], "ignore_patterns": ["*/*.bin"]}
        folder = snapshot(repository, "model", hint, revision=revision or None, **patterns)
        if any(folder.glob(weights)):
            return folder
    raise ArtifactError(folder, f"holds no weights of a known layout (hub model {name})")  # pyright: ignore[reportPossiblyUnboundVariable]
