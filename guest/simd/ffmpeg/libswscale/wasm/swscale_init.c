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

#include "libavutil/attributes.h"
#include "libavutil/cpu_internal.h"
#include "libswscale/wasm/swscale_wasm.h"

av_cold void ff_sws_init_swscale_wasm(SwsInternal *c)
{
    int cpu_flags = av_get_cpu_flags();

    if (!CPUEXT(cpu_flags, SIMD128))
        return;

    /* Filters of luma and chroma differ in size. Sizes above 1 are multiples of 4 here, see initFilter(). */
    if (c->dstBpc <= 14) {
        struct {
            void (**scale)(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                           const int16_t *filter, const int32_t *filter_pos, int filter_size);
            int filter_size;
        } planes[] = { { &c->hyScale, c->hLumFilterSize }, { &c->hcScale, c->hChrFilterSize } };

        for (int i = 0; i < FF_ARRAY_ELEMS(planes); i++) {
            int size = planes[i].filter_size;

            if (size != 1 && size & 3)
                continue;
            if (c->srcBpc == 8)
                *planes[i].scale = size == 1 ? ff_hscale8to15_1_simd128 :
                                   size == 4 ? ff_hscale8to15_4_simd128 : ff_hscale8to15_X_simd128;
            else
                *planes[i].scale = size == 1 ? ff_hscale16to15_1_simd128 : ff_hscale16to15_X_simd128;
        }
    }

    if (c->dstBpc == 8) {
        c->yuv2plane1 = ff_yuv2plane1_8_simd128;
        c->yuv2planeX = ff_yuv2planeX_8_simd128;
    }
}
