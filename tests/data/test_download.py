from __future__ import annotations

import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.data.download import find_download
from framework.errors import DataError
from framework.spec.data import DownloadSpec
from framework.spec.experiment import PathsSpec

CONTENT = b"the text\n" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "folder/file.txt"
OFFLINE = "data=python_source"


class _Site(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:100] if self.path == "/cut" else CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home-cache"))
    _Site.asked = 0


def spec(url: str, sha256: str = SHA256, filename: str = NAME) -> DownloadSpec:
    return DownloadSpec(url=url, sha256=sha256, filename=filename)


def put(folder: Path, content: bytes = CONTENT) -> Path:
    (folder / NAME).parent.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(content)
    return folder / NAME


def test_the_data_folder_comes_first_and_needs_no_network(tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, environment, cache = (put(tmp_path / name) for name in ("given", "environment", "cache"))
    monkeypatch.setenv("GATEWORK_DATA", str(tmp_path / "environment"))
    paths = PathsSpec(data_dir=str(tmp_path / "given"), cache_dir=str(tmp_path / "cache"))
    assert find_download(spec(site), paths, OFFLINE) == given
    assert find_download(spec(site), PathsSpec(cache_dir=str(tmp_path / "cache")), OFFLINE) == environment
    monkeypatch.delenv("GATEWORK_DATA")
    assert find_download(spec(site), PathsSpec(cache_dir=str(tmp_path / "cache")), OFFLINE) == cache
    assert _Site.asked == 0


def test_what_is_not_there_is_fetched_once_into_the_cache(tmp_path: Path, site: str) -> None:
    paths = PathsSpec(data_dir=str(tmp_path / "nowhere"), cache_dir=str(tmp_path / "cache"))
    for _ in range(2):
        file = find_download(spec(f"{site}/file"), paths, OFFLINE)
        assert file == tmp_path / "cache" / NAME
        assert file.read_bytes() == CONTENT
    assert _Site.asked == 1
    assert [path.name for path in file.parent.iterdir()] == ["file.txt"]
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder's variable is Linux' own")
def test_the_cache_is_the_users_own_when_none_is_given(tmp_path: Path, site: str) -> None:
    assert find_download(spec(f"{site}/file"), PathsSpec(), OFFLINE) == tmp_path / "home-cache" / "gatework" / NAME


@pytest.mark.parametrize("where", ["data_dir", "cache_dir"])
def test_a_file_with_another_checksum_is_named_with_both(tmp_path: Path, site: str, where: str) -> None:
    file = put(tmp_path / where, b"something else")
    paths = PathsSpec(data_dir=str(tmp_path / "data_dir"), cache_dir=str(tmp_path / "cache_dir"))
    with pytest.raises(DataError) as caught:
        find_download(spec(site), paths, OFFLINE)
    message = str(caught.value)
    assert f"data.download.sha256: checksum of '{file}' differs" in message
    assert f"value: {hashlib.sha256(b'something else').hexdigest()}" in message and f"expected: {SHA256}" in message
    assert "remove that file" in message


def test_a_fetched_file_with_another_checksum_is_named_with_both_and_not_kept(tmp_path: Path, site: str) -> None:
    with pytest.raises(DataError) as caught:
        find_download(spec(f"{site}/file", "0" * 64), PathsSpec(cache_dir=str(tmp_path / "cache")), OFFLINE)
    message = str(caught.value)
    assert f"checksum of '{site}/file' differs" in message and f"value: {SHA256}" in message and f"expected: {'0' * 64}" in message
    assert list((tmp_path / "cache" / "folder").iterdir()) == []


@pytest.mark.parametrize("page", ["missing", "cut", "dead"])
def test_without_file_and_network_one_error_names_the_offline_data(tmp_path: Path, site: str, page: str) -> None:
    url = "http://127.0.0.1:9/file" if page == "dead" else f"{site}/{page}"
    paths = PathsSpec(data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(DataError) as caught:
        find_download(spec(url), paths, OFFLINE)
    message = str(caught.value)
    start = f"data.download: '{NAME}' is neither in '{tmp_path / 'data'}' and '{tmp_path / 'cache'}' nor can it be fetched from {url}\n"
    assert message.startswith(start)
    assert f"hint: {OFFLINE} needs no download; data.path=FILE reads your own text" in message
    assert "paths.data_dir or $GATEWORK_DATA" in message
    assert all(len(line) < 400 for line in message.splitlines())
    assert list((tmp_path / "cache" / "folder").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, site: str) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"paths\.cache_dir: '.*cache/folder' cannot be written: .*\n.*set paths\.cache_dir"):
        find_download(spec(site), PathsSpec(cache_dir=str(tmp_path / "cache")), OFFLINE)


@pytest.mark.parametrize("filename", ["../file.txt", "/etc/passwd", "a/../../b"])
def test_a_name_outside_the_data_folder_is_refused(tmp_path: Path, site: str, filename: str) -> None:
    with pytest.raises(DataError, match=r"data\.download\.filename: '.*' lies outside the data folder"):
        find_download(spec(site, filename=filename), PathsSpec(cache_dir=str(tmp_path)), OFFLINE)
