"""Car, bus, bicycle and motorbike."""

import numpy as np
from shapes import Model, ball, box, lathe, loft, ring, rod, sheet, tube

KINDS = {
    "car": ("saloon", "estate", "van", "sports", "beetle", "pickup"),
    "bus": ("single-decker", "double-decker", "coach", "school bus"),
    "bicycle": ("racing", "city", "mountain", "child"),
    "motorbike": ("cruiser", "sport", "scooter", "classic"),
}
PAINTS = (
    (0.78, 0.12, 0.13),
    (0.14, 0.28, 0.62),
    (0.9, 0.9, 0.9),
    (0.3, 0.31, 0.34),
    (0.72, 0.74, 0.77),
    (0.16, 0.42, 0.27),
    (0.93, 0.75, 0.15),
    (0.9, 0.47, 0.13),
    (0.45, 0.66, 0.82),
    (0.5, 0.16, 0.25),
    (0.86, 0.82, 0.7),
)
TYRE, GLASS, CHROME, LAMP, REAR, BLACK = (
    (0.2, 0.2, 0.21),
    (0.2, 0.26, 0.32),
    (0.78, 0.79, 0.82),
    (0.97, 0.96, 0.85),
    (0.8, 0.08, 0.08),
    (0.22, 0.22, 0.23),
)


def paint(rng):
    return PAINTS[rng.integers(len(PAINTS))]


def wheel(model, x, y, radius, width, rim=CHROME, outwards=1):
    """A car or bus wheel: tyre with rounded shoulders and a rim with five spokes on the
    outer side.
    """
    half = width / 2
    model.add(
        lathe(
            [
                (0.55 * radius, -half),
                (0.92 * radius, -half),
                (radius, -0.6 * half),
                (radius, 0.6 * half),
                (0.92 * radius, half),
                (0.55 * radius, half),
            ],
            (x, y, radius),
            axis="y",
        ),
        TYRE,
    )
    face = y + outwards * half * 0.85
    model.add(
        lathe(
            [(0.0, -0.01), (0.66 * radius, -0.01), (0.66 * radius, 0.01), (0, 0.01)],
            (x, face, radius),
            axis="y",
        ),
        (0.42, 0.43, 0.45),
    )
    for turn in np.arange(5) * 2 * np.pi / 5 + x:
        end = np.array(
            [
                x + 0.6 * radius * np.cos(turn),
                face + outwards * 0.015,
                radius + 0.6 * radius * np.sin(turn),
            ]
        )
        model.add(
            rod((x, face + outwards * 0.03, radius), end, 0.09 * radius, sides=8),
            rim,
            0.6,
        )
    model.add(ring((x, face, radius), 0.64 * radius, 0.05 * radius), rim, 0.6)


def mirrored_sides(width):
    return ((width / 2, 1), (-width / 2, -1))


# --------------------------------------------------------------------------------------
# ----------
# Cars

