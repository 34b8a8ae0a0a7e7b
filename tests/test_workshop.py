"""The workshop edition: what students, teachers and rooms without a network rely on."""

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest import mock

import nbformat
import pytest

import yolo_helpers as yolo

BOOK = yolo.ROOT / "notebooks"
NAMES = sorted(path.stem for path in BOOK.glob("0*.py"))
GIT = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]


def load_script(name):
    path = BOOK / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


workshop = load_script("workshop")


def run_main(artifacts, *arguments):
    """Run workshop.py with an artifacts folder of its own; returns what it prints."""
    printed = io.StringIO()
    with mock.patch.dict(os.environ, YOLO_ARTIFACTS=str(artifacts)):
        with contextlib.redirect_stdout(printed):
            workshop.main(arguments)
    return printed.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder workshop/ that the script makes from this repository."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    lines = run_main(artifacts).splitlines()
    size = (artifacts / "workshop" / "yolov2-workshop.zip").stat().st_size
    assert lines[-1].startswith("zip: ") and f"{size / 1e6:.1f} MB" in lines[-1]
    return artifacts / "workshop"


@pytest.fixture(scope="module")
def unpacked(made, tmp_path_factory):
    """The folder that the zip unpacks to, in an empty folder."""
    folder = tmp_path_factory.mktemp("empty")
    with zipfile.ZipFile(made / "yolov2-workshop.zip") as archive:
        archive.extractall(folder)
    (only,) = folder.iterdir()
    return only


def read(path):
    return nbformat.read(path, as_version=4)


def book(name):
    return read(BOOK / f"{name}.ipynb")


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if workshop.has_tag(cell, tag)]


def is_introduction(cell):
    return cell.source.startswith("## Exercises")


def code_of(solution):
    """The source of a solution without its title."""
    return solution.source.split("\n", 1)[1]


# --------------------------------------------------------------------------------------
# The student edition


@pytest.mark.parametrize("name", NAMES)
def test_only_solutions_outputs_and_words_about_them_are_missing(made, name):
    def content(cell):
        source = "" if is_introduction(cell) else cell.source
        return cell.id, cell.cell_type, source, cell.metadata

    expected = [
        content(cell)
        for cell in book(name).cells
        if not workshop.has_tag(cell, "solution")
    ]
    student = read(made / "student" / f"{name}.ipynb")
    assert [content(cell) for cell in student.cells] == expected
    assert student.metadata == book(name).metadata
    for cell in student.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_a_solution_is_left_anywhere_in_the_student_edition(made, name):
    """Neither in the cells nor in the metadata."""
    text = (made / "student" / f"{name}.ipynb").read_text()
    cells = book(name).cells
    others = [cell for cell in cells if not workshop.has_tag(cell, "solution")]
    known = "\n".join(cell.source for cell in others)
    for solution in tagged(book(name), "solution"):
        lines = [line.strip() for line in solution.source.splitlines()]
        own = [line for line in lines if line not in known]
        assert own, "this solution is no more than its starter"
        in_json = [json.dumps(line, ensure_ascii=False)[1:-1] for line in own]
        assert not [line for line in in_json if line in text]


@pytest.mark.parametrize("name", NAMES)
def test_each_exercise_has_a_starter_and_a_check(made, name):
    student = read(made / "student" / f"{name}.ipynb")
    headings = [c for c in student.cells if c.source.startswith("### Exercise ")]
    assert headings
    assert len(tagged(student, "starter")) == len(headings)
    assert len(tagged(student, "check")) == len(headings)
    assert len(tagged(student, "exercise-setup")) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_introduction_promises_no_folded_solution(made, name):
    student = read(made / "student" / f"{name}.ipynb")
    (introduction,) = [cell for cell in student.cells if is_introduction(cell)]
    (original,) = [cell for cell in book(name).cells if is_introduction(cell)]
    assert "folded" in original.source
    words = " ".join(introduction.source.split())
    assert "folded" not in words and "make workshop" not in words
    assert "starter cell" in words and "a check cell" in words
    assert "The solutions are in separate notebooks." in words


