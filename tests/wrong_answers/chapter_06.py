"""Wrong answers to the exercises of chapter 6, and words of the message they get."""


def kept(*boxes):
    """A cell with an answer to exercise 6.1."""
    return f"kept_boxes = {list(boxes)}\n"


RIGHT_ENVELOPE = [1.0, 0.6, 0.6, 0.6, 0.6, 0.5, 0.5, 0.5]


def worked(ap=0.54, envelope=RIGHT_ENVELOPE):
    """A cell with answers to exercise 6.2."""
    return f"my_envelope = {envelope}\nmy_ap = {ap}\n"


# Exercise 6.3
NO_TAKEN = """
def mark_right(ious, iou_threshold=0.5):
    return ious.max(axis=1) >= iou_threshold
"""
STRICT = """
def mark_right(ious, iou_threshold=0.5):
    taken, marks = set(), []
    for row in ious:
        best = int(row.argmax())
        marks.append(row[best] > iou_threshold and best not in taken)
        if marks[-1]:
            taken.add(best)
    return marks
"""
BEST_IOU = """
def mark_right(ious, iou_threshold=0.5):
    marks = np.zeros(len(ious), bool)
    for column in ious.T:
        if column.max() >= iou_threshold:
            marks[column.argmax()] = True
    return marks
"""
ALWAYS_TAKES = """
def mark_right(ious, iou_threshold=0.5):
    taken, marks = set(), []
    for row in ious:
        best = int(row.argmax())
        marks.append(row[best] >= iou_threshold and best not in taken)
        taken.add(best)
    return marks
"""
MOVES_ON = """
def mark_right(ious, iou_threshold=0.5):
    free, marks = np.ones(ious.shape[1], bool), []
    for row in ious:
        row = np.where(free, row, 0)
        best = row.argmax()
        marks.append(bool(row[best] >= iou_threshold))
        if marks[-1]:
            free[best] = False
    return marks
"""
FIXED_THRESHOLD = """
def mark_right(ious, iou_threshold=0.5):
    taken, marks = set(), []
    for row in ious:
        best = int(row.argmax())
        marks.append(row[best] >= 0.5 and best not in taken)
        if marks[-1]:
            taken.add(best)
    return marks
"""
PER_OBJECT = """
def mark_right(ious, iou_threshold=0.5):
    return ious.max(axis=0) >= iou_threshold
"""


def priced(body, f1=0.50, lowest=0.25, ap=0.05, letter="A"):
    """A cell with answers to exercise 6.4."""
    return f"""
def cost(threshold):
    hits = IS_RIGHT[SCORES > threshold]
    return {body}


best_for_f1, best_for_cost, best_for_ap = {f1}, {lowest}, {ap}
explanation = {letter!r}
"""


COST = "int(5 * (NUM_OBJECTS - hits.sum()) + len(hits) - hits.sum())"
SWAPPED = "int(NUM_OBJECTS - hits.sum() + 5 * (len(hits) - hits.sum()))"
NOT_REPORTED = "int(5 * (len(SCORES) - len(hits)) + len(hits) - hits.sum())"
ALL_REPORTED = "int(5 * (NUM_OBJECTS - hits.sum()) + len(hits))"
ONLY_DETECTED = "int(5 * (IS_RIGHT.sum() - hits.sum()) + len(hits) - hits.sum())"
SAME_PRICE = "int(NUM_OBJECTS - hits.sum() + len(hits) - hits.sum())"

WRONG_ANSWERS = {
    "6.1": [
        (kept(1, 0), "a cat cannot suppress a dog"),
        (kept(1, 3, 4), "Only boxes that are kept"),
        (kept(1, 3, 5, 4), "Only boxes that are kept"),
        (kept(1, 3), "Only boxes that are kept"),
        (kept(1, 3, 0, 5, 4), "box 5 overlaps box 0"),
        (kept(1, 3, 0), "of the other class"),
        (kept(0, 1, 3, 4), "in the order of their scores"),
        (kept(4, 0, 3, 1), "in the order of their scores"),
        (kept(2, 5), "start with the highest score"),
    ],
    "6.2": [
        (
            worked(envelope=[1, 0.5, 0.33, 0.5, 0.6, 0.5, 0.43, 0.5]),
            "this is the precision",
        ),
        (worked(envelope=[1] * 8), "from the wrong end"),
        (worked(envelope=[1, 0.6, 0.5]), "each of the 8 detections"),
        (worked(envelope=[1, 0.6, 0.6, 0.6, 0.6, 0.5, 0.5, 0.4]), "not right yet"),
        (worked(ap=0.52), "the precision itself"),
        (worked(ap=0.675), "There are five"),
        (worked(ap=0.61), "the mean over all rows"),
        (worked(ap=0.58), "eleven recalls"),
        (worked(ap=None), "my_ap is still empty"),
    ],
    "6.3": [
        (NO_TAKEN, "the second is a duplicate"),
        (STRICT, "exactly 0.5 is enough"),
        (BEST_IOU, "not to the one with the higher IoU"),
        (ALWAYS_TAKES, "takes no object"),
        (MOVES_ON, "may not move on to another object"),
        (FIXED_THRESHOLD, "instead of a fixed 0.5"),
        (PER_OBJECT, "one value for each detection"),
    ],
    "6.4": [
        (priced(SWAPPED), "the prices are swapped"),
        (priced(NOT_REPORTED), "start from NUM_OBJECTS"),
        (priced(ALL_REPORTED), "even the right ones"),
        (priced(ONLY_DETECTED), "not found by any of the detections"),
        (priced(SAME_PRICE), "five times as much"),
        (priced(COST, f1=0.25), "highest of the five F1 scores"),
        (priced(COST, lowest=0.50), "elsewhere than F1"),
        (priced(COST, ap=0.25), "highest of the five APs"),
        (priced(COST, letter="B"), "no such limit"),
        (priced(COST, letter="C"), "Precision makes"),
        (priced(COST, letter="D"), "only one is right"),
        (priced(COST, letter=None), "still empty"),
    ],
}
