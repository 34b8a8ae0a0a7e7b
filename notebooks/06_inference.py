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
# **Time:** reading 68 min (from "What kinds of mistakes does it make?" on, it may wait), exercises 40 min, running 1
# min on two CPU cores.
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
from collections import Counter

import cv2
import figures
import matplotlib.pyplot as plt
import mistakes
import numpy as np

import yolo_helpers as yolo

import keras  # isort: skip

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
# training and not used for choosing an epoch. Only such images say how well the network will do on new images of the
# same kind. Ours are rendered, so the numbers of this chapter hold for new rendered images, and not for photos of
# your own.

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
# Let us decode a single prediction by hand, the one with the highest objectness. Chapter 2 derived the formulas. With
# the corner $(c_x, c_y)$ of the cell and the size $(a_w, a_h)$ of the anchor, the box in grid units is
#
# $$b_x = c_x + \sigma(t_x), \qquad b_y = c_y + \sigma(t_y), \qquad b_w = a_w\, e^{t_w}, \qquad b_h = a_h\, e^{t_h}.$$
#
# Dividing all four by the number of cells along a side gives fractions of the image. The sigmoid $\sigma$ keeps the
# centre inside its own cell. The exponential is 1 when the raw value is 0, so a raw value of 0 means "exactly as large
# as the anchor".

# %%
place = np.unravel_index(raw[..., 4].argmax(), raw.shape[:3])
row, column, anchor = (int(index) for index in place)
tx, ty, tw, th = raw[place][:4]
grid_size = len(raw)

x = (column + yolo.sigmoid(tx)) / grid_size  # fractions of the image
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
# Their product is the **confidence score**: objectness times the probability of the most probable class. Here it is for
# the prediction that we have just decoded. (The box with the highest objectness need not have the highest score.)

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
# The most probable class need not be the right one. In the stored run it is: the standing cow is called a cow, and
# the horse comes second.
#
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
# The class probabilities in the middle are far above 1/20 almost everywhere, even on grass and sky. That is no error: a
# softmax has to give its probabilities to some class, and the loss of chapter 4 never asks for classes where there is
# no object. These values mean nothing without the objectness. The product on the right keeps what both agree on.
#
# > **Pitfall.** Before a softmax, programs subtract the largest raw class value, so that the exponential cannot overflow.
# > This changes nothing. Some programs that re-implement YOLOv2 then also rescale: if the smallest raw class value of the
# > whole image is below -100, for example -200, they multiply all of them by a factor that makes it -100, here one half.
# > A class that led the next one by 4 now leads by 2, so its probability falls, by another amount in every image, and the
# > scores of two images can no longer be compared.
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
# Most of the 676 predictions are gone at any of these thresholds. The higher the threshold, the closer the remaining
# boxes gather on the objects, often with several on one. The usual threshold for showing detections is 0.25. We use
# it everywhere except for the average precision, and after the average precision we compare it with other thresholds.
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

# %% tags=["slide"]
chosen = scores > yolo.DETECTION_THRESHOLD
few_boxes = boxes[chosen]
few_scores, few_labels = scores[chosen], labels[chosen]
steps = suppress(few_boxes, few_scores, few_labels)
figures.suppression_steps(photo, few_boxes, few_scores, few_labels, classes, steps)
found_names = sorted(classes[few_labels[best]] for best, _ in steps)
true_names = sorted(classes[label] for label in example.labels)
print("stays:   ", ", ".join(found_names) or "nothing")
print("there is:", ", ".join(true_names))

# %% [markdown]
# In each step the thick green box is kept, the dashed red boxes are suppressed as its duplicates, and the pale boxes
# have to wait. The thin green boxes were kept in an earlier step. The last picture shows what stays. Compare the two
# printed lines. In the stored run all three objects are found, and one box too many stays, the small cow inside the
# large one. In general, an object is missing if all its boxes are below the threshold, have a wrong class, fit badly,
# or are suppressed by a neighbour of the same class (next section). If a wrong box stays, it overlaps no kept box of
# its own class by more than 0.45, so suppression has no reason to take it for a duplicate. A higher threshold for the
# confidence score would remove it. So would a lower IoU threshold, which would also suppress more real neighbours.
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
# count how often without any network: we give the ground truth to the suppression, as if a detector had found every
# object perfectly, and see what is suppressed.


# %%
def lost(annotation, labels):
    """Positions of ground truth boxes that suppression would remove."""
    boxes = yolo.box_fractions(annotation)
    kept = yolo.non_max_suppression(
        boxes, np.ones(len(boxes)), labels, yolo.NMS_THRESHOLD
    )
    return np.setdiff1d(np.arange(len(boxes)), kept)


num_objects = sum(len(a.labels) for a in splits.test)  # difficult ones included
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
# boxes would lose it. (A real detector may report both, if its boxes fit less well and overlap less.) Few objects are
# lost here, because few objects of one class stand that close together. In photos of crowds and flocks it happens
# much more often.
#
# The second number is the reason why step 2 compares the classes. A person may fill most of the box of a bicycle, and
# without this condition one of the two would be lost. In our images, ignoring the classes would cost only one more
# object. Comparing them has a price too: an object that is reported as two classes keeps both boxes. We follow
# Darknet and compare.
#
# ## From photo to detections in one picture
#
# `detect` does all of these steps: it resizes the photo, runs the network, decodes, applies the threshold, suppresses
# duplicates and scales the boxes back to the photo. The figure shows the whole way for our test image, from left to
# right.


