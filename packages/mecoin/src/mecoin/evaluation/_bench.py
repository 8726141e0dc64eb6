"""Several learners through the same sessions, in a run folder that a killed run goes on in."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError
from ninefold.files import atomic_file
from ninefold.report import Table, save_figure
from ninefold.run import Run

from mecoin.baselines import BASELINES, Learner
from mecoin.encoders._encoder import shared_encoder
from mecoin.evaluation._protocol import SessionResult, StreamResult, confusion, run_stream
from mecoin.evaluation._tune import tuned
from mecoin.memory._codebook import Codebook
from mecoin.memory._memory import MecoinPlus, Memory, PaperMecoin
from mecoin.sessions._stream import Session, SessionStream, Split

LEARNERS: dict[str, type[Learner]] = {one.name: one for one in (MecoinPlus, PaperMecoin, Codebook)} | BASELINES


def make_learner(name: str, session: Session, seed: int = 0, *, epochs: int | None = None, **options: Any) -> Learner:
    """A learner of `LEARNERS` on the shared encoder of a base session, trained for `epochs` at most."""
    check_learners([name])
    kind = LEARNERS[name]
    return kind(shared_encoder(session, kind.encoder_kind, epochs=epochs, seed=seed), seed=seed, **options)


def check_learners(names: Sequence[str]) -> None:
    """InputError if there is none, or one that is not in `LEARNERS`."""
    for name in names or [""]:
        if name not in LEARNERS:
            raise InputError("learner", got=repr(name), expected=f"one of {', '.join(LEARNERS)}")


def run_bench(
    run: Run,
    stream: SessionStream,
    names: Sequence[str],
    seed: int,
    advance: Callable[[], object] = lambda: None,
    *,
    tune: bool = False,
) -> dict[str, StreamResult]:
    """Take each learner through the stream; each session is a line of metrics.jsonl, predictions are checkpoints.

    With `tune`, rivals run with the setting that `tuned` finds for them.

    Raises: ArtifactError if the folder keeps another split: its checkpoints are of other nodes.
    """
    kept = run.path / "split.json"
    if not kept.exists():
        stream.save(kept)
    elif Split.load(kept).digest != stream.split.digest:
        raise ArtifactError(kept, "has other sessions than this data gives; choose another folder")
    done = {}
    for name in names:
        path = run.checkpoints / f"{names.index(name)}.npz"
        lines = [line for line in run.metrics() if line["learner"] == name]
        if len(lines) == len(stream) and path.is_file():
            done[name] = _resumed(name, lines, path, stream)
            advance()
            continue
        before = [line for line in run.metrics() if line["learner"] in done]
        run.rewind(len(before))
        rival = tune and name in BASELINES
        options: dict[str, Any] = (
            dict(tuned(name, stream[0], stream.split.way, stream.split.shot, seed)) if rival else {}
        )
        learner = make_learner(name, stream[0], seed, **options)
        done[name] = run_stream(stream, learner)
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **{str(one.session): one.predicted for one in done[name].sessions})  # pyright: ignore[reportArgumentType]
        if isinstance(learner, Memory) and importlib.util.find_spec("matplotlib") is not None:
            from mecoin.evaluation._figures import prototypes_of

            save_figure(prototypes_of(learner, stream), run.figures / f"prototypes-{names.index(name)}.png")
        for one in done[name].sessions:
            run.log(learner=name, **one.figures())
        advance()
    return done


def _resumed(name: str, lines: list[dict[str, Any]], path: Path, stream: SessionStream) -> StreamResult:
    try:
        with np.load(path, allow_pickle=False) as held:
            predicted = [held[str(session.index)] for session in stream]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(path, f"is damaged: {error}; remove the run, and begin anew") from None
    sessions = []
    for session, line, codes in zip(stream, lines, predicted, strict=True):
        figures: dict[str, Any] = {key: value for key, value in line.items() if key != "learner"}
        figures |= {key: float("nan") for key, value in figures.items() if value is None}
        sessions.append(SessionResult(**figures, seconds=float("nan"), truth=session.truth, predicted=codes))
    return StreamResult(name, sessions)


def write_reports(run: Run, stream: SessionStream, results: Mapping[str, StreamResult]) -> None:
    """confusion.parquet of all learners and sessions, and the pictures (if matplotlib is there)."""
    import pyarrow as pa
    from pyarrow import parquet

    names = stream.data.names
    columns: dict[str, list[Any]] = {key: [] for key in ("learner", "session", "truth", "predicted", "count")}
    for name, result in results.items():
        for one in result.sessions:
            truth, predicted, count = confusion(one)
            columns["learner"] += [name] * len(count)
            columns["session"] += [one.session] * len(count)
            columns["truth"] += [str(names[code]) for code in truth]
            columns["predicted"] += [str(names[code]) for code in predicted]
            columns["count"] += count.tolist()
    with atomic_file(run.path / "confusion.parquet") as temporary:
        parquet.write_table(pa.table(columns), temporary)
    if importlib.util.find_spec("matplotlib") is None:
        return
    from mecoin.evaluation._figures import accuracy_by_session, forgetting

    save_figure(accuracy_by_session(results), run.figures / "accuracy.png")
    groups = [session.new for session in stream]
    for place, result in enumerate(results.values()):
        save_figure(forgetting(result, groups), run.figures / f"forgetting-{place}.png")


def result_table(results: Mapping[str, StreamResult], title: str = "") -> Table:
    """One row a learner; accuracies in per cent."""
    table = Table(
        ["learner", "mean", "first", "last", "PD", "base", "novel", "harmonic", "memory kB", "seconds to add"],
        title=title,
        notes=["mean over sessions; base, novel: last session; harmonic: mean over sessions; PD: first minus last"],
    )
    for name, result in sorted(results.items(), key=lambda pair: -pair[1].mean):
        last = result.sessions[-1]
        added = float(np.median([one.seconds for one in result.sessions[1:]]))
        cells = [result.mean, result.sessions[0].accuracy, last.accuracy, result.drop, last.base, last.novel]
        cells = [round(cell, 1) for cell in (*cells, result.harmonic)]
        table.rows.append([name, *cells, round(last.memory / 1e3, 1), added])
    return table
