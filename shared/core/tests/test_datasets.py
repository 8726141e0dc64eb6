from __future__ import annotations

import hashlib
import http.server
import threading
from pathlib import Path

import pytest
from ninefold.datasets import cache_dir, data_dir, find
from ninefold.errors import ArtifactError, DownloadError

DATA = bytes(range(256)) * 20_000  # 5 MB
SHA256 = hashlib.sha256(DATA).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves DATA in ways that the path names; writes down the ranges asked for."""

    def do_GET(self):
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.asked.append(begin)
        ways = self.path.strip("/").split("-")
        data = b"other" if "other" in ways else DATA
        if "norange" in ways:
            begin = 0
        if "gone" in ways or begin >= len(data):
            self.send_error(404 if "gone" in ways else 416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        end = begin + 2_000_000 if "broken" in ways else len(data)
        self.wfile.write(data[begin:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.asked = []
        made.url = f"http://127.0.0.1:{made.server_port}"
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """(folder of $NINEFOLD_DATA, cache of the package)."""
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data", tmp_path / "cache" / "pack" / "data"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_data_folder_comes_before_the_cache(places):
    mine = put(places[0] / "pack" / "sub" / "x", "mine")
    put(places[1] / "sub" / "x", "cached")
    assert find("pack", "sub/x", url="http://127.0.0.1:1/never") == mine


def test_data_folder_alone_leaves_the_cache_unmade(places, tmp_path):
    put(places[0] / "pack" / "x", "mine")
    find("pack", "x")
    assert not (tmp_path / "cache").exists()


def test_cache_is_used_when_the_data_folder_lacks_the_file(places):
    put(places[0] / "pack" / "y", "")
    cached = put(places[1] / "x", "cached")
    assert find("pack", "x", url="http://127.0.0.1:1/never") == cached


@pytest.mark.parametrize("root", [None, "", "/nowhere"])
def test_no_data_folder_is_none(monkeypatch, root):
    monkeypatch.delenv("NINEFOLD_DATA") if root is None else monkeypatch.setenv("NINEFOLD_DATA", root)
    assert data_dir("pack") is None


def test_cache_without_a_variable_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("NINEFOLD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir("pack").is_dir()
    assert cache_dir("pack").is_relative_to(tmp_path)


def test_wrong_bytes_are_refused_where_they_were_found(places):
    path = put(places[0] / "pack" / "x", "other")
    with pytest.raises(ArtifactError, match=f"{path}: is damaged or another version: its SHA-256 is not {SHA256}"):
        find("pack", "x", sha256=SHA256)
    assert find("pack", "x", sha256=hashlib.sha256(b"other").hexdigest().upper()) == path


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1/x"])
def test_offline_says_which_file_to_put_where(places, url):
    with pytest.raises(DownloadError) as caught:
        find("pack", "sub/x", url=url)
    assert f"put the file at {places[1] / 'sub' / 'x'}, or set NINEFOLD_DATA to a folder that has pack/sub/x" in str(
        caught.value
    )
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_fetched_file_is_kept_in_the_cache(places, server, sha256):
    for _ in range(2):
        path = find("pack", "sub/x", url=f"{server.url}/whole", sha256=sha256)
        assert path == places[1] / "sub" / "x"
        assert path.read_bytes() == DATA
    assert server.asked == [0]
    assert list(path.parent.iterdir()) == [path]


def test_broken_download_is_continued_where_it_stopped(places, server):
    with pytest.raises(DownloadError, match=r"broken cannot be had \(\w+\): put the file at"):
        find("pack", "x", url=f"{server.url}/broken", sha256=SHA256)
    assert not (places[1] / "x").exists()
    assert find("pack", "x", url=f"{server.url}/whole", sha256=SHA256).read_bytes() == DATA
    assert server.asked[0] == 0
    assert 0 < server.asked[1] <= 2_000_000


def test_broken_download_without_digest_begins_anew(places, server):
    with pytest.raises(DownloadError):
        find("pack", "x", url=f"{server.url}/broken")
    assert find("pack", "x", url=f"{server.url}/whole").read_bytes() == DATA
    assert server.asked == [0, 0]


@pytest.mark.parametrize(
    ("left", "url", "asked"),
    [
        (DATA[:1000], "norange", [1000]),
        (DATA, "whole", [len(DATA)]),  # killed before the rename
        (b"of another version", "whole", [18, 0]),
        (DATA + b"more", "whole", [len(DATA) + 4, 0]),
    ],
)
def test_any_part_left_by_a_kill_leads_to_the_whole_file(places, server, left, url, asked):
    places[1].mkdir(parents=True)
    (places[1] / "x.part").write_bytes(left)
    assert find("pack", "x", url=f"{server.url}/{url}", sha256=SHA256).read_bytes() == DATA
    assert server.asked == asked


def test_other_bytes_at_the_source_are_refused_and_not_kept(places, server):
    for _ in range(2):
        with pytest.raises(DownloadError, match=f"other now holds other bytes than SHA-256 {SHA256}: put the file"):
            find("pack", "x", url=f"{server.url}/other", sha256=SHA256)
        assert not (places[1] / "x").exists()
    assert server.asked == [0, 0]


def test_missing_at_the_source_names_the_status(server):
    with pytest.raises(DownloadError, match=r"gone cannot be had \(HTTP 404\)"):
        find("pack", "x", url=f"{server.url}/gone", sha256=SHA256)


def test_many_asking_at_once_fetch_once(server):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(find("pack", "x", url=f"{server.url}/whole", sha256=SHA256)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == DATA for path in found] == [True] * 4
    assert server.asked == [0]
