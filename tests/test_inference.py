"""Decoding, suppression, the photo's frame and evaluation, against plain and independent code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import plain
from podm.metrics import BoundingBox, MethodAveragePrecision, get_pascal_voc_metrics

import yolo_helpers as yolo

ANCHORS = np.array([(0.1, 0.15), (0.25, 0.4), (0.5, 0.6), (0.8, 0.8)], np.float32)


def random_raw(seed, batch=2, grid=7, classes=20, scale=2.0):
    return np.random.default_rng(seed).normal(0, scale, (batch, grid, grid, 4, 5 + classes)).astype(np.float32)


def test_decoding_is_the_plain_one():
    raw = random_raw(0)
    decoded = yolo.decode_predictions(raw, ANCHORS)
    for i in range(len(raw)):
        boxes, objectness, probabilities = plain("06_inference", "decode_plain")(raw[i], ANCHORS)
        np.testing.assert_allclose(decoded.boxes[i], boxes, atol=1e-5)
        np.testing.assert_allclose(decoded.objectness[i], objectness, atol=1e-6)
        np.testing.assert_allclose(decoded.class_probabilities[i], probabilities, atol=1e-6)


def random_detections(rng, count, levels):
    """Boxes in heaps, with scores of few levels, so that there are ties, overlaps and equal boxes."""
    corner = rng.integers(0, 8, (count, 2)) * 5.0
    boxes = np.concatenate([corner, corner + rng.integers(2, 6, (count, 2)) * 5.0], axis=1)
    return boxes, rng.integers(1, levels + 1, count) / levels, rng.integers(0, 3, count)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from([2, 5, 1000]), st.sampled_from([0.3, 0.45, 0.5]))
def test_suppression_is_the_plain_one_ties_included(seed, count, levels, threshold):
    boxes, scores, labels = random_detections(np.random.default_rng(seed), count, levels)
    kept = yolo.non_max_suppression(boxes, scores, labels, threshold)
    assert kept.tolist() == list(plain("06_inference", "non_max_suppression_plain")(boxes, scores, labels, threshold))
    assert (np.diff(scores[kept]) <= 0).all() and len(set(kept.tolist())) == len(kept)
    for i, a in enumerate(kept):
        for b in kept[:i]:
            assert labels[a] != labels[b] or yolo.iou_matrix(boxes[[a]], boxes[[b]])[0, 0] <= threshold


def test_three_boxes_of_two_objects_come_back_as_two():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 10, 10], [50, 50, 80, 80.0]])
    assert yolo.non_max_suppression(boxes, [0.8, 0.9, 0.7], [14, 14, 1], 0.45).tolist() == [1, 2]
    assert yolo.non_max_suppression(boxes, [0.8, 0.9, 0.7], [14, 13, 1], 0.45).tolist() == [1, 0, 2], (
        "classes do not suppress each other"
    )


def test_a_box_is_reported_once_however_many_classes_it_resembles():
    raw = np.full((1, 3, 3, 4, 25), -9.0, np.float32)
    raw[0, 1, 1, 2, :4], raw[0, 1, 1, 2, 4:] = 0, 9
    (found,) = yolo.detections_from_output(raw, ANCHORS, [(100, 50)], 0.005, 0.45)
    assert len(found.boxes) == 1
    np.testing.assert_allclose(found.boxes[0], [25, 10, 75, 40], atol=1e-4)


class FakeModel:
    """Answers every image with one confident box: the middle cell's anchor."""

    input_shape = (None, 96, 96, 3)

    def __init__(self):
        self.seen = []

    def predict_on_batch(self, images):
        self.seen.append(np.array(images))
        raw = np.full((len(images), 3, 3, 4, 25), -9.0, np.float32)
        raw[:, 1, 1, 2, :4], raw[:, 1, 1, 2, [4, 5 + 11]] = 0, 9
        return raw


