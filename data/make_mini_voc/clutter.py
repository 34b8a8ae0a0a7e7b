"""Things that belong to no class: trees, houses, fences, lamps, shelves ... They are
drawn, but never labelled.
"""

import numpy as np
from models.furniture import LEAVES, WOODS, pick
from models.people import CLOTHES
from shapes import Model, ball, box, lathe, plate, rod, tube

BARK, STONE = (
    ((0.42, 0.31, 0.22), (0.55, 0.5, 0.44)),
    ((0.55, 0.54, 0.52), (0.62, 0.58, 0.5), (0.45, 0.45, 0.47)),
)


def tree(rng):
    model, height, green = Model("tree"), rng.uniform(4, 8), pick(rng, LEAVES)
    model.add(
        tube(
            [(0, 0, 0), (rng.normal(0, 0.15), 0, 0.3 * height), (0, 0, 0.6 * height)],
            [0.045 * height, 0.03 * height, 0.015 * height],
        ),
        pick(rng, BARK),
        0.0,
    )
    for _ in range(45):
        direction = rng.normal(size=3)
        place = direction / np.linalg.norm(direction) * np.array(
            [0.27, 0.27, 0.27]
        ) * height * rng.uniform(0.5, 1) + [
            0,
            0,
            0.68 * height,
        ]
        model.add(
            ball(place, rng.uniform(0.07, 0.13) * height, count=7),
            tuple(np.array(green) * rng.uniform(0.75, 1.15)),
            0.0,
        )
    return model


def conifer(rng):
    model, height, green = (
        Model("conifer"),
        rng.uniform(5, 9),
        tuple(np.array(pick(rng, LEAVES)) * 0.75),
    )
    model.add(rod((0, 0, 0), (0, 0, 0.3 * height), 0.03 * height), pick(rng, BARK), 0.0)
    for k in range(5):
        low = (0.14 + 0.16 * k) * height
        model.add(
            rod(
                (0, 0, low),
                (0, 0, low + 0.3 * height),
                (0.22 - 0.036 * k) * height,
                0.01,
            ),
            tuple(np.array(green) * (0.85 + 0.08 * k)),
            0.0,
        )
    return model


def bush(rng):
    model, green, size = Model("bush"), pick(rng, LEAVES), rng.uniform(0.5, 1.1)
    for _ in range(24):
        place = rng.normal(0, 0.32, 3) * size
        model.add(
            ball(
                [place[0], place[1], abs(place[2]) + 0.15 * size],
                rng.uniform(0.14, 0.28) * size,
                count=7,
            ),
            tuple(np.array(green) * rng.uniform(0.75, 1.2)),
            0.0,
        )
    return model


def rock(rng):
    model, size = Model("rock"), rng.uniform(0.2, 0.6)
    for _ in range(4):
        model.add(
            ball(
                rng.normal(0, 0.3, 3) * [size, size, 0.3 * size],
                size * rng.uniform(0.4, 0.8, 3),
                rng.uniform(0.6, 1),
                yaw=rng.uniform(0, 90),
            ),
            pick(rng, STONE),
            0.05,
        )
    return model


def fence(rng):
    model, colour = Model("fence"), pick(rng, WOODS)
    for x in np.arange(-4, 4.1, 1.6):
        model.add(box((x, 0, 0.55), (0.1, 0.1, 1.1)), colour)
    for z in (0.4, 0.7, 1.0):
        model.add(box((0, 0.06, z), (8.2, 0.03, 0.11)), colour)
    return model


def lamp_post(rng):
    model, height = Model("lamp_post"), rng.uniform(3.5, 6)
    model.add(
        tube(
            [(0, 0, 0), (0, 0, 0.8 * height), (0.15, 0, height), (0.8, 0, height)],
            [0.07, 0.05, 0.045, 0.04],
            sides=10,
        ),
        (0.35, 0.38, 0.38),
        0.4,
    )
    model.add(ball((0.85, 0, height - 0.04), (0.25, 0.12, 0.07)), (0.92, 0.9, 0.8), 0.5)
    return model


def sign(rng):
    model = Model("sign")
    model.add(rod((0, 0, 0), (0, 0, 2.3), 0.035), (0.6, 0.61, 0.63), 0.5)
    colour = [(0.8, 0.12, 0.12), (0.15, 0.3, 0.7), (0.95, 0.8, 0.2)][rng.integers(3)]
    corners = {
        0: np.linspace(0, 2 * np.pi, 25)[:-1],
        1: np.arange(3) * 2 * np.pi / 3 + np.pi / 2,
        2: np.arange(4) * np.pi / 2 + np.pi / 4,
    }[int(rng.integers(3))]
    for radius, paint, x in ((0.34, colour, 0.0), (0.26, (0.95, 0.95, 0.94), 0.02)):
        model.add(
            plate(
                np.stack([np.cos(corners), np.sin(corners)], 1) * radius,
                0.03,
                "x",
                (x, 0, 2.2),
            ),
            paint,
            0.3,
        )
    return model


