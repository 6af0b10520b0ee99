// `baton release prune`: deletes what no channel of a tree names any more.
// SPDX-License-Identifier: MIT
//
// What a file of the tree belongs to is told by its bytes alone: it has the
// name of its digest, and a payload's header that of the image it decodes to.
// Whatever is not known by that to be a release's own stays.
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "baton/base64.h"
#include "baton/codec.h"
#include "baton/error.h"
#include "baton/jws.h"
#include "cli.h"
#include "commands.h"
#include "release.h"

#define COMMAND "baton release prune"

struct digest {
    uint8_t bytes[BATON_SHA256_BYTES];
};

struct digests {
    struct digest *list;
    size_t count;
};

// A file that a release put there, and no channel names.
struct tree_file {
    char path[RELEASE_PATH_BYTES]; // within the tree
    struct digest digest;          // its own
    struct digest image;           // what it decodes to; a list: itself
    bool is_image;                 // raw
    struct timespec when;
    uint64_t bytes;
};

struct prune {
    const char *dir;
    uint32_t keep;
    bool is_dry;
    bool as_json;
    unsigned channels;
    const char *reading;   // the document
    struct digests named;  // by the channels: image, list, payloads
    struct digests bases;  // of their deltas
    struct digests images; // of earlier releases that stay, and their lists
    struct tree_file *files;
    size_t file_count;
    uint64_t freed;
    cJSON *removed;
};

static void print_help(void) {
    printf("Usage: " COMMAND " --dir TREE [OPTIONS]\n\n"
           "Deletes payloads and lists that no channel of the tree names. What "
           "belongs to the\nreleases before stays for some of them: for "
           "devices that are fetching it. Files\nthat 'baton release make' did "
           "not put there are left alone. Not while a release\nis being "
           "made.\n\n"
           "  --dir TREE   the folder of the releases\n"
           "  --keep N     earlier images to keep, the last ones of the tree "
           "(default 1)\n"
           "  --dry-run    only say what would go\n"
           "  --json       report as JSON\n\n"
           "Example:\n"
           "  " COMMAND " --dir www --keep 3 --dry-run\n\n"
           "Exit codes: 0 done, 1 refused, 2 wrong usage.\n");
}

static bool fail(const char *path) {
    fprintf(stderr, COMMAND ": %s: %s\n", path, strerror(errno));
    return false;
}

// ---- Digests

static bool add_digest(struct digests *self, const struct digest *digest) {
    struct digest *list =
            realloc(self->list, (self->count + 1) * sizeof(*list));
    if (list == NULL) {
        return fail("its digests");
    }
    list[self->count++] = *digest;
    self->list = list;
    return true;
}

static bool has_digest(
        const struct digests *self, const struct digest *digest) {
    for (size_t i = 0; i < self->count; i++) {
        if (memcmp(&self->list[i], digest, sizeof(*digest)) == 0) {
            return true;
        }
    }
    return false;
}

// ---- What the channels name

// Every "sha256" of a manifest, wherever it is: those that a later release of
// Baton adds, too.
static bool add_named(
        struct prune *self, const cJSON *value, struct digests *digests) {
    const cJSON *item;
    cJSON_ArrayForEach(item, value) {
        const char *name = item->string != NULL ? item->string : "";
        const char *text = cJSON_GetStringValue(item);
        struct digest digest;
        size_t len;
        if (text != NULL && strcmp(name, "sha256") == 0) {
            if (baton_base64_decode(
                        text, strlen(text), digest.bytes, sizeof(digest), &len)
                            != 0
                    || len != sizeof(digest)) {
                cli_refuse(COMMAND, self->reading, BATON_ERR_MANIFEST_FORMAT);
                return false;
            }
            if (!add_digest(digests, &digest)) {
                return false;
            }
        }
        bool is_base = strcmp(name, "base") == 0;
        if (!add_named(self, item, is_base ? &self->bases : digests)) {
            return false;
        }
    }
    return true;
}

static bool add_document(struct prune *self, const char *path) {
    struct release_document document;
    if (!release_document_read(COMMAND, path, &document)) {
        return false;
    }
    bool ok = true;
    self->reading = path;
    if (strcmp(document.type, BATON_JWS_TYPE_RELEASE) == 0) {
        self->channels++;
        ok = add_named(self, document.payload, &self->named);
    } else if (strcmp(document.type, BATON_JWS_TYPE_KEYS) != 0) {
        cli_refuse(COMMAND, path, BATON_ERR_JWS_TYPE);
        ok = false;
    }
    release_document_free(&document);
    return ok;
}

