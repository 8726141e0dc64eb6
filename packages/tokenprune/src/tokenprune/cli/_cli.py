"""The command line: parses, calls the API, hands the result to the core to print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.app import house_verbs
from ninefold.cli import Shared, house_app, progress, run_app, verb
from ninefold.errors import InputError
from ninefold.report import Table

app = house_app(
    "tokenprune", "Skip unimportant tokens, block by block, in a frozen LLM. Start with **tokenprune demo**."
)
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Model = Annotated[str, typer.Option("--model", help="smollm2, tiny (random weights), a local folder, or a hub id.")]
Sparsity = Annotated[float, typer.Option("--sparsity", help="Share of (token, block) pairs to skip.")]
Router = Annotated[str, typer.Option("--router", help="dynamic, static or one_pass.")]
Text = Annotated[str, typer.Option("--calibration", help="embedded, wikitext2_valid, or a text file.")]
Scoring = Annotated[str, typer.Option("--text", help="What is scored: its last fifth, which nothing is fitted to.")]
Windows = Annotated[int, typer.Option("--windows", min=1, help="Windows of text, of each of the parts it is used for.")]
Length = Annotated[int, typer.Option("--length", min=2, help="Tokens of a window.")]
Tail = Annotated[int, typer.Option("--scored", min=1, help="Last tokens of a window that are scored.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Steps of router training.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Sequences of a step; processes share them out.")]
Generations = Annotated[int, typer.Option("--generations", min=1, help="Generations of the search.")]
Population = Annotated[int, typer.Option("--population", min=5, help="Schedules in a generation.")]
Decode = Annotated[str, typer.Option("--decode", help="off, threshold or strict: which blocks new tokens skip.")]
Judged = Annotated[str, typer.Option("--fitness", help="kl, nll or accuracy: what schedules are judged by.")]
Pruner = Annotated[Path, typer.Argument(help="A pruner's folder.")]


def _load(name: str, opts: Shared) -> tuple[Any, Any]:
    """(model, tokenizer); the tokenizer is None for random weights."""
    from tokenprune import load, tiny_model

    if name == "tiny":
        return tiny_model(seed=0).to(opts.device), None
    return load(name, device=opts.device)


@verb(app)
def analyze(
    *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 8, length: Length = 128,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Show how redundant each block is: cosine of the stream before and after it, and block influence."""
    from tokenprune import Layout, datasets, redundancy
    from tokenprune import windows as cut
    from tokenprune.evaluation._roles import tokens_for

    language, tokenizer = _load(model, opts)
    ids = tokens_for(windows * length, datasets.text(calibration), tokenizer)
    data = cut(ids, length=length, scored=1, count=windows, seed=opts.seed, prefix=datasets.prefix(tokenizer))
    found = redundancy(Layout.of(language), data)
    share, influence = found.share_above(0.8), found.influence
    table = Table(["block", "tokens with cosine > 0.8", "block influence"], title="Redundancy")
    table.rows += [[block, float(s), float(i)] for block, (s, i) in enumerate(zip(share, influence, strict=True))]
    overall = {"overall": float(share.mean()), "block 0": float(share[0]), "median block": float(share.median())}
    return [table, overall]


