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
# # 4 The loss: one number from 16,900
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/04_loss.ipynb)
#
# **Goal.** Understand every term of YOLOv2's loss with numbers that can be followed by hand, and prove that its gradient is
# the one that the original program, Darknet, trains with.
#
# *The series* is Yumi's blog series on YOLOv2, which these notebooks follow; *the paper* is [YOLO9000](https://arxiv.org/abs/1612.08242); *Darknet* is its authors' [program](https://github.com/pjreddie/darknet).
#
# **You will learn**
# - which prediction is *responsible* for an object, which ones are *ignored*, and what happens to all the others,
# - the five terms (place, size, confidence of objects, confidence of background, class) and the warm-up,
# - why sizes are compared as logarithms, and why the target of the confidence is the overlap,
# - a handful of sanity checks that find most mistakes in a loss before any training,
# - the best test of all: one small batch, learned by heart in under a minute.
#
# *Read 30 min, run about 1 min on two CPU cores, exercises 25 min.*
#
# | part | 1 anchors | 2 encoding | 3 model | **4 loss** | 5 training | 6 inference |
# |---|---|---|---|---|---|---|
# | makes | `anchors.json` | batches | the network | **the loss** | `yolov2_weights.npz` | detections, mAP |

# %% [markdown]
# ## Set-up

# %%
import os
import subprocess
import sys
from pathlib import Path

# In Colab only this file was opened: fetch the rest of the repository.
if "google.colab" in sys.modules and not Path("../yolo_helpers.py").exists():
    address = "https://github.com/yolov2-from-scratch/yolov2-from-scratch.git"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", address, "/content/yolov2"], check=True)
    os.chdir("/content/yolov2/notebooks")
sys.path.insert(0, str(next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "yolo_helpers.py").exists())))

# %%
import yolo_helpers as yolo  # first: it keeps TensorFlow's start quiet

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib.patches import Rectangle
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats("jpeg", pil_kwargs={"quality": 80})
plt.rcParams.update({"figure.dpi": 90, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, RED, GREY = "#2f6fab", "#e08a1e", "#3a9d5d", "#c8443c", "#8a8f98"

# %% tags=["nbval-ignore-output"]
settings = yolo.load_settings()
print("TensorFlow", tf.__version__, " Keras", keras.__version__)
print(settings.table())

# %%
train = yolo.load_splits(settings.voc_dir).train
anchors = np.array(yolo.read_artifact(
    yolo.find_artifact(settings, "anchors.json", "01_anchor_clustering", yolo.fingerprint(train)))["anchors"])
print(np.round(anchors, 2))

# %% [markdown]
# ## What should the loss demand?
#
# The network makes 13 × 13 × 4 = 676 predictions for every photo, and a photo has two or three objects. So the first
# question is not *how wrong* a prediction is but *whose business* it is:
#
# | prediction | who is it? | what is demanded |
# |---|---|---|
# | **responsible** | the cell that holds an object's centre, with the anchor most like the object's shape | place, size, class, and a confidence equal to the IoU that it reaches |
# | **ignored** | not responsible, but it overlaps some object by more than .6 | nothing: it is a good box, and punishing it would be unfair |
# | **background** | all others | confidence 0, nothing else |
#
# A background prediction has no true box and no true class, so those raw outputs get no gradient at all.

# %% [markdown]
# ## An example small enough for pencil and paper
#
# A grid of 3 × 3 cells, two anchors (1 × 1 and 2 × 2 cells), three classes, two objects: a cat and a person. All lengths
# are in grid units, so the picture is 3 wide and 3 high.

# %%
toy_classes = ("cat", "dog", "person")
toy_anchors = np.array([[1.0, 1.0], [2.0, 2.0]]) / 3  # fractions of the image, as everywhere
toy_true = np.array([[0.6, 0.7, 1.2, 0.9], [1.5, 1.9, 1.6, 2.0]])  # centre x, y, width, height in grid units
toy_labels = np.array([0, 2])
corners = np.concatenate([toy_true[:, :2] - toy_true[:, 2:] / 2, toy_true[:, :2] + toy_true[:, 2:] / 2], axis=1) / 3
y, boxes = yolo.encode_boxes(corners, toy_labels, toy_anchors, 3, num_classes=3)
y_true, true_boxes = y.numpy()[None].astype(float), boxes.numpy()[None].astype(float)
for row, column, anchor in np.argwhere(y_true[0, ..., 4]):
    entries = y_true[0, row, column, anchor]
    print(f"cell in row {row}, column {column}, anchor {anchor} is responsible for the {toy_classes[entries[5:].argmax()]}"
          f" at {entries[:2].round(2)}, size {entries[2:4].round(2)}")

# %% [markdown]
# Now we invent raw outputs *t* of a network. Almost everything is 0, with a confidence of σ(−2) = .12. Three predictions
# are of interest: the two responsible ones, and a neighbour below the person's cell that draws nearly the same box.

# %%
y_pred = np.zeros((1, 3, 3, 2, 8))
y_pred[..., 4] = -2
#                          tx  ty    tw   th  to  cat dog person
y_pred[0, 0, 0, 0] = [      0,  1,    0,   0,  1,   2,  0,   0]  # responsible for the cat
y_pred[0, 1, 1, 1] = [      0,  1, -0.2,   0,  0,   0,  1,   1]  # responsible for the person
y_pred[0, 2, 1, 1] = [      0, -2, -0.2,   0,  1,   0,  0,   1]  # its neighbour below


# %% [markdown]
# ## From raw outputs to boxes
#
# `get_cell_grid` holds each cell's column and row; `adjust_scale_prediction` turns raw outputs into boxes: the centre is
# cell + σ(t), the size is anchor × eᵗ. Both names are the series'. The class scores stay raw for the moment.

# %%
def sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def get_cell_grid(GRID_W, GRID_H, BATCH_SIZE, BOX):
    """(B, G, G, A, 2): column and row of each prediction's cell."""
    cell_grid = np.zeros((BATCH_SIZE, GRID_H, GRID_W, BOX, 2))
    for row in range(GRID_H):
        for column in range(GRID_W):
            cell_grid[:, row, column, :] = (column, row)
    return cell_grid


def adjust_scale_prediction(y_pred, cell_grid, ANCHORS):
    """Raw outputs to centre, size (grid units), confidence and raw class scores; ANCHORS (A, 2) in grid units."""
    pred_box_xy = sigmoid(y_pred[..., :2]) + cell_grid
    pred_box_wh = np.exp(np.minimum(y_pred[..., 2:4], 20)) * ANCHORS
    pred_box_conf = sigmoid(y_pred[..., 4])
    pred_box_class = y_pred[..., 5:]
    return pred_box_xy, pred_box_wh, pred_box_conf, pred_box_class


def extract_ground_truth(y_true):
    """The target of notebook 02 taken apart: centre, size, confidence (1 = responsible) and class number."""
    return y_true[..., :2], y_true[..., 2:4], y_true[..., 4], y_true[..., 5:].argmax(axis=-1)


# %%
cell_grid = get_cell_grid(3, 3, 1, 2)
pred_box_xy, pred_box_wh, pred_box_conf, pred_box_class = adjust_scale_prediction(y_pred, cell_grid, toy_anchors * 3)
true_box_xy, true_box_wh, true_box_conf, true_box_class = extract_ground_truth(y_true)

CAT, PERSON, NEIGHBOUR = (0, 0, 0, 0), (0, 1, 1, 1), (0, 2, 1, 1)  # image, row, column, anchor
print("             centre          size         confidence")
for name, place in (("cat", CAT), ("person", PERSON), ("neighbour", NEIGHBOUR)):
    print(f"{name:<10} {pred_box_xy[place].round(2)}    {pred_box_wh[place].round(2)}     {pred_box_conf[place]:.2f}")

# %%
def draw_centred(axis, centre, size, colour, text=None, **style):
    axis.add_patch(Rectangle(centre - size / 2, *size, fill=False, edgecolor=colour, linewidth=2.2, **style))
    if text:
        axis.text(*(centre - size / 2 + [0.06, -0.06]), text, color=colour, fontsize=9, va="bottom", weight="bold")


figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.6), layout="constrained")
draw_centred(axes[0], toy_true[0, :2], toy_true[0, 2:], BLUE, "cat")
draw_centred(axes[0], toy_true[1, :2], toy_true[1, 2:], GREEN, "person")
for cell, colour in (((0, 0), BLUE), ((1, 1), GREEN)):
    axes[0].add_patch(Rectangle(cell, 1, 1, color=colour, alpha=0.15))
