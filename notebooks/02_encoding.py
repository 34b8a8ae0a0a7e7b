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
# # 2 Encoding: what should the network answer?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/02_encoding.ipynb)
#
# In this chapter you turn an image and its boxes into the two things that training needs: the input of the network, and
# the target, a block of numbers of the same shape as its output.
#
# **You will learn**
#
# - how an object finds its cell and its anchor,
# - the formulas with which YOLOv2 turns raw outputs into boxes, and how to invert them,
# - what each number in the target tensor means, and which boxes get lost in it,
# - how images are augmented, and how their boxes follow,
# - what changes, and what does not, when the image size changes during training.
#
# **Time:** reading 40 min, running half a minute on two CPU cores.
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

import cv2
import figures
import matplotlib.pyplot as plt
import numpy as np

figures.setup()
settings = yolo.load_settings()

# %% [markdown]
# Here is the pipeline again. This chapter covers the image and, below it, the way from the ground truth to the target.

# %%
figures.pipeline(highlight=2)

# %% [markdown]
# The network's answer always has the same shape: 13 x 13 cells, 4 anchors, and 5 numbers plus one for each class. A
# list of boxes does not fit into this shape by itself. *Encoding* means writing the list of boxes in the shape of the
# network's answer. The result is the *target*, and we call it `y`.
#
# These are the tensors of the chapter. C is the number of classes, 20 for our data. One *grid unit* is the side of one
# cell.
#
# | name | shape | unit | content |
# |---|---|---|---|
# | `image` | (416, 416, 3) | 0 to 1 | the photo, stretched to a square |
# | `boxes` | (n, 4) | fractions | xmin, ymin, xmax, ymax of n objects |
# | `anchors` | (4, 2) | grid units | width and height of the anchors |
# | `y` | (13, 13, 4, 5 + C) | grid units | the target |
# | `true_boxes` | (1, 1, 1, 50, 4) | grid units | a list of all boxes of the image |
#
# ## Which image does the network see?
#
# The network takes square images of 416 x 416 pixels. Photos have other shapes, so we stretch them. Objects look a
# little wider or narrower afterwards, and the same happens to every image, in training and later in use.

# %%
splits = yolo.load_splits(settings.voc_dir)
example = figures.pick(splits.train, "2026_000123")
photo = yolo.read_image(example.image_path)
square = cv2.resize(photo, (settings.image_size, settings.image_size))
boxes = yolo.box_fractions(example)
labels = example.labels

# %%
_, axes = plt.subplots(1, 2, figsize=(10.5, 4.6), width_ratios=(1.33, 1))
for axis, picture in zip(axes, (photo, square), strict=True):
    height, width = picture.shape[:2]
    figures.show_boxes(axis, picture, boxes, labels, settings.classes)
    axis.set_title(f"{width} x {height} pixels, the same fractions")
plt.show()

# %% [markdown]
# Both pictures were drawn with the same four fractions for each box. A box that ends at 0.91 of the width still ends at
# 0.91 of the width after stretching. This is why we keep boxes as fractions, and never round them to whole pixels.
#
# Why 416? The network halves the image five times, so one cell of its output stands for 32 x 32 pixels, and 416 / 32 =
# 13 cells. The authors wanted an odd number. Large objects are often in the middle of a photo, and with an odd number
# there is one cell exactly in the middle to answer for them.
#
# ## Which cell answers for an object?
#
# Multiply a fraction by 13, and you get *grid units*. In grid units, the cell borders are at whole numbers. The centre
# of the object decides: the cell in which the centre lies is *responsible* for the object. Cutting off the decimals
# gives its column and row.

# %%
grid_size = settings.image_size // yolo.CELL_SIZE
centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * grid_size
sizes = (boxes[:, 2:] - boxes[:, :2]) * grid_size
cells = np.minimum(centres.astype(int), grid_size - 1)

for label, centre, size, cell in zip(labels, centres, sizes, cells, strict=True):
    print(f"{settings.classes[label]:<5}", "centre", np.round(centre, 2), end="  ")
    print("size", np.round(size, 2), " column", cell[0], "row", cell[1])

