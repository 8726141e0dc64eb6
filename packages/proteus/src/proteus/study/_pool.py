"""Objectives in a pool of processes: each writes a run of its own, and `merge` puts them together."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from ninefold.errors import ArtifactError, InputError, NinefoldError

from proteus.planning._expert import ExpertPlanner
from proteus.record._objects import Budget, Settings
from proteus.record._planner import Planner
from proteus.record._run_folder import Folder
from proteus.study._gather import gather
from proteus.study._out import need_free

if TYPE_CHECKING:
    from proteus.study._study import Report, Study


def refuse_to_share(planner: Planner, budget: Budget) -> None:
    """InputError for what cannot be spread over processes: a model's budget and calls, a budget of time."""
    if not isinstance(planner, ExpertPlanner):
        raise InputError("--workers", got="with a model", expected="one process: its budget and its calls are one")
    if budget.seconds is not None:
        raise InputError("--workers", got="with --budget-seconds", expected="one of the two")


def run_in_pool(
    study: Study, open_study: Callable[[Path], Study], budget: Budget, seed: int, workers: int, out: Path | None,
    settings: Settings, objectives: list[str], *, resume: bool, advance: Callable[[str], object],
) -> Report:  # fmt: skip
    """Run a study's objectives in `workers` processes.

    `open_study` opens the study anew in each process. What comes out is what one process gives, byte by byte.
    Unfinished parts lie in `<out>.parts` until all are done.
    """
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / "run" if out is None else out
        need_free(target)
        parts = target.with_name(f"{target.name}.parts")
        if parts.exists() and not resume:
            raise ArtifactError(parts, "holds parts of an interrupted run; --resume goes on with them")
        study.keep_input(Folder(parts))
        jobs = [(open_study, str(parts), name, budget, seed, settings) for name in objectives]
        with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
            for future in as_completed([pool.submit(_one, *job) for job in jobs]):
                name, wrong = future.result()
                if wrong:
                    pool.shutdown(cancel_futures=True)
                    raise NinefoldError(f"objective {name}: {wrong}")
                advance(name)
        report = study.resume_gathered(gather([parts / name for name in objectives], target), target)
        shutil.rmtree(parts)
    return report if out is not None else dataclasses.replace(report, path=None)


def _one(
    open_study: Callable[[Path], Study], parts: str, objective: str, budget: Budget, seed: int, settings: Settings
) -> tuple[str, str]:
    """(objective, what went wrong); errors travel as words, as not every one can be rebuilt elsewhere."""
    try:
        alone = settings.model_copy(update={"objective": objective})
        open_study(Path(parts)).run(budget, seed, out=Path(parts) / objective, resume=True, settings=alone)
    except NinefoldError as error:
        return objective, str(error)
    return objective, ""
