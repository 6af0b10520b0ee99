// Cuts the power at every flash operation of every scenario, in every way, and
// at every operation of what follows; checks each boot.
// SPDX-License-Identifier: MIT
//
// A case has a replay id: scenario/geometry/rollback/first cut/second cut, a
// cut being operation:mode[:bytes of a torn prefix]. "-" is no second cut.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "scenarios.h"

#define BOOTS_MAX 24

static const struct device_geometry geometries[] = {
        {"bytes", 1, 8192}, // any byte; two sectors by one command
        {"units16", 16, 0}, // as on encrypted flash
        {"units32", 32, 8192},
};
#define GEOMETRIES 3u

struct cut {
    uint32_t at; // 0: none
    enum baton_nor_cut mode;
    uint32_t torn;
};

// What a first cut may leave; a second one takes every mode once.
static const struct cut first_kinds[] = {
        {0, BATON_NOR_CUT_BEFORE, 0},
        {0, BATON_NOR_CUT_TORN, 1},
        {0, BATON_NOR_CUT_TORN, 28},
        {0, BATON_NOR_CUT_TORN, UINT32_MAX},
        {0, BATON_NOR_CUT_GARBAGE, 0},
        {0, BATON_NOR_CUT_AFTER, 0},
        {0, BATON_NOR_CUT_WEAK, 0},
};
static const struct cut second_kinds[] = {
        {0, BATON_NOR_CUT_BEFORE, 0},
        {0, BATON_NOR_CUT_TORN, UINT32_MAX},
        {0, BATON_NOR_CUT_GARBAGE, 0},
        {0, BATON_NOR_CUT_AFTER, 0},
        {0, BATON_NOR_CUT_WEAK, 0},
};
#define FIRST_KINDS  (sizeof(first_kinds) / sizeof(first_kinds[0]))
#define SECOND_KINDS (sizeof(second_kinds) / sizeof(second_kinds[0]))

struct sweep {
    // What to run.
    uint32_t shard;
    uint32_t shards;
    uint32_t stride; // of the cases with a second cut, one in so many
    const char *only;
    bool trace;
    bool stop_at_fault;

    // Where it is.
    const struct scenario *scenario;
    const struct device_geometry *geometry;
    bool rollback;
    struct cut first;
    struct cut second;

    // Figures.
    uint64_t cases;
    uint64_t cuts;
    uint64_t boots;
    uint64_t faults;
    uint64_t residues;
    uint32_t wasted_most;
    uint64_t counter;
};

static void print_cut(FILE *out, const struct cut *cut) {
    if (cut->at == 0) {
        fprintf(out, "/-");
        return;
    }
    fprintf(out, "/%u:%s", (unsigned)cut->at, baton_nor_cut_name(cut->mode));
    if (cut->mode == BATON_NOR_CUT_TORN && cut->torn != UINT32_MAX) {
        fprintf(out, ":%u", (unsigned)cut->torn);
    }
}

static void print_id(FILE *out, const struct sweep *sweep) {
    fprintf(out, "%s/%s/%s", sweep->scenario->name, sweep->geometry->name,
            sweep->rollback ? "rollback" : "plain");
    print_cut(out, &sweep->first);
    print_cut(out, &sweep->second);
}

static void plan(struct device_port *port, const struct cut *cut) {
    if (cut->at != 0) {
        port->device->state.seed = cut->at * 31u + (uint32_t)cut->mode;
        baton_nor_plan_cut(&port->nor, cut->at, cut->mode, cut->torn);
    } else {
        port->device->state.cut_at = 0;
    }
}

static void trace_boot(const struct sweep *sweep, const struct device *device) {
    if (sweep->trace) {
        printf("boot %s: image %d, %u cuts, operation %" PRIu64 "%s%s\n",
                baton_boot_index_name(device->running), (int)device->image,
                (unsigned)device->cuts, device->state.stats.operations,
                device->fault[0] != 0 ? ", FAULT: " : "", device->fault);
    }
}

static void trace_cut(const struct sweep *sweep, const struct device *device) {
    if (sweep->trace) {
        printf("  cut: %s at operation %" PRIu64 ", 0x%05x + %u\n",
                baton_nor_cut_name(
                        (enum baton_nor_cut)device->state.last_cut_mode),
                device->state.last_cut_number,
                (unsigned)device->state.last_cut_addr,
                (unsigned)device->state.last_cut_bytes);
    }
}

// A settled device boots the same and writes nothing.
static void check_settled(struct sweep *sweep, struct device_port *port) {
    struct device *device = port->device;
    enum device_image image = device->image;
    uint64_t operations = device->state.stats.operations;
    sweep->boots++;
    if (!device_boot(port)) {
        return;
    }
    trace_boot(sweep, device);
    bool is_done = device_settle(port) == 0
                   && sweep->scenario->run(port) == SCENARIO_DONE;
    if (!is_done || device->image != image) {
        device_fault(device, "a settled device goes on");
    } else if (device->state.stats.operations != operations) {
        device_fault(device, "a settled device writes to flash");
    } else if (image != sweep->scenario->goal && !device->trial_lost) {
        device_fault(device, "ends on image %d", (int)image);
    }
}

