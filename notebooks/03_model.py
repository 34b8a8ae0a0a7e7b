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
# **Time:** reading 50 min, running 1 min on two CPU cores.
#
# Three names appear throughout. *The paper* is [YOLO9000](https://arxiv.org/abs/1612.08242), which introduced YOLOv2.
# *Darknet* is the [program](https://github.com/pjreddie/darknet) of its authors. *The series* is the set of blog posts
# by Yumi that these chapters follow; names such as `define_YOLOv2` come from there. Other terms are explained where they
# first appear, and collected in [the glossary](glossary.md).

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

import cv2
import figures
import keras
import numpy as np
import tensorflow as tf

figures.setup()
settings = yolo.load_settings()
keras.utils.set_random_seed(settings.seed)

# %% [markdown]
# Here is the pipeline of the whole book again. This chapter is about the network and the raw output that it produces.

# %%
figures.pipeline(highlight=3)

# %% [markdown]
# These are the tensors in play. B is the number of images in a batch, and C is the number of classes: 20 for Pascal VOC.
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
# A network is easiest to understand from its end. Chapter 2 turned each photo into a target tensor, and the network will
# be trained to reproduce that target. So the shape of its output is already decided. Let us load the running example and
# look.

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
# 416 / 2 / 2 / 2 / 2 / 2 = 13. The figure shows our photo after each halving.

# %%
figures.halvings(image)

# %% [markdown]
# In the last picture, one pixel stands for one cell, and nobody could recognise the dog in its three
# colour values. So averaging colours is not enough. While the map shrinks, its number of channels grows
# from 3 to 1,024, so that each of the 13 × 13 positions can carry a rich description of what is around it.
#
# Second, the last layer must produce one vector of 5 + C numbers for each anchor, in every cell.

# %%
numbers_in_a_cell = num_anchors * (5 + num_classes)
num_predictions = 13 * 13 * num_anchors
print(f"{num_anchors} x (5 + {num_classes}) = {numbers_in_a_cell} numbers in each cell")
print(f"13 x 13 x {num_anchors} = {num_predictions} predictions in each image")

# %% [markdown]
# So the last layer is a convolution with exactly that many filters. Its kernel covers 1 × 1 positions: it looks at the
# 1,024 numbers of one cell and turns them into that cell's predictions. This last layer is called the *head*.
#
# The network has no fully connected layer anywhere. A convolution does not care how large its map is, so the same weights
# work for every image size that is a multiple of 32. Chapter 5 uses this to train with images of several sizes.

# %% [markdown]
# ## What is repeated 22 times?
#
# Every layer except the head is the same small block: a convolution, then batch normalization, then a leaky ReLU. The
# series calls it `ConvBatchLReLu`.


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
# Each row of the figure is one channel, and each hill shows which values are frequent in it. After the **convolution**,
# every channel has its own mean and its own spread. The next layer would have to cope with
# whatever scale comes out, and after 22 such layers the values could have grown or shrunk beyond use.
#
# **Batch normalization** removes this problem. For each channel it subtracts the mean of the batch and divides by the
# standard deviation, so all means become 0 and all spreads become 1. It then multiplies by a learned scale (*gamma*) and
# adds a learned shift (*beta*). While it trains, it also keeps running averages of the means and variances. These are
# used later, when there is no batch to measure. (We use `momentum=0.9` and not Keras' 0.99. The averages then follow
# faster, which a short training needs.) Because the mean is subtracted anyway, a bias in the convolution would
# have no effect, so there is none (`use_bias=False`). In the paper, adding batch normalization raised the mAP
# from 63.4 to 65.8.
#
# The **leaky ReLU** makes the network more than a chain of linear maps. Positive values pass unchanged, and negative
# values are multiplied by 0.1. That is why the left half of each histogram is squeezed against 0. The small slope keeps
# a gradient for negative values too, so no filter can get stuck at zero.
#
# > **Pitfall.** Pre-trained weights expect the numbers that they were trained with, and Keras' defaults are different:
# > the slope of its leaky ReLU is 0.3 instead of 0.1, and the epsilon of its batch normalization is 1e-3 instead
# > of 1e-6. Epsilon is added to the variance before the division, so that nothing is divided by zero. Nothing crashes
# > with the wrong value, but quiet channels become quieter. Here is how much remains of a channel whose variance
# > is 0.00001:

# %%
variance = 1e-5
for epsilon in (1e-6, 1e-3):
    remains = np.sqrt(variance / (variance + epsilon))
    print(f"epsilon {epsilon}: {remains:.0%} of the value remains")

# %% [markdown]
# With Keras' default, such a channel would reach the next layer at a tenth of its strength. (Darknet adds 1e-6 to the
# square root of the variance instead of the variance. The two differ only for very quiet channels.)

# %% [markdown]
# ## Which layers lie between the photo and the answer?
#
# The figure shows the complete network of the paper. Start at the image on the left and go down.

# %%
figures.architecture(image, num_anchors, num_classes)

# %% [markdown]
# The left column is the *backbone*, the part that learns to recognise things. It consists of the first 18 convolutions of
# a network called Darknet-19; the 19th was its classifier, which a detector does not need. Five times, *max-pooling*
# keeps only the largest of every 2 × 2 values and so halves the map. Each time, the convolutions that follow double the
# number of channels.
#
# At the bottom, two more convolutions follow, and the flow turns upwards. At the *concatenation*, the coarse
# 13 × 13 map is joined with a finer one: the map of conv 13, which is still 26 × 26, has taken a short cut round the last
# pooling. This short cut is the *passthrough*. One more convolution mixes the two, and the head makes the raw output. In
# every cell, it holds one row of numbers for each anchor.
#
# In code, we write the backbone first. Many of its 3 × 3 convolutions alternate with 1 × 1 convolutions that halve the
# number of channels. They save work: a 3 × 3 convolution from 1,024 to 1,024 channels has 9.4 million weights, but
# 1 × 1 to 512 channels and 3 × 3 back to 1,024 have 5.2 million together.


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
# The rest adds what detection needs. `yolo.Passthrough` turns the 26 × 26 map into a 13 × 13 map with four times as many
# channels. How it does so is the subject of a section below.


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
# The following chapters use `yolo.build_yolov2`, which builds this network in a loop over a table of layers. It adds two
# conveniences. With `image_size=None` it accepts every multiple of 32. And `width=0.25` gives every layer except
# the head a quarter of its filters, hence about a sixteenth of the weights. That is the network of the profile `tiny`,
# which trains on two CPU cores in minutes.
#
# Is it really the same network? We copy all weights from one to the other and compare the raw outputs for our photo. The
# batch normalizations get random numbers first, because their initial zeros and ones would hide mistakes.


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
print(f"width 1: {network.count_params():,}, width 0.25: {small.count_params():,}")

# %% [markdown]
# ## Where are the weights, and where is the work?
#
# A convolution with a k × k kernel has k · k · (channels in) · (channels out) weights. It uses each of them once at every
# position of its map. So the number of multiplications is the number of weights times the number of positions.

# %%
# sides of the 23 maps, in the order of the convolutions
sides = [416, 208] + 3 * [104] + 3 * [52] + 5 * [26] + 7 * [13] + [26] + 2 * [13]
weights, work = [], []
for (convolution, _), side in zip(yolo.darknet_layers(network_voc), sides, strict=True):
    size = convolution.kernel.numpy().size
    weights.append(size / 1e6)
    work.append(size * side**2 / 1e9)
heavy = weights[18] + weights[19] + weights[21]  # conv_19, conv_20, conv_22
print(f"{sum(work):.1f} billion multiplications for one image")
print(f"{heavy / sum(weights):.0%} of the weights are in conv_19, conv_20 and conv_22")

# %%
figures.layer_costs(range(1, 24), weights, work)

# %% [markdown]
# The early layers have few weights, but use them at thousands of positions. The late layers have only 169
# positions, but weights by the million. Wherever a pooling halves the side and the channels double, the work of a
# 3 × 3 layer stays the same, so many bars have equal height. Two practical rules follow. If the network is too large for your disk or
# memory, the last 3 × 3 layers are the place to save, and that saves work too. If it is too slow, smaller images help every layer:
# half the side means a quarter of the work.

