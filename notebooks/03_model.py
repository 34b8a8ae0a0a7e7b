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
# # 3 The model: from pixels to predictions
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/03_model.ipynb)
#
# In this chapter you build YOLOv2's network layer by layer, fill it with pre-trained weights, and see its first,
# untrained answer for our photo of two cows and a dog.
#
# **You will learn**
#
# - why the network needs exactly five poolings, and why its last layer has the number of filters it has,
# - what the block is that the network repeats 22 times, and which of its numbers you must not leave to Keras' defaults,
# - where the weights and the computing time are, and how much of the photo one cell sees,
# - what the passthrough is, and why Darknet's version differs from `tf.nn.space_to_depth`,
# - how weights are stored in a file, and what you gain by starting from pre-trained ones.
#
# **Time:** reading 60 min, exercises 45 min, running half a minute on two CPU cores.
#
# Three names appear throughout. *The paper* is [YOLO9000](https://arxiv.org/abs/1612.08242), which introduced YOLOv2.
# *Darknet* is the [program](https://github.com/pjreddie/darknet) of its authors. *The series* is the set of blog
# posts by Yumi that these chapters follow; names such as `define_YOLOv2` come from there. Other terms are explained
# where they first appear, and collected in [the glossary](glossary.md).

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
import keras
import numpy as np
import tensorflow as tf

import yolo_helpers as yolo

figures.setup()
settings = yolo.load_settings()
keras.utils.set_random_seed(settings.seed)

# %% [markdown]
# Here is the pipeline of the whole book again. This chapter is about the network and the raw output that it produces.

# %%
figures.pipeline(highlight=3)

# %% [markdown]
# These are the tensors in play. B is the number of images in a batch, and C is the number of classes: 20 for Pascal
# VOC.
#
# | name | shape | what it holds |
# |---|---|---|
# | image | (B, 416, 416, 3) | colours from 0 to 1 |
# | feature map | (B, 13, 13, 1024), for example | what a layer hands to the next one: at each position, one number for each *channel* |
# | kernel | (3, 3, channels in, channels out), for example | the weights of a convolution; each output channel has its own *filter* |
# | raw output | (B, 13, 13, 4, 5 + C) | for each cell and anchor: location, size, objectness and classes, before they are turned into a box |
# | anchors | (4, 2) | widths and heights from chapter 1, in grid units (cells of 32 pixels) |

# %% [markdown]
# ## What shape must the answer have?
#
# A network is easiest to understand from its end. Chapter 2 turned each photo into a target tensor, and the network
# will be trained to reproduce that target. So the shape of its output is already decided. Let us load the running
# example and look.

# %%
splits = yolo.load_splits(settings.voc_dir)
anchors = yolo.load_anchors(settings, splits.train)
num_anchors, num_classes = len(anchors), len(settings.classes)

example = figures.pick(splits.train, "2026_000123")
image, target, _ = yolo.make_example(example, anchors, 416, num_classes)
print("image ", image.shape)
print("target", target.shape)

# %% [markdown]
# Two facts about the network follow from these two lines.
#
# First, 416 positions along each side must become 13. The network gets there by halving the map five times, since
# 416 / 2 / 2 / 2 / 2 / 2 = 13. The figure shows our photo after each halving, with the colours averaged. (The
# network does something better than averaging, as we will see.)

# %%
figures.halvings(image)

# %% [markdown]
# In the last picture, one pixel stands for one cell, and nobody could recognise the dog in its three
# colour values. So colours alone are not enough. While the map shrinks, its number of channels grows
# from 3 to 1,024, so that each of the 13 × 13 positions can carry a rich description of what is around it.
#
# Second, the last layer must produce one vector of 5 + C numbers for each anchor, in every cell.

# %%
numbers_in_a_cell = num_anchors * (5 + num_classes)
num_predictions = 13 * 13 * num_anchors
print(f"{num_anchors} x (5 + {num_classes}) = {numbers_in_a_cell} numbers in each cell")
print(f"13 x 13 x {num_anchors} = {num_predictions} predictions in each image")

# %% [markdown]
# So the last layer is a convolution with exactly 100 filters (for 20 classes). Its kernel covers 1 × 1 positions: it
# looks at the 1,024 numbers of one cell and turns them into that cell's predictions. This last layer is called the
# *head*.
#
# The network has no fully connected layer anywhere. A convolution does not care how large its map is, so the same
# weights work for every image size that is a multiple of 32. Chapter 5 uses this to train with images of several
# sizes.

# %% [markdown]
# ## What is repeated 22 times?
#
# Every convolution except the head is part of the same small block: a convolution, then batch normalization, then a
# leaky ReLU. The series calls it `ConvBatchLReLu`.


# %%
def ConvBatchLReLu(x, filters, kernel_size, number):
    """Convolution, batch normalization, leaky ReLU."""
    x = keras.layers.Conv2D(
        filters, kernel_size, padding="same", use_bias=False, name=f"conv_{number}"
    )(x)
    x = keras.layers.BatchNormalization(
        epsilon=1e-6, momentum=0.9, name=f"norm_{number}"
    )(x)
    return keras.layers.LeakyReLU(negative_slope=0.1, name=f"leaky_{number}")(x)


# %% [markdown]
# To see what each part does, we send the running example through a block with four random filters and keep the result
# after each of the three steps. With `training=True`, batch normalization works as it does during training.

# %%
photo = keras.Input((None, None, 3))
block = keras.Model(photo, ConvBatchLReLu(photo, 4, 3, number=1))
steps = keras.Model(photo, [layer.output for layer in block.layers[1:]])
after_steps = steps(image[None], training=True)

names = ["1 convolution", "2 batch normalization", "3 leaky ReLU"]
for name, values in zip(names, after_steps, strict=True):
    values = values.numpy()
    means, spreads = values.mean(axis=(0, 1, 2)), values.std(axis=(0, 1, 2))
    print(f"{name:22} means {means.round(2) + 0.0}, spreads {spreads.round(2)}")

# %%
figures.channel_histograms(
    after_steps, names, "Batch normalization puts all channels on one scale"
)

# %% [markdown]
# Each row of the figure is one channel, and each hill shows which values are frequent in it. After the
# **convolution**, every channel has its own mean and its own spread. The next layer would have to cope with whatever
# scale comes out, and after 22 such layers the values could have grown or shrunk beyond use.
#
# **Batch normalization** removes this problem. For each channel it subtracts the mean of the batch and divides by the
# standard deviation, so all means become 0 and all spreads become 1. It then multiplies by a learned scale (*gamma*)
# and adds a learned shift (*beta*). Because the mean is subtracted anyway, a bias in the convolution would have no
# effect, so there is none (`use_bias=False`).
#
# While it trains, it also keeps running averages of the means and variances. These are used later, when there is no
# batch to measure. In the paper, adding batch normalization raised the mAP (mean average precision, here out of 100)
# from 63.4 to 65.8.
#
# The **leaky ReLU** makes the network more than a chain of linear maps. Positive values pass unchanged, and negative
# values are multiplied by 0.1. That is why the left half of each histogram is squeezed against 0. The small slope keeps
# a gradient for negative values too, so no filter can get stuck at zero.
#
# > **Pitfall.** Pre-trained weights expect the numbers that they were trained with, and Keras' defaults are different:
# > the slope of its leaky ReLU is 0.3 instead of 0.1, and the epsilon of its batch normalization is 1e-3 instead of 1e-6.
# > Epsilon is added to the variance before the division, so that nothing is divided by zero. Nothing crashes with the
# > wrong value, but channels with a small variance are made even smaller. Here is how much remains of a channel whose
# > variance is 0.00001:

# %%
variance = 1e-5
for epsilon in (1e-6, 1e-3):
    remains = np.sqrt(variance / (variance + epsilon))
    print(f"epsilon {epsilon}: {remains:.0%} of the value remains")

# %% [markdown]
# With Keras' default, such a channel would reach the next layer at a tenth of its strength. (Darknet itself adds 1e-6
# to the square root of the variance. Keras cannot do exactly that, because its epsilon stands under the root. With
# 1e-6 the difference is small: Darknet would keep nearly 100 % of even this extreme channel, and we keep 95 %.)
#
# A third default is changed because our trainings are short. With `momentum=0.9` instead of 0.99, the running averages
# follow faster.

# %% [markdown]
# ## Which layers lie between the photo and the answer?
#
# The figure shows the complete network of the paper, with a head for our 4 anchors and 20 classes. (The authors use 5
# anchors.) Start at the image on the left and go down.

# %% tags=["slide"]
figures.architecture(image, num_anchors, num_classes)

# %% [markdown]
# The left column is the *backbone*, the part that learns to recognise things. It consists of the first 18
# convolutions of a network called Darknet-19; the 19th was its classifier, which a detector does not need. (Our conv
# 19 is another layer.) Five times, *max-pooling* keeps only the largest of every 2 × 2 values and so halves the map.
# Each time, the convolutions that follow double the number of channels.
#
# At the bottom, two more convolutions follow, and the flow turns upwards. At the *concatenation*, the coarse 13 × 13
# map is joined with a finer one: the map of conv 13, which is still 26 × 26, has taken a short cut round the last
# pooling (red arrow). This short cut is the *passthrough*. On it, conv 21 reduces the number of channels, and a
# *reordering* turns 26 × 26 into 13 × 13. One more convolution mixes the two maps, and the head makes the raw output.
# In every cell, it holds one row of numbers for each anchor.
#
# In code, we write the backbone first. Many of its 3 × 3 convolutions alternate with 1 × 1 convolutions that halve
# the number of channels. They save weights, and therefore work: a 3 × 3 convolution from 1,024 to 1,024 channels has
# 9.4 million weights, but 1 × 1 to 512 channels and 3 × 3 back to 1,024 have 5.2 million together.


# %%
def darknet19(x):
    """The backbone. Returns its last map and the finer map of conv_13."""
    pool = keras.layers.MaxPooling2D
    x = ConvBatchLReLu(x, 32, 3, number=1)  # 416 x 416
    x = ConvBatchLReLu(pool()(x), 64, 3, number=2)  # 208 x 208
    x = ConvBatchLReLu(pool()(x), 128, 3, number=3)  # 104 x 104
    x = ConvBatchLReLu(x, 64, 1, number=4)
    x = ConvBatchLReLu(x, 128, 3, number=5)
    x = ConvBatchLReLu(pool()(x), 256, 3, number=6)  # 52 x 52
    x = ConvBatchLReLu(x, 128, 1, number=7)
    x = ConvBatchLReLu(x, 256, 3, number=8)
    x = ConvBatchLReLu(pool()(x), 512, 3, number=9)  # 26 x 26
    x = ConvBatchLReLu(x, 256, 1, number=10)
    x = ConvBatchLReLu(x, 512, 3, number=11)
    x = ConvBatchLReLu(x, 256, 1, number=12)
    fine_map = ConvBatchLReLu(x, 512, 3, number=13)
    x = ConvBatchLReLu(pool()(fine_map), 1024, 3, number=14)  # 13 x 13
    x = ConvBatchLReLu(x, 512, 1, number=15)
    x = ConvBatchLReLu(x, 1024, 3, number=16)
    x = ConvBatchLReLu(x, 512, 1, number=17)
    x = ConvBatchLReLu(x, 1024, 3, number=18)
    return x, fine_map


# %% [markdown]
# The rest adds what detection needs. `yolo.Passthrough` does the reordering: it turns the 26 × 26 map into a 13 × 13
# map with four times as many channels. How it does so is the subject of a section below. For easy reading we fix the
# image size at 416 here.


# %%
def define_YOLOv2(num_anchors, num_classes):
    """The whole network, from an image to the raw output."""
    inputs = keras.Input((416, 416, 3))
    x, fine_map = darknet19(inputs)
    x = ConvBatchLReLu(x, 1024, 3, number=19)
    x = ConvBatchLReLu(x, 1024, 3, number=20)
    fine_map = ConvBatchLReLu(fine_map, 64, 1, number=21)  # 26 x 26
    fine_map = yolo.Passthrough()(fine_map)  # 13 x 13
    x = keras.layers.Concatenate()([fine_map, x])
    x = ConvBatchLReLu(x, 1024, 3, number=22)
    x = keras.layers.Conv2D(num_anchors * (5 + num_classes), 1, name="conv_23")(x)
    x = keras.layers.Reshape((13, 13, num_anchors, 5 + num_classes))(x)
    return keras.Model(inputs, x)


# %% [markdown]
# That is all of YOLOv2's network. We build it for Pascal VOC, with 4 anchors and 20 classes, and count its parameters.

# %%
network_voc = define_YOLOv2(num_anchors=4, num_classes=20)
total = network_voc.count_params()
trainable = sum(variable.numpy().size for variable in network_voc.trainable_variables)
print(f"{total:,} parameters")
print(f"{trainable:,} of them are trained")
print(f"{total - trainable:,} are running means and variances")

# %% [markdown]
# These are the numbers that the series reports, to the last digit. If you change the number of classes or anchors, only
# the head changes: everything before it has 50,547,936 parameters in any case. The running means and variances are
# parameters too, but they are measured and not trained.

# %% [markdown]
# ### The same network in `yolo_helpers.py`
#
# The following chapters use `yolo.build_yolov2`, which builds this network in a loop over a table of layers. It adds
# two conveniences. With `image_size=None` it accepts every multiple of 32. And `width=0.25` gives every layer except
# the head a quarter of its filters, hence about a sixteenth of the weights. The settings of this project come as two
# *profiles*: `tiny`, with this small network and rendered images, trains on two CPU cores in minutes, and `full` is
# the paper's network for the real Pascal VOC. You are working with `tiny`, unless you set the environment variable
# `YOLO_PROFILE` to `full` before you start Jupyter (see the [README](../README.md)).
#
# Is it really the same network? We copy all weights from one to the other and compare the raw outputs for our photo.
# The batch normalizations get random numbers first, because their initial zeros and ones would hide mistakes.


