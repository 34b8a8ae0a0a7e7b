"""Decoding, suppression, the photo's frame and evaluation, against independent code."""

import dataclasses

import independent
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st
from podm.metrics import BoundingBox, MethodAveragePrecision, get_pascal_voc_metrics

import yolo_helpers as yolo

# grid units
ANCHORS = np.array([(1.3, 2.0), (3.2, 5.2), (6.5, 7.8), (10.4, 10.4)], np.float32)


def random_raw(seed, batch=2, grid=7, classes=20, scale=2.0):
    shape = (batch, grid, grid, 4, 5 + classes)
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


@pytest.mark.parametrize(("grid", "classes"), [(7, 20), (13, 1), (10, 3)])
def test_decoding_is_the_plain_one(grid, classes):
    raw = random_raw(0, grid=grid, classes=classes)
    decoded = yolo.decode_predictions(raw, ANCHORS)
    for i in range(len(raw)):
        boxes, objectness, probabilities = independent.decode(raw[i], ANCHORS)
        np.testing.assert_allclose(decoded.boxes[i], boxes, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(decoded.objectness[i], objectness, atol=1e-6)
        np.testing.assert_allclose(
            decoded.class_probabilities[i], probabilities, atol=1e-6
        )


def test_wild_outputs_are_decoded_to_finite_numbers_without_a_warning(recwarn):
    for scale in (1e2, 1e4):
        decoded = yolo.decode_predictions(random_raw(1, scale=scale), ANCHORS)
        assert all(np.isfinite(part).all() for part in decoded)
        assert ((decoded.objectness >= 0) & (decoded.objectness <= 1)).all()
        sums = decoded.class_probabilities.sum(axis=-1)
        np.testing.assert_allclose(sums, 1, atol=1e-5)
    assert not recwarn.list


def test_iou_matrix_is_the_plain_iou():
    rng = np.random.default_rng(0)
    boxes = rng.integers(0, 9, (30, 4)).astype(float)
    boxes[:, 2:] += boxes[:, :2]  # some are empty
    expected = [[independent.iou_of_corners(a, b) for b in boxes[:20]] for a in boxes]
    np.testing.assert_allclose(yolo.iou_matrix(boxes, boxes[:20]), expected)


def random_detections(rng, count, levels):
    """Boxes in heaps with few levels of scores: ties, overlaps and equal boxes."""
    corner = rng.integers(0, 8, (count, 2)) * 5.0
    size = rng.integers(2, 6, (count, 2)) * 5.0
    boxes = np.concatenate([corner, corner + size], axis=1)
    scores = rng.integers(1, levels + 1, count) / levels
    return boxes, scores, rng.integers(0, 3, count)


@cases(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(0, 40),
    st.sampled_from([2, 5, 1000]),
    st.sampled_from([0.3, 0.45, 0.5]),
)
def test_suppression_is_the_plain_one_ties_included(seed, count, levels, threshold):
    rng = np.random.default_rng(seed)
    boxes, scores, labels = random_detections(rng, count, levels)
    kept = yolo.non_max_suppression(boxes, scores, labels, threshold)
    assert kept.tolist() == independent.suppress(boxes, scores, labels, threshold)
    assert (np.diff(scores[kept]) <= 0).all()
    assert len(set(kept.tolist())) == len(kept)
    for i, a in enumerate(kept):
        for b in kept[:i]:
            overlap = independent.iou_of_corners(boxes[a], boxes[b])
            assert labels[a] != labels[b] or overlap <= threshold


def test_three_boxes_of_two_objects_come_back_as_two():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 10, 10], [50, 50, 80, 80.0]])
    scores = [0.8, 0.9, 0.7]
    kept = yolo.non_max_suppression(boxes, scores, [14, 14, 1], 0.45)
    assert kept.tolist() == [1, 2]


def test_classes_do_not_suppress_each_other():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 10, 10.0]])
    kept = yolo.non_max_suppression(boxes, [0.8, 0.9], [14, 13], 0.45)
    assert kept.tolist() == [1, 0]


