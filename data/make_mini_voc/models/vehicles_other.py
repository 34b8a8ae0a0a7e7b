"""Aeroplane, boat and train."""

import numpy as np
from shapes import Model, ball, box, lathe, loft, plate, rod, sheet, tube

from models.vehicles_road import BLACK, CHROME, GLASS, LAMP, REAR, TYRE, paint

KINDS = {
    "aeroplane": ("airliner", "propeller", "fighter", "biplane", "jumbo"),
    "boat": ("sailing", "motor", "canoe", "fishing", "ship"),
    "train": ("steam", "high-speed", "regional", "tram"),
}
WHITE, STEEL, WOOD = (0.94, 0.94, 0.95), (0.66, 0.68, 0.71), (0.6, 0.42, 0.25)


# --------------------------------------------------------------------------------------
# ----------
# Aeroplanes


def surface(root_lead, root_chord, tip_lead, tip_chord, thickness, vertical=False):
    """A wing, tailplane or fin: from a root edge (leading point, chord) to a tip edge,
    with a thin profile.
    """
    profile = np.array(
        [(0, 0), (0.08, 0.5), (0.35, 0.6), (1, 0.0), (0.35, -0.4), (0.08, -0.35)]
    )
    sections = []
    for lead, chord in ((root_lead, root_chord), (tip_lead, tip_chord)):
        lead = np.array(lead, float)
        across = np.array([0, 1, 0]) if vertical else np.array([0, 0, 1])
        sections.append(
            [
                lead + np.array([-chord * u, 0, 0]) + across * thickness * chord * v
                for u, v in profile
            ]
        )
    return loft(np.array(sections))


def both_wings(model, root, chord, tip, tip_chord, thickness, colour, gloss=0.5):
    for side in (1, -1):
        flip = np.array([1, side, 1])
        model.add(
            surface(
                np.array(root) * flip, chord, np.array(tip) * flip, tip_chord, thickness
            ),
            colour,
            gloss,
        )


def propeller(model, place, radius, rng):
    place = np.array(place, float)
    model.add(
        ball(
            place + [0.08 * radius, 0, 0], (0.2 * radius, 0.13 * radius, 0.13 * radius)
        ),
        CHROME,
        0.8,
    )
    start = rng.uniform(0, np.pi)
    for turn in start + np.arange(3) * 2 * np.pi / 3:
        end = place + radius * np.array([0, np.cos(turn), np.sin(turn)])
        model.add(
            tube(
                [place, (place + end) / 2, end],
                [0.05 * radius, 0.085 * radius, 0.05 * radius],
                sides=8,
                flat=0.5,
            ),
            BLACK,
        )


def aeroplane(rng, kind=None, flying=None):
    """Airliner, jumbo jet, propeller plane, fighter, biplane, in the air or on its
    wheels.
    """
    kind = kind or rng.choice(KINDS["aeroplane"])
    flying = rng.random() < 0.6 if flying is None else flying
    model, colour = Model("aeroplane"), paint(rng)
    height = {
        "airliner": _airliner,
        "jumbo": _airliner,
        "propeller": _propeller_plane,
        "fighter": _fighter,
        "biplane": _biplane,
    }[kind](model, rng, colour, kind, flying)
    model = model if flying else model.moved(offset=(0, 0, height))
    model.extras |= {
        "kind": kind,
        "flying": bool(flying),
        "pose": "flying" if flying else "standing",
    }
    return model


def wheels_down(model, places, radius, height):
    for x, y in places:
        model.add(rod((x, y, -0.2), (x, y, -height + radius), 0.07 * height), STEEL)
        for side in (0.6, -0.6):
            model.add(
                lathe(
                    [
                        (0, -0.3 * radius),
                        (radius, -0.25 * radius),
                        (radius, 0.25 * radius),
                        (0, 0.3 * radius),
                    ],
                    (x, y + side * radius, -height + radius),
                    axis="y",
                ),
                TYRE,
            )