# %% tags=["slide"]
def strip(annotation):
    """Photo, objectness, boxes above the threshold, and detections of one image."""
    photo = yolo.read_image(annotation.image_path)
    decoded = yolo.decode_predictions(raw_output(photo)[None], anchors)
    scores = decoded.objectness[0] * decoded.class_probabilities[0].max(axis=-1)
    candidates = decoded.boxes[0][scores > yolo.DETECTION_THRESHOLD].clip(0, 1)
    found = yolo.detect(network, photo, anchors, image_size=image_size)
    return photo, decoded.objectness[0].max(axis=-1), candidates, found


figures.detection_strips([strip(unseen)], classes)

# %% [markdown]
# The network was never trained on this image. Compare the last picture with the ground truth at the start of the
# chapter. In the stored run the cat is found, but the whole sofa is called a cat as well, and the box that is called
# sofa covers only a part of the backrest. Sofas are among the five classes that the weights of chapter 3 had not
# seen, which may be one reason.
#
# The cat lies almost inside the true box of the sofa. Even a detected sofa could not suppress it, because they are of
# different classes. Their IoU is only 0.08 anyway, because the IoU of a small box and a large box around it is small.
#
# ## Where are the boxes in my photo?
#
# The network always sees a square, but most photos are not square. We stretch the photo, so that width and height are
# scaled by different factors. The boxes are fractions of the image until the last moment, and fractions do not change
# when an image is stretched. To return to the photo, we multiply by its own width and height. Here is the photo that is
# stretched most, of those test images in which something is detected:

# %%
for annotation in sorted(splits.test, key=lambda a: -abs(np.log(a.width / a.height))):
    image = yolo.read_image(annotation.image_path)
    found = yolo.detect(network, image, anchors, image_size=image_size)
    if len(found.boxes):
        break
square = cv2.resize(image, (image_size, image_size))
image_sides = [annotation.width, annotation.height] * 2
fractions = found.boxes / image_sides

_, axes = plt.subplots(1, 2, figsize=(8, 4.6))
figures.show_detections(axes[0], square, fractions * image_size, found.labels, classes)
axes[0].set_title(f"The network sees {image_size} x {image_size} pixels")
figures.show_detections(axes[1], image, found.boxes, found.labels, classes)
axes[1].set_title(f"The photo has {annotation.width} x {annotation.height}")
plt.show()

# %% [markdown]
# Both pictures show the same boxes. The network copes with the stretched shapes because it was trained on such images.
# Some other detectors add grey borders instead, which keeps the shapes and wastes part of the input.
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
# Compare the two lines of each image. In the stored run, the bus, the cars and most of the furniture are found. Look
# at the boxes as well as at the names: in the fifth image two chairs are listed, but both boxes are on the right, and
# the dark chair and the plant are missed. Some animals go wrong: the black and white cow is called a cat, and in the
# last image only one of two horses is reported. (It is the image of the section on suppression, in which even perfect
# boxes would lose one of them.) There, three persons are reported instead of one. Six images are enough for an
# impression, but not for a judgement. For that we need a number.
#
# This picture also opens the book, as the first figure of chapter 1, so we save it.

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
# - For each detection, look for the object of its class, in its image, that it overlaps most. The detection is right, a **true positive**, if this IoU is at least 0.5 and no earlier detection has taken the
#   object. A right detection takes its object. Otherwise the detection is a **false positive**.
# - An object that no detection has taken in the end is a **false negative**.
# - Objects marked *difficult* (hard to recognise even for people, chapter 1) do not count. A detection of such an object
#   is neither right nor wrong.
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
# detection it takes the best precision from this row downwards. That is fair: nobody would stop at detection 3
# (precision 0.67, recall 0.50) if going on to detection 4 gives more of both (0.75 and 0.75). The average precision
# is the area below the envelope. Recall grows by 0.25 at the detections 1, 3 and 4, so
#
# $$\text{AP} = 0.25 \cdot 1.00 + 0.25 \cdot 0.75 + 0.25 \cdot 0.75 = 0.625.$$

# %% tags=["slide"]
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
# Precision drawn against recall is called the *precision-recall curve*. The module computes the same area below its
# envelope. It also has the older rule of VOC 2007, which takes the mean of the envelope at the eleven recalls 0, 0.1,
# 0.2 and so on up to 1. In the figure, the envelope is 1 at three of them, 0.75 at five, and counts as 0 at the last
# three, where nothing is found: (3 · 1.00 + 5 · 0.75) / 11 = 0.614.

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
# The **mean average precision** (mAP) is the mean of the AP over all classes that have objects in the test images.
# The two rules give nearly the same number on this data, but that need not be so. When you compare with a published
# number, check which rule it uses. We always use the area.
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
# made the same comparison with the validation images. If the test images and the validation images disagree about how
# far the groups are apart, do not be surprised: a mean over five classes and about sixty objects is not precise, and
# a single class moves it a lot. In the stored run, the new classes have a mean of 0.68 without their worst one
# (bird). But the seen classes have 0.68 as well without theirs (cat).
#
# The mean hides how far the classes lie apart. Read single bars with care: the number behind each name says how many
# test objects a bar rests on. With ten objects, a single one more or less moves the AP by about 0.1.
#
# ## Which threshold should I use?
#
# The mAP looks at all thresholds, but a user has to choose one. A common choice is the threshold with the highest F1
# score. **F1** combines precision and recall in one number: it is $2 R / (D + N)$ for $R$ right ones among $D$
# detections and $N$ objects, and it is 1 only if every object is found without a false positive. We count all classes
# together.
#
# A threshold is a choice, so we make it with the *validation* images. If we chose with the test images, we would pick
# what suits them by chance, and the numbers that we report would be too good.

