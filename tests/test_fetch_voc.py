"""The downloader against a small server on this computer that does what real mirrors
do, good and bad; no network.
"""

import contextlib
import hashlib
import http.server
import importlib.util
import io
import random
import re
import tarfile
import threading

import numpy as np
import pytest

import yolo_helpers as yolo

SPEC = importlib.util.spec_from_file_location(
    "fetch_voc", yolo.ROOT / "data" / "fetch_voc.py"
)
fetch = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fetch)

PHOTO = random.Random(0).randbytes(500_000)  # several of the downloader's chunks
FILES = {
    "VOCdevkit/VOC2012/JPEGImages/a.jpg": PHOTO,
    "VOCdevkit/VOC2012/Annotations/a.xml": b"<annotation/>",
    "VOCdevkit/VOC2012/ImageSets/Main/train.txt": b"a\n",
    "VOCdevkit/VOC2012/SegmentationClass/a.png": b"mask",
}
WEB_PAGE = b"<!DOCTYPE html><html>moved</html>"


def tar_of(files, *extra):
    """An archive of name -> content, and of further TarInfo without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra:
            tar.addfile(member)
    return buffer.getvalue()


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


VOC_TAR = tar_of(FILES)


class Mirror(http.server.BaseHTTPRequestHandler):
    """/<manner>/<file name>: serves the server's `content` in that manner, and notes
    (manner, Range) in `asked`.
    """

    def do_GET(self):
        manner, wanted = self.path.split("/")[1], self.headers.get("Range")
        self.server.asked.append((manner, wanted))
        getattr(self, manner)(
            self.server.content,
            int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted else 0,
        )

    def good(self, content, start, stop=None):
        fields = (
            {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            if start
            else {}
        )
        self.answer(
            206 if start else 200,
            content[start:stop],
            length=len(content) - start,
            **fields,
        )

    def breaks(self, content, start):
        self.good(content, start, stop=start + len(content) // 3)

    def breaks_silently(self, content, start):
        self.answer(200, content[: len(content) // 3], length=None)

    def no_range(self, content, start):
        self.answer(200, content)

    def no_length(self, content, start):
        self.answer(200, content, length=None)

    def endless(self, content, start):
        with contextlib.suppress(ConnectionError):
            self.answer(200, content + bytes(30_000_000), length=None)
            self.server.asked.append(("endless", "taken to the end"))

    def corrupt(self, content, start):
        self.good(content[:-1] + b"?", start)

    def other_range(self, content, start):
        self.answer(
            206,
            content[start:],
            **{"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"},
        )

    def other_file(self, content, start):
        self.answer(200, b"another" + content)

    def web_page(self, content, start):
        self.answer(200, WEB_PAGE, **{"Content-Type": "text/html; charset=utf-8"})

    def disguised_web_page(self, content, start):
        self.answer(200, WEB_PAGE.ljust(len(content)))

    def missing(self, content, start):
        self.answer(404, WEB_PAGE, **{"Content-Type": "text/html"})

    def beyond_the_end(self, content, start):
        self.answer(416, b"")

    def answer(self, status, body, length=0, **fields):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length or len(body)))
        for name, value in (
            {"Content-Type": "application/octet-stream"} | fields
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        server.content, server.asked = VOC_TAR, []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def source(server):
    """source(manner, ...): the server's content at mirrors with these manners."""

    def make(*manners, name="voc.tar"):
        urls = tuple(
            f"http://127.0.0.1:{server.server_port}/{manner}/{name}"
            for manner in manners
        )
        return fetch.Source(
            name, len(server.content), hashlib.md5(server.content).hexdigest(), urls
        )

    return make


def files_below(folder):
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    }


def message_of(source, folder, fetching=fetch.fetch_voc):
    with pytest.raises(ValueError) as error:
        fetching(folder, source)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)
    return str(error.value)


def test_what_detection_needs_is_unpacked(source, tmp_path, capsys):
    target = fetch.fetch_voc(tmp_path, source("good"))
    assert target == tmp_path / "VOCdevkit" / "VOC2012"
    assert files_below(tmp_path) == {
        "voc.tar",
        *(name for name in FILES if "Segmentation" not in name),
    }
    assert (target / "JPEGImages" / "a.jpg").read_bytes() == PHOTO
    assert f"VOC_DIR={target}" in capsys.readouterr().out


def test_what_is_there_is_not_fetched_again(server, source, tmp_path, capsys):
    target = fetch.fetch_voc(tmp_path, source("good"))
    (tmp_path / "voc.tar").unlink()
    server.asked.clear()
    capsys.readouterr()
    assert fetch.fetch_voc(tmp_path, source("good")) == target
    assert server.asked == [] and "is there" in capsys.readouterr().out


