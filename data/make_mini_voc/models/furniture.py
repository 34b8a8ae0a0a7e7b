"""Bottle, chair, dining table, potted plant, sofa and TV monitor."""

import numpy as np
from shapes import Model, ball, box, lathe, ring, rod, sheet, tube

from models.people import CLOTHES

KINDS = {
    "bottle": ("wine", "beer", "water", "soda", "ketchup", "milk"),
    "chair": ("wooden", "office", "garden", "shell", "bentwood", "upholstered"),
    "diningtable": ("rectangular", "round", "cloth", "trestle"),
    "pottedplant": ("palm", "leafy", "cactus", "flowers", "bonsai", "sansevieria"),
    "sofa": ("classic", "modern", "chesterfield", "corner"),
    "tvmonitor": ("flat", "crt", "computer", "on a board"),
}
WOODS = (
    (0.72, 0.52, 0.32),
    (0.5, 0.32, 0.2),
    (0.36, 0.24, 0.17),
    (0.85, 0.72, 0.52),
    (0.9, 0.88, 0.84),
)
STEEL, BLACK = (0.72, 0.73, 0.75), (0.22, 0.22, 0.23)
LEAVES = ((0.2, 0.48, 0.2), (0.32, 0.58, 0.24), (0.16, 0.4, 0.26), (0.42, 0.6, 0.3))


def pick(rng, colours):
    return tuple(
        np.clip(
            np.array(colours[rng.integers(len(colours))]) * rng.uniform(0.9, 1.08), 0, 1
        )
    )


# --------------------------------------------------------------------------------------
# ----------
# Bottles

PROFILES = {  # (radius, height) from the bottom up
    "wine": [
        (0, 0),
        (0.036, 0),
        (0.038, 0.01),
        (0.038, 0.19),
        (0.033, 0.215),
        (0.015, 0.245),
        (0.0145, 0.3),
        (0.016, 0.303),
        (0.016, 0.315),
        (0, 0.315),
    ],
    "beer": [
        (0, 0),
        (0.029, 0),
        (0.031, 0.008),
        (0.031, 0.13),
        (0.026, 0.155),
        (0.0145, 0.19),
        (0.0125, 0.225),
        (0, 0.225),
    ],
    "water": [
        (0, 0),
        (0.03, 0),
        (0.033, 0.01),
        (0.034, 0.06),
        (0.031, 0.075),
        (0.034, 0.09),
        (0.034, 0.17),
        (0.03, 0.2),
        (0.013, 0.232),
        (0.013, 0.24),
        (0, 0.24),
    ],
    "soda": [
        (0, 0),
        (0.03, 0),
        (0.033, 0.02),
        (0.029, 0.07),
        (0.035, 0.12),
        (0.034, 0.15),
        (0.022, 0.2),
        (0.0135, 0.235),
        (0, 0.235),
    ],
    "ketchup": [
        (0, 0),
        (0.034, 0),
        (0.036, 0.01),
        (0.031, 0.06),
        (0.036, 0.12),
        (0.03, 0.15),
        (0.018, 0.172),
        (0.018, 0.18),
        (0, 0.18),
    ],
    "milk": [
        (0, 0),
        (0.042, 0),
        (0.045, 0.012),
        (0.045, 0.15),
        (0.036, 0.18),
        (0.022, 0.21),
        (0.022, 0.235),
        (0.026, 0.24),
        (0.026, 0.25),
        (0, 0.25),
    ],
}
GLASSES = {
    "wine": ((0.15, 0.32, 0.2), (0.3, 0.13, 0.16), (0.62, 0.66, 0.42)),
    "beer": ((0.42, 0.24, 0.12), (0.18, 0.42, 0.24)),
    "water": ((0.62, 0.8, 0.9), (0.7, 0.86, 0.88)),
    "soda": ((0.3, 0.15, 0.12), (0.9, 0.5, 0.14), (0.45, 0.72, 0.25)),
    "ketchup": ((0.8, 0.12, 0.1), (0.92, 0.76, 0.16)),
    "milk": ((0.94, 0.93, 0.9),),
}
CAPS = (
    (0.8, 0.12, 0.12),
    (0.15, 0.32, 0.65),
    (0.92, 0.92, 0.9),
    (0.85, 0.7, 0.25),
    (0.2, 0.2, 0.2),
    (0.2, 0.55, 0.3),
)


