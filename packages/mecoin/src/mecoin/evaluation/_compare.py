"""Several learners through the same sessions, in a run folder, where a killed run resumes."""

from __future__ import annotations

import importlib.util
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError
from ninefold.files import atomic_file
from ninefold.report import Table, save_figure
from ninefold.run import Run
from ninefold_graphs import Graph

from mecoin.baselines import BASELINES
from mecoin.encoders._shared import shared_encoder
from mecoin.memory._plus import MecoinPlus
from mecoin.protocol._learner import Learner, MemoryLearner
from mecoin.protocol._run import StreamResult, confusion, run_stream, score_session, tuned
from mecoin.sessions._stream import Session, SessionStream, Split

LEARNERS: dict[str, type[Learner]] = {MecoinPlus.name: MecoinPlus} | BASELINES
PLOTS = importlib.util.find_spec("matplotlib") is not None
Entry = str | type[Learner] | Callable[[Graph, Session], Learner]  # what can be compared and audited


def make_learner(
    entry: Entry, session: Session, seed: int = 0, *, graph: Graph | None = None, epochs: int | None = None,
    **options: Any,
) -> Learner:  # fmt: skip
    """A fresh learner for a base session.

    Args:
        entry: a name of `LEARNERS`; a class of learners, which gets the shared encoder of its `encoder_kind`;
            or a function of the graph and the base session.
        graph: what a function is given; the session's, if left out.
        epochs: of the shared encoder, at most; options: keyword arguments of the class, "encoder" for another shared
            one. Those of `mecoin+` are chosen on the base classes, if left out.
    """
    if isinstance(entry, str):
        check_learners([entry])
    kind = LEARNERS[entry] if isinstance(entry, str) else entry
    if not isinstance(kind, type):
        return kind(session.graph if graph is None else graph, session)
    if issubclass(kind, MecoinPlus) and "encoder" not in options:
        options = {**kind.chosen(session, seed, epochs=epochs), **options}
    wanted = options.pop("encoder", kind.encoder_kind)
    return kind(shared_encoder(session, wanted, epochs=epochs, seed=seed), seed=seed, **options)


def check_learners(names: Iterable[str]) -> None:
    """InputError for a name that `make_learner` does not know."""
    for name in names:
        if name not in LEARNERS:
            expected = f"one of {', '.join(LEARNERS)}, or a class of your own"
            raise InputError("learner", got=repr(name), expected=expected)


def compare(
    stream: SessionStream, learners: Sequence[str] | Mapping[str, Entry], seed: int = 0, *, tune: bool = False,
    out: str | Path | None = None, settings: Mapping[str, Any] = MappingProxyType({}),
    advance: Callable[[], object] = lambda: None,
) -> dict[str, StreamResult]:  # fmt: skip
    """Take several learners through the same sessions: figures by name. See `make_learner` for what a learner may be.

    Args:
        tune: choose settings of the rivals on base classes alone (`tuned`).
        out: a run folder for metrics, confusion and pictures, where a killed run resumes.
        settings: what else the folder is to keep, and to compare when a run resumes in it.
        advance: called after each learner.
    Raises: ArtifactError if the folder keeps another split: its checkpoints are of other nodes.

    Examples:
        >>> from mecoin import SessionStream, Simulated, compare
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> results = compare(stream, ["SGC-LDA"])
        >>> [session.classes for session in results["SGC-LDA"].sessions]
        [4, 5, 6]
    """
    entries: Mapping[str, Entry] = learners if isinstance(learners, Mapping) else {name: name for name in learners}
    config = {**settings, "learners": list(entries), "seed": seed, "tune": tune}
    config["data digest"] = stream.data.digest[:16]  # the split that the folder keeps tells of the labels
    with tempfile.TemporaryDirectory() as scratch, Run(Path(out or Path(scratch) / "run"), config) as run:
        kept = run.path / "split.json"
        if not kept.exists():
            stream.save(kept)
        elif Split.load(kept).digest != stream.split.digest:
            raise ArtifactError(kept, "has other sessions than this data gives; choose another folder")
        done: dict[str, StreamResult] = {}
        for place, (name, entry) in enumerate(entries.items()):
            lines = [line for line in run.metrics() if line["learner"] == name]
            path = run.checkpoints / f"{place}.npz"
            if len(lines) == len(stream) and path.is_file():
                done[name] = _resumed(name, lines, path, stream)
            else:
                run.rewind(len([line for line in run.metrics() if line["learner"] in done]))
                done[name] = _through(run, stream, name, entry, path, seed, tune=tune)
            advance()
        if out is not None:
            write_reports(run, stream, done)
    return done


