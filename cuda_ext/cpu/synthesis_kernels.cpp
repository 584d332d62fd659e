// The synthesis on the CPU, row by row: latents of the finest size, the layers of a pixel alone, then
// the tail, whose layers each follow a row behind the one before. Only a few rows of each are kept.
//
// This file is compiled once per instruction set; INRCODEC_SYNTHESIS_VARIANT names the result. It
// must not use the STL nor define anything external but that (see grid_kernels.cpp).
#include "../common/synthesis_kernels.h"

#include "synthesis_rise.h"
#include "synthesis_tail.h"

namespace inrcodec {
namespace {

void pack(const Synthesis& synthesis, const double* weights, double* packed) {
    pack_pointwise(synthesis, weights, packed);
    pack_tail(synthesis, weights, packed);
}

int64_t rise_scratch(const Rise& rise) {
    return RisenRows::size(rise) + (rise.n_planes + 1) * line_room(rise.width);
}

void rise(const Rise& rise, int64_t first, int64_t last, int32_t* out, double* scratch) {
    RisenRows rows(rise, first, scratch);
    double* lines[kMaxLatentLevels];
    for (int plane = 0; plane <= rise.n_planes; ++plane)
        lines[plane] = scratch + RisenRows::size(rise) + plane * line_room(rise.width);
    for (int64_t y = first; y < last; ++y) {
        rows.write(y, lines);
        for (int plane = 0; plane <= rise.n_planes; ++plane) {
            int32_t* row = out + (plane * rise.height + y) * rise.width;
            const double* line = lines[plane];
            for (int64_t x = 0; x < rise.width; ++x) row[x] = static_cast<int32_t>(line[x]);
        }
    }
}

int64_t pixels_scratch(const Synthesis& synthesis, const Rise& rise) {
    return RisenRows::size(rise) + synthesis.n_levels * line_room(synthesis.width) +
           Tail::size(synthesis);
}

void pixels(const Synthesis& synthesis, const SynthesisCall& call, const Rise& rise,
            const double* packed, int64_t first, int64_t last, double* scratch) {
    const int64_t begin = first < synthesis.n_tail ? 0 : first - synthesis.n_tail;
    const int64_t reach = last + synthesis.n_tail;
    const int64_t end = reach < synthesis.height ? reach : synthesis.height;
    RisenRows rows(rise, begin, scratch);
    scratch += RisenRows::size(rise);
    double* lines[kMaxLatentLevels];
    for (int level = 0; level < synthesis.n_levels; ++level) {
        lines[level] = scratch;
        scratch += line_room(synthesis.width);
        for (int64_t i = 0; i < line_room(synthesis.width); ++i) lines[level][i] = 0.0;
    }
    Tail tail(synthesis, call, packed, first, last, scratch);
    const Pointwise pointwise(synthesis, packed);
    for (int64_t y = begin; y < end; ++y) {
        rows.write(y, lines);
        pointwise.write(lines, tail.values(0, y), tail.blend(y));
        tail.take_row(0, y);
    }
}

}  // namespace

const SynthesisKernels INRCODEC_SYNTHESIS_VARIANT = {
    pack, rise_scratch, rise, pixels_scratch, pixels,
};

}  // namespace inrcodec
