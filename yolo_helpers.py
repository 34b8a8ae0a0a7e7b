"""YOLOv2 from scratch in TensorFlow 2: the code that the six notebooks share.

The sections follow the notebooks: settings, 1 anchors, 2 encoding, 3 model, 4 loss,
5 training and 6 inference. Each notebook explains its section. The last section holds
the files that the notebooks hand to each other.

Conventions, used everywhere unless a docstring says otherwise:

- Images are RGB. Files are read as uint8 arrays (height, width, 3); the network sees
  batches of float32 values from 0 to 1.
- Boxes are rows of xmin, ymin, xmax, ymax. Most functions take them as fractions of
  the image, from 0 to 1.
- Anchors are rows of width and height in grid units. One grid unit is one cell of the
  output grid, which is 32 pixels at every image size. Only `kmeans_anchors` and
  anchors.json hold fractions of the image, as the blog series does.
- Shapes use B for images in a batch, G for cells along one side of the grid, A for
  anchors and C for classes.
- The raw output of the network has the shape (B, G, G, A, 5 + C): one prediction for
  each cell and anchor. A prediction that has to find an object is called responsible
  for it. Of the others, those that overlap an object well are ignored by the loss, and
  the rest is background. Objectness says how sure a prediction is that there is an
  object. The head is the last layer, which makes the raw output.

"The paper" is YOLO9000 (arXiv 1612.08242), "Darknet" is its authors' program, and "the
series" are Yumi's blog posts that the notebooks follow; README.md has the links.
"""

import contextlib
import csv
import hashlib
import itertools
import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

# TensorFlow reads this variable when it is imported. It hides the start-up messages.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import defusedxml.ElementTree
import keras
import numpy as np
import tensorflow as tf

ROOT = Path(__file__).resolve().parent
REFERENCE = ROOT / "data" / "reference"  # results that the repository carries

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

CELL_SIZE = 32  # pixels; the network halves the image five times
GRID_SIZE = 13  # cells along one side of an image of 416 pixels
MAX_BOXES = 50  # the loss looks for overlaps with no more boxes of one image than this


# --------------------------------------------------------------------------------------
# Settings


@dataclass(frozen=True)
class Settings:
    """All choices of a run. `load_settings` makes them from a profile."""

    profile: str  # "tiny" or "full"
    voc_dir: Path  # the data set, a folder in Pascal VOC's layout
    classes: tuple  # class names; an object's label is its position in this tuple
    artifacts: Path  # the folder that runs write to
    weights: Path | None  # Darknet file to start from; None means random weights
    width: float  # 0.25: a quarter of the paper's filters in every layer but the head
    epochs: int  # passes over the training images
    learning_rate: float  # the highest rate of the schedule
    patience: int  # epochs without a better validation mAP before training stops
    mixed_precision: bool  # compute in float16, see `training_policy`
    train_sizes: tuple  # image sizes in pixels for multi-scale training
    image_size: int = 416  # side of validation and test images, in pixels
    batch_size: int = 16  # images in one training step
    seed: int = 0  # of initial weights, order of the images and augmentation


PROFILES = {
    # A network with a quarter of the filters. It trains on two CPU cores in minutes.
    "tiny": {
        "voc_dir": "data/mini_voc",  # 600 rendered images, part of this repository
        "weights": "data/pretrained/tiny.weights",  # part of this repository
        "width": 0.25,
        "epochs": 16,
        "learning_rate": 4e-3,
        "patience": 8,
        "mixed_precision": False,
        "train_sizes": (224, 256, 288, 320, 352, 384, 416),  # small ones save time
    },
    # The paper's network on the real Pascal VOC. It needs a GPU.
    "full": {
        "voc_dir": "data/VOCdevkit/VOC2012",  # `make voc` downloads it
        "weights": "data/yolov2.weights",  # trained on COCO by the authors of YOLOv2
        "width": 1.0,
        "epochs": 40,
        "learning_rate": 1e-3,
        "patience": 10,
        "mixed_precision": True,
        "train_sizes": (320, 352, 384, 416, 448, 480, 512),
    },
}


def load_settings():
    """Settings of a profile, changed by environment variables.

    YOLO_PROFILE chooses the profile. VOC_DIR names the data set, YOLO_ARTIFACTS the
    folder to write to, YOLO_EPOCHS the number of epochs and YOLO_WEIGHTS a Darknet
    weights file to start from, or `none` for random weights.

    Returns
    -------
    Settings

    Raises
    ------
    ValueError
        If a variable has a value that cannot be used. The message is one line.
    """
    profile = os.environ.get("YOLO_PROFILE") or "tiny"
    if profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise ValueError(f"YOLO_PROFILE={profile}: choose one of {known}")
    values = dict(PROFILES[profile])

    voc_dir = Path(os.environ.get("VOC_DIR") or ROOT / values["voc_dir"]).resolve()
    if not (voc_dir / "Annotations").is_dir():
        raise ValueError(
            f"VOC_DIR={short_path(voc_dir)}: there is no folder Annotations in it; "
            "name a folder like VOCdevkit/VOC2012"
        )

    epochs = os.environ.get("YOLO_EPOCHS") or str(values["epochs"])
    if not epochs.isdecimal() or int(epochs) < 1:
        raise ValueError(f"YOLO_EPOCHS={epochs}: use a whole number from 1 on")

    artifacts = Path(os.environ.get("YOLO_ARTIFACTS") or ROOT / "data/artifacts")
    weights = os.environ.get("YOLO_WEIGHTS") or ROOT / values["weights"]
    values.update(
        voc_dir=voc_dir,
        classes=load_classes(voc_dir),
        artifacts=artifacts.resolve(),
        weights=None if weights == "none" else Path(weights).resolve(),
        epochs=int(epochs),
    )
    return Settings(profile=profile, **values)


def load_classes(voc_dir):
    """Class names of a data set: the lines of its classes.txt, else VOC's twenty.

    Raises
    ------
    ValueError
        If classes.txt names no class, or one class twice.
    """
    path = Path(voc_dir) / "classes.txt"
    if not path.exists():
        return VOC_CLASSES
    lines = path.read_text(encoding="utf-8").splitlines()
    names = tuple(line.strip() for line in lines if line.strip())
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{path}: write one class name per line, and each name once")
    return names


def short_path(path):
    """A path as text: relative to the repository if it lies inside."""
    path = Path(path).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


# --------------------------------------------------------------------------------------
# 1 Annotations and anchors


@dataclass(frozen=True)
class Annotation:
    """The objects in one image, as its Pascal VOC XML file describes them."""

    filename: str
    width: int  # of the image, in pixels
    height: int
    boxes: np.ndarray  # (n, 4) float, in VOC's 1-based inclusive pixels
    labels: np.ndarray  # (n,) int, positions in the tuple of class names
    difficult: np.ndarray  # (n,) bool, objects that training and evaluation leave out
    truncated: np.ndarray  # (n,) bool, objects that the image's border cuts
    image_path: Path


def read_annotation(path, classes=VOC_CLASSES):
    """Read one Pascal VOC XML file.

    Only <object> elements directly below the root count. A person's <part> elements
    also have boxes, but we ignore them. Optional elements may be missing.

    Returns
    -------
    Annotation

    Raises
    ------
    ValueError
        If the file is broken. The message is one line with the file, the cause and
        the cure.
    """
    path = Path(path)
    root = _parse_xml(path)
    width = _read_side(root, "width")
    height = _read_side(root, "height")
    if width < 1 or height < 1:
        raise ValueError(
            f"{path}: no usable <size> with <width> and <height>; "
            "add the size of the image in pixels"
        )

    boxes = []
    labels = []
    difficult = []
    truncated = []
    for element in root.findall("object"):
        name, box = _read_object(element, path, width, height)
        if name not in classes:
            raise ValueError(
                f"{path}: unknown class '{name}'; correct it, or add it to "
                f"{path.parent.parent / 'classes.txt'} (one class name per line)"
            )
        boxes.append(box)
        labels.append(classes.index(name))
        difficult.append(_read_flag(element, "difficult"))
        truncated.append(_read_flag(element, "truncated"))

    filename = Path((root.findtext("filename") or "").strip()).name
    filename = filename or f"{path.stem}.jpg"
    return Annotation(
        filename=filename,
        width=width,
        height=height,
        boxes=np.array(boxes, float).reshape(-1, 4),
        labels=np.array(labels, int),
        difficult=np.array(difficult, bool),
        truncated=np.array(truncated, bool),
        image_path=path.parent.parent / "JPEGImages" / filename,
    )


