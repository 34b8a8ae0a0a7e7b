"""Plotting helpers that the six notebooks share.

They hold the parts of the figures that are longer than the idea they show. Nothing
here is needed to understand or to run the detector.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

import yolo_helpers as yolo

BLUE = "#2f6db3"
ORANGE = "#e07b1a"
GREEN = "#3a9e5c"
RED = "#cc3b4a"
GREY = "#8a8f98"
ANCHOR_COLOURS = (BLUE, ORANGE, GREEN, RED)  # of the anchors 0, 1, 2, 3
PALE = "#fdebd6"  # behind the highlighted part of the pipeline
PALE_GREY = "#eceef2"  # behind a chosen cell

EXAMPLE = "2026_000123"  # stem of the running example's files


def setup(quality=80, dpi=90):
    """Set matplotlib's defaults: small JPEG pictures, readable text, open axes."""
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("jpeg", pil_kwargs={"quality": quality})
    except (ImportError, AttributeError, KeyError):
        pass  # not inside a notebook
    plt.rcParams.update(
        {
            "figure.dpi": dpi,
            "figure.constrained_layout.use": True,
            "font.size": 13,
            "axes.titlesize": 14,
            "axes.labelsize": 13,
            "legend.fontsize": 12,
            "xtick.labelsize": 12,
            "ytick.labelsize": 12,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "lines.linewidth": 2,
        }
    )


def pick(annotations, stem):
    """The annotation of the image <stem>.jpg, or the first one if there is none."""
    named = (a for a in annotations if a.image_path.stem == stem)
    return next(named, annotations[0])


def anchor_colour(anchor):
    """Colour of an anchor, the same in every figure."""
    return ANCHOR_COLOURS[anchor % len(ANCHOR_COLOURS)]


def show_boxes(
    axis,
    image,
    boxes,
    labels=None,
    classes=None,
    scores=None,
    colours=None,
    fractions=True,
    linestyle="-",
    linewidth=2.5,
    fontsize=11,
    title=None,
):
    """Draw an image and boxes with their class names on a matplotlib axis.

    Parameters
    ----------
    axis : matplotlib Axes
    image : ndarray (H, W, 3), or None to draw on what the axis shows already
    boxes : array (n, 4)
        Corners xmin, ymin, xmax, ymax.
    labels : array (n,), optional
        Class numbers. None draws boxes without text.
    classes : sequence of str
        Class names, needed with labels.
    scores : array (n,), optional
        Written behind the class names.
    colours : a colour or a list of n colours, optional
        Without it, each class has its own colour.
    fractions : bool
        True: corners are fractions of the image. False: pixels of the image.
    """
    if image is not None:
        axis.imshow(image)
        axis.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
        axis.axis("off")
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    if fractions:
        right, left = max(axis.get_xlim()), min(axis.get_xlim())
        bottom, top = max(axis.get_ylim()), min(axis.get_ylim())
        boxes = boxes * ([right - left, bottom - top] * 2) + [left, top, left, top]
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        if colours is None and labels is not None:
            rgb = yolo.class_colour(int(labels[i]), len(classes))
            colour = tuple(value / 255 for value in rgb)
        elif colours is None or isinstance(colours, str):
            colour = colours or ORANGE
        else:
            colour = colours[i]
        axis.add_patch(
            Rectangle(
                (x1, y1),
                x2 - x1,
                y2 - y1,
                fill=False,
                edgecolor=colour,
                linewidth=linewidth,
                linestyle=linestyle,
            )
        )
        if labels is not None:
            text = classes[int(labels[i])]
            if scores is not None:
                text += f" {scores[i]:.2f}"
            _box_label(axis, text, x1, y1, colour, fontsize)
    if title:
        axis.set_title(title)


def _box_label(axis, text, left, y, colour, fontsize):
    """Write text on a small bar of the box's colour, just above its upper left corner.

    A box that touches the upper border gets its label inside. A label that would cross
    the right border is moved to the left.
    """
    low_x, high_x = sorted(axis.get_xlim())
    top, bottom = sorted(axis.get_ylim())
    has_room_above = y - top > 0.06 * (bottom - top)
    points_wide = 72 * axis.get_window_extent().width / axis.figure.dpi
    text_share = 0.62 * fontsize * len(text) / points_wide  # a rough estimate
    latest = high_x - text_share * (high_x - low_x)
    x = max(low_x, min(left, latest))
    red, green, blue = plt.matplotlib.colors.to_rgb(colour)
    ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.55 else "white"
    axis.annotate(
        text,
        (x, max(y, top)),
        xytext=(2, 2 if has_room_above else -2),
        textcoords="offset points",
        va="bottom" if has_room_above else "top",
        fontsize=fontsize,
        color=ink,
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5},
        clip_on=True,
    )


def show_grid(axis, grid_size, indices=True, colour="white", linewidth=0.8):
    """Draw the cells of the grid over an image, with row and column numbers."""
    left, right = sorted(axis.get_xlim())
    top, bottom = sorted(axis.get_ylim())
    xs = np.linspace(left, right, grid_size + 1)
    ys = np.linspace(top, bottom, grid_size + 1)
    axis.vlines(xs, top, bottom, color=colour, lw=linewidth, alpha=0.8)
    axis.hlines(ys, left, right, color=colour, lw=linewidth, alpha=0.8)
    if indices:
        axis.axis("on")
        axis.set_xticks((xs[:-1] + xs[1:]) / 2, range(grid_size))
        axis.set_yticks((ys[:-1] + ys[1:]) / 2, range(grid_size))
        axis.tick_params(length=0)
        axis.set(xlabel="column", ylabel="row")
        axis.spines[:].set_visible(False)


# --------------------------------------------------------------------------------------
# The picture of the whole pipeline

# Name: (chapter, column, row, text below). Row 0 is used for every image, row 1 only in
# training.
_PARTS = {
    "image": (2, 0, 0, "image"),
    "network": (3, 1, 0, "network"),
    "raw output": (3, 2, 0, "raw output"),
    "boxes": (6, 3, 0, "boxes"),
    "suppression": (6, 4, 0, "suppression"),
    "anchors": (1, 0, 1, "anchors"),
    "grid": (2, 1, 1, "truth on the grid"),
    "target": (2, 2, 1, "target"),
    "loss": (4, 2, 0.5, "loss"),
    "training": (5, 1, 0.5, "training"),
}
_SIDE = 1.7  # of a station, in the units of the drawing
_STEP = 2.75  # from one column to the next
_HEIGHTS = {0: 4.6, 0.5: 2.73, 1: 0.55}  # lower edge of a station in each row


def pipeline(highlight=None):
    """Draw the whole pipeline, with one part or the parts of one chapter highlighted.

    Parameters
    ----------
    highlight : str or int, optional
        Name of a part ("image", "network", "raw output", "boxes", "suppression",
        "anchors", "grid", "target", "loss", "training"), or the number of a chapter.
    """
    _, axis = plt.subplots(figsize=(11.6, 6.06))
    axis.set(xlim=(-0.3, 13.2), ylim=(-0.1, 6.95), aspect="equal")
    axis.axis("off")

    annotation = yolo.read_annotation(
        yolo.ROOT / "data" / "mini_voc" / "Annotations" / f"{EXAMPLE}.xml"
    )
    photo = yolo.read_image(annotation.image_path)
    boxes = yolo.box_fractions(annotation)
    for name, (chapter, column, row, _) in _PARTS.items():
        is_on = highlight in (name, chapter)
        _draw_station(axis, name, is_on)
        x, y = column * _STEP, _HEIGHTS[row]
        if name in ("image", "grid", "boxes", "suppression"):
            extent = (x + 0.1, x + _SIDE - 0.1, y + 0.1, y + _SIDE - 0.1)
            axis.imshow(photo, extent=extent, zorder=3)
            _DRAWINGS[name](axis, extent, boxes)
        elif name in _DRAWINGS:
            _DRAWINGS[name](axis, x, y)
    axis.set(xlim=(-0.3, 13.2), ylim=(-0.1, 6.95), aspect="equal")
    _draw_arrows(axis)

    text = (
        "Upper row: what happens to every image.\n"
        "Below: what is added for training.\n"
        "Circles: the chapter that explains it."
    )
    axis.text(3 * _STEP - 0.3, 0.75, text, fontsize=14.5, linespacing=1.6, va="bottom")
    plt.show()


def _draw_station(axis, name, is_on):
    chapter, column, row, text = _PARTS[name]
    x, y = column * _STEP, _HEIGHTS[row]
    height = _SIDE if row in (0, 1) else 0.75
    axis.add_patch(
        FancyBboxPatch(
            (x, y),
            _SIDE,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=PALE if is_on else "#f4f5f7",
            edgecolor=ORANGE if is_on else GREY,
            linewidth=4 if is_on else 1.2,
            zorder=2,
        )
    )
    weight = "bold" if is_on else "normal"
    colour = ORANGE if is_on else "black"
    if row == 0.5:
        axis.text(
            x + _SIDE / 2,
            y + height / 2,
            text,
            ha="center",
            va="center",
            fontsize=16,
            weight=weight,
            color=colour,
            zorder=4,
        )
    else:
        above = row == 0
        axis.text(
            x + _SIDE / 2,
            y + height + 0.12 if above else y - 0.14,
            text,
            ha="center",
            va="bottom" if above else "top",
            fontsize=15,
            weight=weight,
            color=colour,
        )
    centre = (x, y + height - 0.16)
    axis.add_patch(
        Circle(centre, 0.25, facecolor=colour if is_on else "#5b606a", lw=0, zorder=5)
    )
    axis.text(
        *centre, chapter, color="white", ha="center", va="center", fontsize=14, zorder=6
    )


def _draw_arrows(axis):
    half = _SIDE / 2

    def arrow(start, end, colour="#33373d", **options):
        axis.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>",
                mutation_scale=20,
                shrinkA=0,
                shrinkB=0,
                color=colour,
                linewidth=2,
                zorder=1,
                **options,
            )
        )

    for row, columns in ((0, range(4)), (1, range(2))):
        y = _HEIGHTS[row] + half
        for column in columns:
            arrow((column * _STEP + _SIDE + 0.06, y), ((column + 1) * _STEP - 0.06, y))
    loss_x = 2 * _STEP + half
    network_x = _STEP + half
    arrow((loss_x, _HEIGHTS[0] - 0.05), (loss_x, _HEIGHTS[0.5] + 0.8))
    arrow((loss_x, _HEIGHTS[1] + _SIDE + 0.05), (loss_x, _HEIGHTS[0.5] - 0.05))
    middle = _HEIGHTS[0.5] + 0.375
    arrow((2 * _STEP - 0.06, middle), (_STEP + _SIDE + 0.06, middle))
    arrow((network_x, _HEIGHTS[0.5] + 0.8), (network_x, _HEIGHTS[0] - 0.05))

    # The anchors are also needed to turn raw outputs into boxes.
    axis.annotate(
        "with the anchors",
        (3 * _STEP + half, _HEIGHTS[0] - 0.12),
        ha="center",
        va="top",
        fontsize=14,
        color="#33373d",
    )


def _draw_nothing(axis, extent, boxes):
    """The bare photo needs no more."""


def _draw_rectangles(axis, extent, boxes, colour=ORANGE, linewidth=2):
    left, right, bottom, top = extent
    for x1, y1, x2, y2 in boxes:
        corner = (left + x1 * (right - left), top - y2 * (top - bottom))
        width, height = (x2 - x1) * (right - left), (y2 - y1) * (top - bottom)
        axis.add_patch(
            Rectangle(
                corner, width, height, fill=False, ec=colour, lw=linewidth, zorder=4
            )
        )


def _draw_many_boxes(axis, extent, boxes):
    rng = np.random.default_rng(3)
    many = np.repeat(boxes, 4, axis=0)
    many = (many + rng.normal(0, 0.04, many.shape)).clip(0.01, 0.99)
    _draw_rectangles(axis, extent, many, linewidth=1.2)


