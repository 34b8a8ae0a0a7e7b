"""Cat, dog, cow, horse, sheep and bird.

The five quadrupeds are one function with a table of builds; coat, head, tail and the
like tell the species. Heads are 10 to 15 % larger than life, which reads better in
small pictures.
"""

from dataclasses import dataclass, replace

import numpy as np
from shapes import Model, ball, rod, tube

DARK, EYE, WHITE = (0.22, 0.2, 0.2), (0.05, 0.05, 0.06), (0.93, 0.92, 0.9)


@dataclass(frozen=True)
class Build:
    """Proportions of a standing quadruped in metres; it looks along +x, its feet on z =
    0.
    """

    height: float  # of the back
    length: float  # from chest to rump
    chest: float  # half-height of the body at the chest, at the belly, at the rump
    belly: float
    rump: float
    breadth: float  # half-width of the body as a share of its half-height
    leg: float  # radius of the leg's upper part, and of its lower part
    shank: float
    neck: float  # length, radius, and angle over the horizon in degrees
    neck_radius: float
    neck_angle: float
    head: float  # radius of the skull
    muzzle: float  # length and radius
    muzzle_radius: float


BUILDS = {
    "cat": Build(
        0.28,
        0.36,
        0.085,
        0.085,
        0.09,
        0.85,
        0.036,
        0.019,
        0.09,
        0.055,
        40,
        0.068,
        0.045,
        0.034,
    ),
    "dog": Build(
        0.52,
        0.56,
        0.15,
        0.105,
        0.115,
        0.72,
        0.062,
        0.029,
        0.2,
        0.078,
        52,
        0.098,
        0.14,
        0.047,
    ),
    "cow": Build(
        1.35, 1.55, 0.4, 0.43, 0.38, 0.72, 0.15, 0.068, 0.52, 0.21, 22, 0.19, 0.3, 0.135
    ),
    "horse": Build(
        1.5, 1.4, 0.36, 0.32, 0.36, 0.68, 0.15, 0.058, 0.78, 0.165, 52, 0.155, 0.36, 0.1
    ),
    "sheep": Build(
        0.68, 0.72, 0.2, 0.2, 0.19, 0.9, 0.062, 0.034, 0.19, 0.1, 38, 0.095, 0.12, 0.055
    ),
}
KINDS = {
    "cat": ("tabby", "ginger", "black and white", "siamese", "grey"),
    "dog": ("shepherd", "hound", "terrier", "dalmatian", "spaniel"),
    "cow": ("holstein", "red and white", "brown", "highland"),
    "horse": ("bay", "grey", "chestnut", "pinto", "palomino"),
    "sheep": ("white", "black face", "lamb", "ram"),
    "bird": ("songbird", "flying", "duck", "parrot", "heron", "cockerel"),
}


def patches(rng, first, second, size, share=0.5):
    """A coat of two colours in smooth patches of about `size` metres."""
    waves, phases = rng.normal(0, 2.2 / size, (5, 3)), rng.uniform(0, 6.3, 5)

    def colour(points):
        value = np.sin(points @ waves.T + phases).sum(axis=1)
        return np.where((value > np.quantile(value, 1 - share))[:, None], second, first)

    return colour


def stripes(rng, first, second, period):
    """A coat with stripes across the body, a little wavy."""
    phase = rng.uniform(0, 6.3)

    def colour(points):
        wave = np.sin(
            2 * np.pi * points[:, 0] / period
            + 2 * np.sin(points[:, 2] * 9 / period / 20 + phase)
        )
        return np.where((wave > 0.25)[:, None], second, first)

    return colour


def varied(rng, colour, spread=0.05):
    """The colour, a little lighter or darker and warmer or cooler."""
    return tuple(
        np.clip(
            np.array(colour) * rng.uniform(1 - 2 * spread, 1 + 2 * spread)
            + rng.normal(0, spread / 3, 3),
            0.2,
            0.97,
        )
    )


def scaled(rng, build):
    """The build with each number changed by a few per cent, so no two are alike."""
    numbers = {
        name: value * rng.normal(1, 0.045)
        for name, value in vars(build).items()
        if name not in ("neck_angle", "breadth")
    }
    return replace(build, **numbers, neck_angle=build.neck_angle + rng.uniform(-12, 12))


# --------------------------------------------------------------------------------------
# ----------
# The body


def leg(model, top, foot, build, colour, foot_colour, bend, hoof):
    """A leg from hip or shoulder to the ground, bent at the knee (bend > 0: forwards),
    with a paw or hoof.
    """
    top, foot = np.array(top, float), np.array(foot, float)
    knee = top + (foot - top) * 0.52 + [bend * build.height * 0.07, 0, 0]
    ankle = foot + [-bend * 0.02 * build.height, 0, 0.16 * build.height]
    model.add(
        tube(
            [top, (top + knee) / 2, knee],
            [build.leg * 1.15, build.leg * 0.85, build.shank * 1.25],
        ),
        colour,
    )
    model.add(
        tube(
            [knee, ankle, foot + [0, 0, build.shank]],
            [build.shank * 1.25, build.shank, build.shank * 0.95],
        ),
        foot_colour,
    )
    if hoof:
        model.add(
            rod(
                foot,
                foot + [0, 0, build.shank * 1.5],
                build.shank * 1.5,
                build.shank * 1.1,
            ),
            (0.2, 0.17, 0.15),
            0.4,
        )
    else:
        model.add(
            ball(
                foot + [build.shank * 0.7, 0, build.shank * 0.75],
                (build.shank * 1.9, build.shank * 1.25, build.shank * 0.85),
            ),
            foot_colour,
        )


