# The trial: counted at boot, ended by health, by time or by the application; and
# what the old version makes of one that failed. Records and rules are those of
# core/trial.c and core/agent_trial.c.
# SPDX-License-Identifier: MIT
import ubinascii as binascii
import ustruct as struct

import _baton
from micropython import const

from . import policy

_SECTOR = const(4096)
_VERIFY_BUF = const(16384)
_VERIFY_SPARE = const(40960)

_IDLE = const(0)
_VERIFYING = const(3)
_REBOOTING = const(5)
_TRIAL = const(6)

_EVENT_RETRY = const(6)
_EVENT_SWITCHED = const(8)
_EVENT_TRIAL = const(9)
_EVENT_CONFIRMED = const(10)
_EVENT_ROLLED_BACK = const(11)
_MAY_CONFIRM = const(3)

_APPLICATION = const(1)  # a flag: it confirms

_TRYING = const(1)
_FAILED = const(2)
_OPEN = const(3)
_GOOD = const(4)

# enum baton_cause
_POWER = const(1)
_BROWNOUT = const(2)
_WAKE = const(3)
_RESET = const(4)
_CRASH = const(5)
_WATCHDOG = const(6)
_SOFT = const(7)

_NEW = const(0)
_PENDING = const(1)
_VALID = const(2)
_INVALID = const(3)
_ABORTED = const(4)

# Bytes of a record, and of the label in it.
_STATE = const(24)
_CRC = const(28)
_BOOTS = const(4)
_FAILURES = const(6)
_MARKS = const(7)
_FLAGS = const(9)
_SEEN = const(10)
_LABEL_END = const(11)  # of the bytes that count

# Flags and what was seen: true where the bit is cleared.
_INCONCLUSIVE = const(1)
_GIVEN_UP = const(2)
_OVER = const(4)
_CLOSED = const(8)
_NETWORK = const(1)
_CRASHED = const(2)

_END_TIMEOUT = const(0)
_END_INCONCLUSIVE = const(1)
_END_GIVEN_UP = const(2)

_GATE_MS = const(5000)

_ERR_STATE = const(-200)
_ERR_READBACK = const(-202)
_ERR_SLOT = const(-204)
_ERR_NO_DIGEST = const(-230)
_ERR_DIED = const(-324)
_ERR_CRASHED = const(-325)
_ERR_TIMEOUT = const(-326)
_ERR_NO_NETWORK = const(-327)
_ERR_REJECTED = const(-328)
_ERR_CUT = const(-329)

# Nobody was there: the network is down, or the server, for everybody maybe.
_ABSENCE = (-371, -372, -374, -373, -375, -380)
# Any answer of the server's will do, also one that says no.
_ANSWERS = (0, -387, -388, -386, -389, -390, -393)


# ---- Records ---------------------------------------------------------------


def _read(agent, copy):
    raw = bytearray(32)
    agent.otadata.readblocks(copy, raw, 0)
    return raw


def _state(raw):
    return struct.unpack_from("<I", raw, _STATE)[0]


def _set_state(raw, state):
    struct.pack_into("<I", raw, _STATE, state)


def _seq(raw):
    """The sequence; None where the record does not count, whatever its state."""
    seq, crc = struct.unpack("<I24xI", raw)
    if seq == 0xFFFFFFFF or crc != binascii.crc32(raw[:4], 0xFFFFFFFF):
        return None
    return seq


def _slot(agent, seq):
    return (seq - 1 & 0xFFFFFFFF) % agent.count


def _active(agent):
    """The copy in force and its record; -1 for none."""
    found, best, record = -1, -1, None
    for copy in range(2):
        raw = _read(agent, copy)
        seq = _seq(raw)
        if seq is not None and _state(raw) not in (_INVALID, _ABORTED) and seq > best:
            found, best, record = copy, seq, raw
    return found, record


def _load(agent):
    """The record that has the running slot on trial, and its copy. A state that
    nobody writes counts as a trial: it must not stay for good."""
    copy, raw = _active(agent)
    if copy < 0 or _slot(agent, _seq(raw)) != agent.running or (
            _state(raw) in (_VALID, 0xFFFFFFFF)):
        return -1, None
    return copy, raw


