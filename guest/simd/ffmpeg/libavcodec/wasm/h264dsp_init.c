/* Where the H.264 decoder's kernels are chosen, for 8-bit video. */

#include "libavutil/attributes.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavcodec/h264dsp.h"
#include "h264dsp.h"

av_cold void ff_h264dsp_init_wasm(H264DSPContext *c, const int bit_depth, const int chroma_format_idc)
{
    if (!CPUEXT(av_get_cpu_flags(), SIMD128))
        return;

    /* It sees no pixels. With more vertical chroma there are edges that it doesn't know. */
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