def _airliner(model, rng, colour, kind, flying):
    length, radius = (34, 1.9) if kind == "airliner" else (46, 3.0)
    half = length / 2
    body = WHITE if rng.random() < 0.75 else (0.8, 0.82, 0.85)
    belly = tuple(0.8 * np.array(body))
    cheat = rng.random() < 0.6

    def livery(points):
        band = cheat & (np.abs(points[:, 2] - 0.02 * radius) < 0.2 * radius)
        rgb = np.where((points[:, 2] < -0.45 * radius)[:, None], belly, body)
        rgb = np.where(band[:, None], colour, rgb)
        return np.where((points[:, 0] < -0.72 * half)[:, None] & ~cheat, colour, rgb)

    model.add(
        tube(
            [
                (-half, 0, 0.55 * radius),
                (-0.62 * half, 0, 0.16 * radius),
                (0, 0, 0),
                (0.75 * half, 0, 0),
                (0.93 * half, 0, -0.1 * radius),
                (half, 0, -0.22 * radius),
            ],
            np.array([0.2, 0.85, 1, 1, 0.78, 0.3]) * radius,
            sides=32,
            count=60,
        ),
        livery,
        0.6,
    )
    for side in (1, -1):
        for x in np.arange(-0.6 * half, 0.78 * half, 0.9):
            model.add(
                ball(
                    (x, side * 0.955 * radius, 0.3 * radius),
                    (0.2, 0.1, 0.28),
                    0.6,
                    count=7,
                ),
                (0.16, 0.2, 0.27),
                0.8,
            )
    model.add(
        ball(
            (0.905 * half, 0, 0.3 * radius),
            (0.045 * half, 0.62 * radius, 0.22 * radius),
        ),
        (0.14, 0.17, 0.22),
        0.9,
    )
    both_wings(
        model,
        (0.22 * half, 0.7 * radius, -0.4 * radius),
        0.34 * half,
        (-0.3 * half, 0.92 * half, 0.35 * radius),
        0.1 * half,
        0.1,
        (0.72, 0.74, 0.77),
    )
    both_wings(
        model,
        (-0.76 * half, 0.3 * radius, 0.5 * radius),
        0.2 * half,
        (-0.95 * half, 0.36 * half, 0.62 * radius),
        0.08 * half,
        0.1,
        (0.75, 0.77, 0.8),
    )
    model.add(
        surface(
            (-0.66 * half, 0, 0.6 * radius),
            0.3 * half,
            (-0.95 * half, 0, 0.46 * half),
            0.11 * half,
            0.09,
            vertical=True,
        ),
        colour,
        0.6,
    )
    places = (0.33,) if kind == "airliner" else (0.28, 0.52)
    for side in (1, -1):
        for share in places:
            centre = np.array(
                [
                    (0.22 - 0.5 * share) * half + 0.08 * half,
                    side * share * half,
                    -0.85 * radius,
                ]
            )
            shape = [
                (0.62, 1.1),
                (0.8, 1.0),
                (0.82, 0.3),
                (0.6, -1.0),
                (0.4, -1.3),
                (0.0, -1.3),
            ]
            model.add(
                lathe([(0, 0.8), (0.6, 0.85), *shape], centre, axis="x"),
                colour if rng.random() < 0.5 else (0.8, 0.82, 0.85),
                0.6,
            )
            model.add(ball(centre + [0.9, 0, 0], (0.12, 0.58, 0.58)), BLACK)
            model.add(box(centre + [-0.5, 0, 0.75], (1.6, 0.2, 0.8)), STEEL)
    if not flying:
        wheels_down(
            model,
            (
                (0.7 * half, 0),
                (-0.05 * half, 0.16 * half),
                (-0.05 * half, -0.16 * half),
            ),
            0.6,
            radius + 1.7,
        )
    return radius + 1.7


def _propeller_plane(model, rng, colour, kind, flying):
    body = WHITE if rng.random() < 0.6 else tuple(0.85 * np.array(colour))
    model.add(
        tube(
            [(-3.9, 0, 0.35), (-2, 0, 0.15), (0, 0, 0.1), (1.6, 0, 0), (2.5, 0, -0.05)],
            [0.16, 0.42, 0.68, 0.62, 0.48],
            sides=24,
            count=40,
        ),
        lambda p: np.where((np.abs(p[:, 2] - 0.02) < 0.1)[:, None], colour, body),
        0.6,
    )
    model.add(ball((0.45, 0, 0.6), (1.05, 0.5, 0.42)), GLASS, 0.95)
    high = rng.random() < 0.5
    z = 0.98 if high else -0.35
    both_wings(model, (1.15, 0.1, z), 1.6, (0.95, 5.2, z + 0.3), 1.15, 0.12, body)
    if high:
        model.add(box((0.45, 0, z), (1.5, 0.6, 0.12)), body)
        for side in (1, -1):
            model.add(rod((0.5, side * 0.55, -0.4), (0.5, side * 2.4, z), 0.045), STEEL)
    both_wings(model, (-3.1, 0.1, 0.4), 0.95, (-3.35, 1.8, 0.45), 0.65, 0.1, body)
    model.add(
        surface((-2.9, 0, 0.5), 1.2, (-3.55, 0, 1.9), 0.6, 0.09, vertical=True),
        colour,
        0.6,
    )
    propeller(model, (2.78, 0, -0.05), 0.95, rng)
    if not flying or rng.random() < 0.6:
        wheels_down(model, ((1.9, 0), (0.1, 1.0), (0.1, -1.0)), 0.24, 1.35)
    return 1.35