def _parse_xml(path):
    try:
        return defusedxml.ElementTree.parse(path, forbid_dtd=True).getroot()
    except defusedxml.DefusedXmlException as error:
        raise ValueError(
            f"{path}: declares entities or a document type; do not use this file"
        ) from error
    except (defusedxml.ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(
            f"{path}: not well-formed XML ({error}); export it again"
        ) from error


def _read_side(root, side):
    """Width or height in whole pixels, 0 if there is no usable number."""
    try:
        return int(float(root.findtext(f"size/{side}")))
    except (TypeError, ValueError, OverflowError):
        return 0


def _read_flag(element, name):
    text = (element.findtext(name) or "").strip().lower()
    return text not in ("", "0", "false")


def _read_object(element, path, width, height):
    """Class name and box of one <object>; ValueError if its box cannot be used."""
    name = (element.findtext("name") or "").strip() or "nameless object"
    sides = ("xmin", "ymin", "xmax", "ymax")
    try:
        box = [float(element.findtext(f"bndbox/{side}")) for side in sides]
    except (TypeError, ValueError):
        raise ValueError(
            f"{path}: a {name} without four numbers in <bndbox>; "
            "correct or remove the object"
        ) from None
    # Some tools count pixels from 0, others write width + 1: one pixel is forgiven.
    xmin, ymin, xmax, ymax = box
    if xmin <= -1 or ymin <= -1 or xmax > width + 1 or ymax > height + 1:
        raise ValueError(
            f"{path}: {name} box {box} lies outside of the {width} x {height} image; "
            "clip it"
        )
    xmin, ymin = max(xmin, 1), max(ymin, 1)
    xmax, ymax = min(xmax, width), min(ymax, height)
    if not (xmin < xmax and ymin < ymax):
        raise ValueError(
            f"{path}: {name} box {box} is empty or inverted; "
            "xmin < xmax and ymin < ymax are needed"
        )
    return name, (xmin, ymin, xmax, ymax)


def load_split(voc_dir, split):
    """Annotations of all images in ImageSets/Main/<split>.txt, in the list's order.

    The class names are those of `load_classes`. The photos are not opened here.
    Without a list `trainval`, the lists `train` and `val` are joined.

    Returns
    -------
    list of Annotation

    Raises
    ------
    FileNotFoundError or ValueError
        If the list or an annotation is missing or broken. The message is one line.
    """
    voc_dir = Path(voc_dir)
    path = voc_dir / "ImageSets" / "Main" / f"{split}.txt"
    if split == "trainval" and not path.exists():
        return load_split(voc_dir, "train") + load_split(voc_dir, "val")
    if not path.exists():
        found = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise FileNotFoundError(f"{path}: there is no such split; found here: {found}")

    names = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{path}: names no image; write one name per line")
    files = [voc_dir / "Annotations" / f"{name}.xml" for name in names]
    missing = [file for file in files if not file.exists()]
    if missing:
        raise FileNotFoundError(
            f"{path}: names {missing[0].stem}, but {missing[0]} does not exist "
            f"({len(missing)} such names)"
        )
    classes = load_classes(voc_dir)
    return [read_annotation(file, classes) for file in files]


class Splits(NamedTuple):
    """The three parts of a data set."""

    train: list  # training learns from these
    validation: list  # training chooses the best epoch with these
    test: list  # only the final result is measured on these
    test_name: str  # name of the list that became the test images


def load_splits(voc_dir):
    """Training, validation and test annotations of a data set.

    A data set with a list `test` is used as it is: train, val and test. The real VOC
    2012 has no test annotations. There, `val` becomes the test images, and every tenth
    training image becomes a validation image.
    """
    train = load_split(voc_dir, "train")
    validation = load_split(voc_dir, "val")
    if (Path(voc_dir) / "ImageSets" / "Main" / "test.txt").exists():
        test = load_split(voc_dir, "test")
        return Splits(train, validation, test, "test")
    return Splits(
        train=[annotation for i, annotation in enumerate(train) if i % 10 != 0],
        validation=train[::10],
        test=validation,
        test_name="val",
    )


def box_fractions(annotation):
    """Boxes of an annotation as fractions of the image.

    VOC counts pixels from 1 and includes both ends, so the pixels xmin to xmax cover
    (xmin - 1) / width to xmax / width.

    Returns
    -------
    ndarray (n, 4) float32
    """
    corners = annotation.boxes - [1, 1, 0, 0]
    sides = [annotation.width, annotation.height] * 2
    return (corners / sides).astype(np.float32)


def box_sizes(annotations):
    """Widths and heights of all boxes that are not difficult, as fractions.

    Returns
    -------
    ndarray (n, 2) float
    """
    sizes = [np.zeros((0, 2))]
    for annotation in annotations:
        boxes = box_fractions(annotation)[~annotation.difficult]
        sizes.append(boxes[:, 2:] - boxes[:, :2])
    return np.concatenate(sizes)


def iou_wh(sizes, anchors):
    """IoU of boxes and anchors that share their centre, so only sizes count.

    Parameters
    ----------
    sizes : array (n, 2)
    anchors : array (k, 2)
        In the same unit as the sizes.

    Returns
    -------
    ndarray (n, k)
    """
    sizes = np.asarray(sizes)[:, None, :]
    anchors = np.asarray(anchors)[None, :, :]
    intersection = np.minimum(sizes, anchors).prod(axis=2)
    union = sizes.prod(axis=2) + anchors.prod(axis=2) - intersection
    return intersection / union


def kmeans_anchors(sizes, k, *, seed=0, restarts=5):
    """Find k anchors by k-means with the distance 1 - IoU (paper, section 2).

    Parameters
    ----------
    sizes : array (n, 2)
        Widths and heights of boxes, as fractions of the image.
    k : int
        Number of anchors.
    seed : int
    restarts : int
        How often to start from other random boxes. The best result is returned.

    Returns
    -------
    anchors : ndarray (k, 2)
        Sorted by area, in the unit of the sizes.
    score : float
        Mean IoU of the boxes with their best anchor.

    Raises
    ------
    ValueError
        If there are fewer different sizes than anchors.
    """
    sizes = np.asarray(sizes, dtype=float)
    distinct = np.unique(sizes, axis=0)
    if len(distinct) < k:
        raise ValueError(
            f"{k} anchors need at least {k} different box sizes, but there are only "
            f"{len(distinct)}: choose a smaller k"
        )

    rng = np.random.default_rng(seed)
    best_anchors, best_score = None, -1.0
    for _ in range(restarts):
        start = rng.choice(distinct, size=k, replace=False)
        anchors = kmeans_once(sizes, start)
        score = iou_wh(sizes, anchors).max(axis=1).mean()
        if score > best_score:
            best_anchors, best_score = anchors, score

    order = np.argsort(best_anchors.prod(axis=1))
    return best_anchors[order], float(best_score)


def kmeans_once(sizes, anchors, max_iterations=300):
    """Run k-means from given anchors until they stop moving.

    A cluster that loses all its boxes moves to the box with the lowest IoU.
    """
    for _ in range(max_iterations):
        ious = iou_wh(sizes, anchors)
        nearest = ious.argmax(axis=1)
        worst_boxes = iter(sizes[ious.max(axis=1).argsort(kind="stable")])

        moved = np.empty_like(anchors)
        for cluster in range(len(anchors)):
            members = sizes[nearest == cluster]
            if len(members) > 0:
                moved[cluster] = members.mean(axis=0)
            else:
                moved[cluster] = next(worst_boxes)
        if np.array_equal(moved, anchors):
            break
        anchors = moved
    return anchors


# --------------------------------------------------------------------------------------
# 2 Encoding and the input pipeline

# Augmentation moves each border by up to this share of the image. Darknet uses 0.3 for
# its large network, and 0.2 for a small one that is trained for a shorter time.
JITTER = 0.2
HUE_SHIFT = 0.1  # largest shift of the hue, as a share of the colour circle
COLOUR_FACTOR = 1.5  # largest factor for saturation and for brightness
LEAST_VISIBLE = 0.25  # a box is dropped if less than this share of it stays visible
GREY = 128  # colour outside of the photo
# Second entry of a generator's seed: each kind of random number has its own stream.
ORDER, SIZE, AUGMENTATION = range(3)


def encode_boxes(boxes, labels, anchors, grid_size, num_classes):
    """Turn the boxes of one image into the tensor that the network should predict.

    The cell that holds a box's centre is responsible for it, together with the anchor
    of the most similar shape. If two boxes share cell and anchor, the later one
    replaces the earlier one completely, as in Darknet.

    Parameters
    ----------
    boxes : array (n, 4)
        Fractions of the image.
    labels : array (n,)
        Class numbers.
    anchors : array (A, 2)
        In grid units.
    grid_size : int
        Cells along one side, 13 for an image of 416 pixels.
    num_classes : int

    Returns
    -------
    y : ndarray (G, G, A, 5 + C) float32
        First index row, second index column. At a responsible cell and anchor: centre
        x, centre y, width and height in grid units, then 1, then the one-hot class.
        Zero elsewhere.
    true_boxes : ndarray (1, 1, 1, 50, 4) float32
        All boxes as centre x, y, width, height in grid units, padded with zeros. Of
        more than 50 boxes, the 50 largest.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    anchors = np.asarray(anchors, np.float32)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * grid_size
    sizes = (boxes[:, 2:] - boxes[:, :2]) * grid_size
    cells = np.minimum(centres.astype(int), grid_size - 1)  # a centre may lie at 1.0
    best_anchors = iou_wh(sizes, anchors).argmax(axis=1)

    y = np.zeros((grid_size, grid_size, len(anchors), 5 + num_classes), np.float32)
    for i, label in enumerate(labels):
        column, row = cells[i]
        answer = np.zeros(5 + num_classes, np.float32)
        answer[0:2] = centres[i]
        answer[2:4] = sizes[i]
        answer[4] = 1
        answer[5 + label] = 1
        y[row, column, best_anchors[i]] = answer

    by_area = np.argsort(-sizes.prod(axis=1), kind="stable")
    largest = np.sort(by_area[:MAX_BOXES])  # sorted: back in the order of the boxes
    true_boxes = np.zeros((1, 1, 1, MAX_BOXES, 4), np.float32)
    true_boxes[0, 0, 0, : len(largest), :2] = centres[largest]
    true_boxes[0, 0, 0, : len(largest), 2:] = sizes[largest]
    return y, true_boxes


def read_image(path):
    """Read an image file, turned upright as its EXIF tag says.

    Returns
    -------
    ndarray (height, width, 3) uint8, RGB

    Raises
    ------
    FileNotFoundError or ValueError
        If the file is missing, cut off or no image. The message is one line.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such image; check the path")
    content = path.read_bytes()
    image = None
    if content and not _is_cut_off_jpeg(content):
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(
            f"{path}: empty, cut off or not an image; use a whole JPEG or PNG file"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _is_cut_off_jpeg(content):
    """True if a JPEG file ends too early. OpenCV would fill the rest with grey.

    A whole file ends with the marker of its end. The last markers are compared, because
    an embedded thumbnail has its own.
    """
    is_jpeg = content.startswith(b"\xff\xd8")
    end_of_image = content.rfind(b"\xff\xd9")
    start_of_scan = content.rfind(b"\xff\xda")
    return is_jpeg and end_of_image < start_of_scan


def check_images(annotations):
    """Find missing and broken photos before a long training does.

    Raises
    ------
    FileNotFoundError or ValueError
        For the first photo that cannot be read, or whose size is not the one in its
        annotation. The message is one line.
    """
    for annotation in annotations:
        image = read_image(annotation.image_path)
        height, width = image.shape[:2]
        if (width, height) != (annotation.width, annotation.height):
            raise ValueError(
                f"{annotation.image_path}: the photo has {width} x {height} pixels, "
                f"but its annotation says {annotation.width} x {annotation.height}; "
                "correct <size> and the boxes, or save the photo without EXIF rotation"
            )


def make_example(annotation, anchors, image_size, num_classes, rng=None):
    """Make one example for the network from a photo and its annotation.

    The photo is stretched to a square. Difficult objects are left out, as in Darknet.

    Parameters
    ----------
    annotation : Annotation
    anchors : array (A, 2)
        In grid units.
    image_size : int
        Side of the square in pixels, a multiple of 32.
    num_classes : int
    rng : numpy.random.Generator, optional
        Augments the example with random numbers from here. None: no augmentation.

    Returns
    -------
    image : ndarray (S, S, 3) float32
        Values from 0 to 1.
    y, true_boxes : ndarray
        See `encode_boxes`.
    """
    image = read_image(annotation.image_path)
    kept = ~annotation.difficult
    boxes = box_fractions(annotation)[kept]
    labels = annotation.labels[kept]

    if rng is not None:
        image, boxes, labels = move_borders(image, boxes, labels, rng)
        image, boxes = flip_at_random(image, boxes, rng)
    image = cv2.resize(image, (image_size, image_size), interpolation=cv2.INTER_LINEAR)
    if rng is not None:
        image = change_colours(image, rng)

    grid_size = image_size // CELL_SIZE
    y, true_boxes = encode_boxes(boxes, labels, anchors, grid_size, num_classes)
    return image.astype(np.float32) / 255, y, true_boxes


def move_borders(image, boxes, labels, rng):
    """Move each border of the image in or out by up to 20 %, as Darknet's jitter does.

    Outside of the photo there is grey. Boxes move with their objects and are cut at
    the border. A box that keeps less than a quarter of its area is dropped.

    Returns
    -------
    image, boxes, labels
    """
    height, width = image.shape[:2]
    left = round(width * rng.uniform(-JITTER, JITTER))
    right = round(width * (1 + rng.uniform(-JITTER, JITTER)))
    top = round(height * rng.uniform(-JITTER, JITTER))
    bottom = round(height * (1 + rng.uniform(-JITTER, JITTER)))
    new_width, new_height = right - left, bottom - top

    new_image = np.full((new_height, new_width, 3), GREY, np.uint8)
    x1, x2 = max(left, 0), min(right, width)  # the part of the photo that is kept
    y1, y2 = max(top, 0), min(bottom, height)
    new_image[y1 - top : y2 - top, x1 - left : x2 - left] = image[y1:y2, x1:x2]

    pixels = boxes * [width, height, width, height]
    moved = pixels - [left, top, left, top]
    moved = moved / [new_width, new_height, new_width, new_height]
    clipped = np.clip(moved, 0, 1)
    visible = box_areas(clipped) > LEAST_VISIBLE * box_areas(moved)
    return new_image, clipped[visible], labels[visible]


def box_areas(boxes):
    """Areas (...) of boxes (..., 4)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def flip_at_random(image, boxes, rng):
    """Mirror the image with a probability of one half.

    Returns
    -------
    image, boxes
    """
    if rng.random() < 0.5:
        return image, boxes
    flipped = boxes.copy()
    flipped[:, 0] = 1 - boxes[:, 2]
    flipped[:, 2] = 1 - boxes[:, 0]
    return cv2.flip(image, 1), flipped


def change_colours(image, rng):
    """Change hue, saturation and brightness by random amounts.

    The limits are Darknet's: see HUE_SHIFT and COLOUR_FACTOR.

    Parameters
    ----------
    image : ndarray (H, W, 3) uint8
    rng : numpy.random.Generator

    Returns
    -------
    ndarray (H, W, 3) uint8
    """
    hue_shift = round(256 * rng.uniform(-HUE_SHIFT, HUE_SHIFT))
    saturation_factor = COLOUR_FACTOR ** rng.uniform(-1, 1)
    brightness_factor = COLOUR_FACTOR ** rng.uniform(-1, 1)

    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)  # three values from 0 to 255
    hue, saturation, brightness = cv2.split(hsv)
    # uint8 numbers wrap round at 256, just as the colour circle does.
    hue = hue + np.uint8(hue_shift % 256)
    saturation = cv2.multiply(saturation, saturation_factor)  # stops at 255
    brightness = cv2.multiply(brightness, brightness_factor)
    hsv = cv2.merge([hue, saturation, brightness])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def steps_per_epoch(annotations, settings):
    """Training steps in one epoch: enough batches for all images."""
    return math.ceil(len(annotations) / settings.batch_size)


def plan_epoch(annotations, settings, epoch):
    """List the images of one training epoch in their order, each with its size.

    Each epoch has a new order. The last batch is completed with images from the start
    of the epoch. All images of a batch have one size, and every ten batches another
    size is drawn (paper, "Multi-Scale Training"). Only the last of several epochs keeps
    to the size of the validation images, so that the running averages of batch
    normalization fit it in the end. Darknet does something similar: its last 200
    batches have its largest size. Everything follows from seed and epoch alone.

    Returns
    -------
    list of (index, image_size)
        Its length is steps times batch size.
    """
    steps = steps_per_epoch(annotations, settings)
    order_rng = np.random.default_rng([settings.seed, ORDER, epoch])
    order = order_rng.permutation(len(annotations))
    batches = np.resize(order, (steps, settings.batch_size))  # repeats the first images
    is_last_of_several = settings.epochs > 1 and epoch == settings.epochs - 1

    plan = []
    for step_of_run, batch in enumerate(batches, start=epoch * steps):
        if is_last_of_several:
            size = settings.image_size
        else:  # the same random number for ten steps in a row
            size_rng = np.random.default_rng([settings.seed, SIZE, step_of_run // 10])
            size = int(size_rng.choice(settings.train_sizes))
        plan += [(int(index), size) for index in batch]
    return plan


def make_dataset(
    annotations, anchors, settings, *, training, first_epoch=0, worker=0, workers=1
):
    """Batches of examples, made in parallel by tf.data.

    Parameters
    ----------
    annotations : list of Annotation
    anchors : array (A, 2)
        In grid units.
    settings : Settings
    training : bool
        True: the epochs from `first_epoch` to the last one of the settings, in random
        order, augmented, in several sizes. The random numbers of an example follow
        from (seed, epoch, index), so a run can be continued at any epoch.
        False: each image once, in order and unchanged. The last batch may be smaller.
    first_epoch : int
    worker, workers : int
        For several machines: number `worker` of `workers` gets its share of each batch.

    Returns
    -------
    tf.data.Dataset
        Yields (images, (y, true_boxes)) with shapes (B, S, S, 3), (B, G, G, A, 5 + C)
        and (B, 1, 1, 1, 50, 4), all float32.
    """
    if training:
        rows = []
        for epoch in range(first_epoch, settings.epochs):
            plan = plan_epoch(annotations, settings, epoch)
            rows += [(epoch, index, size) for index, size in plan]
    else:
        rows = [(0, index, settings.image_size) for index in range(len(annotations))]
    num_classes = len(settings.classes)

    def example(row):
        epoch, index, size = row.tolist()
        rng = None
        if training:
            rng = np.random.default_rng([settings.seed, AUGMENTATION, epoch, index])
        return make_example(annotations[index], anchors, size, num_classes, rng)

    def example_tensors(row):
        # stateful=False allows parallel calls. The shapes get lost and are set again.
        kinds = [tf.float32] * 3
        image, y, true_boxes = tf.numpy_function(example, [row], kinds, stateful=False)
        image.set_shape((None, None, 3))
        y.set_shape((None, None, len(anchors), 5 + num_classes))
        true_boxes.set_shape((1, 1, 1, MAX_BOXES, 4))
        return image, (y, true_boxes)

    # Without this, tf.data sometimes waits for a minute at the end of a dataset.
    options = tf.data.Options()
    options.autotune.enabled = False

    dataset = tf.data.Dataset.from_tensor_slices(np.array(rows, np.int64))
    dataset = dataset.shard(workers, worker)
    dataset = dataset.map(example_tensors, num_parallel_calls=os.cpu_count())
    dataset = dataset.batch(settings.batch_size // workers, drop_remainder=training)
    return dataset.prefetch(2).with_options(options)


# --------------------------------------------------------------------------------------
# 3 Model

# Darknet-19 without its last layer, the classifier: each convolution as (filters,
# kernel size). "pool" halves the map.
DARKNET19 = (
    (32, 3),
    "pool",
    (64, 3),
    "pool",
    (128, 3),
    (64, 1),
    (128, 3),
    "pool",
    (256, 3),
    (128, 1),
    (256, 3),
    "pool",
    (512, 3),
    (256, 1),
    (512, 3),
    (256, 1),
    (512, 3),  # conv_13, whose map also feeds the passthrough
    "pool",
    (1024, 3),
    (512, 1),
    (1024, 3),
    (512, 1),
    (1024, 3),
)
WEIGHT_DECAY = 5e-4  # of the convolution kernels, as in the paper


@keras.saving.register_keras_serializable(package="yolo")
class Passthrough(keras.layers.Layer):
    """Halve height and width and keep every value: (B, H, W, C) -> (B, H/2, W/2, 4C).

    This is Darknet's `reorg` layer, whose order of the values its pre-trained weights
    expect. `tf.nn.space_to_depth(x, 2)` gives each cell its own 2 x 2 positions. Here a
    cell also gets values from the rows above and below. Darknet

    1. reads the memory of a map of C x H x W values as if it were (C/4) x 2H x 2W,
    2. splits that into 2 x 2 blocks, and
    3. reads the result as 4C x H/2 x W/2.
    """

    def call(self, x):
        b, c = tf.shape(x)[0], x.shape[3]
        h, w = tf.shape(x)[1], tf.shape(x)[2]
        x = tf.transpose(x, (0, 3, 1, 2))  # (B, C, H, W), Darknet's memory
        x = tf.reshape(x, (b, c // 4, h, 2, w, 2))  # (B, C/4, 2H, 2W) in 2 x 2 blocks
        x = tf.transpose(x, (0, 3, 5, 1, 2, 4))  # (B, 2, 2, C/4, H, W)
        x = tf.reshape(x, (b, 4 * c, h // 2, w // 2))  # (B, 4C, H/2, W/2)
        return tf.transpose(x, (0, 2, 3, 1))  # (B, H/2, W/2, 4C)


@keras.saving.register_keras_serializable(package="yolo")
class SplitAnchors(keras.layers.Layer):
    """Give each anchor its own axis: (B, G, G, A * (5 + C)) -> (B, G, G, A, 5 + C)."""

    def __init__(self, num_anchors, **kwargs):
        super().__init__(**kwargs)
        self.num_anchors = num_anchors

    def call(self, x):
        numbers = x.shape[3] // self.num_anchors  # 5 + C
        shape = (tf.shape(x)[0], tf.shape(x)[1], tf.shape(x)[2])
        return tf.reshape(x, (*shape, self.num_anchors, numbers))

    def get_config(self):
        return {**super().get_config(), "num_anchors": self.num_anchors}


def check_image_size(image_size):
    """Raise ValueError if an image size is no multiple of 32."""
    if image_size < CELL_SIZE or image_size % CELL_SIZE:
        raise ValueError(
            f"image_size={image_size}: the network halves an image five times; "
            f"choose a multiple of {CELL_SIZE}"
        )


def scaled_filters(filters, width):
    """Filters of a layer in a narrower network, a multiple of 4 for the passthrough."""
    return 4 * max(1, round(filters * width / 4))


def build_yolov2(
    image_size=None,
    num_anchors=4,
    num_classes=20,
    width=1.0,
    seed=0,
    dtype="float32",
):
    """Build the YOLOv2 network (paper, section 2).

    Layers have the series' names: conv_1 to conv_23 and norm_1 to norm_22.

    Parameters
    ----------
    image_size : int, optional
        Side of the images in pixels. None accepts every multiple of 32, and it may
        change from batch to batch.
    num_anchors, num_classes : int
    width : float
        0.25 means a quarter of the paper's filters in every layer but the head.
    seed : int
        Of the initial weights.
    dtype : str
        Keras dtype policy of the hidden layers, "float32" or "mixed_float16".

    Returns
    -------
    keras.Model
        From images (B, S, S, 3) to raw outputs (B, G, G, A, 5 + C) float32, G = S / 32.

    Raises
    ------
    ValueError
        If image_size is no multiple of 32.
    """
    if image_size is not None:
        check_image_size(image_size)
    # With several GPUs, batch normalization needs the statistics of the whole batch.
    several_gpus = tf.distribute.get_strategy().num_replicas_in_sync > 1

    def block(x, number, filters, kernel_size):
        """Convolution, batch normalization, leaky ReLU."""
        x = keras.layers.Conv2D(
            scaled_filters(filters, width),
            kernel_size,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=100 * seed + number),
            # Half, because L2's gradient is twice the factor times the weight.
            kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY / 2),
            dtype=dtype,
            name=f"conv_{number}",
        )(x)
        x = keras.layers.BatchNormalization(
            momentum=0.9,  # Keras' 0.99 is too slow for runs of a few hundred steps
            epsilon=1e-6,  # Darknet's; Keras' default is 1e-3
            synchronized=several_gpus,
            dtype=dtype,
            name=f"norm_{number}",
        )(x)
        return keras.layers.LeakyReLU(
            negative_slope=0.1,  # Darknet's; Keras' default is 0.3
            dtype=dtype,
            name=f"leaky_{number}",
        )(x)

    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = inputs
    number = 0
    for layer in DARKNET19:
        if layer == "pool":
            x = keras.layers.MaxPooling2D(dtype=dtype, name=f"pool_{number}")(x)
            continue
        number += 1
        x = block(x, number, *layer)
        if number == 13:
            fine_map = x  # twice as many cells along each side as the output

    x = block(x, 19, 1024, 3)
    x = block(x, 20, 1024, 3)
    fine_map = block(fine_map, 21, 64, 1)
    fine_map = Passthrough(dtype=dtype, name="passthrough")(fine_map)
    x = keras.layers.Concatenate(dtype=dtype, name="concatenate")([fine_map, x])
    x = block(x, 22, 1024, 3)

    # The last layer stays in single precision: exp of its outputs can be large.
    x = keras.layers.Conv2D(
        num_anchors * (5 + num_classes),
        kernel_size=1,
        kernel_initializer=keras.initializers.RandomNormal(
            stddev=0.01, seed=100 * seed + 23
        ),
        kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY / 2),
        dtype="float32",
        name="conv_23",
    )(x)
    x = SplitAnchors(num_anchors, dtype="float32", name="raw_output")(x)
    return keras.Model(inputs, x, name="yolov2")


def darknet_layers(network):
    """Pairs (convolution, batch normalization or None) in the order of Darknet's files.

    A layer that a network lacks is left out, so variants of it work as well.
    """
    layers = {layer.name: layer for layer in network.layers}
    numbers = [number for number in range(1, 24) if f"conv_{number}" in layers]
    return [(layers[f"conv_{n}"], layers.get(f"norm_{n}")) for n in numbers]


def load_darknet_weights(network, path, head=True):
    """Read a Darknet .weights file into a network.

    The file starts with a header of 16 or 20 bytes. Then each layer follows as
    little-endian float32 numbers: with batch normalization beta, gamma, mean and
    variance, else the bias, and then the kernel as [out][in][height][width].

    Parameters
    ----------
    network : keras.Model
        From `build_yolov2`.
    path : path
    head : bool
        False leaves the head as it is and ignores the rest of the file. Use it for a
        file that was trained with other classes or anchors.

    Returns
    -------
    (major, minor, revision, seen)
        The header. `seen` is the number of images that the weights were trained on.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file does not fit. The message is one line, the network is unchanged.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: there is no such weights file")
    content = Path(path).read_bytes()
    header, numbers = _split_header(content, path)
    layers = darknet_layers(network)
    if not head:
        layers = layers[:-1]

    needed = sum(
        convolution.count_params() + (norm.count_params() if norm else 0)
        for convolution, norm in layers
    )
    if len(numbers) < needed or (head and len(numbers) > needed):
        problem = "too short" if len(numbers) < needed else "too long"
        cure = "download the file again, or use a network of the same width"
        if head:
            cure = (
                "use head=False for a head of other classes or anchors, or else "
                "download the file again"
            )
        raise ValueError(
            f"{path}: {problem}: {len(numbers):,} numbers, but the network needs "
            f"{needed:,}; {cure}"
        )

    # Read everything before anything is assigned, so that an error changes nothing.
    assignments = []
    for convolution, norm in layers:
        height, width, channels, filters = convolution.kernel.shape
        num_vectors = 4 if norm else 1
        vectors, numbers = np.split(numbers, [num_vectors * filters])
        vectors = vectors.reshape(num_vectors, filters)
        kernel, numbers = np.split(numbers, [math.prod(convolution.kernel.shape)])
        kernel = kernel.reshape(filters, channels, height, width)
        kernel = kernel.transpose(2, 3, 1, 0)
        if norm:
            beta, gamma, mean, variance = vectors
            if not (variance >= 0).all():
                raise ValueError(
                    f"{path}: negative variances in {norm.name}; the header or the "
                    "order of the layers does not fit"
                )
            assignments.append((norm, [gamma, beta, mean, variance]))
            assignments.append((convolution, [kernel]))
        else:
            assignments.append((convolution, [kernel, *vectors]))
    for layer, weights in assignments:
        layer.set_weights(weights)
    return header


def _split_header(content, path):
    """Header (major, minor, revision, seen) and all numbers of a Darknet file."""
    if content.lstrip()[:1] == b"<":
        raise ValueError(
            f"{path}: a web page instead of weights; download the file again"
        )
    if len(content) < 20 or len(content) % 4:
        raise ValueError(
            f"{path}: too short for a header, or cut off; download the file again"
        )
    major, minor, revision = np.frombuffer(content, "<i4", count=3).tolist()
    # From version 0.2 on, `seen` takes 8 bytes instead of 4 (Darknet's own condition).
    is_new = 10 * major + minor >= 2 and major < 1000 and minor < 1000
    seen_type = np.dtype("<u8" if is_new else "<i4")
    seen = int(np.frombuffer(content, seen_type, count=1, offset=12)[0])
    numbers = np.frombuffer(content, "<f4", offset=12 + seen_type.itemsize)
    return (major, minor, revision, seen), numbers


def save_darknet_weights(network, path, seen=0, round_kernels=False):
    """Write a network's weights as a Darknet .weights file, whole or not at all.

    Parameters
    ----------
    network : keras.Model
        From `build_yolov2`.
    path : path
    seen : int
        Number of images that the weights were trained on.
    round_kernels : bool
        Round kernels to the precision of float16. The file keeps its size and format,
        but compresses to half of it.
    """
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        file.write(np.array([0, 2, 0], "<i4").tobytes())
        file.write(np.array([seen], "<u8").tobytes())
        for convolution, norm in darknet_layers(network):
            if norm:
                gamma, beta, mean, variance = norm.get_weights()
                vectors = [beta, gamma, mean, variance]
                kernel = convolution.get_weights()[0]
            else:
                kernel, bias = convolution.get_weights()
                vectors = [bias]
            if round_kernels:
                kernel = kernel.astype(np.float16)
            for values in (*vectors, kernel.transpose(3, 2, 0, 1)):
                file.write(values.astype("<f4").tobytes())


def file_checksum(path):
    """SHA-256 of a file, as text."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_detector(network, folder, anchors, settings, data, seen=0, name="yolov2"):
    """Write a trained detector: a .weights file, and a .json file that describes it.

    Kernels are rounded to the precision of float16, so that the files compress well.

    Parameters
    ----------
    network : keras.Model
        From `build_yolov2`.
    folder : path
    anchors : array (A, 2)
        In grid units.
    settings : Settings
    data : str
        `fingerprint` of the training images.
    seen : int
        Number of images that the weights were trained on.
    name : str
        Of the two files.
    """
    path = Path(folder) / f"{name}.weights"
    save_darknet_weights(network, path, seen, round_kernels=True)
    description = {
        "weights": path.name,
        "sha256": file_checksum(path),
        "classes": list(settings.classes),
        "anchors": np.asarray(anchors, float).round(6).tolist(),
        "width": settings.width,
        "image_size": settings.image_size,
        "data": data,
        "profile": settings.profile,
        "seen": seen,
    }
    write_json(path.with_suffix(".json"), description)


class SavedDetector(NamedTuple):
    """A trained detector, as `load_detector` reads it."""

    network: keras.Model
    anchors: np.ndarray  # (A, 2) in grid units
    classes: tuple  # class names
    image_size: int  # side of the images that it was validated with, in pixels


def load_detector(path):
    """Read a detector that `save_detector` wrote.

    Parameters
    ----------
    path : path
        The .json file. The weights lie beside it.

    Returns
    -------
    SavedDetector

    Raises
    ------
    ValueError
        If the two files do not belong together or cannot be read.
    """
    path = Path(path)
    description = read_json(path)
    try:
        weights = path.parent / description["weights"]
        anchors = np.array(description["anchors"], np.float32)
        classes = tuple(description["classes"])
        width, image_size = description["width"], description["image_size"]
        checksum = description["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{short_path(path)}: does not describe a detector ({error}); "
            "run notebook 05_training again"
        ) from error
    if not weights.exists() or file_checksum(weights) != checksum:
        raise ValueError(
            f"{short_path(weights)}: missing, or not the file that {path.name} "
            "describes; run notebook 05_training again"
        )
    network = build_yolov2(
        num_anchors=len(anchors), num_classes=len(classes), width=width
    )
    load_darknet_weights(network, weights)
    return SavedDetector(network, anchors, classes, image_size)


# --------------------------------------------------------------------------------------
# 4 Loss

OBJECT_SCALE = 5.0  # weight of the objectness term; all others weigh 1
IGNORE_THRESHOLD = 0.6  # what overlaps an object more than this is not background
ANCHOR_WARMUP_SCALE = 0.01  # weight of the anchor warm-up
LARGEST_LOG_SIZE = 20.0  # exp(20) is far beyond any image, and still a finite number


class LossTerms(NamedTuple):
    """The terms of YOLOv2's loss, averaged over the images of a batch. Add them up."""

    location: tf.Tensor  # centres of responsible predictions
    size: tf.Tensor  # widths and heights of responsible predictions
    objectness: tf.Tensor  # objectness of responsible predictions
    background: tf.Tensor  # objectness of background predictions
    classes: tf.Tensor  # class probabilities of responsible predictions
    anchor_warmup: tf.Tensor  # pull towards the anchors, only at the start of training


def yolo_loss(y_true, true_boxes, y_pred, anchors, anchor_warmup=False):
    """YOLOv2's loss.

    The factors of one half make its gradient equal to that of Darknet's region layer.

    Parameters
    ----------
    y_true : (B, G, G, A, 5 + C)
        From `encode_boxes`.
    true_boxes : (B, 1, 1, 1, 50, 4)
        From `encode_boxes`.
    y_pred : (B, G, G, A, 5 + C)
        Raw outputs of the network.
    anchors : (A, 2)
        In grid units.
    anchor_warmup : bool or bool tensor
        Pull all predictions without an object to the middle of their cell and to the
        size of their anchor. Darknet does so for the first 12,800 images, this
        project for the first 5 % of the steps.

    Returns
    -------
    LossTerms
        Summed over the batch and divided by its size.
    """
    y_true = tf.cast(y_true, tf.float32)
    true_boxes = tf.cast(true_boxes, tf.float32)
    y_pred = tf.cast(y_pred, tf.float32)
    anchors = tf.cast(anchors, tf.float32)
    batch_size = tf.cast(tf.shape(y_pred)[0], tf.float32)
    cells = grid_cells(tf.shape(y_pred)[1], tf.shape(y_pred)[2])  # (G, G, 1, 2)
    num_cells = tf.cast(tf.shape(y_pred)[1] * tf.shape(y_pred)[2], tf.float32)

    # What the ground truth says. responsible (B, G, G, A) is 1 where an object is.
    true_xy, true_wh = y_true[..., 0:2], y_true[..., 2:4]
    responsible = y_true[..., 4]
    true_classes = y_true[..., 5:]

    # What the network says.
    offset_xy = tf.sigmoid(y_pred[..., 0:2])  # from the cell's corner
    log_wh = y_pred[..., 2:4]  # logarithm of size / anchor
    objectness = tf.sigmoid(y_pred[..., 4])
    class_scores = y_pred[..., 5:]

    # Predicted boxes. We only compare them with the truth: no gradient flows back.
    predicted_wh = tf.exp(tf.minimum(log_wh, LARGEST_LOG_SIZE)) * anchors
    predicted_boxes = tf.concat([cells + offset_xy, predicted_wh], axis=-1)
    predicted_boxes = tf.stop_gradient(predicted_boxes)

    # A prediction is background if it has no object and overlaps none well.
    ious = iou_centred(predicted_boxes[..., None, :], true_boxes)  # (B, G, G, A, 50)
    best_iou = tf.reduce_max(ious, axis=-1)
    overlaps_none = tf.cast(best_iou <= IGNORE_THRESHOLD, tf.float32)
    background = (1 - responsible) * overlaps_none

    # Small boxes weigh more: between 1 (the whole image) and 2.
    area_share = true_wh[..., 0] * true_wh[..., 1] / num_cells
    box_weight = responsible * (2 - area_share)

    true_offset_xy = true_xy - cells
    location_error = tf.reduce_sum((true_offset_xy - offset_xy) ** 2, axis=-1)

    # Without an object the size is 0, and log(0) is infinite. The anchor stands in;
    # `box_weight` is 0 there anyway.
    safe_wh = tf.where(responsible[..., None] > 0, true_wh, anchors)
    true_log_wh = tf.math.log(safe_wh / anchors)
    size_error = tf.reduce_sum((true_log_wh - log_wh) ** 2, axis=-1)

    own_iou = iou_centred(predicted_boxes, y_true[..., 0:4])
    objectness_error = (own_iou - objectness) ** 2
    class_error = tf.nn.softmax_cross_entropy_with_logits(true_classes, class_scores)
    drift = tf.reduce_sum((0.5 - offset_xy) ** 2 + log_wh**2, axis=-1)
    warmup_weight = (1 - responsible) * tf.cast(anchor_warmup, tf.float32)

    def mean_over_images(values):
        """Sum over each image, averaged over the batch."""
        return tf.reduce_sum(values) / batch_size

    return LossTerms(
        location=0.5 * mean_over_images(box_weight * location_error),
        size=0.5 * mean_over_images(box_weight * size_error),
        objectness=0.5
        * OBJECT_SCALE
        * mean_over_images(responsible * objectness_error),
        background=0.5 * mean_over_images(background * objectness**2),
        classes=mean_over_images(responsible * class_error),
        anchor_warmup=0.5
        * ANCHOR_WARMUP_SCALE
        * mean_over_images(warmup_weight * drift),
    )


def grid_cells(rows, columns):
    """Column and row of each cell: (rows, columns, 1, 2) float32."""
    x, y = tf.meshgrid(tf.range(columns), tf.range(rows))
    return tf.cast(tf.stack([x, y], axis=-1)[:, :, None, :], tf.float32)


def iou_centred(boxes, others):
    """IoU (...) of boxes (..., 4) given as centre x, centre y, width, height."""
    boxes_low = boxes[..., :2] - boxes[..., 2:] / 2
    boxes_high = boxes[..., :2] + boxes[..., 2:] / 2
    others_low = others[..., :2] - others[..., 2:] / 2
    others_high = others[..., :2] + others[..., 2:] / 2
    low = tf.maximum(boxes_low, others_low)
    high = tf.minimum(boxes_high, others_high)
    intersection = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    areas = boxes[..., 2] * boxes[..., 3] + others[..., 2] * others[..., 3]
    return tf.math.divide_no_nan(intersection, areas - intersection)


# --------------------------------------------------------------------------------------
# 5 Training

WARMUP_SHARE = 0.05  # share of the steps with learning-rate and anchor warm-up
MOMENTUM = 0.9
LARGEST_GRADIENT = 20.0  # a longer gradient is clipped to this norm
STATE_FILE = "training_state.npz"
HISTORY_FILE = "history.csv"


class WarmUpCosineDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate: a steep climb as in Darknet, then half a cosine down to zero.

    Parameters
    ----------
    peak : float
        Highest learning rate.
    warmup_steps : int
        Steps until the peak. The rate grows with the fourth power of the step, as in
        Darknet's "burn-in".
    total_steps : int
        Steps of the whole training.
    """

    def __init__(self, peak, warmup_steps, total_steps):
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step):
        step = tf.cast(step, tf.float32)  # counts from 0
        warmup = ((step + 1) / max(1, self.warmup_steps)) ** 4
        steps_after_warmup = max(1, self.total_steps - self.warmup_steps)
        progress = (step - self.warmup_steps) / steps_after_warmup
        cosine = 0.5 * (1 + tf.cos(math.pi * tf.minimum(progress, 1.0)))
        return self.peak * tf.where(step < self.warmup_steps, warmup, cosine)

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


class Detector(keras.Model):
    """A network together with YOLOv2's loss, for training with `compile` and `fit`.

    Parameters
    ----------
    network : keras.Model
        From `build_yolov2`. Training changes its weights.
    anchors : array (A, 2)
        In grid units.
    anchor_warmup_steps : int
        Steps with anchor warm-up at the start.
    """

    def __init__(self, network, anchors, anchor_warmup_steps=0):
        # In mixed precision, `compile` adds loss scaling if the model has the policy.
        super().__init__(dtype=network.get_layer("conv_1").dtype_policy)
        self.network = network
        self.anchors = np.asarray(anchors, np.float32)
        self.anchor_warmup_steps = anchor_warmup_steps
        self.term_means = {
            name: keras.metrics.Mean(name=name)
            for name in (*LossTerms._fields, "weight_decay")
        }

    def call(self, images, training=False):
        return self.network(images, training=training)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        y_true, true_boxes = y
        anchor_warmup = self.optimizer.iterations < self.anchor_warmup_steps
        terms = yolo_loss(y_true, true_boxes, y_pred, self.anchors, anchor_warmup)
        weight_decay = tf.add_n(self.losses)
        for name, value in terms._asdict().items():
            self.term_means[name].update_state(value)
        self.term_means["weight_decay"].update_state(weight_decay)
        loss = tf.add_n(terms) + weight_decay
        # Keras adds up the gradients of all GPUs.
        return loss / tf.distribute.get_strategy().num_replicas_in_sync


def set_objectness_bias(network, objectness=0.02):
    """Let a fresh head answer "probably no object" everywhere (Lin et al. 2017).

    Otherwise its objectness is one half everywhere, hundreds of false positives in each
    image. Their gradients would spoil pre-trained weights in the first steps.

    Parameters
    ----------
    network : keras.Model
        From `build_yolov2`, with a head that has not been trained.
    objectness : float
        The answer to start from.
    """
    bias = network.get_layer("conv_23").bias
    num_anchors = network.output_shape[3]
    values = bias.numpy().reshape(num_anchors, -1)  # (A, 5 + C)
    values[:, 4] = math.log(objectness / (1 - objectness))  # inverse of the sigmoid
    bias.assign(values.ravel())


def momentum_sgd(schedule):
    """The paper's gradient descent with momentum. Clipping is our addition."""
    return keras.optimizers.SGD(
        schedule, momentum=MOMENTUM, global_clipnorm=LARGEST_GRADIENT
    )


def compile_detector(
    network, anchors, settings, total_steps, make_optimizer=momentum_sgd
):
    """Make a `Detector` of a network and compile it for training.

    Parameters
    ----------
    network : keras.Model
    anchors : array (A, 2)
        In grid units.
    settings : Settings
    total_steps : int
        Steps of the whole training.
    make_optimizer : function
        Makes a Keras optimizer from a learning-rate schedule.

    Returns
    -------
    Detector

    Raises
    ------
    ValueError
        If a batch cannot be shared evenly by all GPUs.
    """
    devices = network.distribute_strategy.num_replicas_in_sync
    if settings.batch_size % devices:
        raise ValueError(
            f"a batch of {settings.batch_size} cannot be shared evenly by {devices} "
            "devices; choose a multiple"
        )
    warmup_steps = round(WARMUP_SHARE * total_steps)
    schedule = WarmUpCosineDecay(settings.learning_rate, warmup_steps, total_steps)
    with network.distribute_strategy.scope():
        detector = Detector(network, anchors, warmup_steps)
        # XLA would compile the network again for each image size.
        detector.compile(make_optimizer(schedule), jit_compile=False)
        detector.optimizer.build(network.trainable_variables)
    return detector


def training_policy(settings):
    """Keras dtype policy for `build_yolov2`.

    float16 halves the memory and is faster on a GPU. With several GPUs, Keras' loss
    scaling looks at the first one only, so we stay in single precision there.
    """
    one_gpu = len(tf.config.list_physical_devices("GPU")) == 1
    return "mixed_float16" if settings.mixed_precision and one_gpu else "float32"


def train_detector(
    network,
    train,
    validation,
    anchors,
    settings,
    *,
    folder,
    callbacks=(),
    make_optimizer=momentum_sgd,
):
    """Train a network, and leave it with the weights of the best validation mAP.

    After each epoch the whole state of the run is saved in the folder. If the run is
    interrupted, even killed, call this function again with the same arguments: it goes
    on after the last finished epoch and ends with the same weights. (Before the first
    epoch is finished there is no state, so build the network anew in this case.)

    Parameters
    ----------
    network : keras.Model
        From `build_yolov2`, with the weights to start from. Loading pre-trained weights
        and `set_objectness_bias` are up to the caller.
    train, validation : list of Annotation
    anchors : array (A, 2)
        In grid units.
    settings : Settings
    folder : path
        Receives history.csv, and yolov2.weights and yolov2.json of the best epoch
        so far (see `save_detector`).
    callbacks : list of keras.callbacks.Callback
        Further callbacks. They see the validation results in their logs.
    make_optimizer : function
        See `compile_detector`.

    Returns
    -------
    dict of lists
        As Keras' `History.history`, one value per epoch: loss, its terms, the same for
        the validation images with `val_` in front, and val_map.

    Raises
    ------
    FloatingPointError
        When the loss is no longer finite. The message names the images of the batch.
    ValueError
        If a list is empty, a photo is broken, the batch cannot be shared by the GPUs,
        or the folder holds other files or an unfinished run with other data or
        settings.
    FileNotFoundError
        If a photo is missing.
    """
    folder = Path(folder)
    claim_folder(folder)
    if not train or not validation:
        raise ValueError("training needs images to train and images to validate with")
    check_images([*train, *validation])
    steps = steps_per_epoch(train, settings)
    detector = compile_detector(
        network, anchors, settings, steps * settings.epochs, make_optimizer
    )
    data = fingerprint(train)

    state = SaveState(folder, describe_run(detector, train, validation, settings))
    history = state.restore(detector)  # empty for a new run; grows with each epoch
    first_epoch = len(history.get("val_map", []))

    is_finished = first_epoch == settings.epochs or has_stopped_improving(
        history.get("val_map", []), settings.patience
    )
    if not is_finished:
        detector.fit(
            make_dataset(
                train, anchors, settings, training=True, first_epoch=first_epoch
            ),
            initial_epoch=first_epoch,
            epochs=settings.epochs,
            steps_per_epoch=steps,
            callbacks=[  # their order matters
                StopOnBadLoss(train, settings),
                ValidateEachEpoch(
                    validation, anchors, settings
                ),  # adds val_map to logs
                PrintEpoch(),
                KeepBest(folder, history, anchors, settings, data, steps),  # reads it
                *callbacks,
                state,  # last: appends the logs to `history` and saves everything
            ],
            shuffle=False,  # `plan_epoch` has shuffled; else Keras warns
            verbose=0,  # PrintEpoch has shorter lines
        )
    load_darknet_weights(network, folder / "yolov2.weights")
    state.forget()
    return history


def describe_run(detector, train, validation, settings):
    """A dictionary of all that must be unchanged for a run to be continued."""
    network = detector.network
    # With float16, Keras wraps the optimizer for loss scaling.
    optimizer = getattr(detector.optimizer, "inner_optimizer", detector.optimizer)
    values = asdict(settings)
    for name in ("voc_dir", "artifacts", "weights"):  # folders may move
        del values[name]
    weights = settings.weights
    description = {
        **values,
        "train": fingerprint(train),
        "validation": fingerprint(validation),
        "anchors": detector.anchors.tolist(),
        "optimizer": type(optimizer).__name__,
        "weights": file_checksum(weights) if weights else "random",
        "trainable": [variable.path for variable in network.trainable_variables],
        "dtype": network.get_layer("conv_1").dtype_policy.name,
    }
    return json.loads(json.dumps(description))  # tuples become lists, as in the file


def has_stopped_improving(scores, patience):
    """True if the best score is `patience` epochs old. A tie counts as a new best."""
    if not scores:
        return False
    newest_first = scores[::-1]
    epochs_since_best = newest_first.index(max(scores))
    return epochs_since_best >= patience


class ValidateEachEpoch(keras.callbacks.Callback):
    """Add the losses and the mAP of the validation images to the logs."""

    def __init__(self, annotations, anchors, settings):
        super().__init__()
        self.annotations = annotations
        self.anchors = anchors
        self.settings = settings

    def on_epoch_end(self, epoch, logs=None):
        network = self.model.network
        losses, evaluation = validate(
            network, self.annotations, self.anchors, self.settings
        )
        logs.update({f"val_{name}": value for name, value in losses.items()})
        # The mAP is NaN if there are no objects. NaN cannot be compared, so use 0.
        logs["val_map"] = float(np.nan_to_num(evaluation.mean_average_precision))


class PrintEpoch(keras.callbacks.Callback):
    """Print one short line after each epoch. All loss terms are in history.csv."""

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.start
        print(
            f"epoch {epoch + 1:2d} of {self.params['epochs']}: {seconds:.0f} s, "
            f"loss {logs['loss']:.2f}, validation loss {logs['val_loss']:.2f}, "
            f"mAP {logs['val_map']:.3f}",
            flush=True,
        )


class KeepBest(keras.callbacks.Callback):
    """Save the detector with the best validation mAP, and stop without improvement.

    Keras' ModelCheckpoint and EarlyStopping forget the best value when a run is
    interrupted. This callback reads it from `history`, which holds all earlier epochs.
    """

    def __init__(self, folder, history, anchors, settings, data, steps):
        super().__init__()
        self.folder = folder
        self.history = history
        self.anchors = anchors
        self.settings = settings
        self.data = data
        self.images_per_epoch = steps * settings.batch_size

    def on_epoch_end(self, epoch, logs=None):
        earlier = self.history.get("val_map", [])
        if logs["val_map"] >= max(earlier, default=0.0):
            seen = (epoch + 1) * self.images_per_epoch
            save_detector(
                self.model.network,
                self.folder,
                self.anchors,
                self.settings,
                self.data,
                seen,
            )
        scores = [*earlier, logs["val_map"]]
        if has_stopped_improving(scores, self.settings.patience):
            self.model.stop_training = True


class StopOnBadLoss(keras.callbacks.Callback):
    """End the training when the loss is not finite, and name the batch's images."""

    def __init__(self, annotations, settings):
        super().__init__()
        self.annotations = annotations
        self.settings = settings

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = logs["loss"]  # the mean since the start of the epoch
        if math.isfinite(loss):
            return
        start = batch * self.settings.batch_size
        stop = start + self.settings.batch_size
        plan = plan_epoch(self.annotations, self.settings, self.epoch)
        indices = [index for index, _ in plan[start:stop]]
        names = ", ".join(self.annotations[index].filename for index in indices)
        raise FloatingPointError(
            f"the loss is {loss} in epoch {self.epoch + 1}, step {batch + 1}; "
            f"lower the learning rate, or look at the images of this batch: {names}"
        )


class SaveState(keras.callbacks.Callback):
    """After each epoch, write history.csv, and save all that a run needs in one file.

    These are the variables of network and optimizer, and the history. Everything else
    (order of the images, augmentation, image sizes, learning rate) follows from seed
    and epoch. Keras' BackupAndRestore writes several files one after the other, so a
    kill in between could leave them in disagreement.
    """

    def __init__(self, folder, made_from):
        super().__init__()
        self.path = Path(folder) / STATE_FILE
        self.made_from = made_from
        self.history = {}

    def restore(self, detector):
        """Continue an interrupted run; returns its history.

        Raises
        ------
        ValueError
            If the state is of other data or settings, so that hours of training are not
            overwritten by accident.
        """
        if not self.path.exists():
            return self.history
        made_from, history, values = self._read()
        changed = [
            key for key in self.made_from if made_from.get(key) != self.made_from[key]
        ]
        if changed:
            raise ValueError(
                f"{short_path(self.path)}: an unfinished run with other "
                f"{', '.join(changed)}; continue it with the same ones, or move this "
                "file away to start a new run"
            )
        for variable, value in zip(self._variables(detector), values, strict=True):
            variable.assign(value)
        self.history.update(history)
        print(f"{self.path.name}: continuing after epoch {len(history['val_map'])}")
        return self.history

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        table = self.path.with_name(HISTORY_FILE)
        with whole_file(table) as unfinished, unfinished.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            rows = itertools.zip_longest(*self.history.values())
            for number, row in enumerate(rows, start=1):
                writer.writerow([number, *row])
        values = [np.asarray(variable) for variable in self._variables(self.model)]
        with whole_file(self.path) as unfinished, unfinished.open("wb") as file:
            np.savez(
                file,
                *values,
                history=json.dumps(self.history),
                made_from=json.dumps(self.made_from),
            )

    def forget(self):
        """Remove the state of a finished run."""
        self.path.unlink(missing_ok=True)

    @staticmethod
    def _variables(detector):
        return [*detector.network.variables, *detector.optimizer.variables]

    def _read(self):
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                made_from = json.loads(str(arrays["made_from"]))
                history = json.loads(str(arrays["history"]))
                # savez names arrays without a name arr_0, arr_1 and so on
                values = [arrays[f"arr_{i}"] for i in range(len(arrays.files) - 2)]
        except Exception as error:
            raise ValueError(
                f"{short_path(self.path)}: not a state of this version's training "
                f"({type(error).__name__}); move it away to start anew"
            ) from error
        return made_from, history, values


def validate(network, annotations, anchors, settings):
    """Losses and evaluation of a network, from one pass over the images.

    Returns
    -------
    losses : dict
        "loss" and its terms as floats, per image.
    evaluation : Evaluation
    """
    totals = np.zeros(len(LossTerms._fields))
    detections = []
    dataset = make_dataset(annotations, anchors, settings, training=False)
    for images, (y_true, true_boxes) in dataset:
        count = len(images)
        # With several GPUs, each computes the whole batch: keep the first result.
        raw = network.predict_on_batch(images)[:count]
        terms = yolo_loss(y_true, true_boxes, raw, anchors)
        totals += count * np.array([float(term) for term in terms])
        batch = annotations[len(detections) : len(detections) + count]
        sizes = [(annotation.width, annotation.height) for annotation in batch]
        detections += detections_from_output(
            raw, anchors, sizes, EVALUATION_THRESHOLD, NMS_THRESHOLD
        )
    means = totals / len(annotations)
    losses = dict(zip(LossTerms._fields, means.tolist(), strict=True))
    losses["weight_decay"] = float(sum(network.losses))
    losses["loss"] = sum(losses.values())
    evaluation = evaluate_detections(annotations, detections, len(settings.classes))
    return losses, evaluation


# --------------------------------------------------------------------------------------
# 6 Inference and evaluation

DETECTION_THRESHOLD = 0.25  # confidence score from which a box is shown
EVALUATION_THRESHOLD = 0.005  # confidence score from which a box counts for the mAP
NMS_THRESHOLD = 0.45  # IoU above which two boxes of a class are duplicates


class Decoded(NamedTuple):
    """The raw output of the network as boxes and probabilities."""

    boxes: np.ndarray  # (B, G, G, A, 4) fractions of the image, may reach beyond it
    objectness: np.ndarray  # (B, G, G, A) from 0 to 1
    class_probabilities: np.ndarray  # (B, G, G, A, C), the sum over C is 1


class Detections(NamedTuple):
    """What was found in one image, the highest confidence score first."""

    boxes: np.ndarray  # (n, 4) in the image's own pixels, from 0 to width or height
    scores: np.ndarray  # (n,) confidence: objectness times class probability
    labels: np.ndarray  # (n,) class numbers


def decode_predictions(raw, anchors):
    """Turn raw outputs into boxes, objectness and class probabilities.

    Parameters
    ----------
    raw : array (B, G, G, A, 5 + C)
    anchors : array (A, 2)
        In grid units.

    Returns
    -------
    Decoded
    """
    raw = np.asarray(raw, np.float32)
    rows, columns = raw.shape[1:3]
    grid = np.array([columns, rows])
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    cells = cells[:, :, None, :]  # (G, G, 1, 2): column and row

    centres = (cells + sigmoid(raw[..., 0:2])) / grid
    log_sizes = np.minimum(raw[..., 2:4], LARGEST_LOG_SIZE)
    sizes = np.exp(log_sizes) * np.asarray(anchors, np.float32) / grid
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1)
    return Decoded(
        boxes.astype(np.float32), sigmoid(raw[..., 4]), softmax(raw[..., 5:])
    )


def sigmoid(x):
    """1 / (1 + exp(-x)), written so that it never overflows."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def softmax(x):
    """Probabilities along the last axis."""
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def iou_matrix(boxes, others):
    """IoU (n, m) of n boxes with m others, given as xmin, ymin, xmax, ymax."""
    boxes = np.asarray(boxes)[:, None, :]
    others = np.asarray(others)[None, :, :]
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    intersection = np.maximum(high - low, 0).prod(axis=2)
    union = box_areas(boxes) + box_areas(others) - intersection
    return np.where(union > 0, intersection / np.where(union > 0, union, 1), 0.0)


def non_max_suppression(boxes, scores, labels, iou_threshold):
    """Keep the best box of each object.

    A box is suppressed if a kept box of the same class with a higher score overlaps it
    by more than the threshold. Of equal scores, the earlier box counts as higher.

    Parameters
    ----------
    boxes : array (n, 4)
        xmin, ymin, xmax, ymax in any unit.
    scores, labels : array (n,)
    iou_threshold : float

    Returns
    -------
    ndarray of int
        Positions of the boxes to keep, the highest score first.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    boxes = np.asarray(boxes)[order]
    labels = np.asarray(labels)[order]
    same_class = labels[:, None] == labels[None, :]
    duplicates = (iou_matrix(boxes, boxes) > iou_threshold) & same_class

    keep = np.ones(len(order), bool)
    for i in range(len(order)):
        if keep[i]:
            keep[i + 1 :] &= ~duplicates[i, i + 1 :]
    return order[keep]


def detections_from_output(raw, anchors, sizes, score_threshold, iou_threshold):
    """Turn raw outputs into detections: decode, threshold, suppress.

    Each box gets only its most probable class.

    Parameters
    ----------
    raw : array (B, G, G, A, 5 + C)
    anchors : array (A, 2)
        In grid units.
    sizes : list of (width, height)
        Of the original images, in pixels.
    score_threshold, iou_threshold : float

    Returns
    -------
    list of Detections
    """
    decoded = decode_predictions(raw, anchors)
    num_images, num_classes = len(raw), raw.shape[-1] - 5
    all_boxes = decoded.boxes.reshape(num_images, -1, 4).clip(0, 1)
    objectness = decoded.objectness.reshape(num_images, -1)
    probabilities = decoded.class_probabilities.reshape(num_images, -1, num_classes)
    all_labels = probabilities.argmax(axis=2)
    all_scores = objectness * probabilities.max(axis=2)

    results = []
    for i, size in enumerate(sizes):
        found = all_scores[i] > score_threshold
        boxes, scores = all_boxes[i][found], all_scores[i][found]
        labels = all_labels[i][found]
        kept = non_max_suppression(boxes, scores, labels, iou_threshold)
        pixels = boxes[kept] * [*size, *size]
        results.append(Detections(pixels, scores[kept], labels[kept]))
    return results


def detect(
    network,
    images,
    anchors,
    score_threshold=DETECTION_THRESHOLD,
    iou_threshold=NMS_THRESHOLD,
    image_size=416,
):
    """Detect objects in images of any size.

    Parameters
    ----------
    network : keras.Model
        From `build_yolov2`.
    images : ndarray (H, W, 3) uint8, or a list of them
    anchors : array (A, 2)
        In grid units.
    score_threshold : float
        Lowest confidence score of a detection.
    iou_threshold : float
        See `non_max_suppression`.
    image_size : int
        Side of the square that images are stretched to, in pixels.

    Returns
    -------
    Detections, or a list of them
        With boxes in each image's own pixels.

    Raises
    ------
    ValueError
        If image_size is no multiple of 32.
    """
    check_image_size(image_size)
    if isinstance(images, np.ndarray) and images.ndim == 3:
        return detect(
            network, [images], anchors, score_threshold, iou_threshold, image_size
        )[0]
    results = []
    for start in range(0, len(images), 16):
        batch = images[start : start + 16]
        squares = [cv2.resize(image, (image_size, image_size)) for image in batch]
        inputs = np.stack(squares).astype(np.float32) / 255
        raw = network.predict_on_batch(inputs)[: len(batch)]  # see `validate`
        sizes = [(image.shape[1], image.shape[0]) for image in batch]
        results += detections_from_output(
            raw, anchors, sizes, score_threshold, iou_threshold
        )
    return results


class PrecisionRecall(NamedTuple):
    """Precision and recall of one class: entry i is for its i + 1 best detections.

    Detections of difficult objects are left out.
    """

    precision: np.ndarray  # (n,) share of the detections so far that are right
    recall: np.ndarray  # (n,) share of the objects that are found; NaN without objects
    scores: np.ndarray  # (n,) confidence scores
    num_objects: int  # that are not difficult


@dataclass(frozen=True)
class Evaluation:
    """Pascal VOC's measures. Lists and arrays have one entry for each class."""

    average_precision: np.ndarray  # (C,) area under the curve; NaN without objects
    average_precision_11: np.ndarray  # (C,) VOC2007's mean at eleven recalls
    mean_average_precision: float  # over the classes that have objects
    mean_average_precision_11: float
    curves: list  # of PrecisionRecall


def evaluate_detections(annotations, detections, num_classes, iou_threshold=0.5):
    """Evaluate detections as Pascal VOC does.

    Parameters
    ----------
    annotations : list of Annotation
    detections : list of Detections
        One for each annotation.
    num_classes : int
    iou_threshold : float
        A detection is right if its IoU with an object reaches this.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If there are not as many detections as annotations.
    """
    if len(annotations) != len(detections):
        raise ValueError(
            f"{len(annotations)} annotations but {len(detections)} detections: "
            "give one for each image"
        )
    curves = [
        precision_recall(annotations, detections, label, iou_threshold)
        for label in range(num_classes)
    ]
    areas = np.array([average_precision(curve) for curve in curves])
    eleven = np.array([average_precision_11(curve) for curve in curves])
    has_objects = ~np.isnan(areas)
    nothing = not has_objects.any()
    return Evaluation(
        average_precision=areas,
        average_precision_11=eleven,
        mean_average_precision=math.nan
        if nothing
        else float(areas[has_objects].mean()),
        mean_average_precision_11=(
            math.nan if nothing else float(eleven[has_objects].mean())
        ),
        curves=curves,
    )


def precision_recall(annotations, detections, label, iou_threshold=0.5):
    """Precision and recall of one class, after each detection from the best score down.

    Each object can be found once. Further detections of it are false positives. A
    detection of a difficult object is neither right nor wrong. Equal scores keep the
    order of images and detections.

    Parameters
    ----------
    annotations : list of Annotation
    detections : list of Detections
    label : int
        The class.
    iou_threshold : float

    Returns
    -------
    PrecisionRecall
    """
    truth = []  # for each image, the boxes of this class
    difficult = []  # for each image, which of these are difficult
    candidates = []  # (score, image, box) of all detections of this class
    for image, annotation in enumerate(annotations):
        of_class = annotation.labels == label
        # Pixels and not fractions: an IoU of exactly one half must not be rounded.
        truth.append(annotation.boxes[of_class] - [1, 1, 0, 0])
        difficult.append(annotation.difficult[of_class])
        found = detections[image]
        for i in np.flatnonzero(found.labels == label):
            box = np.asarray(found.boxes[i], float)
            candidates.append((float(found.scores[i]), image, box))
    candidates.sort(key=lambda candidate: candidate[0], reverse=True)

    is_found = [np.zeros(len(boxes), bool) for boxes in truth]
    hits, scores = [], []
    for score, image, box in candidates:
        ious = iou_matrix(box[None], truth[image])[0]
        best = ious.argmax() if len(ious) else None
        overlaps = best is not None and ious[best] >= iou_threshold
        if overlaps and difficult[image][best]:
            continue
        hits.append(overlaps and not is_found[image][best])
        scores.append(score)
        if overlaps:
            is_found[image][best] = True

    num_objects = sum(int((~flags).sum()) for flags in difficult)
    true_positives = np.cumsum(np.array(hits, int))
    precision = true_positives / np.arange(1, len(hits) + 1)
    recall = true_positives / num_objects if num_objects else true_positives * math.nan
    return PrecisionRecall(precision, recall, np.array(scores), num_objects)


def average_precision(curve):
    """Area under the precision envelope (VOC from 2010 on); NaN without objects.

    The envelope is, at each recall, the best precision at this recall or a higher one.
    """
    if curve.num_objects == 0:
        return math.nan
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    widths = np.diff(curve.recall, prepend=0.0)
    return float((widths * envelope).sum())


def average_precision_11(curve):
    """Mean of the precision envelope at recalls 0, 0.1, ... 1 (VOC 2007)."""
    if curve.num_objects == 0:
        return math.nan
    precisions = [
        curve.precision[curve.recall >= level].max(initial=0)
        for level in np.linspace(0, 1, 11)
    ]
    return float(np.mean(precisions))


def draw_boxes(image, boxes, labels, scores=None, classes=VOC_CLASSES):
    """Draw boxes with class names, and scores if given, on a copy of an image.

    Parameters
    ----------
    image : ndarray (H, W, 3) uint8
    boxes : array (n, 4)
        In pixels of the image.
    labels : array (n,)
        Class numbers.
    scores : array (n,), optional
    classes : sequence of str

    Returns
    -------
    ndarray (H, W, 3) uint8
    """
    canvas = np.ascontiguousarray(image).copy()
    thickness = max(1, round(max(canvas.shape[:2]) / 250))
    text_size = 0.1 + 0.2 * thickness
    for i, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        colour = class_colour(int(label), len(classes))
        left, top, right, bottom = np.rint(box).astype(int).tolist()
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness)
        text = classes[int(label)]
        if scores is not None:
            text += f" {scores[i]:.2f}"
        _draw_label(canvas, text, left, top, colour, text_size)
    return canvas


