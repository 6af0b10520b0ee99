// The subcommands, one source file each (cmd_GROUP_NAME.c).
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_COMMANDS_H
#define BATON_HOST_COMMANDS_H

int cmd_image_info(int argc, char **argv);
int cmd_image_check(int argc, char **argv);
int cmd_image_make(int argc, char **argv);
int cmd_table_make(int argc, char **argv);
int cmd_table_show(int argc, char **argv);
int cmd_table_check(int argc, char **argv);
int cmd_flash_make(int argc, char **argv);
int cmd_flash_info(int argc, char **argv);
int cmd_flash_boot(int argc, char **argv);
int cmd_key_new(int argc, char **argv);
int cmd_key_show(int argc, char **argv);
int cmd_release_make(int argc, char **argv);
int cmd_release_show(int argc, char **argv);
int cmd_release_verify(int argc, char **argv);
int cmd_release_sign(int argc, char **argv);
int cmd_release_expire(int argc, char **argv);
int cmd_release_rollout(int argc, char **argv);
int cmd_release_keys(int argc, char **argv);
int cmd_release_prune(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_pack(int argc, char **argv);
int cmd_unpack(int argc, char **argv);
int cmd_push(int argc, char **argv);
int cmd_install(int argc, char **argv);

#endif
