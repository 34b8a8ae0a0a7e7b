"""The ablation script: each row leaves out what it says, trains whole, and the report does not claim more than the seeds show."""

import dataclasses
import importlib.util
import json

import numpy as np
import pytest
import tensorflow as tf

import yolo_helpers as yolo

pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")
SMALL = dict(
    width=0.125,
    phases=(yolo.Phase(1, (64, 96), (0.4, 1.6)),),
    image_size=96,
    batch_size=4,
    pretrain_epochs=1,
    crop_size=32,
    epochs=1,
)


@pytest.fixture(scope="module")
def ablation():
    path = yolo.ROOT / "notebooks" / "scripts" / "ablation.py"
    spec = importlib.util.spec_from_file_location("ablation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small():
    return dataclasses.replace(yolo.load_settings(), **SMALL)


@pytest.fixture(scope="module")
def splits():
    return yolo.Splits(*(part[:4] for part in yolo.load_splits(yolo.load_settings().voc_dir)[:3]), "test")


@pytest.fixture
def eager():
    """No graphs: for one step, making one would take most of the time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def one_batch(splits, anchors, **changes):
    options = dict(image_size=64, batch_size=4, training=True, seed=0)
    return next(iter(yolo.make_dataset(splits.train, anchors, **{**options, **changes})))


@pytest.fixture(scope="module")
def anchors(splits):
    return yolo.kmeans_anchors(yolo.box_sizes(splits.train), 4)[0]


ROWS = [
    *("full", "anchors", "norm", "passthrough", "order", "multiscale"),
    *("augmentation", "pretraining", "warmup", "scale", "series"),
]


def test_these_are_all_rows(ablation):
    assert list(ablation.ROWS) == ROWS


@pytest.mark.parametrize("name", ROWS)
def test_every_row_builds_and_one_step_changes_all_weights(ablation, small, splits, anchors, eager, name):
    row = ablation.ROWS[name]
    anchors = anchors if row.anchors is None else row.anchors
    with ablation.patched(row):
        model = ablation.build(row, small, anchors)
        before = [v.numpy() for v in model.trainable_variables]
        images, (y, true_boxes) = one_batch(splits, anchors)
        loss = yolo.TrainStep(model, anchors, weight_decay=0.0).run(images, y, true_boxes, 0.1, True)
    assert np.isfinite(loss)
    still = [v.path for v, old in zip(model.trainable_variables, before, strict=True) if np.array_equal(v, old)]
    assert still == []


def test_the_whole_script_on_next_to_nothing(ablation, small, splits, eager, tmp_path, monkeypatch, capsys):
    """Two rows, two seeds; the second call trains what the first one left."""
    monkeypatch.setattr(yolo, "load_splits", lambda voc_dir: splits)
    trained, train_row = [], ablation.train_row

    def noted(name, seed, *rest):
        trained.append((name, seed))
        return train_row(name, seed, *rest)

    monkeypatch.setattr(ablation, "train_row", noted)
    path = tmp_path / "ablation.json"
    whole = (yolo.yolo_loss, yolo._augmented, yolo.recoloured)
    ablation.main(["--seeds", "1", "--epochs", "1", "--rows", "full", "series", "--file", str(path)], small)
    assert trained == [("full", 0), ("series", 0)]
    assert whole == (yolo.yolo_loss, yolo._augmented, yolo.recoloured)
    ablation.main(["--seeds", "2", "--epochs", "1", "--rows", "full", "--file", str(path)], small)
    assert trained[2:] == [("full", 1)]

    text = capsys.readouterr().out
    rows = text[text.rindex("| full recipe") :].splitlines()
    assert len(rows) == 2 and all(row.endswith(", undecided |") for row in rows[1:])
    assert (tmp_path / "ablation.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ablation.json", "ablation.png"]
    with pytest.raises(ValueError, match="other settings; delete it or name another --file"):
        ablation.main(["--epochs", "2", "--file", str(path)], small)


def line(row, score, diverged=False):
    return {"row": row, "map": score, "diverged": diverged}


def verdicts(ablation, results):
    """{label: last column} of the table."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in ablation.table(results).splitlines()[2:]]
    return {row[0]: row[3] for row in rows}


def test_a_difference_within_the_spread_of_either_row_is_undecided(ablation):
    full = [line("full", score) for score in (0.30, 0.34, 0.32)]
    rows = {
        "norm": (0.20, 0.21, 0.22),  # below
        "passthrough": (0.29, 0.28, 0.30),  # within the full recipe's spread
        "warmup": (0.15, 0.33, 0.24),  # beyond it, but within its own
        "augmentation": (0.1,),  # a single seed
    }
    results = full + [line(name, score) for name, scores in rows.items() for score in scores]
    found = verdicts(ablation, results)
    assert found == {
        "full recipe": "",
        "no batch norm": "-0.110",
        "no passthrough": "-0.030, undecided",
        "no augmentation": "-0.220, undecided",
        "no warm-up": "-0.080, undecided",
    }


def test_a_row_without_the_full_recipe_or_that_diverged(ablation):
    found = verdicts(ablation, [line("series", 0.0, True), line("series", 0.2)])
    assert list(found) == ["the series' loss (1 of 2 diverged)"] and found.popitem()[1].endswith("undecided")


def test_a_diverged_training_is_a_result(ablation, small, splits, eager, monkeypatch):
    def breaks(*args, **options):
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr(yolo, "train_detector", breaks)
    result = ablation.train_row("pretraining", 0, small, splits)
    assert result["diverged"] and result["map"] == 0.0


def test_without_results_there_is_one_line(ablation, tmp_path, small):
    with pytest.raises(FileNotFoundError, match="no results yet"):
        ablation.main(["--report", "--file", str(tmp_path / "none.json")], small)


@pytest.mark.parametrize("wrong", [["--seeds", "0"], ["--epochs", "0"], ["--rows", "wheels"]])
def test_options_that_cannot_be_used(ablation, small, wrong):
    with pytest.raises(SystemExit) as caught:
        ablation.main(wrong, small)
    assert caught.value.code == 2


# ------------------------------------------------------------------------------------------------
# What the rows leave out


def test_all_rows_have_the_same_pixels(ablation):
    voc = yolo.load_split(yolo.ROOT / "data" / "mini_voc", "train")
    tiny = yolo.Settings(profile="tiny", voc_dir=yolo.ROOT, artifacts=yolo.ROOT, **yolo.PROFILES["tiny"])
    budget = None
    for name in ROWS:
        settings = ablation.settings_of(ablation.ROWS[name], tiny, voc)
        crops, epoch = ablation.pixels(settings, voc)
        budget = budget or crops + settings.epochs * epoch
        assert abs(crops + settings.epochs * epoch - budget) <= epoch / 2, name
        assert settings.patience == settings.epochs
    assert [len(phase.sides) for phase in ablation.settings_of(ablation.ROWS["multiscale"], tiny, voc).phases] == [1] * len(tiny.phases)
    assert ablation.settings_of(ablation.ROWS["pretraining"], tiny, voc).epochs > tiny.epochs
    assert ablation.settings_of(ablation.ROWS["scale"], tiny, voc).coordinate_scale == 1 != tiny.coordinate_scale
    settings = [ablation.settings_of(ablation.ROWS[name], tiny, voc) for name in ("full", "order")]
    models = [ablation.build(ablation.ROWS["order"], its, np.ones((4, 2))) for its in settings]
    assert [model.get_layer("passthrough").order for model in models] == ["space_to_depth", "darknet"]


def test_networks_lack_their_part_and_nothing_else(ablation, small, anchors):
    full, norm, narrow = (ablation.build(ablation.ROWS[name], small, anchors) for name in ("full", "norm", "passthrough"))
    first = [model.get_layer("conv_3").kernel.numpy() for model in (full, norm, narrow)]
    assert np.array_equal(first[0], first[1]) and np.array_equal(first[0], first[2])  # the same initial weights
    paths = {v.path for v in full.variables}
    assert {v.path for v in norm.variables} == {p for p in paths if "norm" not in p or p.endswith("beta")}
    assert {v.path for v in narrow.variables} == {p for p in paths if "_21" not in p}
    assert narrow.get_layer("conv_22").kernel.shape[2] == full.get_layer("conv_20").kernel.shape[3]


def test_the_row_without_augmentation_sees_the_photos_as_they_are(ablation, splits, anchors):
    with ablation.patched(ablation.ROWS["augmentation"]):
        images, (y, _) = one_batch(splits, anchors)
    order = yolo.epoch_order(4, 4, 0, 0).numpy()
    plain, (targets, _) = one_batch(splits, anchors, training=False)
    np.testing.assert_array_equal(images, plain.numpy()[order])
    np.testing.assert_array_equal(y, targets.numpy()[order])


def objectness_gradient(loss, raw, y, true_boxes, anchors):
    raw = tf.Variable(raw)
    with tf.GradientTape() as tape:
        total = sum(loss(y, true_boxes, raw, anchors))
    return tape.gradient(total, raw).numpy()


def test_the_series_loss_has_its_four_mistakes(ablation):
    anchors = np.array([[0.3, 0.3]], np.float32)
    y, true_boxes = yolo.encode_boxes([[0.29, 0.35, 0.59, 0.65]], [3], anchors, 5)
    raw = np.zeros((1, 5, 5, 1, 25), np.float32)
    raw[0, 2, 2, 0, :4] = np.log([0.25, 1, 0.3, 0.3])  # responsible: the same centre, .09 of the area, objectness .5
    raw[0, 2, 1, 0, 0] = 10  # its neighbour: the same size, .2 of a cell beside it, so an IoU of .76
    arguments = (raw, y[None], true_boxes[None], anchors)
    series, darknet = (objectness_gradient(loss, *arguments)[0] for loss in (ablation.series_loss, yolo.yolo_loss))
    slope = 0.25  # of the sigmoid at 0
    assert series[2, 2, 0, 4] == pytest.approx(0.45 * (0.5 - 0.09) * slope, rel=1e-3)
    assert darknet[2, 2, 0, 4] == pytest.approx(5 * (0.5 - 0.09) * slope, rel=1e-3)
    assert darknet[2, 1, 0, 4] == 0 and series[2, 1, 0, 4] == pytest.approx(0.5 * slope, rel=1e-3)
    # width: (predicted - true) * predicted, in cells, plus what flows through the IoU: d(2.5 i (i - o)^2)/di * di/dw
    of_iou = 2.5 * ((0.09 - 0.5) ** 2 + 2 * 0.09 * (0.09 - 0.5)) * 0.09
    assert series[2, 2, 0, 2] == pytest.approx((0.45 - 1.5) * 0.45 + of_iou, rel=1e-3)
    assert darknet[2, 2, 0, 2] == pytest.approx((2 - 0.09) * np.log(0.3), rel=1e-3)


def test_without_warmup_the_loss_is_the_same_with_and_without_it(ablation, anchors):
    raw, y = np.random.default_rng(0).normal(size=(1, 2, 2, 4, 25)).astype(np.float32), np.zeros((1, 2, 2, 4, 25), np.float32)
    boxes = np.zeros((1, 1, 1, 1, 50, 4), np.float32)
    on, off = (float(sum(ablation.loss_without_warmup(y, boxes, raw, anchors, warmup))) for warmup in (True, False))
    assert on == off == float(sum(yolo.yolo_loss(y, boxes, raw, anchors, False)))
    assert off < float(sum(yolo.yolo_loss(y, boxes, raw, anchors, True)))


def test_results_are_written_after_each_training(ablation, small, splits, tmp_path, monkeypatch):
    def broken_off(name, seed, *rest):
        if name == "norm":
            raise KeyboardInterrupt
        return {**line(name, 0.5), "seed": seed, "seconds": 1}

    monkeypatch.setattr(ablation, "train_row", broken_off)
    path = tmp_path / "ablation.json"
    with pytest.raises(KeyboardInterrupt):
        ablation.run(path, ["full", "anchors", "norm"], 1, small, splits)
    assert [result["row"] for result in json.loads(path.read_text())["results"]] == ["full", "anchors"]
