"""Render Pascal VOC in small: a data set in VOC 2012's format whose pictures are drawn
by a computer.

    python data/make_mini_voc                                         the whole data
    set, into data/mini_voc python data/make_mini_voc --out more --split train=50 --seed
    7    50 more scenes into the folder `more`

The same command gives the same boxes, and the same pixels within a grey level. Nothing
is written unless all is.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from compose import RECIPES
from dataset import SPLITS, make_splits
from video import make_video

DATA = Path(__file__).resolve().parents[1]


def parse_splits(text):
    parts = dict(part.split("=") for part in text.split(","))
    return {split: int(count) for split, count in parts.items()}


def main():
    parser = argparse.ArgumentParser(
        prog="make_mini_voc",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=DATA / "mini_voc",
        help="a folder that does not exist yet",
    )
    parser.add_argument(
        "--split",
        type=parse_splits,
        default=SPLITS,
        help="images for each split, as in train=400,val=100,test=100",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--without",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="CLASS,CLASS",
        help="classes that no image may show",
    )
    parser.add_argument(
        "--no-video", action="store_true", help="leave out the moving scene"
    )
    options = parser.parse_args()
    unknown = set(options.without) - set(RECIPES)
    if unknown:
        parser.error(f"--without: there is no class {', '.join(sorted(unknown))}")
    if options.out.exists():
        sys.exit(f"{options.out}: exists already; choose another --out or move it away")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(
        tempfile.mkdtemp(prefix=f".{options.out.name}-", dir=options.out.parent)
    )
    try:
        make_splits(
            temporary, options.seed, options.split, options.workers, options.without
        )
        if not options.no_video:
            make_video(temporary / "video", options.seed, options.workers)
        temporary.chmod(0o755)
        temporary.rename(options.out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
