// Enlarges a film in C++17, YUV4MPEG2 from standard input to standard output, frame by frame:
//
//     c++ -std=c++17 upscale_y4m.cpp -o upscale_y4m $(pkg-config --cflags --libs fsrcnn)
//     ffmpeg -i film.mkv -f yuv4mpegpipe -strict -1 - | ./upscale_y4m fsrcnn-x2.safetensors | ffplay -
#include <fsrcnn.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

// A network, closed where its owner goes; errors are exceptions.
class Model {
    std::unique_ptr<fsrcnn_model, void (*)(fsrcnn_model*)> handle;

  public:
    explicit Model(const std::string& path, fsrcnn_precision precision = FSRCNN_EXACT) : handle(nullptr, fsrcnn_close) {
        fsrcnn_error error;
        handle.reset(fsrcnn_open(path.c_str(), precision, nullptr, &error));
        if (!handle) throw std::runtime_error(error.text);
    }

    int scale() const { return fsrcnn_describe_model(handle.get()).scale; }

    void upscale(const fsrcnn_image& lr, const fsrcnn_image& sr) const {
        fsrcnn_error error;
        if (fsrcnn_upscale(handle.get(), &lr, &sr, 0, nullptr, &error) != FSRCNN_OK) throw std::runtime_error(error.text);
    }
};

// The samples of a frame, plane by plane.
class Frame {
    std::vector<char> memory;

  public:
    fsrcnn_image image;

    Frame(const fsrcnn_format& format, int64_t width, int64_t height)
        : memory(fsrcnn_bytes(format, width, height)), image(fsrcnn_planar(format, width, height, memory.data())) {
        if (memory.empty()) throw std::runtime_error("the header says no size of a frame");
    }
    bool read(std::istream& in) { return bool(in.read(memory.data(), std::streamsize(memory.size()))); }
    void write(std::ostream& out) const { out.write(memory.data(), std::streamsize(memory.size())); }
};

// What Y4M calls a colour space: 420jpeg, 420mpeg2, 422p10, mono … .
fsrcnn_format format_of(const std::string& name, bool full_range) {
    const std::string layout = name.substr(0, 3), rest = name.size() > 3 ? name.substr(3) : "";
    fsrcnn_format format = {FSRCNN_YUV420, 8, full_range ? FSRCNN_FULL_RANGE : FSRCNN_LIMITED_RANGE, FSRCNN_BT709, FSRCNN_LEFT};
    if (layout == "422") format.layout = FSRCNN_YUV422;
    else if (layout == "444") format.layout = FSRCNN_YUV444;
    else if (name == "mono") format.layout = FSRCNN_GRAY;
    else if (layout != "420") throw std::runtime_error("there is no colour space " + name + " here; 420, 422, 444 and mono are");
    if (rest == "jpeg") format.siting = FSRCNN_CENTER;
    if (rest == "p10" || rest == "p12" || rest == "p14" || rest == "p16") format.depth = std::stoi(rest.substr(1));
    else if (name != "mono" && !rest.empty() && rest != "jpeg" && rest != "mpeg2" && rest != "paldv")
        throw std::runtime_error("there is no colour space " + name + " here");
    return format;
}

int main(int argc, char** argv) try {
    if (argc != 2) return std::cerr << "usage: upscale_y4m WEIGHTS.safetensors < INPUT > OUTPUT\n", 2;
    std::ios::sync_with_stdio(false);
    const Model model(argv[1]);
    std::string header, tag, name = "420jpeg", line, larger = "YUV4MPEG2";
    int64_t width = 0, height = 0;
    if (!std::getline(std::cin, header) || header.compare(0, 9, "YUV4MPEG2") != 0) throw std::runtime_error("this is no YUV4MPEG2");
    const bool full_range = header.find(" XCOLORRANGE=FULL") != std::string::npos;
    for (std::istringstream tags(header.substr(9)); tags >> tag;) {
        const std::string value = tag.substr(1);
        if (tag[0] == 'W') width = std::stoll(value), tag = "W" + std::to_string(width * model.scale());
        if (tag[0] == 'H') height = std::stoll(value), tag = "H" + std::to_string(height * model.scale());
        if (tag[0] == 'C') name = value;
        if (tag[0] == 'I' && value != "p" && value != "?") throw std::runtime_error("the film is interlaced: deinterlace it first");
        larger += " " + tag;
    }
    const fsrcnn_format format = format_of(name, full_range);
    Frame lr(format, width, height), sr(format, width * model.scale(), height * model.scale());
    std::cout << larger << "\n";
    while (std::getline(std::cin, line)) {
        if (line.compare(0, 5, "FRAME") != 0 || !lr.read(std::cin)) throw std::runtime_error("the film is cut short");
        model.upscale(lr.image, sr.image);
        std::cout << line << "\n";
        sr.write(std::cout);
    }
    return std::cout.flush() ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << "upscale_y4m: " << error.what() << "\n";
    return 1;
}
