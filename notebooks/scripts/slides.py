"""Export the key figures of the notebooks as slides of 1920 x 1080 pixels.

    python notebooks/scripts/slides.py         # all chapters: some minutes
    python notebooks/scripts/slides.py 01 04   # only these

A key figure is one that a cell with the tag `slide` shows. Copies of the notebooks are
executed up to their last such cell, with larger letters and many pixels. Each key
figure is then scaled down to fill a white slide, without being stretched. The training
of chapter 5 (the cell with the tag `live`) is replaced by the results that
data/reference/ has of it.

The slides go to the folder slides/ beside the artifacts. They are named by chapter and
number, and by the title of the section that the figure is in.
"""

import argparse
import base64
import os
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import cv2
import nbformat
import numpy as np
import run_notebooks
from nbclient.exceptions import CellExecutionError, DeadKernelError

import yolo_helpers as yolo

WIDTH, HEIGHT = 1920, 1080  # pixels of a slide
MARGIN = 30  # some projectors cut the border off
# More pixels than a slide has, so that no figure is ever enlarged.
LARGE_FIGURES = """\
import matplotlib
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats("png")
matplotlib.rcParams["figure.dpi"] = 300
for part in ("font.size", "axes.titlesize", "axes.labelsize", "legend.fontsize"):
    matplotlib.rcParams[part] *= 1.15
for part in ("xtick.labelsize", "ytick.labelsize"):
    matplotlib.rcParams[part] *= 1.15
"""
STORED_TRAINING = """\
history = yolo.read_json(yolo.REFERENCE / "history.json")["history"]
network, *_ = yolo.load_detector(yolo.REFERENCE / "yolov2.json")
"""


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def copy_for_slides(notebook):
    """A notebook up to its last key figure, with large figures and no training.

    Returns
    -------
    notebook
        It has no cells if no cell has the tag `slide`.
    """
    cells = list(notebook.cells)
    while cells and not has_tag(cells[-1], "slide"):
        cells.pop()
    copied = []
    for cell in cells:
        if has_tag(cell, "live"):
            cell = nbformat.v4.new_code_cell(STORED_TRAINING)
        copied.append(cell)
        if cell.cell_type == "code" and "figures.setup(" in cell.source:
            copied.append(nbformat.v4.new_code_cell(LARGE_FIGURES))
    return nbformat.v4.new_notebook(cells=copied, metadata=notebook.metadata)


def key_figures(notebook):
    """(title of the section, figure as PNG) for each key figure of an executed copy.

    Raises
    ------
    ValueError
        If a cell with the tag `slide` shows no figure.
    """
    found = []
    title = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            title = [title, *re.findall(r"^#+ (.+)", cell.source, re.MULTILINE)][-1]
        if not has_tag(cell, "slide"):
            continue
        data = [output.get("data", {}) for output in cell.outputs]
        pictures = [mimes["image/png"] for mimes in data if "image/png" in mimes]
        if not pictures:
            raise ValueError(f"{title}: the cell with the tag slide shows no figure")
        found += [(title, base64.b64decode(picture)) for picture in pictures]
    return found


def slide_from(figure):
    """A figure in the middle of a white slide, as large as fits.

    Parameters
    ----------
    figure : bytes
        A PNG file.

    Returns
    -------
    bytes
        A PNG file of WIDTH x HEIGHT pixels.
    """
    picture = cv2.imdecode(np.frombuffer(figure, np.uint8), cv2.IMREAD_COLOR)
    height, width = picture.shape[:2]
    scale = min((WIDTH - 2 * MARGIN) / width, (HEIGHT - 2 * MARGIN) / height)
    width, height = round(scale * width), round(scale * height)
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    left, top = (WIDTH - width) // 2, (HEIGHT - height) // 2
    slide = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    slide[top : top + height, left : left + width] = picture
    return cv2.imencode(".png", slide)[1].tobytes()


def slide_names(chapter, titles):
    """File names of a chapter's slides, as in 01-2-when-are-two-shapes-alike.png."""
    names = []
    for number, title in enumerate(titles, start=1):
        words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        names.append(f"{chapter}-{number}-{words}.png")
    return names


def export(path, folder):
    """Execute the copy of one notebook and write its slides; returns their names."""
    copy = copy_for_slides(run_notebooks.rebuilt(path))
    if not copy.cells:
        return []
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in run_notebooks.SETTINGS
    }
    with tempfile.TemporaryDirectory() as artifacts:
        environment["YOLO_ARTIFACTS"] = artifacts
        run_notebooks.execute(copy, path.parent, environment)
    found = key_figures(copy)
    names = slide_names(path.stem[:2], [title for title, _ in found])
    for name, (_, figure) in zip(names, found, strict=True):
        with yolo.whole_file(folder / name) as unfinished:
            unfinished.write_bytes(slide_from(figure))
    return names


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        nargs="*",
        help="only the notebooks whose names begin so, for example 04",
    )
    options = parser.parse_args(arguments)
    beginnings = tuple(options.names) or ("0",)
    paths = sorted(run_notebooks.NOTEBOOKS.glob("0*.py"))
    paths = [path for path in paths if path.name.startswith(beginnings)]
    if not paths:
        parser.error(f"no notebook begins with {' or '.join(options.names)}")

    folder = yolo.load_settings().artifacts / "slides"
    yolo.claim_folder(folder)
    written = []
    for path in paths:
        start = time.perf_counter()
        print(f"{path.stem} ...", flush=True)
        names = export(path, folder)
        seconds = time.perf_counter() - start
        print(f"{path.stem}: {len(names)} slides in {seconds:.0f} s", flush=True)
        written += names
    if not written:
        raise ValueError("no cell of these notebooks has the tag slide")

    print(f"slides: {yolo.short_path(folder)}")
    chapters = tuple(path.stem[:2] for path in paths)
    others = {p.name for p in folder.glob("*.png") if p.name.startswith(chapters)}
    for name in sorted(others - set(written)):
        print(f"left from an earlier export: {name}")


if __name__ == "__main__":
    try:
        main()
    except (CellExecutionError, DeadKernelError, ValueError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")