def standing_body(model, rng, build, coat, foot_colour, hoof, step=None):
    """Body and four legs; returns where the neck begins and where the tail begins."""
    front, back = build.length / 2, -build.length / 2
    spine = build.height - build.chest
    points = [
        (back, 0, spine + build.chest - build.rump),
        (back * 0.5, 0, spine + 0.3 * build.chest - 0.3 * build.belly),
        (0, 0, spine - 0.1 * build.chest),
        (front * 0.6, 0, spine - 0.05 * build.chest),
        (front, 0, spine + 0.1 * build.chest),
    ]
    radii = [
        build.rump * 0.78,
        build.rump,
        build.belly,
        build.chest,
        build.chest * 0.72,
    ]
    model.add(tube(points, radii, sides=28, count=30, flat=build.breadth), coat)
    step = rng.uniform(0.03, 0.22) * build.height if step is None else step
    side = 0.62 * build.breadth
    for x, radius, bend in (
        (front * 0.72, build.chest, 0.6),
        (back * 0.82, build.rump, -1.0),
    ):
        for sign, swing in ((1, step), (-1, -step)):
            swing = swing if x > 0 else -swing
            top = (x, sign * side * radius, spine - 0.12 * radius)
            leg(
                model,
                top,
                (x + swing - 0.02 * bend, sign * side * radius * 0.95, 0),
                build,
                coat,
                foot_colour,
                bend,
                hoof,
            )
    return np.array([front * 0.86, 0, spine + 0.35 * build.chest]), np.array(
        [back - 0.4 * build.rump, 0, spine + 0.45 * build.chest]
    )


def neck_and_head(model, start, build, coat, face, angle, look=0.0):
    """Neck and skull with muzzle and eyes; returns (centre of the skull, its forward
    direction, its up direction).
    """
    a = np.radians(angle)
    end = start + build.neck * np.array([np.cos(a), 0, np.sin(a)])
    model.add(
        tube(
            [
                start - [build.neck_radius, 0, build.neck_radius * 0.8],
                (start + end) / 2,
                end,
            ],
            [
                build.neck_radius * 1.5,
                build.neck_radius * 1.08,
                build.neck_radius * 0.85,
            ],
            sides=20,
            flat=0.8,
        ),
        coat,
    )
    down = np.radians(look)
    forward, up = (
        np.array([np.cos(down), 0, -np.sin(down)]),
        np.array([np.sin(down), 0, np.cos(down)]),
    )
    skull = end + forward * 0.35 * build.head + up * 0.2 * build.head
    model.add(
        ball(skull, (build.head * 1.15, build.head * 0.86, build.head), pitch=look),
        face,
    )
    tip = skull + forward * (build.head * 0.6 + build.muzzle) - up * 0.28 * build.head
    model.add(
        tube(
            [skull + forward * 0.2 * build.head, (skull + tip) / 2 + 0.02 * up, tip],
            [
                build.head * 0.8,
                (build.head + 2 * build.muzzle_radius) / 3,
                build.muzzle_radius,
            ],
            sides=18,
            flat=0.92,
        ),
        face,
    )
    return skull, forward, up, tip


def eyes(model, skull, forward, up, head, size, ahead=0.72, colour=EYE):
    for sign in (1, -1):
        place = (
            skull
            + forward * ahead * head
            + up * 0.22 * head
            + np.array([0, sign * 0.62 * head, 0])
        )
        model.add(ball(place, size), colour, 0.9)


def pricked_ear(model, skull, up, head, colour, height, width, tilt=0.25, back=0.1):
    for sign in (1, -1):
        base = (
            skull + up * 0.68 * head + np.array([-back * head, sign * 0.52 * head, 0])
        )
        point = base + up * height * head + np.array([0, sign * tilt * head, 0])
        model.add(rod(base, point, width * head, 0.01 * head, sides=12), colour)


def hanging_ear(model, skull, up, head, colour, length):
    for sign in (1, -1):
        base = skull + up * 0.6 * head + np.array([-0.15 * head, sign * 0.72 * head, 0])
        model.add(
            tube(
                [
                    base,
                    base
                    + np.array([0.05 * head, sign * 0.32 * head, -0.4 * length * head]),
                    base + np.array([0.12 * head, sign * 0.25 * head, -length * head]),
                ],
                [0.16 * head, 0.26 * head, 0.2 * head],
                sides=12,
                flat=0.4,
            ),
            colour,
        )


def tail(model, start, points, radii, colour):
    model.add(
        tube([start, *(start + np.array(point) for point in points)], radii, sides=12),
        colour,
    )


def sitting_body(model, build, coat, foot_colour):
    """A cat or dog that sits: body upright, haunches on the ground; returns neck and
    tail starts.
    """
    seat, top = (
        np.array([-0.3 * build.length, 0, build.rump * 1.05]),
        np.array([0.2 * build.length, 0, build.height * 0.92]),
    )
    middle = (seat + top) / 2 + [-0.12 * build.length, 0, 0.06 * build.height]
    model.add(
        tube(
            [seat, middle, top],
            [build.rump * 1.25, build.belly * 1.2, build.chest * 0.92],
            sides=24,
            flat=0.88,
        ),
        coat,
    )
    for sign in (1, -1):
        y = sign * build.rump * 0.85
        model.add(
            ball(
                seat + [0.1 * build.length, y, -0.05 * build.rump],
                (0.28 * build.length, build.rump * 0.5, build.rump * 0.95),
            ),
            coat,
        )
        model.add(
            tube(
                [
                    seat + [0.2 * build.length, y * 1.1, -0.8 * build.rump],
                    (0.18 * build.length, y * 1.1, build.shank),
                ],
                build.shank * 1.3,
            ),
            foot_colour,
        )
        y = sign * build.chest * 0.42
        foot = (0.34 * build.length, y, build.shank)
        model.add(
            tube(
                [
                    top + [0, y, -0.1 * build.height],
                    (0.3 * build.length, y, 0.4 * build.height),
                    foot,
                ],
                [build.leg * 1.1, build.shank * 1.35, build.shank],
            ),
            foot_colour,
        )
        model.add(
            ball(
                (0.38 * build.length, y, build.shank * 0.8),
                (build.shank * 2, build.shank * 1.3, build.shank * 0.9),
            ),
            foot_colour,
        )
    return top + [0.02, 0, 0.05 * build.height], seat + [
        -build.rump,
        0,
        -0.4 * build.rump,
    ]