# %%
validation = yolo.evaluate_detections(
    splits.validation, detect_all(splits.validation), len(classes)
)
thresholds, precision, recall, f1 = mistakes.f1_curve(validation)
best_threshold = thresholds[f1.argmax()] if len(f1) else yolo.DETECTION_THRESHOLD

lines = {"precision": precision, "recall": recall, "F1": f1}
figures.threshold_curves(thresholds, lines, best_threshold)

# %%
for threshold in (yolo.DETECTION_THRESHOLD, best_threshold):
    on_validation = mistakes.f1_at(validation, threshold)
    on_test = mistakes.f1_at(evaluation, threshold)
    print(f"{threshold:.2f}: F1 {on_validation:.2f} validation, {on_test:.2f} test")

# %% [markdown]
# The curves are those of the validation images. From left to right, recall falls and precision rises. Towards the
# right fewer detections are left, so single ones make the precision jump. F1 has a broad top, so the exact threshold
# matters little: on the validation images, 0.25 and the best threshold are nearly equal. For this reason we stay with
# the conventional 0.25, which makes pictures comparable. (The test column only shows that such small differences are
# chance.) On your own data, take the one that your validation images choose. If a missed object costs you more than a
# false alarm, go to the left of the top. In the opposite case, go to the right.
#
# The detector is finished and measured now. The sections that follow look for its weaknesses, and you can read them
# another day. How to run it on your own photos is explained at the end of the chapter.
#
# ## What kinds of mistakes does it make?
#
# An mAP does not tell us what to work on. The six kinds of mistakes in the next figure do. They were proposed by Bolya
# and others under the name [TIDE](https://arxiv.org/abs/2008.08115).

# %% tags=["slide"]
figures.kinds_of_mistakes()

# %% [markdown]
# | kind | what happened | IoU with an object |
# |---|---|---|
# | class | the detection has the wrong class | at least 0.5 |
# | localization | the class is right, but the box fits badly | from 0.1 to 0.5 |
# | both | the class is wrong, and the box fits badly | from 0.1 to 0.5 |
# | duplicate | the object was found already | at least 0.5 |
# | background | the detection is on no object | below 0.1 |
# | missed | no detection is right about the object's box or about its class: at most, there is a *both* | |
#
# `mistakes.explain` walks through the detections of an image, the best one first, and gives each of them its kind. It
# first asks whether the detection is right, then which mistake it is. The code is in [mistakes.py](mistakes.py),
# because it is longer than the idea. Here is what it says about our test image.

# %%
sure = [mistakes.above(found, yolo.DETECTION_THRESHOLD) for found in detections]
names = [annotation.filename for annotation in splits.test]
number = names.index(unseen.filename)
explained = mistakes.explain(unseen, sure[number])  # (kind, object) per detection
for (kind, _), label in zip(explained, sure[number].labels):
    print(f"{classes[label]:12s} detection: {kind}")
found_objects = [best for kind, best in explained if kind == "right"]
for i, label in enumerate(unseen.labels):
    if i not in found_objects:
        print(f"{classes[label]:12s} object: not found with its class")

# %% [markdown]
# ## Which classes does it confuse?
#
# A **confusion matrix** counts, for the objects of each class, which class was reported. We count at the threshold of
# 0.25, where a user would look at the boxes. An object may have no detection, and a detection may have no object. So
# there is one more column and one more row (objects marked difficult are not counted):
#
# - *Not found* counts objects for which no well-fitting box was reported, of whatever class. This is wider than *missed*
#   above, because an object with a badly fitting box is not missed.
# - *No new object* counts boxes that belong to no object, fit badly, or report an object a second time.

# %%
confusion = mistakes.confusion_matrix(splits.test, sure, len(classes))
right, total = np.trace(confusion), confusion[:-1].sum()
title = f"{right} of {total} objects are found with the right class"
figures.confusion_table(confusion, classes, title)

# %%
not_found = confusion[:-1, -1].sum()
print(f"found with the right class: {right}")
print(f"found with a wrong class:   {total - right - not_found}")
print(f"not found:                  {not_found}")
print(f"boxes on no new object:     {confusion[-1].sum()}")

