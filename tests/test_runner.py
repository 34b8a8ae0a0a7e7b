"""`make run` and `make notebooks` on small throw-away notebooks, and the settings that they pass on."""

import importlib.util
import json
import os

import jupytext
import nbformat
import pytest

import yolo_helpers as yolo

RESULT = """
import json, os, pathlib
folder = pathlib.Path(os.environ["YOLO_ARTIFACTS"])
folder.mkdir(parents=True, exist_ok=True)
result = {"split": "test", "map": 0.58349, "detections": str(folder / "d.jpg"), "made_from": {}}
(folder / "results.json").write_text(json.dumps(result))
"""


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """The runner on an empty folder of notebooks, with `write(name, *cells)` to fill it."""
    spec = importlib.util.spec_from_file_location("run_notebooks", yolo.ROOT / "notebooks" / "scripts" / "run_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(module, "NOTEBOOKS", folder)
    monkeypatch.setattr(module, "REFERENCE", tmp_path / "reference")
    monkeypatch.setenv("YOLO_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.chdir(tmp_path)

    def write(name, *cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        jupytext.write(notebook, folder / f"{name}.py", fmt="py:percent")
        jupytext.write(notebook, folder / f"{name}.ipynb")

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["run_notebooks.py", *arguments])
        return module.main()

    module.write, module.run_main, module.folder = write, run, folder
    return module


def test_run_hands_on_artifacts_leaves_notebooks_alone_and_ends_with_two_lines(runner, capsys):
    runner.write("01_first", "print('one')", RESULT)
    runner.write("02_second", "import os, pathlib\nassert (pathlib.Path(os.environ['YOLO_ARTIFACTS']) / 'results.json').exists()")
    before = {path.name: path.read_bytes() for path in runner.folder.iterdir()}
    assert runner.run_main() == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["mAP@.5 on test: 0.583", "detections: artifacts/d.jpg"]
    assert {path.name: path.read_bytes() for path in runner.folder.iterdir()} == before
    executed = nbformat.read("artifacts/executed/01_first.ipynb", as_version=4)
    assert executed.cells[0].outputs[0].text == "one\n"


@pytest.mark.parametrize("arguments", [(), ("--store",)])
def test_it_stops_at_the_first_failure_and_shows_the_cell(runner, capsys, arguments):
    runner.write("01_first", "print('fine')", "broken = 1 / 0")
    runner.write("02_second", "open('never', 'w')")
    before = (runner.folder / "01_first.ipynb").read_bytes()
    assert runner.run_main(*arguments) == 1
    error = capsys.readouterr().err
    assert "01_first failed" in error and "broken = 1 / 0" in error and "ZeroDivisionError" in error
    assert (runner.folder / "01_first.ipynb").read_bytes() == before
    assert not (runner.folder / "never").exists()


def test_store_follows_the_py_and_refreshes_the_reference(runner, tmp_path):
    runner.write("01_first", "1 + 1", RESULT)
    source = runner.folder / "01_first.py"
    source.write_text(source.read_text().replace("1 + 1", "2 + 3"))
    assert runner.run_main("--store") == 0
    notebook = json.loads((runner.folder / "01_first.ipynb").read_text())
    assert notebook["cells"][0]["outputs"][0]["data"]["text/plain"] == ["5"]
    assert "execution" not in notebook["cells"][0]["metadata"] and set(notebook["metadata"]) <= set(runner.KEPT_METADATA)
    assert [path.name for path in (tmp_path / "reference").iterdir()] == ["results.json"]
    assert not (tmp_path / "artifacts").exists()


def test_store_ignores_the_settings_of_the_shell(runner, monkeypatch):
    for name in runner.SETTINGS:
        monkeypatch.setenv(name, "set")
    runner.write("01_first", f"import os\nprint([name for name in {runner.SETTINGS} if name in os.environ])")
    assert runner.run_main("--store") == 0
    assert nbformat.read(runner.folder / "01_first.ipynb", as_version=4).cells[0].outputs[0].text == "[]\n"


def test_store_keeps_the_temporary_folder_out_of_the_notebook(runner):
    runner.write("01_first", "import os\nprint(os.environ['YOLO_ARTIFACTS'])")
    assert runner.run_main("--store") == 0
    assert nbformat.read(runner.folder / "01_first.ipynb", as_version=4).cells[0].outputs[0].text == "data/artifacts\n"


def test_store_refuses_a_reference_file_that_is_too_large(runner, monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "LARGEST_REFERENCE", 10)
    runner.write("01_first", RESULT)
    before = (runner.folder / "01_first.ipynb").read_bytes()
    with pytest.raises(ValueError, match=r"results\.json has \d+ bytes"):
        runner.run_main("--store")
    assert (runner.folder / "01_first.ipynb").read_bytes() == before and not (tmp_path / "reference").exists()


def test_a_kernel_that_dies_is_reported_in_one_line(runner, capsys):
    runner.write("01_first", "import os\nos._exit(3)")
    assert runner.run_main() == 1
    assert "01_first failed: its kernel died" in capsys.readouterr().err


def test_a_name_that_fits_no_notebook_is_an_error(runner):
    runner.write("01_first", "1 + 1")
    with pytest.raises(SystemExit) as caught:
        runner.run_main("09")
    assert caught.value.code == 2


def test_pytest_stays_away_from_the_real_artifacts():
    assert yolo.ROOT / "data" not in yolo.load_settings().artifacts.parents
    assert os.environ["YOLO_EPOCHS"] == "1" and os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("YOLO_PROFILE", "huge", "choose one of tiny, full"),
        ("YOLO_EPOCHS", "many", "a whole number"),
        ("VOC_DIR", "/nowhere", "no folder Annotations"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_one_line(monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words) as caught:
        yolo.load_settings()
    assert "\n" not in str(caught.value) and name in str(caught.value)
