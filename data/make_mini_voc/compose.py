"""What stands where: recipes that fill a world around a leading object, and the camera
that frames it.

A recipe places objects in a local frame (metres, the leading object near the origin,
the camera somewhere at negative y, looking along +y). `compose` then moves the camera
until the leader has the size that was drawn for it.
"""

import clutter
import numpy as np
import worlds
from models import BUILDERS
from models.animals import horse
from models.people import person
from models.vehicles_other import aeroplane
from render import Camera, Placed, Scene

FACING = -90.0  # the yaw of a model that looks into the camera


class Stage:
    """Collects a scene's objects; refuses places that are taken."""

    def __init__(self, rng, world_name):
        self.rng, self.world_name, self.objects, self.circles = rng, world_name, [], []
        self.depth = 0.0  # local y of the wall, the street's middle or the track
        self.turn = 0.0  # of the track, in degrees
        self.heights = (1.3, 2.0)  # of the camera, in metres

    def put(self, name, model, x, y, yaw, z=0.0, solid=True):
        """Place a model unless its footprint meets another's; returns the placed object
        or None.
        """
        placed = model.merged().moved(offset=(x, y, z), yaw=yaw)
        low, high = placed.bounds
        circle = (
            (low[0] + high[0]) / 2,
            (low[1] + high[1]) / 2,
            0.36 * np.hypot(high[0] - low[0], high[1] - low[1]),
            low[2],
            high[2],
        )
        if solid and any(
            np.hypot(circle[0] - a, circle[1] - b) < 0.8 * (circle[2] + r)
            and circle[3] < top
            and circle[4] > bottom
            for a, b, r, bottom, top in self.circles
        ):
            return None
        self.circles.append(circle)
        self.objects.append(Placed(name, placed, yaw))
        return self.objects[-1]

    def make(self, name, **options):
        return BUILDERS[name](self.rng, **options)

    def side_view(self, spread=50):
        return self.rng.choice((0.0, 180.0)) + self.rng.uniform(-spread, spread)

    def front_view(self, spread=65):
        return (
            FACING + self.rng.uniform(-spread, spread)
            if self.rng.random() < 0.85
            else self.rng.uniform(0, 360)
        )

    def persons(self, count, reach, near=-1.0, far=3.0):
        for _ in range(count):
            self.put(
                "person",
                self.make("person"),
                self.rng.uniform(-reach, reach),
                self.rng.uniform(near, far),
                self.front_view(),
            )

    def distant(self, name, most, reach, near, far):
        """Up to `most` small ones of a class in the background."""
        for _ in range(int(self.rng.integers(0, most + 1))):
            yaw = self.front_view() if name == "person" else self.side_view()
            self.put(
                name,
                self.make(name),
                self.rng.uniform(-reach, reach),
                self.rng.uniform(near, far),
                yaw,
            )

    def scatter(self, things, count, reach, near, far):
        """Clutter behind and beside the objects."""
        for name in self.rng.choice(sorted(things), count):
            yaw = (
                0.0
                if name in ("house", "fence", "bookshelf")
                else self.rng.uniform(0, 360)
            )
            self.put(
                None,
                things[str(name)](self.rng),
                self.rng.uniform(-reach, reach),
                self.rng.uniform(near, far),
                yaw,
            )


def ride(stage, name, model, x, y, yaw, z=0.0):
    """A rider on a bicycle, motorbike or horse, as a second object."""
    if stage.put(name, model, x, y, yaw, z) is None:
        return
    rider = person(stage.rng, rng_kind(stage.rng), pose=name)
    shift = model.extras["seat"][0] - rider.extras["pelvis"][0] + [0, 0, 0.06]
    stage.put("person", rider.moved(offset=shift), x, y, yaw, z, solid=False)


def rng_kind(rng):
    return "man" if rng.random() < 0.55 else "woman"


def seat_person(stage, seat, x, y, yaw):
    """A sitting person whose pelvis rests on the seat of what is at (x, y, yaw)."""
    sitter = person(stage.rng, rng_kind(stage.rng), pose="sitting")
    stage.put(
        "person",
        sitter.moved(offset=seat + [0, 0, 0.04] - sitter.extras["pelvis"][0]),
        x,
        y,
        yaw,
        solid=False,
    )


