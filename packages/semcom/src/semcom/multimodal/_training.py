"""Training of the second system: image features, text and picture towers, the diffusion on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor

from semcom.datasets import Captioned, caption
from semcom.models import JsccCoder, JsccConfig
from semcom.multimodal._features import cut, filled, sent_places
from semcom.multimodal._schedule import cosine_alphabar, mix, velocity
from semcom.multimodal._text_features import ClipConfig, SmallClip, byte_tokens
from semcom.multimodal._unet import Condition, Unet, UnetConfig
from semcom.training import Recipe, fit
from semcom.training._recipe import augment, draw_batch, picture_tensor

TEMPLATES = 5
_CLASS_SHARE, _BLUR_SHARE = 0.3, 0.3  # of captions that name the class, of pictures that are blurred, for the towers


@dataclass(frozen=True, kw_only=True)
class MMRecipe(Recipe):
    """How a part is trained.

    Attributes:
        symbols: complex symbols of the picture, without its text's (features and diffusion).
        size: height and width of pictures that are cut into tiles.
        whole: share of the steps of the features in which all symbols are sent; in others a random number of them.
        no_text, no_coarse: share of pictures whose text or coarse picture is kept from the diffusion.
        exact_text: share of texts that meet no noise, as coded texts do.
        own_vector: share of texts in whose place the picture's own vector stands.
    """

    snr_high: float = 15.0
    symbols: int = 120
    size: int = 32
    whole: float = 0.5
    no_text: float = 0.1
    no_coarse: float = 0.1
    exact_text: float = 0.2
    own_vector: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("whole", "no_text", "no_coarse", "exact_text", "own_vector"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(name, got=getattr(self, name), expected="a share in [0, 1]")
        if self.size < 4 or self.size % 4:
            raise InputError("size", got=self.size, expected="a multiple of 4")


def train_features(images: np.ndarray, config: JsccConfig, recipe: MMRecipe, run: Run) -> JsccCoder:
    """Train a coder whose first `recipe.symbols` symbols of the fixed order are sent, or fewer; resumes what is there.

    Args:
        images: (n, H, W, 3) uint8, sides a multiple of four.
    """
    torch.manual_seed(recipe.seed)
    model, data, symbols = JsccCoder(config), picture_tensor(images), recipe.symbols
    height, width = data.shape[2:]
    count = 2 * model.symbols(height, width)
    sent_places(model, symbols, (height, width))  # refuses what does not fit

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = draw_batch(data, recipe.batch, generator)
        snr = recipe.snrs(len(batch), generator)
        number, least = symbols, max(1, symbols // 8)
        if float(torch.rand((), generator=generator)) >= recipe.whole:
            number = int(torch.randint(least, symbols + 1, (), generator=generator))
        places = sent_places(model, number, (height, width))
        with recipe.products():
            coarse = _through(model, model.encode(batch, snr), places, snr, count, (height, width), generator)
        return recipe.loss_of(coarse, batch, 0.1, 1e-5)

    fit(model, loss_of, recipe, run)
    return model


def _through(
    coder: JsccCoder, reals: Tensor, places: np.ndarray, snr: Tensor, count: int, size: tuple[int, int],
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """What the noisy link makes of a coder's reals: cut, AWGN, shrinkage, coarse picture (B, 3, H, W)."""
    sent = cut(reals, places)
    variance = (10 ** (-snr / 10))[:, None]
    noisy = (sent + variance.sqrt() * torch.randn(sent.shape, generator=generator)) / (1 + variance)
    return coder.decode(filled(noisy, places, count), snr, *size)


