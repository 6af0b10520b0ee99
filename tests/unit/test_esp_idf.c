// The ESP-IDF component at work on a PC: partitions, records and NVS are the
// PC's implementation of ESP-IDF's functions, the HTTP client is played here in
// the order of calls and events of ESP-IDF's.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/idf_world.h"
#include "baton-esp-idf/port.h"
#include "baton/error.h"
#include "esp_http_client.h"
#include "esp_mac.h"
#include "esp_random.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "hal/efuse_hal.h"
#include "nvs_flash.h"

#define SLOT 0x40000u

static struct idf_world world;
static struct baton_esp_idf port;
static struct baton_agent agent;
static uint8_t work[BATON_ESP_IDF_WORK_BYTES];
static uint8_t *image;
static size_t image_len;

// ---- What ESP-IDF provides -----------------------------------------------

static int64_t time_us = 1000000;
static uint64_t deadline_us; // 0: not armed

int64_t esp_timer_get_time(void) {
    time_us += 1000;
    return time_us;
}

esp_err_t esp_timer_create(
        const esp_timer_create_args_t *args, esp_timer_handle_t *out) {
    assert_non_null(args->callback);
    static int timer;
    *out = (esp_timer_handle_t)&timer;
    return ESP_OK;
}

esp_err_t esp_timer_start_once(esp_timer_handle_t timer, uint64_t timeout_us) {
    assert_non_null(timer);
    deadline_us = timeout_us;
    return ESP_OK;
}

esp_err_t esp_timer_stop(esp_timer_handle_t timer) {
    (void)timer;
    esp_err_t err = deadline_us == 0 ? ESP_ERR_INVALID_STATE : ESP_OK;
    deadline_us = 0;
    return err;
}

void esp_fill_random(void *buf, size_t len) {
    memset(buf, 7, len);
}

esp_err_t esp_efuse_mac_get_default(uint8_t *mac) {
    memcpy(mac, "\xA4\xCF\x12\x05\x8A\xE0", 6);
    return ESP_OK;
}

uint32_t efuse_hal_chip_revision(void) {
    return 300;
}

uint32_t efuse_hal_blk_version(void) {
    return 0;
}

bool efuse_hal_get_disable_wafer_version_major(void) {
    return false;
}

bool efuse_hal_get_disable_blk_version_major(void) {
    return false;
}

// ---- The server, through ESP-IDF's client --------------------------------

struct esp_http_client {
    esp_http_client_config_t config;
    char url[256];
    char range[64];
    char if_range[64];
    char authorization[64];
    int status;
    size_t at;
    size_t end;
};

static struct {
    bool is_down;       // nobody answers
    size_t break_after; // bytes of bodies until the connection breaks, once
    size_t sent;
    const char *redirect;   // where "/moved" leads
    char authorization[64]; // that came with the last request
    unsigned open_clients;
} server;

esp_http_client_handle_t esp_http_client_init(
        const esp_http_client_config_t *config) {
    struct esp_http_client *client = calloc(1, sizeof(*client));
    client->config = *config;
    assert_true(config->disable_auto_redirect);
    snprintf(client->url, sizeof(client->url), "%s", config->url);
    server.open_clients++;
    assert_int_equal(server.open_clients, 1);
    return client;
}

esp_err_t esp_http_client_set_header(
        esp_http_client_handle_t client, const char *key, const char *value) {
    char *to = strcmp(key, "Range") == 0           ? client->range
               : strcmp(key, "If-Range") == 0      ? client->if_range
               : strcmp(key, "Authorization") == 0 ? client->authorization
                                                   : NULL;
    if (to != NULL) {
        snprintf(to, 64, "%s", value);
    }
    return ESP_OK;
}

esp_err_t esp_http_client_set_timeout_ms(
        esp_http_client_handle_t client, int timeout_ms) {
    (void)client;
    assert_true(timeout_ms > 0);
    return ESP_OK;
}

esp_err_t esp_http_client_open(esp_http_client_handle_t client, int write_len) {
    (void)client;
    assert_int_equal(write_len, 0);
    return server.is_down ? ESP_FAIL : ESP_OK;
}

