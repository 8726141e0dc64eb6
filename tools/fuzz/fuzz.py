"""Feed damaged files to every reader of files: each has to end in a typed error, or in finite values.

    uv run python tools/fuzz/fuzz.py                          # a few files a reader, as in CI
    uv run python tools/fuzz/fuzz.py --count 2000 mecoin      # more, of one package
    uv run python tools/fuzz/fuzz.py --seconds 600            # each package for so long, whatever comes out
    uv run python tools/fuzz/fuzz.py --only "mecoin/own graph" --first 417 --count 1   # one file again

A sample of each format is damaged in its bytes, lines, fields, JSON values or arrays, and in half of all files digests
are put right afterwards, so that what lies behind them is reached. The same number gives the same file. A read that
takes more than ten seconds of a processor or four gigabytes fails, too, and so does a file that ends the process.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts threads: they do not survive a fork

import numpy as np
from damage import damage, sign
from fuzz_readers import READERS, Reader
from ninefold.errors import NinefoldError

SECONDS, BYTES = 10, 4 << 30
Sample = tuple[str, Reader, Path]


class TooLong(Exception):  # noqa: N818
    """A read that did not end in time."""


def feed(reader: Reader, sample: Path, number: int, name: str) -> str:
    """Damage a copy of a sample and read it; returns what is wrong, or nothing."""
    draw = random.Random(f"{name} {number}")
    with tempfile.TemporaryDirectory(prefix="ninefold-fuzz-") as scratch:
        place = Path(scratch) / sample.name
        shutil.copytree(sample, place) if sample.is_dir() else shutil.copyfile(sample, place)
        files = [place] if place.is_file() else sorted(one for one in place.rglob("*") if one.is_file())
        ways = damage(draw.choice(files), draw)
        if draw.random() < 0.5:
            sign(place)
            ways += ", signed"
        wrong = outcome(reader, place)
    return f"{ways}: {wrong}" if wrong else ""


def outcome(reader: Reader, place: Path) -> str:
    """What is wrong with how a file was read: nothing if the error is typed, or the values are finite."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # a machine that is busy otherwise makes no reader slow
    try:
        values = reader.read(place)
    except NinefoldError:
        return ""
    except MemoryError:
        return f"more than {BYTES >> 30} GB"
    except TooLong:
        return f"more than {SECONDS} s"
    except Exception as error:  # what this looks for
        frame = traceback.extract_tb(error.__traceback__)[-1]
        ours = [one for one in traceback.extract_tb(error.__traceback__) if "/src/" in one.filename]
        at = ours[-1] if ours else frame
        where = at.filename.split("/src/")[-1]
        return f"{type(error).__name__}: {str(error)[:90]!r} from {where}:{at.lineno}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "" if _is_finite(values, reader.missing) else "values that are not finite"


def _is_finite(values: Any, missing: bool) -> bool:
    for one in values or ():
        held = np.asarray(one)
        if held.dtype.kind in "fc" and not (np.isfinite(held) | (np.isnan(held) if missing else False)).all():
            return False
    return True


def fuzz(package: str, options: argparse.Namespace) -> Iterator[str]:
    """Lines that say what was wrong, of one package's readers; each whole sample is read first.

    Files are read in a child process, so that one that ends it is named and the others go on.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ninefold-samples-") as folder:
        samples: list[Sample] = []
        for reader in READERS[package]():
            name = f"{package}/{reader.name}"
            if options.only in (None, name):
                home = Path(folder) / str(len(samples))
                home.mkdir()
                samples.append((name, reader, reader.make(home)))
        log, at = Path(folder) / "log", options.first * len(samples)
        if _in_child(log, lambda: _read_whole(samples)):
            yield f"{package}: the process ended while it read whole samples"
        yield from log.read_text(encoding="utf-8").splitlines()
        until = begin + options.seconds if options.seconds else float("inf")
        end = 1 << 60 if options.seconds else (options.first + options.count) * len(samples)
        while samples and at < end and time.monotonic() < until:
            status = _in_child(log, lambda at=at: _feed_all(samples, range(at, end), until))
            lines = log.read_text(encoding="utf-8").splitlines()
            yield from (line for line in lines if not line.isdecimal())
            at = 1 + int(next((line for line in reversed(lines) if line.isdecimal()), at))
            if status:
                number, place = divmod(at - 1, len(samples))
                yield f"{samples[place][0]} {number}: the process ended, {_ended(status)}"
        print(f"{package}: {at - options.first * len(samples)} files, {time.monotonic() - begin:.1f} s", flush=True)


def _read_whole(samples: Sequence[Sample]) -> Iterator[str]:
    """What is wrong with how whole samples are read."""
    for name, reader, sample in samples:
        if wrong := outcome(reader, sample):
            yield f"{name}: the whole sample: {wrong}"


def _feed_all(samples: Sequence[Sample], places: range, until: float) -> Iterator[str]:
    """The place of each file before it is read, and what is wrong with it afterwards."""
    for at in places:
        if time.monotonic() > until:
            return
        yield str(at)
        number, place = divmod(at, len(samples))
        name, reader, sample = samples[place]
        if wrong := feed(reader, sample, number, name):
            yield f"{name} {number}: {' '.join(wrong.split())}"


def _in_child(log: Path, lines: Callable[[], Iterator[str]]) -> int:
    """Write lines to a file as they come, from a child process; returns its status.

    A child that writes nothing for twelve times the seconds of a read, as it waits or is deaf to signals, is killed.
    """
    log.write_text("", encoding="utf-8")
    child = os.fork()
    if child:
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status
            if time.time() - log.stat().st_mtime > 12 * SECONDS:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
    status = 1
    try:
        with log.open("w", encoding="utf-8") as file:
            for line in lines():
                file.write(line + "\n")
                file.flush()
        status = 0
    finally:
        os._exit(status)


def _ended(status: int) -> str:
    return f"by {signal.Signals(status & 127).name}" if status & 127 else f"with status {status >> 8}"


def _late(*_: Any) -> None:
    raise TooLong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", metavar="NAME", help="packages; all of them if none is named")
    parser.add_argument("--count", type=int, default=40, help="files a reader; default 40")
    parser.add_argument("--first", type=int, default=0, help="number of the first file; default 0")
    parser.add_argument("--seconds", type=float, default=0.0, help="in place of a count: how long, for each package")
    parser.add_argument("--only", metavar="PACKAGE/READER", help="one reader alone")
    options = parser.parse_args()
    names = options.packages or ([options.only.split("/")[0]] if options.only else list(READERS))
    if unknown := set(names) - READERS.keys():
        parser.error(f"no readers of {', '.join(sorted(unknown))}; there are {', '.join(READERS)}")
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _late)
    found = 0
    for package in names:
        list(READERS[package]())  # its imports, before memory is bounded
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, resource.RLIM_INFINITY))
        for line in fuzz(package, options):
            found += 1
            print(line, flush=True)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(f"{found} wrong" if found else "every file ended in a typed error or in finite values")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
