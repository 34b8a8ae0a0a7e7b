"""YOLOv2 from scratch in TensorFlow 2: the code that the six notebooks share.

Ordered as the series is: settings and artifacts, 1 anchors, 2 encoding, 3 model, 4 loss,
5 training, 6 inference. Each notebook explains its part with plain loops first and then proves
that the vectorised version here gives the same numbers.

Conventions, everywhere: images are RGB; boxes are xmin, ymin, xmax, ymax; anchors are (k, 2) widths
and heights as fractions of the image; `fractions` are continuous coordinates from 0 to 1.
B images, a G x G grid, A anchors, C classes. "Darknet" is the original code, "paper" arXiv 1612.08242.
"""

import contextlib
import hashlib
import json
import math
import os
import time
import zipfile
from collections import namedtuple
from dataclasses import dataclass, fields
from pathlib import Path

# Before TensorFlow is imported: no C++ chatter, and results that repeat. oneDNN doubles the speed
# of training on a CPU but sums in another order; `make run` turns it on.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import cv2
import defusedxml.ElementTree
import numpy as np


_stderr = os.dup(2)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # TensorFlow's C++ writes there before its own log level acts
try:
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()  # looks for a GPU now, and complains now when there is none
finally:
    os.dup2(_stderr, 2)

REPOSITORY = "yolov2-from-scratch/yolov2-from-scratch"  # owner/name: badges, bootstrap cells and README use it
ROOT = Path(__file__).resolve().parent

# for data with other class names, write them here
CLASSES = (*"aeroplane bicycle bird boat bottle bus car cat chair cow".split(),
           *"diningtable dog horse motorbike person pottedplant sheep sofa train tvmonitor".split())  # fmt: skip
MAX_BOXES = 50  # the series' buffer of true boxes per image


# ------------------------------------------------------------------------------------------------
# Settings and artifacts


Phase = namedtuple("Phase", "until sides zoom")
# until: share of the epochs after which it ends; sides: in pixels, of which training draws; zoom: smallest and largest share of a
# photo's sides that an image shows, from 1 on the whole photo


@dataclass(frozen=True)
class Settings:
    """What a notebook runs with: a profile's numbers, changed by the environment (see `load_settings`)."""

    profile: str
    voc_dir: Path
    artifacts: Path
    width: float  # of the network's layers, 1 = the paper's
    passthrough: str  # its order, see `Passthrough`: "darknet", which Darknet's weights need, or "space_to_depth"
    phases: tuple  # what training images look like, one `Phase` after the other
    image_size: int  # image side in pixels for validation and test, at which the anchors' fractions hold
    batch_size: int
    pretrain_epochs: int  # over crops of the training objects, at `crop_size`
    crop_size: int
    frozen: int  # so many first convolutions learn no more after pre-training
    epochs: int
    optimizer: str  # of `TrainStep`
    learning_rate: float  # the highest of the schedule
    coordinate_scale: float  # weight of place and size in the loss; Darknet's 1, or more for short runs
    jitter: float  # how far augmentation moves an image's borders; Darknet's .3, or less for short runs
    validate_every: int  # epochs
    patience: int  # epochs without a better validation mAP after which training stops
    half_precision: bool = True  # 16-bit numbers inside the detector while it learns, where they are faster: `use_half_precision`
    seed: int = 0

    def table(self):
        """The settings as lines of text, paths relative to the repository."""
        return "\n".join(f"{name:<16} {_short(v) if isinstance(v, Path) else v}" for name, v in vars(self).items())


PROFILES = {
    "tiny": dict(width=0.25, passthrough="space_to_depth", image_size=480, batch_size=32, pretrain_epochs=15, crop_size=96,
                 phases=(Phase(0.2, (192, 224), (0.4, 1.6)), Phase(0.5, (256, 288, 320), (0.4, 1.6)),
                         Phase(0.9, (416, 448, 480), (0.4, 1.6)), Phase(1, (480,), (1, 1))),
                 frozen=5, epochs=80, optimizer="muon", learning_rate=6e-3, coordinate_scale=4.0, jitter=0.15,
                 validate_every=10, patience=80),
    "full": dict(width=1.0, passthrough="darknet", image_size=416, batch_size=16, pretrain_epochs=0, crop_size=224,
                 phases=(Phase(1, tuple(range(320, 609, 32)), (1, 1)),), frozen=0, epochs=160, optimizer="sgd",
                 learning_rate=1e-3, coordinate_scale=1, jitter=0.3, validate_every=1, patience=40),
}  # fmt: skip


def load_settings():
    """Settings from the environment: YOLO_PROFILE (tiny or full), VOC_DIR, YOLO_ARTIFACTS, YOLO_EPOCHS.

    Raises ValueError with one line for a value that cannot be used.
    """
    profile = os.environ.get("YOLO_PROFILE", "tiny")
    if profile not in PROFILES:
        raise ValueError(f"YOLO_PROFILE={profile}: choose one of {', '.join(PROFILES)}")
    voc_dir = Path(os.environ.get("VOC_DIR") or ROOT / {"tiny": "data/mini_voc", "full": "data/VOCdevkit/VOC2012"}[profile])
    if not (voc_dir / "Annotations").is_dir():
        raise ValueError(f"VOC_DIR={_short(voc_dir)}: no folder Annotations there; give a folder like VOCdevkit/VOC2012")
    numbers = dict(PROFILES[profile])
    epochs = os.environ.get("YOLO_EPOCHS") or str(numbers["epochs"])
    if not epochs.isdigit() or int(epochs) < 1:
        raise ValueError(f"YOLO_EPOCHS={epochs}: give a whole number from 1")
    numbers |= {"epochs": int(epochs), "pretrain_epochs": min(numbers["pretrain_epochs"], int(epochs))}
    artifacts = Path(os.environ.get("YOLO_ARTIFACTS") or ROOT / "data/artifacts").resolve()
    return Settings(profile=profile, voc_dir=voc_dir.resolve(), artifacts=artifacts, **numbers)


def _short(path):
    return path.relative_to(ROOT).as_posix() if (path := Path(path).resolve()).is_relative_to(ROOT) else str(path)


def fingerprint(annotations):
    """A short text that names the data an artifact was made from: number of images and a hash of their boxes."""
    text = "".join(f"{a.filename} {a.boxes.tolist()} {a.labels.tolist()}" for a in annotations)
    return f"{len(annotations)} images {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def find_artifact(settings, name, maker, data):
    """Path of an artifact: from the artifacts folder, else the committed copy in data/reference.

    name: file name, .json or .npz. maker: the notebook that makes it. data: `fingerprint` that its
    `made_from["data"]` must equal. Prints which one is taken. Raises FileNotFoundError (nothing that fits)
    or ValueError (cut short), each in one line with the cure.
    """
    places = {settings.artifacts / name: "this run's artifacts", ROOT / "data/reference" / name: "data/reference"}
    found = [path for path in places if path.exists()]
    if fitting := [path for path in found if read_artifact(path)["made_from"].get("data") == data]:
        print(f"{name}: from {places[fitting[0]]}")
        return fitting[0]
    made = f" ({' and '.join(map(_short, found))}: made from other data)" if found else ""
    raise FileNotFoundError(f"{name} for this data is missing{made}: run notebook {maker} first")


def read_artifact(path):
    """Contents of a .json or .npz artifact as a dict; ValueError in one line when it cannot be read."""
    try:
        if (path := Path(path)).suffix == ".json":
            content = json.loads(path.read_text())
        else:
            with np.load(path, allow_pickle=False) as arrays:
                content = dict(arrays)
            content["made_from"] = json.loads(str(content["made_from"]))
        content["made_from"].get("data")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{_short(path)}: not a whole artifact ({type(error).__name__}); delete it and make it again") from error
    return content


def write_artifact(path, content, made_from):
    """Write a .json or .npz artifact whole or not at all: to a temporary file beside it, then renamed."""
    with _whole_file(path) as temporary:
        if temporary.suffix == ".json":
            temporary.write_text(json.dumps({**content, "made_from": made_from}, indent=1) + "\n")
        else:
            np.savez(temporary, **content, made_from=json.dumps(made_from))
    return Path(path)


@contextlib.contextmanager
def _whole_file(path):
    (path := Path(path)).parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------------
# 1 Annotations and anchors

Annotation = namedtuple("Annotation", "filename width height boxes labels difficult truncated image_path")
# boxes (n, 4) float: the XML's own 1-based inclusive pixels; labels (n,): class numbers; difficult, truncated (n,): bool;
# image_path: where the photo should lie


