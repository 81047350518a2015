/* FSRCNN super-resolution for C, and for whatever calls C: open a network from a file of weights, enlarge pictures, close it.
 *
 *     fsrcnn_error error;
 *     fsrcnn_model* model = fsrcnn_open("fsrcnn-x2.safetensors", FSRCNN_EXACT, NULL, &error);
 *     if (!model) return puts(error.text), 1;
 *     const fsrcnn_format rgb8 = {FSRCNN_RGB, 8, FSRCNN_FULL_RANGE, FSRCNN_BT601, FSRCNN_LEFT};
 *     const fsrcnn_image lr = fsrcnn_packed(rgb8, width, height, pixels);
 *     const fsrcnn_image sr = fsrcnn_packed(rgb8, 2 * width, 2 * height, malloc(fsrcnn_bytes(rgb8, 2 * width, 2 * height)));
 *     if (fsrcnn_upscale(model, &lr, &sr, 0, NULL, &error)) puts(error.text);
 *     fsrcnn_close(model);
 *
 * Luma goes through the network, chroma and alpha are interpolated bicubically: the bytes are those of the Python package's native engine.
 * A function that can fail answers NULL or a status that is not FSRCNN_OK (0), and says why in an fsrcnn_error. No C++ exception leaves it.
 * A model is never changed: any number of threads may use it at once. docs/c-library.md says more.
 */
#ifndef FSRCNN_H
#define FSRCNN_H

#include <stddef.h>
#include <stdint.h>

#if !defined(_WIN32)
#define FSRCNN_API __attribute__((visibility("default")))
#elif defined(FSRCNN_STATIC) /* the caller links the static library */
#define FSRCNN_API
#elif defined(FSRCNN_BUILDING)
#define FSRCNN_API __declspec(dllexport)
#else
#define FSRCNN_API __declspec(dllimport)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the binary interface of this header and of fsrcnn_engine.h. It grows when a program that was compiled with the older
 * header would not run: a struct, a function's arguments, or the meaning of a number has changed. New functions, new statuses and new
 * values of an enum (which older callers never send) come without it. The shared library's name ends with it (libfsrcnn.so.2), so that
 * two can lie side by side; who loads the library by hand compares it with fsrcnn_abi(). 1 had no number. */
#define FSRCNN_ABI 2

enum fsrcnn_precision {
    FSRCNN_EXACT = 0, /* sums in float32, within 1e-5 of the definition */
    FSRCNN_FAST = 1   /* 16-bit whole numbers: the same bytes on every processor */
};

/* fsrcnn_explain() has a sentence for each. */
enum fsrcnn_status {
    FSRCNN_OK = 0,
    FSRCNN_CANCELLED = 1,
    FSRCNN_NO_MEMORY = 2,
    FSRCNN_WRONG_ABI = 3,
    FSRCNN_UNKNOWN_INSTRUCTION_SET = 4,
    FSRCNN_NULL_POINTER = 5,
    FSRCNN_BAD_PRECISION = 6,
    FSRCNN_BAD_ARCHITECTURE = 7,
    FSRCNN_BAD_LENGTH = 8,
    FSRCNN_BAD_SIZE = 9,
    FSRCNN_BAD_THREADS = 10,
    FSRCNN_BAD_DTYPE = 11,
    FSRCNN_BAD_RANGE = 12,
    FSRCNN_BAD_LAYOUT = 13,
    FSRCNN_BAD_TAPS = 14,
    FSRCNN_NO_FILE = 15,    /* it is not there, or cannot be read */
    FSRCNN_BAD_FILE = 16,   /* it is no weights file of fsrcnn, or damaged */
    FSRCNN_TOO_WIDE = 17,   /* the network is too wide for FSRCNN_FAST */
    FSRCNN_BAD_FORMAT = 18, /* an image's format does not exist, or the two differ in more than size and depth */
    FSRCNN_BAD_PLANES = 19  /* a plane has no stride, or the result lies in the picture's memory */
};

