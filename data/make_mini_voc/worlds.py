"""The worlds: ground, sky and walls, painted for each pixel from the ray that it sees.

A world is painted, not modelled: where a pixel's ray meets the ground (z = 0) or the
back wall, a function of the place there gives the colour. That is sharp near by, free
of flicker far away, and costs no polygons.
"""

from dataclasses import dataclass

import numpy as np


def noise(x, y, seed):
    """Smooth random values from -1 to 1 on the plane, about one bump per unit."""
    x0, y0 = np.floor(x), np.floor(y)
    u, v = x - x0, y - y0
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)

    def corner(i, j):
        h = np.sin((x0 + i) * 127.1 + (y0 + j) * 311.7 + seed * 74.7) * 43758.5453
        return 2 * (h - np.floor(h)) - 1

    top = corner(0, 0) * (1 - u) + corner(1, 0) * u
    bottom = corner(0, 1) * (1 - u) + corner(1, 1) * u
    return top * (1 - v) + bottom * v


def layered(x, y, seed, octaves, pixel):
    """Noise of several sizes; those finer than a pixel there (`pixel`, in the units of
    x and y) fade out.
    """
    total = np.zeros_like(x)
    for k in range(octaves):
        fade = np.clip(1.5 - 2**k * pixel, 0, 1)
        total += 0.55**k * fade * noise(x * 2**k + 17 * k, y * 2**k - 9 * k, seed + k)
    return total


def mix(first, second, share):
    return (
        np.asarray(first) * (1 - share[..., None])
        + np.asarray(second) * share[..., None]
    )


@dataclass
class World:
    """What is painted behind the objects, and how the light falls."""

    name: str
    seed: float
    sun: np.ndarray  # direction towards the sun, unit length
    sun_colour: np.ndarray
    sky_top: np.ndarray
    sky_low: np.ndarray
    ground: np.ndarray
    ground_second: np.ndarray
    wall: np.ndarray | None = None  # a room has a back wall
    wall_second: np.ndarray | None = None
    depth: float = (
        0.0  # where the back wall, the middle of the street or the track lies (y)
    )
    turn: float = 0.0  # degrees by which the track is turned about (turn_x, depth)
    turn_x: float = 0.0
    pattern: int = 0
    haze: float = 0.004  # per metre


GROUNDS = {
    "meadow": (
        ((0.36, 0.56, 0.22), (0.5, 0.62, 0.28), (0.3, 0.48, 0.2), (0.6, 0.62, 0.32)),
        ((0.52, 0.62, 0.3), (0.28, 0.44, 0.18)),
    ),
    "field": (
        ((0.72, 0.62, 0.38), (0.6, 0.5, 0.34), (0.66, 0.6, 0.42)),
        ((0.5, 0.52, 0.28), (0.55, 0.42, 0.28)),
    ),
    "sand": (
        ((0.86, 0.77, 0.58), (0.8, 0.7, 0.55)),
        ((0.76, 0.66, 0.48), (0.9, 0.84, 0.68)),
    ),
    "road": (
        ((0.42, 0.42, 0.43), (0.5, 0.49, 0.48), (0.36, 0.37, 0.39)),
        ((0.62, 0.6, 0.56), (0.36, 0.52, 0.25)),
    ),
    "rail": (
        ((0.52, 0.48, 0.44), (0.46, 0.44, 0.43)),
        ((0.4, 0.52, 0.26), (0.62, 0.6, 0.58)),
    ),
    "water": (
        ((0.2, 0.4, 0.52), (0.16, 0.36, 0.4), (0.3, 0.48, 0.6)),
        ((0.5, 0.66, 0.76), (0.4, 0.58, 0.62)),
    ),
    "airfield": (
        ((0.6, 0.6, 0.6), (0.52, 0.53, 0.54)),
        ((0.42, 0.55, 0.28), (0.55, 0.58, 0.36)),
    ),
    "room": (
        (
            (0.62, 0.45, 0.28),
            (0.75, 0.6, 0.42),
            (0.5, 0.36, 0.25),
            (0.7, 0.68, 0.64),
            (0.55, 0.52, 0.5),
            (0.45, 0.5, 0.56),
        ),
        ((0.5, 0.35, 0.22), (0.62, 0.6, 0.56)),
    ),
}
SKIES = (
    ((0.28, 0.5, 0.82), (0.74, 0.86, 0.96)),
    ((0.45, 0.62, 0.85), (0.88, 0.92, 0.96)),
    ((0.66, 0.71, 0.77), (0.84, 0.86, 0.88)),
    ((0.35, 0.45, 0.68), (0.96, 0.8, 0.62)),
    ((0.2, 0.42, 0.75), (0.6, 0.78, 0.92)),
)
WALLS = (
    (0.88, 0.84, 0.76),
    (0.78, 0.84, 0.82),
    (0.85, 0.78, 0.66),
    (0.72, 0.78, 0.86),
    (0.9, 0.9, 0.88),
    (0.72, 0.56, 0.46),
    (0.66, 0.72, 0.6),
    (0.82, 0.7, 0.72),
)


