"""The set-up cell of the notebooks, and the one place that names the repository.

The cell runs in empty folders, with a bare repository on this disk in the place of
GitHub: git's url.<base>.insteadOf leads it there.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.py"))


def load_script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


address = load_script(ROOT / "notebooks" / "scripts" / "address.py")


def setup_cell(path):
    """The source of a notebook's set-up cell."""
    cells = jupytext.read(path).cells
    (cell,) = [cell for cell in cells if "set-up" in cell.metadata.get("tags", [])]
    return cell


SOURCE = setup_cell(NOTEBOOKS[0]).source


# --------------------------------------------------------------------------------------
# The cell


@pytest.fixture
def remote(tmp_path):
    """A bare repository with a module, a folder of notebooks and a tag."""
    work = tmp_path / "work"
    (work / "notebooks").mkdir(parents=True)
    (work / "yolo_helpers.py").write_text("HERE = __file__\n")
    (work / "notebooks" / "figures.py").write_text("HERE = __file__\n")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        [*identity, "commit", "--quiet", "--message=first"],
        ["tag", "v1.0"],
        ["clone", "--quiet", "--bare", ".", "../remote.git"],
    ):
        subprocess.run(["git", *command], cwd=work, check=True, capture_output=True)
    return tmp_path / "remote.git"


@pytest.fixture
def environment(tmp_path):
    """The environment of a reader whose GitHub is the folder `remote.git`."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    insteadof = f"url.file://{tmp_path}/remote.git.insteadOf"
    values = {name: os.environ[name] for name in ("PATH", "HOME")}
    return values | {
        "TMPDIR": str(temporary),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": insteadof,
        "GIT_CONFIG_VALUE_0": f"https://github.com/{address.REPOSITORY}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }


def modules_found(folder, environment, source=SOURCE):
    """Run the cell in a folder; returns where it found the module and figures.py."""
    code = f"{source}\nimport figures\nimport yolo_helpers\n"
    code += "print(yolo_helpers.HERE)\nprint(figures.HERE)\n"
    command = [sys.executable, "-P", "-c", code]
    options = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    process = subprocess.run(command, **options)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return [Path(line) for line in process.stdout.splitlines()]


def test_in_an_empty_folder_the_repository_is_fetched(tmp_path, remote, environment):
    (tmp_path / "empty").mkdir()
    module, figures = modules_found(tmp_path / "empty", environment)
    assert module.is_relative_to(tmp_path / "temporary")
    assert figures == module.parent / "notebooks" / "figures.py"
    assert list((tmp_path / "empty").iterdir()) == []


def test_what_was_fetched_is_used_again_without_a_network(
    tmp_path, remote, environment
):
    (tmp_path / "empty").mkdir()
    first = modules_found(tmp_path / "empty", environment)
    shutil.rmtree(remote)
    assert modules_found(tmp_path / "empty", environment) == first


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path, remote, environment):
    folder = tmp_path / "read-only"
    folder.mkdir()
    folder.chmod(0o555)
    module, _ = modules_found(folder, environment)
    assert module.is_relative_to(tmp_path / "temporary")
    assert list(folder.iterdir()) == []  # root could write there all the same


def test_a_tag_is_fetched_as_well_as_a_branch(tmp_path, remote, environment):
    (tmp_path / "empty").mkdir()
    line = f'VERSION = "{address.VERSION}"'
    assert line in SOURCE
    source = SOURCE.replace(line, 'VERSION = "v1.0"')
    module, _ = modules_found(tmp_path / "empty", environment, source)
    assert "v1.0" in str(module)


@pytest.mark.parametrize("place", [".", "notebooks", "notebooks/deeper"])
def test_a_module_beside_or_above_the_notebook_is_used(tmp_path, environment, place):
    """There is no remote here, so fetching anything would fail."""
    (tmp_path / "copy" / "notebooks" / "deeper").mkdir(parents=True)
    (tmp_path / "copy" / "yolo_helpers.py").write_text("HERE = __file__\n")
    (tmp_path / "copy" / "notebooks" / "figures.py").write_text("HERE = __file__\n")
    module, figures = modules_found(tmp_path / "copy" / place, environment)
    assert module == tmp_path / "copy" / "yolo_helpers.py"
    assert figures == tmp_path / "copy" / "notebooks" / "figures.py"


def failure_in_jupyter(folder, environment):
    """What a reader sees below the cell when it fails in Jupyter: a list of outputs."""
    cell = nbformat.v4.new_code_cell(SOURCE)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    client = NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    with pytest.raises(CellExecutionError):
        client.execute(env=environment)
    return notebook.cells[0].outputs


def test_without_a_network_a_reader_sees_one_line(tmp_path, environment):
    (tmp_path / "empty").mkdir()
    (output,) = failure_in_jupyter(tmp_path / "empty", environment)
    assert output.output_type == "error"
    (line,) = output.traceback  # this is all that Jupyter shows
    assert line.startswith(f"https://github.com/{address.REPOSITORY} cannot be fetched")
    assert "\n" not in line
    assert list((tmp_path / "temporary").rglob("yolo_helpers.py")) == []


def test_without_git_a_reader_sees_one_line(tmp_path, environment):
    (tmp_path / "empty").mkdir()
    environment["PATH"] = str(tmp_path / "empty")
    (output,) = failure_in_jupyter(tmp_path / "empty", environment)
    (line,) = output.traceback
    assert "cannot be fetched" in line and "git" in line and "\n" not in line


# --------------------------------------------------------------------------------------
# The address


def test_every_notebook_has_the_same_folded_setup_cell():
    assert len(NOTEBOOKS) == 6
    for path in NOTEBOOKS:
        for file in (path, path.with_suffix(".ipynb")):
            cell = setup_cell(file)
            assert cell.source == SOURCE, file.name
            assert cell.metadata.get("cellView") == "form", file.name
    assert len(SOURCE.splitlines()) <= 30


def test_every_notebook_names_the_repository_and_version_of_the_script():
    host = "https://colab.research.google.com/github"
    start = f"{host}/{address.REPOSITORY}/blob/{address.VERSION}/notebooks/"
    for path in NOTEBOOKS:
        for file in (path, path.with_suffix(".ipynb")):
            text = file.read_text(encoding="utf-8").replace('\\"', '"')
            assert f"{start}{path.stem}.ipynb" in text, file.name
            assert f'ADDRESS = "https://github.com/{address.REPOSITORY}"' in text
            assert f'VERSION = "{address.VERSION}"' in text, file.name


def test_no_file_has_a_badge_of_another_repository_or_version():
    badge = re.compile(
        r"colab\.research\.google\.com/github/([^/]+/[^/]+)/blob/([^/]+)/"
    )
    found = set()
    for pattern in address.FILES:
        for path in ROOT.glob(pattern):
            found.update(badge.findall(path.read_text(encoding="utf-8")))
    assert found == {(address.REPOSITORY, address.VERSION)}


@pytest.fixture
def copy(tmp_path):
    """A copy of all files that may name the address; returns its folder."""
    for pattern in address.FILES:
        for path in ROOT.glob(pattern):
            target = tmp_path / "copy" / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return tmp_path / "copy"


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_address_can_be_changed_everywhere_and_changed_back(copy):
    before = contents(copy)
    old, new = (address.REPOSITORY, address.VERSION), ("some-one/a.name", "v1.2")
    changed = address.rewrite(copy, old, new)

    after = {path: text.decode() for path, text in contents(copy).items()}
    pairs = [path.relative_to(copy) for path in changed if path.stem.startswith("0")]
    assert len(pairs) == 12
    assert not [path for path, text in after.items() if f"github.com/{old[0]}" in text]
    for path in pairs:
        text = after[path].replace('\\"', '"')
        assert f"github/some-one/a.name/blob/v1.2/notebooks/{path.stem}.ipynb" in text
        assert 'ADDRESS = "https://github.com/some-one/a.name"' in text
        assert 'VERSION = "v1.2"' in text
    script = after[Path("notebooks/scripts/address.py")]
    assert 'REPOSITORY = "some-one/a.name"' in script and 'VERSION = "v1.2"' in script

    address.rewrite(copy, new, old)
    assert contents(copy) == before


def lines_with(words, path):
    """Lines of a notebook's cells that contain one of the words."""
    cells = jupytext.read(path).cells
    lines = [line for cell in cells for line in cell.source.splitlines()]
    return [line for line in lines if any(word in line for word in words)]


