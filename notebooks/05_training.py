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
# **In this chapter you train the detector: you see what the network is shown, write the training loop yourself in ten
# lines, hand the same work to Keras, and learn to read the curves that come out.**
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
# **Time:** reading 67 min, exercises 35 min, running 5 min on two CPU cores.
#
# Terms that are new to you are explained in [the glossary](glossary.md). *The paper* is
# [YOLO9000](https://arxiv.org/abs/1612.08242), *Darknet* is its authors'
# [program](https://github.com/pjreddie/darknet), and *the series* is [Yumi's blog
# series](https://fairyonice.github.io/) on YOLOv2, which these notebooks follow.

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

import figures
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
# Chapters 1 to 4 built the parts: anchors, targets, a network and a loss. Training connects them. It shows images to
# the network, compares the raw output with the target, and changes the weights a little so that the loss becomes
# smaller. Then it does so again, a few hundred times.
#
# These are the tensors of one training step. B is the number of images in a batch, S the image size in pixels, G = S
# / 32 the number of cells along one side of the grid, A the number of anchors and C the number of classes.
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
# A network with millions of weights can learn its training images by heart. Its loss on those images then says little
# about how well it does on new ones. So we split the images into three sets, and each set has one role:
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
# If your training fails, the reason is most often in the data: boxes that are shifted, classes that are mixed up,
# images that are too dark. So before anything else, look at a batch exactly as the network gets it. The next cell
# takes the first training batch and computes the boxes back from the target tensor `y`. Wrong boxes and wrong classes
# would be visible here.


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

# %% tags=["slide"]
decoded = [boxes_from_target(target) for target in y[:8].numpy()]
boxes, labels = zip(*decoded, strict=True)
title = "Half of the first batch: every box lies on its object"
figures.target_batch(images[:8].numpy(), boxes, labels, settings.classes, title)

# %% [markdown]
# Check three things in this figure: every object has a box, each box fits its object, and the class names are right.
# An object may lack a box for three harmless reasons: less than a quarter of its box lies inside the picture, it is
# marked as difficult, or another object has taken its place (a collision, chapter 2). Only if many boxes are missing,
# something is wrong. An object that is hidden behind another one keeps its box. If a box seems to lie on the wrong
# thing, its object is probably hidden by another one. You also see that these are not the plain images. They are
# distorted, partly grey at the border, and their colours are off. That is augmentation, and it is on purpose too.

# %% [markdown]
# ### Why is the same image never shown twice?
#
# We have only a few hundred training images, and we show each of them many times. To keep the network from memorizing
# them, we change each image a little in each epoch. This is called **augmentation**. A cow that is mirrored, cropped
# or slightly greener is still a cow, so the label stays true while the pixels change. `make_example` does what
# Darknet does:
#
# - **Borders.** Each of the four borders moves in or out by up to 20 % of the image's side. Moving a border in cuts off a part of the image, moving it out adds grey.
# - **Flip.** Half of the images are mirrored.
# - **Colours.** The hue shifts by up to a tenth of the colour circle. Saturation and brightness are multiplied or divided by up to 1.5.
#
# The boxes move with their objects. Here is our running example, first the plain image and then the versions of it
# that the network will see in its first three epochs. They depend only on the seed, the epoch and the number of the
# image, so we can compute them in advance. (In the run, only their size will be another one.)

# %%
index = [annotation.filename for annotation in splits.train].index(example.filename)
versions = [yolo.make_example(example, anchors, 416, len(settings.classes))]
for epoch in range(3):
    # The same random numbers as in the run: they follow from seed, epoch and index.
    rng = np.random.default_rng([settings.seed, yolo.AUGMENTATION, epoch, index])
    version = yolo.make_example(example, anchors, 416, len(settings.classes), rng)
    versions.append(version)

# %%
titles = ["plain", "epoch 1", "epoch 2", "epoch 3"]
figure, axes = plt.subplots(1, 4, figsize=(12, 3.8))
for axis, (image, target, _), title in zip(axes, versions, titles, strict=True):
    boxes, labels = boxes_from_target(target)
    figures.show_boxes(axis, image, boxes, labels, settings.classes, title=title)
figure.suptitle("One image, another picture in every epoch", fontsize=15)
plt.show()

# %% [markdown]
# The animals change their position, their shape, their colour and sometimes their direction, and the boxes follow. An
# object that is mostly cut off is dropped: a box stays only if at least a quarter of its area is still inside the
# picture. In epoch 2 this happens to the dog. (The grey lumps beyond the box of the standing cow are stones, see
# chapter 1.)

# %% [markdown]
# ### Why do the images change their size?
#
# The network has no layer that depends on the image size, so it accepts every multiple of 32 pixels. The paper uses
# this for **multi-scale training**: every ten steps, the image size is drawn anew. The network then learns to
# recognize the same object at many scales, and one set of weights serves small, fast images as well as large, precise
# ones. It needs patience, though. The paper gained 1.4 points of mAP with it in 160 epochs. In short trainings of ten
# epochs from random weights, images of 416 pixels alone did better, by 0.09 (see the table in the
# [README](../README.md#what-does-each-part-give)).

# %%
steps_per_epoch = yolo.steps_per_epoch(splits.train, settings)
sizes = []
for epoch in range(4):
    plan = yolo.plan_epoch(splits.train, settings, epoch)
    sizes += [size for _, size in plan[:: settings.batch_size]]  # one for each step
print("sizes to draw from:", *settings.train_sizes)
figures.sizes_over_steps(sizes[:100], steps_per_epoch)

