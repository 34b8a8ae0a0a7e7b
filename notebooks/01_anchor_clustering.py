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
# # 1 Anchors: which box sizes should the detector start from?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/01_anchor_clustering.ipynb)
#
# In this book you build YOLOv2, a complete object detector, from its first line of code to its final score. In this
# chapter you see what the finished detector does, read the data it learns from, and choose four box sizes to start
# from.
#
# **You will learn**
#
# - what a detector answers, and in what form YOLOv2 gives this answer,
# - what is in an annotation file, and which pixels a box covers,
# - how to measure whether two box sizes are alike, and why straight-line distance is a poor measure,
# - how k-means finds anchors, and what the result depends on,
# - what speaks for more anchors, and what against them.
#
# **Time:** reading 44 min, exercises 35 min, running half a minute on two CPU cores.
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
import figures
import matplotlib.pyplot as plt
import numpy as np

import yolo_helpers as yolo

figures.setup()
settings = yolo.load_settings()

# %% [markdown]
# ## What are we building?
#
# An object detector looks at a photo and lists the objects it can see. For every object it gives three things: a box
# round the object, the name of its class, and a score from 0 to 1 that says how sure the detector is. Here is what the
# finished detector of chapter 6 finds in images it was never trained on.

# %% tags=["slide"]
picture = yolo.read_image(yolo.REFERENCE / "detections.jpg")
_, axis = plt.subplots(figsize=(11, 5.8))
axis.imshow(picture)
axis.set_title("Test images and what the finished detector finds in them")
axis.axis("off")
plt.show()

# %% [markdown]
# Each coloured rectangle is one *detection*, with its class and score written beside it and one colour for each
# class. You will see good detections in this picture. You will also see mistakes: objects without a box, boxes with a
# wrong class, and several boxes on one object. Chapter 6 counts them all and turns them into a single number.
#
# The images are rendered: they come from a small 3D program, are part of this repository, and imitate the format of
# Pascal VOC, a well-known data set of photos. That way you can run every chapter on a laptop without a download. The
# same code runs on the real Pascal VOC (see the [README](../README.md)).
#
# We teach the detector with examples whose answer we know. The known answer is called the *ground truth*. The
# images are divided into three *splits*: the detector learns from the training images, the validation images show along
# the way how well it does on images it has not learned from, and the test images are kept for the final score. One
# training image will be with us through the whole book, and this is its ground truth: two cows and a dog.

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
# The image was chosen because its three boxes differ so much. The standing cow is large, the lying cow is wide and
# low, and the dog is small. (The grey lumps behind the muzzle of the standing cow are stones. Its box rightly ends at
# the muzzle, although it cuts through them.) This chapter looks for four box sizes to start from, and in the end each
# of the three objects will start from another one of them.
#
# ## In what form does the network answer?
#
# A neural network cannot return "a list of objects", because lists have different lengths. Its output is a block of
# numbers of fixed shape. YOLOv2 gets round this by asking the same question at many fixed places. Read the picture
# below from left to right, the upper row first.

# %% tags=["slide"]
figures.pipeline(highlight=1)

# %% [markdown]
# **Upper row: from an image to detections.** The image is stretched to a square. The *network* looks at the whole
# square once, and its output is a *grid* of 13 x 13 positions. Each belongs to one square part of the image, a
# *cell*. The grid of cells is drawn in the lower row. A cell only stands for the centre of a box. The box itself may
# be far larger, because each position of the output sees much more of the image than its own cell (chapter 3). For
# every cell, the network makes four predictions, and each prediction starts from one of four fixed box sizes, the
# *anchors*. A prediction consists of 5 numbers, plus one for each class that says how probable the class is. Two of
# the 5 numbers stand for the location of the box, two for its size, and one for its *objectness*, which says whether
# there is an object at all. With 20 classes this makes 25 numbers for each prediction. The network gives all of them
# in a raw form, so we call them its *raw output*. Chapter 2 has the formulas that turn them into boxes.
#
# The class of a box is the one with the highest probability. Its score is the objectness times this probability.
# Boxes with a low score are thrown away. Neighbouring predictions often find the same object, so a last step,
# *suppression*, removes most of the duplicates.
#
# **Below: what training adds.** The ground truth is laid on the grid too, in a block of the same shape as the
# network's output. We call this the *target*. The *loss* measures how far output and target are apart, and *training*
# changes the network so that the loss falls. The anchors, on the left, are chosen once before training and used in
# both rows: above to turn raw outputs into boxes, and below to decide which prediction should find an object.
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
# An *anchor*, which the paper also calls a *prior*, is a typical width and height that is fixed before training. The
# network only predicts how to change it: "somewhat narrower than anchor 1", say. If one of the anchors is close to
# the true size, there is little left to learn. Several anchors also allow a cell to answer for several objects, for
# instance a person in front of a bus.
#
# In the paper, anchors that were picked by hand raised the recall of the detector, the share of the objects that it
# finds, from 81 % to 88 %. Choosing them from the data, as we do in this chapter, together with a better way of
# predicting locations (chapter 2), then raised the mean average precision on VOC 2007 from 69.6 to 74.4. (Mean
# average precision is the usual score of a detector, with 100 for a perfect one. Chapter 6 explains it. For our own
# results we write 0.7 instead of 70.)
#
# So we want a few anchors such that every object of the training data is close to one of them. First we need to know
# the sizes of the objects.
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
# detector. Training and the choice of the anchors leave them out too, as Darknet does.
#
# `yolo.read_annotation` reads such a file, and replaces the name of each class by its number, the *label*. It also
# rejects incomplete files, unknown classes and invalid boxes, each with a one-line error that names the file.

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
# ## Which sizes do the objects have?
#
# An anchor has a width and a height, and no location. So we keep the width and height of every box, which we call its
# *size*, and forget where the box is. We use the training images alone, because choosing anchors is a part of
# learning.