# %% [markdown]
# Each row is a true class. The number says how many, and the colour is the share of the row. Dark fields on the
# diagonal are what we want. A box that fits badly counts twice if no other box finds its object: the object is not
# found, and the box itself is on no new object. At this threshold, a class that is mistaken for another one is rare
# (13 objects), and objects that are not found are many (129). Most of the 13 are taken for a cat.
#
# ## What does each kind of mistake cost?
#
# Counting mistakes does not say what they cost, because the mAP forgives a false positive with a low score and punishes
# one with a high score. TIDE measures the cost directly: repair all mistakes of one kind, evaluate again, and see how
# much the mAP gains.
#
# | kind | how it is repaired |
# |---|---|
# | class | the detection gets the right class, unless the object has been found already; then it is removed |
# | localization | the box moves onto its object, unless that has been found already; then it is removed |
# | both, duplicate, background | the detection is removed |
# | missed | the object is no longer asked for (to add a detection, we would have to invent its score) |

# %%
before = evaluation.mean_average_precision
gains = []
for kind in mistakes.KINDS:
    after = mistakes.map_after_repair(splits.test, detections, len(classes), [kind])
    gains.append(after - before)
title = f"Most expensive kind of mistake: {mistakes.KINDS[np.argmax(gains)]}"
figures.bars(mistakes.KINDS, gains, title, "mAP that repairing this kind would add")

# %%
all_kinds = mistakes.KINDS
together = mistakes.map_after_repair(splits.test, detections, len(classes), all_kinds)
print(f"missing: {1 - before:.2f}")
print(f"sum of the six gains: {sum(gains):.2f}")
print(f"mAP after all repairs together: {together:.2f}")

# %%
kinds_of_lost = []
for annotation, found in zip(splits.test, detections):
    confident = mistakes.explain(annotation, mistakes.above(found, 0.25))
    reported = {i for kind, i in confident if kind in ("right", "class")}
    all_explained = mistakes.explain(annotation, found)
    for i in set(np.flatnonzero(~annotation.difficult)) - reported:
        kinds = {kind for kind, best in all_explained if best == i}
        ranked = [kind for kind in ("right", *mistakes.KINDS) if kind in kinds]
        kinds_of_lost.append(ranked[0] if ranked else "no box")
print("best box above 0.005 for the objects not found above 0.25:")
for kind, count in Counter(kinds_of_lost).most_common():
    print(f"  {kind:<13} {count}")

# %% [markdown]
# The longest bar says what to work on next. In the stored run it is *localization*, before *class*. A long bar for
# *class* asks for more training images of the classes that look alike. A long bar for *localization* asks for boxes
# that fit better, for example through longer training, or through training with larger images. Short bars for *both*,
# *duplicate* and *background* mean that suppression and the ranking by score do their work. A long bar for *missed*
# asks for more training, or for training with larger images if the missed objects are small.
#
# Does this contradict the confusion matrix, where so many objects were not found? No. The matrix looks at the boxes
# above 0.25, and this figure at all boxes above 0.005. The last lines say what became of the 129 objects. For 71 of
# them there is a right detection with a low score, which the mAP counts at its place in the list. For 45 more there
# is a box that fits badly or has a wrong class. Only 13 are *missed*: there is no box at all, or only one with both
# mistakes.
#
# The gains do not add up to what is missing, and they should not. Take a class with two objects. One is found with a
# score of 0.6, the other is missed, and a box on the background has a score of 0.9. The AP is 0.25. It would be 0.5
# without the box on the background, and also 0.5 without the missed object, so both gains are 0.25. Only both repairs
# together give an AP of 1, because each mistake limits what the other repair can bring. The mAP of 1.00 after all
# repairs confirms that the six kinds leave nothing out. So read the bars as a ranking of what is worth repairing
# first, and not as shares of a whole.
#
# ## Which images went worst?
#
# Numbers do not show what went wrong, so let us look. We sort the test images by their own F1 score at the threshold of
# 0.25. Among equally bad ones, those with the most objects come first.

# %%
f1_scores = [mistakes.f1_score(*pair) for pair in zip(splits.test, sure)]
num_boxes = [len(annotation.labels) for annotation in splits.test]
worst = np.lexsort((-np.array(num_boxes), f1_scores))[:3]
worst_images = [splits.test[i] for i in worst]
worst_found = [sure[i] for i in worst]
explained = [mistakes.explain(*pair) for pair in zip(worst_images, worst_found)]
title = "The three worst test images"
figures.truth_and_detections(worst_images, worst_found, explained, classes, title)

# %% [markdown]
# The upper row is what should have been found, and the lower row is what was reported. Dotted boxes are difficult
# objects, which do not count. The lines below each pair count the objects found and name the wrong boxes. In the
# stored run these are a small sofa with two cats on it, three cows of which none is found, and three water birds. On
# the sofa there is a single box, which is called a dining table. One duck is taken for a cat, the other for a cat and
# for a dog, and the white bird has no box. (Objects without any box are not listed.) Objects that hide each other,
# that are cut off by the border, that are small, or that stand in an unusual pose are typical. But some failures are
# large and stand free, and then a likely reason is that the detector has seen too few objects of that kind.
#
# ## Does the size of an object matter?
#
# Small objects are known to be hard for YOLOv2. We measure the recall separately for three sizes. Their limits are
# those of the COCO data set: an object is small if its box covers less than 32 x 32 pixels of the photo, and large if
# it covers more than 96 x 96. (That a cell has 32 pixels too is chance.)

