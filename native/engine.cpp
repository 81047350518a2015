// The C ABI: takes a network, packs its kernels for an instruction set, shares a picture's tiles out to threads.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "network.h"

using namespace fsrcnn;

extern const InstructionSet fsrcnn_generic;
#ifdef FSRCNN_X86
extern const InstructionSet fsrcnn_avx2, fsrcnn_avx512, fsrcnn_avx512vnni;
#endif
#ifdef FSRCNN_AARCH64
extern const InstructionSet fsrcnn_neon;
#endif

#ifdef FSRCNN_STAGES
#include <chrono>
double fsrcnn_stage_time[TIMED_STAGES];
double fsrcnn_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
#endif

namespace {

std::vector<const InstructionSet*> instruction_sets() {
    std::vector<const InstructionSet*> found;
#ifdef FSRCNN_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        if (__builtin_cpu_supports("avx512vnni")) found.push_back(&fsrcnn_avx512vnni);
        found.push_back(&fsrcnn_avx512);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&fsrcnn_avx2);
#endif
#ifdef FSRCNN_AARCH64
    found.push_back(&fsrcnn_neon);  // part of every AArch64
#endif
    found.push_back(&fsrcnn_generic);
    return found;
}

int64_t l2_cache() {
#ifdef _SC_LEVEL2_CACHE_SIZE
    const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (bytes > 0) return bytes;
#endif
    return 512 * 1024;
}

int ceil_div(int a, int b) { return (a + b - 1) / b; }

constexpr int LARGEST_BRANCH = 5;
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

struct Engine {
    Network net{};
    const InstructionSet* isa = nullptr;
    std::string description;
    std::mutex mutex;
    struct Block64 {
        alignas(64) char bytes[64];
    };
    using Scratch = std::vector<Block64>;
    std::vector<Scratch> idle;  // memory of strips that are not running

    // What the network's pointers point to; deques, because their elements stay where they are.
    std::deque<std::vector<Lane>> lanes;
    std::deque<std::vector<float>> floats;
    std::deque<std::vector<Block>> block_lists;
    std::deque<std::vector<int>> ints;
    std::vector<Stage> mapping;
    std::vector<Branch> branches;
};

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
    Engine& engine;
    Network& net;
    Reader read;
    const int pack, most;

  public:
    Packer(Engine& target, const fsrcnn_network& given)
        : engine(target), net(target.net), read{given}, pack(given.precision == FSRCNN_FAST ? 2 : 1), most(block_size(*target.isa, pack)) {}

    void pack_all() {
        net.feature = stage(net.d, 1, net.feature_kernel, pack == 2 ? &Packer::feature_fast : &Packer::feature_exact);
        net.shrinking = stage(net.s, net.d, 1, &Packer::pointwise);
        for (int i = 0; i < net.m; i++) engine.mapping.push_back(stage(net.s, net.s, 3, &Packer::winograd));
        net.mapping = engine.mapping.data();
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
            engine.lanes.emplace_back();
            for (int t = 0; t < taps; t++)
                for (int c = first; c < first + size; c++) engine.lanes.back().push_back(weight(t, c));
            list.push_back({first, size, engine.lanes.back().data()});
            first += size;
        }
    }

    using Taps = void (Packer::*)(Stage&, const Kernel&, std::vector<Block>&);

    Stage stage(int out, int in, int side, Taps pack_taps) {
        Stage result{};
        result.channels = ceil_div(out, pack) * pack;
        result.planes = result.channels / pack;
        const Kernel k = kernel(out, in, side);
        engine.lanes.emplace_back(result.channels);
        engine.floats.emplace_back(result.channels);
        engine.floats.emplace_back(result.channels);
        std::vector<Lane>& bias = engine.lanes.back();
        std::vector<float>&positive = engine.floats[engine.floats.size() - 2], &negative = engine.floats.back();
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
        engine.block_lists.emplace_back();
        (this->*pack_taps)(result, k, engine.block_lists.back());
        result.block = engine.block_lists.back().data();
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
                engine.branches.push_back({phase, first, rows * (i + 1) / parts - first});
            }
        }
        net.branches = int(engine.branches.size()), net.branch = engine.branches.data();
        for (int p = 0; p < POINTS; p++) {
            PointStage& point = net.point[p];
            engine.ints.emplace_back();
            std::vector<int>& branch = engine.ints.back();
            engine.ints.emplace_back();
            std::vector<int>& phase = engine.ints.back();
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
            engine.block_lists.emplace_back();
            if (point.channels)
                blocks(point.channels, planes * net.shared_columns, 1, most, engine.block_lists.back(),
                       [&](int t, int c) { return weight(t / planes, t % planes, c); });
            point.block = engine.block_lists.back().data(), point.blocks = int(engine.block_lists.back().size());
            int longer = 0;
            while (longer < point.channels && phase[longer] < side % scale) longer++;
            engine.block_lists.emplace_back();
            if (longer)
                blocks(longer, planes, 1, most, engine.block_lists.back(), [&](int t, int c) { return weight(net.shared_columns, t, c); });
            point.extra_block = engine.block_lists.back().data(), point.extra_blocks = int(engine.block_lists.back().size());
        }
        if (pack == 2) {
            const float* rest = read.given.multipliers + read.multiplier;
            engine.floats.emplace_back(rest, rest + scale * scale);
            net.phase_multiplier = engine.floats.back().data();
            net.bias = rest[scale * scale];
        } else {
            net.bias = read.at(read.number).real;
        }
    }
};

