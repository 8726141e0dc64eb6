"""Files and folders that are whole or absent, and that replace nothing that this package did not write.

whole or absent: temporary names, flushes, one rename                    _atomic.py
what a kill leaves, and how the next use puts it right                   _recover.py
who wrote what is at a path, and whether a writer may have the path      _owner.py
digests, the header of a safetensors file                                _read.py
locks between processes, on any file system                              _lock.py

Examples:
    >>> from pathlib import Path
    >>> from ninefold.artifacts import write_folder
    >>> from ninefold.files import MANIFEST, Ours, json_or_none, starts_with

    >>> with write_folder("model", kind="shop.model", format_version=1, package="ninefold") as folder:
    ...     size = (folder / "weights.bin").write_bytes(bytes(4))
    >>> json_or_none((Path("model") / MANIFEST).read_bytes())["kind"]
    'shop.model'

    `Ours` is what says whose files a writer may replace:

    >>> ours: Ours = starts_with("user,item,score")  # or the name of a package, or of a kind
"""

from ninefold.files._atomic import atomic_file, atomic_folder, write_text
from ninefold.files._lock import Lock, lock
from ninefold.files._owner import MANIFEST, Ours, foreign, judge_out, mark, refuse_existing, signed, starts_with
from ninefold.files._read import digest, digest_file, file_entry, identity, json_or_none, read_header
from ninefold.files._recover import recover

__all__ = [
    "MANIFEST", "Lock", "Ours", "atomic_file", "atomic_folder", "digest", "digest_file", "file_entry", "foreign",
    "identity", "json_or_none", "judge_out", "lock", "mark", "read_header", "recover", "refuse_existing", "signed",
    "starts_with", "write_text",
]  # fmt: skip
