"""What a tutorial's blocks print is written below them, and written anew the next time."""

from __future__ import annotations

import tutorials

PAGE = """# Head

<!-- run -->
```python
from pathlib import Path
Path("x").write_text("1.5 s")
print(2 + 2)
```

Then:

<!-- run -->
```console
$ cat x
$ ls $PWD/x
```

<!-- run -->
```python
y = 1
```
"""


def test_outputs_stand_below_their_blocks_without_the_folder(tmp_path):
    made = tutorials.with_outputs(PAGE, tmp_path)
    assert tutorials.outputs(made) == ["4\n", "1.5 sx\n", ""]
    assert str(tmp_path) not in made
    (tmp_path / "other").mkdir()
    assert tutorials.with_outputs(made, tmp_path / "other") == made
    assert tutorials.with_outputs(made.replace("\n4\n", "\n5\n"), tmp_path) == made


def test_runs_are_alike_but_for_numbers():
    assert tutorials.alike("took 1.5 s, 20 rows") == tutorials.alike("took 0.3  s,  21 rows")
    assert tutorials.alike("rows") != tutorials.alike("columns")
