// The subcommands, one source file each (cmd_GROUP_NAME.c).
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_COMMANDS_H
#define BATON_HOST_COMMANDS_H

#endif
