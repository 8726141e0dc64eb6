"""A stranger's coder in the comparison: power, pairing, counting, channels, LaTeX, CSV and PDF."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold_testing import run_here
from PIL import Image
from semcom import compare, train
from semcom.datasets import embedded_photographs
from semcom.evaluation import psnr
from semcom.phy import Channel, Modulation
from semcom.whole import Constrained, UserLink, carry_picture, ratio_of


class Thumbnail:
    """A coder of reals: means of 4 x 4 pixels, scaled to about unit power."""

    scale, kind = 0.25, torch.float32

    def encode(self, pictures):
        return 7 * (torch.nn.functional.avg_pool2d(pictures, 4) - 0.5)

    def decode(self, received, size, snr):
        assert received.dtype == self.kind
        assert snr.shape == (len(received),)
        return torch.nn.functional.interpolate(received * self.scale + 0.5, size)


class Complex(Thumbnail):
    """The same in complex symbols, as numpy arrays."""

    kind = torch.complex64

    def encode(self, pictures):
        means = (torch.nn.functional.avg_pool2d(pictures, 4) - 0.5).numpy()
        return means[..., ::2] + 1j * means[..., 1::2]

    def decode(self, received, size, snr):
        assert received.dtype == self.kind
        means = torch.stack([received.real, received.imag], dim=-1).flatten(-2)
        return torch.nn.functional.interpolate(2**0.5 * self.scale * means + 0.5, size)


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = torch.nn.Conv2d(3, 8, 4, 4), torch.nn.ConvTranspose2d(8, 3, 4, 4)

    def encode(self, pictures, snr):
        assert snr.shape == (len(pictures),)
        return self.down(pictures)

    def decode(self, received, size, snr):
        return self.up(received)


@pytest.fixture(scope="module")
def pictures():
    return list(embedded_photographs().values())[:2]


def test_reals_and_complex_numbers_are_the_same_link(pictures):
    links = [UserLink(kind(), ratio_of(kind(), pictures[0])) for kind in (Thumbnail, Complex)]
    assert links[0].symbols(96, 128) == links[1].symbols(96, 128) == 96 * 128 * 3 // 32
    sent = [link.send(pictures[0], 5.0) for link in links]
    np.testing.assert_allclose(sent[0], sent[1], atol=1e-5)
    assert np.mean(np.abs(sent[0]) ** 2) == pytest.approx(1, abs=1e-5)
    drawn = [carry_picture(link, pictures[0], Channel(), 20.0, np.random.default_rng(0)).astype(int) for link in links]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1


def test_rivals_get_the_coder_s_number_of_symbols_and_the_best_stands_first(pictures):
    result = compare({"mine": Thumbnail(), "AVIF": "avif", "SoftCast": "softcast"}, pictures, snrs=(0, 12), seeds=2)
    for place, picture in enumerate(pictures):
        assert {row["symbols"] for row in result.rows if row["picture"] == place} == {picture.size // 32}
    assert len(result.rows) == 3 * 2 * 2 * 2
    assert result.table().rows[0][0] == "AVIF"
    assert result.mean()["mine"][12.0][0] > result.mean()["mine"][0.0][0]


def test_a_code_over_a_fading_channel_has_its_best_rate(pictures):
    result = compare({"mine": Thumbnail(), "JPEG": "jpeg"}, pictures[:1], "rayleigh:block=64", snrs=(8,))
    rates = {row["rate"] for row in result.rows if row["coder"] == "JPEG"}
    assert len(rates) == 1
    assert rates != {None}
    grey = psnr(np.full((1, *pictures[0].shape), 128, np.uint8), pictures[0][None])[0]
    assert result.mean()["JPEG"][8.0][0] > grey + 1  # a rate for the mean SNR alone would fail


def test_latex_csv_and_figure_have_all_coders(pictures, tmp_path):
    result = compare({"my_coder": Thumbnail(), "linear": "linear"}, pictures, snrs=(5,))
    latex = result.to_latex()
    assert latex.startswith("\\begin{tabular}{lr}")
    assert "my\\_coder" in latex
    assert latex.count("\\mathbf") == 1
    result.to_csv(tmp_path / "rows.csv")
    assert len(list(csv.DictReader((tmp_path / "rows.csv").open()))) == 4
    result.figure().savefig(tmp_path / "psnr.pdf")
    assert (tmp_path / "psnr.pdf").read_bytes()[:4] == b"%PDF"


@pytest.mark.parametrize("channel", ["awgn", "rayleigh:block=64", "ofdm"])
def test_training_goes_through_the_channel_and_helps(channel, pictures):
    before = compare({"mine": Small()}, pictures, channel, snrs=(10,)).mean()["mine"][10.0][0]
    coder = train(Small(), pictures, channel, steps=40, batch=4, crop=32, lr=1e-2)
    assert compare({"mine": coder}, pictures, channel, snrs=(10,)).mean()["mine"][10.0][0] > before + 1


@pytest.mark.parametrize(
    ("change", "named"),
    [({"encode": lambda p: torch.full((1, 64), torch.nan)}, "NaN"), ({"encode": lambda p: torch.ones(3, 64)}, "rows"),
     ({"decode": lambda r, size, snr: torch.zeros(1, 3, 4, 4)}, "decode returns"),
     ({"decode": None}, "without decode")],
)  # fmt: skip
def test_a_coder_that_does_not_keep_the_interface_is_named(change, named, pictures):
    coder = Thumbnail()
    for name, value in change.items():
        setattr(coder, name, value)
    with pytest.raises(InputError, match=named):
        compare({"mine": coder}, pictures, snrs=(5,))


def test_coders_of_different_numbers_of_symbols_are_refused(pictures):
    class Larger(Thumbnail):
        def encode(self, pictures):
            return torch.nn.functional.avg_pool2d(pictures, 2)

    with pytest.raises(InputError, match=r"larger.*as all other links"):
        compare({"mine": Thumbnail(), "larger": Larger()}, pictures, snrs=(5,))
    with pytest.raises(InputError, match="one of coder, joint"):
        compare({"mine": "png"}, pictures, snrs=(5,))


def test_a_tensor_in_place_of_a_picture_is_refused_with_the_line_that_converts_it(pictures):
    tensor = torch.from_numpy(pictures[0].copy()).permute(2, 0, 1) / 255
    with pytest.raises(InputError, match=r"permute\(1, 2, 0\)"):
        compare({"mine": Thumbnail(), "AVIF": "avif"}, [tensor], snrs=(5,))


def test_a_file_with_a_class_enters_the_table_of_the_command_line(pictures, tmp_path):
    Image.fromarray(pictures[0]).save(tmp_path / "one.png")
    (tmp_path / "mine.py").write_text(
        "import torch\n\nclass Mine:\n    def encode(self, p):\n        return torch.nn.functional.avg_pool2d(p, 4)\n\n"
        "    def decode(self, r, size, snr):\n        return torch.nn.functional.interpolate(r / 2, size)\n"
    )
    words = ("baseline", tmp_path / "one.png", "--coder", f"{tmp_path}/mine.py:Mine", "--arms", "linear", "--codec")
    done = run_here("semcom.cli", *map(str, words), "jpeg", "--ratio", "1/32", "--snr", "5")
    assert done.returncode == 0, done.stderr
    assert "your coder" in done.stdout
    wrong = run_here("semcom.cli", *map(str, words), "jpeg", "--ratio", "1/12", "--snr", "5")
    assert wrong.returncode == 2
    assert "as all other links" in wrong.stderr
    assert "multiply the ratio by 0.375" in wrong.stderr
    none = run_here("semcom.cli", "baseline", str(tmp_path / "one.png"), "--coder", f"{tmp_path}/no.py:Mine")
    assert none.returncode == 2
    assert "file.py:Class" in none.stderr


class SwinNet(torch.nn.Module):
    """The interface of SwinJSCC's and WITT's networks, without their layers."""

    downsample, model = 2, "SwinJSCC_w/_SA"

    class Encoder(torch.nn.Module):
        def update_resolution(self, height, width):
            self.size = height, width

        def forward(self, pictures, snr, *more):
            assert pictures.shape[2:] == self.size
            assert isinstance(snr, float)
            means = torch.nn.functional.avg_pool2d(pictures, 4) - 0.5
            return means.flatten(2).transpose(1, 2)  # (B, tokens, channels)

    class Decoder(Encoder):
        def forward(self, features, snr, model):
            grid = features.transpose(1, 2).unflatten(2, self.size)
            return torch.nn.functional.interpolate(0.25 * grid + 0.5, scale_factor=4)

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = self.Encoder(), self.Decoder()


@pytest.mark.parametrize(("name", "more"), [("Swin", (3,)), ("Witt", (3,))])
def test_adapters_of_the_guide_fit_the_networks_of_public_repositories(name, more, pictures):
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text("utf-8")
    block = next(one for one in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "class Swin" in one)
    assert len(block.splitlines()) <= 20
    namespace: dict = {}
    exec(block, namespace)  # noqa: S102  # safe: a block of our own guide
    result = compare({"net": namespace[name](SwinNet(), *more)}, pictures[:1], snrs=(15,))
    assert result.mean()["net"][15.0][0] > 16


@pytest.mark.parametrize(("modulation", "most"), [("qpsk", 6.0), ("16qam", 1.5), ("64qam", 0.8), ("256qam", 0.5)])
def test_points_of_a_constellation_cost_less_the_more_there_are(modulation, most, pictures):
    coder = Constrained(Thumbnail(), modulation)
    link, plain = UserLink(coder, 1 / 32), UserLink(Thumbnail(), 1 / 32)
    sent = link.send(pictures[0], 10.0)
    assert len(np.unique(sent.round(4))) <= 2 ** Modulation(modulation).bits
    score, free = (psnr(carry_picture(one, pictures[0], Channel(), 10.0, np.random.default_rng(0))[None],
                        pictures[0][None])[0] for one in (link, plain))  # fmt: skip
    assert score > free - most


def test_gradients_pass_through_the_points(pictures):
    trained = train(Constrained(Small(), "16qam"), pictures, steps=40, batch=4, crop=32, lr=1e-2)
    begun = Constrained(Small(), "16qam")
    scores = [compare({"mine": one}, pictures, snrs=(10,)).mean()["mine"][10.0][0] for one in (begun, trained)]
    assert scores[1] > scores[0] + 1
    with pytest.raises(InputError, match="modulation"):
        Constrained(Small(), "bpsk")
