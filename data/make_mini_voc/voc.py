"""Scenes as Pascal VOC 2012 images and annotations: exact visible boxes, truthful
flags.
"""

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import cv2
import numpy as np
from render import Scene, object_ids, pixels_alone

QUALITY = 75  # of the JPEGs: about 17 KB each
# what shows less is taken out of the scene rather than left unlabelled
LEAST_PIXELS = 60
LEAST_SHARE = 0.2
LEAST_INSIDE = 0.2


@dataclass
class Labelled:
    """One <object>: box in 1-based inclusive pixels."""

    name: str
    box: tuple
    pose: str
    truncated: bool
    occluded: bool
    difficult: bool
    parts: list = field(default_factory=list)  # (name, box)


def label(scene, rng):
    """(scene without what hardly shows, its labels): repeated until every object that
    is left can be seen.
    """
    while True:
        ids = object_ids(scene)
        shares = {}
        for number, placed in enumerate(scene.objects):
            if placed.name:
                visible, alone = (
                    int((ids == number + 1).sum()),
                    pixels_alone(scene, number),
                )
                shares[number] = (
                    visible,
                    visible / max(alone, 1),
                    inside_share(scene, number),
                )
        hidden = [
            n
            for n, (visible, share, inside) in shares.items()
            if visible < LEAST_PIXELS or share < LEAST_SHARE or inside < LEAST_INSIDE
        ]
        if not hidden:
            break
        scene = Scene(
            scene.world,
            scene.camera,
            [p for n, p in enumerate(scene.objects) if n not in hidden],
        )
    return scene, [
        describe(scene, ids, number, *shares[number][1:], rng) for number in shares
    ]


def inside_share(scene, number):
    """Which share of the object's full outline box lies inside the picture."""
    camera, model = scene.camera, scene.objects[number].model
    points, visible = camera.project(
        np.vstack([np.asarray(mesh.points) for mesh, _ in model.meshes])
    )
    if not visible.any():
        return 0.0
    low, high = points[visible].min(axis=0), points[visible].max(axis=0)
    size = np.array([camera.width, camera.height])
    clipped = np.clip(high, 0, size) - np.clip(low, 0, size)
    return float(np.prod(clipped) / max(np.prod(high - low), 1e-6)) * float(
        visible.mean()
    )


def pixel_box(mask):
    """1-based inclusive (xmin, ymin, xmax, ymax) of a mask's pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        int(columns[0]) + 1,
        int(rows[0]) + 1,
        int(columns[-1]) + 1,
        int(rows[-1]) + 1,
    )


def describe(scene, ids, number, share, inside, rng):
    placed = scene.objects[number]
    box = pixel_box(ids == number + 1)
    small = min(box[2] - box[0], box[3] - box[1]) < 9
    width, height = scene.camera.width, scene.camera.height
    whole = inside >= 0.97
    truncated = not whole or min(box[:2]) == 1 or box[2] == width or box[3] == height
    labelled = Labelled(
        placed.name,
        box,
        pose_of(placed),
        truncated,
        share < 0.92,
        small or share < 0.3 or share * inside < 0.22,
    )
    if (
        placed.name == "person"
        and share > 0.97
        and whole
        and box[3] - box[1] > 100
        and rng.random() < 0.5
    ):
        labelled.parts = [
            (part.split("_")[0], part_box(scene, placed.model.extras[part]))
            for part in ("head", "hand_left", "hand_right", "foot_left", "foot_right")
        ]
    if rng.random() < 0.03:  # some of VOC's coordinates are floats
        labelled.box = tuple(
            value + float(rng.choice((-0.3, 0.2, 0.4))) if 2 < value < 330 else value
            for value in box
        )
    return labelled


def part_box(scene, points):
    camera = scene.camera
    place, _ = camera.project(points)
    low, high = np.floor(place.min(axis=0)) + 1, np.ceil(place.max(axis=0))
    size = [camera.width, camera.height]
    return (
        *np.clip(low, 1, size).astype(int).tolist(),
        *np.clip(high, 1, size).astype(int).tolist(),
    )


def pose_of(placed):
    """VOC's pose from the direction in which the object looks."""
    if placed.name in ("bottle", "diningtable", "pottedplant"):
        return "Unspecified"
    turn = (placed.yaw + 180) % 360 - 180
    for name, centre in (("Right", 0), ("Frontal", -90), ("Rear", 90), ("Left", 180)):
        if abs((turn - centre + 180) % 360 - 180) <= 45:
            return name
    return "Unspecified"


def annotation_xml(filename, camera, labels):
    """An annotation file's text, in VOC 2012's order of elements."""
    lines = [
        "<annotation>",
        "\t<folder>mini_voc</folder>",
        f"\t<filename>{escape(filename)}</filename>",
        "\t<source>",
        "\t\t<database>mini_voc</database>",
        "\t\t<annotation>PASCAL VOC2012 style</annotation>",
        "\t\t<image>rendered</image>",
        "\t</source>",
        "\t<size>",
        f"\t\t<width>{camera.width}</width>",
        f"\t\t<height>{camera.height}</height>",
        "\t\t<depth>3</depth>",
        "\t</size>",
        "\t<segmented>0</segmented>",
    ]
    for item in labels:
        lines += [
            "\t<object>",
            f"\t\t<name>{item.name}</name>",
            f"\t\t<pose>{item.pose}</pose>",
            f"\t\t<truncated>{int(item.truncated)}</truncated>",
        ]
        lines += [
            f"\t\t<occluded>{int(item.occluded)}</occluded>",
            *box_lines(item.box, "\t\t"),
            f"\t\t<difficult>{int(item.difficult)}</difficult>",
        ]
        for name, box in item.parts:
            lines += [
                "\t\t<part>",
                f"\t\t\t<name>{name}</name>",
                *box_lines(box, "\t\t\t"),
                "\t\t</part>",
            ]
        lines.append("\t</object>")
    return "\n".join([*lines, "</annotation>", ""])


def box_lines(box, indent):
    values = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    return [
        f"{indent}<bndbox>",
        *(f"{indent}\t<{side}>{value}</{side}>" for side, value in values),
        f"{indent}</bndbox>",
    ]


def save_jpeg(path, image):
    cv2.imwrite(
        str(path),
        image[..., ::-1],
        [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    )
