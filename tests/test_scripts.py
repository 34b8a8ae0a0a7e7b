"""train.py and detect.py: what they write, what they say, and what they refuse."""

import dataclasses
import functools
import importlib.util
import os
import shutil
import subprocess
from unittest import mock

import cv2
import numpy as np
import pytest
import tensorflow as tf

import yolo_helpers as yolo

pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config")
SCRIPTS = yolo.ROOT / "notebooks" / "scripts"
SCRIPT_NAMES = ("train", "detect", "report", "ablation", "train_multi_worker")
MINI_VOC = yolo.ROOT / "data" / "mini_voc"
ANCHORS = np.array([[1, 1], [2, 4], [4, 3], [7, 7]], np.float32)
SMALL = {
    "width": 0.125,
    "image_size": 64,
    "train_sizes": (64,),
    "batch_size": 2,
    "weights": "none",
}


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


train = load_script("train")
detect = load_script("detect")
report = load_script("report")


@pytest.fixture(autouse=True)
def own_environment(tmp_path):
    """The scripts set variables; nothing of it may reach other tests."""
    changed = {"YOLO_ARTIFACTS": str(tmp_path / "artifacts"), "YOLO_WEIGHTS": "none"}
    with mock.patch.dict(os.environ, changed):
        yield


@pytest.fixture
def small(monkeypatch):
    """A profile `tiny` that trains in seconds."""
    monkeypatch.setitem(yolo.PROFILES, "tiny", {**yolo.PROFILES["tiny"], **SMALL})


@pytest.fixture
def eager():
    """No graphs: for a few steps, making them would take most of the time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def few_images(tmp_path):
    """A data set of eight images."""
    folder = tmp_path / "few"
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        text = (MINI_VOC / "ImageSets" / "Main" / f"{split}.txt").read_text()
        (lists / f"{split}.txt").write_text("\n".join(text.split()[:count]))
    for name in ("Annotations", "JPEGImages"):
        (folder / name).symlink_to(MINI_VOC / name)
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A detector with random weights that finds something everywhere."""
    folder = tmp_path_factory.mktemp("detector")
    network = yolo.build_yolov2(None, len(ANCHORS), 20, width=0.125, seed=1)
    settings = dataclasses.replace(yolo.load_settings(), width=0.125, image_size=64)
    yolo.save_detector(network, folder, ANCHORS, settings, data="none")
    return folder / "yolov2.json"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    shutil.copyfile(MINI_VOC / "JPEGImages" / "2026_000123.jpg", path)
    return path


# --------------------------------------------------------------------------------------
# train.py


def test_a_training_leaves_what_the_notebooks_leave(
    small, eager, few_images, tmp_path, capsys
):
    out = tmp_path / "run"
    train.main([f"--data={few_images}", "--epochs=1", f"--out={out}"])

    names = sorted(path.name for path in out.iterdir() if path.name[0] != ".")
    assert names == [
        "anchors.json",
        "detections.jpg",
        "history.csv",
        "history.json",
        "pretrained.json",
        "results.json",
        "yolov2.json",
        "yolov2.weights",
    ]
    data = yolo.fingerprint(yolo.load_split(few_images, "train"))
    contents = {}
    for path in out.glob("*.json"):
        contents[path.name] = yolo.read_json(path)
        assert contents[path.name]["data"] == data, path.name
    assert np.shape(contents["anchors.json"]["anchors"]) == (4, 2)
    assert np.max(contents["anchors.json"]["anchors"]) <= 1  # fractions
    assert contents["pretrained.json"]["weights"] is None
    assert len(contents["history.json"]["history"]["val_map"]) == 1
    results = contents["results.json"]
    assert list(results["average_precision"]) == list(yolo.VOC_CLASSES)
    assert results["split"] == "test"
    assert yolo.read_image(out / "detections.jpg").shape == (64, 3 * 64, 3)

    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == f"mAP@.5 on test, over all classes: {results['map']:.3f}"
    table = [line.split() for line in lines[-4 - len(yolo.VOC_CLASSES) : -3]]
    assert table[0] == ["class", "objects", "average", "precision"]
    assert sorted(row[0] for row in table[1:]) == sorted(yolo.VOC_CLASSES)