# --------------------------------------------------------------------------------------
# The solutions


@pytest.mark.parametrize("name", NAMES)
def test_solution_notebooks_have_the_solutions_and_what_they_need(made, name):
    original = book(name)
    solutions = read(made / "solutions" / f"{name}.ipynb")
    code = [cell for cell in original.cells if cell.cell_type == "code"]
    prompts = [c for c in original.cells if c.source.startswith("### Exercise ")]
    expected = [code[0].source, code[1].source]  # set-up and imports
    expected += [cell.source for cell in tagged(original, "exercise-setup")]
    exercises = zip(
        prompts, tagged(original, "solution"), tagged(original, "check"), strict=True
    )
    expected += [cell.source for exercise in exercises for cell in exercise]
    assert [cell.source for cell in solutions.cells[1:]] == expected
    assert not [cell for cell in solutions.cells if cell.get("outputs")]
    hidden = [c for c in tagged(solutions, "solution") if set(c.metadata) != {"tags"}]
    assert not hidden, "solutions are not folded here"


@pytest.mark.parametrize("name", NAMES)
def test_links_in_solution_notebooks_resolve(unpacked, name):
    text = "".join(c.source for c in read(unpacked / f"solutions/{name}.ipynb").cells)
    links = re.findall(r"\]\(([^)#]+)", text)
    inside = [link for link in links if "://" not in link]
    assert f"../notebooks/{name}.ipynb" in inside
    assert not [l_ for l_ in inside if not (unpacked / "solutions" / l_).exists()]


# --------------------------------------------------------------------------------------
# The zip


def test_the_zip_has_all_that_the_notebooks_need(unpacked):
    names = {p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*")}
    unchanged = [
        "README.md",
        "Makefile",
        "requirements.txt",
        "jupytext.toml",
        "yolo_helpers.py",
        "notebooks/glossary.md",
        "data/make_pretrained.py",  # chapter 3 imports it
    ]
    modules = {path.stem for path in BOOK.glob("*.py")} - set(NAMES)
    unchanged += [f"notebooks/{name}.py" for name in modules]
    for folder in ("mini_voc", "pretrained"):
        files = [p for p in (yolo.ROOT / "data" / folder).rglob("*") if p.is_file()]
        unchanged += [path.relative_to(yolo.ROOT).as_posix() for path in files]
    needed = ["INSTALL.md", *unchanged]
    needed += [f"data/reference/{n}" for n in workshop.run_notebooks.REFERENCE_FILES]
    for name in NAMES:
        needed += [f"notebooks/{name}.ipynb", f"notebooks/{name}.py"]
        needed += [f"solutions/{name}.ipynb"]
    assert not set(needed) - names
    for name in unchanged:
        assert (unpacked / name).read_bytes() == (yolo.ROOT / name).read_bytes()


def test_the_zip_has_nothing_of_the_authors_machine(made, unpacked):
    with zipfile.ZipFile(made / "yolov2-workshop.zip") as archive:
        parts = {part for name in archive.namelist() for part in name.split("/")}
    left_out = {".git", ".venv", "artifacts", "wheels", ".ipynb_checkpoints", "runs"}
    assert not parts & left_out
    assert not [
        name for name in parts if name.endswith((".unfinished", "_cache", ".pyc"))
    ]
    texts = [path.read_text() for path in unpacked.rglob("*.ipynb")]
    assert not [text for text in texts if str(yolo.ROOT) in text]


@pytest.mark.parametrize("name", NAMES)
def test_both_files_of_a_pair_are_the_student_edition(made, unpacked, name):
    """JupyterLab takes the cells of a pair from its .py file."""
    packed = unpacked / "notebooks" / f"{name}.ipynb"
    assert packed.read_bytes() == (made / "student" / f"{name}.ipynb").read_bytes()
    pair = [
        [
            (cell.cell_type, cell.source, cell.metadata.get("tags", []))
            for cell in workshop.jupytext.read(packed.with_suffix(ending)).cells
        ]
        for ending in (".ipynb", ".py")
    ]
    assert pair[0] == pair[1]


def test_the_students_zip_has_no_solution_in_any_file(tmp_path, monkeypatch):
    packed = {}

    def pack(path, entries):
        """The same without compressing, which takes seconds."""
        path.write_text("zip")
        packed.update(entries)

    monkeypatch.setattr(workshop, "write_zip", pack)
    printed = run_main(tmp_path, "--without-solutions")
    assert "yolov2-workshop-students.zip, " in printed
    revealing = ("solutions/", "tests/wrong_answers/")
    assert not [name for name in packed if name.startswith(revealing)]

    solutions = [
        code_of(solution)
        for name in NAMES
        for solution in tagged(book(name), "solution")
    ]
    for name, content in packed.items():
        content = content if isinstance(content, bytes) else content.read_bytes()
        if name.endswith((".py", ".md")):
            text = content.decode()
            assert not [code for code in solutions if code in text], name
        if name.endswith(".ipynb"):
            notebook = nbformat.reads(content.decode(), as_version=4)
            assert not tagged(notebook, "solution"), name


@pytest.fixture
def small_repository(tmp_path):
    """A function that makes a repository of a few files, always the same ones."""

    def make(name, backwards=False, time=1_600_000_000):
        root = tmp_path / name
        files = {
            ".gitignore": (yolo.ROOT / ".gitignore").read_text(),
            "notebooks/INSTALL.md": "how to install",
            "data/b.txt": "b" * 1000,
            "data/a.txt": "a",
        }
        for file in sorted(files, reverse=backwards):
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[file])
            os.utime(path, (time, time))
        return root

    return make


