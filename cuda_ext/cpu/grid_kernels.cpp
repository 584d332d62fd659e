// Grid encode on the CPU, in float32. Threads and data: a call works on one span, in blocks of
// kGridBlock points; rows and weights are found for a block at once (grid_cells.h), and the sums run
// over the features of a row at once.
// A short block is padded: every point takes the same instructions wherever the work is cut.
//
// This file is compiled once per instruction set; INRCODEC_GRID_VARIANT names the result. It must not
// use the STL nor define anything external but that: of an inline function that several variants
// share the linker keeps one copy, maybe one with instructions that the machine lacks.
#include "../common/grid_kernels.h"

#include "grid_cells.h"

namespace inrcodec {
namespace {

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

inline int block_count(int64_t first, int64_t last) {
    return static_cast<int>(last - first < kBlock ? last - first : kBlock);
}

// Where the points of a block lie on a level, and what each corner counts.
template <class Cells, int D>
inline void place(Cells& cells, Way<D>& way, const Points<D>& points, const Grid& grid,
                  const GridLevel& level, const float* direction, int count) {
    cells.locate(points, level, grid.skew);
    if (direction == nullptr) return;
    way.find(direction, count, points, level, grid.skew);
    cells.turn(way);
}

inline const float* direction_at(const GridCall& call, int64_t point, int n_dims) {
    return call.direction == nullptr ? nullptr : call.direction + point * n_dims;
}

template <class Cells, int F>
void forward(const Grid& grid, const GridCall& call, const GridSpan& span) {
    using Row = typename Lanes<F>::type;
    constexpr int D = Cells::D;
    Points<D> points;
    Way<D> way;
    Cells cells;
    const int64_t stride = int64_t{grid.n_levels} * F;
    for (int64_t first = span.first; first < span.last; first += kBlock) {
        const int count = block_count(first, span.last);
        points.load(call.coords + first * D, count);
        for (int l = span.level_first; l < span.level_last; ++l) {
            const GridLevel& level = grid.levels[l];
            const float* table = call.table + int64_t{level.offset} * F;
            float* out = call.out + first * stride + int64_t{l} * F;
            place(cells, way, points, grid, level, direction_at(call, first, D), count);
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

template <class Cells, int F>
void table_gradient(const Grid& grid, const GridCall& call, const GridSpan& span, float* sums) {
    using Row = typename Lanes<F>::type;
    constexpr int D = Cells::D;
    Points<D> points;
    Way<D> way;
    Cells cells;
    const int64_t stride = int64_t{grid.n_levels} * F;
    for (int64_t first = span.first; first < span.last; first += kBlock) {
        const int count = block_count(first, span.last);
        points.load(call.coords + first * D, count);
        for (int l = span.level_first; l < span.level_last; ++l) {
            const GridLevel& level = grid.levels[l];
            float* target = sums + int64_t{level.offset} * F;
            const float* gradient = call.gradient + first * stride + int64_t{l} * F;
            place(cells, way, points, grid, level, direction_at(call, first, D), count);
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
template <class Cells, int F>
void dot_rows(const Cells& cells, const float* table, const float* gradient, int64_t stride,
              int count, float (&dots)[Cells::kCorners][kBlock]) {
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

// From derivatives along the axes of a cell to those by the coordinates.
template <int D>
void add_scaled(const float (&slopes)[D][kBlock], const GridLevel& level, float skew,
                float (&total)[D][kBlock]) {
    for (int i = 0; i < kBlock; ++i) {
        float sum = slopes[0][i];
        for (int d = 1; d < D; ++d) sum += slopes[d][i];
        const float shared = skew != 0.0f ? skew * sum : 0.0f;
        for (int d = 0; d < D; ++d) total[d][i] += level.scale[d] * (slopes[d][i] + shared);
    }
}

template <class Cells, int F>
void coords_gradient(const Grid& grid, const GridCall& call, const GridSpan& span) {
    constexpr int D = Cells::D;
    Points<D> points;
    Way<D> way;
    Cells cells;
    float dots[Cells::kCorners][kBlock];
    float slopes[D][kBlock], total[D][kBlock];
    const int64_t stride = int64_t{grid.n_levels} * F;
    for (int64_t first = span.first; first < span.last; first += kBlock) {
        const int count = block_count(first, span.last);
        points.load(call.coords + first * D, count);
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < kBlock; ++i) total[d][i] = 0.0f;
        for (int l = 0; l < grid.n_levels; ++l) {
            const GridLevel& level = grid.levels[l];
            const float* table = call.table + int64_t{level.offset} * F;
            const float* gradient = call.gradient + first * stride + int64_t{l} * F;
            cells.locate(points, level, grid.skew);
            dot_rows<Cells, F>(cells, table, gradient, stride, count, dots);
            for (int d = 0; d < D; ++d)
                for (int i = 0; i < kBlock; ++i) slopes[d][i] = 0.0f;
            if (const float* direction = direction_at(call, first, D)) {
                way.find(direction, count, points, level, grid.skew);
                cells.add_bends(dots, way, slopes);
            } else {
                cells.add_slopes(dots, slopes);
            }
            add_scaled(slopes, level, grid.skew, total);
        }
        for (int i = 0; i < count; ++i) {
            for (int d = 0; d < D; ++d) {
                const bool inside = points.x[d][i] > 0.0f && points.x[d][i] < 1.0f;
                call.out[(first + i) * D + d] = inside ? total[d][i] : 0.0f;
            }
        }
    }
}

// Calls `run` with the grid's kind of cells and number of features as types to choose a template by.
template <int N>
struct Number {
    static constexpr int value = N;
};
template <class T>
struct Type {
    using type = T;
};

template <class Cells, typename Run>
inline void with_features(int n_features, Run run) {
    switch (n_features) {
        case 1:
            return run(Type<Cells>{}, Number<1>{});
        case 2:
            return run(Type<Cells>{}, Number<2>{});
        case 4:
            return run(Type<Cells>{}, Number<4>{});
        case 8:
            return run(Type<Cells>{}, Number<8>{});
    }
}

template <template <int> class CellsOf, typename Run>
inline void with_dims(const Grid& grid, Run run) {
    switch (grid.n_dims) {
        case 1:
            return with_features<CellsOf<1>>(grid.n_features, run);
        case 2:
            return with_features<CellsOf<2>>(grid.n_features, run);
        case 3:
            return with_features<CellsOf<3>>(grid.n_features, run);
        case 4:
            return with_features<CellsOf<4>>(grid.n_features, run);
    }
}

template <typename Run>
inline void with_shape(const Grid& grid, Run run) {
    switch (grid.corners) {
        case Corners::kCube:
            return with_dims<CubeCells>(grid, run);
        case Corners::kSmoothCube:
            return with_dims<SmoothCubeCells>(grid, run);
        case Corners::kVertex:
            return with_dims<VertexCells>(grid, run);
        case Corners::kSimplex:
            return with_dims<SimplexCells>(grid, run);
    }
}

void any_forward(const Grid& grid, const GridCall& call, const GridSpan& span) {
    with_shape(grid, [&](auto cells, auto n) {
        forward<typename decltype(cells)::type, decltype(n)::value>(grid, call, span);
    });
}

void any_table_gradient(const Grid& grid, const GridCall& call, const GridSpan& span, float* sums) {
    with_shape(grid, [&](auto cells, auto n) {
        table_gradient<typename decltype(cells)::type, decltype(n)::value>(grid, call, span, sums);
    });
}

void any_coords_gradient(const Grid& grid, const GridCall& call, const GridSpan& span) {
    with_shape(grid, [&](auto cells, auto n) {
        coords_gradient<typename decltype(cells)::type, decltype(n)::value>(grid, call, span);
    });
}

}  // namespace

const GridKernels INRCODEC_GRID_VARIANT = {any_forward, any_table_gradient, any_coords_gradient};

}  // namespace inrcodec
