// What the applications of a sweep do.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_SCENARIOS_H
#define BATON_TESTS_SCENARIOS_H

#include "device.h"

enum scenario_end {
    SCENARIO_RESET, // the application resets, or the power is gone
    SCENARIO_DONE,  // nothing left to do
};

struct scenario {
    const char *name;
    bool has_factory;
    bool needs_rollback;
    bool needs_bits; // single bits of flash can be cleared (not encrypted)
    enum device_image goal; // what runs in the end
    void (*prepare)(struct device *device);
    // One boot's worth of the application.
    enum scenario_end (*run)(struct device_port *port);
};

extern const struct scenario scenarios[];
extern const unsigned scenario_count;

#endif
