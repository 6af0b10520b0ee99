// The module network: a Wi-Fi that joins, or does not, as the board is told.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include <stdlib.h>
#include <string.h>

#include "py/objstr.h"
#include "py/runtime.h"

#define NAME_BYTES_MAX 32
#define BSSID_BYTES    6
#define RSSI_DBM       (-50)
#define CHANNEL        6
#define AUTH_WPA2      3

enum {
    IF_STA,
    IF_AP,
};

// MicroPython's own from 1000 on, the driver's reasons below.
enum {
    STAT_BEACON_TIMEOUT = 200,
    STAT_NO_AP_FOUND = 201,
    STAT_WRONG_PASSWORD = 202,
    STAT_ASSOC_FAIL = 203,
    STAT_HANDSHAKE_TIMEOUT = 204,
    STAT_IDLE = 1000,
    STAT_CONNECTING = 1001,
    STAT_GOT_IP = 1010,
};

struct text {
    size_t len;
    char bytes[NAME_BYTES_MAX + 1];
};

struct wlan_object {
    mp_obj_base_t base;
    uint8_t id;
    bool is_active;
    bool is_joining; // asked to connect
    uint64_t asked_us;
    struct text ssid;
    struct text addr[4]; // address, netmask, gateway, name server
};

static const mp_obj_type_t wlan_type;
// Sockets of the board are this machine's, so this is where they are.
static struct wlan_object wlans[] = {
        {{&wlan_type}, IF_STA, false, false, 0, {0, ""},
                {{9, "127.0.0.1"}, {9, "255.0.0.0"}, {9, "127.0.0.1"},
                        {9, "127.0.0.1"}}},
        {{&wlan_type}, IF_AP, false, false, 0, {5, "ESP32"},
                {{11, "192.168.4.1"}, {13, "255.255.255.0"},
                        {11, "192.168.4.1"}, {7, "0.0.0.0"}}},
};
static struct text hostname = {9, "mpy-esp32"};
static struct text country = {2, "XX"};

static void set_text(struct text *out, mp_obj_t value) {
    size_t len;
    const char *bytes = mp_obj_str_get_data(value, &len);
    if (len > NAME_BYTES_MAX) {
        mp_raise_ValueError(NULL);
    }
    memcpy(out->bytes, bytes, len);
    out->bytes[len] = '\0';
    out->len = len;
}

static mp_obj_t get_text(const struct text *text) {
    return mp_obj_new_str(text->bytes, text->len);
}

static bool is_decided(const struct wlan_object *sta) {
    uint64_t delay_us = (uint64_t)baton_board.state->wifi_delay_ms * 1000u;
    return sta->is_joining && baton_clock_us() - sta->asked_us >= delay_us;
}

static bool is_joined(void) {
    return is_decided(&wlans[IF_STA])
           && baton_board.state->wifi_mode == BATON_WIFI_JOINS;
}

bool baton_network_is_up(void) {
    return is_joined() || wlans[IF_AP].is_active;
}

static mp_obj_t wlan_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    int32_t id = n_args > 0 ? baton_firmware_int(args[0]) : IF_STA;
    if (id != IF_STA && id != IF_AP) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid WLAN interface identifier"));
    }
    return MP_OBJ_FROM_PTR(&wlans[id]);
}

static void require_station(const struct wlan_object *self) {
    if (self->id != IF_STA) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("STA required"));
    }
}

