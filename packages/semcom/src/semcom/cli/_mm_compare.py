"""`compare mm`, `compare users`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import InputError
from ninefold.report import Table

from semcom.cli._app import Batch, compare
from semcom.cli._measure import Channels, SnrRange, _kept
from semcom.cli._mm import Guidance, Link, Solver, Steps

if TYPE_CHECKING:
    import numpy as np

    from semcom.datasets import Captioned

Data = Annotated[str, typer.Option("--data", help="cifar10 or embedded (its own validation: the last third).")]
Count = Annotated[int, typer.Option("--candidates", "-k", min=1, help="Candidates K.")]


def _sets(data: str, pictures: int, validation: int, split: str = "test") -> tuple[Captioned, Captioned, np.ndarray]:
    """Pictures of the split to measure on, validation pictures to fit alpha on, and training pictures."""
    import numpy as np

    from semcom.datasets import load, load_captioned

    if split not in ("test", "validation"):
        raise InputError("--split", got=split, expected="test or validation")
    if data == "embedded":
        whole = load_captioned("embedded")
        last = np.arange(len(whole.images)) % 3 == 2
        shown = ~last if split == "test" else last
        sets = (whole.taken(np.flatnonzero(shown)[:pictures]), whole.taken(np.flatnonzero(last)[:validation]))
        return *sets, whole.images[~shown]
    return load_captioned(data, split, pictures), load_captioned(data, "validation", validation), load(data, "train")


@verb(compare, uses=("seed", "threads", "quiet", "out"), out="run")
def mm(
    *,
    model: Link = "mm-32",
    coarse: Annotated[
        str | None,
        typer.Option(help="File of `train jscc` of all the link's symbols, as rival.  [default: its own features]"),
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="File of `train judge`.  [default: the built-in one, which knows cifar10]")
    ] = None,
    data: Data = "cifar10",
    split: Annotated[str, typer.Option(help="test, or validation: for choices, as of a rule or of steps.")] = "test",
    arms: Annotated[str | None, typer.Option(help="Names, separated by commas.  [default: all]")] = None,
    snr: SnrRange = "-5,0,5,10",
    channel: Channels = None,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of noise and candidates.")] = 1,
    pictures: Annotated[int, typer.Option(min=2, help="Pictures.")] = 500,
    candidates: Count = 8,
    steps: Steps = 5,
    solver: Solver = "dpmpp",
    guidance: Guidance = 1.0,
    bfloat16: Annotated[
        bool, typer.Option("--bfloat16", help="Draw in bfloat16: faster where the processor has such products.")
    ] = False,
    fit_alpha: Annotated[
        int,
        typer.Option("--fit-alpha", min=0, help="Validation pictures on which alpha is fitted by SNR; 0: as it is."),
    ] = 0,
    max_batch: Batch = 64,
    opts: Shared,
) -> Table:
    """Every selection rule on the same candidates, and the rivals at equal symbols; -o is a run that can be resumed."""
    from semcom.baselines import LinearLink
    from semcom.evaluation import MM_ARMS, Contest, alpha_on_validation, compare_mm, compare_mm_table
    from semcom.models import load_jscc, load_judge, model_hash
    from semcom.multimodal import MMSemCom, ResidualDiffusion
    from semcom.phy import parse_range

    names = None if arms is None else [name.strip() for name in arms.split(",")]
    unknown = [name for name in names or () if name not in MM_ARMS]
    if unknown:
        raise InputError("--arms", got=unknown[0], expected=f"some of {', '.join(MM_ARMS)}")
    specs, snrs = channel or ["awgn"], parse_range(snr)
    sampler: dict[str, Any] = {"steps": steps, "solver": solver, "guidance": guidance, "bfloat16": bfloat16}
    link = MMSemCom.from_pretrained(model, max_batch=max_batch, sampler=sampler)
    test, validation, training = _sets(data, pictures, max(fit_alpha, 1), split)
    coder = load_jscc(coarse) if coarse else None
    classifier = load_judge(judge or "judge")
    if classifier.config.classes != len(test.classes):
        if judge is not None:
            got = f"a judge of {classifier.config.classes} classes"
            raise InputError("--judge", got=got, expected=f"{len(test.classes)}, as {data} has")
        classifier = None
    table = None
    if fit_alpha:
        table, _ = alpha_on_validation(link, validation, snrs, candidates=candidates)
        link.alpha = table
    linear = None
    if training.shape[1] == link.config.size and LinearLink.name in (names or MM_ARMS):  # it takes seconds to fit
        linear = LinearLink(training, link.report.symbols)
    contest = Contest(link, coder, classifier, test, candidates, linear)
    config: dict[str, Any] = {
        "verb": "compare mm", "data": data, "split": split, "arms": names or contest.arms(specs), "channels": specs,
        "snrs": snrs, "seeds": seeds, "seed": opts.seed, "pictures": len(test.images), "candidates": candidates,
        **sampler,
        "alpha": [list(link.alpha.snrs), list(link.alpha.alphas)], "link": link.model_hash,
        "diffusion": model_hash(link.generator.unet) if isinstance(link.generator, ResidualDiffusion) else None,
        "coarse": model_hash(coder) if coder else None, "judge": model_hash(classifier) if classifier else None,
    }  # fmt: skip
    with _kept(opts.out, config) as run:
        rows = compare_mm(contest, specs, snrs, seeds, names, run, opts.seed)
    shown = compare_mm_table(rows)
    if table is not None:
        pairs = ",".join(f"{one:g}:{weight:.2f}" for one, weight in zip(table.snrs, table.alphas, strict=True))
        shown.notes.append(f"alpha, fitted on {len(validation.images)} validation pictures: {pairs}.")
    return shown


@verb(compare, uses=("seed", "threads", "quiet"))
def users(
    *,
    model: Link = "mm-32",
    data: Data = "cifar10",
    count: Annotated[int, typer.Option("--users", min=2, help="Users.")] = 4,
    access: Annotated[str, typer.Option(help="tdma or ofdma.")] = "tdma",
    allocation: Annotated[str, typer.Option(help="round-robin, proportional or maxmin.")] = "round-robin",
    symbols: Annotated[
        int | None, typer.Option(min=1, help="Of all users for a picture each.  [default: one link's]")
    ] = None,
    snr: Annotated[str, typer.Option("--snr", help="Es/N0 of each user in dB, or one for all.")] = "10",
    pictures: Annotated[int, typer.Option(min=1, help="Test pictures of each user.")] = 20,
    candidates: Annotated[int, typer.Option("--candidates", "-k", min=0, help="Candidates K.")] = 0,
    max_batch: Batch = 64,
    opts: Shared,
) -> Table:
    """Orthogonal users in one band, each alone with the same symbols, and all superposed over the whole band."""
    import numpy as np

    from semcom.evaluation import psnr
    from semcom.multimodal import MMSemCom
    from semcom.multiuser import MultiUserLink, SuperposedLink, User
    from semcom.phy import parse_range

    snrs = parse_range(snr)
    snrs = snrs * count if len(snrs) == 1 else snrs
    if len(snrs) != count:
        raise InputError("--snr", got=f"{len(snrs)} values", expected=f"one, or {count}")
    link = MMSemCom.from_pretrained(model, max_batch=max_batch)
    test, *_ = _sets(data, pictures * count, 1)
    deal = [test.taken(np.arange(place, len(test.images) // count * count, count)) for place in range(count)]
    people = [
        User(one.images, one.captions, snr_db=level, seed=1000 * opts.seed + place)
        for place, (one, level) in enumerate(zip(deal, snrs, strict=True))
    ]
    band = MultiUserLink([link] * count, snrs, symbols=symbols, access=access, allocation=allocation)
    arguments: dict[str, Any] = {"num_candidates": candidates, "seed": opts.seed}
    together = band.carry(people, **arguments)
    above = SuperposedLink([link] * count).carry(people, **arguments)
    table = Table(["user", "SNR, dB", "symbols", "PSNR, dB", "PSNR alone, dB", "PSNR superposed, dB"])
    for number, (user, ours, rival) in enumerate(zip(people, together, above, strict=True)):
        alone = band.alone(number, user, **arguments)
        scores = [float(psnr(one.received.images, user.images).mean()) for one in (ours, alone, rival)]
        table.rows.append([number + 1, user.snr_db, ours.report.symbols, *(round(score, 2) for score in scores)])
    table.notes.append(
        f"{access}, {allocation}: {band.symbols} symbols for all; superposed users share {link.report.symbols}."
    )
    return table
