"""Anchors, encoding and the input pipeline, against the plain versions and the series' numbers."""

import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import plain

import yolo_helpers as yolo

import tensorflow as tf  # isort: skip

SERIES_ANCHORS = np.array(
    [(0.08285376, 0.13705531), (0.20850361, 0.39420716), (0.80552421, 0.77665105), (0.42194719, 0.62385487)]
)
SERIES_LOOKUPS = {
    (0.1, 0.1): (0, 0.63),
    (0.1, 0.3): (0, 0.38),
    (0.1, 0.5): (1, 0.42),
    (0.1, 0.7): (1, 0.35),
    (0.3, 0.1): (0, 0.25),
    (0.3, 0.3): (1, 0.57),
    (0.3, 0.5): (3, 0.57),
    (0.3, 0.7): (3, 0.65),
    (0.5, 0.1): (1, 0.19),
    (0.5, 0.3): (3, 0.44),
    (0.5, 0.5): (3, 0.70),
    (0.5, 0.7): (3, 0.75),
    (0.7, 0.1): (1, 0.16),
    (0.7, 0.3): (3, 0.37),
    (0.7, 0.5): (2, 0.56),
    (0.7, 0.7): (2, 0.78),
}
SERIES_MEAN_IOU = (0.4646, 0.5391, 0.5801, 0.6016, 0.6253, 0.6434, 0.6595, 0.6712, 0.6840)  # k = 2..10
MINI_VOC = yolo.ROOT / "data" / "mini_voc"


def some_boxes(seed, count):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1).reshape(count, 4).astype(np.float32)
    return corners, rng.integers(0, 20, count)


# ------------------------------------------------------------------------------------------------
# Anchors


@pytest.mark.parametrize("size", SERIES_LOOKUPS)
def test_the_series_sixteen_lookups(size):
    index, iou = SERIES_LOOKUPS[size]
    ious = yolo.iou_wh([size], SERIES_ANCHORS)[0]
    assert ious.argmax() == index and round(float(ious[index]), 2) == pytest.approx(iou, abs=0.0051)


def test_iou_wh_is_the_plain_iou():
    rng = np.random.default_rng(0)
    sizes, anchors = rng.uniform(0.01, 1, (50, 2)), rng.uniform(0.01, 1, (7, 2))
    expected = [plain("01_anchor_clustering", "iou")(size, anchors) for size in sizes]
    np.testing.assert_allclose(yolo.iou_wh(sizes, anchors), expected)


def test_kmeans_repeats_sorts_and_serves_every_box():
    sizes = np.random.default_rng(0).beta(1, 3, (500, 2)) + 0.01
    anchors, mean_iou = yolo.kmeans_anchors(sizes, 5, seed=3, restarts=3)
    again, _ = yolo.kmeans_anchors(sizes, 5, seed=3, restarts=3)
    np.testing.assert_array_equal(anchors, again)
    assert (np.diff(np.prod(anchors, axis=1)) > 0).all()
    assert mean_iou == pytest.approx(yolo.iou_wh(sizes, anchors).max(axis=1).mean())
    assert mean_iou > yolo.kmeans_anchors(sizes, 4, seed=3, restarts=3)[1]


def test_every_anchor_is_the_mean_of_its_boxes():
    sizes = np.random.default_rng(1).uniform(0.02, 1, (400, 2))
    anchors, _ = yolo.kmeans_anchors(sizes, 4)
    nearest = yolo.iou_wh(sizes, anchors).argmax(axis=1)
    np.testing.assert_allclose(anchors, [sizes[nearest == i].mean(axis=0) for i in range(4)])


def test_clusters_never_stay_empty_and_too_few_boxes_are_refused():
    heap = np.concatenate([np.full((100, 2), 0.5), [[0.1, 0.1], [0.9, 0.9], [0.1, 0.9]]])
    anchors, mean_iou = yolo.kmeans_anchors(heap, 4, restarts=2)
    assert mean_iou == pytest.approx(1.0) and len(np.unique(anchors, axis=0)) == 4
    with pytest.raises(ValueError, match="5 anchors need as many different box sizes, there are 4"):
        yolo.kmeans_anchors(heap, 5)
    with pytest.raises(ValueError, match="there are 0"):
        yolo.kmeans_anchors(np.zeros((0, 2)), 1)


