#!/usr/bin/env python3
"""An emergency flag of @esper/fastpath from Python, written from docs/shm-format.md alone: looks at it, watches it, and
raises a HALT that every watcher of the host receives. Standard library only.

Raising takes an atomic compare-and-swap on memory that other processes write at the same moment. Python has none: a
store through mmap or ctypes may overwrite what a Node or C writer just stored, and a HALT would be lost. libatomic, one
of gcc's run-time libraries (Debian: libatomic1), has it as a plain function, and ctypes can call that. Without it
nothing here writes: `status`, `history` and `watch` still work, `halt` says why it does not.
"""
import argparse
import ctypes
import errno
import mmap
import os
import signal
import stat
import struct
import sys
import time

LEVELS = ("CLEAR", "NOTICE", "ELEVATED", "CONSERVATIVE", "HALT", "5", "6", "7")
EMPTY, CLAIMED, COMPLETE, APPLIED, VOID = range(5)
TRIGGER, CLEAR, HALT = 1, 2, 4
TAG_MASK, FOREIGN_OWNER = 0xFFFFFF, 0xFFC00000
COUNTERS, PAYLOAD_WORDS, CRC_AT = 320, 95, 752
ACQUIRE, RELEASE, ACQ_REL = 2, 3, 4  # as <stdatomic.h> numbers them
FUTEX_WAIT, FUTEX_WAKE, ALL = 0, 1, 0x7FFFFFFF
FUTEX_CALLS = {"x86_64": 202, "aarch64": 98, "riscv64": 98}


class Refused(Exception):
    """The segment cannot be used. `code` is the exit code."""

    def __init__(self, message, code=3):
        super().__init__(message)
        self.code = code


def crc32c(data):
    total = 0xFFFFFFFF
    for byte in data:
        total = CRC_TABLE[(total ^ byte) & 0xFF] ^ (total >> 8)
    return total ^ 0xFFFFFFFF


def crc_entry(value):
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


CRC_TABLE = [crc_entry(byte) for byte in range(256)]


class Memory:
    """Words of the mapping, each loaded, stored or exchanged as one unit."""

    def __init__(self, mapping):
        self.mapping = mapping
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
        try:
            self.lib = ctypes.CDLL("libatomic.so.1")
        except OSError:
            self.lib = None
            return
        pointer, order = ctypes.c_void_p, ctypes.c_int
        for size, word in ((8, ctypes.c_uint64), (4, ctypes.c_uint32)):
            for name, result, arguments in (
                (f"load_{size}", word, (pointer, order)),
                (f"store_{size}", None, (pointer, word, order)),
                (f"fetch_add_{size}", word, (pointer, word, order)),
                (f"compare_exchange_{size}", ctypes.c_bool, (pointer, pointer, word, order, order)),
            ):
                function = getattr(self.lib, f"__atomic_{name}")
                function.restype, function.argtypes = result, arguments
                setattr(self, f"_{name}", function)

    def load(self, at):
        if self.lib is None:  # an aligned word, read by one instruction in practice; nothing is decided by it here
            return ctypes.c_uint64.from_address(self.start + at).value
        return self._load_8(self.start + at, ACQUIRE)

    def load32(self, at):
        if self.lib is None:
            return ctypes.c_uint32.from_address(self.start + at).value
        return self._load_4(self.start + at, ACQUIRE)

    def store(self, at, value):
        self._store_8(self.start + at, value, RELEASE)

    def add(self, at, value=1):
        return self._fetch_add_8(self.start + at, value, ACQ_REL)

    def add32(self, at, value=1):
        return self._fetch_add_4(self.start + at, value, ACQ_REL)

    def cas(self, at, expected, wanted):
        """(done, what was there)"""
        seen = ctypes.c_uint64(expected)
        done = self._compare_exchange_8(self.start + at, ctypes.byref(seen), wanted, ACQ_REL, ACQUIRE)
        return done, seen.value


