"""Anchors, encoding and the input pipeline, against plain code and known numbers."""

import dataclasses
import subprocess
import sys
import time

import cv2
import independent
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

import yolo_helpers as yolo

SERIES_ANCHORS = np.array(
    [
        (0.08285376, 0.13705531),
        (0.20850361, 0.39420716),
        (0.80552421, 0.77665105),
        (0.42194719, 0.62385487),
    ]
)
GRID_ANCHORS = SERIES_ANCHORS * 13
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
# of k = 2 to 10 anchors
SERIES_MEAN_IOU = (
    0.4646,
    0.5391,
    0.5801,
    0.6016,
    0.6253,
    0.6434,
    0.6595,
    0.6712,
    0.6840,
)
MINI_VOC = yolo.ROOT / "data" / "mini_voc"
REAL_PHOTOS = yolo.ROOT.parent / "shared/voc/VOCdevkit/VOC2012"
SETTINGS = dataclasses.replace(
    yolo.load_settings(),
    classes=yolo.VOC_CLASSES,
    image_size=96,
    train_sizes=(96,),
    batch_size=4,
    epochs=1,
)


def some_boxes(seed, count, classes=20):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1)
    boxes = corners.reshape(count, 4).astype(np.float32)
    return boxes, rng.integers(0, classes, count)


# --------------------------------------------------------------------------------------
# Anchors


@pytest.mark.parametrize("size", SERIES_LOOKUPS)
def test_the_series_sixteen_lookups(size):
    index, iou = SERIES_LOOKUPS[size]
    ious = yolo.iou_wh([size], SERIES_ANCHORS)[0]
    assert ious.argmax() == index
    assert round(float(ious[index]), 2) == pytest.approx(iou, abs=0.0051)


def test_iou_wh_is_the_plain_iou():
    rng = np.random.default_rng(0)
    sizes, anchors = rng.uniform(0.01, 1, (50, 2)), rng.uniform(0.01, 1, (7, 2))
    expected = [
        [independent.iou_of_sizes(size, anchor) for anchor in anchors] for size in sizes
    ]
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
    means = [sizes[nearest == i].mean(axis=0) for i in range(4)]
    np.testing.assert_allclose(anchors, means)


def test_clusters_never_stay_empty_and_too_few_boxes_are_refused():
    others = [[0.1, 0.1], [0.9, 0.9], [0.1, 0.9]]
    heap = np.concatenate([np.full((100, 2), 0.5), others])
    anchors, mean_iou = yolo.kmeans_anchors(heap, 4, restarts=2)
    assert mean_iou == pytest.approx(1.0)
    assert len(np.unique(anchors, axis=0)) == 4
    words = "5 anchors need at least 5 different box sizes, but there are only 4"
    with pytest.raises(ValueError, match=words):
        yolo.kmeans_anchors(heap, 5)
    with pytest.raises(ValueError, match="there are only 0"):
        yolo.kmeans_anchors(np.zeros((0, 2)), 1)


def test_a_cluster_that_loses_its_boxes_moves_to_the_worst_served_one():
    sizes = np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 0.9]])
    start = np.array([[0.5, 0.5], [0.5, 0.5]])  # argmax never chooses the second
    anchors = yolo.kmeans_once(sizes, start, max_iterations=1)
    np.testing.assert_allclose(anchors[1], [0.1, 0.9])


def test_27000_boxes_are_clustered_in_under_five_seconds():
    sizes = np.random.default_rng(0).beta(1, 2.5, (27_000, 2)) + 0.005
    start = time.process_time()
    yolo.kmeans_anchors(sizes, 5, restarts=5)
    assert time.process_time() - start < 5


def test_anchors_are_read_as_grid_units_and_only_for_their_data(tmp_path, capsys):
    settings = dataclasses.replace(SETTINGS, artifacts=tmp_path)
    train = yolo.load_split(MINI_VOC, "train")[:3]
    content = {"anchors": SERIES_ANCHORS.tolist(), "data": yolo.fingerprint(train)}
    yolo.write_json(tmp_path / "anchors.json", content)
    anchors = yolo.load_anchors(settings, train)
    np.testing.assert_allclose(anchors, GRID_ANCHORS, rtol=1e-6)
    assert "anchors.json: from" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="run notebook 01_anchor_clustering"):
        yolo.load_anchors(settings, train[:2])


