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
from bnn_fsg.language._transformer import Shape, TernaryLM
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
        layers = nn.ModuleList(_Block(shape) for _ in range(shape.num_hidden_layers))
        embedding = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.model = nn.ModuleDict({"embed_tokens": embedding, "layers": layers, "norm": _norm(shape)})
        for name, one in self.named_parameters():
            if "norm" not in name:
                nn.init.normal_(one, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (n, length), whole numbers -> logits (n, length, vocabulary) of what follows each."""
        table = self.model["embed_tokens"].weight
        table = table + (table.half().float() - table).detach()
        half = torch.arange(0, self.shape.head, 2, device=tokens.device) / self.shape.head
        angles = torch.arange(tokens.shape[1], device=tokens.device)[:, None] / self.shape.rope_theta**half
        x = F.embedding(tokens, table)
        for layer in self.model["layers"]:  # type: ignore[union-attr]
            x = layer(x, angles.cos(), angles.sin())
        return self.model["norm"](x) @ table.T

    def packed(self, **how: Any) -> TernaryLM:
        """The trained model on two bits a weight; `how`: threads and backend. InputError before `ternarize`."""
        binary_layers(self)
        state = {name: one.detach().cpu().numpy() for name, one in self.state_dict().items()}
        return TernaryLM.of_tensors({**asdict(self.shape), "tie_word_embeddings": True}, state.get, **how)


class _Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn, self.mlp = _Attention(shape), _Gated(shape)
        self.input_layernorm, self.post_attention_layernorm = _norm(shape), _norm(shape)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        hidden, keys = shape.hidden_size, shape.num_key_value_heads * shape.head
        sizes = hidden, keys, keys, hidden
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(hidden, out, bias=False) for out in sizes)
        self.attn_sub_norm, self.head = _norm(shape), shape.head

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        parts = (one(x).unflatten(-1, (-1, self.head)).transpose(1, 2) for one in (self.q_proj, self.k_proj, self.v_proj))
        queries, keys, values = parts
        queries, keys = (_turned(one, cosine, sine) for one in (queries, keys))
        mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
        return self.o_proj(self.attn_sub_norm(mixed.transpose(1, 2).flatten(2)))


class _Gated(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        hidden, wide = shape.hidden_size, shape.intermediate_size
        self.gate_proj, self.up_proj = nn.Linear(hidden, wide, bias=False), nn.Linear(hidden, wide, bias=False)
        self.down_proj, self.ffn_sub_norm = nn.Linear(wide, hidden, bias=False), _norm(shape, wide)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.ffn_sub_norm(self.gate_proj(x).relu().square() * self.up_proj(x)))


def _norm(shape: Shape, size: int | None = None) -> nn.Module:
    return nn.RMSNorm(size or shape.hidden_size, shape.rms_norm_eps)


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
