"""Training on several devices and on several machines makes the updates of one device with the same batch.

Logical devices and workers must be set up before TensorFlow starts, so both run in processes of their own: each calls one
of the functions without `test_` below, by name, and ends itself after TIMEOUT seconds, even if this process is gone.

Leaky ReLU and max pooling have kinks: where an activation lies on one, rounding alone turns a gradient. Two steps of 1e-3 on
flat drawings then give weights that differ by 1e-5 to 1e-4, even on one device, if only the order of the images in the batch
is another. So these two are made smooth here (`without_kinks`); nothing else is changed, and every seed must agree to 1e-5.
"""

import dataclasses
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import yolo_helpers as yolo

TIMEOUT = 180  # seconds; on two idle cores a process takes about 20
ANCHORS = np.array([[0.1, 0.1], [0.2, 0.4], [0.4, 0.3], [0.7, 0.7]])
SMALL = dict(width=0.125, phases=(yolo.Phase(1, (64,), (0.4, 1.6)),), image_size=64, batch_size=4, pretrain_epochs=0, epochs=1,
             optimizer="sgd", learning_rate=1e-3, jitter=0.3)  # fmt: skip


def small_settings(folder):
    return dataclasses.replace(yolo.load_settings(), artifacts=folder, **SMALL)


def some_annotations(count=8):
    return yolo.load_split(yolo.ROOT / "data" / "mini_voc", "train")[:count]


def without_kinks(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.LeakyReLU):
            layer.negative_slope = 1.0
        if isinstance(layer, keras.layers.MaxPooling2D):
            layer.pool_mode = "average"
    return model


def script():
    """The multi-worker script as a module."""
    path = yolo.ROOT / "notebooks" / "scripts" / "train_multi_worker.py"
    spec = importlib.util.spec_from_file_location("train_multi_worker", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def values(variables):
    return [np.array(v) for v in variables]


def largest_difference(some, others):
    """Of two lists of arrays; in units of an array's largest value where that is above 1."""
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(a).max())) for a, b in zip(some, others, strict=True))


# ------------------------------------------------------------------------------------------------
# Processes


def start(function, folder, **environment):
    """Start `function(folder)` of this file in a new process and session."""
    code = f"import faulthandler; faulthandler.dump_traceback_later({TIMEOUT}, exit=True)\n"
    code += f"import pathlib, sys, test_distributed; test_distributed.{function.__name__}(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
    options = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True)
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], **options)


def outputs(processes):
    """What the processes print, when all have ended well; none of them, nor their children, is left behind."""
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
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


# ------------------------------------------------------------------------------------------------
# Two devices


def on_two_devices(folder):
    """In a process of its own: compare one device with two, and print the differences as JSON in the last line."""
    configurations = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], configurations)
    one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    steps = new_step(one), new_step(two)
    results = {"devices": two.num_replicas_in_sync, **compared_steps(*steps), **compared_norms(two)}
    print(json.dumps({**results, **compared_half_precision(one, two), **whole_training(steps[0].model, two, folder)}))


def new_model(strategy):
    with strategy.scope():
        return without_kinks(yolo.build_yolov2(None, len(ANCHORS), width=0.125, seed=1))


def new_step(strategy):
    model = new_model(strategy)
    with strategy.scope():
        return yolo.TrainStep(model, ANCHORS, clip_norm=tf.Variable(1.0))


def compared_steps(one, two):
    """Largest differences after two steps with momentum, the first with the gradient clipped, and the smallest movement."""
    initial, rows, moved = values(one.model.variables), [], []
    for seed in range(3):
        dataset = yolo.make_dataset(some_annotations(), ANCHORS, image_size=96, batch_size=4, training=True, seed=seed)
        images, targets = next(iter(dataset))
        # the halves have nothing in common: a mean over one is far from the whole's
        images *= tf.constant([0.1, 1.0, 0.2, 0.9])[:, None, None, None]
        (losses, *ours), (other_losses, *others) = (two_updates(step, initial, images, *targets) for step in (one, two))
        loss = max(abs(a / b - 1) for a, b in zip(losses, other_losses, strict=True))
        differences = [largest_difference(*pair) for pair in zip(ours, others, strict=True)]
        rows.append([loss, *differences])
        moved.append(largest_difference(values_of_weights(one.model, initial), ours[0]))
    names = ("loss", "weights", "moving moments", "velocities")
    refused = complaint(two, images[:3], *(target[:3] for target in targets))
    return {**dict(zip(names, np.max(rows, axis=0), strict=True)), "moved": min(moved), "refused": refused}


