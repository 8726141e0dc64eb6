"""The main job on the embedded default: a simulated graph whose classes come one after another."""

from __future__ import annotations

import importlib.util

from ninefold.cli import progress
from ninefold.report import Table
from ninefold.systems import DemoResult

from mecoin.evaluation._bench import LEARNERS, make_learner, result_table
from mecoin.evaluation._protocol import StreamResult, run_stream
from mecoin.graphs._simulator import DEMO
from mecoin.memory._memory import MecoinPlus
from mecoin.sessions._stream import SessionStream

BASE = 10  # classes of session 0
WANTED = ("mecoin+", "mecoin (paper)", "SGC-NCM", "SGC-LDA", "Fine-tune", "LwF", "EWC", "ER-GNN")


def demo(seed: int) -> DemoResult:
    """Sessions of the method, two training-free rivals and classic continual ones, on a simulated graph."""
    data = DEMO.draw(seed)
    stream = SessionStream(data, base=BASE, way=2, shot=5, seed=seed)
    results: dict[str, StreamResult] = {}
    learners = {}
    names = [name for name in WANTED if name in LEARNERS]
    with progress(len(names), "learners") as bar:
        for name in names:
            learners[name] = make_learner(name, stream[0], seed)
            tell = lambda one, name=name: bar.advance(0, f"{name}: session {one.session}, {one.accuracy:.1f} %")  # noqa: E731
            results[name] = run_stream(stream, learners[name], tell)
            bar.advance()
    ours = results.pop("mecoin+")
    rival = max((one for name, one in results.items() if not name.startswith("mecoin")), key=lambda one: one.mean)
    results = {"mecoin+": ours, **results}
    sessions = Table(["session", "classes", *results], title="Accuracy over all classes seen, %")
    for place, one in enumerate(ours.sessions):
        row = [round(result.sessions[place].accuracy, 1) for result in results.values()]
        sessions.rows.append([one.session, one.classes, *row])
    notes = ["Simulated data. " + "; ".join(f"session {row[0]}: {row[2]} %" for row in sessions.rows) + " (mecoin+)."]
    gain = ours.mean - rival.mean
    return DemoResult(
        data=f"simulated: {len(data):,} nodes, {len(data.names)} classes ({BASE} + {len(stream) - 1} x 2-way 5-shot)",
        method=f"mecoin+, mean accuracy {ours.mean:.1f} %, PD {ours.drop:.1f}",
        rival=f"{rival.learner}, mean accuracy {rival.mean:.1f} %, PD {rival.drop:.1f}",
        verdict=f"{gain:+.1f} points of mean accuracy against {rival.learner}",
        table=result_table(results),
        figures=_figures(stream, results, learners["mecoin+"]) if importlib.util.find_spec("matplotlib") else [],
        notes=notes,
    )


def _figures(stream: SessionStream, results: dict[str, StreamResult], learner: MecoinPlus) -> list:
    from mecoin.evaluation._figures import accuracy_by_session, forgetting, prototypes_of

    return [
        ("Accuracy after each session", accuracy_by_session(results)),
        (
            "mecoin+: accuracy on the classes of each session, after each",
            forgetting(results["mecoin+"], [s.new for s in stream]),
        ),
        ("mecoin+: prototypes (stars) and test nodes", prototypes_of(learner, stream)),
    ]
