/* Where the VP9 decoder's kernels are chosen, for 8-bit video. */

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
