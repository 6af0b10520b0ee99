# esp32.NVS: values, their errors, and that they outlive a reset.
import machine
from esp32 import NVS


def show(what, call, *args):
    try:
        print(what, call(*args))
    except Exception as exc:
        print(what, type(exc).__name__, exc.args)


if machine.reset_cause() == machine.PWRON_RESET:
    show("no argument", NVS)
    show("name too long", NVS, "a name of sixteen")
    nvs = NVS("board")
    print(nvs)
    show("no such key", nvs.get_i32, "count")
    show("set", nvs.set_i32, "count", 7)
    show("get", nvs.get_i32, "count")
    show("set again", nvs.set_i32, "count", -2147483648)
    show("get", nvs.get_i32, "count")
    show("too large", nvs.set_i32, "count", 1 << 31)
    show("not a number", nvs.set_i32, "count", "7")
    show("another type", nvs.get_blob, "count", bytearray(4))
    show("key too long", nvs.set_i32, "sixteen letters!", 1)
    show("blob", nvs.set_blob, "name", b"over the air")
    buf = bytearray(20)
    show("length", nvs.get_blob, "name", buf)
    print(bytes(buf[:12]))
    show("no room", nvs.get_blob, "name", bytearray(11))
    show("no such blob", nvs.get_blob, "none", buf)
    show("blob as number", nvs.get_i32, "name")
    show("text", nvs.set_blob, "text", "hello")
    show("long", nvs.set_blob, "long", bytes(range(256)) * 12)
    show("too long", nvs.set_blob, "longer", bytes(16000))
    show("commit", nvs.commit)
    show("erase", nvs.erase_key, "count")
    show("erase again", nvs.erase_key, "count")
    show("another namespace", NVS("other").get_blob, "name", buf)
    NVS("other").set_i32("name", 1)
    machine.reset()

nvs = NVS("board")
buf = bytearray(3072)
show("after a reset", nvs.get_blob, "long", buf)
print(buf == bytes(range(256)) * 12)
show("erased", nvs.get_i32, "count")
show("other", NVS("other").get_i32, "name")
for count in range(2000):
    nvs.set_i32("boots", count)
show("written over and over", nvs.get_i32, "boots")
