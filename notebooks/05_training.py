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
# # 5 Training: from borrowed weights to a detector of your own
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/05_training.ipynb)
#
# **In this chapter you train the detector: you see what the network is shown, write the training loop yourself in ten lines, hand the same work to Keras, and learn to read the curves that come out.**
#
# You will learn
# - why a data set is split into three parts, and what each part may be used for;
# - what augmentation and multi-scale training do to the images;
# - what happens in a single update of the weights, and how the learning rate changes over a run;
# - how to write a training loop, and what `compile` and `fit` do for you;
# - what pre-trained weights are worth, also for classes that they have never seen;
# - how to recognize overfitting, and how to choose the weights to keep;
# - what is lost when a training run is killed.
#
# *Reading 52 min, running about 10 min on two CPU cores.*
#
# Terms that are new to you are explained in [the glossary](glossary.md). *The paper* is [YOLO9000](https://arxiv.org/abs/1612.08242), *Darknet* is its authors' [program](https://github.com/pjreddie/darknet), and *the series* is [Yumi's blog series](https://fairyonice.github.io/) on YOLOv2, which these notebooks follow.

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
import dataclasses

import figures  # this also imports yolo_helpers, which must come before TensorFlow
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import yolo_helpers as yolo

figures.setup()
settings = yolo.load_settings()
keras.utils.set_random_seed(settings.seed)

# %%
figures.pipeline(highlight="training")

# %% [markdown]
# Chapters 1 to 4 built the parts: anchors, targets, a network and a loss. Training connects them. It shows images to the network, compares the raw output with the target, and changes the weights a little so that the loss becomes smaller. Then it does so again, a few hundred times.
#
# These are the tensors of one training step. B is the number of images in a batch, S the image size in pixels, G = S / 32 the number of cells along one side of the grid, A the number of anchors and C the number of classes.
#
# | name | shape | what it is |
# |---|---|---|
# | `images` | (B, S, S, 3) | RGB values from 0 to 1 |
# | `y` | (B, G, G, A, 5 + C) | the target, in grid units (chapter 2) |
# | `true_boxes` | (B, 1, 1, 1, 50, 4) | all ground-truth boxes of each image, in grid units |
# | `raw` | (B, G, G, A, 5 + C) | the network's raw output (chapter 3) |
# | `terms` | six single numbers | the loss, term by term (chapter 4) |

# %% [markdown]
# ## Which images may be used for what?
#
# A network with millions of weights can learn its training images by heart. Its loss on those images then says little about how well it does on new ones. So we split the images into three sets, and each set has one role:
#
# - **Training images** are the only ones that change the weights.
# - **Validation images** are for decisions. After each epoch, that is, after each pass over the training images, we measure the mAP on them and keep the weights of the best epoch. (The mAP, mean average precision, is the usual score of a detector. It is 1 at best: every object is found with the right class, and with a higher score than any wrong detection. Chapter 6 explains how it is computed.)
# - **Test images** are for the final result. They neither train nor decide anything. Whenever we report how good the detector is, we use these.

# %%
splits = yolo.load_splits(settings.voc_dir)
for name in ("train", "validation", "test"):
    annotations = getattr(splits, name)
    num_objects = sum(len(annotation.labels) for annotation in annotations)
    print(f"{name:<10} {len(annotations):5d} images, {num_objects:6d} objects")

data = yolo.fingerprint(splits.train)
anchors = yolo.load_anchors(settings, splits.train)  # in grid units
example = figures.pick(splits.train, "2026_000123")

# %% [markdown]
# > **Pitfall.** The series trains on all images and keeps the weights with the lowest *training* loss. By that measure a network that memorizes always wins. The validation mAP asks the question that you care about: does it find objects in images that it was not trained on?

# %% [markdown]
# ## What does the network see?
#
# If your training fails, the reason is most often in the data: boxes that are shifted, classes that are mixed up, images that are too dark. So before anything else, look at a batch exactly as the network gets it. The next cell takes the first training batch and computes the boxes back from the target tensor `y`. Wrong boxes and wrong classes would be visible here.


# %%
def boxes_from_target(y):
    """Boxes as fractions, and labels, of one image's target (G, G, A, 5 + C)."""
    found = y[y[..., 4] > 0]  # (n, 5 + C), the responsible cells and anchors
    grid_size = len(y)
    centres = found[:, 0:2] / grid_size
    sizes = found[:, 2:4] / grid_size
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    labels = found[:, 5:].argmax(axis=1)
    return boxes, labels


