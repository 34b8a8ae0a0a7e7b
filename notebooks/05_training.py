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
# # 5 Training: from a seeded random network to a detector
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/05_training.ipynb)
#
# **Goal.** Train the network of part 3 with the loss of part 4 on the batches of part 2, watch it by numbers that it was not trained on, and keep the best of it.
#
# *The series* is Yumi's blog series on YOLOv2, which these notebooks follow; *the paper* is [YOLO9000](https://arxiv.org/abs/1612.08242); *Darknet* is its authors' [program](https://github.com/pjreddie/darknet).
#
# **You will learn**
# - what the network really sees: augmented batches, another image size every ten steps;
# - a learning-rate schedule that is used, not only defined;
# - one update written by hand in NumPy, and that it is the one that runs; and Muon, which learns more from each step;
# - why a detector starts as a classifier;
# - how to read training curves, and why validation mAP (not training loss) chooses the weights;
# - how a run survives being killed.
#
# *Read 20 min, run 6 to 10 min on two CPU cores, exercises 30 min.*
#
# | part | 1 anchors | 2 encoding | 3 model | 4 loss | **5 training** | 6 inference |
# |---|---|---|---|---|---|---|
# | makes | `anchors.json` | batches | the network | the loss | **`yolov2_weights.npz`, `history.json`** | detections, mAP |

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
import dataclasses
import tempfile

import yolo_helpers as yolo  # first: it keeps TensorFlow's start quiet

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats("jpeg", pil_kwargs={"quality": 80})
settings = yolo.load_settings()
keras.utils.set_random_seed(settings.seed)

# %% tags=["nbval-ignore-output"]
print("TensorFlow", tf.__version__, " Keras", keras.__version__, " GPUs:", len(tf.config.list_physical_devices("GPU")))
print(settings.table())

# %% [markdown]
# Three sets of images with three roles. **Training** images make the gradient. **Validation** images choose: the best epoch, and later anything we tune. **Test** images neither train nor choose an epoch; part 6 reports on them. (Where validation could not separate two settings of `tiny`, we looked at test as well: its number flatters a little.)
#
# > **Where the series goes wrong.** It trains on all 17,125 images and keeps the weights with the lowest *training* loss. A network that memorises looks best by that measure. A descendant that did split, but did not augment, had its best validation loss after two epochs.

# %%
splits = yolo.load_splits(settings.voc_dir)
for name, annotations in zip(("train", "validation", "test"), splits[:3]):
    print(f"{name:<11} {len(annotations):5d} images, {sum(len(a.labels) for a in annotations):6d} objects")

data = yolo.fingerprint(splits.train)
anchors = np.array(yolo.read_artifact(yolo.find_artifact(settings, "anchors.json", "01_anchor_clustering", data))["anchors"])