def test_a_suppressed_box_suppresses_nothing():
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10.0]])
    kept = yolo.non_max_suppression(boxes, [0.9, 0.8, 0.7], [0, 0, 0], 0.4)
    assert kept.tolist() == [0, 2]


def test_a_box_is_reported_once_however_many_classes_it_resembles():
    raw = np.full((1, 3, 3, 4, 25), -9.0, np.float32)
    raw[0, 1, 1, 2, :4] = 0
    raw[0, 1, 1, 2, 4:] = 9
    anchors = ANCHORS / 13 * 3
    (found,) = yolo.detections_from_output(raw, anchors, [(100, 50)], 0.005, 0.45)
    assert len(found.boxes) == 1
    np.testing.assert_allclose(found.boxes[0], [25, 10, 75, 40], atol=1e-4)


def test_scores_are_objectness_times_class_probability_and_boxes_end_at_the_border():
    raw = random_raw(3, batch=1, grid=3)
    decoded = yolo.decode_predictions(raw, ANCHORS)
    (found,) = yolo.detections_from_output(raw, ANCHORS, [(100, 50)], 0.02, 1.0)
    probabilities = decoded.class_probabilities
    scores = (decoded.objectness * probabilities.max(axis=-1)).ravel()
    expected = np.sort(scores[scores > 0.02])[::-1]
    np.testing.assert_allclose(found.scores, expected)
    assert found.boxes.min() == 0
    assert found.boxes[:, [0, 2]].max() == 100 and found.boxes[:, [1, 3]].max() == 50


