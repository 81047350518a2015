#include "plan.h"

#include <algorithm>
#include <cstring>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace fsrcnn {
namespace {

constexpr int64_t TALLEST = 1088;        // rows of a tile: often enough for progress and for stopping
constexpr int64_t TALLEST_HIDDEN = 128;  // its colours are held in float32 while the hidden ones are repainted: 5 MB for 700 columns
constexpr double WORTH_A_THREAD = 100e6;  // multiply-adds, one or two milliseconds: another thread may wait for a core as long as that

int64_t l2_cache() {
#ifdef _SC_LEVEL2_CACHE_SIZE
    const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (bytes > 0) return bytes;
#endif
    return 512 * 1024;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
bool any_hidden(const char* row, int64_t column_stride, int64_t count) {
    for (int64_t x = 0; x < count; x++) {
        T alpha;
        std::memcpy(&alpha, row + x * column_stride, sizeof(T));
        if (!(alpha > 0)) return true;
    }
    return false;
}

}  // namespace

// Tiles narrow enough for their rings of rows to stay in the L2 cache, bands so that the threads finish together.
// FSRCNN at ×2 with 1 MB of L2: (4 + 1)·4·12 + (5 + 2)·2² = 268 lanes of 4 bytes for each column, so 733 columns in three quarters.
Plan plan(const Network& net, const Job& job, int64_t threads) {
    const int64_t pack = net.fast ? 2 : 1;
    const int64_t lanes = (net.m + 1) * 4 * ceil_div(net.s, pack) + (net.columns + 2) * net.scale * net.scale;
    const int64_t widest = std::clamp<int64_t>(l2_cache() * 3 / 4 / (4 * lanes), 128, 1024);
    const double work = double(job.height) * double(job.width) *
                        (net.d * (net.feature_kernel * net.feature_kernel + 2 * net.s + net.deconvolution_kernel * net.deconvolution_kernel) +
                         9.0 * net.m * net.s * net.s);
    const double worth = 1 + work / WORTH_A_THREAD;
    Plan result{};
    result.small = worth < 2;
    result.threads = worth < double(threads) ? int64_t(worth) : threads;
    result.columns = ceil_div(job.width, widest);
    result.bands = ceil_div(job.height, job.hidden ? TALLEST_HIDDEN : TALLEST);
    // 7 tiles for 2 threads would leave one idle while the other does the last: as many for each, or so many that it does not matter.
    const auto uneven = [&] {
        const int64_t tiles = result.tiles();
        return tiles < 2 * result.threads || (tiles % result.threads != 0 && tiles < 16 * result.threads);
    };
    while (result.threads > 1 && uneven()) result.bands++;
    result.bands = std::min(result.bands, job.height);
    result.threads = std::min(result.threads, result.tiles());
    return result;
}

Tile tile(const Plan& plan, const Job& job, int64_t number) {
    const int64_t row = number / plan.columns, column = number % plan.columns;
    return {job.height * row / plan.bands, job.height * (row + 1) / plan.bands, job.width * column / plan.columns,
            job.width * (column + 1) / plan.columns};
}

bool has_hidden(const fsrcnn_picture& picture, const fsrcnn_colour& colour, int64_t height, int64_t width) {
    if (!colour.alpha) return false;
    const fsrcnn_plane& plane = picture.plane[colour.colours];
    const auto any = picture.dtype == FSRCNN_FLOAT32 ? any_hidden<float> : picture.dtype == FSRCNN_UINT8 ? any_hidden<uint8_t> : any_hidden<uint16_t>;
    for (int64_t row = 0; row < height; row++)
        if (any(static_cast<const char*>(plane.data) + row * plane.row_stride, plane.column_stride, width)) return true;
    return false;
}

}  // namespace fsrcnn
