# ---
# jupyter:
#   accelerator: GPU
#   colab:
#     gpuType: T4
#     provenance: []
#     toc_visible: true
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6 Inference: from raw output to boxes, and to one number
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/06_inference.ipynb)
#
# In this chapter you turn the raw output of the trained network into boxes on a photo, and you measure how good these
# boxes are on images that the network has never seen.
#
# **You will learn**
#
# - how 676 predictions for one image become a few labelled boxes,
# - what the confidence score means, and what a threshold does,
# - how duplicates are suppressed, and which objects that costs,
# - how average precision is computed, first by hand on six detections,
# - which mistakes a detector makes, and what each kind of mistake costs,
# - how to choose a threshold without fooling yourself.
#
# **Time:** reading 63 min (the second half, from "What kinds of mistakes", may wait), running 1 min on two CPU cores.
#
# Three names appear throughout. *The paper* is [YOLO9000](https://arxiv.org/abs/1612.08242), which introduced YOLOv2.
# *Darknet* is the [program](https://github.com/pjreddie/darknet) of its authors. *The series* is [Yumi's set of blog
# posts](https://fairyonice.github.io/) that the chapters follow. Other terms are explained where they first appear, and
# collected in [the glossary](glossary.md).

# %% cellView="form" tags=["set-up"]
# @title Set-up: find yolo_helpers.py, or fetch the repository
import subprocess
import sys
import tempfile
from pathlib import Path

ADDRESS = "https://github.com/yolov2-from-scratch/yolov2-from-scratch"
VERSION = "main"


class SetUpError(Exception):
    def _render_traceback_(self):  # Jupyter shows this line instead of a traceback
        return [str(self)]