dataset = yolo.make_dataset(splits.train, anchors, settings, training=True)
images, (y, true_boxes) = next(iter(dataset))
print("images", images.shape, " y", y.shape, " true_boxes", true_boxes.shape)

# %%
decoded = [boxes_from_target(target) for target in y[:8].numpy()]
boxes, labels = zip(*decoded, strict=True)
title = "Half of the first batch: every box lies on its object"
figures.target_batch(images[:8].numpy(), boxes, labels, settings.classes, title)

# %% [markdown]
# Check three things in this figure: every object has a box, each box fits its object, and the class names are right. Here all three hold. You also see that these are not the plain photos. They are distorted, partly grey at the border, and their colours are off. That is augmentation, and it is on purpose.

# %% [markdown]
# ### Why is the same photo never shown twice?
#
# We have only a few hundred training images, and we show each of them many times. To keep the network from memorizing them, we change each image a little in each epoch. This is called **augmentation**. A cow that is mirrored, cropped or slightly greener is still a cow, so the label stays true while the pixels change. `make_example` does what Darknet does:
#
# - **Borders.** Each of the four borders moves in or out by up to 30 % of the image's side. Moving a border in cuts off a part of the photo, moving it out adds grey.
# - **Flip.** Half of the images are mirrored.
# - **Colours.** The hue shifts by up to a tenth of the colour circle. Saturation and brightness are multiplied or divided by up to 1.5.
#
# The boxes move with their objects. Here is our running example, first the plain photo and then the versions of it that the network will see in its first three epochs. They depend only on the seed, the epoch and the number of the image, so we can compute them in advance. (In the run, only their size will be another one.)

# %%
index = [annotation.filename for annotation in splits.train].index(example.filename)
versions = [yolo.make_example(example, anchors, 416, len(settings.classes))]
for epoch in range(3):
    rng = np.random.default_rng([settings.seed, yolo.AUGMENTATION, epoch, index])
    version = yolo.make_example(example, anchors, 416, len(settings.classes), rng)
    versions.append(version)

# %%
titles = ["plain", "epoch 1", "epoch 2", "epoch 3"]
figure, axes = plt.subplots(1, 4, figsize=(12, 3.8))
for axis, (image, target, _), title in zip(axes, versions, titles, strict=True):
    boxes, labels = boxes_from_target(target)
    figures.show_boxes(axis, image, boxes, labels, settings.classes, title=title)
figure.suptitle("One photo, another picture in every epoch", fontsize=15)
plt.show()

# %% [markdown]
# The animals change their position, their shape, their colour and sometimes their direction, and the boxes follow. An object that is mostly cut off is dropped: a box stays only if at least a quarter of its area is still visible.

# %% [markdown]
# ### Why do the images change their size?
#
# The network has no layer that depends on the image size, so it accepts every multiple of 32 pixels. The paper uses this for **multi-scale training**: every ten steps, the image size is drawn anew. The network then learns to recognize the same object at many scales, and one set of weights serves small, fast images as well as large, precise ones.

# %%
steps_per_epoch = yolo.steps_per_epoch(splits.train, settings)
sizes = []
for epoch in range(4):
    plan = yolo.plan_epoch(splits.train, settings, epoch)
    sizes += [size for _, size in plan[:: settings.batch_size]]  # one for each step
figures.sizes_over_steps(sizes[:100], steps_per_epoch)

# %% [markdown]
# The size stays the same for ten steps and does not care where an epoch ends. All images of a batch have one size, because a batch is a single tensor. The cost differs a lot: an image of 512 pixels takes about 2.6 times as much work as one of 320, which is the ratio of their areas. Validation and test images always have 416 pixels.

# %% [markdown]
# ## What happens in one update?
#
# Training repeats one small step. Let $w$ be all weights together, and $L(w)$ the loss of the current batch.
#
# 1. **Gradient with weight decay.** The gradient $\nabla L$ says how the loss would change if each weight grew a little. To it we add a small multiple of the weight itself, which pulls every kernel gently towards zero and keeps weights from growing without need: $g = \nabla L(w) + 0.0005\,w$. (Biases and batch normalization have no weight decay.)
# 2. **Clipping.** An odd batch can have a huge gradient. If the length of $g$ exceeds 20, we shorten it to 20 and keep its direction: $g \leftarrow g \cdot \min(1,\; 20 / \lVert g \rVert)$.
# 3. **Momentum.** We do not walk along the gradient directly. A velocity $v$ keeps nine tenths of its old value and gains the new gradient, scaled by the learning rate $\eta$: $v \leftarrow 0.9\,v - \eta\,g$.
# 4. **Step.** The weights move by the velocity: $w \leftarrow w + v$.
#
# Steps 1, 3 and 4 are the paper's. Clipping is our addition, because a loss that becomes NaN is the most frequent problem of people who train YOLO.