# %%
SIZES = ("small", "medium", "large")
found_by_size = {size: [] for size in SIZES}
for annotation, found in zip(splits.test, sure):
    explained = mistakes.explain(annotation, found)
    found_objects = [best for kind, best in explained if kind == "right"]
    areas = yolo.box_areas(mistakes.boxes_from_zero(annotation))
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
# with the number of pixels. The anchors keep their size in grid units, as they did in training. So in a larger image,
# an anchor covers a smaller part of the picture. We try it with the validation images, because the image size is a
# choice as well.

# %%
evaluations = {image_size: validation}
for size in {224, 320, 416, 512, 608} - {image_size}:
    found = detect_all(splits.validation, size)
    evaluations[size] = yolo.evaluate_detections(splits.validation, found, len(classes))
sizes = sorted(evaluations)
maps = [evaluations[size].mean_average_precision for size in sizes]
for size, value in zip(sizes, maps):
    print(f"{size} px: mAP {value:.2f}, {size**2 / 416**2:.1f} times the pixels of 416")

# %%
figures.map_by_image_size(sizes, maps, settings.train_sizes)

# %% [markdown]
# The curve has a top and falls on both sides. In smaller images, small objects have few pixels left. In much larger
# ones, objects cover more cells than they usually did in training. And the running averages of batch normalization come
# from images of 416 pixels (chapter 5), so every other size, smaller or larger, fits them less well. Let us check
# this for one layer in the middle of the network. The same six photos enter it in three sizes, and we compare how
# much the values of its channels vary.

# %%
up_to_conv_8 = keras.Model(network.input, network.get_layer("conv_8").output)
for size in (224, 416, 608):
    squares = [cv2.resize(photo, (size, size)) for photo in photos]
    values = up_to_conv_8.predict(np.stack(squares) / np.float32(255), verbose=0)
    deviation = values.std(axis=(0, 1, 2))  # of each channel
    print(f"{size} px: standard deviation {np.median(deviation):.2f} (median channel)")

# %% [markdown]
# Batch normalization divides by a standard deviation that it has stored for images of 416 pixels. At 224 pixels the
# values vary 1.3 times as much, because everything lies closer together and a kernel sees more edges. At 608 pixels
# they vary 0.8 times as much.
#
# One caution about the curve: the best epoch was chosen with these same images at 416 pixels, which favours that size
# a little. We stay with 416 pixels, as in the series.
#
# It is good practice to write down which images were used for what:
#
# | what | decided with |
# |---|---|
# | weights, anchors | training images |
# | best epoch, image size, and the threshold on your own data | validation images |
# | IoU 0.45 and 0.5, thresholds 0.25 and 0.005 | conventions of Darknet and Pascal VOC |
# | the mAP that we report | test images, which decided nothing |
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
# ## Exercises
#
# Each exercise has a starter cell for you to complete, a folded solution, and a check cell that tells you whether your
# answer is right. To try an exercise yourself here, complete the starter cell, skip the folded solution and run the
# check. The check cells are folded as well, because they contain the answers: run them without opening them. The
# student edition (`make workshop`) leaves the solutions out. The exercises need only the first two code cells of this
# chapter and the next cell, so you can do them without running the rest.


# %% tags=["exercise-setup"]
HAND_XMIN = (55, 0, 25, 10, 60, 85)  # of six boxes of 100 x 100 pixels in a row
HAND_BOXES = np.array([[xmin, 0, xmin + 100, 100] for xmin in HAND_XMIN])
HAND_SCORES = np.array([0.60, 0.90, 0.75, 0.85, 0.30, 0.40])
HAND_LABELS = np.array([0, 0, 0, 1, 1, 0])  # 0 is a dog, 1 is a cat

# Eighteen detections of one class, the highest score first, and eight objects.
SCORES = np.array([0.96, 0.93, 0.88, 0.81, 0.74, 0.62, 0.47, 0.43, 0.38])
SCORES = np.append(SCORES, [0.31, 0.22, 0.19, 0.16, 0.14, 0.12, 0.11, 0.09, 0.07])
IS_RIGHT = np.array([1, 1, 1, 0, 1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], bool)
NUM_OBJECTS = 8
THRESHOLDS = (0.05, 0.25, 0.50, 0.70, 0.90)


def measure(threshold):
    """Precision, recall, F1 and AP of the detections with a score above a threshold."""
    hits = IS_RIGHT[SCORES > threshold]
    reported = np.arange(1, len(hits) + 1)
    precision, recall = hits.cumsum() / reported, hits.cumsum() / NUM_OBJECTS
    f1 = 2 * hits.sum() / (len(hits) + NUM_OBJECTS)
    curve = yolo.PrecisionRecall(
        precision, recall, SCORES[SCORES > threshold], NUM_OBJECTS
    )
    return precision[-1], recall[-1], f1, yolo.average_precision(curve)


