import json
import os
import re
import shlex
import signal
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from ninefold.errors import NinefoldError
from ninefold_testing import run_here
from recsys import Popular
from recsys.cli import app
from recsys.datasets import embedded_retail
from recsys.recommender._registry import MODELS, make_model
from typer.testing import CliRunner

from .helpers import events, ready_process, run_ready


def recsys(*words):
    """Run a verb in this process; its printed output."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout


@pytest.mark.parametrize(("page", "least"), [("README.md", 6), ("docs/guide.md", 8)])
def test_the_pages_commands_run_as_written(page, least, tmp_path, monkeypatch):
    text = (Path(__file__).parent.parent / page).read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- run -->\n```console\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    words = [shlex.split(line[2:]) for block in blocks for line in block.splitlines() if line.startswith("$ recsys ")]
    assert len(words) >= least
    for line in words:
        recsys(*line[1:])
    if page != "README.md":
        return
    lists = pyarrow.parquet.read_table(tmp_path / "recs.parquet")
    assert lists.column_names == ["user", "item", "rank", "score", "source"]
    assert str(lists.schema.field("user").type) == "string"
    assert set(json.loads((tmp_path / "report" / "report.json").read_text())) == {"title", "rows", "notes"}


def test_lists_go_to_a_csv_file_too(tmp_path):
    events(text=True).to_table().to_pandas().to_csv(tmp_path / "shop.csv", index=False)
    columns = ["--user", "who", "--item", "what", "--time", "when"]
    recsys("fit", tmp_path / "shop.csv", *columns, "-m", "ease", "-o", tmp_path / "run" / "model", "-q")
    words = ["recommend", tmp_path / "run" / "model", "-k", "3", "-o"]
    recsys(*words, tmp_path / "lists.parquet")
    for force in ([], ["--force"]):
        recsys(*words, tmp_path / "lists.csv", *force)
    lists, as_csv = pyarrow.parquet.read_table(tmp_path / "lists.parquet"), pyarrow.csv.read_csv(tmp_path / "lists.csv")
    assert as_csv.num_rows == lists.num_rows > 0
    assert as_csv.select(["who", "what", "rank", "source"]).to_pylist() == (
        lists.select(["who", "what", "rank", "source"]).to_pylist()
    )
    assert as_csv["score"].to_pylist() == pytest.approx(lists["score"].to_pylist(), rel=1e-5)
    (tmp_path / "mine.csv").write_text("user,item\n")
    done = CliRunner().invoke(app, [*map(str, words), str(tmp_path / "mine.csv"), "--force"])
    assert done.exit_code != 0
    assert (tmp_path / "mine.csv").read_text() == "user,item\n"
    done = CliRunner().invoke(app, ["recommend", str(tmp_path / "run")])  # the run of `best`, not its model
    assert str(tmp_path / "run" / "model") in f"{done.output}{done.exception}".replace("\n", "")


def test_text_ids_travel_from_csv_to_lists(tmp_path):
    table = events(text=True).to_table().to_pandas()
    table.to_csv(tmp_path / "shop.csv", index=False)
    columns = ["--user", "who", "--item", "what", "--time", "when"]
    recsys("fit", tmp_path / "shop.csv", *columns, "-m", "ease", "--set", "l2=5", "-o", tmp_path / "m", "-q")
    found = json.loads(recsys("recommend", tmp_path / "m", "--for", "u3", "--for", "stranger", "-k", "2", "--json"))
    assert [row["source"] for row in found["rows"]] == ["model", "model", "fallback", "fallback"]
    assert found["rows"][0]["who"] == "u3"
    done = run_ready("recsys.cli", "recommend", str(tmp_path / "m"), "--for", "stranger", "--strict")
    assert done.returncode == 2
    assert "1 unknown, e.g. 'stranger'" in done.stderr


def test_shards_of_users_together_are_all_lists(tmp_path):
    pyarrow.parquet.write_table(events().to_table(), tmp_path / "e.parquet")
    recsys("fit", tmp_path / "e.parquet", "--user", "who", "--item", "what", "-m", "ease", "-o", tmp_path / "m")
    recsys("recommend", tmp_path / "m", "-o", tmp_path / "all.parquet")
    for part in (1, 2, 3):
        recsys("recommend", tmp_path / "m", "--shard", f"{part}/3", "-o", tmp_path / f"{part}.parquet")
    parts = [pyarrow.parquet.read_table(tmp_path / f"{part}.parquet") for part in (1, 2, 3)]
    assert pa.concat_tables(parts).equals(pyarrow.parquet.read_table(tmp_path / "all.parquet"))
    for wrong in ("0/3", "4/3", "x"):
        done = run_ready("recsys.cli", "recommend", str(tmp_path / "m"), "--shard", wrong)
        assert done.returncode == 2
        assert "i/n with 1 <= i <= n" in done.stderr


def test_published_files_are_read_by_the_name_of_their_form(tmp_path):
    (tmp_path / "u.data").write_text("".join(f"{u}\t{i}\t3\t{881250949 + u}\n" for u in range(6) for i in range(u + 1)))
    found = json.loads(recsys("split", tmp_path / "u.data", "--form", "movielens", "-o", tmp_path / "parts", "--json"))
    assert "values, times" in found["train"]
    assert "userId" in pyarrow.parquet.read_table(tmp_path / "parts" / "train.parquet").column_names
    done = run_ready("recsys.cli", "doctor", str(tmp_path / "u.data"), "--form", "netflix")
    assert done.returncode == 2
    assert "'netflix'" in done.stderr
    assert "movielens" in done.stderr


def test_tables_and_the_way_of_reading_are_told_to_every_verb_that_reads_events(tmp_path):
    rows = ["who,what,when,stars", ",a,1,5"]
    for when, (one, two, three) in enumerate(("abc", "bce", "cea", "eab")):
        rows += [f"u1,{one},{when},3", f"u2,{two},{when},5", f"u3,{three},{when},1"]
    (tmp_path / "e.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "items.csv").write_text("what,kind\na,red|big\nb,red\nc,blue|big\nd,red|big\ne,blue\n")
    words = [tmp_path / "e.csv", "--user", "who", "--item", "what", "--value", "stars", "--time", "when"]
    words += ["--items", tmp_path / "items.csv", "--time-unit", "index", "--nulls", "drop", "--scale", "1", "5"]
    assert "1 rows without an id dropped" in recsys("doctor", *words, "--json")
    recsys("split", *words, "--duplicates", "last", "-o", tmp_path / "parts")
    settings = ["--set", "features=kind", "--set", "sweeps=8", "--set", "burn_in=2", "--set", "samples=2"]
    recsys("fit", *words, "-m", "bayesian-fm", *settings, "-o", tmp_path / "m", "-q")
    found = json.loads(
        recsys("recommend", tmp_path / "m", "--for", "u1", "--among", "c", "--among", "d", "--keep-seen", "--json")
    )
    assert {row["what"]: row["source"] for row in found["rows"]} == {"c": "model", "d": "features"}
    compared = json.loads(recsys("compare", *words, "--clicks", "-m", "content-knn", "--metric", "mrr", "--json"))
    assert any(row["model"].startswith("ContentKNN") for row in compared["rows"])
    tuned = json.loads(
        recsys("tune", *words, "--clicks", "-m", "content-knn", "--trials", "2", "--metric", "mrr", "--json")
    )
    assert len(tuned["rows"]) == 2
    done = run_ready("recsys.cli", "doctor", *map(str, [*words[:-1], "4"]))
    assert done.returncode == 2
    assert "column 'stars': got outside in 4 of" in done.stderr


def test_the_device_goes_to_models_that_torch_trains():
    assert make_model("sasrec", device="cuda:1").device == "cuda:1"
    assert make_model("ease", device="cuda:1").get_params() == make_model("ease").get_params()


def test_finished_fit_is_not_done_again(tmp_path):
    pyarrow.parquet.write_table(events().to_table(), tmp_path / "e.parquet")
    words = ["fit", tmp_path / "e.parquet", "--user", "who", "--item", "what", "-m", "popular", "-o", tmp_path / "m"]
    recsys(*words)
    stamp = (tmp_path / "m" / "model.json").stat().st_mtime_ns
    recsys(*words)
    assert (tmp_path / "m" / "model.json").stat().st_mtime_ns == stamp
    done = run_ready("recsys.cli", *map(str, [*words, "--set", "x=1"]))
    assert done.returncode == 2
    assert "setting 'x=1' of popular" in done.stderr


@pytest.mark.parametrize("name", MODELS)
def test_each_named_model_can_be_made(name):
    assert make_model(name, seed=3).get_params().get("seed", 3) == 3


def test_settings_are_typed():
    model = make_model("ials", ["factors=16", "reg=1e-2", "half_life=none"], seed=1)
    assert (model.factors, model.reg, model.half_life, model.seed) == (16, 0.01, None, 1)
    for wrong, reason in (("factors=x", "type int"), ("nope=1", "name=value"), ("factors", "name=value")):
        with pytest.raises(Exception, match=reason):
            make_model("ials", [wrong])


def test_models_have_plain_names():
    for name in MODELS:
        assert re.fullmatch(r"[a-z0-9+-]+", name)


def test_demo_ranks_models_on_the_embedded_purchases_and_names_the_strongest_rival(monkeypatch, tmp_path):
    monkeypatch.delenv("NINEFOLD_DATA", raising=False)
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    from recsys.demo import demo

    whole = embedded_retail()  # of it a third of the customers, and of what they bought the half that sells best
    customer, product = (whole.to_table()[name].to_numpy() for name in ("customer", "product"))
    _, code, sold = np.unique(product, return_inverse=True, return_counts=True)
    some = whole.take((customer % 3 == 0) & (sold >= np.median(sold))[code]).warm()
    monkeypatch.setattr("recsys.demo.embedded_retail", lambda: some)
    result = demo(0)
    assert "Online Retail (real)" in result.data
    assert len(result.figures) == 2  # one customer's list, and the scores of all models
    says = "A favourable case: the first customer with three hits or more"
    assert says in result.figures[0][0]
    assert says in (Path(__file__).parents[1] / "README.md").read_text()
    rows = {row[0]: row[1] for row in result.table.rows}
    assert rows["chance"] == min(rows.values())
    rivals = {name: score for name, score in rows.items() if name not in ("EASE", "iALS")}
    strongest = max(rivals, key=rivals.get)
    arms = result.arms
    assert arms.rival == strongest
    assert strongest in arms.headline()
    assert arms.word in ("better", "no difference", "worse")
    assert rows["popularity"] < rows["recent popularity"] < rivals[strongest]  # the bar is no untuned popularity
    ours = max(score for name, score in rows.items() if name not in rivals)
    assert arms.scores[arms.ours].mean() == pytest.approx(ours, abs=5e-4)
    assert all(row[2].startswith("[") for row in result.table.rows)  # each with its interval


def test_an_index_is_exported_with_its_recall(tmp_path):
    pytest.importorskip("usearch")
    pyarrow.parquet.write_table(events().to_table(), tmp_path / "e.parquet")
    columns = ["--user", "who", "--item", "what", "--set", "factors=4"]
    recsys("fit", tmp_path / "e.parquet", *columns, "-m", "ials", "-o", tmp_path / "m")
    found = json.loads(recsys("export-index", tmp_path / "m", "-o", tmp_path / "i", "--json"))
    assert found["recall@10"] >= 0.95
    assert (tmp_path / "i" / "graph.usearch").is_file()


def test_serve_answers_until_it_is_interrupted(tmp_path):
    folder = Popular().fit(events()).save(tmp_path / "m")
    restore = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from recsys.cli import main; main()"
    )
    read, write = os.pipe()
    with os.fdopen(write, "wb") as errors, Path(os.devnull).open("wb") as nothing:
        words = ["-c", restore, "serve", str(folder), "--port", "0"]
        program = ready_process().start(words, nothing.fileno(), errors.fileno())
    try:
        with os.fdopen(read) as errors:
            address = errors.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address, timeout=90) as reply:  # noqa: S310  (the line above has seen to it)
                assert json.loads(reply.read())["model"] == "Popular()"
            os.kill(program.process, signal.SIGINT)
            assert program.wait(60) == 130
    finally:
        program.kill()


def test_a_fit_whose_tables_changed_is_no_finished_fit(tmp_path):
    pyarrow.parquet.write_table(events(users=8, items=6, n=60).to_table(), tmp_path / "e.parquet")
    words = ["fit", tmp_path / "e.parquet", "--user", "who", "--item", "what", "--items", tmp_path / "items.csv"]
    words += ["-m", "content-knn", "-o", tmp_path / "m"]
    head = "what,text\n" + "".join(f"{one},red apple {one % 2}\n" for one in range(1000, 1006))
    (tmp_path / "items.csv").write_text(head)
    recsys(*words)
    recsys(*words)  # the same again: done
    (tmp_path / "items.csv").write_text(head.replace("apple", "iron"))
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code != 0
    assert "exists already" in str(done.exception) + done.output


def test_plain_compare_takes_a_small_table(tmp_path):
    rows = [f"u{one % 7},i{(one * 5) % 11},{one}" for one in range(40)]
    (tmp_path / "small.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    found = json.loads(recsys("compare", tmp_path / "small.csv", "--metric", "mrr", "--json"))
    assert any(row["model"].startswith("PureSVD") for row in found["rows"])


def refused(*words):
    """Run a verb that must fail for what it was told; the error's text."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert isinstance(done.exception, NinefoldError), (words, done.output, done.exception)
    return str(done.exception)


