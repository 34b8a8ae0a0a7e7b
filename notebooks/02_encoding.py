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
# **Goal.** Turn a photo and its boxes into the two things that training needs: the network's input, and the answer that we want to hear.
#
# *The series* is Yumi's blog series on YOLOv2, which these notebooks follow; *the paper* is [YOLO9000](https://arxiv.org/abs/1612.08242); *Darknet* is its authors' [program](https://github.com/pjreddie/darknet).
#
# **You will learn**
# - how a box finds its cell and its anchor;
# - the shapes and the meaning of `x_batch`, `y_batch` and `b_batch`;
# - what happens in the awkward cases: two objects in one cell, boxes on the border, more than fifty objects;
# - why the same pipeline, written with `tf.data`, gives the same numbers bit for bit;
# - that nothing is lost: decoding the answer returns the boxes.
#
# *Read 20 min, run under half a minute, exercises 20 min.*
#
# | part | 1 anchors | **2 encoding** | 3 model | 4 loss | 5 training | 6 inference |
# |---|---|---|---|---|---|---|
# | makes | `anchors.json` | **batches** | the network | the loss | weights | detections, mAP |

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

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats("jpeg", pil_kwargs={"quality": 80})
BLUE, RED, YELLOW, GREEN = "#30638e", "#d1495b", "#edae49", "#66a182"
settings = yolo.load_settings()
IMAGE_SIDE, GRID, BATCH_SIZE = 416, 13, 16

# %% tags=["nbval-ignore-output"]
print(settings.table())

# %%
train = yolo.load_splits(settings.voc_dir).train
path = yolo.find_artifact(settings, "anchors.json", "01_anchor_clustering", yolo.fingerprint(train))
anchors = np.array(yolo.read_artifact(path)["anchors"], np.float32)
print(f"{len(train)} training images, {len(anchors)} anchors")

# %% [markdown]
# ## One image in
#
# The network takes square images. The series' `ImageReader` stretches a photo to 416 x 416 and moves the boxes along. Stretching changes shapes a little, but loses nothing and needs no padding; we do the same at inference, so what is learned fits what is asked.
#
# > **Where the series goes wrong.** It rounds the moved corners down with `int()`. That shifts and shrinks boxes by up to a pixel for no reason. Here boxes stay continuous fractions of the image all the way.

# %%
class ImageReader:
    """Reads an image as the network wants it, and its boxes as fractions (xmin, ymin, xmax, ymax)."""

    def __init__(self, side):
        self.side = side

    def fit(self, annotation):
        """(image (side, side, 3) from 0 to 1, boxes (n, 4), labels (n,)) without difficult objects."""
        photo = yolo.read_image(annotation.image_path)
        image = cv2.resize(photo, (self.side, self.side), interpolation=cv2.INTER_LINEAR) / np.float32(255)
        boxes = []
        for xmin, ymin, xmax, ymax in annotation.boxes[~annotation.difficult]:  # 1-based, inclusive pixels
            boxes.append([(xmin - 1) / annotation.width, (ymin - 1) / annotation.height, xmax / annotation.width, ymax / annotation.height])
        return image, np.array(boxes, np.float32).reshape(-1, 4), annotation.labels[~annotation.difficult]


reader = ImageReader(IMAGE_SIDE)
example = next(a for a in train if 3 <= len(a.labels) <= 6 and a.width > a.height and not a.difficult.any())
image, boxes, labels = reader.fit(example)
assert np.array_equal(boxes, yolo.box_fractions(example))
print(image.shape, image.dtype, "values from 0 to 1:", bool(image.min() >= 0 and image.max() <= 1))
for box, label in zip(boxes, labels):
    print(f"{yolo.CLASSES[label]:<12}", np.round(box, 2))

# %% [markdown]
# ## Where does a box belong?
#
# The network's last map is a grid of 13 x 13 cells. A box belongs to the cell that its **centre** falls into, and only this cell is asked for it. So all lengths are measured in cells from here on: *grid units*, from 0 to 13.
#
# The example that the series works through is a person at xmin 148, ymin 84, xmax 298, ymax 292 of 416 pixels:

# %%
def rescale_centerxy(box, grid):
    """Centre (x, y) of a box in fractions, in grid units."""
    return (box[0] + box[2]) / 2 * grid, (box[1] + box[3]) / 2 * grid


def rescale_centerwh(box, grid):
    """Width and height of a box in fractions, in grid units."""
    return (box[2] - box[0]) * grid, (box[3] - box[1]) * grid


series_box = np.array([148, 84, 298, 292]) / 416
x, y = rescale_centerxy(series_box, GRID)
w, h = rescale_centerwh(series_box, GRID)
print(f"centre ({x:.3f}, {y:.3f}), size ({w:.3f}, {h:.3f}) in grid units: column {int(x)}, row {int(y)}")

# %% [markdown]
# ## Which anchor?
#
# In its cell, the box goes to the anchor whose **shape** it resembles most, by the IoU of part 1. The other anchors of the cell are free for other objects.

# %%
class BoundBox:
    """A box with its corners as fractions."""

    def __init__(self, xmin, ymin, xmax, ymax):
        self.xmin, self.ymin, self.xmax, self.ymax = xmin, ymin, xmax, ymax

    def overlap(self, other):
        """Width times height of the common area."""
        width = min(self.xmax, other.xmax) - max(self.xmin, other.xmin)
        height = min(self.ymax, other.ymax) - max(self.ymin, other.ymin)
        return max(0, width) * max(0, height)

    def area(self):
        return (self.xmax - self.xmin) * (self.ymax - self.ymin)

    def iou(self, other):
        return self.overlap(other) / (self.area() + other.area() - self.overlap(other))


class BestAnchorBoxFinder:
    """Finds the anchor that is most like a box; the anchors given to it are never changed."""

    def __init__(self, anchors):
        self.anchors = [BoundBox(0, 0, w, h) for w, h in anchors]

    def find(self, center_w, center_h):
        """(number of the best anchor, its IoU) for a box of this width and height; the first wins ties."""
        best, best_iou = -1, -1.0
        for number, anchor in enumerate(self.anchors):
            iou = BoundBox(0, 0, center_w, center_h).iou(anchor)
            if iou > best_iou:
                best, best_iou = number, iou
        return best, best_iou


# %% [markdown]
# > **Where the series goes wrong.** Its encoder multiplies the caller's anchors by the grid size *in place*. Run the cell twice, and they are 169 times too large instead of 13 times.
#
# The sixteen look-ups that the series prints, with its own four anchors:

# %%
SERIES_ANCHORS = np.array([(0.08285376, 0.13705531), (0.20850361, 0.39420716), (0.80552421, 0.77665105), (0.42194719, 0.62385487)])
finder = BestAnchorBoxFinder(SERIES_ANCHORS)
print("width \\ height   .1       .3       .5       .7")
for w in (0.1, 0.3, 0.5, 0.7):
    print(f"     {w}    ", "  ".join("{}, {:.2f}".format(*finder.find(w, h)) for h in (0.1, 0.3, 0.5, 0.7)))
    for h in (0.1, 0.3, 0.5, 0.7):
        assert yolo.iou_wh([(w, h)], SERIES_ANCHORS)[0].argmax() == finder.find(w, h)[0]

# %% [markdown]
# On an image: the grid, each object's centre, its cell, and its anchor (dashed) laid on the centre.

# %%
def show_assignment(axis, image, boxes, labels, anchors, grid):
    """The image with the grid, and for each box its centre, cell and best anchor."""
    axis.imshow(image, extent=(0, grid, grid, 0))
    axis.hlines(range(grid + 1), 0, grid, color="white", lw=0.4, alpha=0.8)
    axis.vlines(range(grid + 1), 0, grid, color="white", lw=0.4, alpha=0.8)
    for box, label in zip(boxes, labels):
        colour = np.array(yolo.class_colour(label)) / 255
        (x, y), (w, h) = rescale_centerxy(box, grid), rescale_centerwh(box, grid)
        number, _ = BestAnchorBoxFinder(anchors).find(w / grid, h / grid)
        aw, ah = anchors[number] * grid
        axis.add_patch(Rectangle((int(x), int(y)), 1, 1, fc=colour, alpha=0.6, lw=0))
        axis.add_patch(Rectangle((x - w / 2, y - h / 2), w, h, fill=False, ec=colour, lw=2.2))
        axis.add_patch(Rectangle((x - aw / 2, y - ah / 2), aw, ah, fill=False, ec=colour, lw=1.4, ls="--"))
        axis.plot(x, y, "o", color="white", mec="black", ms=5)
        inside = 0.45 if w > 2.5 else -0.2  # the words of a narrow box stand above it
        axis.text(x - w / 2 + 0.1, y - h / 2 + inside, f"{yolo.CLASSES[label]}, anchor {number}", color="white", fontsize=8, bbox=dict(fc="black", alpha=0.6, lw=0, pad=1.5))
    axis.set(xlim=(0, grid), ylim=(grid, 0), xticks=[], yticks=[])


