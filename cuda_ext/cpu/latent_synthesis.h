// The synthesis of pixels from upsampled latents, for the kernels of the latent_fit op alone: at each
// place a hidden layer, then a tail of 3x3 layers that add their input, with the ends repeated. Blocks
// of columns of a row go through a layer at once. The last layer of the tail adds the linear part of
// the hidden layer's inputs.
#pragma once

#include "latent_rows.h"

namespace inrcodec {
namespace {

constexpr int kMaxTailInputs = 9 * kMaxFitChannels + kMaxFitGrids;

// The weights as the products want them. Those of the tail hold the identity as well.
struct SynthesisWeights {
    Product lift, lower, tails[kMaxTails], back_lower, back_lift, back_tails[kMaxTails];
    int64_t n_floats;

    SynthesisWeights(const FitShape& shape, float* packed) {
        const int m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
        Pieces pieces{packed};
        const auto take = [&](int n_out, int n_in, bool has_biases) {
            const float* const weights = pieces.take(int64_t{n_out} * n_in);
            return Product{weights, has_biases ? pieces.take(n_out) : nullptr, n_out, n_in};
        };
        lift = take(m, levels, true);
        lower = take(c, m, true);
        back_lower = take(m, c, false);
        back_lift = take(levels, m + c, false);  // of hidden values and of the linear part
        for (int t = 0; t < shape.n_tails; ++t) {
            const bool is_last = t == shape.n_tails - 1;
            tails[t] = take(c, 9 * c + (is_last ? levels : 0), true);
            back_tails[t] = take(c, 9 * c, false);
        }
        n_floats = pieces.used;
    }
};

int64_t synthesis_packed(const FitShape& shape) {
    return SynthesisWeights(shape, nullptr).n_floats;
}

inline void put_weight(const Product& product, int row, int column, float value) {
    float* const weights = const_cast<float*>(product.packed);
    weights[packed_place(product.n_out, product.n_in, row, column)] = value;
}

inline void put_biases(const Product& product, const float* biases) {
    for (int o = 0; o < product.n_out; ++o) const_cast<float*>(product.biases)[o] = biases[o];
}

// Where each tensor begins in the parameters, behind those of the upsampling.
struct SynthesisPlaces {
    int64_t lift, lift_bias, lower, blend, tails, lower_bias, tail_biases;

    explicit SynthesisPlaces(const FitShape& shape) {
        const int64_t m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
        lift = 8 * (levels - 1);
        lift_bias = lift + m * levels;
        lower = lift_bias + m;
        blend = lower + c * m;
        tails = blend + c * levels;
        lower_bias = tails + 9 * shape.n_tails * c * c;
        tail_biases = lower_bias + c;
    }
};

void pack_tail(const FitShape& shape, const SynthesisWeights& weights, const float* parameters,
               int layer) {
    const int c = shape.n_channels;
    const SynthesisPlaces places(shape);
    const float* tail = parameters + places.tails + int64_t{9} * layer * c * c;
    for (int o = 0; o < c; ++o) {
        for (int k = 0; k < 9 * c; ++k) {
            const float value = tail[o * 9 * c + k] + (k == 9 * o + 4 ? 1.0f : 0.0f);
            put_weight(weights.tails[layer], o, k, value);
            put_weight(weights.back_tails[layer], k / 9, 9 * o + k % 9, value);
        }
        if (layer < shape.n_tails - 1) continue;
        for (int k = 0; k < shape.n_levels; ++k)
            put_weight(weights.tails[layer], o, 9 * c + k,
                       parameters[places.blend + int64_t{o} * shape.n_levels + k]);
    }
    put_biases(weights.tails[layer], parameters + places.tail_biases + layer * c);
}

void pack_synthesis(const FitShape& shape, const float* parameters, float* packed) {
    const SynthesisWeights weights(shape, packed);
    const SynthesisPlaces places(shape);
    const int m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
    for (int o = 0; o < m; ++o) {
        for (int k = 0; k < levels; ++k) {
            const float value = parameters[places.lift + int64_t{o} * levels + k];
            put_weight(weights.lift, o, k, value);
            put_weight(weights.back_lift, k, o, value);
        }
        for (int k = 0; k < c; ++k) {
            const float value = parameters[places.lower + int64_t{k} * m + o];
            put_weight(weights.lower, k, o, value);
            put_weight(weights.back_lower, o, k, value);
        }
    }
    for (int o = 0; o < c; ++o)
        for (int k = 0; k < levels; ++k)
            put_weight(weights.back_lift, k, m + o,
                       parameters[places.blend + int64_t{o} * levels + k]);
    put_biases(weights.lift, parameters + places.lift_bias);
    put_biases(weights.lower, parameters + places.lower_bias);
    for (int t = 0; t < shape.n_tails; ++t) pack_tail(shape, weights, parameters, t);
}

// Rows of a block, and sums of vectors: of lift [hidden, levels + 1], lower [channels, hidden + 1],
// blend [channels, levels] and one layer of the tail [channels, 9 channels + 1].
struct SynthesisWork {
    float *hidden[kMaxFitHidden], *back[kMaxFitHidden], *out[kMaxFitChannels], *ones, *zeros;
    float *lift, *lower, *blend, *tail;
    int64_t n_rows, n_floats;  // what rows take, and all

