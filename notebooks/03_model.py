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
# # 3 The model: Darknet-19 with a passthrough
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/yolov2-from-scratch/yolov2-from-scratch/blob/main/notebooks/03_model.ipynb)
#
# **Goal.** Build the network of YOLOv2 layer by layer, and prove that it is Darknet's network, down to the order of its
# channels and the bytes of its weights file.
#
# *The series* is Yumi's blog series on YOLOv2, which these notebooks follow; *the paper* is [YOLO9000](https://arxiv.org/abs/1612.08242); *Darknet* is its authors' [program](https://github.com/pjreddie/darknet).
#
# **You will learn**
# - how 23 convolutions turn a 416 × 416 photo into 13 × 13 × 4 × 25 numbers,
# - where the 50,650,436 parameters sit, where the time goes, and how much of the photo one output sees,
# - what the passthrough does, and why TensorFlow's `space_to_depth` is not the same thing,
# - how a Darknet weights file is laid out, and how to notice that one has been misread,
# - how the last layer must start so that training can begin,
# - what the paper means by training a classifier first.
#
# *Read 25 min, run under 1 min on two CPU cores, exercises 20 min.*
#
# | part | 1 anchors | 2 encoding | **3 model** | 4 loss | 5 training | 6 inference |
# |---|---|---|---|---|---|---|
# | makes | `anchors.json` | batches | **the network** | the loss | `yolov2_weights.npz` | detections, mAP |

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
import tempfile