def read_annotation(path, classes=CLASSES):
    """Read one Pascal VOC XML file as an `Annotation`.

    Only <object> elements directly below the root count (a person's <part> boxes do not); missing
    optional elements mean 0. Raises ValueError with one line (file, cause, cure).
    """
    try:
        root = defusedxml.ElementTree.parse(path := Path(path), forbid_dtd=True).getroot()
    except (defusedxml.DefusedXmlException, defusedxml.ElementTree.ParseError, ValueError, LookupError) as error:
        danger = isinstance(error, defusedxml.DefusedXmlException) and "declares entities or a document type; do not use it"
        raise ValueError(f"{path}: {danger or f'not well-formed XML ({error}); export it again'}") from error
    try:
        width, height = (int(float(root.findtext(f"size/{side}"))) for side in ("width", "height"))
    except (TypeError, ValueError, OverflowError):
        width = height = 0
    if width < 1 or height < 1:
        raise ValueError(f"{path}: no usable <size> with <width> and <height>; add the photo's size in pixels")
    objects = [_read_object(element, path, width, height, classes) for element in root.findall("object")]
    boxes, labels, difficult, truncated = zip(*objects, strict=True) if objects else ([], [], [], [])
    filename = Path((root.findtext("filename") or "").strip()).name or f"{path.stem}.jpg"
    arrays = np.array(boxes, float).reshape(-1, 4), np.array(labels, int), np.array(difficult, bool), np.array(truncated, bool)
    return Annotation(filename, width, height, *arrays, path.parent.parent / "JPEGImages" / filename)


def _read_object(element, path, width, height, classes):
    name = (element.findtext("name") or "").strip()
    if name not in classes:
        raise ValueError(f"{path}: unknown class '{name}'; correct it or pass classes=(...) with your own names")
    try:
        box = xmin, ymin, xmax, ymax = [float(element.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
    except (TypeError, ValueError):
        raise ValueError(f"{path}: a {name} without four numbers in <bndbox>; correct or remove the object") from None
    if not (xmin < xmax and ymin < ymax):
        raise ValueError(f"{path}: {name} box {box} is empty or inverted; xmin < xmax and ymin < ymax are needed")
    # one pixel of grace: tools that count from 0 write 0, some write width + 1
    if xmin < 0 or ymin < 0 or xmax > width + 1 or ymax > height + 1:
        raise ValueError(f"{path}: {name} box {box} lies outside of the {width} x {height} image; clip it")
    flags = [(element.findtext(flag) or "0").strip() not in ("", "0") for flag in ("difficult", "truncated")]
    return (max(xmin, 1), max(ymin, 1), min(xmax, width), min(ymax, height)), classes.index(name), *flags


def load_split(voc_dir, split, classes=CLASSES):
    """The annotations of ImageSets/Main/<split>.txt, in the list's order; `trainval` falls back to train + val.

    Needs only XML, no photos. Raises FileNotFoundError or ValueError in one line.
    """
    file = Path(voc_dir) / "ImageSets" / "Main" / f"{split}.txt"
    if split == "trainval" and not file.exists():
        return load_split(voc_dir, "train", classes) + load_split(voc_dir, "val", classes)
    if not file.exists():
        found = ", ".join(sorted(path.stem for path in file.parent.glob("*.txt"))) or "none"
        raise FileNotFoundError(f"{file}: no such split; found here: {found}")
    if not (names := [line.split()[0] for line in file.read_text().splitlines() if line.strip()]):
        raise ValueError(f"{file}: names no image; add one name a line")
    paths = [Path(voc_dir) / "Annotations" / f"{name}.xml" for name in names]
    if missing := [path for path in paths if not path.exists()]:
        raise FileNotFoundError(f"{file}: names {missing[0].stem}, but {missing[0]} does not exist ({len(missing)} such names)")
    return [read_annotation(path, classes) for path in paths]


Splits = namedtuple("Splits", "train validation test test_name")


def load_splits(voc_dir, classes=CLASSES):
    """Training, validation (what training chooses by) and test annotations, and the test split's name.

    With a test list: train, val, test. Without (VOC2012): val is the test, and every tenth training image
    becomes the validation set, so that nothing is chosen by what is reported.
    """
    if (Path(voc_dir) / "ImageSets/Main/test.txt").exists():
        return Splits(*(load_split(voc_dir, split, classes) for split in ("train", "val", "test")), "test")
    train = load_split(voc_dir, "train", classes)
    return Splits([a for i, a in enumerate(train) if i % 10], train[::10], load_split(voc_dir, "val", classes), "val")


def box_fractions(annotation):
    """(n, 4) float32 boxes as fractions: the 1-based inclusive pixels xmin..xmax cover (xmin-1)/W to xmax/W."""
    return ((annotation.boxes - [1, 1, 0, 0]) / ([annotation.width, annotation.height] * 2)).astype(np.float32)


def box_sizes(annotations):
    """(n, 2) widths and heights as fractions of all boxes that are not difficult: what anchors are clustered from."""
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(box_fractions(a)[~a.difficult] for a in annotations)])
    return (boxes[:, 2:] - boxes[:, :2]).astype(float)


def iou_wh(sizes, anchors):
    """(n, k) IoU of n boxes and k anchors that share their centre: only widths and heights count (paper, section 2)."""
    sizes, anchors = np.asarray(sizes), np.asarray(anchors)
    overlap = np.minimum(sizes[:, None, 0], anchors[:, 0]) * np.minimum(sizes[:, None, 1], anchors[:, 1])
    return overlap / (np.prod(sizes, axis=1)[:, None] + np.prod(anchors, axis=1) - overlap)


def kmeans_anchors(sizes, k, *, seed=0, restarts=5):
    """k anchors by k-means with the distance 1 - IoU (paper, section 2): the best of several random starts.

    sizes: (n, 2) fractions. Returns anchors (k, 2) sorted by area, and the boxes' mean IoU with their nearest.
    A cluster that loses all its boxes starts again from the box that is served worst.
    Raises ValueError when there are fewer different sizes than anchors.
    """
    if len(distinct := np.unique(sizes := np.asarray(sizes, float), axis=0)) < k:
        raise ValueError(f"{k} anchors need as many different box sizes, there are {len(distinct)}: choose a smaller k")
    rng = np.random.default_rng(seed)
    runs = [_kmeans_run(sizes, distinct[rng.choice(len(distinct), k, replace=False)]) for _ in range(restarts)]
    anchors, mean_iou = max(runs, key=lambda run: run[1])
    return anchors[np.argsort(np.prod(anchors, axis=1))], float(mean_iou)


def _kmeans_run(sizes, anchors, max_iterations=300):
    for _ in range(max_iterations):
        ious, previous = iou_wh(sizes, anchors), anchors
        counts = np.bincount(nearest := ious.argmax(axis=1), minlength=len(anchors))
        sums = np.stack([np.bincount(nearest, sizes[:, side], len(anchors)) for side in (0, 1)], axis=1)
        anchors, empty = sums / np.maximum(counts, 1)[:, None], np.flatnonzero(counts == 0)
        anchors[empty] = sizes[ious.max(axis=1).argsort(kind="stable")[: len(empty)]]
        if np.array_equal(anchors, previous):
            break
    return anchors, iou_wh(sizes, anchors).max(axis=1).mean()


# ------------------------------------------------------------------------------------------------
# 2 Encoding and the input pipeline

# tf.data's tuning thread sleeps for up to a minute, and a dataset that has come to its end waits for it: none then
_UNTUNED = tf.data.Options()
_UNTUNED.autotune.enabled = False