# %% [markdown]
# The size stays the same for ten steps and does not care where an epoch ends. All images of a batch have one size,
# because a batch is a single tensor. The cost differs a lot: an image of 416 pixels takes about 3.4 times as much
# work as one of 224, which is the ratio of their areas. So the profile `tiny` draws sizes from 224 to 416 pixels,
# which lets it see more images in the same time. The profile `full` goes from 320 to 512, and the paper up to 608.
# Validation and test images always have 416 pixels.
#
# The last epoch is an exception: all of its images have 416 pixels. The reason is batch normalization. Its running
# averages remember mostly the last ten or twenty steps. In a small image everything lies closer together, so a kernel
# sees more edges and the values of a channel vary more. (Chapter 6 measures by how much.) Averages that come from
# small images therefore do not fit large ones. Darknet, too, has images of its largest size in its last 200 steps.
# The curves of our run below hint at what happens without it.

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
# Steps 1, 3 and 4 are the paper's, and together they are called *stochastic gradient descent* (SGD) *with momentum*.
# Clipping is our addition, because a loss that becomes NaN is the most frequent problem of people who train YOLO.
# Adam, the optimizer of chapter 4, would work as well: in a trial with as many epochs it reached the same mAP, within
# the few hundredths that are chance. We keep the paper's choice, because you can see through it.


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
# This gradient has a length of 50, so clipping turns (30, 40) into (12, 16). The first step is the learning rate
# times that. But the gradient keeps pointing in the same direction, so the velocity grows, until after some thirty
# steps each step is almost ten times as long as the first, because 1 + 0.9 + 0.9² + ... = 10. If the gradient changed
# its sign each time, the old contributions would nearly cancel, and a step would stay shorter than the first. This is
# the point of momentum: directions in which the batches agree become fast, and directions in which they contradict
# each other become slow.
#
# > **Pitfall.** Keras' optimizers have an argument `weight_decay`, but it is not this weight decay. It subtracts the learning rate times $0.0005\,w$ directly. Darknet's term goes through the velocity, where a constant contribution grows to 1 / (1 - 0.9) = 10 times its size. So Keras' argument is about ten times weaker. We want Darknet's version. So `yolo.build_yolov2` gives each kernel a *regularizer*, which the listing in chapter 3 left out. It is a term that is added to the loss, of half the strength, $\frac{0.0005}{2} w^2$, whose gradient is $0.0005\,w$.

# %% [markdown]
# ## How large should the steps be?
#
# The **learning rate** $\eta$ should not be the same all the time. At the start the head of the network, its last
# layer, is random. Its gradients are large and useless, so long steps would damage what the layers before it, the
# backbone, already know. At the end we want short steps, so that the weights settle down. Two parts of a schedule
# take care of this:
#
# - The **learning-rate warm-up** covers the first 5 % of the steps. As in Darknet, where it is called burn-in, the rate rises with the fourth power of the step: it stays close to zero for a long time and then climbs quickly.
# - The **decay** follows half a cosine down to zero. The paper instead divides the rate by ten at two chosen epochs. The cosine does the same job without such choices, and suits short runs better.

# %%
total_steps = settings.epochs * steps_per_epoch
warmup_steps = round(yolo.WARMUP_SHARE * total_steps)
schedule = yolo.WarmUpCosineDecay(settings.learning_rate, warmup_steps, total_steps)
rates = [float(schedule(step)) for step in range(total_steps)]

# %% tags=["slide"]
figures.learning_rate(rates, warmup_steps)

# %% [markdown]
# The highest rate of the profile `tiny` is 0.004. We tried 0.002, 0.004 and 0.008 with this schedule and compared the
# mAP on images other than the test images. The first two were equally good within chance, and the third was worse.
#
# On the left is the whole run. The warm-up is so short that you can hardly see its shape, so the right half shows the
# start enlarged. The curve comes from the same kind of object that the optimizer will call in each step of the run
# below.
#
# During the same steps, shaded in both halves, the **anchor warm-up** of chapter 4 is on. That is the sixth term of
# the loss, which pulls every prediction without an object to the middle of its cell and to the size of its anchor.
# The two are unrelated; they just happen at the same time. One limits how far the weights move, the other says what
# boxes should look like before there is anything better to say. Most of the anchor warm-up's effect comes in the last
# of these steps, when the learning rate is no longer tiny.
#
# > **Pitfall.** The series writes a learning-rate schedule and then never passes it to `fit`, so the rate stays constant. A plot of a schedule proves nothing about the run. In ours, `compile_detector` makes the schedule and gives it to the optimizer in one place, so no other one can be used.

# %% [markdown]
# ## How do you write a training loop?
#
# Now we have everything for a loop: batches, a loss, a schedule and an update rule. It is worth writing it once by
# hand, because nothing is hidden then. We use a small network with an eighth of the filters, and eight images of 96
# pixels. There is no augmentation: for once, we *want* the network to learn its images by heart. This is a good first
# test of any training code. A loop that cannot even memorize eight images is broken, and you learn it within seconds.

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
# And this is the loop. A `GradientTape` records what is computed under it, and afterwards returns the gradient of the
# loss with respect to any variable. The optimizer does clipping, momentum and the step. The weight decay is part of
# the loss: `network.losses` are the regularizers of all kernels.


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
# Next we measure the loss of the eight images once more, and the loss of eight images that the network has never been
# shown.

# %% tags=["slide"]
known, _ = yolo.validate(network, eight, anchors, toy)
unseen, _ = yolo.validate(network, splits.validation[:8], anchors, toy)
figures.learned_by_heart(rows, known, unseen)

# %% [markdown]
# On the left, the loss becomes small, so the loop works. (Weight decay is left out of both figures. The zigzag comes
# mostly from the two batches, which take turns.) The terms fall in a typical order. The background term goes first,
# because "there is nothing here" is right for almost every prediction and easy to learn. It starts near 4 here, and
# not near 84 as in chapter 4, because an image of 96 pixels has only 36 predictions. The objectness term wanders: it
# falls, rises again when the boxes and so its target, the IoU, improve, and ends near 0.3. The class term takes
# longest, because it needs to know what the objects look like. (The anchor warm-up only exists during the first three
# steps and is not drawn.)
#
# On the right, you see the price. The loss of the eight training images is small (about twice as large as at the end
# of the curves, because batch normalization now uses its running averages), and the loss of eight other images is
# large. Size and background are lower than at the start of the curves, because usual sizes and "mostly nothing" hold
# for any image. But the class term is even worse than guessing, which would cost 4 × ln 20 = 12 for the four objects
# that these images have on average, because the network is now sure and wrong. The network has learned its images by
# heart and nothing about animals or cars. This is **overfitting** in its purest form: low training loss, high loss on
# everything else. The rest of this chapter is about the opposite, weights that work for images that were never
# trained on.

# %% [markdown]
# ## What do `compile` and `fit` do?
#
# Keras can run this loop for us. We tell it three things: which model, which loss, which optimizer. Our
# `yolo.Detector` is a `keras.Model` that holds the network and overrides one method, `compute_loss`. Stripped to its
# core, that method is what you have just written:
#
# ```python
# def compute_loss(self, x, y, y_pred, ...):
#     y_true, true_boxes = y
#     anchor_warmup = self.optimizer.iterations < self.anchor_warmup_steps
#     terms = yolo_loss(y_true, true_boxes, y_pred, self.anchors, anchor_warmup)
#     return tf.add_n(terms) + tf.add_n(self.losses)
# ```
#
# The full version also records each term as a metric, so that every term appears in the log. `yolo.compile_detector`
# makes such a detector and compiles it with the optimizer of this chapter. Then `fit` goes over the batches. To see
# that it really does the same, we let both take two steps from the same start and compare the weights.

