"""Train a detector without the notebooks: what chapters 1, 3, 5 and 6 do, in one go.

    python notebooks/scripts/train.py                            # as `make run` does
    python notebooks/scripts/train.py --epochs 60 --out runs/long
    python notebooks/scripts/train.py --weights none             # from random weights
    python notebooks/scripts/train.py --data my_voc --out runs/mine

It finds anchors by k-means in the training boxes, builds the network with pre-trained
or random weights, trains it and evaluates it on the test images. In the end it prints a
table of all classes and the mAP. The files in the output folder are those of the
notebooks: anchors.json, pretrained.json, yolov2.weights, yolov2.json, history.json,
history.csv, results.json and detections.jpg. detect.py runs the trained detector.

An interrupted training continues after its last finished epoch when the same command is
given again. All GPUs of this machine share each batch.
"""

import argparse
import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import cv2
import numpy as np

import yolo_helpers as yolo

import keras  # isort: skip
import tensorflow as tf  # isort: skip

NUM_ANCHORS = 4
KMEANS_RESTARTS = 10
SHOWN_IMAGES = 6  # of the test images, in detections.jpg


class Run(NamedTuple):
    """What a training gave."""

    network: keras.Model  # with the weights of the best epoch
    history: dict  # of lists with one value per epoch, see `train_detector`
    evaluation: yolo.Evaluation  # on the test images


def set_environment(options):
    """Turn command-line options into the variables that `load_settings` reads."""
    variables = {
        "VOC_DIR": options.data,
        "YOLO_PROFILE": options.profile,
        "YOLO_WEIGHTS": options.weights,
        "YOLO_EPOCHS": options.epochs,
        "YOLO_ARTIFACTS": options.out,
    }
    for name, value in variables.items():
        if value is not None:
            os.environ[name] = str(value)


def find_anchors(annotations, seed=0):
    """Chapter 1: anchors as fractions of the image, and their mean IoU."""
    sizes = yolo.box_sizes(annotations)
    fractions, mean_iou = yolo.kmeans_anchors(
        sizes, NUM_ANCHORS, seed=seed, restarts=KMEANS_RESTARTS
    )
    return fractions.round(6), mean_iou


def choose_strategy():
    """All GPUs of this machine if there are several, else the only device."""
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def build_network(settings, num_anchors, strategy=None):
    """Chapter 3: the network with the weights that the settings name.

    Parameters
    ----------
    settings : Settings
    num_anchors : int
    strategy : tf.distribute.Strategy, optional
        The default is that of `choose_strategy`.

    Returns
    -------
    keras.Model

    Raises
    ------
    FileNotFoundError or ValueError
        If there is no such weights file, or it does not fit.
    """
    strategy = strategy or choose_strategy()
    with strategy.scope():
        network = yolo.build_yolov2(
            num_anchors=num_anchors,
            num_classes=len(settings.classes),
            width=settings.width,
            seed=settings.seed,
            dtype=yolo.training_policy(settings),
        )
    if settings.weights:
        fetch_if_missing(settings)
        yolo.load_darknet_weights(network, settings.weights, head=False)
    yolo.set_objectness_bias(network)
    return network


def fetch_if_missing(settings):
    """Download the weights that the profile `full` starts from, if they are missing."""
    is_default = settings.weights == ROOT / yolo.PROFILES["full"]["weights"]
    if is_default and not settings.weights.exists():
        command = [sys.executable, ROOT / "data" / "fetch_voc.py", "weights"]
        if subprocess.run(command).returncode:
            raise FileNotFoundError(
                f"{yolo.short_path(settings.weights)} could not be fetched; run again "
                "later, or start from random weights with --weights none"
            )


def freeze_backbone(network):
    """Let training change the head only."""
    for layer in network.layers:
        if layer.name != "conv_23":
            layer.trainable = False


def train_and_evaluate(
    settings, splits, anchors, network, folder, make_optimizer=yolo.momentum_sgd
):
    """Chapters 5 and 6: train a network, and evaluate its best epoch.

    Parameters
    ----------
    settings : Settings
    splits : Splits
    anchors : array (A, 2)
        In grid units.
    network : keras.Model
        With the weights to start from.
    folder : path
    make_optimizer : function
        See `train_detector`.

    Returns
    -------
    Run

    Raises
    ------
    FloatingPointError
        When the loss is no longer finite.
    """
    history = yolo.train_detector(
        network,
        splits.train,
        splits.validation,
        anchors,
        settings,
        folder=folder,
        make_optimizer=make_optimizer,
    )
    _, evaluation = yolo.validate(network, splits.test, anchors, settings)
    return Run(network, history, evaluation)