def zip_of(root):
    target = root.with_suffix(".zip")
    workshop.write_zip(target, workshop.zip_entries(root, {}, {}))
    return target.read_bytes()


def test_the_same_files_give_the_same_bytes(small_repository):
    first = small_repository("first")
    second = small_repository("second", backwards=True, time=1_700_000_000)
    second.joinpath("data/a.txt").chmod(0o600)
    assert zip_of(first) == zip_of(second)
    second.joinpath("data/a.txt").write_text("changed")
    assert zip_of(first) != zip_of(second)


EXTRA = (
    ".venv/bin/python",
    ".venv-generator/bin/python",
    "wheels/numpy.whl",
    "data/artifacts/results.json",
    "data/yolov2.weights",
    "data/VOCdevkit/photo.jpg",
    "notebooks/__pycache__/figures.pyc",
    "notebooks/.ipynb_checkpoints/01.ipynb",
    "tests/.hypothesis/unicode",
)


def add(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")


def test_without_git_everything_but_caches_and_artifacts_is_packed(small_repository):
    root = small_repository("downloaded")
    add(root, *EXTRA, "data/pretrained/tiny.weights")
    entries = workshop.zip_entries(root, {}, {})
    expected = {".gitignore", "INSTALL.md", "data/a.txt", "data/b.txt"}
    assert set(entries) == expected | {"data/pretrained/tiny.weights"}


def test_without_git_nothing_that_git_tracks_is_left_out():
    tracked = set(workshop.repository_files(yolo.ROOT))
    assert not tracked - set(workshop.files_that_are_not_ignored(yolo.ROOT))


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_with_git_only_tracked_files_are_packed(small_repository):
    root = small_repository("cloned")
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run([*GIT, *command], cwd=root, check=True)
    add(root, *EXTRA, "diary.txt")
    entries = workshop.zip_entries(root, {}, {})
    assert set(entries) == {".gitignore", "INSTALL.md", "data/a.txt", "data/b.txt"}

    (root / "data/a.txt").unlink()
    with pytest.raises(ValueError, match=r"^data/a\.txt: this file .* is missing$"):
        workshop.zip_entries(root, {}, {})


# --------------------------------------------------------------------------------------
# What it refuses


def test_a_folder_with_files_of_yours_stays_as_it_is(tmp_path):
    folder = tmp_path / "workshop"
    folder.mkdir()
    (folder / "diary.txt").write_text("mine")
    with pytest.raises(ValueError, match="files of yours"):
        run_main(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


def chapter(introduction, *tags):
    """A notebook with exercises whose cells have these tags."""
    cells = [nbformat.v4.new_markdown_cell(f"## Exercises\n\n{introduction}")]
    for tag in tags:
        cells.append(nbformat.v4.new_code_cell("1 + 1", metadata={"tags": [tag]}))
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ((), "is this the student edition"),
        (("starter", "check"), "is this the student edition"),
        (("starter", "solution"), "the tags are starter, solution"),
        (("solution", "starter", "check"), "in this order"),
    ],
)
def test_exercises_that_are_not_complete_are_refused(tags, words):
    with pytest.raises(ValueError, match=f"^01_first: .*{words}") as caught:
        workshop.check_exercises(chapter("", *tags), "01_first")
    assert "\n" not in str(caught.value)