static void send_header(
        struct esp_http_client *client, const char *key, const char *value) {
    char name[64];
    char text[128];
    snprintf(name, sizeof(name), "%s", key);
    snprintf(text, sizeof(text), "%s", value);
    esp_http_client_event_t event = {.event_id = HTTP_EVENT_ON_HEADER,
            .client = client,
            .user_data = client->config.user_data,
            .header_key = name,
            .header_value = text};
    assert_int_equal(client->config.event_handler(&event), ESP_OK);
}

static void send_number(
        struct esp_http_client *client, const char *key, size_t value) {
    char text[24];
    snprintf(text, sizeof(text), "%zu", value);
    send_header(client, key, text);
}

int64_t esp_http_client_fetch_headers(esp_http_client_handle_t client) {
    memcpy(server.authorization, client->authorization, 64);
    if (strstr(client->url, "/moved") != NULL) {
        client->status = 302;
        send_header(client, "Location", server.redirect);
        send_number(client, "Content-Length", 0);
        return 0;
    }
    if (strstr(client->url, "/new.bin") == NULL) {
        client->status = 404;
        send_number(client, "Content-Length", 0);
        return 0;
    }
    unsigned from = 0;
    unsigned to = (unsigned)image_len - 1;
    client->status = 200;
    if (sscanf(client->range, "bytes=%u-%u", &from, &to) >= 1) {
        char text[64];
        client->status = 206;
        snprintf(text, sizeof(text), "bytes %u-%u/%zu", from, to, image_len);
        send_header(client, "Content-Range", text);
    }
    client->at = from;
    client->end = to + 1;
    send_header(client, "ETag", "\"1\"");
    send_number(client, "Content-Length", client->end - client->at);
    return (int64_t)(client->end - client->at);
}

int esp_http_client_get_status_code(esp_http_client_handle_t client) {
    return client->status;
}

int esp_http_client_read(esp_http_client_handle_t client, char *buf, int len) {
    size_t left = client->end - client->at;
    size_t count = (size_t)len < left ? (size_t)len : left;
    count = count > 700 ? 700 : count;
    if (server.break_after != 0 && server.sent + count > server.break_after) {
        server.break_after = 0;
        return -1;
    }
    memcpy(buf, image + client->at, count);
    client->at += count;
    server.sent += count;
    return (int)count;
}

bool esp_http_client_is_complete_data_received(
        esp_http_client_handle_t client) {
    return client->at == client->end;
}

esp_err_t esp_http_client_get_and_clear_last_tls_error(
        esp_http_client_handle_t client, int *code, int *flags) {
    (void)client;
    *code = 0;
    *flags = 0;
    return 0x8001; // the name is not known
}

esp_err_t esp_http_client_cleanup(esp_http_client_handle_t client) {
    server.open_clients--;
    free(client);
    return ESP_OK;
}

// ---- A device ------------------------------------------------------------

static void boot(uint8_t running_subtype, int reason) {
    world.config.running_addr = idf_world_app(running_subtype)->address;
    world.config.reset_reason = reason;
    idf_world_attach(&world);
    assert_int_equal(nvs_flash_init(), ESP_OK);
    struct baton_esp_idf_options options = {.work = work,
            .work_len = sizeof(work),
            .authorization = "Bearer x"};
    assert_int_equal(baton_esp_idf_begin(&port, &options), 0);
    assert_int_equal(baton_agent_begin(&agent, &port.config), 0);
}

static int setup(void **state) {
    (void)state;
    memset(&server, 0, sizeof(server));
    deadline_us = 0;
    idf_world_begin(&world, WORLD_A_B, SLOT, 0x10);
    struct baton_partition nvs = {
            .type = 1, .subtype = 2, .addr = 0x9000, .size_bytes = 0x4000};
    memcpy(nvs.label, "nvs", 3);
    idf_world_add_row(&world, &nvs);
    struct world_image spec = {.fill = 7, .payload_bytes = 60000};
    image = world_make_image(&spec, &image_len);
    world_put_record(&world.world, 0, 1, BATON_STATE_VALID, false);
    boot(0x10, ESP_RST_POWERON);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    baton_esp_idf_end(&port);
    assert_int_equal(server.open_clients, 0);
    free(image);
    idf_world_end(&world);
    return 0;
}

