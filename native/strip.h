// The whole network on a tile, two LR rows at a time, in the working memory of one thread.
//
// Each instruction set's file includes this header after defining `Isa` (its vectors and what can be done with them), inside an
// anonymous namespace: the same text becomes different code in each, and none of it may be shared between them.
//
// Per step of two rows: luma → features → shrinking (a chunk of columns at a time) → ring of four rows → mapping, each stage one
// row behind the one before it, with a ring of its own → expanding → deconvolution (again a chunk at a time) → ring of
// output rows → pixels. Nothing else of the picture's width exists, and the rings fit in the L2 cache.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "job.h"

namespace {

using namespace fsrcnn;

#include "timing.h"
#include "working_memory.h"
#include "arithmetic.h"
#include "sums.h"
#include "mapping.h"
#include "deconvolution.h"
#include "hidden.h"
#include "pixels.h"

template <class A>
class Strip {
    using Vec = typename A::Vec;

    const Network& net;
    const Job& job;
    Tile tile;
    Memory memory;
    PixelRows pixels;

    const int planes_d, planes_s, ring_rows;
    // Columns: `left_column` of the picture is column 0 of every line. Sums: columns of the deconvolution's phases.
    int64_t left, left_column, stride, chunk_stride, chunk_margin;
    int64_t first_sum_row, end_sum_row, first_feature_row, first_sum, end_sum, first_feature;

    float* luma;              // feature_kernel + 1 rows
    Lane* luma_lanes;
    int64_t luma_top;
    Lane* ring;               // (m + 1) × 4 rows × planes_s
    Lane *features, *upper, *lower, *evaluated;  // chunks of d planes
    Lane *transformed, *products;                // chunks: rows combined for the mapping, values of the deconvolution's polynomials
    Lane* sums;               // ring_rows × scale × scale planes
    float* hr_row;
    ptrdiff_t *feature_offset, *mapping_offset, *shrinking_offset, *expanding_offset, *deconvolution_offset, *extra_offset;
    int* product_of;          // (branch, phase, point) → channel of that point

    template <class T>
    T* take(int64_t count) { return memory.take<T>(count); }

  public:
    // With start == nullptr nothing may be called but `bytes`.
    Strip(const Network& network, const Job& work, void* start)
        : net(network),
          job(work),
          tile(),
          memory(start),
          pixels(network, work, memory),
          planes_d(network.shrinking.taps),
          planes_s(network.expanding.taps),
          ring_rows(power_of_two(network.columns + 2)) {
        const int reach = net.feature_kernel / 2, halo = net.columns - 1;
        chunk_margin = round_up(halo, ALIGNED);
        const int64_t slack = N + ALIGNED;  // what a block may compute beyond its last column, and a vector read there
        left = round_up(halo + net.m, ALIGNED) + round_up(reach, ALIGNED) + chunk_margin + ALIGNED;
        stride = plane_stride(left + job.tile_columns + 1 + net.m + reach + slack);
        chunk_stride = plane_stride(larger<int64_t>(chunk_margin, ALIGNED) + CHUNK + slack);
        luma = take<float>((net.feature_kernel + 1) * stride);
        luma_lanes = A::PACK == 2 ? take<Lane>((net.feature_kernel + 1) * stride) : reinterpret_cast<Lane*>(luma);
        ring = take<Lane>(int64_t(net.m + 1) * 4 * planes_s * stride);
        upper = take<Lane>(planes_d * chunk_stride);
        lower = take<Lane>(planes_d * chunk_stride);
        evaluated = take<Lane>(planes_d * chunk_stride);
        features = evaluated;
        transformed = take<Lane>(4 * planes_s * chunk_stride);
        int of_points = 0;
        for (const PointStage& point : net.point) of_points += point.channels;
        products = take<Lane>(int64_t(of_points) * chunk_stride);
        sums = take<Lane>(int64_t(ring_rows) * net.scale * net.scale * stride);
        hr_row = take<float>(net.scale * (job.tile_columns + 4) + 64);
        feature_offset = take<ptrdiff_t>(net.feature.taps);
        shrinking_offset = take<ptrdiff_t>(net.shrinking.taps);
        mapping_offset = take<ptrdiff_t>(3 * planes_s);
        expanding_offset = take<ptrdiff_t>(net.expanding.taps);
        deconvolution_offset = take<ptrdiff_t>(int64_t(planes_d) * net.shared_columns);
        extra_offset = take<ptrdiff_t>(planes_d);
        product_of = take<int>(net.branches * net.scale * POINTS);
        if (start) fill_offsets();
    }