def _draw_photo_grid(axis, extent, boxes):
    left, right, bottom, top = extent
    xs = np.linspace(left, right, yolo.GRID_SIZE + 1)
    ys = np.linspace(bottom, top, yolo.GRID_SIZE + 1)
    axis.vlines(xs, bottom, top, color="white", lw=0.5, zorder=4)
    axis.hlines(ys, left, right, color="white", lw=0.5, zorder=4)
    _draw_rectangles(axis, extent, boxes, linewidth=1.6)


def _draw_network(axis, x, y):
    middle = y + _SIDE / 2
    for i, height in enumerate((1.4, 1.1, 0.8, 0.5, 0.3)):
        corner = (x + 0.18 + 0.28 * i, middle - height / 2)
        axis.add_patch(Rectangle(corner, 0.2, height, facecolor=BLUE, zorder=3))


def _draw_anchors(axis, x, y):
    centre_x, centre_y = x + _SIDE / 2, y + _SIDE / 2
    shapes = ((0.2, 0.35), (1.0, 0.6), (0.45, 0.75), (1.4, 1.3))
    for (width, height), colour in zip(shapes, ANCHOR_COLOURS, strict=True):
        corner = (centre_x - width / 2, centre_y - height / 2)
        axis.add_patch(
            Rectangle(corner, width, height, fill=False, ec=colour, lw=2, zorder=3)
        )


def _draw_tensor(axis, x, y, is_target):
    """A stack of cells; in the target only three of them are filled."""
    size = _SIDE - 0.3
    cells = 13
    rng = np.random.default_rng(1)
    values = rng.random((cells, cells))
    if is_target:
        values = np.zeros((cells, cells))
        values[5, 8] = values[5, 2] = values[7, 12] = 1
    extent = (x + 0.15, x + 0.15 + size, y + 0.15, y + 0.15 + size)
    axis.imshow(values, extent=extent, cmap="Blues", vmin=0, vmax=1.3, zorder=3)
    axis.add_patch(
        Rectangle((x + 0.15, y + 0.15), size, size, fill=False, ec=GREY, zorder=4)
    )


_DRAWINGS = {
    "image": _draw_nothing,
    "grid": _draw_photo_grid,
    "boxes": _draw_many_boxes,
    "suppression": _draw_rectangles,
    "network": _draw_network,
    "anchors": _draw_anchors,
    "raw output": lambda axis, x, y: _draw_tensor(axis, x, y, False),
    "target": lambda axis, x, y: _draw_tensor(axis, x, y, True),
}


# --------------------------------------------------------------------------------------
# Chapter 1


def pixel_row(first, last, count=8):
    """Draw a row of pixels counted from 1, and the box from `first` to `last`."""
    _, axis = plt.subplots(figsize=(8, 2.5))
    for pixel in range(1, count + 1):
        covered = first <= pixel <= last
        axis.add_patch(
            Rectangle(
                (pixel - 1, 0), 1, 1, fc=PALE if covered else "white", ec=GREY, lw=1
            )
        )
        axis.text(pixel - 0.5, 0.5, pixel, ha="center", va="center", fontsize=15)
    axis.add_patch(
        Rectangle(
            (first - 1, 0), last - first + 1, 1, fill=False, ec=ORANGE, lw=4, zorder=3
        )
    )
    axis.text(-0.2, 0.5, "pixel", ha="right", va="center")
    axis.set(
        xlim=(-1, count + 0.1),
        ylim=(-0.1, 1.1),
        xticks=range(count + 1),
        yticks=[],
        xlabel="distance from the left border of the image",
        title=f"xmin = {first} and xmax = {last} cover {last - first + 1} pixels",
    )
    axis.spines["left"].set_visible(False)
    plt.show()


def box_sizes(sizes, example_sizes, title):
    """A cloud of box sizes (n, 2), as fractions, with those of the running example."""
    _, axis = plt.subplots(figsize=(6.5, 6))
    cloud = {"s": 12, "alpha": 0.45, "lw": 0, "clip_on": False}
    axis.scatter(*sizes.T, color=GREY, label="all boxes", **cloud)
    stars = {"s": 160, "marker": "*", "color": ORANGE}
    axis.scatter(*example_sizes.T, label="the running example", **stars)
    axis.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal", title=title)
    axis.set(xlabel="width (share of the image)", ylabel="height (share of the image)")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()


def pairs_of_sizes(pairs, titles):
    """Draw pairs of (width, height) over each other, with one centre per pair."""
    _, axes = plt.subplots(1, len(pairs), figsize=(9.5, 4.6))
    for axis, pair, title in zip(axes, pairs, titles, strict=True):
        for (width, height), colour in zip(pair, (BLUE, ORANGE), strict=True):
            corner = (0.5 - width / 2, 0.5 - height / 2)
            axis.add_patch(
                Rectangle(corner, width, height, fc=colour, alpha=0.35, ec="none", lw=0)
            )
            axis.add_patch(
                Rectangle(
                    corner,
                    width,
                    height,
                    fill=False,
                    ec=colour,
                    lw=2.5,
                    label=f"{width:.2f} x {height:.2f}",
                )
            )
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=title)
        axis.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xlabel="share of the image")
        axis.spines[:].set_visible(True)
        axis.legend(loc="upper left", bbox_to_anchor=(0.0, -0.18), ncols=2)
    plt.show()


def distance_contours(marked):
    """Lines of equal IoU and of equal Euclidean distance round some sizes."""
    _, axes = plt.subplots(1, 2, figsize=(11.5, 5.6), sharey=True)
    steps = np.linspace(0.005, 1, 300)
    widths, heights = np.meshgrid(steps, steps)
    shapes = np.stack([widths.ravel(), heights.ravel()], axis=1)
    titles = (
        "IoU: the tolerance grows with the box",
        "Euclid: the same tolerance everywhere",
    )
    for axis, title in zip(axes, titles, strict=True):
        for size, colour in zip(marked, (BLUE, ORANGE), strict=True):
            if axis is axes[0]:
                values = yolo.iou_wh(shapes, [size]).reshape(widths.shape)
                levels, form = (0.5, 0.7), "IoU %.1f"
            else:
                values = np.hypot(widths - size[0], heights - size[1])
                levels, form = (0.1, 0.2), "%.1f"
            lines = axis.contour(
                widths,
                heights,
                values,
                levels=levels,
                colors=colour,
                linestyles=["--", "-"] if axis is axes[0] else ["-", "--"],
            )
            x, y = size
            if axis is axes[1]:
                axis.clabel(lines, fmt=form, manual=[(x, y + 0.1), (x, y + 0.2)])
            elif x > 0.3:
                axis.clabel(lines, fmt=form, manual=[(x + 0.2, y - 0.2), (x, y + 0.2)])
            else:
                for level, height in ((0.7, 0.06), (0.5, 0.16)):
                    axis.annotate(
                        f"IoU {level}",
                        (x / level, y),
                        (0.4, height),
                        color=colour,
                        va="center",
                        arrowprops={"arrowstyle": "-", "color": colour},
                    )
            axis.plot(*size, "o", color=colour, label=f"box {size[0]} x {size[1]}")
        axis.set(
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
            xlabel="width (share of the image)",
            title=title,
        )
    axes[0].set_ylabel("height (share of the image)")
    axes[0].legend(loc="upper left")
    plt.show()


def kmeans_frames(sizes, frames, titles):
    """Steps of k-means: above the boxes and clusters, below the anchors as boxes."""
    _, axes = plt.subplots(2, len(frames), figsize=(12, 6), sharex=True, sharey=True)
    colours = np.array(ANCHOR_COLOURS)
    for column, (anchors, title) in enumerate(zip(frames, titles, strict=True)):
        nearest = yolo.iou_wh(sizes, anchors).argmax(axis=1)
        above, below = axes[:, column]
        above.scatter(*sizes.T, s=6, c=colours[nearest % 4], alpha=0.5, lw=0)
        for i, (width, height) in enumerate(anchors):
            above.plot(
                width, height, "X", ms=13, mfc=anchor_colour(i), mec="black", mew=1.3
            )
            corner = (0.5 - width / 2, 0.5 - height / 2)
            below.add_patch(
                Rectangle(corner, width, height, fill=False, ec=anchor_colour(i), lw=3)
            )
        above.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=title)
        below.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="share of image")
        below.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        below.spines[:].set_visible(True)
    axes[0, 0].set_ylabel("height")
    axes[1, 0].set_ylabel("share of image")
    plt.show()


def iou_by_anchors(ours, series, paper, title):
    """Mean IoU against the number of anchors.

    Parameters
    ----------
    ours : sequence
        For 1, 2, 3 ... anchors.
    series : sequence
        For 2, 3, 4 ... anchors.
    paper : dict
        From a number of anchors to the mean IoU.
    title : str
    """
    _, axis = plt.subplots(figsize=(8, 5))
    counts = range(1, len(ours) + 1)
    others = range(2, len(series) + 2)
    axis.plot(counts, ours, "o-", color=BLUE, label="our training boxes")
    axis.plot(others, series, "s--", color=GREY, label="the series, VOC 2012")
    axis.plot(list(paper), list(paper.values()), "^", ms=10, color=RED, label="paper")
    axis.axvline(4, color=ORANGE, lw=10, alpha=0.25, label="our choice")
    axis.set(xlabel="number of anchors k", ylabel="mean IoU with the best anchor")
    axis.set(xticks=counts, ylim=(0.3, 0.75), title=title)
    axis.legend(loc="lower right")
    plt.show()


def anchors_side_by_side(anchors, title):
    """Draw anchors (fractions) next to each other, numbered, each in its colour."""
    _, axes = plt.subplots(1, len(anchors), figsize=(12, 3.9))
    for i, (axis, (width, height)) in enumerate(
        zip(np.atleast_1d(axes), anchors, strict=True)
    ):
        corner = (0.5 - width / 2, 0.5 - height / 2)
        axis.add_patch(
            Rectangle(corner, width, height, fc=anchor_colour(i), alpha=0.3, lw=0)
        )
        axis.add_patch(
            Rectangle(corner, width, height, fill=False, ec=anchor_colour(i), lw=3)
        )
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[], yticks=[])
        axis.spines[:].set_visible(True)
        axis.set_title(f"anchor {i}", color=anchor_colour(i), weight="bold")
        axis.set_xlabel(f"{width:.2f} x {height:.2f}")
    plt.gcf().suptitle(title, fontsize=15)
    plt.show()


def boxes_with_anchors(axis, image, boxes, anchors, title=None):
    """Draw boxes (fractions), and on each box's centre its best anchor, dashed."""
    axis.imshow(image, extent=(0, 1, 1, 0), aspect=image.shape[0] / image.shape[1])
    sizes = boxes[:, 2:] - boxes[:, :2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    ious = yolo.iou_wh(sizes, anchors)
    for box, centre, iou in zip(boxes, centres, ious, strict=True):
        i = int(iou.argmax())
        colour = anchor_colour(i)
        dashed = np.concatenate([centre - anchors[i] / 2, centre + anchors[i] / 2])
        for corners, style in ((box, "-"), (dashed, "--")):
            axis.add_patch(
                Rectangle(
                    corners[:2],
                    *(corners[2:] - corners[:2]),
                    fill=False,
                    ec=colour,
                    lw=3 if style == "-" else 2.2,
                    ls=style,
                    clip_on=False,
                )
            )
        axis.annotate(
            f"anchor {i}, IoU {iou[i]:.2f}",
            (box[0] if box[0] < 0.75 else box[2], box[3]),
            xytext=(0, -4),
            textcoords="offset points",
            va="top",
            fontsize=12,
            color="white",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 2},
            ha="left" if box[0] < 0.75 else "right",
        )
    axis.set(xlim=(0, 1), ylim=(1, 0), title=title)
    axis.axis("off")


# --------------------------------------------------------------------------------------
# Chapter 2


