// Calls on networks for the sanitizer driver, which includes this page behind its own helpers.
//
//   "INRM" | u8 op: 0 forward, 1 gradients, 2 descent | u8 threads | u8 instruction set
//   network | u32 points | f32 x [points, inputs] | f32 parameters
//   f32 gradient (op 1) or targets (op 2) [points, outputs]
// with a network: u8 has bias | u8 activation: its number in kActivationNames | u8 layers
//   u32 sizes [layers + 1]
//   "INRG" | u8 op: 0 forward, 1 descent | u8 threads | u8 instruction set
//   network | u8 dims | u8 features | u8 levels | shape of the grid, as of "INRK"
//   u32 points | f32 coords | f32 table | f32 parameters | f32 targets [points, outputs] (op 1)
// Results: values; gradients, of the table, the parameters, and x (INRM op 1); of a descent the sum
// of squares at the end.
#pragma once

#include <iterator>

#include "../common/grid_mlp.h"
#include "../common/grid_mlp_checks.h"
#include "reader.h"

namespace {

Mlp read_network(Reader& reader) {
    const bool has_bias = reader.number<uint8_t>() != 0;
    const unsigned activation = reader.number<uint8_t>();
    if (activation >= std::size(kActivationNames))
        refuse_call("activation must exist, got " + std::to_string(activation));
    const uint64_t n_layers = reader.number<uint8_t>();
    const std::vector<uint32_t> sizes = reader.numbers<uint32_t>(n_layers + 1);
    return check_mlp({sizes.begin(), sizes.end()}, has_bias,
                     check_activation(kActivationNames[activation]));
}

std::vector<float> run_mlp(Reader& reader) {
    const auto [op, n_threads] = read_start(reader, 2);
    const Mlp mlp = read_network(reader);
    const int64_t n_points = reader.number<uint32_t>();
    std::vector<float> x = reader.numbers<float>(n_points * mlp.n_inputs);
    std::vector<float> parameters = reader.numbers<float>(mlp.n_parameters);
    std::vector<float> given;
    if (op > 0) given = reader.numbers<float>(n_points * mlp.n_outputs);
    reader.finish();

    const Array points = describe("x", x, {n_points, mlp.n_inputs});
    check_mlp_inputs(mlp, points, describe("parameters", parameters, {mlp.n_parameters}));
    MlpCall call;
    call.n_points = n_points;
    call.x = x.data();
    call.parameters = parameters.data();
    if (op == 0) {
        std::vector<float> out(n_points * mlp.n_outputs);
        call.out = out.data();
        mlp_forward(mlp, call, n_threads);
        return out;
    }
    check_mlp_outputs(mlp, describe("given", given, {n_points, mlp.n_outputs}), points);
    std::vector<float> out(parameters.size() + (op == 1 ? x.size() : 0));
    call.parameters_gradient = out.data();
    if (op == 1) {
        call.gradient = given.data();
        call.x_gradient = out.data() + parameters.size();
    } else {
        call.targets = given.data();
        call.slope = mlp.slope_of_mean(n_points);
    }
    const double squares = mlp_gradients(mlp, call, n_threads);
    if (op == 2) out.push_back(static_cast<float>(squares));
    return out;
}

std::vector<float> run_grid_mlp(Reader& reader) {
    const auto [op, n_threads] = read_start(reader, 1);
    const Mlp mlp = read_network(reader);
    const int64_t n_dims = reader.number<uint8_t>(), n_features = reader.number<uint8_t>();
    const uint64_t n_levels = reader.number<uint8_t>();
    const GridShape shape = read_shape(reader, n_levels, static_cast<uint64_t>(n_dims));
    const Grid grid = check_grid(n_dims, n_features, shape);
    check_grid_mlp(grid, mlp);
    const int64_t n_points = reader.number<uint32_t>();
    std::vector<float> coords = reader.numbers<float>(n_points * n_dims);
    std::vector<float> table = reader.numbers<float>(int64_t{grid.n_entries} * n_features);
    std::vector<float> parameters = reader.numbers<float>(mlp.n_parameters), targets;
    if (op == 1) targets = reader.numbers<float>(n_points * mlp.n_outputs);
    reader.finish();

    check_inputs(describe("coords", coords, {n_points, n_dims}),
                 describe("table", table, {grid.n_entries, n_features}), shape);
    GridMlpCall call;
    call.n_points = n_points;
    call.coords = coords.data();
    call.table = table.data();
    call.parameters = parameters.data();
    std::vector<float> out(op == 0 ? n_points * mlp.n_outputs : table.size() + parameters.size());
    if (op == 0) {
        call.out = out.data();
        grid_mlp_forward(grid, mlp, call, n_threads);
        return out;
    }
    call.targets = targets.data();
    call.table_gradient = out.data();
    call.parameters_gradient = out.data() + table.size();
    const double squares = grid_mlp_descent(grid, mlp, call, n_threads);
    out.push_back(static_cast<float>(squares));
    return out;
}

}  // namespace