axes[0].plot(*toy_true[:, :2].T, "o", color="black")
axes[0].set_title("The truth: a centre lies in one cell (shaded)")
draw_centred(axes[1], pred_box_xy[CAT], pred_box_wh[CAT], BLUE, "responsible")
draw_centred(axes[1], pred_box_xy[PERSON], pred_box_wh[PERSON], GREEN, "responsible")
draw_centred(axes[1], pred_box_xy[NEIGHBOUR], pred_box_wh[NEIGHBOUR], ORANGE, "ignored", linestyle="--")
axes[1].set_title("Three of the 18 predictions; the rest is background")
for axis in axes:
    axis.set(xlim=(-0.1, 3.2), ylim=(3.25, -0.3), aspect="equal", xticks=range(4), yticks=range(4))
    axis.grid(color="#cccccc")
    axis.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# ## Terms 1 and 2: place and size
#
# $$L_{xy} = \tfrac12 \sum_{\text{obj}} (2 - wh)\,\lVert xy_{true} - \sigma(t)\rVert^2 \qquad
# L_{wh} = \tfrac12 \sum_{\text{obj}} (2 - wh)\,\lVert \ln(wh_{true} / anchor) - t \rVert^2$$
#
# - **Sizes are compared as logarithms.** ln(true / anchor) is exactly the raw output that would give the true size. Being
#   twice too large then costs the same for a bottle as for a bus.
# - **2 − wh** (width times height as fractions of the image) gives small objects up to twice the weight of large ones,
#   because an error of the same size hurts them more.

# %%
def calc_loss_xywh(true_box_conf, COORD_SCALE, true_box_xy, pred_box_xy, true_box_wh, pred_box_wh):
    """Sums of the place and the size term; COORD_SCALE is 1, weighted by 2 - w h for each object."""
    grid_h, grid_w = true_box_conf.shape[1:3]
    weight = COORD_SCALE * true_box_conf * (2 - true_box_wh[..., 0] * true_box_wh[..., 1] / (grid_w * grid_h))
    safe_true_wh = np.where(true_box_conf[..., None] > 0, true_box_wh, pred_box_wh)  # no object: no error
    error_xy = ((true_box_xy - pred_box_xy) ** 2).sum(axis=-1)
    error_wh = (np.log(safe_true_wh / pred_box_wh) ** 2).sum(axis=-1)
    return 0.5 * np.sum(weight * error_xy), 0.5 * np.sum(weight * error_wh)


# %% [markdown]
# (ln(true / anchor) − t is the same as ln(true / predicted), as the predicted size is anchor × eᵗ.) By hand, object by
# object:

# %%
for name, place in (("cat", CAT), ("person", PERSON)):
    weight = 2 - np.prod(true_box_wh[place]) / 9
    offset, guess = true_box_xy[place] - cell_grid[place], sigmoid(y_pred[place][:2])
    ratio = np.log(true_box_wh[place] / pred_box_wh[place])
    error_xy, error_wh = np.sum((offset - guess) ** 2), np.sum(ratio**2)
    print(f"{name}: weight 2 - {np.prod(true_box_wh[place]):.2f}/9 = {weight:.2f}")
    print(f"  place: target {offset.round(2)}, predicted {guess.round(2)}:"
          f"  1/2 x {weight:.2f} x {error_xy:.4f} = {0.5 * weight * error_xy:.4f}")
    print(f"  size:  log ratio {ratio.round(2) + 0.0}:  1/2 x {weight:.2f} x {error_wh:.4f} = {0.5 * weight * error_wh:.4f}")
loss_xy, loss_wh = calc_loss_xywh(true_box_conf, 1, true_box_xy, pred_box_xy, true_box_wh, pred_box_wh)
print(f"sums: place {loss_xy:.4f}, size {loss_wh:.4f}")