# --------------------------------------------------------------------------------------
# ----------
# Recipes: (stage, leading class) -> places objects, the leader first


def herd(stage, name):
    rng = stage.rng
    stage.put(name, stage.make(name), 0, 0, stage.side_view())
    size = np.ptp(stage.objects[0].model.bounds[:, 0]) + 0.6
    for _ in range(int(rng.choice((1, 2, 3, 4, 5), p=(0.15, 0.25, 0.25, 0.2, 0.15)))):
        stage.put(
            name,
            stage.make(name),
            rng.uniform(-1.2, 1.2) * size,
            rng.uniform(0.35, 1.6) * size,
            stage.side_view(),
        )
    stage.persons(int(rng.choice((0, 1, 2), p=(0.5, 0.35, 0.15))), 2 * size, -0.3, 3)
    stage.distant(name, 1, 3 * size, 4 * size, 7 * size)
    if rng.random() < 0.45:
        stage.put(
            "dog",
            stage.make("dog"),
            rng.uniform(-1.5, 1.5) * size,
            rng.uniform(-0.5, 1.5),
            stage.side_view(),
        )
    stage.scatter(clutter.COUNTRY, int(rng.integers(2, 6)), 25, 9, 45)


def riding(stage, name):
    rng = stage.rng
    model = horse(rng, pose="standing") if name == "horse" else stage.make(name)
    ride(stage, name, model, 0, 0, stage.side_view(55))
    for _ in range(int(rng.choice((0, 1, 2), p=(0.25, 0.45, 0.3)))):
        other = horse(rng, pose="standing") if name == "horse" else stage.make(name)
        ride(
            stage,
            name,
            other,
            rng.uniform(-2.2, 2.2),
            rng.uniform(0.9, 2.6),
            stage.side_view(40),
        )
    stage.persons(int(rng.integers(0, 3)), 2.5, 0.5, 3)
    stage.distant("person", 2, 4.0, 6.0, 12.0)
    stage.scatter(
        clutter.COUNTRY
        if stage.world_name in ("meadow", "field", "sand")
        else clutter.TOWN,
        int(rng.integers(2, 6)),
        22,
        12,
        40,
    )


def pets(stage, name):
    rng = stage.rng
    stage.heights = (0.45, 1.3)
    stage.put(name, stage.make(name), 0, 0, stage.side_view(58))
    for _ in range(int(rng.choice((1, 2, 3), p=(0.2, 0.4, 0.4)))):
        other = (
            name
            if rng.random() < 0.5
            else str(rng.choice(("cat", "dog", "person", "bird")))
        )
        yaw = stage.front_view() if other == "person" else stage.side_view()
        model = (
            stage.make(other, kind=str(rng.choice(("songbird", "cockerel"))))
            if other == "bird"
            else stage.make(other)
        )
        stage.put(other, model, rng.uniform(-0.9, 0.9), rng.uniform(0.1, 1.1), yaw)
    if stage.world_name == "room":
        room_back(stage)
    else:
        stage.distant(name, 1, 2.0, 3.0, 6.0)
        stage.scatter(clutter.OUTDOORS, int(rng.integers(2, 6)), 12, 4, 25)


def birds(stage, name):
    rng = stage.rng
    if stage.world_name == "water":
        kinds = ["duck"]
    else:
        kinds = [str(rng.choice(("songbird", "parrot", "heron", "cockerel")))]
    if rng.random() < 0.35:
        flock(stage, name)
        return
    stage.heights = (0.3, 1.2)
    for k in range(int(rng.choice((1, 2, 3, 4, 5), p=(0.1, 0.2, 0.3, 0.25, 0.15)))):
        place = (0, 0) if k == 0 else (rng.uniform(-0.7, 0.7), rng.uniform(0, 0.8))
        stage.put(name, stage.make(name, kind=kinds[0]), *place, stage.side_view(55))
    if stage.world_name != "water":
        stage.persons(int(rng.random() < 0.3), 1.5, 1, 3)
        stage.scatter(clutter.OUTDOORS, int(rng.integers(1, 5)), 12, 4, 25)


