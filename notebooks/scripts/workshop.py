"""Make the workshop edition: notebooks without solutions, solutions, and a zip.

    python notebooks/scripts/workshop.py                      # for the teacher
    python notebooks/scripts/workshop.py --without-solutions  # for the students

Everything goes to the folder workshop/ beside the artifacts:

- student/: the six notebooks without the cells that have the tag `solution`, and
  without outputs;
- solutions/: for each chapter a notebook with its exercises and their solutions;
- yolov2-workshop.zip: all that a room without a network needs. It unpacks to one folder
  with the repository's files, the student edition in the place of the book's notebooks,
  the folder solutions/ and INSTALL.md. With --without-solutions there is no folder
  solutions/, and no tests/wrong_answers/ which gives them away. That zip is called
  yolov2-workshop-students.zip.

The repository's files are those that git tracks. Without git, they are all files that
.gitignore does not name. The same files always give the same zip, byte by byte.
"""

import argparse
import copy
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import jupytext
import nbformat
import run_notebooks
from jupytext.config import load_jupytext_configuration_file

import yolo_helpers as yolo

NAME = "yolov2-workshop"  # of the zip, and of the folder that it unpacks to
INSTALL = "notebooks/INSTALL.md"  # goes to the top of that folder
NEARLY_RIGHT = "tests/wrong_answers/"  # gives solutions away
EXERCISE = ("starter", "solution", "check")  # the tags of its cells, in this order
# What the book says about its solutions, and what the student edition says instead.
STUDENT_TEXT = {
    ", a folded solution, and a check cell": " and a check cell",
    ", skip the folded solution and run": " and run",
    "The check cells are folded as well, because they contain the answers: run them "
    "without opening them.": (
        "Run the check cells without opening them, because they contain the answers."
    ),
    "The student edition (`make workshop`) leaves the solutions out.": (
        "The solutions are in separate notebooks."
    ),
}
NEVER_PACKED = (".git", ".venv*", "wheels")  # and what .gitignore names
TIME_STAMP = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
FILE_MODE = 0o100644  # a regular file that everyone may read
UNIX = 3  # the same system in every entry, wherever the zip is made


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


# --------------------------------------------------------------------------------------
# Notebooks


def check_exercises(notebook, name):
    """Refuse a chapter whose exercises are not starter, solution and check in turn.

    Raises
    ------
    ValueError
        The message is one line.
    """
    tags = [tag for cell in notebook.cells for tag in EXERCISE if has_tag(cell, tag)]
    if "solution" not in tags:
        raise ValueError(
            f"{name}: no cell has the tag solution; is this the student edition?"
        )
    count = tags.count("solution")
    if tags != count * list(EXERCISE):
        raise ValueError(
            f"{name}: each exercise needs a starter, a solution and a check in this "
            f"order, but the tags are {', '.join(tags)}"
        )


def student_edition(notebook):
    """A copy of a notebook without solutions, and without words about them.

    Parameters
    ----------
    notebook : notebook
        A chapter without outputs.

    Raises
    ------
    ValueError
        If its text still speaks of folded solutions.
    """
    student = copy.deepcopy(notebook)
    student.cells = [cell for cell in student.cells if not has_tag(cell, "solution")]
    for cell in student.cells:
        if not cell.source.startswith("## Exercises"):
            continue
        for old, new in STUDENT_TEXT.items():
            words = r"\s+".join(re.escape(word) for word in old.split(" "))
            cell.source = re.sub(words, lambda _, new=new: new, cell.source)
        if re.search(r"folded|make\s+workshop", cell.source):
            raise ValueError(
                "the introduction of the exercises speaks of folded solutions in words "
                "that STUDENT_TEXT in workshop.py does not know"
            )
    return student


def solution_notebook(notebook, name):
    """The exercises of a chapter with their solutions, and the cells that they need.

    Parameters
    ----------
    notebook : notebook
        A chapter without outputs.
    name : str
        Its file name without ending, for a link to it.

    Returns
    -------
    notebook
    """
    chapter = copy.deepcopy(notebook)
    cells = chapter.cells
    set_up = next(i for i, cell in enumerate(cells) if has_tag(cell, "set-up"))
    imports = next(i for i in range(set_up + 1, len(cells)) if is_code(cells[i]))
    headings = [i for i, cell in enumerate(cells) if cell.source.startswith("## ")]
    start = next(i for i in headings if cells[i].source.startswith("## Exercises"))
    end = next((i for i in headings if i > start), len(cells))

    title = cells[0].source.splitlines()[0].removeprefix("# ")
    first = nbformat.v4.new_markdown_cell(
        f"# Solutions: {title}\n\n"
        f"The exercises are at the end of [the chapter](../notebooks/{name}.ipynb). "
        "Run the cells in their order, from the first one on.",
        id="title",
    )
    exercises = [
        cell for cell in cells[start + 1 : end] if not has_tag(cell, "starter")
    ]
    for cell in exercises:
        if has_tag(cell, "solution"):
            cell.metadata = {"tags": ["solution"]}  # not folded
    chapter.cells = [first, cells[set_up], cells[imports], *exercises]
    return chapter


