// The people's half of the C ABI: a network from a file, pictures through it. What goes wrong inside comes out as an fsrcnn_error.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "fault.h"
#include "fixed_point.h"
#include "fsrcnn_engine.h"
#include "image.h"
#include "weights_file.h"

using namespace fsrcnn;

struct fsrcnn_model {
    Architecture architecture;
    int32_t precision = FSRCNN_EXACT;
    std::string name;
    std::unique_ptr<fsrcnn_engine, void (*)(fsrcnn_engine*)> engine{nullptr, fsrcnn_destroy};
};

namespace {

int32_t report(fsrcnn_error* error, int32_t status, const char* text) noexcept {
    if (!error) return status;
    error->status = status;
    size_t length = std::min(std::strlen(text), sizeof error->text - 1);
    if (text[length]) // too long: not in the middle of a letter
        while (length > 0 && (text[length] & 0xC0) == 0x80) length--;
    std::memcpy(error->text, text, length);
    std::memset(error->text + length, 0, sizeof error->text - length);
    return status;
}

// Has `body` done, and says what came of it.
template <class Body>
int32_t guarded(fsrcnn_error* error, Body body) noexcept {
    try {
        body();
        return report(error, FSRCNN_OK, "");
    } catch (const Fault& fault) {
        return report(error, fault.status, fault.text.c_str());
    } catch (const std::bad_alloc&) {
        return report(error, FSRCNN_NO_MEMORY, fsrcnn_explain(FSRCNN_NO_MEMORY));
    } catch (const std::length_error&) {  // more elements than a vector can have
        return report(error, FSRCNN_NO_MEMORY, fsrcnn_explain(FSRCNN_NO_MEMORY));
    } catch (const std::exception& exception) {  // of the file system
        return report(error, FSRCNN_NO_FILE, exception.what());
    }
}

void check(int32_t status, const std::string& what) {
    if (status != FSRCNN_OK) throw Fault{status, what + ": " + fsrcnn_explain(status)};
}

// Of the argument, of FSRCNN_ISA, or the best.
std::string instruction_set_of(const char* given) {
    const char* const forced = std::getenv("FSRCNN_ISA");
    std::vector<std::string> offered;
    std::istringstream names(fsrcnn_instruction_sets());
    for (std::string name; names >> name;) offered.push_back(name);
    const std::string wanted = given && *given ? given : forced && *forced ? forced : offered.front();
    if (std::find(offered.begin(), offered.end(), wanted) != offered.end()) return wanted;
    throw Fault{FSRCNN_UNKNOWN_INSTRUCTION_SET,
                "there is no instruction set " + in_quotes(wanted) + " here; there are " + fsrcnn_instruction_sets() + (given && *given ? "" : " for FSRCNN_ISA")};
}

std::unique_ptr<fsrcnn_model> opened(const unsigned char* data, size_t length, const std::string& source, int32_t precision, const char* isa) {
    if (precision != FSRCNN_EXACT && precision != FSRCNN_FAST)
        throw Fault{FSRCNN_BAD_PRECISION, "precision is FSRCNN_EXACT (0) or FSRCNN_FAST (1), not " + std::to_string(precision)};
    const std::string instruction_set = instruction_set_of(isa);
    const Weights weights = parse(data, length, source);
    const Architecture& a = weights.architecture;
    const bool fast = precision == FSRCNN_FAST;
    const FixedPoint whole = fast ? fixed_point(weights) : FixedPoint{};
    fsrcnn_network network{};
    network.d = a.d, network.s = a.s, network.m = a.m, network.scale = a.scale, network.crop = a.crop;
    network.feature_kernel = a.feature_kernel, network.deconvolution_kernel = a.deconvolution_kernel, network.precision = precision;
    if (fast) {
        network.integers = whole.integers.data(), network.integers_length = int64_t(whole.integers.size());
        network.multipliers = whole.multipliers.data(), network.multipliers_length = int64_t(whole.multipliers.size());
        network.input_levels = INPUT_LEVELS, network.feature_levels = FEATURE_LEVELS;
    } else {
        network.arrays = weights.arrays.data(), network.arrays_length = int64_t(weights.arrays.size());
    }
    auto model = std::make_unique<fsrcnn_model>();
    model->architecture = a, model->precision = precision, model->name = a.name();
    fsrcnn_engine* engine = nullptr;
    check(fsrcnn_create(FSRCNN_ABI, &network, instruction_set.c_str(), &engine), source);
    model->engine.reset(engine);
    return model;
}

// As many as this process may use.
int32_t all_threads() { return std::max(1, int32_t(std::thread::hardware_concurrency())); }

}  // namespace

fsrcnn_model* fsrcnn_open(const char* path, int32_t precision, const char* instruction_set, fsrcnn_error* error) {
    fsrcnn_model* model = nullptr;
    guarded(error, [&] {
        if (!path) throw Fault{FSRCNN_NULL_POINTER, "the path of the weights is NULL"};
        const std::vector<unsigned char> data = contents(path);
        model = opened(data.data(), data.size(), in_quotes(path, 300), precision, instruction_set).release();
    });
    return model;
}

fsrcnn_model* fsrcnn_open_bytes(const void* data, size_t length, int32_t precision, const char* instruction_set, fsrcnn_error* error) {
    fsrcnn_model* model = nullptr;
    guarded(error, [&] {
        if (!data) throw Fault{FSRCNN_NULL_POINTER, "the bytes of the weights are NULL"};
        model = opened(static_cast<const unsigned char*>(data), length, "the block of bytes", precision, instruction_set).release();
    });
    return model;
}

fsrcnn_facts fsrcnn_describe_model(const fsrcnn_model* model) {
    fsrcnn_facts facts{};
    if (!model) return facts;
    const Architecture& a = model->architecture;
    facts.scale = a.scale, facts.d = a.d, facts.s = a.s, facts.m = a.m, facts.crop = a.crop, facts.halo = a.halo();
    facts.feature_kernel = a.feature_kernel, facts.deconvolution_kernel = a.deconvolution_kernel, facts.precision = model->precision;
    facts.name = model->name.c_str(), facts.description = fsrcnn_describe(model->engine.get());
    return facts;
}

void fsrcnn_close(fsrcnn_model* model) { delete model; }

int32_t fsrcnn_upscale(const fsrcnn_model* model, const fsrcnn_image* lr, const fsrcnn_image* sr, int32_t threads, fsrcnn_control* control,
                       fsrcnn_error* error) {
    return guarded(error, [&] {
        if (!model) throw Fault{FSRCNN_NULL_POINTER, "the model is NULL"};
        if (!lr || !sr) throw Fault{FSRCNN_NULL_POINTER, lr ? "the result is NULL" : "the picture is NULL"};
        if (threads < 0) throw Fault{FSRCNN_BAD_THREADS, "threads is at least 1, or 0 for all, not " + std::to_string(threads)};
        const Pair pair(*lr, *sr, model->architecture.scale);
        check(fsrcnn_run(model->engine.get(), &pair.lr, &pair.sr, lr->height, lr->width, threads ? threads : all_threads(), &pair.colour, control),
              "upscaling " + std::to_string(lr->width) + "×" + std::to_string(lr->height) + " pixels");
    });
}
