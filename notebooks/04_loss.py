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
# # 4 The loss: how wrong is the network?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/04_loss.ipynb)
#
# In this chapter you build YOLOv2's loss term by term, work it out on our photo of two cows and a dog, and then use it to
# teach four images to a small network.
#
# **You will learn**
#
# - which predictions have to find an object, and what is asked of all the others,
# - the whole loss in one formula, and each of its terms in a few lines of NumPy,
# - why sizes are compared as logarithms, why small boxes weigh more, and why the target of objectness is an overlap,
# - four mistakes that raise no error message and still spoil the training; each is in a box called "Pitfall",
# - the first test for any new loss: can a network learn a few images by heart?
#
# **Time:** reading 43 min, running 1 min on two CPU cores.
#
# *The paper*, *Darknet* and *the series* are introduced in [chapter 1](01_anchor_clustering.ipynb). All terms are in
# [the glossary](glossary.md).

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

import figures
import keras
import numpy as np
import tensorflow as tf

figures.setup()
settings = yolo.load_settings()
keras.utils.set_random_seed(settings.seed)

# %%
figures.pipeline("loss")

# %% [markdown]
# The loss is where the two rows of the picture meet. The raw output comes down from the network, the target comes up from
# the ground truth, and the loss turns the difference into one number. Chapter 5 changes the weights of the network so that
# this number becomes smaller.
#
# These are the tensors in play. B is the number of images in a batch, and C is the number of classes: 20 for Pascal VOC. A
# *grid unit* is the side of one cell, which is 32 pixels.
#
# | Name | Shape | What it holds | Unit |
# |---|---|---|---|
# | `y_true` | (B, 13, 13, 4, 5 + C) | the target of chapter 2. At the responsible cell and anchor of each object: centre x and y, width, height, a 1, and the one-hot class. Zero elsewhere. | grid units |
# | `true_boxes` | (B, 1, 1, 1, 50, 4) | all true boxes of each image: centre x and y, width, height. Rows of zeros fill it up to 50. | grid units |
# | `y_pred` | (B, 13, 13, 4, 5 + C) | the raw output of the network | none |
# | `anchors` | (4, 2) | width and height of the four anchors | grid units |

# %% [markdown]
# ## What do we compare?
#
# We need a ground truth and a prediction. The ground truth of the running example comes from chapter 2. `places` lists its
# responsible predictions: the row, the column and the anchor of each object.

# %%
splits = yolo.load_splits(settings.voc_dir)
anchors = yolo.load_anchors(settings, splits.train)
classes = settings.classes
example = figures.pick(splits.train, "2026_000123")
image, y_true, true_boxes = yolo.make_example(example, anchors, 416, len(classes))

responsible = y_true[..., 4] == 1  # (13, 13, 4)
places = np.argwhere(responsible)
truth = y_true[responsible]  # (n, 5 + C), one row for each object
labels = truth[:, 5:].argmax(axis=1)
names = []
for (row, column, anchor), label in zip(places, labels, strict=True):
    names.append(f"{classes[label]} ({row}, {column})")
    print(f"{classes[label]}: row {row}, column {column}, anchor {anchor}")

# %% [markdown]
# For the prediction we do not need a network yet. We invent a raw output that is easy to follow, and start with zeros.
# Remember from chapter 2 what a zero means: sigmoid(0) = 0.5 puts the centre in the middle of the cell, and exp(0) = 1
# gives the box exactly the size of its anchor. An objectness of sigmoid(-2) = 0.12 says "probably nothing here".
#
# The responsible predictions get an objectness of 0.5. All of them but the last one also prefer the right class. Finally,
# one cell to the right of the largest object, a *neighbour* draws nearly the same box, with an objectness of
# sigmoid(1) = 0.73.

# %%
y_pred = np.zeros_like(y_true)
y_pred[..., 4] = -2

class_scores = 2 * truth[:, 5:]
class_scores[-1] = 0  # the last object's class is a blind guess
y_pred[responsible, 4] = 0
y_pred[responsible, 5:] = class_scores

