"""Reading Pascal VOC annotations: what counts, what is refused, and in which words."""

import numpy as np
import pytest

import yolo_helpers as yolo

OBJECT = (
    "<object><name>{name}</name>{more}<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"
)
SIZE = "<size><width>100</width><height>50</height><depth>3</depth></size>"


def one_object(*box, name="dog", more=""):
    return OBJECT.format(*box, name=name, more=more)


@pytest.fixture
def write(tmp_path):
    """Write an annotation file from its inner XML; returns its path."""

    def write_file(inner, name="a"):
        folder = tmp_path / "Annotations"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.xml"
        path.write_text(f"<annotation><filename>{name}.jpg</filename>{inner}</annotation>")
        return path

    return write_file


def test_reads_pixels_flags_and_classes(write):
    more = "<truncated>1</truncated><difficult>1</difficult>"
    annotation = yolo.read_annotation(
        write(SIZE + one_object(1, 1, 100, 50, more=more) + one_object("10.5", 5, 20, 25, name="person"))
    )
    assert (annotation.filename, annotation.width, annotation.height) == ("a.jpg", 100, 50)
    np.testing.assert_array_equal(annotation.boxes, [[1, 1, 100, 50], [10.5, 5, 20, 25]])
    assert [yolo.CLASSES[label] for label in annotation.labels] == ["dog", "person"]
    assert annotation.difficult.tolist() == annotation.truncated.tolist() == [True, False]


def test_one_based_inclusive_pixels_become_continuous_fractions(write):
    annotation = yolo.read_annotation(write(SIZE + one_object(1, 1, 100, 50) + one_object(51, 26, 75, 50)))
    np.testing.assert_allclose(yolo.box_fractions(annotation), [[0, 0, 1, 1], [0.5, 0.5, 0.75, 1]])


def test_only_direct_objects_count(write):
    part = "<part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
    nested = one_object(1, 1, 30, 30, name="person").replace("</object>", part + one_object(3, 3, 8, 8) + "</object>")
    annotation = yolo.read_annotation(write(SIZE + nested))
    assert annotation.boxes.tolist() == [[1, 1, 30, 30]]


def test_no_objects_and_own_classes(write):
    assert yolo.read_annotation(write(SIZE)).boxes.shape == (0, 4)
    annotation = yolo.read_annotation(write(SIZE + one_object(1, 1, 9, 9, name="zebra")), classes=("lion", "zebra"))
    assert annotation.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (SIZE + "<object>", "not well-formed"),
        (one_object(1, 1, 9, 9), "<size>"),
        (SIZE.replace("100", "0") + one_object(1, 1, 9, 9), "<size>"),
        (SIZE + one_object(1, 1, 9, 9, name="unicorn"), "unknown class 'unicorn'"),
        (SIZE + one_object(9, 1, 9, 9), "empty or inverted"),
        (SIZE + one_object(20, 1, 9, 9), "empty or inverted"),
        (SIZE + one_object(1, 1, 120, 9), "outside"),
        (SIZE + one_object(-7, 1, 20, 9), "outside"),
        (SIZE + one_object("nan", 1, 20, 9), "empty or inverted"),
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entity_bombs_are_refused(tmp_path, encoding):
    entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY e0 "ha">{entities}]><annotation>&e9;</annotation>'
    path = tmp_path / "bomb.xml"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match="bomb.xml: declares entities"):
        yolo.read_annotation(path)


def make_lists(tmp_path, **lists):
    folder = tmp_path / "ImageSets" / "Main"
    folder.mkdir(parents=True)
    for name, names in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(names) + "\n")


def test_trainval_falls_back_to_train_and_val(tmp_path, write):
    for name in ("a", "b"):
        write(SIZE + one_object(1, 1, 9, 9), name)
    make_lists(tmp_path, train=["b"], val=["a  1"])
    assert [a.filename for a in yolo.load_split(tmp_path, "trainval")] == ["b.jpg", "a.jpg"]


def test_lists_that_cannot_be_used_are_named(tmp_path, write):
    write(SIZE, "a")
    make_lists(tmp_path, train=["a", "ghost"], empty=[""])
    with pytest.raises(FileNotFoundError, match="names ghost, but .*ghost.xml does not exist"):
        yolo.load_split(tmp_path, "train")
    with pytest.raises(FileNotFoundError, match="no such split; found here: empty, train"):
        yolo.load_split(tmp_path, "test")
    with pytest.raises(ValueError, match="names no image"):
        yolo.load_split(tmp_path, "empty")


def test_missing_empty_and_truncated_photos_are_found_before_training(tmp_path, write):
    annotation = yolo.read_annotation(write(SIZE + one_object(1, 1, 9, 9)))
    with pytest.raises(FileNotFoundError, match="a.jpg: the photo is missing"):
        yolo.check_images([annotation])
    annotation.image_path.parent.mkdir()
    import cv2

    noise = np.random.default_rng(0).integers(0, 255, (50, 100, 3), np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    for content in (b"", whole[: len(whole) // 2], whole[:-2], b"<html>not found</html>" * 9):
        annotation.image_path.write_bytes(content)
        with pytest.raises(ValueError, match="a.jpg: empty, cut off or not a JPEG"):
            yolo.check_images([annotation])
    annotation.image_path.write_bytes(whole)
    yolo.check_images([annotation])


def test_artifacts_are_checked_when_read(tmp_path):
    settings = type("S", (), {"artifacts": tmp_path})()
    yolo.write_artifact(tmp_path / "x.json", {"anchors": [[1, 2]]}, {"data": "here"})
    yolo.write_artifact(tmp_path / "x.npz", {"a": np.arange(5)}, {"data": "here"})
    for name in ("x.json", "x.npz"):
        path = yolo.find_artifact(settings, name, "01", "here")
        assert yolo.read_artifact(path)["made_from"] == {"data": "here"}
        with pytest.raises(FileNotFoundError, match=f"{name} .*made from other data.*run notebook 01"):
            yolo.find_artifact(settings, name, "01", "elsewhere")
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(ValueError, match=f"{name}: not a whole artifact"):
            yolo.find_artifact(settings, name, "01", "here")
    with pytest.raises(FileNotFoundError, match="none.json for this data is missing: run notebook 07"):
        yolo.find_artifact(settings, "none.json", "07", "here")


def test_a_failed_write_leaves_the_old_artifact_and_nothing_else(tmp_path):
    path = yolo.write_artifact(tmp_path / "x.json", {"value": 1}, {"data": ""})
    with pytest.raises(TypeError):
        yolo.write_artifact(path, {"value": object()}, {"data": ""})
    assert yolo.read_artifact(path)["value"] == 1 and [p.name for p in tmp_path.iterdir()] == ["x.json"]
