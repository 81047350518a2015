// The engine below `fsrcnn.h`, for bindings that read weights and settle colour themselves, as the Python package and the page do: create
// a network from its numbers, run it on planes, ask it what it is, destroy it. No exception crosses it.
#ifndef FSRCNN_ENGINE_H
#define FSRCNN_ENGINE_H

#include "fsrcnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fsrcnn_engine fsrcnn_engine;

enum fsrcnn_dtype { FSRCNN_FLOAT32 = 0, FSRCNN_UINT8 = 1, FSRCNN_UINT16 = 2 };

// An FSRCNN(d, s, m) and its numbers. Stages in order: feature extraction, shrinking, mapping (m times), expanding, deconvolution.
typedef struct {
    int32_t d, s, m, feature_kernel, deconvolution_kernel, scale, crop;
    int32_t precision;
    // exact: for each stage its kernel (out, in, k, k), biases, PReLU slopes; the deconvolution (d, 1, k, k) and its bias.
    const float* arrays;
    // fast: whole numbers in the same order and shapes: kernels and, after each, the biases (none for the deconvolution). See
    // fixed_point.py for what they mean.
    const int32_t* integers;
    // fast: for each stage, per channel, what an accumulator is multiplied with if it is positive, then if negative; then per
    // (row phase, column phase) of the deconvolution; then its bias.
    const float* multipliers;
    int64_t arrays_length, integers_length, multipliers_length;  // of what the precision needs; 0 for the rest
    float input_levels;      // fast: the whole number that stands for 1.0 at the input
    int32_t feature_levels;  // fast: the largest whole number in a feature map
} fsrcnn_network;

// The planes of a picture: luma, grey, or R, G, B, or Y, Cb, Cr; then alpha.
typedef struct {
    fsrcnn_plane plane[4];
    int32_t planes, dtype;
    double peak;     // the sample that stands for 1.0
    double largest;  // the largest sample that is written; infinity (float32 only): nothing is clipped
} fsrcnn_picture;

// What bicubic interpolation needs along one axis: output i is the sum over t of weights[i * taps + t] * input[indices[i * taps + t]].
typedef struct {
    const float* weights;
    const int32_t* indices;
    int32_t taps;
    int64_t length;  // outputs
} fsrcnn_taps;

// Where luma comes from.
enum fsrcnn_kind {
    FSRCNN_FROM_STUDIO = 0,  // plane 0, studio swing, as it is
    FSRCNN_FROM_FULL = 1,    // full_offset + full_gain · plane 0
    FSRCNN_FROM_RGB = 2      // the first row of to_ycbcr on three planes
};

// The colour of a pair of pictures. Cb and Cr (of the matrices, or the planes themselves) and alpha are interpolated.
typedef struct {
    int32_t kind, colours, alpha;  // colours: 1 or 3; alpha: whether its plane comes last; under alpha 0 colours are repainted (alpha.py)
    int32_t down, across;          // luma rows and columns for each of chroma; 1 wherever there is alpha or RGB
    float full_offset, full_gain;
    float to_ycbcr[9], to_ycbcr_offset[3], to_rgb[9], to_rgb_offset[3];  // 3×3 row-major, as color.py has them in float32
    fsrcnn_taps rows, columns;     // of every plane but luma: on the grid of chroma, which is that of luma where down = across = 1
} fsrcnn_colour;

// `abi` is FSRCNN_ABI, as the caller was compiled with. Nothing of the network is referenced afterwards.
FSRCNN_API int32_t fsrcnn_create(int32_t abi, const fsrcnn_network* network, const char* instruction_set, fsrcnn_engine** engine);

// height × width LR pixels to scale times as many. Rows and columns outside count as zero at each layer. The pictures may differ in
// dtype, peak and strides. Without colour (NULL): one plane of studio-swing luma. control may be NULL. Same pixels at any number of
// threads. May be called from several threads at once; threads are the process's, and stay for the next call.
FSRCNN_API int32_t fsrcnn_run(fsrcnn_engine* engine, const fsrcnn_picture* lr, const fsrcnn_picture* sr, int64_t height, int64_t width,
                              int32_t threads, const fsrcnn_colour* colour, fsrcnn_control* control);

// One line of text; lives as long as the engine.
FSRCNN_API const char* fsrcnn_describe(const fsrcnn_engine* engine);

FSRCNN_API void fsrcnn_destroy(fsrcnn_engine* engine);

#ifdef __cplusplus
}
#endif
#endif
