// The engine without Python, for the sanitizers and for processors under emulation: random networks, awkward sizes, every layout,
// several threads, every instruction set against `generic`. Prints what it compared; exits with 1 at the first difference.
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

#include "fsrcnn_engine.h"

namespace {

std::mt19937 generator(1);

int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); }
float real(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator); }

void fail(const std::string& what) {
    std::printf("%s\n", what.c_str());
    std::exit(1);
}

struct Example {
    fsrcnn_network network{};
    std::vector<float> arrays, multipliers;
    std::vector<int32_t> integers;

    void point() {
        network.arrays = arrays.data(), network.arrays_length = int64_t(arrays.size());
        network.integers = integers.data(), network.integers_length = int64_t(integers.size());
        network.multipliers = multipliers.data(), network.multipliers_length = int64_t(multipliers.size());
    }
};

// Plausible numbers: features neither vanish nor explode; whole numbers small enough for sums of 32 bits.
Example example(int d, int s, int m, int feature_kernel, int deconvolution_kernel, int scale, int crop, int precision) {
    Example made;
    made.network = {d, s, m, feature_kernel, deconvolution_kernel, scale, crop, precision, nullptr, nullptr, nullptr, 0, 0, 0, 32640, 8191};
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
    made.point();
    return made;
}

struct Engine {
    fsrcnn_engine* handle = nullptr;
    Engine(const fsrcnn_network& network, const std::string& instruction_set) {
        const int32_t status = fsrcnn_create(FSRCNN_ABI, &network, instruction_set.c_str(), &handle);
        if (status != FSRCNN_OK) fail("cannot create " + instruction_set + ": " + fsrcnn_explain(status));
    }
    Engine(const Engine&) = delete;
    ~Engine() { fsrcnn_destroy(handle); }
};

template <class T>
constexpr int32_t DTYPE = sizeof(T) == 4 ? FSRCNN_FLOAT32 : sizeof(T) == 1 ? FSRCNN_UINT8 : FSRCNN_UINT16;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The planes of one picture, each in a vector of exactly its size, so that AddressSanitizer sees a step beside it; or packed in one.
template <class T>
struct Planes {
    std::vector<T> plane[4];
    fsrcnn_picture picture{};

    Planes(const fsrcnn_colour& colour, int64_t height, int64_t width, bool packed) {
        const int64_t size = sizeof(T);
        picture.planes = colour.colours + colour.alpha, picture.dtype = DTYPE<T>;
        picture.peak = sizeof(T) == 4 ? 1 : sizeof(T) == 1 ? 255 : 1020;
        picture.largest = sizeof(T) == 4 ? INFINITY : sizeof(T) == 1 ? 255 : 1023;
        for (int i = 0; i < picture.planes; i++) {
            const bool chroma = i > 0 && i < colour.colours;
            const int64_t rows = chroma ? ceil_div(height, colour.down) : height, columns = chroma ? ceil_div(width, colour.across) : width;
            if (packed) {
                if (i == 0) plane[0].resize(size_t(rows * columns * picture.planes));
                picture.plane[i] = {plane[0].data() + i, columns * size * picture.planes, size * picture.planes};
            } else {
                plane[i].resize(size_t(rows * columns));
                picture.plane[i] = {plane[i].data(), columns * size, size};
            }
        }
    }
    Planes(const Planes&) = delete;

    void fill() {
        for (std::vector<T>& samples : plane)
            for (T& sample : samples) sample = sizeof(T) == 4 ? T(real(0, 1)) : T(whole(0, int(picture.largest)) * (whole(0, 3) > 0));
    }
    bool operator==(const Planes& other) const { return std::equal(plane, plane + 4, other.plane); }
};

// Taps of four equal weights: what they are does not matter here. Their arrays are `weights` and `indices`.
fsrcnn_taps taps(int64_t before, int64_t after, std::vector<float>& weights, std::vector<int32_t>& indices) {
    for (int64_t i = 0; i < after; i++)
        for (int64_t t = 0; t < 4; t++) {
            weights.push_back(0.25f);
            indices.push_back(int32_t(std::min(before - 1, std::max<int64_t>(0, i * before / after + t - 1))));
        }
    return {weights.data(), indices.data(), 4, after};
}

