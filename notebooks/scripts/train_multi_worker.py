"""Train on several machines: the model, loss and update of notebook 05, one process on each machine.

On each machine, with the same repository, data, settings and anchors.json (notebook 01), only the index differs:

    export TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:12345", "10.0.0.2:12345"]}, "task": {"type": "worker", "index": 0}}'
    VOC_DIR=/path/to/VOCdevkit/VOC2012 YOLO_PROFILE=full python notebooks/scripts/train_multi_worker.py

The addresses are those under which the machines reach each other, the ports must be free and open between them. The
processes wait for each other at the start. All GPUs of a machine are used; the settings' batch is the batch of all
machines together and must be a multiple of all their devices. Without TF_CONFIG it trains on this machine alone.
Every worker prints the loss of each epoch; the chief (the first worker) alone writes yolov2_weights.npz after each.

    --start FILE     weights to begin with: an .npz of this repository, or Darknet's, of which the head is left out

Keras 3's `fit` does not work with MultiWorkerMirroredStrategy, hence the loop below. There is no validation on the way:
notebook 06 evaluates the weights. When one machine fails, the others stop as well; start all again, with --start.
"""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

import yolo_helpers as yolo  # before TensorFlow: it keeps its start quiet

import tensorflow as tf  # isort: skip

WEIGHTS = "yolov2_weights.npz"


def place_in_cluster(text):
    """This process's number and the number of all workers, from the text of TF_CONFIG; the chief's number is 0.

    Raises ValueError in one line for a text that does not describe a cluster with this process in it.
    """
    if not text:
        return 0, 1
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        members = [(kind, i) for kind in ("chief", "worker") for i in range(len(cluster.get(kind, [])))]
        return members.index((task["type"], int(task["index"]))), len(members)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"TF_CONFIG: no cluster of workers with this process in it ({error}); see --help") from error


def starting_model(strategy, settings, num_anchors, start=None):
    """The model, with its variables on all devices: with random weights and a quiet start, or with those of the file `start`."""
    with strategy.scope():
        model = yolo.build_yolov2(None, num_anchors, width=settings.width, passthrough=settings.passthrough, seed=settings.seed)
    yolo.quiet_start(model)
    if start and Path(start).suffix == ".npz":
        yolo.load_weights(model, start)
    elif start:
        yolo.load_darknet_weights(model, start, head=False)
    return model


def train(model, annotations, anchors, settings, worker=0, workers=1):
    """All epochs of this worker's share; returns each epoch's mean loss per image. Every worker must call it.

    The update equals that of one device with the whole batch. Raises ValueError for a batch that cannot be shared
    evenly, and FloatingPointError when the loss is no longer finite; the loss is everybody's, so all stop together.
    """
    devices = model.distribute_strategy.num_replicas_in_sync
    if settings.batch_size % devices:
        raise ValueError(f"a batch of {settings.batch_size} cannot be shared evenly by {devices} devices; choose a multiple")
    options = dict(num_classes=model.output_shape[-1] - 5, worker=worker, workers=workers)
    dataset = yolo.training_batches(annotations, anchors, settings, **options)
    step, losses = yolo.TrainStep(model, anchors, settings.optimizer, settings.image_size, settings.coordinate_scale), []
    steps = math.ceil(len(annotations) / settings.batch_size)
    for epoch in range(settings.epochs):
        start = time.perf_counter()
        numbers = range(epoch * steps, (epoch + 1) * steps)
        losses.append(float(np.mean([one_step(step, dataset, number, settings, steps) for number in numbers])))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} in epoch {epoch + 1}; lower the learning rate")
        if worker == 0:
            made_from = {"data": yolo.fingerprint(annotations), "profile": settings.profile}
            yolo.save_weights(model, settings.artifacts / WEIGHTS, made_from)
        print(f"worker {worker}  epoch {epoch + 1:3d}/{settings.epochs}  loss {losses[-1]:6.2f}  "
              f"{time.perf_counter() - start:4.0f} s", flush=True)  # fmt: skip
    return losses


def one_step(step, dataset, number, settings, steps_per_epoch):
    """Update number `number` of the whole run, with rate and warm-up as in `train_detector`; returns the loss per image."""
    images, (y, true_boxes) = next(dataset)
    total = settings.epochs * steps_per_epoch
    rate = yolo.learning_rate_at(number, total, settings.learning_rate)
    return float(step.run(images, y, true_boxes, float(rate), number < 0.05 * total))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", metavar="FILE", help="weights to begin with")
    options = parser.parse_args()
    worker, workers = place_in_cluster(os.environ.get("TF_CONFIG"))
    settings = yolo.load_settings()
    annotations = yolo.load_splits(settings.voc_dir).train
    path = yolo.find_artifact(settings, "anchors.json", "01_anchor_clustering", yolo.fingerprint(annotations))
    anchors = np.array(yolo.read_artifact(path)["anchors"])
    # after everything that can go wrong on this machine alone: from here on, the workers wait for each other
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    model = starting_model(strategy, settings, len(anchors), options.start)
    train(model, annotations, anchors, settings, worker, workers)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"{error}")
