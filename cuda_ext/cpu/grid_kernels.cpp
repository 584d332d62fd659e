// Grid encode on the CPU, in float32. Threads and data: a call works on one span, in blocks of
// kGridBlock points; each stage within a block (position, weights, rows) is a plain loop over the
// points that the compiler turns into vectors, and the sums run over the features of a row at once.
// A short block is padded: every point takes the same instructions wherever the work is cut.
//
// This file is compiled once per instruction set; INRCODEC_GRID_VARIANT names the result. It must not
// use the STL nor define anything external but that: of an inline function that several variants
// share the linker keeps one copy, maybe one with instructions that the machine lacks.
#include "../common/grid_kernels.h"

namespace inrcodec {
namespace {

constexpr int kBlock = kGridBlock;

// The features of a row, as one vector that may lie anywhere a float may.
template <int F>
struct Lanes {
    typedef float type __attribute__((vector_size(4 * F), aligned(4), may_alias));
};
template <>
struct Lanes<1> {
    typedef float type;
};

template <int F>
inline typename Lanes<F>::type* lanes(float* at) {
    return reinterpret_cast<typename Lanes<F>::type*>(at);
}
template <int F>
inline const typename Lanes<F>::type* lanes(const float* at) {
    return reinterpret_cast<const typename Lanes<F>::type*>(at);
}

// scale * x + 0.5, rounded once. Without a fused instruction, float64 gives the same but in about
// one of 2^29 cases, and there the last bit differs.
inline float position(float scale, float x) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_fmaf(scale, x, 0.5f);
#else
    return static_cast<float>(static_cast<double>(scale) * static_cast<double>(x) + 0.5);
#endif
}

// The coordinates of a block, axis by axis, moved into [0, 1]; NaN becomes 0.
template <int D>
struct Points {
    float x[D][kBlock];

    void load(const float* coords, int count) {
        for (int d = 0; d < D; ++d) {
            for (int i = 0; i < count; ++i) x[d][i] = coords[i * D + d];
            for (int i = count; i < kBlock; ++i) x[d][i] = 0.0f;
            for (int i = 0; i < kBlock; ++i) {
                const float low = x[d][i] > 0.0f ? x[d][i] : 0.0f;
                x[d][i] = low < 1.0f ? low : 1.0f;
            }
        }
    }
};

// Where the points of a block lie on one level.
template <int D>
struct Cells {
    static constexpr int kCorners = 1 << D;
    uint32_t vertex[D][kBlock];  // the cell's lowest
    float fraction[D][kBlock];   // the place within the cell, in [0, 1)
    uint32_t row[kCorners][kBlock];
    float weight[kCorners][kBlock];

    void locate(const Points<D>& points, const GridLevel& level) {
        for (int d = 0; d < D; ++d) {
            for (int i = 0; i < kBlock; ++i) {
                const float p = position(level.scale, points.x[d][i]);
                const int32_t cell = static_cast<int32_t>(p);
                vertex[d][i] = static_cast<uint32_t>(cell);
                fraction[d][i] = p - static_cast<float>(cell);
            }
        }
        for (int corner = 0; corner < kCorners; ++corner) {
            if (level.hashed) {
                find_hashed_rows(corner, level);
            } else {
                find_dense_rows(corner, level);
            }
            for (int i = 0; i < kBlock; ++i) weight[corner][i] = product(corner, -1, i);
        }
    }

    // The derivative of a corner's weight along one axis of the cell.
    float slope(int corner, int axis, int i) const {
        return (corner >> axis) & 1 ? product(corner, axis, i) : -product(corner, axis, i);
    }

  private:
    // The product of f or 1 - f over all axes but one.
    float product(int corner, int without, int i) const {
        float w = 1.0f;
        for (int d = 0; d < D; ++d) {
            const float f = fraction[d][i];
            if (d != without) w *= (corner >> d) & 1 ? f : 1.0f - f;
        }
        return w;
    }

    // A vertex lies one past the last of its axis at most, so that a row is below 2 * size.
    void find_dense_rows(int corner, const GridLevel& level) {
        for (int i = 0; i < kBlock; ++i) {
            uint32_t r = 0;
            for (int d = 0; d < D; ++d) r += (vertex[d][i] + ((corner >> d) & 1)) * level.stride[d];
            row[corner][i] = r >= level.size ? r - level.size : r;
        }
    }

