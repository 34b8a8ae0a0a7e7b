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
# In this chapter you turn an image and its boxes into what training needs: the input of the network, and the numbers
# that its output is compared with. The most important of them is the target, a block of the same shape as the output.
#
# **You will learn**
#
# - how an object finds its cell and its anchor,
# - the formulas with which YOLOv2 turns raw outputs into boxes, and how to invert them,
# - what each number in the target tensor means, and which boxes get lost in it,
# - how images are augmented, and how their boxes follow,
# - what changes, and what does not, when the image size changes during training.
#
# **Time:** reading 47 min, exercises 48 min, running half a minute on two CPU cores.
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
import cv2
import figures
import matplotlib.pyplot as plt
import numpy as np

import yolo_helpers as yolo

figures.setup()
settings = yolo.load_settings()

# %% [markdown]
# Here is the pipeline again. This chapter covers the orange parts: the image, and in the lower row the truth on the
# grid and the target.

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
# | `y` | (13, 13, 4, 5 + C) | grid units (the first four numbers) | the target |
# | `true_boxes` | (1, 1, 1, 50, 4) | grid units | all boxes of the image as a list, explained near the end |
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
# Both pictures were drawn with the same four fractions for each box. A box that ends at 0.91 of the width still ends
# at 0.91 of the width after stretching. This is why we keep boxes as fractions. We also never round them to whole
# pixels, which would make them less exact.
#
# Why 416? The network halves the image five times, so one cell of its output stands for 32 x 32 pixels, and 416 / 32 =
# 13 cells. The authors wanted an odd number. Large objects are often in the middle of a photo, and with an odd number
# there is one cell exactly in the middle to answer for them.
#
# ## Which cell answers for an object?
#
# Multiply a fraction by 13, and you get *grid units*. In grid units, the cell borders are at whole numbers. The
# centre of the object decides: the cell in which the centre lies has to find the object. Cutting off the decimals
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
# The standing cow comes first in the file, the lying cow second. The standing cow has its centre at x = 8.44 and y =
# 5.55, so the cell in column 8 and row 5 has to find it. The dog's centre lies close to the left border of its
# cell, at x = 12.04.
#
# The `minimum` in the code is a safeguard. Rounding could put a centre exactly on the right or lower border, at 13.0,
# and there is no column or row 13. It goes to 12.
#
# ## Which anchor answers for an object?
#
# Each cell makes four predictions, one for each anchor. The anchor whose size has the largest IoU with the object
# takes it. Chapter 1 stored the anchors as fractions of the image. From here on we need them in the unit of the grid,
# so `yolo.load_anchors` multiplies them by 13, once and for all. Every function of the book that comes after this
# point takes anchors in grid units. Any pair of a cell and an anchor is called a *place*, so there are 676 places.
# The place with the object's cell and its best anchor is *responsible* for the object. For short, we also call
# its cell the responsible cell.

# %%
anchors = yolo.load_anchors(settings, splits.train)
ious = yolo.iou_wh(sizes, anchors)
best_anchors = ious.argmax(axis=1)

print("anchors in grid units:")
print(np.round(anchors, 2))
for label, row, best in zip(labels, ious, best_anchors, strict=True):
    print(f"{settings.classes[label]:<5} IoUs", np.round(row, 2), " best anchor", best)

# %% [markdown]
# The first line of the output says where the anchors come from: from your own run of chapter 1, or else from the copy
# in `data/reference` that the repository carries.
#
# > **Pitfall.** If your encoder multiplies the caller's array of anchors by 13 *in place*, running that code a second time makes them 13 times too large. Nothing crashes. Every object then goes to the smallest anchor, and training
# > fails quietly. Convert once, into a new array.
#
# Now every object has a cell and an anchor. The next figure shows them on the grid, with their row and column numbers.

# %% tags=["slide"]
_, axis = plt.subplots(figsize=(7.6, 7.6))
title = "The centre picks the cell, the size picks the anchor"
figures.responsible_cells(
    axis, square, boxes, best_anchors, grid_size, dashed=anchors, title=title
)
plt.show()

# %% [markdown]
# The white dots are the centres, and the filled cells contain them. The numbers name the cells, so the left border of
# column 8 is at x = 8.0. Colours are those of the anchors, as in chapter 1, and the dashed boxes are the anchors
# themselves. Of the 676 places, exactly three are responsible for an object. The other 673 belong to the
# *background*. As a rule, they should say that there is nothing. (There is one exception, for predictions that happen
# to fit an object well. It follows in the section on `true_boxes`.)
#
# Note how few they are. The standing cow covers about forty cells with four places each, and a single one of these
# places is responsible for it.
#
# ## How do raw outputs become a box?
#
# A cell and an anchor are a rough description of a box. For the exact one, the network gives four *raw outputs*, which
# are called $t_x$, $t_y$, $t_w$ and $t_h$. They can be any numbers from minus infinity to infinity, because the last
# layer of the network does not limit them. We need formulas that turn any four numbers into a valid box.
#
# **Location.** The centre should lie in the cell that makes the prediction. Let $(c_x, c_y)$ be the upper left corner
# of this cell in grid units. Its column is $c_x$ and its row is $c_y$. The *sigmoid* function $\sigma(t) = 1 / (1 +
# e^{-t})$ turns any number into one between 0 and 1. So
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
# can never give a negative width. With $t_w = t_h = 0$ the box is the anchor itself. Adding ln 2 = 0.69 to $t_w$
# doubles the width of the box, whatever the anchor is, and subtracting it halves the width.
#
# The figure shows both formulas for the standing cow.

