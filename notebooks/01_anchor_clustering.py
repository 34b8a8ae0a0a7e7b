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
# # 1 Anchors: which box shapes should the detector start from?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/01_anchor_clustering.ipynb)
#
# In this book you build YOLOv2, a complete object detector, from its first line of code to its final score. In this
# chapter you see what the finished detector does, read the data it learns from, and choose four box shapes to start
# from.
#
# **You will learn**
#
# - what a detector answers, and in what form YOLOv2 gives this answer,
# - what is in an annotation file, and which pixels a box covers,
# - how to measure whether two box shapes are alike, and why straight-line distance is a poor measure,
# - how k-means finds anchors, and what the result depends on,
# - how the number of anchors is chosen.
#
# **Time:** reading 40 min, running half a minute on two CPU cores.
#
# Three names appear throughout the book. *The paper* is [YOLO9000](https://arxiv.org/abs/1612.08242), which introduced
# YOLOv2. *Darknet* is the [program](https://github.com/pjreddie/darknet) of its authors. *The series* is [Yumi's set of
# blog posts](https://fairyonice.github.io/) that the chapters follow. Every other term is explained where it first
# appears, and you can look it up in [the glossary](glossary.md).

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
import matplotlib.pyplot as plt
import numpy as np

figures.setup()
settings = yolo.load_settings()

# %% [markdown]
# ## What are we building?
#
# An object detector looks at a photo and lists the objects it can see. For every object it gives three things: a box
# round the object, the name of its class, and a score from 0 to 1 that says how sure the detector is. Here is what the
# finished detector of chapter 6 finds in images it was never trained on.

# %%
picture = yolo.read_image(yolo.REFERENCE / "detections.jpg")
_, axis = plt.subplots(figsize=(11, 5.8))
axis.imshow(picture)
axis.set_title("Test images and what the finished detector finds in them")
axis.axis("off")
plt.show()

# %% [markdown]
# Each coloured rectangle is one *detection*, with its class and score written on top. You will see good detections in
# this picture, and also mistakes such as objects without a box, or several boxes on one object. Chapter 6 counts them
# all and turns them into a single number.
#
# The images are rendered: they come from a small 3D program, are part of this repository, and imitate the format of
# Pascal VOC, a well-known data set of photos. That way you can run every chapter on a laptop without a download. The
# same code runs on the real Pascal VOC (see the [README](../README.md)).
#
# We teach the detector with examples whose answer we know. The known answer is called the *ground truth*. One training
# image will be with us through the whole book, and this is its ground truth: two cows and a dog.

# %%
splits = yolo.load_splits(settings.voc_dir)
example = figures.pick(splits.train, "2026_000123")
image = yolo.read_image(example.image_path)
boxes = yolo.box_fractions(example)

_, axis = plt.subplots(figsize=(8, 6))
figures.show_boxes(axis, image, boxes, example.labels, settings.classes)
axis.set_title("The running example: a box and a class for every object")
plt.show()

# %% [markdown]
# The image was chosen because its three boxes differ so much. The standing cow is large, the lying cow is wide and low,
# and the dog is small. In this chapter, each of them will end up with a different anchor.
#
# ## In what form does the network answer?
#
# A neural network cannot return "a list of objects", because lists have different lengths. Its output is a block of
# numbers of fixed shape. YOLOv2 gets round this by asking the same question at many fixed places. Read the picture
# below from left to right, the upper row first.

# %%
figures.pipeline(highlight=1)

# %% [markdown]
# **Upper row: from an image to detections.** The image is divided into 13 x 13 equal squares, the *cells* of the
# *grid*. For every cell, the *network* makes four predictions, and each prediction starts from one of four fixed
# shapes, the *anchors*. A prediction consists of 5 numbers plus one for each class. The 5 numbers describe the location
# of the box (2), its size (2), and its *objectness*, which says whether there is an object at all. With 20 classes this
# makes 25 numbers for each prediction. All of them together are the *raw output* of the network. From it we compute
# boxes. Boxes with a low score are thrown away. Neighbouring predictions often find the same object, so a last step,
# *suppression*, keeps only the best box of each object.
#
# **Below: what training adds.** The ground truth is written in the same form as the network's output. We call this the
# *target*. The *loss* measures how far output and target are apart, and *training* changes the network so that the loss
# falls.
#
# How many numbers does the network give for one image?

