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
# # 6 Inference: from raw outputs to boxes, and to one honest number
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/06_inference.ipynb)
#
# **Goal.** Turn the trained network's raw outputs into boxes on a photo, and measure how good they are, on images that were not trained on and that chose no epoch and no threshold.
#
# *The series* is Yumi's blog series on YOLOv2, which these notebooks follow; *the paper* is [YOLO9000](https://arxiv.org/abs/1612.08242); *Darknet* is its authors' [program](https://github.com/pjreddie/darknet).
#
# **You will learn**
# - how 15 x 15 x 4 predictions become boxes in the photo's own pixels;
# - what the score threshold and non-maximum suppression do, step by step, in pictures;
# - precision, recall, average precision and mAP, written in plain loops and checked;
# - what kinds of mistakes a detector makes, and what each kind costs;
# - what a larger input side buys, in mAP and in milliseconds, and how the same answer comes sooner;
# - how to run the detector on your own photos and videos.
#
# *Read 25 min, run about 1 min on two CPU cores, exercises 30 min.*
#
# | part | 1 anchors | 2 encoding | 3 model | 4 loss | 5 training | **6 inference** |
# |---|---|---|---|---|---|---|
# | makes | `anchors.json` | batches | the network | the loss | `yolov2_weights.npz` | **detections, mAP** |

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
import time

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib_inline.backend_inline import set_matplotlib_formats

import yolo_helpers as yolo

set_matplotlib_formats("jpeg", pil_kwargs={"quality": 80})
settings = yolo.load_settings()

# %% tags=["nbval-ignore-output"]
print(settings.table())

# %% [markdown]
# Weights and anchors come from parts 5 and 1 if you have run them, else from the copies that the repository carries. The **test** images were never used for training, and no epoch or threshold was chosen by them. (Between settings of part 5 that the validation images could not tell apart, and for the sides of the images, we looked at both.)

# %%
splits = yolo.load_splits(settings.voc_dir)
data = yolo.fingerprint(splits.train)
anchors = np.array(yolo.read_artifact(yolo.find_artifact(settings, "anchors.json", "01_anchor_clustering", data))["anchors"])
model = yolo.build_yolov2(None, num_anchors=len(anchors), width=settings.width, passthrough=settings.passthrough)
weights_made_from = yolo.load_weights(model, yolo.find_artifact(settings, "yolov2_weights.npz", "05_training", data))
test = splits.test
print(f"{len(test)} test images ({splits.test_name}) with {sum(len(a.labels) for a in test)} objects")

# %% [markdown]
# ## From raw outputs to boxes
#
# For each cell (column i, row j) and anchor, the network answers with 25 numbers. The first four say where:
#
# $$x = \frac{i + \sigma(t_x)}{G}, \qquad y = \frac{j + \sigma(t_y)}{G}, \qquad w = p_w e^{t_w}, \qquad h = p_h e^{t_h}.$$
#
# The sigmoid keeps the centre inside its own cell; the exponential makes a raw zero mean "exactly the anchor". The fifth number is the **objectness**, sigmoid again: how sure is the network that there is an object, and that the box fits it? The last 20 become class probabilities by a softmax. The **score** of a box is objectness times the probability of its best class.
#
# Here is the plainest code for one image. The series calls this part `OutputRescaler`.

# %%
def sigmoid(x):
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


def softmax(x):
    """Probabilities along the last axis; the largest value is taken out first, which changes nothing but avoids overflow."""
    e = np.exp(x - x.max())
    return e / e.sum()


def decode_plain(raw, anchors):
    """Raw outputs (G, G, A, 5 + C) of one image as boxes in fractions, objectness and class probabilities."""
    rows, columns, count, entries = raw.shape
    boxes = np.zeros((rows, columns, count, 4))
    objectness = np.zeros((rows, columns, count))
    probabilities = np.zeros((rows, columns, count, entries - 5))
    for j in range(rows):
        for i in range(columns):
            for a in range(count):
                tx, ty, tw, th, to = raw[j, i, a, :5].astype(float)
                x, y = (i + sigmoid(tx)) / columns, (j + sigmoid(ty)) / rows
                w, h = anchors[a][0] * np.exp(tw), anchors[a][1] * np.exp(th)
                boxes[j, i, a] = x - w / 2, y - h / 2, x + w / 2, y + h / 2
                objectness[j, i, a] = sigmoid(to)
                probabilities[j, i, a] = softmax(raw[j, i, a, 5:].astype(float))
    return boxes, objectness, probabilities


