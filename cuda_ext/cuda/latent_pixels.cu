// The pixels of latents and their gradients on the GPU, in float32; the same bits at every call.
//
// Upsampling: one output, or one input on the way back, a thread, straight in two dimensions; a level
// waits for the one below it. Synthesis: tiles of pixels go through the hidden layer, one pixel a
// thread; each layer of the tail is a kernel of its own. Gradients of weights are sums of blocks, which
// `add_rows` adds up.
#include <cmath>

#include "../common/latent_fit.h"
#include "tile.h"

namespace inrcodec {
namespace {

constexpr char kOp[] = "latent_pixels";
constexpr int kBlocks = 264;  // that share the pixels: 2 for each multiprocessor of a large GPU
constexpr int kThreads = 256;
constexpr int kMaxLevels = 16;

// The grids of latents, coarsest first. `stack`: offset of a level's planes, its own first, then those
// of coarser levels from fine to coarse.
struct Levels {
    int n;
    int height[kMaxLevels], width[kMaxLevels];
    int64_t latents[kMaxLevels], stack[kMaxLevels];

    __host__ __device__ int64_t area(int level) const {
        return int64_t{height[level]} * width[level];
    }
};

// Offsets in floats: of what is kept, of scratch on the way back, and of parameters.
struct PixelsLayout {
    Levels levels;
    int64_t layers, kept;  // of the tail's inputs, behind the stacks
    int64_t layers_gradient, sums, scratch;
    int lift_stride, tail_stride, rise_stride;
    int64_t lift, lift_bias, lower, blend, tails, lower_bias, tail_biases;
};

void place_parameters(const FitShape& shape, PixelsLayout& layout) {
    const int64_t m = shape.n_hidden, c = shape.n_channels, levels = shape.n_levels;
    layout.lift = 8 * (levels - 1);
    layout.lift_bias = layout.lift + m * levels;
    layout.lower = layout.lift_bias + m;
    layout.blend = layout.lower + c * m;
    layout.tails = layout.blend + c * levels;
    layout.lower_bias = layout.tails + 9 * shape.n_tails * c * c;
    layout.tail_biases = layout.lower_bias + c;
}

PixelsLayout plan(const FitShape& shape) {
    PixelsLayout layout{};
    Levels& levels = layout.levels;
    int64_t used = 0;
    for (int i = 0; i < shape.n_grids; ++i) {
        const FitGrid& grid = shape.grids[i];
        if (grid.is_hyper) continue;
        levels.height[levels.n] = grid.height;
        levels.width[levels.n] = grid.width;
        levels.latents[levels.n] = grid.offset;
        levels.stack[levels.n] = used;
        used += levels.area(levels.n) * (levels.n + 1);
        ++levels.n;
    }
    const int64_t planes = levels.area(levels.n - 1) * shape.n_channels;
    layout.layers = layout.layers_gradient = used;  // behind the gradients of the stacks as well
    layout.kept = layout.sums = used + planes * shape.n_tails;
    place_parameters(shape, layout);
    const int64_t c = shape.n_channels;
    layout.lift_stride = static_cast<int>(layout.tails - layout.lift + c);
    layout.tail_stride = static_cast<int>(9 * c * c + c);
    layout.rise_stride = 8 * (levels.n - 1);
    int largest = layout.lift_stride;
    if (layout.tail_stride > largest) largest = layout.tail_stride;
    if (layout.rise_stride > largest) largest = layout.rise_stride;
    layout.scratch = layout.sums + int64_t{kBlocks} * largest;
    return layout;
}

__device__ int64_t item_of_thread() {
    return int64_t{blockIdx.x} * kThreads + threadIdx.x;
}

__device__ int clamped(int at, int length) {
    return at < 0 ? 0 : at < length ? at : length - 1;
}

// --- upsampling ------------------------------------------------------------------------------------

// The factors of the values at places -2 ... 2 of an even or odd output, as cpu/latent_upsample.h says.
struct Rise {
    float taps[2][5];

