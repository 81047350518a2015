// The C ABI of the native engine: create a network, run it, ask it what it is, destroy it. No exception crosses it.
#ifndef FSRCNN_H
#define FSRCNN_H

#include <stdint.h>

#if defined(_WIN32)
#define FSRCNN_API __declspec(dllexport)
#else
#define FSRCNN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fsrcnn_engine fsrcnn_engine;

enum fsrcnn_precision { FSRCNN_EXACT = 0, FSRCNN_FAST = 1 };
enum fsrcnn_dtype { FSRCNN_FLOAT32 = 0, FSRCNN_UINT8 = 1, FSRCNN_UINT16 = 2 };
enum fsrcnn_status { FSRCNN_OK = 0, FSRCNN_CANCELLED = 1, FSRCNN_NO_MEMORY = 2, FSRCNN_BAD_ARGUMENT = 3 };

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
    float input_levels;      // fast: the whole number that stands for 1.0 at the input
    int32_t feature_levels;  // fast: the largest whole number in a feature map
} fsrcnn_network;

// Pixels: element (row, column, channel) lies at data + row * row_stride + column * column_stride + channel * channel_stride,
// in bytes.
typedef struct {
    void* data;
    int64_t row_stride, column_stride, channel_stride;
    int32_t dtype, channels;
} fsrcnn_pixels;

// What bicubic interpolation needs along one axis: output i is the sum over t of weights[i * taps + t] * input[indices[...]].
typedef struct {
    const float* weights;
    const int32_t* indices;
    int32_t taps;
} fsrcnn_taps;

// The colour of a picture: rows of matrices (3×3, row-major) and constants, as `color.py` has them in float32.
typedef struct {
    float to_ycbcr[9], to_ycbcr_offset[3], to_rgb[9], to_rgb_offset[3], grey_offset, grey_gain;
    fsrcnn_taps rows, columns;
} fsrcnn_colour;

// Shared with another thread while a call runs: LR pixels done so far, and a wish to stop.
typedef struct {
    int64_t done;
    int32_t cancel;
} fsrcnn_control;

// The instruction sets that were compiled in and that this processor has, best first, separated by spaces.
FSRCNN_API const char* fsrcnn_instruction_sets(void);

// NULL where memory is short, the instruction set is not there or the numbers are not legal.
FSRCNN_API fsrcnn_engine* fsrcnn_create(const fsrcnn_network* network, const char* instruction_set);

// height × width LR pixels to scale times as many. With colour == NULL one channel of luma: float32 is not clipped, integers are
// clipped and rounded. With colour: 1 to 4 channels (grey, grey + alpha, RGB, RGBA), both of the same dtype. Rows and columns
// outside count as zero at each layer. control may be NULL. May be called from several threads at once.
FSRCNN_API int fsrcnn_run(fsrcnn_engine* engine, const fsrcnn_pixels* lr, const fsrcnn_pixels* sr, int64_t height, int64_t width,
                          int threads, const fsrcnn_colour* colour, fsrcnn_control* control);

// One line of text; lives as long as the engine.
FSRCNN_API const char* fsrcnn_describe(const fsrcnn_engine* engine);

FSRCNN_API void fsrcnn_destroy(fsrcnn_engine* engine);

#ifdef __cplusplus
}
#endif
#endif
