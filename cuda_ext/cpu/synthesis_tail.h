// The layers of 3 x 3 and what becomes of their sums, for the kernels of the synthesis op alone.
#pragma once

#include "synthesis_pointwise.h"

namespace inrcodec {
namespace {

constexpr double kResidual = 0x1p16;
constexpr double kLargestSum = 0x1p36;
constexpr double kPixelOne = 0x1p20;

// The values that the next layer sees: clipped first, as a sum may be above 2^52.
struct Kept {
    Doubles operator()(Doubles sum) const {
        const Doubles inside = smaller(larger(sum, Doubles{}), splat(kLargestPixel / kWeightUnit));
        return round_shifted(inside + 0.5, kWeightUnit);
    }
};

inline void pack_tail(const Synthesis& synthesis, const double* weights, double* packed) {
    double joined[9 * kMaxChannels * kMaxChannels];
    const int channels = synthesis.channels, n_in = 9 * channels;
    for (int layer = 0; layer < synthesis.n_tail; ++layer) {
        for (int i = 0; i < channels * n_in; ++i) joined[i] = weights[synthesis.tail[layer] + i];
        for (int c = 0; c < channels; ++c) joined[c * n_in + c * 9 + 4] += kResidual;  // the middle
        pack_rows(joined, channels, n_in, packed + synthesis.tail[layer]);
        for (int c = 0; c < channels; ++c) {
            const int64_t at = synthesis.tail_bias[layer] + c;
            packed[at] = weights[at];
        }
    }
}

// Keeps the latest rows of what each layer sees, and of the blend, and writes pixels when the rows
// for them are there.
class Tail {
  public:
    static int64_t size(const Synthesis& synthesis) {
        return (synthesis.n_tail + 1) * kKept * synthesis.channels * line_room(synthesis.width);
    }

    // For the rows [first, last) of pixels.
    Tail(const Synthesis& synthesis, const SynthesisCall& call, const double* packed, int64_t first,
         int64_t last, double* scratch)
        : synthesis_(synthesis),
          call_(call),
          room_(line_room(synthesis.width)),
          first_(first),
          last_(last),
          rows_(scratch) {
        for (int i = 0; i < synthesis.n_tail; ++i)
            layers_[i] = {packed + synthesis.tail[i], packed + synthesis.tail_bias[i],
                          synthesis.channels, 9 * synthesis.channels};
        for (int64_t i = 0; i < size(synthesis); ++i) scratch[i] = 0.0;
    }

    // Row y of what a layer sees, or, after the last layer, of the blend: a line of each channel.
    double* values(int layer, int64_t y) {
        return rows_ + (layer * kKept + y % kKept) * synthesis_.channels * room_ + kEdge;
    }

    double* blend(int64_t y) { return values(synthesis_.n_tail, y); }

    // Row y of what a layer sees is written; rows come in order.
    void take_row(int layer, int64_t y) {
        double* line = values(layer, y);
        for (int c = 0; c < synthesis_.channels; ++c, line += room_) {
            line[-1] = line[0];
            line[synthesis_.width] = line[synthesis_.width - 1];
        }
        const int64_t after = synthesis_.n_tail - layer - 1;  // layers
        if (y > 0 && y - 1 >= first_ - after) run(layer, y - 1);
        if (y == synthesis_.height - 1) run(layer, y);
    }

  private:
    static constexpr int64_t kKept = 4;  // rows

    // Row y of what the layer computes.
    void run(int layer, int64_t y) {
        if (layer + 1 == synthesis_.n_tail) {
            if (y < last_) run_last(y);
            return;
        }
        double* out = values(layer + 1, y);
        for_tiles(layer, y, [&](int64_t x, const double* const* in) {
            multiply(layers_[layer], in, vectors_of(synthesis_.width - x), Kept{}, out + x, room_);
        });
        take_row(layer + 1, y);
    }

    void run_last(int64_t y) {
        for_tiles(synthesis_.n_tail - 1, y, [&](int64_t x, const double* const* in) {
            alignas(kWholeAlignment) double sums[kMaxChannels * kTile];
            const int n_vectors = vectors_of(synthesis_.width - x);
            multiply(layers_[synthesis_.n_tail - 1], in, n_vectors, Plain{}, sums, kTile);
            write_pixels(sums, n_vectors, x, y);
        });
    }

    // Calls what(x, the runs of inputs that begin there) for all tiles of a row.
    template <typename What>
    void for_tiles(int layer, int64_t y, const What& what) {
        const int64_t end = synthesis_.height - 1;
        const double* rows[3] = {values(layer, y > 0 ? y - 1 : 0), values(layer, y),
                                 values(layer, y < end ? y + 1 : end)};
        const double* in[9 * kMaxChannels];
        for (int64_t x = 0; x < synthesis_.width; x += kTile) {
            for (int i = 0; i < layers_[layer].n_in; ++i)
                in[i] = rows[i / 3 % 3] + i / 9 * room_ + x + i % 3 - 1;
            what(x, in);
        }
    }

    void write_pixels(const double* sums, int n_vectors, int64_t x, int64_t y) {
        int32_t pixels[kMaxChannels * kTile];
        const int channels = synthesis_.channels;
        for (int c = 0; c < channels; ++c) {
            alignas(kWholeAlignment) double values[kTile] = {};
            const double* blend_line = blend(y) + c * room_ + x;
            const double offset = call_.offsets[c] * 16.0;
            for (int i = 0; i < n_vectors * kLanes; i += kLanes) {
                const Doubles tail = round_half_up(load(sums + c * kTile + i), 0x1p-6);
                const Doubles sum = smaller(
                    larger(tail + load(blend_line + i), splat(-kLargestSum)), splat(kLargestSum));
                const Doubles pixel = round_half_up(sum * call_.scale, 0x1p-24) + offset;
                store(values + i, smaller(larger(pixel, Doubles{}), splat(kPixelOne)));
            }
            for (int i = 0; i < kTile; ++i) pixels[c * kTile + i] = static_cast<int32_t>(values[i]);
        }
        const int64_t left = synthesis_.width - x;
        int32_t* out = call_.out + (y * synthesis_.width + x) * channels;
        if (channels == 3 && left >= kTile) return interleave<3>(pixels, 3, kTile, out);
        interleave<0>(pixels, channels, static_cast<int>(left < kTile ? left : kTile), out);
    }

    // To points of all channels from rows of one each, N of them unless N is 0.
    template <int N>
    static void interleave(const int32_t* rows, int n_rows, int n_points, int32_t* out) {
        const int n = N > 0 ? N : n_rows;
        for (int i = 0; i < n_points; ++i)
            for (int c = 0; c < n; ++c) out[i * n + c] = rows[c * kTile + i];
    }

    const Synthesis& synthesis_;
    const SynthesisCall& call_;
    Layer layers_[kMaxTail];
    int64_t room_, first_, last_;
    double* rows_;
};

}  // namespace
}  // namespace inrcodec