# %%
def randomise_norms(network):
    """Put random numbers into all batch normalizations."""
    rng = np.random.default_rng(0)
    for _, norm in yolo.darknet_layers(network):
        if norm:
            shape = norm.gamma.shape
            norm.set_weights([rng.uniform(0.5, 1.5, shape) for _ in range(4)])


network = yolo.build_yolov2(None, num_anchors=4, num_classes=20)
randomise_norms(network)
for layer in network.layers:
    if layer.weights:
        network_voc.get_layer(layer.name).set_weights(layer.get_weights())

# %%
raw = network(image[None], training=False).numpy()
raw_written_out = network_voc(image[None], training=False).numpy()
difference = np.abs(raw - raw_written_out).max() / np.abs(raw).max()
print("raw output", raw.shape, "the same:", bool(difference < 1e-5))
small = yolo.build_yolov2(None, num_anchors=4, num_classes=20, width=0.25)
print(f"parameters: width 1 {network.count_params():,}")
print(f"            width 0.25 {small.count_params():,}")

# %% [markdown]
# ## Where are the weights, and where is the work?
#
# A convolution with a k × k kernel has k · k · (channels in) · (channels out) weights. It uses each of them once at
# every position of its map. So the number of multiplications is the number of weights times the number of positions.

# %%
# The sides of the 23 maps, in the order of the convolutions.
sides = [416, 208] + 3 * [104] + 3 * [52] + 5 * [26] + 7 * [13] + [26] + 2 * [13]
weights, work = [], []
for (convolution, _), side in zip(yolo.darknet_layers(network_voc), sides, strict=True):
    size = convolution.kernel.numpy().size
    weights.append(size / 1e6)
    work.append(size * side**2 / 1e9)
heavy = weights[18] + weights[19] + weights[21]  # conv_19, conv_20, conv_22
print(f"{sum(work):.1f} billion multiplications for one image")
print(f"{heavy / sum(weights):.0%} of the weights are in conv_19, conv_20 and conv_22")

# %% tags=["slide"]
figures.layer_costs(range(1, 24), weights, work)

# %% [markdown]
# The early layers have few weights, but use them at up to 173,056 positions. The late layers have only 169 positions,
# but weights by the million. A pooling leaves a quarter of the positions. If the channels double at the same time, a
# 3 × 3 layer has four times the weights, because it has twice as many channels on both sides. Four times the weights
# at a quarter of the positions are the same work. This is why so many bars of the work are equally high. Two
# practical rules follow. If the network is too large for your disk or memory, the last 3 × 3 layers are the place to
# save, and that saves work too. If it is too slow, smaller images help every layer: half the side means a quarter of
# the work.

# %% [markdown]
# ## How much of the photo does one cell see?
#
# A cell is 32 pixels wide, and yet it has to predict boxes that fill the photo. This works because its value depends
# on many more pixels than its own 32. The square of pixels that can influence an output is called its *receptive
# field*. It follows from the architecture alone. Call the distance in pixels between neighbouring positions of a map
# its *spacing*. It starts at 1 and doubles at every pooling. A k × k kernel makes the field wider by k - 1 spacings,
# and a pooling by one spacing. In the code, `yolo.DARKNET19` is the backbone as a list of "pool" and (filters, kernel
# size).

# %%
field, spacing = 1, 1  # in pixels
for layer in yolo.DARKNET19:
    if layer == "pool":
        field += spacing
        spacing *= 2
    else:
        _, kernel_size = layer
        field += (kernel_size - 1) * spacing
field += 3 * 2 * spacing  # conv_19, conv_20 and conv_22
print(f"theoretical receptive field: {field} x {field} pixels")

# %% [markdown]
# The field is wider than the photo of 416 × 416 pixels, so a cell in the middle can see all of it. But it is a
# *theoretical* limit. It says which pixels can have an influence, not how much each of them has. A pixel near the
# border of the field reaches the output along few paths, a pixel in the middle along very many.
#
# We can measure the influence: it is the gradient of a cell's values with respect to the pixels. (`tf.GradientTape`
# records a calculation, and can then say how much its result changes with each input.) We use an image of 640 × 640
# pixels, so that the whole field fits in, and the network `small` from above, which has a quarter of the filters and
# random weights.

# %%
large_image, _, _ = yolo.make_example(example, anchors, 640, num_classes)
features = keras.Model(small.input, small.get_layer("leaky_22").output)
pixels = tf.Variable(large_image[None])
cell = 10  # row and column, of 20 x 20
with tf.GradientTape() as tape:
    activity = tf.reduce_sum(features(pixels, training=False)[0, cell, cell])
influence = np.abs(tape.gradient(activity, pixels)[0]).sum(axis=-1)

# %%
centre = 32 * cell + 16
for side in range(32, field + 1, 32):
    low, high = centre - side // 2, centre + side // 2
    share = influence[low:high, low:high].sum() / influence.sum()
    if share >= 0.9:
        break
print(f"90 % of the influence comes from {side} x {side} pixels")

# %% tags=["slide"]
figures.seen_pixels(large_image, influence, field, side, cell)

# %% [markdown]
# The stronger the red, the larger the influence. Nine tenths of it come from the blue square, which has less than
# half of the area of the theoretical field (dashed). It is concentrated round the cell, and spread unevenly. This
# smaller area is called the *effective* receptive field. It differs from image to image, and training is reported to
# enlarge it (Luo et al. 2016). It is still many times larger than the cell, and so a cell can judge objects that
# reach far beyond its own border.

# %% [markdown]
# ## What does the passthrough do?
#
# Each pooling makes the map coarser. A small object such as our dog covers only about two and a half cells of the 13
# × 13 map, but ten positions of the 26 × 26 map, where its parts are still apart. The passthrough brings that finer
# map to the end of the network. First, conv 21 turns the 512 channels of this map into 64. These 64 channels then
# have to become 13 × 13, so that they can be concatenated, and in that step no value should be lost. The solution is
# to move values from positions to channels: one channel of 26 × 26 becomes four channels of 13 × 13.
#
# TensorFlow has a function for this, `tf.nn.space_to_depth`. From every 2 × 2 block of a channel, it sends the
# upper left value to one output channel, the upper right value to a second, and so on. Darknet has one too, called
# `reorg`, but it works differently. To compare the two, we use an input that can be followed by eye: 4 channels
# of 4 × 4 with the values 0 to 63.


# %%
def space_to_depth(x):
    return tf.nn.space_to_depth(x, block_size=2)


darknet_order = yolo.Passthrough()

values = np.arange(64).reshape(1, 4, 4, 4)  # image, channel, row, column
values = values.transpose(0, 2, 3, 1)  # image, row, column, channel
by_tensorflow = space_to_depth(values).numpy()[0]
by_darknet = darknet_order(values).numpy()[0]
print("channel 0, space_to_depth: ", by_tensorflow[..., 0].tolist())
print("channel 0, Darknet's order:", by_darknet[..., 0].tolist())

