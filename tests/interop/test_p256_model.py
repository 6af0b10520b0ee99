"""Signatures made to be hard, through port/freestanding/p256.c and through the
textbook in Python. Every expected answer is the model's."""
# SPDX-License-Identifier: MIT
import os
import random
import subprocess

import pytest
from p256_model import (
    G,
    INFINITY,
    N,
    P,
    add,
    multiply,
    negate,
    point_with_x,
    verify,
)

DRIVER = os.path.join(os.path.dirname(__file__), "../../build/tests/interop/p256_driver")
CASES = int(os.environ.get("P256_CASES", "60"))
SEED = int(os.environ.get("P256_SEED", str(random.randrange(2**32))))
SIGNATURE = "-300"


def ask(cases):
    """One verdict for each (x, y, digest, r, s)."""
    lines = "".join("%064x%064x%064x%064x%064x\n" % case for case in cases)
    done = subprocess.run([DRIVER], input=lines, capture_output=True, text=True, timeout=300, check=True)
    answers = done.stdout.split()
    assert len(answers) == len(cases) and set(answers) <= {"0", SIGNATURE}
    return [answer == "0" for answer in answers]


def check(cases, expected=None):
    for case, answer in zip(cases, ask(cases)):
        model = verify(*case)
        assert answer == model, f"P256_SEED={SEED}: {case} is {answer}, by the model {model}"
        assert expected is None or answer == expected, f"P256_SEED={SEED}: {case}"


def patterned(rng):
    """A number with long runs of ones and zeros: carries go far in it."""
    number = 0
    while number.bit_length() < 256:
        run = rng.randrange(1, 70)
        number = number << run | (2**run - 1) * rng.randrange(2) | (number == 0)
    return number & (2**256 - 1)


def sign(rng, secret, digest):
    k = rng.randrange(1, N)
    r = multiply(k, G)[0] % N
    return r, pow(k, -1, N) * (digest + r * secret) % N


def forge(key, u1, u2):
    """A digest and a signature by any key, of which nobody knows the secret:
    u1 * G + u2 * key is the point that gives r."""
    r = add(multiply(u1, G), multiply(u2, key))[0] % N
    s = r * pow(u2, -1, N) % N
    return key + (u1 * s % N, r, s)


def recover(point, r, digest, s):
    """The key under which `point` is the sum, for this r."""
    difference = add(multiply(s, point), negate(multiply(digest, G)))
    return multiply(pow(r, -1, N), difference)


@pytest.fixture
def rng():
    return random.Random(SEED)


def test_random_and_patterned_signatures(rng):
    good = []
    for _ in range(CASES):
        secret = rng.choice([rng.randrange(1, N), patterned(rng) % N or 1])
        digest = rng.choice([rng.randrange(2**256), patterned(rng)])
        good.append(multiply(secret, G) + (digest,) + sign(rng, secret, digest))
    check(good, True)
    # One bit of one number is another signature.
    bad = []
    for case in good:
        which = rng.randrange(5)
        numbers = list(case)
        numbers[which] ^= 1 << rng.randrange(256)
        bad.append(tuple(numbers))
    check(bad, False)


def test_patterned_factors(rng):
    cases = []
    for _ in range(CASES):
        # A pattern can be a multiple of N, which is no key.
        key = multiply(patterned(rng) % N or 1, G)
        cases.append(forge(key, patterned(rng) % N, patterned(rng) % N or 1))
    check(cases, True)