# %%
def update(w, v, gradient, learning_rate):
    """One update of the weights w with the velocity v; returns both."""
    g = gradient + yolo.WEIGHT_DECAY * w
    length = np.linalg.norm(g)
    g = g * min(1, yolo.LARGEST_GRADIENT / length)
    v = yolo.MOMENTUM * v - learning_rate * g
    return w + v, v


w, v = np.zeros(2), np.zeros(2)
for step in range(1, 31):
    w, v = update(w, v, gradient=np.array([30.0, 40.0]), learning_rate=0.001)
    if step in (1, 2, 5, 30):
        print(f"step {step:2d}: the weights move by {v.round(3)}")

# %% [markdown]
# This gradient has a length of 50, so clipping turns (30, 40) into (12, 16). The first step is the learning rate times that. But the gradient keeps pointing in the same direction, so the velocity grows, until after some thirty steps each step is almost ten times as long as the first. If the gradient changed its sign each time, the contributions would nearly cancel. This is the point of momentum: directions in which the batches agree become fast, and directions in which they contradict each other become slow.
#
# > **Pitfall.** Keras' optimizers have an argument `weight_decay`, but it is not this weight decay. It shrinks the weights directly and bypasses the velocity, which makes it about ten times weaker here. We want Darknet's version. So chapter 3 gave each kernel a regularizer of half the strength, $\frac{0.0005}{2} w^2$, whose gradient is $0.0005\,w$.

# %% [markdown]
# ## How large should the steps be?
#
# The **learning rate** $\eta$ should not be the same all the time. At the start the head of the network, its last layer, is random. Its gradients are large and useless, so long steps would damage what the layers before it, the backbone, already know. At the end we want short steps, so that the weights settle down. Two parts of a schedule take care of this:
#
# - The **learning-rate warm-up** covers the first 5 % of the steps. As in Darknet, where it is called burn-in, the rate rises with the fourth power of the step: it stays close to zero for a long time and then climbs quickly.
# - The **decay** follows half a cosine down to zero. The paper instead divides the rate by ten at two chosen epochs. The cosine does the same job without such choices, and suits short runs better.

# %%
total_steps = settings.epochs * steps_per_epoch
warmup_steps = round(yolo.WARMUP_SHARE * total_steps)
schedule = yolo.WarmUpCosineDecay(settings.learning_rate, warmup_steps, total_steps)
rates = [float(schedule(step)) for step in range(total_steps)]

# %%
figures.learning_rate(rates, warmup_steps)

# %% [markdown]
# On the left is the whole run. The warm-up is so short that you can hardly see its shape, so the right half shows the start enlarged. The curve comes from the same kind of object that the optimizer will call in each step of the run below.
#
# During the same steps, shaded in both halves, the **anchor warm-up** of chapter 4 is on. That is the sixth term of the loss, which pulls every prediction without an object to the middle of its cell and to the size of its anchor. The two are unrelated; they just happen at the same time. One limits how far the weights move, the other says what boxes should look like before there is anything better to say. Most of its effect comes in the last of these steps, when the rate is no longer tiny.
#
# > **Pitfall.** The series writes a learning-rate schedule and then never passes it to `fit`, so the rate stays constant. A plot of a schedule proves nothing about the run. In ours, `compile_detector` makes the schedule and gives it to the optimizer in one place, so no other one can be used.

# %% [markdown]
# ## How do you write a training loop?
#
# Now we have everything for a loop: batches, a loss, a schedule and an update rule. It is worth writing it once by hand, because nothing is hidden then. We use a small network with an eighth of the filters, and eight images of 96 pixels. There is no augmentation: for once, we *want* the network to learn its images by heart. This is a good first test of any training code. A loop that cannot even memorize eight images is broken, and you learn it within seconds.

# %%
toy = dataclasses.replace(
    settings,
    weights=None,
    image_size=96,
    train_sizes=(96,),
    batch_size=4,
    learning_rate=0.01,
)
eight = [example, *splits.train[:7]]
batches = yolo.make_dataset(eight, anchors, toy, training=False)
batches = batches.cache().repeat(30)  # two batches, thirty times
toy_steps = 60
toy_warmup = 3  # 5 % of the steps


