"""Measure how fast things are, as ratios of two sides within one run.

    python tests/tools/bench.py             # everything: some minutes
    python tests/tools/bench.py input loss  # only these; stores nothing

The names are input, loss, suppression, opencv and memory.
Times of one machine say nothing about another, and a busy machine disturbs them. So the
two sides of a ratio take turns, and the table has the median of the turns' ratios with
its quartiles. Far apart, they say "measure again when it is quieter". The table goes to
data/reference/bench.md.

Everything runs on two CPU cores with oneDNN, in the profile `tiny` on the carried data,
whatever the environment says.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

os.environ.update(
    TF_ENABLE_ONEDNN_OPTS="1", CUDA_VISIBLE_DEVICES="", YOLO_PROFILE="tiny"
)
for variable in ("VOC_DIR", "YOLO_EPOCHS", "YOLO_WEIGHTS"):
    os.environ.pop(variable, None)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "data")]

import cv2
import numpy as np

import yolo_helpers as yolo

import keras  # isort: skip
import tensorflow as tf  # isort: skip
from make_pretrained import darknet_cfg  # isort: skip

SETTINGS = yolo.load_settings()
TURN = 20  # training steps in one turn of the input
INPUT_TURNS = 12
GIGABYTE = 1e9


class Row(NamedTuple):
    """One line of the table."""

    what: str
    ratios: np.ndarray  # one for each turn
    target: str


def seconds(function):
    """Seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def take_turns(count, *functions, warm_up=2):
    """Seconds (count, functions) of functions that are called one after the other."""
    times = [
        [seconds(function) for function in functions] for _ in range(warm_up + count)
    ]
    times = np.array(times[warm_up:])
    print_medians(*times.T)
    return times


def print_medians(*sides):
    """Print each side's median in milliseconds: context, not a result."""
    texts = [f"{1000 * np.median(times):.1f} ms" for times in sides]
    print("   medians:", ", ".join(texts), flush=True)


def reference_anchors():
    """Anchors (A, 2) in grid units."""
    fractions = yolo.read_json(yolo.REFERENCE / "anchors.json")["anchors"]
    return np.array(fractions, np.float32) * yolo.GRID_SIZE


def build_network(anchors):
    return yolo.build_yolov2(
        None, len(anchors), len(SETTINGS.classes), SETTINGS.width, SETTINGS.seed
    )


def training_batches(anchors, settings, epochs=100):
    """A stream of batches as `train_detector` reads them, and their types."""
    train = yolo.load_splits(settings.voc_dir).train
    settings = replace(settings, epochs=epochs)  # more than are read
    dataset = yolo.make_dataset(train, anchors, settings, training=True)
    return iter(dataset), dataset.element_spec


def training_step(anchors, element_spec):
    """A compiled training step, as `fit` makes it; takes a batch."""
    detector = yolo.compile_detector(build_network(anchors), anchors, SETTINGS, 10**6)

    @tf.function(input_signature=element_spec, autograph=False)
    def step(images, targets):
        return detector.train_step((images, targets))["loss"]

    return lambda batch: float(step(*batch))


def measure_input():
    """Steps per second with the real input over those with batches in memory."""
    anchors = reference_anchors()
    batches, element_spec = training_batches(anchors, SETTINGS)
    step = training_step(anchors, element_spec)

    kept = {}  # image size -> a batch in memory
    for size in SETTINGS.train_sizes:
        own_batches, _ = training_batches(
            anchors, replace(SETTINGS, train_sizes=(size,)), epochs=1
        )
        kept[size] = next(own_batches)
        step(kept[size])  # also the warm-up

    def real_turn():
        """Sizes and seconds of a turn, after some steps that fill the buffers again."""
        for _ in range(4):
            step(next(batches))
        sizes = []
        start = time.perf_counter()
        for _ in range(TURN):
            batch = next(batches)
            step(batch)
            sizes.append(batch[0].shape[1])
        return sizes, time.perf_counter() - start

    def memory_turn(sizes):
        """Seconds of a turn with batches of the same sizes."""
        for size in sizes[:4]:
            step(kept[size])
        return seconds(lambda: [step(kept[size]) for size in sizes])

    times = []
    for _ in range(INPUT_TURNS):
        sizes, real = real_turn()
        times.append((real / TURN, memory_turn(sizes) / TURN))
    real, memory = np.array(times).T
    print_medians(real, memory)
    what = "training steps per second, real input over batches in memory"
    return [Row(what, memory / real, "at least 0.90")]


def measure_loss():
    """Seconds of the loss with its gradient over those of a training step."""
    anchors = reference_anchors()
    settings = replace(SETTINGS, train_sizes=(SETTINGS.image_size,))
    batches, element_spec = training_batches(anchors, settings)
    step = training_step(anchors, element_spec)
    batch = next(batches)
    images, (y, true_boxes) = batch
    raw = tf.constant(build_network(anchors).predict_on_batch(images))

    @tf.function(autograph=False)
    def loss_and_gradient(raw):
        with tf.GradientTape() as tape:
            tape.watch(raw)
            loss = tf.add_n(yolo.yolo_loss(y, true_boxes, raw, anchors))
        return tape.gradient(loss, raw)

    times = take_turns(40, lambda: loss_and_gradient(raw).numpy(), lambda: step(batch))
    loss, whole = times.T
    what = "loss and its gradient, share of a training step"
    return [Row(what, loss / whole, "at most 0.05")]


