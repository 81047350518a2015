// Pixels in, pixels out, a row at a time: luma from a picture's row, and a picture's row from luma, chroma and alpha.
// Included by strip.h. The operations and their order are those of planes.py, color.py and imresize.py in float32, so that the bytes are
// equal, too; nothing here may be contracted into a fused multiply-add (CMakeLists.txt sees to it).
//
// The planes beside luma ("others": Cb, Cr, alpha) lie on a grid of their own: that of luma, or with `down` and `across` luma pixels to
// each of theirs. At 4:2:0 and ×2, HR row 6 of luma brings row 3 of Cb and Cr with it, and row 7 none.

class PixelRows {
    static constexpr int FOUR = 4;     // taps of bicubic
    static constexpr int BLOCK = 512;  // HR columns whose R, G and B stay in the L1 cache

    // Part of an HR row: columns of luma, and of the others on their grid.
    struct Columns {
        int64_t first, count, others_first, others_count;
    };

    const Network& net;
    const Job& job;
    const fsrcnn_colour& colour;
    const float lr_peak, sr_peak, most;  // most: the largest sample, in units of the peak
    const int others;
    Tile tile;
    int64_t from, to, lr_from, lr_to;  // columns of the others: HR, and LR that these are made from
    int64_t regular_from, regular_to;  // HR columns among them whose taps repeat every `scale` columns
    int64_t lr_stride, hr_stride;
    float* at_hand;     // LARGEST_TAPS rows × others planes: LR, as they were last read
    float* mixed;       // others: vertical sums
    float* enlarged;    // others: HR
    float* unit;        // R, G, B: of an LR row, or of a block of an HR row
    int64_t row_at_hand[LARGEST_TAPS];
    HiddenColours hidden;

  public:
    PixelRows(const Network& network, const Job& work, Memory& memory)
        : net(network),
          job(work),
          colour(work.colour),
          lr_peak(float(work.lr.peak)),
          sr_peak(float(work.sr.peak)),
          most(float(work.sr.largest / work.sr.peak)),
          others(work.colour.colours - 1 + work.colour.alpha),
          tile(),
          hidden(work, memory, network.m + network.columns + network.feature_kernel + LARGEST_TAPS) {
        lr_stride = round_up(job.tile_columns + 2 * (net.m + net.columns + net.feature_kernel) + 16, ALIGNED);
        hr_stride = round_up(net.scale * job.tile_columns, ALIGNED);
        unit = memory.take<float>(3 * larger<int64_t>(lr_stride, BLOCK));
        at_hand = memory.take<float>(LARGEST_TAPS * others * lr_stride);
        mixed = memory.take<float>(others * lr_stride);
        enlarged = memory.take<float>(others * hr_stride);
    }

    void begin(const Tile& given) {
        tile = given;
        hidden.begin(tile, [this](int component, int64_t row, int64_t column, int64_t count, float* out) {
            read_samples(component, row, column, count, out);
        });
        for (int64_t& row : row_at_hand) row = -1;
        from = (net.scale * tile.left + colour.across - 1) / colour.across;
        to = (net.scale * tile.right + colour.across - 1) / colour.across;
        if (others == 0) return;
        const fsrcnn_taps& taps = colour.columns;
        lr_from = INT64_MAX, lr_to = 0;
        for (int64_t i = from * taps.taps; i < to * taps.taps; i++) {
            lr_from = smaller<int64_t>(lr_from, taps.indices[i]);
            lr_to = larger<int64_t>(lr_to, taps.indices[i] + 1);
        }
        find_regular();
    }

    // `count` pixels of a row of the picture as studio-swing luma.
    void read_luma(int64_t row, int64_t column, int64_t count, float* out) {
        if (colour.kind == FSRCNN_FROM_RGB) {
            read_rgb(row, column, count);
            from_rgb(0, count, out);
            return;
        }
        read(0, row, column, count, out);
        if (colour.kind == FSRCNN_FROM_FULL) {
            const float offset = colour.full_offset, gain = colour.full_gain;
            for (int64_t x = 0; x < count; x++) out[x] = offset + gain * out[x];
        }
    }

