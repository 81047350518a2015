// A reader of JSON (RFC 8259) that knows what comes next: whoever reads says "an object", "a text", "a whole number", and anything else is
// a fault. So nothing nests deeper than the caller does, nothing is built that nobody asked for, and a hostile file costs its length.
#pragma once

#include <cstdint>
#include <string>

namespace fsrcnn {

class Json {
    const char* at;
    const char* const end;

  public:
    // Thrown where the text is something else; the owner of the file says so to the user.
    struct Unexpected {};

    Json(const char* from, const char* to) : at(from), end(to) {}

    // member(key) reads the value behind each key. A key that comes twice is the caller's to refuse.
    template <class Member>
    void object(Member member) {
        if (take('{'), skip('}')) return;
        do {
            const std::string key = text();
            take(':');
            member(key);
        } while (skip(','));
        take('}');
    }

    // element() reads each value.
    template <class Element>
    void array(Element element) {
        if (take('['), skip(']')) return;
        do element();
        while (skip(','));
        take(']');
    }

    // A string in valid UTF-8, its escapes resolved.
    std::string text();

    // A number without fraction and exponent, of at most 18 digits.
    int64_t whole();

    // Nothing but spaces is left.
    void finish() {
        spaces();
        if (at != end) throw Unexpected{};
    }

  private:
    void spaces() {
        while (at != end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    }
    bool skip(char expected) {
        spaces();
        if (at == end || *at != expected) return false;
        at++;
        return true;
    }
    void take(char expected) {
        if (!skip(expected)) throw Unexpected{};
    }
    unsigned char next() {
        if (at == end) throw Unexpected{};
        return static_cast<unsigned char>(*at++);
    }
    uint32_t hexadecimal();
    void escaped(std::string& into);
    void encoded(unsigned char first, std::string& into);
};

}  // namespace fsrcnn
