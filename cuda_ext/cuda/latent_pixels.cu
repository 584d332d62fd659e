// The pixels of latents and their gradients on the GPU, in float32; the same bits at every call.
//
// Upsampling: one output, or one input on the way back, a thread, straight in two dimensions; a level
// waits for the one below it. Synthesis: tiles of pixels go through the hidden layer, one pixel a
// thread; each layer of the tail is a kernel of its own. Gradients of weights are sums of blocks, which
// `add_rows` adds up.
#include "latent_hidden.h"
#include "latent_tail.h"
#include "latent_upsampling.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "latent_pixels";

__global__ void clear_hyperlatents(const FitShape shape, float* gradient) {
    const FitGrid& grid = shape.grids[blockIdx.y];
    const int64_t at = item_of_thread();
    if (grid.is_hyper && at < int64_t{grid.height} * grid.width) gradient[grid.offset + at] = 0.0f;
}

struct Work {
    const FitShape& shape;
    const PixelsLayout layout;
    const FitPixelsCall& call;
    const Launcher launcher;

    Work(const FitShape& shape_, const FitPixelsCall& call_, Stream stream)
        : shape(shape_), layout(plan(shape_)), call(call_), launcher(kOp, stream) {}

    int finest() const { return layout.levels.n - 1; }
    int64_t area() const { return layout.levels.area(finest()); }
    dim3 all_of(int level, int n_rows) const {
        return dim3(blocks_for(layout.levels.area(level), kThreads), n_rows);
    }
    int n_blocks(int n_points) const {
        const int64_t wanted = (area() + n_points - 1) / n_points;
        return static_cast<int>(wanted < kBlocks ? wanted : kBlocks);
    }
    size_t lift_bytes() const { return sizeof(float) * Shared(shape).size; }
};

void weigh_and_pass_tail(const Work& work, int layer, const float* from, float* to) {
    const int n = work.shape.n_channels;
    const PixelsLayout& layout = work.layout;
    const float* kept = work.call.kept;
    float* const sums = work.call.scratch + layout.sums;
    const int n_blocks = work.n_blocks(kThreads);
    work.launcher.run(weigh_tail, dim3(n_blocks, n * n), dim3(kThreads), sizeof(float) * kThreads,
                      work.shape, layout, kept, from, layer, sums);
    float* const gradient = work.call.parameters_gradient;
    sum_rows(work.launcher, sums, n_blocks, layout.tail_stride,
             {gradient + layout.tails + 9 * layer * n * n, 9 * n * n,
              gradient + layout.tail_biases + layer * n, n});
    work.launcher.run(pass_tail, work.all_of(work.finest(), n), dim3(kThreads), 0, work.shape,
                      layout, work.call.parameters, kept, from, layer, to);
}

void pass_hidden(const Work& work, const float* by_layer) {
    const PixelsLayout& layout = work.layout;
    float* const sums = work.call.scratch + layout.sums;
    const int n_blocks = work.n_blocks(kTile);
    work.launcher.run(pass_lift, dim3(n_blocks), dim3(kTile), work.lift_bytes(), work.shape, layout,
                      work.call.parameters, static_cast<const float*>(work.call.kept),
                      work.call.gradient, by_layer, work.call.scratch, sums);
    float* const gradient = work.call.parameters_gradient;
    sum_rows(work.launcher, sums, n_blocks, layout.lift_stride,
             {gradient + layout.lift, static_cast<int>(layout.tails - layout.lift),
              gradient + layout.lower_bias, work.shape.n_channels});
}

void pass_upsampling(const Work& work) {
    const Levels& levels = work.layout.levels;
    const FitPixelsCall& call = work.call;
    float* const sums = call.scratch + work.layout.sums;
    for (int level = work.finest(); level > 0; --level) {
        work.launcher.run(pass_rise, work.all_of(level - 1, level), dim3(kThreads), 0, levels,
                          call.parameters, call.scratch, level);
    }
    work.launcher.run(sharpen, work.all_of(work.finest(), levels.n), dim3(kThreads), 0, levels,
                      call.parameters, call.latents, call.latents_gradient, call.scratch);
    if (levels.n == 1) return;
    const int n_blocks = work.n_blocks(kThreads);
    work.launcher.run(weigh_upsampling, dim3(n_blocks, 2 * (levels.n - 1)), dim3(kThreads),
                      sizeof(float) * kThreads, levels, call.parameters, call.latents,
                      static_cast<const float*>(call.kept), static_cast<const float*>(call.scratch),
                      sums);
    sum_rows(work.launcher, sums, n_blocks, work.layout.rise_stride,
             {call.parameters_gradient, work.layout.rise_stride, nullptr, 0});
}

}  // namespace

bool has_cuda_pixels(const FitShape& shape) {
    const int m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
    return levels <= kMaxLevels && outer_pairs(m, levels + 1) <= kTile &&
           outer_pairs(c, m + 1) <= kTile && outer_pairs(c, levels + 1) <= kTile;
}

int64_t kept_for_pixels_cuda(const FitShape& shape) {
    return plan(shape).kept;
}

int64_t pixels_scratch_cuda(const FitShape& shape) {
    return plan(shape).scratch;
}

void latent_pixels_cuda(const FitShape& shape, const FitPixelsCall& call, Stream stream) {
    const Work work(shape, call, stream);
    const Levels& levels = work.layout.levels;
    work.launcher.run(sharpen, work.all_of(work.finest(), levels.n), dim3(kThreads), 0, levels,
                      call.parameters, call.latents, static_cast<float*>(nullptr), call.kept);
    for (int level = 1; level < levels.n; ++level) {
        work.launcher.run(rise, work.all_of(level, level), dim3(kThreads), 0, levels,
                          call.parameters, call.kept, level);
    }
    work.launcher.run(lift, dim3(work.n_blocks(kTile)), dim3(kTile), work.lift_bytes(), shape,
                      work.layout, call.parameters, call.kept);
    for (int layer = 0; layer < shape.n_tails; ++layer) {
        float* const next =
            call.kept + work.layout.layers + (layer + 1) * shape.n_channels * work.area();
        work.launcher.run(tail, work.all_of(work.finest(), shape.n_channels), dim3(kThreads), 0,
                          shape, work.layout, call.parameters, static_cast<const float*>(call.kept),
                          layer, layer < shape.n_tails - 1 ? next : call.pixels);
    }
}

void latent_pixels_gradients_cuda(const FitShape& shape, const FitPixelsCall& call, Stream stream) {
    const Work work(shape, call, stream);
    const int64_t planes = shape.n_channels * work.area();
    float* const layers = call.scratch + work.layout.layers_gradient;
    const float* from = call.gradient;
    for (int layer = shape.n_tails - 1; layer >= 0; --layer) {
        float* const to = layers + layer * planes;
        weigh_and_pass_tail(work, layer, from, to);
        from = to;
    }
    pass_hidden(work, from);
    int64_t largest = 0;
    for (int i = 0; i < shape.n_grids; ++i) {
        const int64_t size = int64_t{shape.grids[i].height} * shape.grids[i].width;
        if (shape.grids[i].is_hyper && size > largest) largest = size;
    }
    work.launcher.run(clear_hyperlatents, dim3(blocks_for(largest, kThreads), shape.n_grids),
                      dim3(kThreads), 0, shape, call.latents_gradient);
    pass_upsampling(work);
}

}  // namespace inrcodec