row, column, anchor = places[truth[:, 2:4].prod(axis=1).argmax()]
neighbour = (row, column + 1 if column < 12 else column - 1, anchor)
y_pred[neighbour][:5] = [-2, 0, -0.3, -0.3, 1]

# %% [markdown]
# ## Which predictions have to answer?
#
# There are 13 × 13 × 4 = 676 predictions and only a few objects. So before we ask how wrong a prediction is, we ask whether
# it is to blame at all. Each prediction plays one of three roles:
#
# | Role | Which predictions? | What the loss asks of them |
# |---|---|---|
# | **responsible** | cell and anchor were assigned to an object in chapter 2 | location, size, objectness and class |
# | **ignored** | not responsible, but the predicted box has an IoU above 0.6 with some object | nothing |
# | **background** | all others | an objectness of 0 |
#
# The second role needs a reason. Our neighbour draws a good box around a cow. It is not responsible, because the centre of
# the cow lies in another cell. But to teach it "there is nothing here" would be to teach it something false. So we leave
# it alone. From here on, *background* means the third role only, without the ignored predictions.
#
# To find the ignored predictions, we compute all 676 boxes and their IoU with every true box.

# %%
cells = yolo.grid_cells(13, 13).numpy()  # (13, 13, 1, 2): column and row
predicted_xy = cells + yolo.sigmoid(y_pred[..., 0:2])
predicted_wh = anchors * np.exp(y_pred[..., 2:4])
predicted_boxes = np.concatenate([predicted_xy, predicted_wh], axis=-1)

ious = yolo.iou_centred(predicted_boxes[..., None, :], true_boxes)  # (13, 13, 4, 50)
best_iou = ious.numpy().max(axis=-1)
ignored = (best_iou > 0.6) & ~responsible
background = ~responsible & ~ignored
roles = {"responsible": responsible, "ignored": ignored, "background": background}
for role, mask in roles.items():
    print(f"{role}: {mask.sum()} predictions")

# %%
figures.loss_roles(image, predicted_boxes, truth[:, :4], roles)

# %% [markdown]
# On the left, the true boxes are black. The solid green boxes are predicted by the three responsible predictions, whose
# cells are green on the right. The dashed orange boxes belong to ignored predictions: our neighbour, and two cells beside
# the lying cow whose anchor 1 happens to fit it. Everything else, more than 99 % of the predictions, is background.

# %% [markdown]
# ## Which numbers does each role train?
#
# A prediction has 5 + C numbers. A term of the loss can only change a number if it has a gradient with respect to it. So let
# us measure the gradient. We treat the finished loss, `yolo.yolo_loss`, as a black box for a moment. The rest of this
# chapter opens it.

# %%
raw = tf.constant(y_pred[None])  # a batch of one image
with tf.GradientTape() as tape:
    tape.watch(raw)
    terms = yolo.yolo_loss(y_true[None], true_boxes[None], raw, anchors)
    loss = tf.add_n(terms)
gradient = np.abs(tape.gradient(loss, raw)[0])  # (13, 13, 4, 5 + C)

none = np.zeros(5 + len(classes))
mean_sizes = {
    role: gradient[mask].mean(axis=0) if mask.any() else none
    for role, mask in roles.items()
}
figures.loss_gradients(mean_sizes, ["x", "y", "width", "height", "objectness"])

# %% [markdown]
# A responsible prediction learns with all of its numbers. An ignored prediction learns with none. A background prediction
# has no true box and no true class, so only its objectness is trained. This is why the box that a background prediction
# draws can be anywhere: nothing in the loss cares. (At the very start of training there is an exception, the anchor
# warm-up. It comes last.)

