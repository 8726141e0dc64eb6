"""The default beside tuned rivals on each unseen citation graph, without labels and with five a class."""

from __future__ import annotations

from mldgg.domains import split_support
from mldgg.meta import MLDGG
from ninefold_lab import Budget, Scores

from ._citation import Arms, accuracy, acting, fitted, tasks_of
from ._judged import adapted_to, answers, hidden

SAME_NODES = (
    "walked-ridge",
    "correct-and-smooth",
    "self-trained-ridge",
    "lda-em",
)  # read the target's, and have a walk
RIVALS = (*SAME_NODES, "graphany", "centred-ridge")
TRIALS = 6  # of each rival, on the sources


def without_labels(budget: Budget, seed: int) -> Scores:  # noqa: ARG001  (nothing is drawn)
    """The default, itself without joint words or walk, and tuned rivals, by unseen graph."""
    arms = Arms()
    for place, task in enumerate(tasks_of(budget.form)):
        shown, known = hidden(task.target), task.target.y >= 0
        adapted = adapted_to(budget.form, "citation", place)
        own_words = MLDGG(joint=False, gate=adapted.model.fitted.power > 0).fit(task.sources)
        chances = {
            "mldgg": adapted.predict_proba(),
            "mldgg without a walk": adapted.scores(),
            "mldgg on the sources' words": own_words.predict_proba(shown),
            **{name: fitted(budget.form, name, task.name, TRIALS, (0,)).predict_proba(shown) for name in RIVALS},
        }
        for arm, one in chances.items():
            arms.add(arm, accuracy(one, task.target.y, known))
        for part, acts in acting(adapted).items():
            arms.add(f"{part} acts", acts)
    return arms.scores()


def few_labels(budget: Budget, seed: int) -> Scores:
    """The default, the walked ridge and a ridge on the target's labels alone, at five labels a class."""
    arms = Arms()
    for place, task in enumerate(tasks_of(budget.form)):
        split = split_support(task.target.y, shots=5, seed=seed)
        shown = task.target.hidden(split.support)
        chances = {"mldgg": answers(budget.form, "citation", place, split.support)["guarded"]}
        for name in ("walked-ridge", "target-only"):
            chances[name] = fitted(budget.form, name, task.name, TRIALS, (5,)).predict_proba(shown)
        for arm, one in chances.items():
            arms.add(arm, accuracy(one, task.target.y, split.query))
    return arms.scores()