# %%
two_batches = batches.take(2)
start, by_hand, by_fit = small_network(), small_network(), small_network()

train_by_hand(by_hand, two_batches)
detector = yolo.compile_detector(by_fit, anchors, toy, toy_steps)
detector.fit(two_batches, shuffle=False, verbose=0)


def distance(first, second):
    """Length of the difference of all trained weights."""
    pairs = zip(first.trainable_weights, second.trainable_weights, strict=True)
    return float(tf.linalg.global_norm([a - b for a, b in pairs]))


moved, difference = distance(start, by_hand), distance(by_hand, by_fit)
print(f"the weights have moved by {moved:.3f}")
print("the two ways differ by less than a hundredth of that:", difference < moved / 100)

# %% [markdown]
# The two ways agree. The bound is loose and we compare after two steps only, for a reason that is worth knowing. The
# two ways add up numbers in a different order, so the result of each addition can differ in the seventh digit. Each
# step makes such a difference larger, and after some dozens of steps the two networks have different weights,
# although both are equally good. The same happens between two machines. It does not mean that anything is wrong.

# %% [markdown]
# ## Where do the weights start?
#
# A random network has a lot to learn before it can detect anything: edges, colours, textures, legs, wheels. Most of
# that is the same for all detection tasks. So it is common to start with weights that someone has trained on other
# images, and to continue the training on one's own. This is called **transfer learning** or fine-tuning, and the
# series does it too: it loads the weights that YOLOv2's authors trained on the COCO data set.
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
# We load all layers but the last one. The last layer, the head, makes 5 + C numbers for each anchor. Our anchors and
# our classes are not those of the file, so its head would not fit, and ours stays random.

# %%
network = yolo.build_yolov2(
    num_anchors=len(anchors),
    num_classes=len(settings.classes),
    width=settings.width,
    seed=settings.seed,
    dtype=yolo.training_policy(settings),  # 32 bits on a CPU
)
if weights:
    yolo.load_darknet_weights(network, weights, head=False)

# %% [markdown]
# There is one danger in the first steps. Chapter 3 left the objectness at one half everywhere. In a network that is
# random as a whole, this does no harm, because there is nothing to spoil. Behind trained layers it does. A random
# head says "one half" for each of its 13 x 13 x 4 = 676 predictions. Almost everywhere that is wrong, and it costs
# 0.5 x 0.5² for each prediction, about 84 in total. The gradient of this huge loss runs through all layers and would
# spoil what they have learned.
#
# The remedy is simple, and it comes from the detector [RetinaNet](https://arxiv.org/abs/1708.02002). We set the
# biases in the head so that it starts with an objectness of 0.02 everywhere: "probably no object here". The
# background term then starts near 0.1 instead of 84. The learning-rate warm-up and the clipping protect the trained
# layers as well: one keeps the first steps short, the other limits every step.

# %%
yolo.set_objectness_bias(network, objectness=0.02)

# %% [markdown]
# The JSON file beside the weights says which classes they were trained on. Every other class of ours is *new*: in all
# the images that shaped these weights, there was not one object of that class. (The COCO weights of the profile
# `full` come without such a file. All classes are listed as new then, although most of them were in COCO too.)

# %%
known_classes = []
if weights and weights.with_suffix(".json").exists():
    known_classes = yolo.read_json(weights.with_suffix(".json"))["classes"]
seen_labels = [i for i, name in enumerate(settings.classes) if name in known_classes]
new_labels = [i for i, name in enumerate(settings.classes) if name not in known_classes]
print("seen before:", ", ".join(settings.classes[i] for i in seen_labels) or "none")
print("new:        ", ", ".join(settings.classes[i] for i in new_labels) or "none")

# %% [markdown]
# With the weights that this repository carries, both cows of our running example belong to a new class, and the dog
# to one that was seen before. Towards the end of this chapter we will see how the two groups of classes compare.

# %% [markdown]
# ## The training run
#
# `yolo.train_detector` does what we did in small: it makes the data set, compiles the detector and calls `fit`.
# Everything else is done by callbacks, objects whose methods `fit` calls after each step or epoch:
#
# | callback | when | what it does |
# |---|---|---|
# | `StopOnBadLoss` | each step | ends the run if the loss is no longer finite, and names the images of the batch |
# | `ValidateEachEpoch` | each epoch | computes the loss terms and the mAP of the validation images |
# | `KeepBest` | each epoch | saves the detector if its validation mAP is the best so far, and stops the run after `settings.patience` epochs without improvement (*early stopping*) |
# | your own callbacks | each step or epoch | whatever you like |
# | `SaveState` | each epoch | saves all that is needed to continue an interrupted run, a *checkpoint* |
#
# We add a callback of our own. It keeps the detections on four images after some of the epochs, so that we can watch
# the detector learn. The first image is the running example, which is a training image. The other three are
# validation images.


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
# With the profile `tiny`, the next cell takes three to five minutes on two CPU cores. One line appears for each
# epoch, with the time, the loss of the training and validation images, and the validation mAP. The outputs that are
# stored here come from one run on our machine. We call it the *stored run*. Yours will differ a little, and that is
# no mistake.

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
# `train_detector` returns the history of the run: one value per epoch for the loss, each of its terms, the same for
# the validation images, and the validation mAP.

# %% tags=["slide"]
last_sizes = [
    yolo.plan_epoch(splits.train, settings, epoch)[-1][1]
    for epoch in range(len(history["loss"]))
]
figures.loss_and_map(history, last_sizes)

# %% [markdown]
# Do not compare the heights of the two loss curves too closely. The training loss is measured on augmented images of
# many sizes, while the weights are still changing. The validation loss is measured at the end of the epoch, on plain
# images, which should be easier, always at 416 pixels. In the stored run the validation loss still lies above the
# training loss from epoch 2 on. There are two possible causes: the network already knows its training images better,
# and validation uses running averages. The gap alone does not tell them apart. The *trends* of the two curves tell
# you what to do:
#
# - **Both fall.** The network learns. Here both become flat, and the falling learning rate is one reason. Whether more epochs would help, only a longer run shows. (The training loss rises in the last epoch, from 4.5 to 4.9. All of its images are large then, so they have more background predictions, whose losses are added up. This explains a part of the rise. Objectness and classes rise too, and we have not investigated why.)
# - **The training loss keeps falling, but the validation loss no longer does.** The network overfits: it improves only on images that it knows. More images or stronger augmentation help, more epochs do not.
# - **Neither falls.** Something is broken. Look at the batch figure above first, then at the learning rate.
#
# On the right is the number that decides. The circle marks the epoch whose weights were kept. The mAP rises, but with
# dips. In the stored run the clear ones are after the epochs 4, 6 and 9, and the lower picture hints at a cause. All
# three epochs ended with images of 224 or 256 pixels, so the running averages of batch normalization did not fit the
# validation images of 416 pixels. (Red means less than 300 pixels. The bars fit the dips only roughly and do not
# prove the cause. They show the size of the last step, which odd epochs have used for five steps and even ones for
# ten, and after the epochs 2 and 7 the mAP rises in spite of a red bar.) The last epoch trains with 416 pixels only,
# so that the run does not end in such a dip. With a hundred images, differences of a few hundredths are chance, and
# the best of several epochs looks a little better than it is. This is why the test images exist. The mAP often still
# rises while the loss looks flat, because they ask different questions. The loss adds up how sure and how exact every
# single prediction is. The mAP only looks at the order of the confidence scores, and at whether the boxes overlap
# their objects by at least 0.5.
#
# The total loss mixes several questions. Its terms show which of them is still open. Besides the five terms you know
# there is the weight decay. (The anchor warm-up is left out, because it ends within the first epoch.)