def _stages(
    names: list[str], start: Path | None, model: str, sparsity: float, router: str, calibration: str, windows: int,
    length: int, scored: int, steps: int, batch: int, generations: int, population: int, opts: Shared, *,
    decode: str = "off", fitness: Any = "kl",
) -> Table | None:  # fmt: skip
    """Stages in the folder -o; None in all but the first process of torchrun."""
    from contextlib import nullcontext
    from dataclasses import replace

    from ninefold.run import Run

    from tokenprune import FTPConfig, SearchConfig, TokenPruner, TrainConfig
    from tokenprune.evaluation import _roles
    from tokenprune.pruner._pipeline import Pipeline
    from tokenprune.search._processes import together

    asked = {"stages": names, "start": str(start) if start else None, "model": model, "sparsity": sparsity,
             "router": router, "calibration": calibration, "windows": windows, "length": length, "scored": scored,
             "steps": steps, "batch": batch, "generations": generations, "population": population,
             "decode": decode, "fitness": fitness, "seed": opts.seed}  # fmt: skip
    config = FTPConfig(target_sparsity=sparsity, router=router, decode=decode, seed=opts.seed)
    of_search = SearchConfig(population=population, generations=generations)
    of_training = TrainConfig(steps=steps, batch=batch)
    out = opts.need_out()
    with together() as rank, progress(len(names), "starting") as bar:
        language, tokenizer = _load(model, opts)
        pruner = TokenPruner.from_pretrained(start, language) if start else TokenPruner(language, config)
        cut: Any = {"count": windows, "length": length, "scored": scored}
        data, texts, validation = _roles.for_fitting(calibration, tokenizer, roles=3, seed=opts.seed, **cut)
        held_out = _roles.held_out(calibration, tokenizer, **cut)
        # What the stages would refuse is refused here, on one window: a run folder, once made, holds to its settings.
        if names == ["train"] or ("train" in names and pruner.net is not None):
            pruner.training(texts.part(0, 1), of_training)
        if names != ["train"]:
            pruner.searching(data.part(0, 1), replace(of_search, alone=False), fitness=fitness)
        shown = {"done": 0.0}

        def advance(share: float, stage: str) -> None:
            total = names.index(stage) + share
            bar.advance(total - shown["done"], note=stage)
            shown["done"] = total

        with Run(out, asked) if rank == 0 else nullcontext() as run:
            work = Pipeline(
                run, pruner, data, texts, search=of_search, train=of_training, fitness=fitness, advance=advance,
                held_out=held_out, validation=validation,
            )  # fmt: skip
            pruner = work.stages(names)
    if run is None:
        return None
    table = Table(["block", "sparsity"], [[block, s] for block, s in enumerate(pruner.schedule)], title="Schedule")
    table.notes = [f"{name}: {_short(value)}" for name, value in pruner.metrics.items() if name != "held_out"]
    table.notes.append(work.unseen.note() if work.unseen else "held out: nothing, the text is too short for it")
    table.notes.append(f"pruner: {run.path / 'pruner'}")
    return table


def _short(value: Any) -> str:
    """A number, or several by name, as one reads them."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    return f"{value:.4g}"


@verb(app)
def run(
    *, model: Model = "smollm2", sparsity: Sparsity = 0.3, router: Router = "dynamic", calibration: Text = "embedded",
    windows: Windows = 42, length: Length = 128, scored: Tail = 24, steps: Steps = 50, batch: Batch = 4,
    generations: Generations = 8, population: Population = 12, decode: Decode = "off", fitness: Judged = "kl",
    opts: Shared,
) -> Table | None:  # fmt: skip
    """Search, train and refine into the run folder -o; killed anywhere, the same line goes on.

    As it comes, schedules are judged on 1,008 scored tokens; SmolLM2 then takes some 20 minutes on two cores.
    """
    return _stages(["search", "train", "refine"], None, model, sparsity, router, calibration, windows, length, scored,
                   steps, batch, generations, population, opts, decode=decode, fitness=fitness)  # fmt: skip


@verb(app)
def search(
    *, model: Model = "smollm2", sparsity: Sparsity = 0.3, router: Router = "dynamic", calibration: Text = "embedded",
    windows: Windows = 42, length: Length = 128, scored: Tail = 24, generations: Generations = 8,
    population: Population = 12, decode: Decode = "off", fitness: Judged = "kl", opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 1: search a schedule with the static router into the run folder -o."""
    return _stages(["search"], None, model, sparsity, router, calibration, windows, length, scored, 1, 1, generations,
                   population, opts, decode=decode, fitness=fitness)  # fmt: skip


