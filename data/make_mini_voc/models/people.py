"""Persons: a skeleton of joint angles dressed in tubes; men, women and children in
several poses.

A pose is a table of angles in degrees: (forwards swing, outwards swing) of upper arm
and thigh, and the bend of elbow and knee.
"""

import numpy as np
from shapes import Model, ball, plate, rod, rotation, tube

KINDS = {"person": ("man", "woman", "child")}
SKINS = (
    (0.93, 0.76, 0.64),
    (0.87, 0.67, 0.52),
    (0.72, 0.5, 0.36),
    (0.5, 0.33, 0.24),
    (0.36, 0.25, 0.2),
)
HAIR = (
    (0.24, 0.19, 0.16),
    (0.4, 0.26, 0.15),
    (0.82, 0.66, 0.36),
    (0.6, 0.3, 0.15),
    (0.68, 0.68, 0.7),
)
CLOTHES = (
    (0.75, 0.14, 0.16),
    (0.16, 0.3, 0.65),
    (0.2, 0.5, 0.32),
    (0.92, 0.9, 0.86),
    (0.26, 0.27, 0.3),
    (0.9, 0.7, 0.2),
    (0.5, 0.25, 0.52),
    (0.85, 0.45, 0.2),
    (0.55, 0.72, 0.85),
    (0.9, 0.6, 0.68),
    (0.45, 0.47, 0.3),
    (0.3, 0.62, 0.62),
)
TROUSERS = (
    (0.2, 0.26, 0.42),
    (0.25, 0.25, 0.27),
    (0.55, 0.48, 0.36),
    (0.4, 0.42, 0.45),
    (0.32, 0.24, 0.2),
)

# arms: (swing forwards, swing outwards, elbow); legs: (swing forwards, swing outwards,
# knee); left side first
POSES = {
    "standing": (((4, 10, 8), (-3, 10, 10)), ((2, 4, 2), (-2, 4, 2))),
    "walking": (((28, 7, 25), (-26, 7, 18)), ((-22, 2, 14), (26, 2, 8))),
    "running": (((52, 8, 85), (-48, 10, 75)), ((-34, 2, 62), (52, 2, 48))),
    "waving": (((8, 150, 28), (-3, 10, 10)), ((2, 5, 2), (-2, 5, 2))),
    "hands on hips": (((-22, 42, 92), (-22, 42, 92)), ((3, 7, 2), (-3, 7, 2))),
    "pointing": (((82, 12, 6), (-4, 9, 12)), ((3, 5, 2), (-3, 5, 4))),
    "sitting": (((32, 8, 42), (32, 8, 46)), ((84, 7, 84), (86, 7, 86))),
    "bicycle": (((66, 6, 12), (66, 6, 12)), ((42, 4, 62), (72, 4, 78))),
    "motorbike": (((62, 14, 22), (62, 14, 22)), ((66, 16, 84), (66, 16, 84))),
    "horse": (((36, 8, 52), (36, 8, 52)), ((58, 34, 66), (58, 34, 66))),
}
FREE_POSES = ("standing", "walking", "running", "waving", "hands on hips", "pointing")
LEAN = {"running": 12, "bicycle": 38, "motorbike": 18, "horse": 3, "walking": 3}


def limb(start, swing, outwards, bend, upper, lower, side, knee):
    """Joints (start, middle, end) of an arm or leg that hangs down from `start`; knees
    bend backwards, elbows forwards.
    """
    frame = rotation(roll=side * outwards) @ rotation(pitch=-swing)
    middle = start + frame @ np.array([0, 0, -upper])
    lower_frame = rotation(roll=side * outwards) @ rotation(
        pitch=-(swing - bend if knee else swing + bend)
    )
    return np.array(
        [start, middle, middle + lower_frame @ np.array([0, 0, -lower])]
    ), lower_frame


