"""BEV history: one frame after another equals the clip bit for bit, in torch and in onnxruntime; and it is aligned."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from fastocc import CameraRig, FastOccConfig, FastOccModel, GridSpec, OccDataset
from fastocc.evaluation import predict_frame
from fastocc.export import OnnxGraph, export_model, node_types
from fastocc.training import TrainConfig, train
from fastocc.views import BevHistory, warp_previous
from ninefold.errors import InputError

RIG, SIZE = CameraRig.nominal(32, 64), (32, 64)


def network(view: str, frames: int = 3, change=None, **more) -> FastOccModel:
    """Drawn weights with normalised features and a fusion that does something."""
    torch.manual_seed(0)
    model = FastOccModel(FastOccConfig.preset("micro", view=view, history=frames, **more))
    if change is not None:
        change(model)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    torch.nn.init.normal_(model.history.mix[-1].weight, std=0.3)
    model.train()
    model.run_queue(clip(3, 1))
    return model.eval()


def clip(count: int, batch: int, seed: int = 3) -> list[dict[str, torch.Tensor]]:
    """Frames of a turning vehicle, as arguments of the model with `motion` from the second on."""
    draw = torch.Generator().manual_seed(seed)
    inner, outer = (torch.from_numpy(one)[None].repeat(batch, 1, 1, 1) for one in (RIG.cam2img, RIG.cam2ego))
    frames = []
    for at in range(count):
        images = torch.randint(0, 256, (batch, 6, 3, *SIZE), generator=draw)
        turn = torch.tensor(0.05 * at)
        motion = torch.eye(4).repeat(batch, 1, 1)
        motion[:, 0, 0], motion[:, 0, 1], motion[:, 1, 0], motion[:, 1, 1] = (
            turn.cos(),
            -turn.sin(),
            turn.sin(),
            turn.cos(),
        )
        motion[:, 0, 3] = 0.7 + at
        frames.append({"images": images, "cam2img": inner, "cam2ego": outer} | ({"motion": motion} if at else {}))
    return frames


@pytest.mark.parametrize("view", ["lut", "lss", "bevdet"])
@torch.no_grad()
def test_streamed_frames_equal_the_clip_bit_for_bit(view):
    model, frames = network(view), clip(5, 1)
    state, streamed = None, []
    for frame in frames:
        inputs = {key: one for key, one in frame.items() if key != "motion"}
        output = model(**inputs, prev=None if state is None else (state, frame["motion"]))
        state = output.state
        streamed.append(output)
    for end in range(1, len(frames) + 1):
        whole = model.run_queue(frames[max(0, end - 3) : end])  # the window is all that matters
        assert torch.equal(whole.logits, streamed[end - 1].logits)
    assert not torch.equal(streamed[4].logits, model.run_queue(frames[4:]).logits)
    assert not torch.equal(streamed[4].logits, model.run_queue(frames[3:]).logits)
    pair = [
        {key: torch.cat([one, two[key]]) for key, one in frame.items()}
        for frame, two in zip(frames[2:], clip(5, 1, seed=9)[2:], strict=True)
    ]
    torch.testing.assert_close(model.run_queue(pair).logits[:1], streamed[4].logits, atol=1e-3, rtol=1e-3)


class _Recorded(torch.nn.Module):
    """Stands for the fusion: keeps what it is given, adds nothing."""

    stack: torch.Tensor

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        self.stack = stack
        return torch.zeros_like(stack[:, :2])


def test_history_of_a_still_scene_is_the_scene_wherever_the_vehicle_went():
    """A BEV painted in the world, seen from moving poses, comes back at its cells."""
    grid = GridSpec.named("micro")
    fuse, recorded = BevHistory(2, 3, grid), _Recorded()
    fuse.mix = recorded
    cells, world, state = [0, 2, 5], torch.rand(2, 20, 40), None
    bevs = [world[:, :, cell : cell + 20][None] for cell in cells]
    for at, bev in enumerate(bevs):
        motion = torch.eye(4)[None].clone()
        motion[0, 0, 3] = grid.voxel[0] * (cells[at] - cells[at - 1])
        _, state = fuse(bev, None if state is None else (state, motion))
    _, *seen = recorded.stack.split(2, 1)
    assert torch.allclose(seen[0][..., :17], bevs[2][..., :17], atol=1e-5)  # three cells ahead of the second pose
    assert torch.allclose(seen[1][..., :15], bevs[2][..., :15], atol=1e-5)
    assert (seen[1][..., 16:] == 0).all()


def test_old_folders_have_no_history_and_answer_the_same(tmp_path):
    torch.manual_seed(0)
    model = FastOccModel(FastOccConfig.preset("micro")).eval()
    model.save_pretrained(tmp_path / "m")
    text = (tmp_path / "m" / "config.json").read_text()
    values = FastOccConfig.preset("micro").to_dict()
    assert '"history": 1' in text
    del values["history"]
    assert FastOccConfig.from_dict(values) == model.config
    assert not [name for name in model.state_dict() if "history" in name]


def test_fusion_starts_as_the_network_without_it():
    torch.manual_seed(0)
    plain = FastOccModel(FastOccConfig.preset("micro")).eval()
    fused = FastOccModel(FastOccConfig.preset("micro", history=2)).eval()
    fused.load_state_dict(plain.state_dict(), strict=False)
    frames = clip(2, 1)
    last = {key: one for key, one in frames[1].items() if key != "motion"}
    with torch.no_grad():
        assert torch.equal(fused.run_queue(frames).logits, plain(**last).logits)


def test_sequences_are_trained_and_predicted(street, tmp_path):
    config = FastOccConfig.preset("micro", history=2)
    model = train(tmp_path / "run", config, TrainConfig.for_preset("micro", steps=6), OccDataset(street, split="train"))
    assert model.history.mix[-1].weight.abs().sum() > 0
    data = OccDataset(street, split="val")
    alone = OccDataset(street, split="val")
    alone.previous = lambda at, count: []
    torch.nn.init.normal_(model.history.mix[-1].weight, std=1.0)
    assert np.array_equal(predict_frame(model, data, 0), predict_frame(model, alone, 0))
    assert not np.array_equal(predict_frame(model, data, 1), predict_frame(model, alone, 1))


@pytest.mark.parametrize("view", ["lut", "lss"])
def test_graph_carries_its_state(view, exporter, without_plain_layers, tmp_path):
    pytest.importorskip("onnxscript")
    model = network(view, change=partial(without_plain_layers, norms=False), depth_step=4.0)
    frames = clip(4, 1)
    path = export_model(model, RIG, tmp_path / "onnx", backend="native", logits=True)
    assert not {"ScatterND", "ScatterElements"} & set(node_types(path))
    graph, state = OnnxGraph(path), None
    for frame in frames:
        inputs = {key: one for key, one in frame.items() if key != "motion"}
        with torch.no_grad():
            output = model(**inputs, prev=None if state is None else (state, frame["motion"]))
        motion = None if state is None else frame["motion"][0].numpy()
        state = output.state
        made = graph(frame["images"].numpy(), motion)
        assert np.abs(made - output.logits.numpy()).max() < 1e-3 * output.logits.abs().max()
        assert np.abs(graph.state["state_bev"] - state.bev.numpy()).max() < 1e-3
    assert np.abs(graph(frames[-1]["images"].numpy()) - made).max() > 1e-2  # without motion it starts anew


def test_history_where_it_has_no_use_is_refused():
    with pytest.raises(InputError, match=r"history 2.*bevformer has queue"):
        FastOccConfig.preset("micro", view="bevformer", history=2)
    with pytest.raises(InputError, match="history 0"):
        FastOccConfig.preset("micro", history=0)
    plain = FastOccModel(FastOccConfig.preset("micro")).eval()
    frame = clip(1, 1)[0]
    with pytest.raises(InputError, match=r"prev.*without history"):
        plain(**frame, prev=(torch.zeros(1, 8, 20, 20), torch.eye(4)[None]))
    assert replace(plain.config, history=2).frames == 2
    assert warp_previous(torch.ones(1, 1, 20, 20), torch.eye(4)[None], GridSpec.named("micro")).sum() > 399
