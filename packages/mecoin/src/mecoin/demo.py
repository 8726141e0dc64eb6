"""The main job on the embedded default: a simulated graph whose classes come one after another."""

from __future__ import annotations

import importlib.util
from typing import Any

from ninefold.arms import Arms
from ninefold.cli import progress
from ninefold.systems import DemoResult
from ninefold_graphs import DEMO

from mecoin.evaluation._compare import make_learner, result_table
from mecoin.paper import PaperMecoin
from mecoin.protocol._run import StreamResult, run_stream
from mecoin.sessions._stream import SessionStream

BASE = 10  # classes of session 0
WANTED = ("mecoin+", PaperMecoin, "SGC-LDA + EM", "LDA", "SGC-LDA", "SGC-NCM")
GLOSSARY = {
    "session": "a step at which new classes come, with five labelled nodes each; session 0 has the base classes",
    "harmonic": "the harmonic mean of accuracy on base and on new classes: 0 for a model that ignores either",
    "drop (PD)": "accuracy of the first session minus that of the last",
    "EM": "expectation-maximisation: means of new classes are moved towards unlabelled nodes that are surely theirs",
    "SGC-LDA + EM": "linear discriminants on features averaged over neighbours, with the unlabelled nodes of mecoin+",
}


def demo(seed: int) -> DemoResult:
    """Sessions of the default, the published method and training-free rivals, on a simulated graph."""
    data = DEMO.draw(seed)
    stream = SessionStream(data, base=BASE, way=2, shot=5, seed=seed)
    results: dict[str, StreamResult] = {}
    learners = {}
    with progress(len(WANTED), "learners") as bar:
        for entry in WANTED:
            name = entry if isinstance(entry, str) else entry.name
            learners[name] = make_learner(entry, stream[0], seed)
            tell = lambda one, name=name: bar.advance(0, f"{name}: session {one.session}, {one.accuracy:.1f} %")  # noqa: E731
            results[name] = run_stream(stream, learners[name], tell)
            bar.advance()
    scores = {name: 100.0 * (one.sessions[-1].predicted == one.sessions[-1].truth) for name, one in results.items()}
    arms = Arms(
        scores=scores, ours="mecoin+", measured=f"accuracy on all classes after {len(stream)} sessions", unit="%",
        margin=0.5, shown=[PaperMecoin.name],
    )  # fmt: skip
    classes = f"{BASE} classes at first, then 2 in each of {len(stream) - 1} sessions from 5 labels each"
    pictures = _figures(stream, results, learners["mecoin+"]) if importlib.util.find_spec("matplotlib") else []
    return DemoResult(
        data=f"simulated: {len(data):,} nodes, {classes}", arms=arms, table=result_table(results), figures=pictures,
        notes=["The graph is simulated; figures on real graphs are in the README."], glossary=GLOSSARY,
        headline=_headline(results["mecoin+"], len(stream) - 1),
        looking_at="Accuracy on the first classes and on the added ones of a graph whose classes come two at a time.",
    )  # fmt: skip


def _headline(result: StreamResult, added: int) -> str:
    """Accuracy after all sessions, and what the additions cost in known classes."""
    lost = result.sessions[0].accuracy - result.sessions[-1].base
    what = f"lose {lost:.0f} points of accuracy" if lost >= 1 else "keep their accuracy"
    return f"{2 * added} classes added from five labels each, without retraining: the classes known before {what}."


def _figures(stream: SessionStream, results: dict[str, StreamResult], learner: Any) -> list[tuple[str, Any]]:
    from mecoin.evaluation._figures import accuracy_by_session, classes_arriving, forgetting, prototypes_of

    return [
        ("Accuracy of mecoin+ as classes arrive", classes_arriving(results["mecoin+"])),
        ("Accuracy after each session", accuracy_by_session(results)),
        ("mecoin+: accuracy on the classes of each session, after each", forgetting(results["mecoin+"])),
        ("mecoin+: prototypes of base and novel classes, and test nodes", prototypes_of(learner, stream)),
    ]