# %%
figures.loss_terms(history)

# %% [markdown]
# - **Background** starts low, because we set the head to "probably no object". It then *rises*, because the detector now says "object", and sometimes says it where there is none. The validation curve jumps up and down most here. Its peak after epoch 9 goes with a dip of the mAP, but the higher one after epoch 3 does not. After the other dips, 4 and 6, it is the size term that is high (after 4 in training as well). So no single term tells when the mAP dips. (In the toy run above, the head started at one half, so there the term fell first.)
# - **Objectness** starts high for the same reason, and falls in the first epochs. After that it changes little. A likely reason is that its target, the IoU of the predicted box, rises along with it.
# - **Location** falls slowly: the exact middle of a box takes time. **Size** first rises, while the learning rate is high, and then falls to less than half of its start. On plain images it is often lower than on augmented ones.
# - **Classes** is the largest term from beginning to end. A random guess among 20 classes costs $\ln 20 = 3$ for each object, and an image has three objects on average, so it starts near 9.
# - **Weight decay** hardly changes. The two curves coincide, because it depends on the weights alone.
#
# So does this run overfit? The sign would be a panel in which the training curve keeps falling while the validation
# curve no longer does. In the stored run, the classes come nearest to it: their gap is the widest, as the title says,
# and validation is flat from epoch 11 on, while training falls a little until epoch 14. That is slight overfitting at
# most, and the mAP does not suffer. In a longer run, one term can get worse while others still improve, and the
# validation mAP can rise all the same. That is why we let the mAP choose the epoch, and not the validation loss.

# %% [markdown]
# ## What does the detector see while it learns?
#
# Numbers hide what a detector gets wrong. The next figure has one image per row. On the left is the ground truth. To
# the right are the detections with a confidence score above 0.25 after some of the epochs. How raw outputs become
# detections, and how most duplicates are removed, is the subject of chapter 6. A detection is green if it finds an
# object: the class is right, the IoU with the object is at least 0.5, and no better detection has found the same
# object before. All others are false positives and red.

# %% tags=["nbval-ignore-output"]
figures.snapshots(watched, snapshots.found, settings.classes)

# %% [markdown]
# The title counts the objects that are found: none after epoch 2 of the stored run, because the head is new and not
# sure of anything yet (the mAP is not zero, because it also counts detections with much lower scores), 4 of 10 after
# epoch 5, and 9 at the end. The mistakes are typical. After epoch 5, the standing cow is taken for a horse, and the
# Dalmatian for a cat. At the end the cow is right. The Dalmatian has a correct box as well (dog, 0.31), but a box of
# the class cat still has a higher score (0.37; its name is hidden behind other labels). Suppression keeps both,
# because their classes differ. The bus is never found: most of it is hidden or outside of the picture, and the
# motorbike stands in front of it. Several red boxes report an object a second time, with a box that fits badly, like
# the small cow inside the large one. Suppression keeps them because they overlap the better box too little.
#
# The top row is an image that the network was trained on, so judge by the other three. And note that the last column
# shows the weights of the last epoch. If another epoch had a better validation mAP, chapter 6 uses the weights of
# that one.

# %% [markdown]
# ## What are the pre-trained weights worth?
#
# One run does not tell how much the pre-trained weights contributed. For that, the same recipe has to run again from
# random weights, with the same images and as many epochs. The script [compare_starts.py](scripts/compare_starts.py)
# does that. It also repeats our run with other seeds, trains only the head while everything before it stays frozen
# and trains everything for five times as many epochs. Each row of the table is one way of training:
#
# - *random*: everything learns, from random weights.
# - *frozen*: only the head learns, from pre-trained weights.
# - *pretrained*: everything learns, from pre-trained weights, as in our run.
# - *patience*: the same, five times as long. (The setting `patience` has nothing to do with it.)
#
# The table shows the mAP on the test images: the mean over the runs, and in brackets the lowest and the highest value.

# %%
rows = yolo.read_json(yolo.REFERENCE / "comparison.json")["rows"]
starts = list(dict.fromkeys(row["name"] for row in rows))
print("start        runs   all classes           seen classes          new classes")
for start in starts:
    runs = [row for row in rows if row["name"] == start]
    line = f"{start:<12} {len(runs):4d}"
    for kind in ("map_all", "map_seen", "map_new"):
        values = [row[kind] for row in runs]
        spread = f"({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
        line += f"   {np.mean(values):.2f} {spread:<14}"
    print(line.rstrip())

# %%
figures.comparison_bars(rows, "The start decides how far a training gets")

# %% [markdown]
# The figure compares trainings of sixteen epochs (and *patience* with eighty), and does not say where a long training
# from random weights would end. Sixteen epochs are far too few for random weights: the network has to spend them on
# outlines and surfaces, which the pre-trained weights already know. With these weights, the same recipe reaches an
# mAP near 0.62 in the same time.
#
# New classes gain as well. The weights have never seen a cow or a bus, and yet the mAP of the new classes goes from
# nearly zero to about one half. What carries over is not the classes but what lies below them: surfaces, outlines,
# wheels and legs, the difference between an object and its background.
#
# The row *frozen* may surprise you. Only the head learned there, in 1.3 instead of 3.7 minutes, and the result is
# nearly as good. In such a short training, most of the progress is made by the new head. Changing the layers before
# it added 0.03 on average, which is no more than the spread of three runs, so we cannot be sure of it.
#
# The row *patience* shows what a longer training brings: 0.66 after 18 minutes, instead of 0.62 after 4. That is a
# single run, and no more than a hint. Rows with a single run come without a range, and a few hundredths are chance:
# look at how far three runs of one row are apart. The new classes vary most, because there are only five of them.
#
# One caution: the images of the pre-training and ours come from the same renderer, so the step from one to the other
# is smaller than that from COCO to Pascal VOC. With photographs, expect less.
#
# For our own run, we can compare the two groups of classes on the validation images. The network now has the weights
# of its best epoch.