// A layout, and the taps for a size.
struct Colour {
    fsrcnn_colour colour{};
    std::vector<float> weights[2];
    std::vector<int32_t> indices[2];

    Colour(int32_t kind, int32_t colours, int32_t alpha, int32_t down, int32_t across, int64_t height, int64_t width, int scale) {
        colour.kind = kind, colour.colours = colours, colour.alpha = alpha, colour.down = down, colour.across = across;
        colour.full_offset = 16 / 255.0f, colour.full_gain = 219 / 255.0f;
        for (int i = 0; i < 9; i++) colour.to_ycbcr[i] = colour.to_rgb[i] = i % 4 == 0 ? 0.9f : 0.05f;
        colour.rows = taps(ceil_div(height, down), ceil_div(scale * height, down), weights[0], indices[0]);
        colour.columns = taps(ceil_div(width, across), ceil_div(scale * width, across), weights[1], indices[1]);
    }
    Colour(const Colour&) = delete;
};

void unmoved(fsrcnn_control*) {}  // a `watch` that only looks on

template <class T, class U>
void run(const Engine& engine, const Planes<T>& lr, const Planes<U>& sr, int64_t height, int64_t width, int threads, const fsrcnn_colour& colour,
         void (*watch)(fsrcnn_control*) = nullptr) {
    fsrcnn_control control{};
    control.watch = watch;
    const int32_t status = fsrcnn_run(engine.handle, &lr.picture, &sr.picture, height, width, threads, &colour, &control);
    if (status != FSRCNN_OK || control.done != height * width) fail(std::string("a run: ") + fsrcnn_explain(status));
}

// The same from T to U on both engines, ours with several threads; whether the results are the same.
template <class T, class U>
bool same(const Engine& ours, const Engine& law, const Colour& colour, int64_t height, int64_t width, int scale, bool packed) {
    Planes<T> lr(colour.colour, height, width, packed);
    lr.fill();
    Planes<U> first(colour.colour, scale * height, scale * width, packed), second(colour.colour, scale * height, scale * width, packed);
    second.fill();  // what is not written stays another
    run(ours, lr, first, height, width, whole(2, 5), colour.colour, unmoved);
    run(law, lr, second, height, width, 1, colour.colour);
    return first == second;
}

void expect(bool right, const char* what, const std::string& instruction_set, int64_t height, int64_t width) {
    if (!right) fail(std::string(what) + ": " + instruction_set + ", " + std::to_string(height) + "×" + std::to_string(width));
}