# %% tags=["slide"]
figures.box_formulas(centres[0], sizes[0], anchors[best_anchors[0]])

# %% [markdown]
# On the left is the responsible cell, magnified. The corner of the cell is a fixed number, and the sigmoids add the way
# from there to the centre. On the right the dashed box is anchor 3, on the centre of the cow. The box is smaller, so
# the exponential must be a factor below one.
#
# Besides these four, each prediction has one raw output $t_o$ and one more for each class. The *objectness* is
# $\sigma(t_o)$, so it lies between 0 and 1 as well. The C raw outputs of the classes become *class probabilities* with
# the softmax function, which makes them positive and lets them add up to 1.
#
# > **Pitfall.** Without the sigmoid, a cell could predict a box anywhere in the image. Faster R-CNN, the detector that
# > introduced anchors, works like this: it adds an unlimited number to the centre. The authors of YOLOv2 found training
# > unstable with it, and the sigmoid is their cure.
#
# ## Can we do one box by hand?
#
# Let us follow the standing cow from its XML file to the four raw outputs that would describe it perfectly, and back.
# The encoder will not need the raw outputs, because the target holds boxes in grid units, as we will see. We compute
# them to find out what the network has to produce.
#
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
# All four numbers are small. This is what cells and anchors are for: the cell supplies the 8 of 8.437, the anchor
# supplies a width of 9.13 that only has to shrink to 6.786, and the network mostly has to produce values near zero.
# $t_x$ and $t_y$ grow only where the centre is close to the border of its cell, and $t_w$ and $t_h$ only where the
# size is far from that of the anchor. The dog's centre, at 12.04, needs a $t_x$ of -3.2. Negative $t_w$ and $t_h$ say
# that the cow is smaller than its anchor. Now back, with the formulas from above.


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
# The target holds boxes, and the network gives raw outputs. How can they be compared? The loss of chapter 4 first
# turns the raw outputs into boxes, with the formulas above, and compares afterwards. It compares centres and sizes,
# and it also computes an IoU. Both are easy from a box in grid units, so this is what the target holds. A responsible
# place holds these 5 + C numbers:
#
# | position | content |
# |---|---|
# | 0, 1 | centre x and y, in grid units |
# | 2, 3 | width and height, in grid units |
# | 4 | 1, a mark which says "an object belongs here" |
# | 5 to 4 + C | 1 at the class of the object, 0 elsewhere (*one-hot*) |
#
# All other places are zero. Only one of these zeros asks for something, the one at position 4: there, the objectness
# should be 0. The others just fill the array. The network always gives some box and some class probabilities, but the
# loss does not compare them with these zeros.
#
# The mark deserves a remark, because it stands at the position of the objectness. It only says *where* an object
# belongs. The objectness that the network should reach at this place is another number: the IoU of its own predicted
# box with the object, for example 0.3 early in training and 0.8 later. So it learns to say how good its box is. As this
# number changes all the time, it cannot be stored in the target, and the loss of chapter 4 computes it anew in each
# step.
#
# These few lines are the whole encoder.

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
# Let us open the tensor. On the left you see the marks of all cells (the largest of each cell's four), and on the
# right all four answers of the cell that is responsible for the standing cow.

# %% tags=["slide"]
column, row = cells[0]
figures.target_exploded(y, (row, column), settings.classes)

# %% [markdown]
# Three cells contain a 1, the same three as in the figure of the grid. In the opened cell, anchor 3 holds the cow:
# its centre, its size, the mark, and a single 1 among the classes. The other three anchors of the same cell are all
# zeros. They are background, and should answer with an objectness of 0.
#
# `yolo.encode_boxes` contains the same loop, and returns a second tensor to which we come below. We compare once.

# %%
y_module, true_boxes = yolo.encode_boxes(boxes, labels, anchors, grid_size, num_classes)
print("the same target:", np.array_equal(y, y_module))

# %% [markdown]
# We will also need the opposite direction, from a target to boxes. We look for the marked places and read what they
# hold.


# %%
def boxes_in_target(y):
    grid_size = len(y)
    answers = y[y[..., 4] == 1]
    centres, sizes = answers[:, 0:2], answers[:, 2:4]
    corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    return corners / grid_size, answers[:, 5:].argmax(axis=1)


for box, label in zip(*boxes_in_target(y), strict=True):
    print(f"{settings.classes[label]:<5}", np.round(box, 4))

# %% [markdown]
# All three objects of the example come back, sorted by their cells.
#
# ## What if two objects want the same place?
#
# A person riding a bicycle and the bicycle can have their centres in the same cell and the same best anchor. There is
# only one place for both. In such a *collision* the later object completely overwrites the earlier one, as in Darknet.
# The earlier one is lost for training in this image. Let us count how often this happens.


