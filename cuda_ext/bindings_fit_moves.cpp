// Registration of the steps of fits on a GPU.
#include "bindings.h"
#include "common/fit_moves.h"
#include "common/soap_checks.h"

namespace inrcodec {

#if defined(INRCODEC_CUDA)
namespace {

constexpr char kOp[] = "fit_moves";
constexpr int kAdamScalars = 2, kSoapScalars = 4;

// An array on the GPU `device`.
template <typename NdArray>
float* check_move_array(const char* name, const NdArray& from, int64_t size, int device) {
    const Array array = describe(name, from);
    check_array(kOp, array, {size}, device);
    return floats(array);
}

int check_values(const Array& values) {
    if (values.device < 0) refuse(kOp, "arrays must be on a GPU", "the CPU");
    if (values.shape.size() != 1) refuse(kOp, "values must have 1 axis", text_of(values.shape));
    return values.device;
}

void adam_on_gpu(const Output& values, const Input& gradient, const Output& mean,
                 const Output& square, const Input& scalars, const Input& finite, float mean_share,
                 float square_share, float epsilon, uintptr_t stream) {
    const Array moved = describe("values", values);
    const int device = check_values(moved);
    AdamCall call;
    call.n_values = moved.shape[0];
    call.values = check_move_array("values", values, call.n_values, device);
    call.gradient = check_move_array("gradient", gradient, call.n_values, device);
    call.mean = check_move_array("mean", mean, call.n_values, device);
    call.square = check_move_array("square", square, call.n_values, device);
    call.scalars = check_move_array("scalars", scalars, kAdamScalars, device);
    call.finite = check_move_array("finite", finite, 1, device);
    call.mean_share = mean_share;
    call.square_share = square_share;
    call.epsilon = epsilon;
    const nb::gil_scoped_release released;
    adam_step_cuda(call, {device, stream});
}

void soap_on_gpu(const Output& values, const Input& gradient, const Output& state,
                 const Input& scalars, const Input& finite, const std::vector<Sizes>& shapes,
                 const std::vector<float>& decays, uintptr_t stream) {
    const std::vector<SoapTensor> tensors = check_soap_tensors(shapes, decays);
    const int n_tensors = static_cast<int>(tensors.size());
    if (!has_cuda_soap(tensors.data(), n_tensors))
        refuse(kOp, "tensors must be few and small", text_of({n_tensors}));
    const int device = check_values(describe("values", values));
    const int64_t n_values = count_soap_values(tensors);
    SoapCall call;
    call.parameters = check_move_array("values", values, n_values, device);
    call.gradient = check_move_array("gradient", gradient, n_values, device);
    call.state = check_move_array("state", state, count_soap_state(tensors), device);
    const float* numbers = check_move_array("scalars", scalars, kSoapScalars, device);
    const float* is_finite = check_move_array("finite", finite, 1, device);
    const nb::gil_scoped_release released;
    soap_step_cuda(tensors.data(), n_tensors, call, numbers, is_finite, {device, stream});
}

}  // namespace

// clang-format off
void register_fit_moves(nb::module_& module) {
    using nb::literals::operator""_a;
    module.def("adam_step_cuda", &adam_on_gpu, "values"_a, "gradient"_a, "mean"_a, "square"_a, "scalars"_a,
          "finite"_a, "mean_share"_a, "square_share"_a, "epsilon"_a, "stream"_a);
    module.def("soap_step_cuda", &soap_on_gpu, "values"_a, "gradient"_a, "state"_a, "scalars"_a, "finite"_a,
          "shapes"_a, "decays"_a, "stream"_a);
}
// clang-format on
#else
void register_fit_moves(nb::module_&) {}
#endif

}  // namespace inrcodec
