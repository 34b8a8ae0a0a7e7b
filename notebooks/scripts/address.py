"""The repository's address and version, and a way to change them everywhere.

    make address                              # say what they are
    make address OWNER/NAME                   # after a move, or in a fork
    make address OWNER/NAME VERSION=v1.0      # for a release, before its tag is set

Both are written in the Colab badge and the set-up cell of each notebook (in both files
of its pair) and in the links of the README files. This file is the place where they are
looked up, and a test checks that all others agree with it. A version is a tag or a
branch. A badge opens the notebook of this version, and its set-up cell fetches the
module of the same version, so that the two always fit together.
"""

import argparse
import re
import sys
from pathlib import Path

REPOSITORY = "yolov2-from-scratch/yolov2-from-scratch"  # owner/name on GitHub
VERSION = "main"  # the default branch, until there is a release

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "README.md",
    "data/README.md",
    "notebooks/*.md",
    "notebooks/0*.py",
    "notebooks/0*.ipynb",
    "notebooks/scripts/address.py",
)
NAME = r"[A-Za-z0-9_][\w.-]*"


def replacements(old, new):
    """Pairs (regular expression, new text) that turn one address into another.

    Parameters
    ----------
    old, new : (repository, version)
    """
    repository, version = (re.escape(name) for name in old)
    new_repository, new_version = new
    versioned = (  # what stands before and after the version in a link
        ("colab.research.google.com/github/", "/blob/"),
        ("github.com/", "/blob/"),
        ("github.com/", "/tree/"),
        ("raw.githubusercontent.com/", "/"),
    )
    pairs = [
        (
            rf"{re.escape(host)}{repository}{between}{version}/",
            f"{host}{new_repository}{between}{new_version}/",
        )
        for host, between in versioned
    ]
    pairs.append(
        (rf"github\.com/{repository}(?![\w-])", f"github.com/{new_repository}")
    )
    pairs.append((rf'REPOSITORY = "{repository}"', f'REPOSITORY = "{new_repository}"'))
    # In an .ipynb file, each quotation mark has a backslash in front of it.
    for quote in ('"', r"\""):
        before = re.escape(f"VERSION = {quote}")
        after = re.escape(quote)
        new_text = f"VERSION = {quote}{new_version}{quote}"
        pairs.append((f"{before}{version}{after}", new_text))
    return pairs


def rewrite(root, old, new):
    """Change the address in all files of the repository that lies in `root`.

    Parameters
    ----------
    root : path
    old, new : (repository, version)

    Returns
    -------
    list of Path
        The files that have changed.
    """
    pairs = replacements(old, new)
    changed = []
    for path in sorted(path for pattern in FILES for path in Path(root).glob(pattern)):
        before = (
            path.read_bytes().decode()
        )  # as bytes, so that line ends stay as they are
        after = before
        for pattern, text in pairs:
            after = re.sub(pattern, lambda _, text=text: text, after)
        if after != before:
            path.write_bytes(after.encode())
            changed.append(path)
    return changed


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("repository", nargs="?", metavar="OWNER/NAME")
    parser.add_argument("--version", metavar="TAG", help="a tag or a branch")
    options = parser.parse_args(arguments)

    repository = options.repository or REPOSITORY
    version = options.version or VERSION
    if not re.fullmatch(f"{NAME}/{NAME}", repository):
        sys.exit(f"{repository}: write OWNER/NAME, as in {REPOSITORY}")
    if not re.fullmatch(NAME, version):
        sys.exit(f"{version}: write the name of a tag or a branch, as in v1.0")

    changed = rewrite(ROOT, (REPOSITORY, VERSION), (repository, version))
    for path in changed:
        print(f"changed: {path.relative_to(ROOT)}")
    print(f"address: https://github.com/{repository}, version {version}")


if __name__ == "__main__":
    main()
