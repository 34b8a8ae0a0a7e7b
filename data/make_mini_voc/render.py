"""From a scene to pixels, and to the exact visible pixels of each object."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import pyvista as pv
import worlds
from shapes import Model

SCALE = 2  # pictures are rendered larger and averaged: smooth edges


@dataclass
class Placed:
    """An object in a scene: its class (None for clutter), model in world coordinates,
    and direction.
    """

    name: str | None
    model: Model
    yaw: float = 0.0


@dataclass
class Camera:
    """At `position`, looking along +y and `pitch` degrees down; `angle` is the vertical
    field of view in degrees.
    """

    position: np.ndarray
    pitch: float
    angle: float
    width: int
    height: int

    @property
    def axes(self):
        p = np.radians(self.pitch)
        forward, up = (
            np.array([0, np.cos(p), -np.sin(p)]),
            np.array([0, np.sin(p), np.cos(p)]),
        )
        return np.array([1.0, 0, 0]), up, forward

    def rays(self):
        """(H, W, 3) unit directions through the pixels' centres."""
        right, up, forward = self.axes
        tangent = np.tan(np.radians(self.angle) / 2)
        v = (1 - (np.arange(self.height) + 0.5) / self.height * 2) * tangent
        u = (
            ((np.arange(self.width) + 0.5) / self.width * 2 - 1)
            * tangent
            * self.width
            / self.height
        )
        rays = forward + u[None, :, None] * right + v[:, None, None] * up
        return rays / np.linalg.norm(rays, axis=2, keepdims=True)

    def project(self, points):
        """(n, 2) pixel coordinates of points, and which lie in front of the camera."""
        right, up, forward = self.axes
        local = np.asarray(points) - self.position
        depth = local @ forward
        safe = np.maximum(depth, 1e-3) * np.tan(np.radians(self.angle) / 2)
        x = self.width / 2 + local @ right / safe * self.height / 2
        y = self.height / 2 - local @ up / safe * self.height / 2
        return np.stack([x, y], axis=1), depth > 0.05


@dataclass
class Scene:
    world: worlds.World
    camera: Camera
    objects: list = field(default_factory=list)


def _plotter(camera, scale, background):
    plotter = pv.Plotter(
        off_screen=True,
        window_size=(camera.width * scale, camera.height * scale),
        lighting="none",
    )
    plotter.set_background(background)
    right, up, forward = camera.axes
    plotter.camera_position = [camera.position, camera.position + forward, up]
    plotter.camera.view_angle = camera.angle
    return plotter


def _screenshot(plotter, far):
    plotter.camera.clipping_range = (0.05, far)
    picture = np.asarray(plotter.screenshot(return_img=True))[..., :3].copy()
    plotter.close()
    return picture


def _far(scene):
    reach = [
        np.linalg.norm(placed.model.bounds - scene.camera.position, axis=1).max()
        for placed in scene.objects
    ]
    return max([30.0, *reach]) * 1.5


def _meshes(placed, world):
    """The model's meshes; in water only what is above the surface."""
    for mesh, gloss in placed.model.meshes:
        if world.name == "water" and mesh.bounds[4] < 0:
            mesh = mesh.clip("z", origin=(0, 0, 0.0), invert=False)
            if mesh.n_points == 0:
                continue
        yield mesh, gloss


def object_ids(scene, scale=1):
    """(H, W) int: 0 where nothing stands, else 1 + the number of the object that is
    visible there.
    """
    plotter = _plotter(scene.camera, scale, "black")
    plotter.disable_anti_aliasing()
    for number, placed in enumerate(scene.objects, 1):
        for mesh, _ in _meshes(placed, scene.world):
            plotter.add_mesh(mesh, color=(number / 255, 0, 0), lighting=False)
    return _screenshot(plotter, _far(scene))[..., 0].astype(int)


def pixels_alone(scene, number):
    """How many pixels an object would cover if nothing stood before it."""
    return int(
        (
            object_ids(Scene(scene.world, scene.camera, [scene.objects[number]])) > 0
        ).sum()
    )


def _shaded(scene):
    plotter = _plotter(scene.camera, SCALE, "black")
    inside = scene.world.wall is not None
    for placed in scene.objects:
        for mesh, gloss in _meshes(placed, scene.world):
            plotter.add_mesh(
                mesh,
                scalars="rgb",
                rgb=True,
                smooth_shading=True,
                ambient=0.34 if inside else 0.28,
                diffuse=0.78,
                specular=0.6 * gloss,
                specular_power=8 + 40 * gloss,
            )
    centre = scene.camera.position
    for direction, strength in (
        (scene.world.sun, 0.62 if inside else 0.8),
        (np.array([0.4, -0.8, 0.5]), 0.22),
        (np.array([-0.7, 0.3, 0.6]), 0.14),
    ):
        light = pv.Light(
            position=centre + 1e4 * direction,
            focal_point=centre,
            light_type="scene light",
            intensity=strength,
        )
        light.positional = False
        plotter.add_light(light)
    extent = np.median(
        [np.ptp(placed.model.bounds, axis=0).max() for placed in scene.objects]
    )
    plotter.enable_ssao(
        radius=0.12 * extent, bias=0.004 * extent, kernel_size=24, blur=True
    )
    return _screenshot(plotter, _far(scene)).astype(np.float32) / 255


def _shadow(scene):
    """(H, W) share of shadow on the ground: the objects flattened along the light."""
    sun, plotter = scene.world.sun, _plotter(scene.camera, 1, "black")
    for placed in scene.objects:
        for mesh, _ in _meshes(placed, scene.world):
            flat = mesh.copy()
            points = np.asarray(flat.points, float)
            flat.points = (
                points - np.maximum(points[:, 2:], 0) / sun[2] * sun + [0, 0, 0.001]
            )
            plotter.add_mesh(flat, color="white", lighting=False)
    mask = _screenshot(plotter, _far(scene))[..., 0].astype(np.float32) / 255
    return 0.7 * cv2.GaussianBlur(mask, (0, 0), 1.2) + 0.3 * cv2.GaussianBlur(
        mask, (0, 0), 4
    )


def picture(scene, rng):
    """(H, W, 3) uint8 RGB picture of the scene, with a camera's small faults."""
    camera = scene.camera
    colour, ground, _ = worlds.paint(scene.world, camera.position, camera.rays())
    strength = {"room": 0.38, "water": 0.22}.get(scene.world.name, 0.5)
    colour = colour * (1 - strength * _shadow(scene) * ground)[..., None]
    colour = cv2.resize(
        colour.astype(np.float32),
        None,
        fx=SCALE,
        fy=SCALE,
        interpolation=cv2.INTER_LINEAR,
    )
    solid = object_ids(scene, SCALE) > 0
    colour = np.where(solid[..., None], _shaded(scene), colour) * scene.world.sun_colour
    image = cv2.resize(
        colour.astype(np.float32),
        (camera.width, camera.height),
        interpolation=cv2.INTER_AREA,
    )
    return _photographed(image, rng)


def _photographed(image, rng):
    """Exposure, contrast, vignette, slight blur and grain."""
    height, width = image.shape[:2]
    image = np.clip(image, 0, 1) ** rng.uniform(0.86, 1.12) * rng.uniform(0.9, 1.06)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    image = image * (1 - rng.uniform(0, 0.16) * (x**2 + y**2) / 2)[..., None]
    if (blur := rng.uniform(0, 0.75)) > 0.35:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    image = image + rng.normal(0, rng.uniform(0.003, 0.009), image.shape[:2])[..., None]
    return np.uint8(np.clip(image, 0, 1) * 255 + 0.5)
