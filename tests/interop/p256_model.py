"""ECDSA on P-256 by the textbook, in affine coordinates: slow, and sharing no
idea with port/freestanding/p256.c."""
# SPDX-License-Identifier: MIT

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
INFINITY = None


def is_on_curve(point):
    x, y = point
    return (y * y - x * x * x + 3 * x - B) % P == 0


def negate(point):
    return point and (point[0], -point[1] % P)


def add(a, b):
    if a is INFINITY:
        return b
    if b is INFINITY:
        return a
    if a == negate(b):
        return INFINITY
    if a == b:
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(factor, point):
    total = INFINITY
    for digit in bin(factor % N)[2:]:
        total = add(total, total)
        if digit == "1":
            total = add(total, point)
    return total


def point_with_x(x):
    """A point of the curve with this x, or None."""
    square = (x * x * x - 3 * x + B) % P
    y = pow(square, (P + 1) // 4, P)
    return (x, y) if y * y % P == square else None


def verify(x, y, digest, r, s):
    if not (0 < r < N and 0 < s < N and x < P and y < P):
        return False
    if not is_on_curve((x, y)):
        return False
    inverse = pow(s, -1, N)
    total = add(multiply(digest * inverse, G), multiply(r * inverse, (x, y)))
    return total is not INFINITY and total[0] % N == r