static mp_obj_t wlan_active(size_t n_args, const mp_obj_t *args) {
    struct wlan_object *self = MP_OBJ_TO_PTR(args[0]);
    if (n_args > 1) {
        self->is_active = mp_obj_is_true(args[1]);
        self->is_joining = self->is_joining && self->is_active;
    }
    return mp_obj_new_bool(self->is_active);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(active_obj, 1, 2, wlan_active);

static mp_obj_t wlan_connect(
        size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_SSID, ARG_KEY, ARG_BSSID, ARGS };
    static const mp_arg_t allowed[ARGS] = {
            {MP_QSTR_ssid, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
            {MP_QSTR_key, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
            {MP_QSTR_bssid, MP_ARG_KW_ONLY | MP_ARG_OBJ,
                    {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t args[ARGS];
    struct wlan_object *self = MP_OBJ_TO_PTR(pos_args[0]);
    mp_arg_parse_all(n_args - 1, pos_args + 1, kw_args, ARGS, allowed, args);
    if (args[ARG_SSID].u_obj != mp_const_none) {
        set_text(&self->ssid, args[ARG_SSID].u_obj);
    }
    if (args[ARG_BSSID].u_obj != mp_const_none) {
        size_t len;
        mp_obj_str_get_data(args[ARG_BSSID].u_obj, &len);
        if (len != BSSID_BYTES) {
            mp_raise_ValueError(NULL);
        }
    }
    if (!wlans[IF_STA].is_active) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("Wifi Not Started"));
    }
    wlans[IF_STA].is_joining = true;
    wlans[IF_STA].asked_us = baton_clock_us();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(connect_obj, 1, wlan_connect);

static mp_obj_t wlan_disconnect(mp_obj_t self) {
    (void)self;
    if (!wlans[IF_STA].is_active) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("Wifi Not Started"));
    }
    wlans[IF_STA].is_joining = false;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(disconnect_obj, wlan_disconnect);

// Nobody joins the board's own network.
static mp_obj_t wlan_isconnected(mp_obj_t self_in) {
    const struct wlan_object *self = MP_OBJ_TO_PTR(self_in);
    return mp_obj_new_bool(self->id == IF_STA && is_joined());
}
static MP_DEFINE_CONST_FUN_OBJ_1(isconnected_obj, wlan_isconnected);

static int get_status(const struct wlan_object *sta) {
    if (!sta->is_joining) {
        return STAT_IDLE;
    }
    if (!is_decided(sta)) {
        return STAT_CONNECTING;
    }
    switch (baton_board.state->wifi_mode) {
    case BATON_WIFI_NO_AP:
        return STAT_NO_AP_FOUND;
    case BATON_WIFI_BAD_KEY:
        return STAT_WRONG_PASSWORD;
    default:
        return STAT_GOT_IP;
    }
}

static mp_obj_t wlan_status(size_t n_args, const mp_obj_t *args) {
    const struct wlan_object *self = MP_OBJ_TO_PTR(args[0]);
    if (n_args == 1) {
        return self->id == IF_STA ? MP_OBJ_NEW_SMALL_INT(get_status(self))
                                  : mp_const_none;
    }
    switch (mp_obj_str_get_qstr(args[1])) {
    case MP_QSTR_rssi:
        require_station(self);
        return MP_OBJ_NEW_SMALL_INT(RSSI_DBM);
    case MP_QSTR_stations:
        return mp_obj_new_list(0, NULL);
    default:
        mp_raise_ValueError(MP_ERROR_TEXT("unknown status param"));
    }
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(status_obj, 1, 2, wlan_status);

// The one access point in reach: the one that was asked for, or the one the
// environment names, for scripts that look before they ask.
static const char *find_ssid(const struct wlan_object *sta) {
    const char *name = getenv("BATON_SSID");
    if (sta->ssid.len > 0) {
        return sta->ssid.bytes;
    }
    return name != NULL ? name : "baton-sim";
}

static mp_obj_t wlan_scan(mp_obj_t self_in) {
    const struct wlan_object *self = MP_OBJ_TO_PTR(self_in);
    static const uint8_t bssid[BSSID_BYTES] = {0x02, 0, 0, 0, 0, 1};
    require_station(self);
    if (!self->is_active) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("STA must be active"));
    }
    mp_obj_t list = mp_obj_new_list(0, NULL);
    if (baton_board.state->wifi_mode == BATON_WIFI_NO_AP) {
        return list;
    }
    const char *name = find_ssid(self);
    mp_obj_t items[] = {
            mp_obj_new_bytes((const byte *)name, strlen(name)),
            mp_obj_new_bytes(bssid, sizeof(bssid)),
            MP_OBJ_NEW_SMALL_INT(CHANNEL),
            MP_OBJ_NEW_SMALL_INT(RSSI_DBM),
            MP_OBJ_NEW_SMALL_INT(AUTH_WPA2),
            mp_const_false,
    };
    mp_obj_list_append(list, mp_obj_new_tuple(MP_ARRAY_SIZE(items), items));
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_1(scan_obj, wlan_scan);

// Zeros while there is no address.
static mp_obj_t get_addr(const struct wlan_object *self, size_t which) {
    bool has_addr = self->id == IF_STA ? is_joined() : self->is_active;
    return has_addr ? get_text(&self->addr[which])
                    : mp_obj_new_str_from_cstr("0.0.0.0");
}

static mp_obj_t wlan_ifconfig(size_t n_args, const mp_obj_t *args) {
    struct wlan_object *self = MP_OBJ_TO_PTR(args[0]);
    if (n_args == 1) {
        mp_obj_t items[4];
        for (size_t i = 0; i < 4; i++) {
            items[i] = get_addr(self, i);
        }
        return mp_obj_new_tuple(4, items);
    }
    if (mp_obj_is_str(args[1])) {
        if (strcmp(mp_obj_str_get_str(args[1]), "dhcp") != 0) {
            mp_raise_ValueError(MP_ERROR_TEXT("invalid arguments"));
        }
        return mp_const_none;
    }
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(args[1], 4, &items);
    for (size_t i = 0; i < 4; i++) {
        set_text(&self->addr[i], items[i]);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ifconfig_obj, 1, 2, wlan_ifconfig);

static mp_obj_t get_ip_setting(const struct wlan_object *self, qstr name) {
    mp_obj_t pair[] = {get_addr(self, 0), get_addr(self, 1)};
    switch (name) {
    case MP_QSTR_dhcp4:
        return mp_obj_new_bool(self->id == IF_STA);
    case MP_QSTR_addr4:
        return mp_obj_new_tuple(2, pair);
    case MP_QSTR_gw4:
        return get_addr(self, 2);
    default:
        mp_raise_ValueError(MP_ERROR_TEXT("unexpected key"));
    }
}

static void set_ip_setting(
        struct wlan_object *self, qstr name, mp_obj_t value) {
    mp_obj_t *items;
    switch (name) {
    case MP_QSTR_dhcp4:
        break;
    case MP_QSTR_addr4:
        mp_obj_get_array_fixed_n(value, 2, &items);
        set_text(&self->addr[0], items[0]);
        set_text(&self->addr[1], items[1]);
        break;
    case MP_QSTR_gw4:
        set_text(&self->addr[2], value);
        break;
    default:
        mp_raise_ValueError(MP_ERROR_TEXT("unexpected key"));
    }
}

// Both config and ipconfig: one name asks, keywords set.
static mp_obj_t get_or_set(size_t n_args, const mp_obj_t *args,
        mp_map_t *kw_args, mp_obj_t (*get)(const struct wlan_object *, qstr),
        void (*set)(struct wlan_object *, qstr, mp_obj_t)) {
    struct wlan_object *self = MP_OBJ_TO_PTR(args[0]);
    if (kw_args->used == 0) {
        if (n_args != 2) {
            mp_raise_TypeError(MP_ERROR_TEXT("must query one param"));
        }
        return get(self, mp_obj_str_get_qstr(args[1]));
    }
    if (n_args != 1) {
        mp_raise_TypeError(MP_ERROR_TEXT("can't specify pos and kw args"));
    }
    for (size_t i = 0; i < kw_args->alloc; i++) {
        if (mp_map_slot_is_filled(kw_args, i)) {
            set(self, mp_obj_str_get_qstr(kw_args->table[i].key),
                    kw_args->table[i].value);
        }
    }
    return mp_const_none;
}

static mp_obj_t wlan_ipconfig(
        size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    return get_or_set(n_args, args, kw_args, get_ip_setting, set_ip_setting);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(ipconfig_obj, 1, wlan_ipconfig);

// The access point's address is the station's, plus one.
static mp_obj_t get_mac(const struct wlan_object *self) {
    uint8_t mac[6];
    memcpy(mac, baton_board.state->mac, sizeof(mac));
    mac[5] = (uint8_t)(mac[5] + self->id);
    return mp_obj_new_bytes(mac, sizeof(mac));
}

static mp_obj_t get_setting(const struct wlan_object *self, qstr name) {
    switch (name) {
    case MP_QSTR_mac:
        return get_mac(self);
    case MP_QSTR_ssid:
    case MP_QSTR_essid:
        return get_text(&self->ssid);
    case MP_QSTR_hostname:
    case MP_QSTR_dhcp_hostname:
        return get_text(&hostname);
    case MP_QSTR_channel:
        return MP_OBJ_NEW_SMALL_INT(CHANNEL);
    case MP_QSTR_hidden:
        return mp_const_false;
    case MP_QSTR_security:
    case MP_QSTR_authmode:
        return MP_OBJ_NEW_SMALL_INT(AUTH_WPA2);
    case MP_QSTR_reconnects:
        return MP_OBJ_NEW_SMALL_INT(-1);
    case MP_QSTR_txpower:
        return MP_OBJ_NEW_SMALL_INT(20);
    case MP_QSTR_max_clients:
        return MP_OBJ_NEW_SMALL_INT(4);
    case MP_QSTR_pm:
        return MP_OBJ_NEW_SMALL_INT(1);
    case MP_QSTR_protocol:
        return MP_OBJ_NEW_SMALL_INT(7);
    default:
        mp_raise_ValueError(MP_ERROR_TEXT("unknown config param"));
    }
}

// What has no effect here is taken, as on the chip.
static void set_setting(struct wlan_object *self, qstr name, mp_obj_t value) {
    switch (name) {
    case MP_QSTR_ssid:
    case MP_QSTR_essid:
        set_text(&self->ssid, value);
        break;
    case MP_QSTR_hostname:
    case MP_QSTR_dhcp_hostname:
        set_text(&hostname, value);
        break;
    case MP_QSTR_mac:
    case MP_QSTR_channel:
    case MP_QSTR_hidden:
    case MP_QSTR_security:
    case MP_QSTR_authmode:
    case MP_QSTR_key:
    case MP_QSTR_password:
    case MP_QSTR_reconnects:
    case MP_QSTR_txpower:
    case MP_QSTR_max_clients:
    case MP_QSTR_pm:
    case MP_QSTR_protocol:
        break;
    default:
        mp_raise_ValueError(MP_ERROR_TEXT("unknown config param"));
    }
}

static mp_obj_t wlan_config(
        size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    return get_or_set(n_args, args, kw_args, get_setting, set_setting);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(config_obj, 1, wlan_config);

static const mp_rom_map_elem_t wlan_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_active), MP_ROM_PTR(&active_obj)},
        {MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&connect_obj)},
        {MP_ROM_QSTR(MP_QSTR_disconnect), MP_ROM_PTR(&disconnect_obj)},
        {MP_ROM_QSTR(MP_QSTR_isconnected), MP_ROM_PTR(&isconnected_obj)},
        {MP_ROM_QSTR(MP_QSTR_status), MP_ROM_PTR(&status_obj)},
        {MP_ROM_QSTR(MP_QSTR_scan), MP_ROM_PTR(&scan_obj)},
        {MP_ROM_QSTR(MP_QSTR_config), MP_ROM_PTR(&config_obj)},
        {MP_ROM_QSTR(MP_QSTR_ifconfig), MP_ROM_PTR(&ifconfig_obj)},
        {MP_ROM_QSTR(MP_QSTR_ipconfig), MP_ROM_PTR(&ipconfig_obj)},
        {MP_ROM_QSTR(MP_QSTR_IF_STA), MP_ROM_INT(IF_STA)},
        {MP_ROM_QSTR(MP_QSTR_IF_AP), MP_ROM_INT(IF_AP)},
        {MP_ROM_QSTR(MP_QSTR_SEC_OPEN), MP_ROM_INT(0)},
        {MP_ROM_QSTR(MP_QSTR_SEC_WEP), MP_ROM_INT(1)},
        {MP_ROM_QSTR(MP_QSTR_SEC_WPA), MP_ROM_INT(2)},
        {MP_ROM_QSTR(MP_QSTR_SEC_WPA2), MP_ROM_INT(3)},
        {MP_ROM_QSTR(MP_QSTR_SEC_WPA_WPA2), MP_ROM_INT(4)},
        {MP_ROM_QSTR(MP_QSTR_SEC_WPA3), MP_ROM_INT(6)},
        {MP_ROM_QSTR(MP_QSTR_SEC_WPA2_WPA3), MP_ROM_INT(7)},
        {MP_ROM_QSTR(MP_QSTR_PM_NONE), MP_ROM_INT(0)},
        {MP_ROM_QSTR(MP_QSTR_PM_PERFORMANCE), MP_ROM_INT(1)},
        {MP_ROM_QSTR(MP_QSTR_PM_POWERSAVE), MP_ROM_INT(2)},
};
static MP_DEFINE_CONST_DICT(wlan_locals, wlan_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(wlan_type, MP_QSTR_WLAN, MP_TYPE_FLAG_NONE,
        make_new, wlan_make_new, locals_dict, &wlan_locals);

static mp_obj_t get_or_set_text(
        struct text *text, size_t n_args, const mp_obj_t *args) {
    if (n_args == 0) {
        return get_text(text);
    }
    set_text(text, args[0]);
    return mp_const_none;
}

static mp_obj_t network_hostname(size_t n_args, const mp_obj_t *args) {
    return get_or_set_text(&hostname, n_args, args);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        hostname_obj, 0, 1, network_hostname);

static mp_obj_t network_country(size_t n_args, const mp_obj_t *args) {
    return get_or_set_text(&country, n_args, args);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(country_obj, 0, 1, network_country);

static mp_obj_t network_phy_mode(size_t n_args, const mp_obj_t *args) {
    (void)args;
    return n_args == 0 ? MP_OBJ_NEW_SMALL_INT(7) : mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        phy_mode_obj, 0, 1, network_phy_mode);

static const mp_rom_map_elem_t network_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_network)},
        {MP_ROM_QSTR(MP_QSTR_WLAN), MP_ROM_PTR(&wlan_type)},
        {MP_ROM_QSTR(MP_QSTR_hostname), MP_ROM_PTR(&hostname_obj)},
        {MP_ROM_QSTR(MP_QSTR_country), MP_ROM_PTR(&country_obj)},
        {MP_ROM_QSTR(MP_QSTR_phy_mode), MP_ROM_PTR(&phy_mode_obj)},
        {MP_ROM_QSTR(MP_QSTR_STA_IF), MP_ROM_INT(IF_STA)},
        {MP_ROM_QSTR(MP_QSTR_AP_IF), MP_ROM_INT(IF_AP)},
        {MP_ROM_QSTR(MP_QSTR_MODE_11B), MP_ROM_INT(1)},
        {MP_ROM_QSTR(MP_QSTR_MODE_11G), MP_ROM_INT(2)},
        {MP_ROM_QSTR(MP_QSTR_MODE_11N), MP_ROM_INT(4)},
        {MP_ROM_QSTR(MP_QSTR_MODE_LR), MP_ROM_INT(8)},
        {MP_ROM_QSTR(MP_QSTR_AUTH_OPEN), MP_ROM_INT(0)},
        {MP_ROM_QSTR(MP_QSTR_AUTH_WEP), MP_ROM_INT(1)},
        {MP_ROM_QSTR(MP_QSTR_AUTH_WPA_PSK), MP_ROM_INT(2)},
        {MP_ROM_QSTR(MP_QSTR_AUTH_WPA2_PSK), MP_ROM_INT(3)},
        {MP_ROM_QSTR(MP_QSTR_AUTH_WPA_WPA2_PSK), MP_ROM_INT(4)},
        {MP_ROM_QSTR(MP_QSTR_AUTH_WPA3_PSK), MP_ROM_INT(6)},
        {MP_ROM_QSTR(MP_QSTR_AUTH_WPA2_WPA3_PSK), MP_ROM_INT(7)},
        {MP_ROM_QSTR(MP_QSTR_STAT_IDLE), MP_ROM_INT(STAT_IDLE)},
        {MP_ROM_QSTR(MP_QSTR_STAT_CONNECTING), MP_ROM_INT(STAT_CONNECTING)},
        {MP_ROM_QSTR(MP_QSTR_STAT_GOT_IP), MP_ROM_INT(STAT_GOT_IP)},
        {MP_ROM_QSTR(MP_QSTR_STAT_NO_AP_FOUND), MP_ROM_INT(STAT_NO_AP_FOUND)},
        {MP_ROM_QSTR(MP_QSTR_STAT_WRONG_PASSWORD),
                MP_ROM_INT(STAT_WRONG_PASSWORD)},
        {MP_ROM_QSTR(MP_QSTR_STAT_BEACON_TIMEOUT),
                MP_ROM_INT(STAT_BEACON_TIMEOUT)},
        {MP_ROM_QSTR(MP_QSTR_STAT_ASSOC_FAIL), MP_ROM_INT(STAT_ASSOC_FAIL)},
        {MP_ROM_QSTR(MP_QSTR_STAT_HANDSHAKE_TIMEOUT),
                MP_ROM_INT(STAT_HANDSHAKE_TIMEOUT)},
};
static MP_DEFINE_CONST_DICT(network_globals, network_globals_table);

const mp_obj_module_t baton_network_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&network_globals,
};
MP_REGISTER_MODULE(MP_QSTR_network, baton_network_module);
