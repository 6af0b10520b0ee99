// What the files of the board's firmware share.
// SPDX-License-Identifier: MIT
#ifndef BOARD_FIRMWARE_H
#define BOARD_FIRMWARE_H

#include "device.h"

// The one device, and the error that its beginning met: 0, or every call raises
// it.
struct board_device *board_firmware_device(int *err);

#endif