@pytest.fixture
def popular(tmp_path):
    """A model folder of Popular on the first events of e.parquet, and how that file is read."""
    table, columns = events(users=8, items=6, n=60).to_table(), ["--user", "who", "--item", "what"]
    pyarrow.parquet.write_table(table, tmp_path / "e.parquet")
    pyarrow.parquet.write_table(table.slice(0, 20), tmp_path / "first.parquet")
    recsys("fit", tmp_path / "first.parquet", *columns, "-m", "popular", "-o", tmp_path / "m")
    return tmp_path / "m", [tmp_path / "e.parquet", *columns]


def test_options_that_would_be_ignored_are_refused(popular, tmp_path):
    _, columns = popular
    assert "--cut" in refused("split", *columns, "--by", "rows", "--cut", "2020-09-13", "-o", tmp_path / "s")
    assert "cut" in refused("compare", *columns, "--cut", "2020-09-13")


@pytest.mark.parametrize("option", ["--among", "--exclude"])
def test_unknown_items_of_an_option_are_refused(option, popular):
    assert f"{option}: got 7, expected items of the events" in refused(
        "recommend", popular[0], option, "1001", option, "7"
    )
    recsys("recommend", popular[0], option, "1001")


def test_no_work_is_done_for_a_place_that_is_taken(popular, tmp_path, monkeypatch):
    model, columns = popular
    taken = tmp_path / "taken"
    taken.write_text("mine")
    later = tmp_path / "e.parquet"
    for name in ("evaluate", "build_index", "load", "Dataset"):
        monkeypatch.setattr(f"recsys.{name}", lambda *_, **__: pytest.fail("work"), raising=False)
    for words in (["evaluate", model, later], ["compare", *columns], ["export-index", model]):
        assert "exists already" in refused(*words, "-o", taken)
    assert taken.read_text() == "mine"


