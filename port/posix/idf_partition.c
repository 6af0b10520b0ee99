// ESP-IDF's partition functions: the table in memory, and bytes by partition.
// SPDX-License-Identifier: MIT
#include "baton-idf/esp_partition.h"

#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "baton/table.h"
#include "baton-idf/esp_image_format.h"
#include "idf_state.h"

#define SECTOR_BYTES 4096u
#define COPY_BYTES   4096u

struct node {
    esp_partition_t info; // first: a partition's pointer is its node's
    bool is_external;
    struct node *next;
};

struct esp_partition_iterator_opaque_ {
    esp_partition_type_t type;
    esp_partition_subtype_t subtype;
    const char *label;
    const esp_partition_t *info;
    struct node *next;
};

struct mapping {
    esp_partition_mmap_handle_t handle;
    void *bytes;
    struct mapping *next;
};

static struct node *partitions;
static struct mapping *mappings;
static esp_partition_mmap_handle_t last_mapping;

static void free_nodes(struct node *head) {
    while (head != NULL) {
        struct node *next = head->next;
        free(head);
        head = next;
    }
}

void baton_idf_partition_reset(void) {
    esp_partition_unload_all();
    while (mappings != NULL) {
        esp_partition_munmap(mappings->handle);
    }
}

void esp_partition_unload_all(void) {
    // The running partition is remembered by a pointer into the list.
    baton_idf_boot_reset();
    free_nodes(partitions);
    partitions = NULL;
}

static bool is_always_encrypted(const struct baton_partition *row) {
    return row->type == BATON_TYPE_APP || row->type == BATON_TYPE_BOOTLOADER
           || row->type == BATON_TYPE_TABLE
           || (row->type == BATON_TYPE_DATA
                   && (row->subtype == ESP_PARTITION_SUBTYPE_DATA_OTA
                           || row->subtype == ESP_PARTITION_SUBTYPE_DATA_TEE_OTA
                           || row->subtype
                                      == ESP_PARTITION_SUBTYPE_DATA_NVS_KEYS));
}

static struct node *make_node(const struct baton_partition *row) {
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    esp_partition_t *info = &node->info;
    info->flash_chip = esp_flash_default_chip;
    info->type = (esp_partition_type_t)row->type;
    info->subtype = (esp_partition_subtype_t)row->subtype;
    info->address = row->addr;
    info->size = row->size_bytes;
    info->erase_size = SECTOR_BYTES;
    memcpy(info->label, row->label, sizeof(info->label));
    info->encrypted = esp_flash_encryption_enabled()
                      && ((row->flags & BATON_PARTITION_ENCRYPTED) != 0
                              || is_always_encrypted(row));
    info->readonly = (row->flags & BATON_PARTITION_READONLY) != 0;
    return node;
}

// The MD5 row, as it stands after the rows it covers.
static bool is_md5_row(const uint8_t row[BATON_TABLE_ROW_BYTES]) {
    return row[0] == 0xEB && row[1] == 0xEB;
}

// Reads rows up to the first without a row's magic, which has to be the MD5 of
// those before it. Unlike the bootloader, the application looks no further.
static esp_err_t load_rows(struct node **head) {
    const struct baton_crypto *crypto = baton_idf_state.config.crypto;
    struct baton_hash_state hash;
    if (crypto->hash_start(crypto->context, &hash, BATON_HASH_MD5) != 0) {
        return ESP_FAIL;
    }
    struct node **tail = head;
    for (uint32_t off = 0; off < SECTOR_BYTES; off += BATON_TABLE_ROW_BYTES) {
        uint8_t raw[BATON_TABLE_ROW_BYTES];
        esp_err_t err = esp_flash_read(NULL, raw,
                baton_idf_state.config.table_addr + off, sizeof(raw));
        if (err != ESP_OK) {
            return err;
        }
        if (is_md5_row(raw)) {
            uint8_t md5[BATON_MD5_BYTES];
            if (crypto->hash_finish(crypto->context, &hash, md5) != 0) {
                return ESP_FAIL;
            }
            return memcmp(md5, raw + ESP_PARTITION_MD5_OFFSET, sizeof(md5)) == 0
                           ? ESP_OK
                           : ESP_ERR_INVALID_STATE;
        }
        struct baton_partition row;
        if (baton_table_decode_row(raw, &row) != 0) {
            break;
        }
        *tail = make_node(&row);
        if (*tail == NULL) {
            return ESP_ERR_NO_MEM;
        }
        tail = &(*tail)->next;
        if (crypto->hash_update(crypto->context, &hash, raw, sizeof(raw))
                != 0) {
            return ESP_FAIL;
        }
    }
    return ESP_ERR_NOT_FOUND;
}