def responsible_cells(
    axis, image, boxes, best_anchors, grid_size, dashed=None, fill=True, title=None
):
    """Draw an image with its grid, and each box with its centre and its cell.

    Parameters
    ----------
    image : ndarray (H, W, 3)
        Stretched to a square.
    boxes : array (n, 4)
        Fractions of the image.
    best_anchors : sequence of n int
        For the colours.
    dashed : array (A, 2), optional
        Anchors in grid units. Each box's anchor is drawn dashed on its centre.
    """
    axis.imshow(image, extent=(0, grid_size, grid_size, 0))
    axis.set(xlim=(0, grid_size), ylim=(grid_size, 0))
    show_grid(axis, grid_size)
    for (x1, y1, x2, y2), anchor in zip(
        np.asarray(boxes) * grid_size, best_anchors, strict=True
    ):
        colour = anchor_colour(int(anchor))
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        if fill:
            axis.add_patch(Rectangle((int(x), int(y)), 1, 1, fc=colour, alpha=0.65))
        axis.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=3)
        )
        axis.plot(x, y, "o", ms=8, color="white", mec="black")
        if dashed is not None:
            width, height = dashed[int(anchor)]
            axis.add_patch(
                Rectangle(
                    (x - width / 2, y - height / 2),
                    width,
                    height,
                    fill=False,
                    ec=colour,
                    lw=2,
                    ls="--",
                )
            )
    axis.set_title(title or "")


def _measure(axis, start, end, text, colour, offset):
    """A double arrow with a text beside its middle."""
    axis.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "<->", "color": colour, "lw": 2, "shrinkA": 0}
        | {"shrinkB": 0},
    )
    middle = (np.array(start) + end) / 2
    axis.text(
        *(middle + offset), text, color=colour, fontsize=15, ha="center", va="center"
    )


def box_formulas(centre, size, anchor, colour=RED):
    """Draw how cell, offset, anchor and size make a box. All lengths in grid units."""
    _, (left, right) = plt.subplots(1, 2, figsize=(12.4, 6.2))
    centre, size, anchor = (np.asarray(a, float) for a in (centre, size, anchor))
    cell = np.floor(centre)
    (x, y), (column, row) = centre, cell

    left.add_patch(Rectangle(cell, 1, 1, fc=PALE_GREY, ec="black", lw=3))
    left.plot(*cell, "s", ms=10, color="black")
    left.text(column - 0.03, row - 0.08, "$(c_x, c_y)$", ha="center", fontsize=15)
    left.plot(x, y, "o", ms=12, color=colour, zorder=4)
    left.text(x + 0.06, y + 0.03, "$(b_x, b_y)$", color=colour, fontsize=15, va="top")
    _measure(left, (column, y), (x, y), r"$\sigma(t_x)$", BLUE, (0, 0.1))
    _measure(left, (x, row), (x, y), r"$\sigma(t_y)$", BLUE, (0.19, 0))
    left.set(
        xlim=(column - 0.3, column + 1.3),
        ylim=(row + 1.3, row - 0.3),
        aspect="equal",
        xticks=(column, column + 1),
        yticks=(row, row + 1),
        xlabel="x in grid units",
        ylabel="y in grid units",
        title="Location: the centre cannot leave its cell",
    )

    for corners, style, width in ((size, "-", 3), (anchor, "--", 2)):
        right.add_patch(
            Rectangle(
                centre - corners / 2,
                *corners,
                fill=False,
                ec=colour,
                ls=style,
                lw=width,
            )
        )
    right.add_patch(Rectangle(cell, 1, 1, fc=PALE_GREY, ec="black", lw=2))
    right.plot(x, y, "o", ms=8, color=colour)
    top, bottom = y - anchor[1] / 2, y + size[1] / 2
    _measure(
        right,
        (x - anchor[0] / 2, top - 0.5),
        (x + anchor[0] / 2, top - 0.5),
        f"anchor: $a_w$ = {anchor[0]:.2f}",
        "black",
        (0, -0.5),
    )
    _measure(
        right,
        (x - size[0] / 2, bottom - 0.9),
        (x + size[0] / 2, bottom - 0.9),
        f"box: $b_w = a_w\\,e^{{t_w}}$ = {size[0]:.2f}",
        BLUE,
        (0, -0.5),
    )
    ticks = range(0, 14)
    right.set(
        xlim=(2.8, 13.4),
        ylim=(11, 0),
        aspect="equal",
        xticks=ticks[3:],
        yticks=ticks[:12],
        xlabel="x in grid units",
        ylabel="y in grid units",
        title="Size: the dashed anchor is scaled",
    )
    right.grid(color="#d9dbe0", lw=1)
    right.set_axisbelow(True)
    if not 2.8 < x - size[0] / 2 or not x + size[0] / 2 < 13.4:
        right.set(xlim=(0, 13), ylim=(13, 0))  # another example than the book's
    plt.show()


def target_exploded(y, cell, classes):
    """The marks of a target as a map, with one cell opened into its numbers.

    Parameters
    ----------
    y : array (G, G, A, 5 + C)
    cell : (row, column)
    classes : sequence of str
    """
    row, column = cell
    num_anchors, num_classes = y.shape[2], len(classes)
    _, (left, right) = plt.subplots(1, 2, figsize=(12.6, 5.2), width_ratios=(1, 1.55))
    left.imshow(y[..., 4].max(axis=2), cmap="Blues", vmin=0, vmax=1.3)
    grid_size = len(y)
    lines = np.arange(grid_size + 1) - 0.5
    left.vlines(lines, -0.5, grid_size - 0.5, color="#cfd3da", lw=1)
    left.hlines(lines, -0.5, grid_size - 0.5, color="#cfd3da", lw=1)
    left.add_patch(
        Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, ec="black", lw=4)
    )
    left.set(
        xticks=range(0, grid_size, 2),
        yticks=range(0, grid_size, 2),
        xlabel="column",
        ylabel="row",
        title="The mark: three cells hold a 1",
    )
    objects = int(y[..., 4].sum())
    if objects != 3:
        left.set_title(f"The mark: {objects} answers hold a 1")

    names = ("x", "y", "w", "h", "mark")
    class_width = 7 / num_classes
    for anchor in range(num_anchors):
        answer = y[row, column, anchor]
        is_on = answer[4] == 1
        top = anchor * 1.35
        right.text(
            -0.15,
            top + 0.5,
            f"anchor {anchor}",
            ha="right",
            va="center",
            color=anchor_colour(anchor),
            weight="bold",
        )
        for i in range(5):
            right.add_patch(
                Rectangle(
                    (i, top), 1, 1, fc=PALE_GREY if is_on else "white", ec=GREY, lw=1
                )
            )
            text = f"{answer[i]:.2f}" if i < 4 and is_on else f"{answer[i]:.0f}"
            right.text(i + 0.5, top + 0.5, text, ha="center", va="center")
        for i in range(num_classes):
            right.add_patch(
                Rectangle(
                    (5.4 + i * class_width, top),
                    class_width,
                    1,
                    fc=BLUE if answer[5 + i] else "white",
                    ec=GREY,
                    lw=1,
                )
            )
            if answer[5 + i]:
                right.annotate(
                    f"{classes[i]}: 1",
                    (5.4 + (i + 0.5) * class_width, top + 1),
                    xytext=(0, -2),
                    textcoords="offset points",
                    ha="center",
                    va="top",
                    color=BLUE,
                )
    for i, name in enumerate(names):
        right.text(i + 0.5, -0.15, name, ha="center", va="bottom")
    right.text(8.9, -0.15, f"{num_classes} classes", ha="center", va="bottom")
    right.set(xlim=(-2.1, 12.6), ylim=(num_anchors * 1.35 + 0.1, -0.8))
    right.axis("off")
    right.set_title(
        f"The cell in row {row}, column {column}: one anchor is responsible"
    )
    plt.show()


def crop_around(image, boxes, margin=0.08):
    """A part of an image that shows some boxes, and the boxes as fractions of it."""
    height, width = image.shape[:2]
    low = (boxes[:, :2].min(axis=0) - margin).clip(0, 1)
    high = (boxes[:, 2:].max(axis=0) + margin).clip(0, 1)
    x1, y1 = np.floor(low * [width, height]).astype(int)
    x2, y2 = np.ceil(high * [width, height]).astype(int)
    moved = boxes * ([width, height] * 2) - [x1, y1, x1, y1]
    return image[y1:y2, x1:x2], moved / ([x2 - x1, y2 - y1] * 2)


def collisions(pairs, classes, title):
    """Pairs of objects that want the same cell and anchor, cut out of their images.

    Parameters
    ----------
    pairs : list
        Of (annotation, boxes (2, 4) as fractions, labels (2,), anchor). The first
        object is the one that was overwritten; its box is dashed. Dots are the
        centres, the black square is their cell.
    classes : sequence of str
    title : str
    """
    _, axes = plt.subplots(1, max(1, len(pairs)), figsize=(11, 4.4), squeeze=False)
    for axis, (annotation, boxes, labels, anchor) in zip(axes[0], pairs, strict=False):
        image = yolo.read_image(annotation.image_path)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        corner = np.floor(centres[0] * yolo.GRID_SIZE) / yolo.GRID_SIZE
        cell = [[*corner, *(corner + 1 / yolo.GRID_SIZE)]]
        part, moved = crop_around(image, np.concatenate([boxes, cell]))
        colour = anchor_colour(anchor)
        show_boxes(axis, part, moved[:1], colours=colour, linestyle="--", linewidth=2)
        show_boxes(axis, None, moved[1:2], colours=colour)
        show_boxes(axis, None, moved[2:], colours="black", linewidth=2)
        height, width = part.shape[:2]
        for x, y in (moved[:2, :2] + moved[:2, 2:]) / 2:
            axis.plot(x * width, y * height, "o", color=colour, mec="white", ms=8)
        lost, kept = (classes[label] for label in labels)
        axis.set_title(f"anchor {anchor}: {kept} replaces {lost}", color=colour)
    plt.gcf().suptitle(title, fontsize=15)
    plt.show()


# --------------------------------------------------------------------------------------
# Chapter 3

OUTPUT_COLOURS = {
    "location": BLUE,
    "size": GREEN,
    "objectness": RED,
    "classes": "#c9ccd2",
}


