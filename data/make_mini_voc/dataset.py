"""The data set's files: scenes for every split, and the choice of those that serve the
classes best.

What worker processes run stands here and not in `__main__`: where they are spawned
(macOS, Windows), they import it by name.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import compose
import numpy as np
import render
import voc

SPLITS = {"train": 400, "val": 100, "test": 100}
# Objects of each class that are not difficult
LEAST = {"train": 30, "val": 10, "test": 10}
# More scenes are drawn than kept, and those that add least are left out.
SPARE = {"train": 1.4, "val": 1.6, "test": 1.6}
# Every class leads in turn; those that seldom come as company lead more often.
SELDOM = (
    "aeroplane",
    "bicycle",
    "boat",
    "bus",
    "cat",
    "cow",
    "diningtable",
    "horse",
    "motorbike",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
LEADERS = (*compose.RECIPES, *SELDOM, "bird", "bird", "train", "tvmonitor")


def make_image(folder, seed, number, leader, without=()):
    """Render one scene from its own random stream and write its photo and annotation.

    A scene that holds an object of a class in `without` is composed again.
    """
    rng = np.random.default_rng([seed, number])
    labels = []
    while not labels:  # a scene in which nothing can be seen is composed again
        scene = compose.compose(rng, leader)
        if any(placed.name in without for placed in scene.objects):
            continue
        scene, labels = voc.label(scene, rng)
    name = f"{2026 if seed == 0 else 3000 + seed}_{number:06d}"
    voc.save_jpeg(folder / "JPEGImages" / f"{name}.jpg", render.picture(scene, rng))
    (folder / "Annotations" / f"{name}.xml").write_text(
        voc.annotation_xml(f"{name}.jpg", scene.camera, labels)
    )
    return name, Counter(item.name for item in labels if not item.difficult)


def choose(candidates, count, least=0):
    """`count` of the (name, class counts): the one whose classes are best served
    without it goes first.

    No class falls below `least` as long as another image can go.
    """
    kept = list(candidates)
    while len(kept) > count:
        total = sum((counts for _, counts in kept), Counter())

        def loss(item, total=total):
            missing = sum(
                max(0, least - total[name] + n) - max(0, least - total[name])
                for name, n in item[1].items()
            )
            return missing, sum(n / total[name] ** 2 for name, n in item[1].items())

        kept.remove(min(kept, key=loss))
    return kept


def draw(pool, folder, seed, first, leaders, without=()):
    """Render one scene for each leading class, numbered from `first`; returns [(name,
    class counts)].
    """
    results = []
    count = len(leaders)
    numbers = range(first, first + count)
    arguments = ([folder] * count, [seed] * count, numbers, leaders, [without] * count)
    for result in pool.map(make_image, *arguments):
        results.append(result)
        print(f"\r{first + len(results)} scenes", end="", file=sys.stderr, flush=True)
    return results


def top_up(pool, folder, seed, number, kept, splits):
    """Draw scenes led by the classes that are short until none is; returns what is kept
    and what was drawn.
    """
    drawn = []
    while True:
        totals = {
            split: sum((counts for _, counts in kept[split]), Counter())
            for split in splits
        }
        lacking = [
            (split, name)
            for split in splits
            for name in compose.RECIPES
            if totals[split][name] < LEAST[split]
        ]
        if not lacking:
            return kept, drawn
        leaders = [name for _, name in lacking for _ in range(2)]
        new = draw(pool, folder, seed, number, leaders)
        number += len(new)
        drawn += new
        for split in splits:
            own = [
                result for k, result in enumerate(new) if lacking[k // 2][0] == split
            ]
            kept[split] = choose(kept[split] + own, splits[split], LEAST[split])


def make_splits(folder, seed, splits, workers, without=()):
    """All images and ImageSets/Main; image numbers go on from split to split, so no
    scene is in two of them.

    No image shows an object of a class in `without`.
    """
    leaders = [name for name in LEADERS if name not in without]
    for path in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / path).mkdir(parents=True)
    is_mini_voc = splits == SPLITS and not without
    kept, drawn = {}, []
    with ProcessPoolExecutor(workers) as pool:
        for split, count in splits.items():
            wanted = round(SPARE[split] * count) if is_mini_voc else count
            leading = [leaders[k % len(leaders)] for k in range(wanted)]
            new = draw(pool, folder, seed, len(drawn), leading, without)
            drawn += new
            kept[split] = (
                choose(new, count, LEAST.get(split, 0)) if is_mini_voc else new
            )
        if is_mini_voc:
            kept, more = top_up(pool, folder, seed, len(drawn), kept, splits)
            drawn += more
    print(file=sys.stderr)
    write_lists(folder, kept, drawn)


def write_lists(folder, kept, drawn):
    """ImageSets/Main for what is kept; what was drawn in vain is removed."""
    names = {split: [name for name, _ in results] for split, results in kept.items()}
    for name in {name for name, _ in drawn} - {
        name for members in names.values() for name in members
    }:
        (folder / "JPEGImages" / f"{name}.jpg").unlink()
        (folder / "Annotations" / f"{name}.xml").unlink()
    names["trainval"] = sorted(names.get("train", []) + names.get("val", []))
    for split, members in names.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(
            "".join(f"{name}\n" for name in members)
        )