def bottle(rng, kind=None):
    """Wine, beer, water, soda, ketchup or milk bottle with label and cap, about a foot
    high.
    """
    kind = kind or rng.choice(KINDS["bottle"])
    profile = np.array(PROFILES[kind]) * [
        rng.uniform(0.93, 1.08),
        rng.uniform(0.93, 1.08),
    ]
    glass, cap, label = pick(rng, GLASSES[kind]), pick(rng, CAPS), pick(rng, CLOTHES)
    top, body = profile[-1, 1], profile[:, 0].max()
    model = Model("bottle")
    model.add(lathe(profile, sides=32), glass, 1.0)
    low, high = (0.28, 0.52) if kind != "wine" else (0.22, 0.5)
    radius = (
        np.interp(np.linspace(low, high, 5) * top, profile[:, 1], profile[:, 0]) * 1.025
    )
    heights = np.linspace(low, high, 5) * top
    paper = (0.94, 0.92, 0.85) if rng.random() < 0.6 else label
    model.add(
        lathe(np.stack([radius, heights], 1), sides=32),
        lambda p: np.where(
            (np.abs(p[:, 2] - np.mean(heights)) < 0.022 * top)[:, None], label, paper
        ),
        0.1,
    )
    model.add(
        lathe(
            [(radius[2] * 1.01, 0.36 * top), (radius[2] * 1.012, 0.44 * top)], sides=32
        ),
        label,
        0.1,
    )
    neck = profile[-2, 0]
    model.add(
        lathe(
            [(neck * 1.15, 0.93 * top), (neck * 1.2, 1.02 * top), (0, 1.03 * top)],
            sides=20,
        ),
        cap,
        0.4,
    )
    if kind in ("wine", "beer"):
        model.add(
            lathe(
                [
                    (
                        np.interp(0.82 * top, profile[:, 1], profile[:, 0]) * 1.05,
                        0.82 * top,
                    ),
                    (neck * 1.1, 0.94 * top),
                ],
                sides=20,
            ),
            cap,
            0.5,
        )
    if kind == "ketchup":
        model.add(
            rod((0, 0, top), (0, 0, 1.15 * top), 0.8 * neck, 0.3 * neck), cap, 0.3
        )
    model.extras |= {"kind": kind, "radius": float(body)}
    return model


# --------------------------------------------------------------------------------------
# ----------
# Chairs and tables


def four_legs(model, length, width, height, radius, colour, splay=0.03, round_leg=True):
    for x in (-1, 1):
        for y in (-1, 1):
            top, foot = (
                (x * length / 2, y * width / 2, height),
                (x * (length / 2 + splay), y * (width / 2 + splay), 0),
            )
            if round_leg:
                model.add(rod(foot, top, 0.8 * radius, radius, sides=12), colour)
            else:
                model.add(
                    box(
                        (x * length / 2, y * width / 2, height / 2),
                        (2 * radius, 2 * radius, height),
                    ),
                    colour,
                )


def chair(rng, kind=None):
    """Wooden, office, garden, shell, bentwood or upholstered chair; it looks along +x,
    its back at -x.
    """
    kind = kind or rng.choice(KINDS["chair"])
    model = Model("chair")
    wood, cloth, seat = pick(rng, WOODS), pick(rng, CLOTHES), rng.uniform(0.43, 0.48)
    {
        "wooden": _wooden_chair,
        "office": _office_chair,
        "garden": _garden_chair,
        "shell": _shell_chair,
        "bentwood": _bentwood_chair,
        "upholstered": _upholstered_chair,
    }[kind](model, rng, wood, cloth, seat)
    model.extras |= {"kind": kind, "seat": np.array([[0.02, 0, seat + 0.06]])}
    return model


def _back_posts(model, seat, top, colour, lean=0.1, radius=0.018, y=0.19):
    for side in (1, -1):
        model.add(
            tube(
                [
                    (-0.2, side * y, 0),
                    (-0.19, side * y, seat),
                    (-0.2 - lean, side * y, top),
                ],
                radius,
                sides=10,
            ),
            colour,
        )


def _wooden_chair(model, rng, wood, cloth, seat):
    top = seat + rng.uniform(0.45, 0.58)
    model.add(
        ball((0, 0, seat), (0.225, 0.225, 0.025), 0.3),
        cloth if rng.random() < 0.4 else wood,
    )
    for side in (1, -1):
        model.add(
            rod(
                (0.19, side * 0.19, 0), (0.19, side * 0.19, seat), 0.017, 0.02, sides=10
            ),
            wood,
        )
        model.add(
            rod((0.19, side * 0.19, 0.2), (-0.2, side * 0.19, 0.2), 0.011, sides=8),
            wood,
        )
    _back_posts(model, seat, top, wood)
    if rng.random() < 0.5:  # rails
        for t in (0.35, 0.65, 0.95):
            model.add(
                box(
                    (-0.195 - 0.1 * t, 0, seat + (top - seat) * t),
                    (0.02, 0.38, 0.065),
                    pitch=-10,
                ),
                wood,
            )
    else:  # bars
        model.add(box((-0.295, 0, top - 0.02), (0.025, 0.42, 0.075), pitch=-10), wood)
        for y in np.linspace(-0.12, 0.12, 4):
            model.add(
                rod((-0.195, y, seat + 0.02), (-0.29, y, top - 0.03), 0.01, sides=8),
                wood,
            )