def test_27000_boxes_are_clustered_in_under_five_seconds():
    sizes = np.random.default_rng(0).beta(1, 2.5, (27_000, 2)) + 0.005
    start = time.process_time()
    yolo.kmeans_anchors(sizes, 5, restarts=5)
    assert time.process_time() - start < 5


# ------------------------------------------------------------------------------------------------
# Encoding


def test_the_worked_box_of_the_series():
    y, true_boxes = yolo.encode_boxes([[148 / 416, 84 / 416, 298 / 416, 292 / 416]], [14], SERIES_ANCHORS, 13)
    row, column, anchor = np.argwhere(y.numpy()[..., 4] > 0)[0]
    assert (row, column, anchor) == (5, 6, 3) and y[row, column, anchor, 5 + 14] == 1
    np.testing.assert_allclose(y[row, column, anchor, :4], [6.969, 5.875, 4.688, 6.5], atol=5e-4)
    np.testing.assert_allclose(true_boxes[0, 0, 0, 0], [6.969, 5.875, 4.688, 6.5], atol=5e-4)


def assert_encoded_alike(boxes, labels, anchors, grid, classes=20):
    fast = yolo.encode_boxes(boxes, labels, anchors, grid, classes)
    slow = plain("02_encoding", "encode_boxes_plain")(boxes, labels, np.float32(anchors), grid, classes)
    for a, b in zip(fast, slow, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, np.float32(b).reshape(a.shape))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 70), st.sampled_from([1, 3, 10, 13, 19]))
def test_encoding_is_the_plain_one_bit_for_bit(seed, count, grid):
    assert_encoded_alike(*some_boxes(seed, count), SERIES_ANCHORS, grid)


def test_border_boxes_stay_inside_the_grid():
    boxes = np.float32([[1, 0, 1, 1], [0, 1, 1, 1], [0.99, 0.99, 1, 1], [0, 0, 0.01, 0.01], [0, 0, 1, 1]])
    y, _ = yolo.encode_boxes(boxes, np.arange(5), SERIES_ANCHORS, 13)
    assert y.numpy()[..., 4].sum() == 5
    assert_encoded_alike(boxes, np.arange(5), SERIES_ANCHORS, 13)


def test_of_two_boxes_in_a_cell_and_anchor_the_last_wins_whole():
    boxes = np.float32([[0.40, 0.40, 0.60, 0.80], [0.41, 0.41, 0.60, 0.80]])
    y, true_boxes = yolo.encode_boxes(boxes, [3, 7], SERIES_ANCHORS, 13)
    assert y.numpy()[..., 4].sum() == 1
    slot = y.numpy()[y.numpy()[..., 4] > 0][0]
    assert slot[5:].nonzero()[0].tolist() == [7] and slot[2] == pytest.approx(0.19 * 13, abs=1e-5)
    assert np.count_nonzero(true_boxes.numpy()[0, 0, 0, :, 2]) == 2


def test_of_more_than_fifty_boxes_the_largest_are_buffered_in_order():
    boxes, labels = some_boxes(4, 60)
    _, true_boxes = yolo.encode_boxes(boxes, labels, SERIES_ANCHORS, 13)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept = np.sort(np.argsort(-area)[:50])
    np.testing.assert_allclose(true_boxes[0, 0, 0, :, 2], (boxes[kept, 2] - boxes[kept, 0]) * 13, rtol=1e-6)


def test_encoding_does_not_change_the_callers_arrays():
    boxes, labels = some_boxes(0, 5)
    before = boxes.copy(), SERIES_ANCHORS.copy()
    yolo.encode_boxes(boxes, labels, SERIES_ANCHORS, 13)
    np.testing.assert_array_equal(boxes, before[0])
    np.testing.assert_array_equal(SERIES_ANCHORS, before[1])