def test_an_interrupted_training_continues_with_the_same_command(
    small, eager, few_images, tmp_path, monkeypatch, capsys
):
    command = [f"--data={few_images}", "--epochs=2", f"--out={tmp_path / 'run'}"]
    save = yolo.SaveState.on_epoch_end

    def save_and_stop(self, epoch, logs=None):
        save(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(yolo.SaveState, "on_epoch_end", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train.main(command)
    assert not (tmp_path / "run" / "results.json").exists()
    train.main(command)
    assert "continuing after epoch 1" in capsys.readouterr().out
    history = yolo.read_json(tmp_path / "run" / "history.json")["history"]
    assert len(history["loss"]) == 2


def test_options_become_settings(few_images, tmp_path):
    words = ["--profile=tiny", "--epochs=7", "--weights=some.weights"]
    words += [f"--data={few_images}", f"--out={tmp_path / 'out'}"]
    train.set_environment(train.parse(words))
    settings = yolo.load_settings()
    assert settings.profile == "tiny"
    assert settings.epochs == 7
    assert settings.weights.name == "some.weights"
    assert settings.voc_dir == few_images.resolve()
    assert settings.artifacts == (tmp_path / "out").resolve()


def test_options_that_are_not_given_change_nothing():
    before = dict(os.environ)
    train.set_environment(train.parse([]))
    assert dict(os.environ) == before


@pytest.fixture
def small_settings(small):
    return dataclasses.replace(yolo.load_settings(), seed=3)


def test_pretrained_weights_fill_everything_but_the_head(small_settings, tmp_path):
    other = yolo.build_yolov2(None, 5, 2, width=0.125, seed=9)
    yolo.save_darknet_weights(other, tmp_path / "other.weights")
    settings = dataclasses.replace(small_settings, weights=tmp_path / "other.weights")
    start, random = (
        train.build_network(chosen, num_anchors=4)
        for chosen in (settings, small_settings)
    )
    for name in ("conv_1", "conv_22"):
        kernels = [
            network.get_layer(name).kernel.numpy() for network in (start, other, random)
        ]
        np.testing.assert_array_equal(kernels[0], kernels[1])
        assert not np.array_equal(kernels[0], kernels[2])
    heads = [network.get_layer("conv_23").kernel.numpy() for network in (start, random)]
    np.testing.assert_array_equal(*heads)


def test_with_a_frozen_backbone_only_the_head_is_trained(small_settings):
    network = train.build_network(small_settings, num_anchors=4)
    train.freeze_backbone(network)
    names = [variable.path for variable in network.trainable_variables]
    assert names == ["conv_23/kernel", "conv_23/bias"]


@pytest.mark.parametrize(
    ("num_gpus", "is_mirrored"), [(0, False), (1, False), (2, True)]
)
def test_several_gpus_are_used_together(monkeypatch, num_gpus, is_mirrored):
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: ["GPU"] * num_gpus
    )
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda: "mirrored")
    assert (train.choose_strategy() == "mirrored") == is_mirrored


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--weights=/nowhere.weights"], "no such weights file"),
        (["--data=/nowhere"], "no folder Annotations"),
        (["--epochs=0"], "a whole number from 1 on"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(small, few_images, words, error):
    with pytest.raises((ValueError, OSError), match=error) as caught:
        train.main([f"--data={few_images}", *words])
    assert "\n" not in str(caught.value)


def test_a_class_without_objects_has_no_number_in_the_table():
    annotation = yolo.load_split(MINI_VOC, "test")[0]
    nothing = yolo.Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    evaluation = yolo.evaluate_detections([annotation], [nothing], 20)
    rows = train.class_table(evaluation, yolo.VOC_CLASSES).splitlines()[1:]
    present = {yolo.VOC_CLASSES[label] for label in annotation.labels}
    for row in rows:
        assert row.endswith("0.000") == (row.split()[0] in present)
    assert train.number_or_none(float("nan")) is None


# --------------------------------------------------------------------------------------
# detect.py


load_once = functools.cache(yolo.load_detector)  # building networks takes time


def run_detect(detector, *words, threshold="0.02"):
    with mock.patch.object(yolo, "load_detector", load_once):
        options = [f"--weights={detector}", f"--threshold={threshold}"]
        return detect.main([*words, *options])


def test_an_image_is_drawn_to_the_artifacts_folder(detector, photo, tmp_path, capsys):
    assert run_detect(detector, str(photo)) == 0
    drawing = tmp_path / "artifacts" / "detections" / "photo.jpg"
    image = yolo.read_image(photo)
    drawn = yolo.read_image(drawing)
    assert drawn.shape == image.shape
    assert np.abs(drawn.astype(int) - image).mean() > 1  # there are boxes in it
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("photo.jpg: ")]
    name, score = line.removeprefix("photo.jpg: ").split(", ")[0].split()
    assert name in yolo.VOC_CLASSES and 0.02 <= float(score) <= 1


