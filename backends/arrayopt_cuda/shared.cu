// The kernels that every step shares.

// Numbers that the host knows, handed over with the launch itself.
struct Values {
    Cell value[VALUES];
    int at[VALUES];
    int count;
};

extern "C" __global__ void set(Cell *cells, const Values values) {
    for (int k = threadIdx.x; k < values.count; k += THREADS) cells[values.at[k]] = values.value[k];
}

// What the blocks of one site have found: `count` numbers from `first` on, in one column of a table.
struct Segment {
    long long first, count, width, column, cell, op, is_bool;
};

template <class Op> __device__ double combined(const Segment &s, const double *partial) {
    double x = Op::none();
    for (long long k = threadIdx.x; k < s.count; k += THREADS) {
        x = Op::of(x, partial[(s.first + k) * s.width + s.column]);
    }
    return reduced<Op>(x);
}

extern "C" __global__ void combine(const Segment *segments, const double *partial, Cell *cells) {
    const Segment s = segments[blockIdx.x];
    const double x = s.op == 0   ? combined<Sum>(s, partial)
                     : s.op == 1 ? combined<Most>(s, partial)
                                 : combined<Least>(s, partial);
    if (threadIdx.x != 0) return;
    if (s.is_bool) {
        cells[s.cell].i = x > 0;
    } else {
        cells[s.cell].f = x;
    }
}
