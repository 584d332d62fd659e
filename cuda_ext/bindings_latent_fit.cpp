// Registration of the native functions of the fits of latent grids.
#include "bindings.h"
#include "common/latent_fit_checks.h"

namespace inrcodec {
namespace {

template <typename NdArray>
float* check_fit_array(const char* name, const NdArray& from, int64_t size) {
    const Array array = describe(name, from);
    check_array(kFitOp, array, {size}, -1);
    return floats(array);
}

// Returns the bits.
double cost_of_latents(const Input& latents, const Input& parameters, const Sizes& grids,
                       const Sizes& neighbours, const Sizes& widths, const Output& latents_gradient,
                       const Output& parameters_gradient, int n_threads) {
    const FitShape shape = check_fit_shape(grids, neighbours, widths);
    FitCostCall call;
    call.latents = check_fit_array("latents", latents, shape.n_latents);
    call.parameters = check_fit_array("parameters", parameters, shape.n_cost_parameters);
    call.latents_gradient = check_fit_array("latents_gradient", latents_gradient, shape.n_latents);
    call.parameters_gradient =
        check_fit_array("parameters_gradient", parameters_gradient, shape.n_cost_parameters);
    check_threads(kFitOp, n_threads);
    const nb::gil_scoped_release released;
    return latent_cost(shape, call, n_threads);
}

void soft_latents(const Input& units, const Input& noise, double gain, double noise_scale,
                  double temperature, const Output& out, const Output& slopes, int n_threads) {
    const Array values = describe("units", units);
    if (values.shape.size() != 1) refuse(kFitOp, "units must have 1 axis", text_of(values.shape));
    SoftCall call = check_soft(gain, noise_scale, temperature);
    call.n_values = values.shape[0];
    call.units = check_fit_array("units", units, call.n_values);
    call.noise = check_fit_array("noise", noise, call.n_values);
    call.out = check_fit_array("out", out, call.n_values);
    call.slopes = check_fit_array("slopes", slopes, call.n_values);
    check_threads(kFitOp, n_threads);
    const nb::gil_scoped_release released;
    soften_latents(call, n_threads);
}

int64_t kept_of_latents(const Sizes& grids, const Sizes& neighbours, const Sizes& widths) {
    return kept_for_pixels(check_fit_shape(grids, neighbours, widths));
}

template <typename Kept>
FitPixelsCall check_fit_pixels(const FitShape& shape, const Input& latents, const Input& parameters,
                               const Kept& kept) {
    FitPixelsCall call;
    call.latents = check_fit_array("latents", latents, shape.n_latents);
    call.parameters = check_fit_array("parameters", parameters, shape.n_pixel_parameters);
    call.kept = check_fit_array("kept", kept, kept_for_pixels(shape));
    return call;
}

template <typename NdArray>
float* check_fit_image(const char* name, const NdArray& from, const FitShape& shape) {
    const Array array = describe(name, from);
    const FitGrid& grid = shape.finest();
    check_array(kFitOp, array, {shape.n_channels, grid.height, grid.width}, -1);
    return floats(array);
}

void pixels_of_latents(const Input& latents, const Input& parameters, const Sizes& grids,
                       const Sizes& neighbours, const Sizes& widths, const Output& kept,
                       const Output& pixels, int n_threads) {
    const FitShape shape = check_fit_shape(grids, neighbours, widths);
    FitPixelsCall call = check_fit_pixels(shape, latents, parameters, kept);
    call.pixels = check_fit_image("pixels", pixels, shape);
    check_threads(kFitOp, n_threads);
    const nb::gil_scoped_release released;
    latent_pixels(shape, call, n_threads);
}

void gradients_of_pixels(const Input& gradient, const Input& latents, const Input& parameters,
                         const Sizes& grids, const Sizes& neighbours, const Sizes& widths,
                         const Input& kept, const Output& latents_gradient,
                         const Output& parameters_gradient, int n_threads) {
    const FitShape shape = check_fit_shape(grids, neighbours, widths);
    FitPixelsCall call = check_fit_pixels(shape, latents, parameters, kept);
    call.gradient = check_fit_image("gradient", gradient, shape);
    call.latents_gradient = check_fit_array("latents_gradient", latents_gradient, shape.n_latents);
    call.parameters_gradient =
        check_fit_array("parameters_gradient", parameters_gradient, shape.n_pixel_parameters);
    check_threads(kFitOp, n_threads);
    const nb::gil_scoped_release released;
    latent_pixels_gradients(shape, call, n_threads);
}

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
}
// clang-format on

}  // namespace inrcodec
