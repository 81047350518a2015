// Pixels in, pixels out, a row at a time: luma from a picture's row, and a picture's row from luma, chroma and alpha.
// Included by strip.h. The operations and their order are those of color.py, imresize.py and upscaler.py in float32, so that the
// bytes are equal, too; nothing here may be contracted into a fused multiply-add (CMakeLists.txt sees to it).

// One channel of pixels as numbers in 0 … peak.
template <class T>
INLINE float pixel_at(const char* row, int64_t column_stride, int64_t x) {
    T value;
    std::memcpy(&value, row + x * column_stride, sizeof(T));  // rows may be misaligned
    return float(value);
}

class PixelRows {
    static constexpr int KEPT = 8;  // LR rows of chroma and alpha at hand; bicubic enlargement reads 4 to 6

    const Network& net;
    const Job& job;
    Tile tile;
    const int colours;  // 1 or 3
    const bool alpha;
    const int others;   // planes beside luma: Cb, Cr, alpha
    int64_t lr_from, lr_to, lr_stride, hr_stride;
    float *kept;        // KEPT rows × others planes
    float *mixed;       // others: vertical sums
    float *enlarged;    // others: HR
    float *unit;        // 3 LR planes of one row, or 3 HR planes
    int64_t kept_row[KEPT];

  public:
    PixelRows(const Network& network, const Job& work, Memory& memory, int64_t widest_tile)
        : net(network),
          job(work),
          tile(),
          colours(work.lr.channels >= 3 ? 3 : 1),
          alpha(work.lr.channels == 2 || work.lr.channels == 4),
          others(!work.colour ? 0 : colours - 1 + int(alpha)) {
        lr_stride = round_up(widest_tile + 2 * (net.m + net.columns + net.feature_kernel) + 16, ALIGNED);
        hr_stride = round_up(net.scale * widest_tile, ALIGNED);
        unit = memory.take<float>(3 * larger(lr_stride, hr_stride));
        kept = memory.take<float>(KEPT * others * lr_stride);
        mixed = memory.take<float>(others * lr_stride);
        enlarged = memory.take<float>(others * hr_stride);
    }

    void begin(const Tile& given) {
        tile = given;
        for (int64_t& row : kept_row) row = -1;
        if (others == 0) return;
        const fsrcnn_taps& taps = job.colour->columns;
        lr_from = INT64_MAX, lr_to = 0;
        for (int64_t i = net.scale * tile.left * taps.taps; i < net.scale * tile.right * taps.taps; i++) {
            lr_from = smaller<int64_t>(lr_from, taps.indices[i]);
            lr_to = larger<int64_t>(lr_to, taps.indices[i] + 1);
        }
    }

    // Columns from … to-1 of a row of the picture as luma in [0, 1].
    void read_luma(int64_t row, int64_t from, int64_t to, float* out) {
        const int64_t count = to - from;
        if (!job.colour) {
            read_channel(row, from, count, 0, out);
        } else if (colours == 1) {
            const float offset = job.colour->grey_offset, gain = job.colour->grey_gain;
            read_channel(row, from, count, 0, out);
            for (int64_t x = 0; x < count; x++) out[x] = offset + gain * out[x];
        } else {
            float *r = unit, *g = unit + lr_stride, *b = unit + 2 * lr_stride;
            read_rgb(row, from, count, r, g, b);
            const float* w = job.colour->to_ycbcr;
            const float constant = job.colour->to_ycbcr_offset[0];
            for (int64_t x = 0; x < count; x++) out[x] = w[0] * r[x] + w[1] * g[x] + w[2] * b[x] + constant;
        }
    }