# side view: (x, z) of the body's upper edge from rear to front; the cabin's corners;
# places and radius of the wheels
CARS = {
    "saloon": dict(
        length=4.5,
        width=1.75,
        deck=[
            (-2.25, 0.62),
            (-2.2, 0.92),
            (-1.3, 0.97),
            (0.75, 0.95),
            (1.95, 0.8),
            (2.25, 0.62),
        ],
        cabin=[(-1.65, 0.93), (-1.05, 1.4), (0.2, 1.42), (1.0, 0.92)],
        wheels=(-1.35, 1.4),
        radius=0.32,
    ),
    "estate": dict(
        length=4.3,
        width=1.75,
        deck=[
            (-2.15, 0.6),
            (-2.12, 0.98),
            (-1.2, 0.98),
            (0.75, 0.95),
            (1.85, 0.82),
            (2.15, 0.62),
        ],
        cabin=[(-2.08, 0.95), (-1.85, 1.46), (0.2, 1.48), (1.05, 0.92)],
        wheels=(-1.3, 1.35),
        radius=0.33,
    ),
    "van": dict(
        length=4.9,
        width=1.95,
        deck=[
            (-2.45, 0.6),
            (-2.45, 1.15),
            (-1.0, 1.15),
            (1.4, 1.12),
            (2.2, 1.0),
            (2.45, 0.65),
        ],
        cabin=[(-2.42, 1.1), (-2.38, 2.1), (1.0, 2.12), (1.85, 1.1)],
        wheels=(-1.5, 1.55),
        radius=0.35,
    ),
    "sports": dict(
        length=4.2,
        width=1.8,
        deck=[
            (-2.1, 0.55),
            (-2.05, 0.86),
            (-1.2, 0.88),
            (0.6, 0.8),
            (1.8, 0.62),
            (2.1, 0.48),
        ],
        cabin=[(-1.5, 0.84), (-0.7, 1.16), (-0.05, 1.18), (0.85, 0.76)],
        wheels=(-1.3, 1.35),
        radius=0.33,
    ),
    "beetle": dict(
        length=4.0,
        width=1.6,
        deck=[
            (-2.0, 0.5),
            (-1.8, 0.82),
            (-1.0, 0.95),
            (0.8, 0.92),
            (1.6, 0.85),
            (2.0, 0.5),
        ],
        cabin=[(-1.6, 0.85), (-0.85, 1.42), (0.15, 1.46), (0.85, 0.9)],
        wheels=(-1.2, 1.25),
        radius=0.33,
    ),
    "pickup": dict(
        length=5.1,
        width=1.9,
        deck=[
            (-2.55, 0.65),
            (-2.55, 1.05),
            (-0.5, 1.05),
            (1.0, 1.08),
            (2.35, 1.0),
            (2.55, 0.7),
        ],
        cabin=[(-0.65, 1.02), (-0.5, 1.68), (0.55, 1.7), (1.25, 1.05)],
        wheels=(-1.6, 1.6),
        radius=0.4,
    ),
}


def car(rng, kind=None):
    """Saloon, estate, van, sports car, beetle or pickup in eleven paints, with windows,
    lamps, plates, mirrors.
    """
    kind = kind or rng.choice(KINDS["car"])
    form, colour = CARS[kind], paint(rng)
    model, width = Model("car"), form["width"] * rng.uniform(0.97, 1.03)
    _car_body(model, form, width, colour)
    _car_cabin(model, form, width, colour)
    _car_details(model, rng, form, width, colour)
    for x in form["wheels"]:
        for y, side in mirrored_sides(width):
            wheel(model, x, y - side * 0.1, form["radius"], 0.22, outwards=side)
    if kind == "pickup":
        model.add(box((-1.55, 0, 1.06), (1.85, width - 0.3, 0.04)), BLACK)
    if kind in ("saloon", "estate") and rng.random() < 0.2:
        model.add(
            box((-0.4, 0, form["cabin"][1][1] + 0.09), (0.22, 0.6, 0.14)),
            (0.97, 0.85, 0.2),
        )
    stretch = np.diag([rng.uniform(0.95, 1.06), 1.0, rng.uniform(0.97, 1.05), 1.0])
    model = model.transformed(stretch)
    model.extras["kind"] = kind
    return model


