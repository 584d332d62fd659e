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
template <typename In, typename Out>
MlpCall check_back(const Mlp& mlp, const Array& given, const In& x, const In& parameters,
                   const Out& parameters_gradient, int device = -1) {
    const Array points = describe("x", x), values = describe("parameters", parameters);
    const Array of_parameters = describe("parameters_gradient", parameters_gradient);
    check_mlp_inputs(mlp, points, values, device);
    check_mlp_outputs(mlp, given, points);
    check_array(kMlpOp, of_parameters, values.shape, device);
    MlpCall call;
    call.n_points = points.shape[0];
    call.x = floats(points);
    call.parameters = floats(values);
    call.parameters_gradient = floats(of_parameters);
    return call;
}

template <typename Out>
void set_x_gradient(const Mlp& mlp, const std::optional<Out>& x_gradient, int device,
                    MlpCall& call) {
    if (!x_gradient) return;
    const Array of_x = describe("x_gradient", *x_gradient);
    check_array(kMlpOp, of_x, {call.n_points, mlp.n_inputs}, device);
    call.x_gradient = floats(of_x);
}

void gradients(const Input& gradient, const Input& x, const Input& parameters,
               const Network& network, const Output& parameters_gradient,
               const std::optional<Output>& x_gradient, int n_threads) {
    const Mlp mlp = mlp_of(network);
    const Array given = describe("gradient", gradient);
    MlpCall call = check_back(mlp, given, x, parameters, parameters_gradient);
    call.gradient = floats(given);
    set_x_gradient(mlp, x_gradient, -1, call);
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

template <typename In>
GridMlp check_grid_mlp(const In& coords, const In& table, const In& parameters, const Shape& shape,
                       const Network& network, int device = -1) {
    const Array points = describe("coords", coords), rows = describe("table", table);
    const Array values = describe("parameters", parameters);
    if (points.device != device) {
        refuse(kGridMlpOp, "coords must be on device " + std::to_string(device),
               std::to_string(points.device));
    }
    const Grid grid = check_inputs(points, rows, shape_of(shape));
    const Mlp mlp = mlp_of(network);
    check_grid_mlp(grid, mlp);
    check_array(kMlpOp, values, {mlp.n_parameters}, device);
    GridMlpCall call;
    call.n_points = points.shape[0];
    call.coords = floats(points);
    call.table = floats(rows);
    call.parameters = floats(values);
    return {grid, mlp, call};
}

float* check_values(const GridMlp& checked, const Array& values, int device = -1) {
    check_array(kGridMlpOp, values, {checked.call.n_points, checked.mlp.n_outputs}, device);
    return floats(values);
}

// Of what a descent is given and gives.
template <typename In, typename Out>
void set_descent(GridMlp& checked, const In& targets, const std::pair<Out, Out>& gradients,
                 int device = -1) {
    const Array of_table = describe("table_gradient", gradients.first);
    const Array of_parameters = describe("parameters_gradient", gradients.second);
    checked.call.targets = check_values(checked, describe("targets", targets), device);
    check_array(kGridMlpOp, of_table, {checked.grid.n_entries, checked.grid.n_features}, device);
    check_array(kGridMlpOp, of_parameters, {checked.mlp.n_parameters}, device);
    check_rows(of_table);
    checked.call.table_gradient = floats(of_table);
    checked.call.parameters_gradient = floats(of_parameters);
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
    set_descent(checked, targets, gradients);
    check_threads(kGridMlpOp, n_threads);
    const nb::gil_scoped_release released;
    return grid_mlp_descent(checked.grid, checked.mlp, checked.call, n_threads);
}

#if defined(INRCODEC_CUDA)
int device_of(const char* name, const OnGpu& array) {
    const int device = describe(name, array).device;
    if (device < 0) refuse(kMlpOp, name + std::string(" must be on a GPU"), "the CPU");
    return device;
}

int64_t scratch_of(const Network& network, int64_t n_points, int device) {
    return mlp_scratch_cuda(mlp_of(network), n_points, device);
}

float* check_scratch(const Mlp& mlp, int64_t n_points, const OnGpu& scratch, int device) {
    const Array array = describe("scratch", scratch);
    const int64_t n_floats = mlp_scratch_cuda(mlp, n_points, device);
    if (n_floats == 0) refuse(kMlpOp, "the network must have a kernel on the GPU", "none");
    check_array(kMlpOp, array, {n_floats}, device);
    return floats(array);
}

void forward_cuda(const OnGpu& x, const OnGpu& parameters, const Network& network, const OnGpu& out,
                  uintptr_t stream) {
    const int device = device_of("x", x);
    const Array points = describe("x", x), results = describe("out", out);
    const Mlp mlp = mlp_of(network);
    check_mlp_inputs(mlp, points, describe("parameters", parameters), device);
    check_mlp_outputs(mlp, results, points);
    if (mlp_scratch_cuda(mlp, points.shape[0], device) == 0)
        refuse(kMlpOp, "the network must have a kernel on the GPU", "none");
    MlpCall call;
    call.n_points = points.shape[0];
    call.x = floats(points);
    call.parameters = floats(describe("parameters", parameters));
    call.out = floats(results);
    const nb::gil_scoped_release released;
    mlp_forward_cuda(mlp, call, {device, stream});
}

void gradients_cuda(const OnGpu& gradient, const OnGpu& x, const OnGpu& parameters,
                    const Network& network, const OnGpu& parameters_gradient,
                    const std::optional<OnGpu>& x_gradient, const OnGpu& scratch,
                    uintptr_t stream) {
    const int device = device_of("x", x);
    const Mlp mlp = mlp_of(network);
    const Array given = describe("gradient", gradient);
    MlpCall call = check_back(mlp, given, x, parameters, parameters_gradient, device);
    call.gradient = floats(given);
    set_x_gradient(mlp, x_gradient, device, call);
    float* const floats_of_call = check_scratch(mlp, call.n_points, scratch, device);
    const nb::gil_scoped_release released;
    mlp_gradients_cuda(mlp, call, floats_of_call, {device, stream});
}

// `scratch`: the floats of the network, the features, and bytes for the table.
void descent_of_grid_cuda(const OnGpu& coords, const OnGpu& targets, const OnGpu& table,
                          const OnGpu& parameters, const Shape& shape, const Network& network,
                          const std::pair<OnGpu, OnGpu>& gradients,
                          const std::tuple<OnGpu, OnGpu, OnGpu>& scratch, bool is_whole,
                          uintptr_t stream) {
    const int device = device_of("coords", coords);
    GridMlp checked = check_grid_mlp(coords, table, parameters, shape, network, device);
    set_descent(checked, targets, gradients, device);
    const TableSums sums = is_whole ? TableSums::kWhole : TableSums::kFast;
    GridCall encode;
    encode.n_points = checked.call.n_points;
    const Array features = describe("features", std::get<1>(scratch));
    const Array bytes = describe("bytes", std::get<2>(scratch));
    check_array(kGridMlpOp, features, {encode.n_points, checked.mlp.n_inputs}, device);
    check_array(kGridMlpOp, bytes, {grid_table_scratch_cuda(checked.grid, encode, sums)}, device,
                Type::kUint8);
    GridMlpScratch work;
    work.floats = check_scratch(checked.mlp, encode.n_points, std::get<0>(scratch), device);
    work.features = floats(features);
    work.bytes = bytes.data;
    check_rows(features);
    check_rows(bytes);
    const nb::gil_scoped_release released;
    grid_mlp_descent_cuda(checked.grid, checked.mlp, checked.call, sums, work, {device, stream});
}
#endif

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
#if defined(INRCODEC_CUDA)
    module.def("mlp_scratch_cuda", &scratch_of, "network"_a, "n_points"_a, "device"_a);
    module.def("mlp_forward_cuda", &forward_cuda, "x"_a, "parameters"_a, "network"_a, "out"_a, "stream"_a);
    module.def("mlp_gradients_cuda", &gradients_cuda, "gradient"_a, "x"_a, "parameters"_a, "network"_a,
               "parameters_gradient"_a, "x_gradient"_a.none(), "scratch"_a, "stream"_a);
    module.def("grid_mlp_descent_cuda", &descent_of_grid_cuda, "coords"_a, "targets"_a, "table"_a,
               "parameters"_a, "shape"_a, "network"_a, "gradients"_a, "scratch"_a, "is_whole"_a, "stream"_a);
#endif
}
// clang-format on

}  // namespace inrcodec
