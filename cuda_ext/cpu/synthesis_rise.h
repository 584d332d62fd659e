// Rows of latents at twice the size, for the kernels of the synthesis op alone.
//
// What is filtered along the rows is kept for some rows, and filtered along the columns when a row is
// asked for.
#pragma once

#include "../common/synthesis_kernels.h"
#include "whole_vector.h"

namespace inrcodec {
namespace {

constexpr double kLatentUnit = 4096.0;
constexpr double kLargestPixel = 0x1p25;
constexpr double kWeightUnit = 0x1p-16;
constexpr int64_t kKeptRows = 8;
constexpr int kEdge = 8;  // doubles before a line

// Room for a line of values that may be read and written a bit beyond its ends.
inline int64_t line_room(int64_t width) {
    return (kEdge + width + 63) / 64 * 64 + 64;
}

inline Doubles clipped(Doubles values) {
    return smaller(larger(values, splat(-kLargestPixel)), splat(kLargestPixel));
}

// A sum of products, with 1/2 added, as a latent.
inline Doubles latent(Doubles sum) {
    return clipped(round_shifted(sum, kWeightUnit));
}

template <int... I>
struct Indices {};
#if defined(__AVX512F__)
using Lower = Indices<0, 8, 1, 9, 2, 10, 3, 11>;
using Upper = Indices<4, 12, 5, 13, 6, 14, 7, 15>;
#elif defined(__AVX__)
using Lower = Indices<0, 4, 1, 5>;
using Upper = Indices<2, 6, 3, 7>;
#else
using Lower = Indices<0, 2>;
using Upper = Indices<1, 3>;
#endif

// Lane i of the result is lane I of a, or lane I - kLanes of b.
template <int... I>
inline Doubles choose(Doubles a, Doubles b, Indices<I...>) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, I...);
#else
    return __builtin_shuffle(a, b, Longs{I...});
#endif
}

// Twice the places: `line` goes on as at its ends for 2 values. Writes whole vectors.
inline void double_line(const double* line, const double* kernel, int64_t n, double* out) {
    const Doubles far = splat(kernel[0]), wide = splat(kernel[1]);
    const Doubles near = splat(kernel[2]), middle = splat(kernel[3]), half = splat(0.5);
    for (int64_t i = 0; i < n; i += kLanes) {
        const Doubles a = load(line + i - 2), b = load(line + i - 1), c = load(line + i);
        const Doubles d = load(line + i + 1), e = load(line + i + 2);
        const Doubles even = latent(half + far * a + near * b + middle * c + wide * d);
        const Doubles odd = latent(half + wide * b + middle * c + near * d + far * e);
        store(out + 2 * i, choose(even, odd, Lower{}));
        store(out + 2 * i + kLanes, choose(even, odd, Upper{}));
    }
}

// `line` goes on with 3 zeros.
inline void sharpen_line(const double* line, const double* kernel, int64_t n, double* out) {
    for (int64_t i = 0; i < n; i += kLanes) {
        Doubles sum = splat(0.5) + kernel[3] * load(line + i);
        for (int k = 0; k < 3; ++k)
            sum += kernel[k] * (load(line + i + k - 3) + load(line + i + 3 - k));
        store(out + i, latent(sum));
    }
}

inline void mix_rows(const double* const (&rows)[4], const double (&weights)[4], int64_t n,
                     double* out) {
    for (int64_t i = 0; i < n; i += kLanes) {
        Doubles sum = splat(0.5);
        for (int k = 0; k < 4; ++k) sum += weights[k] * load(rows[k] + i);
        store(out + i, latent(sum));
    }
}

inline void sharpen_rows(const double* const (&rows)[7], const double* kernel, int64_t n,
                         double* out) {
    for (int64_t i = 0; i < n; i += kLanes) {
        Doubles sum = splat(0.5) + kernel[3] * load(rows[3] + i);
        for (int k = 0; k < 3; ++k) sum += kernel[k] * (load(rows[k] + i) + load(rows[6 - k] + i));
        store(out + i, latent(sum));
    }
}

