"""Read a torch module as a graph of the operations that the packed runtime knows; all it does not know are listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from bnn_fsg._pack import _calls, _modules
from bnn_fsg._pack.spec import BinaryLayer, RectifierLayer
from bnn_fsg.runtime._graph import Node


class _Tracer(fx.Tracer):
    """Stops at what `pack` understands as a whole, and walks through everything else."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, BinaryLayer | RectifierLayer) or super().is_leaf_module(m, module_qualified_name)


class Value:
    """A tensor on its way: its name in the graph and its shape in torch, batch included."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape = name, shape

    @property
    def channels(self) -> int:
        """Size of dimension 1."""
        return self.shape[1]


class Graph:
    """Nodes so far, and what could not be said in them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.refused: list[str] = []

    def add(self, op: str, inputs: list[Value], name: str, settings: Any = None, arrays: Any = None) -> None:
        """Append a node; arrays are torch tensors, or numpy bool for bits."""
        kept = {}
        for key, array in (arrays or {}).items():
            kept[key] = array if not isinstance(array, Tensor) else array.detach().float().cpu().contiguous().numpy()
        self.nodes.append(Node(op, [one.name for one in inputs], name, settings or {}, kept))


def trace(model: nn.Module, example: Tensor) -> tuple[list[Node], str, tuple[int, ...]]:
    """(nodes, name of the output, its shape) of a module in evaluation.

    Raises:
        InputError: naming every module and call that cannot be packed, or what in `forward` cannot be followed.
    """
    was_training = model.training
    model.eval()
    try:
        try:
            traced = fx.GraphModule(model, _Tracer().trace(model))
        except (TraceError, TypeError, RuntimeError) as error:
            hint = "its forward may branch on values; pack needs one path"
            raise InputError("model", got=f"a forward that cannot be traced: {error}", hint=hint) from None
        with torch.no_grad():
            return _read(traced, example)
    finally:
        model.train(was_training)


def _read(traced: fx.GraphModule, example: Tensor) -> tuple[list[Node], str, tuple[int, ...]]:
    graph, run = Graph(), _Shapes(traced)
    run.run(example)
    held: dict[fx.Node, Any] = {}
    names = _names(traced)
    for node in traced.graph.nodes:
        result = run.seen[node]
        if node.op == "placeholder":
            held[node] = Value("input", tuple(result.shape))
        elif node.op == "output":
            value = held.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
            if graph.refused:
                raise InputError("model", got="; ".join(graph.refused), expected="only what the packed runtime knows")
            if not isinstance(value, Value):
                raise InputError("model", got="several outputs", expected="one tensor")
            return graph.nodes, value.name, value.shape
        elif node.op == "get_attr" or not isinstance(result, Tensor):
            held[node] = result  # a parameter, or a size: known now
        else:
            held[node] = _follow(graph, traced, node, held, tuple(result.shape), names[node])
    raise InputError("model", got="no output")


def _follow(graph: Graph, traced: fx.GraphModule, node: fx.Node, held: Any, shape: tuple[int, ...], name: str) -> Value:
    def known(one: fx.Node) -> Any:
        return held[one]

    arguments, more = fx.map_arg(node.args, known), fx.map_arg(node.kwargs, known)
    module = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    handler: Callable[..., Value | str]
    if module is not None:
        handler = _modules.handler(module)
        done = handler(graph, module, arguments[0], name, shape)
        what = f"{node.target} ({type(module).__name__}"
    else:
        target: Any = node.target
        handler = _calls.handler(target)
        done = handler(graph, arguments, more, name, shape)
        what = f"{name} ({getattr(target, '__name__', target)}"
    if isinstance(done, str):
        graph.refused.append(what + (f": {done})" if done else ")"))
        return Value(name, shape)
    return done


class _Shapes(fx.Interpreter):
    """Runs the example through, keeping what each node gives."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.seen: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.seen[n] = super().run_node(n)
        return self.seen[n]


def _names(traced: fx.GraphModule) -> dict[fx.Node, str]:
    """A module's own path where it is called once, else the name of the call."""
    targets = [str(node.target) for node in traced.graph.nodes if node.op == "call_module"]
    names: dict[fx.Node, str] = {}
    for node in traced.graph.nodes:
        once = node.op == "call_module" and targets.count(str(node.target)) == 1
        names[node] = str(node.target) if once else str(node.name)
    return names
