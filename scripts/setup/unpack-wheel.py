"""Unpacks parts of wheels, checking every byte against the digests that the wheel itself records.

usage: unpack-wheel.py unpack WHEEL FOLDER PATTERN...   shell patterns of members; `*` also matches `/`
       unpack-wheel.py extra WHEEL NAME                 the requirements of extra NAME, one per line
"""

import base64
import csv
import email
import fnmatch
import hashlib
import io
import os
import sys
import zipfile


def member_ending(wheel, ending):
    return next(name for name in wheel.namelist() if name.endswith(ending))


def unpack(path, folder, patterns):
    with zipfile.ZipFile(path) as wheel:
        record = wheel.read(member_ending(wheel, ".dist-info/RECORD")).decode()
        digests = {row[0]: row[1] for row in csv.reader(io.StringIO(record)) if len(row) > 1 and row[1]}
        found = 0
        for member in wheel.infolist():
            name = member.filename
            if name.endswith("/") or not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                continue
            unpack_member(wheel, member, folder, digests.get(name))
            found += 1
        if found == 0:
            sys.exit(f"{path} holds none of {', '.join(patterns)}")


def unpack_member(wheel, member, folder, expected):
    target = os.path.join(folder, member.filename)
    if not os.path.realpath(target).startswith(os.path.realpath(folder) + os.sep):
        sys.exit(f"{member.filename} leads out of the folder")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    digest = hashlib.sha256()
    with wheel.open(member) as source, open(target, "wb") as sink:
        while block := source.read(1 << 20):
            digest.update(block)
            sink.write(block)
    if member.external_attr >> 16 & 0o111:
        os.chmod(target, 0o755)
    actual = "sha256=" + base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    if expected is not None and actual != expected:
        sys.exit(f"{member.filename} is damaged: its digest is {actual}, the wheel records {expected}")


def print_extra(path, extra):
    with zipfile.ZipFile(path) as wheel:
        metadata = email.message_from_bytes(wheel.read(member_ending(wheel, ".dist-info/METADATA")))
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        if f'extra=="{extra}"' in marker.replace(" ", "").replace("'", '"'):
            print(requirement.strip())


def main(arguments):
    try:
        if arguments[0] == "unpack":
            unpack(arguments[1], arguments[2], arguments[3:])
        else:
            print_extra(arguments[1], arguments[2])
    except (zipfile.BadZipFile, StopIteration):
        sys.exit(f"{arguments[1]} is no wheel, or was cut short")
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
