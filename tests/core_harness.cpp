// Drives a simulated chip core: the same text around Verilator's model and CXXRTL's.
//
//     harness BEATS RESULT SEED INPUT_STALLS OUTPUT_STALLS RESET_AT AFTER_RESET OUTPUTS PATIENCE
//
// BEATS holds what goes in, in order; after a reset, that from beat AFTER_RESET on. RESULT.in becomes the cycle in which each was taken, RESULT.out what came out, and a line on
// stdout the number of cycles and the pin `error`. The harness is a correct partner: what it offers stays until it is taken, and
// whether it is ready does not depend on what is offered. It holds the core to the same rules, and says on stderr which was broken.
//
// Compiled with PIXELS (of an output beat), OUT_BYTES (of one of them), VERILATOR where the model is Verilator's, and WATCHED: WATCH(name, …)
// for each stream inside the core that can be seen from outside; what passes there goes to RESULT.name, in words of 32 bits.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#ifdef VERILATOR
#include "Core.h"
#include "verilated.h"
#define PIN(name) core.name
#define STREAM(side, name) core.side##_axis_##name
#define INSIDE(name) core.rootp->fsrcnn_core__DOT__##name
#define BYTES(name) sizeof INSIDE(name)
using Core_model = Core;
template <std::size_t WORDS>
void bytes(const VlWide<WORDS>& port, std::uint8_t* to, std::size_t count) {
    std::memcpy(to, port.data(), count);
}
template <class Port>
std::enable_if_t<std::is_integral_v<Port>> bytes(const Port& port, std::uint8_t* to, std::size_t count) {
    std::memcpy(to, &port, count);
}
template <class Port>
std::uint64_t number(const Port& port) {
    return port;
}
template <class Port>
void put(Port& port, std::uint64_t value) {
    port = static_cast<Port>(value);
}
#else
#include "core.cc"
#define PIN(name) core.p_##name
#define STREAM(side, name) core.p_##side##__axis__##name
#define INSIDE(name) core.p_##name
#define BYTES(name) sizeof value_of(INSIDE(name)).data
using Core_model = cxxrtl_design::p_fsrcnn__core;
template <std::size_t BITS>
const cxxrtl::value<BITS>& value_of(const cxxrtl::value<BITS>& port) {
    return port;
}
template <std::size_t BITS>
const cxxrtl::value<BITS>& value_of(const cxxrtl::wire<BITS>& port) {
    return port.curr;
}
template <class Port>
void bytes(const Port& port, std::uint8_t* to, std::size_t count) {
    std::memcpy(to, value_of(port).data, count);
}
template <class Port>
std::uint64_t number(const Port& port) {
    return value_of(port).template get<std::uint64_t>();
}
template <class Port>
void put(Port& port, std::uint64_t value) {
    port.template set<std::uint64_t>(value);
}
#endif