def _fighter(model, rng, colour, kind, flying):
    body = [(0.55, 0.58, 0.62), (0.45, 0.5, 0.42), (0.62, 0.6, 0.5)][rng.integers(3)]
    model.add(
        tube(
            [(-6, 0, 0), (-3, 0, 0), (1, 0, 0.05), (4, 0, 0), (7.2, 0, -0.12)],
            [0.6, 0.82, 0.85, 0.55, 0.06],
            sides=22,
            count=50,
            flat=1.15,
        ),
        body,
        0.4,
    )
    model.add(ball((3.0, 0, 0.62), (1.5, 0.42, 0.48)), (0.3, 0.38, 0.4), 0.95)
    both_wings(model, (2.4, 0.5, 0), 6.6, (-3.0, 4.6, 0), 1.1, 0.035, body, 0.3)
    both_wings(model, (-4.2, 0.5, 0.05), 2.0, (-5.8, 2.4, 0.05), 0.8, 0.04, body, 0.3)
    for side in (1, -1):
        model.add(
            surface(
                (-2.9, side * 0.75, 0.5),
                2.5,
                (-5.0, side * 1.35, 2.8),
                1.0,
                0.05,
                vertical=True,
            ),
            colour if rng.random() < 0.5 else body,
            0.4,
        )
        model.add(
            box((1.2, side * 0.85, -0.1), (3.0, 0.55, 0.75)),
            tuple(0.85 * np.array(body)),
        )
        model.add(
            lathe(
                [(0.3, 0), (0.42, 0.2), (0.42, 0.9), (0.25, 0.9)],
                (-6.6, side * 0.35, 0),
                axis="x",
            ),
            BLACK,
        )
        model.add(
            lathe(
                [(0.01, 1.5), (0.1, 1.1), (0.1, -1.1), (0.01, -1.2)],
                (-1.6, side * 3.2, -0.3),
                axis="x",
            ),
            WHITE,
        )
    if not flying:
        wheels_down(model, ((3.6, 0), (-1.0, 1.4), (-1.0, -1.4)), 0.38, 1.9)
    return 1.9


def _biplane(model, rng, colour, kind, flying):
    wing_colour = paint(rng)
    model.add(
        tube(
            [(-3.3, 0, 0.2), (-1.5, 0, 0.08), (0.3, 0, 0), (1.7, 0, 0)],
            [0.14, 0.38, 0.5, 0.46],
            sides=20,
            count=36,
        ),
        colour,
        0.5,
    )
    model.add(
        lathe(
            [(0.1, 0.3), (0.5, 0.2), (0.52, -0.3), (0.45, -0.4), (0, -0.4)],
            (1.85, 0, 0),
            axis="x",
        ),
        BLACK,
        0.6,
    )
    for z, x in ((-0.38, 0.75), (1.15, 1.05)):
        both_wings(model, (x, 0.0, z), 1.35, (x, 4.3, z + 0.12), 1.2, 0.07, wing_colour)
    for side in (1, -1):
        for y in (0.6, 3.2):
            for x in (0.65, -0.05):
                model.add(
                    rod((x, side * y, -0.35), (x + 0.3, side * y, 1.18), 0.045), WOOD
                )
        model.add(
            rod((0.3, side * 0.7, -0.35), (0.5, side * 3.2, 1.2), 0.015, sides=5), STEEL
        )
    model.add(ball((-0.75, 0, 0.42), (0.3, 0.26, 0.14)), BLACK)
    model.add(ball((-0.5, 0, 0.55), (0.08, 0.22, 0.16)), GLASS, 0.9)
    both_wings(
        model, (-2.6, 0.05, 0.25), 0.9, (-2.7, 1.5, 0.25), 0.7, 0.07, wing_colour
    )
    model.add(
        surface((-2.6, 0, 0.25), 0.85, (-2.95, 0, 1.15), 0.55, 0.08, vertical=True),
        wing_colour,
        0.5,
    )
    propeller(model, (2.2, 0, 0), 1.05, rng)
    wheels_down(model, ((0.9, 0.75), (0.9, -0.75)), 0.35, 1.25)
    return 1.25


# --------------------------------------------------------------------------------------
# ----------
# Boats: z = 0 is the waterline