def lying_body(model, build, coat, foot_colour):
    """An animal that lies with its legs folded: body on the ground."""
    low = 0.9 * build.belly
    points = [
        (-build.length / 2, 0, low),
        (-build.length / 4, 0, low * 1.05),
        (build.length / 4, 0, low * 1.1),
        (build.length / 2, 0, low * 1.25),
    ]
    model.add(
        tube(
            points,
            [build.rump * 0.85, build.rump * 1.05, build.chest, build.chest * 0.8],
            sides=26,
            flat=0.95,
        ),
        coat,
    )
    for sign in (1, -1):
        y = sign * build.belly * 0.8
        model.add(
            ball(
                (-0.32 * build.length, y, low * 0.6),
                (0.24 * build.length, build.leg * 1.3, low * 0.7),
            ),
            coat,
        )
        for x in (-0.2, 0.42):
            knee = (x + 0.22) * build.length
            model.add(
                tube(
                    [
                        (x * build.length, y, low * 0.5),
                        (knee, y * 1.15, build.shank * 1.4),
                        (knee - 0.02, y * 1.15, build.shank * 1.2),
                    ],
                    build.shank * 1.35,
                ),
                foot_colour,
            )
            model.add(
                ball(
                    (knee, y * 1.15, build.shank),
                    (build.shank * 2.2, build.shank * 1.3, build.shank),
                ),
                foot_colour,
            )
    return np.array([0.46 * build.length, 0, low * 1.5]), np.array(
        [-0.5 * build.length - build.rump * 0.6, 0, low]
    )


def posed_body(model, rng, build, coat, foot_colour, pose):
    bodies = {"sitting": sitting_body, "lying": lying_body}
    if pose in bodies:
        return bodies[pose](model, build, coat, foot_colour)
    return standing_body(model, rng, build, coat, foot_colour, hoof=False)


# --------------------------------------------------------------------------------------
# ----------
# The species


def cat(rng, kind=None):
    """Round head, wide-set pointed ears, whiskers, long thin tail; tabby, ginger, black
    and white, siamese, grey.
    """
    kind = kind or rng.choice(KINDS["cat"])
    base = varied(
        rng,
        {
            "tabby": (0.6, 0.5, 0.38),
            "ginger": (0.88, 0.52, 0.2),
            "black and white": (0.24, 0.23, 0.24),
            "siamese": (0.88, 0.8, 0.68),
            "grey": (0.55, 0.56, 0.6),
        }[kind],
    )
    dark = {
        "tabby": (0.27, 0.22, 0.18),
        "ginger": (0.68, 0.33, 0.1),
        "grey": (0.38, 0.39, 0.43),
    }.get(kind)
    coat = (
        stripes(rng, base, dark, 0.075)
        if dark
        else patches(rng, base, WHITE, 0.25, 0.35)
        if kind == "black and white"
        else base
    )
    points = (
        (0.3, 0.22, 0.2)
        if kind == "siamese"
        else WHITE
        if kind != "grey" and rng.random() < 0.6
        else base
    )
    build, pose = (
        scaled(rng, BUILDS["cat"]),
        rng.choice(("standing", "sitting", "lying"), p=(0.4, 0.42, 0.18)),
    )
    model = Model("cat")
    neck, tail_start = posed_body(model, rng, build, coat, points, pose)
    skull, forward, up, tip = neck_and_head(
        model,
        neck,
        build,
        coat,
        base,
        62 if pose == "sitting" else build.neck_angle,
        look=8,
    )
    model.add(
        ball(
            tip - 0.15 * build.head * forward,
            (0.4 * build.head, 0.52 * build.head, 0.34 * build.head),
        ),
        points if kind != "grey" else WHITE,
    )
    model.add(
        ball(
            tip + forward * 0.22 * build.head + up * 0.12 * build.head,
            0.12 * build.head,
        ),
        (0.85, 0.5, 0.5),
    )
    eyes(
        model,
        skull,
        forward,
        up,
        build.head,
        0.2 * build.head,
        0.74,
        varied(
            rng, rng.choice([(0.75, 0.75, 0.2), (0.35, 0.7, 0.4), (0.4, 0.65, 0.9)])
        ),
    )
    eyes(
        model,
        skull + forward * 0.11 * build.head,
        forward,
        up,
        build.head,
        0.12 * build.head,
        0.76,
    )
    pricked_ear(
        model, skull, up, build.head, points if kind == "siamese" else base, 0.85, 0.42
    )
    for sign in (1, -1):
        for rise in (-0.1, 0.1):
            model.add(
                rod(
                    tip,
                    tip
                    + np.array(
                        [0.2 * build.head, sign * 1.3 * build.head, rise * build.head]
                    ),
                    0.018 * build.head,
                    sides=5,
                ),
                WHITE,
            )
    length = build.length
    bends = {
        "standing": [
            (-0.2 * length, 0, 0.08),
            (-0.34 * length, 0, 0.32 * length),
            (-0.3 * length, 0, 0.7 * length),
        ],
        "sitting": [
            (-0.15 * length, 0.1 * length, -0.02),
            (0.0, 0.42 * length, -0.03),
            (0.35 * length, 0.48 * length, -0.02),
        ],
        "lying": [
            (-0.2 * length, 0.12, -0.05),
            (-0.1 * length, 0.3 * length, -0.06),
            (0.25 * length, 0.45 * length, -0.06),
        ],
    }[pose]
    tail(
        model,
        tail_start,
        bends,
        [0.022, 0.021, 0.019, 0.016],
        points if kind == "siamese" else coat,
    )
    model.extras |= {"kind": kind, "pose": pose}
    return model


