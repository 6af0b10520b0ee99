# Updates that a device survives. docs/PYTHON.md tells how to use it.
# SPDX-License-Identifier: MIT
#
# Built-in modules are imported by their names with a u, here and in the other
# files: by the usual ones they would be looked for in the file system first,
# each time, which takes dozens of reads of flash.
import gc
import sys
import utime as time

# On a chip the heap grows where it finds no room, by memory that Wi-Fi needs: what
# the native module is made of comes and goes.
gc.collect()
import _baton
from micropython import const

gc.collect()

try:
    from _baton import error as _describe
except ImportError:  # the native module is too small for the sentences

    def _describe(code):
        from .errors import describe

        return describe(code)


try:
    from _baton import Partition
except ImportError:  # stock firmware: the port's own
    from esp32 import Partition

# enum baton_agent_state
IDLE = const(0)
CHECKING = const(1)
FETCHING = const(2)
VERIFYING = const(3)
READY = const(4)
REBOOTING = const(5)
TRIAL = const(6)
WAITING = const(7)

# enum baton_agent_question
MAY_FETCH = const(0)
MAY_SWITCH = const(1)
MAY_REBOOT = const(2)
MAY_CONFIRM = const(3)

_ALLOW_UNSIGNED = const(1)
_TRUSTED_TLS = const(2)

_CONFIRM_BY_APPLICATION = const(1)
_KEEP_RUNNING = const(2)
_REQUIRE_CLOCK = const(4)

# Beside the decoder's memory, for the rest of an update.
_HEAP_TO_SPARE = const(24576)
_HEAP_TO_SPARE_PYTHON = const(45056)
_ERR_ARG = const(-22)
_ERR_NO_OTADATA = const(-280)
_ERR_KEY_FORMAT = const(-292)
_ERR_ON_TRIAL = const(-322)

_TRIAL_BOOT = const(9)
_STATUS = ("state", "error", "attempts", "bytes", "total", "done", "seconds",
           "sequence", "encoding", "trial_boot", "from", "to")
_ENCODINGS = ("raw", "packed", "delta")
_STATES = ("idle", "checking", "fetching", "verifying", "ready", "rebooting",
           "trial", "waiting")

_agent = None
_parts = None  # in packages for stock firmware: micropython/natmod/parts.py


def _policy():
    # The agent: in C where _baton has it, else in Python.
    if hasattr(_baton, "agent"):
        return _baton
    from . import policy

    return policy


class Error(OSError):
    """What Baton refuses, or what went wrong. code: the number that every side
    of Baton knows it by; str() is the sentence, hint what can be done."""

    def __init__(self, code):
        self.code = code
        self.name, self.text, self.hint = _describe(code)
        super().__init__(code, self.text)

    def __str__(self):
        return self.text


def _call(function, *args):
    # C raises OSError with nothing but the code; ESP-IDF's have a name with it.
    try:
        return function(*args)
    except OSError as exc:
        if len(exc.args) == 1 and exc.args[0] < 0:
            raise Error(exc.args[0])
        raise


def _key(key):
    # A public key as 64 bytes: those, PEM, or "x.y" as `baton key show` has it.
    import ubinascii as binascii

    try:
        if isinstance(key, str):
            key = key.strip()
            if key.startswith("-----BEGIN PUBLIC KEY"):
                key = binascii.a2b_base64("".join(key.split("\n")[1:-1]))[-64:]
            else:
                x, y = key.replace("-", "+").replace("_", "/").split(".")
                key = binascii.a2b_base64(x + "=") + binascii.a2b_base64(y + "=")
    except ValueError:
        key = b""
    if len(key) != 64:
        raise Error(_ERR_KEY_FORMAT)
    return bytes(key)


def _digest(sha256):
    if isinstance(sha256, str):
        import ubinascii as binascii

        try:
            sha256 = binascii.unhexlify(sha256)
        except ValueError:
            sha256 = b""
    if sha256 is not None and len(sha256) != 32:
        raise Error(_ERR_ARG)
    return sha256


def _certificates(ca):
    # PEM or DER, or the name of a file that holds it.
    if isinstance(ca, str) and "-----BEGIN" not in ca:
        with open(ca, "rb") as file:
            return file.read()
    return ca


