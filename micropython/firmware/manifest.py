# The RISC-V firmware that the demo's images are made from carries no modules.
# SPDX-License-Identifier: MIT
