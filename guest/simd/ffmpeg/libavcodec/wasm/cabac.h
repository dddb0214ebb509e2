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

/* What a state comes with: the range of the less probable symbol for each quarter of the range, the state after the more
 * probable symbol, and the one after the less probable. Its row is loaded at once. */
extern const uint8_t ff_cabac_states_wasm[128][8];

/* Each symbol's range follows from the one before, so what counts is how many steps lie between. A predicted branch is none,
 * so the compiler is told to keep it; a shift takes a range out of the row, and counts zeros, in fewer than a table takes. The
 * state is stored first: for all that the compiler knows it may be part of the decoder, which it would load again. */
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
