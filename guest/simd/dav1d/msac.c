/*
 * Copyright (c) 2026, the afmpeg authors
 * SPDX-License-Identifier: BSD-2-Clause
 * All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 *
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the documentation
 *    and/or other materials provided with the distribution.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR
 * ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES
 * (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES;
 * LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND
 * ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT
 * (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS
 * SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */

#include "config.h"

#include <string.h>

#include "src/wasm/msac_inline.h"

/* What is beyond the data is all ones. */
static ALWAYS_INLINE ec_win refilled(MsacContext *const s, const ec_win dif, const int cnt) {
    const uint8_t *pos = s->buf_pos;
    const uint8_t *const end = s->buf_end;
    int c = WIN_BITS - cnt - 24;
    if (__builtin_expect(end - pos >= 8, 1)) {
        uint64_t bytes;
        memcpy(&bytes, pos, 8);
        bytes = __builtin_bswap64(~bytes) >> (WIN_BITS - 8 - c);
        /* Only whole bytes. */
        bytes &= ~(uint64_t) 0 << (c & 7);
        s->buf_pos = pos + (c >> 3) + 1;
        s->cnt = WIN_BITS - 24 - ((c & 7) - 8);
        return dif | bytes;
    }
    ec_win filled = dif;
    do {
        if (pos >= end) {
            filled |= ~(~(ec_win) 0xff << c);
            break;
        }
        filled |= (ec_win) (*pos++ ^ 0xff) << c;
        c -= 8;
    } while (c >= 0);
    s->cnt = WIN_BITS - c - 24;
    s->buf_pos = pos;
    return filled;
}

NOINLINE unsigned dav1d_msac_refill_simd128(MsacContext *const s, const ec_win dif, const int cnt, const unsigned val) {
    s->dif = refilled(s, dif, cnt);
    return val;
}

unsigned dav1d_msac_decode_symbol_adapt4_simd128(MsacContext *const s, uint16_t *const cdf, const size_t n_symbols) {
    return symbol_adapt4(s, cdf, (unsigned) n_symbols);
}

/* What each symbol has at least, from the table's end back. */
static const uint16_t min_probs[16 + 16] = {
    60, 56, 52, 48, 44, 40, 36, 32, 28, 24, 20, 16, 12, 8, 4, 0,
};

/* The product of a probability's first bits and the range's, of 17 bits, without its last. */
static ALWAYS_INLINE v128_t scaled(const v128_t probs, const v128_t half_r, const v128_t odd_r) {
    const v128_t first = wasm_u16x8_shr(probs, PROB_SHIFT);
    return wasm_i16x8_add(wasm_i16x8_mul(first, half_r), wasm_v128_and(wasm_u16x8_shr(first, 1), odd_r));
}

static ALWAYS_INLINE unsigned symbol_adapt(MsacContext *const s, uint16_t *const cdf, const unsigned n,
                                           const int registers)
{
    const unsigned rng = s->rng, r = rng >> 8;
    const ec_win dif = s->dif;
    const v128_t c = wasm_i16x8_splat((unsigned) (dif >> (WIN_BITS - 16)));
    const v128_t half_r = wasm_i16x8_splat(r >> 1), odd_r = wasm_i16x8_splat(-(int) (r & 1));
    const uint16_t *const min = &min_probs[15 - n];
    /* The range lies before the steps, as the step before the first one. */
    uint16_t steps[8 + 16];
    steps[7] = rng;
    v128_t probs[2];
    unsigned ends = 0;
    for (int i = 0; i < registers; i++) {
        probs[i] = wasm_v128_load(cdf + 8 * i);
        const v128_t step = wasm_i16x8_add(scaled(probs[i], half_r, odd_r), wasm_v128_load(min + 8 * i));
        wasm_v128_store(steps + 8 + 8 * i, step);
        const v128_t is_end = wasm_u16x8_ge(c, step);
        if (registers == 1)
            ends = wasm_i8x16_bitmask(is_end);
        else
            ends |= (unsigned) wasm_i8x16_bitmask(is_end) << 16 * i;
    }
    const unsigned val = (unsigned) __builtin_ctz(ends) >> 1;
    const unsigned u = steps[7 + val], v = steps[8 + val];
    if (s->allow_update_cdf) {
        const unsigned count = cdf[n];
        const unsigned rate = 4 + (count >> 4) + (n > 2);
        for (int i = 0; i < registers; i++) {
            const v128_t grows = wasm_v128_load(ones_then_zeros + 16 - val + 8 * i);
            wasm_v128_store(cdf + 8 * i, adapted(probs[i], grows, rate));
        }
        cdf[n] = count + (count < 32);
    }
    return normalize(s, dif - ((ec_win) v << (WIN_BITS - 16)), u - v, val);
}

unsigned dav1d_msac_decode_symbol_adapt8_simd128(MsacContext *const s, uint16_t *const cdf, const size_t n_symbols) {
    return symbol_adapt(s, cdf, (unsigned) n_symbols, 1);
}

unsigned dav1d_msac_decode_symbol_adapt16_simd128(MsacContext *const s, uint16_t *const cdf, const size_t n_symbols) {
    return symbol_adapt(s, cdf, (unsigned) n_symbols, 2);
}

unsigned dav1d_msac_decode_bool_equi_simd128(MsacContext *const s) {
    return bool_equi(s);
}

unsigned dav1d_msac_decode_bool_simd128(MsacContext *const s, const unsigned f) {
    return decode_bool(s, share_of(s, f), NULL);
}

unsigned dav1d_msac_decode_bool_adapt_simd128(MsacContext *const s, uint16_t *const cdf) {
    return bool_adapt(s, cdf);
}

unsigned dav1d_msac_decode_hi_tok_simd128(MsacContext *const s, uint16_t *const cdf) {
    unsigned tok = 3, more;
    do {
        more = symbol_adapt4(s, cdf, 3);
        tok += more;
    } while (more == 3 && tok < 15);
    return tok;
}
