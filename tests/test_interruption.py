"""A training that is killed again and again ends as one that was left alone.

It also leaves nothing half-written behind. The runs are processes of a fork server
that has imported TensorFlow already, else most kills would fall into its import. They
are killed with SIGKILL at random moments, and by the system in the middle of a file: a
file that grows beyond a limit ends its process at that byte (SIGXFSZ, which Python
usually ignores). YOLO_TEST_KILLS is the number of kills at random moments.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import time
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

import yolo_helpers as yolo

import keras  # isort: skip

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")

EPOCHS = 4
ANCHORS = np.array([[1.3, 1.3], [2.6, 5.2], [5.2, 3.9], [9.1, 9.1]])
KILLS = int(os.environ.get("YOLO_TEST_KILLS") or 4)
TIMEOUT = 300  # seconds; on two idle cores a run takes about 6

# (epoch, bytes): a file of more bytes is cut off there. Epoch 0 is from the start on,
# so the first epoch's weights are cut; else it is after an epoch's weights were saved,
# so its state is.
TORN = ((0, 1_000_000), (1, 2_000_000), (3, 3_000_000))
FINISHED_FILES = {yolo.MARKER, "history.csv", "yolov2.json", "yolov2.weights"}


def small_settings():
    return dataclasses.replace(
        yolo.load_settings(),
        weights=None,
        width=0.125,
        image_size=96,
        train_sizes=(64, 96),
        batch_size=4,
        epochs=EPOCHS,
        learning_rate=1e-3,
        patience=EPOCHS,
    )


def photos():
    """Twelve annotations to train with, four to validate."""
    splits = yolo.load_splits(yolo.ROOT / "data" / "mini_voc")
    return splits.train[:12], splits.validation[:4]


def build(**options):
    classes = len(small_settings().classes)
    return yolo.build_yolov2(
        None, len(ANCHORS), classes, small_settings().width, seed=2, **options
    )


def train(folder, network, callbacks=()):
    return yolo.train_detector(
        network,
        *photos(),
        ANCHORS,
        small_settings(),
        folder=folder,
        callbacks=callbacks,
    )


def save_result(folder, network, history):
    weights = network.get_weights()
    np.savez(folder / "result.npz", *weights, history=json.dumps(history))


# --------------------------------------------------------------------------------------
# In the other process


class AtEpochEnd(keras.callbacks.Callback):
    """Calls a function after an epoch: the weights are saved, the state is not yet."""

    def __init__(self, epoch, function):
        super().__init__()
        self.epoch = epoch
        self.function = function

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            self.function()


def train_and_save(folder, cut=None, stop_in=None):
    """Train in folder/run; prints go to folder/log, the result to folder/result.npz."""
    callbacks = []
    if cut and cut[0] == 0:
        die_when_a_file_grows_to(cut[1])
    elif cut:
        callbacks = [AtEpochEnd(cut[0], lambda: die_when_a_file_grows_to(cut[1]))]
    if stop_in:
        callbacks = [AtEpochEnd(stop_in, lambda: os._exit(0))]
    with open(folder / "log", "w") as log, contextlib.redirect_stdout(log):
        network = build()
        history = train(folder / "run", network, callbacks)
    save_result(folder, network, history)


def die_when_a_file_grows_to(size):
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


# --------------------------------------------------------------------------------------
# In this one


def start(target, *arguments, **options):
    """A function in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["yolo_helpers"])
    process = context.Process(target=target, args=arguments, kwargs=options)
    # The preloading ignores sys.path in Python 3.11.
    with mock.patch.dict(os.environ, PYTHONPATH=str(yolo.ROOT)):
        process.start()
    return process


def finish(process, seconds=TIMEOUT):
    """Wait for a process so long at most, then kill it; returns its exit code."""
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode


class Result(NamedTuple):
    weights: list
    history: dict
    table: str  # history.csv
    file: bytes  # yolov2.weights
    description: dict  # yolov2.json


def result(folder):
    with np.load(folder / "result.npz") as values:
        weights = [values[name] for name in values.files if name != "history"]
        history = json.loads(str(values["history"]))
    run = folder / "run"
    return Result(
        weights,
        history,
        (run / "history.csv").read_text(),
        (run / "yolov2.weights").read_bytes(),
        yolo.read_json(run / "yolov2.json"),
    )


