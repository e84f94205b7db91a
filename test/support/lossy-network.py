"""A network between namespaces in which every packet takes its time, and some are lost.

Usage: lossy-network.py DELAY_MS LOSS_PERCENT NAMESPACE=ADDRESS...

Each namespace gets a device eth0 with its address. Packets are passed on by this process, as a router far away would:
each one DELAY_MS later, unless it is lost. Prints "ready". Reads from standard input: "cut ADDRESS" and "mend ADDRESS".
It ends with its standard input.
"""

import collections
import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MTU = 1500
# As many packets are taken from one device before the others have their turn.
TURN = 64


def open_device(namespace, address, index):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"rondo{os.getpid() % 10000}x{index}"
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    inside = ["ip", "-n", namespace]
    for command in (
        ["ip", "link", "set", name, "netns", namespace],
        inside + ["link", "set", name, "name", "eth0"],
        inside + ["link", "set", "eth0", "mtu", str(MTU), "txqueuelen", "10000", "up"],
        inside + ["address", "add", f"{address}/24", "dev", "eth0"],
    ):
        subprocess.run(command, check=True)
    return fd


def main():
    delay, loss = float(sys.argv[1]) / 1000, float(sys.argv[2]) / 100
    places = [argument.split("=") for argument in sys.argv[3:]]
    fds = [open_device(namespace, address, index) for index, (namespace, address) in enumerate(places)]
    keys = [socket.inet_aton(address) for _, address in places]
    to = dict(zip(keys, fds))
    origin = dict(zip(fds, keys))
    cut = set()
    waiting = collections.deque()
    draw = random.Random(1).random
    os.set_blocking(0, False)
    print("ready", flush=True)
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        for fd in select.select([0] + fds, [], [], timeout)[0]:
            if fd == 0:
                said = os.read(0, 4096)
                if not said:
                    return
                for line in said.decode().splitlines():
                    word, address = line.split()
                    (cut.add if word == "cut" else cut.discard)(socket.inet_aton(address))
                continue
            due = time.monotonic() + delay
            for _ in range(TURN):
                try:
                    packet = os.read(fd, 65536)
                except BlockingIOError:
                    break
                target = packet[16:20]
                known = packet[0] >> 4 == 4 and target in to
                if known and draw() >= loss and origin[fd] not in cut and target not in cut:
                    waiting.append((due, to[target], packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, fd, packet = waiting.popleft()
            try:
                os.write(fd, packet)
            except OSError:
                pass  # A queue that is full loses packets too.


main()
