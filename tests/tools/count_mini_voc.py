"""Print the tables of data/README.md: images and objects of each split, and objects of
each class.

python tests/tools/count_mini_voc.py
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import yolo_helpers as yolo

SPLITS = ("train", "val", "test")


def main():
    splits = {
        name: yolo.load_split(yolo.ROOT / "data" / "mini_voc", name) for name in SPLITS
    }
    for name, annotations in splits.items():
        objects = sum(len(a.labels) for a in annotations)
        print(f"| {name} | {len(annotations)} | {objects} |")
    counts = {
        name: np.bincount(
            np.concatenate([a.labels[~a.difficult] for a in annotations]), minlength=20
        )
        for name, annotations in splits.items()
    }
    print("\n| class | train | val | test |\n|---|---|---|---|")
    for label, name in enumerate(yolo.VOC_CLASSES):
        print(
            f"| {name} | "
            + " | ".join(str(counts[split][label]) for split in SPLITS)
            + " |"
        )
    every = [a for annotations in splits.values() for a in annotations]
    boxes = np.concatenate([yolo.box_fractions(a) for a in every])
    size = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    difficult, truncated = (
        np.mean(np.concatenate([getattr(a, flag) for a in every]))
        for flag in ("difficult", "truncated")
    )
    print(
        f"\nobjects an image {len(boxes) / len(every):.2f}; "
        f"boxes with a side under .15 {np.mean(size < 0.15):.0%},",
        end=" ",
    )
    print(
        f"over .6 {np.mean(size > 0.6):.0%}; difficult {difficult:.0%}, "
        f"truncated {truncated:.0%}"
    )


if __name__ == "__main__":
    main()
