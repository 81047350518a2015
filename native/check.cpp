// The engine without Python, for the sanitizers and for processors under emulation: random networks, awkward sizes, several threads,
// every instruction set against `generic`. Prints what it compared; exits with 1 at the first difference.
//
//     make sanitize       # AddressSanitizer + UndefinedBehaviorSanitizer, then ThreadSanitizer
//     make check-aarch64  # under QEMU
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "fsrcnn.h"

namespace {

std::mt19937 generator(1);

int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); }
float real(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator); }

struct Example {
    fsrcnn_network network{};
    std::vector<float> arrays, multipliers;
    std::vector<int32_t> integers;
};

// Plausible numbers: features neither vanish nor explode; whole numbers small enough for sums of 32 bits.
Example example(int d, int s, int m, int feature_kernel, int deconvolution_kernel, int scale, int crop, int precision) {
    Example made;
    made.network = {d, s, m, feature_kernel, deconvolution_kernel, scale, crop, precision, nullptr, nullptr, nullptr, 32640, 8191};
    const auto stage = [&](int out, int in, int side) {
        const float size = 1 / std::sqrt(float(in * side * side));
        for (int i = 0; i < out * in * side * side; i++) {
            made.arrays.push_back(real(-size, size));
            made.integers.push_back(whole(-200, 200));
        }
        for (int i = 0; i < out; i++) {
            made.arrays.push_back(real(-0.1f, 0.1f));
            made.integers.push_back(whole(-100000, 100000));
        }
        for (int i = 0; i < out; i++) made.arrays.push_back(real(-0.5f, 1.5f));
        for (int i = 0; i < 2 * out; i++) made.multipliers.push_back(real(-0.01f, 0.02f));
    };
    stage(d, 1, feature_kernel);
    stage(s, d, 1);
    for (int i = 0; i < m; i++) stage(s, s, 3);
    stage(d, s, 1);
    for (int i = 0; i < d * deconvolution_kernel * deconvolution_kernel; i++) {
        made.arrays.push_back(real(-0.1f, 0.1f));
        made.integers.push_back(whole(-8, 8));
    }
    made.arrays.push_back(real(0, 1));
    for (int i = 0; i < scale * scale; i++) made.multipliers.push_back(1e-6f);
    made.multipliers.push_back(0.5f);
    made.network.arrays = made.arrays.data();
    made.network.integers = made.integers.data();
    made.network.multipliers = made.multipliers.data();
    return made;
}

struct Engine {
    fsrcnn_engine* handle;
    Engine(const fsrcnn_network& network, const std::string& instruction_set) : handle(fsrcnn_create(&network, instruction_set.c_str())) {
        if (!handle) std::exit((std::printf("cannot create %s\n", instruction_set.c_str()), 1));
    }
    Engine(const Engine&) = delete;
    ~Engine() { fsrcnn_destroy(handle); }
};

template <class T>
std::vector<T> run(const Engine& engine, const std::vector<T>& lr, int64_t height, int64_t width, int scale, int dtype, int threads) {
    std::vector<T> sr(size_t(height * width * scale * scale));
    const int64_t size = sizeof(T);
    const fsrcnn_pixels in{const_cast<T*>(lr.data()), width * size, size, size, dtype, 1};
    const fsrcnn_pixels out{sr.data(), scale * width * size, size, size, dtype, 1};
    fsrcnn_control control{};
    if (fsrcnn_run(engine.handle, &in, &out, height, width, threads, nullptr, &control) != FSRCNN_OK || control.done != height * width)
        std::exit((std::printf("a run failed\n"), 1));
    return sr;
}

// RGBA in one call, with the taps of nearest-neighbour and linear weights: what they are does not matter here.
std::vector<uint8_t> run_colour(const Engine& engine, const std::vector<uint8_t>& lr, int64_t height, int64_t width, int scale, int threads) {
    std::vector<uint8_t> sr(size_t(height * width * scale * scale * 4));
    const fsrcnn_pixels in{const_cast<uint8_t*>(lr.data()), width * 4, 4, 1, FSRCNN_UINT8, 4};
    const fsrcnn_pixels out{sr.data(), scale * width * 4, 4, 1, FSRCNN_UINT8, 4};
    fsrcnn_colour colour{};
    for (int i = 0; i < 9; i++) colour.to_ycbcr[i] = colour.to_rgb[i] = i % 4 == 0 ? 0.9f : 0.05f;
    std::vector<float> weights[2];
    std::vector<int32_t> indices[2];
    for (int axis = 0; axis < 2; axis++) {
        const int64_t length = axis ? width : height;
        for (int64_t i = 0; i < length * scale; i++)
            for (int64_t t = 0; t < 4; t++) {
                weights[axis].push_back(0.25f);
                indices[axis].push_back(int32_t(std::min(length - 1, std::max<int64_t>(0, i / scale + t - 1))));
            }
    }
    colour.rows = {weights[0].data(), indices[0].data(), 4};
    colour.columns = {weights[1].data(), indices[1].data(), 4};
    if (fsrcnn_run(engine.handle, &in, &out, height, width, threads, &colour, nullptr) != FSRCNN_OK)
        std::exit((std::printf("a colour run failed\n"), 1));
    return sr;
}

