#include "fixed_point.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "fault.h"
#include "fsrcnn.h"
#include "sheet.h"

namespace fsrcnn {
namespace {

constexpr int LARGEST_BRANCH = 5;
constexpr double HEADROOM = 1.25;
constexpr double LARGEST_16 = 32767, LARGEST_32 = 2147483647;
constexpr double LEAST = 1e-30;

using Doubles = std::vector<double>;

// A convolution's numbers among the arrays.
struct Numbers {
    const float *kernel, *bias, *slope;
    Numbers(const float*& at, const Convolution& stage)
        : kernel(at), bias(at + size_t(stage.out) * stage.in * stage.side * stage.side), slope(bias + stage.out) {
        at = slope + stage.out;
    }
};

double positive_units(double units) {
    if (!(units > 0))
        throw Fault{FSRCNN_TOO_WIDE, "this network is too wide for precision fast (16-bit features, 32-bit sums); open it with FSRCNN_EXACT"};
    return std::min(units, 1e30);
}

// The feature maps of a convolution with its PReLU, zero padded, on planes of the sheet's size.
std::vector<Doubles> convolved(const std::vector<Doubles>& maps, const Convolution& stage, const Numbers& numbers) {
    const int side = SHEET_SIDE, k = stage.side, wide = side + k - 1;
    std::vector<Doubles> padded(maps.size(), Doubles(size_t(wide) * wide));
    for (size_t i = 0; i < maps.size(); i++)
        for (int row = 0; row < side; row++)
            std::copy_n(&maps[i][size_t(row) * side], side, &padded[i][size_t(row + k / 2) * wide + k / 2]);
    std::vector<Doubles> result(size_t(stage.out), Doubles(size_t(side) * side));
    for (int o = 0; o < stage.out; o++) {
        const float* const weights = numbers.kernel + size_t(o) * stage.in * k * k;
        const double slope = numbers.slope[o];
        for (int row = 0; row < side; row++) {
            double* const total = &result[o][size_t(row) * side];
            std::fill_n(total, side, double(numbers.bias[o]));
            const float* weight = weights;
            for (int i = 0; i < stage.in; i++)
                for (int y = 0; y < k; y++)
                    for (int x = 0; x < k; x++) {
                        const double factor = *weight++;
                        const double* const in = &padded[i][size_t(row + y) * wide + x];
                        for (int column = 0; column < side; column++) total[column] += factor * in[column];
                    }
            for (int column = 0; column < side; column++)
                if (total[column] < 0) total[column] *= slope;
        }
    }
    return result;
}

// For each stage, the largest magnitude of each channel on the sheet.
std::vector<Doubles> largest_features(const Weights& weights) {
    std::vector<Doubles> maps(1, Doubles(SHEET_SIDE * SHEET_SIDE)), largest;
    for (int i = 0; i < SHEET_SIDE * SHEET_SIDE; i++) maps[0][i] = double(SHEET[i / 64] >> (63 - i % 64) & 1);
    const float* at = weights.arrays.data();
    for (const Convolution& stage : weights.architecture.convolutions()) {
        const Numbers numbers(at, stage);
        maps = convolved(maps, stage, numbers);
        largest.emplace_back();
        for (const Doubles& map : maps) {
            double most = 0;
            for (const double value : map) most = std::max(most, std::fabs(value));
            const float found = float(most);  // sums differ in their last bits, which float32 leaves out
            largest.back().push_back(found > 0 ? double(found) : 1);  // a dead channel: any unit will do
        }
    }
    return largest;
}

// How many units of a sum stand for 1.0, for one channel's (in, k, k) kernel.
double units_of(const Doubles& kernel, double bias, bool mapping, double reach) {
    double stored = LEAST, sum = 0;
    for (const double value : kernel) sum += std::fabs(value);
    if (mapping) {
        for (size_t i = 0; i < kernel.size(); i += 9)
            for (size_t x = i; x < i + 3; x++) {
                const double top = kernel[x], middle = kernel[x + 3], bottom = kernel[x + 6];
                stored = std::max({stored, std::fabs(2 * top), std::fabs(top + middle + bottom), std::fabs(top - middle + bottom), std::fabs(2 * bottom)});
            }
    } else {
        for (const double value : kernel) stored = std::max(stored, std::fabs(value));
    }
    const double most = mapping ? std::floor(LARGEST_32 / 2) : LARGEST_32;
    const double by_kernel = (LARGEST_16 - 2) / stored;
    const double by_sum = (most - 1 - 0.5 * reach * double(kernel.size())) / std::max(sum * reach + std::fabs(bias), LEAST);
    return positive_units(std::min(by_kernel, by_sum));
}

// The same for one phase of the deconvolution: each scale-th row from y and column from x of its (d, k, k) kernels.
double phase_units(const Doubles& kernels, int d, int side, int scale, int y, int x) {
    const int rows = (side - y + scale - 1) / scale, columns = (side - x + scale - 1) / scale;
    const auto at = [&](int c, int row, int column) { return kernels[(size_t(c) * side + y + scale * row) * side + x + scale * column]; };
    const int parts = (rows + LARGEST_BRANCH - 1) / LARGEST_BRANCH;
    double least = INFINITY, total = 0;
    for (int part = 0; part < parts; part++) {
        const int first = rows * part / parts, count = rows * (part + 1) / parts - first;
        for (const double value : {1.0, -1.0, 2.0})
            for (const bool ascending : {true, false}) {
                double powers[LARGEST_BRANCH], all = 0, stored = LEAST;
                for (int row = 0; row < count; row++) {
                    powers[row] = std::pow(value, ascending ? row : count - 1 - row);
                    all += std::fabs(powers[row]);
                }
                for (int c = 0; c < d; c++)
                    for (int column = 0; column < columns; column++) {
                        double sum = 0;
                        for (int row = 0; row < count; row++) sum += powers[row] * at(c, first + row, column);
                        stored = std::max(stored, std::fabs(sum));
                    }
                least = std::min(least, (LARGEST_16 - all) / stored);
            }
        double per_row[LARGEST_BRANCH + 1] = {}, coefficient[LARGEST_BRANCH], found = LEAST;
        for (int row = 0; row < count; row++) {
            double sum = 0;
            for (int c = 0; c < d; c++)
                for (int column = 0; column < columns; column++) sum += std::fabs(at(c, first + row, column));
            total += sum;
            per_row[row] = sum * FEATURE_LEVELS;
        }
        for (int row = 0; row < count; row++) coefficient[row] = per_row[row] + per_row[row + 1], found = std::max(found, coefficient[row]);
        if (count == LARGEST_BRANCH) found = std::max(found, coefficient[0] + coefficient[count - 2]);
        const double slack = double(FEATURE_LEVELS) * d * columns;
        least = std::min(least, (LARGEST_32 / 2 - 2 * slack) / found);
    }
    const double whole = 0.5 * FEATURE_LEVELS * d * rows * columns;
    return positive_units(std::min(least, (LARGEST_32 - whole) / std::max(total * FEATURE_LEVELS, LEAST)));
}

}  // namespace

FixedPoint fixed_point(const Weights& weights) {
    FixedPoint result;
    const Architecture& a = weights.architecture;
    const std::vector<Doubles> largest = largest_features(weights);
    Doubles step = {1.0 / INPUT_LEVELS};  // what 1 stands for in each input channel
    double reach = INPUT_LEVELS;
    const float* at = weights.arrays.data();
    size_t number = 0;
    for (const Convolution& stage : a.convolutions()) {
        const Numbers numbers(at, stage);
        const size_t square = size_t(stage.side) * stage.side, size = stage.in * square;
        const bool mapping = stage.name.compare(0, 7, "mapping") == 0;
        std::vector<int32_t> biases;
        std::vector<float> positive, negative;
        Doubles next;
        for (const double value : largest[number++]) next.push_back(HEADROOM * value / FEATURE_LEVELS);
        for (int o = 0; o < stage.out; o++) {
            Doubles kernel(size);
            for (size_t i = 0; i < size; i++) kernel[i] = numbers.kernel[o * size + i] * step[i / square];
            const double unit = units_of(kernel, numbers.bias[o], mapping, reach);
            double most = 0;
            for (const double value : kernel) {
                const double whole = std::nearbyint(value * unit);  // halves to even, as processors round unless told otherwise
                most += std::fabs(whole);
                result.integers.push_back(int32_t(whole));
            }
            const double bias = std::nearbyint(numbers.bias[o] * unit);
            biases.push_back(int32_t(bias));
            positive.push_back(float(1 / (unit * next[o])));
            negative.push_back(float(numbers.slope[o] / (unit * next[o])));
            most = most * reach + std::fabs(bias);
            const double slope = std::max(std::fabs(positive.back()), std::fabs(negative.back()));
            if (!(most * slope < LARGEST_32))  // rounding to 32 bits, before the clip to FEATURE_LEVELS
                throw Fault{FSRCNN_TOO_WIDE, "the slopes of " + stage.name + " are too steep for precision fast; open it with FSRCNN_EXACT"};
        }
        result.integers.insert(result.integers.end(), biases.begin(), biases.end());
        result.multipliers.insert(result.multipliers.end(), positive.begin(), positive.end());
        result.multipliers.insert(result.multipliers.end(), negative.begin(), negative.end());
        step = std::move(next);
        reach = FEATURE_LEVELS;
    }
    const int side = a.deconvolution_kernel, scale = a.scale;
    const size_t square = size_t(side) * side;
    Doubles last(a.d * square);
    for (size_t i = 0; i < last.size(); i++) last[i] = at[i] * step[i / square];
    const size_t start = result.integers.size();
    result.integers.resize(start + last.size());
    for (int y = 0; y < scale; y++)
        for (int x = 0; x < scale; x++) {
            const double unit = phase_units(last, a.d, side, scale, y, x);
            for (int c = 0; c < a.d; c++)
                for (int row = y; row < side; row += scale)
                    for (int column = x; column < side; column += scale) {
                        const size_t i = (size_t(c) * side + row) * side + column;
                        result.integers[start + i] = int32_t(std::nearbyint(last[i] * unit));
                    }
            result.multipliers.push_back(float(1 / unit));
        }
    result.multipliers.push_back(at[last.size()]);
    return result;
}

}  // namespace fsrcnn
