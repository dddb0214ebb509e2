/*
 * Copyright (c) 2026 the afmpeg authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * This file is part of FFmpeg.
 *
 * FFmpeg is free software; you can redistribute it and/or
 * modify it under the terms of the GNU Lesser General Public
 * License as published by the Free Software Foundation; either
 * version 2.1 of the License, or (at your option) any later version.
 *
 * FFmpeg is distributed in the hope that it will be useful,
 * but WITHOUT ANY WARRANTY; without even the implied warranty of
 * MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU
 * Lesser General Public License for more details.
 *
 * You should have received a copy of the GNU Lesser General Public
 * License along with FFmpeg; if not, write to the Free Software
 * Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA 02110-1301 USA
 */

/* Decoding a binary symbol, for any engine of WebAssembly. Results are those of cabac_functions.h. */

#ifndef AVCODEC_WASM_CABAC_H
#define AVCODEC_WASM_CABAC_H

#include <stdint.h>

#include "config.h"
#include "libavutil/attributes.h"
#include "libavutil/intmath.h"
#include "libavutil/intreadwrite.h"
#include "libavcodec/cabac.h"

#ifndef UNCHECKED_BITSTREAM_READER
#define UNCHECKED_BITSTREAM_READER !CONFIG_SAFE_BITSTREAM_READER
#endif

/* A row for each state: the range of the less probable symbol for each quarter of the range, the state after the more probable
 * symbol, and the state after the less probable one. A row is one load. */
extern const uint8_t ff_cabac_states_wasm[128][8];

/* The range of each symbol depends on the one before, so the time is that of the chain of instructions between them. A branch
 * that is predicted is not part of it, so __builtin_expect keeps the compiler from replacing it by a select; taking the range
 * out of the row by a shift, and counting zeros, is a shorter chain than loads from tables. The state is stored before the
 * decoder's fields are loaded: the compiler must assume that it is one of them, and would load them again after the store. */
#define get_cabac_inline get_cabac_inline_wasm
static av_always_inline int get_cabac_inline_wasm(CABACContext *c, uint8_t *const state)
{
    const uint64_t row = AV_RN64A(ff_cabac_states_wasm[*state]);
    const int lps_range = (uint32_t)row >> (c->range >> 3 & 24) & 0xFF;
    const int mps_range = c->range - lps_range;
    const int scaled_range = mps_range << (CABAC_BITS + 1);
    int bit = *state & 1, low = c->low, range, shift;

    if (__builtin_expect(low > scaled_range, 0)) {
        *state = row >> 40;
        range  = lps_range;
        low   -= scaled_range;
        bit   ^= 1;
    } else {
        *state = row >> 32;
        range  = mps_range;
    }
    shift = ff_clz(range) - 23;
    low <<= shift;
    if (!(low & CABAC_MASK)) {
        const unsigned next = (c->bytestream[0] << 9) + (c->bytestream[1] << 1) - CABAC_MASK;
        low += next << (ff_ctz(low) - CABAC_BITS);
#if !UNCHECKED_BITSTREAM_READER
        if (c->bytestream < c->bytestream_end)
#endif
            c->bytestream += CABAC_BITS / 8;
    }
    c->range = range << shift;
    c->low   = low;
    return bit;
}

#endif
