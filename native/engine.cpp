// The C ABI: checks what is given, and has a picture's tiles done by the process's threads.
#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "fsrcnn_engine.h"
#include "instruction_sets.h"
#include "packer.h"
#include "plan.h"
#include "pool.h"

using namespace fsrcnn;

#ifdef FSRCNN_STAGES
#include <chrono>
double fsrcnn_stage_time[TIMED_STAGES];
double fsrcnn_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
#endif

namespace {

// What `body` answers, or that memory ran out in it. Where there are no exceptions (wasm.cpp) that ends the program.
template <class Body>
int32_t status_of(Body body) {
#ifdef __cpp_exceptions
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return FSRCNN_NO_MEMORY;
    }
#else
    return body();
#endif
}

struct Block64 {
    alignas(64) char bytes[64];
};
using Scratch = std::vector<Block64>;

// Memory of strips that are not running, for the next. Without a lock, which a fork() in the wrong moment would leave locked.
class IdleScratch {
    std::array<std::atomic<Scratch*>, 64> slots{};

  public:
    ~IdleScratch() {
        for (auto& slot : slots) delete slot.load();
    }

    std::unique_ptr<Scratch> take(size_t bytes) {
        std::unique_ptr<Scratch> found;
        for (auto& slot : slots)
            if (!found && slot.load(std::memory_order_relaxed)) found.reset(slot.exchange(nullptr));
        if (!found || found->size() * 64 < bytes) {
            found.reset();  // the old memory goes before the new comes
            found = std::make_unique<Scratch>((bytes + 63) / 64);
        }
        return found;
    }

    void give(std::unique_ptr<Scratch> scratch) {
        for (auto& slot : slots) {
            Scratch* empty = nullptr;
            if (slot.compare_exchange_strong(empty, scratch.get())) return void(scratch.release());
        }
    }
};

}  // namespace

struct fsrcnn_engine {
    PackedNetwork packed;
    const InstructionSet* isa = nullptr;
    std::string description;
    IdleScratch idle;
};

namespace {

// A call of `fsrcnn_run`: its tiles, taken one by one by whoever is free.
class Call final : public Work {
    fsrcnn_engine& engine;
    const Job& job;
    const Plan& plan;
    fsrcnn_control* const control;
    const size_t bytes;
    std::atomic<int64_t> next{0};
    std::atomic<bool> no_memory{false};

  public:
    Call(fsrcnn_engine& of, const Job& given, const Plan& shares, fsrcnn_control* watched)
        : engine(of), job(given), plan(shares), control(watched), bytes(of.isa->strip_bytes(of.packed.net, given)) {}

    void work(bool in_caller) noexcept override {
        const int32_t status = status_of([&] {
            std::unique_ptr<Scratch> scratch = engine.idle.take(bytes);
            for (int64_t number; !stopped() && (number = next++) < plan.tiles();) {
                const Tile part = tile(plan, job, number);
                engine.isa->run(engine.packed.net, job, part, scratch->data());
                __atomic_add_fetch(&control->done, (part.bottom - part.top) * (part.right - part.left), __ATOMIC_RELAXED);
                if (in_caller) watch();
            }
            engine.idle.give(std::move(scratch));
            return FSRCNN_OK;
        });
        if (status == FSRCNN_NO_MEMORY) no_memory = true;
    }

    void watch() noexcept override {
        if (control->watch && !stopped()) control->watch(control);
    }

    int32_t status() const {
        if (no_memory) return FSRCNN_NO_MEMORY;
        return control->done == job.height * job.width ? FSRCNN_OK : FSRCNN_CANCELLED;
    }

