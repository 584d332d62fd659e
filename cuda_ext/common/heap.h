// What the C library does with memory that is freed.
#pragma once

namespace inrcodec {

// While `keep`, freed memory of any size stays with the process, to be handed out again at once;
// otherwise it goes back to the system beyond some 64 MiB, now too. Fits allocate the same tens of
// megabytes in each iteration, and the system clears every page that it hands out again. Does
// nothing where the C library is not glibc.
void keep_freed_memory(bool keep);

}  // namespace inrcodec
