/* The packed runtime: what a step of a program is, and what each set of kernels offers.
 *
 * A program is a list of steps over one arena of memory, planned by `bnn_fsg/runtime/_program.py`. Every field of a step
 * is a 64-bit integer (addresses too), so that Python fills it as one row of a matrix. Offsets count bytes from the
 * arena's begin; -1 is the caller's input, -2 the caller's output. Pictures are (height, width, channels) float32.
 *
 * Bits of a picture: a pixel has `groups` times `words` 32-bit words, or 16 bits where there are at most 16 channels
 * ("half"); rows stand in a frame of zeros. A panel is 16 output channels side by side, the lanes of every kernel.
 */
#ifndef BNN_H
#define BNN_H
#include <stdint.h>

#define LANES 16
#if defined(__linux__) && defined(__x86_64__) && defined(__has_include) /* tiles: Linux alone lends them to a process */
#if __has_include(<amxtileintrin.h>)
#define HAS_TILES 1
#endif
#endif

enum {
    OP_TURN_IN, OP_TURN_OUT, OP_PACK, OP_PACK_PLANES, OP_CONV_BITS, OP_CONV_SIGNS, OP_CONV, OP_CONV_U8,
    OP_AFFINE, OP_RECTIFY, OP_CLIP, OP_ADD, OP_MULTIPLY, OP_MAX_POOL, OP_AVERAGE_POOL, OP_MEAN, OP_FLATTEN,
    OP_PICK, OP_COPY, OP_DEPTHWISE
};

enum { SUMMED = 1, RESIDUAL = 2, RECTIFIED = 4, BITS_OUT = 8, HALF = 16, CHECKED = 32, BOUND = 64, FLOATS_OUT = 128,
       CLASSED = 256, SIGNS_OUT = 512, SHIFTED = 1024,
       PLANES_OUT = 2048, TILED = 4096,         /* set by `bnn_tiles` */
       BY_PANELS = 8192 };                      /* the units of work are panels, not rows */

typedef struct {
    int64_t op, flags, rows;                    /* rows: how many units of work threads may share */
    int64_t in, in2, out;                       /* values */
    int64_t h, w, c, oh, ow, oc;                /* of the input and of the output */
    int64_t kh, kw, sh, sw, ph, pw, dh, dw;     /* kernel, stride, padding, dilation */
    int64_t groups, each, panels;               /* each: outputs of a group, in `panels` panels */
    int64_t steps, words, pixel, row;           /* steps of a panel; words of a group; bytes of a pixel and of a row of bits */
    int64_t counts, counts_row;                 /* ones of each pixel (int32), numbers in a row */
    int64_t bits, bits_pixel, bits_row;         /* output bits: the picture's first pixel, bytes */
    int64_t ones, ones_row;                     /* output counts of ones, or -1 */
    int64_t run, runs;                          /* numbers of a kernel's row that lie side by side; runs of a row */
    int64_t ring;                               /* rows kept in scratch */
    int64_t weight, offsets, start, down, across, table, threshold, bound, a, b; /* addresses */
    int64_t classes;                            /* classes of columns */
} Step;

typedef struct {
    volatile int64_t status; /* 0, or 1 + index of the step that met a number that it may not have */
    float value;             /* that number */
} Report;

/* What a program is run with, for pictures one after the other. */
typedef struct {
    int64_t set;
    const Step *steps;
    uint8_t *arena;
    int64_t scratch, scratch_bytes; /* where scratch memory begins; octets of it for each thread */
    int64_t in_bytes, out_bytes;    /* of a picture */
    Report *reports;                /* one for each thread */
    int64_t *marks, threads;        /* marks: 8 (threads + 1) numbers for each step, where threads share pictures */
} Work;

typedef void (*RunStep)(const Step *step, uint8_t *arena, const void *in, void *out, uint8_t *scratch, int64_t begin,
                        int64_t end, Report *report, int64_t index);
#endif
