"""Read a torch module as a graph of the operations that the packed runtime knows; all it does not know are listed.

The model runs on the example, and every call of torch that is given a value of the input is read as it is made. It runs
twice: first on two other samples, which shows where the batch is and whether something that seems to be constant
depends on the input, by a way that cannot be followed.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from bnn_fsg.graph._graph import Node
from bnn_fsg.layers._spec import BinaryLayer, RectifierLayer
from bnn_fsg.packing import _calls, _layers
from bnn_fsg.packing._check import difference
from bnn_fsg.packing._composites import COMPOSITES
from bnn_fsg.packing._twin import picture
from bnn_fsg.packing._values import Graph, RefusedError, Value, first

_OF_SIZES = {  # calls that look at no number of a tensor
    "size", "dim", "numel", "ndimension", "nelement", "len", "is_floating_point", "is_complex", "is_contiguous",
    "new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "is_same_size", "stride",
    "has_torch_function", "is_grad_enabled", "repr", "get_device", "element_size", "is_inference", "hash",
    "shape", "ndim", "dtype", "device", "is_nested", "requires_grad", "is_cuda", "layout", "is_sparse", "is_quantized",
    "grad_fn", "is_leaf", "names", "is_mkldnn", "is_meta", "itemsize", "nbytes", "is_cpu", "_version",
}  # fmt: skip
_BRANCHES = {
    "bool", "int", "float", "complex", "index", "item", "tolist", "numpy", "array", "equal", "allclose", "contains",
}  # fmt: skip
_ROUNDING = 1e-4  # of the largest output: the same operations of torch twice


def trace(model: nn.Module, example: Tensor) -> tuple[list[Node], str, tuple[int, ...]]:
    """(nodes, name of the output, its shape) of a module in evaluation.

    Raises:
        InputError: naming every module and call that cannot be packed, or what in `forward` cannot be followed.
    """
    if any(one.device.type != "cpu" for one in (*model.parameters(), *model.buffers())):
        model = copy.deepcopy(model).cpu()
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode(False), torch.no_grad():  # tensors of inference mode do not count their changes
            return _read(model, example)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _read(model: nn.Module, example: Tensor) -> tuple[list[Node], str, tuple[int, ...]]:
    try:
        expected = model(example.clone())
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        got = f"shape {tuple(example.shape)}, at which forward fails: {reason}"
        raise InputError("example_input", got=got, expected="one float32 tensor as the model takes it") from None
    other = torch.randn(example.shape, generator=torch.Generator().manual_seed(1)) * example.abs().max()
    before, reader = _Reader(model), _Reader(model, Graph())
    with contextlib.suppress(Exception):  # what is wrong is said when the example itself is followed
        before.followed(torch.cat([example + other, example]))
        reader.before = before.log
    try:
        output = reader.followed(example.clone())
    except _BranchError as error:
        hint = "its forward may branch on values; pack needs one path"
        raise InputError("model", got=f"a forward that cannot be traced: {error}", hint=hint) from None
    graph, value, stale = reader.graph, reader.value(output), reader.stale([output])
    assert graph is not None
    if stale:
        graph.refused.append(f"output ({', '.join(stale)} was changed in place by another name)")
    if isinstance(value, Value) and not graph.refused and len(value.shape) < 5 and value.shape[0] == 1:
        value = graph.first(value)
    if graph.refused:
        raise InputError("model", got="; ".join(graph.refused), expected="only what the packed runtime knows")
    if not isinstance(value, Value):
        raise InputError("model", got="several outputs, or none from its input", expected="one tensor")
    if not 2 <= len(value.shape) <= 4 or value.shape[0] != 1 or value.batch:
        got = f"an output of shape {value.shape} for one sample, the batch in dimension {value.batch}"
        raise InputError("model", got=got, expected="(n, ...) of 2 to 4 dimensions, batch first")
    _check(expected, output)
    return _needed(graph.nodes, value.name), value.name, value.shape


def _check(expected: Any, made: Tensor) -> None:
    """InputError if the model computed something else when it was followed."""
    alike = isinstance(expected, Tensor) and expected.shape == made.shape
    if alike:
        both = expected.isfinite() & made.isfinite()
        apart = (expected - made).abs()[both]
        alike = not bool((apart > _ROUNDING * expected[both].abs().amax()).any()) if apart.numel() else True
    if not alike:
        hint = "it may draw random numbers, or depend on more than its input"
        raise InputError("model", got="a forward that gives other values the second time", hint=hint)


def _needed(nodes: list[Node], output: str) -> list[Node]:
    """Those that the output is made of."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if node.output in wanted:
            wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]


