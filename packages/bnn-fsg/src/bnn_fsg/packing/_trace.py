"""Read a torch module as a graph of the operations that the packed runtime knows; all it does not know are listed."""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from bnn_fsg.graph._graph import Node
from bnn_fsg.layers._spec import BinaryLayer, RectifierLayer
from bnn_fsg.packing import _calls, _modules, _views
from bnn_fsg.packing._check import difference
from bnn_fsg.packing._twin import picture
from bnn_fsg.packing._values import Graph, Value

_SIZES = ("size", "dim", "numel", "ndimension", "nelement")  # methods that look at no number of a tensor
_KNOWN = (getattr, *_SIZES)
_ROUNDING = 1e-4  # of the largest output: the same operations of torch twice


class _Proxy(fx.Proxy):
    """Keeps `x += y` as what it does, where fx would make of it a sum that leaves x as it is."""

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __isub__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.isub, (self, other), {})

    def __imul__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})

    def __itruediv__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.itruediv, (self, other), {})


class _Tracer(fx.Tracer):
    """Stops at what `pack` understands as a whole, and walks through everything else."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, BinaryLayer | RectifierLayer) or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)


class _Whole(nn.Module):
    """The model as it is called with one tensor: what else its forward may be given keeps its default."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Any:
        return self.model(x)


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
            return _read(*_traced(model, example))
    finally:
        for module, mode in modes.items():
            module.training = mode


def _traced(model: nn.Module, example: Tensor) -> tuple[fx.GraphModule, _Run]:
    """The model as a graph, and what each of its nodes made of the example."""
    try:
        expected = model(example.clone())
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        got = f"shape {tuple(example.shape)}, at which forward fails: {_first_line(error)}"
        raise InputError("example_input", got=got, expected="one float32 tensor as the model takes it") from None
    whole = _Whole(model)
    try:
        traced = fx.GraphModule(whole, _Tracer().trace(whole))
    except (TraceError, TypeError, RuntimeError) as error:
        hint = "its forward may branch on values; pack needs one path"
        got = f"a forward that cannot be traced: {_first_line(error)}"
        raise InputError("model", got=got, hint=hint) from None
    run = _Run(traced)
    run.expected, run.made = expected, run.run(example.clone())
    return traced, run


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read(traced: fx.GraphModule, run: _Run) -> tuple[list[Node], str, tuple[int, ...]]:
    graph, names = Graph(), _names(traced)
    held: dict[fx.Node, Any] = {}
    for node in traced.graph.nodes:
        result = run.seen[node]
        if node.op == "placeholder":
            held[node] = Value("input", tuple(result.shape))
            graph.values["input"] = picture(result)
        elif node.op == "output":
            value = held.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
            if run.stale[node]:
                graph.refused.append(f"output ({', '.join(run.stale[node])} was changed in place by another name)")
            if graph.refused:
                raise InputError("model", got="; ".join(graph.refused), expected="only what the packed runtime knows")
            if not isinstance(value, Value):
                raise InputError("model", got="several outputs, or none from its input", expected="one tensor")
            run.check()
            return graph.nodes, value.name, value.shape
        elif not any(isinstance(held[one], Value | _Parts | _Unknown) for one in node.all_input_nodes):
            held[node] = result  # of parameters and sizes alone: known now
        elif node.target is operator.getitem and isinstance(held.get(node.args[0]), _Parts):
            held[node] = held[node.args[0]][node.args[1]]
        else:
            held[node] = _follow(graph, traced, node, held, run, names[node])
        for other in run.same.get(node, ()):  # after `x.relu_()`, x is what that gives
            held[other] = held[node]
    raise InputError("model", got="no output")


class _Unknown:
    """What a refused call gives, where it is no tensor."""


class _Parts(list[Value]):
    """What `chunk` and `split` give."""


