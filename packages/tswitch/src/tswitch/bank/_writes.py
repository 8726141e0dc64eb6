"""Writing tensors of a live model, so that what others wrote there meanwhile is kept or refused, and never lost."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from ninefold.errors import InputError

from tswitch.bank._resident import in_threads, write_all, write_checked
from tswitch.bank._slots import Slot, Target


@dataclass
class Outcome:
    """What came of writing tensors.

    Attributes:
        found: by slot, what others had written over a switch; it is undone now.
        changed: slots on which the base was, and which others had changed: these hold what the others wrote.
    """

    found: dict[str, torch.Tensor] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


def write_targets(targets: Sequence[Target], switched: set[str]) -> Outcome:
    """Write each target.

    The compiled kernel looks at each block just before it writes it (`write_checked`); tensors that it does not take
    are compared as a whole before anything is written. If one of these is a base that others changed, nothing is.

    Args:
        targets: one for each slot.
        switched: names of slots that hold something else than the base.
    """
    done = Outcome()
    jobs = [target.job(target.slot.sums(target.live)) for target in targets]
    unseen = [target for target, job in zip(targets, jobs, strict=True) if job is None or not job.checked]
    for target, other in zip(unseen, in_threads(lambda one: one.slot.changed(one.live), unseen), strict=True):
        if other and target.slot.name in switched:
            done.found[target.slot.name] = target.live.clone()
        elif other:
            target.slot.forget()
            done.changed.add(target.slot.name)
    if done.changed:
        return done
    before = [target.slot.content for target in targets]
    for target in targets:
        target.slot.unknown()
    places = [place for place, job in enumerate(jobs) if job is not None]
    made = write_checked([job for job in jobs if job is not None])
    for place, parts in ((places[at], parts) for at, parts in made.stopped.items()):
        target, job = targets[place], jobs[place]
        held = target.slot.rebuilt(target.live, before[place], parts)
        if target.slot.name in switched:
            done.found[target.slot.name] = held
            if job is not None:
                write_all([replace(job, checked=False)])
        else:
            target.live.copy_(held)
            target.slot.forget()
            done.changed.add(target.slot.name)
    digested = {places[at] for at in made.digested}
    for place, (target, job) in enumerate(zip(targets, jobs, strict=True)):
        if target.slot.name in done.changed:
            continue
        if job is None:
            target.write()
        sums = job.sums if job is not None and place in digested else None
        target.slot.written(target.live, target.content, sums)
    return done


def base_targets(slots: Iterable[Slot]) -> tuple[list[Target], InputError | None]:
    """Targets that put slots back to the base, and the first error, if one is no longer there; the others are given."""
    targets: list[Target] = []
    failure: InputError | None = None
    for slot in slots:
        try:
            targets.append(Target(slot, slot.live()))
        except InputError as error:
            failure = failure or error
    return targets, failure


def warn_of_foreign(found: dict[str, tuple[str, torch.Tensor]], undone: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Keep in `undone` what others wrote into switched tensors, and warn of it; returns what is still to be reported.

    Args:
        found: by tensor, which tasks were on, and the values; undone with the switch.
    """
    if found:
        undone |= {name: value for name, (_, value) in found.items()}
        was = next(iter(found.values()))[0]
        names = ", ".join(sorted(found)[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
        warnings.warn(
            f"{names}: written by others while {was} was on. That is undone with the switch; the values are "
            "kept in `bank.undone`. Write to the base with all switches off",
            stacklevel=6,
        )
    return {}
