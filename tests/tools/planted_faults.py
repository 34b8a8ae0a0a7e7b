"""Plant twelve faults that people really make, and show which test notices each.

    python tests/tools/planted_faults.py [NUMBER ...]

Each fault replaces a function or constant of yolo_helpers.py while the unit tests run,
until the first of them fails. No file is changed. First the tests run without a fault,
because a test that always fails would notice everything. The program ends with an error
if a fault passes unnoticed.

This file is the program, and also the pytest plugin that plants the faults.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "YOLO_PLANTED_FAULT"  # the number of the fault, for the plugin
FILES = ("test_inference", "test_anchors_and_encoding", "test_loss_and_model")
SLOW_TESTS = "opencv or voc2012 or whole_data_sets or process"


# --------------------------------------------------------------------------------------
# The faults: each gets the module and replaces something in it


def exchange_width_and_height(yolo):
    encode_boxes = yolo.encode_boxes

    def wrong(*arguments):
        y, true_boxes = encode_boxes(*arguments)
        y[..., 2:4] = y[..., [3, 2]]
        true_boxes[..., 2:4] = true_boxes[..., [3, 2]]
        return y, true_boxes

    yolo.encode_boxes = wrong


def exchange_rows_and_columns(yolo):
    encode_boxes = yolo.encode_boxes

    def wrong(*arguments):
        y, true_boxes = encode_boxes(*arguments)
        return y.transpose(1, 0, 2, 3), true_boxes

    yolo.encode_boxes = wrong


def shift_classes(yolo):
    encode_boxes = yolo.encode_boxes

    def wrong(boxes, labels, anchors, grid_size, num_classes):
        labels = (np.asarray(labels) + 1) % num_classes
        return encode_boxes(boxes, labels, anchors, grid_size, num_classes)

    yolo.encode_boxes = wrong


def exchange_red_and_blue(yolo):
    read_image = yolo.read_image
    yolo.read_image = lambda path: read_image(path)[..., ::-1].copy()


def take_fractions_for_anchors(yolo):
    yolo_loss = yolo.yolo_loss

    def wrong(y_true, true_boxes, y_pred, anchors, anchor_warmup=False):
        anchors = np.asarray(anchors) / yolo.GRID_SIZE
        return yolo_loss(y_true, true_boxes, y_pred, anchors, anchor_warmup)

    yolo.yolo_loss = wrong


def forget_the_sigmoid(yolo):
    yolo.sigmoid = lambda x: x


def forget_the_cells(yolo):
    grid_cells = yolo.grid_cells
    yolo.grid_cells = lambda rows, columns: 0 * grid_cells(rows, columns)


def punish_all_background(yolo):
    yolo.IGNORE_THRESHOLD = 2.0


def weigh_objects_like_background(yolo):
    yolo.OBJECT_SCALE = 1.0


def suppress_across_classes(yolo):
    non_max_suppression = yolo.non_max_suppression

    def wrong(boxes, scores, labels, iou_threshold):
        one_class = np.zeros(len(labels), int)
        return non_max_suppression(boxes, scores, one_class, iou_threshold)

    yolo.non_max_suppression = wrong


def count_difficult_boxes(yolo):
    precision_recall = yolo.precision_recall

    def wrong(annotations, *arguments):
        easy = [
            dataclasses.replace(a, difficult=np.zeros(len(a.labels), bool))
            for a in annotations
        ]
        return precision_recall(easy, *arguments)

    yolo.precision_recall = wrong


def leave_boxes_in_the_networks_frame(yolo):
    detections_from_output = yolo.detections_from_output

    def wrong(raw, anchors, sizes, *thresholds):
        frames = [(416, 416)] * len(sizes)
        return detections_from_output(raw, anchors, frames, *thresholds)

    yolo.detections_from_output = wrong


FAULTS = (
    ("width and height exchanged", exchange_width_and_height),
    ("rows and columns exchanged", exchange_rows_and_columns),
    ("anchors in the wrong unit", take_fractions_for_anchors),
    ("sigmoid forgotten", forget_the_sigmoid),
    ("grid offset forgotten", forget_the_cells),
    ("the ignore rule off", punish_all_background),
    ("wrong weight of objectness", weigh_objects_like_background),
    ("classes shifted by one", shift_classes),
    ("RGB and BGR exchanged", exchange_red_and_blue),
    ("suppression across classes", suppress_across_classes),
    ("difficult boxes counted", count_difficult_boxes),
    ("boxes left in the network's frame", leave_boxes_in_the_networks_frame),
)


# --------------------------------------------------------------------------------------
# The plugin


def pytest_configure():
    """Plant the fault whose number the environment names."""
    number = int(os.environ.get(VARIABLE, 0))
    if number:
        import yolo_helpers

        FAULTS[number - 1][1](yolo_helpers)


# --------------------------------------------------------------------------------------
# The program


def failing_test(number):
    """The first test that fails with a fault planted, or None."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            VARIABLE: str(number),
            "PYTHONPATH": str(Path(__file__).parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": folder,
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header"]
        command += ["-p", "no:cacheprovider", "-p", "planted_faults"]
        command += ["-k", f"not ({SLOW_TESTS})"]
        command += [f"tests/{name}.py" for name in FILES]
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env=environment
        )
    failures = [
        line.split(" ")[1]
        for line in result.stdout.splitlines()
        if line.startswith("FAILED")
    ]
    if result.returncode and not failures:
        sys.exit(result.stdout + result.stderr)
    return failures[0].removeprefix("tests/") if failures else None


def main():
    chosen = [int(number) for number in sys.argv[1:]] or range(1, len(FAULTS) + 1)
    failing = failing_test(0)
    if failing:
        sys.exit(f"{failing} fails without any fault")
    missed = 0
    for number in chosen:
        test = failing_test(number)
        print(f"{number:2d} {FAULTS[number - 1][0]:<34} {test or 'NOT NOTICED'}")
        sys.stdout.flush()
        missed += test is None
    sys.exit(f"{missed} faults passed unnoticed" if missed else 0)


if __name__ == "__main__":
    main()
