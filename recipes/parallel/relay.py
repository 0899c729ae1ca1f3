"""Passes Ethernet frames between two tap devices in two network namespaces, each after a delay, some lost.

    relay.py NAMESPACE DEVICE NAMESPACE DEVICE DELAY_MS LOSS_PERCENT SEED

For kernels without tc's netem. Makes the devices, prints "ready", and runs until it is killed.
"""

import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def tap(namespace, device):
    with open(f"/run/netns/{namespace}", "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"can't enter {namespace}")
    made = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(made, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI))
    return made


def main():
    first, second = tap(*sys.argv[1:3]), tap(*sys.argv[3:5])
    delay, loss = float(sys.argv[5]) / 1000, float(sys.argv[6]) / 100
    chance = random.Random(int(sys.argv[7]))
    waiting = collections.deque()  # (when, to, frame): the delay is one, so they leave in the order in which they came
    print("ready", flush=True)
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([first, second], [], [], timeout)
        for source in readable:
            frame = os.read(source, 65536)
            if chance.random() >= loss:
                waiting.append((time.monotonic() + delay, second if source == first else first, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, target, frame = waiting.popleft()
            try:
                os.write(target, frame)
            except OSError:
                pass  # the device is down, or its queue full: lost


if __name__ == "__main__":
    main()