def write_anchors(settings, annotations):
    """Write anchors.json; returns the anchors in grid units."""
    fractions, mean_iou = find_anchors(annotations, settings.seed)
    content = {
        "anchors": fractions.tolist(),
        "mean_iou": round(mean_iou, 4),
        "data": yolo.fingerprint(annotations),
    }
    yolo.write_json(settings.artifacts / "anchors.json", content)
    print(f"anchors: mean IoU {mean_iou:.3f} with the training boxes")
    return fractions.astype(np.float32) * yolo.GRID_SIZE


def write_start(settings, data):
    """Write pretrained.json: the weights that the training starts from."""
    weights = settings.weights
    content = {
        "weights": yolo.short_path(weights) if weights else None,
        "sha256": yolo.file_checksum(weights) if weights else None,
        "data": data,
    }
    yolo.write_json(settings.artifacts / "pretrained.json", content)
    print(f"start: {content['weights'] or 'random weights'}")


def write_results(run, splits, anchors, settings):
    """Write history.json, results.json and detections.jpg."""
    data = yolo.fingerprint(splits.train)
    folder = settings.artifacts
    history = {"history": run.history, "data": data, "profile": settings.profile}
    yolo.write_json(folder / "history.json", history)

    draw_detections(run.network, splits.test[:SHOWN_IMAGES], anchors, settings)
    evaluation = run.evaluation
    scores = [number_or_none(score) for score in evaluation.average_precision]
    results = {
        "map": number_or_none(evaluation.mean_average_precision),
        "average_precision": dict(zip(settings.classes, scores, strict=True)),
        "split": splits.test_name,
        "detections": "detections.jpg",
        "data": data,
    }
    yolo.write_json(folder / "results.json", results)


def number_or_none(value):
    """A number for a JSON file, which has no NaN."""
    return None if math.isnan(value) else round(float(value), 4)


def draw_detections(network, annotations, anchors, settings):
    """Write detections.jpg: the first test images side by side, with what was found."""
    side = settings.image_size
    images = [yolo.read_image(annotation.image_path) for annotation in annotations]
    tiles = []
    for image in images:
        square = cv2.resize(image, (side, side))
        boxes, scores, labels = yolo.detect(network, square, anchors, image_size=side)
        tile = yolo.draw_boxes(square, boxes, labels, scores, settings.classes)
        tiles.append(tile)
    empty = np.full((side, side, 3), 255, np.uint8)
    tiles += [empty] * (-len(tiles) % 3)
    rows = [np.hstack(tiles[start : start + 3]) for start in range(0, len(tiles), 3)]
    picture = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    with yolo.whole_file(settings.artifacts / "detections.jpg") as unfinished:
        unfinished.write_bytes(content.tobytes())


def class_table(evaluation, classes):
    """One line of text for each class, the best first."""
    width = max(len(name) for name in ("class", *classes))
    rows = []
    for label, name in enumerate(classes):
        score = evaluation.average_precision[label]
        rows.append((score, name, evaluation.curves[label].num_objects))
    rows.sort(key=lambda row: -np.nan_to_num(row[0], nan=-1.0))
    lines = [f"{'class':{width}}  objects  average precision"]
    for score, name, count in rows:
        text = "none to find" if math.isnan(score) else f"{score:.3f}"
        lines.append(f"{name:{width}}  {count:7d}  {text}")
    return "\n".join(lines)


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="in Pascal VOC's layout (default: the profile's)",
    )
    parser.add_argument("--profile", choices=yolo.PROFILES, help="default: tiny")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="Darknet weights to start from, or `none` (default: the profile's)",
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="default: the profile's"
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="for the results (default: data/artifacts)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument(
        "--freeze", action="store_true", help="train the head only, not the backbone"
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    set_environment(options)
    settings = yolo.load_settings()
    settings = dataclasses.replace(settings, seed=options.seed)
    splits = yolo.load_splits(settings.voc_dir)
    yolo.claim_folder(settings.artifacts)
    keras.utils.set_random_seed(settings.seed)

    anchors = write_anchors(settings, splits.train)
    network = build_network(settings, len(anchors))
    write_start(settings, yolo.fingerprint(splits.train))
    if options.freeze:
        freeze_backbone(network)
    run = train_and_evaluate(settings, splits, anchors, network, settings.artifacts)
    write_results(run, splits, anchors, settings)

    print(f"\n{class_table(run.evaluation, settings.classes)}\n")
    print(
        f"mAP@.5 on {splits.test_name}, over all classes: "
        f"{run.evaluation.mean_average_precision:.3f}"
    )
    print(f"results: {yolo.short_path(settings.artifacts)}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command continues after the last finished epoch")