  private:
    bool stopped() const { return no_memory || __atomic_load_n(&control->cancel, __ATOMIC_RELAXED); }
};

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Outputs of the right number, from inputs that are there. A few µs for the taps of a film frame.
bool fits(const fsrcnn_taps& taps, int64_t inputs, int64_t outputs) {
    if (!taps.weights || !taps.indices || taps.length != outputs || taps.taps < 1 || taps.taps > LARGEST_TAPS) return false;
    for (int64_t i = 0; i < outputs; i++) {
        int32_t low = taps.indices[i * taps.taps], high = low;
        for (int t = 1; t < taps.taps; t++) {
            const int32_t index = taps.indices[i * taps.taps + t];
            low = index < low ? index : low, high = index > high ? index : high;
        }
        if (low < 0 || high >= inputs || high - low >= LARGEST_TAPS) return false;
    }
    return true;
}

int32_t fault_of(const fsrcnn_picture& picture, const fsrcnn_colour& colour) {
    if (picture.dtype != FSRCNN_FLOAT32 && picture.dtype != FSRCNN_UINT8 && picture.dtype != FSRCNN_UINT16) return FSRCNN_BAD_DTYPE;
    const double most = picture.dtype == FSRCNN_FLOAT32 ? INFINITY : picture.dtype == FSRCNN_UINT8 ? 255 : 65535;
    if (!(picture.peak > 0 && std::isfinite(picture.peak) && picture.largest > 0 && picture.largest <= most)) return FSRCNN_BAD_RANGE;
    if (picture.planes != colour.colours + colour.alpha) return FSRCNN_BAD_LAYOUT;
    for (int i = 0; i < picture.planes; i++)
        if (!picture.plane[i].data) return FSRCNN_NULL_POINTER;
    return FSRCNN_OK;
}

int32_t fault_of(const fsrcnn_colour& colour, int64_t height, int64_t width, int scale) {
    const bool full_grid = colour.down == 1 && colour.across == 1;
    if (colour.colours != 1 && colour.colours != 3) return FSRCNN_BAD_LAYOUT;
    if (colour.alpha != 0 && colour.alpha != 1) return FSRCNN_BAD_LAYOUT;
    if (colour.kind != FSRCNN_FROM_STUDIO && colour.kind != FSRCNN_FROM_FULL && colour.kind != FSRCNN_FROM_RGB) return FSRCNN_BAD_LAYOUT;
    if (colour.kind == FSRCNN_FROM_RGB && !(colour.colours == 3 && full_grid)) return FSRCNN_BAD_LAYOUT;
    if (colour.down < 1 || colour.across < 1 || colour.down > 4 || colour.across > 4 || (colour.alpha && !full_grid)) return FSRCNN_BAD_LAYOUT;
    if (colour.colours + colour.alpha == 1) return FSRCNN_OK;
    const bool fit = fits(colour.rows, ceil_div(height, colour.down), ceil_div(scale * height, colour.down)) &&
                     fits(colour.columns, ceil_div(width, colour.across), ceil_div(scale * width, colour.across));
    return fit ? FSRCNN_OK : FSRCNN_BAD_TAPS;
}

}  // namespace

int32_t fsrcnn_abi(void) { return FSRCNN_ABI; }

const char* fsrcnn_explain(int32_t status) {
    switch (status) {
        case FSRCNN_OK: return "it is finished";
        case FSRCNN_CANCELLED: return "it was stopped before it was finished";
        case FSRCNN_NO_MEMORY: return "there is not enough memory";
        case FSRCNN_WRONG_ABI: return "the caller was compiled for another version of the library";
        case FSRCNN_UNKNOWN_INSTRUCTION_SET: return "there is no such instruction set here";
        case FSRCNN_NULL_POINTER: return "a pointer is NULL";
        case FSRCNN_BAD_PRECISION: return "there is no such precision";
        case FSRCNN_BAD_ARCHITECTURE: return "there is no network of these numbers of channels, kernels, scale and crop";
        case FSRCNN_BAD_LENGTH: return "the arrays' lengths do not fit the architecture";
        case FSRCNN_BAD_SIZE: return "a picture has 1 to 2^30 pixels each way";
        case FSRCNN_BAD_THREADS: return "threads is at least 1";
        case FSRCNN_BAD_DTYPE: return "samples are float32, uint8 or uint16";
        case FSRCNN_BAD_RANGE: return "peak and largest sample are above 0, and fit the samples";
        case FSRCNN_BAD_LAYOUT: return "there is no such layout of colours, alpha and chroma";
        case FSRCNN_BAD_TAPS: return "the bicubic taps do not fit the picture";
#ifndef __wasm__  // a page reads files and settles colour itself
        case FSRCNN_NO_FILE: return "there is no such file, or it cannot be read";
        case FSRCNN_BAD_FILE: return "it is no weights file of fsrcnn, or damaged";
        case FSRCNN_TOO_WIDE: return "the network is too wide for precision fast";
        case FSRCNN_BAD_FORMAT: return "there is no such format of images, or two of them differ in more than size and depth";
        case FSRCNN_BAD_PLANES: return "the result lies in the memory of the picture, or a plane's strides are of no use";
#endif
        default: return "there is no such status";
    }
}

