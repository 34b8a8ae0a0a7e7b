"""Plausible wrong answers to the exercises of chapter 2, and words of the message."""

BOX_IN_PIXELS = """
def box_in_pixels(raw, row, column, anchor):
    t_x, t_y, t_w, t_h = raw
    centre = np.array([{x}, {y}])
    size = np.array([{width}, {height}])
    return {result}
"""
RIGHT_BOX = {
    "x": "column + sigmoid(t_x)",
    "y": "row + sigmoid(t_y)",
    "width": "anchor[0] * np.exp(t_w)",
    "height": "anchor[1] * np.exp(t_h)",
    "result": "np.concatenate([centre - size / 2, centre + size / 2]) * 32",
}

AFTER_CROP = """
def boxes_after_crop(boxes, left, top, right, bottom):
    width, height = right - left, bottom - top
    moved = {moved}
    cut = {cut}
    return cut[{kept}]
"""
RIGHT_CROP = {
    "moved": "(boxes - [left, top, left, top]) / [width, height, width, height]",
    "cut": "np.clip(moved, 0, 1)",
    "kept": "yolo.box_areas(cut) >= 0.25 * yolo.box_areas(moved)",
}

TWO_PIXELS = """
after = {after}

def column_and_t_x(box):
    b_x = {b_x}
    column = {column}
    return column, {t_x}

explanation = {explanation}
"""
RIGHT_PIXELS = {
    "after": "before + np.array([2, 0, 2, 0]) / 416",
    "b_x": "(box[0] + box[2]) / 2 * grid_size",
    "column": "int(b_x)",
    "t_x": "logit(b_x - column)",
    "explanation": "'C'",
}


def box(**changes):
    return BOX_IN_PIXELS.format(**(RIGHT_BOX | changes))


def crop(**changes):
    return AFTER_CROP.format(**(RIGHT_CROP | changes))


def pixels(**changes):
    return TWO_PIXELS.format(**(RIGHT_PIXELS | changes))


WRONG_ANSWERS = {
    "2.1": [
        ("prediction = (10, 3, 0)", "Row and column are swapped"),
        ("prediction = (3, 11, 0)", "cut off the decimals"),
        ("prediction = (3, 10, 1)", "Anchor 1 is wide like the object"),
        ("prediction = (2, 9, 0)", "the upper left corner"),
        ("prediction = (3, 10, 2)", "much too large"),
        ("prediction = (0, 0, 0)", "This is not the cell"),
        ("prediction = 10", "three numbers in brackets"),
    ],
    "2.2": [
        (box(x="row + sigmoid(t_x)", y="column + sigmoid(t_y)"), "are swapped"),
        (box(x="column + t_x", y="row + t_y"), "apply the sigmoid"),
        (box(width="anchor[0] * t_w", height="anchor[1] * t_h"), "use exp"),
        (box(width="anchor[0] * (1 + t_w)", height="anchor[1] * (1 + t_h)"), "zeros"),
        (box(width="np.exp(anchor[0] * t_w)", height="np.exp(t_h)"), "(128, 48,"),
        (box(result="np.concatenate([centre, size]) * 32"), "centre and size"),
        (
            box(result="np.concatenate([centre - size / 2, centre + size / 2])"),
            "a cell has 32 pixels",
        ),
        (
            box(result="np.concatenate([centre - size, centre + size]) * 32"),
            "twice as large",
        ),
        (
            box(result="np.concatenate([centre, centre + size]) * 32"),
            "starts at the centre",
        ),
        (
            box(result="np.array([centre - size / 2, centre + size / 2]) * 32"),
            "array of four numbers",
        ),
        (box(x="column + sigmoid(t_y)", y="row + sigmoid(t_x)"), "With zeros"),
    ],
    "2.3": [
        (crop(moved="boxes - [left, top, left, top]"), "Divide by the width"),
        (
            crop(moved="boxes / [width, height, width, height]"),
            "Subtract the new left and top",
        ),
        (crop(cut="moved", kept="..."), "reaches beyond the new image"),
        (crop(cut="np.maximum(moved, 0)"), "reaches beyond the new image"),
        (crop(kept="..."), "outside of the new image"),
        (
            crop(kept="yolo.box_areas(cut) >= 0.25 * yolo.box_areas(boxes)"),
            "both in fractions of the new image",
        ),
        (crop(kept="yolo.box_areas(cut) > 0"), "17 % is visible is still there"),
        (crop(kept="(cut == moved).all(axis=1)"), "60 % visible was dropped"),
        (crop(kept="yolo.box_areas(cut) >= 0.25"), "The box lies inside"),
    ],
    "2.4": [
        (pixels(after="before + [2, 0, 2, 0]"), "The boxes are fractions"),
        (
            pixels(after="before + np.array([0, 0, 2, 0]) / 416"),
            "move both xmin and xmax",
        ),
        (pixels(after="before + 2 / 416"), "Only x changes"),
        (pixels(t_x="logit(b_x - column), box"), "Return two numbers"),
        (pixels().replace("return column, ", "return "), "Return two numbers"),
        (pixels(column="round(b_x)"), "cut off the decimals"),
        (pixels(b_x="(box[1] + box[3]) / 2 * grid_size"), "You computed the row"),
        (pixels(t_x="sigmoid(b_x - column)"), "use logit"),
        (pixels(t_x="b_x - column"), "This is the offset in the cell"),
        (pixels(t_x="logit(b_x)"), "between 0 and 1"),
        (pixels(explanation="'A'"), "that alone is not punished"),
        (pixels(explanation="'B'"), "a single 1"),
        (pixels(explanation="'D'"), "Only a responsible cell"),
        (pixels(explanation="None"), "explanation is still empty"),
    ],
}
