"""Annotations, data sets and artifacts: what counts and what is refused."""

import dataclasses
import os

import numpy as np
import pytest

import yolo_helpers as yolo

OBJECT = (
    "<object><name>{name}</name>{more}<bndbox><xmin>{0}</xmin><ymin>{1}</ymin>"
    "<xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"
)
SIZE = "<size><width>100</width><height>50</height><depth>3</depth></size>"


def one_object(*box, name="dog", more=""):
    return OBJECT.format(*box, name=name, more=more)


@pytest.fixture
def write(tmp_path):
    """Writes an annotation file from its inner XML; returns its path."""

    def write_file(inner, name="a"):
        folder = tmp_path / "Annotations"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.xml"
        text = f"<annotation><filename>{name}.jpg</filename>{inner}</annotation>"
        path.write_text(text)
        return path

    return write_file


def make_lists(tmp_path, **lists):
    folder = tmp_path / "ImageSets" / "Main"
    folder.mkdir(parents=True)
    for name, names in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(names) + "\n")


# --------------------------------------------------------------------------------------
# One annotation


def test_reads_pixels_flags_and_classes(write):
    more = "<truncated>1</truncated><difficult>1</difficult>"
    first = one_object(1, 1, 100, 50, more=more)
    second = one_object("10.5", 5, 20, 25, name="person")
    annotation = yolo.read_annotation(write(SIZE + first + second))
    assert annotation.filename == "a.jpg"
    assert (annotation.width, annotation.height) == (100, 50)
    np.testing.assert_array_equal(
        annotation.boxes, [[1, 1, 100, 50], [10.5, 5, 20, 25]]
    )
    names = [yolo.VOC_CLASSES[label] for label in annotation.labels]
    assert names == ["dog", "person"]
    assert annotation.difficult.tolist() == [True, False]
    assert annotation.truncated.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", True), ("true", True), (" 1 ", True), ("0", False), ("", False)]
    + [("false", False), ("False", False), (" 0\n", False)],
)
def test_flags_may_be_numbers_or_words(write, text, expected):
    more = f"<difficult>{text}</difficult>"
    annotation = yolo.read_annotation(write(SIZE + one_object(1, 1, 9, 9, more=more)))
    assert annotation.difficult.tolist() == [expected]
    assert annotation.truncated.tolist() == [False]


def test_one_based_inclusive_pixels_become_continuous_fractions(write):
    objects = one_object(1, 1, 100, 50) + one_object(51, 26, 75, 50)
    fractions = yolo.box_fractions(yolo.read_annotation(write(SIZE + objects)))
    np.testing.assert_allclose(fractions, [[0, 0, 1, 1], [0.5, 0.5, 0.75, 1]])


def test_one_pixel_beyond_the_image_is_forgiven_and_cut_off(write):
    objects = one_object(0, 0, 101, 51) + one_object(0, 10, 30, 20)
    annotation = yolo.read_annotation(write(SIZE + objects))
    assert annotation.boxes.tolist() == [[1, 1, 100, 50], [1, 10, 30, 20]]


def test_only_direct_objects_count(write):
    part = one_object(2, 2, 9, 9, name="head").replace("object", "part")
    inner = part + one_object(3, 3, 8, 8) + "</object>"
    nested = one_object(1, 1, 30, 30, name="person").replace("</object>", inner)
    annotation = yolo.read_annotation(write(SIZE + nested))
    assert annotation.boxes.tolist() == [[1, 1, 30, 30]]


def test_no_objects_and_own_classes(write):
    assert yolo.read_annotation(write(SIZE)).boxes.shape == (0, 4)
    path = write(SIZE + one_object(1, 1, 9, 9, name="zebra"))
    annotation = yolo.read_annotation(path, classes=("lion", "zebra"))
    assert annotation.labels.tolist() == [1]


