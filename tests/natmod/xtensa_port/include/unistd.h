// SPDX-License-Identifier: MIT
#pragma once
typedef int ssize_t;
enum { SEEK_SET, SEEK_CUR, SEEK_END };
