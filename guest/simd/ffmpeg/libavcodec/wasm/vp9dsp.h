/* What vp9dsp_init.c calls: each family chooses its own kernels. */

#ifndef AVCODEC_WASM_VP9DSP_H
#define AVCODEC_WASM_VP9DSP_H

#include "libavcodec/vp9dsp.h"

void ff_vp9dsp_intrapred_init_wasm(VP9DSPContext *dsp);
void ff_vp9dsp_itxfm_init_wasm(VP9DSPContext *dsp);
void ff_vp9dsp_loopfilter_init_wasm(VP9DSPContext *dsp);
void ff_vp9dsp_mc_init_wasm(VP9DSPContext *dsp);

#endif