# %%
sizes = yolo.box_sizes(splits.train)
example_sizes = boxes[:, 2:] - boxes[:, :2]
share_small = np.mean(sizes.prod(axis=1) < 0.1)
print(f"{len(splits.train)} training images with {len(sizes)} boxes")
print(f"{share_small:.0%} of the boxes cover less than a tenth of their image")

# %%
figures.box_sizes(sizes, example_sizes, "Most boxes are small")

# %% [markdown]
# Each point is one box, and the stars are our two cows and the dog. Most points are crowded into the lower left corner,
# and the rest is spread thinly over all widths and heights. The points at the right border are objects as wide as their
# image. There are no separate clouds that would tell us "these are the four natural sizes". Any choice of anchors will
# be a compromise, and we need a rule for making a good one.
#
# ## When are two sizes alike?
#
# We want anchors that are close to the boxes, so we have to say what "close" means. The obvious choice is the
# straight-line distance between two (width, height) points, the *Euclidean distance*. In principle it is a poor choice.
# This section shows why, and a later one measures how much it costs on our data.
#
# Take two pairs of boxes. The first pair is large: 0.80 x 0.80 and 0.90 x 0.90 of the image. The second pair is small:
# 0.10 x 0.10 and 0.20 x 0.20. In both pairs the sides differ by 0.10, so the Euclidean distance is the same.
#
# A detector is scored differently. It is asked how well the predicted box overlaps the true box. The measure is the
# *intersection over union*, or *IoU*: the area that both boxes share, divided by the area that they cover together.
# It is 1 for two equal boxes, and 0 if they do not overlap. Here we compare only sizes, so we put both boxes on the
# same centre. Then the shared area has the smaller of the two widths and the smaller of the two heights.


# %%
def iou_of_sizes(first, second):
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
    titles.append(f"distance {distance:.2f}, IoU {iou_of_sizes(first, second):.2f}")

# %% tags=["slide"]
figures.pairs_of_sizes([large_pair, small_pair], titles)

# %% [markdown]
# You can follow the IoU by hand. The large boxes share 0.80 x 0.80 = 0.64. Together they cover 0.64 + 0.81 - 0.64 =
# 0.81, because the smaller one lies completely inside. The IoU is 0.64 / 0.81 = 0.79. For the small boxes it is 0.01
# / 0.04 = 0.25. Now let the smaller box of each pair be an anchor, and the larger one an object. For the object of
# 0.90 x 0.90 the anchor is an excellent start, and for the object of 0.20 x 0.20 it is a poor one. The Euclidean
# distance is 0.14 in both cases.
#
# Since the detector will be judged by IoU, we use 1 - IoU as our distance. An anchor that is ten percent wider than
# its box has the same IoU with it, whether the box is small or large. The next figure shows the consequence. A box is
# a single point there, as in the cloud of points above, and two boxes are marked. Each line encloses all sizes that
# are close enough to the marked one.

# %%
figures.distance_contours(marked=((0.15, 0.2), (0.6, 0.55)))

# %% [markdown]
# On the left, "close enough" means an IoU of at least 0.7 (solid) or 0.5 (dashed). The tip on the right of the solid
# line round the large box, for example, is a box of the same height that is 0.6 / 0.7 = 0.86 wide. The region round
# the large box is much bigger than the one round the small box, in proportion to their sizes. On the right, it means
# a Euclidean distance of at most 0.1 (solid) or 0.2 (dashed). Both boxes get the same circle, which is generous for
# the small box and strict for the large one.
#
# From here on we use `yolo.iou_wh`, which is `iou_of_sizes` for many boxes and anchors at once. It returns a table
# with one row for each box and one column for each anchor.
#
# ## How does k-means find the anchors?
#
# *k-means* finds k groups, or *clusters*, in a set of points. Our points are the sizes of the boxes. We pick k of
# them at random as the first anchors and repeat two steps until nothing changes:
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


