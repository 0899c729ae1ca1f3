"""python -m mformer: the program."""

from ._program import main

main()