def _office_chair(model, rng, wood, cloth, seat):
    colour = BLACK if rng.random() < 0.5 else cloth
    for turn in np.arange(5) * 2 * np.pi / 5 + 0.3:
        end = np.array([0.3 * np.cos(turn), 0.3 * np.sin(turn), 0.07])
        model.add(rod((0, 0, 0.12), end, 0.03, 0.018, sides=8), BLACK, 0.4)
        model.add(
            ball(end - [0, 0, 0.035], (0.034, 0.034, 0.034), count=8),
            (0.3, 0.3, 0.31),
            0.4,
        )
    model.add(rod((0, 0, 0.1), (0, 0, seat), 0.028), STEEL, 0.8)
    model.add(ball((0.02, 0, seat + 0.02), (0.25, 0.25, 0.055), 0.5), colour)
    model.add(
        tube(
            [(-0.1, 0, seat - 0.03), (-0.27, 0, seat + 0.02), (-0.29, 0, seat + 0.25)],
            0.025,
            sides=8,
        ),
        BLACK,
    )
    model.add(ball((-0.28, 0, seat + 0.42), (0.05, 0.22, 0.3), 0.55, pitch=-8), colour)
    for side in (1, -1):
        model.add(
            tube(
                [
                    (0.0, side * 0.25, seat),
                    (0.0, side * 0.3, seat + 0.12),
                    (0.0, side * 0.29, seat + 0.22),
                ],
                0.018,
                sides=8,
            ),
            BLACK,
        )
        model.add(
            ball((0.02, side * 0.29, seat + 0.23), (0.14, 0.035, 0.02), 0.5), BLACK
        )


def _garden_chair(model, rng, wood, cloth, seat):
    colour = (0.93, 0.93, 0.92) if rng.random() < 0.6 else cloth
    model.add(ball((0, 0, seat), (0.24, 0.25, 0.02), 0.3), colour, 0.4)
    four_legs(model, 0.4, 0.42, seat, 0.022, colour, 0.05)
    top = seat + 0.48
    for y in np.linspace(-0.21, 0.21, 7):
        model.add(
            tube(
                [
                    (-0.21, y, seat),
                    (-0.26, y, (seat + top) / 2),
                    (-0.33, 0.92 * y, top - 0.6 * y * y),
                ],
                0.024,
                sides=8,
                flat=0.6,
            ),
            colour,
            0.4,
        )
    model.add(
        tube(
            [
                (-0.325, -0.2, top - 0.03),
                (-0.34, 0, top + 0.02),
                (-0.325, 0.2, top - 0.03),
            ],
            0.026,
            sides=8,
        ),
        colour,
        0.4,
    )
    for side in (1, -1):
        model.add(
            tube(
                [
                    (0.2, side * 0.25, seat),
                    (0.2, side * 0.27, seat + 0.2),
                    (-0.05, side * 0.27, seat + 0.22),
                    (-0.29, side * 0.22, seat + 0.24),
                ],
                0.022,
                sides=8,
            ),
            colour,
            0.4,
        )


def _shell_chair(model, rng, wood, cloth, seat):
    rows = []
    for t in np.linspace(0, 1, 16):
        x = 0.24 - 0.46 * min(1, t / 0.55) - 0.13 * max(0, t - 0.55)
        z = (
            seat
            + 0.03 * (1 - min(1, t / 0.2)) * -1
            + (0.46 * ((t - 0.5) / 0.5) ** 1.1 if t > 0.5 else 0)
        )
        half = 0.23 * (1 - 0.25 * max(0, t - 0.7) / 0.3)
        rows.append(
            [
                (
                    x + 0.05 * (abs(s) ** 2) * (t > 0.4),
                    half * s,
                    z + 0.05 * abs(s) ** 2.5,
                )
                for s in np.linspace(-1, 1, 11)
            ]
        )
    rows = np.array(rows)
    model.add(sheet(rows), cloth, 0.5)
    model.add(sheet(rows - [0.012, 0, 0.014]), cloth, 0.5)
    four_legs(
        model, 0.26, 0.3, seat, 0.016, wood if rng.random() < 0.6 else STEEL, 0.09
    )


def _bentwood_chair(model, rng, wood, cloth, seat):
    model.add(
        lathe(
            [(0, -0.02), (0.21, -0.02), (0.215, 0), (0.21, 0.02), (0, 0.025)],
            (0, 0, seat),
        ),
        wood,
        0.4,
    )
    four_legs(model, 0.24, 0.24, seat, 0.016, wood, 0.06)
    model.add(ring((0, 0, 0.22), 0.17, 0.009, axis="z"), wood)
    top = seat + 0.47
    for width, rise in ((0.19, 1.0), (0.12, 0.8)):
        arch = [
            (-0.16 - 0.1 * s, side, seat + (top - seat) * s * rise)
            for side, s in (
                (width * 0.9, 0),
                (width, 0.45),
                (width * 0.8, 0.85),
                (0, 1.02),
                (-width * 0.8, 0.85),
                (-width, 0.45),
                (-width * 0.9, 0),
            )
        ]
        model.add(tube(arch, 0.0135, sides=10, count=40), wood, 0.4)


def _upholstered_chair(model, rng, wood, cloth, seat):
    model.add(ball((0, 0, seat), (0.25, 0.24, 0.06), 0.4), cloth)
    model.add(ball((-0.25, 0, seat + 0.33), (0.055, 0.23, 0.34), 0.4, pitch=-8), cloth)
    four_legs(model, 0.4, 0.38, seat, 0.02, wood, 0.0, round_leg=False)
    for y in (-0.1, 0.1):
        for z in (0.2, 0.36, 0.52):
            model.add(
                ball((-0.195 - 0.14 * (z - 0.33), y, seat + z), 0.014, count=6),
                tuple(0.7 * np.array(cloth)),
            )


