// The synthesis of pixels on the way back, for the kernels of the latent_fit op alone. Hidden values
// are found anew, which costs less than memory would. Gradients are 0 beyond the ends of their rows,
// so that what pads a block counts nothing.
#pragma once

#include "latent_synthesis.h"

namespace inrcodec {
namespace {

// sums [n_out, n_in] of vectors to floats, [n_out, n_in - 1] of weights and [n_out] of biases.
inline void store_sums(const float* sums, int n_out, int n_in, float* weights, float* biases) {
    for (int o = 0; o < n_out; ++o) {
        const Floats* row = vectors(sums) + int64_t{o} * n_in;
        for (int k = 0; k < n_in - 1; ++k) weights[o * (n_in - 1) + k] = total(row[k]);
        biases[o] = total(row[n_in - 1]);
    }
}

// --- the tail ------------------------------------------------------------------------------------

// Adds the gradient of row `row` of a layer, which may lie beyond the ends, to rows `out`, from that of
// what comes out; `column`: of the block.
inline void gather_tail(const FitShape& shape, const FitSynthesis& call, const Product& product,
                        int layer, int row, int column, int padded, const SynthesisWork& work,
                        float* const* out) {
    const float* in[kMaxTailInputs];
    for (int c = 0; c < shape.n_channels; ++c) {
        const float* plane = call.layers_gradient[layer + 1] + c * call.plane();
        for (int i = 0; i < 9; ++i) {
            const int64_t y = row + 1 - i / 3;
            const bool is_inside = y >= 0 && y < call.height;
            in[9 * c + i] = is_inside ? plane + y * call.stride + column + 1 - i % 3 : work.zeros;
        }
    }
    multiply<Finish::kPlain>(product, in, out, padded);
}

// What a row's ends get of their repetitions beyond, at `side` 0 left, 1 right; dy runs over the rows
// that `row`, and its own repetitions, are seen from.
inline void fold_end(const FitShape& shape, const FitSynthesis& call, const Product& product,
                     int layer, int row, int side, float* const* out) {
    const int end = side ? call.width - 1 : 0, dx = side ? 2 : 0;
    for (int y = row - 1; y <= row + 1; ++y) {
        if (y < 0 || y >= call.height) continue;
        for (int dy = 0; dy < 3; ++dy) {
            if (clamped(y + dy - 1, call.height) != row) continue;
            for (int c = 0; c < shape.n_channels; ++c) {
                const int64_t at = c * call.plane() + y * call.stride + end;
                const float slope = call.layers_gradient[layer + 1][at];
                for (int k = 0; k < shape.n_channels; ++k) {
                    const int64_t place =
                        packed_place(product.n_out, product.n_in, k, 9 * c + 3 * dy + dx);
                    out[k][end] += product.packed[place] * slope;
                }
            }
        }
    }
}

// The gradient of one row of a layer.
inline void pass_tail_row(const FitShape& shape, const FitSynthesis& call, const Product& product,
                          int layer, int row, const SynthesisWork& work) {
    float* rows[kMaxFitChannels];
    for (int c = 0; c < shape.n_channels; ++c)
        rows[c] = call.layers_gradient[layer] + c * call.plane() + row * call.stride;
    for_blocks(call.width, [&](int column, int count) {
        const int padded = padded_columns(count);
        float* out[kMaxFitChannels];
        for (int c = 0; c < shape.n_channels; ++c) out[c] = rows[c] + column;
        gather_tail(shape, call, product, layer, row, column, padded, work, out);
        for (int side = 0; side < 2; ++side) {
            const int beyond = side ? call.height : -1;
            if (clamped(beyond, call.height) != row) continue;
            gather_tail(shape, call, product, layer, beyond, column, padded, work, work.out);
            for (int c = 0; c < shape.n_channels; ++c)
                for (int i = 0; i < count; ++i) out[c][i] += work.out[c][i];
        }
    });
    for (int side = 0; side < 2; ++side) fold_end(shape, call, product, layer, row, side, rows);
    for (int c = 0; c < shape.n_channels; ++c) {
        const float* values = call.layers[layer] + c * call.plane() + row * call.stride;
        for (int x = 0; layer > 0 && x < call.width; ++x)
            rows[c][x] = values[x] > 0.0f ? rows[c][x] : 0.0f;
        seal_with_zeros(rows[c], call.width);
    }
}

void pass_tail(const FitShape& shape, const FitSynthesis& call, int layer, int first, int last,
               float* sums, float* scratch) {
    const SynthesisWeights weights(shape, const_cast<float*>(call.packed));
    const SynthesisWork work(shape, scratch);
    const int n = shape.n_channels;
    for (int64_t i = 0; i < work.n_floats; ++i) scratch[i] = 0.0f;
    for (int i = 0; i < kFitBlock; ++i) work.ones[i] = 1.0f;
    for (int y = first; y < last; ++y) {
        for_blocks(call.width, [&](int column, int count) {
            const float *in[kMaxTailInputs], *slopes[kMaxFitChannels];
            load_tail(shape, call, layer, y, column, in);
            in[9 * n] = work.ones;
            for (int c = 0; c < n; ++c)
                slopes[c] =
                    call.layers_gradient[layer + 1] + c * call.plane() + y * call.stride + column;
            add_products(slopes, n, in, 9 * n + 1, padded_columns(count), vectors(work.tail));
        });
        pass_tail_row(shape, call, weights.back_tails[layer], layer, y, work);
    }
    store_sums(work.tail, n, 9 * n + 1, sums, sums + int64_t{9} * n * n);
}

// --- the hidden layer ----------------------------------------------------------------------------

// All gradients at a block of a row.
inline void pass_lift_block(const FitShape& shape, const FitSynthesis& call,
                            const SynthesisWeights& weights, int64_t at, int padded,
                            const SynthesisWork& work) {
    const int m = shape.n_hidden, n = shape.n_channels, levels = shape.n_levels;
    const float* in[kMaxFitGrids + 1];
    const float* slopes[kMaxFitChannels];
    const float* backs[kMaxFitHidden + kMaxFitChannels];
    float* out[kMaxFitGrids];
    for (int k = 0; k < levels; ++k) in[k] = call.stack + k * call.plane() + at;
    for (int k = 0; k < levels; ++k) out[k] = call.stack_gradient + k * call.plane() + at;
    in[levels] = work.ones;
    for (int c = 0; c < n; ++c) slopes[c] = call.layers_gradient[0] + c * call.plane() + at;
    for (int i = 0; i < m; ++i) backs[i] = work.back[i];
    for (int c = 0; c < n; ++c)
        backs[m + c] = call.layers_gradient[shape.n_tails] + c * call.plane() + at;

    multiply<Finish::kRelu>(weights.lift, in, work.hidden, padded);
    const float* hidden[kMaxFitHidden + 1];
    for (int i = 0; i < m; ++i) hidden[i] = work.hidden[i];
    hidden[m] = work.ones;
    add_products(slopes, n, hidden, m + 1, padded, vectors(work.lower));
    multiply<Finish::kMasked>(weights.back_lower, slopes, work.back, padded, work.hidden);
    add_products(work.back, m, in, levels + 1, padded, vectors(work.lift));
    add_products(backs + m, n, in, levels, padded, vectors(work.blend));
    multiply<Finish::kPlain>(weights.back_lift, backs, out, padded);
}

void pass_lift(const FitShape& shape, const FitSynthesis& call, int first, int last, float* sums,
               float* scratch) {
    const SynthesisWeights weights(shape, const_cast<float*>(call.packed));
    const SynthesisWork work(shape, scratch);
    const int64_t m = shape.n_hidden, n = shape.n_channels, levels = shape.n_levels;
    for (int64_t i = 0; i < work.n_floats; ++i) scratch[i] = 0.0f;
    for (int i = 0; i < kFitBlock; ++i) work.ones[i] = 1.0f;
    for (int64_t y = first; y < last; ++y) {
        for_blocks(call.width, [&](int column, int count) {
            pass_lift_block(shape, call, weights, y * call.stride + column, padded_columns(count),
                            work);
        });
        for (int k = 0; k < levels; ++k)
            seal_with_zeros(call.stack_gradient + k * call.plane() + y * call.stride, call.width);
    }
    float* const lower = sums + m * levels;
    float* const blend = lower + n * m;
    float* const biases = blend + n * levels;
    store_sums(work.lift, m, levels + 1, sums, biases);
    store_sums(work.lower, n, m + 1, lower, biases + m);
    for (int64_t i = 0; i < n * levels; ++i) blend[i] = total(vectors(work.blend)[i]);
}

}  // namespace
}  // namespace inrcodec
