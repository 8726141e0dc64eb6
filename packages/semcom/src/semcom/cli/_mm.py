"""`mm send|recv|run`, `mm pack`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ninefold.cli import Shared, verb
from ninefold.errors import InputError
from typer import Argument, Option

from semcom.cli._app import ChannelSpec, KnownSnr, Pictures, Pilots, Settings, Snr, Symbols, mm

if TYPE_CHECKING:
    import numpy as np

    from semcom.multimodal import MMSemCom, PlayedPictures

Model = Annotated[str, Option(help="Link folder written by `mm pack`, or the built-in mm-32.")]
_CANDIDATES = "Number of candidates to draw; 0 keeps the coarse picture."
_SELECT = "Selection rule: unsharp (default), multimodal (default with -k), published, image, text, ..."
_PIPELINE = "Folder of a diffusers image-to-image pipeline to draw candidates with."


@dataclass(frozen=True)
class Sending:
    """What is sent with the pictures."""

    captions: Annotated[Path | None, Option(help="CSV file with the columns `file` and `caption`.")] = None
    caption: Annotated[str | None, Option(help="Caption used for all pictures.")] = None
    link: Settings = ""

    def load(self, model: str, **more: Any) -> MMSemCom:
        """The link."""
        from semcom.multimodal import MMConfig, MMSemCom

        return MMSemCom.from_pretrained(model, **more, **MMConfig.parse(self.link))

    def read(self, pictures: list[Path]) -> tuple[list[np.ndarray], list[str | None]]:
        """Pictures and their captions."""
        from semcom.datasets import find_pictures, read_picture
        from semcom.multimodal import captions_of, read_captions

        if self.captions is not None and self.caption is not None:
            raise InputError("--caption", got=repr(self.caption), expected="it or --captions, not both")
        names = find_pictures(pictures)
        texts = [self.caption] * len(names)
        if self.captions is not None:
            texts = captions_of(names, read_captions(self.captions), self.captions)
        return [read_picture(name) for name in names], texts


@dataclass(frozen=True)
class Choice:
    """How candidates are drawn and one is chosen."""

    candidates: Annotated[int | None, Option("--candidates", "-k", min=0, help=_CANDIDATES)] = None
    select: Annotated[str | None, Option(help=_SELECT)] = None
    steps: Annotated[int, Option(min=1, rich_help_panel="Advanced", help="Number of denoiser calls per candidate.")] = 5
    pipeline: Annotated[Path | None, Option(rich_help_panel="Advanced", help=_PIPELINE)] = None

    def rule(self) -> dict[str, Any]:
        """How the receiver chooses: candidates are drawn where they or a rule ask for them."""
        from semcom.multimodal import UNSHARP

        drawn = self.candidates is not None
        if self.select == UNSHARP and drawn:
            raise InputError("--select", got=UNSHARP, expected="another rule: it works without candidates")
        if self.select in (None, UNSHARP) and not drawn:
            return {"select": UNSHARP, "num_candidates": 0}
        return {"select": self.select or "multimodal", "num_candidates": self.candidates if drawn else 8}

    def parts(self) -> dict[str, Any]:
        """Arguments of a link that draws so."""
        from semcom.multimodal import Img2ImgGenerator

        generator = None if self.pipeline is None else Img2ImgGenerator.from_folder(self.pipeline)
        return {"generator": generator, "sampler": {"steps": self.steps}}


@verb(mm, uses=("threads", "quiet", "force", "out"), out="folder", ours="semcom")
def send(
    pictures: Pictures, *, sending: Sending, model: Model = "mm-32",
    snr: Annotated[float, Option(help="SNR (Es/N0) in dB that the link is designed for.")] = 10.0, pilots: Pilots,
    opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Send PICTURES with captions: write their symbols to a folder.

    Example: `semcom mm send pictures --captions captions.csv --snr 5 -o sent-mm`
    """
    from semcom.links._received import counts
    from semcom.multimodal import record_pictures

    out = opts.need_out()
    arrays, texts = sending.read(pictures)
    recording, sent = record_pictures(sending.load(model), arrays, texts, pilots.pattern(), snr_db=snr)
    recording.save(out, force=opts.force)
    return {
        "pictures": len(arrays), "tiles": len(sent.captions),
        "with a caption": sum(one is not None for one in sent.captions), "symbols": recording.symbols.size,
        **counts(sent.report.to_meta(), " a tile"), "written": str(out),
    }  # fmt: skip


