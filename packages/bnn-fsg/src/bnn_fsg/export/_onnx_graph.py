"""An ONNX graph under construction: its nodes, its initialisers, and names that occur once."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnn_fsg.graph._graph import Node


class OnnxGraph:
    """Nodes and initialisers of a graph, in the order in which they were added.

    Attributes:
        nodes: ONNX nodes, each with one output that has the node's name.
        constants: initialisers by name.
        sizes: picture size (height, width, channels) of each value of the packed model, by name.
        taken: names of nodes and initialisers so far.
    """

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.sizes: dict[str, Any] = {}
        self.taken = {"input", "output"}  # names of the graph's input and output, which a layer may have too

    def add(self, op: str, inputs: list[str], name: str, domain: str = "", **settings: Any) -> str:
        """Append a node with one output, named as it; returns the name, which is `name` or one like it."""
        name = self.free(name)
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [name], name, domain=domain, **settings))
        return name

    def constant(self, name: str, value: Any) -> str:
        """An initialiser; one that was given before under this name is the same."""
        made = self.onnx.numpy_helper.from_array(np.asarray(value), name)
        if self.constants.get(name) != made:
            name = self.free(name)
            made.name = name
            self.constants[name] = made
        return name

    def free(self, name: str) -> str:
        """`name`, or with a number behind it if that is taken: values and initialisers share one space."""
        count, found = 0, name
        while found in self.taken:
            count += 1
            found = f"{name}.{count}"
        self.taken.add(found)
        return found

    def by_channel(self, node: Node, key: str) -> str:
        """An array of a node as (1, channels, 1, 1)."""
        return self.constant(f"{node.name}.{key}", node.arrays[key].reshape(1, -1, 1, 1))

    def number(self, value: float) -> str:
        """A scalar float32."""
        return self.constant(f"number.{value:g}", np.float32(value))
