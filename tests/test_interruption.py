"""A training that is killed again and again ends as one that was left alone, and leaves nothing torn behind.

The runs are processes of a fork server that has imported TensorFlow already: else most kills would fall into its import.
Killed with SIGKILL at random moments of a run, and by the system in the middle of a file: one that grows beyond a limit
ends its process at that byte (SIGXFSZ, which Python usually ignores).
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections import namedtuple
from unittest import mock

import numpy as np
import pytest

import yolo_helpers as yolo

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")

EPOCHS = 4
PHASES = (yolo.Phase(0.25, (64, 96), (0.4, 1.6)), yolo.Phase(0.75, (96,), (0.4, 1.6)), yolo.Phase(1, (96,), (1, 1)))
SMALL = dict(width=0.125, phases=PHASES, image_size=96, batch_size=4, pretrain_epochs=0, epochs=EPOCHS,
             optimizer="muon", learning_rate=1.5e-3, validate_every=2, patience=EPOCHS)  # fmt: skip
ANCHORS = np.array([[0.1, 0.1], [0.2, 0.4], [0.4, 0.3], [0.7, 0.7]])
KILLS = 4  # at random moments, at least
TIMEOUT = 300  # seconds; on two idle cores a run takes about 4

# (after which epoch, bytes at which a file is cut): the first epoch's state; the third's, over the second's
TORN = ((0, 1_000_000), (2, 3_000_000))


def small_settings():
    return dataclasses.replace(yolo.load_settings(), **SMALL)


def photos(first=0):
    """Twelve annotations to train with, four to validate."""
    splits = yolo.load_splits(yolo.ROOT / "data" / "mini_voc")
    return splits.train[first:][:12], splits.validation[:4]


def build():
    return yolo.build_yolov2(None, len(ANCHORS), width=SMALL["width"], seed=2)


# ------------------------------------------------------------------------------------------------
# In the other process


def train(folder, cut=None, stop_after=None):
    """Train in folder/run; what is printed goes to folder/log, weights and history in the end to folder/result.npz."""

    def on_epoch(model, row):
        if cut and row["epoch"] == cut[0]:
            die_when_a_file_grows_to(cut[1])
        if row["epoch"] == stop_after:
            os._exit(0)

    if cut and cut[0] == 0:
        die_when_a_file_grows_to(cut[1])
    with open(folder / "log", "w") as log, contextlib.redirect_stdout(log):
        model = build()
        history = yolo.train_detector(model, *photos(), ANCHORS, small_settings(), folder=folder / "run", on_epoch=on_epoch)
    np.savez(folder / "result.npz", *model.get_weights(), history=json.dumps(history))


def die_when_a_file_grows_to(size):
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


# ------------------------------------------------------------------------------------------------
# In this one


def start(target, *arguments, **options):
    """A function in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["yolo_helpers"])
    process = context.Process(target=target, args=arguments, kwargs=options)
    with mock.patch.dict(os.environ, PYTHONPATH=str(yolo.ROOT)):  # for the preloading, which ignores sys.path in Python 3.11
        process.start()
    return process


def finish(process, seconds=TIMEOUT):
    """Wait for a process, at most so long, and kill it then; returns how it ended, as `Process.exitcode`."""
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode


Result = namedtuple("Result", "weights artifact history table")


def result(folder):
    with np.load(folder / "result.npz") as arrays:
        weights = [arrays[name] for name in arrays.files if name != "history"]
        history = json.loads(str(arrays["history"]))
    artifact = yolo.read_artifact(folder / "run" / "yolov2_weights.npz")
    return Result(weights, artifact, history, (folder / "run" / "history.csv").read_text())


def assert_same(found, expected):
    assert found.history == expected.history
    assert found.table == expected.table
    assert all(np.array_equal(a, b) for a, b in zip(found.weights, expected.weights, strict=True))
    assert found.artifact.keys() == expected.artifact.keys()
    assert all(np.array_equal(found.artifact[name], expected.artifact[name]) for name in found.artifact)