def test_a_place_that_is_taken_is_replaced_where_that_is_asked(popular, tmp_path):
    model, columns = popular
    for words, place in (
        (["evaluate", model, tmp_path / "e.parquet", "--metric", "mrr"], "values.parquet"),
        (["compare", *columns, "-m", "popular", "--metric", "mrr"], "report"),
    ):
        recsys(*words, "-o", tmp_path / place)
        recsys(*words, "-o", tmp_path / place, "--force")


@pytest.mark.parametrize(
    "words",
    [
        ["--metric", "rmse", "--next"], ["--metric", "rmse", "--targets", "warm"], ["--metric", "rmse", "-o", "x"],
        ["--next", "--targets", "warm"], ["--time-unit", "s"],
    ],
)  # fmt: skip
def test_evaluate_refuses_what_it_would_ignore(words, popular):
    assert "none: " in refused("evaluate", popular[0], popular[1][0], *words)


@pytest.mark.parametrize("separator", [",", ";"])
def test_missing_column_says_what_to_do(tmp_path, separator):
    (tmp_path / "shop.csv").write_text(f"customer{separator}sku\n1{separator}2\n")
    done = run_here("recsys.cli", "doctor", str(tmp_path / "shop.csv"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "['customer', 'sku'] (name yours: --user, --item" in done.stderr
