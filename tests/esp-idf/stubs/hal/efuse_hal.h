// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stdint.h>

uint32_t efuse_hal_chip_revision(void);
uint32_t efuse_hal_blk_version(void);
bool efuse_hal_get_disable_wafer_version_major(void);
bool efuse_hal_get_disable_blk_version_major(void);
