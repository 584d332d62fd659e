// The CPU kernels of SOAP, one set per instruction set.
#pragma once

#include "soap.h"

namespace inrcodec {

struct SoapKernels {
    bool (*accepts)(const float* gradient, int64_t count);
    // Of one tensor and its own parts of the arrays; `work`: soap_work_size floats.
    void (*move)(const SoapTensor&, const SoapMove&, float* parameters, const float* gradient,
                 float* state, float* work);
};

extern const SoapKernels kSoapKernelsBaseline;
extern const SoapKernels kSoapKernelsAvx2;
extern const SoapKernels kSoapKernelsAvx512;

}  // namespace inrcodec
