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

/* Chooses the kernels of the VP9 decoder, for 8-bit video. */

#include "libavutil/attributes.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "vp9dsp.h"

av_cold void ff_vp9dsp_init_wasm(VP9DSPContext *dsp, int bpp)
{
    if (!CPUEXT(av_get_cpu_flags(), SIMD128) || bpp > 8)
        return;
    ff_vp9dsp_intrapred_init_wasm(dsp);
    ff_vp9dsp_itxfm_init_wasm(dsp);
    ff_vp9dsp_loopfilter_init_wasm(dsp);
    ff_vp9dsp_mc_init_wasm(dsp);
}
