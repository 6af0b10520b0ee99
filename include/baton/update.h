// Writing a new image to the slot that is not running.
// SPDX-License-Identifier: MIT
//
// An update goes through begin, any number of writes, and end. While it is
// under way the slot's first 32 bytes (the image header) stay erased, so that a
// half-written slot can never pass for an image; `end` reads the whole image
// back, verifies it, and only then programs them. Nothing here changes which
// slot boots: call baton_slots_switch after `end`.
//
//   idle --begin--> writing --end--> done
//                      |  any error        (an error sticks; abort or a new
//                      v                    begin leaves it)
//                    failed
//
// Sectors are compared before they are erased: one that already holds the
// right bytes is left alone, except
// - the slot's first sector, which every update erases before it writes
//   anything else;
// - a sector that is to be all 0xFF: blank is believed only where this update
//   erased it, as an interrupted erase can read blank and be weak;
// - the sector that may have been in flight when an earlier update of this
//   slot was cut short. Where the update comes in order and work has room for a
//   sector more it finds that out itself: the last right one before the first
//   that differs. Else it is the one at suspect_off or resume_off;
// - whatever is written with `keep`: the caller has compared.
#ifndef BATON_UPDATE_H
#define BATON_UPDATE_H

#include "baton/image.h"

// Bytes of the image held back until the rest is verified.
#define BATON_UPDATE_HEAD_BYTES 32u

struct baton_update_config {
    const struct baton_flash *flash;
    const struct baton_crypto *crypto;
    const struct baton_chip *chip;

    uint32_t slot_addr; // sector-aligned
    uint32_t slot_bytes;
    uint32_t running_addr; // of the partition that runs; never written
    uint32_t running_bytes;

    uint32_t image_bytes; // length of the file; 0: not known
    uint32_t resume_off; // sector-aligned: first byte that will be written when
                         // an update that was cut short goes on; 0: from the
                         // start

    // Sector-aligned: the sector that was in flight, where a caller that goes
    // on earlier knows it; 0: the one at resume_off.
    uint32_t suspect_off;

    // The image's first 32 bytes, kept by the caller from an update that was
    // cut short (baton_update_head): the slot's first sector is then complete
    // but for them, and is not written again. NULL: none; then the first sector
    // has to be written again. Only with resume_off not 0.
    const uint8_t *resume_head;

    // SHA-256 of the whole file, checked in `end`; NULL: none known. With it
    // an image without an appended digest is accepted.
    const uint8_t *sha256;

    // Sectors that hold the right bytes already and will not be written: one
    // bit for each, from the lowest; NULL: not known. With it the larger erase
    // command is used also after a restart and between gaps, wherever it hits
    // none of them.
    const uint8_t *keep;

    // Never use the larger erase command (it stops the chip for about 150 ms).
    bool no_block_erase;

    // Whole sectors that gather before they are written, to where the address
    // is a multiple of it; 0: one. Where each command costs more than its bytes,
    // as many as the larger erase command takes serve best. That much is lost
    // by a cut.
    uint32_t gather_bytes;

    void *work;      // gather_bytes, or one sector; better another one behind
    size_t work_len; // bytes
};

struct baton_update_stats {
    uint32_t sectors_skipped; // held the right bytes already
    uint32_t sectors_erased;  // by the small erase command
    uint32_t blocks_erased;   // by the large one
    uint32_t bytes_programmed;
};

// One update. Fields are private; the caller keeps it, and what the config
// points at, until the update is over.
struct baton_update {
    struct baton_update_config config;
    uint32_t off;         // where the next byte of `write` goes
    uint32_t fill;        // bytes in the buffer
    uint32_t erased_from; // this update erased [erased_from, erased_to) and
    uint32_t erased_to;   // has not programmed it
    uint32_t held_off;    // sector kept in the second buffer, or UINT32_MAX
    uint32_t sector_bytes;
    uint32_t block_bytes;
    uint32_t gather_bytes;
    uint32_t end_at;    // `end`: bytes verified in this pass
    uint32_t end_limit; // and where it ends
    int status;
    uint8_t state;
    bool started;     // the first sector was erased
    bool have_head;   // head holds the image's first bytes
    bool was_clean;   // the slot held a header at begin
    bool differed;    // a sector that differs was seen
    bool checked;     // the first bytes were judged
    bool first_blank; // the first sector is erased and not yet programmed
    bool sequential;  // no write_at so far
    struct baton_update_stats stats;
    struct baton_image_config image_config;
    uint8_t head[BATON_UPDATE_HEAD_BYTES];
    struct baton_image image; // the largest comes last
};