def is_code(cell):
    return cell.cell_type == "code"


def editions(path):
    """The student edition and the solutions of one chapter, from its .py file."""
    notebook = run_notebooks.rebuilt(path)
    check_exercises(notebook, path.stem)
    return student_edition(notebook), solution_notebook(notebook, path.stem)


def as_py(notebook):
    """A notebook as the text of its paired .py file.

    JupyterLab takes the cells of a paired notebook from its .py file, so the .py has to
    be of the same edition as the .ipynb.
    """
    config = load_jupytext_configuration_file(str(ROOT / "jupytext.toml"))
    return jupytext.writes(copy.deepcopy(notebook), fmt="py:percent", config=config)


def as_ipynb(notebook):
    return nbformat.writes(notebook) + "\n"


# --------------------------------------------------------------------------------------
# Zip


def repository_files(root):
    """The files of a repository as paths relative to `root`, in the order of names.

    Raises
    ------
    ValueError
        If git cannot list them, or one of them is missing. The message is one line.
    """
    if (root / ".git").exists():
        process = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, capture_output=True, encoding="utf-8"
        )
        if process.returncode:
            reason = process.stderr.strip().splitlines()[0]
            raise ValueError(f"git cannot list the files of {root}: {reason}")
        files = [Path(name) for name in process.stdout.split("\0") if name]
    else:
        files = list(files_that_are_not_ignored(root))
    for file in files:
        if not (root / file).is_file():
            raise ValueError(
                f"{file.as_posix()}: this file of the repository is missing"
            )
    return sorted(files, key=Path.as_posix)


def files_that_are_not_ignored(root):
    """Paths of files, relative to `root`, that no line of .gitignore fits."""
    lines = (root / ".gitignore").read_text(encoding="utf-8").split()
    patterns = [*NEVER_PACKED, *(line.rstrip("/") for line in lines)]

    def is_ignored(path):
        path = path.relative_to(root)
        return any(path.match(pattern) for pattern in patterns)

    for folder, subfolders, names in os.walk(root):
        folder = Path(folder)
        subfolders[:] = [name for name in subfolders if not is_ignored(folder / name)]
        for name in names:
            if not is_ignored(folder / name):
                yield (folder / name).relative_to(root)


def zip_entries(root, students, solutions):
    """The content of the zip.

    Parameters
    ----------
    root : Path
        The repository.
    students, solutions : dict
        {file name without ending: notebook}. Empty solutions are left out.

    Returns
    -------
    dict
        {name in the zip: bytes, or the path of a file}
    """
    files = [file.as_posix() for file in repository_files(root)]
    if not solutions:
        files = [name for name in files if not name.startswith(NEARLY_RIGHT)]
    entries = {name: root / name for name in files if name != INSTALL}
    entries["INSTALL.md"] = root / INSTALL
    for name, notebook in students.items():
        entries[f"notebooks/{name}.ipynb"] = as_ipynb(notebook).encode()
        entries[f"notebooks/{name}.py"] = as_py(notebook).encode()
    for name, notebook in solutions.items():
        entries[f"solutions/{name}.ipynb"] = as_ipynb(notebook).encode()
    return entries


def write_zip(path, entries):
    """Write a zip that depends on nothing but the names and contents of its entries."""
    with yolo.whole_file(path) as unfinished:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(entries):
                content = entries[name]
                if isinstance(content, Path):
                    content = content.read_bytes()
                entry = zipfile.ZipInfo(f"{NAME}/{name}", TIME_STAMP)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = UNIX
                entry.external_attr = FILE_MODE << 16
                archive.writestr(entry, content)


# --------------------------------------------------------------------------------------


def write_notebooks(folder, notebooks):
    yolo.claim_folder(folder)
    for name, notebook in notebooks.items():
        with yolo.whole_file(folder / f"{name}.ipynb") as unfinished:
            unfinished.write_text(as_ipynb(notebook), encoding="utf-8")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--without-solutions",
        action="store_true",
        help="leave the solutions out of the zip",
    )
    options = parser.parse_args(arguments)

    students, solutions = {}, {}
    for path in sorted((ROOT / "notebooks").glob("0*.py")):
        students[path.stem], solutions[path.stem] = editions(path)
    packed = {} if options.without_solutions else solutions
    entries = zip_entries(ROOT, students, packed)

    artifacts = Path(os.environ.get("YOLO_ARTIFACTS") or ROOT / "data" / "artifacts")
    folder = artifacts.resolve() / "workshop"
    yolo.claim_folder(folder)
    write_notebooks(folder / "student", students)
    write_notebooks(folder / "solutions", solutions)
    ending = "-students" if options.without_solutions else ""
    archive = folder / f"{NAME}{ending}.zip"
    write_zip(archive, entries)

    count = len(students)
    print(f"student edition: {yolo.short_path(folder / 'student')}, {count} notebooks")
    print(f"solutions: {yolo.short_path(folder / 'solutions')}, {count} notebooks")
    size = archive.stat().st_size / 1e6
    print(f"zip: {yolo.short_path(archive)}, {size:.1f} MB, {len(entries)} files")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")