def hull(length, width, draft, freeboard, sheer=0.35, stern=0.75):
    """A boat's hull, pointed at the bow (+x): rows of half-sections from the bow to the
    stern, and its deck outline.
    """
    xs = np.linspace(0.5, -0.5, 16)
    sections, rim = [], []
    for x in xs:
        fullness = np.clip(1 - np.clip((x + 0.1) / 0.6, 0, 1) ** 2.1, 0.02, 1) * (
            1 if x > -0.3 else 1 - (1 - stern) * ((-x - 0.3) / 0.2) ** 2
        )
        top = freeboard * (
            1 + sheer * (2 * max(x, 0)) ** 2 + 0.12 * sheer * (2 * min(x, 0)) ** 2
        )
        half, keel = width / 2 * fullness, -draft * (0.35 + 0.65 * fullness)
        lean = 0.06 * length * max(x, 0) ** 2 * 4
        angle = np.linspace(0, np.pi, 13)
        y, z = half * np.cos(angle), keel * np.sin(angle) ** 0.6
        side = np.stack([np.full(13, x * length), y, z], axis=1)
        up = np.array(
            [
                [x * length + lean, half * 1.06, top],
                [x * length + lean, -half * 1.06, top],
            ]
        )
        sections.append(np.vstack([up[:1], side, up[1:]]))
        rim.append(up)
    return np.array(sections), np.array(rim)


def add_hull(
    model, rng, length, width, draft, freeboard, colour, deck, deck_drop=0.12, **form
):
    sections, rim = hull(length, width, draft, freeboard, **form)
    line = 0.28 * freeboard
    second = WHITE if max(colour) < 0.88 else paint(rng)
    model.add(
        sheet(sections),
        lambda p: np.where((p[:, 2] < line)[:, None], second, colour),
        0.5,
    )
    model.add(
        loft([sections[-1], sections[-1] * [1, 0.02, 1]], wrap=False, caps=False),
        colour,
        0.4,
    )
    floor = rim - [0, 0, deck_drop * freeboard]
    model.add(
        sheet(np.stack([floor[:, 0], floor.mean(axis=1), floor[:, 1]])), deck, 0.2
    )
    for k in (0, 1):
        model.add(
            tube(rim[:, k], 0.025 * width, sides=6, count=30),
            tuple(0.8 * np.array(deck)),
        )
    return rim


def boat(rng, kind=None):
    """Sailing boat, motor boat, canoe or rowing boat, fishing boat, cargo or passenger
    ship.
    """
    kind = kind or rng.choice(KINDS["boat"])
    model = Model("boat")
    {
        "sailing": _sailing,
        "motor": _motor,
        "canoe": _canoe,
        "fishing": _fishing,
        "ship": _ship,
    }[kind](model, rng)
    model.extras |= {"kind": kind, "pose": "swimming"}
    return model


def sail(corner, foot, head, belly, rows=10):
    """A triangular sail, its luff from corner to head, its foot from corner to foot,
    filled by the wind to +y.
    """
    corner, foot, head = (np.array(p, float) for p in (corner, foot, head))
    grid = []
    for t in np.linspace(0, 1, rows):
        left = corner + (head - corner) * t
        right = foot + (head - foot) * t
        row = [
            left
            + (right - left) * s
            + np.array([0, belly * np.sin(np.pi * s) * (1 - t) ** 0.5, 0])
            for s in np.linspace(0, 1, 8)
        ]
        grid.append(row)
    return sheet(grid)


def _sailing(model, rng):
    length = rng.uniform(6.5, 10)
    colour = WHITE if rng.random() < 0.5 else paint(rng)
    add_hull(
        model,
        rng,
        length,
        0.32 * length,
        0.4,
        0.1 * length,
        colour,
        WOOD if rng.random() < 0.6 else WHITE,
    )
    model.add(
        ball(
            (0.02 * length, 0, 0.11 * length),
            (0.17 * length, 0.085 * length, 0.04 * length),
            0.5,
        ),
        WHITE,
        0.5,
    )
    mast, top = 0.12 * length, rng.uniform(1.15, 1.4) * length
    model.add(
        rod((mast, 0, 0.1 * length), (mast, 0, top), 0.012 * length), (0.75, 0.68, 0.55)
    )
    model.add(
        rod(
            (mast, 0, 0.22 * length),
            (-0.4 * length, 0.03 * length, 0.22 * length),
            0.01 * length,
        ),
        (0.75, 0.68, 0.55),
    )
    cloth = WHITE if rng.random() < 0.7 else paint(rng)
    jib = cloth if rng.random() < 0.6 else paint(rng)
    belly = rng.uniform(0.05, 0.12) * length * rng.choice((-1, 1))
    model.add(
        sail(
            (mast - 0.02 * length, 0, 0.24 * length),
            (-0.39 * length, 0.3 * belly, 0.24 * length),
            (mast - 0.01 * length, 0, 0.97 * top),
            belly,
        ),
        cloth,
        0.05,
    )
    model.add(
        sail(
            (0.5 * length, 0, 0.16 * length),
            (mast + 0.03 * length, 0.4 * belly, 0.2 * length),
            (mast + 0.02 * length, 0, 0.85 * top),
            belly,
        ),
        jib,
        0.05,
    )


