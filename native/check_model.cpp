// The library for others under the sanitizers, as check.cpp is for the engine: files of weights and mutants of them, images of every
// format, and what callers should not give. Prints what became of the mutants; exits with 1 at the first that is neither opened nor
// refused by a sentence.
//
//     make sanitize
//     build/address/check_model 1000000 7  # so many mutants, of another seed
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fsrcnn.h"

namespace {

std::mt19937 generator;

int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); }

void fail(const std::string& what) {
    std::printf("%s\n", what.c_str());
    std::exit(1);
}

std::string eight_bytes(uint64_t value) {
    std::string bytes;
    for (int i = 0; i < 8; i++) bytes += char(value >> (8 * i) & 255);
    return bytes;
}

// A safetensors file from its parts; the header's length is right unless it is given.
std::string file_of(const std::string& header, const std::string& arrays) { return eight_bytes(header.size()) + header + arrays; }

struct Network {
    std::string header, arrays;
    std::string file() const { return file_of(header, arrays); }
};

Network network(int d, int s, int m, int first, int last, int scale) {
    Network made;
    const auto number = [](int value) { return std::to_string(value); };
    const auto quoted = [](const std::string& name) { return "\\\"" + name + "\\\":"; };
    made.header = "{\"__metadata__\":{\"fsrcnn.architecture\":\"{" + quoted("d") + number(d) + "," + quoted("s") + number(s) + "," + quoted("m") +
                  number(m) + "," + quoted("feature_kernel") + number(first) + "," + quoted("deconvolution_kernel") + number(last) + "," +
                  quoted("scale") + number(scale) + "," + quoted("crop") + number((last - scale) / 2) + "}\",\"fsrcnn.kind\":\"fsrcnn\"}";
    const auto array = [&](const std::string& name, const std::vector<int>& shape, float size) {
        int count = 1;
        std::string sides;
        for (const int side : shape) count *= side, sides += (sides.empty() ? "" : ",") + number(side);
        const size_t from = made.arrays.size();
        for (int i = 0; i < count; i++) {
            const float value = std::uniform_real_distribution<float>(-size, size)(generator);
            char bytes[4];
            std::memcpy(bytes, &value, 4);
            made.arrays.append(bytes, 4);
        }
        made.header += ",\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[" + sides + "],\"data_offsets\":[" + number(int(from)) + "," +
                       number(int(made.arrays.size())) + "]}";
    };
    const auto stage = [&](const std::string& name, int out, int in, int side) {
        array(name + ".weight", {out, in, side, side}, 1 / std::sqrt(float(in * side * side)));
        array(name + ".bias", {out}, 0.1f);
        array(name + ".prelu", {out}, 1);
    };
    stage("feature_extraction", d, 1, first);
    stage("shrinking", s, d, 1);
    for (int i = 0; i < m; i++) stage("mapping." + number(i), s, s, 3);
    stage("expanding", d, s, 1);
    array("deconvolution.weight", {d, 1, last, last}, 0.1f);
    array("deconvolution.bias", {1}, 0.1f);
    made.header += "}";
    return made;
}

struct Close {
    void operator()(fsrcnn_model* model) const { fsrcnn_close(model); }
};
using Model = std::unique_ptr<fsrcnn_model, Close>;

Model opened(const std::string& file, int32_t precision, fsrcnn_error& error) {
    const std::vector<char> exact(file.begin(), file.end());  // a block of exactly its size, so that AddressSanitizer sees a step beside it
    std::memset(&error, 77, sizeof error);
    Model model(fsrcnn_open_bytes(exact.empty() ? "" : exact.data(), exact.size(), precision, nullptr, &error));
    if ((model == nullptr) != (error.status != FSRCNN_OK)) fail("a model and an error, or neither");
    if ((model == nullptr) != (error.text[0] != 0)) fail("an error without a sentence");
    if (std::memchr(error.text, 0, sizeof error.text) == nullptr) fail("a sentence without an end");
    return model;
}

// An image whose planes are blocks of exactly their size.
struct Picture {
    std::vector<char> plane[4];
    fsrcnn_image image;
    Picture(const fsrcnn_format& format, int64_t width, int64_t height) : image{format, width, height, {}} {
        const int64_t sample = format.depth == 32 ? 4 : format.depth == 8 ? 1 : 2;
        for (int i = 0; i < fsrcnn_planes(format); i++) {
            const int64_t columns = fsrcnn_plane_width(format, width, i), rows = fsrcnn_plane_height(format, height, i);
            plane[i].resize(size_t(columns * rows * sample));
            image.plane[i] = {plane[i].data(), columns * sample, 0};
        }
    }
    Picture(const Picture&) = delete;
    void fill() {
        for (std::vector<char>& samples : plane) {
            for (char& sample : samples) sample = char(whole(0, 255));
            if (image.format.depth == 32)
                for (size_t i = 0; i < samples.size(); i += 4) {
                    const float value = std::uniform_real_distribution<float>(0, 1)(generator);
                    std::memcpy(&samples[i], &value, 4);
                }
        }
    }
    bool operator==(const Picture& other) const { return std::equal(plane, plane + 4, other.plane); }
};