def make_world(rng, name):
    """A world by name, with random light, sky and colours."""
    # the sun stands somewhere behind the camera
    azimuth, height = (
        rng.uniform(-2.6, -0.5),
        rng.uniform(0.55, 1.15),
    )
    sun = np.array(
        [
            np.cos(azimuth) * np.cos(height),
            np.sin(azimuth) * np.cos(height),
            np.sin(height),
        ]
    )
    top, low = SKIES[rng.integers(len(SKIES))]
    first, second = GROUNDS[name]
    warm = rng.uniform(-0.06, 0.06)
    world = World(
        name,
        rng.uniform(0, 100),
        sun,
        np.array([1 + warm, 1, 1 - warm]),
        np.array(top),
        np.array(low),
        np.array(first[rng.integers(len(first))]) * rng.uniform(0.88, 1.1),
        np.array(second[rng.integers(len(second))]),
        pattern=int(rng.integers(4)),
    )
    if name == "room":
        world.wall, world.wall_second = (
            np.array(WALLS[rng.integers(len(WALLS))]),
            np.array(WALLS[rng.integers(len(WALLS))]),
        )
        world.haze = 0.0
    return world


def paint(world, origin, rays):
    """Colours (H, W, 3), whether each pixel shows the ground, and its distance in
    metres; rays (H, W, 3) of unit length.
    """
    down = np.minimum(rays[..., 2], -1e-6)
    distance = np.where(rays[..., 2] < -1e-5, -origin[2] / down, 1e6)
    if world.wall is not None:
        to_wall = (world.depth - origin[1]) / np.maximum(rays[..., 1], 1e-6)
        wall = to_wall < distance
        distance = np.where(wall, to_wall, distance)
    x, y = origin[0] + rays[..., 0] * distance, origin[1] + rays[..., 1] * distance
    # metres that one pixel covers there: textures finer than that fade out
    pixel = np.minimum(0.0012 * distance**2 / max(origin[2], 0.3), 1e3)
    ground = _PAINTERS[world.name](
        world, np.clip(x, -1e4, 1e4), np.clip(y, -1e4, 1e4), pixel, rays
    )
    if world.wall is not None:
        z = origin[2] + rays[..., 2] * distance
        colour = np.where(wall[..., None], _wall(world, x, z), ground)
        return np.clip(colour, 0, 1), ~wall, distance
    fade = 1 - np.exp(-np.minimum(distance, 1e5) * world.haze)
    ground = mix(ground, world.sky_low, np.clip(fade, 0, 0.92))
    sky = distance > 5e5
    return (
        np.clip(np.where(sky[..., None], _sky(world, rays), ground), 0, 1),
        ~sky,
        distance,
    )


def _sky(world, rays):
    height = np.clip(rays[..., 2], 0, 1)
    colour = mix(world.sky_low, world.sky_top, np.clip(height * 2.2, 0, 1) ** 0.7)
    x, y = rays[..., 0] / (height + 0.18), rays[..., 1] / (height + 0.18)
    cloud = np.clip(
        layered(x * 1.6, y * 1.6, world.seed, 5, np.full_like(x, 0.02)) * 1.3
        + 0.25 * (world.pattern - 1.5),
        0,
        1,
    )
    colour = mix(colour, (0.97, 0.97, 0.98), 0.85 * cloud * np.clip(height * 9, 0, 1))
    azimuth = np.arctan2(rays[..., 0], rays[..., 1])
    if (
        world.name not in ("water",) or world.pattern % 2
    ):  # hills or woods on the horizon
        for k, (size, tone) in enumerate(((0.09, 0.55), (0.045, 0.3))):
            crest = size * (
                0.55
                + 0.5
                * layered(
                    azimuth * 3 + 5 * k,
                    azimuth * 0,
                    world.seed + 3 * k,
                    4 if k else 2,
                    np.full_like(x, 0.02),
                )
            )
            hill = np.clip((crest - rays[..., 2]) * 500, 0, 1)
            colour = mix(
                colour,
                mix(np.array([0.3, 0.42, 0.3]), world.sky_low, np.full_like(x, tone)),
                hill,
            )
    return colour


