"""The notebooks' plain functions, taken out of the paired .py files by name: there is no third copy."""

import ast
import math
from collections import namedtuple
from functools import cache
from pathlib import Path

import cv2
import numpy as np

import yolo_helpers as yolo

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


@cache
def namespace(notebook):
    """All top-level functions, classes and literal constants of a notebook, in a namespace of their own."""
    tree = ast.parse((NOTEBOOKS / f"{notebook}.py").read_text())
    names = {"np": np, "cv2": cv2, "yolo": yolo, "math": math, "namedtuple": namedtuple}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) or _is_constant(node):
            try:
                exec(compile(ast.Module([node], []), f"{notebook}.py", "exec"), names)
            except NameError:
                continue  # needs what only the notebook has (pictures, the network): not plain
    return names


def _is_constant(node):
    if not (isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets)):
        return False
    try:
        ast.literal_eval(node.value)
    except ValueError:
        return False
    return True


def plain(notebook, name):
    """A plain function or class of a notebook."""
    return namespace(notebook)[name]