/* Sample (row, column) of a plane lies at data + row * row_stride + column * column_stride: strides in bytes, also negative, in any
 * alignment. Packed RGB is three planes with a column stride of three samples. */
typedef struct {
    void* data;
    int64_t row_stride, column_stride;
} fsrcnn_plane;

/* How a call is watched and stopped; all zeros will do. `done` and `cancel` may be used from any thread while it runs. */
typedef struct fsrcnn_control {
    int64_t done;   /* LR pixels so far; the call sets it to 0 first */
    int32_t cancel; /* not 0: stop soon; the result is unfinished then */
    /* Called in the calling thread about every 50 ms, never again once `cancel` is set; the work is other threads' then. */
    void (*watch)(struct fsrcnn_control*);
    void* context; /* for `watch` */
} fsrcnn_control;

/* What went wrong: a status, and a sentence in UTF-8 that says what was given and what is allowed. FSRCNN_OK and "" where nothing did. */
typedef struct {
    int32_t status;
    char text[508];
} fsrcnn_error;

/* FSRCNN_ABI of the library. */
FSRCNN_API int32_t fsrcnn_abi(void);

/* What a status means, in words. */
FSRCNN_API const char* fsrcnn_explain(int32_t status);

/* The instruction sets that were compiled in and that this processor has, best first, separated by spaces. */
FSRCNN_API const char* fsrcnn_instruction_sets(void);

/* -- Networks. */

typedef struct fsrcnn_model fsrcnn_model;

/* Opens a network from a weights file of fsrcnn (safetensors; `fsrcnn convert fsrcnn --scale 2` writes fsrcnn-x2.safetensors).
 *
 * path: in UTF-8. precision: of enum fsrcnn_precision. instruction_set: one of fsrcnn_instruction_sets(), or NULL for the best, which the
 * environment's FSRCNN_ISA replaces. error: filled in any case; may be NULL. Answers NULL where something is wrong: the file is not
 * there, larger than 64 MiB, of another kind, damaged, holds NaN, or is too wide for FSRCNN_FAST.
 * FSRCNN_FAST takes some tenths of a second, to look how large features become. */
FSRCNN_API fsrcnn_model* fsrcnn_open(const char* path, int32_t precision, const char* instruction_set, fsrcnn_error* error);

/* The same from the file's bytes in memory, which are not needed afterwards. */
FSRCNN_API fsrcnn_model* fsrcnn_open_bytes(const void* data, size_t length, int32_t precision, const char* instruction_set,
                                           fsrcnn_error* error);

/* What a network is. The texts live as long as the model. */
typedef struct {
    int32_t scale;                                   /* 2, 3 or 4: HR pixels for each LR pixel, both ways */
    int32_t d, s, m;                                 /* channels outside, channels inside, mapping layers */
    int32_t feature_kernel, deconvolution_kernel, crop;
    int32_t halo;                                    /* LR pixels on each side of a region that its HR pixels can depend on */
    int32_t precision;
    const char* name;                                /* fsrcnn, fsrcnn-s, fsrcnn-x, or with d, s, m: fsrcnn-40-10-3 */
    const char* description;                         /* of the arithmetic: "avx2, float32" */
} fsrcnn_facts;

FSRCNN_API fsrcnn_facts fsrcnn_describe_model(const fsrcnn_model* model);

/* NULL is closed already. No call may be using the model. */
FSRCNN_API void fsrcnn_close(fsrcnn_model* model);

/* -- Images. */

/* Which planes there are, in this order. Chroma of an odd number of luma columns or rows is rounded up: 4:2:0 of 5×3 has 3×2. */
enum fsrcnn_layout {
    FSRCNN_GRAY = 0,
    FSRCNN_GRAY_ALPHA = 1, /* grey, alpha */
    FSRCNN_RGB = 2,        /* R, G, B */
    FSRCNN_RGBA = 3,       /* R, G, B, alpha */
    FSRCNN_YUV444 = 4,     /* Y, Cb, Cr */
    FSRCNN_YUV422 = 5,     /* Y; Cb and Cr of half the columns */
    FSRCNN_YUV420 = 6      /* Y; Cb and Cr of half the columns and rows */
};