name = f"{ADDRESS.split('/')[-1]}-{VERSION}-{Path.home().name}"
fetched = Path(tempfile.gettempdir(), name)
folders = [Path.cwd(), *Path.cwd().parents, fetched]
found = [folder for folder in folders if (folder / "yolo_helpers.py").exists()]
if not found:
    clone = ["git", "clone", "--quiet", "--depth=1", f"--branch={VERSION}", ADDRESS]
    try:
        subprocess.run([*clone, fetched], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        message = f"{ADDRESS} cannot be fetched: {reason.splitlines()[0]}"
        raise SetUpError(message) from None
root = found[0] if found else fetched
sys.path[:0] = [str(root), str(root / "notebooks")]

# %%
import yolo_helpers as yolo  # isort: skip (before TensorFlow, for its settings)

from dataclasses import replace

import cv2
import figures
import matplotlib.pyplot as plt
import numpy as np

figures.setup(quality=60, dpi=80)  # small, because there are many figures
settings = yolo.load_settings()

# %% [markdown]
# Here is the pipeline of the whole book for the last time. This chapter is about the end of its upper row, where the
# raw output becomes boxes and duplicates are suppressed.

# %%
figures.pipeline(highlight=6)

# %% [markdown]
# These are the arrays in play. C is the number of classes, 20 for Pascal VOC.
#
# | name | shape | what it holds |
# |---|---|---|
# | `photo` | (height, width, 3) | a photo of any size, values from 0 to 255 |
# | `raw` | (13, 13, 4, 5 + C) | the raw output for one photo: 13 x 13 cells, 4 anchors |
# | `decoded.boxes` | (1, 13, 13, 4, 4) | xmin, ymin, xmax, ymax as fractions of the image |
# | `decoded.objectness` | (1, 13, 13, 4) | from 0 to 1 |
# | `decoded.class_probabilities` | (1, 13, 13, 4, C) | from 0 to 1, their sum over the classes is 1 |
# | `found.boxes` | (n, 4) | detections of one photo, in the photo's own pixels |
# | `found.scores` | (n,) | their confidence scores, highest first |
# | `found.labels` | (n,) | their class numbers |

# %% [markdown]
# ## Which detector, and which images?
#
# Chapter 5 saved the trained weights together with the anchors and the class names. We load them from there, or from
# the copy that the repository carries if you have not run chapter 5.

# %%
splits = yolo.load_splits(settings.voc_dir)
data = yolo.fingerprint(splits.train)
path = yolo.find_artifact(settings, "yolov2.json", "05_training", data)
network, anchors, classes, image_size = yolo.load_detector(path)
print(f"classes: {len(classes)}, anchors: {len(anchors)}, image size: {image_size}")

# %% [markdown]
# We will look at two images. The first is our running example, which the network saw many times in training. A good
# result on it shows that the code works, and nothing more. The second one is a *test image*: it was not used for
# training and not used for choosing an epoch. Only such images say how well the network will do on photos of your own.

# %%
example = figures.pick(splits.train, "2026_000123")
unseen = figures.pick(splits.test, "2026_000827")
titles = ("Training image: seen many times", "Test image: never seen")
figures.ground_truth([example, unseen], classes, titles)

# %% [markdown]
# The boxes in this figure are the ground truth. Keep them in mind, because the detections below have to match them.
#
# ## How does one prediction become a box?
#
# The network sees the photo stretched to a square. It answers with one prediction for each of the 13 x 13 cells and
# each of the 4 anchors, which makes 676 predictions of $5 + C$ numbers.

# %%
photo = yolo.read_image(example.image_path)


def raw_output(photo):
    """The network's raw output (G, G, A, 5 + C) for one photo."""
    square = cv2.resize(photo, (image_size, image_size))
    batch = square[None].astype(np.float32) / 255
    return network.predict_on_batch(batch)[0]


raw = raw_output(photo)
print(raw.shape, "are", np.prod(raw.shape[:3]), "predictions")

# %% [markdown]
# Let us decode a single prediction by hand, the one with the highest objectness. Chapter 2 derived the formulas. For
# the cell in column $i$ and row $j$ of a grid with $G$ cells along each side, and for an anchor of $p_w$ x $p_h$ grid
# units, they are
#
# $$x = \frac{i + \sigma(t_x)}{G}, \qquad y = \frac{j + \sigma(t_y)}{G}, \qquad w = \frac{p_w\, e^{t_w}}{G}, \qquad h = \frac{p_h\, e^{t_h}}{G}.$$
#
# The sigmoid $\sigma$ keeps the centre inside its own cell. The exponential is 1 when the raw value is 0, so a raw
# value of 0 means "exactly as large as the anchor".

# %%
place = np.unravel_index(raw[..., 4].argmax(), raw.shape[:3])
row, column, anchor = (int(index) for index in place)
tx, ty, tw, th = raw[place][:4]
grid_size = len(raw)

x = (column + yolo.sigmoid(tx)) / grid_size
y = (row + yolo.sigmoid(ty)) / grid_size
anchor_size = anchors[anchor] / grid_size
width, height = anchor_size * np.exp([tw, th])
box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
print(f"row {row}, column {column}, anchor {anchor}")
print("raw values:", raw[place][:4].round(2))
print("box as fractions of the image:", box.round(2))

# %%
figures.decoded_prediction(photo, (row, column), anchor_size, box, grid_size)

# %% [markdown]
# The red cell made this prediction, and the centre of the box lies inside it. The dashed anchor has been scaled in
# width and in height by the two exponentials, and the result is the orange box.
#
# `decode_predictions` does the same for all predictions at once. It takes a batch of images, so we add an axis for a
# batch of one. The box that we computed by hand must be among its results:

# %%
decoded = yolo.decode_predictions(raw[None], anchors)
print("boxes:", decoded.boxes.shape)
print("agrees with ours:", np.allclose(decoded.boxes[0][place], box, atol=1e-4))

# %% [markdown]
# ## How sure is the detector?
#
# We have 676 boxes now, and there are only a few objects in the image. So we need to know which boxes to believe. The
# network tells us in two parts:
#
# - The **objectness** is the fifth raw value after a sigmoid. It estimates whether there is an object in this box, and
#   how well the box fits, whatever the class may be.
# - The **class probabilities** come from the other values after a softmax. They say which class it is *if* there is an
#   object.
#
# Their product is the **confidence score**: objectness times the probability of the most probable class.

# %%
objectness = decoded.objectness[0]
probabilities = decoded.class_probabilities[0]
labels = probabilities.argmax(axis=-1)
scores = objectness * probabilities.max(axis=-1)

print(f"objectness {objectness[place]:.2f}")
for label in np.argsort(-probabilities[place])[:3]:
    probability = probabilities[place][label]
    product = objectness[place] * probability
    print(f"{classes[label]:12s} {probability:.2f}, confidence score {product:.2f}")

# %% [markdown]
# Why does it take both? The maps below show, for each cell, the anchor with the highest confidence score.

# %%
best = scores.argmax(axis=-1)[..., None]
maps = {
    "objectness": objectness,
    "best class probability": probabilities.max(axis=-1),
    "confidence score": scores,
}
maps = {key: np.take_along_axis(m, best, axis=-1)[..., 0] for key, m in maps.items()}
figures.heat_maps(photo, maps)

# %% [markdown]
# The class probabilities in the middle are high in many cells that hold nothing but grass or sky. That is no error: a
# softmax has to give its probabilities to some class, and the loss of chapter 4 never asks for classes where there is
# no object. These values mean nothing without the objectness. The product on the right keeps what both agree on.
#
# > **Pitfall.** Subtracting the largest value before a softmax is harmless, because it cancels out. Some ports of
# > YOLOv2 also divide by the smallest value of the whole image. That changes how peaked the probabilities are, by a
# > different amount in every image, so the scores of two images can no longer be compared.
#
# ## Which boxes do we show?
#
# We show the boxes whose confidence score is above a **threshold**. The choice is a trade: a low threshold shows more
# of the objects, and also more boxes that are wrong.

# %%
boxes = decoded.boxes[0].clip(0, 1)
_, axes = plt.subplots(1, 3, figsize=(10, 2.9))
for axis, threshold in zip(axes, (0.01, 0.1, 0.25)):
    shown = boxes[scores > threshold]
    figures.show_boxes(axis, photo, shown, linewidth=1.5)
    axis.set_title(f"score above {threshold}: {len(shown)} boxes")
plt.show()

# %% [markdown]
# Most of the 676 predictions are gone at any of these thresholds. What remains gathers on the objects, several
# boxes on each. The usual threshold for showing detections is 0.25. We use it everywhere except for the average
# precision, and towards the end of this chapter we compare it with other thresholds.
#
# ## One object, several boxes: which one stays?
#
# Neighbouring cells and several anchors report the same object. Boxes that report an object a second time are called
# **duplicates**. We get rid of them with *non-maximum suppression*, which sounds harder than it is:
#
# 1. Take the box with the highest confidence score that is left, and keep it.
# 2. Suppress every other box *of the same class* whose IoU with it is above 0.45.
# 3. Repeat until no box is left.


# %%
def suppress(boxes, scores, labels, iou_threshold=yolo.NMS_THRESHOLD):
    """For each step, the position of the kept box and of those it suppresses."""
    remaining = np.argsort(-scores, kind="stable").tolist()
    steps = []
    while remaining:
        best = remaining.pop(0)
        ious = yolo.iou_matrix(boxes[[best]], boxes)[0]
        overlapping = [i for i in remaining if ious[i] > iou_threshold]
        duplicates = [i for i in overlapping if labels[i] == labels[best]]
        remaining = [i for i in remaining if i not in duplicates]
        steps.append((best, duplicates))
    return steps


# %% [markdown]
# Let us watch it on our running example, with all boxes above the threshold of 0.25.

# %%
chosen = scores > yolo.DETECTION_THRESHOLD
few_boxes = boxes[chosen]
few_scores, few_labels = scores[chosen], labels[chosen]
steps = suppress(few_boxes, few_scores, few_labels)
figures.suppression_steps(photo, few_boxes, few_scores, few_labels, classes, steps)

# %% [markdown]
# In each step the thick green box is kept, the dashed red boxes are suppressed as its duplicates, and the pale boxes
# have to wait. The thin green boxes were kept in an earlier step. The last picture shows what stays. If a wrong box stays
# as well, look at how it got there: it overlaps no kept box of its own class by more than 0.45, so suppression has no
# reason to take it for a duplicate. Only a higher threshold can remove it.
#
# The module has the same function in a form that needs no lists. It keeps the same boxes in the same order:

# %%
kept = yolo.non_max_suppression(few_boxes, few_scores, few_labels, yolo.NMS_THRESHOLD)
print("same boxes:", kept.tolist() == [best for best, _ in steps])

# %% [markdown]
# > **Pitfall.** Suppress each box once, with its most probable class. A port that loops over the classes and appends a
# > box for every class with a probability above zero reports the same object many times over, once for each class.
#
# ## What does suppression get wrong?
#
# Suppression assumes that two boxes of one class that overlap a lot are the same object. Sometimes they are not. We can
# count how often, without any network: give it the ground truth, as if a detector had found every object perfectly, and
# see what is suppressed.


# %%
def lost(annotation, labels):
    """Positions of ground truth boxes that suppression would remove."""
    boxes = yolo.box_fractions(annotation)
    kept = yolo.non_max_suppression(
        boxes, np.ones(len(boxes)), labels, yolo.NMS_THRESHOLD
    )
    return np.setdiff1d(np.arange(len(boxes)), kept)


num_objects = sum(len(a.labels) for a in splits.test)
within = [len(lost(a, a.labels)) for a in splits.test]
across = [len(lost(a, np.zeros(len(a.labels), int))) for a in splits.test]
print(f"{sum(within)} of {num_objects} perfect boxes are suppressed")
print(f"{sum(across)} if classes suppressed each other")

# %%
crowded = splits.test[int(np.argmax(within))]
gone = lost(crowded, crowded.labels)
title = f"Perfect boxes, lost by suppression: {len(gone)} (red)"
figures.lost_boxes(crowded, gone, classes, title)

# %% [markdown]
# The object in red is real, but its IoU with another object of its class is above 0.45. Even a detector with perfect
# boxes would lose it. The loss is small here, because few objects of one class stand that close together. In photos of
# crowds and flocks it is much larger.
#
# The second number is the reason why step 2 compares the classes. A person may fill most of the box of a bicycle, and
# without this condition one of the two would be lost. In our images it costs little, but it costs something, and
# comparing classes is free.
#
# ## From photo to detections in one picture
#
# `detect` does all of these steps: it resizes the photo, runs the network, decodes, applies the threshold, suppresses
# duplicates and scales the boxes back to the photo. The figure shows the way of both images from left to right.


# %%
def strip(annotation):
    """Photo, objectness, boxes above the threshold, and detections of one image."""
    photo = yolo.read_image(annotation.image_path)
    decoded = yolo.decode_predictions(raw_output(photo)[None], anchors)
    scores = decoded.objectness[0] * decoded.class_probabilities[0].max(axis=-1)
    candidates = decoded.boxes[0][scores > yolo.DETECTION_THRESHOLD].clip(0, 1)
    found = yolo.detect(network, photo, anchors, image_size=image_size)
    return photo, decoded.objectness[0].max(axis=-1), candidates, found


figures.detection_strips([strip(example), strip(unseen)], classes)

# %% [markdown]
# In the upper row the network has an easy task, because it was trained on this image. The lower row is the real test.
# Compare it with the ground truth at the start of the chapter, box by box: is each object found, does the box fit, and
# is the class right?
#
# The cat lies inside the box of the sofa, and yet no sofa can suppress it. They are of different classes, and that
# settles it. Their IoU is only 0.08 anyway, because the IoU of a small box and a large box around it is small.
#
# ## Where are the boxes in my photo?
#
# The network always sees a square, but most photos are not square. We stretch the photo, so that width and height are
# scaled by different factors. The boxes are fractions of the image until the last moment, and fractions do not change
# when an image is stretched. To return to the photo, we multiply by its own width and height. Here is the photo of the
# test images that is stretched most:


# %%
oblong = max(splits.test, key=lambda a: abs(np.log(a.width / a.height)))
image = yolo.read_image(oblong.image_path)
square = cv2.resize(image, (image_size, image_size))
found = yolo.detect(network, image, anchors, image_size=image_size)
fractions = found.boxes / [oblong.width, oblong.height, oblong.width, oblong.height]

_, axes = plt.subplots(1, 2, figsize=(8, 4.6))
figures.show_detections(axes[0], square, fractions * image_size, found.labels, classes)
axes[0].set_title(f"The network sees {image_size} x {image_size} pixels")
figures.show_detections(axes[1], image, found.boxes, found.labels, classes)
axes[1].set_title(f"Your photo has {oblong.width} x {oblong.height}")
plt.show()

# %% [markdown]
# Both pictures show the same boxes. Stretching makes objects look wider or narrower than they are. The network copes
# because it was trained on images that were stretched in the same way. Some other detectors add grey borders instead of
# stretching, which keeps the shapes and wastes part of the input.
#
# > **Pitfall.** Some ports return boxes in the frame of 416 x 416 pixels. Drawn on the square they look right, but on
# > the photo they are in the wrong place.
#
# ## What does it find in photos that it has never seen?
#
# Detections that somebody picked for a figure tell us little. So here are the first six images of the test list,
# whatever they show.

# %%
first_six = splits.test[:6]
photos = [yolo.read_image(annotation.image_path) for annotation in first_six]
results = yolo.detect(network, photos, anchors, image_size=image_size)
picture = figures.tile_detections(photos, results, classes)
_, axis = plt.subplots(figsize=(10, 5.2))
axis.imshow(picture)
axis.axis("off")
axis.set_title("Detections in the first six test images")
plt.show()

# %%
for annotation, found in zip(first_six, results):
    truth = sorted(classes[label] for label in annotation.labels)
    names = [classes[label] for label in found.labels]
    rated = [f"{n} {s:.2f}" for n, s in zip(names, found.scores)]
    print(f"{annotation.image_path.stem}  there is: {', '.join(truth) or 'nothing'}")
    print(f"{'':13}detected: {', '.join(rated) or 'nothing'}")

# %% [markdown]
# Compare the two lines of each image. Look for objects that are missing, for boxes on nothing, and for animals that are
# taken for others. Six images are enough for an impression, but not for a judgement. For that we need a number.
#
# We save the picture for the front page of the repository:

# %%
yolo.claim_folder(settings.artifacts)
quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
_, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
with yolo.whole_file(settings.artifacts / "detections.jpg") as unfinished:
    unfinished.write_bytes(encoded.tobytes())

# %% [markdown]
# ## How can one number score a detector?
#
# A detector can go wrong in two ways. It can report boxes that are not right, and it can miss objects. Two shares
# measure this:
#
# - **Precision** is the share of the reported boxes that are right.
# - **Recall** is the share of the objects that are found.
#
# Each threshold gives one pair of these. If we lower it, recall can only grow, while precision usually falls. Pascal
# VOC's **average precision** (AP) summarises all thresholds in one number per class. First we need to say what "right"
# means. We sort all detections of one class, from all test images, by confidence score, and walk down the list:
#
# - A detection is right if its IoU with the object of this class that it overlaps most is at least 0.5, and if no
#   earlier detection has taken this object. Otherwise it is a **false positive**.
# - Objects marked *difficult* do not count. A detection of such an object is neither right nor wrong.
#
# Let us do it by hand. Suppose that there are four objects of a class in the whole test set, and that the detector
# reports six boxes:
#
# | detection | score | right? | right so far | precision | recall | envelope |
# |---|---|---|---|---|---|---|
# | 1 | 0.95 | yes | 1 | 1/1 = 1.00 | 1/4 = 0.25 | 1.00 |
# | 2 | 0.90 | no | 1 | 1/2 = 0.50 | 1/4 = 0.25 | 0.75 |
# | 3 | 0.80 | yes | 2 | 2/3 = 0.67 | 2/4 = 0.50 | 0.75 |
# | 4 | 0.70 | yes | 3 | 3/4 = 0.75 | 3/4 = 0.75 | 0.75 |
# | 5 | 0.50 | no | 3 | 3/5 = 0.60 | 3/4 = 0.75 | 0.60 |
# | 6 | 0.30 | no | 3 | 3/6 = 0.50 | 3/4 = 0.75 | 0.50 |
#
# Precision jumps up and down as we walk. The **precision envelope** in the last column removes the dents: for each
# detection it takes the best precision from this row downwards. That is fair, because you are free
# to choose the threshold that gives the better pair. The average precision is the area below the envelope. Recall grows
# by 0.25 at the detections 1, 3 and 4, so
#
# $$\text{AP} = 0.25 \cdot 1.00 + 0.25 \cdot 0.75 + 0.25 \cdot 0.75 = 0.625.$$

# %%
is_right = np.array([1, 0, 1, 1, 0, 0])
num_objects = 4
precision = is_right.cumsum() / np.arange(1, 7)
recall = is_right.cumsum() / num_objects
envelope = np.maximum.accumulate(precision[::-1])[::-1]  # running maximum from the end
figures.precision_envelope(precision, recall, envelope, is_right)

# %% [markdown]
# The fourth object is never found. Recall therefore stops at 0.75, and the white strip on the right is lost whatever
# the precision. A perfect detector fills the whole square and has an AP of 1.
#
# The module computes the same area. It also has the older rule of VOC 2007, which takes the mean of the envelope at the
# eleven recalls 0, 0.1, 0.2 and so on up to 1: here three times 1.00, five times 0.75 and three times 0.

# %%
ranking = np.array([0.95, 0.90, 0.80, 0.70, 0.50, 0.30])
curve = yolo.PrecisionRecall(precision, recall, ranking, num_objects)
print(f"area {yolo.average_precision(curve):.3f}")
print(f"eleven recalls {yolo.average_precision_11(curve):.3f}")

# %% [markdown]
# ## How good is our detector?
#
# Now we evaluate all test images. For this we lower the threshold to 0.005, because average precision needs the whole
# ranked list. A detection with a low score comes at the end of the list. It cannot lower the precision of those before
# it, but it may still find an object.


# %%
def detect_all(annotations, size=image_size):
    """Detections of all images with the low threshold that evaluation needs."""
    detections = []
    for start in range(0, len(annotations), 16):  # few photos in memory at a time
        batch = annotations[start : start + 16]
        images = [yolo.read_image(annotation.image_path) for annotation in batch]
        detections += yolo.detect(
            network, images, anchors, yolo.EVALUATION_THRESHOLD, image_size=size
        )
    return detections


detections = detect_all(splits.test)
evaluation = yolo.evaluate_detections(splits.test, detections, len(classes))
print(f"{len(splits.test)} test images from the list {splits.test_name}")
print(f"mAP {evaluation.mean_average_precision:.2f} (area)")
print(f"mAP {evaluation.mean_average_precision_11:.2f} (eleven recalls)")

# %% [markdown]
# The **mean average precision** (mAP) is the mean of the AP over all classes that have objects in the test images. The
# two rules give nearly the same number on this data, but that need not be so. When you compare with a published number, check which rule
# it uses. We always use the area.
#
# The classes differ, and how they differ is as interesting as their mean. The pre-trained weights of chapter 3 had seen
# only some of the classes. Where this is known, the figure marks the others as new.


# %%
def seen_classes():
    """Names of the classes that the pre-trained weights have seen, None if unknown."""
    if settings.weights is None:
        return None
    description = settings.weights.with_suffix(".json")
    return yolo.read_json(description)["classes"] if description.exists() else None


ap = evaluation.average_precision
seen = seen_classes()
is_new = None if seen is None else np.array([name not in seen for name in classes])
counts = [curve.num_objects for curve in evaluation.curves]
title = f"AP from {np.nanmin(ap):.2f} to {np.nanmax(ap):.2f}, depending on the class"
figures.class_bars(
    classes, ap, counts, is_new, evaluation.mean_average_precision, title
)

# %%
if is_new is not None and is_new.any() and not is_new.all():
    print(f"mean AP of the seen classes {np.nanmean(ap[~is_new]):.2f}")
    print(f"mean AP of the new classes  {np.nanmean(ap[is_new]):.2f}")

# %% [markdown]
# The two means compare the classes that the pre-trained weights had seen with those that were new to them. Chapter 5
# made the same comparison with the validation images. If the two disagree, that is a warning: a mean over five classes
# and some fifty objects is not precise.
#
# The mean hides how far the classes lie apart. Read single bars with care: the number behind each name says how many
# test objects a bar rests on. With ten objects, a single one more or less moves the AP by about 0.1.
#
# ## What kinds of mistakes does it make?
#
# An mAP does not tell us what to work on. The six kinds of mistakes in the next figure do. They were proposed by Bolya
# and others under the name [TIDE](https://arxiv.org/abs/2008.08115).

# %%
figures.kinds_of_mistakes()

# %% [markdown]
# | kind | the detection | IoU with an object |
# |---|---|---|
# | class | has the wrong class | at least 0.5 |
# | localization | has the right class, but the box fits badly | from 0.1 to 0.5 |
# | both | has the wrong class, and the box fits badly | from 0.1 to 0.5 |
# | duplicate | reports an object that was found already | at least 0.5 |
# | background | is on no object | below 0.1 |
# | missed | (there is none) | the object was not reported, with a right or a wrong class |
#
# The code below walks through the detections of an image, the best one first, and gives each of them its kind. It first
# asks whether the detection is right, then which mistake it is.


# %%
def explain(annotation, found):
    """The kind of each detection, and the position of the object it belongs to."""
    objects = annotation.boxes - [1, 1, 0, 0]
    objects = np.append(objects, np.zeros((1, 4)), axis=0)  # so that there is one
    ious = yolo.iou_matrix(found.boxes, objects)
    labels = np.append(annotation.labels, -1)
    explained, taken = [], set()
    for i, label in enumerate(found.labels):
        same = np.where(labels == label, ious[i], 0)
        other = np.where(labels != label, ious[i], 0)
        if same.max() >= 0.5:
            best = int(same.argmax())
            kind = "duplicate" if best in taken else "right"
            kind = "ignored" if annotation.difficult[best] else kind
            taken.add(best)
        elif other.max() >= 0.5:
            kind, best = "class", int(other.argmax())
        elif same.max() >= 0.1:
            kind, best = "localization", int(same.argmax())
        elif other.max() >= 0.1:
            kind, best = "both", int(other.argmax())
        else:
            kind, best = "background", -1
        explained.append((kind, best))
    return explained


# %% [markdown]
# ## Which classes does it confuse?
#
# A **confusion matrix** counts, for the objects of each class, which class was reported. We count at the threshold of
# 0.25, where a user would look at the boxes. Two things can happen that have no class on one side, so there is one more
# row and one more column, called background:
#
# - The last *column* counts objects that no box was reported for: they are missed.
# - The last *row* counts boxes that belong to no object, or to an object that has its box already: they are false
#   positives.


# %%
def above(found, threshold):
    """The detections of an image whose confidence score is above a threshold."""
    keep = found.scores > threshold
    return yolo.Detections(found.boxes[keep], found.scores[keep], found.labels[keep])


background = len(classes)
confusion = np.zeros((len(classes) + 1, len(classes) + 1), int)
for annotation, found in zip(splits.test, detections):
    sure = above(found, yolo.DETECTION_THRESHOLD)
    explained = explain(annotation, sure)
    reports = [(*pair, label) for pair, label in zip(explained, sure.labels)]
    reports.sort(key=lambda report: report[0] != "right")  # right ones come first
    answered = set(np.flatnonzero(annotation.difficult))
    for kind, best, label in reports:
        if kind == "ignored":
            continue
        if kind in ("right", "class") and best not in answered:
            confusion[annotation.labels[best], label] += 1
            answered.add(best)
        else:
            confusion[background, label] += 1
    for i in set(range(len(annotation.labels))) - answered:
        confusion[annotation.labels[i], background] += 1

right, total = np.trace(confusion), confusion[:-1].sum()
title = f"{right} of {total} objects are found with the right class"
figures.confusion_table(confusion, classes, title)

# %%
swapped = confusion[:-1, :-1].copy()
np.fill_diagonal(swapped, 0)
for place in np.argsort(-swapped, axis=None, kind="stable")[:4]:
    true, reported = np.unravel_index(place, swapped.shape)
    if swapped[true, reported] > 0:
        count = swapped[true, reported]
        print(f"{classes[true]} reported as {classes[reported]}: {count}")
print(f"missed: {confusion[:-1, -1].sum()}")
print(f"false positives: {confusion[-1].sum()}")

# %% [markdown]
# Each row is a true class, and dark fields on the diagonal are what we want. A box that fits badly counts twice here: its
# object is missed, and the box itself is a false positive. The lines below the figure name the most
# frequent confusions. Compare their counts with the number of missed objects. This tells you whether the detector needs
# to tell classes apart better, or to find more objects in the first place.
#
# ## What does each kind of mistake cost?
#
# Counting mistakes does not say what they cost, because the mAP forgives a false positive with a low score and punishes
# one with a high score. TIDE measures the cost directly. Repair all mistakes of one kind, evaluate again, and see how
# much the mAP gains. A wrong class is corrected and a badly fitting box is moved onto its object, unless that object
# has been found already. Mistakes that cannot be corrected are removed. Missed objects are no longer asked for.


# %%
def repair(annotation, found, kinds):
    """An image as if the detector did not make mistakes of certain kinds."""
    explained = explain(annotation, found)
    boxes, labels = found.boxes.copy(), found.labels.copy()
    keep = np.ones(len(labels), bool)
    has_box = {best for kind, best in explained if kind == "right"}
    for i, (kind, best) in enumerate(explained):
        if kind not in kinds:
            continue
        keep[i] = kind in ("class", "localization") and best not in has_box
        if keep[i]:
            boxes[i] = annotation.boxes[best] - [1, 1, 0, 0]
            labels[i] = annotation.labels[best]
            has_box.add(best)

    difficult = annotation.difficult.copy()
    if "missed" in kinds:
        near = ("right", "duplicate", "ignored", "class", "localization")
        reached = [best for kind, best in explained if kind in near]
        difficult |= ~np.isin(np.arange(len(difficult)), reached)
    repaired = yolo.Detections(boxes[keep], found.scores[keep], labels[keep])
    return replace(annotation, difficult=difficult), repaired


# %%
def map_after_repair(kinds):
    """The mAP if there were no mistakes of these kinds."""
    pairs = [repair(*pair, kinds) for pair in zip(splits.test, detections)]
    annotations, repaired = zip(*pairs)
    better = yolo.evaluate_detections(annotations, repaired, len(classes))
    values = better.average_precision[~np.isnan(ap)]
    return np.nan_to_num(values, nan=1.0).mean()  # NaN: nothing is asked for any more


before = evaluation.mean_average_precision
KINDS = ("class", "localization", "both", "duplicate", "background", "missed")
gains = np.array([map_after_repair((kind,)) - before for kind in KINDS])
title = f"Most expensive kind of mistake: {KINDS[gains.argmax()]}"
figures.bars(KINDS, gains, title, "mAP that repairing this kind would add")

# %%
print(f"missing: {1 - before:.2f}")
print(f"sum of the six gains: {gains.sum():.2f}")
print(f"mAP after all repairs together: {map_after_repair(KINDS):.2f}")

# %% [markdown]
# The longest bar says what to work on next. A long bar for *class* asks for more training images of the classes that
# look alike. A long bar for *localization* asks for boxes that fit better, for example through larger images. Short
# bars for *duplicate* and *background* mean that suppression and the ranking by score do their work. A long bar for
# *missed* asks for more training, or for larger images if the missed objects are small.
#
# The gains do not add up to what is missing, and they should not. Each repair is measured alone, while all other
# mistakes stay. Suppose that a class suffers from two kinds: repairing one of them helps little as long as the other
# one spoils the ranking, and only both repairs together give the full score. The last printed line confirms that the
# six kinds leave nothing out, because all repairs together bring the mAP to 1. So read the bars as a ranking of what is
# worth repairing first, and not as shares of a whole.
#
# ## Which images went worst?
#
# Numbers do not show what went wrong, so let us look. We sort the test images by their F1 score at the threshold of
# 0.25. **F1** combines precision and recall: it is $2 R / (D + N)$ for $R$ right ones among $D$ detections and $N$
# objects, and it is 1 only if every object is found without a false positive.


# %%
def f1_of_image(annotation, found):
    """F1 score of one image. Difficult objects do not count."""
    kinds = [kind for kind, _ in explain(annotation, found)]
    num_detections = len(kinds) - kinds.count("ignored")
    num_objects = (~annotation.difficult).sum()
    if num_detections + num_objects == 0:
        return 1.0
    return 2 * kinds.count("right") / (num_detections + num_objects)


# %%
sure = [above(found, yolo.DETECTION_THRESHOLD) for found in detections]
f1_scores = [f1_of_image(*pair) for pair in zip(splits.test, sure)]
num_boxes = [len(annotation.labels) for annotation in splits.test]
worst = np.lexsort((-np.array(num_boxes), f1_scores))[:3]
worst_images = [splits.test[i] for i in worst]
worst_found = [sure[i] for i in worst]
explained = [explain(*pair) for pair in zip(worst_images, worst_found)]
title = "The three worst test images"
figures.truth_and_detections(worst_images, worst_found, explained, classes, title)

# %% [markdown]
# The upper row is what should have been found, and the lower row is what was reported. Dotted boxes are difficult
# objects, which do not count. The lines below each pair say what went wrong. Look for what the failures have in common.
# Detectors fail first on objects that hide each other, that are cut off by the border, that are small, or that stand in
# an unusual pose.
#
# ## Does the size of an object matter?
#
# Small objects are known to be hard for YOLOv2. A cell of the grid covers 32 x 32 pixels of the input, so a small object
# fills only a part of one cell, and several of them may have to share it. We measure
# the recall separately for three sizes. Their limits are those of the COCO data set: an object is small if its box
# covers less than 32 x 32 pixels of the photo, and large if it covers more than 96 x 96.

# %%
SIZES = ("small", "medium", "large")
found_by_size = {size: [] for size in SIZES}
for annotation, found in zip(splits.test, sure):
    explained = explain(annotation, found)
    found_objects = [best for kind, best in explained if kind == "right"]
    areas = yolo.box_areas(annotation.boxes - [1, 1, 0, 0])
    for i in np.flatnonzero(~annotation.difficult):
        size = SIZES[np.digitize(areas[i], (32**2, 96**2))]
        found_by_size[size].append(i in found_objects)

recalls = [np.mean(hits) if hits else np.nan for hits in found_by_size.values()]
texts = [f"{sum(hits)} of {len(hits)}" for hits in found_by_size.values()]
shares = [f"{size} {recall:.0%}" for size, recall in zip(SIZES, recalls)]
title = f"Objects found: {', '.join(shares)}"
figures.bars(SIZES, recalls, title, "recall", texts, limit=1.1)

# %% [markdown]
# The bars show the share of objects that are found with the right class and an IoU of at least 0.5. Small objects
# suffer twice. The network sees few pixels of them, and a shift of the box by a few pixels already brings the IoU below
# 0.5.
#
# ## Does a larger image help?
#
# The network has no layer that fixes the size of its input, so the same weights run on images of any multiple of 32
# pixels. A larger input means a finer grid and more pixels for each object. It also means more work: the time grows
# with the number of pixels, so 512 x 512 takes about one and a half times as long as 416 x 416. The anchors keep their
# size in grid units, as they did in training.
#
# If you want to choose a size by its mAP, use the *validation* images. If we chose with the test
# images, we would pick the size that suits them by chance, and the mAP that we report would be too good.

# %%
sizes = sorted({256, 320, image_size, 512, 608})
evaluations = {}
for size in sizes:
    found = detect_all(splits.validation, size)
    evaluations[size] = yolo.evaluate_detections(splits.validation, found, len(classes))
    value = evaluations[size].mean_average_precision
    print(f"{size} px: mAP {value:.2f}, {size**2 / 416**2:.1f} times the pixels")

# %%
maps = [evaluations[size].mean_average_precision for size in sizes]
figures.map_by_image_size(sizes, maps, settings.train_sizes)

# %% [markdown]
# With more pixels the network finds more, but only up to a point. Beyond the sizes that it was trained with, the mAP
# falls again, because objects then cover more cells than they usually did in training. Below them, small objects have
# too few pixels left. Inside the range you can trade accuracy for time without training again, and this is what
# multi-scale training is for.
#
# ## Which threshold should I use?
#
# The mAP looks at all thresholds, but a user has to choose one. A common choice is the threshold with the highest F1
# score, counted over all classes together. This too is a choice, so we make it with the validation images.


# %%
def f1_curve(evaluation):
    """Thresholds, and precision, recall and F1 of all classes together at each."""
    hits = []
    for curve in evaluation.curves:
        right = np.rint(curve.precision * np.arange(1, len(curve.precision) + 1))
        hits.append(np.diff(right, prepend=0))
    thresholds = np.concatenate([curve.scores for curve in evaluation.curves])
    order = np.argsort(-thresholds, kind="stable")
    right = np.concatenate(hits)[order].cumsum()
    reported = np.arange(1, len(right) + 1)
    num_objects = sum(curve.num_objects for curve in evaluation.curves)
    f1 = 2 * right / (reported + num_objects)
    return thresholds[order], right / reported, right / num_objects, f1


def f1_at(evaluation, threshold):
    """F1 score of all detections with at least this confidence score."""
    thresholds, _, _, f1 = f1_curve(evaluation)
    reported = (thresholds >= threshold).sum()
    return f1[reported - 1] if reported else 0.0


thresholds, precision, recall, f1 = f1_curve(evaluations[image_size])
best_threshold = thresholds[f1.argmax()] if len(f1) else yolo.DETECTION_THRESHOLD

# %%
lines = {"precision": precision, "recall": recall, "F1": f1}
figures.threshold_curves(thresholds, lines, best_threshold)

# %%
for threshold in (yolo.DETECTION_THRESHOLD, best_threshold):
    on_validation = f1_at(evaluations[image_size], threshold)
    on_test = f1_at(evaluation, threshold)
    print(f"{threshold:.2f}: F1 {on_validation:.2f} validation, {on_test:.2f} test")

# %% [markdown]
# From left to right, recall falls and precision rises. At the far right only a few detections are left, so single ones
# make the precision jump. F1 has a broad top, so the exact threshold matters little. If a missed object costs you more
# than a false alarm, go to the left of the top. In the opposite case, go to the right.
#
# It is good practice to write down which images were used for what:
#
# | what | decided with |
# |---|---|
# | weights, anchors | training images |
# | best epoch; image size and threshold, if you change them | validation images |
# | IoU 0.45 and 0.5, thresholds 0.25 and 0.005 | conventions of Darknet and Pascal VOC |
# | the mAP that we report | test images, measured once |
#
# We looked at the mistakes on the test images as well. That is fine for understanding. But if you change the detector
# because of what you saw there, these images have become validation images, and an honest number needs new ones.
#
# ## How do I run it on my own photos and videos?
#
# A script in the repository does what this chapter did, for photos, folders of photos, videos and cameras. The second
# line tries it on a short video that the repository carries:
#
# ```
# python notebooks/scripts/detect.py holiday.jpg
# python notebooks/scripts/detect.py data/mini_voc/video/street.mp4
# ```
#
# In code, three lines are enough:
#
# ```python
# network, anchors, classes, image_size = yolo.load_detector("yolov2.json")
# photo = yolo.read_image("holiday.jpg")
# found = yolo.detect(network, photo, anchors, image_size=image_size)
# ```
#
# A video is a sequence of photos, and YOLO treats each frame on its own. The small detector of this repository was
# trained on rendered images, so do not expect much of it on real photos.
#
# > **Pitfall.** Phones often store a photo lying on its side, with a note in the file (its EXIF tag) how to turn it.
# > Image viewers follow the note and many programs do not, so the network gets to see people lying down. `read_image`
# > turns the photo upright.
#
# ## Save the result

# %%
values = {
    name: round(float(value), 4)
    for name, value in zip(classes, ap)
    if not np.isnan(value)
}
result = {
    "map": round(float(np.nan_to_num(evaluation.mean_average_precision)), 4),
    "average_precision": values,
    "split": splits.test_name,
    "detections": "detections.jpg",
    "data": data,
}
yolo.write_json(settings.artifacts / "results.json", result)
print("written: results.json and detections.jpg")

# %% [markdown]
# ## Key points
#
# - A prediction becomes a box with two sigmoids and two exponentials: its cell gives the centre, and its anchor gives
#   the size.
# - The confidence score is objectness times class probability. Class probabilities mean nothing where the objectness is
#   low.
# - Suppression keeps the best of several overlapping boxes of one class. It cannot tell a duplicate from a second
#   object that stands close.
# - Boxes stay fractions of the image until the end. Then they are scaled to the photo's own pixels.
# - Average precision is the area below the precision envelope, and the mAP is its mean over the classes.
# - The mAP says how good a detector is. The confusion matrix, the cost of each kind of mistake and the worst images say
#   what to work on.
# - Choose with validation images, and measure once with test images.
#
# ## Where to go from here
#
# You have built a complete detector. Here are three ways to go on. [README](../README.md) has the commands for the
# first two.
#
# - Train on your own images and classes. They need Pascal VOC's folders, and a `classes.txt` with the names.
# - Train the full network on the real Pascal VOC, starting from the weights of the paper's authors.
# - Read about later detectors. YOLOv3 predicts on three grids of different fineness, which helps small objects. DETR
#   learns not to report duplicates, so it needs no suppression. You know now which problem each of them solves.
