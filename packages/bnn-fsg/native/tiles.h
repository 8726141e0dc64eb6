/* Bits by bits as tiles of int8 (AMX), for the set "amx": included by `kernels.c` where the compiler knows them.
 *
 * Bits of the input become octets, 0 and -1, weights +1 and -1; a tile that begins as each output's ones among its weights
 * then ends as the number of differing bits, which is what every other set counts. A tile has up to 16 pixels of a row by
 * 64 inputs, or 64 inputs by a panel. Where a pixel has a multiple of 64 inputs ("straight") its octets are a tile's row as
 * they are; else what a row of the kernel meets at each output pixel is laid side by side, and weights behind it are 0. */
#define TILE 1024
#define KEPT (160 << 10) /* octets of weights that are expanded once for all rows; more of them panel by panel */
#define NARROW (24 << 10) /* octets of input rows that are expanded at once, and where weights are not kept: */
#define BROAD_BAND (256 << 10)
#define AMX __attribute__((target("amx-tile,amx-int8")))

typedef struct {
    int64_t straight, across;         /* tiles of one place of the kernel, or of one row of it */
    int64_t count;                    /* tiles of a sum */
    int64_t apart, row;               /* octets from an output pixel to the next, and from an input row to the next */
    int64_t rows, high;               /* output rows of a band, input rows that they need */
    int64_t kept;                     /* panels whose weights are kept */
} Tiles;

static Tiles tiles_of(const Step *s) {
    Tiles t;
    t.straight = s->words % 2 == 0 && !(s->flags & HALF);
    t.across = t.straight ? s->words / 2 : (s->kw * s->pixel + 7) / 8;
    t.count = s->kh * t.across * (t.straight ? s->kw : 1);
    t.apart = t.straight ? s->sw * s->pixel * 8 : t.across * 64;
    t.row = t.straight ? s->row * 8 : s->ow * t.apart;
    t.kept = s->groups * s->panels * t.count * TILE <= KEPT && !(s->flags & BY_PANELS) ? s->groups * s->panels : 1;
    int64_t reach = (s->kh - 1) * s->dh + 1, fit = (t.kept > 1 || s->panels * s->groups == 1 ? NARROW : BROAD_BAND) / t.row;
    t.rows = fit > reach ? (fit - reach) / s->sh + 1 : 1;
    if (t.rows > s->oh) t.rows = s->oh;
    t.high = (t.rows - 1) * s->sh + reach;
    return t;
}

/* Marks a step of bits that goes by tiles; octets of scratch memory that it needs then. 0 where it cannot, or is quicker
 * without and not `every` one is asked for: a small picture does not pay for expanding weights, a short sum not for tiles. */
int64_t NAME(bnn_tiles)(Step *s, int64_t every) {
    if (s->ow * s->oh < (every ? 1 : 128) || s->kw > 64 || s->kh > 64 || s->row > 1 << 20) return 0;
    int64_t flags = (TILED | (s->panels >= 8 && s->groups == 1 && s->ones < 0 ? BY_PANELS : 0)) & ~s->flags;
    s->flags |= flags;
    Tiles t = tiles_of(s);
    s->flags &= ~flags;
    int64_t octets = s->kw * s->pixel * 8;
    if (t.count * s->panels < (every ? 1 : 36)) return 0;
    if (!t.straight && (s->groups > 1 || s->dw > 1 || octets > 640 || 4 * octets < 3 * 64 * t.across)) return 0;
    int64_t size = t.high * t.row + 16 * t.apart + t.count * (t.kept * TILE + 8) + t.kept * 64 + (t.rows * s->ow + 32) * 4 + 1024;
    if (size > 4 << 20) return 0;
    s->flags |= flags;
    if (s->flags & BY_PANELS) s->rows = s->panels;
    return size;
}

/* Input rows of a band from its first on. */
static void expand_rows(const Step *s, const Tiles *t, const uint8_t *bits, int64_t rows, uint8_t *to) {
    for (int64_t y = 0; y < rows; y++, bits += s->row) {
        if (t->straight) {
            for (int64_t i = 0; i < s->row; i += 8, to += 64) {
                uint64_t word;
                memcpy(&word, bits + i, 8);
                _mm512_storeu_si512(to, _mm512_movm_epi8(word));
            }
            continue;
        }
        const uint8_t *from = bits;
        for (int64_t x = 0; x < s->ow; x++, from += s->sw * s->pixel)
            for (int64_t i = 0; i < t->across; i++, to += 64) {
                uint64_t word;
                memcpy(&word, from + 8 * i, 8);
                _mm512_storeu_si512(to, _mm512_movm_epi8(word));
            }
    }
}

