"""Exported graphs: equal to torch in a stock onnxruntime, without a trace of the branch; files refused when damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from fastocc import CameraRig, FastOccConfig, FastOccHead, FastOccModel, GridSpec
from fastocc.evaluation import head_inputs
from fastocc.export import (
    DATA,
    GRAPH,
    OnnxGraph,
    agreement,
    by_onnxruntime,
    export_head,
    export_model,
    node_types,
    quantize_graph,
    write_prediction,
)
from fastocc.models import build_head
from ninefold.errors import ArtifactError, InputError

RIG, GRID = CameraRig.nominal(32, 64), GridSpec.named("micro")
pytestmark = pytest.mark.usefixtures("exporter")


@pytest.fixture(scope="module")
def exported(exporter, tmp_path_factory):
    torch.manual_seed(0)
    model = FastOccModel(FastOccConfig.preset("micro", segmentation=0.5)).eval()
    torch.nn.init.normal_(model.head.conv[0].field.weight, std=0.1)
    return model, export_model(model, RIG, tmp_path_factory.mktemp("onnx") / "model", backend="native", logits=True)


def test_graph_agrees_with_torch_and_has_no_trace_of_the_branch(exported):
    model, path = exported
    images = np.random.default_rng(0).integers(0, 256, (1, 6, 3, 32, 64)).astype(np.float32)
    with torch.no_grad():
        expected = model(
            torch.from_numpy(images), torch.from_numpy(RIG.cam2img)[None], torch.from_numpy(RIG.cam2ego)[None]
        )
    assert agreement(OnnxGraph(path), images, expected.logits.numpy()) < 1e-4
    kinds = node_types(path)
    assert kinds["DeformConv"] == 1
    assert not [name for name in kinds if name.startswith("Scatter")]
    text = (path / GRAPH).read_bytes()
    assert b"segmentation" not in text
    assert (path / DATA).stat().st_size > 100_000  # the weights lie beside the graph
    assert json.loads((path / "about.json").read_text())["weights"] == DATA


def test_decomposed_head_needs_no_deformable_operator(tmp_path):
    torch.manual_seed(0)
    head = FastOccHead(6, GRID, 5, channels=3).eval()
    torch.nn.init.normal_(head.lift.body.field.weight, std=0.2)
    bev = torch.randn(1, 6, 20, 20)
    expected = head(bev).detach().numpy()
    path = export_head(head, bev, tmp_path / "head", backend="decomposed", opset=19)
    assert "DeformConv" not in node_types(path)
    assert agreement(OnnxGraph(path), bev.numpy(), expected) < 1e-4


@pytest.mark.parametrize("name", ["voxel3d", "cascade"])
def test_head_that_looks_at_images_takes_their_features(name, without_plain_layers, tmp_path):
    torch.manual_seed(0)
    grid = GridSpec(GRID.lower, GRID.voxel, (*GRID.shape[:2], 3))  # the cascade's stages have 1, 2 and 3 levels
    head = without_plain_layers(build_head(name, FastOccConfig.preset("micro"), grid).eval())
    bev, context = head_inputs(head)
    with torch.no_grad():
        expected = head(bev, context).numpy()
    (made,) = by_onnxruntime(tmp_path, 1, head, bev, context)()
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)
    assert "features (1, 6, 8, 12, 32)" in json.loads((tmp_path / name / "about.json").read_text())["inputs"]
    with pytest.raises(InputError, match="context"):
        export_head(head, bev, tmp_path / "other")


@pytest.mark.parametrize(
    ("view", "head"), [("lut", "dcn-c2h"), ("lss", "fastocc"), ("bevdet", "bevdet-occ"), ("lut", "voxel3d")]
)
def test_no_graph_scatters(view, head, without_plain_layers, tmp_path):
    model = FastOccModel(FastOccConfig.preset("micro", view=view, head=head, depth_step=4.0)).eval()
    model = without_plain_layers(model)
    kinds = node_types(export_model(model, RIG, tmp_path / "onnx", backend="decomposed"))
    assert not {name for name in kinds if name.startswith("Scatter") or name == "DeformConv"}


def test_old_opsets_and_other_rigs_are_refused(exported, tmp_path):
    model, _ = exported
    with pytest.raises(InputError, match="17 or newer"):
        export_model(model, RIG, tmp_path / "x", opset=16)
    with pytest.raises(InputError, match=r"18.*no DeformConv.*--backend decomposed"):
        export_model(model, RIG, tmp_path / "x", opset=18)
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="gathered"):
        export_model(model, RIG, tmp_path / "x", backend="gathered")
    with pytest.raises(InputError, match="rig"):
        export_model(model, CameraRig.nominal(48, 96), tmp_path / "x")
    with pytest.raises(ArtifactError, match="exists"):
        export_model(model, RIG, exported[1])


def test_graph_without_its_weights_is_refused_by_name(exported, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(exported[1], copy)
    (copy / DATA).unlink()
    with pytest.raises(ArtifactError, match=DATA):
        OnnxGraph(copy)
    shutil.copy(exported[1] / DATA, copy / DATA)
    (copy / GRAPH).write_bytes(b"x" * (copy / GRAPH).stat().st_size)
    with pytest.raises(ArtifactError, match=GRAPH):
        OnnxGraph(copy)


def test_prediction_is_read_back_and_other_files_stay(tmp_path):
    labels = np.random.default_rng(0).integers(0, 18, (4, 5, 6)).astype(np.uint8)
    write_prediction(tmp_path / "a.npz", labels)
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["semantics"], labels)
    with pytest.raises(ArtifactError, match="exists"):
        write_prediction(tmp_path / "a.npz", labels)
    write_prediction(tmp_path / "a.npz", labels, force=True)
    (tmp_path / "b.npz").write_text("mine")
    with pytest.raises(ArtifactError, match=r"b\.npz"):
        write_prediction(tmp_path / "b.npz", labels, force=True)
    with pytest.raises(InputError, match="semantics"):
        write_prediction(tmp_path / "c.npz", labels[0])


def test_eight_bits_give_nearly_the_same_logits(exported, tmp_path):
    model, path = exported
    draw = np.random.default_rng(1)
    images = [draw.integers(0, 256, (1, 6, 3, 32, 64)).astype(np.float32) for _ in range(4)]
    made = quantize_graph(path, images, tmp_path / "int8")
    kinds = node_types(made)
    assert kinds["QuantizeLinear"] > 5
    assert json.loads((made / "about.json").read_text())["bits"] == 8
    with torch.no_grad():
        expected = model(
            torch.from_numpy(images[0]), torch.from_numpy(RIG.cam2img)[None], torch.from_numpy(RIG.cam2ego)[None]
        ).logits.numpy()
    off = agreement(OnnxGraph(made), images[0], expected)
    assert 0 < off < 0.1
    with pytest.raises(InputError, match=r"images.*none"):
        quantize_graph(path, [], tmp_path / "other")
    assert not (tmp_path / "other").exists()