def test_pairs_stay_in_step_when_the_address_changes(copy):
    old = (address.REPOSITORY, address.VERSION)
    address.rewrite(copy, old, ("some-one/a.name", "v1.2"))
    for notebook in NOTEBOOKS:
        path = copy / "notebooks" / notebook.name
        words = ("some-one/a.name", "VERSION = ")
        first, second = (
            lines_with(words, file) for file in (path, path.with_suffix(".ipynb"))
        )
        assert first == second and len(first) >= 3  # badge, ADDRESS and VERSION


def test_make_address_hands_its_word_to_the_script(copy):
    if shutil.which("make") is None:
        pytest.skip("needs make")
    shutil.copyfile(ROOT / "Makefile", copy / "Makefile")
    before = contents(copy)
    for words in (["some-one/a.name", "VERSION=v1"], ["ADDRESS=some-one/a.name"]):
        # Under `make test` this make is a child of another one, and would say so.
        command = ["make", "--no-print-directory", "address", *words]
        command.append(f"PYTHON={sys.executable}")
        process = subprocess.run(command, cwd=copy, capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
        last_line = process.stdout.splitlines()[-1]
        assert last_line.startswith("address: https://github.com/some-one/a.name,")
        assert contents(copy) != before
        for path, content in before.items():
            (copy / path).write_bytes(content)


def test_what_is_no_address_is_refused_in_one_line(capsys):
    for words in (["name"], ["a/b/c"], ["a b/c"], ["a/b", "--version", "x y"]):
        with pytest.raises(SystemExit) as caught:
            address.main(words)
        assert "\n" not in str(caught.value.code), words
    with pytest.raises(SystemExit):
        address.main(["https://github.com/a/b"])


def test_without_words_the_script_says_the_address_and_changes_nothing(capsys):
    before = (ROOT / "notebooks" / "scripts" / "address.py").read_bytes()
    address.main([])
    said = (
        f"address: https://github.com/{address.REPOSITORY}, version {address.VERSION}"
    )
    assert capsys.readouterr().out == f"{said}\n"
    assert (ROOT / "notebooks" / "scripts" / "address.py").read_bytes() == before


def test_notebook_files_stay_valid_json_when_the_address_changes(copy):
    address.rewrite(copy, (address.REPOSITORY, address.VERSION), ("a/b", "v2"))
    for path in (copy / "notebooks").glob("0*.ipynb"):
        json.loads(path.read_text(encoding="utf-8"))
