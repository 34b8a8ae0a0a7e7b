"""Make data/pretrained/: a small detector that has seen only fifteen of VOC's classes.

    python -m venv .venv-generator
    .venv-generator/bin/pip install -r data/make_mini_voc/requirements.txt
    python data/make_pretrained.py --renderer .venv-generator/bin/python

The notebooks start from these weights, as the blog series starts from weights that
were trained on COCO. Few-shot detection on VOC has a standard split: bird, bus, cow,
motorbike and sofa are the new classes, the other fifteen the base classes. This script

1. renders scenes that show none of the new classes (data/make_mini_voc, with seeds of
   their own, so none of them is in data/mini_voc),
2. trains the network of the profile `tiny` on them from random weights, with the same
   functions as notebook 05,
3. writes tiny.weights, tiny.json and tiny.cfg to data/pretrained/. OpenCV 4 and Darknet
   can run the detector from the .weights and the .cfg file.

Scenes and training lie in data/artifacts/pretraining/. An interrupted script goes on
where it stopped when it is started again.
"""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np

import yolo_helpers as yolo

import keras  # isort: skip

NEW_CLASSES = ("bird", "bus", "cow", "motorbike", "sofa")
BASE_CLASSES = tuple(name for name in yolo.VOC_CLASSES if name not in NEW_CLASSES)
SEEDS = range(101, 108)  # of the scenes; data/mini_voc has seed 0
SCENES_A_SEED = 200
LEARNING_RATE = 1e-3  # of Adam
VALIDATION_SCENES = 100  # of the last seed: they choose the epoch
WORK = ROOT / "data" / "artifacts" / "pretraining"
RESULT = ROOT / "data" / "pretrained"


def render(seed, renderer):
    """Render the scenes of one seed unless they are there; returns their folder."""
    folder = WORK / f"scenes_{seed}"
    if not folder.exists():
        command = [
            renderer,
            ROOT / "data" / "make_mini_voc",
            f"--out={folder}",
            f"--split=train={SCENES_A_SEED}",
            f"--seed={seed}",
            f"--without={','.join(NEW_CLASSES)}",
            "--no-video",
        ]
        subprocess.run(command, check=True)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in BASE_CLASSES))
    return folder


def pretraining_settings(epochs):
    """Settings of `tiny` with the fifteen classes, random weights and Adam's rate."""
    return dataclasses.replace(
        yolo.load_settings(),
        classes=BASE_CLASSES,
        weights=None,
        epochs=epochs,
        patience=epochs,
        learning_rate=LEARNING_RATE,
    )


def adam(schedule):
    """From random weights, Adam gets further in an hour than SGD with momentum."""
    return keras.optimizers.Adam(schedule, global_clipnorm=yolo.LARGEST_GRADIENT)


def darknet_cfg(image_size, width, anchors, num_classes):
    """The text of a .cfg file with which OpenCV and Darknet run the network.

    Parameters
    ----------
    image_size : int
        Side of the images in pixels.
    width : float
        As for `build_yolov2`.
    anchors : array (A, 2)
        In grid units.
    num_classes : int
    """
    num_outputs = len(anchors) * (5 + num_classes)
    sections = [f"[net]\nwidth={image_size}\nheight={image_size}\nchannels=3\n"]

    def convolution(filters, kernel_size):
        sections.append(
            "[convolutional]\nbatch_normalize=1\n"
            f"filters={yolo.scaled_filters(filters, width)}\nsize={kernel_size}\n"
            "stride=1\npad=1\nactivation=leaky\n"
        )

    for layer in yolo.DARKNET19:
        if layer == "pool":
            sections.append("[maxpool]\nsize=2\nstride=2\n")
        else:
            convolution(*layer)
    convolution(1024, 3)
    convolution(1024, 3)
    sections.append("[route]\nlayers=-9\n")  # back to conv_13
    convolution(64, 1)
    sections.append("[reorg]\nstride=2\n")
    sections.append("[route]\nlayers=-1,-4\n")  # beside conv_20
    convolution(1024, 3)
    sections.append(
        f"[convolutional]\nsize=1\nstride=1\npad=1\nfilters={num_outputs}\n"
        "activation=linear\n"
    )
    numbers = ",".join(f"{value:.6g}" for value in np.ravel(anchors))
    sections.append(
        f"[region]\nanchors={numbers}\nbias_match=1\nclasses={num_classes}\ncoords=4\n"
        f"num={len(anchors)}\nsoftmax=1\njitter=.2\nrescore=1\nobject_scale=5\n"
        "noobject_scale=1\nclass_scale=1\ncoord_scale=1\nabsolute=1\n"
        "random=1\n"
    )
    return "\n".join(sections)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--renderer",
        default=sys.executable,
        help="Python with data/make_mini_voc/requirements.txt installed",
    )
    parser.add_argument("--epochs", type=int, default=70)
    options = parser.parse_args()

    yolo.claim_folder(WORK)
    scenes = []
    for seed in SEEDS:
        scenes += yolo.load_split(render(seed, options.renderer), "train")
    train, validation = scenes[:-VALIDATION_SCENES], scenes[-VALIDATION_SCENES:]
    print(f"{len(train)} scenes to train on, {len(validation)} to validate with")

    settings = pretraining_settings(options.epochs)
    keras.utils.set_random_seed(settings.seed)
    fractions, _ = yolo.kmeans_anchors(yolo.box_sizes(train), 4, restarts=10)
    anchors = fractions * yolo.GRID_SIZE
    network = yolo.build_yolov2(
        None, len(anchors), len(settings.classes), settings.width, settings.seed
    )
    yolo.set_objectness_bias(network)
    history = yolo.train_detector(
        network,
        train,
        validation,
        anchors,
        settings,
        folder=WORK / "run",
        make_optimizer=adam,
    )

    RESULT.mkdir(exist_ok=True)
    seen = len(train) * settings.epochs
    data = yolo.fingerprint(train)
    yolo.save_detector(network, RESULT, anchors, settings, data, seen, name="tiny")
    cfg = darknet_cfg(settings.image_size, settings.width, anchors, len(BASE_CLASSES))
    (RESULT / "tiny.cfg").write_text(cfg)
    print(f"written: {yolo.short_path(RESULT)}; mAP {max(history['val_map']):.3f}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(str(error))