# %%
figures.reordered_channels(
    values[0], {"space_to_depth": by_tensorflow, "Darknet's order": by_darknet}
)

# %% [markdown]
# The figure shows channel 0 of the input and of the two results. The dashed line separates the upper cells from the
# lower ones. `space_to_depth` takes 0, 2, 8 and 10, the upper left values of the four blocks, and each stays where it
# was. Darknet takes 0, 2, 4 and 6. All of them come from the upper half of the input, but 4 and 6 are put into the
# lower half of the output.
#
# How does that happen? Darknet's code treats the map in memory as if it had a quarter of its channels and twice its
# height and width. In memory, the rows of a channel follow one another, and after its last row comes the first row of
# the next channel. So in our example, Darknet sees one channel of 8 × 8 instead of four channels of 4 × 4, and its
# first row is 0 1 2 3 4 5 6 7. For the first part of the result it takes every second value of every second row. The
# first row gives 0 2 4 6. But the output is only two values wide, so these four fill two of its rows: 0 2, and below it
# 4 6. The values 4 and 6 come from row 1 of the real input and belong to the upper cells, so they have landed one cell
# too low. Whether that was intended is unknown.
#
# All 16 output channels together contain all 64 values, so no information is lost in either order. But with Darknet's
# order, many values move to another place. The next figure shows what this means at the network's real size, for two
# cells: it marks the pixels of the 26 × 26 map whose values arrive there.

# %%
pixel_numbers = np.arange(26 * 26).reshape(1, 26, 26, 1)
pixel_numbers = np.repeat(pixel_numbers, 64, axis=3)  # the same in all 64 channels
sources = {
    "space_to_depth": space_to_depth(pixel_numbers).numpy()[0],
    "Darknet's order": darknet_order(pixel_numbers).numpy()[0],
}
figures.passthrough_sources(sources, {(5, 8): figures.BLUE, (12, 3): figures.RED})

# %% [markdown]
# With `space_to_depth`, each cell receives exactly its own four pixels. With Darknet's order, half of all values end
# up in a cell other than their own, nearly always in the one just above or just below it. For the cell at the lower
# border (red), some even come from the top of the photo, because the next row in memory belongs to the next channel.
# (The figure collects all 256 channels of a cell. On the left, each of its four pixels sends all of its 64 values. On
# the right, eight pixels are marked, and each sends only half of its values here.)
#
# Does it matter? A network that is trained with one order learns to use that order. The paper reports that adding the
# passthrough raised the mAP from 74.4 to 75.4. In short trainings on rendered images, the mAP was 0.135 without the
# passthrough and 0.159 with it. All four pairs of trainings had the same sign, but they varied so much that the
# question is undecided (see the table in the [README](../README.md#what-does-each-part-give)).
#
# > **Pitfall.** The order does matter when weights are loaded that were trained with the other one. The shapes fit, nothing
# > complains, and half of the fine features arrive in the wrong place. Many ports of YOLOv2 load Darknet's weights into a
# > network with `tf.nn.space_to_depth`. We load Darknet files, so `yolo.Passthrough` uses Darknet's order.

# %% [markdown]
# ## How are weights stored in a file?
#
# Training a network from nothing takes long, so trained weights are passed on as files. Darknet's format is as simple
# as a format can be.

# %%
figures.weights_file()

# %% [markdown]
# If file formats do not interest you, jump to the section on pre-trained weights. All you need is that
# `load_darknet_weights` reads such a file, and that `head=False` leaves out the last layer.
#
# There are no names, no shapes and no checksum. A program that reads the file must know the network, and must read
# exactly the right count of numbers for each layer. The header holds three version numbers and the number of images
# that the network was trained on. Old files store that number in 4 bytes and newer ones in 8, hence the header of 16
# or 20 bytes. Darknet stores the axes of a kernel in another order than Keras, so the reader swaps them. We write our
# small network into such a file and look at its beginning.

# %%
path = Path(tempfile.mkdtemp()) / "small.weights"
small = yolo.build_yolov2(None, num_anchors, num_classes, width=0.25, seed=1)
yolo.save_darknet_weights(small, path, seen=12_800)

content = path.read_bytes()
print("version        ", np.frombuffer(content, "<i4", count=3))
print("images seen    ", np.frombuffer(content, "<i8", count=1, offset=12))
vectors = np.frombuffer(content, "<f4", count=4 * 8, offset=20).reshape(4, 8)
for name, vector in zip(["beta", "gamma", "mean", "variance"], vectors, strict=True):
    print(f"norm_1 {name:8}", vector)
print("20 + 4 x parameters:", len(content) == 20 + 4 * small.count_params())

# %% [markdown]
# The first layer has 8 filters at this width, so beta, gamma, mean and variance are 8 numbers each. In a fresh
# network they are zeros and ones. The last line confirms the arithmetic: 20 bytes of header, and then 4 bytes for
# each parameter.
#
# The same arithmetic tells you what is in a file that you have downloaded. The authors' `yolov2.weights` has
# 203,934,260 bytes. That is an older header of 16 bytes and 4 × 50,983,561, which is our network with a head of 425
# filters: the 80 classes of COCO, a large public data set of photos, and 5 anchors.
#
# Now we read the file into a network with other random weights. Afterwards both must give the same raw output.

# %%
other = yolo.build_yolov2(None, num_anchors, num_classes, width=0.25, seed=2)
raw = small(image[None], training=False).numpy()
print("before:", np.array_equal(other(image[None], training=False), raw))
print("header:", yolo.load_darknet_weights(other, path))
print("after: ", np.array_equal(other(image[None], training=False), raw))

# %% [markdown]
# What if the file does not fit? Suppose that your data has one class more. Then the head has more filters than the file
# provides. `load_darknet_weights` checks the whole file before it changes the network, and says what is
# wrong.

# %%
more_classes = yolo.build_yolov2(None, num_anchors, num_classes + 1, width=0.25)
try:
    yolo.load_darknet_weights(more_classes, path)
except ValueError as error:
    print(str(error).removeprefix(f"{path}: "))

# %% [markdown]
# The message also names the cure. With `head=False`, everything except the head is read, and the head keeps its random
# start. We will use this in the next section.
#
# > **Pitfall.** A reader that skips 16 bytes in every case takes the last 4 bytes of a newer header for the first weight,
# > and all numbers shift by one. Each list then starts with the last number of the list before it, so the
# first variance of a layer is really its last mean. Means can be negative, the
# > square root of a negative number is not a number, and soon all outputs are NaN.
# > `load_darknet_weights` takes the length from the version and refuses a file with negative variances.

# %% [markdown]
# ### Does another program read the same network?
#
# Our reader and our writer could share a mistake. OpenCV 4 can run Darknet networks, with code written by other
# people in another language. It needs the weights and a `.cfg` file, a text that lists the layers. We let it run our
# network on the running example, again with random numbers in the batch normalizations. (What the second cell prints
# depends on your version of OpenCV, because version 5 has no Darknet reader.)