def house(rng):
    model, wall, roof = (
        Model("house"),
        pick(
            rng,
            (
                (0.9, 0.86, 0.76),
                (0.72, 0.42, 0.32),
                (0.8, 0.8, 0.82),
                (0.88, 0.72, 0.5),
                (0.6, 0.68, 0.72),
            ),
        ),
        pick(rng, ((0.55, 0.25, 0.2), (0.35, 0.34, 0.36), (0.62, 0.36, 0.24))),
    )
    width, depth, storeys = (
        rng.uniform(6, 11),
        rng.uniform(5, 8),
        int(rng.integers(1, 4)),
    )
    height = 2.9 * storeys
    model.add(box((0, 0, height / 2), (width, depth, height)), wall, 0.05)
    model.add(
        plate(
            [
                (-depth / 2 - 0.4, height),
                (depth / 2 + 0.4, height),
                (0, height + 0.42 * depth),
            ],
            width + 0.5,
            "x",
        ),
        roof,
        0.05,
    )
    for storey in range(storeys):
        for x in np.arange(-width / 2 + 1.2, width / 2 - 0.8, 2.1):
            door = storey == 0 and abs(x) < 0.9
            z, tall = (1.05, 2.1) if door else (2.9 * storey + 1.6, 1.3)
            model.add(
                box((x, -depth / 2, z), (1.2, 0.08, tall + 0.2)), (0.93, 0.92, 0.9)
            )
            model.add(
                box((x, -depth / 2 - 0.02, z), (1.0, 0.08, tall)),
                (0.42, 0.28, 0.18) if door else (0.25, 0.32, 0.4),
                0.1 if door else 0.8,
            )
    return model


def hay_bale(rng):
    model = Model("hay_bale")
    model.add(
        rod((0, -0.6, 0.62), (0, 0.6, 0.62), 0.62, sides=30),
        lambda p: np.array([(0.8, 0.68, 0.36)]) * (0.92 + 0.1 * np.sin(p[:, :1] * 60)),
        0.0,
    )
    return model


def bookshelf(rng):
    model, wood = Model("bookshelf"), pick(rng, WOODS)
    width, height = rng.uniform(0.7, 1.4), rng.uniform(1.2, 2.0)
    model.add(
        box((0, 0.14, height / 2), (width, 0.02, height)), tuple(0.8 * np.array(wood))
    )
    for x in (-1, 1):
        model.add(box((x * width / 2, 0, height / 2), (0.03, 0.3, height)), wood)
    for z in np.arange(0.05, height + 0.01, (height - 0.05) / round(height / 0.36)):
        model.add(box((0, 0, z), (width, 0.3, 0.03)), wood)
        x = -width / 2 + 0.05
        while z < height - 0.2 and x < width / 2 - 0.08:
            thick, tall = rng.uniform(0.02, 0.05), rng.uniform(0.18, 0.28)
            if rng.random() < 0.85:
                model.add(
                    box((x + thick / 2, 0.0, z + tall / 2), (thick * 0.92, 0.2, tall)),
                    pick(rng, CLOTHES),
                    0.1,
                )
            x += thick
    return model


def floor_lamp(rng):
    model = Model("floor_lamp")
    model.add(
        lathe([(0, 0), (0.15, 0), (0.14, 0.02), (0.012, 0.03), (0.012, 1.4), (0, 1.4)]),
        (0.3, 0.3, 0.31),
        0.6,
    )
    model.add(
        lathe([(0.23, 1.3), (0.13, 1.62), (0.12, 1.62), (0.22, 1.3)]),
        pick(rng, ((0.95, 0.88, 0.7), (0.9, 0.9, 0.88), (0.75, 0.35, 0.25))),
        0.1,
    )
    return model


def low_board(rng):
    """A sideboard or low board: screens and bottles stand on it; extras "top"."""
    model, wood = Model("low_board"), pick(rng, WOODS)
    width, height = rng.uniform(1.2, 1.8), rng.uniform(0.42, 0.75)
    model.add(box((0, 0, height / 2 + 0.04), (width, 0.45, height - 0.08)), wood, 0.3)
    for x in np.linspace(-0.33, 0.33, 3) * width:
        model.add(
            box(
                (x, -0.228, height / 2 + 0.04), (width / 3 - 0.04, 0.015, height - 0.16)
            ),
            tuple(0.85 * np.array(wood)),
            0.3,
        )
        model.add(ball((x, -0.245, 0.7 * height), 0.018, count=8), (0.7, 0.7, 0.7), 0.7)
    model.extras["top"] = height
    return model


def desk(rng):
    model, wood = Model("desk"), pick(rng, WOODS)
    model.add(box((0, 0, 0.72), (1.4, 0.65, 0.035)), wood, 0.3)
    for x in (-0.66, 0.66):
        model.add(box((x, 0, 0.35), (0.04, 0.6, 0.7)), tuple(0.9 * np.array(wood)))
    model.extras["top"] = 0.74
    return model


def cardboard_box(rng):
    model, size = Model("cardboard_box"), rng.uniform(0.25, 0.5, 3)
    model.add(
        box((0, 0, size[2] / 2), size, yaw=rng.uniform(0, 90)), (0.72, 0.56, 0.38), 0.0
    )
    return model


def toy_ball(rng):
    model, radius = Model("toy_ball"), rng.uniform(0.1, 0.16)
    first, second = pick(rng, CLOTHES), (0.95, 0.95, 0.94)
    model.add(
        ball((0, 0, radius), radius),
        lambda p: np.where(
            (np.sin(p[:, 0] * 9 / radius * 0.35) * np.sin(p[:, 1] * 3 / radius) > 0)[
                :, None
            ],
            first,
            second,
        ),
        0.5,
    )
    return model


OUTDOORS = {"tree": tree, "conifer": conifer, "bush": bush, "rock": rock}
COUNTRY = {**OUTDOORS, "fence": fence, "hay_bale": hay_bale, "house": house}
TOWN = {
    "house": house,
    "lamp_post": lamp_post,
    "sign": sign,
    "tree": tree,
    "bush": bush,
}
INDOORS = {
    "bookshelf": bookshelf,
    "floor_lamp": floor_lamp,
    "cardboard_box": cardboard_box,
    "toy_ball": toy_ball,
}
