/* Which kernels this processor has, and running a program by them: alone, or by threads that share each step's rows. */
#if defined(__linux__)
#define _GNU_SOURCE
#include <unistd.h>
#endif
#include "bnn.h"
#include <string.h>
#if defined(_WIN32)
#include <windows.h>
#else
#include <pthread.h>
#include <sched.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#define X86 1
#endif
#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

void bnn_step_plain(const Step *, uint8_t *, const void *, void *, uint8_t *, int64_t, int64_t, Report *, int64_t);
#ifdef X86
void bnn_step_avx2(const Step *, uint8_t *, const void *, void *, uint8_t *, int64_t, int64_t, Report *, int64_t);
void bnn_step_avx512(const Step *, uint8_t *, const void *, void *, uint8_t *, int64_t, int64_t, Report *, int64_t);
#endif

#define TERNARY(name)                                                                                                  \
    void name(const uint32_t *, const float *, int64_t, int64_t, int64_t, int64_t, int64_t, float, int64_t, int8_t *, float *)
TERNARY(bnn_ternary_plain);
#ifdef X86
TERNARY(bnn_ternary_avx2);
TERNARY(bnn_ternary_avx512);
#endif

enum { PLAIN = 1, NEON = 2, AVX2 = 4, AVX512 = 8, TILES = 16 };

#ifdef HAS_TILES
int64_t bnn_tiles_avx512(Step *, int64_t);
#endif

/* The sets of kernels that run here, as a sum of the numbers above. `__builtin_cpu_supports` is 0 under some compilers. */
API int64_t bnn_sets(void) {
    int64_t found = PLAIN;
#if defined(__ARM_NEON)
    found |= NEON; /* the plain set, compiled for it */
#endif
#ifdef X86
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27))) return found; /* OSXSAVE */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    if ((low & 6) == 6 && (b & (1u << 5))) found |= AVX2;
    unsigned foundation = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31); /* F, DQ, BW, VL */
    unsigned counting = (1u << 11) | (1u << 12) | (1u << 14);                /* VNNI, BITALG, VPOPCNTDQ */
    if ((low & 0xe6) == 0xe6 && (b & foundation) == foundation && (c & counting) == counting && (found & AVX2))
        found |= AVX512;
#ifdef HAS_TILES /* tiles and int8 of them, their state kept by the system, and lent to this process */
    if ((found & AVX512) && (d >> 24 & 3) == 3 && (low >> 17 & 3) == 3 && !syscall(158, 0x1023, 18)) found |= TILES;
#endif
#endif
    return found;
}

/* Integers of a step and of what it is run with, so that a library of another version is refused. */
API int64_t bnn_step_size(void) { return (sizeof(Step) + sizeof(Work)) / 8; }

/* For the set of tiles: marks the steps that go by them; octets of scratch memory that they need. */
API int64_t bnn_tiles(Step *steps, int64_t count, int64_t every) {
    int64_t most = 0;
#ifdef HAS_TILES
    for (Step *s = steps; s < steps + count; s++) {
        int64_t size = s->op == OP_CONV_BITS ? bnn_tiles_avx512(s, every) : 0;
        most = size > most ? size : most;
    }
#endif
    (void)steps, (void)count, (void)every;
    return most;
}

static RunStep kernels_of(int64_t set) {
#ifdef X86
    if (set >= AVX512) return bnn_step_avx512;
    if (set == AVX2) return bnn_step_avx2;
#endif
    (void)set;
    return bnn_step_plain;
}

/* A short wait; after some microseconds of them the processor goes to another thread, which may be the one waited for. */
static void pause_or_yield(int64_t waited) {
#if !defined(_WIN32)
    if (waited > 500) sched_yield();
#endif
#ifdef X86
    __builtin_ia32_pause();
#endif
    (void)waited;
}

#define APART 8 /* numbers from mark to mark, a cache line */

/* A picture that threads share. Marks say for each step what parts are taken of each thread's own, and how many are done. */
typedef struct {
    const Work *work;
    int64_t first, last;
    const uint8_t *in;
    uint8_t *out;
} Job;

/* One thread's work. Each step's parts have owners, so that most of what a thread reads it has written; who has none left
 * takes another's, and who comes late finds the steps behind it done. Tiles expand weights or
 * inputs for each part: fewer of them. */
static void share(const Job *j, int64_t thread) {
    const Work *w = j->work;
    RunStep run = kernels_of(w->set);
    uint8_t *scratch = w->arena + w->scratch + thread * w->scratch_bytes;
    for (int64_t i = j->first; i < j->last; i++) {
        const Step *step = w->steps + i;
        int64_t rows = step->rows, threads = w->threads, tiled = step->flags & TILED;
        int64_t many = threads * (!tiled ? 4 : step->flags & BY_PANELS ? 1 : 2);
        int64_t parts = rows < many ? rows : many, *taken = w->marks + (threads + 1) * i * APART;
        int64_t *done = taken + threads * APART, ended = 0;
        for (int64_t turn = 0; turn < threads; turn++) {
            int64_t owner = (thread + turn) % threads, end = parts * (owner + 1) / threads;
            for (;;) {
                int64_t mine = parts * owner / threads + __atomic_fetch_add(taken + owner * APART, 1, __ATOMIC_RELAXED);
                if (mine >= end) break;
                run(step, w->arena, j->in, j->out, scratch, mine * rows / parts, (mine + 1) * rows / parts,
                    w->reports + thread, i);
                ended++;
            }
        }
        __atomic_fetch_add(done, ended, __ATOMIC_RELEASE);
        for (int64_t waited = 0; __atomic_load_n(done, __ATOMIC_ACQUIRE) < parts; waited++) pause_or_yield(waited);
    }
}

