#include "image.h"

#include <cmath>
#include <cstddef>
#include <iterator>

#include "fault.h"

namespace fsrcnn {
namespace {

struct Layout {
    const char* name;
    int colours, alpha, down, across;
    bool rgb;
    int planes() const { return colours + alpha; }
};

constexpr Layout LAYOUTS[] = {
    {"gray", 1, 0, 1, 1, false},   {"gray+alpha", 1, 1, 1, 1, false}, {"rgb", 3, 0, 1, 1, true},     {"rgba", 3, 1, 1, 1, true},
    {"yuv444", 3, 0, 1, 1, false}, {"yuv422", 3, 0, 1, 2, false},     {"yuv420", 3, 0, 2, 2, false},
};
constexpr const char* RANGES[] = {"full", "limited", "free"};
constexpr const char* MATRICES[] = {"BT.601", "BT.709", "BT.2020"};
constexpr const char* SITINGS[] = {"left", "center", "top left"};
constexpr int FLOAT = 32;
constexpr int64_t LARGEST_SIDE = int64_t(1) << 30;

int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }

template <class Table>
bool within(int32_t value, const Table& table) {
    return value >= 0 && value < int32_t(std::size(table));
}

// What is wrong with a format in itself; empty: nothing.
std::string wrong_with(const fsrcnn_format& format) {
    const std::string number = ", not ";
    if (!within(format.layout, LAYOUTS)) return "a layout is FSRCNN_GRAY to FSRCNN_YUV420 (0 to 6)" + number + std::to_string(format.layout);
    if (format.depth != FLOAT && (format.depth < 8 || format.depth > 16))
        return "depth is 8 to 16 bits, or 32 for float" + number + std::to_string(format.depth);
    if (!within(format.range, RANGES)) return "a range is FSRCNN_FULL_RANGE to FSRCNN_FREE_RANGE (0 to 2)" + number + std::to_string(format.range);
    if (!within(format.matrix, MATRICES)) return "a matrix is FSRCNN_BT601 to FSRCNN_BT2020 (0 to 2)" + number + std::to_string(format.matrix);
    if (!within(format.siting, SITINGS)) return "a siting is FSRCNN_LEFT to FSRCNN_TOP_LEFT (0 to 2)" + number + std::to_string(format.siting);
    const Layout& layout = LAYOUTS[format.layout];
    if (format.range == FSRCNN_LIMITED_RANGE && (layout.rgb || layout.alpha)) return "RGB and pictures with alpha are not of limited range";
    if (format.range == FSRCNN_FREE_RANGE && format.depth != FLOAT)
        return "FSRCNN_FREE_RANGE is for float (depth 32)" + number + "for " + std::to_string(format.depth) + " bits";
    return "";
}

const Layout* layout_of(const fsrcnn_format& format) { return wrong_with(format).empty() ? &LAYOUTS[format.layout] : nullptr; }

int64_t bytes_of_sample(const fsrcnn_format& format) { return format.depth == FLOAT ? 4 : format.depth == 8 ? 1 : 2; }

int64_t columns_of(const Layout& layout, int64_t width, int plane) {
    return plane > 0 && plane < layout.colours ? ceil_div(width, layout.across) : width;
}
int64_t rows_of(const Layout& layout, int64_t height, int plane) {
    return plane > 0 && plane < layout.colours ? ceil_div(height, layout.down) : height;
}

// The memory that a plane's samples lie in.
struct Span {
    int64_t first, end;
};

Span span_of(const fsrcnn_plane& plane, int64_t rows, int64_t columns, int64_t sample, const std::string& name) {
    constexpr int64_t MOST = int64_t(1) << 60;
    Span span{int64_t(reinterpret_cast<intptr_t>(plane.data)), 0};
    span.end = span.first + sample;
    const int64_t strides[] = {plane.row_stride, plane.column_stride}, counts[] = {rows - 1, columns - 1};
    for (int axis = 0; axis < 2; axis++) {
        const int64_t stride = strides[axis], count = counts[axis];
        if (count == 0) continue;
        if (stride == 0) throw Fault{FSRCNN_BAD_PLANES, name + " has a row stride of 0: say how many bytes lie between two rows"};
        if (stride > MOST / count || stride < -(MOST / count)) throw Fault{FSRCNN_BAD_PLANES, name + " has a stride beyond all memory"};
        (stride < 0 ? span.first : span.end) += stride * count;
    }
    return span;
}

fsrcnn_picture picture_of(const fsrcnn_image& image, const Layout& layout, const std::string& name, Span (&spans)[4]) {
    const fsrcnn_format& format = image.format;
    fsrcnn_picture picture{};
    picture.planes = layout.planes();
    picture.dtype = format.depth == FLOAT ? FSRCNN_FLOAT32 : format.depth == 8 ? FSRCNN_UINT8 : FSRCNN_UINT16;
    picture.largest = format.depth != FLOAT ? std::ldexp(1, format.depth) - 1 : format.range == FSRCNN_FULL_RANGE ? 1.0 : INFINITY;
    // Limited range is defined by shifts: at 10 bit 1.0 is 4·255 there, but 1023 in full range.
    picture.peak = format.depth == FLOAT ? 1.0 : format.range == FSRCNN_LIMITED_RANGE ? std::ldexp(255, format.depth - 8) : picture.largest;
    for (int i = 0; i < picture.planes; i++) {
        const std::string plane = "plane " + std::to_string(i) + " of " + name;
        picture.plane[i] = image.plane[i];
        if (!picture.plane[i].data) throw Fault{FSRCNN_NULL_POINTER, plane + " is NULL"};
        if (picture.plane[i].column_stride == 0) picture.plane[i].column_stride = bytes_of_sample(format);
        const int64_t rows = rows_of(layout, image.height, i), columns = columns_of(layout, image.width, i);
        spans[i] = span_of(picture.plane[i], rows, columns, bytes_of_sample(format), plane);
    }
    return picture;
}

// Rows Y, Cb, Cr from the weights of red and blue in luma: Y in 219/255, Cb and Cr in 224/255 around their offsets.
void matrix_of(double red, double blue, double (&m)[9]) {
    const double luma[] = {red, 1 - red - blue, blue};
    for (int i = 0; i < 3; i++) {
        m[i] = 219 * luma[i] / 255;
        m[3 + i] = 224 * (((i == 2 ? 1 : 0) - luma[i]) / (2 * (1 - blue))) / 255;
        m[6 + i] = 224 * (((i == 0 ? 1 : 0) - luma[i]) / (2 * (1 - red))) / 255;
    }
}

void set_matrices(int32_t which, fsrcnn_colour& colour) {
    double m[9] = {65.481, 128.553, 24.966, -37.797, -74.203, 112.0, 112.0, -93.786, -18.214};  // MATLAB rgb2ycbcr
    const double offset[] = {16.0 / 255, 128.0 / 255, 128.0 / 255};
    if (which == FSRCNN_BT601)
        for (double& value : m) value /= 255;
    else if (which == FSRCNN_BT709) matrix_of(0.2126, 0.0722, m);
    else matrix_of(0.2627, 0.0593, m);
    const double determinant = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) + m[2] * (m[3] * m[7] - m[4] * m[6]);
    const double adjugate[9] = {m[4] * m[8] - m[5] * m[7], m[2] * m[7] - m[1] * m[8], m[1] * m[5] - m[2] * m[4],
                                m[5] * m[6] - m[3] * m[8], m[0] * m[8] - m[2] * m[6], m[2] * m[3] - m[0] * m[5],
                                m[3] * m[7] - m[4] * m[6], m[1] * m[6] - m[0] * m[7], m[0] * m[4] - m[1] * m[3]};
    for (int row = 0; row < 3; row++) {
        double constant = 0;
        for (int i = 3 * row; i < 3 * row + 3; i++) {
            colour.to_ycbcr[i] = float(m[i]);
            colour.to_rgb[i] = float(adjugate[i] / determinant);
            constant += adjugate[i] / determinant * offset[i % 3];
        }
        colour.to_ycbcr_offset[row] = float(offset[row]);
        colour.to_rgb_offset[row] = float(-constant);
    }
}

