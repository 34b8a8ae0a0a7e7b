"""The carried data set: Pascal VOC's format and statistics, and a generator that
repeats itself.
"""

import csv
import xml.etree.ElementTree as ET
from collections import Counter

import cv2
import numpy as np
import pytest

import yolo_helpers as yolo

MINI_VOC = yolo.ROOT / "data" / "mini_voc"
SPLITS = {"train": 400, "val": 100, "test": 100}


@pytest.fixture(scope="module")
def splits():
    return {split: yolo.load_split(MINI_VOC, split) for split in SPLITS}


@pytest.fixture(scope="module")
def objects():
    """Every <object> element of the data set with its image's width and height."""
    found = []
    for path in sorted((MINI_VOC / "Annotations").glob("*.xml")):
        root = ET.parse(path).getroot()
        size = int(root.findtext("size/width")), int(root.findtext("size/height"))
        found += [(element, *size) for element in root.findall("object")]
    return found


def box_of(element):
    return [
        float(element.findtext(f"bndbox/{side}"))
        for side in ("xmin", "ymin", "xmax", "ymax")
    ]


def test_splits_are_disjoint_and_complete(splits):
    names = {
        split: [a.image_path.stem for a in annotations]
        for split, annotations in splits.items()
    }
    assert {split: len(members) for split, members in names.items()} == SPLITS
    every = [name for members in names.values() for name in members]
    assert (
        len(set(every))
        == len(every)
        == len(list((MINI_VOC / "Annotations").glob("*.xml")))
    )
    assert {a.image_path.stem for a in yolo.load_split(MINI_VOC, "trainval")} == set(
        names["train"]
    ) | set(names["val"])
    assert {path.stem for path in (MINI_VOC / "JPEGImages").glob("*.jpg")} == set(every)


def test_photos_are_whole_and_as_large_as_their_annotations_say(splits):
    every = [
        annotation for annotations in splits.values() for annotation in annotations
    ]
    yolo.check_images(every)
    for annotation in every:
        assert yolo.read_image(annotation.image_path).shape == (
            annotation.height,
            annotation.width,
            3,
        )
        assert annotation.width != annotation.height and max(
            annotation.width, annotation.height
        ) in (480, 500)


def test_it_stays_small():
    assert (
        sum(path.stat().st_size for path in MINI_VOC.rglob("*") if path.is_file())
        <= 12_000_000
    )


@pytest.mark.parametrize(("split", "least"), [("train", 30), ("val", 10), ("test", 10)])
def test_every_class_has_enough_objects(splits, split, least):
    counts = Counter(
        int(label) for a in splits[split] for label in a.labels[~a.difficult]
    )
    assert min(counts[label] for label in range(20)) >= least
    assert counts.most_common(1)[0][0] == yolo.VOC_CLASSES.index("person")


def test_objects_per_image_and_their_sizes_are_like_vocs(splits):
    every = [
        annotation for annotations in splits.values() for annotation in annotations
    ]
    counts = [len(annotation.labels) for annotation in every]
    assert np.mean(counts) >= 2.3 and min(counts) >= 1 and max(counts) <= 8
    boxes = np.concatenate([yolo.box_fractions(annotation) for annotation in every])
    size = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    assert (size < 0.15).mean() >= 0.2 and (size > 0.6).mean() >= 0.1


def test_flags_are_set_and_agree_with_the_boxes(objects):
    flags = {
        flag: np.array([element.findtext(flag) == "1" for element, *_ in objects])
        for flag in ("truncated", "occluded", "difficult")
    }
    assert (flags["truncated"] | flags["occluded"]).mean() >= 0.15
    assert 0.01 <= flags["difficult"].mean() <= 0.12
    poses = Counter(element.findtext("pose") for element, *_ in objects)
    assert set(poses) == {"Left", "Right", "Frontal", "Rear", "Unspecified"}
    for (element, width, height), truncated in zip(
        objects, flags["truncated"], strict=True
    ):
        xmin, ymin, xmax, ymax = box_of(element)
        if (
            truncated
        ):  # cut by the border: it touches it, or hides behind something that does
            assert (
                min(xmin - 1, ymin - 1, width - xmax, height - ymax) <= 1
                or element.findtext("occluded") == "1"
            )


def test_boxes_are_one_based_inclusive_pixels_and_some_are_floats(objects):
    floats = 0
    for element, width, height in objects:
        xmin, ymin, xmax, ymax = box_of(element)
        assert 1 <= xmin < xmax <= width and 1 <= ymin < ymax <= height
        floats += any(
            "." in element.findtext(f"bndbox/{side}")
            for side in ("xmin", "ymin", "xmax", "ymax")
        )
    assert 3 <= floats <= 0.1 * len(objects)


def test_some_persons_have_parts(objects):
    parts = [part for element, *_ in objects for part in element.findall("part")]
    assert len(parts) >= 50 and {part.findtext("name") for part in parts} == {
        "head",
        "hand",
        "foot",
    }
    assert {
        element.findtext("name")
        for element, *_ in objects
        if element.find("part") is not None
    } == {"person"}


def test_the_video_has_boxes_for_its_frames():
    reader = cv2.VideoCapture(str(MINI_VOC / "video" / "street.mp4"))
    frames, width, height = (
        int(reader.get(p))
        for p in (
            cv2.CAP_PROP_FRAME_COUNT,
            cv2.CAP_PROP_FRAME_WIDTH,
            cv2.CAP_PROP_FRAME_HEIGHT,
        )
    )
    assert (
        frames / reader.get(cv2.CAP_PROP_FPS) == pytest.approx(20, abs=0.2)
        and reader.read()[0]
    )
    with open(MINI_VOC / "video" / "street.csv") as table:
        rows = list(csv.DictReader(table))
    assert len({row["frame"] for row in rows}) > 0.95 * frames and {
        row["class"] for row in rows
    } >= {
        "car",
        "bus",
        "person",
        "bicycle",
        "dog",
    }
    for row in rows:
        assert (
            1 <= int(row["xmin"]) < int(row["xmax"]) <= width
            and 1 <= int(row["ymin"]) < int(row["ymax"]) <= height
        )


def test_the_generator_repeats_itself(monkeypatch):
    pytest.importorskip(
        "pyvista",
        reason="pyvista is not installed (data/make_mini_voc/requirements.txt)",
    )
    monkeypatch.syspath_prepend(str(yolo.ROOT / "data" / "make_mini_voc"))
    compose, render, voc = (__import__(name) for name in ("compose", "render", "voc"))

    def make(number, leader):
        rng = np.random.default_rng([0, number])
        scene, labels = voc.label(compose.compose(rng, leader), rng)
        return [
            (item.name, item.box, item.difficult) for item in labels
        ], render.picture(scene, rng).astype(int)

    first = make(1, "car")
    make(2, "sofa")
    again = make(1, "car")
    assert first[0] == again[0] and np.abs(first[1] - again[1]).max() <= 1
    # the committed image of that number was made by the same code
    stored = yolo.read_annotation(MINI_VOC / "Annotations" / "2026_000001.xml")
    labels, picture = make(1, list(compose.RECIPES)[1])
    np.testing.assert_allclose(stored.boxes, [box for _, box, _ in labels], atol=1)
    assert np.abs(yolo.read_image(stored.image_path).astype(int) - picture).mean() < 4