def test_detect_gives_each_images_own_pixels():
    images = [np.full((50, 100, 3), 90, np.uint8), np.full((301, 77, 3), 200, np.uint8)]
    model = FakeModel()
    results = yolo.detect(model, images, ANCHORS)
    for image, found in zip(images, results, strict=True):
        height, width = image.shape[:2]
        np.testing.assert_allclose(found.boxes, [[width * 0.25, height * 0.2, width * 0.75, height * 0.8]], atol=1e-3)
        assert found.labels.tolist() == [11] and found.scores[0] > 0.9
    assert model.seen[0].shape == (2, 96, 96, 3) and model.seen[0].max() <= 1.0
    single = yolo.detect(model, images[0], ANCHORS)
    np.testing.assert_array_equal(single.boxes, results[0].boxes)
    assert yolo.detect(model, [], ANCHORS) == []


def test_detect_sees_red_as_the_first_channel():
    model, image = FakeModel(), np.zeros((20, 20, 3), np.uint8)
    image[..., 0] = 255
    yolo.detect(model, image, ANCHORS)
    np.testing.assert_array_equal(model.seen[0][0, 5, 5], [1, 0, 0])


def test_images_are_turned_as_exif_says(tmp_path):
    from PIL import Image

    picture = Image.fromarray(np.tile(np.uint8([255, 0, 0]), (20, 40, 1)))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    image = yolo.read_image(tmp_path / "turned.jpg")
    assert image.shape == (40, 20, 3) and image[10, 10, 0] > 240 > 20 > image[10, 10, 2]
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="empty.jpg: empty"):
        yolo.read_image(tmp_path / "empty.jpg")
    with pytest.raises(FileNotFoundError, match="none.jpg: no such image"):
        yolo.read_image(tmp_path / "none.jpg")


# ------------------------------------------------------------------------------------------------
# Evaluation


def random_task(seed, images=12, classes=4, difficult_share=0.2, levels=7):
    """Annotations and detections: hits, near misses, duplicates, false alarms, empty images, equal scores."""
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    for i in range(images):
        count = rng.integers(0, 5) if i else 0
        corner = rng.integers(0, 60, (count, 2)) + 1.0
        boxes = np.concatenate([corner, corner + rng.integers(8, 39, (count, 2))], axis=1)
        labels = rng.integers(0, classes - 1, count)  # the last class has no objects
        difficult = rng.random(count) < difficult_share
        flags = np.zeros(count, bool)
        annotations.append(yolo.Annotation(f"{i}.jpg", 100, 100, boxes, labels, difficult, flags, None))
        copies = np.repeat(np.arange(count), rng.integers(0, 3, count))
        found = boxes[copies] - [1, 1, 0, 0] + rng.integers(-3, 4, (len(copies), 4))
        false = rng.integers(0, 50, (rng.integers(0, 3), 2)).astype(float)
        found = np.concatenate([found, np.concatenate([false, false + 25], axis=1)])
        found_labels = np.concatenate([labels[copies], rng.integers(0, classes, len(false))])
        detections.append(yolo.Detections(found, rng.integers(1, levels, len(found)) / levels, found_labels))
    return annotations, detections


def independent_average_precision(annotations, detections, method):
    """AP of each class by object-detection-metrics (podm), after taking out what is difficult, which it does not know."""
    truth, found = [], []
    for annotation, detection in zip(annotations, detections, strict=True):
        true_boxes = annotation.boxes - [1, 1, 0, 0]  # podm's boxes are continuous, as our detections are
        for box, label, difficult in zip(true_boxes, annotation.labels, annotation.difficult, strict=True):
            if not difficult:
                truth.append(BoundingBox.of_bbox(annotation.filename, int(label), *box))
        for box, score, label in zip(*detection, strict=True):
            same = annotation.labels == label
            ious = yolo.iou_matrix([box], true_boxes[same])[0]
            if not (same.any() and ious.max() >= 0.5 and annotation.difficult[same][ious.argmax()]):
                found.append(BoundingBox.of_bbox(annotation.filename, int(label), *box, score))
    return {label: metric.ap for label, metric in get_pascal_voc_metrics(truth, found, 0.5, method=method).items()}


