"""A question in words as a typed query: each content word is used, or the question is refused with those that are not.

Names of the table come first (samples, levels, factors, numbers, gene sets, features), then quantities, then the words
of `_vocabulary`; what is left must be a class of proteins that the table's protein names know, or plain words.
"""

import itertools
import re
from collections.abc import Mapping

from ninefold.errors import InputError

from proteus.data._roles import BASE
from proteus.planning._forms import nearest
from proteus.planning._templates import contrast_of, main_factors
from proteus.planning._text import Names, Text, ordered
from proteus.planning._vocabulary import FOLD, LEVEL, TIME, TOP, count_of, kinds, plain, words
from proteus.record._objects import DatasetProfile, Factor, Query

_SYMBOL = re.compile(r"(?<![\w-])[A-Z][A-Z0-9]*\d[A-Z0-9]*(?![\w-])")
_HOLDER = re.compile(r"\s+(?:proteins?|genes?|subunits?|family)\b")
_BEFORE = re.compile(r"(?:^|\b(?:which|what|are|is|were|do|does|any|all|the|list|me|more|many|of))\W*$")
_BASES = r"controls?|baseline|reference"
_EITHER = "changed", "unchanged", "presence", "sets", "network", "panel"


def typed_query(question: str, profile: DatasetProfile, names: Names) -> Query:
    """The query of a question.

    Raises:
        InputError: naming the words that are not understood, or what cannot be asked of this table, and what can.
    """
    return _Parser(question, profile, names).query()