    // A finished HR row: `luma` stands at HR column scale * tile.left.
    void write(int64_t hr, float* luma) {
        const int64_t column = net.scale * tile.left, count = net.scale * (tile.right - tile.left);
        const bool with_others = others > 0 && hr % colour.down == 0;
        if (with_others) enlarge(hr / colour.down);
        float *cb = enlarged, *cr = enlarged + hr_stride, *last = enlarged + (others - 1) * hr_stride;
        if (colour.kind == FSRCNN_FROM_RGB) {
            float *r = unit, *g = unit + BLOCK, *b = unit + 2 * BLOCK;
            for (int64_t x = 0; x < count; x += BLOCK) {
                const int64_t block = smaller<int64_t>(BLOCK, count - x);
                to_rgb(luma + x, cb + x, cr + x, block);
                store(hr, {column + x, block, from + x, block}, {r, g, b, last + x}, with_others);
            }
            return;
        }
        if (colour.kind == FSRCNN_FROM_FULL) {
            const float offset = colour.full_offset, gain = colour.full_gain;
            for (int64_t x = 0; x < count; x++) luma[x] = (luma[x] - offset) / gain;
        }
        store(hr, {column, count, from, to - from}, {luma, cb, cr, last}, with_others);
    }

  private:
    // -- in

    template <class T>
    static INLINE float sample(const char* row, int64_t column_stride, int64_t x) {
        T value;
        std::memcpy(&value, row + x * column_stride, sizeof(T));  // rows may be misaligned
        return float(value);
    }

    template <class T>
    void read_as(const char* row, int64_t stride, int64_t count, float* out) const {
        const float peak = lr_peak;
        if (stride == sizeof(T))  // spelled out, so that compilers make vectors of them
            for (int64_t x = 0; x < count; x++) out[x] = sample<T>(row, sizeof(T), x) / peak;
        else if (stride == 3 * sizeof(T))
            for (int64_t x = 0; x < count; x++) out[x] = sample<T>(row, 3 * sizeof(T), x) / peak;
        else
            for (int64_t x = 0; x < count; x++) out[x] = sample<T>(row, stride, x) / peak;
    }

    void read_samples(int component, int64_t row, int64_t column, int64_t count, float* out) const {
        const fsrcnn_plane& plane = job.lr.plane[component];
        const char* at = static_cast<const char*>(plane.data) + row * plane.row_stride + column * plane.column_stride;
        switch (job.lr.dtype) {
            case FSRCNN_FLOAT32: read_as<float>(at, plane.column_stride, count, out); break;
            case FSRCNN_UINT8: read_as<uint8_t>(at, plane.column_stride, count, out); break;
            default: read_as<uint16_t>(at, plane.column_stride, count, out); break;
        }
    }

    // The same, with hidden colours repainted.
    void read(int component, int64_t row, int64_t column, int64_t count, float* out) const {
        if (hidden.in_tile() && component < colour.colours)
            std::memcpy(out, hidden.row(component, row, column), sizeof(float) * size_t(count));
        else
            read_samples(component, row, column, count, out);
    }

    void read_rgb(int64_t row, int64_t column, int64_t count) {
        for (int i = 0; i < 3; i++) read(i, row, column, count, unit + i * lr_stride);
    }

    // Y, Cb or Cr of what `read_rgb` read.
    void from_rgb(int component, int64_t count, float* out) const {
        const float *r = unit, *g = unit + lr_stride, *b = unit + 2 * lr_stride;
        const float *w = colour.to_ycbcr + 3 * component, constant = colour.to_ycbcr_offset[component];
        for (int64_t x = 0; x < count; x++) out[x] = w[0] * r[x] + w[1] * g[x] + w[2] * b[x] + constant;
    }

    // Cb, Cr and alpha of an LR row of their grid.
    const float* others_of(int64_t row) {
        const int64_t slot = row % LARGEST_TAPS, count = lr_to - lr_from;
        float* planes = at_hand + slot * others * lr_stride;
        if (row_at_hand[slot] == row) return planes;
        row_at_hand[slot] = row;
        const bool rgb = colour.kind == FSRCNN_FROM_RGB;
        if (rgb) read_rgb(row, lr_from, count);
        for (int i = 0; i < others; i++) {
            if (rgb && i < 2) from_rgb(i + 1, count, planes + i * lr_stride);
            else read(i + 1, row, lr_from, count, planes + i * lr_stride);
        }
        return planes;
    }

    // -- out