int check_formats(const fsrcnn_model* model) {
    const int scale = fsrcnn_describe_model(model).scale;
    int compared = 0;
    for (int layout = FSRCNN_GRAY; layout <= FSRCNN_YUV420; layout++)
        for (const int depth : {8, 10, 16, 32})
            for (int range = FSRCNN_FULL_RANGE; range <= FSRCNN_FREE_RANGE; range++) {
                const fsrcnn_format format{layout, depth, range, whole(0, 2), whole(0, 2)};
                if (fsrcnn_planes(format) == 0) continue;
                const int64_t width = whole(1, 70), height = whole(1, 40);
                Picture lr(format, width, height), one(format, scale * width, scale * height), several(format, scale * width, scale * height);
                lr.fill();
                fsrcnn_error error;
                if (fsrcnn_upscale(model, &lr.image, &one.image, 1, nullptr, &error)) fail(error.text);
                if (fsrcnn_upscale(model, &lr.image, &several.image, 3, nullptr, nullptr)) fail("a call that worked before");
                if (!(one == several)) fail("threads change the result");
                compared++;
            }
    return compared;
}

// What no caller should give, and the words that the answer has.
void check_refusals(const fsrcnn_model* model) {
    const int scale = fsrcnn_describe_model(model).scale;
    const fsrcnn_format good{FSRCNN_YUV420, 8, FSRCNN_FULL_RANGE, FSRCNN_BT601, FSRCNN_LEFT};
    const Picture lr(good, 9, 7), sr(good, 9 * scale, 7 * scale);
    const auto expect = [&](const fsrcnn_image& before, const fsrcnn_image& after, int32_t threads, int32_t status, const char* words) {
        fsrcnn_error error;
        const int32_t found = fsrcnn_upscale(model, &before, &after, threads, nullptr, &error);
        if (found != status || error.status != status || !std::strstr(error.text, words)) fail(std::string("not refused by: ") + words + ": " + error.text);
    };
    fsrcnn_image image = lr.image;
    expect(lr.image, sr.image, 1, FSRCNN_OK, "");
    expect(lr.image, sr.image, -1, FSRCNN_BAD_THREADS, "threads is at least 1");
    image.format.depth = 7, expect(image, sr.image, 1, FSRCNN_BAD_FORMAT, "depth is 8 to 16 bits, or 32 for float, not 7");
    image = lr.image, image.format.siting = FSRCNN_CENTER, expect(image, sr.image, 1, FSRCNN_BAD_FORMAT, "the siting of the result is left");
    image = lr.image, image.width = 0, expect(image, sr.image, 1, FSRCNN_BAD_SIZE, "not 0×7");
    image = lr.image, image.width = INT64_MAX, expect(image, sr.image, 1, FSRCNN_BAD_SIZE, "2^30");
    for (const int64_t size : {INT64_MAX, INT64_MIN, int64_t(0), int64_t(-1)}) {
        const fsrcnn_format grey{FSRCNN_GRAY, 8, FSRCNN_FULL_RANGE, FSRCNN_BT601, FSRCNN_LEFT};
        char memory = 0;
        const fsrcnn_image packed = fsrcnn_packed(grey, size, 3, &memory);
        if (packed.plane[0].data || fsrcnn_bytes(grey, size, size)) fail("a block of memory for no size");
        fsrcnn_plane_width(good, size, 0), fsrcnn_plane_height(good, size, 0), fsrcnn_plane_width(good, size, 1);  // overflow nowhere
    }
    image = lr.image, image.height = 8, expect(image, sr.image, 1, FSRCNN_BAD_SIZE, "pixels at ×");
    image = lr.image, image.plane[1].data = nullptr, expect(image, sr.image, 1, FSRCNN_NULL_POINTER, "plane 1 of the picture is NULL");
    image = lr.image, image.plane[2].row_stride = 0, expect(image, sr.image, 1, FSRCNN_BAD_PLANES, "plane 2 of the picture has a row stride of 0");
    image = lr.image, image.plane[0].row_stride = INT64_MIN, expect(image, sr.image, 1, FSRCNN_BAD_PLANES, "beyond all memory");
    image = sr.image, image.plane[2] = lr.image.plane[0], image.plane[2].row_stride = 1;
    expect(lr.image, image, 1, FSRCNN_BAD_PLANES, "in the memory of the picture");
    fsrcnn_error error;
    if (fsrcnn_upscale(nullptr, &lr.image, &sr.image, 1, nullptr, &error) != FSRCNN_NULL_POINTER) fail("a model that is NULL");
    if (fsrcnn_upscale(model, nullptr, &sr.image, 1, nullptr, &error) != FSRCNN_NULL_POINTER) fail("a picture that is NULL");
    if (fsrcnn_open(nullptr, FSRCNN_EXACT, nullptr, &error) || error.status != FSRCNN_NULL_POINTER) fail("a path that is NULL");
    if (fsrcnn_open_bytes(nullptr, 5, FSRCNN_EXACT, nullptr, nullptr)) fail("bytes that are NULL");
    fsrcnn_control control{};
    control.cancel = 1;
    if (fsrcnn_upscale(model, &lr.image, &sr.image, 1, &control, &error) != FSRCNN_CANCELLED) fail("a call that was cancelled");
    fsrcnn_close(nullptr);
}