def flock(stage, name):
    """Birds in the air, seen from below or from the side."""
    rng = stage.rng
    stage.heights = (1.2, 2.0)
    rise = rng.uniform(1.5, 5)
    for k in range(int(rng.integers(2, 6))):
        x, y, z = (
            (0, 0, rise)
            if k == 0
            else (
                rng.uniform(-1.4, 1.4),
                rng.uniform(-0.3, 0.9),
                rise + rng.uniform(-1, 1.2),
            )
        )
        stage.put(
            name,
            stage.make(name, kind="flying").moved(
                roll=rng.uniform(-25, 25), pitch=rng.uniform(-15, 12)
            ),
            x,
            y,
            rng.uniform(0, 360),
            z,
        )


def street(stage, name):
    rng = stage.rng
    stage.heights = (1.3, 3.2)
    lane = rng.choice((-1.75, 1.75))
    parked = rng.random() < 0.4
    yaw = (
        rng.uniform(0, 360)
        if parked
        else (0.0 if lane < 0 else 180.0) + rng.uniform(-32, 32)
    )
    if name in ("bicycle", "motorbike") and rng.random() < 0.5:
        ride(stage, name, stage.make(name), 0, 0, stage.side_view(55))
    else:
        stage.put(
            name,
            stage.make(name),
            0,
            0,
            yaw if name not in ("bicycle", "motorbike") else stage.side_view(55),
        )
    length = np.ptp(stage.objects[0].model.bounds[:, 0])
    stage.depth = -lane
    if rng.random() < 0.75:  # another of the kind behind or before it
        along = rng.choice((-1, 1)) * (rng.uniform(0.7, 1.4) * length + 1.5)
        stage.put(
            name,
            stage.make(name),
            along,
            rng.choice((0.0, -2 * lane)) + rng.uniform(0, 3),
            yaw + rng.uniform(-15, 15),
        )
    others = {
        "car": 0.42,
        "bus": 0.12,
        "motorbike": 0.1,
        "bicycle": 0.16,
        "person": 0.2,
    }
    for other in rng.choice(
        list(others),
        int(rng.choice((1, 2, 3, 4), p=(0.1, 0.3, 0.35, 0.25))),
        p=list(others.values()),
    ):
        other, far = str(other), rng.random() < 0.6
        y = (
            stage.depth + (1.75 if far else -1.75)
            if other != "person"
            else stage.depth + rng.choice((-4.6, 4.6))
        )
        y += rng.uniform(-0.4, 0.4) + (rng.uniform(4, 14) if rng.random() < 0.35 else 0)
        x = rng.uniform(0.5, 1.2) * (length + 3) * rng.choice((-1, 1))
        if other in ("bicycle", "motorbike") and rng.random() < 0.7:
            ride(
                stage,
                other,
                stage.make(other),
                x,
                y,
                (180.0 if far else 0.0) + rng.uniform(-20, 20),
            )
        else:
            yaw = (
                stage.front_view()
                if other == "person"
                else (180.0 if far else 0.0) + rng.uniform(-15, 15)
            )
            stage.put(other, stage.make(other), x, y, yaw)
    stage.persons(
        int(rng.integers(0, 3)), length + 2, stage.depth + 4, stage.depth + 6.5
    )
    stage.scatter(
        clutter.TOWN, int(rng.integers(3, 7)), 28, stage.depth + 9, stage.depth + 30
    )


