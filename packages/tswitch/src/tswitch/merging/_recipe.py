"""Merge recipes: mergekit-style YAML, which means here what it means there."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from ninefold.errors import ArtifactError, InputError

from tswitch.baselines import METHODS, Averaging, Breadcrumbs, Dare, Della, Method, Sce, Slerp, TaskArithmetic, Ties
from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.checkpoints._given import OnMismatch
from tswitch.checkpoints._writer import Written, parse_dtype
from tswitch.merging._gradient import Schedule, faults, value_at, varies
from tswitch.merging._merge import Progress, make_method, merge
from tswitch.merging._vocabulary import union
from tswitch.switch._build import Spool

_KEYS = ("merge_method", "base_model", "models", "slices", "parameters", "dtype", "out_dtype", "tokenizer_source",
         "tokenizer")  # fmt: skip
_PER_MODEL = ("weight", "density")
_SHARED = {"lambda": "scale", "gamma": "drop_largest", "epsilon": "spread", "select_topk": "select"}
_PLAIN = ("scope", "normalize", "rescale")  # parameters that are no numbers
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
    "slerp": (Slerp, {}, ("t",)),
    "breadcrumbs": (Breadcrumbs, {"keep": 1.0, "scale": 1.0}, ("weight", "density", "gamma", "lambda", "normalize")),
    "breadcrumbs_ties": (
        Breadcrumbs,
        {"keep": 1.0, "scale": 1.0, "then": "ties"},
        ("weight", "density", "gamma", "lambda", "normalize"),
    ),
    "della": (
        Della,
        {"keep": 1.0, "scale": 1.0},
        ("weight", "density", "epsilon", "lambda", "seed", "normalize", "rescale"),
    ),
    "della_linear": (
        Della,
        {"keep": 1.0, "scale": 1.0, "then": "task_arithmetic", "normalize": False},
        ("weight", "density", "epsilon", "lambda", "seed", "normalize", "rescale"),
    ),
    "sce": (Sce, {}, ("select_topk",)),
}


@dataclass(frozen=True)
class Union:
    """A union of tokenizers, as a recipe asks for it: see `_vocabulary.union`."""

    based: bool = True
    multiple: int | None = None


@dataclass(frozen=True)
class Recipe:
    r"""A merge, as a YAML file describes it.

    Attributes:
        base, models: paths or hub ids.
        method: with its settings.
        task: for methods that keep a model for each task.
        dtype: of the output, or None for the base's.
        schedule: where settings differ from tensor to tensor; `method` then has those of the first layer.
        layers: how many the models must have, if the file has slices.
        vocabulary: how the tokenizers are joined, or None: the base's is copied.

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
    schedule: Schedule | None = None
    layers: int | None = None
    vocabulary: Union | None = None

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Read a YAML file.

        Keys: `merge_method`, `base_model`, `models` (each `model` and, if wanted, its `parameters`), `parameters` and
        `dtype`; instead of `models` also `slices`, if they cover each layer once. mergekit's methods (linear,
        task_arithmetic, ties, dare_linear, dare_ties, slerp, breadcrumbs, breadcrumbs_ties, della, della_linear, sce)
        take its parameters with its defaults, also as lists over the layers and by filter (`_gradient`); the other
        methods of `METHODS` take their own settings. `tokenizer_source: union`, or `tokenizer` with `source` and
        `pad_to_multiple_of`, joins the models' vocabularies (`_vocabulary`). Paths are relative to the working folder,
        as there.

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
        except InputError as error:
            raise InputError("merge recipe", where=path, got=str(error)) from None
        schedule = Schedule(method, recipe.varying, recipe.convert, tuple(recipe.spans)) if recipe.varying else None
        models = tuple(recipe.models)
        return cls(recipe.base, models, method, recipe.task, recipe.dtype, schedule, recipe.layers, recipe.vocabulary)


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
    if recipe.layers is not None:
        there = (Checkpoint.open(recipe.base).config or {}).get("num_hidden_layers", recipe.layers)
        if there != recipe.layers:
            got = f"slices of layers 0 to {recipe.layers}, of a base with {there}"
            raise InputError("merge recipe", where=path, got=got, expected="slices that cover each layer once")
    base, models, joined = recipe.base, recipe.models, None
    with contextlib.ExitStack() as stack:
        if recipe.vocabulary is not None:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            spool = Spool(stack.enter_context(tempfile.TemporaryFile(dir=Path(out).parent)))
            how = recipe.vocabulary
            joined = union(Checkpoint.open(base), list(map(Checkpoint.open, models)), spool, based=how.based,
                           multiple=how.multiple)  # fmt: skip
        return merge(
            base if joined is None else joined.base,
            models if joined is None else joined.models,
            recipe.method,
            out=out,
            task=recipe.task,
            dtype=recipe.dtype,
            max_shard_size=max_shard_size,
            on_mismatch=on_mismatch,
            exclude=exclude,
            force=force,
            progress=progress,
            schedule=recipe.schedule,
            vocabulary=joined,
        )