# %% [markdown]
# ## How much of the photo does one cell see?
#
# A cell is 32 pixels wide, and yet it has to predict boxes that fill the photo. This works because its value depends on
# many more pixels than its own 32. The square of pixels that can influence an output is called its *receptive field*. It
# follows from the architecture alone. Call the distance in pixels between neighbouring positions of a map a *step*. It
# starts at 1 and doubles at every pooling. A k × k kernel makes the field k - 1 steps wider, and a pooling makes it one
# step wider.

# %%
field, step = 1, 1  # in pixels
for layer in yolo.DARKNET19:
    if layer == "pool":
        field += step
        step *= 2
    else:
        _, kernel_size = layer
        field += (kernel_size - 1) * step
field += 3 * 2 * step  # conv_19, conv_20 and conv_22
print(f"theoretical receptive field: {field} x {field} pixels")

# %% [markdown]
# The field is wider than the photo of 416 × 416 pixels, so a cell in the middle can see all of it. But it is a *theoretical* limit. It says which
# pixels can have an influence, not how much each of them has. A pixel near the border of the field reaches the output
# along few paths, a pixel in the middle along very many.
#
# We can measure the influence: it is the gradient of a cell's values with respect to the pixels. We use an image
# of 640 × 640 pixels, so that the whole field fits in, and a network with random weights.

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

# %%
figures.seen_pixels(large_image, influence, field, side, cell)

# %% [markdown]
# Nine tenths of the influence (red) come from less than half of the theoretical field's area (dashed), and the influence
# is strongest near the cell. This smaller area is called the *effective* receptive field. Training can enlarge it, but
# it remains smaller than the theoretical one. It is still many times larger than the cell, and so a cell can judge objects
# that reach far beyond its own border.

# %% [markdown]
# ## What does the passthrough do?
#
# Each pooling makes the map coarser. A small object such as our dog covers only about two and a half cells of the 13 × 13
# map, but ten positions of the 26 × 26 map, where its parts are still apart. The passthrough brings that finer map to the
# end of the network. First, conv 21 reduces its 512 channels to 64. Then, to be concatenated, it has to become
# 13 × 13 as well, and none of these values should be lost on the way. The solution is to move values from positions to channels: one channel of 26 × 26 becomes four channels
# of 13 × 13.
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
# Look at channel 0 of the two results. `space_to_depth` takes 0, 2, 8 and 10, the upper left values of the four blocks
# (circles). Darknet takes 0, 2, 4 and 6 (squares): all of them come from the upper half of the input, but two of them are
# put into the lower half of the output. The reason is that Darknet's code treats the map in memory as if it
# had a quarter of its channels and twice its height and width. Whether that was intended is unknown.
#
# Both results contain all 64 values. No information is lost in either order. But half of the values stand in
# other places. The next figure shows what this means at the network's real size, for two cells: it marks the pixels of
# the 26 × 26 map whose values arrive there.

# %%
pixel_numbers = np.arange(26 * 26).reshape(1, 26, 26, 1)
pixel_numbers = np.repeat(pixel_numbers, 64, axis=3)  # the same in all 64 channels
sources = {
    "space_to_depth": space_to_depth(pixel_numbers).numpy()[0],
    "Darknet's order": darknet_order(pixel_numbers).numpy()[0],
}
figures.passthrough_sources(sources, {(5, 8): figures.BLUE, (12, 3): figures.RED})

# %% [markdown]
# With `space_to_depth`, each cell receives exactly its own four pixels. With Darknet's order, some of its values come
# from the rows just above and below. For the cell at the lower border (red), some even come from the top of the photo.
#
# Does it matter? A network that is trained with one order learns to use that order. The paper reports
# that adding the passthrough raised the mAP from 74.4 to 75.4. On the small data set of this repository we could not
# confirm a benefit. We compared short trainings with Darknet's order, with `space_to_depth` and without any passthrough.
# The three differed less than runs that differ only in their seed, so the question is undecided there.
#
# > **Pitfall.** The order does matter when weights are loaded that were trained with the other one. The shapes fit, nothing
# > complains, and half of the fine features arrive in the wrong place. Many ports of YOLOv2 load Darknet's weights into a
# > network with `tf.nn.space_to_depth`. We load Darknet files, so `yolo.Passthrough` uses Darknet's order.

