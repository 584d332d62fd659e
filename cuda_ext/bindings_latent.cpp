// Registration of the native functions of the latent grids. No logic of its own.
#include <nanobind/stl/tuple.h>

#include "bindings.h"
#include "common/latent_checks.h"
#include "common/synthesis_checks.h"

using namespace inrcodec;

namespace {

// height, width | levels | inputs | neighbours | features, slope: as LatentShape.
using Grids = std::tuple<int64_t, int64_t, Sizes, Sizes, Sizes, int64_t, int64_t>;

// Returns a LatentEnd.
int decode(const Input& words, const Grids& grids, const Sizes& largest, const Input& weights,
           const Input& decays, const Input& powers, const Output& out) {
    const auto& [height, width, levels, inputs, neighbours, n_features, slope] = grids;
    const LatentModel model =
        check_latent_model({height, width, levels, inputs, largest, neighbours, n_features, slope});
    const Array coded = describe("words", words), tensors = describe("weights", weights);
    const Array decay = describe("decays", decays), power = describe("powers", powers);
    const Array values = describe("out", out);
    check_words(coded);
    check_latent_weights(model, tensors);
    check_laplace_tables(decay, power);
    check_array(kLatentOp, values, {model.n_values}, -1, Type::kInt32);
    LatentCall call;
    call.words = static_cast<const uint32_t*>(coded.data);
    call.n_words = coded.shape[0];
    call.weights = static_cast<const double*>(tensors.data);
    call.decays = static_cast<const int64_t*>(decay.data);
    call.powers = static_cast<const int64_t*>(power.data);
    call.out = static_cast<int32_t*>(values.data);
    const nb::gil_scoped_release released;
    return static_cast<int>(decode_latents(model, call));
}

void synthesize_pixels(const std::vector<Input>& latents, const Input& weights, int64_t n_hidden,
                       int64_t n_tail, const Sizes& offsets, int64_t scale, const Output& out,
                       int n_threads) {
    const Array pixels = describe("out", out), tensors = describe("weights", weights);
    if (pixels.shape.size() != 3)
        refuse(kSynthesisOp, "out must have 3 axes", text_of(pixels.shape));
    const Synthesis synthesis =
        check_synthesis({pixels.shape[0], pixels.shape[1], pixels.shape[2],
                         static_cast<int64_t>(latents.size()), n_hidden, n_tail});
    check_synthesis_weights(synthesis, tensors);
    SynthesisCall call;
    call.weights = static_cast<const double*>(tensors.data);
    std::vector<Array> arrays;
    for (const Input& grid : latents) arrays.push_back(describe("a grid of latents", grid));
    check_synthesis_latents(synthesis, arrays, call);
    check_synthesis_output(synthesis, offsets, scale, pixels, call);
    check_threads(kSynthesisOp, n_threads);
    const nb::gil_scoped_release released;
    synthesize(synthesis, call, n_threads);
}

}  // namespace

namespace inrcodec {

// clang-format off
void register_latent(nb::module_& m) {
    using nb::literals::operator""_a;
    m.def("decode_latents", &decode, "words"_a, "grids"_a, "largest"_a, "weights"_a, "decays"_a,
          "powers"_a, "out"_a);
    m.def("synthesize", &synthesize_pixels, "latents"_a, "weights"_a, "n_hidden"_a, "n_tail"_a,
          "offsets"_a, "scale"_a, "out"_a, "n_threads"_a);
}
// clang-format on

}  // namespace inrcodec
