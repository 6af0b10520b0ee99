# esp32.Partition: every member, its errors and its quirks.
from esp32 import Partition


def show(what, call, *args, **kw):
    try:
        print(what, call(*args, **kw))
    except Exception as exc:
        print(what, type(exc).__name__, exc.args)


print("constants", Partition.BOOT, Partition.RUNNING, Partition.TYPE_APP, Partition.TYPE_DATA)
print("absent", [n for n in ("erase_blocks", "SUBTYPE_OTA", "erase") if hasattr(Partition, n)])

# The constructor.
show("running", Partition, Partition.RUNNING)
show("boot", Partition, Partition.BOOT)
show("label", Partition, "ota_1")
show("data label", Partition, "nvs")
show("none such", Partition, "nothing")
show("empty label", Partition, "")
show("other number", Partition, 2)
show("negative", Partition, -1)
show("float", Partition, 1.0)
show("none", Partition, None)
show("bytes", Partition, b"ota_1")
show("no argument", Partition)
show("keyword", Partition, id=1)
show("three", Partition, 1, 4096, 0)
show("block size as text", Partition, 1, "4096")
show("int beyond 32 bits", Partition, 1 << 32)

# find.
show("apps", Partition.find)
show("data", lambda: [p.info()[4] for p in Partition.find(Partition.TYPE_DATA)])
show("any", lambda: [p.info()[4] for p in Partition.find(0xFF)])
show("any type, one subtype", Partition.find, 0xFF, 0)
show("subtype", Partition.find, 0, 0x11)
show("label", lambda: [p.info()[4] for p in Partition.find(label="ota_0")])
show("label of the other type", Partition.find, label="nvs")
show("keywords", Partition.find, type=1, subtype=0, label="otadata", block_size=512)
show("no such subtype", Partition.find, 0, 0x20)
show("on an object", lambda: len(Partition(1).find()))
show("block size kept", lambda: Partition.find(block_size=512)[0].ioctl(5, 0))

# info.
part = Partition("ota_1")
show("info", part.info)
show("info of otadata", Partition("otadata").info)

# readblocks, writeblocks.
buf = bytearray(16)
show("blank", part.readblocks, 0, buf)
print(buf)
data = bytes(range(256)) * 16
show("write", part.writeblocks, 2, data)
show("read", part.readblocks, 2, buf)
print(buf)
show("read at an offset", part.readblocks, 2, buf, 250)
print(buf)
show("read of any length", part.readblocks, 2, memoryview(buf)[:3], 1)
print(buf[:3])
show("read of nothing", part.readblocks, 0, memoryview(buf)[:0])
show("read at the very end", part.readblocks, 384, memoryview(buf)[:0])
show("read past the end", part.readblocks, 383, bytearray(4097))
show("read beyond", part.readblocks, 385, buf)
show("read before", part.readblocks, -1, buf)
show("read into bytes", part.readblocks, 0, b"1234")
show("read, huge", part.readblocks, 1 << 31, buf)
show("write, not whole sectors", part.writeblocks, 0, b"x" * 100)
show("write past the end", part.writeblocks, 383, bytes(8192))
show("write beyond", part.writeblocks, 385, bytes(4096))
show("write of nothing", part.writeblocks, 0, b"")
show("write of text", part.writeblocks, 0, "x" * 4096)
show("two sectors", part.writeblocks, 4, bytes(8192))
show("add at an offset", part.writeblocks, 3, b"\x55" * 16, 100)
part.readblocks(3, buf, 98)
print(buf)
show("add past the end", part.writeblocks, 383, bytes(16), 4090)
show("argument missing", part.writeblocks, 0)

# ioctl.
show("init, deinit, sync", lambda: [part.ioctl(op, 0) for op in (1, 2, 3)])
show("blocks", part.ioctl, 4, 0)
show("block size", part.ioctl, 5, 0)
show("erase", part.ioctl, 6, 2)
part.readblocks(2, buf)
print(buf)
show("erase past the end", part.ioctl, 6, 384)
show("erase before", part.ioctl, 6, -1)
show("unknown", part.ioctl, 7, 0)
show("no argument", part.ioctl, 4)

# Switching.
show("set_boot to no image", part.set_boot)
show("set_boot to data", Partition("nvs").set_boot)
show("as a function", Partition.set_boot, part)
show("next update", Partition(Partition.RUNNING).get_next_update)
show("next of the next", part.get_next_update)
show("next of data", Partition("nvs").get_next_update)
show("next, block size", lambda: Partition(1, 512).get_next_update().ioctl(5, 0))
show("mark valid", Partition.mark_app_valid_cancel_rollback)
show("mark valid on an object", part.mark_app_valid_cancel_rollback)

# Flash only clears bits: one that would be set is refused here, loudly, where
# the chip would write something else.
show("clear bits", part.writeblocks, 3, b"\x51" * 16, 100)
show("set bits", part.writeblocks, 3, b"\x55" * 16, 100)
part.readblocks(3, buf, 100)
print(buf)
