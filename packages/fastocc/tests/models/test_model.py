"""The whole network: shapes, checks, files, conversion, and an inference graph without the segmentation branch."""

from __future__ import annotations

import json

import pytest
import torch
from fastocc import CameraRig, FastOccConfig, FastOccModel
from fastocc.models import HEADS, PRESETS, build_head
from fastocc.models._files import write_model
from ninefold.errors import ArtifactError, InputError


def inputs(count=6, batch=1, size=(32, 64)):
    rig = CameraRig.nominal(*size)
    pick = [at % 6 for at in range(count)]
    images = torch.randint(
        0, 256, (batch, count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    matrices = (torch.from_numpy(one[pick])[None].repeat(batch, 1, 1, 1) for one in (rig.cam2img, rig.cam2ego))
    return images, *matrices


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FastOccModel(FastOccConfig.preset("micro"))


def test_outputs_have_the_axes_of_the_labels(model):
    output = model.train()(*inputs(batch=2))
    assert output.logits.shape == (2, 20, 20, 8, 18)
    assert output.semantics.shape == (2, 20, 20, 8)
    assert output.seg.shape == (2, 6, 17, 4, 8)
    assert model.eval()(*inputs()).seg is None


@pytest.mark.parametrize("count", [1, 3, 5, 8])
def test_other_numbers_of_cameras_work_when_configured(model, count):
    other = FastOccModel(FastOccConfig.preset("micro", cameras=count)).eval()
    assert other(*inputs(count)).logits.shape == (1, 20, 20, 8, 18)
    if count != 6:
        with pytest.raises(InputError, match="cameras"):
            model(*inputs(count))


@pytest.mark.parametrize("head", list(HEADS))
def test_every_head_runs_in_the_model_and_learns(head):
    torch.manual_seed(0)
    view = "lss" if HEADS[head].needs_height else "lut"
    model = FastOccModel(FastOccConfig.preset("micro", head=head, view=view)).train()
    output = model(*inputs())
    assert output.logits.shape == (1, 20, 20, 8, 18)
    if head != "prior":
        output.logits.square().mean().backward()
        assert all(one.grad is not None for one in model.head.parameters())


@pytest.mark.parametrize("form", [{}, {"form": "literal"}])
def test_form_of_the_head_that_is_gone_is_named(form, tmp_path):
    for name in ("fastocc", "c2h"):
        old = FastOccModel(FastOccConfig.preset("micro", head=name)).eval()
        values = {key: value for key, value in old.config.to_dict().items() if key != "form"}
        write_model(tmp_path / name, values | form, old.state_dict())
    with pytest.raises(InputError, match=r"form 'literal', which is gone.*residual"):
        FastOccModel.from_pretrained(tmp_path / "fastocc")
    if not form:  # of a time when it had no name; other heads never had two
        assert FastOccModel.from_pretrained(tmp_path / "c2h").config.head == "c2h"


def test_wrong_inputs_are_named(model):
    images, inner, outer = inputs()
    model.eval()
    for given, message in (
        ((images[:, :, :, :16], inner, outer), "images"),
        ((images, inner[:, :5], outer), "cam2img"),
        ((images, inner * 0, outer), "singular"),
        ((images, inner * torch.nan, outer), "NaN"),
        ((images, inner, outer * 2), "rotation"),
    ):
        with pytest.raises(InputError, match=message):
            model(*given)
    with pytest.raises(InputError, match="does not look back"):
        model(*inputs(), prev=(torch.zeros(1, 8, 20, 20), torch.eye(4)[None]))


def test_inference_copy_has_no_branch_and_equals_a_model_trained_without():
    torch.manual_seed(0)
    with_branch = FastOccModel(FastOccConfig.preset("micro", segmentation=0.5))
    without = FastOccModel(FastOccConfig.preset("micro", segmentation=0.0))
    bare = with_branch.to_inference()
    assert bare.segmentation is None
    assert with_branch.segmentation is not None
    assert list(bare.state_dict()) == list(without.state_dict())
    without.load_state_dict(bare.state_dict())
    torch.testing.assert_close(bare(*inputs()).logits, without.eval()(*inputs()).logits, rtol=0, atol=0)


def test_queue_of_frames_looks_back_and_trains_the_last_alone():
    torch.manual_seed(0)
    model = FastOccModel(FastOccConfig.preset("micro", view="bevformer")).train()
    images, inner, outer = inputs()
    frame = {"images": images, "cam2img": inner, "cam2ego": outer}
    motion = torch.eye(4)[None]
    output = model.run_queue([frame, {**frame, "motion": motion}, {**frame, "motion": motion}])
    output.logits.mean().backward()
    assert model.view.queries.grad.abs().sum() > 0
    alone = model.eval()(**frame)
    with torch.no_grad():
        assert not torch.allclose(alone.logits, model.run_queue([frame, {**frame, "motion": motion}]).logits)


def test_saved_model_comes_back_bit_for_bit(model, tmp_path):
    model.save_pretrained(tmp_path / "m")
    again = FastOccModel.from_pretrained(tmp_path / "m")
    torch.testing.assert_close(again(*inputs()).logits, model.eval()(*inputs()).logits, rtol=0, atol=0)
    assert json.loads((tmp_path / "m" / "config.json").read_text())["head"] == "dcn-c2h"
    with pytest.raises(ArtifactError, match="exists"):
        model.save_pretrained(tmp_path / "m")
    model.save_pretrained(tmp_path / "m", force=True)
    (tmp_path / "m" / "mine.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"mine\.txt"):
        model.save_pretrained(tmp_path / "m", force=True)


def test_model_in_sixteen_bits_is_half_as_large_and_close(model, tmp_path):
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "half", half=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    again = FastOccModel.from_pretrained(tmp_path / "half")
    torch.testing.assert_close(again(*inputs()).logits, model.eval()(*inputs()).logits, rtol=0.05, atol=0.05)


def test_weights_of_another_grid_or_number_of_classes_are_refused(model, tmp_path):
    model.save_pretrained(tmp_path / "m")
    with pytest.raises(InputError, match="grid micro"):
        FastOccModel.from_pretrained(tmp_path / "m", grid="occ3d")
    with pytest.raises(InputError, match="18 classes"):
        FastOccModel.from_pretrained(tmp_path / "m", num_classes=17)
    with pytest.raises(ArtifactError, match="nowhere"):
        FastOccModel.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"view": "magic"}, "view"),
        ({"loss": "focal"}, "sigmoid"),
        ({"depth": 1.0}, "lss"),
        ({"cameras": 0}, "cameras"),
        ({"queue": 3}, "queue"),
        ({"balance": 0.3, "loss": "strong"}, "balance"),
        ({"colour": 1}, "colour"),
        ({"backbone": "x", "view": "y"}, "backbone.*view"),
    ],
)  # fmt: skip
def test_wrong_configuration_names_all_that_is_wrong(changes, message):
    with pytest.raises(InputError, match=message):
        FastOccConfig.preset("mini", **changes)


