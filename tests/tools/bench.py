"""Measure how fast things are, as ratios of two sides within one run, and store the table in data/reference/bench.md.

    python tests/tools/bench.py           # all: some minutes
    python tests/tools/bench.py NAME ...  # only some of input, generator, loss, opencv, suppression, memory; stores nothing

Times of one machine say nothing about another, and a busy machine disturbs them. So the two sides of a ratio take turns, and
the table has the median of the turns' ratios with its quartiles: far apart, they say "measure again when it is quieter".
Everything runs on two CPU cores with oneDNN, in the profile `tiny` on the carried data, whatever the environment says.
"""
# ruff: noqa: E402 (the environment is set before TensorFlow is imported)

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

os.environ.update(TF_ENABLE_ONEDNN_OPTS="1", CUDA_VISIBLE_DEVICES="", YOLO_PROFILE="tiny")  # before TensorFlow is imported
for variable in ("VOC_DIR", "YOLO_EPOCHS"):
    os.environ.pop(variable, None)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
sys.path[:0] = [str(Path(__file__).resolve().parents[folder]) for folder in (2, 1)]

import cv2
import numpy as np
from plain import plain

import yolo_helpers as yolo

import tensorflow as tf  # isort: skip

REFERENCE = yolo.ROOT / "data" / "reference"
Row = namedtuple("Row", "what ratios target")  # ratios: one for each turn; target: as text
SETTINGS = yolo.load_settings()


def seconds(function):
    """Seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def turns(count, *functions, warm_up=2):
    """(count, functions) seconds of the functions, called one after the other in each turn; the first turns are not counted."""
    times = np.array([[seconds(function) for function in functions] for _ in range(warm_up + count)])[warm_up:]
    print_medians(*times.T)
    return times


def print_medians(*sides):
    """Each side's median in milliseconds: context, not a result."""
    print("   medians:", ", ".join(f"{1000 * np.median(times):.1f} ms" for times in sides), flush=True)


def reference_anchors():
    """(k, 2) anchors in fractions."""
    return np.array(yolo.read_artifact(REFERENCE / "anchors.json")["anchors"], np.float32)


def training_model(anchors):
    """The network as `tiny` trains it after pre-training: first convolutions frozen, in half precision where that is faster."""
    model = yolo.build_yolov2(None, len(anchors), width=SETTINGS.width, passthrough=SETTINGS.passthrough)
    yolo.quiet_start(model, SETTINGS.frozen)
    yolo.use_half_precision(model)
    return model


def training_batches(anchors, sides, zoom=(1, 1)):
    """An endless stream of batches as `train_detector` reads them, at the given sides in pixels."""
    options = dict(batch_size=SETTINGS.batch_size, jitter=SETTINGS.jitter, zoom=zoom, training=True, seed=0)
    train = yolo.load_splits(SETTINGS.voc_dir).train
    return iter(yolo.make_dataset(train, anchors, image_size=sides, num_epochs=10**6, **options))


def measure_input():
    """Steps per second with the real input over those with batches of the same sides in memory, in turns of 20 steps."""
    anchors = reference_anchors()
    step = yolo.TrainStep(training_model(anchors), anchors, SETTINGS.optimizer)
    kept = {}

    def seconds_of_steps(source, settle=4, count=20):
        """Sides, and seconds of `count` steps after some in which full or empty buffers come to rest."""
        sides, start = [], 0.0
        for number in range(settle + count):
            start = time.perf_counter() if number == settle else start
            images, (y, true_boxes) = batch = next(source)
            float(step.run(images, y, true_boxes, 1e-4, False))
            kept.setdefault(images.shape[1], batch)
            sides.append(images.shape[1])
        return sides, time.perf_counter() - start

    rows, whole, begin = [], np.zeros((5, 2)), 0
    for until, sides, zoom in SETTINGS.phases:
        batches, times = training_batches(anchors, sides, zoom), []
        while not kept.keys() >= set(sides):  # also the warm-up
            seconds_of_steps(batches)
        for _ in range(5):
            chosen, real = seconds_of_steps(batches)
            times.append((real / 20, seconds_of_steps(kept[side] for side in chosen)[1] / 20))
        whole, begin = whole + (until - begin) * np.array(times), until
        real, memory = np.array(times).T
        print_medians(real, memory)
        when = f"{' to '.join(str(side) for side in dict.fromkeys((min(sides), max(sides))))} px, until {until:.0%} of the epochs"
        what = f"training steps per second, real input over batches in memory, {when}"
        rows.append(Row(what, memory / real, "at least .85, aim .95"))
    return [*rows, Row("the same, over a whole training", whole[:, 1] / whole[:, 0], "at least .85, aim .95")]


