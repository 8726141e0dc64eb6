"""Lists written to files, SQLite, PostgreSQL and Redis: whole or absent, resumed after a kill, never another's."""

import contextlib
import json
import sqlite3
import subprocess
import sys

import pyarrow.csv
import pyarrow.parquet
import pytest
import recsys
from ninefold.errors import ArtifactError, InputError, MissingExtraError
from recsys import EASE, Popular
from recsys.storage._database import Database, StorageError, shown
from recsys.storage._lists import _File, _Hash, _Table

from .helpers import events, run_ready
from .servers import postgresql, redis


@pytest.fixture(scope="module")
def model():
    return EASE(l2=5.0).fit(events(text=True))


@pytest.fixture(scope="module")
def postgresql_url():
    with postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def redis_url():
    with redis() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def url(request, tmp_path):
    """An empty place of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/lists.db"
    found = request.getfixturevalue(f"{request.param}_url")
    if request.param == "postgresql":
        with contextlib.closing(Database(found)) as base:
            base.run("DROP SCHEMA public CASCADE")
            base.run("CREATE SCHEMA public")
    else:
        _hash(found).flushdb()
    return found


def _hash(url):
    return pytest.importorskip("redis").Redis.from_url(url, decode_responses=True)


def read(url, name="lists"):
    """(user, item, rank, score, source) of all lists at a place, ordered by user and rank; None: no lists."""
    if url.startswith("redis"):
        fields = _hash(url).hgetall(name)
        found = []
        for user, text in fields.items():
            one = json.loads(text)
            ranks = range(1, len(one["items"]) + 1)
            found += zip([user] * len(ranks), one["items"], ranks, one["scores"], one["sources"], strict=True)
        return sorted(found, key=lambda row: (row[0], row[2])) or None
    with contextlib.closing(Database(url)) as base:
        if base.columns(name) is None:
            return None
        return sorted(base.run(f'SELECT * FROM "{name}"'), key=lambda row: (row[0], row[2]))


def rows(table):
    found = zip(*(one.to_pylist() for one in table.columns), strict=True)
    return sorted(found, key=lambda row: (row[0], row[2]))


def test_lists_in_a_database_are_those_of_recommend(model, url):
    assert recsys.recommend_to(model, url, k=4, block=7) == 240
    assert read(url) == rows(model.recommend(k=4))
    other = recsys.recommend_to(model, url, ["u1", "nobody"], k=2, table="top2", exclude=["i0"])
    assert other == 4
    assert read(url, "top2") == rows(model.recommend(["u1", "nobody"], k=2, exclude=["i0"]))
    assert read(url) == rows(model.recommend(k=4))


def test_integer_ids_stay_integers(tmp_path):
    model = Popular().fit(events())
    recsys.recommend_to(model, f"sqlite:///{tmp_path}/lists.db", [100, 101], k=1)
    assert read(f"sqlite:///{tmp_path}/lists.db") == rows(model.recommend([100, 101], k=1))


def test_lists_that_are_there_are_replaced_by_force_alone_and_at_once(model, url, monkeypatch):
    recsys.recommend_to(model, url, k=2, block=20)
    before = read(url)
    with pytest.raises(InputError, match=r"lists already.*--force"):
        recsys.recommend_to(model, url, k=3, block=20)
    seen, kind = [], _Hash if url.startswith("redis") else _Table
    write = kind.write
    monkeypatch.setattr(kind, "write", lambda *args: (write(*args), seen.append(read(url)))[0])
    recsys.recommend_to(model, url, k=3, block=20, force=True)
    assert seen == [before] * 3
    assert read(url) == rows(model.recommend(k=3))


def test_an_interrupted_run_is_resumed_and_one_with_other_settings_is_not(model, url, monkeypatch):
    asked, plain = [], EASE.recommend

    def watched(self, users=None, *args, **options):
        asked.append(users.to_pylist())
        if asked[-1] and len([one for one in asked if one]) == 4:
            raise KeyboardInterrupt
        return plain(self, users, *args, **options)

    monkeypatch.setattr(EASE, "recommend", watched)
    with pytest.raises(KeyboardInterrupt):
        recsys.recommend_to(model, url, k=4, block=10)
    assert read(url) is None
    with pytest.raises(InputError, match="k was 4, now 5"):
        recsys.recommend_to(model, url, k=5, block=10)
    recsys.recommend_to(model, url, k=4, block=10)
    blocks = [one for one in asked if one]
    assert blocks[3] == blocks[4]  # the block that was cut off, and none before it
    assert len(blocks) == 7
    monkeypatch.undo()
    assert read(url) == rows(model.recommend(k=4))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(EASE, "recommend", watched)
        asked.clear()
        recsys.recommend_to(model, url, k=4, block=10, force=True)
    recsys.recommend_to(model, url, k=5, block=10, force=True)  # anew
    assert read(url) == rows(model.recommend(k=5))


_KILLED = """
import os, signal, sys
import recsys
from ninefold import errors as recsys_errors
from recsys.storage import _database

