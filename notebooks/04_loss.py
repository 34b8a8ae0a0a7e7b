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
# In this chapter you build YOLOv2's loss term by term, work it out on our photo of two cows and a dog, and then use
# it to teach four images to a small network.
#
# **You will learn**
#
# - which predictions have to find an object, and what is asked of all the others,
# - the whole loss in one formula, and each of its terms in a few lines of NumPy,
# - why sizes are compared as logarithms, why small boxes weigh more, and why the target of objectness is an overlap,
# - four mistakes that raise no error message and still pull the training in a wrong direction; each is in a box called
#   "Pitfall",
# - the first test for any new loss: can a network learn a few images by heart?
#
# **Time:** reading 50 min, exercises 40 min, running 1 min on two CPU cores.
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
import figures
import keras
import numpy as np
import tensorflow as tf

import yolo_helpers as yolo

figures.setup()
settings = yolo.load_settings()
keras.utils.set_random_seed(settings.seed)

# %%
figures.pipeline("loss")

# %% [markdown]
# The loss is where the two rows of the picture meet. The raw output comes down from the network, the target comes up
# from the ground truth, and the loss turns the difference into one number. Chapter 5 changes the weights of the
# network so that this number becomes smaller.
#
# These are the tensors in play. B is the number of images in a batch, and C is the number of classes: 20 for Pascal
# VOC. A *grid unit* is the side of one cell, which is 32 pixels.
#
# | Name | Shape | What it holds | Unit |
# |---|---|---|---|
# | `y_true` | (B, 13, 13, 4, 5 + C) | the target of chapter 2. At the responsible cell and anchor of each object: centre x and y, width, height, a 1, and the one-hot class. Zero elsewhere. | grid units |
# | `true_boxes` | (B, 1, 1, 1, 50, 4) | all true boxes of each image: centre x and y, width, height. Rows of zeros fill it up to 50. They do no harm, because an IoU with an empty box is 0. | grid units |
# | `y_pred` | (B, 13, 13, 4, 5 + C) | the raw output of the network | none |
# | `anchors` | (4, 2) | width and height of the four anchors | grid units |

# %% [markdown]
# ## What do we compare?
#
# We need a ground truth and a prediction. The ground truth of the running example comes from chapter 2. `places`
# lists its responsible predictions: the row, the column and the anchor of each object.

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
# The responsible predictions get an objectness of 0.5. The predictions of the two cows (the lying one is in column 2,
# the standing one in column 8) also prefer the right class, and that of the dog prefers none. Finally we add a
# *neighbour*, the prediction one cell to the right of the standing cow's. It draws nearly the true box of this cow,
# with an objectness of sigmoid(1) = 0.73.

# %%
y_pred = np.zeros_like(y_true)
y_pred[..., 4] = -2

class_scores = 2 * truth[:, 5:]
class_scores[-1] = 0  # the last object's class is a blind guess
y_pred[responsible, 4] = 0
y_pred[responsible, 5:] = class_scores

row, column, anchor = places[truth[:, 2:4].prod(axis=1).argmax()]
next_column = column + 1 if column < 12 else column - 1  # stay inside the grid
neighbour = (row, next_column, anchor)
# Its centre near the left border of its cell, 0.74 times the anchor, and fairly sure.
y_pred[neighbour][:5] = [-2, 0, -0.3, -0.3, 1]

# %% [markdown]
# ## Which predictions have to answer?
#
# There are 13 × 13 × 4 = 676 predictions and only a few objects. So before we ask how wrong a prediction is, we ask
# whether it is to blame at all. Each prediction plays one of three roles:
#
# | Role | Which predictions? | What the loss asks of them |
# |---|---|---|
# | **responsible** | cell and anchor were assigned to an object in chapter 2 | location, size, objectness and class |
# | **ignored** | not responsible, but the predicted box has an IoU above 0.6 with some object | nothing |
# | **background** | all others | an objectness of 0 |
#
# (At the very start of training, one more term acts on all predictions that are not responsible, ignored ones
# included: the *anchor warm-up*, which is explained near the end of this chapter.)
#
# The second role needs a reason. Our neighbour draws a good box around a cow. It is not responsible, because the
# centre of the cow lies in another cell. But to teach it "there is nothing here" would be to teach it something
# false. So we leave it alone. From here on, *background* means the third role only, without the ignored predictions.
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

# %% tags=["slide"]
figures.loss_roles(image, predicted_boxes, truth[:, :4], roles)

# %% [markdown]
# On the left, the true boxes are black, and dots mark the centres of the predicted boxes. The solid green boxes come
# from the three responsible predictions, whose cells are green on the right. The dashed orange boxes belong to
# ignored predictions: our neighbour, and the cells to the left and right of the lying cow's cell, whose anchor 1
# happens to fit the lying cow. Everything else, more than 99 % of the predictions, is background.

# %% [markdown]
# ## Which numbers does each role train?
#
# A prediction has 5 + C raw numbers. The *gradient* says how much the loss changes when one of them changes a little.
# Where it is zero, the loss teaches nothing. So let us measure it. We treat the finished loss, `yolo.yolo_loss`, as a
# black box for a moment. The rest of this chapter opens it.

# %%
raw = tf.constant(y_pred[None])  # a batch of one image
with tf.GradientTape() as tape:
    tape.watch(raw)  # record what depends on it
    terms = yolo.yolo_loss(y_true[None], true_boxes[None], raw, anchors)
    loss = tf.add_n(terms)