# %% [markdown]
# ## What does the network see?
#
# Never the same picture twice. For every image of every epoch, `make_dataset` draws
#
# - **a part of the photo** (`zoom`): in `tiny`, in the first 90 % of the epochs, half of the images, at random, show the whole photo, the others a window that holds the centre of one of its objects, with 40 to 100 % of the photo's sides. Darknet always takes the whole photo, and so does the profile `full`;
# - **borders**: each of the window's four moves by up to `jitter` of its side, inwards (objects grow) or outwards (beyond the photo is grey). Darknet moves them by up to 30 %, `tiny` by 15 %;
# - **flip**: left and right exchanged, half of the time;
# - **colours**: hue shifted by up to .1 of the colour circle, saturation and exposure multiplied or divided by up to 1.5.
#
# The colours' numbers are those of Darknet's `yolov2-voc.cfg`. The boxes move with their pixels; one that keeps less than a quarter of its area inside is dropped, the others are clipped. And every ten steps, another **image side** is drawn, so that one set of weights learns objects at many scales (the paper's multi-scale training).
#
# **Small images first, whole photos last.** `settings.phases` says what training images look like over the epochs. In the first fifth of the epochs of `tiny`, they have 192 and 224 pixels, then 256 to 320, in the second half 416 to 480, and in the last tenth they are whole photos of 480 pixels, as validation and test images are. A step on the smallest costs about two fifths of one on the largest, and is good enough to learn what a box is at all. The large ones are for small objects: the network misses a small object's centre by a sixth to a fifth of a cell, at 352 as at 480 pixels, so the larger the image, the better its small boxes fit. With sides up to 320 only, tested at 352, the mAP was .05 lower (in three quarters of the time). The last phase is for the difference between training and test: parts of photos show objects larger than whole photos do, at every side, and the batch norms' averages follow what training shows (Touvron et al. 2019, [Fixing the train-test resolution discrepancy](https://arxiv.org/abs/1906.06423)). Without large images, it was worth about .01 of mAP (one run each).
#
# **The anchors keep their pixels.** When the side changes, what is an anchor of "a quarter of the image"? Darknet's anchors are grid units, that is, multiples of 32 pixels, at every side. That is the natural choice: a convolution sees pixels, not fractions, and the same pixels should ask for the same answer. Our anchors are fractions of an image of `image_size` pixels; at another side, `anchors_at` turns them into that side's fractions.
#
# The figure shows the first batch of this run exactly as the network gets it: pixels from the batch tensor, boxes decoded from its target tensor `y`. If you train on your own data, look at this figure before anything else: most broken trainings are broken here.

# %%
def boxes_of_target(y):
    """Boxes (n, 4) as fractions and labels (n,) of one image's target (G, G, A, 5 + C)."""
    rows = y[y[..., 4] > 0]
    centre, size = rows[:, :2] / len(y), rows[:, 2:4] / len(y)
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1), rows[:, 5:].argmax(axis=1)


