"""Train models of BitNet b1.58's shape in torch, with the weights and inputs that `TernaryLM` runs (arXiv 2402.17764).

`ternarize` turns the linear layers of any module into ternary ones, which each estimator of this package trains;
`BitNet` is a small language model to begin with, and `BitNet.packed` the `TernaryLM` of what was trained.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.language._quantization import ONLINE
from bnn_fsg.language._transformer import Shape, TernaryLM, _linear_sizes, _norm_sizes
from bnn_fsg.layers._layers import binary_layers
from bnn_fsg.layers._ternary import ternarize

__all__ = ["BitNet", "Shape", "bits_a_token", "ternarize", "train_text"]


class BitNet(nn.Module):
    """A language model in float32 of the shape that `TernaryLM` runs, its head tied to the embedding.

    Parameters are named as in transformers' `BitNetForCausalLM`. The embedding is used as float16 has it, as files do.

    Examples:
        >>> import torch
        >>> from bnn_fsg.language.training import BitNet, Shape, ternarize

        >>> seed = torch.manual_seed(0)
        >>> shape = Shape(
        ...     vocab_size=96, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2,
        ...     num_key_value_heads=1,
        ... )
        >>> model = ternarize(BitNet(shape)).eval()  # to be trained first
        >>> lm, tokens = model.packed(), torch.tensor([5, 7, 9])
        >>> with torch.no_grad():
        ...     bool((model(tokens[None])[0] - torch.from_numpy(lm(tokens.numpy()))).abs().max() < 1e-3)
        True
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        parts: dict[str, nn.Module] = {"model.embed_tokens": nn.Embedding(shape.vocab_size, shape.hidden_size)}
        for name, (outputs, inputs) in _linear_sizes(shape).items():
            parts[name] = nn.Linear(inputs, outputs, bias=False)
        for part in parts.values():
            nn.init.normal_(part.weight, std=0.02)  # type: ignore[arg-type]
        for name, size in _norm_sizes(shape).items():
            parts[name] = nn.RMSNorm(size, shape.rms_norm_eps)
        for name, part in parts.items():
            *path, leaf = name.split(".")
            parent: nn.Module = self
            for step in path:
                if step not in parent._modules:
                    parent.add_module(step, nn.Module())
                parent = parent.get_submodule(step)
            parent.add_module(leaf, part)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (n, length), whole numbers -> logits (n, length, vocabulary) of what follows each."""
        part, shape = self.get_submodule, self.shape
        table: Any = part("model.embed_tokens").weight
        table = table + (table.half().float() - table).detach()
        half = torch.arange(0, shape.head, 2, device=tokens.device) / shape.head
        angles = torch.arange(tokens.shape[1], device=tokens.device)[:, None] / shape.rope_theta**half
        turns, x = (angles.cos(), angles.sin()), F.embedding(tokens, table)
        for index in range(shape.num_hidden_layers):
            at = f"model.layers.{index}."
            y = part(f"{at}input_layernorm")(x)
            heads = (part(f"{at}self_attn.{one}_proj")(y).unflatten(-1, (-1, shape.head)) for one in "qkv")
            q, k, v = (one.transpose(1, 2) for one in heads)
            y = F.scaled_dot_product_attention(
                _turned(q, *turns), _turned(k, *turns), v, is_causal=True, enable_gqa=True
            )
            y = part(f"{at}self_attn.attn_sub_norm")(y.transpose(1, 2).flatten(2))
            x = x + part(f"{at}self_attn.o_proj")(y)
            y = part(f"{at}post_attention_layernorm")(x)
            y = part(f"{at}mlp.gate_proj")(y).relu().square() * part(f"{at}mlp.up_proj")(y)
            x = x + part(f"{at}mlp.down_proj")(part(f"{at}mlp.ffn_sub_norm")(y))
        return part("model.norm")(x) @ table.T

    def packed(self, **how: Any) -> TernaryLM:
        """The trained model on two bits a weight; `how`: threads and backend. InputError before `ternarize`."""
        binary_layers(self)
        state = {name: one.detach().cpu().numpy() for name, one in self.state_dict().items()}
        config = {**asdict(self.shape), "tie_word_embeddings": True, "quantization_config": ONLINE}
        return TernaryLM.of_tensors(config, state.get, **how)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions, as in `_transformer`."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)


def train_text(gradient: Gradient, tokens: np.ndarray, *, steps: int, batch: int, length: int, seed: int) -> None:
    """Train the estimator's model to say the next token, on windows of a text drawn by `seed`; the rate falls to 0.

    Args:
        gradient: an estimator over what `ternarize` made, or `Plain` over a float model.
        tokens: (n,) whole numbers.
        steps, batch: how many steps, of how many windows each.
        length: tokens of a window.
    """
    draw, groups = np.random.default_rng(seed), gradient.optimizer.param_groups
    first = [group["lr"] for group in groups]
    gradient.model.train()
    for step in range(steps):
        starts = draw.integers(0, len(tokens) - length, batch)
        windows = torch.from_numpy(np.stack([tokens[start : start + length + 1] for start in starts]).astype(np.int64))
        for group, lr in zip(groups, first, strict=True):
            group["lr"] = lr * min(1, 20 * (step + 1) / steps) * (1 - step / steps)
        gradient.set_progress(step / steps)
        gradient.step(lambda windows=windows: _loss(gradient.model, windows))
    gradient.model.eval()


def _loss(model: nn.Module, windows: Tensor) -> Tensor:
    return F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


@torch.no_grad()
def bits_a_token(model: nn.Module | TernaryLM, tokens: np.ndarray, length: int) -> float:
    """Mean of -log2 of the probability that a model gives each next token, in windows of `length` tokens in turn."""
    count = (len(tokens) - 1) // length
    found = []
    for start in range(0, count * length, length):
        given, after = (torch.from_numpy(tokens[start + at : start + at + length].astype(np.int64)) for at in (0, 1))
        logits = torch.from_numpy(model(given.numpy())) if isinstance(model, TernaryLM) else model(given[None])[0]
        found.append(float(F.cross_entropy(logits, after)))
    return sum(found) / count / math.log(2)