def diningtable(rng, kind=None):
    """Rectangular, round, trestle, or with a cloth; often laid with plates, glasses and
    a bowl.
    """
    kind = kind or rng.choice(KINDS["diningtable"])
    model, wood, height = (
        Model("diningtable"),
        pick(rng, WOODS),
        rng.uniform(0.72, 0.77),
    )
    length, width = (
        (rng.uniform(1.3, 2.0), rng.uniform(0.8, 0.95))
        if kind != "round"
        else (rng.uniform(1.0, 1.3),) * 2
    )
    if kind == "round":
        model.add(
            lathe(
                [
                    (0, -0.035),
                    (0.49 * length, -0.035),
                    (0.5 * length, -0.02),
                    (0.5 * length, 0),
                    (0, 0),
                ],
                (0, 0, height),
                sides=48,
            ),
            wood,
            0.4,
        )
        model.add(
            lathe(
                [
                    (0.06, 0.05),
                    (0.045, 0.25),
                    (0.075, 0.4),
                    (0.05, 0.55),
                    (0.12, height - 0.04),
                ]
            ),
            wood,
            0.3,
        )
        for turn in np.arange(4) * np.pi / 2 + 0.4:
            model.add(
                tube(
                    [
                        (0, 0, 0.22),
                        (0.2 * np.cos(turn), 0.2 * np.sin(turn), 0.13),
                        (0.38 * np.cos(turn), 0.38 * np.sin(turn), 0.03),
                    ],
                    [0.05, 0.04, 0.03],
                    sides=10,
                ),
                wood,
            )
    else:
        model.add(box((0, 0, height - 0.02), (length, width, 0.04)), wood, 0.4)
        if kind == "trestle":
            for x in (-0.36, 0.36):
                for lean in (-1, 1):
                    model.add(
                        rod(
                            (x * length, lean * 0.36 * width, 0),
                            (x * length, -lean * 0.1 * width, height - 0.04),
                            0.03,
                            sides=8,
                        ),
                        wood,
                    )
            model.add(box((0, 0, 0.4), (0.74 * length, 0.05, 0.09)), wood)
        else:
            four_legs(
                model,
                length - 0.14,
                width - 0.14,
                height - 0.04,
                0.035,
                wood,
                0,
                round_leg=False,
            )
            model.add(
                box((0, 0, height - 0.09), (length - 0.12, width - 0.12, 0.09)),
                tuple(0.85 * np.array(wood)),
            )
    if kind == "cloth" or (kind == "round" and rng.random() < 0.3):
        _table_cloth(model, rng, length, width, height, kind == "round")
    if rng.random() < 0.8:
        _tableware(model, rng, length, width, height)
    model.extras |= {
        "kind": kind,
        "top": height + 0.008,
        "length": length,
        "width": width,
    }
    return model


def _table_cloth(model, rng, length, width, height, is_round):
    first, second = (
        ((0.95, 0.95, 0.93), pick(rng, CLOTHES))
        if rng.random() < 0.6
        else (pick(rng, CLOTHES),) * 2
    )
    angle = np.linspace(0, 2 * np.pi, 121)
    c, s = np.cos(angle), np.sin(angle)
    power = 1.0 if is_round else 0.12
    edge = np.stack(
        [
            np.sign(c) * np.abs(c) ** power * length / 2,
            np.sign(s) * np.abs(s) ** power * width / 2,
        ],
        1,
    )
    rows = [
        np.column_stack([edge * scale, np.full(121, height + 0.006)])
        for scale in (0.02, 0.5, 1.0)
    ]
    for drop in np.linspace(0.08, 1, 6):
        wave = 1.01 + 0.03 * drop * np.sin(angle * 18)
        rows.append(
            np.column_stack([edge * wave[:, None], np.full(121, height - 0.24 * drop)])
        )
    period = 2 * np.pi / 0.16

    def checks(points):
        dark = (np.sin(points[:, 0] * period) > 0) ^ (np.sin(points[:, 1] * period) > 0)
        return np.where(dark[:, None], first, second)

    model.add(sheet(rows), checks if rng.random() < 0.3 else first, 0.05)


def _tableware(model, rng, length, width, height):
    z = height + 0.01
    white = (0.95, 0.95, 0.94)
    for x in np.arange(-length / 2 + 0.3, length / 2 - 0.25, 0.55):
        for side in (1, -1):
            if rng.random() < 0.75:
                y = side * (width / 2 - 0.2)
                model.add(
                    lathe(
                        [
                            (0, 0),
                            (0.08, 0),
                            (0.13, 0.018),
                            (0.125, 0.022),
                            (0.08, 0.006),
                            (0, 0.006),
                        ],
                        (x, y, z),
                    ),
                    white,
                    0.6,
                )
                model.add(
                    lathe(
                        [
                            (0, 0),
                            (0.03, 0),
                            (0.036, 0.1),
                            (0.032, 0.1),
                            (0.028, 0.01),
                            (0, 0.01),
                        ],
                        (x + 0.17, y - side * 0.08, z),
                    ),
                    (0.8, 0.87, 0.9),
                    0.9,
                )
    if rng.random() < 0.6:
        model.add(
            lathe(
                [
                    (0, 0),
                    (0.06, 0),
                    (0.15, 0.09),
                    (0.14, 0.09),
                    (0.055, 0.015),
                    (0, 0.015),
                ],
                (0, 0, z),
            ),
            pick(rng, CLOTHES),
            0.5,
        )
        for _ in range(7):
            model.add(
                ball(
                    (rng.uniform(-0.07, 0.07), rng.uniform(-0.07, 0.07), z + 0.085),
                    0.042,
                    count=10,
                ),
                [
                    (0.85, 0.15, 0.12),
                    (0.95, 0.6, 0.1),
                    (0.55, 0.72, 0.2),
                    (0.95, 0.85, 0.25),
                ][rng.integers(4)],
                0.4,
            )