def small_network():
    """A network with an eighth of the filters, each time with the same weights."""
    shape = {"num_anchors": len(anchors), "num_classes": len(settings.classes)}
    return yolo.build_yolov2(**shape, width=0.125, seed=1)


def new_optimizer():
    schedule = yolo.WarmUpCosineDecay(toy.learning_rate, toy_warmup, toy_steps)
    return keras.optimizers.SGD(schedule, momentum=0.9, global_clipnorm=20.0)


# %% [markdown]
# And this is the loop. A `GradientTape` records what is computed under it, and afterwards returns the gradient of the loss with respect to any variable. The optimizer does clipping, momentum and the step. The weight decay is part of the loss: `network.losses` are the regularizers of all kernels.


# %%
def train_by_hand(network, batches):
    """The training loop; returns the six loss terms of each step."""
    optimizer = new_optimizer()
    rows = []
    for images, (y, true_boxes) in batches:
        with tf.GradientTape() as tape:
            raw = network(images, training=True)
            anchor_warmup = optimizer.iterations < toy_warmup
            terms = yolo.yolo_loss(y, true_boxes, raw, anchors, anchor_warmup)
            loss = tf.add_n(terms) + tf.add_n(network.losses)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        rows.append([float(term) for term in terms])
    return np.array(rows)


network = small_network()
rows = train_by_hand(network, batches)

# %% [markdown]
# Next we measure the loss of the eight images once more, and the loss of eight images that the network has never been shown.

# %%
known, _ = yolo.validate(network, eight, anchors, toy)
unseen, _ = yolo.validate(network, splits.validation[:8], anchors, toy)
figures.learned_by_heart(rows, known, unseen)

# %% [markdown]
# On the left, all five terms fall, so the loop works. (The zigzag comes from the two batches, which take turns.) They fall in a typical order. The background term goes first, because "there is nothing here" is right for almost every prediction and easy to learn. The class term takes longest, because it needs to know what the objects look like. (The sixth term, the anchor warm-up, only exists during the first three steps and is not drawn.)
#
# On the right, you see the price. The loss of the eight training images is small, and the loss of eight other images is large. The network has learned its images by heart and nothing about animals or cars. This is **overfitting** in its purest form: low training loss, high loss on everything else. The rest of this chapter is about the opposite, weights that work for images that were never trained on.

# %% [markdown]
# ## What do `compile` and `fit` do?
#
# Keras can run this loop for us. We tell it three things: which model, which loss, which optimizer. Our `yolo.Detector` is a `keras.Model` that holds the network and overrides one method, `compute_loss`. Stripped to its core, that method is what you have just written:
#
# ```python
# def compute_loss(self, x, y, y_pred, ...):
#     y_true, true_boxes = y
#     anchor_warmup = self.optimizer.iterations < self.anchor_warmup_steps
#     terms = yolo_loss(y_true, true_boxes, y_pred, self.anchors, anchor_warmup)
#     return tf.add_n(terms) + tf.add_n(self.losses)
# ```
#
# The full version also records each term as a metric, so that every term appears in the log. `yolo.compile_detector` makes such a detector and compiles it with the optimizer of this chapter. Then `fit` goes over the batches. To see that it really does the same, we let both take two steps from the same start and compare the weights.

# %%
by_hand, by_fit = small_network(), small_network()
before = by_hand.get_weights()
two_batches = batches.take(2)

train_by_hand(by_hand, two_batches)
detector = yolo.compile_detector(by_fit, anchors, toy, toy_steps)
detector.fit(two_batches, shuffle=False, verbose=0)

pairs = list(zip(by_hand.get_weights(), by_fit.get_weights(), strict=True))
same = all(np.allclose(a, b, rtol=0.001, atol=0.001) for a, b in pairs)
moved = max(
    np.abs(a - b).max() for a, b in zip(by_hand.get_weights(), before, strict=True)
)
print("the weights have moved by more than 0.01:", bool(moved > 0.01))
print("both ways end with the same weights:", same)