def person(rng, kind=None, pose=None):
    """Man, woman or child in everyday clothes; pose one of POSES, the feet (or a
    sitter's pelvis) in place.
    """
    kind = kind or rng.choice(KINDS["person"], p=(0.42, 0.4, 0.18))
    pose = pose or rng.choice(FREE_POSES, p=(0.3, 0.3, 0.12, 0.1, 0.1, 0.08))
    height = {
        "man": rng.normal(1.78, 0.06),
        "woman": rng.normal(1.66, 0.06),
        "child": rng.uniform(1.0, 1.35),
    }[kind]
    build = (
        rng.uniform(0.92, 1.15)
        * (0.9 if kind == "woman" else 1.0)
        * (1.08 if kind == "child" else 1.0)
    )
    u = height / 1.75  # all lengths below are those of a person 1.75 m tall
    skin, hair, top = (
        SKINS[rng.integers(5)],
        HAIR[rng.integers(5)],
        CLOTHES[rng.integers(len(CLOTHES))],
    )
    legs = (
        CLOTHES[rng.integers(len(CLOTHES))]
        if rng.random() < 0.3
        else TROUSERS[rng.integers(5)]
    )
    model = Model("person")
    pelvis = np.array([0, 0, 0.93 * u])
    lean = rotation(pitch=LEAN.get(pose, 0) + rng.uniform(-2, 4))

    def torso(x, y, z):
        return pelvis + lean @ (np.array([x, y, z]) * u)

    arms, thighs = POSES[pose]
    jitter = 6 if pose in FREE_POSES else 2
    skirt = (
        kind != "man"
        and pose in ("standing", "walking", "waving", "hands on hips", "pointing")
        and rng.random() < 0.38
    )
    shorts = not skirt and rng.random() < 0.2
    feet = _legs(
        model,
        rng,
        pelvis,
        thighs,
        u,
        build,
        legs,
        skin if skirt or shorts else legs,
        jitter,
    )
    if skirt:
        hem = 0.52 * u if rng.random() < 0.5 else 0.4 * u
        model.add(
            tube(
                [pelvis + [0, 0, 0.13 * u], pelvis, (0, 0, 0.7 * u), (0, 0, hem)],
                np.array([0.13, 0.17, 0.2, 0.235]) * u * build,
                sides=24,
                flat=1.15,
            ),
            legs if rng.random() < 0.6 else top,
        )
    _trunk(model, rng, torso, u, build, top, legs, kind)
    sleeves = top if rng.random() < 0.6 else skin
    hands = _arms(model, rng, torso, arms, u, build, top, sleeves, skin, lean, jitter)
    head = _head(model, rng, torso, u, skin, hair, kind, pose, build)
    if pose in FREE_POSES and kind != "child" and rng.random() < 0.2:
        model.add(
            ball(torso(-0.2, 0, 0.36), (0.1 * u, 0.15 * u, 0.2 * u), 0.5),
            CLOTHES[rng.integers(len(CLOTHES))],
        )
    model.extras |= {
        "kind": kind,
        "pose": pose,
        "pelvis": pelvis[None],
        "head": head,
        "hand_left": hands[0],
        "hand_right": hands[1],
        "foot_left": feet[0],
        "foot_right": feet[1],
    }
    return (
        model
        if pose not in FREE_POSES
        else model.moved(offset=(0, 0, -model.bounds[0][2]))
    )


def _legs(model, rng, pelvis, thighs, u, build, trousers, lower_colour, jitter):
    feet = []
    for side, (swing, outwards, knee) in zip((1, -1), thighs, strict=True):
        hip = pelvis + np.array([0, side * 0.095 * u * build, -0.03 * u])
        joints, frame = limb(
            hip,
            swing + rng.normal(0, jitter / 2),
            outwards,
            max(0, knee + rng.normal(0, jitter / 2)),
            0.44 * u,
            0.42 * u,
            side,
            True,
        )
        hip, knee_at, ankle = joints
        model.add(
            tube(
                [hip + [0, 0, 0.05 * u], (hip + knee_at) / 2, knee_at],
                np.array([0.1, 0.085, 0.062]) * u * build,
                sides=14,
            ),
            trousers,
        )
        model.add(
            tube(
                [knee_at, (knee_at * 0.62 + ankle * 0.38), ankle],
                np.array([0.062, 0.06, 0.043]) * u * build,
                sides=14,
            ),
            lower_colour,
        )
        toe = ankle + frame @ np.array([0.15 * u, 0, -0.035 * u])
        heel = ankle + frame @ np.array([-0.045 * u, 0, -0.035 * u])
        mesh = tube(
            [heel, (heel + toe) / 2 + frame @ np.array([0, 0, 0.02 * u]), toe],
            np.array([0.042, 0.047, 0.036]) * u,
            sides=12,
        )
        model.add(
            mesh,
            ((0.22, 0.2, 0.2), (0.42, 0.28, 0.18), (0.88, 0.88, 0.88))[rng.integers(3)],
            0.3,
        )
        feet.append(np.asarray(mesh.points))
    return feet


