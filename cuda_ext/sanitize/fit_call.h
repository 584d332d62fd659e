// Calls on latent grids for the sanitizer driver, which includes this page behind its own helpers.
//
//   "INRF" | u8 op: 0 cost, 1 pixels, 2 gradients of pixels, 3 soft latents | u8 threads
//   u8 instruction set | u8 grids | u8 neighbours | u8 widths [4], as of check_fit_shape
//   u32 grids [grids, 4] | i8 neighbours [neighbours, 2] | f32 latents (2^16 at most)
//   f32 parameters (op 0 to 2) or noise (op 3) | f32 gradient (op 2)
// Results: gradients of latents and of parameters, then the bits (op 0); the pixels; the gradients;
// soft latents and their slopes.
#pragma once

#include "../common/latent_fit_checks.h"
#include "reader.h"

namespace {

constexpr int64_t kMaxLatents = 1 << 16;

FitShape read_fit_shape(Reader& reader) {
    const uint64_t n_grids = reader.number<uint8_t>(), n_neighbours = reader.number<uint8_t>();
    const std::vector<uint8_t> widths = reader.numbers<uint8_t>(4);
    const std::vector<uint32_t> grids = reader.numbers<uint32_t>(4 * n_grids);
    const std::vector<int8_t> neighbours = reader.numbers<int8_t>(2 * n_neighbours);
    const FitShape shape =
        check_fit_shape({grids.begin(), grids.end()}, {neighbours.begin(), neighbours.end()},
                        {widths.begin(), widths.end()});
    if (shape.n_latents > kMaxLatents)
        refuse_call("latents must be at most 2^16, got " + std::to_string(shape.n_latents));
    return shape;
}

std::vector<float> run_soft(Reader& reader, const FitShape& shape, int n_threads) {
    std::vector<float> units = reader.numbers<float>(shape.n_latents);
    std::vector<float> noise = reader.numbers<float>(shape.n_latents);
    reader.finish();
    std::vector<float> out(2 * units.size());
    SoftCall call = check_soft(16.0, 0.25, 0.125);
    call.n_values = shape.n_latents;
    call.units = units.data();
    call.noise = noise.data();
    call.out = out.data();
    call.slopes = out.data() + units.size();
    soften_latents(call, n_threads);
    return out;
}

std::vector<float> run_cost(Reader& reader, const FitShape& shape, int n_threads) {
    std::vector<float> latents = reader.numbers<float>(shape.n_latents);
    std::vector<float> parameters = reader.numbers<float>(shape.n_cost_parameters);
    reader.finish();
    std::vector<float> out(latents.size() + parameters.size());
    const FitCostCall call{latents.data(), parameters.data(), out.data(),
                           out.data() + latents.size()};
    out.push_back(static_cast<float>(latent_cost(shape, call, n_threads)));
    return out;
}

// Gradients need what the way there keeps, so that is run as well.
std::vector<float> run_pixels(Reader& reader, const FitShape& shape, bool is_back, int n_threads) {
    std::vector<float> latents = reader.numbers<float>(shape.n_latents);
    std::vector<float> parameters = reader.numbers<float>(shape.n_pixel_parameters);
    const FitGrid& grid = shape.finest();
    const int64_t n_pixels = int64_t{shape.n_channels} * grid.height * grid.width;
    std::vector<float> gradient;
    if (is_back) gradient = reader.numbers<float>(n_pixels);
    reader.finish();
    std::vector<float> kept(kept_for_pixels(shape)), pixels(n_pixels);
    std::vector<float> out(latents.size() + parameters.size());
    FitPixelsCall call;
    call.latents = latents.data();
    call.parameters = parameters.data();
    call.kept = kept.data();
    call.pixels = pixels.data();
    latent_pixels(shape, call, n_threads);
    if (!is_back) return pixels;
    call.gradient = gradient.data();
    call.latents_gradient = out.data();
    call.parameters_gradient = out.data() + latents.size();
    latent_pixels_gradients(shape, call, n_threads);
    return out;
}

std::vector<float> run_fit(Reader& reader) {
    const auto [op, n_threads] = read_start(reader, 3);
    const FitShape shape = read_fit_shape(reader);
    if (op == 0) return run_cost(reader, shape, n_threads);
    if (op == 3) return run_soft(reader, shape, n_threads);
    return run_pixels(reader, shape, op == 2, n_threads);
}

}  // namespace
