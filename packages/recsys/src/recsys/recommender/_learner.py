"""How every model learns: fit with checkpoints, fold-in and partial fit of users, and the files it is kept in."""

from __future__ import annotations

import copy
import dataclasses
import numbers
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold import distributed
from ninefold.errors import InputError, require
from ninefold.progress import progress

import recsys
from recsys.data._dataset import Dataset, need_dataset
from recsys.data._frame import as_in_fit, need
from recsys.data._history import History
from recsys.data._ids import IdMap
from recsys.data._time import DAY, latest
from recsys.data._untyped import Csr
from recsys.neural._checkpoint import Checkpoint, fit_key
from recsys.recommender._query import FOLD_IN, MODEL
from recsys.recommender._registry import NAMES, kinds_of, register

RECENT = 31.0  # days that count as now


T = TypeVar("T")
_LIMITS = {
    "least": ("at least", operator.ge), "above": ("above", operator.gt), "most": ("at most", operator.le),
    "below": ("below", operator.lt), "among": ("one of", lambda value, known: value in known),
}  # fmt: skip
_KINDS = {  # annotation -> the same in words, types
    "int": ("a whole number", numbers.Integral), "float": ("a number", numbers.Real),
    "bool": ("True or False", (bool, np.bool_)), "str": ("a text", str),
}  # fmt: skip


def bounded(default: T, **limits: Any) -> T:
    """A parameter's default and its bounds, which `check_params` keeps: at `least` or at `most` a number, `above` or
    `below` one, `among` some values."""
    field: Any = dataclasses.field(default=default, metadata=limits)
    return field