def _meadow(world, x, y, pixel, rays):
    patches = 0.5 + 0.5 * layered(x * 0.3, y * 0.3, world.seed, 4, 0.3 * pixel)
    colour = mix(world.ground, world.ground_second, np.clip(patches, 0, 1))
    blades = layered(x * 9, y * 3.5, world.seed + 9, 3, 9 * pixel)
    return colour * (1 + 0.14 * blades)[..., None]


def _road(world, x, y, pixel, rays):
    """A street across the picture with its middle at `depth`, a pavement on both sides,
    then grass.
    """
    grain = layered(x * 14, y * 14, world.seed, 3, 14 * pixel)
    colour = (
        np.broadcast_to(world.ground, (*x.shape, 3))
        * (
            1
            + 0.05 * grain
            + 0.05 * layered(x * 0.4, y * 0.4, world.seed + 4, 3, 0.4 * pixel)
        )[..., None]
    )
    centre = world.depth
    dash = (np.abs(y - centre) < 0.09) & (np.mod(x + world.seed, 6) < 3)
    edge = np.abs(np.abs(y - centre) - 3.5) < 0.07
    colour = np.where((dash | edge)[..., None], (0.88, 0.88, 0.85), colour)
    beyond = np.abs(y - centre) > 4.0
    slabs = (np.mod(x, 1.2) < 0.03) | (np.mod(y, 0.8) < 0.03)
    pavement = (
        np.array([0.66, 0.64, 0.6])
        * (1 + 0.05 * grain - 0.1 * (slabs & (pixel < 0.2)))[..., None]
    )
    colour = np.where(beyond[..., None], pavement, colour)
    return np.where(
        (np.abs(y - centre) > 9.0)[..., None],
        _meadow(world, x, y, pixel, rays) * 0.6 + 0.4 * np.array([0.36, 0.52, 0.25]),
        colour,
    )


def _rail(world, x, y, pixel, rays):
    """Gravel with two tracks, the nearer through (`turn_x`, `depth`): sleepers and
    rails; grass on both sides.
    """
    c, s = np.cos(np.radians(world.turn)), np.sin(np.radians(world.turn))
    along, aside = x - world.turn_x, y - world.depth
    x, y = c * along + s * aside, c * aside - s * along + world.depth
    grain = layered(x * 16, y * 16, world.seed, 3, 16 * pixel)
    grass = mix(
        np.array([0.4, 0.54, 0.26]),
        np.array([0.52, 0.6, 0.32]),
        0.5 + 0.5 * layered(x, y, world.seed, 3, pixel),
    )
    colour = (
        np.broadcast_to(world.ground, (*x.shape, 3)) * (1 + 0.16 * grain)[..., None]
    )
    for track in (world.depth, world.depth + 4.5):
        across = np.abs(y - track)
        sleeper = (across < 1.3) & (np.mod(x, 0.65) < 0.26)
        colour = np.where(sleeper[..., None], np.array([0.4, 0.33, 0.28]), colour)
        colour = np.where(
            (np.abs(across - 0.72) < 0.055)[..., None],
            np.array([0.72, 0.72, 0.74]),
            colour,
        )
    return np.where(
        (np.abs(y - world.depth - 2) > 6.5)[..., None],
        grass * (1 + 0.1 * grain)[..., None],
        colour,
    )


def _water(world, x, y, pixel, rays):
    ripples = layered(x * 0.9, y * 2.2, world.seed, 4, 1.2 * pixel)
    slant = np.clip(1 + rays[..., 2] * 1.6, 0, 1) ** 2  # flat views mirror the sky
    colour = mix(
        mix(world.ground, world.ground_second, np.clip(0.5 + 0.6 * ripples, 0, 1)),
        world.sky_low,
        0.55 * slant,
    )
    return colour + 0.1 * np.clip(ripples - 0.75, 0, 1)[..., None]


def _airfield(world, x, y, pixel, rays):
    grain = layered(x * 2, y * 2, world.seed, 3, 2 * pixel)
    joints = ((np.mod(x, 7) < 0.12) | (np.mod(y, 7) < 0.12)) & (pixel < 0.6)
    concrete = (
        np.broadcast_to(world.ground, (*x.shape, 3))
        * (1 + 0.04 * grain - 0.12 * joints)[..., None]
    )
    concrete = np.where(
        (np.abs(np.mod(y, 42) - 20) < 0.25)[..., None], (0.92, 0.8, 0.2), concrete
    )
    return np.where(
        (y > 90)[..., None],
        world.ground_second * (1 + 0.1 * grain)[..., None],
        concrete,
    )