    SynthesisWork(const FitShape& shape, float* scratch) {
        const int64_t m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
        Pieces pieces{scratch};
        for (int i = 0; i < m; ++i) hidden[i] = pieces.take(kFitBlock);
        for (int i = 0; i < m; ++i) back[i] = pieces.take(kFitBlock);
        for (int i = 0; i < c; ++i) out[i] = pieces.take(kFitBlock);
        ones = pieces.take(kFitBlock);
        zeros = pieces.take(kFitBlock);
        n_rows = pieces.used;
        lift = pieces.take(m * (levels + 1) * kLanes);
        lower = pieces.take(c * (m + 1) * kLanes);
        blend = pieces.take(c * levels * kLanes);
        tail = pieces.take(c * (9 * c + 1) * kLanes);
        n_floats = pieces.used;
    }
};

int64_t synthesis_scratch(const FitShape& shape) {
    return SynthesisWork(shape, nullptr).n_floats;
}

// Calls run(column, count) for the blocks of a row.
template <typename Run>
inline void for_blocks(int width, Run run) {
    for (int column = 0; column < width; column += kFitBlock)
        run(column, width - column < kFitBlock ? width - column : kFitBlock);
}

void lift(const FitShape& shape, const FitSynthesis& call, int first, int last, float* scratch) {
    const SynthesisWeights weights(shape, const_cast<float*>(call.packed));
    const SynthesisWork work(shape, scratch);
    for (int64_t y = first; y < last; ++y) {
        float* const layer = call.layers[0] + y * call.stride;
        for_blocks(call.width, [&](int column, int count) {
            const int64_t at = y * call.stride + column;
            const float* in[kMaxFitGrids];
            float* out[kMaxFitChannels];
            for (int k = 0; k < shape.n_levels; ++k) in[k] = call.stack + k * call.plane() + at;
            for (int c = 0; c < shape.n_channels; ++c)
                out[c] = call.layers[0] + c * call.plane() + at;
            const int padded = padded_columns(count);
            multiply<Finish::kRelu>(weights.lift, in, work.hidden, padded);
            multiply<Finish::kPlain>(weights.lower, work.hidden, out, padded);
        });
        for (int c = 0; c < shape.n_channels; ++c)
            seal_with_ends(layer + c * call.plane(), call.width);
    }
}

// What a layer of the tail sees at a block: 3x3 places of each channel.
inline void load_tail(const FitShape& shape, const FitSynthesis& call, int layer, int row,
                      int column, const float** in) {
    for (int c = 0; c < shape.n_channels; ++c) {
        const float* plane = call.layers[layer] + c * call.plane();
        for (int i = 0; i < 9; ++i) {
            const int64_t y = clamped(row + i / 3 - 1, call.height);
            in[9 * c + i] = plane + y * call.stride + column + i % 3 - 1;
        }
    }
}

void tail(const FitShape& shape, const FitSynthesis& call, int layer, int first, int last,
          float* scratch) {
    const SynthesisWeights weights(shape, const_cast<float*>(call.packed));
    const SynthesisWork work(shape, scratch);
    const int n = shape.n_channels;
    const bool is_last = layer == shape.n_tails - 1;
    const int64_t area = int64_t{call.height} * call.width;
    for (int y = first; y < last; ++y) {
        for_blocks(call.width, [&](int column, int count) {
            const int64_t at = y * call.stride + column;
            const float* in[kMaxTailInputs];
            load_tail(shape, call, layer, y, column, in);
            const int padded = padded_columns(count);
            if (is_last) {
                for (int k = 0; k < shape.n_levels; ++k)
                    in[9 * n + k] = call.stack + k * call.plane() + at;
                multiply<Finish::kPlain>(weights.tails[layer], in, work.out, padded);
                float* const pixels = call.pixels + int64_t{y} * call.width + column;
                for (int c = 0; c < n; ++c) copy_row(work.out[c], count, pixels + c * area);
            } else {
                float* out[kMaxFitChannels];
                for (int c = 0; c < n; ++c) out[c] = call.layers[layer + 1] + c * call.plane() + at;
                multiply<Finish::kRelu>(weights.tails[layer], in, out, padded);
            }
        });
        for (int c = 0; c < n && !is_last; ++c)
            seal_with_ends(call.layers[layer + 1] + c * call.plane() + y * call.stride, call.width);
    }
}

}  // namespace
}  // namespace inrcodec
