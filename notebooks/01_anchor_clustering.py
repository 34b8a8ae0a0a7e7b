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
# # 1 Anchors: which shapes of boxes should the network start from?
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/01_anchor_clustering.ipynb)
#
# **Goal.** Read Pascal VOC annotations and find, by k-means with a distance made for boxes, the four box shapes that the network will start from.
#
# *The series* is Yumi's blog series on YOLOv2, which these notebooks follow; *the paper* is [YOLO9000](https://arxiv.org/abs/1612.08242); *Darknet* is its authors' [program](https://github.com/pjreddie/darknet).
#
# **You will learn**
# - what stands in a VOC annotation file, and the three traps in it;
# - why the distance between two boxes is 1 - IoU, and what goes wrong with Euclid's;
# - k-means from scratch, in loops and vectorised, with the same result;
# - how many anchors are worth their price.
#
# *Read 20 min, run under half a minute, exercises 20 min. Needs only the XML files, no photos.*
#
# | part | **1 anchors** | 2 encoding | 3 model | 4 loss | 5 training | 6 inference |
# |---|---|---|---|---|---|---|
# | makes | **`anchors.json`** | batches | the network | the loss | weights | detections, mAP |

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
import xml.etree.ElementTree as ET

import yolo_helpers as yolo  # first: it keeps TensorFlow's start quiet

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats("jpeg", pil_kwargs={"quality": 80})
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})
BLUE, RED, YELLOW, GREEN, VIOLET = "#30638e", "#d1495b", "#edae49", "#66a182", "#8d6a9f"

# %%
# The profile `full` learns from the real VOC2012: 2 GB, fetched once; an interrupted download goes on where it was.
if os.environ.get("YOLO_PROFILE") == "full" and not os.environ.get("VOC_DIR"):
    subprocess.run([sys.executable, str(yolo.ROOT / "data/fetch_voc.py")])
settings = yolo.load_settings()

# %% tags=["nbval-ignore-output"]
print(settings.table())

# %% [markdown]
# ## What is in an annotation file?
#
# Pascal VOC describes each photo by one XML file. Here is one, shortened. Three things in it have led many programs astray:
#
# 1. **`<part>`** elements: a person's head, hands and feet have boxes of their own. They are not objects; a reader that searches the whole tree for `<bndbox>` counts them all.
# 2. **Pixels are counted from 1 and inclusive.** A box from xmin 1 to xmax 10 covers ten pixels, not nine. As continuous coordinates it reaches from 0 to 10.
# 3. **Some numbers are floats** (`45.70000076293945`), some elements may be missing, and their order varies.

# %%
EXAMPLE = """<annotation>
  <filename>example.jpg</filename>
  <size><width>500</width><height>375</height><depth>3</depth></size>
  <object>
    <name>person</name><truncated>0</truncated><difficult>0</difficult>
    <bndbox><xmin>101</xmin><ymin>51</ymin><xmax>200</xmax><ymax>350</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>130</xmin><ymin>51</ymin><xmax>170</xmax><ymax>110</ymax></bndbox></part>
  </object>
  <object>
    <name>dog</name><difficult>1</difficult>
    <bndbox><ymin>281</ymin><xmin>45.70000076293945</xmin><xmax>120</xmax><ymax>340</ymax></bndbox>
  </object>
</annotation>"""


def parse_annotation(text):
    """Image size and a list of (class name, difficult, xmin, ymin, xmax, ymax) from an annotation's XML text."""
    root = ET.fromstring(text)
    size = root.find("size")
    objects = []
    for element in root.findall("object"):  # direct children only
        box = element.find("bndbox")  # the object's own box, not a part's
        corners = [float(box.find(side).text) for side in ("xmin", "ymin", "xmax", "ymax")]
        difficult = element.findtext("difficult", "0").strip() == "1"
        objects.append((element.find("name").text.strip(), difficult, *corners))
    return int(size.find("width").text), int(size.find("height").text), objects


width, height, objects = parse_annotation(EXAMPLE)
for name, difficult, *box in objects:
    print(f"{name:<7} difficult={difficult!s:<5} {np.round(box, 1)}")
print("a search of the whole tree would find", EXAMPLE.count("<bndbox>"), "boxes instead of", len(objects))

# %% [markdown]
# `yolo.read_annotation` does the same for a file and checks it: a faulty file is refused with a message of one line, when it is cut off, names an unknown class, or holds a box that is empty or outside. On our data the two readers must agree.

