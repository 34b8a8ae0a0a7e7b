"""The network, Darknet's weights files and the loss, against Darknet's behaviour and independent code."""

import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import plain

import yolo_helpers as yolo  # before Keras: it keeps TensorFlow quiet

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


def passthrough(x, order):
    """The layer on one C x H x W map."""
    return yolo.Passthrough(order)(tf.constant(x.transpose(1, 2, 0)[None])).numpy()[0].transpose(2, 0, 1)


def test_passthrough_moves_darknets_index_pairs():
    x = np.arange(64 * 26 * 26, dtype=np.float32).reshape(64, 26, 26)
    out = passthrough(x, "darknet")
    for target, source in REORG_PAIRS:
        assert out[target] == x[source]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_passthrough_is_darknets_loop_on_any_even_map(channels, height, width):
    x = np.random.default_rng(0).normal(size=(4 * channels, 2 * height, 2 * width)).astype(np.float32)
    np.testing.assert_array_equal(passthrough(x, "darknet"), plain("03_model", "reorg_plain")(x))


def test_the_two_orders_agree_in_half_of_the_elements_and_in_no_channel():
    x = np.arange(64 * 26 * 26, dtype=np.float32).reshape(64, 26, 26)
    darknet, tensorflow = passthrough(x, "darknet"), passthrough(x, "space_to_depth")
    assert (darknet == tensorflow).mean() == 0.5
    assert not any((channel == other).all() for channel in darknet for other in tensorflow)


def test_full_width_has_the_series_parameters_and_names():
    model = yolo.build_yolov2()
    assert model.count_params() == 50_650_436
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 50_629_764
    assert model.output_shape == (None, 13, 13, 4, 25)
    for number in range(1, 24):
        model.get_layer(f"conv_{number}")
    with pytest.raises(ValueError, match="multiple of 32"):
        yolo.build_yolov2(400)