def _places():
    """The partitions that the agent reaches, and which of them are what: the
    slots in order, otadata, and what runs where that is no slot."""
    parts = []
    while len(parts) < 16:
        found = Partition.find(Partition.TYPE_APP, 0x10 + len(parts))
        if not found:
            break
        parts.append(found[0])
    slots = len(parts)
    otadata = Partition.find(Partition.TYPE_DATA, 0)
    if slots < 2 or not otadata:
        raise Error(_ERR_NO_OTADATA)
    parts.append(otadata[0])
    running = Partition(Partition.RUNNING)
    index = running.info()[1] - 0x10
    if not 0 <= index < slots:
        index = -1
        parts.append(running)
    return parts, slots, index


class Agent:
    """The update agent. One at a time; during a trial the one that start() made.

    config: a dict of what follows; arguments by name come first.
    """

    def __init__(self, config=None, **options):
        from .port import Port

        o = {} if config is None else dict(config)
        o.update(options)
        get = lambda name, default=None: o.pop(name, default)
        self.wait_ms = self.done = self.total = self.error = 0
        self.state = IDLE
        self._port = Port(
            get("feed"), get("decide"), get("event"), get("ntp", "pool.ntp.org")
        )
        self._source = {
            name: get(name)
            for name in ("url", "sha256", "ca", "pin", "allow_unsigned", "wait_ms",
                         "authorization")
        }
        self._codec = None
        keys = get("keys")
        by_application = get("confirm", "server") == "application"
        self.by_application = by_application
        flags = _CONFIRM_BY_APPLICATION if by_application else 0
        self.keep_running = bool(get("keep_running"))
        flags |= _KEEP_RUNNING if self.keep_running else 0
        flags |= _REQUIRE_CLOCK if get("require_clock") else 0
        texts = (get("product", ""), get("board", ""), _device_id(get("device_id")),
                 get("report", ""))
        numbers = (
            flags,
            int(get("deadline_s", 300) * 1000),
            get("trial_boots", 0),
            get("trial_failures", 0),
            get("inconclusive", 0),
            get("retry_min_ms", 0),
            get("retry_max_ms", 0),
            get("retries", 0),
            get("total_max", 0),
            1 if get("rollback", True) else 0,
            _mpy_abi(),
        )
        # A larger erase: ESP-IDF's own, or by 64 KiB of memory to spare, which
        # the policy in Python takes by itself where nothing is said.
        block = get("block", getattr(_baton, "erase", None))
        self._port.takes_block = block is None
        self._port.gathers = block is not False
        self._use_codec = get("codec", True)
        if o:
            raise TypeError("unknown option: " + ", ".join(o))
        parts, slots, running = _places()
        self._flash = _call(_baton.flash, block or None, *parts)
        self._port.parts = parts
        self._policy = _policy()
        self._handle = _call(
            self._policy.agent, self._port, self._flash, (slots, running), texts,
            numbers, None if keys is None else _key(keys),
        )
        self.state = _call(self._policy.agent_status, self._handle)[0]

    def check(self, url=None, **options):
        """Asks for an update; it happens in the steps that follow."""
        from .net import Stream

        o = dict(self._source)
        o.update(options)
        if url is not None:
            o["url"] = url
        stream = Stream(
            _certificates(o["ca"]), o["pin"], self._port.clock_is_set,
            100 if o["wait_ms"] is None else o["wait_ms"],
        )
        flags = _ALLOW_UNSIGNED if o["allow_unsigned"] else 0
        if o["ca"] is not None or o["pin"] is not None:
            flags |= _TRUSTED_TLS
        elif o["authorization"] is not None and o["url"].startswith("https"):
            # A signature vouches for what comes, but not for who asks.
            raise ValueError("authorization over https needs ca or pin")
        # A plain image needs no decoder, and its memory serves better elsewhere.
        wants_codec = self._use_codec and (
            self._policy is _baton or self._policy.is_channel(o["url"]))
        if wants_codec and self._codec is None:
            gc.collect()
            size = self._policy.agent_codec_bytes()
            spare = (_HEAP_TO_SPARE if self._policy is _baton
                     else _HEAP_TO_SPARE_PYTHON)
            if gc.mem_free() > size + spare:
                self._codec = bytearray(size)
        _call(self._policy.agent_check, self._handle, o["url"], _digest(o["sha256"]),
              flags, stream, o["authorization"], self._codec)

    def step(self):
        """Does a bounded piece of work; returns the state after it. wait_ms,
        done, total and error are set."""
        try:
            result = _call(self._policy.agent_step, self._handle)
        finally:
            raised, self._port.raised = self._port.raised, None
        self.state, self.wait_ms, self.done, self.total, self.error = result
        if raised is not None:
            raise raised
        return self.state

    def on_trial(self):
        try:
            return self._policy.agent_status(self._handle)[_TRIAL_BOOT] > 0
        except OSError:
            return False  # ended by an exception

    def mark(self):
        """The reset that follows is wanted, and no fault of a trial."""
        _call(self._policy.agent_mark, self._handle)

    def hook(self, options):
        """Takes feed, decide and event from a dict, where they are in it."""
        for name in ("feed", "decide", "event"):
            if name in options:
                setattr(self._port, "user_" + name, options[name])

    def confirm(self):
        """The version on trial is healthy: keeps it, from the next step on."""
        _call(self._policy.agent_confirm, self._handle)

    def reject(self):
        """Gives the version on trial up; the next step restarts into the old."""
        _call(self._policy.agent_reject, self._handle)

    def revert(self):
        """Goes back to the version in the other slot, in the next steps."""
        _call(self._policy.agent_revert, self._handle)

    def switch(self):
        """With keep_running, in READY: the new version boots next."""
        _call(self._policy.agent_switch, self._handle)

    def cancel(self):
        """Gives up what is under way; what was downloaded stays for later."""
        try:
            _call(self._policy.agent_cancel, self._handle)
        except Error:
            pass  # ended by an exception already

    def status(self):
        """How the last update went, as a dict."""
        status = dict(zip(_STATUS, _call(self._policy.agent_status, self._handle)))
        status["state"] = _STATES[status["state"]]
        status["encoding"] = _ENCODINGS[status["encoding"]]
        error = status["error"]
        status["text"] = _describe(error)[1] if error else ""
        return status

    def _run(self, progress=None, until=None):
        # Steps until there is nothing to do; returns True where a new version
        # waits for the reset.
        shown = None
        while True:
            state = self.step()
            now = (self.done, self.total)
            if progress is not None and state == FETCHING and now != shown:
                shown = now
                progress(*now)
            if state == READY:
                self.switch()
            elif state == REBOOTING:
                if self.keep_running:
                    return True
            elif state == IDLE:
                if self.error:
                    raise Error(self.error)
                return False
            elif until is not None and until(self):
                return False
            if self.wait_ms:
                self._port.feed()
                time.sleep_ms(min(self.wait_ms, 200))


