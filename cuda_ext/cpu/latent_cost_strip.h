// The context model over a strip of a grid, there and back, for the kernels of the latent_fit op
// alone. A block of columns of one row goes through all layers and back while it is in the cache;
// each neighbour of a block is one run of the grid around it.
#pragma once

#include "../common/latent_fit_kernels.h"
#include "latent_cost_bits.h"

namespace inrcodec {
namespace {

constexpr int kMaxContext = 2 * kMaxFitNeighbours;
static_assert(kFitGroup % (kColumns * kLanes) == 0 && kFitBlock % kFitGroup == 0, "whole groups");

// The weights as the products want them, there and back. Where a layer adds its input, the weights
// hold the identity as well.
struct CostWeights {
    Product mix[2], ends, back_head, back_mix1, back_mix0;
    int64_t n_floats;

    CostWeights(const FitShape& shape, float* packed) {
        const int n = shape.n_context();
        Pieces pieces{packed};
        const auto take = [&](int n_out, int n_in, bool has_biases) {
            const float* const weights = pieces.take(int64_t{n_out} * n_in);
            return Product{weights, has_biases ? pieces.take(n_out) : nullptr, n_out, n_in};
        };
        mix[0] = take(n, n, true);
        mix[1] = take(n, n, true);
        ends = take(2, 2 * n, true);        // of hidden values and context
        back_head = take(n, 2, false);      // from both ends to the last hidden values
        back_mix1 = take(n, n, false);      // to the first ones
        back_mix0 = take(n, n + 2, false);  // of those and both ends, to the context
        n_floats = pieces.used;
    }
};

int64_t cost_packed(const FitShape& shape) {
    return CostWeights(shape, nullptr).n_floats;
}

inline void put(const Product& product, int row, int column, float value) {
    float* const weights = const_cast<float*>(product.packed);
    weights[packed_place(product.n_out, product.n_in, row, column)] = value;
}

void pack_cost(const FitShape& shape, const float* parameters, float* packed) {
    const CostWeights weights(shape, packed);
    const int n = shape.n_context();
    const float* const biases = parameters + int64_t{2} * n * n;
    const float* const ends = biases + 2 * n;
    for (int layer = 0; layer < 2; ++layer) {
        const float* mix = parameters + int64_t{layer} * n * n;
        for (int o = 0; o < n; ++o) {
            for (int k = 0; k < n; ++k) {
                const float value = mix[o * n + k] + (o == k ? 1.0f : 0.0f);
                put(weights.mix[layer], o, k, value);
                put(layer ? weights.back_mix1 : weights.back_mix0, k, o, value);
            }
            const_cast<float*>(weights.mix[layer].biases)[o] = biases[layer * n + o];
        }
    }
    for (int end = 0; end < 2; ++end) {
        for (int k = 0; k < n; ++k) {
            const float head = ends[end * n + k], direct = ends[(2 + end) * n + k];
            put(weights.ends, end, k, head);
            put(weights.ends, end, n + k, direct);
            put(weights.back_head, k, end, head);
            put(weights.back_mix0, k, n + end, direct);
        }
        const_cast<float*>(weights.ends.biases)[end] = ends[4 * n + end];
    }
}

// A buffer as rows of kFitBlock columns.
inline void take_rows(Pieces& pieces, int n_rows, float** rows) {
    for (int i = 0; i < n_rows; ++i) rows[i] = pieces.take(kFitBlock);
}

// The rows of one block, and the sums of a strip.
struct CostWork {
    float *features[kMaxContext], *ends[2], *bits, *by_value, *zeros, *ones;
    float *hidden[2][kMaxContext], *back[3][kMaxContext];  // back: to either hidden, to the context
    const float* context[kMaxContext + 1];                 // and a row of ones
    float *sums[2], *end_sums;                             // [n, n + 1] and [2, 2 n + 1] vectors