# %% [markdown]
# ## Term 3: the class
#
# The cross entropy of the softmax, only where there is an object. A background cell has no class, so nothing is asked.

# %%
def calc_loss_class(true_box_conf, CLASS_SCALE, true_box_class, pred_box_class):
    """Sum over the objects of -ln(softmax probability of the true class)."""
    scores = pred_box_class - pred_box_class.max(axis=-1, keepdims=True)  # the same softmax, without overflow
    log_probability = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    of_true_class = np.take_along_axis(log_probability, true_box_class[..., None], axis=-1)[..., 0]
    return CLASS_SCALE * np.sum(true_box_conf * -of_true_class)


for name, place in (("cat", CAT), ("person", PERSON)):
    powers = np.exp(pred_box_class[place])
    p = powers[true_box_class[place]] / powers.sum()
    print(f"{name}: scores {pred_box_class[place]}, probability of {name} {p:.3f}, cost -ln {p:.3f} = {-np.log(p):.3f}")
loss_class = calc_loss_class(true_box_conf, 1, true_box_class, pred_box_class)
print(f"sum: {loss_class:.3f}")

# %% [markdown]
# ## Terms 4 and 5: the confidence
#
# What should the confidence *o* (the code calls it objectness) of a responsible prediction be? Not 1: the paper wants it to say *how well the box fits*, so its
# target is the **IoU** that the box reaches right now. For the gradient that target is a constant: the confidence should
# follow the box, never the box the confidence.
#
# $$L_{conf} = \tfrac12 \Big[\, 5 \sum_{\text{obj}} (\text{IoU} - o)^2 + \sum_{\text{background}} o^2 \,\Big]$$
#
# The factor 5 makes up for numbers: there are hundreds of background predictions for each object.
#
# Two IoUs are needed. With the **assigned** true box, for the target; and the **best** with any true box of the photo, for
# the decision who is ignored. The second one is why notebook 02 carries the list of 50 true boxes along.

# %%
def iou_centred(xy_a, wh_a, xy_b, wh_b):
    """IoU of boxes given by centre and size."""
    low = np.maximum(xy_a - wh_a / 2, xy_b - wh_b / 2)
    high = np.minimum(xy_a + wh_a / 2, xy_b + wh_b / 2)
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    return overlap / (np.prod(wh_a, axis=-1) + np.prod(wh_b, axis=-1) - overlap)


def calc_IOU_pred_true_assigned(true_box_conf, true_box_xy, true_box_wh, pred_box_xy, pred_box_wh):
    """IoU of each responsible prediction with its object; 0 for the others."""
    return true_box_conf * iou_centred(true_box_xy, true_box_wh, pred_box_xy, pred_box_wh)


def calc_IOU_pred_true_best(pred_box_xy, pred_box_wh, true_boxes):
    """Best IoU of each prediction with any true box of its image; true_boxes (B, 1, 1, 1, 50, 4)."""
    best_ious = np.zeros(pred_box_xy.shape[:-1])
    for k in range(true_boxes.shape[4]):
        box = true_boxes[:, :, :, :, k]  # rows of zeros at the end are no boxes: their overlap is 0
        best_ious = np.maximum(best_ious, iou_centred(pred_box_xy, pred_box_wh, box[..., :2], box[..., 2:]))
    return best_ious


# %%
def get_conf_mask(best_ious, true_box_conf, LAMBDA_NO_OBJECT, LAMBDA_OBJECT):
    """Weight of each prediction's confidence: 5 responsible, 1 background, 0 ignored."""
    background = (1 - true_box_conf) * (best_ious <= 0.6)
    return LAMBDA_OBJECT * true_box_conf + LAMBDA_NO_OBJECT * background


def calc_loss_conf(conf_mask, true_box_conf, true_box_conf_IOU, pred_box_conf):
    """Sums of the confidence term of the objects and of the background."""
    error = 0.5 * conf_mask * (true_box_conf_IOU - pred_box_conf) ** 2
    return np.sum(error * true_box_conf), np.sum(error * (1 - true_box_conf))


# %%
assigned = calc_IOU_pred_true_assigned(true_box_conf, true_box_xy, true_box_wh, pred_box_xy, pred_box_wh)
best_ious = calc_IOU_pred_true_best(pred_box_xy, pred_box_wh, true_boxes)
conf_mask = get_conf_mask(best_ious, true_box_conf, 1, 5)
for name, place in (("cat", CAT), ("person", PERSON)):
    error = (assigned[place] - pred_box_conf[place]) ** 2
    print(f"{name:<10} IoU {assigned[place]:.3f}, confidence {pred_box_conf[place]:.3f}:"
          f"  1/2 x 5 x {error:.4f} = {2.5 * error:.3f}")
print(f"neighbour  best IoU {best_ious[NEIGHBOUR]:.3f}, weight {conf_mask[NEIGHBOUR]:.0f}: ignored")
count, low = int((conf_mask == 1).sum()), sigmoid(-2.0)
print(f"background {count} x 1/2 x {low:.3f}^2 = {count * low**2 / 2:.3f}")
loss_object, loss_no_object = calc_loss_conf(conf_mask, true_box_conf, assigned, pred_box_conf)
print(f"sums: objects {loss_object:.3f}, background {loss_no_object:.3f}")

# %% [markdown]
# The neighbour's confidence of .73 would have cost 1/2 × .73² = .27, more than all the background together, for drawing
# nearly the right box.

# %% [markdown]
# ## The whole loss
#
# `custom_loss` puts the parts together and divides by the number of images. It has one more term, the warm-up, which a
# section below explains; it is off unless asked for.

