"""What do pre-trained weights give? The same recipe from different starts.

    python notebooks/scripts/compare_starts.py                # trains what is missing
    python notebooks/scripts/compare_starts.py --report       # only prints the table
    python notebooks/scripts/compare_starts.py --rows random pretrained --seeds 1

Rows, all with the settings of the profile `tiny`:

- random: from random weights,
- frozen: from the carried weights; only the head learns,
- pretrained: from the carried weights; everything learns,
- patience: as `pretrained`, with five times as many epochs.

Each training is measured on the validation images, which chose its best epoch, and on
the test images: over all classes, over the fifteen that the carried weights have seen,
and over the five that they have not. After each training the results are written to
data/reference/comparison.json, whole or not at all. An interrupted script goes on with
what is missing. Results of other data or settings are never mixed.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import numpy as np

import yolo_helpers as yolo

import keras  # isort: skip
import train as training  # isort: skip

RESULTS = yolo.REFERENCE / "comparison.json"
WORK = ROOT / "data" / "artifacts" / "comparison"
ROWS = {
    "random": "random weights",
    "frozen": "carried weights, backbone frozen",
    "pretrained": "carried weights, everything trained",
    "patience": "carried weights, everything trained, 5 times as long",
}
PATIENCE_FACTOR = 5


def row_settings(settings, name, seed):
    """The settings of one training."""
    changes = {"seed": seed}
    if name == "random":
        changes["weights"] = None
    if name == "patience":
        epochs = PATIENCE_FACTOR * settings.epochs
        changes |= {"epochs": epochs, "patience": epochs}
    return dataclasses.replace(settings, **changes)


def mean_of(average_precision, labels):
    """Mean average precision of some classes, without those that have no objects."""
    scores = average_precision[labels]
    return float(np.nanmean(scores))


def train_row(name, seed, settings, splits):
    """Train once; returns the result as a dictionary."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    start = time.perf_counter()
    settings = row_settings(settings, name, seed)
    fractions, _ = training.find_anchors(splits.train)
    anchors = fractions * yolo.GRID_SIZE
    network = training.build_network(settings, len(anchors))
    if name == "frozen":
        training.freeze_backbone(network)
    folder = WORK / f"{name}_{seed}"
    run = training.train_and_evaluate(settings, splits, anchors, network, folder)

    seen_names = yolo.read_json(ROOT / "data/pretrained/tiny.json")["classes"]
    is_seen = np.isin(settings.classes, seen_names)
    scores = run.evaluation.average_precision
    epochs = len(run.history["val_map"])
    steps = yolo.steps_per_epoch(splits.train, settings)
    return {
        "name": name,
        "seed": seed,
        "map_all": run.evaluation.mean_average_precision,
        "map_seen": mean_of(scores, is_seen),
        "map_new": mean_of(scores, ~is_seen),
        "val_map": max(run.history["val_map"]),
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "images": epochs * steps * settings.batch_size,
    }


def made_from(settings, splits):
    """All that must be equal for results to stand in one table."""
    return {
        "train": yolo.fingerprint(splits.train),
        "test": yolo.fingerprint(splits.test),
        "weights": yolo.file_checksum(settings.weights),
        "epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.batch_size,
        "width": settings.width,
        "image_size": settings.image_size,
        "train_sizes": list(settings.train_sizes),
    }


def read_results(expected):
    """Content of the results file, or of a new one.

    Raises
    ------
    ValueError
        If the file holds results of other data or settings.
    """
    if not RESULTS.exists():
        return {"made_from": expected, "rows": []}
    content = yolo.read_json(RESULTS)
    if content.get("made_from") != expected:
        raise ValueError(
            f"{yolo.short_path(RESULTS)}: results of other data or settings; move it "
            "away to measure anew"
        )
    return content


def table(rows):
    """The results as a Markdown table: mean and range over the seeds."""
    lines = [
        "| start | seeds | test mAP | fifteen seen classes | five new classes "
        "| validation mAP | images | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, label in ROWS.items():
        found = [row for row in rows if row["name"] == name]
        if not found:
            continue
        cells = [label, str(len(found))]
        for key in ("map_all", "map_seen", "map_new", "val_map"):
            values = [row[key] for row in found]
            cells.append(
                f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"
            )
        cells.append(f"{found[0]['images']:,}")
        cells.append(f"{np.mean([row['minutes'] for row in found]):.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="train nothing")
    options = parser.parse_args()

    if options.report:
        print(table(yolo.read_json(RESULTS)["rows"]))
        return
    settings = yolo.load_settings()
    splits = yolo.load_splits(settings.voc_dir)
    content = read_results(made_from(settings, splits))
    rows = content["rows"]
    done = {(row["name"], row["seed"]) for row in rows}
    yolo.claim_folder(WORK)
    for seed in range(options.seeds):
        for name in options.rows:
            if (name, seed) in done:
                continue
            print(f"--- {ROWS[name]}, seed {seed}", flush=True)
            rows.append(train_row(name, seed, settings, splits))
            rows.sort(key=lambda row: (list(ROWS).index(row["name"]), row["seed"]))
            yolo.write_json(RESULTS, content)
    print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(str(error))