# %% [markdown]
# The first cow has its centre at x = 8.44 and y = 5.55, so the cell in column 8 and row 5 is responsible for it.
#
# The `minimum` in the code is a safeguard. Rounding could put a centre exactly on the right or lower border, at 13.0,
# and there is no column or row 13. It goes to 12.
#
# ## Which anchor answers for an object?
#
# Each cell makes four predictions, one for each anchor. The anchor whose shape has the largest IoU with the object
# takes it. Chapter 1 stored the anchors as fractions of the image. From here on we need them in the unit of the grid,
# so `yolo.load_anchors` multiplies them by 13, once and for all. Every function of the book that comes after this point
# takes anchors in grid units.

# %%
anchors = yolo.load_anchors(settings, splits.train)
ious = yolo.iou_wh(sizes, anchors)
best_anchors = ious.argmax(axis=1)

print("anchors in grid units:")
print(np.round(anchors, 2))
for label, row, best in zip(labels, ious, best_anchors, strict=True):
    print(f"{settings.classes[label]:<5} IoUs", np.round(row, 2), " best anchor", best)

# %% [markdown]
# > **Pitfall.** If your encoder multiplies the caller's array of anchors by 13 *in place*, running the cell a second
# > time makes them 13 times too large. Nothing crashes. Every object then goes to the smallest anchor, and training
# > fails quietly. Convert once, into a new array.
#
# Now every object has a cell and an anchor. The next figure shows them on the grid, with their row and column numbers.

# %%
_, axis = plt.subplots(figsize=(7.6, 7.6))
title = "The centre picks the cell, the shape picks the anchor"
figures.responsible_cells(
    axis, square, boxes, best_anchors, grid_size, dashed=anchors, title=title
)
plt.show()

# %% [markdown]
# The white dots are the centres, and the filled cells contain them. Colours are those of the anchors, as in chapter 1,
# and the dashed boxes are the anchors themselves. Of the 676 pairs of a cell and an anchor, exactly three are
# responsible for an object. The other 673 belong to the *background*, and should say that there is nothing.
#
# Note that only the cell with the centre is responsible. The standing cow covers about forty cells, and all but one of
# them stay background.
#
# ## How do raw outputs become a box?
#
# A cell and an anchor are a rough description of a box. For the exact one, the network gives four *raw outputs*, which
# are called $t_x$, $t_y$, $t_w$ and $t_h$. They can be any numbers from minus infinity to infinity, because the last
# layer of the network does not limit them. We need formulas that turn any four numbers into a valid box.
#
# **Location.** The centre should lie in the responsible cell. Let $(c_x, c_y)$ be the upper left corner of this cell in
# grid units. Its column is $c_x$ and its row is $c_y$. The *sigmoid* function $\sigma(t) = 1 / (1 + e^{-t})$ turns any
# number into one between 0 and 1. So
#
# $$b_x = c_x + \sigma(t_x), \qquad b_y = c_y + \sigma(t_y)$$
#
# always gives a centre inside the cell, whatever the network says. With $t_x = t_y = 0$ it is the middle of the cell.
#
# **Size.** Let $a_w$ and $a_h$ be the width and height of the anchor in grid units. The exponential function is always
# positive, so
#
# $$b_w = a_w\, e^{t_w}, \qquad b_h = a_h\, e^{t_h}$$
#
# can never give a negative width. With $t_w = t_h = 0$ the box is the anchor itself. Adding 0.69 to $t_w$ doubles the
# width of any anchor, and subtracting it halves the width. So the same $t_w$ means the same relative change for
# every anchor.
#
# The figure shows both formulas for the standing cow.

# %%
figures.box_formulas(centres[0], sizes[0], anchors[best_anchors[0]])

# %% [markdown]
# On the left is the responsible cell, magnified. The corner of the cell is a fixed number, and the sigmoids add the way
# from there to the centre. On the right the dashed box is anchor 3, on the centre of the cow. The box is smaller, so
# the exponential must be a factor below one.
#
# Two kinds of number are left. The *objectness* is $\sigma(t_o)$, so it lies between 0 and 1 as well. The C remaining
# raw outputs become *class probabilities* with the softmax function, which makes them positive and lets them add up to
# 1.
#
# > **Pitfall.** The first design of anchors, in Faster R-CNN, let a box move freely away from its cell. The authors of
# > YOLOv2 found training unstable with it, because at the start any cell could predict a box anywhere. The sigmoid is
# > their cure.
#
# ## Can we do one box by hand?
#
# Let us follow the standing cow from its XML file to the four raw outputs that would describe it perfectly, and back.
# The first half of the way leads through fractions to grid units.