    // Bicubic interpolation as imresize.py has it: down the columns, then along the row, taps in their order.
    void enlarge(int64_t row) {
        if (colour.rows.taps == FOUR) down_columns<FOUR>(row);
        else down_columns<0>(row);
        for (int i = 0; i < others; i++) {
            const float* in = mixed + i * lr_stride - lr_from;
            float* out = enlarged + i * hr_stride - from;
            along_row(in, out, from, regular_from);
            switch (net.scale) {
                case 2: along_regular<2>(in, out); break;
                case 3: along_regular<3>(in, out); break;
                default: along_regular<4>(in, out); break;
            }
            along_row(in, out, regular_to, to);
        }
    }

    template <int TAPS>
    void down_columns(int64_t row) {
        const int taps = TAPS ? TAPS : colour.rows.taps;
        const float* in[LARGEST_TAPS];  // less than LARGEST_TAPS rows apart, so all of them at hand
        float weights[LARGEST_TAPS];
        for (int t = 0; t < taps; t++) {
            in[t] = others_of(colour.rows.indices[row * taps + t]);
            weights[t] = colour.rows.weights[row * taps + t];
        }
        const int64_t count = lr_to - lr_from;
        for (int64_t x = 0; x < others * lr_stride; x += lr_stride)
            for (int64_t i = x; i < x + count; i++) {
                float total = 0.0f;
                for (int t = 0; t < taps; t++) total = total + in[t][i] * weights[t];
                mixed[i] = total;
            }
    }

    void along_row(const float* in, float* out, int64_t begin, int64_t end) const {
        const fsrcnn_taps& taps = colour.columns;
        for (int64_t x = begin; x < end; x++) {
            float total = 0.0f;
            for (int64_t t = x * taps.taps; t < (x + 1) * taps.taps; t++) total = total + in[taps.indices[t]] * taps.weights[t];
            out[x] = total;
        }
    }

    // Whether the taps of HR column x are side by side, and those of column x + scale the same, an LR column further: weights to the bit,
    // since rounding may tell equal ones apart.
    bool repeats(int64_t x) const {
        const float* weights = colour.columns.weights + x * FOUR;
        const int32_t* indices = colour.columns.indices + x * FOUR;
        for (int t = 0; t < FOUR; t++)
            if (indices[t] != indices[0] + t || indices[net.scale * FOUR + t] != indices[t] + 1) return false;
        return std::memcmp(weights, weights + net.scale * FOUR, sizeof(float) * FOUR) == 0;
    }

    // As far as they reach from the tile's middle; at the picture's borders, where samples count twice, taps are others. Whole periods:
    // at ×2, HR columns 10, 12, 14 … are made from LR columns 3 … 6, 4 … 7, 5 … 8 … with the weights of column 10.
    void find_regular() {
        const int64_t scale = net.scale;
        regular_from = regular_to = from + (to - from) / 2;
        if (colour.columns.taps != FOUR) return;
        while (regular_to + scale < to && repeats(regular_to)) regular_to++;
        while (regular_to > regular_from && regular_from > from && repeats(regular_from - 1)) regular_from--;
        regular_to -= (regular_to - regular_from) % scale;
    }

    // `along_row` where taps are the same in each period of SCALE columns: compilers make vectors of it, of loads side by side.
    template <int SCALE>
    void along_regular(const float* in, float* __restrict out) const {
        if (regular_from == regular_to) return;
        const float* first[SCALE];
        float weights[SCALE][FOUR];
        for (int phase = 0; phase < SCALE; phase++) {
            const int64_t at = (regular_from + phase) * FOUR;
            first[phase] = in + colour.columns.indices[at];
            for (int t = 0; t < FOUR; t++) weights[phase][t] = colour.columns.weights[at + t];
        }
        out += regular_from;
        const int64_t periods = (regular_to - regular_from) / SCALE;
        for (int64_t i = 0; i < periods; i++)
            UNROLL for (int phase = 0; phase < SCALE; phase++) {
                float total = 0.0f;
                UNROLL for (int t = 0; t < FOUR; t++) total = total + first[phase][i + t] * weights[phase][t];
                out[i * SCALE + phase] = total;
            }
    }