# --------------------------------------------------------------------------------------
# ----------
# Potted plants


def pottedplant(rng, kind=None):
    """Palm, big leaves, cactus, flowers, bonsai or sansevieria in a pot."""
    kind = kind or rng.choice(KINDS["pottedplant"])
    model = Model("pottedplant")
    height, radius = rng.uniform(0.22, 0.34), rng.uniform(0.15, 0.21)
    clay = pick(
        rng,
        (
            (0.75, 0.42, 0.28),
            (0.92, 0.92, 0.9),
            (0.3, 0.42, 0.6),
            (0.35, 0.36, 0.38),
            (0.85, 0.7, 0.35),
            (0.35, 0.55, 0.5),
        ),
    )
    shapes = (
        [
            (0, 0),
            (0.7 * radius, 0),
            (radius, 0.84 * height),
            (1.1 * radius, 0.84 * height),
            (1.1 * radius, height),
            (0.95 * radius, height),
            (0.9 * radius, 0.9 * height),
            (0, 0.9 * height),
        ],
        [
            (0, 0),
            (0.75 * radius, 0),
            (1.08 * radius, 0.35 * height),
            (1.05 * radius, 0.7 * height),
            (0.85 * radius, height),
            (0.78 * radius, height),
            (0.75 * radius, 0.9 * height),
            (0, 0.9 * height),
        ],
        [
            (0, 0),
            (radius, 0),
            (radius, height),
            (0.92 * radius, height),
            (0.9 * radius, 0.9 * height),
            (0, 0.9 * height),
        ],
    )
    model.add(lathe(shapes[rng.integers(3)]), clay, 0.4)
    model.add(
        lathe([(0, 0), (0.85 * radius, 0), (0, 0.02)], (0, 0, 0.9 * height)),
        (0.28, 0.2, 0.15),
    )
    green = pick(rng, LEAVES)
    {
        "palm": _palm,
        "leafy": _leafy,
        "cactus": _cactus,
        "flowers": _flowers,
        "bonsai": _bonsai,
        "sansevieria": _sansevieria,
    }[kind](model, rng, 0.9 * height, radius, green)
    model.extras["kind"] = kind
    return model


def leaf(base, tip, width, droop=0.0, lobes=1.0, rows=9):
    """A leaf: a folded surface from base to tip that arches, widest in the middle."""
    base, tip = np.array(base, float), np.array(tip, float)
    along = tip - base
    side = np.cross(along, [0, 0, 1.0])
    side = (
        side / (np.linalg.norm(side) + 1e-9)
        if np.linalg.norm(side) > 1e-6
        else np.array([0, 1.0, 0])
    )
    grid = []
    for t in np.linspace(0, 1, rows):
        centre = (
            base
            + along * t
            + np.array([0, 0, droop * np.sin(np.pi * t) - droop * t * t])
        )
        half = width * np.sin(np.pi * min(1, 0.08 + 0.92 * t) ** lobes) * 0.5
        grid.append(
            [
                centre + side * half * s + np.array([0, 0, 0.3 * half * abs(s)])
                for s in (-1, -0.5, 0, 0.5, 1)
            ]
        )
    return sheet(grid)


def _shaded(rng, green):
    return tuple(np.clip(np.array(green) * rng.uniform(0.75, 1.25), 0, 1))


def _palm(model, rng, z, radius, green):
    for _ in range(rng.integers(11, 17)):
        turn, lift, length = (
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.25, 1.15),
            rng.uniform(0.5, 0.8),
        )
        tip = (
            np.array(
                [np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)]
            )
            * length
        )
        model.add(
            leaf(
                (0, 0, z),
                tip + [0, 0, z],
                rng.uniform(0.06, 0.1),
                rng.uniform(0.08, 0.3),
            ),
            _shaded(rng, green),
            0.3,
        )


def _leafy(model, rng, z, radius, green):
    for _ in range(rng.integers(11, 18)):
        turn, reach, rise = (
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.08, 0.34),
            rng.uniform(0.15, 0.7),
        )
        end = np.array([reach * np.cos(turn), reach * np.sin(turn), z + rise])
        model.add(
            tube(
                [(0, 0, z), (0.3 * end[0], 0.3 * end[1], z + 0.6 * rise), end],
                0.009,
                sides=6,
                count=10,
            ),
            tuple(0.8 * np.array(green)),
        )
        model.add(
            leaf(
                end,
                end
                + np.array(
                    [0.24 * np.cos(turn), 0.24 * np.sin(turn), rng.uniform(-0.08, 0.06)]
                ),
                rng.uniform(0.15, 0.24),
                0.05,
                0.8,
            ),
            _shaded(rng, green),
            0.4,
        )


