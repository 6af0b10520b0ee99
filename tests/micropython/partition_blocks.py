# esp32.Partition with blocks smaller and larger than a sector.
from esp32 import Partition


def show(what, call, *args):
    try:
        print(what, call(*args))
    except Exception as exc:
        print(what, type(exc).__name__, exc.args)


whole = Partition("ota_1")
whole.writeblocks(0, bytes(range(256)) * 32)  # two sectors
small = Partition("ota_1", 512)
show("geometry", lambda: (small.ioctl(4, 0), small.ioctl(5, 0)))
show("erase a small block", small.ioctl, 6, 0)

# A write keeps what is around it in its sectors.
model = bytearray(bytes(range(256)) * 32)
got = bytearray(8192)


def check(what, block, data):
    small.writeblocks(block, data)
    model[block * 512 : block * 512 + len(data)] = data
    whole.readblocks(0, got)
    print(what, got == model)


check("one block", 3, b"\xa5" * 512)
check("a part of a block", 5, b"\x01\x02\x03")
check("the first", 0, b"\xff" * 512)
check("the last", 15, b"\x00" * 512)
check("across a sector's end", 7, b"\x5a" * 1024)
check("across it, unevenly", 6, b"\x77" * 1500)
check("a whole sector", 8, b"\x11" * 4096)
check("nothing", 2, b"")
for block in range(16):
    check(block, block, bytes([block]) * 512)

show("past the end", small.writeblocks, 3072, b"x")
show("added without an erase", small.writeblocks, 4096 // 512 * 100, b"abc", 7)
show("read", small.readblocks, 800, memoryview(got)[:11])
print(bytes(got[:11]))

large = Partition("ota_1", 8192)
show("large", lambda: (large.ioctl(4, 0), large.ioctl(5, 0)))
show("erase a large block", large.ioctl, 6, 0)
show("write a sector", large.writeblocks, 1, b"\xc3" * 4096)
whole.readblocks(2, memoryview(got)[:4])
print(bytes(got[:4]))
show("blocks off the sectors", Partition("ota_1", 6000).writeblocks, 1, bytes(4096))
show("16 bits", lambda: Partition("ota_1", 65536 + 512).ioctl(5, 0))
show("negative", lambda: Partition("ota_1", -4096).ioctl(5, 0))
