"""report.py FOLDER PAGE: writes the page of what recipes/faults/run.sh found."""

import sys
from pathlib import Path

PAGE = """# Faults, tried out

Written by `recipes/faults/run.sh --docs`; `tests/faults` has a sample of it. Preset `tiny`, `tests/data/sample`, in memory, on two
cores that others used too.

## A call fails, or is the last
A library below the program (`tests/faults/faults.c`) counts each call by which it changes a file or the registry, and has one
fail (I/O error, no space, interrupted, half written; once or from then on) or kills the process there. *Tried* are pairs of
point and fault, kinds of points in turns. Passed is: all is as before or after the command; it answers with success or one sentence
and a hint, and says what is the case; `fsck` finds nothing; the same command then succeeds; after `gc` no file is left that should
not be. Points are open, creat, fopen, write, writev, pwrite, sendfile, fsync, fdatasync, syncfs, sync_file_range, ftruncate, fallocate,
close, mkdir, unlink, rmdir, remove, rename, symlink, utimensat, futimens, the mapping of SQLite's index of its log, and steps of SQL.
Nothing of ours or of SQLite writes by link, linkat, truncate, pwritev, copy_file_range, splice or another mapped file (strace over ten
commands, and the undefined symbols of the programs, say so): the library ends a program that does, so no test passes over it. msync
could only concern that index, which is made anew of the log; chmod, chown and file locks change no contents.

{points}

Found by all this, and mended: errors of a disk had no hint; a write of the count of changes that was cut made `fsck` call the
workspace unsound; a commit of which a failing disk leaves open whether it was kept said "run the command again"; the error that
a failed operation can't be written down took the place of the one that ended it; a killed write of a file beside the workspace
left `.tmp-…` for ever; a file was there whose command had said that it can't write it, or could not take it back and did not say so;
a command that read an object failed when another one stored the same object again; `push` into a new folder that was cut off early
left an empty workspace there.

## The power fails
The same library writes down each change. What was not synced is lost, or there in part and in any order: writes by the sector,
names of files by the folder. Tried are different states of the disk, at moments of the command and after its end. Passed
is: as above, and after the command's end its work is there.

{power}

## Many processes at once
Commands of all kinds for a minute in one workspace, `push`, `pull` and `gc` in a second one too, one in twelve killed. Each version,
tag and sent model that was said to be made is there at the end, once; nobody was refused but for what another's work had changed;
`fsck` finds nothing, and `gc` leaves nothing.

| processes | |
|---|---|
{crowd}

## Single bits
{flips}
"""


def main():
    folder, page = Path(sys.argv[1]), Path(sys.argv[2])
    crowd = [line for line in (folder / "crowd.log").read_text().splitlines() if "said to be made" in line]
    page.write_text(PAGE.format(
        points=(folder / "points.md").read_text().strip(), power=(folder / "power.md").read_text().strip(),
        crowd="\n".join(f"| {processes} | {line} |" for processes, line in zip((2, 4, 8), crowd)),
        flips=(folder / "flips.md").read_text().strip()))


if __name__ == "__main__":
    main()