    __device__ explicit Rise(const float* k)
        : taps{{k[0], k[2], k[3], k[1], 0.0f}, {0.0f, k[1], k[3], k[2], k[0]}} {}
};

// Which number of the kernel each factor is; 4: none.
__device__ int number_of(int parity, int tap) {
    const int i = parity ? 4 - tap : tap;
    return i == 0 ? 0 : i == 1 ? 2 : i == 2 ? 3 : i == 3 ? 1 : 4;
}

__global__ void rise(const Levels levels, const float* parameters, float* kept, int level) {
    const int height = levels.height[level], width = levels.width[level];
    const int64_t place = item_of_thread();
    if (place >= levels.area(level)) return;
    const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
    const int n_rows = levels.height[level - 1], n = levels.width[level - 1];
    const Rise kernel(parameters + 4 * (level - 1));
    const float* from = kept + levels.stack[level - 1] + blockIdx.y * levels.area(level - 1);
    float sum = 0.0f;
    for (int i = 0; i < 5; ++i) {
        const float* row = from + int64_t{clamped(y / 2 + i - 2, n_rows)} * n;
        float part = 0.0f;
        for (int k = 0; k < 5; ++k) part += kernel.taps[x % 2][k] * row[clamped(x / 2 + k - 2, n)];
        sum += kernel.taps[y % 2][i] * part;
    }
    kept[levels.stack[level] + (blockIdx.y + 1) * int64_t{height} * width + place] = sum;
}

// What an output at `out` takes of input `at`, of `n` along an axis, the ends standing for all beyond.
__device__ float share_of(const Rise& kernel, int out, int at, int n) {
    const int first = out / 2 - 2;
    float sum = 0.0f;
    for (int k = 0; k < 5; ++k)
        if (clamped(first + k, n) == at) sum += kernel.taps[out % 2][k];
    return sum;
}

__global__ void pass_rise(const Levels levels, const float* parameters, float* gradients,
                          int level) {
    const int n_rows = levels.height[level - 1], n = levels.width[level - 1];
    const int64_t place = item_of_thread();
    if (place >= levels.area(level - 1)) return;
    const int y = static_cast<int>(place / n), x = static_cast<int>(place % n);
    const int height = levels.height[level], width = levels.width[level];
    const Rise kernel(parameters + 4 * (level - 1));
    const float* from = gradients + levels.stack[level] + (blockIdx.y + 1) * levels.area(level);
    float columns[10];
    for (int k = 0; k < 10; ++k) {
        const int out = 2 * x - 4 + k;
        columns[k] = out >= 0 && out < width ? share_of(kernel, out, x, n) : 0.0f;
    }
    float sum = 0.0f;
    for (int i = 0; i < 10; ++i) {
        const int out = 2 * y - 4 + i;
        if (out < 0 || out >= height) continue;
        const float* row = from + int64_t{out} * width;
        float part = 0.0f;
        for (int k = 0; k < 10; ++k) part += columns[k] * row[clamped(2 * x - 4 + k, width)];
        sum += share_of(kernel, out, y, n_rows) * part;
    }
    gradients[levels.stack[level - 1] + blockIdx.y * levels.area(level - 1) + place] = sum;
}

// The filter of 7 taps along both axes, with zeros beyond the ends.
struct Filter {
    float taps[7];