def railway(stage, name):
    """A train that comes towards us or passes; a second one on the other track, persons
    beside it.
    """
    rng = stage.rng
    stage.heights = (1.6, 3.5)
    stage.turn = rng.uniform(-58, 58)
    # its front is nearer than its end
    right = rng.random() < 0.5 if abs(stage.turn) < 15 else stage.turn < 0
    yaw = stage.turn + (0.0 if right else 180.0)
    stage.put("train", stage.make("train"), 0, 0, yaw)
    along = np.array([np.cos(np.radians(stage.turn)), np.sin(np.radians(stage.turn))])
    aside = np.array([-along[1], along[0]])
    if rng.random() < 0.8:
        place = along * rng.uniform(-9, 14) + 4.5 * aside
        stage.put(
            "train",
            stage.make("train"),
            *place,
            yaw + 180.0 * (rng.random() < 0.5),
            solid=False,
        )
    for _ in range(int(rng.choice((0, 1, 2, 3), p=(0.1, 0.35, 0.3, 0.25)))):
        stage.put(
            "person",
            stage.make("person"),
            *(along * rng.uniform(-6, 6) - aside * rng.uniform(2.6, 6)),
            stage.front_view(),
        )
    if rng.random() < 0.2:
        stage.put(
            "bicycle",
            stage.make("bicycle"),
            *(along * rng.uniform(-5, 5) - aside * rng.uniform(3.2, 6)),
            stage.side_view(),
        )
    stage.scatter(clutter.COUNTRY, int(rng.integers(3, 8)), 35, 14, 45)


def lake(stage, name):
    rng = stage.rng
    stage.heights = (1.5, 4.5)
    stage.put(name, stage.make(name), 0, 0, stage.side_view(60))
    length = np.ptp(stage.objects[0].model.bounds[:, 0])
    for _ in range(int(rng.choice((1, 2, 3), p=(0.35, 0.4, 0.25)))):
        stage.put(
            name,
            stage.make(name),
            rng.uniform(-1.2, 1.2) * length,
            rng.uniform(0.4, 1.6) * max(length, 6),
            stage.side_view(60),
        )
    for _ in range(int(rng.choice((0, 1, 2), p=(0.5, 0.3, 0.2)))):
        kind = "duck" if rng.random() < 0.5 else "flying"
        z = 0.0 if kind == "duck" else rng.uniform(1.5, 5)
        stage.put(
            "bird",
            stage.make("bird", kind=kind),
            rng.uniform(-0.7, 0.7) * length,
            rng.uniform(-0.8, 0.2) * length,
            rng.uniform(0, 360),
            z,
        )
    stage.distant(name, 1, 3 * length, 4 * max(length, 6), 8 * max(length, 6))
    canoe = stage.objects[0].model.extras["kind"] == "canoe"
    if canoe and rng.random() < 0.8:
        sitter = person(rng, pose="sitting")
        stage.put(
            "person",
            sitter.moved(offset=np.array([-0.4, 0, 0.3]) - sitter.extras["pelvis"][0]),
            0,
            0,
            stage.objects[0].yaw,
            solid=False,
        )


def air(stage, name):
    """Aeroplanes in the sky."""
    rng = stage.rng
    for k in range(int(rng.choice((1, 2, 3, 4), p=(0.2, 0.35, 0.3, 0.15)))):
        model = aeroplane(rng, flying=True).moved(
            roll=rng.uniform(-25, 25), pitch=rng.uniform(-14, 6)
        )
        size = np.ptp(model.bounds[:, 0])
        rise = size * rng.uniform(0.5, 1.3) + 8
        x, y = (
            (0, 0)
            if k == 0
            else (rng.uniform(-1.1, 1.1) * size, rng.uniform(-0.2, 0.9) * size)
        )
        stage.put(name, model, x, y, stage.side_view(70), rise)
    if rng.random() < 0.3:
        stage.put(
            "bird",
            stage.make("bird", kind="flying"),
            rng.uniform(-4, 4),
            -rng.uniform(6, 14),
            rng.uniform(0, 360),
            rng.uniform(6, 9),
        )