    // A finished HR row: `luma` stands at HR column scale * tile.left.
    void write(int64_t hr, float* luma) {
        const int64_t count = net.scale * (tile.right - tile.left);
        float* planes[4] = {luma, nullptr, nullptr, nullptr};
        int channels = 1;
        if (job.colour) {
            enlarge(hr, count);
            if (colours == 3) {
                channels = 3;
                to_rgb(luma, enlarged, enlarged + hr_stride, count);
                for (int i = 0; i < 3; i++) planes[i] = unit + i * hr_stride;
            } else {
                const float offset = job.colour->grey_offset, gain = job.colour->grey_gain;
                for (int64_t x = 0; x < count; x++) luma[x] = (luma[x] - offset) / gain;
            }
            if (alpha) planes[channels++] = enlarged + (others - 1) * hr_stride;
            for (int c = 0; c < channels; c++)
                for (int64_t x = 0; x < count; x++) planes[c][x] = smaller(larger(planes[c][x], 0.0f), 1.0f);
        }
        char* row = job.sr.data + hr * job.sr.row_stride + net.scale * tile.left * job.sr.column_stride;
        switch (job.sr.dtype) {
            case FSRCNN_FLOAT32: store<float>(row, planes, channels, count); break;
            case FSRCNN_UINT8: store<uint8_t>(row, planes, channels, count); break;
            default: store<uint16_t>(row, planes, channels, count); break;
        }
    }

  private:
    const char* lr_row(int64_t row, int64_t from) const {
        return job.lr.data + row * job.lr.row_stride + from * job.lr.column_stride;
    }

    template <class T>
    void read_as(const char* row, int64_t count, float* out) const {
        const int64_t stride = job.lr.column_stride;
        if constexpr (sizeof(T) == 4) {
            for (int64_t x = 0; x < count; x++) {
                std::memcpy(out + x, row + x * stride, sizeof(float));
            }
        } else {
            constexpr float peak = sizeof(T) == 1 ? 255.0f : 65535.0f;
            if (stride == sizeof(T))
                for (int64_t x = 0; x < count; x++) out[x] = pixel_at<T>(row, sizeof(T), x) / peak;
            else if (stride == 3 * sizeof(T))
                for (int64_t x = 0; x < count; x++) out[x] = pixel_at<T>(row, 3 * sizeof(T), x) / peak;
            else
                for (int64_t x = 0; x < count; x++) out[x] = pixel_at<T>(row, stride, x) / peak;
        }
    }

    void read_channel(int64_t row, int64_t from, int64_t count, int channel, float* out) const {
        const char* at = lr_row(row, from) + channel * job.lr.channel_stride;
        switch (job.lr.dtype) {
            case FSRCNN_FLOAT32: read_as<float>(at, count, out); break;
            case FSRCNN_UINT8: read_as<uint8_t>(at, count, out); break;
            default: read_as<uint16_t>(at, count, out); break;
        }
    }

    void read_rgb(int64_t row, int64_t from, int64_t count, float* r, float* g, float* b) const {
        read_channel(row, from, count, 0, r);
        read_channel(row, from, count, 1, g);
        read_channel(row, from, count, 2, b);
    }

    // Cb, Cr and alpha of an LR row.
    const float* others_of(int64_t row) {
        const int64_t slot = row % KEPT, count = lr_to - lr_from;
        float* planes = kept + slot * others * lr_stride;
        if (kept_row[slot] == row) return planes;
        kept_row[slot] = row;
        if (colours == 3) {
            float *r = unit, *g = unit + lr_stride, *b = unit + 2 * lr_stride;
            read_rgb(row, lr_from, count, r, g, b);
            for (int i = 1; i < 3; i++) {
                const float *w = job.colour->to_ycbcr + 3 * i, constant = job.colour->to_ycbcr_offset[i];
                float* out = planes + (i - 1) * lr_stride;
                for (int64_t x = 0; x < count; x++) out[x] = w[0] * r[x] + w[1] * g[x] + w[2] * b[x] + constant;
            }
        }
        if (alpha) read_channel(row, lr_from, count, colours, planes + (others - 1) * lr_stride);
        return planes;
    }

