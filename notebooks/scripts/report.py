"""What a run on other data gave: its curves as a picture, its average precisions as a table.

    VOC_DIR=... python notebooks/scripts/report.py PICTURE      # after `VOC_DIR=... make run`

Reads history.json and results.json of the artifacts folder. The table has the classes with at least 20 objects that are not
difficult in the split that was tested on: of fewer, an average precision says little. No photo appears in either.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from matplotlib.figure import Figure

import yolo_helpers as yolo

LEAST_OBJECTS = 20


def draw_curves(history, path):
    """Losses on the left, validation mAP on the right, over the epochs."""
    validated = [row for row in history if row["validation_map"] is not None]
    figure = Figure(figsize=(9, 2.8), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, colour, label in (("loss", "#30638e", "training"), ("validation_loss", "#d1495b", "validation")):
        rows = validated if name == "validation_loss" else history
        left.plot([row["epoch"] for row in rows], [row[name] for row in rows], color=colour, label=label)
    left.legend(frameon=False)
    left.set(xlabel="epoch", ylabel="loss per image", ylim=(0, None))
    right.plot([row["epoch"] for row in validated], [row["validation_map"] for row in validated], color="#d1495b")
    right.set(xlabel="epoch", ylabel="validation mAP@.5", ylim=(0, None))
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Software": None})


def table(average_precision, annotations):
    """Markdown lines: each class with enough objects, best first, and their mean."""
    labels = np.concatenate([a.labels[~a.difficult] for a in annotations])
    counts = {name: int((labels == label).sum()) for label, name in enumerate(yolo.CLASSES)}
    scores = {name: average_precision[name] for name in yolo.CLASSES if counts[name] >= LEAST_OBJECTS}
    rows = [f"| {name} | {counts[name]} | {scores[name]:.3f} |" for name in sorted(scores, key=scores.get, reverse=True)]
    mean = (
        f"| **mean of these {len(rows)}** | {sum(counts[name] for name in scores)} | **{np.mean(list(scores.values())):.3f}** |"
    )
    return "\n".join(["| class | objects | average precision |", "|---|---|---|", *rows, mean])


def main():
    settings = yolo.load_settings()
    splits = yolo.load_splits(settings.voc_dir)
    data = yolo.fingerprint(splits.train)
    history = yolo.find_artifact(settings, "history.json", "05_training", data)
    results = yolo.find_artifact(settings, "results.json", "06_inference", data)
    draw_curves(yolo.read_artifact(history)["history"], sys.argv[1])
    print(table(yolo.read_artifact(results)["average_precision"], splits.test))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
