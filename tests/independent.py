"""Plain implementations that the tests compare the module with.

They are written from the formulas, with loops over single numbers, and share no code
with yolo_helpers.py. Anchors are in grid units, boxes are fractions of the image.
"""

import math

import numpy as np

# --------------------------------------------------------------------------------------
# Overlap


def iou_of_sizes(size, other):
    """IoU of two boxes (width, height) that share their centre."""
    intersection = min(size[0], other[0]) * min(size[1], other[1])
    return intersection / (size[0] * size[1] + other[0] * other[1] - intersection)


def iou_of_corners(a, b):
    """IoU of two boxes xmin, ymin, xmax, ymax."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    area_a = (a[2] - a[0]) * (a[3] - a[1])
    area_b = (b[2] - b[0]) * (b[3] - b[1])
    return intersection / (area_a + area_b - intersection)


def corners(centre_x, centre_y, width, height):
    return (
        centre_x - width / 2,
        centre_y - height / 2,
        centre_x + width / 2,
        centre_y + height / 2,
    )


# --------------------------------------------------------------------------------------
# Encoding


def encode(boxes, labels, anchors, grid_size, num_classes):
    """The target (G, G, A, 5 + C) and the list of boxes (50, 4), object by object.

    All numbers are single precision, so that results can be compared bit for bit.
    """
    grid = np.float32(grid_size)
    anchors = np.asarray(anchors, np.float32)
    shape = (grid_size, grid_size, len(anchors), 5 + num_classes)
    y = np.zeros(shape, np.float32)
    grid_boxes = []
    for (xmin, ymin, xmax, ymax), label in zip(boxes, labels, strict=True):
        centre_x = (xmin + xmax) / np.float32(2) * grid
        centre_y = (ymin + ymax) / np.float32(2) * grid
        width = (xmax - xmin) * grid
        height = (ymax - ymin) * grid
        column = min(int(centre_x), grid_size - 1)
        row = min(int(centre_y), grid_size - 1)
        best, best_iou = 0, -1.0
        for number, anchor in enumerate(anchors):
            iou = iou_of_sizes((width, height), anchor)
            if iou > best_iou:
                best, best_iou = number, iou
        for entry in range(5 + num_classes):
            y[row, column, best, entry] = 0  # an earlier object is gone completely
        y[row, column, best, 0] = centre_x
        y[row, column, best, 1] = centre_y
        y[row, column, best, 2] = width
        y[row, column, best, 3] = height
        y[row, column, best, 4] = 1
        y[row, column, best, 5 + label] = 1
        grid_boxes.append((centre_x, centre_y, width, height))

    by_area = sorted(
        range(len(grid_boxes)), key=lambda i: -(grid_boxes[i][2] * grid_boxes[i][3])
    )
    true_boxes = np.zeros((50, 4), np.float32)
    for place, i in enumerate(sorted(by_area[:50])):
        true_boxes[place] = grid_boxes[i]
    return y, true_boxes


# --------------------------------------------------------------------------------------
# Model


def reorg(x):
    """Darknet's reorg with stride 2 on one map (C, H, W), number by number."""
    c, h, w = x.shape
    flat_in = x.reshape(-1)
    flat_out = np.zeros(x.size, x.dtype)
    out_c = c // 4
    for k in range(c):
        quarter, rest = k // out_c, k % out_c
        for j in range(h):
            for i in range(w):
                source_x = 2 * i + quarter % 2
                source_y = 2 * j + quarter // 2
                source = source_x + 2 * w * (source_y + 2 * h * rest)
                flat_out[i + w * (j + h * k)] = flat_in[source]
    return flat_out.reshape(4 * c, h // 2, w // 2)


# --------------------------------------------------------------------------------------
# Loss


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def region_gradient(raw, boxes, labels, anchors, warmup=False):
    """Gradient of one image's loss in its raw outputs, as in Darknet's region layer.

    There is no loss in it. Each number gets a `delta`, how far it is to go: first for
    background and warm-up, then each object overwrites what stands at its place.

    Parameters
    ----------
    raw : array (G, G, A, 5 + C)
    boxes : array (n, 4)
        Corners, as fractions of the image.
    labels : array (n,)
    anchors : array (A, 2)
        In grid units.
    """
    raw = np.asarray(raw, float)
    rows, columns, num_anchors, entries = raw.shape
    anchors = np.asarray(anchors, float).tolist()
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)  # single precision, as in C
    objects = []
    for xmin, ymin, xmax, ymax in boxes:
        objects.append(
            (
                float((xmin + xmax) / np.float32(2) * np.float32(columns)),
                float((ymin + ymax) / np.float32(2) * np.float32(rows)),
                float((xmax - xmin) * np.float32(columns)),
                float((ymax - ymin) * np.float32(rows)),
            )
        )

    out = raw.copy()
    out[..., [0, 1, 4]] = sigmoid(raw[..., [0, 1, 4]])
    out[..., 5:] = softmax(raw[..., 5:])
    delta = np.zeros_like(raw)

    def predicted_corners(row, column, n):
        x, y, log_w, log_h = out[row, column, n, :4].tolist()
        width = math.exp(min(log_w, 20.0)) * anchors[n][0]
        height = math.exp(min(log_h, 20.0)) * anchors[n][1]
        return corners(column + x, row + y, width, height)

    true_corners = [corners(*true_box) for true_box in objects]
    for row in range(rows):
        for column in range(columns):
            for n in range(num_anchors):
                found = predicted_corners(row, column, n)
                best = max(
                    [iou_of_corners(found, true_box) for true_box in true_corners],
                    default=0.0,
                )
                if best <= 0.6:
                    delta[row, column, n, 4] = 0 - out[row, column, n, 4]
                if warmup:
                    delta[row, column, n, :2] = 0.01 * (0.5 - out[row, column, n, :2])
                    delta[row, column, n, 2:4] = 0.01 * (0 - out[row, column, n, 2:4])

    for (x, y, width, height), label in zip(objects, labels, strict=True):
        column = min(int(x), columns - 1)
        row = min(int(y), rows - 1)
        ious = [iou_of_sizes((width, height), anchor) for anchor in anchors]
        n = ious.index(max(ious))
        scale = 2 - width * height / (rows * columns)
        offset_x, offset_y, log_w, log_h, objectness = out[row, column, n, :5]
        own_iou = iou_of_corners(
            predicted_corners(row, column, n), corners(x, y, width, height)
        )
        place = delta[row, column, n]
        place[0] = scale * (x - column - offset_x)
        place[1] = scale * (y - row - offset_y)
        place[2] = scale * (math.log(width / anchors[n][0]) - log_w)
        place[3] = scale * (math.log(height / anchors[n][1]) - log_h)
        place[4] = 5 * (own_iou - objectness)
        for k in range(entries - 5):
            place[5 + k] = float(k == label) - out[row, column, n, 5 + k]

    # A delta goes downhill, a gradient uphill. Three numbers passed a sigmoid.
    slope = np.ones_like(raw)
    slope[..., [0, 1, 4]] = out[..., [0, 1, 4]] * (1 - out[..., [0, 1, 4]])
    return -delta * slope