class System:
    """libc functions that the standard library does not offer: futex and POSIX message queues."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.queues = self.libc if hasattr(self.libc, "mq_open") else ctypes.CDLL("librt.so.1", use_errno=True)
        self.queues.mq_send.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint)
        self.number = FUTEX_CALLS.get(os.uname().machine)

    def futex(self, address, operation, value, seconds=None):
        if self.number is None:
            time.sleep(seconds or 0)  # unknown machine: waiting becomes looking, waking is left to the re-checks
            return
        limit = None if seconds is None else struct.pack("@ll", int(seconds), int(seconds % 1 * 1e9))
        arguments = (ctypes.c_void_p(address), operation, ctypes.c_uint32(value), limit, None, 0)
        self.libc.syscall(ctypes.c_long(self.number), *arguments)

    def send_hint(self, name):
        """False when the queue is not there, or is somebody else's."""
        queue = self.queues.mq_open(name.encode(), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if queue < 0:
            return False
        try:
            if os.fstat(queue).st_uid != os.geteuid():
                return False
            return self.queues.mq_send(queue, b"!", 1, 0) == 0 or ctypes.get_errno() == errno.EAGAIN
        finally:
            os.close(queue)


def tag_of(ticket):
    return ticket & TAG_MASK


def state_tag(state):
    return state >> 8 & TAG_MASK


def newer(tag, than):
    return 0 < (tag - than & TAG_MASK) < 1 << 23


def pack(low, tag, high):
    return high << 32 | (tag & TAG_MASK) << 8 | low


def pack_control(generation, level, tag):
    return (tag << 8 | level) << 32 | generation


def next_generation(word):
    generation = (word & 0xFFFFFFFF) + 1
    return 1 if generation > 0xFFFFFFFF else generation


def cut(text, limit):
    """UTF-8, cut at a code point."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore").encode()


def process_start(pid):
    """(state, threads, start time in clock ticks), None when it cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
        return fields[0], int(fields[17]), int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def owner_id(pid, start):
    return (pid & 0x3FFFFF) | (start & 0x3FF) << 22


class Record:
    def __init__(self, payload):
        numbers = struct.unpack_from("<QBBBBIQQqQQIIIHBBBB", payload)
        self.ticket, self.kind, self.level, self.pid = numbers[0], numbers[1], numbers[2] & 7, numbers[5]
        reason_size, id_size, origin_size = numbers[14], numbers[15], numbers[16]
        self.signal_id = payload[80 : 80 + id_size].decode("utf-8", "replace")
        self.origin = payload[208 : 208 + origin_size].decode("utf-8", "replace")
        self.reason = payload[368 : 368 + reason_size].decode("utf-8", "replace")

    def __str__(self):
        what = "clear" if self.kind == CLEAR else LEVELS[self.level]
        text = f"{self.ticket} {what} pid={self.pid} id={self.signal_id} origin={self.origin} reason={self.reason}"
        # Reasons come from other processes: control characters could rewrite the terminal.
        return "".join("?" if ord(letter) < 32 or ord(letter) == 127 else letter for letter in text)


class EmergencySignal:
    def __init__(self, name):
        self.path = f"/dev/shm/esper.{os.geteuid()}.{name}"
        self.mapping = self._map()
        self.memory = Memory(self.mapping)
        self.system = System()
        self._check_header()
        self.self_pid = os.getpid()
        start = process_start(self.self_pid)
        self.self_start = start[2] if start else 0
        self.self_owner = owner_id(self.self_pid, self.self_start) if self.same_pids else FOREIGN_OWNER
        self._sweep()

    # ---- attach

    def _map(self):
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise Refused(f"{self.path}: no such signal", 4) from None
        except OSError as error:
            raise Refused(f"{self.path}: {error.strerror}") from None
        try:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
                raise Refused(f"{self.path}: not a private regular file of this user")
            if info.st_size < 256:
                raise Refused(f"{self.path}: shorter than a header")
            return mmap.mmap(handle, info.st_size)
        finally:
            os.close(handle)

    def _check_header(self):
        if self.mapping[0:8] != b"ESPERSHM":
            raise Refused(f"{self.path}: not a segment")
        deadline = time.monotonic() + 1
        while self.memory.load32(8) != 0x59444552:
            if time.monotonic() > deadline:
                raise Refused(f"{self.path}: its creator never finished it")
            time.sleep(0.01)
        header = self.mapping[0:256]
        if crc32c(header[:8] + bytes(4) + header[12:128]) != struct.unpack_from("<I", header, 128)[0]:
            raise Refused(f"{self.path}: damaged header")
        major, _, size, kind, _ = struct.unpack_from("<HHQII", header, 12)
        if major != 1:
            raise Refused(f"{self.path}: another major version of the layout")
        if size != len(self.mapping) or kind != 1:
            raise Refused(f"{self.path}: not an emergency flag")
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            if bytes.fromhex(file.read().strip().replace("-", "")) != header[64:80]:
                raise Refused(f"{self.path}: from an earlier boot")
        self.control, self.slots, self.slot_count, self.slot_size = struct.unpack_from("<IIII", header, 32)
        self.records, self.record_count, self.record_size = struct.unpack_from("<III", header, 48)
        ends = (self.slots + self.slot_count * self.slot_size, self.records + self.record_count * self.record_size)
        count = self.record_count
        small = self.slot_size < 192 or self.record_size < 832 or count == 0
        if small or count & (count - 1) or max(ends) > size:
            raise Refused(f"{self.path}: sizes that cannot be")
        self.same_pids = os.stat("/proc/self/ns/pid").st_ino == struct.unpack_from("<Q", header, 88)[0]
        self.nonce = header[112:128].hex()

    def _record(self, ticket):
        return self.records + ticket % self.record_count * self.record_size

    def _owner_dead(self, owner):
        if not self.same_pids or owner in (0, FOREIGN_OWNER):
            return False
        pid = owner & 0x3FFFFF
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
        found = process_start(pid)
        if found is None:
            return False
        state, threads, start = found
        return state == b"X" or (state == b"Z" and threads <= 1) or owner_id(pid, start) != owner

    # ---- the protocol: "To raise" of docs/shm-format.md

    def _mark(self, named):
        if named & 0xFFFFFFFF == 0:
            return
        tag = named >> 40
        at = self._record(tag)
        state = self.memory.load(at)
        if state & 0xFF == COMPLETE and state_tag(state) == tag:
            self.memory.cas(at, state, pack(APPLIED, tag, named & 0xFFFFFFFF))

    def _apply(self, ticket, after=lambda: None):
        """True when this call changed the control word."""
        memory, at, tag = self.memory, self._record(ticket), tag_of(ticket)
        while True:
            word = memory.load(self.control)
            if word & 0xFFFFFFFF and word >> 40 == tag:
                self._mark(word)
                return False
            state = memory.load(at)
            if state_tag(state) != tag or state & 0xFF != COMPLETE:
                return False
            kinds = memory.load(at + 24)
            level = max(kinds >> 8 & 7, word >> 32 & 7)
            if kinds & 0xFF == CLEAR:
                seen = memory.load(at + 72)
                if seen & 0xFFFFFFFF != word & 0xFFFFFFFF or seen >> 32 != word >> 32 & 7:
                    memory.cas(at, state, pack(VOID, tag, 0))
                    continue
                level = 0
            self._mark(word)
            wanted = pack_control(next_generation(word), level, tag)
            if memory.cas(self.control, word, wanted)[0]:
                after()
                self._mark(wanted)
                return True

    def _repair(self, ticket):
        if self._apply(ticket):
            self.memory.add(COUNTERS + 16)

    def _sweep(self):
        """Completes what writers left who died before their last step: a HALT among it must not wait for luck."""
        if self.memory.lib is None:
            return
        end = self.tickets()
        for ticket in range(max(0, end - self.record_count), end):
            self._repair(ticket)

    def _claim(self, ticket):
        at = self._record(ticket)
        state = self.memory.load(at)
        for _ in range(8):
            phase, tag = state & 0xFF, state_tag(state)
            if phase != EMPTY and not newer(tag_of(ticket), tag):
                return False
            if phase == CLAIMED and not self._owner_dead(state >> 32):
                return False
            if phase == COMPLETE:
                self._repair(ticket - (ticket - tag & TAG_MASK))
                state = self.memory.load(at)
                continue
            published = self.memory.load(at + 8)
            done, state = self.memory.cas(at, state, pack(CLAIMED, tag_of(ticket), self.self_owner))
            if not done:
                continue
            if phase == APPLIED and state_tag(published) == tag and published & 0xFF == 0:
                self.memory.add(COUNTERS + 8)
            return True
        return False

    def _fill(self, ticket, reason, origin):
        signal_id, given = f"{self.nonce}-{ticket:x}".encode(), len(reason.encode("utf-8", "replace"))
        reason, origin = cut(reason, 384), cut(origin, 64)
        payload = bytearray(PAYLOAD_WORDS * 8)
        struct.pack_into("<QBBBBIQQq", payload, 0, ticket, TRIGGER, HALT, 0, 0, self.self_pid, self.self_start,
                         time.clock_gettime_ns(time.CLOCK_MONOTONIC), time.time_ns())
        struct.pack_into("<IHBB", payload, 64, given, len(reason), len(signal_id), len(origin))
        for start, text in ((80, signal_id), (208, origin), (368, reason)):
            payload[start : start + len(text)] = text
        struct.pack_into("<I", payload, CRC_AT, crc32c(payload[:CRC_AT]))
        at = self._record(ticket)
        self.memory.store(at + 8, pack(0, tag_of(ticket), self.self_pid))
        for index, word in enumerate(struct.unpack(f"<{PAYLOAD_WORDS}Q", payload)):
            self.memory.store(at + 16 + 8 * index, word)

    def _wake_all(self):
        used = min(self.memory.load32(COUNTERS + 24), self.slot_count)
        for index in range(used):
            at = self.slots + index * self.slot_size
            if not self.memory.load32(at + 36) & 2:
                continue
            if not self.system.send_hint(f"/esper.{self.nonce}.{index}.{self.memory.load(at + 56)}"):
                self.memory.add32(at + 48)
                self.system.futex(self.memory.start + at + 48, FUTEX_WAKE, ALL)
        self.system.futex(self.memory.start + self.control, FUTEX_WAKE, ALL)

    def halt(self, reason, origin="esper_signal.py", after=lambda step: None):
        """Raises a HALT. `after` is called behind each step."""
        if self.memory.lib is None:
            raise Refused("raising takes libatomic.so.1 (Debian: libatomic1): without it a HALT could be lost")
        for _ in range(self.record_count):
            ticket = self.memory.add(COUNTERS)
            after("ticket")
            if not self._claim(ticket):
                continue
            after("claim")
            self._fill(ticket, reason, origin)
            claimed = pack(CLAIMED, tag_of(ticket), self.self_owner)
            if not self.memory.cas(self._record(ticket), claimed, pack(COMPLETE, tag_of(ticket), 0))[0]:
                continue
            after("complete")
            self._apply(ticket, lambda: after("apply"))
            self._wake_all()
            return
        self._raise_without_record()

    def _raise_without_record(self):
        done, word = False, self.memory.load(self.control)
        while not done:
            self._mark(word)
            done, word = self.memory.cas(self.control, word, pack_control(next_generation(word), HALT, word >> 40))
        self._wake_all()

    # ---- reading

    def level(self):
        return self.memory.load32(self.control + 4) & 7

    def generation(self):
        return self.memory.load32(self.control)

    def tickets(self):
        return self.memory.load(COUNTERS)

    def read(self, ticket):
        """The record; None when there will be none; 'pending' when it may still come or was overwritten."""
        at, tag = self._record(ticket), tag_of(ticket)
        state = self.memory.load(at)
        if state & 0xFF == EMPTY or state_tag(state) != tag:
            return "pending"
        if state & 0xFF == CLAIMED:
            return None if self._owner_dead(state >> 32) else "pending"
        if state & 0xFF == VOID:
            return None
        words = [self.memory.load(at + 16 + 8 * index) for index in range(PAYLOAD_WORDS)]
        if state_tag(self.memory.load(at)) != tag:
            return "pending"
        payload = struct.pack(f"<{PAYLOAD_WORDS}Q", *words)
        if crc32c(payload[:CRC_AT]) != struct.unpack_from("<I", payload, CRC_AT)[0]:
            return None
        record = Record(payload)
        return record if record.ticket == ticket else "pending"

    def history(self):
        end = self.tickets()
        found = (self.read(ticket) for ticket in range(max(0, end - self.record_count), end))
        return [record for record in found if isinstance(record, Record)]

    def watch(self, low):
        """Every record from that ticket on, a lost one as its number. Sleeps on the futex, looks again every 100 ms."""
        done = set()
        while True:
            generation, end = self.generation(), self.tickets()
            while low < end - self.record_count or low in done:
                if low not in done:
                    yield low
                done.discard(low)
                low += 1
            for ticket in range(low, end):
                if ticket in done:
                    continue
                if self.memory.lib is not None:
                    self._repair(ticket)
                record = self.read(ticket)
                if record == "pending":
                    continue
                done.add(ticket)
                if record is not None:
                    yield record
            self.system.futex(self.memory.start + self.control, FUTEX_WAIT, generation, 0.1)


def arguments():
    parser = argparse.ArgumentParser(description="An emergency flag of @esper/fastpath, from Python.",
                                     epilog="Exit codes: 2 bad usage, 3 cannot be used here, 4 no such signal.")
    parser.add_argument("--name", default="emergency-default", help="of the signal (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="the level of the flag")
    commands.add_parser("history", help="the records that are still there, oldest first")
    watch = commands.add_parser("watch", help="prints every new record")
    watch.add_argument("--count", type=int, default=-1, help="ends after so many")
    halt = commands.add_parser("halt", help="raises a HALT")
    halt.add_argument("--reason", required=True)
    halt.add_argument("--origin", default="esper_signal.py")
    halt.add_argument("--repeat", type=int, default=1, help="raise so many times")
    halt.add_argument("--start-at", type=int, default=0, metavar="NS", help="from that monotonic time on")
    halt.add_argument("--die-after", choices=("ticket", "claim", "complete", "apply"), help="SIGKILL itself there")
    return parser.parse_args()


def run(given):
    flag = EmergencySignal(given.name)
    if given.command == "status":
        level = flag.level()
        counts = f"tickets={flag.tickets()} repaired={flag.memory.load(COUNTERS + 16)}"
        print(f"level={level} {LEVELS[level]} generation={flag.generation()} {counts}")
    elif given.command == "history":
        for record in flag.history():
            print(record)
    elif given.command == "watch":
        start = flag.tickets()
        print(f"watching from {start}", flush=True)
        left = given.count
        for record in flag.watch(start):
            print(record if isinstance(record, Record) else f"{record} was lost", flush=True)
            left -= isinstance(record, Record)
            if left == 0:
                return
    else:
        while time.clock_gettime_ns(time.CLOCK_MONOTONIC) < given.start_at:
            pass
        die = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == given.die_after else None
        for _ in range(given.repeat):
            flag.halt(given.reason, given.origin, die)


if __name__ == "__main__":
    try:
        run(arguments())
    except Refused as error:
        print(f"esper_signal.py: {error}", file=sys.stderr)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(130)