def _store(agent, copy, raw):
    from .journal import erase

    part = agent.otadata
    erase(part, copy)
    part.writeblocks(copy, raw, 0)
    if _read(agent, copy) != raw:
        raise OSError(_ERR_READBACK)


def _write(agent, copy, now, then):
    """Brings a record to flash that differs in label and state only: by clearing
    bits where that is enough, what ends a trial apart from what counts in it, as
    a cut can clear any bit of what is being programmed. Bits that do not stay
    cleared are mended by a rewrite."""
    if now == then:
        return
    if not agent.encrypted and not any(t & ~n for t, n in zip(then, now)):
        for start, end in ((4, _FLAGS), (_FLAGS, _SEEN), (_SEEN, _STATE),
                           (_STATE, _CRC)):
            while start < end and now[start] == then[start]:
                start += 1
            while end > start and now[end - 1] == then[end - 1]:
                end -= 1
            if start < end:
                agent.otadata.writeblocks(copy, then[start:end], start)
        if _read(agent, copy) == then:
            return
    _store(agent, copy, then)


# ---- What a label says -----------------------------------------------------


def _cleared(bits, width):
    """How many bits are cleared, from the lowest up; -1 where not in order."""
    cleared = ~bits & (1 << width) - 1
    count = 0
    while cleared & 1:
        cleared >>= 1
        count += 1
    return -1 if cleared else count


def _boots(raw):
    return _cleared(raw[_BOOTS] | raw[_BOOTS + 1] << 8, 16)


def _failures(raw):
    return _cleared(raw[_FAILURES], 8)


def _is_foreign(raw):
    # Nothing here clears the upper flags: without them it is somebody else's.
    return _boots(raw) < 0 or _failures(raw) < 0 or not raw[_FLAGS] & 0xF0


def _has(raw, flag):
    return not raw[_FLAGS] & flag


def _add_boot(raw):
    bits = raw[_BOOTS] | raw[_BOOTS + 1] << 8
    bits &= bits << 1  # the lowest bit that is set is cleared
    raw[_BOOTS] = bits & 0xFF
    raw[_BOOTS + 1] = bits >> 8


def _add_failure(raw):
    raw[_FAILURES] &= raw[_FAILURES] << 1 & 0xFF


def _begin_anew(raw):
    for at in range(4, _LABEL_END):
        raw[at] = 0xFF


def _is_marked(raw, boot):
    # The reset that ended this boot (from 1) was wanted.
    return not (raw[_MARKS] | raw[_MARKS + 1] << 8) >> (boot - 1) & 1


def _finish(agent, copy, now, then):
    # What says so in the label is on flash before a record is rewritten, so
    # that a cut cannot make the trial go on.
    then[_FLAGS] &= ~_OVER
    if _state(then) != _PENDING and not agent.encrypted:
        _write(agent, copy, now, then)
        now = bytearray(then)
    then[_FLAGS] &= ~_CLOSED
    _set_state(then, _PENDING)
    _write(agent, copy, now, then)


# ---- At boot ---------------------------------------------------------------


def begin(agent, cause):
    copy, now = _load(agent)
    if copy < 0:
        _look_back(agent, cause)
        return
    raw = bytearray(now)
    boots = _boots(raw)
    if _is_foreign(raw) or (_has(raw, _CLOSED) and cause not in (_SOFT, _WAKE)):
        _begin_anew(raw)  # somebody else's, or left by a trial that had ended
    is_over = _has(raw, _OVER)
    if not is_over:
        boots = _boots(raw)
        is_crash = cause in (_CRASH, _WATCHDOG)
        if boots and (is_crash or (
                cause in (_RESET, 0) and not _is_marked(raw, boots))):
            _add_failure(raw)
            if is_crash:
                raw[_SEEN] &= ~_CRASHED
        is_over = (boots >= (agent.trial_boots or 10)
                   or _failures(raw) >= (agent.trial_failures or 3))
    if is_over:
        _finish(agent, copy, now, raw)
        agent.go(_REBOOTING, _reboot)
        return
    _add_boot(raw)
    _set_state(raw, _NEW)
    _write(agent, copy, now, raw)
    agent.trial_boot = _boots(raw)
    agent.trial_ms_at = agent.now()
    agent.saw_server = agent.saw_network = False
    agent.go(_TRIAL, _gate)
    agent.tell(_EVENT_TRIAL, 0, agent.trial_boot)
    # Without a timer of the chip's the steps still watch the time.
    agent.port.arm(agent.trial_ms)