// A row of ones in type and subtype, past the first row, ends a table.
static bool is_end_row(const esp_partition_info_t *row, int index) {
    return row->magic == 0xFFFF && row->type == 0xFF && row->subtype == 0xFF
           && index > 0;
}

static bool has_md5(const esp_partition_info_t *rows, int count) {
    const struct baton_crypto *crypto = baton_idf_state.config.crypto;
    struct baton_hash_state hash;
    uint8_t md5[BATON_MD5_BYTES];
    const uint8_t *stored =
            (const uint8_t *)&rows[count] + ESP_PARTITION_MD5_OFFSET;
    return crypto->hash_start(crypto->context, &hash, BATON_HASH_MD5) == 0
           && crypto->hash_update(crypto->context, &hash, rows,
                      (size_t)count * sizeof(*rows))
                      == 0
           && crypto->hash_finish(crypto->context, &hash, md5) == 0
           && memcmp(md5, stored, sizeof(md5)) == 0;
}

esp_err_t esp_partition_table_verify(
        const esp_partition_info_t *partition_table, bool log_errors,
        int *num_partitions) {
    (void)log_errors;
    *num_partitions = 0;
    uint32_t chip_bytes;
    esp_err_t err = esp_flash_get_size(NULL, &chip_bytes);
    if (err != ESP_OK) {
        return err;
    }
    int md5_rows = 0;
    for (int i = 0; i < ESP_PARTITION_TABLE_MAX_ENTRIES; i++) {
        const esp_partition_info_t *row = &partition_table[i];
        if (row->magic == ESP_PARTITION_MAGIC) {
            if (row->pos.offset > chip_bytes
                    || row->pos.size > chip_bytes - row->pos.offset) {
                return ESP_ERR_INVALID_SIZE;
            }
        } else if (row->magic == ESP_PARTITION_MAGIC_MD5) {
            if (md5_rows++ > 0 || !has_md5(partition_table, i)) {
                return ESP_ERR_INVALID_STATE;
            }
        } else if (is_end_row(row, i)) {
            *num_partitions = i - md5_rows;
            return ESP_OK;
        } else {
            return ESP_ERR_INVALID_STATE;
        }
    }
    return ESP_ERR_INVALID_STATE;
}

static esp_err_t load_table(void) {
    if (baton_idf_state.config.flash == NULL) {
        return ESP_ERR_FLASH_NOT_INITIALISED;
    }
    if (partitions != NULL) {
        return ESP_OK;
    }
    struct node *head = NULL;
    esp_err_t err = load_rows(&head);
    if (err != ESP_OK) {
        free_nodes(head);
        return err;
    }
    partitions = head;
    return ESP_OK;
}

static bool matches(
        const struct esp_partition_iterator_opaque_ *it, const struct node *n) {
    return (it->type == ESP_PARTITION_TYPE_ANY || it->type == n->info.type)
           && (it->subtype == ESP_PARTITION_SUBTYPE_ANY
                   || it->subtype == n->info.subtype)
           && (it->label == NULL || strcmp(it->label, n->info.label) == 0);
}

esp_partition_iterator_t esp_partition_find(esp_partition_type_t type,
        esp_partition_subtype_t subtype, const char *label) {
    if (load_table() != ESP_OK) {
        return NULL;
    }
    if (type == ESP_PARTITION_TYPE_ANY
            && subtype != ESP_PARTITION_SUBTYPE_ANY) {
        return NULL;
    }
    esp_partition_iterator_t it = calloc(1, sizeof(*it));
    if (it == NULL) {
        return NULL;
    }
    it->type = type;
    it->subtype = subtype;
    it->label = label;
    it->next = partitions;
    return esp_partition_next(it);
}

