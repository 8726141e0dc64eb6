"""Builds the library of kernels (`native/`) into the wheel, or into the source tree for an editable install.

The compiler is the system's if one of CC, cc, gcc and clang makes a library with every set of kernels; else that of the
package `ziglang`, which is asked for only then. Two variables change that:

    BNN_FSG_PURE=1                            a wheel without the library: numpy runs packed networks
    BNN_FSG_TARGET=x86_64-linux-gnu.2.17      for another system or an older one, by ziglang: its name of the target
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FLAGS = [
    "-std=c11",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fno-asynchronous-unwind-tables",
]
_AVX2 = ["-mavx2", "-mpopcnt"]
_AVX512 = [*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mavx512bitalg"]
_SETS = {"plain": [], "avx2": _AVX2, "avx512": [*_AVX512, "-mavx512vpopcntdq", "-mprefer-vector-width=512"]}
_TAGS = {  # of wheels that ziglang builds, by the target's processor and system
    "x86_64-linux-gnu.2.17": "manylinux_2_17_x86_64",
    "aarch64-linux-gnu.2.17": "manylinux_2_17_aarch64",
    "x86_64-macos.11.0": "macosx_11_0_x86_64",
    "aarch64-macos.11.0": "macosx_11_0_arm64",
    "x86_64-windows-gnu": "win_amd64",
}


class NativeHook(BuildHookInterface[Any]):
    """hatchling's hook."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling."""
        return [] if _pure() or (not _target() and _system_compiler(self.root)) else ["ziglang>=0.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; `version` is "editable" or "standard"."""
        if _pure():
            return
        target = _target()
        if target and target not in _TAGS:
            raise ValueError(f"BNN_FSG_TARGET is {target}, expected one of {', '.join(_TAGS)}")
        compiler = None if target else _system_compiler(self.root)
        command = compiler or [sys.executable, "-m", "ziglang", "cc", *(["-target", target] if target else [])]
        name = f"_bnn.{_suffix(target)}"
        if version == "editable":
            out = Path(self.root, "src", "bnn_fsg", "runtime", name)
        else:
            out = Path(tempfile.mkdtemp(prefix="bnn-fsg-"), name)
        _compile(command, Path(self.root, "native"), out, _x86(target), windows=name.endswith("dll"))
        build_data["pure_python"] = False
        local = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{_TAGS[target] if target else local}"
        if version != "editable":
            build_data["force_include"][str(out)] = f"bnn_fsg/runtime/{name}"


def _pure() -> bool:
    return os.environ.get("BNN_FSG_PURE", "") not in ("", "0")


def _target() -> str:
    return os.environ.get("BNN_FSG_TARGET", "")


def _suffix(target: str) -> str:
    system = (
        target.split("-")[1].split(".")[0] if target else {"win32": "windows", "darwin": "macos"}.get(sys.platform, "")
    )
    return {"windows": "dll", "macos": "dylib"}.get(system, "so")


def _x86(target: str) -> bool:
    return (target.split("-")[0] if target else platform.machine().lower()) in ("x86_64", "amd64")


def _system_compiler(root: str) -> list[str] | None:
    """A compiler that makes the library: found by compiling the smallest of the sources with each set's flags."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if not name or not shutil.which(name.split()[0]):
            continue
        source = Path(root, "native", "program.c")
        with tempfile.TemporaryDirectory() as folder:
            flags = [*_FLAGS, *(_SETS["avx512"] if _x86("") else [])]
            command = [*name.split(), *flags, "-fPIC", "-c", str(source), "-o", str(Path(folder, "tried.o"))]
            if not subprocess.run(command, capture_output=True, check=False).returncode:
                return name.split()
    return None


def _compile(command: list[str], sources: Path, out: Path, x86: bool, *, windows: bool) -> None:
    """Each set of kernels at the same time, then the library."""
    position = [] if windows else ["-fPIC", "-pthread"]
    with tempfile.TemporaryDirectory() as folder:
        made, running = [Path(folder, "program.o")], []
        work = [[*command, "-O3", *_FLAGS, *position, "-c", str(sources / "program.c"), "-o", str(made[0])]]
        for name, flags in _SETS.items():
            if x86 or name == "plain":
                made.append(Path(folder, f"{name}.o"))
                small = x86 and name == "plain"  # of processors before 2013: bytes count more than its speed
                words = ["-Os", "-DSMALL"] if small else ["-O3"]
                words += [f"-DNAME(x)=x##_{name}", "-c", str(sources / "kernels.c")]
                words += ["-o", str(made[-1])]
                work.append([*command, *_FLAGS, *position, *flags, *words])
        for words in work:
            running.append((words, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)))  # noqa: PERF401
        for words, process in running:
            said, _ = process.communicate()
            if process.returncode:
                raise RuntimeError(f"{' '.join(words)}\n{said.decode(errors='replace')}")
        library = Path(folder, out.name)
        strip = [] if sys.platform == "darwin" or out.suffix == ".dylib" else ["-s"]
        subprocess.run([*command, *position, "-shared", *strip, "-o", str(library), *map(str, made)], check=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.new")
        shutil.copyfile(library, temporary)
        temporary.replace(out)  # a process that has the old one keeps it