# %% [markdown]
# ## The whole loss in one formula
#
# Here is everything at once. Each line is one term, and each of the next sections takes one line apart.
#
# $$
# \boxed{\;
# \begin{aligned}
# \text{loss} = \frac{1}{B}\Big[\;
# & \tfrac12 \sum_{\text{responsible}} \text{box weight} \cdot \lVert \text{true offset}_{xy} - \text{offset}_{xy} \rVert^2
# && \text{location} \\
# +\;& \tfrac12 \sum_{\text{responsible}} \text{box weight} \cdot \lVert \text{true log}_{wh} - \text{log}_{wh} \rVert^2
# && \text{size} \\
# +\;& \tfrac52 \sum_{\text{responsible}} (\text{own IoU} - \text{objectness})^2
# && \text{objectness} \\
# +\;& \tfrac12 \sum_{\text{background}} \text{objectness}^2
# && \text{background} \\
# -\;& \sum_{\text{responsible}} \ln \text{probability}_{\text{true class}}
# && \text{classes} \\
# +\;& \tfrac{0.01}{2} \sum_{\text{not responsible}} \big( \lVert 0.5 - \text{offset}_{xy} \rVert^2 + \lVert \text{log}_{wh} \rVert^2 \big)
# && \text{anchor warm-up} \;\Big]
# \end{aligned}
# \;}
# $$
#
# The sums run over all images of the batch, and B is the number of images. The symbols have the names of the variables in
# `yolo_loss`:
#
# | Symbol | In the code | Meaning | Unit |
# |---|---|---|---|
# | offset$_{xy}$ | `offset_xy` | sigmoid of the raw x and y: the predicted centre, measured from the corner of its cell | grid units, 0 to 1 |
# | true offset$_{xy}$ | `true_offset_xy` | true centre minus the column and row of its cell | grid units, 0 to 1 |
# | log$_{wh}$ | `log_wh` | raw width and height: ln(predicted size / anchor) | none |
# | true log$_{wh}$ | `true_log_wh` | ln(true size / anchor) | none |
# | box weight | `box_weight` | 2 minus the share of the image that the true box covers | 1 to 2 |
# | objectness | `objectness` | sigmoid of raw number 4 | 0 to 1 |
# | own IoU | `own_iou` | IoU of the predicted box with its own object, taken as a constant | 0 to 1 |
# | probability | softmax of `class_scores` | softmax of the raw class scores | 0 to 1 |
#
# The factor one half cancels the 2 that appears when you differentiate a square. The gradient is then simply weight times
# error. With these factors it equals the gradient of Darknet's "region layer", number for number.
# [tests/test_loss_and_model.py](../tests/test_loss_and_model.py) checks that against a second implementation in plain
# loops.
#
# In the next sections we often print one line for each responsible prediction. This little function does it.


# %%
def print_table(columns):
    """Print one line for each object; a value is a number or a pair (x, y)."""
    print(" " * 18 + "".join(f"{title:>17}" for title in columns))
    for i, name in enumerate(names):
        line = f"{name:<18}"
        for values in columns.values():
            numbers = np.atleast_1d(values[i]).round(3) + 0.0  # no "-0.000"
            line += f"{'  '.join(f'{number:.3f}' for number in numbers):>17}"
        print(line)


# %% [markdown]
# ## Location: is the centre in the right place?
#
# The centre of a predicted box cannot leave its cell, because a sigmoid lies between 0 and 1. So we compare centres inside
# the cell: the target is the true centre minus the corner of the cell.

# %%
output = y_pred[responsible]  # (n, 5 + C), in the same order as truth
corner = places[:, [1, 0]]  # column and row of each responsible cell
true_offset_xy = truth[:, 0:2] - corner
offset_xy = yolo.sigmoid(output[:, 0:2])
location_error = ((true_offset_xy - offset_xy) ** 2).sum(axis=1)
print_table(
    {
        "true centre": truth[:, 0:2],
        "true offset": true_offset_xy,
        "offset": offset_xy,
        "location error": location_error,
    }
)

# %%
figures.centres_in_cells(true_offset_xy, offset_xy, names)

# %% [markdown]
# Take the first line: the lying cow has its centre at column 2.483 and row 5.651, so inside the cell (row 5, column 2) its
# offset is (0.483, 0.651). Our invented output says (0.5, 0.5). The squared distance is 0.017² + 0.151² = 0.023. The dog
# has the largest error, because its centre lies at the very edge of its cell.

# %% [markdown]
# ## Size: why logarithms?
#
# The raw output for a size is a logarithm: the network says ln(predicted size / anchor). The loss therefore asks for
# ln(true size / anchor), and compares the two. Why not simply compare the sizes themselves?
#
# Suppose a box is predicted twice as wide as its object. In cells, the error is large for a cow and small for a dog. As a
# logarithm it is ln 2 = 0.69 for both. The figure shows the cost of all errors from a third to three times the true width.

