"""Put a wrong line into ten modules, one at a time, and see that `reached.py` finds each within a minute.

    uv run python tools/check/mutants.py           # all ten, on an otherwise idle machine; writes mutants.md next to it
    uv run python tools/check/mutants.py semcom    # those whose path has that word; writes nothing

Works in a clone of the last commit, from which Python imports all members; the checkout is not touched.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from reached import SECONDS
from workspace import ROOT, environment, members, run

TABLE = Path(__file__).with_name("mutants.md")
MUTANTS = {  # module: a line of it, and what stands there in its stead
    "shared/core/src/ninefold/interval.py": ("longer = 1 + np.abs(", "longer = 1 - np.abs("),
    "shared/lab/src/ninefold_lab/claims.py": ("one in verdicts), INC", "one not in verdicts), INC"),
    "packages/bnn-fsg/src/bnn_fsg/packing/_values.py": (
        "[0, *range(2, len(shape)), 1]",
        "[0, 1, *range(2, len(shape))]",
    ),
    "packages/fastocc/src/fastocc/evaluation/_miou.py": ("self.matrix.sum(1) - np", "self.matrix.sum(1) + np"),
    "packages/mldgg/src/mldgg/meta/_unlabelled.py": ("(rows @ weights).argmax(", "(rows @ weights).argmin("),
    "packages/proteus/src/proteus/statistics/_error_control.py": ("<= level) & keep", "<= level) | keep"),
    "packages/recsys/src/recsys/evaluation/_ranks.py": ("ranks[order] = found", "ranks[:] = found"),
    "packages/semcom/src/semcom/phy/_modulation.py": ("(np.asarray(llr) < 0)", "(np.asarray(llr) > 0)"),
    "packages/tokenprune/src/tokenprune/routers/_schedule.py": ("length - math.floor(", "length - math.ceil("),
    "packages/tswitch/src/tswitch/switch/_ternary.py": ("where(tau.detach() < 0,", "where(tau.detach() <= 0,"),
}


def judged(clone: Path, module: str) -> tuple[bool, float, str]:
    """(whether a test fails, seconds, the failed test) with the wrong line in a module of the clone."""
    right, wrong = MUTANTS[module]
    file = clone / module
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    sources = os.pathsep.join(str(one.source.parent) for one in members(clone).values())
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "tools/check/reached.py"],
        cwd=clone, env=environment({"PYTHONPATH": sources}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - begin
    file.write_text(text, encoding="utf-8")
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return done.returncode == 1 and bool(failed), seconds, failed[0].split("[")[0] if failed else ""


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        run("git", "clone", "--quiet", "--shared", ROOT, clone)
        for module in (one for one in MUTANTS if word in one):
            found, seconds, test = judged(clone, module)
            rows.append((module, found, seconds, test))
            print(f"{module}: {'found' if found else 'NOT FOUND'} in {seconds:.0f} s {test}", flush=True)
    passed = all(found and seconds <= SECONDS for _, found, seconds, _ in rows)
    if not word:
        lines = [
            f"| `{name}` | {seconds:.0f} s | {f'`{test}`' if found else '**none**'} |"
            for name, found, seconds, test in rows
        ]
        commit = run("git", "rev-parse", "--short", "HEAD").strip()
        load = f"load {os.getloadavg()[2]:.0f} of other work over the last 15 minutes"
        about = f"{os.cpu_count()} cores, {load}, Python {platform.python_version()}, commit {commit}"
        TABLE.write_text("\n".join([
            "# Wrong lines and the tests that find them", "", f"Written by `tools/check/mutants.py`: {about}.", "",
            "| module with a wrong line | time | first failed test |", "|---|---|---|", *lines, "",
        ]), encoding="utf-8")  # fmt: skip
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