# %% tags=["slide"]
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
# in the same colours, drawn as boxes. A colour follows one anchor on its way, and its size may change completely. By
# chance, all four boxes we start with are small. A few steps are enough to spread the anchors, and in the end they
# stand for small, wide, tall and large objects. The mean IoU rises from 0.34 to 0.56.
#
# Compare the titles of the third and the fourth column. From one to the other the mean IoU falls a little. Ordinary
# k-means improves its own measure, the squared Euclidean distance, in every step. Our version has no such guarantee,
# because of step 2: the mean is the best centre for squared Euclidean distances, but only a good one for IoU. Below
# we try another centre, the median.
#
# The module `yolo_helpers.py`, which all chapters import as `yolo`, has the same loop in `yolo.kmeans_once`. From the
# same start it must end at the same anchors.

# %%
print("the same anchors:", np.allclose(anchors, yolo.kmeans_once(sizes, start)))

# %% [markdown]
# The module's version differs in one rare case. A cluster can lose all its boxes to its neighbours. In our loop its
# anchor then stays where it is, without any use. In the module it moves to the box that fits badly to all anchors:
# the one whose best IoU is the lowest.
#
# Finally, k-means finds *a* good solution, and another start may lead to a better one. Therefore `yolo.kmeans_anchors`
# runs k-means from several random starts and keeps the anchors with the highest mean IoU. It returns them sorted by
# area. All its random numbers follow from one number, the *seed*, so the same seed gives the same anchors again.

# %%
for seed in range(5):
    _, score = yolo.kmeans_anchors(sizes, 4, seed=seed, restarts=1)
    print(f"one start, seed {seed}: mean IoU {score:.4f}")
_, score = yolo.kmeans_anchors(sizes, 4, restarts=10)
print(f"the best of ten starts: mean IoU {score:.4f}")

# %% [markdown]
# Here the starts matter little: all end close to each other. With more anchors or fewer boxes, they can differ more.
#
# You may have noticed that our own loop passed a mean IoU of 0.564 on its way, a little more than the best of ten. We
# could stop there, or keep the best step, but the gain is only 0.004. So we keep the simpler rule and let k-means run
# until nothing changes.
#
# > **Pitfall.** Anchors that are clustered from one random start, and returned in the order in which they were found,
# > differ from run to run. A network that was trained with "anchor 0 is the small one" is useless when anchor 0 is the
# > large one. Several starts, a fixed seed and a fixed order prevent this.
#
# ## How much does the distance matter?
#
# We have argued for IoU, but an argument is not a measurement. We run k-means with both distances. We also try the
# other centre that we announced: the *median* of a cluster instead of its mean. A few extreme boxes affect it less.


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
# on the boxes of the validation and test images as well. The last column has boxes that took no part in the
# clustering. We only look at it and choose nothing by it, so the test images stay fresh for the final score.

# %%
other_sizes = yolo.box_sizes(splits.validation + splits.test)
rng = np.random.default_rng(0)
starts = [rng.choice(sizes, size=4, replace=False) for _ in range(10)]


def best_of_starts(distance, centre):
    runs = [cluster(sizes, start, distance, centre) for start in starts]
    return max(runs, key=lambda anchors: mean_iou(sizes, anchors))


print("distance   centre   training   other boxes")
for distance in ("1 - IoU", "Euclid"):
    for name, centre in (("mean", np.mean), ("median", np.median)):
        best = best_of_starts(distance, centre)
        on_training = mean_iou(sizes, best)
        on_others = mean_iou(other_sizes, best)
        print(f"{distance:<8}   {name:<6}   {on_training:.3f}      {on_others:.3f}")

# %% [markdown]
# Read the table in two directions. With the same centre, 1 - IoU gives a higher mean IoU than Euclidean distance, as
# we expected. But the centre matters as much: Euclid with the median ends slightly above 1 - IoU with the mean. With
# the mean as centre, the gain is 0.006 on the training boxes and 0.017 on the others. The paper found 0.023 on VOC
# (0.610 against 0.587, with five anchors). But going from the mean to the median gains between 0.010 and 0.018, and
# that is a choice of the centre, not of the distance. So the argument for IoU holds here, also on the boxes that took
# no part in the clustering, but it brings little.
#
# We use 1 - IoU and the mean, as the paper and the code of the series do. If you want another 0.01, try the median.
# We have not measured whether the finished detector gets better by it. We expect little, because the anchors are only a
# start that the network learns to correct. Short trainings with anchors that were picked by hand, without a look at the
# data, even reached the same mAP as those with k-means, as far as four trainings of each can tell (see the table in the
# [README](../README.md#what-does-each-part-give)).
#
# ## How many anchors should we use?
#
# We can compute the mean IoU for any number of anchors k. The figure compares our curve with the numbers published by
# the series and the paper, which come from the photos of Pascal VOC.