gradient = np.abs(tape.gradient(loss, raw)[0])  # (13, 13, 4, 5 + C)


# %% tags=["slide"]
figures.loss_gradients(gradient, roles, ["x", "y", "width", "height", "objectness"])

# %% [markdown]
# Each field gives the mean absolute value of the gradient over all predictions with that role, and grey means zero. A
# responsible prediction learns with all of its numbers. An ignored prediction learns with none. A background
# prediction has no true box and no true class, so only its objectness is trained. So nothing pulls the box of a
# background prediction: its centre can be anywhere in its cell, and its size is free. (Its box only decides between
# background and ignored, and no gradient flows through this decision. There is one exception for ignored and
# background predictions alike, the anchor warm-up. It acts only at the very start of training, and we come to it
# after the other terms.)

# %% [markdown]
# ## The whole loss in one formula
#
# Here is everything at once. Each line is one term, and each of the next sections takes one line apart.
#
# $$
# \boxed{\; \begin{aligned} \text{loss} = \frac{1}{B}\Big[\; & \tfrac12 \sum_{\text{responsible}} \text{box weight}
# \cdot \lVert \text{true offset}_{xy} - \text{offset}_{xy} \rVert^2 && \text{location} \\ +\;& \tfrac12
# \sum_{\text{responsible}} \text{box weight} \cdot \lVert \text{true log}_{wh} - \text{log}_{wh} \rVert^2 &&
# \text{size} \\ +\;& \tfrac52 \sum_{\text{responsible}} (\text{own IoU} - \text{objectness})^2 && \text{objectness}
# \\ +\;& \tfrac12 \sum_{\text{background}} \text{objectness}^2 && \text{background} \\ -\;& \sum_{\text{responsible}}
# \ln \text{probability}_{\text{true class}} && \text{classes} \\ +\;& \tfrac{0.01}{2} \sum_{\text{not responsible}}
# \big( \lVert 0.5 - \text{offset}_{xy} \rVert^2 + \lVert \text{log}_{wh} \rVert^2 \big) && \text{anchor warm-up (only
# at the start)} \;\Big] \end{aligned} \;}
# $$
#
# The sums run over all images of the batch, and B is the number of images. The symbols have the names of the
# variables in `yolo_loss`:
#
# | Symbol | In chapter 2 | In the code | Meaning | Unit |
# |---|---|---|---|---|
# | offset$_{xy}$ | $\sigma(t_x), \sigma(t_y)$ | `offset_xy` | sigmoid of the raw x and y: the predicted centre, measured from the corner of its cell | grid units, 0 to 1 |
# | true offset$_{xy}$ | $b_x - c_x, b_y - c_y$ | `true_offset_xy` | true centre minus the column and row of its cell | grid units, 0 to 1 |
# | log$_{wh}$ | $t_w, t_h$ | `log_wh` | raw width and height: ln(predicted size / anchor) | none |
# | true log$_{wh}$ | $\ln(b_w / a_w), \ln(b_h / a_h)$ | `true_log_wh` | ln(true size / anchor) | none |
# | box weight | | `box_weight` | 2 minus the share of the image that the true box covers | 1 to 2 |
# | objectness | $\sigma(t_o)$ | `objectness` | sigmoid of raw number 4 | 0 to 1 |
# | own IoU | | `own_iou` | IoU of the predicted box with its own object, taken as a constant | 0 to 1 |
# | probability | | softmax of `class_scores` | softmax of the raw class scores | 0 to 1 |
#
# The factor one half cancels the 2 that appears when you differentiate a square. The gradient with respect to an
# offset, a logarithm or an objectness is then simply the weight times the difference. With respect to the *raw* x, y
# and objectness, which the figure above shows, the gradient is also multiplied by the slope of the sigmoid. The slope
# is 0.25 where the raw number is 0.
#
# With these factors the gradient equals that of Darknet's own loss, which is called the "region layer" there.
# [tests/test_loss_and_model.py](../tests/test_loss_and_model.py) compares it with numbers that Darknet's code has
# computed, and with a second implementation in plain loops.
#
# In the next sections we often print one line for each responsible prediction. This little function does it. Behind the
# name of an object, it prints the row and column of the cell, as NumPy counts. Pairs of values are x and y.


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
# The centre of a predicted box cannot leave its cell, because a sigmoid lies between 0 and 1. So we compare centres
# inside the cell: the target is the true centre minus the corner of the cell.

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
        "squared error": location_error,
    }
)

# %%
figures.centres_in_cells(true_offset_xy, offset_xy, names)

# %% [markdown]
# Take the first line: the lying cow has its centre at column 2.483 and row 5.651, so inside the cell (row 5, column
# 2) its offset is (0.483, 0.651). Our invented output says (0.5, 0.5). The squared distance is 0.017² + 0.151² =
# 0.023. The dog has the largest squared error, because its centre lies at the very edge of its cell.

# %% [markdown]
# ## Size: why logarithms?
#
# The raw output for a size is a logarithm: the network says ln(predicted size / anchor). The loss therefore asks for
# ln(true size / anchor), and compares the two. Why not simply compare the sizes themselves?
#
# Suppose a box is predicted twice as wide as its object. In grid units, the difference is large for a cow and small
# for a dog. As a logarithm it is ln 2 = 0.69 for both. The figure shows half the squared difference, before a weight
# that comes in the next section, for all predictions from a third to three times the true width. On the left it is
# computed with the widths themselves, on the right with their logarithms, as our loss does. (Mind the vertical axes:
# the left one goes up to 90, the right one to 0.6.)