esp_partition_iterator_t esp_partition_next(esp_partition_iterator_t iterator) {
    if (iterator == NULL) {
        baton_idf_fatal("esp_partition_next: iterator is NULL");
        return NULL;
    }
    while (iterator->next != NULL && !matches(iterator, iterator->next)) {
        iterator->next = iterator->next->next;
    }
    if (iterator->next == NULL) {
        esp_partition_iterator_release(iterator);
        return NULL;
    }
    iterator->info = &iterator->next->info;
    iterator->next = iterator->next->next;
    return iterator;
}

void esp_partition_iterator_release(esp_partition_iterator_t iterator) {
    free(iterator);
}

const esp_partition_t *esp_partition_get(esp_partition_iterator_t iterator) {
    if (iterator == NULL) {
        baton_idf_fatal("esp_partition_get: iterator is NULL");
        return NULL;
    }
    return iterator->info;
}

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
        esp_partition_subtype_t subtype, const char *label) {
    esp_partition_iterator_t it = esp_partition_find(type, subtype, label);
    if (it == NULL) {
        return NULL;
    }
    const esp_partition_t *found = esp_partition_get(it);
    esp_partition_iterator_release(it);
    return found;
}

const esp_partition_t *esp_partition_verify(const esp_partition_t *partition) {
    if (partition == NULL) {
        baton_idf_fatal("esp_partition_verify: partition is NULL");
        return NULL;
    }
    const char *label = partition->label[0] != '\0' ? partition->label : NULL;
    esp_partition_iterator_t it =
            esp_partition_find(partition->type, partition->subtype, label);
    while (it != NULL) {
        const esp_partition_t *p = esp_partition_get(it);
        if (p->flash_chip == partition->flash_chip
                && p->address == partition->address
                && p->size == partition->size
                && p->encrypted == partition->encrypted) {
            esp_partition_iterator_release(it);
            return p;
        }
        it = esp_partition_next(it);
    }
    return NULL;
}

static esp_err_t check_range(
        const esp_partition_t *partition, size_t offset, size_t size) {
    if (offset > partition->size) {
        return ESP_ERR_INVALID_ARG;
    }
    return size > partition->size - offset ? ESP_ERR_INVALID_SIZE : ESP_OK;
}

static esp_err_t check_write(
        const esp_partition_t *partition, size_t offset, size_t size) {
    if (partition == NULL) {
        baton_idf_fatal("esp_partition: partition is NULL");
        return ESP_ERR_INVALID_STATE;
    }
    if (partition->readonly) {
        return ESP_ERR_NOT_ALLOWED;
    }
    return check_range(partition, offset, size);
}

esp_err_t esp_partition_read_raw(const esp_partition_t *partition,
        size_t src_offset, void *dst, size_t size) {
    if (partition == NULL) {
        baton_idf_fatal("esp_partition_read: partition is NULL");
        return ESP_ERR_INVALID_STATE;
    }
    esp_err_t err = check_range(partition, src_offset, size);
    if (err != ESP_OK) {
        return err;
    }
    return esp_flash_read(partition->flash_chip, dst,
            partition->address + (uint32_t)src_offset, (uint32_t)size);
}

esp_err_t esp_partition_read(const esp_partition_t *partition,
        size_t src_offset, void *dst, size_t size) {
    return esp_partition_read_raw(partition, src_offset, dst, size);
}

esp_err_t esp_partition_write_raw(const esp_partition_t *partition,
        size_t dst_offset, const void *src, size_t size) {
    esp_err_t err = check_write(partition, dst_offset, size);
    if (err != ESP_OK) {
        return err;
    }
    return esp_flash_write(partition->flash_chip, src,
            partition->address + (uint32_t)dst_offset, (uint32_t)size);
}

esp_err_t esp_partition_write(const esp_partition_t *partition,
        size_t dst_offset, const void *src, size_t size) {
    if (partition == NULL || !partition->encrypted) {
        return esp_partition_write_raw(partition, dst_offset, src, size);
    }
    esp_err_t err = check_write(partition, dst_offset, size);
    if (err != ESP_OK) {
        return err;
    }
    return esp_flash_write_encrypted(partition->flash_chip,
            partition->address + (uint32_t)dst_offset, src, (uint32_t)size);
}

