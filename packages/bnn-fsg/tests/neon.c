/* Runs programs that `test_neon.py` wrote, under emulation: FILE... -> FILE.out. All numbers of 64 bits.
 * A file: steps, integers of a step, addresses to mend, octets of arrays, of the arena, where scratch memory begins, octets
 * of input and output; then the steps, (place, offset in arrays) of each address, the arrays and the input. */
#include <stdio.h>
#include <stdlib.h>
#include "bnn.h"

int64_t bnn_sets(void);
int64_t bnn_run(const Work *work, int64_t first, int64_t last, const uint8_t *in, uint8_t *out, int64_t count);

static void *take(FILE *from, int64_t octets) { /* begins where a line of the cache does */
    uint8_t *made = aligned_alloc(64, (size_t)(octets + 191) / 64 * 64);
    if (!made || (from && fread(made, 1, (size_t)octets, from) != (size_t)octets)) exit(2);
    return made;
}

int main(int count, char **names) {
    if (!(bnn_sets() & 2)) return 3; /* not NEON */
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        int64_t head[8], *mend, *steps;
        if (!file || fread(head, 8, 8, file) != 8) return 2;
        steps = take(file, head[0] * head[1] * 8), mend = take(file, head[2] * 16);
        uint8_t *arrays = take(file, head[3]), *in = take(file, head[6]), *out = take(NULL, head[7]), *arena = take(NULL, head[4]);
        for (int64_t k = 0; k < head[4]; k++) arena[k] = 0;
        for (int64_t k = 0; k < head[2]; k++) steps[mend[2 * k]] = (int64_t)(intptr_t)(arrays + mend[2 * k + 1]);
        Report said = {0, 0};
        Work work = {2, (Step *)steps, arena, head[5], 0, head[6], head[7], &said, NULL, 1};
        bnn_run(&work, 0, head[0], in, out, 1);
        fclose(file);
        char name[4096];
        snprintf(name, sizeof name, "%s.out", names[i]);
        FILE *to = fopen(name, "wb");
        if (!to || fwrite(out, 1, (size_t)head[7], to) != (size_t)head[7] || fclose(to)) return 2;
        free(steps), free(mend), free(arrays), free(in), free(out), free(arena);
    }
    return 0;
}