# %% [markdown]
# ### Exercise 6.1: Suppression by hand (5 minutes)
#
# Suppression is three short rules, but it is easy to expect something else from them. Predict what they do with these
# six boxes, which all lie above the score threshold. Use the rules of this chapter, with an IoU threshold of 0.45.
#
# | box | 0 | 1 | 2 | 3 | 4 | 5 |
# |---|---|---|---|---|---|---|
# | class | dog | dog | dog | cat | cat | dog |
# | confidence score | 0.60 | 0.90 | 0.75 | 0.85 | 0.30 | 0.40 |
#
# And these are their IoUs:
#
# | IoU with box | 0 | 1 | 2 | 3 | 4 | 5 |
# |---|---|---|---|---|---|---|
# | **0** | 1 | 0.29 | 0.54 | 0.38 | 0.90 | 0.54 |
# | **1** | 0.29 | 1 | 0.60 | 0.82 | 0.25 | 0.08 |
# | **2** | 0.54 | 0.60 | 1 | 0.74 | 0.48 | 0.25 |
# | **3** | 0.38 | 0.82 | 0.74 | 1 | 0.33 | 0.14 |
# | **4** | 0.90 | 0.25 | 0.48 | 0.33 | 1 | 0.60 |
# | **5** | 0.54 | 0.08 | 0.25 | 0.14 | 0.60 | 1 |
#
# Hand in the numbers of the kept boxes as a list, in the order in which they are kept.

# %% tags=["starter"]
kept_boxes = None  # for example [4, 2]

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
# 1. Box 1 has the highest score and is kept. It suppresses box 2, a dog with an IoU of
#    0.60. Box 3 overlaps it even more, but is a cat.
# 2. Box 3 is kept. Its IoU with box 4, the other cat, is only 0.33.
# 3. Box 2 is gone, so it cannot suppress anything. Box 0 is kept: its IoU with box 1 is
#    0.29. It suppresses box 5, a dog with an IoU of 0.54.
# 4. Box 4 is kept. It overlaps box 0 a lot, but box 0 is a dog.
kept_boxes = [1, 3, 0, 4]

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
assert kept_boxes is not None, "kept_boxes is still empty"
gone = "box 2 overlaps box 0, but it has been suppressed before box 0 has its turn. "
gone += "Only boxes that are kept suppress others"
hints = {
    (1, 0): "a cat cannot suppress a dog, nor a dog a cat: compare the classes first",
    (1, 3): gone,
    (1, 3, 4): gone,
    (1, 3, 5, 4): gone,
    (1, 3, 0, 5, 4): "box 5 overlaps box 0, which is a dog like box 5 and is kept",
    (1, 3, 0): "box 4 overlaps box 0 a lot, but box 0 is of the other class",
}
answer = tuple(kept_boxes)
hint = "start with the highest score, cross out the boxes of its class with an IoU "
hint += "above 0.45, and go on with the highest score that is left"
expected = yolo.non_max_suppression(HAND_BOXES, HAND_SCORES, HAND_LABELS, 0.45)
expected = tuple(expected.tolist())
if sorted(answer) == sorted(expected):
    hint = "these boxes are right, but list them in the order of their scores"
assert answer == expected, hints.get(answer, hint)
print("Exercise 6.1 is right: box 0 is only kept because box 2, which overlaps it, has")
print("been suppressed before. What stays depends on the order, not on pairs alone.")

# %% [markdown]
# ### Exercise 6.2: An average precision by hand (10 minutes)
#
# Whoever has computed one average precision by hand can read every mAP. There are **five objects** of a class in the
# test set, and the detector reports eight boxes. Here they are, from the highest score down:
#
# | detection | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |
# |---|---|---|---|---|---|---|---|---|
# | right? | yes | no | no | yes | yes | no | no | yes |
#
# Take a sheet of paper and make the same table as in the chapter: precision, recall, envelope. Hand in the eight values
# of the envelope and the average precision (the area, not the eleven recalls). Two decimals are enough.

# %% tags=["starter"]
my_envelope = None  # a list of eight numbers
my_ap = None  # one number

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
hits = np.array([1, 0, 0, 1, 1, 0, 0, 1])
my_precision = hits.cumsum() / np.arange(1, 9)
print("precision", my_precision.round(2))
# For each row, the best precision from this row downwards:
my_envelope = [1.00, 0.60, 0.60, 0.60, 0.60, 0.50, 0.50, 0.50]
# Recall grows by 1/5 at each of the detections 1, 4, 5 and 8. The fifth object is never
# found, so the last fifth of the square stays empty.
my_ap = 0.2 * 1.00 + 0.2 * 0.60 + 0.2 * 0.60 + 0.2 * 0.50

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
assert my_envelope is not None, "my_envelope is still empty"
assert my_ap is not None, "my_ap is still empty"
assert len(my_envelope) == 8, "my_envelope needs one value for each of the 8 detections"
precision = [1, 0.5, 0.33, 0.5, 0.6, 0.5, 0.43, 0.5]
hint = "this is the precision. Its envelope has no dents: take the best precision from "
hint += "each row downwards"
assert not np.allclose(my_envelope, precision, atol=0.006), hint
hint = "the envelope starts from the wrong end: look from each row downwards"
assert not np.allclose(my_envelope, 1, atol=0.006), hint
hint = "my_envelope is not right yet: check the precision first, which is the number "
hint += "of right ones so far, divided by the number of the row"
assert np.allclose(my_envelope, [1, *[0.6] * 4, *[0.5] * 3], atol=0.006), hint
hints = {
    0.520: "you have added the precision itself: add the envelope",
    0.675: "you have divided by the four objects that are found. There are five",
    0.613: "this is the mean over all rows. Recall only grows at the right detections",
    0.582: "this is the rule of the eleven recalls: take the area",
}
for value, hint in hints.items():
    assert abs(my_ap - value) > 0.006, hint