def dog(rng, kind=None):
    """Long snout with a black nose; shepherd with pricked ears, hound, terrier, spotted
    dalmatian, shaggy spaniel.
    """
    kind = kind or rng.choice(KINDS["dog"])
    tan, brown = varied(rng, (0.78, 0.57, 0.34)), varied(rng, (0.45, 0.28, 0.17))
    coats = {
        "shepherd": patches(rng, tan, (0.24, 0.2, 0.18), 0.5, 0.42),
        "hound": varied(rng, (0.82, 0.66, 0.4)),
        "terrier": patches(rng, WHITE, tan, 0.3, 0.35),
        "dalmatian": patches(rng, WHITE, DARK, 0.11, 0.2),
        "spaniel": patches(rng, brown, WHITE, 0.35, 0.3),
    }
    coat, face = (
        coats[kind],
        {
            "shepherd": tan,
            "hound": coats["hound"],
            "terrier": WHITE,
            "dalmatian": WHITE,
            "spaniel": brown,
        }[kind],
    )
    ears = {
        "shepherd": (0.26, 0.2, 0.17),
        "hound": varied(rng, (0.62, 0.44, 0.22)),
        "terrier": tan,
        "dalmatian": DARK,
        "spaniel": (0.36, 0.22, 0.14),
    }[kind]
    build = scaled(rng, BUILDS["dog"])
    if kind in ("terrier", "spaniel"):
        build = replace(
            build,
            height=build.height * 0.72,
            length=build.length * 0.85,
            neck=build.neck * 0.75,
        )
    pose = rng.choice(("standing", "sitting", "lying"), p=(0.6, 0.28, 0.12))
    model = Model("dog")
    feet = tan if kind == "shepherd" else face
    neck, tail_start = posed_body(model, rng, build, coat, feet, pose)
    skull, forward, up, tip = neck_and_head(
        model,
        neck,
        build,
        coat,
        face,
        70 if pose == "sitting" else build.neck_angle,
        look=10,
    )
    model.add(
        ball(
            tip
            + forward * 0.75 * build.muzzle_radius
            + up * 0.45 * build.muzzle_radius,
            0.42 * build.muzzle_radius,
        ),
        EYE,
        0.8,
    )
    model.add(
        ball(
            tip - up * 0.75 * build.muzzle_radius - forward * 0.4 * build.muzzle_radius,
            (
                0.9 * build.muzzle_radius,
                0.7 * build.muzzle_radius,
                0.3 * build.muzzle_radius,
            ),
        ),
        (0.3, 0.15, 0.14),
    )
    if rng.random() < 0.5:
        model.add(
            ball(
                tip - up * 1.15 * build.muzzle_radius,
                (
                    0.5 * build.muzzle_radius,
                    0.4 * build.muzzle_radius,
                    0.55 * build.muzzle_radius,
                ),
            ),
            (0.88, 0.42, 0.45),
        )
    eyes(model, skull, forward, up, build.head, 0.13 * build.head)
    if kind == "shepherd":
        pricked_ear(model, skull, up, build.head, ears, 0.95, 0.33, 0.1)
    else:
        hanging_ear(
            model,
            skull,
            up,
            build.head,
            ears,
            1.3 if kind in ("hound", "spaniel") else 0.8,
        )
    length = build.length
    lift = rng.uniform(0.1, 0.5) * length
    bends = (
        [(-0.25 * length, 0, -0.02), (-0.5 * length, rng.uniform(-0.1, 0.1), lift)]
        if pose == "standing"
        else [(-0.2 * length, 0.05, -0.03), (-0.45 * length, 0.12, 0.0)]
    )
    tail(
        model,
        tail_start,
        bends,
        [0.035, 0.045 if kind in ("shepherd", "spaniel") else 0.026, 0.014],
        coat,
    )
    collar = skull - up * 1.15 * build.head - forward * 0.55 * build.head
    model.add(
        ball(
            collar,
            (build.neck_radius * 0.98, build.neck_radius * 0.9, 0.022),
            pitch=-30,
        ),
        varied(rng, rng.choice([(0.8, 0.15, 0.15), (0.15, 0.3, 0.8), (0.2, 0.6, 0.3)])),
    )
    model.extras |= {"kind": kind, "pose": pose}
    return model


