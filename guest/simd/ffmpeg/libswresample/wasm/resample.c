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

/* Resampling of floating-point samples. */

#include <wasm_simd128.h>

#include "libavutil/attributes.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libswresample/resample.h"

/* The C code adds up the products of even taps and those of odd taps, each in order. Here the two sums of two outputs are in one
 * register, and each is added up in the same order, as floating-point results depend on it. */
static av_always_inline v128_t add_4_taps(v128_t sums, const float *src0, const float *src1,
                                          const float *filter0, const float *filter1)
{
    v128_t products0 = wasm_f32x4_mul(wasm_v128_load(src0), wasm_v128_load(filter0));
    v128_t products1 = wasm_f32x4_mul(wasm_v128_load(src1), wasm_v128_load(filter1));

    sums = wasm_f32x4_add(sums, wasm_i32x4_shuffle(products0, products1, 0, 1, 4, 5));
    return wasm_f32x4_add(sums, wasm_i32x4_shuffle(products0, products1, 2, 3, 6, 7));
}

static int resample_common_float_simd128(ResampleContext *c, void *dest, const void *source, int n, int update_ctx)
{
    float *dst = dest;
    const float *src[4], *filter[4];
    const int length = c->filter_length;
    int index = c->index, frac = c->frac, sample_index = 0;

    while (index >= c->phase_count) {
        sample_index++;
        index -= c->phase_count;
    }

    for (int dst_index = 0; dst_index < n; dst_index += 4) {
        const int count = FFMIN(n - dst_index, 4);
        v128_t sums01 = wasm_f32x4_const_splat(0), sums23 = sums01;
        float sums[8];
        int i = 0;

        for (int k = 0; k < 4; k++) {
            /* What is beyond the last output repeats it. */
            if (k >= count) {
                src[k]    = src[k - 1];
                filter[k] = filter[k - 1];
                continue;
            }
            src[k]    = (const float *)source + sample_index;
            filter[k] = (const float *)c->filter_bank + c->filter_alloc * index;
            frac  += c->dst_incr_mod;
            index += c->dst_incr_div;
            if (frac >= c->src_incr) {
                frac -= c->src_incr;
                index++;
            }
            while (index >= c->phase_count) {
                sample_index++;
                index -= c->phase_count;
            }
        }

        for (; i + 4 <= length; i += 4) {
            sums01 = add_4_taps(sums01, src[0] + i, src[1] + i, filter[0] + i, filter[1] + i);
            sums23 = add_4_taps(sums23, src[2] + i, src[3] + i, filter[2] + i, filter[3] + i);
        }
        wasm_v128_store(sums, sums01);
        wasm_v128_store(sums + 4, sums23);
        for (int k = 0; k < count; k++) {
            float even = sums[2 * k], odd = sums[2 * k + 1];

            for (int j = i; j < length; j++) {
                if (j & 1)
                    odd  += src[k][j] * filter[k][j];
                else
                    even += src[k][j] * filter[k][j];
            }
            dst[dst_index + k] = even + odd;
        }
    }

    if (update_ctx) {
        c->frac  = frac;
        c->index = index;
    }

    return sample_index;
}

av_cold void swri_resample_dsp_wasm_init(ResampleContext *c)
{
    int cpu_flags = av_get_cpu_flags();

    if (CPUEXT(cpu_flags, SIMD128) && c->format == AV_SAMPLE_FMT_FLTP)
        c->dsp.resample_common = resample_common_float_simd128;
}
