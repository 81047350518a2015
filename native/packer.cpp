#include "packer.h"

#include <cstddef>

namespace fsrcnn {
namespace {

int ceil_div(int a, int b) { return (a + b - 1) / b; }

constexpr int LARGEST_FIELD = 1024;  // as architecture.py has it
constexpr int LARGEST_BRANCH = 5;    // as fixed_point.py has it
constexpr int FROM_ROWS[POINTS] = {1, 2, 3, 4, 5, 1};  // as many kernel rows make a point necessary

// What a kernel row counts at a point.
double power(int point, int row, int rows) {
    switch (point) {
        case AT_0: return row == 0;
        case AT_1: return 1;
        case AT_MINUS_1: return row % 2 ? -1 : 1;
        case AT_2: return double(1 << row);
        case AT_HALF: return double(1 << (rows - 1 - row));
        default: return row == rows - 1;
    }
}

// Reads the arrays of a network in their order.
struct Reader {
    const fsrcnn_network& given;
    size_t number = 0, multiplier = 0;
    Lane at(size_t i) const {
        Lane lane;
        if (given.precision == FSRCNN_FAST) lane.whole = given.integers[i];
        else lane.real = given.arrays[i];
        return lane;
    }
};

Lane pair(int32_t low, int32_t high) {
    Lane lane;
    lane.whole = int32_t(uint32_t(low & 0xFFFF) | uint32_t(high) << 16);
    return lane;
}

// A kernel before packing: weight(channel, row of input, kernel row, kernel column), 0 outside.
struct Kernel {
    std::vector<double> values;
    int out, in, side;
    double operator()(int o, int i, int y, int x) const {
        if (o >= out || i >= in || y >= side || x >= side) return 0;
        return values[((size_t(o) * in + i) * side + y) * side + x];
    }
};

class Packer {
    PackedNetwork& packed;
    Network& net;
    Reader read;
    const int pack, most;

  public:
    Packer(PackedNetwork& target, const fsrcnn_network& given, const InstructionSet& isa)
        : packed(target), net(target.net), read{given}, pack(given.precision == FSRCNN_FAST ? 2 : 1), most(block_size(isa, pack)) {}

    void pack_all() {
        net.feature = stage(net.d, 1, net.feature_kernel, pack == 2 ? &Packer::feature_fast : &Packer::feature_exact);
        net.shrinking = stage(net.s, net.d, 1, &Packer::pointwise);
        for (int i = 0; i < net.m; i++) packed.mapping.push_back(stage(net.s, net.s, 3, &Packer::winograd));
        net.mapping = packed.mapping.data();
        net.expanding = stage(net.d, net.s, 1, &Packer::pointwise);
        deconvolution();
    }

  private:
    static int block_size(const InstructionSet& isa, int pack) {
        const int registers = pack == 2 ? isa.accumulators_fast : isa.accumulators;
        return registers / 2;
    }

    Kernel kernel(int out, int in, int side) {
        Kernel k{{}, out, in, side};
        for (size_t i = 0; i < size_t(out) * in * side * side; i++) {
            const Lane lane = read.at(read.number++);
            k.values.push_back(pack == 2 ? lane.whole : double(lane.real));
        }
        return k;
    }

    Lane number(double value) const {
        Lane lane;
        if (pack == 2) lane.whole = int32_t(value);
        else lane.real = float(value);
        return lane;
    }

    // weight(tap, channel) for `channels` in blocks of about equal size, at most `largest`; even sizes where two channels share a lane.
    template <class Weight>
    void blocks(int channels, int taps, int multiple, int largest, std::vector<Block>& list, Weight weight) {
        const int units = channels / multiple, count = ceil_div(units, largest / multiple);
        for (int i = 0, first = 0; i < count; i++) {
            const int size = (units * (i + 1) / count - units * i / count) * multiple;
            packed.lanes.emplace_back();
            for (int t = 0; t < taps; t++)
                for (int c = first; c < first + size; c++) packed.lanes.back().push_back(weight(t, c));
            list.push_back({first, size, packed.lanes.back().data()});
            first += size;
        }
    }

    using Taps = void (Packer::*)(Stage&, const Kernel&, std::vector<Block>&);