def _device_id(device_id):
    if device_id is None:
        import umachine as machine

        device_id = machine.unique_id()
    return device_id


def _mpy_abi():
    # What a new firmware must be able to load: nothing where _baton is in it.
    if not hasattr(_baton, "__file__"):
        return 0
    return sys.implementation._mpy & 0x3FF


def _get(options):
    # The agent of a trial, with the caller's hooks; else a fresh one.
    global _agent
    _drop()
    if _agent is None:
        _agent = Agent(options)
    else:
        _agent.hook(options)
    return _agent


def _drop():
    # Nothing stays in memory but for a trial.
    global _agent
    if _parts is not None:
        _parts.close()
    if _agent is not None and not _agent.on_trial():
        _agent = None
    if _agent is None:
        policy = sys.modules.get("baton.policy")
        if policy is not None:
            policy.forget()


def start(deadline_s=300, **options):
    """The first statement of boot.py: puts right what a power cut left, counts
    a trial's boot and arms its deadline. Returns True on trial. On a settled
    device nothing is written, and nothing stays in memory. What is wrong with
    the flash or its table is printed, not raised."""
    global _agent
    options["deadline_s"] = deadline_s
    _agent = None
    try:
        _agent = Agent(options)
        if _agent.state == REBOOTING:  # the trial is over
            _agent._run()
        _drop()
    except OSError as exc:
        # boot.py must not end here: a device that cannot be updated still has
        # its work to do.
        print("baton:", exc)
    return _agent is not None


