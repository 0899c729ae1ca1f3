"""python -m mformer.study FILE.json: a study on one's own data, with the program that this package runs.

The files are those of recipes/study, beside this one in an installed package; its README.md says what FILE.json holds.
"""

import runpy
import sys
from pathlib import Path

from ._program import program
from .errors import Error

_INSTALLED = Path(__file__).resolve().parent / "_study"
_IN_A_CLONE = Path(__file__).resolve().parents[2] / "recipes" / "study"


def main() -> None:
    """Runs it, exit code and all."""
    script = next(folder for folder in (_INSTALLED, _IN_A_CLONE) if folder.exists()) / "study.py"
    if not any(word == "--program" or word.startswith("--program=") for word in sys.argv[1:]):
        try:
            sys.argv += ["--program", program()]
        except Error as error:
            sys.exit(f"error: {error}")
    sys.argv[0] = "python -m mformer.study"
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