def airfield(stage, name):
    rng = stage.rng
    stage.heights = (1.7, 4.0)
    model = aeroplane(rng, flying=False)
    stage.put(name, model, 0, 0, stage.side_view(65))
    size = np.ptp(stage.objects[0].model.bounds[:, 0])
    for _ in range(int(rng.choice((0, 1, 2), p=(0.2, 0.5, 0.3)))):
        stage.put(
            name,
            aeroplane(rng, flying=False),
            rng.uniform(-1.0, 1.0) * size,
            rng.uniform(0.7, 1.4) * max(size, 10),
            stage.side_view(60),
        )
    stage.persons(
        int(rng.choice((0, 1, 2, 3), p=(0.2, 0.35, 0.3, 0.15))),
        0.7 * size,
        -0.8 * size,
        0.2 * size,
    )
    if rng.random() < 0.4:
        other = str(rng.choice(("bus", "car")))
        stage.put(
            other,
            stage.make(other),
            rng.uniform(-1, 1) * size,
            rng.uniform(0.5, 1.5) * size,
            stage.side_view(),
        )


def room_back(stage):
    """The wall, and things along it."""
    rng = stage.rng
    stage.depth = max(
        [0.9, *(placed.model.bounds[1][1] + 0.25 for placed in stage.objects)]
    ) + rng.uniform(0.0, 0.9)
    for name in rng.choice(sorted(clutter.INDOORS), int(rng.integers(0, 3))):
        stage.put(
            None,
            clutter.INDOORS[str(name)](rng),
            rng.choice((-1, 1)) * rng.uniform(0.8, 2.8),
            stage.depth - 0.3,
            0.0,
        )
    if rng.random() < 0.35:
        stage.put(
            "pottedplant",
            stage.make("pottedplant").moved(scale=rng.uniform(0.8, 1.3)),
            rng.choice((-1, 1)) * rng.uniform(0.7, 2.4),
            stage.depth - 0.5,
            0.0,
        )


def living_room(stage, name):
    """Sofa, screen on a low board, plants, someone sitting, a cat or dog."""
    rng = stage.rng
    stage.heights = (1.0, 1.7)
    if name == "tvmonitor":
        board = clutter.low_board(rng)
        kind = str(rng.choice(("flat", "crt", "on a board")))
        stage.put(
            name,
            stage.make(name, kind=kind),
            0,
            0,
            FACING + rng.uniform(-42, 42),
            board.extras["top"],
        )
        stage.put(None, board, 0, 0.05, 0.0, solid=False)
        if rng.random() < 0.4:
            stage.put(
                "bottle",
                stage.make("bottle"),
                rng.choice((-0.5, 0.5)),
                -0.1,
                0.0,
                board.extras["top"],
            )
    elif name == "sofa":
        sofa = stage.make("sofa")
        yaw = FACING + rng.uniform(-50, 50)
        stage.put(name, sofa, 0, 0, yaw)
        for seat in sofa.extras["seats"]:
            if rng.random() < 0.28:
                seat_person(stage, seat, 0, 0, yaw)
            elif rng.random() < 0.12:
                pet = stage.make(str(rng.choice(("cat", "dog"))))
                turn = rng.uniform(-60, 60)
                lying = stage.put(
                    pet.name,
                    pet.moved(offset=seat - [0, 0, 0.02], yaw=turn),
                    0,
                    0,
                    yaw,
                    solid=False,
                )
                lying.yaw += turn
    else:  # plants
        for k in range(int(rng.integers(2, 5))):
            stage.put(
                name,
                stage.make(name).moved(scale=rng.uniform(0.75, 1.4)),
                0.8 * k * rng.choice((-1, 1)),
                rng.uniform(0, 0.5) * k,
                rng.uniform(0, 360),
            )
    if name == "sofa" and rng.random() < 0.7:
        stage.put(
            name,
            stage.make("sofa"),
            rng.choice((-1, 1)) * rng.uniform(2.0, 2.6),
            rng.uniform(-0.2, 0.8),
            FACING + rng.uniform(-60, 60),
        )
    extra = str(
        rng.choice(
            ("pottedplant", "tvmonitor", "sofa", "chair", "none"),
            p=(0.25, 0.25, 0.25, 0.15, 0.1),
        )
    )
    side = rng.choice((-1, 1))
    if extra == "tvmonitor":
        board = clutter.low_board(rng)
        if stage.put(None, board, side * rng.uniform(1.7, 2.5), 0.6, 0.0):
            x, y, _ = stage.objects[-1].model.bounds.mean(axis=0)
            stage.put(
                extra,
                stage.make(extra, kind=str(rng.choice(("flat", "crt")))),
                x,
                y,
                FACING + rng.uniform(-30, 30),
                board.extras["top"],
            )
    elif extra != "none":
        stage.put(
            extra,
            stage.make(extra),
            side * rng.uniform(1.3, 2.3),
            rng.uniform(-0.3, 0.9),
            FACING + rng.uniform(-60, 60),
        )
    if rng.random() < 0.4:
        stage.put(
            "person",
            stage.make("person"),
            -side * rng.uniform(1.0, 2.0),
            rng.uniform(-0.4, 0.7),
            stage.front_view(),
        )
    if rng.random() < 0.25:
        pet = str(rng.choice(("cat", "dog")))
        stage.put(
            pet,
            stage.make(pet),
            rng.uniform(-1.2, 1.2),
            rng.uniform(-1.3, -0.7),
            stage.side_view(),
        )
    room_back(stage)


