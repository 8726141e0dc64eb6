"""How the data files of bnn-fsg are made of what their sources hold (`ninefold data get bnn-fsg`)."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_DRAWN = Path(__file__).with_name("drawn.txt")  # which pictures, as numbers over the sorted names of the source
_ROWS = 2000  # of each file


def cifar(sources: Sequence[Path], split: str, part: str) -> bytes:
    """A part of the drawn pictures of a split, as Parquet with lossless WebP, from an archive of PNG files."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    rows = []
    for path, data in _drawn(sources[0], split)[int(part) * _ROWS : (int(part) + 1) * _ROWS]:
        made = io.BytesIO()
        Image.open(io.BytesIO(data)).convert("RGB").save(made, "WEBP", lossless=True, quality=100)
        rows.append({"bytes": made.getvalue(), "path": path})
    names = _classes(sources[0])
    said = {"info": {"features": {"img": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}}}
    kinds = pa.schema(
        [("img", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
        metadata={"huggingface": json.dumps(said)},
    )
    labels = [names.index(row["path"].split("/")[1]) for row in rows]
    made = io.BytesIO()
    pq.write_table(pa.table({"img": rows, "label": labels}, schema=kinds), made, compression="zstd")
    return made.getvalue()


@cache
def _drawn(archive: Path, split: str) -> list[tuple[str, bytes]]:
    """(name in the repository, bytes) of the drawn pictures of a split, in the order in which they were drawn."""
    lines = dict(line.split(" ") for line in _DRAWN.read_text(encoding="ascii").splitlines())
    packed = zlib.decompress(base64.b85decode(lines[split]))
    chosen = [int.from_bytes(packed[at : at + 2], "little") for at in range(0, len(packed), 2)]
    with tarfile.open(archive) as file:
        members = {member.name.partition("/")[2]: member for member in file if member.name.endswith(".png")}
        names = sorted(name for name in members if name.startswith(f"{split}/"))
        held = {place: file.extractfile(members[names[place]]).read() for place in sorted(chosen)}  # type: ignore[union-attr]
    return [(names[place], held[place]) for place in chosen]


@cache
def _classes(archive: Path) -> list[str]:
    with tarfile.open(archive) as file:
        return sorted({member.name.split("/")[2] for member in file if member.name.endswith(".png")})


def adabin(sources: Sequence[Path]) -> bytes:
    """The trained network's tensors as safetensors, without the prefix of its wrapper."""
    import torch
    from safetensors.torch import save

    held = torch.load(sources[0], map_location="cpu", weights_only=True)
    made = save({name.removeprefix("module."): tensor for name, tensor in held["state_dict"].items()})
    length = int.from_bytes(made[:8], "little")
    said = {
        "best_prec1": f"{float(held['best_prec1']):.4f}",
        "source": "huawei-noah/Efficient-Computing BinaryNetworks/AdaBin",
        "licence": "MIT",
        "arch": "ResNet-20, option-A shortcuts, W1A1 except first conv and last linear",
    }
    words = json.dumps({"__metadata__": said}, separators=(",", ":"))[:-1].encode()
    head = words + b"," + made[9 : 8 + length].rstrip()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + made[8 + length :]