// Where in the cell of `factor` luma pixels that belong to it a chroma sample's centre lies.
double anchor_of(int32_t siting, int factor, bool across) {
    const bool cosited = siting == FSRCNN_TOP_LEFT || (siting == FSRCNN_LEFT && across);
    return factor > 1 && cosited ? 0.5 / factor : 0.5;
}

std::string size_of(const fsrcnn_image& image) { return std::to_string(image.width) + "×" + std::to_string(image.height); }

void check_alike(const fsrcnn_format& lr, const fsrcnn_format& sr) {
    for (const fsrcnn_format* format : {&lr, &sr}) {
        const std::string wrong = wrong_with(*format);
        if (!wrong.empty()) throw Fault{FSRCNN_BAD_FORMAT, (format == &lr ? "the picture: " : "the result: ") + wrong};
    }
    const auto alike = [](const char* what, int32_t ours, int32_t theirs, const char* our_name, const char* their_name) {
        if (ours != theirs)
            throw Fault{FSRCNN_BAD_FORMAT, std::string("the ") + what + " of the result is " + their_name + ", that of the picture " + our_name};
    };
    alike("layout", lr.layout, sr.layout, LAYOUTS[lr.layout].name, LAYOUTS[sr.layout].name);
    alike("range", lr.range, sr.range, RANGES[lr.range], RANGES[sr.range]);
    alike("matrix", lr.matrix, sr.matrix, MATRICES[lr.matrix], MATRICES[sr.matrix]);
    alike("siting", lr.siting, sr.siting, SITINGS[lr.siting], SITINGS[sr.siting]);
}

}  // namespace