def _floor(world, x, y, pixel, rays):
    grain = layered(x * 1.3, y * 11, world.seed, 4, 8 * pixel)
    first, second = world.ground, world.ground * 0.88
    if world.pattern == 0:  # planks
        board = np.floor(x / 0.16)
        tone = 0.5 + 0.5 * np.sin(
            board * 78.2 + np.floor((y + board * 0.37) / 1.3) * 37.7
        )
        colour = (
            mix(first, second, tone)
            * (1 + 0.05 * layered(x * 12, y * 1.2, world.seed, 3, 8 * pixel))[..., None]
        )
        return np.where((np.mod(x, 0.16) < 0.006)[..., None], colour * 0.75, colour)
    if world.pattern == 1:  # tiles
        light = (np.floor(x / 0.33) + np.floor(y / 0.33)) % 2
        joint = (np.mod(x, 0.33) < 0.012) | (np.mod(y, 0.33) < 0.012)
        colour = (
            mix(first, np.clip(first * 1.25, 0, 1), light)
            * (1 + 0.02 * grain)[..., None]
        )
        return np.where(joint[..., None], colour * 0.85, colour)
    carpet = (
        np.broadcast_to(first, (*x.shape, 3))
        * (1 + 0.06 * layered(x * 25, y * 25, world.seed, 3, 25 * pixel))[..., None]
    )
    if world.pattern == 2:
        return carpet
    # a rug with a border
    rug = (np.abs(x - 0.2) < 1.5) & (np.abs(y - world.depth + 2.2) < 1.1)
    border = rug & ((np.abs(x - 0.2) > 1.35) | (np.abs(y - world.depth + 2.2) > 0.95))
    colour = np.where(
        rug[..., None],
        mix(
            world.wall_second * 0.8, np.array([0.6, 0.25, 0.22]), np.full(x.shape, 0.5)
        ),
        carpet,
    )
    return np.where(border[..., None], np.array([0.85, 0.78, 0.62]), colour)


def _wall(world, x, z):
    colour = (
        np.broadcast_to(world.wall, (*x.shape, 3))
        * (1 + 0.015 * layered(x * 3, z * 3, world.seed, 3, np.full_like(x, 0.05)))[
            ..., None
        ]
    )
    if world.pattern == 1:
        colour = np.where((np.mod(x, 0.3) < 0.15)[..., None], colour, colour * 0.94)
    if world.pattern == 3:
        colour = np.where((z < 1.0)[..., None], world.wall_second * 0.85, colour)
    rng = np.random.default_rng(int(world.seed * 1000))
    for _ in range(int(rng.integers(0, 4))):  # framed pictures and windows
        cx, cz, w, h = (
            rng.uniform(-2.6, 2.6),
            rng.uniform(1.5, 2.0),
            rng.uniform(0.25, 0.6),
            rng.uniform(0.2, 0.45),
        )
        window = rng.random() < 0.35
        w, h = (w * 1.5, h * 1.7) if window else (w, h)
        dx, dz = np.abs(x - cx), np.abs(z - cz)
        inside, frame = (dx < w) & (dz < h), (dx < w + 0.05) & (dz < h + 0.05)
        scene = (
            mix(world.sky_low, world.sky_top, np.clip((z - cz) / h * 0.5 + 0.5, 0, 1))
            if window
            else mix(
                rng.uniform(0.3, 0.9, 3),
                rng.uniform(0.3, 0.9, 3),
                np.clip(
                    0.5
                    + layered(
                        (x - cx) * 4,
                        (z - cz) * 4,
                        world.seed + cx,
                        3,
                        np.full_like(x, 0.05),
                    ),
                    0,
                    1,
                ),
            )
        )
        colour = np.where(
            frame[..., None],
            (0.93, 0.92, 0.9) if window else (0.35, 0.25, 0.18),
            colour,
        )
        colour = np.where(inside[..., None], scene, colour)
        if window:
            colour = np.where(
                (inside & ((dx < 0.025) | (dz < 0.025)))[..., None],
                (0.93, 0.92, 0.9),
                colour,
            )
    return np.where((z < 0.09)[..., None], (0.9, 0.89, 0.86), colour)


_PAINTERS = {
    "meadow": _meadow,
    "field": _meadow,
    "sand": _meadow,
    "road": _road,
    "rail": _rail,
    "water": _water,
    "airfield": _airfield,
    "room": _floor,
}
