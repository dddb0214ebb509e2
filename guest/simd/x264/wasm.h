/* What x264's tables of functions take from here. Included by x264's own files after common.h; 8-bit video only. */

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