def test_an_introduction_in_other_words_is_refused():
    unknown = chapter("The folded cell has the answer.", "starter", "solution", "check")
    with pytest.raises(ValueError, match="STUDENT_TEXT") as caught:
        workshop.student_edition(unknown)
    assert "\n" not in str(caught.value)


# --------------------------------------------------------------------------------------
# The teacher's plan


def test_the_plan_names_sections_and_exercises_that_exist():
    text = (BOOK / "WORKSHOP.md").read_text()
    chapters = "\n".join(cell.source for name in NAMES for cell in book(name).cells)
    headings = set(re.findall(r"^#+ (.+)$", chapters, re.MULTILINE))
    sections = re.findall(r"(?<!\*)\*([^*\n]+)\*", text)
    assert len(sections) > 20
    assert not set(sections) - headings

    exercises = set(re.findall(r"\b[1-6]\.\d\b", text))
    known = re.findall(r"^### Exercise (\d\.\d)", chapters, re.MULTILINE)
    assert exercises and not exercises - set(known)


# --------------------------------------------------------------------------------------
# From the unpacked zip


def test_an_exercise_of_chapter_1_runs_in_the_unpacked_folder(unpacked, tmp_path):
    name = "01_anchor_clustering"
    student = read(unpacked / "notebooks" / f"{name}.ipynb")
    solutions = read(unpacked / "solutions" / f"{name}.ipynb")
    code = [cell for cell in student.cells if cell.cell_type == "code"]
    where = nbformat.v4.new_code_cell("print(yolo.ROOT)")
    set_up = [*code[:2], where, *tagged(student, "exercise-setup")]
    answered = tagged(student, "check")[0]
    tags = {"tags": ["raises-exception"]}
    unanswered = nbformat.v4.new_code_cell(answered.source, metadata=tags)
    cells = [*set_up, tagged(student, "starter")[0], unanswered]
    cells += [tagged(solutions, "solution")[0], answered]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=student.metadata)
    environment = {**os.environ, "YOLO_ARTIFACTS": str(tmp_path)}
    workshop.run_notebooks.execute(notebook, unpacked / "notebooks", environment)

    assert where.outputs[0].text.strip() == str(unpacked)
    assert unanswered.outputs[0].ename == "AssertionError"
    assert "empty" in unanswered.outputs[0].evalue
    assert answered.outputs[0].text.startswith("Exercise 1.1 is right")


def test_the_command_of_install_prints_what_install_promises(unpacked):
    text = (unpacked / "INSTALL.md").read_text()
    (command,) = re.findall(r"(?m)^\.venv/bin/python (notebooks/scripts/.*)$", text)
    environment = {k: v for k, v in os.environ.items() if k != "YOLO_ARTIFACTS"}
    process = subprocess.run(
        [sys.executable, *command.split()],
        cwd=unpacked,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    def without_scores(line):
        return re.sub(r" \d\.\d\d", "", line)

    printed = process.stdout.splitlines()
    (promise,) = re.findall(r"(?s)```\n(detector: .*?)\n```", text)
    promised = promise.splitlines()
    assert list(map(without_scores, printed)) == list(map(without_scores, promised))
    assert (unpacked / "data/artifacts/detections" / Path(command).name).exists()
