"""`mm send`, `mm recv`, `mm run`, `mm pack`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError

from semcom.cli._app import Batch, ChannelSpec, Pictures, Snr, mm

if TYPE_CHECKING:
    import numpy as np

    from semcom.multimodal import MMSemCom, PlayedPictures

Link = Annotated[str, typer.Option("--model", help="Folder of `mm pack`.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Calls of the denoiser for a candidate.")]
Solver = Annotated[str, typer.Option("--solver", help="ddim or dpmpp.")]
Guidance = Annotated[float, typer.Option("--guidance", min=0, help="Classifier-free guidance; 1 is none.")]


@dataclass(frozen=True)
class Sending:
    """What is sent beside the pictures, and by which link."""

    captions: Annotated[Path | None, typer.Option(help="CSV file with the columns file and caption.")] = None
    caption: Annotated[str | None, typer.Option(help="One caption for all pictures.")] = None
    captioner: Annotated[Path | None, typer.Option(help="Folder of a BLIP, for missing captions.")] = None
    model: Link = "mm-32"
    text: Annotated[str | None, typer.Option(help="analog, quantised, caption or none.  [default: the link's]")] = None

    def load(self, **more: Any) -> MMSemCom:
        """The link."""
        from semcom.multimodal import HubCaptioner, MMSemCom

        settings = {} if self.text is None else {"text": self.text, "text_size": 0}
        captioner = None if self.captioner is None else HubCaptioner.from_folder(self.captioner)
        return MMSemCom.from_pretrained(self.model, captioner=captioner, **more, **settings)

    def read(self, pictures: list[Path]) -> tuple[list[np.ndarray], list[str | None]]:
        """Pictures and their captions."""
        from semcom.datasets import find_pictures, read_picture
        from semcom.multimodal import captions_of, read_captions

        if self.captions is not None and self.caption is not None:
            raise InputError("--caption", got=repr(self.caption), expected="not beside --captions")
        names = find_pictures(pictures)
        if self.captions is None:
            return [read_picture(name) for name in names], [self.caption] * len(names)
        texts = captions_of(names, read_captions(self.captions), self.captions)
        return [read_picture(name) for name in names], texts


@dataclass(frozen=True)
class Choice:
    """How candidates are drawn and one is chosen."""

    candidates: Annotated[
        int | None, typer.Option("--candidates", "-k", min=0, help="Draw K candidates; 0 is the coarse picture.")
    ] = None
    select: Annotated[
        str | None,
        typer.Option(help="unsharp, multimodal, published, image, ...  [default: unsharp; with -k multimodal]"),
    ] = None
    alpha: Annotated[float | None, typer.Option(help="Weight of image against text.  [default: the link's]")] = None
    steps: Steps = 5
    solver: Solver = "dpmpp"
    guidance: Guidance = 1.0
    pipeline: Annotated[
        Path | None, typer.Option(help="Folder of a diffusers image-to-image pipeline, instead of our own.")
    ] = None
    max_batch: Batch = 64

    def rule(self) -> dict[str, Any]:
        """How the receiver chooses: candidates are drawn where they, alpha or a rule ask for them."""
        from semcom.multimodal import UNSHARP

        drawn = self.candidates is not None or self.alpha is not None
        if self.select == UNSHARP and drawn:
            raise InputError("--select", got=UNSHARP, expected="another rule: it works without candidates")
        if self.select in (None, UNSHARP) and not drawn:
            return {"select": UNSHARP, "num_candidates": 0, "alpha": None}
        count = 8 if self.candidates is None else self.candidates
        return {"select": self.select or "multimodal", "num_candidates": count, "alpha": self.alpha}

    def parts(self) -> dict[str, Any]:
        """Arguments of a link that draws so."""
        from semcom.multimodal import Img2ImgGenerator

        generator = None if self.pipeline is None else Img2ImgGenerator.from_folder(self.pipeline)
        sampler = {"steps": self.steps, "solver": self.solver, "guidance": self.guidance}
        return {"generator": generator, "sampler": sampler, "max_batch": self.max_batch}


@verb(mm, uses=("threads", "quiet", "force", "out"), out="folder", ours="semcom")
def send(
    pictures: Pictures,
    *,
    sending: Sending,
    snr: Annotated[float, typer.Option("--snr", help="Es/N0 in dB that both sides reckon with.")] = 10.0,
    pilots: Annotated[int, typer.Option(min=0, help="Pilots before each block, for channels that fade.")] = 0,
    pilot_block: Annotated[int, typer.Option(min=0, help="Data symbols of a block; 0 is a whole tile.")] = 0,
    max_batch: Batch = 64,
    opts: Shared,
) -> dict[str, Any]:
    """Send PICTURES and their captions as a folder of symbols, -o, whose header holds neither."""
    from semcom.multimodal import record_pictures
    from semcom.phy import PilotPattern

    out = opts.need_out()
    arrays, texts = sending.read(pictures)
    link = sending.load(max_batch=max_batch)
    recording, sent = record_pictures(link, arrays, texts, PilotPattern(pilot_block, pilots), snr_db=snr)
    recording.save(out, force=opts.force)
    return {
        "pictures": len(arrays), "tiles": len(sent.captions),
        "with a caption": sum(one is not None for one in sent.captions),
        "symbols": recording.symbols.size, "symbols a tile": sent.report.symbols,
        "text symbols": sent.report.text_symbols, "picture symbols": sent.report.latent_symbols,
        "pilot symbols": sent.report.pilot_symbols, "bandwidth ratio": round(sent.report.bandwidth_ratio, 5),
        "energy a symbol": round(sent.report.energy, 6), "written": str(out),
    }  # fmt: skip


@verb(mm, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="semcom")
def recv(
    symbols: Annotated[Path, typer.Argument(help="Folder of `mm send` or `channel apply`.")],
    *,
    model: Link = "mm-32",
    snr: Annotated[float | None, typer.Option("--snr", help="Es/N0 in dB; estimated if left out.")] = None,
    choice: Choice,
    opts: Shared,
) -> dict[str, Any]:
    """Receive a folder of SYMBOLS into the folder -o: sharpened, or with -k the candidate that fits image and text."""
    from semcom import Recording
    from semcom.multimodal import mm_link_of, play_pictures

    out = opts.need_out()
    rule = choice.rule()
    recording = Recording.load(symbols)
    link = mm_link_of(recording, symbols, model, **choice.parts())
    played = play_pictures(link, recording, symbols, snr, seed=opts.seed, **rule)
    _deliver(played, out, force=opts.force)
    return {
        **_said(played), "candidates": rule["num_candidates"], "select": rule["select"], "written": str(out),
    }  # fmt: skip


def _said(played: PlayedPictures) -> dict[str, Any]:
    return {
        "pictures": len(played.pictures), "tiles": len(played.tiles),
        "tiles whose text arrived": sum(line["text"] for line in played.tiles),
    }  # fmt: skip


def _deliver(played: PlayedPictures, out: Path, *, force: bool) -> None:
    """Pictures, coarse pictures and a line for each tile as a folder, whole or not at all."""
    from ninefold.artifacts import write_folder
    from PIL import Image

    about = {"kind": "semcom.received", "format_version": 1, "package": "semcom"}
    with write_folder(out, **about, force=force) as folder:
        digits = max(3, len(str(len(played.pictures) - 1)))
        for number, (picture, coarse) in enumerate(zip(played.pictures, played.coarse, strict=True)):
            Image.fromarray(picture).save(folder / f"picture-{number:0{digits}}.png")
            Image.fromarray(coarse).save(folder / f"coarse-{number:0{digits}}.png")
        lines = [json.dumps(line, ensure_ascii=False) for line in played.tiles]
        (folder / "tiles.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


@verb(mm, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="semcom")
def run(
    pictures: Pictures,
    *,
    sending: Sending,
    channel: ChannelSpec = "awgn",
    snr: Snr = 6.0,
    choice: Choice,
    opts: Shared,
) -> dict[str, Any]:
    """Send, let a channel act, receive: how PICTURES come through, chosen and coarse; -o keeps what arrives."""
    import numpy as np

    from semcom import Channel, cut_tiles
    from semcom.evaluation import psnr
    from semcom.multimodal import play_received as play
    from semcom.multimodal import record_pictures

    over = Channel.from_spec(channel)
    rule = choice.rule()
    arrays, texts = sending.read(pictures)
    link = sending.load(**choice.parts())
    recording, sent = record_pictures(link, arrays, texts, snr_db=snr)
    received = over.apply(recording.symbols, snr, np.random.default_rng(opts.seed))
    tiles, sizes = cut_tiles(arrays, link.config.size)
    played = play(link, received, sizes, snr, seed=opts.seed, truth=tiles, **rule)
    if opts.out is not None:
        _deliver(played, opts.out, force=opts.force)
    chosen, coarse = (cut_tiles(some, link.config.size)[0] for some in (played.pictures, played.coarse))
    return {
        **_said(played), "PSNR of a tile, dB": round(float(psnr(chosen, tiles).mean()), 2),
        "PSNR of a coarse tile, dB": round(float(psnr(coarse, tiles).mean()), 2), "select": rule["select"],
        "symbols a tile": sent.report.symbols + received.overhead, "text symbols": sent.report.text_symbols,
        "pilot symbols": received.overhead, "energy a symbol": round(sent.report.energy, 6),
        **({"written": str(opts.out)} if opts.out else {}),
    }  # fmt: skip


@verb(mm, uses=("force", "out"), out="folder", ours="semcom")
def pack(
    features: Annotated[Path, typer.Argument(help="Model file of `train features`.")],
    clip: Annotated[Path, typer.Argument(help="Model file of `train clip`.")],
    diffusion: Annotated[Path | None, typer.Argument(help="Model file of `train diffusion`.")] = None,
    *,
    symbols: Annotated[int, typer.Option(min=1, help="Symbols of a picture, image and text together.")] = 128,
    text: Annotated[str, typer.Option(help="analog, quantised, caption or none.")] = "analog",
    image: Annotated[int, typer.Option(min=4, help="Height and width of pictures.")] = 32,
    alpha: Annotated[
        str | None, typer.Option(help="Weights by SNR, such as -5:0.9,0:0.7; see `compare mm --fit-alpha`.")
    ] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Put trained parts together as the folder of a link, -o."""
    from dataclasses import asdict

    from semcom.multimodal import MMConfig, MMSemCom, pack_parts, parse_alpha

    out = opts.need_out()
    parts = {"features": features, "clip": clip, **({"diffusion": diffusion} if diffusion else {})}
    table = None if alpha is None else parse_alpha(alpha)
    config = MMConfig(symbols=symbols, text=text, size=image)
    kept = None if table is None else {"snrs": list(table.snrs), "alphas": list(table.alphas)}
    pack_parts(parts, out, link=asdict(config), alpha=kept, force=opts.force)
    link = MMSemCom.from_pretrained(out)
    return {
        "symbols a picture": link.report.symbols, "text symbols": link.report.text_symbols,
        "model hash": link.model_hash, "bytes": sum(file.stat().st_size for file in out.iterdir()), "written": str(out),
    }  # fmt: skip