# %% tags=["slide"]
figures.size_costs(truth[:, 2], names)

# %% [markdown]
# On the left, with widths in grid units, the dog's curve is nearly flat: for the network, only the cow would matter.
# On the right, with logarithms, both objects have the same curve. A box twice as wide as its object costs as
# much as one half as wide, whatever the size of the object.

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
        "squared error": size_error,
    }
)

# %% [markdown]
# The lying cow is nearly as large as its anchor, so its logarithms are close to 0 and it costs little. The standing
# cow has about three quarters of the width of its anchor: ln(6.786 / 9.131) = -0.297.
#
# > **Pitfall.** The series compares widths and heights in grid units. It runs without an error. But a predicted width is
# > anchor × exp(raw), so the derivative brings in the width once more, and large boxes get enormous gradients. The next
# > cell shows the gradient with respect to the raw width (without the box weight) when a box is twice as wide as its
# > object.

# %%
true_width = truth[:, 2]
width = 2 * true_width
print_table(
    {
        "true width": true_width,
        "grad. of logs": np.log(width / true_width),
        "grad. of widths": (width - true_width) * width,
    }
)

# %% [markdown]
# With logarithms, every object pulls with 0.693. With widths in grid units, the standing cow pulls about 19 times as
# hard as the dog, and 130 times as hard as with logarithms. One such box can decide the direction of a whole training
# step.

# %% [markdown]
# ## Why do small boxes weigh more?
#
# Logarithms treat all sizes alike. Locations are compared in grid units, and there small boxes need help. Let us move
# each true box down by 0.6 cells, and look at how well it still overlaps the object.

# %%
shift = 0.6
moved = truth[:, :4] + np.float32([0, shift, 0, 0])
ious_after_shift = yolo.iou_centred(moved, truth[:, :4]).numpy()
figures.shifted_boxes(image, truth[:, :4], shift, ious_after_shift, names)

# %% [markdown]
# Black is the true box and red the moved one, and each picture has its own scale. The same error is harmless for the
# standing cow and serious for the dog. The dog's box is 1.70 cells high, so the IoU is (1.70 - 0.6) / (1.70 + 0.6) =
# 0.48, and below 0.5 a box usually counts as a miss. The loss therefore multiplies the errors of a box by 2 minus its
# share of the image. A tiny box weighs nearly 2, and a box that fills the image weighs 1. (Darknet uses the same
# weight for the size term, although our argument does not ask for it there.)

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
# What should the objectness of a responsible prediction be? The obvious answer is 1, since there is an object. YOLOv2
# asks for more: objectness should say *how well the box fits*. Its target is the IoU of the predicted box with its
# object. This pays off in chapter 6, where the boxes with the highest scores survive. So the 1 that chapter 2 stored
# in `y_true` only marks the responsible place. The number to reach is computed anew in every step.

# %%
objectness = yolo.sigmoid(output[:, 4])
own_iou = yolo.iou_centred(predicted_boxes[responsible], truth[:, :4]).numpy()
objectness_error = (own_iou - objectness) ** 2
objectness_term = 5 / 2 * objectness_error.sum()
print_table(
    {"objectness": objectness, "own IoU": own_iou, "squared error": objectness_error}
)
print(f"objectness term {objectness_term:.3f}")

# %%
figures.objectness_targets(objectness, own_iou, names)

# %% [markdown]
# All three predictions claim 0.5. The lying cow's box is better than that, so its objectness should rise. The dog's
# box only reaches an IoU of 0.435, so its objectness should fall, although there really is a dog. When the box
# improves, its target rises with it.
#
# The weight 5 is there because objects are rare. In this image, 3 predictions are responsible and 670 are told to be
# silent. All of them share the weights of the network, and the 5 gives the few a louder voice.
#
# > **Pitfall.** The series also multiplies this weight by the IoU, so that it becomes 5 × IoU. The better a
# > box is, the more it learns. That sounds sensible, but a badly placed box now silences its own correction.
#
# The next cell shows boxes that are far too sure of themselves: each claims an objectness of 0.9. The pull is
# the gradient with respect to the objectness: the weight times the difference between objectness and IoU.

# %%
print("IoU of the box   pull with 5   pull with 5 x IoU")
for iou in (0.7, 0.5, 0.3, 0.1, 0.0):
    gap = 0.9 - iou
    print(f"{iou:14.1f} {5 * gap:13.2f} {5 * iou * gap:19.2f}")

# %% [markdown]
# With the constant weight, the pull grows as the box gets worse. With 5 × IoU, it vanishes for exactly the boxes that
# need it most: as long as a box misses its object completely, nothing corrects its claim of 0.9.

