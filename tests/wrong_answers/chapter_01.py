"""Plausible wrong answers to the exercises of chapter 1, and words of the message."""

IOU_OF_BOXES = """
def iou_of_boxes(first, second):
    left = max(first[0], second[0])
    top = max(first[1], second[1])
    right = min(first[2], second[2])
    bottom = min(first[3], second[3])
    intersection = {intersection}
    area_of_first = (first[2] - first[0]) * (first[3] - first[1])
    area_of_second = (second[2] - second[0]) * (second[3] - second[1])
    return {result}
"""
CUT_OFF = "max(right - left, 0) * max(bottom - top, 0)"
NOT_CUT_OFF = "(right - left) * (bottom - top)"
UNION = "(area_of_first + area_of_second - intersection)"

ONLY_SHAPES = """
def iou_of_boxes(first, second):
    first_width, first_height = first[2] - first[0], first[3] - first[1]
    second_width, second_height = second[2] - second[0], second[3] - second[1]
    intersection = min(first_width, second_width) * min(first_height, second_height)
    union = first_width * first_height + second_width * second_height - intersection
    return intersection / union
"""

MIN_AND_MAX_SWAPPED = """
def iou_of_boxes(first, second):
    left, top = min(first[0], second[0]), min(first[1], second[1])
    right, bottom = max(first[2], second[2]), max(first[3], second[3])
    intersection = (right - left) * (bottom - top)
    area_of_first = (first[2] - first[0]) * (first[3] - first[1])
    area_of_second = (second[2] - second[0]) * (second[3] - second[1])
    return intersection / (area_of_first + area_of_second - intersection)
"""

ALWAYS_MAX = """
def iou_of_boxes(first, second):
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = max(first[2], second[2]), max(first[3], second[3])
    intersection = max(right - left, 0) * max(bottom - top, 0)
    area_of_first = (first[2] - first[0]) * (first[3] - first[1])
    area_of_second = (second[2] - second[0]) * (second[3] - second[1])
    return intersection / (area_of_first + area_of_second - intersection)
"""

APART_ONLY_IF_BOTH = """
def iou_of_boxes(first, second):
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    if right < left and bottom < top:
        return 0.0
    intersection = (right - left) * (bottom - top)
    area_of_first = (first[2] - first[0]) * (first[3] - first[1])
    area_of_second = (second[2] - second[0]) * (second[3] - second[1])
    return intersection / (area_of_first + area_of_second - intersection)
"""

MOVE_ANCHORS = """
def move_anchors(sizes, anchors):
    ious = yolo.iou_wh(sizes, anchors)
    nearest = ious.argmax(axis=1)
    moved = anchors.copy()
    for i in range(len(anchors)):
        members = sizes[nearest == i]
        if len(members) > 0:
            moved[i] = members.mean(axis=0)
        else:
            moved[i] = {place}
    return moved
"""

CLUSTER_IN_PIXELS = """
def cluster_in_pixels(sizes, anchors, distance, width, height):
    sides = np.array([{sides}])
    result = cluster({sizes}, {anchors}, {distance}, {centre})
    return {result}

explanation = {explanation}
"""
RIGHT = {
    "sides": "width, height",
    "sizes": "sizes * sides",
    "anchors": "anchors * sides",
    "distance": "distance",
    "centre": "np.mean",
    "result": "result / sides",
    "explanation": "'B'",
}


def in_pixels(**changes):
    return CLUSTER_IN_PIXELS.format(**(RIGHT | changes))


WRONG_ANSWERS = {
    "1.1": [
        ("prediction = 'A'", "By IoU it is the other anchor"),
        ("prediction = 'B'", "By Euclidean distance it is the other anchor"),
        ("prediction = 'D'", "the wrong way round"),
        ("prediction = 'c'", "one capital letter"),
        ("prediction = (0.25, 0.36)", "one capital letter"),
    ],
    "1.2": [
        (MIN_AND_MAX_SWAPPED, "min and max are swapped"),
        (
            IOU_OF_BOXES.format(
                intersection=CUT_OFF,
                result="intersection / (area_of_first + area_of_second)",
            ),
            "the overlap is counted twice",
        ),
        (
            IOU_OF_BOXES.format(
                intersection=NOT_CUT_OFF, result=f"intersection / {UNION}"
            ),
            "two negative factors even make a positive area",
        ),
        (
            IOU_OF_BOXES.format(
                intersection=CUT_OFF,
                result="intersection / min(area_of_first, area_of_second)",
            ),
            "You divide by the area of one box",
        ),
        (
            IOU_OF_BOXES.format(intersection=CUT_OFF, result="intersection"),
            "You return the shared area",
        ),
        (ONLY_SHAPES, "You compare only the shapes"),
        (APART_ONLY_IF_BOTH, "stop at 0"),
        (ALWAYS_MAX, "It ends where the first of the boxes ends"),
    ],
    "1.3": [
        (MOVE_ANCHORS.format(place="sizes[ious.argmin()]"), "Without an axis"),
        (
            MOVE_ANCHORS.format(place="sizes[ious.min(axis=1).argmin()]"),
            "fits that one well",
        ),
        (MOVE_ANCHORS.format(place="sizes[ious[:, i].argmin()]"), "fits that one well"),
        (
            MOVE_ANCHORS.format(place="sizes[ious.max(axis=1).argmax()]"),
            "the box that the anchors fit best",
        ),
        (
            MOVE_ANCHORS.format(place="ious.max(axis=1).argmin()"),
            "gives the number of a box",
        ),
        (
            MOVE_ANCHORS.format(place="sizes.mean(axis=0)"),
            "not the box that is fitted worst",
        ),
        (MOVE_ANCHORS.format(place="members.mean(axis=0)"), "mean of no boxes"),
    ],
    "1.4": [
        (in_pixels(anchors="anchors"), "convert the start to pixels"),
        (in_pixels(result="result"), "convert them back"),
        (in_pixels(sides="height, width"), "width times 1000"),
        (in_pixels(centre="np.median"), "With 1 - IoU your anchors differ"),
        (in_pixels(distance="'1 - IoU'"), "the same anchors for both distances"),
        (
            in_pixels(sizes="sizes", anchors="anchors", result="result"),
            "you get the anchors in fractions",
        ),
        (in_pixels(explanation="'A'"), "A is true, but not the reason"),
        (in_pixels(explanation="'C'"), "also start from the same boxes"),
        (in_pixels(explanation="'D'"), "Areas do depend on the unit"),
        (in_pixels(explanation="None"), "explanation is still empty"),
    ],
}
