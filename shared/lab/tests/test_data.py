"""Named data: what the lists say, fetched from a server on loopback that serves, breaks off, and sends other bytes."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from pathlib import Path

import pytest
from ninefold.errors import DownloadError, InputError
from ninefold_lab import app as command
from ninefold_lab.data import _zipped, get, listed

FILES = {"/acme/data/c1/a.txt": b"words " * 9000, "/acme/data/c1/deep/b.txt": b"1,2\n"}


@pytest.fixture
def server():
    """(address, faults by path) of a server of FILES: "short" breaks off, "wrong" sends other bytes."""
    faults = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = FILES.get(self.path)
            if body is None:
                return self.send_error(404)
            fault = faults.pop(self.path, "")
            begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(body) - begin))
            self.end_headers()
            body = body.replace(b"w", b"x") if fault == "wrong" else body
            self.wfile.write(body[begin : len(body) // 2] if fault == "short" else body[begin:])
            return None

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", faults
        running.shutdown()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NINEFOLD_DATA", raising=False)
    entry = lambda path, body, **more: {  # noqa: E731
        "path": path, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "repository": "acme/data",
        "commit": "c1", **more,
    }  # fmt: skip
    a, b = FILES.values()
    files = [entry("a.txt", a, source="a.txt"), entry("b.csv.gz", b, source="deep/b.txt", gzip=True)]
    sets = [
        {"name": "words", "licence": "CC0", "files": files},
        {"name": "made", "licence": "none stated", "files": [], "by_hand": "acme/other @ c2: columns dropped"},
    ]
    folder = tmp_path / "checkout" / "packages" / "thing" / "experiments"
    folder.mkdir(parents=True)
    (folder / "data.json").write_text(json.dumps(sets))
    return tmp_path / "checkout"


def test_set_is_fetched_checked_and_kept(checkout, server, tmp_path):
    address, _ = server
    words, _ = listed(checkout / "packages")
    paths = get(words, tmp_path / "data", host=address)
    assert [path.relative_to(tmp_path / "data").as_posix() for path in paths] == ["thing/a.txt", "thing/b.csv.gz"]
    assert paths[0].read_bytes() == FILES["/acme/data/c1/a.txt"]
    assert gzip.decompress(paths[1].read_bytes()) == FILES["/acme/data/c1/deep/b.txt"]
    assert get(words, tmp_path / "data", host="http://127.0.0.1:9") == paths  # nothing is asked of the network again


def test_download_that_breaks_off_goes_on_and_wrong_bytes_are_refused(checkout, server, tmp_path):
    address, faults = server
    words, _ = listed(checkout / "packages")
    faults["/acme/data/c1/a.txt"] = "short"
    with pytest.raises(DownloadError, match=r"a\.txt"):
        get(words, tmp_path / "data", host=address)
    assert not (tmp_path / "data" / "thing" / "a.txt").exists()
    assert get(words, tmp_path / "data", host=address)[0].read_bytes() == FILES["/acme/data/c1/a.txt"]
    (tmp_path / "data" / "thing" / "a.txt").unlink()
    for kept in (tmp_path / "cache").rglob("a.txt*"):
        kept.unlink()
    faults["/acme/data/c1/a.txt"] = "wrong"
    with pytest.raises(DownloadError, match="other bytes"):
        get(words, tmp_path / "data", host=address)


def test_set_made_by_hand_says_from_what(checkout, tmp_path):
    _, made = listed(checkout / "packages")
    with pytest.raises(InputError, match=r"thing made: .*no command fetches.*columns dropped"):
        get(made, tmp_path / "data")


def test_command_lists_and_gets(checkout, server, tmp_path, monkeypatch, capfd):
    from ninefold import cli

    def call(*words):
        monkeypatch.setattr("sys.argv", ["ninefold", *words])
        return cli.status_of(command.app), *capfd.readouterr()

    where = ["--checkout", str(checkout)]
    status, out, _ = call("data", "list", *where, "--json")
    assert status == 0
    assert [row["licence"] for row in json.loads(out)["rows"]] == ["CC0", "none stated"]
    status, out, err = call("data", "get", "thing", "-o", str(tmp_path / "d"), "--host", server[0], *where, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["files"] == 2
    assert call("data", "get", "nothing", "-o", str(tmp_path / "d"), *where)[0] == 2
    assert call("data", "list", "--checkout", str(tmp_path))[0] == 2


def test_every_list_of_this_checkout_is_whole():
    found = list(listed(Path(__file__).parents[3] / "packages"))
    if not found:
        pytest.skip("the tests stand apart from the packages")
    assert len({(one.package, one.name) for one in found}) == len(found) >= 15
    for one in found:
        assert bool(one.files) != bool(one.by_hand), one.name
        for file in one.files:
            assert len(file["sha256"]) == 64
            assert ".." not in file["path"]
            for source in file.get("sources", [file]):
                assert len(source["commit"]) == 40
                assert source.get("archive") or len(source["sha256"]) == 64


CONVERSIONS = """
import tarfile

def lengths(sources, *words):
    names = []
    with tarfile.open(sources[0]) as archive:
        for member in archive:
            names.append(f"{member.name} {member.size} {words[0]}")
    return "\\n".join(names).encode()
"""


@pytest.mark.parametrize("sha256", ["", "0" * 64])
def test_file_is_made_of_an_archive_by_the_packages_own_function(checkout, server, tmp_path, monkeypatch, sha256):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        about = tarfile.TarInfo("data-c1/a.txt")
        about.size = 5
        archive.addfile(about, io.BytesIO(b"words"))
    monkeypatch.setitem(FILES, "/acme/data/tar.gz/c1", packed.getvalue())
    made = b"data-c1/a.txt 5 long"
    source = {"repository": "acme/data", "commit": "c1", "source": "tar.gz", "archive": True, "bytes": 1_000_000}
    file = {"path": "table.txt", "sha256": sha256 or hashlib.sha256(made).hexdigest(), "convert": "lengths:long",
            "sources": [source], "with": "tar 9"}  # fmt: skip
    folder = checkout / "packages" / "thing" / "experiments"
    (folder / "conversions.py").write_text(CONVERSIONS)
    (folder / "data.json").write_text(json.dumps([{"name": "table", "licence": "CC0", "files": [file, file]}]))
    (table,) = listed(checkout / "packages")
    assert table.bytes == 1_000_000  # it is fetched once
    if sha256:
        with pytest.raises(DownloadError, match=r"table\.txt: the conversion gave other bytes .* made with tar 9"):
            get(table, tmp_path / "data", host=server[0])
    else:
        assert get(table, tmp_path / "data", host=server[0])[0].read_bytes() == made


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_zipped_data_has_neither_time_nor_name_nor_system(size):
    zipped = _zipped(b"x" * size)
    assert gzip.decompress(zipped) == b"x" * size
    assert zipped[:10] == bytes.fromhex("1f8b08000000000002ff")