    Stage stage(int out, int in, int side, Taps pack_taps) {
        Stage result{};
        result.channels = ceil_div(out, pack) * pack;
        result.planes = result.channels / pack;
        const Kernel k = kernel(out, in, side);
        std::vector<Lane>& bias = packed.lanes.emplace_back(result.channels);
        std::vector<float>& positive = packed.floats.emplace_back(result.channels);
        std::vector<float>& negative = packed.floats.emplace_back(result.channels);
        const bool mapping = pack_taps == &Packer::winograd;
        for (int o = 0; o < out; o++) {
            bias[o] = read.at(read.number + o);
            if (pack == 2) {
                // Winograd's whole numbers are twice the sums.
                if (mapping) bias[o].whole *= 2;
                positive[o] = read.given.multipliers[read.multiplier + o] * (mapping ? 0.5f : 1.0f);
                negative[o] = read.given.multipliers[read.multiplier + out + o] * (mapping ? 0.5f : 1.0f);
            } else {
                negative[o] = read.at(read.number + out + o).real;
            }
        }
        read.number += pack == 2 ? out : 2 * out;
        read.multiplier += pack == 2 ? 2 * out : 0;
        result.bias = bias.data(), result.positive = positive.data(), result.negative = negative.data();
        packed.block_lists.emplace_back();
        (this->*pack_taps)(result, k, packed.block_lists.back());
        result.block = packed.block_lists.back().data();
        return result;
    }

    void feature_exact(Stage& stage, const Kernel& k, std::vector<Block>& list) {
        stage.taps = k.side * k.side;
        blocks(stage.channels, stage.taps, 1, most, list, [&](int t, int c) { return number(k(c, 0, t / k.side, t % k.side)); });
        stage.blocks = int(list.size());
    }

    void feature_fast(Stage& stage, const Kernel& k, std::vector<Block>& list) {
        const int pairs = ceil_div(k.side, 2);
        stage.taps = k.side * pairs;
        blocks(stage.channels, stage.taps, 2, most, list, [&](int t, int c) {
            const int y = t / pairs, x = t % pairs * 2;
            return pair(int(k(c, 0, y, x)), int(k(c, 0, y, x + 1)));
        });
        stage.blocks = int(list.size());
    }

    void pointwise(Stage& stage, const Kernel& k, std::vector<Block>& list) {
        stage.taps = ceil_div(k.in, pack);
        blocks(stage.channels, stage.taps, pack, most, list, [&](int t, int c) {
            return pack == 2 ? pair(int(k(c, 2 * t, 0, 0)), int(k(c, 2 * t + 1, 0, 0))) : number(k(c, t, 0, 0));
        });
        stage.blocks = int(list.size());
    }

    // The four kernels of F(2, 3) along the columns (Winograd 1980; Lavin and Gray 2016), as `Mapped` wants them; doubled where they are
    // whole numbers.
    void winograd(Stage& stage, const Kernel& k, std::vector<Block>& list) {
        stage.taps = 3 * ceil_div(k.in, pack);
        const double twice = pack == 2 ? 2 : 1;
        const auto value = [&](int point, int c, int i, int x) {
            const double p = k(c, i, 0, x), q = k(c, i, 1, x), r = k(c, i, 2, x);
            return twice * (point == 0 ? (p + q + r) / 2 : point == 1 ? (p - q + r) / 2 : point == 2 ? p : -r);
        };
        // Each tap has two points, one behind the other, and two sums for each channel want registers.
        blocks(stage.channels, 4 * stage.taps, pack, most / 2, list, [&](int t, int c) {
            const int point = t / (2 * stage.taps) * 2 + t % 2, tap = t / 2 % stage.taps, i = tap / 3 * pack, x = tap % 3;
            return pack == 2 ? pair(int(value(point, c, i, x)), int(value(point, c, i + 1, x))) : number(value(point, c, i, x));
        });
        stage.blocks = int(list.size());
    }