hint = "add up the envelope at the right detections, each time 1/5 of it"
assert abs(my_ap - 0.54) < 0.006, hint
print("Exercise 6.2 is right: the AP is 0.54. The object that is never found costs")
print("0.20, and the false positives cost the other 0.26.")

# %% [markdown]
# ### Exercise 6.3: Which detections are right? (10 minutes)
#
# Every mAP rests on a decision for each detection: right or false positive? The rule is one sentence in this chapter,
# and each of its words counts. Here it is again: *a detection is right if its IoU with the object of this class that it
# overlaps most is at least 0.5, and if no earlier detection has taken this object.* Only a right detection takes its
# object.
#
# Complete `mark_right` for one image and one class, without difficult objects. Its input is the IoU of each detection
# with each object.


# %% tags=["starter"]
def mark_right(ious, iou_threshold=0.5):
    """Decide for each detection whether it is right.

    Parameters
    ----------
    ious : ndarray (n, m)
        IoU of n detections with m objects of the same class and image. The detections
        are sorted, the highest confidence score first. There is at least one object.
    iou_threshold : float
        The lowest IoU of a right detection.

    Returns
    -------
    list of bool, or ndarray (n,) of bool
    """
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def mark_right(ious, iou_threshold=0.5):
    """Decide for each detection whether it is right."""
    taken = set()
    marks = []
    for row in ious:
        best = int(row.argmax())  # the object that it overlaps most
        is_right = row[best] >= iou_threshold and best not in taken
        if is_right:
            taken.add(best)
        marks.append(bool(is_right))
    return marks


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
answer = mark_right(np.array([[0.8], [0.1]]))
assert answer is not None, "mark_right is still empty"
assert np.shape(answer) == (2,), "return one value for each detection (each row)"
hint = "a good detection is marked as wrong, or one with an IoU of 0.1 as right"
cases = [
    ([[0.8], [0.1]], [1, 0], hint),
    ([[0.8], [0.6]], [1, 0], "an object can be found once: the second is a duplicate"),
    ([[0.5]], [1], "an IoU of exactly 0.5 is enough: at least 0.5, not more than 0.5"),
    (
        [[0.6], [0.9]],
        [1, 0],
        "the object belongs to the detection with the higher score, which comes first, "
        "and not to the one with the higher IoU",
    ),
    (
        [[0.3], [0.7]],
        [0, 1],
        "the first detection overlaps too little to be right, so it takes no object",
    ),
    (
        [[0.8, 0.1], [0.7, 0.6]],
        [1, 0],
        "the second detection overlaps the first object most, and that one is taken. "
        "It may not move on to another object",
    ),
]
rows = [[0.7, 0.2, 0], [0.1, 0.55, 0.3], [0.6, 0.52, 0.1], [0, 0.4, 0.49]]
rows += [[0.2, 0.1, 0.8], [0, 0.5, 0.6]]
cases.append((rows, [1, 1, 0, 0, 1, 0], f"wrong for these IoUs: {rows}"))
for case, expected, hint in cases:
    assert np.array_equal(np.array(mark_right(np.array(case)), bool), expected), hint
hint = "use iou_threshold instead of a fixed 0.5"
assert not np.any(mark_right(np.array([[0.6]]), iou_threshold=0.75)), hint
print("Exercise 6.3 is right: the score decides who comes first, and the IoU only has")
print("to be good enough. Even a perfect box is a false positive if it comes second.")

# %% [markdown]
# ### Exercise 6.4: Three thresholds for three questions (15 minutes)
#
# Which threshold is best depends on what you ask. The arrays `SCORES` and `IS_RIGHT` describe eighteen detections of
# one class, and there are `NUM_OBJECTS`, that is, eight objects. `measure(threshold)` keeps the detections with a
# score above the threshold, and returns their precision, recall, F1 score and average precision.
#
# 1. In your application, a missed object costs 5 euros and a false positive costs 1 euro. Complete `cost`.
# 2. Go through the five `THRESHOLDS` and print all measures and the cost for each. Which threshold has the highest F1
#    score, which one the lowest cost, and which one the highest AP?
# 3. Going from a threshold of 0.25 down to 0.05 adds one right detection and seven false positives. The F1 score falls,
#    but the AP rises. Why does the AP not fall? Choose the right explanation:
#     - **A**: A false positive lowers the precision only from its own place in the list on. That costs area only where
#       a further object is found later. The right detection adds area.
#     - **B**: The AP ignores false positives with a score below 0.25, because no user would see them.
#     - **C**: The AP is the recall by another name. Precision does not matter for it.
#     - **D**: Detections with low scores are right more often than those with high scores.
#
# Hand in the function, three thresholds and a letter.


# %% tags=["starter"]
def cost(threshold):
    """What the mistakes of the detector cost at a threshold.

    Parameters
    ----------
    threshold : float
        Detections with a confidence score above this are reported.

    Returns
    -------
    int
        In euros: 5 for each object that is not found, 1 for each false positive.
    """
    return None  # your code


