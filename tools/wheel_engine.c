/* The engine inside of a wheel, where there is no Python that could load it: an old glibc, another processor under QEMU.
 *
 *     wheel_engine _native.abi3.so NETWORK LR WIDTH HEIGHT SR
 *
 * NETWORK is written by tools/wheels.py: ten numbers, two lengths, whole numbers, multipliers, as struct fsrcnn_network has them. LR and SR
 * are bytes of luma. Prints the instruction sets; each of them enlarges LR, to the same bytes or the exit code is 1. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsrcnn_engine.h"

static void* found(void* library, const char* name) {
    void* function = dlsym(library, name);
    if (!function) fprintf(stderr, "the library has no %s\n", name), exit(1);
    return function;
}

static void read_all(FILE* file, void* bytes, size_t count) {
    if (!file || fread(bytes, 1, count, file) != count) fprintf(stderr, "an input is cut short\n"), exit(1);
}

int main(int count, char** given) {
    if (count != 7) return fprintf(stderr, "wheel_engine LIBRARY NETWORK LR WIDTH HEIGHT SR\n"), 2;
    void* library = dlopen(given[1], RTLD_NOW);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
    int32_t (*abi)(void) = (int32_t(*)(void))found(library, "fsrcnn_abi");
    const char* (*instruction_sets)(void) = (const char* (*)(void))found(library, "fsrcnn_instruction_sets");
    int32_t (*create)(int32_t, const fsrcnn_network*, const char*, fsrcnn_engine**) =
        (int32_t(*)(int32_t, const fsrcnn_network*, const char*, fsrcnn_engine**))found(library, "fsrcnn_create");
    int32_t (*run)(fsrcnn_engine*, const fsrcnn_picture*, const fsrcnn_picture*, int64_t, int64_t, int32_t, const fsrcnn_colour*, fsrcnn_control*) =
        (int32_t(*)(fsrcnn_engine*, const fsrcnn_picture*, const fsrcnn_picture*, int64_t, int64_t, int32_t, const fsrcnn_colour*,
                    fsrcnn_control*))found(library, "fsrcnn_run");
    if (abi() != FSRCNN_ABI) return fprintf(stderr, "ABI %d, not %d\n", abi(), FSRCNN_ABI), 1;

    FILE* file = fopen(given[2], "rb");
    int32_t numbers[10];
    int64_t lengths[2];
    read_all(file, numbers, sizeof numbers);
    read_all(file, lengths, sizeof lengths);
    int32_t* integers = malloc((size_t)lengths[0] * 4);
    float* multipliers = malloc((size_t)lengths[1] * 4);
    read_all(file, integers, (size_t)lengths[0] * 4);
    read_all(file, multipliers, (size_t)lengths[1] * 4);
    fsrcnn_network network;
    memset(&network, 0, sizeof network);
    network.d = numbers[0], network.s = numbers[1], network.m = numbers[2];
    network.feature_kernel = numbers[3], network.deconvolution_kernel = numbers[4];
    network.scale = numbers[5], network.crop = numbers[6], network.precision = numbers[7];
    network.input_levels = (float)numbers[8], network.feature_levels = numbers[9];
    network.integers = integers, network.integers_length = lengths[0];
    network.multipliers = multipliers, network.multipliers_length = lengths[1];

    const int64_t width = atoll(given[4]), height = atoll(given[5]), wide = network.scale * width;
    const size_t pixels = (size_t)(wide * network.scale * height);
    unsigned char *lr = malloc((size_t)(width * height)), *sr = malloc(pixels), *first = NULL;
    read_all(fopen(given[3], "rb"), lr, (size_t)(width * height));
    char* names = strdup(instruction_sets());
    printf("%s\n", names);
    for (char* name = strtok(names, " "); name; name = strtok(NULL, " ")) {
        fsrcnn_engine* engine;
        const fsrcnn_picture in = {{{lr, width, 1}}, 1, FSRCNN_UINT8, 255, 255}, out = {{{sr, wide, 1}}, 1, FSRCNN_UINT8, 255, 255};
        int32_t status = create(FSRCNN_ABI, &network, name, &engine);
        if (!status) status = run(engine, &in, &out, height, width, 3, NULL, NULL);
        if (status) return fprintf(stderr, "%s: status %d\n", name, status), 1;
        if (!first) memcpy(first = malloc(pixels), sr, pixels);
        if (memcmp(first, sr, pixels) != 0) return fprintf(stderr, "%s: other bytes\n", name), 1;
    }
    file = fopen(given[6], "wb");
    if (!file || fwrite(sr, 1, pixels, file) != pixels || fclose(file)) return fprintf(stderr, "cannot write %s\n", given[6]), 1;
    return 0;
}