def _through(
    run: Run, stream: SessionStream, name: str, entry: Entry, path: Path, seed: int, *, tune: bool
) -> StreamResult:
    """One learner through the stream: each session is a line of metrics.jsonl, predictions are a checkpoint."""
    options: dict[str, Any] = {}
    if tune and name in BASELINES:
        options = tuned(BASELINES[name], stream[0], stream.split.way, stream.split.shot, seed)
    learner = make_learner(entry, stream[0], seed, **options)
    result = run_stream(stream, learner)
    answers: dict[str, Any] = {str(one.session): one.predicted for one in result.sessions}
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **answers)
    if isinstance(learner, MemoryLearner) and PLOTS:
        from mecoin.evaluation._figures import prototypes_of

        save_figure(prototypes_of(learner, stream), run.figures / f"prototypes-{path.stem}.png")
    for one in result.sessions:
        run.log(learner=name, **one.figures())
    return result


def _resumed(name: str, lines: list[dict[str, Any]], path: Path, stream: SessionStream) -> StreamResult:
    try:
        with np.load(path, allow_pickle=False) as held:
            answers = [held[str(session.index)] for session in stream]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(path, f"is damaged: {error}; remove the run, and begin anew") from None
    scored = [
        score_session(session, stream[0].new, predicted, memory=line["memory"], seconds=float("nan"))
        for session, line, predicted in zip(stream, lines, answers, strict=True)
    ]
    return StreamResult(name, scored)


def write_reports(run: Run, stream: SessionStream, results: Mapping[str, StreamResult]) -> None:
    """confusion.parquet of all learners and sessions, and the pictures (if matplotlib is there)."""
    import pyarrow as pa
    from pyarrow import parquet

    names, rows = stream.data.classes, []
    for name, one in ((name, one) for name, result in results.items() for one in result.sessions):
        for truth, predicted, count in zip(*confusion(one), strict=True):
            counted = {"truth": str(names[truth]), "predicted": str(names[predicted]), "count": int(count)}
            rows.append({"learner": name, "session": one.session, **counted})
    with atomic_file(run.path / "confusion.parquet") as temporary:
        parquet.write_table(pa.Table.from_pylist(rows), temporary)
    if PLOTS:
        from mecoin.evaluation._figures import accuracy_by_session, forgetting

        save_figure(accuracy_by_session(results), run.figures / "accuracy.png")
        for place, result in enumerate(results.values()):
            save_figure(forgetting(result), run.figures / f"forgetting-{place}.png")


def result_table(results: Mapping[str, StreamResult], title: str = "") -> Table:
    """One row a learner; accuracies in per cent.

    Examples:
        >>> from mecoin import SessionStream, Simulated, compare, result_table
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> result_table(compare(stream, ["SGC-LDA"])).columns[:4]
        ['learner', 'mean', 'base', 'novel']
    """
    columns = ["learner", "mean", "base", "novel", "harmonic", "drop", "forgetting"]
    means = "mean over sessions; of base and of novel classes after the last; harmonic: mean of these two"
    losses = "drop (PD): first session minus last; forgetting (CGLB): change on classes since they were learnt"
    table = Table(columns, title=title, notes=[f"accuracy, %: {means}", losses])
    for name, result in sorted(results.items(), key=lambda pair: -pair[1].mean):
        last = result.sessions[-1]
        cells = [result.mean, last.base, last.novel, result.harmonic, result.drop, result.forgetting]
        mark = " (collapsed)" if result.collapsed else ""
        table.rows.append([name + mark, *(round(cell, 1) for cell in cells)])
    if any(result.collapsed for result in results.values()):
        table.notes.append("collapsed: after the last session hardly any node of base or of new classes is right")
    return table