def test_an_archive_from_elsewhere_is_used(server, source, tmp_path):
    (tmp_path / "voc.tar").write_bytes(VOC_TAR)
    fetch.fetch_voc(tmp_path, source("good"))
    assert server.asked == []


@pytest.mark.parametrize("content", [WEB_PAGE, VOC_TAR[:-1] + b"?"])
def test_a_wrong_archive_from_elsewhere_is_refused_and_left_alone(
    content, server, source, tmp_path
):
    (tmp_path / "voc.tar").write_bytes(content)
    assert "delete it" in message_of(source("good"), tmp_path)
    assert (tmp_path / "voc.tar").read_bytes() == content and server.asked == []


def test_a_folder_that_is_not_voc_is_left_alone(source, tmp_path):
    (tmp_path / "VOCdevkit" / "VOC2012" / "JPEGImages").mkdir(parents=True)
    assert "has no Annotations, ImageSets; move it away" in message_of(
        source("good"), tmp_path
    )


def test_another_year_beside_it_stays(source, tmp_path):
    (tmp_path / "VOCdevkit" / "VOC2007").mkdir(parents=True)
    fetch.fetch_voc(tmp_path, source("good"))
    assert {path.name for path in (tmp_path / "VOCdevkit").iterdir()} == {
        "VOC2007",
        "VOC2012",
    }


def test_a_broken_download_goes_on_in_the_next_run(server, source, tmp_path):
    message = message_of(source("breaks"), tmp_path)
    received = (tmp_path / "voc.tar.part").read_bytes()
    assert received and VOC_TAR.startswith(received)
    assert (
        f"{len(received):,} of {len(VOC_TAR):,}" in message and "run again" in message
    )

    fetch.fetch_voc(tmp_path, source("good"))
    assert server.asked == [("breaks", None), ("good", f"bytes={len(received)}-")]
    assert (tmp_path / "voc.tar").read_bytes() == VOC_TAR and not (
        tmp_path / "voc.tar.part"
    ).exists()


def test_a_broken_download_goes_on_at_the_next_mirror(server, source, tmp_path):
    fetch.fetch_voc(tmp_path, source("breaks", "breaks", "good"))
    starts = [int(wanted[6:-1]) for _, wanted in server.asked[1:]]
    assert 0 < starts[0] < starts[1]


def test_a_break_without_announced_length_is_noticed(source, tmp_path):
    assert "broke off" in message_of(source("breaks_silently"), tmp_path)
    assert (tmp_path / "voc.tar.part").exists()


@pytest.mark.parametrize("manner", ["no_range", "no_length"])
def test_a_mirror_that_ignores_range_starts_afresh(manner, server, source, tmp_path):
    (tmp_path / "voc.tar.part").write_bytes(VOC_TAR[:1000])
    fetch.fetch_voc(tmp_path, source(manner))
    assert server.asked == [(manner, "bytes=1000-")]
    assert (tmp_path / "voc.tar").read_bytes() == VOC_TAR


REFUSALS = {
    "missing": "answers 404",
    "beyond_the_end": "answers 416",
    "web_page": "a web page instead of the file",
    "disguised_web_page": "a web page instead of the file",
    "other_file": "another file (Content-Length",
    "other_range": "another file (Content-Range",
}


@pytest.mark.parametrize("manner", REFUSALS)
def test_a_bad_mirror_takes_nothing_away_and_the_next_is_asked(
    manner, server, source, tmp_path
):
    (tmp_path / "voc.tar.part").write_bytes(VOC_TAR[:1000])
    assert REFUSALS[manner] in message_of(source(manner), tmp_path)
    assert (
        files_below(tmp_path) == {"voc.tar.part"}
        and (tmp_path / "voc.tar.part").read_bytes() == VOC_TAR[:1000]
    )

    fetch.fetch_voc(tmp_path, source(manner, "good"))
    assert server.asked[-1] == ("good", "bytes=1000-")


@pytest.mark.parametrize(
    ("manner", "reason"), [("corrupt", "md5 differs"), ("endless", "bytes instead of")]
)
def test_a_corrupt_file_is_deleted_and_the_next_mirror_asked(
    manner, reason, server, source, tmp_path
):
    message = message_of(source(manner), tmp_path)
    assert reason in message and "deleted" in message and not files_below(tmp_path)

    fetch.fetch_voc(tmp_path, source(manner, "good"))
    assert server.asked == [(manner, None), (manner, None), ("good", None)]


