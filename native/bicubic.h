// The taps of MATLAB's bicubic enlargement, as src/fsrcnn/imresize.py has them.
#pragma once

#include <cstdint>
#include <vector>

#include "fsrcnn_engine.h"

namespace fsrcnn {

struct Taps {
    int32_t taps;
    std::vector<float> weights;
    std::vector<int32_t> indices;
    fsrcnn_taps pointers() const { return {weights.data(), indices.data(), taps, int64_t(weights.size()) / taps}; }
};

// before, after: samples along an axis; scale: the factor, at least 1, which differs from after / before where chroma was rounded up.
// anchor: where in its cell a sample's centre lies: 0.5 in the middle.
Taps bicubic(int64_t before, int64_t after, double scale, double anchor);

}  // namespace fsrcnn