# %%
def custom_loss(y_true, true_boxes, y_pred, anchors, warmup=False):
    """The loss per image as a dict of its terms; the loss is their sum. anchors (A, 2) as fractions."""
    batch, grid_h, grid_w, box = y_pred.shape[:4]
    ANCHORS = anchors * [grid_w, grid_h]
    cell_grid = get_cell_grid(grid_w, grid_h, batch, box)
    pred_box_xy, pred_box_wh, pred_box_conf, pred_box_class = adjust_scale_prediction(y_pred, cell_grid, ANCHORS)
    true_box_xy, true_box_wh, true_box_conf, true_box_class = extract_ground_truth(y_true)

    xy, wh = calc_loss_xywh(true_box_conf, 1, true_box_xy, pred_box_xy, true_box_wh, pred_box_wh)
    classes = calc_loss_class(true_box_conf, 1, true_box_class, pred_box_class)
    assigned = calc_IOU_pred_true_assigned(true_box_conf, true_box_xy, true_box_wh, pred_box_xy, pred_box_wh)
    best_ious = calc_IOU_pred_true_best(pred_box_xy, pred_box_wh, true_boxes)
    conf_mask = get_conf_mask(best_ious, true_box_conf, 1, 5)
    objectness, no_objectness = calc_loss_conf(conf_mask, true_box_conf, assigned, pred_box_conf)
    pull = (0.5 - sigmoid(y_pred[..., :2])) ** 2 + y_pred[..., 2:4] ** 2
    warm = 0.5 * 0.01 * np.sum((1 - true_box_conf)[..., None] * pull) if warmup else 0.0
    terms = {"xy": xy, "wh": wh, "objectness": objectness, "no_objectness": no_objectness, "classes": classes, "warmup": warm}
    return {name: value / batch for name, value in terms.items()}


# %%
plain = custom_loss(y_true, true_boxes, y_pred, toy_anchors)
fast = yolo.yolo_loss(y_true, true_boxes, y_pred, toy_anchors)
for name, value in plain.items():
    print(f"{name:<14} {value:7.4f}")
print(f"{'loss':<14} {sum(plain.values()):7.4f}")
assert np.allclose(list(plain.values()), [float(term) for term in fast], atol=1e-5)
print("yolo_loss gives the same terms: True")

# %% [markdown]
# The same comparison on a batch of 16 photos, with random raw outputs, with and without warm-up:

# %%
batch = train[:16]
photos, (y_batch, b_batch) = next(iter(
    yolo.make_dataset(batch, anchors, image_size=416, batch_size=16, training=False, seed=0)))
y_batch, b_batch = y_batch.numpy(), b_batch.numpy()
raw = np.random.default_rng(4).normal(size=y_batch.shape).astype(np.float32)
print("x_batch", photos.shape, " y_batch", y_batch.shape, " b_batch", b_batch.shape)
for warmup in (False, True):
    plain = custom_loss(y_batch.astype(float), b_batch.astype(float), raw.astype(float), anchors, warmup)
    fast = yolo.yolo_loss(y_batch, b_batch, raw, anchors, warmup)
    assert np.allclose(list(plain.values()), [float(term) for term in fast], rtol=1e-4)
    print(f"warm-up {str(warmup):<5}  plain and fast terms agree: True")

# %% [markdown]
# ## Is this Darknet's loss?
#
# Darknet never computes this loss. Its *region layer* writes down the gradient directly: for each raw output a number
# "delta", the amount by which it should move. So the question must be put to the gradient. Here is the region layer's
# procedure in plain loops, in its own order:
#
# 1. **Every prediction** first counts as background: its confidence is pulled to 0, unless it overlaps some true box by
#    more than .6. During warm-up its box is pulled to its anchor.
# 2. **Every true box** then *overwrites* what stands at its cell and anchor. If two boxes want the same place, the last one
#    wins, with everything.
#
# The last line turns the sign (a delta goes downhill, a gradient uphill) and passes through the sigmoids.

# %%
def iou_of_two(a, b):
    """IoU of two boxes (centre x, y, width, height)."""
    overlap = 1.0
    for centre, size in ((0, 2), (1, 3)):
        low = max(a[centre] - a[size] / 2, b[centre] - b[size] / 2)
        high = min(a[centre] + a[size] / 2, b[centre] + b[size] / 2)
        overlap *= max(0.0, high - low)
    return overlap / (a[2] * a[3] + b[2] * b[3] - overlap)


def region_layer_plain(y_pred, boxes, labels, anchors, warmup=False):
    """Gradient of one image's loss in its raw outputs, as Darknet's region layer computes it.

    y_pred (G, G, A, 5 + C) raw outputs; boxes (n, 4) xmin, ymin, xmax, ymax and anchors (A, 2) as fractions of the image;
    labels: n class numbers.
    """
    raw = np.asarray(y_pred, float)
    grid_h, grid_w, count, entries = raw.shape
    anchors = np.asarray(anchors, float) * [grid_w, grid_h]
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)  # single precision, as in the C code
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    objects = np.concatenate([centres, sizes], axis=1) * np.float32([grid_w, grid_h, grid_w, grid_h])

    out = raw.copy()
    out[..., [0, 1, 4]] = sigmoid(raw[..., [0, 1, 4]])
    powers = np.exp(raw[..., 5:] - raw[..., 5:].max(axis=-1, keepdims=True))
    out[..., 5:] = powers / powers.sum(axis=-1, keepdims=True)
    delta = np.zeros_like(raw)

    def predicted_box(j, i, n):
        tx, ty, tw, th = out[j, i, n, :4]
        return i + tx, j + ty, np.exp(min(tw, 20.0)) * anchors[n, 0], np.exp(min(th, 20.0)) * anchors[n, 1]

    for j in range(grid_h):
        for i in range(grid_w):
            for n in range(count):
                box = predicted_box(j, i, n)
                best = max([iou_of_two(box, true_box) for true_box in objects.tolist()], default=0.0)
                if best <= 0.6:
                    delta[j, i, n, 4] = 0 - out[j, i, n, 4]
                if warmup:
                    delta[j, i, n, :2] = 0.01 * (0.5 - out[j, i, n, :2])
                    delta[j, i, n, 2:4] = 0.01 * (0.0 - out[j, i, n, 2:4])

    for (x, y, w, h), label in zip(objects.tolist(), labels):
        i, j = min(int(x), grid_w - 1), min(int(y), grid_h - 1)
        shapes = [iou_of_two((0, 0, w, h), (0, 0, *anchor)) for anchor in anchors.tolist()]
        n = shapes.index(max(shapes))
        scale = 2 - w * h / (grid_w * grid_h)
        tx, ty, tw, th, confidence = out[j, i, n, :5]
        delta[j, i, n, :2] = scale * (x - i - tx), scale * (y - j - ty)
        delta[j, i, n, 2] = scale * (np.log(w / anchors[n, 0]) - tw)
        delta[j, i, n, 3] = scale * (np.log(h / anchors[n, 1]) - th)
        delta[j, i, n, 4] = 5 * (iou_of_two(predicted_box(j, i, n), (x, y, w, h)) - confidence)
        delta[j, i, n, 5:] = np.eye(entries - 5)[label] - out[j, i, n, 5:]

    slope = np.ones_like(raw)
    slope[..., [0, 1, 4]] = out[..., [0, 1, 4]] * (1 - out[..., [0, 1, 4]])
    return -delta * slope