def _motor(model, rng):
    length = rng.uniform(6, 12)
    colour = WHITE if rng.random() < 0.65 else paint(rng)
    add_hull(model, rng, length, 0.32 * length, 0.4, 0.13 * length, colour, WHITE)
    model.add(
        ball(
            (-0.02 * length, 0, 0.165 * length),
            (0.26 * length, 0.12 * length, 0.075 * length),
            0.45,
        ),
        WHITE,
        0.6,
    )
    model.add(
        ball(
            (0.03 * length, 0, 0.2 * length),
            (0.2 * length, 0.115 * length, 0.048 * length),
            0.4,
        ),
        GLASS,
        0.9,
    )
    model.add(
        ball(
            (-0.02 * length, 0, 0.245 * length),
            (0.2 * length, 0.12 * length, 0.018 * length),
            0.4,
        ),
        WHITE,
        0.6,
    )
    for k in range(7):
        x = 0.45 * length - 0.07 * length * k
        model.add(
            rod(
                (x, 0.02 * length * k, 0.16 * length),
                (x, 0.02 * length * k, 0.2 * length),
                0.006 * length,
                sides=6,
            ),
            CHROME,
            0.8,
        )
    model.add(
        rod(
            (-0.15 * length, 0, 0.25 * length),
            (-0.18 * length, 0, 0.4 * length),
            0.008 * length,
        ),
        STEEL,
    )
    model.add(
        box(
            (-0.5 * length, 0, 0.06 * length),
            (0.06 * length, 0.08 * length, 0.16 * length),
        ),
        BLACK,
    )


def _canoe(model, rng):
    length, rowing = rng.uniform(3.6, 4.8), rng.random() < 0.5
    colour = paint(rng) if rng.random() < 0.6 else WOOD
    add_hull(
        model,
        rng,
        length,
        0.34 * length if rowing else 0.22 * length,
        0.12,
        0.085 * length,
        colour,
        (0.5, 0.36, 0.22),
        deck_drop=0.75,
        sheer=0.9,
        stern=0.75 if rowing else 0.1,
    )
    for x in (-0.22, 0.08):
        model.add(
            box(
                (x * length, 0, 0.062 * length),
                (
                    0.07 * length,
                    0.27 * length if rowing else 0.18 * length,
                    0.02 * length,
                ),
            ),
            WOOD,
        )
    for side in (1, -1):
        start = np.array([0.0, side * 0.1 * length, 0.1 * length])
        end = start + np.array([-0.1 * length, side * 0.42 * length, -0.06 * length])
        model.add(rod(start, end, 0.009 * length, sides=8), WOOD)
        model.add(
            ball(
                end, (0.03 * length, 0.08 * length, 0.01 * length), yaw=side * 75 - 90
            ),
            WOOD,
        )


def _fishing(model, rng):
    length, colour = rng.uniform(9, 14), paint(rng)
    add_hull(
        model, rng, length, 0.34 * length, 0.6, 0.14 * length, colour, WOOD, sheer=0.8
    )
    house = (WHITE, (0.9, 0.85, 0.7))[rng.integers(2)]
    model.add(
        box(
            (0.1 * length, 0, 0.26 * length),
            (0.2 * length, 0.2 * length, 0.26 * length),
        ),
        house,
    )
    model.add(
        box(
            (0.1 * length, 0, 0.4 * length),
            (0.24 * length, 0.24 * length, 0.025 * length),
        ),
        colour,
    )
    model.add(
        box(
            (0.1 * length, 0, 0.325 * length),
            (0.205 * length, 0.165 * length, 0.07 * length),
        ),
        GLASS,
        0.9,
    )
    model.add(
        box(
            (0.1 * length, 0, 0.325 * length),
            (0.15 * length, 0.205 * length, 0.07 * length),
        ),
        GLASS,
        0.9,
    )
    model.add(
        rod(
            (-0.12 * length, 0, 0.12 * length),
            (-0.12 * length, 0, 0.62 * length),
            0.012 * length,
        ),
        WOOD,
    )
    model.add(
        rod(
            (-0.12 * length, 0, 0.3 * length),
            (-0.45 * length, 0, 0.52 * length),
            0.01 * length,
        ),
        WOOD,
    )
    model.add(
        rod(
            (-0.12 * length, 0, 0.62 * length),
            (0.5 * length, 0, 0.2 * length),
            0.003 * length,
            sides=5,
        ),
        BLACK,
    )
    model.add(
        box(
            (-0.3 * length, 0, 0.16 * length),
            (0.16 * length, 0.16 * length, 0.08 * length),
        ),
        (0.85, 0.5, 0.2),
    )