def measure_suppression():
    """Seconds of decoding and suppression over those of the forward pass."""
    anchors = reference_anchors()
    annotations = yolo.load_splits(SETTINGS.voc_dir).test[:16]
    path = yolo.REFERENCE / "yolov2.json"
    if path.exists():
        network = yolo.load_detector(path).network
    else:
        print("   with random weights: there is no trained detector yet")
        network = build_network(anchors)
    dataset = yolo.make_dataset(annotations, anchors, SETTINGS, training=False)
    images = next(iter(dataset))[0].numpy()
    raw = network.predict_on_batch(images)
    sizes = [(annotation.width, annotation.height) for annotation in annotations]

    rows = []
    for threshold, purpose, target in (
        (yolo.DETECTION_THRESHOLD, "for pictures", "at most 0.05"),
        (yolo.EVALUATION_THRESHOLD, "for the mAP", ""),
    ):

        def decode(threshold=threshold):
            yolo.detections_from_output(
                raw, anchors, sizes, threshold, yolo.NMS_THRESHOLD
            )

        times = take_turns(30, decode, lambda: network.predict_on_batch(images))
        decoding, forward = times.T
        what = (
            f"decoding and suppression, scores above {threshold} ({purpose}), "
            "share of the forward pass"
        )
        rows.append(Row(what, decoding / forward, target))
    return rows


def measure_opencv():
    """Images per second at full width over those of OpenCV's `cv2.dnn`."""
    if not hasattr(cv2.dnn, "readNetFromDarknet"):
        print("   left out: OpenCV 5 does not read Darknet's files any more")
        return []
    anchors = reference_anchors()
    image = np.random.default_rng(0).random((1, 416, 416, 3), np.float32)
    planes = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    network = yolo.build_yolov2(416, len(anchors))
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "yolo.cfg")
        weights = Path(folder, "yolo.weights")
        text = darknet_cfg(416, 1.0, anchors, num_classes=20)
        # Without its last section the result is the raw output, as ours is.
        configuration.write_text(text[: text.index("[region]")])
        yolo.save_darknet_weights(network, weights)
        other = cv2.dnn.readNetFromDarknet(str(configuration), str(weights))

    def opencv():
        other.setInput(planes)
        return other.forward()

    expected = opencv().transpose(0, 2, 3, 1).ravel()
    raw = network.predict_on_batch(image).ravel()
    difference = np.abs(raw - expected).max() / np.abs(expected).max()
    assert difference < 1e-3, f"OpenCV computes something else: {difference}"
    times = take_turns(15, opencv, lambda: network.predict_on_batch(image))
    what = "images per second at full width, ours over OpenCV's `cv2.dnn`"
    return [Row(what, times[:, 0] / times[:, 1], "")]


def measure_memory():
    """Peak memory of a training: as a share of 2 GB, and with four times the images."""
    peaks = {}
    for count in (100, 400):
        command = [sys.executable, __file__, "--train", str(count)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        peaks[count] = int(output.stdout.split()[-1])
    texts = [f"{peak / GIGABYTE:.2f} GB on {n} images" for n, peak in peaks.items()]
    print("   peaks:", ", ".join(texts), flush=True)
    share = np.array([peaks[400] / (2 * GIGABYTE)])
    growth = np.array([peaks[400] / peaks[100]])
    return [
        Row("peak memory of a training on 400 images, share of 2 GB", share, "below 1"),
        Row("peak memory of a training, 400 images over 100", growth, "about 1"),
    ]


def train_and_print_peak(count):
    """Train on `count` images for 400 / count epochs; the last word is the peak."""
    splits = yolo.load_splits(SETTINGS.voc_dir)
    anchors = reference_anchors()
    settings = replace(SETTINGS, epochs=400 // count, patience=10, weights=None)
    with tempfile.TemporaryDirectory() as folder:
        yolo.train_detector(
            build_network(anchors),
            splits.train[:count],
            splits.validation[:32],
            anchors,
            settings,
            folder=folder,
        )
    print(peak_memory())


def peak_memory():
    """Most bytes that this process has had in memory."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts the parent's memory in getrusage
        words = status.read_text().split("VmHWM:")[1].split()
        return 1024 * int(words[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def as_text(value):
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def table(rows):
    """The rows as a Markdown table."""
    lines = ["| what | ratio | quartiles | target |", "|---|---|---|---|"]
    for row in rows:
        low, median, high = map(as_text, np.percentile(row.ratios, (25, 50, 75)))
        spread = f"{low} to {high}" if len(row.ratios) > 1 else ""
        lines.append(f"| {row.what} | {median} | {spread} | {row.target} |")
    return "\n".join(lines)


MEASURES = {
    "input": measure_input,
    "loss": measure_loss,
    "suppression": measure_suppression,
    "opencv": measure_opencv,
    "memory": measure_memory,
}


def main():
    names = sys.argv[1:] or list(MEASURES)
    for name in names:
        if name not in MEASURES:
            sys.exit(f"{name}: choose from {', '.join(MEASURES)}")
    rows = []
    for name in names:
        print(f"{name}: {MEASURES[name].__doc__}", flush=True)
        rows += MEASURES[name]()
    versions = (
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, "
        f"OpenCV {cv2.__version__}"
    )
    text = (
        "Ratios of two sides, measured in turns on two CPU cores, "
        f"{versions}. Written by `make bench`.\n\n{table(rows)}\n"
    )
    print(f"\n{text}", end="")
    if not sys.argv[1:]:
        (yolo.REFERENCE / "bench.md").write_text(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train_and_print_peak(int(sys.argv[2]))
    else:
        main()