# %% tags=["nbval-ignore-output"]
_, evaluation = yolo.validate(network, splits.validation, anchors, settings)
print(f"all classes: mAP {evaluation.mean_average_precision:.2f}")
for name, group in (("seen before", seen_labels), ("new", new_labels)):
    values = evaluation.average_precision[group]
    values = values[~np.isnan(values)]  # NaN: no such object in these images
    if len(values):
        print(f"{name}: mAP {values.mean():.2f} over {len(values)} classes")

# %% [markdown]
# On these images the two groups are nearly equal in the stored run. In the table above, on the test images, the new
# classes are lower by 0.11 on average, and by anything from 0.03 to 0.20 in single runs. Five classes with few
# objects each make no precise mean, so do not read much into either number. Both are far above what random weights
# reach.

# %% [markdown]
# ## What is lost when the run is killed?
#
# A laptop runs out of battery, a free GPU disconnects. At most the epoch in progress is lost. After each epoch,
# `SaveState` writes one file, `training_state.npz`, with the weights, the velocities of the optimizer and the
# history. The new state is first written under a temporary name. Only when it is complete does it replace the old
# file. So at any moment there is a complete state on disk, the old one or the new one.
#
# To continue, run the notebook again, or only the training cell if its kernel is still alive. Nothing else needs to
# be saved: the order of the images, their augmentation and size, and the learning rate all follow from the seed and
# the epoch. On the same machine, a run that was interrupted therefore ends with the same weights as one that was not,
# because it repeats the same calculations in the same order. Let us try it, with a toy training that is broken off in
# the middle of its second epoch.


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
# The log goes on with epoch 2, not with epoch 1, and the final weights are the same. If data or settings have changed
# since the interruption, `train_detector` says so and does not continue.
#
# In Colab, the local disk is lost together with the machine. Put the artifacts on Google Drive: run `from
# google.colab import drive; drive.mount("/content/drive")` and set `os.environ["YOLO_ARTIFACTS"] =
# "/content/drive/MyDrive/yolov2"` before the settings are loaded.

# %% [markdown]
# ## What only makes it faster?
#
# Nothing in this section is meant to change how good the detector becomes. You can skip it until your training takes
# hours.
#
# - **One GPU** is used without any change. With the profile `full`, `training_policy` also chooses **mixed precision** (also called half precision) on it: the hidden layers compute with 16 bits, which halves the memory. Small gradients would vanish with so few bits, so Keras multiplies the loss by a large factor and divides the gradients by it again. If they overflow, Keras skips that step entirely and lowers the factor.
# - **Several GPUs** share each batch if the network is built under a strategy: `with tf.distribute.MirroredStrategy().scope(): network = yolo.build_yolov2(...)`. Each GPU computes the gradient of its part, and the gradients are added up. Batch normalization then uses the statistics of the whole batch, not those of a part. For several machines there is [train_multi_worker.py](scripts/train_multi_worker.py).
# - **oneDNN** is a library that makes TensorFlow faster on most processors. It adds numbers in an order that depends on the machine, so the last digits of a result differ from one machine to another. (On one machine they normally repeat, and continuing an interrupted run relies on that.) TensorFlow uses it unless the environment variable `TF_ENABLE_ONEDNN_OPTS` is 0. So you use it unless you switch it off. The outputs stored in the other chapters were made without it, so your last digits may differ there.

# %% [markdown]
# ## Where has everything of the series gone?
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
# ## Hand over
#
# `train_detector` has written the detector of the best epoch: `yolov2.weights` in Darknet's format, and `yolov2.json`
# with its anchors, classes and image size. Chapter 6 loads the two files. We add the history.

# %%
content = {"history": history, "data": data, "profile": settings.profile}
yolo.write_json(settings.artifacts / "history.json", content)
for name in ("yolov2.weights", "yolov2.json", "history.json"):
    exists = (settings.artifacts / name).exists()
    print(f"{name:<15}", "written" if exists else "missing")

# %% [markdown]
# ## Exercises
#
# Each exercise has a starter cell for you to complete, a folded solution, and a check cell that tells you whether
# your answer is right. To try an exercise yourself here, complete the starter cell, skip the folded solution and run
# the check. The check cells are folded as well, because they contain the answers: run them without opening them. The
# student edition (`make workshop`) leaves the solutions out. The exercises need only the first two code cells of this
# chapter and the next cell, so you can do them without running the rest.


# %% tags=["exercise-setup"]
tf.get_logger().setLevel("ERROR")  # no advice about building many networks
SHAPE_ANCHORS = np.array([[1.0, 1.0], [2.0, 2.0]], np.float32)  # in grid units
SHAPE_NETWORK = {"num_anchors": 2, "num_classes": 3, "width": 0.125}
MAPS = [0.10, 0.10, 0.21, 0.13, 0.21, 0.34, 0.36, 0.37]  # for exercise 5.3
MAPS += [0.34, 0.40, 0.42, 0.47, 0.52, 0.49, 0.51, 0.51]


def update(w, v, gradient, learning_rate):
    """One update of the weights w with the velocity v, as above; returns both."""
    g = gradient + yolo.WEIGHT_DECAY * w
    length = np.linalg.norm(g)
    g = g * min(1, yolo.LARGEST_GRADIENT / length)
    v = yolo.MOMENTUM * v - learning_rate * g
    return w + v, v


def draw_scene(rng, shape):
    """A square (0), disc (1) or triangle (2) on grey: image, y and true_boxes."""
    rows, columns = np.mgrid[:96, :96]
    radius = rng.integers(12, 30)
    x, y = rng.integers(radius, 96 - radius, 2)
    right, down = np.abs(columns - x), rows - y
    square = (right <= radius) & (np.abs(down) <= radius)
    disc = right**2 + down**2 <= radius**2
    triangle = square & (2 * right <= down + radius)
    image = np.full((96, 96, 3), rng.uniform(0.2, 0.8))
    image[(square, disc, triangle)[shape]] = rng.uniform(0, 1, 3)
    image = (image + rng.normal(0, 0.03, image.shape)).clip(0, 1)
    box = np.array([[x - radius, y - radius, x + radius, y + radius]]) / 96
    targets = yolo.encode_boxes(box, [shape], SHAPE_ANCHORS, 3, num_classes=3)
    return image.astype(np.float32), *targets


