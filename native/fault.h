// What is wrong with what a caller gave: thrown within the library, and turned into an fsrcnn_error before it would leave it (model.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace fsrcnn {

struct Fault {
    int32_t status;    // of enum fsrcnn_status
    std::string text;  // a sentence
};

// Bytes of the letter in UTF-8 at a place of a text; 0 where there is none.
inline size_t letter_bytes(const std::string& text, size_t at) {
    const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
    const unsigned first = byte(0), second = byte(1);
    const size_t count = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < count; i++)
        if ((byte(i) & 0xC0) != 0x80) return 0;
    const bool longer = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);  // than need be
    const bool beyond = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);  // what Unicode has
    return longer || beyond ? 0 : count;
}

// A name in quotes, as a terminal may show it: in UTF-8, without control characters, and only so many bytes of it.
inline std::string in_quotes(const std::string& name, size_t most = 60) {
    std::string shown;
    for (size_t at = 0, count; at < name.size(); at += count ? count : 1) {
        count = letter_bytes(name, at);
        if (shown.size() + count > most) return "'" + shown + "…'";
        const bool showable = count > 1 || (count == 1 && name[at] >= 32 && name[at] != 127);
        shown += showable ? name.substr(at, count) : "?";
    }
    return "'" + shown + "'";
}

}  // namespace fsrcnn
