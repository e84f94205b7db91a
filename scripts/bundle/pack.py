"""Packs files into a compressed archive that is cut into pieces, each small enough to be carried.

usage: pack.py OUT PIECE_BYTES PRESET < entries.json      PRESET: xz's, 0 (fast) to 9 (small)

Entries are a list of {"path", "file"} (a file of this machine, executable where that is), {"path", "link"} (a symbolic
link) or {"path", "text"} (with "executable": true for a script). The archive is a tar file in xz streams, one for every
block of it, so that all cores compress and decompress; one after the other, the pieces are a plain .tar.xz file. The
same entries give the same bytes. Progress goes to standard output: lines of "DONE TOTAL", in bytes of the tar file.
Ends with a line of JSON: {"streams": [[compressed, plain] bytes ...], "pieces": [{"name", "bytes", "sha256"} ...]}.
"""

import concurrent.futures
import hashlib
import io
import json
import lzma
import os
import sys
import tarfile

BLOCK_BYTES = 32 << 20


class Blocks(io.RawIOBase):
    """What is written to it, handed to `use` in blocks of one size but the last."""

    def __init__(self, use):
        self.use, self.open = use, bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.open += data
        while len(self.open) >= BLOCK_BYTES:
            self.use(bytes(self.open[:BLOCK_BYTES]))
            del self.open[:BLOCK_BYTES]
        return len(data)

    def finish(self):
        if self.open:
            self.use(bytes(self.open))


class Pieces:
    """Files of at most `limit` bytes that follow each other."""

    def __init__(self, folder, limit):
        self.folder, self.limit = folder, limit
        self.done, self.file = [], None

    def write(self, data):
        view = memoryview(data)
        while len(view) > 0:
            if self.file is None:
                self.name, self.bytes, self.digest = f"piece-{len(self.done):03d}", 0, hashlib.sha256()
                self.file = open(os.path.join(self.folder, self.name), "wb")
            part = view[: self.limit - self.bytes]
            self.file.write(part)
            self.digest.update(part)
            self.bytes += len(part)
            view = view[len(part) :]
            if self.bytes == self.limit:
                self.close()

    def close(self):
        if self.file is not None:
            self.file.close()
            self.done.append({"name": self.name, "bytes": self.bytes, "sha256": self.digest.hexdigest()})
            self.file = None


def add(tar, entry):
    info = tarfile.TarInfo(entry["path"])
    if "link" in entry:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry["link"], 0o777
        tar.addfile(info)
    elif "text" in entry:
        data = entry["text"].encode()
        info.size, info.mode = len(data), 0o755 if entry.get("executable") else 0o644
        tar.addfile(info, io.BytesIO(data))
    else:
        status = os.stat(entry["file"])
        info.size, info.mode = status.st_size, 0o755 if status.st_mode & 0o111 else 0o644
        with open(entry["file"], "rb") as file:
            tar.addfile(info, file)


def tar_bytes(entries):
    """About how long the tar file will be."""
    return sum(512 + (os.path.getsize(e["file"]) if "file" in e else len(e.get("text", ""))) for e in entries)


def pack(folder, limit, preset, entries):
    # Most of the bytes are machine code: the x86 filter makes its jumps compress.
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": preset}]
    os.makedirs(folder, exist_ok=True)
    pieces, streams, waiting = Pieces(folder, limit), [], []
    total, cores = tar_bytes(entries), os.cpu_count() or 1
    done = 0

    def write_first():
        nonlocal done
        plain, future = waiting.pop(0)
        data = future.result()
        pieces.write(data)
        streams.append([len(data), plain])
        done += plain
        print(min(done, total), total, flush=True)

    with concurrent.futures.ThreadPoolExecutor(cores) as pool:

        def use(block):
            compressed = pool.submit(lzma.compress, block, lzma.FORMAT_XZ, lzma.CHECK_CRC32, None, filters)
            waiting.append((len(block), compressed))
            if len(waiting) > 2 * cores:
                write_first()

        blocks = Blocks(use)
        with tarfile.open(fileobj=blocks, mode="w|", format=tarfile.GNU_FORMAT, bufsize=1 << 20) as tar:
            for entry in sorted(entries, key=lambda each: each["path"]):
                add(tar, entry)
        blocks.finish()
        while waiting:
            write_first()
    pieces.close()
    print(json.dumps({"streams": streams, "pieces": pieces.done}))


if __name__ == "__main__":
    try:
        pack(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.load(sys.stdin))
    except OSError as error:
        sys.exit(str(error))