# %% [markdown]
# ## How are weights stored in a file?
#
# Training a network from nothing takes long, so trained weights are passed on as files. Darknet's format is as simple as
# a format can be.

# %%
figures.weights_file()

# %% [markdown]
# There are no names, no shapes and no checksum. A program that reads the file must know the network, and must read exactly
# the right count of numbers for each layer. The header holds three version numbers and the number of images that the
# network was trained on. We write our small network into such a file and look at its beginning.

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
# The first layer has 8 filters at this width, so beta, gamma, mean and variance are 8 numbers each. In a fresh network they
# are zeros and ones. The last line confirms the arithmetic: 20 bytes of header, and then 4 bytes for each parameter.
#
# The same arithmetic tells you what is in a file that you have downloaded. The authors' `yolov2.weights` has 203,934,260
# bytes. That is an older header of 16 bytes and 4 × 50,983,561, which is our network with a head of
# 425 filters: COCO's 80 classes and 5 anchors.
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
# > **Pitfall.** Newer files have a header of 20 bytes, older ones of 16. A reader that skips 16 bytes in every
# > case starts 4 bytes too soon in a newer file, so every number lands one place too late. The last mean of each layer then becomes the first
# > variance. Means can be negative, the square root of a negative number is not a number, and soon all outputs are NaN.
# > `load_darknet_weights` takes the length from the version and refuses a file with negative variances.

# %% [markdown]
# ### Does another program read the same network?
#
# Our reader and our writer could share a mistake. OpenCV 4 can run Darknet networks, with code written by other people in
# another language. It needs the weights and a `.cfg` file, a text that lists the layers. We let it run our network on the
# running example, again with random numbers in the batch normalizations. (What the second cell prints depends on your
# version of OpenCV, because version 5 has no Darknet reader.)

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
# The cell prints True if the raw outputs agree. Then the order of the layers, the layout of the kernels, epsilon, the slope of the leaky ReLU and
# the passthrough are what OpenCV's reader of Darknet files expects.

# %% [markdown]
# ## What do pre-trained weights bring?
#
# The data set of this repository has 400 training images. That is little for a network with millions of weights, which
# starts without knowing what an edge or a wheel is. *Transfer learning* is the way out. Someone trains the network on a larger data set.
# We take over its weights, except for the head, which belongs to the other classes and anchors. Then we continue the
# training on our own data, which is called *fine-tuning*. The edges, textures and parts that the network
# has learned to recognise are useful for our objects too, even for classes that it has never seen.
#
# The paper works in this way. Its backbone first learns to classify the 1.28 million images of ImageNet, and then becomes
# part of a detector. The series goes one step further and starts from a complete detector, trained
# on COCO. We follow the series:
#
# - The profile `full` starts from `yolov2.weights`, the authors' detector for the 80 classes of COCO.
# - The profile `tiny` starts from `data/pretrained/tiny.weights`. We have trained this small detector on rendered scenes
#   of 15 of VOC's classes. It has never seen a bird, a bus, a cow, a motorbike or a sofa. So for our cows there really is
#   something to transfer, and chapter 5 reports how well these five classes are learned.
#
# `settings.weights` names the file. It is `None` if you have set `YOLO_WEIGHTS=none` to do without. In the profile `full`,
# the next cell downloads the file if it is missing.

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
figures.filters(kernels, "What has pre-training made of the first filters?")

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
# With the weights of the profile `tiny`, the correlation falls with depth. The first layers have hardly changed: even a
# random 3 × 3 filter reacts to some edge or colour, and the network could use these filters almost as they were. Of the
# last layers, little of the start is left.
#
# We can see what it has learned in the feature maps of the running example. For an early layer (conv 3) and a late one
# (conv 20), the figure shows the three channels with the largest spread. The random network has no running averages yet,
# so its batch normalizations measure this photo instead (`training=True`).