static void no_sleep(void *context, uint32_t ms) {
    (void)context;
    time_us += (int64_t)ms * 1000;
}

static int update(const char *url) {
    struct baton_agent_source source = {.url = url, .allow_unsigned = true};
    int err = baton_agent_check(&agent, &source);
    return err != 0 ? err : baton_agent_run(&agent, no_sleep, NULL);
}

static void test_life(void **state) {
    (void)state;
    server.break_after = 30000;
    assert_int_equal(port.config.running, 0);
    assert_int_equal(update("http://host/new.bin"), BATON_AGENT_REBOOTING);
    assert_int_equal(world.restarts, 1);
    assert_int_equal(server.sent, image_len);
    struct baton_boot_result result;
    assert_int_equal(world_boot(&world.world, NULL, &result), 0);
    assert_int_equal(result.index, 1);
    boot(0x11, ESP_RST_SW);
    assert_int_equal(deadline_us, 300000000);
    esp_ota_img_states_t app_state;
    assert_int_equal(update("http://host/new.bin"), 0);
    assert_int_equal(deadline_us, 0);
    assert_int_equal(
            esp_ota_get_state_partition(idf_world_app(0x11), &app_state),
            ESP_OK);
    assert_int_equal(app_state, ESP_OTA_IMG_VALID);
}

static void test_panics_roll_back(void **state) {
    (void)state;
    assert_int_equal(update("http://host/new.bin"), BATON_AGENT_REBOOTING);
    struct baton_boot_result result;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(world_boot(&world.world, NULL, &result), 0);
        assert_int_equal(result.index, 1);
        boot(0x11, i == 0 ? ESP_RST_SW : ESP_RST_PANIC);
    }
    assert_int_equal(world_boot(&world.world, NULL, &result), 0);
    assert_int_equal(result.index, 1);
    boot(0x11, ESP_RST_PANIC);
    assert_int_equal(baton_agent_step(&agent, NULL), BATON_AGENT_REBOOTING);
    assert_int_equal(world_boot(&world.world, NULL, &result), 0);
    assert_int_equal(result.index, 0);
    boot(0x10, ESP_RST_SW);
    assert_int_equal(
            baton_agent_status(&agent)->error, BATON_ERR_TRIAL_CRASHED);
}

static void test_redirects(void **state) {
    (void)state;
    server.redirect = "http://other/new.bin";
    assert_int_equal(update("http://host/moved"), BATON_AGENT_REBOOTING);
    assert_string_equal(server.authorization, ""); // not for another host
    assert_int_equal(server.sent, image_len);
}

static void test_redirects_without_end(void **state) {
    (void)state;
    server.redirect = "/moved";
    assert_int_equal(update("http://host/moved"), BATON_ERR_HTTP_REDIRECTS);
    server.redirect = "http://host/new.bin";
    assert_int_equal(update("https://host/moved"), BATON_ERR_HTTP_DOWNGRADE);
    assert_int_equal(update("http://host/none"), BATON_ERR_HTTP_NOT_FOUND);
}

static void test_nobody_there(void **state) {
    (void)state;
    server.is_down = true;
    assert_int_equal(update("http://host/new.bin"), BATON_ERR_NET_DNS);
}

static void test_settled_device_writes_nothing(void **state) {
    (void)state;
    (void)idf_world_log(&world);
    boot(0x10, ESP_RST_POWERON);
    assert_string_equal(idf_world_log(&world), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
            TEST(test_life),
            TEST(test_panics_roll_back),
            TEST(test_redirects),
            TEST(test_redirects_without_end),
            TEST(test_nobody_there),
            TEST(test_settled_device_writes_nothing),
    };
    return cmocka_run_group_tests_name("esp_idf", tests, NULL, NULL);
}
