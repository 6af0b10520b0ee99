# Runs before boot.py, in the scripts' own namespace: as on ESP32, these names
# are there without an import.
# SPDX-License-Identifier: MIT
import gc
import vfs
from flashbdev import bdev

gc.collect()