# %%
figures.size_costs(truth[:, 2], names)

# %% [markdown]
# On the left, with widths in cells, the dog's curve is flat: for the network, only the cow would matter. On the right, with
# logarithms, both objects have the same curve. A box that is twice too wide costs as much as one that is twice too narrow,
# for every object.

# %%
best_anchors = anchors[places[:, 2]]
true_log_wh = np.log(truth[:, 2:4] / best_anchors)
log_wh = output[:, 2:4]
size_error = ((true_log_wh - log_wh) ** 2).sum(axis=1)
print_table(
    {
        "true size": truth[:, 2:4],
        "anchor": best_anchors,
        "true log": true_log_wh,
        "log": log_wh,
        "size error": size_error,
    }
)

# %% [markdown]
# The lying cow is nearly as large as its anchor, so its logarithms are close to 0 and it costs little. The standing cow has
# about three quarters of the width of its anchor: ln(6.786 / 9.131) = -0.297.
#
# > **Pitfall.** The series compares widths and heights in cells, although its text speaks of square roots. It
# > runs without an error. But a predicted width is anchor × exp(raw), so the derivative brings in the width once more, and
# > large boxes get enormous gradients. The next cell shows the gradient with respect to the raw width when a box is twice
# > too wide.

# %%
true_width = truth[:, 2]
width = 2 * true_width
print_table(
    {
        "true width": true_width,
        "with logarithms": np.log(width / true_width),
        "widths in cells": (width - true_width) * width,
    }
)

# %% [markdown]
# With logarithms, every object pulls with 0.693. With widths in cells, the standing cow pulls about 19 times as hard as
# the dog, and 130 times as hard as
# with logarithms. One such box can decide the direction of a whole training step.

# %% [markdown]
# ## Why do small boxes weigh more?
#
# Logarithms treat all sizes alike. Locations are compared in cells, and there small boxes need help. Let us move each true
# box down by 0.6 cells, and look at how well it still overlaps the object.

# %%
shift = 0.6
moved = truth[:, :4] + np.float32([0, shift, 0, 0])
ious_after_shift = yolo.iou_centred(moved, truth[:, :4]).numpy()
figures.shifted_boxes(image, truth[:, :4], shift, ious_after_shift, names)

# %% [markdown]
# The same error is harmless for the standing cow and serious for the dog. The dog's box is 1.70 cells high, so the IoU is
# (1.70 - 0.6) / (1.70 + 0.6) = 0.48, and below 0.5 a box usually counts as a miss. The loss therefore multiplies
# the errors of a box by 2 minus its share of the image. A tiny box weighs nearly 2, and a box that fills the image weighs 1.

# %%
area_share = truth[:, 2] * truth[:, 3] / 13**2
box_weight = 2 - area_share
print_table({"area share": area_share, "box weight": box_weight})

location = 0.5 * (box_weight * location_error).sum()
size = 0.5 * (box_weight * size_error).sum()
print(f"location term {location:.3f}, size term {size:.3f}")

# %% [markdown]
# The correction is mild: the dog weighs 1.98 and the standing cow 1.77. We now have the first two terms of the loss.

# %% [markdown]
# ## Objectness: how sure should a box be?
#
# What should the objectness of a responsible prediction be? The obvious answer is 1, since there is an object. YOLOv2 asks
# for more: objectness should say *how well the box fits*. Its target is the IoU of the predicted box with its object. This
# pays off in chapter 6, where the boxes with the highest scores survive.

# %%
objectness = yolo.sigmoid(output[:, 4])
own_iou = yolo.iou_centred(predicted_boxes[responsible], truth[:, :4]).numpy()
objectness_error = (own_iou - objectness) ** 2
objectness_term = 5 / 2 * objectness_error.sum()
print_table(
    {"objectness": objectness, "own IoU": own_iou, "objectness error": objectness_error}
)
print(f"objectness term {objectness_term:.3f}")

# %%
figures.objectness_targets(objectness, own_iou, names)