class _BranchError(Exception):
    """A value that was taken out of torch."""


class _Unknown:
    """What a refused call gives."""


def _tensors(given: Any) -> list[Tensor]:
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, dict):
        given = list(given.values())
    return [one for part in given for one in _tensors(part)] if isinstance(given, list | tuple) else []


class _Reader(TorchFunctionMode):
    """Runs a model and reads each call that is given a value of the input as nodes of `graph`; without a graph it only
    logs them.

    Attributes:
        before: the log of the run on two samples, or None where that failed.
        log: (call, shapes of what it gives, constants that it is given).
        held: of each tensor of the input that is known: it, how often it had been changed, and what it is.
    """

    def __init__(self, model: nn.Module, graph: Graph | None = None) -> None:
        super().__init__()
        self.paths = {module: path for path, module in model.named_modules()}
        self.model, self.graph, self.before, self.log = model, graph, None, []
        self.held: dict[int, tuple[Tensor, int, Any]] = {}
        self.modules: list[nn.Module] = []
        self.inside = self.start = 0  # layers that are read as a whole; nodes before those of this call
        self.changed: list[str] = []  # what this call reads and was changed before

    def followed(self, x: Tensor) -> Any:
        """What the model makes of x."""
        self.hold(x, first("input", tuple(x.shape)))
        if self.graph is not None:
            self.graph.values["input"] = picture(x).clone()
        before = hooks.register_module_forward_pre_hook(self._enter)
        after = hooks.register_module_forward_hook(self._leave, with_kwargs=True)  # type: ignore[call-overload]
        try:
            with self:
                return self.model(x)
        finally:
            before.remove()
            after.remove()
            hooks._global_forward_hooks_with_kwargs.pop(after.id, None)  # left by torch, which then warns at `compile`

    def hold(self, tensor: Tensor, what: Any) -> None:
        """Keep what a tensor is."""
        self.held[id(tensor)] = tensor, tensor._version, what

    def value(self, tensor: Any) -> Any:
        """What a tensor is, or None."""
        return self.held[id(tensor)][2] if id(tensor) in self.held else None

    def stale(self, tensors: list[Any]) -> list[str]:
        """Names of those that were changed in place by another name."""
        known = [self.held[id(one)] for one in tensors if id(one) in self.held]
        return [what.name for one, version, what in known if isinstance(what, Value) and one._version != version]

    def _enter(self, module: nn.Module, _: Any) -> None:
        if module in self.paths:
            self.modules.append(module)
            self.inside += _is_whole(module)

    def _leave(self, module: nn.Module, arguments: Any, more: Any, result: Any) -> None:
        if module not in self.paths:
            return
        given = (*arguments, *more.values())
        if _is_whole(module) and self.inside == 1 and any(self.value(one) is not None for one in _tensors(given)):
            self.changed = self.stale(_tensors(given))
            self._step(type(module).__name__, given, {}, result, module)
        self.inside -= _is_whole(module)  # only now: what is read of it is no call of the model
        self.modules.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        more, reason = kwargs or {}, None
        call = getattr(func, "__name__", str(func)).strip("_")
        if call == "get":  # of a property
            call = func.__self__.__name__
        given = _tensors([args, more])
        if self.inside or call in _OF_SIZES or all(self.value(one) is None for one in given):
            return func(*args, **more)
        if call in COMPOSITES:
            try:
                with self:
                    return COMPOSITES[call](*args, **more)
            except RefusedError as error:
                reason = error
        self.changed = self.stale(given)
        result = func(*args, **more)
        self._step(call, args, more, result, reason)
        return result

    def _step(self, call: str, args: Any, more: Any, result: Any, how: nn.Module | RefusedError | None) -> None:
        """Read a call, or log it. `how`: the layer that was called, or why the call is refused."""
        given, made = _tensors([args, more]), _tensors(result)
        known, constants = [self.value(one) for one in given], [one for one in given if self.value(one) is None]
        self.log.append((call, [tuple(one.shape) for one in made], constants))
        found: list[Any] = [_Unknown() for _ in made]
        if self.graph is not None:
            layer = self.modules[-1] if self.modules and _is_layer(self.modules[-1]) else None
            name = self.graph.fresh(self.paths.get(layer, "") or call)
            if call in _BRANCHES:
                raise _BranchError(f"{call} of a value")
            if not any(isinstance(one, _Unknown) for one in known):  # else it follows from what was refused
                try:
                    batches = self._batches(call, constants, made)
                    found = self._values(call, args, more, result, how, name)
                    for one, tensor, batch in zip(found, made, batches, strict=True):
                        one.batch = batch
                        self._compare(one, tensor)
                except RefusedError as error:
                    kind, why = call if layer is None else type(layer).__name__, str(error)
                    self.graph.refused.append(f"{name} ({kind}{': ' if why else ''}{why})")
                    found = [_Unknown() for _ in made]
            self.start = len(self.graph.nodes)
        for tensor, one in zip(made, found, strict=True):
            self.hold(tensor, one)

    def _values(self, call: str, args: Any, more: Any, result: Any, how: Any, name: str) -> list[Value]:
        if isinstance(how, RefusedError):
            raise how
        if self.changed:
            raise RefusedError(f"it reads {', '.join(self.changed)}, which was changed in place by another name")
        made = _tensors(result)
        if not isinstance(result, Tensor) and (not isinstance(result, list | tuple) or not _calls.gives_parts(call)):
            raise RefusedError(f"it gives a {type(result).__name__}")
        wrong = next((one.dtype for one in made if one.dtype != torch.float32), None)
        if wrong is not None:
            raise RefusedError(f"it gives {wrong}")
        arguments, named = self._known(args), self._known(more)
        if how is not None:
            if len(arguments) != 1 or not isinstance(arguments[0], Value):
                raise RefusedError("called with more than one value")
            handler = _layers.binary if isinstance(how, BinaryLayer) else _calls.rectifier
            return [handler(self.graph, how, arguments[0], name, tuple(result.shape))]
        if isinstance(result, Tensor):
            return [_calls.read(self.graph, call, tuple(arguments), named, name, tuple(result.shape))]
        return _calls.read_parts(self.graph, call, tuple(arguments), named, name, [tuple(one.shape) for one in made])

    def _known(self, given: Any) -> Any:
        if isinstance(given, Tensor):
            return given if self.value(given) is None else self.value(given)
        if isinstance(given, dict):
            return {key: self._known(one) for key, one in given.items()}
        return type(given)(map(self._known, given)) if type(given) in (list, tuple) else given

    def _batches(self, call: str, constants: list[Tensor], made: list[Tensor]) -> list[int]:
        """The dimension of each result that is the batch's; RefusedError if the run on two samples was another."""
        at = len(self.log) - 1
        if self.before is None:
            if any(one.ndim == 0 or one.shape[0] != 1 for one in made):
                raise RefusedError("its forward takes no two samples, and here the first dimension is not the batch")
            return [0] * len(made)
        if at >= len(self.before) or self.before[at][0] != call:
            raise RefusedError("its forward does something else with other samples")
        _, shapes, others = self.before[at]
        for one, other in zip(constants, others, strict=True):
            part = other if one is other or one.ndim != other.ndim else other[tuple(slice(size) for size in one.shape)]
            if one is not part and not torch.equal(one, part):
                raise RefusedError("with numbers that depend on the input by a hidden way, or on chance")
        found = []
        for one, shape in zip(made, shapes, strict=True):
            grown = [axis for axis, (size, two) in enumerate(zip(one.shape, shape, strict=True)) if size != two]
            if len(grown) != 1:
                raise RefusedError("over the batch")
            found.append(grown[0])
        return found

    def _compare(self, value: Value, result: Tensor) -> None:
        """Hold what was read against what torch gave, and keep that."""
        expected = value.picture(result).clone()
        node = next((node for node in self.graph.nodes[self.start :] if node.output == value.name), None)
        wrong = difference(node, self.graph.values, self.graph.values[value.name], expected)
        if wrong:
            raise RefusedError(wrong)
        self.graph.values[value.name] = expected


def _is_whole(module: nn.Module) -> bool:
    return isinstance(module, BinaryLayer | RectifierLayer)


def _is_layer(module: nn.Module) -> bool:
    known = type(module).__module__.startswith("torch.nn") or isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
    return _is_whole(module) or (known and not any(module.children()))
