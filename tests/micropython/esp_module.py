# The module esp: the flash as a whole.
import esp
from esp32 import Partition


def show(what, call, *args):
    try:
        print(what, call(*args))
    except Exception as exc:
        print(what, type(exc).__name__, exc.args)


show("size", esp.flash_size)
show("user start", esp.flash_user_start)
show("osdebug", lambda: (esp.osdebug(None), esp.osdebug(0), esp.osdebug(0, esp.LOG_ERROR)))
addr = Partition("ota_1").info()[2]
show("erase", esp.flash_erase, addr // 4096)
show("write", esp.flash_write, addr + 3, b"over the air")
buf = bytearray(16)
show("read", esp.flash_read, addr, buf)
print(bytes(buf))
show("the same by the partition", Partition("ota_1").readblocks, 0, buf)
print(bytes(buf))
show("read past the end", esp.flash_read, esp.flash_size() - 8, buf)
show("write past the end", esp.flash_write, esp.flash_size() - 8, buf)
show("erase past the end", esp.flash_erase, esp.flash_size() // 4096)
show("the table", esp.flash_read, 0x8000, buf)
print(bytes(buf))