# %%
randomise_norms(small)
yolo.save_darknet_weights(small, path)
raw = small(image[None], training=False).numpy()

# %% tags=["nbval-ignore-output"]
sys.path.append(str(yolo.ROOT / "data"))
from make_pretrained import darknet_cfg

if hasattr(cv2.dnn, "readNetFromDarknet"):
    cfg = darknet_cfg(416, 0.25, anchors, num_classes)
    cfg = cfg.split("[region]")[0]  # without the layer that makes boxes
    path.with_suffix(".cfg").write_text(cfg)
    opencv_network = cv2.dnn.readNetFromDarknet(
        str(path.with_suffix(".cfg")), str(path)
    )
    opencv_network.setInput(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))
    by_opencv = opencv_network.forward().transpose(0, 2, 3, 1).reshape(raw.shape)
    difference = np.abs(raw - by_opencv).max() / np.abs(raw).max()
    print("OpenCV gives the same raw output:", bool(difference < 1e-4))
else:
    print(f"OpenCV {cv2.__version__} has no Darknet reader")

# %% [markdown]
# If both programs give the same raw output, then the order of the layers, the layout of the kernels, the slope of the
# leaky ReLU and the passthrough are what OpenCV's reader of Darknet files expects. (Epsilon is hardly tested here,
# because the random variances are far from 0.)

# %% [markdown]
# ## What do pre-trained weights bring?
#
# The data set of this repository has 400 training images. That is little for a network with millions of weights,
# which starts without knowing what a leg or a wheel is. *Transfer learning* is the way out. Someone trains the
# network on a larger data set. We take over its weights, except for the head, which belongs to the other classes and
# anchors. Then we continue the training on our own data, which is called *fine-tuning*. Surfaces, outlines and parts
# that the network has learned to recognise are useful for our objects too, even for classes that it has never seen.
#
# The paper works in this way. Its backbone first learns to classify the 1.28 million images of ImageNet, and then
# becomes part of a detector. The series goes one step further and starts from a complete detector, trained on COCO.
# We follow the series:
#
# - The profile `full` starts from `yolov2.weights`, the authors' detector for the 80 classes of COCO.
# - The profile `tiny` starts from `data/pretrained/tiny.weights`. We have trained this small detector on rendered scenes
#   of 15 of VOC's classes. It has never seen a bird, a bus, a cow, a motorbike or a sofa. Whatever helps with our two cows was therefore
#   learned from other classes, which makes these five classes an honest test of transfer. Chapter 5 reports how well they
#   are learned.
#
# `settings.weights` names the file. It is `None` if you have set the environment variable `YOLO_WEIGHTS` to `none`.
# In the profile `full`, the next cell downloads the file if it is missing.

# %%
coco_weights = yolo.ROOT / "data" / "yolov2.weights"
if settings.weights == coco_weights and not coco_weights.exists():
    script = yolo.ROOT / "data" / "fetch_voc.py"
    subprocess.run([sys.executable, script, "weights"], check=True)

# %%
shape = dict(num_anchors=num_anchors, num_classes=num_classes, width=settings.width)
random_network = yolo.build_yolov2(None, **shape, seed=settings.seed)
network = yolo.build_yolov2(None, **shape, seed=settings.seed)
if settings.weights is None:
    start = "random again"
    print("no pre-trained weights: the network keeps its random start")
else:
    start = "loaded"
    *_, seen = yolo.load_darknet_weights(network, settings.weights, head=False)
    print(f"{yolo.short_path(settings.weights)}: {seen:,} images seen in training")

# %% [markdown]
# What did pre-training change? We compare the loaded weights with random ones. In the first layer we can look at them
# directly. Its filters have 3 × 3 × 3 weights, so each can be drawn as a picture of 3 × 3 coloured pixels. Grey means
# a weight of 0.

# %%
networks = {"random": random_network, start: network}
kernels = {
    name: model.get_layer("conv_1").get_weights()[0] for name, model in networks.items()
}
figures.filters(kernels, "Pre-training has hardly changed the first filters")

# %% [markdown]
# In the profile `tiny`, the upper row is exactly what the pre-training started from, because it used the same seed. So
# you can follow each filter from the upper row to the lower one. Most of them have kept their pattern. Deeper layers
# cannot be drawn like this, since they have too many input channels, but we can compute how strongly the loaded weights
# still correlate with the random start. A correlation of 1 means the same pattern, and 0 means nothing in common.

# %%
for name in ("conv_1", "conv_3", "conv_9", "conv_14", "conv_20"):
    before = random_network.get_layer(name).get_weights()[0].ravel()
    after = network.get_layer(name).get_weights()[0].ravel()
    print(f"{name:7} correlation {np.corrcoef(before, after)[0, 1]:.2f}")

# %% [markdown]
# With the weights of the profile `tiny`, the correlation falls with depth. The first layers have hardly changed. Even
# a random 3 × 3 filter reacts to some edge or colour, so the network may have been able to use these filters almost
# as they were. The last layers have moved much further from their start: in this small network, pre-training has
# changed mostly the later layers.
#
# We can see what it has learned in the feature maps of the running example. For an early layer (conv 3) and a late
# one (conv 20), the figure shows the three channels with the largest spread. The random network has no running
# averages yet, so its batch normalizations measure this photo instead (`training=True`).

# %% tags=["slide"]
layer_names = {"leaky_3": "conv 3, 104 × 104", "leaky_20": "conv 20, 13 × 13"}
maps = {}
for name, model in networks.items():
    outputs = [model.get_layer(layer).output for layer in layer_names]
    inner = keras.Model(model.input, outputs)
    values = inner(image[None], training=model is random_network)
    values = [value.numpy()[0] for value in values]
    maps[name] = list(zip(layer_names.values(), values, strict=True))
title = "Conv 20: spots with random weights, one band after pre-training"
figures.feature_maps(image, maps, title)

# %% [markdown]
# Bright means large, and each picture has its own scale. In the early layer, both networks show mostly edges. Some
# channels of the random one also respond to areas such as the sky. In the late layer they differ. The random channels
# respond to scattered spots, the brightest of them on the left, round the lying cow. The loaded channels respond in
# one connected band at the height of the horizon and the upper half of the cows, although the pre-training of `tiny`
# has never shown a cow. Whether they react to the animals, to the horizon or only to the place where objects often
# are, one image cannot tell. It is a hint and no more, also because the two networks normalize differently here.
# Chapter 5 measures what the weights are worth.
#
# Chapter 5 must train from exactly the weights that you have seen here. So we write down the name and the checksum of
# the file.

# %%
yolo.claim_folder(settings.artifacts)
yolo.write_json(
    settings.artifacts / "pretrained.json",
    {
        "weights": yolo.short_path(settings.weights) if settings.weights else None,
        "sha256": yolo.file_checksum(settings.weights) if settings.weights else None,
        "data": yolo.fingerprint(splits.train),
    },
)

