// Numbers of ESP-TLS that the component tells apart.
// SPDX-License-Identifier: MIT
#pragma once

#define ESP_ERR_ESP_TLS_CANNOT_RESOLVE_HOSTNAME 0x8001
#define ESP_ERR_ESP_TLS_CONNECTION_TIMEOUT      0x8006
#define ESP_ERR_MBEDTLS_SSL_HANDSHAKE_FAILED    0x801A