    size_t bytes() const { return memory.taken(); }

    void run(const Tile& given) {
        tile = given;
        const int scale = net.scale, crop = net.crop;
        // HR row y is finished with the sums of LR row (y + crop) / scale: with scale 2 and crop 3, HR rows 20 and 21 of a tile from
        // LR row 10 with 11 and 12; and these need the features of `columns` - 1 rows before.
        first_sum_row = tile.top + crop / scale;
        end_sum_row = (scale * tile.bottom - 1 + crop) / scale + 1;
        first_sum = tile.left + crop / scale;
        end_sum = (scale * tile.right - 1 + crop) / scale + 1;
        first_feature_row = first_sum_row - (net.columns - 1);
        first_feature = first_sum - (net.columns - 1);
        left_column = first_sum - left;
        luma_top = INT64_MIN;
        std::memset(sums, 0, sizeof(Lane) * size_t(ring_rows) * scale * scale * stride);
        pixels.begin(tile);
        for (int64_t row = round_down(first_feature_row - net.m, 2);; row += 2) {
            shrunk_row(row);
            shrunk_row(row + 1);
            for (int i = 0; i < net.m; i++) mapped_rows(i, row - 1 - i);
            const int64_t last = row - net.m;
            if (last + 1 < first_feature_row) continue;
            summed_rows(last);
            for (int64_t done = last; done < last + 2; done++) {
                if (done >= first_sum_row && done < end_sum_row) finished_row(done);
                std::memset(sum_plane(done, 0, 0), 0, sizeof(Lane) * size_t(scale) * scale * stride);
            }
            if (last + 1 >= end_sum_row - 1) break;
        }
    }

  private:
    static int power_of_two(int at_least) {
        int power = 1;
        while (power < at_least) power *= 2;
        return power;
    }

    bool inside(int64_t row) const { return row >= 0 && row < job.height; }
    int64_t luma_slot(int64_t row) const {
        const int64_t slots = net.feature_kernel + 1;
        return (row % slots + slots) % slots;
    }
    int64_t local(int64_t column) const { return column - left_column; }
    // The row's pixels in a stage's ring: -1 is the shrinking stage, i the i-th mapping stage.
    Lane* ring_row(int stage, int64_t row) { return ring + ((stage + 1) * 4 + (row & 3)) * planes_s * stride; }
    Lane* sum_plane(int64_t row, int row_phase, int phase) {
        return sums + (((row & (ring_rows - 1)) * net.scale + row_phase) * net.scale + phase) * stride;
    }

    void fill_offsets() {
        for (int i = 0; i < net.shrinking.taps; i++) shrinking_offset[i] = i * chunk_stride;
        for (int i = 0; i < net.expanding.taps; i++) expanding_offset[i] = i * stride;
        for (int i = 0; i < planes_s; i++)
            for (int x = 0; x < 3; x++) mapping_offset[3 * i + x] = i * chunk_stride + x - 1;
        for (int x = 0; x < net.shared_columns; x++)
            for (int i = 0; i < planes_d; i++) deconvolution_offset[x * planes_d + i] = i * chunk_stride - x;
        for (int i = 0; i < planes_d; i++) extra_offset[i] = i * chunk_stride - net.shared_columns;
        for (int p = 0; p < POINTS; p++)
            for (int c = 0; c < net.point[p].channels; c++)
                product_of[(net.point[p].branch[c] * net.scale + net.point[p].phase[c]) * POINTS + p] = c;
    }