def make_scenes(count, seed):
    """A batch (images, (y, true_boxes)) of scenes with one object each."""
    rng = np.random.default_rng(seed)
    scenes = [draw_scene(rng, i % 3) for i in range(count)]
    images, y, true_boxes = (np.stack(part) for part in zip(*scenes, strict=True))
    return images, (y, true_boxes)


def train_on_scenes(network, scenes, steps):
    """Train on one batch of scenes; returns its loss at the end, without decay."""
    options = dataclasses.replace(settings, learning_rate=0.01)
    detector = yolo.compile_detector(network, SHAPE_ANCHORS, options, steps)
    batches = tf.data.Dataset.from_tensors(scenes).repeat(steps)
    detector.fit(batches, shuffle=False, verbose=0)
    images, (y, true_boxes) = scenes
    raw = network(images, training=False)
    return round(float(sum(yolo.yolo_loss(y, true_boxes, raw, SHAPE_ANCHORS))), 2)


def compare_runs(freeze, seed=1):
    """Train everything, or the head alone; returns the losses at the end by name."""
    losses = {}
    runs = (("everything", 40), ("head alone", 40), ("head alone", 200))
    for name, steps in runs:
        network = yolo.build_yolov2(**SHAPE_NETWORK, seed=seed)
        yolo.set_objectness_bias(network)
        if name == "head alone":
            freeze(network)
        loss = train_on_scenes(network, make_scenes(9, seed), steps)
        losses[f"{name}, {steps} steps"] = loss
    return losses


# %% [markdown]
# ### Exercise 5.1: Read three curves (5 minutes)
#
# A look at the curves of a run should tell you what to do next. Here are three runs, as numbers instead of curves.
# They used the same kind of data and the training of this chapter: augmented training images, plain validation
# images.
#
# | epoch | 1 | 4 | 7 | 10 | 13 | 16 |
# |---|---|---|---|---|---|---|
# | **run 1**: training loss | 12.4 | 9.9 | 8.6 | 7.7 | 7.0 | 6.5 |
# | validation loss | 11.4 | 9.0 | 7.8 | 7.0 | 6.4 | 6.0 |
# | validation mAP | 0.05 | 0.14 | 0.22 | 0.29 | 0.35 | 0.41 |
# | **run 2**: training loss | 12.4 | 7.6 | 5.1 | 3.4 | 2.2 | 1.5 |
# | validation loss | 11.9 | 8.3 | 7.4 | 7.6 | 8.1 | 8.7 |
# | validation mAP | 0.06 | 0.25 | 0.36 | 0.40 | 0.38 | 0.36 |
# | **run 3**: training loss | 12.4 | 12.5 | 12.3 | 12.4 | 12.5 | 12.4 |
# | validation loss | 11.9 | 11.8 | 12.0 | 11.9 | 11.8 | 11.9 |
# | validation mAP | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 |
#
# Give each run one of these pieces of advice:
#
# - **A**: Train for more epochs.
# - **B**: Get more images, or use stronger augmentation. More epochs will not help.
# - **C**: Something is broken. Look at a batch and at the learning rate.
#
# In addition, say which epoch's weights you would keep of run 2, if you could only choose among the six epochs in the
# table. Hand in three letters and one number.

# %% tags=["starter"]
advice = {"run 1": None, "run 2": None, "run 3": None}  # "A", "B" or "C" for each
kept_epoch = None  # of run 2: 1, 4, 7, 10, 13 or 16

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
# Run 1: both losses still fall at the end, so more epochs would help. The training
# loss is the higher one because augmented images are harder than plain ones.
# Run 2: the training loss falls on while the validation loss rises. It overfits.
# Run 3: neither loss falls, so nothing is learned.
advice = {"run 1": "A", "run 2": "B", "run 3": "C"}
# The validation mAP chooses the epoch. The validation loss would have chosen epoch 7.
kept_epoch = 10

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
for run in ("run 1", "run 2", "run 3"):
    assert advice[run] is not None, f"advice for {run} is still empty"
    assert advice[run] in ("A", "B", "C"), f"advice for {run}: choose A, B or C"
assert kept_epoch is not None, "kept_epoch is still empty: choose an epoch of run 2"
hints = {
    "run 1": "run 1: compare the trends and not the heights. Both losses still fall at "
    "the end. The training loss lies higher because augmented images are harder.",
    "run 2": "run 2: the training loss falls on, but the validation loss rises from "
    "epoch 7 on. So the network only improves on images that it knows.",
    "run 3": "run 3: no loss falls, not even that of the images it is trained on. "
    "Neither patience nor more images can repair that.",
}
for run, letter in zip(hints, "ABC", strict=True):
    assert advice[run] == letter, hints[run]
hints = {
    16: "epoch 16 has the lowest training loss, and is the last. A network that learns "
    "its images by heart always wins by that measure: use the validation images",
    7: "epoch 7 has the lowest validation loss, but the validation mAP decides",
}
assert kept_epoch == 10, hints.get(
    kept_epoch, "keep the epoch with the best validation mAP"
)
print("Exercise 5.1 is right: trends say what to do, and the validation mAP says which")
print("epoch to keep. In run 2, the mAP still rises when the validation loss turns.")

# %% [markdown]
# ### Exercise 5.2: Predict two steps (5 minutes)
#
# Momentum and clipping decide how far the weights really move. Predict two step lengths before you compute anything.
# Paper and the four steps of the update in this chapter are enough. The weights start near zero, so you can leave the
# weight decay out.
#
# 1. *A gradient that changes its sign.* The gradient is (0.3, 0.4) in step 1, (-0.3, -0.4) in step 2, (0.3, 0.4) in step 3 and so on. The velocity is zero at the start. How long is the 30th step, compared with the first one? (Write down the first four velocities to see where they are heading.)
#     - **A**: about ten times as long
#     - **B**: equally long
#     - **C**: about half as long
#     - **D**: less than a hundredth as long
# 2. *An odd batch.* Most batches have a gradient of length 0.5, but one odd batch has a gradient of length 500. Suppose that each of the two is the first batch of a training, so that the velocity before it is zero. How long is the step of the odd batch, compared with the usual one?
#     - **A**: 1000 times as long
#     - **B**: 40 times as long
#     - **C**: equally long
#
# Hand in two letters.