def values_of_weights(model, all_values):
    """Of values for all of the model's variables those that are trained."""
    return [value for variable, value in zip(model.variables, all_values, strict=True) if variable.trainable]


def two_updates(step, initial, *batch):
    """Losses, weights, moving moments and velocities after two steps from the initial weights, at rest."""
    velocities = step.optimizer.variables[2:]  # after the count of steps and the learning rate
    for variable, value in zip(step.model.variables, initial, strict=True):
        variable.assign(value)
    for variable in velocities:
        variable.assign(np.zeros(variable.shape))
    losses = []
    for clip_norm, warmup in ((1.0, True), (1e6, False)):
        step.clip_norm.assign(clip_norm)
        losses.append(float(step.run(*batch, 1e-3, warmup)))
    return losses, *(values(v) for v in (step.model.trainable_variables, step.model.non_trainable_variables, velocities))


def complaint(step, *batch):
    try:
        step.run(*batch, 1e-3, False)
    except tf.errors.InvalidArgumentError as error:
        return error.message
    return "none"


def compared_norms(two):
    """The layer alone: gradients of one device's fused operation against two's, and channels that are constant and large."""
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(2, 3, (4, 3, 3, 20)).astype(np.float32) for _ in range(2))
    x[2:] += 5
    x[..., 4:] = np.linspace(100, 3000, 16) + 0.1  # their variance must not come out negative by rounding

    def gradients(layer, x, weight):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(layer(x, training=True)) * weight)
        return tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])

    def new_layer(strategy):
        with strategy.scope():
            layer = yolo.FusedBatchNormalization(momentum=0.9, epsilon=1e-6)
            layer.build(x.shape)
        return layer

    def on_device():
        first = tf.distribute.get_replica_context().replica_id_in_sync_group * 2
        return gradients(shared, tf.constant(x)[first : first + 2], tf.constant(weight)[first : first + 2])

    alone, shared = new_layer(tf.distribute.get_strategy()), new_layer(two)
    expected = values(gradients(alone, tf.constant(x), tf.constant(weight)))
    of_devices = [values(two.experimental_local_results(v)) for v in tf.function(lambda: two.run(on_device))()]
    found = [np.concatenate(of_devices[0]), sum(of_devices[1]), sum(of_devices[2])]
    moments = [values(layer.non_trainable_variables) for layer in (alone, shared)]
    return {
        "norm's gradient": largest_difference([a[..., :4] for a in expected], [a[..., :4] for a in found]),
        "norm's moments": largest_difference(*([moment[:4] for moment in of_layer] for of_layer in moments)),
        "finite": bool(all(np.isfinite(a).all() for a in found)),
    }


def compared_half_precision(*strategies):
    """A first step in float16 from the same weights, on the same batch: by how much the loss and the update differ."""
    dataset = yolo.make_dataset(some_annotations(), ANCHORS, image_size=96, batch_size=4, training=True, seed=0)
    images, targets = next(iter(dataset))
    losses, updates = [], []
    for strategy in strategies:
        model = new_model(strategy)
        for layer in model.layers[1:-1]:
            layer.dtype_policy = keras.DTypePolicy("mixed_float16")
        before, step = values(model.trainable_variables), yolo.TrainStep(model, ANCHORS)
        losses.append(float(step.run(images, *targets, 1e-3, False)))
        changes = zip(values(model.trainable_variables), before, strict=True)
        updates.append(np.concatenate([(new - old).ravel() for new, old in changes]))
    cosine = updates[0] @ updates[1] / np.linalg.norm(updates[0]) / np.linalg.norm(updates[1])
    differences = {"half: loss": abs(losses[0] / losses[1] - 1), "half: update": float(1 - cosine)}
    return {**differences, "half: computed in": model.get_layer("conv_20").compute_dtype}