    // Zero padding: a row's columns outside the picture, as far as they are read.
    void clear_outside(Lane* planes, int count, int64_t plane_step, int64_t zero_column, int64_t lanes) {
        const int64_t before = smaller(lanes, larger<int64_t>(0, -zero_column));
        const int64_t from = smaller(lanes, larger<int64_t>(0, job.width - zero_column));
        if (before == 0 && from == lanes) return;
        for (int i = 0; i < count; i++) {
            Lane* plane = planes + i * plane_step;
            std::memset(plane, 0, sizeof(Lane) * size_t(before));
            std::memset(plane + from, 0, sizeof(Lane) * size_t(lanes - from));
        }
    }

    // -- luma, features, shrinking

    void read_luma(int64_t row) {
        STAGE(PIXELS);
        const int64_t slot = luma_slot(row);
        float* line = luma + slot * stride;
        std::memset(line, 0, sizeof(float) * size_t(stride));
        if (inside(row)) {
            const int reach = net.m + net.feature_kernel / 2;
            const int64_t from = larger<int64_t>(0, first_feature - reach), to = smaller(job.width, end_sum + reach);
            if (from < to) pixels.read_luma(row, from, to - from, line + local(from));
        }
        if constexpr (A::PACK == 2) {  // neighbours side by side: a pair of taps is one lane
            Lane* lanes = luma_lanes + slot * stride;
            const float most = net.input_levels;
            for (int64_t x = 0; x < stride; x++) {
                const float level = line[x] * most, positive = level > 0 ? level : 0.0f;  // NaN becomes 0
                lanes[x].whole = int32_t((positive < most ? positive : most) + 0.5f);
            }
            for (int64_t x = 0; x + 1 < stride; x++) lanes[x].whole |= int32_t(uint32_t(lanes[x + 1].whole) << 16);
        }
    }

    void shrunk_row(int64_t row) {
        const int kernel = net.feature_kernel, reach = kernel / 2;
        if (row < first_feature_row - net.m || row >= end_sum_row + net.m) return;
        Lane* out = ring_row(-1, row);
        if (!inside(row)) {
            std::memset(out, 0, sizeof(Lane) * size_t(planes_s) * stride);
            return;
        }
        if (luma_top == INT64_MIN) luma_top = row - reach;
        for (; luma_top <= row + reach; luma_top++) read_luma(luma_top);
        const int pairs = (kernel + A::PACK - 1) / A::PACK;
        for (int y = 0; y < kernel; y++) {
            const int64_t line = luma_slot(row - reach + y) * stride - reach;
            for (int x = 0; x < pairs; x++) feature_offset[y * pairs + x] = line + x * A::PACK;
        }
        const int64_t lo = round_down(local(first_feature - net.m), ALIGNED), hi = local(end_sum + net.m);
        for (int64_t from = lo; from < hi; from += CHUNK) {
            const int64_t to = smaller(hi, from + CHUNK);
            Sum sum{luma_lanes, feature_offset, net.feature.taps, nullptr, &net.feature, features - from, chunk_stride, from, to,
                    net.feature_levels};
            {
                STAGE(FEATURE_EXTRACTION);
                sum_all<A, PRELU>(sum, net.feature.block, net.feature.blocks);
            }
            STAGE(SHRINKING);
            sum.in = features - from, sum.offset = shrinking_offset, sum.taps = net.shrinking.taps, sum.stage = &net.shrinking;
            sum.out = out, sum.out_stride = stride;
            sum_all<A, PRELU>(sum, net.shrinking.block, net.shrinking.blocks);
        }
        clear_outside(out, planes_s, stride, left_column, stride);
    }

    // -- mapping: rows row and row + 1