# %%
xmin, ymin, xmax, ymax = example.boxes[0]
print("pixels:    ", xmin, ymin, xmax, ymax)

left, right = (xmin - 1) / example.width, xmax / example.width
top, bottom = (ymin - 1) / example.height, ymax / example.height
print(f"fractions:  {left:.4f} {top:.4f} {right:.4f} {bottom:.4f}")

b_x, b_y = (left + right) / 2 * 13, (top + bottom) / 2 * 13
b_w, b_h = (right - left) * 13, (bottom - top) * 13
print(f"grid units: centre {b_x:.3f} {b_y:.3f}, size {b_w:.3f} {b_h:.3f}")

# %% [markdown]
# The second half inverts the formulas. The inverse of the sigmoid is the *logit*, $\ln(p / (1 - p))$, and the inverse
# of the exponential is the logarithm.


# %%
def logit(p):
    return np.log(p / (1 - p))


c_x, c_y = int(b_x), int(b_y)
a_w, a_h = anchors[best_anchors[0]]
t_x, t_y = logit(b_x - c_x), logit(b_y - c_y)
t_w, t_h = np.log(b_w / a_w), np.log(b_h / a_h)
print(f"cell: column {c_x}, row {c_y}; anchor {best_anchors[0]}")
print(f"raw outputs: {t_x:.3f} {t_y:.3f} {t_w:.3f} {t_h:.3f}")

# %% [markdown]
# All four numbers are small. This is what cells and anchors are for: the cell takes over most of 8.437, the anchor most
# of 6.786, and the network only has to produce values near zero. Negative $t_w$ and $t_h$ say that the cow is smaller than its anchor. Now back, with the formulas from
# above.


# %%
def sigmoid(t):
    return 1 / (1 + np.exp(-t))


centre_x, centre_y = c_x + sigmoid(t_x), c_y + sigmoid(t_y)
box_width, box_height = a_w * np.exp(t_w), a_h * np.exp(t_h)

back_xmin = (centre_x - box_width / 2) / 13 * example.width + 1
back_ymin = (centre_y - box_height / 2) / 13 * example.height + 1
back_xmax = (centre_x + box_width / 2) / 13 * example.width
back_ymax = (centre_y + box_height / 2) / 13 * example.height
print(f"pixels: {back_xmin:.3f} {back_ymin:.3f} {back_xmax:.3f} {back_ymax:.3f}")

# %% [markdown]
# These are the pixels of the XML file. Chapter 6 uses the way back in `yolo.decode_predictions`, for all 676
# predictions at once.
#
# ## What is in the target tensor?
#
# We could store raw outputs in the target. It is more convenient to store the box itself, in grid units, because the
# loss needs it in several forms. So a responsible place holds these 5 + C numbers:
#
# | position | content |
# |---|---|
# | 0, 1 | centre x and y, in grid units |
# | 2, 3 | width and height, in grid units |
# | 4 | objectness: 1 |
# | 5 to 4 + C | 1 at the class of the object, 0 elsewhere (*one-hot*) |
#
# All other places are zero. These few lines are the whole encoder.

# %%
num_classes = len(settings.classes)
y = np.zeros((grid_size, grid_size, len(anchors), 5 + num_classes), np.float32)
for i, label in enumerate(labels):
    column, row = cells[i]
    answer = np.zeros(5 + num_classes)
    answer[0:2] = centres[i]
    answer[2:4] = sizes[i]
    answer[4] = 1
    answer[5 + label] = 1
    y[row, column, best_anchors[i]] = answer
print("y", y.shape, " responsible places:", int(y[..., 4].sum()))

# %% [markdown]
# The order of the indices deserves attention. A centre is written as (x, y), so its column comes first. An array is
# indexed as [row, column], so its row comes first. Confusing the two gives a target that is mirrored along the
# diagonal.
#
# Let us open the tensor. On the left you see the objectness of all cells (the largest of each cell's four), and on the
# right all four answers of the cell that is responsible for the standing cow.

# %%
column, row = cells[0]
figures.target_exploded(y, (row, column), settings.classes)

# %% [markdown]
# Three cells contain a 1, in the places that we know from the grid. In the opened cell, anchor 3 holds the cow: its
# centre, its size, objectness 1, and a single 1 among the classes. The other three anchors of the same cell are all
# zeros. They are background, and should answer with an objectness of 0.
#
# `yolo.encode_boxes` contains the same loop, and returns a second tensor to which we come below. We compare once.

