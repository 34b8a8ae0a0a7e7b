"""Contact sheets of a rendered data set: crops of every class, or whole scenes.

python data/make_mini_voc/sheet.py OUT.jpg                      20 classes, 8 objects
each, at 96 px python data/make_mini_voc/sheet.py OUT.jpg --scenes 24          whole
images with their boxes
"""

import argparse
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np

DATA = Path(__file__).resolve().parents[1]
SIDE = 96


def objects_of(path):
    """(name, difficult, box) of an annotation's objects."""
    for element in ET.parse(path).getroot().findall("object"):
        box = [
            float(element.findtext(f"bndbox/{side}"))
            for side in ("xmin", "ymin", "xmax", "ymax")
        ]
        yield element.findtext("name"), element.findtext("difficult") == "1", box


def crop(folder, path, box):
    """A square crop around the box, at SIDE pixels."""
    image = cv2.imread(str(folder / "JPEGImages" / f"{path.stem}.jpg"))
    xmin, ymin, xmax, ymax = box
    half = max(xmax - xmin, ymax - ymin) / 2 * 1.08 + 2
    x, y = (xmin + xmax) / 2, (ymin + ymax) / 2
    padded = cv2.copyMakeBorder(image, 600, 600, 600, 600, cv2.BORDER_REPLICATE)
    part = padded[
        int(y - half) + 600 : int(y + half) + 600,
        int(x - half) + 600 : int(x + half) + 600,
    ]
    return cv2.resize(
        part,
        (SIDE, SIDE),
        interpolation=cv2.INTER_AREA if len(part) > SIDE else cv2.INTER_CUBIC,
    )


def class_rows(folder, rng, count=8):
    found = {}
    for path in sorted((folder / "Annotations").glob("*.xml")):
        for name, difficult, box in objects_of(path):
            if not difficult and max(box[2] - box[0], box[3] - box[1]) >= 40:
                found.setdefault(name, []).append((path, box))
    rows = []
    for name in sorted(found):
        chosen = rng.choice(
            len(found[name]), min(count, len(found[name])), replace=False
        )
        title = np.full((SIDE, 112, 3), 255, np.uint8)
        cv2.putText(
            title,
            name,
            (6, SIDE // 2 + 5),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.45,
            (40, 40, 40),
            1,
            cv2.LINE_AA,
        )
        crops = [crop(folder, *found[name][i]) for i in chosen]
        rows.append(
            np.hstack(
                [
                    title,
                    *crops,
                    *[np.full((SIDE, SIDE, 3), 255, np.uint8)] * (count - len(crops)),
                ]
            )
        )
    half = (len(rows) + 1) // 2
    rows += [np.full_like(rows[0], 255)] * (2 * half - len(rows))
    return np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])


def scene_rows(folder, rng, count):
    paths = sorted((folder / "Annotations").glob("*.xml"))
    tiles = []
    for i in rng.choice(len(paths), count, replace=False):
        image = cv2.imread(str(folder / "JPEGImages" / f"{paths[i].stem}.jpg"))
        for _, difficult, box in objects_of(paths[i]):
            low, high = [round(v) - 1 for v in box[:2]], [round(v) - 1 for v in box[2:]]
            cv2.rectangle(
                image, low, high, (0, 0, 255) if difficult else (0, 255, 255), 1
            )
        tile = np.zeros((300, 380, 3), np.uint8)
        scale = min(380 / image.shape[1], 300 / image.shape[0])
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
        tile[: image.shape[0], : image.shape[1]] = image
        tiles.append(tile)
    return np.vstack([np.hstack(tiles[i : i + 6]) for i in range(0, count // 6 * 6, 6)])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out")
    parser.add_argument("--data", type=Path, default=DATA / "mini_voc")
    parser.add_argument("--scenes", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    sheet = (
        scene_rows(options.data, rng, options.scenes)
        if options.scenes
        else class_rows(options.data, rng)
    )
    if not cv2.imwrite(options.out, sheet, [cv2.IMWRITE_JPEG_QUALITY, 82]):
        sys.exit(f"{options.out}: cannot be written")


if __name__ == "__main__":
    main()
