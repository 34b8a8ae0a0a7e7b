"""A quiz: can people who have not seen the generator name what mini_voc's objects are?

    python tests/tools/recognisability.py FOLDER
    python tests/tools/recognisability.py FOLDER ANSWERS...

The first command writes ten sheets of 20 numbered crops (96 px, shown doubled) and
key.json. The second compares answers, {"0": "cat", ...}, with the key.

Ten crops of each class, drawn at random from all splits among the objects that are not
difficult and at least 48 px long.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import yolo_helpers as yolo

SIDE, MARGIN, PER_CLASS, COLUMNS, ROWS = 96, 1.2, 10, 5, 4


def draw_objects(seed):
    """[(annotation, box, class name)]: ten of each class, shuffled."""
    rng = np.random.default_rng(seed)
    annotations = [
        a
        for split in ("train", "val", "test")
        for a in yolo.load_split(yolo.ROOT / "data/mini_voc", split)
    ]
    found = {label: [] for label in range(len(yolo.VOC_CLASSES))}
    for a in annotations:
        for box, label, difficult in zip(a.boxes, a.labels, a.difficult, strict=True):
            if not difficult and max(box[2:] - box[:2]) >= SIDE / 2:
                found[int(label)].append((a, box, yolo.VOC_CLASSES[label]))
    chosen = [
        members[i]
        for members in found.values()
        for i in rng.choice(len(members), PER_CLASS, replace=False)
    ]
    return [chosen[i] for i in rng.permutation(len(chosen))]


def crop(annotation, box):
    """The square around a box, a fifth larger than its longer side, at SIDE pixels;
    grey beyond the image.
    """
    image = cv2.copyMakeBorder(
        yolo.read_image(annotation.image_path),
        *[500] * 4,
        cv2.BORDER_CONSTANT,
        value=(128, 128, 128),
    )
    half, centre = MARGIN * max(box[2:] - box[:2]) / 2, (box[:2] + box[2:]) / 2 + 500
    (x0, y0), (x1, y1) = np.int32(centre - half), np.int32(centre + half)
    return cv2.resize(image[y0:y1, x0:x1], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def write_sheets(folder, objects):
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(objects), COLUMNS * ROWS):
        tiles = []
        for number, (annotation, box, _) in enumerate(
            objects[first : first + COLUMNS * ROWS], first
        ):
            tile = np.full((2 * SIDE + 26, 2 * SIDE + 8, 3), 255, np.uint8)
            tile[22:-4, 4:-4] = cv2.resize(
                crop(annotation, box), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC
            )
            tiles.append(
                cv2.putText(
                    tile,
                    str(number),
                    (80, 17),
                    cv2.FONT_HERSHEY_SIMPLEX,
                    0.5,
                    (0, 0, 0),
                    1,
                    cv2.LINE_AA,
                )
            )
        sheet = np.vstack(
            [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
        )
        cv2.imwrite(str(folder / f"sheet_{first:03d}.png"), sheet[..., ::-1])
    (folder / "key.json").write_text(
        json.dumps({number: name for number, (*_, name) in enumerate(objects)})
    )


def score(key, answers):
    right = Counter(
        key[number] for number, answer in answers.items() if key[number] == answer
    )
    asked = Counter(key[number] for number in answers)
    for name in yolo.VOC_CLASSES:
        wrong = sorted(
            answer
            for number, answer in answers.items()
            if key[number] == name != answer
        )
        print(f"{name:<12} {right[name]:3d} of {asked[name]:3d}  {', '.join(wrong)}")
    print(f"{'all':<12} {right.total():3d} of {asked.total():3d}")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if len(sys.argv) == 2:
        write_sheets(folder, draw_objects(seed=0))
    else:
        answers = {
            number: name
            for file in sys.argv[2:]
            for number, name in json.loads(Path(file).read_text()).items()
        }
        score(json.loads((folder / "key.json").read_text()), answers)