#define WATCH(name, valid, ready, data)                                                   \
    {                                                                                     \
        static std::FILE* file = opened(arguments[2], "." #name);                         \
        if (reset) {                                                                      \
            std::fclose(file);                                                            \
            file = opened(arguments[2], "." #name);                                       \
        } else if (number(INSIDE(valid)) && number(INSIDE(ready))) {                      \
            std::uint8_t passing[(sizeof INSIDE(data) + 3) / 4 * 4] = {};                 \
            bytes(INSIDE(data), passing, BYTES(data));                                    \
            std::fwrite(passing, (BYTES(data) + 3) / 4 * 4, 1, file);                     \
        }                                                                                 \
    }

namespace {

struct Beat {  // as tests/simulators.py writes it
    std::uint16_t width, height, data;
    std::uint8_t last, user;
};
static_assert(sizeof(Beat) == 8);

struct Output {
    std::uint64_t keep = 0;
    std::uint32_t cycle = 0;
    std::uint8_t last = 0, user = 0;
    std::uint8_t data[PIXELS * OUT_BYTES] = {};

    bool differs(const Output& other) const {
        return keep != other.keep || last != other.last || user != other.user ||
               std::memcmp(data, other.data, sizeof data) != 0;
    }
};

// Whether a side of a stream pauses: now and then for a few cycles, rarely for long.
class Stalls {
public:
    Stalls(std::uint64_t seed, double probability) : generator_(seed), probability_(probability) {}

    bool stalled() {
        if (left_ > 0) {
            --left_;
            return true;
        }
        if (std::uniform_real_distribution<>(0, 1)(generator_) >= probability_) return false;
        left_ = generator_() % 16 ? generator_() % 3 : generator_() % 64;
        return true;
    }

private:
    std::mt19937_64 generator_;
    double probability_;
    std::uint64_t left_ = 0;
};

std::vector<Beat> beats_of(const char* path) {
    std::vector<Beat> beats;
    std::FILE* file = std::fopen(path, "rb");
    if (file == nullptr) std::abort();
    for (Beat beat; std::fread(&beat, sizeof beat, 1, file) == 1;) beats.push_back(beat);
    std::fclose(file);
    return beats;
}

[[noreturn]] void complain(const char* what, long cycle) {
    std::fprintf(stderr, "cycle %ld: %s\n", cycle, what);
    std::exit(3);
}

std::FILE* opened(const char* path, const char* ending) {
    char name[4096];
    std::snprintf(name, sizeof name, "%s%s", path, ending);
    std::FILE* file = std::fopen(name, "wb");
    if (file == nullptr) std::abort();
    return file;
}

}  // namespace

int main(int, char** arguments) {
    const std::vector<Beat> beats = beats_of(arguments[1]);
    const std::uint64_t seed = std::strtoull(arguments[3], nullptr, 10);
    Stalls before(seed * 2 + 1, std::atof(arguments[4])), behind(seed * 2 + 2, std::atof(arguments[5]));
    const long reset_at = std::atol(arguments[6]), outputs = std::atol(arguments[8]), patience = std::atol(arguments[9]);
    const std::size_t after_reset = std::strtoull(arguments[7], nullptr, 10);
    const long reset_cycles = 2 - static_cast<long>(seed % 2);
    constexpr long AFTERWARDS = 64;  // cycles in which nothing more may come out

#ifdef VERILATOR
    VerilatedContext context;
    context.randReset(2);  // what no reset reaches begins with noise
    context.randSeed(static_cast<int>(seed % 1000000 + 1));
    Core_model core{&context};
    const auto evaluate = [&] { core.eval(); };
#else
    Core_model core;
    const auto evaluate = [&] { core.step(); };
#endif

    std::vector<std::uint32_t> taken;
    std::vector<Output> given;
    bool offered = false, waited = false;  // an input beat since an earlier cycle; an output beat that was not taken
    Output waiting;
    long cycle = 0, idle = 0, resetting = reset_cycles;
    std::size_t begun = 0;  // the beat with which it began, or began again
    for (;; ++cycle) {
        if (cycle == reset_at) {
            resetting = reset_cycles;
            begun = after_reset;
            taken.clear();
            given.clear();
        }
        const bool reset = resetting > 0;
        const bool held = before.stalled(), ready = !behind.stalled() && !reset;
        if (reset) {
            offered = false;
        } else if (!offered) {
            offered = begun + taken.size() < beats.size() && !held;
        }
        put(PIN(clk), 0);
        put(PIN(rst), reset);
        put(STREAM(s, tvalid), offered);
        put(STREAM(m, tready), ready);
        if (offered) {
            const Beat& beat = beats[begun + taken.size()];
            put(PIN(width), beat.width);
            put(PIN(height), beat.height);
            put(STREAM(s, tdata), beat.data);
            put(STREAM(s, tlast), beat.last);
            put(STREAM(s, tuser), beat.user);
        } else {  // noise: what is not valid does not count
            put(STREAM(s, tdata), cycle * 37 & 0xff);
            put(STREAM(s, tlast), cycle >> 1 & 1);
            put(STREAM(s, tuser), cycle >> 2 & 1);
        }
        evaluate();

        ++idle;
        if (reset) {
            // The reset is synchronous: before its first clock edge, and after none at all, the core may say anything.
            if (resetting < reset_cycles && number(STREAM(m, tvalid))) complain("m_axis_tvalid is high in reset", cycle);
            waited = false;
            idle = 0;
            --resetting;
        } else {
            Output output;
            output.cycle = static_cast<std::uint32_t>(cycle);
            output.keep = number(STREAM(m, tkeep));
            output.last = static_cast<std::uint8_t>(number(STREAM(m, tlast)));
            output.user = static_cast<std::uint8_t>(number(STREAM(m, tuser)));
            bytes(STREAM(m, tdata), output.data, sizeof output.data);
            const bool valid = number(STREAM(m, tvalid)) != 0;
            if (waited && !valid) complain("m_axis_tvalid fell before m_axis_tready had come", cycle);
            if (waited && output.differs(waiting)) complain("a beat changed while it waited for m_axis_tready", cycle);
            waited = valid && !ready;
            waiting = output;
            if (valid && ready) {
                given.push_back(output);
                idle = 0;
            }
            if (offered && number(STREAM(s, tready))) {
                taken.push_back(static_cast<std::uint32_t>(cycle));
                offered = false;
                idle = 0;
            }
        }
#ifdef WATCHED
        WATCHED
#endif
        put(PIN(clk), 1);
        evaluate();
        if (outputs >= 0 && given.size() > static_cast<std::size_t>(outputs)) complain("more beats than expected", cycle);
        const bool all = begun + taken.size() == beats.size() && given.size() == static_cast<std::size_t>(outputs);
        if (all && idle >= AFTERWARDS && cycle > reset_at) break;
        if (idle >= patience) {
            if (outputs < 0) break;
            std::fprintf(stderr, "%zu of %zu beats in, %zu of %ld out, ", begun + taken.size(), beats.size(), given.size(), outputs);
            complain("and nothing has moved for long", cycle);
        }
    }

    std::FILE* file = opened(arguments[2], ".in");
    std::fwrite(taken.data(), sizeof taken[0], taken.size(), file);
    std::fclose(file);
    file = opened(arguments[2], ".out");
    for (const Output& output : given) {
        std::fwrite(&output.keep, sizeof output.keep, 1, file);
        std::fwrite(&output.cycle, sizeof output.cycle, 1, file);
        std::fwrite(&output.last, 1, 1, file);
        std::fwrite(&output.user, 1, 1, file);
        std::fwrite(output.data, 1, sizeof output.data, file);
    }
    std::fclose(file);
    std::printf("%ld %d\n", cycle + 1, static_cast<int>(number(PIN(error))));
    return 0;
}
