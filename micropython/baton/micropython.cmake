# The module baton, for MicroPython's ESP32 port (USER_C_MODULES).
# SPDX-License-Identifier: MIT

option(BATON_EXTEND_ESP32 "Give esp32.Partition the methods, too" ON)

add_library(usermod_baton INTERFACE)
target_sources(usermod_baton INTERFACE ${CMAKE_CURRENT_LIST_DIR}/modbaton.c)
if(BATON_EXTEND_ESP32)
    target_compile_definitions(usermod_baton INTERFACE BATON_EXTEND_ESP32=1)
    target_link_options(usermod_baton INTERFACE
        -Wl,--wrap=esp32_partition_type)
endif()
target_link_libraries(usermod INTERFACE usermod_baton)
