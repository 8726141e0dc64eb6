"""No name or number of a person is in any file of a run but the copy of its input, nor in what is printed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from proteus import Budget, Study
from proteus.knowledge._private import private_columns, without_names
from proteus.study._tables import report_tables
from proteus.verification._replay import replay
from proteus.verification._verify import verify

from .helpers import noise
from .helpers import table as made
from .test_persons import FIRST, LAST, NOT_PERSONS, sheet, table


def texts(run: Path):
    """(name, text) of each file of a run outside its input; tables as text, packed files unpacked."""
    import zipfile

    for path in sorted(one for one in run.rglob("*") if one.is_file()):
        if path.is_relative_to(run / "input"):
            continue
        if path.suffix == ".parquet":
            yield path.name, pd.read_parquet(path).to_csv()
        elif path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as packed:
                yield path.name, "".join(packed.read(one).decode("utf-8", "replace") for one in packed.namelist())
        else:
            yield path.name, path.read_bytes().decode("utf-8", "replace")


def people_once(number: int):
    """Persons measured once: as names of samples, in a column, as numbers, under staff columns; and their names."""
    rng = np.random.default_rng(number)
    names = [
        FIRST,
        LAST,
        [f"{one}" for one in rng.integers(10**6, 10**7, 10)],
        [f"K-{one}" for one in range(500, 680, 17)],
    ]
    people = list(names[number % 4])[:8]
    frame = pd.DataFrame({"arm": ["placebo"] * 4 + ["drug"] * 4, "phase": ["x", "y"] * 4})
    if number % 3:
        frame[["patient", "Name", "Kürzel"][number % 3]] = people
        frame.index = pd.Index([f"S{one}" for one in range(8)], name="sample")
    else:
        frame.index = pd.Index([f"{one}_prot" for one in people], name="sample")
    frame["technician"] = ["Karl", "Lisa"] * 4
    return frame, [*people, "Karl", "Lisa"]


SHEETS = [lambda n=n: (sheet(n)[0], sheet(n)[2]) for n in range(0, 50, 2)]
SHEETS += [lambda n=n: people_once(n) for n in range(15)]


@pytest.mark.parametrize("number", range(40))
def test_no_name_is_in_any_file_of_a_run_but_the_input(number, tmp_path):
    frame, people = SHEETS[number]()
    report = Study(table(frame)).run(Budget(objectives=1, hypotheses=4), out=tmp_path / "run")
    people = [one for one in people if len(one) > 2]
    files = dict(texts(tmp_path / "run"))
    assert {"report.html", "events.jsonl", "results.csv"} <= set(files)
    leaks = {name: one for name, text in files.items() for one in people if one in text}
    assert not leaks
    shown = json.dumps([[one.rows, one.notes, one.title] for one in report_tables(report, cohorts=False)], default=str)
    assert not [one for one in people if one in shown]
    kept = (tmp_path / "run" / "input" / "table").rglob("*")
    assert any(people[0] in one.read_bytes().decode("utf-8", "replace") or one.suffix == ".parquet" for one in kept)
    if number % 10 == 0:
        assert verify(tmp_path / "run").problems == []
        replay(tmp_path / "run").check(tmp_path / "run")


@pytest.mark.parametrize("name", list(NOT_PERSONS))
def test_what_is_no_person_keeps_its_name(name):
    frame = pd.DataFrame(NOT_PERSONS[name])
    assert set(private_columns(frame)) <= {"case"}
    names = [f"{row.iloc[0]}_{place}".replace(" ", "") for place, (_, row) in enumerate(frame.iterrows())]
    data = made(noise(10, len(frame)), **{str(one): frame[one].tolist() for one in frame})
    renamed = data.with_values(data.values, samples=data.samples.set_axis(pd.Index(names, name="sample")))
    if name != "each person once":
        assert without_names(renamed).samples.index.tolist() == names


@pytest.mark.parametrize(
    "stem", ["20240311_QE_AB_{}", "CTRL_{}", "run{}", "tumour_rep{}", "S{:03d}", "02_{}.raw", "20210309{:02d}"]
)
def test_names_of_runs_stay(stem):
    data = made(noise(10, 12), group=["a", "b"] * 6)
    names = [stem.format(one) for one in range(12)]
    renamed = data.with_values(data.values, samples=data.samples.set_axis(pd.Index(names, name="sample")))
    assert without_names(renamed).samples.index.tolist() == names


def test_codes_are_counted_in_the_order_of_the_input():
    data = table(sheet(0)[0])
    coded = without_names(data)
    first = dict(zip(coded.samples["case"], data.samples["case"], strict=True))
    assert list(first.values()) == list(dict.fromkeys(data.samples["case"]))
    assert list(first) == [f"case_{one + 1}" for one in range(len(first))]