    void to_rgb(const float* y, const float* cb, const float* cr, int64_t count) {
        for (int i = 0; i < 3; i++) {
            const float *w = colour.to_rgb + 3 * i, constant = colour.to_rgb_offset[i];
            const float w0 = w[0], w1 = w[1], w2 = w[2];
            float* out = unit + i * BLOCK;
            for (int64_t x = 0; x < count; x++) out[x] = w0 * y[x] + w1 * cb[x] + w2 * cr[x] + constant;
        }
    }

    static INLINE float clipped(float value, float limit) {
        const float positive = value > 0.0f ? value : 0.0f;  // NaN becomes 0
        return positive < limit ? positive : limit;
    }

    // Clipped and rounded, halves up. Floats have been clipped, or are not to be.
    template <class T>
    static INLINE T quantised(float value, float limit, float peak) {
        if constexpr (sizeof(T) == 4) return value;
        else return T(int32_t(clipped(value, limit) * peak + 0.5f));
    }

    template <class T, int COMPONENTS>
    void store_packed(char* row, float* const planes[4], int64_t count) const {
        const float limit = most, peak = sr_peak;
        T* __restrict out = reinterpret_cast<T*>(row);
        const float* in[COMPONENTS];  // of its own, because bytes that are written might be the pointers in `planes`
        for (int c = 0; c < COMPONENTS; c++) in[c] = planes[c];
        for (int64_t x = 0; x < count; x++)
            UNROLL for (int c = 0; c < COMPONENTS; c++) out[x * COMPONENTS + c] = quantised<T>(in[c][x], limit, peak);
    }

    template <class T>
    void store_plane(const fsrcnn_plane& plane, int64_t hr, int64_t column, float* values, int64_t count) const {
        char* row = static_cast<char*>(plane.data) + hr * plane.row_stride + column * plane.column_stride;
        if (plane.column_stride == sizeof(T) && reinterpret_cast<uintptr_t>(row) % sizeof(T) == 0) {
            float* const planes[4] = {values, nullptr, nullptr, nullptr};
            return store_packed<T, 1>(row, planes, count);
        }
        const float limit = most, peak = sr_peak;
        for (int64_t x = 0; x < count; x++) {
            const T value = quantised<T>(values[x], limit, peak);
            std::memcpy(row + x * plane.column_stride, &value, sizeof(T));
        }
    }

    // Whether a row's samples of all components lie side by side.
    template <class T>
    bool packed(const char* row) const {
        const fsrcnn_picture& sr = job.sr;
        for (int i = 0; i < sr.planes; i++) {
            const fsrcnn_plane& plane = sr.plane[i];
            if (static_cast<const char*>(plane.data) != static_cast<const char*>(sr.plane[0].data) + i * int64_t(sizeof(T)) ||
                plane.row_stride != sr.plane[0].row_stride || plane.column_stride != sr.planes * int64_t(sizeof(T)))
                return false;
        }
        return reinterpret_cast<uintptr_t>(row) % sizeof(T) == 0;
    }

    void store(int64_t hr, const Columns& columns, float* const (&planes)[4], bool with_others) const {
        switch (job.sr.dtype) {
            case FSRCNN_FLOAT32: store_as<float>(hr, columns, planes, with_others); break;
            case FSRCNN_UINT8: store_as<uint8_t>(hr, columns, planes, with_others); break;
            default: store_as<uint16_t>(hr, columns, planes, with_others); break;
        }
    }

    template <class T>
    void store_as(int64_t hr, const Columns& columns, float* const planes[4], bool with_others) const {
        const int components = with_others ? job.sr.planes : 1;
        const auto [column, count, others_column, others_count] = columns;
        if (sizeof(T) == 4 && most < INFINITY)
            for (int c = 0; c < components; c++)
                for (int64_t x = 0; x < (c ? others_count : count); x++) planes[c][x] = clipped(planes[c][x], most);
        const fsrcnn_plane& first = job.sr.plane[0];
        char* row = static_cast<char*>(first.data) + hr * first.row_stride + column * first.column_stride;
        if (components == 3 && packed<T>(row)) return store_packed<T, 3>(row, planes, count);
        if (components == 4 && packed<T>(row)) return store_packed<T, 4>(row, planes, count);
        store_plane<T>(first, hr, column, planes[0], count);
        for (int c = 1; c < components; c++) store_plane<T>(job.sr.plane[c], hr / colour.down, others_column, planes[c], others_count);
    }
};