/* What the numbers of a sample stand for. RGB and alpha are never of limited range. */
enum fsrcnn_range {
    FSRCNN_FULL_RANGE = 0,    /* 0 to 2^depth - 1; floats from 0 to 1, chroma around 128/255; what is written is clipped to that */
    FSRCNN_LIMITED_RANGE = 1, /* black 16, white 235, chroma 16 … 240, times 2^(depth - 8); floats: the same over 255, never clipped */
    FSRCNN_FREE_RANGE = 2     /* floats only: black 0, white 1, chroma around any number (VapourSynth: 0), never clipped */
};

/* Between RGB and Y, Cb, Cr; only RGB is computed with it. BT.601, as MATLAB has it, is what the networks were trained on. */
enum fsrcnn_matrix { FSRCNN_BT601 = 0, FSRCNN_BT709 = 1, FSRCNN_BT2020 = 2 };

/* Where subsampled chroma lies. */
enum fsrcnn_siting {
    FSRCNN_LEFT = 0,    /* on the left luma column, midway between two rows: MPEG-2, H.264 */
    FSRCNN_CENTER = 1,  /* amid its luma pixels: JPEG, MPEG-1 */
    FSRCNN_TOP_LEFT = 2 /* on the upper left luma pixel: BT.2020 */
};

typedef struct {
    int32_t layout; /* of enum fsrcnn_layout */
    int32_t depth;  /* 8: uint8_t; 9 to 16: uint16_t, in its lower bits; 32: float */
    int32_t range, matrix, siting;
} fsrcnn_format;

/* Planes of width × height pixels, wherever they lie. A column stride of 0 stands for samples side by side. */
typedef struct {
    fsrcnn_format format;
    int64_t width, height;
    fsrcnn_plane plane[4];
} fsrcnn_image;

/* 1 to 4 planes; 0 where there is no such format. */
FSRCNN_API int32_t fsrcnn_planes(fsrcnn_format format);

/* Columns and rows of one of an image's planes; 0 where it has no such plane. */
FSRCNN_API int64_t fsrcnn_plane_width(fsrcnn_format format, int64_t width, int32_t plane);
FSRCNN_API int64_t fsrcnn_plane_height(fsrcnn_format format, int64_t height, int32_t plane);

/* Bytes of all samples of an image; 0 where there is no such format or size. */
FSRCNN_API size_t fsrcnn_bytes(fsrcnn_format format, int64_t width, int64_t height);

/* An image in fsrcnn_bytes() of memory, without padding: the samples of a pixel side by side (R G B R G B …; gray, RGB and their alpha),
 * or plane after plane (any layout, as in a Y4M file). Without planes where there is no such format, which fsrcnn_upscale() refuses. */
FSRCNN_API fsrcnn_image fsrcnn_packed(fsrcnn_format format, int64_t width, int64_t height, void* data);
FSRCNN_API fsrcnn_image fsrcnn_planar(fsrcnn_format format, int64_t width, int64_t height, void* data);

/* Fills an image of scale × width by scale × height pixels. Only what its planes point to is written.
 *
 * The two images have the same layout, range, matrix and siting; depths and strides may differ. Integers are clipped and rounded, halves
 * up; under alpha 0, colours are repainted from their surroundings. threads: at most so many, and no more than are worth it; 0: as many
 * as this process may use; the bytes are the same with any number. control, error: may be NULL.
 * Answers the status that stands in the error: FSRCNN_CANCELLED through the control, FSRCNN_NO_MEMORY, or what is wrong with the images. */
FSRCNN_API int32_t fsrcnn_upscale(const fsrcnn_model* model, const fsrcnn_image* lr, const fsrcnn_image* sr, int32_t threads,
                                  fsrcnn_control* control, fsrcnn_error* error);

#ifdef __cplusplus
}
#endif
#endif
