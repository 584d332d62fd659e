// SOAP on the CPU: the team of common/soap.h is one thread, which finds kWidth products at once.
//
// This file is compiled once per instruction set; INRCODEC_SOAP_VARIANT names the result. It must not
// use the STL nor define anything external but that (see grid_kernels.cpp).
#include "../common/soap_kernels.h"

namespace inrcodec {
namespace {

struct Alone {
    static constexpr int kWidth = 16;
    int rank() const { return 0; }
    int size() const { return 1; }
    void sync() const {}
    bool all(bool value) const { return value; }
};

bool accepts(const float* gradient, int64_t count) {
    return soap_accepts(gradient, count, Alone());
}

void move_tensor(const SoapTensor& tensor, const SoapMove& move, float* parameters,
                 const float* gradient, float* state, float* work) {
    soap_move(tensor, move, parameters, gradient, state, work, Alone());
}

}  // namespace

const SoapKernels INRCODEC_SOAP_VARIANT = {accepts, move_tensor};

}  // namespace inrcodec
