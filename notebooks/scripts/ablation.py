"""What does each part of the recipe give? The paper's table of its steps, in small.

    python notebooks/scripts/ablation.py              # train what is missing, report
    python notebooks/scripts/ablation.py --report     # only the table and the figure

The paper adds one part after the other. Here each row is the full recipe without one
part: the network of the profile `tiny`, trained with the functions of train.py. It
starts from random weights, because pre-trained ones would hide what the parts give, and
is trained as data/make_pretrained.py does it from random weights, with Adam. (On other
scenes, not those of this comparison, the full recipe had a validation mAP of 0.11 after
five epochs with Adam and of 0.01 with SGD at a rate of 0.01.)

The plan, written down before the first run:

- Data: scenes that are rendered for this purpose and that the repository does not
  carry, 800 to train on, 100 to choose the epoch and 500 to test on. This makes them:

      python data/make_mini_voc --out data/artifacts/ablation_scenes --seed 201 \\
          --split train=800,val=100,test=500 --no-video

- Length: 10 epochs of 800 images for each row, so every row sees the same images
  equally often. Small images take less time, and that is no part of the comparison.
- Seeds: 4. A seed decides initial weights, order of the images and augmentation, and
  every row is trained with the same ones. So we look at the paired difference to the
  full recipe: the mean over the seeds, and its 95 % interval from Student's t
  distribution. A row whose interval contains 0 is undecided, and called so.
- Expected signs of the differences:

      hand-picked anchors   -   shapes that fit the data are an easier start
      no batch norm         -   the paper's first step, and short trainings need it
      no passthrough        -   small objects lose detail (1 point in the paper)
      no multi-scale        +   many sizes pay off in long trainings, this one is short
      224 instead of 416 px -   a quarter of the pixels: small objects disappear
      the series' loss      -   chapter 4 shows its mistakes

A training takes four to five minutes on two idle cores, and all 28 about two hours. The
results are written after each of them, and an interrupted run continues with the rows
that are missing. Results of other data or settings are never mixed.
"""

import argparse
import contextlib
import dataclasses
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "data"), str(Path(__file__).resolve().parent)]

import numpy as np
from matplotlib.figure import Figure

import yolo_helpers as yolo

import keras  # isort: skip
import tensorflow as tf  # isort: skip
import train  # isort: skip
from make_pretrained import LEARNING_RATE, adam  # isort: skip

SCENES = ROOT / "data" / "artifacts" / "ablation_scenes"
EPOCHS = 10
SEEDS = 4

# Written down without a look at the data: a quarter and a half of the image's side,
# each upright and lying (1 : 2). Fractions of the image.
HAND_PICKED = np.array(
    [
        (0.25 * 0.5**0.5, 0.25 * 2**0.5),
        (0.25 * 2**0.5, 0.25 * 0.5**0.5),
        (0.5 * 0.5**0.5, 0.5 * 2**0.5),
        (0.5 * 2**0.5, 0.5 * 0.5**0.5),
    ],
    np.float32,
)
# Each size of the full recipe times 224 / 416, as the next multiple of 32.
SMALL_SIZES = (128, 128, 160, 160, 192, 192, 224)

# The 97.5 % quantile of Student's t distribution for 1, 2, ... degrees of freedom.
T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


# --------------------------------------------------------------------------------------
# The variants


class LeftOut(keras.layers.Layer):
    """Changes nothing. Stands where batch norm was, and is called with the same."""

    def call(self, x, training=None, mask=None):
        return x


def without_batch_norm(network):
    """The same network with a bias in each convolution instead of batch norm."""

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            return LeftOut(name=f"no_{layer.name}")
        if isinstance(layer, keras.layers.Conv2D):
            config["use_bias"] = True
        return type(layer).from_config(config)

    # The initial kernels follow from the seeds in the layers' configurations.
    return keras.models.clone_model(network, clone_function=clone)


