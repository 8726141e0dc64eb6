"""Several learners through the same sessions, in a run folder that a killed run goes on in."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError
from ninefold.files import atomic_file
from ninefold.report import Table, save_figure
from ninefold.run import Run
from ninefold_graphs import Graph

from mecoin.baselines import BASELINES
from mecoin.encoders._shared import shared_encoder
from mecoin.memory._mecoin import Mecoin
from mecoin.memory._plus import MecoinPlus
from mecoin.protocol._learner import Learner, MemoryLearner
from mecoin.protocol._run import SessionResult, StreamResult, confusion, run_stream
from mecoin.protocol._tune import tuned
from mecoin.sessions._stream import Session, SessionStream, Split

LEARNERS: dict[str, type[Learner]] = {MecoinPlus.name: MecoinPlus} | BASELINES
Entry = str | type[Learner] | Mecoin | Callable[[Graph, Session], Learner]  # what can be compared and audited


def make_learner(
    entry: Entry,
    session: Session,
    seed: int = 0,
    *,
    graph: Graph | None = None,
    epochs: int | None = None,
    **options: Any,
) -> Learner:
    """A fresh learner for a base session.

    Args:
        entry: a name of `LEARNERS`, or "module:Class" of your own; a class of learners, which gets the shared encoder
            that it wants (`encoder_kind`); a `Mecoin` that has learnt nothing yet; or a function of the graph and the
            base session.
        graph: what a function is given; the session's, if left out.
        epochs: of the shared encoder, at most; options: keyword arguments of the class, "encoder" for another shared
            one. Those of `mecoin+` are chosen on the base classes, if left out.
    """
    if isinstance(entry, Mecoin):
        return entry.as_learner()
    kind = _class(entry) if isinstance(entry, str) else entry
    if not isinstance(kind, type):
        return kind(session.graph if graph is None else graph, session)
    if issubclass(kind, MecoinPlus) and "encoder" not in options:
        options = {**kind.chosen(session, seed, epochs=epochs), **options}
    wanted = options.pop("encoder", kind.encoder_kind)
    return kind(shared_encoder(session, wanted, epochs=epochs, seed=seed), seed=seed, **options)


def _class(name: str) -> type[Learner]:
    if name in LEARNERS:
        return LEARNERS[name]
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None) if attribute else None
    except ImportError as error:
        raise InputError("learner", got=f"{name!r}: {error}", expected="a module that can be imported") from None
    if not (isinstance(found, type) and issubclass(found, Learner)):
        known = ", ".join(LEARNERS)
        raise InputError("learner", got=repr(name), expected=f"one of {known}, or module:Class of your own")
    return found


def check_learners(entries: Sequence[Entry]) -> None:
    """InputError if there is none, or a name that `make_learner` does not know."""
    for entry in entries or [""]:
        if isinstance(entry, str):
            _class(entry)


def compare(
    stream: SessionStream,
    learners: Sequence[str] | Mapping[str, Entry],
    seed: int = 0,
    *,
    tune: bool = False,
    out: str | Path | None = None,
) -> dict[str, StreamResult]:
    """Take several learners through the same sessions: figures by name. See `make_learner` for what a learner may be.

    Args:
        tune: choose settings of the rivals on base classes alone (`tuned`).
        out: a run folder for metrics, confusion and pictures, which a killed run goes on in.

    Examples:
        >>> from mecoin import Mecoin, SessionStream, Simulated, compare
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> results = compare(stream, {"mine": Mecoin(encoder="sgc")})
        >>> [session.classes for session in results["mine"].sessions]
        [4, 5, 6]
    """
    names = list(learners)
    with tempfile.TemporaryDirectory() as scratch:
        config = {"learners": names, "seed": seed, "tune": tune, "data digest": stream.data.digest[:16]}
        with Run(Path(scratch) / "run" if out is None else Path(out), config) as run:
            results = run_comparison(run, stream, learners, seed, tune=tune)
            if out is not None:
                write_reports(run, stream, results)
    return results


def run_comparison(
    run: Run,
    stream: SessionStream,
    learners: Sequence[str] | Mapping[str, Entry],
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
    entries: Mapping[str, Entry] = learners if isinstance(learners, Mapping) else {name: name for name in learners}
    done: dict[str, StreamResult] = {}
    for place, (name, entry) in enumerate(entries.items()):
        path = run.checkpoints / f"{place}.npz"
        lines = [line for line in run.metrics() if line["learner"] == name]
        if len(lines) == len(stream) and path.is_file():
            done[name] = _resumed(name, lines, path, stream)
            advance()
            continue
        run.rewind(len([line for line in run.metrics() if line["learner"] in done]))
        options: dict[str, Any] = {}
        if tune and name in BASELINES:
            options = tuned(BASELINES[name], stream[0], stream.split.way, stream.split.shot, seed)
        learner = make_learner(entry, stream[0], seed, **options)
        done[name] = run_stream(stream, learner)
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **{str(one.session): one.predicted for one in done[name].sessions})  # pyright: ignore[reportArgumentType]
        if isinstance(learner, MemoryLearner) and importlib.util.find_spec("matplotlib") is not None:
            from mecoin.evaluation._figures import prototypes_of

            save_figure(prototypes_of(learner, stream), run.figures / f"prototypes-{place}.png")
        for one in done[name].sessions:
            run.log(learner=name, macro=one.macro, **one.figures())
        advance()
    return done


STORED = {one.name for one in dataclasses.fields(SessionResult)}


def _resumed(name: str, lines: list[dict[str, Any]], path: Path, stream: SessionStream) -> StreamResult:
    try:
        with np.load(path, allow_pickle=False) as held:
            predicted = [held[str(session.index)] for session in stream]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(path, f"is damaged: {error}; remove the run, and begin anew") from None
    sessions = []
    for session, line, codes in zip(stream, lines, predicted, strict=True):
        figures: dict[str, Any] = {key: value for key, value in line.items() if key in STORED}
        figures |= {key: float("nan") for key, value in figures.items() if value is None}
        sessions.append(SessionResult(**figures, seconds=float("nan"), truth=session.truth, predicted=codes))
    return StreamResult(name, sessions)


def write_reports(run: Run, stream: SessionStream, results: Mapping[str, StreamResult]) -> None:
    """confusion.parquet of all learners and sessions, and the pictures (if matplotlib is there)."""
    import pyarrow as pa
    from pyarrow import parquet

    names = stream.data.classes
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
    for place, result in enumerate(results.values()):
        save_figure(forgetting(result), run.figures / f"forgetting-{place}.png")


def result_table(results: Mapping[str, StreamResult], title: str = "") -> Table:
    """One row a learner; accuracies in per cent.

    Examples:
        >>> from mecoin import Mecoin, SessionStream, Simulated, compare, result_table
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> result_table(compare(stream, {"mine": Mecoin(encoder="sgc")})).columns[:4]
        ['learner', 'mean', 'base', 'novel']
    """
    table = Table(
        ["learner", "mean", "base", "novel", "harmonic", "drop", "forgetting"],
        title=title,
        notes=[
            "accuracy, %: mean over sessions; of base and of novel classes after the last; harmonic: mean of these two",
            "drop (PD): first session minus last; forgetting (CGLB): change on classes since they were learnt",
        ],
    )
    for name, result in sorted(results.items(), key=lambda pair: -pair[1].mean):
        last = result.sessions[-1]
        cells = [result.mean, last.base, last.novel, result.harmonic, result.drop, result.forgetting]
        mark = " (collapsed)" if result.collapsed else ""
        table.rows.append([name + mark, *(round(cell, 1) for cell in cells)])
    if any(result.collapsed for result in results.values()):
        table.notes.append("collapsed: after the last session hardly any node of base or of new classes is right")
    return table
