// Registration of the native step of SOAP.
#include "bindings.h"
#include "common/soap_checks.h"

namespace inrcodec {
namespace {

using Shapes = std::vector<Sizes>;

template <typename NdArray>
float* check_soap_array(const char* name, const NdArray& from, int64_t size) {
    const Array array = describe(name, from);
    check_array(kSoapOp, array, {size}, -1);
    return floats(array);
}

bool step_of_soap(const Output& parameters, const Input& gradient, const Output& state,
                  const Shapes& shapes, const std::vector<float>& decays, double rate,
                  int64_t count) {
    const std::vector<SoapTensor> tensors = check_soap_tensors(shapes, decays);
    const SoapMove move = check_soap_move(rate, count);
    const int64_t n_values = count_soap_values(tensors);
    SoapCall call;
    call.parameters = check_soap_array("parameters", parameters, n_values);
    call.gradient = check_soap_array("gradient", gradient, n_values);
    call.state = check_soap_array("state", state, count_soap_state(tensors));
    const nb::gil_scoped_release released;
    return soap_step(tensors.data(), static_cast<int>(tensors.size()), move, call);
}

}  // namespace

// clang-format off
void register_soap(nb::module_& module) {
    using nb::literals::operator""_a;
    module.def("soap_step", &step_of_soap, "parameters"_a, "gradient"_a, "state"_a, "shapes"_a,
          "decays"_a, "rate"_a, "count"_a);
}
// clang-format on

}  // namespace inrcodec
