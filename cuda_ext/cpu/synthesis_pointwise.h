// The layers of the synthesis that see one pixel alone, for the kernels of the synthesis op alone.
#pragma once

#include "synthesis_rise.h"
#include "whole_blocks.h"

namespace inrcodec {
namespace {

constexpr Rounded kLift = {kWeightUnit, 0.0, kLargestPixel};
constexpr Rounded kLower = {0x1p-10, -kLargestPixel, kLargestPixel};
constexpr double kNoBiases[kMaxChannels] = {};

inline void pack_pointwise(const Synthesis& synthesis, const double* weights, double* packed) {
    const int n_levels = synthesis.n_levels, n_hidden = synthesis.n_hidden;
    const int channels = synthesis.channels;
    pack_rows(weights + synthesis.lift, n_hidden, n_levels, packed + synthesis.lift);
    pack_rows(weights + synthesis.lower, channels, n_hidden, packed + synthesis.lower);
    pack_rows(weights + synthesis.blend, channels, n_levels, packed + synthesis.blend);
    pack_biases(weights + synthesis.lift_bias, n_hidden, packed + synthesis.lift_bias);
    pack_biases(weights + synthesis.lower_bias, channels, packed + synthesis.lower_bias);
}

class Pointwise {
  public:
    Pointwise(const Synthesis& synthesis, const double* packed)
        : width_(synthesis.width), room_(line_room(synthesis.width)) {
        const int n_levels = synthesis.n_levels, n_hidden = synthesis.n_hidden;
        const int channels = synthesis.channels;
        lift_ = {packed + synthesis.lift, packed + synthesis.lift_bias, n_hidden, n_levels};
        lower_ = {packed + synthesis.lower, packed + synthesis.lower_bias, channels, n_hidden};
        blend_ = {packed + synthesis.blend, kNoBiases, channels, n_levels};
    }

    // From a line of each level to a line of each channel, for the tail and beside it.
    void write(const double* const* levels, double* values, double* blend) const {
        alignas(kWholeAlignment) double hidden[kMaxHidden * kTile];
        const double *in[kMaxLatentLevels], *between[kMaxHidden];
        for (int i = 0; i < lift_.n_out; ++i) between[i] = hidden + i * kTile;
        for (int64_t x = 0; x < width_; x += kTile) {
            for (int i = 0; i < lift_.n_in; ++i) in[i] = levels[i] + x;
            const int n_vectors = vectors_of(width_ - x);
            multiply(lift_, in, n_vectors, kLift, hidden, kTile);
            multiply(lower_, between, n_vectors, kLower, values + x, room_);
            multiply(blend_, in, n_vectors, Plain{}, blend + x, room_);
        }
    }

  private:
    int64_t width_, room_;
    Layer lift_, lower_, blend_;
};

}  // namespace
}  // namespace inrcodec
