"""Plant twelve faults that people really make, each in a copy of the repository, and show what notices it.

    python tests/tools/planted_faults.py [NUMBER ...]

Runs the unit tests in each copy until the first fails. Ends with an error if a fault passes unnoticed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# what people do wrong, the right code in yolo_helpers.py, the wrong code
FAULTS = (
    ("width and height exchanged", "sizes * cells], axis=1)", "sizes[:, ::-1] * cells], axis=1)"),
    ("x and y exchanged", "tf.stack([column_row[:, 1], column_row[:, 0],", "tf.stack([column_row[:, 0], column_row[:, 1],"),
    ("anchors in the wrong unit", "anchors = tf.cast(anchors, tf.float32) * grid_size", "anchors = tf.cast(anchors, tf.float32)"),
    ("sigmoid forgotten", "(_grid_cells(y_pred) + tf.sigmoid(y_pred[..., :2]))", "(_grid_cells(y_pred) + y_pred[..., :2])"),
    ("grid offset forgotten", "(_grid_cells(y_pred) + tf.sigmoid(y_pred[..., :2]))", "tf.sigmoid(y_pred[..., :2])"),
    ("the ignore rule off", "(1 - responsible) * tf.cast(best_iou <= 0.6, tf.float32)", "1 - responsible"),
    ("the object scale on the wrong mask", "0.5 * 5 * responsible * (iou", "0.5 * 5 * background * (iou"),
    ("classes shifted by one", "tf.one_hot(labels, num_classes)", "tf.one_hot(labels + 1, num_classes)"),
    ("RGB and BGR exchanged", "return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)", "return image"),
    ("suppression across classes", " & (labels[:, None] == labels[None])", ""),
    ("difficult boxes counted", "counted = ~(hit & (difficult == 1))", "counted = hit | True"),
    ("boxes left in the network's frame", "boxes[kept] * np.tile(size, 2)", "boxes[kept] * 416"),
)


def plant(fault, folder):
    """A copy of the repository with the fault in it."""
    _, right, wrong = fault
    copy = Path(folder) / "copy"
    ignored = shutil.ignore_patterns(".git", ".venv", "artifacts", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, copy, ignore=ignored)
    module = copy / "yolo_helpers.py"
    text = module.read_text()
    if text.count(right) != 1:
        sys.exit(f"yolo_helpers.py: {right!r} stands there {text.count(right)} times, not once; correct this script")
    module.write_text(text.replace(right, wrong))
    return copy


def noticed_by(copy):
    """The first test that fails in the copy, or None."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "tests"]
    result = subprocess.run(command, cwd=copy, capture_output=True, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    return next((line.split(" ")[1] for line in result.stdout.splitlines() if line.startswith("FAILED")), None)


def main():
    chosen = [int(number) for number in sys.argv[1:]] or range(1, len(FAULTS) + 1)
    missed = 0
    for number in chosen:
        with tempfile.TemporaryDirectory() as folder:
            test = noticed_by(plant(FAULTS[number - 1], folder))
        print(f"{number:2d} {FAULTS[number - 1][0]:<36} {test or 'NOT NOTICED'}", flush=True)
        missed += test is None
    sys.exit(f"{missed} faults passed unnoticed" if missed else 0)


if __name__ == "__main__":
    main()