def _section(x, bottom, top, width, round_top, count=20):
    """A cross-section at x: a rectangle with a rounded, slightly narrower top."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + np.pi / count
    c, s = np.cos(angle), np.sin(angle)
    y = (
        np.sign(c)
        * np.abs(c) ** 0.32
        * width
        / 2
        * np.where(s > 0, 1 - round_top * np.abs(s) ** 3, 1 - 0.08 * np.abs(s) ** 3)
    )
    z = (top + bottom) / 2 + np.sign(s) * np.abs(s) ** 0.42 * (top - bottom) / 2
    return np.stack([np.full(count, x), y, z], axis=1)


def _car_body(model, form, width, colour):
    deck, floor = np.array(form["deck"]), 0.22
    half = form["length"] / 2
    xs = np.concatenate(
        [
            [-half, -half + 0.06],
            np.linspace(-half + 0.2, half - 0.25, 16),
            [half - 0.06, half],
        ]
    )
    tops = np.interp(xs, deck[:, 0], deck[:, 1])
    taper = 1 - 0.16 * np.clip((np.abs(xs) - half + 0.55) / 0.55, 0, 1) ** 2
    sections = [
        _section(x, floor + (0.12 if abs(x) > half - 0.1 else 0), top, width * t, 0.1)
        for x, top, t in zip(xs, tops, taper, strict=True)
    ]
    model.add(loft(sections), colour, 0.7)
    radius = form["radius"]
    for x in form["wheels"]:  # dark wheel arches, a little wider than the body
        for y, side in mirrored_sides(width):
            model.add(
                lathe(
                    [
                        (0, -0.02),
                        (1.2 * radius, -0.02),
                        (1.2 * radius, 0.02),
                        (0, 0.02),
                    ],
                    (x, y * 1.0 - side * 0.012, radius),
                    axis="y",
                ),
                BLACK,
            )
    model.add(box((0, 0, 0.27), (form["length"] * 0.55, width * 1.005, 0.1)), BLACK)


def _car_cabin(model, form, width, colour):
    (x0, z0), (x1, z1), (x2, z2), (x3, z3) = form["cabin"]

    def frame(shrink, lift):
        sections = []
        for t in np.linspace(0, 1, 9):
            rear, front = x0 + (x1 - x0) * t, x3 + (x2 - x3) * t
            z = (z0 + z3) / 2 - 0.04 + ((z1 + z2) / 2 - (z0 + z3) / 2 + 0.04 + lift) * t
            w = width * (0.93 - 0.2 * t**1.5) * shrink
            angle = np.linspace(0, 2 * np.pi, 32, endpoint=False) + np.pi / 32
            c, s = np.cos(angle), np.sin(angle)
            x = (rear + front) / 2 + np.sign(c) * np.abs(c) ** 0.3 * (
                front - rear
            ) / 2 * shrink
            sections.append(
                np.stack(
                    [x, np.sign(s) * np.abs(s) ** 0.3 * w / 2, np.full(32, z)], axis=1
                )
            )
        return sections

    model.add(loft(frame(1.0, 0)), GLASS, 0.95)
    roof = frame(1.0, 0)[-1]
    cover = [
        roof + [0, 0, -0.03],
        roof * [1, 1.015, 1] + [0, 0, 0.0],
        roof * [0.96, 0.96, 1] + [0, 0, 0.045],
        roof * [0.7, 0.75, 1] + [0, 0, 0.065],
    ]
    model.add(loft(cover), colour, 0.7)
    bottoms, tops = frame(1.012, 0)[0], frame(1.012, 0)[-1]
    for k in (2, 6, 9, 14, 18, 22, 25, 30):  # pillars
        model.add(rod(bottoms[k], tops[k], 0.04, 0.032, sides=8), colour, 0.6)


def _car_details(model, rng, form, width, colour):
    half = form["length"] / 2
    nose, tail = form["deck"][-1][1], form["deck"][1][1]
    for y in (-1, 1):
        model.add(
            ball((half - 0.1, y * 0.33 * width, nose - 0.02), (0.12, 0.17, 0.085), 0.7),
            LAMP,
            0.9,
        )
        model.add(
            ball(
                (-half + 0.05, y * 0.36 * width, tail - 0.14), (0.06, 0.15, 0.09), 0.5
            ),
            REAR,
            0.8,
        )
        model.add(
            ball(
                (
                    form["cabin"][3][0] - 0.25,
                    y * (width / 2 + 0.06),
                    form["cabin"][3][1] + 0.08,
                ),
                (0.06, 0.1, 0.07),
            ),
            colour,
            0.6,
        )
        for x in (-0.35, 0.35):
            model.add(
                box(
                    (x, y * (width / 2 + 0.004), 0.82 * form["cabin"][0][1]),
                    (0.16, 0.02, 0.025),
                ),
                CHROME,
                0.8,
            )
        for x in (-0.85, 0.05, 0.92):
            model.add(
                box((x, y * width / 2 * 0.999, 0.63), (0.014, 0.012, 0.5)),
                tuple(0.55 * np.array(colour)),
            )
    model.add(box((half - 0.02, 0, nose - 0.13), (0.06, 0.5 * width, 0.1)), BLACK)
    model.add(
        box((half - 0.03, 0, 0.38), (0.1, 0.86 * width, 0.13)),
        tuple(0.5 * np.array(colour)) if rng.random() < 0.5 else CHROME,
    )
    model.add(box((half + 0.03, 0, 0.42), (0.02, 0.45, 0.1)), (0.95, 0.93, 0.75))
    model.add(box((-half + 0.02, 0, 0.4), (0.1, 0.86 * width, 0.13)), BLACK)
    model.add(box((-half - 0.01, 0, tail - 0.3), (0.02, 0.45, 0.1)), (0.95, 0.93, 0.75))


# --------------------------------------------------------------------------------------
# ----------
# Buses


def bus(rng, kind=None):
    """Single-decker, double-decker, coach, or yellow school bus with a bonnet: rows of
    windows, doors, destination sign.
    """
    kind = kind or rng.choice(KINDS["bus"])
    length, height = {
        "single-decker": (11, 3.0),
        "double-decker": (10.2, 4.35),
        "coach": (12, 3.5),
        "school bus": (9.5, 3.0),
    }[kind]
    length *= rng.uniform(0.92, 1.05)
    colour = (
        {"double-decker": (0.78, 0.1, 0.12), "school bus": (0.95, 0.72, 0.1)}.get(
            kind, paint(rng)
        )
        if rng.random() < 0.8 or kind == "school bus"
        else paint(rng)
    )
    second = (
        tuple(np.clip(np.array(colour) * 0.6, 0, 1))
        if rng.random() < 0.5
        else (0.92, 0.92, 0.9)
    )
    model, width, floor = Model("bus"), 2.5, 0.38
    body = box((0, 0, (floor + height) / 2), (length, width, height - floor))
    model.add(
        body, lambda p: np.where((p[:, 2] < floor + 0.01)[:, None], second, colour), 0.5
    )
    model.add(
        box((0, 0, floor + 0.28), (length * 1.002, width * 1.006, 0.3)), second, 0.4
    )
    model.add(
        ball((0, 0, height), (length / 2 * 0.99, width / 2 * 0.98, 0.1), 0.2),
        (0.9, 0.9, 0.88) if kind != "double-decker" else colour,
    )
    decks = (
        ((1.25, 2.1), (2.75, 3.65))
        if kind == "double-decker"
        else ((1.35, 2.45),)
        if kind != "coach"
        else ((1.6, 2.95),)
    )
    for low, high in decks:
        _window_row(
            model, rng, length, width, low, high, 1.35 if kind != "coach" else 1.7
        )
    _bus_ends(model, length, width, floor, height, decks, kind, colour)
    for y, side in mirrored_sides(width):
        for x in (
            (-0.3 * length, 0.36 * length)
            if kind != "coach"
            else (-0.32 * length, -0.2 * length, 0.33 * length)
        ):
            model.add(
                lathe(
                    [(0, -0.02), (0.62, -0.02), (0.62, 0.02), (0, 0.02)],
                    (x, y, 0.5),
                    axis="y",
                ),
                BLACK,
            )
            wheel(model, x, y - side * 0.1, 0.5, 0.28, outwards=side)
    for x in (0.43 * length, -0.02 * length):  # doors on the right side
        model.add(box((x, -width / 2 - 0.005, floor + 1.1), (1.05, 0.04, 2.05)), BLACK)
        for shift in (-0.26, 0.26):
            model.add(
                box((x + shift, -width / 2 - 0.02, floor + 1.15), (0.42, 0.03, 1.75)),
                GLASS,
                0.9,
            )
    if kind == "school bus":
        model.add(
            ball((length / 2 + 0.7, 0, 1.0), (0.95, 1.05, 0.62), 0.4), colour, 0.5
        )
        model.add(box((length / 2 + 1.55, 0, 0.95), (0.06, 1.2, 0.6)), BLACK)
        for y, side in mirrored_sides(2.2):
            wheel(model, length / 2 + 0.8, y, 0.5, 0.28, outwards=side)
            model.add(
                ball((length / 2 + 1.55, 0.72 * side, 1.15), (0.08, 0.15, 0.15)),
                LAMP,
                0.9,
            )
    model.extras["kind"] = kind
    return model


def _window_row(model, rng, length, width, low, high, pitch):
    count = int((length - 0.7) / pitch)
    start = -(count - 1) / 2 * pitch
    for y, _ in mirrored_sides(width):
        model.add(
            box((0, y, (low + high) / 2), (length - 0.5, 0.03, high - low + 0.12)),
            BLACK,
            0.4,
        )
        for k in range(count):
            shade = tuple(np.array(GLASS) * rng.uniform(0.9, 1.9))
            model.add(
                box(
                    (start + k * pitch, y * 1.006, (low + high) / 2),
                    (pitch - 0.13, 0.035, high - low),
                ),
                shade,
                0.95,
            )


def _bus_ends(model, length, width, floor, height, decks, kind, colour):
    front, back = length / 2, -length / 2
    low, high = decks[0]
    model.add(
        box(
            (front, 0, (low + high) / 2 - 0.05), (0.05, width - 0.25, high - low + 0.35)
        ),
        GLASS,
        0.95,
    )
    if len(decks) == 2:
        model.add(
            box((front, 0, sum(decks[1]) / 2), (0.05, width - 0.25, 0.95)), GLASS, 0.95
        )
        model.add(
            box((back, 0, sum(decks[1]) / 2), (0.05, width - 0.7, 0.8)), GLASS, 0.95
        )
    sign = 2.43 if len(decks) == 2 else height - 0.24
    model.add(box((front + 0.01, 0, sign), (0.06, 1.5, 0.3)), BLACK)
    for k in range(5):
        model.add(
            box((front + 0.045, -0.5 + 0.25 * k, sign), (0.01, 0.15, 0.17)),
            (0.98, 0.75, 0.15),
        )
    model.add(
        box((back, 0, (low + high) / 2), (0.05, width - 0.8, high - low)), GLASS, 0.9
    )
    for y in (-1, 1):
        model.add(
            ball((front, y * 0.85, floor + 0.42), (0.07, 0.2, 0.13), 0.6), LAMP, 0.9
        )
        model.add(
            ball((back, y * 1.0, floor + 0.55), (0.06, 0.12, 0.22), 0.5), REAR, 0.7
        )
        model.add(
            tube(
                [
                    (front - 0.1, y * width / 2, 2.3),
                    (front + 0.25, y * (width / 2 + 0.18), 2.15),
                    (front + 0.25, y * (width / 2 + 0.18), 1.75),
                ],
                [0.03, 0.03, 0.08],
                sides=8,
            ),
            BLACK,
        )
    model.add(
        box((front + 0.01, 0, floor + 0.12), (0.06, 0.5, 0.11)), (0.95, 0.93, 0.75)
    )


# --------------------------------------------------------------------------------------
# ----------
# Two wheels


def spoked_wheel(model, x, radius, tyre, colour=TYRE, rim=CHROME, spokes=14):
    """A bicycle's or motorbike's wheel in the x-z plane."""
    model.add(ring((x, 0, radius), radius - tyre, tyre, sides=44), colour)
    model.add(
        ring((x, 0, radius), radius - 2.1 * tyre, 0.45 * tyre, sides=44, section=8),
        rim,
        0.8,
    )
    model.add(rod((x, -0.05, radius), (x, 0.05, radius), 0.03, sides=10), rim, 0.8)
    for k in range(spokes):
        turn = 2 * np.pi * k / spokes
        end = (
            x + (radius - 2 * tyre) * np.cos(turn),
            0.0,
            radius + (radius - 2 * tyre) * np.sin(turn),
        )
        model.add(
            rod((x, 0.03 * (-1) ** k, radius), end, 0.0045, sides=5),
            (0.7, 0.71, 0.73),
            0.6,
        )


def bicycle(rng, kind=None):
    """Racing, city (low step, mudguards, basket), mountain, or child's bicycle."""
    kind = kind or rng.choice(KINDS["bicycle"])
    model, colour = Model("bicycle"), paint(rng)
    radius = {"child": 0.25, "mountain": 0.335}.get(kind, 0.345)
    tyre = {"racing": 0.014, "mountain": 0.032, "child": 0.024}.get(kind, 0.021)
    scale = radius / 0.345 if kind == "child" else 1.0
    rear, front = -0.5 * scale, 0.54 * scale
    crank, seat_top = (
        np.array([-0.06 * scale, 0, 0.3 * scale]),
        np.array([-0.24 * scale, 0, (0.93 if kind != "child" else 0.78) * scale]),
    )
    head_top, head_low = (
        np.array([0.36, 0, 0.86]) * scale,
        np.array([0.42, 0, 0.62]) * scale,
    )
    seat_cluster = crank + (seat_top - crank) * 0.83
    pipe = 0.021 if kind == "mountain" else 0.0165
    for a, b in [(crank, seat_top), (crank, head_low), (head_top, head_low)]:
        model.add(rod(a, b, pipe), colour, 0.6)
    if kind == "city":  # low step
        model.add(
            tube(
                [
                    head_low + [0, 0, 0.06],
                    (0.1, 0, 0.42),
                    seat_cluster * 0.45 + crank * 0.55,
                ],
                pipe,
                sides=10,
            ),
            colour,
            0.6,
        )
    else:
        model.add(rod(head_top, seat_cluster, pipe), colour, 0.6)
    for side in (0.045, -0.045):
        hub = np.array([rear, side, radius])
        model.add(rod(crank + [0, 0.3 * side, 0], hub, 0.011), colour, 0.6)
        model.add(rod(seat_cluster + [0, 0.3 * side, 0], hub, 0.011), colour, 0.6)
        model.add(
            tube(
                [
                    head_low + [0, 0.8 * side, 0],
                    head_low + [0.05 * scale, side, -0.13 * scale],
                    (front, side, radius),
                ],
                0.013,
                sides=10,
            ),
            colour,
            0.6,
        )
    for x in (rear, front):
        spoked_wheel(model, x, radius, tyre)
        if kind == "city":
            turn = np.linspace(0.1, 2.6, 9)
            model.add(
                tube(
                    [
                        (
                            x + (radius + 0.025) * np.cos(t),
                            0,
                            radius + (radius + 0.025) * np.sin(t),
                        )
                        for t in turn
                    ],
                    0.02,
                    sides=8,
                ),
                tuple(0.8 * np.array(colour)),
                0.5,
            )
    model.add(ball(seat_top + [0.0, 0, 0.02], (0.13 * scale, 0.062, 0.032)), BLACK)
    grips = _handlebar(model, kind, head_top, scale)
    pedals = _drive(model, crank, rear, radius, scale)
    if kind == "city" and rng.random() < 0.6:
        model.add(
            lathe(
                [
                    (0, 0),
                    (0.13, 0),
                    (0.17, 0.22),
                    (0.155, 0.22),
                    (0.12, 0.02),
                    (0, 0.02),
                ],
                (0.55, 0, 0.84),
            ),
            (0.66, 0.48, 0.27),
        )
    model.extras |= {
        "kind": kind,
        "seat": seat_top[None] + [0, 0, 0.04],
        "grips": grips,
        "pedals": pedals,
    }
    return model


