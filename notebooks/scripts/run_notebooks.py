"""Run the six notebooks in order, each in a fresh kernel; stop at the first that fails.

    python notebooks/scripts/run_notebooks.py             # copies, into data/artifacts/executed/
    python notebooks/scripts/run_notebooks.py --store     # the notebooks themselves, and data/reference/

Without --store (`make run`) the notebooks hand their artifacts on through data/artifacts/ (or YOLO_ARTIFACTS) and are
not touched themselves; the last two lines name the mAP and the picture of detections. With --store (`make notebooks`)
each notebook is rebuilt from its .py, runs with an empty artifacts folder, so that it reads data/reference/ as it does
when opened alone, and only then replaces the stored one; what it made goes to data/reference/.
"""

import argparse
import filecmp
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
REFERENCE = ROOT / "data" / "reference"
REFERENCE_FILES = ("anchors.json", "yolov2_weights.npz", "history.json", "results.json")
KEPT_METADATA = ("kernelspec", "accelerator", "colab", "jupytext")


class LiveClient(NotebookClient):
    """Executes a notebook and shows the lines of its long cells while they run."""

    def output(self, outs, msg, display_id, cell_index):
        if msg["msg_type"] == "stream" and "live" in self.nb.cells[cell_index].metadata.get("tags", []):
            print(msg["content"]["text"], end="", flush=True)
        return super().output(outs, msg, display_id, cell_index)


def execute(notebook, folder, environment):
    """Execute a notebook in a fresh kernel that starts in `folder`; raises CellExecutionError."""
    client = LiveClient(
        notebook, timeout=None, kernel_name="python3", record_timing=False, resources={"metadata": {"path": folder}}
    )
    client.execute(env={**os.environ, **environment})


def rebuilt(path):
    """The notebook of the paired .py, with only the metadata that belongs into the repository."""
    notebook = jupytext.read(path.with_suffix(".py"))
    notebook.metadata = nbformat.from_dict({key: notebook.metadata[key] for key in KEPT_METADATA if key in notebook.metadata})
    notebook.metadata.get("jupytext", {}).pop("text_representation", None)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
    return notebook


def run(path, artifacts):
    """`make run` for one notebook: a copy, executed with oneDNN on, which halves the time of training."""
    notebook = nbformat.read(path, as_version=4)
    try:
        execute(notebook, path.parent, {"TF_ENABLE_ONEDNN_OPTS": "1", "YOLO_ARTIFACTS": str(artifacts)})
    finally:
        target = artifacts / "executed" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)


def store(path):
    """`make notebooks` for one notebook: all or nothing."""
    notebook = rebuilt(path)
    with tempfile.TemporaryDirectory() as artifacts:
        # training runs with oneDNN: its outputs are not compared, and it takes half the time
        fast = "1" if path.stem == "05_training" else "0"
        execute(notebook, path.parent, {"TF_ENABLE_ONEDNN_OPTS": fast, "YOLO_ARTIFACTS": artifacts})
        temporary = path.with_name(f".{path.name}")
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        notebook.metadata.pop("language_info", None)
        nbformat.write(notebook, temporary)
        os.replace(temporary, path)
        REFERENCE.mkdir(exist_ok=True)
        for made in sorted(Path(artifacts).iterdir()):
            kept = REFERENCE / made.name
            if made.name in REFERENCE_FILES and not (kept.exists() and filecmp.cmp(made, kept, shallow=False)):
                shutil.copyfile(made, kept)


def result_lines(artifacts):
    """The two last lines of `make run`, from what notebook 06 wrote."""
    result = json.loads((artifacts / "results.json").read_text())
    picture = Path(result["detections"])
    picture = picture.relative_to(Path.cwd()) if picture.is_relative_to(Path.cwd()) else picture
    return f"mAP@.5 on {result['split']}: {result['map']:.3f}\ndetections: {picture}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help="store outputs and reference artifacts in the repository")
    parser.add_argument("names", nargs="*", help="only the notebooks whose names begin so, for example 04")
    options = parser.parse_args()
    artifacts = Path(os.environ.get("YOLO_ARTIFACTS") or ROOT / "data" / "artifacts").resolve()
    paths = sorted(NOTEBOOKS.glob("0*.py" if options.store else "0*.ipynb"))
    paths = [path.with_suffix(".ipynb") for path in paths if not options.names or path.name.startswith(tuple(options.names))]
    for number, path in enumerate(paths, 1):
        start = time.perf_counter()
        print(f"[{number}/{len(paths)}] {path.stem} ...", flush=True)
        try:
            store(path) if options.store else run(path, artifacts)
        except CellExecutionError as error:
            print(f"[{number}/{len(paths)}] {path.stem} failed: {error.ename}: {error.evalue}\n{error}", file=sys.stderr)
            return 1
        print(f"[{number}/{len(paths)}] {path.stem} done in {time.perf_counter() - start:.0f} s", flush=True)
    if not options.store and not options.names:
        print(result_lines(artifacts))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