def measure_generator():
    """Images per second of `make_dataset` over those of notebook 02's plain generator, at 416 px, once it runs."""
    anchors, annotations = reference_anchors(), yolo.load_splits(SETTINGS.voc_dir).train
    options = dict(image_size=416, batch_size=16, training=False, seed=0, num_epochs=100)  # more than are read
    batches = iter(yolo.make_dataset(annotations, anchors, **options))
    generator = plain("02_encoding", "SimpleBatchGenerator")(annotations, anchors, 416, 16)
    numbers = 4 * list(range(len(generator)))  # many, as between the turns some batches are prepared unmeasured

    def read(source):
        for _ in source:
            pass

    fast, slow = turns(
        5, lambda: read(next(batches) for _ in numbers), lambda: read(generator[number] for number in numbers), warm_up=1
    ).T
    return [Row("images per second, `make_dataset` over notebook 02's plain generator", slow / fast, "at least 3")]


def measure_loss():
    """Seconds of the loss with its gradient in the raw outputs over those of a training step, at the side of validation."""
    anchors = tf.constant(reference_anchors())
    images, (y, true_boxes) = next(training_batches(anchors, SETTINGS.image_size))
    model = training_model(anchors)
    step, raw = yolo.TrainStep(model, anchors, SETTINGS.optimizer), tf.constant(model.predict_on_batch(images))

    @tf.function
    def loss_and_gradient(raw):
        with tf.GradientTape() as tape:
            tape.watch(raw)
            loss = tf.add_n(list(yolo.yolo_loss(y, true_boxes, raw, anchors)))
        return tape.gradient(loss, raw)

    loss, whole = turns(40, lambda: loss_and_gradient(raw).numpy(), lambda: float(step.run(images, y, true_boxes, 1e-4, False))).T
    return [Row("loss and its gradient, share of a training step", loss / whole, "at most .05")]


def measure_opencv():
    """Inference of one 416 px image, batch norm folded: over OpenCV's at full width, and over the unfolded at two widths."""
    image, rows = np.random.default_rng(0).random((1, 416, 416, 3), np.float32), []
    planes = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    for width in (1.0, 0.25):
        model = yolo.build_yolov2(416, width=width)
        folded = plain("06_inference", "fold_batch_norm")(model)
        network = opencv_network(model, 416, width)

        def opencv(network=network):
            network.setInput(planes)
            return network.forward().transpose(0, 2, 3, 1).ravel()

        expected, raw = opencv(), folded.predict_on_batch(image).ravel()
        assert np.abs(raw - expected).max() < 1e-3 * np.abs(expected).max(), "OpenCV computes something else"
        predictions = [lambda its=its: its.predict_on_batch(image) for its in (model, folded)]
        other, unfolded, own = turns(15 if width == 1 else 40, opencv, *predictions).T
        if width == 1:
            rows.append(Row("images per second, folded full-width network over OpenCV's `cv2.dnn`", other / own, "aim .9"))
        rows.append(Row(f"images per second, batch norm folded over not folded, width {width:g}", unfolded / own, ""))
    return rows


def opencv_network(model, side, width):
    """The same network and weights, read from Darknet's files by OpenCV 4's importer."""
    with tempfile.TemporaryDirectory() as folder:
        configuration, weights = Path(folder, "yolo.cfg"), Path(folder, "yolo.weights")
        configuration.write_text(plain("03_model", "darknet_cfg")(side, 100, width))
        plain("03_model", "save_darknet_weights")(model, weights)
        return cv2.dnn.readNetFromDarknet(str(configuration), str(weights))


