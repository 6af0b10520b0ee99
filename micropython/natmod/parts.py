# The end of the package's __init__ where it is built for stock firmware: its
# other files are found in parts.bin. docs/STOCK.md tells why. Before this comes
# _PARTS_SUM, the CRC of the head of parts.bin.
# SPDX-License-Identifier: MIT
_PARTS = "/.baton"


class _Parts:
    """The other files, which lie in one, parts.bin, as a file system: in that
    of a chip each file that is looked for takes dozens of reads of flash, here
    none. micropython/natmod/package.py makes it.

    It stays open from one import to the next. What was mounted anew under it
    is seen by that, what was replaced by the CRC of each part: then it is
    opened once more.
    """

    def __init__(self, path):
        import ustruct as struct

        self._path = path
        self._file = open(path, "rb")
        self._below = self._mounted()
        raw = self._file.read(12)
        if len(raw) == 12:
            magic, version, size, crc = struct.unpack("<4sHHI", raw)
            if magic == b"BPRT" and version == 1 and crc == _PARTS_SUM:
                # A line for each: "/fetch.mpy offset size crc".
                self._head = str(self._read(12, size, crc), "utf8")
                return
        self._refuse()

    def _refuse(self):
        raise OSError(5, self._path + " is damaged or another version's:"
                         " install baton again")

    def _mounted(self):
        import vfs

        for below, path in vfs.mount():
            if path == "/" or self._path.startswith(path + "/"):
                return below

    def _read(self, at, size, crc):
        from ubinascii import crc32

        for _ in range(2):
            try:
                below = self._mounted()
                if self._file is None or below is not self._below:
                    self._file = open(self._path, "rb")
                    self._below = below
                self._file.seek(at)
                data = self._file.read(size)
            except OSError:
                data = b""
            if len(data) == size and crc32(data) == crc:
                return data
            self._file = None
        self._refuse()

    def close(self):
        if self._file is not None and self._mounted() is self._below:
            self._file.close()
        self._file = self._below = None

    def _find(self, path):
        at = self._head.find(path + " ")
        if at < 0:
            raise OSError(2)
        _, at, size, crc = self._head[at:self._head.find("\n", at)].split(" ")
        return int(at), int(size), int(crc, 16)

    # What a file system has.

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def stat(self, path):
        is_file = path != "/"
        size = self._find(path)[1] if is_file else 0
        return 0x8000 if is_file else 0x4000, 0, 0, 0, 0, 0, size, 0, 0, 0

    def ilistdir(self, path):
        for line in self._head.split("\n")[:-1]:
            name, _, size, _ = line.split(" ")
            yield name[1:], 0x8000, 0, int(size)

    def open(self, path, mode):
        from uio import BytesIO

        if mode[0] != "r":
            raise OSError(30)
        if path.endswith(".mpy"):
            gc.collect()  # rather than to let the heap grow
            return BytesIO(self._read(*self._find(path)))
        return open(self._path.rpartition("/")[0] + path, mode)  # errors.txt


def _mount_parts():
    global __path__
    import uos as os
    import vfs

    path = __path__ + "/parts.bin"
    if path[0] != "/":
        path = os.getcwd().rstrip("/") + "/" + path
    try:
        parts = _Parts(path)
    except OSError as exc:
        if exc.args[0] == 2:
            return None
        raise
    try:
        vfs.umount(_PARTS)  # of an import before
    except OSError:
        pass
    vfs.mount(parts, _PARTS)
    __path__ = _PARTS
    return parts


_parts = _mount_parts()
