"""Merge recipes: mergekit-style YAML, which means here what it means there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from ninefold.errors import ArtifactError, InputError

from tswitch.baselines import METHODS, Averaging, Dare, Method, TaskArithmetic, Ties
from tswitch.checkpoints._given import OnMismatch
from tswitch.checkpoints._writer import Written, parse_dtype
from tswitch.merging._merge import Progress, make_method, merge, refuse_unlearned

_KEYS = ("merge_method", "base_model", "models", "parameters", "dtype", "out_dtype", "tokenizer_source")
_PER_MODEL = ("weight", "density")
_SHARED = {"lambda": "scale", "normalize": "normalize"}
_TIES = {"keep": 1.0, "scale": 1.0, "scope": "tensor"}
_MERGEKIT: dict[str, tuple[type[Method], dict[str, Any], tuple[str, ...]]] = {
    # method there: class here, settings that are the default there, parameters that it takes
    "linear": (Averaging, {}, ("weight",)),
    "task_arithmetic": (TaskArithmetic, {"scale": 1.0}, ("weight", "lambda", "normalize")),
    "ties": (
        Ties,
        {"keep": 1.0, "scale": 1.0, "scope": "tensor"},
        ("weight", "density", "lambda", "normalize", "scope"),
    ),
    "dare_linear": (Dare, {"drop": 0.0, "scale": 1.0}, ("weight", "density", "lambda", "seed")),
    "dare_ties": (
        Dare,
        {"drop": 0.0, "scale": 1.0, "then": "ties", "normalize": False},
        ("weight", "density", "lambda", "seed", "normalize"),
    ),
}


@dataclass(frozen=True)
class Recipe:
    """A merge, as a YAML file describes it.

    Attributes:
        base, models: paths or hub ids.
        method: with its settings.
        task: for methods that keep a model for each task.
        dtype: of the output, or None for the base's.
    """

    base: str
    models: tuple[str, ...]
    method: Method
    task: int | None
    dtype: torch.dtype | None

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Read a YAML file.

        Keys: `merge_method`, `base_model`, `models` (each `model` and, if wanted, its `parameters`), `parameters` and
        `dtype`. mergekit's methods (linear, task_arithmetic, ties, dare_linear, dare_ties) take its parameters with
        its defaults; the other methods of `METHODS` take their own settings. Paths are relative to the
        working folder, as there.

        Raises:
            ArtifactError: if the file is missing or no YAML mapping.
            InputError: naming all that is unknown, missing or of the wrong type in it.
        """
        path = Path(path)
        try:
            held = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ArtifactError(path, f"cannot be read ({error.strerror})") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ArtifactError(path, f"is no valid YAML ({' '.join(str(error).split())})") from None
        if not isinstance(held, dict):
            raise ArtifactError(path, "does not hold a YAML mapping")
        problems: list[str] = []
        recipe = _Reader(held, problems)
        if problems:
            raise InputError("merge recipe", where=path, got="; ".join(problems))
        try:
            method = make_method(recipe.key, recipe.settings) if recipe.kind is None else recipe.kind(**recipe.settings)
            refuse_unlearned(method)
        except InputError as error:
            raise InputError("merge recipe", where=path, got=str(error)) from None
        return cls(recipe.base, tuple(recipe.models), method, recipe.task, recipe.dtype)


