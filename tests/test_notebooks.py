"""The stored notebooks: in step with their .py, executed in order, small, and nothing machine-made in them."""

import json
import re

import jupytext
import pytest

import yolo_helpers as yolo

NAMES = ("01_anchor_clustering", "02_encoding", "03_model", "04_loss", "05_training", "06_inference")
FOLDER = yolo.ROOT / "notebooks"


def stored(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text())


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_the_pair_agrees_cell_by_cell(name):
    first, second = (jupytext.read(FOLDER / f"{name}{ending}") for ending in (".ipynb", ".py"))
    pairs = [
        [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells] for notebook in (first, second)
    ]
    assert pairs[0] == pairs[1], "run `make notebooks`"


@pytest.mark.parametrize("name", NAMES)
def test_cells_were_executed_in_order_and_without_errors(name):
    cells = code_cells(stored(name))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [
        output for cell in cells for output in cell["outputs"] if "raises-exception" not in cell["metadata"].get("tags", [])
    ]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"], "warnings are stored"


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_small_and_clean(name):
    text = (FOLDER / f"{name}.ipynb").read_text()
    assert len(text) < 1_000_000
    assert "widget-view" not in text
    assert str(yolo.ROOT) not in text and "/tmp/tmp" not in text, "a path of this machine"
    metadata = stored(name)["metadata"]
    assert set(metadata) == {"accelerator", "colab", "jupytext", "kernelspec"}
    assert metadata["colab"] == {"gpuType": "T4", "provenance": [], "toc_visible": True}


@pytest.mark.parametrize("name", NAMES)
def test_most_outputs_are_compared(name):
    with_output = [cell for cell in code_cells(stored(name)) if cell["outputs"]]
    ignored = [cell for cell in with_output if "nbval-ignore-output" in cell["metadata"].get("tags", [])]
    assert len(ignored) <= 0.35 * len(with_output)


def test_at_least_85_percent_of_all_outputs_are_compared():
    cells = [cell for name in NAMES for cell in code_cells(stored(name)) if cell["outputs"]]
    ignored = [cell for cell in cells if "nbval-ignore-output" in cell["metadata"].get("tags", [])]
    assert len(ignored) <= 0.15 * len(cells), f"{len(ignored)} of {len(cells)} are not"


@pytest.mark.parametrize("name", NAMES)
def test_badge_and_bootstrap_name_this_file_in_this_repository(name):
    source = (FOLDER / f"{name}.py").read_text()
    assert f"(https://colab.research.google.com/github/{yolo.REPOSITORY}/blob/main/notebooks/{name}.ipynb)" in source
    assert f"https://github.com/{yolo.REPOSITORY}.git" in source
    assert set(re.findall(r"github(?:\.com)?/([\w-]+/[\w-]+)(?:\.git|/blob)", source)) == {yolo.REPOSITORY}


@pytest.mark.parametrize("file", ["README.md", "data/README.md"])
def test_links_into_the_repository_resolve(file):
    path = yolo.ROOT / file
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    inside = [link for link in links if "://" not in link]
    assert inside and not [link for link in inside if not (path.parent / link).exists()]


def test_reference_files_are_small_and_name_no_machine():
    for path in (yolo.ROOT / "data" / "reference").iterdir():
        assert path.stat().st_size <= 8_000_000, path.name
        if path.name == "results.json":
            assert json.loads(path.read_text())["detections"] == "detections.jpg"
