// Partition layouts that are built in.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/table.h"

struct layout {
    const char *name;
    const char *csv;
};

// MicroPython's tables leave the rest of the flash out: the firmware registers
// it at start-up as a partition "vfs" (data, fat) behind the last row.
static const struct layout layouts[] = {
        {"micropython-4mib-ota", "nvs,data,nvs,0x9000,0x4000\n"
                                 "otadata,data,ota,0xd000,0x2000\n"
                                 "phy_init,data,phy,0xf000,0x1000\n"
                                 "ota_0,app,ota_0,0x10000,0x180000\n"
                                 "ota_1,app,ota_1,0x190000,0x180000\n"},
        {"micropython-8mib-ota", "nvs,data,nvs,0x9000,0x4000\n"
                                 "otadata,data,ota,0xd000,0x2000\n"
                                 "phy_init,data,phy,0xf000,0x1000\n"
                                 "ota_0,app,ota_0,0x10000,0x270000\n"
                                 "ota_1,app,ota_1,0x280000,0x270000\n"},
        {"idf-two-ota", "nvs,data,nvs,,0x4000\n"
                        "otadata,data,ota,,0x2000\n"
                        "phy_init,data,phy,,0x1000\n"
                        "factory,app,factory,,1M\n"
                        "ota_0,app,ota_0,,1M\n"
                        "ota_1,app,ota_1,,1M\n"},
        {"idf-single-app", "nvs,data,nvs,,0x6000\n"
                           "phy_init,data,phy,,0x1000\n"
                           "factory,app,factory,,1M\n"},
};

const char *baton_table_layout_name(size_t index) {
    size_t count = sizeof(layouts) / sizeof(layouts[0]);
    return index < count ? layouts[index].name : NULL;
}

const char *baton_table_layout_csv(const char *name) {
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (strcmp(layouts[i].name, name) == 0) {
            return layouts[i].csv;
        }
    }
    return NULL;
}