def halvings(image, times=5):
    """Show an image and its halvings, each pixel the mean of a square of pixels."""
    figure, axes = plt.subplots(1, times + 1, figsize=(12, 2.9))
    side = image.shape[0]
    for i, axis in enumerate(axes):
        factor = 2**i
        blocks = image.reshape(side // factor, factor, side // factor, factor, 3)
        axis.imshow(blocks.mean(axis=(1, 3)))
        axis.set_title(f"{side // factor} × {side // factor}")
        axis.axis("off")
    figure.suptitle("Five halvings turn 416 × 416 pixels into 13 × 13 cells")
    plt.show()


def channel_histograms(maps, titles, suptitle):
    """Histograms of a few channels, in one panel for each of several feature maps.

    Each histogram is scaled to the same height.
    """
    figure, axes = plt.subplots(1, len(maps), figsize=(12, 4.2), sharey=True)
    edges = np.linspace(-3, 3, 121)
    for axis, values, title in zip(axes, maps, titles, strict=True):
        channels = np.moveaxis(np.asarray(values), -1, 0)
        for i, channel in enumerate(channels):
            counts, _ = np.histogram(channel, edges)
            heights = 0.85 * counts / counts.max()
            axis.stairs(heights - i, edges, baseline=-i, fill=True, color=BLUE)
        axis.axvline(0, color="black", linewidth=1.2, linestyle=":")
        axis.set(title=title, xlabel="value", xlim=(-3, 3))
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
    rows = range(len(channels))
    axes[0].set_yticks([-i + 0.2 for i in rows], [f"channel {i}" for i in rows])
    figure.suptitle(suptitle)
    plt.show()


def architecture(image, num_anchors, num_classes):
    """Draw the whole network at full width, from the image to the raw output."""
    _, axis = plt.subplots(figsize=(12.6, 7.6))
    axis.set(xlim=(-0.2, 19.4), ylim=(-0.75, 10.6), aspect="equal")
    axis.axis("off")
    arrow = {"arrowstyle": "-|>", "linewidth": 2, "shrinkA": 0, "shrinkB": 0}

    def text(x, y, words, size=12.5, **options):
        options = {"ha": "left", "va": "center", **options}
        axis.text(x, y, words, fontsize=size, **options)

    def bar(x, y, side, colour):
        width = 0.19 * np.sqrt(side)
        corner = (x - width / 2, y - 0.3)
        axis.add_patch(Rectangle(corner, width, 0.6, facecolor=colour))
        return width

    def connect(start, end, colour="#33373d", **options):
        axis.annotate("", end, start, arrowprops={**arrow, "color": colour, **options})

    # Left: the backbone, from top to bottom.
    middle = 4.5
    stages = (
        ("conv 1", 416, 32, "#b9d2e8"),
        ("conv 2", 208, 64, "#9dc0df"),
        ("conv 3–5", 104, 128, "#7fabd3"),
        ("conv 6–8", 52, 256, "#6197c6"),
        ("conv 9–13", 26, 512, BLUE),
        ("conv 14–18", 13, 1024, "#1f4e7c"),
    )
    axis.imshow(image, extent=(middle - 0.95, middle + 0.95, 8.3, 10.2), zorder=3)
    text(0, 9.25, "image")
    text(6.65, 9.25, "416 × 416 × 3")
    connect((middle, 8.25), (middle, 7.75))
    heights = 7.4 - 1.4 * np.arange(6)
    for (name, side, channels, colour), y in zip(stages, heights, strict=True):
        width = bar(middle, y, side, colour)
        text(0, y, name)
        text(6.65, y, f"{side} × {side} × {channels:,}")
        if side > 13:
            narrow = 0.19 * np.sqrt(side / 2)
            xs = middle + np.array([-width, width, narrow, -narrow]) / 2
            ys = y + np.array([-0.35, -0.35, -1.05, -1.05])
            axis.fill(xs, ys, color="#eceef1")
            text(middle, y - 0.7, "max-pooling", 11, color="#5b606a", ha="center")

    text(0, heights[5] - 0.85, "backbone: 18 convolutions of Darknet-19", weight="bold")

    # Right: what detection adds, from bottom to top.
    right = 14.6
    low, joint = heights[5], heights[4]
    connect((9.75, low), (right - 0.45, low))
    bar(right, low, 13, "#1f4e7c")
    text(right + 0.7, low, "conv 19–20\n13 × 13 × 1,024")
    connect((right, low + 0.35), (right, joint - 0.35))
    axis.add_patch(Rectangle((right - 0.45, joint - 0.3), 0.2, 0.6, facecolor=RED))
    axis.add_patch(
        Rectangle((right - 0.22, joint - 0.3), 0.65, 0.6, facecolor="#1f4e7c")
    )
    text(right + 0.7, joint, "concatenation\n13 × 13 × (256 + 1,024)")
    connect((right, joint + 0.35), (right, heights[3] - 0.35))
    bar(right, heights[3], 13, "#17304a")
    text(right + 0.7, heights[3], "conv 22\n13 × 13 × 1,024")
    connect((right, heights[3] + 0.35), (right, heights[2] - 0.35))
    bar(right, heights[2], 13, ORANGE)
    numbers = 5 + num_classes
    text(
        right + 0.7,
        heights[2],
        f"conv 23, the head\n13 × 13 × {num_anchors * numbers}",
    )

    # Between them: the passthrough.
    connect((9.35, joint), (right - 0.5, joint), RED)
    label = "conv 21: 26 × 26 × 64,\nreordered: 13 × 13 × 256"
    text(11.75, joint + 0.3, label, color=RED, ha="center", va="bottom")

    # Above: the raw output of one cell, a row for each anchor.
    left, top, wide, high = 11.3, 9.1, 7.9, 0.36
    connect((right, heights[2] + 0.35), (right, top - num_anchors * high - 0.08))
    kinds = ["location"] * 2 + ["size"] * 2 + ["objectness"] + ["classes"] * num_classes
    step = wide / numbers
    for anchor in range(num_anchors):
        y = top - (anchor + 1) * high
        for i, kind in enumerate(kinds):
            corner = (left + i * step, y + 0.03)
            axis.add_patch(
                Rectangle(
                    corner, 0.9 * step, high - 0.06, facecolor=OUTPUT_COLOURS[kind]
                )
            )
        text(left - 0.15, y + high / 2, f"anchor {anchor}", 11, ha="right")
    title = f"raw output, one of 13 × 13 cells: {num_anchors} × {numbers} numbers"
    text(left - 1.6, top + 1.05, title, weight="bold")
    x = left - 1.6
    for kind, count in (("location", 2), ("size", 2), ("objectness", 1)):
        colour = OUTPUT_COLOURS[kind]
        text(x, top + 0.42, f"{count} {kind}", 12, color=colour, weight="bold")
        x += {"location": 2.2, "size": 1.5, "objectness": 2.75}[kind]
    text(x, top + 0.42, f"{num_classes} classes", 12, color="#777b84", weight="bold")
    axis.set_title(
        "The map shrinks five times, then joins a finer map before it answers"
    )
    plt.show()


def layer_costs(names, weights, work):
    """Two bar charts: weights and multiplications of each convolution."""
    figure, axes = plt.subplots(2, 1, figsize=(11, 5.2), sharex=True)
    axes[0].bar(names, weights, color=ORANGE)
    axes[0].set_title("The weights are in the last layers", loc="left")
    axes[0].set_ylabel("millions")
    axes[1].bar(names, work, color=BLUE)
    axes[1].set_title("The multiplications are spread more evenly", loc="left")
    axes[1].set_ylabel("billions")
    axes[1].set_xlabel("convolution")
    axes[1].set_xticks(names)
    axes[1].set_xlim(0.3, max(names) + 0.7)
    plt.show()


def seen_pixels(image, influence, theoretical, practical, cell):
    """Show which pixels influence one cell, and two squares round the cell."""
    _, axis = plt.subplots(figsize=(6.8, 6.6))
    grey = image.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    axis.imshow(0.45 + 0.55 * grey)
    block = 8  # pixels, to smooth the speckles of single pixels
    side = len(influence) // block
    smooth = influence.reshape(side, block, side, block).mean(axis=(1, 3))
    overlay = np.zeros((side, side, 4))
    overlay[..., :3] = plt.matplotlib.colors.to_rgb(RED)
    overlay[..., 3] = 0.9 * np.sqrt(smooth / smooth.max())
    extent = (-0.5, len(influence) - 0.5, len(influence) - 0.5, -0.5)
    axis.imshow(overlay, extent=extent, interpolation="bilinear")
    centre = (cell + 0.5) * yolo.CELL_SIZE
    squares = (
        (theoretical, "black", "--", f"theoretical: {theoretical} px"),
        (practical, BLUE, "-", f"90 % of the influence: {practical} px"),
        (yolo.CELL_SIZE, "black", "-", f"the cell: {yolo.CELL_SIZE} px"),
    )
    for side, colour, style, name in squares:
        axis.add_patch(
            Rectangle(
                (centre - side / 2, centre - side / 2),
                side,
                side,
                fill=False,
                edgecolor=colour,
                linestyle=style,
                linewidth=2.5,
                label=name,
            )
        )
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 0), handlelength=1.5)
    axis.set_title("Most of the influence comes from the middle of the field")
    axis.axis("off")
    plt.show()


