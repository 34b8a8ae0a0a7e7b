"""Contact sheets of single models, for judging them by eye.

python data/make_mini_voc/preview.py OUT.png CLASS [CLASS ...] [--columns 6] [--seed 0]
"""

import argparse
import importlib

import cv2
import numpy as np
import pyvista as pv


def preview(model, size=(240, 200), yaw=0.0, elevation=12.0):
    """RGB picture of one model on plain ground, seen from the given elevation
    (degrees).
    """
    plotter = pv.Plotter(off_screen=True, window_size=size, lighting="none")
    plotter.set_background((0.62, 0.74, 0.88))
    model = model.moved(yaw=yaw)
    low, high = model.bounds
    middle, extent = (low + high) / 2, np.linalg.norm(high - low)
    for mesh, gloss in model.meshes:
        plotter.add_mesh(
            mesh,
            scalars="rgb",
            rgb=True,
            smooth_shading=True,
            ambient=0.25,
            diffuse=0.8,
            specular=gloss,
            specular_power=30,
        )
    plotter.add_mesh(
        pv.Plane(
            center=(middle[0], middle[1], low[2] - 0.005),
            i_size=9 * extent,
            j_size=9 * extent,
        ),
        color=(0.52, 0.56, 0.5),
        ambient=0.3,
    )
    direction = np.array(
        [0, -np.cos(np.radians(elevation)), np.sin(np.radians(elevation))]
    )
    plotter.camera_position = [middle + 2.1 * extent * direction, middle, (0, 0, 1)]
    plotter.camera.view_angle = 28
    light = pv.Light(
        position=middle + extent * np.array([1.0, -2.5, 3.5]),
        focal_point=middle,
        intensity=0.85,
        positional=True,
        cone_angle=50,
    )
    plotter.add_light(light)
    plotter.add_light(pv.Light(light_type="headlight", intensity=0.35))
    plotter.enable_shadows()
    picture = plotter.screenshot(return_img=True)
    plotter.close()
    return np.asarray(picture)[..., :3]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out")
    parser.add_argument("classes", nargs="+")
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    models = importlib.import_module("models")
    rows = []
    for name in options.classes:
        rng = np.random.default_rng(options.seed)
        pictures = [
            preview(
                models.BUILDERS[name](rng),
                yaw=rng.uniform(-60, 60) + 180 * (rng.random() < 0.5),
                elevation=rng.uniform(4, 22),
            )
            for _ in range(options.columns)
        ]
        rows.append(np.hstack(pictures))
    cv2.imwrite(options.out, np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
