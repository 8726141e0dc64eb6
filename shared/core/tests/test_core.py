"""What holds for the core as a whole."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import ninefold
import pytest

ROOT = Path(ninefold.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(text: str) -> int:
    """Lines that hold code: no blank, comment or docstring lines."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    silent = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            silent.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spoken = {at for one in tokens if one.type not in SILENT for at in range(one.start[0], one.end[0] + 1)}
    return len(spoken - silent)


def test_code_lines_are_counted_without_words_about_them():
    text = (
        '"""Doc.\n\nMore.\n"""\n\n# why\nx = 1  # here\n\n\ndef f():\n    """Doc."""\n    return (\n        x\n    )\n'
    )
    assert code_lines(text) == 5


def test_core_stays_small():
    lines = {path: code_lines(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert sum(lines.values()) <= 1700


def test_what_development_needs_stays_small():
    lab, testing = pytest.importorskip("ninefold_lab"), pytest.importorskip("ninefold_testing")
    files = [path for room in (lab, testing) for path in Path(str(room.__file__)).parent.rglob("*.py")]
    assert sum(code_lines(path.read_text(encoding="utf-8")) for path in files) <= 1608


def test_no_file_is_long():
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES) <= 320


def test_every_module_has_its_tests():
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    for path in SOURCES:  # by its own name or by its room's; systems and demo with the lab's command
        names = {part.removesuffix(".py").strip("_") for part in path.relative_to(ROOT).parts}
        assert names & (tests | {"init", "systems", "demo"}), path


def test_import_is_fast_and_light():
    code = (
        "import sys, time; start = time.process_time(); import ninefold; taken = time.process_time() - start; "
        "print(taken, *sorted({'numpy', 'torch', 'matplotlib', 'typer', 'rich'} & set(sys.modules)))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(4)
    ]
    assert all(heavy == [] for _, *heavy in runs)
    assert min(float(taken) for taken, *_ in runs) < 0.2


MODULES = [".".join(("ninefold", *path.relative_to(ROOT).with_suffix("").parts)) for path in SOURCES]


@pytest.mark.parametrize("module", [name for name in MODULES if "__init__" not in name])
def test_no_module_of_the_core_loads_torch_or_matplotlib(module, loaded_with):
    assert not {"torch", "matplotlib", "requests"} & loaded_with(module)


def test_core_loads_where_files_cannot_be_locked():
    names = MODULES
    lines = ["import importlib, sys", "sys.modules['fcntl'] = None", "import ninefold"]
    lines += [f"importlib.import_module({name.removesuffix('.__init__')!r})" for name in names]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


@pytest.fixture(scope="module")
def loaded_with():
    """A function: what importing a module brings; all in one process, which starts each from what was there before."""
    code = (
        "import importlib, sys\n"
        "before = set(sys.modules)\n"
        "for line in sys.stdin:\n"
        "    importlib.import_module(line.strip())\n"
        "    print(*{name.split('.')[0] for name in set(sys.modules) - before}, flush=True)\n"
        "    for name in [name for name in sys.modules if name.startswith('ninefold')]:\n"
        "        del sys.modules[name]\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(module):
        process.stdin.write(module + "\n")
        process.stdin.flush()
        return set(process.stdout.readline().split())

    yield ask
    process.stdin.close()
    process.wait()
