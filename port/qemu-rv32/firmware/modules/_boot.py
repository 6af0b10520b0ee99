# Mounts the partition vfs, made a file system first where it is none.
# SPDX-License-Identifier: MIT
import baton
import vfs

_partition = baton.Partition("vfs")
try:
    _fs = vfs.VfsLfs2(_partition)
except OSError:
    vfs.VfsLfs2.mkfs(_partition)
    _fs = vfs.VfsLfs2(_partition)
vfs.mount(_fs, "/")