/* 32 inputs of 16 outputs, a word each, as eight rows of a tile: +1 where a bit is set, -1 where it is not, 0 for inputs
 * from `inside` on. */
INLINE void expand_word(__m512i word, int64_t inside, uint8_t *to) {
    const __m512i low = _mm512_set1_epi32(0x08040201), high = _mm512_set1_epi32(-0x7fbfdff0);
    const __m512i one = _mm512_set1_epi8(1), all = _mm512_set1_epi8(-1);
    UNROLL for (int i = 0; i < 8; i++) {
        const __m512i pick = _mm512_add_epi32(_mm512_set4_epi32(12, 8, 4, 0), _mm512_set1_epi32(i / 2));
        __m512i octet = _mm512_shuffle_epi8(word, _mm512_shuffle_epi8(pick, _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0)));
        __m512i row = _mm512_mask_blend_epi8(_mm512_test_epi8_mask(octet, i % 2 ? high : low), all, one);
        _mm512_storeu_si512(to + 64 * i, 4 * i < inside ? row : _mm512_setzero_si512());
    }
}

/* A panel's weights as tiles, and its ones. */
static void expand_panel(const Step *s, const Tiles *t, int64_t number, uint8_t *to, int32_t *ones) {
    const uint32_t *weight = (const uint32_t *)s->weight + number * s->steps * LANES;
    __m512i all = _mm512_setzero_si512();
    int64_t words = t->straight ? s->steps : s->kw * s->words, half = (s->flags & HALF) != 0;
    for (int64_t run = 0; run < s->steps; run += words) {
        for (int64_t i = 0; i < t->across * 2 || (t->straight && i < words); i++, to += 512) {
            __m512i word = _mm512_setzero_si512();
            int64_t inside = 32;
            if (half) {
                inside = 16 * (words - 2 * i);
                if (2 * i < words)
                    word = _mm512_and_si512(_mm512_loadu_si512(weight + (run + 2 * i) * LANES), _mm512_set1_epi32(0xffff));
                if (2 * i + 1 < words)
                    word = _mm512_or_si512(word, _mm512_slli_epi32(_mm512_loadu_si512(weight + (run + 2 * i + 1) * LANES), 16));
            } else {
                inside = 32 * (words - i);
                if (i < words) word = _mm512_loadu_si512(weight + (run + i) * LANES);
            }
            all = _mm512_add_epi32(all, _mm512_popcnt_epi32(word));
            expand_word(word, inside, to);
        }
    }
    _mm512_storeu_si512(ones, all);
}

typedef struct {
    const uint8_t *x[4], *weight;     /* of each tile of pixels; of the panel */
    const int64_t *offsets;
    const int32_t *ones;
    int64_t apart, many;
} Block;

/* Steps `first` to `last` of the sums of `N` tiles of pixels by a panel; tiles keep them until they are stored. */
AMX INLINE void tile_steps(const Block *b, int64_t first, int64_t last, const int N) {
    if (first == 0) {
        _tile_loadd(0, b->ones, 0);
        if (N > 1) _tile_loadd(1, b->ones, 0);
        if (N > 2) _tile_loadd(2, b->ones, 0);
        if (N > 3) _tile_loadd(3, b->ones, 0);
    }
    for (int64_t i = first; i < last; i++) {
        _tile_loadd(6, b->weight + i * TILE, 64);
        _tile_loadd(4, b->x[0] + b->offsets[i], b->apart);
        _tile_dpbssd(0, 4, 6);
        if (N > 1) {
            _tile_loadd(5, b->x[1] + b->offsets[i], b->apart);
            _tile_dpbssd(1, 5, 6);
        }
        if (N > 2) {
            _tile_loadd(4, b->x[2] + b->offsets[i], b->apart);
            _tile_dpbssd(2, 4, 6);
        }
        if (N > 3) {
            _tile_loadd(5, b->x[3] + b->offsets[i], b->apart);
            _tile_dpbssd(3, 5, 6);
        }
    }
}

AMX static void tile_sums(const Block *b, int64_t first, int64_t last) {
    if (b->many == 4) tile_steps(b, first, last, 4);
    else if (b->many == 3) tile_steps(b, first, last, 3);
    else if (b->many == 2) tile_steps(b, first, last, 2);
    else tile_steps(b, first, last, 1);
}

/* 16 numbers of each pixel side by side; tiles that are not used say nothing. */
AMX static void store_tiles(int32_t *sums, int64_t high, int64_t many) {
    _tile_stored(0, sums, 64);
    if (many > 1) _tile_stored(1, sums + high * LANES, 64);
    if (many > 2) _tile_stored(2, sums + 2 * high * LANES, 64);
    if (many > 3) _tile_stored(3, sums + 3 * high * LANES, 64);
}