    __device__ explicit Filter(const float* k) : taps{k[0], k[1], k[2], k[3], k[2], k[1], k[0]} {}
};

__device__ float filtered(const Filter& filter, const float* plane, int height, int width, int y,
                          int x) {
    float sum = 0.0f;
    for (int i = 0; i < 7; ++i) {
        const int row = y + i - 3;
        if (row < 0 || row >= height) continue;
        float part = 0.0f;
        for (int k = 0; k < 7; ++k) {
            const int column = x + k - 3;
            if (column >= 0 && column < width)
                part += filter.taps[k] * plane[int64_t{row} * width + column];
        }
        sum += filter.taps[i] * part;
    }
    return sum;
}

// Row y of blocks: level y; from latents to the first planes of the stacks, or the way back.
__global__ void sharpen(const Levels levels, const float* parameters, const float* latents,
                        float* latents_gradient, float* stacks) {
    const int level = static_cast<int>(blockIdx.y);
    const int height = levels.height[level], width = levels.width[level];
    const int64_t place = item_of_thread();
    if (place >= levels.area(level)) return;
    const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
    float* const plane = stacks + levels.stack[level];
    const float* from = latents_gradient ? plane : latents + levels.latents[level];
    float* const to = latents_gradient ? latents_gradient + levels.latents[level] : plane;
    if (level == 0) {
        to[place] = from[place];
    } else {
        const Filter filter(parameters + 4 * (levels.n - 1 + level - 1));
        to[place] = filtered(filter, from, height, width, y, x);
    }
}

__device__ void weigh_rise(const Levels& levels, const float* parameters, const float* kept,
                           const float* gradients, int level, float* sums) {
    const int height = levels.height[level], width = levels.width[level];
    const int n_rows = levels.height[level - 1], n = levels.width[level - 1];
    const Rise kernel(parameters + 4 * (level - 1));
    const int64_t area = int64_t{height} * width;
    for (int64_t item = item_of_thread(); item < area * level;
         item += int64_t{gridDim.x} * kThreads) {
        const int64_t number = item / area, place = item % area;
        const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
        const float slope = gradients[levels.stack[level] + area + item];
        const float* from = kept + levels.stack[level - 1] + number * levels.area(level - 1);
        for (int i = 0; i < 5; ++i) {
            const float* row = from + int64_t{clamped(y / 2 + i - 2, n_rows)} * n;
            float part = 0.0f;
            for (int k = 0; k < 5; ++k) {
                const float value = row[clamped(x / 2 + k - 2, n)];
                part += kernel.taps[x % 2][k] * value;
                const int column = number_of(x % 2, k);
                const float by_column = slope * kernel.taps[y % 2][i] * value;
                for (int j = 0; j < 4; ++j) sums[j] += j == column ? by_column : 0.0f;
            }
            const int in_kernel = number_of(y % 2, i);
            for (int j = 0; j < 4; ++j) sums[j] += j == in_kernel ? slope * part : 0.0f;
        }
    }
}

__device__ void weigh_filter(const Levels& levels, const float* parameters, const float* latents,
                             const float* gradients, int level, float* sums) {
    const int height = levels.height[level], width = levels.width[level];
    const Filter filter(parameters + 4 * (levels.n - 1 + level - 1));
    const float* from = latents + levels.latents[level];
    const int64_t area = int64_t{height} * width;
    for (int64_t place = item_of_thread(); place < area; place += int64_t{gridDim.x} * kThreads) {
        const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
        const float slope = gradients[levels.stack[level] + place];
        for (int i = 0; i < 7; ++i) {
            const int row = y + i - 3;
            if (row < 0 || row >= height) continue;
            float part = 0.0f;
            for (int k = 0; k < 7; ++k) {
                const int column = x + k - 3;
                if (column < 0 || column >= width) continue;
                const float value = from[int64_t{row} * width + column];
                part += filter.taps[k] * value;
                const int number = k < 4 ? k : 6 - k;
                for (int j = 0; j < 4; ++j)
                    sums[j] += j == number ? slope * filter.taps[i] * value : 0.0f;
            }
            const int number = i < 4 ? i : 6 - i;
            for (int j = 0; j < 4; ++j) sums[j] += j == number ? slope * part : 0.0f;
        }
    }
}

// Row y of blocks: the kernel that doubles to level y + 1, then, from n - 1 on, the filters.
__global__ void weigh_upsampling(const Levels levels, const float* parameters, const float* latents,
                                 const float* kept, const float* gradients, float* partial) {
    INRCODEC_SHARED(shared);
    const int n_rises = levels.n - 1, number = static_cast<int>(blockIdx.y);
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (number < n_rises) {
        weigh_rise(levels, parameters, kept, gradients, number + 1, sums);
    } else {
        weigh_filter(levels, parameters, latents, gradients, number - n_rises + 1, sums);
    }
    for (int j = 0; j < 4; ++j) {
        const float sum = sum_of_block(sums[j], kThreads, shared);
        if (threadIdx.x == 0) partial[int64_t{blockIdx.x} * 8 * n_rises + 4 * number + j] = sum;
    }
}

// --- the hidden layer ------------------------------------------------------------------------------

// Offsets in floats, of weights and of rows of the tile. Rows of the stack and of hidden values have a 1
// behind their values.
struct Shared {
    int m, m4, m_row, m_stride, levels, l4, l_row, l_stride, c, c4, c_stride;
    int lift, lower, back_lower, back_lift, back_blend, stack, hidden, slopes, ends, size;

    __host__ __device__ explicit Shared(const FitShape& shape) {
        m = shape.n_hidden;
        m4 = padded4(m);
        m_row = padded4(m + 1);
        m_stride = tile_stride(m + 1);
        levels = shape.n_levels;
        l4 = padded4(levels);
        l_row = padded4(levels + 1);
        l_stride = tile_stride(levels + 1);
        c = shape.n_channels;
        c4 = padded4(c);
        c_stride = tile_stride(c);
        int used = 0;
        lift = take(used, m4 * l_row);
        lower = take(used, c4 * m_row);
        back_lower = take(used, m4 * c4);
        back_lift = take(used, l4 * m4);
        back_blend = take(used, l4 * c4);
        stack = take(used, kTile * l_stride);
        hidden = take(used, kTile * m_stride);
        slopes = take(used, kTile * c_stride);
        ends = take(used, kTile * c_stride);
        size = used;
    }