esp_err_t esp_partition_erase_range(
        const esp_partition_t *partition, size_t offset, size_t size) {
    esp_err_t err = check_write(partition, offset, size);
    if (err != ESP_OK) {
        return err;
    }
    if (size % SECTOR_BYTES != 0) {
        return ESP_ERR_INVALID_SIZE;
    }
    if (offset % SECTOR_BYTES != 0) {
        return ESP_ERR_INVALID_ARG;
    }
    return esp_flash_erase_region(partition->flash_chip,
            partition->address + (uint32_t)offset, (uint32_t)size);
}

static esp_err_t copy_bytes(const esp_partition_t *dest, uint32_t dest_offset,
        const esp_partition_t *src, uint32_t src_offset, uint32_t len) {
    uint8_t buf[COPY_BYTES];
    while (len > 0) {
        uint32_t step = len < sizeof(buf) ? len : (uint32_t)sizeof(buf);
        esp_err_t err = esp_partition_read(src, src_offset, buf, step);
        if (err == ESP_OK) {
            err = esp_partition_write(dest, dest_offset, buf, step);
        }
        if (err != ESP_OK) {
            return err;
        }
        src_offset += step;
        dest_offset += step;
        len -= step;
    }
    return ESP_OK;
}

esp_err_t esp_partition_copy(const esp_partition_t *dest_part,
        uint32_t dest_offset, const esp_partition_t *src_part,
        uint32_t src_offset, size_t size) {
    if (src_part == NULL || dest_part == NULL || src_part == dest_part) {
        return ESP_ERR_INVALID_ARG;
    }
    if (src_offset > src_part->size || dest_offset > dest_part->size) {
        return ESP_ERR_INVALID_SIZE;
    }
    size_t erase_size = size;
    // On the chip size_t has 32 bits: SIZE_MAX there has to mean it here.
    if (size == SIZE_MAX || size == UINT32_MAX) {
        size = src_part->size - src_offset;
        erase_size = dest_part->size - dest_offset;
    }
    if (size > src_part->size - src_offset
            || size > dest_part->size - dest_offset) {
        return ESP_ERR_INVALID_SIZE;
    }
    erase_size += (0u - erase_size) % SECTOR_BYTES;
    esp_err_t err =
            esp_partition_erase_range(dest_part, dest_offset, erase_size);
    if (err != ESP_OK) {
        return err;
    }
    return copy_bytes(
            dest_part, dest_offset, src_part, src_offset, (uint32_t)size);
}

esp_err_t esp_partition_mmap(const esp_partition_t *partition, size_t offset,
        size_t size, esp_partition_mmap_memory_t memory, const void **out_ptr,
        esp_partition_mmap_handle_t *out_handle) {
    (void)memory;
    if (partition == NULL) {
        baton_idf_fatal("esp_partition_mmap: partition is NULL");
        return ESP_ERR_INVALID_STATE;
    }
    esp_err_t err = check_range(partition, offset, size);
    if (err != ESP_OK) {
        return err;
    }
    struct mapping *mapping = calloc(1, sizeof(*mapping));
    void *bytes = malloc(size > 0 ? size : 1);
    if (mapping == NULL || bytes == NULL) {
        free(mapping);
        free(bytes);
        return ESP_ERR_NO_MEM;
    }
    err = esp_partition_read(partition, offset, bytes, size);
    if (err != ESP_OK) {
        free(mapping);
        free(bytes);
        return err;
    }
    *mapping = (struct mapping){
            .handle = ++last_mapping, .bytes = bytes, .next = mappings};
    mappings = mapping;
    *out_ptr = bytes;
    *out_handle = mapping->handle;
    return ESP_OK;
}

void esp_partition_munmap(esp_partition_mmap_handle_t handle) {
    for (struct mapping **at = &mappings; *at != NULL; at = &(*at)->next) {
        struct mapping *mapping = *at;
        if (mapping->handle == handle) {
            *at = mapping->next;
            free(mapping->bytes);
            free(mapping);
            return;
        }
    }
}