#if defined(_WIN32)
#define LOCK() AcquireSRWLockExclusive(&crew.lock)
#define UNLOCK() ReleaseSRWLockExclusive(&crew.lock)
#define SLEEP() SleepConditionVariableSRW(&crew.wake, &crew.lock, INFINITE, 0)
#define WAKE() WakeAllConditionVariable(&crew.wake)
#define CREW {SRWLOCK_INIT, CONDITION_VARIABLE_INIT, {0}, 0, 0, 0}
typedef SRWLOCK Lock;
typedef CONDITION_VARIABLE Condition;
#else
#define LOCK() pthread_mutex_lock(&crew.lock)
#define UNLOCK() pthread_mutex_unlock(&crew.lock)
#define SLEEP() pthread_cond_wait(&crew.wake, &crew.lock)
#define WAKE() pthread_cond_broadcast(&crew.wake)
#define CREW {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {0}, 0, 0, 0}
typedef pthread_mutex_t Lock;
typedef pthread_cond_t Condition;
#endif

static struct { Lock lock; Condition wake; Job job; int64_t number, inside, busy; } crew = CREW;

/* A thread of the caller's that never returns: it helps with each picture, looks out for the next one for some 100
 * microseconds, then sleeps. */
API void bnn_help(int64_t thread) {
    for (int64_t seen = 0;;) {
        for (int64_t i = 0; i < 2000 && __atomic_load_n(&crew.number, __ATOMIC_RELAXED) == seen; i++) pause_or_yield(0);
        LOCK();
        while (crew.number == seen) SLEEP();
        seen = crew.number;
        Job job = crew.job;
        __atomic_fetch_add(&crew.inside, 1, __ATOMIC_RELAXED);
        UNLOCK();
        if (job.work && thread < job.work->threads) share(&job, thread);
        __atomic_fetch_sub(&crew.inside, 1, __ATOMIC_RELEASE);
    }
}

/* A picture with those that wait in `bnn_help`; alone while they help another caller. */
static void together(const Work *w, int64_t first, int64_t last, const uint8_t *in, uint8_t *out) {
    int64_t apart = (w->threads + 1) * APART, alone = __atomic_exchange_n(&crew.busy, 1, __ATOMIC_ACQUIRE);
    memset(w->marks + first * apart, 0, (size_t)((last - first) * apart) * 8);
    Job job = {w, first, last, in, out};
    if (!alone) {
        LOCK();
        crew.job = job, crew.number++;
        UNLOCK();
        WAKE();
    }
    share(&job, 0);
    if (alone) return;
    LOCK();
    crew.job.work = NULL; /* who wakes from here on has nothing to do */
    UNLOCK();
    for (int64_t waited = 0; __atomic_load_n(&crew.inside, __ATOMIC_ACQUIRE); waited++) pause_or_yield(waited);
    __atomic_store_n(&crew.busy, 0, __ATOMIC_RELEASE);
}

/* Steps first to last for `count` pictures. 0, or 1 + the thread whose report says what went wrong. */
API int64_t bnn_run(const Work *w, int64_t first, int64_t last, const uint8_t *in, uint8_t *out, int64_t count) {
    RunStep run = kernels_of(w->set);
    for (; count--; in += w->in_bytes, out += w->out_bytes) {
        if (w->threads > 1) together(w, first, last, in, out);
        else
            for (int64_t i = first; i < last; i++)
                run(w->steps + i, w->arena, in, out, w->arena + w->scratch, 0, w->steps[i].rows, w->reports, i);
    }
    for (int64_t thread = 0; thread < w->threads; thread++)
        if (w->reports[thread].status) return 1 + thread;
    return 0;
}

/* In a forked process, which has none of the threads. */
API void bnn_forked(void) {
    memset(&crew, 0, sizeof crew);
#if !defined(_WIN32)
    pthread_mutex_init(&crew.lock, 0), pthread_cond_init(&crew.wake, 0);
#endif
}

/* Weights of -1, 0 and 1 by int8, see `ternary.h`: panels begin to end. */
API void bnn_ternary_linear(int64_t set, const uint32_t *weight, const float *x, int64_t tokens, int64_t inputs, int64_t panels,
                     int64_t begin, int64_t end, float scale, int64_t fresh, int8_t *scratch, float *out) {
    TERNARY((*run)) = bnn_ternary_plain;
#ifdef X86
    run = set >= AVX512 ? bnn_ternary_avx512 : set == AVX2 ? bnn_ternary_avx2 : run;
#endif
    (void)set;
    run(weight, x, tokens, inputs, panels, begin, end, scale, fresh, scratch, out);
}