def train_clip(data: Captioned, config: ClipConfig, recipe: MMRecipe, run: Run) -> SmallClip:
    """Train both towers by InfoNCE; pictures of the same noun count as each other's. Resumes what is there."""
    torch.manual_seed(recipe.seed)
    model, images = SmallClip(config), picture_tensor(data.images)
    nouns = sorted({*data.nouns, *data.classes})
    number = {noun: place for place, noun in enumerate(nouns)}
    own = torch.tensor([number[noun] for noun in data.nouns])
    group = torch.tensor([number[data.classes[label]] for label in data.labels])
    tokens = torch.stack([byte_tokens([caption(noun, t) for noun in nouns], config.length) for t in range(TEMPLATES)])

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        at = torch.randint(len(images), (recipe.batch,), generator=generator)
        batch = augment(images[at], generator)
        blurred = F.interpolate(F.avg_pool2d(batch, 2), scale_factor=2.0, mode="bilinear")
        blur = torch.rand(len(batch), generator=generator) < _BLUR_SHARE
        batch = torch.where(blur[:, None, None, None], blurred, batch)
        by_class = torch.rand(len(batch), generator=generator) < _CLASS_SHARE
        noun = torch.where(by_class, group[at], own[at])
        template = torch.randint(TEMPLATES, (len(batch),), generator=generator)
        with recipe.products():
            seen, read = model.image_vectors(batch).float(), model.text_vectors(tokens[template, noun]).float()
        logits = seen @ read.T * model.log_scale.clamp(max=4.6).exp()
        same = (noun[:, None] == noun[None]).float()
        target = same / same.sum(dim=1, keepdim=True)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        right = same.gather(1, logits.argmax(dim=1, keepdim=True)).mean()
        return loss, {"right": float(right)}

    fit(model, loss_of, recipe, run)
    return model


def train_diffusion(
    data: Captioned, coder: JsccCoder, clip: SmallClip, config: UnetConfig, recipe: MMRecipe, run: Run
) -> Unet:
    """Train the denoiser on coarse pictures and texts that the noisy link gives; resumes what is there.

    Args:
        data: pictures with captions.
        coder, clip: trained features, which stay as they are.
    Returns: the denoiser, with the mean of its weights if the recipe has `average`.
    """
    if config.text_dim != clip.dim:
        raise InputError("text_dim", got=config.text_dim, expected=f"{clip.dim}, as the text features have")
    torch.manual_seed(recipe.seed)
    coder, clip = coder.eval().requires_grad_(False), clip.eval().requires_grad_(False)
    unet, images, table = Unet(config), picture_tensor(data.images), cosine_alphabar()
    height, width = images.shape[2:]
    count = 2 * coder.symbols(height, width)
    places = sent_places(coder, recipe.symbols, (height, width))
    scale = float(np.sqrt(clip.dim))
    nouns = sorted(set(data.nouns))
    number = {noun: place for place, noun in enumerate(nouns)}
    whose = torch.tensor([number[noun] for noun in data.nouns])
    texts = np.stack([clip.embed_text([caption(noun, t) for noun in nouns]) for t in range(TEMPLATES)])
    vectors = scale * torch.from_numpy(texts)

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        size = recipe.batch

        def happens(chance: float) -> Tensor:
            return torch.rand(size, generator=generator) < chance

        at = torch.randint(len(images), (size,), generator=generator)
        batch = augment(images[at], generator)
        snr = recipe.snrs(size, generator)
        with torch.no_grad():
            reals = coder.encode(batch, snr)
            coarse = _through(coder, reals, places, snr, count, (height, width), generator).clamp(0, 1)
            text = vectors[torch.randint(TEMPLATES, (size,), generator=generator), whose[at]]
            text = torch.where(happens(recipe.own_vector)[:, None], scale * clip.image_vectors(batch), text)
            variance = torch.where(happens(recipe.exact_text), torch.zeros(()), 10 ** (-snr / 10))[:, None]
            text = (text + variance.sqrt() * torch.randn(text.shape, generator=generator)) / (1 + variance)
        condition = Condition(coarse, ~happens(recipe.no_coarse), text, ~happens(recipe.no_text), snr)
        clean = unet.residual(batch, condition)
        noise = torch.randn(clean.shape, generator=generator)
        alphabar = table[torch.randint(len(table), (size,), generator=generator)]
        with recipe.products():
            predicted = unet(mix(clean, noise, alphabar), alphabar, condition)
        return ((predicted.float() - velocity(clean, noise, alphabar)) ** 2).mean(), {}

    fit(unet, loss_of, recipe, run)
    return unet