def cow(rng, kind=None):
    """Heavy square body, broad pink muzzle, horns, udder, tasselled tail; standing,
    grazing or lying.
    """
    kind = kind or rng.choice(KINDS["cow"])
    brown = varied(rng, (0.55, 0.32, 0.17))
    coats = {
        "holstein": patches(rng, WHITE, (0.23, 0.22, 0.23), 0.9, 0.5),
        "red and white": patches(rng, WHITE, brown, 0.9, 0.55),
        "brown": brown,
        "highland": varied(rng, (0.72, 0.4, 0.16)),
    }
    coat, face = (
        coats[kind],
        {
            "holstein": (0.24, 0.23, 0.24),
            "red and white": brown,
            "brown": brown,
            "highland": (0.7, 0.4, 0.17),
        }[kind],
    )
    build, pose = (
        scaled(rng, BUILDS["cow"]),
        rng.choice(("standing", "grazing", "lying"), p=(0.6, 0.25, 0.15)),
    )
    model = Model("cow")
    if pose == "lying":
        neck, tail_start = lying_body(
            model, build, coat, face if kind == "brown" else WHITE
        )
    else:
        neck, tail_start = standing_body(
            model,
            rng,
            build,
            coat,
            WHITE if kind in ("holstein", "red and white") else face,
            hoof=True,
        )
        model.add(
            ball(
                (-0.22 * build.length, 0, build.height - 2.12 * build.belly),
                (0.24, 0.19, 0.17),
            ),
            (0.92, 0.68, 0.64),
        )
        for x in (-0.06, 0.08):
            for y in (-0.08, 0.08):
                model.add(
                    rod(
                        (-0.22 * build.length + x, y, build.height - 2.3 * build.belly),
                        (
                            -0.22 * build.length + x,
                            y,
                            build.height - 2.62 * build.belly,
                        ),
                        0.028,
                    ),
                    (0.88, 0.6, 0.57),
                )
    angle, look = (-38, 62) if pose == "grazing" else (build.neck_angle + 12, 32)
    skull, forward, up, tip = neck_and_head(model, neck, build, coat, face, angle, look)
    if kind in ("holstein", "red and white"):
        model.add(
            ball(
                skull + forward * 0.9 * build.head + up * 0.42 * build.head,
                (0.6 * build.head, 0.3 * build.head, 0.5 * build.head),
                pitch=look,
            ),
            WHITE,
        )
    model.add(
        ball(
            tip,
            (
                build.muzzle_radius * 1.0,
                build.muzzle_radius * 1.28,
                build.muzzle_radius * 0.98,
            ),
            0.75,
        ),
        (0.88, 0.66, 0.6) if kind != "brown" else (0.3, 0.24, 0.22),
    )
    for sign in (1, -1):
        model.add(
            ball(
                tip
                + forward * 0.85 * build.muzzle_radius
                + np.array([0, sign * 0.55 * build.muzzle_radius, 0]),
                0.2 * build.muzzle_radius,
            ),
            (0.35, 0.2, 0.2),
        )
        base = (
            skull + up * 0.75 * build.head + np.array([0, sign * 0.55 * build.head, 0])
        )
        spread = 2.2 if kind == "highland" else 1.0
        model.add(
            tube(
                [
                    base,
                    base
                    + np.array(
                        [0, sign * 0.75 * spread * build.head, 0.2 * build.head]
                    ),
                    base
                    + np.array(
                        [0.1, sign * 0.95 * spread * build.head, 0.9 * build.head]
                    ),
                ],
                [0.055, 0.042, 0.012],
                sides=10,
            ),
            (0.92, 0.88, 0.76),
            0.4,
        )
        ear = (
            skull
            + up * 0.45 * build.head
            + np.array([-0.05, sign * 0.8 * build.head, 0])
        )
        model.add(
            ball(
                ear + np.array([0, sign * 0.45 * build.head, -0.1 * build.head]),
                (0.06, 0.14, 0.075),
                roll=-sign * 15,
            ),
            face,
        )
    eyes(model, skull, forward, up, build.head, 0.16 * build.head, 0.5)
    tail(
        model,
        tail_start,
        [(-0.1, 0, -0.25), (-0.08, 0, -0.75 if pose != "lying" else -0.3)],
        [0.045, 0.03, 0.03],
        coat,
    )
    model.add(
        ball(
            tail_start + np.array([-0.08, 0, -0.82 if pose != "lying" else -0.3]),
            (0.06, 0.06, 0.14),
        ),
        (0.3, 0.24, 0.2),
    )
    model.extras |= {"kind": kind, "pose": pose}
    return model


def horse(rng, kind=None, pose=None):
    """Long arched neck, mane, long head, slim legs, tail of hair; bay, grey, chestnut,
    pinto, palomino.
    """
    kind = kind or rng.choice(KINDS["horse"])
    base = varied(
        rng,
        {
            "bay": (0.42, 0.24, 0.14),
            "grey": (0.8, 0.8, 0.8),
            "chestnut": (0.62, 0.34, 0.17),
            "pinto": (0.92, 0.9, 0.86),
            "palomino": (0.85, 0.66, 0.36),
        }[kind],
    )
    hair = {
        "bay": (0.22, 0.19, 0.19),
        "grey": (0.62, 0.62, 0.64),
        "chestnut": (0.5, 0.25, 0.12),
        "pinto": (0.28, 0.2, 0.16),
        "palomino": (0.95, 0.9, 0.76),
    }[kind]
    coat = (
        patches(rng, base, (0.46, 0.27, 0.16), 0.9, 0.45) if kind == "pinto" else base
    )
    build, pose = (
        scaled(rng, BUILDS["horse"]),
        pose or rng.choice(("standing", "grazing"), p=(0.75, 0.25)),
    )
    feet = (0.24, 0.21, 0.2) if kind == "bay" else base
    model = Model("horse")
    neck, tail_start = standing_body(model, rng, build, coat, feet, hoof=True)
    angle, look = (-28, 58) if pose == "grazing" else (build.neck_angle, 42)
    face = (0.5, 0.3, 0.18) if kind == "pinto" else base
    skull, forward, up, tip = neck_and_head(model, neck, build, coat, face, angle, look)
    model.add(
        ball(
            tip,
            (
                build.muzzle_radius * 1.05,
                build.muzzle_radius * 0.95,
                build.muzzle_radius,
            ),
        ),
        varied(rng, (0.35, 0.28, 0.26)),
    )
    if rng.random() < 0.6:
        model.add(
            tube(
                [
                    skull + forward * 0.6 * build.head + up * 0.75 * build.head,
                    tip + up * 0.85 * build.muzzle_radius,
                ],
                [0.035, 0.03],
                sides=8,
            ),
            WHITE,
        )
    eyes(model, skull, forward, up, build.head, 0.17 * build.head, 0.35)
    pricked_ear(
        model, skull - forward * 0.5 * build.head, up, build.head, face, 1.0, 0.27, 0.05
    )
    along = np.linspace(-0.05, 1.05, 9)
    crest = skull - forward * 0.55 * build.head + up * 0.4 * build.head
    for t in along:  # the mane: locks that fall to one side of the crest
        root = (
            neck * (1 - t)
            + crest * t
            + np.array([-0.14, 0, 0.13]) * (1 - 0.5 * t) * (angle > 0)
            + np.array([0.02, 0, 0.2]) * (angle <= 0) * (1 - t)
        )
        model.add(
            tube(
                [root, root + [-0.07, 0.1, -0.06], root + [-0.1, 0.15, -0.3]],
                [0.075, 0.07, 0.03],
                sides=8,
                count=8,
            ),
            hair,
        )
    model.add(
        tube(
            [
                crest,
                skull + up * 0.9 * build.head + forward * 0.3 * build.head,
                skull + up * 0.5 * build.head + forward * 0.95 * build.head,
            ],
            [0.07, 0.06, 0.025],
            sides=8,
        ),
        hair,
    )
    tail(
        model,
        tail_start,
        [(-0.16, 0, 0.04), (-0.3, 0, -0.3), (-0.26, 0, -0.85)],
        [0.06, 0.1, 0.12, 0.04],
        hair,
    )
    model.extras |= {
        "kind": kind,
        "pose": pose,
        "seat": np.array([[0.02 * build.length, 0, build.height + 0.04]]),
    }
    return model