# %% [markdown]
# All three predictions claim 0.5. The lying cow's box is better than that, so its objectness should rise. The dog's box
# only reaches an IoU of 0.43, so its objectness should fall, although there really is a dog. When the box improves, its
# target rises with it.
#
# The weight 5 is there because objects are rare. In this image, 3 predictions are responsible and 670 are told to be
# silent. All of them share the weights of the network, and the 5 gives the few a louder voice.
#
# > **Pitfall.** The series multiplies this weight by the IoU once more, so that it becomes 5 × IoU. The better a
# > box is, the more it learns. That sounds sensible, but a badly placed box now silences its own correction.
#
# The next cell shows boxes that are far too sure of themselves: each claims an objectness of 0.9. The pull is weight times
# error.

# %%
print("IoU of the box   pull with 5   pull with 5 x IoU")
for iou in (0.7, 0.5, 0.3, 0.1, 0.0):
    error = 0.9 - iou
    print(f"{iou:14.1f} {5 * error:13.2f} {5 * iou * error:19.2f}")

# %% [markdown]
# With the constant weight, the pull grows as the box gets worse. With 5 × IoU, it vanishes for exactly the boxes that need
# it most: a box that misses its object completely may claim 0.9 for ever.

# %% [markdown]
# ## Why is the IoU a constant?
#
# The own IoU depends on the predicted box, so TensorFlow would also send a gradient through it, into the location and the
# size. We do not want that. Objectness should follow the box, and never the other way round. `yolo_loss` wraps the
# predicted boxes in `tf.stop_gradient`, which passes values on and blocks gradients.
#
# > **Pitfall.** Without `tf.stop_gradient`, there are two ways to bring objectness and IoU together: raise the
# > objectness, or make the box *worse*. Gradient descent takes whichever is easier.
#
# Let us watch it. We take the first responsible prediction with an objectness of 0.12, and follow the gradient of
# the objectness term alone for 60 steps.


# %%
def follow_gradient(stop):
    """Objectness and IoU while the raw output follows the objectness term."""
    raw = tf.Variable(np.float32([0, 0, 0, 0, -2]))
    path = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            predicted_xy = np.float32(corner[0]) + tf.sigmoid(raw[0:2])
            predicted_wh = best_anchors[0] * tf.exp(raw[2:4])
            box = tf.concat([predicted_xy, predicted_wh], axis=0)
            iou = yolo.iou_centred(box, truth[0, :4])
            target = tf.stop_gradient(iou) if stop else iou
            loss = 5 / 2 * (target - tf.sigmoid(raw[4])) ** 2
        path.append((float(tf.sigmoid(raw[4])), float(iou)))
        raw.assign_sub(0.05 * tape.gradient(loss, raw))
    return np.array(path)


# %%
figures.objectness_paths(follow_gradient(stop=True), follow_gradient(stop=False))

# %% [markdown]
# On the left, the box keeps its IoU of 0.87, and its objectness climbs towards it. On the right, objectness hardly moves.
# Instead the box is spoiled until its IoU is as low as its objectness. In a full training run the location and size
# terms push back, but the objectness term should not be working against them in the first place.

# %% [markdown]
# ## Background: what should all the others say?
#
# Nearly all predictions are background, and the loss asks only one thing of them: an objectness of 0. Ignored predictions do
# not take part.

# %%
all_objectness = yolo.sigmoid(y_pred[..., 4])
background_term = 0.5 * (all_objectness[background] ** 2).sum()
one_prediction = 0.5 * yolo.sigmoid(-2.0) ** 2
count = background.sum()
print(f"{count} predictions x {one_prediction:.4f} each = {background_term:.3f}")
print(f"the neighbour alone would cost {0.5 * all_objectness[neighbour] ** 2:.3f}")

# %% [markdown]
# One background prediction with an objectness of 0.12 costs only 0.007. There are so many of them that the term is still
# large. The neighbour, if it were background, would cost as much as 38 of them, just for drawing a good box.
#
# > **Pitfall.** The rule needs the list of true boxes. In the series, the loss is given a list that nobody ever
# > fills: it is all zeros. An IoU with an empty box is 0, so no prediction is ever ignored, and neighbours with good boxes are trained
# > to be silent. Nothing crashes, and the loss even falls.

