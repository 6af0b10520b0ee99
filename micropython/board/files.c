// The board's file system: one directory of this machine, as the chip's /.
// SPDX-License-Identifier: MIT
//
// Paths are resolved here, so that ".." ends at the root as it does on the
// chip and a script finds nothing outside. Sizes and listings look as
// littlefs's, and the partition's size is what os.statvfs tells.
#define _GNU_SOURCE // nftw
#include "firmware.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "py/builtin.h"
#include "py/objstr.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "extmod/vfs_posix.h"

#include "esp_partition.h"

#define BLOCK_BYTES          4096u
#define NAME_BYTES_MAX       255
#define SECONDS_1970_TO_2000 946684800

struct files_object {
    mp_obj_base_t base;
    char *root; // without a slash at its end
    char *cwd;  // "" is the root, "/lib" below it
};

// Adds one name of a path to `path`, or takes the last one away.
static void walk(char *path, const char *name, size_t len) {
    size_t have = strlen(path);
    if (len == 0 || (len == 1 && name[0] == '.')) {
        return;
    }
    if (len == 2 && name[0] == '.' && name[1] == '.') {
        char *slash = strrchr(path, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        return;
    }
    if (have + 1 + len >= PATH_MAX) {
        mp_raise_OSError(ENAMETOOLONG);
    }
    path[have] = '/';
    memcpy(path + have + 1, name, len);
    path[have + 1 + len] = '\0';
}

// "lib/../x" as "/x": from the root of the board's file system.
static void resolve(
        const struct files_object *self, const char *path, char out[PATH_MAX]) {
    strcpy(out, path[0] == '/' ? "" : self->cwd);
    while (*path != '\0') {
        size_t len = strcspn(path, "/");
        walk(out, path, len);
        path += len + (path[len] == '/');
    }
}

static const char *host_path(const struct files_object *self, const char *path,
        char out[2 * PATH_MAX]) {
    char inner[PATH_MAX];
    resolve(self, path, inner);
    snprintf(out, 2 * PATH_MAX, "%s%s", self->root, inner);
    return out;
}

static const char *host_path_of(
        mp_obj_t self, mp_obj_t path, char out[2 * PATH_MAX]) {
    return host_path(MP_OBJ_TO_PTR(self), mp_obj_str_get_str(path), out);
}

static void check(int result) {
    if (result != 0) {
        mp_raise_OSError(errno);
    }
}

static mp_import_stat_t files_import_stat(void *self, const char *path) {
    char host[2 * PATH_MAX];
    struct stat st;
    if (stat(host_path(self, path, host), &st) != 0) {
        return MP_IMPORT_STAT_NO_EXIST;
    }
    return S_ISDIR(st.st_mode) ? MP_IMPORT_STAT_DIR : MP_IMPORT_STAT_FILE;
}

static char *copy_string(const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(m_new(char, bytes), text, bytes);
}

static mp_obj_t files_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    char root[PATH_MAX];
    struct stat st;
    if (realpath(mp_obj_str_get_str(args[0]), root) == NULL) {
        mp_raise_OSError(errno);
    }
    if (stat(root, &st) != 0 || !S_ISDIR(st.st_mode)) {
        mp_raise_OSError(ENOTDIR);
    }
    struct files_object *self = mp_obj_malloc(struct files_object, type);
    self->root = copy_string(root);
    self->cwd = copy_string("");
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t files_mount(mp_obj_t self, mp_obj_t readonly, mp_obj_t mkfs) {
    (void)self;
    (void)readonly;
    (void)mkfs;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(mount_obj, files_mount);

static mp_obj_t files_umount(mp_obj_t self) {
    (void)self;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(umount_obj, files_umount);

static mp_obj_t files_open(mp_obj_t self, mp_obj_t path, mp_obj_t mode) {
    char host[2 * PATH_MAX];
    struct stat st;
    host_path_of(self, path, host);
    if (stat(host, &st) == 0 && S_ISDIR(st.st_mode)) {
        mp_raise_OSError(EISDIR);
    }
    return mp_vfs_posix_file_open(
            &mp_type_vfs_posix_textio, mp_obj_new_str_from_cstr(host), mode);
}
static MP_DEFINE_CONST_FUN_OBJ_3(open_obj, files_open);

static mp_obj_t files_chdir(mp_obj_t self_in, mp_obj_t path) {
    struct files_object *self = MP_OBJ_TO_PTR(self_in);
    char host[2 * PATH_MAX];
    char inner[PATH_MAX];
    struct stat st;
    check(stat(host_path_of(self_in, path, host), &st));
    if (!S_ISDIR(st.st_mode)) {
        mp_raise_OSError(ENOENT);
    }
    resolve(self, mp_obj_str_get_str(path), inner);
    self->cwd = copy_string(inner);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(chdir_obj, files_chdir);

static mp_obj_t files_getcwd(mp_obj_t self_in) {
    const struct files_object *self = MP_OBJ_TO_PTR(self_in);
    return mp_obj_new_str_from_cstr(self->cwd[0] != '\0' ? self->cwd : "/");
}
static MP_DEFINE_CONST_FUN_OBJ_1(getcwd_obj, files_getcwd);

static mp_obj_t entry_of(
        const char *directory, const char *name, const mp_obj_type_t *type) {
    char host[3 * PATH_MAX];
    struct stat st;
    snprintf(host, sizeof(host), "%s/%s", directory, name);
    if (stat(host, &st) != 0) {
        return MP_OBJ_NULL;
    }
    bool is_directory = S_ISDIR(st.st_mode);
    mp_obj_t items[] = {
            mp_obj_new_str_of_type(type, (const byte *)name, strlen(name)),
            MP_OBJ_NEW_SMALL_INT(is_directory ? MP_S_IFDIR : MP_S_IFREG),
            MP_OBJ_NEW_SMALL_INT(0),
            mp_obj_new_int_from_ull(
                    is_directory ? 0 : (unsigned long long)st.st_size),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}

// In the order of names, so that a run can be repeated.
static mp_obj_t files_ilistdir(mp_obj_t self, mp_obj_t path) {
    char host[2 * PATH_MAX];
    struct dirent **names = NULL;
    int count =
            scandir(host_path_of(self, path, host), &names, NULL, alphasort);
    if (count < 0) {
        mp_raise_OSError(errno);
    }
    const mp_obj_type_t *type = mp_obj_get_type(path);
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            mp_obj_t entry = entry_of(host, name, type);
            if (entry != MP_OBJ_NULL) {
                mp_obj_list_append(list, entry);
            }
        }
        free(names[i]);
    }
    free(names);
    return mp_getiter(list, NULL);
}
static MP_DEFINE_CONST_FUN_OBJ_2(ilistdir_obj, files_ilistdir);

static mp_obj_t files_mkdir(mp_obj_t self, mp_obj_t path) {
    char host[2 * PATH_MAX];
    check(mkdir(host_path_of(self, path, host), 0777));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(mkdir_obj, files_mkdir);

// Of a file or an empty directory alike, as littlefs has it.
static mp_obj_t files_remove(mp_obj_t self, mp_obj_t path) {
    char host[2 * PATH_MAX];
    check(remove(host_path_of(self, path, host)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(remove_obj, files_remove);

static mp_obj_t files_rename(mp_obj_t self, mp_obj_t from, mp_obj_t to) {
    char host_from[2 * PATH_MAX];
    char host_to[2 * PATH_MAX];
    check(rename(host_path_of(self, from, host_from),
            host_path_of(self, to, host_to)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(rename_obj, files_rename);

static mp_obj_t files_stat(mp_obj_t self, mp_obj_t path) {
    char host[2 * PATH_MAX];
    struct stat st;
    check(stat(host_path_of(self, path, host), &st));
    bool is_directory = S_ISDIR(st.st_mode);
    mp_obj_t zero = MP_OBJ_NEW_SMALL_INT(0);
    mp_obj_t mtime = mp_obj_new_int_from_ll(st.st_mtime - SECONDS_1970_TO_2000);
    mp_obj_t items[10] = {
            MP_OBJ_NEW_SMALL_INT(is_directory ? MP_S_IFDIR : MP_S_IFREG),
            zero,
            zero,
            zero,
            zero,
            zero,
            mp_obj_new_int_from_ull(
                    is_directory ? 0 : (unsigned long long)st.st_size),
            mtime,
            mtime,
            mtime,
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_2(stat_obj, files_stat);

// nftw has no argument for its callback.
static uint32_t blocks_used;

static int count_blocks(
        const char *path, const struct stat *st, int what, struct FTW *at) {
    (void)path;
    (void)at;
    blocks_used +=
            what == FTW_F ? (uint32_t)(((uint64_t)st->st_size + BLOCK_BYTES - 1)
                                       / BLOCK_BYTES)
                          : 2; // a directory is a pair of blocks
    return 0;
}

static mp_obj_t files_statvfs(mp_obj_t self_in, mp_obj_t path) {
    (void)path;
    const struct files_object *self = MP_OBJ_TO_PTR(self_in);
    const esp_partition_t *vfs = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, "vfs");
    uint32_t blocks = vfs != NULL ? vfs->size / BLOCK_BYTES : 0;
    blocks_used = 0;
    nftw(self->root, count_blocks, 16, FTW_PHYS);
    uint32_t unused = blocks > blocks_used ? blocks - blocks_used : 0;
    mp_obj_t zero = MP_OBJ_NEW_SMALL_INT(0);
    mp_obj_t items[10] = {
            MP_OBJ_NEW_SMALL_INT(BLOCK_BYTES),
            MP_OBJ_NEW_SMALL_INT(BLOCK_BYTES),
            MP_OBJ_NEW_SMALL_INT(blocks),
            MP_OBJ_NEW_SMALL_INT(unused),
            MP_OBJ_NEW_SMALL_INT(unused),
            zero,
            zero,
            zero,
            zero,
            MP_OBJ_NEW_SMALL_INT(NAME_BYTES_MAX),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_2(statvfs_obj, files_statvfs);

static const mp_rom_map_elem_t files_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_mount), MP_ROM_PTR(&mount_obj)},
        {MP_ROM_QSTR(MP_QSTR_umount), MP_ROM_PTR(&umount_obj)},
        {MP_ROM_QSTR(MP_QSTR_open), MP_ROM_PTR(&open_obj)},
        {MP_ROM_QSTR(MP_QSTR_chdir), MP_ROM_PTR(&chdir_obj)},
        {MP_ROM_QSTR(MP_QSTR_getcwd), MP_ROM_PTR(&getcwd_obj)},
        {MP_ROM_QSTR(MP_QSTR_ilistdir), MP_ROM_PTR(&ilistdir_obj)},
        {MP_ROM_QSTR(MP_QSTR_mkdir), MP_ROM_PTR(&mkdir_obj)},
        {MP_ROM_QSTR(MP_QSTR_remove), MP_ROM_PTR(&remove_obj)},
        {MP_ROM_QSTR(MP_QSTR_rmdir), MP_ROM_PTR(&remove_obj)},
        {MP_ROM_QSTR(MP_QSTR_rename), MP_ROM_PTR(&rename_obj)},
        {MP_ROM_QSTR(MP_QSTR_stat), MP_ROM_PTR(&stat_obj)},
        {MP_ROM_QSTR(MP_QSTR_statvfs), MP_ROM_PTR(&statvfs_obj)},
};
static MP_DEFINE_CONST_DICT(files_locals, files_locals_table);

static const mp_vfs_proto_t files_protocol = {
        .import_stat = files_import_stat,
};

MP_DEFINE_CONST_OBJ_TYPE(baton_files_type, MP_QSTR_VfsBoard, MP_TYPE_FLAG_NONE,
        make_new, files_make_new, protocol, &files_protocol, locals_dict,
        &files_locals);
