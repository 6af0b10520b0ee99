# The modules that a stock ESP32 firmware carries beside those in C.
# SPDX-License-Identifier: MIT
include("$(MPY_DIR)/extmod/asyncio")
require("requests")
freeze("modules")
package("baton", base_path="../../package")
