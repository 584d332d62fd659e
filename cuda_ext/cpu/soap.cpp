// A step of SOAP on the CPU, tensor after tensor; all together take less than waking a thread is
// worth.
#include <algorithm>
#include <vector>

#include "../common/instruction_sets.h"

namespace inrcodec {

bool soap_step(const SoapTensor* tensors, int n_tensors, const SoapMove& move,
               const SoapCall& call) {
    const SoapKernels& kernels = soap_kernels();
    int64_t n_values = 0, n_work = 0;
    for (int i = 0; i < n_tensors; ++i) {
        n_values += tensors[i].size();
        n_work = std::max(n_work, soap_work_size(tensors[i]));
    }
    if (!kernels.accepts(call.gradient, n_values)) return false;
    std::vector<float> work(static_cast<size_t>(n_work));
    for (int i = 0; i < n_tensors; ++i) {
        const SoapTensor& tensor = tensors[i];
        if (tensor.size() == 0) continue;
        kernels.move(tensor, move, call.parameters + tensor.values, call.gradient + tensor.values,
                     call.state + tensor.state, work.data());
    }
    return true;
}

}  // namespace inrcodec