# %%
y_module, true_boxes = yolo.encode_boxes(boxes, labels, anchors, grid_size, num_classes)
print("the same target:", np.array_equal(y, y_module))

# %% [markdown]
# We will also need the opposite direction, from a target to boxes. We look for the places with objectness 1 and read
# what they hold.


# %%
def boxes_in_target(y):
    answers = y[y[..., 4] == 1]
    centres, sizes = answers[:, 0:2], answers[:, 2:4]
    corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    return corners / len(y), answers[:, 5:].argmax(axis=1)


for box, label in zip(*boxes_in_target(y), strict=True):
    print(f"{settings.classes[label]:<5}", np.round(box, 4))

# %% [markdown]
# All three objects of the example come back, sorted by their cells.
#
# ## What if two objects want the same place?
#
# A person riding a bicycle and the bicycle can have their centres in the same cell and the same best anchor. There is
# only one place for both, so the later object completely overwrites the earlier one, as in Darknet. The earlier one is
# lost for training in this image. Let us count how often this happens.


# %%
def find_places(boxes):
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * grid_size
    sizes = (boxes[:, 2:] - boxes[:, :2]) * grid_size
    cells = np.minimum(centres.astype(int), grid_size - 1)
    best_anchors = yolo.iou_wh(sizes, anchors).argmax(axis=1)
    return [(*cell, best) for cell, best in zip(cells, best_anchors, strict=True)]


collisions = []
num_objects = 0
for annotation in splits.train:
    fractions = yolo.box_fractions(annotation)[~annotation.difficult]
    num_objects += len(fractions)
    taken = {}
    for box, place in zip(fractions, find_places(fractions), strict=True):
        if place in taken:
            collisions.append((annotation, taken[place], box))
        taken[place] = box
print(f"{len(collisions)} of {num_objects} objects lose their place to a later one")

# %% [markdown]
# Fewer than one object in a hundred is lost. Here are three of these cases, enlarged. The solid box is in the target,
# and the dashed box was overwritten.

# %%
_, axes = plt.subplots(1, 3, figsize=(11, 4))
for axis, (annotation, *pair) in zip(axes, collisions[2:5], strict=False):
    photo_of_pair = yolo.read_image(annotation.image_path)
    part, moved = figures.crop_around(photo_of_pair, np.array(pair))
    figures.show_boxes(axis, part, moved[1:], colours=figures.GREEN)
    figures.show_boxes(axis, None, moved[:1], colours=figures.RED, linestyle="--")
plt.gcf().suptitle("The dashed boxes share a cell and an anchor with the solid ones")
plt.show()

# %% [markdown]
# The pairs are similar in location *and* shape: riders and their vehicles, small in the image. So encoding loses some
# boxes. Two objects of different shape in one cell are no problem, because they go to different anchors. This is why it
# helps to have several anchors. A finer grid would also help, and larger images have one.
#
# > **Pitfall.** If the encoder only *sets* numbers instead of replacing the whole vector, the second object leaves a
# > mixture: its own box, with the class bits of both objects. The network is then asked to be certain of a bicycle and
# > of a person at the same time. Our encoder writes a complete new vector.

# %%
same_place = [[0.40, 0.40, 0.60, 0.80], [0.41, 0.41, 0.60, 0.80]]
first, last = 0, num_classes - 1
target, _ = yolo.encode_boxes(same_place, [first, last], anchors, 13, num_classes)
answer = target[target[..., 4] == 1]
print("answers:", len(answer), " class bits:", int(answer[0, 5:].sum()))

# %% [markdown]
# ## What is `true_boxes` for?
#
# The second tensor of `yolo.encode_boxes` is a plain list of all boxes of the image, as centre and size in grid units.
# It always has 50 rows, because tensors of one batch need one shape. Unused rows are zero.

# %%
print("true_boxes", true_boxes.shape)
print(np.round(true_boxes[0, 0, 0, :4], 2))

# %% [markdown]
# The loss of chapter 4 needs this list for a rule of fairness. A prediction that is not responsible for an object
# should say "background". But sometimes such a prediction happens to describe an object very well, for example from the
# neighbouring cell. It would be wrong to punish it. So the loss compares each of the 676 predictions with every true
# box of the image, and excuses those with an IoU above 0.6. Lost objects are in the list too, so it is also fair to
# predictions that find them.
#
# The odd shape with three ones lines up with the predicted boxes once these have the shape (13, 13, 4, 1, 4). NumPy and
# TensorFlow then compare every prediction with every box without a loop. If an image has more than 50 boxes, only the 50
# largest are kept. Our images have 8 at most.
#
# ## Where do image and target come together?
#
# `yolo.make_example` does for one image what we have done so far: it reads the photo, leaves out difficult objects,
# stretches the photo to a square, divides its values by 255, and encodes the boxes.

