// The build options that OTA code of ESP-IDF applications looks at.
// SPDX-License-Identifier: MIT
//
// What is really in force is chosen when a flash is attached
// (baton-posix/idf.h). These are the defaults of that choice, so that code
// under #ifdef is compiled; give -D or -U for other ones.
#ifndef BATON_IDF_SDKCONFIG_H
#define BATON_IDF_SDKCONFIG_H

#define CONFIG_IDF_TARGET_LINUX               1
#define CONFIG_IDF_TARGET                     "linux"
#define CONFIG_PARTITION_TABLE_OFFSET         0x8000
#define CONFIG_PARTITION_TABLE_MD5            1
#define CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE 1
#define CONFIG_APP_ROLLBACK_ENABLE            1
#define CONFIG_LOG_DEFAULT_LEVEL              3
#define CONFIG_LOG_MAXIMUM_LEVEL              3

#endif