# %% [markdown]
# ## Why is the IoU a constant?
#
# The own IoU depends on the predicted box, so TensorFlow would also send a gradient through it, into the location and
# the size. We do not want that. Objectness should follow the box, and never the other way round. `yolo_loss` wraps
# the predicted boxes in `tf.stop_gradient`, which passes values on and blocks gradients.
#
# > **Pitfall.** Take a good box with a low objectness. Without `tf.stop_gradient`, there are two ways to bring the two
# > together: raise the objectness, or make the box *worse*. Gradient descent changes most what reacts most. Here
# > that is the box: at an objectness of 0.12 the slope of the sigmoid is only about 0.1, while the IoU of this box
# > follows its raw width and height with slopes of 0.8. (If the
# > objectness is too high instead, the leak would improve the box. But that is the task of the location and size terms.)
#
# Let us watch it. We take the prediction of the lying cow, lower its objectness to 0.12, and follow the gradient of
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
# On the left, the box keeps its IoU of 0.87. Its objectness has climbed from 0.12 to 0.39 and is still rising. On the
# right, the first step alone lowers the IoU from 0.87 to 0.67. Then the gap is smaller, and so is the pull on the
# objectness, which only reaches 0.16. After 60 steps the box is spoiled: its IoU has fallen to 0.25. In a full
# training run the location and size terms push back, but the objectness term should not be working against them in
# the first place.

# %% [markdown]
# ## Background: what should all the others say?
#
# Nearly all predictions are background, and the loss asks only one thing of them: an objectness of 0. Ignored
# predictions do not take part.

# %%
all_objectness = yolo.sigmoid(y_pred[..., 4])
background_term = 0.5 * (all_objectness[background] ** 2).sum()
one_prediction = 0.5 * yolo.sigmoid(-2.0) ** 2
count = background.sum()
print(f"{count} predictions x {one_prediction:.4f} each = {background_term:.3f}")
print(f"the neighbour alone would cost {0.5 * all_objectness[neighbour] ** 2:.3f}")

# %% [markdown]
# One background prediction with an objectness of 0.12 costs only 0.007. There are so many of them that the term is
# still large. The neighbour, if it were background, would cost as much as 38 of them, just for drawing a good box.
#
# > **Pitfall.** The rule that good boxes are ignored (IoU above 0.6) needs the list of true boxes. In the series, the loss is given a list that nobody ever
# > fills: it is all zeros. An IoU with an empty box is 0, so no prediction is ever ignored, and neighbours with good boxes are trained
# > to be silent. Nothing crashes, and the loss
# > still falls from step to step, as in any training.

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
# The class scores of a responsible prediction go through a softmax, which makes them probabilities. The cost is the
# negative logarithm of the probability of the true class, as in any classifier. This is called cross-entropy.
# Background has no class, so it does not take part.

# %%
probability = (yolo.softmax(output[:, 5:]) * truth[:, 5:]).sum(axis=1)
class_error = np.log(1 / probability)  # the same as -ln(probability)
classes_term = class_error.sum()
print_table({"probability": probability, "class error": class_error})
print(f"classes term {classes_term:.3f}, ln C = {np.log(len(classes)):.3f}")

# %%
figures.class_costs(probability, class_error, len(classes), names)

# %% [markdown]
# The two cows have a score of 2 for the right class and 0 for the others. The probability is e² / (e² + 19) = 0.28,
# and the cost is 1.27. The dog's scores are all equal, so each of the 20 classes gets 1/20, and the cost is ln 20 =
# 2.996.
#
# That last number is worth remembering. A network that knows nothing guesses, so **the class error of an untrained
# network must be near ln C for each object**. If it is not, something is wrong with the class scores or with the
# loss.

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
# There is one more line in the formula. Most predictions are background in most images, and we saw that nothing pulls
# their boxes anywhere. But all cells share the same weights, so their boxes drift whenever the weights change. If
# such a prediction becomes responsible for an object in a later image, it should start from its anchor. At first it
# does, because the head starts with small weights (chapter 3). The warm-up keeps it there during the first steps.
# Later, each anchor has been responsible for many objects, and the shared weights have learned sensible boxes.
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
# We have worked out all six terms by hand. Here they are beside those of `yolo.yolo_loss`, which does the same for a
# whole batch at once.

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

# %% tags=["slide"]
results = {"invented output": terms, "untrained network": untrained_terms}
figures.loss_shares(results)

# %% [markdown]
# The bars show where the loss comes from. In our invented output (left), the classes cost most. An untrained network
# (right) says "0.5" everywhere, so each of its more than 670 background predictions costs ½ × 0.5² = 0.125, and
# together they make up most of the loss. So a network spends much of its early training on learning to say "nothing
# here". To spare it that, chapter 5 starts from a lower objectness, as chapter 3 announced. (The anchor warm-up is
# 0.0016 on the left, and switched off on the right.)

# %% [markdown]
# ## Can a network learn a few images by heart?
#
# Before you train for hours, do the first test for any new loss: overfit. Take a handful of images, without
# augmentation, and train until the network knows them by heart. A network with a correct loss can do this in a
# minute. If it cannot, more data will not help.
#
# We take the running example and three more images, and a network with an eighth of the paper's filters. The training
# loop is the plainest there is: predict, compute the loss, compute the gradient, take a step. Chapter 5 explains real
# training. [Adam](https://keras.io/api/optimizers/adam/) is an optimizer that works well with one fixed learning
# rate, and `tf.function` compiles the step, which makes it faster.

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
snapshots = {0: yolo.detect(network, photo, anchors)}
for step in range(1, 81):
    history.append(train_step())
    if step in (40, 80):
        snapshots[step] = yolo.detect(network, photo, anchors)

