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
from tswitch.merging._merge import Progress, make_method, merge

_KEYS = ("merge_method", "base_model", "models", "parameters", "dtype", "out_dtype", "tokenizer_source")
_PER_MODEL = ("weight", "density")
_SUM = (*_PER_MODEL, "lambda")
_PLAIN = ("scope", "normalize")  # parameters that are no numbers
_MERGEKIT: dict[str, tuple[type[Method], dict[str, Any], tuple[str, ...]]] = {
    # method there: class here, settings that are the default there, parameters that it takes
    "linear": (Averaging, {}, ("weight",)),
    "task_arithmetic": (TaskArithmetic, {"scale": 1.0}, ("weight", "lambda", "normalize")),
    "ties": (Ties, {"keep": 1.0, "scale": 1.0, "scope": "tensor"}, (*_SUM, "normalize", "scope")),
    "dare_linear": (Dare, {"drop": 0.0, "scale": 1.0}, (*_SUM, "seed")),
    "dare_ties": (Dare, {"drop": 0.0, "scale": 1.0, "then": "ties", "normalize": False}, (*_SUM, "seed", "normalize")),
}


@dataclass(frozen=True)
class Recipe:
    r"""A merge, as a YAML file describes it.

    Attributes:
        base, models: paths or hub ids.
        method: with its settings.
        task: for methods that keep a model for each task.
        dtype: of the output, or None for the base's.

    Examples:
        >>> import torch
        >>> from pathlib import Path
        >>> from safetensors.torch import save_file
        >>> from tswitch import Recipe

        >>> draw = torch.manual_seed(0)
        >>> base = {"layer.weight": torch.randn(20, 30, generator=draw), "layer.bias": torch.zeros(30)}
        >>> models = [
        ...     {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     for _ in range(2)
        ... ]
        >>> for name, state in {"base": base, "first": models[0], "second": models[1]}.items():
        ...     save_file(state, f"{name}.safetensors")

        >>> lines = [
        ...     "merge_method: task_arithmetic",
        ...     "base_model: base.safetensors",
        ...     "models: [{model: first.safetensors}, {model: second.safetensors}]",
        ...     "parameters: {weight: 0.5}",
        ... ]
        >>> written = Path("recipe.yaml").write_text("\n".join(lines))
        >>> recipe = Recipe.read("recipe.yaml")
        >>> recipe.base, recipe.models, type(recipe.method).__name__
        ('base.safetensors', ('first.safetensors', 'second.safetensors'), 'TaskArithmetic')
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
        `dtype`. mergekit's methods linear, task_arithmetic, ties, dare_linear and dare_ties take its parameters, as
        numbers, with its defaults; the other methods of `METHODS` take their own settings. Paths are relative to the
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
        reader = _Reader()
        try:
            recipe = reader.recipe(held)
        except InputError as error:  # of the method itself
            reader.problems.append(str(error))
            recipe = None
        if reader.problems or recipe is None:
            raise InputError("merge recipe", where=path, got="; ".join(reader.problems))
        return recipe


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
    r"""Do the merge that a YAML file describes; see `Recipe.read` and `merge`.

    Examples:
        >>> import torch
        >>> from pathlib import Path
        >>> from safetensors.torch import save_file
        >>> from tswitch import Checkpoint, merge_recipe

        >>> draw = torch.manual_seed(0)
        >>> base = {"layer.weight": torch.randn(20, 30, generator=draw), "layer.bias": torch.zeros(30)}
        >>> models = [
        ...     {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     for _ in range(2)
        ... ]
        >>> for name, state in {"base": base, "first": models[0], "second": models[1]}.items():
        ...     save_file(state, f"{name}.safetensors")

        >>> lines = [
        ...     "merge_method: task_arithmetic",
        ...     "base_model: base.safetensors",
        ...     "models: [{model: first.safetensors}, {model: second.safetensors}]",
        ...     "parameters: {weight: 0.5}",
        ... ]
        >>> written = Path("recipe.yaml").write_text("\n".join(lines))
        >>> result = merge_recipe("recipe.yaml", out="merged")
        >>> Checkpoint.open("merged").names
        ['layer.bias', 'layer.weight']
    """
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
    """Takes a recipe apart; notes what is wrong, so that one message can list all of it."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def recipe(self, held: Mapping[str, Any]) -> Recipe | None:
        """The recipe, or None if there are `problems`."""
        self._unknown(held, _KEYS, "")
        key = str(held.get("merge_method"))
        kind, defaults, taken = _MERGEKIT.get(key, (None, {}, ()))
        if kind is None and key not in METHODS:
            there = ", ".join(dict.fromkeys([*_MERGEKIT, *METHODS]))
            self.problems.append(f"merge_method is {key}, expected one of {there}")
            return None
        if held.get("tokenizer_source", "base") != "base":
            self.problems.append(f"tokenizer_source is {held['tokenizer_source']!r}, expected base, which is copied")
        entries = self._models(held.get("models"), taken)
        base = held.get("base_model") or (entries[0][0] if key == "linear" and entries else None)
        if not isinstance(base, str):
            self.problems.append(f"base_model is {base!r}, expected a path or hub id")
        # mergekit lets the base stand among the models; its task vector is zero
        entries = [entry for entry in entries if entry[0] != base or key == "linear"]
        dtype = None
        for name in ("dtype", "out_dtype"):
            try:
                dtype = parse_dtype(held.get(name)) or dtype
            except InputError as error:
                self.problems.append(str(error))
        shared = self._mapping(held.get("parameters"), "parameters")
        task = shared.pop("task", None) if kind is None else None
        settings = shared if kind is None else defaults | self._settings(kind, taken, shared, entries)
        if self.problems:
            return None
        method = make_method(key, settings) if kind is None else kind(**settings)
        return Recipe(str(base), tuple(name for name, _ in entries), method, task, dtype)

    def _settings(
        self,
        kind: type[Method],
        taken: Sequence[str],
        shared: Mapping[str, Any],
        entries: Sequence[tuple[str, Mapping[str, Any]]],
    ) -> dict[str, Any]:
        """mergekit's parameters as settings of the method here."""
        self._unknown(shared, (*taken, "int8_mask"), "parameters.")  # int8_mask saves memory there, and changes nothing
        made: dict[str, Any] = {}
        for name in taken:
            if name in _PER_MODEL:
                if name in shared or any(name in own for _, own in entries):
                    values = [
                        self._number(own.get(name, shared.get(name, 1.0)), f"{name} of {m}") for m, own in entries
                    ]
                    field = "weights" if name == "weight" else "drop" if kind is Dare else "keep"
                    made[field] = tuple(1 - value if field == "drop" else value for value in values)
            elif name in shared:
                plain = name in _PLAIN
                value = shared[name] if plain else self._number(shared[name], name)
                made["scale" if name == "lambda" else name] = int(value) if name == "seed" else value
        return made

    def _models(self, held: Any, taken: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        """(path, own parameters) of each model."""
        if not isinstance(held, list) or not held:
            self.problems.append("models is missing or empty, expected a list of `- model: PATH`")
            return []
        found = []
        for place, entry in enumerate(held):
            entry = self._mapping(entry, f"models[{place}]")
            self._unknown(entry, ("model", "parameters"), f"models[{place}].")
            if not isinstance(entry.get("model"), str):
                self.problems.append(f"models[{place}].model is {entry.get('model')!r}, expected a path or hub id")
                continue
            own = self._mapping(entry.get("parameters"), f"models[{place}].parameters")
            self._unknown(own, [name for name in _PER_MODEL if name in taken], f"models[{place}].parameters.")
            found.append((entry["model"], own))
        return found

    def _mapping(self, held: Any, place: str) -> dict[str, Any]:
        if held is not None and not isinstance(held, dict):
            self.problems.append(f"{place} is {held!r}, expected a mapping")
        return dict(held) if isinstance(held, dict) else {}

    def _unknown(self, held: Mapping[str, Any], known: Any, place: str) -> None:
        for key in held:
            if key not in known:
                self.problems.append(f"unknown key {place}{key}, expected one of {', '.join(known) or 'none'}")

    def _number(self, held: Any, place: str) -> float:
        if isinstance(held, bool) or not isinstance(held, int | float):
            self.problems.append(f"{place} is {held!r}, expected one number")
            return 1.0
        return float(held)