def encode_boxes(boxes, labels, anchors, grid_size, num_classes=len(CLASSES)):
    """What the network should answer for one image, as two float32 tensors in grid units.

    boxes: (n, 4) fractions; labels: (n,) class numbers; anchors: (A, 2) fractions.
    y (G, G, A, 5 + C): centre x, y, width, height, 1, one-hot class at each box's cell (floor of its centre)
    and best anchor (largest `iou_wh`, first wins ties); zeros elsewhere. Of two boxes in one cell and anchor
    the last wins whole, as in Darknet. true_boxes (1, 1, 1, 50, 4): all boxes, zero-padded; of more than 50
    the 50 largest, in their order.
    """
    boxes, labels = tf.cast(tf.reshape(boxes, (-1, 4)), tf.float32), tf.cast(tf.reshape(labels, (-1,)), tf.int32)
    anchors, cells = tf.cast(anchors, tf.float32), tf.cast(grid_size, tf.float32)
    sizes = boxes[:, 2:] - boxes[:, :2]
    grid_boxes = tf.concat([(boxes[:, :2] + boxes[:, 2:]) / 2 * cells, sizes * cells], axis=1)
    column_row = tf.minimum(tf.cast(grid_boxes[:, :2], tf.int32), grid_size - 1)
    overlap = tf.reduce_prod(tf.minimum(sizes[:, None], anchors), axis=2)
    union = tf.reduce_prod(sizes, axis=1)[:, None] + tf.reduce_prod(anchors, axis=1) - overlap
    best_anchor = tf.argmax(overlap / union, axis=1, output_type=tf.int32)
    slots = tf.stack([column_row[:, 1], column_row[:, 0], best_anchor], axis=1)
    rows = tf.concat([grid_boxes, tf.ones_like(grid_boxes[:, :1]), tf.one_hot(labels, num_classes)], axis=1)
    # a slot that a later box takes again is dropped here: scattering has no defined order
    same = tf.reduce_all(slots[:, None] == slots[None], axis=2)
    wins = ~tf.reduce_any(tf.linalg.band_part(same, 0, -1) & ~tf.eye(tf.shape(same)[0], dtype=tf.bool), axis=1)
    slots, rows = tf.boolean_mask(slots, wins), tf.boolean_mask(rows, wins)
    y = tf.scatter_nd(slots, rows, (grid_size, grid_size, anchors.shape[0], 5 + num_classes))

    count = tf.minimum(tf.shape(boxes)[0], MAX_BOXES)
    largest = tf.sort(tf.math.top_k(sizes[:, 0] * sizes[:, 1], count).indices)
    true_boxes = tf.pad(tf.gather(grid_boxes, largest), [[0, MAX_BOXES - count], [0, 0]])
    return y, tf.reshape(true_boxes, (1, 1, 1, MAX_BOXES, 4))


def check_images(annotations):
    """Find missing, empty and cut-off photos before hours of training do: one line that names the first.

    Raises FileNotFoundError or ValueError.
    """
    for path in (annotation.image_path for annotation in annotations):
        if not path.exists():
            raise FileNotFoundError(f"{path}: the photo is missing; add it or take {path.stem} out of the split list")
        whole = (content := path.read_bytes())[:2] == b"\xff\xd8" and content[-2:] == b"\xff\xd9" and len(content) >= 64
        try:  # a whole JPEG ends with its end marker; anything else is decoded to be sure
            whole or tf.io.decode_jpeg(content, channels=3)
        except tf.errors.OpError:
            raise ValueError(f"{path}: empty, cut off or not a JPEG image; fetch it again") from None


