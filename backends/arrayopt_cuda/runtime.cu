// What the text of every kernel begins with. NVRTC compiles it without any header.

typedef unsigned short Half;  // the bits of a float16 or a bfloat16
typedef unsigned long long Word;

// A number of the step: a double, or an integer or bool.
union Cell {
    double f;
    long long i;
};

// A part of one array of each kind: what a block works on at a time.
struct Task {
    long long site, start, size, row;
};

// -- 16-bit numbers: widened when they are loaded, rounded to nearest, ties to even, when they are stored

#ifdef __CUDACC__
__device__ inline float widen_float16(Half bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

__device__ inline Half narrow_float16(float x) {
    Half bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
#endif

__device__ inline float widen_bfloat16(Half bits) {
    return __uint_as_float((unsigned int)bits << 16);
}

__device__ inline Half narrow_bfloat16(float x) {
    const unsigned int bits = __float_as_uint(x);
    if (x != x) return (Half)((bits | 0x400000u) >> 16);  // NaN stays NaN
    return (Half)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// A double as a float that rounds on to 16 bits as the double would: towards 0, the last bit set if that was inexact.
__device__ inline float to_odd(double x) {
    const float rounded = __double2float_rz(x);
    return (double)rounded == x ? rounded : __uint_as_float(__float_as_uint(rounded) | 1u);
}

// -- words that C++ lacks

template <class T> __device__ inline T maximum(T x, T y) { return x > y || x != x ? x : y; }  // NaN stays NaN
template <class T> __device__ inline T minimum(T x, T y) { return x < y || x != x ? x : y; }
template <class T> __device__ inline T sign(T x) { return x != x ? x : (T)((x > 0) - (x < 0)); }
template <class T> __device__ inline bool is_finite(T x) { return x - x == 0; }
template <class T> __device__ inline bool is_nan(T x) { return x != x; }
template <class T> __device__ inline bool is_inf(T x) { return x == x && x - x != 0; }

// Integers wrap around; in C++ only those without a sign do.
template <class T> __device__ inline T wrap_add(T x, T y) { return (T)((Word)x + (Word)y); }
template <class T> __device__ inline T wrap_subtract(T x, T y) { return (T)((Word)x - (Word)y); }
template <class T> __device__ inline T wrap_multiply(T x, T y) { return (T)((Word)x * (Word)y); }
template <class T> __device__ inline T shift_left(T x, T n) {
    return n < 0 || n >= (T)(8 * sizeof(T)) ? (T)0 : (T)((Word)x << n);
}
template <class T> __device__ inline T shift_right(T x, T n) {
    return n < 0 || n >= (T)(8 * sizeof(T)) ? (x < 0 ? (T)-1 : (T)0) : (T)(x >> n);
}

// The quotient rounded down, and what it leaves: of real numbers as Python and NumPy have them.
template <class T> __device__ inline T remainder_real(T x, T y) {
    const T r = fmod(x, y);
    return r != 0 ? ((r < 0) != (y < 0) ? r + y : r) : copysign((T)0, y);
}
template <class T> __device__ inline T floor_divide_real(T x, T y) {
    if (y == 0) return x / y;
    const T r = fmod(x, y), q = (x - r) / y - (T)(r != 0 && (r < 0) != (y < 0)), whole = floor(q);
    return q == 0 ? copysign((T)0, x / y) : q - whole > (T)0.5 ? whole + 1 : whole;
}
__device__ inline float remainder_of(float x, float y) { return remainder_real(x, y); }
__device__ inline double remainder_of(double x, double y) { return remainder_real(x, y); }
__device__ inline float floor_divide(float x, float y) { return floor_divide_real(x, y); }
__device__ inline double floor_divide(double x, double y) { return floor_divide_real(x, y); }
template <class T> __device__ inline T floor_divide(T x, T y) {
    if (y == 0) return 0;
    if (y == (T)-1 && (T)-1 < 0) return wrap_subtract((T)0, x);  // the least number has no opposite
    const T q = (T)(x / y);
    return x % y != 0 && (x < 0) != (y < 0) ? (T)(q - 1) : q;
}
template <class T> __device__ inline T remainder_of(T x, T y) {
    return y == 0 ? (T)0 : wrap_subtract(x, wrap_multiply(floor_divide(x, y), y));
}

__device__ inline float power(float x, float y) { return powf(x, y); }
__device__ inline double power(double x, double y) { return pow(x, y); }
template <class T> __device__ inline T power(T x, T n) {
    T found = 1;
    for (; n > 0; n = (T)(n / 2), x = wrap_multiply(x, x)) {
        if (n % 2) found = wrap_multiply(found, x);
    }
    return found;
}

__device__ inline float logaddexp(float x, float y) {
    return x == y ? x + 0.69314718f : maximum(x, y) + log1pf(expf(-fabsf(x - y)));
}
__device__ inline double logaddexp(double x, double y) {
    return x == y ? x + 0.69314718055994531 : maximum(x, y) + log1p(exp(-fabs(x - y)));
}

// -- four neighbouring entries, loaded and stored in one go of up to 16 bytes

template <class T> struct alignas(sizeof(T) < 4 ? 4 * sizeof(T) : 16) Four {
    T at[4];
};

// -- reductions within a block: a tree, so that the result is the same in each run

struct Sum {
    __device__ static double none() { return 0.0; }
    __device__ static double of(double x, double y) { return x + y; }
};
struct Most {
    __device__ static double none() { return -1.0 / 0.0; }
    __device__ static double of(double x, double y) { return maximum(x, y); }
};
struct Least {
    __device__ static double none() { return 1.0 / 0.0; }
    __device__ static double of(double x, double y) { return minimum(x, y); }
};

template <class Op> __device__ double reduced(double x) {
    __shared__ double found[THREADS];
    const int k = threadIdx.x;
    found[k] = x;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (k < half) found[k] = Op::of(found[k], found[k + half]);
        __syncthreads();
    }
    x = found[0];
    __syncthreads();  // nobody writes before all have read
    return x;
}