# %% [markdown]
# ## How should the head start?
#
# The head alone still has random weights. What does the network answer with them? Remember from chapter 2 how a raw
# output becomes a prediction: a sigmoid turns the two location numbers into an offset inside the cell, an exponential
# turns the two size numbers into factors for the anchor's width and height, and another sigmoid gives the objectness.
# The class numbers become probabilities by a softmax.
#
# Suppose that all raw outputs are 0. The sigmoid of 0 is 0.5 and the exponential of 0 is 1. So every prediction is
# its anchor, in the middle of its cell, with an objectness of 0.5 and the same probability for each class. For boxes
# and classes that is a good start: the boxes are sensible, no class is preferred, and no sigmoid is so close to 0 or
# 1 that its gradient vanishes. Only for the objectness it is not: nearly all predictions are background, and with 0.5
# everywhere they make up nearly the whole loss, as chapter 4 will measure. So chapter 5 lowers the objectness before
# it trains. Here we leave it at 0.5.
#
# To keep the raw outputs close to 0, `build_yolov2` draws the head's weights with a small standard deviation of 0.01
# and sets its bias to 0. Let us check this for the 676 predictions of the running example, and compare it with a head
# whose weights are ten times as large. Since the head is linear and its bias is 0, ten times the weights simply mean
# ten times the raw output.

# %%
raw = network(image[None], training=False).numpy()
heads = {"standard deviation 0.01": raw, "standard deviation 0.1": 10 * raw}
for name, output in heads.items():
    decoded = yolo.decode_predictions(output, anchors)
    factors = np.exp(output[..., 2:4])
    print(name)
    for what, values in (("objectness", decoded.objectness), ("size factor", factors)):
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        print(f"  {what:11} median {middle:.2f}, middle 90 %: {low:.2f} to {high:.2f}")

# %%
cells = np.argwhere(target[..., 4].any(axis=-1))  # where the objects' centres are
boxes = [yolo.decode_predictions(output, anchors).boxes[0] for output in heads.values()]
figures.first_predictions(
    image,
    boxes,
    cells,
    list(heads),
    "A small start keeps most boxes near their anchors",
)

# %% [markdown]
# With the small start, nine tenths of the size factors lie between 0.7 and 1.2. With the large one, nine tenths lie
# between a fiftieth and six. The figure shows the predictions of the three cells that hold an object (black dots: the
# middles of these cells). On the right, some boxes are larger than the figure, so only one or two of their sides can
# be seen. With the small start, each of these cells predicts roughly the four anchors around its middle, and so do
# all other cells. A few boxes are further off: for the lying cow, anchor 3 has little more than half of its height.
# With the large start, the boxes have shapes that nobody has asked for, and training would have to undo them first.
#
# Neither answer is useful yet. With the small start, all predictions claim an object with a probability of about one
# half, no matter whether their cell shows a cow or grass. Teaching the network the difference is the task of the next
# two chapters.

# %% [markdown]
# ## Exercises
#
# Each exercise has a starter cell for you to complete, a folded solution, and a check cell that says whether your
# answer is right. To try an exercise yourself here, complete the starter cell, skip the folded solution and run the
# check. The check cells are folded as well, because they contain the answers: run them without opening them. The
# student edition (`make workshop`) leaves the solutions out. Run the next cell first: it defines what the exercises
# need.


# %% tags=["exercise-setup"]
small = yolo.build_yolov2(None, num_anchors=4, num_classes=20, width=0.25)
# From the photo to conv_22, without the passthrough: "pool" or (filters, kernel size)
main_path = yolo.DARKNET19 + 3 * ((1024, 3),)  # conv_19, conv_20 and conv_22


def receptive_field(layers):
    """Side of the theoretical receptive field in pixels."""
    field, spacing = 1, 1
    for layer in layers:
        kernel_size = 2 if layer == "pool" else layer[1]
        field += (kernel_size - 1) * spacing
        if layer == "pool":
            spacing *= 2
    return field


def multiplications(layers, image_size):
    """Number of multiplications for one image of so many pixels along each side."""
    total, side, channels = 0, image_size, 3
    for layer in layers:
        if layer == "pool":
            side //= 2
        else:
            filters, kernel_size = layer
            total += kernel_size**2 * channels * filters * side**2
            channels = filters
    return total


# %% [markdown]
# ### Exercise 3.1: Twice the image size (5 minutes)
#
# In a larger image, a small object has more pixels. So it is tempting to run the same network on images of 832 × 832
# pixels instead of 416 × 416. What does that change? Before you run anything, predict the factor for each of these four
# quantities. A factor of 1 means that nothing changes.
#
# - `"parameters"`: the number of parameters of the network,
# - `"predictions"`: the number of predictions for one image,
# - `"multiplications"`: the number of multiplications for one image,
# - `"receptive field"`: the side of an output's theoretical receptive field, in pixels.
#
# Hand in the four factors. The check runs the small network at both image sizes.

# %% tags=["starter"]
prediction = {
    "parameters": None,  # a factor, such as 1 or 2
    "predictions": None,
    "multiplications": None,
    "receptive field": None,
}

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
# A kernel has the same weights for a map of any size, and it reaches as many pixels as
# before. But every map is twice as high and twice as wide, so the grid has 26 x 26
# cells, and each weight is used at four times as many positions.
prediction = {
    "parameters": 1,
    "predictions": 4,
    "multiplications": 4,
    "receptive field": 1,
}

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
hints = {
    "parameters": "a kernel keeps its weights, whatever the size of the map",
    "predictions": "the grid grows in width and in height, so count its cells",
    "multiplications": "each weight is used once at every position of a map",
    "receptive field": "the code that computes the field never asks for the image size",
}
factors = {"parameters": 1, "receptive field": 1}
before, after = [small(np.zeros((1, side, side, 3))).shape for side in (416, 832)]
factors["predictions"] = np.prod(after[1:4]) / np.prod(before[1:4])
work = [multiplications(main_path, side) for side in (416, 832)]
factors["multiplications"] = work[1] / work[0]

for quantity, hint in hints.items():
    factor = prediction.get(quantity)
    assert factor is not None, f"your factor for {quantity} is still empty"
    assert factor == factors[quantity], f"{quantity}: {factor} is not right; {hint}"
print(f"The raw output grows from {tuple(before)} to {tuple(after)}.")
field = receptive_field(main_path)
print("Exercise 3.1 is right: the same weights do four times the work. The field")
print(f"stays at {field} pixels, so no cell can see the whole of the larger image.")

