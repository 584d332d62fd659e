// Registration of the native functions as the Python module inrcodec._native. Arrays come in
// through DLPack or the buffer protocol; outputs are allocated by the caller. No logic of its own.
#include "bindings.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include "common/grid_checks.h"
#include "common/grid_encode.h"
#include "common/heap.h"
#include "common/instruction_sets.h"
#include "common/quantize_checks.h"

using namespace inrcodec;

namespace {

struct Checked {
    Grid grid;
    GridCall call;
    int device;
};

// With the direction, if there is one, which has the shape of the coordinates.
template <typename In>
Checked along(const std::optional<In>& direction, const Array& coords, Checked checked) {
    if (!direction) return checked;
    const Array d = describe("direction", *direction);
    check_array(kGridOp, d, coords.shape, coords.device);
    checked.call.direction = floats(d);
    return checked;
}

template <typename In, typename Out>
Checked check_forward(const In& coords, const In& table, const Shape& shape, const Out& out,
                      const std::optional<In>& direction) {
    const Array x = describe("coords", coords), t = describe("table", table),
                o = describe("out", out);
    const Type type = type_of_values(t);
    const Grid grid = check_inputs(x, t, shape_of(shape), type);
    check_features(grid, o, x, type);
    GridCall call{x.shape[0], floats(x), floats(t), nullptr, floats(o)};
    call.values = values_of(type);
    return along(direction, x, {grid, call, x.device});
}

template <typename In, typename Out>
Checked check_table_gradient(const In& gradient, const In& coords, const Shape& shape,
                             const Out& out, const std::optional<In>& direction) {
    const Array g = describe("gradient", gradient), x = describe("coords", coords);
    const Array o = describe("out", out);
    const Type type = type_of_values(g);
    const Grid grid = check_inputs(x, o, shape_of(shape), type);
    check_features(grid, g, x, type);
    GridCall call{x.shape[0], floats(x), nullptr, floats(g), floats(o)};
    call.values = values_of(type);
    return along(direction, x, {grid, call, x.device});
}

template <typename In, typename Out>
Checked check_coords_gradient(const In& gradient, const In& coords, const In& table,
                              const Shape& shape, const Out& out,
                              const std::optional<In>& direction) {
    const Array g = describe("gradient", gradient), x = describe("coords", coords);
    const Array t = describe("table", table), o = describe("out", out);
    const Type type = type_of_values(t);
    const Grid grid = check_inputs(x, t, shape_of(shape), type);
    check_features(grid, g, x, type);
    check_array(kGridOp, o, x.shape, x.device);
    GridCall call{x.shape[0], floats(x), floats(t), floats(g), floats(o)};
    call.values = values_of(type);
    return along(direction, x, {grid, call, x.device});
}

void run_on_cpu(const Checked& checked, int n_threads,
                void (*op)(const Grid&, const GridCall&, int)) {
    if (checked.device >= 0) refuse(kGridOp, "arrays must be on the CPU", "a GPU");
    check_threads(kGridOp, n_threads);
    const nb::gil_scoped_release released;
    op(checked.grid, checked.call, n_threads);
}

void forward(const Input& coords, const Input& table, const Shape& shape, const Output& out,
             const std::optional<Input>& direction, int n_threads) {
    run_on_cpu(check_forward(coords, table, shape, out, direction), n_threads, grid_encode_forward);
}

void table_gradient(const Input& gradient, const Input& coords, const Shape& shape,
                    const Output& out, const std::optional<Input>& direction, int n_threads) {
    const Checked checked = check_table_gradient(gradient, coords, shape, out, direction);
    run_on_cpu(checked, n_threads, grid_encode_table_gradient);
}

void coords_gradient(const Input& gradient, const Input& coords, const Input& table,
                     const Shape& shape, const Output& out, const std::optional<Input>& direction,
                     int n_threads) {
    const Checked checked = check_coords_gradient(gradient, coords, table, shape, out, direction);
    run_on_cpu(checked, n_threads, grid_encode_coords_gradient);
}

#if defined(INRCODEC_CUDA)
template <typename Op>
void run_on_gpu(const Checked& checked, uintptr_t stream, Op op) {
    if (checked.device < 0) refuse(kGridOp, "arrays must be on a GPU", "the CPU");
    const nb::gil_scoped_release released;
    op(checked.grid, checked.call, Stream{checked.device, stream});
}

void forward_cuda(const OnGpu& coords, const OnGpu& table, const Shape& shape, const OnGpu& out,
                  const std::optional<OnGpu>& direction, uintptr_t stream) {
    run_on_gpu(check_forward(coords, table, shape, out, direction), stream,
               grid_encode_forward_cuda);
}

TableSums sums_of(bool is_whole) {
    return is_whole ? TableSums::kWhole : TableSums::kFast;
}

// Bytes of the scratch of a table's gradient, whose numbers are of the type.
int64_t table_scratch(int64_t n_dims, int64_t n_features, const Shape& shape, int64_t n_points,
                      const std::string& type, bool is_along, bool is_whole) {
    const Grid grid = check_grid(n_dims, n_features, shape_of(shape));
    GridCall call;
    call.n_points = n_points;
    call.values = values_of(describe("gradient", OnGpu{0, {}, type, true, 0}).type);
    const float some = 0.0f;
    call.direction = is_along ? &some : nullptr;
    return grid_table_scratch_cuda(grid, call, sums_of(is_whole));
}

// With whole sums the same bits each time.
void table_gradient_cuda(const OnGpu& gradient, const OnGpu& coords, const Shape& shape,
                         const OnGpu& out, const std::optional<OnGpu>& direction,
                         const OnGpu& scratch, bool is_whole, uintptr_t stream) {
    const Checked checked = check_table_gradient(gradient, coords, shape, out, direction);
    const Array bytes = describe("scratch", scratch);
    const int64_t n_bytes = grid_table_scratch_cuda(checked.grid, checked.call, sums_of(is_whole));
    check_array(kGridOp, bytes, {n_bytes}, checked.device, Type::kUint8);
    check_rows(bytes);
    run_on_gpu(checked, stream, [&](const Grid& grid, const GridCall& call, Stream on) {
        grid_encode_table_gradient_cuda(grid, call, sums_of(is_whole), bytes.data, on);
    });
}

void coords_gradient_cuda(const OnGpu& gradient, const OnGpu& coords, const OnGpu& table,
                          const Shape& shape, const OnGpu& out,
                          const std::optional<OnGpu>& direction, uintptr_t stream) {
    run_on_gpu(check_coords_gradient(gradient, coords, table, shape, out, direction), stream,
               grid_encode_coords_gradient_cuda);
}
#endif

// --- quantize ------------------------------------------------------------------------------------

using Floats = std::vector<float>;
using Numbers = std::vector<double>;
using Keys = std::pair<uint32_t, uint32_t>;

// What both functions are told of the tensors and their rounding.
struct Quantized {
    std::vector<QuantizeRun> runs;
    QuantizeCall call;
};

Quantized check_quantized(const Sizes& sizes, const Floats& rates, const Floats& steps,
                          const std::string& rounding, const Keys& keys) {
    Quantized quantized{check_runs(sizes, rates, steps), {}};
    quantized.call.rounding = check_rounding(rounding);
    quantized.call.keys[0] = keys.first;
    quantized.call.keys[1] = keys.second;
    return quantized;
}

template <typename NdArray>
float* check_values(const Quantized& quantized, const char* name, const NdArray& from) {
    const Array array = describe(name, from);
    check_values(quantized.runs, array);
    return floats(array);
}

// Returns the sums, kForwardSums of each tensor.
Numbers forward_of_quantize(const Input& units, const Sizes& sizes, const Floats& rates,
                            const Floats& steps, const std::string& rounding, const Keys& keys,
                            const std::optional<Input>& base, const std::optional<Output>& weights,
                            int n_threads) {
    Quantized quantized = check_quantized(sizes, rates, steps, rounding, keys);
    QuantizeCall& call = quantized.call;
    call.units = check_values(quantized, "units", units);
    if (base) call.base = check_values(quantized, "base", *base);
    if (weights) call.weights = check_values(quantized, "weights", *weights);
    check_threads(kQuantizeOp, n_threads);
    Numbers sums(quantized.runs.size() * kForwardSums);
    const nb::gil_scoped_release released;
    quantize_forward(quantized.runs.data(), static_cast<int>(sizes.size()), call, sums.data(),
                     n_threads);
    return sums;
}

// Returns the sums, kStepSums of each tensor.
Numbers step_of_quantize(const Input& gradient, const Output& units, const Output& mean,
                         const Output& square, const Sizes& sizes, const Floats& rates,
                         const Floats& steps, const std::string& rounding, const Keys& keys,
                         const std::optional<Input>& base, const Floats& slopes,
                         const std::tuple<double, double, double, double, int64_t>& adam,
                         int n_threads) {
    Quantized quantized = check_quantized(sizes, rates, steps, rounding, keys);
    QuantizeCall& call = quantized.call;
    call.units = check_values(quantized, "units", units);
    call.mean = check_values(quantized, "mean", mean);
    call.square = check_values(quantized, "square", square);
    if (base) call.base = check_values(quantized, "base", *base);
    check_slopes(quantized.runs, slopes);
    call.gradient = check_values(quantized, "gradient", gradient);
    call.adam = std::apply(check_adam, adam);
    check_threads(kQuantizeOp, n_threads);
    Numbers sums(quantized.runs.size() * kStepSums);
    const nb::gil_scoped_release released;
    quantize_step(quantized.runs.data(), static_cast<int>(sizes.size()), call, sums.data(),
                  n_threads);
    return sums;
}

}  // namespace

