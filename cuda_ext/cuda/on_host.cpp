// The CUDA kernels as C functions that run on the host, for tests: compiled with
// INRCODEC_CUDA_ON_HOST together with cuda/*.cu.
#include <memory>
#include <vector>

#include "../common/fit_moves.h"
#include "../common/grid_checks.h"
#include "../common/grid_encode.h"
#include "../common/grid_mlp.h"
#include "../common/latent_fit_checks.h"
#include "../common/mlp_checks.h"
#include "../common/soap_checks.h"

namespace {

using inrcodec::FitShape;

FitShape shape_of(const int64_t* numbers) {
    const auto take = [&] {
        const int64_t count = *numbers++;
        const std::vector<int64_t> list(numbers, numbers + count);
        numbers += count;
        return list;
    };
    const auto grids = take(), neighbours = take(), widths = take();
    return inrcodec::check_fit_shape(grids, neighbours, widths);
}

// A buffer of scratch that is full of NaN, as nothing may be read that was not written.
std::vector<float> scratch_of(int64_t size) {
    return std::vector<float>(size, __builtin_nanf(""));
}

}  // namespace

// Shapes are lists of numbers, each with its length before it: grids, neighbours, widths.
extern "C" {

// `op`: 0 the features, 1 the gradient of the table, 2 that of the coordinates; arrays as in a
// GridCall, with a `direction` or null; the table may be summed in whole numbers.
// `sizes`: dims, features, levels, points, the number of the kind of values, then the resolutions
// and sizes of the levels.
void cuda_grid_encode(int64_t op, const char* interpolation, const int64_t* sizes,
                      const float* scales, const float* coords, const float* table,
                      const float* gradient, const float* direction, float* out, bool is_whole) {
    const int64_t n_dims = sizes[0], n_levels = sizes[2];
    const int64_t* resolutions = sizes + 5;
    const int64_t* levels = resolutions + n_levels * n_dims;
    inrcodec::GridShape shape;
    shape.interpolation = interpolation;
    shape.scales.assign(scales, scales + n_levels * n_dims);
    shape.resolutions.assign(resolutions, levels);
    shape.sizes.assign(levels, levels + n_levels);
    const inrcodec::Grid grid = inrcodec::check_grid(n_dims, sizes[1], shape);
    inrcodec::GridCall call{sizes[3], coords, table, gradient, out, direction};
    call.values = static_cast<inrcodec::GridValues>(sizes[4]);
    if (op == 0) inrcodec::grid_encode_forward_cuda(grid, call, {0, 0});
    if (op == 1) {
        const auto sums = is_whole ? inrcodec::TableSums::kWhole : inrcodec::TableSums::kFast;
        const int64_t n_bytes = inrcodec::grid_table_scratch_cuda(grid, call, sums);
        auto scratch = scratch_of((n_bytes + 15) / 16 * 4 + 4);
        void* at = scratch.data();
        size_t room = scratch.size() * sizeof(float);
        inrcodec::grid_encode_table_gradient_cuda(
            grid, call, sums, std::align(16, static_cast<size_t>(n_bytes), at, room), {0, 0});
    }
    if (op == 2) inrcodec::grid_encode_coords_gradient_cuda(grid, call, {0, 0});
}

// `sizes`: the number of points, then those of the network, each layer's; arrays as in an MlpCall. With
// `out` the values alone. Returns the sum of squares, or -1 if there is no kernel.
double cuda_mlp(const char* activation, int64_t n_layers, bool has_bias, const int64_t* sizes,
                const float* x, const float* parameters, const float* gradient,
                const float* targets, float* out, float* parameters_gradient, float* x_gradient) {
    const std::vector<int64_t> all(sizes + 1, sizes + n_layers + 2);
    const inrcodec::Mlp mlp =
        inrcodec::check_mlp(all, has_bias, inrcodec::check_activation(activation));
    inrcodec::MlpCall call;
    call.n_points = sizes[0];
    call.x = x;
    call.parameters = parameters;
    call.gradient = gradient;
    call.targets = targets;
    call.slope = mlp.slope_of_mean(call.n_points);
    call.out = out;
    call.parameters_gradient = parameters_gradient;
    call.x_gradient = x_gradient;
    auto scratch = scratch_of(inrcodec::mlp_scratch_cuda(mlp, call.n_points, 0));
    if (scratch.empty()) return -1.0;
    if (out) {
        inrcodec::mlp_forward_cuda(mlp, call, {0, 0});
        return 0.0;
    }
    inrcodec::mlp_gradients_cuda(mlp, call, scratch.data(), {0, 0});
    return scratch[0];
}

int64_t cuda_latent_kept(const int64_t* shape) {
    return inrcodec::kept_for_pixels_cuda(shape_of(shape));
}

void cuda_latent_cost(const int64_t* numbers, const float* latents, const float* parameters,
                      float* latents_gradient, float* parameters_gradient, float* bits) {
    const FitShape shape = shape_of(numbers);
    auto scratch = scratch_of(inrcodec::cost_scratch_cuda(shape));
    inrcodec::FitCostCall call;
    call.latents = latents;
    call.parameters = parameters;
    call.latents_gradient = latents_gradient;
    call.parameters_gradient = parameters_gradient;
    call.bits = bits;
    call.scratch = scratch.data();
    inrcodec::latent_cost_cuda(shape, call, {0, 0});
}

void cuda_latent_pixels(const int64_t* numbers, const float* latents, const float* parameters,
                        float* kept, float* pixels) {
    const FitShape shape = shape_of(numbers);
    inrcodec::FitPixelsCall call;
    call.latents = latents;
    call.parameters = parameters;
    call.kept = kept;
    call.pixels = pixels;
    inrcodec::latent_pixels_cuda(shape, call, {0, 0});
}

void cuda_latent_pixels_gradients(const int64_t* numbers, const float* gradient,
                                  const float* latents, const float* parameters, float* kept,
                                  float* latents_gradient, float* parameters_gradient) {
    const FitShape shape = shape_of(numbers);
    auto scratch = scratch_of(inrcodec::pixels_scratch_cuda(shape));
    inrcodec::FitPixelsCall call;
    call.gradient = gradient;
    call.latents = latents;
    call.parameters = parameters;
    call.kept = kept;
    call.latents_gradient = latents_gradient;
    call.parameters_gradient = parameters_gradient;
    call.scratch = scratch.data();
    inrcodec::latent_pixels_gradients_cuda(shape, call, {0, 0});
}

void cuda_soft_latents(int64_t n_values, const float* units, const float* noise,
                       const float* scalars, float* out, float* slopes) {
    inrcodec::SoftCall call;
    call.scalars = scalars;
    call.n_values = n_values;
    call.units = units;
    call.noise = noise;
    call.out = out;
    call.slopes = slopes;
    inrcodec::soften_latents_cuda(call, {0, 0});
}

void cuda_adam_step(int64_t n_values, float* values, const float* gradient, float* mean,
                    float* square, const float* scalars, const float* finite, double mean_share,
                    double square_share, double epsilon) {
    inrcodec::AdamCall call;
    call.n_values = n_values;
    call.values = values;
    call.gradient = gradient;
    call.mean = mean;
    call.square = square;
    call.scalars = scalars;
    call.finite = finite;
    call.mean_share = static_cast<float>(mean_share);
    call.square_share = static_cast<float>(square_share);
    call.epsilon = static_cast<float>(epsilon);
    inrcodec::adam_step_cuda(call, {0, 0});
}

// `shapes`: rows and columns of each tensor.
void cuda_soap_step(int64_t n_tensors, const int64_t* shapes, const float* decays, float* values,
                    const float* gradient, float* state, const float* scalars,
                    const float* finite) {
    std::vector<std::vector<int64_t>> all;
    for (int64_t i = 0; i < n_tensors; ++i) all.push_back({shapes[2 * i], shapes[2 * i + 1]});
    const auto tensors =
        inrcodec::check_soap_tensors(all, std::vector<float>(decays, decays + n_tensors));
    inrcodec::SoapCall call;
    call.parameters = values;
    call.gradient = gradient;
    call.state = state;
    inrcodec::soap_step_cuda(tensors.data(), static_cast<int>(n_tensors), call, scalars, finite,
                             {0, 0});
}
}