@pytest.mark.parametrize("difficult_share", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(12))
def test_average_precision_agrees_with_an_independent_implementation(seed, difficult_share):
    classes = tuple("abcd")
    annotations, detections = random_task(seed, difficult_share=difficult_share)
    evaluation = yolo.evaluate_detections(annotations, detections, classes=classes)
    for method, ours in (
        (MethodAveragePrecision.AllPointsInterpolation, evaluation.average_precision),
        (MethodAveragePrecision.ElevenPointsInterpolation, evaluation.average_precision_11),
    ):
        expected = independent_average_precision(annotations, detections, method)
        for label in range(len(classes)):
            if any(((a.labels == label) & ~a.difficult).any() for a in annotations):
                assert ours[label] == pytest.approx(expected[label], abs=1e-9)
            else:
                assert np.isnan(ours[label])


@pytest.mark.parametrize("seed", range(6))
def test_evaluation_is_the_plain_one(seed):
    annotations, detections = random_task(seed)
    evaluation = yolo.evaluate_detections(annotations, detections, classes=tuple("abcd"))
    for label in range(4):
        area, eleven = plain("06_inference", "average_precision_plain")(annotations, detections, label, 0.5)
        np.testing.assert_allclose([evaluation.average_precision[label], evaluation.average_precision_11[label]], [area, eleven])


def one_image(boxes, labels, difficult=None):
    flags = np.zeros(len(boxes), bool)
    difficult = flags if difficult is None else np.array(difficult)
    return yolo.Annotation(
        "a.jpg", 100, 100, np.array(boxes, float).reshape(-1, 4) + [1, 1, 0, 0], np.array(labels), difficult, flags, None
    )


def test_duplicates_count_as_false_and_difficult_boxes_count_as_nothing():
    annotation = one_image([[0, 0, 50, 50], [60, 60, 90, 90]], [0, 0], [False, True])
    boxes = np.array([[60, 60, 90, 90], [0, 0, 50, 50], [1, 1, 50, 50], [20, 70, 40, 90]], float)
    found = yolo.Detections(boxes, np.array([0.9, 0.8, 0.7, 0.6]), np.zeros(4, int))
    evaluation = yolo.evaluate_detections([annotation], [found])
    np.testing.assert_allclose(evaluation.precision[0], [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(evaluation.recall[0], [1, 1, 1])
    assert evaluation.mean_average_precision == 1.0 and np.isnan(evaluation.average_precision[1:]).all()


def test_classes_without_objects_are_left_out_of_the_mean():
    annotation = one_image([[0, 0, 50, 50]], [3])
    nothing = yolo.Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    assert yolo.evaluate_detections([annotation], [nothing]).mean_average_precision == 0.0
    false = yolo.Detections(np.array([[0, 0, 50, 50], [0, 0, 9, 9.0]]), np.array([0.5, 0.9]), np.array([3, 7]))
    assert yolo.evaluate_detections([annotation], [false]).mean_average_precision == 1.0
    assert np.isnan(yolo.evaluate_detections([one_image([], [])], [false]).mean_average_precision)
    with pytest.raises(ValueError, match="1 annotations but 2 detections"):
        yolo.evaluate_detections([annotation], [false, false])


def test_drawing_leaves_the_image_alone_and_draws_where_the_box_is():
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = yolo.draw_boxes(image, [[10, 20.4, 50, 50]], [14], [0.5])
    assert not image.any() and drawn.shape == image.shape
    assert drawn[50, 30].any() and not drawn[55, 70].any()
    np.testing.assert_array_equal(yolo.draw_boxes(image, np.zeros((0, 4)), []), image)
