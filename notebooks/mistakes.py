"""What goes wrong in detections: the code behind the second half of chapter 6.

The kinds of mistakes are those of TIDE (Bolya et al. 2020, arXiv 2008.08115). Nothing
here is needed to train or to run the detector.
"""

from dataclasses import replace

import numpy as np

import yolo_helpers as yolo

KINDS = ("class", "localization", "both", "duplicate", "background", "missed")
GOOD_IOU = 0.5  # a detection finds an object if its IoU reaches this
POOR_IOU = 0.1  # below this, a detection has nothing to do with an object


def boxes_from_zero(annotation):
    """Corners (n, 4) in pixels counted from 0, as detections have them.

    VOC counts pixels from 1 and includes the last one.
    """
    return annotation.boxes - [1, 1, 0, 0]


def above(found, threshold):
    """The detections of an image whose confidence score is above a threshold."""
    keep = found.scores > threshold
    return yolo.Detections(found.boxes[keep], found.scores[keep], found.labels[keep])


def explain(annotation, found):
    """Say for each detection of an image whether it is right, or which mistake it is.

    Parameters
    ----------
    annotation : Annotation
    found : Detections
        Sorted by confidence score, the highest first.

    Returns
    -------
    list of (kind, object)
        The kind is "right", "ignored" (it finds a difficult object) or one of KINDS
        except "missed". The object is the number of the object that the detection
        belongs to, or None for "background".
    """
    ious = yolo.iou_matrix(found.boxes, boxes_from_zero(annotation))
    explained = []
    taken = set()  # objects that have been found
    for label, overlaps in zip(found.labels, ious, strict=True):
        same_class = np.where(annotation.labels == label, overlaps, 0)
        other_class = np.where(annotation.labels != label, overlaps, 0)
        best_of_class = same_class.max(initial=0)
        best_of_others = other_class.max(initial=0)

        if best_of_class >= GOOD_IOU:
            best = int(same_class.argmax())
            if annotation.difficult[best]:
                kind = "ignored"
            elif best in taken:
                kind = "duplicate"
            else:
                kind = "right"
            taken.add(best)
        elif best_of_others >= GOOD_IOU:
            kind, best = "class", int(other_class.argmax())
        elif best_of_class >= POOR_IOU:
            kind, best = "localization", int(same_class.argmax())
        elif best_of_others >= POOR_IOU:
            kind, best = "both", int(other_class.argmax())
        else:
            kind, best = "background", None
        explained.append((kind, best))
    return explained


def confusion_matrix(annotations, detections, num_classes):
    """Count as which class the objects of each class were detected.

    Parameters
    ----------
    annotations : list of Annotation
    detections : list of Detections
        Those above the threshold that a user would choose.
    num_classes : int

    Returns
    -------
    ndarray (C + 1, C + 1) int
        Rows are true classes, columns are detected ones. The last column counts
        objects that were not found. The last row counts detections that found no new
        object.
    """
    nothing = num_classes
    matrix = np.zeros((num_classes + 1, num_classes + 1), int)
    for annotation, found in zip(annotations, detections, strict=True):
        explained = explain(annotation, found)
        reports = zip(explained, found.labels, strict=True)
        # Right ones first: an object that is found as a cow and as a horse is a cow.
        reports = sorted(reports, key=lambda report: report[0][0] != "right")
        answered = set(np.flatnonzero(annotation.difficult).tolist())
        for (kind, best), label in reports:
            if kind == "ignored":
                continue
            if kind in ("right", "class") and best not in answered:
                matrix[annotation.labels[best], label] += 1
                answered.add(best)
            else:
                matrix[nothing, label] += 1
        for i in set(range(len(annotation.labels))) - answered:
            matrix[annotation.labels[i], nothing] += 1
    return matrix


def repaired(annotation, found, kinds):
    """An image as if the detector did not make mistakes of certain kinds.

    Parameters
    ----------
    annotation : Annotation
    found : Detections
    kinds : sequence of str
        Some of KINDS.

    Returns
    -------
    Annotation, Detections
        "class" gets the true class and "localization" the true box, unless the object
        has been found already; then the detection is removed. "both", "duplicate" and
        "background" are removed. For "missed", the objects that no detection reached
        become difficult, so that nobody asks for them.
    """
    explained = explain(annotation, found)
    boxes, labels = found.boxes.copy(), found.labels.copy()
    keep = np.ones(len(labels), bool)
    has_box = {best for kind, best in explained if kind == "right"}
    for i, (kind, best) in enumerate(explained):
        if kind not in kinds:
            continue
        keep[i] = kind in ("class", "localization") and best not in has_box
        if keep[i]:
            boxes[i] = boxes_from_zero(annotation)[best]
            labels[i] = annotation.labels[best]
            has_box.add(best)

    difficult = annotation.difficult.copy()
    if "missed" in kinds:
        near = ("right", "duplicate", "ignored", "class", "localization")
        reached = [best for kind, best in explained if kind in near]
        difficult |= ~np.isin(np.arange(len(difficult)), reached)
    remaining = yolo.Detections(boxes[keep], found.scores[keep], labels[keep])
    return replace(annotation, difficult=difficult), remaining


def map_after_repair(annotations, detections, num_classes, kinds):
    """The mAP if there were no mistakes of these kinds."""
    asked_before = yolo.evaluate_detections(annotations, detections, num_classes)
    has_objects = ~np.isnan(asked_before.average_precision)
    pairs = [
        repaired(annotation, found, kinds)
        for annotation, found in zip(annotations, detections, strict=True)
    ]
    better_annotations, better_detections = zip(*pairs, strict=True)
    better = yolo.evaluate_detections(
        better_annotations, better_detections, num_classes
    )
    values = better.average_precision[has_objects]
    return np.nan_to_num(values, nan=1.0).mean()  # NaN: nothing is asked for any more


def f1_score(annotation, found):
    """F1 of one image: 2 R / (D + N) for R right ones of D detections and N objects.

    Difficult objects do not count. An image without objects and detections has 1.
    """
    kinds = [kind for kind, _ in explain(annotation, found)]
    num_detections = len(kinds) - kinds.count("ignored")
    num_objects = (~annotation.difficult).sum()
    if num_detections + num_objects == 0:
        return 1.0
    return 2 * kinds.count("right") / (num_detections + num_objects)


def f1_curve(evaluation):
    """Precision, recall and F1 of all classes together, at every threshold.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    thresholds, precision, recall, f1 : ndarrays (n,)
        The thresholds are the confidence scores of all detections, highest first.
    """
    is_right = []
    for curve in evaluation.curves:
        reported = np.arange(1, len(curve.precision) + 1)
        num_right = np.rint(curve.precision * reported)
        is_right.append(np.diff(num_right, prepend=0))
    thresholds = np.concatenate([curve.scores for curve in evaluation.curves])
    order = np.argsort(-thresholds, kind="stable")
    num_right = np.concatenate(is_right)[order].cumsum()
    reported = np.arange(1, len(num_right) + 1)
    num_objects = sum(curve.num_objects for curve in evaluation.curves)
    precision, recall = num_right / reported, num_right / num_objects
    f1 = 2 * num_right / (reported + num_objects)
    return thresholds[order], precision, recall, f1


def f1_at(evaluation, threshold):
    """F1 of all detections with at least this confidence score."""
    thresholds, _, _, f1 = f1_curve(evaluation)
    reported = (thresholds >= threshold).sum()
    return float(f1[reported - 1]) if reported else 0.0