def test_mean_iou_on_all_of_voc2012_is_the_series_or_better(tmp_path):
    script = yolo.ROOT.parent / "shared/voc/expand_annotations.py"
    if not script.exists():
        pytest.skip("the boxes of VOC2012 are not beside this repository")
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    sizes = yolo.box_sizes(yolo.load_split(tmp_path / "VOC2012", "trainval"))
    assert len(sizes) == 27_450
    for k, series in zip(range(2, 11), SERIES_MEAN_IOU, strict=True):
        assert yolo.kmeans_anchors(sizes, k, restarts=3)[1] > series - 0.02


# --------------------------------------------------------------------------------------
# Encoding


def test_the_worked_box_of_the_series():
    box = [148 / 416, 84 / 416, 298 / 416, 292 / 416]
    y, true_boxes = yolo.encode_boxes([box], [14], GRID_ANCHORS, 13, 20)
    row, column, anchor = np.argwhere(y[..., 4] > 0)[0]
    assert (row, column, anchor) == (5, 6, 3)
    assert y[row, column, anchor, 5:].nonzero()[0].tolist() == [14]
    expected = [6.969, 5.875, 4.688, 6.5]
    np.testing.assert_allclose(y[row, column, anchor, :4], expected, atol=5e-4)
    np.testing.assert_allclose(true_boxes[0, 0, 0, 0], expected, atol=5e-4)


def assert_encoded_alike(boxes, labels, anchors, grid_size, classes=20):
    fast = yolo.encode_boxes(boxes, labels, anchors, grid_size, classes)
    slow = independent.encode(boxes, labels, anchors, grid_size, classes)
    for a, b in zip(fast, slow, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b.reshape(a.shape))


@cases(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(0, 70),
    st.sampled_from([1, 3, 10, 13, 19]),
    st.sampled_from([1, 3, 20]),
)
def test_encoding_is_the_plain_one_bit_for_bit(seed, count, grid_size, classes):
    boxes, labels = some_boxes(seed, count, classes)
    assert_encoded_alike(boxes, labels, GRID_ANCHORS, grid_size, classes)


def test_border_boxes_stay_inside_the_grid():
    boxes = np.float32(
        [
            [1, 0, 1, 1],
            [0, 1, 1, 1],
            [0.99, 0.99, 1, 1],
            [0, 0, 0.01, 0.01],
            [0, 0, 1, 1],
        ]
    )
    y, _ = yolo.encode_boxes(boxes, np.arange(5), GRID_ANCHORS, 13, 20)
    assert y[..., 4].sum() == 5
    assert_encoded_alike(boxes, np.arange(5), GRID_ANCHORS, 13)


def test_of_two_boxes_in_a_cell_and_anchor_the_last_wins_completely():
    boxes = np.float32([[0.40, 0.40, 0.60, 0.80], [0.41, 0.41, 0.60, 0.80]])
    y, true_boxes = yolo.encode_boxes(boxes, [3, 7], GRID_ANCHORS, 13, 20)
    assert y[..., 4].sum() == 1
    answer = y[y[..., 4] > 0][0]
    assert answer[5:].nonzero()[0].tolist() == [7]
    assert answer[2] == pytest.approx(0.19 * 13, abs=1e-5)
    assert np.count_nonzero(true_boxes[0, 0, 0, :, 2]) == 2


def test_of_more_than_fifty_boxes_the_largest_are_listed_in_order():
    boxes, labels = some_boxes(4, 60)
    y, true_boxes = yolo.encode_boxes(boxes, labels, GRID_ANCHORS, 13, 20)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept = np.sort(np.argsort(-area)[:50])
    widths = (boxes[kept, 2] - boxes[kept, 0]) * 13
    np.testing.assert_allclose(true_boxes[0, 0, 0, :, 2], widths, rtol=1e-6)
    assert y[..., 4].sum() > 50  # all of them are encoded


def test_with_one_class_every_object_has_it():
    boxes, _ = some_boxes(1, 5)
    y, _ = yolo.encode_boxes(boxes, np.zeros(5, int), GRID_ANCHORS, 13, 1)
    assert y.shape == (13, 13, 4, 6)
    np.testing.assert_array_equal(y[..., 4], y[..., 5])
    assert_encoded_alike(boxes, np.zeros(5, int), GRID_ANCHORS, 13, 1)