def _cactus(model, rng, z, radius, green):
    def column(points, thick):
        model.add(
            tube(points, thick, sides=40, count=30),
            lambda p: np.where(
                (np.sin(np.arctan2(p[:, 1], p[:, 0] + 1e-6) * 14) > 0)[:, None],
                green,
                tuple(0.72 * np.array(green)),
            ),
        )

    tall = rng.uniform(0.45, 0.8)
    column([(0, 0, z), (0, 0, z + tall)], rng.uniform(0.075, 0.105))
    for side in (1, -1):
        if rng.random() < 0.85:
            up = rng.uniform(0.3, 0.55) * tall
            column(
                [
                    (0, 0, z + up),
                    (0, side * 0.17, z + up + 0.02),
                    (0, side * 0.2, z + up + 0.12),
                    (0, side * 0.2, z + up + rng.uniform(0.2, 0.32)),
                ],
                0.05,
            )


def _flowers(model, rng, z, radius, green):
    petal = pick(
        rng,
        (
            (0.88, 0.15, 0.25),
            (0.95, 0.75, 0.15),
            (0.9, 0.45, 0.7),
            (0.95, 0.95, 0.95),
            (0.6, 0.35, 0.8),
            (0.95, 0.5, 0.15),
        ),
    )
    for _ in range(26):
        turn, reach, rise = (
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.02, 0.2),
            rng.uniform(0.05, 0.28),
        )
        base = np.array([reach * np.cos(turn), reach * np.sin(turn), z + rise])
        model.add(
            leaf(
                base,
                base + np.array([0.12 * np.cos(turn), 0.12 * np.sin(turn), 0.04]),
                0.09,
                0.02,
                0.7,
                rows=6,
            ),
            _shaded(rng, green),
            0.2,
        )
    for _ in range(rng.integers(9, 15)):
        turn, reach, rise = (
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.0, 0.24),
            rng.uniform(0.26, 0.46),
        )
        end = np.array([reach * np.cos(turn), reach * np.sin(turn), z + rise])
        model.add(
            tube([(0.2 * end[0], 0.2 * end[1], z), end], 0.006, sides=6, count=6),
            tuple(0.8 * np.array(green)),
        )
        for k in np.arange(6) * np.pi / 3:
            model.add(
                ball(
                    end + 0.035 * np.array([np.cos(k), np.sin(k), 0.25]),
                    (0.03, 0.03, 0.017),
                    count=7,
                ),
                _shaded(rng, petal),
            )
        model.add(ball(end + [0, 0, 0.015], 0.02, count=7), (0.95, 0.8, 0.2))


def _bonsai(model, rng, z, radius, green):
    bend = rng.uniform(-0.12, 0.12)
    model.add(
        tube(
            [
                (0, 0, z),
                (0.04, bend, z + 0.16),
                (-0.02, -0.5 * bend, z + 0.34),
                (0.02, 0, z + 0.46),
            ],
            [0.035, 0.028, 0.022, 0.012],
            sides=10,
        ),
        (0.4, 0.28, 0.19),
    )
    for _ in range(70):
        direction = rng.normal(size=3)
        place = direction / np.linalg.norm(direction) * [
            0.24,
            0.24,
            0.18,
        ] * rng.uniform(0.55, 1) + [0, 0, z + 0.52]
        model.add(ball(place, rng.uniform(0.035, 0.065), count=6), _shaded(rng, green))


def _sansevieria(model, rng, z, radius, green):
    for _ in range(rng.integers(9, 14)):
        x, y = rng.normal(0, 0.3 * radius, 2)
        tip = np.array([x * 2.6, y * 2.6, z + rng.uniform(0.4, 0.8)])
        model.add(
            leaf((x, y, z - 0.02), tip, rng.uniform(0.07, 0.11), 0.0, 0.6),
            lambda p: np.where(
                (np.sin(p[:, 2] * 70) > 0.2)[:, None],
                tuple(1.3 * np.array(green)),
                green,
            ),
            0.3,
        )


# --------------------------------------------------------------------------------------
# ----------
# Sofas and screens