def sheep(rng, kind=None):
    """A woolly cloud on thin legs: white, black-faced, lamb, ram with curled horns."""
    kind = kind or rng.choice(KINDS["sheep"])
    build, pose = (
        scaled(rng, BUILDS["sheep"]),
        rng.choice(("standing", "grazing", "lying"), p=(0.55, 0.3, 0.15)),
    )
    wool = varied(rng, (0.9, 0.87, 0.8), 0.03)
    face = varied(
        rng, (0.25, 0.23, 0.22) if kind == "black face" else (0.82, 0.74, 0.65), 0.03
    )
    model = Model("sheep")
    body = (
        lying_body
        if pose == "lying"
        else lambda m, b, c, f: standing_body(m, rng, b, c, f, hoof=True)
    )
    neck, tail_start = body(model, build, wool, face)
    base = 0.9 * build.belly if pose == "lying" else build.height - build.chest
    for _ in range(150):  # wool: small balls all over the trunk
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        place = direction * [
            build.length * 0.62,
            build.chest * 1.02,
            build.chest * 1.08,
        ] + [0, 0, base + 0.02]
        if place[2] > base - 0.8 * build.chest:
            model.add(
                ball(place, rng.uniform(0.055, 0.085), count=7),
                tuple(np.clip(np.array(wool) * rng.uniform(0.93, 1.06), 0, 1)),
                0.02,
            )
    angle, look = (-40, 55) if pose == "grazing" else (build.neck_angle, 28)
    skull, forward, up, tip = neck_and_head(model, neck, build, wool, face, angle, look)
    for _ in range(16):
        model.add(
            ball(
                skull
                + up * 0.5 * build.head
                - forward * 0.5 * build.head
                + rng.normal(0, 0.35 * build.head, 3),
                0.05,
                count=7,
            ),
            wool,
            0.02,
        )
    hanging_ear(
        model,
        skull - up * 0.1 * build.head,
        np.array([0, 0, 0.55]),
        build.head,
        face,
        0.9,
    )
    eyes(model, skull, forward, up, build.head, 0.13 * build.head, 0.55)
    model.add(
        ball(
            tip + forward * 0.5 * build.muzzle_radius,
            (
                0.35 * build.muzzle_radius,
                0.6 * build.muzzle_radius,
                0.3 * build.muzzle_radius,
            ),
        ),
        (0.3, 0.22, 0.22),
    )
    if kind == "ram":
        for sign in (1, -1):
            turn = np.linspace(0.3, 5.4, 14)
            curl = [
                skull
                + np.array(
                    [
                        -0.11 * np.cos(t) - 0.03,
                        sign * (0.07 + 0.016 * t),
                        0.1 * np.sin(t) + 0.02,
                    ]
                )
                for t in turn
            ]
            model.add(
                tube(curl, np.linspace(0.042, 0.012, 14), sides=10, count=40),
                (0.74, 0.64, 0.46),
                0.3,
            )
    tail(
        model,
        tail_start,
        [(-0.04, 0, -0.06), (-0.03, 0, -0.14)],
        [0.04, 0.045, 0.03],
        wool,
    )
    model.extras |= {"kind": kind, "pose": pose}
    return model.moved(scale=0.68) if kind == "lamb" else model


# --------------------------------------------------------------------------------------
# ----------
# Birds


def wing(model, shoulder, sign, span, chord, colour, tips, raise_angle):
    """A spread wing: a row of long feathers from the shoulder outwards."""
    lift = np.radians(raise_angle)
    for t in np.linspace(0, 1, 13):
        root = shoulder + np.array(
            [
                -0.12 * chord * t,
                sign * span * 0.72 * t * np.cos(lift),
                span * 0.72 * t * np.sin(lift) * (1.2 - 0.5 * t),
            ]
        )
        end = root + np.array(
            [
                -chord * (1 - 0.35 * t),
                sign * span * 0.33 * t * np.cos(lift),
                span * 0.15 * t * np.sin(lift),
            ]
        )
        model.add(
            tube(
                [root, (root + end) / 2 + [0, 0, 0.03 * chord], end],
                [0.09 * chord, 0.12 * chord, 0.05 * chord],
                sides=8,
                count=8,
                flat=1.6,
            ),
            tips if t > 0.72 else colour,
        )
    end = shoulder + np.array(
        [
            -0.1 * chord,
            sign * span * 0.75 * np.cos(lift),
            span * 0.75 * np.sin(lift) * 0.8,
        ]
    )
    model.add(
        tube(
            [
                shoulder + [0.06 * chord, 0, 0],
                (shoulder + end) / 2 + [0.05 * chord, 0, 0.1 * span * np.sin(lift)],
                end,
            ],
            [0.16 * chord, 0.12 * chord, 0.05 * chord],
            sides=10,
        ),
        colour,
    )


