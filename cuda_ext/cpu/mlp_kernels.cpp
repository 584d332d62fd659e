// A small network on the CPU, in float32, tile by tile: the points of a tile go through all layers
// while they are in the cache. The last tile is filled up with its last point, so that every point
// takes the same instructions wherever the work is cut. On the way back a tile computes its hidden
// values anew, which costs less than memory would.
//
// This file is compiled once per instruction set; INRCODEC_MLP_VARIANT names the result. It must
// not use the STL nor define anything external but that (see grid_kernels.cpp).
#include "../common/mlp_kernels.h"

#include "mlp_blocks.h"
#include "mlp_damped.h"

namespace inrcodec {
namespace {

// Vectors that hold n floats.
inline int64_t vectors_of(int n) {
    return blocks_of(n, kLanes);
}

inline int points_in_tile(int64_t first, int64_t last) {
    return static_cast<int>(last - first < kMlpTile ? last - first : kMlpTile);
}

// Rows of points become a tile. Missing points are copies of the last one.
void load_points(const float* rows, int n_columns, int n_points, float* tile) {
    for (int p = 0; p < kMlpTile; ++p) {
        const float* row = rows + int64_t{p < n_points ? p : n_points - 1} * n_columns;
        for (int c = 0; c < n_columns; ++c) tile[c * kMlpTile + p] = row[c];
    }
}

void store_points(const float* tile, int n_columns, int n_points, float* rows) {
    for (int p = 0; p < n_points; ++p)
        for (int c = 0; c < n_columns; ++c) rows[p * n_columns + c] = tile[c * kMlpTile + p];
}

// Makes the missing points of a tile count nothing in a sum.
void clear_missing(int n_columns, int n_points, float* tile) {
    for (int c = 0; c < n_columns; ++c)
        for (int p = n_points; p < kMlpTile; ++p) tile[c * kMlpTile + p] = 0.0f;
}

const float* biases_of(const Mlp& mlp, int layer, const float* packed) {
    return mlp.has_bias ? packed + mlp.layers[layer].biases : nullptr;
}

void pack(const Mlp& mlp, const float* parameters, float* packed, float* transposed) {
    for (int l = 0; l < mlp.n_layers; ++l) {
        const MlpLayer& layer = mlp.layers[l];
        const float* weights = parameters + layer.weights;
        pack_rows(weights, layer.n_out, layer.n_in, layer.n_in, 1, packed + layer.weights);
        if (transposed)
            pack_rows(weights, layer.n_in, layer.n_out, 1, layer.n_in, transposed + layer.weights);
        for (int o = 0; mlp.has_bias && o < layer.n_out; ++o)
            packed[layer.biases + o] = parameters[layer.biases + o];
    }
}

// --- activations ---------------------------------------------------------------------------------

void take_relu(Floats* x, int n_vectors) {
    for (int i = 0; i < n_vectors; ++i) x[i] = x[i] < 0.0f ? Floats{} : x[i];
}

// x becomes its activation; `slopes`, where they are wanted, receives the slopes of all but relu,
// which its values tell.
template <bool kWithSlopes>
void activate(Activation activation, Floats* x, Floats* slopes, int n_vectors) {
    switch (activation) {
        case Activation::kSine:
            return take_sines<kWithSlopes>(x, slopes, n_vectors, damp_nothing);
        case Activation::kRelu:
            return take_relu(x, n_vectors);
        case Activation::kSineSqrt:
            return take_sines<kWithSlopes>(x, slopes, n_vectors, damp_by_root);
        case Activation::kSineArctan:
            return take_sines<kWithSlopes>(x, slopes, n_vectors, damp_by_arctan);
        case Activation::kSineLog:
            return take_sines<kWithSlopes>(x, slopes, n_vectors, damp_by_log);
    }
}

// --- forward -------------------------------------------------------------------------------------

int64_t forward_scratch(const Mlp& mlp) {
    return int64_t{2} * mlp.widest * kMlpTile;
}

void forward(const Mlp& mlp, const MlpCall& call, int64_t first, int64_t last, const float* packed,
             float* scratch) {
    Floats* in = vectors(scratch);
    Floats* out = in + int64_t{mlp.widest} * kTileVectors;
    for (; first < last; first += kMlpTile) {
        const int count = points_in_tile(first, last);
        load_points(call.x + first * mlp.n_inputs, mlp.n_inputs, count,
                    reinterpret_cast<float*>(in));
        for (int l = 0; l < mlp.n_layers; ++l) {
            const MlpLayer& layer = mlp.layers[l];
            multiply(packed + layer.weights, biases_of(mlp, l, packed), layer.n_out, layer.n_in, in,
                     out);
            if (l + 1 < mlp.n_layers)
                activate<false>(mlp.activation, out, nullptr, layer.n_out * kTileVectors);
            Floats* const swapped = in;
            in = out;
            out = swapped;
        }
        store_points(reinterpret_cast<const float*>(in), mlp.n_outputs, count,
                     call.out + first * mlp.n_outputs);
    }
}

// --- gradients -----------------------------------------------------------------------------------

// The sums of a layer: [n_out, inputs] with whole vectors of inputs, then [n_out] vectors whose
// lanes add up to the gradient of a bias. In vectors:
int64_t layer_sums(const MlpLayer& layer) {
    return layer.n_out * (vectors_of(layer.n_in) + 1);
}

int64_t layer_sums_before(const Mlp& mlp, int layer) {
    int64_t total = 0;
    for (int l = 0; l < layer; ++l) total += layer_sums(mlp.layers[l]);
    return total;
}

int64_t sums_size(const Mlp& mlp) {
    return layer_sums_before(mlp, mlp.n_layers) * kLanes;
}

// What a tile needs on the way back, cut out of the scratch.
struct Workspace {
    Floats* inputs[kMaxMlpLayers];  // of each layer
    Floats* slopes[kMaxMlpLayers];  // of the activations that made them, but for relu
    Floats* gradient;               // of a layer's outputs
    Floats* next;
    Floats* columns;  // inputs, transposed