def test_encoding_does_not_change_the_callers_arrays():
    boxes, labels = some_boxes(0, 5)
    copies = boxes.copy(), labels.copy(), GRID_ANCHORS.copy()
    yolo.encode_boxes(boxes, labels, GRID_ANCHORS, 13, 20)
    for array, copy in zip((boxes, labels, GRID_ANCHORS), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_what_is_encoded_is_decoded_to_the_same_boxes():
    boxes, labels = some_boxes(2, 12)
    y, _ = yolo.encode_boxes(boxes, labels, GRID_ANCHORS, 13, 20)
    raw = np.zeros_like(y)
    cells = np.stack(np.meshgrid(np.arange(13), np.arange(13)), axis=-1)[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (y[..., :2] - cells).astype(float)
        raw[..., :2] = np.log(inside / (1 - inside))
        raw[..., 2:4] = np.log(y[..., 2:4] / GRID_ANCHORS)
    taken = y[..., 4] > 0
    raw[~taken] = 0
    decoded = yolo.decode_predictions(raw[None], GRID_ANCHORS).boxes[0][taken]
    order, expected = np.lexsort(decoded.T), np.lexsort(boxes.T)
    assert len(decoded) == len(boxes)
    np.testing.assert_allclose(decoded[order], boxes[expected], atol=1e-5)


@pytest.mark.parametrize("size", [320, 512])
def test_anchors_keep_their_pixels_at_every_image_size(size):
    """An object of as many pixels has the same anchor, whatever the image's size."""
    side = np.array([40, 90])  # pixels
    chosen = []
    for image_size in (416, size):
        box = np.concatenate([[100, 100], 100 + side]) / image_size
        grid_size = image_size // 32
        y, _ = yolo.encode_boxes([box], [0], GRID_ANCHORS, grid_size, 20)
        chosen.append(np.argwhere(y[..., 4] > 0)[0].tolist())
    assert chosen[0] == chosen[1]


# --------------------------------------------------------------------------------------
# The pipeline

COLOURS = np.array([(255, 0, 0), (0, 0, 255)], np.uint8)
LEAST_LOSS = [
    cv2.IMWRITE_JPEG_QUALITY,
    98,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


@pytest.fixture
def scene(tmp_path):
    """Writes photos of filled rectangles on grey, class 0 red and class 1 blue."""

    def draw(count, boxes_each=2, width=200, height=120, seed=0):
        rng, annotations = np.random.default_rng(seed), []
        for i in range(count):
            image = np.full((height, width, 3), 128, np.uint8)
            boxes = []
            for j in range(boxes_each):
                share = width // boxes_each
                x = rng.integers(0, share - 40) + j * share
                y = rng.integers(0, height - 40)
                w, h = rng.integers(20, 40, 2)
                image[y : y + h, x : x + w] = COLOURS[j]
                boxes.append([x + 1, y + 1, x + w, y + h])
            path = tmp_path / f"{i:03d}.jpg"
            cv2.imwrite(str(path), image[..., ::-1], LEAST_LOSS)
            annotations.append(
                yolo.Annotation(
                    filename=path.name,
                    width=width,
                    height=height,
                    boxes=np.array(boxes, float).reshape(-1, 4),
                    labels=np.arange(boxes_each),
                    difficult=np.zeros(boxes_each, bool),
                    truncated=np.zeros(boxes_each, bool),
                    image_path=path,
                )
            )
        return annotations

    return draw


def without_objects(annotation):
    return dataclasses.replace(
        annotation,
        boxes=np.zeros((0, 4)),
        labels=np.zeros(0, int),
        difficult=np.zeros(0, bool),
        truncated=np.zeros(0, bool),
    )


def batches(annotations, training=True, first_epoch=0, **changes):
    """List of (images, y, true_boxes) as arrays."""
    settings = dataclasses.replace(SETTINGS, **changes)
    dataset = yolo.make_dataset(
        annotations, GRID_ANCHORS, settings, training=training, first_epoch=first_epoch
    )
    return [(x.numpy(), y.numpy(), boxes.numpy()) for x, (y, boxes) in dataset]


def boxes_in(y):
    """Boxes as fractions and labels of one target, sorted by class."""
    rows = y[y[..., 4] > 0]
    labels = rows[:, 5:].argmax(axis=1)
    order = np.argsort(labels)
    low = rows[:, :2] - rows[:, 2:4] / 2
    high = rows[:, :2] + rows[:, 2:4] / 2
    return np.concatenate([low, high], axis=1)[order] / len(y), labels[order]


def assert_plain_targets(annotation, y, true_boxes, image_size):
    kept = ~annotation.difficult
    boxes, labels = yolo.box_fractions(annotation)[kept], annotation.labels[kept]
    expected = independent.encode(boxes, labels, GRID_ANCHORS, image_size // 32, 20)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(true_boxes, expected[1].reshape(true_boxes.shape))


def test_a_dataset_without_augmentation_gives_the_plain_targets_in_order(scene):
    annotations = scene(6)
    found = batches(annotations, training=False)
    assert [len(images) for images, *_ in found] == [4, 2]
    y = np.concatenate([y for _, y, _ in found])
    true_boxes = np.concatenate([boxes for *_, boxes in found])
    for i, annotation in enumerate(annotations):
        assert_plain_targets(annotation, y[i], true_boxes[i], 96)


@pytest.mark.parametrize(
    "folder", [MINI_VOC, REAL_PHOTOS], ids=["mini_voc", "real photos"]
)
def test_targets_of_whole_data_sets_are_the_plain_ones(folder):
    if not folder.exists():
        pytest.skip(f"no data at {folder.name}")
    annotations = yolo.load_split(folder, "trainval")
    settings = dataclasses.replace(SETTINGS, batch_size=16, image_size=416)
    dataset = yolo.make_dataset(annotations, GRID_ANCHORS, settings, training=False)
    index = 0
    for _, (y, true_boxes) in dataset.as_numpy_iterator():
        for i in range(len(y)):
            assert_plain_targets(annotations[index], y[i], true_boxes[i], 416)
            index += 1
    assert index == len(annotations)


def test_images_are_opencvs_pixels_stretched(scene):
    annotation = scene(1)[0]
    images, *_ = batches([annotation], training=False)[0]
    photo = cv2.imread(str(annotation.image_path))[..., ::-1]
    expected = cv2.resize(photo, (96, 96)) / np.float32(255)
    np.testing.assert_array_equal(images[0], expected)
    assert images.dtype == np.float32


def test_parallel_map_keeps_the_order(scene):
    """Each photo has a brightness of its own; large ones take longer."""
    annotations = scene(12, boxes_each=0)
    for i, annotation in enumerate(annotations):
        side = 1200 if i % 3 == 0 else 40
        grey = np.full((side, side, 3), 20 * i, np.uint8)
        cv2.imwrite(str(annotation.image_path), grey)
        annotations[i] = dataclasses.replace(annotation, width=side, height=side)
    found = np.concatenate([images for images, *_ in batches(annotations, False)])
    means = found.mean(axis=(1, 2, 3)) * 255
    np.testing.assert_allclose(means, 20 * np.arange(12), atol=1)


class Chosen:
    """Stands in for a random generator and gives chosen numbers, one by one."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def uniform(self, low, high):
        number = self.numbers.pop(0)
        assert low <= number <= high
        return number

    def random(self):
        return self.numbers.pop(0)


def test_moved_borders_show_the_photo_and_grey_beyond_it():
    photo = np.random.default_rng(0).integers(0, 256, (80, 120, 3)).astype(np.uint8)
    nothing = np.zeros((0, 4)), np.zeros(0, int)
    rng = Chosen(-0.2, 0.1, -0.1, -0.15)  # left, right, top, bottom
    image, *_ = yolo.move_borders(photo, *nothing, rng)
    assert image.shape == (8 + 80 - 12, 24 + 120 + 12, 3)
    np.testing.assert_array_equal(image[8:, 24:144], photo[:68])
    assert (image[:8] == 128).all()
    assert (image[:, :24] == 128).all() and (image[:, 144:] == 128).all()


def test_boxes_move_with_the_borders_and_are_dropped_when_hardly_visible():
    photo = np.zeros((100, 100, 3), np.uint8)
    boxes = np.array(
        [
            [0.5, 0.5, 0.7, 0.6],  # stays whole
            [0.1, 0.4, 0.3, 0.6],  # half of it is cut off
            [0.0, 0.4, 0.21, 0.6],  # one hundredth is left
            [0.0, 0.4, 0.1, 0.6],  # gone
        ]
    )
    rng = Chosen(0.2, 0.0, 0.0, 0.0)
    _, moved, labels = yolo.move_borders(photo, boxes, np.arange(4), rng)
    np.testing.assert_allclose(
        moved, [[0.3 / 0.8, 0.5, 0.5 / 0.8, 0.6], [0, 0.4, 0.1 / 0.8, 0.6]]
    )
    assert labels.tolist() == [0, 1]


def test_a_flip_mirrors_pixels_and_boxes():
    photo = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    boxes = np.array([[0.1, 0.2, 0.4, 0.7]])
    image, flipped = yolo.flip_at_random(photo, boxes, Chosen(0.7))
    np.testing.assert_array_equal(image, photo[:, ::-1])
    np.testing.assert_allclose(flipped, [[0.6, 0.2, 0.9, 0.7]])
    image, same = yolo.flip_at_random(photo, boxes, Chosen(0.3))
    np.testing.assert_array_equal(image, photo)
    np.testing.assert_array_equal(same, boxes)
    np.testing.assert_allclose(boxes, [[0.1, 0.2, 0.4, 0.7]])


@pytest.mark.parametrize(
    "change",
    [
        (1, 0, 0),
        (-1, 0, 0),
        (0, 1, 0),
        (0, -1, 0),
        (0, 0, 1),
        (0, 0, -1),
        (0.5, -0.5, 0.5),
    ],
)
def test_colours_change_as_in_single_precision(change):
    """The 256 levels of hue and saturation cost a few levels of grey at most."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    fractions = image.astype(np.float32) / 255
    hsv = cv2.cvtColor(fractions, cv2.COLOR_RGB2HSV)  # degrees, two fractions
    hue, saturation, brightness = cv2.split(hsv)
    hue = (hue + 36 * change[0]) % 360
    saturation = np.minimum(saturation * 1.5 ** change[1], 1)
    brightness = np.minimum(brightness * 1.5 ** change[2], 1)
    hsv = cv2.merge([np.float32(hue), saturation, brightness])
    expected = 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)

    rng = Chosen(0.1 * change[0], *change[1:])
    difference = np.abs(yolo.change_colours(image, rng) - expected)
    assert difference.max() < 12 and difference.mean() < 1.5
    assert np.abs(expected - image).mean() > 10


def test_augmented_boxes_follow_their_pixels(scene):
    found, images_seen = 0, set()
    for images, y, _ in batches(scene(8), image_size=160, train_sizes=(160,), epochs=6):
        for image, target in zip(images, y, strict=True):
            images_seen.add(image.tobytes())
            for box, label in zip(*boxes_in(target), strict=True):
                # The hue moves by a tenth of the circle at most, so red stays the
                # strongest channel of red, and blue of blue.
                others = np.delete(image, 2 * label, axis=2).max(axis=2)
                strongest = image[..., 2 * label] - others
                rows, columns = np.nonzero(strongest > 0.5 * strongest.max())
                low = columns.min(), rows.min()
                high = columns.max() + 1, rows.max() + 1
                pixels = np.array([*low, *high]) / 160
                np.testing.assert_allclose(pixels, box, atol=2.5 / 160)
                found += 1
    assert found > 70
    assert len(images_seen) == 48  # no two are the same


def test_augmentation_follows_from_seed_epoch_and_image_only(scene):
    annotations = scene(6)

    def pixels(**options):
        return np.concatenate([x for x, *_ in batches(annotations, **options)])

    both = pixels(epochs=2)
    np.testing.assert_array_equal(both, pixels(epochs=2))
    assert not np.array_equal(both[:8], both[8:])
    assert not np.array_equal(pixels(seed=0), pixels(seed=1))
    # An image looks the same whatever its place in the batch.
    rng = np.random.default_rng([0, yolo.AUGMENTATION, 1, 3])
    alone, *_ = yolo.make_example(annotations[3], GRID_ANCHORS, 96, 20, rng)
    assert any(np.array_equal(alone, image) for image in both[8:])


def test_a_dataset_that_starts_later_is_the_tail_of_the_whole_one(scene):
    annotations = scene(6)
    sizes = dict(epochs=4, train_sizes=(64, 96, 128), batch_size=1)
    whole = batches(annotations, **sizes)
    tail = batches(annotations, first_epoch=2, **sizes)
    assert len(whole) == 24 and len(tail) == 12
    for expected, found in zip(whole[12:], tail, strict=True):
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)


def test_each_epoch_has_a_new_order_with_every_image_in_it(scene):
    annotations = scene(6)
    orders = []
    for epoch in range(3):
        plan = yolo.plan_epoch(annotations, SETTINGS, epoch)
        order = [index for index, _ in plan]
        assert len(order) == 8 and set(order[:6]) == set(range(6))
        assert order[6:] == order[:2]  # the last batch is completed
        orders.append(order)
    assert len({tuple(order) for order in orders}) == 3
    again = [index for index, _ in yolo.plan_epoch(annotations, SETTINGS, 1)]
    assert again == orders[1]
    other_seed = dataclasses.replace(SETTINGS, seed=1)
    plan = yolo.plan_epoch(annotations, other_seed, 1)
    assert [index for index, _ in plan] != orders[1]


def test_a_dataset_has_the_plans_images_and_sizes_in_whole_batches(scene):
    annotations = scene(6, boxes_each=1)
    settings = dataclasses.replace(SETTINGS, train_sizes=(64, 128), epochs=2)
    plan = yolo.plan_epoch(annotations, settings, 0)
    found = batches(annotations, train_sizes=(64, 128), epochs=2)
    assert [len(images) for images, *_ in found] == [4, 4, 4, 4]
    examples = [image for images, *_ in found[:2] for image in images]
    for image, (index, size) in zip(examples, plan, strict=True):
        rng = np.random.default_rng([0, yolo.AUGMENTATION, 0, index])
        expected, *_ = yolo.make_example(
            annotations[index], GRID_ANCHORS, size, 20, rng
        )
        np.testing.assert_array_equal(image, expected)


def test_fewer_images_than_a_batch_are_repeated(scene):
    found = batches(scene(2))
    assert [len(images) for images, *_ in found] == [4]
    plan = yolo.plan_epoch(scene(2), SETTINGS, 0)
    assert sorted(index for index, _ in plan) == [0, 0, 1, 1]


def test_sizes_change_every_ten_batches_and_all_of_the_settings_occur(scene):
    annotations = scene(5)
    settings = dataclasses.replace(yolo.load_settings(), batch_size=1, epochs=100)
    assert len(settings.train_sizes) == 7
    sizes = []
    for epoch in range(80):
        plan = yolo.plan_epoch(annotations, settings, epoch)
        sizes += [size for _, size in plan]
    assert set(sizes) == set(settings.train_sizes)
    tens = [set(sizes[i : i + 10]) for i in range(0, 400, 10)]
    assert all(len(ten) == 1 for ten in tens)
    # Two epochs make ten batches, so neighbouring tens differ for most pairs.
    changes = [a != b for a, b in zip(tens, tens[1:], strict=False)]
    assert sum(changes) > 25


def test_all_images_of_a_batch_have_one_size(scene):
    settings = dataclasses.replace(SETTINGS, train_sizes=(64, 96, 128), epochs=20)
    for epoch in range(20):
        plan = yolo.plan_epoch(scene(7), settings, epoch)
        assert len(plan) == 8
        for start in (0, 4):
            assert len({size for _, size in plan[start : start + 4]}) == 1


def test_the_last_epoch_has_the_size_of_the_validation_images(scene):
    settings = dataclasses.replace(
        SETTINGS, train_sizes=(64, 128), epochs=9, batch_size=1
    )
    sizes = [
        {size for _, size in yolo.plan_epoch(scene(7), settings, epoch)}
        for epoch in range(9)
    ]
    assert sizes[-1] == {96}
    assert set.union(*sizes[:-1]) == {64, 128}
    only_one = dataclasses.replace(settings, epochs=1)
    assert {size for _, size in yolo.plan_epoch(scene(7), only_one, 0)} == sizes[0]


def test_workers_share_each_batch(scene):
    annotations = scene(8)
    settings = dataclasses.replace(SETTINGS, epochs=2)

    def images(**options):
        dataset = yolo.make_dataset(
            annotations, GRID_ANCHORS, settings, training=True, **options
        )
        return [x.numpy() for x, _ in dataset]

    whole = images()
    first, second = (images(worker=worker, workers=2) for worker in (0, 1))
    for batch, a, b in zip(whole, first, second, strict=True):
        np.testing.assert_array_equal(batch[0::2], a)
        np.testing.assert_array_equal(batch[1::2], b)


def test_difficult_objects_are_left_out_of_the_targets(scene):
    annotation = dataclasses.replace(scene(1)[0], difficult=np.array([True, False]))
    _, y, true_boxes = batches([annotation], training=False)[0]
    assert boxes_in(y[0])[1].tolist() == [1]
    assert np.count_nonzero(true_boxes[0, ..., 2]) == 1


@pytest.mark.parametrize("training", [False, True])
def test_images_without_objects_are_fine(scene, training):
    empty = without_objects(scene(1)[0])
    images, y, true_boxes = batches([empty] * 4, training)[0]
    assert images.shape == (4, 96, 96, 3)
    assert not y.any() and not true_boxes.any()


# --------------------------------------------------------------------------------------
# Photos that cannot be used


def contents_that_are_no_whole_photo():
    noise = np.random.default_rng(0).integers(0, 255, (50, 100, 3), np.uint8)
    baseline = cv2.imencode(".jpg", noise)[1].tobytes()
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    progressive = cv2.imencode(".jpg", noise, options)[1].tobytes()
    second_scan = progressive.index(b"\xff\xda", progressive.index(b"\xff\xda") + 2)
    png = cv2.imencode(".png", noise)[1].tobytes()
    return {
        "empty": b"",
        "half": baseline[: len(baseline) // 2],
        "last byte": baseline[:-1],
        "end marker": baseline[:-2],
        "progressive half": progressive[: len(progressive) // 2],
        "progressive one scan": progressive[:second_scan],
        "progressive end marker": progressive[:-2],
        "png half": png[: len(png) // 2],
        "web page": b"<html>not found</html>" * 9,
    }


@pytest.mark.parametrize("kind", contents_that_are_no_whole_photo())
def test_a_broken_photo_is_refused_in_one_line(scene, kind):
    annotation = scene(1)[0]
    yolo.check_images([annotation])
    annotation.image_path.write_bytes(contents_that_are_no_whole_photo()[kind])
    for call in (
        lambda: yolo.read_image(annotation.image_path),
        lambda: yolo.check_images([annotation]),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        message = str(caught.value)
        assert "000.jpg: empty, cut off or not an image" in message
        assert "\n" not in message


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_whole_photo_with_a_thumbnail_is_read(tmp_path, progressive):
    """The thumbnail inside of the file has markers of its own."""
    noise = np.random.default_rng(0).integers(0, 255, (50, 100, 3), np.uint8)
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    photo = cv2.imencode(".jpg", noise, options)[1].tobytes()
    small = cv2.imencode(".jpg", noise[:8, :8])[1].tobytes()
    segment = b"\xff\xe2" + (len(small) + 2).to_bytes(2, "big") + small
    with_thumbnail = photo[:2] + segment + photo[2:]
    (tmp_path / "a.jpg").write_bytes(with_thumbnail)
    assert yolo.read_image(tmp_path / "a.jpg").shape == (50, 100, 3)
    (tmp_path / "a.jpg").write_bytes(with_thumbnail[: len(with_thumbnail) // 2])
    with pytest.raises(ValueError, match="a.jpg: empty, cut off"):
        yolo.read_image(tmp_path / "a.jpg")


def test_a_missing_photo_is_refused_in_one_line(scene):
    annotation = scene(1)[0]
    annotation.image_path.unlink()
    with pytest.raises(FileNotFoundError, match="000.jpg: there is no such image"):
        yolo.check_images([annotation])


def test_a_photo_of_another_size_than_its_annotations_is_refused(scene):
    annotation = scene(1)[0]
    other = dataclasses.replace(annotation, width=120, height=200)
    with pytest.raises(ValueError) as caught:
        yolo.check_images([annotation, other])
    message = str(caught.value)
    assert "has 200 x 120 pixels, but its annotation says 120 x 200" in message
    assert "\n" not in message


def test_images_are_turned_as_exif_says(tmp_path):
    from PIL import Image

    picture = Image.fromarray(np.tile(np.uint8([255, 0, 0]), (20, 40, 1)))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    image = yolo.read_image(tmp_path / "turned.jpg")
    assert image.shape == (40, 20, 3)
    assert image[10, 10, 0] > 240 > 20 > image[10, 10, 2]