# %%
counts = range(1, 11)
ours = [yolo.kmeans_anchors(sizes, k, restarts=10)[1] for k in counts]
series = [0.4646, 0.5391, 0.5801, 0.6016, 0.6253, 0.6434, 0.6595, 0.6712, 0.6840]

paper = {5: 0.610, 9: 0.672}
title = "More anchors fit better, and there is no elbow"
figures.iou_by_anchors(ours, series, paper, title)

# %%
gains = np.diff(ours)
for k, gain in zip(range(2, 11), gains, strict=True):
    print(f"from {k - 1} to {k} anchors: {gain:+.3f}")

# %% [markdown]
# The second anchor gains most. After the third, the gains shrink slowly, down to 0.014. People like to look for an
# *elbow*, the point after which a curve suddenly goes flat. This curve bends most at two anchors, but it does not go
# flat there or anywhere else. From 3 to 8 anchors it lies up to 0.02 below that of the series, at 2 slightly above,
# and at 9 and 10 the two meet. We have not looked for the reason.
#
# More anchors can never make the best possible fit worse: if you add an anchor to a set, every box keeps its best
# anchor or gets a better one. A single run of k-means can still end lower than one with fewer anchors, because it may
# miss the best solution. Here it did not happen.
#
# So the curve cannot make the decision. The price has to be part of it. Each further anchor means
#
# - 169 more predictions in every image, nearly all of them on background, each of which could become a false detection,
# - 25 more filters in the last layer of the network (5 plus the number of classes, chapter 3),
# - fewer training boxes for each anchor to learn from.
#
# None of these is a hard limit, and the paper says no more than that five is a good trade-off. So neither the curve
# nor the price singles out one number. The series uses four, and so do we, so that your arrays have the same sizes as
# those of the series. For data of your own, train with two or three values of k and compare the validation mAP.
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
figures.anchors_side_by_side(anchors, "Each anchor stands for one kind of box")

# %% [markdown]
# Each frame is a whole image, so you can see how much of it an anchor covers. (The frame is a square because
# fractions do not know the shape of the photo.) Anchor 0 is small, anchor 1 is wide, anchor 2 is tall, and anchor 3
# is large. Wherever a figure of the book shows anchors, they have these colours. Each is the best anchor of roughly a
# quarter of the boxes. A mean IoU of 0.56 tells you that many boxes still need a considerable correction.
#
# What does this mean for the running example? Each box is drawn with a solid line, and its best anchor with a dashed
# one, on the same centre. The colours are now those of the anchors and not those of the classes, so the two cows
# differ.

# %%
_, axis = plt.subplots(figsize=(8.5, 6.6))
title = "Three objects, and the anchor (dashed) that fits each of them best"
figures.boxes_with_anchors(axis, image, boxes, anchors, title)
plt.show()

# %% [markdown]
# The lying cow is close to anchor 1, with an IoU of 0.87. The network would hardly have to change it. The dog is
# somewhat wider and lower than anchor 0, which is upright. The standing cow is worst off: it is considerably smaller
# than anchor 3 and still closer to it than to any other. These three corrections are what the network will have to
# predict, and the next chapter writes them down as numbers.
#
# ## Passing the anchors on
#
# The later chapters read the anchors from a file. Files that one chapter writes and another one reads are called
# *artifacts*. This one also holds a fingerprint of the training data, which is a short checksum, so that a chapter
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
# ## Exercises
#
# Each exercise has a starter cell to complete, a folded solution, and a check cell that says whether the answer is
# right. To try an exercise yourself here, complete its starter cell, skip the folded solution and run the check. The
# check cells are folded as well, because they contain the answers: run them without opening them. The student edition
# (`make workshop`) leaves the solutions out. Run the next cell first: it defines two functions from the chapter and
# some made-up box sizes.


# %% tags=["exercise-setup"]
def mean_iou(sizes, anchors):
    return yolo.iou_wh(sizes, anchors).max(axis=1).mean()


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


small_sizes = [[0.10, 0.14], [0.12, 0.16], [0.14, 0.12], [0.16, 0.18]]
tall_sizes = [[0.16, 0.66], [0.20, 0.60]]
large_sizes = [[0.70, 0.60], [0.80, 0.70], [0.90, 0.80]]
nine_sizes = np.array(small_sizes + tall_sizes + large_sizes)
chosen_by_hand = np.array([[0.05, 0.05], [0.13, 0.15], [0.80, 0.70]])
sixty_sizes = np.random.default_rng(1).uniform(0.05, 0.95, size=(60, 2))