def sofa(rng, kind=None):
    """Two- and three-seaters: classic with cushions, modern on thin legs, buttoned
    chesterfield, corner sofa.
    """
    kind = kind or rng.choice(KINDS["sofa"])
    model, seats = Model("sofa"), int(rng.integers(2, 4))
    leather = (
        (0.5, 0.28, 0.17),
        (0.3, 0.2, 0.16),
        (0.25, 0.25, 0.27),
        (0.6, 0.14, 0.14),
    )
    colour = (
        pick(rng, leather)
        if kind == "chesterfield"
        else pick(rng, (*CLOTHES, (0.62, 0.6, 0.56), (0.75, 0.68, 0.56)))
    )
    shade = tuple(0.92 * np.array(colour))
    width, seat = 0.68 * seats, 0.42
    arm = {"modern": 0.08, "chesterfield": 0.15}.get(kind, 0.12)
    base = 0.2 if kind == "modern" else 0.1
    model.add(
        ball(
            (0.02, 0, (base + 0.32) / 2),
            (0.42, width / 2 + arm, (0.34 - base) / 2),
            0.2,
        ),
        shade,
    )
    back_top = {"modern": 0.78, "chesterfield": 0.76}.get(kind, 0.9)
    for k in range(seats):
        y = (k - (seats - 1) / 2) * 0.68
        model.add(
            ball((0.08, y, seat - 0.06), (0.36, 0.335, 0.095), 0.4),
            colour,
            0.3 if kind == "chesterfield" else 0.1,
        )
        model.add(
            ball(
                (-0.3, y, (seat + back_top) / 2),
                (0.12, 0.335, (back_top - seat) / 2 + 0.06),
                0.4,
                pitch=-8,
            ),
            colour,
            0.3 if kind == "chesterfield" else 0.1,
        )
    model.add(
        ball(
            (-0.4, 0, (base + back_top) / 2 - 0.03),
            (0.09, width / 2 + arm, (back_top - base) / 2),
            0.25,
        ),
        shade,
    )
    arm_top = back_top if kind == "chesterfield" else 0.6
    for side in (1, -1):
        y = side * (width / 2 + arm)
        model.add(
            ball(
                (0.0, y, (base + arm_top) / 2), (0.44, arm, (arm_top - base) / 2), 0.3
            ),
            shade,
        )
        if kind in ("classic", "chesterfield"):
            model.add(
                tube(
                    [(-0.36, y, arm_top - 0.03), (0.4, y, arm_top - 0.03)],
                    arm * 1.12,
                    sides=18,
                ),
                colour,
                0.3 if kind == "chesterfield" else 0.1,
            )
        for x in (-0.36, 0.38):
            model.add(
                rod((x, 0.9 * y, 0), (x, 0.9 * y, base + 0.03), 0.02, 0.03, sides=8),
                (0.3, 0.21, 0.15),
            )
    if kind == "chesterfield":
        model.add(
            tube(
                [
                    (-0.41, -width / 2 - arm, back_top - 0.02),
                    (-0.41, width / 2 + arm, back_top - 0.02),
                ],
                0.12,
                sides=18,
            ),
            colour,
            0.3,
        )
        for row, z in enumerate((0.52, 0.63)):
            for y in np.arange(-width / 2 + 0.1 + 0.09 * row, width / 2, 0.18):
                model.add(
                    ball((-0.175 - 0.14 * (z - 0.55), y, z), 0.016, count=6),
                    tuple(0.55 * np.array(colour)),
                )
    if kind == "corner":
        model.add(ball((0.62, width / 2 - 0.24, 0.21), (0.42, 0.36, 0.12), 0.25), shade)
        model.add(
            ball((0.62, width / 2 - 0.24, seat - 0.06), (0.42, 0.35, 0.09), 0.4), colour
        )
    for _ in range(rng.integers(0, 3)):
        model.add(
            ball(
                (-0.1, rng.uniform(-0.4, 0.4) * width, seat + 0.2),
                (0.09, 0.2, 0.2),
                0.55,
                pitch=-22,
                yaw=rng.uniform(-15, 15),
            ),
            pick(rng, CLOTHES),
        )
    model.extras |= {
        "kind": kind,
        "seats": np.array(
            [[0.1, (k - (seats - 1) / 2) * 0.68, seat + 0.1] for k in range(seats)]
        ),
    }
    return model


def screen_picture(rng):
    """Colours of a screen as a function of (across, up), both from 0 to 1: landscape,
    colour bars, desktop, football, dark.
    """
    kind = rng.integers(5)
    sky, grass = (
        pick(rng, ((0.5, 0.75, 0.95), (0.95, 0.6, 0.4), (0.65, 0.8, 0.95))),
        pick(rng, ((0.3, 0.6, 0.3), (0.8, 0.7, 0.4), (0.25, 0.45, 0.6))),
    )
    bars = np.array(
        [
            (0.9, 0.9, 0.9),
            (0.9, 0.9, 0.1),
            (0.1, 0.85, 0.85),
            (0.1, 0.8, 0.1),
            (0.85, 0.1, 0.85),
            (0.85, 0.1, 0.1),
            (0.1, 0.1, 0.85),
        ]
    )
    phase = rng.uniform(0, 6)

    def colour(across, up):
        if kind == 0:
            hill = 0.4 + 0.15 * np.sin(5 * across + phase) + 0.05 * np.sin(13 * across)
            return np.where((up < hill)[:, None], grass, sky)
        if kind == 1:
            return bars[np.clip((across * 7).astype(int), 0, 6)]
        if kind == 2:
            window = (across > 0.2) & (across < 0.75) & (up > 0.25) & (up < 0.85)
            bar = (up < 0.08) | (window & (up > 0.77))
            return np.where(
                bar[:, None],
                (0.3, 0.35, 0.45),
                np.where(window[:, None], (0.95, 0.95, 0.96), sky),
            )
        if kind == 3:
            line = (np.abs(across - 0.5) < 0.012) | (
                np.abs((across - 0.5) ** 2 + (up - 0.5) ** 2 - 0.04) < 0.006
            )
            return np.where(
                line[:, None],
                (0.95, 0.95, 0.95),
                np.where(
                    (np.sin(across * 40) > 0)[:, None],
                    (0.25, 0.6, 0.25),
                    (0.3, 0.66, 0.3),
                ),
            )
        gleam = np.clip(1 - 4 * np.abs(across + 0.4 * up - 0.75), 0, 1)[:, None]
        return np.array([(0.2, 0.22, 0.25)]) * (1 - 0.6 * gleam) + gleam * 0.35

    return colour


