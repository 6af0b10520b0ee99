// For compilers whose own limits.h wants another one behind it.
// SPDX-License-Identifier: MIT
