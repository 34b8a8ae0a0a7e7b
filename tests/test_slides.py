"""The slides: whole figures on white, without distortion and without a training."""

import importlib.util

import cv2
import jupytext
import nbformat
import numpy as np
import pytest

import yolo_helpers as yolo

BOOK = yolo.ROOT / "notebooks"


def load_script(name):
    path = BOOK / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


slides = load_script("slides")


def png(picture):
    return cv2.imencode(".png", picture)[1].tobytes()


def code(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


@pytest.mark.parametrize(("width", "height"), [(3600, 900), (900, 1800), (3200, 1800)])
def test_a_figure_fills_the_slide_and_keeps_its_shape(width, height):
    figure = np.zeros((height, width, 3), np.uint8)
    slide = slides.slide_from(png(figure))
    picture = cv2.imdecode(np.frombuffer(slide, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (1080, 1920, 3)
    assert (picture[0] == 255).all() and (picture[:, 0] == 255).all()

    dark = (picture < 128).all(axis=2)
    across, down = dark.any(axis=0).sum(), dark.any(axis=1).sum()
    assert across / down == pytest.approx(width / height, rel=0.01)
    assert across >= 1850 or down >= 1010
    centre = np.argwhere(dark).mean(axis=0)
    assert centre == pytest.approx([539.5, 959.5], abs=1)


def test_a_copy_ends_with_its_last_key_figure_and_does_not_train():
    notebook = nbformat.v4.new_notebook(
        cells=[
            code("import figures\n\nfigures.setup()"),
            code("train()", "nbval-ignore-output", "live"),
            code("plot()", "slide"),
            code("too_late()"),
        ]
    )
    sources = [cell.source for cell in slides.copy_for_slides(notebook).cells]
    assert sources == [
        "import figures\n\nfigures.setup()",
        slides.LARGE_FIGURES,
        slides.STORED_TRAINING,
        "plot()",
    ]
    assert notebook.cells[1].source == "train()"


def test_a_key_figure_takes_the_title_of_its_section():
    cell = code("plot()", "slide")
    cells = [
        nbformat.v4.new_markdown_cell("## Why?\n\nText."),
        nbformat.v4.new_markdown_cell("More text, without a heading."),
        cell,
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.raises(ValueError, match=r"^Why\?: .* shows no figure$"):
        slides.key_figures(notebook)
    data = {"image/png": "AAAA"}
    cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
    assert slides.key_figures(notebook) == [("Why?", b"\0\0\0")]
    names = slides.slide_names("01", ["Why?", "13 x 13: what for?"])
    assert names == ["01-1-why.png", "01-2-13-x-13-what-for.png"]


@pytest.mark.parametrize("path", sorted(BOOK.glob("0*.py")), ids=lambda path: path.stem)
def test_each_chapter_has_two_to_four_key_figures(path):
    cells = jupytext.read(path).cells
    assert 2 <= sum(slides.has_tag(cell, "slide") for cell in cells) <= 4
