# What the board's firmware carries as frozen code.
# SPDX-License-Identifier: MIT
freeze("modules")
