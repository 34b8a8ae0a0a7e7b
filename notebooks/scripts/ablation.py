"""What does each part of the recipe give? The profile `tiny` once as it is, and once without each part.

    python notebooks/scripts/ablation.py                      # trains what is missing, then reports
    python notebooks/scripts/ablation.py --report             # only reports: a table, and a figure beside the results
    python notebooks/scripts/ablation.py --epochs 4 --seeds 2 --rows full norm --file short.json

The counterpart of the paper's step-by-step table, but taken apart from its end: the full recipe minus one part.

- The same budget: each row sends about the same number of pixels through the network, the crops of the pre-training
  included, rounded to whole detector epochs. So the row without pre-training gets more of these. A crop's pixel costs less
  than an image's: it passes 18 of the 23 convolutions. Training never stops early. Measured on the test images: the weights
  of the best validation mAP. Without multi-scale, each phase has only its middle side.
  Without pre-training, nothing is frozen.
- One seed means the same initial weights, order of images and augmentation in all rows. A difference of the means counts
  when it exceeds the spread (largest minus smallest mAP over the seeds) of both rows, else it is "undecided". By chance
  alone that happens in one comparison of twenty with three seeds, in one of five with two (for normal scores). It says
  nothing about other test images, and the 100 of data/mini_voc are few.

A training takes minutes on two CPU cores, all 33 take hours. After each, the results are written to --file, whole or not at
all. An interrupted run goes on with what is missing; results of other data, settings or --epochs are never mixed.
"""

import argparse
import contextlib
import dataclasses
import math
import os
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as `make run` does: half the time
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from matplotlib.figure import Figure

import yolo_helpers as yolo  # before Keras: it keeps TensorFlow's start quiet

import keras  # isort: skip
import tensorflow as tf  # isort: skip

tf.get_logger().setLevel("ERROR")  # each row traces its functions anew, which TensorFlow would warn of

# as one writes them down without looking at the data: a quarter and a half of the side, each 1:2 upright and lying
HAND_PICKED = np.array([(side * shape, side / shape) for side in (0.25, 0.5) for shape in (0.5**0.5, 2**0.5)])


class Bias(keras.layers.Layer):
    """In the place of a batch normalisation: only its beta is left."""

    def build(self, shape):
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta")

    def call(self, x, training=False, mask=None):  # clone_model calls it as it called the one before
        return tf.nn.bias_add(x, self.beta)

    def fold_into(self, convolution):
        convolution.trainable = self.trainable = False  # there is no factor that could go into the kernel


def without_batch_norm(model):
    def clone(layer):
        is_norm = isinstance(layer, yolo.FusedBatchNormalization)
        return Bias(name=layer.name) if is_norm else type(layer).from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone)  # initial weights follow from the layers' seeds


def without_passthrough(model):
    """conv_22 built anew on conv_20's map alone: ignoring its other input would leave conv_21 without a gradient."""
    x = model.get_layer("leaky_20").output
    for name in ("conv_22", "norm_22", "leaky_22", "conv_23", "raw_output"):
        layer = model.get_layer(name)
        x = type(layer).from_config(layer.get_config())(x)
    return keras.Model(model.input, x, name=model.name)