def _handlebar(model, kind, head_top, scale):
    stem = head_top + np.array([0.03, 0, 0.09 if kind != "racing" else 0.04]) * scale
    model.add(rod(head_top, stem, 0.016), CHROME, 0.7)
    grips = []
    for side in (1, -1):
        y = side * (0.29 if kind != "racing" else 0.21) * scale
        if kind == "racing":
            curve = [
                stem,
                stem + [0, y, 0],
                stem + [0.12, y, -0.01],
                stem + [0.13, y, -0.12],
                stem + [0.0, y, -0.15],
            ]
        elif kind == "city":
            curve = [
                stem,
                stem + [0.04, 0.6 * y, 0.06],
                stem + [-0.04, y, 0.07],
                stem + [-0.18, y, 0.04],
            ]
        else:
            curve = [stem, stem + [-0.02, y, 0.03 if kind == "mountain" else 0.14]]
        model.add(
            tube(curve, 0.0125, sides=8), CHROME if kind != "racing" else BLACK, 0.5
        )
        grips.append(curve[-1])
        model.add(
            rod(
                curve[-1] - [0, 0.0, 0],
                np.array(curve[-2]) * 0.35 + np.array(curve[-1]) * 0.65,
                0.019,
            ),
            BLACK,
        )
    return np.array(grips)