// The rows of all planes of a rise, from some row on, in order.
class RisenRows {
  public:
    static int64_t size(const Rise& rise) {
        return (kKeptRows * (rise.n_planes + 1) + 2) * line_room(rise.width);
    }

    RisenRows(const Rise& rise, int64_t first, double* scratch)
        : rise_(rise),
          room_(line_room(rise.width)),
          line_(scratch),
          zeros_(line_ + room_),
          sharp_(zeros_ + room_),
          doubled_(sharp_ + kKeptRows * room_),
          next_sharp_(first < 3 ? 0 : first - 3),
          next_doubled_(first / 2 < 2 ? 0 : first / 2 - 2) {
        const int64_t n = size(rise);
        for (int64_t i = 0; i < n; ++i) scratch[i] = 0.0;
    }

    // Writes row y of the plane of the finest level and of all planes of `rise`, a line each.
    void write(int64_t y, double* const* out) {
        if (rise_.n_planes == 0) return fill(rise_.fine + y * rise_.width, rise_.width, out[0]);
        write_sharp(y, out[0]);
        const bool odd = y & 1;
        const double* kernel = rise_.rise;
        const double even_weights[4] = {kernel[0], kernel[2], kernel[3], kernel[1]};
        const double odd_weights[4] = {kernel[1], kernel[3], kernel[2], kernel[0]};
        const int64_t top = y / 2 - (odd ? 1 : 2), end = rise_.coarse_height;
        while (next_doubled_ < end && next_doubled_ <= y / 2 + 2) double_row(next_doubled_++);
        for (int plane = 0; plane < rise_.n_planes; ++plane) {
            const double* rows[4];
            for (int k = 0; k < 4; ++k) {
                const int64_t row = top + k < 0 ? 0 : top + k < end ? top + k : end - 1;
                rows[k] = doubled(row, plane);
            }
            mix_rows(rows, odd ? odd_weights : even_weights, rise_.width, out[plane + 1]);
        }
    }

  private:
    static void fill(const int32_t* values, int64_t n, double* line) {
        for (int64_t i = 0; i < n; ++i) line[i] = values[i] * kLatentUnit;
    }

    void write_sharp(int64_t y, double* out) {
        while (next_sharp_ < rise_.height && next_sharp_ <= y + 3) {
            double* line = line_ + kEdge;
            fill(rise_.fine + next_sharp_ * rise_.width, rise_.width, line);
            for (int i = 1; i <= 3; ++i) line[-i] = line[rise_.width - 1 + i] = 0.0;
            sharpen_line(line, rise_.sharpen, rise_.width, sharp(next_sharp_++));
        }
        const double* rows[7];
        for (int k = 0; k < 7; ++k) {
            const int64_t row = y + k - 3;
            rows[k] = row < 0 || row >= rise_.height ? zeros_ : sharp(row);
        }
        sharpen_rows(rows, rise_.sharpen, rise_.width, out);
    }

    void double_row(int64_t row) {
        const int64_t n = rise_.coarse_width;
        double* line = line_ + kEdge;
        for (int plane = 0; plane < rise_.n_planes; ++plane) {
            const int32_t* values = rise_.coarse + (plane * rise_.coarse_height + row) * n;
            for (int64_t i = 0; i < n; ++i) line[i] = values[i];
            line[-2] = line[-1] = line[0];
            line[n] = line[n + 1] = line[n - 1];
            double_line(line, rise_.rise, n, doubled(row, plane));
        }
    }

    double* sharp(int64_t row) { return sharp_ + row % kKeptRows * room_; }

    double* doubled(int64_t row, int plane) {
        return doubled_ + (row % kKeptRows * rise_.n_planes + plane) * room_;
    }

    const Rise& rise_;
    int64_t room_;
    double *line_, *zeros_, *sharp_, *doubled_;
    int64_t next_sharp_, next_doubled_;
};

}  // namespace
}  // namespace inrcodec
