"""What a power failure may leave of a folder, from the journal of a program's changes (journal.h).

A write to a file may be lost, or be there by the sector, until the file is synced; a new, renamed or removed name may be lost
until its folder is synced. Nothing else is promised: not that writes reach the disk in their order, nor names of one folder
before those of another. Names of one folder come in their order, and a rename is whole."""

import os
from pathlib import Path

SECTOR = 512


class File:
    """A file's bytes on the disk, and what was written since. One that was there before is read when it is needed."""

    def __init__(self, origin=None):
        self.origin = origin
        self.synced = None if origin else b""
        self.pending = []  # (offset, bytes); a change of size is (size, None)

    def sync(self):
        self.synced, self.pending, self.origin = self.content(self.pending), [], None

    def content(self, kept):
        content = bytearray(self.origin.read_bytes() if self.synced is None else self.synced)
        for offset, data in kept:
            size = offset if data is None else offset + len(data)
            if len(content) < size:
                content.extend(bytes(size - len(content)))
            if data is None:
                del content[offset:]
            else:
                content[offset:offset + len(data)] = data
        return bytes(content)

    def some_of(self, how, random):
        """The pending writes that reached the disk."""
        if how in ("all", "none"):
            return self.pending if how == "all" else []
        if how == "first":
            whole = random.randint(0, len(self.pending))
            return self.pending[:whole] + [part for write in self.pending[whole:whole + 1] for part in torn(write, random)]
        return [part for write in self.pending for part in torn(write, random)]


def torn(write, random):
    """Some of the write's sectors."""
    offset, data = write
    if data is None:
        return [write] if random.random() < 0.5 else []
    every = random.choice((0, 0.5, 1))
    begins = [0, *range(SECTOR - offset % SECTOR, len(data), SECTOR)]
    pieces = [(offset + begin, data[begin:end]) for begin, end in zip(begins, [*begins[1:], len(data)])]
    return [piece for piece in pieces if random.random() < every]


class Folder:
    def __init__(self):
        self.entries = {}  # as the running program sees them
        self.first = {}    # on the disk when it began


class Change:
    """Names that changed at once: (folder, name, File or Folder or None)."""

    def __init__(self, number, *names):
        self.number = number
        self.names = names
        self.synced = False


class Disk:
    """A folder, as the running program sees it and as it may be found after a power failure."""

    def __init__(self, start, seen_as):
        """`start` holds what was there; the journal calls the folder `seen_as`."""
        self.seen_as = str(seen_as)
        self.root = self.folder_from(Path(start))
        self.files = {}
        self.changes = []

    def folder_from(self, path):
        folder = Folder()
        for entry in sorted(path.iterdir()):
            if not entry.name.endswith("-shm"):  # SQLite begins it anew
                folder.first[entry.name] = self.folder_from(entry) if entry.is_dir() else File(entry)
        folder.entries = dict(folder.first)
        return folder

    def place(self, path):
        """(folder, name) of a path."""
        folder, *names = self.root, *Path(path).relative_to(self.seen_as).parts
        for name in names[:-1]:
            folder = folder.entries[name]
        return folder, names[-1] if names else ""

    def thing(self, path):
        folder, name = self.place(path)
        return folder.entries[name] if name else folder

    def rename(self, *names):
        self.changes.append(Change(len(self.changes), *names))
        for folder, name, thing in names:
            folder.entries.pop(name, None)
            if thing is not None:
                folder.entries[name] = thing

    def sync_folder(self, folder):
        for change in self.changes:
            change.synced |= any(where is folder for where, _, _ in change.names)

    def sync_all(self):
        for change in self.changes:
            change.synced = True
        for file in self.all_files():
            file.sync()

    def all_files(self):
        found = {id(file): file for file in self.files.values() if file.pending or file.synced is not None}
        return found.values()

    def apply(self, kind, inode, a, b, path, data):
        path, _, other = path.partition("\t")
        if path.endswith("-shm"):
            return
        folder, name = self.place(path.removesuffix(" (deleted)"))
        if kind == "O":
            if a:
                self.rename((folder, name, File()))
            self.files[inode] = folder.entries[name]
            if b:
                self.files[inode].pending.append((0, None))
        elif kind == "W":
            self.files[inode].pending.append((a, data))
        elif kind == "T":
            self.files[inode].pending.append((a, None))
        elif kind == "S":
            if isinstance(thing := self.files.get(inode) or self.thing(path), File):
                thing.sync()
            else:
                self.sync_folder(thing)
        elif kind == "Y":
            self.sync_all()
        elif kind == "M":
            self.rename((folder, name, Folder()))
        elif kind == "U":
            self.rename((folder, name, None))
        else:
            to, new = self.place(other)
            moved = folder.entries[name]
            self.rename((to, new, moved), (folder, name, to.entries[new] if kind == "X" else None))

    def after_failure(self, names, data, random):
        """The tree of files on the disk, {path: (File, kept writes)} and folders {path: None}."""
        cuts = {}

        def is_kept(change):
            if change.synced or names == "all":
                return True
            if names == "none":
                return False
            return all(change.number <= cuts.setdefault(id(folder), random.randint(0, len(self.changes)))
                       for folder, _, _ in change.names)

        entries = {}

        def of(folder):
            return entries.setdefault(id(folder), dict(folder.first))

        for change in filter(is_kept, self.changes):
            for folder, name, thing in change.names:
                of(folder).pop(name, None)
                if thing is not None:
                    of(folder)[name] = thing
        tree = {}

        def walk(folder, path):
            for name, thing in of(folder).items():
                if isinstance(thing, Folder):
                    tree[path / name] = None
                    walk(thing, path / name)
                else:
                    tree[path / name] = (thing, thing.some_of(data, random))

        walk(self.root, Path())
        return tree


def events(journal):
    """The records of a journal, for Disk.apply."""
    with open(journal, "rb") as file:
        while line := file.readline():
            kind, inode, a, b, path = line.decode().rstrip("\n").split(" ", 4)
            yield kind, int(inode), int(a), int(b), path, file.read(int(b)) if kind == "W" else b""


def key_of(tree):
    """The same for the same bytes."""
    return hash(tuple((path, None if found is None else (id(found[0].origin), found[0].synced, tuple(found[1])))
                      for path, found in sorted(tree.items())))


def write(tree, target):
    """Puts such a tree into a new folder."""
    target.mkdir()
    for path, found in tree.items():
        if found is None:
            (target / path).mkdir(exist_ok=True)
            continue
        file, kept = found
        if file.synced is None and not kept and "objects" in path.parts:
            os.link(file.origin, target / path)
        else:
            (target / path).write_bytes(file.content(kept))