class Parameters:
    """Mixin of dataclasses: parameters by name, and what scikit-learn's searches ask of an estimator."""

    judged_by: ClassVar[str] = "ndcg@10"  # the metric of `score`

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  (scikit-learn's signature)
        """The parameters by name; with `deep` those of a model inside, too."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; InputError for an unknown one."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise InputError(f"parameter {name!r}", got="unknown", expected=f"one of {sorted(known)}")
            setattr(self, name, value)
        return self

    def check_params(self) -> None:
        """InputError for a parameter of another type or out of bounds, e.g. factors=2.5; a whole number may be 2.0."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            kinds, value = kinds_of(field), getattr(self, field.name)
            if not set(kinds) <= {*_KINDS, "None"} or (value is None and "None" in kinds):
                continue
            if "int" in kinds and isinstance(value, (float, np.floating)) and float(value).is_integer():
                setattr(self, field.name, value := int(value))
            expected = None
            known = [kind for kind in kinds if kind != "None" and isinstance(value, _KINDS[kind][1])]
            if not known or (isinstance(value, bool) and "bool" not in kinds):
                expected = " or ".join(_KINDS[kind][0] if kind in _KINDS else kind for kind in kinds)
            elif not all(_LIMITS[name][1](value, limit) for name, limit in field.metadata.items()):
                expected = " and ".join(f"{_LIMITS[name][0]} {limit}" for name, limit in field.metadata.items())
            if expected:
                raise InputError(f"{field.name} of {type(self).__name__}", got=repr(value)[:80], expected=expected)

    def clone(self) -> Self:
        """The same parameters, not fitted."""
        return type(self)(**self.get_params())

    def score(self, data: Any, y: None = None) -> float:  # noqa: ARG002  (scikit-learn's signature)
        """NDCG@10 of later events, or minus the RMSE of a model of values: the greater the better."""
        model: Any = self
        found = recsys.evaluate(model, data, [self.judged_by]).mean(self.judged_by)
        return -found if self.judged_by == "rmse" else found

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    def __repr__(self) -> str:
        defaults = type(self)().get_params(deep=False)
        own = [f"{name}={value!r}" for name, value in self.get_params(deep=False).items() if value != defaults[name]]
        return f"{type(self).__name__}({', '.join(own)})"


@dataclass(kw_only=True, eq=False, repr=False)
class Learner(Parameters):
    """What is learned; parameters are the dataclass fields, as in scikit-learn (get_params, set_params, clone)."""

    name: ClassVar[str] = ""  # as users write it, by the registry
    source: ClassVar[str] = ""  # the publication
    fitted: ClassVar[tuple[str, ...]] = ()  # attributes made by fit: arrays or CSR matrices
    per_user: ClassVar[tuple[str, ...]] = ()  # those of `fitted` with one row a user; `_fold` makes them
    knows_cold_items: ClassVar[bool] = False  # scores items without events (from features)
    knows_cold_users: ClassVar[bool] = False  # scores users without events (from features or context)
    zero_is_no_evidence: ClassVar[bool] = False  # a score of 0 says nothing: such items are not listed
    trains_together: ClassVar[bool] = False  # processes that torchrun starts share the work of one fit
    needs: ClassVar[tuple[tuple[str, str], ...]] = ()  # modules that fit imports, each with the extra that brings it
    reads_values: ClassVar[bool] = False  # learns from values; others take clicks alone
    chooses_candidates: ClassVar[bool] = False  # scores only some items of each user, such as other models list
    counts_repeats: ClassVar[bool] = False  # made for tasks in which seen items count: filter_seen is off by default

    shapes: ClassVar[dict[str, str]] = {  # of the arrays in `fitted`, in the words of `_sound`: what a file must hold
        "user_factors_": "users d", "item_factors_": "items d", "user_bias_": "users", "item_bias_": "items",
        "weights_": "items items", "item_scale_": "items", "bm25_": "items+1", "features_": "items f",
    }  # fmt: skip
    vocabularies: ClassVar[tuple[str, ...]] = ()  # attributes made by fit: lists of texts and numbers, as JSON has them

    renamed: ClassVar[dict[str, str]] = {}  # parameters and arrays of older versions -> their names today
    differences_count: ClassVar[bool] = False  # scores are logits or ratings: a trend is added, else it is a factor

    def __init_subclass__(cls) -> None:
        cls.name = NAMES.get(cls.__name__, cls.name or cls.__name__)

    @classmethod
    def register(cls, name: str) -> None:
        """Give a model of your own a name, by which `save`, `recsys.load` and the command line's settings know it.

        A process that loads its folder registers it first. `fitted` names the arrays that are saved, `shapes` what
        shape each has, e.g. {"taste_": "users d"}: an array that does not fit is refused at load.

        Raises:
            InputError: for a name that is taken.
        """
        register(name, cls)  # type: ignore[arg-type]

    # --- what a model fills in ---

    def _fit(self, data: Dataset) -> None:
        """Learn from events; `self.history_` holds them by user. Set what `fitted` lists; by default nothing."""

    def _fold(self, history: History) -> dict[str, np.ndarray]:  # noqa: ARG002
        """The `per_user` arrays for the users of a history, without touching what was learned of items."""
        if self.per_user:
            raise InputError(
                f"{type(self).__name__}.fold_in",
                got="a model that learns users only in fit",
                expected="e.g. IALS or EASE",
            )
        return {}

    def _reads(self) -> list[str]:
        """Context columns of a user's events that answers depend on."""
        return []

    # --- learning ---

    def fit(self, data: Dataset, *, checkpoint: str | Path | None = None) -> Self:
        """Learn from events. Items without events are left out unless the model knows them by their features.

        Args:
            data: events.
            checkpoint: a file that keeps the state after each epoch of an iterative model: after a kill the same call
                resumes from there, to the same result. It is deleted at the end.
        """
        need_dataset(data, f"{type(self).__name__}.fit")
        self.check_params()
        self._refuse_values(data)
        data = self.seen_by(data)
        if len(data) == 0 or data.n_items < 2:
            raise InputError("events", got=f"{len(data)} events of {data.n_items} items", expected="two items or more")
        self.user_ids_, self.item_ids_, self.names_ = data.user_ids, data.item_ids, data.names
        self.history_ = data.history()
        self._count()
        self._begin()
        self.origin_ = MODEL
        self.key_ = fit_key(repr(self), data)
        mine = self.trains_together or distributed.first()
        self._checkpoint = Checkpoint(checkpoint, self.key_) if checkpoint is not None and mine else None
        self._fit(data)
        self._check_finite(self.fitted, "after fit")
        if self._checkpoint is not None:
            self._checkpoint.remove()
        self._checkpoint = None
        return self

    def seen_by(self, data: Dataset) -> Dataset:
        """What `fit` learns from: a data set without the ids that have no events, unless features tell of them."""
        return data if self.knows_cold_items or self.knows_cold_users else data.warm()

    def _epochs(self, total: int, names: tuple[str, ...]) -> Iterator[int]:
        """Epochs still to do, from 0; after each, the arrays `names` are checked and kept, and progress is shown."""
        done = 0
        if self._checkpoint is not None:
            done, arrays = self._checkpoint.restore()
            for name, array in arrays.items():
                setattr(self, name, array)
        with progress(total, f"{self.name} epochs") as bar:
            bar.advance(done)
            for epoch in range(done, total):
                yield epoch
                self._check_finite(names, f"after epoch {epoch + 1}")
                if self._checkpoint is not None:
                    self._checkpoint.save(epoch + 1, {name: getattr(self, name) for name in names})
                bar.advance()

    def fold_in(self, events: Dataset) -> Self:
        """A copy that shares what was learned and answers the users of `events` instead, from these events.

        Events with items unknown to the model are left out. Nothing is trained.
        """
        return self._folded(*self._history_of(events))

    def answering(self, history: History) -> Self:
        """A copy that answers the users of a history, with the columns of the fit's, instead: what a service asks."""
        return self._folded(history, self.user_ids_)

    def _folded(self, history: History, users: IdMap) -> Self:
        copied = copy.copy(self)
        copied.user_ids_, copied.history_, copied.origin_ = users, history, FOLD_IN
        for name, array in self._fold(history).items():
            setattr(copied, name, array)
        return copied

    def partial_fit(self, events: Dataset) -> Self:
        """Add later events: known users' histories grow, new users join, counts and recency follow; what was learned of
        items stays.

        Items unknown to the model are left out until the next `fit`. Users' own vectors are computed anew. Events that
        are refused leave the model as it was.
        """
        history, all_ids, _ = self._merged(events)
        arrays = self._fold(history)  # may refuse: nothing is replaced before
        self.user_ids_, self.history_ = all_ids, history
        self._count()
        for name, array in arrays.items():
            setattr(self, name, array)
        return self

    def _merged(self, events: Dataset) -> tuple[History, IdMap, np.ndarray]:
        """(the events so far and later ones, by user; the users of both; codes of the later ones' users)."""
        self._need_fit()
        added, users = self._history_of(events)
        all_ids = self.user_ids_.extended(users.values)
        old, new = self.history_, added
        code_of_new = all_ids.codes(users.values)
        user = np.concatenate([old.rows(), code_of_new[new.rows()]]).astype(np.int32)
        if (old.time is None) != (new.time is None) or old.context.column_names != new.context.column_names:
            raise InputError("events", got="other columns than in fit", expected="the same time and context columns")
        if (old.value is None) != (new.value is None):
            got, expected = ("no values", "values") if new.value is None else ("values", "no values")
            raise InputError("events", got=got, expected=f"{expected} as in the fit")
        context = pa.concat_tables([old.context, new.context]) if old.context.num_columns else old.context
        history = History.group(
            user, np.concatenate([old.item, new.item]), _joined(old.value, new.value), _joined(old.time, new.time),
            context, len(all_ids), len(self.item_ids_),
        )  # fmt: skip
        return history, all_ids, code_of_new

    def _count(self, pairs: Csr | None = None) -> None:
        """Users of each item, the last moment, and what sells now: from the history, whenever it grows.

        `pairs` holds an entry for each pair of a history without values, if that is at hand.
        """
        history = self.history_
        if history.value is not None:
            pairs = history.positive().matrix()
        had = history.matrix() if pairs is None else pairs
        self.popular_ = np.bincount(had.indices, minlength=history.n_items).astype(np.float32)
        self.now_ = None if history.time is None else latest(history.time)
        self.fallback_ = fallback(history, self.popular_, self.now_)

    def _begin(self) -> None:
        """What a base needs to know of the events of a fit before `_fit`."""

    def _reads_values(self) -> bool:
        return self.reads_values

    def _refuse_values(self, data: Dataset) -> None:
        if data.value is not None and not self._reads_values():
            got = f"values (column {data.names.value or 'value'!r}), which it does not read"
            expected = "data.clicks() (--clicks), which takes each event of a value above 0 as a click"
            expected = f"weight='value', or {expected}" if "weight" in self.get_params() else expected
            raise InputError(type(self).__name__, got=got, expected=expected)

    def _history_of(self, events: Dataset) -> tuple[History, IdMap]:
        self._need_fit()
        need_dataset(events, "events")
        self._refuse_values(events)
        need(events.context.column_names, self._reads(), where="the context of the events")
        context = as_in_fit(events.context, self.history_.context.schema)
        user, item = events.user, self.item_ids_.codes(events.item_ids.values)[events.item]
        if not (item >= 0).any():
            raise InputError("events", got="no item that the model knows", expected="items of the fitted catalogue")
        history = History.group(user, item, events.value, events.time, context, events.n_users, len(self.item_ids_))
        history = history.keep(history.item >= 0)
        return history, events.user_ids

    # --- checks ---

    def check_extras(self) -> None:
        """MissingExtraError if a module that `fit` imports is not installed: said before any work."""
        for module, extra in self.needs:
            require(module, "recsys", extra)

    def _need_fit(self) -> None:
        if not hasattr(self, "item_ids_"):
            raise InputError(f"{type(self).__name__}", got="a model that is not fitted", expected="fit(data) first")

    def _check_finite(self, names: tuple[str, ...], when: str) -> None:
        for name in names:
            array = getattr(self, name)
            array = array.data if sp.issparse(array) else array
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise InputError(f"{name} of {self!r}", got=f"NaN or infinite values {when}", expected="finite ones")


def fallback(history: History, popular: np.ndarray, now: int | None) -> np.ndarray:
    """Scores (items,) for users of whom nothing is known: an item's events of the last 31 days, then its users.

    Without times its users alone.
    """
    if history.time is None or now is None:
        return popular
    recent = (now - history.time < RECENT * DAY) & (history.time <= now)
    if history.value is not None:
        recent &= history.value > 0
    counts = np.bincount(history.item[recent], minlength=len(popular))
    return (counts + popular / (popular.max() + 1)).astype(np.float32)


def _joined(old: np.ndarray | None, new: np.ndarray | None) -> np.ndarray | None:
    return None if old is None or new is None else np.concatenate([old, new])
