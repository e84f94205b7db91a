#!/usr/bin/env python3
"""Unpacks a bundle of Rondo on a machine that needs neither a network nor anything but Python 3.8 or later.

usage: python3 unpack.py [FOLDER] [--cuda DIR]...

FOLDER is where Rondo goes, `rondo` in the current folder unless given; what an earlier bundle left there is replaced,
runs and other files of yours are not touched. --cuda names folders that hold CUDA's libraries, for a bundle without
them; those of Python packages (nvidia-*, as PyTorch brings them), /usr/local/cuda and the system's are found without.
"""

import argparse
import concurrent.futures
import glob
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"]  # where the loader looks by itself
OWN = ("app", "bin", "runtime", "bundle.json")


def main():
    options = parse_options()
    manifest = read_manifest()
    folder = os.path.abspath(options.folder)
    incoming = os.path.join(folder, ".incoming")
    shutil.rmtree(incoming, ignore_errors=True)
    os.makedirs(incoming)
    try:
        check_room(folder, manifest)
        check_pieces(manifest)
        cuda = find_cuda(manifest, options.cuda)
        with tarfile.open(fileobj=Streams(manifest), mode="r|", bufsize=1 << 20) as tar:
            for member in tar:
                extract(tar, member, incoming)
        link_cuda(os.path.join(incoming, "runtime"), cuda)
        for name in OWN:
            replace(os.path.join(incoming, name), os.path.join(folder, name))
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    print(f"Rondo is in {folder}. Next: {os.path.join(folder, 'bin', 'coordinator')} start --workers 4")


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog=__doc__.split("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", default="rondo", help="where Rondo goes (default: rondo)")
    parser.add_argument("--cuda", action="append", default=[], metavar="DIR", help="a folder of CUDA's libraries")
    return parser.parse_args()


def read_manifest():
    file = os.path.join(HERE, "bundle.json")
    try:
        with open(file) as text:
            manifest = json.load(text)
    except FileNotFoundError:
        sys.exit(f"There is no {file}: it belongs beside unpack.py and the pieces.")
    except ValueError:
        sys.exit(f"{file} is damaged: carry it over again.")
    if manifest["format"] != 1:
        sys.exit(f"This unpack.py reads bundles of format 1, not {manifest['format']}: take the one of this bundle.")
    if sys.platform != "linux" or os.uname().machine != manifest["machine"]:
        sys.exit(f"This bundle is for Linux on {manifest['machine']}, not {sys.platform} on {os.uname().machine}.")
    return manifest


def check_room(folder, manifest):
    wanted = sum(plain for _, plain in manifest["streams"])
    free = shutil.disk_usage(folder).free
    if free < wanted:
        sys.exit(f"{folder} has room for {free / 1e9:.1f} GB; the bundle takes {wanted / 1e9:.1f} GB. Name another folder.")