AMX static void begin_tiles(int64_t high) {
    struct { uint8_t palette, start, none[14]; uint16_t octets[16]; uint8_t rows[16]; } shape = {1, 0, {0}, {0}, {0}};
    for (int i = 0; i < 8; i++) shape.octets[i] = 64, shape.rows[i] = i < 6 ? (uint8_t)high : 16;
    _tile_loadconfig(&shape);
}

AMX static void end_tiles(void) { _tile_release(); }

static int64_t conv_tiles(const Step *s, uint8_t *arena, float *planes, uint8_t *scratch, int64_t begin, int64_t end) {
    const Tiles t = tiles_of(s);
    Part part = part_of(s, begin, end);
    int64_t wrong = 0, many = (s->ow + 15) / 16, high = (s->ow + many - 1) / many;
    int64_t first = part.first, last = part.last, all = s->groups * s->panels;
    int64_t top = part.top, bottom = part.bottom, keeps = t.kept == all;
    int32_t *ones = (int32_t *)scratch, both[2][4 * 16 * LANES], *sums = both[0];
    uint8_t *weights = scratch + t.kept * 64, *octets = weights + t.kept * t.count * TILE;
    int64_t *offsets = (int64_t *)(octets + t.high * t.row + 16 * t.apart);
    float *totals = (float *)(offsets + t.count);
    Panel ready[4]; /* pixels whose sums are there: they are finished while tiles work at the next block */
    int64_t counts[4], waiting = 0, waiting_number = 0;
    for (int64_t k = 0, i = 0; k < s->kh; k++)
        for (int64_t l = 0; l < (t.straight ? s->kw : 1); l++)
            for (int64_t j = 0; j < t.across; j++) offsets[i++] = k * s->dh * t.row + l * s->dw * s->pixel * 8 + 64 * j;
    if (keeps) for (int64_t i = 0; i < all; i++) expand_panel(s, &t, i, weights + i * t.count * TILE, ones + i * LANES);
    begin_tiles(high);
    for (int64_t y0 = top; y0 < bottom; y0 += t.rows) {
        int64_t rows = bottom - y0 < t.rows ? bottom - y0 : t.rows;
        expand_rows(s, &t, arena + s->in + y0 * s->sh * s->row, (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1, octets);
        for (int64_t group = 0; group < s->groups; group++) {
            if (s->flags & SUMMED)
                for (int64_t y = 0; y < rows; y++) totals_of(s, arena, y0 + y, 0, s->ow, group, totals + y * s->ow);
            for (int64_t index = first; index < last; index++) {
                int64_t number = group * s->panels + index, place = keeps ? number : 0;
                const uint8_t *weight = weights + place * t.count * TILE;
                if (!keeps) expand_panel(s, &t, number, weights, ones);
                for (int64_t tile = 0; tile < rows * many; ) {
                    Block b = {{0}, weight, offsets, ones + place * LANES, t.apart, rows * many - tile < 4 ? rows * many - tile : 4};
                    for (int64_t i = 0; i < b.many; i++)
                        b.x[i] = octets + (tile + i) / many * s->sh * t.row + (tile + i) % many * high * t.apart + group * s->words * 32;
                    int64_t done = 0;
                    for (int64_t i = 0; i < waiting; i++) {
                        int64_t next = t.count * (i + 1) / (waiting + 1);
                        tile_sums(&b, done, next);
                        finish_bits(s, &ready[i], waiting_number, counts[i], &wrong, OF_BITS);
                        done = next;
                    }
                    tile_sums(&b, done, t.count);
                    sums = both[sums == both[0]];
                    store_tiles(sums, high, b.many);
                    waiting = 0, waiting_number = number;
                    for (int64_t i = 0, run; i < b.many; i += run) { /* tiles of one row */
                        int64_t y = (tile + i) / many, at = (tile + i) % many, x0 = at * high;
                        run = b.many - i;
                        if (run > many - at) run = many - at;
                        counts[waiting] = s->ow - x0 < run * high ? s->ow - x0 : run * high;
                        ready[waiting] = panel_at(s, arena, planes, y0 + y, x0, group, index);
                        ready[waiting].totals = totals + y * s->ow + x0, ready[waiting].source = sums + i * high * LANES;
                        waiting++;
                    }
                    tile += b.many;
                }
            }
            for (int64_t i = 0; i < waiting; i++) finish_bits(s, &ready[i], waiting_number, counts[i], &wrong, OF_BITS);
            waiting = 0;
        }
    }
    end_tiles();
    return wrong;
}
