// What one call works on, and what an instruction set offers to do it. Plain numbers and pointers, as in network.h.
#pragma once

#include "network.h"

namespace fsrcnn {

constexpr int LARGEST_TAPS = 8;  // samples that a bicubic enlargement reads along an axis, and how far apart: 4 to 6

struct Job {
    fsrcnn_picture lr, sr;
    fsrcnn_colour colour;
    int64_t height, width;            // LR
    int64_t tile_rows, tile_columns;  // of the largest tile
    bool hidden;                      // whether the picture has fully transparent pixels
};

// LR rows and columns of one task.
struct Tile {
    int64_t top, bottom, left, right;
};

// A strip is the working memory of one thread.
struct InstructionSet {
    const char* name;
    int accumulators, accumulators_fast;  // registers for sums
    size_t (*strip_bytes)(const Network&, const Job&);
    // `memory` is aligned to 64 bytes and was zeroed once; what earlier tiles left in it is no matter.
    void (*run)(const Network&, const Job&, const Tile&, void* memory);
};

// For measurements only.
enum TimedStage { FEATURE_EXTRACTION, SHRINKING, MAPPING, EXPANDING, DECONVOLUTION, PIXELS, TIMED_STAGES };

}  // namespace fsrcnn

#ifdef FSRCNN_STAGES
double fsrcnn_seconds();
extern "C" FSRCNN_API double fsrcnn_stage_time[fsrcnn::TIMED_STAGES];  // since the library was loaded, one thread
#endif