# %% [markdown]
# ### Exercise 1.1: Which anchor gets the box? (5 minutes)
#
# An object covers 0.30 x 0.30 of the image. There are two anchors. The small one is 0.15 x 0.15, and the large one is
# 0.50 x 0.50. Step 1 of k-means asks which of them is closer to the object, and the answer depends on the distance.
#
# Compute both answers by hand, before you run anything. The Euclidean distance is between the points (width, height).
# For the IoU, both boxes are on the same centre, and the anchor with the larger IoU is the closer one.
#
# - **A.** The small anchor is closer with both distances.
# - **B.** The large anchor is closer with both distances.
# - **C.** The small anchor is closer by Euclidean distance, the large one by 1 - IoU.
# - **D.** The large anchor is closer by Euclidean distance, the small one by 1 - IoU.
#
# Hand in the letter.

# %% tags=["starter"]
prediction = None  # "A", "B", "C" or "D"

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
# Euclid: the sides differ by 0.15 from those of the small anchor, and by 0.20 from
# those of the large one. The distances are 0.15 * sqrt(2) = 0.21 and
# 0.20 * sqrt(2) = 0.28, so the small anchor is closer.
#
# IoU: of two squares on the same centre, the smaller one is the intersection and the
# larger one is the union. With the small anchor the IoU is 0.0225 / 0.09 = 0.25, and
# with the large one 0.09 / 0.25 = 0.36, so the large anchor is closer.
prediction = "C"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
assert prediction is not None, "Your prediction is still empty: write a letter."
hints = {
    "A": "By IoU it is the other anchor. Of two squares on the same centre, the "
    "smaller is the intersection and the larger the union. Which is the larger IoU, "
    "0.15² / 0.30² or 0.30² / 0.50²?",
    "B": "By Euclidean distance it is the other anchor. The sides differ by 0.30 - "
    "0.15 or by 0.50 - 0.30, so which one is closer?",
    "D": "You have the two distances the wrong way round. By Euclidean distance the "
    "sides differ by 0.30 - 0.15 or by 0.50 - 0.30, so which anchor is closer?",
}
message = hints.get(str(prediction), 'Write one capital letter in quotes, like "A".')
assert prediction == "C", message

side, anchor_sides = 0.30, np.array([0.15, 0.50])
ious = yolo.iou_wh([[side, side]], np.stack([anchor_sides, anchor_sides], axis=1))[0]
distances = np.sqrt(2) * np.abs(anchor_sides - side)
print(
    f"Exercise 1.1 is right: the distances are {distances[0]:.2f} and "
    f"{distances[1]:.2f}, the IoUs {ious[0]:.2f} and {ious[1]:.2f}.\n"
    "Euclid compares differences and IoU compares ratios: half as wide is a worse fit "
    "than 1.67 times as wide."
)

# %% [markdown]
# ### Exercise 1.2: The IoU of boxes with a location (10 minutes)
#
# In this chapter all boxes share their centre, because only their width and height matter. Later we need the IoU of
# boxes wherever they are: chapter 4 compares predictions with true boxes, and chapter 6 decides whether a detection
# counts as correct.
#
# Write `iou_of_boxes` for two boxes, each given by its corners xmin, ymin, xmax and ymax as fractions of the image. The
# definition is the one you know: the shared area divided by the area that both boxes cover together. The shared part of
# two upright boxes is again an upright box, so begin by working out its four sides. Two boxes can also be apart, side
# by side or diagonally. Their IoU is 0, and so is the IoU of boxes that only touch.
#
# Hand in the function. Python's `min` and `max` are all you need.


# %% tags=["starter"]
def iou_of_boxes(first, second):
    """Compute the IoU of two boxes, wherever they are.

    Parameters
    ----------
    first, second : sequence of 4 floats
        xmin, ymin, xmax, ymax as fractions of the image. Each box has an area above 0.

    Returns
    -------
    float
        From 0 to 1.
    """
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def iou_of_boxes(first, second):
    """Compute the IoU of two boxes, wherever they are."""
    left = max(first[0], second[0])
    top = max(first[1], second[1])
    right = min(first[2], second[2])
    bottom = min(first[3], second[3])
    shared_width = max(right - left, 0)  # boxes that are apart share nothing
    shared_height = max(bottom - top, 0)
    intersection = shared_width * shared_height

    area_of_first = (first[2] - first[0]) * (first[3] - first[1])
    area_of_second = (second[2] - second[0]) * (second[3] - second[1])
    union = area_of_first + area_of_second - intersection
    return intersection / union


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
box, other = [0.1, 0.2, 0.5, 0.6], [0.3, 0.4, 0.9, 0.8]  # they share 0.2 x 0.2
iou = iou_of_boxes(box, other)
assert iou is not None, "Your function is still empty: it returns None."
mistakes = {
    2 / 3: "You compare only the shapes, but the second box also has another location.",
    0.1: "Your areas are added, but the overlap is counted twice: subtract it once.",
    0.25: "You divide by the area of one box: divide by the area of the union.",
    0.04: "You return the shared area: divide it by the area of the union.",
    1.5: "Your shared part is too large. It ends where the first of the boxes ends.",
    -6.0: "min and max are swapped: the shared part begins at the larger of the two "
    "left sides and ends at the smaller of the two right sides.",
}
for value, message in mistakes.items():
    assert not np.isclose(iou, value), message