# %%
figures.loss_curves(history)

# %% [markdown]
# The vertical axis is logarithmic, so a step down to the next power of ten means a tenth of the loss. The values are
# means over four images, and not of one as above. The background term is by far the largest, as the bars above
# predicted, and it falls to a small part of its first value. The size term starts at 1.8 and not at 0.26 as in the
# bars, because two of the other images have objects that fit their anchors badly. Location and size become tiny,
# because here every box can be memorized. One curve looks wrong at first: objectness *rises* during the first steps.
# Two causes are plausible. Nearly all predictions are told to be silent, and the responsible ones share their
# weights, so at first they become silent as well. And while the boxes improve, their IoU rises, which is the target
# of the objectness. Keep this in mind when you see no detections early in a training run.

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
print(f"mAP on these {len(few)} images: {score:.3f}")

# %% [markdown]
# The mAP (mean average precision) looks at all detections with a score above 0.005, and chapter 6 explains how it is
# computed. It is 1 when every object is found and every false positive has a lower score than the right detections of
# its class. The network has passed the test: target, loss, gradient, decoding and suppression fit together. Such a
# test finds gross mistakes. Others, such as a forgotten `tf.stop_gradient`, may pass it and need a test of their own
# (exercise 4.4).
#
# How much do the mistakes in the pitfall boxes cost together? Short trainings from random weights reached an mAP of
# 0.159 with `yolo_loss` and of 0.074 with the loss of the series, which also lacks the box weight and the anchor
# warm-up (see the table in the [README](../README.md#what-does-each-part-give)).
#
# Learning four images by heart says nothing about images that the network has not seen. It is exactly what we do
# *not* want from real training.

# %% [markdown]
# ## Exercises
#
# Each exercise has a starter cell for you to complete, a folded solution, and a check cell that says whether your
# answer is right. To try an exercise yourself here, complete the starter cell, skip the folded solution and run the
# check. The check cells are folded as well, because they contain the answers: run them without opening them. The
# student edition (`make workshop`) leaves the solutions out. Run the next cell first: it defines what the exercises
# need.


# %% tags=["exercise-setup"]
from unittest import mock

# The running example in numbers, so that the exercises work with every data set.
anchors = np.float32([[1.259, 2.059], [4.782, 3.227], [2.988, 6.765], [9.131, 7.623]])
boxes = [
    [0, 0.323, 0.382, 0.547],
    [0.388, 0.205, 0.91, 0.648],
    [0.866, 0.496, 0.986, 0.627],
]
y_true, true_boxes = yolo.encode_boxes(boxes, [9, 9, 11], anchors, 13, num_classes=20)
responsible = y_true[..., 4] == 1  # (13, 13, 4)
truth = y_true[responsible]  # one row for each object

# The invented output: anchors everywhere, and a neighbour that fits the standing cow
y_pred = np.zeros_like(y_true)
y_pred[..., 4] = -2
y_pred[responsible, 4] = 0
neighbour = (5, 9, 3)
y_pred[neighbour][:5] = [-2, 0, -0.3, -0.3, 1]

cells = yolo.grid_cells(13, 13).numpy()
predicted_xy = cells + yolo.sigmoid(y_pred[..., 0:2])
predicted_wh = anchors * np.exp(y_pred[..., 2:4])
predicted_boxes = np.concatenate([predicted_xy, predicted_wh], axis=-1)
ious = yolo.iou_centred(predicted_boxes[..., None, :], true_boxes).numpy()
best_iou = ious.max(axis=-1)  # (13, 13, 4)
own_iou = yolo.iou_centred(predicted_boxes[responsible], truth[:, :4]).numpy()


def loss_with_stop(stop_gradient):
    """yolo.yolo_loss with another function in place of tf.stop_gradient."""

    def loss_function(*arguments):
        with mock.patch.object(tf, "stop_gradient", stop_gradient):
            return yolo.yolo_loss(*arguments)

    return loss_function


loss_without_stop = loss_with_stop(tf.identity)  # tf.identity changes nothing

# %% [markdown]
# ### Exercise 4.1: Up, down or not at all? (5 minutes)
#
# A training step moves each raw output against its gradient. The table shows four predictions for a photo with a cow
# and a dog. The anchor warm-up is over.
#
# | | Which prediction? | IoU of its box | Its objectness |
# |---|---|---|---|
# | **A** | responsible for the cow | 1.00 with the cow | 0.95 |
# | **B** | responsible for the dog | 0.37 with the dog | 0.60 |
# | **C** | one cell to the right of A, same anchor, not responsible | 0.65 with the cow, 0 with the dog | 0.90 |
# | **D** | two cells to the right of A, same anchor, not responsible | 0.41 with the cow, 0 with the dog | 0.30 |
#
# For each of the four, does the step `"raise"`, `"lower"` or `"leave"` the raw output of the objectness? And what does
# it do to the raw width of D? Enter this last answer as `"width of D"`. If you can tell the five answers without
# running anything, you have understood the three roles. The check compares them with the gradient of `yolo.yolo_loss`.