// Files that are wrong in one way each.
void check_hostile(const Network& good) {
    const auto replaced = [&](const std::string& from, const std::string& to) {
        std::string header = good.header;
        const size_t at = header.find(from);
        if (at == std::string::npos) fail("no " + from + " in the header");
        return header.replace(at, from.size(), to);
    };
    const auto refuse = [](const std::string& file, const char* words) {
        fsrcnn_error error;
        if (opened(file, FSRCNN_EXACT, error)) fail(std::string("opened, though: ") + words);
        if (error.status != FSRCNN_BAD_FILE || !std::strstr(error.text, words)) fail(std::string("not refused by: ") + words + ": " + error.text);
    };
    const char* const none = "is not a safetensors weights file";
    const std::string& arrays = good.arrays;
    refuse("", none);
    refuse("1234567", none);
    refuse(eight_bytes(UINT64_MAX) + good.header + arrays, none);
    refuse(eight_bytes(good.header.size() + arrays.size() + 1) + good.header + arrays, none);
    refuse(file_of(std::string(2 << 20, ' '), arrays), none);
    refuse(file_of(good.header + std::string(2 << 20, ' '), arrays), none);
    refuse("\x80\x02}q", "a pickle or PyTorch checkpoint");
    refuse(file_of(std::string(500000, '['), ""), none);
    refuse(file_of("{\"a\":" + std::string(500000, '['), ""), none);
    refuse(file_of("{\"a\":" + std::string(500000, '{'), ""), none);
    refuse(file_of(replaced("shrinking.bias", "shrinking.b\xC3s"), arrays), none);        // half a letter
    refuse(file_of(replaced("shrinking.bias", "shrinking.b\xED\xA0\x80"), arrays), none);  // half a pair of UTF-16
    refuse(file_of(replaced("shrinking.bias", "shrinking.b\xC0\xAF"), arrays), none);      // longer than need be
    refuse(file_of(replaced("shrinking.bias", "shrinking.b\\ud800"), arrays), none);
    refuse(file_of(replaced("shrinking.bias", "shrinking.b\n"), arrays), none);
    refuse(file_of(replaced("shrinking.bias", "feature_extraction.bias"), arrays), none);  // twice
    refuse(file_of(replaced("shrinking.bias", "shrinking.\\u001b[31m"), arrays), "misses the array shrinking.bias");
    refuse(file_of(replaced("\"F32\"", "\"F16\""), arrays), "'F16', not 'F32'");
    refuse(file_of(replaced("\"data_offsets\":[0,", "\"data_offsets\":[-4,"), arrays), "does not lie in the file");
    refuse(file_of(replaced("\"data_offsets\":[0,", "\"data_offsets\":[0.0,"), arrays), none);
    refuse(file_of(replaced("\"data_offsets\":[0,", "\"data_offsets\":[99999999999999999999,"), arrays), none);
    refuse(file_of(replaced("\"data_offsets\":[0,", "\"data_offsets\":[999999999999999999,"), arrays), "does not lie in the file");
    refuse(file_of(replaced("\\\"scale\\\":2", "\\\"scale\\\":5"), arrays), "describes no legal architecture");
    refuse(file_of(replaced("\\\"scale\\\":2", "\\\"scale\\\":true"), arrays), "describes no legal architecture");
    refuse(file_of(replaced("\\\"scale\\\":2", "\\\"depth\\\":2"), arrays), "describes no legal architecture");
    refuse(file_of(replaced("\\\"m\\\":1", "\\\"m\\\":1024"), arrays), "misses the array mapping.1.weight");
    refuse(file_of(replaced("\"fsrcnn.kind\":\"fsrcnn\"", "\"fsrcnn.kind\":\"espcn\""), arrays), "of kind 'espcn'");
    refuse(file_of(replaced("\"fsrcnn.kind\":\"fsrcnn\"", "\"fsrcnn.kind\":\"fsrcnn-integer\""), arrays), "is an integer model, and float weights");
    refuse(file_of(replaced("fsrcnn.architecture", "architecture"), arrays), "no fsrcnn.architecture metadata");
    refuse(file_of(good.header, arrays + "0000"), "longer than its arrays");
    refuse(file_of(good.header, arrays.substr(4)), "does not lie in the file");
    const std::string surplus = good.header.substr(0, good.header.size() - 1) + ",\"more\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    refuse(file_of(surplus, arrays), "an array 'more' that its architecture does not have");
    std::string spoiled = arrays;
    spoiled.replace(8, 4, std::string("\0\0\xC0\x7F", 4)), refuse(file_of(good.header, spoiled), "feature_extraction.weight holds NaN or infinity");
    // Two arrays of one length in one place: as long as it should be, by another that lies alone.
    const std::string bias = "\"feature_extraction.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[144,160]}";
    refuse(file_of(replaced(bias, "\"feature_extraction.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[160,176]}"), arrays), "overlap");
}

