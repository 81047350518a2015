// The network in whole numbers of 16 bits: what precision `fast` means. As src/fsrcnn/fixed_point.py has it, which says why each limit is
// what it is; in float64 like there, so that the whole numbers and the float32 multipliers come out the same.
#pragma once

#include <cstdint>
#include <vector>

#include "weights_file.h"

namespace fsrcnn {

constexpr int INPUT_LEVELS = 32640;
constexpr int FEATURE_LEVELS = 8191;

// In the order of `fsrcnn_network`.
struct FixedPoint {
    std::vector<int32_t> integers;
    std::vector<float> multipliers;
};

// Throws Fault: the network is too wide for sums of 32 bits.
FixedPoint fixed_point(const Weights& weights);

}  // namespace fsrcnn