# %% tags=["starter"]
prediction = {
    "A": None,  # "raise", "lower" or "leave"
    "B": None,
    "C": None,
    "D": None,
    "width of D": None,
}

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
prediction = {
    "A": "raise",  # its target is its IoU of 1.00
    "B": "lower",  # its target is its IoU of 0.37, although there is a dog
    "C": "leave",  # ignored, because its IoU is above 0.6
    "D": "lower",  # background, because its IoU is not above 0.6
    "width of D": "leave",  # background trains its objectness only
}

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
hints = {
    "A": "a responsible prediction should say how well its box fits",
    "B": "the target is not 1 but the IoU that its box reaches",
    "C": "an IoU above 0.6 with any object makes it an ignored prediction",
    "D": "its IoU is not above 0.6, and it is not responsible: which role is left?",
    "width of D": "only responsible predictions learn location and size",
}
places = {"A": (4, 3, 1), "B": (9, 9, 0), "C": (4, 4, 1), "D": (4, 5, 1)}
scene = np.zeros((13, 13, 4, 6), "float32")  # both objects are as large as an anchor
scene[places["A"]] = [3.5, 4.5, *anchors[1], 1, 1]
scene[places["B"]] = [9.5, 9.5, *anchors[0], 1, 1]
scene_boxes = scene[scene[..., 4] == 1][:, :4].reshape(1, 1, 1, 2, 4)
raw = np.zeros_like(scene)  # all boxes are anchors in the middle of their cells
raw[places["B"]][2] = -1  # exp(-1) = 0.37 of the anchor's width
for letter, objectness in {"A": 0.95, "B": 0.6, "C": 0.9, "D": 0.3}.items():
    raw[places[letter]][4] = np.log(objectness / (1 - objectness))

raw = tf.Variable(raw[None])
with tf.GradientTape() as tape:
    loss = tf.add_n(yolo.yolo_loss(scene[None], scene_boxes[None], raw, anchors))
gradient = tape.gradient(loss, raw)[0].numpy()
slopes = {letter: gradient[place][4] for letter, place in places.items()}
slopes["width of D"] = gradient[places["D"]][2]
effects = {1: "lower", -1: "raise", 0: "leave"}
for key, slope in slopes.items():
    assert prediction.get(key) is not None, f"your prediction for {key} is still empty"
    assert prediction[key] in effects.values(), f'{key}: "raise", "lower" or "leave"?'
    assert prediction[key] == effects[int(np.sign(slope))], f"{key}: {hints[key]}"
print("Exercise 4.1 is right: C and D draw the same shape in neighbouring cells, but")
print("only D learns to be silent, because its IoU is below the threshold of 0.6.")

# %% [markdown]
# ### Exercise 4.2: One objectness for all (10 minutes)
#
# At the start of training the network cannot tell a cow from grass. Suppose that it has to give all predictions the
# same objectness p, and that the boxes stay as they are. Which p would it learn? Only two terms of the loss matter for
# this question:
#
# $$\text{loss}(p) = \tfrac{\text{weight}}{2} \sum_{\text{responsible}} (\text{own IoU} - p)^2
# + \tfrac12 \sum_{\text{background}} p^2$$
#
# In YOLOv2 the weight is 5. Complete `best_constant`, which returns the p with the smallest loss. There are two ways to
# find it, and you may choose. Either try many values of p between 0 and 1, or set the derivative of the loss to zero.
# An error of 0.001 is allowed, so try at least 1,001 values. The answer explains why the curve of the objectness term
# rises at first when our network learns four images. Hand in the function.


# %% tags=["starter"]
def best_constant(own_ious, num_background, weight=5):
    """The objectness that costs the least if all predictions have to share it.

    Parameters
    ----------
    own_ious : array (n,)
        IoU of each responsible prediction with its object, from 0 to 1.
    num_background : int
        Number of background predictions.
    weight : float
        Weight of the objectness term.

    Returns
    -------
    float
        From 0 to 1.
    """
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def best_constant(own_ious, num_background, weight=5):
    """The objectness that costs the least if all predictions have to share it."""
    # Each responsible prediction pulls with weight x (own IoU - p), and each background
    # prediction pulls with -p. At the best p, all these pulls add up to zero.
    total_weight = weight * len(own_ious) + num_background
    return weight * np.sum(own_ious) / total_weight


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
found = best_constant(np.array([0.8]), 15)
assert found is not None, "best_constant is still empty: it returns None"
assert np.ndim(found) == 0, "return one number for all predictions"
mistakes = {
    0.8: "this is the best p for the responsible prediction alone; add the background",
    0.25: "you divide by 16 predictions, but one of them counts 5 times there too",
    0.05: "you leave out the weight of 5 of the objectness term",
    0.1143: "both terms have a factor of one half; you use it in only one of them",
    1.2: "1.2 is the smallest loss; return the p at which it is reached",
}
for wrong, hint in mistakes.items():
    assert not np.isclose(found, wrong, atol=1e-3), hint