def _follow(graph: Graph, traced: fx.GraphModule, node: fx.Node, held: Any, run: _Run, name: str) -> Any:
    arguments: Any = fx.map_arg(node.args, held.__getitem__)
    more: Any = fx.map_arg(node.kwargs, held.__getitem__)
    module = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    kind = getattr(node.target, "__name__", node.target) if module is None else type(module).__name__
    inputs, result = [held[one] for one in node.all_input_nodes], run.seen[node]
    known = not any(isinstance(one, _Unknown) or (isinstance(one, Value) and not one.usable) for one in inputs)
    if node.op in ("call_function", "call_method") and node.target in _KNOWN and not isinstance(result, Tensor):
        return result
    if known and isinstance(result, tuple) and all(isinstance(one, Tensor) for one in result):
        parts = _calls.read_parts(node.target, graph, arguments, more, name, [tuple(one.shape) for one in result])
        if isinstance(parts, list) and not run.stale[node]:
            begin = len(graph.nodes) - len(parts)
            for place, (one, made) in enumerate(zip(parts, result, strict=True)):
                graph.values[one.name] = picture(made)
                wrong = difference(graph.nodes[begin + place :][:1], graph.values, one.name, graph.values[one.name])
                if wrong:
                    graph.refused.append(f"{name} ({kind}: {wrong})")
            return _Parts(parts)
        if parts and isinstance(parts, str):
            graph.refused.append(f"{name} ({kind}: {parts})")
            return _Unknown()
    if not isinstance(result, Tensor):
        if known:  # else it follows from what was refused before
            graph.refused.append(f"{name} ({kind}: it gives a {type(result).__name__})")
        return _Unknown()
    start, value, done = len(graph.nodes), Value(name, tuple(result.shape)), ""
    views = {one.view for one in inputs if isinstance(one, Value)} if known else set[str]()
    changed = _views.read(graph, node.target, arguments, name, value.shape) if known and module is None else None
    if value.usable:
        graph.values[name] = picture(result)
    if result.dtype != torch.float32:
        done = f"it gives {result.dtype}"
    elif run.stale[node]:
        done = f"it reads {', '.join(run.stale[node])}, which was changed in place by another name"
    elif changed is not None:
        done = changed
    elif views == {"last"} and _views.works_by_pixel(module, node.target, inputs):
        done = _read_by_pixel(graph, node.target, module, (arguments, more), name, value.shape)
    elif views & {"last", "grouped", "shuffled"}:
        done = "where channels do not come first"
    elif known and module is not None:
        done = _read_module(graph, module, [*arguments, *more.values()], name, value.shape)
    elif known:
        done = _calls.read(node.target, graph, arguments, more, name, value.shape)
    if isinstance(done, Value) and done.view in ("", "last"):
        graph.values[name] = picture(_views.picture_of(done, result))
        done = difference(graph.nodes[start:], graph.values, done.name, graph.values[name]) or done
    if isinstance(done, Value):
        return done
    if known:
        graph.refused.append(f"{name} ({kind}{': ' if done else ''}{done})")
    return value


def _read_by_pixel(
    graph: Graph, target: Any, module: nn.Module | None, given: tuple[Any, Any], name: str, shape: tuple[int, ...]
) -> Any:
    """Read what works on channels that come last, as if they came first."""
    if len(shape) != 4:
        return "where channels do not come first"
    arguments, more = fx.node.map_aggregate(given, _views.by_pixel)  # type: ignore[misc]
    if module is not None:
        done = _read_module(graph, module, [*arguments, *more.values()], name, _views.first(shape))
    else:
        done = _calls.read(target, graph, tuple(arguments), dict(more), name, _views.first(shape))
    return Value(done.name, shape, "last") if isinstance(done, Value) else done


def _read_module(graph: Graph, module: nn.Module, given: list[Any], name: str, shape: tuple[int, ...]) -> Any:
    if len(given) != 1 or not isinstance(given[0], Value):
        return "called with more than one value"
    return _modules.handler(module)(graph, module, given[0], name, shape)


class _Run(fx.Interpreter):
    """Runs the example through, keeping what each node gives, as it is then.

    Attributes:
        seen: what each node gave.
        same: earlier nodes whose tensor a node changed in place and gave back.
        stale: what a node reads that was changed in place since, other than by those.
        expected, made: the model's own output and that of its graph.
    """

    expected: Any
    made: Any

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.seen: dict[fx.Node, Any] = {}
        self.same: dict[fx.Node, list[fx.Node]] = {}
        self.stale: dict[fx.Node, list[str]] = {}
        self._tensors: dict[fx.Node, tuple[Tensor, int]] = {}  # and what version torch counted
        self._owners: dict[int, list[fx.Node]] = {}

    def run_node(self, n: fx.Node) -> Any:
        known = [one for one in n.all_input_nodes if one in self._tensors]
        self.stale[n] = [str(one) for one in known if _version(self._tensors[one][0]) != self._tensors[one][1]]
        result = super().run_node(n)
        self.seen[n] = result
        if isinstance(result, tuple) and result and isinstance(result[0], Tensor):  # views: they count together
            self.seen[n] = tuple(one.clone() if isinstance(one, Tensor) else one for one in result)
            self._tensors[n] = result[0], _version(result[0])
        if isinstance(result, Tensor):
            self.seen[n] = result.clone()
            owners = self._owners.setdefault(id(result), [])
            self.same[n] = list(owners)
            owners.append(n)
            for one in owners:
                self._tensors[one] = result, _version(result)
        return result

    def check(self) -> None:
        """InputError if the model computes something else than its graph."""
        expected, made = self.expected, self.made
        alike = isinstance(expected, Tensor) and isinstance(made, Tensor) and expected.shape == made.shape
        if alike:
            both = expected.isfinite() & made.isfinite()
            apart = (expected - made).abs()[both]
            alike = not bool((apart > _ROUNDING * expected[both].abs().amax()).any()) if apart.numel() else True
        if not alike:
            hint = "it may hold hooks, draw random numbers, or depend on more than its input"
            raise InputError("model", got="a forward whose traced form gives other values", hint=hint)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _names(traced: fx.GraphModule) -> dict[fx.Node, str]:
    """A module's own path where it is called once, else the name of the call; each differs from all others."""
    targets = [str(node.target) for node in traced.graph.nodes if node.op == "call_module"]
    names: dict[fx.Node, str] = {}
    taken = {"input"}  # the graph's own
    for node in traced.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        once = node.op == "call_module" and targets.count(str(node.target)) == 1
        wanted = str(node.target).removeprefix("model.") if once else str(node.name).removeprefix("model_")
        name, count = wanted, 0
        while name in taken:
            count += 1
            name = f"{wanted}_{count}"
        taken.add(name)
        names[node] = name
    return names