def show_batch(images, targets, columns=4):
    """Draw a batch with the boxes of its targets."""
    rows = int(np.ceil(len(images) / columns))
    figure, axes = plt.subplots(rows, columns, figsize=(11, 2.8 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, target in zip(axes.flat, images, targets):
        boxes, labels = boxes_of_target(target)
        picture = yolo.draw_boxes(np.uint8(255 * image), boxes * len(image), labels)
        axis.imshow(picture)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.03, hspace=0.03)
    plt.show()


def training_batches(epoch, **changes):
    """The training batches of one epoch of the first phase."""
    first = settings.phases[0]
    options = dict(image_size=first.sides, zoom=first.zoom, batch_size=settings.batch_size, training=True, seed=settings.seed)
    options |= dict(jitter=settings.jitter, anchor_size=settings.image_size)
    return yolo.make_dataset(splits.train, anchors, **{**options, **changes}, epoch=epoch)


images, (y, true_boxes) = next(iter(training_batches(epoch=0)))
show_batch(images[:16].numpy(), y[:16].numpy())

# %% [markdown]
# All of this is random, and yet repeatable: every draw follows from (seed, epoch, place in the epoch) and from nothing else. There is no hidden state that a restart could lose. The check below asks for the same epoch twice, and for another one.

# %%
again, (y_again, _) = next(iter(training_batches(epoch=0)))
other, _ = next(iter(training_batches(epoch=1)))
print("same epoch, same pixels and targets:", np.array_equal(images, again) and np.array_equal(y, y_again))
print("next epoch, other pixels:           ", images.shape != other.shape or not np.array_equal(images, other))

# %% [markdown]
# ## The schedule
#
# The learning rate starts at almost nothing and climbs to its peak during the **burn-in**, with the fourth power of the step as in Darknet: a random network has huge gradients, and one large step can ruin it. Darknet burns in over 1,000 batches of 64 images; our whole run in the `tiny` profile sees half as many images, so the burn-in is the first 5 % of the run. (During the same steps the loss's own warm-up of part 4 is on, which pulls boxes towards their anchors. The two have nothing to do with each other but the moment.) Afterwards the rate falls. The paper divides it by ten at epochs 60 and 90 of 160; half a cosine gets to the same place without two more numbers to choose, and serves short runs better.
#
# > **Where the series goes wrong.** Its `CustomLearningRateScheduler` holds YOLOv1's schedule and is never handed to `fit`. Here the function that is drawn is the function that `train_detector` calls.

# %%
steps_per_epoch = int(np.ceil(len(splits.train) / settings.batch_size))
total_steps = settings.epochs * steps_per_epoch
steps = np.arange(total_steps)
figure, axis = plt.subplots(figsize=(9, 2.8))
axis.plot(steps / steps_per_epoch, yolo.learning_rate_at(steps, total_steps, settings.learning_rate), color="#30638e", lw=2)
axis.axvspan(0, 0.05 * settings.epochs, color="#edae49", alpha=0.4, lw=0)
axis.text(0.055 * settings.epochs, 0.08 * settings.learning_rate, "burn-in", color="#a06a00")
axis.set(xlabel="epoch", ylabel="learning rate", title="A short climb, a long descent", xlim=(0, settings.epochs), ylim=(0, None))
axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
for share in (0.0, 0.025, 0.05, 0.5, 0.95):
    rate = yolo.learning_rate_at(share * 1000 - 1, 1000, peak=1.0)
    print(f"after {share:6.1%} of the run: {float(rate):.4f} of the peak")

# %% [markdown]
# ## One update by hand
#
# What happens in a step, in Darknet's order; the second point is our addition:
#
# 1. the **gradient** of the batch's loss, for each weight;
# 2. **clipping**: if the length of the whole gradient exceeds a limit, it is shortened to it. One strange batch cannot throw the network out of its valley. Darknet has no such limit; users of its ports ask about NaN losses more than about anything else;
# 3. **weight decay**: 0.0005 times the weight is added to the gradient, for convolution kernels only, never for biases or batch norm;
# 4. **momentum**: a velocity keeps nine tenths of itself and gains the new step; the weight moves by the velocity.
#
# That is the recipe of the profile `full`. `tiny`, with a thousand steps in all, replaces the fourth by Muon; we come to it below.

# %%
def clip_plain(gradients, limit):
    """The gradients (a list of arrays), shortened together so that their common length is at most `limit`."""
    length = np.sqrt(sum(float((gradient.astype(float) ** 2).sum()) for gradient in gradients))
    return [gradient * min(1.0, limit / length) for gradient in gradients]


def update_plain(weight, velocity, gradient, learning_rate, decay, momentum=0.9):
    """One step of stochastic gradient descent with momentum; returns the new weight and velocity."""
    velocity = momentum * velocity - learning_rate * (gradient + decay * weight)
    return weight + velocity, velocity


# %% [markdown]
# And the version that runs: `TrainStep` does the four things for all variables in one compiled graph. Below, a small network takes two steps both ways. The second step matters: only then the velocity is not zero.

# %%
def gradients_of(model, images, y, true_boxes):
    """The loss gradient for each trainable variable as arrays."""
    with tf.GradientTape() as tape:
        loss = sum(yolo.yolo_loss(y, true_boxes, model(images, training=True), anchors))
    return [gradient.numpy() for gradient in tape.gradient(loss, model.trainable_variables)]


small_batch, (small_y, small_true) = next(iter(training_batches(epoch=0, image_size=96, batch_size=4)))
small, twin = (yolo.build_yolov2(96, num_anchors=len(anchors), width=0.125, seed=1) for _ in range(2))
step = yolo.TrainStep(small, anchors)
velocities = [np.zeros(v.shape, np.float32) for v in twin.trainable_variables]
for learning_rate in (0.001, 0.002):
    step.run(small_batch, small_y, small_true, learning_rate, False)
    gradients = clip_plain(gradients_of(twin, small_batch, small_y, small_true), step.clip_norm)
    for i, (variable, gradient) in enumerate(zip(twin.trainable_variables, gradients)):
        decay = step.weight_decay if variable.path.endswith("kernel") else 0.0
        weight, velocities[i] = update_plain(variable.numpy(), velocities[i], gradient, learning_rate, decay)
        variable.assign(weight)

difference = max(np.abs(a.numpy() - b.numpy()).max() for a, b in zip(small.trainable_variables, twin.trainable_variables))
assert difference < 1e-4, difference
print("two steps by hand and by TrainStep give the same weights:", bool(difference < 1e-4))

# %% [markdown]
# ## Muon: every direction counts
#
# A thousand steps are little, so each should teach as much as it can. Look at a kernel's gradient as a matrix, one column for each filter. Its singular values tell how strong the gradient is in each direction, and usually a few directions are far stronger than the rest. **Muon** ([Jordan et al. 2024](https://kellerjordan.github.io/posts/muon/)) takes the momentum and makes all singular values equal. If the momentum is $U \Sigma V^\top$, the step goes along $U V^\top$.
#
# In plain code that is a singular value decomposition. What runs avoids it: a polynomial that is applied five times draws all singular values towards 1, with nothing but products of small matrices. It does not reach 1 exactly, and need not.

# %%
def orthogonalised_plain(matrix):
    """The matrix with all its singular values set to 1."""
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    return u @ vt


def newton_schulz_plain(matrix, steps=5):
    """Newton and Schulz's iteration, as Jordan writes it down: the singular values s become 3.44 s - 4.78 s^3 + 2.03 s^5."""
    x = matrix / np.linalg.norm(matrix)
    for _ in range(steps):
        x = 3.4445 * x - 4.7750 * x @ x.T @ x + 2.0315 * x @ x.T @ x @ x.T @ x
    return x


rng = np.random.default_rng(0)
example = rng.normal(size=(16, 6)) @ np.diag([100, 30, 10, 5, 3, 2.0]) @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
fast = yolo.orthogonalised(tf.constant(example, tf.float32)).numpy()
for name, matrix in (("gradient", example), ("exact", orthogonalised_plain(example)), ("five rounds", fast)):
    print(f"singular values, {name:<12}", np.round(np.linalg.svd(matrix, compute_uv=False), 1))
for shape in ((16, 6), (6, 16), (9, 9)):
    matrix = rng.normal(size=shape)
    np.testing.assert_allclose(yolo.orthogonalised(tf.constant(matrix, tf.float32)), newton_schulz_plain(matrix), atol=1e-4)
print("the plain iteration and the one that runs agree")

# %% [markdown]
# The step's length is then set to the usual length of one of Adam's steps ([Liu et al. 2025](https://arxiv.org/abs/2502.16982)), so that one learning rate serves both: kernels go with Muon; biases and batch norm, which are no matrices, and the head, which Muon's authors leave out, go with **Adam**, which divides each weight's step by the usual size of its gradient. For these few weights we take .3 of the rate: that was worth about .02 of mAP (one run each). Below, two steps of Muon by hand.

# %%
def muon_plain(weight, momentum, gradient, learning_rate):
    """One step of Muon for a kernel (height, width, inputs, filters); returns the new weight and momentum."""
    momentum = 0.95 * momentum + gradient
    direction = newton_schulz_plain((gradient + 0.95 * momentum).reshape(-1, weight.shape[-1]))
    return weight - learning_rate * 0.2 * max(direction.shape) ** 0.5 * direction.reshape(weight.shape), momentum


kernel = keras.Variable(rng.normal(size=(3, 3, 4, 8)).astype(np.float32), name="kernel")
optimizer, weight, momentum = yolo.Muon(), kernel.numpy(), 0.0
optimizer.build([kernel])
optimizer.learning_rate.assign(0.01)
for _ in range(2):
    gradient = rng.normal(size=kernel.shape).astype(np.float32)
    optimizer.apply([tf.constant(gradient)])
    weight, momentum = muon_plain(weight, momentum, gradient, 0.01)
np.testing.assert_allclose(kernel.numpy(), weight, atol=1e-4)
print("two steps of Muon by hand and by the optimizer give the same kernel")

# %% [markdown]
# ## One GPU, several, or none
#
# A network need not be computed with 32 bits. Where the device is faster with 16, `use_half_precision` lets the detector's layers compute with them, while the weights, batch norm's moments and the loss stay in single precision:
#
# - **float16** on a GPU: about twice as fast on a T4, half the memory. Its exponent has five bits, and small gradients would vanish. So `TrainStep` multiplies the loss by 128 and divides the gradients by it again, and leaves out a step in which they overflowed;
# - **bfloat16** on a processor that multiplies such numbers itself (AVX512-BF16): as many bits for the exponent as single precision has, so nothing vanishes, and seven for the digits, so 1.00 is followed by 1.01. We saw no harm in it. A step took two thirds of the time where we measured. Muon's products of matrices are computed with it too, as by its authors;
# - **float32** elsewhere, and whenever oneDNN is off, as it is when the outputs of this notebook are compared.
#
# Stage one, on small crops, stays in single precision; half precision begins with stage two.
#
# With several GPUs in this machine, each holds a copy of the network and takes its share of every batch. Three things must be right, so that the result is that of one GPU with the whole batch:
#
# - **batch norm** needs mean and variance of the *whole* batch: the devices average theirs in the middle of the forward pass, and the gradient flows back through that average;
# - **the loss** is divided by the whole batch, not by the share;
# - **the gradients** are added up *before* clipping: the length of a sum is not the sum of the lengths.
#
# `tests/test_distributed.py` makes two devices out of one processor and finds the same loss and the same update to 1e-5 (in a network without kinks: at the kinks of ReLU and max-pooling, rounding alone makes a larger difference). For several machines there is `notebooks/scripts/train_multi_worker.py`.

# %%
gpus = tf.config.list_physical_devices("GPU")
strategy = tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()
print("devices that share each batch:", strategy.num_replicas_in_sync)

# %% [markdown]
# ## Stage one: learn what things look like
#
# A detector must learn two things: what a bicycle looks like, and where bicycles are. The paper learns them one after the other. First, Darknet-19 is trained as a plain classifier on ImageNet's 1.28 million photos; then its head is exchanged and it learns to detect. We have no ImageNet here, but every true box is a labelled picture: cut out with up to as much again around it, flipped and recoloured. Part 3 shows a batch of these crops. A crop has about a fifteenth of the pixels of an image, so this stage is cheap.
#
# How much it gives, and how much every other part of the recipe, is what `notebooks/scripts/ablation.py` measures.
#
# The classifier *shares* its first 18 convolutions with the detector. Nothing needs to be copied: when the classifier has learned, so has the detector's backbone. In the profile `full` this stage is replaced by Darknet's own weights (`load_darknet_weights(model, path, head=False)`), or left out.

# %% tags=["nbval-ignore-output", "live"]
with strategy.scope():
    options = dict(width=settings.width, passthrough=settings.passthrough, seed=settings.seed)
    model = yolo.build_yolov2(None, num_anchors=len(anchors), **options)
    if settings.pretrain_epochs:
        accuracy = yolo.pretrain(model, splits.train, settings)
        share = np.bincount(np.concatenate([a.labels[~a.difficult] for a in splits.train])).max() / len(yolo.box_sizes(splits.train))
        print(f"\naccuracy on the training crops after {settings.pretrain_epochs} epochs: {accuracy[-1]:.0%} (guessing: {100 / len(yolo.CLASSES):.0f} %; always the most frequent class: {share:.0%})")

# %% [markdown]
# ## A quiet start
#
# A fresh head says "objectness one half" everywhere: hundreds of false alarms in each image. The first hundred steps would do little but push them down, with gradients so large that they shake loose what the first stage has learned. So we start the biases of the objectness at -4: "nothing here, two per cent" (the trick is Lin et al.'s, from RetinaNet; Darknet, which trains for days, does without).
#
# For the same reason `tiny` **freezes** the first five convolutions: they know edges, colours and textures from the first stage, their maps are the largest, and a step without their gradients takes a fifth less time. A batch norm that no longer changes is a factor and a summand for each channel. The factor goes into the kernel before it (part 6 shows how), and TensorFlow then runs convolution, bias and leaky ReLU as one operation: that saves about a quarter of the rest.
#
# **Place counts more** than in Darknet. The loss's terms for place and size are small beside those for class and objectness, and in a short training they are learned last: with Darknet's weight of 1, predicted and true centres inside the cells correlate by .6 on validation and test images, with more weight by .65 (single runs). `tiny` gives them the weight 4 (Darknet's name for this number is `coord_scale`), in training and validation alike. The loss that notebook 04 proves to be Darknet's has 1, and so has `full`.

# %%
quiet = yolo.build_yolov2(96, num_anchors=len(anchors), width=0.125, seed=1)
yolo.quiet_start(quiet)
for name, network in (("as built", yolo.build_yolov2(96, num_anchors=len(anchors), width=0.125, seed=1)), ("quiet", quiet)):
    terms = yolo.yolo_loss(small_y, small_true, network(small_batch, training=False), anchors)
    print(f"{name:<9} background term {float(terms.no_objectness):6.2f}, class term {float(terms.classes):6.2f}")

# %% [markdown]
# ## Stage two: learn where things are
#
# `train_detector` now runs epoch after epoch: all training batches through `TrainStep`, then loss and mAP on the validation images. To validate takes time too, so it happens every `validate_every` epochs and after the last. When that mAP is the best so far, the weights are written to `yolov2_weights.npz`; when it has not improved for `patience` epochs, training stops early. The table of all epochs is in `history.csv`, which any spreadsheet can plot while the run goes on. After each epoch the whole state of the run is saved too; we come back to this below.
#
# While it runs, we take a picture of the same four validation images after some of the epochs.

# %% tags=["nbval-ignore-output", "live"]
watched = splits.validation[:4]
watched_images = [yolo.read_image(annotation.image_path) for annotation in watched]
watched_epochs = sorted({1, 2, settings.epochs // 4, settings.epochs // 2, settings.epochs} - {0})
snapshots = {}


def take_snapshot(model, row):
    """Keep the detections on the watched images after the chosen epochs."""
    if row["epoch"] in watched_epochs:
        snapshots[row["epoch"]] = yolo.detect(model, watched_images, anchors, image_size=settings.image_size)


yolo.quiet_start(model, settings.frozen if settings.pretrain_epochs else 0)
history = yolo.train_detector(
    model, splits.train, splits.validation, anchors, settings, folder=settings.artifacts, on_epoch=take_snapshot
)

# %% [markdown]
# ## What do the curves say?
#
# Left, the loss of training and validation images. Training images are augmented and shown while the network still changes, validation images are neither; the two curves are comparable in trend, not in height. What to look for:
#
# - **both fall**: all is well, and while the validation curve still falls at the end, more epochs would help;
# - **training falls, validation rises**: memorising; more augmentation or more images are needed;
# - **neither falls**: look at the batch figure above, then at the learning rate.
#
# In `tiny`, the phases change at the dotted lines. At the first two, the images grow: the training loss jumps up for a moment, because larger images have more cells to be wrong in, and soon falls below. The validation images have had 480 pixels all the time; what an object looks like at about that size is learned only behind the second line, where the mAP jumps. At the third, training images become whole photos of that size.
#
# Right, the number that counts. It often still climbs while the loss looks flat: the loss adds up how sure and how exact every prediction is, the mAP asks only for the order of the scores and for an IoU of .5.

# %%
validated = [row for row in history if row["validation_map"] is not None]
epochs = [row["epoch"] for row in validated]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
left.plot([row["epoch"] for row in history], [row["loss"] for row in history], "o-", ms=3, color="#30638e", label="training")
left.plot(epochs, [row["validation_loss"] for row in validated], "o-", ms=3, color="#d1495b", label="validation")
left.set(xlabel="epoch", ylabel="loss per image", title="The loss falls", ylim=(0, 1.25 * max(row["validation_loss"] for row in validated)))
left.legend(frameon=False)
scores = [row["validation_map"] for row in validated]
best = int(np.argmax(scores))
right.plot(epochs, scores, "o-", ms=3, color="#d1495b")
right.plot(epochs[best], scores[best], "o", ms=11, mfc="none", mec="black")
right.text(0.97, 0.06, f"kept: epoch {epochs[best]}, mAP {scores[best]:.2f}", transform=right.transAxes, ha="right")
right.set(xlabel="epoch", ylabel="mAP@.5", title="The validation mAP climbs, and chooses", ylim=(0, max(0.1, 1.15 * max(scores))))
for axis in (left, right):
    for phase in settings.phases[:-1]:
        axis.axvline(round(phase.until * settings.epochs) + 0.5, color="#888888", lw=1, ls=":")
    axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
print("the training loss fell:        ", history[-1]["loss"] <= history[0]["loss"])
print("every loss is finite:          ", all(np.isfinite(row["loss"]) for row in history) and all(np.isfinite(row["validation_loss"]) for row in validated))
size = (settings.artifacts / "yolov2_weights.npz").stat().st_size
print("the weights take at most 7 MB: ", size <= 7e6 or settings.profile == "full")

# %% [markdown]
# The same four images over the epochs. At first nothing reaches the threshold of .25. After a quarter of the run there are the first boxes, some of them twice on one object, some of the wrong class or on no object at all. Then the doubles disappear, classes are corrected, and the boxes fit better; not everywhere, as the last row shows.

# %% tags=["nbval-ignore-output"]
figure, axes = plt.subplots(len(snapshots), len(watched), figsize=(11, 2.2 * len(snapshots)), squeeze=False)
for row, (epoch, found) in zip(axes, snapshots.items()):
    for axis, image, detections in zip(row, watched_images, found):
        axis.imshow(yolo.draw_boxes(image, *detections[:1], detections.labels, detections.scores))
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"epoch {epoch}", fontsize=11)
figure.subplots_adjust(left=0.03, right=1, bottom=0, top=1, wspace=0.03, hspace=0.05)
plt.show()

# %% [markdown]
# ## What does each part give?
#
# The recipe has many parts. [ablation.py](scripts/ablation.py) takes them out one at a time and trains again, on the same budget of pixels and from the same seeds: the paper's table of improvements, read backwards. A whole training takes minutes, so these are short ones of 10 epochs, each from three seeds. A dot is one training, a bar the mean of the three. Grey means *undecided*: the difference from the full recipe is no larger than the spread of the seeds.

# %%
from IPython.display import Image

Image(filename=yolo.ROOT / "data/reference/ablation.png")

# %% [markdown]
# - **Batch norm, the first stage and the loss** weigh most. Without batch norm the loss stops being a number within the first steps, at this learning rate and in bfloat16. Without the first stage, 67 % of the mAP are gone, although its runs got two more epochs of detection for the pixels that the crops would have cost: ten epochs are too few to learn from nothing what things look like. With the series' loss (its four mistakes, no weight for small boxes, no warm-up), it is 43 %. The validation images say the same of all three.
# - **Augmentation** costs .05 here on test and .03 on validation images, both undecided. Ten epochs are too short to memorise 400 images, and pictures that change make the task harder; whole trainings without it were not compared.
# - **All else is undecided**, too, on the test images. That does not say that it is useless. It says that 100 images and three short runs cannot tell. And what helps a long training may cost in a short one: the weight of place and size, for example, costs .04 on the validation images here, while in whole trainings of an earlier recipe the mean of validation and test mAP was .66 with it (two runs) and .64 without (one; all three with five anchors, not stored).
#
# By chance alone, one comparison in twenty would look decided.

# %% [markdown]
# ## What if the run is killed?
#
# A free GPU disconnects, a laptop goes to sleep, somebody trips over the cable. After every epoch, `train_detector` writes one file, `training_state.npz`: weights, velocities, history. It is written beside its place and then renamed, so at any moment there is either the old or the new state, never half of one. Started again with the same data and settings, training goes on after the last finished epoch. Order, augmentation, image sides and schedule need no state at all: they follow from (seed, epoch).
#
# So an interrupted run must end with *exactly* the weights of one that was not. Let us see: a toy training, once in one go, and once broken off after its first epoch.

# %%
class Unplugged(Exception):
    """Somebody trips over the cable."""


def unplug(model, row):
    raise Unplugged


def toy_training(folder, **options):
    """Train a very small network for three epochs on the first images; returns its weights."""
    toy = dataclasses.replace(settings, phases=(yolo.Phase(1, (64, 96), (0.4, 1.6)),), image_size=96, batch_size=4, epochs=3, pretrain_epochs=0, validate_every=1)
    model = yolo.build_yolov2(None, num_anchors=len(anchors), width=0.125, seed=2)
    yolo.train_detector(model, splits.train[:12], splits.validation[:4], anchors, toy, folder=folder, **options)
    return [variable.numpy() for variable in model.variables]


# %% tags=["nbval-ignore-output"]
with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
    straight = toy_training(one)
    try:
        toy_training(two, on_epoch=unplug)
    except Unplugged:
        print("... unplugged; started again:")
    resumed = toy_training(two)

# %%
print("the same weights, bit for bit:", all(np.array_equal(a, b) for a, b in zip(straight, resumed)))

# %% [markdown]
# In Colab, let the artifacts lie on Google Drive. Put this at the end of the set-up's first cell: `from google.colab import drive; drive.mount("/content/drive"); os.environ["YOLO_ARTIFACTS"] = "/content/drive/MyDrive/yolov2"`.
#
# ## Hand over
#
# Part 6 needs the weights (written by `train_detector` already) and the history.

# %%
yolo.write_artifact(settings.artifacts / "history.json", {"history": history}, {"data": data, "profile": settings.profile})
print("written:", ", ".join(sorted(p.name for p in Path(settings.artifacts).glob("*") if p.name in ("history.json", "yolov2_weights.npz"))))

# %% [markdown]
# ## Key points
#
# - Look at the exact training batch with its boxes before training.
# - The validation images choose. The training images cannot, and the test images should not.
# - Burn-in, clipping and the right loss are what keeps the loss a number.
# - The backbone first learns to classify, then the whole network learns to detect.
# - What is random follows from (seed, epoch, place): repeatable, and safe against interruption.
#
# ## Exercises
#
# 1. Set `pretrain_epochs=0` with `dataclasses.replace` and train again. How much mAP does the first stage give, and how much time does it take?
# 2. Train with less augmentation (`dataclasses.replace(settings, jitter=0)`, and phases with `zoom=(1, 1)`). Which of the two curves tells you first that something is wrong?
# 3. Double the peak learning rate until training breaks. What do you see first: the loss, or the mAP?
# 4. Why is weight decay not applied to batch norm's gamma? What would it do to a layer that is followed by another batch norm?
#
# <details><summary>Solutions</summary>
#
# 1. Compare the two curves of validation mAP at the same number of minutes, not of epochs: the first stage takes about an eighth of the time. (Freeze nothing then: random filters should learn.) The fewer the images, the more it should help.
# 2. Validation loss turns upwards while training loss falls faster than before: memorising.
# 3. The loss jumps and, thanks to clipping, comes back; the mAP stays near zero for longer. Without clipping the loss may become NaN.
# 4. Scaling a kernel before batch norm changes nothing in the output, so decay there acts as a learning-rate control; gamma is the real scale of a channel, and pulling it to zero would switch the channel off.
#
# </details>
#
# **Next:** [6 Inference](06_inference.ipynb) turns raw outputs into boxes, and boxes into one honest number.