# --------------------------------------------------------------------------------------
# Training


def clip_gradients(gradients, limit):
    """Shorten a list of arrays so that their common length is at most `limit`."""
    squares = sum(float((gradient.astype(float) ** 2).sum()) for gradient in gradients)
    factor = min(1.0, limit / math.sqrt(squares))
    return [gradient * factor for gradient in gradients]


def momentum_step(weight, velocity, gradient, learning_rate, momentum=0.9):
    """One step of stochastic gradient descent; returns new weight and velocity."""
    velocity = momentum * velocity - learning_rate * gradient
    return weight + velocity, velocity


# --------------------------------------------------------------------------------------
# Inference and evaluation


def decode(raw, anchors):
    """Boxes as fractions, objectness and class probabilities of one image's outputs."""
    rows, columns, num_anchors, entries = raw.shape
    boxes = np.zeros((rows, columns, num_anchors, 4))
    objectness = np.zeros((rows, columns, num_anchors))
    probabilities = np.zeros((rows, columns, num_anchors, entries - 5))
    for row in range(rows):
        for column in range(columns):
            for n in range(num_anchors):
                numbers = raw[row, column, n].astype(float)
                x = (column + sigmoid(numbers[0])) / columns
                y = (row + sigmoid(numbers[1])) / rows
                width = float(anchors[n][0]) * math.exp(numbers[2]) / columns
                height = float(anchors[n][1]) * math.exp(numbers[3]) / rows
                boxes[row, column, n] = corners(x, y, width, height)
                objectness[row, column, n] = sigmoid(numbers[4])
                probabilities[row, column, n] = softmax(numbers[5:])
    return boxes, objectness, probabilities


def suppress(boxes, scores, labels, iou_threshold):
    """Positions of the boxes to keep, best first; of equal scores the earlier one."""
    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        survivors = []
        for i in left:
            overlap = iou_of_corners(boxes[i], boxes[best])
            if labels[i] != labels[best] or overlap <= iou_threshold:
                survivors.append(i)
        left = survivors
    return kept


def judge(annotations, detections, label, iou_threshold):
    """(right or wrong of each detection that counts, best first; number of objects)."""
    ranked = []
    for number, found in enumerate(detections):
        for box, score, its_label in zip(*found, strict=True):
            if its_label == label:
                ranked.append((score, number, box))
    ranked.sort(key=lambda row: -row[0])

    taken, outcome = set(), []
    for _, number, box in ranked:
        annotation = annotations[number]
        best, best_iou = None, -1.0
        for k in range(len(annotation.labels)):
            if annotation.labels[k] != label:
                continue
            xmin, ymin, xmax, ymax = annotation.boxes[k]
            iou = iou_of_corners(box, (xmin - 1, ymin - 1, xmax, ymax))
            if iou > best_iou:
                best, best_iou = k, iou
        if best is None or best_iou < iou_threshold:
            outcome.append(False)
        elif not annotation.difficult[best]:
            outcome.append((number, best) not in taken)
            taken.add((number, best))

    objects = 0
    for annotation in annotations:
        for its_label, difficult in zip(
            annotation.labels, annotation.difficult, strict=True
        ):
            objects += bool(its_label == label and not difficult)
    return outcome, objects


def average_precisions(annotations, detections, label, iou_threshold):
    """(area under the envelope, mean at eleven recalls); NaN without objects."""
    outcome, objects = judge(annotations, detections, label, iou_threshold)
    if objects == 0:
        return math.nan, math.nan
    precision, recall, right = [], [], 0
    for number, is_right in enumerate(outcome, start=1):
        right += is_right
        precision.append(right / number)
        recall.append(right / objects)
    area, previous = 0.0, 0.0
    for k in range(len(outcome)):
        area += (recall[k] - previous) * max(precision[k:])
        previous = recall[k]
    eleven = 0.0
    for level in np.linspace(0, 1, 11):
        reached = [p for p, r in zip(precision, recall, strict=True) if r >= level]
        eleven += max(reached, default=0.0) / 11
    return area, eleven