// Statuses for what no caller should give.
void check_statuses(const Example& good) {
    fsrcnn_engine* engine = nullptr;
    const auto expect_status = [](int32_t status, int32_t expected) {
        if (status != expected) fail("status " + std::to_string(status) + " instead of " + std::to_string(expected));
    };
    const auto create = [&](fsrcnn_network network) { return fsrcnn_create(FSRCNN_ABI, &network, "generic", &engine); };
    const fsrcnn_network& n = good.network;
    expect_status(fsrcnn_create(FSRCNN_ABI - 1, &n, "generic", &engine), FSRCNN_WRONG_ABI);
    expect_status(fsrcnn_create(FSRCNN_ABI, &n, "mmx", &engine), FSRCNN_UNKNOWN_INSTRUCTION_SET);
    expect_status(fsrcnn_create(FSRCNN_ABI, nullptr, "generic", &engine), FSRCNN_NULL_POINTER);
    fsrcnn_network bad = n;
    bad.scale = 5, expect_status(create(bad), FSRCNN_BAD_ARCHITECTURE);
    bad = n, bad.precision = 7, expect_status(create(bad), FSRCNN_BAD_PRECISION);
    bad = n, bad.d++, expect_status(create(bad), FSRCNN_BAD_LENGTH);
    bad = n, bad.arrays = nullptr, expect_status(create(bad), FSRCNN_NULL_POINTER);
    const Engine made(n, "generic");
    const Colour rgba(FSRCNN_FROM_RGB, 3, 1, 1, 1, 4, 5, n.scale);
    const Planes<uint8_t> lr(rgba.colour, 4, 5, true), sr(rgba.colour, 4 * n.scale, 5 * n.scale, true);
    const auto run = [&](const fsrcnn_picture& in, const fsrcnn_picture& out, int64_t height, int threads, const fsrcnn_colour& colour,
                         fsrcnn_control* control = nullptr) {
        return fsrcnn_run(made.handle, &in, &out, height, 5, threads, &colour, control);
    };
    fsrcnn_picture picture = lr.picture;
    expect_status(run(picture, sr.picture, 4, 1, rgba.colour), FSRCNN_OK);
    expect_status(run(picture, sr.picture, 0, 1, rgba.colour), FSRCNN_BAD_SIZE);
    expect_status(run(picture, sr.picture, 4, 0, rgba.colour), FSRCNN_BAD_THREADS);
    picture.dtype = 9, expect_status(run(picture, sr.picture, 4, 1, rgba.colour), FSRCNN_BAD_DTYPE);
    picture = lr.picture, picture.peak = 0, expect_status(run(picture, sr.picture, 4, 1, rgba.colour), FSRCNN_BAD_RANGE);
    picture = sr.picture, picture.largest = 256, expect_status(run(lr.picture, picture, 4, 1, rgba.colour), FSRCNN_BAD_RANGE);
    picture = lr.picture, picture.planes = 3, expect_status(run(picture, sr.picture, 4, 1, rgba.colour), FSRCNN_BAD_LAYOUT);
    picture = lr.picture, picture.plane[2].data = nullptr, expect_status(run(picture, sr.picture, 4, 1, rgba.colour), FSRCNN_NULL_POINTER);
    expect_status(run(lr.picture, sr.picture, 3, 1, rgba.colour), FSRCNN_BAD_TAPS);
    fsrcnn_colour colour = rgba.colour;
    colour.across = 2, expect_status(run(lr.picture, sr.picture, 4, 1, colour), FSRCNN_BAD_LAYOUT);
    fsrcnn_control control{};
    control.cancel = 1, expect_status(run(lr.picture, sr.picture, 4, 1, rgba.colour, &control), FSRCNN_CANCELLED);
}

// Stopped by its own `watch`, and by another thread.
void check_stopping(const Engine& engine, int scale) {
    const Colour colour(FSRCNN_FROM_RGB, 3, 0, 1, 1, 3000, 400, scale);
    const Planes<uint8_t> lr(colour.colour, 3000, 400, true), sr(colour.colour, 3000 * scale, 400 * scale, true);
    fsrcnn_control control{};
    control.watch = [](fsrcnn_control* shared) { __atomic_store_n(&shared->cancel, 1, __ATOMIC_RELAXED); };
    int32_t status = fsrcnn_run(engine.handle, &lr.picture, &sr.picture, 3000, 400, 2, &colour.colour, &control);
    if (status != FSRCNN_CANCELLED || control.done == 3000 * 400) fail("a call that its watch stops goes on");
    control.cancel = 0, control.watch = nullptr;
    std::thread other([&] {
        while (__atomic_load_n(&control.done, __ATOMIC_RELAXED) == 0) std::this_thread::yield();
        __atomic_store_n(&control.cancel, 1, __ATOMIC_RELAXED);
    });
    status = fsrcnn_run(engine.handle, &lr.picture, &sr.picture, 3000, 400, 2, &colour.colour, &control);
    other.join();
    if (status != FSRCNN_CANCELLED) fail("a call that another thread stops goes on");
}

}  // namespace