def _reboot(agent):
    from . import fetch

    fetch.reboot(agent)


def _look_back(agent, cause):
    """How the trial ended that the store knows of."""
    tried = agent.load_tried()
    if tried[0] != _TRYING or tried[2] == agent.running:
        return
    best, record = -1, None
    for copy in range(2):
        raw = _read(agent, copy)
        seq = _seq(raw)
        if seq is not None and _slot(agent, seq) == tried[2] and seq > best:
            best, record = seq, raw
    # A record that points there no more was lost to a cut while it was written,
    # or never written: nothing is known against the version.
    if record is None or _state(record) not in (_ABORTED, _INVALID):
        return
    why = _why(agent, record, cause)
    tried[0] = _OPEN if why in (_ERR_NO_NETWORK, _ERR_CUT) else _FAILED
    tried[1] += 1
    agent.error = why
    agent.unreported = True
    agent.tell(_EVENT_ROLLED_BACK, why)
    agent.save_status()
    agent.save_tried(tried)


def _why(agent, raw, cause):
    # Why the bootloader, or the new version itself, went back.
    if _is_foreign(raw):
        raw = bytearray(raw)
        _begin_anew(raw)
    seen = raw[_SEEN]
    is_over = _has(raw, _OVER)
    if _state(raw) == _INVALID or _has(raw, _GIVEN_UP):
        return _ERR_REJECTED
    # A script that waits for a network that is down for everybody ends by the
    # deadline, again and again, and a lamp by its switch.
    if _has(raw, _INCONCLUSIVE) or (
            is_over and seen & _NETWORK and seen & _CRASHED):
        return _ERR_NO_NETWORK
    if _failures(raw) >= (agent.trial_failures or 3):
        return _ERR_CRASHED
    if is_over:
        return _ERR_TIMEOUT
    return _ERR_CUT if cause in (_POWER, _BROWNOUT) else _ERR_DIED


# ---- While it runs ---------------------------------------------------------


def mark_reset(agent):
    copy, now = _load(agent)
    if copy < 0 or _is_foreign(now) or not _boots(now):
        return
    raw = bytearray(now)
    bit = _boots(raw) - 1
    raw[_MARKS + (bit >> 3)] &= ~(1 << (bit & 7))
    _write(agent, copy, now, raw)


def _note_network(agent):
    copy, now = _load(agent)
    if copy >= 0 and not _is_foreign(now) and not agent.encrypted:
        raw = bytearray(now)
        raw[_SEEN] &= ~_NETWORK
        _write(agent, copy, now, raw)


def _end(agent, why):
    agent.close()
    copy, now = _load(agent)
    if copy < 0:
        raise OSError(_ERR_STATE)
    raw = bytearray(now)
    if _is_foreign(raw):
        _begin_anew(raw)
    if why == _END_TIMEOUT:
        _add_failure(raw)
        raw[_SEEN] &= ~_NETWORK
    else:
        raw[_FLAGS] &= ~(_GIVEN_UP if why == _END_GIVEN_UP else _INCONCLUSIVE)
    _finish(agent, copy, now, raw)
    agent.go(_REBOOTING, _reboot)