static bool ends_with(const char *text, const char *suffix) {
    size_t len = strlen(text);
    size_t count = strlen(suffix);
    return len >= count && strcmp(text + len - count, suffix) == 0;
}

// Calls `take` for each name in a folder; one that is missing is empty.
static bool for_each(struct prune *self, const char *folder,
        bool (*take)(
                struct prune *self, const char *folder, const char *name)) {
    char *path = release_join(self->dir, folder);
    DIR *entries = path != NULL ? opendir(path) : NULL;
    bool ok = entries != NULL
              || (path != NULL && errno == ENOENT && folder[0] != '.')
              || fail(path != NULL ? path : folder);
    const struct dirent *entry;
    while (ok && entries != NULL && (entry = readdir(entries)) != NULL) {
        ok = take(self, folder, entry->d_name);
    }
    if (entries != NULL) {
        closedir(entries);
    }
    free(path);
    return ok;
}

// One that cannot be read might name anything: then nothing is deleted.
static bool take_document(
        struct prune *self, const char *folder, const char *name) {
    (void)folder;
    if (!ends_with(name, ".jws")) {
        return true;
    }
    char *path = release_join(self->dir, name);
    bool ok = path != NULL && add_document(self, path);
    free(path);
    return ok;
}

static bool read_channels(struct prune *self) {
    if (!for_each(self, ".", take_document)) {
        return false;
    }
    if (self->channels == 0) {
        fprintf(stderr,
                COMMAND ": %s: there is no release in it\n  next: give the "
                        "folder that 'baton release make --dir' made\n",
                self->dir);
    }
    return self->channels != 0;
}

// ---- What is there

