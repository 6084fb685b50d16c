from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from paincast.cohort.registry import data_sets
from paincast.cohort.registry.data_sets import fetch, list_data_sets
from paincast.errors import DataError, OutputError, SettingsError

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "pain.csv"


@dataclass
class FakeServer:
    """What the local server does, and what it was asked."""

    content: bytes = CONTENT
    etag: str | None = '"first"'
    honours_range: bool = True
    break_after: int | None = None
    status: int | None = None
    address: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    served_path: str | None = None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.requests.append(dict(self.headers))
            fake.paths.append(self.path)
            if fake.status or (fake.served_path and self.path != fake.served_path):
                self.send_error(fake.status or 404)
                return
            start = self._start()
            if start >= len(fake.content) and start:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(fake.content) - 1}/{len(fake.content)}")
            if fake.etag:
                self.send_header("ETag", fake.etag)
            self.send_header("Content-Length", str(len(fake.content) - start))
            self.end_headers()
            self.wfile.write(fake.content[start : fake.break_after])

        def _start(self) -> int:
            asked = self.headers.get("Range")
            if not asked or not fake.honours_range or self.headers.get("If-Range") not in (None, fake.etag):
                return 0
            return int(asked.removeprefix("bytes=").removesuffix("-"))

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        fake.address = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        http.shutdown()
        thread.join()


@pytest.fixture
def write_mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    configs = tmp_path / "configs"
    (configs / "mapping").mkdir(parents=True)
    monkeypatch.setattr(data_sets, "find_configs", lambda: configs)

    def write(url: str, sha256: str = SHA256, name: str = "trial") -> None:
        source = {"citation": "Somebody 2020", "licence": "CC0-1.0", "files": {FILE: {"url": url, "sha256": sha256}}}
        (configs / "mapping" / f"{name}.yaml").write_text(yaml.safe_dump({"source": source}))

    return write


@pytest.fixture
def folder(tmp_path: Path, server: FakeServer, write_mapping) -> Path:
    write_mapping(f"{server.address}/{FILE}")
    return tmp_path / "real"