def _trunk(model, rng, torso, u, build, top, trousers, kind):
    waist = 0.9 if kind == "woman" else 1.0
    hips = 1.06 if kind == "woman" else 0.98
    model.add(
        tube(
            [torso(0, 0, -0.06), torso(0, 0, 0.06)],
            [0.115 * u * build * hips, 0.112 * u * build * hips],
            sides=20,
            flat=1.42,
        ),
        trousers,
    )
    shades = [top, CLOTHES[rng.integers(len(CLOTHES))]]
    direction = torso(0, 0, 1) - torso(0, 0, 0)
    start = torso(0, 0, 0)

    def striped(points):
        along = (points - start) @ direction / (direction @ direction)
        return np.where((np.sin(along * 75) > 0)[:, None], shades[0], shades[1])

    colour = striped if rng.random() < 0.22 else top
    model.add(
        tube(
            [
                torso(0, 0, 0.04),
                torso(0.005, 0, 0.18),
                torso(0.01, 0, 0.35),
                torso(0, 0, 0.47),
                torso(-0.01, 0, 0.535),
            ],
            np.array([0.115 * hips, 0.108 * waist, 0.128, 0.118, 0.065]) * u * build,
            sides=24,
            flat=1.5,
        ),
        colour,
    )


def _arms(model, rng, torso, arms, u, build, top, sleeve, skin, lean, jitter):
    hands = []
    for side, (swing, outwards, elbow) in zip((1, -1), arms, strict=True):
        shoulder = torso(0, side * 0.185 * build, 0.475)
        joints, frame = limb(
            shoulder,
            swing + rng.normal(0, jitter),
            outwards + abs(rng.normal(0, jitter / 3)),
            elbow + rng.normal(0, jitter / 2),
            0.29 * u,
            0.26 * u,
            side,
            False,
        )
        shoulder, elbow_at, wrist = joints
        model.add(ball(shoulder, 0.068 * u * build), top)
        model.add(
            tube(
                [shoulder, (shoulder + elbow_at) / 2, elbow_at],
                np.array([0.06, 0.052, 0.043]) * u * build,
                sides=12,
            ),
            top,
        )
        model.add(
            tube([elbow_at, wrist], np.array([0.043, 0.031]) * u * build, sides=12),
            sleeve,
        )
        palm = wrist + frame @ np.array([0, 0, -0.075 * u])
        mesh = ball(palm, (0.035 * u, 0.026 * u, 0.062 * u), count=10)
        model.add(mesh, skin)
        model.add(tube([wrist, palm], 0.026 * u, sides=8, count=6), skin)
        hands.append(np.asarray(mesh.points))
    return hands