static bool parse_digest(const char *name, struct digest *digest) {
    if (strspn(name, "0123456789abcdef") != 2 * sizeof(*digest)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(*digest); i++) {
        char digits[3] = {name[2 * i], name[2 * i + 1], 0};
        digest->bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

// By its bytes: is it what its name says, and of which image?
static bool is_own(struct tree_file *file, const uint8_t *data, size_t len) {
    struct digest digest;
    struct baton_codec_info info;
    if (!release_sha256(data, len, digest.bytes)
            || memcmp(digest.bytes, file->digest.bytes, sizeof(digest)) != 0) {
        return false;
    }
    file->image = file->digest;
    if (ends_with(file->path, ".packed") || ends_with(file->path, ".delta")) {
        if (baton_codec_header_read(data, len, &info) != 0) {
            return false;
        }
        memcpy(&file->image, info.new_sha256, sizeof(file->image));
    }
    return true;
}

static bool add_file(struct prune *self, const struct tree_file *file) {
    struct tree_file *files =
            realloc(self->files, (self->file_count + 1) * sizeof(*self->files));
    if (files == NULL) {
        return fail(file->path);
    }
    files[self->file_count++] = *file;
    self->files = files;
    return true;
}

static bool take_file(
        struct prune *self, const char *folder, const char *name) {
    struct tree_file file = {.is_image = ends_with(name, ".raw")};
    bool is_list = strcmp(folder, "lists") == 0;
    const char *suffix = name + strcspn(name, ".");
    if (!parse_digest(name, &file.digest)
            || has_digest(&self->named, &file.digest)
            || suffix != name + 2 * sizeof(file.digest)
            || (is_list ? suffix[0] != 0
                        : !file.is_image && strcmp(suffix, ".packed") != 0
                                    && strcmp(suffix, ".delta") != 0)) {
        return true;
    }
    snprintf(file.path, sizeof(file.path), "%s/%s", folder, name);
    char *path = release_join(self->dir, file.path);
    struct stat st;
    uint8_t *data = NULL;
    size_t len;
    bool ok = path != NULL && (lstat(path, &st) == 0 || fail(path));
    if (ok && S_ISREG(st.st_mode)) {
        ok = cli_read_file(path, &data, &len);
        file.when = st.st_mtim;
        file.bytes = (uint64_t)st.st_size;
        if (ok && is_own(&file, data, len)) {
            ok = add_file(self, &file);
        }
        free(data);
    }
    free(path);
    return ok;
}

// ---- What stays

// The last first; of one moment, by name.
static int compare_age(const void *a, const void *b) {
    const struct tree_file *x = a;
    const struct tree_file *y = b;
    if (x->when.tv_sec != y->when.tv_sec) {
        return x->when.tv_sec < y->when.tv_sec ? 1 : -1;
    }
    if (x->when.tv_nsec != y->when.tv_nsec) {
        return x->when.tv_nsec < y->when.tv_nsec ? 1 : -1;
    }
    return strcmp(x->path, y->path);
}

// An earlier image, and the list that was published with it.
static bool keep_image(struct prune *self, const struct tree_file *file) {
    struct digest digest;
    uint8_t *data;
    size_t len;
    size_t list_len;
    char *path = release_join(self->dir, file->path);
    bool ok = path != NULL && cli_read_file(path, &data, &len);
    free(path);
    if (!ok) {
        return false;
    }
    uint8_t *list = release_make_list(data, len, &list_len);
    ok = list != NULL && release_sha256(list, list_len, digest.bytes)
         && add_digest(&self->images, &digest)
         && add_digest(&self->images, &file->digest);
    free(list);
    free(data);
    return ok;
}

static bool keep_images(struct prune *self) {
    uint32_t kept = 0;
    qsort(self->files, self->file_count, sizeof(*self->files), compare_age);
    for (size_t i = 0; i < self->file_count && kept < self->keep; i++) {
        const struct tree_file *file = &self->files[i];
        if (file->is_image) {
            kept++;
            if (!keep_image(self, file)) {
                return false;
            }
        }
    }
    return true;
}

static bool stays(const struct prune *self, const struct tree_file *file) {
    return has_digest(&self->bases, &file->digest)
           || has_digest(&self->images, &file->image);
}

// ---- The command

static bool prune(struct prune *self) {
    for (size_t i = 0; i < self->file_count; i++) {
        const struct tree_file *file = &self->files[i];
        if (stays(self, file)) {
            continue;
        }
        char *path = release_join(self->dir, file->path);
        bool ok = path != NULL
                  && (self->is_dry || unlink(path) == 0 || fail(path));
        free(path);
        if (!ok) {
            return false;
        }
        self->freed += file->bytes;
        cJSON_AddItemToArray(self->removed, cJSON_CreateString(file->path));
    }
    return true;
}

static void report(const struct prune *self) {
    const cJSON *item;
    if (self->as_json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddTrueToObject(json, "ok");
        cJSON_AddBoolToObject(json, "dry_run", self->is_dry);
        cJSON_AddItemReferenceToObject(json, "removed", self->removed);
        cJSON_AddNumberToObject(json, "bytes", (double)self->freed);
        char *text = cJSON_PrintUnformatted(json);
        printf("%s\n", text != NULL ? text : "{}");
        free(text);
        cJSON_Delete(json);
    } else if (self->is_dry) {
        cJSON_ArrayForEach(item, self->removed) {
            printf("%s/%s\n", self->dir, item->valuestring);
        }
    }
}

static bool parse_options(
        struct prune *self, int argc, char **argv, int *code) {
    static const struct option options[] = {
            {"dir", required_argument, NULL, 'd'},
            {"keep", required_argument, NULL, 'k'},
            {"dry-run", no_argument, NULL, 'n'},
            {"json", no_argument, NULL, 'j'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int option;
    *code = CLI_USAGE;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            self->dir = optarg;
            break;
        case 'k':
            if (!cli_parse_u32("--keep", optarg, &self->keep)) {
                return false;
            }
            break;
        case 'n':
            self->is_dry = true;
            break;
        case 'j':
            self->as_json = true;
            cli_refuse_in_json();
            break;
        case 'h':
            print_help();
            *code = CLI_OK;
            return false;
        default:
            cli_usage(COMMAND, "wrong option");
            return false;
        }
    }
    if (optind != argc || self->dir == NULL) {
        cli_usage(COMMAND, "give --dir");
        return false;
    }
    return true;
}

int cmd_release_prune(int argc, char **argv) {
    static struct prune self = {.keep = 1};
    int code;
    if (!parse_options(&self, argc, argv, &code)) {
        return code;
    }
    self.removed = cJSON_CreateArray();
    bool ok = read_channels(&self) && for_each(&self, "payloads", take_file)
              && for_each(&self, "lists", take_file) && keep_images(&self)
              && prune(&self);
    if (ok) {
        report(&self);
    }
    cJSON_Delete(self.removed);
    free(self.named.list);
    free(self.bases.list);
    free(self.images.list);
    free(self.files);
    return ok ? CLI_OK : CLI_REFUSED;
}