best_for_f1 = None  # one of THRESHOLDS
best_for_cost = None  # one of THRESHOLDS
best_for_ap = None  # one of THRESHOLDS
explanation = None  # "A", "B", "C" or "D"


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def cost(threshold):
    """What the mistakes of the detector cost at a threshold."""
    hits = IS_RIGHT[SCORES > threshold]
    missed = NUM_OBJECTS - hits.sum()
    false_positives = len(hits) - hits.sum()
    return int(5 * missed + false_positives)


print("threshold  precision  recall     F1     AP  cost")
for threshold in THRESHOLDS:
    precision, recall, f1, ap = measure(threshold)
    measures = f"{precision:9.3f}  {recall:6.3f}  {f1:.3f}  {ap:.3f}"
    print(f"{threshold:9.2f}  {measures}  {cost(threshold):4d}")
best_for_f1, best_for_cost, best_for_ap = 0.50, 0.25, 0.05
# Of the eight detections that come in below 0.25, two false positives come before the
# right one, and five after it. The right one adds 1/8 of recall at a precision of 7/13.
# The precision of all rows above stays as it was, and so does their area.
explanation = "A"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
assert cost(0.25) is not None, "cost is still empty"
hints = {
    22: "the prices are swapped: a missed object costs 5, a false positive 1",
    44: "you count detections below the threshold as missed. Missed are the objects "
    "that no reported detection has found: start from NUM_OBJECTS",
    20: "you count every reported detection as a false positive, even the right ones",
    9: "one of the eight objects is not found by any of the detections. It counts as "
    "missed too: start from NUM_OBJECTS",
    6: "you count all mistakes alike: a missed object costs five times as much",
}
answer = cost(0.25)
assert answer == 14, hints.get(answer, f"cost(0.25) is not {answer}")
costs = [cost(threshold) for threshold in THRESHOLDS]
assert costs == [16, 14, 16, 21, 30], f"the costs are wrong at some threshold: {costs}"
answers = (best_for_f1, best_for_cost, best_for_ap, explanation)
hint = "best_for_f1, best_for_cost, best_for_ap or explanation is still empty"
assert None not in answers, hint
assert best_for_f1 == 0.50, "best_for_f1: find the highest of the five F1 scores"
hint = "best_for_cost: find the lowest of the five costs. It may lie elsewhere than F1"
assert best_for_cost == 0.25, hint
hint = "best_for_ap: find the highest of the five APs. It need not be a good threshold "
hint += "for showing detections"
assert best_for_ap == 0.05, hint
hints = {
    "B": "the AP has no such limit: measure(0.05) counts all eighteen detections",
    "C": "at 0.05, the recall is 0.875 but the AP only 0.744. Precision makes the "
    "difference",
    "D": "look at IS_RIGHT: of the last eight detections, only one is right",
}
assert explanation == "A", hints.get(explanation, "choose A, B, C or D")
print("Exercise 6.4 is right: F1 is best at 0.50, the cost at 0.25 and the AP at 0.05.")
print("Evaluate with the whole list, and choose a threshold by what mistakes cost you.")

# %% [markdown]
# ## Check your understanding
#
# Answer each question for yourself before you open it.
#
# <details><summary>1. Why is the confidence score a product of objectness and class probability, and not one of the two?</summary>
#
# The objectness says whether there is an object, but not of which class. The class probabilities say which class it is
# if there is an object, and they are often high in empty cells, because a softmax has to give its probabilities to some
# class. The product is high only where both agree.
#
# </details>
#
# <details><summary>2. Why does the mAP stay the same if all confidence scores are halved, although fewer boxes are shown then?</summary>
#
# The average precision depends on the order of the detections only, and halving keeps the order. A fixed threshold of
# 0.25 looks at the value of each score, so it lets fewer boxes through. (The mAP would only change if the low threshold
# for the evaluation cut off more detections, too.)
#
# </details>
#
# <details><summary>3. Why is an mAP too good if the image size or threshold was chosen with the test images?</summary>
#
# Each of the choices does a little better or worse on these particular images by chance. We pick the one that does
# best, and with it the luck. On new images the luck is gone. So we choose with validation images and measure once with
# test images.
#
# </details>
#
# <details><summary>4. A detection has the right class and an IoU of 0.45 with its object, which no other detection has found. Which kind of mistake is it, and how often does it count in the confusion matrix?</summary>
#
# It is a localization error, because the IoU lies between 0.1 and 0.5. If its score is above 0.25, it counts twice in
# the confusion matrix: the object is in the column *not found*, because no box fits it well enough, and the box is in
# the row *no new object*, because it is a false positive.
#
# </details>
#
# <details><summary>5. Two sheep stand close together, and the detector shows only one of them. How do you find out whether suppression is the reason?</summary>
#
# Compute the IoU of the two true boxes. If it is above 0.45, suppression removes one of two perfect boxes. You can also
# raise the IoU threshold of `detect` and look whether the second sheep appears. That brings back duplicates of other
# objects as well, which is the price of a higher threshold.
#
# </details>

# %% [markdown]
# ## Key points
#
# - A prediction becomes a box with two sigmoids and two exponentials: cell and anchor are a first guess, and the raw output
#   corrects it.
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