def _ship(model, rng):
    length, colour = (
        rng.uniform(40, 70),
        [(0.2, 0.24, 0.32), (0.55, 0.16, 0.15), WHITE, (0.18, 0.35, 0.3)][
            rng.integers(4)
        ],
    )
    add_hull(
        model,
        rng,
        length,
        0.17 * length,
        2,
        0.075 * length,
        colour,
        (0.6, 0.35, 0.28),
        sheer=0.5,
    )
    if rng.random() < 0.5:  # passenger ship: decks with rows of windows
        for deck in range(3):
            z, half = (0.095 + 0.042 * deck) * length, (0.37 - 0.05 * deck) * length
            model.add(
                ball(
                    (-0.04 * length, 0, z),
                    (half, (0.07 - 0.006 * deck) * length, 0.022 * length),
                    0.25,
                ),
                WHITE,
                0.4,
            )
            for side in (1, -1):
                for x in np.arange(-0.85 * half, 0.8 * half, 0.028 * length):
                    model.add(
                        box(
                            (
                                -0.04 * length + x,
                                side * (0.0705 - 0.006 * deck) * length,
                                z,
                            ),
                            (0.014 * length, 0.003 * length, 0.015 * length),
                        ),
                        GLASS,
                        0.8,
                    )
        model.add(
            lathe(
                [(0.03 * length, 0), (0.026 * length, 0.1 * length), (0, 0.1 * length)],
                (-0.1 * length, 0, 0.19 * length),
            ),
            paint(rng),
            0.4,
        )
    else:  # cargo ship: bridge at the stern, containers
        model.add(
            box(
                (-0.38 * length, 0, 0.14 * length),
                (0.1 * length, 0.14 * length, 0.16 * length),
            ),
            WHITE,
        )
        model.add(
            box(
                (-0.38 * length, 0, 0.2 * length),
                (0.105 * length, 0.145 * length, 0.02 * length),
            ),
            GLASS,
            0.9,
        )
        model.add(
            lathe(
                [
                    (0.016 * length, 0),
                    (0.016 * length, 0.06 * length),
                    (0, 0.06 * length),
                ],
                (-0.41 * length, 0, 0.22 * length),
            ),
            paint(rng),
        )
        for column in range(7):
            for level in range(rng.integers(1, 4)):
                for y in (-0.035, 0.035):
                    model.add(
                        box(
                            (
                                (-0.25 + 0.09 * column) * length,
                                y * length,
                                (0.09 + 0.036 * level) * length,
                            ),
                            (0.083 * length, 0.062 * length, 0.034 * length),
                        ),
                        paint(rng),
                    )


# --------------------------------------------------------------------------------------
# ----------
# Trains: z = 0 is the top of the rails; the first car looks along +x


def bogie(model, x, radius=0.45, gauge=1.44):
    for shift in (-0.85, 0.85):
        for side in (1, -1):
            model.add(
                lathe(
                    [(0, -0.06), (radius, -0.06), (radius, 0.06), (0, 0.06)],
                    (x + shift, side * gauge / 2, radius),
                    axis="y",
                ),
                (0.3, 0.29, 0.29),
                0.5,
            )
    model.add(box((x, 0, 0.55), (2.6, 1.7, 0.3)), BLACK)


def coach(model, rng, start, length, colours, height=3.7, width=2.9, doors=True):
    """A passenger car with its front end at x = start: lower band, windows, roof."""
    body, band, roof = colours
    middle = start - length / 2
    xs = np.array([start, start - length])
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False) + np.pi / 28
    c, s = np.cos(angle), np.sin(angle)
    y, z = (
        np.sign(c) * np.abs(c) ** 0.28 * width / 2,
        (height + 0.75) / 2 + np.sign(s) * np.abs(s) ** 0.4 * (height - 0.75) / 2,
    )
    model.add(
        loft([np.stack([np.full(28, x), y, z], axis=1) for x in xs]),
        lambda p: np.where((p[:, 2] > height - 0.35)[:, None], roof, body),
        0.5,
    )
    for side in (1, -1):
        model.add(
            box((middle, side * width / 2, 1.35), (length * 0.998, 0.03, 0.35)),
            band,
            0.4,
        )
        model.add(
            box((middle, side * width / 2, 2.35), (length * 0.94, 0.03, 1.0)),
            BLACK,
            0.6,
        )
        for x in np.arange(middle - 0.43 * length, middle + 0.44 * length, 1.75):
            model.add(
                box((x, side * (width / 2 + 0.012), 2.35), (1.45, 0.03, 0.86)),
                tuple(np.array(GLASS) * rng.uniform(1, 1.9)),
                0.95,
            )
        if doors:
            for x in (middle - 0.33 * length, middle + 0.33 * length):
                model.add(
                    box((x, side * (width / 2 + 0.025), 1.95), (1.3, 0.03, 2.1)),
                    tuple(0.75 * np.array(band)),
                    0.4,
                )
                model.add(
                    box((x, side * (width / 2 + 0.04), 2.4), (0.9, 0.03, 0.9)),
                    GLASS,
                    0.95,
                )
    model.add(box((middle, 0, 0.85), (length * 0.9, width * 0.8, 0.5)), BLACK)
    for x in (middle - 0.33 * length, middle + 0.33 * length):
        bogie(model, x)
    model.add(box((start - length - 0.25, 0, 1.8), (0.6, 1.5, 2.1)), BLACK)


