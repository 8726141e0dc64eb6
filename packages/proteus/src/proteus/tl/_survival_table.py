"""Cox regression of each feature of a table."""

from collections.abc import Sequence

import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.outcomes._cox import cox
from proteus.outcomes._survival import concordance


def survival(
    data: ProteomicsData, time: str = "time", event: str = "event", covariates: Sequence[str] = ()
) -> pd.DataFrame:
    """Cox regression of each feature, with Harrell's C and the proportional-hazards test; smallest p first.

    Args:
        data: log2 or score table; samples without follow-up are left out.
        time, event: columns of the sample table; event is 0 or 1.
        covariates: columns to adjust for; text columns enter as indicators of their levels but the first.

    Examples:
        >>> import numpy as np, pandas as pd, proteus
        >>> rng = np.random.default_rng(0)
        >>> sheet = pd.DataFrame({"time": rng.exponential(100, 30), "event": 1}, index=[f"s{k}" for k in range(30)])
        >>> values = np.vstack([-np.log(sheet["time"]) + rng.normal(size=30), rng.normal(size=(2, 30))])
        >>> proteus.tl.survival(proteus.from_matrix(values, ["A", "B", "C"], sheet)).index[0]
        'A'
    """
    wanted = [*follow_up(data, time, event), *map(data.factor, covariates)]
    known = pd.concat(wanted, axis=1).notna().all(axis=1).to_numpy()
    part = data.take(samples=known)
    extra = pd.get_dummies(part.samples[list(covariates)], drop_first=True).to_numpy(float) if covariates else None
    t, e = part.samples[time].to_numpy(float), part.samples[event].to_numpy(float)
    table = cox(part.values, t, e, covariates=extra)
    table.index = part.features.index
    table.insert(0, "gene", part.genes)
    table["c_index"] = concordance(part.values, t, e)
    return table.sort_values("p", kind="stable")


def follow_up(data: ProteomicsData, *names: str) -> list[pd.Series]:
    """Columns of follow-up and events; InputError where one is text."""
    columns = [data.factor(name) for name in names]
    for column in columns:
        if not pd.api.types.is_numeric_dtype(column):
            got = f"{column.name!r}, which is text"
            raise InputError("survival", got=got, expected="follow-up in numbers, events as 0 or 1")
    return columns