# %%
splits = yolo.load_splits(settings.voc_dir)
everything = splits.train + splits.validation + splits.test
for annotation in everything[:50]:
    text = (settings.voc_dir / "Annotations" / f"{annotation.image_path.stem}.xml").read_text()
    width, height, objects = parse_annotation(text)
    assert (width, height) == (annotation.width, annotation.height)
    assert [yolo.CLASSES.index(row[0]) for row in objects] == annotation.labels.tolist()
    assert np.allclose(np.array([row[2:] for row in objects]).reshape(-1, 4), annotation.boxes, atol=1.0)
print(f"{len(everything)} annotations, {sum(len(a.labels) for a in everything)} objects; the plain reader agrees on the first 50")

# %% [markdown]
# ## What do we have to detect?
#
# Two pictures of the data, before any learning. Left: how often each class occurs; persons lead, as in the real VOC. Right: where the boxes' sizes lie, as fractions of the image, so that images of different sizes can be compared. Each point is a box.

# %%
labels = np.concatenate([annotation.labels for annotation in everything])
sizes = yolo.box_sizes(everything)
counts = np.bincount(labels, minlength=len(yolo.CLASSES))
order = np.argsort(-counts)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), gridspec_kw={"width_ratios": (1.6, 1)})
left.bar([yolo.CLASSES[i] for i in order], counts[order], color=[np.array(yolo.class_colour(i)) / 255 for i in order])
left.tick_params(axis="x", rotation=60)
left.set(ylabel="objects", title="Persons lead, as in the real VOC")
right.scatter(*sizes.T, s=5, alpha=min(1, 1500 / len(sizes)), color=BLUE, lw=0)
right.set(xlim=(0, 1), ylim=(0, 1), xlabel="width (share of the image)", ylabel="height (share of the image)", title="Small boxes are many, shapes differ", aspect="equal")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## When are two shapes alike?
#
# YOLOv2 predicts a box as a change of a **prior**, or *anchor*: a width and a height. The closer an anchor already is, the less there is to learn. "Close" should mean what we will be judged by, and that is the **IoU**: the area that two boxes share, divided by the area that they cover together. Here only shapes matter, so both boxes are laid over each other with the same centre:
#
# $$\mathrm{IoU} = \frac{\min(w_1, w_2)\,\min(h_1, h_2)}{w_1 h_1 + w_2 h_2 - \min(w_1, w_2)\,\min(h_1, h_2)}$$

# %%
def iou(box, clusters):
    """IoU of one (width, height) with each of several, all with the same centre."""
    result = []
    for width, height in clusters:
        overlap = min(box[0], width) * min(box[1], height)
        result.append(overlap / (box[0] * box[1] + width * height - overlap))
    return np.array(result)


pairs = [((0.6, 0.4), (0.5, 0.5)), ((0.6, 0.4), (0.3, 0.8)), ((0.6, 0.4), (0.12, 0.08))]
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2))
for axis, (first, second) in zip(axes, pairs):
    for (w, h), colour in ((first, BLUE), (second, RED)):
        axis.add_patch(Rectangle((-w / 2, -h / 2), w, h, fc=colour, alpha=0.45, ec=colour, lw=2))
    distance = np.hypot(first[0] - second[0], first[1] - second[1])
    axis.set(xlim=(-0.45, 0.45), ylim=(-0.45, 0.45), aspect="equal", xticks=[], yticks=[])
    axis.set_title(f"IoU {iou(first, [second])[0]:.2f}   (Euclid: {distance:.2f})", fontsize=11)
    axis.axis("off")
plt.show()

# %% [markdown]
# `yolo.iou_wh` computes all pairs at once. Same numbers?

