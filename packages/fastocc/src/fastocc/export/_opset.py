"""Graphs for older runtimes, such as TensorRT 8: the same nodes under an older opset, where it has them all.

Between opsets 17 and 19 the operators of these networks gained types, attributes with defaults and optional inputs.
A graph that uses none of these is valid under both; onnx's own converter lacks adapters for some of the operators.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold.errors import InputError

OLDEST = 17
# attributes that newer opsets added, with the value that means what older ones do
_DEFAULTS: dict[tuple[str, str], Any] = {
    ("Cast", "saturate"): 1, ("Resize", "antialias"): 0, ("Resize", "keep_aspect_ratio_policy"): b"stretch",
    ("Reshape", "allowzero"): 0,
}  # fmt: skip


def lower_opset(path: Path, opset: int) -> None:
    """Rewrite a graph, in place, for an older opset; its weights stay in their file.

    Args:
        path: model.onnx. opset: 17 or newer, older than the graph's.
    Raises: InputError that names the first operator that the older opset does not have in this form.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    domains = {entry.domain for entry in model.opset_import}
    for node in _nodes(model.graph):
        if node.domain in ("", "ai.onnx"):
            _lower(node, opset, onnx)
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = opset
    model.ir_version = min(model.ir_version, 8)  # of opset 17; later ones add types and metadata
    for holder in [model.graph, *_nodes(model.graph)]:
        holder.ClearField("metadata_props")
    if domains - {"", "ai.onnx"}:
        raise InputError("opset", got=opset, expected=f"a newer one: the graph has operators of {sorted(domains)}")
    onnx.save(model, str(path))
    onnx.checker.check_model(str(path))


def _nodes(graph: Any) -> list[Any]:
    """All nodes of a graph, those of its branches included."""
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += _nodes(attribute.g)
    return found


def _lower(node: Any, opset: int, onnx: Any) -> None:
    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        hint = "--backend decomposed" if node.op_type == "DeformConv" else None
        raise InputError("opset", got=opset, expected=f"a newer one: it has no {node.op_type}", hint=hint) from None
    for attribute in list(node.attribute):
        if attribute.name in schema.attributes:
            continue
        value = onnx.helper.get_attribute_value(attribute)
        default = {**_DEFAULTS, ("Split", "num_outputs"): len(node.output)}.get((node.op_type, attribute.name))
        if value != default:
            expected = f"a newer one: its {node.op_type} has no {attribute.name}"
            raise InputError("opset", got=opset, expected=expected)
        node.attribute.remove(attribute)
    if len(node.input) > schema.max_input:
        raise InputError("opset", got=opset, expected=f"a newer one: its {node.op_type} has fewer inputs")