def dinner(stage, name):
    """A laid table with chairs, bottles and persons round it; or a chair alone."""
    rng = stage.rng
    stage.heights = (1.2, 1.9)
    if name == "chair" and rng.random() < 0.45:
        for k in range(int(rng.integers(1, 4))):
            chair = stage.make("chair")
            x, y, yaw = (
                0.85 * k * rng.choice((-1, 1)),
                rng.uniform(0, 0.6) * k,
                FACING + rng.uniform(-100, 100),
            )
            if stage.put("chair", chair, x, y, yaw) and rng.random() < 0.3:
                seat_person(stage, chair.extras["seat"][0], x, y, yaw)
    else:
        table = stage.make("diningtable")
        stage.put("diningtable", table, 0, 0, rng.uniform(-18, 18))
        for _ in range(int(rng.choice((0, 1, 2), p=(0.4, 0.4, 0.2)))):
            reach = 0.3 * np.array([table.extras["length"], table.extras["width"]])
            stage.put(
                "bottle",
                stage.make("bottle"),
                *rng.uniform(-reach, reach),
                0.0,
                table.extras["top"],
                solid=False,
            )
        places = [
            (-0.55, -0.72, 90),
            (0.55, -0.72, 90),
            (-0.55, 0.75, -90),
            (0.55, 0.75, -90),
            (-1.25, 0, 0),
            (1.25, 0, 180),
        ]
        kind = str(rng.choice(("wooden", "garden", "bentwood", "shell", "upholstered")))
        for k in rng.permutation(6)[: int(rng.integers(1, 5))]:
            x, y, yaw = places[k]
            chair, yaw = stage.make("chair", kind=kind), yaw + rng.uniform(-20, 20)
            if stage.put("chair", chair, x, y, yaw, solid=False) and rng.random() < (
                0.4 if y > -0.5 else 0.15
            ):
                seat_person(stage, chair.extras["seat"][0], x, y, yaw)
    if name == "diningtable" and rng.random() < 0.5:  # as in a restaurant
        stage.put(
            name,
            stage.make(name),
            rng.choice((-1, 1)) * rng.uniform(2.2, 2.9),
            rng.uniform(0.3, 1.6),
            rng.uniform(-18, 18),
        )
    if rng.random() < 0.2:
        stage.put(
            "person",
            stage.make("person"),
            rng.choice((-1, 1)) * rng.uniform(1.6, 2.2),
            rng.uniform(0, 1),
            stage.front_view(),
        )
    room_back(stage)