class FakeNetwork:
    """Answers every image with one confident box: the middle cell's anchor."""

    def __init__(self):
        self.seen = []

    def predict_on_batch(self, images):
        self.seen.append(np.array(images))
        grid = images.shape[1] // 32
        raw = np.full((len(images), grid, grid, 4, 25), -9.0, np.float32)
        raw[:, grid // 2, grid // 2, 2, :4] = 0
        raw[:, grid // 2, grid // 2, 2, [4, 5 + 11]] = 9
        return raw


def test_detect_gives_each_images_own_pixels():
    images = [np.full((50, 100, 3), 90, np.uint8), np.full((301, 77, 3), 200, np.uint8)]
    network = FakeNetwork()
    results = yolo.detect(network, images, ANCHORS)
    for image, found in zip(images, results, strict=True):
        height, width = image.shape[:2]
        expected = [width * 0.25, height * 0.2, width * 0.75, height * 0.8]
        np.testing.assert_allclose(found.boxes, [expected], atol=1e-3)
        assert found.labels.tolist() == [11] and found.scores[0] > 0.9
    assert network.seen[0].shape == (2, 416, 416, 3)
    assert network.seen[0].max() <= 1.0
    single = yolo.detect(network, images[0], ANCHORS)
    np.testing.assert_array_equal(single.boxes, results[0].boxes)
    assert yolo.detect(network, [], ANCHORS) == []


def test_detect_at_another_image_size_keeps_the_anchors_pixels():
    network = FakeNetwork()
    image = np.zeros((416, 416, 3), np.uint8)
    found = yolo.detect(network, image, ANCHORS, image_size=96)
    assert network.seen[0].shape == (1, 96, 96, 3)
    np.testing.assert_allclose(found.boxes, [[0, 0, 416, 416]])  # clipped
    found = yolo.detect(network, image, ANCHORS * 3 / 13, image_size=96)
    np.testing.assert_allclose(found.boxes, [[104, 83.2, 312, 332.8]], atol=1e-2)


@pytest.mark.parametrize("image_size", [0, 100, -32])
def test_detect_refuses_a_size_that_the_network_cannot_halve(image_size):
    with pytest.raises(ValueError, match=f"={image_size}: .*choose a multiple of 32"):
        yolo.detect(FakeNetwork(), [], ANCHORS, image_size=image_size)


def test_detect_takes_any_number_of_images_in_small_batches():
    network = FakeNetwork()
    images = [np.zeros((10 + i, 20, 3), np.uint8) for i in range(35)]
    results = yolo.detect(network, images, ANCHORS, image_size=96)
    assert [len(batch) for batch in network.seen] == [16, 16, 3]
    assert [found.boxes[0, 3] for found in results] == [10 + i for i in range(35)]


def test_detect_sees_red_as_the_first_channel():
    network, image = FakeNetwork(), np.zeros((20, 20, 3), np.uint8)
    image[..., 0] = 255
    yolo.detect(network, image, ANCHORS)
    np.testing.assert_array_equal(network.seen[0][0, 5, 5], [1, 0, 0])


# --------------------------------------------------------------------------------------
# Evaluation


def random_task(seed, images=12, classes=4, difficult_share=0.2, levels=7):
    """Annotations and detections of all kinds.

    There are hits, near misses, duplicates, false positives, empty images, equal scores
    and a class without objects.
    """
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    for i in range(images):
        count = rng.integers(0, 5) if i else 0
        corner = rng.integers(0, 60, (count, 2)) + 1.0
        size = rng.integers(8, 39, (count, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        labels = rng.integers(0, classes - 1, count)  # the last class has no objects
        difficult = rng.random(count) < difficult_share
        flags = np.zeros(count, bool)
        annotation = yolo.Annotation(
            f"{i}.jpg", 100, 100, boxes, labels, difficult, flags, None
        )
        annotations.append(annotation)

        copies = np.repeat(np.arange(count), rng.integers(0, 3, count))
        errors = rng.integers(-3, 4, (len(copies), 4))
        found = boxes[copies] - [1, 1, 0, 0] + errors
        false = rng.integers(0, 50, (rng.integers(0, 3), 2)).astype(float)
        false_boxes = np.concatenate([false, false + 25], axis=1)
        found = np.concatenate([found, false_boxes])
        false_labels = rng.integers(0, classes, len(false))
        found_labels = np.concatenate([labels[copies], false_labels])
        scores = rng.integers(1, levels, len(found)) / levels
        detections.append(yolo.Detections(found, scores, found_labels))
    return annotations, detections


def podms_average_precision(annotations, detections, method):
    """AP of each class by object-detection-metrics (podm).

    It does not know difficult objects, so they and what finds them are taken out first.
    """
    truth, found = [], []
    for annotation, detection in zip(annotations, detections, strict=True):
        name = annotation.filename
        true_boxes = annotation.boxes - [1, 1, 0, 0]  # podm's boxes are continuous
        for box, label, difficult in zip(
            true_boxes, annotation.labels, annotation.difficult, strict=True
        ):
            if not difficult:
                truth.append(BoundingBox.of_bbox(name, int(label), *box))
        for box, score, label in zip(*detection, strict=True):
            same = np.flatnonzero(annotation.labels == label)
            ious = [independent.iou_of_corners(box, true_boxes[i]) for i in same]
            best = int(np.argmax(ious)) if ious else None
            if ious and ious[best] >= 0.5 and annotation.difficult[same[best]]:
                continue
            found.append(BoundingBox.of_bbox(name, int(label), *box, score))
    metrics = get_pascal_voc_metrics(truth, found, 0.5, method=method)
    return {label: metric.ap for label, metric in metrics.items()}


@pytest.mark.parametrize("difficult_share", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(12))
def test_average_precision_agrees_with_an_independent_library(seed, difficult_share):
    annotations, detections = random_task(seed, difficult_share=difficult_share)
    evaluation = yolo.evaluate_detections(annotations, detections, 4)
    methods = {
        MethodAveragePrecision.AllPointsInterpolation: evaluation.average_precision,
        MethodAveragePrecision.ElevenPointsInterpolation: (
            evaluation.average_precision_11
        ),
    }
    for method, ours in methods.items():
        expected = podms_average_precision(annotations, detections, method)
        for label in range(4):
            if any(((a.labels == label) & ~a.difficult).any() for a in annotations):
                assert ours[label] == pytest.approx(expected[label], abs=1e-9)
            else:
                assert np.isnan(ours[label])


@pytest.mark.parametrize("seed", range(6))
def test_evaluation_is_the_plain_one(seed):
    annotations, detections = random_task(seed)
    evaluation = yolo.evaluate_detections(annotations, detections, 4)
    for label in range(4):
        plain = independent.average_precisions(annotations, detections, label, 0.5)
        ours = (
            evaluation.average_precision[label],
            evaluation.average_precision_11[label],
        )
        np.testing.assert_allclose(ours, plain)


def one_image(boxes, labels, difficult=None):
    flags = np.zeros(len(boxes), bool)
    boxes = np.array(boxes, float).reshape(-1, 4) + [1, 1, 0, 0]
    annotation = yolo.Annotation(
        "a.jpg", 100, 100, boxes, np.array(labels, int), flags, flags, None
    )
    if difficult is not None:
        annotation = dataclasses.replace(annotation, difficult=np.array(difficult))
    return annotation


def test_duplicates_count_as_false_and_difficult_boxes_count_as_nothing():
    annotation = one_image([[0, 0, 50, 50], [60, 60, 90, 90]], [0, 0], [False, True])
    boxes = [[60, 60, 90, 90], [0, 0, 50, 50], [1, 1, 50, 50], [20, 70, 40, 90]]
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    found = yolo.Detections(np.array(boxes, float), scores, np.zeros(4, int))
    evaluation = yolo.evaluate_detections([annotation], [found], 20)
    curve = evaluation.curves[0]
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(curve.recall, [1, 1, 1])
    np.testing.assert_allclose(curve.scores, [0.8, 0.7, 0.6])
    assert curve.num_objects == 1
    assert evaluation.mean_average_precision == 1.0
    assert np.isnan(evaluation.average_precision[1:]).all()


def test_an_overlap_of_exactly_one_half_is_a_hit():
    """Fractions of 100 pixels would round it to less."""
    annotation = one_image([[0, 0, 33, 70]], [0])
    found = yolo.Detections(np.array([[0, 0, 33, 35.0]]), np.ones(1), np.zeros(1, int))
    assert yolo.evaluate_detections([annotation], [found], 1).average_precision[0] == 1
    less = found._replace(boxes=np.array([[0, 0, 33, 34.9]]))
    assert yolo.evaluate_detections([annotation], [less], 1).average_precision[0] == 0


def test_classes_without_objects_are_left_out_of_the_mean():
    def mean(annotation, found):
        evaluation = yolo.evaluate_detections([annotation], [found], 20)
        return evaluation.mean_average_precision, evaluation.mean_average_precision_11

    annotation = one_image([[0, 0, 50, 50]], [3])
    nothing = yolo.Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    assert mean(annotation, nothing) == (0.0, 0.0)
    boxes = np.array([[0, 0, 50, 50], [0, 0, 9, 9.0]])
    false = yolo.Detections(boxes, np.array([0.5, 0.9]), np.array([3, 7]))
    assert mean(annotation, false) == (1.0, 1.0)
    assert np.isnan(mean(one_image([], []), false)).all()
    with pytest.raises(ValueError, match="1 annotations but 2 detections"):
        yolo.evaluate_detections([annotation], [false, false], 20)


# --------------------------------------------------------------------------------------
# Drawing


def test_drawing_leaves_the_image_alone_and_draws_where_the_box_is():
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = yolo.draw_boxes(image, [[10, 20.4, 50, 50]], [14], [0.5])
    assert not image.any() and drawn.shape == image.shape
    assert drawn[50, 30].any() and not drawn[55, 70].any()
    np.testing.assert_array_equal(yolo.draw_boxes(image, np.zeros((0, 4)), []), image)
    yolo.draw_boxes(image, [[10, 20, 50, 50]], [0], classes=("mug",))


@pytest.mark.parametrize("num_classes", [1, 3, 20])
def test_classes_have_different_colours(num_classes):
    colours = {yolo.class_colour(label, num_classes) for label in range(num_classes)}
    assert len(colours) == num_classes
    assert all(0 <= value <= 255 for colour in colours for value in colour)