    void mapped_rows(int stage, int64_t row) {
        const int rest = net.m - 1 - stage;
        if (row + 1 < first_feature_row - rest || row >= end_sum_row + rest) return;
        Lane* out[2] = {ring_row(stage, row), ring_row(stage, row + 1)};
        if (inside(row) || inside(row + 1)) {
            const Lane* in[4];
            for (int i = 0; i < 4; i++) in[i] = ring_row(stage - 1, row - 1 + i);
            const int64_t lo = round_down(local(first_feature - rest), ALIGNED), hi = local(end_sum + rest);
            for (int64_t from = lo; from < hi; from += CHUNK) mapped_chunk(net.mapping[stage], in, out, from, smaller(hi, from + CHUNK));
        }
        for (int i = 0; i < 2; i++) {
            if (inside(row + i)) clear_outside(out[i], planes_s, stride, left_column, stride);
            else std::memset(out[i], 0, sizeof(Lane) * size_t(planes_s) * stride);
        }
    }

    void mapped_chunk(const Stage& stage, const Lane* const in[4], Lane* const out[2], int64_t from, int64_t to) {
        STAGE(MAPPING);
        const int64_t point_stride = planes_s * chunk_stride;
        Lane* const base = transformed + ALIGNED - from;  // column `from` stands at ALIGNED
        for (int plane = 0; plane < planes_s; plane++) {
            for (int64_t x = from - N; x < to + 1; x += N) {
                Vec row[4];
                UNROLL for (int i = 0; i < 4; i++) row[i] = A::load(in[i] + plane * stride + x);
                Lane* at = base + plane * chunk_stride + x;
                A::store(at, A::feature_subtract(row[0], row[2]));
                A::store(at + point_stride, A::feature_add(row[1], row[2]));
                A::store(at + 2 * point_stride, A::feature_subtract(row[2], row[1]));
                A::store(at + 3 * point_stride, A::feature_subtract(row[1], row[3]));
            }
        }
        Mapped mapped{{base, base + point_stride, base + 2 * point_stride, base + 3 * point_stride}, mapping_offset, nullptr, &stage,
                      {out[0], out[1]}, stride, from, to, net.feature_levels};
        for (int i = 0; i < stage.blocks; i++) {
            mapped.block = stage.block + i;
            mapped_block<A>(mapped);
        }
    }

    // -- expanding and deconvolution

    void expanded_chunk(Lane* out, int64_t row, int64_t from, int64_t to, int64_t base) {
        STAGE(EXPANDING);
        if (!inside(row)) {
            std::memset(out, 0, sizeof(Lane) * size_t(planes_d) * chunk_stride);
            return;
        }
        Sum sum{ring_row(net.m - 1, row), expanding_offset, net.expanding.taps, nullptr, &net.expanding, out - base, chunk_stride,
                from, to, net.feature_levels};
        sum_all<A, PRELU>(sum, net.expanding.block, net.expanding.blocks);
        clear_outside(out + (from - base), planes_d, chunk_stride, left_column + from, round_up(to - from, N));
    }

    void summed_rows(int64_t row) {
        if (!inside(row) && !inside(row + 1)) return;
        const int64_t hi = local(end_sum);
        for (int64_t from = local(first_sum), done = from - chunk_margin; from < hi; from += CHUNK) {
            const int64_t to = smaller(hi, from + CHUNK), base = from - chunk_margin;
            if (done > base)  // the last columns of the chunk before are the first of this one
                for (int i = 0; i < planes_d; i++) {
                    std::memmove(upper + i * chunk_stride, upper + i * chunk_stride + CHUNK, sizeof(Lane) * size_t(chunk_margin));
                    std::memmove(lower + i * chunk_stride, lower + i * chunk_stride + CHUNK, sizeof(Lane) * size_t(chunk_margin));
                }
            expanded_chunk(upper, row, done, to, base);
            expanded_chunk(lower, row + 1, done, to, base);
            done = from + CHUNK;
            deconvolved_chunk(row, from, to, base);
        }
    }

    template <int POINT>
    void evaluate_all(int64_t lanes) {
        for (int plane = 0; plane < planes_d; plane++)
            evaluate<A, POINT>(upper + plane * chunk_stride, lower + plane * chunk_stride, evaluated + plane * chunk_stride, lanes);
    }