def test_keys_that_are_near_the_base_point(rng):
    cases = []
    for secret in [1, 2, 3, 4, 5, N - 1, N - 2, N - 3, (N + 1) // 2, (N - 1) // 2, pow(2, -1, N), N // 3]:
        for digest in [0, 1, 2, N - 1, N, N + 1, 2**255, 2**256 - 1, rng.randrange(2**256)]:
            cases.append(multiply(secret, G) + (digest,) + sign(rng, secret, digest))
    check(cases, True)


def test_small_and_large_factors(rng):
    key = multiply(rng.randrange(1, N), G)
    edge = [1, 2, 3, 2**32 - 1, 2**32, 2**128, 2**255, N - 1, N - 2, N >> 1]
    check([forge(key, u1, u2) for u1 in [0] + edge for u2 in edge], True)


def test_sum_of_equal_points(rng):
    """u1 * G == u2 * key: an addition formula that is not complete fails."""
    cases = []
    for _ in range(20):
        secret, u1 = rng.randrange(1, N), rng.randrange(1, N)
        r = multiply(2 * u1, G)[0] % N
        digest = r * secret % N
        cases.append(multiply(secret, G) + (digest, r, digest * pow(u1, -1, N) % N))
    check(cases, True)


def test_infinite_sum(rng):
    """u1 * G == -u2 * key, for any r and s."""
    cases = []
    for secret in [1, N - 1] + [rng.randrange(1, N) for _ in range(20)]:
        for r in [1, N - 1, rng.randrange(1, N)]:
            cases.append(multiply(secret, G) + (-r * secret % N, r, rng.randrange(1, N)))
    check(cases, False)


def test_meets_on_the_way(rng):
    """The sum of the higher bits is the point, or the opposite of the point,
    that is added next."""
    cases = []
    for bits in range(1, 40):
        # secret * u2 + u1 of the bits above equals +-1, then comes G.
        u2 = rng.randrange(1, 2**bits)
        u1 = rng.randrange(1, 2**bits)
        for goal in [1, -1]:
            secret = (goal - u1) * pow(u2, -1, N) % N
            if secret:
                for last1, last2 in [(1, 0), (0, 1), (1, 1)]:
                    a, b = 2 * u1 + last1, 2 * u2 + last2
                    key = multiply(secret, G)
                    if add(multiply(a, G), multiply(b, key)) is not INFINITY:
                        cases.append(forge(key, a, b))
    check(cases, True)


def test_keys_with_small_x(rng):
    """x = 0 is on the curve, too; x + P fits into 256 bits and is refused."""
    cases = []
    for x in range(0, 40):
        point = point_with_x(x)
        if point:
            for key in [point, negate(point)]:
                case = forge(key, rng.randrange(1, N), rng.randrange(1, N))
                cases.append(case)
    assert cases[0][0] == 0
    check(cases, True)
    check([(case[0] + P,) + case[1:] for case in cases], False)


def test_y_not_below_the_prime(rng):
    """No point of the curve has a small y with an x in reach, so that y + P
    fits only for points that are searched for by y: none solves x for y = 0."""
    key = multiply(rng.randrange(1, N), G)
    case = forge(key, 1, 2)
    for y in [P, P + 1, 2**256 - 1]:
        check([(case[0], y) + case[2:]], False)


def test_large_r(rng):
    """Points whose x is not below the order: r is x - N."""
    cases = []
    refused = []
    for x in list(range(N, N + 30)) + list(range(P - 30, P)):
        point = point_with_x(x)
        if not point or x == N:
            continue
        digest, s = rng.randrange(2**256), rng.randrange(1, N)
        key = recover(point, x - N, digest, s)
        cases.append(key + (digest, x - N, s))
    check(cases, True)
    # An r that would be right if r + N went around the field's prime.
    for x in range(0, 30):
        point = point_with_x(x)
        r = x + P - N
        if point:
            digest, s = rng.randrange(2**256), rng.randrange(1, N)
            refused.append(recover(point, r, digest, s) + (digest, r, s))
    check(refused, False)


def test_small_r(rng):
    """r that can stand for two x, where the smaller is meant."""
    cases = []
    for r in range(1, 40):
        point = point_with_x(r)
        if point:
            digest, s = rng.randrange(2**256), rng.randrange(1, N)
            cases.append(recover(point, r, digest, s) + (digest, r, s))
    check(cases, True)


EDGES = [0, 1, 2, N - 1, N, N + 1, N - 2, P - 1, P, P + 1, P - N, 2**255, 2**256 - 1, 2**224, 2**32]


def test_edges_of_r_and_s(rng):
    secret = rng.randrange(1, N)
    digest = rng.randrange(2**256)
    r, s = sign(rng, secret, digest)
    key = multiply(secret, G)
    check([key + (digest, a, b) for a in EDGES + [r] for b in EDGES])
    check([key + (digest, a, s) for a in EDGES])
    check([key + (digest, 0, s), key + (digest, r, 0), key + (digest, 0, 0)], False)
    check([key + (digest, s, r), key + (digest, N - r, s)], False)
    check([key + (digest, r, N - s)], True)  # ECDSA knows no sign of s
    # The same numbers once more above the order.
    check([key + (digest, r + N, s) for _ in [0] if r + N < 2**256], False)


def test_s_plus_order_is_refused(rng):
    """s + N fits into 256 bits only for a small s: made by choosing u2."""
    cases = []
    for _ in range(20):
        key = multiply(rng.randrange(1, N), G)
        r = multiply(rng.randrange(1, N), G)[0] % N
        s = rng.randrange(1, 2**256 - N)
        point = point_with_x(r)
        if point:
            digest = rng.randrange(2**256)
            key = recover(point, r, digest, s)
            cases.append(key + (digest, r, s))
    check(cases, True)
    check([case[:4] + (case[4] + N,) for case in cases], False)


def test_points_that_are_none(rng):
    secret = rng.randrange(1, N)
    x, y = multiply(secret, G)
    digest = rng.randrange(2**256)
    tail = (digest,) + sign(rng, secret, digest)
    check([(x, P - y) + tail, (y, x) + tail, (x, y ^ 1) + tail, (0, 0) + tail, (0, 1) + tail, (x, 0) + tail], False)
    check([(a, b) + tail for a in EDGES for b in EDGES], False)
    # Of another curve with the same a: the sums would come out right.
    check([(x, (y + 1) % P) + tail, ((x + 1) % P, y) + tail], False)


def test_digest_counts_modulo_the_order(rng):
    key = multiply(rng.randrange(1, N), G)
    x, y, digest, r, s = forge(key, 0, rng.randrange(1, N))
    assert digest == 0
    check([(x, y, 0, r, s), (x, y, N, r, s)], True)
    check([(x, y, 1, r, s), (x, y, 2**256 - 1, r, s)], False)
