"""Training on several devices and machines gives the updates of one device.

Logical devices and workers must be set up before TensorFlow starts, so both run in
processes of their own. Each calls one of the functions without `test_` below by its
name, and ends itself after TIMEOUT seconds, even if this process is gone.

Two devices and one agree to 1e-3, not exactly, for three reasons:

- Keras clips each device's gradient before it adds them up, so the update is equal only
  when nothing is clipped. The tests set a limit that no gradient reaches.
- Keras' synchronized batch normalization computes the variance as E[x^2] - E[x]^2, and
  its ordinary one as E[(x - E[x])^2]. The first one loses digits.
- Leaky ReLU and max pooling have kinks. Where an activation lies on one, rounding alone
  turns a gradient. These two are made smooth here; nothing else is changed.
"""

import dataclasses
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest

import yolo_helpers as yolo

import keras  # isort: skip
import tensorflow as tf  # isort: skip

TIMEOUT = 600  # seconds; on two idle cores a process takes about 20
TOLERANCE = 1e-3
ANCHORS = np.array([[1, 1], [2, 4], [4, 3], [7, 7]], np.float32)
SMALL = {
    "width": 0.125,
    "train_sizes": (64,),
    "image_size": 64,
    "batch_size": 4,
    "epochs": 1,
    "learning_rate": 1e-3,
    "patience": 1,
    "weights": None,
    "mixed_precision": False,
}


def small_settings(folder):
    return dataclasses.replace(yolo.load_settings(), artifacts=folder, **SMALL)


def some_annotations(count=8):
    return yolo.load_split(yolo.ROOT / "data" / "mini_voc", "train")[:count]


def new_network(strategy):
    """A network on the strategy's devices, without kinks."""
    with strategy.scope():
        network = yolo.build_yolov2(
            None, len(ANCHORS), num_classes=20, width=SMALL["width"], seed=1
        )
    for layer in network.layers:
        if isinstance(layer, keras.layers.LeakyReLU):
            layer.negative_slope = 1.0
        if isinstance(layer, keras.layers.MaxPooling2D):
            layer.pool_mode = "average"
    return network


def script():
    """The multi-worker script as a module."""
    path = yolo.ROOT / "notebooks" / "scripts" / "train_multi_worker.py"
    spec = importlib.util.spec_from_file_location("train_multi_worker", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def values(variables):
    return [np.array(variable) for variable in variables]


def largest_difference(some, others):
    """Of two lists of arrays; relative to the largest value of an array above 1."""
    differences = [
        np.abs(a - b).max() / max(1.0, np.abs(a).max())
        for a, b in zip(some, others, strict=True)
    ]
    return float(max(differences))


def without_clipping():
    """A context in which no gradient is clipped."""
    return mock.patch.object(yolo, "LARGEST_GRADIENT", 1e9)


# --------------------------------------------------------------------------------------
# Processes


def start(function, folder, **environment):
    """Start `function(folder)` of this file in a new process and session."""
    code = (
        "import faulthandler, pathlib, sys\n"
        f"faulthandler.dump_traceback_later({TIMEOUT}, exit=True)\n"
        "import test_distributed\n"
        f"test_distributed.{function.__name__}(pathlib.Path(sys.argv[1]))"
    )
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
        start_new_session=True,
    )


def outputs(processes):
    """What the processes print, when all have ended well. None is left behind."""
    try:
        texts = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    for process, text in zip(processes, texts, strict=True):
        assert process.returncode == 0, text
    return texts


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


# --------------------------------------------------------------------------------------
# Two devices