figure, axes = plt.subplots(1, 2, figsize=(13, 6.4))
second = next(a for a in train if a is not example and len(a.labels) in (2, 3) and not a.difficult.any())
for axis, annotation in zip(axes, (example, second)):
    show_assignment(axis, *reader.fit(annotation), anchors, GRID)
figure.tight_layout()
plt.show()

# %% [markdown]
# ## The answer that we want to hear
#
# Now we can write down the answer for an image: a tensor `y` of 13 x 13 cells x 4 anchors x 25 numbers. Where a box belongs, its 25 entries are: centre x and y, width, height (grid units), a 1 for "here is an object", and a 1 at its class. Everywhere else: zeros.
#
# A second tensor, `true_boxes`, simply lists the image's boxes, up to 50. The loss needs it for a rule of its own (part 4): a prediction that overlaps *any* true box well is not punished, even if it was not the one responsible.
#
# Three awkward cases need a decision:
#
# - **Two objects in one cell and anchor.** The last one in the file wins, and wins whole, as in Darknet.
# - **A centre exactly on the right or lower border** would fall into column or row 13, which does not exist. It goes to 12.
# - **More than 50 objects.** All of them are encoded in `y`; the list keeps the 50 largest, since small ones hardly ever reach the overlap that the list is for.
#
# > **Where the series goes wrong.** Of two boxes in one place it leaves one box with *two* class bits; the list of more than 50 boxes wraps round and overwrites its beginning; an image border can raise an index error.

# %%
def encode_boxes_plain(boxes, labels, anchors, grid_size, num_classes):
    """(y (G, G, A, 5 + C), true_boxes (50, 4)) in grid units, from boxes (n, 4) in fractions."""
    grid = np.float32(grid_size)
    y = np.zeros((grid_size, grid_size, len(anchors), 5 + num_classes), np.float32)
    grid_boxes = []
    for (xmin, ymin, xmax, ymax), label in zip(boxes, labels):
        centre_x, centre_y = (xmin + xmax) / np.float32(2) * grid, (ymin + ymax) / np.float32(2) * grid
        width, height = xmax - xmin, ymax - ymin
        column, row = min(int(centre_x), grid_size - 1), min(int(centre_y), grid_size - 1)
        best, best_iou = 0, -1.0
        for number, (anchor_width, anchor_height) in enumerate(anchors):
            overlap = min(width, anchor_width) * min(height, anchor_height)
            iou = overlap / (width * height + anchor_width * anchor_height - overlap)
            if iou > best_iou:
                best, best_iou = number, iou
        grid_boxes.append((centre_x, centre_y, width * grid, height * grid, width * height))
        y[row, column, best] = 0  # whoever stood here is gone whole, class and all
        y[row, column, best, :4] = grid_boxes[-1][:4]
        y[row, column, best, 4] = 1
        y[row, column, best, 5 + label] = 1
    largest = sorted(range(len(grid_boxes)), key=lambda i: -grid_boxes[i][4])[:50]
    true_boxes = np.zeros((50, 4), np.float32)
    for place, i in enumerate(sorted(largest)):
        true_boxes[place] = grid_boxes[i][:4]
    return y, true_boxes