# %%
image, y, true_boxes = yolo.make_example(
    example, anchors, settings.image_size, num_classes
)
print("image     ", image.shape, f"from {image.min():.2f} to {image.max():.2f}")
print("y         ", y.shape)
print("true_boxes", true_boxes.shape)

num_difficult = sum(int(annotation.difficult.sum()) for annotation in splits.train)
print(f"{num_difficult} difficult training objects are left out")

# %% [markdown]
# ## How do we get more out of 400 images?
#
# A network with millions of weights can learn 400 images by heart. *Augmentation* makes that harder: each time an image
# is used, it is changed at random, in ways after which we still know the right answer. We use the three changes that Darknet uses.
#
# 1. **Moved borders.** Each of the four borders moves in or out by up to 30 % of the image. Moving in crops the image,
#    moving out adds grey. As the result is stretched to a square again, objects change their location, size and shape.
# 2. **Mirroring.** Half of the images are mirrored from left to right.
# 3. **Changed colours.** Hue, saturation and brightness change by random amounts.
#
# The boxes have to follow the first two. Here is one after the other, on the running example.

# %%
rng = np.random.default_rng(2)
moved, moved_boxes, moved_labels = yolo.move_borders(photo, boxes, labels, rng)
flipped, flipped_boxes = yolo.flip_at_random(moved, moved_boxes, rng)
coloured = yolo.change_colours(flipped, rng)

# %%
steps = (
    ("original", photo, boxes, labels),
    ("borders moved", moved, moved_boxes, moved_labels),
    ("and mirrored", flipped, flipped_boxes, moved_labels),
    ("and colours changed", coloured, flipped_boxes, moved_labels),
)
_, axes = plt.subplots(1, 4, figsize=(11.5, 3.4))
for axis, (title, picture, its_boxes, its_labels) in zip(axes, steps, strict=True):
    picture = cv2.resize(picture, (416, 416))
    figures.show_boxes(axis, picture, its_boxes, its_labels, settings.classes)
    axis.set_title(title)
plt.show()

# %% [markdown]
# With these random numbers, the left border moves out and leaves a grey bar, while the top and the right border move
# in. The cows become taller, and the dog is cut away together with its box. Then the image is mirrored, and the last
# step makes it darker.
#
# A box that crosses the new border is cut there. If less than a quarter of its area stays visible, we drop it. A
# visible hoof should not count as a cow.
#
# Each pass over the data, called an *epoch*, makes new random changes. Here are two images beside three augmented
# versions of each. The boxes come from the targets `y`, so you also see that image and target still fit together.

# %%
second = figures.pick(splits.train, "2026_000145")
_, axes = plt.subplots(2, 4, figsize=(11.5, 6.4))
for row, annotation in zip(axes, (example, second), strict=True):
    for axis, seed in zip(row, (None, 8, 9, 11), strict=True):
        rng = None if seed is None else np.random.default_rng(seed)
        picture, target, _ = yolo.make_example(
            annotation, anchors, 416, num_classes, rng
        )
        found, its_labels = boxes_in_target(target)
        figures.show_boxes(axis, picture, found, its_labels, settings.classes)
        axis.set_title("original" if seed is None else f"augmented, seed {seed}")
plt.show()

# %% [markdown]
# In each row the first image is the original. Objects move, become wider or narrower, and change their colour. With
# seed 9 the dog is outside of the image, and its box is gone too. All other boxes follow their objects. They are not
# always quite as tight as before: when an object is cut, its box is cut as well, and the visible part may be smaller
# than that.
#
# ## What happens when the image size changes?
#
# During training, every tenth batch the images get a new size from 320 to 512 pixels. This is *multi-scale training*.
# The network learns to recognise objects at different sizes, and can later be used at any of them. It works because the
# network only consists of layers that do not care about the size of their input.
#
# The size is always a multiple of 32, so a cell stays 32 x 32 pixels and the *number* of cells changes. The anchors
# keep their size in grid units, as in Darknet. In pixels, an anchor is therefore the same in images of any size, and
# covers a larger share of a small image.