message = f"For {box} and {other} the IoU is 0.04 / 0.36 = 0.111, not {iou:.3f}."
assert np.isclose(iou, 1 / 9), message

diagonal = iou_of_boxes([0.0, 0.0, 0.2, 0.2], [0.6, 0.7, 0.9, 0.9])
beside = iou_of_boxes([0.0, 0.0, 0.2, 0.2], [0.6, 0.0, 0.8, 0.2])
message = (
    "Two boxes that are apart have an IoU of 0. Your shared width or height becomes "
    "negative there, and two negative factors even make a positive area: stop at 0."
)
assert np.allclose([diagonal, beside], 0), message

rng = np.random.default_rng(0)
corners = rng.uniform(0, 0.5, (100, 2))
boxes_at_random = np.hstack([corners, corners + rng.uniform(0.1, 0.5, (100, 2))])
for first, second in zip(boxes_at_random[:-1], boxes_at_random[1:], strict=True):
    iou_in_module = yolo.iou_matrix([first], [second])[0, 0]
    message = (
        f"For {first.round(2)} and {second.round(2)} the IoU is {iou_in_module:.2f}, "
        "but yours differs. Draw both boxes: which side of the shared part is wrong?"
    )
    assert np.isclose(iou_of_boxes(first, second), iou_in_module), message
half_shifted = iou_of_boxes([0.0, 0.0, 0.4, 0.4], [0.2, 0.2, 0.6, 0.6])
print(
    "Exercise 1.2 is right: you agree with yolo.iou_matrix on 99 random pairs.\n"
    "IoU is strict: if you shift a square by half its side in x and in y, its IoU with "
    f"the old one is only {half_shifted:.2f}."
)

# %% [markdown]
# ### Exercise 1.3: An anchor without boxes (10 minutes)
#
# The array `nine_sizes`, defined above exercise 1.1, holds four small, two tall and three large boxes. Suppose
# somebody starts k-means from the three anchors `chosen_by_hand`: anchor 0 is 0.05 x 0.05, anchor 1 is 0.13 x 0.15, and
# anchor 2 is 0.80 x 0.70. Even the small boxes are closer to anchor 1 than to the tiny anchor 0. So anchor 0 gets no
# box, and the chapter's loop never moves it.
#
# The module has a rule for this case. For each box, take its IoU with its best anchor. The box for which this number is
# lowest is the one that the anchors fit worst. The anchor without boxes moves onto this box, which means that it takes
# over its width and height.
#
# The starter cell is one step of k-means from the chapter. Complete its `else` branch. You may assume that at most one
# anchor has no boxes. Hand in the function.


# %% tags=["starter"]
def move_anchors(sizes, anchors):
    """Do one step of k-means; an anchor without boxes moves to the worst-fitted box.

    Parameters
    ----------
    sizes : array (n, 2)
        Widths and heights of the boxes, as fractions of the image.
    anchors : array (k, 2)
        Widths and heights of the anchors, in the same unit.

    Returns
    -------
    array (k, 2)
        The anchors after the step.
    """
    ious = yolo.iou_wh(sizes, anchors)  # (n, k): a row for each box
    nearest = ious.argmax(axis=1)
    moved = anchors.copy()
    for i in range(len(anchors)):
        members = sizes[nearest == i]
        if len(members) > 0:
            moved[i] = members.mean(axis=0)
        else:
            pass  # your code
    return moved


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def move_anchors(sizes, anchors):
    """Do one step of k-means; an anchor without boxes moves to the worst-fitted box."""
    ious = yolo.iou_wh(sizes, anchors)  # (n, k): a row for each box
    nearest = ious.argmax(axis=1)
    moved = anchors.copy()
    for i in range(len(anchors)):
        members = sizes[nearest == i]
        if len(members) > 0:
            moved[i] = members.mean(axis=0)
        else:
            iou_with_best = ious.max(axis=1)  # (n,): how well each box is fitted
            moved[i] = sizes[iou_with_best.argmin()]
    return moved


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
try:
    moved = move_anchors(nine_sizes, chosen_by_hand)
except IndexError as error:
    message = (
        f"{error}. Without an axis, argmin counts through the whole table of IoUs. "
        "First take for each box the IoU with its best anchor: max(axis=1)."
    )
    raise AssertionError(message) from None