void expect(bool right, const char* what, const std::string& instruction_set, int64_t height, int64_t width) {
    if (right) return;
    std::printf("%s differs: %s, %ld×%ld\n", what, instruction_set.c_str(), long(height), long(width));
    std::exit(1);
}

}  // namespace

int main() {
    std::vector<std::string> sets;
    std::istringstream names(fsrcnn_instruction_sets());
    for (std::string name; names >> name;) sets.push_back(name);
    const int64_t sizes[][2] = {{1, 1}, {1, 70}, {37, 1}, {2, 17}, {5, 129}, {33, 65}, {90, 300}};
    const int shapes[][7] = {{56, 12, 4, 5, 9, 2, 3}, {32, 5, 1, 5, 9, 3, 3}, {23, 12, 2, 3, 5, 4, 0}, {1, 1, 0, 1, 3, 2, 1}, {7, 3, 1, 7, 13, 2, 11}};
    int compared = 0;
    for (const auto& shape : shapes) {
        const Example exact = example(shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], FSRCNN_EXACT);
        Example fast = exact;
        fast.network = exact.network, fast.network.precision = FSRCNN_FAST;
        fast.network.integers = fast.integers.data(), fast.network.multipliers = fast.multipliers.data();
        const Engine exact_law(exact.network, "generic"), fast_law(fast.network, "generic");
        for (const std::string& instruction_set : sets) {
            const Engine exact_engine(exact.network, instruction_set), fast_engine(fast.network, instruction_set);
            for (const auto& size : sizes) {
                const int64_t height = size[0], width = size[1];
                std::vector<float> lr(size_t(height * width));
                for (float& pixel : lr) pixel = real(0, 1);
                const int scale = shape[5], threads = whole(1, 5);
                const auto expected = run(exact_law, lr, height, width, scale, FSRCNN_FLOAT32, 1);
                const auto ours = run(exact_engine, lr, height, width, scale, FSRCNN_FLOAT32, threads);
                float largest = 1, difference = 0;
                for (size_t i = 0; i < ours.size(); i++) {
                    largest = std::max(largest, std::fabs(expected[i]));
                    difference = std::max(difference, std::fabs(ours[i] - expected[i]));
                }
                expect(difference <= 1e-5f * largest, "exact", instruction_set, height, width);
                expect(run(fast_engine, lr, height, width, scale, FSRCNN_FLOAT32, threads) ==
                           run(fast_law, lr, height, width, scale, FSRCNN_FLOAT32, 1), "fast", instruction_set, height, width);
                std::vector<uint16_t> levels(size_t(height * width));
                for (uint16_t& level : levels) level = uint16_t(whole(0, 65535));
                expect(run(fast_engine, levels, height, width, scale, FSRCNN_UINT16, threads) ==
                           run(fast_law, levels, height, width, scale, FSRCNN_UINT16, 1), "fast, 16 bit", instruction_set, height, width);
                std::vector<uint8_t> rgba(size_t(height * width * 4));
                for (uint8_t& level : rgba) level = uint8_t(whole(0, 255));
                expect(run_colour(fast_engine, rgba, height, width, scale, threads) == run_colour(fast_law, rgba, height, width, scale, 1),
                       "colour", instruction_set, height, width);
                compared += 4;
            }
            // One engine from several threads at once, each with threads of its own.
            std::vector<uint8_t> pixels(200 * 300, 90);
            const auto expected = run(fast_engine, pixels, 200, 300, shape[5], FSRCNN_UINT8, 1);
            std::vector<std::thread> others;
            bool same[3] = {};
            for (bool& each : same)
                others.emplace_back([&] { each = run(fast_engine, pixels, 200, 300, shape[5], FSRCNN_UINT8, 2) == expected; });
            for (std::thread& thread : others) thread.join();
            expect(same[0] && same[1] && same[2], "threads", instruction_set, 200, 300);
        }
    }
    std::printf("%d runs of %s agree with generic\n", compared, fsrcnn_instruction_sets());
}
