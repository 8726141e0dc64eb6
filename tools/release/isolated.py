"""Try packages as their users get them: built wheels, in a clean environment with just what they declare.

uv run python tools/release/isolated.py tswitch
uv run python tools/release/isolated.py                      # every package
uv run python tools/release/isolated.py --jobs 2             # every package, two at a time
uv run python tools/release/isolated.py --no-tests           # install, import, --help and demo only
uv run python tools/release/isolated.py --no-demo            # all but the demo
uv run python tools/release/isolated.py --lowest             # with the lowest versions that each package declares
uv run python tools/release/isolated.py tswitch -- -k cli    # what follows -- goes to pytest
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from venvs import Venv, demo, smoke
from wheels import built
from workspace import ROOT, Package, ToolError, below, environment, exit_with, find, members

NO_TESTS = 5  # pytest's status where the words after -- select none


def isolated(package: Package, scratch: Path, options: argparse.Namespace, words: list[str]) -> None:
    """Build, install and try one package, and pass `words` to pytest; ToolError says what failed."""
    dist = (options.wheels or scratch / "dist").resolve()
    wheel = built(package, dist)
    floors = {one.import_name: built(one, dist) for one in below(package)}
    venv = Venv(scratch / "clean", lowest=options.lowest)
    smoke(venv, package, wheel, floors)
    say("installed alone: import, --help and --version work")
    wanting = [] if options.no_demo else [system for system in package.systems if not _shows(venv, system)]
    if options.no_tests:
        return
    for one in below(package, extra=package.test_group):
        if one.import_name not in floors:
            floors[one.import_name] = built(one, dist)
    venv.install([package.name, *package.test_group], [wheel, *floors.values()])
    venv.check_origin(wheel, package.import_name)
    venv.check_origin(floors.get("ninefold", wheel), "ninefold")
    for system in wanting:
        if not _shows(venv, system):
            raise ToolError(f"the demo of {system} asks for an extra that the group `test` should bring")
    run_tests(venv, package, words)


def _shows(venv: Venv, system: str) -> bool:
    """Run a system's demo and say how it went; False if all it does is to ask for an extra."""
    begin = time.monotonic()
    asks = demo(venv, system)
    say(f"demo {system}: {asks or f'{time.monotonic() - begin:.0f} s'}")
    return not asks


def run_tests(venv: Venv, package: Package, arguments: list[str]) -> None:
    """Run the package's tests outside the tree, under the workspace's pytest settings, against what is installed."""
    outside = venv.folder / "outside"
    folder = package.folder.relative_to(ROOT)
    shutil.copytree(ROOT / folder, outside / folder, ignore=shutil.ignore_patterns("src", "__pycache__"))
    for shared in ("pyproject.toml", "packages/conftest.py"):
        (outside / shared).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / shared, outside / shared)
    done = subprocess.run(
        [venv.bin / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", folder / "tests", *arguments],
        cwd=outside,
        env=environment({"PATH": venv.environment["PATH"]}),  # with NINEFOLD_DATA: its tests may read real data
        check=False,
    )
    if done.returncode not in (0, NO_TESTS):
        raise ToolError(f"tests of {package.name} fail against its wheel (status {done.returncode})")


def side_by_side(names: list[str], jobs: int, arguments: list[str]) -> int:
    """Try packages in processes of their own, `jobs` at a time; each one's words come out whole, when it is done."""

    def one(name: str) -> int:
        done = subprocess.run(
            [sys.executable, __file__, name, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
        return done.returncode

    with ThreadPoolExecutor(jobs) as pool:
        return max(pool.map(one, names))


def say(text: str) -> None:
    print(f"   {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="packages to try; all of them if none is named")
    parser.add_argument("--no-tests", action="store_true", help="leave the package's tests out")
    parser.add_argument("--no-demo", action="store_true", help="leave the package's demo out")
    parser.add_argument("--lowest", action="store_true", help="install the lowest direct versions")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="where wheels are, or are kept once built")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="packages tried at a time; default 1")
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, pytest_arguments = parser.parse_args(arguments[:end]), arguments[end + 1 :]
    try:
        known = members()
        if options.jobs > 1:
            flags = [word for word in arguments[:end] if word in ("--no-tests", "--no-demo", "--lowest")]
            with tempfile.TemporaryDirectory(prefix="ninefold-wheels-") as dist:  # each is built once for all
                passed_on = [*flags, "--wheels", str(options.wheels or dist), "--", *pytest_arguments]
                return side_by_side(options.names or list(known), options.jobs, passed_on)
        for name in options.names or known:
            begin = time.monotonic()
            print(f"-- {name}", flush=True)
            with tempfile.TemporaryDirectory(prefix="ninefold-isolated-") as scratch:
                isolated(find(name), Path(scratch), options, pytest_arguments)
            say(f"{name} stands alone ({time.monotonic() - begin:.0f} s)")
    except ToolError as error:
        return exit_with(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