def check_pieces(manifest):
    """Every piece against its digest, all of them before the first is unpacked."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        wrong = [problem for problem in pool.map(problem_of, manifest["pieces"]) if problem]
    if wrong:
        sys.exit("The bundle is not whole; carry these pieces over again:\n  " + "\n  ".join(wrong))


def problem_of(piece):
    file = os.path.join(HERE, piece["name"])
    try:
        digest = hashlib.sha256()
        with open(file, "rb") as data:
            while True:
                block = data.read(1 << 20)
                if not block:
                    break
                digest.update(block)
        size = os.path.getsize(file)
    except OSError as error:
        return f"{piece['name']}: {error.strerror}"
    if size != piece["bytes"]:
        return f"{piece['name']}: {size} of {piece['bytes']} bytes"
    return None if digest.hexdigest() == piece["sha256"] else f"{piece['name']}: other bytes than were packed"


class Streams(io.RawIOBase):
    """The archive, decompressed by all cores, a few streams ahead."""

    def __init__(self, manifest):
        self.streams, self.total = list(manifest["streams"]), sum(plain for _, plain in manifest["streams"])
        self.source = Joined([os.path.join(HERE, piece["name"]) for piece in manifest["pieces"]])
        self.pool, self.ahead = concurrent.futures.ThreadPoolExecutor(), []
        self.block, self.at, self.done, self.began, self.said = b"", 0, 0, time.monotonic(), 0.0

    def readable(self):
        return True

    def read(self, size=-1):
        if self.at == len(self.block):
            self.fill()
        end = min(len(self.block), self.at + size)
        part = self.block[self.at : end]
        self.at = end
        return part

    def fill(self):
        while self.streams and len(self.ahead) < 2 * (os.cpu_count() or 1):
            self.ahead.append(self.pool.submit(lzma.decompress, self.source.read(self.streams.pop(0)[0])))
        self.done += len(self.block)
        self.block, self.at = self.ahead.pop(0).result() if self.ahead else b"", 0
        self.say()

    def say(self):
        now = time.monotonic()
        if self.done == 0 or now - self.said < 2:
            return
        self.said = now
        left = (now - self.began) * (self.total - self.done) / self.done
        print(f"unpacked {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB, {left:.0f} s left", flush=True)


class Joined:
    """Files read as one."""

    def __init__(self, files):
        self.files, self.open = files, None

    def read(self, count):
        data = b""
        while len(data) < count:
            if self.open is None:
                self.open = open(self.files.pop(0), "rb")
            part = self.open.read(count - len(data))
            if not part:
                self.open.close()
                self.open = None
            data += part
        return data


def extract(tar, member, folder):
    """Files and links that stay inside of the folder; zeros become holes, which take no room."""
    target = os.path.join(folder, member.name)
    inside = os.path.realpath(folder) + os.sep
    if not os.path.realpath(target).startswith(inside):
        sys.exit(f"{member.name} leads out of the folder")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if member.issym():
        if not os.path.realpath(os.path.join(os.path.dirname(target), member.linkname)).startswith(inside):
            sys.exit(f"{member.name} links out of the folder")
        os.symlink(member.linkname, target)
    elif member.isfile():
        source = tar.extractfile(member)
        with open(target, "wb") as sink:
            while True:
                block = source.read(1 << 16)
                if not block:
                    break
                if block.count(0) == len(block):
                    sink.seek(len(block), os.SEEK_CUR)
                else:
                    sink.write(block)
            sink.truncate(member.size)
        os.chmod(target, member.mode & 0o777)
    else:
        sys.exit(f"{member.name} is neither a file nor a link")


def find_cuda(manifest, named):
    """
    The machine's own CUDA libraries by the names that TensorFlow opens. It finds their functions by name after that, so a
    later major version serves where it still has them. None where the bundle brings all.
    """
    if manifest["cuda"] != "host":
        return {}
    places = cuda_folders(named)
    found = {wanted: find_library(wanted, places) for wanted in manifest["cudaLibraries"]}
    missing = [wanted for wanted, file in found.items() if file is None]
    if missing:
        searched = "\n  ".join(places) or "(no folder of the machine looks like CUDA's)"
        sys.exit(
            f"This machine lacks {', '.join(missing)}; searched:\n  {searched}\n"
            "Name their folder by --cuda DIR, or make a bundle with `--cuda bundled`."
        )
    return found


def link_cuda(runtime, found):
    """Names that differ become links in `cuda/`; the commands hand the loader the folders that `library-path` lists."""
    if not found:
        return
    os.makedirs(os.path.join(runtime, "cuda"))
    for wanted, file in found.items():
        print(f"{wanted}: {file}")
        if os.path.basename(file) != wanted:
            os.symlink(file, os.path.join(runtime, "cuda", wanted))
    folders = dict.fromkeys(os.path.dirname(file) for file in found.values())
    # What those libraries need in turn lies beside them, or in a folder that the same Python's packages have.
    siblings = [other for folder in folders for other in sorted(glob.glob(os.path.join(folder, "..", "..", "*", "lib")))]
    paths = [*folders, *(os.path.abspath(each) for each in siblings if os.sep + "nvidia" + os.sep in os.path.abspath(each))]
    with open(os.path.join(runtime, "library-path"), "w") as text:
        text.write(":".join(path for path in dict.fromkeys(paths) if path not in SYSTEM))


def cuda_folders(named):
    """Where CUDA's libraries may be: named folders, Python's packages, the toolkit's, the loader's own."""
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path}
    # PyTorch is often installed for a Python of its own.
    for python in {shutil.which("python3"), shutil.which("python")} - {None, sys.executable}:
        shown = subprocess.run([python, "-c", "import sys; print('\\n'.join(sys.path))"], capture_output=True, text=True)
        packages.update(shown.stdout.splitlines())
    found = [*named]
    for package in sorted(filter(None, packages)):
        found += sorted(glob.glob(os.path.join(package, "nvidia", "*", "lib")), reverse=True)
    found += sorted(glob.glob("/usr/local/cuda*/lib64"), reverse=True)
    found += SYSTEM
    cuda = [place for place in found if glob.glob(os.path.join(place, "libcu*.so*"))]
    return list(dict.fromkeys(os.path.abspath(place) for place in cuda))


def find_library(wanted, places):
    """The file of that name, else the next later major version's."""
    stem, _, major = wanted.rpartition(".")
    for place in places:
        if os.path.exists(os.path.join(place, wanted)):
            return os.path.join(place, wanted)
    later = []
    for place in places:
        for file in glob.glob(os.path.join(place, stem + ".*")):
            version = re.fullmatch(re.escape(stem) + r"\.(\d+)", os.path.basename(file))
            if version and int(version[1]) > int(major):
                later.append((int(version[1]), file))
    return min(later)[1] if later else None


def replace(new, old):
    if not os.path.lexists(new):
        return
    if os.path.isdir(old) and not os.path.islink(old):
        shutil.rmtree(old)
    elif os.path.lexists(old):
        os.remove(old)
    os.rename(new, old)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Ended. Run it again to begin anew.")
