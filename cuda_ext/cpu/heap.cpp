#include "../common/heap.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace inrcodec {

void keep_freed_memory([[maybe_unused]] bool keep) {
#if defined(__GLIBC__)
    // Otherwise what glibc's own thresholds grow to when large blocks are freed.
    constexpr int kMost = 1 << 30, kMap = 32 << 20, kTrim = 2 * kMap;
    const bool is_set = mallopt(M_MMAP_THRESHOLD, keep ? kMost : kMap) != 0;
    if (!is_set) mallopt(M_MMAP_THRESHOLD, kMap);  // the most that older ones take
    mallopt(M_TRIM_THRESHOLD, keep ? kMost : kTrim);
    if (!keep) malloc_trim(0);
#endif
}

}  // namespace inrcodec
