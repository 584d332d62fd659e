// From a grid and a network, each checked on its own, to a pair that the kernels can trust.
#pragma once

#include "grid_checks.h"
#include "mlp_checks.h"

namespace inrcodec {

constexpr char kGridMlpOp[] = "grid_mlp";

inline void check_grid_mlp(const Grid& grid, const Mlp& mlp) {
    const int n_features = grid.n_levels * grid.n_features;
    if (mlp.n_inputs == n_features) return;
    refuse(kGridMlpOp, "the network must have " + std::to_string(n_features) + " inputs",
           std::to_string(mlp.n_inputs));
}

}  // namespace inrcodec