# %% [markdown]
# No loss appears in it, no log-sum-exp, no mask, no `y_true`: the cells and anchors are found again from the boxes. If its
# numbers, divided by the number of images as Darknet does, equal the gradient that TensorFlow derives from `yolo_loss`, the
# two programs train alike.

# %%
def gradient_of_loss(y_true, true_boxes, y_pred, anchors, warmup=False):
    y_pred = tf.convert_to_tensor(y_pred, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        loss = tf.add_n(list(yolo.yolo_loss(y_true, true_boxes, y_pred, anchors, warmup)))
    return tape.gradient(loss, y_pred).numpy()


def objects_of(annotation):
    """Boxes as fractions and labels of the objects that are not difficult."""
    kept = ~annotation.difficult
    return yolo.box_fractions(annotation)[kept], annotation.labels[kept]


for warmup in (False, True):
    images = [region_layer_plain(raw[i], *objects_of(batch[i]), anchors, warmup) for i in range(len(batch))]
    darknet = np.stack(images) / len(batch)
    ours = gradient_of_loss(y_batch, b_batch, raw, anchors, warmup)
    difference = np.abs(darknet - ours).max()
    print(f"warm-up {str(warmup):<5}  largest difference below 1e-5: {difference < 1e-5}")
    assert difference < 1e-5

# %% [markdown]
# That is 16 × 13 × 13 × 4 × 25 = 270,400 numbers, each right. Photos rarely contain the awkward cases, so we make them up, on a
# grid of 10:

# %%
rng = np.random.default_rng(7)
low = rng.uniform(0, 0.7, (50, 2))
cases = {
    "no object": np.zeros((0, 4)),
    "two in one cell and anchor": [[0.4, 0.4, 0.52, 0.6], [0.41, 0.4, 0.53, 0.6]],
    "centre on the lower right border": [[0.9, 0.8, 1.1, 1.2]],
    "fifty objects": np.concatenate([low, low + rng.uniform(0.02, 0.3, (50, 2))], axis=1),
}
for name, boxes in cases.items():
    classes, outputs = rng.integers(0, 20, len(boxes)), rng.normal(size=(10, 10, len(anchors), 25))
    target = [part[None] for part in yolo.encode_boxes(boxes, classes, anchors, 10)]
    darknet = region_layer_plain(outputs, boxes, classes, anchors, warmup=True)
    difference = np.abs(gradient_of_loss(*target, outputs[None], anchors, warmup=True)[0] - darknet).max()
    print(f"{name:<33} same gradient: {difference < 1e-5}")
    assert difference < 1e-5

# %% [markdown]
# In the toy example, the gradients can be read:

# %%
toy = region_layer_plain(y_pred[0], corners, toy_labels, toy_anchors)[None]
assert np.abs(toy - gradient_of_loss(y_true, true_boxes, y_pred, toy_anchors)).max() < 1e-5
print("                 tx     ty     tw     th     to    cat    dog person")
for name, place in (("cat", CAT), ("person", PERSON), ("neighbour", NEIGHBOUR), ("a background", (0, 0, 2, 0))):
    print(f"{name:<13}", " ".join(f"{number:6.2f}" for number in toy[place].round(2) + 0.0))

# %% [markdown]
# A positive gradient means *lower this output*. The cat's class scores are corrected, the person's confidence should rise,
# the neighbour is left in peace, and the background prediction only has to be less confident.

# %% [markdown]
# ## What is the warm-up for?
#
# Most predictions are never responsible in the first batches. Nothing in the five terms tells them where to be, and shared
# weights push them around: after a while their boxes are anywhere, and when at last an object falls to them they start from
# nonsense. So, during the first 12,800 images, Darknet pulls every prediction that is not responsible gently (weight .01) to
# the centre of its cell and the shape of its anchor.
#
# Here is a 5 × 5 grid with one anchor and one object. We move the raw outputs themselves downhill, 2,500 steps, without and
# with warm-up:

# %%
one_anchor, one_object = np.array([[0.22, 0.22]]), np.array([[0.37, 0.35, 0.67, 0.61]])
start = np.random.default_rng(1).normal(0, 1.1, size=(5, 5, 1, 6))
results = {"start: random raw outputs": start}
for title, warmup in (("after 2,500 steps without warm-up", False), ("after 2,500 steps with warm-up", True)):
    outputs = start.copy()
    for _ in range(2500):
        outputs -= region_layer_plain(outputs, one_object, [0], one_anchor, warmup)
    results[title] = outputs

figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
for axis, (title, outputs) in zip(axes, results.items(), strict=True):
    centres, sizes, _, _ = adjust_scale_prediction(outputs[None], get_cell_grid(5, 5, 1, 1), one_anchor * 5)
    for row in range(5):
        for column in range(5):
            responsible = (row, column) == (2, 2)
            draw_centred(axis, centres[0, row, column, 0], sizes[0, row, column, 0], GREEN if responsible else BLUE,
                         alpha=1 if responsible else 0.55)
    axis.set(xlim=(-0.6, 5.6), ylim=(5.6, -0.6), aspect="equal", xticks=range(6), yticks=range(6), title=title)
    axis.tick_params(labelbottom=False, labelleft=False, length=0)
    axis.grid(color="#dddddd")
    axis.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# The responsible prediction (green) finds its object either way. The others stay wherever they were without warm-up, and
# come home to their anchors with it.

# %% [markdown]
# ## Who is responsible, who is ignored, on a photo?
#
# An untrained network draws its anchors at every cell (notebook 03). Among the first training photos with
# two objects of moderate size, we take the one with the largest number of such boxes that overlap an object by more than .6 and are
# still not responsible.

# %%
def roles(annotation, y_pred):
    """Best IoU, responsible and ignored for each prediction, (G, G, A) each."""
    y, boxes = yolo.encode_boxes(*objects_of(annotation), anchors, 13)
    xy, wh, _, _ = adjust_scale_prediction(y_pred, get_cell_grid(13, 13, 1, len(anchors)), anchors * 13)
    best = calc_IOU_pred_true_best(xy, wh, boxes.numpy()[None].astype(float))[0]
    responsible = y.numpy()[..., 4] > 0
    return best, responsible, (best > 0.6) & ~responsible


untrained = np.zeros((1, 13, 13, len(anchors), 25))
candidates = [a for a in train[:100] if len(a.labels) == 2 and yolo.box_sizes([a]).prod(axis=1).max(initial=0) < 0.4] or train[:1]
chosen = max(candidates, key=lambda annotation: roles(annotation, untrained)[2].sum())
best, responsible, ignored = roles(chosen, untrained)
print(f"{responsible.sum()} responsible, {ignored.sum()} ignored, {(~responsible & ~ignored).sum()} background")

# %%
image = yolo.view(yolo.decode_photo(str(chosen.image_path)), tf.constant([0.0, 0, 1, 1]), 416).numpy()
figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for axis in axes[:2]:
    axis.imshow(image)
for low_x, low_y, high_x, high_y in yolo.box_fractions(chosen) * 416:
    axes[0].add_patch(Rectangle((low_x, low_y), high_x - low_x, high_y - low_y, fill=False, edgecolor="white", linewidth=4))
    axes[0].add_patch(Rectangle((low_x, low_y), high_x - low_x, high_y - low_y, fill=False, edgecolor="black", linewidth=1.5))
for axis, mask, colour in ((axes[0], responsible, GREEN), (axes[1], ignored, ORANGE)):
    for row, column, anchor in np.argwhere(mask):
        centre = (np.array([column, row]) + 0.5) * 32
        draw_centred(axis, centre, anchors[anchor] * 416, colour, alpha=0.9)
        axis.plot(*centre, "o", color=colour, markeredgecolor="white", markersize=6)
axes[0].set_title("True (black), responsible (green)")
axes[1].set_title("Ignored: good boxes elsewhere")
picture = axes[2].imshow(best.max(axis=-1), extent=(0, 416, 416, 0), cmap="viridis", vmin=0, vmax=1)
axes[2].contour(np.arange(13) * 32 + 16, np.arange(13) * 32 + 16, best.max(axis=-1), levels=[0.6], colors="white")
axes[2].set_title("Best IoU in each cell; white: .6")
figure.colorbar(picture, ax=axes[2], fraction=0.046)
for axis in axes:
    axis.set(xlim=(0, 416), ylim=(416, 0), xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Sanity checks
#
# These take seconds and find most mistakes.
#
# **1. A random network guesses.** Nothing learned, 20 classes: the class term should be ln 20 = 3.0 for each object. The
# series found 3.018.

# %%
model = yolo.build_yolov2(None, width=0.25, seed=1)
terms = yolo.yolo_loss(y_batch, b_batch, model(photos, training=False), anchors)
objects = float(y_batch[..., 4].sum())
per_object = float(terms.classes) * len(y_batch) / objects
print(f"class term per object: {per_object:.1f}, ln 20 = {np.log(20):.1f}")
print(f"background per prediction: {float(terms.no_objectness) / 676:.2f}, at confidence 1/2 it is 1/2 x .5^2 = .125")
assert abs(per_object - np.log(20)) < 0.3

# %% [markdown]
# **2. A perfect prediction costs nothing**, or almost: a sigmoid never reaches 0 or 1. We build the raw outputs that say the
# truth, with more and more conviction *s* (confidence σ(±s), class scores ±s):

# %%
def perfect_output(y_true, anchors, strength):
    """Raw outputs that give back y_true as well as finite numbers can."""
    grid = y_true.shape[1]
    raw = np.zeros(y_true.shape)
    offset = np.clip(y_true[..., :2] - get_cell_grid(grid, grid, len(y_true), len(anchors)), 1e-5, 1 - 1e-5)
    there = y_true[..., 4:5] > 0
    raw[..., :2] = np.where(there, np.log(offset / (1 - offset)), 0)
    raw[..., 2:4] = np.where(there, np.log(np.where(there, y_true[..., 2:4], 1) / (anchors * grid)), 0)
    raw[..., 4] = np.where(there[..., 0], strength, -strength)
    raw[..., 5:] = strength * (2 * y_true[..., 5:] - 1)
    return raw


for strength in (2, 5, 10):
    terms = yolo.yolo_loss(y_batch, b_batch, perfect_output(y_batch, anchors, strength), anchors, warmup=True)
    print(f"s = {strength:<3} ", "  ".join(f"{name} {float(value) + 0.0:.4f}" for name, value in terms._asdict().items()))
assert float(sum(terms)) < 1e-2
total = sum(len(objects_of(annotation)[1]) for annotation in batch)
print(f"objects {total}, of which {int(objects)} have a prediction of their own")

# %% [markdown]
# Place, size and warm-up vanish at once, confidence and class as the conviction grows. One thing cannot be seen here: two
# objects that share cell *and* anchor leave only one target.
#
# **3. Each image minds its own business.** The loss of image 2 must not depend on the others. In the raw outputs it does
# not; but what about the pixels?

# %%
def image_gradients(training):
    """Size of the gradient of image 2's loss in each image's pixels."""
    pixels = tf.image.resize(photos[:4], (160, 160))
    y, boxes = zip(*[yolo.encode_boxes(*objects_of(annotation), anchors, 5) for annotation in batch[:4]])
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        terms = yolo.yolo_loss(y[2][None], boxes[2][None], model(pixels, training=training)[2:3], anchors)
        loss = tf.add_n(list(terms))
    return tf.reduce_max(tf.abs(tape.gradient(loss, pixels)), axis=(1, 2, 3)).numpy()


print("images that the loss of image 2 depends on")
print("  as in inference:", np.flatnonzero(image_gradients(training=False)))
print("  as in training: ", np.flatnonzero(image_gradients(training=True)))
assert list(np.flatnonzero(image_gradients(training=False))) == [2]

# %% [markdown]
# In inference: only itself. In training every image of the batch matters, and that is no mistake: **batch normalisation**
# uses the batch's mean and variance. The loss itself keeps images apart:

# %%
whole = gradient_of_loss(y_batch, b_batch, raw, anchors)
alone = np.concatenate([gradient_of_loss(y_batch[i:i + 1], b_batch[i:i + 1], raw[i:i + 1], anchors) for i in range(16)])
assert np.allclose(whole, alone / 16, atol=1e-6)
print("gradient of the batch = gradients of single images / 16: True")

# %% [markdown]
# **4. Wild outputs stay finite.** Early in a training run raw outputs can explode, and e¹⁰⁰⁰⁰ is not a number.

# %%
for size in (1e2, 1e4):
    wild = (size * np.sign(raw)).astype(np.float32)
    finite = np.isfinite(float(sum(yolo.yolo_loss(y_batch, b_batch, wild, anchors, True))))
    finite_gradient = np.isfinite(gradient_of_loss(y_batch, b_batch, wild, anchors, True)).all()
    print(f"raw outputs of size {size:.0e}: loss finite {finite}, gradient finite {finite_gradient}")
    assert finite and finite_gradient

# %% [markdown]
# ## What was wrong with the series' loss?
#
# Four mistakes, each plausible, none of which raises an error.
#
# > **Where the series goes wrong (1).** Its confidence mask multiplies the weight 5 by the IoU once more. A box that is
# > badly placed thereby *silences itself*, just when its confidence needs correction.

# %%
print("IoU    weight: Darknet  series   gradient at confidence .5: Darknet  series")
for iou in (0.09, 0.3, 0.5, 0.7, 0.9):
    print(f"{iou:.2f} {5:14} {5 * iou:8.2f} {5 * (0.5 - iou):34.2f} {5 * iou * (0.5 - iou):8.2f}")

# %% [markdown]
# It also lets the gradient flow through the IoU into the box. When the confidence is lower than the IoU, the two can be
# brought closer by making the *box worse*.
#
# > **Where the series goes wrong (2).** The text speaks of square roots of width and height, as in the first YOLO, but the
# > code compares raw widths and heights. For a prediction eᵗ·anchor its gradient contains the size twice, and explodes.

# %%
print("anchor 10, true width 5, raw t    predicted    Darknet's gradient    series'")
for t in (-1.0, 0.0, 1.0, 2.0, 3.0):
    width = np.exp(t) * 10
    print(f"{t:30.1f} {width:12.1f} {t - np.log(0.5):21.2f} {(width - 5) * width:10.0f}")

# %%
responsible = y_batch[..., 4] > 0
sizes = np.exp(raw[..., 2:4].astype(float)) * anchors * 13
series = ((sizes - y_batch[..., 2:4]) * sizes)[responsible].ravel()
ours = (gradient_of_loss(y_batch, b_batch, raw, anchors)[..., 2:4][responsible] * 16).ravel()
cosine = series @ ours / np.linalg.norm(series) / np.linalg.norm(ours)
print(f"sizes of this batch: the series' gradient is {np.linalg.norm(series) / np.linalg.norm(ours):.0f} times as long,"
      f" its direction agrees by {cosine:.1f} (cosine; 1 = same)")

# %% [markdown]
# > **Where the series goes wrong (3).** In the article the buffer of true boxes that the loss looks at is a global variable
# > of zeros. The best IoU is then 0 for every prediction, nobody is ever ignored, and good boxes of neighbouring cells are
# > trained to be silent.

# %%
flat = np.zeros_like(raw)
for name, buffer in (("real buffer", b_batch), ("buffer of zeros", np.zeros_like(b_batch))):
    xy, wh, _, _ = adjust_scale_prediction(flat, get_cell_grid(13, 13, 16, len(anchors)), anchors * 13)
    ignored = (calc_IOU_pred_true_best(xy, wh, buffer) > 0.6) & ~responsible
    print(f"{name:<16} predictions ignored in this batch: {ignored.sum()}")

# %% [markdown]
# ## Can the network learn one small batch by heart?
#
# The strongest test there is: a correct model with a correct loss must be able to *memorise* a handful of photos. If it
# cannot, no amount of data will help. We take eight photos with one or two objects that are not small, no augmentation, a
# small network, and `TrainStep`, which notebook 05 explains (SGD with momentum .9). Warm-up for the first ten steps. The result is
# told by the mAP: 1 when every object is found and nothing else; notebook 06 defines it.

# %%
def is_easy(annotation):
    """One or two objects, of different classes, each at least a twentieth of the photo."""
    areas = yolo.box_sizes([annotation]).prod(axis=1)
    return 1 <= len(set(annotation.labels)) == len(areas) == len(annotation.labels) <= 2 and areas.min() > 0.05


few = [annotation for annotation in train if is_easy(annotation)][8:16] or train[:8]  # the first eight are all buses and aeroplanes
small_photos, (small_y, small_boxes) = next(iter(
    yolo.make_dataset(few, anchors, image_size=160, batch_size=len(few), training=False, seed=0)))
steps = 100


def memorise(photos):
    """Train a fresh small network on one batch; returns it and its losses."""
    model = yolo.build_yolov2(None, width=0.25, seed=0)
    step, losses = yolo.TrainStep(model, anchors, clip_norm=5), []
    for number in range(steps):
        rate = 0.01 * min(1, (number + 1) / 20, (steps - number) / (steps / 2))  # up for 20 steps, down in the second half
        losses.append(float(step.run(photos, small_y, small_boxes, rate, number < 10)))
    return model, losses


memory, losses = memorise(small_photos)
detections = yolo.detect(memory, [yolo.read_image(a.image_path) for a in few], anchors, score_threshold=0.05, image_size=160)
score = yolo.evaluate_detections(few, detections).mean_average_precision

# %% tags=["nbval-ignore-output"]
print(f"loss {losses[0]:.1f} -> {losses[-1]:.2f}, mAP on these photos {score:.3f}")

# %%
print("mAP > .9:", score > 0.9)

# %%
figure, axes = plt.subplots(2, 4, figsize=(10, 5.3), layout="constrained")
for axis, annotation, found in zip(axes.flat, few, detections):
    sure = found.scores > 0.25
    image = yolo.read_image(annotation.image_path)
    axis.imshow(yolo.draw_boxes(image, found.boxes[sure], found.labels[sure], found.scores[sure]))
for axis in axes.flat:
    axis.axis("off")
figure.suptitle("Learned by heart: what the small network detects in its eight photos")
plt.show()

# %% [markdown]
# This says nothing about photos it has not seen; that is the business of notebooks 05 and 06. It says that model, encoding,
# loss, decoding and evaluation fit together.
#
# Why no small objects? Try them: sometimes the loss stops at .31 and stays there. That is 1/2 × 5 × 1² / 8, the price of
# *one* object in eight photos whose confidence is 0. The anchor for small objects has one object against 199 background
# predictions in such a batch; the first steps throw its confidence so far down that the sigmoid is flat and no gradient
# brings it back. The smooth start of the learning rate and the clipped gradient (`clip_norm`) are there to prevent this; more
# data with more small objects cures it.

# %% [markdown]
# ## And what does a blind network learn?
#
# The counter-test: the same targets, but every photo is replaced by the same grey. Now there is nothing to see. The loss
# still falls, as there is something to learn without looking: *how often* objects are in a place, how large they are, which
# classes are frequent. These are the **priors**. Everything below the blind curve is owed to seeing.

# %%
grey = tf.fill(small_photos.shape, 0.5)
blind, blind_losses = memorise(grey)
print("the blind network ends with more than ten times the loss:", blind_losses[-1] > 10 * losses[-1])

# %% tags=["nbval-ignore-output"]
print("per photo   " + "".join(f"{name:>14}" for name in yolo.LossTerms._fields[:5]))
for name, network, pixels in (("seeing", memory, small_photos), ("blind", blind, grey)):
    terms = yolo.yolo_loss(small_y, small_boxes, network(pixels, training=False), anchors)
    print(f"{name:<12}" + "".join(f"{float(term):14.3f}" for term in terms[:5]))

# %% [markdown]
# What can it know at all? The padding at the border of the maps tells each cell where it lies, so a blind network can learn
# which shapes and classes occur *at which place* of the picture, and no more. Averaged over the places of the objects, its
# class probabilities are the classes' frequencies:

# %%
occupied = small_y.numpy()[..., 4] > 0
frequency = small_y.numpy()[occupied][:, 5:].mean(axis=0)
probability = yolo.decode_predictions(blind(grey[:1], training=False), anchors).class_probabilities.numpy()[0]
blind_guess = np.mean([probability[tuple(place[1:])] for place in np.argwhere(occupied)], axis=0)
order = np.argsort(-frequency, kind="stable")[: min(10, np.count_nonzero(frequency))]
print("blind guesses within .1 of the classes' frequencies:", np.abs(blind_guess - frequency).max() < 0.1)

figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.6), layout="constrained")
axes[0].plot(losses, color=GREEN, linewidth=2, label="sees the photos")
axes[0].plot(blind_losses, color=GREY, linewidth=2, label="sees grey")
axes[0].set(yscale="log", xlabel="step", title="The loss of one batch")
axes[0].legend(frameon=False)
axes[1].bar(np.arange(len(order)) - 0.2, frequency[order], 0.4, color=BLUE, label="share of the objects")
axes[1].bar(np.arange(len(order)) + 0.2, blind_guess[order], 0.4, color=GREY, label="blind network's probability")
axes[1].set_xticks(range(len(order)), [yolo.CLASSES[k] for k in order], rotation=40, ha="right")
axes[1].set_title("Blind, it has learned how frequent the classes are")
axes[1].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Key points
#
# - One prediction is responsible for each object; those that overlap an object by more than .6 are ignored; all others must
#   only be silent.
# - Sizes are compared as logarithms, small objects count up to twice, the confidence aims at the IoU reached, and that
#   target passes no gradient on.
# - Warm-up brings predictions without an object home to their anchors.
# - The gradient of `yolo_loss` is Darknet's to 1e-5, in all 270,400 numbers of a batch.
# - Check a loss before you train: ln 20, a perfect prediction, separate images, finite numbers, one batch by heart, and a
#   blind network for comparison.
#
# ## Exercises
#
# **1.** In the toy example, set the person's confidence `to` so that its objectness term becomes 0. Which value is it?
#
# <details><summary>Solution</summary>
#
# The confidence must equal the IoU, `assigned[PERSON]`. The raw output is its logit:
# `np.log(assigned[PERSON] / (1 - assigned[PERSON]))`. The gradient in `to` is then 0 as well.
# </details>
#
# **2.** Move the neighbour's box until it is no longer ignored. What does it cost then, and which way does its gradient point?
#
# <details><summary>Solution</summary>
#
# With `y_pred[0, 2, 1, 1, 1] = 0` the box moves down, its best IoU falls below .6, and the background term grows by
# 1/2 × σ(1)² = .27. Only `to` gets a gradient (positive: lower the confidence); the box itself gets none without warm-up.
# </details>
#
# **3.** Give both objects the same cell and anchor, and compare `region_layer_plain` with `gradient_of_loss`. Which object
# is left?
#
# <details><summary>Solution</summary>
#
# The last one in the list, in both: Darknet overwrites, and `encode_boxes` keeps the last box of a slot whole. A target with
# two class bits set, as the series' encoder writes it, would show as a difference in the class gradients.
# </details>
#
# **4.** Take the factor 5 away (`get_conf_mask(best_ious, true_box_conf, 1, 1)`). What do you expect in training?
#
# <details><summary>Solution</summary>
#
# Objects are outnumbered by background, so their confidences rise later: more is missed at the same threshold and step.
# The place of the boxes is not affected directly.
# </details>
#
# **Next:** [5 Training](05_training.ipynb) makes this number small on the whole training set.
