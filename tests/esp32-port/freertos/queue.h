// Stands in for ESP-IDF: included by the port, and nothing of it is used.
// SPDX-License-Identifier: MIT