def _head(model, rng, torso, u, skin, hair, kind, pose, build):
    size = 0.113 * u * (1.28 if kind == "child" else 1.06)
    model.add(
        rod(torso(-0.01, 0, 0.5), torso(0.01, 0, 0.62), 0.05 * u, 0.047 * u), skin
    )
    centre = torso(0.03, 0, 0.6) + np.array([0, 0, 0.98 * size])
    skull = ball(centre, (size * 0.98, size * 0.82, size * 1.12))
    model.add(skull, skin)
    model.add(
        ball(
            centre + [0.3 * size, 0, -0.62 * size],
            (0.6 * size, 0.56 * size, 0.5 * size),
        ),
        skin,
    )
    model.add(
        ball(
            centre + [1.0 * size, 0, -0.12 * size],
            (0.16 * size, 0.13 * size, 0.2 * size),
        ),
        skin,
    )
    model.add(
        ball(
            centre + [0.83 * size, 0, -0.55 * size],
            (0.1 * size, 0.28 * size, 0.075 * size),
        ),
        (0.72, 0.35, 0.33),
    )
    for side in (1, -1):
        model.add(
            ball(
                centre + [0.85 * size, side * 0.34 * size, 0.08 * size],
                (0.1 * size, 0.15 * size, 0.1 * size),
                count=9,
            ),
            (0.95, 0.95, 0.94),
            0.6,
        )
        model.add(
            ball(
                centre + [0.92 * size, side * 0.34 * size, 0.08 * size],
                0.085 * size,
                count=8,
            ),
            (0.15, 0.12, 0.1),
            0.8,
        )
        model.add(
            rod(
                centre + [0.89 * size, side * 0.18 * size, 0.3 * size],
                centre + [0.82 * size, side * 0.52 * size, 0.28 * size],
                0.045 * size,
                sides=6,
            ),
            hair,
        )
        model.add(
            ball(
                centre + [0, side * 0.84 * size, -0.05 * size],
                (0.16 * size, 0.08 * size, 0.24 * size),
                count=9,
            ),
            skin,
        )
    _hair(model, rng, centre, size, hair, kind, pose)
    return np.asarray(skull.points)


def _hair(model, rng, centre, size, hair, kind, pose):
    if (
        pose in ("motorbike", "bicycle")
        and rng.random() < 0.85
        or pose == "horse"
        and rng.random() < 0.6
    ):
        helmet = CLOTHES[rng.integers(len(CLOTHES))]
        model.add(
            ball(
                centre + [-0.08 * size, 0, 0.28 * size],
                (1.15 * size, 1.0 * size, 1.0 * size),
            ),
            helmet,
            0.6,
        )
        if pose == "motorbike":
            model.add(
                ball(
                    centre + [-0.05 * size, 0, -0.1 * size],
                    (1.08 * size, 1.02 * size, 1.15 * size),
                ),
                helmet,
                0.6,
            )
            model.add(
                ball(
                    centre + [0.42 * size, 0, 0.1 * size],
                    (0.72 * size, 0.86 * size, 0.38 * size),
                ),
                (0.16, 0.18, 0.22),
                0.9,
            )
        return
    if kind == "man" and rng.random() < 0.12:
        return  # bald
    model.add(
        ball(
            centre + [-0.14 * size, 0, 0.26 * size],
            (1.0 * size, 0.9 * size, 0.98 * size),
        ),
        hair,
    )
    if kind == "woman" or (kind == "child" and rng.random() < 0.5):
        style = rng.integers(3)
        if style == 0:  # long
            model.add(
                tube(
                    [
                        centre + [-0.5 * size, 0, 0.3 * size],
                        centre + [-0.72 * size, 0, -0.7 * size],
                        centre + [-0.7 * size, 0, -1.9 * size],
                    ],
                    np.array([0.75, 0.72, 0.45]) * size,
                    sides=16,
                    flat=1.25,
                ),
                hair,
            )
        elif style == 1:  # bob
            model.add(
                ball(
                    centre + [-0.3 * size, 0, -0.2 * size],
                    (0.85 * size, 1.02 * size, 1.0 * size),
                ),
                hair,
            )
        else:  # bun
            model.add(ball(centre + [-0.95 * size, 0, 0.75 * size], 0.42 * size), hair)
    elif kind == "man" and rng.random() < 0.25:  # beard
        model.add(
            ball(
                centre + [0.38 * size, 0, -0.78 * size],
                (0.58 * size, 0.6 * size, 0.42 * size),
            ),
            hair,
        )
    if rng.random() < 0.16:  # a cap
        cap = CLOTHES[rng.integers(len(CLOTHES))]
        model.add(
            ball(
                centre + [-0.05 * size, 0, 0.5 * size],
                (1.06 * size, 0.96 * size, 0.8 * size),
            ),
            cap,
        )
        model.add(
            plate(
                [(0.5, -0.6), (1.5, -0.45), (1.65, 0), (1.5, 0.45), (0.5, 0.6)]
                * np.array(size),
                0.08 * size,
                "z",
                centre + [0, 0, 0.42 * size],
            ),
            cap,
        )


BUILDERS = {"person": person}