// Boots until the power goes, a fault shows, or all is settled. True when the
// power was cut.
static bool run_until_cut(struct sweep *sweep, struct device_port *port) {
    struct device *device = port->device;
    for (int boot = 0; boot < BOOTS_MAX; boot++) {
        sweep->boots++;
        enum scenario_end end = SCENARIO_RESET;
        bool booted = device_boot(port);
        if (booted) {
            trace_boot(sweep, device);
        }
        if (booted && device_settle(port) == 0) {
            end = sweep->scenario->run(port);
        }
        if (device->fault[0] != 0) {
            return false;
        }
        if (device->state.powered == 0) {
            trace_cut(sweep, device);
            return true;
        }
        if (end == SCENARIO_DONE) {
            check_settled(sweep, port);
            return false;
        }
    }
    device_fault(device, "does not settle in %d boots", BOOTS_MAX);
    return false;
}

static void judge(struct sweep *sweep, const struct device *device) {
    sweep->cases++;
    sweep->cuts += device->cuts;
    sweep->residues += device->residues;
    if (device->wasted_sectors > sweep->wasted_most) {
        sweep->wasted_most = device->wasted_sectors;
    }
    if (device->fault[0] == 0) {
        return;
    }
    sweep->faults++;
    if (sweep->faults <= 10) {
        printf("FAULT %s\n  replay: make powercut ID=", device->fault);
        print_id(stdout, sweep);
        printf("\n");
    }
}

// After a first cut: every second one. `after_first` is the device with its
// power back.
static void sweep_second(
        struct sweep *sweep, const struct device *after_first) {
    static struct device device;
    struct device_port port;
    for (size_t kind = 0; kind < SECOND_KINDS; kind++) {
        bool was_cut = true;
        for (uint32_t at = 1; was_cut; at++) {
            if (sweep->stride > 1 && sweep->counter++ % sweep->stride != 0
                    && at < 400) {
                continue;
            }
            memcpy(&device, after_first, sizeof(device));
            device_attach(&port, &device, sweep->geometry);
            sweep->second = second_kinds[kind];
            sweep->second.at = at;
            plan(&port, &sweep->second);
            was_cut = run_until_cut(sweep, &port);
            if (was_cut) {
                device_power_on(&port);
                run_until_cut(sweep, &port);
                judge(sweep, &device);
            } else if (device.fault[0] != 0) {
                judge(sweep, &device);
            }
        }
    }
}

static void begin_device(const struct sweep *sweep, struct device *device,
        struct device_port *port) {
    device_begin(device, sweep->rollback, sweep->scenario->has_factory);
    sweep->scenario->prepare(device);
    device_attach(port, device, sweep->geometry);
}

static bool is_over(const struct sweep *sweep) {
    return sweep->stop_at_fault && sweep->faults != 0;
}

static void sweep_first(struct sweep *sweep) {
    static struct device device;
    static struct device kept;
    struct device_port port;
    for (size_t kind = 0; kind < FIRST_KINDS && !is_over(sweep); kind++) {
        bool was_cut = true;
        for (uint32_t at = 1; was_cut; at++) {
            begin_device(sweep, &device, &port);
            sweep->first = first_kinds[kind];
            sweep->first.at = at;
            sweep->second.at = 0;
            plan(&port, &sweep->first);
            was_cut = run_until_cut(sweep, &port);
            if (!was_cut) {
                // Past the last operation: the job without any cut.
                judge(sweep, &device);
                break;
            }
            device_power_on(&port);
            if (at % sweep->shards != sweep->shard) {
                continue;
            }
            memcpy(&kept, &device, sizeof(kept));
            run_until_cut(sweep, &port);
            judge(sweep, &device);
            if (device.fault[0] == 0) {
                sweep_second(sweep, &kept);
            }
        }
    }
}

static void print_figures(const char *name, const struct sweep *sweep) {
    printf("%s cases %" PRIu64 " cuts %" PRIu64 " boots %" PRIu64
           " faults %" PRIu64 " residues %" PRIu64 " wasted %u\n",
            name, sweep->cases, sweep->cuts, sweep->boots, sweep->faults,
            sweep->residues, (unsigned)sweep->wasted_most);
    fflush(stdout);
}

static bool is_wanted(const struct sweep *sweep) {
    const struct scenario *scenario = sweep->scenario;
    return (sweep->rollback || !scenario->needs_rollback)
           && (sweep->geometry->program_bytes <= 4 || !scenario->needs_bits);
}

static void sweep_scenario(struct sweep *sweep) {
    for (unsigned g = 0; g < GEOMETRIES; g++) {
        for (int rollback = 0; rollback < 2; rollback++) {
            sweep->geometry = &geometries[g];
            sweep->rollback = rollback != 0;
            if (is_wanted(sweep) && !is_over(sweep)) {
                sweep_first(sweep);
            }
        }
    }
}