// Starts an update. Nothing is erased yet.
//
// Flash       one read of 24 bytes
// Returns     0, BATON_ERR_ARG (alignment, sizes, missing callbacks or work),
//             BATON_ERR_RUNNING_SLOT (the slot overlaps the running one),
//             BATON_ERR_IMAGE_TOO_LARGE (image_bytes), BATON_ERR_RANGE,
//             BATON_ERR_IO
int baton_update_begin(
        struct baton_update *self, const struct baton_update_config *config);

// Writes the next bytes: from resume_off on, or after the last write.
//
// data, len   borrowed for the call; any length, 0 allowed
// Flash       when the buffer is full, for each of its sectors: a read, at most
//             one erase command (and one more for the slot's first sector
//             before the first sector that is written), a program, which is
//             one for all sectors of a block that was erased. A wrong image is
//             refused when its first 288 bytes are in, before the first erase
// Power loss  what was written stays; go on with resume_off
// Returns     0; all of baton_image_check; BATON_ERR_IMAGE_TOO_LARGE (past the
//             slot), BATON_ERR_RANGE (past image_bytes), BATON_ERR_STATE, BATON_ERR_READBACK, BATON_ERR_NOR,
//             BATON_ERR_RANGE, BATON_ERR_IO
int baton_update_write(struct baton_update *self, const void *data, size_t len);

// Writes at an offset, in any order. A call goes on where the last one ended,
// or begins on a sector; a sector is left only when it is complete, or is the
// image's last. When other sectors come before the first one, a wrong image is
// refused only when that one arrives, after their erases.
//
// Returns     as baton_update_write, and BATON_ERR_ARG (offset)
int baton_update_write_at(
        struct baton_update *self, uint32_t off, const void *data, size_t len);

// Writes the whole sectors that have gathered, where more than one does: for
// when the next bytes may be long in coming.
//
// Flash, Returns  as baton_update_write
int baton_update_flush(struct baton_update *self);

// Reads the image back, verifies all of it, and makes it whole by programming
// its first 32 bytes. After 0 the slot may be switched to.
//
// Flash       writes what is left of the last sector, reads the image, one
//             program of 32 bytes
// Power loss  before that program the slot holds no image; during it the slot
//             holds none or all of it, and is not yet switched to
// Returns     0; all of baton_image_push; BATON_ERR_IMAGE_TRUNCATED,
//             BATON_ERR_INCOMPLETE (shorter than image_bytes, or the first
//             sector was never written), BATON_ERR_IMAGE_SHA256,
//             BATON_ERR_STATE, and those of baton_update_write
int baton_update_end(struct baton_update *self);

// baton_update_end_step has more to do.
#define BATON_UPDATE_MORE 1

// As baton_update_end, a buffer at a time: call it until it returns something
// else than BATON_UPDATE_MORE. In between nothing but an abort is allowed.
//
// Flash       the first call writes what is left of the last sector; each
//             fills the buffer at most once, and by no more than 16 KiB; the
//             last programs 32 bytes
// Returns     BATON_UPDATE_MORE, and as baton_update_end
int baton_update_end_step(struct baton_update *self);

// Gives up. Flash stays as it is: the slot holds no image, or the one it held
// before the first erase.
void baton_update_abort(struct baton_update *self);

// What `end` found in the image.
const struct baton_image_info *baton_update_info(
        const struct baton_update *self);

// Reads back bytes of the image that this update has taken, wherever they are:
// on flash, in the buffer that is filling, or held back as the head. Until
// `end` is called.
//
// off, len    [off, off + len) was written, or lies before resume_off
// Returns     0, BATON_ERR_ARG (not written yet), BATON_ERR_RANGE,
//             BATON_ERR_IO
int baton_update_read(
        struct baton_update *self, uint32_t off, void *buf, size_t len);

// The image's first 32 bytes, which are not on flash yet; NULL before the
// first sector was written.
const uint8_t *baton_update_head(const struct baton_update *self);

// How many bytes are safe on flash (whole sectors, in sequence).
uint32_t baton_update_offset(const struct baton_update *self);

#endif
