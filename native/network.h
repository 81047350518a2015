// A network as the strips read it: kernels packed block by block, nothing but plain numbers and pointers, so that every
// instruction set's file can include it without emitting code that another file's would be merged with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fsrcnn_engine.h"

namespace fsrcnn {

// 32 bits: a float (exact), or two 16-bit whole numbers (fast).
union Lane {
    float real;
    int32_t whole;
};

// Up to `channels` output channels that are summed side by side in registers. `weights` is (taps, channels).
struct Block {
    int first, channels;
    const Lane* weights;
};

// A stage with its PReLU. `planes` are planes of lanes: channels (exact) or pairs of channels (fast).
struct Stage {
    int channels, planes, taps, blocks;
    const Block* block;
    const Lane* bias;             // per channel: float or whole
    const float *positive, *negative;  // per channel; exact: `negative` alone, the slope
};

// Two rows of features times a column of at most 5 kernel rows make `coefficients` = kernel rows + 1 output rows. Both are
// polynomials in the row number; their product is found from its values at a few points (Toom, Cook), which takes as many products
// as it has coefficients instead of two for each kernel row.
struct Branch {
    int row_phase, first_row, kernel_rows;
};

enum Point { AT_0, AT_1, AT_MINUS_1, AT_2, AT_HALF, AT_INFINITY, POINTS };  // at ½: times a power of 2, so that it is whole

// The products at one point: for each of `channels` (branch, column phase) a sum over features and kernel columns.
struct PointStage {
    int channels;
    const int *branch, *phase;    // per channel
    // All column phases, for the kernel columns they share; then those phases that have one column more.
    int blocks, extra_blocks;
    const Block *block, *extra_block;
};

struct Network {
    int d, s, m, feature_kernel, deconvolution_kernel, scale, crop;
    bool fast;
    float input_levels;
    int feature_levels;
    Stage feature, shrinking, expanding;
    const Stage* mapping;  // m of them; their blocks are packed otherwise, see `Mapped` in mapping.h
    int columns, shared_columns;  // kernel columns of a phase: the most, and what all have
    int branches;
    const Branch* branch;
    PointStage point[POINTS];
    const float* phase_multiplier;  // per (row phase, column phase)
    float bias;
};

}  // namespace fsrcnn
