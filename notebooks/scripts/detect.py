"""Draw what a trained detector finds in images, a video or a camera's picture.

    python notebooks/scripts/detect.py photo.jpg
    python notebooks/scripts/detect.py folder/of/photos --threshold 0.4
    python notebooks/scripts/detect.py data/mini_voc/video/street.mp4
    python notebooks/scripts/detect.py 0 --show           # the first camera

It prints one line for each image, with what was found. The drawings go to the folder
data/artifacts/detections, or with --show to a window that Esc or q closes. A video
becomes an .mp4 file, and so does the picture of a camera until Ctrl-C ends it.

The detector is your last run's (data/artifacts/yolov2.json), else the one that the
repository carries (data/reference/yolov2.json). --weights chooses another one.
"""

import argparse
import collections
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its errors become ours, below
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import cv2

import yolo_helpers as yolo

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
ESCAPE = 27
DEFAULT_RATE = 25.0  # images per second of a video that does not say its rate


def find_detector(path=None):
    """The .json file of a detector: the given one, the last run's or the carried one.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if path is not None:
        return Path(path).with_suffix(".json")
    for folder in (artifacts_folder(), yolo.REFERENCE):
        if (folder / "yolov2.json").exists():
            return folder / "yolov2.json"
    raise FileNotFoundError(
        "there is no trained detector yet: run `make run` or train.py, or name one "
        "with --weights"
    )


def artifacts_folder():
    """The folder that runs write to. The settings need a data set, this does not."""
    return Path(os.environ.get("YOLO_ARTIFACTS") or ROOT / "data" / "artifacts")


def list_images(folder):
    """All image files of a folder, by name.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"{folder}: there is no image in this folder")
    return paths


def describe(found, classes):
    """What was found as text: class names and confidence scores, the best first."""
    names = [
        f"{classes[label]} {score:.2f}"
        for label, score in zip(found.labels, found.scores, strict=True)
    ]
    return ", ".join(names) or "nothing found"


class Painter:
    """Detects objects in one image after the other and draws them."""

    def __init__(self, detector, threshold):
        self.detector = detector
        self.threshold = threshold

    def __call__(self, image):
        """Detections in an RGB image, and a copy of the image with their boxes."""
        found = yolo.detect(
            self.detector.network,
            image,
            self.detector.anchors,
            score_threshold=self.threshold,
            image_size=self.detector.image_size,
        )
        drawing = yolo.draw_boxes(
            image, found.boxes, found.labels, found.scores, self.detector.classes
        )
        return found, drawing


# --------------------------------------------------------------------------------------
# Images


def detect_in_images(paths, painter, save):
    """Detect in image files; returns how many of them could not be read."""
    failures = 0
    for path in paths:
        try:
            image = yolo.read_image(path)
        except (ValueError, OSError) as error:
            if len(paths) == 1:
                raise
            print(error, file=sys.stderr)
            failures += 1
            continue
        found, drawing = painter(image)
        print(f"{path.name}: {describe(found, painter.detector.classes)}", flush=True)
        if not save(path, drawing):
            break
    return failures


def save_image(folder, path, drawing):
    """Write the drawing of an image file into a folder, as JPEG or PNG."""
    name = path.name
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        name += ".jpg"
    target = folder / name
    if target.resolve() == path.resolve():
        raise ValueError(f"{path}: this is a drawing of detect.py; name the photo")
    _, content = cv2.imencode(target.suffix, cv2.cvtColor(drawing, cv2.COLOR_RGB2BGR))
    with yolo.whole_file(target) as unfinished:
        unfinished.write_bytes(content.tobytes())
    return True


def show_image(path, drawing):
    """Show a drawing until a key is pressed. False ends the program."""
    return show(drawing, milliseconds=0)


# --------------------------------------------------------------------------------------
# Videos and cameras


def open_capture(source):
    """Open a video file (a path) or a camera (a number).

    Raises
    ------
    ValueError
    """
    is_camera = isinstance(source, int)
    capture = cv2.VideoCapture(source if is_camera else str(source))
    if capture.isOpened():
        return capture
    if is_camera:
        raise ValueError(f"camera {source} is not available; try another number")
    raise ValueError(f"{source}: neither an image nor a video that OpenCV can read")