def _draw_label(canvas, text, left, top, colour, text_size):
    """Write text on a bar of the given colour, above the point (left, top)."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), baseline = cv2.getTextSize(text, font, text_size, 1)
    top = max(top, height + baseline)  # inside the image
    bar_top = top - height - baseline
    ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    cv2.rectangle(canvas, (left, bar_top), (left + width, top), colour, -1)
    origin = (left, top - baseline + 1)
    cv2.putText(canvas, text, origin, font, text_size, ink, 1, cv2.LINE_AA)


def class_colour(label, num_classes=20):
    """Colour (r, g, b) from 0 to 255 of a class. Hues lie evenly round the circle."""
    hue = round(180 * label / num_classes) % 180
    brightness = 255 if label % 2 else 190  # so neighbouring classes differ more
    pixel = np.uint8([[[hue, 200, brightness]]])
    return tuple(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist())


# --------------------------------------------------------------------------------------
# Artifacts: the files that the notebooks hand to each other

MARKER = ".yolov2-artifacts"  # a folder with this file in it may be written to


def claim_folder(folder):
    """Make a folder for artifacts, and refuse one that holds other files.

    Raises
    ------
    ValueError
        If the folder holds files and was not claimed before. This protects your own
        files, and those that an earlier version has left.
    """
    folder = Path(folder)
    marker = folder / MARKER
    files = [path for path in folder.glob("[!.]*") if path.is_file()]
    if files and not marker.exists():
        raise ValueError(
            f"{short_path(folder)}: it holds files of yours or of an earlier version; "
            "move them away, or set YOLO_ARTIFACTS to a new folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text("The notebooks and scripts may overwrite files in this folder.\n")


@contextlib.contextmanager
def whole_file(path):
    """Write a file whole or not at all.

    Yields a path beside `path`. When the block ends without an error, the file that
    was written there replaces `path` in a single step.
    """
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path, content):
    """Write a dictionary as a JSON file, whole or not at all."""
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path):
    """Read a dictionary from a JSON file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut off or holds something else.
    """
    if not Path(path).exists():
        raise FileNotFoundError(
            f"{short_path(path)}: this file is missing; run the notebook that writes it"
        )
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{short_path(path)}: not a whole JSON file ({type(error).__name__}); "
            "delete it and make it again"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{short_path(path)}: unexpected content; run the notebook that writes it"
        )
    return content


def fingerprint(annotations):
    """A short text that names a list of annotations: how many, and a hash of them."""
    rows = []
    for annotation in annotations:
        size = [annotation.width, annotation.height]
        arrays = (annotation.boxes, annotation.labels, annotation.difficult)
        rows.append([annotation.filename, size, *(a.tolist() for a in arrays)])
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return f"{len(annotations)} images {digest[:12]}"


def find_artifact(settings, name, maker, data):
    """Find an artifact of this run, or the one that the repository carries.

    Parameters
    ----------
    settings : Settings
    name : str
        File name of a JSON artifact.
    maker : str
        The notebook that writes it, for the error message.
    data : str
        `fingerprint` of the training images. The artifact's entry "data" must be equal.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no such artifact for this data. The message is one line.
    """
    for folder in (settings.artifacts, REFERENCE):
        path = folder / name
        if path.exists() and read_json(path).get("data") == data:
            print(f"{name}: from {short_path(folder)}")
            return path
    raise FileNotFoundError(
        f"{name} for this data set is missing: run notebook {maker} first"
    )


def load_anchors(settings, annotations):
    """Anchors of the training images in grid units, from chapter 1's anchors.json.

    Returns
    -------
    ndarray (A, 2) float32
    """
    data = fingerprint(annotations)
    path = find_artifact(settings, "anchors.json", "01_anchor_clustering", data)
    fractions = np.array(read_json(path)["anchors"], np.float32)
    # At other image sizes the anchors keep their size in grid units, as in Darknet.
    return fractions * GRID_SIZE