std::string mutant(std::string file) {
    static const char* const words[] = {"0", "-1", "4294967296", "9223372036854775807", "1e9", "null", "true", "[]", "{", "\"", "\\u0000", "\xFF", ",", "]"};
    const size_t header = std::min<size_t>(file.size(), 2000);
    for (int i = whole(1, 4); i > 0 && file.size() > 16; i--) {
        const size_t anywhere = size_t(whole(0, int(file.size()) - 1)), early = size_t(whole(0, int(std::min(header, file.size()) - 1)));
        const size_t at = whole(0, 2) ? early : anywhere;
        switch (whole(0, 6)) {
            case 0: file[at] = char(file[at] ^ 1 << whole(0, 7)); break;
            case 1: file[at] = char(whole(0, 255)); break;
            case 2: file.resize(anywhere); break;
            case 3: file.insert(at, words[whole(0, 13)]); break;
            case 4: file.erase(at, size_t(whole(1, 9))); break;
            case 5: file.insert(at, file.substr(early, size_t(whole(1, 99)))); break;
            default: {  // a word in the place of a number
                const size_t digit = file.find_first_of("0123456789", early), end = file.find_first_not_of("0123456789", digit);
                if (digit != std::string::npos && end != std::string::npos) file.replace(digit, end - digit, words[whole(0, 13)]);
            }
        }
        if (whole(0, 1) && file.size() > 8) {  // a header's length that fits again
            const size_t end = file.find("]}}");
            if (end != std::string::npos) file.replace(0, 8, eight_bytes(end + 3 - 8));
        }
    }
    return file;
}

}  // namespace

int main(int argc, char** argv) {
    const int mutants = argc > 1 ? std::atoi(argv[1]) : 20000;
    generator.seed(argc > 2 ? unsigned(std::atoi(argv[2])) : 1);
    const Network networks[] = {network(4, 3, 1, 3, 3, 2), network(7, 2, 0, 1, 9, 3), network(5, 5, 2, 5, 5, 4)};
    int compared = 0, taken = 0;
    for (const Network& good : networks)
        for (const int32_t precision : {FSRCNN_EXACT, FSRCNN_FAST}) {
            fsrcnn_error error;
            const Model model = opened(good.file(), precision, error);
            if (!model) fail(error.text);
            compared += check_formats(model.get());
            check_refusals(model.get());
        }
    check_hostile(networks[0]);
    for (int i = 0; i < mutants; i++) {
        const std::string file = mutant(networks[i % 3].file());
        fsrcnn_error error;
        const Model model = opened(file, i % 20 ? FSRCNN_EXACT : FSRCNN_FAST, error);
        if (!model && error.status != FSRCNN_BAD_FILE && error.status != FSRCNN_TOO_WIDE) fail(std::string("a mutant ends by: ") + error.text);
        if (!model) continue;
        taken++;
        const int scale = fsrcnn_describe_model(model.get()).scale;
        const fsrcnn_format gray{FSRCNN_GRAY, 32, FSRCNN_FULL_RANGE, FSRCNN_BT601, FSRCNN_LEFT};
        Picture lr(gray, 7, 5), sr(gray, 7 * scale, 5 * scale);
        lr.fill();
        if (fsrcnn_upscale(model.get(), &lr.image, &sr.image, 1, nullptr, &error)) fail(error.text);
    }
    std::printf("%d images by 1 and 3 threads agree; of %d mutants %d are opened, the others refused\n", compared, mutants, taken);
}