def test_a_server_that_is_down(source, tmp_path):
    down = source("good")._replace(mirrors=("http://127.0.0.1:9/voc.tar",))
    assert "127.0.0.1:9: ConnectionError" in message_of(down, tmp_path)


UNSAFE = {
    "parent": tar_of(FILES | {"../evil": b""}),
    "parent further in": tar_of(
        FILES | {"VOCdevkit/VOC2012/JPEGImages/../../../../evil": b""}
    ),
    "absolute": tar_of(FILES | {"/tmp/evil": b""}),
    "symbolic link": tar_of(
        FILES, special("VOCdevkit/VOC2012/Annotations/evil", tarfile.SYMTYPE, "/etc")
    ),
    "link inside": tar_of(
        FILES,
        special(
            "VOCdevkit/VOC2012/Annotations/evil", tarfile.LNKTYPE, next(iter(FILES))
        ),
    ),
    "device": tar_of(FILES, special("VOCdevkit/evil", tarfile.CHRTYPE)),
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_an_unsafe_archive_is_refused_whole(kind, server, source, tmp_path):
    server.content = UNSAFE[kind]
    folder = tmp_path / "inner" / "data"
    folder.mkdir(parents=True)
    message = message_of(source("good"), folder)
    assert (
        "voc.tar" in message and "evil" in message and "nothing is unpacked" in message
    )
    assert files_below(tmp_path) == {"inner/data/voc.tar"}


@pytest.mark.parametrize(
    "content", [tar_of({"readme": b""}), b"no archive at all" * 100]
)
def test_an_archive_of_something_else_is_refused(content, server, source, tmp_path):
    server.content = content
    assert "nothing is unpacked" in message_of(source("good"), tmp_path)
    assert files_below(tmp_path) == {"voc.tar"}


def test_what_a_killed_run_left_behind_is_cleared(source, tmp_path):
    left = (
        tmp_path
        / "VOCdevkit"
        / "VOC2012.unpacking"
        / "VOCdevkit"
        / "VOC2012"
        / "JPEGImages"
    )
    left.mkdir(parents=True)
    (left / "old.jpg").write_bytes(b"half")
    assert not (
        fetch.fetch_voc(tmp_path, source("good")) / "JPEGImages" / "old.jpg"
    ).exists()
    assert not (tmp_path / "VOCdevkit" / "VOC2012.unpacking").exists()


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    server, source, tmp_path, monkeypatch
):
    # enough for the archive only
    usage = fetch.shutil.disk_usage(tmp_path)._replace(free=len(VOC_TAR))
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: usage)
    assert "make room" in message_of(source("good"), tmp_path)
    assert server.asked == []


WIDTH = 1 / 64


@pytest.fixture
def weights(server):
    """The server then has weights for a narrow network with COCO's head."""
    header = np.array([0, 1, 0, 123456], "<i4")  # 16 bytes, as in the real file
    count = yolo.build_yolov2(num_anchors=5, num_classes=80, width=WIDTH).count_params()
    server.content = (
        header.tobytes()
        + np.random.default_rng(0).random(count).astype("<f4").tobytes()
    )


def fetch_narrow_weights(folder, source):
    return fetch.fetch_weights(folder, source, WIDTH)


def test_weights_are_fetched_once_and_read(weights, server, source, tmp_path, capsys):
    wanted = source("web_page", "breaks", "good", name="yolov2.weights")
    for _ in range(2):
        path = fetch_narrow_weights(tmp_path, wanted)
        assert path.read_bytes() == server.content
        assert "version 0.1.0, trained on 123,456 images" in capsys.readouterr().out
    assert len(server.asked) == 3

    # as the docstring says
    model = yolo.build_yolov2(num_anchors=4, num_classes=20, width=WIDTH)
    yolo.load_darknet_weights(model, path, head=False)


def test_weights_of_another_network_are_refused(weights, server, source, tmp_path):
    server.content = server.content[:-4]
    assert "the network needs" in message_of(
        source("good", name="yolov2.weights"), tmp_path, fetch_narrow_weights
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("voc.tar: corrupt; delete it"), "voc.tar: corrupt; delete it"),
        (
            PermissionError(13, "Permission denied", "voc.tar.part"),
            "'voc.tar.part'; make room or allow writing",
        ),
        (KeyboardInterrupt(), "run again"),
    ],
)
def test_the_command_ends_with_one_line_and_code_1(error, text, monkeypatch):
    def fails():
        raise error

    monkeypatch.setattr(fetch, "fetch_voc", fails)
    with pytest.raises(SystemExit) as end:
        fetch.main([])
    # a text as code: Python prints it to stderr and ends with 1
    assert text in end.value.code and "\n" not in end.value.code
