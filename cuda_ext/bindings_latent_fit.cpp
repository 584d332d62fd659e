// Registration of the native functions of the fits of latent grids.
#include "bindings.h"
#include "common/latent_fit_checks.h"

namespace inrcodec {
namespace {

// An array of the memory of `device`; -1: of the CPU.
template <typename NdArray>
float* check_fit_array(const char* name, const NdArray& from, int64_t size, int device = -1) {
    const Array array = describe(name, from);
    check_array(kFitOp, array, {size}, device);
    return floats(array);
}

FitCostCall check_fit_cost(const FitShape& shape, const Input& latents, const Input& parameters,
                           const Output& latents_gradient, const Output& parameters_gradient,
                           int device) {
    FitCostCall call;
    call.latents = check_fit_array("latents", latents, shape.n_latents, device);
    call.parameters = check_fit_array("parameters", parameters, shape.n_cost_parameters, device);
    call.latents_gradient =
        check_fit_array("latents_gradient", latents_gradient, shape.n_latents, device);
    call.parameters_gradient = check_fit_array("parameters_gradient", parameters_gradient,
                                               shape.n_cost_parameters, device);
    return call;
}

// Returns the bits.
double cost_of_latents(const Input& latents, const Input& parameters, const Sizes& grids,
                       const Sizes& neighbours, const Sizes& widths, const Output& latents_gradient,
                       const Output& parameters_gradient, int n_threads) {
    const FitShape shape = check_fit_shape(grids, neighbours, widths);
    const FitCostCall call =
        check_fit_cost(shape, latents, parameters, latents_gradient, parameters_gradient, -1);
    check_threads(kFitOp, n_threads);
    const nb::gil_scoped_release released;
    return latent_cost(shape, call, n_threads);
}

void check_softening(const Input& units, const Input& noise, const Output& out,
                     const Output& slopes, int device, SoftCall& call) {
    const Array values = describe("units", units);
    if (values.shape.size() != 1) refuse(kFitOp, "units must have 1 axis", text_of(values.shape));
    call.n_values = values.shape[0];
    call.units = check_fit_array("units", units, call.n_values, device);
    call.noise = check_fit_array("noise", noise, call.n_values, device);
    call.out = check_fit_array("out", out, call.n_values, device);
    call.slopes = check_fit_array("slopes", slopes, call.n_values, device);
}

void soft_latents(const Input& units, const Input& noise, double gain, double noise_scale,
                  double temperature, const Output& out, const Output& slopes, int n_threads) {
    SoftCall call = check_soft(gain, noise_scale, temperature);
    check_softening(units, noise, out, slopes, -1, call);
    check_threads(kFitOp, n_threads);
    const nb::gil_scoped_release released;
    soften_latents(call, n_threads);
}

int64_t kept_of_latents(const Sizes& grids, const Sizes& neighbours, const Sizes& widths) {
    return kept_for_pixels(check_fit_shape(grids, neighbours, widths));
}

template <typename Kept>
FitPixelsCall check_fit_pixels(const FitShape& shape, const Input& latents, const Input& parameters,
                               const Kept& kept, int64_t n_kept, int device) {
    FitPixelsCall call;
    call.latents = check_fit_array("latents", latents, shape.n_latents, device);
    call.parameters = check_fit_array("parameters", parameters, shape.n_pixel_parameters, device);
    call.kept = check_fit_array("kept", kept, n_kept, device);
    return call;
}

template <typename NdArray>
float* check_fit_image(const char* name, const NdArray& from, const FitShape& shape, int device) {
    const Array array = describe(name, from);
    const FitGrid& grid = shape.finest();
    check_array(kFitOp, array, {shape.n_channels, grid.height, grid.width}, device);
    return floats(array);
}

void check_fit_gradients(const FitShape& shape, const Output& latents_gradient,
                         const Output& parameters_gradient, int device, FitPixelsCall& call) {
    call.latents_gradient =
        check_fit_array("latents_gradient", latents_gradient, shape.n_latents, device);
    call.parameters_gradient = check_fit_array("parameters_gradient", parameters_gradient,
                                               shape.n_pixel_parameters, device);
}

void pixels_of_latents(const Input& latents, const Input& parameters, const Sizes& grids,
                       const Sizes& neighbours, const Sizes& widths, const Output& kept,
                       const Output& pixels, int n_threads) {
    const FitShape shape = check_fit_shape(grids, neighbours, widths);
    FitPixelsCall call =
        check_fit_pixels(shape, latents, parameters, kept, kept_for_pixels(shape), -1);
    call.pixels = check_fit_image("pixels", pixels, shape, -1);
    check_threads(kFitOp, n_threads);
    const nb::gil_scoped_release released;
    latent_pixels(shape, call, n_threads);
}

void gradients_of_pixels(const Input& gradient, const Input& latents, const Input& parameters,
                         const Sizes& grids, const Sizes& neighbours, const Sizes& widths,
                         const Input& kept, const Output& latents_gradient,
                         const Output& parameters_gradient, int n_threads) {
    const FitShape shape = check_fit_shape(grids, neighbours, widths);
    FitPixelsCall call =
        check_fit_pixels(shape, latents, parameters, kept, kept_for_pixels(shape), -1);
    call.gradient = check_fit_image("gradient", gradient, shape, -1);
    check_fit_gradients(shape, latents_gradient, parameters_gradient, -1, call);
    check_threads(kFitOp, n_threads);
    const nb::gil_scoped_release released;
    latent_pixels_gradients(shape, call, n_threads);
}

#if defined(INRCODEC_CUDA)
FitShape check_cuda_shape(const Sizes& grids, const Sizes& neighbours, const Sizes& widths) {
    const FitShape shape = check_fit_shape(grids, neighbours, widths);
    if (!has_cuda_cost(shape) || !has_cuda_pixels(shape))
        refuse(kFitOp, "networks must be as small as those of streams", "larger ones");
    return shape;
}

// The GPU of the latents.
int check_gpu(const Input& latents) {
    const int device = describe("latents", latents).device;
    if (device < 0) refuse(kFitOp, "arrays must be on a GPU", "the CPU");
    return device;
}

int64_t cost_scratch_of(const Sizes& grids, const Sizes& neighbours, const Sizes& widths) {
    return cost_scratch_cuda(check_cuda_shape(grids, neighbours, widths));
}

int64_t pixels_scratch_of(const Sizes& grids, const Sizes& neighbours, const Sizes& widths) {
    return pixels_scratch_cuda(check_cuda_shape(grids, neighbours, widths));
}

int64_t kept_on_gpu(const Sizes& grids, const Sizes& neighbours, const Sizes& widths) {
    return kept_for_pixels_cuda(check_cuda_shape(grids, neighbours, widths));
}

void cost_on_gpu(const Input& latents, const Input& parameters, const Sizes& grids,
                 const Sizes& neighbours, const Sizes& widths, const Output& latents_gradient,
                 const Output& parameters_gradient, const Output& bits, const Output& scratch,
                 uintptr_t stream) {
    const FitShape shape = check_cuda_shape(grids, neighbours, widths);
    const int device = check_gpu(latents);
    FitCostCall call =
        check_fit_cost(shape, latents, parameters, latents_gradient, parameters_gradient, device);
    call.bits = check_fit_array("bits", bits, 1, device);
    call.scratch = check_fit_array("scratch", scratch, cost_scratch_cuda(shape), device);
    const nb::gil_scoped_release released;
    latent_cost_cuda(shape, call, {device, stream});
}

void soft_on_gpu(const Input& units, const Input& noise, const Input& scalars, const Output& out,
                 const Output& slopes, uintptr_t stream) {
    const int device = check_gpu(units);
    SoftCall call;
    check_softening(units, noise, out, slopes, device, call);
    call.scalars = check_fit_array("scalars", scalars, 4, device);
    const nb::gil_scoped_release released;
    soften_latents_cuda(call, {device, stream});
}

void pixels_on_gpu(const Input& latents, const Input& parameters, const Sizes& grids,
                   const Sizes& neighbours, const Sizes& widths, const Output& kept,
                   const Output& pixels, uintptr_t stream) {
    const FitShape shape = check_cuda_shape(grids, neighbours, widths);
    const int device = check_gpu(latents);
    FitPixelsCall call =
        check_fit_pixels(shape, latents, parameters, kept, kept_for_pixels_cuda(shape), device);
    call.pixels = check_fit_image("pixels", pixels, shape, device);
    const nb::gil_scoped_release released;
    latent_pixels_cuda(shape, call, {device, stream});
}

void pixel_gradients_on_gpu(const Input& gradient, const Input& latents, const Input& parameters,
                            const Sizes& grids, const Sizes& neighbours, const Sizes& widths,
                            const Input& kept, const Output& latents_gradient,
                            const Output& parameters_gradient, const Output& scratch,
                            uintptr_t stream) {
    const FitShape shape = check_cuda_shape(grids, neighbours, widths);
    const int device = check_gpu(latents);
    FitPixelsCall call =
        check_fit_pixels(shape, latents, parameters, kept, kept_for_pixels_cuda(shape), device);
    call.gradient = check_fit_image("gradient", gradient, shape, device);
    check_fit_gradients(shape, latents_gradient, parameters_gradient, device, call);
    call.scratch = check_fit_array("scratch", scratch, pixels_scratch_cuda(shape), device);
    const nb::gil_scoped_release released;
    latent_pixels_gradients_cuda(shape, call, {device, stream});
}
#endif

}  // namespace

// clang-format off
void register_latent_fit(nb::module_& module) {
    using nb::literals::operator""_a;
    module.def("latent_cost", &cost_of_latents, "latents"_a, "parameters"_a, "grids"_a, "neighbours"_a,
          "widths"_a, "latents_gradient"_a, "parameters_gradient"_a, "n_threads"_a);
    module.def("soft_latents", &soft_latents, "units"_a, "noise"_a, "gain"_a, "noise_scale"_a,
          "temperature"_a, "out"_a, "slopes"_a, "n_threads"_a);
    module.def("latent_kept", &kept_of_latents, "grids"_a, "neighbours"_a, "widths"_a);
    module.def("latent_pixels", &pixels_of_latents, "latents"_a, "parameters"_a, "grids"_a,
          "neighbours"_a, "widths"_a, "kept"_a, "pixels"_a, "n_threads"_a);
    module.def("latent_pixels_gradients", &gradients_of_pixels, "gradient"_a, "latents"_a,
          "parameters"_a, "grids"_a, "neighbours"_a, "widths"_a, "kept"_a, "latents_gradient"_a,
          "parameters_gradient"_a, "n_threads"_a);
#if defined(INRCODEC_CUDA)
    module.def("latent_cost_scratch_cuda", &cost_scratch_of, "grids"_a, "neighbours"_a, "widths"_a);
    module.def("latent_pixels_scratch_cuda", &pixels_scratch_of, "grids"_a, "neighbours"_a, "widths"_a);
    module.def("latent_kept_cuda", &kept_on_gpu, "grids"_a, "neighbours"_a, "widths"_a);
    module.def("latent_cost_cuda", &cost_on_gpu, "latents"_a, "parameters"_a, "grids"_a, "neighbours"_a,
          "widths"_a, "latents_gradient"_a, "parameters_gradient"_a, "bits"_a, "scratch"_a, "stream"_a);
    module.def("soft_latents_cuda", &soft_on_gpu, "units"_a, "noise"_a, "scalars"_a, "out"_a, "slopes"_a,
          "stream"_a);
    module.def("latent_pixels_cuda", &pixels_on_gpu, "latents"_a, "parameters"_a, "grids"_a,
          "neighbours"_a, "widths"_a, "kept"_a, "pixels"_a, "stream"_a);
    module.def("latent_pixels_gradients_cuda", &pixel_gradients_on_gpu, "gradient"_a, "latents"_a,
          "parameters"_a, "grids"_a, "neighbours"_a, "widths"_a, "kept"_a, "latents_gradient"_a,
          "parameters_gradient"_a, "scratch"_a, "stream"_a);
#endif
}
// clang-format on

}  // namespace inrcodec
