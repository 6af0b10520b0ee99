# The partition that the chip's file system lies on.
# SPDX-License-Identifier: MIT
from esp32 import Partition

bdev = Partition.find(Partition.TYPE_DATA, label="vfs")
if not bdev:
    bdev = Partition.find(Partition.TYPE_DATA, label="ffat", block_size=512)
bdev = bdev[0] if bdev else None