def test_presets_are_complete_and_large_ones_have_the_published_widths():
    for name in PRESETS:
        assert FastOccConfig.from_dict(FastOccConfig.preset(name).to_dict()) == FastOccConfig.preset(name)
    large = FastOccConfig.preset("openocc-r50")
    assert (large.num_classes, large.activation, large.spec.shape) == (16, "sigmoid", (200, 200, 16))
    assert FastOccConfig.preset("occ3d-r50").num_classes == 18


def test_another_head_starts_from_its_own_widths():
    mini = FastOccConfig.preset("mini")
    assert (mini.head, mini.width, mini.hidden) == ("dcn-c2h", 64, 206)
    flat = FastOccConfig.preset("mini", head="c2h")
    assert (flat.width, flat.hidden) == (0, 0)
    assert mini.with_head("c2h", hidden=229).hidden == 229
    assert mini.with_head("dcn-c2h", depth=0.0) == mini
    assert build_head("c2h", flat).conv[0].out_channels == mini.bev_channels
    assert build_head("dcn-c2h", mini).conv[0].weight.shape[0] == 64
    assert build_head("c2h", mini).conv[0].out_channels == mini.bev_channels  # widths are of the configuration's head


def test_torchvision_weights_freeze_the_first_stage(tmp_path):
    import torchvision

    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "r18.pth")
    model = FastOccModel(FastOccConfig.preset("micro", backbone="resnet18"), str(tmp_path / "r18.pth")).train()
    assert not any(one.requires_grad for one in model.images.body.stages[0].parameters())
    assert not model.images.body.stages[3][0].bn1.training


def test_wrong_backbone_files_are_one_line_each(tmp_path):
    import torchvision

    config = FastOccConfig.preset("micro", backbone="resnet18")
    with pytest.raises(ArtifactError, match="not there"):
        FastOccModel(config, str(tmp_path / "gone.pth"))
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), tmp_path / "r34.pth")
    with pytest.raises(InputError, match=r"r34\.pth.*resnet18"):
        FastOccModel(config, str(tmp_path / "r34.pth"))
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ArtifactError, match="plain tensors"):
        FastOccModel(config, str(tmp_path / "text.pth"))


def test_head_that_needs_height_is_refused_on_a_flat_view():
    with pytest.raises(InputError, match="needs height"):
        FastOccModel(FastOccConfig.preset("micro", head="bevdet-occ"))