def held(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def test_good_file_is_stored_under_its_name(folder: Path) -> None:
    files = fetch("trial", folder)
    assert files == [folder.resolve() / "trial" / FILE]
    assert files[0].read_bytes() == CONTENT
    assert held(folder) == [FILE]


def test_bytes_are_counted_and_nothing_is_printed(
    folder: Path, capfd: pytest.CaptureFixture[str], counted_steps
) -> None:
    fetch("trial", folder, progress=counted_steps)
    assert capfd.readouterr() == ("", "")
    assert (sum(counted_steps.done), counted_steps.expected) == (len(CONTENT), len(CONTENT))
    assert counted_steps.texts == [FILE]


def test_file_already_there_and_right_is_not_transferred(folder: Path, server: FakeServer) -> None:
    fetch("trial", folder)
    fetch("trial", folder)
    assert len(server.requests) == 1


def test_file_already_there_but_changed_is_replaced(folder: Path) -> None:
    (file,) = fetch("trial", folder)
    file.write_bytes(b"changed")
    fetch("trial", folder)
    assert file.read_bytes() == CONTENT


def test_corrupted_file_is_refused_with_both_hashes_and_leaves_nothing(folder: Path, server: FakeServer) -> None:
    server.content = CONTENT[:-1] + b"x"
    received = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(DataError, check=lambda error: error.code == "PC-REGISTRY-10") as caught:
        fetch("trial", folder)
    assert SHA256 in str(caught.value)
    assert received in str(caught.value)
    assert held(folder) == []


def test_corrupted_transfer_does_not_touch_the_file_before_it(folder: Path, server: FakeServer) -> None:
    (file,) = fetch("trial", folder)
    file.write_bytes(b"an older release")
    server.content = b"nonsense"
    with pytest.raises(DataError, check=lambda error: error.code == "PC-REGISTRY-10"):
        fetch("trial", folder)
    assert file.read_bytes() == b"an older release"


def test_truncated_transfer_says_how_to_resume_and_resumes(folder: Path, server: FakeServer) -> None:
    half = len(CONTENT) // 2
    server.break_after = half
    with pytest.raises(DataError, match=rf"{half} bytes are kept .* run the same command again"):
        fetch("trial", folder)
    assert held(folder) == [f"{FILE}.part", f"{FILE}.part.etag"]
    assert (folder / "trial" / f"{FILE}.part").stat().st_size == half
    server.break_after = None
    (file,) = fetch("trial", folder)
    assert server.requests[-1]["Range"] == f"bytes={half}-"
    assert server.requests[-1]["If-Range"] == '"first"'
    assert file.read_bytes() == CONTENT
    assert held(folder) == [FILE]


def break_off(folder: Path, server: FakeServer) -> None:
    server.break_after = len(CONTENT) // 3
    with pytest.raises(DataError, match="was interrupted"):
        fetch("trial", folder)
    server.break_after = None


def test_transfer_that_breaks_off_at_once_is_not_called_an_absent_server(folder: Path, server: FakeServer) -> None:
    server.break_after = 10
    with pytest.raises(DataError, match="was interrupted"):
        fetch("trial", folder)


def test_server_that_ignores_ranges_starts_again(folder: Path, server: FakeServer) -> None:
    break_off(folder, server)
    server.honours_range = False
    (file,) = fetch("trial", folder)
    assert "Range" in server.requests[-1]
    assert file.read_bytes() == CONTENT


def test_file_changed_at_the_server_is_not_joined_to_the_old_half(folder: Path, server: FakeServer) -> None:
    server.content = b"y" * len(CONTENT)
    break_off(folder, server)
    server.content, server.etag = CONTENT, '"second"'
    (file,) = fetch("trial", folder)
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_no_condition_is_sent(folder: Path, server: FakeServer, etag: str | None) -> None:
    server.etag = etag
    break_off(folder, server)
    (file,) = fetch("trial", folder)
    assert "If-Range" not in server.requests[-1]
    assert file.read_bytes() == CONTENT


def test_part_as_long_as_the_file_starts_again(folder: Path, server: FakeServer) -> None:
    (folder / "trial").mkdir(parents=True)
    (folder / "trial" / f"{FILE}.part").write_bytes(b"z" * len(CONTENT))
    (file,) = fetch("trial", folder)
    assert [("Range" in asked) for asked in server.requests] == [True, False]
    assert file.read_bytes() == CONTENT


def test_server_gone(tmp_path: Path, write_mapping) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        free_port = http.server_address[1]
    write_mapping(f"http://127.0.0.1:{free_port}/{FILE}")
    with pytest.raises(DataError, match=r"server cannot be reached .* --mirror"):
        fetch("trial", tmp_path / "real")
    assert held(tmp_path / "real") == []


def test_server_error_is_told_with_its_status(folder: Path, server: FakeServer) -> None:
    server.status = 503
    with pytest.raises(DataError, match="answered 503"):
        fetch("trial", folder)


def test_file_gone_from_its_address(folder: Path, server: FakeServer) -> None:
    server.status = 404
    with pytest.raises(DataError, match=f"not found: .*{FILE}; .*--mirror"):
        fetch("trial", folder)


def test_unknown_name_shows_the_nearest(folder: Path) -> None:
    with pytest.raises(SettingsError, match="unknown data set 'trail'; did you mean 'trial'"):
        fetch("trail", folder)


@pytest.mark.parametrize("layout", ["trial", "."])
def test_mirror_in_a_folder(tmp_path: Path, write_mapping, layout: str) -> None:
    write_mapping("http://127.0.0.1:9/never-asked")
    mirror = tmp_path / "mirror" / layout
    mirror.mkdir(parents=True)
    (mirror / FILE).write_bytes(CONTENT)
    (file,) = fetch("trial", tmp_path / "real", mirror=str(tmp_path / "mirror"))
    assert file.read_bytes() == CONTENT
    assert held(tmp_path / "real") == [FILE]


def test_mirror_with_a_corrupted_file_is_refused(tmp_path: Path, write_mapping) -> None:
    write_mapping("http://127.0.0.1:9/never-asked")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / FILE).write_bytes(CONTENT[1:])
    with pytest.raises(DataError, check=lambda error: error.code == "PC-REGISTRY-10"):
        fetch("trial", tmp_path / "real", mirror=str(tmp_path / "mirror"))
    assert held(tmp_path / "real") == []


