# The modules baton and _baton, for MicroPython's ESP32 port (USER_C_MODULES).
# SPDX-License-Identifier: MIT

option(BATON_EXTEND_ESP32 "Give esp32.Partition the methods, too" ON)
option(BATON_AGENT "The update agent, which the Python package needs" ON)

add_library(usermod_baton INTERFACE)
target_sources(usermod_baton INTERFACE ${CMAKE_CURRENT_LIST_DIR}/modbaton.c)
if(BATON_EXTEND_ESP32)
    target_compile_definitions(usermod_baton INTERFACE BATON_EXTEND_ESP32=1)
    target_link_options(usermod_baton INTERFACE
        -Wl,--wrap=esp32_partition_type)
endif()
if(BATON_AGENT)
    # Of the core the linker takes what is called.
    file(GLOB BATON_CORE ${CMAKE_CURRENT_LIST_DIR}/../../core/*.c)
    target_sources(usermod_baton INTERFACE
        ${BATON_CORE}
        ${CMAKE_CURRENT_LIST_DIR}/../../port/freestanding/crypto.c
        ${CMAKE_CURRENT_LIST_DIR}/../../port/freestanding/md5.c
        ${CMAKE_CURRENT_LIST_DIR}/../../port/freestanding/p256.c
        ${CMAKE_CURRENT_LIST_DIR}/../../port/freestanding/sha256.c
        ${CMAKE_CURRENT_LIST_DIR}/agent_functions.c
        ${CMAKE_CURRENT_LIST_DIR}/binding.c
        ${CMAKE_CURRENT_LIST_DIR}/chip_functions.c
        ${CMAKE_CURRENT_LIST_DIR}/codec_functions.c
        ${CMAKE_CURRENT_LIST_DIR}/error_functions.c
        ${CMAKE_CURRENT_LIST_DIR}/more_functions.c
        ${CMAKE_CURRENT_LIST_DIR}/partition_flash.c
        ${CMAKE_CURRENT_LIST_DIR}/python_port.c
        ${CMAKE_CURRENT_LIST_DIR}/python_stream.c
        ${CMAKE_CURRENT_LIST_DIR}/slot_functions.c)
    target_include_directories(usermod_baton INTERFACE
        ${CMAKE_CURRENT_LIST_DIR}/../../include)
    target_compile_definitions(usermod_baton INTERFACE BATON_AGENT=1)
endif()
target_link_libraries(usermod INTERFACE usermod_baton)