// ---- tiles and threads ----------------------------------------------------------------------------------------------------

struct Plan {
    int64_t columns, bands, threads;
};

// Tiles narrow enough for their rings of rows to stay in the L2 cache, bands so that the threads finish together.
Plan plan(const Network& net, int64_t height, int64_t width, int threads) {
    const int64_t pack = net.fast ? 2 : 1;
    const int64_t lanes = (net.m + 1) * 4 * ((net.s + pack - 1) / pack) + (net.columns + 2) * net.scale * net.scale;
    int64_t widest = l2_cache() * 3 / 4 / (4 * lanes);
    widest = widest < 128 ? 128 : widest > 1024 ? 1024 : widest;
    Plan result{};
    result.columns = (width + widest - 1) / widest;
    const double work = double(height) * double(width) *
                        (net.d * (net.feature_kernel * net.feature_kernel + 2 * net.s + net.deconvolution_kernel * net.deconvolution_kernel) +
                         9.0 * net.m * net.s * net.s);
    const double worth = 1 + work / 100e6;  // one or two milliseconds: a new thread may have to wait for a core as long as that
    result.threads = threads < 1 ? 1 : worth < threads ? int64_t(worth) : threads;
    result.bands = (height + 1087) / 1088;
    const auto tasks = [&] { return result.columns * result.bands; };
    while (result.threads > 1 && (tasks() < 2 * result.threads || (tasks() % result.threads != 0 && tasks() < 16 * result.threads)))
        result.bands++;
    if (result.bands > height) result.bands = height;
    if (result.threads > tasks()) result.threads = tasks();
    return result;
}

Pixels pixels_of(const fsrcnn_pixels& given) {
    return {static_cast<char*>(given.data), given.row_stride, given.column_stride, given.channel_stride, given.dtype, given.channels};
}

bool legal(const fsrcnn_network& n) {
    return n.d >= 1 && n.s >= 1 && n.m >= 0 && n.feature_kernel % 2 == 1 && n.deconvolution_kernel % 2 == 1 && n.scale >= 1 &&
           n.deconvolution_kernel >= n.scale && n.crop >= 0 && n.crop <= n.deconvolution_kernel - n.scale;
}

}  // namespace

struct fsrcnn_engine : Engine {};