def table_top(stage, name):
    """Bottles seen close, on a board or desk; monitors on a desk with a chair before
    it.
    """
    rng = stage.rng
    if name == "tvmonitor":
        desk = clutter.desk(rng)
        stage.heights = (1.1, 1.5)
        for k in range(int(rng.integers(2, 4))):
            stage.put(
                name,
                stage.make(name, kind="computer"),
                (0, 0.6, -0.6)[k],
                0.05,
                FACING + rng.uniform(-35, 35),
                desk.extras["top"],
            )
        if rng.random() < 0.5:
            stage.put(
                "bottle",
                stage.make("bottle"),
                rng.choice((-0.55, 0.55)),
                -0.15,
                0,
                desk.extras["top"],
            )
        stage.put(None, desk, 0, 0, 0, solid=False)
        if rng.random() < 0.6:
            stage.put(
                "chair",
                stage.make("chair", kind="office"),
                rng.uniform(-0.7, 0.7),
                -0.75,
                rng.uniform(0, 360),
                solid=False,
            )
    else:
        board = clutter.low_board(rng)
        top = board.extras["top"]
        stage.heights = (top + 0.2, top + 0.5)
        for k in range(
            int(rng.choice((1, 2, 3, 4, 5), p=(0.15, 0.25, 0.25, 0.2, 0.15)))
        ):
            x = 0 if k == 0 else rng.uniform(-0.5, 0.5)
            stage.put(
                name,
                stage.make(name),
                x,
                rng.uniform(-0.12, 0.12),
                rng.uniform(0, 360),
                top,
            )
        if rng.random() < 0.3:
            stage.put(
                "pottedplant",
                stage.make("pottedplant").moved(scale=0.7),
                rng.choice((-0.45, 0.45)),
                0.05,
                0,
                top,
            )
        stage.put(None, board, 0, 0, 0, solid=False)
        if rng.random() < 0.3:
            stage.put(
                "person",
                stage.make("person"),
                rng.choice((-1, 1)) * rng.uniform(0.9, 1.3),
                0.2,
                stage.front_view(),
            )
    room_back(stage)


def people(stage, name):
    rng = stage.rng
    stage.put(name, stage.make(name), 0, 0, stage.front_view())
    for _ in range(int(rng.choice((1, 2, 3, 4), p=(0.3, 0.3, 0.25, 0.15)))):
        stage.put(
            name,
            stage.make(name),
            rng.uniform(-1.3, 1.3),
            rng.uniform(0.2, 1.8),
            stage.front_view(),
        )
    if stage.world_name == "room":
        room_back(stage)
    else:
        if rng.random() < 0.35:
            pet = str(rng.choice(("dog", "bicycle", "cat", "bird")))
            stage.put(
                pet,
                stage.make(pet, kind="songbird") if pet == "bird" else stage.make(pet),
                rng.uniform(-1.6, 1.6),
                rng.uniform(-0.6, 0.8),
                stage.side_view(),
            )
        stage.depth = 7.0
        stage.distant("person", 2, 3.0, 4.5, 9.0)
        stage.scatter(
            clutter.TOWN if stage.world_name == "road" else clutter.COUNTRY,
            int(rng.integers(2, 6)),
            22,
            16,
            40,
        )


# class -> (recipe, worlds it may play in, weight); the recipes of a class are drawn by
# weight
RECIPES = {
    "aeroplane": [
        (air, ("meadow", "airfield", "water"), 1),
        (airfield, ("airfield",), 1),
    ],
    "bicycle": [(riding, ("road", "meadow"), 2), (street, ("road",), 1)],
    "bird": [(birds, ("meadow", "sand", "water", "field"), 1)],
    "boat": [(lake, ("water",), 1)],
    "bottle": [(table_top, ("room",), 1)],
    "bus": [(street, ("road",), 1)],
    "car": [(street, ("road",), 1)],
    "cat": [(pets, ("room", "meadow", "room"), 1)],
    "chair": [(dinner, ("room",), 1)],
    "cow": [(herd, ("meadow", "field"), 1)],
    "diningtable": [(dinner, ("room",), 1)],
    "dog": [(pets, ("room", "meadow", "sand", "field"), 1)],
    "horse": [(herd, ("meadow", "field"), 1), (riding, ("meadow", "field", "sand"), 1)],
    "motorbike": [(riding, ("road", "airfield"), 1), (street, ("road",), 1)],
    "person": [(people, ("road", "meadow", "room", "sand"), 1)],
    "pottedplant": [(living_room, ("room",), 1)],
    "sheep": [(herd, ("meadow", "field"), 1)],
    "sofa": [(living_room, ("room",), 1)],
    "train": [(railway, ("rail",), 1)],
    "tvmonitor": [(living_room, ("room",), 1), (table_top, ("room",), 1)],
}
MOST_OBJECTS = 8
# which share of the picture the leader covers (its root), and how often
LEADER_SIZES, LEADER_WEIGHTS = (
    ((0.64, 0.95), (0.42, 0.64), (0.18, 0.42)),
    (0.36, 0.36, 0.28),
)
SIZES = (
    ((500, 375),) * 9
    + ((500, 333), (500, 400), (480, 360))
    + ((375, 500),) * 3
    + ((333, 500),)
)