    void deconvolved_chunk(int64_t row, int64_t from, int64_t to, int64_t base) {
        STAGE(DECONVOLUTION);
        const int64_t lanes = to - base;
        int64_t at[POINTS], next = 0;
        for (int p = 0; p < POINTS; p++) {
            const PointStage& point = net.point[p];
            at[p] = next;
            if (point.channels == 0) continue;
            const Lane* in = evaluated;
            switch (p) {
                case AT_0: in = upper; break;
                case AT_1: evaluate_all<AT_1>(lanes); break;
                case AT_MINUS_1: evaluate_all<AT_MINUS_1>(lanes); break;
                case AT_2: evaluate_all<AT_2>(lanes); break;
                case AT_HALF: evaluate_all<AT_HALF>(lanes); break;
                default: in = lower; break;
            }
            Sum sum{in - base, deconvolution_offset, planes_d * net.shared_columns, nullptr, nullptr,
                    products + next - from, chunk_stride, from, to, 0};
            sum_all<A, STORE>(sum, point.block, point.blocks);
            sum.offset = extra_offset, sum.taps = planes_d;
            sum_all<A, ADD>(sum, point.extra_block, point.extra_blocks);
            next += point.channels * chunk_stride;
        }
        for (int b = 0; b < net.branches; b++) {
            const Branch& branch = net.branch[b];
            for (int phase = 0; phase < net.scale; phase++) {
                const Lane* product[POINTS];
                for (int p = 0; p < POINTS; p++)
                    product[p] = products + at[p] + product_of[(b * net.scale + phase) * POINTS + p] * chunk_stride;
                Lane* total[6];
                for (int k = 0; k <= branch.kernel_rows; k++)
                    total[k] = sum_plane(row + branch.first_row + k, branch.row_phase, phase) + from;
                switch (branch.kernel_rows) {
                    case 1: interpolate<A, 1>(product, total, to - from); break;
                    case 2: interpolate<A, 2>(product, total, to - from); break;
                    case 3: interpolate<A, 3>(product, total, to - from); break;
                    case 4: interpolate<A, 4>(product, total, to - from); break;
                    default: interpolate<A, 5>(product, total, to - from); break;
                }
            }
        }
    }

    // -- HR rows

    void finished_row(int64_t row) {
        STAGE(PIXELS);
        const int scale = net.scale;
        for (int row_phase = 0; row_phase < scale; row_phase++) {
            const int64_t hr = scale * row + row_phase - net.crop;
            if (hr < scale * tile.top || hr >= scale * tile.bottom) continue;
            float* line = hr_row + 16;  // stands at HR column scale * tile.left; a few columns beside the tile are written, too
            for (int phase = 0; phase < scale; phase++) {
                Lane* plane = sum_plane(row, row_phase, phase);
                const Isa::F multiplier = Isa::spread(net.fast ? net.phase_multiplier[row_phase * scale + phase] : 1.0f);
                const Isa::F bias = Isa::spread(net.bias);
                const int64_t from = local(first_sum), to = local(end_sum);
                for (int64_t x = from; x < to; x += N)
                    Isa::store(&plane[x].real, Isa::add(A::value(A::load(plane + x), multiplier), bias));
                float* out = line + scale * (first_sum - tile.left) + phase - net.crop;
                const Lane* in = plane + from;
                const int64_t count = to - from;
                switch (scale) {
                    case 2: for (int64_t x = 0; x < count; x++) out[2 * x] = in[x].real; break;
                    case 3: for (int64_t x = 0; x < count; x++) out[3 * x] = in[x].real; break;
                    default: for (int64_t x = 0; x < count; x++) out[4 * x] = in[x].real; break;
                }
            }
            pixels.write(hr, line);
        }
    }
};

size_t strip_bytes(const Network& network, const Job& job) {
    return network.fast ? Strip<Fast>(network, job, nullptr).bytes() : Strip<Exact>(network, job, nullptr).bytes();
}

void run_tile(const Network& network, const Job& job, const Tile& tile, void* memory) {
    if (network.fast) Strip<Fast>(network, job, memory).run(tile);
    else Strip<Exact>(network, job, memory).run(tile);
}

}  // namespace
