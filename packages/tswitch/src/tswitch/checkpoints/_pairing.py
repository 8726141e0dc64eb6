"""Which tensor of a fine-tuned model corresponds to which tensor of its base, where their classes differ.

A base `BertModel` calls a tensor `encoder.layer.0...`, a fine-tuned `BertForSequenceClassification` calls it
`bert.encoder.layer.0...`. A `Pairing` is the pair of prefixes under which most names agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tswitch.checkpoints._checkpoint import Checkpoint

HEADS = ("classifier*", "score.*", "qa_outputs.*", "classification_head.*", "pre_classifier.*")
"""Patterns of the tensors that transformers' classes for a task put on top of an encoder or decoder."""

_DEEPEST = 3  # components of a prefix


@dataclass(frozen=True)
class Pairing:
    """The name `base` + x of the base is the name `finetuned` + x of the fine-tuned model; other names are their own.

    Attributes:
        base, finetuned: prefixes, each empty or with its final dot.
    """

    base: str = ""
    finetuned: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether both models use the same names."""
        return self.base == self.finetuned

    def to_finetuned(self, name: str) -> str:
        """The fine-tuned model's name of a tensor that the base calls `name`."""
        return self.finetuned + name.removeprefix(self.base) if name.startswith(self.base) else name

    def view(self, base: Checkpoint, finetuned: Checkpoint) -> tuple[Checkpoint, dict[str, str]]:
        """The fine-tuned checkpoint under the base's names, and new name -> own name of each of its tensors.

        A tensor outside of the prefix that has the name of another tensor of the base gets a name that no model has.
        """
        own: dict[str, str] = {}
        for name in (*finetuned.names, *finetuned.tied):
            inside = name.startswith(self.finetuned)
            new = self.base + name.removeprefix(self.finetuned) if inside else name
            own[new if inside or self.is_plain or new not in base else f"finetuned:{name}"] = name
        return (finetuned if self.is_plain else finetuned.renamed({name: new for new, name in own.items()})), own


def pair(base: Checkpoint, finetuned: Checkpoint) -> Pairing:
    """The prefixes under which most names of two checkpoints agree; of equally good ones the shortest."""
    return pair_names(*({*one.names, *one.tied} for one in (base, finetuned)))


def pair_names(old: set[str], new: set[str]) -> Pairing:
    """As `pair`, of the names of two models."""
    if old <= new:
        return Pairing()
    prefixes: dict[str, list[str]] = {}
    for name in old:
        for prefix, rest in _splits(name):
            prefixes.setdefault(rest, []).append(prefix)
    votes = Counter(
        (before, after) for name in new for after, rest in _splits(name) for before in prefixes.get(rest, ())
    )
    if not votes:
        return Pairing()
    best = max(votes, key=lambda two: (votes[two], two[0] == two[1], -len(two[0]) - len(two[1]), two))
    return Pairing() if best[0] == best[1] else Pairing(*best)


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """(prefix, rest) of a name, the empty prefix first."""
    parts = name.split(".")
    for depth in range(min(len(parts), _DEEPEST + 1)):
        yield "".join(f"{part}." for part in parts[:depth]), ".".join(parts[depth:])


def parts(name: str) -> list[str]:
    """The top-level parts of a model that a tensor belongs to: modules of depth one and two, no member of a list."""
    modules = name.split(".")
    found = [".".join(modules[:depth]) for depth in (1, 2) if depth < max(len(modules), 2) and depth <= len(modules)]
    return [part for part in found if not part.rpartition(".")[2].isdigit()]


def lacks_part(name: str, held: Iterable[str]) -> bool:
    """Whether a model lacks all of a top-level part that the weight is in, or the weight is a parameter by itself.

    Args:
        held: the parts that the model has.
    """
    *modules, leaf = name.split(".")
    lone = leaf not in ("weight", "bias") and not any(module.isdigit() for module in modules)  # such as a mask token
    return lone or any(part not in held for part in parts(name))


def other_class(base: Checkpoint, finetuned: Checkpoint, pairing: Pairing) -> bool:
    """Whether the two are different classes of model, by their prefixes or by what their configurations say."""
    classes = [(one.config or {}).get("architectures") for one in (base, finetuned)]
    return not pairing.is_plain or (all(classes) and classes[0] != classes[1])


def vocabulary_size(config: dict[str, Any] | None) -> int | None:
    """Rows of the embedding of tokens, as a configuration says."""
    config = config or {}
    return config.get("vocab_size", (config.get("text_config") or {}).get("vocab_size"))