def whole_training(single, two, folder):
    """`train_detector` on two devices: by how much its variables differ between them, and its validation loss from `single`'s."""
    model, annotations = new_model(two), some_annotations()
    settings = dataclasses.replace(small_settings(folder), optimizer="muon")
    with two.scope():
        yolo.train_detector(model, annotations, annotations[:3], ANCHORS, settings, folder=folder)
    yolo.load_weights(single, folder / "yolov2_weights.npz")
    copies = zip(*(two.experimental_local_results(v.value) for v in model.variables), strict=True)
    losses = [yolo.validate(m, annotations[:3], ANCHORS, settings)[0] for m in (single, model)]
    return {"between devices": largest_difference(*map(values, copies)), "validation": abs(losses[0] / losses[1] - 1)}


def test_two_devices_make_the_update_of_one(tmp_path):
    result = json.loads(outputs([start(on_two_devices, tmp_path)])[0].splitlines()[-1])
    assert result["devices"] == 2
    for name in ("loss", "weights", "velocities", "norm's gradient", "norm's moments", "validation"):
        assert result[name] < 1e-5, (name, result)
    # another order of the batch gives up to 5e-5 on one device: dark images' small variances are amplified
    assert result["moving moments"] < 1e-4, result
    assert result["weights"] < 0.01 * result["moved"], result
    assert result["between devices"] == 0 and result["finite"], result
    assert result["half: computed in"] == "float16"
    assert result["half: loss"] < 1e-3 and result["half: update"] < 1e-3, result
    assert "must be a multiple" in result["refused"]


# ------------------------------------------------------------------------------------------------
# Two machines


def training(module, strategy, folder, worker=0, workers=1):
    """The script's training in two steps: the epoch's loss, and the weights in single precision before and after."""
    settings = small_settings(folder / f"artifacts_{worker}")
    model = without_kinks(module.starting_model(strategy, settings, len(ANCHORS)))
    before = values(model.trainable_variables)
    (loss,) = module.train(model, some_annotations(), ANCHORS, settings, worker, workers)
    return loss, before, values(model.trainable_variables)


def as_worker(folder):
    """In a process of its own: the script's training as TF_CONFIG says; keeps loss and weights."""
    module = script()
    worker, workers = module.place_in_cluster(os.environ["TF_CONFIG"])
    loss, _, weights = training(module, tf.distribute.MultiWorkerMirroredStrategy(), folder, worker, workers)
    np.savez(folder / f"worker_{worker}.npz", *weights, loss=loss)


def test_two_workers_make_the_updates_of_one_and_the_chief_alone_writes(tmp_path):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in range(2)]
    texts = outputs([start(as_worker, tmp_path, TF_CONFIG=task) for task in tasks])
    assert all(f"worker {worker}  epoch   1/1  loss" in text for worker, text in enumerate(texts)), texts
    assert [path.parent.name for path in tmp_path.rglob("yolov2_weights.npz")] == ["artifacts_0"]

    loss, before, expected = training(script(), tf.distribute.get_strategy(), tmp_path / "alone")
    moved = largest_difference(before, expected)
    for worker in range(2):
        with np.load(tmp_path / f"worker_{worker}.npz") as found:
            difference = largest_difference([found[f"arr_{i}"] for i in range(len(expected))], expected)
            assert float(found["loss"]) == pytest.approx(loss, rel=1e-5)
        assert difference < 1e-5 and difference < 0.01 * moved, (difference, moved)


def test_the_workers_shares_are_the_whole_batch():
    options = dict(image_size=(64, 96), batch_size=4, training=True, seed=3, num_epochs=2)
    whole, *shares = (
        list(yolo.make_dataset(some_annotations(7), ANCHORS, **options, worker=worker, workers=workers))
        for worker, workers in ((0, 1), (0, 2), (1, 2))
    )
    assert len(whole) == len(shares[0]) == len(shares[1]) == 4
    for batch, *parts in zip(whole, *shares, strict=True):
        for own, part in enumerate(parts):
            for tensor, share in zip(tf.nest.flatten(batch), tf.nest.flatten(part), strict=True):
                np.testing.assert_array_equal(tensor[own::2], share)


def test_the_place_in_the_cluster_is_that_of_tf_config():
    place = script().place_in_cluster
    assert place(None) == (0, 1)
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    assert place(json.dumps({"cluster": cluster, "task": {"type": "chief", "index": 0}})) == (0, 3)
    assert place(json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 1}})) == (2, 3)
    for wrong in ("{", "[]", "{}", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 2}})):
        with pytest.raises(ValueError, match="TF_CONFIG: no cluster"):
            place(wrong)