def pantograph(model, x, roof):
    for side in (0.5, -0.5):
        model.add(
            rod((x - 0.9, side, roof), (x + 0.3, side * 0.6, roof + 0.75), 0.04), BLACK
        )
        model.add(
            rod((x + 0.3, side * 0.6, roof + 0.75), (x - 0.5, side, roof + 1.4), 0.035),
            BLACK,
        )
    model.add(rod((x - 0.5, -0.9, roof + 1.4), (x - 0.5, 0.9, roof + 1.4), 0.05), BLACK)


def train(rng, kind=None):
    """Steam locomotive with coaches, high-speed train with a long nose, regional unit,
    tram: two to four cars.
    """
    kind = kind or rng.choice(KINDS["train"])
    model = Model("train")
    {"steam": _steam, "high-speed": _high_speed, "regional": _regional, "tram": _tram}[
        kind
    ](model, rng)
    model.extras |= {"kind": kind, "gauge": 1.44}
    return model


def _colours(rng):
    body = (0.92, 0.92, 0.93) if rng.random() < 0.4 else paint(rng)
    return body, paint(rng), (0.55, 0.56, 0.58)


def _steam(model, rng):
    colour = [
        (0.23, 0.24, 0.25),
        (0.16, 0.36, 0.24),
        (0.2, 0.27, 0.45),
        (0.5, 0.15, 0.15),
    ][rng.integers(4)]
    model.add(rod((-2.2, 0, 2.15), (3.3, 0, 2.15), 0.82, sides=28), colour, 0.6)
    model.add(
        rod((3.3, 0, 2.15), (4.5, 0, 2.15), 0.86, sides=28), (0.24, 0.24, 0.25), 0.5
    )
    model.add(ball((4.5, 0, 2.15), (0.12, 0.8, 0.8)), (0.3, 0.3, 0.31), 0.5)
    for x in (-1.2, 0.6, 2.2):
        model.add(
            rod((x, 0, 2.15), (x + 0.1, 0, 2.15), 0.85, sides=28), (0.85, 0.7, 0.3), 0.9
        )
    model.add(
        lathe(
            [(0.34, 0), (0.26, 0.4), (0.28, 1.0), (0.4, 1.2), (0.3, 1.2), (0, 1.0)],
            (3.9, 0, 2.85),
        ),
        (0.22, 0.22, 0.22),
    )
    for x in (0.2, 1.9):
        model.add(
            ball((x, 0, 2.95), (0.36, 0.36, 0.42)),
            (0.86, 0.7, 0.28) if x < 1 else colour,
            0.9,
        )
    model.add(box((-3.2, 0, 2.4), (2.1, 2.7, 2.3)), colour, 0.5)
    model.add(box((-3.3, 0, 3.6), (2.7, 3.0, 0.14)), BLACK)
    for side in (1, -1):
        model.add(
            box((-3.1, side * 1.36, 2.8), (1.0, 0.03, 0.8)), (0.15, 0.16, 0.18), 0.9
        )
        for x in (-1.7, 0.0, 1.7):  # driving wheels with spokes and the coupling rod
            model.add(
                lathe(
                    [(0, -0.05), (0.8, -0.05), (0.8, 0.05), (0, 0.05)],
                    (x, side * 0.8, 0.8),
                    axis="y",
                ),
                (0.62, 0.14, 0.13),
            )
            for turn in np.arange(8) * np.pi / 4:
                model.add(
                    rod(
                        (x, side * 0.88, 0.8),
                        (x + 0.7 * np.cos(turn), side * 0.88, 0.8 + 0.7 * np.sin(turn)),
                        0.045,
                        sides=6,
                    ),
                    (0.3, 0.3, 0.3),
                )
        model.add(box((0.0, side * 0.98, 0.62), (3.9, 0.06, 0.14)), CHROME, 0.9)
        model.add(
            rod((3.2, side * 1.0, 0.95), (4.3, side * 1.0, 0.95), 0.34),
            (0.25, 0.25, 0.26),
        )
        model.add(rod((4.9, side * 0.8, 1.1), (5.3, side * 0.8, 1.1), 0.08), STEEL)
        model.add(ball((5.32, side * 0.8, 1.1), (0.06, 0.24, 0.24)), STEEL)
    model.add(box((0.6, 0, 1.25), (8.4, 1.9, 0.2)), BLACK)
    model.add(box((4.85, 0, 1.05), (0.15, 2.5, 0.4)), (0.75, 0.1, 0.1))
    model.add(
        plate([(0, -1.0), (0.8, 0), (0, 1.0)], 0.5, "z", (4.95, 0, 0.5)),
        (0.35, 0.35, 0.36),
    )
    model.add(ball((4.66, 0, 3.05), (0.2, 0.2, 0.22)), LAMP, 0.9)
    bogie(model, 3.7, 0.4)
    # the tender and its coal
    model.add(box((-6.6, 0, 1.9), (4.0, 2.6, 1.6)), colour, 0.4)
    for _ in range(24):
        model.add(
            ball(
                (-6.6 + rng.uniform(-1.7, 1.7), rng.uniform(-1, 1), 2.75),
                rng.uniform(0.2, 0.38),
                count=6,
            ),
            (0.22, 0.21, 0.21),
        )
    bogie(model, -6.6)
    for k in range(rng.integers(1, 3)):
        coach(model, rng, -9.2 - 12.8 * k, 12, _colours(rng))