# %%
no_boxes = np.zeros_like(true_boxes)
for name, boxes in (("true boxes", true_boxes), ("zeros", no_boxes)):
    ious = yolo.iou_centred(predicted_boxes[..., None, :], boxes).numpy()
    num_ignored = ((ious.max(axis=-1) > 0.6) & ~responsible).sum()
    terms = yolo.yolo_loss(y_true[None], boxes[None], y_pred[None], anchors)
    term = float(terms.background)
    print(f"{name:<11} {num_ignored} ignored, background term {term:.3f}")

# %% [markdown]
# ## Classes: which object is it?
#
# The class scores of a responsible prediction go through a softmax, which makes them probabilities. The cost is the negative
# logarithm of the probability of the true class, as in any classifier. This is called cross-entropy. Background has no
# class, so it does not take part.

# %%
probability = (yolo.softmax(output[:, 5:]) * truth[:, 5:]).sum(axis=1)
class_error = np.log(1 / probability)  # the same as -ln(probability)
classes_term = class_error.sum()
print_table({"probability": probability, "class error": class_error})
print(f"classes term {classes_term:.3f}, ln C = {np.log(len(classes)):.3f}")

# %%
figures.class_costs(probability, class_error, len(classes), names)

# %% [markdown]
# The two cows have a score of 2 for the right class and 0 for the others. The probability is e² / (e² + 19) = 0.28, and the
# cost is 1.27. The dog's scores are all equal, so each of the 20 classes gets 1/20, and the cost is ln 20 = 2.996.
#
# That last number is worth remembering. A network that knows nothing guesses, so **the class error of an untrained network
# must be near ln C for each object**. If it is not, something is wrong with the class scores or with the loss.

# %%
network = yolo.build_yolov2(
    num_anchors=len(anchors), num_classes=len(classes), width=0.125, seed=settings.seed
)
untrained = network(image[None]).numpy()
untrained_terms = yolo.yolo_loss(y_true[None], true_boxes[None], untrained, anchors)
print(f"class error per object {float(untrained_terms.classes) / len(names):.1f}")
print(f"ln C                   {np.log(len(classes)):.1f}")

# %% [markdown]
# ## What is the anchor warm-up for?
#
# There is one more line in the formula. Most predictions are background in most images, and we saw that nothing in the loss
# cares where their boxes are. But all cells share the same weights, so their boxes drift whenever the weights change. If
# such a prediction becomes responsible for an object in a later image, it had better start from its anchor.
#
# At the start of training, the loss therefore pulls every prediction that is not responsible to the middle of its cell
# (offset 0.5) and to the size of its anchor (log 0). The weight is small, 0.01. Darknet does this for the first 12,800
# images, and this project for the first 5 % of the steps. In our invented output, only the neighbour has drifted.

# %%
middle_error = (0.5 - yolo.sigmoid(y_pred[..., 0:2])) ** 2
drift = (middle_error + y_pred[..., 2:4] ** 2).sum(axis=-1)  # (13, 13, 4)
anchor_warmup = 0.01 / 2 * drift[~responsible].sum()
print(
    f"drift of the neighbour {drift[neighbour]:.3f}, anchor warm-up {anchor_warmup:.5f}"
)

# %% [markdown]
# ## Does it all add up?
#
# We have worked out all six terms by hand. Here they are beside those of `yolo.yolo_loss`, which does the same for a whole
# batch at once.

# %%
by_hand = (
    location,
    size,
    objectness_term,
    background_term,
    classes_term,
    anchor_warmup,
)
terms = yolo.yolo_loss(
    y_true[None], true_boxes[None], y_pred[None], anchors, anchor_warmup=True
)
print("term             by hand   yolo_loss")
for name, ours, theirs in zip(terms._fields, by_hand, terms, strict=True):
    print(f"{name:<15} {ours:8.4f} {float(theirs):11.4f}")
print("they agree:", np.allclose(by_hand, [float(term) for term in terms], atol=1e-4))

# %%
results = {"invented output": terms, "untrained network": untrained_terms}
figures.loss_shares(results)

