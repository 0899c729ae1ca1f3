"""Has programs and libraries ask for an older version of the few functions whose newest version a pack may not need.

    older_versions.py FILE...

A linker notes for each function that a file calls the newest version that the library has here. Where the library has an
older one too, and the difference is nothing to us, the note is made to say that: its hash and the offset of its name
are overwritten, in place. Versions of which another function is used stay as they are, and pack_check.py refuses them.
"""

import struct
import sys
from pathlib import Path

# glibc 2.35's hypot leaves errno to the compiler; GCC 12's wait is told to be one that may throw. Both do the same work.
OLDER = {"GLIBC_2.35": ("GLIBC_2.2.5", {"hypot"}),
         "GLIBCXX_3.4.30": ("GLIBCXX_3.4.11", {"_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE"})}
SYMBOLS, VERSIONS_NEEDED, VERSION_OF_SYMBOL = 11, 0x6FFFFFFE, 0x6FFFFFFF  # Types of sections.


def elf_hash(name):
    """That of System V's ABI, which the loader compares before names."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & ~(value & 0xF0000000) & 0xFFFFFFFF
    return value


class File:
    """An ELF file of 64 bits, little-endian: what x86-64 has."""

    def __init__(self, path):
        self.data = bytearray(path.read_bytes())
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"'{path}' is no program or library for x86-64")
        start, size, count = self.read("<Q", 40) + self.read("<HH", 58)
        # (type, offset, bytes, section of its names)
        self.sections = [tuple(self.read("<IIQQQQI", start + i * size)[k] for k in (1, 4, 5, 6)) for i in range(count)]

    def read(self, form, offset):
        return struct.unpack_from(form, self.data, offset)

    def section(self, kind):
        return next((section for section in self.sections if section[0] == kind), None)

    def name(self, names, offset):
        start = self.sections[names][1] + offset
        return bytes(self.data[start:self.data.index(0, start)])

    def versions(self):
        """(name, where its note is, number, offset of its name) of each version that the file needs, library by library."""
        needed, found = self.section(VERSIONS_NEEDED), []
        if needed is None:
            return found
        _, library, _, names = needed
        while True:
            _, count, _, first, following = self.read("<HHIII", library)
            note = library + first
            for _ in range(count):
                _, _, number, name, next_note = self.read("<IHHII", note)
                found.append((self.name(names, name).decode(), note, number, name))
                note += next_note
            if following == 0:
                return found
            library += following

    def symbols_of(self, number):
        """Names of the symbols that have the version of this number."""
        _, versions, size, _ = self.section(VERSION_OF_SYMBOL)
        _, symbols, _, names = self.section(SYMBOLS)
        return {self.name(names, self.read("<I", symbols + 24 * i)[0]).decode() for i in range(size // 2)
                if self.read("<H", versions + 2 * i)[0] & 0x7FFF == number}

    def ask_for_older(self):
        """Whether anything changed."""
        versions, changed = self.versions(), False
        offsets = {name: offset for name, _, _, offset in versions}
        for name, note, number, _ in versions:
            older, symbols = OLDER.get(name, (None, ()))
            if older in offsets and self.symbols_of(number) <= symbols:
                struct.pack_into("<I", self.data, note, elf_hash(older.encode()))
                struct.pack_into("<I", self.data, note + 8, offsets[older])
                changed = True
        return changed


def main():
    for path in map(Path, sys.argv[1:]):
        try:
            file = File(path)
        except (OSError, ValueError) as error:
            sys.exit(f"error: {error}\nhint: name programs and libraries")
        if file.ask_for_older():
            path.write_bytes(file.data)


if __name__ == "__main__":
    main()
