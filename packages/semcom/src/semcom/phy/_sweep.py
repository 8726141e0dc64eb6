"""Error rates of coded blocks over a grid of channels and SNRs: streams, runs in several processes, and resumes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import math
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from ninefold.errors import InputError
from ninefold.progress import progress
from ninefold.run import Run

from semcom.phy._block import CodedBlock
from semcom.phy._channel import Channel

T = TypeVar("T")
_CHUNK = 250  # blocks at once: memory does not grow with their number


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes:
        channel: specification of the channel.
        snr_db: Es/N0.
        bits, fec, modulation: of the block.
        blocks: at most so many blocks, ended early by `errors` wrong ones.
        seed: of this point.
    """

    channel: str
    snr_db: float
    bits: int
    fec: str
    modulation: str
    blocks: int
    errors: int
    seed: int


def parse_range(text: str, name: str = "range") -> list[float]:
    """Numbers of `1,2.5,7`, each once, or of `first:last:step`, both ends included; `name` is for the message."""
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            if step <= 0 or last < first or (last - first) / step > 10_000:
                raise ValueError
            return [round(first + step * place, 9) for place in range(math.floor((last - first) / step + 1e-9) + 1)]
        numbers = list(dict.fromkeys(float(part) for part in text.split(",")))
        if any(map(math.isnan, numbers)):
            raise ValueError
        return numbers
    except ValueError:
        raise InputError(name, got=repr(text), expected="numbers like 1,2.5,7 or first:last:step") from None


def measure(point: Point) -> dict[str, Any]:
    """Error rates of one point."""
    rng = np.random.default_rng(point.seed)
    channel = Channel.from_spec(point.channel)
    block = CodedBlock(point.bits, point.fec, point.modulation)
    sent = wrong = silent = bit_errors = 0
    while sent < point.blocks and wrong < point.errors:
        rows = min(_CHUNK, point.blocks - sent)
        bits = rng.integers(0, 2, (rows, point.bits), dtype=np.uint8)
        received = channel.apply(block.send(bits), point.snr_db, rng)
        found, good = block.receive(received.unbiased, received.noise)
        differ = (found != bits).sum(axis=1)
        sent += rows
        wrong += int((differ > 0).sum())
        silent += int(((differ > 0) & good).sum())
        bit_errors += int(differ.sum())
    low, high = error_interval(wrong, sent)
    rates = {"blocks": sent, "block_errors": wrong, "bler": wrong / sent, "low": low, "high": high}
    return {**asdict(point), **rates, "ber": bit_errors / (sent * point.bits), "undetected": silent}


def sweep(points: Sequence[Point], run: Run | None = None, jobs: int = 1) -> list[dict[str, Any]]:
    """Measure points in order; those that `run` has are not measured again.

    Args:
        points: what to measure.
        run: where each finished point is logged at once.
        jobs: processes.
    """
    return resumed(_measured, points, run, jobs, 1)


def _measured(point: Point) -> list[dict[str, Any]]:
    return [measure(point)]


def resumed(
    call: Callable[[T], list[dict[str, Any]]], items: Sequence[T], run: Run | None, jobs: int, size: int
) -> list[dict[str, Any]]:
    """Rows of all items in order; what `run` has is not measured again, an item that was cut off is.

    Args:
        call: an item's rows; a function of a module, for other processes.
        run: where each finished row is logged.
        jobs: processes.
        size: rows of an item.
    """
    done = run.metrics() if run is not None else []
    whole = len(done) // max(1, size)
    done = done[: whole * size]
    if run is not None:
        run.rewind(len(done))
    with progress(len(items), "points") as bar, contextlib.ExitStack() as stack:
        bar.advance(whole)
        results = map(call, items[whole:])
        if jobs > 1 and len(items) - whole > 1:
            context = multiprocessing.get_context("spawn")
            pool = stack.enter_context(concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context))
            stack.push(lambda kind, *_: pool.shutdown(wait=False, cancel_futures=True) if kind else None)
            results = pool.map(call, items[whole:])
        for rows in results:
            for row in rows:
                if run is not None:
                    run.log(**row)
            done += rows
            bar.advance()
    return done


def error_interval(errors: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of an error rate."""
    if not 0 <= errors <= trials or trials < 1:
        raise InputError("errors", got=f"{errors} of {trials}", expected="at most the trials, and at least one trial")
    from scipy.special import betaincinv  # a third of a second that most verbs need not wait for

    tail = (1 - level) / 2
    low = float(betaincinv(errors, trials - errors + 1, tail)) if errors else 0.0
    high = float(betaincinv(errors + 1, trials - errors, 1 - tail)) if errors < trials else 1.0
    return low, high