def compose(rng, leader):
    """A `Scene` whose first object is of the class `leader`."""
    recipes = RECIPES[leader]
    weights = np.array([recipe[2] for recipe in recipes], float)
    recipe, world_names, _ = recipes[
        rng.choice(len(recipes), p=weights / weights.sum())
    ]
    stage = Stage(rng, str(world_names[rng.integers(len(world_names))]))
    recipe(stage, leader)
    world = worlds.make_world(rng, stage.world_name)
    width, height = SIZES[rng.integers(len(SIZES))]
    low, high = LEADER_SIZES[rng.choice(len(LEADER_SIZES), p=LEADER_WEIGHTS)]
    size = rng.uniform(low, high)
    return frame(rng, stage, world, width, height, size)


def frame(rng, stage, world, width, height, size):
    """Move the camera so that the leader covers `size` (root of its share of the
    picture), and point it.
    """
    camera = Camera(np.zeros(3), 0.0, rng.uniform(30, 48), width, height)
    leader = next(placed for placed in stage.objects if placed.name).model
    corners = np.vstack([np.asarray(mesh.points)[::7] for mesh, _ in leader.meshes])
    centre = leader.bounds.mean(axis=0)
    near, far, height_drawn = 0.2, 400.0, rng.uniform(*stage.heights)
    for _ in range(24):  # bisection on the distance
        distance = np.sqrt(near * far)
        # never steeply from above
        lifted = min(height_drawn, centre[2] + 0.38 * distance)
        camera.position = np.array([centre[0], leader.bounds[0][1] - distance, lifted])
        camera.pitch = aim(camera, centre)
        points, _visible = camera.project(corners)
        extent = np.ptp(points, axis=0) / [width, height]
        near, far = (
            (distance, far)
            if np.sqrt(extent[0] * extent[1]) > size
            else (near, distance)
        )
    # what is near looms large: centre the leader's outline, not its middle
    points, _visible = camera.project(corners)
    middle = (points[:, 0].min() + points[:, 0].max()) / 2
    camera.position[0] += (
        (2 * middle - width)
        / height
        * np.tan(np.radians(camera.angle) / 2)
        * (centre[1] - camera.position[1])
    )
    drift = (1 - min(1.0, size)) * 0.7 + 0.08
    across = (
        rng.uniform(-drift, drift)
        * distance
        * np.tan(np.radians(camera.angle) / 2)
        * width
        / height
    )
    camera.pitch += rng.uniform(-0.35, 0.35) * (1 - min(size, 0.9)) * camera.angle / 2
    offset = np.array([-camera.position[0] + across, -camera.position[1], 0])
    camera.position = camera.position + [-camera.position[0], -camera.position[1], 0]
    objects = [
        Placed(p.name, p.model.moved(offset=offset), p.yaw) for p in stage.objects
    ]
    objects = [
        p
        for p in objects
        if p.model.bounds[0][1] > 0.15
        or p.name is not None
        and p.model.bounds[1][1] > 1.0
    ]
    named = [p for p in objects if p.name][:MOST_OBJECTS]
    objects = named + [p for p in objects if not p.name]
    world.depth, world.turn, world.turn_x = (
        stage.depth + offset[1],
        stage.turn,
        offset[0],
    )
    return Scene(world, camera, objects)


def aim(camera, target):
    """The pitch in degrees at which the camera looks at the target's height."""
    away = target - camera.position
    return float(np.degrees(np.arctan2(-away[2], np.hypot(away[0], away[1]))))