# %%
cells = 13 * 13
anchors_per_cell = 4
numbers_per_prediction = 5 + len(settings.classes)
predictions = cells * anchors_per_cell
numbers = predictions * numbers_per_prediction
print(f"{predictions} predictions, {numbers} numbers for one image")

# %% [markdown]
# The running example has three objects, so three of these predictions should say "object", and all others "background".
# Deciding which three is the topic of chapter 2. This chapter provides what that decision needs, the anchors.
#
# These are the arrays of this chapter. A *fraction* is a share of the image's width or height, from 0 to 1.
#
# | name | shape | unit | content |
# |---|---|---|---|
# | `example.boxes` | (n, 4) | pixels | xmin, ymin, xmax, ymax of the n objects in one image |
# | `boxes` | (n, 4) | fractions | the same boxes |
# | `sizes` | (N, 2) | fractions | width and height of all N training boxes |
# | `anchors` | (4, 2) | fractions | width and height of the four anchors |
#
# ## Why start from anchors at all?
#
# A cell could predict the width and height of an object directly. The first YOLO did that. Early in training such
# predictions are arbitrary, and every cell has to learn from nothing that a distant dog is small and a near bus is
# large.
#
# An *anchor* is a typical width and height that is fixed before training. The network only predicts how to change it:
# "somewhat narrower than anchor 1", say. If one of the anchors is close to the true shape, there is little left to
# learn. Several anchors also allow a cell to answer for several objects, for instance a person in front of a bus.
#
# The paper did not measure anchors alone. Choosing the anchors from the data, together with a better way of predicting
# locations (chapter 2), raises the mean average precision on VOC 2007 from 69.6 to 74.4. (Mean average precision is the
# usual score of a detector, with 100 for a perfect one. Chapter 6 explains it.)
#
# So we want a few shapes such that every object of the training data is close to one of them. First we need to know the
# shapes of the objects.
#
# ## What is in an annotation file?
#
# Pascal VOC describes each image in an XML file. This is the part that describes the first object of our example.

# %%
xml_path = settings.voc_dir / "Annotations" / f"{example.image_path.stem}.xml"
xml = xml_path.read_text(encoding="utf-8").expandtabs(2)
start = xml.index("  <object>")
end = xml.index("</object>") + len("</object>")
print(xml[start:end])

# %% [markdown]
# The corners of the box are given in pixels. Besides them there are a few flags. *Truncated* objects are cut off by the
# border of the image. *Difficult* objects are so hard to recognise that VOC counts them neither for nor against a
# detector. Training leaves them out too, as Darknet does.
#
# `yolo.read_annotation` reads such a file. It also rejects incomplete files, unknown classes and invalid boxes, each
# with a one-line error that names the file.

# %%
example = yolo.read_annotation(xml_path, settings.classes)
print(f"{example.filename}: {example.width} x {example.height} pixels")
for box, label in zip(example.boxes, example.labels, strict=True):
    print(f"{settings.classes[label]:<8}", box)

# %% [markdown]
# > **Pitfall.** In the real VOC, a person can have `<part>` elements inside its `<object>`: head, hands and feet, each
# > with a `<bndbox>` of its own. They are not objects. If you search the whole file for boxes, you train on thousands
# > of hands. Some coordinates are also written as decimals, such as `45.70000076293945`, so `int()` fails on them.
#
# ## Which pixels does a box cover?
#
# VOC numbers pixels from 1 and includes both ends. This sounds harmless, but it changes every width. Look at one row of
# pixels and a box from xmin = 3 to xmax = 6.

# %%
figures.pixel_row(first=3, last=6)

# %% [markdown]
# The box covers the pixels 3, 4, 5 and 6. That is four pixels, although 6 - 3 is only 3. Measured from the left border
# of the image, it starts at 2 and ends at 6. So the rule is to subtract 1 from xmin and ymin, and to leave xmax and
# ymax as they are.
#
# Then we divide by the width or height of the image. The result is in fractions of the image, which stay correct when
# the image is scaled to another size. We do the conversion for our three boxes and compare it with
# `yolo.box_fractions`, which all later chapters use.

