# The update agent in Python: states, steps, waits, retries. It stands in for the
# one in C where the native module has to be small; docs/AGENT.md tells of both.
# SPDX-License-Identifier: MIT
#
# A phase is a function of the agent that does one bounded piece of work; it
# raises OSError(code) where that fails. What is stored is what the agent in C
# stores. The other files are imported while they are needed.
import ustruct as struct

import _baton
from micropython import const

_IDLE = const(0)
_CHECKING = const(1)
_TRIAL = const(6)
_REBOOTING = const(5)
_READY = const(4)
_WAITING = const(7)

_EVENT_STATE = const(0)
_EVENT_DECLINED = const(3)
_EVENT_RETRY = const(6)
_EVENT_FAILED = const(7)

_KEEP_RUNNING = const(2)

_NOENT = const(-2)
_NOSPC = const(-28)
_ARG = const(-22)
_STATE = const(-200)
_URL = const(-370)
_UNSIGNED = const(-320)
_TOO_MUCH = const(-376)
_CHANGED = const(-391)

# baton_error_is_retryable
_RETRYABLE = (-5, -11, -12, -202, -371, -372, -373, -374, -375, -377, -379,
              -380, -384, -389, -391, -395)

_SECTOR = const(4096)
_BLOCK = const(65536)
_LEAST = const(8192)
# For the rest of an update: the files, buffers, Wi-Fi; for TLS; for a manifest.
_SPARE = const(60000)
_SPARE_TLS = const(100000)
_SPARE_MANIFEST = const(16384)
_TICKS_MASK = const(0x3FFFFFFF)
_VERSION_BYTES = const(32)
_URL_BYTES = const(255)
_STATUS = "<BBiIIIIIIB33s33s"
_TRIED = "<BBBBI8sI"

# The other files, which are forgotten where nothing of them is needed.
_PARTS = ("block", "channel", "fetch", "identity", "journal", "manifest", "payload",
          "policy", "report", "sectors", "trial", "trust", "url", "web")


def forget(*names):
    """Lets the memory of these files be collected; they can be imported again."""
    import sys

    package = sys.modules.get("baton")
    for name in names or _PARTS:
        if sys.modules.pop("baton." + name, None) and hasattr(package, name):
            delattr(package, name)


def code_of(exc):
    """Baton's code of an OSError; what is not Baton's goes on as it is."""
    if len(exc.args) == 1 and exc.args[0] < 0:
        return exc.args[0]
    raise exc


def cut(text, size=_VERSION_BYTES):
    """A text as no more than so many bytes, whole characters."""
    raw = text.encode()
    if len(raw) > size:
        while raw[size] & 0xC0 == 0x80:
            size -= 1
        text = raw[:size].decode()
    return text


def is_passing(err):
    return err in _RETRYABLE


def memory(most, more, spare):
    """As much as can be spared of 8 KiB up to `most`, and `more` beside it;
    None where there is not as much. What is free counts memory that the heap can
    still grow by, which Wi-Fi needs as well."""
    import gc

    gc.collect()
    free = gc.mem_free() - more - spare
    while most > max(free, 0):
        most //= 2
    if most < _LEAST:
        return None
    try:
        return bytearray(most + more)
    except MemoryError:
        return None


def room(agent):
    """Memory for packed and delta payloads."""
    state = agent.codec_state
    return len(state) if state is not None and hasattr(_baton, "codec") else 0


def is_channel(url):
    """Whether a signed channel is there, and not a plain image."""
    for end in "#?":
        url = url.split(end, 1)[0]
    return url.endswith(".jws")


