"""Training with Keras: loss, optimizer, schedule, callbacks and the run's folder."""

import csv
import dataclasses
import math
import types

import independent
import numpy as np
import pytest

import yolo_helpers as yolo

import keras  # isort: skip
import tensorflow as tf  # isort: skip

# Data sets are graphs even in the tests that run eagerly, and TensorFlow says so.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config")

ANCHORS = np.array([[1.3, 1.3], [2.6, 5.2], [5.2, 3.9], [9.1, 9.1]], np.float32)
SETTINGS = dataclasses.replace(
    yolo.load_settings(),
    weights=None,
    width=0.125,
    epochs=3,
    learning_rate=1e-3,
    patience=9,
    image_size=64,
    train_sizes=(64,),
    batch_size=4,
)
NUM_CLASSES = len(SETTINGS.classes)


def photos():
    """Six annotations to train with, three to validate."""
    splits = yolo.load_splits(yolo.ROOT / "data" / "mini_voc")
    return splits.train[:6], splits.validation[:3]


def build(seed=0, dtype="float32"):
    return yolo.build_yolov2(
        None, len(ANCHORS), NUM_CLASSES, SETTINGS.width, seed, dtype
    )


def compile_small(network, steps=10, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return yolo.compile_detector(network, ANCHORS, settings, steps)


def training_batches(count, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    dataset = yolo.make_dataset(photos()[0], ANCHORS, settings, training=True)
    return list(dataset.take(count))


def train(folder, network=None, callbacks=(), **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return yolo.train_detector(
        network or build(),
        *photos(),
        ANCHORS,
        settings,
        folder=folder,
        callbacks=callbacks,
    )


@pytest.fixture
def eager():
    """Run without graphs, which take longer to build than a step or two."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def arrays(variables):
    return [np.asarray(variable) for variable in variables]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


# --------------------------------------------------------------------------------------
# Schedule


def expected_rate(step, peak, warmup_steps, total_steps):
    if step < warmup_steps:
        return peak * ((step + 1) / warmup_steps) ** 4  # Darknet's burn-in
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def test_the_learning_rate_climbs_steeply_and_falls_like_a_cosine():
    schedule = yolo.WarmUpCosineDecay(0.1, warmup_steps=10, total_steps=210)
    rates = [float(schedule(step)) for step in range(210)]
    expected = [expected_rate(step, 0.1, 10, 210) for step in range(210)]
    np.testing.assert_allclose(rates, expected, rtol=1e-4, atol=1e-8)
    assert rates[0] == pytest.approx(0.1 * 0.1**4, rel=1e-4)
    assert rates[4] == pytest.approx(0.1 / 16, rel=1e-4)
    assert rates[9] == rates[10] == pytest.approx(0.1)
    assert rates[110] == pytest.approx(0.05)
    assert max(rates) <= np.float32(0.1)
    assert 0 < rates[-1] < 1e-4 * 0.1
    assert (np.diff(rates[:10]) > 0).all() and (np.diff(rates[10:]) < 0).all()
    late = [float(schedule(step)) for step in (210, 211, 400)]
    assert late == pytest.approx([0, 0, 0]) and min(late) >= 0


@pytest.mark.parametrize(("warmup_steps", "total_steps"), [(0, 5), (1, 1), (5, 5)])
def test_very_short_schedules_stay_between_zero_and_the_peak(warmup_steps, total_steps):
    schedule = yolo.WarmUpCosineDecay(0.1, warmup_steps, total_steps)
    rates = [float(schedule(step)) for step in range(total_steps + 2)]
    assert min(rates) >= 0 and max(rates) == pytest.approx(0.1)
    copy = yolo.WarmUpCosineDecay(**schedule.get_config())
    assert float(copy(3)) == float(schedule(3))


def test_a_compiled_detector_warms_up_for_a_twentieth_of_the_steps():
    detector = compile_small(build(), steps=200)
    assert detector.anchor_warmup_steps == 10
    rates = [expected_rate(step, SETTINGS.learning_rate, 10, 200) for step in (0, 50)]
    schedule = detector.optimizer._learning_rate
    found = [float(schedule(step)) for step in (0, 50)]
    np.testing.assert_allclose(found, rates, rtol=1e-4)


# --------------------------------------------------------------------------------------
# One step


def weight_decay_of(network):
    """Half of the decay times the squares of all kernels, and of nothing else."""
    kernels = [v for v in network.trainable_variables if v.path.endswith("kernel")]
    assert len(kernels) == 23
    squares = [(kernel.numpy().astype(float) ** 2).sum() for kernel in kernels]
    return 0.0005 / 2 * sum(squares)


@pytest.mark.parametrize("warm_up", [True, False])
def test_the_loss_is_the_sum_of_its_terms_and_the_weight_decay(warm_up):
    network = build()
    detector = compile_small(network, steps=20)
    assert detector.anchor_warmup_steps == 1
    if not warm_up:
        detector.optimizer.iterations.assign(1)
    images, targets = training_batches(1)[0]
    raw = network(images, training=True)
    terms = yolo.yolo_loss(*targets, raw, ANCHORS, warm_up)
    expected = {name: float(term) for name, term in terms._asdict().items()}
    assert (expected["anchor_warmup"] > 0) == warm_up
    expected["weight_decay"] = weight_decay_of(network)

    loss = detector.compute_loss(y=targets, y_pred=raw)
    assert float(loss) == pytest.approx(sum(expected.values()), rel=1e-5)
    means = {metric.name: float(metric.result()) for metric in detector.metrics}
    for name, value in expected.items():
        assert means[name] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("limit", [1e9, 0.5], ids=["not clipped", "clipped"])
def test_two_steps_equal_darknets_update_by_hand(eager, monkeypatch, limit):
    """Weight decay of the kernels passes through the momentum; the length is limited.

    The second step matters: only then the velocity is not zero.
    """
    monkeypatch.setattr(yolo, "LARGEST_GRADIENT", limit)
    network, twin = build(), build()
    detector = compile_small(network, steps=40, learning_rate=0.01)
    batches = training_batches(2)
    variables = twin.trainable_variables
    velocities = [np.zeros(v.shape) for v in variables]
    start = arrays(variables)
    for step, (images, targets) in enumerate(batches):
        detector.train_on_batch(images, targets)
        with tf.GradientTape() as tape:
            raw = twin(images, training=True)
            terms = yolo.yolo_loss(*targets, raw, ANCHORS, anchor_warmup=step < 2)
            loss = tf.add_n(terms)
        gradients = arrays(tape.gradient(loss, [v.value for v in variables]))
        for i, variable in enumerate(variables):
            if variable.path.endswith("kernel"):
                gradients[i] = gradients[i] + 0.0005 * variable.numpy()
        length = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        assert (length > limit) == (limit == 0.5)
        gradients = independent.clip_gradients(gradients, limit)
        rate = expected_rate(step, 0.01, 2, 40)
        for i, variable in enumerate(variables):
            weight, velocities[i] = independent.momentum_step(
                variable.numpy(), velocities[i], gradients[i], rate
            )
            variable.assign(weight)
    moved = 0.0
    for before, a, b in zip(start, network.trainable_variables, variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-6)
        moved = max(moved, np.abs(b.numpy() - before).max())
    assert moved > 1e-4


def test_a_fresh_head_can_answer_probably_no_object_everywhere():
    network = build()
    before = network.get_weights()
    yolo.set_objectness_bias(network, 0.02)
    kernel, bias = network.get_layer("conv_23").get_weights()
    for number, value in enumerate(bias):
        is_objectness = number % (5 + NUM_CLASSES) == 4
        expected = math.log(0.02 / 0.98) if is_objectness else 0.0
        assert value == pytest.approx(expected, rel=1e-5)
    assert_equal(network.get_weights()[:-1], before[:-1])


def test_each_epoch_prints_one_short_line(capsys):
    callback = yolo.PrintEpoch()
    callback.set_params({"epochs": 12})
    callback.on_epoch_begin(2)
    callback.on_epoch_end(2, {"loss": 7.6, "val_loss": 10.392, "val_map": 0.1304})
    line = capsys.readouterr().out
    expected = "epoch  3 of 12: 0 s, loss 7.60, validation loss 10.39, mAP 0.130\n"
    assert line == expected


def test_another_optimizer_gets_the_schedule():
    settings = dataclasses.replace(SETTINGS, learning_rate=0.02)
    detector = yolo.compile_detector(
        build(), ANCHORS, settings, 100, make_optimizer=keras.optimizers.Adam
    )
    assert isinstance(detector.optimizer, keras.optimizers.Adam)
    assert float(detector.optimizer._learning_rate(4)) == pytest.approx(0.02)


def test_one_trace_serves_all_image_sizes(monkeypatch):
    calls = []
    yolo_loss = yolo.yolo_loss

    def counted(*arguments):
        calls.append(1)
        return yolo_loss(*arguments)

    monkeypatch.setattr(yolo, "yolo_loss", counted)
    settings = dataclasses.replace(
        SETTINGS, train_sizes=(64, 96, 128), batch_size=1, epochs=5, seed=5
    )
    plans = [yolo.plan_epoch(photos()[0], settings, epoch) for epoch in range(5)]
    assert len({size for plan in plans for _, size in plan}) == 3
    detector = yolo.compile_detector(build(), ANCHORS, settings, 30)
    dataset = yolo.make_dataset(photos()[0], ANCHORS, settings, training=True)
    first = dataset.take(2)
    detector.fit(first, steps_per_epoch=2, shuffle=False, verbose=0)
    traced = len(calls)
    detector.fit(dataset, steps_per_epoch=30, shuffle=False, verbose=0)
    assert len(calls) == traced


# --------------------------------------------------------------------------------------
# Half precision


def test_a_float16_step_is_similar_and_weights_stay_in_single_precision(eager):
    images, targets = training_batches(1, batch_size=6)[0]
    moves, losses = [], []
    for dtype in ("float32", "mixed_float16"):
        network = build(dtype=dtype)
        detector = compile_small(network, steps=1, learning_rate=0.01)
        if dtype == "mixed_float16":
            detector.optimizer.dynamic_scale.assign(2.0**6)  # nothing overflows
        before = arrays(network.trainable_variables)
        losses.append(detector.train_on_batch(images, targets, return_dict=True))
        after = arrays(network.trainable_variables)
        changes = [(b - a).ravel() for a, b in zip(before, after, strict=True)]
        moves.append(np.concatenate(changes))
    assert {v.dtype for v in network.variables} == {"float32"}
    assert network.output.dtype == "float32"
    assert network.get_layer("conv_1").compute_dtype == "float16"
    assert isinstance(detector.optimizer, keras.optimizers.LossScaleOptimizer)
    single, half = (logs["loss"] for logs in losses)
    assert half == pytest.approx(single, rel=0.01) and half != single
    cosine = moves[0] @ moves[1] / np.linalg.norm(moves[0]) / np.linalg.norm(moves[1])
    assert cosine > 0.9


def test_a_float16_step_that_overflows_is_skipped_and_halves_the_loss_scale(eager):
    network = build(dtype="mixed_float16")
    detector = compile_small(network, steps=20, learning_rate=0.01)
    first, second = training_batches(2)
    detector.optimizer.dynamic_scale.assign(2.0**6)
    detector.train_on_batch(*first)
    optimizer = detector.optimizer.inner_optimizer
    assert any(np.abs(array).max() > 0 for array in arrays(optimizer.variables[2:]))
    detector.optimizer.dynamic_scale.assign(2.0**100)
    weights = arrays(network.trainable_variables)
    inner = arrays(optimizer.variables)
    logs = detector.train_on_batch(*second, return_dict=True)
    assert math.isfinite(logs["loss"])
    assert_equal(weights, arrays(network.trainable_variables))
    assert_equal(inner, arrays(optimizer.variables))  # momentum and count of steps
    assert float(detector.optimizer.dynamic_scale) == 2.0**99

    detector.optimizer.dynamic_scale.assign(2.0**6)
    detector.train_on_batch(*second)
    assert not np.array_equal(weights[0], network.trainable_variables[0].numpy())


@pytest.mark.parametrize(
    ("gpus", "mixed", "policy"),
    [
        (0, True, "float32"),
        (1, True, "mixed_float16"),
        (2, True, "float32"),
        (1, False, "float32"),
    ],
)
def test_float16_is_for_one_gpu(monkeypatch, gpus, mixed, policy):
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind=None: ["a GPU"] * gpus
    )
    settings = dataclasses.replace(SETTINGS, mixed_precision=mixed)
    assert yolo.training_policy(settings) == policy


# --------------------------------------------------------------------------------------
# A whole training


class Record(keras.callbacks.Callback):
    """Keeps the weights at the end of each epoch, and the logs that it saw."""

    def __init__(self):
        super().__init__()
        self.weights = []
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.network.get_weights())
        self.logs.append(dict(logs))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder after a training, its history, its network and a `Record` of it.

    Two hidden files of the user's lay there before, and more came while it trained.
    """
    folder = tmp_path_factory.mktemp("run")
    for name in (".git-credentials", ".pre-commit-config.yaml"):
        (folder / name).write_text("mine")

    class AddFiles(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            (folder / "sub").mkdir(exist_ok=True)
            for name in ("notes.txt", ".history.csv-old", "sub/history.csv"):
                (folder / name).write_text("mine")

    record, network = Record(), build()
    history = train(folder, network, [AddFiles(), record])
    return types.SimpleNamespace(
        folder=folder, history=history, network=network, record=record
    )


def test_the_history_has_every_term_for_training_and_validation(finished):
    terms = ("loss", *yolo.LossTerms._fields, "weight_decay")
    expected = {*terms, *(f"val_{name}" for name in terms), "val_map"}
    assert set(finished.history) == expected
    assert {len(values) for values in finished.history.values()} == {3}
    for prefix in ("", "val_"):
        parts = [finished.history[prefix + name] for name in terms]
        np.testing.assert_allclose(parts[0], np.sum(parts[1:], axis=0), rtol=1e-5)
    assert finished.history["val_anchor_warmup"] == [0.0] * 3
    assert all(0 <= value <= 1 for value in finished.history["val_map"])


def test_the_callers_callbacks_see_the_validation_results(finished):
    for epoch, logs in enumerate(finished.record.logs):
        for name, values in finished.history.items():
            assert logs[name] == values[epoch]


def test_the_table_has_one_row_for_each_epoch(finished):
    with open(finished.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row.pop("epoch") for row in rows] == ["1", "2", "3"]
    for epoch, row in enumerate(rows):
        for name, values in finished.history.items():
            assert float(row[name]) == values[epoch]


def test_training_leaves_its_own_files_and_touches_no_other(finished):
    own = {yolo.MARKER, "history.csv", "yolov2.json", "yolov2.weights"}
    foreign = {
        ".git-credentials",
        ".pre-commit-config.yaml",
        ".history.csv-old",
        "notes.txt",
        "sub/history.csv",
    }
    found = {
        path.relative_to(finished.folder).as_posix(): path
        for path in finished.folder.rglob("*")
        if path.is_file()
    }
    assert set(found) == own | foreign
    assert all(found[name].read_text() == "mine" for name in foreign)


def test_the_network_ends_with_the_saved_weights_of_the_best_epoch(finished):
    scores = finished.history["val_map"]
    best = len(scores) - 1 - scores[::-1].index(max(scores))
    saved = yolo.load_detector(finished.folder / "yolov2.json")
    assert_equal(saved.network.get_weights(), finished.network.get_weights())
    for variable, expected in zip(
        saved.network.weights, finished.record.weights[best], strict=True
    ):
        if variable.path.endswith("kernel"):
            expected = expected.astype(np.float16)
        np.testing.assert_array_equal(variable.numpy(), expected)
    description = yolo.read_json(finished.folder / "yolov2.json")
    assert description["seen"] == 8 * (best + 1)
    assert description["data"] == yolo.fingerprint(photos()[0])
    np.testing.assert_array_equal(saved.anchors, ANCHORS)


def test_fit_sees_every_batch_of_the_dataset_once_and_in_order(finished):
    network = build()
    detector = compile_small(network, steps=6)
    for batch in training_batches(6):
        detector.train_on_batch(*batch)
    for ours, expected in zip(
        network.get_weights(), finished.record.weights[-1], strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_the_validation_losses_are_means_over_images(finished):
    """Three images in batches of four, two or one have the same mean."""
    network, (_, validation) = finished.network, photos()
    expected = None
    for batch_size in (4, 2, 1):
        settings = dataclasses.replace(SETTINGS, batch_size=batch_size)
        losses, evaluation = yolo.validate(network, validation, ANCHORS, settings)
        expected = expected or (losses, evaluation)
        for name, value in losses.items():
            assert value == pytest.approx(expected[0][name], rel=1e-4, abs=1e-6)
        np.testing.assert_allclose(
            evaluation.average_precision, expected[1].average_precision
        )
    assert losses["weight_decay"] == pytest.approx(weight_decay_of(network), rel=1e-5)


# --------------------------------------------------------------------------------------
# The best epoch


def fake_validation(monkeypatch, scores):
    """Let `validate` find these mAPs, one after the other."""
    left = list(scores)

    def validate(network, annotations, anchors, settings):
        evaluation = types.SimpleNamespace(mean_average_precision=left.pop(0))
        return {"loss": 1.0}, evaluation

    monkeypatch.setattr(yolo, "validate", validate)


@pytest.mark.parametrize(
    ("scores", "patience", "epochs", "best"),
    [
        ([0.1, 0.3, 0.3, 0.2, 0.1, 0.9], 2, 5, 3),  # a tie counts as better
        ([math.nan, math.nan, 0.1], 9, 3, 3),
        ([0.2, math.nan, 0.1], 9, 3, 1),
    ],
)
def test_the_best_epoch_is_kept_and_training_stops_after_patience(
    eager, tmp_path, monkeypatch, scores, patience, epochs, best
):
    fake_validation(monkeypatch, scores)
    record, network = Record(), build()
    history = train(tmp_path, network, [record], epochs=len(scores), patience=patience)
    assert history["val_map"] == np.nan_to_num(scores)[:epochs].tolist()
    assert len(history["loss"]) == epochs
    kernel = record.weights[best - 1][0]
    np.testing.assert_array_equal(network.get_weights()[0], kernel.astype(np.float16))
    assert yolo.read_json(tmp_path / "yolov2.json")["seen"] == 8 * best


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ([], 1, False),
        ([0.5], 1, False),
        ([0.5, 0.4], 1, True),
        ([0.5, 0.4], 2, False),
        ([0.5, 0.5], 1, False),
        ([0.0, 0.0, 0.0], 1, False),
        ([0.1, 0.5, 0.2, 0.3, 0.4], 3, True),
    ],
)
def test_improvement_is_counted_in_epochs_since_the_best(scores, patience, expected):
    assert yolo.has_stopped_improving(scores, patience) == expected


# --------------------------------------------------------------------------------------
# What is refused


def names_of_batch(epoch, step):
    plan = yolo.plan_epoch(photos()[0], SETTINGS, epoch)
    return [photos()[0][index].filename for index, _ in plan[4 * step : 4 * step + 4]]


def test_a_loss_that_is_not_a_number_names_the_images(eager, tmp_path):
    network = build()
    head = network.get_layer("conv_23")
    head.set_weights([np.full_like(values, np.nan) for values in head.get_weights()])
    with pytest.raises(FloatingPointError) as caught:
        train(tmp_path, network)
    message = str(caught.value)
    assert "the loss is nan in epoch 1, step 1;" in message and "\n" not in message
    assert message.endswith(": " + ", ".join(names_of_batch(0, 0)))
    assert not (tmp_path / "yolov2.weights").exists()
    assert not (tmp_path / yolo.STATE_FILE).exists()


def test_a_loss_that_explodes_names_the_batch_in_which_it_did(eager, tmp_path):
    with pytest.raises(FloatingPointError) as caught:
        train(tmp_path, learning_rate=1e30)
    message = str(caught.value)
    assert "in epoch 1, step 2;" in message
    assert message.endswith(": " + ", ".join(names_of_batch(0, 1)))


def test_training_needs_images_and_whole_ones(tmp_path):
    train_photos, validation = photos()
    network = build()
    for parts in (([], validation), (train_photos, [])):
        with pytest.raises(ValueError, match="needs images"):
            yolo.train_detector(
                network, *parts, ANCHORS, SETTINGS, folder=tmp_path / "run"
            )
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(train_photos[0].image_path.read_bytes()[:-500])
    spoiled = dataclasses.replace(validation[-1], image_path=broken)
    with pytest.raises(ValueError, match="broken.jpg: empty, cut off"):
        yolo.train_detector(
            network,
            train_photos,
            [*validation[:-1], spoiled],
            ANCHORS,
            SETTINGS,
            folder=tmp_path / "run",
        )


def test_training_refuses_a_folder_with_foreign_files(tmp_path):
    (tmp_path / "history.csv").write_text("mine")
    with pytest.raises(ValueError, match="files of yours"):
        train(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]
    assert (tmp_path / "history.csv").read_text() == "mine"
