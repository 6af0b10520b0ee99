// How far an update came, marked in the last sector of its slot.
// SPDX-License-Identifier: MIT
//
//   byte  0  magic "BtJ1"
//         4  length of the image, 4 bytes little-endian
//         8  first 16 bytes of an id: which file this is
//        24  the image's first 32 bytes: what end() programs last, kept here so
//            that a restart has it
//        56  0xFF, kept for later
//        60  CRC-32 of bytes 0 to 59
//        64  marks: 4 bytes of zeros for each sector, in order, once it is on
//            flash. Fewer bytes where there are more than 1008 sectors; as many
//            as flash is programmed in, where it is in units, and then one mark
//            for so many sectors that all fit
//
// The header is programmed after the erase and in one go, once the image's first
// sector is on flash: a torn one fails its CRC, and then nothing is known. A mark is programmed after its sector, so a
// mark that reads wrong can only say too little; cells that a cut left weak
// could say too much, and that is what the digest of the whole image is for.
#ifndef BATON_CORE_JOURNAL_H
#define BATON_CORE_JOURNAL_H

#include "baton/agent.h"

struct baton_journal_place {
    const struct baton_flash *flash;
    uint32_t slot_addr;
    uint32_t slot_bytes;
    uint32_t image_bytes;
};

// Finds the place for a journal, and what an earlier one for the same file
// tells. addr stays 0 where the image needs the slot's last sector.
//
// Flash       reads
// Returns     0, BATON_ERR_RANGE, BATON_ERR_IO
int baton_journal_open(struct baton_agent_journal *self,
        const struct baton_journal_place *place,
        const uint8_t id[BATON_SHA256_BYTES]);

// Begins a new one: erases the sector, programs header and head.
//
// Flash       one sector erase, one program of 64 bytes
// Power loss  no journal, or this one without marks
// Returns     0, BATON_ERR_NOR, BATON_ERR_RANGE, BATON_ERR_IO
int baton_journal_start(struct baton_agent_journal *self,
        const struct baton_journal_place *place,
        const uint8_t id[BATON_SHA256_BYTES],
        const uint8_t head[BATON_UPDATE_HEAD_BYTES]);

// Marks all sectors before `sector`.
//
// Flash       programs of a few bytes; none where nothing new can be marked
// Power loss  the mark is there or not
// Returns     as baton_journal_start
int baton_journal_mark(struct baton_agent_journal *self,
        const struct baton_journal_place *place, uint32_t sector);

// Forgets it.
//
// Flash       one sector erase, where there is one
// Returns     0, BATON_ERR_RANGE, BATON_ERR_IO
int baton_journal_forget(struct baton_agent_journal *self,
        const struct baton_journal_place *place);

#endif
