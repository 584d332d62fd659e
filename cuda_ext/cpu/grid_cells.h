// Where the points of a block lie on one level: for each corner of a point's cell, or of its simplex,
// the row in the table and the weight. Stage by stage, each a loop over the points without branches,
// by vectors or plain, which the compiler turns into vectors. For grid_kernels.cpp, and under its
// rules.
#pragma once

#include "../common/grid_kernels.h"
#include "vector.h"

#if defined(__FMA__)
#include <immintrin.h>
#endif

namespace inrcodec {
namespace {

constexpr int kBlock = kGridBlock;

typedef double Doubles __attribute__((vector_size(8 * kLanes)));

// a * b + c, rounded once. Without a fused instruction, float64 gives the same but in about one of
// 2^29 cases, and there the last bit differs.
inline Floats fused(float a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(splat(a), b, c);
#elif defined(__FMA__)
    return _mm256_fmadd_ps(splat(a), b, c);
#elif defined(__ARM_FEATURE_FMA)
    for (int i = 0; i < kLanes; ++i) c[i] = __builtin_fmaf(a, b[i], c[i]);
    return c;
#else
    const Doubles exact = double{a} * __builtin_convertvector(b, Doubles);
    return __builtin_convertvector(exact + __builtin_convertvector(c, Doubles), Floats);
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

// The way of each point of a block through the cells of a level, given a direction in coordinates.
template <int D>
struct Way {
    float step[D][kBlock];

    // On an axis on which a point is not inside of (0, 1) there is none.
    void find(const float* direction, int count, const Points<D>& points, const GridLevel& level,
              float skew) {
        for (int d = 0; d < D; ++d) {
            for (int i = 0; i < kBlock; ++i) {
                const bool inside = points.x[d][i] > 0.0f && points.x[d][i] < 1.0f;
                const float along = i < count ? direction[i * D + d] : 0.0f;
                step[d][i] = inside ? level.scale[d] * along : 0.0f;
            }
        }
        if (skew == 0.0f) return;
        for (int i = 0; i < kBlock; ++i) {
            float sum = step[0][i];
            for (int d = 1; d < D; ++d) sum += step[d][i];
            for (int d = 0; d < D; ++d) step[d][i] += skew * sum;
        }
    }
};

// Rows in the table of a level, as vectors. A row joins a term of each axis.
template <bool kHashed>
struct Rows {
    uint32_t stride[kMaxDims], size;

    explicit Rows(const GridLevel& level) : size(level.size) {
        for (int d = 0; d < kMaxDims; ++d) stride[d] = level.stride[d];
    }

    static Words join(Words a, Words b) { return kHashed ? a ^ b : a + b; }

    // What takes a row from a term to another, joined to it.
    static Words step(Words from, Words to) { return kHashed ? from ^ to : to - from; }

    // A dense row is below 2 * size (common/grid_checks.h), a hashed size is a power of two.
    Words wrap(Words row) const {
        if (kHashed) return row & (size - 1);
        return row >= size ? row - size : row;
    }
};

// The cell of each point: its lowest vertex and the place within, in [0, 1).
template <int N>
struct Cells {
    static constexpr int D = N;
    uint32_t vertex[D][kBlock];
    float fraction[D][kBlock];

  protected:
    void find_cells(const Points<D>& points, const GridLevel& level, float skew) {
        for (int i = 0; i < kBlock; i += kLanes) {
            Floats place[D];
            for (int d = 0; d < D; ++d)
                place[d] = fused(level.scale[d], load(&points.x[d][i]), splat(0.5f));
            if (skew != 0.0f) {
                Floats sum = place[0];
                for (int d = 1; d < D; ++d) sum += place[d];
                for (int d = 0; d < D; ++d) place[d] = fused(skew, sum, place[d]);
            }
            for (int d = 0; d < D; ++d) {
                const Ints cell = __builtin_convertvector(place[d], Ints);
                store(&vertex[d][i], reinterpret_cast<const Words&>(cell));
                store(&fraction[d][i], place[d] - __builtin_convertvector(cell, Floats));
            }
        }
    }

    // Calls find(Rows) with the kind of rows that a level has.
    template <typename Find>
    static void with_rows(const GridLevel& level, Find find) {
        if (level.hashed) {
            find(Rows<true>(level));
        } else {
            find(Rows<false>(level));
        }
    }
};

// The lowest corner of a cell alone.
template <int N>
struct VertexCells : Cells<N> {
    using Cells<N>::D;
    using Cells<N>::vertex;
    static constexpr int kCorners = 1;
    uint32_t row[kCorners][kBlock];
    float weight[kCorners][kBlock];

    void locate(const Points<D>& points, const GridLevel& level, float skew) {
        this->find_cells(points, level, skew);
        this->with_rows(level, [&](auto rows) {
            for (int i = 0; i < kBlock; i += kLanes) {
                Words r{};
                for (int d = 0; d < D; ++d) r = rows.join(r, load(&vertex[d][i]) * rows.stride[d]);
                store(&row[0][i], rows.wrap(r));
                store(&weight[0][i], splat(1.0f));
            }
        });
    }

    // Its value is the same all over the cell.
    void turn(const Way<D>&) {
        for (int i = 0; i < kBlock; ++i) weight[0][i] = 0.0f;
    }
    void add_slopes(const float (&)[kCorners][kBlock], float (&)[D][kBlock]) const {}
    void add_bends(const float (&)[kCorners][kBlock], const Way<D>&, float (&)[D][kBlock]) const {}
};

// All corners of a cell; bit d of a corner's number says whether it is the upper one on axis d. If
// smooth, a place f in the cell counts as f^2 (3 - 2 f) on each axis.
template <int N, bool kSmooth>
struct AnyCubeCells : Cells<N> {
    using Cells<N>::D;
    using Cells<N>::vertex;
    using Cells<N>::fraction;
    static constexpr int kCorners = 1 << D;
    uint32_t row[kCorners][kBlock];
    float weight[kCorners][kBlock];

    void locate(const Points<D>& points, const GridLevel& level, float skew) {
        this->find_cells(points, level, skew);
        if (kSmooth) smooth_fractions();
        this->with_rows(level, [&](auto rows) { find_corners(rows); });
    }

    // Replaces the weights by their derivatives on a way.
    void turn(const Way<D>& way) {
        for (int corner = 0; corner < kCorners; ++corner) {
            for (int i = 0; i < kBlock; ++i) {
                float sum = 0.0f;
                for (int d = 0; d < D; ++d) sum += slope(corner, d, i) * way.step[d][i];
                weight[corner][i] = sum;
            }
        }
    }

    // Adds, for a value at each corner, the interpolated value's derivative along each axis.
    void add_slopes(const float (&values)[kCorners][kBlock], float (&slopes)[D][kBlock]) const {
        for (int d = 0; d < D; ++d)
            for (int corner = 0; corner < kCorners; ++corner)
                for (int i = 0; i < kBlock; ++i)
                    slopes[d][i] += slope(corner, d, i) * values[corner][i];
    }

    // Likewise of the interpolated value's derivative on a way.
    void add_bends(const float (&values)[kCorners][kBlock], const Way<D>& way,
                   float (&slopes)[D][kBlock]) const {
        for (int d = 0; d < D; ++d)
            for (int other = 0; other < D; ++other)
                for (int corner = 0; corner < kCorners; ++corner)
                    for (int i = 0; i < kBlock; ++i)
                        slopes[d][i] +=
                            bend(corner, d, other, i) * way.step[other][i] * values[corner][i];
    }

  private:
    float steepness[kSmooth ? D : 1][kBlock];  // of a smoothed fraction
    float curvature[kSmooth ? D : 1][kBlock];

    template <class Rows>
    void find_corners(const Rows& rows) {
        for (int i = 0; i < kBlock; i += kLanes) {
            Words terms[D][2];
            Floats parts[D][2];
            for (int d = 0; d < D; ++d) {
                terms[d][0] = load(&vertex[d][i]) * rows.stride[d];
                terms[d][1] = terms[d][0] + rows.stride[d];
                parts[d][1] = load(&fraction[d][i]);
                parts[d][0] = 1.0f - parts[d][1];
            }
            for (int corner = 0; corner < kCorners; ++corner) {
                Words r = terms[0][corner & 1];
                Floats w = parts[0][corner & 1];
                for (int d = 1; d < D; ++d) {
                    r = rows.join(r, terms[d][(corner >> d) & 1]);
                    w *= parts[d][(corner >> d) & 1];
                }
                store(&row[corner][i], rows.wrap(r));
                store(&weight[corner][i], w);
            }
        }
    }

    void smooth_fractions() {
        for (int d = 0; d < D; ++d) {
            for (int i = 0; i < kBlock; ++i) {
                const float f = fraction[d][i];
                steepness[kSmooth ? d : 0][i] = 6.0f * f * (1.0f - f);
                curvature[kSmooth ? d : 0][i] = 6.0f - 12.0f * f;
                fraction[d][i] = f * f * (3.0f - 2.0f * f);
            }
        }
    }

    // The derivative of a corner's weight along one axis of the cell.
    float slope(int corner, int axis, int i) const {
        const float others = product(corner, axis, -1, i);
        const float up = kSmooth ? steepness[kSmooth ? axis : 0][i] * others : others;
        return (corner >> axis) & 1 ? up : -up;
    }

    // The derivative of that along another axis, or along the same.
    float bend(int corner, int axis, int other, int i) const {
        if (axis == other) {
            const float up =
                kSmooth ? curvature[kSmooth ? axis : 0][i] * product(corner, axis, -1, i) : 0.0f;
            return (corner >> axis) & 1 ? up : -up;
        }
        float up = product(corner, axis, other, i);
        if (kSmooth) up *= steepness[kSmooth ? axis : 0][i] * steepness[kSmooth ? other : 0][i];
        return ((corner >> axis) ^ (corner >> other)) & 1 ? -up : up;
    }

    // The product of f or 1 - f over all axes but two.
    float product(int corner, int without, int nor, int i) const {
        float w = 1.0f;
        for (int d = 0; d < D; ++d) {
            const float f = fraction[d][i];
            if (d != without && d != nor) w *= (corner >> d) & 1 ? f : 1.0f - f;
        }
        return w;
    }
};
template <int N>
struct CubeCells : AnyCubeCells<N, false> {};
template <int N>
struct SmoothCubeCells : AnyCubeCells<N, true> {};

// The corners of the simplex that a point lies in: from the cell's lowest vertex a step along one
// axis after the other, by falling fraction; of equal ones the lower axis first.
template <int N>
struct SimplexCells : Cells<N> {
    using Cells<N>::D;
    using Cells<N>::vertex;
    using Cells<N>::fraction;
    static constexpr int kCorners = D + 1;
    uint32_t row[kCorners][kBlock];
    float weight[kCorners][kBlock];

    void locate(const Points<D>& points, const GridLevel& level, float skew) {
        this->find_cells(points, level, skew);
        this->with_rows(level, [&](auto rows) { find_corners(rows); });
    }

    // Replaces the weights by their derivatives on a way.
    void turn(const Way<D>& way) {
        rank_axes();
        for (int corner = 0; corner < kCorners; ++corner)
            for (int i = 0; i < kBlock; ++i) weight[corner][i] = 0.0f;
        for (int d = 0; d < D; ++d) {
            for (int corner = 0; corner < D; ++corner) {
                for (int i = 0; i < kBlock; ++i) {
                    const float step = rank[d][i] == corner ? way.step[d][i] : 0.0f;
                    weight[corner][i] -= step;
                    weight[corner + 1][i] += step;
                }
            }
        }
    }

    // Adds, for a value at each corner, the interpolated value's derivative along each axis.
    void add_slopes(const float (&values)[kCorners][kBlock], float (&slopes)[D][kBlock]) {
        rank_axes();
        for (int d = 0; d < D; ++d)
            for (int corner = 0; corner < D; ++corner)
                for (int i = 0; i < kBlock; ++i)
                    slopes[d][i] +=
                        rank[d][i] == corner ? values[corner + 1][i] - values[corner][i] : 0.0f;
    }

    // It is linear in the simplex.
    void add_bends(const float (&)[kCorners][kBlock], const Way<D>&, float (&)[D][kBlock]) const {}

  private:
    int32_t rank[D][kBlock];  // how many axes come before

    void rank_axes() {
        for (int d = 0; d < D; ++d)
            for (int i = 0; i < kBlock; ++i) rank[d][i] = 0;
        for (int high = 1; high < D; ++high) {
            for (int low = 0; low < high; ++low) {
                for (int i = 0; i < kBlock; ++i) {
                    const int32_t is_low_first = fraction[low][i] >= fraction[high][i] ? 1 : 0;
                    rank[high][i] += is_low_first;
                    rank[low][i] += 1 - is_low_first;
                }
            }
        }
    }

    // Sorts the axes by falling fraction, each with the step that it changes a row by. A weight is
    // the difference of a fraction to the next one: from 1 down to the largest, ..., the smallest.
    template <class Rows>
    void find_corners(const Rows& rows) {
        for (int i = 0; i < kBlock; i += kLanes) {
            Floats place[D + 1];
            Words step[D], r{};
            for (int d = 0; d < D; ++d) {
                const Words low = load(&vertex[d][i]) * rows.stride[d];
                place[d] = load(&fraction[d][i]);
                step[d] = rows.step(low, low + rows.stride[d]);
                r = rows.join(r, low);
            }
            place[D] = Floats{};
            for (int last = D - 1; last > 0; --last)
                for (int at = 0; at < last; ++at)
                    order(place[at], place[at + 1], step[at], step[at + 1]);
            store(&row[0][i], rows.wrap(r));
            store(&weight[0][i], 1.0f - place[0]);
            for (int d = 0; d < D; ++d) {
                r = rows.join(r, step[d]);
                store(&row[d + 1][i], rows.wrap(r));
                store(&weight[d + 1][i], place[d] - place[d + 1]);
            }
        }
    }

    // Exchanges the two if the second place is the larger one.
    static void order(Floats& place, Floats& next, Words& step, Words& next_step) {
        const Ints is_less = place < next;
        const Floats large = is_less ? next : place;
        const Words first = is_less ? next_step : step;
        next = is_less ? place : next;
        next_step = is_less ? step : next_step;
        place = large;
        step = first;
    }
};

}  // namespace
}  // namespace inrcodec