# %% [markdown]
# > **Where the series goes wrong.** Its softmax is clipped by a *global minimum*: `x / min(x) * t`. That changes the temperature of the softmax with every image, and so every score.
#
# The version that runs does the same for a whole batch at once. They must agree on what the network really says about a photo:

# %%
def network_input(image, side):
    """One photo as the network's input: stretched to side x side, values from 0 to 1."""
    return cv2.resize(image, (side, side)).astype(np.float32)[None] / 255


example = max(test[:40], key=lambda annotation: len(annotation.labels))  # a busy one
photo = yolo.read_image(example.image_path)
raw = model.predict_on_batch(network_input(photo, settings.image_size))
boxes, objectness, probabilities = decode_plain(raw[0], anchors)
decoded = yolo.decode_predictions(raw, anchors)
for plain, fast in zip((boxes, objectness, probabilities), decoded):
    assert np.allclose(plain, fast.numpy()[0], atol=1e-4)
print("raw output", raw.shape, "->", boxes.shape[0] * boxes.shape[1] * boxes.shape[2], "boxes; the plain and the running version agree")

# %% [markdown]
# ## How many of them do we believe?
#
# Most of these boxes say "nothing here" with a score near zero. A **score threshold** separates them. Low thresholds let false alarms in, high ones lose objects; for pictures .25 is usual, and for measuring .005, because average precision wants the whole ranking (below).

# %%
scores = objectness * probabilities.max(axis=-1)
labels = probabilities.argmax(axis=-1)
height, width = photo.shape[:2]
figure, axes = plt.subplots(1, 3, figsize=(13, 3.4))
for axis, threshold in zip(axes, (0.02, 0.1, 0.25)):
    found = scores > threshold
    picture = yolo.draw_boxes(photo, np.clip(boxes[found], 0, 1) * [width, height, width, height], labels[found])
    axis.imshow(picture)
    axis.set(title=f"score above {threshold}: {found.sum()} boxes", xticks=[], yticks=[])
figure.tight_layout()
plt.show()

# %% [markdown]
# ## One object, several boxes
#
# Neighbouring cells and anchors see the same object, and several of them report it. **Non-maximum suppression** keeps the best:
#
# 1. take the box with the highest score that is left, and keep it;
# 2. strike out all boxes *of its class* that overlap it with an IoU above .45;
# 3. go on until nothing is left.
#
# Two persons side by side overlap little, so both stay. A person and the horse below overlap a lot, but they are of different classes, so both stay too.

