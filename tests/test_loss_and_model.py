"""The network, its weights files and the loss, against Darknet's behaviour."""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import cv2
import independent
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

import yolo_helpers as yolo

import tensorflow as tf  # isort: skip

# (channel, y, x) out <- in of Darknet's reorg on 64 x 26 x 26
REORG_PAIRS = [
    ((0, 0, 1), (0, 0, 2)),
    ((0, 1, 0), (0, 1, 0)),
    ((0, 7, 0), (0, 13, 0)),
    ((1, 0, 0), (0, 25, 0)),
    ((64, 0, 0), (0, 0, 1)),
    ((128, 0, 0), (0, 2, 0)),
    ((192, 0, 0), (0, 2, 1)),
]
GOLDEN = yolo.ROOT.parent / "shared/reference/golden/region_seen0.npz"


def passthrough(x):
    """The layer on one C x H x W map."""
    channels_last = tf.constant(x.transpose(1, 2, 0)[None])
    return yolo.Passthrough()(channels_last).numpy()[0].transpose(2, 0, 1)


def test_passthrough_moves_darknets_index_pairs():
    x = np.arange(64 * 26 * 26, dtype=np.float32).reshape(64, 26, 26)
    out = passthrough(x)
    assert out.shape == (256, 13, 13)
    for target, source in REORG_PAIRS:
        assert out[target] == x[source]


@cases(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_passthrough_is_darknets_loop_on_any_even_map(channels, height, width):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4 * channels, 2 * height, 2 * width)).astype(np.float32)
    np.testing.assert_array_equal(passthrough(x), independent.reorg(x))


def test_passthrough_and_space_to_depth_agree_in_half_of_the_elements_only():
    x = np.arange(64 * 26 * 26, dtype=np.float32).reshape(64, 26, 26)
    other = tf.nn.space_to_depth(x.transpose(1, 2, 0)[None], 2)
    other = other.numpy()[0].transpose(2, 0, 1)
    ours = passthrough(x)
    assert (ours == other).mean() == 0.5
    assert not any((a == b).all() for a in ours for b in other)


def test_full_width_has_the_series_parameters_and_names():
    network = yolo.build_yolov2(416)
    assert network.count_params() == 50_650_436
    trainable = [int(np.prod(v.shape)) for v in network.trainable_variables]
    assert sum(trainable) == 50_629_764
    assert network.output_shape[3:] == (4, 25)
    names = {layer.name for layer in network.layers}
    assert {f"conv_{number}" for number in range(1, 24)} <= names
    assert {f"norm_{number}" for number in range(1, 23)} <= names
    with pytest.raises(ValueError, match="choose a multiple of 32"):
        yolo.build_yolov2(400)


def test_layers_have_darknets_numbers_where_keras_has_others():
    network = yolo.build_yolov2(width=0.125)
    for number in range(1, 23):
        assert network.get_layer(f"norm_{number}").epsilon == 1e-6
        assert network.get_layer(f"leaky_{number}").negative_slope == pytest.approx(0.1)
        assert not network.get_layer(f"conv_{number}").use_bias
    assert network.get_layer("conv_23").use_bias


@pytest.mark.parametrize(("anchors", "classes"), [(4, 20), (1, 1), (5, 80)])
def test_the_head_fits_any_number_of_anchors_and_classes(anchors, classes):
    network = yolo.build_yolov2(None, anchors, classes, width=0.125)
    raw = network(np.zeros((2, 64, 96, 3), np.float32))
    assert raw.shape == (2, 2, 3, anchors, 5 + classes)