def test_what_is_encoded_is_decoded_to_the_same_boxes():
    boxes, labels = some_boxes(2, 12)
    y, _ = (part.numpy() for part in yolo.encode_boxes(boxes, labels, SERIES_ANCHORS, 13))
    raw = np.zeros_like(y)
    cells = np.stack(np.meshgrid(np.arange(13), np.arange(13)), axis=-1)[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (y[..., :2] - cells).astype(float)
        raw[..., :2] = np.log(inside / (1 - inside))
        raw[..., 2:4] = np.log(y[..., 2:4] / (SERIES_ANCHORS * 13))
    taken = y[..., 4] > 0
    decoded = yolo.decode_predictions(raw[None], SERIES_ANCHORS).boxes.numpy()[0][taken]
    order, expected = np.lexsort(decoded.T), np.lexsort(boxes.T)
    assert len(decoded) == len(boxes)
    np.testing.assert_allclose(decoded[order], boxes[expected], atol=1e-5)


# ------------------------------------------------------------------------------------------------
# The pipeline


@pytest.fixture
def scene(tmp_path):
    """Write photos of filled rectangles on grey, one colour for each class; returns their annotations."""

    def draw(count, boxes_each=2, width=200, height=120, seed=0):
        rng, annotations = np.random.default_rng(seed), []
        for i in range(count):
            image, boxes = np.full((height, width, 3), 128, np.uint8), []
            for j in range(boxes_each):
                x, y = rng.integers(0, width // boxes_each - 40) + j * width // boxes_each, rng.integers(0, height - 40)
                w, h = rng.integers(20, 40, 2)
                image[y : y + h, x : x + w] = COLOURS[j]
                boxes.append([x + 1, y + 1, x + w, y + h])
            path = tmp_path / f"{i:03d}.jpg"
            cv2.imwrite(
                str(path),
                image[..., ::-1],
                [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
            )
            flags = np.zeros(boxes_each, bool)
            boxes = np.array(boxes, float).reshape(-1, 4)
            annotations.append(yolo.Annotation(path.name, width, height, boxes, np.arange(boxes_each), flags, flags, path))
        return annotations

    return draw


COLOURS = np.array([(255, 0, 0), (0, 0, 255)], np.uint8)


def dataset(annotations, **changes):
    options = dict(image_size=96, batch_size=4, training=True, seed=0)
    return yolo.make_dataset(annotations, SERIES_ANCHORS, **{**options, **changes})


def boxes_in(y):
    """(boxes as fractions, labels) of one target, sorted by class."""
    rows = y[y[..., 4] > 0]
    rows = rows[np.argsort(rows[:, 5:].argmax(axis=1))]
    return np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1) / len(y), rows[:, 5:].argmax(
        axis=1
    )


def test_pipeline_without_augmentation_gives_the_plain_targets_bit_for_bit(scene):
    annotations = scene(6)
    batches = list(dataset(annotations, training=False))
    assert [len(images) for images, _ in batches] == [4, 2]
    y = np.concatenate([targets[0] for _, targets in batches])
    b = np.concatenate([targets[1] for _, targets in batches])
    for i, annotation in enumerate(annotations):
        expected = plain("02_encoding", "encode_boxes_plain")(
            yolo.box_fractions(annotation), annotation.labels, np.float32(SERIES_ANCHORS), 3, 20
        )
        np.testing.assert_array_equal(y[i], np.float32(expected[0]))
        np.testing.assert_array_equal(b[i], np.float32(expected[1]).reshape(b[i].shape))


@pytest.mark.parametrize("folder", [MINI_VOC, yolo.ROOT.parent / "shared/voc/VOCdevkit/VOC2012"], ids=["mini_voc", "real photos"])
def test_targets_of_whole_data_sets_are_the_plain_ones(folder):
    if not folder.exists():
        pytest.skip(f"no data at {folder.name}")
    annotations = yolo.load_split(folder, "trainval")
    encode = plain("02_encoding", "encode_boxes_plain")
    for annotation, (_, (y, b)) in zip(
        annotations, dataset(annotations, training=False, batch_size=1, image_size=416), strict=True
    ):
        keep = ~annotation.difficult
        boxes = yolo.box_fractions(annotation)[keep]
        expected = encode(boxes, annotation.labels[keep], np.float32(SERIES_ANCHORS), 13, 20)
        np.testing.assert_array_equal(y[0], np.float32(expected[0]))
        np.testing.assert_array_equal(b[0], np.float32(expected[1]).reshape(b[0].shape))


def test_images_are_opencvs_pixels_stretched(scene):
    annotations = scene(1)
    images, _ = next(iter(dataset(annotations, training=False)))
    np.testing.assert_array_equal(images[0], cv2.resize(yolo.read_image(annotations[0].image_path), (96, 96)) / np.float32(255))


def test_a_view_is_grey_beyond_the_photo_and_can_be_flipped():
    photo = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    image = yolo.view(photo, tf.constant([-1 / 3, 0.0, 1.0, 2.0]), 16).numpy()
    np.testing.assert_array_equal(image[:8, 4:], photo)
    assert (image[8:] == 128).all() and (image[:, :4] == 128).all()
    np.testing.assert_array_equal(yolo.view(photo, tf.constant([-1 / 3, 0.0, 1.0, 2.0]), 16, flip=True), image[:, ::-1])
    nearly, exactly = (tf.constant(window) for window in ([0.26, 0.26, 0.74, 0.76], [0.25, 0.25, 0.75, 0.75]))
    np.testing.assert_array_equal(yolo.view(photo, nearly, 6), yolo.view(photo, exactly, 6))


@pytest.mark.parametrize("colours", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1), (0.5, -0.5, 0.5)])
def test_colours_change_as_in_single_precision(colours):
    """The tables' steps, and those of a hue in 256 levels, cost a few grey levels at most."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    hue, saturation, exposure = cv2.split(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV))
    hue, saturation = (hue + 36 * colours[0]) % 360, np.minimum(saturation * 1.5 ** colours[1], 1)
    exposure = np.minimum(exposure * 1.5 ** colours[2], 1)
    expected = 255 * cv2.cvtColor(np.float32(cv2.merge([hue, saturation, exposure])), cv2.COLOR_HSV2RGB)
    difference = np.abs(yolo.recoloured(image, np.float32(colours)) - expected)
    assert difference.max() < 12 and difference.mean() < 1.5
    assert np.abs(expected - image).mean() > 10


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.4, 0.8)])
def test_augmented_boxes_follow_their_pixels(scene, zoom):
    found = 0
    for epoch in range(6):
        for images, (y, _) in dataset(scene(8), image_size=160, epoch=epoch, zoom=zoom):
            for image, target in zip(images.numpy(), y.numpy(), strict=True):
                for box, label in zip(*boxes_in(target), strict=True):
                    # hue moves by a tenth of the circle at most: red stays the strongest channel of red, blue of blue
                    strongest = image[..., 2 * label] - np.delete(image, 2 * label, axis=2).max(axis=2)
                    rows, columns = np.nonzero(strongest > 0.5 * strongest.max())
                    pixels = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 160
                    np.testing.assert_allclose(pixels, box, atol=2.5 / 160)
                    found += 1
    assert found > (70 if zoom[0] == 1 else 48)  # a part of the photo holds at least one of its two objects


def test_a_part_of_a_photo_shows_objects_larger_and_photos_without_objects_too(scene):
    def side(**options):
        """The boxes' mean side, as a fraction of the image's."""
        options |= dict(image_size=160, jitter=0.0)
        ys = [y.numpy() for epoch in range(6) for _, (y, _) in dataset(scene(8), epoch=epoch, **options)]
        boxes = np.concatenate([boxes_in(target)[0] for y in ys for target in y])
        return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)).mean()

    assert 1.6 < side(zoom=(0.5, 0.5)) / side() < 2.0  # twice as large, less what the border cuts off
    nothing = dict(boxes=np.zeros((0, 4)), labels=np.zeros(0, int), difficult=np.zeros(0, bool), truncated=np.zeros(0, bool))
    images, (y, _) = next(iter(dataset([a._replace(**nothing) for a in scene(4)], zoom=(0.5, 0.5))))
    assert images.shape == (4, 96, 96, 3) and not y.numpy().any()


def test_at_another_side_the_anchors_keep_their_pixels(scene):
    """As Darknet's, which are grid units. At 192 px with anchors for 96, a box is encoded like one of twice its size."""
    annotations = scene(4)
    half = [a._replace(boxes=a.boxes * 0.5 + [0.5, 0.5, 0, 0]) for a in annotations]
    anchors = yolo.anchors_at(SERIES_ANCHORS, 96, 192)
    np.testing.assert_allclose(anchors, SERIES_ANCHORS / 2, rtol=1e-6)
    np.testing.assert_array_equal(yolo.anchors_at(SERIES_ANCHORS, None, 192), np.float32(SERIES_ANCHORS))
    chosen = [
        np.nonzero(y.numpy()[..., 4])[3]
        for options in (dict(image_size=96), dict(image_size=192, anchor_size=96))
        for _, (y, _) in dataset(half if options["image_size"] == 192 else annotations, training=False, **options)
    ]
    np.testing.assert_array_equal(np.sort(chosen[0]), np.sort(chosen[1]))