static esp_err_t hash_flash(uint32_t addr, uint32_t len, uint8_t *digest) {
    const struct baton_crypto *crypto = baton_idf_state.config.crypto;
    struct baton_hash_state hash;
    if (crypto->hash_start(crypto->context, &hash, BATON_HASH_SHA256) != 0) {
        return ESP_FAIL;
    }
    uint8_t buf[COPY_BYTES];
    while (len > 0) {
        uint32_t step = len < sizeof(buf) ? len : (uint32_t)sizeof(buf);
        if (esp_flash_read(NULL, buf, addr, step) != ESP_OK
                || crypto->hash_update(crypto->context, &hash, buf, step)
                           != 0) {
            return ESP_FAIL;
        }
        addr += step;
        len -= step;
    }
    return crypto->hash_finish(crypto->context, &hash, digest) == 0 ? ESP_OK
                                                                    : ESP_FAIL;
}

esp_err_t esp_partition_get_sha256(
        const esp_partition_t *partition, uint8_t *sha_256) {
    if (partition == NULL) {
        baton_idf_fatal("esp_partition_get_sha256: partition is NULL");
        return ESP_ERR_INVALID_STATE;
    }
    if (sha_256 == NULL || partition->size == 0) {
        return ESP_ERR_INVALID_ARG;
    }
    uint32_t len = partition->size;
    if (partition->type == ESP_PARTITION_TYPE_APP) {
        esp_image_metadata_t data;
        const esp_partition_pos_t pos = {partition->address, partition->size};
        if (esp_image_verify(ESP_IMAGE_VERIFY_SILENT, &pos, &data) != ESP_OK) {
            return ESP_ERR_IMAGE_INVALID;
        }
        if (data.image.hash_appended != 0) {
            memcpy(sha_256, data.image_digest, sizeof(data.image_digest));
            return ESP_OK;
        }
        len = data.image_len;
    }
    return hash_flash(partition->address, len, sha_256);
}

bool esp_partition_check_identity(const esp_partition_t *partition_1,
        const esp_partition_t *partition_2) {
    uint8_t first[BATON_SHA256_BYTES];
    uint8_t second[BATON_SHA256_BYTES];
    return esp_partition_get_sha256(partition_1, first) == ESP_OK
           && esp_partition_get_sha256(partition_2, second) == ESP_OK
           && memcmp(first, second, sizeof(first)) == 0;
}

esp_err_t esp_partition_register_external(esp_flash_t *flash_chip,
        size_t offset, size_t size, const char *label,
        esp_partition_type_t type, esp_partition_subtype_t subtype,
        const esp_partition_t **out_partition) {
    if (out_partition != NULL) {
        *out_partition = NULL;
    }
    uint32_t chip_bytes;
    esp_err_t err = esp_flash_get_size(flash_chip, &chip_bytes);
    if (err != ESP_OK) {
        return err;
    }
    if (offset > chip_bytes || size > chip_bytes - offset) {
        return ESP_ERR_INVALID_SIZE;
    }
    err = load_table();
    if (err != ESP_OK) {
        return err;
    }
    struct node **tail = &partitions;
    for (; *tail != NULL; tail = &(*tail)->next) {
        const esp_partition_t *p = &(*tail)->info;
        if (offset < p->address + p->size && p->address < offset + size) {
            return ESP_ERR_INVALID_ARG;
        }
    }
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return ESP_ERR_NO_MEM;
    }
    node->is_external = true;
    node->info.flash_chip = flash_chip;
    node->info.type = type;
    node->info.subtype = subtype;
    node->info.address = (uint32_t)offset;
    node->info.size = (uint32_t)size;
    node->info.erase_size = SECTOR_BYTES;
    strncpy(node->info.label, label, sizeof(node->info.label) - 1);
    *tail = node;
    if (out_partition != NULL) {
        *out_partition = &node->info;
    }
    return ESP_OK;
}

esp_err_t esp_partition_deregister_external(const esp_partition_t *partition) {
    for (struct node **at = &partitions; *at != NULL; at = &(*at)->next) {
        struct node *node = *at;
        if (&node->info != partition) {
            continue;
        }
        if (!node->is_external) {
            return ESP_ERR_INVALID_ARG;
        }
        *at = node->next;
        free(node);
        return ESP_OK;
    }
    return ESP_ERR_NOT_FOUND;
}