def test_the_line_and_the_drawing_are_those_of_detect(detector, photo, capsys):
    saved = load_once(detector)
    image = yolo.read_image(photo)
    found = yolo.detect(saved.network, image, saved.anchors, 0.02, image_size=64)
    run_detect(detector, str(photo))
    line = f"photo.jpg: {detect.describe(found, saved.classes)}"
    assert line in capsys.readouterr().out.splitlines()


def test_where_nothing_is_found_the_line_says_so(detector, photo, capsys):
    run_detect(detector, str(photo), threshold="0.99")
    assert "photo.jpg: nothing found" in capsys.readouterr().out.splitlines()


def test_a_folder_is_done_although_one_image_is_broken(
    detector, photo, tmp_path, capsys
):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copyfile(photo, folder / "a.jpg")
    (folder / "b.jpg").write_bytes(b"no photo")
    cv2.imwrite(str(folder / "c.PNG"), cv2.imread(str(photo)))
    cv2.imwrite(str(folder / "d.bmp"), cv2.imread(str(photo)))
    (folder / "notes.txt").write_text("no photo either")
    assert run_detect(detector, str(folder), f"--out={tmp_path / 'out'}") == 1
    drawings = {p.name for p in (tmp_path / "out").iterdir() if p.name[0] != "."}
    assert drawings == {"a.jpg", "c.PNG", "d.bmp.jpg"}
    output = capsys.readouterr()
    assert "b.jpg" in output.err and len(output.err.splitlines()) == 1
    assert "notes" not in output.out


