"""A folder of abstracts, ranked by BM25: what is already written of a hypothesis. Nothing is fetched."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ._describe import BASE

_K1, _B = 1.5, 0.75
_MOST = 5
_TOKEN = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def tokens(text: str) -> list[str]:
    """Words in lower case; `HLA-DR` is one."""
    return _TOKEN.findall(text.lower())


class Literature:
    """Documents by name.

    BM25 (Robertson & Zaragoza 2009): sum over terms of idf tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)),
    idf = ln(1 + (N - n + 0.5) / (n + 0.5)), k1 = 1.5, b = 0.75.
    """

    def __init__(self, documents: Mapping[str, str]) -> None:
        self.documents = dict(documents)
        self._words = {name: tokens(text) for name, text in self.documents.items()}
        self._counts = {name: Counter(words) for name, words in self._words.items()}
        self._known = Counter(word for counts in self._counts.values() for word in counts)
        self._mean = sum(map(len, self._words.values())) / max(len(self._words), 1)

    def scores(self, terms: Sequence[str]) -> dict[str, float]:
        """BM25 of each document that holds a term, best first, equals by name."""
        wanted = dict.fromkeys(word for term in terms for word in tokens(term))
        found = {}
        for name, counts in self._counts.items():
            length = 1 - _B + _B * len(self._words[name]) / max(self._mean, 1e-9)
            parts = (self._idf(one) * counts[one] * (_K1 + 1) / (counts[one] + _K1 * length) for one in wanted)
            value = sum(parts)
            if value > 0:
                found[name] = value
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    def _idf(self, word: str) -> float:
        n = self._known[word]
        return math.log(1 + (len(self._words) - n + 0.5) / (n + 0.5))

    def naming(self, phrase: str) -> set[str]:
        """Documents that hold the phrase's words one after the other."""
        words = tokens(phrase)
        if not words or any(word not in self._known for word in words):
            return set()
        line = f" {' '.join(words)} "
        return {
            name for name, counts in self._counts.items()
            if all(word in counts for word in words) and line in f" {' '.join(self._words[name])} "
        }  # fmt: skip

    def hits(self, lead: str, beside: Sequence[str]) -> tuple[list[str], bool]:
        """(documents among the best five for `lead` and its company that name both, whether any names `lead`)."""
        own = self.naming(lead)
        if not own:
            return [], False
        company = set().union(*(self.naming(one) for one in beside)) if beside else set()
        ranked = [name for name in self.scores([lead, *beside]) if name in own & company]
        return ranked[:_MOST], True


def company(context: str, others: Sequence[str]) -> list[str]:
    """What an abstract should name beside the lead: words of the context but base levels', and what moved too."""
    words = [one for one in re.split(r"[\s/-]+", context) if len(one) > 1 and not BASE.match(one) and one != "in"]
    return list(dict.fromkeys([*words, *others]))


def marks(documents: int, named: bool) -> tuple[float, float]:
    """(alignment, novelty): known together, half a point a document; named elsewhere; not named at all."""
    if not named:
        return 3.0, 5.0
    return min(5.0, 3.0 + 0.5 * documents), max(1.0, 3.0 - 0.5 * documents)