assert moved is not None, "Your function returns None: return the moved anchors."
new = moved[0]
is_unmoved = np.allclose(new, chosen_by_hand[0])
assert not is_unmoved, "Anchor 0 has not moved: your else branch is still empty."
assert not np.isnan(new).any(), "Anchor 0 is NaN, the mean of no boxes: choose a box."
message = "Anchor 0 is no box size. argmin gives the number of a box: look up its size."
assert 0 < new.min() and new.max() < 1, message

mistakes = {
    7: "Anchor 0 went to the box that the anchors fit best. It is needed at the worst.",
    8: "Anchor 0 went to the largest box, but anchor 2 fits that one well. First take "
    "for each box the IoU with its best anchor, then the lowest of these numbers.",
}
for i, message in mistakes.items():
    assert not np.allclose(new, nine_sizes[i]), message
message = f"Anchor 0 is {new.round(2)}, but that is not the box that is fitted worst."
expected = yolo.kmeans_once(nine_sizes, chosen_by_hand, max_iterations=1)
assert np.allclose(new, expected[0]), message
message = "Anchors 1 and 2 have boxes: they should still move to the mean of these."
assert np.allclose(moved, expected), message

anchors_with_rule = chosen_by_hand
for _ in range(10):
    anchors_with_rule = move_anchors(nine_sizes, anchors_with_rule)
anchors_without = cluster(nine_sizes, chosen_by_hand, "1 - IoU", np.mean)
score_without = mean_iou(nine_sizes, anchors_without)
score_with_rule = mean_iou(nine_sizes, anchors_with_rule)
print(
    f"Exercise 1.3 is right: the mean IoU is {score_without:.2f} without the rule and "
    f"{score_with_rule:.2f} with it.\n"
    "Anchor 0 now stands for the tall boxes, and this also sets anchor 2 free for the "
    "large ones."
)

# %% [markdown]
# ### Exercise 1.4: Does the unit matter? (10 minutes)
#
# We clustered sizes in fractions of the image. Would pixels have given other anchors? Suppose all images are panoramas
# of 1000 x 250 pixels. In pixels, the numbers for the widths become 1000 times larger, and those for the heights only
# 250 times. Make the change and compare.
#
# 1. Write `cluster_in_pixels`. It converts the sizes *and* the anchors of the start to pixels, calls `cluster` with
#    `np.mean` as the centre, and converts the result back to fractions.
# 2. Cluster `sixty_sizes`, and start from its first four rows. For both distances, "1 - IoU" and "Euclid", compare your
#    anchors with those that `cluster` finds in fractions. You will see that with 1 - IoU the anchors are the same, and
#    with Euclidean distance they are not.
# 3. Why is that so with 1 - IoU? Choose the reason.
#    - **A.** The IoU is between 0 and 1 in every unit, whereas a Euclidean distance can become as large as you like.
#    - **B.** The change of unit multiplies the intersection and the union by the same number.
#    - **C.** Both runs start from the same four boxes, so they have to end at the same anchors.
#    - **D.** The IoU depends only on areas, and the area of a box does not depend on the unit.
#
# Hand in the function and the letter.


# %% tags=["starter"]
def cluster_in_pixels(sizes, anchors, distance, width, height):
    """Cluster box sizes in pixels instead of fractions.

    Parameters
    ----------
    sizes : array (n, 2)
        Widths and heights of the boxes, as fractions of the image.
    anchors : array (k, 2)
        The anchors to start from, as fractions of the image.
    distance : str
        "1 - IoU" or "Euclid".
    width, height : int
        Of the image, in pixels.

    Returns
    -------
    array (k, 2)
        The anchors that were found, as fractions of the image.
    """
    return None  # your code


explanation = None  # "A", "B", "C" or "D"


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def cluster_in_pixels(sizes, anchors, distance, width, height):
    """Cluster box sizes in pixels instead of fractions."""
    image_sides = np.array([width, height])
    in_pixels = cluster(sizes * image_sides, anchors * image_sides, distance, np.mean)
    return in_pixels / image_sides


for distance in ("1 - IoU", "Euclid"):
    print(distance)
    in_fractions = cluster(sixty_sizes, sixty_sizes[:4], distance, np.mean)
    by_pixels = cluster_in_pixels(sixty_sizes, sixty_sizes[:4], distance, 1000, 250)
    print("  in fractions:", in_fractions.round(2).tolist())
    print("  in pixels:   ", by_pixels.round(2).tolist())