# %%
corners = example.boxes - [1, 1, 0, 0]
image_sides = [example.width, example.height, example.width, example.height]
by_hand = (corners / image_sides).astype(np.float32)

print(np.round(by_hand, 4))
print("equal to box_fractions:", np.array_equal(by_hand, yolo.box_fractions(example)))

# %% [markdown]
# The numbers are exactly equal. You can check the second row in your head. The lying cow reaches from pixel 1 to pixel
# 191 of 500, so it covers 0 to 191/500 = 0.382 of the width. It touches the left border, and the 0 says so.
#
# > **Pitfall.** A width computed as xmax - xmin is one pixel too small. For a box of 250 pixels nobody will notice. For
# > a distant bird of 10 pixels, a tenth of the width is missing.
#
# ## Which shapes do the objects have?
#
# Anchors are only about shape, so we keep the width and height of every box and forget its location. We use the
# training images alone. Choosing anchors is part of learning, and the validation and test images are there to check
# what has been learned.

# %%
sizes = yolo.box_sizes(splits.train)
example_sizes = boxes[:, 2:] - boxes[:, :2]
share_small = np.mean(sizes.prod(axis=1) < 0.1)
print(f"{len(sizes)} boxes; {share_small:.0%} cover less than a tenth of their image")

_, axis = plt.subplots(figsize=(6.5, 6))
axis.scatter(
    *sizes.T,
    s=12,
    alpha=0.45,
    lw=0,
    color=figures.GREY,
    label="all boxes",
    clip_on=False,
)
axis.scatter(
    *example_sizes.T,
    s=160,
    marker="*",
    color=figures.ORANGE,
    label="the running example",
)
axis.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal", title="Most boxes are small")
axis.set(xlabel="width (share of the image)", ylabel="height (share of the image)")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Each point is one box. Most points are crowded into the lower left corner, and the rest is spread thinly over all
# widths and heights. There are no separate clouds that would tell us "these are the four natural shapes". Any choice of
# anchors will be a compromise, and we need a rule for making a good one.
#
# ## When are two shapes alike?
#
# We want anchors that are close to the boxes, so we have to say what "close" means. The obvious choice is the
# straight-line distance between two (width, height) points, the *Euclidean distance*. Let us see why that choice hurts
# us here.
#
# Take two pairs of boxes. The first pair is large: 0.80 x 0.80 and 0.90 x 0.90 of the image. The second pair is small:
# 0.10 x 0.10 and 0.20 x 0.20. In both pairs the sides differ by 0.10, so the Euclidean distance is the same.
#
# A detector is scored differently. It is asked how well the predicted box overlaps the true box. The measure is the
# *intersection over union*, or *IoU*: the area that both boxes share, divided by the area that they cover together. It
# is 1 for two equal boxes, and 0 if they do not overlap. Here we compare only shapes, so we put both boxes on the same
# centre. Then the shared area is as wide as the narrower box and as high as the lower one.


# %%
def iou_of_shapes(first, second):
    shared_width = min(first[0], second[0])
    shared_height = min(first[1], second[1])
    intersection = shared_width * shared_height
    area_of_first = first[0] * first[1]
    area_of_second = second[0] * second[1]
    union = area_of_first + area_of_second - intersection
    return intersection / union


large_pair = ((0.80, 0.80), (0.90, 0.90))
small_pair = ((0.10, 0.10), (0.20, 0.20))
titles = []
for first, second in (large_pair, small_pair):
    distance = np.hypot(first[0] - second[0], first[1] - second[1])
    titles.append(f"distance {distance:.2f}, IoU {iou_of_shapes(first, second):.2f}")

# %%
figures.pairs_of_shapes([large_pair, small_pair], titles)