def assert_whole(run, expected):
    """Each file of an interrupted run is absent or whole, and says what the uninterrupted run said at that time."""
    files = {path.name for path in run.iterdir() if not path.name.startswith(".")} if run.exists() else set()
    assert files <= {"yolov2_weights.npz", "training_state.npz", "history.csv"}
    if "yolov2_weights.npz" in files:
        weights = yolo.read_artifact(run / "yolov2_weights.npz")
        assert {k: np.shape(v) for k, v in weights.items()} == {k: np.shape(v) for k, v in expected.artifact.items()}
    if "history.csv" in files:
        text = (run / "history.csv").read_text()
        assert text.endswith("\n") and expected.table.startswith(text)
    if "training_state.npz" in files:
        state = yolo.read_artifact(run / "training_state.npz")
        history = json.loads(str(state["history"]))
        assert history and history == expected.history[: len(history)]
        assert state["made_from"] == expected.artifact["made_from"]
        assert all(np.isfinite(array).all() for name, array in state.items() if name.isdigit())
        assert "history.csv" in files
        assert "yolov2_weights.npz" in files or all(row["validation_map"] is None for row in history)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """An uninterrupted run's result, and how long it took."""
    finish(start(os.getpid))  # the fork server's own start does not count
    folder, begin = tmp_path_factory.mktemp("straight"), time.perf_counter()
    assert finish(start(train, folder)) == 0
    assert sorted(path.name for path in (folder / "run").iterdir()) == ["history.csv", "yolov2_weights.npz"]
    return result(folder), time.perf_counter() - begin


@pytest.fixture(scope="module")
def torn(straight, tmp_path_factory):
    """A folder after runs that were each cut off in the middle of a file."""
    folder = tmp_path_factory.mktemp("torn")
    for cut in TORN:
        assert finish(start(train, folder, cut=cut)) == -signal.SIGXFSZ
        assert_whole(folder / "run", straight[0])
        assert cut[1] in [path.stat().st_size for path in (folder / "run").glob(".*")]  # there is the half file
    return folder


@pytest.fixture(scope="module")
def ended(torn, tmp_path_factory):
    """Such a folder after a last run that was left alone."""
    folder = shutil.copytree(torn, tmp_path_factory.mktemp("ended") / "copy")
    assert finish(start(train, folder)) == 0
    return folder


def test_kills_at_random_moments_change_nothing(straight, tmp_path):
    """Started again after each kill until it gets through, in one folder after the other until there were enough kills."""
    expected, duration = straight
    rng, kills, finished = np.random.default_rng(0), 0, 0
    while kills < KILLS or not finished:
        (folder := tmp_path / str(finished)).mkdir(exist_ok=True)
        code = finish(start(train, folder), rng.uniform(0, duration))
        assert code in (0, -signal.SIGKILL)
        assert_whole(folder / "run", expected)
        if code == 0:
            assert_same(result(folder), expected)
        kills, finished = kills + (code != 0), finished + (code == 0)
        assert kills + finished < 10 * KILLS


def test_a_run_that_was_cut_off_in_the_middle_of_files_ends_the_same(straight, ended):
    assert (ended / "log").read_text().splitlines()[1] == f"going on after epoch 2 of {EPOCHS}"
    assert_same(result(ended), straight[0])


def test_the_half_files_of_killed_runs_do_not_pile_up(ended):
    assert sorted(path.name for path in (ended / "run").iterdir()) == ["history.csv", "yolov2_weights.npz"]


def test_a_finished_run_starts_afresh(straight, ended, tmp_path):
    folder = shutil.copytree(ended, tmp_path / "copy")
    assert finish(start(train, folder, stop_after=1)) == 0
    assert (folder / "log").read_text().splitlines()[1].startswith(f"epoch   1/{EPOCHS}")
    assert (folder / "run" / "history.csv").read_text() == "".join(straight[0].table.splitlines(keepends=True)[:2])


class Looked(Exception):
    """The training has decided with which epoch it begins."""


@pytest.mark.parametrize(
    ("changes", "first", "epoch", "words"),
    [
        ({}, 0, 2, f"going on after epoch 2 of {EPOCHS}"),
        ({"voc_dir": yolo.ROOT, "artifacts": yolo.ROOT}, 0, 2, f"going on after epoch 2 of {EPOCHS}"),  # moved
        ({"learning_rate": 1e-3}, 0, 0, "other data or settings, not used"),
        ({"epochs": EPOCHS + 1}, 0, 0, "other data or settings, not used"),
        ({"phases": PHASES[1:]}, 0, 0, "other data or settings, not used"),
        ({}, 1, 0, "other data or settings, not used"),
    ],
    ids=["same", "moved", "rate", "epochs", "sides", "data"],
)
def test_only_a_state_of_the_same_settings_and_data_is_resumed(torn, tmp_path, monkeypatch, capsys, changes, first, epoch, words):
    def look(*arguments, epoch, **options):
        raise Looked(epoch)

    folder = shutil.copytree(torn, tmp_path / "copy") / "run"
    monkeypatch.setattr(yolo, "make_dataset", look)
    model, settings = build(), dataclasses.replace(small_settings(), **changes)
    before = model.get_weights()
    with pytest.raises(Looked) as caught:
        yolo.train_detector(model, *photos(first), ANCHORS, settings, folder=folder)
    assert caught.value.args == (epoch,)
    assert words in capsys.readouterr().out
    assert np.array_equal(before[0], model.get_weights()[0]) == (epoch == 0)