assert 0 <= found <= 1, (
    "p is an objectness between 0 and 1, not the index of the best p"
)
assert abs(found - 0.2) < 1.1e-3 or abs(found - 0.2) > 0.06, (
    f"you find {found:.4f}, and the best p is 0.2000: your steps are too coarse. With "
    "np.linspace(0, 1, 1001) the values are 0.001 apart"
)
assert np.isclose(found, 0.2, atol=1.1e-3), (
    "for one object with an IoU of 0.8 and 15 background predictions, p is 0.2 "
    f"and not {found:.3f}"
)
found = best_constant(np.array([0.9, 0.6]), 20)
assert not np.isclose(found, 0.125, atol=1e-3), "add up the IoUs, do not average them"
assert np.isclose(found, 0.25, atol=1.1e-3), (
    "for two objects (IoU 0.9 and 0.6) and 20 background predictions, p is 0.25 "
    f"and not {found:.3f}: add up the pulls of both objects"
)
found = best_constant(np.array([0.9, 0.6]), 20, 1)
assert not np.isclose(found, 0.25, atol=1.1e-3), (
    "use the argument `weight`; it is not always 5"
)
assert np.isclose(found, 0.0682, atol=1.1e-3), (
    f"with a weight of 1 the best p is 0.0682, not {found:.4f}: try values that are "
    "0.001 apart, or compute p exactly"
)
for weight in (1, 5, 50):
    print(f"weight {weight:2}: best p {best_constant(own_iou, 670, weight):.3f}")
print(
    "Exercise 4.2 is right: while a network cannot tell a cow from grass, it does best"
)
print("to answer almost 0 everywhere. So the objectness term rises at first. Chapter 5")
print("starts with an objectness of 0.02 everywhere, which is not far from the best p.")

# %% [markdown]
# ### Exercise 4.3: Ignore more, or fewer? (10 minutes)
#
# The threshold of 0.6 decides which predictions are ignored. What would happen with another threshold? The first cell
# of the exercises has prepared the invented output of this chapter, with `best_iou` and `responsible` for its 676
# predictions. Complete `count_ignored` and run the cell, which calls it with three thresholds. Then imagine that you
# train with a threshold of 0.3. Which effect should you expect?
#
# - **A**: Location and size get better, because more predictions learn the box of the object that they overlap.
# - **B**: Objects get additional boxes that cover them only in part, because the predictions round an object are no
#   longer told to be silent.
# - **C**: Objects are missed, because the ignored predictions take the place of the responsible ones.
# - **D**: Nothing gets worse. The background term falls, and a smaller loss means a better detector.
#
# Hand in the function and the letter.


# %% tags=["starter"]
def count_ignored(best_iou, responsible, threshold):
    """Number of predictions that are ignored.

    Parameters
    ----------
    best_iou : array (13, 13, 4)
        Largest IoU of each predicted box with any true box.
    responsible : bool array (13, 13, 4)
    threshold : float
        0.6 in YOLOv2.

    Returns
    -------
    int
    """
    return None  # your code


explanation = None  # "A", "B", "C" or "D"

for threshold in (0.3, 0.6, 0.9):
    count = count_ignored(best_iou, responsible, threshold)
    if count is not None:
        print(f"threshold {threshold}: ignored {count}")


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def count_ignored(best_iou, responsible, threshold):
    """Number of predictions that are ignored."""
    ignored = (best_iou > threshold) & ~responsible
    return int(ignored.sum())


# An ignored prediction learns nothing: no location and size (A), and no objectness. It
# cannot replace a responsible one, which is never ignored (C). So the only change is
# that 79 more predictions may say what they like. Their boxes fit badly, with an IoU
# between 0.3 and 0.6, and the loss is smaller only because it looks away (D).
explanation = "B"

for threshold in (0.3, 0.6, 0.9):
    count = count_ignored(best_iou, responsible, threshold)
    print(f"threshold {threshold}: ignored {count}")

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
wrong_because = {
    "A": "ignored predictions learn nothing, neither location nor size",
    "C": "a responsible prediction is never ignored and is trained as before",
    "D": "the loss only falls because fewer predictions are asked",
}
example_iou = np.array([0.9, 0.7, 0.5, 0.3])
example_responsible = np.array([True, False, False, False])
found = count_ignored(example_iou, example_responsible, 0.6)
assert found is not None, "count_ignored is still empty: it returns None"
assert np.ndim(found) == 0, "return a number, the count of the ignored predictions"
assert found != 2, "responsible predictions are never ignored; leave them out"
assert found != 3, "you count every prediction that is not responsible; compare its IoU"
assert found != 4, "a prediction must fulfil both conditions: combine them with &"
assert found == 1, f"of four predictions, only that of 0.7 is ignored, not {found}"
assert count_ignored(example_iou, example_responsible, 0.4) == 2, (
    "use the argument `threshold`; it is not always 0.6"
)
assert explanation is not None, "the explanation is still empty: choose a letter"
assert explanation in ("A", "B", "C", "D"), "the explanation is one letter, A to D"
assert explanation == "B", f"{explanation} is not it: {wrong_because[explanation]}"
print(
    "Exercise 4.3 is right: with a low threshold, nothing silences badly placed boxes."
)
print(
    "A high threshold has a price as well: at 0.9 even our neighbour, which reaches an"
)
print(f"IoU of {best_iou[neighbour]:.2f}, would be trained to be silent.")

# %% [markdown]
# ### Exercise 4.4: A test for a silent mistake (15 minutes)
#
# A forgotten `tf.stop_gradient` raises no error message, so you need a test that finds it. The first cell of the
# exercises defines `loss_without_stop`, which is `yolo.yolo_loss` with exactly this mistake. Complete
# `objectness_moves_box`. It gets one of the two loss functions and says whether the *objectness term alone* has a
# gradient with respect to the location and the size, the raw outputs 0 to 3. The answer must be False for the correct
# loss and True for the other one.
#
# Both functions are called as in this chapter, `loss_function(y_true[None], true_boxes[None], raw, anchors)`, and
# return a named tuple of the six terms, so `terms.objectness` is the one that you need. Use `y_true`, `true_boxes`,
# `y_pred` and `anchors` from the first cell of the exercises. The section "Which numbers does each role train?" shows
# how to measure a gradient. Hand in the function. The check tries your test on some more losses.


