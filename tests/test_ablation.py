"""The ablation: each row leaves out what it says, and the report claims no more than
the seeds show."""

import dataclasses
import importlib.util
import os
from unittest import mock

import numpy as np
import pytest

import yolo_helpers as yolo

import tensorflow as tf  # isort: skip

pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config")
SMALL = {
    "width": 0.125,
    "train_sizes": (64, 96),
    "image_size": 96,
    "batch_size": 2,
    "epochs": 1,
    "patience": 1,
    "weights": None,
}
ROWS = ["full", "anchors", "norm", "passthrough", "multiscale", "small", "series"]


@pytest.fixture(scope="module")
def ablation():
    path = yolo.ROOT / "notebooks" / "scripts" / "ablation.py"
    spec = importlib.util.spec_from_file_location("ablation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small():
    return dataclasses.replace(yolo.load_settings(), **SMALL)


@pytest.fixture(scope="module")
def splits():
    train, validation, test, name = yolo.load_splits(yolo.load_settings().voc_dir)
    return yolo.Splits(train[:4], validation[:2], test[:2], name)


@pytest.fixture
def eager():
    """No graphs: for one step, making one would take most of the time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_these_are_all_rows(ablation):
    assert list(ablation.ROWS) == ROWS


def test_expected_signs_were_written_down_for_all_rows_but_the_full_one(ablation):
    for name, row in ablation.ROWS.items():
        assert row.expected in ([""] if name == "full" else ["+", "-"]), name
        assert row.label in ablation.__doc__ or name == "full"


# --------------------------------------------------------------------------------------
# What the rows leave out


@pytest.mark.parametrize("name", ["full", "norm", "passthrough", "series"])
def test_one_step_changes_all_weights(ablation, small, splits, eager, name):
    row = ablation.ROWS[name]
    anchors = np.array([[1, 1], [2, 4], [4, 3], [7, 7]], np.float32)
    with ablation.patched(row):
        network = ablation.build(row, small, len(anchors))
        before = [variable.numpy() for variable in network.trainable_variables]
        detector = yolo.compile_detector(network, anchors, small, total_steps=1)
        dataset = yolo.make_dataset(splits.train, anchors, small, training=True)
        images, targets = next(iter(dataset))
        logs = detector.train_on_batch(images, targets)
    assert np.isfinite(logs).all()
    unchanged = [
        variable.path
        for variable, old in zip(network.trainable_variables, before, strict=True)
        if np.array_equal(variable, old)
    ]
    assert unchanged == []


def test_networks_lack_their_part_and_nothing_else(ablation, small):
    full, norm, narrow = (
        ablation.build(ablation.ROWS[name], small, 4)
        for name in ("full", "norm", "passthrough")
    )
    kernels = [network.get_layer("conv_3").kernel for network in (full, norm, narrow)]
    assert np.array_equal(kernels[0], kernels[1])  # the same initial weights
    assert np.array_equal(kernels[0], kernels[2])
    heads = [network.get_layer("conv_23") for network in (full, norm, narrow)]
    for head in heads[1:]:  # all say "probably no object" at first
        for first, second in zip(heads[0].variables, head.variables, strict=True):
            assert np.array_equal(first, second)
    assert heads[0].bias.numpy().min() < -3

    paths = {variable.path for variable in full.variables}
    without_norm = {path for path in paths if "norm" not in path}
    biases = {f"conv_{number}/bias" for number in range(1, 23)}
    assert {v.path for v in norm.variables} == without_norm | biases
    without_21 = {path for path in paths if "_21/" not in path}
    assert {v.path for v in narrow.variables} == without_21
    narrow_input = narrow.get_layer("conv_22").kernel.shape[2]
    assert narrow_input == full.get_layer("conv_20").kernel.shape[3]


def test_variants_can_be_saved_and_read_again(ablation, small, tmp_path):
    """`train_detector` does so with the best epoch."""
    for name in ("norm", "passthrough"):
        row = ablation.ROWS[name]
        network = ablation.build(row, small, 4)
        other = ablation.build(row, dataclasses.replace(small, seed=5), 4)
        yolo.save_darknet_weights(network, tmp_path / "variant.weights")
        yolo.load_darknet_weights(other, tmp_path / "variant.weights")
        for first, second in zip(network.variables, other.variables, strict=True):
            np.testing.assert_array_equal(first, second)


def test_rows_with_other_sizes_change_nothing_else(ablation, small):
    for name, sizes, image_size in (
        ("multiscale", (416,), small.image_size),
        ("small", ablation.SMALL_SIZES, 224),
    ):
        changed = ablation.row_settings(ablation.ROWS[name], small, seed=3)
        assert changed.train_sizes == sizes and changed.image_size == image_size
        back = {"train_sizes": small.train_sizes, "image_size": small.image_size}
        assert dataclasses.replace(changed, **back, seed=small.seed) == small
    normal = yolo.PROFILES["tiny"]["train_sizes"]
    assert len(ablation.SMALL_SIZES) == len(normal)
    for size, own in zip(normal, ablation.SMALL_SIZES, strict=True):
        assert own % 32 == 0 and abs(own - size * 224 / 416) <= 16


def objectness_gradient(loss, raw, y, true_boxes, anchors):
    raw = tf.Variable(raw)
    with tf.GradientTape() as tape:
        total = tf.add_n(loss(y, true_boxes, raw, anchors))
    return tape.gradient(total, raw).numpy()[0]


def test_the_series_loss_has_its_mistakes(ablation):
    anchors = np.array([[1.5, 1.5]], np.float32)  # a square of 0.3 in a grid of 5
    box = [[0.29, 0.35, 0.59, 0.65]]
    y, true_boxes = yolo.encode_boxes(box, [3], anchors, 5, num_classes=20)
    raw = np.zeros((1, 5, 5, 1, 25), np.float32)
    # The responsible prediction has the same centre, 0.09 of the area, objectness 0.5.
    raw[0, 2, 2, 0, :4] = np.log([0.25, 1, 0.3, 0.3])
    # Its neighbour has the same size and lies 0.2 cells beside it: an IoU of 0.76.
    raw[0, 2, 1, 0, 0] = 10
    arguments = (raw, y[None], true_boxes[None], anchors)
    series = objectness_gradient(ablation.series_loss, *arguments)
    darknet = objectness_gradient(yolo.yolo_loss, *arguments)

    slope = 0.25  # of the sigmoid at 0
    difference = 0.5 - 0.09
    assert series[2, 2, 0, 4] == pytest.approx(0.45 * difference * slope, rel=1e-3)
    assert darknet[2, 2, 0, 4] == pytest.approx(5 * difference * slope, rel=1e-3)
    assert series[2, 1, 0, 4] == pytest.approx(0.5 * slope, rel=1e-3)
    assert darknet[2, 1, 0, 4] == 0  # it is ignored
    # Width: (predicted - true) * predicted in cells, and what flows through the IoU i:
    # d(2.5 i (i - o)^2) / di, times di / dw.
    through_iou = 2.5 * (difference**2 - 2 * 0.09 * difference) * 0.09
    expected = (0.45 - 1.5) * 0.45 + through_iou
    assert series[2, 2, 0, 2] == pytest.approx(expected, rel=1e-3)
    assert darknet[2, 2, 0, 2] == pytest.approx((2 - 0.09) * np.log(0.3), rel=1e-3)


def test_functions_are_replaced_only_while_a_row_runs(ablation):
    before = yolo.yolo_loss
    with ablation.patched(ablation.ROWS["series"]):
        assert yolo.yolo_loss is ablation.series_loss
    assert yolo.yolo_loss is before


# --------------------------------------------------------------------------------------
# Running


def test_a_row_is_trained_with_the_functions_of_train_py(
    ablation, small, splits, eager, monkeypatch
):
    seen = []
    whole = ablation.train.train_and_evaluate

    def noted(settings, splits, anchors, network, folder, **options):
        seen.append((settings.seed, anchors, yolo.yolo_loss))
        return whole(settings, splits, anchors, network, folder, **options)

    monkeypatch.setattr(ablation.train, "train_and_evaluate", noted)
    entry = ablation.train_row("series", 2, small, splits)
    assert entry["row"] == "series" and entry["seed"] == 2 and not entry["diverged"]
    assert 0 <= entry["map"] <= 1 and 0 <= entry["val_map"] <= 1
    ((seed, anchors, loss),) = seen
    assert seed == 2 and loss is ablation.series_loss
    assert anchors.max() > 1  # grid units


def test_a_training_that_diverges_is_a_result(ablation, small, splits, monkeypatch):
    def breaks(*args, **options):
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr(ablation.train, "train_and_evaluate", breaks)
    entry = ablation.train_row("anchors", 0, small, splits)
    assert entry["diverged"] and entry["map"] == 0.0


def quick_row(name, seed, *rest):
    return {"row": name, "seed": seed, "map": 0.5, "val_map": 0.5, "diverged": False}


def test_an_interrupted_run_continues_with_what_is_missing(
    ablation, small, splits, tmp_path, monkeypatch
):
    trained = []

    def interrupted(name, seed, *rest):
        if (name, seed) == ("norm", 1):
            raise KeyboardInterrupt
        return quick_row(name, seed)

    def noted(name, seed, *rest):
        trained.append((name, seed))
        return quick_row(name, seed)

    path = tmp_path / "ablation.json"
    arguments = (path, ["full", "norm"], 2, small, splits)
    monkeypatch.setattr(ablation, "train_row", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ablation.run_missing(*arguments)
    assert len(yolo.read_json(path)["results"]) == 3
    monkeypatch.setattr(ablation, "train_row", noted)
    ablation.run_missing(*arguments)
    assert trained == [("norm", 1)]
    assert len(yolo.read_json(path)["results"]) == 4


def test_results_of_other_settings_are_not_mixed(
    ablation, small, splits, tmp_path, monkeypatch
):
    monkeypatch.setattr(ablation, "train_row", quick_row)
    path = tmp_path / "ablation.json"
    ablation.run_missing(path, ["full"], 1, small, splits)
    before = path.read_bytes()
    other_settings = dataclasses.replace(small, epochs=2)
    fewer = splits._replace(train=splits.train[:2])
    for settings, data in ((other_settings, splits), (small, fewer)):
        with pytest.raises(ValueError, match="other data or settings") as caught:
            ablation.run_missing(path, ["full"], 2, settings, data)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_settings_are_those_of_tiny_from_random_weights(ablation):
    data = yolo.ROOT / "data" / "mini_voc"
    options = ablation.parse([f"--data={data}", "--epochs=7"])
    with mock.patch.dict(os.environ, YOLO_WEIGHTS="/some.weights", YOLO_PROFILE="full"):
        settings = ablation.load_settings(options)
    assert settings.profile == "tiny" and settings.weights is None
    assert settings.epochs == settings.patience == 7  # no early stopping
    assert settings.learning_rate == 1e-3  # Adam's, as in make_pretrained.py
    assert settings.voc_dir == data


def test_without_scenes_or_results_there_is_one_line(ablation, tmp_path):
    for words in (["--data", str(tmp_path)], ["--report"]):
        words = [*words, "--file", str(tmp_path / "none.json")]
        with pytest.raises(
            (ValueError, OSError), match="no scenes|no results"
        ) as error:
            ablation.main(words)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [["--seeds", "0"], ["--seeds", "11"], ["--epochs", "0"], ["--rows", "wheels"]],
)
def test_options_that_cannot_be_used_are_refused(ablation, wrong):
    with pytest.raises(SystemExit) as caught:
        ablation.parse(wrong)
    assert caught.value.code == 2


# --------------------------------------------------------------------------------------
# Report


def entries(row, scores, diverged=False):
    return [
        {"row": row, "seed": seed, "map": score, "diverged": diverged}
        for seed, score in enumerate(scores)
    ]


def cells_of(ablation, results):
    """{label: the other cells} of the table."""
    rows = {}
    for line in ablation.table(results).splitlines()[2:]:
        label, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[label] = cells
    return rows


def test_the_interval_is_that_of_students_t_distribution(ablation):
    """Reference values: scipy.stats.t.interval(0.95, 2, mean, sem)."""
    mean, half_width = ablation.interval([0.01, 0.02, 0.06])
    assert mean == pytest.approx(0.03)
    assert half_width == pytest.approx(0.065725, abs=1e-5)


def test_a_row_whose_interval_contains_zero_is_undecided(ablation):
    full = [0.30, 0.34, 0.32]
    results = entries("full", full)
    results += entries("norm", [0.20, 0.245, 0.215])  # always about 0.1 below
    results += entries("passthrough", [0.29, 0.35, 0.30])  # now above, now below
    results += entries("series", [0.10])  # a single seed
    results += entries("multiscale", [score + 0.05 for score in full])
    found = cells_of(ablation, results)
    assert found["full recipe"] == ["0.320", "", "", "", ""]
    assert found["no batch norm"][1] == "-0.100"
    assert found["no batch norm"][3:] == ["-", "-"]
    assert found["no passthrough"][4] == "undecided"
    assert found["the series' loss"][2:] == ["none", "-", "undecided"]
    assert found["no multi-scale"][3:] == ["+", "+"]


def test_differences_are_between_runs_of_the_same_seed(ablation):
    """Each seed is 0.05 better than the full recipe, whatever order they stand in."""
    results = entries("full", [0.1, 0.5, 0.9])
    results += entries("anchors", [0.15, 0.55, 0.95])[::-1]
    cells = cells_of(ablation, results)["hand-picked anchors"]
    assert cells[1] == "+0.050" and cells[4] == "+"


def test_diverged_trainings_are_counted_in_the_label(ablation):
    results = entries("full", [0.3, 0.4]) + entries("norm", [0.0, 0.0], diverged=True)
    assert "no batch norm (2 of 2 diverged)" in cells_of(ablation, results)


def test_the_report_prints_the_table_and_draws_the_figure(ablation, tmp_path, capsys):
    path = tmp_path / "ablation.json"
    results = entries("full", [0.3, 0.4]) + entries("series", [0.1, 0.25])
    made_from = {"epochs": 10, "train": "800 images"}
    yolo.write_json(path, {"made_from": made_from, "results": results})
    ablation.main(["--report", "--file", str(path)])
    text = capsys.readouterr().out
    assert "10 epochs, 800 images" in text and ablation.table(results) in text
    assert path.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