class _Parser:
    def __init__(self, question: str, profile: DatasetProfile, names: Names) -> None:
        self.question, self.profile, self.names, self.text = question, profile, names, Text(question)

    def query(self) -> Query:
        self._take_names()
        self._take_quantities()
        self._take_words()
        self.family = self._family()
        unknown = list(dict.fromkeys(one for one in _SYMBOL.findall(self._unread())))
        left = [one for one in re.findall(r"[^\W\d_][\w'-]*|\d[\w.]*", self.text.left) if one.upper() not in unknown]
        left = [one for one in left if one not in plain()]
        if left:
            self._refuse(f"words that are not understood: {', '.join(dict.fromkeys(left))}")
        common = {
            "entities": self.entities, "unknown": unknown, "direction": self.direction, "family": self.family,
            "top": self.top, "fold": self.fold, "q": self.q, "by_effect": self.by_effect, "count": self.count,
        }  # fmt: skip
        return Query.model_validate({**common, **self._kind()})

    def _unread(self) -> str:
        return "".join(a if b != "\x00" else " " for a, b in zip(self.text.text, self.text.left, strict=True))

    def _refuse(self, why: str, form: str | None = None) -> None:
        raise InputError(
            "--question", got=f"{self.question!r}: {why}", expected=what_there_is(self.profile),
            hint=f"nearest forms: {' / '.join(nearest(self.question, self.profile, self.names.entities, form))}",
        )  # fmt: skip

    def _take_names(self) -> None:
        text, profile = self.text, self.profile
        self.adjust = []
        if found := text.take(r"\b(?:adjust\w*|controlling|correct\w*|accounting) for (?:the )?"):
            rest = text.left[found.end() :]
            self.adjust = [one.name for one in profile.factors if re.match(rf"{re.escape(one.name.lower())}\b", rest)]
        self.samples = [name for _, name in text.names(self.names.samples)]
        said = {level for one in profile.factors for level in one.levels if len(level) > 1}
        levels = text.names(said)
        self.levels = []
        for place, level in levels:
            factor = next(one for one in profile.factors if level in one.levels)
            self.levels.append((place, factor, level))
        self.factors = [name for _, name in text.names((one.name for one in profile.factors), end="s?")]
        self.factors = [one for one in self.factors if one not in self.adjust]
        self.numbers = [name for _, name in text.names([*profile.numbers, *profile.outcome])]
        self.sets = [name for _, name in text.names(one for one in self.names.sets if len(one) > 3)]
        times = [one for one in profile.numbers if TIME.match(one)]
        if not self.numbers and len(times) == 1 and text.take(r"\btime\b"):
            self.numbers = times
        known = (one for one in self.names.entities if len(one) > 1)
        self.entities = [name for _, name in text.names(known, exact=words())]
        if (found := text.take(rf"\b(?:{_BASES})\b")) and not any(BASE.match(level) for _, _, level in self.levels):
            factor = self.levels[0][1] if self.levels else next(iter(main_factors(profile)), None)
            base = next((one for one in factor.levels if BASE.match(one)), None) if factor else None
            if factor is None or base is None:
                self._refuse(f"no level is a {found[0]}")
            else:
                self.levels.append((found.start(), factor, base))
        self.levels.sort(key=lambda one: one[0])

    def _take_quantities(self) -> None:
        text = self.text
        found = text.take(TOP)
        self.top = count_of(found[1] or found[2]) if found else None
        found = text.take(FOLD)
        self.fold = (float(found[1]) if found[1] else 2.0) if found else None
        found = text.take(LEVEL)
        self.q = None
        if found:
            value = float(found[1] or found[3])
            self.q = value / 100 if found[2] or found[4] else value
        measure = r"(?:log2? )?(?:fold[ -]?)?(?:changes?|effects?|differences?)\b"
        by_size = text.take(rf"\b(?:largest|biggest|strongest) {measure}") or text.take(rf"\bby {measure}")
        self.by_effect = by_size is not None

    def _take_words(self) -> None:
        text = self.text
        self.kinds: list[str] = []
        text.take(r"\bas (?:the )?\x00+ (?:rises|increases|goes up)")  # says over what, not which way
        places: dict[str, list[int]] = {}
        for kind, pattern in kinds().items():
            while kind != "plain" and (found := text.take(pattern)):
                places.setdefault(kind, []).append(found.start())
        if "up" in places and "down" in places:
            self._refuse("two directions in one question")
        self.direction = "up" if "up" in places else "down" if "down" in places else None
        self.kinds = [one for one in places if one not in ("up", "down", "count")]
        self.count = "count" in places

    def _marked(self) -> str:
        return re.sub(r"\x00+", "\x00", self.text.left)

    def _family(self) -> str | None:
        """A class of proteins: words left before `proteins`, or a subject: a plural, after an auxiliary `the X`."""
        left = self.text.left
        for found in re.finditer(r"[a-z][a-z-]+(?: [a-z][a-z-]+)*", left):
            said = found[0].split()
            rest = itertools.dropwhile(lambda word: word in plain(), said)
            phrase = " ".join(itertools.takewhile(lambda word: word not in plain(), rest))
            if not phrase:
                continue
            start = found.start() + re.search(rf"(?<!\S){re.escape(phrase)}(?!\S)", found[0]).start()  # type: ignore[union-attr]
            holder = _HOLDER.match(left[start + len(phrase) :])
            subject = phrase.endswith("s") or re.match(r"\s*(?:does|is|do|are|did) the\s*$", left[:start])
            fits = holder or (subject and _BEFORE.search(left[:start]))
            if fits and self.names.family(phrase):
                self.text.take(re.escape(phrase))
                return phrase
        return None

    def _kind(self) -> dict[str, object]:
        kinds, profile = dict.fromkeys(self.kinds), self.profile
        if "effect" in kinds and (made := self._interaction(kinds)):
            return made
        weak = ("changed", "trend", "groups", "seen", "predict", "effect", "counted")
        strong = [one for one in kinds if one not in weak]
        if "interaction" in kinds:
            return self._interaction(kinds) or self._refuse("which two columns?", "interaction") or {}
        if "cv" in kinds:
            return self._spread(strong)
        if "correlation" in kinds and not (self.numbers or self.factors or self.levels):
            return self._correlation(strong)
        if "correlation" in kinds and (self.levels or self.factors):
            self._refuse("a correlation is over all samples, with a number or a protein", "correlation")
        strong = [one for one in strong if one != "correlation"]
        if "counted" in kinds:
            return self._detected(strong)
        outcome = bool({"outcome", "risk", "protects"} & set(kinds) or set(self.numbers) & set(profile.outcome))
        if "predict" in kinds and not (outcome or "modules" in kinds or "panel" in kinds):
            self._refuse("the outcome, or two levels, can be predicted")
        if self.samples:
            return self._of_a_sample(strong)
        if "missing" in kinds:
            self._refuse("missing where? In a sample, or in one level and not in another (absent in A, present in B)")
        if len({factor.name for _, factor, _ in self.levels}) > 1:
            self._refuse("levels of two columns in one question")
        if "modules" in kinds:
            return self._modules(outcome)
        if outcome:
            return self._outcome(kinds)
        if "batch" in kinds:
            return self._batch()
        if self.numbers:
            if self.levels or self.factors or len(self.numbers) > 1 or strong:
                self._refuse("a number of the sheet and something else in one question")
            return {"kind": "trend", "over": self.numbers[0]}
        if "subtypes" in kinds:
            if self.levels or self.factors or self.entities:
                self._refuse("subtypes are looked for in all samples")
            return {"kind": "subtypes"}
        if "samples" in kinds and not self.levels and not self.entities:
            return {"kind": "samples"}
        if "trend" in kinds and not self.factors and not self.levels:
            self._refuse("it does not say which number of the sheet to follow")
        return self._contrast(kinds, strong)

    def _columns(self) -> list[str]:
        """Columns that the question names, by themselves or by a level."""
        return list(dict.fromkeys([*self.factors, *self.numbers, *(factor.name for _, factor, _ in self.levels)]))

    def _interaction(self, kinds: Mapping[str, object]) -> dict[str, object] | None:
        """An interaction of two crossed columns; None where the question names others than two."""
        columns, profile = self._columns(), self.profile
        if len(columns) != 2:
            return None
        if "unchanged" in kinds or self.direction or self.adjust or self.sets:
            self._refuse("an interaction has no direction, and is not shown to be absent", "interaction")
        for name in columns:
            said = [level for _, factor, level in self.levels if factor.name == name]
            whole = profile.factor(name)
            if said and whole is not None and len(whole.levels) > 2 and len(said) < len(whole.levels):
                self._refuse(f"an interaction is over all levels of {name}", "interaction")
        pair = next((one for one in profile.crossed if set(one) == set(columns)), None)
        if pair is None:
            self._refuse(f"{' and '.join(columns)} do not cross in each combination")
            raise AssertionError
        return {"kind": "interaction", "factor": pair[0], "other": pair[1]}

    def _spread(self, strong: list[str]) -> dict[str, object]:
        if len(self.levels) != 1 or set(strong) != {"cv"} or self.direction or self.numbers or self.samples:
            self._refuse("a CV is within one level", "cv")
        _, factor, level = self.levels[0]
        return {"kind": "cv", "factor": factor.name, "level": level}

    def _correlation(self, strong: list[str]) -> dict[str, object]:
        if not 1 <= len(self.entities) <= 2 or set(strong) != {"correlation"} or self.sets or self.family:
            self._refuse("a correlation is with one protein of the table, or between two", "correlation")
        return {"kind": "correlation"}

    def _detected(self, strong: list[str]) -> dict[str, object]:
        self.count = False
        if strong or self.direction or self.entities or len(self.levels) > 1 or self.numbers or self.factors:
            self._refuse("features are counted in one level, or in each sample", "seen")
        if not self.levels:
            return {"kind": "samples", "sample": self.samples[0] if self.samples else None}
        return {"kind": "detected", "factor": self.levels[0][1].name, "level": self.levels[0][2]}

    def _outcome(self, kinds: Mapping[str, object]) -> dict[str, object]:
        if len(self.profile.outcome) != 2:
            self._refuse("the sheet has no follow-up (time and event)")
        if self.levels or self.sets or "sets" in kinds or self.factors:
            self._refuse("the outcome is asked feature by feature")
        way = "up" if "risk" in kinds else "down" if "protects" in kinds else self.direction
        return {"kind": "outcome", "direction": way}

    def _of_a_sample(self, strong: list[str]) -> dict[str, object]:
        if (
            len(self.samples) > 1
            or self.levels
            or self.direction
            or set(strong) - {"samples", "value", "absent", "missing"}
        ):
            self._refuse("one sample, whether it is an outlier or what it has of a feature, can be asked for")
        if self.entities:
            return {"kind": "value", "sample": self.samples[0]}
        if "samples" not in strong:
            self._refuse("of a sample alone it can be asked whether it is an outlier")
        return {"kind": "samples", "sample": self.samples[0]}

    def _modules(self, outcome: bool) -> dict[str, object]:
        if self.levels or (not outcome and len(self.numbers) != 1):
            self._refuse("modules follow a number of the sheet, or predict the outcome")
        return {"kind": "modules", "over": "outcome" if outcome else self.numbers[0]}

    def _batch(self) -> dict[str, object]:
        if len(self.factors) != 2 or self.levels:
            self._refuse("two columns can be confounded, and both have few levels")
        return {"kind": "batch", "factor": self.factors[0], "other": self.factors[1]}

    def _contrast(self, kinds: Mapping[str, object], strong: list[str]) -> dict[str, object]:
        profile = self.profile
        if len(self.factors) > 1 or (self.factors and self.levels and self.levels[0][1].name != self.factors[0]):
            self._refuse("two columns in one question")
        pair = self._pair(kinds)
        if isinstance(pair, dict):
            return pair
        factor, level, base = pair
        detection = {"absent", "alone"} & set(kinds)
        if "but not" in kinds and not detection and "seen" not in kinds:
            self._refuse("one difference at a time")
        strong = [one for one in strong if one not in ("absent", "alone", "but not")]
        if len(strong) > 1:
            self._refuse(f"two questions in one: {', '.join(strong)}")
        kind = strong[0] if strong else "changed"
        if self.sets or kind == "sets":
            if (
                "sets" not in profile.knowledge
                or len(self.sets) > 1
                or kind not in ("sets", "changed")
                or self.entities
            ):
                self._refuse("gene sets are asked by themselves, and need a file of them (--sets)")
            kind = "sets"
        if kind not in _EITHER:
            self._refuse(f"{kind} cannot be asked of a contrast")
        if kind in ("unchanged", "panel", "network") and self.direction:
            self._refuse(f"{kind} has no direction")
        if kind in ("network", "panel") and (self.entities or self.family):
            self._refuse(f"{kind} is asked of all features")
        either = re.search(r"\bor (?:in )?\x00", self._marked()) and self.direction and len(self.levels) == 2
        made: dict[str, object] = {"direction": None} if either else {}
        if detection or ("seen" in kinds and len(self.levels) == 2):
            if self.direction or strong:
                self._refuse("detection is asked by itself")
            kind, made["direction"] = "presence", "up"
        return {
            "kind": kind, "factor": factor.name, "contrast": contrast_of(profile, factor.name, level, base),
            "gene_set": self.sets[0] if self.sets else None, "adjust": self.adjust, **made,
        }  # fmt: skip

    def _pair(self, kinds: Mapping[str, object]) -> tuple[Factor, str, str] | dict[str, object]:
        """(factor, level, base), or a query that is of no two levels."""
        if len(self.levels) > 2:
            self._refuse("three levels; two are compared")
        if not self.levels:
            return self._no_level(kinds)
        factor, said = self.levels[0][1], [level for _, _, level in self.levels]
        low = self.question.lower()
        base = self._base(factor)
        if len(said) == 2:
            first, second = said
            start, end = (re.escape(one.lower()) for one in said)
            turned = re.search(rf"\bfrom {start} to {end}\b", low)
            absent = r"(?:absent|missing|not detected|not seen|not found|lost)"
            turned = turned or re.search(rf"{absent}\s+(?:in|from) {start}\b", low)
            if (
                "seen" in kinds
                and "absent" not in kinds
                and "alone" not in kinds
                and not re.search(r"but not|and not", low)
            ):
                self._refuse("seen in both, or in one alone?")
            return (factor, second, first) if turned else (factor, first, second)
        if self.entities and "seen" in kinds and not {"absent", "alone"} & set(kinds):
            return {"kind": "seen", "factor": factor.name, "level": said[0]}
        if said[0] == base or base is None:
            others = [one for one in factor.levels if one != said[0]]
            if len(others) != 1:
                self._refuse(f"{said[0]} against which level?")
            base = others[0]
        return (factor, base, said[0]) if "absent" in kinds else (factor, said[0], base)

    def _base(self, factor: Factor) -> str | None:
        return next((one for one in factor.levels if BASE.match(one)), None)

    def _no_level(self, kinds: Mapping[str, object]) -> tuple[Factor, str, str] | dict[str, object]:
        profile = self.profile
        factor = profile.factor(self.factors[0]) if self.factors else next(iter(main_factors(profile)), None)
        if factor is None:
            self._refuse("it names nothing to compare")
            raise AssertionError
        order, whole = ordered(factor.levels), bool(self.factors) or "groups" in kinds
        strong = set(kinds) - {"changed", "trend", "groups", "seen"}
        if whole and (len(factor.levels) > 2 or factor.name in profile.batch):
            if strong or (self.direction and not order):
                self._refuse(f"{factor.name} has several levels: which two?")
            with_it = re.search(r"\b(?:with|along|over) (?:the )?\x00", self._marked())
            if order and ("trend" in kinds or self.direction or with_it):
                return {"kind": "trend", "over": factor.name, "factor": factor.name}
            return {"kind": "groups", "factor": factor.name}
        if not (whole or self.entities or self.sets or self.family):
            self._refuse("it names nothing of the table to compare")
        levels = order or list(factor.levels)
        base = self._base(factor) or levels[0]
        if len(levels) > 2 and not order:
            self._refuse(f"{factor.name} has several levels: which two?")
        return factor, next(one for one in reversed(levels) if one != base), base


def what_there_is(profile: DatasetProfile) -> str:
    """What a question can be about."""
    parts = [f"{one.name} ({', '.join(list(one.levels)[:12])})" for one in profile.factors]
    parts += [f"the number {one}" for one in profile.numbers[:12]]
    parts += ["the outcome"] if profile.outcome else []
    return f"words that the table has: {'; '.join(parts) or 'nothing describes its samples'}; or the name of a feature"
