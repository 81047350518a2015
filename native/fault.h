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

// A name out of a file in quotes, as a terminal may show it: without control characters, and only so many bytes of it.
inline std::string in_quotes(const std::string& name, size_t most = 60) {
    std::string shown;
    for (const char letter : name.substr(0, most)) shown += static_cast<unsigned char>(letter) < 32 || letter == 127 ? '?' : letter;
    if (name.size() <= most) return "'" + shown + "'";
    while (!shown.empty() && (shown.back() & 0xC0) == 0x80) shown.pop_back();  // no half of a letter in UTF-8
    if (!shown.empty() && (shown.back() & 0x80)) shown.pop_back();
    return "'" + shown + "…'";
}

}  // namespace fsrcnn
