"""The kinds of mistakes of chapter 6, on images that are made up."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import yolo_helpers as yolo

PATH = yolo.ROOT / "notebooks" / "mistakes.py"
spec = importlib.util.spec_from_file_location("mistakes", PATH)
mistakes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mistakes)

CAT, DOG = 0, 1


def image(*objects):
    """An annotation from (corners counted from 0, label, difficult)."""
    boxes = np.array([corners for corners, *_ in objects], float).reshape(-1, 4)
    labels = np.array([label for _, label, _ in objects], int)
    difficult = np.array([flag for *_, flag in objects], bool)
    none = np.zeros(len(objects), bool)
    path = Path("made_up.jpg")
    boxes = boxes + [1, 1, 0, 0]
    return yolo.Annotation(path.name, 400, 400, boxes, labels, difficult, none, path)


def detections(*rows):
    """Detections from (corners, score, label), the highest score first."""
    boxes = np.array([corners for corners, *_ in rows], float).reshape(-1, 4)
    scores = np.array([score for _, score, _ in rows], float)
    labels = np.array([label for *_, label in rows], int)
    return yolo.Detections(boxes, scores, labels)


TRUE = (100, 100, 200, 200)
CLOSE = (110, 100, 210, 200)  # IoU 0.82
POOR = (150, 100, 250, 200)  # IoU 0.33
FAR = (300, 300, 350, 350)


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        ([(CLOSE, 0.9, CAT)], ["right"]),
        ([(CLOSE, 0.9, CAT), (TRUE, 0.8, CAT)], ["right", "duplicate"]),
        ([(CLOSE, 0.9, DOG)], ["class"]),
        ([(POOR, 0.9, CAT)], ["localization"]),
        ([(POOR, 0.9, DOG)], ["both"]),
        ([(FAR, 0.9, CAT)], ["background"]),
        ([], []),
    ],
)
def test_each_kind_is_recognised(found, kinds):
    explained = mistakes.explain(image((TRUE, CAT, False)), detections(*found))
    assert [kind for kind, _ in explained] == kinds
    for kind, best in explained:
        assert best == (None if kind == "background" else 0)


def test_an_image_without_objects_only_has_background():
    explained = mistakes.explain(image(), detections((FAR, 0.9, CAT)))
    assert explained == [("background", None)]


def test_difficult_objects_are_ignored():
    explained = mistakes.explain(
        image((TRUE, CAT, True)), detections((CLOSE, 0.9, CAT))
    )
    assert explained == [("ignored", 0)]


def test_the_confusion_matrix_counts_each_object_once():
    other = (200, 10, 280, 90)
    annotation = image((TRUE, CAT, False), (other, DOG, False), (FAR, DOG, False))
    found = detections(
        (CLOSE, 0.9, DOG),  # the cat, with a wrong class
        (TRUE, 0.8, CAT),  # the cat again, and right
        (other, 0.7, CAT),  # a dog taken for a cat; the other dog is not found
    )
    matrix = mistakes.confusion_matrix([annotation], [found], 2)
    expected = [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert matrix.tolist() == expected


def test_the_example_of_the_chapter_has_gains_that_do_not_add_up():
    annotation = image((TRUE, CAT, False), ((20, 20, 60, 60), CAT, False))
    found = detections((FAR, 0.9, CAT), (TRUE, 0.6, CAT))

    def score(*kinds):
        return mistakes.map_after_repair([annotation], [found], 2, kinds)

    assert score() == pytest.approx(0.25)
    assert score("background") == pytest.approx(0.5)
    assert score("missed") == pytest.approx(0.5)
    assert score("background", "missed") == pytest.approx(1)


def test_all_repairs_together_give_a_perfect_score():
    rng = np.random.default_rng(0)
    annotations, found = [], []
    for _ in range(30):
        corners = rng.uniform(0, 250, (4, 2))
        boxes = np.hstack([corners, corners + rng.uniform(40, 150, (4, 2))])
        labels = rng.integers(0, 2, 4)
        flags = rng.random(4) < 0.1
        annotations.append(image(*zip(boxes, labels, flags, strict=True)))
        moved = boxes + rng.normal(0, 25, boxes.shape)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 10)
        scores = np.sort(rng.random(4))[::-1]
        guesses = rng.integers(0, 2, 4)
        found.append(detections(*zip(moved, scores, guesses, strict=True)))
    before = yolo.evaluate_detections(annotations, found, 2).mean_average_precision
    after = mistakes.map_after_repair(annotations, found, 2, mistakes.KINDS)
    assert before < 0.6 and after == pytest.approx(1)


def test_f1_of_an_image_and_of_all_classes():
    annotation = image((TRUE, CAT, False), ((20, 20, 60, 60), DOG, False))
    found = detections((TRUE, 0.9, CAT), (FAR, 0.5, CAT))
    assert mistakes.f1_score(annotation, found) == pytest.approx(2 * 1 / (2 + 2))
    assert mistakes.f1_score(image(), detections()) == 1

    evaluation = yolo.evaluate_detections([annotation], [found], 2)
    thresholds, precision, recall, f1 = mistakes.f1_curve(evaluation)
    assert thresholds.tolist() == [0.9, 0.5]
    assert precision.tolist() == [1, 0.5] and recall.tolist() == [0.5, 0.5]
    assert f1.tolist() == pytest.approx([2 / 3, 0.5])
    assert mistakes.f1_at(evaluation, 0.7) == pytest.approx(2 / 3)
    assert mistakes.f1_at(evaluation, 0.95) == 0