  private:
    __host__ __device__ static int take(int& used, int count) {
        const int at = used;
        used += count;
        return at;
    }
};

// [n_rows, n_columns] of zeros but for the first rows and columns of `from`, and `last` behind them.
__device__ void share_matrix(const float* from, int rows, int columns, const float* last,
                             int n_rows, int n_columns, float* to) {
    for (int i = static_cast<int>(threadIdx.x); i < n_rows * n_columns; i += kTile) {
        const int o = i / n_columns, k = i % n_columns;
        float value = 0.0f;
        if (o < rows && k < columns) value = from[o * columns + k];
        if (o < rows && k == columns && last) value = last[o];
        to[i] = value;
    }
}

// The same, transposed: [n_rows, n_columns] of `from` [columns, rows].
__device__ void share_transposed(const float* from, int rows, int columns, int n_rows,
                                 int n_columns, float* to) {
    for (int i = static_cast<int>(threadIdx.x); i < n_rows * n_columns; i += kTile) {
        const int o = i / n_columns, k = i % n_columns;
        to[i] = o < rows && k < columns ? from[k * rows + o] : 0.0f;
    }
}

__device__ void share_forward(const Shared& at, const PixelsLayout& layout, const float* parameters,
                              float* shared) {
    share_matrix(parameters + layout.lift, at.m, at.levels, parameters + layout.lift_bias, at.m4,
                 at.l_row, shared + at.lift);
    share_matrix(parameters + layout.lower, at.c, at.m, parameters + layout.lower_bias, at.c4,
                 at.m_row, shared + at.lower);
}

__device__ void share_backward(const Shared& at, const PixelsLayout& layout,
                               const float* parameters, float* shared) {
    share_transposed(parameters + layout.lower, at.m, at.c, at.m4, at.c4, shared + at.back_lower);
    share_transposed(parameters + layout.lift, at.levels, at.m, at.l4, at.m4,
                     shared + at.back_lift);
    share_transposed(parameters + layout.blend, at.levels, at.c, at.l4, at.c4,
                     shared + at.back_blend);
}

// A row of planes at a place, its 1 behind it if there is room; zeros where there is no such place.
__device__ void load_row(const float* planes, int64_t area, int n, bool is_there, int64_t place,
                         int n_row, float* row) {
    for (int k = 0; k < n_row; ++k) row[k] = k < n && is_there ? planes[k * area + place] : 0.0f;
    if (n < n_row && is_there) row[n] = 1.0f;
}

__device__ void find_hidden(const Shared& at, const float* shared, const float* stack,
                            bool is_there, float* hidden) {
    for (int k = at.m4 - 4; k < at.m_row; ++k) hidden[k] = 0.0f;
    multiply(shared + at.lift, at.m4, at.l_row, at.l_row, stack,
             [=](int o, float4 sums) { store4(hidden + o, positive(sums)); });
    if (is_there) hidden[at.m] = 1.0f;
}

__global__ void __launch_bounds__(kTile)
    lift(const FitShape shape, const PixelsLayout layout, const float* parameters, float* kept) {
    INRCODEC_SHARED(shared);
    const Shared at(shape);
    const int thread = static_cast<int>(threadIdx.x), finest = layout.levels.n - 1;
    const int64_t area = layout.levels.area(finest);
    float* const stack = shared + at.stack + thread * at.l_stride;
    float* const hidden = shared + at.hidden + thread * at.m_stride;
    share_forward(at, layout, parameters, shared);
    __syncthreads();
    for (int64_t first = int64_t{blockIdx.x} * kTile; first < area;
         first += int64_t{gridDim.x} * kTile) {
        const int64_t place = first + thread;
        const bool is_there = place < area;
        load_row(kept + layout.levels.stack[finest], area, at.levels, is_there, place, at.l_row,
                 stack);
        find_hidden(at, shared, stack, is_there, hidden);
        if (!is_there) continue;
        float* const out = kept + layout.layers + place;
        multiply(shared + at.lower, at.c4, at.m_row, at.m_row, hidden, [=](int o, float4 sums) {
            out[o * area] = sums.x;
            if (o + 1 < at.c) out[(o + 1) * area] = sums.y;
            if (o + 2 < at.c) out[(o + 2) * area] = sums.z;
            if (o + 3 < at.c) out[(o + 3) * area] = sums.w;
        });
    }
}

// `by_pixels`, `by_layer`: gradients of what comes out, and of the first input of the tail.
__global__ void __launch_bounds__(kTile)
    pass_lift(const FitShape shape, const PixelsLayout layout, const float* parameters,
              const float* kept, const float* by_pixels, const float* by_layer, float* gradients,
              float* partial) {
    INRCODEC_SHARED(shared);
    const Shared at(shape);
    const int thread = static_cast<int>(threadIdx.x), finest = layout.levels.n - 1;
    const int64_t area = layout.levels.area(finest);
    float *const stacks = shared + at.stack, *const hiddens = shared + at.hidden;
    float *const slopes = shared + at.slopes, *const ends = shared + at.ends;
    float* const stack = stacks + thread * at.l_stride;
    float* const hidden = hiddens + thread * at.m_stride;
    float* const slope = slopes + thread * at.c_stride;
    float* const end = ends + thread * at.c_stride;
    share_forward(at, layout, parameters, shared);
    share_backward(at, layout, parameters, shared);
    Outer of_lift(at.m4, at.l_row), of_lower(at.c4, at.m_row), of_blend(at.c4, at.l_row);
    for (int64_t first = int64_t{blockIdx.x} * kTile; first < area;
         first += int64_t{gridDim.x} * kTile) {
        const int64_t place = first + thread;
        const bool is_there = place < area;
        __syncthreads();  // weights are shared; the tile before is done
        load_row(kept + layout.levels.stack[finest], area, at.levels, is_there, place, at.l_row,
                 stack);
        load_row(by_layer, area, at.c, is_there, place, at.c, slope);
        load_row(by_pixels, area, at.c, is_there, place, at.c, end);
        for (int k = at.c; k < at.c4; ++k) slope[k] = end[k] = 0.0f;
        find_hidden(at, shared, stack, is_there, hidden);
        __syncthreads();
        of_lower.add(slopes, at.c_stride, hiddens, at.m_stride);
        of_blend.add(ends, at.c_stride, stacks, at.l_stride);
        __syncthreads();
        multiply(shared + at.back_lower, at.m4, at.c4, at.c4, slope, [=](int o, float4 sums) {
            store4(hidden + o, where_positive(sums, load4(hidden + o)));
        });
        __syncthreads();
        of_lift.add(hiddens, at.m_stride, stacks, at.l_stride);
        __syncthreads();
        multiply(shared + at.back_lift, at.l4, at.m4, at.m4, hidden,
                 [=](int o, float4 sums) { store4(stack + o, sums); });
        multiply(shared + at.back_blend, at.l4, at.c4, at.c4, end, [=](int o, float4 sums) {
            const float4 before = load4(stack + o);
            store4(stack + o, make_float4(before.x + sums.x, before.y + sums.y, before.z + sums.z,
                                          before.w + sums.w));
        });
        float* const to = gradients + layout.levels.stack[finest] + place;
        for (int k = 0; is_there && k < at.levels; ++k) to[k * area] = stack[k];
    }
    // as the parameters lie from the lift on, then the biases of the lower layer
    float* const sums = partial + int64_t{blockIdx.x} * layout.lift_stride;
    const int m = at.m, c = at.c, levels = at.levels;
    const int of_lower_weights = m * levels + m, of_blend_weights = of_lower_weights + c * m;
    const int of_biases = of_blend_weights + c * levels;
    of_lift.finish(at.m4, stacks, [=](int o, int k, float sum) {
        if (o < m && k <= levels) sums[k < levels ? o * levels + k : m * levels + o] = sum;
    });
    of_lower.finish(at.c4, stacks, [=](int o, int k, float sum) {
        if (o < c && k <= m) sums[k < m ? of_lower_weights + o * m + k : of_biases + o] = sum;
    });
    of_blend.finish(at.c4, stacks, [=](int o, int k, float sum) {
        if (o < c && k < levels) sums[of_blend_weights + o * levels + k] = sum;
    });
}

// --- the tail --------------------------------------------------------------------------------------

// Row y of blocks: channel y of what a layer puts out.
__global__ void tail(const FitShape shape, const PixelsLayout layout, const float* parameters,
                     const float* kept, int layer, float* to) {
    const int finest = layout.levels.n - 1, n = shape.n_channels;
    const int height = layout.levels.height[finest], width = layout.levels.width[finest];
    const int64_t place = item_of_thread(), area = int64_t{height} * width;
    if (place >= area) return;
    const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
    const int o = static_cast<int>(blockIdx.y);
    const float* in = kept + layout.layers + layer * n * area;
    const float* weights = parameters + layout.tails + 9 * (layer * n + o) * n;
    float sum = parameters[layout.tail_biases + layer * n + o] + in[o * area + place];
    for (int i = 0; i < n; ++i) {
        for (int row = 0; row < 3; ++row) {
            const float* from = in + i * area + int64_t{clamped(y + row - 1, height)} * width;
            for (int k = 0; k < 3; ++k)
                sum += weights[9 * i + 3 * row + k] * from[clamped(x + k - 1, width)];
        }
    }
    if (layer < shape.n_tails - 1) {
        sum = sum < 0.0f ? 0.0f : sum;  // NaN stays
    } else {
        const float* stack = kept + layout.levels.stack[finest] + place;
        const float* blend = parameters + layout.blend + o * layout.levels.n;
        for (int k = 0; k < layout.levels.n; ++k) sum += blend[k] * stack[k * area];
    }
    to[o * area + place] = sum;
}

// Row y of blocks: channel y of the input of a layer.
__global__ void pass_tail(const FitShape shape, const PixelsLayout layout, const float* parameters,
                          const float* kept, const float* from, int layer, float* to) {
    const int finest = layout.levels.n - 1, n = shape.n_channels;
    const int height = layout.levels.height[finest], width = layout.levels.width[finest];
    const int64_t place = item_of_thread(), area = int64_t{height} * width;
    if (place >= area) return;
    const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
    const int i = static_cast<int>(blockIdx.y);
    const float* weights = parameters + layout.tails + 9 * (int64_t{layer} * n * n + i);
    float sum = from[i * area + place];
    for (int near_y = y - 1; near_y <= y + 1; ++near_y) {
        for (int row = 0; row < 3; ++row) {
            const bool sees_row =
                near_y >= 0 && near_y < height && clamped(near_y + row - 1, height) == y;
            for (int near_x = x - 1; sees_row && near_x <= x + 1; ++near_x) {
                for (int k = 0; k < 3; ++k) {
                    if (near_x < 0 || near_x >= width || clamped(near_x + k - 1, width) != x)
                        continue;
                    const int64_t at = int64_t{near_y} * width + near_x;
                    for (int o = 0; o < n; ++o)
                        sum += weights[9 * o * n + 3 * row + k] * from[o * area + at];
                }
            }
        }
    }
    const bool is_off = layer > 0 && !(kept[layout.layers + (layer * n + i) * area + place] > 0.0f);
    to[i * area + place] = is_off ? 0.0f : sum;
}

// Row y of blocks: weights from input y % n to output y / n; with input 0 the bias of the output.
__global__ void weigh_tail(const FitShape shape, const PixelsLayout layout, const float* kept,
                           const float* from, int layer, float* partial) {
    INRCODEC_SHARED(shared);
    const int finest = layout.levels.n - 1, n = shape.n_channels;
    const int height = layout.levels.height[finest], width = layout.levels.width[finest];
    const int64_t area = int64_t{height} * width;
    const int o = static_cast<int>(blockIdx.y) / n, i = static_cast<int>(blockIdx.y) % n;
    const float* in = kept + layout.layers + (layer * n + i) * area;
    float sums[10] = {};
    for (int64_t place = item_of_thread(); place < area; place += int64_t{gridDim.x} * kThreads) {
        const int y = static_cast<int>(place / width), x = static_cast<int>(place % width);
        const float slope = from[o * area + place];
        for (int row = 0; row < 3; ++row) {
            const float* at = in + int64_t{clamped(y + row - 1, height)} * width;
            for (int k = 0; k < 3; ++k) sums[3 * row + k] += slope * at[clamped(x + k - 1, width)];
        }
        sums[9] += slope;
    }
    float* const to = partial + int64_t{blockIdx.x} * layout.tail_stride;
    for (int k = 0; k < 10; ++k) {
        if (k == 9 && i > 0) break;
        const float sum = sum_of_block(sums[k], kThreads, shared);
        if (threadIdx.x == 0) to[k < 9 ? 9 * (o * n + i) + k : 9 * n * n + o] = sum;
    }
}

__global__ void clear_hyperlatents(const FitShape shape, float* gradient) {
    const FitGrid& grid = shape.grids[blockIdx.y];
    const int64_t at = item_of_thread();
    if (grid.is_hyper && at < int64_t{grid.height} * grid.width) gradient[grid.offset + at] = 0.0f;
}

// --- calls -----------------------------------------------------------------------------------------

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