import yolo_helpers as yolo  # first: it keeps TensorFlow's start quiet

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats("jpeg", pil_kwargs={"quality": 80})
plt.rcParams.update({"figure.dpi": 90, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
BLUE, ORANGE, GREEN, RED, GREY = "#2f6fab", "#e08a1e", "#3a9d5d", "#c8443c", "#8a8f98"

# %% tags=["nbval-ignore-output"]
settings = yolo.load_settings()
print("TensorFlow", yolo.tf.__version__, " Keras", keras.__version__)
print(settings.table())

# %%
splits = yolo.load_splits(settings.voc_dir)
train = splits.train
anchors = np.array(yolo.read_artifact(
    yolo.find_artifact(settings, "anchors.json", "01_anchor_clustering", yolo.fingerprint(train)))["anchors"])
print(np.round(anchors, 2))

# %% [markdown]
# ## What does the network have to answer?
#
# Notebook 02 turned every photo into a target of 13 × 13 × 4 × 25 numbers: for each of 169 cells and each of 4 anchors a
# box (4 numbers), a confidence (1) and one number for each of 20 classes. The network has to produce a tensor of exactly
# that shape. Two consequences fix its skeleton before we choose a single filter:
#
# - **416 → 13** means halving the map five times. Only max-pooling does that here, so there are five poolings, and an image
#   side must be a multiple of 32.
# - **4 × 25 = 100 numbers a cell** means that the last convolution has 100 filters. It is 1 × 1: it looks at one cell's
#   1,024 features and nothing else. There is no fully connected layer, so the same weights work at any image side.

# %% [markdown]
# ## The block that is repeated 22 times
#
# Every layer but the last is *convolution, batch normalisation, leaky ReLU*. The series calls it `ConvBatchLReLu`, and its
# two small numbers matter more than they look:
#
# - The convolution has **no bias**, because the batch normalisation that follows subtracts the mean and would remove it.
# - **LeakyReLU .1**: negative values are multiplied by .1. Keras' own default is .3; the original's weights expect .1.
# - **Epsilon 1e-6** is what is added to the variance before its square root is taken. Keras' default is 1e-3.

# %%
def ConvBatchLReLu(x, filters, kernel_size, index):
    x = keras.layers.Conv2D(filters, kernel_size, padding="same", use_bias=False, name=f"conv_{index}")(x)
    x = keras.layers.BatchNormalization(epsilon=1e-6, momentum=0.9, name=f"norm_{index}")(x)
    return keras.layers.LeakyReLU(negative_slope=0.1, name=f"leaky_{index}")(x)


# %% [markdown]
# Does epsilon matter? Only where a channel's variance is small, and in pretrained networks some are. Darknet divides by
# √variance + 1e-6; here is what the two Keras versions make of a value that lies one standard deviation from the mean:

# %%
print("variance    Darknet   epsilon 1e-6   epsilon 1e-3")
for variance in (1.0, 1e-2, 1e-3, 1e-4, 1e-5):
    deviation = np.sqrt(variance)
    print(f"{variance:8.0e} {deviation / (deviation + 1e-6):10.3f}"
          f" {deviation / np.sqrt(variance + 1e-6):12.3f} {deviation / np.sqrt(variance + 1e-3):14.3f}")

# %% [markdown]
# With 1e-6 we stay within 5 % even at a variance of 1e-5; with 1e-3 such a channel is a tenth of what the next layer was
# trained to see.
#
# > **Where the series goes wrong.** It keeps Keras' epsilon of 1e-3 while loading weights that were trained with 1e-6.
# > Nothing crashes: quiet channels just become quieter.

# %% [markdown]
# ## The network, written out
#
# Darknet-19 is a stack of these blocks: 3 × 3 convolutions look around, 1 × 1 convolutions in between squeeze the channels
# so that the next 3 × 3 is affordable. After its 18 convolutions (the 19th, its classifier, is cut off) come two more of 1,024 filters, then the one idea that is
# not a stack: `conv_13`'s finer 26 × 26 map is carried past the last pooling and joined to the coarse one. That is the
# **passthrough**; the function that folds 26 × 26 into 13 × 13 is called `space_to_depth_x2` in the series, and a section
# below is about nothing else.

# %%
def space_to_depth_x2(x):
    """(B, H, W, C) to (B, H/2, W/2, 4C) in Darknet's order."""
    height, width, channels = x.shape[1:]
    x = keras.ops.transpose(x, (0, 3, 1, 2))  # Darknet keeps its maps as channels x height x width
    x = keras.ops.reshape(x, (-1, channels // 4, height, 2, width, 2))
    x = keras.ops.transpose(x, (0, 3, 5, 1, 2, 4))
    x = keras.ops.reshape(x, (-1, 4 * channels, height // 2, width // 2))
    return keras.ops.transpose(x, (0, 2, 3, 1))


# %%
def define_YOLOv2(IMAGE_H=416, IMAGE_W=416, BOX=4, CLASS=20, width=1.0):
    def filters(count):
        return round(count * width)

    def pool(x):
        return keras.layers.MaxPooling2D(pool_size=2)(x)

    input_image = keras.Input((IMAGE_H, IMAGE_W, 3))
    x = ConvBatchLReLu(input_image, filters(32), 3, 1)                      # 416
    x = ConvBatchLReLu(pool(x), filters(64), 3, 2)                          # 208
    x = ConvBatchLReLu(pool(x), filters(128), 3, 3)                         # 104
    x = ConvBatchLReLu(x, filters(64), 1, 4)
    x = ConvBatchLReLu(x, filters(128), 3, 5)
    x = ConvBatchLReLu(pool(x), filters(256), 3, 6)                         # 52
    x = ConvBatchLReLu(x, filters(128), 1, 7)
    x = ConvBatchLReLu(x, filters(256), 3, 8)
    x = ConvBatchLReLu(pool(x), filters(512), 3, 9)                         # 26
    x = ConvBatchLReLu(x, filters(256), 1, 10)
    x = ConvBatchLReLu(x, filters(512), 3, 11)
    x = ConvBatchLReLu(x, filters(256), 1, 12)
    x = skip_connection = ConvBatchLReLu(x, filters(512), 3, 13)
    x = ConvBatchLReLu(pool(x), filters(1024), 3, 14)                       # 13
    x = ConvBatchLReLu(x, filters(512), 1, 15)
    x = ConvBatchLReLu(x, filters(1024), 3, 16)
    x = ConvBatchLReLu(x, filters(512), 1, 17)
    x = ConvBatchLReLu(x, filters(1024), 3, 18)                             # the end of Darknet-19
    x = ConvBatchLReLu(x, filters(1024), 3, 19)
    x = ConvBatchLReLu(x, filters(1024), 3, 20)
    skip_connection = ConvBatchLReLu(skip_connection, filters(64), 1, 21)   # 26
    skip_connection = space_to_depth_x2(skip_connection)                    # 26 -> 13
    x = keras.layers.Concatenate()([skip_connection, x])
    x = ConvBatchLReLu(x, filters(1024), 3, 22)
    x = keras.layers.Conv2D(BOX * (5 + CLASS), 1, padding="same", name="conv_23")(x)
    output = keras.layers.Reshape((IMAGE_H // 32, IMAGE_W // 32, BOX, 5 + CLASS))(x)
    return keras.Model(input_image, output)


# %% [markdown]
# Some thirty lines, no magic. The paper's network has a width of 1; the `tiny` profile uses .25, a quarter of the filters in
# every layer but the last one (the *head*), which is what a CPU can train in minutes. First the full one, counted:

# %%
full_model = define_YOLOv2()
total = full_model.count_params()
trainable = sum(int(np.prod(weight.shape)) for weight in full_model.trainable_weights)
print(f"{total:,} parameters: {trainable:,} trainable, {total - trainable:,} not")
assert (total, trainable) == (50_650_436, 50_629_764)

# %% [markdown]
# These are the series' numbers to the last digit. The 20,672 that are not trained are the running means and variances of
# the batch normalisation. Here is the whole network as a table; *weights* counts the kernel, and `conv_23`'s bias:

# %%
def layer_table(model):
    """One row for each convolution: number, kernel side, input channels, output side, filters, weights."""
    rows = []
    for number in range(1, 24):
        layer = model.get_layer(f"conv_{number}")
        side = layer.output.shape[1]
        kernel, _, channels, filters = layer.kernel.shape
        rows.append((number, kernel, channels, side, filters, layer.count_params()))
    return rows


rows = layer_table(full_model)
print("layer     kernel   channels         map           weights")
for number, kernel, channels, side, filters, weights in rows:
    print(f"conv_{number:<4} {kernel} x {kernel} {channels:8,} -> {filters:<6,} {side:3} x {side:<3} {weights:14,}")

# %% [markdown]
# And as a picture. Height is the side of the map, width the number of channels (both as square roots, or the first layers
# would fill the screen):

# %%
stages = [(1, "1"), (2, "2"), (5, "3-5"), (8, "6-8"), (13, "9-13"), (18, "14-18"), (20, "19-20"), (22, "22"), (23, "23")]
colours = ["#d9e6f2", "#b9d2e8", "#95bbdc", "#6fa2cd", BLUE, "#1f4e7c", "#173a5c", GREEN, ORANGE]
figure, axis = plt.subplots(figsize=(11.5, 4.2), layout="constrained")
x, centres = 0.0, {}
for (number, name), colour in zip(stages, colours, strict=True):
    side, filters = rows[number - 1][3:5]
    high, wide = np.sqrt(side) / 4, np.sqrt(filters) / 22
    axis.add_patch(Rectangle((x, -high / 2), wide, high, facecolor=colour, edgecolor="white"))
    axis.text(x + wide / 2, -high / 2 - 0.2, f"{side} × {side}\n× {filters}", ha="center", va="top", fontsize=8)
    axis.text(x + wide / 2, high / 2 + 0.15, f"conv\n{name}", ha="center", va="bottom", fontsize=8, color="#333333")
    centres[name] = (x + wide / 2, high / 2)
    x += wide + max(0.75, 1.5 - wide)
(start, low), (stop, _) = centres["9-13"], centres["22"]
axis.add_patch(FancyArrowPatch((start, low + 0.85), (stop, 1.45), connectionstyle="arc3,rad=-0.28", color=RED,
                               arrowstyle="-|>", mutation_scale=14, linewidth=2))
axis.text((start + stop) / 2, 3.1, "passthrough: conv 21, then 26 × 26 × 64 → 13 × 13 × 256", color=RED, ha="center")
axis.set(xlim=(-0.4, x), ylim=(-3.4, 3.5), aspect="equal")
axis.axis("off")
axis.set_title("From 416 × 416 pixels to 13 × 13 cells: maps shrink, channels grow", loc="left")
plt.show()

# %% [markdown]
# ## Is it the network of `yolo_helpers`?
#
# The notebooks that follow use `build_yolov2`. It is the same network in a loop over the table `DARKNET19`, with three
# conveniences: initial weights that follow from a seed, `image_size=None` for any multiple of 32, and a batch normalisation
# that TensorFlow computes in one fused operation. To prove that it is *the same*, we need weights that would betray any
# difference. A fresh batch normalisation (mean 0, variance 1) hides most mistakes, so every norm gets random numbers first.

# %%
def randomise_norms(model, seed):
    """Random scale, shift, mean and variance in every batch normalisation, so that no mistake can hide there."""
    rng = np.random.default_rng(seed)
    for number in range(1, 23):
        norm = model.get_layer(f"norm_{number}")
        shape = norm.gamma.shape
        norm.set_weights([rng.uniform(low, high, shape) for low, high in ((0.5, 1.5), (-0.3, 0.3), (-0.3, 0.3), (0.5, 1.5))])


def largest_difference(a, b):
    """Largest absolute difference, as a share of the largest output."""
    return float(np.abs(a - b).max() / np.abs(a).max())


def run(model, images):
    """Raw outputs as a NumPy array."""
    return model(images, training=False).numpy()


# %%
model = yolo.build_yolov2(160, width=0.25, seed=3)
randomise_norms(model, seed=3)
plain_model = define_YOLOv2(160, 160, width=0.25)
names = [f"conv_{i}" for i in range(1, 24)] + [f"norm_{i}" for i in range(1, 23)]
for name in names:
    plain_model.get_layer(name).set_weights(model.get_layer(name).get_weights())

images = np.random.default_rng(0).random((2, 160, 160, 3), np.float32)
raw = run(model, images)
difference = largest_difference(raw, run(plain_model, images))
print("raw outputs", raw.shape, "agree:", difference < 1e-5)
assert difference < 1e-5

# %% [markdown]
# The parameters agree by name, too, at full width:

# %%
model_416 = yolo.build_yolov2(416)
assert model_416.count_params() == 50_650_436
assert all([w.shape for w in model_416.get_layer(n).weights] == [w.shape for w in full_model.get_layer(n).weights] for n in names)
print(f"build_yolov2: {model_416.count_params():,} parameters, {len(names)} layers with weights of the same shapes")
del full_model

# %% [markdown]
# ## Where does the work go, and how far does one cell see?
#
# A convolution multiplies and adds once per kernel weight *per position of its map*. So the first layers, which have
# hardly any weights, still cost something because their maps are large, and the last ones hold the weights.
#
# The **receptive field** is the square of input pixels that can influence one output. Each k × k kernel widens it by k − 1
# steps, and after every pooling a step is twice as many pixels.

# %%
def receptive_fields(rows):
    """Receptive field in pixels after each convolution of the main path."""
    field, step, last_side, result = 1, 1, rows[0][3], []
    for number, kernel, _, side, _, _ in rows:
        if number == 21:
            continue  # the side path looks from conv_13: it sees less than the main path
        if side < last_side:
            field, step, last_side = field + step, step * 2, side
        field += (kernel - 1) * step
        result.append((number, field))
    return result


fields = receptive_fields(rows)
work = [kernel**2 * channels * filters * side**2 / 1e9 for _, kernel, channels, side, filters, _ in rows]
print(f"{sum(work):.1f} billion multiply-adds for one image at 416 px; receptive field of the output: {fields[-1][1]} px")

# %%
figure, axes = plt.subplots(3, 1, figsize=(9, 5.6), sharex=True, layout="constrained")
numbers = [row[0] for row in rows]
axes[0].bar(numbers, work, color=BLUE)
axes[0].set_title("Work: billions of multiply-adds", loc="left")
axes[1].bar(numbers, [row[5] / 1e6 for row in rows], color=ORANGE)
axes[1].set_title("Memory: millions of weights, nearly all of them in the last layers", loc="left")
axes[2].step(*zip(*fields, strict=True), where="mid", color=GREEN, linewidth=2)
axes[2].axhline(416, color=GREY, linestyle="--", linewidth=1)
axes[2].text(1, 426, "the whole photo", color=GREY, va="bottom")
axes[2].set_title("Receptive field in pixels: from conv_19 on, one cell can see more than the photo", loc="left")
axes[2].set(xlabel="convolution", xticks=numbers, ylim=(0, 640))
plt.show()

# %% [markdown]
# One cell is 32 pixels wide and answers for boxes as large as the photo. The last panel is why it can.

# %% [markdown]
# ## What does the passthrough do?
#
# Small objects leave traces in the 26 × 26 map that are gone in the 13 × 13 one. Averaging or pooling the finer map would
# lose them again. The passthrough loses nothing: each value of the 64 × 26 × 26 map gets a place in a 256 × 13 × 13 map.
# The question is only *which* place, and there are two answers.
#
# **TensorFlow's `space_to_depth`** is the one the paper describes: the four pixels of a 2 × 2 block become four groups of
# channels of one pixel.

# %%
def space_to_depth_plain(x):
    """(C, H, W) to (4C, H/2, W/2): the pixel (dy, dx) of each 2 x 2 block goes to channel group 2 dy + dx."""
    channels, height, width = x.shape
    out = np.zeros((4 * channels, height // 2, width // 2), x.dtype)
    for channel in range(channels):
        for row in range(height):
            for column in range(width):
                group = 2 * (row % 2) + column % 2
                out[group * channels + channel, row // 2, column // 2] = x[channel, row, column]
    return out


# %% [markdown]
# **Darknet's `reorg`** computes positions in flat memory, and does so as if the map had a quarter of its channels and twice
# its side. With `oc = c / 4`, `q = k // oc` and `r = k % oc`:
#
# $$\text{out}[\,i + w\,(j + h\,k)\,] = \text{in}[\,(2i + q \bmod 2) + 2w\,((2j + \lfloor q/2 \rfloor) + 2h\,r)\,]$$
#
# The output is then *read* as a map of 4c × h/2 × w/2. Whether this was intended is an old question; it is what the
# original's weights were trained with.

# %%
def reorg_plain(x):
    """Darknet's reorg with stride 2 on one image (C, H, W): the formula, index by index."""
    c, h, w = x.shape
    flat_in, flat_out = x.reshape(-1), np.zeros(x.size, x.dtype)
    oc = c // 4
    for k in range(c):
        q, r = k // oc, k % oc
        for j in range(h):
            for i in range(w):
                flat_out[i + w * (j + h * k)] = flat_in[(2 * i + q % 2) + 2 * w * ((2 * j + q // 2) + 2 * h * r)]
    return flat_out.reshape(4 * c, h // 2, w // 2)


# %% [markdown]
# A map of 4 channels and 4 × 4 pixels is small enough to print. Its 64 values are simply 0 to 63:

# %%
small = np.arange(64).reshape(4, 4, 4)
print("channel 0 of the input\n", small[0])
print("\nchannels 0 and 1, space_to_depth\n", space_to_depth_plain(small)[:2].tolist())
print("channels 0 and 1, Darknet's reorg\n", reorg_plain(small)[:2].tolist())

# %%
def draw_channels(axis, maps, columns, size, title):
    """Channels side by side, each value in the colour of the input channel that it came from."""
    shades = [BLUE, ORANGE, GREEN, RED]
    for k, channel in enumerate(maps):
        left, top = (k % columns) * (size + 0.5), -(k // columns) * (size + 0.9)
        for (row, column), value in np.ndenumerate(channel):
            strength = 0.35 + 0.6 * (value % 16) / 15
            colour = shades[value // 16]
            axis.add_patch(Rectangle((left + column, top - row), 1, -1, facecolor=colour, alpha=strength, edgecolor="white"))
            axis.text(left + column + 0.5, top - row - 0.54, value, ha="center", va="center", fontsize=8.5)
        axis.text(left, top + 0.12, f"{k}", fontsize=8, color=GREY)
    lines = -(-len(maps) // columns)
    axis.set(xlim=(-0.2, columns * (size + 0.5)), ylim=(-lines * (size + 0.9), 1.5), aspect="equal")
    axis.set_title(title, loc="left", fontsize=10)
    axis.axis("off")
    axis.set_anchor("W")


figure, axes = plt.subplots(3, 1, figsize=(9, 7.2), height_ratios=[1.25, 1.9, 1.9], layout="constrained")
draw_channels(axes[0], small, 8, 4, "Input: 4 channels of 4 × 4, a colour for each channel, darker towards the end")
draw_channels(axes[1], space_to_depth_plain(small), 8, 2, "space_to_depth: 16 channels of 2 × 2, spread over a whole input channel")
draw_channels(axes[2], reorg_plain(small), 8, 2, "Darknet's reorg: 16 channels of 2 × 2, each from two neighbouring input rows")
plt.show()

# %% [markdown]
# Look at channel 0. `space_to_depth` takes 0, 2, 8, 10: every second pixel of every second row, spread over the whole of
# the first input channel. Darknet takes 0, 2, 4, 6: its first *two rows* only. The 4 stands in the lower half of the output
# although it comes from the upper half of the input.
#
# Now on the size that the network uses, with the running version beside the plain loops:

# %%
x = np.random.default_rng(1).normal(size=(64, 26, 26)).astype(np.float32)


def run_layer(order, x):
    return yolo.Passthrough(order)(x.transpose(1, 2, 0)[None]).numpy()[0].transpose(2, 0, 1)


darknet, tensorflow = reorg_plain(x), space_to_depth_plain(x)
assert np.array_equal(run_layer("darknet", x), darknet)
assert np.array_equal(run_layer("space_to_depth", x), tensorflow)
print("plain loops and yolo.Passthrough agree in every element, in both orders")

# %%
for (k, j, i), source in {(0, 0, 1): (0, 0, 2), (0, 7, 0): (0, 13, 0), (1, 0, 0): (0, 25, 0), (128, 0, 0): (0, 2, 0)}.items():
    assert darknet[k, j, i] == x[source]
same = darknet == tensorflow
same_channels = sum(any(np.array_equal(a, b) for b in tensorflow) for a in darknet)
print(f"the two orders agree in {same.mean():.3f} of the elements")
print(f"channels of Darknet's output that exist anywhere in space_to_depth's: {same_channels} of 256")
assert same.mean() == 0.5 and same_channels == 0

# %% [markdown]
# Half of the elements, and not one whole channel. So no reordering of channels turns one into the other: if you hold
# pretrained weights, `space_to_depth` cannot be repaired by permuting `conv_22`'s kernel.
#
# Where in the 26 × 26 map do the 256 values of one output cell come from? We send each pixel's own number through both
# functions and look at two cells, one in the middle and one at the lower border:

# %%
places = np.broadcast_to(np.arange(676).reshape(26, 26), (64, 26, 26)).copy()
cells = {(5, 8): BLUE, (12, 3): RED}
figure, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
for axis, order, function in zip(axes, ("space_to_depth", "Darknet's reorg"), (space_to_depth_plain, reorg_plain), strict=True):
    for (row, column), colour in cells.items():
        counts = np.bincount(function(places)[:, row, column], minlength=676)
        for place in np.flatnonzero(counts):
            axis.add_patch(Rectangle((place % 26, place // 26), 1, 1, color=colour, alpha=counts[place] / 90, linewidth=0))
            axis.text(place % 26 + 0.5, place // 26 + 0.55, counts[place], ha="center", va="center", fontsize=7)
        axis.add_patch(Rectangle((2 * column, 2 * row), 2, 2, fill=False, edgecolor=colour, linewidth=2))
    axis.set(title=order, xlim=(0, 26), ylim=(26, 0), xticks=range(0, 27, 2), yticks=range(0, 27, 2), aspect="equal")
    axis.tick_params(labelbottom=False, labelleft=False, length=0)
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.spines[:].set_visible(True)
figure.suptitle("Which fine pixels feed two output cells (outlined), and with how many of their 256 values")
plt.show()

# %% [markdown]
# With `space_to_depth` each cell gets its own four pixels. With Darknet's order half of the values belong to the rows above
# and below. That is harmless in the middle; at the lower border (red), 64 of the values come from the *top* of the photo.

# %% [markdown]
# **When does it matter?** With Darknet's pretrained weights it matters most. `conv_22` has learned one order; given the
# other, half of the fine features arrive in the wrong place:

# %%
other = yolo.build_yolov2(160, width=0.25, passthrough="space_to_depth")
other.set_weights(model.get_weights())
change = np.abs(run(other, images) - raw).mean() / np.abs(raw).mean()
print(f"same weights, other order: raw outputs change by more than 5 % on average: {change > 0.05}")
assert change > 0.05

# %% [markdown]
# > **Where the series goes wrong.** It loads Darknet's weights into a network with `tf.nn.space_to_depth`. Nothing
# > complains, as the shapes fit; the fine features are scrambled, and fine-tuning has to repair them.
# > `build_yolov2` uses Darknet's order by default.
#
# A network trained from scratch may use either order, and `conv_22` learns whatever it is given. But where in its cell an
# object lies can be read from the four fine pixels of that cell, and only `space_to_depth` delivers all of them. So the
# profile `tiny`, which starts from random weights, uses `space_to_depth`; `full`, made for Darknet's weights, Darknet's order.

# %% [markdown]
# ## What is in a Darknet weights file?
#
# No names, no shapes, no checksum: a header, then one float32 after the other in the order of the network. Reading it one
# float too early gives no error, only nonsense. That is why it pays to know the format exactly:
#
# | part | content |
# |---|---|
# | version | three int32: major, minor, revision |
# | `seen` | images trained so far: int32, or **uint64 from version 0.2 on**. The header has 16 or 20 bytes |
# | each of the 22 blocks | beta, gamma, mean, variance, then the kernel as [out][in][row][column] |
# | `conv_23` | bias, then kernel |
#
# Three traps: the header's length, Keras' other order (gamma first) and Keras' kernels (row, column, in, out). We write
# our small model to such a file and look at the bytes.

# %%
def save_darknet_weights(model, path, seen=0):
    """Write the model as a Darknet weights file of version 0.2, whose header has 20 bytes."""
    parts = [np.array([0, 2, 0], "<i4").tobytes(), np.array([seen], "<u8").tobytes()]
    for i in range(1, 24):
        kernel, *vectors = model.get_layer(f"conv_{i}").get_weights()  # the head alone has a bias
        if i < 23:
            gamma, beta, mean, variance = model.get_layer(f"norm_{i}").get_weights()
            vectors = [beta, gamma, mean, variance]
        parts += [array.astype("<f4").tobytes() for array in (*vectors, kernel.transpose(3, 2, 0, 1))]
    path.write_bytes(b"".join(parts))


# %%
folder = Path(tempfile.mkdtemp())
path = folder / "small.weights"
save_darknet_weights(model, path, seen=12_800)
content = path.read_bytes()
print("header:", content[:20].hex(" ", 4))
print("int32 :", np.frombuffer(content, "<i4", 3), " uint64:", np.frombuffer(content[12:20], "<u8"))
print("then  :", np.frombuffer(content[20:], "<f4", 4).round(3))
print("beta  :", model.get_layer("norm_1").get_weights()[1][:4].round(3))
print(f"{len(content):,} bytes = 20 + 4 x {model.count_params():,} parameters")
assert len(content) == 20 + 4 * model.count_params()

# %% [markdown]
# The same arithmetic identifies the files that Darknet's author published, without opening them:

# %%
before_head = 50_547_936
for name, classes, header, size in (("yolov2.weights", 80, 16, 203_934_260), ("yolov2-voc.weights", 20, 20, 202_704_264)):
    floats = before_head + (1024 + 1) * 5 * (5 + classes)
    print(f"{name:<20} {header} + 4 x {floats:,} = {header + 4 * floats:,} bytes: {header + 4 * floats == size}")
    assert header + 4 * floats == size
assert 50_650_436 == before_head + (1024 + 1) * 4 * 25

# %% [markdown]
# The series reads the file with a `WeightReader`, a cursor over the floats. Ours takes the header's length from the
# version instead of assuming 16 bytes:

# %%
class WeightReader:
    """A cursor over the floats of a Darknet weights file."""

    def __init__(self, path, header_bytes=None):
        content = np.fromfile(path, np.uint8).tobytes()
        major, minor, _ = np.frombuffer(content, "<i4", 3)
        if header_bytes is None:
            header_bytes = 20 if 10 * major + minor >= 2 and major < 1000 and minor < 1000 else 16
        self.floats = np.frombuffer(content[header_bytes:], "<f4")
        self.offset = 0

    def read(self, count):
        self.offset += count
        return self.floats[self.offset - count : self.offset]


def set_pretrained_weight(model, reader):
    """Fill conv_1 ... conv_23 and norm_1 ... norm_22 in the file's order."""
    for number in range(1, 24):
        convolution = model.get_layer(f"conv_{number}")
        rows, columns, channels, filters = convolution.kernel.shape
        if number < 23:
            beta, gamma, mean, variance = (reader.read(filters) for _ in range(4))
            model.get_layer(f"norm_{number}").set_weights([gamma, beta, mean, variance])
            bias = []
        else:
            bias = [reader.read(filters)]
        kernel = reader.read(filters * channels * rows * columns).reshape(filters, channels, rows, columns)
        convolution.set_weights([kernel.transpose(2, 3, 1, 0), *bias])


# %%
reader = WeightReader(path)
set_pretrained_weight(plain_model, reader)
print("plain reader: everything used up:", reader.offset == len(reader.floats))

loaded = yolo.build_yolov2(160, width=0.25, seed=99)
print("load_darknet_weights, header:", yolo.load_darknet_weights(loaded, path))
assert reader.offset == len(reader.floats)
assert np.array_equal(run(loaded, images), raw)
assert largest_difference(run(plain_model, images), raw) < 1e-5
print("raw outputs equal after writing and reading: True")

# %% [markdown]
# The older header, 16 bytes, as in `yolov2.weights`: version 0.1 and `seen` as int32.

# %%
old = folder / "old_header.weights"
old.write_bytes(np.array([0, 1, 0, 12_800], "<i4").tobytes() + content[20:])
loaded = yolo.build_yolov2(160, width=0.25, seed=99)
print("header:", yolo.load_darknet_weights(loaded, old))
assert np.array_equal(run(loaded, images), raw)
print("raw outputs equal: True")

# %% [markdown]
# ### What does a wrong header do?
#
# Let us make the series' mistake: read 16 bytes of a 20-byte header. Every float moves up by one place, and the last *mean*
# of each layer lands where the first *variance* should be. Means can be negative; variances cannot.

# %%
broken = define_YOLOv2(160, 160, width=0.25)
set_pretrained_weight(broken, WeightReader(path, header_bytes=16))
negative = [n for n in range(1, 23) if (broken.get_layer(f"norm_{n}").get_weights()[3] < 0).any()]
print("layers with a negative variance:", negative)
print(f"outputs that are not a number: {np.isnan(run(broken, images)).mean():.0%}")

# %% [markdown]
# > **Where the series goes wrong.** Its reader skips 16 bytes of any file. That is right for `yolov2.weights` and wrong for
# > `yolov2-voc.weights`: the square root of a negative variance is not a number, and it spreads to all outputs.

# %% [markdown]
# ### Files that are refused
#
# `load_darknet_weights` looks at the whole file before it touches the model. Each refusal is one line that says what to do:

# %%
head_of_80_classes = np.zeros((256 + 1) * 4 * 85, "<f4").tobytes()
refused = {
    "a web page": b"<!DOCTYPE html><html>404 Not Found</html>",
    "cut short": content[:-1000],
    "too long": content + bytes(40),
    "80 classes": content[: -4 * 257 * 100] + head_of_80_classes,
    "wrong header": np.array([0, 1], "<i4").tobytes() + content[8:-4],
}
for name, damaged in refused.items():
    (folder / "damaged.weights").write_bytes(damaged)
    try:
        yolo.load_darknet_weights(loaded, folder / "damaged.weights")
    except ValueError as error:
        print(f"{name}: {str(error).split('.weights: ')[1]}")
assert np.array_equal(run(loaded, images), raw)
print("\nthe model is unchanged after five refusals: True")

# %% [markdown]
# ## Does anybody else agree?
#
# Our reader and our writer could share a mistake. OpenCV 4 has a Darknet importer of its own, written by other people in
# another language. It needs the network as a `.cfg` file, a few lines of text for each layer:

# %%
def darknet_cfg(side, head_filters, width=1.0):
    """The network up to conv_23 as a Darknet .cfg (without the region layer, so that the output stays raw)."""
    def convolution(filters, size):
        return (f"[convolutional]\nbatch_normalize=1\nfilters={round(filters * width)}\nsize={size}\nstride=1\npad=1\n"
                "activation=leaky\n")

    sections = [f"[net]\nwidth={side}\nheight={side}\nchannels=3\n"]
    stages = ([32], [64], [128, 64, 128], [256, 128, 256], [512, 256, 512, 256, 512], [1024, 512, 1024, 512, 1024])
    for stage in stages:
        sections += [convolution(filters, 1 if k % 2 else 3) for k, filters in enumerate(stage)]
        sections.append("[maxpool]\nsize=2\nstride=2\n")
    sections[-1] = convolution(1024, 3) + "\n" + convolution(1024, 3)  # no pooling at the end: conv_19, conv_20
    sections += ["[route]\nlayers=-9\n", convolution(64, 1), "[reorg]\nstride=2\n"]  # from conv_13
    sections += ["[route]\nlayers=-1,-4\n", convolution(1024, 3)]
    sections.append(f"[convolutional]\nfilters={head_filters}\nsize=1\nstride=1\npad=1\nactivation=linear\n")
    return "\n".join(sections)


cfg = darknet_cfg(160, 100, width=0.25)
print("\n".join(cfg.splitlines()[:12]), "\n...")

# %% tags=["nbval-ignore-output"]
(folder / "small.cfg").write_text(cfg)
if hasattr(cv2.dnn, "readNetFromDarknet"):
    network = cv2.dnn.readNetFromDarknet(str(folder / "small.cfg"), str(path))
    network.setInput(np.ascontiguousarray(images[:1].transpose(0, 3, 1, 2)))
    opencv = network.forward().transpose(0, 2, 3, 1).reshape(1, 5, 5, 4, 25)
    difference = largest_difference(raw[:1], opencv)
    print(f"OpenCV {cv2.__version__}: largest difference {difference:.1e} of the largest output")
    assert difference < 1e-3
else:
    print(f"skipped: OpenCV {cv2.__version__} has no Darknet importer (versions before 5 have)")

# %% [markdown]
# The raw outputs agree to a few millionths: header, order of layers, transposed kernels, epsilon, leaky slope, passthrough
# and order of concatenation are all Darknet's. A single one of them wrong would show here.

# %% [markdown]
# ## How should the head start?
#
# `conv_23` is new for every data set, so it starts from random numbers. Which ones? Remember what its raw outputs mean:
# the box centre is σ(t) within its cell, the box size is the anchor times eᵗ, the confidence σ(t), the classes a softmax.
# If all raw outputs are **close to 0**, every prediction starts as its anchor in the middle of its cell, with confidence .5
# and equal chances for all classes. That is an honest "I know nothing", and all gradients are alive.
#
# `build_yolov2` draws the head's kernel with a standard deviation of .01 and sets its bias to 0. (The series'
# `initialize_weight` draws kernel and bias with 1/169 ≈ .006.) Compare with larger starts:

# %%
dataset = yolo.make_dataset(train[:4], anchors, image_size=416, batch_size=4, training=False, seed=0)
photos, (y_batch, b_batch) = next(iter(dataset))
fresh = yolo.build_yolov2(None, width=0.25, seed=1)
head = fresh.get_layer("conv_23")
kernel = np.random.default_rng(2).normal(size=head.kernel.shape)

starts = {}
print("std of the head's kernel    class term per object    confidences from    to")
for std in (0.01, 0.03, 0.1, 1.0):
    head.set_weights([std * kernel, np.zeros(100)])
    starts[std] = run(fresh, photos)
    classes = float(yolo.yolo_loss(y_batch, b_batch, starts[std], anchors).classes) * 4 / float(np.sum(y_batch[..., 4]))
    confidence = 1 / (1 + np.exp(-starts[std][..., 4]))
    print(f"{std:24} {classes:24.1f} {confidence.min():19.2f} {confidence.max():5.2f}")
print(f"\nguessing among 20 classes costs ln 20 = {np.log(20):.1f}")

# %%
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.7), layout="constrained")
for axis, (std, start) in zip(axes, list(starts.items())[:3], strict=True):
    axis.imshow(photos[0])
    boxes = yolo.decode_predictions(start, anchors).boxes.numpy()[0] * 416
    for (row, column), colour in zip(((3, 3), (6, 6), (9, 9)), (BLUE, ORANGE, GREEN), strict=True):
        for low_x, low_y, high_x, high_y in boxes[row, column]:
            axis.add_patch(Rectangle((low_x, low_y), high_x - low_x, high_y - low_y, fill=False, edgecolor=colour, linewidth=1.8))
        axis.plot(32 * column + 16, 32 * row + 16, "o", color=colour, markeredgecolor="white")
    axis.set(xlim=(-60, 476), ylim=(476, -60), xticks=[], yticks=[], title=f"standard deviation {std}")
    axis.spines[:].set_visible(False)
figure.suptitle("The first predictions of three cells: anchors in their cells with .01, wild boxes with .1")
plt.show()

# %% [markdown]
# ## Can it be saved and loaded elsewhere?
#
# Saved as `.keras`, the file holds the architecture and the weights. The layers of our own (`Passthrough`, `GridReshape`,
# `FusedBatchNormalization`) are registered with Keras, so a fresh process that has only imported `yolo_helpers` can load
# it. We start one and compare:

# %%
saved_path, images_path, outputs_path = folder / "model.keras", folder / "images.npy", folder / "outputs.npy"
model.save(saved_path)
np.save(images_path, images)
script = f"""
import yolo_helpers
model = yolo_helpers.keras.models.load_model({str(saved_path)!r})
yolo_helpers.np.save({str(outputs_path)!r}, model.predict_on_batch(yolo_helpers.np.load({str(images_path)!r})))
"""
subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(yolo.ROOT)})
assert largest_difference(raw, np.load(outputs_path)) < 1e-5
print("loaded in a fresh process, raw outputs equal: True")

# %% [markdown]
# ## Why train a classifier first?
#
# A detector has to learn *what* things look like and *where* they are at the same time, from few signals: a photo has two
# or three objects and hundreds of empty cells. The paper therefore works in two stages:
#
# 1. **Classification.** The first 18 convolutions learn to name pictures (1.28 million of ImageNet, 160 epochs at 224 px,
#    then 10 at 448 px). Every picture is a full signal for every filter.
# 2. **Detection.** The classifier's last layer is cut off, `conv_19` to `conv_23` are put in its place, and everything
#    is trained on boxes.
#
# We have no ImageNet at hand, but every annotated photo contains small labelled pictures: its objects. `make_crop_dataset`
# cuts a square around each, somewhat larger than the object and a little shifted, sometimes mirrored, with other colours:

# %%
crops, crop_labels = next(iter(yolo.make_crop_dataset(train, image_size=96, batch_size=24, seed=0, num_epochs=1)))
figure, axes = plt.subplots(3, 8, figsize=(10, 4.3), layout="constrained")
for axis, crop, label in zip(axes.flat, crops.numpy(), crop_labels.numpy(), strict=True):
    axis.imshow(crop)
    axis.set_title(yolo.CLASSES[label], fontsize=8.5, pad=3)
    axis.axis("off")
figure.suptitle("One batch for the classifier: object crops, grey where a crop reaches beyond the photo")
plt.show()

# %% [markdown]
# `build_classifier` puts an average over the map and one dense layer behind `conv_18`. It *shares* the detector's layers,
# so whatever it learns is in the detector without copying anything:

# %%
classifier = yolo.build_classifier(fresh)
answer = run(classifier, crops)
assert answer.shape == (24, 20)
assert classifier.get_layer("conv_18") is fresh.get_layer("conv_18")
shared = sum(layer.count_params() for layer in classifier.layers if layer.name != "classes")
print(f"classifier: {classifier.count_params():,} parameters, {shared:,} of them shared with the detector")
print(f"left for the second stage: {fresh.count_params() - shared:,}")

# %% [markdown]
# The training itself is the first step of notebook 05.

# %% [markdown]
# ## Key points
#
# - Five poolings fix the stride of 32; the last 1 × 1 convolution fixes 4 × 25 numbers a cell. Everything between is one
#   block repeated 22 times.
# - 50,650,436 parameters, 70 % of them in the last four 3 × 3 layers. The receptive field exceeds the photo, so one cell
#   can answer for a box of any size.
# - Darknet's passthrough is not `space_to_depth`: half of the elements agree and no channel does. It matters when
#   pretrained weights are used, and then nothing else will do.
# - A weights file is a header of 16 or 20 bytes and floats in the network's order. Negative variances betray a misreading.
# - OpenCV's importer, written independently, gives the same raw outputs.
# - Start the head close to 0: anchors in their cells, confidence .5, ln 20 for the classes.
#
# ## Exercises
#
# **1.** Which image sides can the network take, and how many boxes does it predict at 608 px?
#
# <details><summary>Solution</summary>
#
# Multiples of 32. 608 / 32 = 19, so 19 × 19 × 4 = 1,444 boxes; `yolo.build_yolov2(608).output_shape` shows the grid.
# With `image_size=None` the same weights take any of these sides, which multi-scale training in notebook 05 uses.
# </details>
#
# **2.** How many parameters has the network for 3 classes and 5 anchors? Calculate first, then check.
#
# <details><summary>Solution</summary>
#
# 50,547,936 before the head, and (1,024 + 1) × 5 × 8 = 41,000 in it: 50,588,936.
# `yolo.build_yolov2(None, num_anchors=5, num_classes=3).count_params()` says the same.
# </details>
#
# **3.** Write the inverse of `reorg_plain` and check it on `x`.
#
# <details><summary>Solution</summary>
#
# Run `reorg_plain` on the numbers 0 to n − 1: it tells for each output which input it takes, and assigning the other way
# round undoes it.
#
# ```python
# order = reorg_plain(np.arange(x.size).reshape(x.shape)).reshape(-1)
# restored = np.zeros(x.size, x.dtype)
# restored[order] = reorg_plain(x).reshape(-1)
# assert np.array_equal(restored.reshape(x.shape), x)
# ```
# </details>
#
# **4.** Swap beta and gamma in `set_pretrained_weight`. Does a variance become negative? How would you notice?
#
# <details><summary>Solution</summary>
#
# No variance changes, and neither does the size: no test of the file notices. The raw outputs are wrong all the same. Only
# a comparison with an independent implementation, as with OpenCV above, finds such a mistake.
# </details>
#
# **Next:** [4 The loss](04_loss.ipynb) compares these raw outputs with the targets of notebook 02.
