"""Parameters as in scikit-learn: a model's dataclass fields are what get_params, set_params and clone speak of."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

from ninefold.errors import InputError

import recsys


class Parameters:
    """Mixin of dataclasses: parameters by name, and what scikit-learn's searches ask of an estimator."""

    judged_by: ClassVar[str] = "ndcg@10"  # the metric of `score`

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  (scikit-learn's signature)
        """The parameters by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; InputError for an unknown one."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise InputError(f"parameter {name!r}", got="unknown", expected=f"one of {sorted(known)}")
            setattr(self, name, value)
        return self

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
        defaults = type(self)().get_params()
        own = [f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name]]
        return f"{type(self).__name__}({', '.join(own)})"