const char* fsrcnn_instruction_sets(void) {
    static const std::string names = [] {
        std::string text;
        for (const InstructionSet* isa : instruction_sets()) text += (text.empty() ? "" : " ") + std::string(isa->name);
        return text;
    }();
    return names.c_str();
}

fsrcnn_engine* fsrcnn_create(const fsrcnn_network* given, const char* instruction_set) {
    try {
        auto engine = std::make_unique<fsrcnn_engine>();
        for (const InstructionSet* isa : instruction_sets())
            if (!engine->isa && std::string(instruction_set) == isa->name) engine->isa = isa;
        if (!engine->isa || !legal(*given)) return nullptr;
        Network& net = engine->net;
        net.d = given->d, net.s = given->s, net.m = given->m, net.scale = given->scale, net.crop = given->crop;
        net.feature_kernel = given->feature_kernel, net.deconvolution_kernel = given->deconvolution_kernel;
        net.fast = given->precision == FSRCNN_FAST;
        net.input_levels = given->input_levels, net.feature_levels = given->feature_levels;
        Packer(*engine, *given).pack_all();
        engine->description = std::string(engine->isa->name) + (net.fast ? ", 16-bit whole numbers" : ", float32");
        return engine.release();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

int fsrcnn_run(fsrcnn_engine* engine, const fsrcnn_pixels* lr, const fsrcnn_pixels* sr, int64_t height, int64_t width, int threads,
               const fsrcnn_colour* colour, fsrcnn_control* control) {
    if (!engine || !lr || !sr || height < 1 || width < 1) return FSRCNN_BAD_ARGUMENT;
    try {
        const Job job{pixels_of(*lr), pixels_of(*sr), height, width, colour};
        const Plan shares = plan(engine->net, height, width, threads);
        const int64_t widest = (width + shares.columns - 1) / shares.columns, tasks = shares.columns * shares.bands;
        const size_t bytes = engine->isa->strip_bytes(engine->net, widest, job);
        std::atomic<int64_t> next{0};
        std::atomic<int64_t> done{0};
        std::atomic<bool> no_memory{false};
        const auto work = [&] {
            Engine::Scratch scratch;
            try {
                {
                    const std::lock_guard<std::mutex> lock(engine->mutex);
                    if (!engine->idle.empty()) {
                        scratch = std::move(engine->idle.back());
                        engine->idle.pop_back();
                    }
                }
                if (scratch.size() * 64 < bytes) scratch = Engine::Scratch((bytes + 63) / 64);
                for (int64_t task; (task = next++) < tasks && !no_memory;) {
                    if (control && __atomic_load_n(&control->cancel, __ATOMIC_RELAXED)) break;
                    const int64_t row = task / shares.columns, column = task % shares.columns;
                    const Tile tile{height * row / shares.bands, height * (row + 1) / shares.bands, width * column / shares.columns,
                                    width * (column + 1) / shares.columns};
                    engine->isa->run(engine->net, job, tile, scratch.data(), widest);
                    done += (tile.bottom - tile.top) * (tile.right - tile.left);
                    if (control) __atomic_store_n(&control->done, done.load(), __ATOMIC_RELAXED);
                }
                const std::lock_guard<std::mutex> lock(engine->mutex);
                engine->idle.push_back(std::move(scratch));
            } catch (const std::bad_alloc&) {
                no_memory = true;
            }
        };
        std::vector<std::thread> others;
        try {
            for (int64_t i = 1; i < shares.threads; i++) others.emplace_back(work);
        } catch (const std::system_error&) {  // no more threads to be had: those that run do the work
        }
        work();
        for (std::thread& thread : others) thread.join();
        if (no_memory) return FSRCNN_NO_MEMORY;
        return done == height * width ? FSRCNN_OK : FSRCNN_CANCELLED;
    } catch (const std::bad_alloc&) {
        return FSRCNN_NO_MEMORY;
    }
}

const char* fsrcnn_describe(const fsrcnn_engine* engine) { return engine->description.c_str(); }

void fsrcnn_destroy(fsrcnn_engine* engine) { delete engine; }