def on_two_devices(folder):
    """In a process of its own: an epoch of `train_detector` on one device and on two.

    The last line is JSON: by how much the results differ.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    two_devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two_devices)
    one = tf.distribute.get_strategy()
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    annotations = some_annotations()
    results = []
    for name, strategy in (("one", one), ("two", two)):
        network = new_network(strategy)
        before = values(network.trainable_variables)
        last = LastValues()
        with without_clipping():
            history = yolo.train_detector(
                network,
                annotations,
                annotations[:3],
                ANCHORS,
                small_settings(folder / name),
                folder=folder / name,
                callbacks=[last],
            )
        results.append((history, before, last))
    (history, before, single), (shared_history, _, shared) = results
    losses = {
        name: abs(shared_history[name][0] / history[name][0] - 1)
        for name in ("loss", "location", "size", "classes", "weight_decay", "val_loss")
    }
    report = {
        "devices": two.num_replicas_in_sync,
        "losses": losses,
        "weights": largest_difference(single.weights, shared.weights),
        "velocities": largest_difference(single.velocities, shared.velocities),
        "moments": largest_difference(single.moments, shared.moments),
        "moved": largest_difference(before, single.weights),
        "between devices": shared.between_devices,
        "refused": refusal(two),
    }
    print(json.dumps(report))


class LastValues(keras.callbacks.Callback):
    """Keeps the values at the end of the epoch: files are rounded, this is not."""

    def on_epoch_end(self, epoch, logs=None):
        network = self.model.network
        strategy = network.distribute_strategy
        self.weights = values(network.trainable_variables)
        self.moments = values(network.non_trainable_variables)
        self.velocities = values(self.model.optimizer.variables[2:])
        copies = [
            values(strategy.experimental_local_results(variable.value))
            for variable in network.variables
        ]
        firsts, lasts = zip(*((copy[0], copy[-1]) for copy in copies), strict=True)
        self.between_devices = largest_difference(firsts, lasts)


def refusal(strategy):
    """What is said about a batch of three on two devices."""
    settings = dataclasses.replace(small_settings(yolo.ROOT), batch_size=3)
    try:
        yolo.compile_detector(new_network(strategy), ANCHORS, settings, 1)
    except ValueError as error:
        return str(error)
    return "nothing"


def test_two_devices_make_the_updates_of_one(tmp_path):
    (text,) = outputs([start(on_two_devices, tmp_path)])
    result = json.loads(text.splitlines()[-1])
    assert result["devices"] == 2
    for name, difference in result["losses"].items():
        assert difference < TOLERANCE, (name, result)
    for name in ("weights", "velocities", "moments"):
        assert result[name] < TOLERANCE, (name, result)
    assert result["weights"] < 0.05 * result["moved"], result  # they did move
    assert result["between devices"] == 0, result
    assert "cannot be shared evenly" in result["refused"]


# --------------------------------------------------------------------------------------
# Two machines


def train_with_script(module, strategy, folder, worker=0, workers=1):
    """The script's training in two steps.

    Returns the losses, and the weights before and after.
    """
    settings = small_settings(folder / f"artifacts_{worker}")
    yolo.claim_folder(settings.artifacts)
    network = new_network(strategy)
    before = values(network.trainable_variables)
    with without_clipping():
        losses = module.train(
            network, some_annotations(), ANCHORS, settings, worker, workers
        )
    return losses, before, values(network.trainable_variables)


def as_worker(folder):
    """In a process of its own: the script's training as TF_CONFIG says."""
    module = script()
    worker, workers = module.place_in_cluster(os.environ["TF_CONFIG"])
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    losses, _, weights = train_with_script(module, strategy, folder, worker, workers)
    np.savez(folder / f"worker_{worker}.npz", *weights, losses=losses)


def test_two_workers_make_the_updates_of_one_and_the_chief_alone_writes(tmp_path):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        processes.append(start(as_worker, tmp_path, TF_CONFIG=config))
    texts = outputs(processes)
    for worker, text in enumerate(texts):
        assert f"worker {worker}  epoch 1/1  loss" in text, text
    written = sorted(path.parent.name for path in tmp_path.rglob("yolov2.*"))
    assert written == ["artifacts_0", "artifacts_0"]

    one = tf.distribute.get_strategy()
    losses, before, expected = train_with_script(script(), one, tmp_path / "alone")
    moved = largest_difference(before, expected)
    for worker in range(2):
        with np.load(tmp_path / f"worker_{worker}.npz") as found:
            weights = [found[f"arr_{i}"] for i in range(len(expected))]
            np.testing.assert_allclose(found["losses"], losses, rtol=TOLERANCE)
        difference = largest_difference(weights, expected)
        assert difference < TOLERANCE, difference
        assert difference < 0.05 * moved, (difference, moved)


def test_the_scripts_loop_makes_the_updates_of_fit(tmp_path):
    """On one device, the loop and `train_detector` give the same weights."""
    one = tf.distribute.get_strategy()
    losses, _, weights = train_with_script(script(), one, tmp_path)
    network = new_network(one)
    annotations = some_annotations()
    last = LastValues()
    settings = small_settings(tmp_path / "fit")
    with without_clipping():
        history = yolo.train_detector(
            network,
            annotations,
            annotations[:1],
            ANCHORS,
            settings,
            folder=tmp_path / "fit",
            callbacks=[last],
        )
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-5)
    assert largest_difference(weights, last.weights) < 1e-5


def test_the_workers_shares_are_the_whole_batch(tmp_path):
    settings = dataclasses.replace(
        small_settings(tmp_path), train_sizes=(64, 96), epochs=2, seed=3
    )

    def batches(worker, workers):
        dataset = yolo.make_dataset(
            some_annotations(7),
            ANCHORS,
            settings,
            training=True,
            worker=worker,
            workers=workers,
        )
        return [tf.nest.flatten(batch) for batch in dataset]

    whole = batches(0, 1)
    shares = [batches(0, 2), batches(1, 2)]
    assert len(whole) == len(shares[0]) == len(shares[1]) == 4
    for number, batch in enumerate(whole):
        for worker, share in enumerate(shares):
            for tensor, part in zip(batch, share[number], strict=True):
                np.testing.assert_array_equal(tensor[worker::2], part)


def test_the_place_in_the_cluster_is_that_of_tf_config():
    place = script().place_in_cluster
    assert place(None) == (0, 1)
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}

    def config(kind, index):
        task = {"type": kind, "index": index}
        return json.dumps({"cluster": cluster, "task": task})

    assert place(config("chief", 0)) == (0, 3)
    assert place(config("worker", 1)) == (2, 3)
    for wrong in ("{", "[]", "{}", config("worker", 2)):
        with pytest.raises(ValueError, match="TF_CONFIG: no cluster") as caught:
            place(wrong)
        assert "\n" not in str(caught.value)
