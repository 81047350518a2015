#include "json.h"

namespace fsrcnn {

int64_t Json::whole() {
    const bool negative = skip('-');
    if (at == end || *at < '0' || *at > '9') throw Unexpected{};
    if (*at == '0' && at + 1 != end && at[1] >= '0' && at[1] <= '9') throw Unexpected{};
    int64_t value = 0;
    for (int digits = 0; at != end && *at >= '0' && *at <= '9'; at++) {
        if (++digits > 18) throw Unexpected{};
        value = 10 * value + (*at - '0');
    }
    if (at != end && (*at == '.' || *at == 'e' || *at == 'E')) throw Unexpected{};
    return negative ? -value : value;
}

std::string Json::text() {
    take('"');
    std::string found;
    for (unsigned char letter; (letter = next()) != '"';) {
        if (letter < 0x20) throw Unexpected{};
        if (letter == '\\') escaped(found);
        else if (letter < 0x80) found += char(letter);
        else encoded(letter, found);
    }
    return found;
}

uint32_t Json::hexadecimal() {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned char letter = next();
        const bool digit = letter >= '0' && letter <= '9', small = letter >= 'a' && letter <= 'f', large = letter >= 'A' && letter <= 'F';
        if (!digit && !small && !large) throw Unexpected{};
        value = 16 * value + uint32_t(digit ? letter - '0' : small ? letter - 'a' + 10 : letter - 'A' + 10);
    }
    return value;
}

void Json::escaped(std::string& into) {
    const unsigned char letter = next();
    switch (letter) {
        case '"': case '\\': case '/': into += char(letter); return;
        case 'b': into += '\b'; return;
        case 'f': into += '\f'; return;
        case 'n': into += '\n'; return;
        case 'r': into += '\r'; return;
        case 't': into += '\t'; return;
        case 'u': break;
        default: throw Unexpected{};
    }
    uint32_t code = hexadecimal();
    if (code >= 0xDC00 && code < 0xE000) throw Unexpected{};  // the second half of a pair, alone
    if (code >= 0xD800 && code < 0xDC00) {
        if (next() != '\\' || next() != 'u') throw Unexpected{};
        const uint32_t second = hexadecimal();
        if (second < 0xDC00 || second >= 0xE000) throw Unexpected{};
        code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
    }
    if (code < 0x80) into += char(code);
    else if (code < 0x800) into += {char(0xC0 | code >> 6), char(0x80 | (code & 63))};
    else if (code < 0x10000) into += {char(0xE0 | code >> 12), char(0x80 | (code >> 6 & 63)), char(0x80 | (code & 63))};
    else into += {char(0xF0 | code >> 18), char(0x80 | (code >> 12 & 63)), char(0x80 | (code >> 6 & 63)), char(0x80 | (code & 63))};
}

// The bytes of one letter beyond ASCII: neither cut short, nor longer than need be, nor half of a pair of UTF-16.
void Json::encoded(unsigned char first, std::string& into) {
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4) throw Unexpected{};
    into += char(first);
    for (int i = 0; i < more; i++) {
        const unsigned char letter = next();
        const unsigned char lowest = i > 0 ? 0x80 : first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
        const unsigned char highest = i > 0 ? 0xBF : first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
        if (letter < lowest || letter > highest) throw Unexpected{};
        into += char(letter);
    }
}

}  // namespace fsrcnn