# %% [markdown]
# ### Exercise 3.2: What is in this file? (15 minutes)
#
# You find a file of Darknet weights, and nobody remembers for how many classes it was trained. The file holds no names,
# but its length gives the answer away. Complete `classes_in_file`. You may assume that the file belongs to the network
# of the paper, with all its filters, and that you know the length of the header and the number of anchors. You need
# these facts:
#
# - After the header, each parameter takes 4 bytes.
# - All layers before the head have 50,547,936 parameters together.
# - The head is a 1 × 1 convolution. Each of its filters reads 1,024 channels, and, unlike in the other layers, it also
#   has a bias.
# - The head has one filter for each number of a cell: anchors × (5 + C).
#
# If a file cannot belong to such a network, raise a `ValueError`, as `load_darknet_weights` does. This is the case if
# the numbers of the head do not make up whole filters, if the filters cannot be shared equally among the anchors, or if
# not even one class is left.
#
# One answer is known from this chapter: the authors' `yolov2.weights` has 203,934,260 bytes, a header of 16 bytes, 5
# anchors and 80 classes. Hand in the function.


# %% tags=["starter"]
def classes_in_file(num_bytes, header_bytes, num_anchors):
    """Number of classes of a YOLOv2 network, from the length of its weights file.

    Parameters
    ----------
    num_bytes : int
        Length of the whole file, in bytes.
    header_bytes : int
        Length of its header, 16 or 20 bytes.
    num_anchors : int

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the file cannot belong to a YOLOv2 network with so many anchors.
    """
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def classes_in_file(num_bytes, header_bytes, num_anchors):
    """Number of classes of a YOLOv2 network, from the length of its weights file."""
    # `divmod` gives a quotient and its remainder. Each remainder must be 0.
    parameters, spare_bytes = divmod(num_bytes - header_bytes, 4)
    head_parameters = parameters - 50_547_936
    filters, spare_parameters = divmod(head_parameters, 1024 + 1)  # weights and bias
    numbers_per_anchor, spare_filters = divmod(filters, num_anchors)
    num_classes = numbers_per_anchor - 5
    if spare_bytes or spare_parameters or spare_filters or num_classes < 1:
        raise ValueError(f"{num_bytes:,} bytes do not fit {num_anchors} anchors")
    return num_classes


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
def answer_for(num_bytes, header_bytes, num_anchors):
    try:
        return classes_in_file(num_bytes, header_bytes, num_anchors)
    except ValueError:
        return "ValueError"


found = answer_for(203_934_260, 16, 5)  # the authors' file
large = answer_for(318_094_664, 20, 3)  # 9,418 classes, as in YOLO9000
assert found is not None, "classes_in_file is still empty: it returns None"
assert found != 425, "425 is the number of filters; share them among the 5 anchors"
assert found != 85, "each anchor has 5 + C numbers: subtract the 5 at the end"
assert "ValueError" not in (found, large), (
    "you refuse a file that is in order: subtract the header first, count 4 bytes for "
    "each parameter, and 1,024 weights and one bias for each filter"
)
assert found < 1000, "far too many classes: each number takes 4 bytes of the file"
assert isinstance(found, int | np.integer), (
    f"return a whole number, not {found}: divide with //"
)
assert found == 80, f"80 classes are right for yolov2.weights, you find {found}"
assert large != 9427, "a filter of the head has 1,024 weights and a bias: 1,025 numbers"
assert large == 9418, f"a file of 9,418 classes and 3 anchors gives {large}"
for misfit, reason in {
    (203_930_260, 16, 5): "the last 1,000 numbers are missing, so a filter is cut off",
    (203_934_260, 16, 4): "425 filters cannot be shared equally among 4 anchors",
    (202_191_764, 20, 5): "the file ends before the head, so no class is left",
}.items():
    assert answer_for(*misfit) == "ValueError", (
        f"classes_in_file{misfit} must raise a ValueError: {reason}"
    )
print("Exercise 3.2 is right: the length of a file tells you the number of classes.")
print("Which classes they are, and in which order, you have to learn elsewhere.")

# %% [markdown]
# ### Exercise 3.3: What does a finer grid cost? (10 minutes)
#
# Here is another idea for small objects: leave out the last pooling, the one before conv 14, and keep the image size of
# 416 pixels. The grid then has 26 × 26 cells of 16 pixels.
#
# In the first cell of the exercises, `main_path` lists the layers from the photo to conv 22, without the passthrough. A
# convolution is a pair (filters, kernel size). Change `finer_path` so that it is `main_path` without its last `"pool"`,
# and run the cell. It prints the receptive field and the number of multiplications of both networks.
#
# The receptive field should shrink by 208 pixels. Which of these statements explains most of the 208 pixels?
#
# - **A**: A pooling makes the field one spacing wider, and this spacing is missing now.
# - **B**: On the finer map, neighbouring positions are 16 pixels apart and not 32. So each 3 × 3 kernel after the
#   missing pooling widens the field by only half as much.
# - **C**: There are four times as many cells. They share the photo among them, so each cell has a smaller part to see.
# - **D**: Without the pooling, the layers after it have fewer weights, and so they reach fewer pixels.
#
# Hand in the changed list and the letter.

# %% tags=["starter"]
finer_path = list(main_path)  # a copy, which you may change
# your code

explanation = None  # "A", "B", "C" or "D"

for name, layers in {"main path": main_path, "finer path": finer_path}.items():
    billions = multiplications(layers, 416) / 1e9
    print(f"{name:10} field {receptive_field(layers)}, {billions:.1f} billion")

# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
finer_path = list(main_path)
pools = [i for i, layer in enumerate(finer_path) if layer == "pool"]
del finer_path[pools[-1]]

# Six 3 x 3 kernels come after the missing pooling. Each made the field 2 x 32 pixels
# wider and now adds only 2 x 16 pixels. That is 6 x 32 = 192 of the 208 pixels. The
# other 16 are the spacing of the pooling itself (A). The number of weights does not change
# (D), and cells do not share the photo: their fields overlap (C).
explanation = "B"

for name, layers in {"main path": main_path, "finer path": finer_path}.items():
    billions = multiplications(layers, 416) / 1e9
    print(f"{name:10} field {receptive_field(layers)}, {billions:.1f} billion")

# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
wrong_because = {
    "A": "the last pooling adds 16 pixels to the field, but 208 are missing",
    "C": "cells do not share the photo; their receptive fields overlap",
    "D": "a kernel's weights depend on its size and channels; neither has changed",
}
convolutions = [layer for layer in main_path if layer != "pool"]
assert finer_path != list(main_path), "finer_path is still unchanged: remove a pooling"
assert finer_path.count("pool") == 4, "exactly one of the five poolings must go"
assert [layer for layer in finer_path if layer != "pool"] == convolutions, (
    "the convolutions must stay as they are, in the same order"
)
assert finer_path[1] == "pool", (
    "you have removed the first pooling, as list.remove does; the last one must go"
)
assert receptive_field(finer_path) == 358, (
    "you have removed a pooling further up; the last one, before conv 14, must go"
)
assert explanation is not None, "the explanation is still empty: choose a letter"
assert explanation in ("A", "B", "C", "D"), "the explanation is one letter, A to D"
assert explanation == "B", f"{explanation} is not it: {wrong_because[explanation]}"
ratio = multiplications(finer_path, 416) / multiplications(main_path, 416)
print("Exercise 3.3 is right: the finer grid needs no more weights, but the network")
print(
    f"does {ratio:.1f} times the work. A field of 358 pixels is smaller than the photo."
)

