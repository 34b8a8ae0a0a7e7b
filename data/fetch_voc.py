"""Fetch the real Pascal VOC2012, or the weights that YOLOv2's authors trained on COCO.

    python data/fetch_voc.py            # 2 GB, unpacked to data/VOCdevkit/VOC2012
    python data/fetch_voc.py weights    # 204 MB, to data/yolov2.weights

An interrupted download stays as a .part file and goes on when the command is given
again; it gets its name when size and md5 are right. A copy from elsewhere, laid into
data/ under that name, is checked and used.

yolov2.weights belongs to a network with COCO's 80 classes and 5 anchors. Its last layer
is of no use for VOC, everything before it fits any number of classes and anchors (at
full width):

    network = build_yolov2(num_anchors=4, num_classes=20)
    load_darknet_weights(network, "data/yolov2.weights", head=False)

The profile `full` does so by itself.

(pooch would be the usual downloader, but begins a broken download anew: hence requests,
with a Range header.)
"""

import argparse
import hashlib
import shutil
import sys
import tarfile
from collections import namedtuple
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

DATA = Path(__file__).resolve().parent
Source = namedtuple("Source", "name size md5 mirrors")

VOC_MIRRORS = (
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    "http://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
)
WEIGHTS_MIRRORS = (
    "https://pjreddie.com/media/files/yolov2.weights",
    "https://data.pjreddie.com/files/yolov2.weights",
    "https://github.com/hank-ai/darknet/releases/download/v2.0/yolov2.weights",
)
VOC2012 = Source(
    "VOCtrainval_11-May-2012.tar",
    1_999_639_040,
    "6cd6e144f989b92b3379bac3b3de84fd",
    VOC_MIRRORS,
)
YOLOV2_WEIGHTS = Source(
    "yolov2.weights", 203_934_260, "70d89ba2e180739a1c700a9ff238e354", WEIGHTS_MIRRORS
)
# the rest are masks for segmentation
NEEDED = (
    "Annotations",
    "ImageSets",
    "JPEGImages",
)


def fetch_voc(folder=DATA, source=VOC2012):
    """Bring VOC2012 to folder/VOCdevkit/VOC2012 and return that path; ValueError or
    OSError, in one line, when it fails.
    """
    archive, target = Path(folder) / source.name, Path(folder) / "VOCdevkit" / "VOC2012"
    if not target.exists():
        if not hasattr(tarfile, "data_filter"):
            raise ValueError(
                f"{sys.executable}: its tarfile cannot unpack safely; "
                "use Python 3.11.4 or newer"
            )
        # photos: as large again, and files fill whole blocks
        download(source, archive, unpacked=1.1 * source.size)
        unpack(archive, target)
        print(f"{archive.name} may be deleted now")
    if missing := missing_parts(target):
        raise ValueError(f"{target}: has no {missing}; move it away and run again")
    print(f"{target} is there: VOC_DIR={target} make run")
    return target


def fetch_weights(folder=DATA, source=YOLOV2_WEIGHTS, width=1.0):
    """Bring yolov2.weights to `folder` and read it into yolov2.cfg's network, which
    must use it up; errors as in `fetch_voc`.
    """
    sys.path.insert(0, str(DATA.parent))
    # only here: TensorFlow takes seconds to import
    from yolo_helpers import (
        build_yolov2,
        load_darknet_weights,
    )

    path = Path(folder) / source.name
    download(source, path)
    *version, seen = load_darknet_weights(
        build_yolov2(num_anchors=5, num_classes=80, width=width), path
    )
    print(
        f"{path} is there: Darknet weights, version {'.'.join(map(str, version))}, "
        f"trained on {seen:,} images"
    )
    return path


def download(source, path, unpacked=0):
    """Make `path` from the first mirror that serves it whole, unless it is there.

    Raises ValueError with each mirror's reason, and when the disk has no room for the
    file and `unpacked` bytes more.
    """
    part, reasons = path.with_name(path.name + ".part"), []
    needed = source.size - max(size_of(path), size_of(part)) + unpacked
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise ValueError(
            f"{path}: needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "make room and run again"
        )
    if path.exists():
        if complaint := wrong(path, source):
            raise ValueError(f"{path}: {complaint}; delete it and run again")
        return
    for url in source.mirrors:
        try:
            receive(url, part, source.size)
            if complaint := wrong(part, source):
                part.unlink()
                raise ValueError(f"{complaint}, deleted")
            part.replace(path)
            return
        except (
            requests.RequestException
        ) as error:  # its text is the whole chain of causes
            reasons.append(
                f"{urlsplit(url).netloc}: {type(error).__name__}, "
                f"{size_of(part):,} of {source.size:,} bytes so far"
            )
        except ValueError as error:
            reasons.append(f"{urlsplit(url).netloc}: {error}")
    raise ValueError(
        f"{path}: no mirror served it ({'; '.join(reasons)}); "
        "run again later, or lay a copy there yourself"
    )