@verb(app)
def train(
    pruner: Pruner, *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 42,
    length: Length = 128, scored: Tail = 24, steps: Steps = 50, batch: Batch = 4, opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 2: train the router of PRUNER into the run folder -o."""
    return _stages(["train"], pruner, model, 0.0, "dynamic", calibration, windows, length, scored, steps, batch, 1,
                   5, opts)  # fmt: skip


@verb(app)
def refine(
    pruner: Pruner, *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 42,
    length: Length = 128, scored: Tail = 24, generations: Generations = 8, population: Population = 12,
    fitness: Judged = "kl", opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 3: search again from the schedule of PRUNER with its router, into the run folder -o."""
    return _stages(["refine"], pruner, model, 0.0, "dynamic", calibration, windows, length, scored, 1, 1, generations,
                   population, opts, fitness=fitness)  # fmt: skip


@verb(app)
def inspect(pruner: Pruner, *, opts: Shared) -> list[Any]:  # noqa: ARG001  (every verb has the shared options)
    """Show what a pruner's folder holds."""
    from tokenprune.pruner import _files

    about, net, history, metrics = _files.read(pruner)
    table = Table(["block", "sparsity"], [[b, s] for b, s in enumerate(about["schedule"])], title="Schedule")
    facts = {**about["config"], "base model": about["base"]["name"], "achieved sparsity": about["achieved_sparsity"],
             "router numbers": sum(one.numel() for one in net.values()), "generations": len(history)}  # fmt: skip
    return [table, {**facts, **{f"metric {name}": value for name, value in metrics.items()}}]


@verb(app)
def generate(
    pruner: Pruner, prompt: Annotated[str, typer.Argument(help="What to go on from.")], *, model: Model = "smollm2",
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="New tokens.")] = 40, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Go on from PROMPT with PRUNER attached, greedily; shows what the prompt took."""
    import torch

    from tokenprune import TokenPruner, datasets

    language, tokenizer = _load(model, opts)
    ours = TokenPruner.from_pretrained(pruner, language)
    ids = datasets.prompt(prompt, tokenizer)[None].to(opts.device)
    if not prompt:
        raise InputError("PROMPT", got="nothing", expected="some words")
    with ours:
        out = language.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False,
                                pad_token_id=0)[0, ids.shape[1] :]  # fmt: skip
    report = ours.report(ids)
    return {"text": datasets.words(out, tokenizer), "prompt tokens": ids.shape[1], "skipped": report.sparsity,
            "prompt operations, of dense": report.cost.flops / report.dense.flops,
            "prompt cache, of dense": report.cost.kv_bytes / report.dense.kv_bytes}  # fmt: skip


def _compared(
    model: str, pruner: Path | None, sparsity: float, methods: str, calibration: str, text: str, tasks: str, items: int,
    windows: int, length: int, scored: int, steps: int, prompt: int, repeats: int, opts: Shared,
) -> tuple[Table, dict[str, Any], dict[str, Any], Any]:  # fmt: skip
    """(table, executors, their scores, the text's windows)."""
    from tokenprune import Layout, TokenPruner, datasets
    from tokenprune.evaluation import _roles
    from tokenprune.evaluation._compare import compare as judge
    from tokenprune.evaluation._compare import fitted, named, table
    from tokenprune.evaluation._evaluate import questions_as_scored

    names = named(methods)
    language, tokenizer = _load(model, opts)
    ours = TokenPruner.from_pretrained(pruner, language) if pruner else None
    sparsity = ours.config.target_sparsity if ours else sparsity
    cut: Any = {"count": windows, "length": length, "scored": scored}
    (chosen_on,) = _roles.for_fitting(calibration, tokenizer, roles=1, seed=0, **cut)
    data = _roles.for_scoring(text, tokenizer, seed=opts.seed + 100, **cut)
    asked, labels = [], []
    for task in [one.strip() for one in tasks.split(",") if one.strip()]:
        chosen = datasets.questions(task)[: items + 2]
        asked += questions_as_scored(chosen[2:], chosen[:2], tokenizer)
        labels += [one.label for one in chosen[2:]]
    with progress(len(names) + 1, "fitting") as bar:
        arms = fitted(language, ours, names, sparsity, chosen_on, steps=steps, seed=opts.seed,
                      advance=lambda count, name: bar.advance(count, note=f"fitting {name}"))  # fmt: skip
    with progress(len(arms), "comparing") as bar:
        rows = judge(Layout.of(language), arms, data, questions=asked, labels=labels, prompt=prompt, repeats=repeats,
                     advance=bar.advance)  # fmt: skip
    made = table(rows, f"{model} at sparsity {sparsity:g}: {windows} windows of {text}, prefill of {prompt} tokens")
    if model == "tiny":
        made.notes.append("random weights: the mechanics, and nothing about quality")
    return made, arms, rows, data


@verb(app)
def compare(
    *, model: Model = "smollm2", pruner: Annotated[Path | None, typer.Option(help="A pruner's folder.")] = None,
    sparsity: Annotated[float, typer.Option("--sparsity", help="Asked of all; a pruner brings its own.")] = 0.3,
    methods: Annotated[str, typer.Option("--methods", help="all, or names.")] = "all",
    calibration: Text = "embedded", text: Scoring = "embedded",
    tasks: Annotated[str, typer.Option("--tasks", help="Multiple-choice sets, e.g. arc_easy,piqa.")] = "",
    items: Annotated[int, typer.Option("--items", min=1, help="Questions of each set.")] = 20,
    windows: Windows = 3, length: Length = 128, scored: Tail = 24,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps of each learnt rival.")] = 40,
    prompt: Annotated[int, typer.Option("--prompt", min=2, help="Tokens of the timed prompt.")] = 512,
    repeats: Annotated[int, typer.Option("--repeats", min=3, help="Rounds of timing.")] = 3, force: Force = False,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Score and time dense, FTP and its rivals; pictures (Pareto, gate map) go to -o, or to ./tokenprune-compare."""
    from ninefold.errors import MissingExtraError, require
    from ninefold.files import refuse_existing

    out = opts.out or Path("tokenprune-compare")
    for name in ("pareto.png", "gate-map.png"):  # before minutes of work
        refuse_existing(out / name, force)
    missing = None
    try:
        require("matplotlib", "tokenprune", "plots")
    except MissingExtraError as error:
        if opts.out is not None:  # pictures were asked for
            raise
        missing = str(error)
    made, arms, rows, data = _compared(
        model, pruner, sparsity, methods, calibration, text, tasks, items, windows, length, scored, steps, prompt,
        repeats, opts,
    )  # fmt: skip
    if missing is None:
        _pictures(out, arms, rows, data)
    made.notes.append(f"pictures: {out}" if missing is None else f"pictures: none, {missing}")
    return [made]


def _pictures(out: Path, arms: dict[str, Any], rows: dict[str, Any], data: Any) -> None:
    from ninefold.report import save_figure

    from tokenprune.pruner._report import Report, pareto

    dense = rows["dense"].flops
    save_figure(
        pareto([(n, r.flops / dense, float(r.nll.mean())) for n, r in rows.items()], "NLL of text"), out / "pareto.png"
    )
    ids, mask, protect = data.part(0, 1).inputs
    ftp = arms["ftp"]
    stream = ftp.prefill(ftp.start(ids, mask, protect=protect, record=True))
    save_figure(Report.of(ftp, stream, ftp.router.schedule).gate_map(), out / "gate-map.png")


@verb(app, "eval")
def evaluate(
    pruner: Pruner, *, model: Model = "smollm2", text: Scoring = "embedded",
    tasks: Annotated[str, typer.Option("--tasks", help="Multiple-choice sets, e.g. arc_easy,piqa.")] = "",
    items: Annotated[int, typer.Option("--items", min=1)] = 20, windows: Windows = 8, length: Length = 128,
    scored: Tail = 24, opts: Shared,
) -> list[Any]:  # fmt: skip
    """Score PRUNER beside the dense model on text and multiple-choice sets."""
    return [_compared(model, pruner, 0.3, "", text, text, tasks, items, windows, length, scored, 1, length, 3, opts)[0]]


@verb(app)
def bench(
    *, model: Model = "tiny", sparsity: Sparsity = 0.3,
    lengths: Annotated[str, typer.Option("--lengths", help="Prompt lengths, e.g. 512,2048.")] = "256",
    repeats: Annotated[int, typer.Option("--repeats", min=3)] = 5, opts: Shared,
) -> Table:  # fmt: skip
    """Time prefill with last-position logits beside the same model dense, in one process."""
    from tokenprune.evaluation._speed import prefill

    language, _ = _load(model, opts)
    table = Table(["tokens", "arm", "seconds", "times as fast", "95 % interval", "bound by FLOPs"])
    for word in lengths.split(","):
        if not word.strip().isdecimal() or int(word) < 1:
            raise InputError("--lengths", got=word, expected="whole numbers from 1 with commas between")
        for line in prefill(language, int(word), [sparsity], repeats=repeats, seed=opts.seed):
            interval = f"[{line['low']:.3g}, {line['high']:.3g}]"
            table.rows.append([line["tokens"], line["arm"], line["seconds"], line["ratio"], interval, line["bound"]])
    return table


@verb(app, "convert-gguf")
def convert(
    file: Annotated[Path, typer.Argument(help="A GGUF file.")], *, force: Force = False, opts: Shared
) -> dict[str, Any]:
    """Unpack a GGUF model and its tokenizer into the folder -o, as float32 safetensors."""
    from tokenprune import convert_gguf

    convert_gguf(file, opts.need_out(), force=force)
    return {"model": opts.out}


house_verbs(app, "tokenprune")
main = run_app(app)
