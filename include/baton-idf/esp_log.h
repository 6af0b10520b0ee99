// ESP-IDF's log macros, to standard error.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_ESP_LOG_H
#define BATON_IDF_ESP_LOG_H

#include <stdint.h>
#include <stdio.h>

#include "sdkconfig.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    ESP_LOG_NONE,
    ESP_LOG_ERROR,
    ESP_LOG_WARN,
    ESP_LOG_INFO,
    ESP_LOG_DEBUG,
    ESP_LOG_VERBOSE,
} esp_log_level_t;

#ifndef LOG_LOCAL_LEVEL
#define LOG_LOCAL_LEVEL CONFIG_LOG_MAXIMUM_LEVEL
#endif

#define ESP_LOG_LEVEL_(level, letter, tag, ...)                                \
    do {                                                                       \
        if (LOG_LOCAL_LEVEL >= (level)) {                                      \
            fprintf(stderr, letter " %s: ", tag);                              \
            fprintf(stderr, __VA_ARGS__);                                      \
            fputc('\n', stderr);                                               \
        }                                                                      \
    } while (0)

#define ESP_LOGE(tag, ...) ESP_LOG_LEVEL_(ESP_LOG_ERROR, "E", tag, __VA_ARGS__)
#define ESP_LOGW(tag, ...) ESP_LOG_LEVEL_(ESP_LOG_WARN, "W", tag, __VA_ARGS__)
#define ESP_LOGI(tag, ...) ESP_LOG_LEVEL_(ESP_LOG_INFO, "I", tag, __VA_ARGS__)
#define ESP_LOGD(tag, ...) ESP_LOG_LEVEL_(ESP_LOG_DEBUG, "D", tag, __VA_ARGS__)
#define ESP_LOGV(tag, ...)                                                     \
    ESP_LOG_LEVEL_(ESP_LOG_VERBOSE, "V", tag, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif
