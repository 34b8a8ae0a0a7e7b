"""Run the six notebooks in order, each in a fresh kernel; stop at the first that fails.

    python notebooks/scripts/run_notebooks.py             # copies, see below
    python notebooks/scripts/run_notebooks.py --store     # the notebooks themselves

Without --store (`make run`) the notebooks hand their artifacts on through the folder
data/artifacts (or YOLO_ARTIFACTS). They are not changed themselves: executed copies go
to the folder executed/ beside the artifacts. The last two lines name the mAP and the
picture of detections.

With --store (`make notebooks`) each notebook is rebuilt from its .py file and runs with
an empty artifacts folder, so it reads data/reference/ as it does when opened alone. It
replaces the stored notebook only after it has succeeded. Then the files that it made go
to data/reference/.
"""

import argparse
import asyncio
import filecmp
import hashlib
import json
import os
import shutil
import signal
import subprocess
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
REFERENCE_FILES = (
    "anchors.json",
    "pretrained.json",
    "yolov2.weights",  # before its description, yolov2.json
    "yolov2.json",
    "history.json",
    "results.json",
    "detections.jpg",
)
LARGEST_REFERENCE = 14_000_000  # bytes
# What is stored is always made with the default settings.
SETTINGS = ("YOLO_PROFILE", "VOC_DIR", "YOLO_EPOCHS", "YOLO_WEIGHTS")
REFUSED = 3  # exit code of the process below
CLAIM = f"""
import sys
import yolo_helpers as yolo
try:
    folder = yolo.load_settings().artifacts
    yolo.claim_folder(folder)
    yolo.claim_folder(folder / "executed")
except (ValueError, OSError) as error:
    print(error)
    sys.exit({REFUSED})
print(folder)
"""
KEPT_METADATA = ("kernelspec", "accelerator", "colab", "jupytext")
KERNEL_ARGUMENTS = (
    "--IPKernelApp.log_level=CRITICAL",
    # What C++ code writes to the process's error stream stays out of the outputs:
    # TensorFlow talks about missing GPUs there. Warnings from Python still show.
    "--IPKernelApp.capture_fd_output=False",
)


class LiveClient(NotebookClient):
    """Executes a notebook and shows the lines of its long cells while they run."""

    def output(self, outs, msg, display_id, cell_index):
        tags = self.nb.cells[cell_index].metadata.get("tags", [])
        if msg["msg_type"] == "stream" and "live" in tags:
            print(msg["content"]["text"], end="", flush=True)
        return super().output(outs, msg, display_id, cell_index)


def execute(notebook, folder, environment):
    """Execute a notebook in a fresh kernel that starts in `folder`.

    The kernel's error stream is kept, and only shown when the kernel dies.

    Raises
    ------
    CellExecutionError or DeadKernelError
    """
    client = LiveClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": folder}},
        extra_arguments=list(KERNEL_ARGUMENTS),
        on_notebook_start=interrupt_ends_the_run,
    )
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **environment}
    with tempfile.TemporaryFile("w+", errors="replace") as messages:
        try:
            client.execute(env=environment, stderr=messages)
        except DeadKernelError:
            messages.seek(0)
            print(messages.read(), end="", file=sys.stderr)
            raise