# %%
def iou_plain(a, b):
    """IoU of two boxes xmin, ymin, xmax, ymax."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    overlap = width * height
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def non_max_suppression_plain(boxes, scores, labels, iou_threshold):
    """Numbers of the boxes to keep, best first; of equal scores the earlier box comes first."""
    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if labels[i] != labels[best] or iou_plain(boxes[i], boxes[best]) <= iou_threshold]
    return kept


# %% [markdown]
# > **Where the series goes wrong.** Its suppression runs once for every class with a probability above zero and appends the box each time: three boxes of two objects come back as 21. Here a box has one class, and one fate.
#
# The pictures show the steps on our photo: green is kept, red is struck out by it in this step.

# %%
found = np.flatnonzero(scores.ravel() > 0.1)
candidates = np.clip(boxes.reshape(-1, 4)[found], 0, 1) * [width, height, width, height]
candidate_scores, candidate_labels = scores.ravel()[found], labels.ravel()[found]


def suppression_steps(boxes, scores, labels, iou_threshold):
    """(kept box, boxes struck out by it) for each step."""
    left, steps = sorted(range(len(scores)), key=lambda i: -scores[i]), []
    while left:
        best = left.pop(0)
        struck = [i for i in left if labels[i] == labels[best] and iou_plain(boxes[i], boxes[best]) > iou_threshold]
        left = [i for i in left if i not in struck]
        steps.append((best, struck))
    return steps


steps = suppression_steps(candidates, candidate_scores, candidate_labels, 0.45)
figure, axes = plt.subplots(1, 4, figsize=(13, 2.8))
for number, axis in enumerate(axes):
    axis.set(xticks=[], yticks=[])
    picture = photo.copy()
    if number < len(steps):
        kept, struck = steps[number]
        for i in struck:
            cv2.rectangle(picture, *np.int32(candidates[i].round().reshape(2, 2)).tolist(), (220, 40, 40), 2)
        cv2.rectangle(picture, *np.int32(candidates[kept].round().reshape(2, 2)).tolist(), (40, 200, 60), 3)
        axis.set_title(f"{number + 1}: keep {yolo.CLASSES[candidate_labels[kept]]} {candidate_scores[kept]:.2f}, strike {len(struck)}", fontsize=10)
    axis.imshow(picture)
figure.tight_layout()
plt.show()

# %%
kept_plain = non_max_suppression_plain(candidates, candidate_scores, candidate_labels, 0.45)
kept_fast = yolo.non_max_suppression(candidates, candidate_scores, candidate_labels, 0.45)
assert kept_plain == kept_fast.tolist()

three = np.array([[178, 31, 291, 312], [186, 26, 286, 314], [76, 135, 219, 283.0]])  # two boxes of a person, one of a bicycle
person, bicycle = 14, 1  # in VOC's order
kept = yolo.non_max_suppression(three, [0.865, 0.518, 0.368], [person, person, bicycle], 0.45)
print("plain and running suppression agree; three boxes of two objects come back as", len(kept))

# %% [markdown]
# ## In the photo's own pixels
#
# The network saw a square; the photo is not one. Because boxes are fractions of the image's width and height, nothing more is needed than to multiply by the photo's own size. `detect` does it all: resize, run, decode, threshold, suppress, scale back, for one image or a list of images of different sizes.
#
# > **Where the series goes wrong.** Its boxes stay in the 416 x 416 frame, at most eight of them are drawn, and the images that it tries were training images.

# %%
several = [annotation for annotation in test if len(set(annotation.labels.tolist())) > 1] or test
chosen = several[:: max(1, len(several) // 6)][:6]  # from all over the split, not the best
photos = [yolo.read_image(annotation.image_path) for annotation in chosen]
results = yolo.detect(model, photos, anchors, image_size=settings.image_size)
figure, axes = plt.subplots(4, 3, figsize=(13, 12))
for number, (annotation, image, found) in enumerate(zip(chosen, photos, results)):
    truth, prediction = axes[2 * (number // 3)][number % 3], axes[2 * (number // 3) + 1][number % 3]
    truth.imshow(yolo.draw_boxes(image, annotation.boxes - [1, 1, 0, 0], annotation.labels))
    prediction.imshow(yolo.draw_boxes(image, found.boxes, found.labels, found.scores))
    for axis, title in ((truth, "label"), (prediction, "prediction")):
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=10, loc="left")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## How good is it?
#
# A picture convinces, a number compares. Pascal VOC's number is built in four steps:
#
# 1. **Match.** All detections of a class, over all images, are sorted by score. Going down the list, a detection is *right* if the true box that it overlaps most has an IoU of at least .5 and was not taken by a better detection; otherwise it is *wrong*. Boxes marked *difficult* count neither way.
# 2. **Precision and recall.** After each detection: which share of the detections so far is right, and which share of the objects has been found?
# 3. **Average precision (AP)**: the area under this curve, its precision made to fall monotonically (VOC from 2010 on), or the mean over eleven recalls (VOC2007).
# 4. **mAP**: the mean over the classes that have objects.

# %%
def matches_plain(annotations, detections, label, iou_threshold):
    """(right or wrong of each counted detection, best score first; number of objects)."""
    ranked = []
    for number, found in enumerate(detections):
        for box, score, its_label in zip(found.boxes, found.scores, found.labels):
            if its_label == label:
                ranked.append((score, number, box))
    ranked.sort(key=lambda row: -row[0])
    taken, outcome = set(), []
    for _, number, box in ranked:
        annotation = annotations[number]
        best, best_iou = None, -1.0
        for k in range(len(annotation.labels)):
            if annotation.labels[k] == label:
                xmin, ymin, xmax, ymax = annotation.boxes[k]
                iou = iou_plain(box, (xmin - 1, ymin - 1, xmax, ymax))
                if iou > best_iou:
                    best, best_iou = k, iou
        if best is None or best_iou < iou_threshold:
            outcome.append(False)
        elif not annotation.difficult[best]:
            outcome.append((number, best) not in taken)
            taken.add((number, best))
    objects = sum(1 for a in annotations for its, hard in zip(a.labels, a.difficult) if its == label and not hard)
    return outcome, objects


def average_precision_plain(annotations, detections, label, iou_threshold):
    """Average precision of a class: (area under the curve, mean at 11 recalls); NaN without objects."""
    outcome, objects = matches_plain(annotations, detections, label, iou_threshold)
    if objects == 0:
        return float("nan"), float("nan")
    precision, recall, right = [], [], 0
    for number, is_right in enumerate(outcome, 1):
        right += is_right
        precision.append(right / number)
        recall.append(right / objects)
    area, previous = 0.0, 0.0
    for k in range(len(outcome)):
        area += (recall[k] - previous) * max(precision[k:])
        previous = recall[k]
    eleven = 0.0
    for level in np.linspace(0, 1, 11):
        eleven += max([p for p, r in zip(precision, recall) if r >= level], default=0.0) / 11
    return area, eleven


# %% [markdown]
# Now the whole test split, with a score threshold of .005: for AP, low-scored detections cannot hurt what is ranked above them, they only add recall.

# %%
test_photos = [yolo.read_image(annotation.image_path) for annotation in test]
detections = yolo.detect(model, test_photos, anchors, score_threshold=0.005, image_size=settings.image_size)
evaluation = yolo.evaluate_detections(test, detections)
for label in range(len(yolo.CLASSES)):
    plain = average_precision_plain(test, detections, label, 0.5)
    running = evaluation.average_precision[label], evaluation.average_precision_11[label]
    assert np.allclose(plain, running, equal_nan=True)
print("plain and running average precision agree for", len(yolo.CLASSES), "classes")

# %% tags=["nbval-ignore-output"]
print(f"mAP@.5 on {splits.test_name}: {evaluation.mean_average_precision:.3f} (area), {evaluation.mean_average_precision_11:.3f} (11 points)")

# %% [markdown]
# Left, the precision-recall curves of four classes: walk along a curve from the left, and you walk down the ranking. Right, all classes. The classes lie far apart; the mean hides that.

# %%
order = [label for label in np.argsort(-np.nan_to_num(evaluation.average_precision, nan=-1)) if not np.isnan(evaluation.average_precision[label])]
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), gridspec_kw={"width_ratios": (1, 1.5)})
for label in [order[int(k)] for k in np.linspace(0, len(order) - 1, min(4, len(order)))]:
    recall, precision = evaluation.recall[label], evaluation.precision[label]
    left.plot(recall, precision, lw=2, label=f"{yolo.CLASSES[label]} ({evaluation.average_precision[label]:.2f})", color=np.array(yolo.class_colour(label)) / 255)
left.set(xlim=(0, 1.02), ylim=(0, 1.05), xlabel="recall: share of the objects found", ylabel="precision: share of the detections right", title="Precision falls as recall grows")
left.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=9)
right.bar([yolo.CLASSES[label] for label in order], evaluation.average_precision[order], color=[np.array(yolo.class_colour(label)) / 255 for label in order])
right.axhline(evaluation.mean_average_precision, color="black", lw=1, ls="--")
right.set(ylim=(0, 1.05), ylabel="average precision", title="AP of each class; dashed: the mean")
right.tick_params(axis="x", rotation=60)
for axis in (left, right):
    axis.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
plt.show()

# %% [markdown]
# ## What kinds of mistakes, and what do they cost?
#
# "mAP 0.7" does not say what to work on. Each wrong detection is one of five kinds, and there are objects that nothing found (after Bolya et al., [TIDE](https://arxiv.org/abs/2008.08115)):
#
# | kind | the detection ... | to repair it |
# |---|---|---|
# | class | fits a true box (IoU >= .5) of another class | give it the right class |
# | place | has the right class, but overlaps too little (.1 to .5) | move it onto the object |
# | both | wrong class *and* too little overlap | take it away |
# | duplicate | finds an object that was found already | take it away |
# | background | overlaps nothing | take it away |
# | missed | (an object that no detection came near) | do not ask for it |
#
# We repair one kind at a time and evaluate again. The gain is what this kind of mistake costs.

# %%
def sort_errors(annotation, found):
    """The kind of each detection, best first, with the true box it belongs to; and the missed true boxes."""
    truth, kinds, taken, touched = annotation.boxes - [1, 1, 0, 0], [], set(), set()
    for box, label in zip(found.boxes, found.labels):
        ious = np.array([iou_plain(box, true_box) for true_box in truth])
        same = np.where(annotation.labels == label, ious, 0.0)
        other = np.where(annotation.labels != label, ious, 0.0)
        best = -1
        if same.max(initial=0) >= 0.5:
            best = int(same.argmax())
            kind = "ignored" if annotation.difficult[best] else "duplicate" if best in taken else "right"
            taken.add(best)
        elif other.max(initial=0) >= 0.5:
            kind, best = "class", int(other.argmax())
        elif same.max(initial=0) >= 0.1:
            kind, best = "place", int(same.argmax())
        elif other.max(initial=0) >= 0.1:
            kind, best = "both", int(other.argmax())
        else:
            kind = "background"
        if kind in ("class", "place"):
            touched.add(best)
        kinds.append((kind, best))
    missed = [k for k in range(len(truth)) if k not in taken | touched and not annotation.difficult[k]]
    return kinds, missed


def repair(annotation, found, kind):
    """The annotation and detections of an image with one kind of error repaired."""
    kinds, missed = sort_errors(annotation, found)
    if kind == "missed":
        difficult = annotation.difficult.copy()
        difficult[missed] = True
        return annotation._replace(difficult=difficult), found
    boxes, labels, keep = found.boxes.copy(), found.labels.copy(), np.ones(len(kinds), bool)
    taken = {best for its_kind, best in kinds if its_kind == "right"}
    for i, (its_kind, best) in enumerate(kinds):
        if its_kind != kind:
            continue
        if kind in ("class", "place") and best not in taken:
            taken.add(best)
            boxes[i] = annotation.boxes[best] - [1, 1, 0, 0] if kind == "place" else boxes[i]
            labels[i] = annotation.labels[best]
        else:
            keep[i] = False
    return annotation, yolo.Detections(boxes[keep], found.scores[keep], labels[keep])


KINDS = ("class", "place", "both", "duplicate", "background", "missed")
costs = {}
for kind in KINDS:
    repaired = [repair(annotation, found, kind) for annotation, found in zip(test, detections)]
    better = yolo.evaluate_detections([a for a, _ in repaired], [d for _, d in repaired])
    costs[kind] = better.mean_average_precision - evaluation.mean_average_precision

# %%
figure, axis = plt.subplots(figsize=(8, 3))
axis.barh(KINDS[::-1], [100 * costs[kind] for kind in KINDS[::-1]], color="#30638e")
axis.set(xlabel="mAP points that repairing this kind would give", title="Where the missing mAP went")
axis.spines[["top", "right"]].set_visible(False)
plt.show()
print("no repair makes it worse:", all(np.nan_to_num(cost) > -0.02 for cost in costs.values()))

# %% [markdown]
# On the carried data, class and place cost most, about as much as each other. Doubles and boxes on nothing cost next to nothing: suppression and the ranking by score take care of them. So the next idea should be one for classes that look alike (the chart above says which), or for better-fitting boxes, of small objects above all: their centres are off by a sixth to a fifth of a cell, which is a large part of a small box.
#
# ## Larger images, better boxes?
#
# The network is fully convolutional: the same weights run at any side that is a multiple of 32. The paper's most practical figure is the trade between mAP and speed with one set of weights. Here is ours. (Milliseconds are this machine's; compare the shape, not the values.) More pixels find more, up to the side at which the training ended; beyond it, the mAP falls again.

# %% tags=["nbval-ignore-output"]
sides = (160, 224, 288, 352, 416, 480, 544, 608)
inputs = [network_input(test_photos[0], side) for side in sides]
times = np.zeros((20, len(sides)))
for turn, number in np.ndindex(times.shape):  # in turns: whatever else the machine does meets all sides
    start = time.perf_counter()
    model.predict_on_batch(inputs[number])
    times[turn, number] = time.perf_counter() - start
trade = []
for side, milliseconds in zip(sides, 1000 * times.min(axis=0)):  # other work can only add time
    sized = yolo.anchors_at(anchors, settings.image_size, side)  # the same pixels at every side, as in training
    found = yolo.detect(model, test_photos, sized, score_threshold=0.005, image_size=side)
    trade.append((side, milliseconds, yolo.evaluate_detections(test, found).mean_average_precision))
    print(f"{side} px: {milliseconds:5.1f} ms, mAP {trade[-1][2]:.3f}")

# %%
figure, axis = plt.subplots(figsize=(7, 3.4))
axis.plot([row[1] for row in trade], [row[2] for row in trade], "o-", color="#d1495b")
for side, milliseconds, score in trade:
    axis.annotate(f"{side}", (milliseconds, score), (4, -12), textcoords="offset points", fontsize=9)
axis.set(xlabel="milliseconds for one image", ylabel="mAP@.5", title="One set of weights at eight input sides", ylim=(0, None))
axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## Folded batch norm: the same answer with less to carry
#
# In training, batch normalisation needs the statistics of each batch. Afterwards its four numbers for each channel are fixed: gamma $\gamma$, beta $\beta$, mean $\mu$ and variance $v$. Then it is nothing but a factor and a shift, and the convolution before it, $k * x$, is linear. So both are *one* convolution, with another kernel and a bias:
#
# $$\gamma\,\frac{k * x - \mu}{\sqrt{v + \epsilon}} + \beta = (s k) * x + (\beta - s \mu) \qquad \text{with} \qquad s = \frac{\gamma}{\sqrt{v + \epsilon}}.$$

# %%
def fold_batch_norm(model):
    """A copy of the model for inference: no batch norm, the convolutions before them with scaled kernels and a bias."""
    layers = yolo.keras.layers

    def copy(layer):
        bias = {"use_bias": True} if isinstance(layer, layers.Conv2D) else {}
        return type(layer).from_config({**layer.get_config(), **bias})

    def connect(layer, x, **options):
        return x if isinstance(layer, layers.BatchNormalization) else layer(x, **options)

    folded = yolo.keras.models.clone_model(model, clone_function=copy, call_function=connect)
    for number in range(1, 24):
        kernel, *bias = model.get_layer(f"conv_{number}").get_weights()  # the head alone has a bias
        if number < 23:
            norm = model.get_layer(f"norm_{number}")
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            kernel, bias = kernel * scale, [beta - scale * mean]  # a kernel's last axis is the filter
        folded.get_layer(f"conv_{number}").set_weights([kernel, *bias])
    return folded


folded = fold_batch_norm(model)
for image in photos:
    inputs = network_input(image, settings.image_size)
    raw, raw_folded = model.predict_on_batch(inputs), folded.predict_on_batch(inputs)
    assert np.abs(raw - raw_folded).max() < 1e-4 * np.abs(raw).max()
norms = [sum(layer.name.startswith("norm_") for layer in its.layers) for its in (model, folded)]
print(f"batch norms: {norms[0]}, folded {norms[1]}; raw outputs of {len(photos)} photos agree to 1e-4 of the largest")

# %% [markdown]
# Why is that faster? Not because of the arithmetic, which is next to nothing beside the convolutions'. Let us count, for one image of 416 px:

# %%
multiplications, values = 0, 0
for layer in yolo.build_yolov2(416, num_anchors=len(anchors), width=settings.width, passthrough=settings.passthrough).layers:
    if layer.name.startswith("conv_"):
        rows, columns, filters = layer.output.shape[1:]
        multiplications += rows * columns * layer.kernel.shape.num_elements()
    elif layer.name.startswith("norm_"):
        values += int(np.prod(layer.output.shape[1:]))
print(f"convolutions: {multiplications / 1e6:,.0f} million multiplications; batch norms: {values / 1e6:.1f} million, {values / multiplications:.1%}")
print(f"maps between the layers: {5 * values / 1e6:.0f} million values written and read as five passes, {values / 1e6:.0f} million as one")

# %% [markdown]
# What counts is **memory**. Layer by layer, a block goes over its map five times: the convolution writes it, batch norm reads and writes it, leaky ReLU reads and writes it. TensorFlow can run convolution, *bias* and leaky ReLU as one operation that writes the map once, but not with a batch norm in between. So folding pays most where maps are large and convolutions small, that is in narrow networks and first layers. `make bench` measures it, on a CPU with oneDNN: a third faster at a quarter of the width, a twentieth at full width. Where the convolutions themselves are slow, as without oneDNN, there is nothing to be seen.
#
# Fold only what no longer learns: a folded layer cannot be trained as before, because the statistics are gone. For the whole network that means last, for inference. `quiet_start` does it in part 5 to the first layers, which are frozen from then on.

# %% [markdown]
# ## Best and worst
#
# Averages are not enough; look at the extremes. Images are ranked by the F1 score of their detections above .25: the upper row went best, the lower row worst.

# %%
def image_f1(annotation, found):
    """F1 score of one image's detections above .25, difficult boxes left out; 1 when there is nothing to find or report."""
    sure = yolo.Detections(*(part[found.scores > 0.25] for part in found))
    kinds, _ = sort_errors(annotation, sure)
    right = sum(kind == "right" for kind, _ in kinds)
    wrong = sum(kind not in ("right", "ignored") for kind, _ in kinds)
    objects = int((~annotation.difficult).sum())
    return 2 * right / (right + wrong + objects) if right + wrong + objects else 1.0


