"""The folder of a switch on disk, format versions 1 to 4: what is where, and how each byte of it is checked.

    switch_config.json   what the switch is; one line a tensor; its last field is the digest of everything before it
    switch.safetensors   "scales" (float32, one for each coded tensor in the order of the configuration),
                         "codes/<tensor>" (uint8, see `_codec`),
                         or, in version 4, "codes" (all in one, see `coding`) and "about" (zlib-compressed JSON: the
                         bulky fields of the configuration),
                         "dense/<tensor>" (kept as they are), "rows/<tensor>" (from version 2:
                         rows of a coded tensor beyond those of the base)
    head.safetensors     the excluded tensors (task heads) under their own names
    README.md            model card; not checked, because people edit it

The configuration holds size and header digest of both safetensors files, and their headers hold a digest for each
array, so every byte is covered, and yet a reader checks only what it reads.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold import artifacts, files
from ninefold.errors import ArtifactError, DownloadError
from torch import Tensor

from tswitch.checkpoints._card import model_card
from tswitch.checkpoints._files import first_line, snapshot

VERSION = 4  # newest; each switch is written as the oldest version that can hold it, so that 0.1.0 reads most
_CLASS_FIELDS = ("prefixes", "left_out", "cut")  # version 3: the fine-tuned model is of another class than its base
CONFIG, SWITCH, HEAD, CARD = "switch_config.json", "switch.safetensors", "head.safetensors", "README.md"
QUERIES = "query_set.safetensors"  # beside the switch where it can be routed to; see `_query_set`
_LONGEST_HEADER = 100_000_000  # of safetensors: a damaged length must not fill the memory
CODES, DENSE, ROWS, SCALES = "codes/", "dense/", "rows/", "scales"
_JOINED, _ABOUT = "codes", "about"  # of version 4
_BULKY = ("tensors", "base_digests", "model_config")
_LARGEST = 1 << 30  # of the bulky fields: a damaged length must not fill the memory


_USE = """```python
from tswitch import Switch, SwitchBank

bank = SwitchBank(base_model)
bank.add("task", Switch.from_pretrained("this folder"))
with bank.use("task"):
    ...
```"""


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file whose names begin with a prefix, each read and checked when it is asked for."""

    def __init__(self, artifact: artifacts.Artifact, prefix: str = "") -> None:
        self._artifact, self._prefix = artifact, prefix
        self._names = [name.removeprefix(prefix) for name in artifact.names if name.startswith(prefix)]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        return self._artifact.torch(self._prefix + name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class JoinedCodes(Mapping[str, Tensor]):
    """The codes of a switch of version 4, which lie in one array; it is read and checked when first asked for."""

    def __init__(self, artifact: artifacts.Artifact, table: Mapping[str, Any]) -> None:
        self._artifact, self._table, self._whole = artifact, table, None

    def __getitem__(self, name: str) -> Tensor:
        if self._whole is None:
            lengths = {key: int(about["bytes"]) for key, about in self._table.items()}
            whole = self._artifact.torch(_JOINED)
            if min(lengths.values(), default=0) < 0 or sum(lengths.values()) != len(whole):
                raise ArtifactError(self._artifact.path, "is damaged: its codes have other lengths than it says")
            self._whole = dict(zip(lengths, whole.split(list(lengths.values())), strict=True))
        return self._whole[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def write_folder(
    path: Path,
    config: Mapping[str, Any],
    *,
    scales: Tensor,
    codes: Mapping[str, Tensor],
    dense: Mapping[str, Tensor],
    head: Mapping[str, Tensor],
    rows: Mapping[str, Tensor],
    card: str,
    force: bool,
) -> None:
    """Write a switch; the folder appears whole or not at all, and the same input gives the same bytes."""
    with files.atomic_folder(path, force=force, ours="tswitch") as folder:
        arrays = {SCALES: scales}
        if "code" in config:
            table = {name: about | {"bytes": len(codes[name])} for name, about in config["tensors"].items()}
            bulky = {key: config[key] for key in _BULKY if key in config} | {"tensors": table}
            config = {key: value for key, value in config.items() if key not in _BULKY}
            packed = zlib.compress(json.dumps(bulky, separators=(",", ":")).encode(), 9)
            arrays |= {_ABOUT: torch.from_numpy(np.frombuffer(packed, np.uint8).copy())}
            arrays |= {_JOINED: torch.cat([torch.empty(0, dtype=torch.uint8), *(codes[name] for name in table)])}
        else:
            arrays |= {CODES + name: codes[name] for name in sorted(codes)}
        arrays |= {DENSE + name: dense[name] for name in sorted(dense)}
        arrays |= {ROWS + name: rows[name] for name in sorted(rows)}
        version = 3 if any(key in config for key in _CLASS_FIELDS) else 2 if rows else 1
        version = VERSION if "code" in config else version
        about: dict[str, Any] = {"format_version": version, "package": "tswitch"}
        stored: dict[str, Any] = {}
        for name, held in ((SWITCH, arrays), (HEAD, dict(sorted(head.items())))):
            kind = "tswitch." + name.removesuffix(".safetensors")
            artifacts.save(folder / name, held, kind=kind, format_version=version, package="tswitch")
            stored[name] = _outline(folder / name)
        (folder / CONFIG).write_text(_render({**about, "files": stored, **config}), encoding="utf-8")
        (folder / CARD).write_text(card, encoding="utf-8")


def read_folder(path: Path) -> tuple[dict[str, Any], artifacts.Artifact, artifacts.Artifact]:
    """(configuration, opened switch file, opened head file); the configuration and both headers are checked.

    Raises:
        ArtifactError: naming the file, if one is missing, truncated, damaged, foreign or of a newer format.
    """
    files.recover(path)
    config = _read_config(path / CONFIG)
    opened = []
    for name in (SWITCH, HEAD):
        file = path / name
        if not file.is_file():
            raise ArtifactError(file, "is not there")
        expected = config.get("files", {}).get(name, {})
        if file.stat().st_size != expected.get("size"):
            raise ArtifactError(
                file, f"is truncated, or of another switch: {file.stat().st_size} bytes, not {expected.get('size')}"
            )
        if _outline(file) != expected:
            raise ArtifactError(file, f"is damaged, or of another switch: its header differs from what {CONFIG} says")
        kind = "tswitch." + name.removesuffix(".safetensors")
        opened.append(artifacts.Artifact(file, kind=kind, format_version=VERSION))
    if "code" in config:
        try:
            reader = zlib.decompressobj()
            bulky = json.loads(reader.decompress(opened[0].numpy(_ABOUT).tobytes(), _LARGEST))
            config |= {key: bulky[key] for key in _BULKY if key in bulky}
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise ArtifactError(path / SWITCH, f"is damaged: its table of tensors cannot be read ({error})") from None
    return config, opened[0], opened[1]


def codes_of(config: Mapping[str, Any], switch: artifacts.Artifact) -> Mapping[str, Tensor]:
    """The codes in an opened switch file, by tensor."""
    return JoinedCodes(switch, config["tensors"]) if "code" in config else StoredTensors(switch, CODES)


def _outline(file: Path) -> dict[str, Any]:
    """Size and header digest of a safetensors file."""
    with file.open("rb") as opened:
        prefix = opened.read(8)
        header = opened.read(min(struct.unpack("<Q", prefix)[0], _LONGEST_HEADER))
    return {"size": file.stat().st_size, "header": files.digest(prefix + header)}


def _read_config(file: Path) -> dict[str, Any]:
    if not file.parent.exists():
        raise ArtifactError(file.parent, "is not there; give the path of a folder that `tswitch compress` wrote")
    if not file.is_file():
        raise ArtifactError(file, "is not there, so its folder is no switch; `tswitch compress` writes one")
    try:
        text = file.read_text(encoding="utf-8")
        config = json.loads(text)
        version = config["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(file, f"is damaged, or no configuration of a switch ({error})") from None
    if not isinstance(version, int) or version > VERSION:
        raise ArtifactError(file, f"has format version {version}, newer than {VERSION}, the newest known here")
    given = config.pop("digest", None)
    if _render(config) != text:
        raise ArtifactError(file, f"is damaged or edited: it does not match its digest {given}")
    return config


def _render(config: Mapping[str, Any]) -> str:
    """The configuration as text: a line for each field, and for each entry of the table of tensors, then the digest."""
    lines = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            inner = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items())
            lines.append(f"{json.dumps(key)}: {{\n  {inner}\n }}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    body = "{\n " + ",\n ".join(lines)
    return f'{body},\n "digest": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'


def dtype_name(dtype: torch.dtype) -> str:
    """Name of a dtype in the configuration, e.g. "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def folder_bytes(path: Path) -> int:
    """Bytes on disk of all files of a folder, as `stat` says."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def card_of(config: Mapping[str, Any], heads: int) -> str:
    """README of a switch folder, with so many head tensors: what it is, how to use it."""
    base, parameters = config["base"], int(config["parameters"])
    density = sum(about["active"] for about in config["tensors"].values()) / max(parameters, 1)
    if "code" in config:
        facts = {"seed": str(config["code"]["seed"])}
    else:
        facts = {"alpha (share of changes dropped)": f"{config['alpha']:g}",
                 "thresholds and scale for each": config["granularity"]}  # fmt: skip
    facts |= {
        "scale": config["scale"],
        "parameters": f"{parameters:,}",
        "density (share that the switch changes)": f"{density:.4f}",
        "ternary / dense / head tensors": f"{len(config['tensors'])} / {len(config['dense'])} / {heads}",
    }
    about = f"A fine-tuned model as a difference from `{base}`: " + (
        "which weights change, in which direction,\nand one number a tensor (T-Switch, CVPR 2025, arXiv 2412.00054)."
        if "code" not in config
        else "signs at random places that follow from a seed,\nand one number a tensor, right on average."
    )
    hub_id = base.count("/") == 1 and not base.startswith((".", "/", "~"))
    card = model_card(
        "Task switch", about, facts, bases=[base] if hub_id else [], tags=("model-compression",), end=_USE
    )
    return files.signed(card, "tswitch")


def download(repository: str) -> Path:
    """The folder of a switch on the hub, from its cache or fetched now.

    Raises:
        DownloadError: naming the repository, where it is in neither.
    """
    return snapshot(repository, "switch", "give the path of a folder that `tswitch compress` wrote")


def upload(folder: Path, repository: str, *, private: bool | None, token: str | None) -> str:
    """Upload a folder to a model repository, made if need be; returns the address of the commit.

    Raises:
        DownloadError: if the hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi(token=token)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload task switch"))
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        raise DownloadError(
            f"{repository}: the hub did not take the switch ({first_line(error)}); log in by `hf auth login`"
        ) from None