def _drive(model, crank, rear, radius, scale):
    model.add(
        lathe(
            [(0.0, -0.005), (0.09, -0.005), (0.09, 0.005), (0, 0.005)],
            crank + [0, -0.05, 0],
            axis="y",
        ),
        BLACK,
        0.5,
    )
    pedals = []
    for side, turn in ((1, 0.5), (-1, 0.5 + np.pi)):
        end = crank + np.array(
            [0.16 * scale * np.cos(turn), side * 0.09, 0.16 * scale * np.sin(turn)]
        )
        model.add(rod(crank + [0, side * 0.06, 0], end, 0.011), CHROME, 0.6)
        model.add(box(end + [0, side * 0.05, 0], (0.09, 0.08, 0.022)), BLACK)
        pedals.append(end + [0, side * 0.05, 0.02])
    for rise in (0.07, -0.07):
        model.add(
            rod(
                crank + [0, -0.05, rise * scale],
                (rear, -0.05, radius + 0.4 * rise),
                0.006,
                sides=6,
            ),
            (0.3, 0.3, 0.3),
        )
    return np.array(pedals)


def motorbike(rng, kind=None):
    """Cruiser, sport bike with fairing, scooter, classic: fat tyres, engine, tank,
    exhaust, lamp.
    """
    kind = kind or rng.choice(KINDS["motorbike"])
    model, colour = Model("motorbike"), paint(rng)
    if kind == "scooter":
        extras = _scooter(model, rng, colour)
    else:
        extras = _motorcycle(model, rng, colour, kind)
    model.extras |= {"kind": kind, **extras}
    return model