def test_initial_weights_follow_from_the_seed():
    first, again, other = (yolo.build_yolov2(64, width=0.125, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_saved_model_loads_in_a_process_that_has_only_the_helpers(tmp_path):
    model = yolo.build_yolov2(None, width=0.125)
    x = np.random.default_rng(0).random((1, 96, 96, 3), np.float32)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np, yolo_helpers, keras; folder = sys.argv[1];"
        "model = keras.saving.load_model(folder + '/model.keras');"
        "np.save(folder + '/y.npy', model(np.load(folder + '/x.npy'), training=False))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=yolo.ROOT)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(x, training=False), atol=1e-5)


def test_other_class_names_are_written_in_one_place(tmp_path):
    source = (yolo.ROOT / "yolo_helpers.py").read_text()
    before, after = source[: source.index("CLASSES = (")], source[source.index("MAX_BOXES = ") :]
    (tmp_path / "yolo_helpers.py").write_text(before + 'CLASSES = ("cup", "fork", "spoon")\n' + after)
    code = (
        "import yolo_helpers as yolo, numpy as np; model, anchors = yolo.build_yolov2(None, width=.125), np.full((4, 2), .5);"
        "print(model.output_shape[-1], yolo.encode_boxes([[0, 0, 1, 1]], [2], anchors, 13)[0].shape[-1],"
        "yolo.build_classifier(model).output_shape[-1], len(yolo.evaluate_detections([], []).average_precision))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True).stdout
    assert output.split() == ["8", "8", "3", "3"]


def test_fused_batch_normalisation_is_keras_own():
    x = np.random.default_rng(0).normal(3, 2, (8, 16, 16, 5)).astype(np.float32)
    fused, plain_layer = yolo.FusedBatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for _ in range(3):
        np.testing.assert_allclose(fused(x, training=True), plain_layer(x, training=True), atol=1e-4)
    np.testing.assert_allclose(fused.moving_mean, plain_layer.moving_mean, rtol=1e-4)
    np.testing.assert_allclose(fused.moving_variance, plain_layer.moving_variance, rtol=1e-3)
    np.testing.assert_allclose(fused(x, training=False), plain_layer(x, training=False), rtol=1e-3, atol=1e-3)


# ------------------------------------------------------------------------------------------------
# Darknet's weights files


def randomise(model, seed=0):
    """Random batch-norm statistics and biases, as a trained network has them."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.name.startswith("norm_"):
            shape = layer.gamma.shape
            layer.set_weights(
                [rng.uniform(0.5, 1.5, shape), rng.normal(0, 0.1, shape), rng.normal(0, 0.1, shape), rng.uniform(0.5, 2, shape)]
            )
        elif layer.name == "conv_23":
            layer.set_weights([layer.get_weights()[0], rng.normal(0, 0.1, layer.bias.shape)])
    return model


@pytest.fixture(scope="module")
def small():
    return randomise(yolo.build_yolov2(96, width=0.125))


@pytest.fixture
def weights_file(tmp_path, small):
    path = tmp_path / "yolo.weights"
    save_darknet_weights(small, path, seen=32013312)
    return path


def save_darknet_weights(model, path, seen=0):
    plain("03_model", "save_darknet_weights")(model, path, seen)


def same_weights(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def test_weights_are_read_back_and_the_file_is_used_up(weights_file, small):
    model = yolo.build_yolov2(96, width=0.125, seed=1)
    assert yolo.load_darknet_weights(model, weights_file) == (0, 2, 0, 32013312)
    assert same_weights(model, small)


def test_the_older_header_of_16_bytes(weights_file, small):
    old = np.array([0, 1, 0, 77], "<i4").tobytes() + weights_file.read_bytes()[20:]
    weights_file.write_bytes(old)
    model = yolo.build_yolov2(96, width=0.125, seed=1)
    assert yolo.load_darknet_weights(model, weights_file) == (0, 1, 0, 77)
    assert same_weights(model, small)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-4], "too short"),
        (lambda content: content[: len(content) // 2], "too short"),
        (lambda content: content + b"\0" * 4, "too long"),
        (lambda content: content + b"\0" * 2, "too long"),
        (lambda content: b"<!DOCTYPE html><html>404</html>", "web page"),
        (lambda content: b"", "too short"),
        (lambda content: content[:12] + content[16:], "too short"),
        (lambda content: content[:20] + b"\0\0\x80\xbf" * ((len(content) - 20) // 4), "negative variances"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_nothing_changes(weights_file, change, words):
    weights_file.write_bytes(change(weights_file.read_bytes()))
    model = yolo.build_yolov2(96, width=0.125, seed=1)
    before = model.get_weights()
    with pytest.raises(ValueError, match=words) as caught:
        yolo.load_darknet_weights(model, weights_file)
    assert str(weights_file) in str(caught.value) and "\n" not in str(caught.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_head_of_another_size_is_recognised_and_can_be_left_out(weights_file, small):
    model = yolo.build_yolov2(96, num_anchors=5, num_classes=80, width=0.125, seed=1)
    head = model.get_layer("conv_23").get_weights()
    with pytest.raises(ValueError, match="too short.*use head=False"):
        yolo.load_darknet_weights(model, weights_file)
    yolo.load_darknet_weights(model, weights_file, head=False)
    np.testing.assert_array_equal(model.get_layer("conv_22").kernel, small.get_layer("conv_22").kernel)
    np.testing.assert_array_equal(model.get_layer("conv_23").get_weights()[0], head[0])


@pytest.mark.skipif(not hasattr(cv2.dnn, "readNetFromDarknet"), reason="OpenCV 5 has no Darknet importer")
@pytest.mark.parametrize(("classes", "anchors", "side"), [(20, 4, 416), (20, 5, 320), (80, 5, 608)])
def test_raw_outputs_agree_with_opencvs_darknet_importer(tmp_path, classes, anchors, side):
    model = randomise(yolo.build_yolov2(None, anchors, classes))
    save_darknet_weights(model, tmp_path / "yolo.weights")
    (tmp_path / "yolo.cfg").write_text(plain("03_model", "darknet_cfg")(side, anchors * (5 + classes)))
    net = cv2.dnn.readNetFromDarknet(str(tmp_path / "yolo.cfg"), str(tmp_path / "yolo.weights"))
    image = np.random.default_rng(1).random((side, side, 3), np.float32)
    net.setInput(cv2.dnn.blobFromImage(image))
    expected = net.forward()[0].transpose(1, 2, 0)
    raw = model(image[None], training=False).numpy().reshape(expected.shape)
    assert np.abs(raw - expected).max() < 1e-3 * np.abs(expected).max()


def test_half_precision_artifact_keeps_the_outputs(tmp_path, small):
    path = yolo.save_weights(small, tmp_path / "w.npz", {"data": "d"})
    model = yolo.build_yolov2(96, width=0.125, seed=1)
    assert yolo.load_weights(model, path) == {"data": "d"}
    x = np.random.default_rng(0).random((1, 96, 96, 3), np.float32)
    expected = small(x, training=False).numpy()
    assert np.abs(model(x, training=False) - expected).max() < 0.02 * np.abs(expected).max()
    with pytest.raises(ValueError, match="weights of another model"):
        yolo.load_weights(yolo.build_yolov2(96, width=0.25), path)


# ------------------------------------------------------------------------------------------------
# Loss


def random_case(seed, grid, boxes, classes=20, num_anchors=4, images=2, scale=1.0):
    """Random raw outputs and encoded boxes, with collisions and border boxes when there are many."""
    rng = np.random.default_rng(seed)
    anchors = rng.uniform(0.05, 0.8, (num_anchors, 2)).astype(np.float32)
    truth = []
    for _ in range(images):
        centre, size = rng.uniform(0, 1, (boxes, 2)), rng.uniform(0.02, 0.9, (boxes, 2))
        box = np.clip(np.concatenate([centre - size / 2, centre + size / 2], axis=1), 0, 1)
        box[boxes // 2 :] = box[: boxes - boxes // 2] + 1e-3 * rng.normal(size=(boxes - boxes // 2, 4))  # same cell, same anchor
        box = np.clip(box, 0, 1)
        truth.append((box.astype(np.float32), rng.integers(0, classes, boxes)))
    encoded = [yolo.encode_boxes(box, labels, anchors, grid, classes) for box, labels in truth]
    y, true_boxes = (tf.stack(parts) for parts in zip(*encoded, strict=True))
    raw = rng.normal(0, scale, (images, grid, grid, num_anchors, 5 + classes)).astype(np.float32)
    return anchors, truth, y, true_boxes, raw


def loss_gradient(y, true_boxes, raw, anchors, warmup):
    raw = tf.Variable(raw)
    with tf.GradientTape() as tape:
        loss = sum(yolo.yolo_loss(y, true_boxes, raw, anchors, warmup))
    return float(loss), tape.gradient(loss, raw).numpy()


@pytest.mark.parametrize("warmup", [False, True])
@pytest.mark.parametrize(("grid", "boxes", "classes"), [(13, 6, 20), (10, 0, 20), (19, 50, 20), (13, 12, 1), (13, 30, 3)])
def test_the_gradient_is_darknets(grid, boxes, classes, warmup):
    anchors, truth, y, true_boxes, raw = random_case(grid + boxes, grid, boxes, classes)
    _, gradient = loss_gradient(y, true_boxes, raw, anchors, warmup)
    region = plain("04_loss", "region_layer_plain")
    expected = np.stack([region(raw[i], *truth[i], anchors, warmup) for i in range(len(raw))]) / len(raw)
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_the_loss_is_finite_for_wild_outputs():
    anchors, _, y, true_boxes, raw = random_case(0, 13, 10)
    for scale in (1e2, 1e4):
        loss, gradient = loss_gradient(y, true_boxes, raw * scale, anchors, True)
        assert np.isfinite(loss) and np.isfinite(gradient).all()


def test_one_image_moves_only_its_own_outputs_and_the_loss_is_per_image():
    anchors, _, y, true_boxes, raw = random_case(3, 13, 8, images=3)
    both, gradient = loss_gradient(y, true_boxes, raw, anchors, False)
    single = [loss_gradient(y[i : i + 1], true_boxes[i : i + 1], raw[i : i + 1], anchors, False) for i in range(3)]
    np.testing.assert_allclose(both, np.mean([loss for loss, _ in single]), rtol=1e-5)
    np.testing.assert_allclose(gradient * 3, np.concatenate([g for _, g in single]), atol=1e-5)


def test_terms_of_a_perfect_prediction_vanish():
    anchors, _, y, true_boxes, raw = random_case(5, 13, 3)
    cells = np.stack(np.meshgrid(np.arange(13), np.arange(13)), axis=-1)[None, :, :, None]
    y_ = y.numpy()
    inside = np.clip(y_[..., :2] - cells, 1e-6, 1 - 1e-6)
    raw[..., :2] = np.log(inside / (1 - inside))
    with np.errstate(divide="ignore"):
        raw[..., 2:4] = np.where(y_[..., 4:5] > 0, np.log(y_[..., 2:4] / (anchors * 13)), 0)
    raw[..., 4], raw[..., 5:] = 40 * y_[..., 4] - 20, 40 * y_[..., 5:]
    terms = yolo.yolo_loss(y, true_boxes, raw, anchors)
    assert sum(float(term) for term in terms) < 1e-4


def test_the_coordinate_scale_weighs_place_and_size_alone():
    anchors, _, y, true_boxes, raw = random_case(0, 4, 3, images=2)
    plain_terms, weighed = (yolo.yolo_loss(y, true_boxes, raw, anchors, True, scale) for scale in (1.0, 5.0))
    for name in yolo.LossTerms._fields:
        factor = 5 if name in ("xy", "wh") else 1
        assert float(getattr(plain_terms, name)) > 0
        np.testing.assert_allclose(getattr(weighed, name), factor * getattr(plain_terms, name), rtol=1e-6)


def test_the_step_learns_with_its_coordinate_scale():
    anchors, _, y, true_boxes, _ = random_case(0, 2, 2, images=2)
    images, model = np.random.default_rng(0).random((2, 64, 64, 3), np.float32), yolo.build_yolov2(64, width=0.125)
    raw = model(images, training=True)
    wanted = float(sum(yolo.yolo_loss(y, true_boxes, raw, anchors, coordinate_scale=7.0)))
    step = yolo.TrainStep(model, anchors, coordinate_scale=7.0)
    assert float(step.run(images, y, true_boxes, 0.0, False)) == pytest.approx(wanted)


def test_the_step_clips_decays_kernels_only_and_stops_at_nothing_infinite():
    model = yolo.build_yolov2(64, width=0.125)
    anchors, _, y, true_boxes, _ = random_case(0, 2, 2, images=2)
    step = yolo.TrainStep(model, anchors, clip_norm=1e-9)
    before = {v.path: v.numpy() for v in model.trainable_variables}
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    step.run(images, y, true_boxes, 1.0, False)
    for variable in model.trainable_variables:
        shrink = 1 - step.weight_decay if variable.path.endswith("kernel") else 1.0
        np.testing.assert_allclose(variable.numpy(), before[variable.path] * shrink, atol=1e-6)


# ------------------------------------------------------------------------------------------------
# Muon and what is frozen


@pytest.mark.parametrize("shape", [(4, 4), (27, 8), (8, 27), (256, 32)])
def test_orthogonalising_evens_out_the_singular_values_and_keeps_the_directions(shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = yolo.orthogonalised(tf.constant(matrix)).numpy()
    np.testing.assert_allclose(found, plain("05_training", "newton_schulz_plain")(matrix), atol=1e-4)
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ found @ vt.T
    np.testing.assert_allclose(turned, np.diag(np.diag(turned)), atol=1e-4)
    assert 0.5 < np.diag(turned).min() and np.diag(turned).max() < 1.3


def test_orthogonalising_in_bfloat16_goes_nearly_the_same_way_and_no_direction_is_lost():
    matrix = tf.constant(np.random.default_rng(0).normal(size=(256, 32)), tf.float32)
    found, exact = yolo.orthogonalised(matrix, "bfloat16").numpy(), yolo.orthogonalised(matrix).numpy()
    assert found.dtype == np.float32 and not np.array_equal(found, exact)
    assert (found * exact).sum() > 0.99 * np.linalg.norm(found) * np.linalg.norm(exact)
    values = np.linalg.svd(found, compute_uv=False)
    assert 0.5 < values.min() and values.max() < 1.4


def test_orthogonalising_nothing_gives_nothing():
    assert not yolo.orthogonalised(tf.zeros((4, 3))).numpy().any()


def test_muon_takes_the_plain_steps_for_kernels_and_smaller_ones_of_adam_for_the_rest():
    rng = np.random.default_rng(0)
    start = {"conv_1": rng.normal(size=(3, 3, 4, 8)), "conv_23": rng.normal(size=(1, 1, 8, 6)), "norm_1": rng.normal(size=8)}
    variables, twins = ([keras.Variable(np.float32(value), name=name) for name, value in start.items()] for _ in range(2))
    muon, adam = yolo.Muon(0.01), keras.optimizers.Adam(0.003)
    weight, momentum = start["conv_1"], 0.0
    for _ in range(3):
        gradients = [np.float32(rng.normal(size=value.shape)) for value in start.values()]
        muon.apply([tf.constant(g) for g in gradients], variables)
        adam.apply([tf.constant(g) for g in gradients], twins)
        weight, momentum = plain("05_training", "muon_plain")(weight, momentum, gradients[0], 0.01)
    np.testing.assert_allclose(variables[0], weight, atol=1e-4)
    assert np.abs(variables[0].numpy() - twins[0].numpy()).max() > 0.005
    for variable, twin in zip(variables[1:], twins[1:], strict=True):
        np.testing.assert_allclose(variable, twin, rtol=1e-5)


def test_frozen_layers_stay_as_they_are_with_their_moving_moments():
    model = yolo.build_yolov2(None, 2, width=0.125, seed=1)
    yolo.quiet_start(model, frozen=2)
    before = {v.path: v.numpy() for v in model.variables}
    anchors = np.array([[0.2, 0.2], [0.5, 0.5]])
    y, true_boxes = yolo.encode_boxes([[0.1, 0.2, 0.5, 0.7]], [3], anchors, 2)
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    step = yolo.TrainStep(model, anchors, "muon")
    step.run(images, np.stack([y, y]), np.stack([true_boxes, true_boxes]), 0.01, False)
    still = {v.path.split("/")[0] for v in model.variables if np.array_equal(v.numpy(), before[v.path])}
    assert still == {"conv_1", "conv_2", "norm_1", "norm_2"}


def test_freezing_folds_batch_norms_and_the_outputs_stay_also_in_a_network_that_is_not_folded():
    model, other = randomise(yolo.build_yolov2(64, 2, width=0.125)), yolo.build_yolov2(64, 2, width=0.125, seed=9)
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    yolo.quiet_start(model)  # sets the head's biases
    before = model(images).numpy()
    yolo.quiet_start(model, frozen=3)
    assert [model.get_layer(f"norm_{i}").folded for i in range(1, 5)] == [True] * 3 + [False]
    np.testing.assert_allclose(model(images), before, atol=1e-5 * np.abs(before).max())
    yolo.quiet_start(model, frozen=3)  # folding twice changes nothing more
    np.testing.assert_allclose(model(images), before, atol=1e-5 * np.abs(before).max())
    other.set_weights(model.get_weights())
    np.testing.assert_allclose(other(images), before, atol=1e-5 * np.abs(before).max())


# ------------------------------------------------------------------------------------------------
# Half precision


def device(monkeypatch, kind):
    """Let this machine look as if it were faster with numbers of this kind."""
    gpus = ["a GPU"] if kind == "float16" else []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda of=None: gpus)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0" if kind == "float32" else "1")
    monkeypatch.setattr(yolo.Path, "read_text", lambda path: "flags : avx512f avx512_bf16")


def one_step(images=None):
    """One step of a new network in the precision of the device: the network, its loss, and how far each weight moved."""
    model = randomise(yolo.build_yolov2(None, 4, width=0.125))
    policy = yolo.use_half_precision(model)
    anchors, _, y, true_boxes, _ = random_case(0, 2, 2, images=16)
    before = [v.numpy() for v in model.trainable_variables]
    step = yolo.TrainStep(model, anchors, weight_decay=0.0)
    images = np.random.default_rng(0).random((16, 64, 64, 3), np.float32) if images is None else images
    loss = float(step.run(images, y, true_boxes, 1e-2, False))
    moved = np.concatenate([np.ravel(v.numpy() - old) for v, old in zip(model.trainable_variables, before, strict=True)])
    return model, policy, loss, moved


# noise through random weights is a hard case: at every kink of the network, rounding may turn a gradient, bfloat16's more often
@pytest.mark.parametrize(("kind", "agreement"), [("float16", 0.9), ("bfloat16", 0.6)])
def test_half_precision_takes_a_similar_step_with_weights_in_single_precision(monkeypatch, kind, agreement):
    device(monkeypatch, "float32")
    _, policy, loss, moved = one_step()
    assert policy == "float32"
    device(monkeypatch, kind)
    model, policy, half_loss, half_moved = one_step()
    assert policy == f"mixed_{kind}"
    assert {v.dtype for v in model.variables} == {"float32"} and model.output.dtype == "float32"
    assert model.get_layer("conv_1").compute_dtype == kind
    assert loss == pytest.approx(half_loss, rel=0.01) and loss != half_loss
    assert moved @ half_moved > agreement * np.linalg.norm(moved) * np.linalg.norm(half_moved)


@pytest.mark.parametrize("channels", [8, 16])
def test_batch_norm_of_bfloat16_is_that_of_single_precision_rounded(channels):
    x = tf.cast(np.random.default_rng(0).normal(3, 2, (4, 8, 8, channels)), tf.bfloat16)
    layer = yolo.FusedBatchNormalization(epsilon=1e-6, dtype="mixed_bfloat16")
    found, mean = layer(x, training=True), layer.moving_mean.numpy()
    assert found.dtype == tf.bfloat16
    exact = yolo.FusedBatchNormalization(epsilon=1e-6)
    np.testing.assert_allclose(tf.cast(found, tf.float32), exact(tf.cast(x, tf.float32), training=True), atol=0.03)
    np.testing.assert_allclose(mean, exact.moving_mean, rtol=1e-3)


def test_a_float16_step_that_overflows_is_left_out(monkeypatch):
    device(monkeypatch, "float16")
    assert not one_step(images=np.full((16, 64, 64, 3), 1e6, np.float32))[3].any()


@pytest.mark.parametrize(("onednn", "flags"), [("0", "avx512_bf16"), ("1", "avx512f avx2")])
def test_no_bfloat16_without_onednn_or_without_its_instructions(monkeypatch, onednn, flags):
    device(monkeypatch, "bfloat16")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    monkeypatch.setattr(yolo.Path, "read_text", lambda path: flags)
    assert yolo.use_half_precision(yolo.build_yolov2(None, 4, width=0.125)) == "float32"