def nose(model, colours, length, height, width, end, sharp):
    """The front car's nose from x = end forwards: sections that shrink and sink."""
    body, band, roof = colours
    sections = []
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False) + np.pi / 28
    c, s = np.cos(angle), np.sin(angle)
    for t in np.linspace(0, 1, 10):
        shrink = np.sqrt(max(0.02, 1 - t**2)) if not sharp else 1 - 0.82 * t**1.35
        top = 0.75 + (height - 0.75) * (shrink if sharp else 0.35 + 0.65 * shrink)
        half = width / 2 * (0.45 + 0.55 * np.sqrt(1 - 0.99 * t**2))
        y, z = (
            np.sign(c) * np.abs(c) ** 0.35 * half,
            (top + 0.6) / 2 + np.sign(s) * np.abs(s) ** 0.5 * (top - 0.6) / 2,
        )
        sections.append(np.stack([np.full(28, end + t * length), y, z], axis=1))
    model.add(
        loft(sections), lambda p: np.where((p[:, 2] < 1.5)[:, None], band, body), 0.7
    )


def _high_speed(model, rng):
    colours = _colours(rng)
    nose(model, colours, 5.0, 3.7, 2.9, 0, True)
    model.add(
        ball((2.0, 0, 2.55), (1.0, 0.92, 0.42), pitch=24), (0.13, 0.16, 0.2), 0.95
    )
    for side in (1, -1):
        model.add(
            ball((4.2, side * 0.62, 1.25), (0.35, 0.16, 0.12), pitch=20), LAMP, 0.9
        )
    for k in range(rng.integers(2, 4)):
        coach(model, rng, -0.1 - 18.6 * k, 18, colours, doors=k > 0)
    pantograph(model, -12, 3.7)


def _regional(model, rng):
    colours = _colours(rng)
    nose(model, colours, 1.1, 3.7, 2.9, 0, False)
    model.add(ball((0.72, 0, 2.55), (0.3, 1.18, 0.55), 0.5), (0.13, 0.16, 0.2), 0.95)
    for side in (1, -1):
        model.add(ball((0.98, side * 0.85, 1.35), (0.12, 0.2, 0.12)), LAMP, 0.9)
        model.add(ball((0.98, side * 0.85, 1.75), (0.1, 0.12, 0.08)), REAR, 0.8)
    model.add(box((0.92, 0, 3.2), (0.1, 1.3, 0.24)), (0.98, 0.78, 0.2))
    model.add(rod((0.9, 0, 0.85), (1.45, 0, 0.85), 0.16), BLACK)
    for k in range(rng.integers(2, 4)):
        coach(model, rng, -0.1 - 15.6 * k, 15, colours)
    if rng.random() < 0.6:
        pantograph(model, -9, 3.7)


def _tram(model, rng):
    colours = _colours(rng)
    nose(model, colours, 0.7, 3.3, 2.4, 0, False)
    model.add(ball((0.42, 0, 2.2), (0.26, 1.05, 0.68), 0.45), (0.15, 0.18, 0.23), 0.95)
    model.add(box((0.6, 0, 3.05), (0.12, 1.2, 0.25)), (0.98, 0.78, 0.2))
    for side in (1, -1):
        model.add(ball((0.66, side * 0.7, 1.15), (0.1, 0.18, 0.12)), LAMP, 0.9)
    for k in range(3):
        coach(model, rng, -0.1 - 8.0 * k, 7.5, colours, height=3.3, width=2.4)
    pantograph(model, -5, 3.3)


BUILDERS = {"aeroplane": aeroplane, "boat": boat, "train": train}
