"""The few shapes that every model is built from, and the `Model` that collects them.

Conventions, everywhere in this package: metres, z up, the ground at z = 0, a model
stands on the origin and looks along +x, its left side is +y. Colours are (r, g, b) from
0 to 1.
"""

import numpy as np
import pyvista as pv


class Model:
    """Coloured, smoothly shaded meshes that move together and count as one object.

    `extras` holds what a scene may want to know: seats, labelled parts such as a
    person's head (name -> (n, 3) points), the pose name, ...
    """

    def __init__(self, name=""):
        self.name = name
        self.meshes = []  # (pv.PolyData with normals and uint8 "rgb", gloss)
        self.extras = {}

    def add(self, mesh, colour, gloss=0.15):
        """Add a mesh in one colour, or coloured by a function of its points ((n, 3) ->
        (n, 3)).

        gloss: 0 (wool, earth) to 1 (lacquer, glass, chrome).
        """
        points = np.asarray(mesh.points, float)
        rgb = np.asarray(
            colour(points) if callable(colour) else np.tile(colour, (len(points), 1)),
            float,
        )
        mesh = mesh.copy()
        mesh.point_data["rgb"] = np.round(255 * np.clip(rgb, 0, 1)).astype(np.uint8)
        self.meshes.append((mesh, float(gloss)))
        return self

    def include(self, other):
        """Add all meshes of another model (a wheel, a saddle, a rider's hat)."""
        self.meshes += [(mesh.copy(), gloss) for mesh, gloss in other.meshes]
        return self

    def moved(self, offset=(0, 0, 0), yaw=0.0, pitch=0.0, roll=0.0, scale=1.0):
        """A copy, scaled, then rolled about x, pitched about y, turned about z
        (degrees), then shifted.
        """
        matrix = np.eye(4)
        matrix[:3, :3] = rotation(yaw, pitch, roll) * scale
        matrix[:3, 3] = offset
        return self.transformed(matrix)

    def mirrored(self):
        """A copy with left and right exchanged."""
        return self.transformed(np.diag([1.0, -1.0, 1.0, 1.0]))

    def transformed(self, matrix):
        result = Model(self.name)
        result.extras = {
            key: np.asarray(value) @ matrix[:3, :3].T + matrix[:3, 3]
            if isinstance(value, np.ndarray)
            else value
            for key, value in self.extras.items()
        }
        for mesh, gloss in self.meshes:
            result.meshes.append((mesh.transform(matrix, inplace=False), gloss))
        return result

    def merged(self):
        """A copy with all meshes of equal gloss in one, which is quicker to draw."""
        result = Model(self.name)
        result.extras = self.extras
        for gloss in sorted({gloss for _, gloss in self.meshes}):
            result.meshes.append(
                (_joined([mesh for mesh, its in self.meshes if its == gloss]), gloss)
            )
        return result

    @property
    def bounds(self):
        """(2, 3) lowest and highest corner."""
        corners = np.array([mesh.bounds for mesh, _ in self.meshes])
        return np.stack([corners[:, 0::2].min(0), corners[:, 1::2].max(0)])


def _joined(meshes):
    """One mesh of several triangle meshes, with their colours and normals."""
    starts = np.cumsum([0, *(mesh.n_points for mesh in meshes[:-1])])
    triangles = np.vstack(
        [mesh.regular_faces + start for mesh, start in zip(meshes, starts, strict=True)]
    )
    whole = pv.PolyData.from_regular_faces(
        np.vstack([mesh.points for mesh in meshes]), triangles
    )
    for name in ("rgb", "Normals"):
        whole.point_data[name] = np.vstack([mesh.point_data[name] for mesh in meshes])
    whole.point_data.active_normals_name = "Normals"
    return whole


def rotation(yaw=0.0, pitch=0.0, roll=0.0):
    """3 x 3 matrix: roll about x, then pitch about y (positive lowers the nose), then
    yaw about z, in degrees.
    """
    a, b, c = np.radians([yaw, pitch, roll])
    about_z = np.array(
        [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    )
    about_y = np.array(
        [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    )
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]]
    )
    return about_z @ about_y @ about_x