def update(url, *, sha256=None, ca=None, pin=None, keys=None, progress=None,
           reboot=True, allow_unsigned=False, **options):
    """Installs what the URL offers and restarts into it; returns False where
    that runs already, True with reboot=False. Raises Error."""
    options["keys"] = keys
    options["keep_running"] = not reboot
    options.setdefault("retries", 4)  # some ten seconds: a script waits here
    source = dict(sha256=sha256, ca=ca, pin=pin, allow_unsigned=allow_unsigned)
    agent = _get(options)
    try:
        if agent.on_trial():
            if agent.by_application:
                return False  # first things first: confirm() or revert()
            # The server's answer proves the version; what start() was not told
            # holds from then on.
            agent.check(url, **source)
            agent._run(until=_is_over)
            agent.cancel()
            agent = None  # not two of them in memory
            agent = _get(options)
        agent.check(url, **source)
        return agent._run(progress)
    finally:
        # What the heap grew by goes back, as soon as nothing is left in it: Wi-Fi
        # needs it, whose connections may be what failed.
        agent = None
        _drop()
        gc.collect()


def _is_over(agent):
    return not agent.on_trial()


def check(url, *, sha256=None, ca=None, pin=None, keys=None,
          allow_unsigned=False, **options):
    """What an update from the URL would install, as a dict; None where there is
    nothing newer. Nothing of it is written."""
    found = []

    def decide(question, release):
        if question == MAY_FETCH and not found:
            found.append(release or ("", 0, 0, ""))
        return 60000

    _drop()
    if _agent is not None:
        raise Error(_ERR_ON_TRIAL)  # confirm() or revert() comes first
    try:
        agent = Agent(options, decide=decide, keys=keys)
        agent.check(url, sha256=sha256, ca=ca, pin=pin,
                    allow_unsigned=allow_unsigned)
        agent._run(until=lambda _: found)
        agent.cancel()
    finally:
        _drop()
    if not found:
        return None
    return dict(zip(("version", "sequence", "bytes", "notes"), found[0]))


def confirm():
    """Keeps the version that is on trial. Returns whether there was a trial."""
    agent = _get({})
    was = agent.on_trial()
    if was:
        agent.confirm()
        agent._run(until=_is_over)
        agent.cancel()
    _drop()
    return was


def revert():
    """Back to the other version: of a trial, or after it. Restarts."""
    agent = _get({})
    if agent.on_trial():
        agent.reject()
    else:
        agent.revert()
    agent._run()


def reset():
    """Restarts. During a trial use this and not machine.reset(), which looks
    like a crash of the new version."""
    import umachine as machine

    if _agent is not None:
        _agent.mark()
    machine.reset()


def status():
    """How the last update went, as a dict."""
    try:
        return (_agent or Agent()).status()
    finally:
        _drop()


async def run(url, *, interval_s=3600, sha256=None, ca=None, pin=None,
              keys=None, allow_unsigned=False, **options):
    """An asyncio task: looks for updates for ever. What goes wrong is in
    status(), and tried again after interval_s."""
    import asyncio

    options["keys"] = keys
    source = dict(sha256=sha256, ca=ca, pin=pin, allow_unsigned=allow_unsigned,
                  wait_ms=0)
    while True:
        agent = _get(dict(options))
        try:
            is_trial = agent.on_trial()
            if not (is_trial and agent.by_application):
                agent.check(url, **source)
            last = None
            while agent.step() != IDLE and not (is_trial and _is_over(agent)):
                now = (agent.state, agent.done)
                # Other tasks come first, and longer where nothing moves.
                await asyncio.sleep_ms(
                    min(agent.wait_ms, 1000) or (10 if now == last else 0))
                last = now
        finally:
            agent.cancel()
            agent = None
            _drop()
        if not is_trial:
            await asyncio.sleep(interval_s)