Pair::Pair(const fsrcnn_image& lr_image, const fsrcnn_image& sr_image, int scale) : lr(), sr(), colour(), rows(), columns() {
    check_alike(lr_image.format, sr_image.format);
    const fsrcnn_format& format = lr_image.format;
    const Layout& layout = LAYOUTS[format.layout];
    const int64_t width = lr_image.width, height = lr_image.height;
    if (width < 1 || height < 1 || width > LARGEST_SIDE || height > LARGEST_SIDE)
        throw Fault{FSRCNN_BAD_SIZE, "a picture has 1 to 2^30 pixels each way, not " + size_of(lr_image)};
    if (sr_image.width != scale * width || sr_image.height != scale * height)
        throw Fault{FSRCNN_BAD_SIZE, size_of(lr_image) + " pixels at ×" + std::to_string(scale) + " become " + std::to_string(scale * width) + "×" +
                                         std::to_string(scale * height) + ", not " + size_of(sr_image)};
    Span before[4], after[4];
    lr = picture_of(lr_image, layout, "the picture", before);
    sr = picture_of(sr_image, layout, "the result", after);
    for (int i = 0; i < layout.planes(); i++)
        for (int j = 0; j < layout.planes(); j++)
            if (before[i].first < after[j].end && after[j].first < before[i].end)
                throw Fault{FSRCNN_BAD_PLANES, "the result lies in the memory of the picture, which it would overwrite"};

    colour.kind = layout.rgb ? FSRCNN_FROM_RGB : format.range == FSRCNN_LIMITED_RANGE ? FSRCNN_FROM_STUDIO : FSRCNN_FROM_FULL;
    colour.colours = layout.colours, colour.alpha = layout.alpha, colour.down = layout.down, colour.across = layout.across;
    colour.full_offset = float(16.0 / 255), colour.full_gain = float(219.0 / 255);
    set_matrices(format.matrix, colour);
    if (layout.planes() == 1) return;
    rows = bicubic(ceil_div(height, layout.down), ceil_div(scale * height, layout.down), scale, anchor_of(format.siting, layout.down, false));
    columns = bicubic(ceil_div(width, layout.across), ceil_div(scale * width, layout.across), scale, anchor_of(format.siting, layout.across, true));
    colour.rows = rows.pointers(), colour.columns = columns.pointers();
}

}  // namespace fsrcnn

using namespace fsrcnn;

int32_t fsrcnn_planes(fsrcnn_format format) {
    const Layout* layout = layout_of(format);
    return layout ? layout->planes() : 0;
}

int64_t fsrcnn_plane_width(fsrcnn_format format, int64_t width, int32_t plane) {
    const Layout* layout = layout_of(format);
    return layout && width > 0 && plane >= 0 && plane < layout->planes() ? columns_of(*layout, width, plane) : 0;
}

int64_t fsrcnn_plane_height(fsrcnn_format format, int64_t height, int32_t plane) {
    const Layout* layout = layout_of(format);
    return layout && height > 0 && plane >= 0 && plane < layout->planes() ? rows_of(*layout, height, plane) : 0;
}

size_t fsrcnn_bytes(fsrcnn_format format, int64_t width, int64_t height) {
    const Layout* layout = layout_of(format);
    if (!layout || width < 1 || height < 1 || width > 4 * LARGEST_SIDE || height > 4 * LARGEST_SIDE) return 0;
    double samples = 0;
    for (int i = 0; i < layout->planes(); i++) samples += double(columns_of(*layout, width, i)) * double(rows_of(*layout, height, i));
    const double bytes = samples * double(bytes_of_sample(format));
    return bytes < double(PTRDIFF_MAX) / 2 ? size_t(bytes) : 0;  // whole below 2^53, which no memory reaches
}

fsrcnn_image fsrcnn_packed(fsrcnn_format format, int64_t width, int64_t height, void* data) {
    fsrcnn_image image{format, width, height, {}};
    const Layout* layout = layout_of(format);
    if (!layout || !data || layout->across > 1 || fsrcnn_bytes(format, width, height) == 0) return image;
    const int64_t sample = bytes_of_sample(format), pixel = sample * layout->planes();
    for (int i = 0; i < layout->planes(); i++) image.plane[i] = {static_cast<char*>(data) + i * sample, width * pixel, pixel};
    return image;
}

fsrcnn_image fsrcnn_planar(fsrcnn_format format, int64_t width, int64_t height, void* data) {
    fsrcnn_image image{format, width, height, {}};
    const Layout* layout = layout_of(format);
    if (!layout || !data || fsrcnn_bytes(format, width, height) == 0) return image;
    char* at = static_cast<char*>(data);
    for (int i = 0; i < layout->planes(); i++) {
        const int64_t sample = bytes_of_sample(format), row = columns_of(*layout, width, i) * sample;
        image.plane[i] = {at, row, sample};
        at += row * rows_of(*layout, height, i);
    }
    return image;
}
