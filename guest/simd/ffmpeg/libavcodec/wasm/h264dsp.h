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

/* The functions that h264dsp_init.c chooses from. Names are those of libavcodec/h264dsp.h. */

#ifndef AVCODEC_WASM_H264DSP_H
#define AVCODEC_WASM_H264DSP_H

#include <stddef.h>
#include <stdint.h>

void ff_h264_v_loop_filter_luma_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0);
void ff_h264_h_loop_filter_luma_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0);
void ff_h264_v_loop_filter_luma_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta);
void ff_h264_h_loop_filter_luma_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta);
void ff_h264_v_loop_filter_chroma_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0);
void ff_h264_h_loop_filter_chroma_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0);
void ff_h264_h_loop_filter_chroma422_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta, int8_t *tc0);
void ff_h264_v_loop_filter_chroma_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta);
void ff_h264_h_loop_filter_chroma_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta);
void ff_h264_h_loop_filter_chroma422_intra_wasm(uint8_t *pix, ptrdiff_t stride, int alpha, int beta);
void ff_h264_loop_filter_strength_wasm(int16_t bS[2][4][4], uint8_t nnz[40], int8_t ref[2][40], int16_t mv[2][40][2],
                                       int bidir, int edges, int step, int mask_mv0, int mask_mv1, int field);

void ff_h264_idct_add_wasm(uint8_t *dst, int16_t *block, int stride);
void ff_h264_idct8_add_wasm(uint8_t *dst, int16_t *block, int stride);
void ff_h264_idct_dc_add_wasm(uint8_t *dst, int16_t *block, int stride);
void ff_h264_idct8_dc_add_wasm(uint8_t *dst, int16_t *block, int stride);
void ff_h264_idct_add16_wasm(uint8_t *dst, const int *block_offset, int16_t *block, int stride, const uint8_t nnzc[5 * 8]);
void ff_h264_idct_add16intra_wasm(uint8_t *dst, const int *block_offset, int16_t *block, int stride,
                                  const uint8_t nnzc[5 * 8]);
void ff_h264_idct8_add4_wasm(uint8_t *dst, const int *block_offset, int16_t *block, int stride, const uint8_t nnzc[5 * 8]);
void ff_h264_idct_add8_wasm(uint8_t **dst, const int *block_offset, int16_t *block, int stride, const uint8_t nnzc[15 * 8]);

void ff_h264_weight_pixels16_wasm(uint8_t *block, ptrdiff_t stride, int height, int log2_denom, int weight, int offset);
void ff_h264_weight_pixels8_wasm(uint8_t *block, ptrdiff_t stride, int height, int log2_denom, int weight, int offset);
void ff_h264_biweight_pixels16_wasm(uint8_t *dst, uint8_t *src, ptrdiff_t stride, int height, int log2_denom,
                                    int weightd, int weights, int offset);
void ff_h264_biweight_pixels8_wasm(uint8_t *dst, uint8_t *src, ptrdiff_t stride, int height, int log2_denom,
                                   int weightd, int weights, int offset);

#endif