# %% [markdown]
# The weights agree. We compare after two steps only, for a reason that is worth knowing. The two ways add up numbers in a different order, so their results differ in the seventh digit. Each step makes such a difference larger, and after some dozens of steps the two networks have different weights, although both are equally good. The same happens between two machines. It does not mean that anything is wrong.
#
# If you come from the series, this table tells you where everything has gone:
#
# | in the series | here | what is different |
# |---|---|---|
# | `SimpleBatchGenerator` | `yolo.make_dataset`, a `tf.data.Dataset` | prepared in parallel, with augmentation and several image sizes |
# | `custom_loss` | `Detector.compute_loss`, which calls `yolo.yolo_loss` | needs no global variables, reports each term |
# | `CustomLearningRateScheduler` | `yolo.WarmUpCosineDecay` | is passed to the optimizer, so it acts |
# | the optimizer | `yolo.momentum_sgd`: Keras' `SGD` with momentum and clipping | the paper's recipe, and safe from huge gradients |
# | `ModelCheckpoint` on the training loss | `yolo.KeepBest` on the validation mAP | keeps what is best for new images |
# | `EarlyStopping` on the training loss | `yolo.KeepBest` with `settings.patience` | stops when the validation mAP no longer improves |
# | `model.compile`, `model.fit` | `detector.compile`, `detector.fit` | the same |

# %% [markdown]
# ## Where do the weights start?
#
# A random network has a lot to learn before it can detect anything: edges, colours, textures, legs, wheels. Most of that is the same for all detection tasks. So it is common to start with weights that someone has trained on other images, and to continue the training on one's own. This is called **transfer learning** or fine-tuning, and the series does it too: it loads the weights that YOLOv2's authors trained on the COCO data set.
#
# Chapter 3 has written down in `pretrained.json` which file to start from.

# %%
path = yolo.find_artifact(settings, "pretrained.json", "03_model", data)
pretrained = yolo.read_json(path)
weights = None
if pretrained["weights"] and settings.weights:  # YOLO_WEIGHTS=none: random weights
    weights = yolo.ROOT / pretrained["weights"]
    if not weights.exists() or yolo.file_checksum(weights) != pretrained["sha256"]:
        raise ValueError(f"{weights} has changed: run notebook 03_model again")
settings = dataclasses.replace(settings, weights=weights)
print("start from", yolo.short_path(weights) if weights else "random weights")

# %% [markdown]
# We load all layers but the last one. The last layer, the head, makes 5 + C numbers for each anchor. Our anchors and our classes are not those of the file, so its head would not fit, and ours stays random.

# %%
network = yolo.build_yolov2(
    num_anchors=len(anchors),
    num_classes=len(settings.classes),
    width=settings.width,
    seed=settings.seed,
    dtype=yolo.training_policy(settings),
)
if weights:
    yolo.load_darknet_weights(network, weights, head=False)

# %% [markdown]
# There is one danger in the first steps. A random head says "objectness one half" for each of its 13 x 13 x 4 = 676 predictions. Almost everywhere that is wrong, and it costs 0.5 x 0.5² for each prediction, about 84 in total. The gradient of this huge loss runs through all layers and would spoil what they have learned.
#
# The remedy is simple, and it comes from the detector [RetinaNet](https://arxiv.org/abs/1708.02002). We set the biases in the head so that it starts with an objectness of 0.02 everywhere: "probably no object here". The background term then starts near 0.1 instead of 84.

# %%
yolo.set_objectness_bias(network, objectness=0.02)

# %% [markdown]
# The JSON file beside the weights says which classes they were trained on. Every other class of ours is *new*: in all the images that shaped these weights, there was not one object of that class. (The COCO weights of the profile `full` come without such a file. All classes are listed as new then, although most of them were in COCO too.)

# %%
known_classes = []
if weights and weights.with_suffix(".json").exists():
    known_classes = yolo.read_json(weights.with_suffix(".json"))["classes"]
seen_labels = [i for i, name in enumerate(settings.classes) if name in known_classes]
new_labels = [i for i, name in enumerate(settings.classes) if name not in known_classes]
print("seen before:", ", ".join(settings.classes[i] for i in seen_labels) or "none")
print("new:        ", ", ".join(settings.classes[i] for i in new_labels) or "none")

# %% [markdown]
# With the weights that this repository carries, both cows of our running example belong to a new class, and the dog to one that was seen before. Towards the end of this chapter we will see how the two groups of classes compare.

