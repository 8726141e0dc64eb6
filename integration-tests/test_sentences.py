"""What a figure or a default holds for stands in the README that shows it: sentences that must not get lost."""

from __future__ import annotations

import re

import pytest
from workspace import find

SAID = [
    (
        "tokenprune",
        "Results",
        "no measurable difference to FastKV.*Without `learn`, names that stand first in 4,096 tokens are lost at 75 %",
    ),
    (
        "mecoin",
        "When to use it",
        "no unlabelled nodes of the new classes, plain LDA is as good: the refinement",
    ),
    ("mecoin", "Results", "The classifier is LDA with an EM step, so it equals LDA \\+ EM on the same encoder"),
    ("mecoin", "How it works", "expectation-maximisation \\(EM\\) over unlabelled nodes move a new prototype"),
    ("mecoin", "Results", "novelty's area under the ROC curve, mean over sessions"),
    ("mecoin", "Results", "embeddings of 128 numbers that are in memory; encoder not counted \\| 3.1 s"),
    (
        "bnn-fsg",
        "Results",
        "ReSTE, straight-through and FSG.*73.9, 73.0 and 66.6 %.*FSG.*small constant rate of plain SGD.*no tuned rate",
    ),
    ("tswitch", "Results", "one thread, MiniLM at alpha 0.97.*in plain forward passes of the same batch"),
    ("recsys", None, "### Weighting events.*use the values as they are.*use only clicks.*Times affect"),
]


def lost(readme: str, heading: str | None, words: str) -> bool:
    """Whether a README, or the section of that heading, lacks these words, wherever its lines break."""
    if heading is not None:
        readme = readme.split(f"\n## {heading}\n")[-1].split("\n## ")[0]
    return not re.search(words, " ".join(readme.split()))


@pytest.mark.parametrize(("package", "heading", "words"), SAID)
def test_readmes_say_what_their_figures_and_defaults_hold_for(package, heading, words):
    folder = find(package).folder
    pages = [page.read_text(encoding="utf-8") for page in (folder / "README.md", *sorted(folder.glob("docs/*.md")))]
    assert any(not lost(page, heading if f"\n## {heading}\n" in page else None, words) for page in pages)
