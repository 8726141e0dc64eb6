"""Small models for tests: state dicts and checkpoint files."""

import torch
from safetensors.torch import save_file


def pair(seed=0, dtype=torch.float32):
    """(base, fine-tuned) state dicts with a bit of everything: weights, norms, a scalar, buffers, integers, a head."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    base = {
        "embed.weight": draw(50, 16),
        "layer.weight": draw(16, 16),
        "layer.bias": draw(16),
        "norm.weight": torch.ones(16),
        "bn.running_mean": draw(16),
        "bn.running_var": draw(16).abs(),
        "bn.num_batches_tracked": torch.tensor(3),
        "logit_scale": torch.tensor(4.6),
        "empty": torch.zeros(0, 4),
        "position_ids": torch.arange(50),
        "classifier.weight": draw(2, 16),
    }
    tuned = {name: value.clone() for name, value in base.items()}
    for name in ("layer.weight", "layer.bias", "bn.running_mean", "bn.running_var", "logit_scale"):
        tuned[name] = tuned[name] + 0.1 * draw(*tuned[name].shape)
    tuned["embed.weight"][3:9] += 0.1 * draw(6, 16)
    tuned["bn.num_batches_tracked"] += 7
    tuned["classifier.weight"] = draw(3, 16)
    return tuple(
        {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
        for state in (base, tuned)
    )


def write(folder, state, name="model.safetensors"):
    """Save a state dict as a checkpoint folder; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, folder / name)
    return folder


def contents(folder):
    """File name -> bytes of a folder."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