def screen(model, rng, x, z, width, height, bulge=0.0):
    """A lit screen that looks along +x, finely divided so that its picture shows."""
    y, up = np.meshgrid(np.linspace(-1, 1, 121), np.linspace(-1, 1, 81))
    grid = np.stack(
        [
            x + bulge * (1 - 0.5 * y**2 - 0.5 * up**2),
            y * width / 2,
            z + up * height / 2,
        ],
        axis=-1,
    )
    picture = screen_picture(rng)
    model.add(
        sheet(grid),
        lambda p: picture(0.5 - p[:, 1] / width, (p[:, 2] - z) / height + 0.5),
        0.3,
    )


def tvmonitor(rng, kind=None):
    """Flat television on its foot or on a low board, old CRT set with antenna, computer
    monitor; the screen is lit or dark.
    """
    kind = kind or rng.choice(KINDS["tvmonitor"])
    model, case = Model("tvmonitor"), BLACK if rng.random() < 0.7 else STEEL
    if kind == "crt":
        _crt(model, rng)
    else:
        width = (
            rng.uniform(0.5, 0.62) if kind == "computer" else rng.uniform(0.85, 1.25)
        )
        height, foot = width * 0.58, 0.14 if kind == "computer" else 0.07
        z = foot + height / 2
        model.add(box((0, 0, z), (0.05, width, height)), case, 0.5)
        screen(model, rng, 0.027, z + 0.006, width * 0.94, height * 0.9)
        model.add(ball((-0.04, 0, z), (0.04, 0.35 * width, 0.35 * height), 0.4), case)
        if kind == "flat":
            for side in (1, -1):
                model.add(
                    rod(
                        (0, side * 0.32 * width, foot),
                        (0.12, side * 0.36 * width, 0.01),
                        0.014,
                        sides=8,
                    ),
                    case,
                )
                model.add(
                    rod(
                        (0, side * 0.32 * width, foot),
                        (-0.12, side * 0.36 * width, 0.01),
                        0.014,
                        sides=8,
                    ),
                    case,
                )
        else:
            model.add(
                box((-0.02, 0, foot / 2 + 0.03), (0.04, 0.09, foot + 0.1)), case, 0.4
            )
            model.add(
                ball(
                    (0, 0, 0.012),
                    (0.11, 0.16 if kind == "computer" else 0.26, 0.014),
                    0.6,
                ),
                case,
                0.4,
            )
    model.extras["kind"] = kind
    return model


def _crt(model, rng):
    case = pick(
        rng,
        ((0.45, 0.3, 0.2), (0.24, 0.24, 0.25), (0.72, 0.7, 0.64), (0.75, 0.2, 0.18)),
    )
    width, height = rng.uniform(0.56, 0.72), rng.uniform(0.46, 0.54)
    z = height / 2 + 0.03
    model.add(ball((-0.08, 0, z), (0.15, width / 2, height / 2), 0.15), case, 0.4)
    model.add(
        ball((-0.28, 0, z), (0.16, 0.36 * width, 0.36 * height), 0.3),
        tuple(0.8 * np.array(case)),
    )
    model.add(box((0.07, -0.09 * width, z), (0.02, 0.74 * width, 0.84 * height)), BLACK)
    shifted = Model()
    screen(shifted, rng, 0.072, z, 0.66 * width, 0.74 * height, bulge=0.035)
    model.include(shifted.moved(offset=(0.008, 0.09 * width, 0)))
    for k in range(3):
        model.add(
            rod(
                (0.06, -0.41 * width, z + (0.28 - 0.16 * k) * height),
                (0.095, -0.41 * width, z + (0.28 - 0.16 * k) * height),
                0.026,
            ),
            STEEL,
            0.7,
        )
    for side in (1, -1):
        model.add(rod((0.0, side * 0.15, 0), (0, side * 0.15, 0.05), 0.02), BLACK)
        if rng.random() < 0.85:
            model.add(
                rod(
                    (-0.08, 0, z + height / 2),
                    (-0.1, side * rng.uniform(0.2, 0.32), z + height / 2 + 0.36),
                    0.006,
                    sides=6,
                ),
                STEEL,
                0.8,
            )


BUILDERS = {
    "bottle": bottle,
    "chair": chair,
    "diningtable": diningtable,
    "pottedplant": pottedplant,
    "sofa": sofa,
    "tvmonitor": tvmonitor,
}
