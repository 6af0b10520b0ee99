// SPDX-License-Identifier: MIT
#define alloca __builtin_alloca