# %% [markdown]
# You can follow the IoU by hand. The large boxes share 0.80 x 0.80 = 0.64. Together they cover 0.64 + 0.81 - 0.64 =
# 0.81, because the smaller one lies completely inside. The IoU is 0.64 / 0.81 = 0.79. For the small boxes it is 0.01 /
# 0.04 = 0.25. If the smaller box of each pair were an anchor, it would be an excellent start for the large object and a
# poor one for the small object. The Euclidean distance of 0.14 sees no difference between the two cases.
#
# Since the detector will be judged by IoU, we use 1 - IoU as our distance. It treats an error of ten percent the same
# way for a box of any size. The next figure shows the consequence. Each line encloses all sizes that are close enough
# to the marked box.

# %%
figures.distance_contours(marked=((0.15, 0.2), (0.6, 0.55)))

# %% [markdown]
# On the left, "close enough" means an IoU of at least 0.7 (solid) or 0.5 (dashed). The region round the large box is
# much bigger than the one round the small box, in proportion to their sizes. On the right, it means a Euclidean
# distance of at most 0.1 (solid) or 0.2 (dashed). Both boxes get the same circle, which is generous for the small box
# and strict for the large one.
#
# From here on we use `yolo.iou_wh`, which is `iou_of_shapes` for many boxes and anchors at once. It returns a table
# with one row for each box and one column for each anchor.
#
# ## How does k-means find the anchors?
#
# *k-means* finds k groups, or *clusters*, in a set of points. Our points are the sizes of the boxes. We pick k of them at
# random as the first anchors and repeat two steps until nothing changes:
#
# 1. Give each box to the anchor with which it has the largest IoU.
# 2. Move each anchor to the mean width and height of its boxes.
#
# Here are the two steps in plain code. We keep all positions of the anchors, to look at them afterwards.

# %%
rng = np.random.default_rng(9)
start = rng.choice(sizes, size=4, replace=False)
start = start[start.prod(axis=1).argsort()]  # by area, so that anchor 0 is the smallest

anchors = start
history = [anchors]
for _ in range(100):
    nearest = yolo.iou_wh(sizes, anchors).argmax(axis=1)  # step 1
    moved = anchors.copy()
    for i in range(4):
        members = sizes[nearest == i]
        if len(members) > 0:
            moved[i] = members.mean(axis=0)  # step 2
    if np.array_equal(moved, anchors):
        break
    anchors = moved
    history.append(anchors)

# %% [markdown]
# To judge a set of anchors, we compute the IoU of each box with its best anchor and take the mean over all boxes. Let
# us look at the start, two moments on the way, and the end.


# %%
def mean_iou(sizes, anchors):
    return yolo.iou_wh(sizes, anchors).max(axis=1).mean()


shown = [0, 1, 4, len(history) - 1]
titles = []
for step in shown:
    score = mean_iou(sizes, history[step])
    titles.append(f"step {step}: mean IoU {score:.3f}")
figures.kmeans_frames(sizes, [history[step] for step in shown], titles)

# %% [markdown]
# Upper row: each point is a box in the colour of its anchor, and each cross is an anchor. Lower row: the same anchors
# in the same colours, drawn as boxes. By chance, all four boxes we start with are small. A few steps are enough to
# spread the anchors, and in the end they stand for small, wide, tall and large objects. The mean IoU rises from 0.34 to
# 0.56.
#
# Compare the titles of the third and the fourth picture. From one to the other the mean IoU falls a little. Ordinary k-means improves its own
# measure, the squared Euclidean distance, in every step. Our version has no such guarantee, because of step 2: the mean
# is the best centre for squared Euclidean distances, but only a good one for IoU. We come back to this below.
#
# The module has the same loop in `yolo.kmeans_once`. From the same start it must end at the same anchors.

# %%
print("the same anchors:", np.allclose(anchors, yolo.kmeans_once(sizes, start)))

# %% [markdown]
# The module's version differs in one rare case. A cluster can lose all its boxes to its neighbours. In our loop its
# anchor then stays where it is, without any use. In the module it moves to the box that its best anchor fits worst.
#
# Finally, k-means finds *a* good solution, and another start may lead to a better one. Therefore `yolo.kmeans_anchors`
# runs k-means from several random starts and keeps the anchors with the highest mean IoU. It returns them sorted by
# area.

# %%
for seed in range(5):
    _, score = yolo.kmeans_anchors(sizes, 4, seed=seed, restarts=1)
    print(f"one start, seed {seed}: mean IoU {score:.4f}")
