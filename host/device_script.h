// The scripts that the host runs on a device, in pieces for repl_start.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_DEVICE_SCRIPT_H
#define BATON_HOST_DEVICE_SCRIPT_H

// A command to a script is a line of 20 bytes: a letter, two numbers of five
// hexadecimal digits, a CRC-32 of eight, and the line end. Data follows; in it
// the bytes that a console or a line may take for its own (Ctrl-C, line ends,
// XON, XOFF and the like) are replaced by 0x7D and the byte with bit 6 changed,
// and so is 0x7D itself. So Ctrl-C always interrupts, and nothing else does.
#define DEVICE_COMMAND_BYTES 20
#define DEVICE_ESCAPE        0x7D

// Reads commands and data; every other script begins with it.
extern const char device_script_link[];

// Says what the firmware is: ":name version mpy machine".
extern const char device_script_identify[];

// Writes an image into the slot that is not running.
extern const char device_script_push[];

// Writes files.
extern const char device_script_install[];

#endif