# %%
layer_names = {"leaky_3": "conv 3, 104 × 104", "leaky_20": "conv 20, 13 × 13"}
maps = {}
for name, model in networks.items():
    outputs = [model.get_layer(layer).output for layer in layer_names]
    inner = keras.Model(model.input, outputs)
    values = inner(image[None], training=model is random_network)
    values = [value.numpy()[0] for value in values]
    maps[name] = list(zip(layer_names.values(), values, strict=True))
figures.feature_maps(image, maps, "Does a late layer respond to whole objects?")

# %% [markdown]
# In the early layer, both networks show edges and areas of one colour. In the late layer they differ. The random channels
# respond to scattered spots, most of them round the white legs of the lying cow, which stand out. The loaded channels
# respond to the standing cow as a whole, although the pre-training of `tiny` has never shown a cow. The head can build
# its predictions on such channels. One image is only a hint, of course. Chapter 5 measures what the weights are worth.
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
# The head alone still has random weights. What does the network answer with them? Remember from chapter 2 how a raw output
# becomes a prediction: a sigmoid turns the two location numbers into an offset inside the cell, an exponential turns
# the two size numbers into factors for the anchor's width and height, and another sigmoid gives the objectness.
# The class numbers become probabilities by a softmax.
#
# Suppose that all raw outputs are 0. The sigmoid of 0 is 0.5 and the exponential of 0 is 1. So every prediction is its
# anchor, in the middle of its cell, with an objectness of 0.5 and the same probability for each class. That is
# a good place to start from. The boxes are sensible, nothing is decided yet, and no sigmoid is so close to 0
# or 1 that its gradient vanishes.
#
# `build_yolov2` therefore draws the head's weights with a small standard deviation of 0.01 and sets its bias to 0. The
# raw outputs are then close to 0. Let us check this for the 676 predictions of the running example, and compare it with a head whose
# weights are ten times as large. Since the head is linear and its bias is 0, ten times the weights simply
# mean ten times the raw output.

# %%
raw = network(image[None], training=False).numpy()
heads = {"standard deviation 0.01": raw, "standard deviation 0.1": 10 * raw}
for name, output in heads.items():
    decoded = yolo.decode_predictions(output, anchors)
    factors = np.exp(output[..., 2:4])
    for what, values in (("objectness", decoded.objectness), ("size", factors)):
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        print(f"{name}, {what:10} median {middle:.2f}, 90 % {low:.2f} to {high:.2f}")

# %%
cells = np.argwhere(target[..., 4].any(axis=-1))  # where the objects' centres are
boxes = [yolo.decode_predictions(output, anchors).boxes[0] for output in heads.values()]
figures.first_predictions(
    image, boxes, cells, list(heads), "A small start keeps every box near its anchor"
)

# %% [markdown]
# The figure shows the predictions of the cells that hold the centres of the objects (black dots). With the small start,
# each of these cells predicts the four anchors around its middle, and so do all other cells. With the large start,
# the boxes have shapes that nobody has asked for, and training would have to undo them first.
#
# Neither answer is useful yet. With the small start, all predictions claim an object with a probability of about one half, no matter
# whether their cell shows a cow or grass. Teaching the network the difference is the task of the next two chapters.

# %% [markdown]
# ## Key points
#
# - The target fixes both ends of the network: five poolings lead from 416 pixels to 13 cells, and the head has
#   4 × (5 + C) filters.
# - Everything between is one block, repeated 22 times: convolution without bias, batch normalization, leaky ReLU.
# - Most weights are in the last 3 × 3 convolutions. The work is spread more evenly over the network.
# - In theory a cell in the middle sees the whole photo. In practice most of the influence comes from a smaller area round it.
# - The passthrough moves a finer map into the channels of the coarse one, and no value is lost. Which order it uses matters
#   only for weights that were trained with the other one.
# - A Darknet file is a header and a list of numbers. It does not describe its network, so the loader counts the numbers.
# - Transfer learning takes over everything except the head. The head starts with small weights, so that every
#   prediction starts as its anchor.
#
# **Next:** [4 The loss](04_loss.ipynb) measures how far these raw outputs are from the target.
