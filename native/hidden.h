// Colours under full transparency, repainted for one tile from the visible ones nearby. Included by strip.h.
//
// The operations and their order are those of alpha.py in float32: passes with radius 1, 2, 4 and 8, each of which gives a hidden pixel
// the mean of the known ones in a square around it, and then counts it as known. So a pixel depends on those at most 1 + 2 + 4 + 8 = 15
// away, and a tile that brings them along has the bits of the whole picture.

class HiddenColours {
    static constexpr int RADII[4] = {1, 2, 4, 8}, LARGEST_RADIUS = 8, FILL_REACH = 15;

    const Job& job;
    const int64_t margin;    // that the tile's pixels want beside it, and their fill
    int64_t plane_size;
    float* known;            // 1 or 0
    float* colour[3];        // filled so far
    float *next_known, *next_colour[3];
    float *weight, *mean;    // of a row
    float* sums;             // of a row's columns; zeros beside it
    bool active = false;
    int64_t top, left, height, width;  // of the tile and its margins, in the picture

  public:
    HiddenColours(const Job& work, Memory& memory, int64_t margin_of_tile) : job(work), margin(margin_of_tile + FILL_REACH) {
        if (!job.hidden) return;
        const int64_t columns = round_up(job.tile_columns + 2 * margin, ALIGNED);
        plane_size = (job.tile_rows + 2 * margin) * columns;
        known = memory.take<float>(plane_size), next_known = memory.take<float>(plane_size);
        for (int c = 0; c < job.colour.colours; c++) colour[c] = memory.take<float>(plane_size), next_colour[c] = memory.take<float>(plane_size);
        weight = memory.take<float>(columns), mean = memory.take<float>(columns);
        sums = memory.take<float>(columns + 2 * LARGEST_RADIUS);
    }

    // `read(component, row, from, count, out)` gives the picture's own samples, divided by their peak.
    template <class Read>
    void begin(const Tile& tile, Read read) {
        active = false;
        if (!job.hidden) return;
        top = larger<int64_t>(tile.top - margin, 0), left = larger<int64_t>(tile.left - margin, 0);
        height = smaller(tile.bottom + margin, job.height) - top, width = smaller(tile.right + margin, job.width) - left;
        for (int64_t y = 0; y < height; y++) {
            float* line = known + y * width;
            read(job.colour.colours, top + y, left, width, line);
            for (int64_t x = 0; x < width; x++) line[x] = line[x] > 0.0f ? 1.0f : 0.0f;
            for (int64_t x = 0; x < width; x++) active |= line[x] == 0.0f;
        }
        if (!active) return;
        for (int c = 0; c < job.colour.colours; c++)
            for (int64_t y = 0; y < height; y++) read(c, top + y, left, width, colour[c] + y * width);
        for (int radius : RADII) {
            for (int64_t y = 0; y < height; y++) fill_row(y, radius);
            swap(known, next_known);
            for (int c = 0; c < job.colour.colours; c++) swap(colour[c], next_colour[c]);
        }
    }

    // Whether the tile has hidden pixels; its colours are to be had here then, up to its margin.
    bool in_tile() const { return active; }
    const float* row(int component, int64_t row, int64_t column) const { return colour[component] + (row - top) * width + column - left; }

  private:
    template <class T>
    static void swap(T& a, T& b) {
        const T before = a;
        a = b, b = before;
    }

    void fill_row(int64_t y, int radius) {
        const float* now = known + y * width;
        box_sum(known, nullptr, y, radius, weight);
        for (int c = 0; c < job.colour.colours; c++) {
            box_sum(known, colour[c], y, radius, mean);
            const float* in = colour[c] + y * width;
            float* out = next_colour[c] + y * width;
            for (int64_t x = 0; x < width; x++) {
                const float filled = mean[x] / larger(weight[x], 1.0f);
                out[x] = now[x] == 0.0f && weight[x] > 0.0f ? filled : in[x];
            }
        }
        float* out = next_known + y * width;
        for (int64_t x = 0; x < width; x++) out[x] = weight[x] > 0.0f ? 1.0f : now[x];
    }

    // Sums of a times b (1 without b) over squares around the pixels of a row: down the columns first, then along the row, each in order.
    void box_sum(const float* a, const float* b, int64_t y, int radius, float* out) {
        float* line = sums + LARGEST_RADIUS;
        std::memset(sums, 0, sizeof(float) * size_t(width + 2 * LARGEST_RADIUS));
        for (int64_t row = larger<int64_t>(0, y - radius); row <= smaller(height - 1, y + radius); row++) {
            const float* first = a + row * width;
            if (b) {
                const float* second = b + row * width;
                for (int64_t x = 0; x < width; x++) line[x] = line[x] + second[x] * first[x];
            } else {
                for (int64_t x = 0; x < width; x++) line[x] = line[x] + first[x];
            }
        }
        std::memset(out, 0, sizeof(float) * size_t(width));
        for (int i = -radius; i <= radius; i++)
            for (int64_t x = 0; x < width; x++) out[x] = out[x] + line[x + i];
    }
};