def test_the_photo_lies_beside_the_annotations_whatever_folder_filename_names(tmp_path):
    (tmp_path / "Annotations").mkdir()
    path = tmp_path / "Annotations" / "b.xml"
    for filename, expected in (
        ("<filename>/home/me/photo.png</filename>", "photo.png"),
        ("<filename> </filename>", "b.jpg"),
        ("", "b.jpg"),
    ):
        path.write_text(f"<annotation>{filename}{SIZE}</annotation>")
        annotation = yolo.read_annotation(path)
        assert annotation.filename == expected
        assert annotation.image_path == tmp_path / "JPEGImages" / expected


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (SIZE + "<object>", "not well-formed"),
        (one_object(1, 1, 9, 9), "<size>"),
        (SIZE.replace("100", "0") + one_object(1, 1, 9, 9), "<size>"),
        (SIZE.replace("100", "inf") + one_object(1, 1, 9, 9), "<size>"),
        (SIZE + one_object(1, 1, 9, 9, name="unicorn"), "unknown class 'unicorn'"),
        (SIZE + one_object(9, 1, 9, 9), "empty or inverted"),
        (SIZE + one_object(20, 1, 9, 9), "empty or inverted"),
        (SIZE + one_object(1, 1, 102, 9), "outside"),
        (SIZE + one_object(-1, 1, 20, 9), "outside"),
        (SIZE + one_object("nan", 1, 20, 9), "empty or inverted"),
        (SIZE + one_object(1, 1, 20, "nan"), "empty or inverted"),
        (SIZE + one_object(1, 1, "inf", 9), "outside"),
        (SIZE + one_object("left", 1, 20, 9), "four numbers"),
        (SIZE + "<object><name>dog</name></object>", "four numbers"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(write, inner, words):
    path = write(inner)
    with pytest.raises(ValueError) as caught:
        yolo.read_annotation(path)
    message = str(caught.value)
    assert words in message and str(path) in message and "\n" not in message


def test_an_unknown_class_is_to_be_corrected_or_added(write, tmp_path):
    path = write(SIZE + one_object(1, 1, 9, 9, name="unicorn"))
    with pytest.raises(ValueError) as caught:
        yolo.read_annotation(path)
    cure = f"correct it, or add it to {tmp_path / 'classes.txt'}"
    assert cure in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entity_bombs_are_refused(tmp_path, encoding):
    entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>'
        f'<!DOCTYPE a [<!ENTITY e0 "ha">{entities}]><annotation>&e9;</annotation>'
    )
    path = tmp_path / "bomb.xml"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match="bomb.xml: declares entities"):
        yolo.read_annotation(path)


# --------------------------------------------------------------------------------------
# A data set


def test_trainval_falls_back_to_train_and_val(tmp_path, write):
    for name in ("a", "b"):
        write(SIZE + one_object(1, 1, 9, 9), name)
    make_lists(tmp_path, train=["b"], val=["a  1"])
    annotations = yolo.load_split(tmp_path, "trainval")
    assert [annotation.filename for annotation in annotations] == ["b.jpg", "a.jpg"]


def test_lists_that_cannot_be_used_are_named(tmp_path, write):
    write(SIZE, "a")
    make_lists(tmp_path, train=["a", "ghost"], empty=[""])
    with pytest.raises(FileNotFoundError, match="names ghost, but .*ghost.xml does"):
        yolo.load_split(tmp_path, "train")
    words = "no such split; found here: empty, train"
    with pytest.raises(FileNotFoundError, match=words):
        yolo.load_split(tmp_path, "test")
    with pytest.raises(ValueError, match="names no image"):
        yolo.load_split(tmp_path, "empty")


def test_the_classes_belong_to_the_data_set(tmp_path, write):
    assert yolo.load_classes(tmp_path) == yolo.VOC_CLASSES
    write(SIZE + one_object(1, 1, 9, 9, name="zebra"))
    make_lists(tmp_path, train=["a"])
    with pytest.raises(ValueError, match="unknown class 'zebra'"):
        yolo.load_split(tmp_path, "train")
    text = "lion\n\n  zebra  \nsecretary bird\n"
    (tmp_path / "classes.txt").write_text(text)
    assert yolo.load_classes(tmp_path) == ("lion", "zebra", "secretary bird")
    assert yolo.load_split(tmp_path, "train")[0].labels.tolist() == [1]