    void find_hashed_rows(int corner, const GridLevel& level) {
        for (int i = 0; i < kBlock; ++i) {
            uint32_t r = 0;
            for (int d = 0; d < D; ++d) r ^= (vertex[d][i] + ((corner >> d) & 1)) * level.stride[d];
            row[corner][i] = r & (level.size - 1);
        }
    }
};

inline int block_count(int64_t first, int64_t last) {
    return static_cast<int>(last - first < kBlock ? last - first : kBlock);
}

template <int D, int F>
void forward(const Grid& grid, const GridCall& call, const GridSpan& span) {
    using Row = typename Lanes<F>::type;
    Points<D> points;
    Cells<D> cells;
    const int64_t stride = int64_t{grid.n_levels} * F;
    for (int64_t first = span.first; first < span.last; first += kBlock) {
        const int count = block_count(first, span.last);
        points.load(call.coords + first * D, count);
        for (int l = span.level_first; l < span.level_last; ++l) {
            const GridLevel& level = grid.levels[l];
            const float* table = call.table + int64_t{level.offset} * F;
            float* out = call.out + first * stride + int64_t{l} * F;
            cells.locate(points, level);
            for (int i = 0; i < count; ++i) {
                Row sum = {};
                for (int corner = 0; corner < cells.kCorners; ++corner) {
                    const Row values = *lanes<F>(table + int64_t{cells.row[corner][i]} * F);
                    sum += cells.weight[corner][i] * values;
                }
                *lanes<F>(out + i * stride) = sum;
            }
        }
    }
}

template <int D, int F>
void table_gradient(const Grid& grid, const GridCall& call, const GridSpan& span, float* sums) {
    using Row = typename Lanes<F>::type;
    Points<D> points;
    Cells<D> cells;
    const int64_t stride = int64_t{grid.n_levels} * F;
    for (int64_t first = span.first; first < span.last; first += kBlock) {
        const int count = block_count(first, span.last);
        points.load(call.coords + first * D, count);
        for (int l = span.level_first; l < span.level_last; ++l) {
            const GridLevel& level = grid.levels[l];
            float* target = sums + int64_t{level.offset} * F;
            const float* gradient = call.gradient + first * stride + int64_t{l} * F;
            cells.locate(points, level);
            for (int i = 0; i < count; ++i) {
                const Row g = *lanes<F>(gradient + i * stride);
                for (int corner = 0; corner < cells.kCorners; ++corner) {
                    const int64_t at = int64_t{cells.row[corner][i]} * F;
                    *lanes<F>(target + at) += cells.weight[corner][i] * g;
                }
            }
        }
    }
}

// dots[corner][i] = the gradient of point i's features on this level, times the row of that corner.
template <int D, int F>
void dot_rows(const Cells<D>& cells, const float* table, const float* gradient, int64_t stride,
              int count, float (&dots)[1 << D][kBlock]) {
    for (int corner = 0; corner < cells.kCorners; ++corner) {
        for (int i = 0; i < count; ++i) {
            const float* values = table + int64_t{cells.row[corner][i]} * F;
            float dot = 0.0f;
            for (int f = 0; f < F; ++f) dot += gradient[i * stride + f] * values[f];
            dots[corner][i] = dot;
        }
        for (int i = count; i < kBlock; ++i) dots[corner][i] = 0.0f;
    }
}

template <int D, int F>
void coords_gradient(const Grid& grid, const GridCall& call, const GridSpan& span) {
    Points<D> points;
    Cells<D> cells;
    float dots[1 << D][kBlock];
    float slopes[D][kBlock];
    const int64_t stride = int64_t{grid.n_levels} * F;
    for (int64_t first = span.first; first < span.last; first += kBlock) {
        const int count = block_count(first, span.last);
        points.load(call.coords + first * D, count);
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < kBlock; ++i) slopes[d][i] = 0.0f;
        for (int l = 0; l < grid.n_levels; ++l) {
            const GridLevel& level = grid.levels[l];
            const float* table = call.table + int64_t{level.offset} * F;
            const float* gradient = call.gradient + first * stride + int64_t{l} * F;
            cells.locate(points, level);
            dot_rows<D, F>(cells, table, gradient, stride, count, dots);
            for (int d = 0; d < D; ++d)
                for (int corner = 0; corner < cells.kCorners; ++corner)
                    for (int i = 0; i < kBlock; ++i)
                        slopes[d][i] += level.scale * cells.slope(corner, d, i) * dots[corner][i];
        }
        for (int i = 0; i < count; ++i) {
            for (int d = 0; d < D; ++d) {
                const bool inside = points.x[d][i] > 0.0f && points.x[d][i] < 1.0f;
                call.out[(first + i) * D + d] = inside ? slopes[d][i] : 0.0f;
            }
        }
    }
}

// Calls `run` with the grid's numbers of axes and features as types to choose a template by.
template <int N>
struct Number {
    static constexpr int value = N;
};

template <int D, typename Run>
inline void with_features(int n_features, Run run) {
    switch (n_features) {
        case 1:
            return run(Number<D>{}, Number<1>{});
        case 2:
            return run(Number<D>{}, Number<2>{});
        case 4:
            return run(Number<D>{}, Number<4>{});
        case 8:
            return run(Number<D>{}, Number<8>{});
    }
}

template <typename Run>
inline void with_shape(const Grid& grid, Run run) {
    switch (grid.n_dims) {
        case 1:
            return with_features<1>(grid.n_features, run);
        case 2:
            return with_features<2>(grid.n_features, run);
        case 3:
            return with_features<3>(grid.n_features, run);
        case 4:
            return with_features<4>(grid.n_features, run);
    }
}

void any_forward(const Grid& grid, const GridCall& call, const GridSpan& span) {
    with_shape(grid, [&](auto d, auto f) { forward<d.value, f.value>(grid, call, span); });
}

void any_table_gradient(const Grid& grid, const GridCall& call, const GridSpan& span, float* sums) {
    with_shape(grid,
               [&](auto d, auto f) { table_gradient<d.value, f.value>(grid, call, span, sums); });
}

void any_coords_gradient(const Grid& grid, const GridCall& call, const GridSpan& span) {
    with_shape(grid, [&](auto d, auto f) { coords_gradient<d.value, f.value>(grid, call, span); });
}

}  // namespace

const GridKernels INRCODEC_GRID_VARIANT = {any_forward, any_table_gradient, any_coords_gradient};

}  // namespace inrcodec