ranking = sorted(range(len(test)), key=lambda i: (-image_f1(test[i], detections[i]), -len(test[i].labels)))
figure, axes = plt.subplots(2, 4, figsize=(13, 5.4))
for axis, i in zip(axes.flat, ranking[:4] + ranking[-4:]):
    sure = detections[i].scores > 0.25
    axis.imshow(yolo.draw_boxes(test_photos[i], *(part[sure] for part in (detections[i].boxes, detections[i].labels, detections[i].scores))))
    axis.set(xticks=[], yticks=[])
    axis.set_title(f"F1 {image_f1(test[i], detections[i]):.2f}", fontsize=10)
figure.tight_layout()
plt.show()

# %% [markdown]
# ## A video
#
# A video is a sequence of images, and YOLO needs nothing else. The data set carries a short moving scene; for your own file, change `video`.

# %%
def frames_of(path, every=1):
    """RGB frames of a video file, every n-th."""
    reader, number = cv2.VideoCapture(str(path)), 0
    while True:
        there, frame = reader.read()
        if not there:
            break
        if number % every == 0:
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        number += 1
    reader.release()


video = next(iter(sorted(settings.voc_dir.glob("video/*.mp4"))), None)
if video:
    frames = list(frames_of(video, every=25))[:8]
    found = yolo.detect(model, frames, anchors, image_size=settings.image_size)
    figure, axes = plt.subplots(2, 4, figsize=(13, 5))
    for axis, frame, result in zip(axes.flat, frames, found):
        axis.imshow(yolo.draw_boxes(frame, result.boxes, result.labels, result.scores))
        axis.axis("off")
    figure.tight_layout()
    plt.show()

