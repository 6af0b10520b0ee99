# A connection for the agent in C, plain or by TLS, that never waits for long.
# SPDX-License-Identifier: MIT
#
# The calls return what include/baton/http.h says of struct baton_stream, as
# numbers: nothing is raised into C.
import uerrno as errno
import uselect as select
import usocket as socket

from micropython import const

_AGAIN = const(-11)
_DNS = const(-371)
_CONNECT = const(-372)
_RESET = const(-373)
_TIMEOUT = const(-374)
_TLS = const(-377)
_EXPIRED = const(-378)
_NOT_YET_VALID = const(-379)
_CLOCK = const(-380)
_HOST = const(-381)
_UNTRUSTED = const(-382)
_PIN = const(-383)

_CERT_OPTIONAL = const(1)
_CERT_REQUIRED = const(2)
# Numbers of mbed TLS reach Python as they are; an errno is never as low.
_LIBRARY = const(-256)
_EOF = const(-0x7280)  # without a word of farewell

# What mbed TLS says of a certificate; the first that fits is told. One that
# nobody known has signed says nothing by its dates.
_REASONS = (
    ("trusted", _UNTRUSTED),
    ("future", _NOT_YET_VALID),
    ("expired", _EXPIRED),
    ("CN", _HOST),
)


def _value(der, at):
    # Where the value of a DER element begins and ends.
    size = der[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(der[at:at + count], "big")
        at += count
    return at, at + size


def public_key(der):
    """The public key (SubjectPublicKeyInfo) of a certificate, both in DER."""
    at = _value(der, _value(der, 0)[0])[0]
    if der[at] == 0xA0:  # version
        at = _value(der, at)[1]
    for _ in range(5):  # serial, algorithm, issuer, validity, subject
        at = _value(der, at)[1]
    return der[at:_value(der, at)[1]]


def pin_bytes(pin):
    """A pin as its 32 bytes, from hex or from "sha256//" and base64."""
    import ubinascii as binascii

    if isinstance(pin, str):
        if pin.startswith("sha256//"):
            pin = binascii.a2b_base64(pin[8:])
        else:
            pin = binascii.unhexlify(pin)
    if len(pin) != 32:
        raise ValueError("a pin is the SHA-256 of a public key")
    return bytes(pin)


class Stream:
    """One connection.

    ca: certificates, PEM or DER, of which one must have signed the server's.
    pin: SHA-256 of the public key that the server must have; then its
    certificate may be anybody's.
    clock: returns whether the time is known well enough for certificates.
    wait_ms: how long a call may wait for the network.
    """

    rate_s = 30  # the agent in Python gives up who is slower for so long

    def __init__(self, ca=None, pin=None, clock=None, wait_ms=100):
        self.ca = ca
        self.pin = None if pin is None else pin_bytes(pin)
        self.clock = clock
        self.wait_ms = wait_ms
        self.sock = None
        self._raw = None
        self._poll = None
        self._bad_pin = False

    def connect(self, host, port, secure):
        try:
            if self._raw is None:
                if secure and self._needs_clock() and not self.clock():
                    return _CLOCK
                self._begin(host, port)
            events = self._poll.poll(self.wait_ms)
            if not events:
                return _AGAIN
            if events[0][1] & (select.POLLERR | select.POLLHUP):
                self.close()
                return _CONNECT
            if secure:
                self._wrap(host)
            else:
                self.sock = self._raw
            return 0
        except (OSError, ValueError) as exc:
            code = self._code(exc)
            self.close()
            return code

    def send(self, data):
        return self._move(data, select.POLLOUT)

    def recv(self, buf):
        return self._move(buf, select.POLLIN)

    def close(self):
        for sock in (self.sock, self._raw):
            if sock is not None:
                try:
                    sock.close()
                except OSError:
                    pass
        self.sock = self._raw = self._poll = None

    def _needs_clock(self):
        return self.pin is None and self.ca is not None and self.clock

    def _begin(self, host, port):
        try:
            address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
        except OSError:
            raise OSError(_DNS)
        self._raw = socket.socket()
        self._raw.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._raw, select.POLLOUT)
        try:
            self._raw.connect(address)
        except OSError as exc:
            if exc.errno != errno.EINPROGRESS:
                raise OSError(_CONNECT)

    def _wrap(self, host):
        # The handshake is done by the first write: nothing is sent to a server
        # before it has been verified.
        import tls

        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        if self.pin is not None:
            context.verify_mode = _CERT_OPTIONAL
            context.verify_callback = self._check_pin
        elif self.ca is not None:
            context.verify_mode = _CERT_REQUIRED
            context.load_verify_locations(self.ca)
        else:
            context.verify_mode = tls.CERT_NONE
        self._bad_pin = False
        self.sock = context.wrap_socket(
            self._raw, server_hostname=host, do_handshake_on_connect=False
        )
        self._poll.unregister(self._raw)
        self._poll.register(self.sock, select.POLLOUT)

    def _check_pin(self, der, depth):
        # Called by the library: must not raise. Only the server's own
        # certificate counts, and it does for all of them.
        if depth != 0:
            return 0
        try:
            import uhashlib as hashlib

            digest = hashlib.sha256(public_key(der)).digest()
        except Exception:
            digest = None
        self._bad_pin = digest != self.pin
        return -1 if self._bad_pin else 0

    def _move(self, buf, event):
        if self.sock is None:
            return _CONNECT
        try:
            call = self.sock.readinto if event == select.POLLIN else self.sock.write
            n = call(buf)
            if n is None and self.wait_ms:
                self._poll.modify(self.sock, event)
                if self._poll.poll(self.wait_ms):
                    n = call(buf)
            return _AGAIN if n is None else n
        except (OSError, ValueError) as exc:
            return self._code(exc)

    def _code(self, exc):
        if self._bad_pin:
            return _PIN
        if isinstance(exc, ValueError):
            text = str(exc)
            for word, code in _REASONS:
                if word in text:
                    return code
            return _TLS
        code = exc.errno
        if code is None:
            return _CONNECT
        if code in (_DNS, _CONNECT):
            return code
        if code < _LIBRARY:
            return _RESET if code == _EOF else _TLS
        if code in (errno.ETIMEDOUT, 110):
            return _TIMEOUT
        if self.sock is None:
            return _CONNECT
        return _RESET