def detect_in_capture(capture, painter, save):
    """Detect in each image of a video or camera; prints a summary.

    Parameters
    ----------
    capture : cv2.VideoCapture
    painter : Painter
    save : function of a drawing
        Returns False to stop.
    """
    num_images = 0
    images_with = collections.Counter()  # class name -> number of images that show it
    try:
        is_open, image = capture.read()
        while is_open:
            found, drawing = painter(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            num_images += 1
            images_with.update({painter.detector.classes[i] for i in found.labels})
            if not save(drawing):
                break
            is_open, image = capture.read()
    except KeyboardInterrupt:  # the way to end a camera
        pass
    finally:
        capture.release()
    parts = [f"{name} in {count}" for name, count in images_with.most_common()]
    print(f"{num_images} images: {', '.join(parts) or 'nothing found'}")


class VideoFile:
    """Writes drawings to an .mp4 file, whole or not at all.

    Parameters
    ----------
    path : Path
    rate : float
        Images per second.
    in_real_time : bool
        Repeat images so that the video takes as long as the recording did. A camera
        delivers images faster than a detector works.
    """

    def __init__(self, path, rate, in_real_time=False):
        self.path = path
        self.rate = rate
        self.in_real_time = in_real_time
        self.unfinished = path.with_name(f"{path.stem}.unfinished.mp4")
        self.writer = None
        self.num_written = 0

    def write(self, drawing):
        if self.writer is None:
            height, width = drawing.shape[:2]
            code = cv2.VideoWriter_fourcc(*"mp4v")
            name = str(self.unfinished)
            self.writer = cv2.VideoWriter(name, code, self.rate, (width, height))
            if not self.writer.isOpened():
                raise ValueError(f"{self.path}: OpenCV cannot write this video here")
            self.start = time.perf_counter()
        elapsed = time.perf_counter() - self.start
        copies = 1
        if self.in_real_time:
            copies = max(1, round(elapsed * self.rate) - self.num_written)
        for _ in range(copies):
            self.writer.write(cv2.cvtColor(drawing, cv2.COLOR_RGB2BGR))
        self.num_written += copies
        return True

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if self.writer is not None:
            self.writer.release()
        if kind is None and self.num_written:
            os.replace(self.unfinished, self.path)
        self.unfinished.unlink(missing_ok=True)


# --------------------------------------------------------------------------------------
# Windows


def check_window():
    """Find out whether a window can be opened.

    Where there is no screen, OpenCV may end the whole process, so a process of its own
    tries it.

    Raises
    ------
    ValueError
    """
    code = "import cv2; cv2.namedWindow('test'); cv2.destroyAllWindows()"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True)
    if process.returncode:
        raise ValueError("no window can be opened here; leave --show out to get files")


def show(drawing, milliseconds=1):
    """Show a drawing in the window; False when Esc or q is pressed, or it is closed."""
    cv2.imshow("YOLOv2", cv2.cvtColor(drawing, cv2.COLOR_RGB2BGR))
    key = cv2.waitKey(milliseconds) & 0xFF
    is_open = cv2.getWindowProperty("YOLOv2", cv2.WND_PROP_VISIBLE) >= 1
    return is_open and key not in (ESCAPE, ord("q"))


# --------------------------------------------------------------------------------------


def threshold_number(text):
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("choose a number between 0 and 1")
    return value


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="IMAGE|FOLDER|VIDEO|CAMERA")
    parser.add_argument("--weights", metavar="PATH.json", help="of another detector")
    parser.add_argument(
        "--threshold",
        type=threshold_number,
        default=yolo.DETECTION_THRESHOLD,
        help="lowest confidence score that is drawn (default: %(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="default: data/artifacts/detections"
    )
    parser.add_argument("--show", action="store_true", help="in a window, no files")
    return parser.parse_args(arguments)


def output_folder(options):
    """Claim and return the folder for the drawings."""
    if options.out is not None:
        yolo.claim_folder(options.out)
        return options.out
    yolo.claim_folder(artifacts_folder())
    folder = artifacts_folder() / "detections"
    yolo.claim_folder(folder)
    return folder


def main(arguments=None):
    options = parse(arguments)
    source = Path(options.source)
    is_camera = options.source.isdecimal() and not source.exists()

    # First everything that takes no time and can go wrong.
    capture, paths = None, []
    if is_camera:
        capture = open_capture(int(options.source))
    elif source.is_dir():
        paths = list_images(source)
    elif not source.exists():
        raise FileNotFoundError(f"{source}: there is no such file or folder")
    elif source.suffix.lower() in IMAGE_SUFFIXES:
        paths = [source]
    else:
        capture = open_capture(source)
    if options.show:
        check_window()
    folder = None if options.show else output_folder(options)

    detector_path = find_detector(options.weights)
    painter = Painter(yolo.load_detector(detector_path), options.threshold)
    print(f"detector: {yolo.short_path(detector_path)}")

    failures = 0
    if capture is None:

        def save(path, drawing):
            return save_image(folder, path, drawing)

        failures = detect_in_images(
            paths, painter, show_image if options.show else save
        )
    elif options.show:
        detect_in_capture(capture, painter, show)
    else:
        name = f"camera-{options.source}" if is_camera else source.stem
        rate = capture.get(cv2.CAP_PROP_FPS) or DEFAULT_RATE
        target = folder / f"{name}.mp4"
        if target.resolve() == source.resolve():
            raise ValueError(f"{source}: made by detect.py; name the original video")
        with VideoFile(target, rate, in_real_time=is_camera) as video:
            detect_in_capture(capture, painter, video.write)
    if folder is not None:
        print(f"drawings: {yolo.short_path(folder)}")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")
