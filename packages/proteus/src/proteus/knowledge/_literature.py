"""A folder of abstracts, ranked by BM25: what is already written of a hypothesis. Nothing is fetched."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from proteus.data._roles import BASE

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
        self._places: dict[str, dict[str, int]] = {}
        """By word: how often each document that holds it does."""
        for name, words in self._words.items():
            for word, count in Counter(words).items():
                self._places.setdefault(word, {})[name] = count
        self._mean = sum(map(len, self._words.values())) / max(len(self._words), 1)
        self._named: dict[str, frozenset[str]] = {}

    def scores(self, terms: Sequence[str]) -> dict[str, float]:
        """BM25 of each document that holds a term, best first, equals by name."""
        found: dict[str, float] = {}
        for word in dict.fromkeys(word for term in terms for word in tokens(term)):
            places = self._places.get(word, {})
            idf = math.log(1 + (len(self._words) - len(places) + 0.5) / (len(places) + 0.5))
            for name, count in places.items():
                length = 1 - _B + _B * len(self._words[name]) / self._mean
                found[name] = found.get(name, 0.0) + idf * count * (_K1 + 1) / (count + _K1 * length)
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    def naming(self, phrase: str) -> frozenset[str]:
        """Documents that hold the phrase's words one after the other; remembered."""
        if phrase not in self._named:
            words = tokens(phrase)
            places = [set(self._places.get(word, {})) for word in words]
            line = f" {' '.join(words)} "
            self._named[phrase] = frozenset(
                name for name in (set.intersection(*places) if places else ())
                if len(words) == 1 or line in f" {' '.join(self._words[name])} "
            )  # fmt: skip
        return self._named[phrase]

    def hits(self, lead: str, beside: Sequence[str]) -> tuple[list[str], bool]:
        """(documents among the best five for `lead` and its company that name both, whether any names `lead`)."""
        own = self.naming(lead)
        if not own:
            return [], False
        company = frozenset().union(*(self.naming(one) for one in beside))
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