def watch(agent):
    """Ends the trial when its time is over: a little before the chip's own
    deadline, to write down whether there was a network at all."""
    if not agent.is_on_trial() or (
            agent.now() - agent.trial_ms_at < agent.trial_ms - agent.trial_ms // 8):
        return
    # Who was never online cannot know whether the new version could be.
    saw = agent.saw_network or agent.saw_server
    _end(agent, _END_TIMEOUT if saw else _END_INCONCLUSIVE)


def _gate(agent):
    if agent.wants_confirm:
        agent.next(_check_other)
        agent.other = _find_other(agent)
        agent.update = None
    elif not agent.saw_server and agent.url:
        _ask_server(agent)
    elif agent.saw_server and not agent.flags & _APPLICATION:
        agent.wants_confirm = agent.may(_MAY_CONFIRM)


def _ask_server(agent):
    err = 0
    agent.vouched = False
    try:
        if not agent.open(agent.url, 0, 1):
            return
    except OSError as exc:
        err = policy.code_of(exc)
    agent.close()
    if err not in _ABSENCE and not agent.saw_network:
        agent.saw_network = True
        _note_network(agent)
    agent.saw_server = err in _ANSWERS
    if not agent.saw_server:
        ms = min(agent.retry_max_ms, _GATE_MS)
        agent.tell(_EVENT_RETRY, err, ms)
        agent.wait(ms)


# ---- The other slot --------------------------------------------------------


def _find_other(agent):
    """The slot that the other record points at, if the bootloader would take
    it; -1 for none."""
    copy, _ = _active(agent)
    if copy < 0:
        return -1
    raw = _read(agent, 1 - copy)
    seq = _seq(raw)
    if seq is None or _state(raw) in (_INVALID, _ABORTED):
        return -1
    slot = _slot(agent, seq)
    return slot if slot != agent.running else -1


def _verify(agent):
    """Reads a buffer's worth of the other slot; True when all of it is right. An update
    that writes nothing is what verifies by steps."""
    if agent.update is None:
        memory = policy.memory(_VERIFY_BUF, _SECTOR, _VERIFY_SPARE)
        agent.update = _baton.begin(
            agent.flash, agent.other, agent.own, agent.chip, 0, 0, None, None,
            None, memory)
    try:
        return _baton.end(agent.update, True) is not None
    except OSError as exc:
        if policy.code_of(exc) != _ERR_NO_DIGEST:
            raise
    _baton.verify(agent.flash, agent.other, agent.chip)
    return True


def _check_other(agent):
    boots = False
    if agent.other >= 0:
        try:
            if not _verify(agent):
                return
            boots = True
        except OSError as exc:
            policy.code_of(exc)
    agent.update = None
    agent.other_boots = boots
    agent.next(_confirm)


def _confirm(agent):
    _baton.confirm(agent.flash, agent.count, agent.count, agent.running,
                   agent.other_boots)
    agent.port.arm(0)
    agent.wants_confirm = False
    agent.trial_boot = 0
    agent.unreported = True
    agent.error = 0
    agent.tell(_EVENT_CONFIRMED, 0, agent.running)
    agent.go(_IDLE, None)
    tried = agent.load_tried()
    if tried[0] == _TRYING and tried[2] == agent.running:
        tried[0] = _GOOD
        agent.save_tried(tried)
    agent.save_status()


# ---- The calls -------------------------------------------------------------


def confirm(agent):
    if not agent.is_on_trial():
        raise OSError(_ERR_STATE)
    agent.wants_confirm = True
    agent.until = 0


def reject(agent):
    if not agent.is_on_trial():
        raise OSError(_ERR_STATE)
    _end(agent, _END_GIVEN_UP)


def revert(agent):
    if agent.state != _IDLE:
        raise OSError(_ERR_STATE)
    if agent.count < 2 or agent.running < 0:
        raise OSError(_ERR_SLOT)
    agent.update = None
    agent.other = agent.target
    agent.sha = None
    agent.buf = bytearray(_SECTOR)
    agent.go(_VERIFYING, _go_back)


def _go_back(agent):
    from . import identity

    # What must not come back is named by its digest.
    if not identity.find(agent) or not _verify(agent):
        return
    agent.update = None
    id = agent.identity[1][:8] if agent.identity else bytes(8)
    agent.save_tried([_FAILED, 0, agent.running, agent.sequence, id])
    _baton.switch(agent.flash, agent.count, agent.count, agent.other, _VALID)
    agent.tell(_EVENT_SWITCHED, 0, agent.other)
    agent.go(_REBOOTING, _reboot)