def without_passthrough(network):
    """The same network, but conv_22 sees the map of conv_20 alone."""
    x = network.get_layer("leaky_20").output
    for name in ("conv_22", "norm_22", "leaky_22", "conv_23", "raw_output"):
        layer = network.get_layer(name)
        x = type(layer).from_config(layer.get_config())(x)
    return keras.Model(network.input, x, name=network.name)


def series_loss(y_true, true_boxes, y_pred, anchors, anchor_warmup=False):
    """The loss of the series' code. Comments mark what differs from `yolo_loss`."""
    y_true = tf.cast(y_true, tf.float32)
    y_pred = tf.cast(y_pred, tf.float32)
    anchors = tf.cast(anchors, tf.float32)
    batch_size = tf.cast(tf.shape(y_pred)[0], tf.float32)
    cells = yolo.grid_cells(tf.shape(y_pred)[1], tf.shape(y_pred)[2])
    responsible = y_true[..., 4]

    xy = cells + tf.sigmoid(y_pred[..., 0:2])
    # The limit is ours. We ask how well the loss teaches, not when it overflows.
    wh = tf.exp(tf.minimum(y_pred[..., 2:4], yolo.LARGEST_LOG_SIZE)) * anchors
    objectness = tf.sigmoid(y_pred[..., 4])
    boxes = tf.concat([xy, wh], axis=-1)
    iou = responsible * yolo.iou_centred(boxes, y_true[..., 0:4])  # no stop_gradient

    location_error = tf.reduce_sum((y_true[..., 0:2] - xy) ** 2, axis=-1)
    # Of sizes in grid units, not of their logarithms.
    size_error = tf.reduce_sum((y_true[..., 2:4] - wh) ** 2, axis=-1)
    class_error = tf.nn.softmax_cross_entropy_with_logits(
        y_true[..., 5:], y_pred[..., 5:]
    )

    def mean_over_images(values):
        return tf.reduce_sum(values) / batch_size

    return yolo.LossTerms(
        # Small boxes weigh no more than large ones.
        location=0.5 * mean_over_images(responsible * location_error),
        size=0.5 * mean_over_images(responsible * size_error),
        # The weight is 5 times the IoU instead of 5.
        objectness=0.5 * 5 * mean_over_images(iou * (iou - objectness) ** 2),
        # Its list of true boxes is empty, so no good prediction is ignored.
        background=0.5 * mean_over_images((1 - responsible) * objectness**2),
        classes=mean_over_images(responsible * class_error),
        anchor_warmup=tf.zeros(()),  # none
    )


@dataclasses.dataclass(frozen=True)
class Row:
    """One recipe of the comparison."""

    label: str
    expected: str = ""  # sign of the difference to the full recipe
    settings: dict = dataclasses.field(default_factory=dict)  # fields that are changed
    anchors: np.ndarray | None = None  # fractions; None means k-means
    network: Callable = lambda network: network  # makes the variant
    # Functions of yolo_helpers that others stand in for. They are looked up in the
    # module when they run, so the module needs no switches for the ablation.
    replaced: dict = dataclasses.field(default_factory=dict)


ROWS = {
    "full": Row("full recipe"),
    "anchors": Row("hand-picked anchors", "-", anchors=HAND_PICKED),
    "norm": Row("no batch norm", "-", network=without_batch_norm),
    "passthrough": Row("no passthrough", "-", network=without_passthrough),
    "multiscale": Row("no multi-scale", "+", settings={"train_sizes": (416,)}),
    "small": Row(
        "224 instead of 416 px",
        "-",
        settings={"train_sizes": SMALL_SIZES, "image_size": 224},
    ),
    "series": Row("the series' loss", "-", replaced={"yolo_loss": series_loss}),
}


# --------------------------------------------------------------------------------------
# Training


def patched(row):
    """A context in which the row's functions stand in yolo_helpers."""
    if not row.replaced:
        return contextlib.nullcontext()
    return mock.patch.multiple(yolo, **row.replaced)


def row_settings(row, settings, seed):
    """Settings of one training."""
    return dataclasses.replace(settings, seed=seed, **row.settings)


