"""Compare finished runs on the same data: a table of classes, a picture of the curves.

    VOC_DIR=... python notebooks/scripts/report.py curves.png \\
        "random weights=runs/random" "carried weights=runs/carried"

Each run is the output folder of train.py or `make run`. The table has the classes with
at least 20 objects in the test images, because an average precision of fewer says
little. No photo appears in either.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
from matplotlib.figure import Figure

import yolo_helpers as yolo

LEAST_OBJECTS = 20
COLOURS = ("#30638e", "#d1495b", "#66a182", "#edae49", "#8d6a9f")


def count_objects(annotations, classes):
    """{class name: number of objects that are not difficult}"""
    labels = [annotation.labels[~annotation.difficult] for annotation in annotations]
    counts = np.bincount(np.concatenate(labels), minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def table(runs, counts):
    """Markdown lines: each class with enough objects, the most frequent first.

    Parameters
    ----------
    runs : dict
        {name of a run: {class name: average precision}}
    counts : dict
        From `count_objects`.
    """
    names = [name for name, count in counts.items() if count >= LEAST_OBJECTS]
    names.sort(key=lambda name: -counts[name])
    lines = [
        f"| class | objects | {' | '.join(runs)} |",
        "|---" * (len(runs) + 2) + "|",
    ]
    for name in names:
        cells = [f"{scores[name]:.3f}" for scores in runs.values()]
        lines.append(f"| {name} | {counts[name]} | {' | '.join(cells)} |")
    means = [np.mean([scores[name] for name in names]) for scores in runs.values()]
    cells = [f"**{mean:.3f}**" for mean in means]
    total = sum(counts[name] for name in names)
    lines.append(f"| **mean of these {len(names)}** | {total} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw_curves(histories, path):
    """Losses on the left and validation mAP on the right, over the epochs."""
    figure = Figure(figsize=(9, 3.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (name, history) in enumerate(histories.items()):
        colour = COLOURS[number % len(COLOURS)]
        epochs = np.arange(1, len(history["loss"]) + 1)
        left.plot(epochs, history["val_loss"], color=colour, label=name)
        left.plot(epochs, history["loss"], color=colour, linestyle=":")
        right.plot(epochs, history["val_map"], color=colour, label=name)
    left.set(xlabel="epoch", ylabel="loss per image", ylim=(0, None))
    left.set_title("Loss (dotted: training, solid: validation)", fontsize=11)
    right.set(xlabel="epoch", ylabel="validation mAP@.5", ylim=(0, None))
    right.set_title("Validation mAP", fontsize=11)
    right.legend(frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Software": None})


def parse_run(text):
    name, separator, folder = text.partition("=")
    if not (separator and name and folder):
        raise argparse.ArgumentTypeError(f"{text}: write NAME=FOLDER")
    return name, Path(folder)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", help="for the curves, as in curves.png")
    parser.add_argument("runs", nargs="+", type=parse_run, metavar="NAME=FOLDER")
    options = parser.parse_args(arguments)

    scores, histories = {}, {}
    for name, folder in options.runs:
        scores[name] = yolo.read_json(folder / "results.json")["average_precision"]
        histories[name] = yolo.read_json(folder / "history.json")["history"]
    settings = yolo.load_settings()
    test = yolo.load_splits(settings.voc_dir).test
    print(table(scores, count_objects(test, settings.classes)))
    draw_curves(histories, options.picture)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