static void add_figures(struct sweep *total, const struct sweep *sweep) {
    total->cases += sweep->cases;
    total->cuts += sweep->cuts;
    total->boots += sweep->boots;
    total->faults += sweep->faults;
    total->residues += sweep->residues;
    if (sweep->wasted_most > total->wasted_most) {
        total->wasted_most = sweep->wasted_most;
    }
}

static void sweep_all(struct sweep *total) {
    for (unsigned i = 0; i < scenario_count; i++) {
        struct sweep sweep = *total;
        sweep.cases = sweep.cuts = sweep.boots = 0;
        sweep.faults = sweep.residues = 0;
        sweep.wasted_most = 0;
        sweep.scenario = &scenarios[i];
        if (total->only == NULL
                || strcmp(total->only, scenarios[i].name) == 0) {
            sweep_scenario(&sweep);
            print_figures(scenarios[i].name, &sweep);
        }
        add_figures(total, &sweep);
        if (is_over(total)) {
            return;
        }
    }
}

// ---- Replay --------------------------------------------------------------

static bool parse_cut(const char *text, struct cut *cut) {
    char mode[16] = "";
    unsigned at = 0;
    unsigned torn = UINT32_MAX;
    memset(cut, 0, sizeof(*cut));
    if (strcmp(text, "-") == 0) {
        return true;
    }
    int fields = sscanf(text, "%u:%15[a-z]:%u", &at, mode, &torn);
    cut->at = at;
    cut->mode = baton_nor_cut_mode(mode);
    cut->torn = torn;
    return fields >= 2 && at != 0 && cut->mode != BATON_NOR_CUT_NONE;
}

static bool parse_id(struct sweep *sweep, const char *id) {
    char name[32];
    char geometry[16];
    char rollback[16];
    char first[32];
    char second[32];
    if (sscanf(id, "%31[^/]/%15[^/]/%15[^/]/%31[^/]/%31s", name, geometry,
                rollback, first, second)
            != 5) {
        return false;
    }
    for (unsigned i = 0; i < scenario_count; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            sweep->scenario = &scenarios[i];
        }
    }
    for (unsigned g = 0; g < GEOMETRIES; g++) {
        if (strcmp(geometries[g].name, geometry) == 0) {
            sweep->geometry = &geometries[g];
        }
    }
    sweep->rollback = strcmp(rollback, "rollback") == 0;
    return sweep->scenario != NULL && sweep->geometry != NULL
           && parse_cut(first, &sweep->first)
           && parse_cut(second, &sweep->second);
}

static int replay(struct sweep *sweep, const char *id) {
    static struct device device;
    struct device_port port;
    if (!parse_id(sweep, id)) {
        fprintf(stderr,
                "powercut: '%s' is no replay id; one looks like\n"
                "  first-update/bytes/rollback/12:torn:28/3:weak\n",
                id);
        return 2;
    }
    sweep->trace = true;
    begin_device(sweep, &device, &port);
    plan(&port, &sweep->first);
    if (run_until_cut(sweep, &port)) {
        device_power_on(&port);
        plan(&port, &sweep->second);
        if (run_until_cut(sweep, &port)) {
            device_power_on(&port);
            run_until_cut(sweep, &port);
        }
    }
    printf("%s\n", device.fault[0] != 0 ? device.fault : "every boot is right");
    return device.fault[0] != 0 ? 1 : 0;
}

static int usage(void) {
    fprintf(stderr,
            "Usage: powercut [--shard I/N] [--stride N] [--only SCENARIO]\n"
            "                [--first-fault]\n"
            "       powercut --id REPLAY-ID\n"
            "Cuts the power at every flash operation. --stride takes one in N\n"
            "of the cases with two cuts.\n");
    return 2;
}

int main(int argc, char **argv) {
    struct sweep sweep = {.shards = 1, .stride = 1};
    for (int i = 1; i < argc; i += 2) {
        unsigned shard = 0;
        unsigned shards = 1;
        if (strcmp(argv[i], "--first-fault") == 0) {
            sweep.stop_at_fault = true;
            i--;
            continue;
        }
        if (i + 1 >= argc) {
            return usage();
        }
        if (strcmp(argv[i], "--id") == 0) {
            return replay(&sweep, argv[i + 1]);
        } else if (strcmp(argv[i], "--stride") == 0) {
            sweep.stride = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--only") == 0) {
            sweep.only = argv[i + 1];
        } else if (strcmp(argv[i], "--shard") == 0
                   && sscanf(argv[i + 1], "%u/%u", &shard, &shards) == 2
                   && shards > 0 && shard < shards) {
            sweep.shard = shard;
            sweep.shards = shards;
        } else {
            return usage();
        }
    }
    sweep_all(&sweep);
    print_figures("total", &sweep);
    return sweep.faults != 0 || sweep.cases == 0 ? 1 : 0;
}
