"""Checkpoints in the names of FlashOcc and BEVDet-Occ: all placed, equal to a port, exported; others refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from fastocc import CameraRig, FastOccModel, GridSpec
from fastocc.export import GRAPH, OnnxGraph, export_model, node_types
from fastocc.export._opset import lower_opset
from fastocc.models import convert_checkpoint
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import run_here

from .port import random_port

GRID, SIZE = GridSpec.named("mini"), (64, 176)
SMALL = {"deep": False, "width": 8, "neck": 16, "out": 16}


def inputs(size=SIZE):
    rig = CameraRig.nominal(*size)
    images = torch.randint(0, 256, (1, 6, 3, *size), generator=torch.Generator().manual_seed(0)).float()
    return images, torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None]


def saved(port, path, **more):
    torch.save(
        {"state_dict": {f"module.{key}": one for key, one in port.state_dict().items()} | more, "meta": {}}, path
    )
    return path


@pytest.mark.parametrize("settings", [{"three": False}, {"three": True, "width": 32}], ids=["flashocc", "bevdet-occ"])
@torch.no_grad()
def test_every_number_of_a_published_network_is_placed_and_logits_are_equal(settings, tmp_path):
    grid = "micro" if settings["three"] else "mini"  # layers of columns are wider on the larger grid
    port = random_port(GridSpec.named(grid), **settings)
    model = convert_checkpoint(saved(port, tmp_path / "theirs.pth"), grid=grid, image_size=SIZE)
    theirs, ours = (sum(one.numel() for name, one in net.state_dict().items() if "num_batches" not in name)
                    for net in (port, model))  # fmt: skip
    assert theirs == ours
    if not settings["three"]:
        assert round(ours / 1e6, 2) == 44.81
    images, inner, outer = inputs()
    expected = port(images[0], inner[0], outer[0])
    torch.testing.assert_close(model(images, inner, outer).logits, expected, rtol=1e-5, atol=1e-5)


def test_exported_checkpoint_runs_without_scattering(exporter, tmp_path):
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    port = random_port(GRID, three=False, **SMALL)
    model = convert_checkpoint(saved(port, tmp_path / "theirs.pth"), grid="mini", image_size=SIZE)
    path = export_model(model, CameraRig.nominal(*SIZE), tmp_path / "onnx", logits=True)
    kinds = node_types(path)
    assert not {name for name in kinds if "Scatter" in name or "Deform" in name}
    images, inner, outer = inputs()
    with torch.no_grad():
        expected = port(images[0], inner[0], outer[0]).numpy()
    np.testing.assert_allclose(OnnxGraph(path)(images.numpy()), expected, rtol=1e-4, atol=1e-4)
    path = export_model(model, CameraRig.nominal(*SIZE), tmp_path / "old", opset=17)
    graph = onnx.load(str(path / GRAPH), load_external_data=False)
    assert [(one.domain, one.version) for one in graph.opset_import] == [("", 17)]
    np.testing.assert_array_equal(OnnxGraph(path)(images.numpy()), expected.argmax(-1))


def test_attributes_that_an_older_opset_lacks_are_dropped_at_their_default_and_refused_otherwise(tmp_path):
    onnx = pytest.importorskip("onnx")

    def graph(kind, count, **attributes):
        sides = [onnx.helper.make_tensor_value_info("x", 1, [1, 4])]
        outputs = [onnx.helper.make_tensor_value_info(f"y{at}", 1, [1, 4 // count]) for at in range(count)]
        node = onnx.helper.make_node(kind, ["x"], [one.name for one in outputs], **attributes)
        made = onnx.helper.make_model(
            onnx.helper.make_graph([node], "one", sides, outputs), opset_imports=[onnx.helper.make_opsetid("", 19)]
        )
        onnx.save(made, str(tmp_path / "one.onnx"))
        return tmp_path / "one.onnx"

    path = graph("Split", 2, axis=1, num_outputs=2)
    lower_opset(path, 17)
    assert [one.name for one in onnx.load(str(path)).graph.node[0].attribute] == ["axis"]
    lower_opset(graph("Cast", 1, to=1, saturate=1), 17)
    with pytest.raises(InputError, match="Cast has no saturate"):
        lower_opset(graph("Cast", 1, to=1, saturate=0), 17)


def test_arrays_are_found_below_the_usual_keys(tmp_path):
    port = random_port(GRID, three=False, **SMALL)
    arrays = port.state_dict()
    expected = convert_checkpoint(saved(port, tmp_path / "plain.pth"), grid="mini").state_dict()
    for content in (arrays, {"model": arrays}, {"model": {"state_dict": arrays}, "epoch": 3}):
        torch.save(content, tmp_path / "nested.pth")
        found = convert_checkpoint(tmp_path / "nested.pth", grid="mini").state_dict()
        assert all(torch.equal(expected[key], one) for key, one in found.items())


def test_coarser_depth_bins_are_seen_in_the_shapes(tmp_path):
    port = random_port(GRID, three=False, step=1.0, **SMALL)
    assert convert_checkpoint(saved(port, tmp_path / "m0.pth"), grid="mini").config.depth_step == 1.0


def test_what_has_no_place_or_is_missing_is_named(tmp_path):
    port = random_port(GRID, three=False, **SMALL)
    more = {f"module.pre_process_net.layers.{at}.weight": torch.zeros(2) for at in range(5)}
    with pytest.raises(InputError, match=r"5 arrays without a place: pre_process_net.*stereo"):
        convert_checkpoint(saved(port, tmp_path / "a.pth", **more), grid="mini")
    with pytest.raises(InputError, match=r"flashocc.*expected of bevdet-occ"):
        convert_checkpoint(saved(port, tmp_path / "b.pth"), "bevdet-occ", grid="mini")
    del port.img_bev_encoder_neck.up2[4].bias
    with pytest.raises(InputError, match=r"1 missing: encoder\.up2\.4\.bias"):
        convert_checkpoint(saved(port, tmp_path / "c.pth"), grid="mini")
    with pytest.raises(InputError, match="classes"):
        convert_checkpoint(tmp_path / "b.pth", grid="micro")
    torch.save({"foreign.weight": torch.zeros(3)}, tmp_path / "d.pth")
    with pytest.raises(InputError, match="final_conv"):
        convert_checkpoint(tmp_path / "d.pth")
    with pytest.raises(InputError, match="source"):
        convert_checkpoint(tmp_path / "b.pth", "yolo")
    torch.save({"a": CameraRig}, tmp_path / "code.pth")
    with pytest.raises(ArtifactError, match=r"code\.pth.*plain tensors"):
        convert_checkpoint(tmp_path / "code.pth")
    with pytest.raises(ArtifactError, match="not there"):
        convert_checkpoint(tmp_path / "gone.pth")


def test_converted_model_is_written_and_training_starts_from_it(street, tmp_path):
    grid = GridSpec.named("occ3d")
    saved(random_port(grid, three=False, **SMALL), tmp_path / "theirs.pth")
    done = run_here("fastocc.cli", "convert", str(tmp_path / "theirs.pth"), "-o", str(tmp_path / "model"), "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["numbers left"] == 0
    model = FastOccModel.from_pretrained(tmp_path / "model")
    assert model.config.head == "flashocc"
    words = ("train", "--init", tmp_path / "model", "--root", street, "-o", tmp_path / "run")
    other = run_here("fastocc.cli", *map(str, words))
    assert other.returncode == 2
    assert "(200, 200, 16)" in other.stderr
