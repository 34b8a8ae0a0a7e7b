"""`make run` and `make notebooks` on small notebooks that are thrown away."""

import hashlib
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
result = {"split": "test", "map": 0.58349, "detections": "detections.jpg", "data": ""}
(folder / "results.json").write_text(json.dumps(result))
"""
DETECTOR = """
import hashlib, json, os, pathlib
folder = pathlib.Path(os.environ["YOLO_ARTIFACTS"])
(folder / "yolov2.weights").write_bytes(b"numbers")
checksum = hashlib.sha256(b"numbers").hexdigest()
(folder / "yolov2.json").write_text(json.dumps({"sha256": checksum}))
"""
NOISE = """
import os, sys
os.write(2, b"from C++ code\\n")
print("from Python", file=sys.stderr)
"""


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """The runner on an empty folder of notebooks, `write(name, *cells)` to fill it."""
    path = yolo.ROOT / "notebooks" / "scripts" / "run_notebooks.py"
    spec = importlib.util.spec_from_file_location("run_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(module, "NOTEBOOKS", folder)
    monkeypatch.setattr(module, "REFERENCE", tmp_path / "reference")
    monkeypatch.setenv("YOLO_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.chdir(tmp_path)

    def claim_here():
        """The same without a process that imports TensorFlow."""
        (tmp_path / "artifacts" / "executed").mkdir(parents=True)
        return tmp_path / "artifacts"

    module.really_claim = module.claimed_artifacts
    monkeypatch.setattr(module, "claimed_artifacts", claim_here)

    def write(name, *sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        }
        jupytext.write(notebook, folder / f"{name}.py", fmt="py:percent")
        jupytext.write(notebook, folder / f"{name}.ipynb")

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["run_notebooks.py", *arguments])
        return module.main()

    module.write, module.run_main, module.folder = write, run, folder
    return module


def outputs_of(path):
    return nbformat.read(path, as_version=4).cells[0].outputs


def test_run_hands_on_artifacts_and_leaves_notebooks_alone(runner, capsys):
    runner.write("01_first", "print('one')", RESULT)
    check = "(pathlib.Path(os.environ['YOLO_ARTIFACTS']) / 'results.json').exists()"
    runner.write("02_second", f"import os, pathlib\nassert {check}")
    before = {path.name: path.read_bytes() for path in runner.folder.iterdir()}
    assert runner.run_main() == 0
    last_lines = capsys.readouterr().out.splitlines()[-2:]
    expected = ["mAP@.5 on test: 0.583", "detections: artifacts/detections.jpg"]
    assert last_lines == expected
    after = {path.name: path.read_bytes() for path in runner.folder.iterdir()}
    assert after == before
    assert outputs_of("artifacts/executed/01_first.ipynb")[0].text == "one\n"


def test_run_refuses_a_folder_with_other_files(runner, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "claimed_artifacts", runner.really_claim)
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "diary.txt").write_text("mine")
    runner.write("01_first", "print('one')")
    with pytest.raises(ValueError, match="files of yours") as caught:
        runner.run_main()
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


def test_the_folders_that_run_writes_to_are_marked(runner, tmp_path):
    assert runner.really_claim() == tmp_path / "artifacts"
    assert (tmp_path / "artifacts" / yolo.MARKER).exists()
    assert (tmp_path / "artifacts" / "executed" / yolo.MARKER).exists()


@pytest.mark.parametrize("arguments", [(), ("--store",)])
def test_it_stops_at_the_first_failure_and_shows_the_cell(runner, capsys, arguments):
    runner.write("01_first", "print('fine')", "broken = 1 / 0")
    runner.write("02_second", "open('never', 'w')")
    before = (runner.folder / "01_first.ipynb").read_bytes()
    assert runner.run_main(*arguments) == 1
    error = capsys.readouterr().err
    assert "01_first failed" in error
    assert "broken = 1 / 0" in error and "ZeroDivisionError" in error
    assert (runner.folder / "01_first.ipynb").read_bytes() == before
    assert not (runner.folder / "never").exists()


def test_store_follows_the_py_and_refreshes_the_reference(runner, tmp_path):
    runner.write("01_first", "1 + 1", RESULT, DETECTOR)
    source = runner.folder / "01_first.py"
    source.write_text(source.read_text().replace("1 + 1", "2 + 3"))
    assert runner.run_main("--store") == 0
    notebook = json.loads((runner.folder / "01_first.ipynb").read_text())
    assert notebook["cells"][0]["outputs"][0]["data"]["text/plain"] == ["5"]
    assert "execution" not in notebook["cells"][0]["metadata"]
    assert set(notebook["metadata"]) <= set(runner.KEPT_METADATA)
    names = sorted(path.name for path in (tmp_path / "reference").iterdir())
    assert names == ["results.json", "yolov2.json", "yolov2.weights"]
    assert not (tmp_path / "artifacts").exists()


def test_a_stored_detector_fits_its_description(runner, tmp_path):
    runner.write("05_training", DETECTOR)
    assert runner.run_main("--store") == 0
    weights = (tmp_path / "reference" / "yolov2.weights").read_bytes()
    description = json.loads((tmp_path / "reference" / "yolov2.json").read_text())
    assert hashlib.sha256(weights).hexdigest() == description["sha256"]


def test_a_detector_that_does_not_fit_its_description_is_refused(runner, tmp_path):
    runner.write("05_training", DETECTOR.replace('b"numbers")\n', 'b"other")\n', 1))
    before = (runner.folder / "05_training.ipynb").read_bytes()
    with pytest.raises(ValueError, match="does not describe"):
        runner.run_main("--store")
    assert (runner.folder / "05_training.ipynb").read_bytes() == before
    assert not (tmp_path / "reference").exists()


def test_folded_cells_stay_folded_and_tags_stay(runner):
    runner.write("01_first", "1 + 1")
    source = runner.folder / "01_first.py"
    text = source.read_text()
    marked = '# %% cellView="form" tags=["set-up"]\n1 + 1'
    source.write_text(text.replace("# %%\n1 + 1", marked))
    assert runner.run_main("--store") == 0
    (cell,) = nbformat.read(runner.folder / "01_first.ipynb", as_version=4).cells
    assert cell.metadata == {"cellView": "form", "tags": ["set-up"]}


def test_what_c_code_prints_stays_out_and_python_warnings_stay_in(runner, capfd):
    runner.write("01_first", NOISE, RESULT)
    assert runner.run_main("--store") == 0
    (output,) = outputs_of(runner.folder / "01_first.ipynb")
    assert output.text == "from Python\n"
    assert "C++" not in capfd.readouterr().err


def test_store_ignores_the_settings_of_the_shell(runner, monkeypatch):
    for name in runner.SETTINGS:
        monkeypatch.setenv(name, "set")
    listed = f"[name for name in {runner.SETTINGS} if name in os.environ]"
    runner.write("01_first", f"import os\nprint({listed})")
    assert runner.run_main("--store") == 0
    assert outputs_of(runner.folder / "01_first.ipynb")[0].text == "[]\n"


def test_store_keeps_the_temporary_folder_out_of_the_notebook(runner):
    runner.write("01_first", "import os\nprint(os.environ['YOLO_ARTIFACTS'])")
    assert runner.run_main("--store") == 0
    assert outputs_of(runner.folder / "01_first.ipynb")[0].text == "data/artifacts\n"


def test_store_refuses_a_reference_file_that_is_too_large(
    runner, monkeypatch, tmp_path
):
    monkeypatch.setattr(runner, "LARGEST_REFERENCE", 10)
    runner.write("01_first", RESULT)
    before = (runner.folder / "01_first.ipynb").read_bytes()
    with pytest.raises(ValueError, match=r"results\.json has \d+ bytes"):
        runner.run_main("--store")
    assert (runner.folder / "01_first.ipynb").read_bytes() == before
    assert not (tmp_path / "reference").exists()


def test_a_kernel_that_dies_is_reported_with_its_last_words(runner, capsys):
    runner.write("01_first", "import os\nos.write(2, b'out of wit')\nos._exit(3)")
    assert runner.run_main() == 1
    error = capsys.readouterr().err
    assert "01_first failed: its kernel died" in error and "out of wit" in error


def test_a_name_that_fits_no_notebook_is_an_error(runner):
    runner.write("01_first", "1 + 1")
    with pytest.raises(SystemExit) as caught:
        runner.run_main("09")
    assert caught.value.code == 2


def test_pytest_stays_away_from_the_real_artifacts():
    assert yolo.ROOT / "data" not in yolo.load_settings().artifacts.parents
    assert os.environ["YOLO_EPOCHS"] == "1"
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert not {"YOLO_PROFILE", "VOC_DIR", "YOLO_WEIGHTS"} & set(os.environ)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("YOLO_PROFILE", "huge", "choose one of tiny, full"),
        ("YOLO_EPOCHS", "many", "a whole number"),
        ("VOC_DIR", "/nowhere", "no folder Annotations"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_one_line(
    monkeypatch, name, value, words
):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words) as caught:
        yolo.load_settings()
    assert "\n" not in str(caught.value) and name in str(caught.value)
