/* Enlarges a PGM or PPM picture (binary, 8 or 16 bit) in C99.
 *
 *     cc -std=c99 upscale_pnm.c -o upscale_pnm $(pkg-config --cflags --libs fsrcnn)
 *     ./upscale_pnm fsrcnn-x2.safetensors photo.ppm larger.ppm
 */
#include <fsrcnn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char* what, const char* why) {
    fprintf(stderr, "upscale_pnm: %s: %s\n", what, why);
    return 1;
}

/* The next number of a header; -1 where none comes. Comments run from # to the end of the line. */
static long number(FILE* file) {
    long value = -1;
    int letter = fgetc(file);
    while (letter == '#' || letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r') {
        while (letter == '#' && (letter = fgetc(file)) != EOF)
            if (letter != '\n') letter = '#';
        letter = fgetc(file);
    }
    for (; letter >= '0' && letter <= '9' && value < 100000000; letter = fgetc(file)) value = 10 * (value < 0 ? 0 : value) + (letter - '0');
    return value; /* one letter behind it has been read, as the format wants it before the samples */
}

/* Samples of 16 bits are big-endian in these files, and the library takes the machine's own order. */
static void to_or_from_big_endian(void* samples, size_t bytes) {
    const union { uint16_t number; unsigned char bytes[2]; } probe = {1};
    unsigned char* at = samples;
    size_t i;
    for (i = 0; probe.bytes[0] && i + 1 < bytes; i += 2) {
        const unsigned char first = at[i];
        at[i] = at[i + 1], at[i + 1] = first;
    }
}

/* A picture out of a file; its memory is the caller's to free. NULL: why says what is wrong. */
static void* read_picture(const char* path, fsrcnn_image* picture, const char** why) {
    FILE* file = fopen(path, "rb");
    char magic[3] = "";
    void* samples = NULL;
    *why = "it cannot be opened";
    if (!file) return NULL;
    if (fread(magic, 1, 2, file) == 2 && (!strcmp(magic, "P5") || !strcmp(magic, "P6"))) {
        const long width = number(file), height = number(file), largest = number(file);
        const fsrcnn_format format = {magic[1] == '5' ? FSRCNN_GRAY : FSRCNN_RGB, largest == 255 ? 8 : 16, FSRCNN_FULL_RANGE, FSRCNN_BT601, FSRCNN_LEFT};
        const size_t bytes = fsrcnn_bytes(format, width, height);
        *why = "its header is none of 8 or 16 bit";
        if (bytes > 0 && (largest == 255 || largest == 65535)) {
            samples = malloc(bytes);
            *why = samples ? "it is cut short" : "there is not enough memory";
            if (samples && fread(samples, 1, bytes, file) != bytes) free(samples), samples = NULL;
            if (samples && largest != 255) to_or_from_big_endian(samples, bytes);
            *picture = fsrcnn_packed(format, width, height, samples);
        }
    } else {
        *why = "it is neither a binary PGM (P5) nor PPM (P6)";
    }
    fclose(file);
    return samples;
}

static int write_picture(const char* path, const fsrcnn_image* picture, void* samples) {
    const size_t bytes = fsrcnn_bytes(picture->format, picture->width, picture->height);
    FILE* file = fopen(path, "wb");
    int written;
    if (!file) return 0;
    if (picture->format.depth != 8) to_or_from_big_endian(samples, bytes);
    written = fprintf(file, "P%c\n%lld %lld\n%d\n", picture->format.layout == FSRCNN_GRAY ? '5' : '6', (long long)picture->width,
                      (long long)picture->height, picture->format.depth == 8 ? 255 : 65535) > 0;
    written = fwrite(samples, 1, bytes, file) == bytes && written;
    return fclose(file) == 0 && written;
}

int main(int argc, char** argv) {
    fsrcnn_error error;
    fsrcnn_model* model;
    fsrcnn_image lr, sr;
    const char* why;
    void *before, *after;
    int scale, result = 0;
    if (argc != 4) return fputs("usage: upscale_pnm WEIGHTS.safetensors INPUT OUTPUT\n", stderr), 2;
    model = fsrcnn_open(argv[1], FSRCNN_EXACT, NULL, &error);
    if (!model) return fail("weights", error.text);
    scale = fsrcnn_describe_model(model).scale;
    before = read_picture(argv[2], &lr, &why);
    if (!before) return fsrcnn_close(model), fail(argv[2], why);
    after = malloc(fsrcnn_bytes(lr.format, scale * lr.width, scale * lr.height));
    sr = fsrcnn_packed(lr.format, scale * lr.width, scale * lr.height, after); /* without memory it has no planes, which is refused */
    if (fsrcnn_upscale(model, &lr, &sr, 0, NULL, &error)) result = fail(argv[2], error.text);
    else if (!write_picture(argv[3], &sr, after)) result = fail(argv[3], "it cannot be written");
    free(before);
    free(after);
    fsrcnn_close(model);
    return result;
}