# %%
some = sizes[:: max(1, len(sizes) // 200)]
candidates = np.array([(0.1, 0.1), (0.3, 0.6), (0.8, 0.5)])
assert np.allclose(yolo.iou_wh(some, candidates), [iou(size, candidates) for size in some])
print(f"plain and vectorised IoU agree on {len(some)} boxes")

# %% [markdown]
# Why not Euclid's distance? It measures in absolute size. Two large boxes that differ by .1 are nearly the same box, two small ones that differ by .1 may not overlap at all; Euclid calls both pairs equally far. So it spends its clusters on large boxes. The lines below connect shapes that are equally good matches for a small and a large box: for 1 - IoU they grow with the box, for Euclid they do not.

# %%
grid = np.linspace(0.01, 1, 300)
w, h = np.meshgrid(grid, grid)
shapes = np.stack([w.ravel(), h.ravel()], axis=1)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True)
for axis, title in zip(axes, ("1 - IoU: relative", "Euclid: absolute")):
    for box, colour in (((0.15, 0.2), RED), ((0.65, 0.6), BLUE)):
        if title.startswith("1"):
            axis.contour(w, h, yolo.iou_wh(shapes, [box]).reshape(w.shape), levels=[0.5, 0.7], colors=colour, linestyles=["--", "-"])
        else:
            axis.contour(w, h, np.hypot(w - box[0], h - box[1]), levels=[0.12, 0.2], colors=colour, linestyles=["-", "--"])
        axis.plot(*box, "o", color=colour)
    axis.set(title=title, xlabel="width", aspect="equal")
axes[0].set_ylabel("height")
plt.show()

# %% [markdown]
# ## k-means, from scratch
#
# Begin with k boxes drawn at random. Then repeat two steps until nothing changes:
#
# 1. give each box to the cluster that it is most alike (largest IoU);
# 2. move each cluster to the middle of its boxes.
#
# Two details decide whether it works every time. A cluster that has lost all its boxes would stay where it is for ever; we put it on the box that is served worst. And k-means finds *a* good solution, not *the* best, so we start several times and keep the best.
#
# > **Where the series goes wrong.** Its text takes the **median** as the middle, its code the **mean**; it starts once; and its anchors come out in no order. Below, the middle is the mean, several starts compete, and the anchors are sorted by area.

# %%
def kmeans(boxes, k, dist=np.mean, seed=0):
    """One run of k-means with 1 - IoU; `dist` is the middle of a cluster (np.mean or np.median). Returns (k, 2)."""
    rng = np.random.default_rng(seed)
    distinct = np.unique(boxes, axis=0)
    clusters = distinct[rng.choice(len(distinct), k, replace=False)]
    nearest = None
    for _ in range(300):
        ious = np.array([iou(box, clusters) for box in boxes])
        previous, nearest = nearest, ious.argmax(axis=1)
        if previous is not None and np.array_equal(previous, nearest):
            break
        clusters = clusters.copy()
        worst_first = ious.max(axis=1).argsort(kind="stable")
        empty = 0
        for number in range(k):
            members = boxes[nearest == number]
            if len(members):
                clusters[number] = dist(members, axis=0)
            else:
                clusters[number] = boxes[worst_first[empty]]
                empty += 1
        if empty:
            nearest = None
    return clusters


def mean_iou(boxes, clusters):
    """How well the clusters serve the boxes: the mean IoU with the nearest."""
    return np.mean([iou(box, clusters).max() for box in boxes])


few = sizes[:400]
plain = kmeans(few, 4, seed=3)
plain = plain[np.argsort(plain.prod(axis=1))]
vectorised, score = yolo.kmeans_anchors(few, 4, seed=3, restarts=1)
assert np.allclose(plain, vectorised) and np.isclose(score, mean_iou(few, plain))
print(f"plain and vectorised k-means give the same 4 clusters for {len(few)} boxes")

# %% [markdown]
# ## Does the distance matter?
#
# The same algorithm with Euclid's distance, judged by the mean IoU in both cases. The paper reports 58.7 against 61.0 for five clusters on the real VOC.

# %%
def euclidean_kmeans(boxes, k, seed=0):
    """Ordinary k-means in the plane of widths and heights."""
    rng = np.random.default_rng(seed)
    clusters = boxes[rng.choice(len(boxes), k, replace=False)]
    for _ in range(200):
        nearest = np.linalg.norm(boxes[:, None] - clusters, axis=2).argmin(axis=1)
        clusters = np.array([boxes[nearest == i].mean(axis=0) if (nearest == i).any() else clusters[i] for i in range(k)])
    return clusters


by_iou, _ = yolo.kmeans_anchors(sizes, 5)
by_euclid = max((euclidean_kmeans(sizes, 5, seed) for seed in range(5)), key=lambda c: yolo.iou_wh(sizes, c).max(axis=1).mean())
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), sharey=True)
for axis, clusters, title in ((axes[0], by_iou, "1 - IoU"), (axes[1], by_euclid, "Euclid")):
    nearest = (yolo.iou_wh(sizes, clusters) if title != "Euclid" else -np.linalg.norm(sizes[:, None] - clusters, axis=2)).argmax(axis=1)
    axis.scatter(*sizes.T, s=5, c=np.array([BLUE, RED, YELLOW, GREEN, VIOLET])[nearest], alpha=min(1, 2000 / len(sizes)), lw=0)
    axis.scatter(*clusters.T, marker="X", s=110, color="black", ec="white")
    axis.set(title=f"{title}: mean IoU {yolo.iou_wh(sizes, clusters).max(axis=1).mean():.3f}", xlabel="width", aspect="equal", xlim=(0, 1), ylim=(0, 1))
