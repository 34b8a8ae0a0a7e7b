"""Run the six notebooks in order, each in a fresh kernel; stop at the first that fails.

    python notebooks/scripts/run_notebooks.py             # copies, into data/artifacts/executed/
    python notebooks/scripts/run_notebooks.py --store     # the notebooks themselves, and data/reference/

Without --store (`make run`) the notebooks hand their artifacts on through data/artifacts/ (or YOLO_ARTIFACTS) and are
not touched themselves; the last two lines name the mAP and the picture of detections. With --store (`make notebooks`)
each notebook is rebuilt from its .py, runs with an empty artifacts folder, so that it reads data/reference/ as it does
when opened alone, and only then replaces the stored one; what it made goes to data/reference/.
"""

import argparse
import asyncio
import filecmp
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
REFERENCE = ROOT / "data" / "reference"
REFERENCE_FILES = ("anchors.json", "yolov2_weights.npz", "history.json", "results.json", "detections.jpg")
LARGEST_REFERENCE = 8_000_000  # bytes
SETTINGS = ("YOLO_PROFILE", "VOC_DIR", "YOLO_EPOCHS")  # what is stored is always made with the defaults
KEPT_METADATA = ("kernelspec", "accelerator", "colab", "jupytext")


class LiveClient(NotebookClient):
    """Executes a notebook and shows the lines of its long cells while they run."""

    def output(self, outs, msg, display_id, cell_index):
        if msg["msg_type"] == "stream" and "live" in self.nb.cells[cell_index].metadata.get("tags", []):
            print(msg["content"]["text"], end="", flush=True)
        return super().output(outs, msg, display_id, cell_index)


def execute(notebook, folder, environment):
    """Execute a notebook in a fresh kernel that starts in `folder`; raises CellExecutionError or DeadKernelError."""
    client = LiveClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": folder}},
        extra_arguments=["--IPKernelApp.log_level=CRITICAL"],  # no chatter between the lines of progress
        on_notebook_start=interrupt_ends_the_run,
    )
    client.execute(env=environment)


def interrupt_ends_the_run(notebook):
    """Ctrl-C raises KeyboardInterrupt, instead of nbclient's own handler, which only takes the kernel away."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


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
        execute(notebook, path.parent, {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1", "YOLO_ARTIFACTS": str(artifacts)})
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
        environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        execute(notebook, path.parent, {**environment, "TF_ENABLE_ONEDNN_OPTS": fast, "YOLO_ARTIFACTS": artifacts})
        made = [Path(artifacts) / name for name in REFERENCE_FILES if (Path(artifacts) / name).exists()]
        for file in made:
            if file.stat().st_size > LARGEST_REFERENCE:
                raise ValueError(f"{file.name} has {file.stat().st_size} bytes, too many to store in data/reference/")
        temporary = path.with_name(f".{path.name}")
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        notebook.metadata.pop("language_info", None)
        # the settings table names the folder: keep this machine's temporary one out of the repository
        temporary.write_text(nbformat.writes(notebook).replace(artifacts, "data/artifacts") + "\n")
        os.replace(temporary, path)
        REFERENCE.mkdir(exist_ok=True)
        for file in made:
            kept = REFERENCE / file.name
            if not (kept.exists() and filecmp.cmp(file, kept, shallow=False)):
                shutil.copyfile(file, kept)


def result_lines(artifacts):
    """The two last lines of `make run`, from what notebook 06 wrote."""
    result = json.loads((artifacts / "results.json").read_text())
    picture = artifacts / result["detections"]  # stored beside the results
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
    if not paths:
        parser.error(f"no notebook in {NOTEBOOKS} is named so: {' '.join(options.names)}")
    for number, path in enumerate(paths, 1):
        start = time.perf_counter()
        print(f"[{number}/{len(paths)}] {path.stem} ...", flush=True)
        try:
            store(path) if options.store else run(path, artifacts)
        except CellExecutionError as error:
            print(f"[{number}/{len(paths)}] {path.stem} failed: {error.ename}: {error.evalue}\n{error}", file=sys.stderr)
            return 1
        except DeadKernelError:
            print(f"[{number}/{len(paths)}] {path.stem} failed: its kernel died, perhaps for want of memory", file=sys.stderr)
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