# %% tags=["starter"]
def objectness_moves_box(loss_function):
    """Whether the objectness term sends a gradient into location or size.

    Parameters
    ----------
    loss_function : function
        Like `yolo.yolo_loss`.

    Returns
    -------
    bool
    """
    # Start with raw = tf.Variable(y_pred[None]), which a tape watches by itself.
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def objectness_moves_box(loss_function):
    """Whether the objectness term sends a gradient into location or size."""
    raw = tf.Variable(y_pred[None])
    with tf.GradientTape() as tape:
        terms = loss_function(y_true[None], true_boxes[None], raw, anchors)
        objectness_term = terms.objectness
    gradient = tape.gradient(objectness_term, raw).numpy()  # (1, 13, 13, 4, 25)
    return bool(np.any(gradient[..., 0:4] != 0))


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
def loss_without_box_terms(*arguments):
    terms = yolo.yolo_loss(*arguments)
    return terms._replace(location=0 * terms.location, size=0 * terms.size)


def stop_location_only(boxes, original=tf.stop_gradient):
    return tf.concat([original(boxes[..., :2]), boxes[..., 2:]], axis=-1)


try:
    answer = objectness_moves_box(loss_without_box_terms)
except (AttributeError, TypeError, ValueError) as error:
    if "None" not in str(error):
        raise
    message = (
        "the tape returned None: it has not seen how the term depends on raw. Call the "
        "loss and take its objectness term inside of the `with` block"
    )
    raise AssertionError(message) from None
assert answer is not None, "objectness_moves_box is still empty: it returns None"
assert isinstance(answer, bool | np.bool_), "return True or False; bool(...) makes one"
assert not answer, (
    "your test raises an alarm where nothing can move the box: look at the raw outputs "
    "0 to 3 only, gradient[..., 0:4], because number 4 is the objectness itself"
)
assert not objectness_moves_box(yolo.yolo_loss), (
    "your test raises an alarm for the correct loss: differentiate terms.objectness "
    "alone, because the location and size terms move the box and should do so"
)
assert objectness_moves_box(loss_without_stop), (
    "your test misses the mistake: does it differentiate terms.objectness, and compare "
    "the gradient of the raw outputs 0 to 3 with zero?"
)
assert objectness_moves_box(loss_with_stop(stop_location_only)), (
    "your test misses a loss in which only the size moves: look at numbers 2 and 3 too"
)
print(
    "Exercise 4.4 is right: your test accepts the correct loss and finds two mistakes."
)
print(
    "Always try a test on a wrong version too. Only then do you know that it can fail."
)

# %% [markdown]
# ## Check your understanding
#
# <details><summary>1. Why is a prediction that overlaps an object well not trained to be silent, even if it is not responsible?</summary>
#
# Its box is a good answer. It is not responsible only because the centre of the object lies in another cell, or because
# another anchor fits better. To teach it "there is nothing here" would be to teach it something false. Suppression
# removes such duplicates later.
#
# </details>
#
# <details><summary>2. Why are sizes compared as logarithms?</summary>
#
# A difference of logarithms measures the ratio of two sizes. A box of twice the true width then costs the same for a
# small and for a large object. With sizes in grid units, the large objects would decide nearly every training step.
#
# </details>
#
# <details><summary>3. Why can the objectness of a responsible prediction fall, although there is an object?</summary>
#
# Its target is not 1 but the IoU that its box reaches with the object. If it claims more than this IoU, its objectness
# is lowered. When the box improves, the target rises again.
#
# </details>
#
# <details><summary>4. You train on a data set with 3 classes. Which class error for each object do you expect from an untrained network, and which with only 1 class?</summary>
#
# With 3 classes it should be near ln 3 = 1.10, the cost of a blind guess. With 1 class it is exactly 0, because the
# softmax of a single number is always 1. The network then has nothing to learn about classes.
#
# </details>
#
# <details><summary>5. An untrained network has an objectness of 0.5 everywhere. Which term makes up most of its loss, and how large is it at 670 background predictions?</summary>
#
# The background term does. Each prediction costs ½ × 0.5² = 0.125, so 670 of them cost about 84. Each one is cheap, but
# there are more than 200 of them for every object.
#
# </details>

# %% [markdown]
# ## Key points
#
# - Each object has one responsible prediction. Other predictions that overlap an object by more than 0.6 are ignored, and the rest is background, which only has to be silent.
# - After the anchor warm-up, only responsible predictions learn location, size and class. Background learns objectness
#   alone.
# - Sizes are compared as logarithms, so that the same relative error gives the same squared difference for every object.
#   Location and size are then multiplied by the box weight, from 1 for a box that fills the image to nearly 2 for a tiny
#   one.
# - The target of objectness is the IoU that the box reaches, taken as a constant: objectness follows the box.
# - Two quick tests for a new loss: the class error of an untrained network is near ln C, and a small network can learn a
#   few images by heart.
#
# **Next:** [chapter 5](05_training.ipynb) trains the network on all images, so that it also finds objects in images
# that it has never seen.
