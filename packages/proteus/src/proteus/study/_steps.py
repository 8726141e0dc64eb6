"""Tools called one by one, as the script that a run exports does."""

import itertools
from pathlib import Path
from typing import Any

from proteus.record._objects import Step
from proteus.study._study import Study, open_study
from proteus.tools._registry import Input, run_alone


class Steps:
    """The tools of planners on one table.

        steps = proteus.Steps("run")
        test = steps("contrast", design="~ group", contrast="AD-control")
        check = steps("sensitivity", test)
        check.tables["refits"]

    Args:
        run: folder of a run whose input is taken, or a Study.
        seed: of all draws.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> import proteus
        >>> values = np.random.default_rng(0).normal(25, 0.2, (60, 8))
        >>> values[0, ::2] += 3
        >>> sheet = pd.DataFrame({"group": ["AD", "control"] * 4}, index=[f"s{k}" for k in range(8)])
        >>> data = proteus.from_matrix(values, [f"P{k}" for k in range(60)], sheet)
        >>> steps = proteus.Steps(proteus.Study(data))
        >>> steps("contrast", design="~ group", contrast="AD-control").metrics["hits"]
        1
    """

    def __init__(self, run: str | Path | Study, seed: int = 0) -> None:
        study = run if isinstance(run, Study) else open_study(run)
        self._context = study.context(seed)
        self._number = itertools.count(1)

    def __call__(self, tool: str, *inputs: Input, **params: Any) -> Input:
        """Result of a tool: its `tables` by name, and its `metrics`.

        Args:
            tool: a name of `proteus tools`.
            inputs: results that it reads.
            params: as `proteus tools` lists them.
        Raises:
            InputError: for an unknown tool or parameter, an input that is absent, or a table that does not fit.
        """
        return run_alone(self._context, Step(id=f"S{next(self._number)}", tool=tool, params=params), inputs)[0]
