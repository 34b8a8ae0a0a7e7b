"""How the notebooks run under pytest: repeatable, short, and away from data/artifacts.

Each notebook gets an empty artifacts folder of its own, so that it reads the committed
copies in data/reference/, exactly as it does when opened alone. After its first failing
cell the rest of a notebook is skipped.
"""

import os
import shutil
import tempfile

import pytest

os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="2",
    TF_ENABLE_ONEDNN_OPTS="0",  # sums in a fixed order
    CUDA_VISIBLE_DEVICES="",
    YOLO_EPOCHS="1",  # the training notebook's long cells are not compared
    YOLO_ARTIFACTS=tempfile.mkdtemp(prefix="yolo-artifacts-"),
)
for name in ("YOLO_PROFILE", "VOC_DIR", "YOLO_WEIGHTS"):
    os.environ.pop(name, None)

_failed = {}  # notebook -> name of its first failing cell
_current = None  # the notebook whose artifacts folder is in use


def is_notebook_cell(item):
    return type(item).__name__ == "IPyNbCell"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    global _current
    if not is_notebook_cell(item):
        return
    if item.path in _failed:
        pytest.skip(f"an earlier cell failed: {_failed[item.path]}")
    if item.path != _current:  # nbval starts this notebook's kernel after this hook
        _current = item.path
        shutil.rmtree(os.environ["YOLO_ARTIFACTS"], ignore_errors=True)
        os.environ["YOLO_ARTIFACTS"] = tempfile.mkdtemp(prefix="yolo-artifacts-")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if is_notebook_cell(item) and outcome.get_result().failed:
        _failed.setdefault(item.path, item.name)


def pytest_unconfigure():
    shutil.rmtree(os.environ["YOLO_ARTIFACTS"], ignore_errors=True)