# %% tags=["starter"]
sign_changes = None  # "A", "B", "C" or "D"
odd_batch = None  # "A", "B" or "C"

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
# 1. In units of the first step, the velocities are 1, 0.9 - 1 = -0.1, -0.09 + 1 = 0.91,
#    0.82 - 1 = -0.18 and so on. The even steps become longer and the odd ones shorter,
#    until both have the same length u. Then u = 1 - 0.9 u, so u = 1 / 1.9 = 0.53. Old
#    contributions nearly cancel, but the newest gradient always counts in full.
sign_changes = "C"
# 2. The length 0.5 is below the limit of 20 and stays. The length 500 is clipped to 20.
#    The odd batch still makes a step of 20 / 0.5 = 40 times the usual length.
odd_batch = "B"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
assert sign_changes is not None, "sign_changes is still empty: choose A, B, C or D"
assert odd_batch is not None, "odd_batch is still empty: choose A, B or C"
hints = {
    "A": "ten times is right for a gradient that always points the same way. Here "
    "each new gradient points against the velocity",
    "B": "without momentum all steps would be equally long. With it, step 2 is "
    "0.9 - 1 = -0.1 times the first: continue from there",
    "D": "the older contributions nearly cancel, but the newest gradient is "
    "added in full in each step: write down steps 2, 3 and 4",
}
assert sign_changes == "C", hints.get(sign_changes, "choose A, B, C or D")
hints = {
    "A": "1000 times is the ratio of the gradients: have you left the clipping out?",
    "C": "clipping shortens only what is longer than 20. It does not make all "
    "gradients equally long: how long is the usual one after it, how long the odd one?",
}
assert odd_batch == "B", hints.get(odd_batch, "choose A, B or C")
for name, sign in (("same sign", 1), ("changing sign", -1)):
    w, v = np.zeros(2), np.zeros(2)
    for step in range(30):
        w, v = update(w, v, np.array([0.3, 0.4]) * sign**step, learning_rate=0.001)
    ratio = np.linalg.norm(v) / 0.0005  # the first step has a length of 0.0005
    print(f"{name}: the 30th step is {ratio:.1f} times as long as the first")
print("Exercise 5.2 is right: steps become almost twenty times as long where gradients")
print("agree as where they contradict each other. Clipping limits only the odd batch.")

# %% [markdown]
# ### Exercise 5.3: When does the run end? (10 minutes)
#
# `KeepBest` decides after each epoch whether its weights are the best so far, and whether the run should stop. A
# mistake of one epoch here is easy to make and hard to notice, so write the rule yourself. It has three parts:
#
# - Epochs count from 1. After each epoch, we only know the validation mAP of the epochs so far.
# - An epoch is a new best if its mAP is higher than all earlier ones, or equal to the highest of them.
# - After each epoch, count the epochs since the best one so far. As soon as this count reaches `patience`, the run ends. For example, with a patience of 2 and the best mAP in epoch 5, the run ends after epoch 7 if neither epoch 6 nor epoch 7 is a new best. If the count never gets so far, the run uses all values.
#
# Complete `kept_and_last`. Then try it on `MAPS`, the validation mAP of sixteen epochs of a run like ours, with a
# patience of 8 and of 1.


# %% tags=["starter"]
def kept_and_last(val_maps, patience):
    """Which epoch is kept, and after which epoch does the run end?

    Parameters
    ----------
    val_maps : list of float
        The validation mAP of each epoch, if the run went on to the end. From 0 to 1.
    patience : int
        Epochs without a new best until the run ends.

    Returns
    -------
    (int, int)
        The kept epoch and the last epoch, both counted from 1.
    """
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def kept_and_last(val_maps, patience):
    """Which epoch is kept, and after which epoch does the run end?"""
    best_epoch, best_map = 0, 0.0
    for epoch, value in enumerate(val_maps, start=1):
        if value >= best_map:  # a tie counts as a new best
            best_epoch, best_map = epoch, value
        if epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(val_maps)


print("patience 8:", kept_and_last(MAPS, 8))
print("patience 1:", kept_and_last(MAPS, 1))

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
answer = kept_and_last([0.1, 0.4, 0.3, 0.2, 0.1], 2)
assert answer is not None, "kept_and_last is still empty"
assert np.shape(answer) == (2,), "return two numbers: the kept and the last epoch"
hints = {
    (1, 3): "you count epochs from 0: the first value belongs to epoch 1",
    (0.4, 4): "you return the best mAP: return the number of its epoch instead",
    (4, 2): "the order is turned round: return the kept epoch first, then the last one",
    (2, 5): "the run goes on for too long: epochs 3 and 4 are no new best, so with a "
    "patience of 2 it ends after epoch 4",
    (2, 3): "the run ends one epoch too early: epoch 3 is only the first without a new "
    "best, and the patience is 2",
}
hint = f"for [0.1, 0.4, 0.3, 0.2, 0.1] and a patience of 2, {answer} is not right"
assert tuple(answer) == (2, 4), hints.get(tuple(answer), hint)
answer = tuple(kept_and_last([0.3, 0.1, 0.2, 0.25, 0.9], 3))
hints = {
    (5, 4): "you keep an epoch after the end of the run: a later best is never seen",
    (
        5,
        5,
    ): "the run has to end when epochs 2 to 4 were no new best. Compare each value "
    "with the best of the epochs so far, neither with the epoch before nor with the "
    "best of the whole list, which nobody knows yet",
}
hint = f"for [0.3, 0.1, 0.2, 0.25, 0.9] and a patience of 3, {answer} is not right"
assert answer == (1, 4), hints.get(answer, hint)
answer = tuple(kept_and_last([0.2, 0.5, 0.4, 0.5, 0.3], 2))
hint = "a tie counts as a new best: epoch 4 equals epoch 2, so the count starts again"
assert answer == (4, 5), hint
answer = tuple(kept_and_last([0.1, 0.2], 8))
assert answer == (2, 2), "without an early end, the last epoch is the number of values"
hint = "MAPS with a patience of 8: the best mAP is 0.52, and the run is not cut short"
assert tuple(kept_and_last(MAPS, 8)) == (13, 16), hint
hint = "MAPS with a patience of 1: the first value that is lower than the best ends it"
assert tuple(kept_and_last(MAPS, 1)) == (3, 4), hint
print("Exercise 5.3 is right: with a patience of 8, this run reaches an mAP of 0.52.")
print("With a patience of 1, a single bad epoch would have ended it at 0.21.")

