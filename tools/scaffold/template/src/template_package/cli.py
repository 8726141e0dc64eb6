"""The command line: parses, calls the API, hands the result to the core to print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, house_app, progress, run_app, verb
from ninefold.demo import demo_verb
from ninefold.report import Table

app = house_app(
    "template_package", "Many means at once, by James-Stein shrinkage. Start with **template-package demo**."
)


@verb(app, uses=("seed", "force", "out"), out="file")
def estimate(
    data: Annotated[
        Path | None, typer.Argument(help="CSV file with a column for each variable; simulated data by default.")
    ] = None,
    *,
    opts: Shared,
) -> Table:
    """Estimate the mean of each column of DATA; -o keeps them in a file.

    Example: `template-package estimate -o means.safetensors`
    """
    from template_package import Estimate, JamesStein, datasets

    samples = datasets.normal_means(10, 5, opts.seed)[0] if data is None else datasets.read_csv(data)
    means = JamesStein().estimate(samples)
    if opts.out is not None:
        Estimate(means, JamesStein.name).save(opts.out, force=opts.force)
    pairs = zip(samples.mean(0), means, strict=True)
    table = Table(["column", "sample mean", "estimate"])
    table.rows += [[column, float(plain), float(mean)] for column, (plain, mean) in enumerate(pairs)]
    return table


@verb(app, uses=())
def inspect(
    path: Annotated[Path, typer.Argument(help="File that `estimate -o` wrote.")],
) -> dict[str, Any]:
    """Show what a file of estimates holds.

    Example: `template-package inspect means.safetensors`
    """
    from template_package import Estimate

    kept = Estimate.load(path)
    return {"method": kept.method, "variables": kept.means.size, "norm": float((kept.means @ kept.means) ** 0.5)}


@verb(app, uses=("seed", "threads", "quiet", "out"), out="run")
def risk(
    blocks: Annotated[int, typer.Option(min=1, help="Number of blocks of 200 data sets.")] = 10, *, opts: Shared
) -> Table:
    """Squared error over many simulated data sets, into the run folder -o; a killed run resumes."""
    from ninefold.run import Run

    from template_package.evaluation import squared_errors

    with Run(opts.need_out(), {"blocks": blocks, "seed": opts.seed}) as run, progress(blocks, "blocks") as bar:
        done = run.metrics()
        bar.advance(len(done))
        for block in range(len(done), blocks):
            errors = squared_errors(200, opts.seed * 1000 + block)
            run.log(block=block, **{name: float(values.mean()) for name, values in errors.items()})
            bar.advance()
        lines = run.metrics()
    arms = [name for name in lines[0] if name != "block"]
    return Table(["arm", "mean squared error"], [[arm, sum(line[arm] for line in lines) / len(lines)] for arm in arms])


@verb(app, uses=("seed", "threads"))
def bench(*, opts: Shared) -> Table:
    """Time the method beside its rivals in one process."""
    from ninefold.measure import compare

    from template_package import JamesStein, datasets
    from template_package.baselines import BASELINES

    samples, _ = datasets.normal_means(100_000, 5, opts.seed)
    arms = {one.name: one() for one in (*BASELINES.values(), JamesStein)}
    timings = compare({name: lambda arm=arm: arm.estimate(samples) for name, arm in arms.items()})
    table = Table(["arm", "seconds", "times as fast", "95 % interval"])
    table.rows += [[one.name, one.seconds, one.ratio, f"[{one.low:.3g}, {one.high:.3g}]"] for one in timings.values()]
    return table


demo_verb(app, "template-package")
main = run_app(app)