def test_augmentation_repeats_for_seed_and_epoch_only(scene):
    annotations = scene(6)

    def pixels(**changes):
        return np.concatenate([images.numpy() for images, _ in dataset(annotations, **changes)])

    np.testing.assert_array_equal(pixels(epoch=3), pixels(epoch=3))
    assert not np.array_equal(pixels(epoch=3), pixels(epoch=4))
    assert not np.array_equal(pixels(seed=0), pixels(seed=1))
    np.testing.assert_array_equal(pixels(epoch=2, num_epochs=2)[8:], pixels(epoch=3))


def test_every_image_is_seen_each_epoch_and_batches_are_whole(scene):
    annotations = scene(6)
    order = yolo.epoch_order(6, 4, seed=0, epoch=0).numpy()
    assert len(order) == 8 and set(order) == set(range(6))
    assert [len(images) for images, _ in dataset(annotations)] == [4, 4]
    assert [len(images) for images, _ in dataset(annotations[:2])] == [4]


def test_sides_change_every_ten_batches_only(scene):
    sides = [images.shape[1] for images, _ in dataset(scene(2), image_size=(64, 96, 128), batch_size=1, num_epochs=80)]
    assert set(sides) == {64, 96, 128}
    assert all(len(set(sides[i : i + 10])) == 1 for i in range(0, 160, 10))