# %% [markdown]
# ### Exercise 5.4: The head alone, or everything? (15 minutes)
#
# A common way to save time is to *freeze* the backbone, that is, to leave its weights as they are and to train the
# head alone. Each step is then much cheaper. But what does it take for this to work? We try the extreme case, a
# frozen backbone that has never learned anything. The network has an eighth of the filters and starts from random
# weights. It has to learn nine small synthetic images by heart, each of which shows a square, a disc or a triangle.
# You will compare this with training everything from the same start.
#
# 1. Complete `freeze_all_but_head`. These are the tools: `network.layers` lists all layers, each layer has a `name`, and a layer with `layer.trainable = False` keeps its weights. Set this switch for each layer, and leave `network.trainable` alone. Afterwards, `network.trainable_variables` lists the arrays of weights that training still changes, each with its `shape`.
# 2. Before you go on, write down which training you expect to end with the lower loss. Then replace `losses = None` by `losses = compare_runs(freeze_all_but_head)`, and print the result. This takes about 20 seconds. It trains everything for 40 steps, the head alone for 40 steps, and the head alone for 200 steps. The losses are those of the nine images after the training. Before it, the loss is about 1.8.
# 3. Why does the head alone end where it does? Choose the best explanation:
#     - **A**: It learns the same things, only more slowly. Five times as many steps are enough to catch up.
#     - **B**: The features that reach the head are random and stay random. They do not show well enough what the head has to tell apart. Training everything can change the features too.
#     - **C**: The head has too few weights to learn nine images by heart. The loss asks for 9 × 8 = 72 numbers about the nine objects, and for an objectness of 0 in most of the other 9 × 18 - 9 = 153 predictions.
#     - **D**: The frozen layers let no gradient through, so no gradient reaches the head.
#
# Hand in the function, the losses and a letter. If you like, try another start and other images, for example with
# `compare_runs(freeze_all_but_head, seed=2)`.


# %% tags=["starter"]
def freeze_all_but_head(network):
    """Let training change the weights of the head, conv_23, and no others.

    Parameters
    ----------
    network : keras.Model
        From `build_yolov2`. Its layers are changed in place.

    Returns
    -------
    int
        How many weights training still changes, counted as single numbers. A kernel
        of shape (3, 3, 8, 16) has 1152 of them.
    """
    return None  # your code


losses = None  # compare_runs(freeze_all_but_head), as soon as the function is complete
explanation = None  # "A", "B", "C" or "D"


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def freeze_all_but_head(network):
    """Let training change the weights of the head, conv_23, and no others."""
    for layer in network.layers:
        layer.trainable = layer.name == "conv_23"
    sizes = [np.prod(variable.shape) for variable in network.trainable_variables]
    return int(sum(sizes))


losses = compare_runs(freeze_all_but_head)
# With seed 1 the losses were about 0.83, 1.68 and 1.64, with seed 2 0.53, 1.75 and
# 1.67, and with seed 3 0.53, 1.36 and 1.15.
# A: five times as many steps do not close the gap.
# C: the head has 2064 weights, many more than the 72 + 153 numbers it has to learn.
# D: the gradient comes from the loss, so it reaches the head before any other layer.
explanation = "B"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
network = yolo.build_yolov2(**SHAPE_NETWORK)
count = freeze_all_but_head(network)
trained = {variable.path.split("/")[0] for variable in network.trainable_variables}
assert count is not None, "freeze_all_but_head is still empty, or it returns nothing"
hint = "nothing is trained any more. Either network.trainable is off, which overrules "
hint += "all layers, or you have taken the last layer for the head: go by the name"
assert trained, hint
hint = "the head itself is frozen: it is the one layer that has to go on learning"
assert "conv_23" in trained, hint
hint = "all convolutions but the head are frozen, but batch normalization is not. It "
hint += "learns a scale and a shift for each channel, so freeze it as well"
assert not (any("norm" in name for name in trained) and "conv_1" not in trained), hint
hint = "no layer is frozen yet: set layer.trainable of the others to False"
assert not {"conv_1", "norm_1"} <= trained, hint
assert trained == {"conv_23"}, f"training still changes {', '.join(sorted(trained))}"
hint = "count single numbers and not arrays: the shape of each says how many it holds"
assert count != 2, hint
assert count != 2048, "the head has a bias too: count all trainable variables"
assert count == 2064, f"the head has 2064 weights that training changes, not {count}"
assert losses is not None, "losses is still empty: call compare_runs"
assert explanation is not None, "explanation is still empty: choose A, B, C or D"
everything, short, long = losses.values()
assert everything < 0.8 * long, "unexpected losses: run compare_runs again"
hints = {
    "A": "compare the last two of the three losses: 200 steps instead of 40 do not "
    "bring the head alone close to training everything",
    "C": "the head has 2064 weights, far more than the numbers that it has to learn",
    "D": "the gradient starts at the loss and reaches the head first, then the layers "
    "before it. The loss of the head alone has fallen too, if only a little",
}
assert explanation == "B", hints.get(explanation, "choose A, B, C or D")
print("Exercise 5.4 is right: a head can only use what the features show. Freezing")
print("saves time, but it takes a backbone that has learned useful features before.")

# %% [markdown]
# ## Check your understanding
#
# Answer each question for yourself before you open it.
#
# <details><summary>1. Why do we choose the epoch with validation images, but report the mAP of test images?</summary>
#
# The validation images have decided which epoch to keep. Among many epochs, some look good on exactly these images by
# chance, and we pick the best-looking one. So the validation mAP of the chosen epoch is a little too good. The test
# images have decided nothing, so their mAP is what you can expect on new images.
#
# </details>
#
# <details><summary>2. Why may the mAP still rise while the validation loss already rises too?</summary>
#
# They ask different questions. The loss punishes a wrong prediction more, the surer the network is of it, so a few
# very sure mistakes can raise it. The mAP only looks at the order of the confidence scores, and at whether the boxes
# overlap their objects by at least 0.5. More objects may be found in the right order while the certainty becomes
# exaggerated.
#
# </details>
#
# <details><summary>3. Why does the learning rate start near zero, although we want to learn quickly?</summary>
#
# At the start the head is random, and its gradients are large and useless. They run through all layers. Long steps in
# their direction would damage what the pre-trained weights already know. When the head has learned the most basic
# things, the gradients become useful and the steps may be long.
#
# </details>
#
# <details><summary>4. Your loop cannot learn eight images by heart without augmentation. What do you conclude, and what do you check?</summary>
#
# More data or more epochs will not help, because something is broken. Look at a batch with the boxes decoded from its
# targets first. Then check that the learning rate is neither tiny nor huge, that the gradients are applied to the
# weights, and that the layers are not frozen.
#
# </details>
#
# <details><summary>5. A run with 16 epochs is killed in the middle of epoch 10. What is lost, and what happens when you run the training cell again?</summary>
#
# Only the work of the unfinished epoch 10 is lost. The file `training_state.npz` holds the weights, the velocities
# and the history after epoch 9. The run continues with epoch 10, with the same order of images and the same
# augmentation, because these follow from the seed and the epoch. On the same machine it ends with the same weights as
# a run without interruption.
#
# </details>

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
# **Next:** [6 Inference](06_inference.ipynb) turns the raw output of this detector into detections, and measures how
# good they are.