# %% [markdown]
# ## The training run
#
# `yolo.train_detector` does what we did in small: it makes the data set, compiles the detector and calls `fit`. Everything else is done by callbacks, objects whose methods `fit` calls after each step or epoch:
#
# | callback | when | what it does |
# |---|---|---|
# | `StopOnBadLoss` | each step | ends the run if the loss is no longer finite, and names the images of the batch |
# | `ValidateEachEpoch` | each epoch | computes the loss terms and the mAP of the validation images |
# | `KeepBest` | each epoch | saves the detector if its validation mAP is the best so far, and stops the run after `settings.patience` epochs without improvement |
# | your own callbacks | each epoch | whatever you like |
# | `SaveState` | each epoch | saves all that is needed to continue an interrupted run |
#
# We add a callback of our own. It keeps the detections on four images after some of the epochs, so that we can watch the detector learn. The first image is the running example, which is a training image. The other three are validation images.


# %%
class Snapshots(keras.callbacks.Callback):
    """Keep the detections on some images after chosen epochs."""

    def __init__(self, images, epochs):
        super().__init__()
        self.images = images
        self.epochs = epochs
        self.found = {}  # epoch: list of Detections

    def on_epoch_end(self, epoch, logs=None):
        number = epoch + 1  # Keras counts from 0
        if number in self.epochs:
            self.found[number] = yolo.detect(
                self.model.network,
                self.images,
                anchors,
                image_size=settings.image_size,
            )


