"""Keeps the machine code of one GPU generation in a copy of a CUDA library. What goes becomes zeros, so no address moves
and no header changes; zeros take no room once compressed, or in a file with holes.

usage: prune-fatbin.py LIBRARY COPY ARCHITECTURE      as in: libx.so.2 pruned/libx.so.2 90

A fat binary (section .nv_fatbin) holds an entry for each architecture: machine code (kind 2) or PTX (kind 1). Machine
code runs on its own major architecture from its minor one on. Where a fat binary has some that runs on ARCHITECTURE the
latest of it is kept, else all of it stays: the driver can then compile its PTX. Symbols for debuggers (.symtab, .strtab)
go too. Layouts: fatbinary headers as `cuobjdump` shows them, and the ELF specification. Prints {"kept", "dropped"} bytes.
"""

import json
import os
import shutil
import struct
import sys

MAGIC = 0xBA55ED50
MACHINE_CODE = 2


def sections(file):
    """Name, offset and size of an ELF file's sections (64 bits, little-endian)."""
    header = file.read(64)
    if header[:6] != b"\x7fELF\x02\x01":
        sys.exit(f"{file.name} is no 64-bit ELF library")
    table, entry_bytes, count, names = *struct.unpack_from("<Q", header, 40), *struct.unpack_from("<HHH", header, 58)
    file.seek(table)
    rows = [struct.unpack_from("<IIQQQQ", file.read(entry_bytes)) for _ in range(count)]
    file.seek(rows[names][4])
    text = file.read(rows[names][5])
    return {text[row[0] : text.index(b"\0", row[0])].decode(): (row[4], row[5]) for row in rows if row[1] != 8}


def entries(data, begin, end):
    """Start, end, kind and architecture of what one fat binary holds."""
    while begin < end:
        kind, _, head, size = struct.unpack_from("<HHIQ", data, begin)
        (architecture,) = struct.unpack_from("<I", data, begin + 28)
        yield begin, begin + head + size, kind, architecture
        begin += head + size


def runs_on(architecture, wanted):
    return architecture // 10 == wanted // 10 and architecture <= wanted


def prune(data, wanted):
    """Zeros what is not wanted; answers the bytes that are kept and dropped."""
    kept = dropped = place = 0
    while place + 16 <= len(data):
        magic, _, head, body = struct.unpack_from("<IHHQ", data, place)
        if magic != MAGIC:
            place += 8
            continue
        begin, end = place + head, place + head + body
        found = list(entries(data, begin, end))
        fitting = [each[3] for each in found if each[2] == MACHINE_CODE and runs_on(each[3], wanted)]
        keep = b"".join(
            data[start:stop]
            for start, stop, kind, architecture in found
            if not fitting or (kind == MACHINE_CODE and architecture == max(fitting))
        )
        data[begin:end] = keep + bytes(body - len(keep))
        struct.pack_into("<Q", data, place + 8, len(keep))
        kept, dropped, place = kept + len(keep), dropped + body - len(keep), end
    return kept, dropped


def main(library, copy, architecture):
    os.makedirs(os.path.dirname(copy) or ".", exist_ok=True)
    shutil.copyfile(library, copy)
    kept = dropped = 0
    with open(copy, "r+b") as file:
        found = sections(file)
        if ".nv_fatbin" in found:
            offset, size = found[".nv_fatbin"]
            file.seek(offset)
            data = bytearray(file.read(size))
            kept, dropped = prune(data, architecture)
            file.seek(offset)
            file.write(data)
        for name in (".symtab", ".strtab"):
            if name in found:
                file.seek(found[name][0])
                file.write(bytes(found[name][1]))
                dropped += found[name][1]
    shutil.copymode(library, copy)
    print(json.dumps({"kept": kept, "dropped": dropped}))


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    except (OSError, struct.error, MemoryError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