def build(row, settings, num_anchors):
    """The row's network with random weights."""
    network = row.network(train.build_network(settings, num_anchors))
    yolo.set_objectness_bias(network)  # variants have a new head, without this bias
    return network


def train_row(name, seed, settings, splits):
    """Train one row with one seed; returns its entry in the results file."""
    start = time.perf_counter()
    row = ROWS[name]
    settings = row_settings(row, settings, seed)
    fractions = row.anchors
    if fractions is None:
        fractions, _ = train.find_anchors(splits.train)  # the same for all seeds
    anchors = np.asarray(fractions, np.float32) * yolo.GRID_SIZE

    entry = {"row": name, "seed": seed, "map": 0.0, "val_map": 0.0, "diverged": False}
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    with patched(row), tempfile.TemporaryDirectory() as folder:
        network = build(row, settings, len(anchors))
        try:
            run = train.train_and_evaluate(
                settings, splits, anchors, network, folder, make_optimizer=adam
            )
            score = run.evaluation.mean_average_precision
            entry["map"] = float(np.nan_to_num(score))
            entry["val_map"] = max(run.history["val_map"])
        except FloatingPointError as error:  # a result too: without it, no training
            entry["diverged"] = True
            print(error)
    entry["seconds"] = round(time.perf_counter() - start)
    return entry


def made_from(settings, splits):
    """All that must be equal for results to stand in one table."""
    return {
        "train": yolo.fingerprint(splits.train),
        "test": yolo.fingerprint(splits.test),
        "epochs": settings.epochs,
        "optimizer": adam.__name__,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.batch_size,
        "width": settings.width,
        "image_size": settings.image_size,
        "train_sizes": list(settings.train_sizes),
    }


def run_missing(path, names, seeds, settings, splits):
    """Train what is missing in the results file, seed by seed.

    Raises
    ------
    ValueError
        If the file holds results of other data or settings.
    """
    content = {"made_from": made_from(settings, splits), "results": []}
    if path.exists():
        stored = yolo.read_json(path)
        if stored.get("made_from") != content["made_from"]:
            raise ValueError(
                f"{yolo.short_path(path)}: results of other data or settings; move it "
                "away, or name another --file"
            )
        content = stored
    results = content["results"]
    done = {(entry["row"], entry["seed"]) for entry in results}
    for seed in range(seeds):
        for name in names:
            if (name, seed) in done:
                continue
            title = f"{ROWS[name].label}, seed {seed}"
            print(f"--- {title}", flush=True)
            entry = train_row(name, seed, settings, splits)
            results.append(entry)
            yolo.write_json(path, content)
            print(f"--- {title}: test mAP {entry['map']:.3f}", flush=True)


# --------------------------------------------------------------------------------------
# Report


def scores_by_row(results):
    """{row: {seed: test mAP}}, in the order of ROWS."""
    scores = {}
    for name in ROWS:
        own = {entry["seed"]: entry["map"] for entry in results if entry["row"] == name}
        if own:
            scores[name] = own
    return scores


def paired_differences(scores, full):
    """Differences to the full recipe, for the seeds that both have."""
    return [score - full[seed] for seed, score in scores.items() if seed in full]


def interval(differences):
    """Mean, and half the width of the 95 % interval (Student's t; infinite for one)."""
    count = len(differences)
    if count < 2:
        return float(np.mean(differences)), math.inf
    deviation = np.std(differences, ddof=1)
    half_width = T_QUANTILES[count - 2] * deviation / math.sqrt(count)
    return float(np.mean(differences)), float(half_width)


def compare(scores, full):
    """Mean difference, half width of its interval, and whether its sign is decided."""
    differences = paired_differences(scores, full)
    if not differences:
        return math.nan, math.inf, False
    mean, half_width = interval(differences)
    return mean, half_width, abs(mean) > half_width


