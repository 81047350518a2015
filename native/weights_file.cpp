#include "weights_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>
#include <utility>

#include "fault.h"
#include "fsrcnn.h"
#include "json.h"

namespace fsrcnn {
namespace {

constexpr uint64_t LARGEST_FILE = 64 << 20;   // bytes; the paper's network takes 55 kB
constexpr uint64_t LARGEST_HEADER = 1 << 20;  // a network of 1,024 mapping layers takes 300 kB
constexpr int64_t LARGEST_FIELD = 1024;       // as architecture.py has it

// An array as the header describes it.
struct Entry {
    std::string dtype;
    std::vector<int64_t> shape, offsets;
};

struct Header {
    std::map<std::string, std::string> metadata;
    std::map<std::string, Entry> entries;
};

struct Expected {
    std::string name;
    std::vector<int64_t> shape;
    int64_t length() const {
        int64_t product = 1;
        for (const int64_t side : shape) product *= side;
        return product;
    }
};

std::vector<Expected> expected_of(const Architecture& a) {
    std::vector<Expected> arrays;
    for (const Convolution& stage : a.convolutions()) {
        arrays.push_back({stage.name + ".weight", {stage.out, stage.in, stage.side, stage.side}});
        arrays.push_back({stage.name + ".bias", {stage.out}});
        arrays.push_back({stage.name + ".prelu", {stage.out}});
    }
    arrays.push_back({"deconvolution.weight", {a.d, 1, a.deconvolution_kernel, a.deconvolution_kernel}});
    arrays.push_back({"deconvolution.bias", {1}});
    return arrays;
}

std::string shown(const std::vector<int64_t>& shape) {
    std::string text;
    for (size_t i = 0; i < shape.size() && i < 8; i++) text += (i ? "×" : "") + std::to_string(shape[i]);
    return shape.empty() ? "no shape" : text + (shape.size() > 8 ? "×…" : "");
}

Header header_of(const char* from, const char* to) {
    Header header;
    Json json(from, to);
    bool described = false;
    json.object([&](const std::string& name) {
        if (name == "__metadata__") {
            if (std::exchange(described, true)) throw Json::Unexpected{};
            json.object([&](const std::string& key) {
                if (!header.metadata.emplace(key, json.text()).second) throw Json::Unexpected{};
            });
            return;
        }
        Entry entry;
        int parts = 0;
        json.object([&](const std::string& key) {
            const auto numbers = [&](std::vector<int64_t>& into) {
                json.array([&] { into.push_back(json.whole()); });
            };
            if (key == "dtype") entry.dtype = json.text(), parts += 1;
            else if (key == "shape") numbers(entry.shape), parts += 10;
            else if (key == "data_offsets") numbers(entry.offsets), parts += 100;
            else throw Json::Unexpected{};
        });
        if (parts != 111 || entry.offsets.size() != 2 || !header.entries.emplace(name, std::move(entry)).second) throw Json::Unexpected{};
    });
    json.finish();
    return header;
}

Architecture architecture_of(const std::string& text, const std::string& source) {
    Architecture found;
    const std::pair<const char*, int32_t*> fields[] = {
        {"d", &found.d}, {"s", &found.s}, {"m", &found.m}, {"feature_kernel", &found.feature_kernel},
        {"deconvolution_kernel", &found.deconvolution_kernel}, {"scale", &found.scale}, {"crop", &found.crop},
    };
    bool said[7] = {};
    bool legal = true;
    try {
        Json json(text.data(), text.data() + text.size());
        json.object([&](const std::string& key) {
            const int64_t value = json.whole();
            for (int i = 0; i < 7; i++)
                if (key == fields[i].first && !said[i] && value >= -1 && value <= LARGEST_FIELD) {
                    *fields[i].second = int32_t(value), said[i] = true;
                    return;
                }
            legal = false;
        });
        json.finish();
    } catch (const Json::Unexpected&) {
        legal = false;
    }
    const int32_t largest_crop = found.deconvolution_kernel - found.scale;
    if (found.crop == -1) found.crop = largest_crop / 2;
    legal = legal && found.d >= 1 && found.s >= 1 && found.m >= 0 && found.feature_kernel % 2 == 1 && found.deconvolution_kernel % 2 == 1 &&
            found.scale >= 2 && found.scale <= 4 && largest_crop >= 0 && found.crop >= 0 && found.crop <= largest_crop;
    if (!legal) throw Fault{FSRCNN_BAD_FILE, source + " describes no legal architecture: it says " + in_quotes(text)};
    return found;
}

float little_endian(const unsigned char* bytes) {
    const uint32_t bits = uint32_t(bytes[0]) | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 | uint32_t(bytes[3]) << 24;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace

std::vector<Convolution> Architecture::convolutions() const {
    std::vector<Convolution> stages = {{"feature_extraction", d, 1, feature_kernel}, {"shrinking", s, d, 1}};
    for (int i = 0; i < m; i++) stages.push_back({"mapping." + std::to_string(i), s, s, 3});
    stages.push_back({"expanding", d, s, 1});
    return stages;
}

int32_t Architecture::halo() const {
    return feature_kernel / 2 + m + std::max((deconvolution_kernel - 1 - crop) / scale, (scale - 1 + crop) / scale);
}

std::string Architecture::name() const {
    const auto is = [this](int od, int os, int om, int first, int last) {
        return d == od && s == os && m == om && feature_kernel == first && deconvolution_kernel == last;
    };
    if (is(56, 12, 4, 5, 9)) return "fsrcnn";
    if (is(32, 5, 1, 5, 9)) return "fsrcnn-s";
    if (is(23, 12, 2, 3, scale == 2 ? 3 : 5)) return "fsrcnn-x";
    return "fsrcnn-" + std::to_string(d) + "-" + std::to_string(s) + "-" + std::to_string(m);
}

// The file is: the header's length in 8 bytes (little endian), the header (JSON), the arrays side by side without a gap.
Weights parse(const unsigned char* data, size_t length, const std::string& source) {
    if (length > LARGEST_FILE)
        throw Fault{FSRCNN_BAD_FILE, source + " has more than 64 MiB, far more than any FSRCNN: it is not a weights file of fsrcnn"};
    uint64_t size = 0;
    for (size_t i = 0; i < 8 && i < length; i++) size |= uint64_t(data[i]) << (8 * i);
    Header header;
    try {
        if (length < 8 || size > length - 8 || size > LARGEST_HEADER || size < 2 || data[8] != '{') throw Json::Unexpected{};
        const char* text = reinterpret_cast<const char*>(data) + 8;
        header = header_of(text, text + size);
    } catch (const Json::Unexpected&) {
        const bool pickled = (length > 0 && data[0] == 0x80) || (length > 3 && std::memcmp(data, "PK\3\4", 4) == 0);
        throw Fault{FSRCNN_BAD_FILE, source + " is not a safetensors weights file" +
                                         (pickled ? " (it is a pickle or PyTorch checkpoint, which is never loaded)" : "") +
                                         ", or its header is damaged; `fsrcnn convert` makes one of a .pth, .h5, .mat or .pb"};
    }
    const auto kind = header.metadata.find("fsrcnn.kind");
    if (kind != header.metadata.end() && kind->second == "fsrcnn-integer")
        throw Fault{FSRCNN_BAD_FILE, source + " is an integer model, and float weights are needed here; give the weights that it was made of"};
    if (kind != header.metadata.end() && kind->second != "fsrcnn")
        throw Fault{FSRCNN_BAD_FILE, source + " holds a network of kind " + in_quotes(kind->second) + "; this version of fsrcnn knows only 'fsrcnn'"};
    const auto described = header.metadata.find("fsrcnn.architecture");
    if (described == header.metadata.end())
        throw Fault{FSRCNN_BAD_FILE, source + " holds arrays but no fsrcnn.architecture metadata, so it is not a weights file of fsrcnn; "
                                              "`fsrcnn convert` reads it if it is an FSRCNN of others"};
    Weights weights{architecture_of(described->second, source), {}};

    const unsigned char* const arrays = data + 8 + size;
    const int64_t bytes = int64_t(length - 8 - size);
    std::vector<std::pair<int64_t, int64_t>> taken;
    const std::vector<Expected> all = expected_of(weights.architecture);
    for (const Expected& expected : all) {
        const auto found = header.entries.find(expected.name);
        if (found == header.entries.end()) throw Fault{FSRCNN_BAD_FILE, source + " misses the array " + expected.name};
        const Entry& entry = found->second;
        if (entry.dtype != "F32") throw Fault{FSRCNN_BAD_FILE, source + ": " + expected.name + " is " + in_quotes(entry.dtype) + ", not 'F32'"};
        if (entry.shape != expected.shape)
            throw Fault{FSRCNN_BAD_FILE, source + ": " + expected.name + " has shape " + shown(entry.shape) + ", the architecture says " + shown(expected.shape)};
        const int64_t from = entry.offsets[0], to = entry.offsets[1];
        if (from < 0 || to > bytes || to - from != 4 * expected.length())
            throw Fault{FSRCNN_BAD_FILE, source + ": " + expected.name + " does not lie in the file at the length of its shape"};
        taken.push_back({from, to});
        for (int64_t i = from; i < to; i += 4) {
            weights.arrays.push_back(little_endian(arrays + i));
            if (!std::isfinite(weights.arrays.back())) throw Fault{FSRCNN_BAD_FILE, source + ": " + expected.name + " holds NaN or infinity"};
        }
    }
    if (header.entries.size() != all.size())
        for (const auto& [name, entry] : header.entries)
            if (std::none_of(all.begin(), all.end(), [&name = name](const Expected& expected) { return expected.name == name; }))
                throw Fault{FSRCNN_BAD_FILE, source + " holds an array " + in_quotes(name) + " that its architecture does not have"};
    std::sort(taken.begin(), taken.end());
    int64_t end = 0;
    for (const auto& [from, to] : taken)
        if (std::exchange(end, to) != from) throw Fault{FSRCNN_BAD_FILE, source + ": its arrays overlap, or have gaps between them"};
    if (end != bytes) throw Fault{FSRCNN_BAD_FILE, source + " is longer than its arrays"};
    return weights;
}

std::vector<unsigned char> contents(const std::string& path) {
    const std::filesystem::path place = std::filesystem::u8path(path);
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(place, error);
    const std::string name = in_quotes(path, 300);
    if (status.type() == std::filesystem::file_type::not_found) throw Fault{FSRCNN_NO_FILE, name + " does not exist"};
    if (error) throw Fault{FSRCNN_NO_FILE, "cannot read the weights " + name + ": " + error.message()};
    if (std::filesystem::is_directory(status)) throw Fault{FSRCNN_NO_FILE, name + " is a folder, not a weights file"};
    if (!std::filesystem::is_regular_file(status))
        throw Fault{FSRCNN_NO_FILE, name + " is a device or a pipe, and weights are read from files"};
    std::ifstream file(place, std::ios::binary);
    if (!file) throw Fault{FSRCNN_NO_FILE, "cannot read the weights " + name + ": it cannot be opened"};
    std::vector<unsigned char> data;
    char block[1 << 16];
    do {
        file.read(block, sizeof block);
        data.insert(data.end(), block, block + file.gcount());
    } while (file && data.size() <= LARGEST_FILE);  // `parse` refuses what is larger
    if (file.bad()) throw Fault{FSRCNN_NO_FILE, "cannot read the weights " + name + ": reading fails"};
    return data;
}

}  // namespace fsrcnn