def test_difficult_objects_are_left_out_of_the_targets(scene):
    annotation = scene(1)[0]._replace(difficult=np.array([True, False]))
    _, (y, _) = next(iter(dataset([annotation], training=False)))
    assert boxes_in(y.numpy()[0])[1].tolist() == [1]


def test_images_without_objects_are_fine(scene):
    empty = scene(1)[0]._replace(boxes=np.zeros((0, 4)), labels=np.zeros(0, int), difficult=np.zeros(0, bool))
    _, (y, b) = next(iter(dataset([empty] * 2)))
    assert not y.numpy().any() and not b.numpy().any()


def test_crops_show_their_object(scene):
    annotations = scene(8)
    crops = yolo.make_crop_dataset(annotations, image_size=64, batch_size=8, seed=0, num_epochs=2)
    batches = list(crops)
    assert len(batches) == 4
    for images, labels in batches:
        for image, label in zip(images.numpy(), labels.numpy(), strict=True):
            centre = image[28:36, 28:36].mean(axis=(0, 1))
            assert centre.argmax() == 2 * label


def test_mean_iou_on_all_of_voc2012_is_the_series_or_better(tmp_path):
    script = yolo.ROOT.parent / "shared/voc/expand_annotations.py"
    if not script.exists():
        pytest.skip("the boxes of VOC2012 are not beside this repository")
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    sizes = yolo.box_sizes(yolo.load_split(tmp_path / "VOC2012", "trainval"))
    assert len(sizes) == 27_450
    for k, series in zip(range(2, 11), SERIES_MEAN_IOU, strict=True):
        assert yolo.kmeans_anchors(sizes, k, restarts=3)[1] > series - 0.02
