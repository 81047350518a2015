// The VapourSynth plugin (API 4): core.fsrcnn.Upscale(clip, model="fsrcnn", scale=2, precision="exact", threads=1), by the C library.
#include <VSHelper4.h>
#include <VapourSynth4.h>
#include <fsrcnn.h>

#include <cstdio>
#include <memory>
#include <string>

namespace {

struct Close {
    void operator()(fsrcnn_model* model) const { fsrcnn_close(model); }
};

// A filter: read-only once it is made, so that frames may be computed at the same time.
struct Upscale {
    const VSAPI* api;
    VSNode* node = nullptr;
    VSVideoInfo video{};  // of the result
    std::unique_ptr<fsrcnn_model, Close> model;
    int scale = 2, threads = 1;

    explicit Upscale(const VSAPI* given) : api(given) {}
    ~Upscale() { api->freeNode(node); }
};

// What is wrong, as a sentence for the person who wrote the script.
struct Fault {
    std::string text;
};

std::string name_of(const VSVideoFormat& format, const VSAPI* api) {
    char name[32];
    return api->getVideoFormatName(&format, name) ? name : "unknown";
}

// The layout of a clip, in the words of the C library.
int32_t layout_of(const VSVideoFormat& format, const VSAPI* api) {
    const std::string name = name_of(format, api);
    if (format.sampleType == stFloat && format.bitsPerSample != 32)
        throw Fault{"half floats are not taken, but the clip is " + name + "; give resize.Bicubic(clip, format=...) of 8 to 16 bits or 32-bit float"};
    if (format.sampleType == stInteger && (format.bitsPerSample < 8 || format.bitsPerSample > 16))
        throw Fault{"a clip has 8 to 16 bits or 32-bit float, but this one is " + name};
    if (format.colorFamily == cfGray) return FSRCNN_GRAY;
    if (format.colorFamily == cfRGB) return FSRCNN_RGB;
    if (format.colorFamily == cfYUV && format.subSamplingW == format.subSamplingH && format.subSamplingW <= 1)
        return format.subSamplingW ? FSRCNN_YUV420 : FSRCNN_YUV444;
    if (format.colorFamily == cfYUV && format.subSamplingW == 1 && format.subSamplingH == 0) return FSRCNN_YUV422;
    throw Fault{"a clip is GRAY, RGB, or YUV of 4:4:4, 4:2:2 or 4:2:0, but this one is " + name + "; give resize.Bicubic(clip, format=...) of these"};
}

// A property of a frame, or what stands for one that is not set.
int property(const VSMap* properties, const char* name, int otherwise, const VSAPI* api) {
    int failed = 0;
    const int found = api->mapGetIntSaturated(properties, name, 0, &failed);
    return failed ? otherwise : found;
}

// VapourSynth's floats have black at 0 and white at 1 in any range, chroma around 0, and are never clipped. Where nothing is said, YUV and
// gray are of limited range, as for VapourSynth's own resize.
int32_t range_of(const VSVideoFormat& format, const VSMap* properties, const VSAPI* api) {
    const bool rgb = format.colorFamily == cfRGB;
    const int older = property(properties, "_ColorRange", rgb ? 0 : 1, api);  // 0: full; R80 has _Range, of which 1 is full
    const bool full = property(properties, "_Range", older == 0, api) == 1;
    if (format.sampleType == stFloat) return FSRCNN_FREE_RANGE;
    if (rgb && !full) throw Fault{"RGB of limited range is not taken; give resize.Bicubic(clip, range_s=\"full\")"};
    return full ? FSRCNN_FULL_RANGE : FSRCNN_LIMITED_RANGE;
}

int32_t siting_of(const VSVideoFormat& format, const VSMap* properties, const VSAPI* api) {
    const int location = property(properties, "_ChromaLocation", 0, api);
    if (format.colorFamily != cfYUV || (!format.subSamplingW && !format.subSamplingH)) return FSRCNN_LEFT;
    // Of 4:2:2 only the columns matter: left, top left and bottom left are the same.
    if (format.subSamplingH == 0) return location == 1 || location == 3 || location == 5 ? FSRCNN_CENTER : FSRCNN_LEFT;
    if (location < 0 || location > 2)
        throw Fault{"chroma of 4:2:0 lies left, center or top left (_ChromaLocation 0, 1, 2), not " + std::to_string(location) +
                    "; give resize.Bicubic(clip, chromaloc_s=\"left\")"};
    return location == 0 ? FSRCNN_LEFT : location == 1 ? FSRCNN_CENTER : FSRCNN_TOP_LEFT;
}

// Matrices count only where RGB is computed with luma, and there BT.601 is what the networks were trained on.
fsrcnn_format format_of(const VSFrame* frame, const VSAPI* api) {
    const VSVideoFormat& format = *api->getVideoFrameFormat(frame);
    const VSMap* properties = api->getFramePropertiesRO(frame);
    if (property(properties, "_FieldBased", 0, api) > 0)
        throw Fault{"the frame is interlaced (_FieldBased); deinterlace before, or give std.SetFieldBased(clip, 0) if it is not"};
    return {layout_of(format, api), format.bitsPerSample, range_of(format, properties, api), FSRCNN_BT601, siting_of(format, properties, api)};
}

// VapourSynth's planes of RGB have the library's order: R, G, B.
fsrcnn_image image_of(fsrcnn_format format, const VSFrame* frame, VSFrame* writable, const VSAPI* api) {
    fsrcnn_image image{format, api->getFrameWidth(frame, 0), api->getFrameHeight(frame, 0), {}};
    for (int plane = 0; plane < api->getVideoFrameFormat(frame)->numPlanes; plane++) {
        image.plane[plane].data = writable ? api->getWritePtr(writable, plane) : const_cast<uint8_t*>(api->getReadPtr(frame, plane));
        image.plane[plane].row_stride = api->getStride(frame, plane);
    }
    return image;
}

const VSFrame* enlarged(const Upscale& filter, const VSFrame* lr_frame, VSCore* core) {
    const VSAPI* api = filter.api;
    VSFrame* sr_frame = api->newVideoFrame(&filter.video.format, filter.video.width, filter.video.height, lr_frame, core);
    api->mapDeleteKey(api->getFramePropertiesRW(sr_frame), "_Alpha");  // of the old size
    try {
        const fsrcnn_format format = format_of(lr_frame, api);
        const fsrcnn_image lr = image_of(format, lr_frame, nullptr, api), sr = image_of(format, sr_frame, sr_frame, api);
        fsrcnn_error error;
        if (fsrcnn_upscale(filter.model.get(), &lr, &sr, filter.threads, nullptr, &error)) throw Fault{error.text};
    } catch (...) {
        api->freeFrame(sr_frame);
        throw;
    }
    return sr_frame;
}

const VSFrame* VS_CC get_frame(int number, int reason, void* instance, void**, VSFrameContext* context, VSCore* core, const VSAPI* api) {
    const Upscale& filter = *static_cast<const Upscale*>(instance);
    if (reason == arInitial) api->requestFrameFilter(number, filter.node, context);
    if (reason != arAllFramesReady) return nullptr;
    const VSFrame* lr = api->getFrameFilter(number, filter.node, context);
    const VSFrame* sr = nullptr;
    try {
        sr = enlarged(filter, lr, core);
    } catch (const Fault& fault) {
        api->setFilterError(("fsrcnn.Upscale: frame " + std::to_string(number) + ": " + fault.text).c_str(), context);
    } catch (const std::exception& error) {
        api->setFilterError((std::string("fsrcnn.Upscale: ") + error.what()).c_str(), context);
    }
    api->freeFrame(lr);
    return sr;
}

void VS_CC free_filter(void* instance, VSCore*, const VSAPI*) { delete static_cast<Upscale*>(instance); }

std::string text_of(const VSMap* in, const char* name, const char* otherwise, const VSAPI* api) {
    int failed = 0;
    const char* found = api->mapGetData(in, name, 0, &failed);
    return failed ? otherwise : std::string(found, size_t(api->mapGetDataSize(in, name, 0, nullptr)));
}

bool exists(const std::string& path) {
    FILE* file = std::fopen(path.c_str(), "rb");
    return file && std::fclose(file) == 0;
}

// A weights file for what a script calls its model: a path, or the name of a family (fsrcnn, fsrcnn-s, fsrcnn-photo …), whose files lie in
// the folder fsrcnn-models beside the plugin.
std::string weights_file(const std::string& model, int64_t scale, VSCore* core, const VSAPI* api) {
    const std::string ending = ".safetensors";
    const bool ends = model.size() >= ending.size() && model.compare(model.size() - ending.size(), ending.size(), ending) == 0;
    if (ends || model.find_first_of("/\\") != std::string::npos) return model;
    const std::string plugin = api->getPluginPath(api->getPluginByID("io.fsrcnn.upscale", core));
    const size_t slash = plugin.find_last_of("/\\");
    const std::string folder = (slash == std::string::npos ? "." : plugin.substr(0, slash)) + "/fsrcnn-models";
    const std::string path = folder + "/" + model + "-x" + std::to_string(scale) + ending;
    if (!exists(path))
        throw Fault{"there is no model '" + model + "' at scale " + std::to_string(scale) + " in " + folder + "; give a name that is, or a path that ends in " + ending};
    return path;
}

void make(const VSMap* in, VSMap* out, VSCore* core, const VSAPI* api) {
    auto filter = std::make_unique<Upscale>(api);
    filter->node = api->mapGetNode(in, "clip", 0, nullptr);
    filter->video = *api->getVideoInfo(filter->node);
    if (!filter->video.width || !filter->video.height || filter->video.format.colorFamily == cfUndefined)
        throw Fault{"a clip whose size or format changes is not taken; give resize.Bicubic(clip, width, height, format=...)"};
    layout_of(filter->video.format, api);

    int no_scale = 0, no_threads = 0;
    const int64_t scale = api->mapGetInt(in, "scale", 0, &no_scale), threads = api->mapGetInt(in, "threads", 0, &no_threads);
    const std::string precision = text_of(in, "precision", "exact", api), model = text_of(in, "model", "fsrcnn", api);
    if (!no_scale && (scale < 2 || scale > 4)) throw Fault{"scale is 2, 3 or 4, not " + std::to_string(scale)};
    if (precision != "exact" && precision != "fast") throw Fault{"precision is \"exact\" or \"fast\", not \"" + precision + "\""};
    if (!no_threads && (threads < 1 || threads > 1024)) throw Fault{"threads is 1 to 1024, not " + std::to_string(threads)};
    fsrcnn_error error;
    filter->model.reset(fsrcnn_open(weights_file(model, no_scale ? 2 : scale, core, api).c_str(), precision == "fast" ? FSRCNN_FAST : FSRCNN_EXACT, nullptr, &error));
    if (!filter->model) throw Fault{error.text};
    filter->scale = fsrcnn_describe_model(filter->model.get()).scale;
    if (!no_scale && filter->scale != scale)
        throw Fault{model + " is of scale " + std::to_string(filter->scale) + ", not " + std::to_string(scale)};
    if (!no_threads) filter->threads = int(threads);
    constexpr int MOST = 1 << 24;
    if (filter->video.width > MOST || filter->video.height > MOST) throw Fault{"the clip is too large"};
    filter->video.width *= filter->scale;
    filter->video.height *= filter->scale;

    // VapourSynth computes as many frames at a time as it has threads: with a thread for each none is too much. Where a frame has several,
    // it is the only one.
    const VSFilterDependency dependency = {filter->node, rpStrictSpatial};
    const VSVideoInfo video = filter->video;
    const int mode = filter->threads == 1 ? fmParallel : fmParallelRequests;
    api->createVideoFilter(out, "Upscale", &video, get_frame, free_filter, mode, &dependency, 1, filter.release(), core);
}

void VS_CC create(const VSMap* in, VSMap* out, void*, VSCore* core, const VSAPI* api) {
    try {
        make(in, out, core, api);
    } catch (const Fault& fault) {
        api->mapSetError(out, ("fsrcnn.Upscale: " + fault.text).c_str());
    } catch (const std::exception& error) {
        api->mapSetError(out, (std::string("fsrcnn.Upscale: ") + error.what()).c_str());
    }
}

}  // namespace

VS_EXTERNAL_API(void) VapourSynthPluginInit2(VSPlugin* plugin, const VSPLUGINAPI* api) {
    api->configPlugin("io.fsrcnn.upscale", "fsrcnn", "FSRCNN super-resolution", VS_MAKE_VERSION(1, 0), VAPOURSYNTH_API_VERSION, 0, plugin);
    api->registerFunction("Upscale", "clip:vnode;model:data:opt;scale:int:opt;precision:data:opt;threads:int:opt;", "clip:vnode;", create, nullptr, plugin);
}