def test_a_video_becomes_a_video_with_as_many_images(detector, photo, tmp_path, capsys):
    size = (64, 48)
    image = cv2.resize(cv2.imread(str(photo)), size)
    code = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), code, 10, size)
    for _ in range(5):
        writer.write(image)
    writer.release()

    run_detect(detector, str(tmp_path / "clip.mp4"), f"--out={tmp_path / 'out'}")
    names = [p.name for p in (tmp_path / "out").iterdir() if p.name[0] != "."]
    assert names == ["clip.mp4"]
    capture = cv2.VideoCapture(str(tmp_path / "out" / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    assert "5 images: " in capsys.readouterr().out


def test_files_of_others_are_not_overwritten(detector, photo, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(ValueError, match="files of yours"):
        run_detect(detector, str(photo), f"--out={folder}")
    assert (folder / "photo.jpg").read_bytes() == b"precious"
    with pytest.raises(ValueError, match="files of yours"):
        run_detect(detector, str(photo), f"--out={photo.parent}")


def test_a_drawing_is_not_taken_for_a_photo(detector, photo, tmp_path):
    run_detect(detector, str(photo), f"--out={tmp_path / 'out'}")
    before = (tmp_path / "out" / "photo.jpg").read_bytes()
    with pytest.raises(ValueError, match="a drawing of detect.py"):
        run_detect(
            detector, str(tmp_path / "out" / "photo.jpg"), f"--out={tmp_path / 'out'}"
        )
    assert (tmp_path / "out" / "photo.jpg").read_bytes() == before


def test_the_last_run_comes_before_the_carried_detector(tmp_path, monkeypatch):
    monkeypatch.setattr(yolo, "REFERENCE", tmp_path / "reference")
    with pytest.raises(FileNotFoundError, match="no trained detector yet"):
        detect.find_detector()
    for folder in ("reference", "artifacts"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "yolov2.json").write_text("{}")
        assert detect.find_detector() == tmp_path / folder / "yolov2.json"
    assert detect.find_detector("a/b.weights").as_posix() == "a/b.json"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("nowhere.jpg", "no such file or folder"),
        ("empty", "no image in this folder"),
        ("notes.txt", "neither an image nor a video"),
        ("broken.mp4", "neither an image nor a video"),
        ("broken.jpg", "not an image"),
        ("77", "camera 77 is not available"),
    ],
)
def test_sources_that_cannot_be_used_are_refused_in_one_line(
    detector, tmp_path, monkeypatch, source, error
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", "broken.mp4", "broken.jpg"):
        (tmp_path / name).write_text("text")
    with pytest.raises((ValueError, OSError), match=error) as caught:
        run_detect(detector, source)
    assert "\n" not in str(caught.value)


def test_without_a_screen_show_is_refused_in_one_line(detector, photo, monkeypatch):
    def no_window(command, **options):
        return subprocess.CompletedProcess(command, returncode=-6)

    monkeypatch.setattr(detect.subprocess, "run", no_window)
    with pytest.raises(ValueError, match="no window can be opened") as caught:
        run_detect(detector, str(photo), "--show")
    assert "\n" not in str(caught.value)


def test_show_opens_a_window_and_writes_no_file(detector, photo, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(detect, "check_window", lambda: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda milliseconds: ord("q"))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, what: 1.0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copyfile(photo, folder / name)
    assert run_detect(detector, str(folder), "--show") == 0
    assert len(shown) == 1  # q ends it after the first
    assert not (tmp_path / "artifacts").exists()


def test_a_camera_is_recorded_in_real_time_until_it_ends(
    detector, photo, tmp_path, monkeypatch
):
    class Camera:
        left = 3

        def isOpened(self):
            return True

        def get(self, what):
            return 0.0  # cameras often do not know their rate

        def read(self):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt  # as Ctrl-C does
            return True, cv2.resize(cv2.imread(str(photo)), (64, 48))

        def release(self):
            pass

    times = iter([0.0, 0.0, 1.0, 2.0])  # the start, and then each image
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: Camera())
    with mock.patch.object(detect.time, "perf_counter", lambda: next(times)):
        run_detect(detector, "0", f"--out={tmp_path / 'out'}")
    monkeypatch.undo()
    capture = cv2.VideoCapture(str(tmp_path / "out" / "camera-0.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == detect.DEFAULT_RATE
    # one second after the first image there must be 25, after the second 50
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 50


@pytest.mark.parametrize("threshold", ["0", "1", "-0.1", "half"])
def test_thresholds_that_make_no_sense_are_refused(detector, photo, threshold):
    with pytest.raises(SystemExit) as caught:
        run_detect(detector, str(photo), threshold=threshold)
    assert caught.value.code == 2


# --------------------------------------------------------------------------------------
# report.py


def finished_run(folder, scores):
    """The two files of a run that report.py reads."""
    folder.mkdir(parents=True)
    results = {"average_precision": dict.fromkeys(yolo.VOC_CLASSES, None) | scores}
    yolo.write_json(folder / "results.json", results)
    history = {"val_map": [0.1, 0.2], "loss": [9.0, 8.0], "val_loss": [9.5, 9.0]}
    yolo.write_json(folder / "history.json", {"history": history})
    return folder


def test_the_report_has_a_row_for_each_class_with_enough_objects(tmp_path, capsys):
    """The test images hold 68 persons, 20 sheep, and fewer of all other classes."""
    first = finished_run(tmp_path / "a", {"person": 0.2, "sheep": 0.4})
    second = finished_run(tmp_path / "b", {"person": 0.5, "sheep": 0.3})
    picture = tmp_path / "curves.png"
    report.main([str(picture), f"one={first}", f"two={second}"])
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert capsys.readouterr().out.splitlines() == [
        "| class | objects | one | two |",
        "|---|---|---|---|",
        "| person | 68 | 0.200 | 0.500 |",
        "| sheep | 20 | 0.400 | 0.300 |",
        "| **mean of these 2** | 88 | **0.300** | **0.400** |",
    ]


def test_the_report_names_a_run_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="results.json"):
        report.main([str(tmp_path / "curves.png"), f"one={tmp_path}"])
    with pytest.raises(SystemExit):
        report.main([str(tmp_path / "curves.png"), "no folder"])


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_help_starts_with_what_the_script_does(name, capsys):
    module = load_script(name)
    with pytest.raises(SystemExit) as caught:
        module.main(["--help"])
    assert caught.value.code == 0
    assert module.__doc__.splitlines()[0] in capsys.readouterr().out