def middle_sides(settings):
    return {"phases": tuple(phase._replace(sides=(sorted(phase.sides)[len(phase.sides) // 2],)) for phase in settings.phases)}


def not_augmented(photo, boxes, side, seed, jitter, zoom, least_visible=0.25):
    return yolo.view(photo, tf.constant([0.0, 0.0, 1.0, 1.0]), side), boxes, tf.ones_like(boxes[:, 0], tf.bool)


darknet_loss = yolo.yolo_loss  # held here, before a row replaces it in the module


def loss_without_warmup(y_true, true_boxes, y_pred, anchors, warmup=False, coordinate_scale=1.0):
    return darknet_loss(y_true, true_boxes, y_pred, anchors, False, coordinate_scale)


def series_loss(y_true, true_boxes, y_pred, anchors, warmup=False, coordinate_scale=1.0):
    """The loss of the series' code, as `LossTerms` per image. What differs from `yolo_loss` is marked."""
    y_true, y_pred = (tf.cast(tf.convert_to_tensor(t), tf.float32) for t in (y_true, y_pred))
    responsible, batch = y_true[..., 4], tf.cast(tf.shape(y_pred)[0], tf.float32)
    anchors = tf.cast(anchors, tf.float32) * tf.cast(tf.shape(y_pred)[2:0:-1], tf.float32)
    xy, objectness = yolo._grid_cells(y_pred) + tf.sigmoid(y_pred[..., :2]), tf.sigmoid(y_pred[..., 4])
    wh = tf.exp(tf.minimum(y_pred[..., 2:4], 20.0)) * anchors  # the limit is ours: how well it learns is asked, not overflow
    iou = responsible * yolo._iou_centred(tf.concat([xy, wh], axis=-1), y_true[..., :4])  # no stop_gradient
    cross_entropy = tf.nn.softmax_cross_entropy_with_logits(y_true[..., 5:], y_pred[..., 5:])
    terms = yolo.LossTerms(
        xy=0.5 * responsible * tf.reduce_sum((y_true[..., :2] - xy) ** 2, axis=-1),  # weight 1, not 2 - w h
        wh=0.5 * responsible * tf.reduce_sum((y_true[..., 2:4] - wh) ** 2, axis=-1),  # of raw sizes, not of logarithms
        objectness=0.5 * 5 * iou * (iou - objectness) ** 2,  # weight 5 x IoU, not 5
        no_objectness=0.5 * (1 - responsible) * objectness**2,  # its buffer of true boxes is empty: nobody is ignored
        classes=responsible * cross_entropy,
        warmup=tf.zeros_like(objectness),  # none
    )
    return yolo.LossTerms(*(tf.reduce_sum(term) / batch for term in terms))


# changes: fields of the settings, given the settings; replaced: functions of yolo_helpers. These are looked up in the module
# when they run or are traced, so a patch reaches them, and yolo_helpers needs no switches that only an ablation would use
Row = namedtuple("Row", "label anchors changes network replaced", defaults=(None, lambda _: {}, lambda model: model, {}))
ROWS = {
    "full": Row("full recipe"),
    "anchors": Row("hand-picked anchors", anchors=HAND_PICKED),
    "norm": Row("no batch norm", network=without_batch_norm),
    "passthrough": Row("no passthrough", network=without_passthrough),
    "order": Row("Darknet's passthrough order", changes=lambda settings: {"passthrough": "darknet"}),
    "multiscale": Row("no multi-scale", changes=middle_sides),
    # the classifier's crops keep their random place and flip, which are no function of their own
    "augmentation": Row("no augmentation", replaced={"_augmented": not_augmented, "recoloured": lambda image, colours: image}),
    "pretraining": Row("no pre-training", changes=lambda settings: {"pretrain_epochs": 0}),
    "warmup": Row("no warm-up", replaced={"yolo_loss": loss_without_warmup}),
    "scale": Row("coordinate scale 1", changes=lambda settings: {"coordinate_scale": 1.0}),
    "series": Row("the series' loss", replaced={"yolo_loss": series_loss}),
}


def patched(row):
    """A context in which the row's functions stand in yolo_helpers."""
    return mock.patch.multiple(yolo, **row.replaced) if row.replaced else contextlib.nullcontext()


def pixels(settings, train):
    """(pixels of the pre-training, of one detector epoch) that go through the network; the mean over the phases and their sides."""
    objects, images = (sum(int((~a.difficult).sum()) for a in train), math.ceil(len(train) / settings.batch_size))
    crops = settings.pretrain_epochs * math.ceil(objects / 32) * 32 * settings.crop_size**2
    shares = np.diff([0] + [phase.until for phase in settings.phases])
    mean = sum(share * np.mean(np.square(phase.sides)) for share, phase in zip(shares, settings.phases, strict=True))
    return crops, images * settings.batch_size * float(mean)


def settings_of(row, settings, train, seed=0):
    """The row's settings, with as many detector epochs as the full recipe's pixels allow."""
    crops, epoch = pixels(settings, train)
    changed = dataclasses.replace(settings, **row.changes(settings), seed=seed)
    own_crops, own_epoch = pixels(changed, train)
    epochs = max(1, round((crops + settings.epochs * epoch - own_crops) / own_epoch))
    return dataclasses.replace(changed, epochs=epochs, patience=epochs)


def build(row, settings, anchors):
    options = dict(width=settings.width, passthrough=settings.passthrough, seed=settings.seed)
    return row.network(yolo.build_yolov2(None, len(anchors), **options))


def train_row(name, seed, settings, splits):
    """Train one row with one seed in a temporary folder; returns its line of the results file."""
    start, row, train = time.perf_counter(), ROWS[name], splits.train
    settings = settings_of(row, settings, train, seed)
    anchors = yolo.kmeans_anchors(yolo.box_sizes(train), 4, restarts=10)[0] if row.anchors is None else row.anchors
    line = {"row": name, "seed": seed, "epochs": settings.epochs, "map": 0.0, "validation_map": 0.0, "diverged": False}
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    with patched(row), tempfile.TemporaryDirectory() as folder:
        model = build(row, settings, anchors)
        if settings.pretrain_epochs:
            yolo.pretrain(model, train, settings)
        yolo.quiet_start(model, settings.frozen if settings.pretrain_epochs else 0)
        try:
            history = yolo.train_detector(model, train, splits.validation, anchors, settings, folder=folder)
            score = yolo.validate(model, splits.test, anchors, settings)[1].mean_average_precision
            line |= {"map": float(np.nan_to_num(score)), "validation_map": max(row["validation_map"] or 0.0 for row in history)}
        except FloatingPointError as error:  # a result too: without this part it does not train
            line["diverged"] = True
            print(error)
    return {**line, "seconds": round(time.perf_counter() - start)}


def run(path, names, seeds, settings, splits):
    """Train what is missing in the results file, seed by seed, so that a first comparison is there early."""
    made_from = {"data": yolo.fingerprint(splits.train), **yolo._comparable(settings)}
    content = yolo.read_artifact(path) if path.exists() else {"results": [], "made_from": made_from}
    if content["made_from"] != made_from:
        raise ValueError(f"{path}: made from other data or with other settings; delete it or name another --file")
    results = content["results"]
    done = {(line["row"], line["seed"]) for line in results}
    for name, seed in ((name, seed) for seed in range(seeds) for name in names if (name, seed) not in done):
        print(f"--- {ROWS[name].label}, seed {seed}", flush=True)
        results.append(line := train_row(name, seed, settings, splits))
        yolo.write_artifact(path, {"results": results}, made_from)
        print(f"--- {ROWS[name].label}, seed {seed}: test mAP {line['map']:.3f}, {line['seconds']} s", flush=True)


def scores_of(results):
    """{row: its test mAPs}, in the order of ROWS."""
    scores = {name: [line["map"] for line in results if line["row"] == name] for name in ROWS}
    return {name: found for name, found in scores.items() if found}


def is_decided(scores, full):
    """Does the difference of the means exceed both spreads? One seed has no spread to compare with: no."""
    return min(len(scores), len(full)) > 1 and abs(np.mean(scores) - np.mean(full)) > max(np.ptp(scores), np.ptp(full))


def table(results):
    """The results as a markdown table."""
    lines = ["| recipe | mean test mAP | over the seeds | difference from the full recipe |", "|---|---|---|---|"]
    scores = scores_of(results)
    for name, found in scores.items():
        difference = f"{np.mean(found) - np.mean(scores.get('full', found)):+.3f}" if name != "full" else ""
        difference += ", undecided" if name != "full" and not is_decided(found, scores.get("full", [])) else ""
        broken = sum(line["diverged"] for line in results if line["row"] == name)
        label = ROWS[name].label + (f" ({broken} of {len(found)} diverged)" if broken else "")
        lines.append(f"| {label} | {np.mean(found):.3f} | {min(found):.3f} to {max(found):.3f} ({len(found)}) | {difference} |")
    return "\n".join(lines)


def draw(results, path):
    """Every training as a dot, every mean as a bar; the band is the full recipe's spread."""
    figure = Figure(figsize=(9, 4.6), dpi=100, layout="constrained")
    axis, scores = figure.subplots(), scores_of(results)
    full = scores.get("full", [])
    for place, (name, found) in enumerate(scores.items()):
        colour = "#2f6fab" if name == "full" else "#c8443c" if is_decided(found, full) else "#5f6570"
        axis.plot(found, [place] * len(found), "o", color=colour, alpha=0.6, markersize=7, markeredgewidth=0)
        axis.plot([np.mean(found)] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=3)
        axis.annotate(f"{np.mean(found):.3f}", (max(found), place), (9, 0), textcoords="offset points", va="center", color=colour)
    if full:
        axis.axvspan(min(full), max(full), color="#e5e7eb", zorder=0)
    axis.set_yticks(range(len(scores)), [ROWS[name].label for name in scores])
    axis.set(xlabel="mAP@.5 on the test images", xlim=(0, 1.15 * max(0.01, *map(max, scores.values()))))
    axis.set_title("Without one part: a dot for each seed, a bar for their mean; grey: undecided", fontsize=11)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Software": None})


def report(path):
    """Print the table and draw the figure of a results file."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no results yet; start without --report first")
    content = yolo.read_artifact(path)
    print("\n{profile}, {epochs} epochs, {data}\n".format(**content["made_from"]))
    print(table(content["results"]))
    draw(content["results"], path.with_suffix(".png"))


def main(arguments=None, settings=None):
    """settings: instead of those of the environment, for tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, help="detector epochs of the full recipe (default: the profile's)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each row (default 3)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=" ".join(ROWS))
    parser.add_argument("--file", type=Path, default=yolo.ROOT / "data/reference/ablation.json", help="the results")
    parser.add_argument("--report", action="store_true", help="train nothing, only report what is there")
    options = parser.parse_args(arguments)
    settings = settings or yolo.load_settings()
    if settings.profile != "tiny" or options.seeds < 1 or (options.epochs is not None and options.epochs < 1):
        parser.error("the ablation is of the profile tiny; --epochs and --seeds must be at least 1")
    if options.epochs:
        short = min(settings.pretrain_epochs, options.epochs)
        settings = dataclasses.replace(settings, epochs=options.epochs, pretrain_epochs=short)
    if not options.report:
        run(options.file, options.rows, options.seeds, settings, yolo.load_splits(settings.voc_dir))
    report(options.file)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; started again, it goes on with what is missing")
