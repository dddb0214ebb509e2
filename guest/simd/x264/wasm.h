/*****************************************************************************
 * wasm.h: kernels for WebAssembly
 *****************************************************************************
 * Copyright (C) 2026 the afmpeg authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * This program is free software; you can redistribute it and/or modify
 * it under the terms of the GNU General Public License as published by
 * the Free Software Foundation; either version 2 of the License, or
 * (at your option) any later version.
 *
 * This program is distributed in the hope that it will be useful,
 * but WITHOUT ANY WARRANTY; without even the implied warranty of
 * MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
 * GNU General Public License for more details.
 *
 * You should have received a copy of the GNU General Public License
 * along with this program; if not, write to the Free Software
 * Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA  02111, USA.
 *****************************************************************************/

/* The functions that set up x264's tables. Included by x264's own files after common.h; 8-bit video only. */

#ifndef X264_WASM_H
#define X264_WASM_H

#define x264_pixel_init_wasm x264_template(pixel_init_wasm)
void x264_pixel_init_wasm( x264_pixel_function_t *pixf );
#define x264_mc_init_wasm x264_template(mc_init_wasm)
void x264_mc_init_wasm( x264_mc_functions_t *pf );
#define x264_dct_init_wasm x264_template(dct_init_wasm)
void x264_dct_init_wasm( x264_dct_function_t *dctf );
#define x264_zigzag_init_wasm x264_template(zigzag_init_wasm)
void x264_zigzag_init_wasm( x264_zigzag_function_t *pf_progressive, x264_zigzag_function_t *pf_interlaced );
#define x264_quant_init_wasm x264_template(quant_init_wasm)
void x264_quant_init_wasm( x264_quant_function_t *pf );
#define x264_deblock_init_wasm x264_template(deblock_init_wasm)
void x264_deblock_init_wasm( x264_deblock_function_t *pf );

#endif