const char* fsrcnn_instruction_sets(void) {
    static const std::string names = [] {
        std::string text;
        for (const InstructionSet* isa : instruction_sets()) text += (text.empty() ? "" : " ") + std::string(isa->name);
        return text;
    }();
    return names.c_str();
}

int32_t fsrcnn_create(int32_t abi, const fsrcnn_network* given, const char* instruction_set, fsrcnn_engine** engine) {
    if (abi != FSRCNN_ABI) return FSRCNN_WRONG_ABI;
    if (!given || !instruction_set || !engine) return FSRCNN_NULL_POINTER;
    if (const int32_t fault = fault_of(*given)) return fault;
    return status_of([&]() -> int32_t {
        auto made = std::make_unique<fsrcnn_engine>();
        for (const InstructionSet* isa : instruction_sets())
            if (std::string(instruction_set) == isa->name) made->isa = isa;
        if (!made->isa) return FSRCNN_UNKNOWN_INSTRUCTION_SET;
        pack(made->packed, *given, *made->isa);
        made->description = std::string(made->isa->name) + (made->packed.net.fast ? ", 16-bit whole numbers" : ", float32");
        *engine = made.release();
        return FSRCNN_OK;
    });
}

int32_t fsrcnn_run(fsrcnn_engine* engine, const fsrcnn_picture* lr, const fsrcnn_picture* sr, int64_t height, int64_t width, int32_t threads,
                   const fsrcnn_colour* colour, fsrcnn_control* control) {
    static constexpr fsrcnn_colour LUMA{FSRCNN_FROM_STUDIO, 1, 0, 1, 1, 0, 1, {}, {}, {}, {}, {}, {}};
    if (!engine || !lr || !sr) return FSRCNN_NULL_POINTER;
    if (height < 1 || width < 1 || height > 1 << 30 || width > 1 << 30) return FSRCNN_BAD_SIZE;
    if (threads < 1) return FSRCNN_BAD_THREADS;
    if (!colour) colour = &LUMA;
    const Network& net = engine->packed.net;
    if (const int32_t fault = fault_of(*colour, height, width, net.scale)) return fault;
    for (const fsrcnn_picture* picture : {lr, sr})
        if (const int32_t fault = fault_of(*picture, *colour)) return fault;
    fsrcnn_control unwatched{};
    if (!control) control = &unwatched;
    __atomic_store_n(&control->done, 0, __ATOMIC_RELAXED);
    return status_of([&] {
        Job job{*lr, *sr, *colour, height, width, 0, 0, has_hidden(*lr, *colour, height, width)};
        const Plan shares = plan(net, job, threads);
        job.tile_rows = ceil_div(height, shares.bands), job.tile_columns = ceil_div(width, shares.columns);
        Call call(*engine, job, shares, control);
        share(call, shares.threads, !control->watch || shares.small);
        return call.status();
    });
}

const char* fsrcnn_describe(const fsrcnn_engine* engine) { return engine->description.c_str(); }

void fsrcnn_destroy(fsrcnn_engine* engine) { delete engine; }
