"""Made-up modules and distributions for tests."""

from __future__ import annotations

import textwrap
from pathlib import Path


def install(
    folder: Path, distribution: str, *, version: str = "1.2.3", entry_points: str = "", record: str = ""
) -> None:
    """Make `folder`, once on sys.path, look as if a distribution were installed in it.

    Examples:
        >>> import importlib.metadata
        >>> import sys
        >>> from pathlib import Path
        >>> from ninefold_testing import install

        >>> install(Path("site"), "shop", version="1.2.3")
        >>> sys.path.insert(0, "site")
        >>> importlib.metadata.version("shop")
        '1.2.3'
        >>> sys.path.remove("site")
    """
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(entry_points))
    (info / "RECORD").write_text(record)


def module(folder: Path, name: str, text: str) -> Path:
    """Write `folder/name.py` (a dotted name: in packages, made with it).

    Examples:
        >>> from pathlib import Path
        >>> from ninefold_testing import module

        >>> module(Path("src"), "shop.prices", "TEA = 3").as_posix()
        'src/shop/prices.py'
        >>> sorted(path.name for path in Path("src", "shop").iterdir())
        ['__init__.py', 'prices.py']
    """
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    for parent in path.relative_to(folder).parents:
        if parent.name and not (folder / parent / "__init__.py").exists():
            (folder / parent / "__init__.py").write_text("")
    path.write_text(textwrap.dedent(text))
    return path