# %%
def find_places(boxes, grid_size):
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * grid_size
    sizes = (boxes[:, 2:] - boxes[:, :2]) * grid_size
    cells = np.minimum(centres.astype(int), grid_size - 1)
    best_anchors = yolo.iou_wh(sizes, anchors).argmax(axis=1)
    return [(*cell, best) for cell, best in zip(cells, best_anchors, strict=True)]


def find_collisions(grid_size):
    collisions = []  # (annotation, number of the lost object, number of the kept one)
    for annotation in splits.train:
        places = find_places(yolo.box_fractions(annotation), grid_size)
        taken = {}  # place -> number of the object that has it
        for i in np.flatnonzero(~annotation.difficult):  # difficult ones are left out
            if places[i] in taken:
                collisions.append((annotation, taken[places[i]], i))
            taken[places[i]] = i
    return collisions


# %%
num_objects = sum(int(np.sum(~annotation.difficult)) for annotation in splits.train)
for size in (224, 320, 416):
    num_lost = len(find_collisions(size // yolo.CELL_SIZE))
    print(f"{size} pixels: {num_lost} of {num_objects} objects lose their place")

# %% [markdown]
# At 416 pixels, fewer than one object in a hundred is lost. Training also uses smaller images, as we will see. At 224
# pixels there are only 7 x 7 cells, and four objects in a hundred are lost. There are two reasons: the centres meet
# more often in so few cells, and an object covers fewer grid units while the anchors stay as they are, so more
# objects go to the small anchor 0. (The section on image sizes shows this.) Here are three of the cases at 416
# pixels, enlarged. The solid box is in the target, and the dashed box was overwritten. Both have the colour of their
# anchor.

# %%
collisions = find_collisions(grid_size)
pairs = []
for annotation, lost, kept in collisions[-3:]:
    pair = [lost, kept]
    fractions = yolo.box_fractions(annotation)[pair]
    *_, anchor = find_places(fractions, grid_size)[0]
    pairs.append((annotation, fractions, annotation.labels[pair], anchor))
title = "Each dashed box shares its cell and its anchor with the solid one"
figures.collisions(pairs, settings.classes, title)

# %% [markdown]
# In all three pictures, both centres (dots) lie in one cell (black). (The pictures show the photo before it is
# stretched, so the cell is wider than high.) The two boxes need not look alike: the car is wide and the person in
# front of it is tall. It is enough that both have the same best anchor, and for nearly all small boxes that is anchor
# 0. So encoding loses some boxes. If two objects in one cell go to different anchors, both are kept, and this is why it
# helps to have several anchors. Larger images help too, as the three counts show.
#
# > **Pitfall.** If the encoder only *sets* numbers instead of replacing the whole vector, the second object leaves a
# > mixture: its own box, with the class bits of both objects. The network is then asked to be certain of a bicycle and
# > of a person at the same time. Our encoder writes a complete new vector. The code below puts two boxes of different classes in one place: there is one answer, and it has a single class.

# %%
same_place = [[0.40, 0.40, 0.60, 0.80], [0.41, 0.41, 0.60, 0.80]]
first, last = 0, num_classes - 1
target, _ = yolo.encode_boxes(same_place, [first, last], anchors, 13, num_classes)
answer = target[target[..., 4] == 1]
print("answers:", len(answer), " classes in it:", int(answer[0, 5:].sum()))

# %% [markdown]
# ## What is `true_boxes` for?
#
# The second tensor of `yolo.encode_boxes` is a plain list of all boxes of the image (without the difficult ones), as
# centre and size in grid units. It always has 50 rows, because tensors of one batch need one shape. Unused rows are
# zero.

# %%
print("true_boxes", true_boxes.shape)
print(np.round(true_boxes[0, 0, 0, :4], 2))

# %% [markdown]
# The loss of chapter 4 needs this list for a rule of fairness. A prediction that is not responsible for an object
# should say "background". But sometimes such a prediction happens to describe an object very well, for example from
# the neighbouring cell. It would be wrong to punish it. So the loss compares each of the 676 predictions with every
# true box of the image. Of the predictions that are not responsible, it excuses those with an IoU above 0.6: nobody
# asks them to say "background". Lost objects are in the list too, so it is also fair to predictions that find them.
#
# The three ones in its shape let NumPy and TensorFlow compare every prediction with every box without a loop. The rule
# for this is called *broadcasting*: where one of two arrays has a length of 1, it is repeated to match the other.
#
# | array | shape |
# |---|---|
# | predicted boxes | (13, 13, 4, 1, 4) |
# | `true_boxes` | (1, 1, 1, 50, 4) |
# | differences of their coordinates | (13, 13, 4, 50, 4) |
#
# If an image has more than 50 boxes, only the 50 largest are kept in `true_boxes`. The target `y` has all of them.
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
# ## How do we get more out of the same images?
#
# A network with millions of weights can learn our 400 training images by heart. *Augmentation* makes that harder:
# each time an image is used, it is changed at random, in ways after which we still know the right answer. We use the
# three changes that Darknet uses.
#
# 1. **Moved borders.** Each of the four borders moves in or out by up to 20 % of the image. Moving in crops the image,
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
# With these random numbers, the left border moves out and leaves a grey bar, while the other three borders move in.
# The cows become taller, and half of the dog is cut away, together with half of its box. Then the image is mirrored,
# and the last step makes it darker and turns the orange cow olive.
#
# A box that crosses the new border is cut there. If less than a quarter of its area stays visible, we drop it. A
# visible hoof should not count as a cow.
#
# Each pass over the data, called an *epoch*, makes new random changes. `yolo.make_example` makes them when it gets a
# random number generator as its last argument. Here are two images beside three augmented versions of each. Both rows
# use the same three seeds, so the changes in a column are the same. The boxes come from the targets `y`, so you also
# see that image and target still fit together.

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
# In each row the first image is the original. Objects move, become wider or narrower, and change their colour. All
# boxes follow their objects, and the half of the dog that is left with seed 9 keeps half of its box. When an object
# is cut off, its box is cut at the same border. The rest of the box can then be a little larger than the rest of the
# object: a cow that was high because of its horns keeps the height of its box when the horns are cut away.
#
# ## What happens when the image size changes?
#
# During training, every tenth batch the images get a new size, in this book a multiple of 32 from 224 to 416 pixels.
# This is *multi-scale training*. The network learns to recognise objects at different sizes, and can later be used at
# any of them. It works because the network only consists of layers that do not care about the size of their input.
#
# Because the size is a multiple of 32, a cell stays 32 x 32 pixels and the *number* of cells changes. The anchors
# keep their size in grid units, as in Darknet. An anchor therefore has the same number of pixels in images of any
# size, and covers a larger share of a small image.

# %%
image_sizes = (224, 320, 416)
_, axes = plt.subplots(1, 3, figsize=(12, 6.2), width_ratios=image_sizes)
for axis, size in zip(axes, image_sizes, strict=True):
    grid = size // yolo.CELL_SIZE
    grid_sizes = (boxes[:, 2:] - boxes[:, :2]) * grid
    best = yolo.iou_wh(grid_sizes, anchors).argmax(axis=1)
    title = f"{size} pixels: {grid} x {grid}\nanchors {', '.join(map(str, best))}"
    figures.responsible_cells(axis, square, boxes, best, grid, title=title)
    axis.set(xticks=[], yticks=[], xlabel="", ylabel="")
plt.show()

# %% [markdown]
# This is the same photo at three image sizes, drawn to scale: a cell has 32 pixels in all of them, so all cells are
# equally large. Colours and titles show the best anchors of the standing cow, the lying cow and the dog. At 416
# pixels, the best anchor of the standing cow is anchor 3. At 320 the cow is only 5.2 grid units wide, and anchor 1
# fits it better. At 224 even the lying cow has become so small that it goes to anchor 0.
#
# How often does the anchor change in the whole training set?

# %%
fractions = yolo.box_sizes(splits.train)
at_416 = yolo.iou_wh(fractions * 13, anchors).argmax(axis=1)
for size in (224, 320):
    grid = size // yolo.CELL_SIZE
    best = yolo.iou_wh(fractions * grid, anchors).argmax(axis=1)
    print(
        f"{size} pixels: {np.mean(best != at_416):.0%} of the boxes change their anchor"
    )

# %% [markdown]
# About one object in four goes to another anchor at 320 pixels than at 416, and more than half of them at 224. So
# many changes may look wrong, but they are wanted. At 320 pixels the standing cow is 5.22 x 32 = 167 pixels wide. A
# cow of 167 pixels looks the same to the network in an image of any size, so it should always get the same anchor. An
# anchor stands for objects of about the same size *in pixels*, because pixels are what the network sees. We converted
# the anchors at 416 pixels because this is the size at which the finished detector is used.
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
# With `training=True` the images come in a new random order in each epoch, augmented, and in changing sizes. All
# images of one batch have the same size, because they share one tensor. `yolo.plan_epoch` needs only the seed and the
# number of the epoch to know order and sizes, so that training can be interrupted and continued. For the sizes, the
# batches are counted through the whole training, and each group of ten has a size of its own that follows from the
# seed. These are the sizes of the first three epochs.

# %%
for epoch in range(3):
    plan = yolo.plan_epoch(splits.train, settings, epoch)  # (index, size) per image
    first_of_each_batch = plan[:: settings.batch_size]
    print(f"epoch {epoch}:", *[size for _, size in first_of_each_batch])

# %% [markdown]
# Ten batches in a row share a size. An epoch has 25 batches, so some sizes continue into the next epoch. The same
# size can be drawn twice in a row, which does not happen in these three.
#
# The network receives `images`, and the loss receives `y` and `true_boxes`. Everything that happens before the network
# is now in place.

# %% [markdown]
# ## Exercises
#
# Each exercise has a starter cell to complete, a folded solution, and a check cell that says whether the answer is
# right. To try an exercise yourself here, complete its starter cell, skip the folded solution and run the check. The
# check cells are folded as well, because they contain the answers: run them without opening them. The student edition
# (`make workshop`) leaves the solutions out. Run the next cell first: it defines the grid, two functions of the
# chapter, and the anchors that chapter 1 found for the images of this book.


# %% tags=["exercise-setup"]
def logit(p):
    return np.log(p / (1 - p))


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


grid_size = 13
anchors = np.array([[1.26, 2.06], [4.78, 3.23], [2.99, 6.76], [9.13, 7.62]])
before = np.array([173, 110, 273, 190]) / 416  # the box of exercise 2.4

# %% [markdown]
# ### Exercise 2.1: Where is the object in `y`? (8 minutes)
#
# An image of 416 x 416 pixels contains one object. Its box, as fractions of the image, is xmin = 0.74, ymin = 0.20,
# xmax = 0.94 and ymax = 0.30. The four anchors, in grid units, are
#
# | anchor | width | height |
# |---|---|---|
# | 0 | 1.26 | 2.06 |
# | 1 | 4.78 | 3.23 |
# | 2 | 2.99 | 6.76 |
# | 3 | 9.13 | 7.62 |
#
# In the target, exactly one mark `y[row, column, anchor, 4]` is 1. Which one? Predict the three indices with pen,
# paper and a calculator, before you run any code. The encoder takes the same steps for every object, and a mistake in
# them is silent: training runs, and the network learns to answer in the wrong cell or with the wrong anchor.
#
# Hand in the three numbers as `(row, column, anchor)`.

# %% tags=["starter"]
prediction = None  # (row, column, anchor), three whole numbers

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
# Centre: x = (0.74 + 0.94) / 2 * 13 = 10.92 and y = (0.20 + 0.30) / 2 * 13 = 3.25.
# Cutting off the decimals gives column 10 and row 3. An array is indexed by the row
# first.
#
# Size: 0.20 * 13 = 2.60 wide and 0.10 * 13 = 1.30 high. On the same centre, anchor 0
# and the object share 1.26 * 1.30 = 1.64. Their areas are 2.60 and 3.38, so the union
# is 2.60 + 3.38 - 1.64 = 4.34 and the IoU 0.38. The object fits inside anchor 1, so
# this IoU is 3.38 / 15.44 = 0.22. The other two are 0.17 and 0.05. Anchor 1 is wide
# like the object, but the object is so small that anchor 0 fits better.
prediction = (3, 10, 0)

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
assert prediction is not None, "Your prediction is still empty: write three numbers."
is_triple = isinstance(prediction, tuple | list) and len(prediction) == 3
assert is_triple, "Write three numbers in brackets: (row, column, anchor)."

box = np.array([0.74, 0.20, 0.94, 0.30])
y, _ = yolo.encode_boxes([box], [0], anchors, grid_size, 1)
row, column, anchor = np.argwhere(y[..., 4] == 1)[0].tolist()
your_row, your_column, your_anchor = prediction

message = "Row and column are swapped: y gives the row, x gives the column."
assert (your_row, your_column) != (column, row), message
message = "You took the upper left corner: the centre of the box picks the cell."
assert (your_row, your_column) != (2, 9), message
message = f"Column {your_column} is rounded up: cut off the decimals of 10.92 instead."
assert your_column != column + 1, message
message = "This is not the cell. Compute the centre of the box and multiply it by 13."
assert (your_row, your_column) == (row, column), message
message = (
    "Anchor 1 is wide like the object, but the IoU also compares how large they are. "
    "Compute the IoU of 2.60 x 1.30 with anchor 0 and with anchor 1."
)
assert your_anchor != 1, message
message = "This anchor is much too large: compare the IoU of 2.60 x 1.30 with each one."
assert your_anchor == anchor, message

ious = yolo.iou_wh([(box[2:] - box[:2]) * grid_size], anchors)[0]
print(
    f"Exercise 2.1 is right: y[{row}, {column}, {anchor}, 4] is 1.\n"
    f"The object is wide, but its IoU is {ious[0]:.2f} with the small anchor 0 and "
    f"{ious[1]:.2f} with the wide anchor 1. Size counts as much as proportions."
)

# %% [markdown]
# ### Exercise 2.2: From raw outputs to pixels (10 minutes)
#
# The network has answered, and you are given the four raw outputs $t_x, t_y, t_w, t_h$ of one cell and one anchor.
# Which box does it mean? Write `box_in_pixels`, which applies the formulas of this chapter and returns the corners of
# the box in pixels of the square image that the network has seen. Pixels are plain coordinates here, which start with 0
# at the upper left corner of the image, so there is no 1 to add.
#
# The function has no parameter for the size of the image. Think about why it does not need one: the answer is in the
# section on the image size.
#
# Hand in the function. `sigmoid` is defined above.


# %% tags=["starter"]
def box_in_pixels(raw, row, column, anchor):
    """Turn four raw outputs into a box.

    Parameters
    ----------
    raw : sequence of 4 floats
        t_x, t_y, t_w and t_h, any numbers.
    row, column : int
        Of the cell.
    anchor : sequence of 2 floats
        Width and height of the anchor in grid units.

    Returns
    -------
    array (4,)
        xmin, ymin, xmax, ymax in pixels.
    """
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def box_in_pixels(raw, row, column, anchor):
    """Turn four raw outputs into a box.

    A cell is 32 pixels wide at every image size, and the anchors are in grid units. So
    the factor from grid units to pixels is always 32.
    """
    t_x, t_y, t_w, t_h = raw
    centre = np.array([column + sigmoid(t_x), row + sigmoid(t_y)])
    size = np.array([anchor[0] * np.exp(t_w), anchor[1] * np.exp(t_h)])
    corners = np.concatenate([centre - size / 2, centre + size / 2])
    return corners * yolo.CELL_SIZE


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
yours = box_in_pixels([0, 0, 0, 0], row=2, column=5, anchor=(3, 2))
assert yours is not None, "Your function is still empty: it returns None."
assert np.shape(yours) == (4,), "Return an array of four numbers."
mistakes = {
    (4, 1.5, 7, 3.5): "This box is in grid units: a cell has 32 pixels.",
    (176, 80, 96, 64): "These are centre and size: compute the corners from them.",
    (176, 80, 272, 144): "The box starts at the centre: half of it is on either side.",
    (80, 16, 272, 144): "The box is twice as large as it should be: use half the size.",
    (32, 144, 128, 208): "Row and column are swapped: the column belongs to x.",
    (112, 32, 208, 96): "The centre is at the cell's corner: apply the sigmoid to t_x.",
    (176, 80, 176, 80): "The box has no size. For t_w = 0 it is the anchor: use exp.",
}
for value, message in mistakes.items():
    assert not np.allclose(yours, value), message
message = f"For raw outputs of 0 it is (128, 48, 224, 112), not {np.round(yours, 1)}."
assert np.allclose(yours, (128, 48, 224, 112)), message

rng = np.random.default_rng(0)
for cells_per_side in (10, 13, 16):
    raw = rng.normal(size=(1, cells_per_side, cells_per_side, 4, 6))
    decoded = yolo.decode_predictions(raw, anchors)
    expected = decoded.boxes[0, 8, 3, 2] * cells_per_side * 32
    four = raw[0, 8, 3, 2, :4]
    yours = box_in_pixels(four, 8, 3, anchors[2])
    message = (
        f"With raw outputs {four.round(2)}, row 8, column 3 and anchor 2 the box is "
        f"{expected.round()}, but yours is {np.round(yours)}. With zeros you are "
        "right, so look at what sigmoid and exp are applied to."
    )
    assert np.allclose(yours, expected, atol=0.05), message
print(
    "Exercise 2.2 is right: you agree with yolo.decode_predictions at 320, 416 and 512 "
    "pixels.\nA cell has 32 pixels in all of them, so the image size does not matter."
)

# %% [markdown]
# ### Exercise 2.3: Boxes after a crop (15 minutes)
#
# When augmentation moves the borders of an image, the boxes have to follow. Write `boxes_after_crop` for new borders
# that are given as fractions of the old image. For example, left = 0.2 and right = 0.7 keep the part from 20 % to 70 %
# of the width, and left = -0.25 adds a grey bar of a quarter of the width. For each box,
#
# 1. express its corners as fractions of the *new* image,
# 2. cut it at the borders of the new image,
# 3. drop it if less than a quarter of its area is left after the cut.
#
# `yolo.box_areas(boxes)` returns the areas of n boxes, an array (n,). Compute both areas from boxes in fractions of
# the new image, because an area in fractions of the old image has another unit. It is a good idea to draw the old
# image and the new borders on paper first. Hand in the function.


# %% tags=["starter"]
def boxes_after_crop(boxes, left, top, right, bottom):
    """Let boxes follow when the borders of their image move.

    Parameters
    ----------
    boxes : array (n, 4)
        xmin, ymin, xmax, ymax as fractions of the old image.
    left, top, right, bottom : float
        The new borders, as fractions of the old image. They may lie outside of it.

    Returns
    -------
    array (m, 4)
        The m boxes that are kept, as fractions of the new image, in the same order.
    """
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def boxes_after_crop(boxes, left, top, right, bottom):
    """Let boxes follow when the borders of their image move."""
    new_width, new_height = right - left, bottom - top
    moved = np.asarray(boxes) - [left, top, left, top]
    moved = moved / [new_width, new_height, new_width, new_height]
    cut = np.clip(moved, 0, 1)
    visible_share = yolo.box_areas(cut) / yolo.box_areas(moved)  # both in the same unit
    return cut[visible_share >= 0.25]


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
inside = [0.3, 0.2, 0.5, 0.4]
cut_at_corner = [0.1, 0.4, 0.5, 0.9]  # 60 % of it stay visible
one_sixth_visible = [0.65, 0.4, 0.95, 0.6]
outside = [0.8, 0.1, 0.9, 0.3]
borders = {"left": 0.2, "top": 0.0, "right": 0.7, "bottom": 0.8}

yours = boxes_after_crop(np.array([inside]), **borders)
assert yours is not None, "Your function is still empty: it returns None."
assert np.shape(yours) == (1, 4), "The box lies inside the new borders: keep it."
is_in_old_unit = np.allclose(yours, [[0.1, 0.2, 0.3, 0.4]])
assert not is_in_old_unit, "Divide by the width and height of the new image as well."
is_not_shifted = np.allclose(yours, [[0.6, 0.25, 1.0, 0.5]])
assert not is_not_shifted, "Subtract the new left and top border before you divide."
message = f"{inside} becomes [0.2, 0.25, 0.6, 0.5], but yours is {np.round(yours, 3)}."
assert np.allclose(yours, [[0.2, 0.25, 0.6, 0.5]]), message

yours = boxes_after_crop(np.array([inside, cut_at_corner]), **borders)
assert len(yours) == 2, "A box that is 60 % visible was dropped: keep it, but cut it."
is_cut = np.min(yours) >= 0 and np.max(yours) <= 1
assert is_cut, "A box reaches beyond the new image: cut it, so it is from 0 to 1."
message = f"The cut box is [0, 0.5, 0.6, 1], but yours is {np.round(yours[1], 3)}."
assert np.allclose(yours[1], [0, 0.5, 0.6, 1]), message

yours = boxes_after_crop(np.array([inside, one_sixth_visible, outside]), **borders)
assert len(yours) < 3, "A box outside of the new image is still there: drop it."
message = (
    "A box of which 17 % is visible is still there. Compare its area after the cut "
    "with its area before the cut, both in fractions of the new image."
)
assert len(yours) == 1, message

wider = boxes_after_crop(np.array([[0.0, 0.0, 0.5, 0.5]]), -0.25, 0.0, 1.0, 1.0)
message = "With left = -0.25 the new image is 1.25 wide: the box begins at 0.2."
assert np.allclose(wider, [[0.2, 0.0, 0.6, 0.5]]), message
print(
    "Exercise 2.3 is right: the boxes stay on their objects.\n"
    "In fractions, moving the borders is a shift and a scaling, and adding grey needs "
    "no rule of its own."
)

# %% [markdown]
# ### Exercise 2.4: Two pixels to the right (15 minutes)
#
# An object in an image of 416 x 416 pixels is 100 pixels wide, and the centre of its box is at x = 223 pixels. The
# array `before`, defined above exercise 2.1, is its box as fractions. Now move the object to the right by 2 pixels. To
# the eye, nothing has changed.
#
# 1. Complete `after`, the moved box as fractions of the image.
# 2. Write `column_and_t_x`. It returns the column of the responsible cell, and the raw output $t_x$ that describes the
#    box perfectly. `logit` is defined above. Compare the results for `before` and `after`.
# 3. Suppose the network answers the second image just like the first one, with an objectness near 1 and the box
#    `before`, predicted from its old cell. What does the loss of chapter 4 do to the *objectness* of this prediction?
#    The section on `true_boxes` tells you. The boxes `before` and `after` have an IoU of 0.96.
#    - **A.** It punishes it as background, because another cell is responsible now.
#    - **B.** It rewards it, because near a border both cells are responsible for the object.
#    - **C.** It excuses it, because the box overlaps a true box well enough.
#    - **D.** It punishes it, because the value of $t_x$ in the old cell is wrong now.
#
# Hand in the array, the function and the letter.

# %% tags=["starter"]
after = None  # your code: before, moved to the right by 2 pixels


def column_and_t_x(box):
    """Find the responsible column of a box, and the raw output for its centre.

    Parameters
    ----------
    box : array (4,)
        xmin, ymin, xmax, ymax as fractions of the image of 13 x 13 cells.

    Returns
    -------
    column : int
    t_x : float
    """
    return None  # your code


explanation = None  # "A", "B", "C" or "D"

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
after = before + np.array([2, 0, 2, 0]) / 416


def column_and_t_x(box):
    """Find the responsible column of a box, and the raw output for its centre."""
    b_x = (box[0] + box[2]) / 2 * grid_size
    column = int(b_x)
    return column, logit(b_x - column)


for name, box in (("before", before), ("after", after)):
    column, t_x = column_and_t_x(box)
    print(f"{name:<6}  column {column}, t_x {t_x:.2f}")

# The centre moves from 6.97 to 7.03 grid units, across the border between columns 6 and
# 7. So the target moves to another cell, and t_x from the far right end of the sigmoid
# to its far left end.
#
# The old cell is no longer responsible, and nothing in the target says that it may
# still answer, so B is wrong. As it is not responsible, nobody asks for its t_x, so D
# is wrong. It would count as background, as A says, if the loss did not compare its box
# with the list `true_boxes`. With an IoU of 0.96, far above 0.6, it is excused.
explanation = "C"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
assert after is not None, "after is still empty: move the box to the right."
move = (after - before) * 416
assert np.isclose(move[0], move[2]), "The box is wider now: move both xmin and xmax."
assert np.allclose(move[[1, 3]], 0), "Only x changes: leave ymin and ymax as they are."
message = "The boxes are fractions of the image: 2 pixels are 2 / 416 of its width."
assert np.allclose(move, [2, 0, 2, 0]), message

results = [column_and_t_x(before), column_and_t_x(after)]
is_empty = any(result is None for result in results)
assert not is_empty, "column_and_t_x is still empty: it returns None."
kinds = tuple | list | np.ndarray
are_pairs = all(isinstance(result, kinds) and len(result) == 2 for result in results)
assert are_pairs, "Return two numbers in every case: the column and t_x."
columns, t_xs = zip(*results, strict=True)
columns = tuple(map(int, columns))
assert columns != (4, 4), "You computed the row: x is in box[0] and box[2]."
message = f"The columns are 6 and 7, not {columns}: cut off the decimals of the centre."
assert columns == (6, 7), message
message = "This is the offset in the cell, between 0 and 1. Which t_x has this sigmoid?"
assert not np.allclose(t_xs, [0.96875, 0.03125]), message
assert not np.isnan(t_xs).any(), "logit needs a number between 0 and 1: b_x - column."
message = f"The raw outputs are 3.43 and -3.43, not {np.round(t_xs, 2)}: use logit."
assert np.allclose(t_xs, [3.434, -3.434], atol=0.01), message

assert explanation is not None, "Your explanation is still empty: write a letter."
hints = {
    "A": "It is indeed not responsible any more, but that alone is not punished. What "
    "does the loss compare with `true_boxes`?",
    "B": "Only the cell with the centre is responsible, even close to a border: the "
    "target has a single 1. What does the loss compare with `true_boxes`?",
    "D": "Only a responsible cell is asked for a certain t_x, and the old cell is not "
    "responsible any more. What does the loss compare with `true_boxes`?",
}
message = hints.get(str(explanation), 'Write one capital letter in quotes, like "A".')
assert explanation == "C", message
print(
    f"Exercise 2.4 is right: from column {columns[0]} to {columns[1]}, and t_x from "
    f"{t_xs[0]:.2f} to {t_xs[1]:.2f}, for a step of 2 pixels.\n"
    "So close to a border, both cells may find the object. The loss excuses the one "
    "that is not\nresponsible, and chapter 6 removes the duplicates."
)

# %% [markdown]
# ## Check your understanding
#
# Answer each question in your own words before you open it.
#
# <details><summary>1. Why is the location computed with a sigmoid, but the size with an exponential function?</summary>
#
# The centre has to lie in the responsible cell, so its offset from the corner needs both a lower and an upper limit.
# The sigmoid gives a number between 0 and 1. A size has to be positive, but it has no upper limit, and the exponential
# gives any positive factor. The same change of $t_w$ then means the same relative change for every anchor.
#
# </details>
#
# <details><summary>2. What are the four perfect raw outputs for a box with the size of anchor 2 and its centre in the middle of a cell?</summary>
#
# All four are 0. The sigmoid of 0 is 0.5, which is the middle of the cell, and the exponential of 0 is 1, which leaves
# the anchor unchanged. This holds for every cell and every anchor: 0 always means "the middle of my cell, the size of
# my anchor".
#
# </details>
#
# <details><summary>3. Why do two objects in the same cell not always collide?</summary>
#
# Each cell has four answers, one for each anchor. If the objects differ in shape or size, their best anchors are
# usually different, and both have a place in the target. They only collide when cell and anchor are both the same, and
# then the later one overwrites the earlier one.
#
# </details>
#
# <details><summary>4. Why does the loss need <code>true_boxes</code>, although all boxes are already in <code>y</code>?</summary>
#
# In `y` a box is only found at its own cell and anchor. The loss has to compare each of the 676 predictions with every
# box, in order to excuse good predictions that are not responsible, and a plain list makes that easy. The list also
# contains the objects that were overwritten in `y`.
#
# </details>
#
# <details><summary>5. What are the shapes of <code>y</code> for images of 320 and of 512 pixels, with 4 anchors and C classes?</summary>
#
# A cell always has 32 pixels, so there are 320 / 32 = 10 or 512 / 32 = 16 cells along one side. The shapes are (10, 10,
# 4, 5 + C) and (16, 16, 4, 5 + C). Only the number of cells changes, which is why all images of a batch need the same
# size.
#
# </details>

# %% [markdown]
# ## Key points
#
# - The centre picks the cell, and the best-matching size picks the anchor. This pair is responsible for the object, and all
#   others are background, unless they happen to fit an object well.
# - A grid unit is the side of a cell. Fractions times 13 are grid units, at 416 pixels.
# - A raw output becomes a location with the sigmoid, so the centre cannot leave the cell, and a size with the exponential,
#   which scales the anchor. Both can be inverted.
# - The target `y` has 5 + C numbers for each cell and anchor. If several objects share both, only the last is kept.
#   Without augmentation this costs fewer
#   than one object in a hundred at 416 pixels, and four at 224.
# - `true_boxes` lists all boxes, so that the loss can excuse good predictions that were not responsible.
# - Augmentation changes images and boxes together. When the image size changes, the cells stay 32 pixels wide and the
#   anchors keep their grid units.
#
# **Next:** [3 The model](03_model.ipynb) builds the network whose output has the shape of `y`.
