# Files, os and sys: what a script finds of the board, and nothing of the host.
import errno
import os
import sys


def show(what, call, *args):
    try:
        print(what, call(*args))
    except Exception as exc:
        print(what, type(exc).__name__, exc.args)


print(sys.platform, sys.path, sys.version, sys.maxsize)
show("uname", os.uname)
print(os.uname()[3] == os.uname().version, os.uname().sysname)
show("listdir", os.listdir)
show("listdir /", os.listdir, "/")
show("no such directory", os.listdir, "/home")
show("up", os.listdir, "/..")
show("further up", os.listdir, "../../../../../..")
show("open up", open, "/../../../../../../etc/passwd")
show("import path", __import__, "/../../../../../../etc/passwd")
show("mkdir", os.mkdir, "lib")
show("mkdir again", os.mkdir, "lib")
show("chdir", os.chdir, "lib")
show("getcwd", os.getcwd)
with open("answer.py", "w") as f:
    print(f.write("value = 42\n"))
show("relative", os.listdir, "")
show("..", os.listdir, "..")
show("chdir ..", os.chdir, "..")
show("getcwd", os.getcwd)
show("chdir to none", os.chdir, "none")
show("stat", lambda: os.stat("lib/answer.py")[:7])
show("stat of a directory", lambda: os.stat("/lib")[:7])
show("ilistdir", lambda: list(os.ilistdir("/lib")))
show("import from lib", lambda: __import__("answer").value)
show("open a directory", open, "/lib")
show("open nothing", open, "/nothing")
show("remove a full directory", os.remove, "lib")
show("rename", os.rename, "/lib/answer.py", "/a.py")
show("rmdir", os.rmdir, "lib")
show("remove", os.remove, "a.py")
show("remove nothing", os.remove, "a.py")
show("statvfs", os.statvfs, "/")
show("absent", lambda: [n for n in ("system", "getenv", "VfsPosix") if hasattr(os, n)])
show("sync", os.sync)
show("urandom", lambda: len(os.urandom(8)))
print(errno.ETIMEDOUT, errno.EINPROGRESS, errno.ENOENT, errno.errorcode[113])
for name in ("uos", "utime", "ujson", "uhashlib", "ubinascii", "ustruct", "ure", "usocket",
             "uselect", "uasyncio", "urequests", "requests", "ntptime", "ssl", "tls", "_thread",
             "asyncio", "gc", "micropython", "uio", "uctypes", "deflate", "framebuf"):
    try:
        __import__(name)
    except ImportError:
        print("no", name)