    CostWork(const FitShape& shape, float* scratch) {
        const int n = shape.n_context();
        Pieces pieces{scratch};
        take_rows(pieces, shape.n_features, features);
        take_rows(pieces, 2, ends);
        float** const singles[] = {&bits, &by_value, &zeros, &ones};
        for (float** row : singles) *row = pieces.take(kFitBlock);
        for (auto& rows : hidden) take_rows(pieces, n, rows);
        for (auto& rows : back) take_rows(pieces, n, rows);
        for (float*& sum : sums) sum = pieces.take(int64_t{n} * (n + 1) * kLanes);
        end_sums = pieces.take(int64_t{2} * (2 * n + 1) * kLanes);
        n_floats = pieces.used;
    }

    int64_t n_floats;
};

int64_t cost_scratch(const FitShape& shape) {
    return CostWork(shape, nullptr).n_floats;
}

// Where a block lies: columns [column, column + count) of a row, `padded` of them worked on.
struct CostBlock {
    int row, column, count, padded;
};

inline void load_context(const FitShape& shape, const CostGrid& grid, const CostBlock& block,
                         CostWork& work) {
    for (int k = 0; k < shape.n_neighbours; ++k) {
        const int64_t row = block.row + shape.rows[k];
        work.context[k] = grid.values + row * grid.stride + block.column + shape.columns[k];
    }
    for (int f = 0; f < shape.n_features; ++f) {
        work.context[shape.n_neighbours + f] = grid.features ? work.features[f] : work.zeros;
        if (!grid.features) continue;
        const float* from = grid.features + f * grid.feature_plane +
                            (block.row / 2) * grid.feature_stride + block.column / 2;
        float* __restrict to = work.features[f];
        for (int i = 0; i < block.padded / 2; ++i) to[2 * i] = to[2 * i + 1] = from[i];
    }
    work.context[shape.n_context()] = work.ones;
}

// The rows of `ends` become the slopes by the mean and by the scale.
inline float find_costs(const CostGrid& grid, const CostBlock& block, CostWork& work) {
    const float* values = grid.values + block.row * grid.stride + block.column;
    for (int at = 0; at < block.padded; at += kLanes) {
        const Cost cost =
            cost_of(load(values + at), load(work.ends[0] + at), load(work.ends[1] + at));
        store(work.bits + at, cost.bits);
        store(work.by_value + at, cost.by_value);
        store(work.ends[0] + at, cost.by_mean);
        store(work.ends[1] + at, cost.by_scale);
    }
    for (int i = block.count; i < block.padded; ++i)
        work.bits[i] = work.by_value[i] = work.ends[0][i] = work.ends[1][i] = 0.0f;
    Floats sum{};
    for (int at = 0; at < block.padded; at += kLanes) sum += load(work.bits + at);
    return total(sum);
}

inline Floats* sums_at(float* at) {
    return vectors(at);
}

// From the slopes at the ends to those of all weights and of the context.
inline void pass_back(const CostWeights& weights, const CostBlock& block, int n, CostWork& work) {
    const float* inputs[2 * kMaxContext + 1];  // of the ends, then of the second layer, and ones
    for (int k = 0; k < n; ++k) inputs[k] = work.hidden[1][k];
    for (int k = 0; k <= n; ++k) inputs[n + k] = work.context[k];
    add_products(work.ends, 2, inputs, 2 * n + 1, block.padded, sums_at(work.end_sums));
    multiply<Finish::kMasked>(weights.back_head, work.ends, work.back[1], block.padded,
                              work.hidden[1]);
    for (int k = 0; k < n; ++k) inputs[k] = work.hidden[0][k];
    inputs[n] = work.ones;
    add_products(work.back[1], n, inputs, n + 1, block.padded, sums_at(work.sums[1]));
    multiply<Finish::kMasked>(weights.back_mix1, work.back[1], work.back[0], block.padded,
                              work.hidden[0]);
    add_products(work.back[0], n, work.context, n + 1, block.padded, sums_at(work.sums[0]));
    for (int k = 0; k < n; ++k) inputs[k] = work.back[0][k];
    for (int end = 0; end < 2; ++end) inputs[n + end] = work.ends[end];
    multiply<Finish::kPlain>(weights.back_mix0, inputs, work.back[2], block.padded);
}

inline void add_row(const float* from, int count, float* __restrict to) {
    for (int i = 0; i < count; ++i) to[i] += from[i];
}

inline void scatter(const FitShape& shape, const CostStrip& strip, const CostBlock& block,
                    const CostWork& work) {
    const CostGrid& grid = *strip.grid;
    const auto row_of = [&](int row) {
        const bool is_above = row < strip.first;
        float* const rows = is_above ? strip.halo : grid.gradient;
        const int64_t number = is_above ? row - strip.first + kNeighbourRows : row;
        return rows + number * grid.stride + block.column;
    };
    add_row(work.by_value, block.count, row_of(block.row));
    for (int k = 0; k < shape.n_neighbours; ++k)
        add_row(work.back[2][k], block.count, row_of(block.row + shape.rows[k]) + shape.columns[k]);
    if (!grid.features) return;
    for (int f = 0; f < shape.n_features; ++f) {
        const float* from = work.back[2][shape.n_neighbours + f];
        float* __restrict to = grid.features_gradient + f * grid.feature_plane +
                               (block.row / 2) * grid.feature_stride + block.column / 2;
        for (int i = 0; i < block.padded / 2; ++i) to[i] += from[2 * i] + from[2 * i + 1];
    }
}

inline void store_sums(const CostWork& work, int n, float* gradient) {
    float* const biases = gradient + int64_t{2} * n * n;
    float* const ends = biases + 2 * n;
    for (int layer = 0; layer < 2; ++layer) {
        for (int o = 0; o < n; ++o) {
            const Floats* row = vectors(work.sums[layer]) + o * (n + 1);
            for (int k = 0; k < n; ++k) gradient[(layer * n + o) * n + k] = total(row[k]);
            biases[layer * n + o] = total(row[n]);
        }
    }
    for (int end = 0; end < 2; ++end) {
        const Floats* row = vectors(work.end_sums) + end * (2 * n + 1);
        for (int k = 0; k < n; ++k) ends[end * n + k] = total(row[k]);
        for (int k = 0; k < n; ++k) ends[(2 + end) * n + k] = total(row[n + k]);
        ends[4 * n + end] = total(row[2 * n]);
    }
}

double cost_strip(const FitShape& shape, const CostStrip& strip, const float* packed,
                  float* weights_gradient, float* scratch) {
    const int n = shape.n_context();
    const CostGrid& grid = *strip.grid;
    const CostWeights weights(shape, const_cast<float*>(packed));
    CostWork work(shape, scratch);
    for (int64_t i = 0; i < work.n_floats; ++i) scratch[i] = 0.0f;
    for (int i = 0; i < kFitBlock; ++i) work.ones[i] = 1.0f;
    double bits = 0.0;
    for (int row = strip.first; row < strip.last; ++row) {
        for (int column = 0; column < grid.width; column += kFitBlock) {
            const int left = grid.width - column, count = left < kFitBlock ? left : kFitBlock;
            const CostBlock block{row, column, count, padded_columns(count)};
            load_context(shape, grid, block, work);
            multiply<Finish::kRelu>(weights.mix[0], work.context, work.hidden[0], block.padded);
            multiply<Finish::kRelu>(weights.mix[1], work.hidden[0], work.hidden[1], block.padded);
            const float* inputs[2 * kMaxContext];
            for (int k = 0; k < n; ++k) inputs[k] = work.hidden[1][k];
            for (int k = 0; k < n; ++k) inputs[n + k] = work.context[k];
            multiply<Finish::kPlain>(weights.ends, inputs, work.ends, block.padded);
            bits += double{find_costs(grid, block, work)};
            pass_back(weights, block, n, work);
            scatter(shape, strip, block, work);
        }
    }
    store_sums(work, n, weights_gradient);
    return bits;
}

}  // namespace
}  // namespace inrcodec