@pytest.mark.parametrize("text", ["", "\n \n", "cat\ndog\ncat\n"])
def test_a_list_of_classes_that_cannot_be_used_is_refused(tmp_path, text):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(ValueError, match="classes.txt: write one class name per line"):
        yolo.load_classes(tmp_path)


def test_without_a_test_list_val_is_for_testing_and_a_tenth_validates(tmp_path, write):
    names = [f"{i:02d}" for i in range(25)]
    for name in names:
        write(SIZE, name)
    make_lists(tmp_path, train=names[:20], val=names[20:])
    splits = yolo.load_splits(tmp_path)
    parts = [[int(a.filename[:2]) for a in part] for part in splits[:3]]
    assert parts[1] == [0, 10] and parts[2] == [20, 21, 22, 23, 24]
    assert sorted(parts[0] + parts[1]) == list(range(20))
    assert splits.test_name == "val"

    (tmp_path / "ImageSets/Main/test.txt").write_text("07\n")
    splits = yolo.load_splits(tmp_path)
    assert [len(part) for part in splits[:3]] == [20, 5, 1]
    assert splits.test_name == "test"


def test_sizes_of_boxes_leave_out_what_is_difficult(write):
    difficult = one_object(1, 1, 9, 9, more="<difficult>1</difficult>")
    path = write(SIZE + difficult + one_object(11, 1, 30, 25))
    annotation = yolo.read_annotation(path)
    np.testing.assert_allclose(yolo.box_sizes([annotation]), [[0.2, 0.5]])
    assert yolo.box_sizes([]).shape == (0, 2)


def test_a_fingerprint_changes_with_everything_that_training_sees(write):
    annotation = yolo.read_annotation(write(SIZE + one_object(1, 1, 9, 9)))
    other = dataclasses.replace
    variants = [
        [annotation],
        [annotation, annotation],
        [other(annotation, filename="b.jpg")],
        [other(annotation, width=101)],
        [other(annotation, boxes=annotation.boxes + 1)],
        [other(annotation, labels=annotation.labels + 1)],
        [other(annotation, difficult=~annotation.difficult)],
    ]
    names = [yolo.fingerprint(variant) for variant in variants]
    assert len(set(names)) == len(names)
    moved = other(annotation, image_path=annotation.image_path.parent / "x")
    assert yolo.fingerprint([moved]) == names[0]


# --------------------------------------------------------------------------------------
# Settings