def test_initial_weights_follow_from_the_seed():
    first, again, other = (
        yolo.build_yolov2(64, width=0.125, seed=seed).get_weights()
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_saved_model_loads_in_a_process_that_has_only_the_helpers(tmp_path):
    network = yolo.build_yolov2(None, width=0.125)
    x = np.random.default_rng(0).random((1, 96, 96, 3), np.float32)
    network.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np, yolo_helpers, keras; folder = sys.argv[1];"
        "model = keras.saving.load_model(folder + '/model.keras');"
        "x = np.load(folder + '/x.npy');"
        "np.save(folder + '/y.npy', model(x, training=False))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, check=True, cwd=yolo.ROOT)
    found = np.load(tmp_path / "y.npy")
    np.testing.assert_allclose(found, network(x, training=False), atol=1e-5)


# --------------------------------------------------------------------------------------
# Darknet's weights files


def randomise(network, seed=0):
    """Random batch-norm statistics and biases, as a trained network has them."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if layer.name.startswith("norm_"):
            shape = layer.gamma.shape
            gamma = rng.uniform(0.5, 1.5, shape)
            beta, mean = rng.normal(0, 0.1, shape), rng.normal(0, 0.1, shape)
            layer.set_weights([gamma, beta, mean, rng.uniform(0.5, 2, shape)])
        elif layer.name == "conv_23":
            bias = rng.normal(0, 0.1, layer.bias.shape)
            layer.set_weights([layer.get_weights()[0], bias])
    return network


@pytest.fixture(scope="module")
def small():
    return randomise(yolo.build_yolov2(96, width=0.125))


@pytest.fixture
def weights_file(tmp_path, small):
    path = tmp_path / "yolo.weights"
    yolo.save_darknet_weights(small, path, seen=32013312)
    return path


def other_network(**options):
    return yolo.build_yolov2(96, width=0.125, seed=1, **options)


def same_weights(a, b):
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def test_weights_are_read_back_and_written_again_byte_for_byte(weights_file, small):
    network = other_network()
    header = yolo.load_darknet_weights(network, weights_file)
    assert header == (0, 2, 0, 32013312)
    assert same_weights(network, small)
    again = weights_file.with_name("again.weights")
    yolo.save_darknet_weights(network, again, seen=32013312)
    assert again.read_bytes() == weights_file.read_bytes()


def test_a_file_has_darknets_layout(weights_file, small):
    """Header, then beta, gamma, mean, variance and [out][in][height][width] kernels."""
    content = weights_file.read_bytes()
    assert content[:12] == b"\0\0\0\0\2\0\0\0\0\0\0\0"
    assert int.from_bytes(content[12:20], "little") == 32013312
    numbers = np.frombuffer(content[20:], "<f4")
    assert len(numbers) == small.count_params()
    filters = small.get_layer("conv_1").filters
    gamma, beta, mean, variance = small.get_layer("norm_1").get_weights()
    expected = np.concatenate([beta, gamma, mean, variance])
    np.testing.assert_array_equal(numbers[: 4 * filters], expected)
    kernel = small.get_layer("conv_1").get_weights()[0]
    place = 4 * filters
    for out in range(filters):
        for channel in range(3):
            for row in range(3):
                for column in range(3):
                    assert numbers[place] == kernel[row, column, channel, out]
                    place += 1
    head, bias = small.get_layer("conv_23").get_weights()
    np.testing.assert_array_equal(numbers[-head.size - bias.size : -head.size], bias)


def test_the_older_header_of_16_bytes(weights_file, small):
    old_header = np.array([0, 1, 0, 77], "<i4").tobytes()
    weights_file.write_bytes(old_header + weights_file.read_bytes()[20:])
    network = other_network()
    assert yolo.load_darknet_weights(network, weights_file) == (0, 1, 0, 77)
    assert same_weights(network, small)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-4], "too short"),
        (lambda content: content[: len(content) // 2], "too short"),
        (lambda content: content + b"\0" * 4, "too long"),
        (lambda content: content + b"\0" * 2, "cut off"),
        (lambda content: b"<!DOCTYPE html><html>404</html>", "web page"),
        (lambda content: b"\n <html>404</html>", "web page"),
        (lambda content: b"", "too short"),
        (lambda content: content[:12] + content[16:], "too short"),
        (
            lambda content: content[:20] + b"\0\0\x80\xbf" * (len(content[20:]) // 4),
            "negative variances",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_nothing_changes(
    weights_file, change, words
):
    weights_file.write_bytes(change(weights_file.read_bytes()))
    network = other_network()
    before = network.get_weights()
    with pytest.raises(ValueError, match=words) as caught:
        yolo.load_darknet_weights(network, weights_file)
    message = str(caught.value)
    assert str(weights_file) in message and "\n" not in message
    pairs = zip(before, network.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.weights: there is no such"):
        yolo.load_darknet_weights(other_network(), tmp_path / "no.weights")


def test_a_head_of_another_size_is_recognised_and_can_be_left_out(weights_file, small):
    network = other_network(num_anchors=5, num_classes=80)
    head = network.get_layer("conv_23").get_weights()
    with pytest.raises(ValueError, match="too short.*use head=False"):
        yolo.load_darknet_weights(network, weights_file)
    yolo.load_darknet_weights(network, weights_file, head=False)
    for name in ("conv_1", "norm_20", "conv_22", "norm_22"):
        pairs = zip(
            network.get_layer(name).get_weights(),
            small.get_layer(name).get_weights(),
            strict=True,
        )
        assert all(np.array_equal(a, b) for a, b in pairs)
    for a, b in zip(head, network.get_layer("conv_23").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rounded_kernels_have_float16_precision_and_keep_the_outputs(tmp_path, small):
    path = tmp_path / "rounded.weights"
    yolo.save_darknet_weights(small, path, round_kernels=True)
    network = other_network()
    yolo.load_darknet_weights(network, path)
    for new, old in zip(network.variables, small.variables, strict=True):
        expected = old.numpy()
        if new.path.endswith("kernel"):
            expected = expected.astype(np.float16).astype(np.float32)
            assert not np.array_equal(expected, old.numpy())
        np.testing.assert_array_equal(new.numpy(), expected)
    x = np.random.default_rng(0).random((1, 96, 96, 3), np.float32)
    expected = small(x, training=False).numpy()
    difference = np.abs(network(x, training=False) - expected).max()
    assert difference < 0.02 * np.abs(expected).max()


def test_a_failed_write_keeps_the_old_weights(weights_file, small, monkeypatch):
    before = weights_file.read_bytes()

    def break_off(network):
        yield from darknet_layers(network)[:5]
        raise KeyboardInterrupt

    darknet_layers = yolo.darknet_layers
    monkeypatch.setattr(yolo, "darknet_layers", break_off)
    with pytest.raises(KeyboardInterrupt):
        yolo.save_darknet_weights(small, weights_file)
    assert weights_file.read_bytes() == before
    assert list(weights_file.parent.iterdir()) == [weights_file]


def darknet_cfg(*arguments):
    """The .cfg text of data/make_pretrained.py without the region layer."""
    path = yolo.ROOT / "data" / "make_pretrained.py"
    spec = importlib.util.spec_from_file_location("make_pretrained", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.darknet_cfg(*arguments)
    return text[: text.index("[region]")]


@pytest.mark.skipif(
    not hasattr(cv2.dnn, "readNetFromDarknet"), reason="OpenCV 5 cannot read Darknet's"
)
@pytest.mark.parametrize(
    ("width", "classes", "anchors", "size"),
    [(1.0, 20, 5, 320), (1.0, 20, 4, 416), (1.0, 80, 5, 608), (0.25, 15, 4, 416)],
)
def test_raw_outputs_agree_with_opencvs_darknet_importer(
    tmp_path, width, classes, anchors, size
):
    network = randomise(yolo.build_yolov2(None, anchors, classes, width))
    weights, cfg = str(tmp_path / "yolo.weights"), tmp_path / "yolo.cfg"
    yolo.save_darknet_weights(network, weights)
    cfg.write_text(darknet_cfg(size, width, np.ones((anchors, 2)), classes))
    net = cv2.dnn.readNetFromDarknet(str(cfg), weights)
    image = np.random.default_rng(1).random((size, size, 3), np.float32)
    net.setInput(cv2.dnn.blobFromImage(image))
    expected = net.forward()[0].transpose(1, 2, 0)
    raw = network(image[None], training=False).numpy().reshape(expected.shape)
    assert np.abs(raw - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.skipif(
    not hasattr(cv2.dnn, "readNetFromDarknet"), reason="OpenCV 5 cannot read Darknet's"
)
def test_opencv_runs_the_carried_weights_with_their_cfg(tmp_path):
    folder = yolo.ROOT / "data" / "pretrained"
    detector = yolo.load_detector(folder / "tiny.json")
    photo = yolo.read_image(yolo.ROOT / "data/mini_voc/JPEGImages/2026_000123.jpg")
    image = cv2.resize(photo, (416, 416)).astype(np.float32) / 255
    raw = detector.network(image[None], training=False).numpy()
    decoded = yolo.decode_predictions(raw, detector.anchors)

    def opencvs_output(cfg):
        net = cv2.dnn.readNetFromDarknet(str(cfg), str(folder / "tiny.weights"))
        net.setInput(cv2.dnn.blobFromImage(image))
        return net.forward()

    # With its last layer, OpenCV gives a box and an objectness for each prediction.
    boxes = opencvs_output(folder / "tiny.cfg")
    corners = decoded.boxes.reshape(-1, 4)
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    sizes = corners[:, 2:] - corners[:, :2]
    objectness = decoded.objectness.reshape(-1, 1)
    expected = np.concatenate([centres, sizes, objectness], axis=1)
    np.testing.assert_allclose(boxes[:, :5], expected, atol=1e-4)
    assert objectness.max() > 0.5  # there is something to compare

    # Without it, the raw output.
    text = (folder / "tiny.cfg").read_text()
    cfg = tmp_path / "tiny.cfg"
    cfg.write_text(text[: text.index("[region]")])
    expected = opencvs_output(cfg)[0].transpose(1, 2, 0).reshape(raw.shape)
    assert np.abs(raw - expected).max() < 1e-4 * np.abs(expected).max()


# --------------------------------------------------------------------------------------
# Detector files

DETECTOR_SETTINGS = dataclasses.replace(
    yolo.load_settings(), classes=("cup", "fork"), width=0.125, image_size=96
)


@pytest.fixture
def saved(tmp_path):
    network = randomise(yolo.build_yolov2(None, 3, 2, 0.125))
    anchors = np.array([[1, 1.25], [2.5, 2], [3, 4]])
    yolo.save_detector(
        network, tmp_path, anchors, DETECTOR_SETTINGS, "3 images abc", seen=480
    )
    return network, anchors, tmp_path / "yolov2.json"


def test_a_detector_is_saved_and_loaded_with_all_that_it_needs(saved):
    network, anchors, path = saved
    found = yolo.load_detector(path)
    np.testing.assert_array_equal(found.anchors, anchors.astype(np.float32))
    assert (found.classes, found.image_size) == (("cup", "fork"), 96)
    rounded = path.with_name("rounded.weights")
    yolo.save_darknet_weights(network, rounded, seen=480, round_kernels=True)
    assert path.with_suffix(".weights").read_bytes() == rounded.read_bytes()
    yolo.load_darknet_weights(network, rounded)
    assert same_weights(found.network, network)
    description = json.loads(path.read_text())
    assert (description["data"], description["seen"]) == ("3 images abc", 480)
    assert description["profile"] == DETECTOR_SETTINGS.profile


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.with_suffix(".weights").unlink(),
        lambda path: path.with_suffix(".weights").write_bytes(b"other weights"),
        lambda path: path.write_text('{"weights": "yolov2.weights"}'),
        lambda path: path.write_text(path.read_text()[:40]),
        lambda path: path.write_text(path.read_text().replace("yolov2.w", "other.w")),
    ],
    ids=["no weights", "other weights", "incomplete", "cut off", "other name"],
)
def test_a_detector_whose_files_do_not_belong_together_is_refused(saved, spoil):
    path = saved[2]
    spoil(path)
    with pytest.raises(ValueError) as caught:
        yolo.load_detector(path)
    assert "\n" not in str(caught.value)
    assert "yolov2" in str(caught.value) or "other.weights" in str(caught.value)


# --------------------------------------------------------------------------------------
# Loss


def random_case(seed, grid, boxes, classes=20, num_anchors=4, images=2, scale=1.0):
    """Random raw outputs and encoded boxes, half of them copies of the others.

    The copies share cell and anchor with their originals. Some boxes touch the border.
    """
    rng = np.random.default_rng(seed)
    anchors = (13 * rng.uniform(0.05, 0.8, (num_anchors, 2))).astype(np.float32)
    truth = []
    for _ in range(images):
        centre = rng.uniform(0, 1, (boxes, 2))
        size = rng.uniform(0.02, 0.9, (boxes, 2))
        box = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        copies = boxes - boxes // 2
        box[boxes // 2 :] = box[:copies] + 1e-3 * rng.normal(size=(copies, 4))
        box = np.clip(box, 0, 1).astype(np.float32)
        truth.append((box, rng.integers(0, classes, boxes)))
    encoded = [
        yolo.encode_boxes(box, labels, anchors, grid, classes) for box, labels in truth
    ]
    y, true_boxes = (np.stack(parts) for parts in zip(*encoded, strict=True))
    shape = (images, grid, grid, num_anchors, 5 + classes)
    raw = rng.normal(0, scale, shape).astype(np.float32)
    return anchors, truth, y, true_boxes, raw


def loss_gradient(y, true_boxes, raw, anchors, warmup):
    raw = tf.Variable(raw)
    with tf.GradientTape() as tape:
        loss = tf.add_n(yolo.yolo_loss(y, true_boxes, raw, anchors, warmup))
    return float(loss), tape.gradient(loss, raw).numpy()


@pytest.mark.parametrize("warmup", [False, True])
@pytest.mark.parametrize(
    ("grid", "boxes", "classes"),
    [(13, 6, 20), (10, 0, 20), (19, 50, 20), (13, 12, 1), (13, 30, 3)],
)
def test_the_gradient_is_darknets(grid, boxes, classes, warmup):
    seed = grid + boxes
    anchors, truth, y, true_boxes, raw = random_case(seed, grid, boxes, classes)
    _, gradient = loss_gradient(y, true_boxes, raw, anchors, warmup)
    expected = [
        independent.region_gradient(raw[i], *truth[i], anchors, warmup)
        for i in range(len(raw))
    ]
    np.testing.assert_allclose(gradient, np.stack(expected) / len(raw), atol=1e-5)


@pytest.mark.skipif(not GOLDEN.exists(), reason="no output of Darknet's C code here")
def test_the_gradient_is_that_of_darknets_c_code():
    with np.load(GOLDEN) as golden:
        raw = golden["x"].transpose(0, 3, 4, 1, 2)  # image, row, column, anchor, entry
        anchors = golden["anchors"].reshape(-1, 2)
        expected = -golden["minus_grad_wrt_x"].transpose(0, 3, 4, 1, 2)
        truth = golden["truth"]
    encoded = []
    for rows in truth:
        rows = rows[rows[:, 2] > 0]
        half = rows[:, 2:4] / 2
        boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
        labels = rows[:, 4].astype(int)
        encoded.append(yolo.encode_boxes(boxes, labels, anchors, 13, 20))
    y, true_boxes = (np.stack(parts) for parts in zip(*encoded, strict=True))
    _, gradient = loss_gradient(y, true_boxes, raw, anchors, True)
    np.testing.assert_allclose(gradient * len(raw), expected, atol=1e-5)


def test_a_term_is_the_only_one_that_its_numbers_move():
    anchors, _, y, true_boxes, raw = random_case(1, 13, 6)
    responsible = y[..., 4] > 0
    moved = {
        "location": [0, 1],
        "size": [2, 3],
        "objectness": [4],
        "background": [4],
        "classes": list(range(5, 25)),
        "anchor_warmup": [0, 1, 2, 3],
    }
    for name in yolo.LossTerms._fields:
        variable = tf.Variable(raw)
        with tf.GradientTape() as tape:
            terms = yolo.yolo_loss(y, true_boxes, variable, anchors, True)
            term = getattr(terms, name)
        gradient = tape.gradient(term, variable).numpy()
        assert np.unique(np.nonzero(gradient)[-1]).tolist() == moved[name]
        of_objects = name not in ("background", "anchor_warmup")
        assert not gradient[responsible != of_objects].any()


def test_the_anchor_warm_up_can_be_switched_inside_of_a_graph():
    anchors, _, y, true_boxes, raw = random_case(2, 13, 6)
    graph = tf.function(
        lambda step: yolo.yolo_loss(y, true_boxes, raw, anchors, step < 5)
    )
    assert float(graph(tf.constant(4)).anchor_warmup) > 0
    assert float(graph(tf.constant(5)).anchor_warmup) == 0


def test_the_loss_is_finite_for_wild_outputs():
    anchors, _, y, true_boxes, raw = random_case(0, 13, 10)
    for scale in (1e2, 1e4):
        loss, gradient = loss_gradient(y, true_boxes, raw * scale, anchors, True)
        assert np.isfinite(loss) and np.isfinite(gradient).all()


def test_the_loss_is_averaged_over_images_that_do_not_touch_each_other():
    anchors, _, y, true_boxes, raw = random_case(3, 13, 8, images=3)
    together, gradient = loss_gradient(y, true_boxes, raw, anchors, False)
    single = [
        loss_gradient(y[[i]], true_boxes[[i]], raw[[i]], anchors, False)
        for i in range(3)
    ]
    losses = [loss for loss, _ in single]
    np.testing.assert_allclose(together, np.mean(losses), rtol=1e-5)
    gradients = np.concatenate([gradient for _, gradient in single])
    np.testing.assert_allclose(gradient * 3, gradients, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 20])
def test_the_terms_of_a_perfect_prediction_vanish(classes):
    anchors, _, y, true_boxes, raw = random_case(5, 13, 3, classes)
    cells = np.stack(np.meshgrid(np.arange(13), np.arange(13)), axis=-1)
    inside = np.clip(y[..., :2] - cells[None, :, :, None], 1e-6, 1 - 1e-6)
    raw[..., :2] = np.log(inside / (1 - inside))
    with np.errstate(divide="ignore"):
        log_sizes = np.log(y[..., 2:4] / anchors)
    raw[..., 2:4] = np.where(y[..., 4:5] > 0, log_sizes, 0)
    raw[..., 4] = 40 * y[..., 4] - 20
    raw[..., 5:] = 40 * y[..., 5:]
    terms = yolo.yolo_loss(y, true_boxes, raw, anchors)
    assert sum(float(term) for term in terms) < 1e-4