def bird(rng, kind=None):
    """Songbird, flying gull or pigeon, duck or swan, parrot, heron or flamingo,
    cockerel: beak, wings, tail, two thin legs.
    """
    kind = kind or rng.choice(KINDS["bird"])
    model = Model("bird")
    {
        "songbird": _perched,
        "parrot": _perched,
        "flying": _flying,
        "duck": _duck,
        "heron": _heron,
        "cockerel": _cockerel,
    }[kind](model, rng, kind)
    pose = {"flying": "flying", "duck": "swimming"}.get(kind, "standing")
    model.extras |= {"kind": kind, "pose": pose}
    return model.moved(scale=rng.uniform(0.85, 1.2))


def _bird_head(model, place, radius, colour, beak, beak_length, beak_radius, droop=0.0):
    model.add(ball(place, (radius * 1.08, radius * 0.95, radius)), colour)
    start, end = (
        place + [0.7 * radius, 0, 0],
        place + [0.7 * radius + beak_length, 0, -droop],
    )
    model.add(
        tube(
            [start, (start + end) / 2 + [0, 0, 0.3 * droop], end],
            [beak_radius, 0.75 * beak_radius, 0.12 * beak_radius],
            sides=10,
            count=10,
        ),
        beak,
        0.4,
    )
    for sign in (1, -1):
        model.add(
            ball(
                place + [0.5 * radius, sign * 0.78 * radius, 0.2 * radius], 0.2 * radius
            ),
            EYE,
            0.9,
        )


def _bird_legs(model, hip, spread, radius, colour, foot):
    for sign in (1, -1):
        top, ground = (
            np.array([hip[0], sign * spread, hip[2]]),
            np.array([hip[0], sign * spread, radius]),
        )
        model.add(rod(top, ground, radius), colour)
        for turn in (-0.5, 0, 0.5):
            model.add(
                rod(
                    ground,
                    ground + np.array([foot * np.cos(turn), foot * np.sin(turn), 0]),
                    radius * 0.8,
                ),
                colour,
            )
        model.add(
            rod(ground, ground - np.array([0.6 * foot, 0, 0]), radius * 0.8), colour
        )


def _perched(model, rng, kind):
    """A small bird on its feet, body sloping, wings folded; parrots are bright,
    upright, with a hooked beak.
    """
    parrot = kind == "parrot"
    palette = (
        [(0.15, 0.65, 0.25), (0.85, 0.15, 0.15), (0.15, 0.35, 0.8)]
        if parrot
        else [
            (0.85, 0.25, 0.18),
            (0.25, 0.45, 0.8),
            (0.9, 0.75, 0.2),
            (0.45, 0.33, 0.24),
            (0.3, 0.3, 0.33),
        ]
    )
    back = varied(rng, palette[rng.integers(len(palette))])
    breast = varied(
        rng, rng.choice([(0.93, 0.8, 0.3), (0.9, 0.45, 0.25), (0.9, 0.88, 0.82)])
    )
    slope = rng.uniform(50, 62) if parrot else rng.uniform(22, 42)
    a = np.radians(slope)
    ahead, up = (
        np.array([np.cos(a), 0, np.sin(a)]),
        np.array([-np.sin(a), 0, np.cos(a)]),
    )
    centre = np.array([0, 0, 0.16])
    model.add(ball(centre, (0.125, 0.072, 0.076), pitch=-slope), back)
    model.add(
        ball(centre - up * 0.022 + ahead * 0.03, (0.09, 0.058, 0.06), pitch=-slope),
        breast,
    )
    head = centre + ahead * 0.13 + np.array([0.015, 0, 0.012])
    _bird_head(
        model,
        head,
        0.054,
        back,
        (0.3, 0.28, 0.26) if parrot else (0.95, 0.65, 0.15),
        0.03 if parrot else 0.045,
        0.03 if parrot else 0.017,
        0.035 if parrot else 0.0,
    )
    for sign in (1, -1):
        model.add(
            ball(
                centre + np.array([0, sign * 0.055, 0.01]) - ahead * 0.04,
                (0.12, 0.024, 0.05),
                pitch=-slope,
            ),
            tuple(0.72 * np.array(back)),
        )
    end = centre - ahead * (0.33 if parrot else 0.25)
    model.add(
        tube(
            [centre - ahead * 0.08, (centre + end) / 2 - ahead * 0.03, end],
            [0.04, 0.03, 0.022],
            sides=10,
            flat=1.7,
        ),
        tuple(0.65 * np.array(back)),
    )
    _bird_legs(model, (0, 0, 0.11), 0.028, 0.008, (0.85, 0.55, 0.2), 0.04)