def merge_recipe(
    path: str | Path,
    *,
    out: str | Path,
    max_shard_size: int | str = "5GB",
    on_mismatch: OnMismatch = "error",
    exclude: Sequence[str] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Do the merge that a YAML file describes; see `Recipe.read` and `merge`."""
    recipe = Recipe.read(path)
    return merge(
        recipe.base,
        recipe.models,
        recipe.method,
        out=out,
        task=recipe.task,
        dtype=recipe.dtype,
        max_shard_size=max_shard_size,
        on_mismatch=on_mismatch,
        exclude=exclude,
        force=force,
        progress=progress,
    )


class _Reader:
    """Takes a recipe apart; adds to `problems` what is wrong, so that one message can list all of it."""

    def __init__(self, held: Mapping[str, Any], problems: list[str]) -> None:
        self._problems = problems
        self._unknown(held, _KEYS, "")
        self.key = str(held.get("merge_method"))
        self.kind, defaults, taken = _MERGEKIT.get(self.key, (None, {}, ()))
        if self.kind is None and self.key not in METHODS:
            there = ", ".join(dict.fromkeys([*_MERGEKIT, *METHODS]))
            problems.append(f"merge_method is {self.key}, expected one of {there}")
            return
        shared = self._mapping(held.get("parameters"), "parameters")
        entries = self._models(held.get("models"), taken)
        base = held.get("base_model") or (entries[0][0] if self.key == "linear" and entries else None)
        if not isinstance(base, str):
            problems.append(f"base_model is {base!r}, expected a path or hub id")
        self.base = str(base)
        # mergekit lets the base stand among the models; its task vector is zero
        entries = [entry for entry in entries if entry[0] != self.base or self.key == "linear"]
        self.models = [name for name, _ in entries]
        self.task, self.dtype, self.settings = None, None, dict(defaults)
        for key in ("dtype", "out_dtype"):
            try:
                self.dtype = parse_dtype(held.get(key)) or self.dtype
            except InputError as error:
                problems.append(str(error))
        if held.get("tokenizer_source", "base") != "base":
            problems.append(
                f"tokenizer_source is {held['tokenizer_source']!r}, expected base, whose tokenizer is copied"
            )
        if self.kind is None:
            self.task = shared.pop("task", None)
            self.settings |= shared
            return
        self._unknown(shared, (*taken, "int8_mask"), "parameters.")  # int8_mask saves memory there, and changes nothing
        for name in _PER_MODEL:
            if name in taken and (name in shared or any(name in own for _, own in entries)):
                values = [
                    self._number(own.get(name, shared.get(name, 1.0)), f"{name} of {model}") for model, own in entries
                ]
                field = "weights" if name == "weight" else "keep" if self.kind is Ties else "drop"
                self.settings[field] = tuple(1 - value if field == "drop" else value for value in values)
        for name in set(taken) - set(_PER_MODEL):
            if name in shared:
                plain = name in ("scope", "normalize")
                value = shared[name] if plain else self._number(shared[name], name)
                self.settings[_SHARED.get(name, name)] = int(value) if name == "seed" else value

    def _models(self, held: Any, taken: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
        if not isinstance(held, list) or not held:
            self._problems.append("models is missing or empty, expected a list of `- model: PATH`")
            return []
        found = []
        for place, entry in enumerate(held):
            entry = self._mapping(entry, f"models[{place}]")
            self._unknown(entry, ("model", "parameters"), f"models[{place}].")
            if not isinstance(entry.get("model"), str):
                self._problems.append(f"models[{place}].model is {entry.get('model')!r}, expected a path or hub id")
                continue
            own = self._mapping(entry.get("parameters"), f"models[{place}].parameters")
            self._unknown(own, [name for name in _PER_MODEL if name in taken], f"models[{place}].parameters.")
            found.append((entry["model"], own))
        return found

    def _mapping(self, held: Any, place: str) -> dict[str, Any]:
        if held is not None and not isinstance(held, dict):
            self._problems.append(f"{place} is {held!r}, expected a mapping")
        return dict(held) if isinstance(held, dict) else {}

    def _unknown(self, held: Mapping[str, Any], known: Any, place: str) -> None:
        for key in held:
            if key not in known:
                self._problems.append(f"unknown key {place}{key}, expected one of {', '.join(known) or 'none'}")

    def _number(self, held: Any, place: str) -> float:
        if isinstance(held, bool) or not isinstance(held, int | float):
            self._problems.append(f"{place} is {held!r}, expected one number (no gradients, no filters)")
            return 1.0
        return float(held)
