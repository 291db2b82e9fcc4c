#!/usr/bin/env python3
"""A network between network namespaces that delays packets and loses some, for kernels without netem.

Usage: slow_network.py DELAY_MS LOSS SEED NAMESPACE=ADDRESS...

Makes an interface eth0 (a tun) in each namespace, says "ready", and carries IPv4 packets between them until it is
killed. LOSS is the share of packets that is lost, at random from SEED. "cut NAMESPACE" and "heal NAMESPACE" on standard
input take a namespace off the network and back.
"""
import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
PACKET_BYTES = 65536


def open_interface(namespace):
    with open(f"/run/netns/{namespace}") as there:
        if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"eth0", IFF_TUN | IFF_NO_PI))
    return tun


def main():
    delay, loss, rng = float(sys.argv[1]) / 1000, float(sys.argv[2]), random.Random(int(sys.argv[3]))
    by_address, by_name, cut = {}, {}, set()
    for word in sys.argv[4:]:
        namespace, address = word.split("=")
        by_name[namespace] = by_address[socket.inet_aton(address)] = open_interface(namespace)
    poll = select.epoll()
    poll.register(sys.stdin, select.EPOLLIN)
    for tun in by_address.values():
        poll.register(tun, select.EPOLLIN)
    print("ready", flush=True)
    under_way, number = [], 0  # (due, number, interface, packet)
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else -1
        for tun, _ in poll.poll(wait):
            if tun == sys.stdin.fileno():
                words = sys.stdin.readline().split()
                if not words:
                    return
                (cut.add if words[0] == "cut" else cut.discard)(by_name[words[1]])
                continue
            for _ in range(64):
                try:
                    packet = os.read(tun, PACKET_BYTES)
                except BlockingIOError:
                    break
                except OSError:
                    poll.unregister(tun)  # the interface is going
                    break
                to = by_address.get(packet[16:20])  # the destination of an IPv4 header
                if to is not None and not cut & {tun, to} and packet[0] >> 4 == 4 and rng.random() >= loss:
                    heapq.heappush(under_way, (time.monotonic() + delay, number, to, packet))
                    number += 1
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, to, packet = heapq.heappop(under_way)
            try:
                os.write(to, packet)
            except OSError:
                pass  # its queue is full, or the interface is going: a lost packet


if __name__ == "__main__":
    main()
