# File systems on a partition, through the block protocol.
import os
import vfs
from esp32 import Partition
from flashbdev import bdev

print(bdev.info()[4])
vfs.VfsLfs2.mkfs(bdev)
vfs.mount(vfs.VfsLfs2(bdev), "/flash")
for turn in range(40):
    with open("/flash/file%d" % (turn % 4), "w") as file:
        file.write("turn %d\n" % turn * 1500)
vfs.umount("/flash")
vfs.mount(vfs.VfsLfs2(bdev), "/flash")
for name in sorted(os.listdir("/flash")):
    with open("/flash/" + name) as file:
        print(name, os.stat("/flash/" + name)[6], file.readline().strip())
vfs.umount("/flash")

# Blocks smaller than a sector, which FAT wants.
part = Partition("ota_1", 512)
vfs.VfsFat.mkfs(part)
vfs.mount(vfs.VfsFat(part), "/fat")
with open("/fat/note.txt", "w") as file:
    file.write("over the air " * 300)
os.rename("/fat/note.txt", "/fat/kept.txt")
print(os.listdir("/fat"), os.stat("/fat/kept.txt")[6], sorted(os.listdir("/")))
