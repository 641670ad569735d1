// Enough of CUDA to run a kernel on the host: one block after another, its threads in turns.

#include <string.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __shared__ static

// The functions of math.h, by hand: the header itself takes longer to compile than a kernel.

#define ONE(name) extern "C" double name(double); extern "C" float name##f(float);
#define TWO(name) extern "C" double name(double, double); extern "C" float name##f(float, float);
ONE(sqrt) ONE(exp) ONE(expm1) ONE(log) ONE(log1p) ONE(log2) ONE(log10) ONE(sin) ONE(cos) ONE(tan) ONE(asin) ONE(acos)
ONE(atan) ONE(sinh) ONE(cosh) ONE(tanh) ONE(asinh) ONE(acosh) ONE(atanh) ONE(floor) ONE(ceil) ONE(trunc) ONE(rint)
ONE(fabs) TWO(atan2) TWO(hypot) TWO(copysign) TWO(fmod) TWO(pow)
static float floor(float x) { return floorf(x); }
static float fmod(float x, float y) { return fmodf(x, y); }
static float copysign(float x, float y) { return copysignf(x, y); }

struct Dim {
    unsigned int x;
};
static Dim threadIdx, blockIdx, gridDim;

static unsigned int __float_as_uint(float x) {
    unsigned int bits;
    memcpy(&bits, &x, 4);
    return bits;
}

static float __uint_as_float(unsigned int bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static float __double2float_rz(double x) {
    const float nearest = (float)x;
    return fabs((double)nearest) > fabs(x) ? __uint_as_float(__float_as_uint(nearest) - 1) : nearest;
}

static float widen_float16(unsigned short bits) {
    _Float16 x;
    memcpy(&x, &bits, 2);
    return (float)x;
}

static unsigned short narrow_float16(float x) {
    const _Float16 rounded = (_Float16)x;
    unsigned short bits;
    memcpy(&bits, &rounded, 2);
    return bits;
}

// Threads of a block are fibers: each runs until it waits for the others.

static ucontext_t turns;
static ucontext_t fibers[THREADS];
static char stacks[THREADS][32 * 1024];
static bool ended[THREADS];
static void (*body)(void *);
static void *given;

static void __syncthreads() { swapcontext(&fibers[threadIdx.x], &turns); }

static void thread_of_block() {
    body(given);
    ended[threadIdx.x] = true;
}

static void block_of(int threads) {
    for (int t = 0; t < threads; ++t) {
        getcontext(&fibers[t]);
        fibers[t].uc_stack.ss_sp = stacks[t];
        fibers[t].uc_stack.ss_size = sizeof stacks[t];
        fibers[t].uc_link = &turns;
        makecontext(&fibers[t], thread_of_block, 0);
        ended[t] = false;
    }
    for (int left = threads; left > 0;) {
        for (int t = 0; t < threads; ++t) {
            if (ended[t]) continue;
            threadIdx.x = t;
            swapcontext(&turns, &fibers[t]);
            left -= ended[t];
        }
    }
}

template <size_t... I> struct Places {};

template <class... A, size_t... I> void call(void (*kernel)(A...), void **args, Places<I...>) {
    kernel(*(A *)args[I]...);
}

template <class... A> void launch(void (*kernel)(A...), int blocks, int threads, bool waits, void **args) {
    auto run = [&] { call(kernel, args, Places<__integer_pack(sizeof...(A))...>()); };
    body = [](void *x) { (*(decltype(run) *)x)(); };
    given = &run;
    gridDim.x = blocks;
    for (int b = 0; b < blocks; ++b) {
        blockIdx.x = b;
        if (waits) {
            block_of(threads);
            continue;
        }
        for (int t = 0; t < threads; ++t) {
            threadIdx.x = t;
            run();
        }
    }
}