def _motorcycle(model, rng, colour, kind):
    radius, tyre = 0.32, {"cruiser": 0.075, "sport": 0.085}.get(kind, 0.062)
    rear, front = -0.68, {"cruiser": 0.92, "sport": 0.7}.get(kind, 0.76)
    for x in (rear, front):
        spoked_wheel(model, x, radius, tyre, spokes=16 if kind != "sport" else 6)
        turn = np.linspace(0.5, 2.5, 8)
        model.add(
            tube(
                [
                    (
                        x + (radius + 0.04) * np.cos(t),
                        0,
                        radius + (radius + 0.04) * np.sin(t),
                    )
                    for t in turn
                ],
                0.055,
                sides=10,
                flat=1.3,
            ),
            colour,
            0.7,
        )
    head = np.array([0.36, 0, 0.92])
    for side in (0.09, -0.09):
        model.add(
            rod((front, side, radius), head + [0, side, 0.02], 0.026), CHROME, 0.9
        )
        model.add(
            rod((rear, 1.2 * side, radius), (-0.12, side, 0.42), 0.03), BLACK, 0.5
        )
        model.add(
            tube(
                [
                    (0.12, 1.3 * side, 0.42),
                    (-0.02, 1.6 * side, 0.26),
                    (-0.35, 1.8 * side, 0.25),
                    (-0.85, 1.8 * side, 0.3),
                ],
                [0.03, 0.035, 0.045, 0.055],
                sides=12,
            ),
            CHROME,
            0.9,
        )
    model.add(ball((0.05, 0, 0.42), (0.24, 0.16, 0.17), 0.5), (0.4, 0.41, 0.43), 0.7)
    for tilt in (-0.12, 0.14):  # two cylinders with fins
        for k in range(5):
            model.add(
                ball(
                    (0.05 + tilt * (1 + 0.25 * k), 0, 0.5 + 0.035 * k),
                    (0.085, 0.11, 0.013),
                    0.5,
                ),
                CHROME,
                0.8,
            )
    model.add(tube([head, (0.1, 0, 0.74), (-0.2, 0, 0.6)], 0.045, sides=10), BLACK, 0.5)
    model.add(ball((0.16, 0, 0.85), (0.28, 0.15, 0.13), 0.8), colour, 0.9)
    model.add(
        tube(
            [(-0.02, 0, 0.8), (-0.3, 0, 0.74), (-0.58, 0, 0.78), (-0.8, 0, 0.82)],
            [0.09, 0.12, 0.11, 0.07],
            sides=14,
            flat=1.15,
        ),
        BLACK,
        0.3,
    )
    model.add(ball((rear - 0.18, 0, 0.72), (0.06, 0.08, 0.05)), REAR, 0.8)
    model.add(
        lathe(
            [(0.0, -0.08), (0.09, -0.07), (0.11, 0.02), (0.1, 0.06), (0, 0.07)],
            head + [0.13, 0, -0.02],
            axis="x",
        ),
        CHROME if kind != "sport" else colour,
        0.9,
    )
    model.add(ball(head + [0.19, 0, -0.02], (0.03, 0.09, 0.09)), LAMP, 0.9)
    rise = {"cruiser": 0.22, "classic": 0.1, "sport": 0.02}[kind]
    grips = np.array(
        [
            [
                head[0] - 0.12 - (0.08 if kind == "cruiser" else 0),
                side * 0.36,
                head[2] + rise + 0.04,
            ]
            for side in (1, -1)
        ]
    )
    for side, grip in zip((1, -1), grips, strict=True):
        model.add(
            tube(
                [head + [0, 0, 0.05], head + [0.02, side * 0.22, rise + 0.04], grip],
                0.017,
                sides=8,
            ),
            CHROME,
            0.9,
        )
        model.add(rod(grip, grip + [0.02, -side * 0.1, 0], 0.026), BLACK)
        model.add(
            rod(
                grip + [0.05, -side * 0.05, 0],
                grip + [0.06, -side * 0.01, 0.14],
                0.008,
                sides=6,
            ),
            CHROME,
        )
        model.add(ball(grip + [0.05, 0, 0.17], (0.02, 0.07, 0.04)), BLACK, 0.7)
    if kind == "sport":
        model.add(ball((0.42, 0, 0.78), (0.36, 0.2, 0.3), 0.75, pitch=-12), colour, 0.9)
        model.add(ball((0.2, 0, 0.52), (0.45, 0.21, 0.23), 0.6), colour, 0.9)
        model.add(ball((0.5, 0, 1.02), (0.16, 0.15, 0.17), pitch=-25), GLASS, 0.95)
        model.add(
            tube([(-0.45, 0, 0.82), (-0.95, 0, 0.98)], [0.13, 0.05], sides=12),
            colour,
            0.9,
        )
    pedals = np.array([[0.08, side * 0.26, 0.3] for side in (1, -1)])
    return {"seat": np.array([[-0.26, 0, 0.87]]), "grips": grips, "pedals": pedals}