def size_of(path):
    return path.stat().st_size if path.exists() else 0


def wrong(path, source):
    """What is wrong with a file that should be `source`, or None."""
    if size_of(path) != source.size:
        return f"{size_of(path):,} bytes instead of {source.size:,}"
    with path.open("rb") as file:
        return (
            None
            if hashlib.file_digest(file, "md5").hexdigest() == source.md5
            else "corrupt (md5 differs)"
        )


def receive(url, part, size):
    """Fetch what `part` lacks of `size` bytes; raises ValueError or requests' errors,
    and keeps what has come.
    """
    have = size_of(part)
    if have >= size:  # whole, or wrong: `wrong` will tell
        return
    # identity: a range of a compressed answer would count other bytes than ours
    headers = {"Accept-Encoding": "identity"} | (
        {"Range": f"bytes={have}-"} if have else {}
    )
    with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as answer:
        start, chunks = first_byte(answer, have, size), answer.iter_content(1 << 16)
        chunk = next(chunks, b"")
        if start == 0 and chunk.lstrip()[:1] == b"<":
            raise ValueError("a web page instead of the file")
        bar = tqdm(
            desc=urlsplit(url).netloc,
            total=size,
            initial=start,
            unit="B",
            unit_scale=True,
            mininterval=1,
        )
        with part.open("ab" if start else "wb") as file, bar:
            while chunk and bar.n <= size:
                bar.update(file.write(chunk))
                chunk = next(chunks, b"")
    if size_of(part) < size:
        raise ValueError(f"broke off after {size_of(part):,} of {size:,} bytes")


def first_byte(answer, have, size):
    """Where an answer's bytes belong: after our `have`, or at 0 if the server ignores
    Range; ValueError if it is no such file.
    """
    if answer.status_code not in (200, 206):
        raise ValueError(f"answers {answer.status_code}")
    if "html" in answer.headers.get("Content-Type", ""):
        raise ValueError("a web page instead of the file")
    resumed = answer.status_code == 206
    name, expected = (
        ("Content-Range", f"bytes {have}-{size - 1}/{size}")
        if resumed
        else ("Content-Length", str(size))
    )
    if (found := answer.headers.get(name, expected)) != expected:
        raise ValueError(f"another file ({name} {found} instead of {expected})")
    return have if resumed else 0


def unpack(archive, target):
    """Unpack what is needed beside `target`, then rename: all or nothing. ValueError
    for an archive that is unsafe or another.
    """
    beside = target.with_name(target.name + ".unpacking")
    shutil.rmtree(beside, ignore_errors=True)  # left by a run that was killed
    beside.mkdir(parents=True)
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tqdm(
                needed_members(tar, beside),
                desc="unpacking",
                unit=" files",
                mininterval=1,
            ):
                tar.extract(member, beside, filter="data")
        unpacked = beside / "VOCdevkit" / "VOC2012"
        if missing := missing_parts(unpacked):
            raise tarfile.TarError(f"has no {missing}")
        unpacked.rename(target)
    except tarfile.TarError as error:
        raise ValueError(
            f"{archive}: {error}; nothing is unpacked, delete the archive and run again"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def needed_members(tar, folder):
    """The files to unpack; raises tarfile.TarError if anything in the archive, needed
    or not, is a link or leaves `folder`.
    """
    for member in tar:
        # takes off a leading slash, and allows links that stay inside
        tarfile.data_filter(member, folder)
        if not (member.isfile() or member.isdir()) or member.name.startswith("/"):
            raise tarfile.TarError(f"{member.name!r} is a link or an absolute path")
    needed = tuple(f"VOCdevkit/VOC2012/{name}/" for name in NEEDED)
    return [
        member
        for member in tar
        if member.isfile() and member.name.removeprefix("./").startswith(needed)
    ]


def missing_parts(folder):
    """Names of the needed folders that `folder` lacks."""
    return ", ".join(name for name in NEEDED if not (folder / name).is_dir())


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("voc", "weights"), default="voc")
    try:
        {"voc": fetch_voc, "weights": fetch_weights}[
            parser.parse_args(arguments).what
        ]()
    except ValueError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(
            f"{DATA}: {error}; make room or allow writing, and run again: "
            "it goes on where it was"
        )
    except KeyboardInterrupt:
        sys.exit("interrupted; run again: it goes on where it was")


if __name__ == "__main__":
    main()
