#include "bicubic.h"

#include <cmath>
#include <cstddef>

namespace fsrcnn {
namespace {

constexpr int COUNT = 6;  // Keys' kernel is 4 wide, and reaches samples on both sides of that; those that never weigh anything are left out

// Keys' cubic convolution kernel, a = -0.5.
double cubic(double x) {
    const double x1 = std::fabs(x), x2 = x1 * x1, x3 = x2 * x1;
    if (x1 <= 1) return 1.5 * x3 - 2.5 * x2 + 1.0;
    return x1 <= 2 ? -0.5 * x3 + 2.5 * x2 - 4.0 * x1 + 2.0 : 0.0;
}

}  // namespace

Taps bicubic(int64_t before, int64_t after, double scale, double anchor) {
    std::vector<double> weights(size_t(after) * COUNT);
    std::vector<int32_t> indices(weights.size());
    bool used[COUNT] = {};
    for (int64_t i = 0; i < after; i++) {
        const double u = double(i + 1) / scale + (1 - anchor) * (1 - 1 / scale), left = std::floor(u - 2);
        double *const row = &weights[size_t(i) * COUNT], sum = 0;
        for (int t = 0; t < COUNT; t++) sum += row[t] = cubic(u - (left + t));
        for (int t = 0; t < COUNT; t++) {
            row[t] /= sum;
            used[t] = used[t] || row[t] != 0;
            const int64_t period = 2 * before, at = ((int64_t(left) + t - 1) % period + period) % period;
            indices[size_t(i) * COUNT + t] = int32_t(at < before ? at : period - 1 - at);  // … 2 1 1 2 3 …
        }
    }
    Taps result{};
    for (const bool is : used) result.taps += is;
    for (size_t i = 0; i < weights.size(); i++)
        if (used[i % COUNT]) result.weights.push_back(float(weights[i])), result.indices.push_back(indices[i]);
    return result;
}

}  // namespace fsrcnn
