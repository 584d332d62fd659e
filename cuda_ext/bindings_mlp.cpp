// Registration of the functions of networks, alone and behind a grid. No logic of its own.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include "bindings.h"
#include "common/grid_mlp.h"
#include "common/grid_mlp_checks.h"

namespace inrcodec {
namespace {

using Network = std::tuple<Sizes, bool, std::string>;  // sizes, has_bias, activation

Mlp mlp_of(const Network& network) {
    return check_mlp(std::get<0>(network), std::get<1>(network),
                     check_activation(std::get<2>(network)));
}

void forward(const Input& x, const Input& parameters, const Network& network, const Output& out,
             int n_threads) {
    const Array points = describe("x", x), values = describe("parameters", parameters);
    const Array results = describe("out", out);
    const Mlp mlp = mlp_of(network);
    check_mlp_inputs(mlp, points, values);
    check_mlp_outputs(mlp, results, points);
    check_threads(kMlpOp, n_threads);
    MlpCall call;
    call.n_points = points.shape[0];
    call.x = floats(points);
    call.parameters = floats(values);
    call.out = floats(results);
    const nb::gil_scoped_release released;
    mlp_forward(mlp, call, n_threads);
}

// Of a call on the way back; `given` is the gradient or the targets.
MlpCall check_back(const Mlp& mlp, const Array& given, const Input& x, const Input& parameters,
                   const Output& parameters_gradient) {
    const Array points = describe("x", x), values = describe("parameters", parameters);
    const Array of_parameters = describe("parameters_gradient", parameters_gradient);
    check_mlp_inputs(mlp, points, values);
    check_mlp_outputs(mlp, given, points);
    check_array(kMlpOp, of_parameters, values.shape, -1);
    MlpCall call;
    call.n_points = points.shape[0];
    call.x = floats(points);
    call.parameters = floats(values);
    call.parameters_gradient = floats(of_parameters);
    return call;
}

void gradients(const Input& gradient, const Input& x, const Input& parameters,
               const Network& network, const Output& parameters_gradient,
               const std::optional<Output>& x_gradient, int n_threads) {
    const Mlp mlp = mlp_of(network);
    const Array given = describe("gradient", gradient);
    MlpCall call = check_back(mlp, given, x, parameters, parameters_gradient);
    call.gradient = floats(given);
    if (x_gradient) {
        const Array of_x = describe("x_gradient", *x_gradient);
        check_array(kMlpOp, of_x, {call.n_points, mlp.n_inputs}, -1);
        call.x_gradient = floats(of_x);
    }
    check_threads(kMlpOp, n_threads);
    const nb::gil_scoped_release released;
    mlp_gradients(mlp, call, n_threads);
}

// Returns the sum of the squares of what the values are off the targets.
double descent(const Input& x, const Input& targets, const Input& parameters,
               const Network& network, const Output& parameters_gradient, int n_threads) {
    const Mlp mlp = mlp_of(network);
    const Array given = describe("targets", targets);
    MlpCall call = check_back(mlp, given, x, parameters, parameters_gradient);
    call.targets = floats(given);
    call.slope = mlp.slope_of_mean(call.n_points);
    check_threads(kMlpOp, n_threads);
    const nb::gil_scoped_release released;
    return mlp_gradients(mlp, call, n_threads);
}

struct GridMlp {
    Grid grid;
    Mlp mlp;
    GridMlpCall call;
};

GridMlp check_grid_mlp(const Input& coords, const Input& table, const Input& parameters,
                       const Shape& shape, const Network& network) {
    const Array points = describe("coords", coords), rows = describe("table", table);
    const Array values = describe("parameters", parameters);
    if (points.device >= 0) refuse(kGridMlpOp, "arrays must be on the CPU", "a GPU");
    const Grid grid = check_inputs(points, rows, shape_of(shape));
    const Mlp mlp = mlp_of(network);
    check_grid_mlp(grid, mlp);
    check_array(kMlpOp, values, {mlp.n_parameters}, -1);
    GridMlpCall call;
    call.n_points = points.shape[0];
    call.coords = floats(points);
    call.table = floats(rows);
    call.parameters = floats(values);
    return {grid, mlp, call};
}

float* check_values(const GridMlp& checked, const Array& values) {
    check_array(kGridMlpOp, values, {checked.call.n_points, checked.mlp.n_outputs}, -1);
    return floats(values);
}

void forward_of_grid(const Input& coords, const Input& table, const Input& parameters,
                     const Shape& shape, const Network& network, const Output& out, int n_threads) {
    GridMlp checked = check_grid_mlp(coords, table, parameters, shape, network);
    checked.call.out = check_values(checked, describe("out", out));
    check_threads(kGridMlpOp, n_threads);
    const nb::gil_scoped_release released;
    grid_mlp_forward(checked.grid, checked.mlp, checked.call, n_threads);
}

// Returns the sum of the squares of what the values are off the targets.
double descent_of_grid(const Input& coords, const Input& targets, const Input& table,
                       const Input& parameters, const Shape& shape, const Network& network,
                       const std::pair<Output, Output>& gradients, int n_threads) {
    GridMlp checked = check_grid_mlp(coords, table, parameters, shape, network);
    const Array of_table = describe("table_gradient", gradients.first);
    const Array of_parameters = describe("parameters_gradient", gradients.second);
    checked.call.targets = check_values(checked, describe("targets", targets));
    check_array(kGridMlpOp, of_table, {checked.grid.n_entries, checked.grid.n_features}, -1);
    check_array(kGridMlpOp, of_parameters, {checked.mlp.n_parameters}, -1);
    checked.call.table_gradient = floats(of_table);
    checked.call.parameters_gradient = floats(of_parameters);
    check_threads(kGridMlpOp, n_threads);
    const nb::gil_scoped_release released;
    return grid_mlp_descent(checked.grid, checked.mlp, checked.call, n_threads);
}

}  // namespace

// clang-format off
void register_mlp(nb::module_& module) {
    using nb::literals::operator""_a;
    module.def("mlp_forward", &forward, "x"_a, "parameters"_a, "network"_a, "out"_a, "n_threads"_a);
    module.def("mlp_gradients", &gradients, "gradient"_a, "x"_a, "parameters"_a, "network"_a,
               "parameters_gradient"_a, "x_gradient"_a.none(), "n_threads"_a);
    module.def("mlp_descent", &descent, "x"_a, "targets"_a, "parameters"_a, "network"_a,
               "parameters_gradient"_a, "n_threads"_a);
    module.def("grid_mlp_forward", &forward_of_grid, "coords"_a, "table"_a, "parameters"_a,
               "shape"_a, "network"_a, "out"_a, "n_threads"_a);
    module.def("grid_mlp_descent", &descent_of_grid, "coords"_a, "targets"_a, "table"_a,
               "parameters"_a, "shape"_a, "network"_a, "gradients"_a, "n_threads"_a);
}
// clang-format on

}  // namespace inrcodec