y, true_boxes = encode_boxes_plain(boxes, labels, anchors, GRID, 20)
print("y", y.shape, " true_boxes", true_boxes.shape)
for row, column, anchor in np.argwhere(y[..., 4] > 0):
    entry = y[row, column, anchor]
    print(f"row {row:2d}, column {column:2d}, anchor {anchor}: {yolo.CLASSES[entry[5:].argmax()]:<12} {np.round(entry[:4], 2)}")

# %% [markdown]
# The running version, `yolo.encode_boxes`, has no loops and runs inside TensorFlow's graph. It must give the same float32 numbers, bit for bit, on real images and in the awkward cases:

# %%
def assert_alike(boxes, labels):
    fast = yolo.encode_boxes(boxes, labels, anchors, GRID, 20)
    slow = encode_boxes_plain(boxes, labels, anchors, GRID, 20)
    assert np.array_equal(fast[0], slow[0]) and np.array_equal(fast[1][0, 0, 0], slow[1])


for annotation in train[:100]:
    assert_alike(yolo.box_fractions(annotation), annotation.labels)
print("plain and running encoder agree bit for bit on", min(100, len(train)), "images")

same_place = np.float32([[0.40, 0.40, 0.60, 0.80], [0.41, 0.41, 0.60, 0.80]])
assert_alike(same_place, np.array([3, 7]))
y_same = encode_boxes_plain(same_place, [3, 7], anchors, GRID, 20)[0]
print("two boxes in one place: class bits", y_same[y_same[..., 4] > 0][0, 5:].nonzero()[0].tolist())

border = np.float32([[1, 0.2, 1, 0.4], [0.2, 1, 0.4, 1], [0, 0, 1, 1]])
assert_alike(border, np.array([0, 1, 2]))
print("border boxes: cells (row, column)", np.argwhere(encode_boxes_plain(border[:2], [0, 1], anchors, GRID, 20)[0][..., 4] > 0)[:, :2].tolist())

rng = np.random.default_rng(0)
corners = np.sort(rng.random((60, 2, 2), np.float32), axis=1).reshape(60, 4)
assert_alike(corners, rng.integers(0, 20, 60))
print("60 boxes: the list keeps", int((yolo.encode_boxes(corners, np.zeros(60, int), anchors, GRID)[1][0, 0, 0, :, 2].numpy() > 0).sum()))

# %% [markdown]
# ## Batches
#
# Training takes 16 images at a time. The series' `SimpleBatchGenerator` gives three arrays, and its readers know them by these names and shapes:

# %%
class SimpleBatchGenerator:
    """Batches of (x_batch, y_batch, b_batch) in the given order; the last one may be smaller, the list is not shuffled."""

    def __init__(self, annotations, anchors, side, batch_size):
        self.annotations, self.anchors, self.batch_size = annotations, anchors, batch_size
        self.reader, self.grid = ImageReader(side), side // 32

    def __len__(self):
        return -(-len(self.annotations) // self.batch_size)

    def __getitem__(self, number):
        chosen = self.annotations[number * self.batch_size : (number + 1) * self.batch_size]
        x_batch, y_batch, b_batch = [], [], []
        for annotation in chosen:
            image, boxes, labels = self.reader.fit(annotation)
            y, true_boxes = encode_boxes_plain(boxes, labels, self.anchors, self.grid, len(yolo.CLASSES))
            x_batch.append(image)
            y_batch.append(y)
            b_batch.append(true_boxes.reshape(1, 1, 1, 50, 4))
        return np.array(x_batch), np.array(y_batch), np.array(b_batch)


generator = SimpleBatchGenerator(train, anchors, IMAGE_SIDE, BATCH_SIZE)
x_batch, y_batch, b_batch = generator[0]
print("x_batch", x_batch.shape, " (batch, height, width, RGB)")
print("y_batch", y_batch.shape, " (batch, row, column, anchor, 4 + 1 + 20)")
print("b_batch", b_batch.shape, " (batch, 1, 1, 1, buffer, 4)")

# %% [markdown]
# A Python generator reads, resizes and encodes while the GPU waits. `yolo.make_dataset` describes the same steps to `tf.data`, which runs them in parallel and ahead of time. Without augmentation it must give the same arrays, bit for bit. (It calls OpenCV to resize, as we did: of TensorFlow's own operations, the one that can cut out, shift and resize at once takes many times as long.)

# %%
dataset = yolo.make_dataset(train, anchors, image_size=IMAGE_SIDE, batch_size=BATCH_SIZE, training=False, seed=0)
for number, (images, (y, true_boxes)) in zip(range(3), dataset):
    x_batch, y_batch, b_batch = generator[number]
    assert np.array_equal(y, y_batch) and np.array_equal(true_boxes, b_batch)
    assert np.array_equal(images, x_batch)
print("generator and tf.data pipeline agree bit for bit")

# %% [markdown]
# ## Is everything in it?
#
# If the encoding is right, we can go back: invert the network's formulas, feed the result to the decoder of part 6, and the boxes must return. (Only boxes that lost their place to a later one are missing.)

# %%
def raw_outputs_for(y, anchors):
    """Raw outputs with which a network would say exactly `y`: inverse sigmoid for centres, logarithm for sizes."""
    grid = len(y)
    raw = np.zeros_like(y)
    for row, column, anchor in np.argwhere(y[..., 4] > 0):
        x, y_, w, h = y[row, column, anchor, :4].astype(float)
        for k, inside in enumerate((x - column, y_ - row)):
            inside = min(max(inside, 1e-7), 1 - 1e-7)
            raw[row, column, anchor, k] = np.log(inside / (1 - inside))
        raw[row, column, anchor, 2:4] = np.log(np.array([w, h]) / (anchors[anchor] * grid))
    return raw


worst = 0.0
for annotation, target in zip(train, generator[0][1]):
    true = yolo.box_fractions(annotation)[~annotation.difficult]
    decoded = yolo.decode_predictions(raw_outputs_for(target, anchors)[None], anchors).boxes.numpy()[0][target[..., 4] > 0]
    for box in decoded:
        worst = max(worst, np.abs(true - box).max(axis=1).min())
assert worst < 1e-5
print("encode, then decode: every box returns to 1e-5")

# %% [markdown]
# ## The batch in training
#
# In training, `make_dataset` also augments: borders are moved, images mirrored, colours changed, and the boxes follow their pixels. Part 5 says more; here is a first look, boxes decoded from `y`.

# %%
augmented = yolo.make_dataset(train, anchors, image_size=320, batch_size=8, training=True, seed=1)
images, (y, _) = next(iter(augmented))
figure, axes = plt.subplots(2, 4, figsize=(13, 6.6))
for axis, image, target in zip(axes.flat, images.numpy(), y.numpy()):
    rows = target[target[..., 4] > 0]
    centre, size = rows[:, :2] / len(target), rows[:, 2:4] / len(target)
    corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1) * len(image)
    axis.imshow(yolo.draw_boxes(np.uint8(255 * image), corners, rows[:, 5:].argmax(axis=1)))
    axis.axis("off")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Key points
#
# - The cell of its centre and the anchor of its shape: that is a box's place in the answer.
# - Everything is measured in grid units; boxes stay continuous until then.
# - Of two boxes in one place the last wins whole; borders belong to the last cell; the list keeps 50.
# - The plain generator and the `tf.data` pipeline agree bit for bit, and decoding returns the boxes.
#
# ## Exercises
#
# 1. How many of the training objects lose their place to a later one, at 13 x 13 and at 7 x 7 cells?
# 2. How many places of `y` hold an object, how many do not? What does that mean for a loss that sums over all of them?
# 3. Exchange width and height in the encoder. Which check above notices first?
# 4. Replace stretching by padding to a square. What changes in `ImageReader`, and what in the decoder?
#
# <details><summary>Solutions</summary>
#
# 1. Count the boxes minus `y[..., 4].sum()` over all images, for `image_size` 416 and 224: few at 13 x 13, several times as many at 7 x 7.
# 2. A few of 676: background outnumbers objects by hundreds to one, which is why the loss weighs objects with 5 and forgives near misses.
# 3. In one encoder: the comparison of the two. In both: only "encode, then decode", where the boxes would come back lying instead of upright.
# 4. Scale by the longer side and add grey; boxes are shifted and scaled alike, and `detect` has to undo that.
#
# </details>
#
# **Next:** [3 The model](03_model.ipynb) builds the network that will give these answers.