@verb(mm, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="semcom")
def recv(
    symbols: Symbols, *, model: Model = "mm-32", snr: KnownSnr = None, choice: Choice, opts: Shared
) -> dict[str, Any]:
    """Receive a folder of SYMBOLS: write sharpened pictures, or with -k the best candidates.

    Example: `semcom mm recv air-mm -o got-mm`
    """
    from semcom import Recording
    from semcom.multimodal import mm_link_of, play_pictures

    out, rule = opts.need_out(), choice.rule()
    recording = Recording.load(symbols)
    link = mm_link_of(recording, symbols, model, **choice.parts())
    played = play_pictures(link, recording, symbols, snr, seed=opts.seed, **rule)
    return _delivered(played, rule, out, force=opts.force)


@verb(mm, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="semcom")
def run(
    pictures: Pictures, *, sending: Sending, model: Model = "mm-32", channel: ChannelSpec = "awgn", snr: Snr = 6.0,
    choice: Choice, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Send PICTURES with captions through a simulated channel, receive them, and report quality.

    Example: `semcom mm run pictures --caption "a photograph" --snr 10`
    """
    import numpy as np

    from semcom import Channel, cut_tiles
    from semcom.evaluation import psnr
    from semcom.links._received import counts
    from semcom.multimodal import play_received, record_pictures

    over, rule = Channel.from_spec(channel), choice.rule()
    arrays, texts = sending.read(pictures)
    link = sending.load(model, **choice.parts())
    recording, sent = record_pictures(link, arrays, texts, snr_db=snr)
    received = over.apply(recording.symbols, snr, np.random.default_rng(opts.seed))
    tiles, sizes = cut_tiles(arrays, link.config.size)
    played = play_received(link, received, sizes, snr, seed=opts.seed, truth=tiles, **rule)
    shown = (cut_tiles(some, link.config.size)[0] for some in (played.pictures, played.coarse))
    quality, coarse = (round(float(psnr(one, tiles).mean()), 2) for one in shown)
    return {
        **_delivered(played, rule, opts.out, force=opts.force), "PSNR of a tile, dB": quality,
        "PSNR of a coarse tile, dB": coarse, **counts(sent.report.to_meta(), " a tile"),
        "pilot symbols a tile": received.overhead,
    }  # fmt: skip


def _delivered(played: PlayedPictures, rule: dict[str, Any], out: Path | None, *, force: bool) -> dict[str, Any]:
    """Pictures, coarse pictures and a line for each tile as a folder, if there is a path, and what is said of them."""
    from semcom.links._received import save_received

    lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in played.tiles)
    pictures = {"picture": played.pictures, "coarse": played.coarse}
    return {
        "pictures": len(played.pictures), "tiles": len(played.tiles),
        "tiles whose text arrived": sum(line["text"] for line in played.tiles),
        "candidates": rule["num_candidates"], "select": rule["select"],
        **save_received(out, pictures, {"tiles.jsonl": lines.encode()}, force=force),
    }  # fmt: skip


@verb(mm, uses=("force", "out"), out="folder", ours="semcom")
def pack(
    features: Annotated[Path, Argument(help="Model file written by `train features`.")],
    clip: Annotated[Path, Argument(help="Model file written by `train clip`.")],
    diffusion: Annotated[Path | None, Argument(help="Model file written by `train diffusion`.")] = None, *,
    link: Settings = "", opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Combine trained parts into the folder of a link.

    Example: `semcom mm pack runs/features/model.safetensors runs/clip/model.safetensors
    runs/diffusion/model.safetensors -o mm`
    """
    from semcom.links._received import counts
    from semcom.multimodal import MMConfig, MMSemCom, pack_parts

    out = opts.need_out()
    parts = {"features": features, "clip": clip, **({"diffusion": diffusion} if diffusion else {})}
    pack_parts(parts, out, link=MMConfig.from_text(link).to_meta(), force=opts.force)
    made = MMSemCom.from_pretrained(out)
    size = sum(file.stat().st_size for file in out.iterdir())
    return {**counts(made.report.to_meta()), "model hash": made.model_hash, "bytes": size, "written": str(out)}