    void deconvolution() {
        const int side = net.deconvolution_kernel, scale = net.scale, planes = ceil_div(net.d, pack);
        const Kernel k = kernel(net.d, 1, side);
        net.columns = ceil_div(side, scale), net.shared_columns = side / scale;
        for (int phase = 0; phase < scale; phase++) {
            const int rows = ceil_div(side - phase, scale), parts = ceil_div(rows, LARGEST_BRANCH);
            for (int i = 0; i < parts; i++) {
                const int first = rows * i / parts;
                packed.branches.push_back({phase, first, rows * (i + 1) / parts - first});
            }
        }
        net.branches = int(packed.branches.size()), net.branch = packed.branches.data();
        for (int p = 0; p < POINTS; p++) {
            PointStage& point = net.point[p];
            packed.ints.emplace_back();
            std::vector<int>& branch = packed.ints.back();
            packed.ints.emplace_back();
            std::vector<int>& phase = packed.ints.back();
            for (int x = 0; x < scale; x++)
                for (int b = 0; b < net.branches; b++)
                    if (net.branch[b].kernel_rows >= FROM_ROWS[p]) branch.push_back(b), phase.push_back(x);
            point.channels = int(branch.size()), point.branch = branch.data(), point.phase = phase.data();
            const auto value = [&](int channel, int i, int column) {
                const Branch& of = net.branch[branch[channel]];
                double sum = 0;
                for (int j = 0; j < of.kernel_rows; j++)
                    sum += power(p, j, of.kernel_rows) *
                           k(i, 0, of.row_phase + scale * (of.first_row + j), phase[channel] + scale * column);
                return sum;
            };
            const auto weight = [&](int column, int i, int channel) {
                return pack == 2 ? pair(int(value(channel, 2 * i, column)), int(value(channel, 2 * i + 1, column)))
                                 : number(value(channel, i, column));
            };
            packed.block_lists.emplace_back();
            if (point.channels)
                blocks(point.channels, planes * net.shared_columns, 1, most, packed.block_lists.back(),
                       [&](int t, int c) { return weight(t / planes, t % planes, c); });
            point.block = packed.block_lists.back().data(), point.blocks = int(packed.block_lists.back().size());
            int longer = 0;
            while (longer < point.channels && phase[longer] < side % scale) longer++;
            packed.block_lists.emplace_back();
            if (longer)
                blocks(longer, planes, 1, most, packed.block_lists.back(), [&](int t, int c) { return weight(net.shared_columns, t, c); });
            point.extra_block = packed.block_lists.back().data(), point.extra_blocks = int(packed.block_lists.back().size());
        }
        if (pack == 2) {
            const float* rest = read.given.multipliers + read.multiplier;
            packed.floats.emplace_back(rest, rest + scale * scale);
            net.phase_multiplier = packed.floats.back().data();
            net.bias = rest[scale * scale];
        } else {
            net.bias = read.at(read.number).real;
        }
    }
};

}  // namespace

int32_t fault_of(const fsrcnn_network& n) {
    if (n.precision != FSRCNN_EXACT && n.precision != FSRCNN_FAST) return FSRCNN_BAD_PRECISION;
    for (int32_t field : {n.d, n.s, n.m, n.feature_kernel, n.deconvolution_kernel})
        if (field < 0 || field > LARGEST_FIELD) return FSRCNN_BAD_ARCHITECTURE;
    if (n.d < 1 || n.s < 1 || n.feature_kernel % 2 != 1 || n.deconvolution_kernel % 2 != 1 || n.scale < 2 || n.scale > 4 ||
        n.deconvolution_kernel < n.scale || n.crop < 0 || n.crop > n.deconvolution_kernel - n.scale)
        return FSRCNN_BAD_ARCHITECTURE;
    const int64_t d = n.d, s = n.s, m = n.m, first = n.feature_kernel, last = n.deconvolution_kernel;
    const int64_t kernels = d * first * first + s * d + m * s * s * 9 + d * s + d * last * last, channels = 2 * d + (m + 1) * s;
    if (n.precision == FSRCNN_EXACT) {
        if (!n.arrays) return FSRCNN_NULL_POINTER;
        return n.arrays_length == kernels + 2 * channels + 1 ? FSRCNN_OK : FSRCNN_BAD_LENGTH;
    }
    if (!n.integers || !n.multipliers) return FSRCNN_NULL_POINTER;
    return n.integers_length == kernels + channels && n.multipliers_length == 2 * channels + n.scale * n.scale + 1 ? FSRCNN_OK
                                                                                                                  : FSRCNN_BAD_LENGTH;
}

void pack(PackedNetwork& packed, const fsrcnn_network& given, const InstructionSet& isa) {
    Network& net = packed.net;
    net.d = given.d, net.s = given.s, net.m = given.m, net.scale = given.scale, net.crop = given.crop;
    net.feature_kernel = given.feature_kernel, net.deconvolution_kernel = given.deconvolution_kernel;
    net.fast = given.precision == FSRCNN_FAST;
    net.input_levels = given.input_levels, net.feature_levels = given.feature_levels;
    Packer(packed, given, isa).pack_all();
}

}  // namespace fsrcnn