def reordered_channels(small, results):
    """Draw channel 0 of a (4, 4, 4) array and of its reordered versions.

    Parameters
    ----------
    small : ndarray (4, 4, 4)
        Height, width, channels. Channel 0 has the values 0 to 15, line by line.
    results : dict
        Title of a panel: array (2, 2, 16).
    """
    width_ratios = [4] + [2] * len(results)
    figure, axes = plt.subplots(
        1, len(width_ratios), figsize=(10.5, 5), width_ratios=width_ratios
    )
    panels = {"input, channel 0": small, **results}
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        size = len(values)
        for (row, column), value in np.ndenumerate(values[..., 0]):
            colour = anchor_colour(value // 4)  # the row that it comes from
            corner = (column, row)
            axis.add_patch(Rectangle(corner, 1, 1, fc=colour, alpha=0.35, ec="white"))
            axis.text(
                column + 0.5, row + 0.5, value, ha="center", va="center", fontsize=17
            )
        axis.axhline(size / 2, color="black", lw=1.5, ls="--")
        axis.set(xlim=(0, size), ylim=(size, 0), aspect="equal", title=title)
        axis.axis("off")
    figure.suptitle(
        "In Darknet's order, the values 4 and 6 land in the wrong place", fontsize=15
    )
    plt.show()


def passthrough_sources(sources, cells):
    """Mark the pixels of the fine map that end up in some cells of the coarse map.

    Parameters
    ----------
    sources : dict
        Title of a panel: array (13, 13, 256) with the number 26 * row + column of the
        fine pixel that each value comes from.
    cells : dict
        (row, column): colour.
    """
    figure, axes = plt.subplots(1, len(sources), figsize=(9.4, 5.5))
    for axis, (title, numbers) in zip(axes, sources.items(), strict=True):
        for (row, column), colour in cells.items():
            counts = np.bincount(numbers[row, column], minlength=676)
            for pixel in np.flatnonzero(counts):
                corner = (pixel % 26, pixel // 26)
                axis.add_patch(Rectangle(corner, 1, 1, facecolor=colour, alpha=0.75))
            cell = Rectangle((2 * column, 2 * row), 2, 2, fill=False, ec="black", lw=2)
            axis.add_patch(cell)
        axis.set(title=title, xlim=(0, 26), ylim=(26, 0), aspect="equal")
        axis.set_xticks(range(0, 27, 2), [])
        axis.set_yticks(range(0, 27, 2), [])
        axis.tick_params(length=0)
        axis.grid(color="#cfd3d9", linewidth=0.8)
        axis.spines[:].set_visible(True)
        axis.set_xlabel("26 × 26 map, lines between the 13 × 13 cells")
    figure.suptitle(
        "In Darknet's order, a cell also gets values from outside of its own pixels"
    )
    plt.show()


def weights_file():
    """Draw the layout of a Darknet weights file."""
    parts = (
        ("header\n16 or 20 bytes", 2.1, GREY),
        ("beta", 1.0, GREEN),
        ("gamma", 1.15, GREEN),
        ("mean", 1.0, GREEN),
        ("variance", 1.35, GREEN),
        ("kernel", 1.9, BLUE),
        ("21 more blocks", 1.9, "#c9ccd2"),
        ("bias", 0.9, ORANGE),
        ("kernel", 1.5, ORANGE),
    )
    _, axis = plt.subplots(figsize=(12.4, 2.3))
    x = 0.0
    edges = []
    for name, width, colour in parts:
        axis.add_patch(Rectangle((x, 0), width - 0.06, 1, facecolor=colour, alpha=0.45))
        axis.text(
            x + width / 2 - 0.03, 0.5, name, ha="center", va="center", fontsize=13
        )
        edges.append(x)
        x += width
    groups = (
        (1, 6, "norm_1 and conv_1"),
        (6, 7, "norm_2 … conv_22"),
        (7, 9, "conv_23"),
    )
    for first, last, name in groups:
        start = edges[first]
        end = (edges[last] if last < len(edges) else x) - 0.06
        axis.plot([start, end], [-0.15, -0.15], color="#33373d", linewidth=2)
        axis.text((start + end) / 2, -0.3, name, ha="center", va="top", fontsize=13)
    axis.set(xlim=(-0.05, x), ylim=(-0.75, 1.1))
    axis.axis("off")
    axis.set_title("A header, and then nothing but numbers in the order of the network")
    plt.show()


def filters(kernels, title, count=8):
    """Show filters of the first layer as small colour images, a row per network.

    Each filter is scaled by its own largest weight. Grey is a weight of 0.

    Parameters
    ----------
    kernels : dict
        Name of a row: kernel (3, 3, 3, filters).
    """
    figure, axes = plt.subplots(
        len(kernels), count, figsize=(11, 0.7 + 1.3 * len(kernels)), squeeze=False
    )
    for row, (name, kernel) in zip(axes, kernels.items(), strict=True):
        for axis, weights in zip(row, np.moveaxis(kernel, -1, 0), strict=False):
            axis.imshow(0.5 + 0.5 * weights / np.abs(weights).max())
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
    figure.suptitle(title)
    plt.show()


def feature_maps(image, maps, title, count=3):
    """Show the channels with the largest spread of an early and a late feature map.

    Parameters
    ----------
    image : ndarray (S, S, 3)
    maps : dict
        Name of a row: list of (name of a layer, array (H, W, C)).
    """
    layers = len(next(iter(maps.values())))
    figure, axes = plt.subplots(
        len(maps), 1 + layers * count, figsize=(12.4, 1.75 * len(maps) + 0.9)
    )
    for k, (name, layer_maps) in enumerate(maps.items()):
        row = axes[k]
        row[0].imshow(image)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8)
        for i, (layer, values) in enumerate(layer_maps):
            spread = values.std(axis=(0, 1))
            largest = np.argsort(-spread, kind="stable")[:count]
            panels = row[1 + i * count : 1 + (i + 1) * count]
            for axis, channel in zip(panels, largest, strict=False):
                axis.imshow(values[..., channel], cmap="magma")
            if k == 0:
                panels[count // 2].set_title(layer)
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    figure.suptitle(title)
    plt.show()


def first_predictions(image, boxes, cells, titles, suptitle):
    """Draw the predicted boxes of some cells, in one panel for each of several heads.

    Parameters
    ----------
    image : ndarray (S, S, 3)
    boxes : list of ndarray (G, G, A, 4)
        Corners as fractions of the image.
    cells : list of (row, column)
    """
    figure, axes = plt.subplots(1, len(boxes), figsize=(11.4, 5.9))
    side = image.shape[0]
    for axis, predicted, title in zip(axes, boxes, titles, strict=True):
        axis.imshow(image, alpha=0.55)
        for row, column in cells:
            for anchor, (x1, y1, x2, y2) in enumerate(predicted[row, column] * side):
                axis.add_patch(
                    Rectangle(
                        (x1, y1),
                        x2 - x1,
                        y2 - y1,
                        fill=False,
                        edgecolor=anchor_colour(anchor),
                        linewidth=2.2,
                    )
                )
            centre = ((column + 0.5) * yolo.CELL_SIZE, (row + 0.5) * yolo.CELL_SIZE)
            axis.plot(*centre, "o", color="black", markersize=7)
        margin = 0.25 * side
        axis.set(xlim=(-margin, side + margin), ylim=(side + margin, -margin))
        axis.set_title(title)
        axis.axis("off")
    names = [
        plt.Line2D([], [], color=anchor_colour(i), label=f"anchor {i}")
        for i in range(boxes[0].shape[2])
    ]
    axes[0].legend(handles=names, loc="upper left", ncols=2)
    figure.suptitle(suptitle)
    plt.show()


# --------------------------------------------------------------------------------------
# Chapter 5


def target_batch(images, boxes, labels, classes, title, columns=4):
    """Draw images of a batch with the boxes that were decoded from their targets."""
    rows = -(-len(images) // columns)
    size = (12, 3.1 * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for i, image in enumerate(images):
        show_boxes(axes.flat[i], image, boxes[i], labels[i], classes, fontsize=10)
    figure.suptitle(title, fontsize=15)
    plt.show()


def sizes_over_steps(sizes, steps_per_epoch):
    """The image size of each training step, with lines where epochs end."""
    _, axis = plt.subplots(figsize=(11, 3.4))
    axis.step(np.arange(len(sizes)), sizes, where="post", color=BLUE)
    for step in range(steps_per_epoch, len(sizes) + 1, steps_per_epoch):
        axis.axvline(step, color=GREY, lw=1, ls=":", label="end of an epoch")
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(handles[:1], labels[:1], loc="upper left", bbox_to_anchor=(1, 1))
    axis.set(
        xlabel="training step",
        ylabel="image size (pixels)",
        yticks=sorted(set(sizes)),
        xlim=(0, len(sizes)),
        title="Every ten steps, the images may get another size",
    )
    plt.show()


def learning_rate(rates, warmup_steps):
    """The learning rate of each step: the whole run, and its start enlarged."""
    _, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), width_ratios=(1.6, 1))
    steps = 1 + np.arange(len(rates))
    for axis, marker in ((left, ""), (right, "o")):
        axis.axvspan(0, warmup_steps + 0.5, color=PALE, label="both warm-ups")
        axis.plot(steps, rates, color=BLUE, marker=marker, label="learning rate")
        axis.set(xlabel="training step", ylim=(0, None))
    left.set(
        xlim=(0, len(rates)),
        ylabel="learning rate",
        title="A short climb, then a long descent to zero",
    )
    right.set(xlim=(0, 2 * warmup_steps + 3), title="The first steps are tiny")
    left.legend()
    plt.show()


TERM_COLOURS = {
    "location": BLUE,
    "size": GREEN,
    "objectness": ORANGE,
    "background": GREY,
    "classes": RED,
}


def learned_by_heart(rows, known, unseen):
    """Loss terms while a few images are memorised, and those of other images after it.

    Parameters
    ----------
    rows : array (steps, terms)
        The terms in the order of `yolo.LossTerms`.
    known, unseen : dict
        Terms for the memorised images and for images that were not trained on.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(12, 4.3), width_ratios=(1.5, 1))
    for name, values in zip(yolo.LossTerms._fields, rows.T, strict=True):
        if name in TERM_COLOURS:
            left.plot(1 + np.arange(len(values)), values, color=TERM_COLOURS[name])
            left.plot([], [], color=TERM_COLOURS[name], lw=6, label=name)
    left.set(
        xlabel="training step",
        ylabel="loss per image",
        title="The loss becomes small: the loop learns",
    )
    left.legend()
    for x, losses in enumerate((known, unseen)):
        bottom = 0
        for name, colour in TERM_COLOURS.items():
            right.bar(x, losses[name], bottom=bottom, width=0.6, color=colour)
            bottom += losses[name]
        right.text(x, bottom, f"{bottom:.1f}", ha="center", va="bottom")
    right.set(
        xticks=(0, 1),
        xticklabels=("the eight\ntraining images", "eight\nother images"),
        title="Learned by heart, not understood",
    )
    right.set_ylim(0, 1.12 * right.dataLim.y1)
    plt.show()


def loss_and_map(history, last_sizes):
    """Losses and validation mAP over the epochs, with the last image size of each.

    Parameters
    ----------
    history : dict
        From `yolo.train_detector`.
    last_sizes : list of int
        Image size in the last step of each epoch, in pixels.
    """
    epochs = 1 + np.arange(len(history["loss"]))
    figure = plt.figure(figsize=(12, 5))
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 1))
    left = figure.add_subplot(grid[:, 0])
    right = figure.add_subplot(grid[0, 1])
    lower = figure.add_subplot(grid[1, 1])

    left.plot(epochs, history["loss"], "o-", ms=4, color=BLUE, label="training")
    left.plot(epochs, history["val_loss"], "o-", ms=4, color=ORANGE, label="validation")
    left.set(title="The loss falls fastest at the start", ylabel="loss per image")
    left.set_ylim(0, 1.05 * max(*history["loss"], *history["val_loss"]))
    left.legend()

    scores = np.array(history["val_map"])
    best = len(scores) - 1 - int(scores[::-1].argmax())  # of equal ones, the last
    right.plot(epochs, scores, "o-", ms=4, color=ORANGE)
    right.plot(epochs[best], scores[best], "o", ms=14, mfc="none", mec="black", mew=2)
    right.text(
        0.97,
        0.08,
        f"kept: epoch {epochs[best]}, mAP {scores[best]:.2f}",
        transform=right.transAxes,
        ha="right",
    )
    right.set(
        title="The validation mAP rises and picks the weights",
        ylabel="validation mAP",
        ylim=(0, max(0.1, 1.15 * scores.max())),
    )

    is_small = np.array(last_sizes) < 300
    colours = np.where(is_small, RED, GREY)
    lower.bar(epochs, last_sizes, color=colours, width=0.7)
    for epoch, size in zip(epochs, last_sizes, strict=True):
        if len(epochs) <= 20:
            lower.text(epoch, size + 20, str(size), ha="center", fontsize=8.5)
    lower.set(ylabel="last size", ylim=(0, 1.35 * max(last_sizes)), yticks=(0, 416))
    for axis in (left, right, lower):
        _epoch_axis(axis, epochs)
    right.set_xlabel("")
    plt.show()


def loss_terms(history):
    """Each term of the loss over the epochs, for training and validation."""
    epochs = 1 + np.arange(len(history["loss"]))
    titles = {
        "location": "location: where is the centre?",
        "size": "size: how wide, how high?",
        "objectness": "objectness of objects",
        "background": "objectness of background",
        "classes": "classes: what is it?",
        "weight_decay": "weight decay",
    }
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.6))
    for axis, (name, title) in zip(axes.flat, titles.items(), strict=True):
        training, validation = history[name], history[f"val_{name}"]
        axis.plot(epochs, training, "o-", ms=3, color=BLUE, label="training")
        axis.plot(epochs, validation, "o-", ms=3, color=ORANGE, label="validation")
        axis.set_title(title)
        axis.set_ylim(0, 1.12 * max(*training, *validation))
        _epoch_axis(axis, epochs)
    axes[0, 0].legend()
    for axis in axes[:, 0]:
        axis.set_ylabel("loss per image")
    gaps = {name: history[f"val_{name}"][-1] - history[name][-1] for name in titles}
    widest = max(gaps, key=gaps.get)
    title = f"At the end, validation lies above training most in the term: {widest}"
    figure.suptitle(title, fontsize=15)
    plt.show()


def _epoch_axis(axis, epochs):
    axis.set(xlabel="epoch", xlim=(0.5, len(epochs) + 0.5))
    axis.xaxis.get_major_locator().set_params(integer=True, nbins=8)


def hits(annotation, detections, iou_threshold=0.5):
    """For each detection: does it find an object of its class that is still free?"""
    truth = annotation.boxes - [1, 1, 0, 0]
    free = np.ones(len(truth), bool)
    answers = []
    for box, label in zip(detections.boxes, detections.labels, strict=True):
        possible = free & (annotation.labels == label)
        ious = np.where(possible, yolo.iou_matrix([box], truth)[0], 0)
        answers.append(bool(ious.max(initial=0) >= iou_threshold))
        if answers[-1]:
            free[ious.argmax()] = False
    return answers


def snapshots(annotations, found, classes):
    """Ground truth and the detections after some epochs, one image in each row.

    The title counts the objects that are found.

    Parameters
    ----------
    annotations : list of Annotation
    found : dict
        From the number of an epoch to a list of Detections, one for each annotation.
    """
    shape = (len(annotations), 1 + len(found))
    size = (3 * shape[1], 2.3 * shape[0] + 0.9)
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False)
    for row, annotation in enumerate(annotations):
        image = yolo.read_image(annotation.image_path)
        options = {"classes": classes, "fractions": False, "fontsize": 10}
        show_boxes(
            axes[row, 0],
            image,
            annotation.boxes,
            annotation.labels,
            colours=BLUE,
            **options,
        )
        for axis, detections in zip(axes[row, 1:], found.values(), strict=True):
            here = detections[row]
            show_boxes(
                axis,
                image,
                here.boxes,
                here.labels,
                scores=here.scores,
                colours=[GREEN if hit else RED for hit in hits(annotation, here)],
                **options,
            )
    counts = []
    for detections in found.values():
        pairs = zip(annotations, detections, strict=True)
        counts.append(sum(sum(hits(*pair)) for pair in pairs))
    total = sum(len(annotation.labels) for annotation in annotations)
    epochs = ", ".join(map(str, found))
    numbers = ", ".join(map(str, counts))
    title = f"Objects found after epochs {epochs}: {numbers} of {total}"
    for axis, name in zip(axes[0], ["ground truth", *found], strict=True):
        text = name if isinstance(name, str) else f"after epoch {name}"
        axis.set_title(text, color=BLUE if name == "ground truth" else "black")
    figure.suptitle(title, fontsize=15)
    plt.show()


def comparison_bars(rows, title):
    """Bars with the mean mAP of several runs, and lines from the lowest to the highest.

    Parameters
    ----------
    rows : list of dict
        Runs with the entries name, seed, map_all, map_seen, map_new and minutes.
    """
    names = list(dict.fromkeys(row["name"] for row in rows))
    kinds = {
        "map_all": ("all classes", GREY),
        "map_seen": ("seen before", BLUE),
        "map_new": ("new", ORANGE),
    }
    _, axis = plt.subplots(figsize=(12, 4.6))
    for i, (kind, (label, colour)) in enumerate(kinds.items()):
        runs = [[row[kind] for row in rows if row["name"] == name] for name in names]
        means = np.array([np.mean(values) for values in runs])
        lowest = means - [min(values) for values in runs]
        highest = [max(values) for values in runs] - means
        x = np.arange(len(names)) + 0.27 * (i - 1)
        axis.bar(x, means, width=0.25, color=colour, label=label)
        several = [len(values) > 1 for values in runs]  # a single run has no range
        axis.errorbar(
            x[several],
            means[several],
            [lowest[several], highest[several]],
            fmt="none",
            ecolor="black",
            capsize=4,
            lw=1.5,
        )
        for position, mean, above in zip(x, means, highest, strict=True):
            axis.text(
                position, mean + above + 0.015, f"{mean:.2f}", ha="center", fontsize=12
            )
    ticks = []
    for name in names:
        minutes = np.mean([row["minutes"] for row in rows if row["name"] == name])
        ticks.append(f"{name}\n{minutes:.0f} min")
    axis.set_xticks(range(len(names)), ticks)
    axis.set(ylabel="mAP on the test images", title=title)
    axis.set_ylim(0, max(row[kind] for row in rows for kind in kinds) + 0.1)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), title="mAP of")
    plt.show()


# --------------------------------------------------------------------------------------
# Chapter 4: the loss

ROLE_COLOURS = {"responsible": GREEN, "ignored": ORANGE, "background": "#9db4d0"}


def loss_roles(image, predicted_boxes, true_boxes, roles):
    """Show which predictions are responsible, ignored and background.

    Parameters
    ----------
    image : ndarray (S, S, 3)
    predicted_boxes : array (G, G, A, 4)
        Centre x, y, width, height in grid units.
    true_boxes : array (n, 4)
        In the same form.
    roles : dict
        Name of each role in ROLE_COLOURS: array (G, G, A) of bool.
    """
    grid_size, _, num_anchors, _ = predicted_boxes.shape
    rows = (num_anchors + 1) // 2
    figure = plt.figure(figsize=(12.4, 6.9))
    layout = figure.add_gridspec(rows, 4)
    extent = (0, grid_size, grid_size, 0)

    axis = figure.add_subplot(layout[:, :2])
    axis.imshow(image, extent=extent)
    for box in true_boxes:
        _centred_box(axis, box, "white", 5)
        _centred_box(axis, box, "black", 2)
    for role, style, inset in (("responsible", "-", 0), ("ignored", "--", 0.25)):
        for box in predicted_boxes[roles[role]]:
            drawn = box - [0, 0, inset, inset]  # a little smaller, to be seen
            _centred_box(axis, drawn, ROLE_COLOURS[role], 3, style)
            axis.plot(*box[:2], "o", color=ROLE_COLOURS[role], mec="white", ms=9)
    axis.set_title("True boxes (black) and predicted boxes")
    axis.set(xlim=(0, grid_size), ylim=(grid_size, 0), xticks=[], yticks=[])

    for number in range(num_anchors):
        axis = figure.add_subplot(layout[number // 2, 2 + number % 2])
        axis.imshow(image, extent=extent)
        for role, mask in roles.items():
            rgba = np.zeros((grid_size, grid_size, 4))
            strength = 0.6 if role == "background" else 1.0
            rgba[mask[..., number]] = plt.matplotlib.colors.to_rgba(
                ROLE_COLOURS[role], strength
            )
            axis.imshow(rgba, extent=extent, interpolation="nearest")
        axis.set_title(f"anchor {number}")
        axis.set(xlim=(0, grid_size), ylim=(grid_size, 0))
        show_grid(axis, grid_size, indices=False, linewidth=0.6)
        axis.set(xticks=[], yticks=[])

    handles = [
        plt.Rectangle((0, 0), 1, 1, color=colour, label=f"{role}: {roles[role].sum()}")
        for role, colour in ROLE_COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=15)
    total = grid_size * grid_size * num_anchors
    figure.suptitle(
        f"{roles['responsible'].sum()} of {total} predictions are responsible, "
        f"{roles['ignored'].sum()} are ignored, the rest is background",
        fontsize=16,
    )
    plt.show()


def _centred_box(axis, box, colour, linewidth, style="-"):
    """Draw a box given as centre x, y, width, height."""
    corner = (box[0] - box[2] / 2, box[1] - box[3] / 2)
    axis.add_patch(
        Rectangle(corner, box[2], box[3], fill=False, ec=colour, lw=linewidth, ls=style)
    )


def loss_gradients(gradient, roles, names):
    """Show which numbers of a prediction get a gradient, for each role.

    Parameters
    ----------
    gradient : array (G, G, A, 5 + C)
        Absolute values.
    roles : dict
        Name of each role: array (G, G, A) of bool.
    names : list of str
        Names of the first five numbers.
    """
    num_numbers = gradient.shape[-1]
    mean_sizes = {}
    for role, mask in roles.items():
        none = np.zeros(num_numbers)
        mean_sizes[role] = gradient[mask].mean(axis=0) if mask.any() else none
    widths = [1.0] * 5 + [2.2]
    lefts = np.concatenate([[0], np.cumsum(widths)])
    classes = f"{num_numbers - 5} class scores" if num_numbers > 6 else "class score"
    figure, axis = plt.subplots(figsize=(11, 3.9))
    for row, (role, sizes) in enumerate(mean_sizes.items()):
        groups = [sizes[i] for i in range(5)] + [sizes[5:].mean()]
        for column, size in enumerate(groups):
            colour = ROLE_COLOURS[role] if size > 0 else "#f1f2f4"
            axis.add_patch(
                Rectangle(
                    (lefts[column], row), widths[column], 1, fc=colour, ec="white", lw=4
                )
            )
            axis.text(
                (lefts[column] + lefts[column + 1]) / 2,
                row + 0.5,
                f"{size:.2f}" if size > 0 else "0",
                ha="center",
                va="center",
                fontsize=15,
                color="white" if role == "responsible" and size > 0 else "black",
            )
    middles = (lefts[:-1] + lefts[1:]) / 2
    axis.set_xticks(middles, [*names, classes], fontsize=14)
    axis.set_yticks(np.arange(len(mean_sizes)) + 0.5, list(mean_sizes), fontsize=15)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set(xlim=(0, lefts[-1]), ylim=(len(mean_sizes), 0))
    counts = [int((sizes > 0).sum()) for sizes in mean_sizes.values()]
    parts = [f"{role}: {count}" for role, count in zip(mean_sizes, counts, strict=True)]
    figure.suptitle(
        f"How many of the {num_numbers} numbers get a gradient? {', '.join(parts)}",
        fontsize=15,
    )
    axis.set_xlabel("mean size of the gradient of the loss with respect to the number")
    plt.show()


def centres_in_cells(true_offsets, offsets, names):
    """Show true and predicted centres, each in its own enlarged cell."""
    figure, axes = plt.subplots(
        1, len(names), figsize=(3.9 * len(names), 4.9), squeeze=False
    )
    for axis, true, predicted, name in zip(
        axes[0], true_offsets, offsets, names, strict=True
    ):
        axis.plot(*zip(true, predicted, strict=True), color=RED, lw=3)
        axis.plot(*true, "o", ms=14, color="black", label="true centre")
        axis.plot(*predicted, "o", ms=14, color=GREEN, label="predicted centre")
        axis.set(xlim=(0, 1), ylim=(1, 0), aspect="equal", title=name)
        axis.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), xlabel="offset x (cells)")
        axis.spines[:].set_visible(True)
    axes[0, 0].set_ylabel("offset y (cells)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=14)
    figure.suptitle(
        "The location error is the squared length of the red line",
        fontsize=16,
    )
    plt.show()


def shifted_boxes(image, boxes, shift, ious, names):
    """Show true boxes (black) and the same boxes moved down by `shift` cells.

    Parameters
    ----------
    image : ndarray (S, S, 3)
    boxes : array (n, 4)
        Centre x, y, width, height in grid units.
    shift : float
    ious : array (n,)
        IoU of each box and the moved box.
    names : list of str
    """
    figure, axes = plt.subplots(
        1, len(boxes), figsize=(4.1 * len(boxes), 4.6), squeeze=False
    )
    grid_size = image.shape[0] / yolo.CELL_SIZE
    for axis, box, iou, name in zip(axes[0], boxes, ious, names, strict=True):
        axis.imshow(image, extent=(0, grid_size, grid_size, 0))
        moved = box + [0, shift, 0, 0]
        _centred_box(axis, box, "white", 5)
        _centred_box(axis, box, "black", 2.5)
        _centred_box(axis, moved, RED, 3, "--")
        side = min(max(box[2:]) + 2, grid_size)  # of the part of the photo to show
        left, top = (box[:2] - side / 2).clip(0, grid_size - side)
        axis.set(xlim=(left, left + side), ylim=(top + side, top))
        axis.axis("off")
        axis.set_title(f"{name}: IoU {iou:.2f}")
    figure.suptitle(
        f"Moved down by {shift} cells: the same error hurts small boxes most",
        fontsize=15,
    )
    plt.show()


def size_costs(widths, names):
    """Show the cost of wrong widths, in cells and as logarithms.

    Parameters
    ----------
    widths : array (n,)
        True widths in cells. The widest and the narrowest one are shown.
    names : list of str
    """
    ratios = np.linspace(1 / 3, 3, 200)  # predicted width / true width
    _, axes = plt.subplots(1, 2, figsize=(11.5, 4.4))
    shown = ((widths.argmax(), BLUE, "-"), (widths.argmin(), ORANGE, "--"))
    for i, colour, style in shown:
        label = f"{names[i]}: {widths[i]:.1f} cells wide"
        in_cells = 0.5 * (ratios * widths[i] - widths[i]) ** 2
        axes[0].plot(ratios, in_cells, style, color=colour, label=label)
        as_logarithms = 0.5 * np.log(ratios) ** 2
        axes[1].plot(ratios, as_logarithms, style, color=colour, label=label)
    axes[0].set(title="Widths in cells: large objects dominate", ylabel="cost")
    axes[1].set(title="Logarithms: the same cost for every size")
    for axis in axes:
        axis.set(xscale="log", xlabel="predicted width / true width (logarithmic)")
        axis.set_xticks([1 / 3, 1 / 2, 1, 2, 3], ["1/3", "1/2", "1", "2", "3"])
        axis.minorticks_off()
        axis.legend(loc="upper center")
    plt.show()


def objectness_targets(objectness, own_iou, names):
    """Show with an arrow where the objectness of each responsible box should go."""
    _, axis = plt.subplots(figsize=(9.6, 3.6))
    rows = np.arange(len(names))
    arrow = {"arrowstyle": "-|>", "lw": 3, "color": RED, "shrinkA": 0, "shrinkB": 0}
    for i in rows:
        axis.annotate("", (own_iou[i], i), (objectness[i], i), arrowprops=arrow)
    axis.plot(objectness, rows, "o", ms=13, color="black", label="objectness now")
    axis.plot(own_iou, rows, "D", ms=11, color=GREEN, label="IoU of its box")
    axis.set_yticks(rows, names)
    axis.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5))
    axis.set(xlabel="objectness, IoU")
    axis.set_title("Each objectness is pulled to the IoU of its own box")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()


def objectness_paths(with_stop, without_stop):
    """Show arrays (steps, 2) of objectness and IoU, with and without stop_gradient."""
    _, axes = plt.subplots(1, 2, figsize=(11.5, 4.2), sharey=True)
    titles = ("With stop_gradient", "Without")
    for axis, title, path in zip(axes, titles, (with_stop, without_stop), strict=True):
        axis.plot(path[:, 1], color=GREEN, label="IoU of the box")
        axis.plot(path[:, 0], color="black", ls="--", label="objectness")
        start, end = path[[0, -1], 1]
        title += f": the box's IoU is {start:.2f} at first, then {end:.2f}"
        axis.set(xlabel="step", ylim=(0, 1))
        axis.set_title(title, fontsize=13)
    axes[1].legend()
    plt.show()


def class_costs(probability, class_error, num_classes, names):
    """Show the class error of each object on the curve -ln(probability)."""
    _, axis = plt.subplots(figsize=(9, 4.2))
    p = np.linspace(0.01, 1, 200)
    axis.plot(p, -np.log(p), color=GREY)
    blind = np.log(num_classes)
    axis.axhline(blind, color=RED, ls="--", label=f"ln {num_classes}: a blind guess")
    axis.plot(probability, class_error, "o", ms=13, color=BLUE)
    for i, name in enumerate(names):
        num_same = int(np.isclose(probability[:i], probability[i]).sum())
        point = (probability[i], class_error[i])
        offset = (14, 6 + 16 * num_same)  # names of equal points stand in a pile
        axis.annotate(name, point, offset, textcoords="offset points")
    axis.set(xlabel="probability of the true class", ylabel="class error")
    axis.set_title("Guessing costs ln C, being right and sure costs nothing")
    axis.legend()
    plt.show()


def loss_shares(results):
    """Show the terms of several losses as bars.

    Parameters
    ----------
    results : dict
        Name: LossTerms.
    """
    figure, axes = plt.subplots(1, len(results), figsize=(11.5, 4), sharey=True)
    for axis, (name, terms) in zip(axes, results.items(), strict=True):
        values = np.array([float(value) for value in terms])
        bars = axis.barh(terms._fields, values, color=BLUE)
        axis.bar_label(bars, fmt="%.2f", padding=4)
        share = values[terms._fields.index("background")] / values.sum()
        axis.set(title=f"{name}: {share:.0%} background", xlabel="part of the loss")
        axis.set_xlim(0, 1.2 * values.max())
    axes[0].invert_yaxis()
    title = "The loss of an untrained network is mostly background"
    figure.suptitle(title, fontsize=16)
    plt.show()


def loss_curves(history):
    """Show the first five loss terms of a list of LossTerms, one for each step."""
    _, axis = plt.subplots(figsize=(10, 4.6))
    for name in yolo.LossTerms._fields[:5]:
        axis.plot([float(getattr(terms, name)) for terms in history], label=name)
    axis.set(yscale="log", xlabel="step", ylabel="loss per image")
    axis.set_title("In the end all terms fall, but objectness rises first")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()


def detection_snapshots(photo, snapshots, classes):
    """Show the detections in one photo after different numbers of training steps.

    Parameters
    ----------
    photo : ndarray (H, W, 3)
    snapshots : dict
        Number of steps: Detections.
    classes : sequence of str
    """
    _, axes = plt.subplots(1, len(snapshots), figsize=(13, 3.9))
    for axis, (step, found) in zip(axes, snapshots.items(), strict=True):
        show_boxes(
            axis,
            photo,
            found.boxes,
            found.labels,
            classes,
            found.scores,
            fractions=False,
            title=f"after {step} steps: {len(found.boxes)} detections",
        )
        height, width = photo.shape[:2]
        margin = 0.06 * width  # so that labels at the right border stay readable
        axis.set(xlim=(-0.5, width + margin), ylim=(height - 0.5, -0.5))
    plt.show()


# --------------------------------------------------------------------------------------
# Chapter 6: inference and evaluation


def decoded_prediction(photo, cell, anchor_size, box, grid_size):
    """Show how one prediction becomes a box: cell, anchor and decoded box.

    Parameters
    ----------
    photo : ndarray (H, W, 3) uint8
    cell : (row, column)
    anchor_size : array (2,)
        Width and height of the anchor as fractions of the image.
    box : array (4,)
        The decoded box as fractions of the image.
    grid_size : int
    """
    _, axis = plt.subplots(figsize=(9, 6.4))
    row, column = cell
    box = np.asarray(box)
    centre = (box[:2] + box[2:]) / 2
    anchor_size = np.asarray(anchor_size)
    anchor_box = [*(centre - anchor_size / 2), *(centre + anchor_size / 2)]
    cell_box = np.array([column, row, column + 1, row + 1]) / grid_size

    show_boxes(axis, photo, [box], colours=ORANGE, linewidth=4)
    show_grid(axis, grid_size)
    show_boxes(axis, None, [anchor_box], colours=BLUE, linestyle="--", linewidth=3)
    show_boxes(axis, None, [cell_box], colours=RED, linewidth=3)
    height, width = photo.shape[:2]
    axis.plot(*(centre * [width, height]), "o", color=ORANGE, ms=9, mec="white")
    handles = [
        Rectangle((0, 0), 1, 1, fill=False, ec=RED, lw=3, label="cell"),
        plt.Line2D([], [], color=BLUE, ls="--", lw=3, label="anchor"),
        Rectangle((0, 0), 1, 1, fill=False, ec=ORANGE, lw=3, label="decoded box"),
        plt.Line2D([], [], color=ORANGE, marker="o", ls="", label="its centre"),
    ]
    axis.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4
    )
    axis.set_title("Cell and anchor are a first guess, the raw output corrects it")
    plt.show()


def show_detections(axis, photo, boxes, labels, classes, scores=None, fontsize=12):
    """Draw a photo and boxes in its pixels, with labels that do not hide each other.

    Parameters
    ----------
    axis : matplotlib Axes
    photo : ndarray (H, W, 3) uint8
    boxes : array (n, 4)
        In pixels of the photo, the most important one first.
    labels : array (n,)
        Class numbers.
    classes : sequence of str
    scores : array (n,), optional
    """
    colours = [np.array(yolo.class_colour(int(i), len(classes))) / 255 for i in labels]
    order = np.arange(len(boxes))[::-1]  # the first box is drawn last, so on top
    show_boxes(
        axis,
        photo,
        np.asarray(boxes)[order],
        colours=[tuple(colours[i]) for i in order],
        fractions=False,
    )
    axis.figure.canvas.draw()  # fixes the layout, which tells how large a text is
    frame = axis.get_window_extent()
    taken = []
    for i, box in enumerate(boxes):
        text = classes[int(labels[i])]
        text += f" {scores[i]:.2f}" if scores is not None else ""
        is_light = colours[i] @ [0.3, 0.59, 0.11] > 0.55
        label = axis.text(
            0,
            0,
            text,
            fontsize=fontsize,
            color="black" if is_light else "white",
            bbox={"facecolor": tuple(colours[i]), "edgecolor": "none", "pad": 1.5},
            clip_on=True,
        )
        _place_label(axis, label, box, frame, taken)


def _place_label(axis, label, box, frame, taken):
    """Put a label at the first corner of its box where it is whole and hides none."""
    x1, y1, x2, y2 = box
    corners = (
        (x1, y1, "left", "bottom"),  # above the upper left corner
        (x2, y1, "right", "bottom"),
        (x1, y2, "left", "top"),  # below the lower left corner
        (x2, y2, "right", "top"),
        (x1, y1, "left", "top"),  # inside
        (x2, y2, "right", "bottom"),
    )
    renderer = axis.figure.canvas.get_renderer()
    for x, y, horizontal, vertical in corners:
        label.set(position=(x, y), ha=horizontal, va=vertical)
        extent = label.get_window_extent(renderer)
        too_far = max(0, extent.x1 + 3 - frame.x1) + min(0, extent.x0 - 3 - frame.x0)
        label.set_x(x - too_far * (axis.get_xlim()[1] + 0.5) / frame.width)
        extent = label.get_window_extent(renderer).padded(2)
        is_inside = extent.y0 >= frame.y0 - 1 and extent.y1 <= frame.y1 + 1
        if is_inside and not any(extent.overlaps(other) for other in taken):
            break
    taken.append(extent)


def heat_map(axis, photo, values, title):
    """Lay a map of values from 0 to 1, one for each cell, over a grey photo."""
    height, width = photo.shape[:2]
    axis.imshow(photo.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    image = axis.imshow(
        values,
        extent=extent,
        cmap="inferno",
        vmin=0,
        vmax=1,
        alpha=np.clip(0.4 + 0.5 * values, 0, 1),
    )
    axis.set(xlim=extent[:2], ylim=extent[2:], title=title)
    axis.axis("off")
    return image


def heat_maps(photo, maps):
    """Show several maps of one photo side by side, with one colour bar.

    Parameters
    ----------
    photo : ndarray (H, W, 3) uint8
    maps : dict
        From titles to arrays (G, G) with values from 0 to 1.
    """
    figure, axes = plt.subplots(1, len(maps), figsize=(10, 3))
    for axis, (title, values) in zip(axes, maps.items(), strict=True):
        image = heat_map(axis, photo, values, title)
    figure.colorbar(image, ax=axes, shrink=0.75, ticks=(0, 0.5, 1))
    plt.show()


def suppression_steps(photo, boxes, scores, labels, classes, steps, most=5):
    """Draw suppression step by step, and the boxes that stay.

    Parameters
    ----------
    photo : ndarray (H, W, 3) uint8
    boxes : array (n, 4)
        Fractions of the image.
    scores, labels : array (n,)
    classes : sequence of str
    steps : list of (kept, duplicates)
        Position of the box that a step keeps, and of those that it suppresses.
    most : int
        Steps to draw.
    """
    shown = steps[:most]
    columns = min(3, len(shown) + 1)
    rows = -(-(len(shown) + 1) // columns)
    size = (3.3 * columns, 3.05 * rows)
    _, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")

    gone, done = set(), []
    for number, (kept, duplicates) in enumerate(shown, start=1):
        axis = axes.flat[number - 1]
        gone |= {kept, *duplicates}
        waiting = [i for i in range(len(boxes)) if i not in gone]
        show_boxes(axis, photo, boxes[waiting], colours="#d9dce1", linewidth=1.5)
        show_boxes(axis, None, boxes[done], colours=GREEN, linewidth=2)
        show_boxes(axis, None, boxes[duplicates], colours=RED, linestyle="--")
        show_boxes(axis, None, boxes[[kept]], colours=GREEN, linewidth=4.5)
        done.append(kept)
        text = f"{number}. Keep {classes[labels[kept]]} {scores[kept]:.2f},"
        axis.set_title(f"{text}\nsuppress {len(duplicates)}")
    final = [kept for kept, _ in steps]
    axis = axes.flat[len(shown)]
    height, width = photo.shape[:2]
    axis.set_title(f"Boxes that stay: {len(final)}")
    pixels = boxes[final] * [width, height, width, height]
    show_detections(axis, photo, pixels, labels[final], classes)
    plt.show()


def detection_strips(rows, classes):
    """Show images on their way from objectness to detections, one image in each row.

    Parameters
    ----------
    rows : list of (photo, objectness, candidates, detections)
        objectness (G, G) is that of each cell's best anchor. Candidates are boxes as
        fractions, detections have boxes in pixels of the photo.
    classes : sequence of str
    """
    height = 2.6 * len(rows) + 0.2
    _, axes = plt.subplots(len(rows), 3, figsize=(10, height), squeeze=False)
    for line, (photo, objectness, candidates, found) in zip(axes, rows, strict=True):
        heat_map(line[0], photo, objectness, f"objectness up to {objectness.max():.2f}")
        show_boxes(line[1], photo, candidates, colours=ORANGE, linewidth=2)
        line[1].set_title(f"boxes above threshold: {len(candidates)}")
        parts = (found.boxes, found.labels, classes, found.scores)
        show_detections(line[2], photo, *parts)
        line[2].set_title(f"after suppression: {len(found.boxes)}")
    plt.show()


def tile_detections(photos, detections, classes, columns=3):
    """One picture of several photos with their detections, 400 x 300 pixels for each.

    Parameters
    ----------
    photos : list of ndarray (H, W, 3) uint8
    detections : list of Detections
    classes : sequence of str
    columns : int
        Photos in a row.

    Returns
    -------
    ndarray (H, W, 3) uint8
    """
    rows = -(-len(photos) // columns)
    size = (4 * columns, 3 * rows)
    figure = plt.figure(figsize=size, dpi=100, layout="none", facecolor="#ebebeb")
    for i, (photo, found) in enumerate(zip(photos, detections, strict=True)):
        left, bottom = i % columns / columns, 1 - (i // columns + 1) / rows
        axis = figure.add_axes((left, bottom, 1 / columns, 1 / rows))
        parts = (found.boxes, found.labels, classes, found.scores)
        show_detections(axis, photo, *parts, fontsize=11)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)
    return picture


def precision_envelope(precision, recall, envelope, is_right):
    """Draw the precision-recall curve of a few detections and shade its envelope."""
    _, axis = plt.subplots(figsize=(8.5, 4.8))
    edges = np.concatenate([[0], recall])
    for left, right, level in zip(edges[:-1], edges[1:], envelope, strict=True):
        axis.fill_between([left, right], level, color=BLUE, alpha=0.25, lw=0)
    steps = np.concatenate([[envelope[0]], envelope])
    area = (np.diff(edges) * envelope).sum()
    axis.step(edges, steps, where="pre", color=BLUE, label="precision envelope")
    axis.plot(recall, precision, ":", color=GREY, label="precision-recall curve")
    right = np.asarray(is_right, bool)
    axis.plot(recall[right], precision[right], "o", color=GREEN, ms=10, label="right")
    axis.plot(recall[~right], precision[~right], "X", color=RED, ms=10, label="wrong")
    for i in range(len(recall)):
        axis.annotate(
            i + 1,
            (recall[i], precision[i]),
            xytext=(9, 2 if right[i] else -9),
            textcoords="offset points",
        )
    axis.set(
        xlim=(0, 1.02),
        ylim=(0, 1.08),
        xlabel="recall: share of the objects that are found",
        ylabel="precision: share that is right",
        title=f"The average precision is the shaded area: {area:.3f}",
    )
    axis.legend(loc="lower left")
    plt.show()


def class_bars(names, values, counts, is_new, mean, title):
    """Bars of the average precision of each class, the best one on top.

    Parameters
    ----------
    names : sequence of str
    values : array (C,)
        NaN leaves a class out.
    counts : array (C,)
        Objects of each class, written behind its name.
    is_new : array (C,) bool, or None
        Classes that the pre-trained weights have not seen. None: nothing is marked.
    mean : float
        Drawn as a dashed line.
    title : str
    """
    order = [i for i in np.argsort(values, kind="stable") if not np.isnan(values[i])]
    height = max(2.2, 0.3 * len(order) + 1.2)
    _, axis = plt.subplots(figsize=(8.5, height))
    colours = [ORANGE if is_new is not None and is_new[i] else BLUE for i in order]
    texts = [f"{names[i]} ({counts[i]})" for i in order]
    drawn = axis.barh(texts, [values[i] for i in order], color=colours)
    axis.axvline(mean, color="black", ls="--", lw=1.5)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    axis.bar_label(drawn, fmt="%.2f", padding=4, fontsize=12, bbox=white)
    axis.set(xlim=(0, 1.08), xlabel="average precision", title=title)
    axis.set_xticks(np.linspace(0, 1, 6))
    handles = [plt.Line2D([], [], color="black", ls="--", lw=1.5, label="mean")]
    if is_new is not None:
        names = {BLUE: "seen by the pre-trained weights", ORANGE: "new to them"}
        for colour, text in names.items():
            handles.append(Rectangle((0, 0), 1, 1, color=colour, label=text))
    axis.legend(handles=handles, loc="lower right", frameon=True, framealpha=0.9)
    plt.show()


def kinds_of_mistakes():
    """Draw one example of each of the six kinds of mistakes."""
    place = (0.22, 0.2, 0.66, 0.74)
    close = (0.28, 0.25, 0.71, 0.8)
    poor = (0.46, 0.42, 0.9, 0.86)
    elsewhere = (0.06, 0.5, 0.34, 0.84)
    examples = {
        "class": [(close, "dog", RED)],
        "localization": [(poor, "cat", RED)],
        "both": [(poor, "dog", RED)],
        "duplicate": [((0.16, 0.16, 0.6, 0.7), "cat", BLUE), (close, "cat", RED)],
        "background": [(elsewhere, "cat", RED)],
        "missed": [],
    }
    figure, axes = plt.subplots(2, 3, figsize=(9, 5.2))
    for axis, (kind, detections) in zip(axes.flat, examples.items(), strict=True):
        truth = (0.52, 0.1, 0.92, 0.44) if kind == "background" else place
        axis.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
        axis.set_title(kind, weight="bold")
        axis.spines[:].set_visible(True)
        axis.spines[:].set_color("#c9ccd2")
        show_boxes(axis, None, [truth], colours=GREEN, linewidth=5)
        x, y = truth[0] + 0.03, truth[1] + 0.04
        if kind in ("class", "duplicate"):  # in the middle, away from other lines
            x, y = 0.39, 0.42
        axis.text(x, y, "cat", color=GREEN, weight="bold", va="top")
        for box, name, colour in detections:
            show_boxes(axis, None, [box], colours=colour, linestyle="--", linewidth=3)
            is_right = colour == BLUE
            axis.text(
                box[0] if is_right else box[2],
                box[1] - 0.02 if is_right else box[3] + 0.03,
                name,
                color=colour,
                weight="bold",
                ha="left" if is_right else "right",
                va="bottom" if is_right else "top",
            )
    handles = [
        plt.Line2D([], [], color=GREEN, lw=5, label="ground truth"),
        plt.Line2D([], [], color=RED, lw=3, ls="--", label="wrong detection"),
        plt.Line2D([], [], color=BLUE, lw=3, ls="--", label="right detection"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    plt.show()


def confusion_table(matrix, classes, title):
    """Draw a confusion matrix, see `confusion_matrix` in mistakes.py.

    Parameters
    ----------
    matrix : array (C + 1, C + 1) int
        Rows are the ground truth, columns the detections.
    classes : sequence of str
    title : str
    """
    rows = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(rows, 1)
    size = max(4.5, 0.37 * len(matrix) + 1.6)
    _, axis = plt.subplots(figsize=(size, size))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    positions = range(len(matrix))
    axis.set_xticks(positions, [*classes, "not found"], rotation=90)
    axis.set_yticks(positions, [*classes, "no new object"])
    axis.axhline(len(classes) - 0.5, color=ORANGE)
    axis.axvline(len(classes) - 0.5, color=ORANGE)
    for row, column in np.argwhere(matrix > 0):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(
            column, row, matrix[row, column], ha="center", va="center", color=colour
        )
    axis.set(xlabel="detected as", ylabel="ground truth", title=title)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    plt.show()


def bars(names, values, title, xlabel, texts=None, limit=None):
    """A short list of horizontal bars, the first one on top.

    Parameters
    ----------
    names : sequence of str
    values : sequence of float
        NaN draws no bar.
    title, xlabel : str
    texts : sequence of str, optional
        Written behind the bars. Without it, the values.
    limit : float, optional
        End of the axis.
    """
    values = np.asarray(values, float)
    if texts is None:
        texts = [f"{value:.2f}" for value in values]
    _, axis = plt.subplots(figsize=(8, 0.45 * len(names) + 1.2))
    lengths = np.nan_to_num(values)
    drawn = axis.barh(names, lengths, color=BLUE)
    axis.bar_label(drawn, texts, padding=5, fontsize=12)
    axis.invert_yaxis()
    limit = limit or 1.25 * max(lengths.max(), 0.01)
    axis.set(xlim=(min(0, 1.25 * lengths.min()), limit), title=title, xlabel=xlabel)
    plt.show()


def truth_and_detections(annotations, detections, explained, classes, title):
    """Show the ground truth above the detections of each image, and what went wrong.

    Difficult objects are dotted.

    Parameters
    ----------
    annotations : list of Annotation
    detections : list of Detections
    explained : list
        For each image, the kind of each detection and the object it belongs to.
    classes : sequence of str
    title : str
    """
    count = len(annotations)
    figure, axes = plt.subplots(2, count, figsize=(3.4 * count, 6.4), squeeze=False)
    for i, annotation in enumerate(annotations):
        photo = yolo.read_image(annotation.image_path)
        boxes = annotation.boxes - [1, 1, 0, 0]
        counts = ~annotation.difficult
        axes[0, i].set_title(f"{annotation.image_path.stem}\nground truth")
        show_detections(
            axes[0, i], photo, boxes[counts], annotation.labels[counts], classes
        )
        others = boxes[~counts]
        show_boxes(
            axes[0, i], None, others, colours="white", linestyle=":", fractions=False
        )
        found = detections[i]
        axes[1, i].set_title("detections")
        parts = (found.boxes, found.labels, classes, found.scores)
        show_detections(axes[1, i], photo, *parts)
        text = _describe_mistakes(annotation, found, explained[i], classes)
        below = {"ha": "center", "va": "top", "transform": axes[1, i].transAxes}
        axes[1, i].text(0.5, -0.04, text, **below)
    figure.suptitle(title)
    plt.show()


def _describe_mistakes(annotation, found, explained, classes):
    """What went wrong in one image, in a few lines."""
    kinds = [kind for kind, _ in explained]
    total = (~annotation.difficult).sum()
    lines = [f"found: {kinds.count('right')} of {total} objects"]
    for (kind, best), label in zip(explained, found.labels, strict=True):
        if kind == "class":
            true = classes[annotation.labels[best]]
            lines.append(f"{true} reported as {classes[label]}")
    texts = {
        "localization": "localization",
        "both": "both (class and localization)",
        "duplicate": "duplicate",
        "background": "background",
    }
    for kind, text in texts.items():
        if kind in kinds:
            lines.append(f"{text}: {kinds.count(kind)}")
    return "\n".join(lines[:4])


def ground_truth(annotations, classes, titles):
    """Show images side by side with the boxes of their annotations."""
    count = len(annotations)
    _, axes = plt.subplots(1, count, figsize=(4.75 * count, 3.8), squeeze=False)
    for axis, annotation, title in zip(axes[0], annotations, titles, strict=True):
        axis.set_title(title)
        photo = yolo.read_image(annotation.image_path)
        boxes = annotation.boxes - [1, 1, 0, 0]
        show_detections(axis, photo, boxes, annotation.labels, classes)
    plt.show()


def map_by_image_size(sizes, maps, train_sizes):
    """Draw the mAP at several image sizes, with the sizes of training marked."""
    maps = np.nan_to_num(maps)
    _, axis = plt.subplots(figsize=(8, 3.8))
    axis.axvspan(min(train_sizes), max(train_sizes), color=PALE)
    middle = (min(train_sizes) + max(train_sizes)) / 2
    axis.text(middle, 0.92, "sizes used in training", ha="center")
    axis.plot(sizes, maps, "o-", color=BLUE)
    for size, value in zip(sizes, maps, strict=True):
        below = -18 if value > 0.1 else 6
        place = {"xytext": (0, below), "textcoords": "offset points", "ha": "center"}
        axis.annotate(f"{value:.2f}", (size, value), **place)
    axis.set_xticks(sizes)
    axis.set(xlabel="image size in pixels", ylabel="validation mAP", ylim=(0, 1))
    axis.set_title(f"Best image size for these weights: {sizes[maps.argmax()]} pixels")
    plt.show()


def threshold_curves(thresholds, lines, best):
    """Draw precision, recall and F1 over the threshold of the confidence score.

    Parameters
    ----------
    thresholds : array (n,)
    lines : dict
        From names to arrays (n,).
    best : float
        The threshold with the highest F1 score.
    """
    _, axis = plt.subplots(figsize=(8.5, 4.2))
    for (name, values), colour in zip(
        lines.items(), (GREEN, ORANGE, BLUE), strict=True
    ):
        width = 3.5 if name == "F1" else 2
        axis.plot(thresholds, values, color=colour, lw=width, label=name)
    axis.axvline(best, color=BLUE, ls="--", lw=1.5, label="highest F1")
    usual = yolo.DETECTION_THRESHOLD
    axis.axvline(usual, color=GREY, ls=":", label=f"{usual}")
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="threshold of the confidence score")
    axis.set_title(f"F1 is highest at a threshold of {best:.2f}")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=5)
    plt.show()


def lost_boxes(annotation, lost, classes, title):
    """Show an image with its ground truth, the lost boxes in red, others in green."""
    _, axis = plt.subplots(figsize=(6, 4.3))
    axis.set_title(title)
    show_boxes(
        axis,
        yolo.read_image(annotation.image_path),
        yolo.box_fractions(annotation),
        annotation.labels,
        classes,
        colours=[RED if i in lost else GREEN for i in range(len(annotation.boxes))],
    )
    plt.show()