axes[0].set_ylabel("height")
plt.show()

# %% [markdown]
# ## How many anchors?
#
# More anchors fit better, but each costs 25 more numbers in every cell, and there is less data for each. The curve of the mean IoU over k rises steeply at first, then ever less: the *elbow*. The paper takes 5, the series 4, and so do we.

# %%
def plot_cluster_result(axis, boxes, clusters):
    """Boxes in the plane of widths and heights, coloured by cluster, with the clusters' own boxes as outlines."""
    nearest = yolo.iou_wh(boxes, clusters).argmax(axis=1)
    axis.scatter(*boxes.T, s=4, c=np.array([BLUE, RED, YELLOW, GREEN])[nearest % 4], alpha=min(1, 2000 / len(boxes)), lw=0)
    axis.scatter(*clusters.T, marker="X", s=110, color="black", ec="white")
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="width", ylabel="height")


curve = {k: yolo.kmeans_anchors(sizes, k, restarts=3)[1] for k in range(1, 11)}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
left.plot(list(curve), list(curve.values()), "o-", color=BLUE)
left.plot(4, curve[4], "o", ms=12, mfc="none", mec=RED, mew=2)
left.set(xlabel="number of anchors k", ylabel="mean IoU with the nearest anchor", title="The gain gets smaller", xticks=range(1, 11), ylim=(0.2, 0.8))
plot_cluster_result(right, sizes, yolo.kmeans_anchors(sizes, 4)[0])
right.set_title("Four clusters")
figure.tight_layout()
plt.show()

# %% [markdown]
# ### Beside the paper's and the series' numbers
#
# The series clusters 40,138 boxes: all 17,125 XML files of VOC 2012, difficult objects included, whatever the split. Our count leaves out difficult objects, because Darknet does not train on them; they are small or hidden, so leaving them out raises the mean IoU a little. On another data set, other numbers are to be expected: compare the shape of the curve. (On the 11,540 annotated images of VOC 2012 detection the same code stays within .02 of the series or above it for each k; the repository's tests check that where the data is there.)

# %% tags=["nbval-ignore-output"]
series = dict(zip(range(2, 11), (0.4646, 0.5391, 0.5801, 0.6016, 0.6253, 0.6434, 0.6595, 0.6712, 0.6840)))
paper = {5: 0.610, 9: 0.672}
print(" k   here  series  paper")
for k in range(1, 11):
    print(f"{k:2d}  {curve[k]:.3f}  {series.get(k, float('nan')):.3f}  {paper.get(k, float('nan')):.3f}".replace("nan", "    -"))

# %%
print("each further anchor helps:", all(curve[k + 1] >= curve[k] - 0.005 for k in range(1, 10)))

# %% [markdown]
# ### Mean or median, one start or several?
#
# With the median as the middle, a cluster is less drawn by a few extreme boxes, and on our data its mean IoU is a little higher: neither middle is the one that maximises the mean IoU exactly. The start matters too: of ten single runs, some end lower than others. That is why there are restarts. (We keep the mean, which is what both the paper and the series' code use.)