class Agent:
    def __init__(self, port, flash, places, texts, numbers):
        self.port = port
        self.flash = self.plain_flash = flash
        self.parts = port.parts
        self.count, self.running = places
        self.product, self.board, self.device_id, self.report_url = texts
        (flags, trial_ms, self.trial_boots, self.trial_failures, inconclusive,
         retry_min, retry_max, retries, total, self.bootloader,
         self.mpy) = numbers
        self.flags = flags
        self.keep_running = flags & _KEEP_RUNNING
        self.trial_ms = trial_ms or 300000
        self.inconclusive_max = inconclusive or 3
        self.retry_min_ms = retry_min or 1000
        self.retry_max_ms = retry_max or 300000
        self.retry_max = retries or 10
        self.target = (self.running + 1) % self.count
        # The partition that runs, by its place among all.
        self.own = self.running if self.running >= 0 else self.count + 1
        self.slot_bytes = self.parts[self.target].info()[3]
        self.total_max = total or 4 * self.slot_bytes
        self.otadata = self.parts[self.count]
        self.encrypted = any(part.info()[5] for part in self.parts)
        head = bytearray(16)
        self.parts[self.own].readblocks(0, head, 0)
        # The chip is what the image that runs on it is for.
        self.chip = head[12] | head[13] << 8
        self.busy = False
        self.ticks_ms = 0
        self.ticks_last = port.ticks()
        self.state = _IDLE
        self.wait_state = _IDLE
        self.phase = self.again = None
        self.is_payload = False
        self.is_open = False
        self.until = 0
        self.started_ms = 0
        self.url = ""
        self.http = self.release = self.update = self.buf = None
        self.codec_state = None
        self.trial_boot = 0
        self.wants_check = self.wants_confirm = False
        self.identity = self.sha = None  # of what runs: (bytes, SHA-256)
        self.own_bytes = 0
        self.memory = None  # where sectors gather
        self.built = 0
        self.vouched = False  # by more than the server's certificate
        self.failures = self.gained = 0
        self.load_status()

    # ---- The store

    def load(self, key, form):
        """The fields of a record behind its format number; None for none."""
        raw = bytearray(struct.calcsize(form))
        size = self.port.get(key, raw)
        if size == _NOENT or size == _NOSPC:
            return None
        if size < 0:
            raise OSError(size)
        if size != len(raw) or raw[0] != 1:
            return None
        return struct.unpack(form, raw)[1:]

    def save(self, key, data):
        err = self.port.set(key, data)
        if err < 0:
            raise OSError(err)

    def load_status(self):
        fields = self.load("agent.status", _STATUS)
        if fields is None:
            fields = (0,) * 9 + (b"", b"")
        (self.encoding, self.error, self.attempts, self.bytes, self.total,
         self.done, self.seconds, self.sequence, unreported, old, new) = fields
        self.unreported = unreported != 0
        self.old, self.new = (
            str(text.split(b"\0", 1)[0], "utf-8") for text in (old, new))

    def save_status(self):
        self.save("agent.status", struct.pack(
            _STATUS, 1, self.encoding, self.error, self.attempts, self.bytes,
            self.total, self.done, self.seconds, self.sequence,
            self.unreported, self.old.encode(), self.new.encode()))

    def load_tried(self):
        """Of the release that was last switched to: verdict, tries without a
        result, slot, sequence, id."""
        fields = self.load("agent.tried", _TRIED)
        return [0, 0, 0, 0, bytes(8)] if fields is None else list(fields[:5])

    def save_tried(self, tried):
        self.save("agent.tried", struct.pack(_TRIED, 1, *(tried + [0])))

    # ---- Small things

    def now(self):
        # Python's ticks begin anew every twelve days; some call comes between.
        ticks = self.port.ticks()
        self.ticks_ms += ticks - self.ticks_last & _TICKS_MASK
        self.ticks_last = ticks
        return self.ticks_ms

    def tell(self, kind, err=0, value=0):
        self.port.event(kind, err, value)

    def go(self, state, phase, again=None):
        """phase: what the next step does; again: where a retry begins."""
        self.phase = phase
        self.again = again or phase
        if state != self.state:
            self.state = state
            self.tell(_EVENT_STATE, 0, state)

    def next(self, phase, again=None):
        self.phase = phase
        self.again = again or phase

    def wait(self, ms):
        if self.state != _WAITING:
            self.wait_state = self.state
        self.until = self.now() + ms
        self.go(_WAITING, self.phase, self.again)

    def may(self, question, release=None):
        """Asks the application; where it says no a wait has begun."""
        ms = self.port.decide(question, release)
        if ms:
            self.wait(ms)
        return not ms

    # ---- The network

    def open(self, url, start=0, end=0, etag=None):
        """True once the header of the answer is there."""
        if not self.is_open:
            self.attempts += 1
        self.is_open = True
        return self.http.open(url, start, end, etag, self.vouched)

    def read(self, buf):
        """As recv: the number of bytes, 0 at the end; None: nothing came yet."""
        got = self.http.read(buf)
        if got:
            self.bytes += got
            if self.bytes > self.total_max:
                raise OSError(_TOO_MUCH)
        return got

    def close(self):
        if self.is_open:
            self.http.close()
        self.is_open = False

    def gain(self, count):
        # Only a sector's worth makes up for failures: a server that drips and
        # stalls must not hold an update for as long as it likes.
        self.gained += count
        if self.gained >= 4096:
            self.failures = 0

    # ---- Ends and retries

    def rest(self):
        self.close()
        if self.http is not None and not self.wants_check:
            self.http.hang_up()
        self.update = self.release = self.buf = self.codec = self.trust = None
        self.memory = None
        self.flash = self.plain_flash  # without a block
        self.is_payload = False
        self.go(_IDLE, None)

    def finish(self, err):
        """Ends what is under way, well (0) or not."""
        self.close()
        was_update = self.total != 0
        self.error = err
        self.seconds = (self.now() - self.started_ms) // 1000
        if err:
            self.tell(_EVENT_FAILED, err)
        if was_update:  # a check that found nothing leaves no trace on flash
            self.unreported = True
            try:
                self.save_status()
            except OSError as exc:
                code_of(exc)
        self.rest()

    def decline(self, err):
        """This release ends here, and nothing is wrong with it."""
        if err:
            self.tell(_EVENT_DECLINED, err)
        self.error = err
        self.rest()

    def back_off_ms(self):
        # Doubles with each failure; half of it is by chance, so that a fleet
        # does not come back all at once.
        most = self.retry_max_ms
        ms = min(self.retry_min_ms << min(self.failures - 1, 20), most)
        chance = bytearray(4)
        self.port.fill(chance)
        half = ms // 2
        if half:
            ms = half + struct.unpack("<I", chance)[0] % half
        asked_s = self.http.retry_after_s if self.http is not None else 0
        return max(ms, min(asked_s, most // 1000) * 1000)

    def retry_later(self, err):
        self.failures += 1
        self.gained = 0
        if self.failures > self.retry_max:
            self.finish(err)
            return
        ms = self.back_off_ms()
        self.close()
        if self.is_payload:
            from . import fetch

            fetch.is_broken(self)
        self.phase = self.again
        self.tell(_EVENT_RETRY, err, ms)
        self.wait(ms)

    def handle(self, err):
        if err in _RETRYABLE and err != _CHANGED:
            if err != -11:
                self.retry_later(err)
            return
        if self.is_payload:
            from . import fetch

            try:
                err = fetch.recover(self, err)
            except OSError as exc:
                err = code_of(exc)
        if err:
            self.finish(err)

    # ---- A check

    def start(self):
        # What runs is named by the last update that was confirmed.
        if not self.error and self.new:
            self.old = self.new
        self.new = ""
        self.encoding = self.error = self.attempts = self.bytes = 0
        self.total = self.done = self.seconds = self.sequence = 0
        self.unreported = False
        self.release = None
        self.vouched = False
        self.started_ms = self.now()
        self.failures = self.gained = self.failed = 0
        self.payload_err = self.wanted_err = 0
        self.keys_fetched = self.is_fresh = self.held_back = False
        self.wants_check = False
        self.at = 0
        self.sha = None  # of an identity that was cut short
        self.buf = bytearray(4096)
        from . import identity

        self.go(_CHECKING, identity.identify)

    def start_check(self):
        if self.unreported and self.report_url:
            from . import report

            self.wants_check = False
            self.go(_CHECKING, report.send)
        else:
            self.start()

    def check(self, url, sha256, flags, stream, authorization, codec):
        is_plain = not is_channel(url)
        if self.memory is None and self.port.gathers:
            # Early, while a piece as long can be had; the least is needed anyway.
            spare = _SPARE_TLS if url.startswith("https") else _SPARE
            if not is_plain:
                spare += _SPARE_MANIFEST
            self.memory = memory(_BLOCK, _SECTOR, spare) or bytearray(_LEAST)
        from . import web

        is_trial = self.is_on_trial()
        if self.state != _IDLE and not is_trial:
            raise OSError(_STATE)
        scheme = url[:8]
        is_https = scheme == "https://"
        if len(url.encode()) > _URL_BYTES or not (
                is_https or scheme.startswith("http://")):
            raise OSError(_URL)
        # Nothing unsigned is taken where there is a key to check with, unless
        # the caller says so; without one, something else has to vouch for it.
        if is_plain and not flags & 1:
            from . import trust

            vouched = sha256 is not None or is_https and flags & 2
            if trust.Trust(self.port).root is not None or not vouched:
                raise OSError(_UNSIGNED)
        self.http = web.Http(stream, self.port, authorization)
        self.url = url
        self.sha256 = sha256
        self.codec_state = codec
        if is_trial:
            self.wants_check = True
        else:
            self.start_check()

    # ---- Steps

    def step(self):
        self.port.feed()
        try:
            if self.trial_boot:
                from . import trial

                trial.watch(self)
            if self.state == _WAITING and self.now() >= self.until:
                self.go(self.wait_state, self.phase, self.again)
            if self.state != _WAITING and self.phase is not None:
                self.phase(self)
        except OSError as exc:
            self.handle(code_of(exc))
        if self.state == _IDLE and self.wants_check:
            self.start_check()
        wait = 0
        if self.state == _WAITING:
            wait = max(self.until - self.now(), 0)
        release = self.release
        total = release.image_bytes if release is not None else 0
        return self.state, wait, self.done, total, self.error

    def is_on_trial(self):
        return self.state == _TRIAL or (
            self.state == _WAITING and self.wait_state == _TRIAL)

    def cancel(self):
        if not self.is_on_trial() and self.state != _REBOOTING:
            self.rest()
        self.wants_check = False


# ---- What the face calls: the agent's functions of _baton ------------------


def _in(self):
    # A call that an exception ended has left the agent as a power cut would.
    if self.busy:
        raise OSError(_STATE)
    self.busy = True


def _call(self, function, *args):
    _in(self)
    try:
        result = function(*args)
    except OSError as exc:
        if len(exc.args) == 1 and exc.args[0] < 0:
            self.busy = False
        raise
    self.busy = False
    return result


def agent(port, flash, places, texts, numbers, root):
    if root is not None:
        from . import trust

        trust.set_root(port, root)
    self = Agent(port, flash, places, texts, numbers)
    begin(self)
    return self


def begin(self):
    # A device at rest reads its records, and no more.
    if self.running < 0:
        return
    if self.trial_boots > 16 or self.trial_failures > 8:
        raise OSError(_ARG)
    cause = self.port.cause()
    if cause not in (3, 7):  # by the bootloader, and not by waking or Ctrl-D
        _baton.settle(self.flash, self.count, self.count, self.running)
    verdict = self.load_tried()
    if verdict[0] != 1 and is_settled(self):
        return
    from . import trial

    trial.begin(self, cause)


def is_settled(self):
    """Whether a record says that the slot which runs is confirmed, or nothing
    says anything."""
    raw = bytearray(32)
    is_free = True
    for copy in range(2):
        self.otadata.readblocks(copy, raw, 0)
        seq, state = struct.unpack_from("<I20xI", raw)
        is_free = is_free and (seq == 0xFFFFFFFF or state in (2, 3, 4, 0xFFFFFFFF))
    return is_free


def agent_codec_bytes():
    return 15904  # BATON_CODEC_STATE_S_BYTES


def agent_check(self, *args):
    _call(self, self.check, *args)


def agent_step(self):
    return _call(self, self.step)


def agent_cancel(self):
    _call(self, self.cancel)


def _trial(self, name):
    from . import trial

    _call(self, getattr(trial, name), self)


def agent_confirm(self):
    if self.state != _IDLE or self.busy:
        _trial(self, "confirm")


def agent_reject(self):
    _trial(self, "reject")


def agent_revert(self):
    _trial(self, "revert")


def agent_mark(self):
    _trial(self, "mark_reset")


def _switch(self):
    if self.state != _READY:
        raise OSError(_STATE)
    from . import fetch

    fetch.switch(self)


def agent_switch(self):
    _call(self, _switch, self)


def agent_status(self):
    if self.busy:
        raise OSError(_STATE)
    return (self.state, self.error, self.attempts, self.bytes, self.total,
            self.done, self.seconds, self.sequence, self.encoding,
            self.trial_boot, self.old, self.new)
