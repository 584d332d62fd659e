// How the pixels of latents are cut into tasks for threads: strips of rows, whose number follows from
// the shape alone. Each step of the upsampling, and each layer of the synthesis, waits for the one
// before it. A task writes rows that no other writes; its part of the gradients of weights is added up
// in the order of the tasks.
#include <algorithm>
#include <vector>

#include "../common/instruction_sets.h"
#include "../common/latent_fit.h"
#include "../common/parallel.h"
#include "fit_memory.h"
#include "kept_floats.h"

namespace inrcodec {
namespace {

constexpr int64_t kRisenPerStrip = 16384;  // values that a task of the upsampling puts out
constexpr int64_t kPointsPerStrip = 4096;
constexpr int64_t kPointsPerThread = 1024;  // for fewer, a thread is not worth waking
constexpr int kLeastRisenRows = 8;

int rows_per_strip(int64_t per_strip, int width, int least) {
    return static_cast<int>(std::clamp<int64_t>(per_strip / width, least, 1 << 20));
}

// The planes of one level of the upsampling: that of its own latents, then those of coarser ones.
struct Stack {
    const FitGrid* grid;
    float* at;

    FitPlane plane(int number) const {
        const int64_t stride = stride_of(grid->width);
        float* const first = at ? at + number * stride * grid->height : nullptr;
        return {grid->height, grid->width, stride, first};
    }
};

struct PixelsPlan {
    const FitShape& shape;
    int n_threads;
    std::vector<Stack> stacks, stack_gradients;
    FitSynthesis synthesis;
    float *packed, *sums;
};

std::vector<Stack> take_stacks(const FitShape& shape, Memory& memory) {
    std::vector<Stack> stacks;
    for (int i = 0; i < shape.n_grids; ++i) {
        const FitGrid& grid = shape.grids[i];
        if (grid.is_hyper) continue;
        const int64_t n_rows = (static_cast<int64_t>(stacks.size()) + 1) * grid.height;
        stacks.push_back({&grid, memory.take_rows(n_rows, stride_of(grid.width), 0)});
    }
    return stacks;
}

// What is kept for the way back.
void take_kept(PixelsPlan& plan, Memory& memory) {
    const FitShape& shape = plan.shape;
    FitSynthesis& synthesis = plan.synthesis;
    synthesis.height = shape.finest().height;
    synthesis.width = shape.finest().width;
    synthesis.stride = stride_of(synthesis.width);
    plan.stacks = take_stacks(shape, memory);
    synthesis.stack = plan.stacks.back().at;
    const int64_t n_rows = int64_t{shape.n_channels} * synthesis.height;
    for (int t = 0; t < shape.n_tails; ++t)
        synthesis.layers[t] = memory.take_rows(n_rows, synthesis.stride, 0);
}

int synthesis_strips(const FitSynthesis& synthesis) {
    const int n_rows = rows_per_strip(kPointsPerStrip, synthesis.width, 1);
    return (synthesis.height + n_rows - 1) / n_rows;
}

// Runs work(number, first, last) for strips of rows of the synthesis.
template <typename Work>
void for_strips(const PixelsPlan& plan, Work work) {
    const int height = plan.synthesis.height;
    const int n_rows = rows_per_strip(kPointsPerStrip, plan.synthesis.width, 1);
    run_tasks(synthesis_strips(plan.synthesis), plan.n_threads, [&](int number) {
        work(number, number * n_rows, std::min((number + 1) * n_rows, height));
    });
}

// --- upsampling ----------------------------------------------------------------------------------

// The tasks of step `level`, from stack level - 1 to stack level. The first ones are of the filter.
struct RiseTasks {
    std::vector<RiseStrip> strips;
    int n_filter = 0;
};

void cut(const RiseStrip& whole, int rows_to_rows, RiseTasks& tasks) {
    const int n_rows =
        rows_per_strip(kRisenPerStrip / rows_to_rows, whole.to.width, kLeastRisenRows);
    for (int64_t first = 0; first < whole.from.height; first += n_rows) {
        RiseStrip strip = whole;
        strip.first = static_cast<int>(first);
        strip.last = static_cast<int>(std::min<int64_t>(first + n_rows, whole.from.height));
        tasks.strips.push_back(strip);
    }
}

FitPlane plane_of_latents(const FitGrid& grid, const float* latents) {
    float* const at = latents ? const_cast<float*>(latents) + grid.offset : nullptr;
    return {grid.height, grid.width, grid.width, at};
}

RiseTasks tasks_of(const PixelsPlan& plan, const FitPixelsCall& call, int level) {
    RiseTasks tasks;
    const int n_rises = plan.shape.n_levels - 1;
    const bool is_back = !plan.stack_gradients.empty();
    const Stack &from = plan.stacks[level - 1], &to = plan.stacks[level];
    RiseStrip whole{};
    whole.from = plane_of_latents(*to.grid, call.latents);
    whole.to = to.plane(0);
    whole.kernel = call.parameters + 4 * (n_rises + level - 1);
    if (is_back) {
        whole.from_gradient = plane_of_latents(*to.grid, call.latents_gradient);
        whole.to_gradient = plan.stack_gradients[level].plane(0);
    }
    cut(whole, 1, tasks);
    tasks.n_filter = static_cast<int>(tasks.strips.size());
    whole.kernel = call.parameters + 4 * (level - 1);
    for (int number = 0; number < level; ++number) {
        whole.from = from.plane(number);
        whole.to = to.plane(number + 1);
        if (is_back) {
            whole.from_gradient = plan.stack_gradients[level - 1].plane(number);
            whole.to_gradient = plan.stack_gradients[level].plane(number + 1);
        }
        cut(whole, 2, tasks);
    }
    return tasks;
}

using RiseWork = void (*)(const RiseStrip&, float*);

void run_rise(const PixelsPlan& plan, RiseTasks& tasks, RiseWork filter, RiseWork rise) {
    const int n_tasks = static_cast<int>(tasks.strips.size());
    const FitPlane& to = tasks.strips[0].to;
    const int64_t work = int64_t{to.height} * to.width * plan.shape.n_levels;
    const int n_threads = work < 4 * kPointsPerThread ? 1 : plan.n_threads;
    run_tasks(n_tasks, n_threads, [&](int number) {
        const RiseStrip& strip = tasks.strips[number];
        const int64_t size = fit_kernels().rise_scratch(to.width, strip.last - strip.first);
        (number < tasks.n_filter ? filter : rise)(strip, kept_floats<1>(size));
    });
}

void find_stacks(const PixelsPlan& plan, const FitPixelsCall& call) {
    const FitPlane first = plan.stacks[0].plane(0);
    const float* from = call.latents + plan.stacks[0].grid->offset;
    for (int y = 0; y < first.height; ++y) {
        float* const row = first.row(y);
        std::copy_n(from + int64_t{y} * first.width, first.width, row);
        std::fill(row - kFitMargin, row, row[0]);
        std::fill(row + first.width, row + whole_groups(first.width) + kFitMargin,
                  row[first.width - 1]);
    }
    for (int level = 1; level < plan.shape.n_levels; ++level) {
        RiseTasks tasks = tasks_of(plan, call, level);
        run_rise(plan, tasks, fit_kernels().sharpen, fit_kernels().rise);
    }
}

void pass_stacks(const PixelsPlan& plan, const FitPixelsCall& call) {
    const int n_rises = plan.shape.n_levels - 1;
    for (int level = n_rises; level > 0; --level) {
        RiseTasks tasks = tasks_of(plan, call, level);
        std::vector<float> parts(4 * tasks.strips.size());
        for (size_t i = 0; i < tasks.strips.size(); ++i)
            tasks.strips[i].kernel_gradient = parts.data() + 4 * i;
        run_rise(plan, tasks, fit_kernels().pass_sharpen, fit_kernels().pass_rise);
        double sums[8] = {};
        for (size_t i = 0; i < tasks.strips.size(); ++i) {
            const bool is_filter = static_cast<int>(i) < tasks.n_filter;
            for (int k = 0; k < 4; ++k) sums[4 * is_filter + k] += double{parts[4 * i + k]};
        }
        for (int k = 0; k < 4; ++k) {
            call.parameters_gradient[4 * (level - 1) + k] = static_cast<float>(sums[k]);
            call.parameters_gradient[4 * (n_rises + level - 1) + k] =
                static_cast<float>(sums[4 + k]);
        }
    }
    const FitPlane first = plan.stack_gradients[0].plane(0);
    float* to = call.latents_gradient + plan.stacks[0].grid->offset;
    for (int y = 0; y < first.height; ++y)
        std::copy_n(first.row(y), first.width, to + int64_t{y} * first.width);
}

// --- synthesis -----------------------------------------------------------------------------------

// Adds up the sums of all strips, `size` floats each, and hands out the results in runs: (count, to).
struct Run {
    int64_t count;
    float* to;
};

void add_up(const float* sums, int n_strips, int64_t size, const std::vector<Run>& runs) {
    int64_t at = 0;
    for (const Run& run : runs) {
        for (int64_t i = 0; i < run.count; ++i, ++at) {
            double sum = 0.0;
            for (int strip = 0; strip < n_strips; ++strip) sum += double{sums[strip * size + at]};
            run.to[i] = static_cast<float>(sum);
        }
    }
}

void load_gradient(const PixelsPlan& plan, const float* from) {
    const FitSynthesis& synthesis = plan.synthesis;
    float* const to = synthesis.layers_gradient[plan.shape.n_tails];
    for_strips(plan, [&](int, int first, int last) {
        for (int c = 0; c < plan.shape.n_channels; ++c) {
            for (int64_t y = first; y < last; ++y) {
                const int64_t number = int64_t{c} * synthesis.height + y;
                float* const row = to + number * synthesis.stride;
                std::fill(row - kFitMargin, row, 0.0f);
                float* const end =
                    std::copy_n(from + number * synthesis.width, synthesis.width, row);
                std::fill(end, row + whole_groups(synthesis.width) + kFitMargin, 0.0f);
            }
        }
    });
}

void pass_synthesis(const PixelsPlan& plan, const FitPixelsCall& call, int64_t sums_size) {
    const FitShape& shape = plan.shape;
    const FitKernels& kernels = fit_kernels();
    const int64_t m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
    const int n_strips = synthesis_strips(plan.synthesis);
    float* const lift = call.parameters_gradient + 8 * (levels - 1);
    float* const lower = lift + m * levels + m;
    float* const tails = lower + c * m + c * levels;
    float* const biases = tails + 9 * shape.n_tails * c * c;
    load_gradient(plan, call.gradient);
    for (int t = shape.n_tails - 1; t >= 0; --t) {
        for_strips(plan, [&](int number, int first, int last) {
            kernels.pass_tail(shape, plan.synthesis, t, first, last, plan.sums + number * sums_size,
                              kept_floats<1>(kernels.synthesis_scratch(shape)));
        });
        add_up(plan.sums, n_strips, sums_size,
               {{9 * c * c, tails + 9 * t * c * c}, {c, biases + (1 + t) * c}});
    }
    for_strips(plan, [&](int number, int first, int last) {
        kernels.pass_lift(shape, plan.synthesis, first, last, plan.sums + number * sums_size,
                          kept_floats<1>(kernels.synthesis_scratch(shape)));
    });
    add_up(plan.sums, n_strips, sums_size,
           {{m * levels, lift}, {c * m + c * levels, lower}, {m, lift + m * levels}, {c, biases}});
}

PixelsPlan begin(const FitShape& shape, const FitPixelsCall& call, int n_threads) {
    const int64_t useful = 1 + shape.n_latents / kPointsPerThread;
    PixelsPlan plan{shape, static_cast<int>(std::min<int64_t>(n_threads, useful)), {}, {}, {}, {},
                    {}};
    Memory kept{call.kept};
    take_kept(plan, kept);
    plan.synthesis.pixels = call.pixels;
    return plan;
}

// Memory of the way back alone.
void take_gradients(PixelsPlan& plan, int64_t sums_size, Memory& memory) {
    FitSynthesis& synthesis = plan.synthesis;
    plan.stack_gradients = take_stacks(plan.shape, memory);
    synthesis.stack_gradient = plan.stack_gradients.back().at;
    const int64_t n_rows = int64_t{plan.shape.n_channels} * synthesis.height;
    for (int t = 0; t <= plan.shape.n_tails; ++t)
        synthesis.layers_gradient[t] = memory.take_rows(n_rows, synthesis.stride, 0);
    plan.sums = memory.take(sums_size * synthesis_strips(synthesis));
    plan.packed = memory.take(fit_kernels().synthesis_packed(plan.shape));
}

}  // namespace

int64_t kept_for_pixels(const FitShape& shape) {
    Memory memory{nullptr};
    PixelsPlan plan = begin(shape, {}, 1);
    take_kept(plan, memory);
    return memory.used;
}

void latent_pixels(const FitShape& shape, const FitPixelsCall& call, int n_threads) {
    const FitKernels& kernels = fit_kernels();
    PixelsPlan plan = begin(shape, call, n_threads);
    plan.packed = kept_floats<0>(kernels.synthesis_packed(shape));
    plan.synthesis.packed = plan.packed;
    kernels.pack_synthesis(shape, call.parameters, plan.packed);
    find_stacks(plan, call);
    for_strips(plan, [&](int, int first, int last) {
        kernels.lift(shape, plan.synthesis, first, last,
                     kept_floats<1>(kernels.synthesis_scratch(shape)));
    });
    for (int t = 0; t < shape.n_tails; ++t) {
        for_strips(plan, [&](int, int first, int last) {
            kernels.tail(shape, plan.synthesis, t, first, last,
                         kept_floats<1>(kernels.synthesis_scratch(shape)));
        });
    }
}

void latent_pixels_gradients(const FitShape& shape, const FitPixelsCall& call, int n_threads) {
    const FitKernels& kernels = fit_kernels();
    PixelsPlan plan = begin(shape, call, n_threads);
    const int64_t m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
    const int64_t of_lift = m * (levels + 1) + c * (m + 1 + levels), of_tail = c * (9 * c + 1);
    const int64_t sums_size = whole_groups(std::max(of_lift, of_tail));
    Memory counted{nullptr};
    take_gradients(plan, sums_size, counted);
    Memory memory{kept_floats<0>(counted.used)};
    take_gradients(plan, sums_size, memory);
    plan.synthesis.packed = plan.packed;
    kernels.pack_synthesis(shape, call.parameters, plan.packed);
    std::fill_n(call.latents_gradient, shape.n_latents, 0.0f);
    pass_synthesis(plan, call, sums_size);
    pass_stacks(plan, call);
}

}  // namespace inrcodec
