"""A short moving scene: a street seen by a camera that drives along, with the boxes of
every frame.
"""

import csv
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import clutter
import cv2
import numpy as np
import render
import voc
import worlds
from models import BUILDERS
from render import Camera, Placed, Scene

SECONDS, FRAMES_PER_SECOND, WIDTH, HEIGHT = 20, 10, 480, 360


class Cast:
    """Who moves in the scene: (class, model, start (x, y), velocity (m/s), yaw), and
    what stands still.
    """

    def __init__(self, seed):
        rng = np.random.default_rng([seed, 999_999])
        self.world = worlds.make_world(rng, "road")
        self.world.depth = 12.0
        self.actors = []
        self.drive("car", rng, -16, 10.2, 6.5, "saloon")
        self.drive("bus", rng, 34, 13.8, -5.5, "double-decker")
        self.drive("car", rng, 60, 13.8, -7.0, "van")
        self.drive("car", rng, -95, 10.2, 6.2, "estate")
        self.drive("bus", rng, 112, 13.8, -5.6, "single-decker")
        self.drive("motorbike", rng, -38, 10.3, 8.0, "cruiser")
        self.cyclist(rng, 14, 13.6, -3.0)
        self.cyclist(rng, 58, 13.6, -3.0)
        near, far = (
            ((-3, 7.2, 1.3), (17, 7.0, -1.1), (30, 7.3, -1.2)),
            ((9, 16.9, -1.2), (2, 17.4, 1.0), (26, 16.8, -1.0), (-9, 17.1, 0.9)),
        )
        for x, y, speed in near + far:
            self.add("person", BUILDERS["person"](rng, pose="walking"), x, y, speed)
        self.add("dog", BUILDERS["dog"](rng, kind="hound"), -1.6, 7.0, 1.3)
        self.scenery = []
        for x in np.arange(-30, 60, 6.5):
            name = str(rng.choice(("house", "tree", "tree", "bush", "lamp_post")))
            model = clutter.TOWN[name](rng).merged()
            self.scenery.append(
                Placed(None, model.moved(offset=(x, 26 + 4 * rng.random(), 0)))
            )

    def add(self, name, model, x, y, speed):
        yaw = 0.0 if speed > 0 else 180.0
        self.actors.append((name, model.merged(), x, y, speed, yaw))

    def drive(self, name, rng, x, y, speed, kind):
        model = BUILDERS[name](rng, kind=kind)
        if name == "motorbike":
            self.with_rider(name, model, rng, x, y, speed)
        else:
            self.add(name, model, x, y, speed)

    def cyclist(self, rng, x, y, speed):
        self.with_rider(
            "bicycle", BUILDERS["bicycle"](rng, kind="city"), rng, x, y, speed
        )

    def with_rider(self, name, model, rng, x, y, speed):
        self.add(name, model, x, y, speed)
        rider = BUILDERS["person"](rng, kind="woman", pose=name)
        shift = model.extras["seat"][0] - rider.extras["pelvis"][0] + [0, 0, 0.06]
        self.add("person", rider.moved(offset=shift), x, y, speed)

    def scene(self, seconds):
        """The scene at a moment; the camera drifts to the right and turns its head down
        a little.
        """
        camera = Camera(
            np.array([-2 + 0.55 * seconds, 0.0, 1.8]),
            3.0 + np.sin(seconds / 3),
            46,
            WIDTH,
            HEIGHT,
        )
        objects = [
            Placed(name, model.moved(offset=(x + speed * seconds, y, 0), yaw=yaw), yaw)
            for name, model, x, y, speed, yaw in self.actors
        ]
        return Scene(self.world, camera, objects + self.scenery)


@cache
def cast_of(seed):
    """The same cast for all frames that a process renders."""
    return Cast(seed)


def make_frame(seed, number):
    """(picture, [(class, box, difficult)]) of one frame."""
    rng = np.random.default_rng([seed, number])
    scene, labels = voc.label(cast_of(seed).scene(number / FRAMES_PER_SECOND), rng)
    return render.picture(scene, np.random.default_rng([seed, 1])), [
        (item.name, item.box, item.difficult) for item in labels
    ]


def make_video(folder, seed, workers):
    """Write street.mp4 and street.csv (frame from 0, class, box in 1-based inclusive
    pixels, difficult).
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    writer = cv2.VideoWriter(
        str(folder / "street.mp4"),
        cv2.VideoWriter_fourcc(*"mp4v"),
        FRAMES_PER_SECOND,
        (WIDTH, HEIGHT),
    )
    count = SECONDS * FRAMES_PER_SECOND
    with (
        ProcessPoolExecutor(workers) as pool,
        open(folder / "street.csv", "w", newline="") as table,
    ):
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["frame", "class", "xmin", "ymin", "xmax", "ymax", "difficult"])
        for number, (picture, labels) in enumerate(
            pool.map(make_frame, [seed] * count, range(count))
        ):
            writer.write(picture[..., ::-1])
            for name, box, difficult in labels:
                rows.writerow(
                    [number, name, *(round(value) for value in box), int(difficult)]
                )
    writer.release()