int main() {
    std::vector<std::string> sets;
    std::istringstream names(fsrcnn_instruction_sets());
    for (std::string name; names >> name;) sets.push_back(name);
    const int64_t sizes[][2] = {{1, 1}, {1, 70}, {37, 1}, {2, 17}, {5, 129}, {33, 65}, {90, 300}, {131, 40}};
    const int shapes[][7] = {{56, 12, 4, 5, 9, 2, 3}, {32, 5, 1, 5, 9, 3, 3}, {23, 12, 2, 3, 5, 4, 0}, {1, 1, 0, 1, 3, 2, 1}, {7, 3, 1, 7, 13, 2, 11}};
    int compared = 0;
    for (const auto& shape : shapes) {
        const Example exact = example(shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], FSRCNN_EXACT);
        Example fast = exact;
        fast.network.precision = FSRCNN_FAST, fast.point();
        check_statuses(exact);
        const Engine exact_law(exact.network, "generic"), fast_law(fast.network, "generic");
        const int scale = shape[5];
        for (const std::string& instruction_set : sets) {
            const Engine exact_engine(exact.network, instruction_set), fast_engine(fast.network, instruction_set);
            for (const auto& size : sizes) {
                const int64_t height = size[0], width = size[1];
                const Colour luma(FSRCNN_FROM_STUDIO, 1, 0, 1, 1, height, width, scale);
                Planes<float> lr(luma.colour, height, width, false);
                lr.fill();
                const Planes<float> expected(luma.colour, height * scale, width * scale, false), found(luma.colour, height * scale, width * scale, false);
                run(exact_law, lr, expected, height, width, 1, luma.colour);
                run(exact_engine, lr, found, height, width, 3, luma.colour);
                float largest = 1, difference = 0;
                for (size_t i = 0; i < found.plane[0].size(); i++) {
                    largest = std::max(largest, std::fabs(expected.plane[0][i]));
                    difference = std::max(difference, std::fabs(found.plane[0][i] - expected.plane[0][i]));
                }
                expect(difference <= 1e-5f * largest, "exact", instruction_set, height, width);

                const Colour rgba(FSRCNN_FROM_RGB, 3, 1, 1, 1, height, width, scale), rgb(FSRCNN_FROM_RGB, 3, 0, 1, 1, height, width, scale);
                const Colour grey_alpha(FSRCNN_FROM_FULL, 1, 1, 1, 1, height, width, scale);
                const Colour yuv420(FSRCNN_FROM_STUDIO, 3, 0, 2, 2, height, width, scale), yuv422(FSRCNN_FROM_FULL, 3, 0, 1, 2, height, width, scale);
                const auto agree = [&](bool right, const char* what) { expect(right, what, instruction_set, height, width), compared++; };
                agree(same<float, float>(fast_engine, fast_law, luma, height, width, scale, false), "luma");
                agree(same<uint8_t, uint8_t>(fast_engine, fast_law, rgb, height, width, scale, true), "RGB");
                agree(same<uint8_t, uint8_t>(fast_engine, fast_law, rgba, height, width, scale, true), "RGBA, hidden pixels");
                agree(same<uint16_t, float>(fast_engine, fast_law, rgba, height, width, scale, false), "RGBA in planes, 10 bit to float");
                agree(same<float, uint16_t>(fast_engine, fast_law, grey_alpha, height, width, scale, true), "grey and alpha");
                agree(same<uint8_t, uint16_t>(fast_engine, fast_law, yuv420, height, width, scale, false), "4:2:0, 8 to 10 bit");
                agree(same<uint16_t, uint8_t>(fast_engine, fast_law, yuv422, height, width, scale, false), "4:2:2, 10 to 8 bit");
            }
            // One engine from several threads at once, each with threads of the pool, some of them watched.
            const Colour colour(FSRCNN_FROM_STUDIO, 3, 0, 2, 2, 151, 203, scale);
            Planes<uint8_t> lr(colour.colour, 151, 203, false);
            lr.fill();
            const Planes<uint8_t> expected(colour.colour, 151 * scale, 203 * scale, false);
            run(fast_engine, lr, expected, 151, 203, 1, colour.colour);
            std::vector<std::thread> others;
            bool right[4] = {};
            for (int i = 0; i < 4; i++)
                others.emplace_back([&, i] {
                    const Planes<uint8_t> found(colour.colour, 151 * scale, 203 * scale, false);
                    for (int frame = 0; frame < 2; frame++)
                        run(fast_engine, lr, found, 151, 203, 1 + i, colour.colour, i % 2 ? unmoved : nullptr);
                    right[i] = found == expected;
                });
            for (std::thread& thread : others) thread.join();
            expect(right[0] && right[1] && right[2] && right[3], "threads", instruction_set, 151, 203);
        }
        check_stopping(exact_law, scale);
    }
    std::printf("%d runs of %s agree with generic\n", compared, fsrcnn_instruction_sets());
}
