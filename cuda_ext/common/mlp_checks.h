// From arrays and numbers of unknown origin to an Mlp that the kernels can trust. The Python
// bindings and the sanitizer driver both come through here.
#pragma once

#include <algorithm>
#include <iterator>

#include "array_checks.h"
#include "mlp.h"

namespace inrcodec {

constexpr char kMlpOp[] = "mlp";

// In the order of `Activation`.
constexpr const char* kActivationNames[] = {"sine", "relu", "sine_sqrt", "sine_arctan", "sine_log"};

inline Activation check_activation(const std::string& name) {
    std::string names;
    for (size_t i = 0; i < std::size(kActivationNames); ++i) {
        if (name == kActivationNames[i]) return static_cast<Activation>(i);
        names += (i ? ", " : "") + std::string(kActivationNames[i]);
    }
    refuse(kMlpOp, "activation must be one of " + names, name);
}

// `sizes`: of the inputs, of each hidden layer, of the outputs.
inline Mlp check_mlp(const std::vector<int64_t>& sizes, bool has_bias, Activation activation) {
    if (sizes.size() < 2 || sizes.size() > kMaxMlpLayers + 1)
        refuse(kMlpOp, "sizes must be of 1 to 33 layers", text_of(sizes));
    for (const int64_t size : sizes) {
        if (size < 1 || size > kMaxMlpSize)
            refuse(kMlpOp, "a size must be in [1, 1024]", std::to_string(size));
    }
    Mlp mlp{};
    mlp.n_layers = static_cast<int>(sizes.size()) - 1;
    mlp.n_inputs = static_cast<int>(sizes.front());
    mlp.n_outputs = static_cast<int>(sizes.back());
    mlp.widest = static_cast<int>(*std::max_element(sizes.begin(), sizes.end()));
    mlp.has_bias = has_bias;
    mlp.activation = activation;
    for (int l = 0; l < mlp.n_layers; ++l) {
        MlpLayer& layer = mlp.layers[l];
        layer.n_in = static_cast<int>(sizes[l]);
        layer.n_out = static_cast<int>(sizes[l + 1]);
        layer.weights = mlp.n_parameters;
        layer.biases = layer.weights + int64_t{layer.n_in} * layer.n_out;
        mlp.n_parameters = layer.biases + (has_bias ? layer.n_out : 0);
    }
    return mlp;
}

inline void check_mlp_inputs(const Mlp& mlp, const Array& x, const Array& parameters,
                             int device = -1) {
    if (x.shape.size() != 2) refuse(kMlpOp, "x must have 2 axes", text_of(x.shape));
    check_array(kMlpOp, x, {x.shape[0], mlp.n_inputs}, device);
    check_array(kMlpOp, parameters, {mlp.n_parameters}, device);
}

// For `out` and `gradient`: [n_points, n_outputs].
inline void check_mlp_outputs(const Mlp& mlp, const Array& outputs, const Array& x) {
    check_array(kMlpOp, outputs, {x.shape[0], mlp.n_outputs}, x.device);
}

}  // namespace inrcodec
