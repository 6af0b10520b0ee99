# Sets the clock from a time server (SNTP, RFC 4330).
# SPDX-License-Identifier: MIT
import socket
import struct
import time

host = "pool.ntp.org"
timeout = 1

# From the protocol's epoch, 1900, to this port's, 2000.
_OFFSET = 3155673600


def time_():
    query = bytearray(48)
    query[0] = 0x1B
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.settimeout(timeout)
        s.sendto(query, socket.getaddrinfo(host, 123)[0][-1])
        answer = s.recv(48)
    finally:
        s.close()
    return struct.unpack("!I", answer[40:44])[0] - _OFFSET


def settime():
    import machine

    t = time.gmtime(time_())
    machine.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))


globals()["time"] = time_