def _flying(model, rng, kind):
    """Gull, pigeon or swallow-like, wings spread and raised, tail fanned."""
    colour, tips = [
        ((0.94, 0.94, 0.93), (0.3, 0.3, 0.32)),
        ((0.55, 0.58, 0.64), (0.3, 0.32, 0.38)),
        ((0.25, 0.35, 0.62), (0.22, 0.25, 0.4)),
        ((0.5, 0.38, 0.26), (0.35, 0.26, 0.2)),
    ][rng.integers(4)]
    model.add(
        tube([(-0.2, 0, 0), (0, 0, 0), (0.14, 0, 0.02)], [0.03, 0.075, 0.05], sides=16),
        colour,
    )
    _bird_head(
        model, np.array([0.2, 0, 0.035]), 0.05, colour, (0.95, 0.7, 0.2), 0.06, 0.015
    )
    lift = rng.uniform(15, 55)
    for sign in (1, -1):
        wing(
            model,
            np.array([0.07, sign * 0.045, 0.03]),
            sign,
            0.46,
            0.19,
            colour,
            tips,
            lift,
        )
    for turn in (-0.35, -0.12, 0.12, 0.35):
        model.add(
            tube(
                [(-0.17, 0, 0), (-0.38, 0.16 * np.sin(turn) * 2, 0)],
                [0.02, 0.028],
                sides=8,
                flat=1.5,
            ),
            colour,
        )


def _duck(model, rng, kind):
    """Duck, goose or swan on the water: flat bottom at z = 0, curved neck, upturned
    tail.
    """
    swan = rng.random() < 0.4
    mallard = not swan and rng.random() < 0.6
    body = WHITE if swan else varied(rng, (0.62, 0.55, 0.48))
    size = 1.6 if swan else 1.0
    model.add(ball((0, 0, 0.07 * size), (0.25 * size, 0.13 * size, 0.12 * size)), body)
    model.add(
        tube(
            [(-0.18 * size, 0, 0.1 * size), (-0.3 * size, 0, 0.17 * size)],
            [0.07 * size, 0.02 * size],
        ),
        body,
    )
    for sign in (1, -1):
        model.add(
            ball(
                (-0.04 * size, sign * 0.105 * size, 0.11 * size),
                (0.19 * size, 0.035 * size, 0.075 * size),
            ),
            WHITE if swan else (0.45, 0.38, 0.33),
        )
    height = 0.62 if swan else 0.29
    head = np.array([0.24 * size, 0, height])
    model.add(
        tube(
            [
                (0.15 * size, 0, 0.1 * size),
                (0.24 * size, 0, 0.17 * size),
                (0.17 * size, 0, 0.65 * height + 0.03),
                head,
            ],
            [0.075 * size, 0.055 * size, 0.034 * size, 0.036 * size],
        ),
        WHITE if swan else (0.16, 0.45, 0.28) if mallard else body,
    )
    _bird_head(
        model,
        head,
        0.056 if swan else 0.058,
        WHITE if swan else (0.16, 0.45, 0.28) if mallard else body,
        (0.95, 0.5, 0.15),
        0.075,
        0.024,
        0.015,
    )


def _heron(model, rng, kind):
    """Heron, stork or flamingo: long thin legs, long curved neck, long beak."""
    body = varied(
        rng,
        [(0.93, 0.58, 0.6), (0.62, 0.66, 0.72), (0.94, 0.93, 0.9)][rng.integers(3)],
        0.03,
    )
    model.add(ball((0, 0, 0.72), (0.22, 0.11, 0.115), pitch=-14), body)
    model.add(
        ball((-0.08, 0, 0.73), (0.22, 0.125, 0.08), pitch=-8),
        tuple(0.78 * np.array(body)),
    )
    head = np.array([0.33, 0, 1.2])
    model.add(
        tube(
            [(0.15, 0, 0.76), (0.32, 0, 0.84), (0.2, 0, 1.04), head],
            [0.07, 0.042, 0.034, 0.034],
        ),
        body,
    )
    _bird_head(model, head, 0.05, body, (0.95, 0.6, 0.25), 0.2, 0.02, 0.05)
    _bird_legs(model, (0, 0, 0.66), 0.045, 0.013, (0.85, 0.5, 0.4), 0.09)


def _cockerel(model, rng, kind):
    """Cockerel or hen: round body, red comb and wattle, arched tail feathers."""
    body = varied(
        rng, [(0.72, 0.36, 0.15), (0.92, 0.9, 0.86), (0.3, 0.26, 0.26)][rng.integers(3)]
    )
    model.add(ball((0, 0, 0.3), (0.19, 0.125, 0.14), pitch=-12), body)
    head = np.array([0.21, 0, 0.52])
    model.add(
        tube([(0.1, 0, 0.34), (0.17, 0, 0.42), head], [0.1, 0.07, 0.045]),
        varied(rng, (0.86, 0.55, 0.2)),
    )
    _bird_head(model, head, 0.052, body, (0.95, 0.75, 0.25), 0.05, 0.02, 0.01)
    for x, z in ((-0.03, 0.05), (0.01, 0.065), (0.045, 0.055)):
        model.add(ball(head + [x, 0, z], (0.022, 0.012, 0.032)), (0.86, 0.1, 0.12))
    model.add(ball(head + [0.05, 0, -0.06], (0.018, 0.014, 0.04)), (0.86, 0.1, 0.12))
    for turn in np.linspace(0.1, 1.0, 7):
        model.add(
            tube(
                [
                    (-0.13, 0, 0.36),
                    (-0.2 - 0.1 * turn, 0.04 * (turn - 0.5), 0.46 + 0.14 * turn),
                    (-0.36, 0.05 * (turn - 0.5), 0.24 + 0.33 * turn),
                ],
                [0.03, 0.026, 0.012],
                sides=8,
                flat=0.7,
            ),
            (0.2, 0.32, 0.28) if turn > 0.4 else body,
        )
    for sign in (1, -1):
        model.add(
            ball((-0.03, sign * 0.11, 0.31), (0.14, 0.03, 0.08)),
            tuple(0.75 * np.array(body)),
        )
    _bird_legs(model, (0, 0, 0.22), 0.05, 0.014, (0.92, 0.7, 0.25), 0.075)


BUILDERS = {
    "bird": bird,
    "cat": cat,
    "cow": cow,
    "dog": dog,
    "horse": horse,
    "sheep": sheep,
}