def table(results):
    """The results as a Markdown table."""
    titles = ("recipe", "test mAP", "difference", "95 % interval", "expected", "result")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    scores = scores_by_row(results)
    full = scores.get("full", {})
    for name, own in scores.items():
        row = ROWS[name]
        diverged = sum(e["diverged"] for e in results if e["row"] == name)
        label = row.label
        if diverged:
            label += f" ({diverged} of {len(own)} diverged)"
        cells = [label, f"{np.mean(list(own.values())):.3f}", "", "", "", ""]
        if name != "full":
            mean, half_width, decided = compare(own, full)
            low, high = mean - half_width, mean + half_width
            cells[2] = f"{mean:+.3f}"
            cells[3] = f"{low:+.3f} to {high:+.3f}" if half_width < math.inf else "none"
            cells[4] = row.expected
            cells[5] = ("+" if mean > 0 else "-") if decided else "undecided"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results, path):
    """The difference of each row, with its interval and one dot for each seed."""
    scores = scores_by_row(results)
    full = scores.pop("full", {})
    figure = Figure(figsize=(9, 4), dpi=100, layout="constrained")
    axis = figure.subplots()
    axis.axvline(0, color="#5f6570", linewidth=1)
    for place, own in enumerate(scores.values()):
        mean, half_width, decided = compare(own, full)
        colour = "#c8443c" if decided else "#5f6570"
        differences = paired_differences(own, full)
        heights = [place] * len(differences)
        axis.plot(differences, heights, "o", color=colour, alpha=0.5, markersize=6)
        error = half_width if half_width < math.inf else 0
        axis.errorbar(mean, place, xerr=error, color=colour, capsize=6, marker="|")
    axis.set_yticks(range(len(scores)), [ROWS[name].label for name in scores])
    axis.set_xlabel("difference in test mAP to the full recipe, same seed")
    title = "Without one part: mean and 95 % interval, a dot for each seed"
    axis.set_title(f"{title} (grey: undecided)", fontsize=11)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Software": None})


def report(path):
    """Print the table and draw the figure of a results file."""
    if not path.exists():
        raise FileNotFoundError(
            f"{yolo.short_path(path)}: there are no results yet; start without --report"
        )
    content = yolo.read_json(path)
    print("\n{epochs} epochs, {train}\n".format(**content["made_from"]))
    print(table(content["results"]))
    draw(content["results"], path.with_suffix(".png"))


def load_settings(options):
    """Settings of the ablation: `tiny`, random weights, no early stopping.

    Raises
    ------
    ValueError
        If the scenes are missing.
    """
    if not (options.data / "Annotations").is_dir():
        raise ValueError(
            f"{yolo.short_path(options.data)}: there are no scenes here; --help has "
            "the command that renders them"
        )
    variables = {
        "YOLO_PROFILE": "tiny",
        "VOC_DIR": str(options.data),
        "YOLO_WEIGHTS": "none",
        "YOLO_EPOCHS": str(options.epochs),
    }
    with mock.patch.dict(os.environ, variables):
        settings = yolo.load_settings()
    return dataclasses.replace(
        settings,
        patience=options.epochs,
        learning_rate=LEARNING_RATE,
        mixed_precision=False,
    )


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SCENES, help="the scenes")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, help="trainings of each row"
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=ROWS,
        default=list(ROWS),
        metavar="ROW",
        help=" ".join(ROWS),
    )
    parser.add_argument(
        "--file",
        type=Path,
        default=yolo.REFERENCE / "ablation.json",
        help="the results; the figure goes beside it",
    )
    parser.add_argument("--report", action="store_true", help="train nothing")
    options = parser.parse_args(arguments)
    most = len(T_QUANTILES) + 1
    if not 1 <= options.seeds <= most or options.epochs < 1:
        parser.error(f"choose 1 to {most} seeds, and at least 1 epoch")
    return options


def main(arguments=None):
    options = parse(arguments)
    if not options.report:
        settings = load_settings(options)
        splits = yolo.load_splits(settings.voc_dir)
        run_missing(options.file, options.rows, options.seeds, settings, splits)
    report(options.file)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command continues with the rows that are missing")