def _is_span(span: Any, start: int) -> bool:
    """Whether a layer_range is [start, end] with at least one layer."""
    whole = isinstance(span, list) and len(span) == 2 and all(type(end) is int for end in span)
    return whole and span[0] == start < span[1]


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
        self.layers: int | None = None
        self.spans: list[tuple[int, int]] = []
        if "slices" in held:
            entries = self._models(self._sources(held), taken)
        else:
            entries = self._models(held.get("models"), taken)
        base = held.get("base_model") or (entries[0][0] if self.key == "linear" and entries else None)
        if not isinstance(base, str):
            problems.append(f"base_model is {base!r}, expected a path or hub id")
        self.base = str(base)
        # mergekit lets the base stand among the models; its task vector is zero
        entries = [entry for entry in entries if entry[0] != self.base or self.key == "linear"]
        self.models = [name for name, _ in entries]
        self.task, self.dtype, self.settings = None, None, dict(defaults)
        self.varying: dict[str, Any] = {}
        self.convert: dict[str, Callable[[float], float]] = {}
        for key in ("dtype", "out_dtype"):
            try:
                self.dtype = parse_dtype(held.get(key)) or self.dtype
            except InputError as error:
                problems.append(str(error))
        self.vocabulary = self._tokenizer(held)
        if self.kind is None:
            self.task = shared.pop("task", None)
            self.settings |= shared
            return
        self._unknown(shared, (*taken, "int8_mask"), "parameters.")  # int8_mask saves memory there, and changes nothing
        for name in _PER_MODEL:
            if name in taken and (name in shared or any(name in own for _, own in entries)):
                raw = [
                    self._setting(own.get(name, shared.get(name, 1.0)), f"{name} of {model}") for model, own in entries
                ]
                field = "weights" if name == "weight" else "drop" if self.kind is Dare else "keep"
                if field == "drop":
                    self.convert[field] = lambda density: 1 - density
                self._take(field, tuple(raw))
        for name in set(taken) - set(_PER_MODEL):
            if name not in shared:
                continue
            if name in _PLAIN:
                self.settings[name] = shared[name]
            elif name == "seed":
                self.settings[name] = int(self._number(shared[name], name))
            else:
                self._take(_SHARED.get(name, name), self._setting(shared[name], name))
        if "keep" in self.varying and self.settings.get("scope") == "model":
            self._problems.append("density differs from tensor to tensor, expected scope: tensor")

    def _tokenizer(self, held: Mapping[str, Any]) -> Union | None:
        """What is to become of the tokenizers; None copies the base's."""
        given = self._mapping(held.get("tokenizer"), "tokenizer")
        if "tokenizer" in held and "tokenizer_source" in held:
            self._problems.append("both tokenizer and tokenizer_source, expected one of them")
        self._unknown(given, ("source", "pad_to_multiple_of"), "tokenizer.")
        key, default = ("tokenizer.source", "union") if "tokenizer" in held else ("tokenizer_source", "base")
        source = given.get("source", held.get("tokenizer_source", default))
        if source not in ("union", "base"):
            self._problems.append(f"{key} is {source!r}, expected union, or base, whose tokenizer is copied")
        multiple = given.get("pad_to_multiple_of")
        if multiple is not None and (type(multiple) is not int or multiple < 1 or source == "base"):
            self._problems.append(
                f"tokenizer.pad_to_multiple_of is {multiple!r}, expected a whole number, with source: union"
            )
        return Union(isinstance(held.get("base_model"), str), multiple) if source == "union" else None

    def _take(self, field: str, setting: Any) -> None:
        """Keep a setting: as it is, or for each tensor; the method itself gets its value in the first layer."""
        each = setting if isinstance(setting, tuple) else (setting,)
        if varies(each):
            self.varying[field] = setting
        convert = self.convert.get(field, float)
        values = tuple(convert(value_at(one, "", 0.0)) for one in each)
        self.settings[field] = values if isinstance(setting, tuple) else values[0]

    def _setting(self, held: Any, place: str) -> Any:
        """A number, or a list over layers or filters."""
        fault = faults(held)
        if fault:
            self._problems.append(f"{place} {fault}")
            return 1.0
        return held

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

    def _sources(self, held: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The models of slices that together are the whole models: each layer once, in its place."""
        if "models" in held:
            self._problems.append("both models and slices, expected one of them")
        slices = held["slices"] if isinstance(held["slices"], list) else []
        found: list[list[dict[str, Any]]] = []
        end = 0
        for place, one in enumerate(slices):
            one = self._mapping(one, f"slices[{place}]")
            self._unknown(one, ("sources",), f"slices[{place}].")
            sources = [self._mapping(each, f"slices[{place}].sources") for each in one.get("sources") or []]
            ranges = [each.get("layer_range") for each in sources]
            first = ranges[0] if ranges else None
            if first is None or any(span != first for span in ranges) or not _is_span(first, end):
                spans = ", ".join(map(str, ranges)) or "of no source"
                self._problems.append(
                    f"slices[{place}] takes layers {spans}, expected [{end}, N] of every source: layers can be neither "
                    "dropped, repeated nor moved here"
                )
                return []
            end = first[1]
            self.spans.append((first[0], end))
            found.append([{key: value for key, value in each.items() if key != "layer_range"} for each in sources])
        if not found or any(sources != found[0] for sources in found):
            self._problems.append("slices of other models or parameters than the first one's, expected the same in all")
            return []
        self.layers = end
        return found[0]

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
            self._problems.append(f"{place} is {held!r}, expected one number")
            return 1.0
        return float(held)