def make_dataset(annotations, anchors, *, image_size, batch_size, training, seed, epoch=0, num_epochs=1,
                 num_classes=len(CLASSES), jitter=0.3, zoom=(1.0, 1.0), anchor_size=None, worker=0, workers=1):  # fmt: skip
    """A `tf.data.Dataset` of (images (B, S, S, 3) float32 in [0, 1], (y (B, G, G, A, 5+C), true_boxes (B, 1, 1, 1, 50, 4))).

    Photos are stretched to S x S as in the series; difficult objects are left out as in Darknet.
    training=True: images in a new order each epoch, filled up to whole batches, augmented; image_size may be
    several sides, of which another is drawn every 10 batches (paper, "Multi-Scale Training"). anchor_size: the
    side in pixels at which the anchors' fractions hold; at others they keep their pixels, as Darknet's keep their
    grid units (None: they are fractions of every side). zoom, jitter: see `_augmented`. Everything random follows
    from (seed, epoch, place in the epoch) alone, so a run can be taken up again at any epoch.
    training=False: in the given order, nothing random, the last batch may be smaller.
    Of several workers each gets its own batch_size / workers images of every batch.
    """
    check_images(annotations)
    paths = tf.constant([str(annotation.image_path) for annotation in annotations])
    boxes, labels = _true_boxes(annotations)
    sides = tf.constant(np.atleast_1d(image_size), tf.int32)

    def example(epoch, place, index):
        photo, true, classes = decode_photo(paths[index]), boxes[index], labels[index]
        tens = (epoch * math.ceil(len(annotations) / batch_size) + place // batch_size) // 10
        side = sides[tf.random.stateless_uniform((), tf.stack([seed + 1, tens]), maxval=len(sides), dtype=tf.int32)]
        if training:
            image, true, kept = _augmented(photo, true, side, tf.stack([seed, epoch * 10**6 + place]), jitter, zoom)
            classes = tf.boolean_mask(classes, kept)
        else:
            image = view(photo, tf.constant([0.0, 0.0, 1.0, 1.0]), side)
        y, true_boxes = encode_boxes(true, classes, anchors_at(anchors, anchor_size, side), side // 32, num_classes)
        return image, (y, true_boxes)

    epochs = tf.data.Dataset.range(epoch, epoch + num_epochs)
    places = epochs.flat_map(lambda e: _places(e, len(annotations), batch_size, seed, training))
    return _batched(places.shard(workers, worker), example, batch_size // workers, drop_remainder=training)


def _batched(places, example, batch_size, drop_remainder):
    batches = places.map(example, num_parallel_calls=os.cpu_count()).batch(batch_size, drop_remainder)
    # from bytes to numbers only now: a quarter of the memory to put together
    return batches.map(lambda images, truth: (tf.cast(images, tf.float32) / 255, truth)).prefetch(2).with_options(_UNTUNED)


def anchors_at(anchors, anchor_size, side):
    """Anchors that are fractions of a side of anchor_size pixels as fractions of another side: they keep their pixels."""
    return tf.cast(anchors, tf.float32) * (tf.cast(anchor_size, tf.float32) / tf.cast(side, tf.float32) if anchor_size else 1.0)


def epoch_order(count, batch_size, seed, epoch):
    """Image numbers of one training epoch: shuffled, then filled up to whole batches from its own beginning."""
    order = tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), tf.stack([seed, epoch]))
    return tf.gather(order, tf.range(math.ceil(count / batch_size) * batch_size) % count)


def _places(epoch, count, batch_size, seed, training):
    order = epoch_order(count, batch_size, seed, epoch) if training else tf.range(count, dtype=tf.int64)
    return tf.data.Dataset.from_tensor_slices(order).enumerate().map(lambda place, index: (epoch, place, index))


def _true_boxes(annotations):
    """All images' boxes (N, any, 4) and labels (N, any) but the difficult ones: ragged tensors that `map` can look into."""
    kept = [(box_fractions(a)[~a.difficult], a.labels[~a.difficult].astype(np.int32)) for a in annotations]
    return tuple(tf.RaggedTensor.from_row_lengths(np.concatenate(rows), [*map(len, rows)]) for rows in zip(*kept, strict=True))


def decode_photo(path):
    """(H, W, 3) uint8 RGB of an image file, the same pixels as OpenCV's (TensorFlow's default differs by up to 5)."""
    return tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE")


def view(photo, window, side, flip=False, colours=(0.0, 0.0, 0.0)):
    """The part `window` of a photo (fractions, rounded to pixels; grey beyond the photo) as (side, side, 3) uint8.

    By OpenCV, as in `detect`: TensorFlow's own operations need five times as long. colours: see `recoloured`.
    """
    return tf.ensure_shape(tf.numpy_function(_view, [photo, window, side, flip, colours], tf.uint8, False), (None, None, 3))


def _view(photo, window, side, flip, colours):
    left, top, right, bottom = np.rint(window * np.tile(photo.shape[1::-1], 2)).astype(int).tolist()
    part = photo[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    margins = [max(margin, 0) for margin in (-top, bottom - photo.shape[0], -left, right - photo.shape[1])]
    whole = cv2.copyMakeBorder(part, *margins, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    image = cv2.resize(cv2.flip(whole, 1) if flip else whole, (int(side), int(side)), interpolation=cv2.INTER_LINEAR)
    return recoloured(image, colours) if colours.any() else image


def recoloured(image, colours):
    """A uint8 image with other hue, saturation and exposure, by Darknet's numbers: colours are three numbers from -1 to 1.

    Hue is shifted by up to .1, saturation and exposure are multiplied by 1.5 to the power of theirs.
    """
    levels, (saturation, exposure) = np.arange(256), 1.5 ** colours[1:]
    table = [np.rint(levels + 25.6 * colours[0]) % 256, *(np.minimum(np.rint(levels * f), 255) for f in (saturation, exposure))]
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), np.stack(table, axis=1).astype(np.uint8)[None])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _augmented(photo, boxes, side, seed, jitter, zoom, least_visible=0.25):
    """Darknet's augmentation: each border moved by up to `jitter` (Darknet: .3) in or out, flip, other colours.

    Before that, a part of the photo is chosen that holds the centre of one of its objects; its share of the photo's
    sides is drawn between zoom's two numbers (from 1 on: the whole photo, as in Darknet).
    Returns the image, the boxes that keep at least a quarter of their area inside, clipped, and which those are.
    """
    share, chosen, flip, *place = tf.unstack(tf.random.stateless_uniform((5,), seed))
    borders, colours = tf.split(tf.random.stateless_uniform((7,), seed + 1, -1.0, 1.0), [4, 3])
    share, count = tf.minimum(zoom[0] + (zoom[1] - zoom[0]) * share, 1.0), tf.cast(tf.shape(boxes)[0], tf.float32)
    centres = tf.concat([(boxes[:, :2] + boxes[:, 2:]) / 2, [[0.5, 0.5]]], axis=0)  # the last: for a photo without objects
    corner = tf.clip_by_value(centres[tf.cast(chosen * count, tf.int32)] - share * tf.stack(place), 0.0, 1 - share)
    size = tf.tile(tf.cast(tf.shape(photo)[1::-1], tf.float32), [2])
    window = tf.round((tf.tile(corner, [2]) + share * (jitter * borders * [1, 1, -1, -1] + [0, 0, 1, 1])) * size) / size
    moved = (boxes - tf.tile(window[:2], [2])) / tf.tile(window[2:] - window[:2], [2])
    moved = tf.where(flip < 0.5, tf.stack([1 - moved[:, 2], moved[:, 1], 1 - moved[:, 0], moved[:, 3]], axis=1), moved)
    clipped = tf.clip_by_value(moved, 0.0, 1.0)
    kept = _area(clipped) > least_visible * _area(moved)
    return view(photo, window, side, flip < 0.5, colours), tf.boolean_mask(clipped, kept), kept


def _area(boxes):
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


# ------------------------------------------------------------------------------------------------
# 3 Model


@keras.saving.register_keras_serializable(package="yolo")
class Passthrough(keras.layers.Layer):
    """Half the height and width, four times the channels, nothing lost: (B, H, W, C) -> (B, H/2, W/2, 4C).

    order "darknet": the original's reorg layer, which its pretrained weights rely on: the memory of the
    C x H x W map is read as (C/4) x 2H x 2W, cut into 2 x 2 blocks, and read as 4C x H/2 x W/2.
    order "space_to_depth": TensorFlow's, each 2 x 2 block to one pixel.
    """

    def __init__(self, order="darknet", **kwargs):
        super().__init__(**kwargs)
        if order not in ("darknet", "space_to_depth"):
            raise ValueError(f"passthrough={order!r}: choose 'darknet' or 'space_to_depth'")
        self.order = order

    def call(self, x):
        if self.order == "space_to_depth":
            return tf.nn.space_to_depth(x, 2)
        height, width, channels = tf.shape(x)[1], tf.shape(x)[2], x.shape[3]
        x = tf.reshape(tf.transpose(x, (0, 3, 1, 2)), (-1, channels // 4, height, 2, width, 2))
        x = tf.reshape(tf.transpose(x, (0, 3, 5, 1, 2, 4)), (-1, 4 * channels, height // 2, width // 2))
        return tf.transpose(x, (0, 2, 3, 1))

    def get_config(self):
        return {**super().get_config(), "order": self.order}


@keras.saving.register_keras_serializable(package="yolo")
class GridReshape(keras.layers.Layer):
    """(B, G, G, A * (5 + C)) -> (B, G, G, A, 5 + C) float32 for any grid."""

    def __init__(self, num_anchors, **kwargs):
        super().__init__(**kwargs)
        self.num_anchors = num_anchors

    def call(self, x):
        entries = x.shape[3] // self.num_anchors
        return tf.cast(tf.reshape(x, tf.concat([tf.shape(x)[:3], [self.num_anchors, entries]], axis=0)), tf.float32)

    def get_config(self):
        return {**super().get_config(), "num_anchors": self.num_anchors}


@keras.saving.register_keras_serializable(package="yolo")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation over the last axis, computed by TensorFlow's fused operation.

    Keras 3 builds it from single operations; fused, a training step on a CPU takes about a quarter less.
    On several devices the moments are those of the whole batch, not of each device's share.
    """

    folded = False  # by `fold_into`: only a bias is left

    def __init__(self, **options):
        super().__init__(**{**options, "autocast": False})  # single precision inside a half-precision network too

    def fold_into(self, convolution):
        """Freeze both, and put the factor into the kernel before it: TensorFlow runs what is left as one operation."""
        scale = self.gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
        convolution.kernel.assign(convolution.kernel * scale)
        self.set_weights([one := tf.ones_like(scale), self.beta - self.moving_mean * scale, 0 * one, one - self.epsilon])
        convolution.trainable, self.trainable, self.folded = False, False, True

    def call(self, x, training=False, mask=None):
        if self.folded:
            return tf.nn.bias_add(x, tf.cast(self.beta, x.dtype))
        if not (training and self.trainable):
            scale = self.gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
            return x * tf.cast(scale, x.dtype) + tf.cast(self.beta - self.moving_mean * scale, x.dtype)
        # with few channels, oneDNN's bfloat16 takes many times as long as single precision
        replica, dtype, x = tf.distribute.get_replica_context(), x.dtype, tf.cast(x, tf.float32 if x.shape[-1] % 16 else x.dtype)
        if replica and replica.num_replicas_in_sync > 1:
            x, mean, variance = self._normalised_together(x, replica)
        else:
            x, mean, variance = tf.compat.v1.nn.fused_batch_norm(x, self.gamma, self.beta, epsilon=self.epsilon)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return tf.cast(x, dtype)

    def _normalised_together(self, x, replica):
        single = tf.cast(x, tf.float32)
        mean = replica.all_reduce("mean", tf.reduce_mean(single, axis=(0, 1, 2)))
        # in a second pass: the mean of the squares minus the squared mean can come out negative
        variance = replica.all_reduce("mean", tf.reduce_mean((single - mean) ** 2, axis=(0, 1, 2)))
        single = tf.nn.batch_normalization(single, mean, variance, self.beta, self.gamma, self.epsilon)
        count = tf.cast(tf.size(x) // x.shape[3] * replica.num_replicas_in_sync, tf.float32)
        return tf.cast(single, x.dtype), mean, variance * count / (count - 1)


# Darknet-19's convolutions as (filters, kernel side); "max" halves the map. conv_13's map goes to the passthrough.
DARKNET19 = ((32, 3), "max", (64, 3), "max", (128, 3), (64, 1), (128, 3), "max", (256, 3), (128, 1), (256, 3), "max",
    (512, 3), (256, 1), (512, 3), (256, 1), (512, 3), "max", (1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3))  # fmt: skip


def build_yolov2(image_size=416, num_anchors=4, num_classes=len(CLASSES), width=1.0, passthrough="darknet", seed=0):
    """The YOLOv2 network as a Keras model: images (B, S, S, 3) in [0, 1] to raw outputs (B, G, G, A, 5 + C), G = S / 32.

    Layers are named as in the series: conv_1 ... conv_23, norm_1 ... norm_22. image_size=None takes any
    multiple of 32. width scales the filters of every layer but the head. Initial weights follow from `seed`.
    Raises ValueError for an image_size that is no multiple of 32.
    """
    if image_size is not None and image_size % 32:
        raise ValueError(f"image_size={image_size}: YOLOv2 halves the image five times, choose a multiple of 32")

    def block(x, number, filters, kernel_size):
        initial = keras.initializers.HeNormal(seed=100 * seed + number)
        options = dict(padding="same", use_bias=False, kernel_initializer=initial, name=f"conv_{number}")
        x = keras.layers.Conv2D(max(4, round(filters * width)), kernel_size, **options)(x)
        x = FusedBatchNormalization(momentum=0.9, epsilon=1e-6, name=f"norm_{number}")(x)
        return keras.layers.LeakyReLU(negative_slope=0.1, name=f"leaky_{number}")(x)

    x = inputs = keras.Input((image_size, image_size, 3), name="image")
    number, fine = 0, None
    for layer in DARKNET19:
        if layer == "max":
            x = keras.layers.MaxPooling2D(name=f"max_{number}")(x)
        else:
            x, number = block(x, number + 1, *layer), number + 1
            fine = x if number == 13 else fine
    x = block(block(x, 19, 1024, 3), 20, 1024, 3)
    fine = Passthrough(passthrough, name="passthrough")(block(fine, 21, 64, 1))
    x = block(keras.layers.Concatenate(name="concatenate")([fine, x]), 22, 1024, 3)
    initial = keras.initializers.RandomNormal(stddev=0.01, seed=100 * seed + 23)
    x = keras.layers.Conv2D(num_anchors * (5 + num_classes), 1, kernel_initializer=initial, name="conv_23")(x)
    return keras.Model(inputs, GridReshape(num_anchors, name="raw_output", dtype="float32")(x), name="yolov2")


def load_darknet_weights(model, path, head=True):
    """Read a Darknet .weights file into the model; returns the header (major, minor, revision, seen).

    Layout: header of 16 or 20 bytes, then for each convolution beta or bias, with batch norm gamma, mean and
    variance, then the kernel as [out][in][height][width], all little-endian float32. head=False leaves conv_23
    alone and ignores what follows. Raises ValueError in one line and changes nothing unless the whole file fits.
    """
    content = Path(path).read_bytes()
    if (web := content.lstrip()[:1] == b"<") or len(content) < 16:
        raise ValueError(f"{path}: {'a web page' if web else 'too short for a header'}, not weights; download the file again")
    major, minor, revision = (int(number) for number in np.frombuffer(content, "<i4", 3))
    start = 20 if (wide := 10 * major + minor >= 2 and major < 1000 and minor < 1000) else 16
    seen = int(np.frombuffer(content[12:start].ljust(start - 12, b"\0"), "<u8" if wide else "<i4")[0])
    floats = np.frombuffer(content[start : start + (len(content) - start) // 4 * 4], "<f4")

    # in a file's order
    layout = [(model.get_layer(f"conv_{i}"), model.get_layer(f"norm_{i}") if i < 23 else None) for i in range(1, 23 + head)]
    needed = sum(layer.count_params() for pair in layout for layer in pair if layer is not None)
    if len(floats) < needed or (head and (len(floats) > needed or (len(content) - start) % 4)):
        problem = f"too {'short' if len(floats) < needed else 'long'}: {len(floats):,} floats, the model needs {needed:,}"
        raise ValueError(f"{path}: {problem}; use head=False for a head of other classes or anchors, else download it again")
    assignments = []
    for convolution, norm in layout:
        kernel_shape = tuple(convolution.kernel.shape)
        sizes = [kernel_shape[-1]] * (4 if norm else 1) + [int(np.prod(kernel_shape))]
        *vectors, kernel, floats = np.split(floats, np.cumsum(sizes))
        kernel = kernel.reshape(np.array(kernel_shape)[[3, 2, 0, 1]]).transpose(2, 3, 1, 0)
        if norm:
            beta, gamma, *moments = vectors
            if not (moments[1] >= 0).all():
                raise ValueError(f"{path}: negative variances in {norm.name}; the header or the order of layers does not fit")
            assignments.append((norm, [gamma, beta, *moments]))
        assignments.append((convolution, [kernel] if norm else [kernel, *vectors]))
    for layer, weights in assignments:
        layer.set_weights(weights)
    return major, minor, revision, seen


def save_weights(model, path, made_from):
    """Write the model's weights as an artifact: kernels in half precision, batch norm and biases in single."""
    arrays = {v.path: v.numpy().astype(np.float16 if v.path.endswith("kernel") else np.float32) for v in model.variables}
    return write_artifact(path, arrays, made_from)


def load_weights(model, path):
    """Read what `save_weights` wrote; returns its `made_from`. ValueError, and nothing changed, when it does not fit."""
    made_from = (content := read_artifact(path)).pop("made_from")
    if {v.path: tuple(v.shape) for v in model.variables} != {name: array.shape for name, array in content.items()}:
        raise ValueError(f"{_short(path)}: weights of another model; run notebook 05_training for this one")
    model.set_weights([content[v.path].astype(np.float32) for v in model.weights])
    return made_from


# ------------------------------------------------------------------------------------------------
# 4 Loss

LossTerms = namedtuple("LossTerms", "xy wh objectness no_objectness classes warmup")


def yolo_loss(y_true, true_boxes, y_pred, anchors, warmup=False, coordinate_scale=1.0):
    """YOLOv2's loss as `LossTerms` of scalars, whose sum is the loss per image (sum over the batch / batch size).

    y_true (B, G, G, A, 5+C), true_boxes (B, 1, 1, 1, 50, 4): from `encode_boxes`; y_pred: raw outputs.
    The gradient in y_pred is that of Darknet's region layer: coordinate scale 2 - w h, object scale 5 towards
    the IoU (a constant for the gradient), no-object scale 1 unless the best IoU exceeds .6, softmax cross entropy.
    coordinate_scale multiplies the terms of place and size (`coord_scale` in Darknet's cfg files, 1 in yolov2-voc.cfg).
    warmup=True (Darknet: the first 12,800 images) pulls every other prediction to its cell's centre and anchor.
    """
    y_true, true_boxes, y_pred = (tf.cast(tf.convert_to_tensor(t), tf.float32) for t in (y_true, true_boxes, y_pred))
    batch, cells = tf.cast(tf.shape(y_pred)[0], tf.float32), _grid_cells(y_pred)
    grid_size = tf.cast(tf.shape(y_pred)[2:0:-1], tf.float32)
    anchors = tf.cast(anchors, tf.float32) * grid_size
    responsible, xy, objectness = y_true[..., 4], tf.sigmoid(y_pred[..., :2]), tf.sigmoid(y_pred[..., 4])

    # exp(20) is far beyond any image; without the limit one wild output makes the IoU inf / inf
    predicted = tf.stop_gradient(tf.concat([cells + xy, tf.exp(tf.minimum(y_pred[..., 2:4], 20.0)) * anchors], axis=-1))
    iou = _iou_centred(predicted, y_true[..., :4])
    most = tf.reduce_max(tf.math.count_nonzero(true_boxes[..., 2], axis=-1))  # behind them is only padding
    best_iou = tf.reduce_max(_iou_centred(predicted[..., None, :], true_boxes[..., :most, :]), axis=-1)
    background = (1 - responsible) * tf.cast(best_iou <= 0.6, tf.float32)

    true_wh = tf.where(responsible[..., None] > 0, y_true[..., 2:4], anchors)  # log(1) = 0 where there is no object
    scale = coordinate_scale * responsible * (2 - y_true[..., 2] * y_true[..., 3] / tf.reduce_prod(grid_size))
    pull = tf.reduce_sum((0.5 - xy) ** 2 + y_pred[..., 2:4] ** 2, axis=-1)
    terms = LossTerms(
        xy=0.5 * scale * tf.reduce_sum((y_true[..., :2] - cells - xy) ** 2, axis=-1),
        wh=0.5 * scale * tf.reduce_sum((tf.math.log(true_wh / anchors) - y_pred[..., 2:4]) ** 2, axis=-1),
        objectness=0.5 * 5 * responsible * (iou - objectness) ** 2,
        no_objectness=0.5 * background * objectness**2,
        classes=responsible * tf.nn.softmax_cross_entropy_with_logits(y_true[..., 5:], y_pred[..., 5:]),
        warmup=0.5 * 0.01 * (1 - responsible) * pull * tf.cast(warmup, tf.float32),
    )
    return LossTerms(*(tf.reduce_sum(term) / batch for term in terms))


def _grid_cells(y_pred):
    """(G, G, 1, 2) float32: each cell's column and row."""
    columns, rows = tf.meshgrid(tf.range(tf.shape(y_pred)[2]), tf.range(tf.shape(y_pred)[1]))
    return tf.cast(tf.stack([columns, rows], axis=-1)[:, :, None], tf.float32)


def _iou_centred(a, b):
    """IoU of (..., 4) boxes given as centre x, y, width, height."""
    low = tf.maximum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    high = tf.minimum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    overlap = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    return tf.math.divide_no_nan(overlap, a[..., 2] * a[..., 3] + b[..., 2] * b[..., 3] - overlap)


# ------------------------------------------------------------------------------------------------
# 5 Training


def learning_rate_at(step, total_steps, peak, burn_in_share=0.05):
    """Learning rate of a step (number or array): burn-in with power 4 as in Darknet, then half a cosine down to 0.

    Darknet's burn-in takes 1,000 batches; here it is a share of the run, so that short runs have one too.
    """
    step, burn_in = np.asarray(step, float) + 1, max(1.0, burn_in_share * total_steps)
    cosine = 0.5 * (1 + np.cos(np.pi * (step - burn_in) / max(1.0, total_steps - burn_in)))
    return peak * np.where(step < burn_in, (step / burn_in) ** 4, cosine)


def build_classifier(model, num_classes=len(CLASSES), seed=0):
    """The detector's first 18 convolutions (Darknet-19) with an averaging classifier on top, sharing the weights."""
    head = keras.layers.Dense(num_classes, name="classes", kernel_initializer=keras.initializers.GlorotUniform(seed=seed))
    average = keras.layers.GlobalAveragePooling2D()
    return keras.Model(model.input, head(average(model.get_layer("leaky_18").output)), name="classifier")


def make_crop_dataset(annotations, *, image_size, batch_size, seed, num_epochs):
    """Batches of (crops (B, S, S, 3), labels (B,)) of single objects for the classifier, augmented, in a new order each epoch.

    A crop is a square around the object, 1 to 2.2 times its longer side, shifted a little.
    """
    boxes, labels = _true_boxes(annotations)
    paths = tf.constant([str(annotation.image_path) for annotation in annotations])

    def example(epoch, place, index):
        photo = decode_photo(paths[boxes.value_rowids()[index]])
        scale, dx, dy, flip, *colours = tf.unstack(tf.random.stateless_uniform((7,), tf.stack([seed + 2, epoch * 10**6 + place])))
        box, size = boxes.values[index], tf.cast(tf.shape(photo)[1::-1], tf.float32)
        side = tf.reduce_max((box[2:] - box[:2]) * size) * (1 + 1.2 * scale)
        centre = (box[:2] + box[2:]) / 2 + 0.1 * (tf.stack([dx, dy]) - 0.5) * side / size
        window = tf.concat([centre - side / size / 2, centre + side / size / 2], axis=0)
        return view(photo, window, image_size, flip < 0.5, 2 * tf.stack(colours) - 1), labels.values[index]

    dataset = tf.data.Dataset.range(num_epochs).flat_map(lambda e: _places(e, len(labels.values), batch_size, seed, True))
    return _batched(dataset, example, batch_size, drop_remainder=True)


def pretrain(model, annotations, settings):
    """The paper's first stage in small: train the backbone as a classifier of object crops. Returns the accuracies."""
    epochs, steps = settings.pretrain_epochs, math.ceil(len(box_sizes(annotations)) / 32)
    dataset = make_crop_dataset(annotations, image_size=settings.crop_size, batch_size=32, seed=settings.seed, num_epochs=epochs)
    classifier = build_classifier(model, model.output_shape[-1] - 5, settings.seed)
    rate, loss = keras.optimizers.schedules.CosineDecay(5e-3, epochs * steps), keras.losses.SparseCategoricalCrossentropy(True)
    classifier.compile(Muon(rate), loss, metrics=["accuracy"], jit_compile=False)
    return classifier.fit(dataset, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=2).history["accuracy"]


def quiet_start(model, frozen=0, objectness=-4.0):
    """Set the head's objectness biases, so that training begins with "nothing anywhere" instead of 1/2 everywhere.

    Else the first steps only push hundreds of objectnesses down, and shake what pre-training has learned (Lin et al. 2017).
    The first `frozen` convolutions learn no more, their batch norms are folded into them: edges and colours are known, a step
    is cheaper.
    """
    for i in range(1, frozen + 1):
        model.get_layer(f"norm_{i}").fold_into(model.get_layer(f"conv_{i}"))
    bias = model.get_layer("conv_23").bias.numpy().reshape(model.output_shape[3], -1)
    bias[:, 4] = objectness
    model.get_layer("conv_23").bias.assign(bias.ravel())


def use_half_precision(model):
    """Let the model's layers compute in 16-bit numbers where the device is faster with them. Returns the Keras policy's name.

    float16 on a GPU, bfloat16 on a processor with AVX512-BF16 or AMX if oneDNN is on, else float32 as ever. Weights, batch norm's
    moments and the raw output stay in single precision.
    """
    fast = os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1" and any("_bf16" in f.read_text() for f in Path("/proc").glob("cpuinfo"))
    policy = "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16" if fast else "float32"
    for layer in model.layers[1:-1]:
        layer.dtype_policy = keras.DTypePolicy(policy)
    return policy


class Muon(keras.optimizers.Adam):
    """Muon (Jordan et al. 2024) for the kernels of layers conv_1 to conv_22; Adam for the rest: heads, biases, batch norm.

    The momentum, as a matrix (inputs, filters), is made orthogonal: all its directions become equally strong. Scaled as
    by Liu et al. (arXiv 2502.16982), to the usual size of Adam's steps. Keras' own leaves convolutions to Adam. Here, what is
    left to Adam learns at .3 of the rate.
    """

    product_dtype = "float32"  # of the products of matrices; Jordan's are in bfloat16

    def update_step(self, gradient, variable, learning_rate):
        momentum = self._momentums[self._get_variable_index(variable)]
        if len(variable.shape) != 4 or "conv_23" in momentum.path:
            return super().update_step(gradient, variable, 0.3 * learning_rate)
        self.assign(momentum, 0.95 * momentum + gradient)
        direction = orthogonalised(tf.reshape(gradient + 0.95 * momentum, (-1, variable.shape[-1])), self.product_dtype)
        self.assign_sub(variable, learning_rate * 0.2 * max(direction.shape) ** 0.5 * tf.reshape(direction, variable.shape))


def orthogonalised(matrix, dtype="float32", steps=5):
    """The matrix (n, m) with all its singular values brought close to 1, by Newton and Schulz's iteration, computed in dtype.

    A polynomial of the matrix's square pulls the values towards 1 (Jordan's coefficients: most end between .7 and 1.2).
    """
    tall, matrix = matrix.shape[0] > matrix.shape[1], tf.cast(tf.math.divide_no_nan(matrix, tf.norm(matrix)), dtype)
    square, factor = tf.matmul(matrix, matrix, tall, not tall), (one := tf.eye(min(matrix.shape), dtype=dtype))
    for _ in range(steps):  # multiplied up in the square: less work than with the whole matrix
        polynomial = 3.4445 * one - 4.7750 * square + 2.0315 * square @ square
        factor, square = polynomial @ factor, polynomial @ square @ polynomial
    return tf.cast(matrix @ factor if tall else factor @ matrix, tf.float32)


class TrainStep:
    """One update: loss, gradient clipped to `clip_norm`, weight decay on kernels, then SGD with momentum, Adam or Muon.

    Darknet's weight decay goes through the momentum, so it is added to the gradient (Keras' own is decoupled).
    anchor_size: as for `make_dataset`; coordinate_scale: as for `yolo_loss`.
    A half-precision model's loss is scaled up, so that small gradients do not vanish, and a step that overflows is left out.
    A model built in a `tf.distribute` strategy's scope is trained with it: each device takes its share of the batch
    (of one machine's part of it, if there are several), and gives the same update as one device would with all of it.
    """

    def __init__(self, model, anchors, optimizer="sgd", anchor_size=None, coordinate_scale=1.0, weight_decay=5e-4, clip_norm=20):
        self.model, self.anchors, self.anchor_size, self.strategy = model, anchors, anchor_size, model.distribute_strategy
        self.weight_decay, self.clip_norm, self.coordinate_scale = weight_decay, clip_norm, coordinate_scale
        with self.strategy.scope():
            self.optimizer = dict(sgd=keras.optimizers.SGD(momentum=0.9), adam=keras.optimizers.Adam(), muon=Muon())[optimizer]
            self.optimizer.build(model.trainable_variables)
            self.optimizer.product_dtype = "bfloat16" if (dtype := model.layers[-2].compute_dtype) == "bfloat16" else "float32"
        self.loss_scale = 128.0 if dtype == "float16" else 1.0
        specs = [tf.TensorSpec((None,) * n + (last,)) for n, last in ((3, 3), (4, model.output_shape[-1]), (5, 4))]
        self.run = tf.function(self._run, input_signature=[*specs, tf.TensorSpec(()), tf.TensorSpec((), tf.bool)])

    def _run(self, images, y, true_boxes, learning_rate, warmup):
        self.optimizer.learning_rate.assign(learning_rate)
        losses = self.strategy.run(self._update, args=(images, y, true_boxes, warmup))
        return self.strategy.reduce("sum", losses, axis=None)

    def _update(self, images, y, true_boxes, warmup):
        variables, replica = self.model.trainable_variables, tf.distribute.get_replica_context()
        here, everywhere = len(self.strategy.experimental_local_results(variables[0].value)), replica.num_replicas_in_sync
        tf.debugging.assert_equal(tf.shape(images)[0] % here, 0, f"the batch must be a multiple of the {here} devices")
        images, y, true_boxes = (t[replica.replica_id_in_sync_group % here :: here] for t in (images, y, true_boxes))
        with tf.GradientTape() as tape:
            anchors = anchors_at(self.anchors, self.anchor_size, tf.shape(images)[1])
            terms = yolo_loss(y, true_boxes, self.model(images, training=True), anchors, warmup, self.coordinate_scale)
            loss = tf.add_n(list(terms)) / everywhere
        gradients = replica.all_reduce("sum", tape.gradient(loss, variables, tf.constant(self.loss_scale)))
        gradients, length = tf.clip_by_global_norm([g / self.loss_scale for g in gradients], self.clip_norm)
        gradients = [tf.where(tf.math.is_finite(length) | (self.loss_scale == 1), g, 0.0) for g in gradients]
        decays = [self.weight_decay * v if v.path.endswith("kernel") else 0.0 for v in variables]
        # Keras adds up the devices' gradients, here equal ones
        self.optimizer.apply([(g + decay) / everywhere for g, decay in zip(gradients, decays, strict=True)])
        return loss


def train_detector(model, train, validation, anchors, settings, *, folder, on_epoch=lambda model, row: None):
    """Train with augmentation, several sides and the schedule; returns the history, one dict an epoch.

    The weights of the best validation mAP are kept in folder/yolov2_weights.npz and are in the model at the end; after
    settings.patience epochs without a better one, training stops. Validated is every settings.validate_every epochs and
    after the last; between, the history has None. It is also in folder/history.csv.
    After each epoch everything is saved to folder/training_state.npz: a run that was interrupted goes on from there
    if it was started with the same data and settings; one that was finished starts afresh. on_epoch(model, row) may draw.
    Raises FloatingPointError that names the images when the loss is no longer finite.
    """
    folder, made_from = Path(folder), {"data": fingerprint(train), **_comparable(settings)}
    state_path, weights_path = folder / "training_state.npz", folder / "yolov2_weights.npz"
    for half_written in folder.glob(".*-*"):  # by a run that was killed
        half_written.unlink()
    steps = math.ceil(len(train) / settings.batch_size)
    print("precision inside the network:", use_half_precision(model) if settings.half_precision else "float32")
    step = TrainStep(model, anchors, settings.optimizer, settings.image_size, settings.coordinate_scale)
    history = _resume(state_path, made_from, variables := [*model.variables, *step.optimizer.variables])
    batches = training_batches(train, anchors, settings, epoch=len(history), num_classes=model.output_shape[-1] - 5)
    while len(history) < settings.epochs and _epochs_since_best(history) < settings.patience:
        epoch, start, losses = len(history), time.perf_counter(), []
        for number in range(epoch * steps, (epoch + 1) * steps):
            images, (y, true_boxes) = next(batches)
            rate = learning_rate_at(number, settings.epochs * steps, settings.learning_rate)
            losses.append(float(step.run(images, y, true_boxes, float(rate), number < 0.05 * settings.epochs * steps)))
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(_not_finite(losses[-1], number, train, settings))
        row = {"epoch": epoch + 1, "learning_rate": float(rate), "loss": float(np.mean(losses))}
        history.append(row := {**row, "validation_loss": None, "validation_map": None})
        if (epoch + 1) % settings.validate_every == 0 or epoch + 1 == settings.epochs:
            row["validation_loss"], evaluation = validate(model, validation, anchors, settings)
            row["validation_map"] = float(np.nan_to_num(evaluation.mean_average_precision))
            if _epochs_since_best(history) == 0:
                save_weights(model, weights_path, made_from)
        _save_state(state_path, made_from, variables, history)
        print(f"epoch {epoch + 1:3d}/{settings.epochs}  {time.perf_counter() - start:4.0f} s  " + "  ".join(
            f"{key.replace('_', ' ')} {row[key]:.3f}" for key in list(row)[2:] if row[key] is not None), flush=True)  # fmt: skip
        on_epoch(model, row)
    load_weights(model, weights_path)
    state_path.unlink(missing_ok=True)
    return history


def training_batches(train, anchors, settings, epoch=0, **options):
    """The batches of `make_dataset` from an epoch on, through the settings' phases."""
    options |= dict(training=True, batch_size=settings.batch_size, seed=settings.seed, jitter=settings.jitter)
    for until, sides, zoom in settings.phases:
        if epoch < (stop := round(until * settings.epochs)):
            options |= dict(image_size=sides, anchor_size=settings.image_size, zoom=zoom, epoch=epoch, num_epochs=stop - epoch)
            yield from make_dataset(train, anchors, **options)
            epoch = stop


def _epochs_since_best(history):
    scores = [-1.0 if row["validation_map"] is None else row["validation_map"] for row in history]
    return len(scores) - 1 - int(np.argmax(scores)) if scores else 0


def _comparable(settings):
    """What must be equal for a run to go on: all settings but where things lie, as JSON keeps them."""
    return json.loads(json.dumps({f.name: getattr(settings, f.name) for f in fields(settings) if f.type is not Path}))


def _not_finite(loss, number, train, settings):
    epoch, step = divmod(number, math.ceil(len(train) / (size := settings.batch_size)))
    text = ", ".join(train[i].filename for i in epoch_order(len(train), size, settings.seed, epoch).numpy()[step * size :][:size])
    return f"the loss is {loss} at step {number + 1}; lower the learning rate or look at this batch: {text}"


def _save_state(path, made_from, variables, history):
    rows = [",".join(history[0]), *(",".join("" if v is None else str(v) for v in row.values()) for row in history)]
    with _whole_file(path.with_name("history.csv")) as temporary:
        temporary.write_text("\n".join(rows) + "\n")
    write_artifact(path, {"history": json.dumps(history)} | {str(i): np.asarray(v) for i, v in enumerate(variables)}, made_from)


def _resume(path, made_from, variables):
    """The history of an unfinished run with the same data and settings, its state put back; else an empty one."""
    state = read_artifact(path) if path.exists() else {"made_from": made_from, "history": "[]"}
    if state["made_from"] != made_from:
        print(f"{path.name}: of a run with other data or settings, not used")
        return []
    if history := json.loads(str(state["history"])):
        for i, variable in enumerate(variables):
            variable.assign(state[str(i)])
        print(f"going on after epoch {len(history)} of {made_from['epochs']}")
    return history


def validate(model, annotations, anchors, settings):
    """Mean loss per image and `Evaluation` of the model on the annotations, from one pass over the photos."""
    options = dict(image_size=settings.image_size, batch_size=2 * settings.batch_size, num_classes=model.output_shape[-1] - 5)
    total, detections = 0.0, []
    for images, (y, true_boxes) in make_dataset(annotations, anchors, training=False, seed=0, **options):
        raw = model.predict_on_batch(images)[: len(images)]  # of several devices each answers the whole batch
        total += float(sum(yolo_loss(y, true_boxes, raw, anchors, coordinate_scale=settings.coordinate_scale))) * len(raw)
        sizes = [(a.width, a.height) for a in annotations[len(detections) : len(detections) + len(raw)]]
        detections += detections_from_output(raw, anchors, sizes, score_threshold=0.005, iou_threshold=0.45)
    return total / len(annotations), evaluate_detections(annotations, detections)


# ------------------------------------------------------------------------------------------------
# 6 Inference and evaluation

Decoded = namedtuple("Decoded", "boxes objectness class_probabilities")
Detections = namedtuple("Detections", "boxes scores labels")
# of one image, best first: boxes (n, 4) in its pixels (0 to width or height), scores (n,), labels (n,)


@tf.function(reduce_retracing=True)
def decode_predictions(y_pred, anchors):
    """Raw outputs (B, G, G, A, 5+C) as boxes (B, G, G, A, 4) in fractions, objectness and class probabilities."""
    y_pred = tf.cast(tf.convert_to_tensor(y_pred), tf.float32)
    grid_size = tf.cast(tf.shape(y_pred)[2:0:-1], tf.float32)
    centre = (_grid_cells(y_pred) + tf.sigmoid(y_pred[..., :2])) / grid_size
    half = tf.exp(tf.minimum(y_pred[..., 2:4], 20.0)) * tf.cast(anchors, tf.float32) / 2
    return Decoded(tf.concat([centre - half, centre + half], axis=-1), tf.sigmoid(y_pred[..., 4]), tf.nn.softmax(y_pred[..., 5:]))


def iou_matrix(boxes, others):
    """(n, m) IoU of two sets of boxes (n, 4) and (m, 4)."""
    boxes, others = np.asarray(boxes), np.asarray(others)
    (left, top, right, bottom), (lefts, tops, rights, bottoms) = boxes.T[:, :, None], others.T[:, None]
    width, height = np.minimum(right, rights) - np.maximum(left, lefts), np.minimum(bottom, bottoms) - np.maximum(top, tops)
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    union = _area(boxes)[:, None] + _area(others) - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def non_max_suppression(boxes, scores, labels, iou_threshold):
    """Indices of the boxes to keep, best first: a box goes when a better one of its class overlaps it by more than the threshold.

    boxes (n, 4), scores (n,), labels (n,). Equal scores: the earlier box first.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    boxes, labels = np.asarray(boxes)[order], np.asarray(labels)[order]
    rivals = (iou_matrix(boxes, boxes) > iou_threshold) & (labels[:, None] == labels[None])
    keep = np.ones(len(order), bool)
    for i in range(len(order)):
        if keep[i]:
            keep[i + 1 :] &= ~rivals[i, i + 1 :]
    return order[keep]


def detections_from_output(raw, anchors, sizes, score_threshold, iou_threshold):
    """Raw outputs (B, G, G, A, 5+C) as a list of `Detections` in pixels of images of the given (width, height)s.

    A box counts once, for its most probable class, with the score objectness x class probability.
    """
    decoded = decode_predictions(raw, anchors)
    probabilities = decoded.class_probabilities.numpy().reshape(len(raw), -1, decoded.class_probabilities.shape[-1])
    all_scores = probabilities.max(axis=2) * decoded.objectness.numpy().reshape(len(raw), -1)
    all_boxes = np.clip(decoded.boxes.numpy().reshape(len(raw), -1, 4), 0, 1)
    results = []
    for boxes, scores, classes, size in zip(all_boxes, all_scores, probabilities.argmax(axis=2), sizes, strict=True):
        found = np.flatnonzero(scores > score_threshold)
        kept = found[non_max_suppression(boxes[found], scores[found], classes[found], iou_threshold)]
        results.append(Detections(boxes[kept] * np.tile(size, 2), scores[kept], classes[kept]))
    return results


def detect(model, images, anchors, score_threshold=0.25, iou_threshold=0.45, image_size=None):
    """Detect objects in uint8 RGB images of any size: one image gives one `Detections`, a list gives a list.

    Images are stretched to the model's side as in training (image_size for a model that takes any, else 416);
    boxes come back in each image's own pixels.
    """
    if isinstance(images, np.ndarray) and images.ndim == 3:
        return detect(model, [images], anchors, score_threshold, iou_threshold, image_size)[0]
    side, results = image_size or model.input_shape[1] or 416, []
    for start in range(0, len(images), 16):
        batch = images[start : start + 16]
        inputs = np.stack([cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR) for image in batch])
        raw, sizes = model.predict_on_batch(inputs.astype(np.float32) / 255), [image.shape[1::-1] for image in batch]
        results += detections_from_output(raw[: len(batch)], anchors, sizes, score_threshold, iou_threshold)
    return results


def read_image(path):
    """(H, W, 3) uint8 RGB of an image file, turned as its EXIF tag says. Raises FileNotFoundError or ValueError in one line."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such image; check the path")
    if not Path(path).stat().st_size or (image := cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)) is None:
        raise ValueError(f"{path}: empty, cut off or not an image; use a JPEG or PNG file")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


_MEASURES = "average_precision average_precision_11 mean_average_precision mean_average_precision_11 precision recall scores"
Evaluation = namedtuple("Evaluation", _MEASURES)
# average_precision (C,): area under the precision-recall curve (VOC from 2010 on), NaN for a class without objects;
# average_precision_11 (C,): at 11 recalls (VOC2007); their means over the classes that have objects; precision, recall,
# scores: a list of arrays, one for each class, along its detections from the best score down


def evaluate_detections(annotations, detections, iou_threshold=0.5, classes=CLASSES):
    """Pascal VOC's evaluation of a list of `Detections`, one for each annotation, as an `Evaluation`.

    A detection counts when its best box of the class reaches the threshold and no better detection took it;
    difficult boxes are neither counted nor punished. Equal scores: the order of images, then of detections.
    """
    if len(annotations) != len(detections):
        raise ValueError(f"{len(annotations)} annotations but {len(detections)} detections: give one for each image")
    curves = [_precision_recall(annotations, detections, label, iou_threshold) for label in range(len(classes))]
    precision, recall, scores = zip(*curves, strict=True)
    both = np.array([_average_precision(p, r) for p, r in zip(precision, recall, strict=True)]).reshape(-1, 2)
    means = present.mean(axis=0).tolist() if len(present := both[~np.isnan(both[:, 0])]) else (math.nan, math.nan)
    return Evaluation(both[:, 0], both[:, 1], *means, precision, recall, scores)


def _matches(annotation, found, label, image):
    """A class's detections in one image as rows (score, best IoU with a true box, that box's number, is it difficult, image)."""
    chosen, truth = found.labels == label, annotation.labels == label
    # both in continuous pixels: fractions would round an IoU of exactly one half; the last box, of no size, overlaps nothing
    boxes = np.vstack([annotation.boxes[truth] - [1, 1, 0, 0], np.zeros(4)])
    ious, difficult = iou_matrix(np.asarray(found.boxes, float)[chosen], boxes), np.append(annotation.difficult[truth], False)
    scores, images = np.asarray(found.scores, float)[chosen], np.full(len(best := ious.argmax(axis=1)), image)
    return np.stack([scores, ious.max(axis=1), best, difficult[best], images], axis=1)


def _precision_recall(annotations, detections, label, iou_threshold):
    """Precision, recall (NaN when there is nothing to find) and scores along a class's detections, best first."""
    images = enumerate(zip(annotations, detections, strict=True))
    rows = np.concatenate([np.zeros((0, 5)), *(_matches(a, found, label, i) for i, (a, found) in images)])
    scores, ious, best, difficult, image = rows[np.argsort(-rows[:, 0], kind="stable")].T
    hit = ious >= iou_threshold
    counted = ~(hit & (difficult == 1))
    scores, hit, key = scores[counted], hit[counted], (image * 10**6 + best)[counted]
    hits, first = np.flatnonzero(hit), np.zeros(len(key), bool)
    first[hits[np.unique(key[hits], return_index=True)[1]]] = True  # of all that hit a true box, only the best is right
    right, total = np.cumsum(first), sum(int(((a.labels == label) & ~a.difficult).sum()) for a in annotations)
    recall = right / total if total else np.full(max(1, len(right)), math.nan)
    return right / np.arange(1, len(right) + 1), recall, scores


def _average_precision(precision, recall):
    """(area under the curve whose precision is made to fall monotonically, mean of the best precision from 11 recalls on)."""
    if np.isnan(recall).any():
        return math.nan, math.nan
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    eleven = np.mean([precision[recall >= level].max(initial=0) for level in np.linspace(0, 1, 11)])
    return float(np.sum(np.diff(np.concatenate([[0], recall])) * envelope)), float(eleven)


def draw_boxes(image, boxes, labels, scores=None, classes=CLASSES):
    """A new image with boxes (in its pixels), each with its class name and score, in a colour for each class."""
    canvas, font = np.ascontiguousarray(image).copy(), cv2.FONT_HERSHEY_SIMPLEX
    size = 0.2 * (thickness := max(1, round(max(canvas.shape[:2]) / 250))) + 0.1
    for i, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        colour, (left, top, right, bottom) = class_colour(int(label), len(classes)), np.rint(box).astype(int).tolist()
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness)
        text = classes[int(label)] + ("" if scores is None else f" {scores[i]:.2f}")
        (width, height), base = cv2.getTextSize(text, font, size, 1)
        top, ink = max(top, height + base), (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
        cv2.rectangle(canvas, (left, top - height - base), (left + width, top), colour, -1)
        cv2.putText(canvas, text, (left, top - base + 1), font, size, ink, 1, cv2.LINE_AA)
    return canvas


def class_colour(label, count=20):
    """(r, g, b) from 0 to 255 of a class: hues evenly round the wheel, neighbours in two shades."""
    hue, value = round(180 * label / count) % 180, 255 if label % 2 else 190
    return tuple(cv2.cvtColor(np.uint8([[[hue, 200, value]]]), cv2.COLOR_HSV2RGB)[0, 0].tolist())