// clang-format off
NB_MODULE(_native, m) {
    using nb::literals::operator""_a;
    m.def("instruction_sets", &instruction_sets);
    m.def("instruction_set", &instruction_set);
    m.def("use_instruction_set", &use_instruction_set, "name"_a);
    m.def("keep_freed_memory", &keep_freed_memory, "keep"_a, nb::call_guard<nb::gil_scoped_release>());
    m.def("grid_encode_forward", &forward,
          "coords"_a, "table"_a, "shape"_a, "out"_a, "direction"_a.none(),
          "n_threads"_a);
    m.def("grid_encode_table_gradient", &table_gradient,
          "gradient"_a, "coords"_a, "shape"_a, "out"_a, "direction"_a.none(),
          "n_threads"_a);
    m.def("grid_encode_coords_gradient", &coords_gradient,
          "gradient"_a, "coords"_a, "table"_a, "shape"_a, "out"_a, "direction"_a.none(),
          "n_threads"_a);
    m.def("quantize_forward", &forward_of_quantize, "units"_a, "sizes"_a, "rates"_a, "steps"_a,
          "rounding"_a, "keys"_a, "base"_a.none(), "weights"_a.none(), "n_threads"_a);
    m.def("quantize_step", &step_of_quantize, "gradient"_a, "units"_a, "mean"_a, "square"_a,
          "sizes"_a, "rates"_a, "steps"_a, "rounding"_a, "keys"_a, "base"_a.none(), "slopes"_a,
          "adam"_a, "n_threads"_a);
    register_cosine(m);
    register_latent(m);
    register_latent_fit(m);
    register_fit_moves(m);
    register_mlp(m);
    register_soap(m);
#if defined(INRCODEC_CUDA)
    m.attr("cuda_runtime") = INRCODEC_CUDA;
    m.def("cuda_device_count", &cuda_device_count);
    m.def("grid_encode_forward_cuda", &forward_cuda,
          "coords"_a, "table"_a, "shape"_a, "out"_a, "direction"_a.none(),
          "stream"_a);
    m.def("grid_encode_table_gradient_cuda", &table_gradient_cuda,
          "gradient"_a, "coords"_a, "shape"_a, "out"_a, "direction"_a.none(),
          "scratch"_a, "is_whole"_a, "stream"_a);
    m.def("grid_table_scratch_cuda", &table_scratch, "n_dims"_a, "n_features"_a, "shape"_a,
          "n_points"_a, "type"_a, "is_along"_a, "is_whole"_a);
    m.def("grid_encode_coords_gradient_cuda", &coords_gradient_cuda,
          "gradient"_a, "coords"_a, "table"_a, "shape"_a, "out"_a, "direction"_a.none(),
          "stream"_a);
#else
    m.attr("cuda_runtime") = nb::none();
#endif
}
// clang-format on
