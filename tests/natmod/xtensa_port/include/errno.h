// Included by MicroPython, which takes nothing from it here.
// SPDX-License-Identifier: MIT
