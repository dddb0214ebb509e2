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

/* Chooses the kernels of the H.264 decoder, for 8-bit video. */

#include "libavutil/attributes.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavcodec/h264dsp.h"
#include "h264dsp.h"

av_cold void ff_h264dsp_init_wasm(H264DSPContext *c, const int bit_depth, const int chroma_format_idc)
{
    if (!CPUEXT(av_get_cpu_flags(), SIMD128))
        return;

    /* Strengths do not depend on the bit depth. Formats with more vertical chroma have edges that this kernel does not know. */
    if (chroma_format_idc <= 1)
        c->loop_filter_strength = ff_h264_loop_filter_strength_wasm;
    if (bit_depth > 8)
        return;

    c->v_loop_filter_luma         = ff_h264_v_loop_filter_luma_wasm;
    c->h_loop_filter_luma         = ff_h264_h_loop_filter_luma_wasm;
    c->v_loop_filter_luma_intra   = ff_h264_v_loop_filter_luma_intra_wasm;
    c->h_loop_filter_luma_intra   = ff_h264_h_loop_filter_luma_intra_wasm;
    c->v_loop_filter_chroma       = ff_h264_v_loop_filter_chroma_wasm;
    c->v_loop_filter_chroma_intra = ff_h264_v_loop_filter_chroma_intra_wasm;
    if (chroma_format_idc <= 1) {
        c->h_loop_filter_chroma       = ff_h264_h_loop_filter_chroma_wasm;
        c->h_loop_filter_chroma_intra = ff_h264_h_loop_filter_chroma_intra_wasm;
        c->idct_add8                  = ff_h264_idct_add8_wasm;
    } else {
        c->h_loop_filter_chroma       = ff_h264_h_loop_filter_chroma422_wasm;
        c->h_loop_filter_chroma_intra = ff_h264_h_loop_filter_chroma422_intra_wasm;
    }

    c->idct_add        = ff_h264_idct_add_wasm;
    c->idct8_add       = ff_h264_idct8_add_wasm;
    c->idct_dc_add     = ff_h264_idct_dc_add_wasm;
    c->idct8_dc_add    = ff_h264_idct8_dc_add_wasm;
    c->idct_add16      = ff_h264_idct_add16_wasm;
    c->idct_add16intra = ff_h264_idct_add16intra_wasm;
    c->idct8_add4      = ff_h264_idct8_add4_wasm;

    c->weight_pixels_tab[0]   = ff_h264_weight_pixels16_wasm;
    c->weight_pixels_tab[1]   = ff_h264_weight_pixels8_wasm;
    c->biweight_pixels_tab[0] = ff_h264_biweight_pixels16_wasm;
    c->biweight_pixels_tab[1] = ff_h264_biweight_pixels8_wasm;
}