# %%
image_sizes = (320, 416, 512)
_, axes = plt.subplots(1, 3, figsize=(12, 5.2), width_ratios=image_sizes)
for axis, size in zip(axes, image_sizes, strict=True):
    grid = size // yolo.CELL_SIZE
    grid_sizes = (boxes[:, 2:] - boxes[:, :2]) * grid
    best = yolo.iou_wh(grid_sizes, anchors).argmax(axis=1)
    title = f"{size} pixels: {grid} x {grid}\nanchors {', '.join(map(str, best))}"
    figures.responsible_cells(axis, square, boxes, best, grid, title=title)
    axis.set(xticks=[], yticks=[], xlabel="", ylabel="")
plt.show()

# %% [markdown]
# This is the same photo at three image sizes, drawn to scale, so all cells are equally large. Colours and titles show
# the best anchors of the three objects. At 320 pixels the standing cow is only 5.2 grid units wide, and its best anchor
# is anchor 1. At 416 and 512 pixels it is anchor 3. The other two objects keep their anchors.
#
# How often does the anchor change in the whole training set?

# %%
fractions = yolo.box_sizes(splits.train)
at_416 = yolo.iou_wh(fractions * 13, anchors).argmax(axis=1)
for size in (320, 512):
    grid = size // yolo.CELL_SIZE
    best = yolo.iou_wh(fractions * grid, anchors).argmax(axis=1)
    print(
        f"{size} pixels: {np.mean(best != at_416):.0%} of the boxes change their anchor"
    )

# %% [markdown]
# At the smallest size, about one object in four goes to another anchor than at 416 pixels. An anchor
# always stands for objects of about the same size *in pixels*, and pixels are what the network sees.
#
# ## How do batches reach the network?
#
# Training takes 16 examples at a time, a *batch*. `yolo.make_dataset` calls `make_example` for every image. It uses
# `tf.data`, which prepares the next batches on all CPU cores while the network is busy with the current one. With
# `training=False` we get each image once, in order and unchanged.

# %%
dataset = yolo.make_dataset(splits.train, anchors, settings, training=False)
images, (y_batch, true_boxes_batch) = next(iter(dataset))
print("images    ", images.shape)
print("y         ", y_batch.shape)
print("true_boxes", true_boxes_batch.shape)

# %% [markdown]
# With `training=True` the images come in a new random order in each epoch, augmented, and in changing sizes. All images
# of one batch have the same size, because they share one tensor. `yolo.plan_epoch` draws order and sizes from the seed
# and the number of the epoch alone, so that training can be interrupted and continued. These are the sizes of the first
# three epochs.

# %%
for epoch in range(3):
    plan = yolo.plan_epoch(splits.train, settings, epoch)
    sizes_of_batches = [size for _, size in plan[:: settings.batch_size]]
    print(f"epoch {epoch}:", *sizes_of_batches)

# %% [markdown]
# Ten batches in a row share a size. An epoch has 25 batches, so some sizes continue into the next epoch. The first line
# also shows that a size can be drawn twice. Here is the first training batch.

# %%
dataset = yolo.make_dataset(splits.train, anchors, settings, training=True)
images, (y_batch, true_boxes_batch) = next(iter(dataset))
print("images    ", images.shape)
print("y         ", y_batch.shape)
print("true_boxes", true_boxes_batch.shape)

# %% [markdown]
# The network receives `images`, and the loss receives `y` and `true_boxes`. Everything that happens before the network
# is now in place.
#
# ## Key points
#
# - The centre picks the cell, and the best-matching shape picks the anchor. This pair is responsible for the object,
#   and all others are background.
# - A grid unit is the side of a cell. Fractions times 13 are grid units, at 416 pixels.
# - A raw output becomes a location with the sigmoid, so the centre cannot leave the cell, and a size with the exponential,
#   which scales the anchor. Both can be inverted.
# - The target `y` has 5 + C numbers for each cell and anchor. If several objects share both, only the last is kept, here
#   fewer than one object in a hundred.
# - `true_boxes` lists all boxes, so that the loss can excuse good predictions that were not responsible.
# - Augmentation changes images and boxes together. When the image size changes, the cells stay 32 pixels wide and the
#   anchors keep their grid units.
#
# **Next:** [3 The model](03_model.ipynb) builds the network whose output has the shape of `y`.