# %%
sample = sizes[:: max(1, len(sizes) // 300)]
by_mean = [mean_iou(sample, kmeans(sample, 4, np.mean, seed)) for seed in range(10)]
by_median = [mean_iou(sample, kmeans(sample, 4, np.median, seed)) for seed in range(10)]
figure, axis = plt.subplots(figsize=(7, 1.9))
for row, (scores, colour) in enumerate(((by_mean, BLUE), (by_median, RED))):
    axis.scatter(scores, [row] * 10, s=60, color=colour, alpha=0.6, lw=0)
axis.set(yticks=(0, 1), yticklabels=("mean", "median"), ylim=(-0.6, 1.6), xlabel="mean IoU of single runs from ten random starts (k = 4)")
plt.show()

# %% [markdown]
# ## The four anchors
#
# Now the anchors that the whole series will use: clustered from the **training** images only, because an anchor is a choice made by looking at data, and validation and test images should not take part in it. (The pictures above showed all splits, to get to know the data. That there are four is the series' choice.)

# %%
anchors, score = yolo.kmeans_anchors(yolo.box_sizes(splits.train), 4, seed=settings.seed, restarts=10)
print("  width  height   in cells of a 13 x 13 grid")
for width, height in anchors:
    print(f"  {width:.3f}   {height:.3f}   {13 * width:5.2f} x {13 * height:5.2f}")
print(f"mean IoU on the training boxes: {score:.2f}")

# %% [markdown]
# Drawn to scale, beside the series' four (which come from the real VOC). The smallest are much alike; the others show which shapes and sizes a data set prefers: ours has more lying boxes, and fewer that fill the photo.

# %%
series_anchors = np.array([(0.08285376, 0.13705531), (0.20850361, 0.39420716), (0.42194719, 0.62385487), (0.80552421, 0.77665105)])
figure, axes = plt.subplots(1, 2, figsize=(8, 4))
for axis, shapes, title in ((axes[0], anchors, "ours"), (axes[1], series_anchors, "the series'")):
    for (w, h), colour in zip(shapes[::-1], (BLUE, RED, YELLOW, GREEN)):
        axis.add_patch(Rectangle((0.5 - w / 2, 0.5 - h / 2), w, h, fc=colour, alpha=0.35, ec=colour, lw=2))
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[], yticks=[], title=title)
    for side in axis.spines.values():
        side.set_visible(True)
plt.show()

# %% [markdown]
# And on images: each true box with the anchor that fits it best, laid on its centre. The dashed anchor is where the network starts; what it has to learn is the small rest.

# %%
shown = [a for a in splits.train if a.image_path.exists() and 3 <= len(a.labels) <= 5 and a.width > a.height][5:8]
if shown:
    figure, axes = plt.subplots(1, len(shown), figsize=(13, 3.6))
    for axis, annotation in zip(np.atleast_1d(axes), shown):
        axis.imshow(yolo.read_image(annotation.image_path))
        for (x0, y0, x1, y1), colour in zip(yolo.box_fractions(annotation), (BLUE, RED, YELLOW, GREEN, VIOLET)):
            w, h = anchors[yolo.iou_wh([(x1 - x0, y1 - y0)], anchors)[0].argmax()]
            scale = np.array([annotation.width, annotation.height])
            axis.add_patch(Rectangle((x0, y0) * scale, *((x1 - x0, y1 - y0) * scale), fill=False, ec=colour, lw=2))
            centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
            axis.add_patch(Rectangle((centre - (w / 2, h / 2)) * scale, *((w, h) * scale), fill=False, ec=colour, lw=1.3, ls="--"))
        axis.axis("off")
        axis.set(xlim=(0, annotation.width), ylim=(annotation.height, 0))
    figure.tight_layout()
    plt.show()

# %% [markdown]
# ## Hand over
#
# `anchors.json` carries the anchors and what they were made from, so that a later notebook notices when they belong to other data.

# %%
made_from = {"data": yolo.fingerprint(splits.train), "k": 4, "seed": settings.seed, "restarts": 10, "mean_iou": round(score, 4)}
yolo.write_artifact(settings.artifacts / "anchors.json", {"anchors": np.round(anchors, 6).tolist()}, made_from)
print("written: anchors.json")

# %% [markdown]
# ## Key points
#
# - Only direct `<object>` children are objects; pixels are 1-based and inclusive.
# - Anchors are measured by the IoU of boxes with the same centre, because that is relative to a box's size and is what we are judged by.
# - k-means needs several starts and a rule for empty clusters; sorted anchors make runs comparable.
# - Anchors come from training images only.
#
# ## Exercises
#
# 1. Cluster `sizes` of one class only, say person. How do the four anchors change, and why would anchors for each class not help this network?
# 2. Count the `<part>` boxes as objects. What happens to the smallest anchor?
# 3. Forget the "inclusive" and compute widths as xmax - xmin. For which boxes does it matter?
# 4. Cluster with nine anchors and compare with the paper's .672. What is the price in the last layer's filters?
#
# <details><summary>Solutions</summary>
#
# 1. They become upright. The network predicts classes after the box, with all anchors in each cell, so an anchor cannot know its class beforehand.
# 2. It shrinks: heads, hands and feet are tiny.
# 3. For small ones: one pixel of ten is a tenth of the width.
# 4. 9 x 25 = 225 filters instead of 100; little time, but more ways to be wrong in each cell.
#
# </details>
#
# **Next:** [2 Encoding](02_encoding.ipynb) turns boxes into the tensor that the network should answer.