def measure_suppression():
    """Seconds of decoding and suppression of a batch of 16 over those of its forward pass, at two score thresholds."""
    anchors, annotations = reference_anchors(), yolo.load_splits(SETTINGS.voc_dir).test[:16]
    model = yolo.build_yolov2(None, len(anchors), width=SETTINGS.width, passthrough=SETTINGS.passthrough)
    try:
        yolo.load_weights(model, REFERENCE / "yolov2_weights.npz")
    except ValueError as error:
        print(f"   with random weights: {error}")
    options = dict(image_size=SETTINGS.image_size, batch_size=16, training=False, seed=0)
    images = next(iter(yolo.make_dataset(annotations, anchors, **options)))[0].numpy()
    raw, sizes = model.predict_on_batch(images), [(annotation.width, annotation.height) for annotation in annotations]
    rows = []
    for threshold, purpose in ((0.25, "for pictures"), (0.005, "for measuring")):
        decode = lambda threshold=threshold: yolo.detections_from_output(raw, anchors, sizes, threshold, 0.45)  # noqa: E731
        decoding, forward = turns(30, decode, lambda: model.predict_on_batch(images)).T
        what = f"decoding and suppression, scores above {threshold} ({purpose}), share of the forward pass"
        rows.append(Row(what, decoding / forward, "at most .05"))
    return rows


def measure_memory():
    """Peak resident memory of training: on 400 images as a share of 3 GB, and over that on 100 images with as many steps."""
    peaks = {}
    for count in (100, 400):
        output = subprocess.run([sys.executable, __file__, "--train", str(count)], check=True, stdout=subprocess.PIPE, text=True)
        peaks[count] = int(output.stdout.split()[-1])
    print("   peaks:", ", ".join(f"{peak / 1e9:.2f} GB on {count} images" for count, peak in peaks.items()), flush=True)
    return [
        Row("peak memory of training on 400 images, share of 3 GB", np.array([peaks[400] / 3e9]), "below 1"),
        Row("peak memory of training, 400 images over 100", np.array([peaks[400] / peaks[100]]), "about 1"),
    ]


def train_and_print_peak(count):
    """Train on `count` images for 400 / count epochs at the largest sides, with validation; the last word printed: peak bytes."""
    splits, anchors = yolo.load_splits(SETTINGS.voc_dir), reference_anchors()
    settings = replace(SETTINGS, epochs=400 // count, phases=SETTINGS.phases[-1:])
    model = training_model(anchors)
    with tempfile.TemporaryDirectory() as folder:
        yolo.train_detector(model, splits.train[:count], splits.validation[:16], anchors, settings, folder=folder)
    print(peak_memory())


def peak_memory():
    """Bytes that this process had in memory at most."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: its getrusage counts what the starting process had, too
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def table(rows):
    """The rows as a markdown table."""
    lines = ["| what | ratio | quartiles | target |", "|---|---|---|---|"]
    for what, ratios, target in rows:
        low, median, high = (f"{value:.3f}" if value < 0.1 else f"{value:.2f}" for value in np.percentile(ratios, (25, 50, 75)))
        lines.append(f"| {what} | {median} | {f'{low} to {high}' if len(ratios) > 1 else ''} | {target} |")
    return "\n".join(lines)


MEASURES = dict(input=measure_input, generator=measure_generator, loss=measure_loss, opencv=measure_opencv,
                suppression=measure_suppression, memory=measure_memory)  # fmt: skip


def main():
    names = sys.argv[1:] or list(MEASURES)
    if unknown := [name for name in names if name not in MEASURES]:
        sys.exit(f"{unknown[0]}: choose from {', '.join(MEASURES)}")
    rows = []
    for name in names:
        print(f"{name}: {MEASURES[name].__doc__}", flush=True)
        rows += MEASURES[name]()
    versions = f"TensorFlow {tf.__version__}, Keras {yolo.keras.__version__}, OpenCV {cv2.__version__}"
    text = f"Ratios of two sides, measured in turns on two CPU cores, {versions}. Written by `make bench`.\n\n{table(rows)}\n"
    print(f"\n{text}", end="")
    if not sys.argv[1:]:
        (REFERENCE / "bench.md").write_text(text)


if __name__ == "__main__":
    train_and_print_peak(int(sys.argv[2])) if sys.argv[1:2] == ["--train"] else main()