@pytest.fixture
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("YOLO_")] + ["VOC_DIR"]:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_settings_follow_the_profile_and_the_environment(environment, tmp_path, write):
    settings = yolo.load_settings()
    assert (settings.profile, settings.width) == ("tiny", 0.25)
    assert settings.classes == yolo.load_classes(settings.voc_dir)
    assert settings.artifacts == yolo.ROOT / "data/artifacts"
    assert settings.weights == yolo.ROOT / "data/pretrained/tiny.weights"

    write(SIZE)
    (tmp_path / "classes.txt").write_text("mug\n")
    environment.setenv("YOLO_PROFILE", "full")
    environment.setenv("VOC_DIR", str(tmp_path))
    environment.setenv("YOLO_EPOCHS", "3")
    environment.setenv("YOLO_ARTIFACTS", str(tmp_path / "out"))
    environment.setenv("YOLO_WEIGHTS", "none")
    settings = yolo.load_settings()
    assert (settings.profile, settings.width, settings.epochs) == ("full", 1.0, 3)
    assert (settings.voc_dir, settings.classes) == (tmp_path, ("mug",))
    assert (settings.artifacts, settings.weights) == (tmp_path / "out", None)
    environment.setenv("YOLO_WEIGHTS", str(tmp_path / "a.weights"))
    assert yolo.load_settings().weights == tmp_path / "a.weights"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("YOLO_PROFILE", "huge", "choose one of tiny, full"),
        ("VOC_DIR", "/nowhere", "no folder Annotations"),
        ("YOLO_EPOCHS", "0", "whole number"),
        ("YOLO_EPOCHS", "-3", "whole number"),
        ("YOLO_EPOCHS", "1.5", "whole number"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(environment, name, value, words):
    environment.setenv(name, value)
    with pytest.raises(ValueError) as caught:
        yolo.load_settings()
    message = str(caught.value)
    assert f"{name}={value}" in message and words in message and "\n" not in message


# --------------------------------------------------------------------------------------
# Artifacts


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings with folders of their own for artifacts and carried results."""
    monkeypatch.setattr(yolo, "REFERENCE", tmp_path / "reference")
    (tmp_path / "reference").mkdir()
    (tmp_path / "artifacts").mkdir()
    settings = yolo.load_settings()
    return dataclasses.replace(settings, artifacts=tmp_path / "artifacts")


def test_artifacts_are_found_by_name_and_data(settings, capsys):
    path = settings.artifacts / "x.json"
    yolo.write_json(path, {"value": 1, "data": "here"})
    assert yolo.find_artifact(settings, "x.json", "01", "here") == path
    assert yolo.read_json(path)["value"] == 1
    assert capsys.readouterr().out.startswith("x.json: from ")
    words = "x.json for this data set is missing: run notebook 01 first"
    with pytest.raises(FileNotFoundError, match=words):
        yolo.find_artifact(settings, "x.json", "01", "elsewhere")
    with pytest.raises(FileNotFoundError, match="none.json .*run notebook 07"):
        yolo.find_artifact(settings, "none.json", "07", "here")


def test_an_artifact_of_other_data_gives_way_to_the_carried_one(settings):
    own, carried = settings.artifacts / "x.json", yolo.REFERENCE / "x.json"
    yolo.write_json(own, {"data": "mine"})
    yolo.write_json(carried, {"data": "the repository's"})
    assert yolo.find_artifact(settings, "x.json", "01", "the repository's") == carried
    yolo.write_json(own, {"data": "the repository's"})
    assert yolo.find_artifact(settings, "x.json", "01", "the repository's") == own


@pytest.mark.parametrize("content", [b"", b'{"data": "he', b"[1, 2]", b"\xff\xfe\x00"])
def test_an_artifact_that_is_no_whole_dictionary_is_refused_in_one_line(
    settings, content
):
    path = settings.artifacts / "x.json"
    path.write_bytes(content)
    for call in (
        lambda: yolo.read_json(path),
        lambda: yolo.find_artifact(settings, "x.json", "01", "here"),
    ):
        with pytest.raises(ValueError, match="x.json: ") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(settings):
    with pytest.raises(FileNotFoundError, match="y.json: this file is missing"):
        yolo.read_json(settings.artifacts / "y.json")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    yolo.write_json(path, {"value": 1})
    with pytest.raises(TypeError):
        yolo.write_json(path, {"value": object()})
    with pytest.raises(KeyboardInterrupt):
        with yolo.whole_file(path) as unfinished:
            unfinished.write_text("half of the n")
            raise KeyboardInterrupt
    assert yolo.read_json(path) == {"value": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_a_whole_file_appears_only_when_it_is_finished(tmp_path):
    path = tmp_path / "x.txt"
    with yolo.whole_file(path) as unfinished:
        unfinished.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


# --------------------------------------------------------------------------------------
# Folders


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["notes.txt", "history.csv", "yolov2.weights"])
def test_a_folder_with_foreign_files_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(ValueError) as caught:
        yolo.claim_folder(tmp_path)
    message = str(caught.value)
    assert "move them away, or set YOLO_ARTIFACTS" in message and "\n" not in message
    assert contents(tmp_path) == before


def test_a_new_or_claimed_folder_is_taken_again_and_again(tmp_path):
    folder = tmp_path / "deep" / "down"
    yolo.claim_folder(folder)
    (folder / "anchors.json").write_text("{}")
    yolo.claim_folder(folder)
    assert contents(folder).keys() == {yolo.MARKER, "anchors.json"}


def test_hidden_files_and_folders_neither_prevent_a_claim_nor_are_touched(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in (".git-credentials", ".pre-commit-config.yaml", "sub/history.csv"):
        (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    yolo.claim_folder(tmp_path)
    after = contents(tmp_path)
    del after[yolo.MARKER]
    assert after == before