    // Bicubic interpolation as imresize.py has it: down the columns, then along the row, taps in their order.
    void enlarge(int64_t hr, int64_t count) {
        if (others == 0) return;
        const fsrcnn_taps &rows = job.colour->rows, &columns = job.colour->columns;
        const int64_t lr_count = lr_to - lr_from;
        for (int t = 0; t < rows.taps; t++) {
            const float weight = rows.weights[hr * rows.taps + t];
            const float* in = others_of(rows.indices[hr * rows.taps + t]);
            for (int64_t x = 0; x < others * lr_stride; x += lr_stride)
                for (int64_t i = x; i < x + lr_count; i++) mixed[i] = (t ? mixed[i] : 0.0f) + in[i] * weight;
        }
        const float* weights = columns.weights + net.scale * tile.left * columns.taps;
        const int32_t* indices = columns.indices + net.scale * tile.left * columns.taps;
        for (int i = 0; i < others; i++) {
            const float* in = mixed + i * lr_stride - lr_from;
            float* out = enlarged + i * hr_stride;
            if (columns.taps == 4) along_row<4>(in, weights, indices, 4, out, count);
            else along_row<0>(in, weights, indices, columns.taps, out, count);
        }
    }

    template <int TAPS>
    static void along_row(const float* in, const float* weights, const int32_t* indices, int taps, float* out, int64_t count) {
        const int all = TAPS ? TAPS : taps;
        for (int64_t x = 0; x < count; x++) {
            float total = 0.0f;
            for (int t = 0; t < all; t++) total = total + in[indices[x * all + t]] * weights[x * all + t];
            out[x] = total;
        }
    }

    void to_rgb(const float* y, const float* cb, const float* cr, int64_t count) {
        for (int i = 0; i < 3; i++) {
            const float *w = job.colour->to_rgb + 3 * i, constant = job.colour->to_rgb_offset[i];
            const float w0 = w[0], w1 = w[1], w2 = w[2];
            float* out = unit + i * hr_stride;
            for (int64_t x = 0; x < count; x++) out[x] = w0 * y[x] + w1 * cb[x] + w2 * cr[x] + constant;
        }
    }

    // Clipped and rounded, halves up; a float of a single luma plane as it is.
    template <class T>
    static INLINE T quantised(float value) {
        if constexpr (sizeof(T) == 4) {
            return value;
        } else {
            constexpr float peak = sizeof(T) == 1 ? 255.0f : 65535.0f;
            const float clipped = value > 0.0f ? (value < 1.0f ? value : 1.0f) : 0.0f;  // NaN becomes 0
            return T(int32_t(clipped * peak + 0.5f));
        }
    }

    template <class T, int CHANNELS>
    static void store_packed(char* row, float* const planes[4], int64_t count) {
        T* out = reinterpret_cast<T*>(row);
        for (int64_t x = 0; x < count; x++)
            for (int c = 0; c < CHANNELS; c++) out[x * CHANNELS + c] = quantised<T>(planes[c][x]);
    }

    template <class T>
    void store(char* row, float* const planes[4], int channels, int64_t count) const {
        const int64_t size = sizeof(T);
        const bool packed = job.sr.column_stride == channels * size && (channels == 1 || job.sr.channel_stride == size) &&
                            reinterpret_cast<uintptr_t>(row) % sizeof(T) == 0;
        if (packed && channels == 1) return store_packed<T, 1>(row, planes, count);
        if (packed && channels == 3) return store_packed<T, 3>(row, planes, count);
        if (packed && channels == 4) return store_packed<T, 4>(row, planes, count);
        for (int c = 0; c < channels; c++)
            for (int64_t x = 0; x < count; x++) {
                const T value = quantised<T>(planes[c][x]);
                std::memcpy(row + x * job.sr.column_stride + c * job.sr.channel_stride, &value, sizeof(T));
            }
    }
};