    Workspace(const Mlp& mlp, float* scratch) {
        Floats* free = vectors(scratch);
        const auto take = [&free](int n_rows) {
            Floats* taken = free;
            free += int64_t{n_rows} * kTileVectors;
            return taken;
        };
        gradient = take(mlp.widest);
        next = take(mlp.widest);
        for (int l = 0; l < mlp.n_layers; ++l) {
            inputs[l] = take(mlp.layers[l].n_in);
            slopes[l] = take(mlp.layers[l].n_in);
        }
        columns = free;
    }
};

int64_t gradients_scratch(const Mlp& mlp) {
    int64_t n_rows = 2 * mlp.widest + vectors_of(mlp.widest) * kLanes;
    for (int l = 0; l < mlp.n_layers; ++l) n_rows += 2 * mlp.layers[l].n_in;
    return n_rows * kMlpTile;
}

// The inputs of all layers, and the slopes of the activations that made them.
void find_inputs(const Mlp& mlp, const float* packed, Workspace& work) {
    for (int l = 0; l + 1 < mlp.n_layers; ++l) {
        const MlpLayer& layer = mlp.layers[l];
        Floats* out = work.inputs[l + 1];
        multiply(packed + layer.weights, biases_of(mlp, l, packed), layer.n_out, layer.n_in,
                 work.inputs[l], out);
        activate<true>(mlp.activation, out, work.slopes[l + 1], layer.n_out * kTileVectors);
    }
}

// The gradient of a layer's inputs becomes that of the sums that they are activations of.
void pass_activation(const Mlp& mlp, int layer, Workspace& work) {
    const Floats* inputs = work.inputs[layer];
    const Floats* slopes = work.slopes[layer];
    const int n_vectors = mlp.layers[layer].n_in * kTileVectors;
    Floats* gradient = work.gradient;
    if (mlp.activation == Activation::kRelu)
        for (int i = 0; i < n_vectors; ++i) gradient[i] = inputs[i] > 0.0f ? gradient[i] : Floats{};
    else
        for (int i = 0; i < n_vectors; ++i) gradient[i] *= slopes[i];
}

void add_layer(const MlpLayer& layer, const Floats* inputs, Workspace& work, Floats* sums) {
    const int stride = static_cast<int>(vectors_of(layer.n_in));
    transpose_tile(inputs, layer.n_in, stride, work.columns);
    add_products(reinterpret_cast<const float*>(work.gradient), layer.n_out, work.columns, stride,
                 sums);
    sums += int64_t{layer.n_out} * stride;
    for (int o = 0; o < layer.n_out; ++o)
        for (int v = 0; v < kTileVectors; ++v) sums[o] += work.gradient[o * kTileVectors + v];
}

double sum_of_squares(const Floats* x, int n_vectors) {
    Floats sums{};
    for (int i = 0; i < n_vectors; ++i) sums += x[i] * x[i];
    double total = 0.0;
    for (int lane = 0; lane < kLanes; ++lane) total += double{sums[lane]};
    return total;
}

// The gradient of the result at the points of a tile becomes `work.gradient`. Returns the sum of
// the squares of what it is off the targets.
double find_gradient(const Mlp& mlp, const MlpCall& call, int64_t first, int count,
                     const float* packed, Workspace& work) {
    float* gradient = reinterpret_cast<float*>(work.gradient);
    const int n_outputs = mlp.n_outputs, n_vectors = n_outputs * kTileVectors;
    if (!call.targets) {
        load_points(call.gradient + first * n_outputs, n_outputs, count, gradient);
        clear_missing(n_outputs, count, gradient);
        return 0.0;
    }
    const int last = mlp.n_layers - 1;
    load_points(call.targets + first * n_outputs, n_outputs, count,
                reinterpret_cast<float*>(work.next));
    multiply(packed + mlp.layers[last].weights, biases_of(mlp, last, packed), n_outputs,
             mlp.layers[last].n_in, work.inputs[last], work.gradient);
    for (int i = 0; i < n_vectors; ++i) work.gradient[i] -= work.next[i];
    clear_missing(n_outputs, count, gradient);
    const double squares = sum_of_squares(work.gradient, n_vectors);
    for (int i = 0; i < n_vectors; ++i) work.gradient[i] *= call.slope;
    return squares;
}

double gradients(const Mlp& mlp, const MlpCall& call, int64_t first, int64_t last,
                 const float* packed, const float* transposed, float* sums, float* scratch) {
    Workspace work(mlp, scratch);
    double squares = 0.0;
    for (; first < last; first += kMlpTile) {
        const int count = points_in_tile(first, last);
        load_points(call.x + first * mlp.n_inputs, mlp.n_inputs, count,
                    reinterpret_cast<float*>(work.inputs[0]));
        find_inputs(mlp, packed, work);
        squares += find_gradient(mlp, call, first, count, packed, work);
        for (int l = mlp.n_layers - 1; l >= 0; --l) {
            const MlpLayer& layer = mlp.layers[l];
            add_layer(layer, work.inputs[l], work, vectors(sums) + layer_sums_before(mlp, l));
            if (l == 0 && !call.x_gradient) break;
            multiply(transposed + layer.weights, nullptr, layer.n_in, layer.n_out, work.gradient,
                     work.next);
            Floats* const swapped = work.gradient;
            work.gradient = work.next;
            work.next = swapped;
            if (l > 0) pass_activation(mlp, l, work);
        }
        if (call.x_gradient) {
            store_points(reinterpret_cast<const float*>(work.gradient), mlp.n_inputs, count,
                         call.x_gradient + first * mlp.n_inputs);
        }
    }
    return squares;
}

void add_sums(const Mlp& mlp, const float* sums, int n_sums, int layer_number, float* gradient) {
    const MlpLayer& layer = mlp.layers[layer_number];
    const int64_t step = sums_size(mlp), stride = vectors_of(layer.n_in) * kLanes;
    const float* weights = sums + layer_sums_before(mlp, layer_number) * kLanes;
    const float* biases = weights + layer.n_out * stride;
    for (int o = 0; o < layer.n_out; ++o) {
        float* row = gradient + layer.weights + int64_t{o} * layer.n_in;
        for (int i = 0; i < layer.n_in; ++i) row[i] = weights[o * stride + i];
        for (int s = 1; s < n_sums; ++s)
            for (int i = 0; i < layer.n_in; ++i) row[i] += weights[s * step + o * stride + i];
    }
    for (int o = 0; mlp.has_bias && o < layer.n_out; ++o) {
        float total = 0.0f;
        for (int s = 0; s < n_sums; ++s)
            for (int lane = 0; lane < kLanes; ++lane) total += biases[s * step + o * kLanes + lane];
        gradient[layer.biases + o] = total;
    }
}

}  // namespace

const MlpKernels INRCODEC_MLP_VARIANT = {
    pack, forward_scratch, forward, gradients_scratch, sums_size, gradients, add_sums,
};

}  // namespace inrcodec