# %% [markdown]
# ### Exercise 3.4: Make batch normalization disappear (15 minutes)
#
# After training, the numbers of batch normalization are fixed. For each output channel of the convolution it computes
#
# $$\text{gamma} \cdot \frac{\text{value} - \text{mean}}{\sqrt{\text{variance} + \text{epsilon}}} + \text{beta}.$$
#
# For each value, this comes down to one multiplication and one addition, and a convolution with a bias can do both
# itself. Programs that run networks on phones use this: they change the kernel, add a bias and leave out 22 layers.
# Complete `fold_norm`, which computes the new kernel and the bias, so that the convolution alone gives what the
# convolution without a bias and the batch normalization gave together. Hand in the function.


# %% tags=["starter"]
def fold_norm(kernel, gamma, beta, mean, variance, epsilon=1e-6):
    """Kernel and bias of a convolution that includes its batch normalization.

    Parameters
    ----------
    kernel : array (k, k, channels in, channels out)
    gamma, beta, mean, variance : arrays (channels out,)
    epsilon : float

    Returns
    -------
    new_kernel : array (k, k, channels in, channels out)
    bias : array (channels out,)
    """
    return None  # your code


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def fold_norm(kernel, gamma, beta, mean, variance, epsilon=1e-6):
    """Kernel and bias of a convolution that includes its batch normalization."""
    scale = gamma / np.sqrt(variance + epsilon)  # (channels out,)
    # NumPy aligns the last axes, so each output channel gets its own factor.
    new_kernel = kernel * scale
    # The value is multiplied by the scale, and so the mean is as well.
    bias = beta - mean * scale
    return new_kernel, bias


# %% cellView="form" jupyter={"source_hidden": true} tags=["check"]
# @title Check
ones = np.ones((3, 3, 4, 4), "float32")
one = np.ones(4, "float32")
# gamma 3, beta 1, mean 6, variance 4, epsilon 12: the square root is 4
folded = fold_norm(ones, 3 * one, one, 6 * one, 4 * one, 12)
assert folded is not None, "fold_norm is still empty: it returns None"
assert isinstance(folded, tuple) and len(folded) == 2, "return new_kernel, bias"
assert np.shape(folded[0]) == (3, 3, 4, 4), "the kernel must keep its shape"
assert np.shape(folded[1]) == (4,), "the bias needs one number for each output channel"
weight_mistakes = {
    3 / 16: "you divide by variance + epsilon; divide by its square root",
    1.5: "epsilon is missing under the square root",
    3 / 14: "you add epsilon to the square root; add it to the variance before",
    0.25: "gamma is missing in the kernel",
    1.0: "the kernel is unchanged, but it must take over the scaling",
}
bias_mistakes = {
    1.0: "the mean is missing in the bias",
    5.5: "the mean is subtracted, so a mean above 0 makes the bias smaller",
    -5.0: "you subtract the mean as it is, but it is scaled together with the value",
    -0.5: "gamma is missing in the bias: it multiplies the mean as well",
    -4.5: "beta is missing in the bias",
    -17.0: "you divide by variance + epsilon in the bias; divide by its square root",
}
for wrong, hint in weight_mistakes.items():
    assert not np.isclose(folded[0][0, 0, 0, 0], wrong), hint
for wrong, hint in bias_mistakes.items():
    assert not np.isclose(folded[1][0], wrong), hint

rng = np.random.default_rng(0)
gamma, beta, mean, variance = rng.uniform(0.5, 1.5, (4, 4)).astype("float32")
new_kernel, bias = fold_norm(ones, gamma, beta, mean, variance)
assert np.ptp(new_kernel[0, 0], axis=0).max() < 1e-6, (
    "your factors differ along the input channels; gamma, mean and variance belong to "
    "the output channels, the last axis of the kernel"
)
norm = keras.layers.BatchNormalization(epsilon=1e-6)
norm.build((None, 8, 8, 4))
norm.set_weights([gamma, beta, mean, variance])
values = rng.normal(size=(1, 8, 8, 4)).astype("float32")
separate = norm(tf.nn.conv2d(values, ones, 1, "SAME"), training=False)
together = tf.nn.conv2d(values, new_kernel, 1, "SAME") + bias
assert np.allclose(separate, together, atol=1e-3), "Keras' two layers give other values"
print("Exercise 3.4 is right: one convolution does the work of two layers. It now")
print("has a bias, which takes over the shift by beta and the mean.")

# %% [markdown]
# ## Check your understanding
#
# <details><summary>1. Why do the convolutions before a batch normalization have no bias?</summary>
#
# A bias adds the same number to all values of a channel. Batch normalization then subtracts the mean of the channel,
# and the bias with it, so it has no effect. The learned shift beta takes over its task.
#
# </details>
#
# <details><summary>2. You have 3 classes and use 5 anchors. How many filters does the head need, and which other layers change?</summary>
#
# The head needs 5 × (5 + 3) = 40 filters, one for each number that a cell has to give. No other layer changes. This is
# also why pre-trained weights can be used for everything before the head.
#
# </details>
#
# <details><summary>3. Why can the same weights be used for images of 320 and of 512 pixels?</summary>
#
# A kernel is applied at every position of a map and does not care how many positions there are, and the same is true of
# the poolings. The image size only has to be a multiple of 32, because the map is halved five times.
#
# </details>
#
# <details><summary>4. Why can weights be loaded without an error and still give useless predictions?</summary>
#
# A Darknet file holds nothing but numbers, so a loader can only check how many there are. If your network has another
# order in its passthrough, another slope in its leaky ReLU or another epsilon, the count is the same. The weights are
# then used in a calculation that they were not trained for.
#
# </details>
#
# <details><summary>5. Why does the head start with small weights?</summary>
#
# Its raw outputs are then close to 0, so each prediction starts as its anchor in the middle of its cell, with an
# objectness near 0.5. With larger weights, the boxes would start with shapes that training has to undo first. Some
# sigmoids would also be so close to 0 or 1 that their gradient nearly vanishes.
#
# </details>

# %% [markdown]
# ## Key points
#
# - The target fixes two things: five poolings lead from 416 pixels to 13 cells, and the head has
#   4 × (5 + C) filters.
# - All 22 convolutions before the head are in one kind of block: convolution without bias, batch normalization, leaky ReLU.
# - Most weights are in the last 3 × 3 convolutions. The work is spread more evenly over the network.
# - In theory a cell in the middle sees the whole photo. In practice most of the influence comes from a smaller area round it.
# - The passthrough moves a finer map into the channels of the coarse one, and no value is lost. Which order it uses matters
#   for weights that were trained with the other one.
# - A Darknet file is a header and a list of numbers. It does not describe its network, so the loader counts the numbers.
# - Transfer learning takes over everything except the head. The head starts with small weights, so that every
#   prediction starts as its anchor.
#
# **Next:** [4 The loss](04_loss.ipynb) measures how far these raw outputs are from the target.