def interrupt_ends_the_run(notebook):
    """Let Ctrl-C raise KeyboardInterrupt; nbclient would only end the kernel."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def rebuilt(path):
    """The notebook of the paired .py, with only the metadata that is to be stored."""
    notebook = jupytext.read(path.with_suffix(".py"))
    kept = {
        key: notebook.metadata[key] for key in KEPT_METADATA if key in notebook.metadata
    }
    notebook.metadata = nbformat.from_dict(kept)
    notebook.metadata.get("jupytext", {}).pop("text_representation", None)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
    return notebook


def run(path, artifacts):
    """Execute a copy of one notebook (`make run`)."""
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "YOLO_ARTIFACTS": str(artifacts)}
    try:
        execute(notebook, path.parent, environment)
    finally:
        nbformat.write(notebook, artifacts / "executed" / path.name)


def store(path):
    """Execute one notebook and store it (`make notebooks`), all or nothing."""
    notebook = rebuilt(path)
    environment = {
        name: value for name, value in os.environ.items() if name not in SETTINGS
    }
    if path.stem != "05_training":  # its training is not compared, and twice as fast
        environment["TF_ENABLE_ONEDNN_OPTS"] = "0"  # fixed sums, as conftest.py has it
    with tempfile.TemporaryDirectory() as folder:
        artifacts = Path(folder).resolve()
        environment["YOLO_ARTIFACTS"] = str(artifacts)
        execute(notebook, path.parent, environment)

        made = [artifacts / name for name in REFERENCE_FILES]
        made = [file for file in made if file.exists()]
        check_reference(made)
        write_notebook(notebook, path, artifacts)
        REFERENCE.mkdir(exist_ok=True)
        for file in made:
            replace_file(file, REFERENCE / file.name)


def check_reference(files):
    """Refuse files that are too large, or weights that their description does not fit.

    Raises
    ------
    ValueError
    """
    for file in files:
        size = file.stat().st_size
        if size > LARGEST_REFERENCE:
            raise ValueError(
                f"{file.name} has {size} bytes, too many to store in data/reference/"
            )
        if file.name == "yolov2.json":
            expected = json.loads(file.read_text())["sha256"]
            weights = file.with_suffix(".weights").read_bytes()
            if hashlib.sha256(weights).hexdigest() != expected:
                raise ValueError("yolov2.json does not describe yolov2.weights")


def write_notebook(notebook, path, artifacts):
    """Replace a stored notebook in a single step, without traces of this machine."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("language_info", None)
    text = nbformat.writes(notebook).replace(str(artifacts), "data/artifacts")
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)


def replace_file(source, target):
    """Copy a file in a single step, unless the target has the same content."""
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        return
    temporary = target.with_name(f".{target.name}")
    shutil.copyfile(source, temporary)
    os.replace(temporary, target)


def result_lines(artifacts):
    """The last two lines of `make run`, from what notebook 06 wrote."""
    result = json.loads((artifacts / "results.json").read_text())
    picture = artifacts / result["detections"]
    if picture.is_relative_to(Path.cwd()):
        picture = picture.relative_to(Path.cwd())
    return f"mAP@.5 on {result['split']}: {result['map']:.3f}\ndetections: {picture}"


def claimed_artifacts():
    """The folder that the notebooks write to, after a check that they may.

    Raises
    ------
    ValueError
        If a setting cannot be used, or the folder holds files of someone else.
    """
    # A process of its own, because the module imports TensorFlow.
    process = subprocess.run(
        [sys.executable, "-c", CLAIM],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if process.returncode == REFUSED:
        raise ValueError(process.stdout.strip())
    if process.returncode:
        raise ValueError(f"yolo_helpers.py cannot be imported:\n{process.stderr}")
    return Path(process.stdout.strip())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--store",
        action="store_true",
        help="store outputs and reference artifacts in the repository",
    )
    parser.add_argument(
        "names",
        nargs="*",
        help="only the notebooks whose names begin so, for example 04",
    )
    options = parser.parse_args()
    paths = sorted(NOTEBOOKS.glob("0*.py" if options.store else "0*.ipynb"))
    if options.names:
        beginnings = tuple(options.names)
        paths = [path for path in paths if path.name.startswith(beginnings)]
    if not paths:
        parser.error(f"no notebook begins with {' or '.join(options.names)}")

    artifacts = None if options.store else claimed_artifacts()
    for number, path in enumerate(paths, start=1):
        start = time.perf_counter()
        label = f"[{number}/{len(paths)}] {path.stem}"
        print(f"{label} ...", flush=True)
        try:
            if options.store:
                store(path.with_suffix(".ipynb"))
            else:
                run(path, artifacts)
        except CellExecutionError as error:
            print(f"{label} failed: {error.ename}: {error.evalue}", file=sys.stderr)
            print(error, file=sys.stderr)
            return 1
        except DeadKernelError:
            print(
                f"{label} failed: its kernel died, perhaps for want of memory",
                file=sys.stderr,
            )
            return 1
        print(f"{label} done in {time.perf_counter() - start:.0f} s", flush=True)
    if not options.store and not options.names:
        print(result_lines(artifacts))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")