# In pixels, every area is 1000 * 250 times as large, and so are the intersection and
# the union. The factor cancels in their quotient, so each box keeps its nearest anchor
# in every step. The mean of a cluster changes its unit along with its members.
#
# The Euclidean distance adds the squares of both differences. In pixels, a difference
# of 0.1 in width is four times as long as a difference of 0.1 in height, so boxes
# change their cluster. A is true, but a number between 0 and 1 can still depend on the
# unit. C holds for Euclid as well, and D is wrong, because areas do change.
explanation = "B"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
first_four = sixty_sizes[:4]
by_iou = cluster_in_pixels(sixty_sizes, first_four, "1 - IoU", 1000, 250)
assert by_iou is not None, "Your function is still empty: it returns None."
assert np.max(by_iou) <= 1, "Your anchors are still in pixels: convert them back."
assert np.min(by_iou) > 0.01, "Some anchors are tiny: convert the start to pixels too."
message = (
    "With 1 - IoU your anchors differ from those in fractions. Multiply and divide the "
    "widths by the image's width and the heights by its height, and use np.mean."
)
in_fractions = cluster(sixty_sizes, first_four, "1 - IoU", np.mean)
assert np.allclose(by_iou, in_fractions, atol=1e-6), message

by_euclid = cluster_in_pixels(sixty_sizes, first_four, "Euclid", 1000, 250)
message = "You get the same anchors for both distances: pass `distance` on to cluster."
assert not np.allclose(by_euclid, by_iou), message
score = mean_iou(sixty_sizes, by_euclid)
message = "With Euclid you get the anchors in fractions: cluster the sizes in pixels."
assert not np.isclose(score, 0.628, atol=0.001), message
message = "With Euclid your anchors are wrong: width times 1000, height times 250."
assert np.isclose(score, 0.575, atol=0.001), message

assert explanation is not None, "Your explanation is still empty: write a letter."
hints = {
    "A": "A is true, but not the reason. Divide all Euclidean distances by the largest "
    "one: they are between 0 and 1 as well, and still depend on the unit.",
    "C": "With Euclid both runs also start from the same boxes, and yet they end at "
    "different anchors. What happens to an IoU when all widths grow 1000 times?",
    "D": "Areas do depend on the unit: in square pixels they are 250 000 times as "
    "large. What happens to a quotient of two such areas?",
}
message = hints.get(str(explanation), 'Write one capital letter in quotes, like "A".')
assert explanation == "B", message
print(
    f"Exercise 1.4 is right: with 1 - IoU the mean IoU is "
    f"{mean_iou(sixty_sizes, by_iou):.2f} in both units. With Euclid it is 0.63 in "
    f"fractions and {score:.2f} in pixels.\n"
    "By IoU, the anchors (as fractions) do not depend on how the images are stretched."
)

# %% [markdown]
# ## Check your understanding
#
# Answer each question in your own words before you open it.
#
# <details><summary>1. Why does the network answer with a block of fixed shape, and not with a list of objects?</summary>
#
# A neural network has an output of fixed shape, but images contain different numbers of objects. YOLOv2 therefore asks
# the same question for every cell and anchor, 676 times for one image. Most of the answers are "background", and only
# the few with a high score become detections.
#
# </details>
#
# <details><summary>2. A box of VOC has xmin = 11 and xmax = 20 in an image that is 100 pixels wide. Which fractions does it cover?</summary>
#
# It covers the pixels 11 to 20, which are ten pixels. Subtract 1 from xmin and leave xmax as it is, then divide by 100.
# The box reaches from 0.10 to 0.20, so its width is 0.10. If you computed 20 - 11, you would find only 0.09.
#
# </details>
#
# <details><summary>3. Why do we cluster with 1 - IoU, although our measurement shows only a small gain?</summary>
#
# The detector is scored by IoU, so the anchors should be close to the boxes in the same measure. IoU treats an error of
# ten percent the same way for a box of any size, whereas Euclidean distance is strict with large boxes and generous
# with small ones. The argument is right even if it brings little here, and 1 - IoU is no more work to compute.
#
# </details>
#
# <details><summary>4. Why can the mean IoU fall from one step of k-means to the next?</summary>
#
# Step 2 moves each anchor to the mean of its boxes. The mean is the best centre for squared Euclidean distances, but
# not always for IoU. So a move can lower the mean IoU a little, although each box then chooses its best anchor again.
#
# </details>
#
# <details><summary>5. Why can we not simply take the number of anchors with the highest mean IoU?</summary>
#
# The best possible mean IoU never falls when an anchor is added, because the old anchors are still there and no box
# gets a worse one. With one anchor for every box it would even be 1. What stops us is the price: 169 more predictions
# in each image, 5 more filters in the last layer plus one for each class, and fewer training boxes for each anchor.
#
# </details>

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
#   boxes. Several starts protect against a poor one, and a fixed seed and a fixed order make the
#   result repeatable.
# - The best possible mean IoU never falls with the number of anchors, and there is no elbow. The number is a trade-off.
# - Anchors come from the training images only.
#
# **Next:** [2 Encoding](02_encoding.ipynb) decides which cell and which anchor should find each object, and writes that
# down as the target of the network.