def assert_same(found, expected):
    pairs = zip(found.weights, expected.weights, strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert found[1:] == expected[1:]


def assert_whole(run, expected):
    """Each file is absent, or whole and what the uninterrupted run had at that time."""
    if not run.exists():
        return
    names = {path.name for path in run.iterdir()}
    files = {name for name in names if not name.endswith(".unfinished")}
    assert files <= FINISHED_FILES | {yolo.STATE_FILE}
    if "yolov2.weights" in files:
        size = (run / "yolov2.weights").stat().st_size
        assert size == len(expected.file)
    if "yolov2.json" in files:
        description = yolo.read_json(run / "yolov2.json")
        assert description.keys() == expected.description.keys()
    if "history.csv" in files:
        text = (run / "history.csv").read_text()
        assert text.endswith("\n") and expected.table.startswith(text)
    if yolo.STATE_FILE in files:
        assert_whole_state(run / yolo.STATE_FILE, expected)
        assert {"history.csv", "yolov2.weights", "yolov2.json"} <= files


def assert_whole_state(path, expected):
    with np.load(path) as values:
        history = json.loads(str(values["history"]))
        made_from = json.loads(str(values["made_from"]))
        variables = [values[name] for name in values.files if name.startswith("arr_")]
    detector = yolo.compile_detector(build(), ANCHORS, small_settings(), 12)
    assert made_from == yolo.describe_run(detector, *photos(), small_settings())
    epochs = len(history["val_map"])
    assert 1 <= epochs <= EPOCHS
    for name, values in expected.history.items():
        assert history[name] == values[:epochs]
    assert len(variables) > len(expected.weights)  # the optimizer's, too
    assert all(np.isfinite(array).all() for array in variables)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """An uninterrupted run's result, and how long it took."""
    finish(start(os.getpid))  # the fork server's own start does not count
    folder = tmp_path_factory.mktemp("straight")
    begin = time.perf_counter()
    assert finish(start(train_and_save, folder)) == 0
    duration = time.perf_counter() - begin
    assert {path.name for path in (folder / "run").iterdir()} == FINISHED_FILES
    return result(folder), duration


@pytest.fixture(scope="module")
def torn(straight, tmp_path_factory):
    """A folder after runs that were each cut off in the middle of a file."""
    folder = tmp_path_factory.mktemp("torn")
    for cut in TORN:
        code = finish(start(train_and_save, folder, cut=cut))
        assert code == -signal.SIGXFSZ
        assert_whole(folder / "run", straight[0])
        unfinished = (folder / "run").glob("*.unfinished")
        assert cut[1] in [path.stat().st_size for path in unfinished]
    return folder


@pytest.fixture(scope="module")
def ended(torn, tmp_path_factory):
    """Such a folder after a last run that was left alone."""
    copy = tmp_path_factory.mktemp("ended") / "copy"
    folder = shutil.copytree(torn, copy)
    assert finish(start(train_and_save, folder)) == 0
    return folder


def test_kills_at_random_moments_change_nothing(straight, tmp_path):
    """Started again after each kill until it gets through.

    Then in a new folder, until there were enough kills.
    """
    expected, duration = straight
    rng = np.random.default_rng(0)
    kills, finished = 0, 0
    while kills < KILLS or not finished:
        folder = tmp_path / str(finished)
        folder.mkdir(exist_ok=True)
        process = start(train_and_save, folder)
        # After enough kills it may take its time.
        seconds = rng.uniform(0, duration) if kills < KILLS else TIMEOUT
        code = finish(process, seconds)
        assert code in (0, -signal.SIGKILL)
        assert_whole(folder / "run", expected)
        if code == 0:
            assert_same(result(folder), expected)
            finished += 1
        else:
            kills += 1
        assert kills + finished < 10 * KILLS


def test_a_run_that_was_cut_off_in_the_middle_of_files_ends_the_same(straight, ended):
    first_line = (ended / "log").read_text().splitlines()[0]
    assert first_line == f"{yolo.STATE_FILE}: continuing after epoch 2"
    assert_same(result(ended), straight[0])


def test_the_half_files_of_killed_runs_do_not_pile_up(ended):
    assert {path.name for path in (ended / "run").iterdir()} == FINISHED_FILES


def test_a_finished_run_starts_afresh(straight, ended, tmp_path):
    folder = shutil.copytree(ended, tmp_path / "copy")
    assert finish(start(train_and_save, folder, stop_in=2)) == 0
    assert "continuing" not in (folder / "log").read_text()
    lines = straight[0].table.splitlines(keepends=True)
    assert (folder / "run" / "history.csv").read_text() == "".join(lines[:2])


def test_a_run_is_continued_inside_of_the_same_process(straight, tmp_path):
    """As in a notebook: the cell is interrupted, and started again."""

    def interrupt():
        raise KeyboardInterrupt

    network = build()
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", network, [AtEpochEnd(3, interrupt)])
    assert_whole(tmp_path / "run", straight[0])
    history = train(tmp_path / "run", network)
    save_result(tmp_path, network, history)
    assert_same(result(tmp_path), straight[0])


# --------------------------------------------------------------------------------------
# Which states are continued


class Looked(Exception):
    """The training has decided with which epoch it begins."""


def resume(folder, monkeypatch, network=None, parts=None, anchors=ANCHORS, **changes):
    """First epoch of a training in a folder with the state of two epochs."""
    options = {}
    if "make_optimizer" in changes:
        options["make_optimizer"] = changes.pop("make_optimizer")

    def look(*arguments, first_epoch, **options):
        raise Looked(first_epoch)

    monkeypatch.setattr(yolo, "make_dataset", look)
    settings = dataclasses.replace(small_settings(), **changes)
    with pytest.raises(Looked) as caught:
        yolo.train_detector(
            network or build(),
            *(parts or photos()),
            anchors,
            settings,
            folder=folder,
            **options,
        )
    return caught.value.args[0]


@pytest.mark.parametrize(
    "changes",
    [{}, {"voc_dir": yolo.ROOT, "artifacts": yolo.ROOT}],
    ids=["same", "moved"],
)
def test_a_state_of_the_same_data_and_settings_is_continued(
    torn, tmp_path, monkeypatch, capsys, changes
):
    folder = shutil.copytree(torn, tmp_path / "copy") / "run"
    network = build()
    before = network.get_weights()
    assert resume(folder, monkeypatch, network, **changes) == 2
    assert f"{yolo.STATE_FILE}: continuing after epoch 2" in capsys.readouterr().out
    assert not np.array_equal(before[0], network.get_weights()[0])


def other_weights(tmp_path):
    (tmp_path / "other.weights").write_bytes(b"other")
    return {"weights": tmp_path / "other.weights"}


def frozen(tmp_path):
    network = build()
    network.get_layer("conv_1").trainable = False
    return {"network": network}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda tmp_path: {"learning_rate": 2e-3}, "learning_rate"),
        (lambda tmp_path: {"epochs": EPOCHS + 1}, "epochs"),
        (lambda tmp_path: {"patience": 1}, "patience"),
        (lambda tmp_path: {"train_sizes": (64,)}, "train_sizes"),
        (lambda tmp_path: {"seed": 1}, "seed"),
        (lambda tmp_path: {"anchors": ANCHORS + 1}, "anchors"),
        (lambda tmp_path: {"parts": (photos()[0][1:], photos()[1])}, "train"),
        (lambda tmp_path: {"parts": (photos()[0], photos()[1][1:])}, "validation"),
        (lambda tmp_path: {"make_optimizer": keras.optimizers.Adam}, "optimizer"),
        (other_weights, "weights"),
        (frozen, "trainable"),
        (lambda tmp_path: {"network": build(dtype="mixed_float16")}, "dtype"),
    ],
)
def test_any_other_state_is_refused_and_kept(torn, tmp_path, monkeypatch, change, word):
    folder = shutil.copytree(torn, tmp_path / "copy") / "run"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError) as caught:
        resume(folder, monkeypatch, **change(tmp_path))
    message = str(caught.value)
    assert f"an unfinished run with other {word};" in message and "\n" not in message
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["cut off", "empty", "text", "other arrays"])
def test_a_file_that_is_no_state_is_refused_in_one_line(
    torn, tmp_path, monkeypatch, kind
):
    folder = shutil.copytree(torn, tmp_path / "copy") / "run"
    path = folder / yolo.STATE_FILE
    if kind == "other arrays":
        np.savez(path, np.arange(3))
    else:
        content = path.read_bytes()[:-1000]
        path.write_bytes({"cut off": content, "empty": b"", "text": b"hello"}[kind])
    before = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        resume(folder, monkeypatch)
    message = str(caught.value)
    assert "not a state of this version's training" in message and "\n" not in message
    assert path.read_bytes() == before