def test_mirror_without_the_file_names_where_it_looked(tmp_path: Path, write_mapping) -> None:
    write_mapping("http://127.0.0.1:9/never-asked")
    (tmp_path / "mirror").mkdir()
    with pytest.raises(DataError, match=f"mirror/trial/{FILE} nor .*mirror/{FILE}"):
        fetch("trial", tmp_path / "real", mirror=str(tmp_path / "mirror"))


def test_mirror_that_is_no_folder(folder: Path) -> None:
    with pytest.raises(DataError, check=lambda error: error.code == "PC-REGISTRY-11"):
        fetch("trial", folder, mirror="nowhere")


@pytest.mark.parametrize("served", [f"/copies/trial/{FILE}", f"/copies/{FILE}"])
def test_mirror_at_an_address(tmp_path: Path, server: FakeServer, write_mapping, served: str) -> None:
    write_mapping("http://127.0.0.1:9/never-asked")
    server.served_path = served
    (file,) = fetch("trial", tmp_path / "real", mirror=f"{server.address}/copies/")
    assert file.read_bytes() == CONTENT
    assert server.paths[-1] == served


def test_unwritable_folder(tmp_path: Path, server: FakeServer, write_mapping) -> None:
    write_mapping(f"{server.address}/{FILE}")
    (tmp_path / "real").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot write"):
        fetch("trial", tmp_path / "real")


@pytest.mark.usefixtures("write_mapping")
@pytest.mark.parametrize(
    "source", ["text", "{citation: a}", "{citation: a, licence: b, files: {c.csv: {url: d}}}", "{["]
)
def test_incomplete_source_section(tmp_path: Path, source: str) -> None:
    (tmp_path / "configs" / "mapping" / "broken.yaml").write_text(f"source: {source}\n")
    with pytest.raises(SettingsError, match=r"broken\.yaml"):
        list_data_sets()


def test_mapping_without_source_is_no_data_set(tmp_path: Path, write_mapping) -> None:
    write_mapping("http://127.0.0.1:9/x", name="published")
    (tmp_path / "configs" / "mapping" / "own.yaml").write_text("columns: {}\n")
    assert [source.name for source in list_data_sets()] == ["published"]


def test_shipped_sources_are_pinned() -> None:
    shipped = list_data_sets()
    assert {source.name for source in shipped} >= {
        "back_pain_placebo_2022",
        "caudal_esi_2018",
        "genicular_rfa_2024",
        "trigeminal_percutaneous_2024",
    }
    for source in shipped:
        assert source.citation
        assert source.licence
        for file in source.files:
            assert file.url.startswith("https://")
            assert len(bytes.fromhex(file.sha256)) == 32


FETCH = """
import sys
from pathlib import Path
from paincast.cohort.registry import data_sets
data_sets.find_configs = lambda: Path(sys.argv[1])
print(*data_sets.fetch("trial", sys.argv[2]))
"""


def test_two_fetches_into_one_folder_do_not_disturb_each_other(
    folder: Path, server: FakeServer, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", FETCH, str(tmp_path / "configs"), str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate(timeout=120) for process in processes]
    assert told == [(f"{folder.resolve() / 'trial' / FILE}\n", "")] * 3
    assert (folder / "trial" / FILE).read_bytes() == CONTENT
    assert held(folder) == [FILE]
    assert len(server.requests) == 1


def test_a_fetch_that_was_killed_is_resumed_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    die = "real = data_sets.hash_file\nimport os\ndata_sets.hash_file = lambda path: os.kill(os.getpid(), 9)\n"
    script = FETCH.replace("print(", die + "print(")
    command = [sys.executable, "-c", script, str(tmp_path / "configs"), str(folder)]
    assert subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == -9
    assert held(folder) == [f"{FILE}.part"]
    assert fetch("trial", folder)[0].read_bytes() == CONTENT
    assert held(folder) == [FILE]
