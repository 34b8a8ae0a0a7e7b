"""The exercises: solutions pass their checks, starters and wrong answers do not.

An exercise consists of cells with the tags `starter`, `solution` and `check`, under a
heading "### Exercise 2.1: ...". The cells with the tag `exercise-setup` come before.
The plausible wrong answers are in tests/wrong_answers/.
"""

import re
import runpy
from dataclasses import dataclass
from pathlib import Path

import jupytext
import matplotlib
import pytest

import yolo_helpers as yolo

matplotlib.use("agg")

CHAPTERS = sorted((yolo.ROOT / "notebooks").glob("0*.py"))
WRONG_ANSWERS = Path(__file__).parent / "wrong_answers"


@dataclass
class Exercise:
    """The sources of one exercise's cells."""

    name: str  # such as "2.1"
    starter: str = ""
    solution: str = ""
    check: str = ""


def tag_of(cell):
    tags = cell.metadata.get("tags", [])
    return tags[0] if tags else None


def read_exercises(path):
    """Sources of the cells to run first, and the exercises of a chapter."""
    cells = jupytext.read(path).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    setup = [cell.source for cell in code[:2]]  # the set-up cell and the imports
    exercises = []
    for cell in cells:
        if cell.cell_type == "markdown":
            heading = re.search(r"^### Exercise (\d\.\d)", cell.source, re.MULTILINE)
            if heading:
                exercises.append(Exercise(heading[1]))
        elif tag_of(cell) == "exercise-setup":
            setup.append(cell.source)
        elif tag_of(cell) in ("starter", "solution", "check"):
            source = getattr(exercises[-1], tag_of(cell))
            setattr(exercises[-1], tag_of(cell), f"{source}\n{cell.source}")
    return setup, exercises


BOOK = {path.stem[:2]: read_exercises(path) for path in CHAPTERS}
EXERCISES = [
    pytest.param(chapter, exercise, id=exercise.name)
    for chapter, (_, exercises) in BOOK.items()
    for exercise in exercises
]
WRONG = {
    chapter: runpy.run_path(str(WRONG_ANSWERS / f"chapter_{chapter}.py"))[
        "WRONG_ANSWERS"
    ]
    for chapter in BOOK
}
WRONG_PARAMETERS = [
    pytest.param(chapter, exercise, source, words, id=f"{exercise.name}-{number}")
    for chapter, (_, exercises) in BOOK.items()
    for exercise in exercises
    for number, (source, words) in enumerate(WRONG[chapter].get(exercise.name, []))
]


@pytest.fixture(scope="module")
def namespaces(tmp_path_factory):
    """For each chapter, the names that are defined before its first exercise."""
    patch = pytest.MonkeyPatch()
    for variable in ("YOLO_PROFILE", "VOC_DIR", "YOLO_EPOCHS", "YOLO_WEIGHTS"):
        patch.delenv(variable, raising=False)
    patch.setenv("YOLO_ARTIFACTS", str(tmp_path_factory.mktemp("artifacts")))
    patch.chdir(yolo.ROOT / "notebooks")
    ready = {}

    def names_of(chapter):
        if chapter not in ready:
            names = {"__name__": "__main__"}
            for source in BOOK[chapter][0]:
                exec(source, names)
            ready[chapter] = names
        return dict(ready[chapter])

    yield names_of
    patch.undo()


def run(names, *sources):
    for source in sources:
        exec(compile(source, "exercise", "exec"), names)


@pytest.mark.parametrize("chapter", BOOK)
def test_each_chapter_has_three_exercises_or_more(chapter):
    _, exercises = BOOK[chapter]
    assert len(exercises) >= 3
    expected = [f"{int(chapter)}.{i + 1}" for i in range(len(exercises))]
    assert [exercise.name for exercise in exercises] == expected
    for exercise in exercises:
        assert exercise.starter and exercise.solution and exercise.check
        assert len(WRONG[chapter].get(exercise.name, [])) >= 2


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_chapter_ends_with_five_folded_answers(path):
    text = path.read_text()
    questions = text.split("## Check your understanding")[1]
    summaries = re.findall(r"<summary>(.*?)</summary>", questions, re.DOTALL)
    assert len(summaries) == 5
    assert sum("why" in summary.lower() for summary in summaries) >= 3


@pytest.mark.parametrize(("chapter", "exercise"), EXERCISES)
def test_the_solution_passes(chapter, exercise, namespaces, capsys):
    run(namespaces(chapter), exercise.starter, exercise.solution, exercise.check)
    assert f"Exercise {exercise.name} is right" in capsys.readouterr().out


@pytest.mark.parametrize(("chapter", "exercise"), EXERCISES)
def test_the_starter_runs_and_fails_with_a_message(chapter, exercise, namespaces):
    names = namespaces(chapter)
    run(names, exercise.starter)
    with pytest.raises(AssertionError) as caught:
        run(names, exercise.check)
    assert len(str(caught.value).split()) >= 4


@pytest.mark.parametrize(("chapter", "exercise", "source", "words"), WRONG_PARAMETERS)
def test_a_wrong_answer_is_told_its_mistake(
    chapter, exercise, source, words, namespaces
):
    names = namespaces(chapter)
    run(names, exercise.starter, source)
    with pytest.raises(AssertionError) as caught:
        run(names, exercise.check)
    assert words in str(caught.value)


# Answers that are right, but in another form than the solution's.
OTHER_RIGHT_ANSWERS = {
    "2.4": """
column_and_t_x_as_tuple = column_and_t_x
def column_and_t_x(box):
    return np.array(column_and_t_x_as_tuple(box))
""",
    "4.2": """
def best_constant(own_ious, num_background, weight=5):
    p = np.linspace(0, 1, 1001)
    objectness = weight / 2 * ((own_ious - p[:, None]) ** 2).sum(axis=1)
    losses = objectness + num_background / 2 * p**2
    return p[losses.argmin()]
""",
    "6.1": "kept_boxes = np.array([1, 3, 0, 4])",
}


@pytest.mark.parametrize(
    ("chapter", "exercise"),
    [case for case in EXERCISES if case.id in OTHER_RIGHT_ANSWERS],
)
def test_other_forms_of_a_right_answer_pass(chapter, exercise, namespaces):
    names = namespaces(chapter)
    answer = OTHER_RIGHT_ANSWERS[exercise.name]
    run(names, exercise.starter, exercise.solution, answer, exercise.check)