# %% [markdown]
# ## Your own photo
#
# Set `my_photo` to any JPEG or PNG file. Photos from phones often lie on their side in the file, with an EXIF tag that says how to turn them; `read_image` turns them, so what the network sees is what you see. Do not expect wonders: these weights have seen drawings only.

# %%
my_photo = None  # for example "holiday.jpg"
if my_photo:
    image = yolo.read_image(my_photo)
    found = yolo.detect(model, image, anchors, score_threshold=0.25, image_size=settings.image_size)
    plt.figure(figsize=(8, 6))
    plt.imshow(yolo.draw_boxes(image, found.boxes, found.labels, found.scores))
    plt.axis("off")
    plt.show()

# %% [markdown]
# ## Hand over
#
# The result, and a picture of detections to show around.

# %%
def framed(picture, width=480, height=360):
    """The picture as large as fits, in the middle of a grey frame."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    scaled = cv2.resize(picture, (round(scale * picture.shape[1]), round(scale * picture.shape[0])), interpolation=cv2.INTER_AREA)
    top, left = (height - scaled.shape[0]) // 2, (width - scaled.shape[1]) // 2
    frame = np.full((height, width, 3), 240, np.uint8)
    frame[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return frame


tiles = [framed(yolo.draw_boxes(image, found.boxes, found.labels, found.scores)) for image, found in zip(photos, results)]
columns = min(3, len(tiles))
picture = np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles) // columns * columns, columns)])
settings.artifacts.mkdir(parents=True, exist_ok=True)
path = settings.artifacts / "detections.jpg"
cv2.imwrite(str(path), picture[..., ::-1])
result = {"split": splits.test_name, "map": round(float(np.nan_to_num(evaluation.mean_average_precision)), 4), "detections": path.name,
          "average_precision": {name: round(float(ap), 4) for name, ap in zip(yolo.CLASSES, evaluation.average_precision) if not np.isnan(ap)}}
yolo.write_artifact(settings.artifacts / "results.json", result, {"data": data, "weights": weights_made_from})
print("written: results.json, detections.jpg")

# %% [markdown]
# ## Key points
#
# - Decoding is four formulas; a raw zero means "the anchor, in the middle of its cell".
# - Suppression is class-wise and reports a box once.
# - Boxes are fractions until the last moment; then they are scaled to the photo's own pixels.
# - AP needs the whole ranking, ignores difficult boxes and punishes duplicates; mAP leaves out classes without objects.
# - At inference a batch norm is a factor and a shift: it folds into the convolution before it.
# - An error budget says what to work on next; a picture of the worst images says why.
#
# ## Exercises
#
# 1. Draw the F1 score over the score threshold for all classes together. Which threshold is best, and is it near .25?
# 2. Evaluate with an IoU threshold of .75 instead of .5. Which kind of mistake from the budget has become more expensive?
# 3. Suppress across classes (ignore `labels`). Which classes lose most, and why?
# 4. Average the detections of a photo and its mirror image before suppression. What does it give?
#
# <details><summary>Solutions</summary>
#
# 1. Collect (score, right) from `evaluation` for all classes (`precision` times the rank counts what is right so far), sort by score, and compute F1 after each; the curve is flat around its best, so .25 costs little.
# 2. Place: boxes with an IoU of .5 to .75 were right and are now in the wrong place.
# 3. Those that touch others: riders and what they ride, things on tables, persons on sofas.
# 4. A little mAP for twice the time: mirror the boxes back (x becomes width - x), concatenate, suppress.
#
# </details>
#
# **That was the series.** Real VOC, your own data, a larger network: the README says how to go on.