# %% [markdown]
# The bars show where the loss comes from. An untrained network says "0.5" everywhere, so each of its more than 670
# background predictions costs ½ × 0.5² = 0.125, and together they make up most of the loss. So a network spends much of
# its early training on learning to say "nothing here".

# %% [markdown]
# ## Can a network learn a few images by heart?
#
# Before you train for hours, do the first test for any new loss: overfit. Take a handful of images, without augmentation,
# and train until the network knows them by heart. A network with a correct loss can do this in a minute. If it cannot, more
# data will not help.
#
# We take the running example and three more images, and a network with an eighth of the paper's filters. The training
# loop is the plainest there is: predict, compute the loss, compute the gradient, take a step. Chapter 5 explains real
# training. [Adam](https://keras.io/api/optimizers/adam/) is an optimizer that needs no schedule.

# %%
others = [annotation for annotation in splits.train[:4] if annotation is not example]
few = [example, *others[:3]]
dataset = yolo.make_dataset(few, anchors, settings, training=False)
images, (few_true, few_boxes) = next(iter(dataset))
optimizer = keras.optimizers.Adam(1e-3)


@tf.function
def train_step():
    with tf.GradientTape() as tape:
        few_pred = network(images, training=True)
        terms = yolo.yolo_loss(few_true, few_boxes, few_pred, anchors)
        loss = tf.add_n(terms)
    gradients = tape.gradient(loss, network.trainable_variables)
    pairs = zip(gradients, network.trainable_variables, strict=True)
    optimizer.apply_gradients(pairs)
    return terms


# %% [markdown]
# We take 80 steps. At three moments we stop and ask the network for its detections in the running example.

# %%
photo = yolo.read_image(example.image_path)
history = []
snapshots = {}
for step in range(81):
    if step in (0, 40, 80):
        snapshots[step] = yolo.detect(network, photo, anchors)
    history.append(train_step())

# %%
figures.loss_curves(history)

# %% [markdown]
# The vertical axis is logarithmic, so a step down to the next power of ten means a tenth of the loss. The background term
# is the largest all the time, as the bars above predicted. Location and size become tiny, because here every box can be
# memorized. One curve looks wrong at first: objectness *rises* during the first steps. Nearly all predictions are
# told to be silent, and the responsible ones share their weights, so at first they become silent as well. Only then does
# the network learn to tell them apart. Keep this in mind when you see no detections early in a training run.

# %%
figures.detection_snapshots(photo, snapshots, classes)

# %% [markdown]
# Before training, no confidence score reaches the threshold of 0.25. A *confidence score* is objectness times class
# probability, so an untrained network says about 0.5 × 1/20 = 0.025 everywhere. After 40 steps the first cow appears,
# still with a low score. After 80 steps both cows and the dog are found, with the right classes and tight boxes.

# %%
photos = [yolo.read_image(annotation.image_path) for annotation in few]
detections = yolo.detect(network, photos, anchors, yolo.EVALUATION_THRESHOLD)
score = yolo.evaluate_detections(few, detections, len(classes)).mean_average_precision
print(f"mAP on these {len(few)} images is above 0.9: {score > 0.9}")

# %% [markdown]
# The mAP (mean average precision) is 1 when every object is found without false positives. Chapter 6 explains how it is
# computed. The network has passed the test: target, loss, gradient, decoding and suppression fit together.
#
# This says nothing about images that the network has not seen. It has learned four images by heart, which is exactly what
# we do *not* want from real training.

# %% [markdown]
# ## Key points
#
# - Each object has one responsible prediction. Predictions that overlap an object by more than 0.6 are ignored, and all
#   others are background, which only has to be silent.
# - Only responsible predictions learn location, size and class. Background learns objectness alone.
# - Sizes are compared as logarithms, so that the same relative error costs the same for every object. Small boxes weigh up
#   to twice as much as large ones.
# - The target of objectness is the IoU that the box reaches, taken as a constant: objectness follows the box.
# - Two quick tests for a new loss: the class error of an untrained network is near ln C, and a small network can learn a
#   few images by heart.
#
# **Next:** [chapter 5](05_training.ipynb) trains the network on all images, so that it also finds objects in images that it
# has never seen.