def _scooter(model, rng, colour):
    for x in (-0.58, 0.62):
        spoked_wheel(model, x, 0.23, 0.055, spokes=6)
    model.add(ball((-0.45, 0, 0.5), (0.42, 0.24, 0.25), 0.75), colour, 0.9)
    model.add(box((0.12, 0, 0.24), (0.62, 0.36, 0.06)), BLACK)
    shield = [
        [
            (
                0.42 + 0.06 * np.cos(t) - 0.0 * z,
                0.2 * np.sin(t) * (1 - 0.25 * z),
                0.2 + 0.72 * z,
            )
            for t in np.linspace(-1.4, 1.4, 9)
        ]
        for z in np.linspace(0, 1, 6)
    ]
    model.add(sheet(shield), colour, 0.9)
    model.add(ball((0.47, 0, 0.62), (0.06, 0.2, 0.38), 0.8), colour, 0.9)
    model.add(ball((0.62, 0, 0.42), (0.2, 0.085, 0.12)), colour, 0.9)
    model.add(rod((0.62, 0, 0.25), (0.42, 0, 1.0), 0.03), CHROME, 0.8)
    model.add(ball((0.42, 0, 1.02), (0.13, 0.16, 0.09)), colour, 0.9)
    model.add(ball((0.54, 0, 1.03), (0.03, 0.075, 0.075)), LAMP, 0.9)
    model.add(
        tube(
            [(-0.1, 0, 0.78), (-0.4, 0, 0.8), (-0.75, 0, 0.8)],
            [0.09, 0.13, 0.09],
            sides=14,
            flat=1.3,
        ),
        BLACK,
    )
    model.add(ball((-0.87, 0, 0.55), (0.04, 0.08, 0.05)), REAR, 0.8)
    grips = np.array([[0.36, side * 0.33, 1.06] for side in (1, -1)])
    for side, grip in zip((1, -1), grips, strict=True):
        model.add(tube([(0.42, 0, 1.04), grip], 0.018, sides=8), BLACK)
        model.add(
            rod(
                grip + [0, -side * 0.08, 0],
                grip + [0.05, -side * 0.02, 0.17],
                0.008,
                sides=6,
            ),
            CHROME,
        )
        model.add(
            ball(grip + [0.05, -side * 0.02, 0.2], (0.015, 0.065, 0.05)), CHROME, 0.9
        )
    return {
        "seat": np.array([[-0.32, 0, 0.9]]),
        "grips": grips,
        "pedals": np.array([[0.15, side * 0.12, 0.28] for side in (1, -1)]),
    }


BUILDERS = {"bicycle": bicycle, "bus": bus, "car": car, "motorbike": motorbike}