_, score = yolo.kmeans_anchors(sizes, 4, restarts=10)
print(f"the best of ten starts: mean IoU {score:.4f}")

# %% [markdown]
# Here the starts matter little: all end close to each other. With more anchors or fewer boxes, they can differ more.
#
# > **Pitfall.** Anchors that are clustered from one random start, and returned in the order in which they were found,
# > differ from run to run. A network that was trained with "anchor 0 is the small one" is useless when anchor 0 is the
# > large one. Several starts, a fixed seed and a fixed order prevent this.
#
# ## How much does the distance matter?
#
# We have argued for IoU, but an argument is not a measurement. We run k-means with both distances. We also try the
# *median* as the centre of a cluster instead of the mean, because the median is less affected by a few extreme boxes.


# %%
def cluster(sizes, anchors, distance, centre):
    for _ in range(100):
        if distance == "1 - IoU":
            distances = 1 - yolo.iou_wh(sizes, anchors)
        else:
            distances = np.linalg.norm(sizes[:, None] - anchors, axis=2)
        nearest = distances.argmin(axis=1)
        anchors = anchors.copy()
        for i in range(len(anchors)):
            members = sizes[nearest == i]
            if len(members) > 0:
                anchors[i] = centre(members, axis=0)
    return anchors


# %% [markdown]
# We start each variant from the same ten sets of boxes, keep its best result on the training boxes, and evaluate that
# on the boxes of the validation and test images as well. The last column has boxes that took no part in the clustering.

# %%
other_sizes = yolo.box_sizes(splits.validation + splits.test)
rng = np.random.default_rng(0)
starts = [rng.choice(sizes, size=4, replace=False) for _ in range(10)]

print("distance   centre   training   other boxes")
for distance in ("1 - IoU", "Euclid"):
    for name, centre in (("mean", np.mean), ("median", np.median)):
        runs = [cluster(sizes, start, distance, centre) for start in starts]
        best = max(runs, key=lambda anchors: mean_iou(sizes, anchors))
        here, there = mean_iou(sizes, best), mean_iou(other_sizes, best)
        print(f"{distance:<8}   {name:<6}   {here:.3f}      {there:.3f}")

# %% [markdown]
# Read the table in two directions. With 1 - IoU the mean IoU is higher than with Euclidean distance, as we expected.
# With the mean as centre, the gain is 0.006 on the training boxes and 0.017 on the others. The paper found 0.023 on VOC
# (0.610 against 0.587, with five anchors). But going from the mean to the median gains between 0.010 and 0.018, and
# that is a choice of the centre, not of the distance. So the argument for IoU is right, and what it brings is small.
#
# We use 1 - IoU and the mean, as the paper and the code of the series do. If you want another 0.01, try the median.
# More effort is not worth it, because the anchors are only the start, and the network learns to correct them.
#
# ## How many anchors should we use?
#
# We can compute the mean IoU for any number of anchors k. The figure compares our curve with the numbers published by
# the series and the paper, which come from the photos of Pascal VOC.

# %%
counts = range(1, 11)
ours = [yolo.kmeans_anchors(sizes, k, restarts=10)[1] for k in counts]
series = [0.4646, 0.5391, 0.5801, 0.6016, 0.6253, 0.6434, 0.6595, 0.6712, 0.6840]

_, axis = plt.subplots(figsize=(8, 5))
axis.plot(counts, ours, "o-", color=figures.BLUE, label="our training boxes")
axis.plot(range(2, 11), series, "s--", color=figures.GREY, label="the series, VOC 2012")
axis.plot([5, 9], [0.610, 0.672], "^", ms=10, color=figures.RED, label="the paper, VOC")
axis.axvline(4, color=figures.ORANGE, lw=10, alpha=0.25, label="our choice")
axis.set(xlabel="number of anchors k", ylabel="mean IoU with the best anchor")
axis.set(
    xticks=counts,
    ylim=(0.3, 0.75),
    title="More anchors fit better, and there is no elbow",
)
axis.legend(loc="lower right")
plt.show()