watched = [example, *splits.validation[5:16:5]]
watched_images = [yolo.read_image(annotation.image_path) for annotation in watched]
last = settings.epochs
chosen = {max(1, last // 8), max(1, last // 3), last}  # with 16 epochs: 2, 5, 16
snapshots = Snapshots(watched_images, chosen)

# %% [markdown]
# With the profile `tiny`, the next cell takes eight to ten minutes on two CPU cores. One line appears for each epoch. Look at `val_map`, the last number of each line: it is the validation mAP. (The output contains times and differs a little from machine to machine, so the tests do not compare it.)

# %% tags=["nbval-ignore-output", "live"]
history = yolo.train_detector(
    network,
    splits.train,
    splits.validation,
    anchors,
    settings,
    folder=settings.artifacts,
    callbacks=[snapshots],
)

# %% [markdown]
# ## How do you read the curves?
#
# `train_detector` returns the history of the run: one value per epoch for the loss, each of its terms, the same for the validation images, and the validation mAP.

# %%
figures.loss_and_map(history)

# %% [markdown]
# The loss axis on the left is logarithmic, because the first epochs are far above the others. Do not compare the heights of the two curves too closely. The training loss is measured on augmented images of many sizes, while the weights are still changing. The validation loss is measured at the end of the epoch, on plain images of 416 pixels, which are usually easier. Their *trends* tell you what to do:
#
# - **Both fall.** The network learns. If both still fall at the end, more epochs would help.
# - **The training loss falls, but the validation loss stops falling or rises.** The network overfits: it improves only on images that it knows. More images or stronger augmentation help, more epochs do not.
# - **Neither falls.** Something is broken. Look at the batch figure above first, then at the learning rate.
#
# On the right is the number that decides. The circle marks the epoch whose weights were kept. The mAP often still rises while the loss looks flat, because they ask different questions. The loss adds up how sure and how exact every single prediction is. The mAP only looks at the order of the confidence scores, and at whether the boxes overlap their objects by at least 0.5.
#
# The total loss mixes several questions. Its terms show which of them is still open. Besides the five terms you know there is the weight decay. (The anchor warm-up is left out, because it ends within the first epoch.)

# %%
figures.loss_terms(history)

# %% [markdown]
# - **Background** starts low, because we set the head to "probably no object". It then *rises*, because the detector now says "object", and sometimes says it where there is none. (In the toy run above, the head started at one half, so there the term fell first.)
# - **Objectness** of objects starts high for the same reason. It falls in the first epochs. After that it hardly moves, because its target keeps rising: the target is the IoU of the predicted box, and the boxes improve.
# - **Location and size.** The size rises at first. The anchor warm-up, which held all boxes near their anchors, has ended by then, and the learning rate is at its highest. Then the size falls for the rest of the run. The location falls slowly: the exact middle of a box within its cell takes time. For the size, the validation curve may even lie below the training curve, because plain images are easier than augmented ones.
# - **Classes** is the largest term from beginning to end, and the one that takes longest. A random guess among C classes costs $\ln C$ for each object, and an image has three objects on average.
# - **Weight decay** hardly changes. It is the same for training and validation, because it depends on the weights alone.
#
# So where does this run overfit? Look for a panel in which the training curve falls on while the validation curve has stopped. The title names the term with the widest gap between the two at the end, as a first place to look. These are usually terms that measure how *sure* the network is: it becomes ever more certain about images that it knows, and that certainty does not fully carry over to new ones. The gap is small here compared with the toy run above, because sixteen epochs of augmented images are too few to learn four hundred images by heart. With many more epochs it would widen.
#
# So overfitting does not start everywhere at once. It begins in one term while others still improve, and the validation mAP can rise all the same. That is why we let the mAP choose the epoch, and not the validation loss.

# %% [markdown]
# ## What does the detector see while it learns?
#
# Numbers hide what a detector gets wrong. The next figure has one image per row. On the left is the ground truth. To the right are the detections with a confidence score of at least 0.25 after some of the epochs. A detection is green if it finds an object: the class is right, the IoU with the object is at least 0.5, and no better detection has found the same object before. All others are false positives and red.

# %% tags=["nbval-ignore-output"]
title = "Epoch by epoch, more objects are found"
figures.snapshots(watched, snapshots.found, settings.classes, title)

# %% [markdown]
# Early on there is little to see: the head is new and not sure of anything yet. After a third of the run the large objects are found, but some boxes are loose or have a wrong class. At the end most boxes are green and their scores are higher. Small and half-hidden objects are the last to come, and some are still missed. In the stored run, the bus behind the motorbike is even found early and lost again: the score of a single box can go down while the detector improves as a whole.
#
# The top row is an image that the network was trained on, so it flatters. Judge by the other three.

# %% [markdown]
# ## What are the pre-trained weights worth?
#
# We can already ask one question about our own run: does it matter whether a class was in the images that the weights come from? The network now has the weights of its best epoch. We compute the average precision of each class on the validation images, and average it over the two groups. (These numbers differ a little from machine to machine too.)

# %% tags=["nbval-ignore-output"]
_, evaluation = yolo.validate(network, splits.validation, anchors, settings)
print(f"all classes: mAP {evaluation.mean_average_precision:.2f}")
for name, group in (("seen before", seen_labels), ("new", new_labels)):
    values = evaluation.average_precision[group]
    values = values[~np.isnan(values)]  # NaN: no such object in these images
    if len(values):
        print(f"{name}: mAP {values.mean():.2f} over {len(values)} classes")

# %% [markdown]
# In the stored run, the new classes reach 0.55 and the seen ones 0.51. On the test images of chapter 6 it is the other way round, 0.41 against 0.57. So the detector does learn classes that the weights have never seen, but which group is ahead cannot be said from a hundred images. The groups are small, and some classes are simply easier than others.
#
# Our run cannot say what the start contributes. For that, the same recipe has to run again from random weights, with the same images and as many epochs. The script [compare_starts.py](scripts/compare_starts.py) does that. It can also freeze the backbone, train five times as long, and repeat each run with other seeds. Here is what it has measured so far.

# %%
comparison = yolo.REFERENCE / "comparison.json"
rows = yolo.read_json(comparison)["rows"] if comparison.exists() else []
for row in rows:
    print(f"{row['name']}, seed {row['seed']}:")
    print(f"  best validation mAP {row['val_map']:.2f}, test mAP {row['map_all']:.2f}")
    print(f"  seen classes {row['map_seen']:.2f}, new classes {row['map_new']:.2f}")
if len({row["name"] for row in rows}) > 1:
    figures.comparison_bars(rows, "The start decides how far a training gets")

# %% [markdown]
# Compare the validation mAP with that of our own run above. Both runs saw the same images equally often, but the one from random weights had to spend its epochs on edges and textures, which the carried weights already know.
#
# New classes gain as well. Weights that have never seen a bus make buses much easier to learn. What carries over is not the classes but what lies below them: edges, surfaces, wheels, the difference between an object and its background.
#
# These are single runs with one seed each. Read the large difference between them as real, and do not read anything into a few hundredths.
#
# One caution: the images of the pre-training and ours come from the same renderer, so the step from one to the other is smaller than that from COCO to Pascal VOC. With photographs, expect less.

# %% [markdown]
# ## What is lost when the run is killed?
#
# A laptop runs out of battery, a free GPU disconnects. At most the epoch in progress is lost. After each epoch, `SaveState` writes one file, `training_state.npz`, with the weights, the velocities of the optimizer and the history. The file is written beside its place and then renamed. So at any moment there is a complete state on disk, the old one or the new one.
#
# To continue, run the notebook again, or only the training cell if its kernel is still alive. Nothing else needs to be saved: the order of the images, their augmentation and size, and the learning rate all follow from the seed and the epoch. A run that was interrupted therefore ends with the same weights as one that was not. Let us try it, with a toy training that is broken off in the middle of its second epoch.


# %%
class Unplug(keras.callbacks.Callback):
    """Break the training off in its fifth step."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 5:
            raise KeyboardInterrupt


short = dataclasses.replace(toy, epochs=3, learning_rate=0.001)


def toy_training(folder, callbacks=()):
    """Three epochs of three steps each; returns the final weights and the history."""
    network = small_network()
    train, validation = splits.train[:12], splits.validation[:4]
    options = {"folder": folder, "callbacks": callbacks}
    history = yolo.train_detector(network, train, validation, anchors, short, **options)
    return network.get_weights(), history


# %% tags=["nbval-ignore-output"]
tf.get_logger().setLevel("ERROR")  # no advice about building many networks
with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
    straight_weights, straight_history = toy_training(one)
    try:
        toy_training(other, callbacks=[Unplug()])
    except KeyboardInterrupt:
        print("--- unplugged in epoch 2; now the same call again ---")
    resumed_weights, resumed_history = toy_training(other)

# %%
pairs = zip(straight_weights, resumed_weights, strict=True)
print("same weights:", all(np.allclose(a, b, atol=1e-5) for a, b in pairs))
losses = straight_history["loss"], resumed_history["loss"]
print("same losses in all three epochs:", np.allclose(*losses, atol=1e-5))

# %% [markdown]
# The log goes on with epoch 2, not with epoch 1, and the final weights are the same. If data or settings have changed since the interruption, `train_detector` says so and does not continue.
#
# In Colab, the local disk is lost together with the machine. Put the artifacts on Google Drive: run `from google.colab import drive; drive.mount("/content/drive")` and set `os.environ["YOLO_ARTIFACTS"] = "/content/drive/MyDrive/yolov2"` before the settings are loaded.

# %% [markdown]
# ## What only makes it faster?
#
# Nothing in this section is meant to change how good the detector becomes. You can skip it until your training takes hours.
#
# - **One GPU** is used without any change. With the profile `full`, `training_policy` also chooses **half precision** on it: the hidden layers compute with 16 bits, which halves the memory. Small gradients would vanish with so few bits, so Keras multiplies the loss by a large factor and divides the gradients by it again. If they overflow, Keras skips that step entirely and lowers the factor.
# - **Several GPUs** share each batch if the network is built under a strategy: `with tf.distribute.MirroredStrategy().scope(): network = yolo.build_yolov2(...)`. Each GPU computes the gradient of its part, and the gradients are added up. Batch normalization then uses the statistics of the whole batch, not those of a part. For several machines there is [train_multi_worker.py](scripts/train_multi_worker.py).
# - **oneDNN** is a library that makes TensorFlow faster on most processors. It adds numbers in an order that depends on the machine, so the last digits of a result no longer repeat. The notebooks switch it off to keep their outputs comparable; `make run` and the scripts switch it on. To use it here, set the environment variable `TF_ENABLE_ONEDNN_OPTS=1` before you start Jupyter.

# %% [markdown]
# ## Hand over
#
# `train_detector` has written the detector of the best epoch: `yolov2.weights` in Darknet's format, and `yolov2.json` with its anchors, classes and image size. Chapter 6 loads the two files. We add the history.

# %%
content = {"history": history, "data": data, "profile": settings.profile}
yolo.write_json(settings.artifacts / "history.json", content)
for name in ("yolov2.weights", "yolov2.json", "history.json"):
    exists = (settings.artifacts / name).exists()
    print(f"{name:<15}", "written" if exists else "missing")

# %% [markdown]
# ## Key points
#
# - Training images change the weights, validation images choose among them, and test images measure the result.
# - Before you train, look at a batch with the boxes decoded from its targets.
# - Augmentation and multi-scale training show every image in ever new versions, so that memorizing does not pay.
# - An update is: gradient with weight decay, clipping, momentum, step. The learning rate warms up first and then decays to zero.
# - `compile` and `fit` run the same loop that you can write by hand in ten lines.
# - Pre-trained weights save most of the work. They help even for classes that they have never seen.
# - Overfitting means that the training loss falls on while the validation loss does not. Look at the terms one by one, and let the validation mAP choose the epoch.
# - A killed run loses at most one epoch, because its state is saved after each. On the same machine it ends with the same weights, because everything random follows from the seed and the epoch.
#
# **Next:** [6 Inference](06_inference.ipynb) turns the raw output of this detector into detections, and measures how good they are.