folder, url = sys.argv[1:]
model = recsys.load(folder)
if url.startswith("redis"):
    from redis.client import Redis as of
    name = "execute_command"
    from redis.client import Pipeline
    kinds = [(Pipeline, "execute")]
else:
    kinds = [(_database.Database, "run"), (_database.Database, "insert")]

def kill_at(place):
    counted = [0]
    for kind, name in kinds:
        def watched(*args, inner=getattr(kind, name), **options):
            counted[0] += 1
            if counted[0] == place:
                os.kill(os.getpid(), signal.SIGKILL)
            found = inner(*args, **options)
            counted[0] += 1
            if counted[0] == place:
                os.kill(os.getpid(), signal.SIGKILL)
            return found
        setattr(kind, name, watched)

kills, place = 0, 2
while True:
    process = os.fork()
    if not process:
        kill_at(place)
        try:
            recsys.recommend_to(model, url, k=4, block=9)
        except recsys_errors.InputError as error:
            assert "lists already" in str(error)  # killed after the last commit
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if not status:
        break
    assert os.WIFSIGNALED(status), status
    kills, place = kills + 1, place + STEP
print(kills)
"""


def test_a_run_that_is_killed_again_and_again_ends_whole(model, url, tmp_path):
    folder = model.save(tmp_path / "model")
    code = _KILLED.replace("STEP", "1" if url.startswith("redis") else "3")
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), url], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
    assert read(url) == rows(model.recommend(k=4))


def test_two_runs_at_once_do_not_mix(model, url, monkeypatch):
    plain = EASE.recommend

    def meanwhile(self, users=None, *args, **options):
        found = plain(self, users, *args, **options)
        if len(users) and users[0].as_py() == second:
            monkeypatch.undo()
            recsys.recommend_to(model, url, k=4, block=20)
        return found

    second = model.user_ids_.values[20].as_py()
    monkeypatch.setattr(EASE, "recommend", meanwhile)
    with pytest.raises(StorageError, match="another run writes"):
        recsys.recommend_to(model, url, k=4, block=20)
    assert read(url) == rows(model.recommend(k=4))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_tables_of_others_are_left_alone(kind, model, tmp_path, request):
    url = f"sqlite:///{tmp_path}/lists.db" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    with contextlib.closing(Database(url)) as base:
        for table in ("lists", "others", "empty", "recsys_lists"):
            base.run(f'DROP TABLE IF EXISTS "{table}"')
        base.run("CREATE TABLE lists (customer BIGINT, item TEXT)")
        base.run("CREATE TABLE others (who TEXT, what TEXT, rank BIGINT, score DOUBLE PRECISION, source TEXT)")
        base.run("INSERT INTO others VALUES ('u1', 'i1', 1, 0.5, 'mine')")
        base.run("CREATE TABLE empty (who TEXT, what TEXT, rank BIGINT, score DOUBLE PRECISION, source TEXT)")
    with pytest.raises(InputError, match="columns customer, item, expected columns who, what, rank, score, source"):
        recsys.recommend_to(model, url, force=True)
    with pytest.raises(InputError, match="rows of others"):
        recsys.recommend_to(model, url, table="others", force=True)
    assert read(url, "others") == [("u1", "i1", 1, 0.5, "mine")]
    assert recsys.recommend_to(model, url, ["u1"], k=2, table="empty") == 2


def test_a_key_of_others_is_left_alone(model, redis_url):
    base = _hash(redis_url)
    base.flushdb()
    base.set("lists", "mine")
    with pytest.raises(InputError, match="a key of others"):
        recsys.recommend_to(model, redis_url, force=True)
    assert base.get("lists") == "mine"


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("mysql://root:hidden@h/lists", r"mysql://root:\*\*\*@h/lists.*sqlite:///FILE"),
        ("sqlite://", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("sqlite:///a.db?mode=ro", "three slashes"),
        ("lists.json", r"'\.json'.*\.parquet or \.csv"),
        ("postgresql://me:hidden@127.0.0.1:1/x", "a server that accepts it"),
        ("redis://:hidden@127.0.0.1:1/0", "a Redis server that accepts it"),
        ("redis://127.0.0.1:port/0", "a Redis server that accepts it"),
    ],
)
def test_a_wrong_place_is_named_and_no_password_shown(to, message, model):
    for scheme, driver in (("postgres", "psycopg"), ("redis", "redis")):
        if to.startswith(scheme):
            pytest.importorskip(driver)
    with pytest.raises(InputError, match=message) as caught:
        recsys.recommend_to(model, to)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("table", ["", "a b", "1a", 'x"; DROP TABLE y', "recsys_lists", "a" * 51])
def test_a_wrong_table_name_is_refused(table, model, tmp_path):
    with pytest.raises(InputError, match="--table"):
        recsys.recommend_to(model, f"sqlite:///{tmp_path}/lists.db", table=table)


def test_what_is_no_database_is_named(model, tmp_path):
    (tmp_path / "text.db").write_text("no database, but long enough to be read as one" * 30)
    with pytest.raises(ArtifactError, match="cannot be used as an SQLite database"):
        recsys.recommend_to(model, f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(ArtifactError, match="cannot be used"):
        recsys.recommend_to(model, f"sqlite:///{tmp_path}/no/such/folder.db")


@pytest.mark.parametrize(("url", "extra"), [("postgresql://h/x", "postgresql"), ("redis://h/0", "redis")])
def test_a_missing_extra_is_named(url, extra, model, monkeypatch):
    for name in ("psycopg", "redis"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"recsys\[{extra}\]"):
        recsys.recommend_to(model, url)


def test_a_full_disk_keeps_what_is_there_and_the_run_resumes(model, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/lists.db"
    write, left = _Table.write, [2]

    def full(self, block, lists):
        if not left[0]:
            self._base.run("PRAGMA max_page_count = 1")
        left[0] -= 1
        write(self, block, lists)

    monkeypatch.setattr(_Table, "write", full)
    with pytest.raises(StorageError, match="full"):
        recsys.recommend_to(model, url, k=25, block=20)
    monkeypatch.undo()
    assert recsys.recommend_to(model, url, k=25, block=20) == model.recommend(k=25).num_rows
    assert read(url) == rows(model.recommend(k=25))


def test_csv_lists_are_those_of_recommend_and_others_files_are_left_alone(model, tmp_path):
    path = tmp_path / "lists.csv"
    recsys.recommend_to(model, path, k=3, block=17)
    assert pyarrow.csv.read_csv(path).select(["who", "what", "rank", "source"]).to_pydict() == (
        model.recommend(k=3).select(["who", "what", "rank", "source"]).to_pydict()
    )
    recsys.recommend_to_file(model, path, k=2, force=True)
    assert pyarrow.csv.read_csv(path).num_rows == 120
    path.write_text("who,what\na,b\n")
    with pytest.raises(ArtifactError):
        recsys.recommend_to(model, path, force=True)
    assert path.read_text() == "who,what\na,b\n"


def test_a_place_counts_the_blocks_that_it_has(model, tmp_path):
    lists = model.recommend(["u1"], k=1)
    place = _File(tmp_path / "lists.parquet", {"k": 1}, force=False)
    place.write(0, lists)
    assert (place.has(0), place.has(1)) == (True, False)
    place.close()
    assert shown("postgresql://me:s@crèt@host/x") == "postgresql://me:***@crèt@host/x"


def test_the_verb_writes_to_a_url(model, tmp_path):
    folder, url = model.save(tmp_path / "model"), f"sqlite:///{tmp_path}/lists.db"
    done = run_ready("recsys.cli", "recommend", str(folder), "--to", url, "--table", "top", "-k", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 120, "to": url}
    assert sqlite3.connect(tmp_path / "lists.db").execute("SELECT count(*) FROM top").fetchone() == (120,)
    for words, message in (
        (["--to", url, "-o", str(tmp_path / "x.csv")], "--to, --out"),
        (["--table", "top"], "--table"),
        (["-o", str(tmp_path / "x.csv"), "--table", "top"], "--table"),
        (["--to", url, "--table", "top"], "lists already"),
    ):
        done = run_ready("recsys.cli", "recommend", str(folder), *words)
        assert done.returncode == 2, (words, done.stderr)
        assert message in done.stderr