# %%
gains = np.diff(ours)
for k, gain in zip(range(2, 11), gains, strict=True):
    print(f"from {k - 1} to {k} anchors: {gain:+.3f}")

# %% [markdown]
# The gains shrink slowly, from 0.107 to 0.014. People like to look for an *elbow*, the point after which a curve
# suddenly goes flat. This curve has none, neither at four nor anywhere else. All measured gains are positive here,
# which is less surprising than it looks: if you add any shape to a set of anchors, no box gets a worse best anchor. The
# best possible mean IoU therefore never falls with k. A single run of k-means can still end lower, because it may miss
# the best solution.
#
# So the curve cannot make the decision. The price has to be part of it. Each further anchor means
#
# - 169 more predictions in every image, nearly all of them on background, each of which could become a false detection,
# - 25 more filters in the last layer of the network (5 plus the number of classes, chapter 3),
# - fewer training boxes for each anchor to learn from.
#
# None of these is a hard limit, and the paper says no more than that five is a good trade-off. The series uses four,
# and so do we, so that your arrays have the same sizes as those of the series.
#
# ## What are our four anchors?
#
# We run k-means from ten starts on the training boxes, and keep the result for all chapters.

# %%
anchors, score = yolo.kmeans_anchors(sizes, 4, seed=settings.seed, restarts=10)
members = np.bincount(yolo.iou_wh(sizes, anchors).argmax(axis=1), minlength=4)

print("anchor   width   height   boxes")
for i, (width, height) in enumerate(anchors):
    print(f"{i}        {width:.3f}   {height:.3f}    {members[i]}")
print(f"mean IoU: {score:.3f}")

# %%
figures.anchors_side_by_side(anchors, "Each anchor stands for one kind of shape")

# %% [markdown]
# Each frame is a whole image, so you can see how much of it an anchor covers. Anchor 0 is small, anchor 1 is wide,
# anchor 2 is tall, and anchor 3 is large. Their colours stay the same through the book. Each is the best anchor of
# roughly a quarter of the boxes. A mean IoU of 0.56 tells you that many boxes still need a considerable correction.
#
# What does this mean for the running example? Each box is drawn with a solid line, and its best anchor, dashed, on the
# same centre.

# %%
_, axis = plt.subplots(figsize=(8.5, 6.6))
title = "Three objects, and the anchor (dashed) that fits each of them best"
figures.boxes_with_anchors(axis, image, boxes, anchors, title)
plt.show()

# %% [markdown]
# The lying cow is close to anchor 1, with an IoU of 0.87. The network would hardly have to change it. The dog is
# somewhat wider and lower than anchor 0, which is an upright shape. The standing cow is worst off: it is considerably
# smaller than anchor 3 and still closer to it than to any other. These three corrections are what the network will have
# to predict, and the next chapter writes them down as numbers.
#
# ## Passing the anchors on
#
# The later chapters read the anchors from a file. It also has a fingerprint of the training data, so that a chapter
# notices when the anchors were made from other data.

# %%
yolo.claim_folder(settings.artifacts)
content = {
    "anchors": np.round(anchors, 6).tolist(),
    "mean_iou": round(score, 4),
    "data": yolo.fingerprint(splits.train),
}
yolo.write_json(settings.artifacts / "anchors.json", content)
print("written: anchors.json")

# %% [markdown]
# ## Key points
#
# - A detector answers with boxes, classes and scores. Our YOLOv2 makes one prediction for each of 13 x 13 cells and 4
#   anchors, and each prediction has 5 numbers plus one for each class.
# - VOC counts pixels from 1 and includes both ends. Subtract 1 from xmin and ymin, and divide by the image's width and
#   height.
# - IoU measures how well two boxes overlap, in proportion to their size. The detector is judged by it, so we cluster
#   with 1 - IoU. On our data this gains little.
# - k-means alternates between two steps: give each box to its best anchor, and move each anchor to the mean of its
#   boxes. Several starts and a fixed order make the result repeatable.
# - The best possible mean IoU never falls with the number of anchors, and there is no elbow. The number is a trade-off.
# - Anchors come from the training images only.
#
# **Next:** [2 Encoding](02_encoding.ipynb) decides which cell and which anchor should find each object, and writes that
# down as the target of the network.
