"""Train on several machines: notebook 05's training, one process on each machine.

On each machine, with the same repository, data and settings, only the index differs:

    export TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:12345", "10.0.0.2:12345"]},
                       "task": {"type": "worker", "index": 0}}'
    VOC_DIR=/path/to/VOCdevkit/VOC2012 YOLO_PROFILE=full \\
        python notebooks/scripts/train_multi_worker.py

The addresses are those under which the machines reach each other. The ports must be
free and open between them. The processes wait for each other at the start. All GPUs of
a machine are used, in single precision. The batch of the settings is the batch of all
machines together, and must be a multiple of the number of all their GPUs. Without
TF_CONFIG the script trains on this machine alone.

It needs anchors.json (notebook 01) and starts from the weights of the settings, as
train.py does. Every worker prints the loss of each epoch. The chief, which is the first
worker, alone writes yolov2.weights and yolov2.json after each epoch. Nothing is
validated on the way: notebook 06 evaluates the result. When one machine fails, the
others stop as well. Start them all again with YOLO_WEIGHTS set to the yolov2.weights
that was written last, to continue from there with a new head.

Keras' `fit` does not support TensorFlow's MultiWorkerMirroredStrategy, so this script
has a loop of its own. Everything else is the module's.
"""

import argparse
import dataclasses
import json
import math
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import yolo_helpers as yolo

import keras  # isort: skip
import tensorflow as tf  # isort: skip
import train as script  # isort: skip


def place_in_cluster(text):
    """This process's number and the number of all workers. The chief's number is 0.

    Parameters
    ----------
    text : str or None
        TF_CONFIG. Without it, there is one worker.

    Raises
    ------
    ValueError
        If the text does not describe a cluster with this process in it.
    """
    if not text:
        return 0, 1
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        members = [
            (kind, index)
            for kind in ("chief", "worker")
            for index in range(len(cluster.get(kind, [])))
        ]
        place = members.index((task["type"], int(task["index"])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"TF_CONFIG: no cluster of workers with this process in it ({error}); "
            "see the top of train_multi_worker.py"
        ) from error
    return place, len(members)


def make_step(detector, strategy):
    """One training step on all devices of all workers.

    Returns
    -------
    function of images and targets, this worker's share of the batch
        Gives the loss of the whole batch, per image.
    """

    some_variable = detector.trainable_variables[0].value
    local_devices = len(strategy.experimental_local_results(some_variable))

    def on_device(images, targets):
        # Each device takes its share of this worker's share of the batch.
        context = tf.distribute.get_replica_context()
        place = context.replica_id_in_sync_group % local_devices
        images = images[place::local_devices]
        targets = [target[place::local_devices] for target in targets]
        with tf.GradientTape() as tape:
            raw = detector(images, training=True)
            loss = detector.compute_loss(y=tuple(targets), y_pred=raw)
        variables = detector.trainable_variables
        gradients = tape.gradient(loss, variables)
        # Clips, adds up the gradients of all devices, and changes the weights.
        detector.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def step(images, targets):
        losses = strategy.run(on_device, args=(images, targets))
        return strategy.reduce("sum", losses, axis=None)

    return step


def train(network, annotations, anchors, settings, worker=0, workers=1):
    """All epochs of this worker's share. Every worker must call it.

    Parameters
    ----------
    network : keras.Model
        Made in the strategy's scope.
    annotations : list of Annotation
        All training images. Each worker takes its share.
    anchors : array (A, 2)
        In grid units.
    settings : Settings
    worker, workers : int
        From `place_in_cluster`.

    Returns
    -------
    list of float
        Mean loss of each epoch, per image. It is the same for every worker.

    Raises
    ------
    FloatingPointError
        When the loss is no longer finite.
    """
    strategy = network.distribute_strategy
    steps = yolo.steps_per_epoch(annotations, settings)
    total_steps = steps * settings.epochs
    detector = yolo.compile_detector(network, anchors, settings, total_steps)
    dataset = yolo.make_dataset(
        annotations, anchors, settings, training=True, worker=worker, workers=workers
    )
    signature = dataset.element_spec
    step = tf.function(
        make_step(detector, strategy), input_signature=signature, autograph=False
    )

    batches = iter(dataset)
    history = []
    for epoch in range(settings.epochs):
        start = time.perf_counter()
        losses = [float(step(*next(batches))) for _ in range(steps)]
        loss = sum(losses) / steps
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} in epoch {epoch + 1}; lower the learning rate"
            )
        history.append(loss)
        if worker == 0:
            seen = (epoch + 1) * steps * settings.batch_size
            data = yolo.fingerprint(annotations)
            folder = settings.artifacts
            yolo.save_detector(network, folder, anchors, settings, data, seen)
        seconds = time.perf_counter() - start
        print(
            f"worker {worker}  epoch {epoch + 1}/{settings.epochs}  "
            f"loss {loss:.2f}  {seconds:.0f} s",
            flush=True,
        )
    return history


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    worker, workers = place_in_cluster(os.environ.get("TF_CONFIG"))
    settings = dataclasses.replace(yolo.load_settings(), mixed_precision=False)
    annotations = yolo.load_splits(settings.voc_dir).train
    anchors = yolo.load_anchors(settings, annotations)
    yolo.claim_folder(settings.artifacts)
    keras.utils.set_random_seed(settings.seed)
    # From here on the workers wait for each other, so this comes after everything that
    # can go wrong on one machine.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    network = script.build_network(settings, len(anchors), strategy)
    train(network, annotations, anchors, settings, worker, workers)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(str(error))