def _surface(grid, wrap, caps):
    """Mesh of a (rows, columns, 3) grid; `wrap` closes each row to a ring, `caps` fills
    the first and last.
    """
    rows, columns, _ = grid.shape
    ids = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(ids, -1, axis=1) if wrap else ids[:, 1:]
    left = ids if wrap else ids[:, :-1]
    quads = np.stack([left[:-1], right[:-1], right[1:], left[1:]], axis=-1).reshape(
        -1, 4
    )
    points, faces = (
        grid.reshape(-1, 3),
        [np.column_stack([np.full(len(quads), 4), quads]).ravel()],
    )
    if caps:
        for ring in (grid[0][::-1], grid[-1]):
            start = len(points)
            # own points, so that the rim stays sharp
            points = np.vstack([points, ring])
            faces.append(np.array([columns, *range(start, start + columns)]))
    return smooth(pv.PolyData(points, np.concatenate(faces)), 50)


def smooth(mesh, feature_angle=40):
    """The mesh as triangles with smooth normals, split at edges sharper than the angle
    (degrees).
    """
    return mesh.triangulate().compute_normals(
        cell_normals=False,
        split_vertices=True,
        feature_angle=feature_angle,
        auto_orient_normals=True,
        consistent_normals=True,
    )


def spline(points, count=24):
    """(count, 3) points on a smooth curve through the given ones."""
    points = np.asarray(points, float)
    if len(points) == 2:
        return np.linspace(points[0], points[1], count)
    along = np.concatenate(
        [[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    )
    slopes = np.gradient(points, along, axis=0)
    t = np.linspace(0, along[-1], count)
    i = np.clip(np.searchsorted(along, t, side="right") - 1, 0, len(points) - 2)
    step = (along[i + 1] - along[i])[:, None]
    u = ((t - along[i])[:, None]) / step
    return (
        (2 * u**3 - 3 * u**2 + 1) * points[i]
        + (u**3 - 2 * u**2 + u) * step * slopes[i]
        + (-2 * u**3 + 3 * u**2) * points[i + 1]
        + (u**3 - u**2) * step * slopes[i + 1]
    )


def tube(points, radii, sides=16, count=24, flat=1.0):
    """A limb, body, neck, frame tube: round skin along a smooth curve through `points`,
    rounded ends.

    radii: one number, or one for each point. flat: width of the section across the
    curve's own plane (y for a curve in the x-z plane) as a share of its height.
    """
    curve = spline(points, count)
    radii = np.broadcast_to(np.asarray(radii, float), len(points))
    along = np.concatenate(
        [
            [0],
            np.cumsum(
                np.linalg.norm(np.diff(np.asarray(points, float), axis=0), axis=1)
            ),
        ]
    )
    radius = np.interp(np.linspace(0, along[-1], count), along, radii)
    tangent = np.gradient(curve, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    # round ends: a half-ball of rings before the first and after the last point
    bend = np.linspace(0.12, 1, 5)[:-1] * np.pi / 2
    head = curve[0] - radius[0] * np.cos(bend)[:, None] * tangent[0]
    tail = curve[-1] + radius[-1] * np.cos(bend[::-1])[:, None] * tangent[-1]
    curve = np.vstack([head, curve, tail])
    radius = np.concatenate(
        [radius[0] * np.sin(bend), radius, radius[-1] * np.sin(bend[::-1])]
    )
    tangent = np.vstack(
        [np.tile(tangent[0], (4, 1)), tangent, np.tile(tangent[-1], (4, 1))]
    )
    side = (
        np.array([0.0, 1.0, 0.0])
        if abs(tangent[:, 1]).max() < 0.9
        else np.array([1.0, 0.05, 0.0])
    )
    side = side - (tangent @ side)[:, None] * tangent
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(tangent, side)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = (
        np.cos(angle)[:, None, None] * side * flat + np.sin(angle)[:, None, None] * up
    )
    return _surface(
        (curve + radius[:, None] * ring).transpose(1, 0, 2), wrap=True, caps=True
    )


def ball(center, radii, power=1.0, count=20, yaw=0.0, pitch=0.0, roll=0.0):
    """A super-ellipsoid. power 1: ellipsoid; .3: rounded box (cushion, engine, car
    body); 2: spindle.
    """
    u = np.linspace(-np.pi / 2, np.pi / 2, count)
    v = np.linspace(0, 2 * np.pi, 2 * count, endpoint=False)

    def curve(x):
        return np.sign(x) * np.abs(x) ** power

    grid = np.stack(
        [
            curve(np.cos(u))[:, None] * curve(np.cos(v)),
            curve(np.cos(u))[:, None] * curve(np.sin(v)),
            np.repeat(curve(np.sin(u))[:, None], 2 * count, 1),
        ],
        axis=-1,
    )
    grid = (grid * np.broadcast_to(radii, 3)) @ rotation(yaw, pitch, roll).T + center
    return _surface(grid, wrap=True, caps=False).clean()


def box(center, size, yaw=0.0, pitch=0.0, roll=0.0):
    """A box with sharp edges; `size` is its full length, width, height."""
    half = np.asarray(size, float) / 2
    mesh = pv.Box(bounds=(-half[0], half[0], -half[1], half[1], -half[2], half[2]))
    mesh.points = np.asarray(mesh.points) @ rotation(yaw, pitch, roll).T + center
    return smooth(mesh)


def rod(start, end, radius, end_radius=None, sides=20):
    """A straight cylinder or cone with flat ends."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    axis = (end - start) / np.linalg.norm(end - start)
    side = np.cross(axis, [0, 0, 1] if abs(axis[2]) < 0.9 else [1, 0, 0])
    side /= np.linalg.norm(side)
    up = np.cross(axis, side)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up
    ends = (radius, radius if end_radius is None else max(end_radius, 1e-4))
    return _surface(
        np.stack([start + ends[0] * ring, end + ends[1] * ring]), wrap=True, caps=True
    )


def lathe(profile, center=(0, 0, 0), sides=28, axis="z"):
    """A turned body (bottle, pot, tyre, lamp): (radius, height) pairs spun about the
    axis.
    """
    profile = np.asarray(profile, float)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    radius = np.maximum(profile[:, :1], 1e-4)
    height = np.repeat(profile[:, 1:], sides, 1)
    around = [radius * np.cos(angle), radius * np.sin(angle)]
    order = {
        "z": [around[0], around[1], height],
        "y": [around[0], height, around[1]],
        "x": [height, around[0], around[1]],
    }
    return _surface(
        np.stack(order[axis], axis=-1) + np.asarray(center, float), wrap=True, caps=True
    )


def ring(center, radius, thickness, axis="y", sides=40, section=12):
    """A torus (tyre, rim, handle) about the axis."""
    angle = np.linspace(0, 2 * np.pi, section, endpoint=False)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    distance = radius + thickness * np.cos(angle)[:, None]
    around = [distance * np.cos(turn), distance * np.sin(turn)]
    across = np.repeat(thickness * np.sin(angle)[:, None], sides, 1)
    order = {
        "z": [around[0], around[1], across],
        "y": [around[0], across, around[1]],
        "x": [across, around[0], around[1]],
    }
    grid = np.stack(order[axis], axis=-1) + np.asarray(center, float)
    return _surface(np.concatenate([grid, grid[:1]]), wrap=True, caps=False).clean()


def plate(outline, thickness, axis="y", center=(0, 0, 0)):
    """A flat outline given thickness: (n, 2) corners in the plane across the axis, in
    order.

    axis "y": (x, z) corners (a car's side, a fender); "z": (x, y) (a table top, a
    wing); "x": (y, z).
    """
    outline = np.asarray(outline, float)
    layers = []
    for shift in (-thickness / 2, thickness / 2):
        depth = np.full(len(outline), shift)
        layers.append(
            {
                "y": [outline[:, 0], depth, outline[:, 1]],
                "z": [outline[:, 0], outline[:, 1], depth],
                "x": [depth, outline[:, 0], outline[:, 1]],
            }[axis]
        )
    grid = np.array(layers).transpose(0, 2, 1) + np.asarray(center, float)
    return _surface(grid, wrap=True, caps=True)


def loft(sections, caps=True, wrap=True):
    """A skin over cross-sections: (sections, n, 3), all with the same number of points
    (hull, fuselage, bonnet).
    """
    return _surface(np.asarray(sections, float), wrap=wrap, caps=caps and wrap)


def sheet(grid):
    """An open surface through a (rows, columns, 3) grid of points (wing, sail, leaf,
    cloth).
    """
    return _surface(np.asarray(grid, float), wrap=False, caps=False)
