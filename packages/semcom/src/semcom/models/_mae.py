"""A small masked autoencoder whose encoder output is sent over a channel (He et al. 2022, section 3; sizes are ours).

The encoder ends in a LayerNorm without weights: each token then has mean 0 and variance 1, so each picture has unit
power and no statistic of a picture has to reach the receiver.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn

from semcom.links import Settings


@dataclass(frozen=True)
class MaeConfig(Settings):
    """Sizes of a `SmallMae`."""

    image_size: int = 32
    patch_size: int = 4
    dim: int = 128
    depth: int = 4
    heads: int = 4
    decoder_dim: int = 128
    decoder_depth: int = 2
    decoder_heads: int = 4

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise InputError("image_size", got=self.image_size, expected=f"a multiple of patch_size {self.patch_size}")
        for width, heads in ((self.dim, self.heads), (self.decoder_dim, self.decoder_heads)):
            if width % (2 * heads) or width % 4:
                raise InputError("width", got=width, expected=f"a multiple of 4 and of twice the {heads} heads")


def sincos_positions(grid: int, width: int) -> Tensor:
    """Fixed 2-D sine-cosine positions of a grid x grid picture, raster order: (grid * grid, width), float32."""
    omega = 1 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    y, x = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    parts = []
    for axis in (x, y):
        angles = axis.reshape(-1, 1).double() * omega
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, dim=1).float()


def patchify(images: Tensor, size: int) -> Tensor:
    """(B, 3, H, W) -> (B, patches in raster order, size * size * 3), pixels row by row with channels last."""
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, height // size, size, width // size, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size * channels)


def unpatchify(patches: Tensor, size: int, height: int, width: int) -> Tensor:
    """Inverse of `patchify`: (B, N, size * size * 3) -> (B, 3, height, width)."""
    batch = patches.shape[0]
    cut = patches.reshape(batch, height // size, width // size, size, size, -1)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, height, width)


def gather_tokens(tokens: Tensor, kept: Tensor) -> Tensor:
    """Rows `kept` (B, n) of tokens (B, N, D): (B, n, D)."""
    return tokens.gather(1, kept.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


class _Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width)
        x = x + self.proj(mixed)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class SmallMae(nn.Module):
    """Masked autoencoder for square pictures with pixels in [0, 1]."""

    kind = "semcom.mae"

    def __init__(self, config: MaeConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or MaeConfig()
        grid, pixels = c.image_size // c.patch_size, 3 * c.patch_size**2
        self.patch_embed = nn.Linear(pixels, c.dim)
        self.cls = nn.Parameter(torch.zeros(c.dim))
        self.blocks = nn.ModuleList([_Block(c.dim, c.heads) for _ in range(c.depth)])
        self.decoder_embed = nn.Linear(c.dim, c.decoder_dim)
        self.mask_token = nn.Parameter(0.02 * torch.randn(c.decoder_dim))
        self.decoder_blocks = nn.ModuleList([_Block(c.decoder_dim, c.decoder_heads) for _ in range(c.decoder_depth)])
        self.decoder_norm = nn.LayerNorm(c.decoder_dim)
        self.head = nn.Linear(c.decoder_dim, pixels)
        self.positions: Tensor
        self.decoder_positions: Tensor
        self.register_buffer("positions", sincos_positions(grid, c.dim), persistent=False)
        self.register_buffer("decoder_positions", sincos_positions(grid, c.decoder_dim), persistent=False)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.config.image_size

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self.config.patch_size

    @property
    def num_patches(self) -> int:
        """Patches of a picture."""
        return (self.image_size // self.patch_size) ** 2

    def width(self, tap: str) -> int:
        """Real numbers a token at that tap: `encoder` or `decoder_embed`."""
        return self.config.dim if tap == "encoder" else self.config.decoder_dim

    def encode(self, images: Tensor, kept: Tensor) -> Tensor:
        """Normalised latents of the kept patches, the class token first.

        Args:
            images: (B, 3, H, W) in [0, 1].
            kept: (B, n) indices of kept patches, ascending.
        Returns: (B, n + 1, dim), each token with mean 0 and variance 1.
        """
        tokens = self.patch_embed((gather_tokens(patchify(images, self.patch_size), kept) - 0.47) / 0.25)
        tokens = tokens + self.positions[kept]
        x = torch.cat([self.cls.expand(len(tokens), 1, -1), tokens], dim=1)
        for block in self.blocks:
            x = block(x)
        return F.layer_norm(x, x.shape[-1:])

    def embed(self, latents: Tensor) -> Tensor:
        """The decoder's first linear map: (B, n + 1, dim) -> (B, n + 1, decoder_dim)."""
        return self.decoder_embed(latents)

    def mask_tokens(self) -> Tensor:
        """Dictionary of what the decoder reads at each masked patch, A = 1 m^T + P: (N, decoder_dim)."""
        return self.mask_token + self.decoder_positions

    def decode(self, tokens: Tensor, kept: Tensor) -> Tensor:
        """Picture from embedded tokens: (B, n + 1, decoder_dim) and (B, n) -> (B, 3, H, W), not clamped."""
        width = tokens.shape[-1]
        full = self.mask_tokens().to(tokens.dtype).expand(len(tokens), -1, -1)
        seen = tokens[:, 1:] + self.decoder_positions[kept].to(tokens.dtype)
        full = full.scatter(1, kept.unsqueeze(-1).expand(-1, -1, width), seen)
        x = torch.cat([tokens[:, :1], full], dim=1)
        for block in self.decoder_blocks:
            x = block(x)
        patches = self.head(self.decoder_norm(x[:, 1:])).float() * 0.25 + 0.47
        return unpatchify(patches, self.patch_size, self.image_size, self.image_size)
